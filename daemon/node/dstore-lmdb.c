/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/dstore-internal.h"

#include <assert.h>
#include <sys/statvfs.h>

#include <utlist.h>

#include "util/fs.h"
#include "util/table.h"

#define SCHEMA_NAME "p2pchat directory"
#define SCHEMA_VERSION 1

static const uint8_t HEAD[ROW_HEAD_SIZE] = {1, 0, 0};

/* For deletions and tombstones on a disk that is full. */
#define RESERVE_SIZE (UINT64_C(8) << 20)

/* Of the map; where that ends is the disk's size at least. */
#define ROOM_PERCENT 95

/* Address space, not disk: the file grows as it is used. */
#define MAP_SIZE_MIN (UINT64_C(16) << 30)
#define MAP_SIZE_MAX (UINT64_C(1) << 40)

static const char *const TABLES[] = {
        [TABLE_META] = "meta",
        [TABLE_NAME] = "name",
        [TABLE_USER] = "user",
        [TABLE_SEEN] = "seen",
        [TABLE_ENTRY] = "entry",
        [TABLE_ITEM] = "item",
        [TABLE_NOTE] = "note",
        [TABLE_DUE] = "due",
        [TABLE_USAGE] = "usage",
        [TABLE_ROOM] = "room",
        [TABLE_ROOMNAME] = "roomname",
        [TABLE_OWNED] = "owned",
        [TABLE_ACCT] = "acct",
        [TABLE_GONE] = "gone",
        [_TABLE_MAX] = NULL,
};

typedef struct WatchKey {
        uint64_t kind;
        uint8_t key[SHA256_SIZE];
} WatchKey;

/* The watches of one row. */
struct WatchedRow {
        WatchKey key;
        DStoreWatch *watches;
        UT_hash_handle hh;
};

struct DStoreWatch {
        LmdbStore *store;
        WatchedRow *row;
        DStoreWatchFn fn;
        void *userdata;
        DStoreWatch *prev, *next;
};

/* A step that joins rows. */
typedef struct MergeStep {
        LmdbStep step;
        DStoreMergeFn fn; /* may be NULL */
        size_t n;
        MergeResult results[DSTORE_MERGES_MAX];
        WatchKey keys[DSTORE_MERGES_MAX];
} MergeStep;

static unsigned kind_table(DirectoryKind kind) {
        switch (kind) {
        case DIRECTORY_NAME:
                return TABLE_NAME;
        case DIRECTORY_USER:
                return TABLE_USER;
        case DIRECTORY_SEEN:
                return TABLE_SEEN;
        case DIRECTORY_ROOM:
                return TABLE_ROOM;
        case DIRECTORY_ROOMNAME:
                return TABLE_ROOMNAME;
        case DIRECTORY_OWNED:
                return TABLE_OWNED;
        case DIRECTORY_ACCT:
                return TABLE_ACCT;
        case DIRECTORY_GONE:
                return TABLE_GONE;
        case DIRECTORY_PRESENCE: /* soft: nothing for a disk */
        case DIRECTORY_MAIL: /* a set */
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

int row_body(DbValue v, Bytes *ret) {
        if (v.size < ROW_HEAD_SIZE || memcmp(v.data, HEAD, ROW_HEAD_SIZE) != 0)
                return -EUCLEAN;
        *ret = (Bytes){.data = v.data + ROW_HEAD_SIZE, .size = v.size - ROW_HEAD_SIZE};
        return 0;
}

int row_reserve(LmdbStore *s, size_t size) {
        buffer_clear(&s->row);
        return buffer_reserve(&s->row, ROW_HEAD_SIZE + size) ? 0 : -ENOMEM;
}

int row_put(LmdbStore *s, DbTxn *txn, unsigned table, const DbKey *k, Bytes a, Bytes b) {
        int r;

        buffer_clear(&s->row);
        r = buffer_append(&s->row, HEAD, ROW_HEAD_SIZE);
        if (r >= 0)
                r = buffer_append(&s->row, a.data, a.size);
        if (r >= 0)
                r = buffer_append(&s->row, b.data, b.size);
        if (r < 0)
                return r;
        return db_put(txn, table, k, buffer_data(&s->row), buffer_size(&s->row));
}

int row_check_room(LmdbStore *s) {
        int r = db_check_room(s->db, ROOM_PERCENT);

        return r == -EDQUOT ? -ENOSPC : r;
}

/* Reads */

int lmdb_read_begin(LmdbStore *s, DbTxn **ret) {
        int r = 0;

        if (s->readers == 0)
                r = db_read_begin(s->db, &s->snapshot);
        if (r < 0)
                return r;
        s->readers++;
        *ret = s->snapshot;
        return 0;
}

void lmdb_read_end(LmdbStore *s) {
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
        return r > 0 ? row_body(v, ret) : r;
}

static void lmdb_get(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
        DStoreGetFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        Bytes blob = {};
        DbTxn *txn;
        int r;

        r = lmdb_read_begin(s, &txn);
        if (r < 0) {
                fn(userdata, r, blob);
                return;
        }
        r = row_get(txn, kind, key, &blob);
        fn(userdata, r, blob);
        lmdb_read_end(s);
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
                r = key.size == SHA256_SIZE ? row_body(value, &blob) : -EUCLEAN;
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

        r = lmdb_read_begin(s, &txn);
        if (r < 0)
                return r;
        r = scan_rows(txn, kind, after, fn, userdata);
        lmdb_read_end(s);
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
        if (!row || lmdb_read_begin(s, &txn) < 0)
                return;
        if (row_get(txn, (DirectoryKind)key->kind, key->key, &blob) >= 0 && blob.size > 0)
                for (DStoreWatch *w = row->watches; w; w = s->calling) {
                        s->calling = w->next;
                        w->fn(w->userdata, blob);
                }
        lmdb_read_end(s);
}

/* Writes */

static void on_commit(void *userdata, int error) {
        LmdbStep *step = userdata;

        step->done(step, step->error < 0 ? step->error : error);
        DL_DELETE(step->store->steps, step);
        free(step);
}

int lmdb_step_new(LmdbStore *s, size_t size, void (*done)(LmdbStep *step, int error),
        void *userdata, LmdbStep **ret) {
        LmdbStep *step = calloc(1, size);
        int r = -ENOMEM;

        if (step)
                r = db_after_commit(s->db, on_commit, step);
        if (r < 0) {
                free(step);
                return r;
        }
        step->store = s;
        step->done = done;
        step->userdata = userdata;
        DL_APPEND(s->steps, step);
        *ret = step;
        return 0;
}

static bool merge_has(const MergeStep *m, MergeResult result) {
        for (size_t i = 0; i < m->n; i++)
                if (m->results[i] == result)
                        return true;
        return false;
}

static void merge_done(LmdbStep *step, int error) {
        MergeStep *m = CONTAINER_OF(step, MergeStep, step);

        for (size_t i = 0; i < m->n && error >= 0 && !merge_has(m, MERGE_STALE); i++)
                if (m->results[i] == MERGE_STORED)
                        call_watches(step->store, &m->keys[i]);
        if (m->fn && !step->forgotten)
                m->fn(step->userdata, error, m->results);
}

/* Decides on all rows before the first is written; in the batch, so that its steps are ordered.
 * What makes room is not refused for want of it. */
static int merge_decide(MergeStep *m, DbTxn *txn, const DStoreMerge *merges) {
        LmdbStore *s = m->step.store;
        uint64_t now = loop_realtime(s->loop);
        size_t largest = 0;
        Bytes old;
        int r;

        for (size_t i = 0; i < m->n; i++) {
                r = row_get(txn, merges[i].kind, merges[i].key, &old);
                if (r >= 0)
                        r = merges[i].merge(old, merges[i].blob, now, &m->results[i]);
                if (r < 0)
                        return r;
                m->keys[i] = watch_key(merges[i].kind, merges[i].key);
                largest = MAX(largest, merges[i].blob.size);
        }
        r = row_reserve(s, largest);
        if (r < 0 || !merge_has(m, MERGE_STORED) || merge_has(m, MERGE_REMOVED))
                return r;
        return row_check_room(s);
}

/* Once a row is written only the batch as a whole can fail: room for the values is there. */
static int merge_write(MergeStep *m, const DStoreMerge *merges) {
        LmdbStore *s = m->step.store;
        DbTxn *txn = db_write(s->db);
        int r;

        r = merge_decide(m, txn, merges);
        for (size_t i = 0; i < m->n && r >= 0 && !merge_has(m, MERGE_STALE); i++) {
                DbKey k = row_key(merges[i].key);

                if (m->results[i] == MERGE_STORED)
                        r = row_put(
                                s, txn, kind_table(merges[i].kind), &k, merges[i].blob, (Bytes){});
                else if (m->results[i] == MERGE_REMOVED)
                        r = db_del(txn, kind_table(merges[i].kind), &k);
        }
        return r;
}

static void lmdb_merge(
        DStore *d, const DStoreMerge *merges, size_t n, DStoreMergeFn fn, void *userdata) {
        LmdbStep *step;
        MergeStep *m;
        int r;

        assert(n <= DSTORE_MERGES_MAX);
        r = lmdb_step_new(lmdb_store(d), sizeof(*m), merge_done, userdata, &step);
        if (r < 0) {
                if (fn)
                        fn(userdata, r, NULL);
                return;
        }
        m = CONTAINER_OF(step, MergeStep, step);
        m->fn = fn;
        m->n = n;
        step->error = merge_write(m, merges);
}

static void lmdb_forget(DStore *d, void *userdata) {
        LmdbStep *step;

        DL_FOREACH (lmdb_store(d)->steps, step)
                if (step->userdata == userdata)
                        step->forgotten = true;
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
                r = row_put(s, txn, TABLE_META, &k, (Bytes){row, sizeof(row)}, (Bytes){});
                return r < 0 ? r : db_commit(s->db);
        }
        if (row_body(v, &b) < 0)
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
        .set_add = lmdb_set_add,
        .set_list = lmdb_set_list,
        .set_find = lmdb_set_find,
        .set_ack = lmdb_set_ack,
        .set_note = lmdb_set_note,
        .set_withdraw = lmdb_set_withdraw,
        .set_expire = lmdb_set_expire,
        .set_clear = lmdb_set_clear,
        .set_usage = lmdb_set_usage,
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
        db_set_reserve(s->db, RESERVE_SIZE);
        *ret = &s->dstore;
        return 0;
}
