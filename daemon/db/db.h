/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * An LMDB environment with group commit.
 *
 * All writes made while events are pending join one transaction, the batch. It is committed when
 * the loop has nothing else ready, and at the end of any handler that finds it with DB_BATCH_WRITES
 * writes or too old. A low-priority source alone would starve beside one busy descriptor, and a
 * timer would be late; a check after each handler is neither. Too old is DB_BATCH_AGE, or three
 * times as long as the last commit took where that is more, up to DB_BATCH_AGE_MAX: under load a
 * slow disk then has a quarter of the time, and the messages the rest.
 *
 * Nothing that depends on a write may leave before db_after_commit() has called back. A failed
 * batch has written nothing: every callback gets the error, and the environment is opened anew.
 * Where that fails, it is tried again when somebody wants to read or write.
 *
 * A transaction has a sticky error: after the first failure its calls do nothing, and the commit
 * reports it. Decisions that lead to a write read in the batch; answers to users read a snapshot of
 * what is committed. No snapshot lives across a return to the loop, no transaction of db_write()
 * across a commit.
 *
 * Keys are composed of big-endian integers and fixed bytes, so that LMDB's order is the order of
 * the fields.
 */

#include "util/loop.h"

#define DB_BATCH_WRITES 8192 /* rows; a message has seven or eight */
#define DB_BATCH_AGE (2 * USEC_PER_MSEC)
#define DB_BATCH_AGE_MAX (100 * USEC_PER_MSEC)
#define DB_KEY_MAX 128
#define DB_TABLES_MAX 48

/* A commit that takes longer than this is worth a word. */
#define DB_COMMIT_SLOW USEC_PER_SEC

typedef struct Db Db;
typedef struct DbTxn DbTxn;

typedef struct DbOptions {
        const char *const *tables; /* names, NULL-terminated; a table is its index */
        uint64_t map_size; /* bytes of address space, sparse */
        Loop *loop;
        void *userdata;
} DbOptions;

/* PATH is a directory, created 0700, and locked: -EWOULDBLOCK where another process has it open.
 * -EUCLEAN: damaged; -EMEDIUMTYPE: an LMDB file, but with something else in it; -ENOSPC: no room;
 * -EPERM and the like as they come. Nothing is written to a file that is there: tables that are
 * missing are made by the first write, so that the caller can look and refuse. */
int db_open(const char *path, const DbOptions *options, Db **ret);

/* Commits what is pending first, with its callbacks. */
Db *db_close(Db *db);

/* What the options had, for who has only a transaction. */
void *db_userdata(const DbTxn *txn) _pure_;

/* Nothing has ever been committed to it. */
bool db_is_new(const Db *db);

/* Which batch this is, from 1: what is remembered of one means nothing in the next. */
uint64_t db_batch_number(const Db *db);

/* Figures for status, doctor and tests. */
typedef struct DbStats {
        uint64_t commits, writes; /* since the start */
        usec_t slowest, last; /* the longest commit, and the last one */
        int last_error; /* of the last batch, 0 when it went well */
        int open_error; /* why the environment is closed, 0 while it is open */
        bool damaged; /* something was read that cannot have been written */
} DbStats;

const DbStats *db_stats(const Db *db);

/* FN after a commit that was slower than DB_COMMIT_SLOW, and when last_error, open_error, damaged
 * or the room's `full` have changed. It must not write. */
typedef void (*DbWatchFn)(void *userdata);

void db_set_watch(Db *db, DbWatchFn fn, void *userdata);

/* Room. LMDB needs some of it to delete as well: a reserve is kept in a file beside the
 * environment, and its room given up when the disk is full. From then on nothing new should come in
 * until the reserve is had again; that is looked for when somebody asks. */

/* Bytes that may be used; 0: as many as the map has. The map grows to twice as much. Not from a
 * callback, nor during a snapshot; what is pending is committed first. */
void db_set_limit(Db *db, uint64_t limit);

/* Bytes to hold, or a quarter of what is free. Not before the file is known to be one's own. */
void db_set_reserve(Db *db, uint64_t size);

/* Commits, and puts a copy in place of the file that has nothing of what was overwritten or
 * deleted. It needs room for that beside the file. Not from a callback, nor during a snapshot. */
int db_compact(Db *db);

/* Whether something new may be written: 0, or -ENOSPC: the disk is full; -EDQUOT: PERCENT of the
 * limit are used; else why the environment is not open. */
int db_check_room(Db *db, unsigned percent);

typedef struct DbRoom {
        uint64_t used; /* pages in use: those that are free within the file are left out */
        uint64_t limit; /* of `used` */
        uint64_t free; /* on the file system, for this user */
        bool reserve; /* it is held, if in part */
        bool full; /* it is not, though it should be */
} DbRoom;

void db_get_room(Db *db, DbRoom *ret);

/* The batch's transaction, begun if there is none. Never NULL: what could not begin is a
 * transaction with an error. */
DbTxn *db_write(Db *db);

/* Calls FN after the batch that is open now has been committed, or with the error that made it
 * fail; at once (after the present handler) when none is open. In order of registration. */
typedef void (*DbCommitFn)(void *userdata, int error);

int db_after_commit(Db *db, DbCommitFn fn, void *userdata);

/* Forgets callbacks that would get USERDATA; for owners that go away. */
void db_forget(Db *db, void *userdata);

/* Commits at once, callbacks included; not from a callback. Returns the batch's error. */
int db_commit(Db *db);

/* A snapshot of what is committed. To be ended before returning to the loop. */
int db_read_begin(Db *db, DbTxn **ret);
void db_read_end(DbTxn *txn);
DEFINE_CLEANUP(DbTxn *, db_read_end)

int db_error(const DbTxn *txn);

/* Makes the transaction fail, for who finds in the middle of several writes that they cannot be
 * completed. */
void db_fail(DbTxn *txn, int error);

/* Keys */

typedef struct DbKey {
        uint8_t data[DB_KEY_MAX];
        size_t size;
} DbKey;

#define DB_KEY_NULL ((DbKey){})

void db_key_u8(DbKey *k, uint8_t v);
void db_key_u32(DbKey *k, uint32_t v);
void db_key_u64(DbKey *k, uint64_t v);
void db_key_bytes(DbKey *k, const void *p, size_t n);
uint32_t db_get_u32(const void *p);
uint64_t db_get_u64(const void *p);
void db_set_u32(void *p, uint32_t v);
void db_set_u64(void *p, uint64_t v);

/* Rows. Values that are read point into the map: valid until the next write or the end of the
 * transaction. */

typedef struct DbValue {
        const uint8_t *data;
        size_t size;
        DbTxn *txn; /* where it was read */
} DbValue;

void db_found_damage(DbTxn *txn);

/* For who finds that what was read cannot have been written: notes it, and is -EUCLEAN. */
static inline int db_damaged(DbTxn *txn) {
        db_found_damage(txn);
        return -EUCLEAN;
}

/* 1 with the value, 0 without one, or the transaction's error. */
int db_get(DbTxn *txn, unsigned table, const DbKey *key, DbValue *ret);

/* Writes count towards DB_BATCH_WRITES. Both return the sticky error. */
int db_put(DbTxn *txn, unsigned table, const DbKey *key, const void *p, size_t n);

/* 1 when it was there, 0 when not. */
int db_del(DbTxn *txn, unsigned table, const DbKey *key);

/* All rows of a table go. */
int db_clear(DbTxn *txn, unsigned table);

/* Rows of a table; 0 on an error. */
uint64_t db_count(DbTxn *txn, unsigned table);

/* Rows of a table whose keys begin with PREFIX, in order or backwards. */
typedef struct DbCursor {
        void *cursor; /* MDB_cursor */
        DbTxn *txn;
        DbKey prefix, start;
        bool backwards, started;
} DbCursor;

/* Begins at START, which has PREFIX (NULL: at the beginning or end of the prefix). Backwards,
 * START itself is left out; forwards it is included. */
int db_cursor_open(DbTxn *txn, unsigned table, const DbKey *prefix, const DbKey *start,
        bool backwards, DbCursor *ret);
void db_cursor_close(DbCursor *c);

/* 1 with the next row, 0 at the end, or an error. The key points into the map as well. */
int db_cursor_next(DbCursor *c, DbValue *ret_key, DbValue *ret_value);

/* Moves on to the first row with a key at or after KEY (forwards cursors). */
void db_cursor_seek(DbCursor *c, const DbKey *key);

/* Deletes the row that was returned last. */
int db_cursor_del(DbCursor *c);
