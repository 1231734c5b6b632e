/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "wire/cbor.h"

#include <assert.h>

#include "util/text.h"

enum {
        MAJOR_UINT,
        MAJOR_NINT,
        MAJOR_BYTES,
        MAJOR_TEXT,
        MAJOR_ARRAY,
        MAJOR_MAP,
        MAJOR_TAG,
        MAJOR_SIMPLE,
};

enum {
        SIMPLE_FALSE = 20,
        SIMPLE_TRUE = 21,
        SIMPLE_NULL = 22,
};

#define PAIRS_MAX 23 /* what fits a head of one byte */

/* Writer */

static void put_raw(CborWriter *w, const void *p, size_t n) {
        if (w->error >= 0)
                w->error = buffer_append(w->out, p, n);
}

static void put_head(CborWriter *w, unsigned major, uint64_t v) {
        static const uint8_t info[] = {[1] = 24, [2] = 25, [4] = 26, [8] = 27};
        unsigned extra = 0;
        uint8_t head[9];

        if (v >= 24)
                extra = v <= UINT8_MAX ? 1 : v <= UINT16_MAX ? 2 : v <= UINT32_MAX ? 4 : 8;
        head[0] = (uint8_t)(major << 5 | (extra == 0 ? v : info[extra]));
        for (unsigned i = 0; i < extra; i++)
                head[1 + i] = (uint8_t)(v >> (8 * (extra - 1 - i)));
        put_raw(w, head, 1 + extra);
}

void cbor_map_begin(CborWriter *w) {
        static const uint8_t empty = MAJOR_MAP << 5;

        assert(w->depth < CBOR_DEPTH_MAX);
        w->map[w->depth].at = buffer_size(w->out);
        w->map[w->depth].pairs = 0;
        w->depth++;
        put_raw(w, &empty, 1);
}

void cbor_map_end(CborWriter *w) {
        assert(w->depth > 0);
        w->depth--;
        if (w->error >= 0)
                buffer_data(w->out)[w->map[w->depth].at] |= (uint8_t)w->map[w->depth].pairs;
}

void cbor_key(CborWriter *w, uint64_t key) {
        assert(w->depth > 0);
        assert(w->map[w->depth - 1].pairs == 0 || key > w->map[w->depth - 1].last);
        assert(w->map[w->depth - 1].pairs < PAIRS_MAX);
        w->map[w->depth - 1].last = key;
        w->map[w->depth - 1].pairs++;
        put_head(w, MAJOR_UINT, key);
}

void cbor_put_uint(CborWriter *w, uint64_t v) {
        put_head(w, MAJOR_UINT, v);
}

void cbor_put_bool(CborWriter *w, bool v) {
        put_head(w, MAJOR_SIMPLE, v ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void cbor_put_bytes(CborWriter *w, const void *p, size_t n) {
        put_head(w, MAJOR_BYTES, n);
        put_raw(w, p, n);
}

void cbor_put_text(CborWriter *w, const char *s) {
        size_t n = strlen(s);

        put_head(w, MAJOR_TEXT, n);
        put_raw(w, s, n);
}

void cbor_put_text_bytes(CborWriter *w, Bytes text) {
        put_head(w, MAJOR_TEXT, text.size);
        put_raw(w, text.data, text.size);
}

void cbor_put_array(CborWriter *w, size_t n) {
        put_head(w, MAJOR_ARRAY, n);
}

void cbor_pair_uint(CborWriter *w, uint64_t key, uint64_t v) {
        cbor_key(w, key);
        cbor_put_uint(w, v);
}

void cbor_pair_bool(CborWriter *w, uint64_t key, bool v) {
        cbor_key(w, key);
        cbor_put_bool(w, v);
}

void cbor_pair_bytes(CborWriter *w, uint64_t key, const void *p, size_t n) {
        cbor_key(w, key);
        cbor_put_bytes(w, p, n);
}

void cbor_pair_text(CborWriter *w, uint64_t key, const char *s) {
        cbor_key(w, key);
        cbor_put_text(w, s);
}

void cbor_pair_some(CborWriter *w, uint64_t key, Bytes b) {
        if (b.size > 0)
                cbor_pair_bytes(w, key, b.data, b.size);
}

/* Reader */

void cbor_refuse(CborReader *r) {
        r->error = -EBADMSG;
        r->p = r->end;
}

/* Counts an item that begins here against its level; levels whose last item this is are left. */
static void item_begin(CborReader *r) {
        while (r->depth > 0 && r->left[r->depth] == 0)
                r->depth--;
        if (r->left[r->depth] == 0)
                cbor_refuse(r);
        else
                r->left[r->depth]--;
}

static void level_enter(CborReader *r, uint64_t items) {
        if (r->error < 0)
                return;
        if (r->depth >= CBOR_DEPTH_MAX) {
                cbor_refuse(r);
                return;
        }
        r->left[++r->depth] = items;
}

/* Head of the next item. The argument must be in its shortest form. */
static unsigned read_head(CborReader *r, uint64_t *ret) {
        unsigned info, major, extra;
        uint64_t v = 0;

        *ret = 0;
        item_begin(r);
        if (r->error < 0 || r->p >= r->end) {
                cbor_refuse(r);
                return MAJOR_TAG;
        }
        major = *r->p >> 5;
        info = *r->p++ & 31;
        if (info < 24) {
                *ret = info;
                return major;
        }
        extra = info > 27 ? 0 : 1U << (info - 24);
        if (extra == 0 || major == MAJOR_SIMPLE || (size_t)(r->end - r->p) < extra) {
                cbor_refuse(r);
                return MAJOR_TAG;
        }
        for (unsigned i = 0; i < extra; i++)
                v = v << 8 | *r->p++;
        if (v < 24 || (extra > 1 && v >> (4 * extra) == 0)) {
                cbor_refuse(r);
                return MAJOR_TAG;
        }
        *ret = v;
        return major;
}

static uint64_t read_expected(CborReader *r, unsigned major) {
        uint64_t v;

        if (read_head(r, &v) == major && r->error >= 0)
                return v;
        cbor_refuse(r);
        return 0;
}

void cbor_read_map(CborReader *r, CborMap *ret) {
        uint64_t n = read_expected(r, MAJOR_MAP);

        /* A pair is two bytes at least: what cannot be there is refused before it is counted. */
        if (n > (uint64_t)(r->end - r->p) / 2) {
                cbor_refuse(r);
                n = 0;
        }
        level_enter(r, 2 * n);
        *ret = (CborMap){.left = r->error < 0 ? 0 : n};
}

bool cbor_map_next(CborReader *r, CborMap *m, uint64_t *ret_key) {
        uint64_t key;

        if (m->peeked) {
                m->peeked = false;
                *ret_key = m->last;
                return r->error >= 0;
        }
        if (r->error < 0 || m->left == 0)
                return false;
        key = read_expected(r, MAJOR_UINT);
        if (m->started && key <= m->last)
                cbor_refuse(r);
        if (r->error < 0)
                return false;
        m->left--;
        m->started = true;
        m->last = key;
        if (key < 64)
                m->seen |= CBOR_BIT(key);
        *ret_key = key;
        return true;
}

void cbor_map_unread(CborMap *m) {
        m->peeked = true;
}

void cbor_unknown_key(CborReader *r, uint64_t key) {
        if (key >= CBOR_KEY_IGNORABLE)
                cbor_skip(r);
        else
                cbor_refuse(r);
}

uint64_t cbor_read_uint(CborReader *r) {
        return read_expected(r, MAJOR_UINT);
}

uint64_t cbor_read_uint_max(CborReader *r, uint64_t max) {
        uint64_t v = read_expected(r, MAJOR_UINT);

        if (v <= max)
                return v;
        cbor_refuse(r);
        return 0;
}

uint64_t cbor_read_positive(CborReader *r, uint64_t max) {
        uint64_t v = cbor_read_uint_max(r, max);

        if (v == 0)
                cbor_refuse(r);
        return v;
}

bool cbor_read_bool(CborReader *r) {
        uint64_t v = read_expected(r, MAJOR_SIMPLE);

        if (v != SIMPLE_TRUE && v != SIMPLE_FALSE)
                cbor_refuse(r);
        return v == SIMPLE_TRUE;
}

static Bytes read_string(CborReader *r, unsigned major, size_t max) {
        uint64_t n = read_expected(r, major);
        Bytes b;

        if (r->error < 0 || n > max || n > (uint64_t)(r->end - r->p)) {
                cbor_refuse(r);
                return (Bytes){};
        }
        b = (Bytes){.data = r->p, .size = (size_t)n};
        r->p += n;
        return b;
}

Bytes cbor_read_bytes(CborReader *r, size_t max) {
        return read_string(r, MAJOR_BYTES, max);
}

Bytes cbor_read_some(CborReader *r, size_t max) {
        Bytes b = cbor_read_bytes(r, max);

        if (b.size == 0)
                cbor_refuse(r);
        return b;
}

Bytes cbor_read_text(CborReader *r, size_t max) {
        Bytes b = read_string(r, MAJOR_TEXT, max);

        if (utf8_is_valid(b.data, b.size))
                return b;
        cbor_refuse(r);
        return (Bytes){};
}

void cbor_read_fixed(CborReader *r, void *p, size_t n) {
        Bytes b = cbor_read_bytes(r, n);

        if (r->error >= 0 && b.size == n)
                memcpy(p, b.data, n);
        else
                cbor_refuse(r);
}

size_t cbor_read_array(CborReader *r, size_t max) {
        uint64_t n = read_expected(r, MAJOR_ARRAY);

        if (n > max || n > (uint64_t)(r->end - r->p)) {
                cbor_refuse(r);
                return 0;
        }
        level_enter(r, n);
        return r->error < 0 ? 0 : (size_t)n;
}

/* Depth is bounded by level_enter(), so the recursion is as well. */
void cbor_skip(CborReader *r) {
        CborReader peek = *r;
        uint64_t v, key;
        CborMap m;

        switch (read_head(&peek, &v)) {
        case MAJOR_UINT:
        case MAJOR_NINT:
                *r = peek;
                return;
        case MAJOR_BYTES:
                cbor_read_bytes(r, SIZE_MAX);
                return;
        case MAJOR_TEXT:
                cbor_read_text(r, SIZE_MAX);
                return;
        case MAJOR_ARRAY:
                for (size_t n = cbor_read_array(r, SIZE_MAX); n > 0 && r->error >= 0; n--)
                        cbor_skip(r);
                return;
        case MAJOR_MAP:
                cbor_read_map(r, &m);
                while (cbor_map_next(r, &m, &key))
                        cbor_skip(r);
                return;
        case MAJOR_SIMPLE:
                if (v >= SIMPLE_FALSE && v <= SIMPLE_NULL && peek.error >= 0) {
                        *r = peek;
                        return;
                }
                break;
        default:
                break;
        }
        cbor_refuse(r);
}

int cbor_finish(const CborReader *r, const CborMap *m, uint64_t required) {
        if (r->error < 0)
                return r->error;
        if (r->p != r->end || (m && (m->left > 0 || (m->seen & required) != required)))
                return -EBADMSG;
        return 0;
}
