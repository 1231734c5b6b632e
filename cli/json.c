/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/json.h"

#include <math.h>

#include "util/usec.h"

#include "cli/print.h"
#include "cli/value.h"

static void json_char(FILE *f, uint32_t c, const char *p, size_t size) {
        if (c == '"' || c == '\\')
                fprintf(f, "\\%c", (int)c);
        else if (c == '\n')
                fputs("\\n", f);
        else if (c == '\r')
                fputs("\\r", f);
        else if (c == '\t')
                fputs("\\t", f);
        else if (char_is_unsafe(c))
                fprintf(f, "\\u%04x", (unsigned)c);
        else
                fwrite(p, 1, size, f);
}

void json_string(FILE *f, const char *s) {
        size_t left = strlen(s), size;
        uint32_t c;

        fputc('"', f);
        for (; left > 0; s += size, left -= size) {
                size = char_decode(s, left, &c);
                if (size == 0) {
                        size = 1;
                        fputs("\\ufffd", f);
                } else
                        json_char(f, c, s, size);
        }
        fputc('"', f);
}

static void json_dict(FILE *f, const Value *dict) {
        JsonLine j = {.f = f};

        fputc('{', f);
        json_members(&j, dict);
        fputc('}', f);
}

static void json_list(FILE *f, const char *key, const Value *list) {
        fputc('[', f);
        for (size_t i = 0; i < list->n_items; i++) {
                if (i > 0)
                        fputc(',', f);
                json_value(f, key, list->items[i]);
        }
        fputc(']', f);
}

void json_value(FILE *f, const char *key, const Value *v) {
        char buf[TIME_TEXT_SIZE];

        switch (v->type) {
        case VALUE_STRING:
                json_string(f, v->string);
                break;
        case VALUE_BOOL:
                fputs(v->boolean ? "true" : "false", f);
                break;
        case VALUE_U64:
                if (key_is_time(key)) {
                        json_string(f, usec_format(v->number, buf));
                        break;
                }
                if (key_is_cursor(key)) {
                        fprintf(f, "\"%llu\"", (unsigned long long)v->number);
                        break;
                }
                __attribute__((fallthrough));
        case VALUE_NUMBER:
                fprintf(f, "%llu", (unsigned long long)v->number);
                break;
        case VALUE_INTEGER:
                fprintf(f, "%lld", (long long)v->integer);
                break;
        case VALUE_REAL:
                if (isfinite(v->real))
                        fprintf(f, "%.17g", v->real);
                else
                        fputs("null", f);
                break;
        case VALUE_LIST:
                json_list(f, key, v);
                break;
        case VALUE_DICT:
                json_dict(f, v);
                break;
        }
}

JsonLine json_begin(FILE *f) {
        fputc('{', f);
        return (JsonLine){.f = f};
}

static void json_key(JsonLine *j, const char *key) {
        if (j->any)
                fputc(',', j->f);
        j->any = true;
        json_string(j->f, key);
        fputc(':', j->f);
}

void json_member(JsonLine *j, const char *key, const char *s) {
        if (*s == '\0')
                return;
        json_key(j, key);
        json_string(j->f, s);
}

void json_members(JsonLine *j, const Value *dict) {
        if (dict->type != VALUE_DICT)
                return;
        for (size_t i = 0; i < dict->n_items; i++) {
                if (value_is_empty(dict->keys[i], dict->items[i]))
                        continue;
                json_key(j, dict->keys[i]);
                json_value(j->f, dict->keys[i], dict->items[i]);
        }
}

void json_end(JsonLine *j) {
        fputs("}\n", j->f);
}

void json_line(FILE *f, const Value *dict) {
        JsonLine j = json_begin(f);

        json_members(&j, dict);
        json_end(&j);
}
