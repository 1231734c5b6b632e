/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Changes CBOR as CBOR: an item is dropped, doubled, put into a list, given another value or, in a
 * string that is CBOR itself, changed inside; heads and counts around it follow. Bytes changed at
 * random hardly ever get past the reader, which takes one form only.
 *
 * With an engine but libFuzzer there is nothing here.
 */

#include "fuzz.h"

#include "../unit/cbor-echo.h"

#ifdef FUZZING_LIBFUZZER

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#define STRING_GROWTH 32

typedef struct Mutation {
        uint64_t state;
        uint64_t left; /* items before the one that changes */
} Mutation;

static inline uint64_t mutate_random(Mutation *m, uint64_t below) {
        m->state = m->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (m->state >> 33) % below;
}

static inline void mutate_put(Buffer *out, const void *p, size_t n) {
        MUST(buffer_append(out, p, n) == 0);
}

static inline void mutate_number(Mutation *m, Buffer *out) {
        static const uint64_t values[] = {0, 1, 2, 3, 23, 24, 63, 64, 255, 256, UINT16_MAX,
                UINT16_MAX + 1, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX - 1,
                UINT64_MAX};

        echo_head(out, 0,
                mutate_random(m, 3) ? values[mutate_random(m, ELEMENTSOF(values))]
                                    : mutate_random(m, 100000));
}

static inline bool mutate_cbor(Mutation *m, const uint8_t *p, size_t n, Buffer *out);

/* Another content: changed as CBOR where it is CBOR, else byte by byte. */
static inline void mutate_string(Mutation *m, unsigned major, Bytes b, Buffer *out) {
        _cleanup_(buffer_done) Buffer inside = BUFFER_NULL;
        uint8_t *p;

        if (b.size < 2 || mutate_random(m, 4) == 0 || !mutate_cbor(m, b.data, b.size, &inside)) {
                buffer_clear(&inside);
                mutate_put(&inside, b.data, b.size);
                p = buffer_reserve(&inside, STRING_GROWTH);
                MUST(p);
                inside.end =
                        inside.begin + LLVMFuzzerMutate(p - b.size, b.size, b.size + STRING_GROWTH);
        }
        echo_head(out, major, buffer_size(&inside));
        mutate_put(out, buffer_data(&inside), buffer_size(&inside));
}

/* Something else in place of the next item. Returns how many items that is. */
static inline unsigned mutate_here(Mutation *m, CborReader *r, Buffer *out) {
        static const uint8_t small[] = {0x40, 0x60, 0x80, 0xa0, 0xf4, 0xf5, 0xf6, 0x20};
        const uint8_t *at = r->p;
        unsigned major = *at >> 5;
        CborReader peek = *r;
        size_t size;

        cbor_skip(r);
        size = (size_t)(r->p - at);
        switch (mutate_random(m, 8)) {
        case 0:
                return 0;
        case 1:
                mutate_put(out, at, size);
                mutate_put(out, at, size);
                return 2;
        case 2:
                echo_head(out, 4, 1);
                mutate_put(out, at, size);
                return 1;
        case 3:
                mutate_put(out, &small[mutate_random(m, sizeof(small))], 1);
                return 1;
        default:
                if (r->error >= 0 && major == 2)
                        mutate_string(m, major, cbor_read_bytes(&peek, SIZE_MAX), out);
                else if (r->error >= 0 && major == 3)
                        mutate_string(m, major, cbor_read_text(&peek, SIZE_MAX), out);
                else
                        mutate_number(m, out);
                return 1;
        }
}

/* Copies the next item, with what is to change in it. Returns how many items it became. */
static inline unsigned mutate_item(Mutation *m, CborReader *r, Buffer *out) {
        _cleanup_(buffer_done) Buffer inside = BUFFER_NULL;
        const uint8_t *at = r->p;
        uint64_t key, n = 0;
        CborMap map;

        if (at >= r->end)
                return 0;
        if (m->left-- == 0)
                return mutate_here(m, r, out);
        if (*at >> 5 == 4) {
                for (size_t left = cbor_read_array(r, SIZE_MAX); left > 0; left--)
                        n += mutate_item(m, r, &inside);
        } else if (*at >> 5 == 5) {
                cbor_read_map(r, &map);
                while (cbor_map_next(r, &map, &key)) {
                        _cleanup_(buffer_done) Buffer value = BUFFER_NULL;

                        if (m->left-- == 0)
                                key = mutate_random(m, 70);
                        if (mutate_item(m, r, &value) == 0)
                                continue;
                        echo_head(&inside, 0, key);
                        mutate_put(&inside, buffer_data(&value), buffer_size(&value));
                        n++;
                }
        } else {
                cbor_skip(r);
                mutate_put(out, at, (size_t)(r->p - at));
                return 1;
        }
        echo_head(out, *at >> 5, n);
        mutate_put(out, buffer_data(&inside), buffer_size(&inside));
        return 1;
}

/* False where the N bytes at P are not one item. */
static inline bool mutate_cbor(Mutation *m, const uint8_t *p, size_t n, Buffer *out) {
        CborReader r = cbor_reader(p, n);

        m->left = UINT64_MAX; /* counts down only */
        mutate_item(m, &r, out);
        if (cbor_finish(&r, NULL, 0) < 0)
                return false;
        m->left = mutate_random(m, UINT64_MAX - m->left);
        buffer_clear(out);
        r = cbor_reader(p, n);
        mutate_item(m, &r, out);
        return true;
}

/* For LLVMFuzzerCustomMutator(): an input of HEAD bytes and then an item. Returns the new size. */
static inline size_t mutate_input(
        uint8_t *data, size_t size, size_t max, unsigned seed, size_t head) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        Mutation m = {.state = seed};

        if (size <= head || mutate_random(&m, 4) == 0 ||
                !mutate_cbor(&m, data + head, size - head, &out) || buffer_size(&out) > max - head)
                return LLVMFuzzerMutate(data, size, max);
        copy_bytes(data + head, buffer_data(&out), buffer_size(&out));
        return head + buffer_size(&out);
}

#endif
