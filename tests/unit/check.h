/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What laboratories and tests say must hold. Who includes this says what happens where it does not:
 * test.h ends the test, the fuzzers (../fuzz/fuzz.h) end the program.
 */

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

__attribute__((noreturn, unused)) static void test_fail(
        const char *file, int line, const char *what);

__attribute__((noreturn, unused)) static void check_unequal(
        const char *file, int line, const char *a, long long x, const char *b, long long y) {
        char text[512];

        snprintf(text, sizeof(text), "%s is %lld, expected %s = %lld", a, x, b, y);
        test_fail(file, line, text);
}

__attribute__((noreturn, unused)) static void check_other_text(
        const char *file, int line, const char *a, const char *x, const char *y) {
        char text[512];

        snprintf(text, sizeof(text), "%s is '%.200s', expected '%.200s'", a, x ? x : "(null)", y);
        test_fail(file, line, text);
}

#define CHECK(x)                                                                                   \
        do {                                                                                       \
                if (!(x))                                                                          \
                        test_fail(__FILE__, __LINE__, #x);                                         \
        } while (0)

#define CHECK_EQ(a, b)                                                                             \
        do {                                                                                       \
                long long _x = (long long)(a), _y = (long long)(b);                                \
                if (_x != _y)                                                                      \
                        check_unequal(__FILE__, __LINE__, #a, _x, #b, _y);                         \
        } while (0)

#define CHECK_OK(x) CHECK_EQ((x), 0)

#define CHECK_STR(a, b)                                                                            \
        do {                                                                                       \
                const char *_x = (a), *_y = (b);                                                   \
                if (!_x || strcmp(_x, _y) != 0)                                                    \
                        check_other_text(__FILE__, __LINE__, #a, _x, _y);                          \
        } while (0)
