/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store that is given up: all that is in it goes, and it is used again by whoever comes next. */

#include "store/private.h"

/* The store itself, and where the key of its sealed rows is kept. */
static const char *const kept[] = {"schema", "keys"};

int store_give_up(Store *s) {
        DbKey k = store_meta_key("given-up");

        row_start(&s->row);
        return row_write(db_write(s->db), TABLE_META, &k, &s->row);
}

int store_is_given_up(DbTxn *txn) {
        DbValue v;

        return store_meta_get(txn, "given-up", &v);
}

static bool is_kept(DbValue key) {
        for (size_t i = 0; i < ELEMENTSOF(kept); i++)
                if (key.size == strlen(kept[i]) && memcmp(key.data, kept[i], key.size) == 0)
                        return true;
        return false;
}

static int clear_meta(DbTxn *txn) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_META, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0)
                if (!is_kept(k) && (r = db_cursor_del(&cursor)) < 0)
                        break;
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

int store_begin_anew(Store *s) {
        DbTxn *txn = db_write(s->db);
        int r = 0;

        for (unsigned i = 0; r >= 0 && i < _TABLE_MAX; i++)
                r = i == TABLE_META ? clear_meta(txn) : db_clear(txn, i);
        if (r < 0)
                db_fail(txn, r);
        r = db_commit(s->db);
        if (r < 0)
                return r;
        memset(&s->conversation_hint, 0, sizeof(s->conversation_hint));
        memset(s->feed_hint, 0, sizeof(s->feed_hint));
        s->events_batch = 0;
        buffer_wipe(&s->row);
        buffer_wipe(&s->inner);
        (void)db_compact(s->db); /* without room for a copy it stays in pages that are free */
        return 0;
}
