/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files that write and read items share. */

#include "store/handover-item.h"

static inline void item_begin(CborWriter *w, Buffer *out, HandoverKind kind) {
        *w = cbor_writer(out);
        cbor_map_begin(w);
        cbor_pair_uint(w, 0, kind);
}

static inline int item_end(CborWriter *w) {
        cbor_map_end(w);
        return w->error;
}

static inline void pair_positive(CborWriter *w, uint64_t key, uint64_t v) {
        if (v > 0)
                cbor_pair_uint(w, key, v);
}

static inline void pair_true(CborWriter *w, uint64_t key, bool v) {
        if (v)
                cbor_pair_bool(w, key, true);
}

static inline void read_true(CborReader *r, bool *ret) {
        *ret = cbor_read_bool(r);
        if (!*ret)
                cbor_refuse(r);
}

typedef struct ItemReader {
        CborReader r;
        CborMap m;
} ItemReader;

static inline ItemReader item_open(Bytes item, HandoverKind kind) {
        ItemReader i = {.r = cbor_reader(item.data, item.size)};
        uint64_t key;

        cbor_read_map(&i.r, &i.m);
        if (!cbor_map_next(&i.r, &i.m, &key) || key != 0 || cbor_read_uint(&i.r) != kind)
                cbor_refuse(&i.r);
        return i;
}

static inline bool item_next(ItemReader *i, uint64_t *ret_key) {
        return cbor_map_next(&i->r, &i->m, ret_key);
}

static inline int item_close(ItemReader *i, uint64_t required) {
        return cbor_finish(&i->r, &i->m, required | CBOR_BIT(0));
}
