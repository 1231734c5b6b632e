/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * From a password to keys. What oprf_finalize() made of the password is stretched with Argon2id
 * (RFC 9106), so that even a tracker that gives its OPRF key away leaves every guess expensive:
 *
 *     randomised = HKDF-Extract("", y ‖ Argon2id(y, 16 zeros, memory, passes, 1 lane, 64 bytes))
 *     backup key = HKDF-Expand(randomised, "p2pchat/1 backup", 32)
 *     login seed = HKDF-Expand(randomised, "p2pchat/1 login", 32)
 *
 * as RFC 9807 composes randomized_password; its salt is constant too, since y is of a key that is
 * only for this account and this password.
 *
 * How much memory and how many passes is said by the tracker that keeps the key: it is looked at
 * before it is believed.
 */

#include "crypto/oprf.h"
#include "crypto/sign.h"

#define PASSWORD_BACKUP_KEY_SIZE 32 /* AEAD_KEY_SIZE and BOX_KEY_SIZE alike */

/* As an account statement and an answer of a tracker say it: not believed yet. */
typedef struct PasswordCost {
        uint64_t memory; /* KiB */
        uint64_t passes;
} PasswordCost;

/* What a new password gets, and the least that a client takes from a tracker. */
#define PASSWORD_COST_DEFAULT ((PasswordCost){.memory = 256 * 1024, .passes = 3})

/* More is not asked of anybody: it would be an attack. */
#define PASSWORD_COST_MAX ((PasswordCost){.memory = 1024 * 1024, .passes = 16})

/* What Argon2id itself needs, for tests and the simulator. */
#define PASSWORD_COST_MIN ((PasswordCost){.memory = 8, .passes = 1})

typedef struct PasswordKeys {
        uint8_t backup[PASSWORD_BACKUP_KEY_SIZE]; /* opens the sealed backup */
        uint8_t login_seed[KEY_SIZE]; /* of the key that signs a login: sign_key_from_seed() */
} PasswordKeys;

/* Whether COST is between LEAST (for anybody but the simulator PASSWORD_COST_DEFAULT) and
 * PASSWORD_COST_MAX. -ERANGE: less memory or fewer passes, which would make guessing cheap; -E2BIG:
 * more of either. */
int password_cost_check(const PasswordCost *cost, const PasswordCost *least);

/* BLOCKS for as long as stretching takes, about a second, and takes cost->memory while it does: for
 * a worker thread. It touches nothing but its arguments.
 *
 * -ENOMEM where the memory is not there; -EINVAL for a cost that is not between PASSWORD_COST_MIN
 * and PASSWORD_COST_MAX, whatever was checked before. The keys are all zeros after a failure. What
 * was made on the way is wiped; Y is the caller's. */
int password_stretch(
        const uint8_t y[static OPRF_OUTPUT_SIZE], const PasswordCost *cost, PasswordKeys *ret);

void password_keys_wipe(PasswordKeys *k);
