/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Deterministic CBOR (RFC 8949, section 4.2.1), the subset that p2pchat speaks: unsigned and
 * negative integers, byte and text strings, arrays, maps with unsigned integer keys, true, false
 * and null. Every value has one form: shortest heads, definite lengths, ascending keys without
 * duplicates, valid UTF-8, depth at most CBOR_DEPTH_MAX.
 *
 * Both directions carry a sticky error: calls after the first failure do nothing and return zeros,
 * so a codec checks once, at its end. Strings that are read point into the input.
 */

#include "util/buffer.h"

#define CBOR_DEPTH_MAX 8

/* Unknown keys from here on are ignored, smaller ones are refused. */
#define CBOR_KEY_IGNORABLE 64

typedef struct CborWriter {
        Buffer *out;
        int error;
        unsigned depth;
        struct {
                size_t at; /* of the map's head, from the start of the buffer's content */
                unsigned pairs;
                uint64_t last;
        } map[CBOR_DEPTH_MAX];
} CborWriter;

static inline CborWriter cbor_writer(Buffer *out) {
        return (CborWriter){.out = out};
}

/* Maps of up to 23 pairs; their head is filled in at the end. Keys must ascend. */
void cbor_map_begin(CborWriter *w);
void cbor_map_end(CborWriter *w);
void cbor_key(CborWriter *w, uint64_t key);

void cbor_put_uint(CborWriter *w, uint64_t v);
void cbor_put_bool(CborWriter *w, bool v);
void cbor_put_bytes(CborWriter *w, const void *p, size_t n);
void cbor_put_text(CborWriter *w, const char *s);
void cbor_put_text_bytes(CborWriter *w, Bytes text);
void cbor_put_array(CborWriter *w, size_t n);

/* Key and value in one call, for the many plain fields. */
void cbor_pair_uint(CborWriter *w, uint64_t key, uint64_t v);
void cbor_pair_bool(CborWriter *w, uint64_t key, bool v);
void cbor_pair_bytes(CborWriter *w, uint64_t key, const void *p, size_t n);
void cbor_pair_text(CborWriter *w, uint64_t key, const char *s);

/* Left out when B is empty. */
void cbor_pair_some(CborWriter *w, uint64_t key, Bytes b);

typedef struct CborReader {
        const uint8_t *p, *end;
        int error; /* -EBADMSG once something was wrong */
        unsigned depth;
        uint64_t left[CBOR_DEPTH_MAX + 1]; /* items still to come on each level */
} CborReader;

/* Where a map is being read. `seen` has a bit for each key below 64. */
typedef struct CborMap {
        uint64_t left, last, seen;
        bool started, peeked;
} CborMap;

static inline CborReader cbor_reader(const void *p, size_t n) {
        const uint8_t *b = p;

        return (CborReader){.p = b, .end = n > 0 ? b + n : b, .left = {1}};
}

void cbor_read_map(CborReader *r, CborMap *ret);

/* True with the next key, whose value is to be read next; false after the last or on an error. */
bool cbor_map_next(CborReader *r, CborMap *m, uint64_t *ret_key);

/* Gives the key read last back: the next cbor_map_next() returns it again. */
void cbor_map_unread(CborMap *m);

/* For the default case: passes over the value of an ignorable key, refuses the others. */
void cbor_unknown_key(CborReader *r, uint64_t key);

uint64_t cbor_read_uint(CborReader *r);
uint64_t cbor_read_uint_max(CborReader *r, uint64_t max);
uint64_t cbor_read_positive(CborReader *r, uint64_t max);
bool cbor_read_bool(CborReader *r);

/* At most MAX bytes; _some: at least one. Optional fields are read by cbor_read_positive() and
 * cbor_read_some(), because the one form of a zero or of an empty string there is absence. */
Bytes cbor_read_bytes(CborReader *r, size_t max);
Bytes cbor_read_some(CborReader *r, size_t max);
Bytes cbor_read_text(CborReader *r, size_t max);
void cbor_read_fixed(CborReader *r, void *p, size_t n);

/* The number of items to come, at most MAX. */
size_t cbor_read_array(CborReader *r, size_t max);

void cbor_skip(CborReader *r);

/* Marks the input as wrong, for a decoder that found a value out of place. */
void cbor_refuse(CborReader *r);

/* 0 when everything was well-formed, nothing is left over, and M (may be NULL) had all keys whose
 * bits are in REQUIRED; else -EBADMSG. */
int cbor_finish(const CborReader *r, const CborMap *m, uint64_t required);

#define CBOR_BIT(key) (UINT64_C(1) << (key))
