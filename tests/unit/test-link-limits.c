/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What one end may send to the other, how fast, and what it takes to be gone. */

#include "test.h"

#include "link-lab.h"

#include "net/keepalive.h"

typedef struct World {
        Sim sim;
        Person alice, bob;
        Side b;
        Far far; /* Alice's end of a link that she has opened */
} World;

static void world_new(World *w) {
        static const PipeOptions wide = {.latency = 2 * USEC_PER_MSEC, .capacity = 64 << 20};
        Hello h;
        Transport *ends[2];

        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->alice);
        person_new(&w->sim, "bob", &w->bob);
        side_new(&w->bob, &w->b);
        h = person_hello(&w->alice);
        pipe_unref(wire_new(&w->sim, &wide, ends));
        far_begin(&w->far, &w->alice, TLS_CLIENT, LINK_ALPN, ends[0]);
        link_accept(w->b.pool, ends[1]);
        far_send_hello(&w->far, &h);
        far_take(&w->far, FRAME_HELLO_OK);
        far_sent(&w->far, hello_ok_encode(conn_output(w->far.conn), &(HelloOk){}));
        SIM_UNTIL(&w->sim, w->b.n_open == 1);
}

static void world_free(World *w) {
        far_free(&w->far);
        side_free(&w->b);
        person_done(&w->alice);
        person_done(&w->bob);
        sim_free(&w->sim);
}

/* N messages of SIZE bytes each, numbered. */
static void say(World *w, uint32_t n, size_t size) {
        static uint8_t body[60 * 1000];

        for (uint32_t i = 0; i < n; i++) {
                memcpy(body, &i, sizeof(i));
                far_sent(&w->far,
                        message_encode(conn_output(w->far.conn),
                                &(MessageFrame){.inner = {.data = body, .size = size}}));
                SIM_UNTIL(&w->sim, !conn_is_full(w->far.conn));
        }
}

static void check_said(const World *w, uint32_t n, size_t size) {
        CHECK_EQ(w->b.n_frames, n);
        CHECK_EQ(buffer_size(&w->b.received), n * size);
        for (uint32_t i = 0; i < n; i++)
                CHECK(memcmp(buffer_data(&w->b.received) + i * size, &i, sizeof(i)) == 0);
}

TEST(a_stranger_is_slowed_down_and_loses_nothing) {
        const uint32_t n = 3000;
        usec_t start;
        World w;

        world_new(&w);
        start = loop_now(w.sim.loop);
        say(&w, n, 100);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK(w.b.n_frames >= 2000); /* as much as a stranger may leave comes at once */
        CHECK(w.b.n_frames < 2300);
        SIM_UNTIL(&w.sim, w.b.n_frames == n);
        CHECK(loop_now(w.sim.loop) > start + 4 * USEC_PER_SEC);
        CHECK(loop_now(w.sim.loop) < start + 6 * USEC_PER_SEC);
        check_said(&w, n, 100);
        CHECK_EQ(w.b.n_closed, 0);
        CHECK(far_is_served(&w.far));
        world_free(&w);
}

TEST(bytes_count_as_well) {
        const uint32_t n = 400;
        usec_t start;
        World w;

        world_new(&w);
        start = loop_now(w.sim.loop);
        say(&w, n, 60 * 1000);
        SIM_UNTIL(&w.sim, w.b.n_frames == n);
        CHECK(loop_now(w.sim.loop) > start + 8 * USEC_PER_SEC);
        CHECK(loop_now(w.sim.loop) < start + 12 * USEC_PER_SEC);
        check_said(&w, n, 60 * 1000);
        CHECK_EQ(w.b.n_closed, 0);
        world_free(&w);
}

TEST(a_contact_is_not_slowed_down) {
        const uint32_t n = 20000;
        usec_t start;
        World w;

        world_new(&w);
        link_trust(w.b.link);
        start = loop_now(w.sim.loop);
        say(&w, n, 100);
        SIM_UNTIL(&w.sim, w.b.n_frames == n);
        CHECK(loop_now(w.sim.loop) < start + USEC_PER_SEC);
        check_said(&w, n, 100);
        world_free(&w);
}

TEST(a_stranger_that_waits_is_heard_at_once_when_it_is_trusted) {
        const uint32_t n = 10000;
        World w;

        world_new(&w);
        say(&w, n, 100);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK(w.b.n_frames < n / 2);
        link_trust(w.b.link);
        sim_run(&w.sim, USEC_PER_SEC);
        check_said(&w, n, 100);
        world_free(&w);
}

TEST(who_is_slowed_down_may_be_closed) {
        World w;

        world_new(&w);
        say(&w, 5000, 100);
        sim_run(&w.sim, USEC_PER_SEC);
        link_close(TAKE_PTR(w.b.link), CODE_BLOCKED, "not wanted by this test");
        CHECK_EQ(far_bye(&w.far), CODE_BLOCKED);
        far_free(&w.far);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(w.b.n_frames < 3000);
        world_free(&w);

        world_new(&w);
        say(&w, 5000, 100);
        sim_run(&w.sim, USEC_PER_SEC);
        far_free(&w.far);
        SIM_UNTIL(&w.sim, w.b.n_closed == 1);
        world_free(&w);
}

TEST(who_raves_is_sent_away) {
        World w;

        world_new(&w);
        for (int i = 0; i < 5; i++)
                CHECK(far_is_served(&w.far));
        for (int i = 0; i < 10000; i++)
                far_send_empty(&w.far, FRAME_PING, (uint64_t)i);
        CHECK_EQ(far_bye(&w.far), CODE_RATE_LIMITED);
        CHECK_EQ(w.b.n_closed, 1);
        CHECK_EQ(w.b.code, CODE_RATE_LIMITED);
        world_free(&w);
}

/* Heartbeats. The machine of both ends stood still, or this process did. */

TEST(time_that_the_loop_lost_counts_against_nobody) {
        static const usec_t stalls[] = {20 * USEC_PER_SEC, 76 * USEC_PER_SEC, USEC_PER_HOUR};
        World w;

        for (size_t i = 0; i < ELEMENTSOF(stalls); i++) {
                world_new(&w);
                loop_virtual_stall(w.sim.loop, stalls[i]);
                sim_run(&w.sim, 10 * USEC_PER_MINUTE);
                CHECK_EQ(w.b.n_closed, 0);

                /* And when it waits for the answer to its PING. */
                w.far.answers = false;
                far_take(&w.far, FRAME_PING);
                far_send_empty(&w.far, FRAME_PONG, 0);
                w.far.answers = true;
                loop_virtual_stall(w.sim.loop, stalls[i]);
                sim_run(&w.sim, 10 * USEC_PER_MINUTE);
                CHECK_EQ(w.b.n_closed, 0);
                CHECK(far_is_served(&w.far));
                world_free(&w);
        }
}

TEST(who_is_gone_is_gone_after_a_stall_as_well) {
        usec_t end;
        World w;

        world_new(&w);
        w.far.answers = false;
        loop_virtual_stall(w.sim.loop, USEC_PER_HOUR);
        end = loop_now(w.sim.loop) + 76 * USEC_PER_SEC;
        SIM_UNTIL(&w.sim, w.b.n_closed == 1);
        CHECK_EQ(w.b.code, CODE_TIMEOUT);
        CHECK(loop_now(w.sim.loop) <= end);
        world_free(&w);
}
