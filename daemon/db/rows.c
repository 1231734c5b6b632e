/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Keys, rows and cursors. */

#include "db/private.h"

#include <assert.h>

/* Keys */

void db_key_bytes(DbKey *k, const void *p, size_t n) {
        assert(n <= DB_KEY_MAX - k->size);
        copy_bytes(k->data + k->size, p, n);
        k->size += n;
}

void db_key_u8(DbKey *k, uint8_t v) {
        db_key_bytes(k, &v, 1);
}

void db_key_u32(DbKey *k, uint32_t v) {
        uint8_t b[4];

        db_set_u32(b, v);
        db_key_bytes(k, b, sizeof(b));
}

void db_key_u64(DbKey *k, uint64_t v) {
        uint8_t b[8];

        db_set_u64(b, v);
        db_key_bytes(k, b, sizeof(b));
}

void db_set_u32(void *p, uint32_t v) {
        uint32_t be = __builtin_bswap32(v);

        memcpy(p, &be, sizeof(be));
}

void db_set_u64(void *p, uint64_t v) {
        uint64_t be = __builtin_bswap64(v);

        memcpy(p, &be, sizeof(be));
}

uint32_t db_get_u32(const void *p) {
        uint32_t be;

        memcpy(&be, p, sizeof(be));
        return __builtin_bswap32(be);
}

uint64_t db_get_u64(const void *p) {
        uint64_t be;

        memcpy(&be, p, sizeof(be));
        return __builtin_bswap64(be);
}

/* Rows */

static MDB_val key_val(const DbKey *k) {
        return (MDB_val){.mv_data = (void *)k->data, .mv_size = k->size};
}

static int txn_fail(DbTxn *txn, int e) {
        txn->error = db_errno(e);
        if (txn->error == -EUCLEAN)
                db_note_damage(txn->db);
        return txn->error;
}

static bool table_exists(const DbTxn *txn, unsigned table) {
        const Db *db = txn->db;

        return db->exists[table] || (db->created && txn == &db->batch);
}

/* In the batch each table has a cursor that stays where it was last: LMDB looks there before it
 * goes down from the root again, and rows of a burst lie beside each other. */
static int near_cursor(DbTxn *txn, unsigned table, MDB_cursor **ret) {
        MDB_cursor **c = &txn->near[table];
        int e = 0;

        if (!*c)
                e = mdb_cursor_open(txn->txn, txn->db->tables[table], c);
        *ret = *c;
        return e;
}

static int near_get(DbTxn *txn, unsigned table, MDB_val *k, MDB_val *ret) {
        MDB_cursor *c;
        int e = near_cursor(txn, table, &c);

        return e ?: mdb_cursor_get(c, k, ret, MDB_SET);
}

int db_get(DbTxn *txn, unsigned table, const DbKey *key, DbValue *ret) {
        MDB_val k = key_val(key), v;
        int e;

        if (txn->error < 0)
                return txn->error;
        if (!table_exists(txn, table))
                return 0;
        if (txn == &txn->db->batch)
                e = near_get(txn, table, &k, &v);
        else
                e = mdb_get(txn->txn, txn->db->tables[table], &k, &v);
        if (e == MDB_NOTFOUND)
                return 0;
        if (e)
                return txn_fail(txn, e);
        *ret = (DbValue){.data = v.mv_data, .size = v.mv_size, .txn = txn};
        return 1;
}

void db_found_damage(DbTxn *txn) {
        db_note_damage(txn->db);
}

/* A batch that is full is committed after the handler that filled it. */
static void txn_count(DbTxn *txn) {
        if (++txn->writes == DB_BATCH_WRITES)
                loop_defer_arm(txn->db->full, true);
}

int db_put(DbTxn *txn, unsigned table, const DbKey *key, const void *p, size_t n) {
        MDB_val k = key_val(key), v = {.mv_data = (void *)p, .mv_size = n};
        MDB_cursor *c;
        int e;

        if (txn->error < 0)
                return txn->error;
        if (!table_exists(txn, table) && db_make_tables(txn) < 0)
                return txn->error;
        e = near_cursor(txn, table, &c);
        if (!e)
                e = mdb_cursor_put(c, &k, &v, 0);
        if (e)
                return txn_fail(txn, e);
        txn->bytes += key->size + n;
        txn_count(txn);
        return 0;
}

int db_del(DbTxn *txn, unsigned table, const DbKey *key) {
        MDB_val k = key_val(key), v;
        int e;

        if (txn->error < 0)
                return txn->error;
        if (!table_exists(txn, table))
                return 0;
        e = near_get(txn, table, &k, &v);
        if (!e)
                e = mdb_cursor_del(txn->near[table], 0);
        if (e == MDB_NOTFOUND)
                return 0;
        if (e)
                return txn_fail(txn, e);
        txn_count(txn);
        return 1;
}

int db_clear(DbTxn *txn, unsigned table) {
        int e;

        if (txn->error < 0)
                return txn->error;
        if (!table_exists(txn, table))
                return 0;
        e = mdb_drop(txn->txn, txn->db->tables[table], 0);
        if (e)
                return txn_fail(txn, e);
        txn_count(txn);
        return 0;
}

uint64_t db_count(DbTxn *txn, unsigned table) {
        MDB_stat st;

        if (txn->error < 0 || !table_exists(txn, table) ||
                mdb_stat(txn->txn, txn->db->tables[table], &st) != 0)
                return 0;
        return st.ms_entries;
}

/* Cursors */

/* The first key of the same length that is behind all that begin with PREFIX; empty: there is
 * none. */
static DbKey prefix_end(const DbKey *prefix) {
        DbKey end = *prefix;

        while (end.size > 0 && ++end.data[end.size - 1] == 0)
                end.size--;
        return end;
}

/* Puts a backwards cursor on the first row that does not belong any more. When there is none, the
 * first step leads to the last row of all. */
static int cursor_seek_behind(DbCursor *c, const DbKey *end) {
        MDB_val k = key_val(end), v;
        int e = MDB_NOTFOUND;

        if (end->size > 0)
                e = mdb_cursor_get(c->cursor, &k, &v, MDB_SET_RANGE);
        c->started = e == 0;
        return e == MDB_NOTFOUND ? 0 : e;
}

int db_cursor_open(DbTxn *txn, unsigned table, const DbKey *prefix, const DbKey *start,
        bool backwards, DbCursor *ret) {
        DbCursor c = {.txn = txn, .prefix = *prefix, .backwards = backwards};
        DbKey end = prefix_end(prefix);
        MDB_cursor *cursor;
        int e;

        if (txn->error < 0)
                return txn->error;
        if (!table_exists(txn, table)) {
                *ret = c;
                return 0;
        }
        e = mdb_cursor_open(txn->txn, txn->db->tables[table], &cursor);
        if (e)
                return txn_fail(txn, e);
        c.cursor = cursor;
        if (!backwards)
                db_cursor_seek(&c, start ?: prefix);
        else
                e = cursor_seek_behind(&c, start ?: &end);
        if (e) {
                mdb_cursor_close(cursor);
                return txn_fail(txn, e);
        }
        *ret = c;
        return 0;
}

void db_cursor_close(DbCursor *c) {
        if (c->cursor)
                mdb_cursor_close(c->cursor);
        c->cursor = NULL;
}

void db_cursor_seek(DbCursor *c, const DbKey *key) {
        c->started = false;
        c->start = *key;
}

int db_cursor_next(DbCursor *c, DbValue *ret_key, DbValue *ret_value) {
        MDB_val k, v;
        int e;

        if (c->txn->error < 0)
                return c->txn->error;
        if (!c->cursor)
                return 0; /* the table is not there */
        if (c->backwards)
                e = mdb_cursor_get(c->cursor, &k, &v, c->started ? MDB_PREV : MDB_LAST);
        else if (c->started)
                e = mdb_cursor_get(c->cursor, &k, &v, MDB_NEXT);
        else {
                k = key_val(&c->start);
                e = mdb_cursor_get(c->cursor, &k, &v, k.mv_size > 0 ? MDB_SET_RANGE : MDB_FIRST);
        }
        c->started = true;
        if (e == MDB_NOTFOUND)
                return 0;
        if (e)
                return txn_fail(c->txn, e);
        if (k.mv_size < c->prefix.size || memcmp(k.mv_data, c->prefix.data, c->prefix.size) != 0)
                return 0;
        *ret_key = (DbValue){.data = k.mv_data, .size = k.mv_size, .txn = c->txn};
        *ret_value = (DbValue){.data = v.mv_data, .size = v.mv_size, .txn = c->txn};
        return 1;
}

int db_cursor_del(DbCursor *c) {
        int e;

        if (c->txn->error < 0)
                return c->txn->error;
        e = mdb_cursor_del(c->cursor, 0);
        if (e)
                return txn_fail(c->txn, e);
        txn_count(c->txn);
        return 0;
}
