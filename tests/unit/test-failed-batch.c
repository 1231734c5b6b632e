/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What delivery remembers of a batch that came to nothing. */

#include "test.h"

#include "db/private.h"
#include "directory/private.h"
#include "far-lab.h"

static void fail_batch(Stack *s) {
        db_fail(store_write(s->store), -EIO);
}

/* Asking would begin one. */
static bool has_batch(const Stack *s) {
        return s->store->db->batch_open;
}

static uint32_t number_of(Stack *s, const Person *who) {
        Contact c;
        DbTxn *txn;
        int r;

        CHECK_OK(store_read_begin(s->store, &txn));
        r = contact_get(txn, person_account(who), &c);
        store_read_end(txn);
        return r > 0 ? c.number : 0;
}

/* A stranger's HELLO has come, and his row is in the open batch. */
static void hello_in_batch(World *w) {
        static const PipeOptions options = {.latency = 2 * USEC_PER_MSEC, .capacity = 1 << 20};
        Hello h = person_hello(&w->alice);
        Transport *ends[2];
        Contact c;
        Pipe *p;

        CHECK_OK(pipe_new(w->sim.loop, &options, ends, &p));
        far_begin(&w->far, &w->alice, TLS_CLIENT, LINK_ALPN, ends[0]);
        delivery_accept(w->bob.delivery, ends[1]);
        far_send_hello(&w->far, &h);
        SIM_UNTIL(&w->sim,
                has_batch(&w->bob) &&
                        contact_get(store_write(w->bob.store), person_account(&w->alice), &c) > 0);
        pipe_unref(p);
}

TEST(a_stranger_whose_row_was_not_kept_is_turned_away) {
        World w = {};
        Person carol;
        Inner m;

        sim_new(&w.sim, 1);
        stack_new(&w.sim, "bob", &w.bob);
        person_new(&w.sim, "alice", &w.alice);
        hello_in_batch(&w);
        fail_batch(&w.bob);
        CHECK_EQ(far_bye(&w.far), CODE_PEER_STORAGE);
        CHECK_EQ(number_of(&w.bob, &w.alice), 0);
        CHECK_EQ(w.bob.n_up, w.bob.n_down);
        CHECK_EQ(HASH_COUNT(w.bob.directory->watched), 0); /* nobody asks after her */

        /* The number that she had for a moment is somebody else's now, and she gets her own. */
        person_new(&w.sim, "carol", &carol);
        stack_knows(&w.bob, &carol, CONTACT_PINNED);
        world_link(&w);
        m = world_write(&w, "may I now?", true);
        check_ack(&w, &m.id);
        CHECK(number_of(&w.bob, &w.alice) > 0);
        CHECK(number_of(&w.bob, &w.alice) != number_of(&w.bob, &carol));
        person_done(&carol);
        world_free(&w);
}

/* The message that Bob has sent, and Alice's word for it. */
static Uuid take_message(World *w, Receipt *ret) {
        Frame f = far_take(&w->far, FRAME_MESSAGE);
        MessageFrame m;
        Inner i;

        CHECK_OK(message_decode(&f, &m));
        CHECK_OK(inner_decode(m.inner, &i));
        *ret = (Receipt){.epoch = i.epoch,
                .state = RECEIPT_DELIVERED,
                .n_ranges = 1,
                .ranges = {{.first = i.seq, .last = i.seq}}};
        memcpy(ret->conversation, i.conversation, SHA256_SIZE);
        memcpy(ret->author, i.account, KEY_SIZE);
        memcpy(ret->device, i.device, KEY_SIZE);
        memcpy(ret->reader, person_account(&w->alice), KEY_SIZE);
        sha256(m.inner.data, m.inner.size, ret->hash);
        return i.id;
}

static void say_received(World *w, const Uuid *id, const Receipt *rc) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;

        far_sent(&w->far, ack_encode(far_output(w), id, 1));
        CHECK_OK(receipt_encode(&object, rc, &w->alice.device));
        far_sent(&w->far, receipt_frame_encode(far_output(w), buffer_bytes(&object)));
}

TEST(a_message_whose_receipt_was_lost_with_its_batch_goes_out_again) {
        Uuid sent, id;
        Receipt rc;
        World w;

        world_new(&w, CONTACT_PINNED);
        sent = stack_send(&w.bob, &w.alice, "hi");
        id = take_message(&w, &rc);
        CHECK(uuid_equal(&id, &sent));
        say_received(&w, &id, &rc);
        SIM_UNTIL(&w.sim, has_batch(&w.bob) && outbox_count(store_write(w.bob.store)) == 0);
        fail_batch(&w.bob);
        id = take_message(&w, &rc);
        CHECK(uuid_equal(&id, &sent));
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        CHECK_EQ(w.bob.n_delivered, 0);
        say_received(&w, &id, &rc);
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        CHECK_EQ(stack_count_outbox(&w.bob), 0);
        CHECK(far_is_served(&w.far));
        world_free(&w);
}

/* As long as the directory has another name the store cannot be opened. */
static void move_store(const Stack *s, const char *from, const char *to) {
        _cleanup_(freep) char *old = fs_join(s->dir, from);
        _cleanup_(freep) char *new = fs_join(s->dir, to);

        CHECK(old && new &&rename(old, new) == 0);
}

TEST(who_was_dropped_because_the_store_was_gone_is_dialled_again) {
        Stack alice, bob;
        Sim sim;

        sim_new(&sim, 1);
        stack_new(&sim, "alice", &alice);
        stack_new(&sim, "bob", &bob);
        stack_knows(&alice, &bob.who, CONTACT_PINNED);
        stack_knows(&bob, &alice.who, CONTACT_PINNED);
        stack_send(&alice, &bob.who, "hi");
        SIM_UNTIL(&sim, has_batch(&alice) && outbox_count(store_write(alice.store)) == 0);
        fail_batch(&alice);
        move_store(&alice, "db", "gone");
        SIM_UNTIL(&sim, alice.n_down == 1);
        sim_run(&sim, 10 * USEC_PER_SEC);
        move_store(&alice, "gone", "db");
        SIM_UNTIL(&sim, alice.n_delivered == 1);
        CHECK_EQ(bob.n_shown, 1);
        stack_free(&alice);
        stack_free(&bob);
        sim_free(&sim);
}

TEST(every_entry_of_a_burst_without_room_is_refused) {
        Inner list[5];
        unsigned refused = 0;
        World w;

        world_new(&w, CONTACT_PINNED);
        store_set_max_size(w.bob.store, 1); /* full */
        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                list[i] = world_write(&w, "a drop", i + 1 == ELEMENTSOF(list));
        while (refused < ELEMENTSOF(list))
                check_nack(&w, &list[refused++].id, CODE_PEER_STORAGE, false);
        CHECK(far_is_served(&w.far) && !far_has(&w.far, FRAME_NACK));
        CHECK_EQ(w.bob.n_shown, 0);

        store_set_max_size(w.bob.store, 0);
        for (size_t i = 0; i < ELEMENTSOF(list); i++)
                world_say(&w, &list[i], &w.alice.device);
        SIM_UNTIL(&w.sim, w.bob.n_shown == ELEMENTSOF(list));
        world_free(&w);
}

TEST(what_is_known_already_is_acknowledged_without_room) {
        World w;
        Inner m;

        world_new(&w, CONTACT_PINNED);
        m = world_write(&w, "hi", true);
        check_ack(&w, &m.id);
        store_set_max_size(w.bob.store, 1);
        world_say(&w, &m, &w.alice.device);
        check_ack(&w, &m.id);
        world_free(&w);
}
