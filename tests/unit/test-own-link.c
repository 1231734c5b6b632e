/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links between devices of one account, as the pool has them, and records that come with BYE. */

#include "test.h"

#include "link-lab.h"

/* Alice's devices, the newest first, and Bob. */
typedef struct World {
        Sim sim;
        Person who[3], bob;
        Side side[3], b;
} World;

static void world_new(World *w, uint64_t seed) {
        sim_new(&w->sim, seed);
        person_new(&w->sim, "alice", &w->who[2]);
        person_on_device(&w->who[2], 2, &w->who[1]);
        person_on_device(&w->who[2], 3, &w->who[0]);
        person_new(&w->sim, "bob", &w->bob);
        for (int i = 0; i < 3; i++)
                side_new(&w->who[i], &w->side[i]);
        side_new(&w->bob, &w->b);
}

static void world_free(World *w) {
        for (int i = 0; i < 3; i++)
                side_free(&w->side[i]);
        side_free(&w->b);
        for (int i = 0; i < 3; i++)
                person_done(&w->who[i]);
        person_done(&w->bob);
        sim_free(&w->sim);
}

TEST(each_device_has_a_link_and_counts_for_nobody) {
        World w;

        world_new(&w, 1);
        sides_join(&w.side[1], &w.side[0]);
        pipe_unref(side_dial(&w.side[0], &w.side[2], &ordinary)); /* whoever calls */
        SIM_UNTIL(&w.sim, w.side[0].n_links == 2 && w.side[2].link);
        sides_join(&w.side[2], &w.side[1]);
        sim_run(&w.sim, USEC_PER_MINUTE);
        for (int i = 0; i < 3; i++) {
                CHECK_EQ(w.side[i].n_links, 2);
                CHECK_EQ(w.side[i].n_closed, 0);
                CHECK(link_is_own(w.side[i].link) && link_takes_handover(w.side[i].link));
                CHECK_EQ(link_pool_count_open(w.side[i].pool), 0);
                CHECK(!link_find(w.side[i].pool, person_account(&w.who[i])));
        }
        pipe_unref(side_dial(&w.b, &w.side[0], &ordinary));
        SIM_UNTIL(&w.sim, w.side[0].n_links == 3);
        CHECK(!link_is_own(w.b.link));
        CHECK_EQ(link_pool_count_open(w.side[0].pool), 1);
        CHECK(link_find(w.side[0].pool, person_account(&w.bob)));
        side_free(&w.side[1]); /* its end concerns nobody else */
        side_new(&w.who[1], &w.side[1]);
        SIM_UNTIL(&w.sim, w.side[0].n_closed == 1);
        CHECK_EQ(link_pool_count_open(w.side[0].pool), 1);
        world_free(&w);
}

TEST(a_device_that_calls_again_has_one_link) {
        World w;

        world_new(&w, 1);
        sides_join(&w.side[2], &w.side[0]);
        sides_join(&w.side[1], &w.side[0]);
        pipe_unref(side_dial(&w.side[1], &w.side[0], &ordinary));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.side[0].n_links, 2);
        CHECK_EQ(w.side[1].n_links, 1);
        CHECK_EQ(w.side[2].n_links, 1);
        CHECK_EQ(w.side[2].n_closed, 0);

        loop_random(w.sim.loop, w.who[1].local.boot_nonce, BOOT_NONCE_SIZE); /* started anew */
        side_free(&w.side[1]);
        side_new(&w.who[1], &w.side[1]);
        sides_join(&w.side[1], &w.side[0]);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.side[0].n_links, 2);
        CHECK_EQ(w.side[2].n_closed, 0);
        world_free(&w);
}

TEST(two_devices_that_call_each_other_at_once_have_one_link) {
        for (uint64_t seed = 1; seed <= 8; seed++) {
                PipeOptions slow = {.latency = seed * 3 * USEC_PER_MSEC};
                World w;

                world_new(&w, seed);
                sides_join(&w.side[2], &w.side[0]);
                pipe_unref(side_dial(&w.side[0], &w.side[1], &slow));
                pipe_unref(side_dial(&w.side[1], &w.side[0], &ordinary));
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK_EQ(w.side[0].n_links, 2);
                CHECK_EQ(w.side[1].n_links, 1);
                CHECK_EQ(w.side[2].n_closed, 0);
                world_free(&w);
        }
}

TEST(a_device_that_answers_where_another_was_dialled_is_not_taken_for_it) {
        World w;

        world_new(&w, 1);
        /* While the newest dials one, another one comes in. */
        pipe_unref(
                side_dial(&w.side[0], &w.side[2], &(PipeOptions){.latency = 500 * USEC_PER_MSEC}));
        pipe_unref(side_dial(&w.side[1], &w.side[0], &ordinary));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.side[0].n_links, 2);
        CHECK_EQ(w.side[0].n_closed + w.side[1].n_closed + w.side[2].n_closed, 0);
        world_free(&w);
}

/* Records */

static void says_bye(World *w, const Person *who, TlsRole role, Bytes record) {
        unsigned n = w->b.n_closed;
        Far f;

        far_link(&f, who, &w->b, role);
        far_sent(&f, bye_encode(conn_output(f.conn), CODE_REPLACED, "on another device", record));
        SIM_UNTIL(&w->sim, w->b.n_closed == n + 1);
        CHECK_EQ(w->b.code, CODE_REPLACED);
        far_free(&f);
}

TEST(a_record_that_comes_with_bye_is_heard_where_it_holds_and_is_of_one_of_both) {
        Person carol, elsewhere;
        World w;

        world_new(&w, 1);
        person_new(&w.sim, "carol", &carol);
        person_on_device(&w.bob, 7, &elsewhere);
        says_bye(&w, &w.who[2], TLS_CLIENT, w.who[0].local.record);
        CHECK_EQ(w.b.n_records, 1);
        CHECK_EQ(w.b.epoch, 3);
        says_bye(&w, &w.who[2], TLS_SERVER, elsewhere.local.record);
        CHECK_EQ(w.b.n_records, 2);
        CHECK_EQ(w.b.epoch, 7);
        says_bye(&w, &w.who[2], TLS_CLIENT, carol.local.record);
        says_bye(&w, &w.who[2], TLS_CLIENT, text_bytes("no record"));
        says_bye(&w, &w.who[2], TLS_CLIENT, (Bytes){});
        buffer_data(&elsewhere.record)[buffer_size(&elsewhere.record) - 1] ^= 1;
        says_bye(&w, &w.who[2], TLS_CLIENT, elsewhere.local.record);
        CHECK_EQ(w.b.n_records, 2);
        person_done(&carol);
        person_done(&elsewhere);
        world_free(&w);
}

TEST(a_copy_of_this_device_shows_what_it_has_published) {
        Person copy;
        Hello h;
        World w;
        Far f;

        world_new(&w, 1);
        person_begin(&w.sim, "bob", 5, &copy);
        copy.account = w.bob.account;
        copy.device = w.bob.device;
        person_finish(&copy);
        h = person_hello(&copy);
        pipe_unref(far_with(&f, &copy, &w.b, TLS_CLIENT));
        far_send_hello(&f, &h);
        CHECK_EQ(far_bye(&f), CODE_NOT_ALLOWED);
        CHECK_EQ(w.b.n_records, 1);
        CHECK_EQ(w.b.epoch, 5);
        CHECK_EQ(w.b.n_hello, 0);
        far_free(&f);
        person_done(&copy);
        world_free(&w);
}

TEST(who_is_replaced_says_so_to_everybody) {
        Frame frame;
        Refusal x;
        Record r;
        World w;
        Far f;

        world_new(&w, 1);
        far_link(&f, &w.who[2], &w.b, TLS_CLIENT);
        link_pool_replaced(w.b.pool, w.bob.local.record);
        frame = far_take(&f, FRAME_BYE);
        CHECK_OK(refusal_decode(&frame, &x));
        CHECK_EQ(x.code, CODE_REPLACED);
        CHECK_OK(record_decode(x.record, &r));
        CHECK(key_equal(r.account, person_account(&w.bob)));
        CHECK_EQ(link_pool_count_open(w.b.pool), 0);
        far_free(&f);
        world_free(&w);
}
