/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Ed25519 (RFC 8032) with a context in front: what is signed is CONTEXT, a zero byte, and the
 * bytes, so that a signature made for one purpose never verifies for another. libsodium refuses
 * small-order keys and non-canonical signatures, which GnuTLS does not; keys are checked again
 * where they enter (key_is_valid).
 */

#include "util/macro.h"

#define KEY_SIZE 32 /* public keys, seeds, account and device ids */
#define SIGNATURE_SIZE 64

typedef enum SignContext {
        SIGN_DEVICE,
        SIGN_RECORD,
        SIGN_PRESENCE,
        SIGN_MESSAGE,
        SIGN_RECEIPT,
        SIGN_VOID,
        SIGN_PREKEY,
        SIGN_ROOM_CONTROL,
        SIGN_ROOM_ENTRY,
        SIGN_BEACON,
        SIGN_LOGIN,
        SIGN_DEPOSIT,
        SIGN_RING_CERTIFICATE,
        SIGN_EXPORT,
        _SIGN_CONTEXT_MAX,
} SignContext;

/* A key pair in libsodium's form: the seed, then the public key. */
typedef struct SignKey {
        uint8_t secret[64];
} SignKey;

/* Once per process before anything else here. */
int crypto_init(void);

/* From the system's random generator. */
void sign_key_generate(SignKey *ret);
void sign_key_from_seed(const uint8_t seed[static KEY_SIZE], SignKey *ret);
void sign_key_wipe(SignKey *k);

static inline const uint8_t *sign_key_public(const SignKey *k) {
        return k->secret + 32;
}

static inline const uint8_t *sign_key_seed(const SignKey *k) {
        return k->secret;
}

/* A point on the curve, in canonical form and not of small order. */
bool key_is_valid(const uint8_t key[static KEY_SIZE]);

static inline bool key_equal(const uint8_t *a, const uint8_t *b) {
        return memcmp(a, b, KEY_SIZE) == 0;
}

/* -ENOMEM is the only failure. */
int sign(const SignKey *k, SignContext context, const void *p, size_t n,
        uint8_t ret[static SIGNATURE_SIZE]);

/* 0, or -EBADMSG for a signature that does not hold (or -ENOMEM). */
int sign_verify(const uint8_t key[static KEY_SIZE], SignContext context, const void *p, size_t n,
        const uint8_t signature[static SIGNATURE_SIZE]);
