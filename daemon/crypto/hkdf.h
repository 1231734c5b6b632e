/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Keys from keys: HKDF (RFC 5869) with SHA-256. What comes out is a secret as much as what goes in,
 * and is for the caller to wipe.
 */

#include "crypto/hash.h"

#define HKDF_SIZE_MAX (255 * SHA256_SIZE)
#define HKDF_PARTS_MAX 8

/* Section 2.2, over the concatenation of the parts of the input. */
void hkdf_extract(Bytes salt, const Bytes *ikm, size_t n_ikm, uint8_t ret_prk[static SHA256_SIZE]);

/* Section 2.3, with the concatenation of at most HKDF_PARTS_MAX parts as info: N bytes, at most
 * HKDF_SIZE_MAX. */
void hkdf_expand(const uint8_t prk[static SHA256_SIZE], const Bytes *info, size_t n_info,
        uint8_t *ret, size_t n);

/* Both. */
void hkdf(Bytes salt, Bytes ikm, const Bytes *info, size_t n_info, uint8_t *ret, size_t n);
