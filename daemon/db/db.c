/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "db/private.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/fs.h"

int db_errno(int e) {
        switch (e) {
        case MDB_SUCCESS:
                return 0;
        case MDB_MAP_FULL:
                return -ENOSPC;
        case MDB_CORRUPTED:
        case MDB_PAGE_NOTFOUND:
        case MDB_PANIC:
        case MDB_INVALID:
        case MDB_VERSION_MISMATCH:
                return -EUCLEAN;
        case MDB_INCOMPATIBLE:
                return -EMEDIUMTYPE;
        case MDB_NOTFOUND:
                return -ENOENT;
        case MDB_BAD_VALSIZE:
                return -EINVAL;
        default:
                return e > 0 ? -e : -EIO;
        }
}

/* Tables that are missing are made by the first write, not here: what turns out to be somebody
 * else's or a newer version's stays as it is. */
static int db_open_tables(Db *db) {
        MDB_stat st;
        MDB_txn *txn;
        int e;

        e = mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn);
        if (e)
                return db_errno(e);
        for (unsigned i = 0; db->names[i] && e == 0; i++) {
                assert(i < DB_TABLES_MAX);
                e = mdb_dbi_open(txn, db->names[i], 0, &db->tables[i]);
                db->exists[i] = e == 0;
                if (e == MDB_NOTFOUND)
                        e = 0;
        }
        if (!e)
                e = mdb_env_stat(db->env, &st);
        if (e) {
                mdb_txn_abort(txn);
                return db_errno(e);
        }
        db->is_new = st.ms_entries == 0;
        return db_errno(mdb_txn_commit(txn));
}

/* The watcher is told when the handler is over. */
static void note_change(Db *db) {
        db->changed = true;
        loop_defer_arm(db->idle, true);
}

void db_note_damage(Db *db) {
        if (db->stats.damaged)
                return;
        db->stats.damaged = true;
        note_change(db);
}

void db_set_full(Db *db, bool full) {
        if (db->disk_full == full)
                return;
        db->disk_full = full;
        note_change(db);
}

int db_make_tables(DbTxn *txn) {
        Db *db = txn->db;

        for (unsigned i = 0; db->names[i]; i++) {
                int e = db->exists[i]
                        ? 0
                        : mdb_dbi_open(txn->txn, db->names[i], MDB_CREATE, &db->tables[i]);

                if (e) {
                        txn->error = db_errno(e);
                        return txn->error;
                }
        }
        db->created = true;
        return 0;
}

static void db_env_close(Db *db) {
        if (db->snapshot.txn)
                mdb_txn_abort(db->snapshot.txn);
        db->snapshot.txn = NULL;
        if (db->env)
                mdb_env_close(db->env);
        db->env = NULL;
}

/* Where address space is scarce (a limit, a debugger) less of it will do, down to this. */
#define MAP_SIZE_LEAST (UINT64_C(64) << 20)

/* LMDB writes its lock file through memory, where a full disk is a deadly signal. */
#define LOCK_FILE_SIZE 8192

static int allocate_lock_file(const Db *db) {
        _cleanup_(freep) char *path = fs_join(db->path, "lock.mdb");
        _cleanup_(closep) int fd = -EBADF;
        struct stat st;
        int e;

        if (!path)
                return ENOMEM;
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno;
        if (st.st_blocks * 512 >= LOCK_FILE_SIZE)
                return 0;
        e = posix_fallocate(fd, 0, LOCK_FILE_SIZE);
        return e == ENOSPC || e == EDQUOT ? e : 0;
}

static int env_open(Db *db, uint64_t map_size) {
        int e;

        e = allocate_lock_file(db);
        if (!e)
                e = mdb_env_create(&db->env);
        if (e)
                return e;
        e = mdb_env_set_mapsize(db->env, map_size);
        if (!e)
                e = mdb_env_set_maxdbs(db->env, DB_TABLES_MAX);
        /* Snapshots beside the batch on one thread need MDB_NOTLS. */
        if (!e)
                e = mdb_env_open(db->env, db->path, MDB_NOTLS, 0600);
        return e;
}

static int db_env_open(Db *db) {
        uint64_t size = db->map_size;
        int e;

        while ((e = env_open(db, size)) && (e == ENOMEM || e == EINVAL) &&
                size / 2 >= MAP_SIZE_LEAST) {
                db_env_close(db);
                size /= 2;
        }
        return e ? db_errno(e) : db_open_tables(db);
}

/* A second process would not harm the file, but each would wait for the other's open batch. */
static int db_lock(Db *db) {
        db->lock_fd = open(db->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (db->lock_fd < 0 || flock(db->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return -errno;
        return 0;
}

static void on_idle(void *userdata) {
        (void)db_commit(userdata);
}

static usec_t batch_age_max(const Db *db) {
        return CLAMP(3 * db->stats.last, DB_BATCH_AGE, DB_BATCH_AGE_MAX);
}

static void on_post(void *userdata) {
        Db *db = userdata;

        /* Without a batch there is nothing to wait for, only callbacks to be called. */
        if (!db->batch_open || loop_now(db->loop) - db->batch_since >= batch_age_max(db))
                (void)db_commit(db);
}

/* Half of a new file would be a damaged one the next time. */
static int db_open_first(Db *db) {
        _cleanup_(freep) char *file = fs_join(db->path, "data.mdb");
        struct stat st;
        bool fresh;
        int r;

        if (!file)
                return -ENOMEM;
        fresh = stat(file, &st) < 0 && errno == ENOENT;
        r = db_probe(db->path, db->names);
        if (r >= 0)
                r = db_env_open(db);
        if (r < 0 && fresh) {
                db_env_close(db);
                (void)unlink(file);
        }
        return r < 0 ? db_full_error(db, r) : r;
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
        db->userdata = options->userdata;
        db->lock_fd = -EBADF;
        db->batch_number = 1;
        r = db->path ? db_lock(db) : -ENOMEM;
        if (r >= 0)
                r = db_open_first(db);
        if (r >= 0)
                r = loop_defer_new(db->loop, LOOP_DEFER_IDLE, on_idle, db, &db->idle);
        if (r >= 0)
                r = loop_defer_new(db->loop, LOOP_DEFER_POST, on_post, db, &db->post);
        if (r >= 0)
                r = loop_defer_new(db->loop, LOOP_DEFER_SOON, on_idle, db, &db->full);
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
        loop_defer_free(db->full);
        db_env_close(db);
        safe_close(db->lock_fd);
        free(db->waiters);
        free(db->path);
        free(db);
        return NULL;
}

uint64_t db_batch_number(const Db *db) {
        return db->batch_number;
}

void *db_userdata(const DbTxn *txn) {
        return txn->db->userdata;
}

bool db_is_new(const Db *db) {
        return db->is_new;
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
        db->batch.error = db_ensure_open(db);
        if (db->batch.error >= 0)
                db->batch.error = db_errno(mdb_txn_begin(db->env, NULL, 0, &db->batch.txn));
        db->batch_open = true;
        db->created = false;
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

/* The disk's part of it. */
static int batch_write(Db *db) {
        usec_t begin = loop_clock(db->loop);
        int e;

        e = mdb_txn_commit(db->batch.txn);
        db->stats.last = loop_clock(db->loop) - begin;
        db->stats.slowest = MAX(db->stats.slowest, db->stats.last);
        db->changed |= db->stats.last >= DB_COMMIT_SLOW;
        return db_errno(e);
}

static int batch_commit(Db *db) {
        int r = db->batch.error;

        if (r >= 0)
                r = batch_write(db);
        else if (db->batch.txn)
                mdb_txn_abort(db->batch.txn);
        if (r == -EUCLEAN)
                db_note_damage(db);
        if (r < 0)
                return db->env ? db_full_error(db, r) : r;
        for (unsigned i = 0; db->created && db->names[i]; i++)
                db->exists[i] = true;
        db->is_new = db->is_new && !db->created;
        db->stats.commits++;
        db->stats.writes += db->batch.writes;
        return 0;
}

/* How long until opening is tried again. */
#define OPEN_INTERVAL USEC_PER_SEC

/* LMDB may run into an assertion in a damaged file: that is for a child process to find out. */
static int env_reopen(Db *db) {
        int r = 0;

        if (db->stats.damaged)
                r = db_probe(db->path, db->names);
        return r < 0 ? r : db_env_open(db);
}

/* After a failed write LMDB's environment cannot be trusted to have room or a sane map. */
void db_reopen(Db *db) {
        int r;

        db->reopen = db->snapshot_open;
        if (db->reopen)
                return;
        db_env_close(db);
        db->unused_known = false;
        r = env_reopen(db);
        if (r < 0)
                db_env_close(db);
        db->changed |= r != db->stats.open_error;
        db->stats.open_error = r;
        db->next_open = loop_now(db->loop) + OPEN_INTERVAL;
}

int db_ensure_open(Db *db) {
        if (!db->env && loop_now(db->loop) >= db->next_open)
                db_reopen(db);
        return db->env ? 0 : db->stats.open_error;
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

static void tell_watch(Db *db) {
        bool changed = db->changed;

        db->changed = false;
        if (changed && db->watch)
                db->watch(db->watch_userdata);
}

void db_set_watch(Db *db, DbWatchFn fn, void *userdata) {
        db->watch = fn;
        db->watch_userdata = userdata;
}

int db_commit(Db *db) {
        int r = 0;

        assert(!db->calling);
        batch_arm(db, false);
        loop_defer_arm(db->full, false);
        db->calling = TAKE_PTR(db->waiters);
        db->n_calling = db->n_waiters;
        db->n_waiters = db->allocated_waiters = 0;
        db->batch_number++;
        if (db->batch_open) {
                db->batch_open = false;
                r = batch_commit(db);
                /* Whoever still holds it gets an error instead of a transaction that is gone. */
                db->batch.txn = NULL;
                db->batch.error = -ENOTCONN;
                db->changed |= db->stats.last_error != r;
                db->stats.last_error = r;
                if (r < 0 && db->env)
                        db_reopen(db);
        }
        call_waiters(db, r);
        tell_watch(db);
        return r;
}

/* Snapshots */

int db_read_begin(Db *db, DbTxn **ret) {
        int e;

        assert(!db->snapshot_open);
        e = db_ensure_open(db);
        if (e < 0)
                return e;
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
        if (txn->db->reopen)
                db_reopen(txn->db);
}

int db_error(const DbTxn *txn) {
        return txn->error;
}

void db_fail(DbTxn *txn, int error) {
        assert(error < 0);
        if (txn->error >= 0)
                txn->error = error;
}
