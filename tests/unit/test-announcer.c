/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "loop-virtual.h"
#include "net/announcer.h"

#define INTERVAL 10 /* s */
#define EARLY_MAX 12 /* at once, and in a minute */

typedef struct Said {
        usec_t at; /* since the start */
        bool asks;
        unsigned next; /* s */
} Said;

typedef struct Lab {
        Loop *loop;
        Announcer *announcer;
        Said said[1024];
        size_t n;
} Lab;

static usec_t now(const Lab *lab) {
        return loop_now(lab->loop) - VIRTUAL_START;
}

static void on_say(void *userdata, bool asks, unsigned next) {
        Lab *lab = userdata;

        CHECK(lab->n < ELEMENTSOF(lab->said));
        lab->said[lab->n++] = (Said){now(lab), asks, next};
}

static void lab_new(Lab *lab, uint64_t seed) {
        *lab = (Lab){};
        CHECK_OK(loop_virtual_new(seed, &lab->loop));
        CHECK_OK(announcer_new(lab->loop, on_say, lab, &lab->announcer));
}

static void lab_free(Lab *lab) {
        announcer_free(lab->announcer);
        CHECK_EQ(loop_virtual_count_sources(lab->loop), 0);
        loop_virtual_free(lab->loop);
}

static void run(Lab *lab, usec_t time) {
        loop_virtual_run(lab->loop, time);
}

/* It has been said for so long that it is said at the longest intervals, and just now. */
static void settle(Lab *lab) {
        size_t n;

        announcer_start(lab->announcer, INTERVAL);
        run(lab, USEC_PER_HOUR);
        for (n = lab->n; lab->n == n;)
                CHECK(loop_virtual_turn(lab->loop, USEC_INFINITY));
        lab->n = 0;
}

/* Whoever counts on the next one is not let down. */
static void check_promises(const Lab *lab) {
        for (size_t i = 1; i < lab->n; i++)
                CHECK(lab->said[i].at - lab->said[i - 1].at <=
                        lab->said[i - 1].next * USEC_PER_SEC);
}

static void check_gap(const Lab *lab, size_t i, usec_t want) {
        usec_t gap = lab->said[i + 1].at - lab->said[i].at;

        CHECK(gap >= want - want / 10 && gap <= want + want / 10);
}

TEST(three_times_and_then_less_and_less) {
        Lab lab;

        lab_new(&lab, 1);
        run(&lab, USEC_PER_HOUR);
        CHECK_EQ(lab.n, 0); /* it was not started */
        CHECK(!announcer_is_started(lab.announcer));
        announcer_start(lab.announcer, INTERVAL);
        CHECK(announcer_is_started(lab.announcer));
        run(&lab, USEC_PER_HOUR);

        CHECK_EQ(lab.said[0].at, USEC_PER_HOUR);
        CHECK_EQ(lab.said[1].at, USEC_PER_HOUR + USEC_PER_SEC);
        CHECK_EQ(lab.said[2].at, USEC_PER_HOUR + 3 * USEC_PER_SEC);
        for (size_t i = 0; i < lab.n; i++)
                CHECK_EQ(lab.said[i].asks, i < 2);
        check_gap(&lab, 2, INTERVAL * USEC_PER_SEC);
        check_gap(&lab, 3, 2 * INTERVAL * USEC_PER_SEC);
        check_gap(&lab, 4, 4 * INTERVAL * USEC_PER_SEC);
        for (size_t i = 5; i + 1 < lab.n; i++)
                check_gap(&lab, i, ANNOUNCER_STRETCH * INTERVAL * USEC_PER_SEC);
        CHECK(lab.n >= 5 + 3600 / 66 - 1);
        check_promises(&lab);
        lab_free(&lab);
}

TEST(a_change_is_said_three_times) {
        Lab lab;

        lab_new(&lab, 1);
        settle(&lab);
        run(&lab, 5 * USEC_PER_SEC);
        announcer_changed(lab.announcer);
        run(&lab, 3 * USEC_PER_SEC);
        CHECK_EQ(lab.n, 3);
        for (size_t i = 0; i < lab.n; i++)
                CHECK(!lab.said[i].asks);
        run(&lab, USEC_PER_MINUTE);
        check_gap(&lab, 2, INTERVAL * USEC_PER_SEC); /* and those who came late hear it soon */
        check_promises(&lab);
        lab_free(&lab);
}

TEST(newcomers_have_one_answer) {
        Lab lab;

        lab_new(&lab, 1);
        settle(&lab);
        for (int i = 0; i < 100; i++) {
                announcer_met(lab.announcer, 100);
                run(&lab, USEC_PER_MSEC / 10);
        }
        run(&lab, 2 * USEC_PER_SEC);
        CHECK_EQ(lab.n, 1);
        CHECK(!lab.said[0].asks);
        announcer_changed(lab.announcer); /* together they count as one */
        run(&lab, 0);
        CHECK_EQ(lab.n, 2);
        check_promises(&lab);

        /* What is about to be said anyway is an answer. */
        settle(&lab);
        announcer_start(lab.announcer, INTERVAL);
        run(&lab, 2 * USEC_PER_SEC);
        CHECK_EQ(lab.n, 2);
        announcer_met(lab.announcer, 100);
        run(&lab, 5 * USEC_PER_SEC);
        CHECK_EQ(lab.n, 3);
        CHECK_EQ(lab.said[2].at - lab.said[0].at, 3 * USEC_PER_SEC);
        lab_free(&lab);
}

/* Two people answer at once, a crowd takes its time. */
TEST(answers_are_spread) {
        usec_t first = USEC_INFINITY, last = 0;
        Lab lab;

        for (uint64_t seed = 1; seed <= 50; seed++) {
                usec_t start;

                lab_new(&lab, seed);
                settle(&lab);
                start = now(&lab);
                announcer_met(lab.announcer, 1);
                run(&lab, 100 * USEC_PER_MSEC);
                CHECK_EQ(lab.n, 1);
                start = now(&lab);
                announcer_met(lab.announcer, 1000);
                run(&lab, 2 * USEC_PER_SEC);
                CHECK_EQ(lab.n, 2);
                first = MIN(first, lab.said[1].at - start);
                last = MAX(last, lab.said[1].at - start);
                lab_free(&lab);
        }
        CHECK(first < 200 * USEC_PER_MSEC && last > 1800 * USEC_PER_MSEC);
}

/* Somebody makes FN be called a hundred times a second, for ten minutes. */
static size_t said_in_flood(Lab *lab, void (*fn)(Announcer *a)) {
        settle(lab);
        for (int i = 0; i < 600 * 100; i++) {
                fn(lab->announcer);
                run(lab, 10 * USEC_PER_MSEC);
        }
        check_promises(lab);
        return lab->n;
}

static void meet(Announcer *a) {
        announcer_met(a, 1);
}

TEST(floods_are_bounded) {
        const size_t early = EARLY_MAX + 10 * EARLY_MAX;
        size_t changes, newcomers;
        Lab lab;

        lab_new(&lab, 1);
        changes = said_in_flood(&lab, announcer_changed);
        CHECK(changes > early && changes <= 3 * early);
        newcomers = said_in_flood(&lab, meet);
        CHECK(newcomers > early / 2 && newcomers <= early + 600 / INTERVAL);
        lab_free(&lab);
}

/* What changed last is heard soon, however often it has changed. */
TEST(the_last_change_waits_for_the_interval) {
        size_t before;
        usec_t last;
        Lab lab;

        lab_new(&lab, 1);
        settle(&lab);
        for (int i = 0; i < 2 * EARLY_MAX; i++) {
                announcer_changed(lab.announcer);
                run(&lab, 0);
        }
        run(&lab, 4 * USEC_PER_SEC);
        announcer_changed(lab.announcer);
        last = now(&lab);
        before = lab.n;
        run(&lab, INTERVAL * USEC_PER_SEC);
        CHECK_EQ(lab.n, before + 1);
        CHECK(lab.said[before].at > last);
        lab_free(&lab);
}

TEST(after_the_stop_nothing_is_said) {
        Lab lab;

        lab_new(&lab, 1);
        announcer_start(lab.announcer, INTERVAL);
        run(&lab, 0);
        announcer_met(lab.announcer, 1);
        announcer_stop(lab.announcer);
        announcer_changed(lab.announcer);
        announcer_met(lab.announcer, 1);
        run(&lab, USEC_PER_HOUR);
        CHECK_EQ(lab.n, 1);

        /* And after another start all of it, as it was at the first. */
        announcer_start(lab.announcer, INTERVAL);
        run(&lab, 3 * USEC_PER_SEC);
        CHECK_EQ(lab.n, 4);
        CHECK(lab.said[1].asks && lab.said[2].asks && !lab.said[3].asks);
        lab_free(&lab);
}
