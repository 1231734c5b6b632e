/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/announcer.h"

#include "util/quota.h"

/* After the first of three, and after the second. */
#define SECOND_AFTER USEC_PER_SEC
#define THIRD_AFTER (2 * USEC_PER_SEC)

/* Answers are spread over as much for each who may answer, up to the longest. */
#define SPREAD_EACH (50 * USEC_PER_MSEC)
#define SPREAD_MAX (2 * USEC_PER_SEC)

/* Changes and answers that do not wait for the interval. */
#define EARLY 12
#define EARLY_INTERVAL USEC_PER_MINUTE

struct Announcer {
        Loop *loop;
        LoopTimer *timer;
        AnnouncerFn fn;
        void *userdata;
        bool started, asks;
        unsigned interval; /* s */
        usec_t gap; /* the last regular one */
        unsigned left; /* of the three */
        usec_t next, answer; /* when; USEC_INFINITY: no answer is due */
        Quota early;
};

static void arm(Announcer *a) {
        loop_timer_set(a->timer, a->started ? MIN(a->next, a->answer) : USEC_INFINITY);
}

static usec_t next_gap(Announcer *a) {
        usec_t first = a->interval * USEC_PER_SEC;

        if (a->left > 0)
                return a->left-- == 2 ? SECOND_AFTER : THIRD_AFTER;
        a->gap = a->gap == 0 ? first : MIN(2 * a->gap, ANNOUNCER_STRETCH * first);
        return loop_jitter(a->loop, a->gap);
}

/* What is told is the longest that it can take: jitter adds a tenth. */
static unsigned promised(const Announcer *a) {
        usec_t gap = MAX(a->gap, a->interval * USEC_PER_SEC);

        return (unsigned)((gap + gap / 10 + USEC_PER_SEC - 1) / USEC_PER_SEC);
}

static void on_timer(void *userdata) {
        Announcer *a = userdata;
        bool asks = a->asks;

        a->answer = USEC_INFINITY;
        a->next = loop_now(a->loop) + next_gap(a);
        a->asks = a->asks && a->left > 0;
        arm(a);
        a->fn(a->userdata, asks, promised(a));
}

static void begin(Announcer *a) {
        a->left = 2;
        a->gap = 0;
        a->next = loop_now(a->loop);
        a->answer = USEC_INFINITY;
        arm(a);
}

void announcer_start(Announcer *a, unsigned interval) {
        a->interval = interval;
        a->started = a->asks = true;
        begin(a);
}

void announcer_stop(Announcer *a) {
        a->started = false;
        arm(a);
}

bool announcer_is_started(const Announcer *a) {
        return a->started;
}

void announcer_changed(Announcer *a) {
        usec_t now = loop_now(a->loop);

        if (!a->started)
                return;
        if (quota_take(&a->early, 1, now)) {
                begin(a);
                return;
        }
        a->gap = 0;
        a->next = MIN(a->next, now + a->interval * USEC_PER_SEC);
        arm(a);
}

void announcer_met(Announcer *a, size_t known) {
        usec_t spread = MIN((known + 1) * SPREAD_EACH, SPREAD_MAX), now = loop_now(a->loop);

        if (!a->started || a->answer != USEC_INFINITY || a->next <= usec_add(now, spread) ||
                !quota_take(&a->early, 1, now))
                return;
        a->answer = now + loop_random_below(a->loop, spread);
        arm(a);
}

int announcer_new(Loop *l, AnnouncerFn fn, void *userdata, Announcer **ret) {
        Announcer *a = malloc(sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Announcer){.loop = l,
                .fn = fn,
                .userdata = userdata,
                .answer = USEC_INFINITY,
                .early = QUOTA_INIT(EARLY, EARLY_INTERVAL)};
        r = loop_timer_new(l, on_timer, a, &a->timer);
        if (r < 0) {
                free(a);
                return r;
        }
        *ret = a;
        return 0;
}

Announcer *announcer_free(Announcer *a) {
        if (!a)
                return NULL;
        loop_timer_free(a->timer);
        free(a);
        return NULL;
}
