/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* SHA-256 (FIPS 180-4), by GnuTLS, which uses the processor's instructions where there are any. */

#include <sys/uio.h>

#include "util/macro.h"

#define SHA256_SIZE 32

void sha256(const void *p, size_t n, uint8_t ret[static SHA256_SIZE]);

/* Over the concatenation of the parts. */
void sha256_parts(const struct iovec *parts, size_t n, uint8_t ret[static SHA256_SIZE]);
