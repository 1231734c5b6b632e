/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of delivery/ share. */

#include "delivery/delivery.h"
#include "util/backoff.h"
#include "util/log.h"
#include "util/table.h"

/* Entries and bytes sent and not acknowledged. */
#define WINDOW_ENTRIES 1024
#define WINDOW_BYTES (2 * 1024 * 1024)

#define DIAL_TIME (5 * USEC_PER_SEC)
#define RETRY_FIRST (500 * USEC_PER_MSEC)
#define RETRY_LAST (5 * USEC_PER_MINUTE)

/* After a batch that failed, until unreceipted messages go out once more. */
#define SEND_AGAIN_DELAY (10 * USEC_PER_SEC)

/* A link that ended sooner, with nothing acknowledged, was no success. */
#define LINK_LASTING (30 * USEC_PER_SEC)

/* An entry of a burst that waits for the signature at its end. */
typedef struct Held {
        Buffer bytes; /* INNER */
        Inner inner; /* points into it */
        uint8_t hash[SHA256_SIZE];
} Held;

typedef struct Sent {
        Uuid id;
        size_t size;
} Sent;

typedef struct Peer {
        Delivery *delivery;
        uint8_t account[KEY_SIZE];
        uint32_t number;
        uint8_t conversation[SHA256_SIZE]; /* with this account */
        Link *link; /* open, or being opened */
        bool up; /* it is open, and the user knows */
        usec_t up_since;

        /* Getting a link */
        LoopTimer *timer;
        Backoff backoff;
        LinkDial *dial;
        bool looking_up, looked_up;
        bool appeared; /* since the present attempt began */
        Endpoints candidates;
        size_t next_candidate;
        char dialled[ENDPOINT_SIZE]; /* the endpoint of the link being opened */

        /* Sending */
        bool pending; /* there may be rows beyond `sent` */
        OutboxPosition sent;
        Sent *in_flight; /* a ring, oldest first */
        size_t in_flight_first, in_flight_n, in_flight_bytes;

        /* Receiving */
        Held *held;
        size_t n_held, held_bytes;

        /* What this batch owes the peer after its commit. */
        Uuid *acks;
        size_t n_acks, allocated_acks;
        uint32_t receipts[4]; /* feeds; usually one */
        size_t n_receipts;
        bool owes;
        Receipt *unfinished; /* a long one, of which the next batch takes more */
        UT_hash_handle hh;
} Peer;

/* An incoming link whose name is being confirmed by a directory. */
typedef struct Confirming {
        Delivery *delivery;
        Link *link;
        struct Confirming *prev, *next;
} Confirming;

struct Delivery {
        Store *store;
        Net *net;
        Loop *loop;
        Directory *directory;
        const Identity *self;
        const LocalIdentity *local;
        DeliverySettings settings;
        const DeliveryCallbacks *callbacks;
        void *userdata;
        LinkPool *links;
        Peer *peers;
        Buffer presence;
        bool started;
        bool committing; /* on_batch() will come */
        Confirming *confirming;
};

Peer *peer_find(const Delivery *d, const uint8_t *account);
Peer *peer_get(Delivery *d, const uint8_t *account, uint32_t number);

/* Calls back after the batch: acks and receipts go out then. */
int delivery_await_commit(Delivery *d);

/* inbox.c */
int inbox_take_message(Peer *p, Frame *f);
void inbox_drop_held(Peer *p);
void inbox_settle(Peer *p, int error);
void inbox_greet(Peer *p, HelloOk *ok, Receipt *receipt, Buffer *buf);

/* outbox.c */
void outbox_pump(Peer *p);

/* Messages whose time was over before they could be delivered. */
void outbox_expire(Peer *p);
bool peer_has_rows(Peer *p);
void outbox_link_lost(Peer *p);
int outbox_take_ack(Peer *p, Frame *f);
int outbox_take_nack(Peer *p, Frame *f);
int outbox_take_receipt(Peer *p, Frame *f);
int outbox_take_receipt_object(Peer *p, Bytes outer, const uint8_t *device);
void outbox_go_on_with_receipt(Peer *p);

/* dialling.c */
void peer_want_link(Peer *p);
void peer_try_next(Peer *p);
void peer_stop_dialling(Peer *p);
void peer_retry_later(Peer *p);
void peer_reached(Peer *p);
