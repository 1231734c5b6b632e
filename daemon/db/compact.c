/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "db/private.h"

#include <fcntl.h>
#include <stdio.h>

#include "util/fs.h"

/* A copy without free pages. */
static int write_copy(Db *db, const char *path) {
        _cleanup_(closep) int fd = -EBADF;
        int e;

        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        e = mdb_env_copyfd2(db->env, fd, MDB_CP_COMPACT);
        if (e)
                return db_errno(e);
        return fsync(fd) < 0 ? -errno : 0;
}

/* Which of the two files is there after a power cut does not matter. */
static int replace_file(Db *db, const char *copy, const char *file) {
        int r;

        r = write_copy(db, copy);
        if (r >= 0 && rename(copy, file) < 0)
                r = -errno;
        if (r < 0) {
                (void)unlink(copy);
                return r;
        }
        db_reopen(db);
        if (!db->env)
                return db->stats.open_error;
        return fsync(db->lock_fd) < 0 ? -errno : 0;
}

int db_compact(Db *db) {
        _cleanup_(freep) char *file = fs_join(db->path, "data.mdb");
        _cleanup_(freep) char *copy = fs_join(db->path, "data.mdb.new");
        int r;

        r = file && copy ? db_commit(db) : -ENOMEM;
        if (r >= 0)
                r = db_ensure_open(db);
        return r < 0 ? r : replace_file(db, copy, file);
}
