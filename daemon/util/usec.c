/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/usec.h"

#include <stdio.h>
#include <time.h>

/* The last second of the year 9999, beyond which RFC 3339 has no form. */
#define SECONDS_MAX INT64_C(253402300799)

usec_t usec_monotonic(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

const char *usec_format(usec_t realtime, char buf[static TIME_TEXT_SIZE]) {
        uint64_t s = realtime / USEC_PER_SEC;
        time_t t = s > SECONDS_MAX ? SECONDS_MAX : (time_t)s;
        size_t n;
        struct tm tm;

        gmtime_r(&t, &tm);
        n = strftime(buf, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(buf + n, TIME_TEXT_SIZE - n, ".%06uZ", (unsigned)(realtime % USEC_PER_SEC));
        return buf;
}
