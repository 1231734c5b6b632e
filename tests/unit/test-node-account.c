/* SPDX-License-Identifier: GPL-3.0-or-later */

/* New passwords: keys that are made, statements that name them, and what is left of either when
 * the node ends in between. */

#include "account-lab.h"

#include <dirent.h>
#include <sys/stat.h>

#define PASSWORD "correct horse"

static bool has_key(AccountLab *x, const User *u, uint64_t id) {
        OprfKey k;
        int r = oprf_keys_get(x->keys, user_account(u), id, &k);

        CHECK(r >= 0);
        return r > 0;
}

TEST(a_new_password_takes_the_place_of_the_old_one) {
        AccountLab x;
        User alice;
        Asked a, b;
        LoggedIn l;
        Caller c;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, "first", &a), CODE_OK);
        CHECK_EQ(a.answer.memory, LAB_MEMORY);
        CHECK_EQ(a.answer.passes, LAB_PASSES);
        l = lab_log_in(&x.lab, "alice", "first"); /* it is not named yet */
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        CHECK_EQ(caller_put_new(&c, &alice, &a, lab_seq(&x.lab)), CODE_OK);
        l = lab_log_in(&x.lab, "alice", "first");
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(l.statement.key_id, a.answer.key_id);

        CHECK_EQ(caller_enrol(&c, &alice, "second", &b), CODE_OK);
        CHECK(b.answer.key_id != a.answer.key_id);
        l = lab_log_in(&x.lab, "alice", "first"); /* the old one goes on until then */
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_put_new(&c, &alice, &b, lab_seq(&x.lab) + 1), CODE_OK);
        l = lab_log_in(&x.lab, "alice", "first");
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        l = lab_log_in(&x.lab, "alice", "second");
        CHECK_EQ(l.code, CODE_OK);
        LAB_UNTIL(&x.lab, !has_key(&x, &alice, a.answer.key_id));
        CHECK(has_key(&x, &alice, b.answer.key_id));
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(the_same_password_under_two_keys_is_not_the_same) {
        AccountLab x;
        User alice;
        Asked a, b;
        Caller c;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, PASSWORD, &a), CODE_OK);
        CHECK_EQ(caller_enrol(&c, &alice, PASSWORD, &b), CODE_OK);
        CHECK(memcmp(&a.keys, &b.keys, sizeof(a.keys)) != 0);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(only_two_keys_wait_for_a_statement) {
        AccountLab x;
        User alice;
        Asked a[4];
        LoggedIn l;
        Caller c;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                CHECK_EQ(caller_enrol(&c, &alice, "new", &a[i]), CODE_OK);
        CHECK(!has_key(&x, &alice, a[0].answer.key_id) && !has_key(&x, &alice, a[1].answer.key_id));
        CHECK(has_key(&x, &alice, a[2].answer.key_id) && has_key(&x, &alice, a[3].answer.key_id));
        CHECK_EQ(caller_put_new(&c, &alice, &a[1], lab_seq(&x.lab) + 1), CODE_INVALID_ARGS);
        l = lab_log_in(&x.lab, "alice", PASSWORD); /* which waits nowhere */
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_put_new(&c, &alice, &a[2], lab_seq(&x.lab) + 1), CODE_OK);
        lab_settle(&x.lab);
        lab_stand_still(&x.lab, true); /* so that what goes next has not gone from the disk yet */
        CHECK_EQ(caller_put_new(&c, &alice, &a[3], lab_seq(&x.lab) + 2), CODE_OK);
        CHECK_EQ(caller_put_new(&c, &alice, &a[2], lab_seq(&x.lab) + 3), CODE_INVALID_ARGS);
        lab_stand_still(&x.lab, false);
        l = lab_log_in(&x.lab, "alice", "new");
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(a_password_is_for_the_account_of_the_session) {
        _cleanup_(buffer_done) Buffer bobs = BUFFER_NULL;
        User alice, bob, carol;
        Caller a, b, c, d;
        AccountLab x;
        Asked asked;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &a);
        member_new(&x.lab, "bob", &bob, &b);
        CHECK_EQ(caller_enrol(&a, &bob, PASSWORD, &asked), CODE_NOT_ALLOWED);
        asked_begin(&asked, &x.lab, "alice", NULL, PASSWORD); /* by name */
        asked.request.enrol = true;
        asked_send(&asked, &a);
        CHECK_EQ(asked_take(&asked, &a), CODE_NOT_ALLOWED);
        CHECK_EQ(caller_enrol(&b, &bob, PASSWORD, &asked), CODE_OK);
        bobs = statement_new(&x.lab, &bob, &asked, lab_seq(&x.lab));
        CHECK_EQ(caller_put(&a, &bobs), CODE_INVALID_ARGS);

        user_new(&x.lab, "carol", &carol); /* has not registered */
        caller_new(&x.lab, &carol, &c);
        CHECK_EQ(caller_enrol(&c, &carol, PASSWORD, &asked), CODE_NOT_LOGGED_IN);
        CHECK_EQ(caller_put(&c, &bobs), CODE_NOT_LOGGED_IN);
        caller_new(&x.lab, NULL, &d); /* has not said who he is */
        CHECK_EQ(caller_enrol(&d, &alice, PASSWORD, &asked), CODE_NOT_LOGGED_IN);
        CHECK_EQ(caller_put(&d, &bobs), CODE_NOT_LOGGED_IN);
        CHECK_EQ(caller_put(&b, &bobs), CODE_OK);
        caller_free(&a);
        caller_free(&b);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        user_done(&bob);
        user_done(&carol);
        account_lab_free(&x);
}

TEST(a_statement_cannot_be_rolled_back) {
        _cleanup_(buffer_done) Buffer first = BUFFER_NULL, second = BUFFER_NULL;
        AccountLab x;
        User alice;
        Asked a, b;
        LoggedIn l;
        Caller c;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, "first", &a), CODE_OK);
        first = statement_new(&x.lab, &alice, &a, lab_seq(&x.lab));
        CHECK_EQ(caller_put(&c, &first), CODE_OK);
        CHECK_EQ(caller_put(&c, &first), CODE_OK); /* the same again */
        CHECK_EQ(caller_enrol(&c, &alice, "second", &b), CODE_OK);
        second = statement_new(&x.lab, &alice, &b, lab_seq(&x.lab) + 1);
        CHECK_EQ(caller_put(&c, &second), CODE_OK);
        CHECK_EQ(caller_put(&c, &first), CODE_NOT_ALLOWED);
        CHECK_EQ(caller_put_new(&c, &alice, NULL, lab_seq(&x.lab)), CODE_NOT_ALLOWED);
        CHECK_EQ(caller_put(&c, &second), CODE_OK);
        l = lab_log_in(&x.lab, "alice", "second");
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(l.statement.seq, lab_seq(&x.lab) + 1);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(a_statement_that_does_not_hold_is_refused) {
        static const uint64_t day = USEC_PER_DAY / USEC_PER_MSEC;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        AccountLab x;
        User alice;
        Asked a, other;
        LoggedIn l;
        Caller c;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, PASSWORD, &a), CODE_OK);
        b = statement_new(&x.lab, &alice, &a, lab_seq(&x.lab));
        b.data[b.end - 1] ^= 1;
        CHECK_EQ(caller_put(&c, &b), CODE_INVALID_ARGS);
        buffer_clear(&b);
        CHECK_OK(buffer_append(&b, "no map", 6));
        CHECK_EQ(caller_put(&c, &b), CODE_INVALID_ARGS);
        CHECK_EQ(caller_put_new(&c, &alice, &a, lab_seq(&x.lab) + 2 * day), CODE_INVALID_ARGS);
        other = a;
        other.answer.key_id ^= 1;
        CHECK_EQ(caller_put_new(&c, &alice, &other, lab_seq(&x.lab)), CODE_INVALID_ARGS);
        other = a;
        other.answer.memory--; /* which would make guessing cheaper */
        CHECK_EQ(caller_put_new(&c, &alice, &other, lab_seq(&x.lab)), CODE_INVALID_ARGS);
        other = a;
        other.answer.passes++;
        CHECK_EQ(caller_put_new(&c, &alice, &other, lab_seq(&x.lab)), CODE_INVALID_ARGS);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        CHECK_EQ(caller_put_new(&c, &alice, &a, lab_seq(&x.lab)), CODE_OK);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(a_password_can_be_taken_away) {
        AccountLab x;
        Asked a, b;
        User alice;
        LoggedIn l;
        Caller c;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        a.answer.key_id = l.statement.key_id;
        CHECK_EQ(caller_put_new(&c, &alice, NULL, lab_seq(&x.lab) + 1), CODE_OK);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        LAB_UNTIL(&x.lab, !has_key(&x, &alice, a.answer.key_id));
        CHECK_EQ(caller_enrol(&c, &alice, "next", &b), CODE_OK);
        CHECK_EQ(caller_put_new(&c, &alice, &b, lab_seq(&x.lab)), CODE_NOT_ALLOWED);
        CHECK_EQ(caller_put_new(&c, &alice, &b, lab_seq(&x.lab) + 2), CODE_OK);
        l = lab_log_in(&x.lab, "alice", "next");
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(keys_and_statements_outlive_a_restart) {
        AccountLab x;
        User alice;
        LoggedIn l;
        Caller c;
        Asked a;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, "next", &a), CODE_OK);
        caller_free(&c);
        account_lab_stop(&x);
        account_lab_start(&x);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        caller_new(&x.lab, &alice, &c); /* what was begun before can be ended */
        CHECK_EQ(caller_put_new(&c, &alice, &a, lab_seq(&x.lab) + 1), CODE_OK);
        l = lab_log_in(&x.lab, "alice", "next");
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

/* A copy of the keys' database, put back as if nothing of what came after had got there. */

static void copy_file(const char *from, const char *to) {
        char *content;
        size_t size;
        FILE *f;

        CHECK_OK(fs_read_file(from, 1 << 20, &content, &size));
        f = fopen(to, "w");
        CHECK(f && fwrite(content, 1, size, f) == size && fclose(f) == 0);
        free(content);
}

static void keys_copy(AccountLab *x, bool back) {
        _cleanup_(freep) char *file = fs_join(x->dir, "data.mdb");
        _cleanup_(freep) char *copy = fs_join(x->lab.dir, "copy");

        copy_file(back ? copy : file, back ? file : copy);
}

/* Alice's third password is on disk, and of the keys nothing that came after it. */
static void crash_between(AccountLab *x, User *alice, Asked a[static 3]) {
        Caller c;

        account_lab_new(x);
        member_new(&x->lab, "alice", alice, &c);
        CHECK_EQ(caller_enrol(&c, alice, "0", &a[0]), CODE_OK);
        CHECK_EQ(caller_put_new(&c, alice, &a[0], lab_seq(&x->lab)), CODE_OK);
        CHECK_EQ(caller_enrol(&c, alice, "1", &a[1]), CODE_OK);
        CHECK_EQ(caller_enrol(&c, alice, "2", &a[2]), CODE_OK);
        caller_free(&c);
        account_lab_stop(x);
        keys_copy(x, false);
        account_lab_start(x);
        caller_new(&x->lab, alice, &c);
        CHECK_EQ(caller_put_new(&c, alice, &a[2], lab_seq(&x->lab) + 1), CODE_OK);
        caller_free(&c);
        account_lab_stop(x);
        keys_copy(x, true);
}

TEST(what_a_crash_leaves_goes_after_the_next_start) {
        AccountLab x;
        User alice;
        LoggedIn l;
        Asked a[3];

        crash_between(&x, &alice, a);
        account_lab_start(&x);
        CHECK(has_key(&x, &alice, a[0].answer.key_id) && has_key(&x, &alice, a[1].answer.key_id));
        l = lab_log_in(&x.lab, "alice", "2");
        CHECK_EQ(l.code, CODE_OK);
        l = lab_log_in(&x.lab, "alice", "0");
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        LAB_UNTIL(&x.lab, !has_key(&x, &alice, a[0].answer.key_id));
        CHECK(!has_key(&x, &alice, a[1].answer.key_id) && has_key(&x, &alice, a[2].answer.key_id));
        user_done(&alice);
        account_lab_free(&x);
}

/* The keys of many, of which some have left-overs: all steps of the sweep. */
TEST(left_overs_of_many_go) {
        enum { PEOPLE = 1200 };
        static User people[PEOPLE];
        static uint64_t old[PEOPLE], new[PEOPLE];
        AccountLab x;
        unsigned left;

        account_lab_new(&x);
        for (unsigned i = 0; i < PEOPLE; i++) {
                DStoreMerge m = {.kind = DIRECTORY_ACCT, .merge = merge_acct};
                Asked a = {.answer = {.memory = LAB_MEMORY, .passes = LAB_PASSES}};
                OprfKey k = {.id = i + 1, .memory = LAB_MEMORY, .passes = LAB_PASSES};
                Buffer statement;

                sign_key_generate(&people[i].account);
                snprintf(people[i].name, NAME_SIZE, "user%u", i);
                old[i] = k.id;
                CHECK_OK(oprf_keys_add(x.keys, user_account(&people[i]), 0, &k, NULL, NULL));
                new[i] = k.id = i + 1000000;
                CHECK_OK(oprf_keys_add(x.keys, user_account(&people[i]), 0, &k, NULL, NULL));
                if (i % 3 == 0)
                        continue; /* both wait */
                a.answer.key_id = k.id;
                statement = statement_new(&x.lab, &people[i], &a, lab_seq(&x.lab));
                m.blob = buffer_view(&statement);
                directory_key_account(DIRECTORY_ACCT, user_account(&people[i]), m.key);
                x.lab.store->ops->rec_merge(x.lab.store, &m, 1, NULL, NULL);
                buffer_done(&statement);
        }
        account_lab_stop(&x);
        account_lab_start(&x);
        do {
                lab_turn(&x.lab, USEC_PER_SEC);
                left = 0;
                for (unsigned i = 0; i < PEOPLE; i++) {
                        CHECK(has_key(&x, &people[i], new[i]));
                        left += has_key(&x, &people[i], old[i]);
                }
        } while (left > PEOPLE / 3);
        CHECK_EQ(left, PEOPLE / 3);
        account_lab_free(&x);
}

TEST(what_a_crash_leaves_goes_with_the_next_key) {
        AccountLab x;
        User alice;
        LoggedIn l;
        Asked a[3], b;
        Caller c;

        crash_between(&x, &alice, a);
        lab_start_node(&x.lab);
        account_lab_open(&x);
        caller_new(&x.lab, &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, "3", &b), CODE_OK);
        CHECK(!has_key(&x, &alice, a[0].answer.key_id) && !has_key(&x, &alice, a[1].answer.key_id));
        CHECK(has_key(&x, &alice, a[2].answer.key_id) && has_key(&x, &alice, b.answer.key_id));
        l = lab_log_in(&x.lab, "alice", "2");
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

/* An older copy of the keys, or none: whose key is not there has no password, and can make a new
 * one. Whoever else was logged in to goes on. */
TEST(keys_that_were_lost_can_be_made_anew) {
        AccountLab x;
        User alice;
        LoggedIn l;
        Caller c;
        Asked a;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        caller_free(&c);
        account_lab_stop(&x);
        CHECK_OK(nftw(x.dir, lab_unlink, 8, FTW_DEPTH | FTW_PHYS));
        account_lab_start(&x);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_BAD_PASSWORD);
        caller_new(&x.lab, &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, PASSWORD, &a), CODE_OK);
        CHECK_EQ(caller_put_new(&c, &alice, &a, lab_seq(&x.lab) + 1), CODE_OK);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

/* Whoever hangs up does not hear of it, and the old key goes all the same. */
TEST(who_hangs_up_has_changed_his_password) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        AccountLab x;
        User alice;
        LoggedIn l;
        Asked a;
        Caller c;
        uint64_t old;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        old = lab_log_in(&x.lab, "alice", PASSWORD).statement.key_id;
        CHECK_EQ(caller_enrol(&c, &alice, "next", &a), CODE_OK);
        b = statement_new(&x.lab, &alice, &a, lab_seq(&x.lab) + 1);
        caller_sent(&c, account_encode(conn_output(c.conn), 99, buffer_view(&b)));
        caller_sent(&c, bye_encode(conn_output(c.conn), CODE_OK, "", (Bytes){}));
        LAB_UNTIL(&x.lab, c.is_closed);
        CHECK(!caller_has(&c, FRAME_OK)); /* the answer would have come after the commit */
        LAB_UNTIL(&x.lab, !has_key(&x, &alice, old));
        l = lab_log_in(&x.lab, "alice", "next");
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

/* Two changes at once could delete the key that the later one names. */
TEST(one_change_of_an_account_at_a_time) {
        _cleanup_(buffer_done) Buffer one = BUFFER_NULL, two = BUFFER_NULL;
        AccountLab x;
        User alice;
        Asked a, b, third;
        LoggedIn l;
        Caller c;
        Frame f;

        account_lab_new(&x);
        member_new(&x.lab, "alice", &alice, &c);
        CHECK_EQ(caller_enrol(&c, &alice, "a", &a), CODE_OK);
        CHECK_EQ(caller_enrol(&c, &alice, "b", &b), CODE_OK);
        one = statement_new(&x.lab, &alice, &b, lab_seq(&x.lab));
        two = statement_new(&x.lab, &alice, &a, lab_seq(&x.lab) + 1);
        caller_sent(&c, account_encode(conn_output(c.conn), 101, buffer_view(&one)));
        caller_sent(&c, account_encode(conn_output(c.conn), 102, buffer_view(&two)));
        asked_begin(&third, &x.lab, NULL, user_account(&alice), "c");
        third.request.enrol = true;
        caller_sent(&c, oprf_request_encode(conn_output(c.conn), 103, &third.request));
        f = caller_take(&c, FRAME_ERROR);
        CHECK_EQ(f.request, 102);
        CHECK_EQ(frame_code(&f), CODE_RATE_LIMITED);
        f = caller_take(&c, FRAME_ERROR);
        CHECK_EQ(f.request, 103);
        f = caller_take(&c, FRAME_OK);
        CHECK_EQ(f.request, 101);
        l = lab_log_in(&x.lab, "alice", "b");
        CHECK_EQ(l.code, CODE_OK);
        CHECK_EQ(caller_put(&c, &two), CODE_INVALID_ARGS);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

/* Whoever takes what is in the directory has nothing to try passwords with. */
TEST(the_keys_are_apart) {
        _cleanup_(freep) char *file = NULL;
        AccountLab x;
        struct stat st;
        User alice;
        Caller c;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        CHECK_OK(stat(x.dir, &st));
        CHECK_EQ(st.st_mode & 07777, 0700);
        file = fs_join(x.dir, "data.mdb");
        CHECK_OK(stat(file, &st));
        CHECK_EQ(st.st_mode & 07777, 0600);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}
