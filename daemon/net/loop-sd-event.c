/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/loop-sd-event.h"

#include <sys/epoll.h>
#include <sys/random.h>
#include <time.h>

#include <systemd/sd-event.h>
#include <utlist.h>

#include "net/worker.h"

/* Priorities: what a handler has deferred comes before new input, the commit of a batch after all
 * input. D-Bus and sockets share the normal priority, 0. */
enum {
        PRIORITY_POST = -20,
        PRIORITY_SOON = -10,
        PRIORITY_NORMAL = SD_EVENT_PRIORITY_NORMAL,
        PRIORITY_IDLE = SD_EVENT_PRIORITY_IDLE,
};

typedef struct SdLoop SdLoop;

/* All of these begin with the loop, as LOOP_OF() expects. */
struct LoopTimer {
        Loop *loop;
        sd_event_source *source;
        bool at_once; /* it was set for a time that had come already */
        bool due; /* in the list */
        uint64_t after; /* as many turns of descriptors */
        LoopTimerFn fn;
        void *userdata;
        LoopTimer *prev, *next;
};

struct LoopIo {
        Loop *loop;
        int fd;
        uint32_t events; /* 0: not in the epoll set */
        LoopIoFn fn;
        void *userdata;
};

struct LoopDefer {
        Loop *loop;
        LoopDeferKind kind;
        bool armed; /* in the list of its kind */
        LoopDeferFn fn;
        void *userdata;
        LoopDefer *prev, *next;
};

/* Descriptors that are served before sd-event gets its turn again, and for how long. */
#define IO_AT_ONCE 32
#define IO_TIME USEC_PER_MSEC

/*
 * sd-event serves one source a turn and asks the kernel for all that are ready before each: with
 * 10,000 clients that speak at once this grows with the square. So descriptors have an epoll set of
 * their own, which is one source, and deferred calls of a kind share one.
 */
struct SdLoop {
        Loop loop;
        sd_event *event;
        Worker *workers[_LOOP_WORK_LANE_MAX];
        sd_event_source *worker_sources[_LOOP_WORK_LANE_MAX];
        uint8_t random[256]; /* the first n_random have not been handed out */
        size_t n_random;

        int epoll_fd;
        sd_event_source *io_source;
        struct epoll_event ready[IO_AT_ONCE]; /* what is being served */
        int n_ready, next_ready;
        unsigned n_io; /* in the epoll set */
        uint64_t turns; /* that descriptors have had */

        LoopTimer *due; /* their time has come */
        sd_event_source *due_source;

        LoopDefer *defers[_LOOP_DEFER_MAX]; /* armed, by kind */
        sd_event_source *defer_sources[_LOOP_DEFER_MAX];
        LoopDefer *next_post; /* to be called after the present one */
};

static SdLoop *sd_loop(Loop *l) {
        return CONTAINER_OF(l, SdLoop, loop);
}

/* Clocks and randomness */

static usec_t sd_now(Loop *l) {
        uint64_t t;

        return sd_event_now(sd_loop(l)->event, CLOCK_MONOTONIC, &t) < 0 ? 0 : t;
}

static usec_t sd_clock(Loop *l) {
        return usec_monotonic();
}

static usec_t sd_realtime(Loop *l) {
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (usec_t)t.tv_sec * USEC_PER_SEC + (usec_t)t.tv_nsec / 1000;
}

static void fill_random(uint8_t *b, size_t n) {

        while (n > 0) {
                ssize_t k = getrandom(b, MIN(n, (size_t)256), 0);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        abort(); /* no randomness, no keys: nothing can go on */
                b += k;
                n -= (size_t)k;
        }
}

/* An id of a message takes ten bytes: not a system call each. What was handed out is wiped. */
static void sd_random(Loop *l, void *p, size_t n) {
        SdLoop *s = sd_loop(l);

        if (n > sizeof(s->random)) {
                fill_random(p, n);
                return;
        }
        if (n > s->n_random) {
                fill_random(s->random, sizeof(s->random));
                s->n_random = sizeof(s->random);
        }
        s->n_random -= n;
        memcpy(p, s->random + s->n_random, n);
        explicit_bzero(s->random + s->n_random, n);
}

/* Timers */

/* Every descriptor that is ready now has its turn first. */
static void due_add(LoopTimer *t) {
        SdLoop *l = sd_loop(t->loop);

        t->due = true;
        t->after = l->turns + l->n_io + (unsigned)(l->n_ready - l->next_ready);
        if (!l->due)
                sd_event_source_set_enabled(l->due_source, SD_EVENT_ON);
        DL_APPEND(l->due, t);
}

static void due_remove(LoopTimer *t) {
        SdLoop *l = sd_loop(t->loop);

        if (!t->due)
                return;
        t->due = false;
        DL_DELETE(l->due, t);
        if (!l->due)
                sd_event_source_set_enabled(l->due_source, SD_EVENT_OFF);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        LoopTimer *t = userdata;

        if (t->at_once)
                t->fn(t->userdata);
        else
                due_add(t);
        return 0;
}

static int sd_timer_new(Loop *l, LoopTimerFn fn, void *userdata, LoopTimer **ret) {
        LoopTimer *t = malloc(sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        *t = (LoopTimer){.loop = l, .fn = fn, .userdata = userdata};
        r = sd_event_add_time(
                sd_loop(l)->event, &t->source, CLOCK_MONOTONIC, USEC_INFINITY, 0, on_timer, t);
        if (r >= 0)
                r = sd_event_source_set_enabled(t->source, SD_EVENT_OFF);
        if (r < 0) {
                sd_event_source_unref(t->source);
                free(t);
                return r;
        }
        *ret = t;
        return 0;
}

/* The default accuracy of 250 ms lets the kernel join wake-ups, but makes short waits late. A
 * sixteenth of the wait keeps both. */
static void sd_timer_set(LoopTimer *t, usec_t at) {
        usec_t wait = usec_sub(at, sd_now(t->loop));

        due_remove(t);
        t->at_once = wait == 0;
        if (at == USEC_INFINITY) {
                sd_event_source_set_enabled(t->source, SD_EVENT_OFF);
                return;
        }
        sd_event_source_set_time(t->source, at);
        sd_event_source_set_time_accuracy(
                t->source, CLAMP(wait / 16, USEC_PER_MSEC, 250 * USEC_PER_MSEC));
        sd_event_source_set_enabled(t->source, SD_EVENT_ONESHOT);
}

static void sd_timer_free(LoopTimer *t) {
        due_remove(t);
        sd_event_source_disable_unref(t->source);
        free(t);
}

/* Deferred calls */

static void defer_arm(LoopDefer *d, bool on) {
        SdLoop *l = sd_loop(d->loop);

        if (on == d->armed)
                return;
        d->armed = on;
        if (l->next_post == d)
                l->next_post = d->next;
        if (!on) {
                DL_DELETE(l->defers[d->kind], d);
                if (!l->defers[d->kind])
                        sd_event_source_set_enabled(l->defer_sources[d->kind], SD_EVENT_OFF);
                return;
        }
        if (!l->defers[d->kind])
                sd_event_source_set_enabled(l->defer_sources[d->kind], SD_EVENT_ON);
        DL_APPEND(l->defers[d->kind], d);
}

static void run_posts(SdLoop *l) {
        for (LoopDefer *d = l->defers[LOOP_DEFER_POST]; d; d = l->next_post) {
                l->next_post = d->next;
                d->fn(d->userdata);
        }
        l->next_post = NULL;
}

/* Once each. What is armed meanwhile comes after them, in the next round. */
static void run_defers(SdLoop *l, LoopDeferKind kind) {
        LoopDefer *d;
        size_t n;

        DL_COUNT(l->defers[kind], d, n);
        while (n-- > 0 && l->defers[kind]) {
                d = l->defers[kind];
                defer_arm(d, false);
                d->fn(d->userdata);
        }
}

static int on_soon(sd_event_source *s, void *userdata) {
        run_defers(userdata, LOOP_DEFER_SOON);
        return 0;
}

static int on_idle(sd_event_source *s, void *userdata) {
        run_defers(userdata, LOOP_DEFER_IDLE);
        return 0;
}

static int on_post(sd_event_source *s, void *userdata) {
        run_posts(userdata);
        return 0;
}

/* What sd-event does after a handler, between two of the same turn. */
static void after_handler(SdLoop *l) {
        run_posts(l);
        while (l->defers[LOOP_DEFER_SOON]) {
                run_defers(l, LOOP_DEFER_SOON);
                run_posts(l);
        }
}

static int sd_defer_new(
        Loop *l, LoopDeferKind kind, LoopDeferFn fn, void *userdata, LoopDefer **ret) {
        LoopDefer *d = malloc(sizeof(*d));

        if (!d)
                return -ENOMEM;
        *d = (LoopDefer){.loop = l, .kind = kind, .fn = fn, .userdata = userdata};
        *ret = d;
        return 0;
}

static void sd_defer_free(LoopDefer *d) {
        defer_arm(d, false);
        free(d);
}

static int defer_sources_new(SdLoop *l) {
        int r;

        r = sd_event_add_defer(l->event, &l->defer_sources[LOOP_DEFER_SOON], on_soon, l);
        if (r >= 0)
                r = sd_event_add_defer(l->event, &l->defer_sources[LOOP_DEFER_IDLE], on_idle, l);
        if (r >= 0)
                r = sd_event_add_post(l->event, &l->defer_sources[LOOP_DEFER_POST], on_post, l);
        for (LoopDeferKind k = 0; k < _LOOP_DEFER_MAX && r >= 0; k++) {
                static const int priority[_LOOP_DEFER_MAX] = {
                        [LOOP_DEFER_SOON] = PRIORITY_SOON,
                        [LOOP_DEFER_IDLE] = PRIORITY_IDLE,
                        [LOOP_DEFER_POST] = PRIORITY_POST,
                };

                r = sd_event_source_set_priority(l->defer_sources[k], priority[k]);
                if (r >= 0)
                        r = sd_event_source_set_enabled(l->defer_sources[k], SD_EVENT_OFF);
        }
        return r;
}

/* Descriptors */

static void io_serve(LoopIo *io, uint32_t revents) {
        if (revents & ~(uint32_t)(LOOP_READ | LOOP_WRITE))
                revents = LOOP_READ | LOOP_WRITE;
        else
                revents &= io->events; /* an earlier handler may have lost interest */
        if (io->events != 0 && revents != 0)
                io->fn(io->userdata, revents);
}

/* What is left over when the time is up comes first the next time: epoll goes round, so that
 * everybody has a turn before anybody has another. False when nothing was ready. */
static bool io_turn(SdLoop *l) {
        usec_t end;

        if (l->next_ready == l->n_ready) {
                l->next_ready = 0;
                l->n_ready = MAX(epoll_wait(l->epoll_fd, l->ready, IO_AT_ONCE, 0), 0);
                if (l->n_ready == 0)
                        return false;
        }
        end = usec_monotonic() + IO_TIME;
        while (l->next_ready < l->n_ready) {
                const struct epoll_event *e = &l->ready[l->next_ready++];

                l->turns++;
                if (!e->data.ptr)
                        continue;
                io_serve(e->data.ptr, e->events);
                if (l->next_ready == l->n_ready || usec_monotonic() >= end)
                        break; /* sd-event does the rest of what after_handler() does */
                after_handler(l);
        }
        return true;
}

static int on_io(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        (void)io_turn(userdata);
        return 0;
}

/* With no events asked for, epoll would still report a hang-up, again and again. */
static int sd_io_set_events(LoopIo *io, uint32_t events) {
        struct epoll_event e = {.events = events, .data.ptr = io};
        SdLoop *l = sd_loop(io->loop);
        int op = io->events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

        if (events == io->events)
                return 0;
        if (epoll_ctl(l->epoll_fd, op, io->fd, &e) < 0)
                return -errno;
        l->n_io += (events != 0) - (io->events != 0);
        io->events = events;
        return 0;
}

static int sd_io_new(Loop *l, int fd, uint32_t events, LoopIoFn fn, void *userdata, LoopIo **ret) {
        LoopIo *io = malloc(sizeof(*io));
        int r;

        if (!io)
                return -ENOMEM;
        *io = (LoopIo){.loop = l, .fd = fd, .fn = fn, .userdata = userdata};
        r = sd_io_set_events(io, events);
        if (r < 0) {
                free(io);
                return r;
        }
        *ret = io;
        return 0;
}

static void sd_io_free(LoopIo *io) {
        SdLoop *l = sd_loop(io->loop);

        (void)sd_io_set_events(io, 0);
        for (int i = 0; i < l->n_ready; i++)
                if (l->ready[i].data.ptr == io)
                        l->ready[i].data.ptr = NULL;
        free(io);
}

/* Work */

static int on_worker(sd_event_source *s, int fd, uint32_t revents, void *userdata) {
        worker_serve(userdata);
        return 0;
}

static int sd_work_new(Loop *l, LoopWorkLane lane, LoopWorkFn run, void *job, LoopWorkDoneFn done,
        void *userdata, LoopWork **ret) {
        return worker_add(sd_loop(l)->workers[lane], l, run, job, done, userdata, ret);
}

/* Most timers say that something has not come in time. When the loop has stood still, or is busy,
 * it may be here and not have been read: so what is ready comes first, once, and for no longer than
 * that. */
static int on_due(sd_event_source *s, void *userdata) {
        SdLoop *l = userdata;
        LoopTimer *t = l->due;

        if (l->turns >= t->after) {
                due_remove(t);
                t->fn(t->userdata);
                return 0;
        }
        for (LoopWorkLane i = 0; i < _LOOP_WORK_LANE_MAX; i++)
                worker_serve(l->workers[i]);
        after_handler(l);
        if (!io_turn(l) && l->due)
                l->turns = l->due->prev->after; /* of the last one */
        return 0;
}

static const LoopOps sd_ops = {
        .now = sd_now,
        .clock = sd_clock,
        .realtime = sd_realtime,
        .random = sd_random,
        .timer_new = sd_timer_new,
        .timer_set = sd_timer_set,
        .timer_free = sd_timer_free,
        .io_new = sd_io_new,
        .io_set_events = sd_io_set_events,
        .io_free = sd_io_free,
        .defer_new = sd_defer_new,
        .defer_arm = defer_arm,
        .defer_free = sd_defer_free,
        .work_new = sd_work_new,
        .work_cancel = worker_cancel,
};

static int sources_new(SdLoop *l) {
        int r;

        l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        if (l->epoll_fd < 0)
                return -errno;
        r = sd_event_add_io(l->event, &l->io_source, l->epoll_fd, LOOP_READ, on_io, l);
        for (LoopWorkLane i = 0; i < _LOOP_WORK_LANE_MAX && r >= 0; i++)
                r = sd_event_add_io(l->event, &l->worker_sources[i], worker_fd(l->workers[i]),
                        LOOP_READ, on_worker, l->workers[i]);
        if (r >= 0)
                r = sd_event_add_defer(l->event, &l->due_source, on_due, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->due_source, SD_EVENT_OFF);
        return r < 0 ? r : defer_sources_new(l);
}

int loop_sd_event_new(sd_event *event, Loop **ret) {
        SdLoop *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->loop.ops = &sd_ops;
        l->epoll_fd = -EBADF;
        l->event = sd_event_ref(event);
        r = worker_new(SIZE_MAX, &l->workers[LOOP_WORK_OWN]);
        if (r >= 0)
                r = worker_new(LOOP_WORK_OTHERS_MAX, &l->workers[LOOP_WORK_OTHERS]);
        if (r >= 0)
                r = worker_new(SIZE_MAX, &l->workers[LOOP_WORK_STRETCH]);
        if (r >= 0)
                r = sources_new(l);
        if (r < 0) {
                loop_sd_event_free(&l->loop);
                return r;
        }
        *ret = &l->loop;
        return 0;
}

Loop *loop_sd_event_free(Loop *l) {
        SdLoop *s;

        if (!l)
                return NULL;
        s = sd_loop(l);
        for (LoopDeferKind k = 0; k < _LOOP_DEFER_MAX; k++)
                sd_event_source_disable_unref(s->defer_sources[k]);
        sd_event_source_disable_unref(s->due_source);
        sd_event_source_disable_unref(s->io_source);
        for (LoopWorkLane i = 0; i < _LOOP_WORK_LANE_MAX; i++) {
                sd_event_source_disable_unref(s->worker_sources[i]);
                worker_free(s->workers[i]);
        }
        safe_close(s->epoll_fd);
        sd_event_unref(s->event);
        free(s);
        return NULL;
}
