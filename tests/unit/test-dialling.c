/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is dialled when, at which of his addresses, and what comes of it. */

#include "test.h"

#include "stack-lab.h"

typedef struct World {
        Sim sim;
        Stack alice, bob;
        Contact contact; /* Bob, as Alice knows him */
} World;

static void world_new(World *w) {
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "alice", &w->alice);
        stack_new(&w->sim, "bob", &w->bob);
        w->contact = stack_knows(&w->alice, &w->bob.who, CONTACT_PINNED);
        stack_knows(&w->bob, &w->alice.who, CONTACT_PINNED);
}

static void world_free(World *w) {
        stack_free(&w->alice);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

/* Alice has reached Bob at the first, and heard of the others. */
static void bob_is_at(World *w, const char *const *endpoints, size_t n) {
        Endpoints e = {.n = n};

        for (size_t i = 0; i < n; i++)
                snprintf(e.text[i], sizeof(e.text[i]), "%s", endpoints[i]);
        CHECK(store_set_endpoints(w->alice.store, w->contact.number, &e) >= 0);
        CHECK_OK(store_commit(w->alice.store));
}

static usec_t send_and_wait(World *w) {
        usec_t start = loop_now(w->sim.loop);
        unsigned n = w->alice.n_delivered;

        (void)stack_send(&w->alice, &w->bob.who, "hi");
        SIM_UNTIL(&w->sim, w->alice.n_delivered == n + 1);
        return loop_now(w->sim.loop) - start;
}

/* Several addresses */

TEST(an_address_that_does_not_answer_costs_a_moment) {
        static const char *const endpoints[] = {"hole-1:1", "hole-2:1", "bob:7425"};
        World w;

        world_new(&w);
        CHECK_OK(network_swallow(w.sim.network, "hole-1", 1));
        CHECK_OK(network_swallow(w.sim.network, "hole-2", 1));
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        CHECK(send_and_wait(&w) < USEC_PER_SEC);
        CHECK(w.bob.n_up == 1 && w.alice.n_up == 1);

        /* It is known now where he is. */
        stack_stop(&w.bob);
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_down == 1);
        CHECK(send_and_wait(&w) < 100 * USEC_PER_MSEC);
        world_free(&w);
}

TEST(an_address_that_refuses_costs_nothing) {
        static const char *const endpoints[] = {"gone-1:1", "gone-2:1", "gone-3:1", "bob:7425"};
        World w;

        world_new(&w);
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        CHECK(send_and_wait(&w) < 100 * USEC_PER_MSEC);
        CHECK_EQ(network_n_dialled(w.sim.network), 4);
        world_free(&w);
}

/* He has moved while nobody looked, and says so when his old address is being tried. */
TEST(who_says_where_he_is_is_dialled_there_at_once) {
        static const char *const endpoints[] = {"hole:1"};
        const uint8_t *account;
        PresenceRecord p;
        Record record;
        Buffer presence;
        World w;

        world_new(&w);
        account = person_account(&w.bob.who);
        CHECK_OK(network_swallow(w.sim.network, "hole", 1));
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        CHECK_OK(directory_watch(w.alice.directory, account));
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        sim_run(&w.sim, 100 * USEC_PER_MSEC);
        CHECK_EQ(w.alice.n_up, 0);

        presence = person_presence(&w.bob.who, PRESENCE_ONLINE, 1, "bob:7425");
        CHECK_OK(presence_decode(buffer_bytes(&presence), &p));
        CHECK_OK(record_decode(w.bob.who.local.record, &record));
        directory_learn(w.alice.directory, &record, &p, loop_now(w.sim.loop));
        delivery_appeared(w.alice.delivery, account);
        sim_run(&w.sim, 100 * USEC_PER_MSEC);
        CHECK_EQ(w.alice.n_delivered, 1);
        CHECK(w.bob.n_up == 1 && w.alice.n_up == 1);
        buffer_done(&presence);
        world_free(&w);
}

/* Accepts connections, and says nothing at all. */
static void on_mute_accept(void *userdata, Transport *t) {
        Transport **kept = userdata;

        CHECK(!*kept);
        *kept = t;
}

TEST(an_address_that_says_nothing_costs_a_moment) {
        static const char *const endpoints[] = {"mute:1", "bob:7425"};
        Transport *kept = NULL;
        World w;

        world_new(&w);
        CHECK_OK(network_listen(w.sim.network, "mute", 1, on_mute_accept, &kept));
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        CHECK(send_and_wait(&w) < USEC_PER_SEC);
        CHECK(kept);
        transport_free(kept);
        world_free(&w);
}

/* Somebody who has got an address that was Bob's. */
typedef struct Stranger {
        Person who;
        Far far;
        unsigned n;
} Stranger;

static void on_stranger_accept(void *userdata, Transport *t) {
        Stranger *s = userdata;

        far_free(&s->far);
        s->n++;
        far_begin(&s->far, &s->who, TLS_SERVER, LINK_ALPN, t);
}

TEST(somebody_else_at_an_address_is_in_nobodys_way) {
        static const char *const endpoints[] = {"was-bob:1", "bob:7425"};
        Stranger s = {};
        World w;
        Hello h;

        world_new(&w);
        person_new(&w.sim, "mallory", &s.who);
        CHECK_OK(network_listen(w.sim.network, "was-bob", 1, on_stranger_accept, &s));
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        stack_hide(&w.bob);
        (void)stack_send(&w.alice, &w.bob.who, "for Bob only");
        for (unsigned i = 1; i <= 2; i++) {
                h = person_hello(&s.who);
                SIM_UNTIL(&w.sim, s.n == i);
                far_send_hello(&s.far, &h);
                CHECK_EQ(far_bye(&s.far), CODE_KEY_CHANGED);
                /* Where there are other ways, he has not learned who called either. */
                CHECK(i > 1 || !far_has(&s.far, FRAME_HELLO));
                if (i == 1) {
                        usec_t start = loop_now(w.sim.loop);

                        SIM_UNTIL(&w.sim, s.n == 2); /* after others have been tried often */
                        CHECK(loop_now(w.sim.loop) - start > 50 * USEC_PER_SEC);
                        CHECK(network_n_dialled(w.sim.network) >= 6);
                }
        }
        stack_listen(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK_EQ(w.alice.n_up, 1);
        far_free(&s.far);
        person_done(&s.who);
        world_free(&w);
}

TEST(of_several_ways_to_somebody_one_is_taken) {
        static const char *const endpoints[] = {"bob-1:1", "bob-2:1", "bob-3:1", "bob-4:1"};
        World w;

        world_new(&w);
        for (unsigned i = 0; i < ELEMENTSOF(endpoints); i++) {
                char host[8];

                snprintf(host, sizeof(host), "bob-%u", i + 1);
                CHECK_OK(network_listen(w.sim.network, host, 1, stack_on_accept, &w.bob));
        }
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        /* So slow that all of them are on their way before the first is there. */
        network_set_options(w.sim.network, &(PipeOptions){.latency = 300 * USEC_PER_MSEC});
        for (unsigned round = 1; round <= 3; round++) {
                (void)send_and_wait(&w);
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK_EQ(w.bob.n_up, round); /* and Bob has seen one link */
                CHECK_EQ(w.bob.n_down, round - 1);
                CHECK_EQ(w.alice.n_up, round);
                network_cut(w.sim.network, PIPE_FORTH | PIPE_BACK);
                SIM_UNTIL(&w.sim, w.alice.n_down == round && w.bob.n_down == round);
        }
        CHECK_EQ(w.bob.n_shown, 3);
        world_free(&w);
}

TEST(both_call_at_all_addresses_at_once) {
        static const char *const bobs[] = {"bob-1:1", "bob-2:1", "bob:7425"};
        Endpoints e = {.text = {"alice-1:1", "alice:7425"}, .n = 2};
        Contact alice;
        World w;

        world_new(&w);
        CHECK_OK(network_listen(w.sim.network, "bob-1", 1, stack_on_accept, &w.bob));
        CHECK_OK(network_listen(w.sim.network, "bob-2", 1, stack_on_accept, &w.bob));
        CHECK_OK(network_listen(w.sim.network, "alice-1", 1, stack_on_accept, &w.alice));
        bob_is_at(&w, bobs, ELEMENTSOF(bobs));
        alice = stack_knows(&w.bob, &w.alice.who, CONTACT_PINNED);
        CHECK(store_set_endpoints(w.bob.store, alice.number, &e) >= 0);
        for (unsigned latency = 1; latency <= 401; latency += 20) {
                unsigned n = w.alice.n_delivered + 1;

                network_set_options(
                        w.sim.network, &(PipeOptions){.latency = latency * USEC_PER_MSEC});
                (void)stack_send(&w.alice, &w.bob.who, "hi");
                (void)stack_send(&w.bob, &w.alice.who, "ho");
                SIM_UNTIL(&w.sim, w.alice.n_delivered == n && w.bob.n_delivered == n);
                CHECK(delivery_count_links(w.alice.delivery) == 1 &&
                        delivery_count_links(w.bob.delivery) == 1);
                network_cut(w.sim.network, PIPE_FORTH | PIPE_BACK);
                SIM_UNTIL(&w.sim, w.alice.n_down == w.alice.n_up && w.bob.n_down == w.bob.n_up);
        }
        world_free(&w);
}

TEST(an_incoming_link_makes_no_address_forgotten) {
        static const char *const endpoints[] = {"nowhere:1", "bob:7425"};
        World w;

        world_new(&w);
        bob_is_at(&w, endpoints, ELEMENTSOF(endpoints));
        (void)stack_send(&w.bob, &w.alice.who, "hi");
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        stack_stop(&w.bob);
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_down == 1);
        CHECK(send_and_wait(&w) < USEC_PER_SEC);
        world_free(&w);
}

/* Both have called at once: nothing is wrong with the address of the link that gave way. */
TEST(whose_call_gave_way_may_call_again_at_once) {
        Stack *stays, *gave_way;
        usec_t start;
        World w;

        world_new(&w);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        (void)stack_send(&w.bob, &w.alice.who, "ho");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1 && w.bob.n_delivered == 1);
        stays = &w.bob;
        gave_way = &w.alice;
        if (memcmp(sign_key_public(&w.alice.who.device), sign_key_public(&w.bob.who.device),
                    KEY_SIZE) < 0) {
                stays = &w.alice;
                gave_way = &w.bob;
        }
        stack_stop(stays);
        stack_start(stays);
        SIM_UNTIL(&w.sim, gave_way->n_down == 1);
        start = loop_now(w.sim.loop);
        (void)stack_send(gave_way, &stays->who, "again");
        SIM_UNTIL(&w.sim, gave_way->n_delivered == 2);
        CHECK(loop_now(w.sim.loop) - start < 100 * USEC_PER_MSEC);
        world_free(&w);
}

/* Not too often */

TEST(many_messages_are_not_many_attempts) {
        unsigned n;
        World w;

        world_new(&w);
        stack_stop(&w.bob);
        for (unsigned i = 0; i < 600; i++) {
                (void)stack_send(&w.alice, &w.bob.who, "are you there?");
                sim_run(&w.sim, USEC_PER_SEC);
        }
        n = network_n_dialled(w.sim.network);
        CHECK(n >= 8 && n <= 13); /* after 1, 2, 4, … 300 s */
        stack_start(&w.bob);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 600);
        world_free(&w);
}

TEST(who_appears_is_dialled_whatever_was_before) {
        usec_t start;
        World w;

        world_new(&w);
        stack_stop(&w.bob);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        sim_run(&w.sim, USEC_PER_HOUR);
        for (unsigned i = 0; i < 5; i++) { /* a false alarm, each time */
                unsigned n = network_n_dialled(w.sim.network);

                delivery_appeared(w.alice.delivery, person_account(&w.bob.who));
                for (unsigned k = 0; k < 100; k++) {
                        sim_run(&w.sim, 10 * USEC_PER_MSEC);
                        delivery_appeared(w.alice.delivery, person_account(&w.bob.who));
                }
                CHECK(network_n_dialled(w.sim.network) >= n + 1);
                CHECK(network_n_dialled(w.sim.network) <= n + 3); /* one a second */
                sim_run(&w.sim, 2 * USEC_PER_SEC);
        }
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        stack_start(&w.bob);
        start = loop_now(w.sim.loop);
        delivery_appeared(w.alice.delivery, person_account(&w.bob.who));
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK(loop_now(w.sim.loop) - start < 100 * USEC_PER_MSEC);
        world_free(&w);
}

/* Its network is another one, or the others have given it up. */
TEST(who_wakes_up_finds_the_others_again) {
        usec_t start;
        World w;

        world_new(&w);
        (void)send_and_wait(&w);
        delivery_woke(w.alice.delivery);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.alice.n_down, 0); /* Bob has answered */

        network_cut(w.sim.network, PIPE_FORTH | PIPE_BACK);
        (void)stack_send(&w.alice, &w.bob.who, "are you still there?");
        start = loop_now(w.sim.loop);
        delivery_woke(w.alice.delivery);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 2);
        CHECK(loop_now(w.sim.loop) - start < 10 * USEC_PER_SEC);
        CHECK_EQ(w.bob.n_shown, 2);

        stack_stop(&w.bob);
        (void)stack_send(&w.alice, &w.bob.who, "and now?");
        sim_run(&w.sim, USEC_PER_HOUR);
        stack_start(&w.bob);
        start = loop_now(w.sim.loop);
        delivery_woke(w.alice.delivery);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 3);
        CHECK(loop_now(w.sim.loop) - start < 100 * USEC_PER_MSEC);
        world_free(&w);
}

/* Many at once */

#define CROWD 300

/* People for whom there is something at Alice's, and who are not where she believes. */
static void crowd_new(World *w, Person *crowd, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                Endpoints e = {.n = 1};
                Record record;
                char name[32];
                Contact c;

                snprintf(name, sizeof(name), "nobody%u", i);
                person_new(&w->sim, name, &crowd[i]);
                CHECK_OK(record_decode(crowd[i].local.record, &record));
                CHECK(contact_learn(w->alice.store, &record, crowd[i].local.record,
                              loop_realtime(w->sim.loop), CONTACT_PINNED, true, &c) >= 0);
                snprintf(e.text[0], sizeof(e.text[0]), "%s:7425", name);
                CHECK(store_set_endpoints(w->alice.store, c.number, &e) >= 0);
                (void)stack_put(&w->alice, &crowd[i], text_bytes("anybody there?"), 0);
        }
        CHECK_OK(store_commit(w->alice.store));
}

static void crowd_done(Person *crowd, unsigned n) {
        for (unsigned i = 0; i < n; i++)
                person_done(&crowd[i]);
}

TEST(a_crowd_is_dialled_a_few_at_a_time) {
        static Person crowd[CROWD];
        usec_t start;
        World w;

        world_new(&w);
        crowd_new(&w, crowd, CROWD);
        for (unsigned i = 0; i < CROWD; i++)
                CHECK_OK(network_swallow(w.sim.network, crowd[i].name, STACK_PORT));
        stack_stop(&w.alice);
        stack_start(&w.alice);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK_EQ(network_most_at_once(w.sim.network), 32);

        /* Who appears goes first. */
        start = loop_now(w.sim.loop);
        (void)stack_put(&w.alice, &w.bob.who, text_bytes("hi"), 0);
        CHECK_OK(store_commit(w.alice.store));
        delivery_appeared(w.alice.delivery, person_account(&w.bob.who));
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK(loop_now(w.sim.loop) - start < 6 * USEC_PER_SEC); /* a place, and his own time */

        /* Everybody gets his turn. */
        SIM_UNTIL(&w.sim, network_n_dialled(w.sim.network) >= CROWD);
        CHECK(loop_now(w.sim.loop) - start < 3 * CROWD / 32 * 6 * USEC_PER_SEC);
        for (unsigned i = 0; i < 10; i++)
                sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(network_most_at_once(w.sim.network), 32);
        crowd_done(crowd, CROWD);
        world_free(&w);
}

/* Of whom only some are remembered: the others are found again and again. */
TEST(recipients_beyond_what_is_remembered_get_their_turn) {
        static Person crowd[2500];
        const unsigned n = ELEMENTSOF(crowd);
        unsigned before;
        World w;

        world_new(&w);
        crowd_new(&w, crowd, n);
        stack_stop(&w.alice);
        stack_start(&w.alice);
        sim_run(&w.sim, USEC_PER_HOUR);
        before = network_n_dialled(w.sim.network);
        CHECK(before > 10 * n);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK(network_n_dialled(w.sim.network) - before > 8 * n);
        CHECK(network_n_dialled(w.sim.network) - before < 16 * n); /* in five minutes or so */

        /* One of those is back, and nobody says so. */
        for (unsigned i = 0; i < n; i += n / 10) {
                Stack s;

                stack_new_of(&crowd[i], &s);
                before = w.alice.n_delivered;
                SIM_UNTIL(&w.sim, w.alice.n_delivered == before + 1);
                CHECK_EQ(s.n_shown, 1);
                stack_free(&s);
        }
        crowd_done(crowd, n);
        world_free(&w);
}

TEST(a_recipient_without_a_word_is_found_by_the_walk) {
        World w;

        world_new(&w);
        (void)stack_put(&w.alice, &w.bob.who, text_bytes("from before"), 0);
        stack_stop(&w.alice);
        stack_start(&w.alice); /* nobody says for whom there is something */
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        world_free(&w);
}

TEST(one_with_very_many_leaves_room_for_others) {
        const unsigned many = 20000;
        Stack carol;
        World w;

        world_new(&w);
        stack_new(&w.sim, "carol", &carol);
        stack_knows(&w.alice, &carol.who, CONTACT_PINNED);
        stack_knows(&carol, &w.alice.who, CONTACT_PINNED);
        for (unsigned i = 0; i < many; i++)
                (void)stack_put(&w.alice, &w.bob.who, text_bytes("one of many"), 0);
        stack_send_off(&w.alice, &w.bob.who);
        SIM_UNTIL(&w.sim, w.bob.n_shown > 100);
        for (unsigned i = 0; i < 10; i++)
                (void)stack_put(&w.alice, &carol.who, text_bytes("one of few"), 0);
        stack_send_off(&w.alice, &carol.who);
        SIM_UNTIL(&w.sim, carol.n_shown == 10);
        CHECK(w.bob.n_shown < many / 2);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == many + 10);
        stack_free(&carol);
        world_free(&w);
}

/* Sends to people of whom there is no room to remember anything do not put off the walk that finds
 * them. */
TEST(a_steady_stream_of_sends_leaves_room_for_the_walk) {
        static Person crowd[2700];
        unsigned n = 1100;
        World w;

        world_new(&w);
        sim_run(&w.sim, USEC_PER_SEC);
        crowd_new(&w, crowd, n);
        for (unsigned i = 0; i < n; i++) {
                CHECK_OK(network_swallow(w.sim.network, crowd[i].name, STACK_PORT));
                delivery_wake(w.alice.delivery, person_account(&crowd[i]));
        }
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        while (w.alice.n_delivered == 0) { /* more than there are places */
                CHECK(n + 40 <= ELEMENTSOF(crowd));
                crowd_new(&w, crowd + n, 40);
                for (unsigned i = 0; i < 40; i++)
                        delivery_wake(w.alice.delivery, person_account(&crowd[n++]));
                sim_run(&w.sim, 500 * USEC_PER_MSEC);
        }
        crowd_done(crowd, n);
        world_free(&w);
}

/* He proves who he is, and says nothing more. */
TEST(who_never_says_hello_ok_is_not_waited_for_for_ever) {
        DeliverySettings settings = {.handshake = 0};
        Transport *ends[2];
        Person carol;
        unsigned n;
        Hello h;
        World w;
        Pipe *p;
        Far f;

        world_new(&w);
        delivery_set_settings(w.alice.delivery, &settings);
        person_new(&w.sim, "carol", &carol);
        stack_knows(&w.alice, &carol, CONTACT_PINNED);
        CHECK_OK(pipe_new(w.sim.loop, &(PipeOptions){.latency = 1}, ends, &p));
        far_begin(&f, &carol, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w.alice.delivery, ends[1]);
        h = person_hello(&carol);
        far_send_hello(&f, &h);
        far_take(&f, FRAME_HELLO_OK);
        n = network_n_dialled(w.sim.network);
        (void)stack_send(&w.alice, &carol, "hi");
        CHECK_EQ(far_bye(&f), CODE_TIMEOUT);
        SIM_UNTIL(&w.sim, network_n_dialled(w.sim.network) > n);
        pipe_unref(p);
        far_free(&f);
        person_done(&carol);
        world_free(&w);
}
