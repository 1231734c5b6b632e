/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Ways over the local network are taken first, and when they turn up later. */

#include "test.h"

#include "stack-lab.h"

#define LAN_HOST "192.0.2.1"
#define FAR_HOST "198.51.100.1"

typedef struct World {
        Sim sim;
        Stack alice, bob; /* who is reached from elsewhere at FAR_HOST */
        Contact contact; /* Bob, as Alice knows him */
        unsigned n_lan, n_far; /* connections that Bob has accepted there */
} World;

static void on_lan_accept(void *userdata, Transport *t) {
        World *w = userdata;

        w->n_lan++;
        stack_on_accept(&w->bob, t);
}

static void on_far_accept(void *userdata, Transport *t) {
        World *w = userdata;

        w->n_far++;
        stack_on_accept(&w->bob, t);
}

static int send_nothing(void *userdata, Bytes datagram) {
        return 0;
}

static void world_new(World *w) {
        Endpoints e = {.text = {FAR_HOST ":7425"}, .n = 1};

        *w = (World){};
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "alice", &w->alice);
        stack_new(&w->sim, "bob", &w->bob);
        stack_knows(&w->bob, &w->alice.who, CONTACT_PINNED);
        w->contact = stack_knows(&w->alice, &w->bob.who, CONTACT_PINNED);
        CHECK(store_set_endpoints(w->alice.store, w->contact.number, &e) >= 0);
        CHECK_OK(network_listen(w->sim.network, LAN_HOST, STACK_PORT, on_lan_accept, w));
        CHECK_OK(network_listen(w->sim.network, FAR_HOST, STACK_PORT, on_far_accept, w));
        directory_lan_start(w->alice.directory, &(LanSettings){.interval = 10}, send_nothing, w);
        CHECK_OK(directory_watch(w->alice.directory, person_account(&w->bob.who)));
}

static void world_free(World *w) {
        stack_free(&w->alice);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

static void bob_is_heard(World *w, const char *host) {
        SockAddr at;

        CHECK_OK(sockaddr_parse_ip(host, STACK_PORT, &at));
        directory_lan_candidate(w->alice.directory, person_account(&w->bob.who), &at);
        sim_run(&w->sim, 100 * USEC_PER_MSEC);
        CHECK(directory_lan_count(w->alice.directory) == 1);
}

static void exchange(World *w) {
        unsigned a = w->alice.n_delivered, b = w->bob.n_delivered;

        (void)stack_send(&w->alice, &w->bob.who, "hi");
        (void)stack_send(&w->bob, &w->alice.who, "ho");
        SIM_UNTIL(&w->sim, w->alice.n_delivered == a + 1 && w->bob.n_delivered == b + 1);
        CHECK_EQ(w->alice.n_shown, w->bob.n_delivered);
        CHECK_EQ(w->bob.n_shown, w->alice.n_delivered);
}

static void check_one_link(const World *w, unsigned n) {
        CHECK_EQ(delivery_count_links(w->alice.delivery), 1);
        CHECK_EQ(delivery_count_links(w->bob.delivery), 1);
        CHECK(w->alice.n_up == n && w->alice.n_down == n - 1);
        CHECK(w->bob.n_up == n && w->bob.n_down == n - 1);
}

TEST(the_way_over_the_local_network_is_taken_first) {
        Endpoints e = {};
        World w;

        world_new(&w);
        bob_is_heard(&w, LAN_HOST);
        CHECK_EQ(w.n_lan, 1); /* the probe */
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK(w.n_lan == 2 && w.n_far == 0);
        CHECK_EQ(store_get_endpoints(store_write(w.alice.store), w.contact.number, &e), 1);
        CHECK_STR(e.text[0], LAN_HOST ":7425"); /* for when nobody says so */
        CHECK_STR(e.text[1], FAR_HOST ":7425");
        sim_run(&w.sim, USEC_PER_MINUTE);
        check_one_link(&w, 1);
        world_free(&w);
}

TEST(a_local_address_that_is_dead_costs_a_moment) {
        usec_t start;
        World w;

        world_new(&w);
        bob_is_heard(&w, LAN_HOST);
        network_close(w.sim.network, LAN_HOST, STACK_PORT);
        CHECK_OK(network_swallow(w.sim.network, LAN_HOST, STACK_PORT));
        start = loop_now(w.sim.loop);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK(loop_now(w.sim.loop) - start < USEC_PER_SEC);
        CHECK_EQ(w.n_far, 1);
        world_free(&w);
}

/* Where else he is was known, and wrong. */
TEST(who_is_heard_on_the_local_network_is_dialled_at_once) {
        World w;

        world_new(&w);
        network_close(w.sim.network, FAR_HOST, STACK_PORT);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(w.alice.n_delivered, 0);
        bob_is_heard(&w, LAN_HOST);
        CHECK_EQ(w.alice.n_delivered, 1);
        world_free(&w);
}

TEST(a_link_that_goes_another_way_is_replaced_once) {
        World w;

        world_new(&w);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        CHECK_EQ(w.n_far, 1);
        bob_is_heard(&w, LAN_HOST);
        for (unsigned i = 0; i < 50; i++) { /* whatever is on its way meanwhile */
                (void)stack_send(&w.alice, &w.bob.who, "and");
                (void)stack_send(&w.bob, &w.alice.who, "or");
                sim_run(&w.sim, 100 * USEC_PER_MSEC);
        }
        exchange(&w);
        CHECK_EQ(w.n_lan, 2); /* the probe, and the link */
        check_one_link(&w, 2);

        /* And it stays. */
        for (unsigned i = 0; i < 10; i++) {
                bob_is_heard(&w, LAN_HOST);
                sim_run(&w.sim, USEC_PER_MINUTE);
        }
        exchange(&w);
        check_one_link(&w, 2);
        CHECK_EQ(w.n_far, 1);
        world_free(&w);
}

TEST(a_link_over_the_local_network_stays_whatever_other_address_there_is) {
        World w;

        world_new(&w);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        bob_is_heard(&w, LAN_HOST);
        bob_is_heard(&w, FAR_HOST); /* it was local all the time */
        sim_run(&w.sim, USEC_PER_MINUTE);
        exchange(&w);
        check_one_link(&w, 1);
        world_free(&w);
}

TEST(a_link_that_the_other_end_has_opened_stays) {
        World w;

        world_new(&w);
        (void)stack_send(&w.bob, &w.alice.who, "hi");
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        bob_is_heard(&w, LAN_HOST);
        sim_run(&w.sim, USEC_PER_MINUTE);
        exchange(&w);
        check_one_link(&w, 1);
        world_free(&w);
}

/* It is proved, and gone before the link is to go there. */
TEST(a_link_stays_where_the_nearer_way_leads_nowhere) {
        World w;

        world_new(&w);
        (void)stack_send(&w.alice, &w.bob.who, "hi");
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1);
        bob_is_heard(&w, LAN_HOST);
        network_close(w.sim.network, LAN_HOST, STACK_PORT);
        sim_run(&w.sim, USEC_PER_MINUTE);
        exchange(&w);
        check_one_link(&w, 1);
        world_free(&w);
}
