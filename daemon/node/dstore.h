/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Where a directory node keeps what it knows, behind one interface: LMDB on this machine
 * (dstore-lmdb.c), other engines later. Every operation completes through a callback, since other
 * engines are remote; LMDB calls back inline for reads and after the commit for writes, so a
 * completion always means durable.
 */

#include "ring/merge.h"
#include "util/loop.h"

typedef struct DStore DStore;

typedef enum DStoreCaps {
        DSTORE_RANGE = 1,           /* range_scan works: ring replication can use it */
        DSTORE_SELF_REPLICATED = 2, /* the engine keeps its own copies */
        DSTORE_WATCH = 4,
} DStoreCaps;

/* BLOB is empty where there is nothing; it is valid during the call only. */
typedef void (*DStoreGetFn)(void *userdata, int error, Bytes blob);

/* RESULT holds when error is 0. */
typedef void (*DStoreMergeFn)(void *userdata, int error, MergeResult result);

/* True to go on. KEY is what the next scan can go on after. */
typedef bool (*DStoreScanFn)(
        void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob);

typedef void (*DStoreWatchFn)(void *userdata, Bytes blob);
typedef struct DStoreWatch DStoreWatch;

typedef struct DStoreOps {
        unsigned (*caps)(DStore *d);
        void (*rec_get)(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
                DStoreGetFn fn, void *userdata);

        /* Reads, merges and writes as one step; concurrent merges are ordered. */
        void (*rec_merge)(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
                MergeFn merge, Bytes blob, DStoreMergeFn fn, void *userdata);

        /* Rows of a kind after KEY (NULL: from the first) in the order of their keys. */
        int (*range_scan)(DStore *d, DirectoryKind kind, const uint8_t *after, DStoreScanFn fn,
                void *userdata);

        /* FN with the new blob after each change of the row. */
        int (*watch)(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
                DStoreWatchFn fn, void *userdata, DStoreWatch **ret);
        void (*unwatch)(DStoreWatch *w);

        /* Completions for USERDATA will not come any more. */
        void (*forget)(DStore *d, void *userdata);
        void (*close)(DStore *d);
} DStoreOps;

struct DStore {
        const DStoreOps *ops;
};

/* DIR is created 0700. Errors as db_open(). */
int dstore_lmdb_open(Loop *l, const char *dir, DStore **ret);

static inline DStore *dstore_close(DStore *d) {
        if (d)
                d->ops->close(d);
        return NULL;
}
