/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user asks about people, and how wrong use is answered. */

#include "test.h"

#include "chat-lab.h"

typedef struct Answer {
        unsigned n;
        bool failed;
        ChatError error;
} Answer;

static Answer answer;

static void on_done(void *userdata, const ChatError *error) {
        answer.n++;
        answer.failed = error;
        if (error)
                answer.error = *error;
}

static void on_id(void *userdata, const ChatError *error, const char *id) {
        on_done(userdata, error);
}

/* Whether it went well. */
static bool settled(ChatLab *l) {
        sim_run(&l->sim, USEC_PER_SEC);
        CHECK_EQ(answer.n, 1);
        answer.n = 0;
        return !answer.failed;
}

typedef void (*NameFn)(Chat *c, const char *name, ChatDoneFn fn, void *userdata);

static void add_contact(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        chat_add_contact(c, name, NULL, fn, userdata);
}

static void rename_contact(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        chat_rename_contact(c, name, "alias", fn, userdata);
}

static bool ask(ChatLab *l, NameFn fn, const char *name) {
        fn(l->chat, name, on_done, NULL);
        return settled(l);
}

static bool rename_to(ChatLab *l, const char *name, const char *alias) {
        chat_rename_contact(l->chat, name, alias, on_done, NULL);
        return settled(l);
}

static bool send_to(ChatLab *l, const char *to) {
        chat_send(l->chat, &(ChatSend){.to = to, .text = "hi"}, on_id, NULL);
        return settled(l);
}

static uint8_t flags_of(ChatLab *l, const char *name) {
        uint8_t account[KEY_SIZE];
        Contact c;

        CHECK_EQ(contact_resolve(store_write(l->store), name, account), 1);
        CHECK_EQ(contact_get(store_write(l->store), account, &c), 1);
        return c.flags;
}

static bool count_request(void *userdata, const ChatRequest *r) {
        (*(unsigned *)userdata)++;
        return true;
}

static unsigned count_requests(ChatLab *l) {
        unsigned n = 0;
        ChatError e;
        bool more;

        CHECK_OK(chat_list_requests(l->chat, NULL, 1000, count_request, &n, &more, &e));
        CHECK(!more);
        return n;
}

static const NameFn all[] = {
        chat_accept, chat_remove_contact, chat_block, chat_unblock, add_contact, rename_contact};

TEST(without_an_account_nobody_can_be_named) {
        unsigned n = 0;
        ChatError e;
        ChatLab l;
        bool more;

        chat_lab_begin(&l);
        chat_lab_start(&l);
        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                CHECK(!ask(&l, all[i], "bob"));
                CHECK_STR(answer.error.name, "NotLoggedIn");
        }
        CHECK(chat_list_requests(l.chat, NULL, 10, count_request, &n, &more, &e) < 0);
        CHECK_STR(e.name, "NotLoggedIn");
        chat_lab_free(&l);
}

TEST(bad_names_oneself_and_nobody_are_refused) {
        static const char *const bad[] = {"", "-a", "a b", "@", "@a", "b~ab", "~abcd", "\xff"};
        char self[BASE32_KEY_SIZE + 2] = "@", *longer;
        ChatLab l;

        chat_lab_new(&l);
        longer = calloc(1, 100001);
        CHECK(longer);
        memset(longer, 'a', 100000);
        base32_encode_key(sign_key_public(&account_identity(l.parts->account)->account), self + 1);
        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                for (size_t k = 0; k < ELEMENTSOF(bad); k++) {
                        CHECK(!ask(&l, all[i], bad[k]));
                        CHECK_STR(answer.error.name, "BadName");
                }
                CHECK(!ask(&l, all[i], longer));
                CHECK_STR(answer.error.name, "BadName");
                CHECK(!ask(&l, all[i], "alice"));
                CHECK_STR(answer.error.name, "InvalidArgs");
                CHECK(!ask(&l, all[i], self));
                CHECK_STR(answer.error.name, "InvalidArgs");
                CHECK(!ask(&l, all[i], "#room"));
                CHECK_STR(answer.error.name, "BadName");
                CHECK(!ask(&l, all[i], "bob~abcd"));
                CHECK_STR(answer.error.name, "UnknownPeer");
                CHECK(!ask(&l, all[i], "nobody"));
                CHECK_STR(answer.error.name,
                        all[i] == add_contact || all[i] == chat_block ? "TrackerUnreachable"
                                                                      : "UnknownPeer");
        }
        free(longer);
        chat_lab_free(&l);
}

TEST(a_request_is_accepted_or_declined) {
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_REQUEST, NULL);
        chat_lab_add_contact(&l, "carol", CONTACT_REQUEST, NULL);
        chat_lab_add_contact(&l, "dave", 0, NULL);
        CHECK_OK(store_commit(l.store));
        CHECK_EQ(count_requests(&l), 2);
        CHECK(ask(&l, chat_accept, "bob"));
        CHECK_EQ(flags_of(&l, "bob"), CONTACT_PINNED);
        CHECK(ask(&l, chat_accept, "bob"));
        CHECK_EQ(count_requests(&l), 1);
        CHECK(ask(&l, chat_remove_contact, "carol"));
        CHECK_EQ(flags_of(&l, "carol"), 0);
        CHECK_EQ(count_requests(&l), 0);
        CHECK(!ask(&l, chat_remove_contact, "carol"));
        CHECK_STR(answer.error.name, "UnknownPeer");
        CHECK(!ask(&l, chat_accept, "dave"));
        CHECK_STR(answer.error.name, "InvalidArgs");
        CHECK(ask(&l, add_contact, "dave")); /* known, though no directory answers */
        CHECK_EQ(flags_of(&l, "dave"), CONTACT_PINNED);
        CHECK(ask(&l, add_contact, "dave"));
        chat_lab_free(&l);
}

TEST(a_contact_is_renamed) {
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        chat_lab_add_contact(&l, "carol", CONTACT_PINNED, NULL);
        chat_lab_add_contact(&l, "dave", CONTACT_REQUEST, NULL);
        CHECK(rename_to(&l, "bob", "Uncle"));
        CHECK(send_to(&l, "uncle"));
        CHECK(send_to(&l, "bob"));
        CHECK(!rename_to(&l, "carol", "uncle"));
        CHECK_STR(answer.error.name, "NameTaken");
        CHECK(!rename_to(&l, "carol", "bob"));
        CHECK_STR(answer.error.name, "NameTaken");
        CHECK(!rename_to(&l, "carol", "alice"));
        CHECK_STR(answer.error.name, "NameTaken");
        CHECK(!rename_to(&l, "carol", "a b"));
        CHECK_STR(answer.error.name, "BadName");
        CHECK(!rename_to(&l, "carol", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        CHECK_STR(answer.error.name, "BadName");
        CHECK(!rename_to(&l, "dave", "x"));
        CHECK_STR(answer.error.name, "UnknownPeer");
        CHECK(rename_to(&l, "uncle", ""));
        CHECK(!send_to(&l, "uncle"));
        CHECK(rename_to(&l, "carol", "uncle"));
        chat_lab_free(&l);
}

TEST(who_still_gets_messages_is_not_removed) {
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        CHECK(send_to(&l, "bob"));
        CHECK(!ask(&l, chat_remove_contact, "bob"));
        CHECK_STR(answer.error.name, "NotAllowed");
        CHECK_EQ(flags_of(&l, "bob"), CONTACT_PINNED);
        chat_lab_free(&l);
}

TEST(a_block_comes_before_everything_and_ends) {
        char account[BASE32_KEY_SIZE +
                2] = "@",
                unknown[] = "@aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaa";
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_REQUEST, account + 1);
        CHECK(ask(&l, chat_block, "bob"));
        CHECK(ask(&l, chat_block, account));
        CHECK_EQ(count_requests(&l), 0);
        CHECK(!send_to(&l, "bob"));
        CHECK_STR(answer.error.name, "Blocked");
        CHECK(!send_to(&l, account));
        CHECK_STR(answer.error.name, "Blocked");
        CHECK(!ask(&l, chat_accept, "bob"));
        CHECK_STR(answer.error.name, "Blocked");
        CHECK(!ask(&l, add_contact, "bob"));
        CHECK_STR(answer.error.name, "Blocked");
        CHECK(ask(&l, chat_unblock, "bob"));
        CHECK(ask(&l, chat_unblock, "bob"));
        CHECK_EQ(count_requests(&l), 1);
        CHECK(send_to(&l, "bob"));

        CHECK(ask(&l, chat_block, unknown));
        CHECK_EQ(flags_of(&l, unknown), CONTACT_BLOCKED);
        CHECK(!send_to(&l, unknown));
        CHECK_STR(answer.error.name, "Blocked");
        CHECK(ask(&l, chat_unblock, unknown));
        CHECK(!ask(&l, chat_unblock, unknown));
        CHECK_STR(answer.error.name, "UnknownPeer");
        chat_lab_free(&l);
}

TEST(a_name_of_several_is_answered_with_those_who_have_it) {
        char first[BASE32_KEY_SIZE + 1], second[BASE32_KEY_SIZE + 1], text[64];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_learn(&l, "bob", CONTACT_REQUEST, false, first);
        chat_lab_learn(&l, "bob", CONTACT_REQUEST, false, second);
        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                CHECK(!ask(&l, all[i], "bob"));
                CHECK_STR(answer.error.name, "AmbiguousName");
                snprintf(text, sizeof(text), "bob~%.4s", first);
                CHECK(strstr(answer.error.text, text));
                snprintf(text, sizeof(text), "bob~%.4s", second);
                CHECK(strstr(answer.error.text, text));
        }
        CHECK(!send_to(&l, "bob"));
        CHECK_STR(answer.error.name, "AmbiguousName");
        CHECK(ask(&l, chat_accept, text));
        CHECK(send_to(&l, "bob")); /* the one who is a contact now */
        chat_lab_free(&l);
}

/* Names that point elsewhere */

static void confirm_numbers(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        chat_set_verified(c, name, true, fn, userdata);
}

typedef struct Heard {
        unsigned changed, kept;
        char other[BASE32_KEY_SIZE + 1];
} Heard;

static void on_event(void *userdata, const ChatEvent *e) {
        Heard *h = userdata;

        if (!e->key)
                return;
        CHECK_EQ(e->kind, CHAT_EVENT_PEER);
        CHECK_STR(e->name, "bob");
        CHECK(!e->key_changed == !e->other_account);
        h->changed += e->key_changed;
        h->kept += !e->key_changed;
        if (e->other_account)
                snprintf(h->other, sizeof(h->other), "%s", e->other_account);
}

static void on_properties_changed(void *userdata, unsigned properties) {
}

static void on_object_changed(void *userdata, const char *account, ChatObjectChange change) {
}

static const ChatListener listener = {
        .event = on_event,
        .properties_changed = on_properties_changed,
        .object_changed = on_object_changed,
};

static unsigned count_problems(ChatLab *l) {
        ChatStatus s;
        unsigned n = 0;

        chat_status(l->chat, &s);
        while (s.problems[n])
                n++;
        return n;
}

TEST(a_name_that_points_elsewhere_is_told_and_decided_about) {
        char bob[BASE32_KEY_SIZE + 2] = "@", text[64], other[BASE32_KEY_SIZE + 1];
        uint8_t account[KEY_SIZE], rival[KEY_SIZE];
        Heard h = {};
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_stop(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, bob + 1);
        CHECK_OK(store_commit(l.store));
        chat_lab_start(&l);
        CHECK_OK(base32_decode_key(bob + 1, BASE32_KEY_SIZE, account));
        loop_random(l.sim.loop, rival, sizeof(rival));
        base32_encode_key(rival, other);
        chat_add_listener(l.chat, &listener, &h);
        CHECK_EQ(count_problems(&l), 0);
        chat_on_named(l.chat, "bob", rival);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(h.changed, 1);
        CHECK_STR(h.other, other);
        CHECK_EQ(count_problems(&l), 1);
        CHECK(chat_get_object(l.chat, bob + 1)->key_changed);
        CHECK_STR(chat_get_object(l.chat, bob + 1)->other_account, other);
        CHECK(!send_to(&l, "bob"));
        CHECK_STR(answer.error.name, "KeyChanged");
        CHECK(strstr(answer.error.text, other));
        CHECK(!ask(&l, add_contact, "BOB"));
        CHECK_STR(answer.error.name, "KeyChanged");
        CHECK(send_to(&l, bob));
        snprintf(text, sizeof(text), "bob~%.4s", bob + 1);
        CHECK(send_to(&l, text));

        CHECK(ask(&l, chat_accept, "bob"));
        CHECK_EQ(h.kept, 1);
        CHECK_EQ(count_problems(&l), 0);
        CHECK(send_to(&l, "bob"));
        chat_on_named(l.chat, "bob", rival); /* which is decided */
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(h.changed, 1);
        rival[0]++;
        chat_on_named(l.chat, "bob", rival);
        chat_on_named(l.chat, "bob", account);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(h.changed, 2);
        CHECK_EQ(h.kept, 2);
        rival[0]++;
        chat_on_named(l.chat, "bob", rival);
        CHECK(ask(&l, confirm_numbers, "bob"));
        CHECK_EQ(h.changed, 3);
        CHECK_EQ(h.kept, 3);
        CHECK(send_to(&l, "bob"));
        chat_lab_free(&l);
}

TEST(a_message_that_was_accepted_is_so_whatever_becomes_of_the_name) {
        static const char id[] = "018f0000-0000-7000-8000-000000000001";
        ChatSend args = {.to = "bob", .text = "hi", .id = id};
        uint8_t rival[KEY_SIZE];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        chat_send(l.chat, &args, on_id, NULL);
        CHECK(settled(&l));
        loop_random(l.sim.loop, rival, sizeof(rival));
        chat_on_named(l.chat, "bob", rival);
        chat_send(l.chat, &args, on_id, NULL);
        CHECK(settled(&l));
        CHECK(!send_to(&l, "bob"));
        chat_lab_free(&l);
}

TEST(who_was_removed_has_no_right_to_a_name_that_became_anothers) {
        uint8_t rival[KEY_SIZE];
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        loop_random(l.sim.loop, rival, sizeof(rival));
        chat_on_named(l.chat, "bob", rival);
        CHECK(ask(&l, chat_remove_contact, "bob"));
        CHECK_EQ(count_problems(&l), 0);
        CHECK(!send_to(&l, "bob"));
        CHECK_STR(answer.error.name, "TrackerUnreachable");
        CHECK(!ask(&l, add_contact, "bob"));
        CHECK_STR(answer.error.name, "TrackerUnreachable");
        chat_lab_free(&l);
}
