/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Sealing with a key that both sides have: AEAD_XChaCha20_Poly1305 (draft-irtf-cfrg-xchacha-03).
 * A box is the nonce, then the ciphertext. The nonce is long enough to be drawn anew each time, by
 * the caller from loop_random(), with no count to keep.
 */

#include "util/buffer.h"

#define BOX_KEY_SIZE 32
#define BOX_NONCE_SIZE 24
#define BOX_OVERHEAD (BOX_NONCE_SIZE + 16) /* a box is longer than its content */

/* Appends the box to OUT, or leaves it as it was: -ENOMEM. */
int box_seal(const uint8_t key[static BOX_KEY_SIZE], const uint8_t nonce[static BOX_NONCE_SIZE],
        Bytes aad, Bytes plaintext, Buffer *out);

/* Appends the content to OUT, or leaves it as it was: -EBADMSG for what was not sealed with this
 * key and this AAD; -ENOMEM. */
int box_open(const uint8_t key[static BOX_KEY_SIZE], Bytes aad, Bytes box, Buffer *out);
