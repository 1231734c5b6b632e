/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the measuring programs share: a clock, percentiles, and one way to give up. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Nanoseconds of the monotonic clock. */
static inline uint64_t bench_now(void) {
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* r is a negative errno: says what failed and ends the program. */
static inline void bench_check(int r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(1);
}

static inline int bench_compare(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return (x > y) - (x < y);
}

/* Members of a JSON object: the median of N times and the one that a hundredth of them exceeds, in
 * milliseconds. Sorts TOOK. */
static inline void bench_print_times(const char *p50, const char *p99, uint64_t *took, size_t n) {
        qsort(took, n, sizeof(*took), bench_compare);
        printf("\"%s\": %.4f, \"%s\": %.4f", p50, (double)took[n / 2] / 1e6, p99,
                (double)took[n - 1 - n / 100] / 1e6);
}

/* One JSON object: how many a second, WHOLE ns in all, and what one of them took. */
static inline void bench_print(uint64_t *took, size_t n, uint64_t whole) {
        printf("{\"n\": %zu, \"rate\": %.1f, ", n, (double)n * 1e9 / (double)whole);
        bench_print_times("p50", "p99", took, n);
        printf("}\n");
}

static inline size_t bench_number(const char *text) {
        char *end;
        unsigned long value = strtoul(text, &end, 10);

        if (*text == '\0' || *end != '\0' || value == 0)
                bench_check(-EINVAL, text);
        return value;
}
