/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whom a client watches, as trackers are told that: all of them, once, however busy they are. */

#include "test.h"

#include "directory-lab.h"

typedef struct Answer {
        int n;
} Answer;

static void on_lookup(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        ((Answer *)userdata)->n++;
}

/* Connected to two. */
static void add_tracker(World *w, FakeTracker *second) {
        EndpointKey addresses[2];

        tracker_new_at(&w->sim, "second", second);
        addresses[0] = tracker_address(second);
        addresses[1] = tracker_address(&w->tracker);
        CHECK_OK(directory_set_trackers(w->directory, addresses, 2));
        tracker_greet(second);
        far_take(&second->far, FRAME_WATCH);
}

TEST(who_is_watched_while_a_session_is_busy_is_told_when_it_is_not) {
        static uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        Answer a = {};
        Watch watch;
        Frame f;
        World w;

        world_new(&w);
        for (int i = 0; i < SESSION_REQUESTS_MAX; i++)
                CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        CHECK_OK(directory_watch(w.directory, person_account(&w.mallory)));
        settle(&w);
        CHECK(!far_has(&w.tracker.far, FRAME_WATCH));
        tracker_error(
                &w.tracker, far_take(&w.tracker.far, FRAME_LOOKUP).request, CODE_UNKNOWN_PEER);
        f = far_take(&w.tracker.far, FRAME_WATCH);
        CHECK_OK(watch_decode(&f, accounts, &watch));
        CHECK_EQ(watch.add.size, KEY_SIZE); /* who was not told before */
        CHECK(key_equal(watch.add.data, person_account(&w.mallory)));
        world_free(&w);
}

/* How many accounts it is told in how many requests, each answered as it comes. */
static void count_watched(FakeTracker *t, size_t *n, size_t *requests) {
        static uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];

        while (far_is_served(&t->far) && far_has(&t->far, FRAME_WATCH)) {
                Frame f = far_take(&t->far, FRAME_WATCH);
                Watch watch;

                CHECK_OK(watch_decode(&f, accounts, &watch));
                *n += watch.add.size / KEY_SIZE;
                CHECK(++*requests <= SESSION_REQUESTS_MAX + 1);
                tracker_ok(t, f.request);
        }
}

TEST(two_busy_trackers_are_told_each_account_once) {
        size_t first = 0, second = 0, of_first = 0, of_second = 0;
        FakeTracker other;
        World w;

        world_new(&w);
        add_tracker(&w, &other);
        for (uint32_t i = 0; i < 2 * SESSION_REQUESTS_MAX; i++) {
                uint8_t account[KEY_SIZE] = {1};

                memcpy(account + 1, &i, sizeof(i));
                CHECK_OK(directory_watch(w.directory, account));
        }
        while (first < 2 * SESSION_REQUESTS_MAX || second < 2 * SESSION_REQUESTS_MAX) {
                count_watched(&w.tracker, &first, &of_first);
                count_watched(&other, &second, &of_second);
        }
        CHECK_EQ(first, 2 * SESSION_REQUESTS_MAX);
        CHECK_EQ(second, 2 * SESSION_REQUESTS_MAX);
        settle(&w);
        CHECK(!far_has(&w.tracker.far, FRAME_WATCH) && !far_has(&other.far, FRAME_WATCH));
        tracker_free(&other);
        world_free(&w);
}

TEST(as_many_as_can_be_watched_are_told_in_several_requests) {
        static uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        size_t told = 0;
        World w;

        world_begin(&w);
        for (uint32_t i = 0; i < DIRECTORY_WATCHED_MAX; i++) {
                uint8_t account[KEY_SIZE] = {1};

                memcpy(account + 1, &i, sizeof(i));
                CHECK_OK(directory_watch(w.directory, account));
        }
        CHECK_EQ(directory_watch(w.directory, person_account(&w.bob)), -ENOBUFS);
        directory_announce(w.directory, true, (Bytes){});
        directory_start(w.directory);
        tracker_greet(&w.tracker);
        while (told < DIRECTORY_WATCHED_MAX) {
                Frame f = far_take(&w.tracker.far, FRAME_WATCH);
                Watch watch;

                CHECK_OK(watch_decode(&f, accounts, &watch));
                CHECK(watch.add.size <= (size_t)WATCH_ACCOUNTS_MAX * KEY_SIZE);
                told += watch.add.size / KEY_SIZE;
                tracker_ok(&w.tracker, f.request);
        }
        CHECK_EQ(told, DIRECTORY_WATCHED_MAX);
        CHECK(far_is_served(&w.tracker.far) && !far_has(&w.tracker.far, FRAME_WATCH));
        world_free(&w);
}
