/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Where two have said something that cannot both hold: forks, older devices, owners, terms. */

#include "test.h"

#include "rooms-lab.h"

typedef struct EventCount {
        RoomEventKind kind;
        unsigned n;
} EventCount;

static bool count_event(void *userdata, DbTxn *txn, const EventRow *e) {
        EventCount *c = userdata;

        c->n += e->kind == EVENT_ROOM && e->change == c->kind;
        return true;
}

static unsigned count_events(Mate *m, RoomEventKind kind) {
        EventCount c = {.kind = kind};
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_OK(event_each(txn, 0, count_event, &c));
        store_read_end(txn);
        return c.n;
}

static unsigned count_frozen(Mate *m) {
        RoomView v;
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_EQ(rooms_view(m->rooms, txn, m->room->row.number, &v), 1);
        store_read_end(txn);
        return v.frozen;
}

TEST(two_entries_with_one_number_freeze_the_feed_everywhere) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2],
             *mallory = &lab.mate[3];

        lab_new(&lab, 1, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        mate_says(carol, "one");
        lab_level(&lab);
        lab_clone(&lab, 2, 3, false);
        clone_joins(mallory, alice);
        CHECK_STR(mate_reads(mallory), "one|");

        mallory->next_id = 100;
        mate_says(carol, "two");
        mate_says(carol, "three");
        mate_says(mallory, "zwei");
        mate_says(mallory, "drei");
        mate_says(mallory, "vier");
        give(carol, alice);
        give(mallory, bob);
        CHECK_STR(mate_reads(alice), "one|two|three|");
        CHECK_STR(mate_reads(bob), "one|zwei|drei|vier|");
        for (int i = 0; i < 3; i++) { /* each proof is for an earlier entry */
                give(alice, bob);
                give(bob, alice);
        }
        CHECK_STR(mate_reads(alice), "one|");
        CHECK_STR(mate_reads(bob), "one|");
        check_level(alice, bob);
        CHECK(count_events(alice, ROOM_EVENT_FORK) > 0);
        CHECK(count_events(bob, ROOM_EVENT_FORK) > 0);
        lab_level(&lab);
        check_level(alice, bob);
        check_level(alice, carol);
        check_level(alice, mallory);
        CHECK_EQ(mate_say(carol, "four", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        mate_restart(alice);
        mate_restart(bob);
        check_level(alice, bob);
        CHECK_STR(mate_reads(alice), "one|");
        CHECK_EQ(count_frozen(alice), 1);
        CHECK_EQ(count_frozen(bob), 1);
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(carol), &e));
        lab_commit(alice);
        CHECK_EQ(count_frozen(alice), 0);
        lab_free(&lab);
}

TEST(an_older_device_ends_where_a_newer_one_begins) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *old = &lab.mate[2], *new = &lab.mate[3];

        lab_new(&lab, 2, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(old, alice);
        mate_says(old, "one");
        lab_level(&lab);
        lab_clone(&lab, 2, 3, true);
        new->next_id = 100;
        clone_joins(new, alice);
        lab_pause(&lab);
        mate_says(old, "in time");
        lab_pause(&lab);
        mate_says(new, "here");
        lab_pause(&lab);
        mate_says(old, "late");
        lab_pause(&lab);

        /* Alice hears of the newer one first, Bob of it last. */
        give(new, alice);
        give(old, alice);
        give(old, bob);
        CHECK_STR(mate_reads(bob), "one|in time|late|");
        give(new, bob);
        CHECK_STR(mate_reads(alice), "one|in time|here|");
        CHECK_STR(mate_reads(bob), "one|in time|here|");
        check_level(alice, bob);
        lab_level(&lab);
        check_level(alice, bob);
        CHECK_STR(mate_reads(new), "one|in time|here|");
        lab_free(&lab);
}

TEST(a_room_is_handed_over_when_the_other_accepts) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 3, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_OWNER, &e));
        lab_commit(alice);
        CHECK_EQ(room_rank(alice->room, mate_account(alice)), ROOM_ROLE_OWNER);
        lab_level(&lab);
        CHECK_EQ(room_rank(alice->room, mate_account(bob)), ROOM_ROLE_OWNER);
        CHECK_EQ(room_rank(alice->room, mate_account(alice)), ROOM_ROLE_ADMIN);
        check_level(alice, bob);

        /* He does what owners do, and who comes later can check all of it. */
        CHECK_OK(rooms_set_topic(bob->rooms, bob->room->row.number, "mine now", &e));
        lab_commit(bob);
        mate_join(carol, bob);
        lab_level(&lab);
        CHECK_STR(roster_topic(carol->room->roster), "mine now");
        CHECK_EQ(room_rank(carol->room, mate_account(bob)), ROOM_ROLE_OWNER);
        mate_restart(carol);
        CHECK_EQ(room_rank(carol->room, mate_account(bob)), ROOM_ROLE_OWNER);
        check_level(alice, carol);
        CHECK_EQ(rooms_delete(alice->rooms, alice->room->row.number, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_OWNER);
        lab_free(&lab);
}

/* Alice is away, with what she has done meanwhile. */
static void begin_absence(RoomsLab *lab) {
        RoomsError e = {};

        CHECK_OK(lab_create(lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(&lab->mate[1], &lab->mate[0]);
        mate_join(&lab->mate[2], &lab->mate[0]);
        CHECK_OK(rooms_set_role(lab->mate[0].rooms, lab->mate[0].room->row.number,
                mate_account(&lab->mate[1]), ROOM_ROLE_ADMIN, &e));
        lab_commit(&lab->mate[0]);
        lab_level(lab);
}

TEST(the_deputy_takes_over_when_the_owner_stays_away) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2],
             *dave = &lab.mate[3];

        lab_new(&lab, 4, 4);
        begin_absence(&lab);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "unheard", &e));
        lab_commit(alice);
        CHECK_OK(rooms_set_topic(bob->rooms, bob->room->row.number, "help yourself", &e));
        lab_commit(bob);
        give(bob, carol);
        give(carol, bob);
        CHECK_STR(roster_topic(carol->room->roster), "help yourself");
        sim_run(&lab.sim, 6 * USEC_PER_DAY);
        CHECK_EQ(roster_head(bob->room->roster)->term, 1);
        mate_restart(bob);
        sim_run(&lab.sim, 2 * USEC_PER_DAY);
        CHECK_EQ(roster_head(bob->room->roster)->term, 2);
        CHECK_EQ(room_rank(bob->room, mate_account(bob)), ROOM_ROLE_OWNER);
        CHECK_EQ(room_rank(bob->room, mate_account(alice)), ROOM_ROLE_ADMIN);

        /* The one of old comes back, and her own block has lost. */
        lab_level(&lab);
        CHECK_EQ(room_rank(alice->room, mate_account(bob)), ROOM_ROLE_OWNER);
        CHECK_STR(roster_topic(alice->room->roster), "help yourself");
        check_level(alice, bob);
        check_level(alice, carol);
        mate_join(dave, bob);
        lab_level(&lab);
        check_level(alice, dave);
        mate_says(alice, "well");
        lab_level(&lab);
        CHECK_STR(mate_reads(dave), "well|");
        lab_free(&lab);
}

/* She had settled what his term rests on, in a block that nobody has heard of. */
TEST(an_owner_follows_the_deputy_on_what_she_had_settled_herself) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];
        uint64_t before;

        lab_new(&lab, 9, 3);
        begin_absence(&lab);
        before = roster_head(alice->room->roster)->epoch;
        CHECK_OK(rooms_set_topic(bob->rooms, bob->room->row.number, "help yourself", &e));
        lab_commit(bob);
        give(bob, carol);
        give(bob, alice);
        lab_pause(&lab);
        CHECK_EQ(roster_head(alice->room->roster)->epoch, before + 1);
        sim_run(&lab.sim, 8 * USEC_PER_DAY);
        CHECK_EQ(roster_head(bob->room->roster)->term, 2);
        lab_level(&lab);
        CHECK_EQ(room_rank(alice->room, mate_account(bob)), ROOM_ROLE_OWNER);
        CHECK_EQ(room_rank(bob->room, mate_account(bob)), ROOM_ROLE_OWNER);
        check_level(alice, bob);
        check_level(alice, carol);
        lab_free(&lab);
}

/* Carol may not set a topic. Only the owner can settle that she proposed one. */
TEST(what_does_not_count_keeps_no_deputy_awake) {
        RoomChange c = {.type = ROOM_CHANGE_TOPIC, .text = text_bytes("mine")};
        RoomsLab lab;
        Mate *bob = &lab.mate[1], *carol = &lab.mate[2];
        RoomReason why = {};
        RoomsError e = {};

        lab_new(&lab, 3, 3);
        begin_absence(&lab);
        (void)commit_propose(carol->room, &c, NULL, &why);
        lab_commit(carol);
        give(carol, bob);
        sim_run(&lab.sim, 9 * USEC_PER_DAY);
        CHECK_EQ(bob->room->commit_at, 0);
        CHECK_EQ(roster_head(bob->room->roster)->term, 1);

        /* What counts does so in its time all the same. */
        CHECK_OK(rooms_set_topic(bob->rooms, bob->room->row.number, "help yourself", &e));
        lab_commit(bob);
        sim_run(&lab.sim, 8 * USEC_PER_DAY);
        CHECK_EQ(roster_head(bob->room->roster)->term, 2);
        lab_free(&lab);
}

TEST(whom_the_losing_chain_let_in_is_let_in_again) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *dave = &lab.mate[3];
        RoomsError e = {};

        lab_new(&lab, 5, 4);
        begin_absence(&lab);
        CHECK_OK(rooms_set_topic(bob->rooms, bob->room->row.number, "help yourself", &e));
        lab_commit(bob);
        give(bob, &lab.mate[2]);
        sim_run(&lab.sim, 6 * USEC_PER_DAY);
        mate_join(dave, alice);
        mate_says(dave, "hello");
        give(dave, alice);
        lab_pause(&lab);
        sim_run(&lab.sim, 3 * USEC_PER_DAY);
        CHECK_EQ(roster_head(bob->room->roster)->term, 2);
        lab_level(&lab);
        CHECK(room_is_member(bob->room, mate_account(dave)));
        check_level(alice, bob);
        check_level(bob, dave);
        CHECK_STR(mate_reads(bob), "hello|");
        lab_free(&lab);
}

TEST(an_owner_who_signs_two_states_makes_the_room_read_only) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2],
             *other = &lab.mate[3];

        lab_new(&lab, 6, 4);
        begin_absence(&lab);
        mate_says(bob, "one");
        lab_level(&lab);
        lab_clone(&lab, 0, 3, false);
        clone_joins(other, bob);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "this", &e));
        lab_commit(alice);
        CHECK_OK(rooms_set_topic(other->rooms, other->room->row.number, "that", &e));
        lab_commit(other);
        give(alice, bob);
        give(other, carol);
        CHECK_STR(roster_topic(bob->room->roster), "this");
        CHECK_STR(roster_topic(carol->room->roster), "that");
        lab_level(&lab);
        CHECK_STR(roster_topic(bob->room->roster), "soup");
        CHECK(bob->room->row.read_only && carol->room->row.read_only);
        check_level(bob, carol);
        CHECK_EQ(mate_say(bob, "two", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        CHECK_STR(mate_reads(carol), "one|");
        CHECK_EQ(count_events(carol, ROOM_EVENT_FORK), 1);
        mate_restart(carol);
        CHECK(carol->room->row.read_only);
        check_level(bob, carol);
        lab_free(&lab);
}

/* A member settles what is pending in another order than it came, and a change that nobody may
 * make is nobody's. */
TEST(a_member_cannot_kick_by_a_proposal) {
        RoomsLab lab;
        RoomReason why = {};
        RoomChange c = {.type = ROOM_CHANGE_REMOVE};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 7, 3);
        begin_absence(&lab);
        mate_says(alice, "one");
        lab_level(&lab);
        memcpy(c.account, mate_account(alice), KEY_SIZE);
        CHECK(commit_propose(carol->room, &c, NULL, &why) >= 0);
        lab_commit(carol);
        CHECK(room_is_member(carol->room, mate_account(alice)));
        lab_level(&lab);
        CHECK(room_is_member(bob->room, mate_account(alice)));
        check_level(bob, carol);
        lab_free(&lab);
}

/* Both chains have a key of the same number. */
TEST(the_key_of_a_chain_that_has_lost_is_of_no_use) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *dave = &lab.mate[3];

        lab_new(&lab, 8, 4);
        begin_absence(&lab);
        mate_join(dave, alice);
        lab_level(&lab);
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(dave), &e));
        lab_commit(alice);
        CHECK_OK(rooms_kick(bob->rooms, bob->room->row.number, mate_account(&lab.mate[2]), &e));
        lab_commit(bob);
        sim_run(&lab.sim, 8 * USEC_PER_DAY);
        CHECK_EQ(roster_head(bob->room->roster)->term, 2);
        CHECK_EQ(roster_head(bob->room->roster)->epoch, roster_head(alice->room->roster)->epoch);
        give(bob, alice);
        give(alice, bob);
        check_level(alice, bob);
        mate_says(bob, "mine");
        give(bob, alice);
        CHECK_STR(mate_reads(alice), "mine|");
        mate_says(alice, "yours");
        give(alice, bob);
        CHECK_STR(mate_reads(bob), "mine|yours|");
        lab_free(&lab);
}

TEST(who_accepts_a_room_and_leaves_holds_up_nothing) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];

        lab_new(&lab, 9, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_OWNER, &e));
        lab_commit(alice);
        give(alice, bob);
        lab_pause(&lab);
        CHECK_OK(rooms_leave(bob->rooms, bob->room->row.number, &e));
        lab_commit(bob);
        give(bob, alice);
        lab_pause(&lab);
        CHECK_EQ(room_rank(alice->room, mate_account(alice)), ROOM_ROLE_OWNER);
        CHECK(!room_is_member(alice->room, mate_account(bob)));
        CHECK(!roster_final_member(alice->room->roster, mate_account(bob))->member);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "alone", &e));
        lab_free(&lab);
}

TEST(the_end_of_a_room_is_no_news_of_its_members) {
        RoomsLab lab;
        RoomsError e = {};
        unsigned joined;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 11, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        lab_level(&lab);
        CHECK_OK(rooms_leave(bob->rooms, bob->room->row.number, &e));
        lab_commit(bob);
        give(bob, carol);
        CHECK_EQ(count_events(carol, ROOM_EVENT_LEFT), 1);
        joined = count_events(carol, ROOM_EVENT_JOINED);
        CHECK_OK(rooms_delete(alice->rooms, alice->room->row.number, &e));
        lab_commit(alice);
        give(alice, carol);
        CHECK_EQ(carol->room->row.status, ROOM_DELETED);
        CHECK_EQ(count_events(carol, ROOM_EVENT_DELETED), 1);
        CHECK_EQ(count_events(carol, ROOM_EVENT_JOINED), joined);
        lab_free(&lab);
}

/* Its battery was empty: what it had read when it wrote is not taken back by that. */
TEST(a_newer_device_with_a_wrong_clock_takes_nothing_back) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *old = &lab.mate[2], *new = &lab.mate[3];
        const int64_t day = (int64_t)USEC_PER_DAY;

        lab_new(&lab, 12, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(old, alice);
        mate_says(old, "one");
        mate_says(old, "two");
        lab_level(&lab);
        lab_clone(&lab, 2, 3, true);
        new->next_id = 100;
        clone_joins(new, alice);
        lab_level(&lab);
        loop_virtual_step_realtime(lab.sim.loop, -day);
        mate_says(new, "here");
        loop_virtual_step_realtime(lab.sim.loop, day);
        lab_level(&lab);
        CHECK_STR(mate_reads(bob), "one|two|here|");
        CHECK_STR(mate_reads(alice), "one|two|here|");
        check_level(alice, bob);
        lab_free(&lab);
}

/* Bob, who has not heard of the newer device, names what he has of the older one. */
TEST(an_older_device_goes_on_where_the_newer_one_has_gone) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *old = &lab.mate[2], *new = &lab.mate[3];

        lab_new(&lab, 10, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(old, alice);
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_ADMIN, &e));
        lab_commit(alice);
        mate_says(old, "one");
        lab_level(&lab);
        lab_clone(&lab, 2, 3, true);
        new->next_id = 100;
        clone_joins(new, alice);
        lab_pause(&lab);
        mate_says(new, "here");
        lab_pause(&lab);
        mate_says(old, "late");
        lab_pause(&lab);
        give(old, bob);
        give(old, alice);
        CHECK_STR(mate_reads(alice), "one|late|");
        give(new, alice);
        CHECK_STR(mate_reads(bob), "one|late|");
        CHECK_STR(mate_reads(alice), "one|here|");
        CHECK_OK(rooms_kick(bob->rooms, bob->room->row.number, mate_account(old), &e));
        lab_commit(bob);
        for (int i = 0; i < 2; i++) {
                give(bob, alice);
                give(alice, bob);
                lab_pause(&lab);
        }
        CHECK_STR(mate_reads(bob), "one|late|");
        CHECK_STR(mate_reads(alice), "one|late|");
        check_level(alice, bob);
        lab_free(&lab);
}
