/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The grammar of the command line: options stand anywhere before "--", everything else is a word,
 * "-" included. Long options take their value as the next argument or after "=", one-letter options
 * as the next argument or attached. No abbreviations: a script must not break when an option comes.
 */

#include "util/macro.h"
#include "util/usec.h"

#define ARGS_ERROR_SIZE 256

/* Exactly one of FLAG and VALUE is set. A table ends with a name of NULL. */
typedef struct Option {
        const char *name; /* with its dashes */
        bool *flag;
        const char **value;
} Option;

typedef struct Args {
        char **words;
        size_t n_words;
        size_t literal; /* index of the first word that stood after "--"; n_words if none did */
} Args;

/* Sorts ARGV (ends with NULL) into the options of OWN and COMMON (each may be NULL) and words, in
 * place. -EINVAL: ret_error says what is wrong, in words that may hold anything the user typed. */
int args_parse(char **argv, const Option *own, const Option *common, Args *ret,
        char ret_error[static ARGS_ERROR_SIZE]);

/* The words from FIRST on, joined by one blank each; NULL when memory is out. */
char *args_join(const Args *a, size_t first);

/* Decimal digits only, MIN to MAX: -EINVAL otherwise. */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* Seconds with at most six decimals, up to ten years: -EINVAL otherwise. */
int parse_seconds(const char *text, usec_t *ret);
