/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Ed25519 with a memory, for the simulator and for fuzzers of conversations; the linker puts this
 * in the place of what it is named after. In a world all signatures are made by this process, and
 * those that fuzzers need are the same in each run, so nearly all that is verified and looked at
 * was made or seen before. Each of the functions answers the same bytes in the same way: what is
 * remembered is what libsodium has said of them, and that what it signs is signed.
 *
 * The memory is static, since what is allocated and stays is a leak to libFuzzer.
 */

#include <stdint.h>

#include <sodium.h>

#include "util/macro.h"

#define SLOTS 8192
#define QUESTION_MAX 1536 /* bytes; what is longer is asked each time */

typedef enum QuestionKind {
        IS_VALID_POINT,
        SIGN,
        VERIFY,
} QuestionKind;

typedef struct Slot {
        uint8_t question[QUESTION_MAX];
        size_t size; /* of the question; 0: empty */
        int result;
        uint8_t signature[crypto_sign_BYTES];
} Slot;

int __wrap_crypto_core_ed25519_is_valid_point(const uint8_t *p);
int __wrap_crypto_sign_detached(uint8_t *signature, unsigned long long *ret_size, const uint8_t *m,
        unsigned long long size, const uint8_t *key);
int __wrap_crypto_sign_verify_detached(
        const uint8_t *signature, const uint8_t *m, unsigned long long size, const uint8_t *key);

int __real_crypto_core_ed25519_is_valid_point(const uint8_t *p);
int __real_crypto_sign_detached(uint8_t *signature, unsigned long long *ret_size, const uint8_t *m,
        unsigned long long size, const uint8_t *key);
int __real_crypto_sign_verify_detached(
        const uint8_t *signature, const uint8_t *m, unsigned long long size, const uint8_t *key);

/* The slot of a question: its kind, a key or point, a signature or nothing, and a message. Where
 * KNOWN is false the caller puts the answer in. */
static Slot *slot_of(QuestionKind kind, const uint8_t *key, size_t key_size,
        const uint8_t *signature, const uint8_t *m, size_t size, bool *ret_known) {
        static Slot slots[SLOTS], too_long;
        static uint8_t question[QUESTION_MAX];
        size_t signature_size = signature ? crypto_sign_BYTES : 0;
        uint64_t hash;
        Slot *s;

        *ret_known = false;
        if (1 + key_size + signature_size + size > sizeof(question))
                return &too_long;
        question[0] = (uint8_t)kind;
        copy_bytes(question + 1, key, key_size);
        copy_bytes(question + 1 + key_size, signature, signature_size);
        copy_bytes(question + 1 + key_size + signature_size, m, size);
        size += 1 + key_size + signature_size;
        crypto_shorthash(
                (uint8_t *)&hash, question, size, (const uint8_t[crypto_shorthash_KEYBYTES]){});
        s = &slots[hash % SLOTS];
        *ret_known = s->size == size && memcmp(s->question, question, size) == 0;
        memcpy(s->question, question, size);
        s->size = size;
        return s;
}

int __wrap_crypto_core_ed25519_is_valid_point(const uint8_t *p) {
        bool known;
        Slot *s = slot_of(IS_VALID_POINT, p, crypto_core_ed25519_BYTES, NULL, NULL, 0, &known);

        if (!known)
                s->result = __real_crypto_core_ed25519_is_valid_point(p);
        return s->result;
}

int __wrap_crypto_sign_detached(uint8_t *signature, unsigned long long *ret_size, const uint8_t *m,
        unsigned long long size, const uint8_t *key) {
        bool known;
        Slot *s = slot_of(SIGN, key, crypto_sign_SECRETKEYBYTES, NULL, m, size, &known);

        if (!known)
                (void)__real_crypto_sign_detached(s->signature, NULL, m, size, key);
        memcpy(signature, s->signature, sizeof(s->signature));
        if (ret_size)
                *ret_size = sizeof(s->signature);
        slot_of(VERIFY, key + crypto_sign_SEEDBYTES, crypto_sign_PUBLICKEYBYTES, signature, m, size,
                &known)
                ->result = 0;
        return 0;
}

int __wrap_crypto_sign_verify_detached(
        const uint8_t *signature, const uint8_t *m, unsigned long long size, const uint8_t *key) {
        bool known;
        Slot *s = slot_of(VERIFY, key, crypto_sign_PUBLICKEYBYTES, signature, m, size, &known);

        if (!known)
                s->result = __real_crypto_sign_verify_detached(signature, m, size, key);
        return s->result;
}
