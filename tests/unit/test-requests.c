/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a user asks for and does not get: refused, not kept, or answered to nobody. And lists that
 * need more than a page. */

#include "test.h"

#include "answer.h"

/* The answer, which has to come, once. */
static Answer ask_send(ChatLab *l, const ChatSend *args) {
        Answer a = {};

        chat_send(l->chat, args, on_id, &a);
        sim_run(&l->sim, USEC_PER_SEC);
        CHECK_EQ(a.n, 1);
        return a;
}

static void send_ok(ChatLab *l, const char *to, const char *text) {
        Answer a = ask_send(l, &(ChatSend){.to = to, .text = text});

        CHECK(!a.error);
}

typedef struct List {
        unsigned n, max; /* of a page, as the bus has it */
        char names[8][SHOWN_NAME_SIZE], id[UUID_TEXT_SIZE];
} List;

static bool list_add(List *list, const char *name) {
        if (list->n == list->max)
                return false;
        CHECK(list->n < ELEMENTSOF(list->names));
        snprintf(list->names[list->n++], sizeof(list->names[0]), "%s", name);
        return true;
}

static bool on_message(void *userdata, const ChatMessage *m) {
        List *list = userdata;

        if (!list_add(list, m->to))
                return false;
        snprintf(list->id, sizeof(list->id), "%s", m->id);
        return true;
}

static bool on_conversation(void *userdata, const ChatConversation *v) {
        return list_add(userdata, v->with);
}

static bool on_peer(void *userdata, const ChatPeer *p) {
        return list_add(userdata, p->name);
}

static unsigned count_queued(ChatLab *l) {
        ChatStatus s;

        chat_status(l->chat, &s);
        return s.queued;
}

static void lab_with(ChatLab *l, const char *const *names, size_t n) {
        chat_lab_new(l);
        chat_lab_stop(l);
        for (size_t i = 0; i < n; i++)
                chat_lab_add_contact(l, names[i], CONTACT_PINNED, NULL);
        CHECK_OK(store_commit(l->store));
        chat_lab_start(l);
}

static const char *const people[] = {"bob", "carol", "dave"};

/* A message for each of them waits. */
static void lab_with_mail(ChatLab *l) {
        lab_with(l, people, ELEMENTSOF(people));
        for (size_t i = 0; i < ELEMENTSOF(people); i++)
                send_ok(l, people[i], "hi");
}

TEST(what_is_refused_is_not_kept) {
        static const char id[] = "6f1e7a52-4f8c-4b53-9d0e-2f6b7d3c8a10";
        static const struct {
                const char *error;
                ChatSend send;
        } cases[] = {
                {"InvalidArgs", {.to = "bob", .text = "\xff"}},
                {"InvalidArgs", {.to = "bob", .text = ""}},
                {"InvalidArgs", {.to = "bob", .text = "hi", .expires = 1}},
                {"InvalidArgs", {.to = "bob", .text = "hi", .expires = UINT64_MAX - 1}},
                {"InvalidArgs", {.to = "bob", .text = "hi", .reply_to = "that"}},
                {"InvalidArgs", {.to = "bob", .text = "hi", .id = "this"}},
                {"BadName", {.to = "-", .text = "hi"}},
                {"BadName",
                        {.to = "a-name-of-more-than-thirty-two-characters-and-a-few-more-"
                               "than-an-account-has",
                                .text = "hi"}},
                {"BadName", {.to = "@aaaa", .text = "hi"}},
                {"UnknownRoom", {.to = "#room", .text = "hi"}},
                {"Blocked", {.to = "mallory", .text = "hi"}},
                {"AmbiguousName", {.to = "carol", .text = "hi"}},
                {"TrackerUnreachable", {.to = "nobody", .text = "hi"}},
        };
        ChatLab l;

        lab_with(&l, people, 1);
        chat_lab_add_contact(&l, "mallory", CONTACT_PINNED | CONTACT_BLOCKED, NULL);
        chat_lab_learn(&l, "carol", 0, false, NULL);
        chat_lab_learn(&l, "carol", 0, false, NULL);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Answer a = ask_send(&l, &cases[i].send);

                CHECK_STR(a.error, cases[i].error);
                CHECK(a.text[0] && a.text[strlen(a.text) - 1] == '.');
                CHECK_EQ(count_queued(&l), 0);
        }
        CHECK(!ask_send(&l, &(ChatSend){.to = "bob", .text = "hi", .id = id}).error);
        CHECK_STR(ask_send(&l, &(ChatSend){.to = "bob", .text = "no", .id = id}).error,
                "InvalidArgs"); /* the same id for another text */
        CHECK_EQ(count_queued(&l), 1);
        chat_lab_free(&l);
}

static void check_failed_commit(int error, const char *of_send, const char *of_others) {
        Answer sent = {}, cancelled = {};
        char first[UUID_TEXT_SIZE];
        List list = {.max = 8};
        ChatError e;
        ChatLab l;
        bool more;

        lab_with(&l, people, 1);
        snprintf(first, sizeof(first), "%s",
                ask_send(&l, &(ChatSend){.to = "bob", .text = "first"}).id);

        chat_send(l.chat, &(ChatSend){.to = "bob", .text = "second"}, on_id, &sent);
        chat_cancel(l.chat, first, on_answer, &cancelled);
        db_fail(store_write(l.store), error);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(sent.n, 1);
        CHECK_STR(sent.error, "Storage");
        CHECK(strstr(sent.text, of_send));
        CHECK_EQ(cancelled.n, 1);
        CHECK_STR(cancelled.error, "Storage");
        CHECK(strstr(cancelled.text, of_others));
        CHECK_EQ(count_queued(&l), 1); /* the first one, as it was */

        CHECK(!ask_send(&l, &(ChatSend){.to = "bob", .text = "second"}).error);
        CHECK_OK(chat_list_messages(l.chat, &(ChatListMessages){.with = "bob", .limit = 10},
                on_message, &list, &more, &e));
        CHECK_EQ(list.n, 2);
        chat_lab_free(&l);
}

TEST(who_waits_for_a_commit_that_fails_is_told) {
        check_failed_commit(-EIO, "could not be written", "failed");
        check_failed_commit(-ENOSPC, "full", "full");
}

TEST(a_logout_that_is_not_written_did_not_happen) {
        Answer a = {};
        ChatStatus s;
        ChatLab l;

        lab_with(&l, people, 1);
        chat_logout(l.chat, on_answer, &a);
        db_fail(store_write(l.store), -EIO);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(a.n, 1);
        CHECK_STR(a.error, "Storage");
        chat_status(l.chat, &s);
        CHECK_STR(s.name, "alice");
        send_ok(&l, "bob", "still here");
        chat_lab_stop(&l); /* and what is on disk says the same */
        chat_lab_start(&l);
        send_ok(&l, "bob", "here again");
        chat_lab_free(&l);
}

TEST(who_does_not_wait_any_more_is_not_answered) {
        Answer sent = {}, looked_up = {}, cancelled = {};
        List list = {.max = 8};
        ChatError e;
        ChatLab l;
        bool more;

        lab_with(&l, people, 1);
        send_ok(&l, "bob", "first");
        chat_send(l.chat, &(ChatSend){.to = "bob", .text = "second"}, on_id, &sent);
        chat_mark_read(l.chat, "6f1e7a52-4f8c-4b53-9d0e-2f6b7d3c8a10", on_answer, &looked_up);
        CHECK_EQ(looked_up.n, 1); /* refused at once */
        chat_logout(l.chat, on_answer, &cancelled);
        chat_forget(l.chat, &sent);
        chat_forget(l.chat, &cancelled);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(sent.n + cancelled.n, 0);

        chat_login(l.chat, "alice", "", NULL, on_answer, &cancelled);
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(cancelled.n, 1);
        CHECK_OK(chat_list_messages(l.chat, &(ChatListMessages){.with = "bob", .limit = 10},
                on_message, &list, &more, &e));
        CHECK_EQ(list.n, 2); /* what was asked went on, once */
        chat_lab_free(&l);
}

TEST(conversations_are_listed_newest_first_and_by_pages) {
        List list = {.max = 2};
        ChatError e;
        ChatLab l;
        bool more;

        lab_with_mail(&l);
        send_ok(&l, "bob", "once more");

        CHECK_OK(chat_list_conversations(l.chat, NULL, 10, on_conversation, &list, &more, &e));
        CHECK(more);
        CHECK_EQ(list.n, 2);
        CHECK_STR(list.names[0], "bob");
        CHECK_STR(list.names[1], "dave");
        list = (List){.max = 2};
        CHECK_OK(chat_list_conversations(l.chat, "dave", 10, on_conversation, &list, &more, &e));
        CHECK(!more);
        CHECK_EQ(list.n, 1);
        CHECK_STR(list.names[0], "carol");
        chat_lab_free(&l);
}

typedef struct Page {
        List list;
        unsigned done;
        bool more;
} Page;

static bool on_listed(void *userdata, const ChatPeer *p) {
        return on_peer(&((Page *)userdata)->list, p);
}

static void on_page(void *userdata, const ChatError *error, bool more) {
        Page *page = userdata;

        CHECK(!error);
        page->more = more;
        page->done++;
}

static Page list_peers(ChatLab *l, const char *after, unsigned limit) {
        Page page = {.list.max = 8};

        chat_list_peers(l->chat, &(ChatListPeers){.after = after, .limit = limit}, on_listed,
                on_page, &page);
        sim_run(&l->sim, USEC_PER_MINUTE);
        CHECK_EQ(page.done, 1);
        return page;
}

TEST(people_are_listed_by_pages_also_after_one_who_has_gone) {
        ChatLab l;
        Page page;

        lab_with(&l, people, ELEMENTSOF(people));
        page = list_peers(&l, NULL, 2);
        CHECK(page.more);
        CHECK_EQ(page.list.n, 2);
        CHECK_STR(page.list.names[1], "carol");
        page = list_peers(&l, "carol", 2);
        CHECK(!page.more);
        CHECK_EQ(page.list.n, 1);
        CHECK_STR(page.list.names[0], "dave");
        page = list_peers(&l, "claire", 2);
        CHECK_STR(page.list.names[0], "dave");
        page = list_peers(&l, "zoe", 2);
        CHECK_EQ(page.list.n, 0);
        chat_lab_free(&l);
}

TEST(what_waits_is_listed_by_pages) {
        List list = {.max = 2};
        char last[UUID_TEXT_SIZE];
        ChatError e;
        ChatLab l;
        bool more;

        lab_with_mail(&l);
        CHECK_OK(chat_list_outbox(l.chat, NULL, 10, on_message, &list, &more, &e));
        CHECK(more);
        CHECK_EQ(list.n, 2);
        memcpy(last, list.id, sizeof(last));
        list = (List){.max = 2};
        CHECK_OK(chat_list_outbox(l.chat, last, 10, on_message, &list, &more, &e));
        CHECK(!more);
        CHECK_EQ(list.n, 1);
        CHECK_STR(list.names[0], "dave");
        CHECK(chat_list_outbox(l.chat, "no id", 10, on_message, &list, &more, &e) < 0);
        CHECK_STR(e.name, "InvalidArgs");
        chat_lab_free(&l);
}
