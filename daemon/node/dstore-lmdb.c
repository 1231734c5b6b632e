/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/dstore.h"

#include <assert.h>
#include <sys/statvfs.h>

#include <utlist.h>

#include "db/db.h"
#include "node/key-hash.h"
#include "util/buffer.h"
#include "util/fs.h"
#include "util/table.h"

#define SCHEMA_NAME "p2pchat directory"
#define SCHEMA_VERSION 1

/* Every value: version, flags, key id, so that its form can change, or it can be sealed, later. */
#define HEAD_SIZE 3
static const uint8_t HEAD[HEAD_SIZE] = {1, 0, 0};

/* Address space, not disk: the file grows as it is used. */
#define MAP_SIZE_MIN (UINT64_C(16) << 30)
#define MAP_SIZE_MAX (UINT64_C(1) << 40)

enum {
        TABLE_META,
        TABLE_NAME,
        TABLE_USER,
        TABLE_SEEN,
        _TABLE_MAX,
};

static const char *const TABLES[] = {
        [TABLE_META] = "meta",
        [TABLE_NAME] = "name",
        [TABLE_USER] = "user",
        [TABLE_SEEN] = "seen",
        [_TABLE_MAX] = NULL,
};

typedef struct WatchKey {
        uint64_t kind;
        uint8_t key[SHA256_SIZE];
} WatchKey;

typedef struct LmdbStore LmdbStore;

/* The watches of one row. */
typedef struct WatchedRow {
        WatchKey key;
        DStoreWatch *watches;
        UT_hash_handle hh;
} WatchedRow;

struct DStoreWatch {
        LmdbStore *store;
        WatchedRow *row;
        DStoreWatchFn fn;
        void *userdata;
        DStoreWatch *prev, *next;
};

/* A step whose commit is awaited. */
typedef struct Step Step;
struct Step {
        LmdbStore *store;
        DStoreMergeFn fn; /* NULL: forgotten */
        void *userdata;
        size_t n;
        MergeResult results[DSTORE_MERGES_MAX];
        WatchKey keys[DSTORE_MERGES_MAX];
        int error;
        Step *prev, *next;
};

struct LmdbStore {
        DStore dstore;
        Loop *loop;
        Db *db;
        DbTxn *snapshot; /* shared by reads inside the callbacks of reads */
        unsigned readers;
        Buffer row; /* the value being written */
        Step *steps;
        WatchedRow *watched;
        KeyHash hash;
        DStoreWatch *calling; /* the next one to be called, which may be freed before */
};

static LmdbStore *lmdb_store(DStore *d) {
        return CONTAINER_OF(d, LmdbStore, dstore);
}

static unsigned kind_table(DirectoryKind kind) {
        switch (kind) {
        case DIRECTORY_NAME:
                return TABLE_NAME;
        case DIRECTORY_USER:
                return TABLE_USER;
        case DIRECTORY_SEEN:
                return TABLE_SEEN;
        case DIRECTORY_PRESENCE: /* soft: nothing for a disk */
                break;
        }
        assert(false);
        return TABLE_META;
}

static DbKey row_key(const uint8_t key[static SHA256_SIZE]) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, key, SHA256_SIZE);
        return k;
}

/* What follows the head; -EUCLEAN for what was not written by this version. */
static int value_body(DbValue v, Bytes *ret) {
        if (v.size < HEAD_SIZE || memcmp(v.data, HEAD, HEAD_SIZE) != 0)
                return -EUCLEAN;
        *ret = (Bytes){.data = v.data + HEAD_SIZE, .size = v.size - HEAD_SIZE};
        return 0;
}

static int value_put(LmdbStore *s, DbTxn *txn, unsigned table, const DbKey *k, Bytes body) {
        int r;

        buffer_clear(&s->row);
        r = buffer_append(&s->row, HEAD, HEAD_SIZE);
        if (r >= 0)
                r = buffer_append(&s->row, body.data, body.size);
        if (r < 0)
                return r;
        return db_put(txn, table, k, buffer_data(&s->row), buffer_size(&s->row));
}

/* Reads */

static int read_begin(LmdbStore *s, DbTxn **ret) {
        int r = 0;

        if (s->readers == 0)
                r = db_read_begin(s->db, &s->snapshot);
        if (r < 0)
                return r;
        s->readers++;
        *ret = s->snapshot;
        return 0;
}

static void read_end(LmdbStore *s) {
        if (--s->readers == 0)
                db_read_end(TAKE_PTR(s->snapshot));
}

static int row_get(
        DbTxn *txn, DirectoryKind kind, const uint8_t key[static SHA256_SIZE], Bytes *ret) {
        DbKey k = row_key(key);
        DbValue v;
        int r;

        *ret = (Bytes){};
        r = db_get(txn, kind_table(kind), &k, &v);
        return r > 0 ? value_body(v, ret) : r;
}

static void lmdb_get(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
        DStoreGetFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        Bytes blob = {};
        DbTxn *txn;
        int r;

        r = read_begin(s, &txn);
        if (r < 0) {
                fn(userdata, r, blob);
                return;
        }
        r = row_get(txn, kind, key, &blob);
        fn(userdata, r, blob);
        read_end(s);
}

static int scan_rows(
        DbTxn *txn, DirectoryKind kind, const uint8_t *after, DStoreScanFn fn, void *userdata) {
        DbKey start = after ? row_key(after) : DB_KEY_NULL;
        DbValue key, value;
        DbCursor c;
        Bytes blob;
        int r;

        r = db_cursor_open(txn, kind_table(kind), &DB_KEY_NULL, &start, false, &c);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&c, &key, &value)) > 0) {
                if (after && key.size == SHA256_SIZE && memcmp(key.data, after, SHA256_SIZE) == 0)
                        continue;
                r = key.size == SHA256_SIZE ? value_body(value, &blob) : -EUCLEAN;
                if (r < 0 || !fn(userdata, key.data, blob))
                        break;
        }
        db_cursor_close(&c);
        return r < 0 ? r : 0;
}

static int lmdb_scan(
        DStore *d, DirectoryKind kind, const uint8_t *after, DStoreScanFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        DbTxn *txn;
        int r;

        r = read_begin(s, &txn);
        if (r < 0)
                return r;
        r = scan_rows(txn, kind, after, fn, userdata);
        read_end(s);
        return r;
}

/* Watches */

static WatchKey watch_key(DirectoryKind kind, const uint8_t key[static SHA256_SIZE]) {
        WatchKey k = {.kind = kind};

        memcpy(k.key, key, SHA256_SIZE);
        return k;
}

static WatchedRow *watched_row_get(LmdbStore *s, const WatchKey *key) {
        unsigned hash = key_hash(&s->hash, key, sizeof(*key));
        WatchedRow *row;

        HASH_FIND_BYHASHVALUE(hh, s->watched, key, sizeof(*key), hash, row);
        if (row)
                return row;
        row = calloc(1, sizeof(*row));
        if (!row)
                return NULL;
        row->key = *key;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, s->watched, &row->key, sizeof(*key), hash, row);
        return TABLE_HAS(row) ? row : mfree(row);
}

static int lmdb_watch(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
        DStoreWatchFn fn, void *userdata, DStoreWatch **ret) {
        LmdbStore *s = lmdb_store(d);
        WatchKey k = watch_key(kind, key);
        DStoreWatch *w = malloc(sizeof(*w));
        WatchedRow *row = w ? watched_row_get(s, &k) : NULL;

        if (!row) {
                free(w);
                return -ENOMEM;
        }
        *w = (DStoreWatch){.store = s, .row = row, .fn = fn, .userdata = userdata};
        DL_APPEND(row->watches, w);
        *ret = w;
        return 0;
}

static void lmdb_unwatch(DStoreWatch *w) {
        LmdbStore *s = w->store;
        WatchedRow *row = w->row;

        if (s->calling == w)
                s->calling = w->next;
        DL_DELETE(row->watches, w);
        free(w);
        if (row->watches)
                return;
        HASH_DEL(s->watched, row);
        free(row);
}

/* The newest blob goes out, which may be that of a later step already. */
static void call_watches(LmdbStore *s, const WatchKey *key) {
        unsigned hash = key_hash(&s->hash, key, sizeof(*key));
        WatchedRow *row;
        DbTxn *txn;
        Bytes blob;

        HASH_FIND_BYHASHVALUE(hh, s->watched, key, sizeof(*key), hash, row);
        if (!row || read_begin(s, &txn) < 0)
                return;
        if (row_get(txn, (DirectoryKind)key->kind, key->key, &blob) >= 0 && blob.size > 0)
                for (DStoreWatch *w = row->watches; w; w = s->calling) {
                        s->calling = w->next;
                        w->fn(w->userdata, blob);
                }
        read_end(s);
}

/* Writes */

static bool step_is_stale(const Step *step) {
        for (size_t i = 0; i < step->n; i++)
                if (step->results[i] == MERGE_STALE)
                        return true;
        return false;
}

static void step_done(void *userdata, int error) {
        Step *step = userdata;
        LmdbStore *s = step->store;

        if (step->error < 0)
                error = step->error;
        for (size_t i = 0; i < step->n && error >= 0 && !step_is_stale(step); i++)
                if (step->results[i] == MERGE_STORED)
                        call_watches(s, &step->keys[i]);
        if (step->fn)
                step->fn(step->userdata, error, step->results);
        DL_DELETE(s->steps, step);
        free(step);
}

/* Decides on all rows before the first is written; in the batch, so that its steps are ordered. */
static int step_decide(Step *step, DbTxn *txn, const DStoreMerge *merges) {
        LmdbStore *s = step->store;
        uint64_t now = loop_realtime(s->loop);
        Bytes old;
        int r;

        buffer_clear(&s->row);
        for (size_t i = 0; i < step->n; i++) {
                r = row_get(txn, merges[i].kind, merges[i].key, &old);
                if (r >= 0)
                        r = merges[i].merge(old, merges[i].blob, now, &step->results[i]);
                if (r < 0)
                        return r;
                step->keys[i] = watch_key(merges[i].kind, merges[i].key);
                if (!buffer_reserve(&s->row, HEAD_SIZE + merges[i].blob.size))
                        return -ENOMEM;
        }
        return 0;
}

/* Once a row is written only the batch as a whole can fail: room for the values is there. */
static int step_merge(Step *step, const DStoreMerge *merges) {
        LmdbStore *s = step->store;
        DbTxn *txn = db_write(s->db);
        int r;

        r = step_decide(step, txn, merges);
        for (size_t i = 0; i < step->n && r >= 0 && !step_is_stale(step); i++) {
                DbKey k = row_key(merges[i].key);

                if (step->results[i] == MERGE_STORED)
                        r = value_put(s, txn, kind_table(merges[i].kind), &k, merges[i].blob);
        }
        return r;
}

static void lmdb_merge(
        DStore *d, const DStoreMerge *merges, size_t n, DStoreMergeFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        Step *step = malloc(sizeof(*step));
        int r = -ENOMEM;

        assert(n <= DSTORE_MERGES_MAX);
        if (step) {
                *step = (Step){.store = s, .fn = fn, .userdata = userdata, .n = n};
                r = db_after_commit(s->db, step_done, step);
        }
        if (r < 0) {
                free(step);
                if (fn)
                        fn(userdata, r, NULL);
                return;
        }
        DL_APPEND(s->steps, step);
        step->error = step_merge(step, merges);
}

static void lmdb_forget(DStore *d, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        Step *step;

        DL_FOREACH(s->steps, step)
                if (step->userdata == userdata)
                        step->fn = NULL;
}

/* Opening and closing */

static int check_schema(LmdbStore *s) {
        DbTxn *txn = db_write(s->db);
        DbKey k = DB_KEY_NULL;
        uint8_t row[sizeof(uint32_t) + STRLEN(SCHEMA_NAME)];
        DbValue v;
        Bytes b;
        int r;

        db_key_bytes(&k, "schema", STRLEN("schema"));
        r = db_get(txn, TABLE_META, &k, &v);
        if (r < 0)
                return r;
        if (r == 0 && !db_is_new(s->db))
                return -EMEDIUMTYPE; /* somebody else's tables are in it */
        if (r == 0) {
                db_set_u32(row, SCHEMA_VERSION);
                memcpy(row + sizeof(uint32_t), SCHEMA_NAME, STRLEN(SCHEMA_NAME));
                r = value_put(s, txn, TABLE_META, &k, (Bytes){.data = row, .size = sizeof(row)});
                return r < 0 ? r : db_commit(s->db);
        }
        if (value_body(v, &b) < 0)
                return -EPROTONOSUPPORT;
        if (b.size != sizeof(row) ||
                memcmp(b.data + sizeof(uint32_t), SCHEMA_NAME, STRLEN(SCHEMA_NAME)) != 0)
                return -EMEDIUMTYPE;
        return db_get_u32(b.data) > SCHEMA_VERSION ? -EPROTONOSUPPORT : 0;
}

static void lmdb_close(DStore *d) {
        LmdbStore *s = lmdb_store(d);

        db_close(s->db);
        assert(!s->steps && !s->watched);
        buffer_done(&s->row);
        free(s);
}

static uint64_t map_size(const char *dir) {
        struct statvfs f;
        uint64_t size = statvfs(dir, &f) < 0 ? 0 : (uint64_t)f.f_blocks * f.f_frsize;

        return CLAMP(size, MAP_SIZE_MIN, MAP_SIZE_MAX) / 65536 * 65536;
}

static unsigned lmdb_caps(DStore *d) {
        return DSTORE_RANGE | DSTORE_WATCH;
}

static const DStoreOps lmdb_ops = {
        .caps = lmdb_caps,
        .rec_get = lmdb_get,
        .rec_merge = lmdb_merge,
        .range_scan = lmdb_scan,
        .watch = lmdb_watch,
        .unwatch = lmdb_unwatch,
        .forget = lmdb_forget,
        .close = lmdb_close,
};

int dstore_lmdb_open(Loop *l, const char *dir, DStore **ret) {
        LmdbStore *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->dstore.ops = &lmdb_ops;
        s->loop = l;
        loop_random(l, &s->hash, sizeof(s->hash));
        r = fs_mkdir_p(dir);
        if (r >= 0)
                r = db_open(dir,
                        &(DbOptions){.tables = TABLES, .map_size = map_size(dir), .loop = l},
                        &s->db);
        if (r >= 0)
                r = check_schema(s);
        if (r < 0) {
                lmdb_close(&s->dstore);
                return r;
        }
        *ret = &s->dstore;
        return 0;
}
