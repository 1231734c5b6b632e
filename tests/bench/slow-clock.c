/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Preloaded into a program that callgrind makes P2PCHAT_SLOW times slower: its monotonic clocks go
 * as much slower, so that what it does within 2 ms, such as to gather a batch, stays the same.
 * Timers of timerfd go by them. Wall-clock time is left alone.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC UINT64_C(1000000000)
#define FDS_MAX 1024

static bool is_slow[FDS_MAX]; /* timers by descriptor */

static uint64_t factor(void) {
        const char *text = getenv("P2PCHAT_SLOW");

        return text ? strtoul(text, NULL, 10) : 1;
}

static bool clock_is_slow(clockid_t clock) {
        return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ||
                clock == CLOCK_BOOTTIME || clock == CLOCK_BOOTTIME_ALARM;
}

static uint64_t to_ns(const struct timespec *t) {
        return (uint64_t)t->tv_sec * NSEC_PER_SEC + (uint64_t)t->tv_nsec;
}

static struct timespec from_ns(uint64_t ns) {
        return (struct timespec){
                .tv_sec = (time_t)(ns / NSEC_PER_SEC), .tv_nsec = (long)(ns % NSEC_PER_SEC)};
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
        int r = (int)syscall(SYS_clock_gettime, clock, ret);

        if (r == 0 && clock_is_slow(clock))
                *ret = from_ns(to_ns(ret) / factor());
        return r;
}

int timerfd_create(clockid_t clock, int flags) {
        int fd = (int)syscall(SYS_timerfd_create, clock, flags);

        if (fd >= 0 && fd < FDS_MAX)
                is_slow[fd] = clock_is_slow(clock);
        return fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *ret_old) {
        struct itimerspec t = *new;

        if (fd >= 0 && fd < FDS_MAX && is_slow[fd]) {
                t.it_value = from_ns(to_ns(&t.it_value) * factor());
                t.it_interval = from_ns(to_ns(&t.it_interval) * factor());
        }
        return (int)syscall(SYS_timerfd_settime, fd, flags, &t, ret_old);
}
