/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A tracker that does not take the record of a room, and when it is told again. */

#include "test.h"

#include "chat-lab.h"
#include "tracker-lab.h"

typedef struct World {
        ChatLab lab;
        FakeTracker tracker;
        unsigned answers;
} World;

static void on_answer(void *userdata, const ChatError *error) {
        World *w = userdata;

        CHECK(!error);
        w->answers++;
}

static void on_id(void *userdata, const ChatError *error, const char *id) {
        on_answer(userdata, error);
}

static uint64_t await(World *w, FrameType type) {
        SIM_UNTIL(&w->lab.sim, far_has(&w->tracker.far, type));
        return far_take(&w->tracker.far, type).request;
}

static void greet(World *w) {
        FakeTracker *k = &w->tracker;
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .heartbeat = 30,
                .features = {FEATURE_ROOM_DIRECTORY},
                .n_features = 1};

        tracker_await(k);
        far_take(&k->far, FRAME_HELLO);
        far_send_hello(&k->far, &h);
        far_sent(&k->far, hello_ok_encode(conn_output(k->far.conn), &(HelloOk){}));
        tracker_ok(k, await(w, FRAME_REGISTER));
}

/* Alice is online, and has a room that the tracker lists. */
static void world_new(World *w) {
        EndpointKey address;

        *w = (World){};
        chat_lab_begin(&w->lab);
        chat_lab_save_identity(&w->lab);
        chat_lab_start(&w->lab);
        tracker_new(&w->lab.sim, &w->tracker);
        address = tracker_address(&w->tracker);
        parts_set_trackers(w->lab.parts, &address, 1);
        parts_publish(w->lab.parts, &(Endpoints){});
        greet(w);
        chat_create_room(w->lab.chat, &(ChatCreateRoom){.room = "#tea"}, on_id, w);
        tracker_ok(&w->tracker, await(w, FRAME_ROOM_PUBLISH));
        SIM_UNTIL(&w->lab.sim, w->answers == 1);
        tracker_ok(&w->tracker, await(w, FRAME_ROOM_PUBLISH)); /* with who is in it */
        sim_run(&w->lab.sim, 5 * USEC_PER_SEC);
        CHECK(!far_has(&w->tracker.far, FRAME_ROOM_PUBLISH));
}

static void world_free(World *w) {
        tracker_free(&w->tracker);
        chat_lab_free(&w->lab);
}

static bool has_problem(World *w) {
        ChatStatus s;

        chat_status(w->lab.chat, &s);
        return s.problems[0] != NULL;
}

/* Something of the room changes, and the tracker does not take that. */
static void change_and_refuse(World *w, const char *topic) {
        chat_set_topic(w->lab.chat, "#tea", topic, on_answer, w);
        tracker_error(&w->tracker, await(w, FRAME_ROOM_PUBLISH), CODE_INVALID_ARGS);
        SIM_UNTIL(&w->lab.sim, has_problem(w));
}

/* Time until it is told again. */
static usec_t next_time(World *w) {
        usec_t begun = loop_now(w->lab.sim.loop);

        tracker_error(&w->tracker, await(w, FRAME_ROOM_PUBLISH), CODE_INVALID_ARGS);
        return loop_now(w->lab.sim.loop) - begun;
}

TEST(a_record_that_was_refused_is_told_again_and_ever_less_often) {
        usec_t first, second;
        World w;

        world_new(&w);
        change_and_refuse(&w, "green");
        first = next_time(&w);
        second = next_time(&w);
        CHECK(first > 30 * USEC_PER_SEC && first < 2 * USEC_PER_MINUTE);
        CHECK(second > first + 30 * USEC_PER_SEC);
        tracker_ok(&w.tracker, await(&w, FRAME_ROOM_PUBLISH));
        SIM_UNTIL(&w.lab.sim, !has_problem(&w));
        world_free(&w);
}

TEST(it_is_told_again_at_once_where_the_clock_was_set) {
        World w;

        world_new(&w);
        change_and_refuse(&w, "black");
        for (unsigned i = 0; i < 3; i++)
                (void)next_time(&w); /* the next one is far off */
        sim_run(&w.lab.sim, USEC_PER_SEC);
        parts_woke(w.lab.parts, 0);
        CHECK(next_time(&w) < 10 * USEC_PER_SEC);
        world_free(&w);
}
