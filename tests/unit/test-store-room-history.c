/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A room as it is shown: many authors in one order, what is read of it, and what is cut out. */

#include "room-lab.h"

#include "store/private.h"

#define EACH 20 /* entries of a member */

static void take_all(RoomLab *l, Made chain[MEMBERS][EACH]) {
        /* Each one's feed on its own: no two orders of arrival are the order of showing. */
        for (unsigned i = MEMBERS; i-- > 0;) {
                member_chain(l, chain[i], i, EACH, i * 3, 10);
                for (int k = 0; k < EACH; k++)
                        CHECK_EQ(room_take(l, i, &chain[i][k]).taken, ROOM_ENTRY_NEW);
        }
}

static void chains_done(Made chain[MEMBERS][EACH]) {
        for (unsigned i = 0; i < MEMBERS; i++)
                chain_done(chain[i], EACH);
}

typedef struct Page {
        uint64_t last_hlc;
        unsigned n;
        Uuid first, last;
} Page;

static bool on_page(void *userdata, DbTxn *txn, const HistoryRow *h) {
        Page *p = userdata;

        CHECK(h->inner.hlc >= p->last_hlc);
        p->last_hlc = h->inner.hlc;
        if (p->n++ == 0)
                p->first = h->inner.id;
        p->last = h->inner.id;
        return true;
}

TEST(pages_of_a_room_are_in_order_in_both_directions) {
        Made chain[MEMBERS][EACH];
        HistoryPage page = {.limit = 7};
        unsigned total = 0;
        bool more = true;
        HistoryRow h;
        Uuid at;
        RoomLab l;
        Page p;

        room_lab_new(&l);
        take_all(&l, chain);
        page.conversation = l.room.number;
        for (uint64_t newest = UINT64_MAX; more;) {
                p = (Page){};
                CHECK_OK(history_read(room_txn(&l), &page, on_page, &p, &more));
                CHECK(p.last_hlc < newest);
                total += p.n;
                newest = p.last_hlc;
                at = p.first;
                page.before = &at;
                CHECK(p.n > 0 || !more);
                if (p.n == 0)
                        break;
        }
        CHECK_EQ(total, MEMBERS * EACH);
        CHECK(uuid_equal(&at, &chain[0][0].inner.id));

        page = (HistoryPage){.conversation = l.room.number, .after = &at, .limit = 11};
        total = 1;
        p = (Page){};
        for (more = true; more;) {
                unsigned n = p.n = 0;

                CHECK_OK(history_read(room_txn(&l), &page, on_page, &p, &more));
                CHECK(p.n > n);
                total += p.n;
                at = p.last;
        }
        CHECK_EQ(total, MEMBERS * EACH);
        CHECK_EQ(history_last(room_txn(&l), l.room.number, &h), 1);
        CHECK(uuid_equal(&h.inner.id, &at));
        at = uuid_number(99999999);
        CHECK_EQ(history_read(room_txn(&l), &page, on_page, &p, &more), -ENOENT);
        chains_done(chain);
        room_lab_free(&l);
}

static bool count_conversation(void *userdata, DbTxn *txn, const Conversation *v) {
        unsigned *rooms = userdata;

        *rooms += v->peer == 0;
        return true;
}

TEST(reading_marks_what_is_shown_before_of_all_authors) {
        Made chain[MEMBERS][EACH];
        uint64_t change, upto;
        unsigned rooms = 0;
        HistoryRow h;
        RoomLab l;

        room_lab_new(&l);
        take_all(&l, chain);
        CHECK_EQ(room_conversation(&l).unread, MEMBERS * EACH);
        CHECK_OK(conversation_each(room_txn(&l), count_conversation, &rooms));
        CHECK_EQ(rooms, 1);
        change = room_now(&l).change;

        /* The fourth of member 2: at 36 ms. Of 0 and 1 are 4 before it, of 2 as well, of 3 and 4
         * three: at 9 and 12 + 30. */
        CHECK_EQ(store_room_mark_read(
                         l.store, l.room.number, &chain[2][3].inner.id, NOW + MINUTE, false),
                1);
        CHECK_EQ(room_conversation(&l).unread, MEMBERS * EACH - 18);
        CHECK_EQ(room_now(&l).change, change);
        CHECK_EQ(store_room_mark_read(
                         l.store, l.room.number, &chain[2][3].inner.id, NOW + MINUTE, false),
                0);
        CHECK_OK(room_feed_read(room_txn(&l), member_feed(&l, 0).feed.number, &upto));
        CHECK_EQ(upto, 4);
        CHECK_OK(room_feed_read(room_txn(&l), member_feed(&l, 3).feed.number, &upto));
        CHECK_EQ(upto, 3);
        CHECK_EQ(history_get(room_txn(&l), member_feed(&l, 3).feed.number, 3, &h), 1);
        CHECK(h.read);
        CHECK_EQ(history_get(room_txn(&l), member_feed(&l, 3).feed.number, 4, &h), 1);
        CHECK(!h.read);

        CHECK_EQ(store_room_mark_read(
                         l.store, l.room.number, &chain[4][EACH - 1].inner.id, NOW + MINUTE, true),
                1);
        CHECK_EQ(room_conversation(&l).unread, 0);
        CHECK_EQ(room_now(&l).change, change + MEMBERS);
        CHECK_EQ(store_room_mark_read(l.store, l.room.number, &(Uuid){{1}}, NOW, true), -ENOENT);
        CHECK_EQ(store_room_mark_read(l.store, 99, &chain[4][0].inner.id, NOW, true), -ENOENT);

        /* No receipt is ever made for a room. */
        CHECK_EQ(
                make_receipt_of(&l.lab, member_feed(&l, 0).feed.number, RECEIPT_READ, &(Receipt){}),
                0);
        chains_done(chain);
        room_lab_free(&l);
}

/* Cutting */

static unsigned rows(const RoomLab *l, unsigned table) {
        return (unsigned)db_count(room_txn(l), table);
}

TEST(what_is_cut_leaves_nothing_and_may_come_again) {
        static const unsigned tables[] = {
                TABLE_ENTRY, TABLE_ORDER, TABLE_ROOM_ID, TABLE_ROOM_CHANGE, TABLE_READ};
        Made chain[MEMBERS][EACH];
        unsigned before[ELEMENTSOF(tables)];
        uint8_t digest[SHA256_SIZE], feeds[SHA256_SIZE], again[SHA256_SIZE];
        uint64_t n;
        uint32_t feed;
        RoomLab l;

        room_lab_new(&l);
        take_all(&l, chain);
        feed = member_feed(&l, 2).feed.number;
        CHECK_EQ(store_room_mark_read(
                         l.store, l.room.number, &chain[2][9].inner.id, NOW + MINUTE, true),
                1);
        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                before[i] = rows(&l, tables[i]);
        CHECK_OK(store_digest(room_txn(&l), l.room.number, digest, &n));
        CHECK_EQ(n, MEMBERS * EACH);
        memcpy(feeds, room_now(&l).feeds_digest, SHA256_SIZE);

        CHECK_OK(store_room_cut(l.store, l.room.number, feed, 6));
        CHECK_EQ(rows(&l, TABLE_ENTRY), before[0] - 15);
        CHECK_EQ(rows(&l, TABLE_ORDER), before[1] - 15);
        CHECK_EQ(rows(&l, TABLE_ROOM_ID), before[2] - 15);
        CHECK_EQ(member_feed(&l, 2).feed.seq, 5);
        CHECK(memcmp(member_feed(&l, 2).feed.hash, chain[2][4].hash, SHA256_SIZE) == 0);
        CHECK_EQ(member_feed(&l, 2).feed.have.n, 1);
        CHECK_EQ(member_feed(&l, 2).feed.have.range[0].last, 5);
        /* Read were ten of three and nine of two; of what is cut, five were, and ten were not. */
        CHECK_EQ(room_conversation(&l).unread, 52 - 10);
        CHECK_OK(store_digest(room_txn(&l), l.room.number, again, &n));
        CHECK_EQ(n, MEMBERS * EACH - 15);
        check_feeds_digest(&l);
        CHECK_OK(store_room_cut(l.store, l.room.number, feed, 6)); /* nothing more */

        for (int k = 5; k < EACH; k++)
                CHECK_EQ(room_take(&l, 2, &chain[2][k]).taken, ROOM_ENTRY_NEW);
        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                CHECK_EQ(rows(&l, tables[i]), before[i]);
        CHECK_OK(store_digest(room_txn(&l), l.room.number, again, &n));
        CHECK(memcmp(digest, again, SHA256_SIZE) == 0);
        CHECK(memcmp(feeds, room_now(&l).feeds_digest, SHA256_SIZE) == 0);
        CHECK_EQ(room_conversation(&l).unread, 52); /* what was read is so again */

        CHECK_OK(store_room_cut(l.store, l.room.number, feed, 1));
        CHECK_EQ(member_feed(&l, 2).feed.seq, 0);
        check_feeds_digest(&l);
        CHECK_EQ(store_room_cut(l.store, l.room.number, feed, 0), -EINVAL);
        CHECK_EQ(store_room_cut(l.store, l.room.number, 999, 1), -ENOENT);
        CHECK_EQ(store_room_cut(l.store, 999, feed, 1), -ENOENT);
        chains_done(chain);
        room_lab_free(&l);
}

TEST(a_huge_cut_is_made_in_steps) {
        const unsigned many = 2 * ROOM_CUT_MAX + 10;
        RoomFeed f;
        RoomLab l;

        room_lab_new(&l);
        for (uint32_t i = 1; i <= many; i++)
                CHECK_OK(room_say(&l, i, "x", NOW + i, NULL));
        CHECK_OK(room_say(&l, many + 1, "x", NOW, &f));
        CHECK_EQ(store_room_cut(l.store, l.room.number, f.feed.number, 4), 1);
        CHECK_EQ(last_entry(&l, f.feed.number).n, many + 1 - ROOM_CUT_MAX);
        check_feeds_digest(&l);
        CHECK_EQ(store_room_cut(l.store, l.room.number, f.feed.number, 4), 1);
        check_feeds_digest(&l);
        CHECK_OK(store_room_cut(l.store, l.room.number, f.feed.number, 4));
        CHECK_EQ(last_entry(&l, f.feed.number).n, 3);
        CHECK_EQ(check_feeds_digest(&l), 1);

        /* Its id is free again. */
        CHECK_EQ(room_say(&l, 3, "x", NOW, NULL), 1);
        CHECK_OK(room_say(&l, 5, "something else", NOW, &f));
        CHECK_EQ(f.feed.seq, 4);
        room_lab_free(&l);
}

static int first_at(RoomLab *l, uint32_t feed, usec_t time, uint64_t *ret) {
        return store_room_first_at(room_txn(l), feed, time / USEC_PER_MSEC << 16, ret);
}

TEST(the_first_entry_after_a_time_is_found) {
        Made chain[MEMBERS][EACH];
        uint64_t seq;
        uint32_t feed;
        RoomLab l;

        room_lab_new(&l);
        take_all(&l, chain);
        feed = member_feed(&l, 0).feed.number;
        CHECK_EQ(first_at(&l, feed, NOW, &seq), 1);
        CHECK_EQ(seq, 1);
        CHECK_EQ(first_at(&l, feed, NOW + 51 * USEC_PER_MSEC, &seq), 1);
        CHECK_EQ(seq, 7);
        CHECK_EQ(first_at(&l, feed, NOW + USEC_PER_MINUTE, &seq), 0);
        chains_done(chain);
        room_lab_free(&l);
}

/* Digests */

TEST(the_digest_is_that_of_the_hashes_in_the_order_of_showing) {
        uint8_t digest[SHA256_SIZE], expected[SHA256_SIZE], hashes[3][SHA256_SIZE];
        Made a[2], b[1];
        uint64_t n;
        RoomLab l;
        Feed own;

        room_lab_new(&l);
        CHECK_OK(store_digest(room_txn(&l), l.room.number, digest, &n));
        CHECK_EQ(n, 0);
        sha256("", 0, expected);
        CHECK(memcmp(digest, expected, SHA256_SIZE) == 0);
        member_chain(&l, a, 0, 2, 10, 20);
        member_chain(&l, b, 1, 1, 20, 20);
        CHECK_EQ(room_take(&l, 1, &b[0]).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take(&l, 0, &a[0]).taken, ROOM_ENTRY_NEW);
        CHECK_EQ(room_take(&l, 0, &a[1]).taken, ROOM_ENTRY_NEW);
        memcpy(hashes[0], a[0].hash, SHA256_SIZE);
        memcpy(hashes[1], b[0].hash, SHA256_SIZE);
        memcpy(hashes[2], a[1].hash, SHA256_SIZE);
        sha256(hashes, sizeof(hashes), expected);
        CHECK_OK(store_digest(room_txn(&l), l.room.number, digest, &n));
        CHECK_EQ(n, 3);
        CHECK(memcmp(digest, expected, SHA256_SIZE) == 0);

        CHECK_OK(send_text(&l.lab.alice, 1, "to bob", NOW));
        own = own_feed(&l.lab.alice);
        sha256(own.hash, SHA256_SIZE, expected);
        CHECK_OK(store_digest(room_txn(&l), own.conversation, digest, &n));
        CHECK_EQ(n, 1);
        CHECK(memcmp(digest, expected, SHA256_SIZE) == 0);
        chain_done(a, 2);
        chain_done(b, 1);
        room_lab_free(&l);
}

static uint32_t random_below(uint64_t *state, uint32_t n) {
        *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
        return (uint32_t)(*state >> 33) % n;
}

/* What is unread, counted anew. */
static bool count_unread(void *userdata, DbTxn *txn, const HistoryRow *h) {
        unsigned *n = userdata;

        *n += !h->own && !h->read;
        return true;
}

static void check_all(const RoomLab *l) {
        HistoryPage page = {.conversation = l->room.number, .limit = 100000};
        unsigned unread = 0;
        bool more;

        check_feeds_digest(l);
        CHECK_OK(history_read(room_txn(l), &page, count_unread, &unread, &more));
        CHECK_EQ(unread, room_conversation(l).unread);
        CHECK_EQ(rows(l, TABLE_ENTRY), rows(l, TABLE_ORDER));
        CHECK_EQ(rows(l, TABLE_ENTRY), rows(l, TABLE_ROOM_ID));
}

static void do_something(
        RoomLab *l, Made chain[MEMBERS][EACH], uint64_t *state, uint32_t *next_id) {
        unsigned member = random_below(state, MEMBERS);
        LastEntry last = {};
        RoomFeedKey key;
        RoomFeed f;
        Made *m;

        key = (RoomFeedKey){.number = l->member[member].number,
                .account = l->member[member].account,
                .epoch = 1,
                .device = chain[member][0].inner.device};
        if (room_feed_find(room_txn(l), l->room.number, &key, &f) > 0)
                last = last_entry(l, f.feed.number);
        m = &chain[member][MIN(last.seq, (uint64_t)EACH - 1)];
        switch (random_below(state, 10)) {
        case 0:
                if (last.n > 0)
                        CHECK_OK(store_room_cut(l->store, l->room.number, f.feed.number,
                                1 + random_below(state, EACH)));
                break;
        case 1:
                if (last.n > 0)
                        CHECK(store_room_mark_read(l->store, l->room.number,
                                      &chain[member][random_below(state, (uint32_t)last.seq)]
                                               .inner.id,
                                      NOW + MINUTE, random_below(state, 2)) >= 0);
                break;
        case 2:
        case 3:
                ++*next_id;
                CHECK_OK(room_say(l, *next_id, "own", NOW + *next_id, NULL));
                break;
        case 4:
                (void)room_take(l, member, &chain[member][random_below(state, EACH)]);
                break;
        default:
                (void)room_take(l, member, m);
        }
}

TEST(digests_and_counts_are_right_after_whatever_was_done) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
                Made chain[MEMBERS][EACH];
                uint64_t state = seed;
                uint32_t next_id = 0;
                RoomLab l;

                room_lab_new(&l);
                for (unsigned i = 0; i < MEMBERS; i++)
                        member_chain(&l, chain[i], i, EACH, i * 3, 10);
                for (int i = 0; i < 400; i++) {
                        do_something(&l, chain, &state, &next_id);
                        if (i % 20 == 0)
                                check_all(&l);
                }
                check_all(&l);
                chains_done(chain);
                room_lab_free(&l);
        }
}

TEST(a_batch_that_fails_has_changed_nothing) {
        Made chain[MEMBERS][EACH];
        uint8_t digest[SHA256_SIZE];
        RoomRow before, row;
        RoomFeed f;
        RoomLab l;

        room_lab_new(&l);
        take_all(&l, chain);
        CHECK_OK(room_say(&l, 1, "kept", NOW, &f));
        CHECK_OK(store_commit(l.store));
        before = room_now(&l);
        CHECK_OK(store_room_cut(l.store, l.room.number, member_feed(&l, 1).feed.number, 3));
        CHECK_OK(room_say(&l, 2, "lost", NOW, NULL));
        CHECK_OK(room_add(l.store, (uint8_t[SHA256_SIZE]){9}, "lost", ROOM_JOINED, &row));
        CHECK_EQ(room_fork_put(l.store, l.room.number, f.feed.number, 1, text_bytes("p")), 1);
        db_fail(room_txn(&l), -EIO);
        CHECK_EQ(store_commit(l.store), -EIO);
        row = room_now(&l);
        CHECK_EQ(row.change, before.change);
        memcpy(digest, before.feeds_digest, SHA256_SIZE);
        CHECK(memcmp(row.feeds_digest, digest, SHA256_SIZE) == 0);
        check_all(&l);
        CHECK_EQ(room_find_name(room_txn(&l), "lost", &row), 0);
        CHECK_OK(room_say(&l, 2, "another try", NOW, &f));
        CHECK_EQ(f.feed.seq, 2);
        CHECK_EQ(room_take(&l, 1, &chain[1][3]).taken, ROOM_ENTRY_AGAIN);
        check_all(&l);
        chains_done(chain);
        room_lab_free(&l);
}
