/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/watchdog.h"

#include "util/notify.h"

/* When the manager has no room. It looks at what it was told before it looks for who is late. */
#define RETRY USEC_PER_SEC

struct Watchdog {
        Loop *loop;
        LoopTimer *timer;
        usec_t interval;
};

/* 0: it is not for this process, or nobody looks. */
static usec_t watchdog_time(void) {
        const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

        if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
                return 0;
        return strtoull(usec, NULL, 10);
}

static void on_timer(void *userdata) {
        Watchdog *w = userdata;
        usec_t wait = notify_alive() == -EAGAIN ? MIN(w->interval, RETRY) : w->interval;

        loop_timer_set(w->timer, loop_now(w->loop) + wait);
}

int watchdog_new(Loop *l, Watchdog **ret) {
        Watchdog *w = malloc(sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (Watchdog){.loop = l, .interval = watchdog_time() / 2};
        r = loop_timer_new(l, on_timer, w, &w->timer);
        if (r < 0) {
                free(w);
                return r;
        }
        if (w->interval > 0)
                loop_timer_set(w->timer, loop_now(l) + w->interval);
        *ret = w;
        return 0;
}

Watchdog *watchdog_free(Watchdog *w) {
        if (!w)
                return NULL;
        loop_timer_free(w->timer);
        free(w);
        return NULL;
}
