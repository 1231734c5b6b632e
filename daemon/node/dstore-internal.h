/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the LMDB engine share: rows that are joined (dstore-lmdb.c), and sets
 * (dstore-sets.c). */

#include "db/db.h"
#include "node/dstore.h"
#include "node/key-hash.h"
#include "util/buffer.h"

enum {
        TABLE_META,
        TABLE_NAME,
        TABLE_USER,
        TABLE_SEEN,

        /* dstore-sets.c says what is in them. */
        TABLE_ENTRY,
        TABLE_ITEM,
        TABLE_NOTE,
        TABLE_DUE,
        TABLE_USAGE,

        TABLE_ROOM,
        TABLE_ROOMNAME,
        TABLE_OWNED,
        TABLE_ACCT,
        TABLE_GONE,
        _TABLE_MAX,
};

typedef struct LmdbStep LmdbStep;
typedef struct WatchedRow WatchedRow;

typedef struct LmdbStore {
        DStore dstore;
        Loop *loop;
        Db *db;
        DbTxn *snapshot; /* shared by reads inside the callbacks of reads */
        unsigned readers;
        Buffer row; /* the value being written */
        LmdbStep *steps;
        WatchedRow *watched;
        KeyHash hash;
        DStoreWatch *calling; /* the next one to be called, which may be freed before */
} LmdbStore;

static inline LmdbStore *lmdb_store(DStore *d) {
        return CONTAINER_OF(d, LmdbStore, dstore);
}

/* Every value: version, flags, key id, so that its form can change, or it can be sealed, later. */
#define ROW_HEAD_SIZE 3

/* What follows the head; -EUCLEAN for what was not written by this version. */
int row_body(DbValue v, Bytes *ret);

/* Memory for values up to SIZE: after that what can fail is the batch. */
int row_reserve(LmdbStore *s, size_t size);

/* The value is A and then B. */
int row_put(LmdbStore *s, DbTxn *txn, unsigned table, const DbKey *k, Bytes a, Bytes b);

/* Whether something new may come in: 0 or -ENOSPC. */
int row_check_room(LmdbStore *s);

/* A snapshot, which reads inside the callbacks of reads share. */
int lmdb_read_begin(LmdbStore *s, DbTxn **ret);
void lmdb_read_end(LmdbStore *s);

/* A step whose commit is awaited. First member of what it needs besides. */
struct LmdbStep {
        LmdbStore *store;
        void (*done)(LmdbStep *step, int error); /* freed afterwards */
        void *userdata; /* of whoever is to hear of it */
        bool forgotten; /* nobody is */
        int error; /* its own, whatever becomes of the batch */
        LmdbStep *prev, *next;
};

int lmdb_step_new(LmdbStore *s, size_t size, void (*done)(LmdbStep *step, int error),
        void *userdata, LmdbStep **ret);

/* Sets */
void lmdb_set_add(DStore *d, const DStoreAdd *add, DStoreSetFn fn, void *userdata);
void lmdb_set_list(DStore *d, const uint8_t key[static SHA256_SIZE], const DStorePage *page,
        DStoreListFn fn, void *userdata);
void lmdb_set_find(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreFindFn fn, void *userdata);
void lmdb_set_ack(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreSetFn fn, void *userdata);
void lmdb_set_note(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, Bytes note, DStoreSetFn fn, void *userdata);
void lmdb_set_withdraw(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t id[static SHA256_SIZE], const uint8_t lock[static SHA256_SIZE],
        DStoreSetFn fn, void *userdata);
void lmdb_set_expire(DStore *d, uint64_t now, unsigned budget, DStoreSetFn fn, void *userdata);
void lmdb_set_clear(DStore *d, const uint8_t key[static SHA256_SIZE], unsigned budget,
        DStoreSetFn fn, void *userdata);
void lmdb_set_usage(DStore *d, const uint8_t *key, DStoreUsageFn fn, void *userdata);
