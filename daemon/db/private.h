/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of db/ share. */

#include <lmdb.h>

#include "db/db.h"

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
        bool exists[DB_TABLES_MAX]; /* the table is there, committed */
        bool created; /* the open batch has made those that were missing */
        bool is_new;
        char *path;
        int lock_fd;
        const char *const *names;
        uint64_t map_size;
        Loop *loop;
        LoopDefer *idle, *post;
        LoopDefer *full; /* armed by write DB_BATCH_WRITES; `post` can miss the first handler */
        DbTxn batch;
        usec_t batch_since;
        bool batch_open;
        Waiter *waiters; /* for the open batch */
        size_t n_waiters, allocated_waiters;
        Waiter *calling; /* of the batch that has just been committed */
        size_t n_calling;
        DbTxn snapshot;
        bool snapshot_open;
        bool reopen; /* as soon as the snapshot ends */
        DbStats stats;
};

/* LMDB's own codes are negative and small; the rest are errno values. A full disk shows as EIO
 * (a short write), so that both mean the same to callers. */
int db_errno(int e);

/* Makes the tables that are missing, in the batch. */
int db_make_tables(DbTxn *txn);

/* Looks at the file in PATH from a child process. LMDB believes what a file says of itself: with a
 * damaged one it may run into an assertion, or off the end of the file. -EUCLEAN when it did, or
 * when pages are missing; 0 when it did not, or nothing could be found out. */
int db_probe(const char *path, const char *const *names, uint64_t map_size);

/* Free pages from page FROM on; LMDB's own codes. */
int db_count_free(MDB_txn *txn, size_t from, size_t *ret);
