/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* All that a user can ask for, to be asked while something fails. */

#include "answer.h"

static void on_done(Answer *a, int r, const ChatError *e) {
        on_answer(a, r < 0 ? e : NULL);
}

static bool on_message(void *userdata, const ChatMessage *m) {
        return true;
}

static bool on_conversation(void *userdata, const ChatConversation *v) {
        return true;
}

static bool on_event(void *userdata, const ChatEvent *e) {
        return true;
}

static bool on_peer(void *userdata, const ChatPeer *p) {
        return true;
}

static void on_peers(void *userdata, const ChatError *error, bool more) {
        on_answer(userdata, error);
}

/* The requests. ID is of a message that waits. */

static void ask_send(ChatLab *l, const char *id, Answer *a) {
        chat_send(l->chat, &(ChatSend){.to = "bob", .text = "hi", .reply_to = id}, on_id, a);
}

static void ask_cancel(ChatLab *l, const char *id, Answer *a) {
        chat_cancel(l->chat, id, on_answer, a);
}

static void ask_mark_read(ChatLab *l, const char *id, Answer *a) {
        chat_mark_read(l->chat, id, on_answer, a);
}

static void ask_ack_events(ChatLab *l, const char *id, Answer *a) {
        chat_ack_events(l->chat, "client", 1, on_answer, a);
}

static void ask_logout(ChatLab *l, const char *id, Answer *a) {
        chat_logout(l->chat, on_answer, a);
}

static void ask_peers(ChatLab *l, const char *id, Answer *a) {
        chat_list_peers(l->chat, &(ChatListPeers){.all = true, .limit = 10}, on_peer, on_peers, a);
}

static void ask_messages(ChatLab *l, const char *id, Answer *a) {
        ChatError e;
        bool more;

        on_done(a,
                chat_list_messages(l->chat,
                        &(ChatListMessages){.with = "bob", .before = id, .limit = 10}, on_message,
                        NULL, &more, &e),
                &e);
}

static void ask_conversations(ChatLab *l, const char *id, Answer *a) {
        ChatError e;
        bool more;

        on_done(a, chat_list_conversations(l->chat, NULL, 10, on_conversation, NULL, &more, &e),
                &e);
}

static void ask_outbox(ChatLab *l, const char *id, Answer *a) {
        ChatError e;
        bool more;

        on_done(a, chat_list_outbox(l->chat, id, 10, on_message, NULL, &more, &e), &e);
}

static void ask_events(ChatLab *l, const char *id, Answer *a) {
        ChatListEvents args = {.max = 10, .client = "client"};
        uint64_t next;
        ChatError e;

        on_done(a, chat_list_events(l->chat, &args, on_event, NULL, &next, &e), &e);
}

static void ask_verify(ChatLab *l, const char *id, Answer *a) {
        ChatVerification v;
        ChatError e;

        on_done(a, chat_verify(l->chat, "bob", &v, &e), &e);
}

static void ask_set_verified(ChatLab *l, const char *id, Answer *a) {
        chat_set_verified(l->chat, "bob", true, on_answer, a);
}

static bool on_request(void *userdata, const ChatRequest *r) {
        return true;
}

static void ask_requests(ChatLab *l, const char *id, Answer *a) {
        ChatError e;
        bool more;

        on_done(a, chat_list_requests(l->chat, NULL, 10, on_request, NULL, &more, &e), &e);
}

static void ask_accept(ChatLab *l, const char *id, Answer *a) {
        chat_accept(l->chat, "bob", on_answer, a);
}

static void ask_add_contact(ChatLab *l, const char *id, Answer *a) {
        chat_add_contact(l->chat, "bob", NULL, on_answer, a);
}

static void ask_rename_contact(ChatLab *l, const char *id, Answer *a) {
        chat_rename_contact(l->chat, "bob", "robert", on_answer, a);
}

/* Of nobody known. */
static void ask_block(ChatLab *l, const char *id, Answer *a) {
        chat_block(l->chat, "@aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaa", on_answer, a);
}

static void ask_unblock(ChatLab *l, const char *id, Answer *a) {
        chat_unblock(l->chat, "bob", on_answer, a);
}

typedef void (*AskFn)(ChatLab *l, const char *id, Answer *a);

static const AskFn requests[] = {ask_send, ask_cancel, ask_mark_read, ask_ack_events, ask_logout,
        ask_peers, ask_messages, ask_conversations, ask_outbox, ask_events, ask_verify,
        ask_set_verified, ask_requests, ask_accept, ask_add_contact, ask_rename_contact, ask_block,
        ask_unblock};

/* The answer, which has to come, once. */
static Answer ask(ChatLab *l, AskFn fn, const char *id) {
        Answer a = {};

        fn(l, id, &a);
        sim_run(&l->sim, 10 * USEC_PER_SEC);
        CHECK_EQ(a.n, 1);
        return a;
}

static unsigned count_queued(ChatLab *l) {
        ChatStatus s;

        chat_status(l->chat, &s);
        return s.queued;
}

static _unused_ void log_in(ChatLab *l) {
        Answer a = {};

        chat_login(l->chat, "alice", "", NULL, on_answer, &a);
        sim_run(&l->sim, USEC_PER_SEC);
        CHECK(a.n == 1 && !a.error);
}
