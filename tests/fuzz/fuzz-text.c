/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A text of a stranger, shown to people, written as JSON and cleaned for a log. */

#include "fuzz.h"

#include "shown.h"

#include "cli/chatc.h"
#include "cli/json.h"
#include "cli/print.h"

#define INDENT "\n        "

typedef struct Output {
        FILE *f;
        char *text; /* after output_end() */
        size_t size;
} Output;

static FILE *output_begin(Output *o) {
        o->f = open_memstream(&o->text, &o->size);
        MUST(o->f);
        return o->f;
}

static void output_end(Output *o) {
        MUST(fclose(o->f) == 0);
}

static void output_done(Output *o) {
        free(o->text);
}

static bool is_plain(const char *s) {
        for (; *s; s++)
                if (*s < ' ' || *s > '~')
                        return false;
        return true;
}

static void try_one_line(const char *s) {
        _cleanup_(output_done) Output o = {};

        print_safe(output_begin(&o), s, NULL);
        output_end(&o);
        shown_is_one_line(o.text, o.size);
        if (is_plain(s))
                MUST(streq(o.text, s));
}

/* Each line but the first begins with the indent, so that none looks like one of chatc itself. */
static void try_lines(const char *s) {
        _cleanup_(output_done) Output o = {};
        const char *p, *end;

        print_safe(output_begin(&o), s, INDENT);
        output_end(&o);
        for (p = o.text; (end = strchr(p, '\n')); p = end + STRLEN(INDENT)) {
                shown_is_one_line(p, (size_t)(end - p));
                MUST(strncmp(end, INDENT, STRLEN(INDENT)) == 0);
        }
        shown_is_one_line(p, strlen(p));
}

static void try_start(const char *s) {
        _cleanup_(output_done) Output o = {};

        print_start(output_begin(&o), s, 3);
        output_end(&o);
        shown_is_one_line(o.text, o.size);
        MUST(o.size <= 3 * STRLEN("\\u0000") + STRLEN("…"));
}

/* A colour, the text, and the end of the colour: nothing in the text ends it before. */
static void try_sender(const char *s) {
        const size_t head = STRLEN("\033[1;31m"), tail = STRLEN("\033[0m");
        const Chatc c = {.colour = true};
        _cleanup_(output_done) Output o = {};

        print_sender(&c, output_begin(&o), s, s);
        output_end(&o);
        MUST(o.size >= head + tail);
        MUST(o.text[0] == '\033' && strspn(o.text + 1, "[1;23456m") >= head - 1);
        shown_is_one_line(o.text + head, o.size - head - tail);
        MUST(streq(o.text + o.size - tail, "\033[0m"));
}

/* Who reads the JSON gets the same text back, with U+FFFD for each byte that is no UTF-8. */
static void try_json(const char *s) {
        _cleanup_(buffer_done) Buffer meaning = BUFFER_NULL, want = BUFFER_NULL;
        _cleanup_(output_done) Output o = {};
        JsonLine j = json_begin(output_begin(&o));
        const char *p;

        json_member(&j, "text", s);
        json_end(&j);
        output_end(&o);
        shown_is_json_line(o.text, o.size);
        if (*s == 0) {
                MUST(streq(o.text, "{}\n"));
                return;
        }
        p = o.text;
        json_expect(&p, "{\"text\":");
        json_take_string(&p, o.text + o.size, &meaning);
        while (*s) {
                size_t n = utf8_char_size((const uint8_t *)s, strlen(s));

                MUST(buffer_append(&want, n ? s : "\ufffd", n ? n : 3) == 0);
                s += n ? n : 1;
        }
        MUST(buffer_size(&want) == buffer_size(&meaning));
        MUST(memcmp(buffer_data(&want), buffer_data(&meaning), buffer_size(&want)) == 0);
}

static void try_clean(const char *s) {
        _cleanup_(freep) char *clean = strdup(s), *again = NULL;
        const char *p, *end;

        MUST(clean);
        MUST(text_clean(clean) == clean && strlen(clean) <= strlen(s));
        if (is_plain(s))
                MUST(streq(clean, s));
        for (p = clean, end = clean + strlen(clean); p < end;) {
                uint32_t c = shown_character(&p, end);

                MUST(c >= ' ' && (c < 0x7f || c > 0x9f));
        }
        again = strdup(clean);
        MUST(again && streq(text_clean(again), clean));
}

/* RFC 3629, section 4, as it stands there. */
static size_t utf8_by_the_book(const uint8_t *p, size_t n) {
        static const struct {
                uint8_t first[2], second[2];
                size_t size;
        } rows[] = {
                {{0x00, 0x7f}, {}, 1},
                {{0xc2, 0xdf}, {0x80, 0xbf}, 2},
                {{0xe0, 0xe0}, {0xa0, 0xbf}, 3},
                {{0xe1, 0xec}, {0x80, 0xbf}, 3},
                {{0xed, 0xed}, {0x80, 0x9f}, 3},
                {{0xee, 0xef}, {0x80, 0xbf}, 3},
                {{0xf0, 0xf0}, {0x90, 0xbf}, 4},
                {{0xf1, 0xf3}, {0x80, 0xbf}, 4},
                {{0xf4, 0xf4}, {0x80, 0x8f}, 4},
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (p[0] < rows[i].first[0] || p[0] > rows[i].first[1] || rows[i].size > n)
                        continue;
                if (rows[i].size > 1 && (p[1] < rows[i].second[0] || p[1] > rows[i].second[1]))
                        return 0;
                for (size_t k = 2; k < rows[i].size; k++)
                        if (p[k] < 0x80 || p[k] > 0xbf)
                                return 0;
                return rows[i].size;
        }
        return 0;
}

static void try_utf8(const uint8_t *p, size_t n) {
        const uint8_t *start = p;
        size_t left = n, k;

        for (; left > 0; p += k, left -= k) {
                k = utf8_by_the_book(p, left);
                MUST(utf8_char_size(p, left) == k);
                if (k == 0)
                        break;
        }
        MUST(utf8_is_valid(start, n) == (left == 0));
}

void fuzz_one(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY; /* only where the output goes is memory */
        _cleanup_(freep) char *s = strndup((const char *)data, size);

        MUST(s);
        try_utf8(data, size);
        try_one_line(s);
        try_lines(s);
        try_start(s);
        try_sender(s);
        try_json(s);
        try_clean(s);
}
