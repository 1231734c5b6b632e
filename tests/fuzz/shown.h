/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What chatc prints, held against what cli/print.h and cli/json.h promise, by code of its own.
 */

#include "fuzz.h"

#include "util/buffer.h"
#include "util/text.h"

static inline uint32_t shown_character(const char **p, const char *end) {
        static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        size_t n = utf8_char_size((const uint8_t *)*p, (size_t)(end - *p));
        uint32_t c;

        MUST(n > 0);
        c = (uint8_t) * *p & masks[n];
        while (++*p, --n > 0)
                c = c << 6 | ((uint8_t) * *p & 0x3f);
        return c;
}

/* Nothing that moves the cursor, has the terminal do something, breaks the line or turns the
 * direction of writing. */
static inline void shown_is_one_line(const char *p, size_t n) {
        const char *end = p + n;

        while (p < end) {
                uint32_t c = shown_character(&p, end);

                MUST(c >= ' ');
                MUST(c < 0x7f || c > 0x9f);
                MUST(c != 0x2028 && c != 0x2029); /* line and paragraph separator */
                MUST(c < 0x202a || c > 0x202e); /* embeddings and overrides */
                MUST(c < 0x2066 || c > 0x2069); /* isolates */
        }
}

/* JSON (RFC 8259). Each function moves *P behind what it took. */

static inline void json_expect(const char **p, const char *word) {
        MUST(strncmp(*p, word, strlen(word)) == 0);
        *p += strlen(word);
}

static inline void json_put(Buffer *out, uint32_t c) {
        uint8_t u[4] = {(uint8_t)c};
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

        for (size_t i = n; n > 1 && i-- > 0; c >>= 6)
                u[i] = i > 0 ? (uint8_t)(0x80 | (c & 0x3f)) : (uint8_t)(0xf00 >> n | c);
        MUST(buffer_append(out, u, n) == 0);
}

static inline uint32_t json_take_escape(const char **p) {
        static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
        char digits[5] = {};
        const char *escape;

        if (**p == 'u') {
                memcpy(digits, *p + 1, 4);
                MUST(strspn(digits, "0123456789abcdefABCDEF") == 4);
                *p += 5;
                return (uint32_t)strtoul(digits, NULL, 16);
        }
        escape = strchr(escapes, **p);
        MUST(escape && *escape);
        (*p)++;
        return (uint8_t)meanings[escape - escapes];
}

/* OUT (may be NULL) gets what the string means. */
static inline void json_take_string(const char **p, const char *end, Buffer *out) {
        json_expect(p, "\"");
        while (**p != '"') {
                uint32_t c = shown_character(p, end);

                MUST(c >= ' ');
                if (c == '\\')
                        c = json_take_escape(p);
                MUST(c < 0xd800 || c > 0xdfff);
                if (out)
                        json_put(out, c);
        }
        (*p)++;
}

static inline void json_take_number(const char **p) {
        static const char digits[] = "0123456789";
        size_t n;

        *p += **p == '-';
        n = strspn(*p, digits);
        MUST(n > 0 && (n == 1 || **p != '0'));
        *p += n;
        if (**p == '.') {
                n = strspn(++*p, digits);
                MUST(n > 0);
                *p += n;
        }
        if (**p == 'e' || **p == 'E') {
                *p += 1 + ((*p)[1] == '+' || (*p)[1] == '-');
                n = strspn(*p, digits);
                MUST(n > 0);
                *p += n;
        }
}

static inline void json_take_value(const char **p, const char *end) {
        char open = **p, close = open == '{' ? '}' : ']';

        switch (open) {
        case '{':
        case '[':
                (*p)++;
                while (**p != close) {
                        if (open == '{') {
                                json_take_string(p, end, NULL);
                                json_expect(p, ":");
                        }
                        json_take_value(p, end);
                        if (**p != close) {
                                json_expect(p, ",");
                                MUST(**p != close);
                        }
                }
                (*p)++;
                break;
        case '"':
                json_take_string(p, end, NULL);
                break;
        case 't':
                json_expect(p, "true");
                break;
        case 'f':
                json_expect(p, "false");
                break;
        case 'n':
                json_expect(p, "null");
                break;
        default:
                json_take_number(p);
        }
}

/* The N bytes at TEXT (a zero follows) are one line with one object. */
static inline void shown_is_json_line(const char *text, size_t n) {
        const char *p = text;

        MUST(n > 0 && text[n - 1] == '\n');
        shown_is_one_line(text, n - 1);
        MUST(*p == '{');
        json_take_value(&p, text + n);
        MUST(p == text + n - 1);
}
