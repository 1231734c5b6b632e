/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/print.h"

#include <time.h>

#include "util/text.h"

#include "cli/chatc.h"
#include "cli/value.h"

size_t char_decode(const char *p, size_t n, uint32_t *ret) {
        static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
        const uint8_t *b = (const uint8_t *)p;
        size_t size = utf8_char_size(b, n);
        uint32_t c;

        if (size == 0)
                return 0;
        c = b[0] & masks[size];
        for (size_t i = 1; i < size; i++)
                c = c << 6 | (b[i] & 0x3f);
        *ret = c;
        return size;
}

bool char_is_unsafe(uint32_t c) {
        return c < 0x20 || (c >= 0x7f && c <= 0x9f) || (c >= 0x2028 && c <= 0x202e) ||
                (c >= 0x2066 && c <= 0x2069);
}

static void print_escape(FILE *f, uint32_t c) {
        if (c == '\n')
                fputs("\\n", f);
        else if (c == '\r')
                fputs("\\r", f);
        else if (c == '\t')
                fputs("\\t", f);
        else
                fprintf(f, "\\u%04x", (unsigned)c);
}

static void print_up_to(FILE *f, const char *s, const char *newline, size_t characters) {
        size_t left = strlen(s), size;
        uint32_t c;

        for (; left > 0; s += size, left -= size) {
                if (characters-- == 0) {
                        fputs("…", f);
                        return;
                }
                size = char_decode(s, left, &c);
                if (size == 0) {
                        size = 1;
                        fprintf(f, "\\x%02x", (unsigned)(uint8_t)*s);
                } else if (c == '\n' && newline)
                        fputs(newline, f);
                else if (char_is_unsafe(c))
                        print_escape(f, c);
                else
                        fwrite(s, 1, size, f);
        }
}

void print_safe(FILE *f, const char *s, const char *newline) {
        print_up_to(f, s, newline, SIZE_MAX);
}

void print_start(FILE *f, const char *s, size_t characters) {
        print_up_to(f, s, NULL, characters);
}

void print_sender(const Chatc *c, FILE *f, const char *name, const char *key) {
        uint32_t hash = 2166136261u;

        if (!c->colour) {
                print_safe(f, name, NULL);
                return;
        }
        for (const char *p = *key ? key : name; *p; p++)
                hash = (hash ^ (uint8_t)*p) * 16777619u;
        fprintf(f, "\033[1;%um", (unsigned)(31 + hash % 6));
        print_safe(f, name, NULL);
        fputs("\033[0m", f);
}

void print_time(FILE *f, usec_t realtime) {
        time_t t = (time_t)MIN(realtime / USEC_PER_SEC, UINT64_C(253402300799));
        char buf[TIME_TEXT_SIZE];
        struct tm tm;

        if (!localtime_r(&t, &tm) || strftime(buf, sizeof(buf), "%Y-%m-%d %H:%M:%S", &tm) == 0)
                return;
        fputs(buf, f);
}

void print_pad(FILE *f, size_t written, size_t width) {
        fprintf(f, "%*s", (int)(written < width ? width - written + 2 : 2), "");
}

static void print_value(FILE *f, const char *key, const Value *v) {
        switch (v->type) {
        case VALUE_STRING:
                print_safe(f, v->string, NULL);
                break;
        case VALUE_BOOL:
                fputs(v->boolean ? "yes" : "no", f);
                break;
        case VALUE_U64:
                if (key_is_time(key))
                        print_time(f, v->number);
                else
                        fprintf(f, "%llu", (unsigned long long)v->number);
                break;
        case VALUE_NUMBER:
                fprintf(f, "%llu", (unsigned long long)v->number);
                break;
        case VALUE_INTEGER:
                fprintf(f, "%lld", (long long)v->integer);
                break;
        case VALUE_REAL:
                fprintf(f, "%g", v->real);
                break;
        case VALUE_LIST:
                for (size_t i = 0; i < v->n_items; i++) {
                        if (i > 0)
                                fputs(", ", f);
                        print_value(f, key, v->items[i]);
                }
                break;
        case VALUE_DICT:
                print_dict(f, v);
                break;
        }
}

void print_dict(FILE *f, const Value *dict) {
        bool first = true;

        if (dict->type != VALUE_DICT)
                return;
        for (size_t i = 0; i < dict->n_items; i++) {
                if (value_is_empty(dict->keys[i], dict->items[i]))
                        continue;
                if (!first)
                        fputs("  ", f);
                first = false;
                print_safe(f, dict->keys[i], NULL);
                fputc(' ', f);
                print_value(f, dict->keys[i], dict->items[i]);
        }
}
