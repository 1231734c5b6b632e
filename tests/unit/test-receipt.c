/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who hears over a link what the user has read, and when. */

#include "test.h"

#include "far-lab.h"

static void set_say_read(World *w, bool say_read) {
        w->bob.settings.say_read = say_read;
        delivery_set_settings(w->bob.delivery, &w->bob.settings);
}

static void world_begin(World *w, uint8_t flags, bool say_read) {
        world_new(w, flags);
        set_say_read(w, say_read);
}

/* Alice writes, Bob has it and says so. */
static Inner write_one(World *w) {
        Inner m = world_write(w, "hi", true);

        check_ack(w, &m.id);
        world_take_receipt(w);
        return m;
}

/* Bob marks it, and delivery is told of it. */
static void bob_reads(World *w, const Inner *m) {
        Stack *bob = &w->bob;
        Contact alice;

        CHECK_EQ(contact_get(store_write(bob->store), person_account(&w->alice), &alice), 1);
        CHECK(store_mark_read(bob->store, alice.number, &m->id, loop_realtime(w->sim.loop),
                      delivery_says_read(bob->delivery), NULL) >= 0);
        CHECK_OK(store_commit(bob->store));
        delivery_read(bob->delivery, person_account(&w->alice));
}

static void check_says_read(World *w, uint64_t last) {
        Receipt rc = world_take_receipt_of(w, RECEIPT_READ);

        CHECK(rc.n_ranges == 1 && rc.ranges[0].first == 1 && rc.ranges[0].last == last);
        CHECK(memcmp(rc.hash, w->last_hash, SHA256_SIZE) == 0);
}

static void check_silent(World *w) {
        CHECK(far_is_served(&w->far));
        CHECK(!w->far.incoming);
}

TEST(a_contact_hears_it_at_once_and_over_each_new_link) {
        World w;
        Inner m;

        world_begin(&w, CONTACT_PINNED, true);
        write_one(&w);
        check_silent(&w); /* having it is not reading it */
        m = write_one(&w);
        bob_reads(&w, &m);
        check_says_read(&w, 2);
        check_silent(&w);
        world_link(&w);
        check_says_read(&w, 2);
        check_silent(&w);
        world_free(&w);
}

TEST(nobody_hears_it_while_it_is_not_to_be_said) {
        World w;
        Inner m;

        world_begin(&w, CONTACT_PINNED, false);
        m = write_one(&w);
        bob_reads(&w, &m);
        check_silent(&w);
        world_link(&w);
        check_silent(&w);
        set_say_read(&w, true);
        check_silent(&w); /* it was read in silence */
        world_free(&w);
}

TEST(what_was_held_back_by_the_setting_is_said_when_it_changes) {
        World w;
        Inner m;

        world_begin(&w, CONTACT_PINNED, true);
        m = write_one(&w);
        bob_reads(&w, &m);
        check_says_read(&w, 1);
        set_say_read(&w, false);
        world_link(&w);
        check_silent(&w);
        set_say_read(&w, true);
        check_says_read(&w, 1);
        world_free(&w);
}

static void check_waits_until(uint8_t set, uint8_t clear) {
        World w;
        Inner m;

        world_begin(&w, 0, true);
        m = write_one(&w);
        bob_reads(&w, &m);
        check_silent(&w);
        world_link(&w);
        check_silent(&w);
        CHECK_OK(contact_set_flags(w.bob.store, person_account(&w.alice), set, clear));
        CHECK_OK(store_commit(w.bob.store));
        delivery_read(w.bob.delivery, person_account(&w.alice));
        if (!(set & CONTACT_BLOCKED))
                check_says_read(&w, 1);
        check_silent(&w);
        world_free(&w);
}

TEST(a_stranger_hears_it_once_accepted) {
        check_waits_until(CONTACT_PINNED, CONTACT_REQUEST);
}

TEST(somebody_blocked_does_not_hear_it) {
        check_waits_until(CONTACT_PINNED | CONTACT_BLOCKED, CONTACT_REQUEST);
}

/* As chat/ does when the user writes to somebody. */
TEST(a_stranger_who_is_answered_hears_it) {
        World w;
        Inner m;

        world_begin(&w, 0, true);
        m = write_one(&w);
        bob_reads(&w, &m);
        check_silent(&w);
        CHECK_OK(contact_set_flags(
                w.bob.store, person_account(&w.alice), CONTACT_PINNED, CONTACT_REQUEST));
        stack_send(&w.bob, &w.alice, "an answer");
        far_take(&w.far, FRAME_MESSAGE);
        check_says_read(&w, 1);
        world_free(&w);
}
