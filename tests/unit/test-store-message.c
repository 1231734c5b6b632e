/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Ranges, feeds, sending and receiving. */

#include "store-lab.h"

/* Ranges, against one flag for each of the numbers BASE + 0 … UNIVERSE - 1 */

#define UNIVERSE 1100

typedef struct Naive {
        bool have[UNIVERSE];
        uint64_t base;
} Naive;

static size_t naive_count(const Naive *m) {
        size_t n = 0;

        for (size_t i = 0; i < UNIVERSE; i++)
                n += m->have[i] && (i == 0 || !m->have[i - 1]);
        return n;
}

static uint64_t naive_gap(const Naive *m, size_t i) {
        for (size_t k = i; k > 0; k--)
                if (m->have[k - 1])
                        return i - k;
        return m->base + i - 1;
}

static void check_ranges(const Naive *m, const Ranges *r) {
        CHECK_EQ(r->n, naive_count(m));
        for (size_t i = 0; i < r->n; i++) {
                CHECK(r->range[i].first >= 1 && r->range[i].first <= r->range[i].last);
                CHECK(i == 0 || r->range[i - 1].last < r->range[i].first - 1);
        }
        for (size_t i = 0; i < UNIVERSE; i++) {
                CHECK_EQ(ranges_have(r, m->base + i), m->have[i]);
                CHECK(ranges_gap_before(r, m->base + i) == naive_gap(m, i));
        }
}

static void add_randomly(Naive *m, Ranges *r, long longest) {
        size_t first = (size_t)random() % UNIVERSE,
               last = MIN(first + (size_t)(random() % longest), (size_t)UNIVERSE - 1);
        Naive before = *m;
        Ranges was = *r;
        int e;

        for (size_t i = first; i <= last; i++)
                m->have[i] = true;
        e = ranges_add(r, m->base + first, m->base + last);
        if (naive_count(m) <= RECEIPT_RANGES_MAX) {
                CHECK_OK(e);
                CHECK(ranges_equal(r, &was) == (memcmp(m, &before, sizeof(before)) == 0));
                return;
        }
        CHECK_EQ(e, -ENOBUFS);
        CHECK(ranges_equal(r, &was));
        *m = before;
}

TEST(ranges_are_what_a_flag_for_each_number_would_be) {
        static const uint64_t bases[] = {1, 2, 1000, UINT64_MAX - UNIVERSE + 1};
        static const long longest[] = {1, 3, 40};

        srandom(7);
        for (size_t b = 0; b < ELEMENTSOF(bases); b++)
                for (size_t l = 0; l < ELEMENTSOF(longest); l++) {
                        Naive m = {.base = bases[b]};
                        Ranges r = {};

                        for (int i = 0; i < 1500; i++) {
                                add_randomly(&m, &r, longest[l]);
                                if (i % 50 == 0)
                                        check_ranges(&m, &r);
                        }
                        check_ranges(&m, &r);
                }
}

TEST(of_too_many_ranges_the_newest_are_kept) {
        static bool have[UNIVERSE + 1];
        Ranges r = {};

        srandom(8);
        for (int i = 0; i < 1500; i++) {
                uint64_t seq = 1 + (uint64_t)random() % UNIVERSE, from = r.dropped;
                SeqRange beyond = ranges_push(&r, seq, seq);

                have[seq] = true;
                CHECK(r.n <= RECEIPT_RANGES_MAX && r.dropped >= from);
                CHECK(beyond.first > 0 ? beyond.last <= r.dropped : r.dropped == from);
                CHECK(ranges_have(&r, seq) || (beyond.first == seq && beyond.last == seq));
                for (uint64_t k = r.dropped + 1; k <= UNIVERSE; k++)
                        CHECK_EQ(ranges_have(&r, k), have[k]);
                CHECK(r.dropped == 0 || have[r.dropped]);
                CHECK(!ranges_have(&r, r.dropped));
        }
        CHECK(r.dropped > 0);
}

TEST(single_numbers_are_taken_out_again) {
        Ranges r = {.range = {{1, 3}, {5, 5}, {9, UINT64_MAX}}, .n = 3};

        CHECK_OK(ranges_remove(&r, 4));
        CHECK_OK(ranges_remove(&r, 5));
        CHECK_OK(ranges_remove(&r, 1));
        CHECK_OK(ranges_remove(&r, 3));
        CHECK_OK(ranges_remove(&r, 11));
        CHECK_OK(ranges_remove(&r, UINT64_MAX));
        CHECK(ranges_equal(
                &r, &(Ranges){.range = {{2, 2}, {9, 10}, {12, UINT64_MAX - 1}}, .n = 3}));
        r = (Ranges){};
        for (uint64_t i = 1; i <= RECEIPT_RANGES_MAX; i++)
                CHECK_OK(ranges_add(&r, 10 * i, 10 * i + 5));
        CHECK_EQ(ranges_remove(&r, 12), -ENOBUFS);
        CHECK_OK(ranges_remove(&r, 15));
        CHECK_EQ(r.n, RECEIPT_RANGES_MAX);
}

TEST(ranges_keep_their_form_on_disk) {
        static const Ranges bad[] = {
                {.range = {{0, 3}}, .n = 1},
                {.range = {{4, 3}}, .n = 1},
                {.range = {{1, 3}, {4, 5}}, .n = 2},
                {.range = {{6, 7}, {1, 2}}, .n = 2},
                {.range = {{1, UINT64_MAX}, {3, 4}}, .n = 2},
                {.range = {{3, 3}, {5, 5}}, .n = 2, .dropped = 3},
                {.dropped = 3},
        };
        static const Ranges good[] = {
                {.n = 0},
                {.range = {{1, 3}, {5, 5}, {9, UINT64_MAX}}, .n = 3},
                {.range = {{3, 3}, {5, 5}}, .n = 2, .dropped = 2},
        };
        Ranges r;
        _cleanup_(buffer_done) Buffer row = BUFFER_NULL;
        RowReader reader;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                row_start(&row);
                row_put_ranges(&row, &good[i]);
                reader = row_begin((DbValue){buffer_data(&row), buffer_size(&row)});
                row_read_ranges(&reader, &r);
                CHECK_OK(row_end(&reader));
                CHECK(ranges_equal(&r, &good[i]));
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                row_start(&row);
                row_put_ranges(&row, &bad[i]);
                reader = row_begin((DbValue){buffer_data(&row), buffer_size(&row)});
                row_read_ranges(&reader, &r);
                CHECK_EQ(row_end(&reader), -EUCLEAN);
                CHECK_EQ(r.n, 0);
        }
}

/* Clocks */

TEST(the_clock_only_goes_forward) {
        uint64_t ms = NOW / USEC_PER_MSEC << 16, h;

        CHECK(hlc_next(0, NOW) == ms);
        CHECK(hlc_next(ms, NOW) == ms + 1);
        CHECK(hlc_next(ms + 7, NOW - MINUTE) == ms + 8);
        CHECK(hlc_next(ms | 0xffff, NOW) == ms + 0x10000); /* the counter carries into the ms */
        CHECK(hlc_merge(ms, ms + 5, NOW) == ms + 5);
        CHECK(hlc_merge(ms + 5, ms, NOW) == ms + 5);
        h = (NOW + CLOCK_AHEAD_MAX) / USEC_PER_MSEC << 16;
        CHECK(hlc_merge(ms, h, NOW) == h);
        CHECK(hlc_merge(ms, h + 0x10000, NOW) == ms);
        CHECK(hlc_merge(ms, UINT64_MAX, NOW) == ms);
}

/* Sending */

TEST(a_feed_is_a_chain) {
        static const usec_t when[] = {NOW, NOW, NOW + 1, NOW - MINUTE, NOW + MINUTE};
        uint8_t prev[SHA256_SIZE] = {};
        uint64_t hlc = 0;
        Lab lab;
        Feed f;

        lab_new(&lab);
        for (uint32_t i = 0; i < ELEMENTSOF(when); i++) {
                Inner m;

                CHECK_OK(send_text(&lab.alice, i + 1, "text", when[i]));
                f = own_feed(&lab.alice);
                m = inner_at(&lab.alice, f.number, i + 1);
                CHECK_EQ(f.seq, i + 1);
                CHECK_EQ(m.seq, i + 1);
                CHECK(memcmp(m.prev, prev, SHA256_SIZE) == 0);
                CHECK(m.hlc > hlc);
                CHECK_EQ(m.sent, when[i]);
                CHECK_EQ(m.expires, when[i] + MESSAGE_EXPIRES_DEFAULT);
                hlc = m.hlc;
                hash_at(&lab.alice, f.number, i + 1, prev);
                CHECK(memcmp(f.hash, prev, SHA256_SIZE) == 0);
                if (i == 2)
                        person_reopen(&lab, &lab.alice); /* the head is not only in memory */
        }
        CHECK(hlc_time(hlc) <= NOW + MINUTE);
        lab_free(&lab);
}

TEST(a_new_epoch_begins_a_feed_that_names_the_old_head) {
        uint8_t head[SHA256_SIZE];
        uint32_t before;
        Lab lab;
        Inner m;
        Feed f;

        lab_new(&lab);
        CHECK_OK(send_text(&lab.alice, 1, "one", NOW));
        CHECK_OK(send_text(&lab.alice, 2, "two", NOW));
        f = own_feed(&lab.alice);
        before = f.number;
        memcpy(head, f.hash, SHA256_SIZE);
        lab.alice.self.epoch = 2;
        lab.alice.self.device = sample_key(17);
        CHECK_OK(send_text(&lab.alice, 3, "three", NOW));
        f = own_feed(&lab.alice);
        CHECK(f.number != before);
        m = inner_at(&lab.alice, f.number, 1);
        CHECK(m.epoch == 2 && m.seq == 1);
        CHECK(memcmp(m.prev, head, SHA256_SIZE) == 0);
        lab_free(&lab);
}

TEST(an_id_is_one_message) {
        Contact carol;
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        CHECK_OK(send_as(p, 1, "text", 9, NOW + MINUTE, &p->other));
        for (int i = 0; i < 2; i++) {
                CHECK_EQ(send_as(p, 1, "text", 9, NOW + MINUTE, &p->other), 1);
                CHECK_EQ(send_as(p, 1, "other", 9, NOW + MINUTE, &p->other), -EEXIST);
                CHECK_EQ(send_as(p, 1, "text", 8, NOW + MINUTE, &p->other), -EEXIST);
                CHECK_EQ(send_as(p, 1, "text", 0, NOW + MINUTE, &p->other), -EEXIST);
                CHECK_EQ(send_as(p, 1, "text", 9, NOW + MINUTE + 1, &p->other), -EEXIST);
                CHECK_EQ(send_as(p, 1, "text", 9, 0, &p->other), -EEXIST);
                CHECK_EQ(send_as(p, 1, "text", 9, NOW + MINUTE, &carol), -EEXIST);
                CHECK_EQ(own_feed(p).seq, 1);
                CHECK_EQ(outbox_count(txn_of(p)), 1);
                person_reopen(&lab, p);
        }
        lab_free(&lab);
}

TEST(what_readers_would_refuse_is_not_written) {
        static char text[TEXT_SIZE_MAX + 2];
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        memset(text, 'x', TEXT_SIZE_MAX + 1);
        CHECK_EQ(send_text(p, 1, text, NOW), -EINVAL);
        CHECK_EQ(send_as(p, 1, "a", 0, NOW + MESSAGE_EXPIRES_MAX + 1, &p->other), -EINVAL);
        CHECK_EQ(send_text(p, 1, "a", MESSAGE_TIME_MAX), -EINVAL);
        CHECK_EQ(store_send(p->store, &(NewMessage){.self = &p->self, .to = &p->other, .now = NOW}),
                -EINVAL);
        CHECK_EQ(outbox_count(txn_of(p)), 0);
        text[TEXT_SIZE_MAX] = 0;
        CHECK_OK(send_text(p, 1, text, NOW));
        CHECK_EQ(inner_at(p, own_feed(p).number, 1).body.size, TEXT_SIZE_MAX);
        lab_free(&lab);
}

TEST(a_failed_batch_leaves_nothing_in_memory) {
        Contact carol;
        Person *p;
        Lab lab;
        Made c;

        lab_new(&lab);
        p = &lab.alice;
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        CHECK_OK(store_commit(p->store));
        CHECK_OK(store_commit(lab.bob.store));
        make_chain(&c, 1);
        for (int i = 0; i < 2; i++) {
                CHECK_OK(send_text(p, 1, "text", NOW));
                CHECK_EQ(receive(&lab, &c), RECEIVED_NEW);
                db_fail(txn_of(p), -EIO);
                db_fail(txn_of(&lab.bob), -EIO);
                CHECK_EQ(store_commit(p->store), -EIO);
                CHECK_EQ(store_commit(lab.bob.store), -EIO);
        }

        /* The numbers are given out again, to others. */
        CHECK_OK(send_as(p, 2, "text", 0, NOW + MINUTE, &carol));
        CHECK_OK(send_text(p, 1, "text", NOW));
        CHECK_EQ(own_feed(p).seq, 1);
        CHECK_EQ(conversation_of(p).peer, p->other.number);
        CHECK_EQ(receive(&lab, &c), RECEIVED_NEW);
        CHECK_EQ(foreign_feed(&lab.bob).seq, 1);
        CHECK_EQ(conversation_of(&lab.bob).unread, 1);
        made_done(&c);
        lab_free(&lab);
}

/* Receiving */

TEST(what_is_new_is_kept_and_what_is_known_is_not_kept_again) {
        Made c[3];
        uint32_t feed;
        uint64_t seq;
        Entry e;
        Lab lab;

        lab_new(&lab);
        make_chain(c, 3);
        for (int i = 0; i < 3; i++)
                CHECK_EQ(receive(&lab, &c[i]), RECEIVED_NEW);
        for (int i = 0; i < 3; i++) {
                CHECK_EQ(receive(&lab, &c[i]), RECEIVED_AGAIN);
                person_reopen(&lab, &lab.bob);
        }
        CHECK_EQ(conversation_of(&lab.bob).unread, 3);
        CHECK_EQ(foreign_feed(&lab.bob).seq, 3);
        CHECK_EQ(store_find_id(txn_of(&lab.bob), lab.bob.other.number, &c[1].inner.id, &feed, &seq),
                1);
        CHECK_EQ(seq, 2);
        CHECK_EQ(entry_get(txn_of(&lab.bob), feed, seq, &e), 1);
        CHECK_EQ(e.state, ENTRY_RECEIVED);
        CHECK_EQ(e.flags, 0);
        CHECK_EQ(e.received, NOW + MINUTE);
        CHECK_EQ(e.inner.size, buffer_size(&c[1].bytes));
        CHECK(memcmp(e.inner.data, c[1].bytes.data, e.inner.size) == 0);
        chain_done(c, 3);
        lab_free(&lab);
}

TEST(another_entry_at_the_same_place_is_a_fork) {
        Made c[3], other;
        Inner m;
        Lab lab;

        lab_new(&lab);
        make_chain(c, 3);
        CHECK_EQ(receive(&lab, &c[0]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &c[1]), RECEIVED_NEW);
        m = c[1].inner;
        m.id = uuid_number(77);
        make(&other, &m);
        CHECK_EQ(receive(&lab, &other), RECEIVED_FORK);
        made_done(&other);

        /* Nor does an entry follow that was built on something else. */
        m = inner_for(3, c[0].hash);
        make(&other, &m);
        CHECK_EQ(receive(&lab, &other), RECEIVED_FORK);
        made_done(&other);
        CHECK_EQ(foreign_feed(&lab.bob).seq, 2);
        CHECK_EQ(receive(&lab, &c[2]), RECEIVED_NEW);
        chain_done(c, 3);
        lab_free(&lab);
}

TEST(the_first_entry_of_a_feed_may_name_an_older_head) {
        uint8_t head[SHA256_SIZE] = {9};
        Inner m = inner_for(1, head);
        Made x;
        Lab lab;

        lab_new(&lab);
        make(&x, &m);
        CHECK_EQ(receive(&lab, &x), RECEIVED_NEW);
        made_done(&x);
        lab_free(&lab);
}

TEST(an_expired_entry_counts_in_the_chain_but_in_no_receipt) {
        Made a, b, c;
        Inner m;
        Receipt rc;
        Feed f;
        Entry e;
        Lab lab;

        lab_new(&lab);
        m = inner_for(1, NULL);
        make(&a, &m);
        m = inner_for(2, a.hash);
        m.expires = NOW + MINUTE; /* when it comes */
        make(&b, &m);
        m = inner_for(3, b.hash);
        make(&c, &m);
        CHECK_EQ(receive(&lab, &a), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &b), RECEIVED_EXPIRED);
        CHECK_EQ(receive(&lab, &b), RECEIVED_EXPIRED);
        f = foreign_feed(&lab.bob);
        CHECK_EQ(f.seq, 2);
        CHECK_EQ(entry_get(txn_of(&lab.bob), f.number, 2, &e), 0);
        CHECK_EQ(make_receipt(&lab, f.number, &rc), 1);
        CHECK_EQ(rc.n_ranges, 1);
        CHECK(rc.ranges[0].first == 1 && rc.ranges[0].last == 1);
        CHECK(memcmp(rc.hash, a.hash, SHA256_SIZE) == 0);

        /* Another at its place is a fork all the same; the next one follows it. */
        m = inner_for(2, a.hash);
        m.body = sample_text("something else");
        made_done(&a);
        make(&a, &m);
        CHECK_EQ(receive(&lab, &a), RECEIVED_FORK);
        CHECK_EQ(receive(&lab, &c), RECEIVED_NEW);
        f = foreign_feed(&lab.bob);
        CHECK(f.have.n == 2 && f.have.range[1].first == 3);
        CHECK(memcmp(f.have_hash, c.hash, SHA256_SIZE) == 0);
        made_done(&a);
        made_done(&b);
        made_done(&c);
        lab_free(&lab);
}

static uint64_t gap_before(const Person *p, uint64_t seq) {
        HistoryRow h;

        CHECK_EQ(history_get(txn_of(p), foreign_feed(p).number, seq, &h), 1);
        return h.gap_before;
}

static uint8_t flags_at(const Person *p, uint64_t seq) {
        Entry e;

        CHECK_EQ(entry_get(txn_of(p), foreign_feed(p).number, seq, &e), 1);
        return e.flags;
}

TEST(a_gap_is_shown_until_it_is_filled) {
        Made c[6];
        Person *bob;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(c, 6);
        CHECK_EQ(receive(&lab, &c[0]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &c[4]), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, 5), 3);
        CHECK_EQ(receive(&lab, &c[5]), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, 6), 0);
        CHECK_EQ(receive(&lab, &c[2]), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, 3), 1);
        CHECK_EQ(gap_before(bob, 5), 1);
        CHECK_EQ(receive(&lab, &c[3]), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, 5), 0);
        CHECK_EQ(receive(&lab, &c[1]), RECEIVED_NEW);
        for (uint64_t seq = 1; seq <= 6; seq++) {
                CHECK_EQ(gap_before(bob, seq), 0);
                CHECK_EQ(flags_at(bob, seq) & ENTRY_FORK, 0);
        }
        CHECK_EQ(foreign_feed(bob).have.n, 1);
        CHECK(memcmp(foreign_feed(bob).have_hash, c[5].hash, SHA256_SIZE) == 0);
        chain_done(c, 6);
        lab_free(&lab);
}

TEST(what_fills_a_gap_and_does_not_fit_is_kept_and_marked) {
        Made c[5], x;
        Person *bob;
        Inner m;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(c, 5);
        CHECK_EQ(receive(&lab, &c[0]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &c[2]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &c[4]), RECEIVED_NEW);

        /* Built on its predecessor, but its successor was not built on it. */
        m = c[1].inner;
        m.body = sample_text("not what it was");
        make(&x, &m);
        CHECK_EQ(receive(&lab, &x), RECEIVED_NEW);
        made_done(&x);
        CHECK(flags_at(bob, 2) & ENTRY_FORK);
        CHECK(flags_at(bob, 3) & ENTRY_FORK);
        CHECK(!(flags_at(bob, 1) & ENTRY_FORK));

        CHECK(!(flags_at(bob, 5) & ENTRY_FORK));
        CHECK_EQ(foreign_feed(bob).have.n, 2);
        chain_done(c, 5);
        lab_free(&lab);
}

TEST(what_fills_a_gap_and_was_built_on_something_else_is_kept_and_marked) {
        Made a, b, c, d;
        Person *bob;
        Inner m;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        make_chain(&a, 1);
        m = inner_for(2, a.hash);
        make(&b, &m);
        m = inner_for(3, a.hash); /* not b's */
        make(&c, &m);
        m = inner_for(4, c.hash);
        make(&d, &m);
        CHECK_EQ(receive(&lab, &a), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &b), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &d), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &c), RECEIVED_NEW);
        CHECK(!(flags_at(bob, 1) & ENTRY_FORK));
        CHECK(flags_at(bob, 2) & ENTRY_FORK);
        CHECK(flags_at(bob, 3) & ENTRY_FORK);
        CHECK(!(flags_at(bob, 4) & ENTRY_FORK));
        made_done(&a);
        made_done(&b);
        made_done(&c);
        made_done(&d);
        lab_free(&lab);
}

TEST(a_known_id_under_another_seq_counts_as_received) {
        Made c[2], x, next;
        Inner m;
        Lab lab;
        Feed f;

        lab_new(&lab);
        make_chain(c, 2);
        CHECK_EQ(receive(&lab, &c[0]), RECEIVED_NEW);
        CHECK_EQ(receive(&lab, &c[1]), RECEIVED_NEW);
        m = inner_for(3, c[1].hash);
        m.id = uuid_number(1);
        make(&x, &m);
        m = inner_for(4, x.hash);
        make(&next, &m);
        CHECK_EQ(receive(&lab, &x), RECEIVED_AGAIN);
        CHECK_EQ(receive(&lab, &x), RECEIVED_AGAIN);
        f = foreign_feed(&lab.bob);
        CHECK(f.seq == 3 && f.have.n == 1 && f.have.range[0].last == 3);
        CHECK_EQ(conversation_of(&lab.bob).unread, 2);
        CHECK_EQ(receive(&lab, &next), RECEIVED_NEW);
        CHECK_EQ(gap_before(&lab.bob, 4), 0);

        /* What has not been here is not acknowledged because of its place. */
        m = inner_for(3, c[1].hash);
        m.id = uuid_number(78);
        made_done(&x);
        make(&x, &m);
        CHECK_EQ(receive(&lab, &x), RECEIVED_FORK);

        /* In the feed of a new epoch as well, where the author has entered it anew. */
        m = inner_for(1, c[1].hash);
        m.epoch = 2;
        m.id = uuid_number(2);
        made_done(&x);
        make(&x, &m);
        CHECK_EQ(receive(&lab, &x), RECEIVED_AGAIN);
        CHECK_EQ(conversation_of(&lab.bob).unread, 3);
        made_done(&x);
        made_done(&next);
        chain_done(c, 2);
        lab_free(&lab);
}

TEST(clocks_are_judged_and_never_followed_far) {
        usec_t now = NOW + MINUTE;
        uint64_t before;
        Made a, b, c;
        Person *bob;
        Inner m;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        m = inner_for(1, NULL);
        make(&a, &m);
        m = inner_for(2, a.hash);
        m.hlc = (now + CLOCK_AHEAD_MAX + USEC_PER_SEC) / USEC_PER_MSEC << 16;
        make(&b, &m);
        m = inner_for(3, b.hash);
        m.hlc = 1;
        m.sent = NOW - MINUTE;
        make(&c, &m);
        CHECK_EQ(receive_at(bob, &a, now), RECEIVED_NEW);
        before = conversation_of(bob).hlc;
        CHECK(before == a.inner.hlc);
        CHECK_EQ(receive_at(bob, &b, now), RECEIVED_NEW);
        CHECK(flags_at(bob, 2) == ENTRY_CLOCK_AHEAD);
        CHECK(conversation_of(bob).hlc == before);
        CHECK_EQ(receive_at(bob, &c, now), RECEIVED_NEW);
        CHECK(flags_at(bob, 3) == ENTRY_LATE);
        CHECK(conversation_of(bob).hlc == before);

        /* What bob writes then sorts after what he has seen, as far as he believed it. */
        CHECK_OK(send_text(bob, 50, "answer", NOW - MINUTE));
        CHECK(inner_at(bob, own_feed(bob).number, 1).hlc == before + 1);
        made_done(&a);
        made_done(&b);
        made_done(&c);
        lab_free(&lab);
}

/* A chain that grows by one. */
static void make_next(Made *at, size_t size) {
        static uint8_t body[TEXT_SIZE_MAX];
        Inner m = inner_for(at->inner.seq + 1, at->hash);

        m.body = (Bytes){body, size};
        made_done(at);
        make(at, &m);
}

TEST(a_stranger_has_a_share_of_messages) {
        Made at = {};
        Person *bob;
        Made once;
        Inner m;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        bob->other.flags = 0;
        for (unsigned i = 0; i < STRANGER_MESSAGES_MAX; i++) {
                make_next(&at, 1);
                CHECK_EQ(receive(&lab, &at), RECEIVED_NEW);
        }
        m = at.inner;
        make(&once, &m);
        make_next(&at, 1);
        CHECK_EQ(receive(&lab, &at), RECEIVED_TOO_MANY);
        CHECK_EQ(foreign_feed(bob).seq, STRANGER_MESSAGES_MAX + 1);
        CHECK_EQ(foreign_feed(bob).have.range[0].last, STRANGER_MESSAGES_MAX);
        CHECK_EQ(receive(&lab, &once), RECEIVED_AGAIN);
        CHECK_EQ(conversation_of(bob).unread, STRANGER_MESSAGES_MAX);

        /* Nor has he new feeds. */
        m = inner_for(1, NULL);
        m.epoch = 2;
        make_next(&at, 1);
        made_done(&once);
        make(&once, &m);
        CHECK_EQ(receive(&lab, &once), RECEIVED_TOO_MANY);
        CHECK_EQ(db_count(txn_of(bob), TABLE_FEED), 1);

        /* As a contact he goes on: what was refused counts in the chain. */
        bob->other.flags = CONTACT_PINNED;
        CHECK_EQ(receive(&lab, &at), RECEIVED_NEW);
        CHECK_EQ(gap_before(bob, at.inner.seq), 1);
        made_done(&once);
        made_done(&at);
        lab_free(&lab);
}

TEST(a_stranger_has_a_share_of_bytes) {
        unsigned fit = STRANGER_BYTES_MAX / TEXT_SIZE_MAX - 1;
        Made at = {};
        Person *bob;
        Lab lab;

        lab_new(&lab);
        bob = &lab.bob;
        bob->other.flags = CONTACT_REQUEST;
        for (unsigned i = 0; i < fit; i++) {
                make_next(&at, TEXT_SIZE_MAX);
                CHECK_EQ(receive(&lab, &at), RECEIVED_NEW);
        }
        make_next(&at, TEXT_SIZE_MAX);
        CHECK_EQ(receive(&lab, &at), RECEIVED_TOO_MANY);
        CHECK(conversation_of(bob).stranger_bytes <= STRANGER_BYTES_MAX);
        make_next(&at, 1); /* this one still fits */
        CHECK_EQ(receive(&lab, &at), RECEIVED_NEW);
        made_done(&at);
        lab_free(&lab);
}
