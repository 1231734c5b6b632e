/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Preloaded into a program that is to believe that its wall clock was set, or that the machine has
 * slept: two numbers in the file that P2PCHAT_CLOCK names, in s, are added to its CLOCK_REALTIME
 * and its CLOCK_BOOTTIME. A timer of CLOCK_REALTIME is one that waits for such a change
 * (TFD_TIMER_CANCEL_ON_SET): it is cancelled whenever the file is written.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef struct Offsets {
        int64_t realtime, boottime; /* s */
} Offsets;

static int watch_fd = -1; /* in place of the timer */

static const volatile Offsets *offsets(void) {
        static const volatile Offsets *mapped;
        int fd;

        if (mapped)
                return mapped;
        fd = open(getenv("P2PCHAT_CLOCK"), O_RDONLY | O_CLOEXEC);
        mapped = mmap(NULL, sizeof(*mapped), PROT_READ, MAP_SHARED, fd, 0);
        if (mapped == MAP_FAILED)
                abort();
        close(fd);
        return mapped;
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
        int r = (int)syscall(SYS_clock_gettime, clock, ret);

        if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
                ret->tv_sec += offsets()->realtime;
        else if (r == 0 && clock == CLOCK_BOOTTIME)
                ret->tv_sec += offsets()->boottime;
        return r;
}

int timerfd_create(clockid_t clock, int flags) {
        if (clock != CLOCK_REALTIME)
                return (int)syscall(SYS_timerfd_create, clock, flags);
        watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (inotify_add_watch(watch_fd, getenv("P2PCHAT_CLOCK"), IN_MODIFY) < 0)
                abort();
        return watch_fd;
}

int timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old) {
        return fd == watch_fd ? 0 : (int)syscall(SYS_timerfd_settime, fd, flags, new, old);
}

ssize_t read(int fd, void *p, size_t n) {
        char events[4096];

        if (fd != watch_fd)
                return syscall(SYS_read, fd, p, n);
        if (syscall(SYS_read, fd, events, sizeof(events)) > 0)
                errno = ECANCELED;
        return -1;
}
