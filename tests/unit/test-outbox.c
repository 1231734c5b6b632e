/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sending to somebody who answers as he likes: what counts as delivered, what is tried again, and
 * what is given up. */

#include "test.h"

#include "far-lab.h"

/* Alice is the reader here. */

typedef struct Got {
        Uuid id;
        Inner inner;
        uint8_t hash[SHA256_SIZE];
        bool is_signed;
} Got;

/* The next MESSAGE. What INNER points to is not kept. */
static Got world_take_message(World *w) {
        Frame f = far_take(&w->far, FRAME_MESSAGE);
        MessageFrame m;
        Got g = {};

        CHECK_OK(message_decode(&f, &m));
        CHECK_OK(inner_decode(m.inner, &g.inner));
        g.id = g.inner.id;
        sha256(m.inner.data, m.inner.size, g.hash);
        g.is_signed = m.signature.size > 0;
        if (g.is_signed)
                CHECK_OK(entry_verify(
                        sign_key_public(&w->bob.self.device), g.hash, m.signature.data));
        g.inner.body = (Bytes){};
        return g;
}

/* As Alice should sign it, up to and with G. */
static Receipt make_receipt(World *w, const Got *g) {
        Receipt rc = {.epoch = 1,
                .ranges = {{1, g->inner.seq}},
                .n_ranges = 1,
                .state = RECEIPT_DELIVERED};

        memcpy(rc.conversation, g->inner.conversation, SHA256_SIZE);
        memcpy(rc.author, g->inner.account, KEY_SIZE);
        memcpy(rc.device, g->inner.device, KEY_SIZE);
        memcpy(rc.hash, g->hash, SHA256_SIZE);
        memcpy(rc.reader, person_account(&w->alice), KEY_SIZE);
        return rc;
}

static void say_receipt(World *w, const Receipt *rc, const SignKey *signer) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

        CHECK_OK(receipt_encode(&b, rc, signer));
        far_sent(&w->far, receipt_frame_encode(far_output(w), buffer_bytes(&b)));
}

static void say_ack(World *w, const Uuid *id) {
        far_sent(&w->far, ack_encode(far_output(w), id, 1));
}

static void say_nack(World *w, const Uuid *id, Code code, bool permanent, uint64_t retry_after) {
        far_sent(&w->far,
                nack_encode(far_output(w),
                        &(Nack){.id = *id,
                                .code = code,
                                .permanent = permanent,
                                .retry_after = retry_after}));
}

static void put_many(World *w, unsigned n, const char *text) {
        for (unsigned i = 0; i < n; i++)
                (void)stack_put(&w->bob, &w->alice, text_bytes(text), 0);
        stack_send_off(&w->bob, &w->alice);
}

/* Bursts */

TEST(a_burst_is_signed_once) {
        World w;

        world_new(&w, CONTACT_PINNED);
        put_many(&w, 2 * BURST_ENTRIES_MAX + 10, "hi");
        for (unsigned i = 1; i <= 2 * BURST_ENTRIES_MAX + 10; i++) {
                Got g = world_take_message(&w);

                CHECK_EQ(g.inner.seq, i);
                CHECK_EQ(
                        g.is_signed, i % BURST_ENTRIES_MAX == 0 || i == 2 * BURST_ENTRIES_MAX + 10);
        }
        (void)stack_send(&w.bob, &w.alice, "alone");
        CHECK(world_take_message(&w).is_signed);
        world_free(&w);
}

/* What is sent stops where it does: then it is authenticated, or the reader could not take it. */
static void burst_into(World *w, const char *text, unsigned n, bool acks) {
        unsigned unsigned_run = 0, taken = 0;

        put_many(w, n, text);
        while (taken < n) {
                Got g;

                if (!far_has(&w->far, FRAME_MESSAGE))
                        sim_run(&w->sim, USEC_PER_SEC);
                if (!far_has(&w->far, FRAME_MESSAGE))
                        break;
                g = world_take_message(w);
                taken++;
                unsigned_run = g.is_signed ? 0 : unsigned_run + 1;
                CHECK(unsigned_run < BURST_ENTRIES_MAX);
                if (acks)
                        say_ack(w, &g.id);
        }
        CHECK_EQ(unsigned_run, 0);
        CHECK(acks ? taken == n : taken < n);
        CHECK_EQ(w->bob.n_delivered, 0);
}

TEST(bursts_end_signed_wherever_they_must_stop) {
        static char large[50000];
        World w;

        memset(large, 'x', sizeof(large) - 1);
        for (int acks = 0; acks < 2; acks++) {
                world_new(&w, CONTACT_PINNED);
                burst_into(&w, large, 120, acks);
                world_free(&w);
                world_new(&w, CONTACT_PINNED);
                (void)stack_send(&w.bob, &w.alice, "so that it does not come out even");
                world_take_message(&w);
                burst_into(&w, "hi", 3000, acks);
                world_free(&w);
        }
}

/* What counts as delivered */

TEST(an_ack_is_not_a_delivery) {
        Receipt rc;
        World w;
        Got g;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.bob, &w.alice, "hi");
        g = world_take_message(&w);
        say_ack(&w, &g.id);
        sim_run(&w.sim, 2 * USEC_PER_HOUR);
        CHECK_EQ(w.bob.n_delivered, 0);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        CHECK(!far_has(&w.far, FRAME_MESSAGE)); /* but it stops repetition */

        world_link(&w);
        g = world_take_message(&w); /* on the next link it is asked for again */
        rc = make_receipt(&w, &g);
        say_receipt(&w, &rc, &w.alice.device);
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        CHECK_EQ(stack_count_outbox(&w.bob), 0);
        world_link(&w);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK(!far_has(&w.far, FRAME_MESSAGE));
        world_free(&w);
}

TEST(acks_and_nacks_for_what_was_not_sent_are_nothing) {
        Uuid other = {.bytes = {1}};
        World w;

        world_new(&w, CONTACT_PINNED);
        say_ack(&w, &other);
        say_nack(&w, &other, CODE_BLOCKED, true, 0);
        CHECK(far_is_served(&w.far));
        (void)stack_send(&w.bob, &w.alice, "hi");
        world_take_message(&w);
        say_ack(&w, &other);
        say_nack(&w, &other, CODE_BLOCKED, true, 0);
        CHECK(far_is_served(&w.far));
        CHECK_EQ(w.bob.n_failed + w.bob.n_delivered, 0);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        world_free(&w);
}

/* The link ends, nothing counts as delivered, and the message comes again. */
static Got check_not_believed(World *w) {
        SIM_UNTIL(&w->sim, w->far.is_closed);
        sim_run(&w->sim, USEC_PER_SEC);
        CHECK_EQ(w->bob.n_delivered, 0);
        CHECK_EQ(stack_count_outbox(&w->bob), 1);
        world_link(w);
        return world_take_message(w);
}

/* The same, but the link stays: it may be this store that is behind, restored from a copy. */
static void check_ignored(World *w) {
        sim_run(&w->sim, USEC_PER_SEC);
        CHECK(far_is_served(&w->far));
        CHECK_EQ(w->bob.n_delivered, 0);
        CHECK_EQ(stack_count_outbox(&w->bob), 1);
}

TEST(receipts_that_prove_nothing_are_not_believed) {
        Person carol;
        Receipt rc;
        World w;
        Got g;

        world_new(&w, CONTACT_PINNED);
        person_new(&w.sim, "carol", &carol);
        (void)stack_send(&w.bob, &w.alice, "hi");
        g = world_take_message(&w);

        rc = make_receipt(&w, &g);
        say_receipt(&w, &rc, &carol.device); /* forged */
        g = check_not_believed(&w);
        rc = make_receipt(&w, &g);
        say_receipt(&w, &rc, &w.alice.account);
        g = check_not_believed(&w);

        rc = make_receipt(&w, &g);
        memcpy(rc.reader, person_account(&carol), KEY_SIZE); /* of another reader */
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);

        rc = make_receipt(&w, &g);
        rc.ranges[0].last = 2; /* beyond what was written */
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);
        rc.ranges[0].last = UINT64_MAX;
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);

        rc = make_receipt(&w, &g);
        rc.hash[0] ^= 1; /* of something else */
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);

        rc = make_receipt(&w, &g);
        memcpy(rc.author, person_account(&carol), KEY_SIZE); /* about somebody else's feed */
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);
        rc = make_receipt(&w, &g);
        rc.epoch++; /* about a feed that there is not */
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);
        rc = make_receipt(&w, &g);
        rc.conversation[0] ^= 1;
        say_receipt(&w, &rc, &w.alice.device);
        check_ignored(&w);

        rc = make_receipt(&w, &g);
        say_receipt(&w, &rc, &w.alice.device);
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        CHECK(far_is_served(&w.far));
        person_done(&carol);
        world_free(&w);
}

TEST(a_receipt_is_about_what_it_names) {
        Receipt rc;
        World w;
        Got g;

        world_new(&w, CONTACT_PINNED);
        put_many(&w, 10, "hi");
        for (int i = 0; i < 10; i++)
                g = world_take_message(&w);
        rc = make_receipt(&w, &g);
        rc.ranges[0] = (SeqRange){2, 3};
        rc.ranges[1] = (SeqRange){10, 10};
        rc.n_ranges = 2;
        say_receipt(&w, &rc, &w.alice.device);
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 3);
        say_receipt(&w, &rc, &w.alice.device); /* again */
        CHECK(far_is_served(&w.far));
        CHECK_EQ(w.bob.n_delivered, 3);
        CHECK_EQ(stack_count_outbox(&w.bob), 7);
        world_link(&w);
        CHECK_EQ(world_take_message(&w).inner.seq, 1);
        CHECK_EQ(world_take_message(&w).inner.seq, 4); /* only what is missing */
        world_free(&w);
}

/* A link with this receipt in HELLO_OK. */
static void link_with_receipt(World *w, const Receipt *rc, const SignKey *signer) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Hello h = person_hello(&w->alice);
        unsigned n = w->bob.n_up;
        Transport *ends[2];
        Pipe *p;

        far_free(&w->far);
        CHECK_OK(receipt_encode(&b, rc, signer));
        CHECK_OK(pipe_new(w->sim.loop, &(PipeOptions){.latency = 1}, ends, &p));
        far_begin(&w->far, &w->alice, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w->bob.delivery, ends[1]);
        far_send_hello(&w->far, &h);
        far_sent(&w->far, hello_ok_encode(far_output(w), &(HelloOk){.receipt = buffer_bytes(&b)}));
        SIM_UNTIL(&w->sim, w->bob.n_up == n + 1);
        pipe_unref(p);
}

TEST(a_receipt_may_come_with_hello_ok) {
        Receipt rc;
        World w;
        Got g;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.bob, &w.alice, "hi");
        g = world_take_message(&w);
        rc = make_receipt(&w, &g);
        link_with_receipt(&w, &rc, &w.alice.account); /* forged */
        world_take_message(&w);
        CHECK_EQ(w.bob.n_delivered, 0);
        link_with_receipt(&w, &rc, &w.alice.device);
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        CHECK_EQ(stack_count_outbox(&w.bob), 0);
        world_free(&w);
}

/* Refusals */

TEST(what_is_refused_for_good_has_failed) {
        World w;
        Got g;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.bob, &w.alice, "hi");
        g = world_take_message(&w);
        say_nack(&w, &g.id, CODE_TOO_MANY, true, 0);
        SIM_UNTIL(&w.sim, w.bob.n_failed == 1);
        CHECK_EQ(w.bob.reason, CODE_TOO_MANY);
        CHECK_EQ(stack_count_outbox(&w.bob), 0);
        (void)stack_send(&w.bob, &w.alice, "ho");
        g = world_take_message(&w);
        CHECK_EQ(g.inner.seq, 2);
        say_nack(&w, &g.id, CODE_EXPIRED, true, 0);
        SIM_UNTIL(&w.sim, w.bob.n_expired == 1);
        CHECK_EQ(w.bob.reason, CODE_EXPIRED);
        say_nack(&w, &g.id, CODE_BLOCKED, true, 0); /* once is enough */
        CHECK(far_is_served(&w.far));
        CHECK_EQ(w.bob.n_failed, 1);
        world_link(&w);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK(!far_has(&w.far, FRAME_MESSAGE));
        world_free(&w);
}

TEST(what_is_refused_for_now_comes_again) {
        Got g, again;
        usec_t start;
        World w;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.bob, &w.alice, "hi");
        g = world_take_message(&w);
        say_nack(&w, &g.id, CODE_PEER_STORAGE, false, 100);
        start = loop_now(w.sim.loop);
        again = world_take_message(&w);
        CHECK(uuid_equal(&again.id, &g.id));
        CHECK(loop_now(w.sim.loop) > start + 80 * USEC_PER_SEC);
        CHECK(loop_now(w.sim.loop) < start + 120 * USEC_PER_SEC);
        CHECK_EQ(w.bob.n_failed, 0);
        say_nack(&w, &g.id, CODE_PEER_STORAGE, false, 0); /* nobody is asked all the time */
        start = loop_now(w.sim.loop);
        world_take_message(&w);
        CHECK(loop_now(w.sim.loop) > start + 4 * USEC_PER_SEC);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        world_free(&w);
}

/* The seq of the next COUNT messages. */
static void check_seqs(World *w, const unsigned *seqs, size_t count) {
        for (size_t i = 0; i < count; i++)
                CHECK_EQ(world_take_message(w).inner.seq, seqs[i]);
}

TEST(one_refusal_delays_one_message) {
        Got g[6];
        usec_t start;
        World w;

        world_new(&w, CONTACT_PINNED);
        put_many(&w, 6, "hi");
        for (size_t i = 0; i < 6; i++)
                g[i] = world_take_message(&w);
        start = loop_now(w.sim.loop);
        say_nack(&w, &g[4].id, CODE_TOO_MANY, false, 60); /* in no order */
        say_nack(&w, &g[1].id, CODE_PEER_STORAGE, false, 60);
        say_nack(&w, &g[2].id, CODE_PEER_STORAGE, false, 300);
        say_nack(&w, &g[4].id, CODE_TOO_MANY, false, 3000); /* said already */
        say_ack(&w, &g[0].id);
        put_many(&w, 2, "ho");
        check_seqs(&w, (const unsigned[]){7, 8}, 2); /* others go on at once */
        CHECK(loop_now(w.sim.loop) - start < USEC_PER_SEC);
        sim_run(&w.sim, 50 * USEC_PER_SEC);
        CHECK(!far_has(&w.far, FRAME_MESSAGE));
        sim_run(&w.sim, 30 * USEC_PER_SEC); /* these alone */
        CHECK_EQ(w.bob.n_failed + w.bob.n_delivered, 0);
        for (size_t i = 0; i < 2; i++) {
                Got again = world_take_message(&w);

                CHECK(again.is_signed); /* what was before it is not here */
                CHECK(again.inner.seq == 2 || again.inner.seq == 5);
        }
        CHECK(!far_has(&w.far, FRAME_MESSAGE));
        sim_run(&w.sim, 300 * USEC_PER_SEC);
        check_seqs(&w, (const unsigned[]){3}, 1);
        sim_run(&w.sim, 2 * USEC_PER_HOUR);
        CHECK(!far_has(&w.far, FRAME_MESSAGE));
        world_link(&w); /* in order, and once */
        check_seqs(&w, (const unsigned[]){1, 2, 3, 4, 5, 6, 7, 8}, 8);
        world_free(&w);
}

/* All of a batch that could not be written are refused together, and come in order. */
TEST(what_is_refused_together_comes_again_in_order) {
        Got g[100];
        World w;

        world_new(&w, CONTACT_PINNED);
        put_many(&w, 100, "hi");
        for (size_t i = 0; i < 100; i++)
                g[i] = world_take_message(&w);
        for (size_t i = 0; i < 100; i++)
                say_nack(&w, &g[i].id, CODE_PEER_STORAGE, false, 30);
        sim_run(&w.sim, 20 * USEC_PER_SEC);
        CHECK(!far_has(&w.far, FRAME_MESSAGE));
        for (unsigned i = 1; i <= 100; i++)
                check_seqs(&w, &i, 1);
        world_free(&w);
}

/* Whoever refuses everything stops the flow; nothing is held in memory beyond the window. */
TEST(who_takes_nothing_gets_nothing) {
        unsigned n = 0;
        World w;

        world_new(&w, CONTACT_PINNED);
        put_many(&w, 5000, "hi");
        for (; n < 5000; n++) {
                Got g;

                if (!far_has(&w.far, FRAME_MESSAGE))
                        sim_run(&w.sim, USEC_PER_SEC);
                if (!far_has(&w.far, FRAME_MESSAGE))
                        break;
                g = world_take_message(&w);
                say_nack(&w, &g.id, CODE_PEER_STORAGE, false, 3600);
        }
        CHECK(n >= 64 && n <= 1024);
        CHECK_EQ(stack_count_outbox(&w.bob), 5000);
        world_free(&w);
}

TEST(a_message_that_is_never_taken_is_asked_about_less_and_less) {
        usec_t last = 0;
        World w;
        Got g;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.bob, &w.alice, "hi");
        g = world_take_message(&w);
        for (unsigned i = 0; i < 6; i++) {
                usec_t start = loop_now(w.sim.loop);

                say_nack(&w, &g.id, CODE_FORK, false, 10);
                world_take_message(&w);
                CHECK(loop_now(w.sim.loop) - start > last);
                last = loop_now(w.sim.loop) - start;
        }
        CHECK(last > 4 * USEC_PER_MINUTE && last < 8 * USEC_PER_MINUTE);
        world_free(&w);
}

/* Bob has taken another epoch since he wrote them. What Alice says is taken gets another place, and
 * stays the same message; the rest stays where it is. */
TEST(a_place_that_is_taken_is_given_up) {
        Got first, second, again;
        uint8_t id[2][sizeof(Uuid)];
        World w;

        world_new(&w, CONTACT_PINNED);
        put_many(&w, 2, "hi");
        first = world_take_message(&w);
        second = world_take_message(&w);
        memcpy(id[0], &first.id, sizeof(Uuid));
        memcpy(id[1], &second.id, sizeof(Uuid));
        w.bob.self.epoch++;
        say_nack(&w, &first.id, CODE_FORK, false, 10);
        again = world_take_message(&w);
        CHECK_EQ(memcmp(&again.id, id[0], sizeof(Uuid)), 0);
        CHECK(again.is_signed && again.inner.seq == 1 && again.inner.epoch == w.bob.self.epoch);
        CHECK_EQ(stack_count_outbox(&w.bob), 2);
        say_nack(&w, &again.id, CODE_FORK, false, 10); /* there as well: nothing to be done */
        again = world_take_message(&w);
        CHECK_EQ(memcmp(&again.id, id[0], sizeof(Uuid)), 0);
        CHECK_EQ(again.inner.epoch, w.bob.self.epoch);
        world_link(&w);
        again = world_take_message(&w);
        CHECK_EQ(memcmp(&again.id, id[1], sizeof(Uuid)), 0);
        CHECK(again.inner.epoch < w.bob.self.epoch);
        world_free(&w);
}

TEST(frames_of_no_meaning_end_the_link) {
        World w;

        world_new(&w, CONTACT_PINNED);
        (void)stack_send(&w.bob, &w.alice, "hi");
        world_take_message(&w);
        far_send_empty(&w.far, FRAME_ROOM_SYNC, 0); /* for which there is no feature here */
        SIM_UNTIL(&w.sim, w.far.is_closed);
        world_link(&w);
        world_take_message(&w);
        far_send_empty(&w.far, FRAME_ACK, 0); /* of nothing */
        SIM_UNTIL(&w.sim, w.far.is_closed);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        world_free(&w);
}

/* Dialling */

/* Alice listens, as whoever that is at the time. */
typedef struct Door {
        World *world;
        Person *as;
        unsigned n;
} Door;

static void door_on_accept(void *userdata, Transport *t) {
        Door *d = userdata;

        far_free(&d->world->far);
        d->n++;
        far_begin(&d->world->far, d->as, TLS_SERVER, LINK_ALPN, t);
}

static void door_open(World *w, Person *as, Door *d) {
        *d = (Door){.world = w, .as = as};
        CHECK_OK(network_listen(w->sim.network, w->alice.name, STACK_PORT, door_on_accept, d));
        far_free(&w->far);
        SIM_UNTIL(&w->sim, w->bob.n_down == w->bob.n_up);
}

static Code door_greet(World *w, const Person *as) {
        Hello h = person_hello(as);
        Code code;

        SIM_UNTIL(&w->sim, w->far.conn && far_has(&w->far, FRAME_HELLO));
        far_send_hello(&w->far, &h);
        far_sent(&w->far, hello_ok_encode(far_output(w), &(HelloOk){}));
        SIM_UNTIL(&w->sim, far_has(&w->far, FRAME_BYE) || far_has(&w->far, FRAME_HELLO_OK));
        code = far_has(&w->far, FRAME_BYE) ? far_bye(&w->far) : CODE_OK;
        if (code != CODE_OK)
                far_free(&w->far);
        return code;
}

TEST(an_older_device_is_told_that_it_is_replaced) {
        unsigned n;
        Person tablet;
        Door door;
        World w;

        world_new(&w, CONTACT_PINNED);
        person_on_device(&w.alice, 2, &tablet);
        stack_knows(&w.bob, &tablet, 0); /* as a directory has said */
        door_open(&w, &w.alice, &door);
        n = w.bob.n_up;
        (void)stack_send(&w.bob, &w.alice, "hi");
        for (unsigned i = 1; i <= 3; i++) {
                CHECK_EQ(door_greet(&w, &w.alice), CODE_REPLACED);
                CHECK_EQ(door.n, i); /* and Bob tries again */
        }
        CHECK_EQ(w.bob.n_up, n);
        door.as = &tablet;
        CHECK_EQ(door_greet(&w, &tablet), CODE_OK);
        world_take_message(&w);
        CHECK_EQ(w.bob.n_up, n + 1);
        person_done(&tablet);
        world_free(&w);
}

TEST(somebody_else_at_the_address_gets_nothing) {
        Person mallory;
        Door door;
        World w;

        world_new(&w, CONTACT_PINNED);
        person_new(&w.sim, "mallory", &mallory);
        door_open(&w, &mallory, &door);
        (void)stack_send(&w.bob, &w.alice, "for Alice only");
        for (unsigned i = 1; i <= 3; i++)
                CHECK_EQ(door_greet(&w, &mallory), CODE_KEY_CHANGED);
        door.as = &w.alice;
        CHECK_EQ(door_greet(&w, &w.alice), CODE_OK);
        world_take_message(&w);
        person_done(&mallory);
        world_free(&w);
}

TEST(who_is_blocked_is_turned_out_and_left_alone) {
        const uint8_t *alice;
        Door door;
        World w;

        world_new(&w, CONTACT_PINNED);
        alice = person_account(&w.alice);
        (void)stack_send(&w.bob, &w.alice, "written before");
        (void)world_take_message(&w);
        stack_knows(&w.bob, &w.alice, CONTACT_BLOCKED);
        delivery_block(w.bob.delivery, alice);
        SIM_UNTIL(&w.sim, far_has(&w.far, FRAME_BYE));
        CHECK_EQ(far_bye(&w.far), CODE_BLOCKED);
        CHECK_EQ(w.bob.n_down, 1);
        door_open(&w, &w.alice, &door);
        delivery_wake(w.bob.delivery, alice);
        delivery_appeared(w.bob.delivery, alice);
        delivery_stop(w.bob.delivery);
        delivery_start(w.bob.delivery); /* and looks through the outbox */
        sim_run(&w.sim, 2 * USEC_PER_HOUR);
        CHECK_EQ(door.n, 0);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        CHECK_OK(contact_set_flags(w.bob.store, alice, 0, CONTACT_BLOCKED));
        delivery_wake(w.bob.delivery, alice);
        CHECK_EQ(door_greet(&w, &w.alice), CODE_OK);
        (void)world_take_message(&w);
        world_free(&w);
}

TEST(who_is_blocked_does_not_come_in) {
        static const PipeOptions options = {.capacity = 1 << 20};
        Transport *ends[2];
        Hello h;
        World w;
        Pipe *p;

        world_new(&w, CONTACT_PINNED);
        far_free(&w.far);
        stack_knows(&w.bob, &w.alice, CONTACT_BLOCKED);
        w.alice.local.boot_nonce[0]++;
        h = person_hello(&w.alice);
        CHECK_OK(pipe_new(w.sim.loop, &options, ends, &p));
        far_begin(&w.far, &w.alice, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w.bob.delivery, ends[1]);
        far_send_hello(&w.far, &h);
        SIM_UNTIL(&w.sim, far_has(&w.far, FRAME_BYE));
        CHECK_EQ(far_bye(&w.far), CODE_BLOCKED);
        CHECK_EQ(w.bob.n_up, 1);
        pipe_unref(p);
        world_free(&w);
}

TEST(retries_do_not_wake_trackers) {
        EndpointKey tracker = {.host = "tracker", .port = 7600};
        Person away[20];
        unsigned n;
        World w;

        world_new(&w, CONTACT_PINNED);
        memcpy(tracker.key, sign_key_public(&w.alice.device), KEY_SIZE);
        CHECK_OK(directory_set_trackers(w.bob.directory, &tracker, 1));
        directory_start(w.bob.directory);
        for (size_t i = 0; i < ELEMENTSOF(away); i++) {
                Contact c;

                person_new(&w.sim, "somebody", &away[i]);
                c = stack_knows(&w.bob, &away[i], CONTACT_PINNED);
                CHECK(store_set_endpoints(w.bob.store, c.number, &(Endpoints){}) >= 0);
                (void)stack_send(&w.bob, &away[i], "where are you?");
        }
        sim_run(&w.sim, USEC_PER_HOUR);
        n = network_n_dialled(w.sim.network);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK(network_n_dialled(w.sim.network) - n < 3600 / 25); /* one session's back-off */
        for (size_t i = 0; i < ELEMENTSOF(away); i++)
                person_done(&away[i]);
        world_free(&w);
}
