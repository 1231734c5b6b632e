/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The keys of a room. Each key epoch, which is a control epoch whose block has a commitment, has
 * one room key: 32 random bytes. It reaches each member in a wrap; every entry has a key of its own
 * from it.
 *
 * Wrap {0 version, 1 room, 2 epoch, 3 account, 4 prekey id, 5 enc, 6 ciphertext}: HPKE in base mode
 * (RFC 9180) to a prekey of the account's record. Nobody signs it: what is inside is the key of the
 * commitment, or nothing.
 */

#include "wire/message.h"
#include "wire/room.h"

#define ROOM_WRAP_MAX 256
#define ROOM_WRAP_CIPHERTEXT_SIZE (ROOM_KEY_SIZE + 16)
#define ROOM_DOOR_SIZE 32
#define ROOM_ENTRY_OVERHEAD 16 /* a body is longer than its text */

/* SHA-256("p2pchat/1 room-key" ‖ 0 ‖ room ‖ epoch u64 ‖ key) */
void room_key_commitment(const uint8_t room[static ROOM_ID_SIZE], uint64_t epoch,
        const uint8_t key[static ROOM_KEY_SIZE], uint8_t ret[static SHA256_SIZE]);

typedef struct RoomWrap {
        uint8_t room[ROOM_ID_SIZE];
        uint64_t epoch; /* of the key */
        uint8_t account[KEY_SIZE]; /* whose it is */
        uint64_t prekey;
        uint8_t enc[32];
        uint8_t ciphertext[ROOM_WRAP_CIPHERTEXT_SIZE];
} RoomWrap;

int room_wrap_encode(Buffer *out, const RoomWrap *w);
int room_wrap_decode(Bytes in, RoomWrap *ret);

/* Appends the wrap of KEY for ACCOUNT. SEED is fresh randomness. -EKEYREJECTED: not a usable
 * prekey. */
int room_wrap_seal(Buffer *out, const uint8_t room[static ROOM_ID_SIZE], uint64_t epoch,
        const uint8_t account[static KEY_SIZE], const Prekey *prekey,
        const uint8_t key[static ROOM_KEY_SIZE], const uint8_t seed[static 32]);

/* The key, which has to be that of COMMITMENT: -EBADMSG where it is not, or does not open. */
int room_wrap_open(const RoomWrap *w, const uint8_t secret[static 32],
        const uint8_t commitment[static SHA256_SIZE], uint8_t ret_key[static ROOM_KEY_SIZE]);

/* Appends the body of M: TEXT, sealed with the entry's key. Of M all else has to be there: place,
 * hlc, kind, id, control head. -EBADMSG: M has no control head. */
int room_entry_seal(
        const uint8_t key[static ROOM_KEY_SIZE], const Inner *m, Bytes text, Buffer *out);

/* Appends the text of the body. KEY is that of the key epoch that was in force at the control head
 * of M. -EBADMSG: it does not open with this one. */
int room_entry_open(const uint8_t key[static ROOM_KEY_SIZE], const Inner *m, Buffer *out);

/* What shows that one is in a private room without saying who: HKDF of the newest room key.
 * Trackers have its SHA-256. */
void room_door(const uint8_t room[static ROOM_ID_SIZE], const uint8_t key[static ROOM_KEY_SIZE],
        uint8_t ret[static ROOM_DOOR_SIZE]);
