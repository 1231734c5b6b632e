/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "db/db.h"

#include <assert.h>
#include <time.h>

#include <lmdb.h>

#include "util/fs.h"

struct DbTxn {
        Db *db;
        MDB_txn *txn;
        int error;
        unsigned writes;
};

typedef struct Waiter {
        DbCommitFn fn; /* NULL: forgotten */
        void *userdata;
} Waiter;

struct Db {
        MDB_env *env;
        MDB_dbi tables[DB_TABLES_MAX];
        char *path;
        const char *const *names;
        uint64_t map_size;
        Loop *loop;
        LoopDefer *idle, *post;
        DbTxn batch;
        usec_t batch_since;
        bool batch_open;
        Waiter *waiters; /* for the open batch */
        size_t n_waiters, allocated_waiters;
        Waiter *calling; /* of the batch that has just been committed */
        size_t n_calling;
        DbTxn snapshot;
        bool snapshot_open;
        DbStats stats;
};

/* LMDB's own codes are negative and small; the rest are errno values. A full disk shows as EIO
 * (a short write), so that both mean the same to callers. */
static int db_errno(int e) {
        switch (e) {
        case MDB_SUCCESS:
                return 0;
        case MDB_MAP_FULL:
        case EIO:
                return -ENOSPC;
        case MDB_CORRUPTED:
        case MDB_PAGE_NOTFOUND:
        case MDB_PANIC:
        case MDB_INVALID:
        case MDB_VERSION_MISMATCH:
                return -EUCLEAN;
        case MDB_NOTFOUND:
                return -ENOENT;
        case MDB_BAD_VALSIZE:
                return -EINVAL;
        default:
                return e > 0 ? -e : -EIO;
        }
}

static int db_open_tables(Db *db) {
        MDB_txn *txn;
        int e;

        e = mdb_txn_begin(db->env, NULL, 0, &txn);
        if (e)
                return db_errno(e);
        for (unsigned i = 0; db->names[i] && e == 0; i++) {
                assert(i < DB_TABLES_MAX);
                e = mdb_dbi_open(txn, db->names[i], MDB_CREATE, &db->tables[i]);
        }
        if (e) {
                mdb_txn_abort(txn);
                return db_errno(e);
        }
        return db_errno(mdb_txn_commit(txn));
}

static int db_env_open(Db *db) {
        int e;

        e = mdb_env_create(&db->env);
        if (e)
                return db_errno(e);
        e = mdb_env_set_mapsize(db->env, db->map_size);
        if (!e)
                e = mdb_env_set_maxdbs(db->env, DB_TABLES_MAX);
        /* Snapshots beside the batch on one thread need MDB_NOTLS. */
        if (!e)
                e = mdb_env_open(db->env, db->path, MDB_NOTLS, 0600);
        if (!e)
                return db_open_tables(db);
        return db_errno(e);
}

static void db_env_close(Db *db) {
        if (db->snapshot.txn)
                mdb_txn_abort(db->snapshot.txn);
        db->snapshot.txn = NULL;
        if (db->env)
                mdb_env_close(db->env);
        db->env = NULL;
}

static void on_idle(void *userdata) {
        (void)db_commit(userdata);
}

static void on_post(void *userdata) {
        Db *db = userdata;

        /* Without a batch there is nothing to wait for, only callbacks to be called. */
        if (!db->batch_open || db->batch.writes >= DB_BATCH_WRITES ||
                loop_now(db->loop) - db->batch_since >= DB_BATCH_AGE)
                (void)db_commit(db);
}

int db_open(const char *path, const DbOptions *options, Db **ret) {
        Db *db;
        int r;

        r = fs_mkdir_p(path);
        if (r < 0)
                return r;
        db = calloc(1, sizeof(*db));
        if (!db)
                return -ENOMEM;
        db->path = strdup(path);
        db->names = options->tables;
        db->map_size = options->map_size;
        db->loop = options->loop;
        r = db->path ? db_env_open(db) : -ENOMEM;
        if (r >= 0)
                r = loop_defer_new(db->loop, LOOP_DEFER_IDLE, on_idle, db, &db->idle);
        if (r >= 0)
                r = loop_defer_new(db->loop, LOOP_DEFER_POST, on_post, db, &db->post);
        if (r < 0) {
                db_close(db);
                return r;
        }
        *ret = db;
        return 0;
}

Db *db_close(Db *db) {
        if (!db)
                return NULL;
        while (db->batch_open || db->n_waiters > 0)
                (void)db_commit(db);
        loop_defer_free(db->idle);
        loop_defer_free(db->post);
        db_env_close(db);
        free(db->waiters);
        free(db->path);
        free(db);
        return NULL;
}

const DbStats *db_stats(const Db *db) {
        return &db->stats;
}

static void batch_arm(Db *db, bool on) {
        loop_defer_arm(db->idle, on);
        loop_defer_arm(db->post, on);
}

DbTxn *db_write(Db *db) {
        if (db->batch_open)
                return &db->batch;
        db->batch = (DbTxn){.db = db};
        db->batch.error =
                db->env ? db_errno(mdb_txn_begin(db->env, NULL, 0, &db->batch.txn)) : -ENOTCONN;
        db->batch_open = true;
        db->batch_since = loop_now(db->loop);
        batch_arm(db, true);
        return &db->batch;
}

int db_after_commit(Db *db, DbCommitFn fn, void *userdata) {
        if (db->n_waiters == db->allocated_waiters) {
                size_t n = MAX(2 * db->allocated_waiters, (size_t)64);
                Waiter *w = reallocarray(db->waiters, n, sizeof(*w));

                if (!w)
                        return -ENOMEM;
                db->waiters = w;
                db->allocated_waiters = n;
        }
        db->waiters[db->n_waiters++] = (Waiter){.fn = fn, .userdata = userdata};
        batch_arm(db, true);
        return 0;
}

void db_forget(Db *db, void *userdata) {
        for (size_t i = 0; i < db->n_waiters; i++)
                if (db->waiters[i].userdata == userdata)
                        db->waiters[i].fn = NULL;
        for (size_t i = 0; i < db->n_calling; i++)
                if (db->calling[i].userdata == userdata)
                        db->calling[i].fn = NULL;
}

static int batch_commit(Db *db) {
        struct timespec a, b;
        usec_t took;
        int e;

        if (db->batch.error < 0) {
                if (db->batch.txn)
                        mdb_txn_abort(db->batch.txn);
                return db->batch.error;
        }
        clock_gettime(CLOCK_MONOTONIC, &a);
        e = mdb_txn_commit(db->batch.txn);
        clock_gettime(CLOCK_MONOTONIC, &b);
        took = (usec_t)(b.tv_sec - a.tv_sec) * USEC_PER_SEC + (usec_t)((b.tv_nsec - a.tv_nsec) / 1000);
        db->stats.slowest = MAX(db->stats.slowest, took);
        if (e)
                return db_errno(e);
        db->stats.commits++;
        db->stats.writes += db->batch.writes;
        return 0;
}

/* After a failed write LMDB's environment cannot be trusted to have room or a sane map. */
static void db_reopen(Db *db) {
        if (db->snapshot_open)
                return;
        db_env_close(db);
        if (db_env_open(db) < 0)
                db_env_close(db);
}

/* Callbacks may write and wait again: that is the next batch. */
static void call_waiters(Db *db, int error) {
        for (size_t i = 0; i < db->n_calling; i++) {
                Waiter w = db->calling[i];

                if (w.fn)
                        w.fn(w.userdata, error);
        }
        db->n_calling = 0;
        db->calling = mfree(db->calling);
}

int db_commit(Db *db) {
        int r = 0;

        assert(!db->calling);
        batch_arm(db, false);
        db->calling = TAKE_PTR(db->waiters);
        db->n_calling = db->n_waiters;
        db->n_waiters = db->allocated_waiters = 0;
        if (db->batch_open) {
                db->batch_open = false;
                r = batch_commit(db);
                db->stats.last_error = r;
                if (r < 0)
                        db_reopen(db);
        }
        call_waiters(db, r);
        return r;
}

/* Snapshots */

int db_read_begin(Db *db, DbTxn **ret) {
        int e;

        assert(!db->snapshot_open);
        if (!db->env)
                return -ENOTCONN;
        if (db->snapshot.txn)
                e = mdb_txn_renew(db->snapshot.txn);
        else
                e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->snapshot.txn);
        if (e)
                return db_errno(e);
        db->snapshot.db = db;
        db->snapshot.error = 0;
        db->snapshot_open = true;
        *ret = &db->snapshot;
        return 0;
}

void db_read_end(DbTxn *txn) {
        if (!txn)
                return;
        assert(txn->db->snapshot_open && txn == &txn->db->snapshot);
        mdb_txn_reset(txn->txn);
        txn->db->snapshot_open = false;
}

int db_error(const DbTxn *txn) {
        return txn->error;
}

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
        return txn->error;
}

int db_get(DbTxn *txn, unsigned table, const DbKey *key, DbValue *ret) {
        MDB_val k = key_val(key), v;
        int e;

        if (txn->error < 0)
                return txn->error;
        e = mdb_get(txn->txn, txn->db->tables[table], &k, &v);
        if (e == MDB_NOTFOUND)
                return 0;
        if (e)
                return txn_fail(txn, e);
        *ret = (DbValue){.data = v.mv_data, .size = v.mv_size};
        return 1;
}

int db_put(DbTxn *txn, unsigned table, const DbKey *key, const void *p, size_t n) {
        MDB_val k = key_val(key), v = {.mv_data = (void *)p, .mv_size = n};
        int e;

        if (txn->error < 0)
                return txn->error;
        e = mdb_put(txn->txn, txn->db->tables[table], &k, &v, 0);
        if (e)
                return txn_fail(txn, e);
        txn->writes++;
        return 0;
}

int db_del(DbTxn *txn, unsigned table, const DbKey *key) {
        MDB_val k = key_val(key);
        int e;

        if (txn->error < 0)
                return txn->error;
        e = mdb_del(txn->txn, txn->db->tables[table], &k, NULL);
        if (e == MDB_NOTFOUND)
                return 0;
        if (e)
                return txn_fail(txn, e);
        txn->writes++;
        return 1;
}

uint64_t db_count(DbTxn *txn, unsigned table) {
        MDB_stat st;

        if (txn->error < 0 || mdb_stat(txn->txn, txn->db->tables[table], &st) != 0)
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
        *ret_key = (DbValue){.data = k.mv_data, .size = k.mv_size};
        *ret_value = (DbValue){.data = v.mv_data, .size = v.mv_size};
        return 1;
}

int db_cursor_del(DbCursor *c) {
        int e;

        if (c->txn->error < 0)
                return c->txn->error;
        e = mdb_cursor_del(c->cursor, 0);
        if (e)
                return txn_fail(c->txn, e);
        c->txn->writes++;
        return 0;
}
