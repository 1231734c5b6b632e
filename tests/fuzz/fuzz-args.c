/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A command line, its words ended by zero bytes. What comes out is of what went in, each word once
 * and in order; what is refused has a message. */

#include "fuzz.h"

#include "cli/args.h"

#define WORDS_MAX 64

/* With a zero behind it. */
static char *copy(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY;
        char *text = calloc(1, size + 1);

        MUST(text);
        copy_bytes(text, data, size);
        return text;
}

static size_t split(char *text, size_t size, char *argv[static WORDS_MAX + 1]) {
        size_t n = 0;

        for (char *p = text; p < text + size && n < WORDS_MAX; p += strlen(p) + 1)
                argv[n++] = p;
        argv[n] = NULL;
        return n;
}

static void try_join(const Args *a) {
        for (size_t first = 0; first <= a->n_words; first += MAX(a->n_words, (size_t)1)) {
                _cleanup_(freep) char *joined = args_join(a, first);
                const char *p = joined;

                MUST(joined || fuzz_failed());
                for (size_t i = first; joined && i < a->n_words; i++) {
                        size_t n = strlen(a->words[i]);

                        MUST(i == first || *p++ == ' ');
                        MUST(strncmp(p, a->words[i], n) == 0);
                        p += n;
                }
                MUST(!joined || *p == 0);
        }
}

/* Whether WORD is, or ends, one of the N of ARGV: a value may have come attached. */
static bool is_of(char *const *argv, size_t n, const char *word) {
        for (size_t i = 0; i < n; i++)
                if (word >= argv[i] && word <= argv[i] + strlen(argv[i]))
                        return true;
        return false;
}

static void check(const Args *a, char *const *before, size_t n) {
        size_t at = 0;

        MUST(a->n_words <= n && a->literal <= a->n_words);
        for (size_t i = 0; i < a->n_words; i++, at++) {
                while (at < n && a->words[i] != before[at])
                        at++;
                MUST(at < n);
                MUST(i >= a->literal || a->words[i][0] != '-' || streq(a->words[i], "-"));
        }
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(freep) char *text = NULL;
        const char *count = NULL, *id = NULL;
        bool all = false, json = false;
        const Option own[] = {
                {"--all", .flag = &all}, {"-n", .value = &count}, {"--id", .value = &id}, {}};
        const Option common[] = {{"--json", .flag = &json}, {"-j", .flag = &json}, {}};
        char *argv[WORDS_MAX + 1], *before[WORDS_MAX + 1], error[ARGS_ERROR_SIZE] = "";
        size_t n;
        Args a;
        int r;

        text = copy(data, size);
        n = split(text, size, argv);
        memcpy(before, argv, sizeof(argv));
        r = args_parse(argv, own, common, &a, error);
        if (r < 0) {
                MUST(r == -EINVAL && error[0] && strlen(error) < sizeof(error));
                return;
        }
        MUST(error[0] == 0);
        check(&a, before, n);
        MUST(!count || is_of(before, n, count));
        MUST(!id || is_of(before, n, id));
        try_join(&a);
}
