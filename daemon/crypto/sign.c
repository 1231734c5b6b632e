/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/sign.h"

#include <sodium.h>

static const char *const CONTEXTS[_SIGN_CONTEXT_MAX] = {
        [SIGN_DEVICE] = "p2pchat/1 device",
        [SIGN_RECORD] = "p2pchat/1 record",
        [SIGN_PRESENCE] = "p2pchat/1 presence",
        [SIGN_MESSAGE] = "p2pchat/1 message",
        [SIGN_RECEIPT] = "p2pchat/1 receipt",
        [SIGN_VOID] = "p2pchat/1 void",
        [SIGN_PREKEY] = "p2pchat/1 prekey",
        [SIGN_ROOM_CONTROL] = "p2pchat/1 room-control",
        [SIGN_ROOM_ENTRY] = "p2pchat/1 room-entry",
        [SIGN_BEACON] = "p2pchat/1 beacon",
        [SIGN_LOGIN] = "p2pchat/1 login",
        [SIGN_DEPOSIT] = "p2pchat/1 deposit",
        [SIGN_RING_CERTIFICATE] = "p2pchat/1 ring-certificate",
        [SIGN_EXPORT] = "p2pchat/1 export",
};

/* Most of what is signed fits; the rest goes through the heap. */
#define INPUT_ON_STACK 1024

int crypto_init(void) {
        return sodium_init() < 0 ? -EIO : 0;
}

void sign_key_generate(SignKey *ret) {
        uint8_t public[KEY_SIZE];

        crypto_sign_keypair(public, ret->secret);
}

void sign_key_from_seed(const uint8_t seed[static KEY_SIZE], SignKey *ret) {
        uint8_t public[KEY_SIZE];

        crypto_sign_seed_keypair(public, ret->secret, seed);
}

void sign_key_wipe(SignKey *k) {
        sodium_memzero(k, sizeof(*k));
}

bool key_is_valid(const uint8_t key[static KEY_SIZE]) {
        return crypto_core_ed25519_is_valid_point(key) == 1;
}

/* CONTEXT, zero, bytes. The caller frees RET unless it is BUF. */
static uint8_t *signed_input(SignContext context, const void *p, size_t n,
        uint8_t buf[static INPUT_ON_STACK], size_t *ret_n) {
        size_t c = strlen(CONTEXTS[context]) + 1;
        uint8_t *in = buf;

        if (n > INPUT_ON_STACK - c)
                in = malloc(c + n);
        if (!in)
                return NULL;
        memcpy(in, CONTEXTS[context], c);
        copy_bytes(in + c, p, n);
        *ret_n = c + n;
        return in;
}

int sign(const SignKey *k, SignContext context, const void *p, size_t n,
        uint8_t ret[static SIGNATURE_SIZE]) {
        uint8_t buf[INPUT_ON_STACK], *in;
        size_t size;

        in = signed_input(context, p, n, buf, &size);
        if (!in)
                return -ENOMEM;
        crypto_sign_detached(ret, NULL, in, size, k->secret);
        if (in != buf)
                free(in);
        return 0;
}

int sign_verify(const uint8_t key[static KEY_SIZE], SignContext context, const void *p, size_t n,
        const uint8_t signature[static SIGNATURE_SIZE]) {
        uint8_t buf[INPUT_ON_STACK], *in;
        size_t size;
        int r;

        in = signed_input(context, p, n, buf, &size);
        if (!in)
                return -ENOMEM;
        r = crypto_sign_verify_detached(signature, in, size, key) == 0 ? 0 : -EBADMSG;
        if (in != buf)
                free(in);
        return r;
}
