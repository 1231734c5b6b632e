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

TEST(who_was_not_invited_stays_out_of_a_private_room) {
        RoomsLab lab;
        RoomsError e = {};
        RoomReason why = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 3, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_PRIVATE, ROOM_HISTORY_ALL, &e));
        CHECK_OK(rooms_invite(alice->rooms, alice->room->row.number, mate_account(bob), &e));
        lab_commit(alice);
        CHECK_EQ(alice->n_notices, 1);
        CHECK_EQ(alice->notice, ROOM_NOTICE_INVITED);
        mate_join(bob, alice);
        CHECK_EQ(mate_ask(carol, bob, &why), TAKEN_REFUSED);
        CHECK_EQ(why.code, CODE_NOT_INVITED);
        CHECK_EQ(rooms_invite(bob->rooms, bob->room->row.number, mate_account(carol), &e),
                -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        lab_free(&lab);
}

TEST(wrong_use_is_refused_with_its_error) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];
        uint32_t a, b;

        lab_new(&lab, 4, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        a = alice->room->row.number;
        b = bob->room->row.number;
        CHECK_EQ(rooms_leave(alice->rooms, a, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        CHECK_EQ(rooms_delete(bob->rooms, b, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_OWNER);
        CHECK_EQ(rooms_kick(bob->rooms, b, mate_account(alice), &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        CHECK_EQ(rooms_kick(alice->rooms, a, mate_account(carol), &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_MEMBER);
        CHECK_EQ(rooms_set_topic(bob->rooms, b, "mine", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_ALLOWED);
        CHECK_EQ(rooms_set_role(bob->rooms, b, mate_account(bob), ROOM_ROLE_ADMIN, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_OWNER);
        CHECK_EQ(rooms_set_topic(alice->rooms, a, "two\nlines", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_TOO_LONG);
        CHECK_EQ(rooms_leave(alice->rooms, 4711, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_UNKNOWN_ROOM);
        CHECK_OK(contact_mark(alice->store, mate_account(carol), CONTACT_BLOCKED));
        CHECK_EQ(rooms_invite(alice->rooms, a, mate_account(carol), &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_BLOCKED);
        lab_free(&lab);
}

TEST(who_leaves_writes_no_more_and_may_come_back) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];

        lab_new(&lab, 5, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_says(bob, "one");
        CHECK_OK(rooms_leave(bob->rooms, bob->room->row.number, &e));
        lab_commit(bob);
        CHECK_EQ(bob->room->row.status, ROOM_LEFT);
        CHECK(bob->room->row.farewell);
        CHECK_EQ(mate_say(bob, "two", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_MEMBER);
        lab_level(&lab);
        CHECK(!room_is_member(alice->room, mate_account(bob)));
        CHECK_STR(mate_reads(alice), "one|");
        mate_says(alice, "gone");

        mate_join(bob, alice);
        mate_says(bob, "back");
        lab_level(&lab);
        CHECK_STR(mate_reads(alice), "one|gone|back|");
        CHECK_STR(mate_reads(bob), "one|gone|back|");
        check_level(alice, bob);
        lab_free(&lab);
}

typedef struct Roles {
        RoomRole list[8];
        unsigned n;
} Roles;

static bool note_role(void *userdata, DbTxn *txn, const EventRow *e) {
        Roles *r = userdata;

        if (e->kind == EVENT_ROOM && e->change == ROOM_EVENT_ROLE) {
                CHECK(e->says && r->n < ELEMENTSOF(r->list));
                r->list[r->n++] = e->role;
        }
        return true;
}

TEST(an_event_tells_of_the_role_of_then) {
        RoomsError e = {};
        RoomsLab lab;
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 27, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        lab_level(&lab);
        for (unsigned i = 0; i < 2; i++) {
                CHECK_OK(rooms_set_role(alice->rooms, alice->room->row.number, mate_account(bob),
                        i == 0 ? ROOM_ROLE_ADMIN : ROOM_ROLE_MEMBER, &e));
                lab_commit(alice);
                lab_level(&lab);
        }
        for (unsigned i = 0; i < 3; i++) {
                Roles r = {};

                CHECK_OK(event_each(mate_txn(&lab.mate[i]), 0, note_role, &r));
                CHECK_EQ(r.n, 2);
                CHECK_EQ(r.list[0], ROOM_ROLE_ADMIN);
                CHECK_EQ(r.list[1], ROOM_ROLE_MEMBER);
        }
        lab_free(&lab);
}

TEST(a_deleted_room_is_deleted_for_all) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];

        lab_new(&lab, 6, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_says(bob, "one");
        CHECK_OK(rooms_delete(alice->rooms, alice->room->row.number, &e));
        lab_commit(alice);
        give_control(alice, bob);
        lab_commit(bob);
        CHECK_EQ(bob->room->row.status, ROOM_DELETED);
        CHECK_EQ(mate_say(bob, "two", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_UNKNOWN_ROOM);
        CHECK_EQ(mate_say(alice, "two", &e), -ECANCELED);
        CHECK_STR(mate_reads(bob), "one|"); /* what was read stays */
        mate_restart(bob);
        CHECK_EQ(bob->room->row.status, ROOM_DELETED);
        lab_free(&lab);
}

/* Kicks */

TEST(what_the_kicked_one_writes_on_is_dropped_everywhere) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 7, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        mate_says(carol, "one");
        lab_level(&lab);

        /* In one half he is removed, in the other he writes, and Bob has it. */
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(carol), &e));
        lab_commit(alice);
        CHECK_EQ(alice->notice, ROOM_NOTICE_REMOVED);
        mate_says(carol, "two");
        mate_says(carol, "three");
        give(carol, bob);
        CHECK_STR(mate_reads(bob), "one|two|three|");
        give(alice, bob);
        CHECK_STR(mate_reads(bob), "one|");
        give(carol, alice);
        CHECK_STR(mate_reads(alice), "one|");
        lab_level(&lab);
        check_level(alice, bob);
        CHECK_EQ(carol->room->row.status, ROOM_KICKED);
        CHECK_STR(mate_reads(carol), "one|two|three|"); /* his own */
        CHECK_EQ(mate_say(carol, "four", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_NOT_MEMBER);
        lab_free(&lab);
}

TEST(who_was_kicked_and_let_in_again_goes_on_and_forks_nothing) {
        RoomsLab lab;
        RoomsError e = {};
        RoomReason why = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 8, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        mate_says(carol, "one");
        lab_level(&lab);
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(carol), &e));
        lab_commit(alice);
        mate_says(carol, "lost");
        mate_says(carol, "too");
        give(carol, bob);
        lab_level(&lab);
        CHECK_EQ(carol->room->row.status, ROOM_KICKED);
        CHECK_EQ(mate_ask(carol, bob, &why), TAKEN_REFUSED); /* by members he is not */
        mate_join(carol, alice);
        lab_level(&lab);
        CHECK_STR(mate_reads(carol), "one|");
        mate_says(carol, "again");
        mate_restart(carol);
        mate_says(carol, "and on");
        lab_level(&lab);
        CHECK_STR(mate_reads(alice), "one|again|and on|");
        CHECK_STR(mate_reads(bob), "one|again|and on|");
        CHECK_STR(mate_reads(carol), "one|again|and on|");
        check_level(alice, bob);
        check_level(alice, carol);
        CHECK(bytes_are_zero(alice->room->row.forks_digest, SHA256_SIZE));
        lab_free(&lab);
}

/* Keys */

static unsigned count_opened(Mate *m, Mate *thief) {
        FeedsSeen s = mate_feeds(m);
        unsigned n = 0;

        for (size_t i = 0; i < s.n; i++)
                for (uint64_t seq = 1; seq <= s.list[i].feed.seq; seq++)
                        for (uint64_t epoch = 1; epoch < 64; epoch++) {
                                _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
                                uint8_t key[ROOM_KEY_SIZE];
                                Entry entry;
                                Inner inner;

                                if (room_key_get(mate_txn(thief), thief->room->row.number, epoch,
                                            key) <= 0)
                                        continue;
                                CHECK_EQ(entry_get(mate_txn(m), s.list[i].feed.number, seq, &entry),
                                        1);
                                CHECK_OK(inner_decode(entry.inner, &inner));
                                n += room_entry_open(key, &inner, &out) >= 0;
                        }
        return n;
}

TEST(no_key_of_the_removed_one_opens_what_is_written_after) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];
        uint64_t epochs[8];
        size_t n;

        lab_new(&lab, 9, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        mate_says(alice, "before");
        lab_level(&lab);
        CHECK_EQ(count_opened(alice, carol), 1);
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(carol), &e));
        lab_commit(alice);
        lab_level(&lab);
        mate_says(alice, "after");
        give(alice, bob);
        mate_says(bob, "quite");
        lab_level(&lab);
        CHECK_STR(mate_reads(bob), "before|after|quite|");
        CHECK_EQ(count_opened(alice, carol), 1);

        /* Nor does anybody give it to him. */
        CHECK_OK(room_keys_missing(bob->room, mate_txn(bob), epochs, 8, &n));
        CHECK_EQ(n, 0);
        for (uint64_t epoch = 2; epoch < 16; epoch++) {
                _cleanup_(buffer_done) Buffer wrap = BUFFER_NULL;

                CHECK_EQ(
                        room_make_wrap(bob->room, mate_txn(bob), mate_account(carol), epoch, &wrap),
                        0);
        }
        lab_free(&lab);
}

TEST(who_joins_later_reads_only_from_then_on_where_the_room_says_so) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];

        lab_new(&lab, 10, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_JOINED, &e));
        mate_says(alice, "secret");
        mate_join(bob, alice);
        lab_level(&lab);
        mate_says(alice, "hello");
        lab_level(&lab);
        CHECK_STR(mate_reads(alice), "secret|hello|");
        CHECK_STR(mate_reads(bob), "?|hello|");
        CHECK_EQ(count_opened(alice, bob), 1);
        check_level(alice, bob);
        lab_free(&lab);
}

TEST(without_the_newest_key_nothing_is_written) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 11, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        lab_level(&lab);
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(carol), &e));
        lab_commit(alice);
        give_control(alice, bob);
        lab_commit(bob);
        CHECK_EQ(mate_say(bob, "hm", &e), -ECANCELED);
        CHECK(strstr(e.text, "new key"));
        give(alice, bob);
        mate_says(bob, "hm");
        lab_free(&lab);
}
