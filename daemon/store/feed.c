/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/feed.h"

static DbKey number_key(uint32_t number) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, number);
        return k;
}

/* Conversations: u32 peer, hash, u64 hlc, u64 last time, u32 unread, u32 stranger messages,
 * u64 stranger bytes */

int conversation_get(DbTxn *txn, uint32_t number, Conversation *ret) {
        Conversation c = {.number = number};
        DbKey k = number_key(number);
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_CONVERSATION, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        c.peer = row_u32(&row);
        row_bytes(&row, c.hash, SHA256_SIZE);
        c.hlc = row_u64(&row);
        c.last_time = row_u64(&row);
        c.unread = row_u32(&row);
        c.stranger_messages = row_u32(&row);
        c.stranger_bytes = row_u64(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = c;
        return 1;
}

int conversation_write(Store *s, const Conversation *c) {
        DbKey k = number_key(c->number);

        row_start(&s->row);
        row_put_u32(&s->row, c->peer);
        row_put_bytes(&s->row, c->hash, SHA256_SIZE);
        row_put_u64(&s->row, c->hlc);
        row_put_u64(&s->row, c->last_time);
        row_put_u32(&s->row, c->unread);
        row_put_u32(&s->row, c->stranger_messages);
        row_put_u64(&s->row, c->stranger_bytes);
        return row_write(db_write(s->db), TABLE_CONVERSATION, &k, &s->row);
}

/* The key of a room is longer, and so no other conversation's. */
static DbKey hash_key(const uint8_t hash[static SHA256_SIZE], bool is_room) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, hash, SHA256_SIZE);
        if (is_room)
                db_key_u8(&k, 'r');
        return k;
}

static int conversation_find_key(DbTxn *txn, const DbKey *k, Conversation *ret) {
        uint32_t number;
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_CONVERSATION_HASH, k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        number = row_u32(&row);
        r = row_end(&row);
        return r < 0 ? r : conversation_get(txn, number, ret);
}

int conversation_find(DbTxn *txn, const uint8_t hash[static SHA256_SIZE], Conversation *ret) {
        DbKey k = hash_key(hash, false);

        return conversation_find_key(txn, &k, ret);
}

int conversation_find_room(DbTxn *txn, const uint8_t id[static SHA256_SIZE], Conversation *ret) {
        DbKey k = hash_key(id, true);

        return conversation_find_key(txn, &k, ret);
}

static int conversation_add(Store *s, Conversation *c) {
        DbKey k = hash_key(c->hash, c->peer == 0);
        int r;

        r = store_next_number(s, "next-conversation", &c->number);
        if (r < 0)
                return r;
        row_start(&s->row);
        row_put_u32(&s->row, c->number);
        r = row_write(db_write(s->db), TABLE_CONVERSATION_HASH, &k, &s->row);
        return r < 0 ? r : conversation_write(s, c);
}

int conversation_add_room(Store *s, const uint8_t id[static SHA256_SIZE], Conversation *ret) {
        *ret = (Conversation){};
        memcpy(ret->hash, id, SHA256_SIZE);
        return conversation_add(s, ret);
}

/* The hash of the last pair is kept: a burst is all of one. */
static const uint8_t *direct_hash(
        Store *s, const uint8_t self[static KEY_SIZE], const uint8_t peer[static KEY_SIZE]) {
        __typeof__(s->conversation_hint) *h = &s->conversation_hint;

        if (key_equal(h->self, self) && key_equal(h->peer, peer))
                return h->hash;
        memcpy(h->self, self, KEY_SIZE);
        memcpy(h->peer, peer, KEY_SIZE);
        conversation_direct(self, peer, h->hash);
        h->number = 0;
        return h->hash;
}

int conversation_open_direct(
        Store *s, const uint8_t self[static KEY_SIZE], const Contact *peer, Conversation *ret) {
        Conversation c = {.peer = peer->number};
        const uint8_t *hash = direct_hash(s, self, peer->account);
        int r = 0;

        if (s->conversation_hint.number > 0)
                r = conversation_get(db_write(s->db), s->conversation_hint.number, ret);
        if (r > 0 && memcmp(ret->hash, hash, SHA256_SIZE) == 0)
                return 0;
        r = conversation_find(db_write(s->db), hash, ret);
        if (r < 0)
                return r;
        if (r == 0) {
                memcpy(c.hash, hash, SHA256_SIZE);
                r = conversation_add(s, &c);
                if (r < 0)
                        return r;
                *ret = c;
        }
        s->conversation_hint.number = ret->number;
        return 0;
}

/* Hybrid logical clock. A counter that overflows carries into the milliseconds by itself. */

uint64_t hlc_next(uint64_t last, usec_t realtime) {
        uint64_t now = realtime / USEC_PER_MSEC << 16;

        return MAX(now, last + 1);
}

uint64_t hlc_merge(uint64_t last, uint64_t seen, usec_t realtime) {
        if (hlc_time(seen) > usec_add(realtime, CLOCK_AHEAD_MAX))
                return last;
        return MAX(last, seen);
}

/* Feeds: u32 conversation, u32 account, u64 epoch, device, u64 seq, hash, ranges, hash of
 * the last entry in them */

int feed_get(DbTxn *txn, uint32_t number, Feed *ret) {
        DbKey k = number_key(number);
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_FEED, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        ret->number = number;
        ret->conversation = row_u32(&row);
        ret->account = row_u32(&row);
        ret->epoch = row_u64(&row);
        row_bytes(&row, ret->device, KEY_SIZE);
        ret->seq = row_u64(&row);
        row_bytes(&row, ret->hash, SHA256_SIZE);
        row_read_ranges(&row, &ret->have);
        row_bytes(&row, ret->have_hash, SHA256_SIZE);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int feed_write(Store *s, const Feed *f) {
        DbKey k = number_key(f->number);

        row_start(&s->row);
        row_put_u32(&s->row, f->conversation);
        row_put_u32(&s->row, f->account);
        row_put_u64(&s->row, f->epoch);
        row_put_bytes(&s->row, f->device, KEY_SIZE);
        row_put_u64(&s->row, f->seq);
        row_put_bytes(&s->row, f->hash, SHA256_SIZE);
        row_put_ranges(&s->row, &f->have);
        row_put_bytes(&s->row, f->have_hash, SHA256_SIZE);
        return row_write(db_write(s->db), TABLE_FEED, &k, &s->row);
}

static DbKey feed_author_key(uint32_t conversation, uint32_t account) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, conversation);
        db_key_u32(&k, account);
        return k;
}

static int feed_number(DbTxn *txn, const DbKey *key, uint32_t *ret) {
        RowReader row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_FEED_KEY, key, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        *ret = row_u32(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int feed_find(DbTxn *txn, uint32_t conversation, uint32_t account, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], Feed *ret) {
        DbKey k = feed_author_key(conversation, account);
        uint32_t number;
        int r;

        db_key_u64(&k, epoch);
        db_key_bytes(&k, device, KEY_SIZE);
        r = feed_number(txn, &k, &number);
        return r <= 0 ? r : feed_get(txn, number, ret);
}

static int feed_add(Store *s, const DbKey *key, const Feed *f) {
        int r;

        row_start(&s->row);
        row_put_u32(&s->row, f->number);
        r = row_write(db_write(s->db), TABLE_FEED_KEY, key, &s->row);
        return r < 0 ? r : feed_write(s, f);
}

static bool feed_is(const Feed *f, uint32_t conversation, uint32_t account, uint64_t epoch,
        const uint8_t device[static KEY_SIZE]) {
        return f->conversation == conversation && f->account == account && f->epoch == epoch &&
                key_equal(f->device, device);
}

int feed_open(Store *s, uint32_t conversation, uint32_t account, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], Feed *ret) {
        DbTxn *txn = db_write(s->db);
        uint32_t *hint = &s->feed_hint[account != 0];
        DbKey k;
        int r = 0;

        if (*hint > 0)
                r = feed_get(txn, *hint, ret);
        if (r > 0 && feed_is(ret, conversation, account, epoch, device))
                return 0;
        r = feed_find(txn, conversation, account, epoch, device, ret);
        if (r < 0)
                return r;
        if (r == 0) {
                *ret = (Feed){.conversation = conversation, .account = account, .epoch = epoch};
                memcpy(ret->device, device, KEY_SIZE);
                r = store_next_number(s, "next-feed", &ret->number);
                if (r < 0)
                        return r;
                k = feed_author_key(conversation, account);
                db_key_u64(&k, epoch);
                db_key_bytes(&k, device, KEY_SIZE);
                r = feed_add(s, &k, ret);
                if (r < 0)
                        return r;
        }
        *hint = ret->number;
        return 0;
}

static int feed_each_with(DbTxn *txn, const DbKey *prefix, FeedFn fn, void *userdata) {
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_FEED_KEY, prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                RowReader row = row_begin(v);
                uint32_t number = row_u32(&row);
                Feed f;

                r = row_end(&row);
                if (r >= 0)
                        r = feed_get(txn, number, &f);
                if (r == 0)
                        r = db_damaged(txn);
                if (r > 0)
                        r = fn(userdata, txn, &f);
                if (r < 0)
                        break;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

int feed_each(DbTxn *txn, uint32_t conversation, uint32_t account, FeedFn fn, void *userdata) {
        DbKey prefix = feed_author_key(conversation, account);

        return feed_each_with(txn, &prefix, fn, userdata);
}

int feed_each_in(DbTxn *txn, uint32_t conversation, FeedFn fn, void *userdata) {
        DbKey prefix = number_key(conversation);

        return feed_each_with(txn, &prefix, fn, userdata);
}
