/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is at an address: what the prober learns, and that nobody else notices. */

#include "test.h"

#include "stack-lab.h"

#define PORT 4000

typedef struct World {
        Sim sim;
        Stack alice, bob;
        SockAddr at; /* where Bob listens, or whoever the test puts there */
        unsigned n_called;
        int error;
        Greeting greeting; /* its bytes are gone */
        Record record;
        DeliveryProbe *probe;
        Far far;
        Person *there;
} World;

static void world_new(World *w) {
        *w = (World){};
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "alice", &w->alice);
        stack_new(&w->sim, "bob", &w->bob);
        CHECK_OK(sockaddr_parse_ip("192.0.2.1", PORT, &w->at));
}

static void world_free(World *w) {
        far_free(&w->far);
        stack_free(&w->alice);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

static void bob_listens_there(World *w) {
        CHECK_OK(network_listen(w->sim.network, "192.0.2.1", PORT, stack_on_accept, &w->bob));
}

static void on_far_accept(void *userdata, Transport *t) {
        World *w = userdata;

        far_free(&w->far);
        far_begin(&w->far, w->there, TLS_SERVER, LINK_ALPN, t);
}

static void is_there(World *w, Person *who) {
        w->there = who;
        CHECK_OK(network_listen(w->sim.network, "192.0.2.1", PORT, on_far_accept, w));
}

static void on_probed(void *userdata, int error, const Greeting *g, Bytes record) {
        World *w = userdata;

        w->n_called++;
        w->error = error;
        CHECK((error >= 0) == (g != NULL));
        if (!g)
                return;
        w->greeting = *g;
        CHECK_OK(record_decode(record, &w->record));
}

static int try_probe(World *w) {
        return delivery_probe(
                w->alice.delivery, person_account(&w->bob.who), &w->at, on_probed, w, &w->probe);
}

static void begin_probe(World *w) {
        CHECK_OK(try_probe(w));
}

static int probe(World *w) {
        unsigned n = w->n_called;

        begin_probe(w);
        CHECK_EQ(w->n_called, n); /* later */
        SIM_UNTIL(&w->sim, w->n_called > n);
        sim_run(&w->sim, USEC_PER_MINUTE);
        CHECK_EQ(w->n_called, n + 1);
        return w->error;
}

static bool knows(Stack *s, const Person *other) {
        Contact c;

        return contact_get(store_write(s->store), person_account(other), &c) > 0;
}

TEST(a_probe_says_who_is_there) {
        const Person *bob;
        World w;

        world_new(&w);
        bob = &w.bob.who;
        bob_listens_there(&w);
        CHECK_OK(probe(&w));
        CHECK(key_equal(w.greeting.certificate.account, person_account(bob)));
        CHECK(key_equal(w.greeting.certificate.device, sign_key_public(&bob->device)));
        CHECK(memcmp(w.greeting.hello.boot_nonce, bob->local.boot_nonce, BOOT_NONCE_SIZE) == 0);
        CHECK_STR(w.record.name, "bob");

        /* Nobody is a contact for it, or has had a link. */
        CHECK(!knows(&w.alice, bob) && !knows(&w.bob, &w.alice.who));
        CHECK(w.alice.n_up == 0 && w.bob.n_up == 0);
        world_free(&w);
}

TEST(somebody_on_the_same_link_is_probed_there) {
        World w;

        world_new(&w);
        CHECK_OK(sockaddr_parse_scoped_ip("fe80::1%lo", PORT, &w.at));
        CHECK_OK(network_listen(w.sim.network, "fe80::1%lo", PORT, stack_on_accept, &w.bob));
        CHECK_OK(probe(&w));
        world_free(&w);
}

TEST(who_probes_says_nothing) {
        World w;
        Hello h;

        world_new(&w);
        is_there(&w, &w.bob.who);
        begin_probe(&w);
        h = person_hello(&w.bob.who);
        SIM_UNTIL(&w.sim, w.far.is_open);
        far_send_hello(&w.far, &h);
        SIM_UNTIL(&w.sim, w.far.is_closed);
        CHECK_EQ(w.n_called, 1);
        CHECK_OK(w.error);
        CHECK(!w.far.incoming);
        world_free(&w);
}

static int probe_with_hello(World *w, const Hello *h) {
        unsigned n = w->n_called;

        begin_probe(w);
        SIM_UNTIL(&w->sim, w->far.is_open && !w->far.is_closed);
        far_send_hello(&w->far, h);
        SIM_UNTIL(&w->sim, w->n_called > n);
        far_free(&w->far);
        return w->error;
}

TEST(somebody_else_is_not_taken_for_him) {
        Person mallory;
        World w;
        Hello h;

        world_new(&w);
        person_new(&w.sim, "mallory", &mallory);
        is_there(&w, &mallory);
        h = person_hello(&mallory);
        CHECK_EQ(probe_with_hello(&w, &h), -EKEYREJECTED);
        h = person_hello(&w.bob.who); /* which she has heard from him */
        CHECK_EQ(probe_with_hello(&w, &h), -EBADMSG);

        w.there = &w.bob.who;
        person_sign(&w.bob.who, USEC_PER_SEC);
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        h = person_hello(&w.bob.who);
        CHECK_EQ(probe_with_hello(&w, &h), -EBADMSG);
        person_sign(&w.bob.who, IDENTITY_LIFETIME);
        h = person_hello(&w.bob.who);
        CHECK_OK(probe_with_hello(&w, &h));
        person_done(&mallory);
        world_free(&w);
}

TEST(something_else_than_hello_is_no_answer) {
        World w;

        world_new(&w);
        is_there(&w, &w.bob.who);
        begin_probe(&w);
        SIM_UNTIL(&w.sim, w.far.is_open);
        far_send_empty(&w.far, FRAME_PING, 0);
        SIM_UNTIL(&w.sim, w.n_called == 1);
        CHECK_EQ(w.error, -EBADMSG);
        world_free(&w);
}

TEST(a_probe_of_nobody_ends) {
        usec_t start;
        World w;

        world_new(&w);
        CHECK_EQ(probe(&w), -ECONNREFUSED);
        CHECK_OK(network_swallow(w.sim.network, "192.0.2.1", PORT));
        start = loop_now(w.sim.loop);
        begin_probe(&w);
        SIM_UNTIL(&w.sim, w.n_called == 2);
        CHECK_EQ(w.error, -ETIMEDOUT);
        CHECK(loop_now(w.sim.loop) - start <= 6 * USEC_PER_SEC);

        network_close(w.sim.network, "192.0.2.1", PORT);
        is_there(&w, &w.bob.who); /* and says nothing */
        start = loop_now(w.sim.loop);
        begin_probe(&w);
        SIM_UNTIL(&w.sim, w.n_called == 3);
        CHECK(w.far.is_open);
        CHECK_EQ(w.error, -ETIMEDOUT);
        CHECK(loop_now(w.sim.loop) - start <= 6 * USEC_PER_SEC);
        world_free(&w);
}

TEST(probes_are_bounded_and_end_with_delivery) {
        World w;

        world_new(&w);
        CHECK_OK(network_swallow(w.sim.network, "192.0.2.1", PORT));
        for (unsigned i = 0; i < DELIVERY_PROBES_MAX; i++)
                begin_probe(&w);
        CHECK_EQ(try_probe(&w), -EBUSY);
        delivery_probe_free(w.probe);
        begin_probe(&w);
        delivery_stop(w.alice.delivery);
        CHECK_EQ(w.n_called, DELIVERY_PROBES_MAX);
        CHECK_EQ(w.error, -ECANCELED);
        CHECK_EQ(try_probe(&w), -ENOTCONN);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.n_called, DELIVERY_PROBES_MAX);
        world_free(&w);
}

static void take_ten_probes(World *w, usec_t between) {
        for (unsigned i = 0; i < 10; i++) {
                begin_probe(w);
                sim_run(&w->sim, between);
        }
}

/* Before there is a link, while there are attempts to get one from both ends, and after. */
TEST(a_link_to_the_same_account_is_not_concerned) {
        World w;

        world_new(&w);
        bob_listens_there(&w);
        stack_knows(&w.alice, &w.bob.who, CONTACT_PINNED);
        stack_knows(&w.bob, &w.alice.who, CONTACT_PINNED);
        begin_probe(&w);
        stack_send(&w.alice, &w.bob.who, "hi");
        stack_send(&w.bob, &w.alice.who, "ho");
        take_ten_probes(&w, USEC_PER_MSEC);
        SIM_UNTIL(&w.sim, w.alice.n_delivered == 1 && w.bob.n_delivered == 1);
        take_ten_probes(&w, USEC_PER_SEC);
        CHECK_EQ(w.n_called, 21);
        CHECK_OK(w.error);
        CHECK(w.alice.n_up == 1 && w.alice.n_down == 0);
        CHECK(w.bob.n_up == 1 && w.bob.n_down == 0);
        world_free(&w);
}
