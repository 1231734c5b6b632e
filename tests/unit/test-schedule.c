/* SPDX-License-Identifier: GPL-3.0-or-later */

/* When and where somebody is tried, and what is on its way: the parts without loop and store. */

#include "test.h"

#include "delivery/schedule.h"
#include "delivery/window.h"

#define MSEC USEC_PER_MSEC
#define SEC USEC_PER_SEC
#define MINUTE USEC_PER_MINUTE

/* In the middle of what jitter does. */
#define MIDDLE(t) ((t) / 10)

TEST(waits_grow_with_the_age_of_the_message) {
        static const struct {
                usec_t age, wait;
        } cases[] = {
                {0, 500 * MSEC},
                {600 * MSEC, 500 * MSEC},
                {1 * SEC, 500 * MSEC},
                {4 * SEC, 2 * SEC},
                {1 * MINUTE, 30 * SEC},
                {10 * MINUTE, 5 * MINUTE},
                {1 * USEC_PER_HOUR, 5 * MINUTE},
                {365 * USEC_PER_DAY, 5 * MINUTE},
                {USEC_INFINITY, 5 * MINUTE},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                usec_t wait = cases[i].wait, low = USEC_INFINITY, high = 0;

                CHECK_EQ(schedule_wait(cases[i].age, MIDDLE(wait)), wait);
                for (uint64_t random = 0; random < 1000; random++) {
                        usec_t t =
                                schedule_wait(cases[i].age, random * UINT64_C(0x9e3779b97f4a7c15));

                        low = MIN(low, t);
                        high = MAX(high, t);
                }
                CHECK(low >= wait * 9 / 10 && high <= wait * 11 / 10);
                CHECK(high - low > wait / 10); /* so that many do not act in step */
        }
}

TEST(the_attempts_for_one_message) {
        usec_t at = 0, last = 0;
        unsigned n = 0;

        for (; at < USEC_PER_DAY; n++) {
                last = at;
                at += schedule_wait(at, MIDDLE(CLAMP(at / 2, 500 * MSEC, 5 * MINUTE)));
        }
        CHECK(n > 285 && n < 310); /* one in five minutes, and a few more at the start */
        CHECK_EQ(at - last, 5 * MINUTE);
}

/* Dead endpoints */

static const uint8_t ALICE[KEY_SIZE] = {1}, BOB[KEY_SIZE] = {2};

TEST(an_endpoint_that_failed_pauses_longer_each_time) {
        static const usec_t pauses[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300};
        DeadKey key = dead_key(ALICE, "192.0.2.1:7425");
        DeadList d = {};
        usec_t now = 1000 * SEC;

        CHECK_EQ(dead_until(&d, &key), 0);
        for (size_t i = 0; i < ELEMENTSOF(pauses); i++) {
                usec_t pause = pauses[i] * SEC;

                dead_add(&d, &key, false, now, MIDDLE(pause));
                CHECK_EQ(dead_until(&d, &key), now + pause);
                now += pause;
        }
        for (int i = 0; i < 100; i++)
                dead_add(&d, &key, false, now, MIDDLE(5 * MINUTE));
        CHECK_EQ(dead_until(&d, &key), now + 5 * MINUTE);
        CHECK_EQ(dead_count(&d), 1);
        dead_forget(&d, &key); /* it worked */
        CHECK_EQ(dead_until(&d, &key), 0);
        dead_add(&d, &key, false, now, MIDDLE(SEC));
        CHECK_EQ(dead_until(&d, &key), now + SEC);
        dead_done(&d);
        CHECK_EQ(dead_count(&d), 0);
}

TEST(where_somebody_else_answers_is_left_alone_for_longer) {
        DeadKey key = dead_key(ALICE, "192.0.2.1:7425"), other = dead_key(BOB, "192.0.2.1:7425");
        DeadList d = {};

        dead_add(&d, &key, true, 0, MIDDLE(MINUTE));
        CHECK_EQ(dead_until(&d, &key), MINUTE);
        CHECK_EQ(dead_until(&d, &other), 0); /* who may be the one that is there */
        dead_done(&d);
}

TEST(who_appears_is_tried_at_once_but_not_for_ever) {
        DeadKey key = dead_key(ALICE, "192.0.2.1:7425"), other = dead_key(ALICE, "192.0.2.2:7425");
        DeadList d = {};

        for (int i = 0; i < 9; i++)
                dead_add(&d, &key, false, 0, MIDDLE(256 * SEC));
        CHECK_EQ(dead_until(&d, &key), 256 * SEC);
        dead_excuse(&d, &key, 300 * MSEC); /* it failed just now */
        CHECK_EQ(dead_until(&d, &key), SEC);
        dead_excuse(&d, &key, 100 * SEC);
        CHECK_EQ(dead_until(&d, &key), SEC);
        dead_excuse(&d, &other, 100 * SEC);
        CHECK_EQ(dead_count(&d), 1);
        dead_add(&d, &key, false, 100 * SEC, MIDDLE(5 * MINUTE)); /* it was not true */
        CHECK_EQ(dead_until(&d, &key), 100 * SEC + 5 * MINUTE);
        dead_excuse(&d, &key, 200 * SEC);
        CHECK_EQ(dead_until(&d, &key), 200 * SEC);
        dead_done(&d);
}

TEST(the_memory_of_dead_endpoints_is_bounded) {
        DeadKey first = dead_key(ALICE, "192.0.2.1:1"), key;
        DeadList d = {};
        char text[32];

        for (unsigned i = 1; i <= DEAD_MAX; i++) {
                snprintf(text, sizeof(text), "192.0.2.1:%u", i);
                key = dead_key(ALICE, text);
                dead_add(&d, &key, false, i, 0);
        }
        dead_add(&d, &first, false, DEAD_MAX + 1, 0); /* failed last, now */
        for (unsigned i = 1; i <= DEAD_MAX / 2; i++) {
                snprintf(text, sizeof(text), "192.0.2.2:%u", i);
                key = dead_key(ALICE, text);
                dead_add(&d, &key, false, DEAD_MAX + 1 + i, 0);
                CHECK_EQ(dead_count(&d), DEAD_MAX);
        }
        CHECK(dead_until(&d, &first) > 0);
        key = dead_key(ALICE, "192.0.2.1:2");
        CHECK_EQ(dead_until(&d, &key), 0);
        key = dead_key(ALICE, "192.0.2.1:2000");
        CHECK(dead_until(&d, &key) > 0);
        dead_done(&d);
}

/* Candidates */

static bool add(Candidates *c, const char *endpoint, CandidateSource source, usec_t until) {
        return candidates_add(c, endpoint, strlen(endpoint), source, until);
}

static void check_order(const Candidates *c, const char *const *expected, size_t n) {
        CHECK_EQ(c->n, n);
        for (size_t i = 0; i < n; i++)
                CHECK_STR(c->list[i].endpoint, expected[i]);
}

TEST(what_is_no_endpoint_is_no_candidate) {
        Candidates c = {};
        char text[100];

        CHECK(!add(&c, "", CANDIDATE_CACHED, 0));
        CHECK(!add(&c, "192.0.2.1", CANDIDATE_CACHED, 0));
        CHECK(!add(&c, "192.0.2.1:0", CANDIDATE_CACHED, 0));
        CHECK(!add(&c, "a host:1", CANDIDATE_CACHED, 0));
        memset(text, 'x', sizeof(text));
        memcpy(text + 90, ":1", 3);
        CHECK(!add(&c, text, CANDIDATE_CACHED, 0));
        CHECK(add(&c, "192.0.2.1:1", CANDIDATE_CACHED, 0));
        CHECK(!add(&c, "192.0.2.1:1", CANDIDATE_ANNOUNCED, 0)); /* is there */
        CHECK(add(&c, "192.0.2.1:10", CANDIDATE_CACHED, 0));
        CHECK_EQ(c.n, 2);
        for (unsigned i = 0; i < 2 * CANDIDATES_MAX; i++) {
                snprintf(text, sizeof(text), "192.0.2.2:%u", i + 1);
                CHECK_EQ(add(&c, text, CANDIDATE_CACHED, 0), i < CANDIDATES_MAX - 2);
        }
}

TEST(candidates_by_source_and_families_in_turns) {
        static const char *const expected[] = {"[2001:db8::1]:1", "192.0.2.1:1", "host:1",
                "[2001:db8::2]:1", "192.0.2.2:1", "[2001:db8::3]:1", "192.0.2.3:1"};
        Candidates c = {};

        CHECK(add(&c, "192.0.2.3:1", CANDIDATE_CACHED, 0));
        CHECK(add(&c, "192.0.2.2:1", CANDIDATE_REACHED, 0));
        CHECK(add(&c, "[2001:db8::1]:1", CANDIDATE_ANNOUNCED, 0));
        CHECK(add(&c, "[2001:db8::2]:1", CANDIDATE_ANNOUNCED, 0));
        CHECK(add(&c, "[2001:db8::3]:1", CANDIDATE_ANNOUNCED, 0));
        CHECK(add(&c, "192.0.2.1:1", CANDIDATE_ANNOUNCED, 0));
        CHECK(add(&c, "host:1", CANDIDATE_ANNOUNCED, 0));
        CHECK_EQ(candidates_order(&c, 0, 0), USEC_INFINITY);
        check_order(&c, expected, ELEMENTSOF(expected));
}

/* Only what was heard here may be in a scope. */
TEST(the_local_network_comes_first) {
        static const char *const expected[] = {"[fe80::1%lo]:1", "192.0.2.4:1", "[fe80::2%lo]:1",
                "[2001:db8::1]:1", "192.0.2.1:1", "192.0.2.5:1"};
        Candidates c = {};

        CHECK(add(&c, "[2001:db8::1]:1", CANDIDATE_ANNOUNCED, 0));
        CHECK(add(&c, "192.0.2.1:1", CANDIDATE_REACHED, 0));
        CHECK(add(&c, "[fe80::1%lo]:1", CANDIDATE_LAN, 0));
        CHECK(add(&c, "[fe80::2%lo]:1", CANDIDATE_LAN, 0));
        CHECK(add(&c, "192.0.2.4:1", CANDIDATE_LAN, 0));
        CHECK(add(&c, "192.0.2.5:1", CANDIDATE_LAN, 9 * SEC)); /* failed there */
        CHECK(!add(&c, "[fe80::3%lo]:1", CANDIDATE_ANNOUNCED, 0));
        CHECK(!add(&c, "[fe80::3%lo]:1", CANDIDATE_CACHED, 0));
        CHECK_EQ(candidates_order(&c, 0, 10 * SEC), USEC_INFINITY);
        check_order(&c, expected, ELEMENTSOF(expected));
}

TEST(what_failed_comes_last_and_not_before_its_time) {
        static const char *const expected[] = {
                "192.0.2.2:1", "192.0.2.4:1", "[2001:db8::1]:1", "192.0.2.1:1"};
        static const char *const later[] = {"first:1", "second:1", "192.0.2.5:1"};
        Candidates c = {};

        CHECK(add(&c, "[2001:db8::1]:1", CANDIDATE_ANNOUNCED, 9 * SEC));
        CHECK(add(&c, "192.0.2.1:1", CANDIDATE_ANNOUNCED, 10 * SEC));
        CHECK(add(&c, "192.0.2.5:1", CANDIDATE_ANNOUNCED, 12 * SEC));
        CHECK(add(&c, "192.0.2.3:1", CANDIDATE_REACHED, 11 * SEC));
        CHECK(add(&c, "192.0.2.2:1", CANDIDATE_REACHED, 0));
        CHECK(add(&c, "192.0.2.4:1", CANDIDATE_CACHED, 0));
        CHECK_EQ(candidates_order(&c, 0, 10 * SEC), 11 * SEC);
        check_order(&c, expected, ELEMENTSOF(expected));

        /* What is learned later does not change what has begun. */
        CHECK(add(&c, "192.0.2.5:1", CANDIDATE_ANNOUNCED, 5 * SEC));
        CHECK(add(&c, "second:1", CANDIDATE_CACHED, 0));
        CHECK(add(&c, "first:1", CANDIDATE_ANNOUNCED, 0));
        CHECK_EQ(candidates_order(&c, 4, 10 * SEC), USEC_INFINITY);
        CHECK_EQ(c.n, 7);
        for (size_t i = 0; i < ELEMENTSOF(later); i++)
                CHECK_STR(c.list[4 + i].endpoint, later[i]);
}

TEST(families_take_turns) {
        static const struct {
                const char *families, *order;
        } cases[] = {
                {"", ""},
                {"4", "0"},
                {"444", "012"},
                {"66644", "03142"},
                {"44666", "02134"},
                {"646464", "012345"},
                {"466", "012"},
                {"664x", "0231"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t n = strlen(cases[i].families), order[8];
                int families[8];

                for (size_t k = 0; k < n; k++)
                        families[k] = cases[i].families[k];
                families_interleave(families, n, order);
                for (size_t k = 0; k < n; k++)
                        CHECK_EQ(order[k], cases[i].order[k] - '0');
        }
}

/* The window */

static Uuid uuid_of(uint32_t n) {
        Uuid u = {.bytes = {1, 0x9b, 0, 0, 0, 0, 0x70, 0, 0x80}};

        memcpy(u.bytes + 12, &n, sizeof(n));
        return u;
}

static void put(Window *w, uint32_t n) {
        Sent s = {.id = uuid_of(n), .at = {.feed = 1, .seq = n}, .size = n < 100 ? n : 1};

        CHECK_OK(window_add(w, &s));
}

static bool take(Window *w, uint32_t n) {
        Uuid id = uuid_of(n);

        return window_remove(w, &id);
}

/* The ids that are there, as a retry would come upon them. */
static void check_window(Window *w, const uint32_t *ids, size_t n) {
        CHECK_EQ(w->n, n);
        for (size_t i = 0; i < n; i++) {
                Uuid id = uuid_of(ids[i]);
                Sent *s = window_find(w, &id);

                CHECK(s && s->at.seq == ids[i]);
                window_set_retry(w, s, 1);
        }
        for (size_t i = 0; i < n; i++) {
                Sent *s = window_next_retry(w, 1);

                CHECK(s);
                CHECK_EQ(s->at.seq, ids[i]);
                window_set_retry(w, s, 0);
        }
        CHECK(!window_next_retry(w, USEC_INFINITY));
}

TEST(a_window_keeps_the_order_of_sending) {
        Window w = {};

        check_window(&w, NULL, 0);
        CHECK(!take(&w, 1));
        for (uint32_t i = 1; i <= 6; i++)
                put(&w, i);
        CHECK_EQ(w.bytes, 21);
        CHECK(take(&w, 1) && !take(&w, 1));
        CHECK(take(&w, 4) && take(&w, 6));
        put(&w, 7);
        put(&w, 4); /* again, so at the end */
        check_window(&w, (const uint32_t[]){2, 3, 5, 7, 4}, 5);
        CHECK_EQ(w.bytes, 21);
        window_done(&w);
        check_window(&w, NULL, 0);
}

TEST(a_window_is_full_at_its_limits) {
        Window w = {};

        for (uint32_t round = 0; round < 3; round++) {
                for (uint32_t i = 0; i < WINDOW_ENTRIES; i++) {
                        CHECK(!window_is_full(&w));
                        put(&w, round * 5000 + i);
                }
                CHECK(window_is_full(&w));
                CHECK_EQ(window_add(&w, &(Sent){.id = uuid_of(99999)}), -ENOBUFS);
                for (uint32_t i = 0; i < WINDOW_ENTRIES; i += 2)
                        CHECK(take(&w, round * 5000 + i));
                for (uint32_t i = 0; i < WINDOW_ENTRIES; i++)
                        CHECK_EQ(take(&w, round * 5000 + i), i % 2 == 1);
                CHECK(w.n == 0 && w.bytes == 0 && w.allocated < WINDOW_ENTRIES);
        }
        CHECK_OK(window_add(&w, &(Sent){.id = uuid_of(1), .size = WINDOW_BYTES - 1}));
        CHECK(!window_is_full(&w));
        put(&w, 2);
        CHECK(window_is_full(&w));
        window_done(&w);
}

TEST(what_was_refused_for_now_waits) {
        Window w = {};
        Uuid id;

        for (uint32_t i = 1; i <= 5; i++)
                put(&w, i);
        CHECK_EQ(window_first_retry(&w), USEC_INFINITY);
        for (uint32_t i = 2; i <= 4; i++) {
                id = uuid_of(i);
                window_set_retry(&w, window_find(&w, &id), (10 - i) * SEC);
        }
        CHECK_EQ(window_first_retry(&w), 6 * SEC);
        CHECK(!window_next_retry(&w, 6 * SEC - 1));
        CHECK_EQ(window_next_retry(&w, 6 * SEC)->at.seq, 4);
        CHECK_EQ(window_next_retry(&w, 7 * SEC)->at.seq, 3);
        CHECK_EQ(window_next_retry(&w, 9 * SEC)->at.seq, 2);
        CHECK(take(&w, 4));
        CHECK_EQ(window_first_retry(&w), 7 * SEC);
        CHECK_EQ(w.n_waiting, 2);
        CHECK(take(&w, 2) && take(&w, 3));
        CHECK_EQ(window_first_retry(&w), USEC_INFINITY);
        for (uint32_t i = 0; i < WINDOW_WAITING_MAX; i++) {
                CHECK(!window_is_full(&w)); /* each is a hole at the other end */
                put(&w, 100 + i);
                id = uuid_of(100 + i);
                window_set_retry(&w, window_find(&w, &id), SEC);
        }
        CHECK(window_is_full(&w));
        window_set_retry(&w, window_find(&w, &id), 0);
        CHECK(!window_is_full(&w));
        window_done(&w);
}
