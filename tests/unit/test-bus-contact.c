/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Contacts, requests and blocks on the bus. */

#include "bus-fixture.h"

TEST(calls_of_one_name_are_answered_when_chat_says_so) {
        static const char *const calls[][2] = {
                {"Accept", "accept|bob|-|-"},
                {"RemoveContact", "remove|bob|-|-"},
                {"Block", "block|bob|-|-"},
                {"Unblock", "unblock|bob|-|-"},
        };

        set_up();
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                FakeCall c;

                call_until_open(CALL(calls[i][0], "sa{sv}", "bob", 1, "other", "s", "ignored"));
                CHECK_STR(f->chat.asked, calls[i][1]);
                settle();
                CHECK_EQ(f->n_replies, i);
                c = take_open();
                c.done(c.userdata, NULL);
                settle();
                CHECK_EQ(f->n_replies, i + 1);
                check_empty_answer();
        }
        f->chat.refuse = true;
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                call_wait(CALL(calls[i][0], "sa{sv}", "", 0));
                check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        }
        tear_down();
}

TEST(add_and_rename_hand_their_second_words_on) {
        FakeCall c;

        set_up();
        call_until_open(CALL("AddContact", "sa{sv}", "bob", 0));
        CHECK_STR(f->chat.asked, "add|bob|-|-");
        call_until_open(CALL("AddContact", "sa{sv}", "bob", 1, "at", "s", "h:1#k"));
        CHECK_STR(f->chat.asked, "add|bob|h:1#k|-");
        call_until_open(CALL("RenameContact", "ssa{sv}", "bob", "", 0));
        CHECK_STR(f->chat.asked, "rename|bob||-");
        while (f->chat.n_open > 0) {
                c = take_open();
                c.done(c.userdata, &fake_refusal);
        }
        settle();
        CHECK_EQ(f->n_replies, 3);
        call_wait(CALL("AddContact", "sa{sv}", "bob", 1, "at", "u", 5));
        check_error(BUS_ERROR_PREFIX "InvalidArgs", "'at'");
        tear_down();
}

static const ChatRequest strangers[] = {
        {"eve", "eeee", "hi", 5, 2},
        {"mallory~mmmm", "mmmm", NULL, 0, 0},
};

TEST(requests_are_listed_in_pages) {
        set_up();
        f->chat.requests = strangers;
        f->chat.n_requests = 2;
        call_wait(CALL("ListRequests", "a{sv}", 1, "after", "s", "dave"));
        CHECK_STR(f->chat.asked, "requests|dave|-|-");
        CHECK_STR(row_key("name"), "eve");
        CHECK_STR(row_key("account"), "eeee");
        CHECK_STR(row_key("text"), "hi");
        CHECK_STR(row_key("received"), "t5");
        CHECK_STR(row_key("messages"), "u2");
        f->chat.requests = &strangers[1];
        f->chat.n_requests = 1;
        call_wait(CALL("ListRequests", "a{sv}", 0));
        CHECK_STR(row_key("name"), "mallory~mmmm");
        CHECK(!row_key("text"));
        CHECK(!row_key("received"));
        f->chat.refuse = true;
        call_wait(CALL("ListRequests", "a{sv}", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        call_wait(CALL("ListRequests", "a{sv}", 1, "limit", "u", 0));
        check_error(BUS_ERROR_PREFIX "InvalidArgs", "limit");
        tear_down();
}

static void tell(const ChatEvent *e) {
        unsigned n = f->n_signals;

        f->chat.listener->event(f->chat.listener_userdata, e);
        while (f->n_signals == n)
                turn();
}

TEST(a_request_is_a_signal_and_a_row) {
        const ChatMessage m = {.id = "the-id",
                .from = "eve",
                .to = "bob",
                .from_account = "eeee",
                .text = "hi",
                .kind = "text",
                .state = "received",
                .received = 5};
        const ChatEvent e = {
                .kind = CHAT_EVENT_REQUEST, .cursor = 7, .message = &m, .account = "eeee"};
        const char *name, *text;

        set_up();
        tell(&e);
        CHECK_STR(sd_bus_message_get_member(f->signal), "RequestReceived");
        CHECK(sd_bus_message_read(f->signal, "ss", &name, &text) > 0);
        CHECK_STR(name, "eve");
        CHECK_STR(text, "hi");
        CHECK_STR(find_key(f->signal, "account"), "eeee");
        f->chat.events = &e;
        f->chat.n_events = 1;
        call_wait(CALL("ListEvents", "tua{sv}", (uint64_t)0, 10, 0));
        CHECK_STR(row_key("event"), "RequestReceived");
        CHECK_STR(row_key("name"), "eve");
        CHECK_STR(row_key("text"), "hi");
        CHECK_STR(row_key("id"), "the-id");
        CHECK_STR(row_key("cursor"), "t7");
        f->chat.events = NULL;
        tear_down();
}

TEST(a_changed_key_is_said_and_so_is_its_end) {
        ChatEvent e = {.kind = CHAT_EVENT_PEER,
                .cursor = 7,
                .name = "bob",
                .account = "bbbb",
                .presence = "offline",
                .key = true,
                .key_changed = true,
                .other_account = "oooo"};

        set_up();
        tell(&e);
        CHECK_STR(sd_bus_message_get_member(f->signal), "PeerChanged");
        f->chat.events = &e;
        f->chat.n_events = 1;
        call_wait(CALL("ListEvents", "tua{sv}", (uint64_t)0, 10, 0));
        CHECK_STR(row_key("key-changed"), "true");
        CHECK_STR(row_key("other-account"), "oooo");
        e.key_changed = false;
        e.other_account = NULL;
        call_wait(CALL("ListEvents", "tua{sv}", (uint64_t)0, 10, 0));
        CHECK_STR(row_key("key-changed"), "false");
        CHECK(!row_key("other-account"));
        e.key = false;
        call_wait(CALL("ListEvents", "tua{sv}", (uint64_t)0, 10, 0));
        CHECK(!row_key("key-changed"));
        f->chat.events = NULL;
        tear_down();
}
