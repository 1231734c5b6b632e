/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Devices that do not have all that was said in the name of their account: the one that takes it
 * over, and copies of stores. */

#include "test.h"

#include "rooms-handover-lab.h"

/* An older copy of its store, whose user has gone on writing. */
TEST(a_device_that_was_put_back_hands_over_what_it_said_since) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *copy = &lab.mate[2], *new;

        begin(&lab, 40, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        lab_clone(&lab, 1, 2, false);
        clone_joins(copy, alice);
        copy->next_id = 5000;
        mate_says(bob, "two");
        mate_says(bob, "three");
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        give(new, alice);
        mate_says(copy, "deux");
        mate_says(copy, "trois");
        for (unsigned i = 0; i < 2; i++) {
                hand_over(copy, new, 64 * 1024, 0);
                CHECK_STR(mate_reads(new), "one|two|three|deux|trois|");
        }
        give(new, alice);
        CHECK_STR(mate_reads(alice), "one|two|three|deux|trois|");
        CHECK(bytes_are_zero(alice->room->row.forks_digest, SHA256_SIZE));
        check_level(new, alice);
        lab_free(&lab);
}

/* Two blocks with one number would end the room. */
TEST(the_owner_writes_no_block_before_he_has_those_of_his_device_before) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new;
        uint64_t epoch;

        lab_new(&lab, 21, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 0, 3);
        clone_joins(new, bob);
        epoch = roster_head(new->room->roster)->epoch;
        /* Nobody else has this block. */
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e));
        lab_commit(alice);
        mate_join(carol, bob);
        CHECK_OK(rooms_set_topic(new->rooms, new->room->row.number, "tea", &e));
        CHECK_EQ(rooms_set_role(
                         new->rooms, new->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e),
                -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        CHECK_EQ(rooms_delete(new->rooms, new->room->row.number, &e), -ECANCELED);
        lab_commit(new);
        level_without(&lab, alice);
        CHECK_EQ(roster_head(new->room->roster)->epoch, epoch);
        CHECK_STR(roster_topic(bob->room->roster), "tea");

        hand_over(alice, new, 64 * 1024, 0);
        level_without(&lab, alice);
        CHECK(roster_head(new->room->roster)->epoch > epoch + 1);
        CHECK(!(bob->room->row.flags & ROOM_FLAG_FORKED));
        CHECK_EQ(room_rank(carol->room, mate_account(bob)), ROOM_ROLE_ADMIN);
        CHECK_STR(roster_topic(carol->room->roster), "tea");
        CHECK(!roster_member(carol->room->roster, mate_account(carol))->provisional);
        check_level(bob, new);
        check_level(carol, new);
        mate_restart(new);
        CHECK_OK(rooms_set_role(
                new->rooms, new->room->row.number, mate_account(carol), ROOM_ROLE_ADMIN, &e));
        lab_free(&lab);
}

TEST(the_owner_does_not_wait_for_ever) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        size_t pending;

        lab_new(&lab, 22, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 0, 3);
        clone_joins(new, bob);
        CHECK_OK(rooms_set_topic(new->rooms, new->room->row.number, "tea", &e));
        lab_commit(new);
        CHECK(key_equal(roster_head(new->room->roster)->author, mate_account(new)));
        CHECK_STR(roster_topic(new->room->roster), "tea");
        sim_run(&lab.sim, USEC_PER_DAY + 2 * USEC_PER_SEC);
        lab_commit(new);
        CHECK_OK(room_proposal_count(mate_txn(new), new->room->row.number, &pending));
        CHECK_EQ(pending, 0);
        CHECK_OK(rooms_set_role(
                new->rooms, new->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e));
        lab_free(&lab);
}

/* A copy of the store from before what the room has. */

static void on_behind(void *userdata, const char *why) {
        Mate *m = userdata;

        m->who.epoch++;
        person_sign(&m->who, IDENTITY_LIFETIME);
        m->self.epoch = m->who.epoch;
        buffer_clear(&m->self.certificate);
        CHECK_OK(buffer_append(&m->self.certificate, buffer_data(&m->who.certificate),
                buffer_size(&m->who.certificate)));
}

static const RoomsCallbacks with_epochs = {.behind = on_behind};

static Mate *restored(RoomsLab *lab, Mate *by) {
        Mate *m = &lab->mate[3];

        lab_clone(lab, 2, 3, false);
        clone_joins(m, by);
        m->next_id = 1000;
        m->rooms->callbacks = &with_epochs;
        return m;
}

TEST(a_restored_store_that_hears_of_it_goes_on_in_another_epoch) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *again;

        begin(&lab, 30, ROOM_ACCESS_PRIVATE);
        mate_says(carol, "one");
        level_without(&lab, &lab.mate[3]);
        again = restored(&lab, alice);
        mate_says(carol, "two");
        give(carol, bob);
        give(bob, again);
        CHECK_EQ(again->self.epoch, 2);
        mate_says(again, "three");
        level_without(&lab, carol);
        CHECK_STR(mate_reads(alice), "one|two|three|");
        CHECK_STR(mate_reads(bob), "one|two|three|");
        check_level(alice, again);
        CHECK(bytes_are_zero(alice->room->row.forks_digest, SHA256_SIZE));
        lab_free(&lab);
}

TEST(what_a_restored_store_said_before_it_heard_of_it_is_not_lost) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *again;

        for (unsigned i = 0; i < 2; i++) {
                begin(&lab, 31 + i, ROOM_ACCESS_PRIVATE);
                mate_says(carol, "one");
                level_without(&lab, &lab.mate[3]);
                again = restored(&lab, alice);
                mate_says(carol, "two");
                give(carol, bob);
                lab_pause(&lab);
                mate_says(again, "three");
                if (i == 1)
                        mate_says(again, "four");
                give(again, alice);
                if (i == 1) /* somebody else has found out */
                        give(alice, bob);
                give(bob, again);
                CHECK_EQ(again->self.epoch, 2);
                level_without(&lab, carol);
                CHECK_STR(mate_reads(alice), i == 0 ? "one|three|two|" : "one|three|four|");
                CHECK_STR(mate_reads(bob), i == 0 ? "one|three|two|" : "one|three|four|");
                check_level(alice, again);
                mate_says(again, "five");
                give(again, alice);
                CHECK(strstr(mate_reads(alice), "five|"));
                lab_free(&lab);
        }
}
