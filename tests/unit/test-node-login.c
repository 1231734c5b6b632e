/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Passwords that are tried: what a tracker says to whom, and how often. */

#include "account-lab.h"

#define PASSWORD "correct horse"

static void check_refused(const LoggedIn *l, Code code) {
        CHECK_EQ(l->code, code);
        CHECK(strlen(l->text) > 10);
}

TEST(who_knows_the_password_is_given_the_account) {
        AccountLab x;
        LoggedIn l;
        User alice;
        Caller c, d;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        caller_new(&x.lab, NULL, &d);
        l = caller_log_in(&d, "alice", NULL, PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        CHECK(memcmp(l.backup.seed, sign_key_seed(&alice.account), KEY_SIZE) == 0);
        CHECK_STR(l.backup.name, "alice");
        CHECK(key_equal(l.record.account, user_account(&alice)));
        CHECK_EQ(l.statement.memory, LAB_MEMORY);
        l = caller_log_in(&d, NULL, user_account(&alice), PASSWORD); /* the same session again */
        CHECK_EQ(l.code, CODE_OK);
        l = caller_log_in(&c, "alice", NULL, PASSWORD); /* and one that is logged in */
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        account_lab_free(&x);
}

/* Wrong, unknown, without a password: nothing in the answers tells them apart. */
TEST(wrong_and_unknown_look_alike) {
        AccountLab x;
        User alice, bob;
        Caller c, d, e;
        Asked wrong, without, by_account, unknown, again, other;
        LoggedIn l, m;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        member_new(&x.lab, "bob", &bob, &d); /* has none */
        caller_new(&x.lab, NULL, &e);

        CHECK_EQ(caller_ask(&e, "alice", NULL, "wrong", &wrong), CODE_OK);
        l = caller_log_in_after(&e, &wrong);
        check_refused(&l, CODE_BAD_PASSWORD);
        CHECK_EQ(caller_ask(&e, "bob", NULL, "wrong", &without), CODE_OK);
        m = caller_log_in_after(&e, &without);
        check_refused(&m, CODE_BAD_PASSWORD);
        CHECK_STR(m.text, l.text);
        CHECK_EQ(m.retry_after, l.retry_after);
        CHECK_EQ(caller_ask(&e, "mallory", NULL, "wrong", &unknown), CODE_OK);
        m = caller_log_in_after(&e, &unknown);
        check_refused(&m, CODE_BAD_PASSWORD);
        CHECK_STR(m.text, l.text);

        /* Parameters are the same, ids are random, and stay. */
        CHECK_EQ(wrong.answer.memory, without.answer.memory);
        CHECK_EQ(wrong.answer.memory, unknown.answer.memory);
        CHECK_EQ(wrong.answer.passes, unknown.answer.passes);
        CHECK(wrong.answer.key_id > UINT32_MAX && unknown.answer.key_id > UINT32_MAX);
        CHECK(unknown.answer.key_id != without.answer.key_id);
        CHECK_EQ(caller_ask(&e, "mallory", NULL, "wrong", &again), CODE_OK);
        CHECK_EQ(again.answer.key_id, unknown.answer.key_id);
        CHECK(memcmp(&again.keys, &unknown.keys, sizeof(again.keys)) == 0);
        CHECK_EQ(caller_ask(&e, "mallory", NULL, "wrong too", &again), CODE_OK);
        CHECK(memcmp(&again.keys, &unknown.keys, sizeof(again.keys)) != 0);
        CHECK_EQ(caller_ask(&e, "marvin", NULL, "wrong", &other), CODE_OK);
        CHECK(other.answer.key_id != unknown.answer.key_id);
        CHECK(memcmp(&other.keys, &unknown.keys, sizeof(other.keys)) != 0);

        /* A name that leads to an account answers as the account does. */
        CHECK_EQ(caller_ask(&e, NULL, user_account(&bob), "wrong", &by_account), CODE_OK);
        CHECK_EQ(by_account.answer.key_id, without.answer.key_id);
        CHECK(memcmp(&by_account.keys, &without.keys, sizeof(without.keys)) == 0);
        caller_free(&c);
        caller_free(&d);
        caller_free(&e);
        user_done(&alice);
        user_done(&bob);
        account_lab_free(&x);
}

/* Not when it is made, which takes a little longer in one case or another. */
TEST(an_answer_waits_for_its_time) {
        static const char *const names[] = {"alice", "mallory"};
        uint8_t signature[SIGNATURE_SIZE];
        AccountLab x;
        User alice;
        LoggedIn l;
        Caller c, d;
        Asked a;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        x.lab.limits.password_time = 20 * USEC_PER_SEC;
        for (size_t i = 0; i < 4; i++) {
                lab_stand_still(&x.lab, false);
                caller_new(&x.lab, NULL, &d);
                lab_stand_still(&x.lab, true);
                asked_begin(&a, &x.lab, names[i % 2], NULL, i == 0 ? PASSWORD : "wrong");
                asked_send(&a, &d);
                caller_sync(&d); /* it has come, and what came after it was answered */
                lab_advance(&x.lab, 10 * USEC_PER_SEC);
                caller_sync(&d);
                CHECK(!caller_has(&d, FRAME_OK));
                lab_advance(&x.lab, 10 * USEC_PER_SEC);
                CHECK_EQ(asked_take(&a, &d), CODE_OK);
                caller_sign(&d, NULL, &a, signature);
                caller_send_signature(&d, signature);
                caller_sync(&d);
                lab_advance(&x.lab, 10 * USEC_PER_SEC);
                caller_sync(&d);
                CHECK(!caller_has(&d, FRAME_OK) && !caller_has(&d, FRAME_ERROR));
                if (i == 3) { /* who does not wait */
                        caller_free(&d);
                        break;
                }
                lab_advance(&x.lab, 10 * USEC_PER_SEC);
                l = caller_take_login(&d, &a);
                CHECK_EQ(l.code, i == 0 ? CODE_OK : CODE_BAD_PASSWORD);
                caller_free(&d);
        }
        lab_advance(&x.lab, 10 * USEC_PER_SEC);
        lab_settle(&x.lab);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(what_stands_for_nobody_stays_after_a_restart) {
        AccountLab x;
        Asked a, b;
        Caller c;

        account_lab_new(&x);
        caller_new(&x.lab, NULL, &c);
        CHECK_EQ(caller_ask(&c, "mallory", NULL, "wrong", &a), CODE_OK);
        caller_free(&c);
        account_lab_stop(&x);
        account_lab_start(&x);
        caller_new(&x.lab, NULL, &c);
        CHECK_EQ(caller_ask(&c, "mallory", NULL, "wrong", &b), CODE_OK);
        CHECK_EQ(a.answer.key_id, b.answer.key_id);
        CHECK(memcmp(&a.keys, &b.keys, sizeof(a.keys)) == 0);
        caller_free(&c);
        account_lab_free(&x);
}

/* NAME is tried eleven times. */
static void check_throttled(AccountLab *x, Caller *c, const char *name, const char *password) {
        Asked first, last;
        LoggedIn l;

        for (unsigned i = 0; i < 10; i++) {
                CHECK_EQ(caller_ask(c, name, NULL, "wrong", i == 0 ? &first : &last), CODE_OK);
                l = caller_log_in_after(c, i == 0 ? &first : &last);
                check_refused(&l, CODE_BAD_PASSWORD);
        }
        CHECK(memcmp(&first.keys, &last.keys, sizeof(first.keys)) == 0);
        CHECK_EQ(caller_ask(c, name, NULL, "wrong", &last), CODE_OK);
        CHECK_EQ(last.answer.key_id, first.answer.key_id);
        CHECK_EQ(last.answer.memory, first.answer.memory);
        CHECK(memcmp(&first.keys, &last.keys, sizeof(first.keys)) != 0); /* nothing is learned */
        l = caller_log_in_after(c, &last);
        check_refused(&l, CODE_RATE_LIMITED);
        CHECK_EQ(l.retry_after, 6 * 60);
        l = caller_log_in(c, name, NULL, password); /* not even with the right one */
        check_refused(&l, CODE_RATE_LIMITED);
}

TEST(who_guesses_is_throttled) {
        AccountLab x;
        LoggedIn l;
        User alice;
        Caller c, d;

        account_lab_new(&x);
        lab_stand_still(&x.lab, true);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        caller_free(&c);
        caller_new(&x.lab, NULL, &c);
        check_throttled(&x, &c, "alice", PASSWORD);
        check_throttled(&x, &c, "mallory", PASSWORD); /* who is not there is counted as well */
        caller_free(&c);
        caller_new(&x.lab, NULL, &d); /* another session, the same address */
        l = caller_log_in(&d, NULL, user_account(&alice), PASSWORD);
        check_refused(&l, CODE_RATE_LIMITED);
        caller_free(&d);
        lab_come_from(&x.lab, 2);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        x.lab.peer = NULL;
        lab_advance(&x.lab, 7 * USEC_PER_MINUTE);
        l = lab_log_in(&x.lab, "alice", "wrong");
        check_refused(&l, CODE_BAD_PASSWORD);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        check_refused(&l, CODE_RATE_LIMITED);
        lab_advance(&x.lab, 7 * USEC_PER_MINUTE);
        for (unsigned i = 0; i < 30; i++) { /* each is given back */
                l = lab_log_in(&x.lab, "alice", PASSWORD);
                CHECK_EQ(l.code, CODE_OK);
        }
        user_done(&alice);
        account_lab_free(&x);
}

TEST(a_source_may_try_sixty_names) {
        unsigned refused = 0;
        char name[NAME_SIZE];
        AccountLab x;
        Caller c;

        account_lab_new(&x);
        lab_stand_still(&x.lab, true);
        caller_new(&x.lab, NULL, &c);
        for (unsigned i = 0; i < 70; i++) {
                LoggedIn l;

                snprintf(name, sizeof(name), "user%u", i);
                l = caller_log_in(&c, name, NULL, "1234");
                CHECK(l.code == CODE_BAD_PASSWORD || l.code == CODE_RATE_LIMITED);
                refused += l.code == CODE_RATE_LIMITED;
        }
        CHECK_EQ(refused, 10);
        caller_free(&c);
        account_lab_free(&x);
}

/* As many as there may be, ten from each address. */
static unsigned guess_from_elsewhere(AccountLab *x, unsigned sources) {
        unsigned limited = 0;

        for (unsigned i = 0; i < sources; i++) {
                Caller c;

                lab_come_from(&x->lab, 1000 + i);
                caller_new(&x->lab, NULL, &c);
                for (unsigned k = 0; k < 10; k++) {
                        LoggedIn l = caller_log_in(&c, "alice", NULL, "guess");

                        CHECK(l.code == CODE_BAD_PASSWORD || l.code == CODE_RATE_LIMITED);
                        limited += l.code == CODE_RATE_LIMITED;
                }
                caller_free(&c);
        }
        return limited;
}

TEST(guessing_locks_nobody_out_who_lately_succeeded) {
        AccountLab x;
        LoggedIn l;
        User alice;
        Caller c;

        account_lab_new(&x);
        lab_stand_still(&x.lab, true);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        caller_free(&c);
        lab_come_from(&x.lab, 1);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        lab_settle(&x.lab); /* without a clock batches end when nothing else is to be done */
        CHECK_EQ(guess_from_elsewhere(&x, 100), 900);
        lab_come_from(&x.lab, 1);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        lab_come_from(&x.lab, 2); /* who comes from where he never was has to wait */
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        check_refused(&l, CODE_RATE_LIMITED);

        account_lab_stop(&x); /* it is on disk */
        account_lab_start(&x);
        CHECK_EQ(guess_from_elsewhere(&x, 12), 20);
        lab_come_from(&x.lab, 1);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        lab_advance(&x.lab, 31 * USEC_PER_DAY); /* and is forgotten */
        CHECK_EQ(guess_from_elsewhere(&x, 12), 20);
        lab_come_from(&x.lab, 1);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        check_refused(&l, CODE_RATE_LIMITED);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(a_login_is_of_its_connection_and_of_one_evaluation) {
        uint8_t signature[SIGNATURE_SIZE];
        AccountLab x;
        Asked a, b;
        LoggedIn l;
        User alice;
        Caller c, d;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        caller_free(&c);
        caller_new(&x.lab, NULL, &c);
        caller_new(&x.lab, NULL, &d);
        caller_send_signature(&c, (uint8_t[SIGNATURE_SIZE]){});
        l = caller_take_login(&c, &a);
        check_refused(&l, CODE_NOT_ALLOWED); /* nothing was asked */

        CHECK_EQ(caller_ask(&c, "alice", NULL, PASSWORD, &a), CODE_OK);
        caller_sign(&c, &d, &a, signature); /* of another connection */
        caller_send_signature(&c, signature);
        l = caller_take_login(&c, &a);
        check_refused(&l, CODE_BAD_PASSWORD);
        l = caller_log_in_after(&c, &a); /* that was the one try */
        check_refused(&l, CODE_NOT_ALLOWED);

        CHECK_EQ(caller_ask(&c, "alice", NULL, PASSWORD, &a), CODE_OK);
        CHECK_EQ(caller_ask(&c, "mallory", NULL, PASSWORD, &b), CODE_OK);
        l = caller_log_in_after(&c, &a); /* the last one is what counts */
        check_refused(&l, CODE_BAD_PASSWORD);
        CHECK_EQ(caller_ask(&c, "alice", NULL, PASSWORD, &a), CODE_OK);
        CHECK_EQ(caller_ask(&c, NULL, user_account(&alice), PASSWORD, &b), CODE_OK);
        l = caller_log_in_after(&c, &a); /* as it was asked for */
        check_refused(&l, CODE_BAD_PASSWORD);
        l = caller_log_in(&c, "alice", NULL, PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        account_lab_free(&x);
}

/* Elements that are none: the whole range of bytes does not end a session. */
TEST(what_is_no_element_is_refused) {
        static const uint8_t elements[][ACCOUNT_ELEMENT_SIZE] = {
                {0}, /* the identity */
                {[0 ... 31] = 0xff}, {1},
                {0xed, [1 ... 30] = 0xff, [31] = 0x7f}, /* not canonical */
        };
        AccountLab x;
        User alice;
        Caller c;
        LoggedIn l;
        Asked a;

        account_lab_new(&x);
        lab_stand_still(&x.lab, true);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        for (size_t i = 0; i < ELEMENTSOF(elements); i++)
                for (int k = 0; k < 3; k++) {
                        const char *name = k == 0 ? "alice" : k == 1 ? "mallory" : NULL;

                        asked_begin(&a, &x.lab, name, user_account(&alice), PASSWORD);
                        a.request.enrol = k == 2;
                        memcpy(a.request.blinded, elements[i], ACCOUNT_ELEMENT_SIZE);
                        asked_send(&a, &c);
                        CHECK_EQ(asked_take(&a, &c), CODE_INVALID_ARGS);
                        l = caller_log_in_after(&c, &a);
                        check_refused(&l, CODE_NOT_ALLOWED);
                }
        for (unsigned i = 0; i < 20; i++) { /* that was no try */
                asked_begin(&a, &x.lab, "alice", NULL, PASSWORD);
                memcpy(a.request.blinded, elements[0], ACCOUNT_ELEMENT_SIZE);
                asked_send(&a, &c);
                CHECK_EQ(asked_take(&a, &c), CODE_INVALID_ARGS);
        }
        l = caller_log_in(&c, "alice", NULL, PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        caller_free(&c);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(a_frame_that_is_not_what_it_says_ends_the_session) {
        static const FrameType types[] = {FRAME_OPRF, FRAME_LOGIN, FRAME_ACCOUNT};
        AccountLab x;

        account_lab_new(&x);
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                Caller c;

                caller_new(&x.lab, NULL, &c);
                caller_sent(&c, frame_put_empty(conn_output(c.conn), types[i], 1));
                CHECK_EQ(caller_bye(&c), CODE_INVALID_ARGS);
                caller_free(&c);
        }
        account_lab_free(&x);
}

/* They are the frames of a session as well, and cost more than others. */
TEST(who_asks_without_end_is_refused) {
        Code code = CODE_OK;
        unsigned n = 0;
        AccountLab x;
        Caller c;
        Asked a;

        account_lab_new(&x);
        lab_stand_still(&x.lab, true);
        caller_new(&x.lab, NULL, &c);
        for (; code == CODE_OK && n < 1000; n++)
                code = caller_ask(&c, "mallory", NULL, "guess", &a);
        CHECK_EQ(code, CODE_RATE_LIMITED);
        CHECK(n > 200 && n < 230);
        lab_stand_still(&x.lab, false);
        caller_sync(&c); /* the session goes on */
        caller_free(&c);
        account_lab_free(&x);
}

/* Everybody may keep his name and his password though nobody has seen him for half a year. */
TEST(a_record_that_has_expired_still_logs_in) {
        AccountLab x;
        LoggedIn l;
        User alice;
        Caller c;

        account_lab_new(&x);
        account_new(&x.lab, "alice", PASSWORD, &alice, &c);
        caller_free(&c);
        lab_advance(&x.lab, 200 * USEC_PER_DAY);
        l = lab_log_in(&x.lab, "alice", PASSWORD);
        CHECK_EQ(l.code, CODE_OK);
        user_done(&alice);
        account_lab_free(&x);
}

TEST(without_keys_nothing_is_evaluated) {
        uint8_t nothing[SIGNATURE_SIZE] = {};
        Caller c;
        Asked a;
        Frame f;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        CHECK_EQ(caller_ask(&c, "alice", NULL, PASSWORD, &a), CODE_NOT_SUPPORTED);
        caller_send_signature(&c, nothing);
        f = caller_answer(&c);
        CHECK_EQ(frame_code(&f), CODE_NOT_SUPPORTED);
        caller_sent(&c, account_encode(conn_output(c.conn), ++c.last_request, text_bytes("x")));
        f = caller_answer(&c);
        CHECK_EQ(frame_code(&f), CODE_NOT_SUPPORTED);
        caller_free(&c);
        lab_free(&lab);
}
