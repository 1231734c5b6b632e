/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The way from a password to the keys that it gives: blinded, evaluated by the tracker that keeps
 * the key for it (RFC 9497), stretched on a thread of its own. Neither the tracker nor the disk
 * ever has the password or what it gives.
 */

#include "account/private.h"
#include "crypto/password.h"

typedef struct PasswordKept {
        uint8_t tracker[KEY_SIZE]; /* keeps the OPRF key */
        OprfRequest asked; /* of it, as the signature of a login has it */
        uint64_t key_id;
        PasswordCost cost;
        PasswordKeys keys;
} PasswordKept;

/* CODE_OK with KEPT, which is wiped after the call, or a code with a sentence. Called once, later,
 * and the try is freed then. */
typedef void (*PasswordFn)(Account *a, Code code, const char *text, const PasswordKept *kept);

/* TRACKER NULL: any that keeps passwords. The password is copied. ENROL: with a new OPRF key, for a
 * password that is to be set; else with the one of the password that is. CODE_OK: begun; else
 * nothing was, with a sentence. */
Code password_try(Account *a, const char *password, const uint8_t *tracker, bool enrol,
        PasswordFn fn, PasswordTry **ret, const char **ret_text);

/* FN is not called any more. */
PasswordTry *password_try_free(PasswordTry *t);
