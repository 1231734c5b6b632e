/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Where a directory node keeps what it knows, behind one interface: LMDB on this machine
 * (dstore-lmdb.c), other engines later. Every operation completes through a callback, since other
 * engines are remote; LMDB calls back inline for reads and after the commit for writes. Callers
 * must be ready for both, inline and later. A completion without error means durable.
 *
 * Keys and blobs that are passed in are the caller's and are done with when the call returns.
 */

#include "ring/merge.h"
#include "util/loop.h"

typedef struct DStore DStore;

typedef enum DStoreCaps {
        DSTORE_RANGE = 1, /* range_scan works: ring replication can use it */
        DSTORE_SELF_REPLICATED = 2, /* the engine keeps its own copies */
        DSTORE_WATCH = 4,
} DStoreCaps;

/* BLOB is empty where there is nothing; it is valid during the call only. */
typedef void (*DStoreGetFn)(void *userdata, int error, Bytes blob);

/* One of the rows that a step joins. */
typedef struct DStoreMerge {
        DirectoryKind kind;
        uint8_t key[SHA256_SIZE];
        MergeFn merge;
        Bytes blob;
} DStoreMerge;

#define DSTORE_MERGES_MAX 4

/* RESULTS, one for each row, hold when error is 0. */
typedef void (*DStoreMergeFn)(void *userdata, int error, const MergeResult *results);

/* True to go on. KEY is what the next scan can go on after. */
typedef bool (*DStoreScanFn)(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob);

typedef void (*DStoreWatchFn)(void *userdata, Bytes blob);
typedef struct DStoreWatch DStoreWatch;

typedef struct DStoreOps {
        unsigned (*caps)(DStore *d);
        void (*rec_get)(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
                DStoreGetFn fn, void *userdata);

        /* Reads, merges and writes N rows as one step; concurrent steps are ordered. When one of
         * them is STALE none is written, whatever the results of the others. FN may be NULL. */
        void (*rec_merge)(
                DStore *d, const DStoreMerge *merges, size_t n, DStoreMergeFn fn, void *userdata);

        /* Rows of a kind after KEY (NULL: from the first) in the order of their keys. */
        int (*range_scan)(DStore *d, DirectoryKind kind, const uint8_t *after, DStoreScanFn fn,
                void *userdata);

        /* FN with the new blob after each durable change of the row, whoever made it, before the
         * completion of the step that did. */
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

/* DIR is created 0700. -EPROTONOSUPPORT: written by a newer version; -EMEDIUMTYPE: something else
 * than a directory; else as db_open(). What is refused is kept as it is. */
int dstore_lmdb_open(Loop *l, const char *dir, DStore **ret);

/* What has been accepted is on disk afterwards. */
static inline DStore *dstore_close(DStore *d) {
        if (d)
                d->ops->close(d);
        return NULL;
}
