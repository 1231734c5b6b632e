/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Memory for keys that live as long as the program: kept out of the swap as far as the limits
 * allow (RLIMIT_MEMLOCK), with pages around it that nobody may touch, and wiped when it is freed.
 */

#include "util/macro.h"

/* N bytes, all zero, or NULL. After crypto_init(). */
void *secret_new(size_t n);
void *secret_free(void *p);

/* As long for what is the same as for what is not. */
bool secret_equal(const void *a, const void *b, size_t n);

static inline void secret_freep(void *p) {
        secret_free(*(void **)p);
}
