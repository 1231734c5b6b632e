/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What one device of an account has of rooms comes to the next one, and back. */

#include "test.h"

#include "rooms-handover-lab.h"

TEST(a_room_comes_over_with_all_that_belongs_to_it) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        Uuid read;

        begin(&lab, 1, ROOM_ACCESS_HIDDEN);
        mate_says(alice, "one");
        read = mate_uuid(alice, alice->next_id);
        mate_says(bob, "two");
        level_without(&lab, &lab.mate[3]);
        mate_reads_up_to(bob, &read);
        mate_says(alice, "@bob: three");
        level_without(&lab, &lab.mate[3]);
        CHECK_EQ(unread(bob), 1);

        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK(new->room);
        CHECK_EQ(new->room->row.status, ROOM_JOINED);
        CHECK_EQ(new->room->row.joined, bob->room->row.joined);
        CHECK_STR(new->room->row.topic, "soup");
        CHECK_STR(mate_reads(new), "one|two|@bob: three|");
        CHECK_EQ(unread(new), 1);
        CHECK_EQ(count_events(new), 0);
        check_level(new, bob);
        check_level(new, alice);

        mate_says(new, "four");
        lab_pause(&lab);
        give(new, alice);
        CHECK_STR(mate_reads(alice), "one|two|@bob: three|four|");
        mate_says(alice, "five");
        give(alice, new);
        CHECK_EQ(unread(new), 2);
        CHECK_EQ(mate_say(bob, "late", &e), 0); /* who does not know yet is not heard */
        give(bob, alice);
        CHECK_STR(mate_reads(alice), "one|two|@bob: three|four|five|");
        lab_free(&lab);
}

/* Not that they were told to somebody, but that they are here is what counts. */
TEST(what_was_written_while_alone_comes_to_the_others) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        begin(&lab, 2, ROOM_ACCESS_PRIVATE);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        mate_says(bob, "alone");
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        mate_says(new, "here");
        give(new, alice);
        CHECK_STR(mate_reads(alice), "one|alone|here|");
        level_without(&lab, bob);
        CHECK_STR(mate_reads(&lab.mate[2]), "one|alone|here|");
        check_level(alice, new);
        lab_free(&lab);
}

/* As it may come in any piece, and again. */
TEST(it_does_not_matter_in_which_pieces_it_comes) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        uint64_t n;

        begin(&lab, 3, ROOM_ACCESS_PRIVATE);
        for (unsigned i = 0; i < 5; i++) {
                mate_says(bob, "b");
                mate_says(alice, "a");
                level_without(&lab, &lab.mate[3]);
        }
        new = move(&lab, 1, 3);
        n = hand_over(bob, new, 1, 1);
        CHECK_EQ(unread(new), 5);
        check_level(new, alice);
        for (unsigned i = 1; i < 4; i++) {
                CHECK_EQ(hand_over(bob, new, 1000 * i, i - 1), n);
                CHECK_EQ(unread(new), 5);
                CHECK_EQ(count_events(new), 0);
                CHECK_EQ(new->room->row.status, ROOM_JOINED);
                check_level(new, alice);
        }
        lab_free(&lab);
}

TEST(a_send_is_known_by_its_id_on_the_next_device) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *bob = &lab.mate[1], *new;
        RoomsMessage m = {.text = text_bytes("once")};

        begin(&lab, 4, ROOM_ACCESS_OPEN);
        m.id = mate_uuid(bob, 4711);
        m.now = loop_realtime(lab.sim.loop);
        CHECK_OK(rooms_send(bob->rooms, bob->room->row.number, &m, &e));
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        clone_joins(new, &lab.mate[0]); /* the others have brought it, and not said under what id */
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(rooms_send(new->rooms, new->room->row.number, &m, &e), 1);
        m.text = text_bytes("twice");
        CHECK_EQ(rooms_send(new->rooms, new->room->row.number, &m, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_INVALID_ARGS);
        lab_commit(new);
        CHECK_STR(mate_reads(new), "once|");
        lab_free(&lab);
}

TEST(what_others_have_of_own_messages_is_not_forgotten) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new;
        unsigned held, read, members;
        FeedsSeen feeds;
        Uuid id;

        begin(&lab, 5, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        id = mate_uuid(bob, bob->next_id);
        level_without(&lab, &lab.mate[3]);
        mate_reads_up_to(alice, &id);
        mate_reads_up_to(carol, &id);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        feeds = mate_feeds(new);
        CHECK_EQ(feeds.n, 1);
        CHECK_EQ(rooms_count_delivered(new->rooms, mate_txn(new), new->room->row.number,
                         feeds.list[0].feed.number, 1, &held, &read, &members),
                1);
        CHECK_EQ(held, 2);
        CHECK_EQ(read, 2);
        CHECK_EQ(members, 2);
        lab_free(&lab);
}

/* What the others bring before all of it is here has been heard on the device before. */
TEST(what_members_bring_meanwhile_is_no_news) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        Uuid id;

        begin(&lab, 6, ROOM_ACCESS_PRIVATE);
        mate_says(alice, "read");
        id = mate_uuid(alice, alice->next_id);
        level_without(&lab, &lab.mate[3]);
        mate_reads_up_to(bob, &id);
        mate_says(alice, "unread");
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        mate_says(alice, "new");
        hand_over_until_joined(bob, new);
        CHECK_STR(mate_reads(new), "");
        give(alice, new);
        CHECK_STR(mate_reads(new), "read|unread|new|");
        CHECK_EQ(unread(new), 2);
        CHECK_EQ(count_events(new), 1);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(unread(new), 2);
        CHECK_EQ(count_events(new), 1);
        lab_free(&lab);
}

/* Both believe to be the active one, and both write. */
TEST(what_an_older_device_wrote_too_late_is_written_anew) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new;

        begin(&lab, 7, ROOM_ACCESS_OPEN);
        new = move(&lab, 1, 3);
        clone_joins(new, alice);
        mate_says(new, "here");
        give(new, alice);
        lab_pause(&lab);
        mate_says(bob, "late");
        mate_says(bob, "later");
        give(bob, carol); /* who has not heard of the new one */
        CHECK_STR(mate_reads(carol), "late|later|");
        for (unsigned i = 0; i < 2; i++) {
                hand_over(bob, new, 64 * 1024, 0);
                CHECK_STR(mate_reads(new), "here|late|later|");
                level_without(&lab, bob);
                CHECK_STR(mate_reads(alice), "here|late|later|");
                CHECK_STR(mate_reads(carol), "here|late|later|");
                check_level(alice, new);
                CHECK_EQ(count_received(carol), 3); /* she has heard of two of them before */
                CHECK_EQ(unread(carol), 3);
                check_level(carol, new);
        }
        lab_free(&lab);
}

/* What the next one writes comes after it, or it would be cut off everywhere. */
TEST(what_was_written_with_a_clock_ahead_stays) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        begin(&lab, 41, ROOM_ACCESS_OPEN);
        loop_virtual_step_realtime(lab.sim.loop, (int64_t)USEC_PER_DAY);
        mate_says(bob, "far");
        loop_virtual_step_realtime(lab.sim.loop, -(int64_t)USEC_PER_DAY);
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        mate_says(new, "here");
        level_without(&lab, bob);
        CHECK_STR(mate_reads(alice), "far|here|");
        check_level(alice, new);
        lab_free(&lab);
}

/* It came to a device that did not know that it was not meant any more. */
TEST(what_an_older_device_took_in_too_late_is_news) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        for (unsigned i = 0; i < 2; i++) {
                begin(&lab, 8, ROOM_ACCESS_OPEN);
                mate_says(alice, "one");
                level_without(&lab, &lab.mate[3]);
                new = move(&lab, 1, 3);
                lab_pause(&lab);
                mate_says(alice, "two");
                give(alice, bob);
                CHECK_OK(store_set_replaced_by(bob->store, buffer_bytes(&new->who.record)));
                if (i == 1) { /* alice brings it as well, just before */
                        hand_over_until_joined(bob, new);
                        CHECK_STR(mate_reads(new), "");
                        give(alice, new);
                }
                hand_over(bob, new, 64 * 1024, 0);
                CHECK_STR(mate_reads(new), "one|two|");
                CHECK_EQ(unread(new), 2);
                CHECK_EQ(count_events(new), 1);
                lab_free(&lab);
        }
}

TEST(who_moves_back_finds_what_was_said_meanwhile) {
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        RoomsError e = {};
        Uuid id;

        begin(&lab, 9, ROOM_ACCESS_PRIVATE);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        mate_says(new, "two");
        mate_says(alice, "three");
        id = mate_uuid(alice, alice->next_id);
        level_without(&lab, bob);
        mate_reads_up_to(new, &id);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "tea", &e));
        lab_commit(alice);
        mate_says(alice, "four");
        level_without(&lab, bob);

        move_back(new, bob);
        hand_over(new, bob, 64 * 1024, 0);
        CHECK_STR(mate_reads(bob), "one|two|three|four|");
        CHECK_STR(bob->room->row.topic, "tea");
        CHECK_EQ(unread(bob), 1);
        mate_says(bob, "five");
        level_without(&lab, new);
        CHECK_STR(mate_reads(alice), "one|two|three|four|five|");
        check_level(alice, bob);
        lab_free(&lab);
}

TEST(who_is_out_of_a_room_is_out_of_it_on_the_next_device) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        for (unsigned i = 0; i < 3; i++) {
                begin(&lab, 10 + i, ROOM_ACCESS_OPEN);
                mate_says(alice, "one");
                level_without(&lab, &lab.mate[3]);
                if (i == 0)
                        CHECK_OK(rooms_leave(bob->rooms, bob->room->row.number, &e));
                else if (i == 1)
                        CHECK_OK(rooms_kick(
                                alice->rooms, alice->room->row.number, mate_account(bob), &e));
                else
                        CHECK_OK(rooms_delete(alice->rooms, alice->room->row.number, &e));
                lab_commit(alice);
                lab_commit(bob);
                if (i > 0)
                        level_without(&lab, &lab.mate[3]);
                new = move(&lab, 1, 3);
                hand_over(bob, new, i == 0 ? 1 : 64 * 1024, 0);
                CHECK_EQ(bob->room->row.status,
                        i == 0           ? ROOM_LEFT
                                : i == 1 ? ROOM_KICKED
                                         : ROOM_DELETED);
                CHECK_EQ(new->room->row.status, bob->room->row.status);
                CHECK_EQ(new->room->row.farewell, i == 0);
                CHECK_EQ(new->room->row.read_only, true);
                CHECK_STR(mate_reads(new), "one|");
                CHECK_EQ(count_events(new), 0);
                mate_restart(new);
                CHECK_EQ(new->room->row.status, bob->room->row.status);
                if (i == 0) {
                        CHECK(room_is_member(alice->room, mate_account(bob)));
                        give(new, alice);
                        CHECK(!room_is_member(alice->room, mate_account(bob)));
                }
                lab_free(&lab);
        }
}

TEST(an_invitation_comes_over) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;
        Contact c;

        lab_new(&lab, 20, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_PRIVATE, ROOM_HISTORY_ALL, &e));
        CHECK_OK(rooms_invite(alice->rooms, alice->room->row.number, mate_account(bob), &e));
        lab_commit(alice);
        CHECK_OK(contact_mark(bob->store, mate_account(alice), CONTACT_NAMED));
        CHECK_EQ(contact_get(mate_txn(bob), mate_account(alice), &c), 1);
        CHECK_OK(room_begin(bob->rooms, lab.id, "kitchen", ROOM_INVITED, c.number, &bob->room));
        bob->room->row.invited = loop_realtime(lab.sim.loop);
        CHECK_OK(room_keep(bob->room));
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(new->room->row.status, ROOM_INVITED);
        CHECK_STR(new->room->row.name, "kitchen");
        CHECK_EQ(new->room->row.invited, bob->room->row.invited);
        CHECK_EQ(contact_get_by_number(mate_txn(new), new->room->row.inviter, &c), 1);
        CHECK(key_equal(c.account, mate_account(alice)));
        lab_free(&lab);
}

TEST(a_room_that_was_handed_to_the_user_keeps_what_that_rests_on) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *new;

        begin(&lab, 23, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_set_role(
                alice->rooms, alice->room->row.number, mate_account(bob), ROOM_ROLE_OWNER, &e));
        lab_commit(alice);
        level_without(&lab, &lab.mate[3]);
        CHECK_EQ(room_rank(alice->room, mate_account(bob)), ROOM_ROLE_OWNER);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 1, 1);
        CHECK_EQ(room_rank(new->room, mate_account(bob)), ROOM_ROLE_OWNER);
        check_level(new, alice);
        lab_free(&lab);
}

TEST(of_two_rooms_with_one_name_each_is_called_as_before) {
        RoomsLab lab;
        RoomsCreate c = {
                .name = "kitchen", .access = ROOM_ACCESS_OPEN, .history = ROOM_HISTORY_ALL};
        RoomsError e = {};
        Mate *bob = &lab.mate[1], *new;
        uint32_t number;
        Room *room;

        begin(&lab, 27, ROOM_ACCESS_OPEN);
        CHECK_OK(rooms_leave(bob->rooms, bob->room->row.number, &e));
        lab_commit(bob);
        CHECK_OK(rooms_create(bob->rooms, &c, &number, &e));
        lab_commit(bob);
        level_without(&lab, &lab.mate[3]);
        mate_join(bob, &lab.mate[0]);
        CHECK_STR(bob->room->row.name, "");
        room = room_by_number(bob->rooms, number);
        CHECK_STR(room->row.name, "kitchen");
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK_EQ(new->room->row.status, ROOM_JOINED);
        CHECK_STR(new->room->row.name, "");
        room = room_of(new->rooms, room->row.id);
        CHECK_STR(room->row.name, "kitchen");
        CHECK_EQ(room->row.status, ROOM_JOINED);
        lab_free(&lab);
}

TEST(forks_come_over) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2], *new, *twin;

        begin(&lab, 24, ROOM_ACCESS_OPEN);
        lab_clone(&lab, 2, 3, false);
        twin = &lab.mate[3];
        clone_joins(twin, alice);
        twin->next_id = 5000;
        mate_says(carol, "one");
        mate_says(twin, "another");
        give(carol, bob);
        give(twin, bob);
        CHECK(memcmp(bob->room->row.forks_digest, alice->room->row.forks_digest, 32) != 0);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        check_level(new, bob);
        lab_free(&lab);

        begin(&lab, 25, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        level_without(&lab, &lab.mate[3]);
        lab_clone(&lab, 0, 3, false);
        clone_joins(&lab.mate[3], bob);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "tea", &e));
        lab_commit(alice);
        CHECK_OK(rooms_set_topic(lab.mate[3].rooms, lab.mate[3].room->row.number, "beer", &e));
        lab_commit(&lab.mate[3]);
        give(alice, bob);
        give(&lab.mate[3], bob);
        CHECK(bob->room->row.flags & ROOM_FLAG_FORKED);
        new = move(&lab, 1, 3);
        hand_over(bob, new, 64 * 1024, 0);
        CHECK(new->room->row.flags &ROOM_FLAG_FORKED);
        CHECK(new->room->row.read_only);
        CHECK_STR(mate_reads(new), "one|");
        CHECK_EQ(count_events(new), 0);
        lab_free(&lab);
}

TEST(what_is_no_item_is_refused) {
        _cleanup_(buffer_done) Buffer items = BUFFER_NULL, next = BUFFER_NULL, bad = BUFFER_NULL;
        RoomsLab lab;
        Mate *bob = &lab.mate[1], *new;
        uint64_t n;
        Bytes item;
        DbTxn *txn;

        begin(&lab, 26, ROOM_ACCESS_OPEN);
        mate_says(bob, "one");
        new = move(&lab, 1, 3);
        CHECK_OK(store_read_begin(bob->store, &txn));
        CHECK_EQ(rooms_handover_read(txn, &bob->self, (Bytes){.data = (const uint8_t *)"x", 1},
                         1000, &items, &n, &next),
                -EINVAL);
        CHECK_EQ(rooms_handover_read(txn, &bob->self, (Bytes){}, 64 * 1024, &items, &n, &next), 0);
        CHECK_EQ(rooms_handover_read(txn, &bob->self, buffer_bytes(&next), 1000, &bad, &n, &next),
                0);
        CHECK_EQ(n, 0);
        store_read_end(txn);
        item = buffer_bytes(&items);
        for (Bytes left = item; left.size > 0;) {
                item = next_item(&left);
                for (size_t i = 0; i < item.size; i += 1 + item.size / 8)
                        CHECK_EQ(rooms_handover_merge(
                                         new->rooms, (Bytes){.data = item.data, .size = i}),
                                -EBADMSG);
        }
        lab_commit(new);
        CHECK(!room_of(new->rooms, lab.id));
        lab_free(&lab);
}
