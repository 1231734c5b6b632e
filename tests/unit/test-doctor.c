/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What doctor says of hops that cannot be made to fail everywhere: the disk, the clock. */

#include "test.h"

#include "chat-lab.h"

static StoreHealth health = {.free = (uint64_t)1 << 40, .limit = (uint64_t)1 << 34};

void __wrap_store_get_health(Store *s, StoreHealth *ret);

void __wrap_store_get_health(Store *s, StoreHealth *ret) {
        *ret = health;
}

typedef struct Found {
        const char *check;
        char state[16], text[CHAT_CHECK_TEXT_SIZE], advice[CHAT_CHECK_TEXT_SIZE];
        unsigned n;
} Found;

static void on_check(void *userdata, const ChatCheck *c) {
        Found *found = userdata;

        CHECK(c->text[0] && c->text[strlen(c->text) - 1] == '.');
        CHECK(!c->advice || c->advice[0]);
        if (!streq(c->check, found->check))
                return;
        found->n++;
        snprintf(found->state, sizeof(found->state), "%s", c->state);
        snprintf(found->text, sizeof(found->text), "%s", c->text);
        snprintf(found->advice, sizeof(found->advice), "%s", c->advice ?: "");
}

static void check_says(ChatLab *l, const char *check, const char *state, const char *text) {
        Found found = {.check = check};

        chat_doctor(l->chat, on_check, &found);
        CHECK_EQ(found.n, 1);
        CHECK_STR(found.state, state);
        CHECK(strstr(found.text, text));
        CHECK(streq(state, "off") || streq(state, "ok") == !found.advice[0]);
}

TEST(a_disk_that_is_full_or_nearly) {
        ChatLab l;

        chat_lab_new(&l);
        check_says(&l, "disk", "ok", "no reserve");
        health.reserve = true;
        check_says(&l, "disk", "ok", "reserve for receipts and deletions is held");
        health.free = 10 << 20;
        check_says(&l, "disk", "warning", "Only 10 MiB");
        health.last_error = -EIO;
        check_says(&l, "store", "failed", "The last write failed");
        check_says(&l, "disk", "warning", "Only 10 MiB");
        health.last_error = -ENOSPC;
        health.full = true;
        check_says(&l, "disk", "failed", "full");
        check_says(&l, "store", "failed", "no room");
        health.full = false; /* there is room again */
        check_says(&l, "store", "ok", "open");
        check_says(&l, "disk", "warning", "Only 10 MiB");
        health.last_error = 0;
        health.open_error = -EIO;
        check_says(&l, "store", "failed", "cannot be opened");
        health.open_error = 0;
        health.damaged = true;
        check_says(&l, "store", "failed", "damaged");
        health.damaged = false;
        health.free = (uint64_t)1 << 40;
        health.used = health.limit * 85 / 100;
        check_says(&l, "disk", "warning", "at most 16384 MiB");
        health.used = health.limit * 95 / 100;
        check_says(&l, "disk", "failed", "refused");
        health.used = 0;
        check_says(&l, "disk", "ok", "0 of at most 16384 MiB");
        chat_lab_free(&l);
}

TEST(a_sandbox_as_it_was_looked_up) {
        ChatLab l;

        chat_lab_new(&l);
        check_says(&l, "sandbox", "ok", "This is a test.");
        chat_lab_free(&l);
}

static void on_check_of_others(void *userdata, const ChatCheck *c) {
        CHECK(utf8_is_valid(c->text, strlen(c->text)));
}

/* Strings on D-Bus are UTF-8, or there is no answer at all. */
TEST(problems_are_lines_of_whole_characters) {
        static const char said[] = "A\nB\xff";
        char euros[2000];
        ChatStatus s;
        ChatLab l;

        chat_lab_new(&l);
        for (size_t skip = 0; skip < 3; skip++) { /* each place where one may be cut */
                snprintf(euros, sizeof(euros), "%s%.*s", said, (int)skip, "ab");
                while (strlen(euros) + 3 < sizeof(euros))
                        strcat(euros, "\xe2\x82\xac");
                chat_set_problem(l.chat, CHAT_PROBLEM_CONFIG, euros);
                chat_on_name_refused(l.chat, CODE_NAME_TAKEN, euros);
                chat_status(l.chat, &s);
                for (size_t i = 0; i < 2; i++) {
                        CHECK(strlen(s.problems[i]) > 390);
                        CHECK(strstr(s.problems[i], "A?B?"));
                        CHECK(utf8_is_valid(s.problems[i], strlen(s.problems[i])));
                }
                CHECK(!s.problems[2]);
                chat_doctor(l.chat, on_check_of_others, NULL);
        }
        chat_lab_free(&l);
}

TEST(a_disk_that_is_slow) {
        ChatLab l;

        chat_lab_new(&l);
        health.slowest_commit = 900 * USEC_PER_MSEC;
        check_says(&l, "store", "ok", "0.900 s");
        health.slowest_commit = 20 * USEC_PER_SEC;
        check_says(&l, "store", "warning", "20.0 s");
        health.slowest_commit = 0;
        chat_lab_free(&l);
}

TEST(a_clock_that_is_wrong) {
        ChatLab l;

        chat_lab_new(&l);
        check_says(&l, "clock", "ok", "plausible");
        loop_virtual_step_realtime(l.sim.loop, -(int64_t)USEC_PER_HOUR);
        check_says(&l, "clock", "failed", "before this program");
        loop_virtual_step_realtime(l.sim.loop, (int64_t)(30 * USEC_PER_DAY));
        sim_run(&l.sim, 2 * USEC_PER_DAY); /* the certificate is renewed */
        check_says(&l, "clock", "ok", "plausible");
        loop_virtual_step_realtime(l.sim.loop, -(int64_t)(5 * USEC_PER_DAY));
        check_says(&l, "clock", "failed", "certificate");
        chat_lab_free(&l);
}

TEST(an_account_for_the_lan_misses_no_tracker) {
        static const Endpoints here = {.text = {"192.0.2.1:7425"}, .n = 1};
        ChatStatus s;
        ChatLab l;

        chat_lab_begin(&l);
        chat_lab_save_lan_identity(&l);
        chat_lab_start(&l);
        chat_status(l.chat, &s);
        CHECK_STR(s.state, "offline"); /* it does not listen so far */
        parts_publish(l.parts, &here);
        chat_status(l.chat, &s);
        CHECK(s.lan_only && !s.problems[0]);
        CHECK_STR(s.state, "online");
        check_says(&l, "account", "ok", "for the LAN alone");
        check_says(&l, "trackers", "off", "no tracker is asked");
        check_says(&l, "mailbox", "off", "wait on this device");
        check_says(&l, "links", "ok", "192.0.2.1:7425");

        chat_set_problem(l.chat, CHAT_PROBLEM_NETWORK, "There is no network.");
        chat_status(l.chat, &s);
        CHECK_STR(s.state, "offline");
        CHECK_STR(s.problems[0], "There is no network.");
        check_says(&l, "links", "warning", "no network address");
        chat_lab_free(&l);
}

TEST(while_trackers_are_away_it_says_how_contacts_are_reached) {
        EndpointKey tracker = {.host = "nowhere", .port = 7600};
        ChatStatus s;
        ChatLab l;

        chat_lab_new(&l);
        chat_status(l.chat, &s);
        CHECK(!s.problems[0] && !s.lan_only);
        parts_set_trackers(l.parts, &tracker, 1);
        chat_status(l.chat, &s);
        CHECK(!s.problems[0]); /* it may be there */
        sim_run(&l.sim, USEC_PER_SEC);
        chat_status(l.chat, &s);
        CHECK(strstr(s.problems[0], "Tracker nowhere:7600"));
        CHECK(strstr(s.problems[1], "known addresses and on the LAN"));
        CHECK(!s.problems[2]);
        chat_lab_free(&l);
}
