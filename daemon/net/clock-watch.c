/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/clock-watch.h"

#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "util/fs.h"

/* A lesser change is nobody's concern. */
#define CHANGE_MIN ((int64_t)USEC_PER_SEC)

/* The last moment there is: only the cancellation is of interest. */
#define TIME_LAST ((time_t)((UINT64_C(1) << (sizeof(time_t) * 8 - 1)) - 1))

struct ClockWatch {
        ClockWatchFn fn;
        void *userdata;
        int fd;
        LoopIo *io;
        int64_t slept, set; /* as told last: BOOTTIME - MONOTONIC, REALTIME - BOOTTIME */
};

static int64_t clock_read(clockid_t clock) {
        struct timespec t;

        return clock_gettime(clock, &t) < 0
                ? 0
                : (int64_t)t.tv_sec * (int64_t)USEC_PER_SEC + t.tv_nsec / 1000;
}

static int clock_watch_arm(ClockWatch *w) {
        static const struct itimerspec last = {.it_value.tv_sec = TIME_LAST};
        int64_t boot;

        if (timerfd_settime(w->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &last, NULL) < 0)
                return -errno;
        boot = clock_read(CLOCK_BOOTTIME);
        w->slept = boot - clock_read(CLOCK_MONOTONIC);
        w->set = clock_read(CLOCK_REALTIME) - boot;
        return 0;
}

/* A timer that cannot be armed again is not looked at any more, rather than always. */
static void on_cancelled(void *userdata, uint32_t revents) {
        ClockWatch *w = userdata;
        int64_t slept = w->slept, set = w->set;
        uint64_t n;

        if (read(w->fd, &n, sizeof(n)) < 0 && errno == EAGAIN)
                return;
        if (clock_watch_arm(w) < 0) {
                w->io = loop_io_free(w->io);
                return;
        }
        slept = w->slept - slept;
        set = w->set - set;
        if (slept < CHANGE_MIN)
                slept = 0;
        if (slept > 0 || set >= CHANGE_MIN || set <= -CHANGE_MIN)
                w->fn(w->userdata, (usec_t)slept, set);
}

int clock_watch_new(Loop *l, ClockWatchFn fn, void *userdata, ClockWatch **ret) {
        ClockWatch *w = calloc(1, sizeof(*w));
        int r = 0;

        if (!w)
                return -ENOMEM;
        *w = (ClockWatch){.fn = fn, .userdata = userdata};
        w->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (w->fd < 0)
                r = -errno;
        if (r >= 0)
                r = clock_watch_arm(w);
        if (r >= 0)
                r = loop_io_new(l, w->fd, LOOP_READ, on_cancelled, w, &w->io);
        if (r < 0) {
                clock_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

ClockWatch *clock_watch_free(ClockWatch *w) {
        if (!w)
                return NULL;
        loop_io_free(w->io);
        safe_close(w->fd);
        free(w);
        return NULL;
}
