/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/hkdf.h"

#include <assert.h>
#include <sodium.h>

void hkdf_extract(Bytes salt, const Bytes *ikm, size_t n_ikm, uint8_t ret_prk[static SHA256_SIZE]) {
        hmac_sha256(salt, ikm, n_ikm, ret_prk);
}

void hkdf_expand(const uint8_t prk[static SHA256_SIZE], const Bytes *info, size_t n_info,
        uint8_t *ret, size_t n) {
        Bytes key = {.data = prk, .size = SHA256_SIZE}, parts[HKDF_PARTS_MAX + 2];
        uint8_t block[SHA256_SIZE], counter = 0;

        assert(n <= HKDF_SIZE_MAX && n_info <= HKDF_PARTS_MAX);
        parts[0] = (Bytes){.data = block}; /* T(0) is empty */
        for (size_t i = 0; i < n_info; i++)
                parts[1 + i] = info[i];
        parts[1 + n_info] = (Bytes){.data = &counter, .size = 1};
        while (n > 0) {
                size_t k = MIN(n, sizeof(block));

                counter++;
                hmac_sha256(key, parts, n_info + 2, block);
                memcpy(ret, block, k);
                parts[0].size = sizeof(block);
                ret += k;
                n -= k;
        }
        sodium_memzero(block, sizeof(block));
}

void hkdf(Bytes salt, Bytes ikm, const Bytes *info, size_t n_info, uint8_t *ret, size_t n) {
        uint8_t prk[SHA256_SIZE];

        hkdf_extract(salt, &ikm, 1, prk);
        hkdf_expand(prk, info, n_info, ret, n);
        sodium_memzero(prk, sizeof(prk));
}
