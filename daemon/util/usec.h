/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Times are microseconds in an unsigned 64-bit integer. Realtime values count from the Unix epoch
 * and are shown to people; everything that measures or waits uses the monotonic clock of the loop.
 */

#include <stddef.h>
#include <stdint.h>

typedef uint64_t usec_t;

#define USEC_INFINITY UINT64_MAX
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

/* a + b, which stays at USEC_INFINITY instead of wrapping. */
static inline usec_t usec_add(usec_t a, usec_t b) {
        return a > USEC_INFINITY - b ? USEC_INFINITY : a + b;
}

/* a - b, not below zero. */
static inline usec_t usec_sub(usec_t a, usec_t b) {
        return a > b ? a - b : 0;
}

/* The monotonic clock itself, for what has no loop or measures within a handler, where loop_now()
 * stands still. */
usec_t usec_monotonic(void);

#define TIME_TEXT_SIZE 32

/* RFC 3339 in UTC with microseconds, "2026-01-02T03:04:05.678901Z". */
const char *usec_format(usec_t realtime, char buf[static TIME_TEXT_SIZE]);
