/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When the names of contacts are looked up, and how many at a time. */

#include "test.h"

#include "chat-lab.h"
#include "tracker-lab.h"

#define CONTACTS 25
#define AT_ONCE 10

typedef struct World {
        ChatLab lab;
        FakeTracker tracker;
        uint64_t requests[CONTACTS]; /* that were not answered */
        unsigned n_open;
        bool asked[CONTACTS]; /* about n0, n1, … */
        unsigned n_asked; /* of them, in this round */
} World;

static void connect_tracker(World *w) {
        Lookup l;
        Frame f;

        tracker_greet(&w->tracker);
        w->tracker.far.answers = true; /* to PING */
        w->n_open = 0;
        tracker_ok(&w->tracker, far_take(&w->tracker.far, FRAME_REGISTER).request);
        f = far_take(&w->tracker.far, FRAME_LOOKUP); /* of the account itself */
        CHECK_OK(lookup_decode(&f, &l));
        CHECK_STR(l.name, "");
        tracker_error(&w->tracker, f.request, CODE_UNKNOWN_PEER);
}

static void world_new(World *w) {
        EndpointKey address;

        *w = (World){};
        chat_lab_new(&w->lab);
        for (unsigned i = 0; i < CONTACTS; i++) {
                char name[NAME_SIZE];

                snprintf(name, sizeof(name), "n%u", i);
                chat_lab_add_contact(&w->lab, name, CONTACT_PINNED, NULL);
        }
        chat_lab_add_contact(&w->lab, "blocked", CONTACT_PINNED | CONTACT_BLOCKED, NULL);
        chat_lab_add_contact(&w->lab, "stranger", CONTACT_REQUEST, NULL);
        CHECK_OK(store_commit(w->lab.store));
        tracker_new(&w->lab.sim, &w->tracker);
        address = tracker_address(&w->tracker);
        parts_set_trackers(w->lab.parts, &address, 1);
        connect_tracker(w);
}

static void world_free(World *w) {
        tracker_free(&w->tracker);
        chat_lab_free(&w->lab);
}

static void new_round(World *w) {
        memset(w->asked, 0, sizeof(w->asked));
        w->n_asked = 0;
}

/* All that has been asked so far; nobody is asked about twice. */
static void take_questions(World *w) {
        sim_run(&w->lab.sim, 100 * USEC_PER_MSEC);
        while (far_has(&w->tracker.far, FRAME_LOOKUP)) {
                Frame f = far_take(&w->tracker.far, FRAME_LOOKUP);
                unsigned i;
                Lookup l;

                CHECK_OK(lookup_decode(&f, &l));
                CHECK(sscanf(l.name, "n%u", &i) == 1 && i < CONTACTS);
                CHECK(!w->asked[i]);
                w->asked[i] = true;
                w->n_asked++;
                CHECK(w->n_open < AT_ONCE);
                w->requests[w->n_open++] = f.request;
        }
}

static void answer(World *w, Code code) {
        while (w->n_open > 0)
                tracker_error(&w->tracker, w->requests[--w->n_open], code);
}

/* Until the first question, which has to come within TIME. */
static void await_round(World *w, usec_t time) {
        usec_t end = loop_now(w->lab.sim.loop) + time;

        new_round(w);
        while (!far_has(&w->tracker.far, FRAME_LOOKUP)) {
                CHECK(loop_now(w->lab.sim.loop) < end);
                sim_run(&w->lab.sim, USEC_PER_SEC);
        }
        take_questions(w);
}

static void finish_round(World *w) {
        for (unsigned left = CONTACTS; left > 0; left -= MIN(left, (unsigned)AT_ONCE)) {
                CHECK_EQ(w->n_open, MIN(left, (unsigned)AT_ONCE));
                answer(w, CODE_UNKNOWN_PEER);
                take_questions(w);
        }
        CHECK_EQ(w->n_asked, CONTACTS);
}

static void check_silence(World *w, usec_t time) {
        sim_run(&w->lab.sim, time);
        CHECK(!far_has(&w->tracker.far, FRAME_LOOKUP));
}

TEST(each_contact_is_asked_about_once_a_day_and_ten_at_a_time) {
        World w;

        world_new(&w);
        await_round(&w, 15 * USEC_PER_SEC);
        finish_round(&w);
        check_silence(&w, 20 * USEC_PER_HOUR);
        await_round(&w, 10 * USEC_PER_HOUR);
        finish_round(&w);
        world_free(&w);
}

TEST(a_tracker_that_comes_and_goes_is_not_asked_each_time) {
        World w;

        world_new(&w);
        await_round(&w, 15 * USEC_PER_SEC);
        finish_round(&w);
        for (unsigned i = 0; i < 3; i++) {
                tracker_hang_up(&w.tracker);
                connect_tracker(&w);
                check_silence(&w, USEC_PER_MINUTE);
        }
        await_round(&w, 10 * USEC_PER_MINUTE);
        finish_round(&w);
        world_free(&w);
}

TEST(a_tracker_that_has_enough_is_left_alone) {
        World w;

        world_new(&w);
        await_round(&w, 15 * USEC_PER_SEC);
        answer(&w, CODE_RATE_LIMITED);
        check_silence(&w, 7 * USEC_PER_MINUTE);
        await_round(&w, 10 * USEC_PER_MINUTE);
        finish_round(&w);
        world_free(&w);
}

TEST(nobody_is_asked_about_after_logging_out) {
        World w;

        world_new(&w);
        await_round(&w, 15 * USEC_PER_SEC);
        parts_stop(w.lab.parts);
        chat_lab_stop(&w.lab); /* with questions open */
        chat_lab_start(&w.lab);
        world_free(&w);
}
