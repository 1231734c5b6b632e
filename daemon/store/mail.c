/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/mail.h"

#include "store/private.h"
#include "store/seal-private.h"

/* With the row's head: growing would leave copies of secrets behind. */
#define ITEM_ROW_MAX (256 + MAIL_REPLICAS_MAX * KEY_SIZE)

/* Envelopes: u32 recipient, u32 feed, u64 seq -> id, secret, u64 sealed, u64 expires, trackers */

static DbKey item_key(uint32_t recipient, OutboxPosition at) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, recipient);
        db_key_u32(&k, at.feed);
        db_key_u64(&k, at.seq);
        return k;
}

int mail_item_put(Store *s, const MailItem *m) {
        DbKey k = item_key(m->recipient, m->at);

        if (!buffer_reserve(&s->row, ITEM_ROW_MAX))
                return -ENOMEM;
        row_start(&s->row);
        row_put_bytes(&s->row, m->id, sizeof(m->id));
        row_put_bytes(&s->row, m->secret, sizeof(m->secret));
        row_put_u64(&s->row, m->sealed);
        row_put_u64(&s->row, m->expires);
        row_put_bytes(&s->row, m->trackers, m->n_trackers * KEY_SIZE);
        return row_write_secret(s, TABLE_MAIL, &k);
}

static int item_read(DbValue k, DbValue v, MailItem *ret) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        RowReader row = row_open(v, TABLE_MAIL, (Bytes){.data = k.data, .size = k.size}, &plain);
        Bytes trackers;
        int r;

        if (k.size != 16)
                return db_damaged(v.txn);
        *ret = (MailItem){.recipient = db_get_u32(k.data),
                .at = {.feed = db_get_u32(k.data + 4), .seq = db_get_u64(k.data + 8)}};
        row_bytes(&row, ret->id, sizeof(ret->id));
        row_bytes(&row, ret->secret, sizeof(ret->secret));
        ret->sealed = row_u64(&row);
        ret->expires = row_u64(&row);
        trackers = row_rest(&row);
        r = row_end(&row);
        if (r < 0)
                return r;
        if (trackers.size % KEY_SIZE != 0 || trackers.size > sizeof(ret->trackers))
                return db_damaged(v.txn);
        copy_bytes(ret->trackers, trackers.data, trackers.size);
        ret->n_trackers = trackers.size / KEY_SIZE;
        return 1;
}

int mail_item_get(DbTxn *txn, uint32_t recipient, OutboxPosition at, MailItem *ret) {
        DbKey k = item_key(recipient, at);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_MAIL, &k, &v);
        return r <= 0 ? r : item_read((DbValue){.data = k.data, .size = k.size}, v, ret);
}

/* The first row of TABLE at or after START, with PREFIX. */
static int first_row(DbTxn *txn, unsigned table, const DbKey *prefix, const DbKey *start,
        DbValue *ret_key, DbValue *ret_value) {
        DbCursor cursor;
        int r;

        r = db_cursor_open(txn, table, prefix, start, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, ret_key, ret_value);
        db_cursor_close(&cursor);
        return r;
}

int mail_item_next(DbTxn *txn, uint32_t recipient, OutboxPosition after, MailItem *ret) {
        DbKey prefix = DB_KEY_NULL, start;
        DbValue k, v;
        int r;

        after.seq++;
        start = item_key(recipient, after);
        db_key_u32(&prefix, recipient);
        r = first_row(txn, TABLE_MAIL, &prefix, &start, &k, &v);
        return r <= 0 ? r : item_read(k, v, ret);
}

int mail_item_remove(Store *s, uint32_t recipient, OutboxPosition at) {
        DbKey k = item_key(recipient, at);

        return db_del(db_write(s->db), TABLE_MAIL, &k);
}

int store_mark_stored(Store *s, const MailItem *m, const Uuid *id, usec_t now) {
        EventRow event = {.kind = EVENT_STATE,
                .time = now,
                .feed = m->at.feed,
                .seq = m->at.seq,
                .id = *id,
                .state = MESSAGE_STORED};
        OutboxRow row;
        Entry e;
        int r;

        r = mail_item_put(s, m);
        if (r >= 0)
                r = outbox_get(db_write(s->db), m->recipient, m->at, &row);
        if (r > 0)
                r = entry_get(db_write(s->db), m->at.feed, m->at.seq, &e);
        if (r <= 0 || e.state != ENTRY_QUEUED)
                return r;
        e.state = ENTRY_STORED;
        r = entry_write(s, &e);
        return r < 0 ? r : event_add(s, &event);
}

/* What is owed: u32 account, u32 feed, u8 state -> u64 mark */

static DbKey owed_key(const MailOwed *o) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, o->account);
        db_key_u32(&k, o->feed);
        db_key_u8(&k, (uint8_t)o->state);
        return k;
}

static int owed_read(DbValue v, uint64_t *ret) {
        RowReader row = row_begin(v);

        *ret = row_u64(&row);
        return row_end(&row);
}

int mail_owe(Store *s, const MailOwed *o) {
        DbKey k = owed_key(o);

        row_start(&s->row);
        row_put_u64(&s->row, o->mark);
        return row_write(db_write(s->db), TABLE_MAIL_OWED, &k, &s->row);
}

int mail_owed_next(DbTxn *txn, const MailOwed *after, MailOwed *ret) {
        MailOwed from = *after;
        DbKey prefix = DB_KEY_NULL, start;
        DbValue k, v;
        int r;

        from.state++;
        start = owed_key(&from);
        db_key_u32(&prefix, after->account);
        r = first_row(txn, TABLE_MAIL_OWED, &prefix, &start, &k, &v);
        if (r <= 0)
                return r;
        if (k.size != 9)
                return db_damaged(v.txn);
        *ret = (MailOwed){.account = after->account,
                .feed = db_get_u32(k.data + 4),
                .state = (ReceiptState)k.data[8]};
        r = owed_read(v, &ret->mark);
        return r < 0 ? r : 1;
}

int mail_owed_remove(Store *s, const MailOwed *o) {
        DbKey k = owed_key(o);
        uint64_t mark;
        DbValue v;
        int r;

        r = db_get(db_write(s->db), TABLE_MAIL_OWED, &k, &v);
        if (r > 0)
                r = owed_read(v, &mark);
        else
                return r;
        return r < 0 || mark != o->mark ? r : db_del(db_write(s->db), TABLE_MAIL_OWED, &k);
}

int mail_next_account(DbTxn *txn, uint32_t after, uint32_t *ret) {
        static const unsigned tables[] = {TABLE_MAIL, TABLE_MAIL_OWED};
        DbKey none = DB_KEY_NULL, start = DB_KEY_NULL;
        uint32_t first = UINT32_MAX;

        if (after == UINT32_MAX)
                return 0;
        db_key_u32(&start, after + 1);
        for (size_t i = 0; i < ELEMENTSOF(tables); i++) {
                DbValue k, v;
                int r;

                r = first_row(txn, tables[i], &none, &start, &k, &v);
                if (r < 0)
                        return r;
                if (r > 0)
                        first = MIN(first, db_get_u32(k.data));
        }
        *ret = first;
        return first < UINT32_MAX;
}

uint64_t mail_count_items(DbTxn *txn) {
        return db_count(txn, TABLE_MAIL);
}

uint64_t mail_count_owed(DbTxn *txn) {
        return db_count(txn, TABLE_MAIL_OWED);
}

/* Tokens */

int store_set_token(Store *s, uint32_t account, Bytes token) {
        DbTxn *txn = db_write(s->db);
        DbKey k = DB_KEY_NULL;
        Bytes before;
        int r;

        db_key_u32(&k, account);
        if (token.size == 0)
                return db_del(txn, TABLE_TOKEN, &k);
        r = store_get_token(txn, account, &before);
        if (r < 0 || (r > 0 && bytes_equal(token, before)))
                return MIN(r, 0);
        row_start(&s->row);
        row_put_bytes(&s->row, token.data, token.size);
        return row_write(txn, TABLE_TOKEN, &k, &s->row);
}

int store_get_token(DbTxn *txn, uint32_t account, Bytes *ret) {
        DbKey k = DB_KEY_NULL;
        RowReader row;
        DbValue v;
        int r;

        db_key_u32(&k, account);
        r = db_get(txn, TABLE_TOKEN, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        *ret = row_rest(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}
