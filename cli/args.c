/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/args.h"

#include <stdio.h>

#define SECONDS_MAX UINT64_C(315360000)

static bool is_short(const Option *o) {
        return o->name[1] != '-';
}

/* Looks ARG up in TABLE; *ret_attached is the value that came with it, or NULL. */
static const Option *option_find(const Option *table, const char *arg, const char **ret_attached) {
        for (const Option *o = table; o && o->name; o++) {
                size_t n = strlen(o->name);

                if (strncmp(arg, o->name, n) != 0)
                        continue;
                if (arg[n] == '\0') {
                        *ret_attached = NULL;
                        return o;
                }
                if (is_short(o) && o->value) {
                        *ret_attached = arg + n;
                        return o;
                }
                if (!is_short(o) && arg[n] == '=') {
                        *ret_attached = arg + n + 1;
                        return o;
                }
        }
        return NULL;
}

/* Takes the option at *ARG, and its value behind it if it has one there. */
static int option_take(
        char ***arg, const Option *own, const Option *common, char error[static ARGS_ERROR_SIZE]) {
        const char *text = **arg, *attached;
        const Option *o;

        o = option_find(own, text, &attached);
        if (!o)
                o = option_find(common, text, &attached);
        if (!o) {
                snprintf(error, ARGS_ERROR_SIZE,
                        "there is no option '%.100s' here; words that begin with '-' stand "
                        "after '--'",
                        text);
                return -EINVAL;
        }

        if (o->flag) {
                if (attached) {
                        snprintf(error, ARGS_ERROR_SIZE, "the option %s takes no value", o->name);
                        return -EINVAL;
                }
                *o->flag = true;
                return 0;
        }

        if (!attached) {
                attached = (*arg)[1];
                if (!attached) {
                        snprintf(error, ARGS_ERROR_SIZE, "the option %s needs a value", o->name);
                        return -EINVAL;
                }
                (*arg)++;
        }
        *o->value = attached;
        return 0;
}

int args_parse(char **argv, const Option *own, const Option *common, Args *ret,
        char ret_error[static ARGS_ERROR_SIZE]) {
        size_t n = 0, literal = SIZE_MAX;
        int r;

        for (char **arg = argv; *arg; arg++) {
                if (literal != SIZE_MAX || (*arg)[0] != '-' || streq(*arg, "-")) {
                        argv[n++] = *arg;
                        continue;
                }
                if (streq(*arg, "--")) {
                        literal = n;
                        continue;
                }
                r = option_take(&arg, own, common, ret_error);
                if (r < 0)
                        return r;
        }
        *ret = (Args){.words = argv, .n_words = n, .literal = MIN(literal, n)};
        return 0;
}

char *args_join(const Args *a, size_t first) {
        size_t size = 1;
        char *s, *p;

        for (size_t i = first; i < a->n_words; i++)
                size += strlen(a->words[i]) + 1;
        s = p = malloc(size);
        if (!s)
                return NULL;
        for (size_t i = first; i < a->n_words; i++) {
                if (i > first)
                        *p++ = ' ';
                p = stpcpy(p, a->words[i]);
        }
        *p = '\0';
        return s;
}

int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *ret) {
        uint64_t v = 0;

        if (*text == '\0')
                return -EINVAL;
        for (const char *p = text; *p; p++) {
                uint64_t digit;

                if (*p < '0' || *p > '9')
                        return -EINVAL;
                digit = (uint64_t)(*p - '0');
                if (v > (UINT64_MAX - digit) / 10)
                        return -EINVAL;
                v = v * 10 + digit;
        }
        if (v < min || v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_seconds(const char *text, usec_t *ret) {
        const char *dot = strchr(text, '.');
        char whole[32], decimals[7] = "000000";
        size_t n = dot ? (size_t)(dot - text) : strlen(text);
        uint64_t seconds, fraction = 0;

        if (n >= sizeof(whole))
                return -EINVAL;
        memcpy(whole, text, n);
        whole[n] = '\0';
        if (parse_number(whole, 0, SECONDS_MAX, &seconds) < 0)
                return -EINVAL;
        if (dot) {
                n = strlen(dot + 1);
                if (n == 0 || n > 6)
                        return -EINVAL;
                memcpy(decimals, dot + 1, n);
                if (parse_number(decimals, 0, USEC_PER_SEC - 1, &fraction) < 0)
                        return -EINVAL;
        }
        *ret = seconds * USEC_PER_SEC + fraction;
        return 0;
}
