/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Entries of rooms: taken in, written, cut, read and summed up. */

#include "room-lab.h"

#include "store/private.h"

TEST(a_feed_is_one_chain) {
        Made chain[5], other;
        RoomReceived got;
        RoomFeed f;
        Entry e;
        Inner m;
        RoomLab l;

        room_lab_new(&l);
        member_chain(&l, chain, 0, 5, 10, 10);
        got = room_take(&l, 0, &chain[1]);
        CHECK_EQ(got.taken, ROOM_ENTRY_GAP);
        CHECK_EQ(got.feed, 0);
        CHECK_EQ(got.seq, 0);
        CHECK_EQ(room_take(&l, 0, &chain[0]).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take(&l, 0, &chain[0]).taken, ROOM_ENTRY_AGAIN);
        got = room_take(&l, 0, &chain[3]);
        CHECK_EQ(got.taken, ROOM_ENTRY_GAP);
        CHECK_EQ(got.seq, 1);
        for (int i = 1; i < 5; i++)
                CHECK_EQ(room_take(&l, 0, &chain[i]).taken, ROOM_ENTRY_NEW);
        f = member_feed(&l, 0);
        CHECK_EQ(f.feed.seq, 5);
        CHECK_EQ(got.feed, f.feed.number);
        CHECK(memcmp(f.feed.hash, chain[4].hash, SHA256_SIZE) == 0);
        CHECK_EQ(entry_get(room_txn(&l), f.feed.number, 3, &e), 1);
        CHECK_EQ(e.state, ENTRY_RECEIVED);
        CHECK(bytes_equal(e.inner, buffer_bytes(&chain[2].bytes)));
        CHECK(bytes_equal(e.signature, (Bytes){.data = any_signature, .size = SIGNATURE_SIZE}));
        CHECK_EQ(check_feeds_digest(&l), 1);

        /* Another one in the place of the third, and one that follows another fifth. */
        m = member_inner(&l, 0, 3, chain[1].hash, 7777);
        make(&other, &m);
        got = room_take(&l, 0, &other);
        CHECK_EQ(got.taken, ROOM_ENTRY_FORK);
        CHECK_EQ(got.at, 3);
        made_done(&other);
        m = member_inner(&l, 0, 6, chain[1].hash, 7777);
        make(&other, &m);
        got = room_take(&l, 0, &other);
        CHECK_EQ(got.taken, ROOM_ENTRY_FORK);
        CHECK_EQ(got.at, 5);
        made_done(&other);
        CHECK_EQ(member_feed(&l, 0).feed.seq, 5);
        CHECK_EQ(room_conversation(&l).unread, 5);
        chain_done(chain, 5);
        room_lab_free(&l);
}

TEST(a_feed_goes_on_after_the_head_that_a_span_begins_with) {
        Made before[2], after[2], wrong;
        FeedHead head = {.epoch = 1, .seq = 7, .hash = {7}};
        NewRoomEntry e;
        RoomFeed f;
        Inner m;
        RoomLab l;

        room_lab_new(&l);
        member_chain(&l, before, 0, 2, 10, 10);
        CHECK_EQ(room_take(&l, 0, &before[0]).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take(&l, 0, &before[1]).taken, ROOM_ENTRY_NEW);
        m = member_inner(&l, 0, 8, head.hash, 50);
        make(&after[0], &m);
        m = member_inner(&l, 0, 9, after[0].hash, 60);
        make(&after[1], &m);
        m = member_inner(&l, 0, 8, before[0].hash, 60);
        make(&wrong, &m);
        e = room_entry(&l, l.member[0].number, &after[1]);
        e.resume = &head;
        CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_GAP);
        e = room_entry(&l, l.member[0].number, &wrong);
        e.resume = &head;
        CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_REFUSED);
        CHECK_EQ(room_take(&l, 0, &after[0]).taken, ROOM_ENTRY_GAP);
        e = room_entry(&l, l.member[0].number, &after[0]);
        e.resume = &head;
        CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_AGAIN);
        CHECK_EQ(room_take(&l, 0, &after[1]).taken, ROOM_ENTRY_NEW);
        f = member_feed(&l, 0);
        CHECK_EQ(f.feed.seq, 9);
        CHECK_EQ(last_entry(&l, f.feed.number).n, 4);
        check_feeds_digest(&l);

        /* What comes out of the hole comes too late. */
        made_done(&wrong);
        m = member_inner(&l, 0, 3, before[1].hash, 60);
        make(&wrong, &m);
        CHECK_EQ(room_take(&l, 0, &wrong).taken, ROOM_ENTRY_REFUSED);

        /* Without the second span it is at the end of the first again. */
        CHECK_OK(store_room_cut(l.store, l.room.number, f.feed.number, 5));
        f = member_feed(&l, 0);
        CHECK_EQ(f.feed.seq, 2);
        CHECK(memcmp(f.feed.hash, before[1].hash, SHA256_SIZE) == 0);
        CHECK_EQ(room_conversation(&l).unread, 2);
        CHECK_EQ(room_take(&l, 0, &wrong).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_conversation(&l).unread, 3);
        check_feeds_digest(&l);
        made_done(&wrong);
        chain_done(before, 2);
        chain_done(after, 2);
        room_lab_free(&l);
}

typedef struct Counting {
        unsigned received, other;
} Counting;

static bool count_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Counting *c = userdata;

        if (e->kind == EVENT_RECEIVED)
                c->received++;
        else
                c->other++;
        return true;
}

static Counting count_events(const RoomLab *l) {
        Counting c = {};

        CHECK_OK(event_each(room_txn(l), 0, count_event, &c));
        return c;
}

TEST(what_was_said_before_one_came_is_read_and_announced_to_nobody) {
        Made chain[3];
        NewRoomEntry e;
        HistoryRow h;
        RoomLab l;
        RoomFeed f;

        room_lab_new(&l);
        member_chain(&l, chain, 0, 3, 10, 10);
        for (int i = 0; i < 2; i++) {
                e = room_entry(&l, l.member[0].number, &chain[i]);
                e.quiet = true;
                CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_NEW);
        }
        CHECK_EQ(room_conversation(&l).unread, 0);
        CHECK_EQ(count_events(&l).received, 0);
        CHECK_EQ(room_take(&l, 0, &chain[2]).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_conversation(&l).unread, 1);
        CHECK_EQ(count_events(&l).received, 1);
        f = member_feed(&l, 0);
        CHECK_EQ(history_get(room_txn(&l), f.feed.number, 2, &h), 1);
        CHECK(h.read && !h.own);
        CHECK_EQ(history_get(room_txn(&l), f.feed.number, 3, &h), 1);
        CHECK(!h.read);
        chain_done(chain, 3);
        room_lab_free(&l);
}

/* Own ones */

TEST(an_own_message_is_sent_once_under_its_id) {
        uint8_t content[SHA256_SIZE];
        Uuid id = uuid_number(1);
        uint64_t seq;
        RoomFeed f;
        OutboxRow o;
        HistoryRow h;
        RoomLab l;
        Entry e;
        Inner m;

        room_lab_new(&l);
        CHECK_OK(room_say(&l, 1, "hello", NOW, &f));
        CHECK_EQ(room_say(&l, 1, "hello", NOW + 1, NULL), 1);
        CHECK_EQ(room_say(&l, 1, "other", NOW + 1, NULL), -EEXIST);
        CHECK_EQ(send_text(&l.lab.alice, 1, "hello", NOW), -EEXIST);
        CHECK_OK(send_text(&l.lab.alice, 9, "to bob", NOW));
        CHECK_EQ(room_say(&l, 9, "to bob", NOW, NULL), -EEXIST);
        store_room_content(l.room.id, &id, text_bytes("hello"), content);
        CHECK_EQ(store_room_sent(room_txn(&l), &id, content), -EEXIST); /* an answer is another */
        CHECK_OK(room_say(&l, 2, "again", NOW, &f));
        CHECK_EQ(f.feed.seq, 2);
        CHECK_EQ(f.feed.account, SELF_NUMBER);
        CHECK_EQ(entry_get(room_txn(&l), f.feed.number, 2, &e), 1);
        CHECK_EQ(e.state, ENTRY_QUEUED);
        CHECK_EQ(e.signature.size, SIGNATURE_SIZE);
        m = inner_at(&l.lab.alice, f.feed.number, 2);
        CHECK(memcmp(m.conversation, l.room.id, SHA256_SIZE) == 0);
        CHECK(m.hlc > inner_at(&l.lab.alice, f.feed.number, 1).hlc);
        CHECK_EQ(m.sent, NOW);
        CHECK_EQ(m.expires, NOW + ROOM_ENTRY_EXPIRES);
        CHECK_EQ(m.n_parents, 0);

        /* It waits for nobody in particular, and cannot be taken back. */
        CHECK_EQ(outbox_count(room_txn(&l)), 1);
        CHECK_EQ(outbox_find(room_txn(&l), &id, &o), 0);
        CHECK_EQ(store_cancel(l.store, &id, NOW), -ENOENT);
        CHECK_EQ(store_fail_message(
                         l.store, 0, &(Failure){.id = &id, .state = ENTRY_FAILED, .now = NOW}),
                0);
        CHECK_EQ(history_get(room_txn(&l), f.feed.number, 1, &h), 1);
        CHECK(h.own && !h.delivered && !h.read && h.entry.state == ENTRY_QUEUED);
        CHECK_EQ(store_room_find_id(room_txn(&l), l.room.number, &id, &f.feed.number, &seq), 1);
        CHECK_EQ(seq, 1);
        CHECK_EQ(room_conversation(&l).unread, 0);
        check_feeds_digest(&l);
        room_lab_free(&l);
}

TEST(an_own_entry_follows_its_feed_and_names_what_was_seen) {
        Inner m = {.id = uuid_number(1), .kind = KIND_TEXT};
        const Identity *self;
        uint8_t content[SHA256_SIZE] = {1};
        Made chain[6], made;
        NewRoomEntry e;
        FeedHead resume;
        RoomFeed f;
        RoomLab l;

        room_lab_new(&l);
        self = &l.lab.alice.self;
        for (unsigned i = 0; i < MEMBERS; i++) {
                member_chain(&l, &chain[i], i, 1, 60000 + i, 1);
                CHECK_EQ(room_take(&l, i, &chain[i]).taken, ROOM_ENTRY_NEW);
        }
        CHECK_EQ(store_room_prepare(l.store, self, 99, NOW, &m), -ENOENT);
        CHECK_OK(room_say(&l, 2, "hello", NOW, &f));
        CHECK_OK(store_room_prepare(l.store, self, l.room.number, NOW, &m));
        CHECK_EQ(m.seq, 2);
        CHECK_EQ(m.n_parents, PARENTS_MAX);
        for (int i = 0; i < PARENTS_MAX; i++)
                CHECK(memcmp(m.parents[i], chain[MEMBERS - 1 - i].hash, SHA256_SIZE) == 0);
        CHECK(m.hlc > chain[MEMBERS - 1].inner.hlc);

        /* Something else was written meanwhile. */
        CHECK_OK(room_say(&l, 3, "faster", NOW, &f));
        make(&made, &m);
        e = room_entry(&l, SELF_NUMBER, &made);
        e.content = content;
        CHECK_EQ(store_room_append(l.store, &e), -ESTALE);
        CHECK_EQ(member_feed(&l, 0).feed.seq, 1);

        /* After a kick it goes on where it really was. */
        made_done(&made);
        resume = (FeedHead){.seq = 20, .hash = {2, 0}};
        m.seq = 21;
        memcpy(m.prev, resume.hash, SHA256_SIZE);
        make(&made, &m);
        e = room_entry(&l, SELF_NUMBER, &made);
        e.content = content;
        CHECK_EQ(store_room_append(l.store, &e), -ESTALE);
        e.resume = &resume;
        CHECK_OK(store_room_append(l.store, &e));
        CHECK_OK(room_say(&l, 4, "on", NOW, &f));
        CHECK_EQ(f.feed.seq, 22);

        /* And never back: that would be a number twice. */
        made_done(&made);
        m.id = uuid_number(6);
        make(&made, &m);
        e = room_entry(&l, SELF_NUMBER, &made);
        e.content = content;
        e.resume = &resume;
        CHECK_EQ(store_room_append(l.store, &e), -ESTALE);
        check_feeds_digest(&l);

        /* Nothing where the own feed is frozen. */
        made_done(&made);
        CHECK_OK(store_room_prepare(l.store, self, l.room.number, NOW, &m));
        make(&made, &m);
        e = room_entry(&l, SELF_NUMBER, &made);
        e.content = content;
        CHECK_OK(room_feed_freeze(l.store, l.room.number, f.feed.number, 23));
        CHECK_EQ(room_say(&l, 5, "no", NOW, NULL), -EROFS);
        CHECK_EQ(store_room_append(l.store, &e), -EROFS);
        CHECK_OK(room_feed_freeze(l.store, l.room.number, f.feed.number, 0));
        CHECK_OK(room_say(&l, 5, "yes", NOW, NULL));
        made_done(&made);
        chain_done(chain, MEMBERS);
        room_lab_free(&l);
}

/* A disk was lost, and others still have what was written. */
TEST(own_entries_that_others_bring_are_own_ones) {
        uint8_t content[SHA256_SIZE];
        NewRoomEntry e;
        HistoryRow h;
        Made made;
        RoomLab l;
        RoomFeed f;
        Entry held;
        Inner m;

        room_lab_new(&l);
        m = member_inner(&l, 0, 1, NULL, 10);
        memcpy(m.account, sign_key_public(&l.lab.alice.self.account), KEY_SIZE);
        make(&made, &m);
        e = room_entry(&l, SELF_NUMBER, &made);
        CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take_entry(&l, &e).taken, ROOM_ENTRY_AGAIN);
        CHECK_EQ(room_conversation(&l).unread, 0);
        CHECK_EQ(count_events(&l).received, 0);
        CHECK_EQ(room_feed_find(room_txn(&l), l.room.number,
                         &(RoomFeedKey){.account = m.account, .epoch = 1, .device = m.device}, &f),
                1);
        CHECK_EQ(history_get(room_txn(&l), f.feed.number, 1, &h), 1);
        CHECK(h.own);
        CHECK_EQ(entry_get(room_txn(&l), f.feed.number, 1, &held), 1);
        CHECK_EQ(held.state, ENTRY_STORED);
        store_room_content(l.room.id, NULL, text_bytes("x"), content);
        CHECK_EQ(store_room_sent(room_txn(&l), &m.id, content), -EEXIST);
        CHECK_OK(room_say(&l, 77, "and on", NOW, &f));
        CHECK(memcmp(inner_at(&l.lab.alice, f.feed.number, 1).prev, made.hash, SHA256_SIZE) == 0);
        made_done(&made);
        room_lab_free(&l);
}

/* Frozen feeds and forks */

TEST(a_fork_freezes_the_feed_for_good) {
        uint8_t none[SHA256_SIZE] = {}, digest[SHA256_SIZE], bytes[16], hash[SHA256_SIZE];
        Made chain[4];
        uint64_t seq;
        RoomFeed f;
        RoomLab l;
        Bytes b;

        room_lab_new(&l);
        member_chain(&l, chain, 0, 4, 10, 10);
        for (int i = 0; i < 3; i++)
                CHECK_EQ(room_take(&l, 0, &chain[i]).taken, ROOM_ENTRY_NEW);
        f = member_feed(&l, 0);
        CHECK_EQ(room_fork_put(l.store, l.room.number, f.feed.number, 3, text_bytes("one")), 1);
        CHECK_EQ(room_fork_put(l.store, l.room.number, f.feed.number, 3, text_bytes("two")), 0);
        CHECK_EQ(room_fork_put(l.store, l.room.number, f.feed.number, 4, text_bytes("two")), 0);
        memcpy(digest, room_now(&l).forks_digest, SHA256_SIZE);
        CHECK_EQ(room_fork_put(l.store, l.room.number, f.feed.number, 2, text_bytes("low")), 1);
        CHECK(memcmp(digest, room_now(&l).forks_digest, SHA256_SIZE) != 0);
        memcpy(bytes, f.tag, 8);
        db_set_u64(bytes + 8, 2);
        sha256(bytes, sizeof(bytes), hash);
        CHECK(memcmp(hash, room_now(&l).forks_digest, SHA256_SIZE) == 0);
        CHECK_EQ(room_fork_get(room_txn(&l), l.room.number, f.feed.number, &seq, &b), 1);
        CHECK_EQ(seq, 2);
        CHECK(bytes_equal(b, text_bytes("low")));

        CHECK_OK(store_room_cut(l.store, l.room.number, f.feed.number, 2));
        f = member_feed(&l, 0);
        CHECK_EQ(f.feed.seq, 1);
        CHECK_EQ(f.frozen, 2);
        CHECK_EQ(room_take(&l, 0, &chain[1]).taken, ROOM_ENTRY_REFUSED);
        CHECK_EQ(room_take(&l, 0, &chain[0]).taken, ROOM_ENTRY_AGAIN);
        CHECK_OK(room_feed_freeze(l.store, l.room.number, f.feed.number, 1));
        CHECK_EQ(member_feed(&l, 0).frozen, 1);
        CHECK_EQ(room_take(&l, 0, &chain[0]).taken, ROOM_ENTRY_REFUSED);
        CHECK_OK(room_feed_freeze(l.store, l.room.number, f.feed.number, 0));
        CHECK_EQ(member_feed(&l, 0).frozen, 2);
        CHECK_EQ(room_fork_put(l.store, l.room.number, 999, 2, text_bytes("x")), -ENOENT);
        CHECK_EQ(room_fork_put(l.store, l.room.number, f.feed.number, 0, text_bytes("x")), -EINVAL);
        CHECK(memcmp(none, room_now(&l).forks_digest, SHA256_SIZE) != 0);
        check_feeds_digest(&l);
        chain_done(chain, 4);
        room_lab_free(&l);
}

static bool note_change(void *userdata, DbTxn *txn, const RoomFeed *f) {
        uint32_t *feeds = userdata;

        feeds[++feeds[0]] = f->feed.number;
        return true;
}

TEST(feeds_are_told_by_their_last_change_and_found_by_their_tag) {
        uint32_t changed[8] = {};
        uint64_t before;
        Made chain[3][2];
        RoomFeed f[3], found;
        RoomLab l;

        room_lab_new(&l);
        for (unsigned i = 0; i < 3; i++) {
                member_chain(&l, chain[i], i, 2, 10, 10);
                CHECK_EQ(room_take(&l, i, &chain[i][0]).taken, ROOM_ENTRY_NEW);
                f[i] = member_feed(&l, i);
                CHECK_EQ(room_feed_find_tag(room_txn(&l), l.room.number, f[i].tag, &found), 1);
                CHECK_EQ(found.feed.number, f[i].feed.number);
        }
        CHECK_EQ(room_feed_find_tag(room_txn(&l), l.room.number, (uint8_t[8]){1}, &found), 0);
        before = room_now(&l).change;
        CHECK_EQ(room_take(&l, 1, &chain[1][1]).taken, ROOM_ENTRY_NEW);
        CHECK_OK(room_feed_freeze(l.store, l.room.number, f[0].feed.number, 9));
        CHECK_OK(room_feed_freeze(l.store, l.room.number, f[0].feed.number, 9));
        CHECK_OK(room_feed_each(room_txn(&l), l.room.number, before, note_change, changed));
        CHECK_EQ(changed[0], 2);
        CHECK_EQ(changed[1], f[1].feed.number);
        CHECK_EQ(changed[2], f[0].feed.number);
        changed[0] = 0;
        CHECK_OK(room_feed_each(room_txn(&l), l.room.number, 0, note_change, changed));
        CHECK_EQ(changed[0], 3);
        CHECK_EQ(changed[1], f[2].feed.number);
        changed[0] = 0;
        CHECK_OK(room_feed_each(
                room_txn(&l), l.room.number, room_now(&l).change, note_change, changed));
        CHECK_EQ(changed[0], 0);
        CHECK_OK(room_feed_each_of(
                room_txn(&l), l.room.number, l.member[2].number, note_change, changed));
        CHECK_EQ(changed[0], 1);
        CHECK_EQ(changed[1], f[2].feed.number);
        CHECK_EQ(room_feed_get(room_txn(&l), l.room.number + 1, f[0].feed.number, &found), 0);
        for (unsigned i = 0; i < 3; i++)
                chain_done(chain[i], 2);
        room_lab_free(&l);
}

/* Marks */

static bool count_held(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m) {
        uint64_t *held = userdata;

        *held += m->held;
        return true;
}

TEST(nobody_has_more_of_a_feed_than_there_is) {
        RoomMark m = {};
        uint64_t held = 0;
        Made chain[1];
        RoomFeed f;
        RoomLab l;

        room_lab_new(&l);
        for (uint32_t i = 1; i <= 5; i++)
                CHECK_OK(room_say(&l, i, "hello", NOW, &f));
        m = (RoomMark){.feed = f.feed.number, .held = 3, .read = 1};
        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[0].number, &m), 1);
        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[0].number, &m), 0);
        m = (RoomMark){.feed = f.feed.number, .held = 2, .read = 2};
        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[0].number, &m), 1);
        m = (RoomMark){.feed = f.feed.number, .held = UINT64_MAX, .read = UINT64_MAX};
        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[1].number, &m), 1);
        CHECK_EQ(room_mark_get(room_txn(&l), l.room.number, l.member[0].number, f.feed.number, &m),
                1);
        CHECK_EQ(m.held, 3);
        CHECK_EQ(m.read, 2);
        CHECK_OK(room_mark_each(room_txn(&l), l.room.number, f.feed.number, count_held, &held));
        CHECK_EQ(held, 3 + 5);
        CHECK_EQ(room_mark_set(l.store, l.room.number, SELF_NUMBER, &m), -EINVAL);
        m.feed = 999;
        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[0].number, &m), -ENOENT);
        member_chain(&l, chain, 0, 1, 10, 10);
        m.feed = room_take(&l, 0, &chain[0]).feed;
        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[1].number, &m), -EINVAL);

        /* What is not there any more nobody has. */
        CHECK_OK(store_room_cut(l.store, l.room.number, f.feed.number, 2));
        held = 0;
        CHECK_OK(room_mark_each(room_txn(&l), l.room.number, f.feed.number, count_held, &held));
        CHECK_EQ(held, 2);
        chain_done(chain, 1);
        room_lab_free(&l);
}

/* Too little room */

TEST(a_full_store_takes_nothing_in_and_lets_go_nevertheless) {
        Made chain[3], other[1];
        NewRoomEntry e;
        RoomReceived got;
        RoomRow row;
        RoomFeed f;
        RoomLab l;

        room_lab_new(&l);
        member_chain(&l, chain, 0, 3, 10, 10);
        member_chain(&l, other, 1, 1, 10, 10);
        CHECK_EQ(room_take(&l, 0, &chain[0]).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take(&l, 0, &chain[1]).taken, ROOM_ENTRY_NEW);
        CHECK_OK(room_say(&l, 1, "before", NOW, &f));
        CHECK_OK(room_proposal_put(
                l.store, l.room.number, (uint8_t[SHA256_SIZE]){1}, text_bytes("p"), NOW));
        CHECK_OK(store_commit(l.store));
        store_set_max_size(l.store, 1);
        e = room_entry(&l, l.member[0].number, &chain[2]);
        CHECK_EQ(store_room_receive(l.store, &e, &got), -EDQUOT);
        e = room_entry(&l, l.member[1].number, &other[0]);
        CHECK_EQ(store_room_receive(l.store, &e, &got), -EDQUOT);
        CHECK_EQ(room_feed_each_of(room_txn(&l), l.room.number, l.member[1].number, note_change,
                         (uint32_t[4]){}),
                0);
        CHECK_EQ(room_take(&l, 0, &chain[1]).taken, ROOM_ENTRY_AGAIN);
        CHECK_EQ(room_say(&l, 2, "no", NOW, NULL), -EDQUOT);
        CHECK_EQ(room_say(&l, 1, "before", NOW, NULL), 1);
        CHECK_EQ(room_block_put(l.store, l.room.number, 1, text_bytes("b")), -EDQUOT);
        CHECK_EQ(room_proposal_put(
                         l.store, l.room.number, (uint8_t[SHA256_SIZE]){2}, text_bytes("p"), NOW),
                -EDQUOT);
        CHECK_EQ(room_key_put(l.store, l.room.number, 1, (uint8_t[ROOM_KEY_SIZE]){1}), -EDQUOT);
        CHECK_EQ(room_add(l.store, (uint8_t[SHA256_SIZE]){9}, "new", ROOM_JOINED, &row), -EDQUOT);

        CHECK_EQ(room_mark_set(l.store, l.room.number, l.member[0].number,
                         &(RoomMark){.feed = f.feed.number, .held = 1}),
                1);
        CHECK_EQ(room_proposal_remove(l.store, l.room.number, (uint8_t[SHA256_SIZE]){1}), 1);
        CHECK_OK(store_room_cut(l.store, l.room.number, member_feed(&l, 0).feed.number, 2));
        CHECK_EQ(member_feed(&l, 0).feed.seq, 1);
        CHECK_EQ(store_room_mark_read(
                         l.store, l.room.number, &chain[0].inner.id, NOW + MINUTE, true),
                1);
        CHECK_OK(store_commit(l.store));
        check_feeds_digest(&l);
        store_set_max_size(l.store, 0);
        chain_done(chain, 3);
        chain_done(other, 1);
        room_lab_free(&l);
}

/* What the rows of a feed say of what is here */

TEST(a_set_that_is_cut_says_nothing_of_what_comes_after) {
        Ranges r = {.range = {{3, 5}, {8, 9}, {12, 20}}, .n = 3};

        ranges_cut(&r, 21);
        CHECK_EQ(r.n, 3);
        ranges_cut(&r, 15);
        CHECK_EQ(r.n, 3);
        CHECK_EQ(r.range[2].last, 14);
        ranges_cut(&r, 12);
        CHECK_EQ(r.n, 2);
        ranges_cut(&r, 9);
        CHECK_EQ(r.n, 2);
        CHECK_EQ(r.range[1].last, 8);
        ranges_cut(&r, 1);
        CHECK_EQ(r.n, 0);
        ranges_cut(&r, 1);
        CHECK_EQ(r.n, 0);

        /* Of what was dropped the last is known again. */
        r = (Ranges){.range = {{30, 40}}, .n = 1, .dropped = 20};
        ranges_cut(&r, 35);
        CHECK_EQ(r.dropped, 20);
        ranges_cut(&r, 25);
        CHECK_EQ(r.n, 1);
        CHECK_EQ(r.range[0].first, 20);
        CHECK_EQ(r.range[0].last, 20);
        CHECK_EQ(r.dropped, 19);
        ranges_cut(&r, 1);
        CHECK_EQ(r.n, 0);
        CHECK_EQ(r.dropped, 0);
}
