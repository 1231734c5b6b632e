/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How much is taken, and how much there is. */

#include "db/private.h"

#include <sys/statvfs.h>

/* Pages of the file that nothing uses, as of the last commit. */
static int free_pages(MDB_env *env, size_t *ret) {
        MDB_txn *txn;
        int e;

        e = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
        if (e)
                return db_errno(e);
        e = db_count_free(txn, 0, ret);
        mdb_txn_abort(txn);
        return db_errno(e);
}

static uint64_t bytes_used(const Db *db) {
        MDB_envinfo info;
        size_t unused;
        MDB_stat st;

        if (!db->env || mdb_env_info(db->env, &info) != 0 || mdb_env_stat(db->env, &st) != 0)
                return 0;
        if (free_pages(db->env, &unused) < 0 || unused > info.me_last_pgno)
                unused = 0;
        return (uint64_t)(info.me_last_pgno + 1 - unused) * st.ms_psize;
}

static uint64_t bytes_free(const Db *db) {
        struct statvfs f;

        return statvfs(db->path, &f) < 0 ? 0 : (uint64_t)f.f_bavail * f.f_frsize;
}

void db_get_room(Db *db, DbRoom *ret) {
        *ret = (DbRoom){.used = bytes_used(db), .limit = db->map_size, .free = bytes_free(db)};
}
