/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/hash.h"

#include <gnutls/crypto.h>
#include <sodium.h>

/* Hashing fails only when memory is out or the library is in a FIPS error state. Neither leaves
 * anything sensible to do, and a wrong digest must never go on. */
static void hash_check(int r) {
        if (r < 0)
                abort();
}

void sha256(const void *p, size_t n, uint8_t ret[static SHA256_SIZE]) {
        hash_check(gnutls_hash_fast(GNUTLS_DIG_SHA256, n > 0 ? p : "", n, ret));
}

void sha256_parts(const struct iovec *parts, size_t n, uint8_t ret[static SHA256_SIZE]) {
        gnutls_hash_hd_t h;

        hash_check(gnutls_hash_init(&h, GNUTLS_DIG_SHA256));
        for (size_t i = 0; i < n; i++)
                if (parts[i].iov_len > 0)
                        hash_check(gnutls_hash(h, parts[i].iov_base, parts[i].iov_len));
        gnutls_hash_deinit(h, ret);
}

void sha256_begin(Sha256 *h) {
        gnutls_hash_hd_t state;

        hash_check(gnutls_hash_init(&state, GNUTLS_DIG_SHA256));
        h->state = state;
}

void sha256_add(Sha256 *h, const void *p, size_t n) {
        if (n > 0)
                hash_check(gnutls_hash(h->state, p, n));
}

void sha256_end(Sha256 *h, uint8_t ret[static SHA256_SIZE]) {
        gnutls_hash_deinit(h->state, ret);
}

void hmac_sha256(Bytes key, const Bytes *parts, size_t n_parts, uint8_t ret[static SHA256_SIZE]) {
        crypto_auth_hmacsha256_state state;

        crypto_auth_hmacsha256_init(
                &state, key.size > 0 ? key.data : (const uint8_t *)"", key.size);
        for (size_t i = 0; i < n_parts; i++)
                crypto_auth_hmacsha256_update(&state, parts[i].data, parts[i].size);
        crypto_auth_hmacsha256_final(&state, ret);
        sodium_memzero(&state, sizeof(state));
}

void sha512_parts(const Bytes *parts, size_t n, uint8_t ret[static SHA512_SIZE]) {
        crypto_hash_sha512_state state;

        crypto_hash_sha512_init(&state);
        for (size_t i = 0; i < n; i++)
                crypto_hash_sha512_update(&state, parts[i].data, parts[i].size);
        crypto_hash_sha512_final(&state, ret);
        sodium_memzero(&state, sizeof(state));
}
