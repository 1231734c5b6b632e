/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms in a store: their rows, and entries of many authors. */

#include "room-lab.h"

#include "store/private.h"

/* Rooms */

static bool count_room(void *userdata, DbTxn *txn, const RoomRow *r) {
        unsigned *n = userdata;

        ++*n;
        return true;
}

TEST(a_room_is_a_conversation_without_a_peer_and_survives_the_program) {
        RoomRow row, read;
        Conversation v;
        unsigned n = 0;
        RoomLab l;

        room_lab_new(&l);
        row = l.room;
        row.read_only = row.farewell = true;
        row.head_epoch = 7;
        row.head_hash[3] = 9;
        row.founder[0] = 1;
        row.nonce[15] = 2;
        row.inviter = 3;
        row.joined = NOW;
        row.flags = 0x80000001;
        snprintf(row.topic, sizeof(row.topic), "soup & bread");
        memset(row.feeds_digest, 0xff, SHA256_SIZE); /* not the caller's */
        row.change = 99;
        CHECK_OK(room_write(l.store, &row));
        person_reopen(&l.lab, &l.lab.alice);
        l.store = l.lab.alice.store;
        CHECK_EQ(room_find(room_txn(&l), l.room.id, &read), 1);
        CHECK_EQ(read.number, l.room.number);
        CHECK_STR(read.name, "kitchen");
        CHECK_STR(read.topic, "soup & bread");
        CHECK(read.read_only && read.farewell && read.status == ROOM_JOINED);
        CHECK_EQ(read.head_epoch, 7);
        CHECK(memcmp(read.head_hash, row.head_hash, SHA256_SIZE) == 0);
        CHECK(memcmp(read.founder, row.founder, KEY_SIZE) == 0);
        CHECK(memcmp(read.nonce, row.nonce, ROOM_NONCE_SIZE) == 0);
        CHECK_EQ(read.inviter, 3);
        CHECK_EQ(read.joined, NOW);
        CHECK_EQ(read.flags, 0x80000001);
        CHECK_EQ(read.change, 0);
        CHECK(bytes_are_zero(read.feeds_digest, SHA256_SIZE));
        v = room_conversation(&l);
        CHECK_EQ(v.peer, 0);
        CHECK(memcmp(v.hash, l.room.id, SHA256_SIZE) == 0);
        CHECK_OK(room_each(room_txn(&l), count_room, &n));
        CHECK_EQ(n, 1);
        CHECK_EQ(room_add(l.store, l.room.id, "other", ROOM_INVITED, &read), 1);
        CHECK_STR(read.name, "kitchen");
        room_lab_free(&l);
}

TEST(what_is_no_room_is_not_written) {
        RoomRow row;
        RoomLab l;

        room_lab_new(&l);
        row = l.room;
        row.number = 77;
        CHECK_EQ(room_write(l.store, &row), -ENOENT);
        row = l.room;
        row.status = 0;
        CHECK_EQ(room_write(l.store, &row), -EINVAL);
        row = l.room;
        snprintf(row.name, sizeof(row.name), "Not Canonical");
        CHECK_EQ(room_write(l.store, &row), -EINVAL);
        CHECK_EQ(room_add(l.store, (uint8_t[SHA256_SIZE]){1}, "Not Canonical", ROOM_JOINED, &row),
                -EINVAL);
        CHECK_EQ(room_find(room_txn(&l), (uint8_t[SHA256_SIZE]){1}, &row), 0);
        CHECK_EQ(room_get(room_txn(&l), 77, &row), 0);
        room_lab_free(&l);
}

/* The id of a room that somebody has made up to be what a conversation is found by. */
TEST(a_room_is_never_taken_for_a_direct_conversation) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        RoomRow row;
        RoomLab l;

        room_lab_new(&l);
        conversation_direct(
                sign_key_public(&l.lab.alice.self.account), l.lab.alice.other.account, hash);
        CHECK_OK(room_add(l.store, hash, "trap", ROOM_JOINING, &row));
        CHECK_OK(send_text(&l.lab.alice, 1, "to bob", NOW));
        v = conversation_of(&l.lab.alice);
        CHECK_EQ(v.peer, l.lab.alice.other.number);
        CHECK(v.number != row.number);
        CHECK_EQ(room_find(room_txn(&l), hash, &row), 1);
        CHECK(row.number != v.number);
        room_lab_free(&l);
}

TEST(a_name_is_that_of_the_room_the_user_is_in) {
        static const uint8_t second[SHA256_SIZE] = {2}, third[SHA256_SIZE] = {3};
        RoomRow a, b, c, found;
        RoomLab l;

        room_lab_new(&l);
        a = l.room;
        CHECK_EQ(room_add(l.store, second, "kitchen", ROOM_JOINING, &b), -EEXIST);
        CHECK_EQ(room_find(room_txn(&l), second, &b), 0);
        CHECK_OK(room_add(l.store, third, "kitchen", ROOM_INVITED, &c));
        CHECK_EQ(room_find_name(room_txn(&l), "kitchen", &found), 1);
        CHECK_EQ(found.number, a.number);

        a.status = ROOM_LEFT;
        CHECK_OK(room_write(l.store, &a));
        CHECK_EQ(room_find_name(room_txn(&l), "kitchen", &found), 1);
        CHECK_EQ(found.number, c.number);
        CHECK_OK(room_add(l.store, second, "kitchen", ROOM_JOINING, &b));
        CHECK_EQ(room_find_name(room_txn(&l), "kitchen", &found), 1);
        CHECK_EQ(found.number, b.number);
        a.status = ROOM_JOINED;
        CHECK_EQ(room_write(l.store, &a), -EEXIST);
        CHECK_EQ(room_get(room_txn(&l), a.number, &found), 1);
        CHECK_EQ(found.status, ROOM_LEFT);

        /* Its genesis says that it is called something else. */
        snprintf(b.name, sizeof(b.name), "cellar");
        CHECK_OK(room_write(l.store, &b));
        CHECK_OK(room_write(l.store, &a));
        CHECK_EQ(room_find_name(room_txn(&l), "kitchen", &found), 1);
        CHECK_EQ(found.number, a.number);
        CHECK_EQ(room_find_name(room_txn(&l), "cellar", &found), 1);
        CHECK_EQ(found.number, b.number);
        CHECK_EQ(room_find_name(room_txn(&l), "attic", &found), 0);
        CHECK_EQ(room_find_name(room_txn(&l), "", &found), 0);
        room_lab_free(&l);
}

/* What alice's program of before writes nothing of is made by the first write. */
TEST(a_store_from_before_there_were_rooms_gets_them) {
        DbKey k = store_meta_key("schema");
        _cleanup_(buffer_done) Buffer value = BUFFER_NULL;
        RowReader reader;
        RoomRow row;
        DbValue v;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(send_text(&lab.alice, 1, "from before", NOW));
        row_start(&value);
        row_put_u32(&value, 2);
        row_put_blob(&value, text_bytes("p2pchatd"));
        CHECK_OK(row_write(txn_of(&lab.alice), TABLE_META, &k, &value));
        person_reopen(&lab, &lab.alice);
        CHECK_EQ(store_meta_get(txn_of(&lab.alice), "schema", &v), 1);
        reader = row_begin(v);
        CHECK_EQ(row_u32(&reader), STORE_SCHEMA_VERSION);
        CHECK_EQ(inner_at(&lab.alice, own_feed(&lab.alice).number, 1).seq, 1);
        CHECK_OK(room_add(lab.alice.store, (uint8_t[SHA256_SIZE]){1}, "new", ROOM_JOINED, &row));
        person_reopen(&lab, &lab.alice);
        CHECK_EQ(room_find_name(txn_of(&lab.alice), "new", &row), 1);
        lab_free(&lab);
}

/* The control log and keys */

static bool note_proposal(void *userdata, DbTxn *txn, const RoomProposalRow *p) {
        uint8_t *sum = userdata;

        sum_add(sum, p->hash);
        CHECK_EQ(p->received, NOW);
        CHECK_EQ(p->outer.size, 3);
        return true;
}

TEST(proposals_are_summed_up_while_they_are_pending) {
        static const uint8_t first[SHA256_SIZE] = {0xff, [31] = 0xff},
                             second[SHA256_SIZE] = {0x80, [31] = 0x01};
        uint8_t sum[SHA256_SIZE] = {};
        size_t n;
        RoomLab l;
        Bytes b;

        room_lab_new(&l);
        CHECK_OK(room_proposal_put(l.store, l.room.number, first, text_bytes("one"), NOW));
        CHECK_OK(room_proposal_put(l.store, l.room.number, second, text_bytes("two"), NOW));
        CHECK_EQ(room_proposal_put(l.store, l.room.number, first, text_bytes("six"), NOW + 1), 1);
        CHECK_OK(room_proposal_each(room_txn(&l), l.room.number, note_proposal, sum));
        CHECK(memcmp(sum, room_now(&l).proposals_digest, SHA256_SIZE) == 0);
        CHECK_OK(room_proposal_count(room_txn(&l), l.room.number, &n));
        CHECK_EQ(n, 2);
        CHECK_EQ(room_proposal_get(room_txn(&l), l.room.number, first, &b), 1);
        CHECK(bytes_equal(b, text_bytes("one")));
        CHECK_EQ(room_proposal_remove(l.store, l.room.number, first), 1);
        CHECK_EQ(room_proposal_remove(l.store, l.room.number, first), 0);
        CHECK(memcmp(second, room_now(&l).proposals_digest, SHA256_SIZE) == 0);
        CHECK_EQ(room_proposal_remove(l.store, l.room.number, second), 1);
        CHECK(bytes_are_zero(room_now(&l).proposals_digest, SHA256_SIZE));
        CHECK_EQ(room_proposal_put(l.store, 99, first, text_bytes("one"), NOW), -ENOENT);

        CHECK_OK(room_settled_put(l.store, l.room.number, first, text_bytes("old")));
        CHECK_EQ(room_settled_get(room_txn(&l), l.room.number, first, &b), 1);
        CHECK(bytes_equal(b, text_bytes("old")));
        CHECK_EQ(room_settled_get(room_txn(&l), l.room.number, second, &b), 0);
        CHECK_OK(room_proposal_count(room_txn(&l), l.room.number, &n));
        CHECK_EQ(n, 0);
        room_lab_free(&l);
}

TEST(blocks_are_found_by_epoch_and_taken_back_from_one_on) {
        RoomLab l;
        Bytes b;

        room_lab_new(&l);
        for (uint64_t epoch = 1; epoch <= 5; epoch++)
                CHECK_OK(room_block_put(l.store, l.room.number, epoch, text_bytes("block")));
        CHECK_OK(room_block_put(l.store, l.room.number + 1, 4, text_bytes("another's")));
        CHECK_OK(room_block_put(l.store, l.room.number, 2, text_bytes("two")));
        CHECK_EQ(room_block_get(room_txn(&l), l.room.number, 2, &b), 1);
        CHECK(bytes_equal(b, text_bytes("two")));
        CHECK_OK(room_blocks_remove(l.store, l.room.number, 3));
        CHECK_EQ(room_block_get(room_txn(&l), l.room.number, 2, &b), 1);
        CHECK_EQ(room_block_get(room_txn(&l), l.room.number, 3, &b), 0);
        CHECK_EQ(room_block_get(room_txn(&l), l.room.number, 5, &b), 0);
        CHECK_EQ(room_block_get(room_txn(&l), l.room.number + 1, 4, &b), 1);
        room_lab_free(&l);
}

TEST(keys_are_those_of_their_epoch) {
        uint8_t key[ROOM_KEY_SIZE], a[ROOM_KEY_SIZE] = {1}, b[ROOM_KEY_SIZE] = {[31] = 2};
        uint64_t epoch;
        RoomLab l;

        room_lab_new(&l);
        CHECK_OK(room_key_put(l.store, l.room.number, 1, a));
        CHECK_OK(room_key_put(l.store, l.room.number, 4, b));
        CHECK_OK(room_key_put(l.store, l.room.number + 1, 3, b));
        CHECK_EQ(room_key_get(room_txn(&l), l.room.number, 1, key), 1);
        CHECK(memcmp(key, a, ROOM_KEY_SIZE) == 0);
        CHECK_EQ(room_key_get(room_txn(&l), l.room.number, 2, key), 0);
        CHECK_EQ(room_key_last(room_txn(&l), l.room.number, 3, &epoch, key), 1);
        CHECK_EQ(epoch, 1);
        CHECK(memcmp(key, a, ROOM_KEY_SIZE) == 0);
        CHECK_EQ(room_key_last(room_txn(&l), l.room.number, 4, &epoch, key), 1);
        CHECK_EQ(epoch, 4);
        CHECK_EQ(room_key_last(room_txn(&l), l.room.number, UINT64_MAX, &epoch, key), 1);
        CHECK_EQ(epoch, 4);
        CHECK_EQ(room_key_last(room_txn(&l), l.room.number, 0, &epoch, key), 0);
        room_lab_free(&l);
}

TEST(members_stay_and_do_not_need_a_record) {
        Contact c;
        RoomLab l;

        room_lab_new(&l);
        c = l.member[0];
        CHECK_STR(c.name, "");
        CHECK_OK(contact_forget(l.store, &c));
        CHECK_EQ(contact_get_by_number(room_txn(&l), c.number, &c), 1);
        CHECK(learn(l.store, MEMBER(0), "dora", 1, 1, 0, false, &c) > 0);
        CHECK_EQ(c.number, l.member[0].number);
        CHECK_EQ(c.flags, CONTACT_MEMBER);
        CHECK_OK(contact_set_flags(l.store, c.account, 0, CONTACT_MEMBER));
        CHECK_EQ(contact_get(room_txn(&l), c.account, &c), 1);
        CHECK_EQ(contact_forget(l.store, &c), 1);
        room_lab_free(&l);
}

static bool note_room_event(void *userdata, DbTxn *txn, const EventRow *e) {
        EventRow *last = userdata;

        *last = *e;
        return true;
}

TEST(what_happens_in_a_room_is_an_event) {
        EventRow e = {.kind = EVENT_ROOM,
                .time = NOW,
                .room = 5,
                .change = ROOM_EVENT_FORK,
                .account = 7};
        EventRow last = {};
        RoomLab l;

        room_lab_new(&l);
        CHECK_OK(event_add(l.store, &e));
        CHECK_OK(event_each(room_txn(&l), 0, note_room_event, &last));
        CHECK_EQ(last.kind, EVENT_ROOM);
        CHECK_EQ(last.time, NOW);
        CHECK_EQ(last.room, 5);
        CHECK_EQ(last.change, ROOM_EVENT_FORK);
        CHECK_EQ(last.account, 7);
        CHECK_STR(room_event_name(last.change), "fork");
        CHECK_STR(room_event_name(ROOM_EVENT_CREATED), "created");
        CHECK(!last.says);
        room_lab_free(&l);
}

TEST(an_event_keeps_what_a_topic_or_role_became) {
        EventRow e = {.kind = EVENT_ROOM, .time = NOW, .room = 5, .says = true};
        EventRow last = {};
        RoomLab l;

        room_lab_new(&l);
        e.change = ROOM_EVENT_ROLE;
        e.role = ROOM_ROLE_ADMIN;
        CHECK_OK(event_add(l.store, &e));
        CHECK_OK(event_each(room_txn(&l), 0, note_room_event, &last));
        CHECK(last.says);
        CHECK_EQ(last.role, ROOM_ROLE_ADMIN);
        CHECK_EQ(last.topic.size, 0);
        e.change = ROOM_EVENT_TOPIC;
        e.role = ROOM_ROLE_NONE;
        e.topic = text_bytes("tea");
        CHECK_OK(event_add(l.store, &e));
        CHECK_OK(event_each(room_txn(&l), 0, note_room_event, &last));
        CHECK(last.says && bytes_equal(last.topic, text_bytes("tea")));
        CHECK_EQ(last.role, ROOM_ROLE_NONE);
        e.topic = (Bytes){};
        CHECK_OK(event_add(l.store, &e)); /* there is none any more */
        CHECK_OK(event_each(room_txn(&l), 0, note_room_event, &last));
        CHECK(last.says && last.topic.size == 0);
        room_lab_free(&l);
}

TEST(what_cannot_have_become_is_damage) {
        static const char zero[2] = "t";
        EventRow e = {.kind = EVENT_ROOM,
                .time = NOW,
                .room = 5,
                .says = true,
                .change = ROOM_EVENT_TOPIC};
        EventRow last = {};
        RoomLab l;

        for (unsigned i = 0; i < 3; i++) {
                room_lab_new(&l);
                e.role = i == 0 ? _ROOM_ROLE_MAX : ROOM_ROLE_NONE;
                e.topic = i == 1 ? text_bytes("t\xff")
                                 : (Bytes){.data = (const uint8_t *)zero, .size = 2};
                CHECK_OK(event_add(l.store, &e));
                CHECK_EQ(event_each(room_txn(&l), 0, note_room_event, &last), -EUCLEAN);
                room_lab_free(&l);
        }
}
