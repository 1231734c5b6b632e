/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "crypto/oprf.h"

#include <assert.h>
#include <sodium.h>

#include "crypto/expand.h"

/* The context string of section 3.1 ends every domain: version, mode, suite. The zero is the number
 * of the mode. */
#define CONTEXT "OPRFV1-\0-ristretto255-SHA512"
#define DOMAIN(text)                                                                               \
        ((Bytes){.data = (const uint8_t *)(text CONTEXT), .size = STRLEN(text CONTEXT)})

/* In front of what is hashed: its length, two bytes, the greater first. */
typedef struct Length {
        uint8_t bytes[2];
} Length;

static Bytes length_put(Length *l, size_t n) {
        l->bytes[0] = (uint8_t)(n >> 8);
        l->bytes[1] = (uint8_t)n;
        return (Bytes){.data = l->bytes, .size = sizeof(l->bytes)};
}

static bool scalar_is_zero(const uint8_t scalar[static OPRF_KEY_SIZE]) {
        return sodium_is_zero(scalar, OPRF_KEY_SIZE) == 1;
}

/* A number below the order of the group, and not zero. */
static bool scalar_is_valid(const uint8_t scalar[static OPRF_KEY_SIZE]) {
        uint8_t wide[crypto_core_ristretto255_NONREDUCEDSCALARBYTES] = {}, reduced[OPRF_KEY_SIZE];
        bool valid;

        memcpy(wide, scalar, OPRF_KEY_SIZE);
        crypto_core_ristretto255_scalar_reduce(reduced, wide);
        valid = sodium_memcmp(reduced, scalar, sizeof(reduced)) == 0 && !scalar_is_zero(reduced);
        sodium_memzero(wide, sizeof(wide));
        sodium_memzero(reduced, sizeof(reduced));
        return valid;
}

/* HashToGroup() */
static void hash_to_element(Bytes input, uint8_t ret[static OPRF_ELEMENT_SIZE]) {
        uint8_t wide[crypto_core_ristretto255_HASHBYTES];

        expand_message(&input, 1, DOMAIN("HashToGroup-"), wide, sizeof(wide));
        crypto_core_ristretto255_from_hash(ret, wide);
        sodium_memzero(wide, sizeof(wide));
}

/* SCALAR times ELEMENT. False for an element that is not one, that is not in canonical form, or
 * that is the identity: the scalar is valid, so that nothing else can give the identity. libsodium
 * 1.0.18 does not look at the highest bit, with which each element would have a second form. */
static bool element_multiply(const uint8_t scalar[static OPRF_KEY_SIZE],
        const uint8_t element[static OPRF_ELEMENT_SIZE], uint8_t ret[static OPRF_ELEMENT_SIZE]) {
        uint8_t product[OPRF_ELEMENT_SIZE];
        bool done = (element[OPRF_ELEMENT_SIZE - 1] & 0x80) == 0 &&
                crypto_scalarmult_ristretto255(product, scalar, element) == 0;

        if (done)
                memcpy(ret, product, sizeof(product));
        sodium_memzero(product, sizeof(product));
        return done;
}

/* So many bytes more than the order has that each number is as likely as the next. */
static void scalar_draw(
        const uint8_t random[static OPRF_RANDOM_SIZE], uint8_t ret[static OPRF_KEY_SIZE]) {
        static_assert(OPRF_RANDOM_SIZE == crypto_core_ristretto255_NONREDUCEDSCALARBYTES, "RFC");
        crypto_core_ristretto255_scalar_reduce(ret, random);
        /* Nobody lives to see it, but where the randomness is none; and a key that gives everybody
         * the same output must never go on. */
        if (scalar_is_zero(ret))
                abort();
}

void oprf_key_generate(
        const uint8_t random[static OPRF_RANDOM_SIZE], uint8_t ret_key[static OPRF_KEY_SIZE]) {
        scalar_draw(random, ret_key);
}

void oprf_derive_key(const uint8_t seed[static OPRF_SEED_SIZE], Bytes info,
        uint8_t ret_key[static OPRF_KEY_SIZE]) {
        uint8_t wide[crypto_core_ristretto255_NONREDUCEDSCALARBYTES];
        static const uint8_t counter; /* of the tries: there is a second one after a zero only */
        Length length;
        const Bytes message[] = {{.data = seed, .size = OPRF_SEED_SIZE},
                length_put(&length, info.size), info, {.data = &counter, .size = 1}};

        assert(info.size <= OPRF_INFO_MAX);
        expand_message(message, ELEMENTSOF(message), DOMAIN("DeriveKeyPair"), wide, sizeof(wide));
        scalar_draw(wide, ret_key);
        sodium_memzero(wide, sizeof(wide));
}

int oprf_blind_with(Bytes input, const uint8_t blind[static OPRF_KEY_SIZE],
        uint8_t ret_blinded[static OPRF_ELEMENT_SIZE]) {
        uint8_t element[OPRF_ELEMENT_SIZE];
        bool done;

        if (input.size > OPRF_INPUT_MAX || !scalar_is_valid(blind))
                return -EINVAL;
        hash_to_element(input, element);
        done = element_multiply(blind, element, ret_blinded);
        sodium_memzero(element, sizeof(element));
        return done ? 0 : -EINVAL; /* an input whose hash is the identity: nobody knows one */
}

int oprf_blind(Bytes input, const uint8_t random[static OPRF_RANDOM_SIZE],
        uint8_t ret_blind[static OPRF_KEY_SIZE], uint8_t ret_blinded[static OPRF_ELEMENT_SIZE]) {
        scalar_draw(random, ret_blind);
        return oprf_blind_with(input, ret_blind, ret_blinded);
}

int oprf_evaluate(const uint8_t key[static OPRF_KEY_SIZE],
        const uint8_t blinded[static OPRF_ELEMENT_SIZE],
        uint8_t ret_evaluated[static OPRF_ELEMENT_SIZE]) {
        if (!scalar_is_valid(key))
                return -EINVAL;
        return element_multiply(key, blinded, ret_evaluated) ? 0 : -EBADMSG;
}

int oprf_finalize(Bytes input, const uint8_t blind[static OPRF_KEY_SIZE],
        const uint8_t evaluated[static OPRF_ELEMENT_SIZE], uint8_t ret[static OPRF_OUTPUT_SIZE]) {
        uint8_t inverse[OPRF_KEY_SIZE], element[OPRF_ELEMENT_SIZE];
        Length before_input, before_element;
        bool done;

        if (input.size > OPRF_INPUT_MAX || !scalar_is_valid(blind))
                return -EINVAL;
        crypto_core_ristretto255_scalar_invert(inverse, blind);
        done = element_multiply(inverse, evaluated, element);
        if (done) {
                const Bytes parts[] = {length_put(&before_input, input.size), input,
                        length_put(&before_element, sizeof(element)),
                        {.data = element, .size = sizeof(element)}, text_bytes("Finalize")};

                sha512_parts(parts, ELEMENTSOF(parts), ret);
        }
        sodium_memzero(inverse, sizeof(inverse));
        sodium_memzero(element, sizeof(element));
        return done ? 0 : -EBADMSG;
}
