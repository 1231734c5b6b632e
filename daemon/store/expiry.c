/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When the time of what waits in the outbox is over. The rows have nothing but their keys. */

#include "store/private.h"

static DbKey expiry_key(uint32_t recipient, OutboxPosition at, usec_t expires) {
        DbKey k = DB_KEY_NULL;

        db_key_u64(&k, expires);
        db_key_u32(&k, recipient);
        db_key_u32(&k, at.feed);
        db_key_u64(&k, at.seq);
        return k;
}

int expiry_add(Store *s, uint32_t recipient, OutboxPosition at, usec_t expires) {
        DbKey k = expiry_key(recipient, at, expires);

        row_start(&s->row);
        return row_write(db_write(s->db), TABLE_EXPIRY, &k, &s->row);
}

int expiry_remove(Store *s, uint32_t recipient, OutboxPosition at, usec_t expires) {
        DbKey k = expiry_key(recipient, at, expires);

        return db_del(db_write(s->db), TABLE_EXPIRY, &k);
}

static int expiry_first(DbTxn *txn, OutboxRow *ret) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_EXPIRY, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0 && k.size != 24)
                r = db_damaged(txn);
        if (r > 0)
                *ret = (OutboxRow){.expires = db_get_u64(k.data),
                        .recipient = db_get_u32(k.data + 8),
                        .at = {.feed = db_get_u32(k.data + 12), .seq = db_get_u64(k.data + 16)}};
        db_cursor_close(&cursor);
        return r;
}

int outbox_first_to_expire(Store *s, OutboxRow *ret) {
        OutboxRow first, row;
        int r;

        while ((r = expiry_first(db_write(s->db), &first)) > 0) {
                r = outbox_get(db_write(s->db), first.recipient, first.at, &row);
                if (r < 0)
                        return r;
                if (r > 0 && row.expires == first.expires) {
                        *ret = row;
                        return 1;
                }
                /* About nothing that waits. */
                r = expiry_remove(s, first.recipient, first.at, first.expires);
                if (r < 0)
                        return r;
        }
        return r;
}

/* A store from before this table was there; the counts tell. */
int expiry_fill(Store *s) {
        DbTxn *txn = db_write(s->db);
        OutboxRow row = {};
        OutboxWalk w;
        int r;

        if (db_count(txn, TABLE_EXPIRY) == outbox_count(txn))
                return 0;
        r = outbox_walk_all(txn, NULL, &w);
        if (r < 0)
                return r;
        while ((r = outbox_walk_next(&w, &row)) > 0) {
                r = expiry_add(s, row.recipient, row.at, row.expires);
                if (r < 0)
                        break;
        }
        outbox_walk_end(&w);
        return r < 0 ? r : db_commit(s->db);
}
