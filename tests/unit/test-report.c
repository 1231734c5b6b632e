/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "fake-journal.h"

#include "events.h"
#include "report.h"

static const char *const nothing[] = {NULL};

static const char *line(ChatStatus s, const char *kept) {
        static char buf[STATUS_SIZE];

        s.name = s.name ?: "";
        s.problems = s.problems ?: nothing;
        return status_format(&s, kept, buf);
}

TEST(the_status_line_is_in_plain_words) {
        ChatStatus online = {.name = "alice", .state = "online", .links = 3, .queued = 2};

        CHECK_STR(line(online, "alice"), "online as alice, 3 links, 2 queued");
        online.links = 1;
        online.queued = 0;
        CHECK_STR(line(online, "alice"), "online as alice, 1 link, 0 queued");
        online.lan_only = true;
        CHECK_STR(line(online, "alice"), "online as alice on the LAN, 1 link, 0 queued");
        CHECK_STR(line((ChatStatus){.state = "logged-out"}, NULL),
                "no account is logged in; chatc register NAME");
        CHECK_STR(line((ChatStatus){.state = "logged-out"}, "alice"),
                "no account is logged in; chatc login alice");
}

TEST(the_status_line_says_where_it_connects_to) {
        ChatTracker trackers[] = {
                {.address = "a.example.org:7425#key", .state = "refused", .error = "no"},
                {.address = "b.example.org:7425#key", .state = "connecting", .error = ""},
        };
        ChatStatus s = {.name = "alice",
                .state = "connecting",
                .queued = 2,
                .trackers = trackers,
                .n_trackers = 2};

        CHECK_STR(line(s, "alice"), "connecting as alice to b.example.org:7425, 2 queued");
        s.n_trackers = 1;
        CHECK_STR(line(s, "alice"), "connecting as alice, 2 queued");
}

TEST(the_status_line_has_the_first_problem) {
        const char *problems[] = {"Tracker a.example.org:7425: connecting failed: No route to host",
                "The disk is full.", NULL};
        ChatTracker tracker = {
                .address = "a.example.org:7425#key", .state = "unreachable", .error = "…"};
        ChatStatus s = {.name = "alice",
                .state = "offline",
                .queued = 2,
                .trackers = &tracker,
                .n_trackers = 1,
                .problems = problems};

        CHECK_STR(line(s, "alice"),
                "offline as alice, 0 links, 2 queued; Tracker a.example.org:7425: connecting "
                "failed: No route to host");
        s.state = "online";
        s.problems = problems + 1;
        CHECK_STR(line(s, "alice"), "online as alice, 0 links, 2 queued; The disk is full.");
        s.state = "offline";
        s.problems = nothing;
        s.n_trackers = 0;
        CHECK_STR(
                line(s, "alice"), "offline as alice, 0 links, 2 queued; no tracker is configured");
        s.lan_only = true;
        CHECK_STR(line(s, "alice"), "offline as alice on the LAN, 0 links, 2 queued");
        s.name = "";
        s.problems = problems + 1;
        CHECK_STR(line(s, NULL), "no account is logged in; chatc register NAME; The disk is full.");
}

TEST(the_status_line_is_one_line_of_whole_characters) {
        char euros[STATUS_SIZE + 1];
        const char *problems[] = {"Tracker a: taken\nWATCHDOG=trigger", NULL};
        ChatStatus s = {.name = "alice", .state = "online", .problems = problems};

        CHECK_STR(line(s, "alice"),
                "online as alice, 0 links, 0 queued; Tracker a: taken?WATCHDOG=trigger");
        problems[0] = euros;
        for (size_t skip = 0; skip < 3; skip++) { /* each place where one may be cut */
                snprintf(euros, sizeof(euros), "%.*s", (int)skip, "ab");
                while (strlen(euros) + 3 < sizeof(euros))
                        strcat(euros, "\xe2\x82\xac");
                CHECK(utf8_is_valid(line(s, "alice"), strlen(line(s, "alice"))));
                CHECK(strlen(line(s, "alice")) >= STATUS_SIZE - 3);
        }
}

TEST(a_refused_store_is_an_event_and_says_what_to_do) {
        Journal j;

        journal_start(&j);
        report_store_refused("/home/a/.local/state/p2pchat", -EPROTONOSUPPORT);
        CHECK(journal_read(&j) && journal_has(&j, "MESSAGE_ID=" EVENT_STORE_NEWER));
        CHECK(journal_has(&j, "PRIORITY=3"));
        CHECK(journal_has(&j, "P2PCHAT_STORE=/home/a/.local/state/p2pchat"));
        CHECK(strstr(j.entry, "install that version again"));
        report_store_refused("/x", -EUCLEAN);
        CHECK(journal_read(&j) && journal_has(&j, "MESSAGE_ID=" EVENT_STORE_DAMAGED));
        report_store_refused("/x", -ENOSPC);
        CHECK(journal_read(&j) && journal_has(&j, "MESSAGE_ID=" EVENT_START_FAILED));
        CHECK(journal_has(&j, "ERRNO=28"));
        journal_stop(&j);
}
