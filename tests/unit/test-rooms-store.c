/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is in memory of rooms is what is on disk, whatever becomes of a batch; and what is told of
 * own entries. */

#include "test.h"

#include "db/private.h"
#include "rooms-lab.h"

static void fail_batch(Mate *m) {
        db_fail(store_write(m->store), -EIO);
        CHECK_EQ(store_commit(m->store), -EIO);
        CHECK_EQ(m->settled, -EIO);
}

/* All that is in memory is read again, and is the same. */
static void check_as_on_disk(Mate *m) {
        Digest before = mate_digest(m), after;
        RoomStatus status = m->room->row.status;

        mate_restart(m);
        after = mate_digest(m);
        CHECK_EQ(before.epoch, after.epoch);
        CHECK_EQ(before.n, after.n);
        CHECK(memcmp(before.roster, after.roster, SHA256_SIZE) == 0);
        CHECK(memcmp(before.bytes, after.bytes, SHA256_SIZE) == 0);
        CHECK_EQ(m->room->row.status, status);
}

TEST(a_room_that_was_not_kept_is_not_there) {
        RoomsCreate c = {
                .name = "kitchen", .access = ROOM_ACCESS_OPEN, .history = ROOM_HISTORY_ALL};
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0];
        uint32_t number;
        RoomView v;
        DbTxn *txn;

        lab_new(&lab, 1, 1);
        CHECK_OK(rooms_create(alice->rooms, &c, &number, &e));
        fail_batch(alice);
        CHECK_OK(store_read_begin(alice->store, &txn));
        CHECK_EQ(rooms_view(alice->rooms, txn, number, &v), 0);
        store_read_end(txn);
        CHECK_EQ(HASH_COUNT(alice->rooms->rooms), 0);
        CHECK_EQ(alice->n_changed, 0);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        CHECK_EQ(alice->n_changed, 1);
        lab_free(&lab);
}

TEST(what_was_done_in_a_failed_batch_was_not_done) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];
        RoomsMessage m = {.text = text_bytes("lost")};
        unsigned told;
        uint32_t a;

        lab_new(&lab, 2, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        a = alice->room->row.number;
        told = alice->n_changed;
        CHECK_OK(rooms_kick(alice->rooms, a, mate_account(bob), &e));
        CHECK(!room_is_member(alice->room, mate_account(bob)));
        fail_batch(alice);
        CHECK(room_is_member(alice->room, mate_account(bob)));
        CHECK_EQ(alice->n_changed, told);
        CHECK_EQ(alice->n_notices, 0); /* he is not told of what did not happen */
        check_as_on_disk(alice);

        m.id = mate_uuid(alice, 4711);
        m.now = loop_realtime(lab.sim.loop);
        CHECK_OK(rooms_send(alice->rooms, a, &m, &e));
        fail_batch(alice);
        CHECK_STR(mate_reads(alice), "");
        m.text = text_bytes("kept");
        CHECK_OK(rooms_send(alice->rooms, a, &m, &e)); /* the same id */
        lab_commit(alice);
        CHECK_EQ(rooms_send(alice->rooms, a, &m, &e), 1);
        m.text = text_bytes("another");
        CHECK_EQ(rooms_send(alice->rooms, a, &m, &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_INVALID_ARGS);
        lab_level(&lab);
        CHECK_STR(mate_reads(bob), "kept|");
        lab_free(&lab);
}

TEST(what_others_brought_in_a_failed_batch_is_taken_again) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];

        lab_new(&lab, 3, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        mate_says(alice, "one");
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "stew", &e));
        lab_commit(alice);
        give_control(alice, bob);
        give_entries(alice, bob);
        CHECK_STR(roster_topic(bob->room->roster), "stew");
        fail_batch(bob);
        CHECK_STR(roster_topic(bob->room->roster), "soup");
        CHECK_STR(mate_reads(bob), "");
        lab_level(&lab);
        CHECK_STR(mate_reads(bob), "one|");
        check_level(alice, bob);
        check_as_on_disk(bob);
        lab_free(&lab);
}

/* As long as the directory has another name the store cannot be opened. */
static void move_store(const Mate *m, const char *from, const char *to) {
        _cleanup_(freep) char *old = fs_join(m->dir, from);
        _cleanup_(freep) char *new = fs_join(m->dir, to);

        CHECK(old && new &&rename(old, new) == 0);
}

TEST(a_room_whose_store_is_gone_for_a_while_is_read_again) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0];
        uint32_t a;

        lab_new(&lab, 10, 1);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        a = alice->room->row.number;
        CHECK_OK(rooms_set_topic(alice->rooms, a, "stew", &e));
        db_fail(store_write(alice->store), -EIO);
        move_store(alice, "db", "gone");
        CHECK(store_commit(alice->store) < 0);
        CHECK_EQ(rooms_set_topic(alice->rooms, a, "stew", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_UNKNOWN_ROOM);
        move_store(alice, "gone", "db");
        lab_pause(&lab);
        lab_pause(&lab);
        CHECK_OK(rooms_set_topic(alice->rooms, a, "stew", &e));
        lab_commit(alice);
        CHECK_STR(roster_topic(alice->room->roster), "stew");
        check_as_on_disk(alice);
        lab_free(&lab);
}

static uint32_t create_another(Mate *m, const char *name) {
        RoomsCreate c = {.name = name, .access = ROOM_ACCESS_OPEN, .history = ROOM_HISTORY_ALL};
        RoomsError e = {};
        uint32_t number;

        CHECK_OK(rooms_create(m->rooms, &c, &number, &e));
        lab_commit(m);
        return number;
}

static bool count_view(void *userdata, const RoomView *v) {
        ++*(unsigned *)userdata;
        return true;
}

static unsigned count_rooms(Mate *m) {
        unsigned n = 0;
        DbTxn *txn;

        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_OK(rooms_each(m->rooms, txn, count_view, &n));
        store_read_end(txn);
        return n;
}

/* The others go on; and it is there again once it can be read. */
TEST(a_room_whose_log_is_damaged_is_left_alone) {
        _cleanup_(buffer_done) Buffer block = BUFFER_NULL;
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0];
        uint32_t a, b;
        Bytes held;

        lab_new(&lab, 28, 1);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        a = alice->room->row.number;
        CHECK_OK(rooms_set_topic(alice->rooms, a, "stew", &e));
        lab_commit(alice);
        b = create_another(alice, "cellar");
        CHECK_EQ(count_rooms(alice), 2);
        CHECK_EQ(room_block_get(mate_txn(alice), a, 2, &held), 1);
        CHECK_OK(buffer_append(&block, held.data, held.size));
        CHECK_OK(room_block_put(alice->store, a, 2, text_bytes("damaged")));
        lab_commit(alice);

        mate_restart(alice);
        CHECK(!alice->room);
        CHECK_EQ(count_rooms(alice), 1);
        CHECK_EQ(rooms_set_topic(alice->rooms, a, "soup", &e), -ECANCELED);
        CHECK_EQ(e.code, CODE_UNKNOWN_ROOM);
        CHECK_OK(rooms_set_topic(alice->rooms, b, "wine", &e));
        lab_commit(alice);

        CHECK_OK(room_block_put(alice->store, a, 2, buffer_bytes(&block)));
        lab_commit(alice);
        CHECK_OK(rooms_set_topic(alice->rooms, a, "soup", &e));
        lab_commit(alice);
        CHECK_EQ(count_rooms(alice), 2);
        mate_restart(alice);
        CHECK(alice->room);
        CHECK_STR(roster_topic(alice->room->roster), "soup");
        CHECK_STR(roster_topic(room_by_number(alice->rooms, b)->roster), "wine");
        lab_free(&lab);
}

TEST(joining_goes_on_after_a_restart) {
        RoomsLab lab;
        RoomsError e = {};
        RoomReason why = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];

        lab_new(&lab, 4, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_says(bob, "one");
        CHECK_EQ(mate_ask(carol, bob, &why), TAKEN);
        mate_restart(carol);
        mate_restart(bob); /* his proposal is not settled yet */
        CHECK_EQ(carol->room->row.status, ROOM_JOINING);
        CHECK(room_is_member(bob->room, mate_account(carol)));
        lab_level(&lab);
        CHECK_EQ(carol->room->row.status, ROOM_JOINED);
        CHECK_STR(mate_reads(carol), "one|");
        check_level(alice, carol);
        lab_free(&lab);
}

TEST(what_is_pending_is_settled_after_a_restart) {
        RoomsLab lab;
        RoomsError e = {};
        RoomReason why = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];

        lab_new(&lab, 5, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        CHECK_EQ(mate_ask(bob, alice, &why), TAKEN);
        mate_restart(alice);
        CHECK_EQ(roster_head(alice->room->roster)->epoch, 1);
        lab_pause(&lab);
        CHECK_EQ(roster_head(alice->room->roster)->epoch, 2);
        CHECK(!roster_member(alice->room->roster, mate_account(bob))->provisional);
        check_as_on_disk(alice);
        lab_free(&lab);
}

TEST(who_joins_together_is_settled_together) {
        RoomsLab lab;
        RoomsError e = {};
        RoomReason why = {};
        Mate *alice = &lab.mate[0];

        lab_new(&lab, 6, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        for (int i = 1; i < 4; i++)
                CHECK_EQ(mate_ask(&lab.mate[i], alice, &why), TAKEN);
        lab_pause(&lab);
        CHECK_EQ(roster_head(alice->room->roster)->epoch, 2);
        CHECK_EQ(roster_count(alice->room->roster), 4);
        lab_free(&lab);
}

TEST(a_full_store_refuses_and_stays_right) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];
        Thing *list = NULL;
        RoomReason why = {};

        lab_new(&lab, 7, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        store_set_max_size(bob->store, 1);
        CHECK_EQ(mate_say(bob, "no room", &e), -EDQUOT);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "stew", &e));
        lab_commit(alice);
        CHECK_OK(room_blocks_each(alice->room, mate_txn(alice),
                roster_head(alice->room->roster)->epoch - 1, thing_given, &list));
        {
                const RoomCertificates none = {};

                CHECK_EQ(room_take_block(bob->room, buffer_bytes(&list->outer), &none, &why),
                        -EDQUOT);
        }
        things_free(list);
        CHECK_STR(roster_topic(bob->room->roster), "soup");
        store_commit(bob->store);
        check_as_on_disk(bob);
        store_set_max_size(bob->store, 0);
        lab_level(&lab);
        CHECK_STR(roster_topic(bob->room->roster), "stew");
        check_level(alice, bob);
        mate_says(bob, "room");
        lab_free(&lab);
}

/* The block for which another has to go cannot be kept: then that one stays. */
TEST(a_full_store_keeps_the_chain_that_it_has) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *other = &lab.mate[2];
        const RoomCertificates none = {};
        Thing *list = NULL;
        RoomReason why = {};

        lab_new(&lab, 8, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        lab_level(&lab);
        lab_clone(&lab, 0, 2, false);
        clone_joins(other, bob);
        CHECK_OK(rooms_set_topic(alice->rooms, alice->room->row.number, "this", &e));
        lab_commit(alice);
        CHECK_OK(rooms_set_topic(other->rooms, other->room->row.number, "that", &e));
        lab_commit(other);
        give(alice, bob);
        CHECK_OK(room_blocks_each(other->room, mate_txn(other),
                roster_head(other->room->roster)->epoch - 1, thing_given, &list));
        store_set_max_size(bob->store, 1);
        CHECK_EQ(room_take_block(bob->room, buffer_bytes(&list->outer), &none, &why), -EDQUOT);
        CHECK_OK(store_commit(bob->store));
        CHECK_STR(roster_topic(bob->room->roster), "this");
        check_as_on_disk(bob);
        CHECK_STR(roster_topic(bob->room->roster), "this");
        store_set_max_size(bob->store, 0);
        CHECK_EQ(room_take_block(bob->room, buffer_bytes(&list->outer), &none, &why), TAKEN_FORK);
        lab_commit(bob);
        check_as_on_disk(bob);
        CHECK(bob->room->row.read_only);
        things_free(list);
        lab_free(&lab);
}

/* States */

typedef struct States {
        char text[256]; /* "1 stored|1 delivered|" */
} States;

static bool add_state(void *userdata, DbTxn *txn, const EventRow *e) {
        States *s = userdata;
        size_t at = strlen(s->text);

        if (e->kind == EVENT_STATE)
                snprintf(s->text + at, sizeof(s->text) - at, "%u %s|", (unsigned)e->seq,
                        message_state_name(e->state));
        return true;
}

static const char *mate_states(Mate *m) {
        static States s;
        DbTxn *txn;

        s = (States){};
        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_OK(event_each(txn, 0, add_state, &s));
        store_read_end(txn);
        return s.text;
}

static void mate_marks_read(Mate *m) {
        HistoryRow row;
        DbTxn *txn;
        Uuid id;

        CHECK_OK(store_read_begin(m->store, &txn));
        CHECK_EQ(history_last(txn, m->room->row.number, &row), 1);
        id = row.inner.id;
        store_read_end(txn);
        CHECK(store_room_mark_read(m->store, m->room->row.number, &id,
                      loop_realtime(m->lab->sim.loop), true) >= 0);
        rooms_read(m->rooms, m->room->row.number);
        lab_commit(m);
}

TEST(what_others_have_of_an_own_entry_is_told_once) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2],
             *dave = &lab.mate[3];
        unsigned held, read, members;

        lab_new(&lab, 8, 4);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_join(carol, alice);
        lab_level(&lab);
        mate_says(alice, "one");
        CHECK_STR(mate_states(alice), "");
        give(alice, bob);
        CHECK_STR(mate_states(alice), "1 stored|");
        CHECK_EQ(rooms_count_delivered(alice->rooms, mate_txn(alice), alice->room->row.number,
                         alice->room->own, 1, &held, &read, &members),
                1);
        CHECK_EQ(held, 1);
        CHECK_EQ(read, 0);
        CHECK_EQ(members, 2);
        give(bob, carol);
        give_marks(alice, carol);
        lab_commit(alice);
        CHECK_STR(mate_states(alice), "1 stored|1 delivered|");
        mate_marks_read(bob);
        lab_level(&lab);
        mate_restart(alice);
        mate_marks_read(carol);
        lab_level(&lab);
        CHECK_STR(mate_states(alice), "1 stored|1 delivered|1 read|");

        /* Who comes later takes nothing of it back. */
        mate_join(dave, alice);
        lab_level(&lab);
        mate_restart(alice);
        lab_level(&lab);
        CHECK_STR(mate_states(alice), "1 stored|1 delivered|1 read|");
        lab_free(&lab);
}

static unsigned count_held(Mate *m, uint64_t seq) {
        unsigned held, read, members;

        CHECK_EQ(rooms_count_delivered(m->rooms, mate_txn(m), m->room->row.number, m->room->own,
                         seq, &held, &read, &members),
                1);
        CHECK_EQ(members, roster_count(m->room->roster) - 1);
        return held;
}

/* A page of messages asks for each what all of hundreds have of it. */
TEST(messages_in_a_row_are_counted_at_once) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1], *carol = &lab.mate[2];
        uint8_t account[KEY_SIZE];
        RoomReason why;
        unsigned made;

        lab_new(&lab, 29, 3);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        for (unsigned i = 0; i < ROOMS_READ_MAX; i++) { /* looked at now and then only */
                loop_random(lab.sim.loop, account, sizeof(account));
                CHECK_EQ(room_admit(alice->room, account, "", NULL, 0, &why), TAKEN);
                lab_commit(alice);
        }
        mate_join(bob, alice);
        mate_join(carol, alice);
        lab_level(&lab);
        for (unsigned i = 0; i < 10; i++) {
                mate_says(alice, "hello");
                if (i == 4)
                        give(alice, bob);
        }
        made = alice->rooms->tally.made;
        for (uint64_t seq = 1; seq <= 10; seq++)
                CHECK_EQ(count_held(alice, seq), seq <= 5 ? 1 : 0);
        CHECK_EQ(alice->rooms->tally.made, made + 1);
        give(alice, carol); /* and what was counted counts no more */
        for (uint64_t seq = 1; seq <= 10; seq++)
                CHECK_EQ(count_held(alice, seq), seq <= 5 ? 2 : 1);
        give(alice, bob);
        mate_says(alice, "more");
        CHECK_EQ(count_held(alice, 10), 2);
        CHECK_EQ(count_held(alice, 11), 0);
        CHECK_OK(rooms_kick(alice->rooms, alice->room->row.number, mate_account(carol), &e));
        lab_commit(alice);
        CHECK_EQ(count_held(alice, 10), 1);
        lab_free(&lab);
}

TEST(who_claims_what_he_cannot_have_is_not_believed) {
        RoomsLab lab;
        RoomsError e = {};
        Mate *alice = &lab.mate[0], *bob = &lab.mate[1];
        static const uint8_t wrong[8] = {1, 2, 3};
        RoomFeed own;

        lab_new(&lab, 9, 2);
        CHECK_OK(lab_create(&lab, ROOM_ACCESS_OPEN, ROOM_HISTORY_ALL, &e));
        mate_join(bob, alice);
        mate_says(alice, "one");
        CHECK_EQ(
                room_feed_get(mate_txn(alice), alice->room->row.number, alice->room->own, &own), 1);
        CHECK_OK(room_note_mark(
                alice->room, mate_account(bob), &own, 1, (Bytes){.data = wrong, .size = 8}, 0));
        CHECK_OK(room_note_mark(alice->room, mate_account(bob), &own, 7,
                (Bytes){.data = own.feed.hash, .size = 8}, 7));
        lab_commit(alice);
        CHECK_STR(mate_states(alice), "");
        CHECK_EQ(room_note_mark(alice->room, mate_account(bob), &own, 1,
                         (Bytes){.data = own.feed.hash, .size = 8}, 0),
                0);
        lab_commit(alice);
        CHECK_STR(mate_states(alice), "1 delivered|");
        lab_free(&lab);
}
