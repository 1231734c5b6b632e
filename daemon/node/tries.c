/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/tries.h"

#include "util/table.h"

typedef enum BucketKind {
        BUCKET_OF_ONE,
        BUCKET_FROM_SOURCE,
        BUCKET_AT_ACCOUNT,
        _BUCKET_KIND_MAX,
} BucketKind;

static const struct {
        unsigned burst;
        usec_t refill; /* of one */
} sizes[_BUCKET_KIND_MAX] = {
        [BUCKET_OF_ONE] = {TRIES_OF_ONE, TRIES_OF_ONE_REFILL},
        [BUCKET_FROM_SOURCE] = {TRIES_FROM_SOURCE, TRIES_FROM_SOURCE_REFILL},
        [BUCKET_AT_ACCOUNT] = {TRIES_AT_ACCOUNT, TRIES_AT_ACCOUNT_REFILL},
};

/* A part that a kind does not tell apart is zeros. */
typedef struct BucketKey {
        uint8_t account[KEY_SIZE];
        uint8_t source[TRIES_SOURCE_SIZE];
} BucketKey;

_Static_assert(sizeof(BucketKey) <= KEY_HASH_MAX && sizeof(BucketKey) % 8 == 0, "can be hashed");

typedef struct Bucket {
        BucketKey key;
        usec_t full; /* when it is, if nothing more is taken */
        size_t place; /* in the heap */
        UT_hash_handle hh;
} Bucket;

/* Those of a kind, and a heap of them: the one that is full first is the root. */
typedef struct Buckets {
        Bucket *table;
        Bucket **heap;
        size_t n, allocated;
} Buckets;

struct Tries {
        const KeyHash *hash;
        size_t max;
        Buckets kinds[_BUCKET_KIND_MAX];
};

/* The heap */

static void heap_put(Buckets *b, size_t place, Bucket *x) {
        b->heap[place] = x;
        x->place = place;
}

static void heap_up(Buckets *b, Bucket *x) {
        size_t i = x->place;

        while (i > 0 && b->heap[(i - 1) / 2]->full > x->full) {
                heap_put(b, i, b->heap[(i - 1) / 2]);
                i = (i - 1) / 2;
        }
        heap_put(b, i, x);
}

static void heap_down(Buckets *b, Bucket *x) {
        size_t i = x->place, child;

        while ((child = 2 * i + 1) < b->n) {
                if (child + 1 < b->n && b->heap[child + 1]->full < b->heap[child]->full)
                        child++;
                if (b->heap[child]->full >= x->full)
                        break;
                heap_put(b, i, b->heap[child]);
                i = child;
        }
        heap_put(b, i, x);
}

static bool heap_grow(Buckets *b) {
        size_t size = MAX(2 * b->allocated, (size_t)64);
        Bucket **p;

        if (b->n < b->allocated)
                return true;
        p = reallocarray(b->heap, size, sizeof(Bucket *));
        if (!p)
                return false;
        b->heap = p;
        b->allocated = size;
        return true;
}

/* Buckets */

static void bucket_free_first(Buckets *b) {
        Bucket *first = b->heap[0], *last = b->heap[--b->n];

        if (last != first) {
                last->place = 0;
                heap_down(b, last);
        }
        HASH_DEL(b->table, first);
        free(first);
}

static BucketKey bucket_key(BucketKind kind, const Try *x) {
        BucketKey k = {};

        if (kind != BUCKET_FROM_SOURCE)
                memcpy(k.account, x->account, KEY_SIZE);
        if (kind != BUCKET_AT_ACCOUNT)
                memcpy(k.source, x->source, TRIES_SOURCE_SIZE);
        return k;
}

static Bucket *bucket_find(const Tries *t, BucketKind kind, const Try *x) {
        BucketKey k = bucket_key(kind, x);
        unsigned hash = key_hash(t->hash, &k, sizeof(k));
        Bucket *found;

        HASH_FIND_BYHASHVALUE(hh, t->kinds[kind].table, &k, sizeof(k), hash, found);
        return found;
}

/* What is full is as good as none: two of them go for each that comes. */
static void buckets_trim(Buckets *b, size_t max, usec_t now) {
        for (int i = 0; i < 2 && b->n > 0; i++)
                if (b->heap[0]->full <= now || b->n >= max)
                        bucket_free_first(b);
}

static Bucket *bucket_get(Tries *t, BucketKind kind, const Try *x, usec_t now) {
        Buckets *b = &t->kinds[kind];
        Bucket *found = bucket_find(t, kind, x);
        unsigned hash;

        if (found)
                return found;
        buckets_trim(b, t->max, now);
        found = heap_grow(b) ? calloc(1, sizeof(*found)) : NULL;
        if (!found)
                return NULL;
        found->key = bucket_key(kind, x);
        found->full = now;
        hash = key_hash(t->hash, &found->key, sizeof(found->key));
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, b->table, &found->key, sizeof(found->key), hash, found);
        if (!TABLE_HAS(found))
                return mfree(found);
        found->place = b->n++;
        heap_up(b, found);
        return found;
}

int tries_new(const KeyHash *hash, size_t buckets, Tries **ret) {
        Tries *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->hash = hash;
        t->max = buckets;
        *ret = t;
        return 0;
}

Tries *tries_free(Tries *t) {
        if (!t)
                return NULL;
        for (BucketKind kind = 0; kind < _BUCKET_KIND_MAX; kind++) {
                while (t->kinds[kind].n > 0)
                        bucket_free_first(&t->kinds[kind]);
                free(t->kinds[kind].heap);
        }
        free(t);
        return NULL;
}

static bool is_charged(BucketKind kind, const Try *x) {
        return kind != BUCKET_AT_ACCOUNT || !x->known;
}

/* Until one can be taken, 0 when it can be now. */
static usec_t bucket_wait(const Bucket *b, BucketKind kind, usec_t now) {
        usec_t room = (sizes[kind].burst - 1) * sizes[kind].refill;

        return b && b->full > now + room ? b->full - now - room : 0;
}

bool tries_take(Tries *t, const Try *x, usec_t now, usec_t *ret_wait) {
        Bucket *charged[_BUCKET_KIND_MAX] = {};
        usec_t wait = 0;

        for (BucketKind kind = 0; kind < _BUCKET_KIND_MAX; kind++)
                if (is_charged(kind, x))
                        wait = MAX(wait, bucket_wait(bucket_find(t, kind, x), kind, now));
        for (BucketKind kind = 0; kind < _BUCKET_KIND_MAX && wait == 0; kind++) {
                if (!is_charged(kind, x))
                        continue;
                charged[kind] = bucket_get(t, kind, x, now);
                if (!charged[kind])
                        wait = USEC_PER_SEC;
        }
        *ret_wait = wait;
        if (wait > 0)
                return false;
        for (BucketKind kind = 0; kind < _BUCKET_KIND_MAX; kind++)
                if (charged[kind]) {
                        charged[kind]->full = MAX(charged[kind]->full, now) + sizes[kind].refill;
                        heap_down(&t->kinds[kind], charged[kind]);
                }
        return true;
}

void tries_give_back(Tries *t, const Try *x) {
        for (BucketKind kind = 0; kind < _BUCKET_KIND_MAX; kind++) {
                Bucket *b = is_charged(kind, x) ? bucket_find(t, kind, x) : NULL;

                if (!b || b->full < sizes[kind].refill)
                        continue;
                b->full -= sizes[kind].refill;
                heap_up(&t->kinds[kind], b);
        }
}
