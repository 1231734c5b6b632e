/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/buffer.h"

/* An idle connection does not sit on more than this. */
#define BUFFER_KEEP 1024

void buffer_done(Buffer *b) {
        free(b->data);
        *b = BUFFER_NULL;
}

void buffer_wipe(Buffer *b) {
        if (b->data)
                explicit_bzero(b->data, b->allocated);
        buffer_done(b);
}

uint8_t *buffer_grow(Buffer *b, size_t n) {
        size_t size = buffer_size(b), want;
        uint8_t *p;

        if (n > SIZE_MAX / 4 - size)
                return NULL;

        /* Moving down is enough when at least half of the allocation has been consumed. */
        if (b->data && b->begin >= b->allocated / 2 && b->allocated - size >= n) {
                memmove(b->data, b->data + b->begin, size);
                b->begin = 0;
                b->end = size;
                return b->data + b->end;
        }

        want = MAX(size + n, 2 * size);
        want = MAX(want, (size_t)64);
        p = malloc(want);
        if (!p)
                return NULL;
        if (b->data)
                memcpy(p, b->data + b->begin, size);
        free(b->data);
        *b = (Buffer){.data = p, .begin = 0, .end = size, .allocated = want};
        return p + size;
}

void buffer_consume(Buffer *b, size_t n) {
        b->begin += n;
        if (b->begin < b->end)
                return;
        b->begin = b->end = 0;
        if (b->allocated > BUFFER_KEEP)
                buffer_done(b);
}
