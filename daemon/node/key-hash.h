/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A hash for tables whose keys strangers choose: NH of UMAC (RFC 4418) under a secret of the
 * process, then multiply and shift, so that nobody can make many keys share a bucket. For the
 * _BYHASHVALUE calls of uthash.
 */

#include "util/macro.h"

#define KEY_HASH_MAX 64 /* bytes of a key; a multiple of 8 */

/* To be filled with random bytes. */
typedef struct KeyHash {
        uint32_t words[KEY_HASH_MAX / 4];
        uint64_t factor;
} KeyHash;

/* N is a multiple of 8. */
static inline unsigned key_hash(const KeyHash *h, const void *key, size_t n) {
        const uint8_t *p = key;
        uint64_t sum = 0;

        for (size_t i = 0; i < n / 4; i += 2) {
                uint32_t w[2];

                memcpy(w, p + 4 * i, sizeof(w));
                sum += (uint64_t)(w[0] + h->words[i]) * (w[1] + h->words[i + 1]);
        }
        return (unsigned)((sum * (h->factor | 1)) >> 32);
}
