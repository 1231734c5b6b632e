/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Unit tests: TEST(name) { … } registers itself, main() is included, output is TAP 13. A failed
 * check says where and ends its test; the next one runs.
 */

#include "check.h"

#include <setjmp.h>
#include <stdlib.h>

typedef struct Test {
        const char *name;
        void (*run)(void);
        struct Test *next;
} Test;

static Test *test_first, **test_last = &test_first;
static jmp_buf test_failed;
static const char *test_skipped; /* why */

#define TEST(id)                                                                                   \
        static void test_##id(void);                                                               \
        __attribute__((constructor)) static void register_##id(void) {                             \
                static Test t = {.name = #id, .run = test_##id};                                   \
                *test_last = &t;                                                                   \
                test_last = &t.next;                                                               \
        }                                                                                          \
        static void test_##id(void)

__attribute__((noreturn, unused)) static void test_fail(
        const char *file, int line, const char *what) {
        printf("# %s:%d: %s\n", file, line, what);
        longjmp(test_failed, 1);
}

/* Ends a test that this machine does not allow; tests/allowed-skips has a line for it. */
__attribute__((noreturn, unused)) static void test_skip(const char *why) {
        test_skipped = why;
        longjmp(test_failed, 1);
}

/* As "meson test --setup valgrind" says it. */
__attribute__((unused)) static bool test_in_valgrind(void) {
        const char *programs = getenv("P2PCHAT_PROGRAMS");

        return programs && *programs;
}

static bool test_passes(Test *t) {
        test_skipped = NULL;
        if (setjmp(test_failed) != 0)
                return test_skipped;
        t->run();
        return true;
}

int main(void) {
        int n = 0, failed = 0;

        setvbuf(stdout, NULL, _IOLBF, 0);
        for (Test *t = test_first; t; t = t->next) {
                bool ok = test_passes(t);

                printf("%s %d - %s%s%s\n", ok ? "ok" : "not ok", ++n, t->name,
                        test_skipped ? " # SKIP " : "", test_skipped ?: "");
                failed += !ok;
        }
        printf("1..%d\n", n);
        return failed ? 1 : 0;
}
