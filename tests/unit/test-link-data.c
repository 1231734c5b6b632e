/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links over wires that are narrow, slow or stuck, and under load. */

#include "test.h"

#include "link-lab.h"

typedef struct World {
        Sim sim;
        Person a, b;
        Side alice, bob;
        Pipe *wire;
} World;

/* Alice has dialled Bob, and the link is open. */
static void world_new(World *w, const PipeOptions *options) {
        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->a);
        person_new(&w->sim, "bob", &w->b);
        side_new(&w->a, &w->alice);
        side_new(&w->b, &w->bob);
        w->wire = side_dial(&w->alice, &w->bob, options);
        SIM_UNTIL(&w->sim, w->alice.link && w->bob.link);
}

static void world_free(World *w) {
        side_free(&w->alice);
        side_free(&w->bob);
        pipe_unref(w->wire);
        person_done(&w->a);
        person_done(&w->b);
        sim_free(&w->sim);
}

/* N messages of SIZE random bytes; SENT gets them all. */
static void send_random(World *w, Side *from, size_t n, size_t size, Buffer *sent) {
        for (size_t i = 0; i < n; i++) {
                uint8_t *p = buffer_reserve(sent, size);

                CHECK(p);
                loop_random(w->sim.loop, p, size);
                buffer_commit(sent, size);
                side_send(from, (Bytes){.data = p, .size = size});
        }
}

static void check_received(const Side *s, const Buffer *sent) {
        CHECK_EQ(buffer_size(&s->received), buffer_size(sent));
        CHECK(memcmp(buffer_data(&s->received), buffer_data(sent), buffer_size(sent)) == 0);
}

static void talk_over(const PipeOptions *options, size_t n, size_t size) {
        _cleanup_(buffer_done) Buffer forth = BUFFER_NULL, back = BUFFER_NULL;
        World w;

        world_new(&w, options);
        send_random(&w, &w.alice, n, size, &forth);
        send_random(&w, &w.bob, n, size, &back);
        SIM_UNTIL(&w.sim, w.alice.n_frames == n && w.bob.n_frames == n);
        check_received(&w.bob, &forth);
        check_received(&w.alice, &back);
        CHECK_EQ(w.alice.n_closed + w.bob.n_closed, 0);
        world_free(&w);
}

TEST(messages_larger_than_a_record) {
        talk_over(&ordinary, 40, INNER_SIZE_MAX);
}

TEST(messages_over_a_wire_narrower_than_a_record) {
        static const PipeOptions narrow = {.latency = USEC_PER_MSEC, .capacity = 1000};

        talk_over(&narrow, 8, INNER_SIZE_MAX);
}

TEST(one_byte_at_a_time) {
        static const PipeOptions bytes = {.chunk = 1}, few = {.chunk = 7, .capacity = 11};

        talk_over(&bytes, 5, 300);
        talk_over(&few, 3, 20000);
}

TEST(whoever_is_full_is_told_when_there_is_room_again) {
        _cleanup_(buffer_done) Buffer sent = BUFFER_NULL;
        World w;

        world_new(&w, &ordinary);
        while (!link_is_full(w.alice.link))
                send_random(&w, &w.alice, 1, 20000, &sent);
        SIM_UNTIL(&w.sim, w.alice.n_drained == 1);
        CHECK(!link_is_full(w.alice.link));
        SIM_UNTIL(&w.sim, buffer_size(&w.bob.received) == buffer_size(&sent));
        check_received(&w.bob, &sent);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK_EQ(w.alice.n_drained, 1); /* once each time */
        world_free(&w);
}

TEST(whoever_does_not_take_what_is_sent_is_cut_off) {
        static const uint8_t zeros[60000];
        usec_t start;
        World w;

        world_new(&w, &ordinary);
        pipe_set_latency(w.wire, USEC_PER_HOUR); /* 64 KiB under way, and no more */
        start = loop_now(w.sim.loop);
        for (size_t n = 0; n < CONN_QUEUE_MAX - sizeof(zeros) * 2; n += sizeof(zeros))
                side_send(&w.alice, (Bytes){.data = zeros, .size = sizeof(zeros)});
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK_EQ(w.alice.n_closed, 0);
        CHECK_EQ(w.alice.n_drained, 0);
        for (int i = 0; i < 5; i++)
                side_send(&w.alice, (Bytes){.data = zeros, .size = sizeof(zeros)});
        SIM_UNTIL(&w.sim, w.alice.n_closed == 1);
        CHECK(loop_now(w.sim.loop) < start + 2 * USEC_PER_SEC);
        CHECK_STR(w.alice.text, "the other end does not take what is sent to it");
        world_free(&w);
}

TEST(what_was_sent_before_the_end_arrives) {
        _cleanup_(buffer_done) Buffer sent = BUFFER_NULL;
        World w;

        world_new(&w, &ordinary);
        send_random(&w, &w.alice, 50, 20000, &sent);
        link_close(TAKE_PTR(w.alice.link), CODE_OK, "logged out");
        SIM_UNTIL(&w.sim, w.bob.n_closed == 1);
        check_received(&w.bob, &sent);
        CHECK_STR(w.bob.text, "logged out");
        CHECK_EQ(w.alice.n_closed, 0); /* who closes knows */
        SIM_UNTIL(&w.sim, pipe_is_over(w.wire));
        world_free(&w);
}

static void on_finished(void *userdata) {
        (*(unsigned *)userdata)++;
}

TEST(before_the_end_the_others_are_told) {
        usec_t start;
        World w;

        for (int deaf = 0; deaf < 2; deaf++) {
                static unsigned finished;

                finished = 0;
                world_new(&w, &ordinary);
                start = loop_now(w.sim.loop);
                if (deaf)
                        pipe_cut(w.wire, PIPE_FORTH);
                link_pool_bye(w.alice.pool, CODE_OK, "stopped");
                w.alice.link = NULL;
                CHECK_OK(net_finish(w.sim.net, USEC_PER_SEC, on_finished, &finished));
                CHECK_EQ(finished, 0);
                SIM_UNTIL(&w.sim, finished > 0);
                CHECK_EQ(w.bob.n_closed, !deaf);
                CHECK(deaf == (loop_now(w.sim.loop) - start >= USEC_PER_SEC));
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK_EQ(finished, 1);
                world_free(&w);
        }
}

TEST(a_wire_that_is_cut_in_the_middle_is_noticed) {
        _cleanup_(buffer_done) Buffer sent = BUFFER_NULL;
        static const unsigned directions[] = {PIPE_FORTH, PIPE_BACK, PIPE_FORTH | PIPE_BACK};

        for (size_t i = 0; i < ELEMENTSOF(directions); i++) {
                World w;

                world_new(&w, &ordinary);
                send_random(&w, &w.alice, 10, 20000, &sent);
                sim_run(&w.sim, 3 * USEC_PER_MSEC);
                pipe_cut(w.wire, directions[i]);
                /* Whoever hears nothing gives up, and if its BYE is lost so does the other. */
                SIM_UNTIL(&w.sim, w.alice.n_closed == 1 && w.bob.n_closed == 1);
                CHECK_EQ(link_pool_count_open(w.alice.pool), 0);
                world_free(&w);
        }
}

/* Everything that Mallory has to say is there before Alice says a word; all the same she is not
 * served last. */
TEST(a_busy_link_keeps_nobody_waiting) {
        static const PipeOptions wide = {.latency = 2 * USEC_PER_MSEC, .capacity = 8 << 20};
        _cleanup_(buffer_done) Buffer sent = BUFFER_NULL;
        const unsigned flood = 50;
        Person mallory;
        usec_t start;
        Side m;
        World w;

        world_new(&w, &ordinary);
        person_new(&w.sim, "mallory", &mallory);
        side_new(&mallory, &m);
        pipe_unref(side_dial(&m, &w.bob, &wide));
        SIM_UNTIL(&w.sim, m.link && w.bob.n_open == 2);
        start = loop_now(w.sim.loop);
        send_random(&w, &m, flood, 60000, &sent);
        side_send(&w.alice, text_bytes("may I?"));
        SIM_UNTIL(&w.sim, w.bob.n_frames > 0);
        SIM_UNTIL(&w.sim,
                memmem(buffer_data(&w.bob.received), buffer_size(&w.bob.received), "may I?", 6));
        CHECK(w.bob.n_frames < flood / 2);
        SIM_UNTIL(&w.sim, w.bob.n_frames == flood + 1);
        CHECK(loop_now(w.sim.loop) < start + USEC_PER_SEC); /* and nothing is left lying */
        side_free(&m);
        world_free(&w);
        person_done(&mallory);
}
