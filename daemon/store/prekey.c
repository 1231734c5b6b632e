/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rows: u64 suite, secret, public, u64 made, u64 superseded; the key is the id. */

#include "store/prekey.h"

#include "store/seal-private.h"

/* With the row's head: growing would leave copies of secrets behind. */
#define PREKEY_ROW_MAX 256

static DbKey prekey_key(uint64_t id) {
        DbKey k = DB_KEY_NULL;

        db_key_u64(&k, id);
        return k;
}

static int prekey_read(uint64_t id, DbValue v, PrekeyRow *ret) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        DbKey k = prekey_key(id);
        RowReader row = row_open(v, TABLE_PREKEY, key_bytes(&k), &plain);
        PrekeyRow p = {.id = id};
        int r;

        p.suite = row_u64(&row);
        row_bytes(&row, p.secret, sizeof(p.secret));
        row_bytes(&row, p.public, sizeof(p.public));
        p.made = row_u64(&row);
        p.superseded = row_u64(&row);
        r = row_end(&row);
        if (r >= 0)
                *ret = p;
        explicit_bzero(&p, sizeof(p));
        return r < 0 ? r : 1;
}

int prekey_get(DbTxn *txn, uint64_t id, PrekeyRow *ret) {
        DbKey k = prekey_key(id);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_PREKEY, &k, &v);
        return r <= 0 ? r : prekey_read(id, v, ret);
}

/* The next row of a cursor. */
static int prekey_step(DbCursor *c, PrekeyRow *ret) {
        DbValue k, v;
        int r;

        r = db_cursor_next(c, &k, &v);
        if (r <= 0)
                return r;
        return k.size == 8 ? prekey_read(db_get_u64(k.data), v, ret) : db_damaged(v.txn);
}

int prekey_newest(DbTxn *txn, PrekeyRow *ret) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        int r;

        r = db_cursor_open(txn, TABLE_PREKEY, &none, NULL, true, &cursor);
        if (r < 0)
                return r;
        r = prekey_step(&cursor, ret);
        db_cursor_close(&cursor);
        return r;
}

int prekey_put(Store *s, const PrekeyRow *p) {
        DbKey k = prekey_key(p->id);

        if (!buffer_reserve(&s->row, PREKEY_ROW_MAX))
                return -ENOMEM;
        row_start(&s->row);
        row_put_u64(&s->row, p->suite);
        row_put_bytes(&s->row, p->secret, sizeof(p->secret));
        row_put_bytes(&s->row, p->public, sizeof(p->public));
        row_put_u64(&s->row, p->made);
        row_put_u64(&s->row, p->superseded);
        return row_write_secret(s, TABLE_PREKEY, &k);
}

/* The first row after AFTER. */
static int prekey_next(DbTxn *txn, uint64_t after, PrekeyRow *ret) {
        DbKey none = DB_KEY_NULL, start = prekey_key(after + 1);
        DbCursor cursor;
        int r;

        r = db_cursor_open(txn, TABLE_PREKEY, &none, &start, false, &cursor);
        if (r < 0)
                return r;
        r = prekey_step(&cursor, ret);
        db_cursor_close(&cursor);
        return r;
}

static int prekey_age(Store *s, PrekeyRow *p, usec_t now) {
        DbKey k = prekey_key(p->id);

        if (p->superseded == 0) {
                p->superseded = now;
                return prekey_put(s, p);
        }
        return now - PREKEY_KEEP > p->superseded && now > PREKEY_KEEP
                ? db_del(db_write(s->db), TABLE_PREKEY, &k)
                : 0;
}

int prekeys_collected(Store *s, usec_t now) {
        PrekeyRow newest, p;
        uint64_t after = 0;
        int r;

        r = prekey_newest(db_write(s->db), &newest);
        if (r <= 0)
                return r;
        while ((r = prekey_next(db_write(s->db), after, &p)) > 0 && p.id < newest.id) {
                after = p.id;
                r = prekey_age(s, &p, now);
                if (r < 0)
                        break;
        }
        explicit_bzero(&p, sizeof(p));
        explicit_bzero(&newest, sizeof(newest));
        return MIN(r, 0);
}
