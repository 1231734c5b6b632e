/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "config/widen.h"

#define DIGITS "0123456789"
#define HEX_DIGITS DIGITS "abcdefABCDEF"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* What has fewer digits fits into 32 bits. */
#define DIGITS_LONG 10

static size_t comment_size(const char *p) {
        const char *end;

        if (p[0] == '#' || (p[0] == '/' && p[1] == '/'))
                return strcspn(p, "\n");
        if (p[0] != '/' || p[1] != '*')
                return 0;
        end = strstr(p + 2, "*/");
        return end ? (size_t)(end + 2 - p) : strlen(p);
}

static size_t string_size(const char *p) {
        const char *q = p + 1;

        if (p[0] != '"')
                return 0;
        while (*q && *q != '"')
                q += q[0] == '\\' && (q[1] == '\\' || q[1] == '"') ? 2 : 1;
        return (size_t)(q - p) + (*q == '"');
}

static size_t name_size(const char *p) {
        return strspn(p, LETTERS "*") ? strspn(p, LETTERS DIGITS "*-_") : 0;
}

static size_t exponent_size(const char *p) {
        size_t sign = p[0] && (p[1] == '+' || p[1] == '-'), n;

        if (p[0] != 'e' && p[0] != 'E')
                return 0;
        n = strspn(p + 1 + sign, DIGITS);
        return n ? 1 + sign + n : 0;
}

static size_t number_size(const char *p, bool *ret_long) {
        size_t sign = p[0] == '+' || p[0] == '-', digits = strspn(p + sign, DIGITS);
        const char *q = p + sign + digits;
        size_t fraction = q[0] == '.' ? 1 + strspn(q + 1, DIGITS) : 0, exponent = 0;

        if (q - p == 1 && p[0] == '0' && (q[0] == 'x' || q[0] == 'X'))
                return 2 + strspn(q + 1, HEX_DIGITS);
        if (digits + fraction > 0)
                exponent = exponent_size(q + fraction);
        *ret_long = digits >= DIGITS_LONG && fraction + exponent == 0 && q[0] != 'L';
        return sign + digits + fraction + exponent;
}

/* Size of the token at P as the scanner of libconfig cuts it, as far as it matters here. */
static size_t token_size(const char *p, bool *ret_long) {
        size_t n = comment_size(p);

        *ret_long = false;
        if (n == 0)
                n = string_size(p);
        if (n == 0)
                n = name_size(p);
        if (n == 0)
                n = number_size(p, ret_long);
        return n ? n : 1;
}

int config_widen(const char *text, size_t size, char **ret) {
        _cleanup_(freep) char *in = strndup(text, size);
        char *out = malloc(size + size / DIGITS_LONG + 2), *o = out;
        bool is_long;

        if (!in || !out) {
                free(out);
                return -ENOMEM;
        }
        for (const char *p = in; *p;) {
                size_t n = token_size(p, &is_long);

                o = mempcpy(o, p, n);
                if (is_long)
                        *o++ = 'L';
                p += n;
        }
        memcpy(o, "\n", 2);
        *ret = out;
        return 0;
}
