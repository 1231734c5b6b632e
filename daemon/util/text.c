/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/text.h"

static const char HEX_DIGITS[] = "0123456789abcdef";
static const char BASE32_DIGITS[] = "abcdefghijklmnopqrstuvwxyz234567";

char *base32_encode_key(const uint8_t key[static 32], char buf[static BASE32_KEY_SIZE + 1]) {
        uint32_t acc = 0;
        unsigned bits = 0;
        char *o = buf;

        for (size_t i = 0; i < 32; i++) {
                acc = acc << 8 | key[i];
                for (bits += 8; bits >= 5; bits -= 5)
                        *o++ = BASE32_DIGITS[acc >> (bits - 5) & 31];
        }
        *o++ = BASE32_DIGITS[acc << (5 - bits) & 31];
        *o = 0;
        return buf;
}

static int base32_digit(char c) {
        if (c >= 'a' && c <= 'z')
                return c - 'a';
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= '2' && c <= '7')
                return c - '2' + 26;
        return -EINVAL;
}

int base32_decode_key(const char *text, size_t n, uint8_t ret_key[static 32]) {
        uint8_t key[32];
        uint32_t acc = 0;
        unsigned bits = 0;
        size_t k = 0;

        if (n != BASE32_KEY_SIZE)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                int d = base32_digit(text[i]);

                if (d < 0)
                        return d;
                acc = acc << 5 | (uint32_t)d;
                bits += 5;
                if (bits >= 8) {
                        bits -= 8;
                        key[k++] = (uint8_t)(acc >> bits);
                }
        }
        if (acc & ((1U << bits) - 1))
                return -EINVAL;
        memcpy(ret_key, key, sizeof(key));
        return 0;
}

Uuid uuid_make_v7(usec_t realtime, const uint8_t random[static 10]) {
        uint64_t ms = realtime / USEC_PER_MSEC;
        Uuid u;

        for (int i = 0; i < 6; i++)
                u.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
        memcpy(u.bytes + 6, random, 10);
        u.bytes[6] = (uint8_t)(0x70 | (u.bytes[6] & 0x0f));
        u.bytes[8] = (uint8_t)(0x80 | (u.bytes[8] & 0x3f));
        return u;
}

/* The groups of 8-4-4-4-12 end before these bytes. */
static bool uuid_hyphen_before(int byte) {
        return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

char *uuid_format(const Uuid *u, char buf[static UUID_TEXT_SIZE]) {
        char *o = buf;

        for (int i = 0; i < 16; i++) {
                if (uuid_hyphen_before(i))
                        *o++ = '-';
                *o++ = HEX_DIGITS[u->bytes[i] >> 4];
                *o++ = HEX_DIGITS[u->bytes[i] & 15];
        }
        *o = 0;
        return buf;
}

static int hex_digit(char c) {
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return -EINVAL;
}

int uuid_parse(const char *text, Uuid *ret) {
        Uuid u;

        for (int i = 0; i < 16; i++) {
                int hi, lo;

                if (uuid_hyphen_before(i) && *text++ != '-')
                        return -EINVAL;
                hi = hex_digit(text[0]);
                if (hi < 0)
                        return -EINVAL;
                lo = hex_digit(text[1]);
                if (lo < 0)
                        return -EINVAL;
                u.bytes[i] = (uint8_t)(hi << 4 | lo);
                text += 2;
        }
        if (*text || bytes_are_zero(&u, sizeof(u)))
                return -EINVAL;
        *ret = u;
        return 0;
}

/* Bytes of the character that begins with B; 0: none does. */
static size_t utf8_lead_size(uint8_t b) {
        if (b < 0x80)
                return 1;
        if (b >= 0xc2 && b <= 0xdf)
                return 2;
        if ((b & 0xf0) == 0xe0)
                return 3;
        return b >= 0xf0 && b <= 0xf4 ? 4 : 0;
}

size_t utf8_char_size(const uint8_t *p, size_t n) {
        size_t k = n > 0 ? utf8_lead_size(p[0]) : 0;
        uint32_t c;

        if (k > n)
                return 0;
        if (k < 2)
                return k;
        c = p[0] & (0xffU >> (k + 1));
        for (size_t i = 1; i < k; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3fU);
        }
        if ((k == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
                (k == 4 && (c < 0x10000 || c > 0x10ffff)))
                return 0;
        return k;
}

/* Eight characters at once that are ASCII, as most of most texts is. */
static bool is_ascii_8(const uint8_t *p) {
        uint64_t v;

        memcpy(&v, p, sizeof(v));
        return (v & UINT64_C(0x8080808080808080)) == 0;
}

bool utf8_is_valid(const void *p, size_t n) {
        const uint8_t *b = p;

        while (n > 0) {
                size_t k = n >= 8 && is_ascii_8(b) ? 8 : utf8_char_size(b, n);

                if (k == 0)
                        return false;
                b += k;
                n -= k;
        }
        return true;
}

/* All that is left is the beginning of a character. */
static bool utf8_is_cut(const uint8_t *p, size_t n) {
        if (n >= utf8_lead_size(p[0]))
                return false;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return false;
        return true;
}

static bool is_control(const uint8_t *p, size_t k) {
        return *p < 0x20 || *p == 0x7f || (k == 2 && *p == 0xc2 && p[1] < 0xa0);
}

char *text_clean(char *text) {
        uint8_t *p = (uint8_t *)text;
        size_t n = strlen(text);

        while (n > 0) {
                size_t k = utf8_char_size(p, n);

                if (k == 0 && utf8_is_cut(p, n)) {
                        *p = 0;
                        break;
                }
                if (k == 0 || is_control(p, k)) {
                        k = MAX(k, (size_t)1);
                        memset(p, '?', k);
                }
                p += k;
                n -= k;
        }
        return text;
}
