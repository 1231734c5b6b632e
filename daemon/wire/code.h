/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Why something was refused: the error names of the D-Bus API and four that only peers use. On the
 * wire a code is its name, so that a newer end's codes can be shown by an older one.
 */

#include "util/macro.h"

typedef enum Code {
        CODE_OK,
        CODE_NOT_LOGGED_IN,
        CODE_ACCOUNT_EXISTS,
        CODE_REPLACED,
        CODE_NAME_TAKEN,
        CODE_BAD_NAME,
        CODE_BAD_PASSWORD,
        CODE_RATE_LIMITED,
        CODE_UNKNOWN_PEER,
        CODE_AMBIGUOUS_NAME,
        CODE_KEY_CHANGED,
        CODE_BLOCKED,
        CODE_UNKNOWN_ROOM,
        CODE_ROOM_EXISTS,
        CODE_NOT_MEMBER,
        CODE_NOT_OWNER,
        CODE_NOT_ALLOWED,
        CODE_NOT_INVITED,
        CODE_TOO_LONG,
        CODE_TOO_MANY,
        CODE_INVALID_ARGS,
        CODE_STORAGE,
        CODE_NEWER_VERSION,
        CODE_TRACKER_UNREACHABLE,
        CODE_TIMEOUT,
        CODE_NOT_SUPPORTED,
        CODE_EXPIRED,
        CODE_PEER_STORAGE, /* "storage": the other end could not keep it */
        CODE_FORK,
        CODE_UNSUPPORTED,
        CODE_CANCELLED,
        _CODE_MAX,
} Code;

/* "NameTaken"; never NULL. */
const char *code_name(Code c);

/* _CODE_MAX for a name that is not known. */
Code code_from_name(const char *name, size_t n);

/* The same, and for OK: what refuses must not look like success. */
Code code_of_refusal(const char *name, size_t n);

/* Longest name that is accepted from outside. */
#define CODE_NAME_MAX 32

/* Longest wait that a refusal may ask for, in s: a year, far from any overflow. */
#define RETRY_AFTER_MAX (365 * 86400)
