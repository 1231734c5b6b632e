/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Bytes that look random from bytes that need not: expand_message_xmd (RFC 9380, section 5.3.1)
 * with SHA-512, the step before a number or a point of a curve. libsodium 1.0.18 has the step after
 * it alone. What comes out of a secret is for the caller to wipe.
 */

#include "crypto/hash.h"

#define EXPAND_SIZE_MAX (255 * SHA512_SIZE)
#define EXPAND_PARTS_MAX 4
#define EXPAND_DOMAIN_MAX 255

/* N bytes, at most EXPAND_SIZE_MAX, from the concatenation of at most EXPAND_PARTS_MAX parts. The
 * same message gives something else in each domain (the DST of the RFC), which is of at most
 * EXPAND_DOMAIN_MAX bytes. */
void expand_message(const Bytes *message, size_t n_message, Bytes domain, uint8_t *ret, size_t n);
