/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Lists that the D-Bus API answers: their rows, and where they end. */

#include "bus-fixture.h"

#define PAGED_TEXT_SIZE 60000
#define PAGED_MESSAGES 200

static void check_limits(const char *member, const char *signature) {
        for (uint32_t limit = 0; limit <= 1001; limit += 1001) {
                sd_bus_message *m = call_new(BUS_INTERFACE, member);

                if (*signature)
                        CHECK(sd_bus_message_append(m, signature, "bob") >= 0);
                CHECK(sd_bus_message_append(m, "a{sv}", 1, "limit", "u", limit) >= 0);
                call_wait(m);
                check_error(BUS_ERROR_PREFIX "InvalidArgs", "'limit' must be from 1 to 1000");
        }
}

TEST(limits_out_of_range_are_refused) {
        set_up();
        check_limits("ListMessages", "s");
        check_limits("ListConversations", "");
        check_limits("ListPeers", "");
        CHECK_EQ(f->chat.n_calls, 0);
        tear_down();
}

TEST(messages_have_the_keys_of_the_contract) {
        static const ChatMessage m = {.id = "i",
                .from = "alice",
                .to = "bob",
                .from_account = "aaaa",
                .to_account = "bbbb",
                .text = "hi",
                .kind = "text",
                .state = "failed",
                .reason = "too late",
                .sent = 5,
                .received = 6,
                .gap_before = 3,
                .late = true};

        set_up();
        f->chat.messages = &m;
        f->chat.n_messages = 1;
        call_wait(CALL("ListMessages", "sa{sv}", "bob", 0));
        CHECK_STR(row_key("id"), "i");
        CHECK_STR(row_key("from"), "alice");
        CHECK_STR(row_key("to"), "bob");
        CHECK_STR(row_key("from-account"), "aaaa");
        CHECK_STR(row_key("to-account"), "bbbb");
        CHECK_STR(row_key("text"), "hi");
        CHECK_STR(row_key("kind"), "text");
        CHECK_STR(row_key("state"), "failed");
        CHECK_STR(row_key("reason"), "too late");
        CHECK_STR(row_key("sent"), "t5");
        CHECK_STR(row_key("received"), "t6");
        CHECK_STR(row_key("gap-before"), "u3");
        CHECK_STR(row_key("late"), "true");
        CHECK(!row_key("room") && !row_key("stored") && !row_key("expires"));
        CHECK(!row_key("clock-ahead") && !row_key("old-device") && !row_key("reply-to"));
        CHECK(sd_bus_message_at_end(f->reply, false) > 0);
        tear_down();
}

TEST(a_refused_list_is_an_error) {
        set_up();
        f->chat.refuse = true;
        call_wait(CALL("ListMessages", "sa{sv}", "nobody", 0));
        check_error(BUS_ERROR_PREFIX "UnknownPeer", fake_refusal.text);
        tear_down();
}

static char ids[2048][8];
static ChatMessage history[2048];

static void make_history(size_t n, const char *text) {
        for (size_t i = 0; i < n; i++) {
                snprintf(ids[i], sizeof(ids[i]), "%05zu", i);
                history[i] = (ChatMessage){.id = ids[i],
                        .from = "alice",
                        .to = "bob",
                        .from_account = "a",
                        .to_account = "b",
                        .text = text,
                        .kind = "text",
                        .state = "queued",
                        .sent = 1};
        }
        f->chat.messages = history;
        f->chat.n_messages = n;
}

typedef struct Page {
        size_t first, last, n, bytes;
        bool more;
} Page;

static Page read_page(void) {
        Page p = {.bytes = 0};

        CHECK(!sd_bus_message_get_error(f->reply));
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "a{sv}") > 0);
        while (sd_bus_message_enter_container(f->reply, 'a', "{sv}") > 0) {
                const char *key, *value;

                CHECK(sd_bus_message_enter_container(f->reply, 'e', "sv") > 0);
                CHECK(sd_bus_message_read(f->reply, "s", &key) > 0);
                if (streq(key, "more")) {
                        int more;

                        CHECK(sd_bus_message_read(f->reply, "v", "b", &more) > 0);
                        CHECK(sd_bus_message_exit_container(f->reply) >= 0);
                        CHECK(sd_bus_message_at_end(f->reply, false) > 0);
                        CHECK(sd_bus_message_exit_container(f->reply) >= 0);
                        CHECK(sd_bus_message_at_end(f->reply, false) > 0);
                        p.more = more;
                        break;
                }
                CHECK(!p.more);
                CHECK_STR(key, "id");
                CHECK(sd_bus_message_read(f->reply, "v", "s", &value) > 0);
                p.last = (size_t)atoi(value);
                if (p.n++ == 0)
                        p.first = p.last;
                CHECK_EQ(p.last, p.first + p.n - 1);
                p.bytes += strlen(history[p.last].text);
                CHECK(sd_bus_message_exit_container(f->reply) >= 0);
                while (!sd_bus_message_at_end(f->reply, false))
                        CHECK(sd_bus_message_skip(f->reply, "{sv}") >= 0);
                CHECK(sd_bus_message_exit_container(f->reply) >= 0);
        }
        CHECK(p.bytes <= BUS_ANSWER_SIZE_MAX);
        return p;
}

TEST(a_limit_of_the_caller_is_the_whole_answer) {
        Page p;

        set_up();
        make_history(1500, "hi");
        call_wait(CALL("ListMessages", "sa{sv}", "bob", 1, "limit", "u", 10));
        p = read_page();
        CHECK_EQ(p.n, 10);
        CHECK_EQ(p.last, 1499);
        CHECK(!p.more);
        call_wait(CALL("ListMessages", "sa{sv}", "bob", 1, "limit", "u", 1000));
        p = read_page();
        CHECK_EQ(p.n, 1000);
        CHECK(!p.more);
        tear_down();
}

TEST(without_a_limit_more_is_said) {
        Page p;

        set_up();
        make_history(1500, "hi");
        call_wait(CALL("ListMessages", "sa{sv}", "bob", 0));
        p = read_page();
        CHECK_EQ(p.n, 1000);
        CHECK_EQ(p.last, 1499);
        CHECK(p.more);
        call_wait(CALL("ListMessages", "sa{sv}", "bob", 1, "before", "s", ids[p.first]));
        p = read_page();
        CHECK_EQ(p.n, 500);
        CHECK(!p.more);
        tear_down();
}

TEST(large_answers_end_at_4_MiB_going_back) {
        _cleanup_(freep) char *text = malloc(PAGED_TEXT_SIZE + 1);
        size_t left = PAGED_MESSAGES, pages = 0;
        Page p;

        CHECK(text);
        memset(text, 'x', PAGED_TEXT_SIZE);
        text[PAGED_TEXT_SIZE] = '\0';
        set_up();
        make_history(PAGED_MESSAGES, text);
        do {
                if (pages++ == 0)
                        call_wait(CALL("ListMessages", "sa{sv}", "bob", 1, "limit", "u", 1000));
                else
                        call_wait(CALL("ListMessages", "sa{sv}", "bob", 2, "limit", "u", 1000,
                                "before", "s", ids[left]));
                p = read_page();
                CHECK(p.n > 0);
                CHECK_EQ(p.last, left - 1);
                CHECK_EQ(p.more, p.first > 0);
                CHECK(!p.more || p.bytes > BUS_ANSWER_SIZE_MAX / 2);
                left = p.first;
        } while (p.more);
        CHECK_EQ(left, 0);
        CHECK_EQ(pages, 3);
        tear_down();
}

TEST(large_answers_end_at_4_MiB_going_on) {
        _cleanup_(freep) char *text = malloc(PAGED_TEXT_SIZE + 1);
        size_t last = 0, pages = 0;
        Page p;

        CHECK(text);
        memset(text, 'x', PAGED_TEXT_SIZE);
        text[PAGED_TEXT_SIZE] = '\0';
        set_up();
        make_history(PAGED_MESSAGES, text);
        do {
                call_wait(CALL("ListMessages", "sa{sv}", "bob", 1, "after", "s", ids[last]));
                p = read_page();
                CHECK_EQ(p.first, last + 1);
                CHECK_EQ(p.more, p.last < PAGED_MESSAGES - 1);
                last = p.last;
                pages++;
        } while (p.more);
        CHECK_EQ(last, PAGED_MESSAGES - 1);
        CHECK_EQ(pages, 3);
        CHECK_EQ(f->chat.n_reads, 3);
        tear_down();
}

TEST(conversations_have_the_keys_of_the_contract) {
        static const ChatConversation v = {
                .with = "bob", .account = "bbbb", .last_id = "i", .last_time = 9, .unread = 0};

        set_up();
        f->chat.conversations = &v;
        f->chat.n_conversations = 1;
        call_wait(CALL("ListConversations", "a{sv}", 0));
        CHECK_STR(row_key("with"), "bob");
        CHECK_STR(row_key("account"), "bbbb");
        CHECK_STR(row_key("last-id"), "i");
        CHECK_STR(row_key("last-time"), "t9");
        CHECK_STR(row_key("unread"), "u0");
        CHECK(!row_key("state"));
        tear_down();
}

TEST(peers_may_come_later) {
        static const char *const endpoints[] = {"127.0.0.1:7", "[::1]:7", NULL};
        const ChatPeer bob = {.name = "bob",
                .account = "bbbb",
                .presence = "online",
                .last_seen = 8,
                .endpoints = endpoints,
                .contact = true};

        set_up();
        call_until_open(CALL("ListPeers", "a{sv}", 2, "all", "b", 1, "after", "s", "alice"));
        CHECK_STR(f->chat.asked, "peers|alice|1|1000|-");
        FakeCall c = take_open();
        CHECK(c.peer(c.userdata, &bob));
        settle();
        CHECK_EQ(f->n_replies, 0);
        c.peers_done(c.userdata, NULL, false);
        settle();
        CHECK_EQ(f->n_replies, 1);
        CHECK_STR(row_key("name"), "bob");
        CHECK_STR(row_key("account"), "bbbb");
        CHECK_STR(row_key("presence"), "online");
        CHECK_STR(row_key("last-seen"), "t8");
        CHECK_STR(row_key("endpoints"), "as");
        CHECK_STR(row_key("contact"), "true");
        CHECK(!row_key("note") && !row_key("via") && !row_key("verified") && !row_key("blocked"));
        CHECK(sd_bus_message_at_end(f->reply, false) > 0);
        tear_down();
}

TEST(peers_end_at_4_MiB_or_with_an_error) {
        _cleanup_(freep) char *note = malloc(PAGED_TEXT_SIZE + 1);
        size_t n = 0;

        CHECK(note);
        memset(note, 'x', PAGED_TEXT_SIZE);
        note[PAGED_TEXT_SIZE] = '\0';
        set_up();
        call_until_open(CALL("ListPeers", "a{sv}", 0));
        FakeCall c = take_open();
        while (n < 1000 && c.peer(c.userdata, &(ChatPeer){.name = "bob", .note = note}))
                n++;
        CHECK(n > 60 && n * PAGED_TEXT_SIZE <= BUS_ANSWER_SIZE_MAX);
        c.peers_done(c.userdata, NULL, true);
        settle();
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "a{sv}") > 0);
        for (; n > 0; n--)
                CHECK(sd_bus_message_skip(f->reply, "a{sv}") >= 0);
        CHECK_STR(find_key(f->reply, "more"), "true");
        call_until_open(CALL("ListPeers", "a{sv}", 0));
        c = take_open();
        c.peers_done(c.userdata, &(ChatError){"NotLoggedIn", "Log in first."}, false);
        settle();
        check_error(BUS_ERROR_PREFIX "NotLoggedIn", "Log in first.");
        tear_down();
}
