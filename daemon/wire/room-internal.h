/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the codecs of rooms share. */

#include "wire/cbor.h"
#include "wire/room.h"
#include "wire/signed.h"

/* `kind` of the signed objects. */
enum {
        ROOM_KIND_BLOCK = 1,
        ROOM_KIND_PROPOSAL = 2,
        ROOM_KIND_RECORD = 3,
        ROOM_KIND_NOTICE = 4,
};

static inline uint8_t *room_put_be64(uint8_t *p, uint64_t v) {
        for (int shift = 56; shift >= 0; shift -= 8)
                *p++ = (uint8_t)(v >> shift);
        return p;
}

static inline uint64_t room_get_be64(const uint8_t *p) {
        uint64_t v = 0;

        for (int i = 0; i < 8; i++)
                v = v << 8 | p[i];
        return v;
}

static inline uint8_t *room_put_bytes(uint8_t *p, const void *from, size_t n) {
        memcpy(p, from, n);
        return p + n;
}

/* {0 epoch, 1 hash} */
void room_head_write(CborWriter *w, const RoomHead *h);
void room_head_read(CborReader *r, RoomHead *ret);

/* A list that is absent when empty, of N byte strings of 32 bytes each. */
void room_hashes_write(CborWriter *w, uint64_t key, const uint8_t (*list)[SHA256_SIZE], size_t n);
size_t room_hashes_read(CborReader *r, uint8_t (*list)[SHA256_SIZE], size_t max);

/* [feed heads], with at least one. */
void room_heads_write(CborWriter *w, const FeedHead *heads, size_t n);
size_t room_heads_read(CborReader *r, FeedHead heads[static ROOM_HEADS_MAX]);
bool room_heads_are_valid(const FeedHead *heads, size_t n);

/* In canonical form. */
void room_name_read(CborReader *r, char ret[static NAME_SIZE]);
Bytes room_topic_read(CborReader *r);
bool room_name_is_valid(const char name[static NAME_SIZE]);

/* The outer part of an object of one signature and at most MAX bytes. */
int room_signed_open(Bytes outer, size_t max, Signed *ret);

/* Signs the body; -EMSGSIZE, and nothing is appended, over MAX bytes. */
int room_signed_seal(Buffer *out, const Buffer *body, const SignKey *device, size_t max);

/* By the device that the body names. */
int room_signed_verify(const Signed *s, const uint8_t device[static KEY_SIZE]);
