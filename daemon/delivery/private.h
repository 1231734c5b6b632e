/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of delivery/ share. */

#include "delivery/delivery.h"
#include "delivery/schedule.h"
#include "delivery/window.h"
#include "directory/lan.h"
#include "util/log.h"
#include "util/quota.h"
#include "util/table.h"

/* Until an endpoint takes a connection. */
#define DIAL_TIME (5 * USEC_PER_SEC)

/* Until one of them has led to a link, whatever the other end does. */
#define ATTEMPT_TIME USEC_PER_MINUTE

/* Peers that are being dialled at once; further ones wait for a place. */
#define DIALLING_MAX 32

/* Peers without a link that are kept in memory, those that wait for their time and those that wait
 * for a place. The others are found in the outbox. */
#define WAITING_MAX 1024
#define QUEUED_MAX 1024

/* Of the places, so many are for those for whom nothing waits. */
#define HOLDING_MAX (DIALLING_MAX / 2)

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

typedef enum PeerState {
        PEER_IDLE, /* has a link, or nothing to send */
        PEER_WAITING, /* for the time of the next attempt */
        PEER_QUEUED, /* for a place */
        PEER_DIALLING, /* has a place, until a link is open */
} PeerState;

/* For a place, first things first. */
typedef enum PeerQueue {
        QUEUE_URGENT, /* has appeared */
        QUEUE_ORDINARY,
        QUEUE_HOLDING, /* nothing waits for him: a link is held */
} PeerQueue;

/* A feed of which something came. */
typedef struct OwedReceipt {
        uint32_t feed;
        Ranges *beyond; /* what its cumulative receipt does not say; usually NULL */
        uint8_t beyond_hash[SHA256_SIZE]; /* of the last entry in it */
} OwedReceipt;

typedef struct Race Race;
typedef struct Newcomers Newcomers;
typedef struct Visit Visit;
typedef struct Mail Mail;
typedef struct Hold Hold;
typedef struct Own Own;

typedef struct Peer {
        Delivery *delivery;
        uint8_t account[KEY_SIZE];
        uint32_t number;
        uint8_t conversation[SHA256_SIZE]; /* with this account */
        Link *link; /* open, or being opened */
        bool up; /* it is open, and the user knows */
        bool nearer; /* there may be a way over the local network */
        uint32_t acked_feed; /* of the last entry that it has brought over, 0: of none */
        usec_t up_since;

        /* Getting a link */
        PeerState state;
        LoopTimer *timer; /* the next attempt, the end of this one; with a link, what comes again */
        usec_t since; /* when the newest of what waits came to be, as far as is known */
        bool appeared; /* since the present attempt began */
        PeerQueue queue; /* of PEER_QUEUED and PEER_DIALLING: where he waited */
        Race *race; /* of PEER_DIALLING, until the other end has proved who it is */
        char dialled[CANDIDATE_SIZE]; /* the endpoint of the link */
        struct Peer *queue_prev, *queue_next;

        /* Sending */
        bool pending; /* there may be rows beyond `sent` */
        OutboxPosition *sent; /* how far each feed went over this link */
        size_t n_sent, allocated_sent;
        uint32_t sent_feed; /* of the last one, 0: of none */
        Window window;
        usec_t send_again; /* everything once more; 0: no need */
        uint64_t jitter; /* of what comes again over this link: one, so that it stays in order */
        bool in_turn; /* has more to send than one turn allows */
        struct Peer *turn_prev, *turn_next;

        /* Receiving */
        Held *held;
        size_t n_held, held_bytes;

        /* What this batch owes the peer after its commit. */
        Uuid *acks;
        size_t n_acks, allocated_acks;
        OwedReceipt *receipts; /* usually one */
        size_t n_receipts, allocated_receipts;
        bool owes;
        bool gave_up; /* something, and the peer is to be told */
        bool read; /* the same */
        bool anew; /* rows have come to be in this batch */
        bool grant, granted; /* what contacts get: is to be said, was said over this link */
        bool said_read; /* over this link, as much as was known then */
        bool told_presence; /* the newest of this device, over this link */
        bool speaks_of_rooms; /* the link has been handed up as one that does */
        Quota announced; /* how often the other end says something of itself */

        /* Who is writing */
        bool types; /* the other one, until `typing_timer` */
        LoopTimer *typing_timer; /* made when it is needed first */
        Quota typing; /* what it says of that */
        usec_t typing_said; /* that the user does, over this link; 0: it does not count any more */
        Quota typing_says;
        Receipt *unfinished
                [2]; /* long ones, delivered and read, of which the next batch takes more */
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
        bool behind; /* the outbox rests: it gets other places */
        uint64_t awaited; /* the batch after which on_batch() will come */
        Confirming *confirming;
        Newcomers *newcomers; /* by address */
        Visit *visits;
        DeliveryProbe *probes;
        unsigned n_probes;
        LoopTimer *nearer_timer; /* for those to whom there may be a nearer way */
        Mail *mail;

        /* Getting links */
        DeadList dead;
        Peer *urgent, *queued, *holding;
        unsigned n_dialling, n_waiting, n_queued;
        unsigned n_holding; /* of those being dialled */
        Hold *holds;
        unsigned picked; /* places given so far */
        bool filling; /* places are being given */
        LoopTimer *place_timer; /* there are places, and peers that want them */

        /* A walk over all recipients, for those that are not in memory. */
        struct {
                LoopTimer *timer; /* the next walk */
                usec_t next; /* when, USEC_INFINITY: not planned */
                bool active, again;
                bool left_out; /* somebody was not kept in memory */
                uint32_t at;
                usec_t begun;
        } sweep;
        usec_t since; /* started */
        LogLimit failures; /* of the store, as they were logged */

        /* Peers that go on sending, one a turn. */
        Peer *turns;
        LoopTimer *turn_timer;

        Own *own; /* other devices of this account */
        LoopTimer *expiry_timer;
        bool expiring; /* the batch has messages whose time is over */
};

Peer *peer_find(const Delivery *d, const uint8_t *account);
Peer *peer_get(Delivery *d, const uint8_t *account, uint32_t number);

/* Ends P's link, and forgets him. */
void peer_turn_out(Peer *p, Code code, const char *text);

/* Ends L, which may be the link of its peer; he may be gone after this. */
void link_turn_away(Delivery *d, Link *l, Code code, const char *text);

/* Calls back after the batch: acks and receipts go out then. */
int delivery_await_commit(Delivery *d);

/* Logged, but not as often as peers can cause it; that there is no room not at all, since whoever
 * watches the store says that once. */
void delivery_store_failed(Delivery *d, const char *what, int r);

/* newcomer.c */

/* Before something of P's, whose row is FROM, is kept. Who has never written before is charged to
 * the address, and becomes a contact where everybody does: -EUSERS when too many came from there
 * lately. */
int newcomer_take(Peer *p, Contact *from);
void newcomers_free(Delivery *d);

/* behind.c */

/* P has H of an own feed, or says so in a receipt. */
void peer_look_behind(Peer *p, const FeedHead *h);
void peer_look_at_receipt(Peer *p, const Receipt *rc);

/* P has something else at this place. 1: what is there has got another place. */
int peer_take_fork(Peer *p, OutboxPosition at);

/* inbox.c */
int inbox_take_message(Peer *p, Frame *f);
void inbox_drop_held(Peer *p);
void inbox_settle(Peer *p, int error);

/* A receipt for what came by mail goes over the link after the batch, or with inbox_settle(). */
void inbox_owe_receipt(Peer *p, uint32_t feed);

/* P's link is gone: nothing is owed any more. */
void inbox_drop_owed(Peer *p);
void inbox_greet(Peer *p, HelloOk *ok, Buffer *buf);

/* grant.c */

/* What C gets, which is nothing for who is no contact; and what C has given. */
typedef struct GrantBuffer {
        Grant grant;
        Buffer token;
        uint8_t key[BOX_KEY_SIZE];
} GrantBuffer;

#define GRANT_BUFFER_NULL ((GrantBuffer){.token = BUFFER_NULL})

int grant_make(Delivery *d, const Contact *c, GrantBuffer *ret);
void grant_done(GrantBuffer *g);
void grant_take(Delivery *d, const Contact *c, const Grant *g);
void grant_forget(Delivery *d, const Contact *c);

/* P gets it after the batch, if it is a contact then and has not got it over this link. */
void peer_grant(Peer *p);
void grant_say(Peer *p);
int peer_take_grant(Peer *p, const Grant *g);
int grant_take_frame(Peer *p, Frame *f);

/* presence.c: what contacts say of themselves over links */
void presence_announce(Peer *p);
void presence_announce_all(Delivery *d);
int presence_take_frame(Peer *p, Frame *f);

/* typing.c */
int typing_take_frame(Peer *p, Frame *f);

/* What P wrote has come. */
void typing_end(Peer *p);

/* Nothing that was said of writing counts any more. */
void typing_link_lost(Peer *p);

/* hold.c: links that are kept although nothing waits */
bool peer_is_held(const Peer *p);

/* NULL: he is not held, or cannot be dialled. */
Peer *hold_find_peer(Delivery *d, const uint8_t *account);

/* Those who are held and not in memory are dialled. False: somebody could not be, for now. */
bool holds_remember(Delivery *d);
void holds_free(Delivery *d);

/* room.c: what is said of rooms passes through */
void peer_rooms_up(Peer *p);
void peer_rooms_down(Peer *p);
int peer_take_room_frame(Peer *p, Frame *f);
void peer_rooms_drained(Peer *p);

/* receipt.c */

/* What there is to say of FEED, as the signed object, for a frame or for mail. 1, or 0: nothing. */
int receipt_make(
        const Delivery *d, DbTxn *txn, uint32_t feed, ReceiptState state, Buffer *ret_object);

/* Receipts of state read, if the peer may know, for all its feeds; without a link, one attempt to
 * get one. P may be gone after this. */
void receipts_tell_read(Peer *p);

/* The same after the batch, in a turn of P's, unless it was told before. */
void peer_tell_read(Peer *p);

/* outbox.c */
void outbox_pump(Peer *p);

bool peer_has_rows(Peer *p);

/* There is a reason to have a link to him. */
bool peer_is_wanted(Peer *p);

/* Everything that was not acknowledged, in about WAIT from now. */
void outbox_send_again(Peer *p, usec_t wait);

/* P goes on, with what it sends or says or with a long receipt, in a turn of its own. */
void outbox_take_turn(Peer *p);
void outbox_leave_turns(Peer *p);
void outbox_on_turn(void *userdata);

static inline bool peer_has_unfinished(const Peer *p) {
        return p->unfinished[0] || p->unfinished[1];
}

/* Long receipts are forgotten, which come again. */
void outbox_drop_unfinished(Peer *p);
void outbox_link_lost(Peer *p);
int outbox_take_ack(Peer *p, Frame *f);
int outbox_take_nack(Peer *p, Frame *f);
int outbox_take_receipt(Peer *p, Frame *f);
int outbox_take_receipt_object(Peer *p, Bytes outer, const uint8_t *device);

/* dialling.c: when somebody is dialled, and the places for that */
void peer_free(Peer *p);

/* Nothing more is to be remembered of P. Nobody asks any more after strangers, who come and go. */
void peer_forget(Peer *p);

/* Forgets P if he was only needed for a moment. */
void peer_let_go(Peer *p);
bool peer_has_place(const Delivery *d, bool urgent);

/* An attempt as soon as there is a place. */
void peer_want_link(Peer *p, bool urgent);
void peer_stop_dialling(Peer *p);

/* The attempt has failed, or the link is gone. BLOCKED: all known endpoints pause until then. P may
 * be gone after this. */
void peer_retry_later(Peer *p, usec_t blocked);
void peer_reached(Peer *p);

/* The endpoint of P's link did not lead to one that opened. */
void peer_endpoint_failed(Peer *p);
void dialling_start(Delivery *d);
void dialling_stop(Delivery *d);
int dialling_new(Delivery *d);
void dialling_free(Delivery *d);

/* No reason is left to wait for anybody. */
void dialling_woke(Delivery *d);

/* Somebody has rows, and there is no room to remember that. */
void dialling_sweep_again(Delivery *d);

/* race.c: attempts at all endpoints of one peer, staggered */
int race_begin(Peer *p, bool appeared);
Race *race_free(Race *r);

/* P has appeared: where he says he is joins the attempt that is under way, if there is one. P may
 * be gone after this. */
void race_take_news(Peer *p);

/* L has proved to be the peer: the other attempts end. False: it is not one of them. */
bool race_won(Peer *p, const Link *l);

/* One of the links being opened is gone. False: it is not one of them. P may be gone after this. */
bool race_link_lost(Peer *p, const Link *l, bool wrong);

/* The same, but another link has won, so that the endpoint need not pause. */
bool race_link_gave_way(Peer *p, const Link *l);

/* visit.c */

/* As delivery_visit(), which begins one that is not raced. */
int visit_begin(Delivery *d, const LinkAddress *to, DeliveryVisitFn fn, void *userdata);

/* Who RECORD says is at the other end of L. False: it was a visit, and he is not wanted. */
bool visit_met(Delivery *d, Link *l, const Record *record, Bytes outer);
void visit_link_lost(Delivery *d, const Link *l, Code code, const char *text);
void visits_end(Delivery *d);

/* own.c: other devices of this account */
int own_new(Delivery *d);
void own_free(Delivery *d);

/* Links with them are about to end: whoever heard of them hears that they are gone. Nobody is
 * dialled, and this device is not retired. */
void own_stop(Delivery *d);
bool own_is_retired(const Delivery *d);

/* Delivery starts again. */
void own_rise(Delivery *d);

/* The newest record, while retired. */
Bytes own_newest(const Delivery *d);

/* Delivery has started, or there is news of other devices: they are looked for at once. */
void own_look(Delivery *d);
bool is_own_account(const Delivery *d, const uint8_t *account);

/* Of links of which link_is_own() holds; own_closed() of any. */
void own_hello(Delivery *d, Link *l, const Greeting *g, Bytes record);
void own_open(Delivery *d, Link *l);
int own_frame(Delivery *d, Link *l, Frame *f);
void own_drained(Delivery *d, Link *l);
void own_closed(Delivery *d, Link *l, Code code);

/* delivery.c: all links end, with BYE {Replaced, RECORD} where that is not empty. */
void delivery_end(Delivery *d, Bytes record);

/* nearer.c */
void nearer_look(void *userdata);

/* probe.c */
void probes_end(Delivery *d);

/* void.c */
void voids_tell(Peer *p);
int voids_take(Peer *p, Frame *f);
int voids_take_object(Peer *p, Bytes outer, const uint8_t *device);

/* expiry.c: messages whose time is over before they could be delivered */
void expiry_look(Delivery *d);
void expiry_on_timer(void *userdata);
