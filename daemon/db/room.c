/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How much is taken, how much there is, and the reserve: a file of real blocks beside LMDB's,
 * whose room is there for deletions when the disk has none left. */

#include "db/private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "util/fs.h"

/* A reserve below this helps nobody. */
#define RESERVE_LEAST (UINT64_C(64) * 1024)

/* Somebody who wants to write costs a look at the disk at most this often. */
#define LOOK_INTERVAL USEC_PER_SEC

/* What cannot be found out is not nothing: an error has other reasons then. */
static uint64_t bytes_free(const Db *db) {
        struct statvfs f;

        return statvfs(db->path, &f) < 0 ? UINT64_MAX / 4 : (uint64_t)f.f_bavail * f.f_frsize;
}

/* Use */

/* Pages of the file that nothing uses; counted once for each commit. */
static size_t pages_unused(Db *db, size_t txn_id) {
        MDB_txn *txn;
        size_t n;

        if (db->unused_known && db->unused_at == txn_id)
                return db->unused;
        if (mdb_txn_begin(db->env, NULL, MDB_RDONLY, &txn) != 0)
                return db->unused;
        if (db_count_free(txn, 0, &n) == 0) {
                db->unused = n;
                db->unused_at = txn_id;
                db->unused_known = true;
        }
        mdb_txn_abort(txn);
        return db->unused;
}

/* What is in the open batch counts as it was written. More than BOUND need not be known exactly:
 * the free pages are counted only where they may matter. */
static uint64_t bytes_used(Db *db, uint64_t bound) {
        uint64_t batch = db->batch_open ? db->batch.bytes : 0;
        MDB_envinfo info;
        size_t pages, unused;
        MDB_stat st;

        if (!db->env || mdb_env_info(db->env, &info) != 0 || mdb_env_stat(db->env, &st) != 0)
                return 0;
        pages = info.me_last_pgno + 1;
        if ((uint64_t)pages * st.ms_psize + batch < bound)
                return (uint64_t)pages * st.ms_psize + batch;
        unused = pages_unused(db, info.me_last_txnid);
        return (uint64_t)(pages - MIN(unused, pages)) * st.ms_psize + batch;
}

/* The reserve */

static int reserve_open(const Db *db) {
        _cleanup_(freep) char *path = fs_join(db->path, "reserve");
        int fd;

        if (!path)
                return -ENOMEM;
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

static uint64_t reserve_held(int fd) {
        struct stat st;

        return fstat(fd, &st) < 0 ? 0 : MIN((uint64_t)st.st_size, (uint64_t)st.st_blocks * 512);
}

/* Makes it as large as it may be: at most a quarter of what is free. One that was given up comes
 * back when as much again is free beside it, or it would be given up at once. */
static int reserve_allocate(Db *db, int fd) {
        uint64_t held = reserve_held(fd), room = bytes_free(db) + held;
        uint64_t want = MIN(db->reserve_want, room / 4);
        int e;

        db->reserve = held;
        if (held == 0 && (want < RESERVE_LEAST || room < 2 * db->reserve_given_up))
                return -ENOSPC;
        if (want <= held || (want < 2 * held && want < db->reserve_want))
                return 0; /* not worth it yet */
        e = posix_fallocate(fd, 0, (off_t)want);
        if (e == 0)
                db->reserve = want;
        return db->reserve > 0 ? 0 : -e;
}

static void reserve_take(Db *db) {
        _cleanup_(closep) int fd = reserve_open(db);
        int r;

        r = fd < 0 ? fd : reserve_allocate(db, fd);
        /* Where there can be none for another reason, writing works without. */
        db_set_full(db, r == -ENOSPC || r == -EDQUOT);
}

/* The blocks are there for others when the file system's journal says so. */
static void reserve_give_up(Db *db) {
        _cleanup_(closep) int fd = reserve_open(db);

        if (fd < 0 || ftruncate(fd, 0) < 0)
                return;
        (void)fsync(fd);
        db->reserve_given_up = MAX(db->reserve, db->reserve_given_up / 2);
        db->reserve = 0;
}

/* At most once in a while, however many ask. */
static bool look_is_due(Db *db) {
        usec_t now = loop_now(db->loop);

        if (now < db->next_look)
                return false;
        db->next_look = now + LOOK_INTERVAL;
        return true;
}

static void reserve_look(Db *db) {
        if ((db->disk_full || db->reserve < db->reserve_want) && look_is_due(db))
                reserve_take(db);
}

void db_set_reserve(Db *db, uint64_t size) {
        db->reserve_want = size;
        reserve_take(db);
}

int db_full_error(Db *db, int error) {
        bool no_room = error == -ENOSPC || error == -EDQUOT;

        /* LMDB says EIO when a write comes out short; a disk that is broken has room. */
        if (error == -EIO)
                no_room = bytes_free(db) < MAX(db->reserve, RESERVE_LEAST);
        if (!no_room)
                return error;
        if (db->reserve > 0)
                reserve_give_up(db);
        db->next_look = loop_now(db->loop) + LOOK_INTERVAL;
        if (db->reserve_want > 0)
                db_set_full(db, true);
        return -ENOSPC;
}

/* For the owner */

void db_set_limit(Db *db, uint64_t limit) {
        db->limit = limit;
        if (limit == 0 || db->map_size / 2 >= limit)
                return;
        db->map_size = 2 * limit;
        if (db->batch_open)
                (void)db_commit(db);
        db_reopen(db);
}

static uint64_t limit_of(const Db *db) {
        return db->limit ?: db->map_size;
}

int db_check_room(Db *db, unsigned percent) {
        uint64_t most = limit_of(db) / 100 * percent;
        int r;

        r = db_ensure_open(db);
        if (r < 0)
                return r;
        reserve_look(db);
        if (db->disk_full)
                return -ENOSPC;
        return bytes_used(db, most) < most ? 0 : -EDQUOT;
}

void db_get_room(Db *db, DbRoom *ret) {
        if (db_ensure_open(db) >= 0)
                reserve_look(db);
        *ret = (DbRoom){.used = bytes_used(db, 0),
                .limit = limit_of(db),
                .free = bytes_free(db),
                .reserve = db->reserve > 0,
                .full = db->disk_full};
}
