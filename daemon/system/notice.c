/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/notice.h"

#include <stdio.h>

#include "util/text.h"

typedef struct Out {
        char *p;
        size_t n;
} Out;

static void put(Out *o, const void *p, size_t n) {
        copy_bytes(o->p + o->n, p, n);
        o->n += n;
        o->p[o->n] = 0;
}

static uint32_t code_point(const uint8_t *p, size_t k) {
        uint32_t c = k == 1 ? p[0] : p[0] & (0xffU >> (k + 1));

        for (size_t i = 1; i < k; i++)
                c = c << 6 | (p[i] & 0x3fU);
        return c;
}

/* Marks, embeddings, overrides and isolates: what stands beside would be shown the wrong way. */
static bool turns_direction(uint32_t c) {
        return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
                (c >= 0x2066 && c <= 0x2069);
}

static bool is_control(uint32_t c) {
        return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static bool is_line_end(uint32_t c) {
        return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static void put_markup(Out *o, const uint8_t *p, size_t k) {
        static const char *const forms[128] = {['&'] = "&amp;",
                ['<'] = "&lt;",
                ['>'] = "&gt;",
                ['"'] = "&quot;",
                ['\''] = "&#39;"};
        const char *form = k == 1 ? forms[*p & 0x7f] : NULL;

        put(o, form ?: (const char *)p, form ? strlen(form) : k);
}

/* At most MAX bytes of TEXT, of which there may be less to show. What is no UTF-8 is '?'. */
static void put_clean(Out *o, const char *text, size_t max, bool lines, bool markup) {
        const uint8_t *p = (const uint8_t *)text;
        size_t n = strlen(text), taken = 0;

        while (n > 0) {
                size_t k = utf8_char_size(p, n), step = MAX(k, (size_t)1);
                uint32_t c = k > 0 ? code_point(p, k) : '?';

                if (taken + step > max) {
                        put(o, "…", STRLEN("…"));
                        return;
                }
                if (k == 0)
                        put(o, "?", 1);
                else if (is_line_end(c))
                        put(o, lines ? "\n" : " ", 1);
                else if (is_control(c))
                        put(o, " ", 1);
                else if (!turns_direction(c) && markup)
                        put_markup(o, p, k);
                else if (!turns_direction(c))
                        put(o, p, k);
                taken += step;
                p += step;
                n -= step;
        }
}

char *notice_title(const char *from, unsigned unread, char buf[static NOTICE_TITLE_SIZE]) {
        Out o = {.p = buf};
        char count[32];

        buf[0] = 0;
        put_clean(&o, from, NOTICE_TITLE_MAX, false, false);
        if (unread > 1)
                put(&o, count, (size_t)snprintf(count, sizeof(count), " (%u unread)", unread));
        return buf;
}

char *notice_body(const char *text, bool markup, char buf[static NOTICE_BODY_SIZE]) {
        Out o = {.p = buf};

        buf[0] = 0;
        put_clean(&o, text, NOTICE_BODY_MAX, true, markup);
        return buf;
}

const char *notice_hidden(unsigned unread) {
        return unread > 1 ? "New messages" : "New message";
}
