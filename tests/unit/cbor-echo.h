/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Reads any CBOR item with the project's reader and writes it again by hand, heads in their
 * shortest form, so that "what is accepted has one form" can be asked of any input.
 */

#include "wire/cbor.h"

static inline void echo_head(Buffer *out, unsigned major, uint64_t v) {
        uint8_t head[9] = {(uint8_t)(major << 5)};
        unsigned extra;

        if (v < 24) {
                head[0] |= (uint8_t)v;
                extra = 0;
        } else {
                extra = v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
                head[0] |= (uint8_t)(23 + (extra == 1 ? 1 : extra == 2 ? 2 : extra == 4 ? 3 : 4));
        }
        for (unsigned i = 0; i < extra; i++)
                head[extra - i] = (uint8_t)(v >> (8 * i));
        if (buffer_append(out, head, 1 + extra) < 0)
                abort();
}

/* Argument of the head at P, in whatever length it is. */
static inline uint64_t echo_argument(const uint8_t *p) {
        unsigned info = *p & 31;
        uint64_t v = 0;

        if (info < 24)
                return info;
        for (unsigned i = 1; i <= 1U << (info - 24); i++)
                v = v << 8 | p[i];
        return v;
}

/* Returns the largest key of a map on the way, 0 where there is none. */
static inline uint64_t echo_item(CborReader *r, Buffer *out) {
        const uint8_t *at = r->p;
        uint64_t key, last = 0, largest = 0;
        CborMap m;
        Bytes b;

        if (r->error < 0 || at >= r->end) {
                cbor_skip(r);
                return 0;
        }
        switch (*at >> 5) {
        case 0:
                echo_head(out, 0, cbor_read_uint(r));
                break;
        case 2:
        case 3:
                b = *at >> 5 == 2 ? cbor_read_bytes(r, SIZE_MAX) : cbor_read_text(r, SIZE_MAX);
                echo_head(out, *at >> 5, b.size);
                if (buffer_append(out, b.data, b.size) < 0)
                        abort();
                break;
        case 4: {
                size_t n = cbor_read_array(r, SIZE_MAX);

                echo_head(out, 4, n);
                for (; n > 0 && r->error >= 0; n--)
                        largest = MAX(largest, echo_item(r, out));
                break;
        }
        case 5:
                cbor_read_map(r, &m);
                echo_head(out, 5, m.left);
                for (bool first = true; cbor_map_next(r, &m, &key); first = false) {
                        uint64_t inside;

                        if (!first && key <= last)
                                abort();
                        last = key;
                        echo_head(out, 0, key);
                        inside = echo_item(r, out);
                        inside = MAX(inside, key);
                        largest = MAX(largest, inside);
                }
                break;
        default:
                cbor_skip(r);
                if (r->error >= 0)
                        echo_head(out, *at >> 5, echo_argument(at));
        }
        return largest;
}

/* 0 and the item as written again, or the error of the reader. */
static inline int echo(const void *p, size_t n, Buffer *out) {
        CborReader r = cbor_reader(p, n);

        echo_item(&r, out);
        return cbor_finish(&r, NULL, 0);
}
