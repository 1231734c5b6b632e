/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms as one and a few have them: create, join, write, read, kick, keys, restart. */

#include "test.h"

#include "rooms-lab.h"

TEST(who_creates_a_room_is_its_owner_and_reads_what_he_writes) {
        RoomsLab lab;
        RoomsError e = {};
        RoomView v;
        DbTxn *txn;
        Mate *alice = &lab.mate[0];

        lab_new(&lab, 1, 1);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        CHECK_OK(store_read_begin(alice->store, &txn));
        CHECK_EQ(rooms_view(alice->rooms, txn, alice->room->row.number, &v), 1);
        store_read_end(txn);
        CHECK_STR(v.name, "kitchen");
        CHECK_STR(v.topic, "soup");
        CHECK_EQ(v.role, ROOM_ROLE_OWNER);
        CHECK_EQ(v.members, 1);
        CHECK(v.joined && !v.read_only);
        mate_says(alice, "hello");
        mate_says(alice, "world");
        CHECK_STR(mate_reads(alice), "hello|world|");
        mate_restart(alice);
        CHECK_STR(mate_reads(alice), "hello|world|");
        mate_says(alice, "again");
        CHECK_STR(mate_reads(alice), "hello|world|again|");
        lab_free(&lab);
}

TEST(a_name_in_use_is_refused) {
        RoomsCreate c = {
                .name = "kitchen", .access = ROOM_ACCESS_OPEN, .history = ROOM_HISTORY_ALL};
        RoomsLab lab;
        RoomsError e = {};
        uint32_t number;

        lab_new(&lab, 1, 1);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        CHECK_EQ(rooms_create(lab.mate[0].rooms, &c, &number, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_ROOM_EXISTS);
        lab_free(&lab);
}

TEST(who_joins_an_open_room_reads_and_writes) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 2, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_says(alice, "one");
        mate_join(bob, alice);
        CHECK_STR(mate_reads(bob), "one|");
        mate_says(bob, "two");
        mate_join(carol, bob); /* any member lets people in */
        mate_says(carol, "three");
        lab_level(&lab);
        CHECK_STR(mate_reads(alice), "one|two|three|");
        CHECK_STR(mate_reads(bob), "one|two|three|");
        CHECK_STR(mate_reads(carol), "one|two|three|");
        check_level(alice, bob);
        check_level(alice, carol);
        CHECK_EQ(roster_count(alice->room->roster), 3);
        lab_free(&lab);
}
