/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "fake-journal.h"
#include "util/datagram.h"

/* No test should ever come near it. */
#define PATIENCE (30 * USEC_PER_SEC)

#define ID "0123456789abcdef0123456789abcdef"

static unsigned count(const char *text, char c) {
        unsigned n = 0;

        for (; *text; text++)
                n += *text == c;
        return n;
}

/* What FN writes on standard error. */
static char *stderr_of(void (*fn)(void)) {
        static char text[8192];
        int ends[2], kept = dup(STDERR_FILENO);
        ssize_t n;

        CHECK_OK(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
        dup2(ends[1], STDERR_FILENO);
        fn();
        dup2(kept, STDERR_FILENO);
        n = read(ends[0], text, sizeof(text) - 1);
        text[MAX(n, (ssize_t)0)] = 0;
        close(ends[0]);
        close(ends[1]);
        close(kept);
        return text;
}

TEST(an_event_has_its_id_and_fields) {
        Journal j;

        journal_start(&j);
        log_event(LOG_WARNING, ID, LOG_FIELDS({"P2PCHAT_NAME", "alice"}, {"P2PCHAT_CODE", "x=y"}),
                "%s is %d", "alice", 7);
        CHECK(journal_read(&j));
        CHECK(journal_has(&j, "MESSAGE=alice is 7"));
        CHECK(journal_has(&j, "PRIORITY=4"));
        CHECK(journal_has(&j, "SYSLOG_IDENTIFIER=test-log"));
        CHECK(journal_has(&j, "MESSAGE_ID=" ID));
        CHECK(journal_has(&j, "P2PCHAT_NAME=alice"));
        CHECK(journal_has(&j, "P2PCHAT_CODE=x=y"));
        CHECK_EQ(count(j.entry, '\n'), 7);

        CHECK_EQ(log_error_errno(-ENOSPC, "Writing"), -ENOSPC);
        CHECK(journal_read(&j));
        CHECK(journal_has(&j, "MESSAGE=Writing: No space left on device"));
        CHECK(journal_has(&j, "PRIORITY=3") && journal_has(&j, "ERRNO=28"));
        CHECK(!strstr(j.entry, "MESSAGE_ID"));
        CHECK(!journal_read(&j));
        journal_stop(&j);
}

TEST(what_comes_from_outside_stays_in_its_field) {
        char longer[5000];
        Journal j;

        journal_start(&j);
        log_event(LOG_INFO, ID,
                LOG_FIELDS({"P2PCHAT_NAME", "eve\nP2PCHAT_ACCOUNT=forged\n"},
                        {"P2PCHAT_ERROR",
                                "\x1b[2Ja\xc2\x9b"
                                "b\xff\xc3\xa9\x7f\xe2\x80"}),
                "eve\nMESSAGE_ID=%s\r\t", ID);
        CHECK(journal_read(&j));
        CHECK(journal_has(&j, "MESSAGE=eve?MESSAGE_ID=" ID "??"));
        CHECK(journal_has(&j, "P2PCHAT_NAME=eve?P2PCHAT_ACCOUNT=forged?"));
        CHECK(journal_has(&j, "P2PCHAT_ERROR=?[2Ja??b?\xc3\xa9?"));
        CHECK(!strstr(j.entry, "\nP2PCHAT_ACCOUNT="));
        CHECK_EQ(count(j.entry, '\n'), 7);

        memset(longer, 'x', sizeof(longer));
        longer[sizeof(longer) - 1] = 0;
        log_event(LOG_INFO, ID,
                LOG_FIELDS({"F1", longer}, {"F2", longer}, {"F3", longer}, {"F4", longer},
                        {"F5", longer}, {"F6", longer}, {"F7", longer}, {"F8", longer}),
                "%s", longer);
        CHECK(journal_read(&j));
        CHECK_EQ(count(j.entry, '\n'), 13);
        CHECK_EQ(strcspn(strstr(j.entry, "F8="), "\n"), STRLEN("F8=") + LOG_VALUE_MAX - 1);
        CHECK(journal_has(&j, "MESSAGE_ID=" ID));
        journal_stop(&j);
}

TEST(nobody_waits_for_a_journal_that_does_not_read) {
        unsigned in_time = 0, more = 0, lost = 0;
        Journal j;

        journal_start(&j);
        for (int i = 0; i < 10000; i++)
                log_info("entry %d", i);
        while (journal_read(&j))
                in_time++;
        CHECK(in_time > 0 && in_time < 10000);
        log_info("it reads again");
        while (journal_read(&j)) {
                more++;
                if (journal_has(&j, "PRIORITY=4"))
                        (void)sscanf(strstr(j.entry, "MESSAGE="),
                                "MESSAGE=The journal did not read: %u entries", &lost);
        }
        CHECK_EQ(more, 2);
        CHECK_EQ(in_time + lost, 10000);
        log_info("and that was all");
        CHECK(journal_read(&j) && !journal_read(&j));
        journal_stop(&j);
}

/* A journal that is late. Datagrams without content mean nothing to it. */
static void *read_late(void *userdata) {
        Journal *j = userdata;

        CHECK_OK(fcntl(j->fd, F_SETFL, 0));
        (void)usleep(10000);
        do
                CHECK(journal_read(j));
        while (!journal_has(j, "MESSAGE=it is over"));
        return NULL;
}

TEST(a_process_ends_when_the_journal_has_read_its_last_entry) {
        pthread_t thread;
        usec_t begun;
        Journal j;
        int unread;

        journal_start(&j);
        log_error("the last words");
        CHECK_EQ(pthread_create(&thread, NULL, read_late, &j), 0);
        begun = usec_monotonic();
        log_end();
        CHECK_OK(ioctl(j.fd, FIONREAD, &unread));
        CHECK(unread == 0 || usec_monotonic() - begun >= USEC_PER_SEC); /* no longer than that */
        log_error("it is over");
        CHECK_EQ(pthread_join(thread, NULL), 0);
        journal_stop(&j);
}

/* Each of its datagrams is waited for less long than all may take, all of them longer. */
static void *read_slowly(void *userdata) {
        Journal *j = userdata;

        CHECK_OK(fcntl(j->fd, F_SETFL, 0));
        do {
                (void)usleep(100 * USEC_PER_MSEC);
                CHECK(journal_read(j));
        } while (!journal_has(j, "MESSAGE=it is over"));
        return NULL;
}

TEST(a_journal_that_reads_slowly_is_not_waited_for_again_and_again) {
        pthread_t thread;
        Journal j;

        journal_start(&j);
        CHECK_EQ(pthread_create(&thread, NULL, read_slowly, &j), 0);
        CHECK_EQ(datagram_drain(j.path, 300 * USEC_PER_MSEC), -EAGAIN);
        CHECK_OK(datagram_send(
                j.path, "MESSAGE=it is over\n", STRLEN("MESSAGE=it is over\n"), PATIENCE));
        CHECK_EQ(pthread_join(thread, NULL), 0);
        journal_stop(&j);
}

TEST(a_process_ends_though_nobody_reads_its_journal) {
        Journal j;

        journal_start(&j);
        log_error("the last words");
        CHECK_EQ(datagram_drain(j.path, 10 * USEC_PER_MSEC), -EAGAIN);
        log_end();
        CHECK(journal_read(&j) && journal_has(&j, "MESSAGE=the last words"));
        journal_stop(&j);
}

static void say(void) {
        log_debug("no");
        log_event(LOG_WARNING, ID, LOG_FIELDS({"P2PCHAT_NAME", "alice"}), "two\nlines \x1b[1m %s",
                "\xc3\xa9");
        log_info("one");
}

TEST(without_a_journal_it_is_lines_on_standard_error) {
        log_set_level(LOG_INFO);
        log_set_journal(NULL);
        CHECK_STR(stderr_of(say), "two?lines ?[1m \xc3\xa9\none\n");
        log_set_journal("/nonexistent/journal/socket");
        CHECK_STR(stderr_of(say), "two?lines ?[1m \xc3\xa9\none\n");
        log_set_level(LOG_WARNING);
        CHECK_STR(stderr_of(say), "two?lines ?[1m \xc3\xa9\n");
        log_set_journal(NULL);
}

static void init_in_a_sandbox(void) {
        char stream[64];
        struct stat st;

        CHECK_OK(fstat(STDERR_FILENO, &st));
        snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
                (unsigned long long)st.st_ino);
        CHECK_OK(setenv("JOURNAL_STREAM", stream, 1));
        log_init();
        log_set_journal("/nonexistent/journal/socket");
        say();
        CHECK_OK(setenv("JOURNAL_STREAM", "1:1", 1));
        log_init();
        say();
}

TEST(where_its_socket_is_hidden_the_journal_reads_standard_error) {
        CHECK_STR(stderr_of(init_in_a_sandbox),
                "<4>two?lines ?[1m \xc3\xa9\n<6>one\ntwo?lines ?[1m \xc3\xa9\none\n");
        CHECK_OK(unsetenv("JOURNAL_STREAM"));
}

static void init_and_debug(void) {
        log_init();
        log_error("error");
        log_debug("debug");
}

TEST(the_environment_says_how_much_is_logged) {
        log_set_journal(NULL);
        CHECK_STR(stderr_of(init_and_debug), "error\n");
        CHECK_OK(setenv("DEBUG_INVOCATION", "1", 1));
        CHECK_STR(stderr_of(init_and_debug), "error\ndebug\n");
        CHECK_OK(setenv("P2PCHAT_LOG_LEVEL", "warning", 1));
        CHECK_STR(stderr_of(init_and_debug), "error\n");
        CHECK_OK(unsetenv("DEBUG_INVOCATION"));
        CHECK_OK(setenv("P2PCHAT_LOG_LEVEL", "7", 1));
        CHECK_STR(stderr_of(init_and_debug), "error\ndebug\n");
        CHECK_OK(setenv("P2PCHAT_LOG_LEVEL", "0", 1)); /* errors are always said */
        CHECK_STR(stderr_of(init_and_debug), "error\n");
        CHECK_OK(setenv("P2PCHAT_LOG_LEVEL", "loud", 1));
        CHECK_STR(stderr_of(init_and_debug),
                "P2PCHAT_LOG_LEVEL=loud is not a level: use err, warning, notice, info or debug\n"
                "error\n");
        CHECK_OK(unsetenv("P2PCHAT_LOG_LEVEL"));
}

TEST(what_is_not_shown_is_counted) {
        LogLimit l = {.quota = QUOTA_INIT(2, USEC_PER_MINUTE)};
        usec_t now = USEC_PER_HOUR;

        CHECK(log_limit_take(&l, now) && log_limit_take(&l, now));
        CHECK(!log_limit_take(&l, now) && !log_limit_take(&l, now));
        CHECK_EQ(l.hidden, 2);
        CHECK(log_limit_take(&l, now + USEC_PER_MINUTE));
        CHECK_EQ(l.hidden, 2);
}
