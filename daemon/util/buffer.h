/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A growable byte buffer that is read from the front and written at the end.
 *
 * Growth doubles, so appending is amortised constant. The owner decides how much may be kept:
 * buffers that grow on a peer's behalf are checked against a limit before the append.
 */

#include "util/macro.h"

typedef struct Buffer {
        uint8_t *data; /* start of the allocation */
        size_t begin; /* first byte that has not been consumed */
        size_t end; /* one past the last byte written */
        size_t allocated;
} Buffer;

#define BUFFER_NULL ((Buffer){})

void buffer_done(Buffer *b);

/* Wipes what was kept before the memory goes back; for secrets. */
void buffer_wipe(Buffer *b);

static inline size_t buffer_size(const Buffer *b) {
        return b->end - b->begin;
}

/* NULL for one that never held anything. */
static inline uint8_t *buffer_data(const Buffer *b) {
        return b->data ? b->data + b->begin : NULL;
}

/* What buffer_reserve() does where there is no room yet. */
uint8_t *buffer_grow(Buffer *b, size_t n);

/* Makes room for N more bytes and returns where they go, or NULL when memory is out. The bytes
 * count only after buffer_commit(). */
static inline uint8_t *buffer_reserve(Buffer *b, size_t n) {
        if (b->data && b->allocated - b->end >= n)
                return b->data + b->end;
        return buffer_grow(b, n);
}

static inline void buffer_commit(Buffer *b, size_t n) {
        b->end += n;
}

/* Here because rows and frames are made of a few bytes at a time. */
static inline int buffer_append(Buffer *b, const void *p, size_t n) {
        uint8_t *to = buffer_reserve(b, n);

        if (!to)
                return -ENOMEM;
        copy_bytes(to, p, n);
        b->end += n;
        return 0;
}

/* Drops N bytes from the front; an emptied buffer starts at its beginning again, and gives a large
 * allocation back. */
void buffer_consume(Buffer *b, size_t n);

static inline void buffer_clear(Buffer *b) {
        b->begin = b->end = 0;
}

/* Bytes of something that outlives the struct: a part of an input, a buffer's content, a key. */
typedef struct Bytes {
        const uint8_t *data;
        size_t size;
} Bytes;

static inline bool bytes_equal(Bytes a, Bytes b) {
        return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline Bytes buffer_bytes(const Buffer *b) {
        return (Bytes){.data = buffer_data(b), .size = buffer_size(b)};
}

static inline Bytes text_bytes(const char *s) {
        return (Bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}
