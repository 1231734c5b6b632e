/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/expand.h"

#include <assert.h>
#include <sodium.h>

#define SHA512_BLOCK_SIZE 128

void expand_message(const Bytes *message, size_t n_message, Bytes domain, uint8_t *ret, size_t n) {
        static const uint8_t pad[SHA512_BLOCK_SIZE], zero;
        const uint8_t length[] = {(uint8_t)(n >> 8), (uint8_t)n},
                      domain_size = (uint8_t)domain.size;
        uint8_t first[SHA512_SIZE], mixed[SHA512_SIZE] = {}, block[SHA512_SIZE], counter = 0;
        Bytes parts[EXPAND_PARTS_MAX + 5],
                rest[] = {{.data = mixed, .size = sizeof(mixed)}, {.data = &counter, .size = 1},
                        domain, {.data = &domain_size, .size = 1}};
        size_t k = 0;

        assert(n <= EXPAND_SIZE_MAX && n_message <= EXPAND_PARTS_MAX);
        assert(domain.size <= EXPAND_DOMAIN_MAX);
        parts[k++] = (Bytes){.data = pad, .size = sizeof(pad)};
        for (size_t i = 0; i < n_message; i++)
                parts[k++] = message[i];
        parts[k++] = (Bytes){.data = length, .size = sizeof(length)};
        parts[k++] = (Bytes){.data = &zero, .size = 1};
        parts[k++] = domain;
        parts[k++] = (Bytes){.data = &domain_size, .size = 1};
        sha512_parts(parts, k, first);
        memcpy(mixed, first, sizeof(first));
        while (n > 0) {
                size_t take = MIN(n, sizeof(block));

                counter++;
                sha512_parts(rest, ELEMENTSOF(rest), block);
                memcpy(ret, block, take);
                for (size_t i = 0; i < sizeof(mixed); i++)
                        mixed[i] = first[i] ^ block[i];
                ret += take;
                n -= take;
        }
        sodium_memzero(first, sizeof(first));
        sodium_memzero(mixed, sizeof(mixed));
        sodium_memzero(block, sizeof(block));
}
