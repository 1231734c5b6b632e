/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Preloaded into a program that is to meet a bad day: the disk takes its time at every flush, and
 * the program gets the processor late, at its start and whenever it wakes. How late is random, so
 * that what happens at once on a quiet machine happens in another order here. Whoever depends on
 * the order without waiting for it is found, be it a program or a test.
 */

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

typedef struct Delay {
        unsigned usual_ms, rare_ms; /* at most, each */
        unsigned rarely;            /* once in so many times */
} Delay;

static const Delay START = {50, 400, 4}, FLUSH = {25, 300, 30}, WAKE = {4, 150, 40};

static void delay(const Delay *d) {
        int saved = errno;
        struct timespec t = {0};
        uint32_t random[2];
        uint64_t ns;

        if (getrandom(random, sizeof(random), GRND_NONBLOCK) == sizeof(random)) {
                ns = random[0] % d->rarely == 0 ? d->rare_ms : d->usual_ms;
                ns = (ns * 1000000 * random[1]) >> 32;
                t = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
                clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
        }
        errno = saved;
}

static int woken(int n) {
        if (n > 0)
                delay(&WAKE);
        return n;
}

#define REAL(name) ((typeof(&(name)))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void started(void) {
        delay(&START);
}

int fsync(int fd) {
        delay(&FLUSH);
        return REAL(fsync)(fd);
}

int fdatasync(int fd) {
        delay(&FLUSH);
        return REAL(fdatasync)(fd);
}

int msync(void *at, size_t size, int flags) {
        delay(&FLUSH);
        return REAL(msync)(at, size, flags);
}

int poll(struct pollfd *fds, nfds_t n, int timeout) {
        return woken(REAL(poll)(fds, n, timeout));
}

int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask) {
        return woken(REAL(ppoll)(fds, n, timeout, mask));
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout) {
        return woken(REAL(epoll_wait)(fd, events, n, timeout));
}

int epoll_pwait2(int fd, struct epoll_event *events, int n, const struct timespec *timeout,
        const sigset_t *mask) {
        return woken(REAL(epoll_pwait2)(fd, events, n, timeout, mask));
}
