/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Rows of messages, for the files of store/. */

#include "store/message.h"

/* E may still be in the map: the row is put together before anything is written. */
int entry_write(Store *s, const Entry *e);

/* Rows that are a set. ranges_load(): 1, or 0 with an empty set where there is none. */
int ranges_load(DbTxn *txn, unsigned table, const DbKey *key, Ranges *ret);
int ranges_save(Store *s, unsigned table, const DbKey *key, const Ranges *ranges);

int read_receipt_save(Store *s, uint32_t feed, const Ranges *ranges);

/* The own entry will not be sent any more. */
int void_add(Store *s, uint32_t feed, uint64_t seq, Code reason);

/* What will never come of a feed, for one reason. */
int void_load(DbTxn *txn, uint32_t feed, VoidReason reason, Ranges *ret);
int void_save(Store *s, uint32_t feed, VoidReason reason, const Ranges *ranges);

int receipt_save(Store *s, uint32_t feed, const Ranges *ranges);

/* What an entry says; its bytes are in the map. 1, or 0 where there is none. */
int entry_inner(DbTxn *txn, uint32_t feed, uint64_t seq, Inner *ret);
bool entry_has_hash(const Entry *e, const uint8_t hash[static SHA256_SIZE]);

static inline bool entry_is_given_up(const Entry *e) {
        return e->state == ENTRY_FAILED || e->state == ENTRY_EXPIRED;
}

/* The rows of a feed: the seq of the first from FIRST to LAST, or of the last before SEQ; 1, or 0
 * where there is none. And how many there are, which is counted one by one. */
int entry_find(DbTxn *txn, uint32_t feed, uint64_t first, uint64_t last, uint64_t *ret);
int entry_find_before(DbTxn *txn, uint32_t feed, uint64_t seq, uint64_t *ret);
int entry_count(DbTxn *txn, uint32_t feed, uint64_t first, uint64_t last, uint64_t *ret);

/* A new epoch's own feed names the last known head of the one before it: sets the hash of F where
 * it has no entry yet. */
int feed_find_origin(DbTxn *txn, Feed *f);

/* The order everybody shows a conversation in: (hlc, account, epoch, device, seq). */
int order_write(Store *s, uint32_t conversation, const Inner *m, uint32_t feed);

int order_remove(Store *s, uint32_t conversation, const Inner *m);
int entry_remove(Store *s, uint32_t feed, uint64_t seq);

typedef struct IdRow {
        uint32_t feed;
        uint64_t seq;
        uint8_t content[SHA256_SIZE];
        usec_t until;
} IdRow;

/* 1 with the row, or 0. */
int id_get(DbTxn *txn, uint32_t account, const Uuid *id, IdRow *ret);
int id_write(Store *s, uint32_t account, const Uuid *id, const IdRow *v);

/* 1 when it was there. */
int id_remove(Store *s, uint32_t account, const Uuid *id);

/* A place in a foreign feed where there is nothing to be read, or nothing new. */
int read_add(Store *s, uint32_t feed, uint64_t seq);

/* An entry of a foreign feed comes after a later one. 1: it is unread. 0: it counts as read, for
 * want of ranges. */
int read_take_late(Store *s, uint32_t feed, uint64_t seq);

/* READ of a foreign feed has been read elsewhere: *RET_N entries that are here are so from now
 * on. */
int read_unite(Store *s, const Feed *f, const Ranges *read, uint64_t *ret_n);
int read_save(Store *s, uint32_t feed, const Ranges *ranges);

/* Nothing from FIRST on has been read. */
int read_cut(Store *s, uint32_t feed, uint64_t first);

/* The index by time of what is in the outbox. 1 when it was there. */
int expiry_add(Store *s, uint32_t recipient, OutboxPosition at, usec_t expires);
int expiry_remove(Store *s, uint32_t recipient, OutboxPosition at, usec_t expires);
int expiry_fill(Store *s);

/* An own message of another device, whose place there is something else's here: M is entered in the
 * feed of the present epoch, under its id, and sent. */
int store_enter_anew(Store *s, const Identity *self, uint32_t recipient, const Inner *m,
        const uint8_t content[static SHA256_SIZE]);

int outbox_add(Store *s, uint32_t recipient, uint32_t feed, const Inner *m);
