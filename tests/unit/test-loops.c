/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What both loops promise alike, so that what holds in the simulator holds in the daemons. */

#include "test.h"

#include <semaphore.h>
#include <time.h>

#include <systemd/sd-event.h>

#include "loop-virtual.h"
#include "net/loop-sd-event.h"

typedef struct Lab {
        Loop *loop;
        sd_event *event; /* NULL: virtual */
        char log[256]; /* a letter for each call, in order */
        LoopTimer *timers[4];
        LoopDefer *soon, *idle, *post;
        unsigned left; /* for handlers that come more than once */
} Lab;

static void note(Lab *lab, char c) {
        size_t n = strlen(lab->log);

        CHECK(n + 1 < sizeof(lab->log));
        lab->log[n] = c;
}

/* Until nothing is ready any more, without waiting. */
static void run(Lab *lab) {
        if (lab->event)
                while (sd_event_run(lab->event, 0) > 0)
                        continue;
        else
                loop_virtual_run(lab->loop, 0);
}

/* Until the log has N letters. */
static void run_until(Lab *lab, size_t n) {
        while (strlen(lab->log) < n)
                CHECK(lab->event ? sd_event_run(lab->event, 30 * USEC_PER_SEC) > 0
                                 : loop_virtual_turn(lab->loop, USEC_INFINITY));
}

static void lab_free_sources(Lab *lab) {
        for (size_t i = 0; i < ELEMENTSOF(lab->timers); i++)
                lab->timers[i] = loop_timer_free(lab->timers[i]);
        lab->soon = loop_defer_free(lab->soon);
        lab->idle = loop_defer_free(lab->idle);
        lab->post = loop_defer_free(lab->post);
}

static void lab_free_loop(Lab *lab) {
        lab->loop = lab->event ? loop_sd_event_free(lab->loop) : loop_virtual_free(lab->loop);
        lab->event = sd_event_unref(lab->event);
}

static void lab_new(Lab *lab, bool real) {
        *lab = (Lab){};
        if (real) {
                CHECK_OK(sd_event_new(&lab->event));
                CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        } else
                CHECK_OK(loop_virtual_new(1, &lab->loop));
}

#define TEST_BOTH(id)                                                                              \
        static void both_##id(Lab *lab);                                                           \
        TEST(id) {                                                                                 \
                for (int real = 0; real < 2; real++) {                                             \
                        Lab lab;                                                                   \
                        lab_new(&lab, real);                                                       \
                        both_##id(&lab);                                                           \
                        if (!lab.loop)                                                             \
                                continue;                                                          \
                        lab_free_sources(&lab);                                                    \
                        lab_free_loop(&lab);                                                       \
                }                                                                                  \
        }                                                                                          \
        static void both_##id(Lab *lab)

static void on_soon(void *userdata) {
        note(userdata, 's');
}

static void on_idle(void *userdata) {
        note(userdata, 'i');
}

static void on_post(void *userdata) {
        note(userdata, 'p');
}

static void lab_add_defers(Lab *lab) {
        CHECK_OK(loop_defer_new(lab->loop, LOOP_DEFER_SOON, on_soon, lab, &lab->soon));
        CHECK_OK(loop_defer_new(lab->loop, LOOP_DEFER_IDLE, on_idle, lab, &lab->idle));
        CHECK_OK(loop_defer_new(lab->loop, LOOP_DEFER_POST, on_post, lab, &lab->post));
}

/* A handler that puts something off. */
static void on_timer(void *userdata) {
        Lab *lab = userdata;

        note(lab, 't');
        if (lab->soon)
                loop_defer_arm(lab->soon, true);
        if (lab->idle)
                loop_defer_arm(lab->idle, true);
}

TEST_BOTH(what_is_put_off_comes_in_order) {
        lab_add_defers(lab);
        loop_defer_arm(lab->post, true);
        for (int i = 0; i < 2; i++) {
                CHECK_OK(loop_timer_new(lab->loop, on_timer, lab, &lab->timers[i]));
                loop_timer_set(lab->timers[i], loop_now(lab->loop));
        }
        run_until(lab, 10);
        run(lab);
        /* Handler, check, what was put off, check: twice; idle, check: once. */
        CHECK_STR(lab->log, "tpsptpspip");
}

TEST_BOTH(a_disarmed_call_does_not_come) {
        lab_add_defers(lab);
        loop_defer_arm(lab->soon, true);
        loop_defer_arm(lab->idle, true);
        loop_defer_arm(lab->post, true);
        loop_defer_arm(lab->soon, false);
        loop_defer_arm(lab->idle, false);
        loop_defer_arm(lab->post, false);
        run(lab);
        CHECK_STR(lab->log, "");
        loop_defer_arm(lab->idle, true);
        loop_defer_arm(lab->idle, true); /* once is enough */
        run(lab);
        CHECK_STR(lab->log, "i");
}

/* Ready again and again: whoever waits for idle waits. */
static void on_busy_timer(void *userdata) {
        Lab *lab = userdata;

        note(lab, 't');
        if (--lab->left > 0)
                loop_timer_set(lab->timers[0], loop_now(lab->loop));
}

TEST_BOTH(idle_is_when_nothing_else_is_ready) {
        lab_add_defers(lab);
        CHECK_OK(loop_timer_new(lab->loop, on_busy_timer, lab, &lab->timers[0]));
        lab->left = 5;
        loop_timer_set(lab->timers[0], loop_now(lab->loop));
        loop_defer_arm(lab->idle, true);
        run_until(lab, 6);
        run(lab);
        CHECK_STR(lab->log, "ttttti");
}

/* Timers */

static void on_timer_a(void *userdata) {
        note(userdata, 'a');
}

static void on_timer_b(void *userdata) {
        note(userdata, 'b');
}

TEST_BOTH(timers_fire_once_at_their_time) {
        usec_t start = loop_now(lab->loop);

        CHECK_OK(loop_timer_new(lab->loop, on_timer_a, lab, &lab->timers[0]));
        CHECK_OK(loop_timer_new(lab->loop, on_timer_b, lab, &lab->timers[1]));
        run(lab);
        CHECK_STR(lab->log, ""); /* made disarmed */
        loop_timer_set(lab->timers[0], start + 40 * USEC_PER_MSEC);
        loop_timer_set(lab->timers[1], start + 15 * USEC_PER_MSEC);
        run_until(lab, 1);
        CHECK(loop_now(lab->loop) >= start + 15 * USEC_PER_MSEC);
        run_until(lab, 2);
        CHECK(loop_now(lab->loop) >= start + 40 * USEC_PER_MSEC);
        run(lab);
        CHECK_STR(lab->log, "ba");
}

TEST_BOTH(setting_a_timer_again_replaces) {
        CHECK_OK(loop_timer_new(lab->loop, on_timer_a, lab, &lab->timers[0]));
        CHECK_OK(loop_timer_new(lab->loop, on_timer_b, lab, &lab->timers[1]));
        loop_timer_set(lab->timers[0], loop_now(lab->loop));
        loop_timer_set(lab->timers[0], USEC_INFINITY);
        loop_timer_set(lab->timers[1], loop_now(lab->loop) + USEC_PER_DAY);
        loop_timer_set(lab->timers[1], 0); /* long past: now */
        run_until(lab, 1);
        run(lab);
        CHECK_STR(lab->log, "b");
}

static void on_two_clocks(void *userdata) {
        Lab *lab = userdata;
        struct timespec t = {.tv_nsec = 3000000};
        usec_t now = loop_now(lab->loop);

        nanosleep(&t, NULL);
        note(lab, loop_now(lab->loop) == now ? 'y' : 'n');
}

TEST_BOTH(time_stands_still_in_a_handler) {
        CHECK_OK(loop_timer_new(lab->loop, on_two_clocks, lab, &lab->timers[0]));
        loop_timer_set(lab->timers[0], loop_now(lab->loop));
        run_until(lab, 1);
        CHECK_STR(lab->log, "y");
        CHECK(loop_realtime(lab->loop) > UINT64_C(1700000000) * USEC_PER_SEC);
}

/* Freeing */

static void on_last_timer(void *userdata) {
        Lab *lab = userdata;

        note(lab, 't');
        lab_free_sources(lab);
}

static void on_last_defer(void *userdata) {
        Lab *lab = userdata;

        note(lab, 'd');
        lab_free_sources(lab);
}

TEST_BOTH(sources_may_be_freed_in_any_callback) {
        for (LoopDeferKind kind = 0; kind < _LOOP_DEFER_MAX; kind++) {
                LoopDefer **d = kind == LOOP_DEFER_SOON ? &lab->soon
                        : kind == LOOP_DEFER_IDLE       ? &lab->idle
                                                        : &lab->post;

                memset(lab->log, 0, sizeof(lab->log));
                CHECK_OK(loop_defer_new(lab->loop, kind, on_last_defer, lab, d));
                CHECK_OK(loop_timer_new(lab->loop, on_timer_a, lab, &lab->timers[0]));
                loop_timer_set(lab->timers[0], loop_now(lab->loop));
                loop_defer_arm(*d, true);
                run_until(lab, 1);
                run(lab);
                /* SOON before the timer, which it frees; the others after it. */
                CHECK_STR(lab->log, kind == LOOP_DEFER_SOON ? "d" : "ad");
        }
        memset(lab->log, 0, sizeof(lab->log));
        lab_add_defers(lab);
        CHECK_OK(loop_timer_new(lab->loop, on_last_timer, lab, &lab->timers[0]));
        CHECK_OK(loop_timer_new(lab->loop, on_timer_a, lab, &lab->timers[1]));
        loop_timer_set(lab->timers[0], loop_now(lab->loop));
        loop_timer_set(lab->timers[1], loop_now(lab->loop) + 1);
        loop_defer_arm(lab->idle, true);
        loop_defer_arm(lab->post, true);
        run_until(lab, 1);
        run(lab);
        CHECK_STR(lab->log, "t");
}

/* The worker */

typedef struct Job {
        Lab *lab;
        char letter;
        bool ran;
        sem_t *go, *begun, *over; /* may be NULL */
        bool *cancelled;
} Job;

static void job_run(void *userdata) {
        Job *j = userdata;

        if (j->begun)
                sem_post(j->begun);
        if (j->go)
                while (sem_wait(j->go) < 0)
                        continue;
        j->ran = true;
}

static void job_done(void *job, void *userdata, bool cancelled) {
        Job *j = job;

        CHECK(cancelled ? !userdata : userdata == j->lab);
        if (j->cancelled)
                *j->cancelled = cancelled;
        else {
                CHECK(cancelled || j->ran);
                note(j->lab, cancelled && !j->ran ? 'c' : j->letter);
        }
        if (j->over)
                sem_post(j->over);
        free(j);
}

static Job *job_new(Lab *lab, char letter) {
        Job *j = calloc(1, sizeof(*j));

        CHECK(j);
        j->lab = lab;
        j->letter = letter;
        return j;
}

static LoopWork *work(Lab *lab, LoopWorkLane lane, Job *j) {
        LoopWork *w;

        CHECK_OK(loop_work_new(lab->loop, lane, job_run, j, job_done, lab, &w));
        return w;
}

TEST_BOTH(jobs_are_done_one_after_the_other) {
        for (char c = '1'; c <= '4'; c++)
                work(lab, LOOP_WORK_OWN, job_new(lab, c));
        CHECK_STR(lab->log, ""); /* never from within loop_work_new() */
        run_until(lab, 4);
        CHECK_STR(lab->log, "1234");
}

/* A job that takes its time: in the virtual loop there is no such thing. */
static Job *slow_job_new(Lab *lab, char letter, sem_t *begun, sem_t *go) {
        Job *j = job_new(lab, letter);

        CHECK_OK(sem_init(begun, 0, 0));
        CHECK_OK(sem_init(go, 0, 0));
        if (lab->event) {
                j->begun = begun;
                j->go = go;
        }
        return j;
}

static void await_begin(const Lab *lab, sem_t *begun) {
        if (lab->event)
                CHECK_OK(sem_wait(begun));
}

TEST_BOTH(jobs_that_are_cancelled_before_they_begin_are_not_run) {
        LoopWork *w[3];
        sem_t go, begun;

        work(lab, LOOP_WORK_OWN, slow_job_new(lab, '1', &begun, &go));
        await_begin(lab, &begun);
        for (size_t i = 0; i < ELEMENTSOF(w); i++)
                w[i] = work(lab, LOOP_WORK_OWN, job_new(lab, '2' + (char)i));
        loop_work_cancel(w[0]);
        loop_work_cancel(w[2]);
        CHECK_STR(lab->log, ""); /* nor from within loop_work_cancel() */
        if (lab->event) {
                run_until(lab, 2);
                CHECK_STR(lab->log, "cc"); /* which does not wait for the first */
        }
        sem_post(&go);
        run_until(lab, 4);
        CHECK_STR(lab->log, lab->event ? "cc13" : "1c3c");
        sem_destroy(&go);
        sem_destroy(&begun);
}

TEST_BOTH(the_users_own_jobs_do_not_wait_for_those_of_others) {
        LoopWork *w[LOOP_WORK_OTHERS_MAX];
        sem_t go, begun;
        Job *j;

        work(lab, LOOP_WORK_OTHERS, slow_job_new(lab, '1', &begun, &go));
        await_begin(lab, &begun);
        if (lab->event) {
                for (size_t i = 0; i < ELEMENTSOF(w); i++)
                        w[i] = work(lab, LOOP_WORK_OTHERS, job_new(lab, 'w'));
                j = job_new(lab, '-'); /* one more than may wait */
                CHECK_EQ(loop_work_new(lab->loop, LOOP_WORK_OTHERS, job_run, j, job_done, lab, w),
                        -EBUSY);
                for (size_t i = 0; i < ELEMENTSOF(w); i++)
                        loop_work_cancel(w[i]);
                free(j);
                run_until(lab, ELEMENTSOF(w));
                memset(lab->log, 0, sizeof(lab->log));
        }
        work(lab, LOOP_WORK_OTHERS, job_new(lab, '2')); /* there is room again */
        work(lab, LOOP_WORK_OWN, job_new(lab, '3'));
        if (lab->event) {
                run_until(lab, 1);
                CHECK_STR(lab->log, "3");
        }
        sem_post(&go);
        run_until(lab, 3);
        CHECK_STR(lab->log, lab->event ? "312" : "123");
        sem_destroy(&go);
        sem_destroy(&begun);
}

TEST_BOTH(jobs_left_when_the_loop_goes_are_cancelled) {
        bool cancelled[2] = {};
        sem_t go, begun, over;
        Job *j;

        CHECK_OK(sem_init(&go, 0, 0));
        CHECK_OK(sem_init(&begun, 0, 0));
        CHECK_OK(sem_init(&over, 0, 0));
        for (int i = 0; i < 2; i++) {
                j = job_new(lab, '-');
                if (lab->event && i == 0) {
                        j->begun = &begun;
                        j->go = &go;
                }
                j->over = &over;
                j->cancelled = &cancelled[i];
                work(lab, LOOP_WORK_OTHERS, j);
        }
        if (lab->event)
                CHECK_OK(sem_wait(&begun)); /* it cannot be interrupted any more */
        lab_free_loop(lab);
        sem_post(&go);
        for (int i = 0; i < 2; i++)
                CHECK_OK(sem_wait(&over));
        CHECK(cancelled[0] && cancelled[1]);
        sem_destroy(&go);
        sem_destroy(&begun);
        sem_destroy(&over);
}

/* Randomness */

TEST_BOTH(random_numbers_differ) {
        uint64_t a[4], b[4];

        loop_random(lab->loop, a, sizeof(a));
        loop_random(lab->loop, b, sizeof(b));
        CHECK(memcmp(a, b, sizeof(a)) != 0);
        for (int i = 0; i < 100; i++) {
                CHECK(loop_random_below(lab->loop, 3) < 3);
                CHECK(loop_jitter(lab->loop, 1000) >= 900 && loop_jitter(lab->loop, 1000) <= 1100);
        }
}

/* Only the virtual one */

TEST(the_virtual_clock_jumps) {
        usec_t start;
        Lab lab;

        lab_new(&lab, false);
        start = loop_now(lab.loop);
        CHECK_OK(loop_timer_new(lab.loop, on_timer_a, &lab, &lab.timers[0]));
        loop_timer_set(lab.timers[0], start + USEC_PER_DAY);
        CHECK(!loop_virtual_turn(lab.loop, start + USEC_PER_DAY - 1));
        CHECK_EQ(loop_now(lab.loop), start + USEC_PER_DAY - 1);
        CHECK(loop_virtual_turn(lab.loop, USEC_INFINITY));
        CHECK_EQ(loop_now(lab.loop), start + USEC_PER_DAY);
        CHECK_EQ(loop_realtime(lab.loop), VIRTUAL_REALTIME + USEC_PER_DAY);
        CHECK(!loop_virtual_turn(lab.loop, USEC_INFINITY));
        CHECK_EQ(loop_now(lab.loop), start + USEC_PER_DAY);
        loop_virtual_step_realtime(lab.loop, -(int64_t)USEC_PER_HOUR);
        CHECK_EQ(loop_realtime(lab.loop), VIRTUAL_REALTIME + 23 * USEC_PER_HOUR);
        CHECK_EQ(loop_now(lab.loop), start + USEC_PER_DAY);
        CHECK_STR(lab.log, "a");
        lab_free_sources(&lab);
        lab_free_loop(&lab);
}

TEST(the_same_seed_gives_the_same_numbers) {
        uint64_t seen[3];

        for (uint64_t i = 0; i < 3; i++) {
                Loop *l;

                CHECK_OK(loop_virtual_new(i / 2, &l));
                loop_random(l, &seen[i], sizeof(seen[i]));
                loop_virtual_free(l);
        }
        CHECK(seen[0] == seen[1] && seen[1] != seen[2]);
}

TEST(the_virtual_loop_has_no_descriptors) {
        LoopIo *io;
        Lab lab;

        lab_new(&lab, false);
        CHECK_EQ(loop_io_new(lab.loop, 0, LOOP_READ, NULL, NULL, &io), -EOPNOTSUPP);
        lab_free_loop(&lab);
}
