/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "node/tries.h"

#define START (100 * USEC_PER_HOUR)

static const KeyHash hash = {
        .words = {1, 2, 3, 4, 5, 6, 7, 8}, .factor = UINT64_C(0x9e3779b97f4a7c15)};

static Try try_of(unsigned account, unsigned source) {
        Try x = {};

        memcpy(x.account, &account, sizeof(account));
        memcpy(x.source, &source, sizeof(source));
        return x;
}

/* How many in a row are let through at NOW, up to MAX. */
static unsigned take_all(Tries *t, const Try *x, usec_t now, unsigned max, usec_t *ret_wait) {
        unsigned n = 0;

        while (n < max && tries_take(t, x, now, ret_wait))
                n++;
        return n;
}

TEST(ten_at_once_of_one_account_from_one_source) {
        Try x = try_of(1, 1), other = try_of(2, 1), elsewhere = try_of(1, 2);
        usec_t wait;
        Tries *t;

        CHECK_OK(tries_new(&hash, TRIES_BUCKETS_MAX, &t));
        CHECK_EQ(take_all(t, &x, START, 100, &wait), 10);
        CHECK_EQ(wait, 6 * USEC_PER_MINUTE);
        CHECK_EQ(take_all(t, &other, START, 1, &wait), 1);
        CHECK_EQ(take_all(t, &elsewhere, START, 1, &wait), 1);
        CHECK(!tries_take(t, &x, START + 6 * USEC_PER_MINUTE - 1, &wait));
        CHECK_EQ(wait, 1);
        CHECK_EQ(take_all(t, &x, START + 6 * USEC_PER_MINUTE, 100, &wait), 1);
        CHECK_EQ(take_all(t, &x, START + 3 * USEC_PER_HOUR, 100, &wait), 10);
        tries_free(t);
}

TEST(sixty_from_one_source) {
        unsigned n = 0;
        usec_t wait;
        Tries *t;

        CHECK_OK(tries_new(&hash, TRIES_BUCKETS_MAX, &t));
        for (unsigned account = 0; account < 1000; account++) {
                Try x = try_of(account, 1);

                n += tries_take(t, &x, START, &wait);
        }
        CHECK_EQ(n, 60);
        CHECK_EQ(wait, USEC_PER_MINUTE);
        tries_free(t);
}

TEST(a_hundred_at_one_account) {
        Try known = try_of(1, 5000);
        unsigned n = 0;
        usec_t wait;
        Tries *t;

        CHECK_OK(tries_new(&hash, TRIES_BUCKETS_MAX, &t));
        for (unsigned source = 0; source < 1000; source++) {
                Try x = try_of(1, source);

                n += tries_take(t, &x, START, &wait);
        }
        CHECK_EQ(n, 100);
        CHECK_EQ(wait, USEC_PER_MINUTE);
        CHECK(!tries_take(t, &known, START, &wait));
        known.known = true; /* who has logged in from there is not locked out */
        CHECK_EQ(take_all(t, &known, START, 100, &wait), 10);
        tries_free(t);
}

TEST(what_is_refused_costs_nothing) {
        Try x = try_of(1, 1);
        unsigned n = 0;
        usec_t wait;
        Tries *t;

        CHECK_OK(tries_new(&hash, TRIES_BUCKETS_MAX, &t));
        CHECK_EQ(take_all(t, &x, START, 100, &wait), 10);
        for (unsigned i = 0; i < 1000; i++)
                CHECK(!tries_take(t, &x, START, &wait));
        CHECK_EQ(wait, 6 * USEC_PER_MINUTE); /* no longer than before */
        for (unsigned account = 10; account < 1000; account++) {
                x = try_of(account, 1);
                n += tries_take(t, &x, START, &wait);
        }
        CHECK_EQ(n, 50);
        n = 0;
        for (unsigned source = 10; source < 1000; source++) {
                x = try_of(1, source);
                n += tries_take(t, &x, START, &wait);
        }
        CHECK_EQ(n, 90);
        tries_free(t);
}

TEST(what_succeeds_is_given_back) {
        Try x = try_of(1, 1);
        usec_t wait;
        Tries *t;

        CHECK_OK(tries_new(&hash, TRIES_BUCKETS_MAX, &t));
        for (unsigned i = 0; i < 1000; i++) {
                CHECK(tries_take(t, &x, START, &wait));
                tries_give_back(t, &x);
        }
        CHECK_EQ(take_all(t, &x, START, 100, &wait), 10);
        tries_give_back(t, &x);
        CHECK_EQ(take_all(t, &x, START, 100, &wait), 1);
        tries_free(t);
}

/* Whoever asks about many accounts from many sources does not wash away what he has used. */
TEST(the_least_used_goes_first) {
        Try used = try_of(1, 1);
        usec_t wait;
        Tries *t;

        CHECK_OK(tries_new(&hash, 64, &t));
        CHECK_EQ(take_all(t, &used, START, 100, &wait), 10);
        for (unsigned i = 2; i < 2000; i++) {
                Try x = try_of(i, i);

                CHECK(tries_take(t, &x, START, &wait));
        }
        CHECK(!tries_take(t, &used, START, &wait));
        CHECK_EQ(wait, 6 * USEC_PER_MINUTE);
        tries_free(t);
}

/* Against a list of what was taken when, with every kind of bucket as the protocol has it. */
TEST(as_a_model_has_it) {
        enum { ACCOUNTS = 4, SOURCES = 5 };
        static double one[ACCOUNTS][SOURCES], source[SOURCES], account[ACCOUNTS]; /* used */
        usec_t now = START, wait;
        uint64_t random = 1;
        unsigned taken = 0;
        Tries *t;

        CHECK_OK(tries_new(&hash, TRIES_BUCKETS_MAX, &t));
        for (int i = 0; i < 20000; i++) {
                unsigned a, s, minutes;
                bool known, want;
                Try x;

                random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                a = (unsigned)(random >> 33) % ACCOUNTS;
                s = (unsigned)(random >> 40) % SOURCES;
                known = (random >> 50) % 4 == 0;
                minutes = (random >> 55) % 4 == 0;
                now += minutes * USEC_PER_MINUTE;
                for (unsigned k = 0; k < ACCOUNTS; k++) {
                        account[k] = MAX(account[k] - minutes, 0.0);
                        for (unsigned l = 0; l < SOURCES; l++)
                                one[k][l] = MAX(one[k][l] - minutes / 6.0, 0.0);
                }
                for (unsigned l = 0; l < SOURCES; l++)
                        source[l] = MAX(source[l] - minutes, 0.0);
                want = one[a][s] + 1 <= 10 + 1e-9 && source[s] + 1 <= 60 + 1e-9 &&
                        (known || account[a] + 1 <= 100 + 1e-9);
                x = try_of(a, s);
                x.known = known;
                CHECK_EQ(tries_take(t, &x, now, &wait), want);
                CHECK((wait == 0) == want);
                if (!want)
                        continue;
                taken++;
                one[a][s]++;
                source[s]++;
                account[a] += !known;
        }
        CHECK(taken > 1000 && taken < 20000);
        tries_free(t);
}
