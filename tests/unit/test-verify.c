/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Safety numbers: whose they are, and that somebody was verified. */

#include "test.h"

#include "answer.h"
#include "crypto/safety-number.h"

static ChatVerification verify(ChatLab *l, const char *name) {
        ChatVerification v = {};
        ChatError e;

        CHECK_OK(chat_verify(l->chat, name, &v, &e));
        return v;
}

/* The name of the error, or NULL. */
static const char *set_verified(ChatLab *l, const char *name, bool verified) {
        Answer a = {};

        chat_set_verified(l->chat, name, verified, on_answer, &a);
        sim_run(&l->sim, USEC_PER_SEC);
        CHECK_EQ(a.n, 1);
        return a.error;
}

/* Bob's account, and those of two people of one name, as a user writes them. */
typedef struct People {
        char bob[BASE32_KEY_SIZE + 1], carol[2][BASE32_KEY_SIZE + 2];
} People;

static void lab_with_people(ChatLab *l, People *ret) {
        chat_lab_new(l);
        chat_lab_stop(l);
        chat_lab_add_contact(l, "bob", CONTACT_PINNED, ret->bob);
        for (size_t i = 0; i < 2; i++) {
                ret->carol[i][0] = '@';
                chat_lab_learn(l, "carol", 0, i == 0, ret->carol[i] + 1);
        }
        CHECK_OK(store_commit(l->store));
        chat_lab_start(l);
}

TEST(the_number_is_of_both_accounts) {
        uint8_t alice[KEY_SIZE], bob[KEY_SIZE];
        char want[SAFETY_NUMBER_SIZE + 1];
        ChatStatus s;
        People p;
        ChatLab l;

        lab_with_people(&l, &p);
        chat_status(l.chat, &s);
        CHECK_OK(base32_decode_key(s.account, strlen(s.account), alice));
        CHECK_OK(base32_decode_key(p.bob, strlen(p.bob), bob));
        safety_number(bob, alice, want);
        CHECK_STR(verify(&l, "Bob").safety_number, want);
        CHECK(!streq(verify(&l, "carol").safety_number, want));
        CHECK_STR(verify(&l, p.carol[0]).safety_number, verify(&l, "carol").safety_number);
        CHECK(!streq(verify(&l, p.carol[1]).safety_number, verify(&l, "carol").safety_number));
        chat_lab_free(&l);
}

TEST(who_was_verified_is_shown_so_until_it_is_taken_back) {
        const char *news[CHAT_OBJECT_NEWS_MAX + 1];
        People p;
        ChatLab l;

        lab_with_people(&l, &p);
        CHECK(!verify(&l, "bob").verified);
        CHECK(chat_object_news(l.chat, p.bob, news) > 0);
        for (unsigned i = 0; i < 2; i++) /* again: nothing more */
                CHECK(!set_verified(&l, "bob", true));
        CHECK(verify(&l, "bob").verified);
        CHECK_EQ(chat_object_news(l.chat, p.bob, news), 1);
        CHECK_STR(news[0], "Verified");
        chat_lab_stop(&l);
        chat_lab_start(&l);
        CHECK(verify(&l, "bob").verified);
        CHECK(chat_get_object(l.chat, p.bob)->verified);
        CHECK(chat_get_object(l.chat, p.bob)->contact);

        CHECK(!set_verified(&l, "bob", false));
        CHECK(!verify(&l, "bob").verified);
        CHECK(!chat_get_object(l.chat, p.bob)->verified);
        CHECK(chat_get_object(l.chat, p.bob)->contact);
        chat_lab_free(&l);
}

TEST(another_account_of_the_same_name_is_not_verified) {
        People p;
        ChatLab l;

        lab_with_people(&l, &p);
        CHECK(!set_verified(&l, "carol", true));
        CHECK(verify(&l, p.carol[0]).verified);
        CHECK(!verify(&l, p.carol[1]).verified);
        CHECK(!verify(&l, "bob").verified);
        chat_lab_free(&l);
}

TEST(who_is_not_known_has_no_number) {
        static const struct {
                const char *name, *error;
        } cases[] = {
                {"dave", "UnknownPeer"},
                {"bob~zzzz", "UnknownPeer"},
                {"@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "UnknownPeer"},
                {"alice", "InvalidArgs"}, /* oneself */
                {"-", "BadName"},
                {"#room", "BadName"},
        };
        ChatVerification v;
        ChatError e;
        Answer a = {};
        People p;
        ChatLab l;

        lab_with_people(&l, &p);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CHECK(chat_verify(l.chat, cases[i].name, &v, &e) < 0);
                CHECK_STR(e.name, cases[i].error);
                CHECK_STR(set_verified(&l, cases[i].name, true), cases[i].error);
        }
        chat_logout(l.chat, on_answer, &a);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK(chat_verify(l.chat, "bob", &v, &e) < 0);
        CHECK_STR(e.name, "NotLoggedIn");
        CHECK_STR(set_verified(&l, "bob", true), "NotLoggedIn");
        chat_lab_free(&l);
}
