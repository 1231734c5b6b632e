/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is removed from a room, or leaves it: what he hears of it, and the others of him. */

#include "test.h"

#include "db/private.h"
#include "sync-lab.h"

#define ALICE (&lab.mate[0])
#define BOB (&lab.mate[1])
#define CAROL (&lab.mate[2])
#define DAVE (&lab.mate[3])

TEST(who_is_kicked_learns_it_and_hears_no_more) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(CAROL, "hello");
        sim_run(&lab.sim, 3 * USEC_PER_SEC);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_KICKED);
        mate_says(ALICE, "without carol");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 2);
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        CHECK_EQ(mate_count(CAROL), 1);
        CHECK(mates_are_level(ALICE, BOB));
        CHECK_EQ(mate_count_readable(BOB), 2);
        lab_free(&lab);
}

/* The owner, who was away, has taken the admin's role back meanwhile. */
TEST(who_was_kicked_in_vain_is_in_again) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_set_role(ALICE->rooms, ALICE->room, mate_account(BOB), ROOM_ROLE_ADMIN, &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab));
        mates_part(ALICE, BOB, true);
        mates_part(ALICE, CAROL, true);
        CHECK_OK(rooms_kick(BOB->rooms, BOB->room, mate_account(CAROL), &e));
        mate_commit(BOB);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_KICKED);
        CHECK_OK(
                rooms_set_role(ALICE->rooms, ALICE->room, mate_account(BOB), ROOM_ROLE_MEMBER, &e));
        mate_commit(ALICE);
        sim_run(&lab.sim, USEC_PER_HOUR);
        mates_part(ALICE, BOB, false);
        SIM_UNTIL(&lab.sim, room_is_member(mate_room(BOB), mate_account(CAROL)));
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_JOINED);
        mate_says(CAROL, "here again");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 1);
        mates_part(ALICE, CAROL, false);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(ALICE) == 1);
        lab_free(&lab);
}

/* The one whom the owner has removed is let go of. */
TEST(who_was_kicked_for_good_speaks_no_more) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_set_role(ALICE->rooms, ALICE->room, mate_account(BOB), ROOM_ROLE_ADMIN, &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab));
        mate_goes(ALICE);
        CHECK_OK(rooms_kick(BOB->rooms, BOB->room, mate_account(CAROL), &e));
        mate_commit(BOB);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_KICKED);
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK(HASH_COUNT(CAROL->rooms->sync->wants) > 0); /* until the owner has said so */
        mate_comes(ALICE);
        SIM_UNTIL(&lab.sim, HASH_COUNT(CAROL->rooms->sync->wants) == 0);
        CHECK_EQ(mate_room(CAROL)->row.status, ROOM_KICKED);
        mate_says(ALICE, "without carol");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 1);
        CHECK_EQ(mate_count(CAROL), 0);
        lab_free(&lab);
}

TEST(who_is_away_when_he_is_kicked_learns_it_later) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(CAROL);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        mate_goes(ALICE);
        mate_comes(CAROL);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_KICKED);
        lab_free(&lab);
}

/* Who cannot be reached is not waited for: he hears it before the time that joining may take. */
TEST(who_was_kicked_is_refused_though_others_are_away) {
        SyncLab lab;
        RoomsError e;
        usec_t begin;

        lab_new(&lab, 4);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(BOB), &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_KICKED);
        mate_goes(CAROL);
        mate_goes(DAVE);
        BOB->n_done = 0;
        begin = loop_now(lab.sim.loop);
        mate_ask(BOB, ALICE);
        SIM_UNTIL(&lab.sim, BOB->n_done == 1);
        CHECK_EQ(BOB->done, CODE_NOT_ALLOWED);
        CHECK(loop_now(lab.sim.loop) - begin < 10 * USEC_PER_SEC);
        CHECK(mate_room(BOB)->row.status != ROOM_JOINING);
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK_EQ(BOB->n_done, 1);
        CHECK_EQ(HASH_COUNT(BOB->rooms->sync->wants), 0);
        lab_free(&lab);
}

/* The link comes while he is out, and that he is out is not kept. */
TEST(whose_removal_was_not_kept_goes_on_hearing) {
        SyncLab lab;
        RoomsError e;
        Link *link;

        lab_new(&lab, 2);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        link = ALICE->links[1];
        CHECK(link);
        rooms_link_down(ALICE->rooms, mate_account(BOB)); /* as if it ended */
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(BOB), &e));
        rooms_link_up(ALICE->rooms, link);
        db_fail(store_write(ALICE->stack.store), -EIO);
        CHECK_EQ(store_commit(ALICE->stack.store), -EIO);
        CHECK(room_is_member(mate_room(ALICE), mate_account(BOB)));
        mate_says(ALICE, "still here");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 1);
        CHECK(lab_is_level(&lab));
        lab_free(&lab);
}

TEST(who_leaves_is_gone_for_the_others) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_leave(CAROL->rooms, CAROL->room, &e));
        mate_commit(CAROL);
        SIM_UNTIL(&lab.sim,
                !room_is_member(mate_room(ALICE), mate_account(CAROL)) &&
                        !room_is_member(mate_room(BOB), mate_account(CAROL)));
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        CHECK(mates_are_level(ALICE, BOB));
        CHECK(!mate_room(CAROL)->row.farewell);
        CHECK_EQ(HASH_COUNT(CAROL->rooms->sync->wants), 0);

        /* And comes back. */
        mate_join(CAROL, BOB);
        mate_says(CAROL, "again");
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(ALICE) == 1);
        lab_free(&lab);
}

/* What the other end says while nothing of it is on disk yet is no answer to it. */
TEST(leaving_is_told_whatever_comes_before_it_is_kept) {
        _cleanup_(buffer_done) Buffer state = BUFFER_NULL;
        RoomSync m = {.op = ROOM_SYNC_STATE};
        SyncLab lab;
        RoomsError e;
        DbTxn *txn;
        Frame f;

        lab_new(&lab, 2);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        memcpy(m.room, lab.id, ROOM_ID_SIZE);
        CHECK_OK(store_read_begin(ALICE->stack.store, &txn));
        CHECK_OK(read_state(sync_room(mate_room(ALICE)), txn, &m.state, NULL));
        store_read_end(txn);
        CHECK_OK(room_sync_encode(&state, &m));
        CHECK_OK(frame_open(buffer_data(&state), buffer_size(&state), &f));

        CHECK_OK(rooms_leave(BOB->rooms, BOB->room, &e));
        CHECK_OK(rooms_frame(BOB->rooms, BOB->links[0], &f));
        mate_commit(BOB);
        SIM_UNTIL(&lab.sim, !room_is_member(mate_room(ALICE), mate_account(BOB)));
        SIM_UNTIL(&lab.sim, !mate_room(BOB)->row.farewell);
        lab_free(&lab);
}

static bool seeks_nobody(Mate *m) {
        return !mate_room(m)->row.farewell && HASH_COUNT(m->rooms->sync->wants) == 0;
}

static void leave(Mate *m) {
        RoomsError e;

        CHECK_OK(rooms_leave(m->rooms, m->room, &e));
        mate_commit(m);
}

/* The owner settles it, and the answer is lost: the block that says so is one. */
TEST(who_has_left_rests_once_the_owner_has_settled_it) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        BOB->evil = true;
        leave(BOB);
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        mate_goes(BOB);
        BOB->evil = false;
        CHECK_EQ(roster_concerned(mate_room(ALICE)->roster, mate_account(BOB)),
                roster_head(mate_room(ALICE)->roster)->epoch);
        mate_goes(CAROL);
        mate_says(ALICE, "without bob");
        mate_comes(BOB);
        CHECK(mate_room(BOB)->row.farewell);
        SIM_UNTIL(&lab.sim, seeks_nobody(BOB));
        CHECK_EQ(mate_room(BOB)->row.status, ROOM_LEFT);
        CHECK_EQ(mate_count(BOB), 0);

        /* And may come back. */
        mate_join(BOB, ALICE);
        SIM_UNTIL(&lab.sim, mates_are_level(ALICE, BOB));
        lab_free(&lab);
}

/* What was done meanwhile is before that block. */
TEST(who_leaves_while_he_is_away_rests) {
        RoomsError e;
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mates_part(BOB, ALICE, true);
        mates_part(BOB, CAROL, true);
        CHECK_OK(rooms_set_topic(ALICE->rooms, ALICE->room, "stew", &e));
        mate_commit(ALICE);
        leave(BOB);
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        mates_part(BOB, ALICE, false);
        SIM_UNTIL(&lab.sim, !room_is_member(mate_room(ALICE), mate_account(BOB)));
        SIM_UNTIL(&lab.sim, seeks_nobody(BOB));
        lab_free(&lab);
}

/* Nobody settles it, and what else is pending is not for him: but that they have it he can see. */
TEST(who_has_left_rests_though_the_owner_is_away) {
        uint8_t account[KEY_SIZE] = {7};
        RoomReason why;
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(ALICE);
        BOB->evil = true;
        leave(BOB);
        SIM_UNTIL(&lab.sim, !room_is_member(mate_room(CAROL), mate_account(BOB)));
        mate_goes(BOB);
        BOB->evil = false;
        CHECK_EQ(room_admit(mate_room(CAROL), account, "erin", NULL, 0, &why), TAKEN);
        mate_commit(CAROL);
        mate_comes(BOB);
        SIM_UNTIL(&lab.sim, seeks_nobody(BOB));
        lab_free(&lab);
}

/* After a month nobody is dialled for it any more; who comes himself is told. */
TEST(who_has_left_does_not_seek_for_ever) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(ALICE);
        mate_goes(CAROL);
        leave(BOB);
        sim_run(&lab.sim, 29 * USEC_PER_DAY);
        CHECK_EQ(HASH_COUNT(BOB->rooms->sync->wants), 2);
        sim_run(&lab.sim, 2 * USEC_PER_DAY);
        CHECK_EQ(HASH_COUNT(BOB->rooms->sync->wants), 0);
        mate_comes(CAROL);
        SIM_UNTIL(&lab.sim, !room_is_member(mate_room(CAROL), mate_account(BOB)));
        SIM_UNTIL(&lab.sim, seeks_nobody(BOB));
        lab_free(&lab);
}

static void tell(Mate *m, const Mate *to, RoomSync *x) {
        Link *l = m->links[to - m->lab->mate];

        memcpy(x->room, m->lab->id, ROOM_ID_SIZE);
        CHECK_OK(room_sync_encode(link_output(l), x));
        link_queued(l);
}

/* Who was removed before him sees nothing of what he has, whose leaving nobody knows yet. */
TEST(who_has_left_shows_nothing_to_who_was_removed_before) {
        RoomSync x = {.op = ROOM_SYNC_STATE};
        uint8_t removed[SHA256_SIZE];
        RoomsError e = {};
        uint64_t epoch;
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(ALICE, "one");
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(BOB) == 1);
        CAROL->evil = true;
        rooms_stop(CAROL->rooms);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        epoch = room_head(mate_room(ALICE), removed);
        CHECK_OK(rooms_set_topic(ALICE->rooms, ALICE->room, "gone", &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mates_are_level(ALICE, BOB));
        mate_goes(ALICE);
        CHECK_OK(rooms_leave(BOB->rooms, BOB->room, &e));
        mate_commit(BOB);
        stack_send(&CAROL->stack, &BOB->stack.who, "you too?");
        SIM_UNTIL(&lab.sim, CAROL->links[1]);
        sim_run(&lab.sim, USEC_PER_SEC);
        CAROL->heard[ROOM_SYNC_STATE] = CAROL->n_blocks = 0;
        tell(CAROL, BOB, &x);
        SIM_UNTIL(&lab.sim, CAROL->heard[ROOM_SYNC_STATE] > 0);
        CHECK_EQ(CAROL->state.head.epoch, epoch);
        CHECK(memcmp(CAROL->state.head.hash, removed, SHA256_SIZE) == 0);
        CHECK(bytes_are_zero(CAROL->state.feeds, ROOM_DIGEST_SIZE));
        CHECK(bytes_are_zero(CAROL->state.proposals, ROOM_DIGEST_SIZE));
        CHECK(bytes_are_zero(CAROL->state.forks, ROOM_DIGEST_SIZE));
        tell(CAROL, BOB, &(RoomSync){.op = ROOM_SYNC_WANT, .want = {.has_control = true}});
        sim_run(&lab.sim, 10 * USEC_PER_SEC);
        CHECK_EQ(CAROL->n_blocks, epoch);
        lab_free(&lab);
}

static void leave_with_what_is_brought(Mate *m) {
        RoomsError e;

        if (!sync_find_room(m->rooms->sync, m->room)->brought)
                return;
        m->heard_fn = NULL;
        CHECK_OK(rooms_leave(m->rooms, m->room, &e));
}

/* What others have brought is not passed on; what he says himself is, though it comes with it. */
TEST(who_leaves_says_so_whatever_comes_with_it) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_set_role(
                ALICE->rooms, ALICE->room, mate_account(CAROL), ROOM_ROLE_ADMIN, &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab));
        BOB->heard_fn = leave_with_what_is_brought;
        CHECK_OK(rooms_set_topic(CAROL->rooms, CAROL->room, "stew", &e));
        mate_commit(CAROL);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_LEFT);
        sim_run(&lab.sim, 200 * USEC_PER_MSEC);
        CHECK(!room_is_member(mate_room(ALICE), mate_account(BOB)));
        CHECK(!room_is_member(mate_room(CAROL), mate_account(BOB)));
        lab_free(&lab);
}

TEST(who_was_kicked_and_is_invited_again_comes_back) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(CAROL, "before");
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_KICKED);
        mate_says(BOB, "without her");
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        mate_ask(CAROL, BOB);
        SIM_UNTIL(&lab.sim, CAROL->n_done == 2);
        CHECK_EQ(CAROL->done, CODE_NOT_ALLOWED);
        CHECK_EQ(mate_room(CAROL)->row.status, ROOM_KICKED);
        CHECK_OK(rooms_invite(ALICE->rooms, ALICE->room, mate_account(CAROL), &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_INVITED);
        mate_join(CAROL, ALICE);
        mate_says(CAROL, "again");
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(ALICE) == 3);
        lab_free(&lab);
}
