/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms over links: getting in, what is said, and bringing each other up to date. */

#include "test.h"

#include "db/private.h"
#include "sync-lab.h"

#define ALICE (&lab.mate[0])
#define BOB (&lab.mate[1])
#define CAROL (&lab.mate[2])
#define DAVE (&lab.mate[3])

TEST(joining_and_talking) {
        SyncLab lab;

        lab_new(&lab, 2);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_says(ALICE, "before");
        mate_join(BOB, ALICE);
        mate_says(BOB, "from bob");
        mate_says(ALICE, "from alice");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 3 && mate_count(BOB) == 3);
        CHECK_EQ(mate_count_readable(ALICE), 3);
        CHECK_EQ(mate_count_readable(BOB), 3);
        CHECK(mates_are_level(ALICE, BOB));
        lab_free(&lab);
}

TEST(what_is_said_reaches_everybody) {
        SyncLab lab;

        lab_new(&lab, 4);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        CHECK(lab_is_level(&lab));
        for (unsigned i = 0; i < lab.n; i++)
                mate_says(&lab.mate[i], "hello");
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(ALICE) == 4);
        for (unsigned i = 0; i < lab.n; i++)
                CHECK_EQ(mate_count_readable(&lab.mate[i]), 4);
        lab_free(&lab);
}

/* The delivery counts come from what others say that they have. */
TEST(the_author_learns_who_has_it) {
        unsigned held, readers, members;
        SyncLab lab;
        DbTxn *txn;
        Room *room;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(BOB, "hello");
        sim_run(&lab.sim, 3 * USEC_PER_SEC);
        room = mate_room(BOB);
        CHECK_OK(store_read_begin(BOB->stack.store, &txn));
        CHECK(rooms_count_delivered(
                      BOB->rooms, txn, BOB->room, room->own, 1, &held, &readers, &members) >= 0);
        store_read_end(txn);
        CHECK_EQ(held, 2);
        CHECK_EQ(members, 2);
        lab_free(&lab);
}

TEST(others_supply_what_an_author_wrote_who_is_gone) {
        SyncLab lab;
        usec_t begun;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(CAROL);
        for (unsigned i = 0; i < 600; i++)
                mate_says(ALICE, "while carol is away");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 600);
        mate_goes(ALICE);
        mate_comes(CAROL);
        SIM_UNTIL(&lab.sim, mate_count(CAROL) > 0);
        begun = loop_now(lab.sim.loop);
        SIM_UNTIL(&lab.sim, mate_count(CAROL) == 600);
        CHECK_EQ(mate_count_readable(CAROL), 600);
        /* Many frames are one answer; what is looked for once in a while is for what was lost. */
        CHECK(loop_now(lab.sim.loop) - begun < 10 * USEC_PER_SEC);
        CHECK(mates_are_level(BOB, CAROL));
        mate_comes(ALICE);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab));
        lab_free(&lab);
}

TEST(two_halves_heal) {
        SyncLab lab;

        lab_new(&lab, 4);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        for (unsigned i = 0; i < 2; i++)
                for (unsigned k = 2; k < 4; k++)
                        mates_part(&lab.mate[i], &lab.mate[k], true);
        for (unsigned i = 0; i < lab.n; i++)
                mate_says(&lab.mate[i], "in one half");
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        CHECK(mate_count(ALICE) == 2 && mate_count(BOB) == 2);
        CHECK(mate_count(CAROL) == 2 && mate_count(DAVE) == 2);
        mates_part(BOB, CAROL, false);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(ALICE) == 4);
        lab_free(&lab);
}

/* Frames about rooms that all of them have got. */
static unsigned count_frames(SyncLab *lab) {
        unsigned n = 0;

        for (unsigned i = 0; i < lab->n; i++)
                n += lab->mate[i].stack.n_rooms_frames;
        return n;
}

TEST(who_is_level_says_so_once_and_nothing_more) {
        unsigned before;
        SyncLab lab;

        lab_new(&lab, 2);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(ALICE, "hello");
        sim_run(&lab.sim, USEC_PER_HOUR);
        before = count_frames(&lab);
        sim_run(&lab.sim, USEC_PER_DAY);
        CHECK_EQ(count_frames(&lab), before);

        mate_goes(BOB);
        mate_comes(BOB);
        SIM_UNTIL(&lab.sim, delivery_count_links(BOB->stack.delivery) == 1);
        sim_run(&lab.sim, USEC_PER_DAY);
        CHECK_EQ(count_frames(&lab), before + 2);
        for (unsigned i = 0; i < lab.n; i++)
                CHECK_EQ(lab.mate[i].rooms->sync->next, USEC_INFINITY);
        lab_free(&lab);
}

/* As when a link is spoken of anew while an answer is on its way: it comes to who asked nothing. */
TEST(an_answer_too_many_is_not_answered_for_ever) {
        unsigned before;
        SyncLab lab;
        SyncRoom *sr;
        RoomLink *rl;

        lab_new(&lab, 2);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(ALICE, "hello");
        sim_run(&lab.sim, USEC_PER_HOUR);
        before = count_frames(&lab);
        sr = sync_room(mate_room(ALICE));
        rl = room_link_find(sr, sync_find_peer(ALICE->rooms->sync, mate_account(BOB)));
        say_state(rl, NULL);
        rl->asks = 0;
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK(count_frames(&lab) - before <= 4);
        lab_free(&lab);
}

TEST(the_owner_deletes_the_room) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(CAROL);
        CHECK_OK(rooms_delete(ALICE->rooms, ALICE->room, &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_DELETED);
        mate_comes(CAROL);
        SIM_UNTIL(&lab.sim, mate_room(CAROL)->row.status == ROOM_DELETED);
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        for (unsigned i = 0; i < lab.n; i++)
                CHECK_EQ(HASH_COUNT(lab.mate[i].rooms->sync->wants), 0);
        lab_free(&lab);
}

TEST(an_invitation_to_a_private_room) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 3);
        lab_create(&lab, ROOM_ACCESS_PRIVATE);
        mate_ask(BOB, ALICE);
        SIM_UNTIL(&lab.sim, BOB->n_done == 1);
        CHECK_EQ(BOB->done, CODE_NOT_INVITED);
        CHECK_EQ(mate_room(BOB)->row.status, ROOM_LEFT);
        CHECK_OK(rooms_invite(ALICE->rooms, ALICE->room, mate_account(BOB), &e));
        mate_commit(ALICE);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_INVITED);
        mate_join(BOB, NULL); /* the inviter is asked */
        mate_says(BOB, "thanks");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 1);
        CHECK_EQ(mate_count_readable(ALICE), 1);
        lab_free(&lab);
}

static void invite(const SyncLab *lab, Mate *by, const Mate *whom) {
        RoomsError e;

        CHECK_OK(rooms_invite(by->rooms, by->room, mate_account(whom), &e));
        mate_commit(by);
}

static void leave(Mate *m) {
        RoomsError e;

        CHECK_OK(rooms_leave(m->rooms, m->room, &e));
        mate_commit(m);
}

TEST(an_invitation_counts_once_however_late_its_mail_is) {
        _cleanup_(buffer_done) Buffer old = BUFFER_NULL;
        SyncLab lab;

        lab_new(&lab, 2);
        lab_create(&lab, ROOM_ACCESS_PRIVATE);
        invite(&lab, ALICE, BOB);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_INVITED);
        old = ALICE->left;
        ALICE->left = BUFFER_NULL;
        mate_join(BOB, NULL);
        sim_run(&lab.sim, USEC_PER_SEC);
        leave(BOB);
        SIM_UNTIL(&lab.sim, !room_is_member(mate_room(ALICE), mate_account(BOB)));
        rooms_notice(BOB->rooms, buffer_bytes(&old), ALICE->stack.who.local.record);
        CHECK_EQ(mate_room(BOB)->row.status, ROOM_LEFT);

        /* Declined is an answer too; and whoever is invited again is told again. */
        for (unsigned i = 0; i < 2; i++) {
                sim_run(&lab.sim, USEC_PER_MINUTE);
                invite(&lab, ALICE, BOB);
                SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_INVITED);
                sim_run(&lab.sim, USEC_PER_SEC);
                leave(BOB);
                rooms_notice(BOB->rooms, buffer_bytes(&ALICE->left), ALICE->stack.who.local.record);
                CHECK_EQ(mate_room(BOB)->row.status, ROOM_LEFT);
        }
        lab_free(&lab);
}

/* Whose clocks differ is no matter. */
TEST(an_invitation_counts_whatever_the_clocks_say) {
        SyncLab lab;

        lab_new(&lab, 2);
        lab_create(&lab, ROOM_ACCESS_PRIVATE);
        invite(&lab, ALICE, BOB);
        mate_join(BOB, ALICE);
        leave(BOB);
        SIM_UNTIL(&lab.sim, !room_is_member(mate_room(ALICE), mate_account(BOB)));
        mate_room(BOB)->row.joined += USEC_PER_HOUR; /* by his clock, which is ahead */
        invite(&lab, ALICE, BOB);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_INVITED);
        lab_free(&lab);
}

TEST(who_is_refused_for_want_of_room_stays_invited) {
        SyncLab lab;

        lab_new(&lab, 2);
        lab_create(&lab, ROOM_ACCESS_PRIVATE);
        invite(&lab, ALICE, BOB);
        SIM_UNTIL(&lab.sim, mate_room(BOB)->row.status == ROOM_INVITED);
        rooms_set_max_members(ALICE->rooms, 1);
        mate_ask(BOB, ALICE);
        SIM_UNTIL(&lab.sim, BOB->n_done == 1);
        CHECK_EQ(BOB->done, CODE_TOO_MANY);
        CHECK_EQ(mate_room(BOB)->row.status, ROOM_INVITED);
        rooms_set_max_members(ALICE->rooms, 2);
        mate_join(BOB, ALICE);
        lab_free(&lab);
}

TEST(joining_what_is_not_there) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_ask(BOB, CAROL);
        SIM_UNTIL(&lab.sim, BOB->n_done == 1);
        CHECK_EQ(BOB->done, CODE_UNKNOWN_ROOM);

        /* Nobody answers: it goes on, and one day somebody does. */
        mate_goes(ALICE);
        mate_ask(CAROL, ALICE);
        SIM_UNTIL(&lab.sim, CAROL->n_done == 1);
        CHECK_EQ(CAROL->done, CODE_TIMEOUT);
        sim_run(&lab.sim, 10 * USEC_PER_MINUTE);
        mate_comes(ALICE);
        SIM_UNTIL(&lab.sim, room_is_joined(mate_room(CAROL)));
        lab_free(&lab);
}

TEST(a_member_who_is_away_is_told_once_that_there_is_something) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(CAROL);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK_EQ(ALICE->n_left, 0);
        mate_says(ALICE, "one");
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        CHECK_EQ(ALICE->n_left, 1);
        mate_says(ALICE, "two");
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        CHECK_EQ(ALICE->n_left, 1);
        CHECK_EQ(BOB->n_left, 0);
        mate_comes(CAROL);
        SIM_UNTIL(&lab.sim, mate_count(CAROL) == 2);
        mate_goes(CAROL);
        mate_says(ALICE, "three");
        sim_run(&lab.sim, 5 * USEC_PER_MINUTE);
        CHECK_EQ(ALICE->n_left, 2);
        lab_free(&lab);
}

/* More of them than are known beyond their links. */
TEST(each_of_many_who_are_away_is_told_once) {
        const unsigned n = KNOWN_MAX + 2 * 32;
        RoomReason why;
        SyncLab lab;

        lab_new(&lab, 1);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        for (unsigned i = 0; i < n; i++) {
                uint8_t account[KEY_SIZE];

                loop_random(lab.sim.loop, account, sizeof(account));
                CHECK_EQ(room_admit(mate_room(ALICE), account, "", NULL, 0, &why), TAKEN);
                CHECK_OK(contact_mark(ALICE->stack.store, account, CONTACT_PINNED));
                mate_commit(ALICE);
                if (i % 64 == 63)
                        sim_run(&lab.sim, USEC_PER_SEC);
        }
        mate_says(ALICE, "one");
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK_EQ(ALICE->n_left, n);
        mate_says(ALICE, "two");
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK_EQ(ALICE->n_left, n);
        lab_free(&lab);
}

TEST(who_writes_is_seen) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        rooms_type(ALICE->rooms, ALICE->room, true);
        rooms_type(ALICE->rooms, ALICE->room, true);
        SIM_UNTIL(&lab.sim, BOB->n_typing == 1 && CAROL->n_typing == 1);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK_EQ(BOB->n_typing, 1);
        lab_free(&lab);
}

static void on_offer(void *userdata, const RoomsOffer *o) {
        Mate *m = userdata;

        m->n_offers += o ? 1 : 100;
        CHECK(!o || (streq(o->name, "kitchen") && o->members == 2));
}

TEST(open_rooms_are_found_by_asking) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_join(BOB, ALICE);
        stack_send(&CAROL->stack, &ALICE->stack.who, "hi");
        SIM_UNTIL(&lab.sim, CAROL->stack.rooms);
        CHECK_OK(rooms_ask(CAROL->rooms, "KITCH", on_offer, CAROL));
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 101);
        CHECK_OK(rooms_ask(CAROL->rooms, "cellar", on_offer, CAROL));
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 201);
        CHECK_OK(rooms_ask(CAROL->rooms, "Soup kitch", on_offer, CAROL)); /* topic, name */
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 302);
        CHECK_OK(rooms_ask(CAROL->rooms, "kitchen cellar", on_offer, CAROL));
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 402);
        lab_free(&lab);
}

/* Who is on the local network is called for it, and let go again. */
TEST(neighbours_are_asked_for_rooms) {
        SyncLab lab;

        lab_new(&lab, 4);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_join(BOB, ALICE);
        CHECK_OK(rooms_ask(CAROL->rooms, NULL, on_offer, CAROL));
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 100); /* there is nobody */
        lab.lan = true;
        CHECK_OK(rooms_ask(CAROL->rooms, "soup", on_offer, CAROL));
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 202); /* by alice and bob */
        CHECK_EQ(HASH_COUNT(CAROL->rooms->sync->wants), 0);
        mate_goes(ALICE);
        mate_goes(BOB);
        CHECK_OK(rooms_ask(CAROL->rooms, "soup", on_offer, CAROL));
        SIM_UNTIL(&lab.sim, CAROL->n_offers == 302);
        CHECK_EQ(HASH_COUNT(CAROL->rooms->sync->wants), 0);
        lab_free(&lab);
}

/* Whoever waits for an answer when the session ends is told that there is none. */
TEST(a_question_ends_with_the_session) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab.lan = true;
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_join(BOB, ALICE);
        CHECK_OK(rooms_ask(CAROL->rooms, NULL, on_offer, CAROL));
        CHECK_EQ(CAROL->n_offers, 0);
        rooms_stop(CAROL->rooms);
        CHECK_EQ(CAROL->n_offers, 100);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK_EQ(CAROL->n_offers, 100);
        CHECK_EQ(HASH_COUNT(CAROL->rooms->sync->wants), 0);
        lab_free(&lab);
}

/* As in a room of hundreds: each has links to two, and passes on to one of them. */
TEST(in_a_large_room_it_is_passed_on) {
        SyncLab lab;

        lab_new(&lab, 8);
        lab_large(&lab);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab));
        for (unsigned i = 0; i < lab.n; i++)
                mate_says(&lab.mate[i], "hello");
        sim_run(&lab.sim, 30 * USEC_PER_SEC);
        CHECK(lab_is_level(&lab));
        CHECK_EQ(mate_count(DAVE), 8);
        mate_goes(BOB);
        for (unsigned i = 0; i < 100; i++)
                mate_says(ALICE, "while bob is away");
        sim_run(&lab.sim, 30 * USEC_PER_SEC);
        mate_goes(ALICE);
        mate_comes(BOB);
        lab_large(&lab);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(BOB) == 108);
        lab_free(&lab);
}

/* Everyone writes at once, two are killed and come back, one was away. */
TEST(five_end_with_the_same) {
        SyncLab lab;
        unsigned n = 0;

        lab_new(&lab, 5);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_goes(&lab.mate[4]);
        for (unsigned round = 0; round < 40; round++) {
                for (unsigned i = 0; i < 5; i++)
                        if (lab.mate[i].runs) {
                                mate_says(&lab.mate[i], "at once");
                                n++;
                        }
                sim_run(&lab.sim, loop_random_below(lab.sim.loop, USEC_PER_SEC));
                if (round == 10 || round == 15)
                        mate_goes(&lab.mate[round == 10 ? 1 : 2]);
                if (round == 20 || round == 25)
                        mate_comes(&lab.mate[round == 20 ? 1 : 2]);
        }
        SIM_UNTIL(&lab.sim, lab_is_level(&lab));
        mate_goes(ALICE);
        mate_comes(&lab.mate[4]);
        SIM_UNTIL(&lab.sim, mates_are_level(BOB, &lab.mate[4]));
        mate_comes(ALICE);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_count(ALICE) == n);
        for (unsigned i = 0; i < lab.n; i++)
                CHECK_EQ(mate_count_readable(&lab.mate[i]), n);
        lab_free(&lab);
}

/* The owner is away when somebody is let in, and writes: he finds all of it when he is back. */
TEST(a_room_goes_on_without_its_owner) {
        SyncLab lab;

        lab_new(&lab, 4);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        mate_join(BOB, ALICE);
        mate_join(CAROL, ALICE);
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        mate_goes(ALICE);
        mate_join(DAVE, CAROL);
        mate_says(DAVE, "new here");
        SIM_UNTIL(&lab.sim, mate_count(BOB) == 1 && mate_count(CAROL) == 1);
        CHECK_EQ(mate_count_readable(BOB), 1);
        mate_goes(CAROL);
        mate_comes(ALICE);
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 1);
        mate_comes(CAROL);
        SIM_UNTIL(&lab.sim, lab_is_level(&lab) && mate_digest(ALICE).epoch >= 3);
        lab_free(&lab);
}

TEST(halves_that_disagree_on_who_is_in) {
        SyncLab lab;
        RoomsError e;

        lab_new(&lab, 4);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(DAVE, "before");
        sim_run(&lab.sim, 5 * USEC_PER_SEC);
        for (unsigned i = 0; i < 2; i++)
                for (unsigned k = 2; k < 4; k++)
                        mates_part(&lab.mate[i], &lab.mate[k], true);
        lab.no_mail = true;
        CHECK_OK(rooms_kick(ALICE->rooms, ALICE->room, mate_account(DAVE), &e));
        mate_commit(ALICE);
        mate_says(DAVE, "not known to alice");
        mate_says(CAROL, "hello");
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK_EQ(mate_count(CAROL), 3);
        for (unsigned i = 0; i < 2; i++)
                for (unsigned k = 2; k < 4; k++)
                        mates_part(&lab.mate[i], &lab.mate[k], false);
        SIM_UNTIL(&lab.sim, mate_room(DAVE)->row.status == ROOM_KICKED);
        SIM_UNTIL(&lab.sim, mates_are_level(ALICE, BOB) && mates_are_level(BOB, CAROL));
        CHECK_EQ(mate_count(ALICE), 2);
        lab_free(&lab);
}

/* The own entry SEQ. */
static bool all_have(Mate *m, uint64_t seq, unsigned of) {
        unsigned held, readers, members;
        DbTxn *txn;
        int r;

        CHECK_OK(store_read_begin(m->stack.store, &txn));
        r = rooms_count_delivered(
                m->rooms, txn, m->room, mate_room(m)->own, seq, &held, &readers, &members);
        store_read_end(txn);
        return r >= 0 && held == of && members == of;
}

static bool all_have_it(Mate *m, unsigned of) {
        return all_have(m, 1, of);
}

/* Also where some heard of the others before those knew that they were in. */
TEST(everybody_learns_that_everybody_has_it) {
        SyncLab lab;

        lab_new(&lab, 5);
        lab_create(&lab, ROOM_ACCESS_OPEN);
        for (unsigned i = 1; i < lab.n; i++)
                mate_ask(&lab.mate[i], ALICE);
        SIM_UNTIL(&lab.sim, BOB->n_done + CAROL->n_done + DAVE->n_done + lab.mate[4].n_done == 4);
        for (unsigned i = 0; i < lab.n; i++)
                mate_says(&lab.mate[i], "hello");
        sim_run(&lab.sim, 10 * USEC_PER_SEC);
        for (unsigned i = 0; i < lab.n; i++)
                CHECK(all_have_it(&lab.mate[i], 4));
        lab_free(&lab);
}

/* The acknowledgement got lost with the link: that both have the same is one. */
TEST(who_is_back_learns_who_has_it) {
        SyncLab lab;

        lab_new(&lab, 3);
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        mate_says(BOB, "hello");
        SIM_UNTIL(&lab.sim, mate_count(ALICE) == 1 && mate_count(CAROL) == 1);
        CHECK(!all_have_it(BOB, 2));
        mate_goes(BOB);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        mate_comes(BOB);
        SIM_UNTIL(&lab.sim, all_have_it(BOB, 2));
        lab_free(&lab);
}

/* Whoever lets him in tells him what there is before he knows that he is in. */
TEST(who_left_and_is_back_tells_what_he_has) {
        SyncLab lab;
        RoomsError e;
        Mate *heidi;

        lab_new(&lab, MATES_MAX);
        heidi = &lab.mate[MATES_MAX - 1];
        lab_room_of(&lab, ROOM_ACCESS_OPEN);
        for (uint64_t i = 1; i <= 8; i++) {
                CHECK_OK(rooms_leave(heidi->rooms, heidi->room, &e));
                mate_commit(heidi);
                sim_run(&lab.sim, USEC_PER_MINUTE);
                mate_says(ALICE, "without her");
                mate_join(heidi, ALICE);
                sim_run(&lab.sim, USEC_PER_MINUTE);
                CHECK(lab_is_level(&lab));
                CHECK(all_have(ALICE, i, lab.n - 1));
        }
        lab_free(&lab);
}
