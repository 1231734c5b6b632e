/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Each call of LMDB fails in turn, alone or with all that come after it: whoever asked is told, once,
 * nothing is left half done, and when the disk is well again all goes on as if nothing had been. */

#include "test.h"

#include "answer.h"
#include "failing-disk.h"
#include "stack-lab.h"

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

typedef void (*AskFn)(ChatLab *l, const char *id, Answer *a);

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

static void log_in(ChatLab *l) {
        Answer a = {};

        chat_login(l->chat, "alice", "", NULL, on_answer, &a);
        sim_run(&l->sim, USEC_PER_SEC);
        CHECK(a.n == 1 && !a.error);
}

/* Returns whether there was a call that could fail. */
static bool ask_with_error(ChatLab *l, AskFn fn, unsigned long n, bool all) {
        Answer a = ask(l, ask_send, NULL), failed, again;
        bool broke;

        CHECK(!a.error);
        disk_break(n, all);
        failed = ask(l, fn, a.id);
        broke = disk_heal();
        sim_run(&l->sim,
                2 * USEC_PER_SEC); /* a store that cannot be opened is tried once a second */
        if (failed.error) {
                CHECK(broke);
                CHECK_STR(failed.error, "Storage");
                CHECK(failed.text[0]);
                again = ask(l, fn, a.id);
                if (again.error)
                        printf("# call %lu: %s\n", n, again.text);
                CHECK(!again.error);
        }
        if (fn == ask_logout)
                log_in(l);
        return broke;
}

TEST(whoever_asks_is_told_of_an_error_of_the_disk_and_may_ask_again) {
        static const AskFn fns[] = {ask_send, ask_cancel, ask_mark_read, ask_ack_events, ask_logout,
                ask_peers, ask_messages, ask_conversations, ask_outbox, ask_events};
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        CHECK_OK(store_commit(l.store));
        for (size_t i = 0; i < ELEMENTSOF(fns); i++)
                for (unsigned all = 0; all < 2; all++) {
                        unsigned queued = count_queued(&l);
                        unsigned long n = 1;

                        while (ask_with_error(&l, fns[i], n, all))
                                n++;
                        CHECK(n > 1);
                        /* What was refused was not kept, what was accepted was. */
                        if (fns[i] == ask_cancel)
                                CHECK_EQ(count_queued(&l), queued);
                        else if (fns[i] == ask_send)
                                CHECK_EQ(count_queued(&l), queued + 2 * n);
                        else
                                CHECK_EQ(count_queued(&l), queued + n);
                }
        chat_lab_free(&l);
}

/* Two people who know each other and write, with one disk for both of them. */

typedef struct Pair {
        Sim sim;
        Stack alice, bob;
} Pair;

/* What cannot be read now is told with the next batch. The looks of the test itself do not fail. */
static void on_events(void *userdata, int error) {
        unsigned long calls = disk.calls, fail_at = disk.fail_at;
        Stack *s = userdata;
        DbTxn *txn;

        disk.fail_at = 0;
        if (error >= 0 && store_read_begin(s->store, &txn) >= 0) {
                CHECK_OK(event_each(txn, s->told, stack_on_event, s));
                store_read_end(txn);
        }
        disk.fail_at = fail_at;
        disk.calls = calls;
}

static void pair_new(Pair *p) {
        sim_new(&p->sim, 1);
        stack_new(&p->sim, "alice", &p->alice);
        stack_new(&p->sim, "bob", &p->bob);
        stack_knows(&p->alice, &p->bob.who, CONTACT_PINNED);
        stack_knows(&p->bob, &p->alice.who, CONTACT_PINNED);
        store_set_events_fn(p->alice.store, on_events, &p->alice);
        store_set_events_fn(p->bob.store, on_events, &p->bob);
}

static void pair_free(Pair *p) {
        stack_free(&p->alice);
        stack_free(&p->bob);
        sim_free(&p->sim);
}

/* A receipt that could not be made is part of the next one. */
static void check_delivery(bool all) {
        unsigned long n = 0;
        bool broke;
        Pair p;

        pair_new(&p);
        do {
                stack_send(&p.alice, &p.bob.who, "with an error");
                disk_break(++n, all);
                sim_run(&p.sim, 10 * USEC_PER_SEC);
                broke = disk_heal();
                sim_run(&p.sim, 2 * USEC_PER_SEC);
                stack_send(&p.alice, &p.bob.who, "without");
                SIM_UNTIL(&p.sim, stack_count_outbox(&p.alice) == 0);
                on_events(&p.alice, 0);
                on_events(&p.bob, 0);
                CHECK_EQ(p.alice.n_delivered, 2 * n);
                CHECK_EQ(p.bob.n_shown, 2 * n); /* once each */
        } while (broke);
        CHECK(n > 10);
        CHECK_EQ(p.alice.n_failed + p.alice.n_expired, 0);
        pair_free(&p);
}

TEST(a_message_arrives_once_though_any_one_call_fails) {
        check_delivery(false);
}

TEST(a_message_arrives_once_though_the_disk_is_gone_for_a_while) {
        check_delivery(true);
}
