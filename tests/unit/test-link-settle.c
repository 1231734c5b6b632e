/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two links between the same people: which one stays. */

#include "test.h"

#include "link-lab.h"

typedef struct World {
        Sim sim;
        Person a, b;
        Side alice, bob;
} World;

static void world_new(World *w, uint64_t seed) {
        sim_new(&w->sim, seed);
        person_new(&w->sim, "alice", &w->a);
        person_new(&w->sim, "bob", &w->b);
        side_new(&w->a, &w->alice);
        side_new(&w->b, &w->bob);
}

static void world_free(World *w) {
        side_free(&w->alice);
        side_free(&w->bob);
        person_done(&w->a);
        person_done(&w->b);
        sim_free(&w->sim);
}

/* A message arrives in each direction, so both ends mean the same link. */
static void check_one_link(World *w) {
        unsigned a = w->alice.n_frames, b = w->bob.n_frames;

        CHECK_EQ(link_pool_count_open(w->alice.pool), 1);
        CHECK_EQ(link_pool_count_open(w->bob.pool), 1);
        CHECK(w->alice.link && w->bob.link);
        CHECK(link_is_outgoing(w->alice.link) != link_is_outgoing(w->bob.link));
        side_send(&w->alice, text_bytes("hi"));
        side_send(&w->bob, text_bytes("ho"));
        sim_run(&w->sim, USEC_PER_SEC);
        CHECK_EQ(w->alice.n_frames, a + 1);
        CHECK_EQ(w->bob.n_frames, b + 1);
}

static bool alice_is_smaller(const World *w) {
        return memcmp(sign_key_public(&w->a.device), sign_key_public(&w->b.device), KEY_SIZE) < 0;
}

/* Crossed dials. A client has said HELLO two latencies after it began, and is heard after one more:
 * the HELLOs have crossed if each end had said its own when the other's came. */

typedef struct Crossing {
        usec_t latency[2]; /* of Alice's wire, of Bob's */
        usec_t later; /* Bob begins */
        size_t chunk;
} Crossing;

static bool has_crossed(const Crossing *c) {
        return c->later + 2 * c->latency[1] < 3 * c->latency[0] &&
                2 * c->latency[0] < c->later + 3 * c->latency[1];
}

static void cross(World *w, const Crossing *c) {
        PipeOptions o = {.latency = c->latency[0], .chunk = c->chunk};

        pipe_unref(side_dial(&w->alice, &w->bob, &o));
        sim_run(&w->sim, c->later);
        o.latency = c->latency[1];
        pipe_unref(side_dial(&w->bob, &w->alice, &o));
        sim_run(&w->sim, 5 * USEC_PER_SEC);
        check_one_link(w);
        if (has_crossed(c))
                CHECK_EQ(link_is_outgoing(w->alice.link), alice_is_smaller(w));
}

TEST(crossed_dials_leave_one_link) {
        unsigned crossed = 0, smaller = 0, rounds = 150;

        for (uint64_t seed = 0; seed < rounds; seed++) {
                Crossing c;
                World w;

                world_new(&w, seed);
                for (int i = 0; i < 2; i++)
                        c.latency[i] = 1 + loop_random_below(w.sim.loop, 50) * USEC_PER_MSEC;
                c.later = loop_random_below(w.sim.loop, 3 * c.latency[0] + 1);
                c.chunk = seed % 4 == 0 ? 1 + loop_random_below(w.sim.loop, 1000) : 0;
                cross(&w, &c);
                crossed += has_crossed(&c);
                smaller += alice_is_smaller(&w);
                world_free(&w);
        }
        /* That is, the rounds were of all kinds. */
        CHECK(crossed > rounds / 10 && crossed < rounds * 9 / 10);
        CHECK(smaller > rounds / 4 && smaller < rounds * 3 / 4);
}

TEST(dials_at_the_same_moment_leave_the_one_of_the_smaller_device) {
        for (uint64_t seed = 0; seed < 20; seed++) {
                Crossing c = {.latency = {3 * USEC_PER_MSEC, 3 * USEC_PER_MSEC}};
                World w;

                world_new(&w, seed);
                CHECK(has_crossed(&c));
                cross(&w, &c);
                world_free(&w);
        }
}

TEST(a_dial_after_the_link_is_open_changes_nothing) {
        Link *before;
        World w;

        world_new(&w, 7);
        sides_join(&w.alice, &w.bob);
        before = w.alice.link;
        pipe_unref(side_dial(&w.bob, &w.alice, &ordinary)); /* it did not know yet */
        sim_run(&w.sim, 5 * USEC_PER_SEC);
        CHECK(w.alice.link == before);
        check_one_link(&w);
        world_free(&w);
}

/* A link that only one end still believes in */

static Pipe *join_over(Side *from, Side *to) {
        Pipe *p = side_dial(from, to, &ordinary);

        SIM_UNTIL(from->self->sim, from->link && to->link);
        return p;
}

static void lose_and_come_back(bool same_opener) {
        usec_t start;
        Pipe *p;
        World w;

        world_new(&w, 3);
        p = same_opener ? join_over(&w.alice, &w.bob) : join_over(&w.bob, &w.alice);
        pipe_cut(p, PIPE_FORTH | PIPE_BACK);
        link_close(TAKE_PTR(w.alice.link), CODE_OK, "the network has changed");
        start = loop_now(w.sim.loop);
        pipe_unref(side_dial(&w.alice, &w.bob, &ordinary));
        SIM_UNTIL(&w.sim, w.alice.link && w.bob.n_open == 2);
        CHECK(loop_now(w.sim.loop) < start + 3 * USEC_PER_SEC);
        CHECK_EQ(w.bob.n_closed, 1);
        check_one_link(&w);
        pipe_unref(p);
        world_free(&w);
}

TEST(a_dead_link_gives_way_to_a_new_one) {
        lose_and_come_back(false); /* asked, and no answer */
        lose_and_come_back(true);
}

TEST(a_link_that_lives_does_not_give_way) {
        Far first, second;
        Hello h;
        World w;

        world_new(&w, 1);
        h = person_hello(&w.a);
        far_link(&first, &w.a, &w.bob, TLS_SERVER); /* Bob's */
        pipe_unref(far_with(&second, &w.a, &w.bob, TLS_CLIENT));
        far_send_hello(&second, &h);
        CHECK_EQ(far_bye(&second), CODE_OK);
        CHECK(far_is_served(&first));
        CHECK_EQ(w.bob.n_open, 1);
        far_free(&second);

        first.answers = false;
        pipe_unref(far_with(&second, &w.a, &w.bob, TLS_CLIENT));
        far_send_hello(&second, &h);
        far_sent(&second, hello_ok_encode(conn_output(second.conn), &(HelloOk){}));
        SIM_UNTIL(&w.sim, w.bob.n_open == 2);
        CHECK_EQ(far_bye(&first), CODE_OK);
        CHECK(far_is_served(&second));
        far_free(&first);
        far_free(&second);
        world_free(&w);
}

TEST(two_that_come_while_the_old_one_is_asked_never_make_two_links) {
        Far first, second, third;
        Hello h;
        World w;

        world_new(&w, 1);
        h = person_hello(&w.a);
        far_link(&first, &w.a, &w.bob, TLS_SERVER); /* Bob's */
        first.answers = false;
        pipe_unref(far_with(&second, &w.a, &w.bob, TLS_CLIENT));
        far_send_hello(&second, &h);
        far_sent(&second, hello_ok_encode(conn_output(second.conn), &(HelloOk){}));
        far_take(&first, FRAME_PING);
        pipe_unref(far_with(&third, &w.a, &w.bob, TLS_CLIENT));
        far_send_hello(&third, &h);
        CHECK_EQ(far_bye(&third), CODE_OK); /* one at a time */
        SIM_UNTIL(&w.sim, w.bob.n_open == 2);
        sim_run(&w.sim, 10 * USEC_PER_SEC);
        CHECK_EQ(link_pool_count_open(w.bob.pool), 1);
        CHECK_EQ(w.bob.n_hello, 2);
        CHECK(far_is_served(&second));
        far_free(&first);
        far_free(&second);
        far_free(&third);
        world_free(&w);
}

TEST(a_link_that_ends_while_it_is_asked_makes_room_at_once) {
        Far first, second;
        usec_t start;
        Hello h;
        World w;

        world_new(&w, 1);
        h = person_hello(&w.a);
        far_link(&first, &w.a, &w.bob, TLS_SERVER);
        first.answers = false;
        pipe_unref(far_with(&second, &w.a, &w.bob, TLS_CLIENT));
        far_send_hello(&second, &h);
        far_take(&first, FRAME_PING);
        start = loop_now(w.sim.loop);
        far_free(&first);
        far_take(&second, FRAME_HELLO_OK);
        CHECK(loop_now(w.sim.loop) < start + USEC_PER_SEC);
        far_free(&second);
        world_free(&w);
}

/* Programs that start again, devices that are replaced */

TEST(a_program_that_has_started_again_supersedes_its_links) {
        Far old[2], new;
        Hello h;
        World w;

        world_new(&w, 1);
        for (int role = TLS_CLIENT; role <= TLS_SERVER; role++) {
                far_link(&old[role], &w.a, &w.bob, role);
                old[role].answers = false; /* it has crashed */
                w.a.local.boot_nonce[0]++;
                far_link(&new, &w.a, &w.bob, TLS_CLIENT);
                CHECK_EQ(far_bye(&old[role]), CODE_OK);
                CHECK(far_is_served(&new));
                far_free(&new);
                far_free(&old[role]);
                sim_run(&w.sim, USEC_PER_SEC);
                CHECK_EQ(link_pool_count_open(w.bob.pool), 0);
        }

        /* Even one for which an older link is just being asked. */
        far_link(&old[0], &w.a, &w.bob, TLS_SERVER);
        old[0].answers = false;
        pipe_unref(far_with(&old[1], &w.a, &w.bob, TLS_CLIENT));
        h = person_hello(&w.a);
        far_send_hello(&old[1], &h);
        far_take(&old[0], FRAME_PING);
        w.a.local.boot_nonce[0]++;
        far_link(&new, &w.a, &w.bob, TLS_CLIENT);
        CHECK_EQ(far_bye(&old[0]), CODE_OK);
        CHECK_EQ(far_bye(&old[1]), CODE_OK);
        CHECK(far_is_served(&new));
        CHECK_EQ(link_pool_count_open(w.bob.pool), 1);
        far_free(&old[0]);
        far_free(&old[1]);
        far_free(&new);
        world_free(&w);
}

/* Alice's program ends in the middle of crossed dials, without a word, and starts again. */
TEST(a_dial_that_is_not_answered_outlives_one_call) {
        Far dead, first, second;
        uint64_t seed = 0;
        Hello h;
        World w;

        for (world_new(&w, seed); alice_is_smaller(&w); world_new(&w, ++seed))
                world_free(&w);
        pipe_unref(far_with(&dead, &w.a, &w.bob, TLS_SERVER));
        far_take(&dead, FRAME_HELLO);
        w.a.local.boot_nonce[0]++;
        h = person_hello(&w.a);
        pipe_unref(far_with(&first, &w.a, &w.bob, TLS_CLIENT));
        far_send_hello(&first, &h);
        CHECK_EQ(far_bye(&first), CODE_OK);
        far_link(&second, &w.a, &w.bob, TLS_CLIENT);
        CHECK(far_is_served(&second));
        CHECK_EQ(far_bye(&dead), CODE_OK);
        far_free(&dead);
        far_free(&first);
        far_free(&second);
        world_free(&w);
}

TEST(the_same_opener_again_supersedes) {
        Far first, second;
        World w;

        world_new(&w, 1);
        far_link(&first, &w.a, &w.bob, TLS_CLIENT);
        far_link(&second, &w.a, &w.bob, TLS_CLIENT);
        CHECK_EQ(far_bye(&first), CODE_OK);
        CHECK(far_is_served(&second));
        far_free(&first);
        far_free(&second);
        world_free(&w);
}

TEST(only_the_newest_device_of_an_account_has_a_link) {
        Far newer, older;
        Person tablet;
        Hello h;
        World w;

        world_new(&w, 1);
        person_on_device(&w.a, 2, &tablet);
        far_link(&newer, &tablet, &w.bob, TLS_CLIENT);
        h = person_hello(&w.a);
        for (int role = TLS_CLIENT; role <= TLS_SERVER; role++) {
                pipe_unref(far_with(&older, &w.a, &w.bob, role));
                far_send_hello(&older, &h);
                CHECK_EQ(far_bye(&older), CODE_REPLACED);
                far_free(&older);
        }
        CHECK(far_is_served(&newer));
        CHECK_EQ(link_pool_count_open(w.bob.pool), 1);
        far_free(&newer);
        sim_run(&w.sim, USEC_PER_SEC);

        far_link(&older, &w.a, &w.bob, TLS_CLIENT); /* whether it may, is for the owner to say */
        far_link(&newer, &tablet, &w.bob, TLS_CLIENT);
        CHECK_EQ(far_bye(&older), CODE_OK);
        CHECK(far_is_served(&newer));
        far_free(&older);
        far_free(&newer);
        person_done(&tablet);
        world_free(&w);
}
