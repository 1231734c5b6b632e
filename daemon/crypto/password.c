/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/password.h"

#include <sodium.h>

#include "crypto/hkdf.h"

#define KIB 1024

/* libsodium 1.0.18 leaves what Argon2id gave on the stack, in a buffer of its BLAKE2b, and the
 * dynamic linker saves registers there. It goes less than 8 KiB deep. */
#define STACK_USED (16 * KIB)

static bool cost_is_below(const PasswordCost *a, const PasswordCost *b) {
        return a->memory < b->memory || a->passes < b->passes;
}

int password_cost_check(const PasswordCost *cost, const PasswordCost *least) {
        if (cost_is_below(cost, least))
                return -ERANGE;
        return cost_is_below(&PASSWORD_COST_MAX, cost) ? -E2BIG : 0;
}

/* ret := HKDF-Extract("", y ‖ Argon2id(y)) */
static int randomise(const uint8_t y[static OPRF_OUTPUT_SIZE], const PasswordCost *cost,
        uint8_t ret[static SHA256_SIZE]) {
        static const uint8_t salt[crypto_pwhash_argon2id_SALTBYTES];
        uint8_t hard[OPRF_OUTPUT_SIZE];
        const Bytes parts[] = {
                {.data = y, .size = OPRF_OUTPUT_SIZE}, {.data = hard, .size = sizeof(hard)}};
        int r = crypto_pwhash_argon2id(hard, sizeof(hard), (const char *)y, OPRF_OUTPUT_SIZE, salt,
                cost->passes, (size_t)cost->memory * KIB, crypto_pwhash_argon2id_ALG_ARGON2ID13);

        if (r == 0)
                hkdf_extract((Bytes){}, parts, ELEMENTSOF(parts), ret);
        sodium_memzero(hard, sizeof(hard));
        return r;
}

int password_stretch(
        const uint8_t y[static OPRF_OUTPUT_SIZE], const PasswordCost *cost, PasswordKeys *ret) {
        const Bytes backup = text_bytes("p2pchat/1 backup"), login = text_bytes("p2pchat/1 login");
        uint8_t randomised[SHA256_SIZE];
        int r;

        password_keys_wipe(ret);
        if (password_cost_check(cost, &PASSWORD_COST_MIN) < 0)
                return -EINVAL;
        r = randomise(y, cost, randomised);
        if (r == 0) {
                hkdf_expand(randomised, &backup, 1, ret->backup, sizeof(ret->backup));
                hkdf_expand(randomised, &login, 1, ret->login_seed, sizeof(ret->login_seed));
        }
        sodium_memzero(randomised, sizeof(randomised));
        sodium_stackzero(STACK_USED);
        return r == 0 ? 0 : -ENOMEM; /* the rest of what it could refuse has been looked at */
}

void password_keys_wipe(PasswordKeys *k) {
        sodium_memzero(k, sizeof(*k));
}
