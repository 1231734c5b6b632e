/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What has not been delivered, and the receipts that end that. */

#include <inttypes.h>
#include <stdio.h>

#include "store/private.h"

/* Receipts */

static DbKey feed_row_key(uint32_t feed) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        return k;
}

int store_load_read_receipt(DbTxn *txn, uint32_t feed, Ranges *ret) {
        DbKey k = feed_row_key(feed);

        return ranges_load(txn, TABLE_READ_RECEIPT, &k, ret);
}

int read_receipt_save(Store *s, uint32_t feed, const Ranges *ranges) {
        DbKey k = feed_row_key(feed);

        return ranges_save(s, TABLE_READ_RECEIPT, &k, ranges);
}

static DbKey contested_key(uint32_t feed) {
        char key[32];

        snprintf(key, sizeof(key), "contested-%" PRIu32, feed);
        return store_meta_key(key);
}

static int contested_load(DbTxn *txn, uint32_t feed, Ranges *ret) {
        DbKey k = contested_key(feed);

        return ranges_load(txn, TABLE_META, &k, ret);
}

int store_contest(Store *s, uint32_t feed, uint64_t seq) {
        DbKey k = contested_key(feed);
        Ranges contested;
        Entry e;
        int r;

        r = entry_get(db_write(s->db), feed, seq, &e);
        if (r <= 0)
                return MIN(r, 0); /* nothing is here that could be taken for it */
        r = contested_load(db_write(s->db), feed, &contested);
        if (r < 0 || ranges_have(&contested, seq) || ranges_add(&contested, seq, seq) < 0)
                return MIN(r, 0);
        return ranges_save(s, TABLE_META, &k, &contested);
}

/* Where that makes too many ranges it stays. */
static void leave_out(Ranges *ranges, SeqRange x) {
        Ranges left = {.dropped = ranges->dropped};

        for (size_t i = 0; i < ranges->n; i++) {
                SeqRange r = ranges->range[i];
                bool before = r.first<x.first, after = r.last> x.last;

                if (left.n + before + after > RECEIPT_RANGES_MAX)
                        return;
                if (before)
                        left.range[left.n++] =
                                (SeqRange){.first = r.first, .last = MIN(r.last, x.first - 1)};
                if (after)
                        left.range[left.n++] =
                                (SeqRange){.first = MAX(r.first, x.last + 1), .last = r.last};
        }
        *ranges = left;
}

/* Without what is contested. 1: something is. */
static int leave_out_contested(DbTxn *txn, uint32_t feed, Ranges *ranges) {
        Ranges contested;
        int r;

        r = contested_load(txn, feed, &contested);
        for (size_t i = 0; r >= 0 && i < contested.n; i++)
                leave_out(ranges, contested.range[i]);
        return r < 0 ? r : contested.n > 0;
}

/* What a receipt says of a feed: ranges and the hash of the last entry in them. */
static int receipt_ranges(
        DbTxn *txn, const Feed *f, ReceiptState state, Ranges *ret, uint8_t *ret_hash) {
        Entry last;
        int r;

        if (state == RECEIPT_DELIVERED) {
                *ret = f->have;
                memcpy(ret_hash, f->have_hash, SHA256_SIZE);
                r = leave_out_contested(txn, f->number, ret);
                if (r <= 0 || ret->n == 0)
                        return r < 0 ? r : ret->n > 0;
        } else {
                r = store_load_read_receipt(txn, f->number, ret);
                if (r >= 0)
                        r = leave_out_contested(txn, f->number, ret);
                if (r < 0 || ret->n == 0)
                        return MIN(r, 0);
        }
        r = entry_get(txn, f->number, ret->range[ret->n - 1].last, &last);
        if (r > 0)
                sha256(last.inner.data, last.inner.size, ret_hash);
        return r;
}

int store_make_receipt(DbTxn *txn, uint32_t feed, ReceiptState state,
        const uint8_t self[static KEY_SIZE], Receipt *ret) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        Contact author;
        Ranges ranges;
        Feed f;
        int r;

        r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &v);
        if (r > 0 && v.peer == 0)
                return 0; /* rooms have none */
        if (r > 0)
                r = contact_get_by_number(txn, f.account, &author);
        if (r > 0)
                r = receipt_ranges(txn, &f, state, &ranges, hash);
        if (r <= 0)
                return r;
        *ret = (Receipt){.epoch = f.epoch, .state = state, .n_ranges = ranges.n};
        memcpy(ret->conversation, v.hash, SHA256_SIZE);
        memcpy(ret->author, author.account, KEY_SIZE);
        memcpy(ret->device, f.device, KEY_SIZE);
        memcpy(ret->ranges, ranges.range, ranges.n * sizeof(SeqRange));
        memcpy(ret->hash, hash, SHA256_SIZE);
        memcpy(ret->reader, self, KEY_SIZE);
        return 1;
}

/* Finds the own feed that a receipt of PEER's speaks of, and checks what it says of it. */
static int receipt_find_feed(
        DbTxn *txn, const Identity *self, const Contact *peer, const Receipt *rc, Feed *ret) {
        uint64_t last = rc->ranges[rc->n_ranges - 1].last;
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        Entry e;
        int r;

        if (!key_equal(rc->author, sign_key_public(&self->account)) ||
                !key_equal(rc->reader, peer->account))
                return -EBADMSG;
        conversation_direct(rc->author, rc->reader, hash);
        if (memcmp(hash, rc->conversation, SHA256_SIZE) != 0)
                return -EBADMSG;
        r = conversation_find(txn, rc->conversation, &v);
        if (r > 0)
                r = feed_find(txn, v.number, SELF_NUMBER, rc->epoch, rc->device, ret);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        if (last > ret->seq)
                return -EBADMSG;
        r = entry_get(txn, ret->number, last, &e);
        if (r <= 0)
                return r; /* pruned: nothing to compare with */
        return entry_has_hash(&e, rc->hash) ? 1 : -EBADMSG;
}

int store_load_receipt(DbTxn *txn, uint32_t feed, Ranges *ret) {
        DbKey k = feed_row_key(feed);

        return ranges_load(txn, TABLE_RECEIPT, &k, ret);
}

int receipt_save(Store *s, uint32_t feed, const Ranges *ranges) {
        DbKey k = feed_row_key(feed);

        return ranges_save(s, TABLE_RECEIPT, &k, ranges);
}

/* Envelopes of one feed, one after the other, beside the entries that a receipt speaks of. */
typedef struct Covered {
        Store *store;
        uint32_t feed;
        DbCursor cursor;
        DbKey prefix;
        uint64_t next; /* seq of the envelope under the cursor; UINT64_MAX: there is none */
        Uuid id; /* of its message */
        usec_t expires;
        uint32_t recipient;
        unsigned old_left; /* of RECEIPT_OLD_MAX */
        usec_t now;
        DeliveredFn fn;
        void *userdata;
} Covered;

static int covered_step(Covered *c) {
        RowReader row;
        DbValue k, v;
        int r;

        c->next = UINT64_MAX;
        r = db_cursor_next(&c->cursor, &k, &v);
        if (r <= 0)
                return r;
        if (k.size != c->prefix.size + 8)
                return db_damaged(v.txn);
        row = row_begin(v);
        row_bytes(&row, &c->id, sizeof(c->id));
        c->expires = row_u64(&row);
        r = row_end(&row);
        if (r >= 0)
                c->next = db_get_u64(k.data + c->prefix.size);
        return r;
}

static int covered_seek(Covered *c, uint64_t seq) {
        DbKey at = c->prefix;

        db_key_u64(&at, seq);
        db_cursor_seek(&c->cursor, &at);
        return covered_step(c);
}

/* What was given up has no envelope any more, and may arrive nevertheless. From then on it is like
 * any that was delivered. 0: it is not one of those. */
static int covered_revive(Covered *c, uint64_t seq, Uuid *ret) {
        Inner m;
        Entry e;
        int r;

        r = entry_get(db_write(c->store->db), c->feed, seq, &e);
        if (r <= 0)
                return r;
        if (!entry_is_given_up(&e))
                return 0;
        if (inner_decode(e.inner, &m) < 0)
                return db_damaged(db_write(c->store->db));
        *ret = m.id;
        e.state = ENTRY_QUEUED;
        e.reason = CODE_OK;
        r = entry_write(c->store, &e);
        return r < 0 ? r : 1;
}

static int covered_take(Covered *c, uint64_t seq) {
        EventRow event = {.kind = EVENT_STATE,
                .time = c->now,
                .feed = c->feed,
                .seq = seq,
                .state = MESSAGE_DELIVERED};
        int r;

        if (c->next == seq) {
                event.id = c->id;
                r = db_cursor_del(&c->cursor);
                if (r >= 0)
                        r = expiry_remove(c->store, c->recipient,
                                (OutboxPosition){.feed = c->feed, .seq = seq}, c->expires);
                if (r >= 0)
                        r = covered_step(c);
        } else {
                r = covered_revive(c, seq, &event.id);
                if (r == 0)
                        return 0;
        }
        if (r >= 0)
                r = event_add(c->store, &event);
        if (r >= 0)
                c->fn(c->userdata, &event.id);
        return r;
}

/* Entries of which nothing more is kept than their rows: those with an envelope, at most *LEFT of
 * them, and those that were given up. */
static int covered_take_old(Covered *c, SeqRange range, unsigned *left) {
        int r;

        r = covered_seek(c, range.first);
        for (; r >= 0 && c->next <= range.last && *left > 0; --*left)
                r = covered_take(c, c->next);
        for (uint64_t seq = range.first; r >= 0 && seq <= range.last && c->old_left > 0; seq++) {
                c->old_left--;
                if (c->next != seq)
                        r = covered_take(c, seq);
        }
        return r < 0 ? r : 0;
}

/* The entries of FIRST to LAST that are not in HAVE yet, at most *LEFT of them. What was taken is
 * added to HAVE. */
static int covered_take_range(Covered *c, SeqRange range, Ranges *have, unsigned *left) {
        SeqRange part;
        int r = 0;

        if (range.first <= have->dropped) {
                SeqRange old = {.first = range.first, .last = MIN(range.last, have->dropped)};

                r = covered_take_old(c, old, left);
                range.first = old.last + 1;
        }
        while (r >= 0 && *left > 0 && (part = ranges_first_missing(have, range, *left)).first > 0) {
                *left -= (unsigned)(part.last - part.first + 1);
                if (c->next != part.first)
                        r = covered_seek(c, part.first);
                for (uint64_t seq = part.first; r >= 0 && seq <= part.last; seq++)
                        r = covered_take(c, seq);
                if (r >= 0)
                        (void)ranges_push(have, part.first, part.last);
                range.first = part.last + 1;
        }
        return r < 0 ? r : 0;
}

static int receipt_take_ranges(Covered *c, const Receipt *rc, Ranges *have, unsigned *left) {
        int r;

        db_key_u32(&c->prefix, c->feed);
        r = db_cursor_open(
                db_write(c->store->db), TABLE_OUTBOX, &c->prefix, NULL, false, &c->cursor);
        for (size_t i = 0; r >= 0 && i < rc->n_ranges; i++)
                r = covered_take_range(c, rc->ranges[i], have, left);
        db_cursor_close(&c->cursor);
        return r;
}

/* Nothing is told of what was given up long ago, of which the receipt made nothing else. */
static int read_take(Store *s, uint32_t feed, uint64_t seq, usec_t now) {
        EventRow event = {
                .kind = EVENT_STATE, .time = now, .feed = feed, .seq = seq, .state = MESSAGE_READ};
        Inner m;
        Entry e;
        int r;

        r = entry_get(db_write(s->db), feed, seq, &e);
        if (r <= 0 || entry_is_given_up(&e))
                return r;
        if (inner_decode(e.inner, &m) < 0)
                return db_damaged(db_write(s->db));
        event.id = m.id;
        return event_add(s, &event);
}

/* Entries that the receipt is the first to call read, at most *LEFT of them. Those that are older
 * than the ranges that are kept stay as they are. */
static int read_take_ranges(
        Store *s, uint32_t feed, const Receipt *rc, usec_t now, unsigned *left) {
        Ranges read, before;
        SeqRange part;
        int r;

        r = store_load_read_receipt(db_write(s->db), feed, &before);
        read = before;
        for (size_t i = 0; r >= 0 && i < rc->n_ranges; i++) {
                SeqRange range = rc->ranges[i];

                range.first = MAX(range.first, read.dropped + 1);
                while (r >= 0 && *left > 0 &&
                        (part = ranges_first_missing(&read, range, *left)).first > 0) {
                        *left -= (unsigned)(part.last - part.first + 1);
                        for (uint64_t seq = part.first; r >= 0 && seq <= part.last; seq++)
                                r = read_take(s, feed, seq, now);
                        (void)ranges_push(&read, part.first, part.last);
                        range.first = part.last + 1;
                }
        }
        if (r >= 0 && !ranges_equal(&read, &before))
                r = read_receipt_save(s, feed, &read);
        return r;
}

int store_take_receipt(Store *s, const Identity *self, const Contact *peer, const Receipt *rc,
        usec_t now, DeliveredFn fn, void *userdata) {
        Covered c = {.store = s,
                .recipient = peer->number,
                .old_left = RECEIPT_OLD_MAX,
                .now = now,
                .next = UINT64_MAX,
                .fn = fn,
                .userdata = userdata};
        unsigned left = RECEIPT_ENTRIES_MAX;
        Ranges have, before;
        Feed f;
        int r;

        r = receipt_find_feed(db_write(s->db), self, peer, rc, &f);
        if (r >= 0)
                r = store_load_receipt(db_write(s->db), f.number, &before);
        if (r < 0)
                return r;
        have = before;
        c.feed = f.number;
        db_key_u32(&c.prefix, peer->number);
        r = receipt_take_ranges(&c, rc, &have, &left);
        if (r >= 0 && !ranges_equal(&have, &before))
                r = receipt_save(s, f.number, &have);
        if (r >= 0 && left > 0 && rc->state == RECEIPT_READ)
                r = read_take_ranges(s, f.number, rc, now, &left);
        return r < 0 ? r : left == 0;
}

/* The outbox: id, u64 expires */

static DbKey outbox_key(uint32_t recipient, OutboxPosition at) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, recipient);
        db_key_u32(&k, at.feed);
        db_key_u64(&k, at.seq);
        return k;
}

int outbox_add(Store *s, uint32_t recipient, uint32_t feed, const Inner *m) {
        OutboxPosition at = {.feed = feed, .seq = m->seq};
        DbKey k = outbox_key(recipient, at);
        int r;

        row_start(&s->row);
        row_put_bytes(&s->row, &m->id, sizeof(m->id));
        row_put_u64(&s->row, m->expires);
        r = row_write(db_write(s->db), TABLE_OUTBOX, &k, &s->row);
        return r < 0 ? r : expiry_add(s, recipient, at, m->expires);
}

static int outbox_read(DbValue k, DbValue v, OutboxRow *ret) {
        RowReader row = row_begin(v);
        OutboxRow o = {};
        int r;

        if (k.size != 16)
                return db_damaged(v.txn);
        o.recipient = db_get_u32(k.data);
        o.at.feed = db_get_u32(k.data + 4);
        o.at.seq = db_get_u64(k.data + 8);
        row_bytes(&row, &o.id, sizeof(o.id));
        o.expires = row_u64(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        *ret = o;
        return 1;
}

int outbox_get(DbTxn *txn, uint32_t recipient, OutboxPosition at, OutboxRow *ret) {
        DbKey k = outbox_key(recipient, at);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_OUTBOX, &k, &v);
        return r <= 0 ? r : outbox_read((DbValue){.data = k.data, .size = k.size}, v, ret);
}

int outbox_walk(DbTxn *txn, uint32_t recipient, OutboxPosition after, OutboxWalk *ret) {
        DbKey prefix = DB_KEY_NULL, start;

        db_key_u32(&prefix, recipient);
        start = prefix;
        db_key_u32(&start, after.feed);
        db_key_u64(&start, after.seq + 1);
        return db_cursor_open(txn, TABLE_OUTBOX, &prefix, &start, false, &ret->cursor);
}

int outbox_walk_all(DbTxn *txn, const OutboxRow *after, OutboxWalk *ret) {
        DbKey none = DB_KEY_NULL, start = DB_KEY_NULL;

        if (after) {
                db_key_u32(&start, after->recipient);
                db_key_u32(&start, after->at.feed);
                db_key_u64(&start, after->at.seq + 1);
        }
        return db_cursor_open(txn, TABLE_OUTBOX, &none, after ? &start : NULL, false, &ret->cursor);
}

int outbox_find(DbTxn *txn, const Uuid *id, OutboxRow *ret) {
        OutboxRow o = {.id = *id};
        Conversation v;
        IdRow at;
        Feed f;
        int r;

        r = id_get(txn, SELF_NUMBER, id, &at);
        if (r > 0)
                r = feed_get(txn, at.feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &v);
        if (r <= 0 || v.peer == 0)
                return MIN(r, 0); /* no message to a room was ever in the outbox */
        o.recipient = v.peer;
        o.at = (OutboxPosition){.feed = at.feed, .seq = at.seq};
        *ret = o;
        return 1;
}

int outbox_walk_next(OutboxWalk *w, OutboxRow *ret) {
        DbValue k, v;
        int r;

        r = db_cursor_next(&w->cursor, &k, &v);
        return r <= 0 ? r : outbox_read(k, v, ret);
}

void outbox_walk_end(OutboxWalk *w) {
        db_cursor_close(&w->cursor);
}

int outbox_next(DbTxn *txn, uint32_t recipient, OutboxPosition after, OutboxRow *ret) {
        OutboxWalk w;
        int r;

        r = outbox_walk(txn, recipient, after, &w);
        if (r < 0)
                return r;
        r = outbox_walk_next(&w, ret);
        outbox_walk_end(&w);
        return r;
}

int outbox_next_recipient(DbTxn *txn, uint32_t after, uint32_t *ret) {
        DbKey none = DB_KEY_NULL, start = DB_KEY_NULL;
        OutboxWalk w;
        OutboxRow o;
        int r;

        if (after == UINT32_MAX)
                return 0;
        db_key_u32(&start, after + 1);
        r = db_cursor_open(txn, TABLE_OUTBOX, &none, &start, false, &w.cursor);
        if (r < 0)
                return r;
        r = outbox_walk_next(&w, &o);
        outbox_walk_end(&w);
        if (r > 0)
                *ret = o.recipient;
        return r;
}

int outbox_remove(Store *s, uint32_t recipient, OutboxPosition at) {
        DbKey k = outbox_key(recipient, at);
        OutboxRow row;
        int r;

        r = outbox_get(db_write(s->db), recipient, at, &row);
        if (r > 0)
                r = expiry_remove(s, recipient, at, row.expires);
        return r < 0 ? r : db_del(db_write(s->db), TABLE_OUTBOX, &k);
}

uint64_t outbox_count(DbTxn *txn) {
        return db_count(txn, TABLE_OUTBOX);
}
