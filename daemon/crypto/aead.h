/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sealing with a key and a nonce that are used together once: AEAD_CHACHA20_POLY1305 (RFC 8439).
 * For a key that seals many things there is crypto/box.h, whose nonce can be drawn anew each time.
 */

#include "util/buffer.h"

#define AEAD_KEY_SIZE 32
#define AEAD_NONCE_SIZE 12
#define AEAD_OVERHEAD 16 /* the ciphertext is longer than the plaintext */

/* Appends the ciphertext to OUT, or leaves it as it was: -ENOMEM. */
int aead_seal(const uint8_t key[static AEAD_KEY_SIZE], const uint8_t nonce[static AEAD_NONCE_SIZE],
        Bytes aad, Bytes plaintext, Buffer *out);

/* Appends the plaintext to OUT, or leaves it as it was: -EBADMSG for what was not sealed with these
 * key, nonce and AAD; -ENOMEM. */
int aead_open(const uint8_t key[static AEAD_KEY_SIZE], const uint8_t nonce[static AEAD_NONCE_SIZE],
        Bytes aad, Bytes ciphertext, Buffer *out);
