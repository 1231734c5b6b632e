/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The synopsis of a verb taken apart: what help says is what completions offer, so that there is
 * nothing beside it that could say something else. "[--wait delivered|read]" is an option with a
 * value, "TO" a word, "--private|--hidden" two options; words behind a lone "|" are another form of
 * those before it.
 */

#include "util/macro.h"

#define SYNOPSIS_OPTIONS_MAX 8
#define SYNOPSIS_WORDS_MAX 4

/* Points into the synopsis. */
typedef struct Span {
        const char *p;
        size_t n;
} Span;

bool span_is(Span s, const char *text);

typedef struct SynopsisOption {
        Span name; /* with its dashes */
        Span value; /* n = 0: it takes none */
} SynopsisOption;

typedef struct Synopsis {
        SynopsisOption options[SYNOPSIS_OPTIONS_MAX];
        size_t n_options;
        Span words[SYNOPSIS_WORDS_MAX];
        size_t n_words;
} Synopsis;

void synopsis_parse(const char *text, Synopsis *ret);

/* The option called NAME, its N bytes, or NULL. */
const SynopsisOption *synopsis_option(const Synopsis *s, const char *name, size_t n);
