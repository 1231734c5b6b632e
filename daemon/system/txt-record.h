/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a service says of itself (RFC 6763, section 6): strings of at most 255 bytes, most of them
 * "key=value". It is kept as it is in DNS, each string behind a byte with its length.
 */

#include "util/buffer.h"

/* More is not kept: RFC 6763 advises 200 bytes, 1300 at the most. */
#define TXT_RECORD_MAX 512
#define TXT_STRING_MAX 255

typedef struct TxtRecord {
        size_t size;
        uint8_t data[TXT_RECORD_MAX];
} TxtRecord;

/* -E2BIG for a string that is too long, or that has no room any more. */
int txt_record_add(TxtRecord *t, Bytes string);

/* The string at *OFFSET, which begins with 0 and is moved to the next one. False: there is none,
 * or it is cut off. */
bool txt_record_next(const TxtRecord *t, size_t *offset, Bytes *ret);

/* "key=value": false where there is no '=', or nothing before it. */
bool txt_string_split(Bytes string, Bytes *ret_key, Bytes *ret_value);

/* The value of the first string with KEY, in either case. The bytes are those of T. */
bool txt_record_get(const TxtRecord *t, const char *key, Bytes *ret);
