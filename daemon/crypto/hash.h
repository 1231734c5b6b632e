/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * SHA-256 (FIPS 180-4), by GnuTLS, which uses the processor's instructions where there are any, and
 * HMAC with it (RFC 2104), by libsodium, whose state is on the stack and can be wiped. SHA-512, for
 * secrets alone, is libsodium's as well.
 */

#include <sys/uio.h>

#include "util/buffer.h"

#define SHA256_SIZE 32
#define SHA512_SIZE 64

void sha256(const void *p, size_t n, uint8_t ret[static SHA256_SIZE]);

/* Over the concatenation of the parts. */
void sha256_parts(const struct iovec *parts, size_t n, uint8_t ret[static SHA256_SIZE]);

/* Over what comes bit by bit. */
typedef struct Sha256 {
        void *state;
} Sha256;

void sha256_begin(Sha256 *h);
void sha256_add(Sha256 *h, const void *p, size_t n);
void sha256_end(Sha256 *h, uint8_t ret[static SHA256_SIZE]);

void hmac_sha256(Bytes key, const Bytes *parts, size_t n_parts, uint8_t ret[static SHA256_SIZE]);

/* Over the concatenation of the parts, and leaves nothing of them behind. */
void sha512_parts(const Bytes *parts, size_t n, uint8_t ret[static SHA512_SIZE]);
