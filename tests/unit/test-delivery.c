/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Two people with all that sends and receives, on a network that has its moods. */

#include "test.h"

#include "stack-lab.h"

typedef struct World {
        Sim sim;
        Stack alice, bob;
} World;

static void world_new(World *w, uint64_t seed) {
        sim_new(&w->sim, seed);
        stack_new(&w->sim, "alice", &w->alice);
        stack_new(&w->sim, "bob", &w->bob);
        stack_knows(&w->alice, &w->bob.who, CONTACT_PINNED);
        stack_knows(&w->bob, &w->alice.who, CONTACT_PINNED);
}

static void world_free(World *w) {
        stack_free(&w->alice);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

/* "17" and N more bytes */
static void put_numbered(Stack *from, const Stack *to, unsigned n, unsigned count, size_t size) {
        uint8_t *text = malloc(size + 32);

        CHECK(text);
        memset(text, 'x', size + 32);
        for (unsigned i = 0; i < count; i++) {
                int k = snprintf((char *)text, 32, "%u", n + i);

                text[k] = ' ';
                (void)stack_put(
                        from, &to->who, (Bytes){.data = text, .size = MAX(size, (size_t)k)}, 0);
        }
        free(text);
        stack_send_off(from, &to->who);
}

/* 0 … COUNT - 1, each once, in order. */
static void check_numbered(const Stack *s, unsigned count) {
        unsigned n = 0;
        Shown *m;

        CHECK_EQ(s->n_shown, count);
        DL_FOREACH (s->shown, m) {
                char text[16] = {};

                copy_bytes(text, m->body.data, MIN(m->body.size, sizeof(text) - 1));
                CHECK_EQ(strtoul(text, NULL, 10), n);
                CHECK_EQ(m->flags & ~ENTRY_LATE, 0);
                n++;
        }
}

TEST(alice_says_hi_to_bob) {
        World w;

        world_new(&w, 1);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK_EQ(w.bob.n_shown, 1);
        CHECK(memcmp(w.bob.shown->body.data, "hi", 2) == 0);
        CHECK_EQ(w.bob.shown->kind, KIND_TEXT);
        CHECK_EQ(stack_count_outbox(&w.alice), 0);
        (void)stack_send(&w.bob, &w.alice.who, "ho"); /* on the same link */
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        CHECK(w.alice.n_shown == 1 && w.alice.n_up == 1 && w.bob.n_up == 1);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK(w.alice.n_delivered == 1 && w.bob.n_shown == 1 && w.alice.n_down == 0);
        world_free(&w);
}

static void burst(unsigned count, size_t size) {
        World w;

        world_new(&w, 1);
        put_numbered(&w.alice, &w.bob, 0, count, size);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == count);
        check_numbered(&w.bob, count);
        CHECK(w.alice.n_up == 1 && w.alice.n_down == 0); /* all over one link */
        CHECK_EQ(stack_count_outbox(&w.alice), 0);
        world_free(&w);
}

TEST(a_burst_of_many) {
        burst(3000, 0);
}

TEST(a_burst_of_large_ones) {
        burst(150, TEXT_SIZE_MAX);
        burst(700, 6000);
}

TEST(both_talk_at_once) {
        const unsigned rounds = 40, each = 25;
        World w;

        world_new(&w, 1);
        for (unsigned i = 0; i < rounds; i++) {
                put_numbered(&w.alice, &w.bob, i * each, each, i * 10);
                put_numbered(&w.bob, &w.alice, i * each, each, 300);
                sim_run(&w.sim, USEC_PER_MSEC);
        }
        SIM_UNTIL(
                &w.sim, w.alice.n_delivered == rounds * each && w.bob.n_delivered == rounds * each);
        check_numbered(&w.bob, rounds * each);
        check_numbered(&w.alice, rounds * each);
        world_free(&w);
}

/* Bad connections */

TEST(whoever_was_away_gets_everything) {
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        put_numbered(&w.alice, &w.bob, 0, 100, 0);
        sim_run(&w.sim, USEC_PER_DAY);
        CHECK_EQ(w.alice.n_delivered, 0);
        stack_stop(&w.alice);
        stack_start(&w.alice);
        put_numbered(&w.alice, &w.bob, 100, 100, 0);
        sim_run(&w.sim, USEC_PER_HOUR);
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 200);
        check_numbered(&w.bob, 200);
        world_free(&w);
}

TEST(whoever_appears_is_served_at_once) {
        usec_t start;
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        sim_run(&w.sim, USEC_PER_HOUR); /* attempts are rare by now */
        stack_start(&w.bob);
        start = loop_now(w.sim.loop);
        delivery_appeared(w.alice.delivery, person_account(&w.bob.who));
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK(loop_now(w.sim.loop) < start + USEC_PER_SEC);
        world_free(&w);
}

TEST(attempts_become_rarer) {
        unsigned first, later;
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        sim_run(&w.sim, USEC_PER_MINUTE);
        first = network_n_dialled(w.sim.network);
        CHECK(first >= 5 && first < 30);
        sim_run(&w.sim, 10 * USEC_PER_HOUR);
        later = network_n_dialled(w.sim.network) - first;
        CHECK(later > 100 && later < 200); /* about every five minutes */
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        world_free(&w);
}

/* Cut where it happens to be, with and without a word; programs that start again. */
static void disturb(World *w) {
        static const unsigned directions[] = {PIPE_FORTH, PIPE_BACK, PIPE_FORTH | PIPE_BACK};
        uint64_t what = loop_random_below(w->sim.loop, 6);

        if (what < ELEMENTSOF(directions))
                network_cut(w->sim.network, directions[what]);
        else if (what == 3) {
                stack_stop(&w->alice);
                stack_start(&w->alice);
        } else {
                stack_stop(&w->bob);
                stack_start(&w->bob);
        }
}

/* FROM believes TO to be at three addresses, and is right about two. */
static void several_ways(Stack *from, Stack *to) {
        Endpoints e = {.text = {"nowhere:1"}, .n = 3};
        Network *network = from->who.sim->network;
        char host[NAME_SIZE + 8];
        Contact c;

        snprintf(host, sizeof(host), "%s-2", to->who.name);
        CHECK_OK(network_listen(network, host, 1, stack_on_accept, to));
        snprintf(e.text[1], sizeof(e.text[1]), "%s:1", host);
        snprintf(e.text[2], sizeof(e.text[2]), "%s:%u", to->who.name, STACK_PORT);
        CHECK_EQ(contact_get(store_write(from->store), person_account(&to->who), &c), 1);
        CHECK(store_set_endpoints(from->store, c.number, &e) >= 0);
}

static void talk_on_a_bad_line(uint64_t seed) {
        const unsigned rounds = 12, each = 90;
        World w;

        world_new(&w, seed);
        if (seed % 2 == 1) {
                several_ways(&w.alice, &w.bob);
                several_ways(&w.bob, &w.alice);
        }
        network_set_options(w.sim.network,
                &(PipeOptions){.latency = 1 + loop_random_below(w.sim.loop, 20 * USEC_PER_MSEC),
                        .capacity = 2000 + loop_random_below(w.sim.loop, 60000)});
        for (unsigned i = 0; i < rounds; i++) {
                put_numbered(&w.alice, &w.bob, i * each, each, loop_random_below(w.sim.loop, 3000));
                put_numbered(&w.bob, &w.alice, i * each, each, 10);
                sim_run(&w.sim, loop_random_below(w.sim.loop, 200 * USEC_PER_MSEC));
                disturb(&w);
                if (i % 3 == 0) /* time to notice */
                        sim_run(&w.sim, loop_random_below(w.sim.loop, 3 * USEC_PER_MINUTE));
        }
        for (int i = 0; i < 60 && stack_count_outbox(&w.alice) + stack_count_outbox(&w.bob) > 0;
                i++)
                sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(stack_count_outbox(&w.alice), 0);
        CHECK_EQ(stack_count_outbox(&w.bob), 0);
        check_numbered(&w.alice, rounds * each);
        check_numbered(&w.bob, rounds * each);
        CHECK_EQ(w.alice.n_delivered, rounds * each);
        CHECK_EQ(w.alice.n_failed + w.alice.n_expired + w.bob.n_failed + w.bob.n_expired, 0);
        world_free(&w);
}

TEST(nothing_is_lost_or_doubled_on_a_bad_line) {
        for (uint64_t seed = 1; seed <= 8; seed++)
                talk_on_a_bad_line(seed);
}

TEST(coming_back_costs_no_write) {
        uint64_t writes;
        World w;

        world_new(&w, 1);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        for (unsigned i = 1; i <= 3; i++) {
                sim_run(&w.sim, USEC_PER_SEC);
                writes = db_stats(w.bob.store->db)->writes;
                stack_stop(&w.alice);
                stack_start(&w.alice);
                (void)stack_send(&w.alice, &w.bob.who, "back");
                SIM_UNTIL(&w.sim, w.bob.n_up == 1 + i);
                CHECK_EQ(db_stats(w.bob.store->db)->writes, writes);
                SIM_UNTIL(&w.sim, w.bob.n_shown == 1 + i);
        }
        world_free(&w);
}

/* Time */

TEST(what_was_not_delivered_in_time_expires) {
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        (void)stack_put(&w.alice, &w.bob.who, text_bytes("urgent"),
                loop_realtime(w.sim.loop) + USEC_PER_HOUR);
        (void)stack_send(&w.alice, &w.bob.who, "patient");
        sim_run(&w.sim, USEC_PER_HOUR - USEC_PER_SEC);
        CHECK_EQ(w.alice.n_expired, 0);
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        CHECK(w.alice.n_expired == 1 && w.alice.reason == CODE_EXPIRED);
        CHECK_EQ(stack_count_outbox(&w.alice), 1);
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK(w.bob.n_shown == 1 && memcmp(w.bob.shown->body.data, "patient", 7) == 0);
        CHECK_EQ(w.bob.shown->flags, ENTRY_GAP); /* and that something is missing shows */
        world_free(&w);
}

static void put_urgent(World *w, usec_t time) {
        (void)stack_put(
                &w->alice, &w->bob.who, text_bytes("urgent"), loop_realtime(w->sim.loop) + time);
}

TEST(messages_expire_when_their_time_comes) {
        const usec_t interval = 67 * USEC_PER_MINUTE + 13 * USEC_PER_SEC;
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        for (unsigned i = 10; i >= 1; i--) /* the last one first */
                put_urgent(&w, i * interval);
        stack_send_off(&w.alice, &w.bob.who);
        for (unsigned i = 1; i <= 10; i++) {
                sim_run(&w.sim, interval - USEC_PER_SEC);
                CHECK_EQ(w.alice.n_expired, i - 1);
                sim_run(&w.sim, USEC_PER_SEC);
                CHECK_EQ(w.alice.n_expired, i);
                if (i == 5) {
                        stack_stop(&w.alice);
                        stack_start(&w.alice);
                }
        }
        CHECK_EQ(stack_count_outbox(&w.alice), 0);
        stack_start(&w.bob);
        world_free(&w);
}

TEST(time_that_steps_does_not_matter_for_long) {
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        put_urgent(&w, 10 * USEC_PER_HOUR);
        put_urgent(&w, 20 * USEC_PER_HOUR);
        stack_send_off(&w.alice, &w.bob.who);
        sim_run(&w.sim, USEC_PER_HOUR);
        loop_virtual_step_realtime(w.sim.loop, (int64_t)(9 * USEC_PER_HOUR));
        sim_run(&w.sim, 5 * USEC_PER_MINUTE);
        CHECK_EQ(w.alice.n_expired, 1);
        loop_virtual_step_realtime(w.sim.loop, -(int64_t)(5 * USEC_PER_HOUR));
        sim_run(&w.sim, 14 * USEC_PER_HOUR);
        CHECK_EQ(w.alice.n_expired, 1); /* there are five hours more than it looked */
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(w.alice.n_expired, 2);
        stack_start(&w.bob);
        world_free(&w);
}

/* All in their own batch would be a minute, and all in one a pause for everybody else. */
TEST(thousands_expire_in_pieces) {
        uint64_t commits;
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        for (unsigned i = 0; i < 5000; i++)
                put_urgent(&w, USEC_PER_HOUR);
        stack_send_off(&w.alice, &w.bob.who);
        sim_run(&w.sim, USEC_PER_HOUR - USEC_PER_SEC);
        commits = db_stats(w.alice.store->db)->commits;
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        CHECK_EQ(w.alice.n_expired, 5000);
        CHECK(db_stats(w.alice.store->db)->commits - commits >= 10);
        CHECK(db_stats(w.alice.store->db)->commits - commits <= 50);
        stack_start(&w.bob);
        world_free(&w);
}

/* What has expired and is still there does not keep what comes after it. */
TEST(a_link_passes_over_what_has_expired) {
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        for (unsigned i = 0; i < 10000; i++)
                put_urgent(&w, USEC_PER_MINUTE);
        stack_send_off(&w.alice, &w.bob.who);
        stack_stop(&w.alice);
        sim_run(&w.sim, USEC_PER_HOUR);
        stack_start(&w.bob);
        stack_start(&w.alice);
        (void)stack_send(&w.alice, &w.bob.who, "patient");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1 && w.alice.n_expired == 10000);
        CHECK_EQ(w.bob.n_shown, 1);
        world_free(&w);
}

TEST(nobody_is_dialled_for_what_has_expired) {
        unsigned n;
        World w;

        world_new(&w, 1);
        stack_stop(&w.bob);
        (void)stack_put(&w.alice, &w.bob.who, text_bytes("urgent"),
                loop_realtime(w.sim.loop) + USEC_PER_MINUTE);
        stack_send_off(&w.alice, &w.bob.who);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(w.alice.n_expired, 1);
        n = network_n_dialled(w.sim.network);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(network_n_dialled(w.sim.network), n);
        world_free(&w);
}
