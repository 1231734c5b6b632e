/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The world as a struct of functions: clocks, randomness, timers, descriptors, deferred calls and
 * worker threads. net/loop-sd-event.c implements it for the daemons, tests/sim/loop-virtual.c on a
 * virtual clock; everything else takes a Loop and cannot tell the two apart.
 *
 * Sources are created disarmed (io: armed with the events given) and belong to the caller, who
 * frees them; freeing is allowed in any callback, the source's own included, and stops all further
 * calls. Callbacks return nothing: an error is the callee's to handle.
 */

#include "util/macro.h"
#include "util/usec.h"

typedef struct Loop Loop;
typedef struct LoopTimer LoopTimer;
typedef struct LoopIo LoopIo;
typedef struct LoopDefer LoopDefer;
typedef struct LoopWork LoopWork;

typedef void (*LoopTimerFn)(void *userdata);
typedef void (*LoopIoFn)(void *userdata, uint32_t revents);
typedef void (*LoopDeferFn)(void *userdata);
typedef void (*LoopWorkFn)(void *job);
typedef void (*LoopWorkDoneFn)(void *job, void *userdata, bool cancelled);

enum {
        LOOP_READ = 1, /* EPOLLIN */
        LOOP_WRITE = 4, /* EPOLLOUT */
};

typedef enum LoopDeferKind {
        LOOP_DEFER_SOON, /* once after the present handler, before new input */
        LOOP_DEFER_IDLE, /* once when nothing else is ready */
        LOOP_DEFER_POST, /* after every handler for as long as it is armed */
        _LOOP_DEFER_MAX,
} LoopDeferKind;

/* Jobs of a lane are done one after the other, and never wait for those of another lane. */
typedef enum LoopWorkLane {
        LOOP_WORK_OWN, /* what this user has asked for */
        LOOP_WORK_OTHERS, /* what others may cause: LOOP_WORK_OTHERS_MAX wait, at most */
        LOOP_WORK_STRETCH, /* of passwords: takes a second of a processor, not of a network */
        _LOOP_WORK_LANE_MAX,
} LoopWorkLane;

#define LOOP_WORK_OTHERS_MAX 64

typedef struct LoopOps {
        usec_t (*now)(Loop *l);
        usec_t (*clock)(Loop *l);
        usec_t (*realtime)(Loop *l);
        void (*random)(Loop *l, void *p, size_t n);

        int (*timer_new)(Loop *l, LoopTimerFn fn, void *userdata, LoopTimer **ret);
        void (*timer_set)(LoopTimer *t, usec_t at);
        void (*timer_free)(LoopTimer *t);

        int (*io_new)(Loop *l, int fd, uint32_t events, LoopIoFn fn, void *userdata, LoopIo **ret);
        int (*io_set_events)(LoopIo *io, uint32_t events);
        void (*io_free)(LoopIo *io);

        int (*defer_new)(
                Loop *l, LoopDeferKind kind, LoopDeferFn fn, void *userdata, LoopDefer **ret);
        void (*defer_arm)(LoopDefer *d, bool on);
        void (*defer_free)(LoopDefer *d);

        int (*work_new)(Loop *l, LoopWorkLane lane, LoopWorkFn run, void *job, LoopWorkDoneFn done,
                void *userdata, LoopWork **ret);
        void (*work_cancel)(LoopWork *w);
} LoopOps;

/* The first member of every implementation; the sources begin with a pointer to their loop. */
struct Loop {
        const LoopOps *ops;
};

/* Monotonic time at which the present handler was called: read once, the same for all it does. */
static inline usec_t loop_now(Loop *l) {
        return l->ops->now(l);
}

/* The monotonic clock as it is, to measure what a handler itself takes. */
static inline usec_t loop_clock(Loop *l) {
        return l->ops->clock(l);
}

/* Wall clock; may step in either direction. */
static inline usec_t loop_realtime(Loop *l) {
        return l->ops->realtime(l);
}

/* Cryptographically strong, except in the virtual loop, where it is seeded. */
static inline void loop_random(Loop *l, void *p, size_t n) {
        l->ops->random(l, p, n);
}

/* Uniform in [0, limit); limit > 0. The bias of the modulus is below 2^-32 for limits used here. */
static inline uint64_t loop_random_below(Loop *l, uint64_t limit) {
        uint64_t v;

        loop_random(l, &v, sizeof(v));
        return v % limit;
}

/* T with up to a tenth added or taken, so that many clients do not act in step. */
static inline usec_t loop_jitter(Loop *l, usec_t t) {
        return t - t / 10 + loop_random_below(l, t / 5 + 1);
}

static inline int loop_timer_new(Loop *l, LoopTimerFn fn, void *userdata, LoopTimer **ret) {
        return l->ops->timer_new(l, fn, userdata, ret);
}

#define LOOP_OF(source) (*(Loop **)(source))

/* Fires once at the monotonic time AT, or never for USEC_INFINITY; setting again replaces. When the
 * loop had to wait for AT, every descriptor that is ready by then has a turn before: what came in
 * time is not missed because the loop is late. */
static inline void loop_timer_set(LoopTimer *t, usec_t at) {
        LOOP_OF(t)->ops->timer_set(t, at);
}

static inline LoopTimer *loop_timer_free(LoopTimer *t) {
        if (t)
                LOOP_OF(t)->ops->timer_free(t);
        return NULL;
}

/* Level-triggered. FD stays the caller's and must outlive the source. Errors and hang-up are
 * reported as both readable and writable: the next read or write says what happened. */
static inline int loop_io_new(
        Loop *l, int fd, uint32_t events, LoopIoFn fn, void *userdata, LoopIo **ret) {
        return l->ops->io_new(l, fd, events, fn, userdata, ret);
}

static inline int loop_io_set_events(LoopIo *io, uint32_t events) {
        return LOOP_OF(io)->ops->io_set_events(io, events);
}

static inline LoopIo *loop_io_free(LoopIo *io) {
        if (io)
                LOOP_OF(io)->ops->io_free(io);
        return NULL;
}

static inline int loop_defer_new(
        Loop *l, LoopDeferKind kind, LoopDeferFn fn, void *userdata, LoopDefer **ret) {
        return l->ops->defer_new(l, kind, fn, userdata, ret);
}

static inline void loop_defer_arm(LoopDefer *d, bool on) {
        LOOP_OF(d)->ops->defer_arm(d, on);
}

static inline LoopDefer *loop_defer_free(LoopDefer *d) {
        if (d)
                LOOP_OF(d)->ops->defer_free(d);
        return NULL;
}

/* RUN(job) on the worker thread of LANE, then DONE(job, userdata, false) on the loop. JOB must hold
 * all that RUN touches and is DONE's to free. After work_cancel() DONE comes with `cancelled` set,
 * at the latest when the loop is freed, and USERDATA may be gone by then; a job that had not begun
 * is not run, and nobody waits for it. -EBUSY when too many of others wait. */
static inline int loop_work_new(Loop *l, LoopWorkLane lane, LoopWorkFn run, void *job,
        LoopWorkDoneFn done, void *userdata, LoopWork **ret) {
        return l->ops->work_new(l, lane, run, job, done, userdata, ret);
}

static inline LoopWork *loop_work_cancel(LoopWork *w) {
        if (w)
                LOOP_OF(w)->ops->work_cancel(w);
        return NULL;
}

DEFINE_CLEANUP(LoopTimer *, loop_timer_free)
