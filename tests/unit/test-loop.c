/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "net/loop-sd-event.h"

typedef struct Lab {
        sd_event *event;
        Loop *loop;
        char log[256]; /* a letter for each call, in order */
} Lab;

static void lab_new(Lab *lab) {
        *lab = (Lab){};
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
}

static void lab_free(Lab *lab) {
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
}

static void note(Lab *lab, char c) {
        size_t n = strlen(lab->log);

        CHECK(n + 1 < sizeof(lab->log));
        lab->log[n] = c;
}

/* Until nothing is ready any more. */
static void run(Lab *lab) {
        int r;

        while ((r = sd_event_run(lab->event, 0)) > 0)
                ;
        CHECK_OK(r);
}

/* A descriptor that is readable until it is read. */
typedef struct Pipe {
        Lab *lab;
        char letter;
        int fds[2];
        LoopIo *io;
        LoopDefer *defer; /* armed by the handler */
        struct Pipe *victim; /* freed by the handler */
        bool keep; /* do not read: stay ready */
        unsigned takes; /* the handler, us */
        unsigned calls;
} Pipe;

static void pipe_free(Pipe *p) {
        p->io = loop_io_free(p->io);
        p->fds[0] = safe_close(p->fds[0]);
        p->fds[1] = safe_close(p->fds[1]);
}

static void on_pipe(void *userdata, uint32_t revents) {
        Pipe *p = userdata;
        char c;

        CHECK(revents & LOOP_READ);
        p->calls++;
        if (p->letter)
                note(p->lab, p->letter);
        if (p->takes > 0)
                CHECK_OK(usleep(p->takes));
        if (!p->keep)
                CHECK_EQ(read(p->fds[0], &c, 1), 1);
        if (p->defer)
                loop_defer_arm(p->defer, true);
        if (p->victim)
                pipe_free(p->victim);
}

static void pipe_new(Lab *lab, char letter, Pipe *p) {
        *p = (Pipe){.lab = lab, .letter = letter};
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, p->fds));
        CHECK_OK(loop_io_new(lab->loop, p->fds[0], LOOP_READ, on_pipe, p, &p->io));
}

static void pipe_fill(Pipe *p) {
        CHECK_EQ(write(p->fds[1], "x", 1), 1);
}

typedef struct Deferred {
        Lab *lab;
        char letter;
        LoopDefer *defer, *also;
        unsigned times;
        unsigned calls;
} Deferred;

static void on_deferred(void *userdata) {
        Deferred *d = userdata;

        d->calls++;
        note(d->lab, d->letter);
        if (d->also)
                loop_defer_arm(d->also, true);
        if (d->times > 0 && d->calls == d->times)
                d->defer = loop_defer_free(d->defer);
}

static void deferred_new(Lab *lab, LoopDeferKind kind, char letter, Deferred *d) {
        *d = (Deferred){.lab = lab, .letter = letter};
        CHECK_OK(loop_defer_new(lab->loop, kind, on_deferred, d, &d->defer));
}

TEST(deferred_calls_come_after_each_handler) {
        Deferred soon, post, idle;
        Pipe a, b;
        Lab lab;

        lab_new(&lab);
        pipe_new(&lab, 'a', &a);
        pipe_new(&lab, 'a', &b);
        deferred_new(&lab, LOOP_DEFER_SOON, 's', &soon);
        deferred_new(&lab, LOOP_DEFER_POST, 'p', &post);
        deferred_new(&lab, LOOP_DEFER_IDLE, 'i', &idle);
        a.defer = b.defer = soon.defer;
        loop_defer_arm(post.defer, true);
        loop_defer_arm(idle.defer, true);
        pipe_fill(&a);
        pipe_fill(&b);
        run(&lab);
        /* Handler, check, what was put off, check: twice, then idle. */
        CHECK_STR(lab.log, "apspapspip");
        loop_defer_arm(post.defer, false);
        pipe_fill(&a);
        run(&lab);
        CHECK_STR(lab.log + 10, "as");
        pipe_free(&a);
        pipe_free(&b);
        loop_defer_free(soon.defer);
        loop_defer_free(post.defer);
        loop_defer_free(idle.defer);
        lab_free(&lab);
}

TEST(a_deferred_call_may_arm_another_and_free_itself) {
        Deferred first, second;
        Lab lab;

        lab_new(&lab);
        deferred_new(&lab, LOOP_DEFER_SOON, '1', &first);
        deferred_new(&lab, LOOP_DEFER_SOON, '2', &second);
        first.also = second.defer;
        first.times = 1;
        loop_defer_arm(first.defer, true);
        loop_defer_arm(first.defer, true); /* once is enough */
        run(&lab);
        CHECK_STR(lab.log, "12");
        CHECK(!first.defer);
        loop_defer_arm(second.defer, true);
        loop_defer_arm(second.defer, false);
        run(&lab);
        CHECK_STR(lab.log, "12");
        loop_defer_free(second.defer);
        lab_free(&lab);
}

TEST(who_is_freed_by_an_earlier_handler_is_not_called) {
        Pipe a, b;
        Lab lab;

        lab_new(&lab);
        pipe_new(&lab, 'a', &a);
        pipe_new(&lab, 'b', &b);
        a.victim = &b;
        b.victim = &a;
        pipe_fill(&a);
        pipe_fill(&b);
        run(&lab);
        CHECK_EQ(strlen(lab.log), 1); /* whichever came first */
        pipe_free(&a);
        pipe_free(&b);
        lab_free(&lab);
}

TEST(no_events_no_calls) {
        Pipe a;
        Lab lab;

        lab_new(&lab);
        pipe_new(&lab, 'a', &a);
        pipe_fill(&a);
        CHECK_OK(loop_io_set_events(a.io, 0));
        a.fds[1] = safe_close(a.fds[1]); /* a hang-up neither */
        run(&lab);
        CHECK_STR(lab.log, "");
        CHECK_OK(loop_io_set_events(a.io, LOOP_READ));
        CHECK(sd_event_run(lab.event, USEC_PER_SEC) > 0);
        CHECK_STR(lab.log, "a");
        pipe_free(&a);
        lab_free(&lab);
}

/* One source a turn would take as many turns as there are descriptors, each of which looks at all
 * of them. */
TEST(a_crowd_that_speaks_at_once_is_served_in_few_turns) {
        static Pipe crowd[400];
        unsigned turns = 0, served = 0;
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
                pipe_new(&lab, 0, &crowd[i]);
                pipe_fill(&crowd[i]);
        }
        while (sd_event_run(lab.event, 0) > 0)
                turns++;
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
                served += crowd[i].calls;
                pipe_free(&crowd[i]);
        }
        CHECK_EQ(served, ELEMENTSOF(crowd));
        CHECK(turns < ELEMENTSOF(crowd) / 4);
        lab_free(&lab);
}

TEST(a_descriptor_that_is_always_ready_starves_nobody) {
        Deferred post;
        Pipe busy, other;
        Lab lab;

        lab_new(&lab);
        pipe_new(&lab, 0, &busy);
        pipe_new(&lab, 'o', &other);
        deferred_new(&lab, LOOP_DEFER_POST, 'p', &post);
        busy.keep = true;
        pipe_fill(&busy);
        pipe_fill(&other);
        loop_defer_arm(post.defer, true);
        for (int i = 0; i < 100 && (other.calls == 0 || post.calls < 10); i++)
                CHECK(sd_event_run(lab.event, 0) > 0);
        CHECK_EQ(other.calls, 1);
        CHECK(post.calls >= 10);
        loop_defer_free(post.defer);
        pipe_free(&busy);
        pipe_free(&other);
        lab_free(&lab);
}

static void on_timer(void *userdata) {
        note(userdata, 't');
}

TEST(a_timer_fires_once_and_not_before) {
        LoopTimer *t;
        usec_t start;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(loop_timer_new(lab.loop, on_timer, &lab, &t));
        start = loop_now(lab.loop);
        loop_timer_set(t, start + 20 * USEC_PER_MSEC);
        while (!lab.log[0])
                CHECK(sd_event_run(lab.event, 10 * USEC_PER_SEC) >= 0);
        CHECK(loop_now(lab.loop) >= start + 20 * USEC_PER_MSEC);
        loop_timer_set(t, loop_now(lab.loop));
        loop_timer_set(t, USEC_INFINITY);
        run(&lab);
        CHECK_STR(lab.log, "t");
        loop_timer_free(t);
        lab_free(&lab);
}

typedef struct Deadline {
        LoopTimer *timer;
        Pipe *crowd;
        size_t n;
        unsigned calls, missed; /* descriptors that had not had their turn */
} Deadline;

static void on_deadline(void *userdata) {
        Deadline *d = userdata;

        d->calls++;
        for (size_t i = 0; i < d->n; i++)
                d->missed += d->crowd[i].calls == 0;
}

static void deadline_new(Lab *lab, Pipe *crowd, size_t n, Deadline *d) {
        *d = (Deadline){.crowd = crowd, .n = n};
        CHECK_OK(loop_timer_new(lab->loop, on_deadline, d, &d->timer));
        loop_timer_set(d->timer, loop_now(lab->loop) + 10 * USEC_PER_MSEC);
}

/* The loop stands still for longer than a deadline, and the answers are there. */
TEST(what_came_in_time_is_read_before_the_time_is_over) {
        static Pipe crowd[200];
        Deadline d;
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
                pipe_new(&lab, 0, &crowd[i]);
        run(&lab);
        deadline_new(&lab, crowd, ELEMENTSOF(crowd), &d);
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
                pipe_fill(&crowd[i]);
        CHECK_OK(usleep(50 * USEC_PER_MSEC));
        while (d.calls == 0)
                CHECK(sd_event_run(lab.event, 30 * USEC_PER_SEC) >= 0);
        CHECK_EQ(d.missed, 0);
        run(&lab);
        CHECK_EQ(d.calls, 1);
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
                pipe_free(&crowd[i]);
        loop_timer_free(d.timer);
        lab_free(&lab);
}

TEST(descriptors_that_are_always_ready_do_not_keep_a_timer) {
        static Pipe crowd[40];
        Deadline d;
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++) {
                pipe_new(&lab, 0, &crowd[i]);
                crowd[i].keep = true;
                crowd[i].takes = 300; /* so that not all of a batch are served at once */
                pipe_fill(&crowd[i]);
        }
        deadline_new(&lab, crowd, ELEMENTSOF(crowd), &d);
        CHECK_OK(usleep(50 * USEC_PER_MSEC));
        for (int i = 0; i < 100 && d.calls == 0; i++)
                CHECK(sd_event_run(lab.event, 0) > 0);
        CHECK_EQ(d.calls, 1);
        CHECK_EQ(d.missed, 0);
        for (size_t i = 0; i < ELEMENTSOF(crowd); i++)
                pipe_free(&crowd[i]);
        loop_timer_free(d.timer);
        lab_free(&lab);
}

static void on_freeing_pipe(void *userdata, uint32_t revents) {
        Deadline *d = userdata;

        d->timer = loop_timer_free(d->timer);
        d->crowd[0].calls++;
        CHECK_OK(loop_io_set_events(d->crowd[0].io, 0));
}

TEST(a_timer_that_is_due_may_be_freed_by_what_comes_before_it) {
        Deadline d;
        Pipe p;
        Lab lab;

        lab_new(&lab);
        pipe_new(&lab, 0, &p);
        loop_io_free(p.io);
        deadline_new(&lab, &p, 1, &d);
        CHECK_OK(loop_io_new(lab.loop, p.fds[0], LOOP_READ, on_freeing_pipe, &d, &p.io));
        pipe_fill(&p);
        CHECK_OK(usleep(50 * USEC_PER_MSEC));
        run(&lab);
        CHECK_EQ(p.calls, 1);
        CHECK_EQ(d.calls, 0);
        pipe_free(&p);
        lab_free(&lab);
}
