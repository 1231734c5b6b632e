/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/hpke-context.h"

#include <assert.h>
#include <sodium.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"

/* Names are those of RFC 9180. */

static_assert(
        HPKE_NONCE_SIZE == AEAD_NONCE_SIZE && HPKE_OVERHEAD == AEAD_OVERHEAD, "as the suite says");

#define BYTES(array) ((Bytes){.data = (array), .size = sizeof(array)})
#define NOTHING ((Bytes){})

/* Section 4.1 for the KEM, section 5.1 for the rest: DHKEM(X25519, HKDF-SHA256) is 0x0020,
 * HKDF-SHA256 0x0001, ChaCha20Poly1305 0x0003. */
static const uint8_t KEM_SUITE[] = {'K', 'E', 'M', 0x00, 0x20};
static const uint8_t HPKE_SUITE[] = {'H', 'P', 'K', 'E', 0x00, 0x20, 0x00, 0x01, 0x00, 0x03};

#define MODE_BASE 0x00

static void labeled_extract(
        Bytes suite, Bytes salt, const char *label, Bytes ikm, uint8_t ret[static SHA256_SIZE]) {
        const Bytes parts[] = {text_bytes("HPKE-v1"), suite, text_bytes(label), ikm};

        hkdf_extract(salt, parts, ELEMENTSOF(parts), ret);
}

static void labeled_expand(Bytes suite, const uint8_t prk[static SHA256_SIZE], const char *label,
        Bytes info, uint8_t *ret, size_t n) {
        const uint8_t length[] = {(uint8_t)(n >> 8), (uint8_t)n};
        const Bytes parts[] = {
                BYTES(length), text_bytes("HPKE-v1"), suite, text_bytes(label), info};

        hkdf_expand(prk, parts, ELEMENTSOF(parts), ret, n);
}

void hpke_key_derive(const uint8_t seed[static HPKE_SEED_SIZE],
        uint8_t ret_secret[static HPKE_KEY_SIZE], uint8_t ret_public[static HPKE_KEY_SIZE]) {
        Bytes ikm = {.data = seed, .size = HPKE_SEED_SIZE};
        uint8_t dkp_prk[SHA256_SIZE];

        labeled_extract(BYTES(KEM_SUITE), NOTHING, "dkp_prk", ikm, dkp_prk);
        labeled_expand(BYTES(KEM_SUITE), dkp_prk, "sk", NOTHING, ret_secret, HPKE_KEY_SIZE);
        sodium_memzero(dkp_prk, sizeof(dkp_prk));
        crypto_scalarmult_base(ret_public, ret_secret);
}

/* Both sides' half of section 4.1: the shared secret from the key agreement. */
static int kem_agree(const uint8_t secret[static HPKE_KEY_SIZE],
        const uint8_t public[static HPKE_KEY_SIZE], const uint8_t enc[static HPKE_KEY_SIZE],
        const uint8_t recipient[static HPKE_KEY_SIZE], uint8_t ret[static SHA256_SIZE]) {
        uint8_t dh[crypto_scalarmult_BYTES], eae_prk[SHA256_SIZE], kem_context[2 * HPKE_KEY_SIZE];

        /* This is where a key of small order is noticed: the result would be zero. */
        if (crypto_scalarmult(dh, secret, public) < 0)
                return -EKEYREJECTED;
        memcpy(kem_context, enc, HPKE_KEY_SIZE);
        memcpy(kem_context + HPKE_KEY_SIZE, recipient, HPKE_KEY_SIZE);
        labeled_extract(BYTES(KEM_SUITE), NOTHING, "eae_prk", BYTES(dh), eae_prk);
        labeled_expand(
                BYTES(KEM_SUITE), eae_prk, "shared_secret", BYTES(kem_context), ret, SHA256_SIZE);
        sodium_memzero(dh, sizeof(dh));
        sodium_memzero(eae_prk, sizeof(eae_prk));
        return 0;
}

/* Section 5.1; wipes SHARED. */
static void key_schedule(uint8_t shared[static SHA256_SIZE], Bytes info, HpkeContext *ret) {
        Bytes salt = {.data = shared, .size = SHA256_SIZE}, suite = BYTES(HPKE_SUITE);
        uint8_t context[1 + 2 * SHA256_SIZE] = {MODE_BASE}, secret[SHA256_SIZE];

        labeled_extract(suite, NOTHING, "psk_id_hash", NOTHING, context + 1);
        labeled_extract(suite, NOTHING, "info_hash", info, context + 1 + SHA256_SIZE);
        labeled_extract(suite, salt, "secret", NOTHING, secret);
        labeled_expand(suite, secret, "key", BYTES(context), ret->key, sizeof(ret->key));
        labeled_expand(suite, secret, "base_nonce", BYTES(context), ret->base_nonce,
                sizeof(ret->base_nonce));
        labeled_expand(suite, secret, "exp", BYTES(context), ret->exporter_secret,
                sizeof(ret->exporter_secret));
        ret->seq = 0;
        sodium_memzero(secret, sizeof(secret));
        sodium_memzero(shared, SHA256_SIZE);
}

int hpke_setup_sender(const uint8_t public[static HPKE_KEY_SIZE],
        const uint8_t seed[static HPKE_SEED_SIZE], Bytes info,
        uint8_t ret_enc[static HPKE_KEY_SIZE], HpkeContext *ret) {
        uint8_t ephemeral[HPKE_KEY_SIZE], enc[HPKE_KEY_SIZE], shared[SHA256_SIZE];
        int r;

        hpke_key_derive(seed, ephemeral, enc);
        r = kem_agree(ephemeral, public, enc, public, shared);
        sodium_memzero(ephemeral, sizeof(ephemeral));
        if (r < 0)
                return r;
        key_schedule(shared, info, ret);
        memcpy(ret_enc, enc, sizeof(enc));
        return 0;
}

int hpke_setup_recipient(const uint8_t secret[static HPKE_KEY_SIZE],
        const uint8_t enc[static HPKE_KEY_SIZE], Bytes info, HpkeContext *ret) {
        uint8_t public[HPKE_KEY_SIZE], shared[SHA256_SIZE];
        int r;

        crypto_scalarmult_base(public, secret);
        r = kem_agree(secret, enc, enc, public, shared);
        if (r < 0)
                return r;
        key_schedule(shared, info, ret);
        return 0;
}

/* Section 5.2: the sequence number, big-endian, over the end of the base nonce. */
static void compute_nonce(const HpkeContext *c, uint8_t ret[static HPKE_NONCE_SIZE]) {
        memcpy(ret, c->base_nonce, HPKE_NONCE_SIZE);
        for (size_t i = 0; i < sizeof(c->seq); i++)
                ret[HPKE_NONCE_SIZE - 1 - i] ^= (uint8_t)(c->seq >> 8 * i);
}

int hpke_context_seal(HpkeContext *c, Bytes aad, Bytes plaintext, Buffer *out) {
        uint8_t nonce[HPKE_NONCE_SIZE];
        int r;

        compute_nonce(c, nonce);
        r = aead_seal(c->key, nonce, aad, plaintext, out);
        if (r < 0)
                return r;
        c->seq++;
        return 0;
}

int hpke_context_open(HpkeContext *c, Bytes aad, Bytes ciphertext, Buffer *out) {
        uint8_t nonce[HPKE_NONCE_SIZE];
        int r;

        compute_nonce(c, nonce);
        r = aead_open(c->key, nonce, aad, ciphertext, out);
        if (r < 0)
                return r;
        c->seq++;
        return 0;
}

void hpke_context_export(const HpkeContext *c, Bytes exporter_context, uint8_t ret[static 32]) {
        labeled_expand(BYTES(HPKE_SUITE), c->exporter_secret, "sec", exporter_context, ret, 32);
}

int hpke_seal(const uint8_t public[static HPKE_KEY_SIZE], const uint8_t seed[static HPKE_SEED_SIZE],
        Bytes info, Bytes aad, Bytes plaintext, uint8_t ret_enc[static HPKE_KEY_SIZE],
        Buffer *out) {
        uint8_t enc[HPKE_KEY_SIZE];
        HpkeContext c;
        int r;

        r = hpke_setup_sender(public, seed, info, enc, &c);
        if (r < 0)
                return r;
        r = hpke_context_seal(&c, aad, plaintext, out);
        sodium_memzero(&c, sizeof(c));
        if (r < 0)
                return r;
        memcpy(ret_enc, enc, sizeof(enc));
        return 0;
}

int hpke_open(const uint8_t secret[static HPKE_KEY_SIZE], const uint8_t enc[static HPKE_KEY_SIZE],
        Bytes info, Bytes aad, Bytes ciphertext, Buffer *out) {
        HpkeContext c;
        int r;

        if (hpke_setup_recipient(secret, enc, info, &c) < 0)
                return -EBADMSG;
        r = hpke_context_open(&c, aad, ciphertext, out);
        sodium_memzero(&c, sizeof(c));
        return r;
}
