/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "loop-virtual.h"

#include <assert.h>

#include <utlist.h>

typedef struct VirtualLoop {
        Loop loop;
        usec_t now;
        int64_t skew; /* of the wall clock */
        uint64_t random;
        uint64_t turn; /* gives an order to what is due at the same time */
        LoopTimer *timers; /* those that are set */
        LoopTimer *first; /* the next of them; NULL: not known */
        LoopVirtualFn stirred; /* or NULL */
        void *userdata;
        bool known; /* when the next handler is called is, to whom that was told */
        LoopDefer *defers[_LOOP_DEFER_MAX]; /* armed; POST: all of them */
        unsigned n_sources;
} VirtualLoop;

/* All of these begin with the loop, as LOOP_OF() expects. */
struct LoopTimer {
        Loop *loop;
        usec_t at; /* USEC_INFINITY: not set */
        uint64_t turn;
        bool waits; /* AT was in the future */
        bool arrival; /* stands for a descriptor */
        LoopTimerFn fn;
        void *userdata;
        LoopTimer *prev, *next;
};

struct LoopDefer {
        Loop *loop;
        LoopDeferKind kind;
        bool armed;
        bool pending; /* POST: a handler was called */
        LoopDeferFn fn;
        void *userdata;
        LoopDefer *prev, *next;
};

struct LoopWork {
        Loop *loop;
        LoopTimer *timer;
        LoopWorkFn run;
        void *job;
        LoopWorkDoneFn done;
        void *userdata;
        bool cancelled;
};

static VirtualLoop *virtual_loop(Loop *l) {
        return CONTAINER_OF(l, VirtualLoop, loop);
}

/* Something may be called at another time than was said. */
static void stir(VirtualLoop *v) {
        bool known = v->known;

        v->known = false;
        if (known && v->stirred)
                v->stirred(v->userdata);
}

void loop_virtual_watch(Loop *l, LoopVirtualFn fn, void *userdata) {
        VirtualLoop *v = virtual_loop(l);

        v->stirred = fn;
        v->userdata = userdata;
        v->known = true;
        stir(v);
}

/* Clocks and randomness */

static usec_t virtual_now(Loop *l) {
        return virtual_loop(l)->now;
}

static usec_t virtual_realtime(Loop *l) {
        VirtualLoop *v = virtual_loop(l);

        return v->now - VIRTUAL_START + VIRTUAL_REALTIME + (usec_t)v->skew;
}

static void set_now(VirtualLoop *v, usec_t now) {
        if (now == v->now)
                return;
        v->now = now;
        v->first = NULL; /* what is due has another order than what is not */
        stir(v);
}

void loop_virtual_stall(Loop *l, usec_t time) {
        set_now(virtual_loop(l), virtual_loop(l)->now + time);
}

void loop_virtual_step_realtime(Loop *l, int64_t by) {
        virtual_loop(l)->skew += by;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(VirtualLoop *v) {
        uint64_t z = v->random += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return z ^ z >> 31;
}

static void virtual_random(Loop *l, void *p, size_t n) {
        uint8_t *b = p;

        while (n > 0) {
                uint64_t r = next_random(virtual_loop(l));
                size_t k = MIN(n, sizeof(r));

                memcpy(b, &r, k);
                b += k;
                n -= k;
        }
}

/* Timers */

static int virtual_timer_new(Loop *l, LoopTimerFn fn, void *userdata, LoopTimer **ret) {
        LoopTimer *t = malloc(sizeof(*t));

        if (!t)
                return -ENOMEM;
        *t = (LoopTimer){.loop = l, .at = USEC_INFINITY, .fn = fn, .userdata = userdata};
        virtual_loop(l)->n_sources++;
        *ret = t;
        return 0;
}

/* What arrives comes before what was to happen at a time, as loop_timer_set() has it. Else the one
 * that was set first: sd-event as well serves those first that became ready first. */
static bool comes_before(const VirtualLoop *v, const LoopTimer *a, const LoopTimer *b) {
        usec_t a_at = MAX(a->at, v->now), b_at = MAX(b->at, v->now);
        bool a_last = a->waits && !a->arrival, b_last = b->waits && !b->arrival;

        if (a_at != b_at)
                return a_at < b_at;
        return a_last != b_last ? b_last : a->turn < b->turn;
}

static LoopTimer *next_timer(VirtualLoop *v) {
        LoopTimer *t;

        if (v->first)
                return v->first;
        DL_FOREACH (v->timers, t)
                if (!v->first || comes_before(v, t, v->first))
                        v->first = t;
        return v->first;
}

static void virtual_timer_set(LoopTimer *t, usec_t at) {
        VirtualLoop *v = virtual_loop(t->loop);

        if (at == USEC_INFINITY && t->at == USEC_INFINITY)
                return;
        if (t->at != USEC_INFINITY)
                DL_DELETE(v->timers, t);
        if (v->first == t)
                v->first = NULL;
        t->at = at;
        t->turn = v->turn++;
        t->waits = at > v->now;
        if (at != USEC_INFINITY) {
                bool alone = !v->timers;

                DL_APPEND(v->timers, t);
                if (alone || (v->first && comes_before(v, t, v->first)))
                        v->first = t;
        }
        stir(v);
}

static void virtual_timer_free(LoopTimer *t) {
        virtual_timer_set(t, USEC_INFINITY);
        virtual_loop(t->loop)->n_sources--;
        free(t);
}

static const LoopOps virtual_ops;

void loop_virtual_set_arrival(LoopTimer *t) {
        if (t->loop->ops == &virtual_ops) {
                t->arrival = true;
                virtual_loop(t->loop)->first = NULL;
        }
}

/* Descriptors */

static int virtual_io_new(
        Loop *l, int fd, uint32_t events, LoopIoFn fn, void *userdata, LoopIo **ret) {
        return -EOPNOTSUPP;
}

/* Deferred calls */

static int virtual_defer_new(
        Loop *l, LoopDeferKind kind, LoopDeferFn fn, void *userdata, LoopDefer **ret) {
        LoopDefer *d = malloc(sizeof(*d));

        if (!d)
                return -ENOMEM;
        *d = (LoopDefer){.loop = l, .kind = kind, .fn = fn, .userdata = userdata};
        virtual_loop(l)->n_sources++;
        *ret = d;
        return 0;
}

static void virtual_defer_arm(LoopDefer *d, bool on) {
        VirtualLoop *v = virtual_loop(d->loop);

        if (d->armed == on)
                return;
        d->armed = on;
        d->pending = false;
        stir(v);
        if (on)
                DL_APPEND(v->defers[d->kind], d);
        else
                DL_DELETE(v->defers[d->kind], d);
}

static void virtual_defer_free(LoopDefer *d) {
        virtual_defer_arm(d, false);
        virtual_loop(d->loop)->n_sources--;
        free(d);
}

/* Jobs */

static void work_finish(LoopWork *w, bool cancelled) {
        loop_timer_free(w->timer);
        virtual_loop(w->loop)->n_sources--;
        w->done(w->job, cancelled ? NULL : w->userdata, cancelled);
        free(w);
}

static void on_work(void *userdata) {
        LoopWork *w = userdata;

        if (!w->cancelled)
                w->run(w->job);
        work_finish(w, w->cancelled);
}

static int virtual_work_new(Loop *l, LoopWorkLane lane, LoopWorkFn run, void *job,
        LoopWorkDoneFn done, void *userdata, LoopWork **ret) {
        LoopWork *w = malloc(sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (LoopWork){.loop = l, .run = run, .job = job, .done = done, .userdata = userdata};
        r = loop_timer_new(l, on_work, w, &w->timer);
        if (r < 0) {
                free(w);
                return r;
        }
        loop_timer_set(w->timer, loop_now(l));
        virtual_loop(l)->n_sources++;
        *ret = w;
        return 0;
}

static void virtual_work_cancel(LoopWork *w) {
        w->cancelled = true;
}

static const LoopOps virtual_ops = {
        .now = virtual_now,
        .clock = virtual_now,
        .realtime = virtual_realtime,
        .random = virtual_random,
        .timer_new = virtual_timer_new,
        .timer_set = virtual_timer_set,
        .timer_free = virtual_timer_free,
        .io_new = virtual_io_new,
        .defer_new = virtual_defer_new,
        .defer_arm = virtual_defer_arm,
        .defer_free = virtual_defer_free,
        .work_new = virtual_work_new,
        .work_cancel = virtual_work_cancel,
};

/* Turns */

static bool call_post(VirtualLoop *v) {
        LoopDefer *d;

        DL_FOREACH (v->defers[LOOP_DEFER_POST], d)
                if (d->pending) {
                        d->pending = false;
                        stir(v);
                        d->fn(d->userdata);
                        return true;
                }
        return false;
}

static void await_posts(VirtualLoop *v) {
        LoopDefer *d;

        stir(v);
        DL_FOREACH (v->defers[LOOP_DEFER_POST], d)
                d->pending = true;
}

static bool call_defer(VirtualLoop *v, LoopDeferKind kind) {
        LoopDefer *d = v->defers[kind];

        if (!d)
                return false;
        virtual_defer_arm(d, false);
        d->fn(d->userdata);
        await_posts(v);
        return true;
}

static bool call_timer(VirtualLoop *v, usec_t until) {
        LoopTimer *t = next_timer(v);

        if (!t || t->at > until)
                return false;
        set_now(v, MAX(v->now, t->at));
        virtual_timer_set(t, USEC_INFINITY);
        t->fn(t->userdata);
        await_posts(v);
        return true;
}

static bool is_ready(const VirtualLoop *v) {
        const LoopDefer *d;

        if (v->defers[LOOP_DEFER_SOON] || v->defers[LOOP_DEFER_IDLE])
                return true;
        DL_FOREACH (v->defers[LOOP_DEFER_POST], d)
                if (d->pending)
                        return true;
        return false;
}

usec_t loop_virtual_next(Loop *l) {
        VirtualLoop *v = virtual_loop(l);
        const LoopTimer *t;

        v->known = true;
        if (is_ready(v))
                return v->now;
        t = next_timer(v);
        return t ? MAX(t->at, v->now) : USEC_INFINITY;
}

bool loop_virtual_turn(Loop *l, usec_t until) {
        VirtualLoop *v = virtual_loop(l);

        if (call_post(v) || call_defer(v, LOOP_DEFER_SOON) || call_timer(v, v->now) ||
                call_defer(v, LOOP_DEFER_IDLE) || call_timer(v, until))
                return true;
        if (until != USEC_INFINITY)
                set_now(v, MAX(v->now, until));
        return false;
}

void loop_virtual_run(Loop *l, usec_t time) {
        usec_t until = usec_add(loop_now(l), time);

        while (loop_virtual_turn(l, until))
                continue;
}

unsigned loop_virtual_count_sources(Loop *l) {
        return virtual_loop(l)->n_sources;
}

int loop_virtual_new(uint64_t seed, Loop **ret) {
        VirtualLoop *v = calloc(1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        *v = (VirtualLoop){.loop.ops = &virtual_ops, .now = VIRTUAL_START, .random = seed};
        *ret = &v->loop;
        return 0;
}

Loop *loop_virtual_free(Loop *l) {
        VirtualLoop *v;
        LoopTimer *t, *tmp;

        if (!l)
                return NULL;
        v = virtual_loop(l);
        DL_FOREACH_SAFE (v->timers, t, tmp)
                if (t->fn == on_work)
                        work_finish(t->userdata, true);
        assert(v->n_sources == 0);
        free(v);
        return NULL;
}
