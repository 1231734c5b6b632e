/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/safety-number.h"

#include <sodium.h>
#include <stdio.h>

#define ITERATIONS 5200

void safety_number_half(Bytes id, Bytes key, char ret[static SAFETY_NUMBER_HALF_SIZE + 1]) {
        static const uint8_t version[] = {0, 0};
        uint8_t hash[crypto_hash_sha512_BYTES];
        crypto_hash_sha512_state state;

        crypto_hash_sha512_init(&state);
        crypto_hash_sha512_update(&state, version, sizeof(version));
        crypto_hash_sha512_update(&state, key.data, key.size);
        crypto_hash_sha512_update(&state, id.data, id.size);
        for (unsigned i = 0; i < ITERATIONS; i++) {
                crypto_hash_sha512_update(&state, key.data, key.size);
                crypto_hash_sha512_final(&state, hash);
                crypto_hash_sha512_init(&state);
                crypto_hash_sha512_update(&state, hash, sizeof(hash));
        }
        /* Five bytes make five digits, which are a little uneven: so is Signal's. */
        for (size_t i = 0; i < SAFETY_NUMBER_HALF_SIZE / SAFETY_NUMBER_GROUP; i++) {
                uint64_t v = 0;

                for (size_t k = 0; k < 5; k++)
                        v = v << 8 | hash[5 * i + k];
                snprintf(ret + SAFETY_NUMBER_GROUP * i, SAFETY_NUMBER_GROUP + 1, "%05u",
                        (unsigned)(v % 100000));
        }
}

void safety_number(const uint8_t a[static 32], const uint8_t b[static 32],
        char ret[static SAFETY_NUMBER_SIZE + 1]) {
        const Bytes accounts[] = {{.data = a, .size = 32}, {.data = b, .size = 32}};
        char halves[2][SAFETY_NUMBER_HALF_SIZE + 1];
        int first;

        for (size_t i = 0; i < ELEMENTSOF(halves); i++)
                safety_number_half(accounts[i], accounts[i], halves[i]);
        first = strcmp(halves[0], halves[1]) > 0;
        snprintf(ret, SAFETY_NUMBER_SIZE + 1, "%s%s", halves[first], halves[!first]);
}
