/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The way from a password to the keys that it gives: blinded, evaluated by the tracker that keeps
 * the key for it (RFC 9497), stretched on a thread of its own. Neither the tracker nor the disk
 * ever has the password or what it gives.
 */

#include "account/private.h"
#include "crypto/password.h"

#define PASSWORD_GONE "the tracker that keeps the password is not there: try again later"

/* CODE_OK with KEPT, which is wiped after the call, or a code with a sentence. Called once, later,
 * and the try is freed then. */
typedef void (*PasswordFn)(Account *a, Code code, const char *text, const PasswordKept *kept);

/* WHAT, but for its element, is asked of TRACKER; NULL: of any that keeps passwords. The password
 * is copied. CODE_OK: begun; else nothing was, with a sentence. */
Code password_try(Account *a, const char *password, const uint8_t *tracker, const OprfRequest *what,
        PasswordFn fn, PasswordTry **ret, const char **ret_text);

/* FN is not called any more. */
PasswordTry *password_try_free(PasswordTry *t);
