/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "fake-journal.h"

#include "events.h"
#include "loop-virtual.h"
#include "tracker-journal.h"

typedef struct Lab {
        Loop *loop;
        TrackerJournal tracker;
        Journal journal;
        SockAddr peer;
        Record record;
} Lab;

static void lab_new(Lab *lab) {
        *lab = (Lab){.record = {.name = "alice"}};
        journal_start(&lab->journal);
        CHECK_OK(loop_virtual_new(1, &lab->loop));
        CHECK_OK(tracker_journal_init(&lab->tracker, lab->loop));
        CHECK_OK(sockaddr_parse_ip("192.0.2.7", 1234, &lab->peer));
}

static void lab_free(Lab *lab) {
        tracker_journal_done(&lab->tracker);
        loop_virtual_free(lab->loop);
        journal_stop(&lab->journal);
}

static void register_one(Lab *lab) {
        tracker_journal_callbacks.registered(&lab->tracker, &lab->record);
}

static void refuse_one(Lab *lab, Code code) {
        tracker_journal_callbacks.refused(&lab->tracker, &lab->record, &lab->peer, code, "no");
}

static void tell_store(Lab *lab, NodeStoreUse use, int error) {
        tracker_journal_callbacks.store(&lab->tracker, use, error);
}

/* How many entries there are to read; the last one stays. */
static unsigned read_all(Lab *lab) {
        unsigned n = 0;

        while (journal_read(&lab->journal))
                n++;
        return n;
}

static unsigned register_many(Lab *lab, int n) {
        unsigned shown = 0;

        for (int i = 0; i < n; i++) {
                register_one(lab);
                shown += read_all(lab);
        }
        return shown;
}

TEST(a_new_name_is_shown_without_its_address) {
        Lab lab;

        lab_new(&lab);
        register_one(&lab);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE=alice is registered"));
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_REGISTERED));
        CHECK(journal_has(&lab.journal, "PRIORITY=6"));
        CHECK(journal_has(&lab.journal, "P2PCHAT_NAME=alice"));
        CHECK(strstr(lab.journal.entry, "P2PCHAT_ACCOUNT=aaaaaaaaaa"));
        tracker_journal_callbacks.deleted(&lab.tracker, "alice", lab.record.account);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE=alice has deleted the account"));
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_DELETED));
        CHECK(journal_has(&lab.journal, "PRIORITY=6"));
        CHECK(journal_has(&lab.journal, "P2PCHAT_NAME=alice"));
        CHECK(strstr(lab.journal.entry, "P2PCHAT_ACCOUNT=aaaaaaaaaa"));
        refuse_one(&lab, CODE_NAME_TAKEN);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_NAME_REFUSED));
        CHECK(journal_has(&lab.journal, "P2PCHAT_CODE=NameTaken"));
        CHECK(!strstr(lab.journal.entry, "192.0.2.7"));
        lab_free(&lab);
}

TEST(who_goes_beyond_a_limit_is_shown_with_the_address) {
        Lab lab;

        lab_new(&lab);
        refuse_one(&lab, CODE_RATE_LIMITED);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_RATE_LIMITED));
        CHECK(journal_has(&lab.journal, "PRIORITY=4"));
        CHECK(journal_has(&lab.journal, "P2PCHAT_ADDRESS=192.0.2.7:1234"));
        CHECK(journal_has(&lab.journal, "P2PCHAT_CODE=RateLimited"));
        tracker_journal_crowded(&lab.tracker, &lab.peer);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_CROWDED));
        CHECK(journal_has(&lab.journal, "P2PCHAT_ADDRESS=192.0.2.7:1234"));
        CHECK(journal_has(&lab.journal, "P2PCHAT_CODE=RateLimited"));
        lab_free(&lab);
}

TEST(want_of_descriptors_is_nobodys_limit) {
        Lab lab;

        lab_new(&lab);
        tracker_journal_exhausted(&lab.tracker, -EMFILE);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_EXHAUSTED));
        CHECK(journal_has(&lab.journal, "P2PCHAT_ERROR=Too many open files"));
        CHECK(journal_has(&lab.journal, "ERRNO=24") && journal_has(&lab.journal, "PRIORITY=3"));
        CHECK(!strstr(lab.journal.entry, "P2PCHAT_CODE"));
        lab_free(&lab);
}

TEST(a_flood_takes_little_and_is_counted) {
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(register_many(&lab, 10000), 10);
        refuse_one(&lab, CODE_RATE_LIMITED);
        CHECK_EQ(read_all(&lab), 1); /* one kind does not hide another */
        loop_virtual_run(lab.loop, 2 * USEC_PER_MINUTE);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_NOT_SHOWN));
        CHECK(journal_has(&lab.journal, "P2PCHAT_NOT_SHOWN=9990"));
        CHECK(journal_has(&lab.journal, "P2PCHAT_EVENT=" EVENT_NODE_REGISTERED));
        loop_virtual_run(lab.loop, USEC_PER_HOUR);
        CHECK_EQ(read_all(&lab), 0);
        register_one(&lab);
        CHECK_EQ(read_all(&lab), 1);

        CHECK_EQ(register_many(&lab, 30), 9);
        tracker_journal_done(&lab.tracker); /* the rest is told at the end */
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "P2PCHAT_NOT_SHOWN=21"));
        lab_free(&lab);
}

TEST(no_minute_shows_more_than_twenty_of_a_kind) {
        unsigned shown = 0;
        Lab lab;

        lab_new(&lab);
        for (usec_t t = 0; t < USEC_PER_MINUTE; t += USEC_PER_MINUTE / 100) {
                shown += register_many(&lab, 1);
                loop_virtual_run(lab.loop, USEC_PER_MINUTE / 100);
        }
        CHECK(shown > 10 && shown <= 20);
        lab_free(&lab);
}

TEST(a_store_that_fails_is_an_error) {
        Lab lab;

        lab_new(&lab);
        tell_store(&lab, NODE_STORE_WRITE, -ENOSPC);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_STORE_FAILED));
        CHECK(journal_has(&lab.journal, "P2PCHAT_ERROR=the disk is full"));
        CHECK(journal_has(&lab.journal, "ERRNO=28") && journal_has(&lab.journal, "PRIORITY=3"));
        CHECK_STR(tracker_journal_problem(&lab.tracker), "the directory cannot be written");
        tell_store(&lab, NODE_STORE_READ, -EIO);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_STORE_FAILED));
        CHECK(!strstr(lab.journal.entry, "look-ups go on"));
        tell_store(&lab, NODE_STORE_WRITE, 0);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_STORE_WRITABLE));
        CHECK(journal_has(&lab.journal, "MESSAGE=The directory can be written again"));
        CHECK_STR(tracker_journal_problem(&lab.tracker), "the directory cannot be read");
        tell_store(&lab, NODE_STORE_READ, 0);
        CHECK(!tracker_journal_problem(&lab.tracker));
        lab_free(&lab);
}

TEST(damage_has_words_of_its_own_and_stays) {
        Lab lab;

        lab_new(&lab);
        tell_store(&lab, NODE_STORE_READ, -EUCLEAN);
        CHECK_EQ(read_all(&lab), 1);
        CHECK(journal_has(&lab.journal, "MESSAGE_ID=" EVENT_NODE_STORE_DAMAGED));
        CHECK(journal_has(&lab.journal, "PRIORITY=3"));
        tell_store(&lab, NODE_STORE_WRITE, -ENOSPC);
        tell_store(&lab, NODE_STORE_WRITE, 0);
        CHECK_STR(tracker_journal_problem(&lab.tracker), "the directory is damaged");
        lab_free(&lab);
}
