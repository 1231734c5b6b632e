/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What every map of the protocol must do, asked of any of its decoders: required keys missing,
 * unknown keys, keys twice or out of order, values of another type, input cut short or too long.
 * Include after test.h.
 */

#include "cbor-echo.h"

#define MAP_PAIRS_MAX 32

typedef struct MapPair {
        uint64_t key;
        Bytes value; /* as encoded */
} MapPair;

typedef struct MapPairs {
        MapPair pair[MAP_PAIRS_MAX];
        size_t n;
} MapPairs;

/* Decodes a map given as bytes; what the decoder says. */
typedef int (*MapTry)(Bytes body);

static inline MapPairs map_pairs(Bytes body) {
        CborReader r = cbor_reader(body.data, body.size);
        MapPairs x = {};
        uint64_t key;
        CborMap m;

        cbor_read_map(&r, &m);
        while (cbor_map_next(&r, &m, &key)) {
                const uint8_t *at = r.p;

                CHECK(x.n < MAP_PAIRS_MAX);
                cbor_skip(&r);
                x.pair[x.n++] = (MapPair){key, {.data = at, .size = (size_t)(r.p - at)}};
        }
        CHECK_OK(cbor_finish(&r, &m, 0));
        return x;
}

/* The pairs as they are, in order or not. */
static inline Buffer map_write(const MapPairs *x) {
        Buffer b = BUFFER_NULL;

        echo_head(&b, 5, x->n);
        for (size_t i = 0; i < x->n; i++) {
                echo_head(&b, 0, x->pair[i].key);
                CHECK_OK(buffer_append(&b, x->pair[i].value.data, x->pair[i].value.size));
        }
        return b;
}

static inline int map_try(const MapPairs *x, MapTry try) {
        _cleanup_(buffer_done) Buffer b = map_write(x);

        return try((Bytes){.data = buffer_data(&b), .size = buffer_size(&b)});
}

static inline void map_insert(MapPairs *x, uint64_t key, Bytes value) {
        size_t i = 0;

        while (i < x->n && x->pair[i].key < key)
                i++;
        memmove(&x->pair[i + 1], &x->pair[i], (x->n - i) * sizeof(x->pair[0]));
        x->pair[i] = (MapPair){key, value};
        x->n++;
}

static inline void map_drop(MapPairs *x, size_t i) {
        memmove(&x->pair[i], &x->pair[i + 1], (x->n - i - 1) * sizeof(x->pair[0]));
        x->n--;
}

#define LITERAL(s) ((Bytes){.data = (const uint8_t *)(s), .size = sizeof(s) - 1})

/* The value of KEY with another one in its place; an empty one: the key goes. */
static inline int map_try_with(Bytes body, uint64_t key, Bytes value, MapTry try) {
        MapPairs x = map_pairs(body);

        for (size_t i = 0; i < x.n; i++)
                if (x.pair[i].key == key) {
                        map_drop(&x, i);
                        break;
                }
        if (value.size > 0)
                map_insert(&x, key, value);
        return map_try(&x, try);
}

/* With N zeros as the byte string under KEY. */
static inline int map_try_size(Bytes body, uint64_t key, size_t n, MapTry try) {
        _cleanup_(buffer_done) Buffer value = BUFFER_NULL;

        echo_head(&value, 2, n);
        for (size_t i = 0; i < n; i++)
                CHECK_OK(buffer_append(&value, "", 1));
        return map_try_with(body, key, buffer_bytes(&value), try);
}

/* A byte string of MIN to MAX bytes is taken under KEY, and no other. */
static inline void check_map_size(Bytes body, uint64_t key, size_t min, size_t max, MapTry try) {
        CHECK_OK(map_try_size(body, key, min, try));
        CHECK_OK(map_try_size(body, key, max, try));
        CHECK_EQ(map_try_size(body, key, max + 1, try), -EBADMSG);
        if (min > 0)
                CHECK_EQ(map_try_size(body, key, min - 1, try), -EBADMSG);
}

/* 1 to MAX byte strings of SIZE bytes each are taken under KEY, and no other list. */
static inline void check_map_list(Bytes body, uint64_t key, size_t max, size_t size, MapTry try) {
        static const uint8_t zeros[64];
        const struct {
                size_t n, size;
                int want;
        } cases[] = {{0, size, -EBADMSG}, {1, size, 0}, {1, size - 1, -EBADMSG},
                {1, size + 1, -EBADMSG}, {max, size, 0}, {max + 1, size, -EBADMSG}};

        CHECK(size < sizeof(zeros));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

                echo_head(&list, 4, cases[i].n);
                for (size_t k = 0; k < cases[i].n; k++) {
                        echo_head(&list, 2, cases[i].size);
                        CHECK_OK(buffer_append(&list, zeros, cases[i].size));
                }
                CHECK_EQ(map_try_with(body, key, buffer_bytes(&list), try), cases[i].want);
        }
}

static inline void check_map_keys(
        const MapPairs *all, uint64_t known, uint64_t required, MapTry try) {
        static const uint64_t ignorable[] = {64, 65, 300, UINT64_MAX};

        for (size_t i = 0; i < all->n; i++) {
                bool needed = all->pair[i].key < 64 && required & CBOR_BIT(all->pair[i].key);
                MapPairs x = *all;

                map_drop(&x, i);
                if ((map_try(&x, try) < 0) != needed) {
                        printf("# without key %llu\n", (unsigned long long)all->pair[i].key);
                        CHECK(false);
                }
                x = *all;
                map_insert(&x, all->pair[i].key, all->pair[i].value);
                CHECK(map_try(&x, try) < 0);
                if (i > 0) {
                        x = *all;
                        x.pair[i] = all->pair[i - 1];
                        x.pair[i - 1] = all->pair[i];
                        CHECK(map_try(&x, try) < 0);
                }
        }
        for (uint64_t key = 0; key < CBOR_KEY_IGNORABLE; key++) {
                MapPairs x = *all;

                map_insert(&x, key, LITERAL("\x01"));
                if (!(known & CBOR_BIT(key)))
                        CHECK(map_try(&x, try) < 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(ignorable); i++) {
                MapPairs x = *all;

                map_insert(&x, ignorable[i],
                        LITERAL("\x82\xa1\x00\xf4\x61"
                                "a"));
                CHECK_OK(map_try(&x, try));
                x.pair[x.n - 1].value = LITERAL("\xc0\x00"); /* not of the subset */
                CHECK(map_try(&x, try) < 0);
        }
}

static inline void check_map_values(const MapPairs *all, MapTry try) {
        for (size_t i = 0; i < all->n; i++) {
                const Bytes others[] = {LITERAL("\xf6"), LITERAL("\x20"), LITERAL("\xf9\x00\x00")};

                for (size_t k = 0; k < ELEMENTSOF(others); k++) {
                        MapPairs x = *all;

                        x.pair[i].value = others[k];
                        CHECK(map_try(&x, try) < 0);
                }
        }
}

static inline void check_map_length(Bytes body, MapTry try) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

        CHECK_OK(buffer_append(&b, body.data, body.size));
        CHECK_OK(buffer_append(&b, "", 1));
        CHECK(try((Bytes){.data = buffer_data(&b), .size = body.size + 1}) < 0);
        for (size_t n = 0; n < body.size; n++)
                CHECK(try((Bytes){.data = buffer_data(&b), .size = n}) < 0);
}

/* BODY is taken; KNOWN are the keys that its decoder knows, REQUIRED those of them that must be
 * there. */
static inline void check_map(Bytes body, uint64_t known, uint64_t required, MapTry try) {
        MapPairs all = map_pairs(body);

        CHECK_OK(try(body));
        check_map_keys(&all, known, required, try);
        check_map_values(&all, try);
        check_map_length(body, try);
}

/* What the wire has under KEY, to pin the format. */
static inline Bytes map_value(Bytes body, uint64_t key) {
        MapPairs x = map_pairs(body);

        for (size_t i = 0; i < x.n; i++)
                if (x.pair[i].key == key)
                        return x.pair[i].value;
        return (Bytes){};
}

static inline void check_uint(Bytes body, uint64_t key, uint64_t want) {
        Bytes v = map_value(body, key);
        CborReader r = cbor_reader(v.data, v.size);

        CHECK(cbor_read_uint(&r) == want);
        CHECK_OK(cbor_finish(&r, NULL, 0));
}

static inline void check_bytes(Bytes body, uint64_t key, const void *p, size_t n) {
        Bytes v = map_value(body, key), b;
        CborReader r = cbor_reader(v.data, v.size);

        b = cbor_read_bytes(&r, SIZE_MAX);
        CHECK_OK(cbor_finish(&r, NULL, 0));
        CHECK_EQ(b.size, n);
        CHECK(memcmp(b.data, p, n) == 0);
}

static inline void check_text(Bytes body, uint64_t key, const char *want) {
        Bytes v = map_value(body, key), b;
        CborReader r = cbor_reader(v.data, v.size);

        b = cbor_read_text(&r, SIZE_MAX);
        CHECK_OK(cbor_finish(&r, NULL, 0));
        CHECK_EQ(b.size, strlen(want));
        CHECK(memcmp(b.data, want, b.size) == 0);
}

/* An item of CBOR, byte by byte. */
static inline void check_item(Bytes body, uint64_t key, Bytes want) {
        Bytes v = map_value(body, key);

        CHECK_EQ(v.size, want.size);
        CHECK(memcmp(v.data, want.data, v.size) == 0);
}
