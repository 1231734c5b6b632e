/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Proof of work, without which a stranger leaves nothing in a mailbox: a nonce with which
 *
 *     SHA-256("p2pchat/1 stamp" ‖ 0 ‖ recipient's account ‖ item id ‖ nonce, 64 bits big-endian)
 *
 * begins with a number of zero bits. It takes about 2^bits tries to find, one hash to check, and is
 * good for one item in one mailbox.
 */

#include "util/macro.h"

#define STAMP_BITS_MAX 64
#define STAMP_PREFIX_SIZE 80 /* what is hashed before the nonce */

/* A search that can be left and gone on with at any try. */
typedef struct Stamp {
        uint8_t input[STAMP_PREFIX_SIZE + 8];
        unsigned bits;
        uint64_t nonce; /* the next to try; the one that was found, when it was */
} Stamp;

/* BITS is at most STAMP_BITS_MAX. */
void stamp_init(
        Stamp *s, const uint8_t account[static 32], const uint8_t item[static 32], unsigned bits);

/* Tries the next TRIES nonces: true as soon as one will do, which then is in s->nonce. */
bool stamp_search(Stamp *s, unsigned tries);

bool stamp_is_valid(const uint8_t account[static 32], const uint8_t item[static 32], uint64_t nonce,
        unsigned bits);
