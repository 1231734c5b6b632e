/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Where a directory node keeps what it knows, and what it holds for others, behind one interface:
 * LMDB on this machine (dstore-lmdb.c), other engines later. Every operation completes through a
 * callback, since other engines are remote; LMDB calls back inline for reads and after the commit
 * for writes. Callers must be ready for both, inline and later. A completion without error means
 * durable.
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

#define DSTORE_MERGES_MAX 5

/* RESULTS, one for each row, hold when error is 0. */
typedef void (*DStoreMergeFn)(void *userdata, int error, const MergeResult *results);

/* True to go on. KEY is what the next scan can go on after. */
typedef bool (*DStoreScanFn)(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob);

typedef void (*DStoreWatchFn)(void *userdata, Bytes blob);
typedef struct DStoreWatch DStoreWatch;

/*
 * Sets: items that wait under a key until somebody has taken them, in the order of arrival. An item
 * ends by set_ack(), set_withdraw() or its time. The first two leave a tombstone: the same id does
 * not come back, and who asks is told that it has been there.
 */

#define DSTORE_BY_SIZE 16
#define DSTORE_PAGE_MAX 64 /* items of a set_list() */
#define DSTORE_FIND_MAX 16 /* ids of a set_find() */

/* From the end of its item. Longer than anybody may want an item to be kept when he adds it: once
 * the tombstone is over, what would bring the item back is too. */
#define DSTORE_TOMBSTONE_TIME (31 * USEC_PER_DAY)

/* Tombstones count too, or whoever deposits and withdraws could fill the disk: where there are so
 * many for each item that a quota allows, nothing new is taken. */
#define DSTORE_TOMBSTONES_PER_ITEM 64

typedef struct DStoreItem {
        uint8_t id[SHA256_SIZE];
        uint64_t expires; /* µs, realtime */
        Bytes blob;
} DStoreItem;

typedef struct DStoreQuota {
        uint64_t items, bytes;
} DStoreQuota;

typedef struct DStoreAdd {
        uint8_t key[SHA256_SIZE];
        DStoreItem item;
        uint8_t by[DSTORE_BY_SIZE]; /* on whose account it is */
        uint8_t lock[SHA256_SIZE]; /* whoever withdraws it names this */
        DStoreQuota of_set, of_by;
} DStoreAdd;

typedef enum DStoreSetResult {
        SET_OK,
        SET_EXISTS, /* the item is there already, as it was */
        SET_GONE, /* it has been there */
        SET_FULL, /* of_set */
        SET_BY_FULL, /* of_by */
        SET_LOCKED, /* another lock than the item's */
} DStoreSetResult;

/* RESULT holds where error is 0. */
typedef void (*DStoreSetFn)(void *userdata, int error, uint64_t result);

typedef struct DStorePage {
        uint64_t after; /* 0, or what the last page said */
        size_t items; /* up to DSTORE_PAGE_MAX */
        size_t bytes; /* of their blobs; the first is there in any case */
} DStorePage;

/* MORE: there is something after AFTER. Items are valid during the call only. */
typedef void (*DStoreListFn)(
        void *userdata, int error, const DStoreItem *items, size_t n, uint64_t after, bool more);

typedef enum DStoreItemState {
        ITEM_UNKNOWN,
        ITEM_HELD,
        ITEM_GONE,
} DStoreItemState;

typedef struct DStoreFound {
        DStoreItemState state;
        Bytes note; /* of an item that is held, or empty */
} DStoreFound;

/* One for each id, in their order; valid during the call only. */
typedef void (*DStoreFindFn)(void *userdata, int error, const DStoreFound *found);

typedef struct DStoreUsage {
        uint64_t items, bytes;
        uint64_t listed; /* items without a note */
        uint64_t tombstones;
} DStoreUsage;

typedef void (*DStoreUsageFn)(void *userdata, int error, const DStoreUsage *usage);

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

        /* FN with the new blob after each durable change of the row but its removal, whoever made
         * it, before the completion of the step that did. */
        int (*watch)(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
                DStoreWatchFn fn, void *userdata, DStoreWatch **ret);
        void (*unwatch)(DStoreWatch *w);

        /* DStoreSetResult. -ENOSPC where there is no room for anything new. */
        void (*set_add)(DStore *d, const DStoreAdd *add, DStoreSetFn fn, void *userdata);

        /* What is held and has no note. */
        void (*set_list)(DStore *d, const uint8_t key[static SHA256_SIZE], const DStorePage *page,
                DStoreListFn fn, void *userdata);
        void (*set_find)(DStore *d, const uint8_t key[static SHA256_SIZE],
                const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreFindFn fn, void *userdata);

        /* Ends those that are held; the result is their number. */
        void (*set_ack)(DStore *d, const uint8_t key[static SHA256_SIZE],
                const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreSetFn fn, void *userdata);

        /* NOTE takes the place of the blobs of those that are held: set_find() shows it to whoever
         * added them, they are not listed any more, and their bytes are the note's. The result is
         * their number. */
        void (*set_note)(DStore *d, const uint8_t key[static SHA256_SIZE],
                const uint8_t (*ids)[SHA256_SIZE], size_t n, Bytes note, DStoreSetFn fn,
                void *userdata);

        /* SET_OK, also where nothing is held, or SET_LOCKED. */
        void (*set_withdraw)(DStore *d, const uint8_t key[static SHA256_SIZE],
                const uint8_t id[static SHA256_SIZE], const uint8_t lock[static SHA256_SIZE],
                DStoreSetFn fn, void *userdata);

        /* Removes up to BUDGET items and tombstones whose time is over at NOW (realtime). The
         * result is the time of the next, whether or not that is over as well, or 0 where there is
         * none. Until it is removed, what is over counts but is not shown. */
        void (*set_expire)(
                DStore *d, uint64_t now, unsigned budget, DStoreSetFn fn, void *userdata);

        /* Removes up to BUDGET items and tombstones, whatever their time: the set itself goes. The
         * result is 1 where there are more. */
        void (*set_clear)(DStore *d, const uint8_t key[static SHA256_SIZE], unsigned budget,
                DStoreSetFn fn, void *userdata);

        /* KEY NULL: of all sets together. */
        void (*set_usage)(DStore *d, const uint8_t *key, DStoreUsageFn fn, void *userdata);

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
