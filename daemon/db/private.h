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
        uint64_t bytes; /* of the rows written */
        MDB_cursor *near[DB_TABLES_MAX]; /* the batch's, which LMDB closes with it */
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
        void *userdata;
        LoopDefer *idle, *post;
        LoopDefer *full; /* armed by write DB_BATCH_WRITES; `post` can miss the first handler */
        DbTxn batch;
        uint64_t batch_number;
        usec_t batch_since;
        bool batch_open;
        Waiter *waiters; /* for the open batch */
        size_t n_waiters, allocated_waiters;
        Waiter *calling; /* of the batch that has just been committed */
        size_t n_calling;
        DbTxn snapshot;
        bool snapshot_open;
        bool reopen; /* as soon as the snapshot ends */
        usec_t next_open, next_look; /* not before */

        /* room.c */
        uint64_t limit; /* 0: the map */
        uint64_t reserve_want, reserve, reserve_given_up; /* bytes */
        bool disk_full; /* the reserve had to go, or could not be had */
        size_t unused, unused_at; /* free pages, as of that transaction */
        bool unused_known;

        DbWatchFn watch;
        void *watch_userdata;
        bool changed; /* the watcher is to be told */
        DbStats stats;
};

/* LMDB's own codes are negative and small; the rest are errno values. */
int db_errno(int e);

/* Makes the tables that are missing, in the batch. */
int db_make_tables(DbTxn *txn);

/* Looks at the file in PATH from a child process. LMDB believes what a file says of itself: with a
 * damaged one it may run into an assertion, or off the end of the file. -EUCLEAN when it did, or
 * when pages are missing; 0 when it did not, or nothing could be found out. */
int db_probe(const char *path, const char *const *names);

/* Free pages from page FROM on; LMDB's own codes. */
int db_count_free(MDB_txn *txn, size_t from, size_t *ret);

/* Opens the environment again when it had to be closed: 0, or why there is none. Tried at most
 * once a second. */
int db_ensure_open(Db *db);
void db_reopen(Db *db);

/* What the error of a write means. Where it is a full disk, whatever it is called, the reserve is
 * given up: -ENOSPC. */
int db_full_error(Db *db, int error);
void db_set_full(Db *db, bool full);

/* The store is not what was written. */
void db_note_damage(Db *db);
