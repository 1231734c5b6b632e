/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What has not been delivered, and the receipts that end that. */

#include "store/private.h"

/* Receipts */

int store_make_receipt(
        DbTxn *txn, uint32_t feed, const uint8_t self[static KEY_SIZE], Receipt *ret) {
        Conversation v;
        Contact author;
        Feed f;
        int r;

        r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &v);
        if (r > 0)
                r = contact_get_by_number(txn, f.account, &author);
        if (r <= 0 || f.have.n == 0)
                return r < 0 ? r : 0;
        *ret = (Receipt){.epoch = f.epoch, .state = RECEIPT_DELIVERED, .n_ranges = f.have.n};
        memcpy(ret->conversation, v.hash, SHA256_SIZE);
        memcpy(ret->author, author.account, KEY_SIZE);
        memcpy(ret->device, f.device, KEY_SIZE);
        memcpy(ret->ranges, f.have.range, f.have.n * sizeof(SeqRange));
        memcpy(ret->hash, f.have_hash, SHA256_SIZE);
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
        DbKey k = DB_KEY_NULL;
        RowReader row;
        DbValue v;
        int r;

        ret->n = 0;
        db_key_u32(&k, feed);
        r = db_get(txn, TABLE_RECEIPT, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_read_ranges(&row, ret);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int receipt_save(Store *s, uint32_t feed, const Ranges *ranges) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        row_start(&s->row);
        row_put_ranges(&s->row, ranges);
        return row_write(db_write(s->db), TABLE_RECEIPT, &k, &s->row);
}

/* Envelopes of FEED whose seq is in RANGES go. */
static int outbox_drop_covered(Store *s, uint32_t recipient, uint32_t feed, const Ranges *ranges,
        MessageStateFn fn, void *userdata) {
        DbKey prefix = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        db_key_u32(&prefix, recipient);
        db_key_u32(&prefix, feed);
        r = db_cursor_open(db_write(s->db), TABLE_OUTBOX, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                uint64_t seq = k.size == prefix.size + 8 ? db_get_u64(k.data + prefix.size) : 0;
                RowReader row = row_begin(v);
                usec_t expires;
                Uuid id;

                if (seq > ranges->range[ranges->n - 1].last)
                        break;
                if (!ranges_have(ranges, seq))
                        continue;
                row_bytes(&row, &id, sizeof(id));
                expires = row_u64(&row);
                r = row_end(&row);
                if (r >= 0)
                        r = db_cursor_del(&cursor);
                if (r >= 0)
                        r = expiry_remove(
                                s, recipient, (OutboxPosition){.feed = feed, .seq = seq}, expires);
                if (r < 0)
                        break;
                fn(userdata, &id, ENTRY_QUEUED, true, CODE_OK);
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

int store_take_receipt(Store *s, const Identity *self, const Contact *peer, const Receipt *rc,
        MessageStateFn fn, void *userdata) {
        Ranges ranges, before;
        Feed f;
        int r;

        r = receipt_find_feed(db_write(s->db), self, peer, rc, &f);
        if (r >= 0)
                r = store_load_receipt(db_write(s->db), f.number, &before);
        if (r < 0)
                return r;
        ranges = before;
        for (size_t i = 0; i < rc->n_ranges; i++) {
                r = ranges_add(&ranges, rc->ranges[i].first, rc->ranges[i].last);
                if (r < 0)
                        return -EBADMSG;
        }
        if (!ranges_equal(&ranges, &before))
                r = receipt_save(s, f.number, &ranges);
        return r < 0 ? r : outbox_drop_covered(s, peer->number, f.number, &ranges, fn, userdata);
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
                return -EUCLEAN;
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

int outbox_walk_all(DbTxn *txn, OutboxWalk *ret) {
        DbKey none = DB_KEY_NULL;

        return db_cursor_open(txn, TABLE_OUTBOX, &none, NULL, false, &ret->cursor);
}

int outbox_walk(DbTxn *txn, uint32_t recipient, OutboxPosition after, OutboxWalk *ret) {
        DbKey prefix = DB_KEY_NULL, start;

        db_key_u32(&prefix, recipient);
        start = prefix;
        db_key_u32(&start, after.feed);
        db_key_u64(&start, after.seq + 1);
        return db_cursor_open(txn, TABLE_OUTBOX, &prefix, &start, false, &ret->cursor);
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
