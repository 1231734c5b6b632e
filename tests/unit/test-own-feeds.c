/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an account wrote on one device and sends from the next one, and what its peers say of it. */

#include "test.h"

#include "stack-lab.h"
#include "store/handover.h"

typedef struct World {
        Sim sim;
        Stack phone, desk; /* of Alice, the older one first */
        Stack bob;
} World;

/* A device that knows Bob, at a host of its own. */
static void device_new(World *w, const char *host, uint64_t epoch, Stack *s) {
        Person who;

        person_on_device(&w->phone.who, epoch, &who);
        snprintf(who.name, sizeof(who.name), "%s", host); /* the record has been made */
        stack_new_of(&who, s);
        stack_knows(s, &w->bob.who, CONTACT_PINNED);
}

static void world_new_of(World *w, uint64_t seed, uint64_t epoch) {
        *w = (World){};
        sim_new(&w->sim, seed);
        stack_new(&w->sim, "alice", &w->phone);
        stack_new(&w->sim, "bob", &w->bob);
        stack_knows(&w->phone, &w->bob.who, CONTACT_PINNED);
        stack_knows(&w->bob, &w->phone.who, CONTACT_PINNED);
        device_new(w, "desk", epoch, &w->desk);
}

static void world_new(World *w) {
        world_new_of(w, 1, 2);
}

static void world_free(World *w) {
        stack_free(&w->phone);
        stack_free(&w->desk);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

static void take_piece(Stack *to, Bytes piece) {
        uint64_t kind;
        Bytes item;

        while (handover_item_next(&piece, &item, &kind) > 0)
                CHECK(handover_merge(
                              to->store, &to->self, item, loop_realtime(to->who.sim->loop)) >= 0);
}

/* All that the one has is on the other's disk. */
static void hand_over(Stack *from, Stack *to) {
        for (HandoverPart part = HANDOVER_BEFORE_ROOMS; part <= HANDOVER_AFTER_ROOMS; part++) {
                _cleanup_(buffer_done) Buffer items = BUFFER_NULL, at = BUFFER_NULL,
                                              next = BUFFER_NULL;
                uint64_t n;
                int more;

                do {
                        buffer_clear(&items);
                        more = handover_read(store_write(from->store), &from->self, part,
                                buffer_bytes(&at), 32 * 1024, &items, &n, &next);
                        CHECK(more >= 0);
                        buffer_clear(&at);
                        CHECK_OK(buffer_append(&at, buffer_data(&next), buffer_size(&next)));
                        take_piece(to, buffer_bytes(&items));
                } while (more > 0);
        }
        CHECK_OK(store_commit(to->store));
        to->told = UINT64_MAX - 1; /* its events are for clients */
}

/* The desk has taken the account over, and Bob has heard of it or not. */
static void take_over(World *w) {
        delivery_retire(w->phone.delivery, w->desk.who.local.record);
}

static unsigned count_old(const Stack *s) {
        const Shown *m;
        unsigned n = 0;

        DL_FOREACH (s->shown, m)
                n += (m->flags & ENTRY_OLD_DEVICE) != 0;
        return n;
}

static void check_all_arrived(World *w, unsigned n, unsigned old) {
        SIM_UNTIL(&w->sim, stack_count_outbox(&w->desk) == 0);
        CHECK_EQ(w->bob.n_shown, n);
        CHECK_EQ(count_old(&w->bob), old);
        CHECK_EQ(w->desk.n_failed + w->desk.n_expired, 0);
}

TEST(what_waited_on_the_old_device_is_sent_by_the_new_one) {
        World w;

        world_new(&w);
        stack_hide(&w.bob);
        for (int i = 0; i < 70; i++) /* more than one burst */
                stack_put(&w.phone, &w.bob.who, text_bytes("of the past"), 0);
        stack_send(&w.phone, &w.bob.who, "the last one of the past");
        take_over(&w);
        hand_over(&w.phone, &w.desk);
        stack_send(&w.desk, &w.bob.who, "now");
        CHECK_EQ(stack_count_outbox(&w.desk), 72);
        stack_listen(&w.bob);
        check_all_arrived(&w, 72, 71);
        world_free(&w);
}

TEST(it_comes_after_what_the_new_one_has_written_too) {
        World w;

        world_new(&w);
        stack_hide(&w.bob);
        stack_send(&w.phone, &w.bob.who, "of the past");
        stack_send(&w.phone, &w.bob.who, "and more of it");
        take_over(&w);
        stack_listen(&w.bob);
        stack_send(&w.desk, &w.bob.who, "now");
        SIM_UNTIL(&w.sim, stack_count_outbox(&w.desk) == 0);
        CHECK_EQ(w.bob.n_shown, 1);
        hand_over(&w.phone, &w.desk);
        delivery_wake(w.desk.delivery, person_account(&w.bob.who));
        check_all_arrived(&w, 3, 2);
        stack_send(&w.desk, &w.bob.who, "and on");
        check_all_arrived(&w, 4, 2);
        world_free(&w);
}

TEST(what_had_arrived_without_a_receipt_is_not_shown_again) {
        World w;

        world_new(&w);
        stack_send(&w.phone, &w.bob.who, "first");
        SIM_UNTIL(&w.sim, w.phone.n_delivered == 1);
        stack_send(&w.phone, &w.bob.who, "second");
        SIM_UNTIL(&w.sim, w.bob.n_shown == 2);
        CHECK_EQ(w.phone.n_delivered, 1); /* the receipt is under way */
        take_over(&w);
        sim_run(&w.sim, USEC_PER_SEC);
        hand_over(&w.phone, &w.desk);
        CHECK_EQ(stack_count_outbox(&w.desk), 1);
        delivery_wake(w.desk.delivery, person_account(&w.bob.who));
        SIM_UNTIL(&w.sim, stack_count_outbox(&w.desk) == 0);
        CHECK_EQ(w.bob.n_shown, 2);
        world_free(&w);
}

/* Of two devices of one epoch the one with the lower hash is the newer. */
TEST(devices_of_one_epoch) {
        unsigned n = 0;

        for (uint64_t seed = 1; seed <= 6; seed++) {
                World w;

                world_new_of(&w, seed, 1);
                stack_hide(&w.bob);
                stack_send(&w.phone, &w.bob.who, "of the past");
                if (device_compare(1, sign_key_public(&w.desk.self.device), 1,
                            sign_key_public(&w.phone.self.device)) > 0) {
                        n++;
                        take_over(&w);
                        hand_over(&w.phone, &w.desk);
                        stack_listen(&w.bob);
                        delivery_wake(w.desk.delivery, person_account(&w.bob.who));
                        check_all_arrived(&w, 1, 1);
                } else
                        stack_listen(&w.bob);
                world_free(&w);
        }
        CHECK(n > 0);
}

/* What Bob says of entries that are not on the new device yet */

static void bob_reads(World *w) {
        Stack *bob = &w->bob;
        Contact alice;

        CHECK_EQ(contact_get(store_write(bob->store), person_account(&w->phone.who), &alice), 1);
        CHECK(store_mark_read(bob->store, alice.number, &bob->shown->prev->id,
                      loop_realtime(w->sim.loop), true, NULL) >= 0);
        CHECK_OK(store_commit(bob->store));
        delivery_read(bob->delivery, person_account(&w->phone.who));
}

TEST(receipts_for_what_is_not_there_yet_are_passed_over_and_come_again) {
        World w;

        world_new(&w);
        w.bob.settings.say_read = true;
        delivery_set_settings(w.bob.delivery, &w.bob.settings);
        stack_send(&w.phone, &w.bob.who, "first");
        SIM_UNTIL(&w.sim, w.phone.n_delivered == 1);
        stack_send(&w.phone, &w.bob.who, "second");
        SIM_UNTIL(&w.sim, w.bob.n_shown == 2);
        CHECK_EQ(w.phone.n_delivered, 1);
        take_over(&w);
        bob_reads(&w);
        stack_send(&w.desk, &w.bob.who, "now"); /* over this link Bob says what he has read */
        SIM_UNTIL(&w.sim, w.desk.n_delivered == 1);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.desk.n_up, 1);
        CHECK_EQ(w.desk.n_down, 0);
        hand_over(&w.phone, &w.desk);
        CHECK_EQ(stack_count_outbox(&w.desk), 1);
        delivery_wake(w.desk.delivery, person_account(&w.bob.who));
        check_all_arrived(&w, 3, 0);
        world_free(&w);
}
