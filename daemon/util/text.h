/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Text forms: base32 (RFC 4648 alphabet in lower case, no padding), UUIDs (RFC 9562),
 * UTF-8 (RFC 3629) and the terminal.
 */

#include "util/macro.h"
#include "util/usec.h"

#define BASE32_KEY_SIZE 52 /* characters of a 32-byte key */

/* 32 bytes as 52 characters and back. Decoding takes either case and refuses other lengths, other
 * characters and stray bits after the last byte, so that a key has one form only: -EINVAL. */
char *base32_encode_key(const uint8_t key[static 32], char buf[static BASE32_KEY_SIZE + 1]);
int base32_decode_key(const char *text, size_t n, uint8_t ret_key[static 32]);

typedef struct Uuid {
        uint8_t bytes[16];
} Uuid;

#define UUID_TEXT_SIZE 37

/* Version 7 from a realtime in µs and ten random bytes, so that ids made here sort by time. */
Uuid uuid_make_v7(usec_t realtime, const uint8_t random[static 10]);
char *uuid_format(const Uuid *u, char buf[static UUID_TEXT_SIZE]);

/* Any version, either case, exactly 8-4-4-4-12: -EINVAL otherwise, and for the nil UUID. */
int uuid_parse(const char *text, Uuid *ret);

static inline bool uuid_equal(const Uuid *a, const Uuid *b) {
        return memcmp(a, b, sizeof(Uuid)) == 0;
}

/* Without regard to a locale. */
static inline char ascii_lower(char c) {
        return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* Well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF. NUL counts as a
 * character here; who cannot take it must look for it. */
bool utf8_is_valid(const void *p, size_t n) _pure_;

/* Bytes of the character at P (at most N are looked at), 0 where it is not well-formed. */
size_t utf8_char_size(const uint8_t *p, size_t n) _pure_;

/* Makes TEXT one line that is safe to show and to send on, in place, and returns it: UTF-8 without
 * control characters, those of C1 included; there is a '?' for each byte of what is not. Of a
 * character that was cut off at the end nothing is left: this is all that it takes after an
 * snprintf() of what may be too long. */
char *text_clean(char *text);
