/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/synopsis.h"

#include <assert.h>

bool span_is(Span s, const char *text) {
        return strlen(text) == s.n && (s.n == 0 || memcmp(s.p, text, s.n) == 0);
}

static bool is_option(Span s) {
        return s.n > 1 && s.p[0] == '-';
}

/* The next word at *P, moved behind it. *RET_CLOSED: a bracket ends there, so that what comes next
 * is not its value. */
static bool token_next(const char **p, Span *ret, bool *ret_closed) {
        const char *s = *p + strspn(*p, " []");
        Span t = {s, strcspn(s, " []")};

        if (t.n == 0)
                return false;
        *ret_closed = s[t.n] == ']';
        *p = s + t.n;
        if (is_option(t)) {
                const char *bar = memchr(t.p, '|', t.n);

                if (bar) {
                        t.n = (size_t)(bar - t.p);
                        *ret_closed = true;
                        *p = bar + 1;
                }
        }
        *ret = t;
        return true;
}

void synopsis_parse(const char *text, Synopsis *ret) {
        SynopsisOption *open = NULL;
        bool closed, alternative = false;
        Synopsis s = {};
        Span t;

        while (token_next(&text, &t, &closed)) {
                if (is_option(t)) {
                        assert(s.n_options < SYNOPSIS_OPTIONS_MAX);
                        s.options[s.n_options] = (SynopsisOption){.name = t};
                        open = closed ? NULL : &s.options[s.n_options];
                        s.n_options++;
                        continue;
                }
                if (span_is(t, "|"))
                        alternative = true;
                else if (open)
                        open->value = t;
                else if (!alternative) {
                        assert(s.n_words < SYNOPSIS_WORDS_MAX);
                        s.words[s.n_words++] = t;
                }
                open = NULL;
        }
        *ret = s;
}

const SynopsisOption *synopsis_option(const Synopsis *s, const char *name, size_t n) {
        for (size_t i = 0; i < s->n_options; i++)
                if (s->options[i].name.n == n && memcmp(s->options[i].name.p, name, n) == 0)
                        return &s->options[i];
        return NULL;
}
