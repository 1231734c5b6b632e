/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Brings what is in the outbox to whom it is for, and takes in what others bring. For who is away
 * it is sealed and left in a mailbox; it stays in the outbox all the same.
 *
 * Sending: each recipient with envelopes is a peer with a link, an attempt to get one, or a time of
 * the next attempt. What goes over a link is read from committed rows only, in feed order, in
 * bursts that are signed once; it stays in the outbox until the recipient's signed receipt.
 *
 * Receiving: an entry is taken when it is authenticated, by its own signature or by that of an
 * entry after it without a hole. It is acknowledged, receipted and shown after the commit.
 */

#include "directory/directory.h"
#include "link/link.h"
#include "store/message.h"

typedef struct Delivery Delivery;

typedef struct DeliveryCallbacks {
        /* The link to somebody is up or down. */
        void (*link_changed)(void *userdata, const uint8_t account[static KEY_SIZE], bool up);

        /* Mail was sealed to a prekey of this account that is not known here: its record has to
         * name another. May be NULL. */
        void (*prekey_missing)(void *userdata);
} DeliveryCallbacks;

typedef struct DeliverySettings {
        bool accept_all; /* strangers are contacts at once */
        unsigned handshake; /* s until HELLO; 0: no limit */
        unsigned stamp_bits; /* of work for a stranger's mailbox */
        bool say_read; /* contacts learn what of theirs the user reads */
} DeliverySettings;

int delivery_new(Loop *loop, Store *store, Net *net, Directory *directory, const Identity *self,
        const LocalIdentity *local, const DeliverySettings *settings,
        const DeliveryCallbacks *callbacks, void *userdata, Delivery **ret);
Delivery *delivery_free(Delivery *d);

/* While started there are links; stopping ends them with BYE. Starting walks the outbox. */
void delivery_start(Delivery *d);
void delivery_stop(Delivery *d);

void delivery_set_settings(Delivery *d, const DeliverySettings *settings);

/* The presence record of this device, for HELLO_OK. */
void delivery_set_presence(Delivery *d, Bytes presence);

/* A connection that was accepted; the transport is taken over. */
void delivery_accept(Delivery *d, Transport *t);

/* Committed rows for ACCOUNT have been added to the outbox, or it has become a contact. */
void delivery_wake(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Messages to ACCOUNT were given up, durably: it is told that they will not come. */
void delivery_gave_up(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* The tracker of this session can be asked about mail; it has some for this account. */
void delivery_tracker_ready(Delivery *d, Session *s);
void delivery_mail_waiting(Delivery *d, Session *s);

/* Messages of ACCOUNT were read, durably, or it has become a contact, who may know what was. */
void delivery_read(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Whether contacts are to learn of what is read now. */
bool delivery_says_read(const Delivery *d);

/* There is another presence key, which is given to all contacts. */
void delivery_grant_anew(Delivery *d);

/* ACCOUNT was heard of: no more waiting before the next attempt. */
void delivery_appeared(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Dials HOST:PORT once, where ACCOUNT has to answer, known or not. FN is called once: with CODE_OK
 * and the RECORD of who is there, and then says whether the link is to go on; or with what was
 * wrong, CODE_KEY_CHANGED where somebody else answers. -ENOTCONN while not started. */
typedef bool (*DeliveryVisitFn)(
        void *userdata, Code code, const char *text, const Record *record, Bytes outer);
int delivery_visit(Delivery *d, const uint8_t account[static KEY_SIZE], const char *host,
        uint16_t port, DeliveryVisitFn fn, void *userdata);

/* Those for USERDATA are given up, without a word. */
void delivery_forget_visits(Delivery *d, void *userdata);

/* ACCOUNT has been blocked: its link ends, and nobody dials it. What waits for it goes on waiting;
 * delivery_wake() is for when it is blocked no more. */
void delivery_block(Delivery *d, const uint8_t account[static KEY_SIZE]);

/* Sealed mail, for status and doctor. */
typedef struct DeliveryMail {
        unsigned trackers; /* that can be asked */
        uint64_t envelopes; /* of own messages, in mailboxes as far as known */
        uint64_t owed; /* receipts to be sealed */
        Code refused; /* why the last one was not taken; CODE_OK when it was */
} DeliveryMail;

void delivery_get_mail(const Delivery *d, DeliveryMail *ret);

unsigned delivery_count_links(const Delivery *d);
bool delivery_has_link(const Delivery *d, const uint8_t account[static KEY_SIZE]);
