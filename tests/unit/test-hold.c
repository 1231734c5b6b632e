/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links that are held although nothing is to be sent, and what is said of rooms over them. */

#include "test.h"

#include "db/private.h"
#include "stack-lab.h"

typedef struct World {
        Sim sim;
        Stack alice, bob;
} World;

static void world_new(World *w, uint8_t flags) {
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "alice", &w->alice);
        stack_new(&w->sim, "bob", &w->bob);
        stack_knows(&w->alice, &w->bob.who, flags);
        stack_knows(&w->bob, &w->alice.who, flags);
}

static void world_free(World *w) {
        stack_free(&w->alice);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

static int alice_holds(World *w, bool hold) {
        return delivery_hold_link(w->alice.delivery, person_account(&w->bob.who), hold);
}

TEST(a_held_link_is_dialled_and_dialled_again) {
        World w;

        world_new(&w, CONTACT_PINNED);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_up == 1 && w.bob.n_up == 1);
        CHECK_OK(alice_holds(&w, true));

        stack_stop(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_down == 1);
        sim_run(&w.sim, 5 * USEC_PER_MINUTE);
        CHECK_EQ(w.alice.n_up, 1);
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_up == 2);
        CHECK_EQ(stack_count_outbox(&w.alice), 0);
        world_free(&w);
}

TEST(who_appears_is_dialled_at_once_where_a_link_is_held) {
        World w;

        world_new(&w, CONTACT_PINNED);
        stack_stop(&w.bob);
        CHECK_OK(alice_holds(&w, true));
        sim_run(&w.sim, USEC_PER_HOUR);
        stack_start(&w.bob);
        delivery_appeared(w.alice.delivery, person_account(&w.bob.who));
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK_EQ(w.alice.n_up, 1);
        world_free(&w);
}

TEST(who_is_let_go_is_dialled_no_more) {
        unsigned n;
        World w;

        world_new(&w, CONTACT_PINNED);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_up == 1);
        CHECK_OK(alice_holds(&w, false));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(delivery_count_links(w.alice.delivery), 1); /* a contact's link stays */
        stack_stop(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_down == 1);
        n = network_n_dialled(w.sim.network);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(network_n_dialled(w.sim.network), n);
        stack_start(&w.bob);

        /* While he waits for the next attempt. */
        stack_hide(&w.bob);
        CHECK_OK(alice_holds(&w, true));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(network_n_dialled(w.sim.network) > n);
        CHECK_OK(alice_holds(&w, false));
        n = network_n_dialled(w.sim.network);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(network_n_dialled(w.sim.network), n);
        world_free(&w);
}

TEST(a_stranger_who_is_let_go_loses_the_link) {
        World w;

        world_new(&w, 0);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_rooms_up == 1 && w.bob.n_rooms_up == 1);
        CHECK_OK(alice_holds(&w, false));
        CHECK_EQ(w.alice.n_rooms_down, 1);
        SIM_UNTIL(&w.sim, w.bob.n_rooms_down == 1);
        CHECK_EQ(delivery_count_links(w.alice.delivery), 0);
        world_free(&w);
}

TEST(who_is_blocked_is_not_held_until_he_is_not) {
        const uint8_t *bob;
        World w;

        world_new(&w, CONTACT_PINNED);
        bob = person_account(&w.bob.who);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_up == 1);
        CHECK(contact_set_flags(w.alice.store, bob, CONTACT_BLOCKED, 0) >= 0);
        CHECK_OK(store_commit(w.alice.store));
        delivery_block(w.alice.delivery, bob);
        CHECK_EQ(w.alice.n_rooms_down, 1);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(delivery_count_links(w.alice.delivery), 0);

        CHECK(contact_set_flags(w.alice.store, bob, 0, CONTACT_BLOCKED) >= 0);
        CHECK_OK(store_commit(w.alice.store));
        delivery_wake(w.alice.delivery, bob);
        SIM_UNTIL(&w.sim, w.alice.n_up == 2);
        world_free(&w);
}

/* Who is to be dialled may be known later, or again after a batch that failed with his row. */
TEST(who_is_held_is_dialled_once_there_is_a_row) {
        World w;

        sim_new(&w.sim, 1);
        stack_new(&w.sim, "alice", &w.alice);
        stack_new(&w.sim, "bob", &w.bob);
        CHECK(contact_mark(w.alice.store, person_account(&w.bob.who), CONTACT_MEMBER) >= 0);
        CHECK_OK(alice_holds(&w, true));
        db_fail(store_write(w.alice.store), -EIO);
        CHECK_EQ(store_commit(w.alice.store), -EIO);
        sim_run(&w.sim, USEC_PER_MINUTE);
        stack_knows(&w.alice, &w.bob.who, CONTACT_MEMBER);
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK_EQ(w.alice.n_up, 1);
        world_free(&w);
}

/* Sixty of whom nobody answers, and each attempt takes its time. */
TEST(held_links_are_in_nobodys_way) {
        Person others[60];
        World w;

        world_new(&w, CONTACT_PINNED);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                char name[16];

                snprintf(name, sizeof(name), "hole-%zu", i);
                person_new(&w.sim, name, &others[i]);
                (void)stack_knows(&w.alice, &others[i], 0);
                if (i < 25)
                        CHECK_OK(network_swallow(w.sim.network, name, STACK_PORT));
                CHECK_OK(delivery_hold_link(w.alice.delivery, person_account(&others[i]), true));
        }
        sim_run(&w.sim, 100 * USEC_PER_MSEC);
        CHECK_EQ(delivery_count_links(w.alice.delivery), 0);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        sim_run(&w.sim, 100 * USEC_PER_MSEC);
        CHECK_EQ(w.alice.n_delivered, 1);
        CHECK(network_most_at_once(w.sim.network) <= 17);

        /* All of them get their turn. */
        sim_run(&w.sim, 5 * USEC_PER_MINUTE);
        CHECK(network_n_dialled(w.sim.network) > ELEMENTSOF(others));
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                person_done(&others[i]);
        world_free(&w);
}

TEST(more_than_can_be_held_are_not) {
        uint8_t account[KEY_SIZE] = {};
        World w;

        world_new(&w, CONTACT_PINNED);
        for (unsigned i = 0; i < DELIVERY_HOLDS_MAX; i++) {
                memcpy(account, &i, sizeof(i));
                CHECK_OK(delivery_hold_link(w.alice.delivery, account, true));
        }
        CHECK_EQ(alice_holds(&w, true), -ENOBUFS);
        CHECK_OK(delivery_hold_link(w.alice.delivery, account, false));
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_up == 1);
        world_free(&w);
}

TEST(nobody_is_held_when_all_has_stopped) {
        unsigned n;
        World w;

        world_new(&w, CONTACT_PINNED);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_rooms_up == 1 && w.bob.n_rooms_up == 1);
        delivery_stop(w.alice.delivery);
        CHECK_EQ(w.alice.n_rooms_down, 1);
        SIM_UNTIL(&w.sim, w.bob.n_rooms_down == 1);
        CHECK_EQ(alice_holds(&w, true), -ENOTCONN);
        n = network_n_dialled(w.sim.network);
        delivery_start(w.alice.delivery);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(network_n_dialled(w.sim.network), n);
        world_free(&w);
}

/* What is said of rooms */

static void say_of_rooms(Link *l) {
        CHECK_OK(frame_put_empty(link_output(l), FRAME_ROOM_SYNC, 0));
        CHECK_OK(frame_put_empty(link_output(l), FRAME_ROOM_ENTRIES, 0));
        link_queued(l);
}

TEST(frames_about_rooms_pass) {
        World w;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_rooms_up == 1 && w.bob.n_rooms_up == 1);
        say_of_rooms(w.alice.rooms);
        say_of_rooms(w.bob.rooms);
        SIM_UNTIL(&w.sim, w.alice.n_rooms_frames == 2 && w.bob.n_rooms_frames == 2);
        world_free(&w);
}

/* Both see the old one go before there is another one. */
TEST(a_link_that_takes_anothers_place_is_another_one) {
        World w;

        world_new(&w, CONTACT_PINNED);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.alice.n_rooms_up == 1 && w.bob.n_rooms_up == 1);
        network_cut(w.sim.network, 3);
        stack_stop(&w.alice); /* Bob does not hear it */
        CHECK_EQ(w.bob.n_rooms_down, 0);
        w.alice.n_rooms_up = w.alice.n_rooms_down = 0;
        stack_start(&w.alice);
        CHECK_OK(alice_holds(&w, true));
        SIM_UNTIL(&w.sim, w.bob.n_rooms_up == 2);
        CHECK_EQ(w.bob.n_rooms_down, 1);
        SIM_UNTIL(&w.sim, w.alice.n_rooms_up == 1);
        say_of_rooms(w.alice.rooms);
        SIM_UNTIL(&w.sim, w.bob.n_rooms_frames == 2);
        world_free(&w);
}

static void greet_bob(World *w, Person *carol, Far *far, bool rooms) {
        static const PipeOptions options = {.latency = 2 * USEC_PER_MSEC, .capacity = 1 << 20};
        Hello h = person_hello(carol);
        Transport *ends[2];
        Pipe *p;

        CHECK_OK(pipe_new(w->sim.loop, &options, ends, &p));
        far_begin(far, carol, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w->bob.delivery, ends[1]);
        if (rooms)
                h.features[h.n_features++] = FEATURE_ROOMS;
        far_send_hello(far, &h);
        far_take(far, FRAME_HELLO_OK);
        far_sent(far, hello_ok_encode(conn_output(far->conn), &(HelloOk){}));
        SIM_UNTIL(&w->sim, w->bob.n_up > 0);
        pipe_unref(p);
}

TEST(who_does_not_take_rooms_is_not_told_of_any) {
        Person carol;
        Far far;
        World w;

        world_new(&w, CONTACT_PINNED);
        person_new(&w.sim, "carol", &carol);
        stack_knows(&w.bob, &carol, 0);
        greet_bob(&w, &carol, &far, false);
        CHECK_EQ(w.bob.n_rooms_up, 0);
        CHECK(far_is_served(&far));
        far_send_empty(&far, FRAME_ROOM_SYNC, 0);
        SIM_UNTIL(&w.sim, far.is_closed);
        CHECK_EQ(w.bob.n_rooms_frames, 0);
        far_free(&far);

        w.bob.n_up = 0;
        greet_bob(&w, &carol, &far, true);
        CHECK_EQ(w.bob.n_rooms_up, 1);
        far_send_empty(&far, FRAME_ROOM_SYNC, 0);
        SIM_UNTIL(&w.sim, w.bob.n_rooms_frames == 1);
        CHECK(far_is_served(&far));
        far_free(&far);
        SIM_UNTIL(&w.sim, w.bob.n_rooms_down == 1);
        person_done(&carol);
        world_free(&w);
}
