/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The disks of machines. The linker puts these functions in the place of LMDB's and the system's
 * (see meson.build). Commits are where a program can die, with the commit or without it; what comes
 * to the disk is not synchronized, since a program that dies leaves the page cache alone.
 */

#include <lmdb.h>
#include <sys/statvfs.h>

#include "faults.h"
#include "loop-virtual.h"
#include "machine.h"
#include "people.h"
#include "user.h"

#define BLOCK_SIZE 4096
#define RESERVE_MIN (64 * 1024)
#define BLOCKS (UINT64_C(16) << 30 >> 12)

int __real_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode);
int __real_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret);
int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret);
int __real_mdb_txn_commit(MDB_txn *txn);
int __wrap_mdb_txn_commit(MDB_txn *txn);
int __wrap_statvfs64(const char *path, struct statvfs *ret);
int __real_posix_fallocate64(int fd, off_t offset, off_t size);
int __wrap_posix_fallocate64(int fd, off_t offset, off_t size);
int __wrap_db_probe(const char *path, const char *const *names);

static bool fails(Machine *m) {
        if (!m || m->disk.failing == 0)
                return false;
        m->disk.failing--;
        machine_disturbed(m);
        return true;
}

int __wrap_mdb_env_open(MDB_env *env, const char *path, unsigned flags, mdb_mode_t mode) {
        if (fails(world_acting()))
                return EIO;
        return __real_mdb_env_open(env, path, flags | MDB_NOSYNC, mode);
}

/* Those that write, in a process that takes turns: a tracker has two databases. */
#define WRITERS_MAX 2

static MDB_txn *writing[MACHINES_MAX][WRITERS_MAX];

/* NULL where there is none. */
static MDB_txn **find_writer(const Machine *m, const MDB_txn *txn) {
        for (size_t i = 0; i < WRITERS_MAX; i++)
                if (writing[m->number][i] == txn)
                        return &writing[m->number][i];
        return NULL;
}

int __wrap_mdb_txn_begin(MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **ret) {
        const Machine *m = world_acting();
        int e = __real_mdb_txn_begin(env, parent, flags, ret);
        MDB_txn **writer;

        if (e == 0 && m && !(flags & MDB_RDONLY) && (writer = find_writer(m, NULL)))
                *writer = *ret;
        return e;
}

static int commit(Machine *m, MDB_txn *txn) {
        int e;

        if (m->disk.slow > 0)
                loop_virtual_stall(m->loop, m->disk.slow);
        if (!machine_call(m) || fails(m) || m->disk.full) {
                m->failures++;
                machine_disturbed(m);
                world_trace(m->world, m, "does not commit");
                mdb_txn_abort(txn);
                return m->disk.full ? ENOSPC : EIO;
        }
        e = __real_mdb_txn_commit(txn);
        m->commits++;
        world_trace(m->world, m, "commits");
        if (e == 0 && m->user)
                user_look(m->user);
        if (e == 0 && m->seat)
                seat_look(m->seat);
        (void)machine_call(m);
        return e;
}

int __wrap_mdb_txn_commit(MDB_txn *txn) {
        Machine *m = world_acting();

        MDB_txn **writer = m ? find_writer(m, txn) : NULL;

        if (!writer)
                return __real_mdb_txn_commit(txn);
        *writer = NULL;
        return commit(m, txn);
}

static bool is_full(void) {
        return world_acting() && world_acting()->disk.full;
}

int __wrap_statvfs64(const char *path, struct statvfs *ret) {
        *ret = (struct statvfs){.f_bsize = BLOCK_SIZE,
                .f_frsize = BLOCK_SIZE,
                .f_blocks = BLOCKS,
                .f_bfree = is_full() ? 0 : BLOCKS,
                .f_bavail = is_full() ? 0 : BLOCKS};
        return 0;
}

/* A reserve need not be there; what the locks lie in is asked for its blocks. */
int __wrap_posix_fallocate64(int fd, off_t offset, off_t size) {
        if (is_full())
                return ENOSPC;
        return size > RESERVE_MIN ? 0 : __real_posix_fallocate64(fd, offset, size);
}

/* For damaged files, which there are none of. */
int __wrap_db_probe(const char *path, const char *const *names) {
        return 0;
}
