/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Messages: writing an own one, taking in somebody else's, what receipts and refusals make of them,
 * and the outbox of what has not been delivered.
 */

#include "store/event.h"
#include "store/feed.h"
#include "store/identity.h"

/* As stored with the entry. `delivered` and `read` are not: they follow from receipts, and
 * `delivered`, where those are too long ago, from there being no envelope any more. */
typedef enum EntryState {
        ENTRY_QUEUED = 0,
        ENTRY_STORED = 1,
        ENTRY_FAILED = 2,
        ENTRY_EXPIRED = 3,
        ENTRY_RECEIVED = 4, /* somebody else's */
} EntryState;

typedef enum EntryFlags {
        ENTRY_GAP = 1, /* came before its predecessor */
        ENTRY_LATE = 2,
        ENTRY_CLOCK_AHEAD = 4,
        ENTRY_OLD_DEVICE = 8,
        ENTRY_FORK = 16,
        ENTRY_UNTOLD = 32, /* came with a hand-over, and no event here says so */
} EntryFlags;

typedef struct Entry {
        uint32_t feed;
        uint64_t seq;
        EntryState state;
        uint8_t flags;
        Code reason; /* of failed and expired */
        usec_t stored, received;
        Bytes signature; /* others' entries that came signed; else empty */
        Bytes inner; /* in the map, or, where it was sealed, good until SEAL_OPENED further ones */
} Entry;

/* The own account has the number 0: contacts count from 1. */
#define SELF_NUMBER 0

int entry_get(DbTxn *txn, uint32_t feed, uint64_t seq, Entry *ret);

#define MESSAGE_EXPIRES_DEFAULT (30 * USEC_PER_DAY)
#define MESSAGE_EXPIRES_MAX (365 * USEC_PER_DAY)

/* Nothing is deleted yet: rows of TABLE_ID whose time is over, and what they protect, stay.
 * How long an id is remembered, beyond the expiry of others' messages or from the sending of own
 * ones. */
#define ID_KEEP_AFTER_EXPIRY (7 * USEC_PER_DAY)
#define ID_KEEP_OWN (30 * USEC_PER_DAY)

typedef struct NewMessage {
        const Identity *self;
        const Contact *to;
        Uuid id;
        bool has_reply_to;
        Uuid reply_to;
        Bytes text;
        usec_t expires; /* 0: default */
        usec_t now; /* realtime */
} NewMessage;

/* Adds the message and its envelope. 1 when it has been sent before under this id, with the same
 * content; -EEXIST: the id was used for another; else an error of the store. */
int store_send(Store *s, const NewMessage *m);

/* What became of an entry that was received and proven. */
typedef enum Received {
        RECEIVED_NEW,
        RECEIVED_AGAIN, /* held already, or its id: acknowledge again */
        RECEIVED_EXPIRED, /* past its horizon: counts in the chain, is not kept */
        RECEIVED_FORK, /* another entry has its place in the feed */
        RECEIVED_TOO_MANY, /* a stranger's share is used up */
} Received;

typedef struct NewEntry {
        const Identity *self;
        const Contact *from;
        const Inner *inner;
        Bytes bytes; /* of INNER */
        const uint8_t *hash;
        Bytes signature; /* may be empty */
        bool old_device;
        usec_t now; /* realtime */
} NewEntry;

#define STRANGER_MESSAGES_MAX 500
#define STRANGER_BYTES_MAX (8 * 1024 * 1024)

/* Where a new entry is, or the one that it repeats. The receipt of a feed speaks of the newest
 * ranges only: what lies beyond them, because the entry is an old one or has made them too many, is
 * to be said in a receipt of its own. */
typedef struct ReceivedAt {
        uint32_t feed;
        SeqRange beyond; /* {0, 0}: nothing */
        uint8_t beyond_hash[SHA256_SIZE]; /* of the last entry in it */
} ReceivedAt;

/* RET_AT: for RECEIVED_NEW and RECEIVED_AGAIN. */
int store_receive(Store *s, const NewEntry *e, Received *ret, ReceivedAt *ret_at);

/* RECEIVED_FORK: the author's store was restored from a copy, and he would take a receipt for what
 * is here for one of what is not. So none speaks of this place any more, and he goes on sending
 * what he has until he can be told. */
int store_contest(Store *s, uint32_t feed, uint64_t seq);

/* Keeps a certificate with the entries that it vouches for. */
int store_keep_certificate(Store *s, const Certificate *c, Bytes outer);

/* 1 with the certificate of a device and epoch, in the map; 0 where none is kept. */
int store_get_certificate(
        DbTxn *txn, const uint8_t device[static KEY_SIZE], uint64_t epoch, Bytes *ret);

/* The cumulative receipt for a feed of somebody else's: the newest ranges of what is here, or of
 * what has been read and its author may know. 1, or 0 where there is nothing to say. */
int store_make_receipt(DbTxn *txn, uint32_t feed, ReceiptState state,
        const uint8_t self[static KEY_SIZE], Receipt *ret);

/* Called for each message that has been delivered. */
typedef void (*DeliveredFn)(void *userdata, const Uuid *id);

/* What the recipient has signed for of an own feed, the newest ranges of it; none where nothing
 * was. An older entry has been delivered if it is not in the outbox and was not given up. */
int store_load_receipt(DbTxn *txn, uint32_t feed, Ranges *ret);

/* What the recipient of an own feed has signed for as read, or what the author of a foreign one may
 * know of that: the newest ranges of it, none where there is nothing. */
int store_load_read_receipt(DbTxn *txn, uint32_t feed, Ranges *ret);

/* Entries that one call of store_take_receipt() takes as delivered, and as read. */
#define RECEIPT_ENTRIES_MAX 4096

/* Of what has been given up and is older than the ranges that are kept, one call looks at so many
 * entries. They are as many as can have been on the way when it was given up. */
#define RECEIPT_OLD_MAX 1024

/* Takes a receipt of PEER's for an own feed in: envelopes of what it says more than those before
 * go, and FN is called for each entry, given up or not; what was read has been delivered. 1: there
 * are further entries, which the same receipt says again in another batch. -EBADMSG: it is not
 * about an own feed of this conversation, claims what was never written, or its hash is not that of
 * the entry. */
int store_take_receipt(Store *s, const Identity *self, const Contact *peer, const Receipt *rc,
        usec_t now, DeliveredFn fn, void *userdata);

/* Why there will be no more attempts: the peer refuses a message for good, its time is over, or the
 * user takes it back. */
typedef struct Failure {
        const Uuid *id;
        EntryState state; /* ENTRY_FAILED or ENTRY_EXPIRED */
        Code reason;
        usec_t now; /* realtime */
} Failure;

/* 1 when it was in the outbox. */
int store_fail_message(Store *s, uint32_t recipient, const Failure *f);

/* Takes back an own message that has not been delivered. -ENOENT: there is none with this id;
 * -EALREADY: it has been delivered, or given up before. */
int store_cancel(Store *s, const Uuid *id, usec_t now);

/* The message with this id of PEER's (a number; SELF_NUMBER) and all that are shown before it in
 * their conversation have been read. TELL: receipts may say so. 1 when others' messages among them
 * had not been, *ret_peer (unless NULL) is the number of their author; -ENOENT: there is no such
 * message. */
int store_mark_read(
        Store *s, uint32_t account, const Uuid *id, usec_t now, bool tell, uint32_t *ret_peer);

/* What the user has read of a foreign feed, holes included; no ranges where nothing was. */
int store_load_read(DbTxn *txn, uint32_t feed, Ranges *ret);

/* What this account has given up in a conversation, one statement for each feed and reason; valid
 * during the call. */
typedef void (*VoidFn)(void *userdata, const Void *v);
int store_make_voids(DbTxn *txn, const Identity *self,
        const uint8_t conversation[static SHA256_SIZE], VoidFn fn, void *userdata);

/* Takes such a statement of AUTHOR's, of a conversation that is his. */
int store_take_void(Store *s, const Contact *author, const Void *v);

/* How many entries are missing just before SEQ of a foreign feed, and may still come. */
int store_gap_before(DbTxn *txn, const Feed *f, uint64_t seq, uint64_t *ret);

/* The outbox */

typedef struct OutboxPosition {
        uint32_t feed;
        uint64_t seq;
} OutboxPosition;

typedef struct OutboxRow {
        uint32_t recipient;
        OutboxPosition at;
        Uuid id;
        usec_t expires; /* realtime */
} OutboxRow;

/* The first row for a recipient after POSITION ({0, 0}: the first). 1 or 0. */
int outbox_next(DbTxn *txn, uint32_t recipient, OutboxPosition after, OutboxRow *ret);

/* 1 or 0. */
int outbox_get(DbTxn *txn, uint32_t recipient, OutboxPosition at, OutboxRow *ret);

/* The row of all whose time is over first. 1 or 0. */
int outbox_first_to_expire(Store *s, OutboxRow *ret);

/* The same for one row after the other. */
typedef struct OutboxWalk {
        DbCursor cursor;
} OutboxWalk;

int outbox_walk(DbTxn *txn, uint32_t recipient, OutboxPosition after, OutboxWalk *ret);

/* All recipients' rows after the one at AFTER; NULL: from the first. */
int outbox_walk_all(DbTxn *txn, const OutboxRow *after, OutboxWalk *ret);
int outbox_walk_next(OutboxWalk *w, OutboxRow *ret);
void outbox_walk_end(OutboxWalk *w);

/* The first recipient with rows whose number is above AFTER. 1 or 0. */
int outbox_next_recipient(DbTxn *txn, uint32_t after, uint32_t *ret);

/* Rows in all. */
uint64_t outbox_count(DbTxn *txn);

/* Where the row of an own message is, or was: recipient and position. 1, or 0 where there is no
 * such message. */
int outbox_find(DbTxn *txn, const Uuid *id, OutboxRow *ret);

/* 1 when it was there, 0 when not. */
int outbox_remove(Store *s, uint32_t recipient, OutboxPosition at);

/* The message of the outbox is entered anew, with the same id, where it was written in an epoch
 * before the present one, by this device or one that has handed it over: in that feed its place may
 * be taken. Its envelope there is no more. 1, or 0 where it is not one of those. */
int store_send_anew(Store *s, const Identity *self, uint32_t recipient, OutboxPosition at);

/* All of the outbox that this device has written, from AFTER ({} at first), some in each batch: 1
 * when there are more; 0: none, and they need not be any more. store_is_to_send_anew(): 1 from
 * store_set_send_anew() until then. */
int store_set_send_anew(Store *s, bool on);
int store_is_to_send_anew(DbTxn *txn);
int store_send_all_anew(Store *s, const Identity *self, OutboxRow *after);

/* Somebody has H of an own feed: 1 where that is more than is here, or something else, for which
 * this device must have written it before its store was restored from a copy. What is known no more
 * is 0. */
int store_is_behind(DbTxn *txn, const Identity *self,
        const uint8_t conversation[static SHA256_SIZE], const FeedHead *h);

/* Where the message with this id of this account is. 1 or 0. */
int store_find_id(
        DbTxn *txn, uint32_t account, const Uuid *id, uint32_t *ret_feed, uint64_t *ret_seq);
