/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each call that reads or makes a message, or a part of one, fails in turn, as it does without
 * memory: that costs the answer at most, and neither the connection nor what comes after it. */

#include "bus-fixture.h"

#include <stdarg.h>

#include <qrencode.h>

static struct {
        unsigned long calls, fail_at; /* counted from 1; 0: never */
        bool failed;
} trouble;

static bool message_fails(void) {
        if (trouble.fail_at == 0 || ++trouble.calls != trouble.fail_at)
                return false;
        trouble.failed = true;
        return true;
}

/* The linker puts these in the place of what they are named after. */
#define MESSAGE_FUNCTION(name, parameters, arguments)                                              \
        int __real_##name parameters;                                                              \
        int __wrap_##name parameters;                                                              \
        int __wrap_##name parameters {                                                             \
                return message_fails() ? -ENOMEM : __real_##name arguments;                        \
        }

MESSAGE_FUNCTION(
        sd_bus_message_new_method_return, (sd_bus_message * call, sd_bus_message **m), (call, m))
MESSAGE_FUNCTION(sd_bus_message_new_signal,
        (sd_bus * b, sd_bus_message **m, const char *path, const char *interface,
                const char *member),
        (b, m, path, interface, member))
MESSAGE_FUNCTION(
        sd_bus_message_append_basic, (sd_bus_message * m, char type, const void *p), (m, type, p))
MESSAGE_FUNCTION(sd_bus_message_append_array,
        (sd_bus_message * m, char type, const void *p, size_t n), (m, type, p, n))
MESSAGE_FUNCTION(sd_bus_message_append_strv, (sd_bus_message * m, char **l), (m, l))
MESSAGE_FUNCTION(sd_bus_message_open_container,
        (sd_bus_message * m, char type, const char *contents), (m, type, contents))
MESSAGE_FUNCTION(sd_bus_message_close_container, (sd_bus_message * m), (m))
MESSAGE_FUNCTION(sd_bus_message_enter_container,
        (sd_bus_message * m, char type, const char *contents), (m, type, contents))
MESSAGE_FUNCTION(sd_bus_message_exit_container, (sd_bus_message * m), (m))
MESSAGE_FUNCTION(sd_bus_message_peek_type, (sd_bus_message * m, char *type, const char **contents),
        (m, type, contents))
MESSAGE_FUNCTION(sd_bus_message_read_basic, (sd_bus_message * m, char type, void *p), (m, type, p))
MESSAGE_FUNCTION(sd_bus_message_skip, (sd_bus_message * m, const char *types), (m, types))
MESSAGE_FUNCTION(sd_bus_send, (sd_bus * b, sd_bus_message *m, uint64_t *cookie), (b, m, cookie))

QRcode *__real_QRcode_encodeString(
        const char *s, int version, QRecLevel level, QRencodeMode hint, int cased);
QRcode *__wrap_QRcode_encodeString(
        const char *s, int version, QRecLevel level, QRencodeMode hint, int cased);
QRcode *__wrap_QRcode_encodeString(
        const char *s, int version, QRecLevel level, QRencodeMode hint, int cased) {
        return message_fails() ? NULL : __real_QRcode_encodeString(s, version, level, hint, cased);
}

int __wrap_sd_bus_message_append(sd_bus_message *m, const char *types, ...);
int __wrap_sd_bus_message_read(sd_bus_message *m, const char *types, ...);

int __wrap_sd_bus_message_append(sd_bus_message *m, const char *types, ...) {
        va_list args;
        int r;

        va_start(args, types);
        r = message_fails() ? -ENOMEM : sd_bus_message_appendv(m, types, args);
        va_end(args);
        return r;
}

int __wrap_sd_bus_message_read(sd_bus_message *m, const char *types, ...) {
        va_list args;
        int r;

        va_start(args, types);
        r = message_fails() ? -ENOMEM : sd_bus_message_readv(m, types, args);
        va_end(args);
        return r;
}

static sd_bus_message *call_register(void) {
        return CALL("Register", "ssa{sv}", "alice", "secret", 2, "tracker", "s", "t:1#k", "other",
                "as", 1, "x");
}

static sd_bus_message *call_login(void) {
        return CALL("Login", "ssa{sv}", "alice", "", 0);
}

static sd_bus_message *call_logout(void) {
        return CALL("Logout", "a{sv}", 0);
}

static sd_bus_message *call_send_message(void) {
        return CALL("Send", "ssa{sv}", "bob", "hi", 1, "expires", "t", (uint64_t)7);
}

static sd_bus_message *call_list_messages(void) {
        return CALL("ListMessages", "sa{sv}", "bob", 1, "limit", "u", 1);
}

static sd_bus_message *call_list_conversations(void) {
        return CALL("ListConversations", "a{sv}", 0);
}

static sd_bus_message *call_list_peers(void) {
        return CALL("ListPeers", "a{sv}", 1, "all", "b", 1);
}

static sd_bus_message *call_list_outbox(void) {
        return CALL("ListOutbox", "a{sv}", 1, "after", "s", "none");
}

static sd_bus_message *call_list_events(void) {
        return CALL("ListEvents", "tua{sv}", (uint64_t)0, 10, 0);
}

static sd_bus_message *call_ack_events(void) {
        return CALL("AckEvents", "sta{sv}", "bot", (uint64_t)1, 0);
}

static sd_bus_message *call_mark_read(void) {
        return CALL("MarkRead", "sa{sv}", "id", 0);
}

static sd_bus_message *call_cancel(void) {
        return CALL("Cancel", "sa{sv}", "id", 0);
}

static sd_bus_message *call_status(void) {
        return CALL("Status", "a{sv}", 0);
}

static sd_bus_message *call_doctor(void) {
        return CALL("Doctor", "a{sv}", 0);
}

static sd_bus_message *call_verify(void) {
        return CALL("Verify", "sa{sv}", "bob", 0);
}

static sd_bus_message *call_confirm(void) {
        return CALL("Verify", "sa{sv}", "bob", 1, "confirm", "b", 1);
}

static sd_bus_message *call_create_room(void) {
        return CALL("CreateRoom", "sa{sv}", "#room", 0);
}

static sd_bus_message *call_join_room(void) {
        return CALL("JoinRoom", "sa{sv}", "#room", 0);
}

static sd_bus_message *call_set_role(void) {
        return CALL("SetRole", "sssa{sv}", "#room", "bob", "admin", 0);
}

static sd_bus_message *call_list_rooms(void) {
        return CALL("ListRooms", "a{sv}", 1, "words", "s", "x");
}

static sd_bus_message *call_list_members(void) {
        return CALL("ListMembers", "sa{sv}", "#room", 1, "limit", "u", 5);
}

static sd_bus_message *call_digest(void) {
        return CALL("Digest", "sa{sv}", "#room", 0);
}

static const char *const nothing[] = {NULL};
static const ChatRoom room = {.room = "#room",
        .id = "r",
        .topic = "t",
        .access = "open",
        .owner = "bob",
        .owner_account = "b",
        .status = "joined",
        .role = "member",
        .joined = true};
static const ChatMember member = {"bob", "b", "owner", "online", .provisional = true};
static const ChatMessage messages[] = {
        {.id = "none"},
        {.id = "i",
                .from = "bob",
                .to = "alice",
                .from_account = "b",
                .to_account = "a",
                .text = "hi",
                .kind = "text",
                .state = "received",
                .sent = 1,
                .stored = 2,
                .received = 3,
                .late = true,
                .gap_before = 1},
};
static const ChatConversation conversation = {.with = "bob",
        .account = "b",
        .last_id = "i",
        .last_time = 1,
        .state = "queued",
        .unread = 1};
static const ChatPeer peer = {.name = "bob",
        .account = "b",
        .presence = "online",
        .note = "",
        .last_seen = 1,
        .endpoints = nothing,
        .via = nothing,
        .contact = true};
static const ChatCheck check = {"store", "failed", "The disk is full.", "Make room."};
static const ChatTracker tracker = {"t:1#k", "refused", "why"};
static const ChatEvent events[] = {
        {.kind = CHAT_EVENT_GAP, .cursor = 1, .lost = 1},
        {.kind = CHAT_EVENT_MESSAGE,
                .cursor = 2,
                .message = &messages[1],
                .request = true,
                .account = "b"},
        {.kind = CHAT_EVENT_STATE,
                .cursor = 3,
                .id = "i",
                .to = "bob",
                .state = "failed",
                .reason = "why",
                .account = "b"},
        {.kind = CHAT_EVENT_PEER, .cursor = 4, .name = "bob", .presence = "away", .account = "b"},
        {.kind = CHAT_EVENT_ROOM,
                .cursor = 5,
                .room = "#room",
                .room_id = "r",
                .change = "joined",
                .name = "bob",
                .account = "b"},
        {.kind = CHAT_EVENT_REPLACED, .cursor = 6, .account = "a"},
};

static void fill_chat(void) {
        f->chat.messages = messages;
        f->chat.n_messages = ELEMENTSOF(messages);
        f->chat.conversations = &conversation;
        f->chat.n_conversations = 1;
        f->chat.members = &member;
        f->chat.n_members = 1;
        f->chat.digest = (ChatDigest){.digest = "d", .room = true, .control_hash = "c"};
        f->chat.checks = &check;
        f->chat.n_checks = 1;
        memset(f->chat.verification.safety_number, '0', 60);
        f->chat.events = events;
        f->chat.n_events = ELEMENTSOF(events);
        f->chat.status.trackers = &tracker;
        f->chat.status.n_trackers = 1;
        f->chat.status.problems = nothing;
}

static void answer_open(void) {
        while (f->chat.n_open > 0) {
                FakeCall c = take_open();

                if (c.done)
                        c.done(c.userdata, NULL);
                if (c.id)
                        c.id(c.userdata, NULL, "theid"); /* a path as well */
                if (c.peers_done) {
                        if (c.peer)
                                (void)c.peer(c.userdata, &peer);
                        if (c.room)
                                (void)c.room(c.userdata, &room);
                        c.peers_done(c.userdata, NULL, true);
                }
        }
}

/* Ends with what came of it, after all that has been said. */
static void heal(void) {
        trouble.fail_at = 0;
        settle();
}

TEST(a_call_that_cannot_be_read_or_answered_costs_its_answer) {
        static sd_bus_message *(*const calls[])(void) = {call_register, call_login, call_logout,
                call_send_message, call_list_messages, call_list_conversations, call_list_peers,
                call_list_outbox, call_list_events, call_ack_events, call_mark_read, call_cancel,
                call_status, call_doctor, call_verify, call_confirm, call_create_room,
                call_join_room, call_set_role, call_list_rooms, call_list_members, call_digest};

        set_up();
        fill_chat();
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                for (unsigned long n = 1;; n++) {
                        unsigned before = f->n_replies;
                        sd_bus_message *m = calls[i]();

                        trouble.failed = false;
                        trouble.calls = 0;
                        trouble.fail_at = n;
                        call_send(m);
                        settle();
                        answer_open();
                        heal();
                        CHECK(f->n_replies <= before + 1);
                        if (!trouble.failed) {
                                CHECK_EQ(f->n_replies, before + 1);
                                break;
                        }
                }
        f->chat.events = NULL;
        tear_down();
}

TEST(a_signal_that_cannot_be_made_costs_itself) {
        set_up();
        fill_chat();
        for (size_t i = 1; i < ELEMENTSOF(events); i++)
                for (unsigned long n = 1;; n++) {
                        unsigned before = f->n_signals;

                        trouble.failed = false;
                        trouble.calls = 0;
                        trouble.fail_at = n;
                        f->chat.listener->event(f->chat.listener_userdata, &events[i]);
                        heal();
                        if (!trouble.failed) {
                                CHECK_EQ(f->n_signals, before + 1);
                                break;
                        }
                        CHECK_EQ(f->n_signals, before);
                }
        f->chat.events = NULL;
        tear_down();
}
