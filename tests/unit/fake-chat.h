/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * chat.h for tests of what stands in front of it: it writes down what it was asked, leaves the
 * answer to the test, and lists what the test gave it.
 */

#include <stdio.h>

#include "chat/chat.h"

#define FAKE_OPEN_MAX 8192
#define FAKE_TEXT_SIZE 256

typedef struct FakeCall {
        ChatDoneFn done;
        ChatIdFn id;
        ChatPeerFn peer;
        ChatPeersDoneFn peers_done;
        ChatRoomFn room;
        ChatMemberFn member;
        void *userdata;
} FakeCall;

struct Chat {
        unsigned n_calls; /* that came through to here */
        char asked[FAKE_TEXT_SIZE]; /* the last one, its arguments joined by '|' */
        bool refuse; /* at once, within the call */
        bool outside; /* of all rooms */
        FakeCall open[FAKE_OPEN_MAX];
        unsigned n_open, n_forgotten;

        const ChatMessage *messages;
        const ChatConversation *conversations;
        size_t n_messages, n_conversations;
        unsigned n_reads; /* of the history */

        const ChatRequest *requests;
        size_t n_requests;

        const ChatMember *members;
        size_t n_members;
        const ChatRoom *rooms; /* that have an object */
        size_t n_rooms;
        ChatDigest digest;

        const ChatPeer *objects;
        size_t n_objects;
        const char *news; /* the property that has changed */
        unsigned n_news; /* times it was asked for */

        const ChatCheck *checks;
        size_t n_checks;

        ChatVerification verification;

        const ChatEvent *events;
        size_t n_events;
        const ChatListener *listener;
        void *listener_userdata;
        ChatStatus status;
};

static const ChatError fake_refusal = {"UnknownPeer", "Nobody here is called that."};

static void fake_asked(Chat *c, const char *what, const char *a, const char *b, const char *d) {
        c->n_calls++;
        snprintf(c->asked, sizeof(c->asked), "%s|%s|%s|%s", what, a ?: "-", b ?: "-", d ?: "-");
}

static void fake_open(Chat *c, FakeCall call) {
        if (c->n_open < FAKE_OPEN_MAX)
                c->open[c->n_open++] = call;
}

void chat_forget(Chat *c, void *userdata) {
        unsigned n = 0;

        for (unsigned i = 0; i < c->n_open; i++)
                if (c->open[i].userdata != userdata)
                        c->open[n++] = c->open[i];
        c->n_forgotten += c->n_open - n;
        c->n_open = n;
}

void chat_register(Chat *c, const ChatRegister *args, ChatDoneFn fn, void *userdata) {
        char flags[64];

        snprintf(flags, sizeof(flags), "%s|%d%d", args->tracker ?: "-", args->no_password,
                args->no_tracker);
        fake_asked(c, "register", args->name, args->password, flags);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_login(Chat *c, const char *name, const char *password, const char *tracker, ChatDoneFn fn,
        void *userdata) {
        fake_asked(c, "login", name, password, tracker);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_change_password(
        Chat *c, const char *old, const char *password, ChatDoneFn fn, void *userdata) {
        fake_asked(c, "change-password", old, password, NULL);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_logout(Chat *c, ChatDoneFn fn, void *userdata) {
        fake_asked(c, "logout", NULL, NULL, NULL);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_delete_account(Chat *c, const char *password, ChatDoneFn fn, void *userdata) {
        fake_asked(c, "delete-account", password, NULL, NULL);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_send(Chat *c, const ChatSend *args, ChatIdFn fn, void *userdata) {
        char more[128];

        snprintf(more, sizeof(more), "%s|%s|%llu", args->id ?: "-", args->reply_to ?: "-",
                (unsigned long long)args->expires);
        fake_asked(c, "send", args->to, args->text, more);
        if (c->refuse)
                fn(userdata, &fake_refusal, NULL);
        else
                fake_open(c, (FakeCall){.id = fn, .userdata = userdata});
}

static size_t fake_find(const Chat *c, const char *id) {
        size_t i = 0;

        while (i < c->n_messages && !streq(c->messages[i].id, id))
                i++;
        return i;
}

int chat_list_messages(Chat *c, const ChatListMessages *args, ChatMessageFn fn, void *userdata,
        bool *ret_more, ChatError *error) {
        size_t from = 0, to = c->n_messages;

        c->n_calls++;
        c->n_reads++;
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        if (args->before)
                to = fake_find(c, args->before);
        if (args->after)
                from = fake_find(c, args->after) + 1;
        *ret_more = to - from > args->limit;
        if (*ret_more && args->after)
                to = from + args->limit;
        else if (*ret_more)
                from = to - args->limit;
        for (; from < to; from++)
                if (!fn(userdata, &c->messages[from])) {
                        *ret_more = true;
                        break;
                }
        return 0;
}

int chat_list_conversations(Chat *c, const char *after, unsigned limit, ChatConversationFn fn,
        void *userdata, bool *ret_more, ChatError *error) {
        c->n_calls++;
        *ret_more = c->n_conversations > limit;
        for (size_t i = 0; i < MIN(c->n_conversations, (size_t)limit); i++)
                if (!fn(userdata, &c->conversations[i])) {
                        *ret_more = true;
                        break;
                }
        return 0;
}

void chat_list_peers(
        Chat *c, const ChatListPeers *args, ChatPeerFn fn, ChatPeersDoneFn done, void *userdata) {
        char flags[32];

        snprintf(flags, sizeof(flags), "%d|%u", args->all, args->limit);
        fake_asked(c, "peers", args->after, flags, NULL);
        fake_open(c, (FakeCall){.peer = fn, .peers_done = done, .userdata = userdata});
}

static void fake_contact(Chat *c, const char *what, const char *name, const char *more,
        ChatDoneFn fn, void *userdata) {
        fake_asked(c, what, name, more, NULL);
        if (c->refuse)
                fn(userdata, &fake_refusal);
        else
                fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_accept(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "accept", name, NULL, fn, userdata);
}

void chat_add_contact(Chat *c, const char *name, const char *at, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "add", name, at, fn, userdata);
}

void chat_rename_contact(
        Chat *c, const char *name, const char *alias, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "rename", name, alias, fn, userdata);
}

void chat_set_presence(
        Chat *c, const char *presence, const char *note, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "set-presence", presence, note, fn, userdata);
}

int chat_set_typing(Chat *c, const char *to, bool on, ChatError *error) {
        fake_asked(c, "set-typing", to, on ? "on" : "off", NULL);
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        return 0;
}

void chat_remove_contact(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "remove", name, NULL, fn, userdata);
}

void chat_block(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "block", name, NULL, fn, userdata);
}

void chat_unblock(Chat *c, const char *name, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "unblock", name, NULL, fn, userdata);
}

int chat_list_requests(Chat *c, const char *after, unsigned limit, ChatRequestFn fn, void *userdata,
        bool *ret_more, ChatError *error) {
        fake_asked(c, "requests", after, NULL, NULL);
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        *ret_more = c->n_requests > limit;
        for (size_t i = 0; i < MIN(c->n_requests, (size_t)limit); i++)
                if (!fn(userdata, &c->requests[i])) {
                        *ret_more = true;
                        break;
                }
        return 0;
}

int chat_verify(Chat *c, const char *name, ChatVerification *ret, ChatError *error) {
        fake_asked(c, "verify", name, NULL, NULL);
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        *ret = c->verification;
        return 0;
}

void chat_set_verified(Chat *c, const char *name, bool verified, ChatDoneFn fn, void *userdata) {
        fake_contact(c, "set-verified", name, verified ? "yes" : "no", fn, userdata);
}

void chat_status(Chat *c, ChatStatus *ret) {
        *ret = c->status;
}

const ChatPeer *chat_get_object(Chat *c, const char *account) {
        for (size_t i = 0; i < c->n_objects; i++)
                if (streq(c->objects[i].account, account))
                        return &c->objects[i];
        return NULL;
}

void chat_each_object(Chat *c, ChatObjectFn fn, void *userdata) {
        for (size_t i = 0; i < c->n_objects; i++)
                if (!fn(userdata, c->objects[i].account))
                        return;
}

size_t chat_object_news(
        Chat *c, const char *account, const char *ret_names[static CHAT_OBJECT_NEWS_MAX + 1]) {
        size_t n = 0;

        c->n_news++;
        if (chat_get_object(c, account) && c->news)
                ret_names[n++] = c->news;
        ret_names[n] = NULL;
        return n;
}

void chat_doctor(Chat *c, ChatCheckFn fn, void *userdata) {
        c->n_calls++;
        for (size_t i = 0; i < c->n_checks; i++)
                fn(userdata, &c->checks[i]);
}

void chat_add_listener(Chat *c, const ChatListener *listener, void *userdata) {
        c->listener = listener;
        c->listener_userdata = userdata;
}

void chat_remove_listener(Chat *c, const void *userdata) {
        c->listener = NULL;
}

int chat_list_events(Chat *c, const ChatListEvents *args, ChatEventFn fn, void *userdata,
        uint64_t *ret_next, ChatError *error) {
        char numbers[64];
        size_t i = 0;

        snprintf(numbers, sizeof(numbers), "%llu|%u", (unsigned long long)args->cursor, args->max);
        fake_asked(c, "events", args->client, numbers, NULL);
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        *ret_next = args->cursor;
        for (; i < MIN(c->n_events, (size_t)args->max) && fn(userdata, &c->events[i]); i++)
                *ret_next = c->events[i].cursor;
        return 0;
}

void chat_ack_events(Chat *c, const char *client, uint64_t cursor, ChatDoneFn fn, void *userdata) {
        char number[32];

        snprintf(number, sizeof(number), "%llu", (unsigned long long)cursor);
        fake_asked(c, "ack", client, number, NULL);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_mark_read(Chat *c, const char *id, ChatDoneFn fn, void *userdata) {
        fake_asked(c, "read", id, NULL, NULL);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_cancel(Chat *c, const char *id, ChatDoneFn fn, void *userdata) {
        fake_asked(c, "cancel", id, NULL, NULL);
        fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

int chat_list_outbox(Chat *c, const char *after, unsigned limit, ChatMessageFn fn, void *userdata,
        bool *ret_more, ChatError *error) {
        return chat_list_messages(c,
                &(ChatListMessages){.with = "", .after = after ?: "", .limit = limit}, fn, userdata,
                ret_more, error);
}

/* Rooms */

static void fake_room(Chat *c, const char *what, const char *room, const char *a, const char *b,
        ChatDoneFn fn, void *userdata) {
        fake_asked(c, what, room, a, b);
        if (c->refuse)
                fn(userdata, &fake_refusal);
        else
                fake_open(c, (FakeCall){.done = fn, .userdata = userdata});
}

void chat_create_room(Chat *c, const ChatCreateRoom *args, ChatIdFn fn, void *userdata) {
        char more[128];

        snprintf(more, sizeof(more), "%s|%s", args->history ?: "-", args->topic ?: "-");
        fake_asked(c, "create-room", args->room, args->access, more);
        if (c->refuse)
                fn(userdata, &fake_refusal, NULL);
        else
                fake_open(c, (FakeCall){.id = fn, .userdata = userdata});
}

void chat_join_room(Chat *c, const char *room, ChatIdFn fn, void *userdata) {
        fake_asked(c, "join-room", room, NULL, NULL);
        if (c->refuse)
                fn(userdata, &fake_refusal, NULL);
        else
                fake_open(c, (FakeCall){.id = fn, .userdata = userdata});
}

void chat_leave_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata) {
        fake_room(c, "leave-room", room, NULL, NULL, fn, userdata);
}

void chat_delete_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata) {
        fake_room(c, "delete-room", room, NULL, NULL, fn, userdata);
}

void chat_invite(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata) {
        fake_room(c, "invite", room, name, NULL, fn, userdata);
}

void chat_kick(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata) {
        fake_room(c, "kick", room, name, NULL, fn, userdata);
}

void chat_set_topic(Chat *c, const char *room, const char *topic, ChatDoneFn fn, void *userdata) {
        fake_room(c, "set-topic", room, topic, NULL, fn, userdata);
}

void chat_set_role(Chat *c, const char *room, const char *name, const char *role, ChatDoneFn fn,
        void *userdata) {
        fake_room(c, "set-role", room, name, role, fn, userdata);
}

void chat_list_rooms(
        Chat *c, const ChatListRooms *args, ChatRoomFn fn, ChatPeersDoneFn done, void *userdata) {
        char limit[32];

        snprintf(limit, sizeof(limit), "%d%d|%u", args->all, args->known, args->limit);
        fake_asked(c, "rooms", args->words, args->after, limit);
        fake_open(c, (FakeCall){.room = fn, .peers_done = done, .userdata = userdata});
}

int chat_list_members(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        void *userdata, bool *ret_more, ChatError *error) {
        fake_asked(c, "members", room, after, NULL);
        if (c->outside) {
                *error = (ChatError){"UnknownRoom", "You are not in it."};
                return -ENOENT;
        }
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        *ret_more = c->n_members > limit;
        for (size_t i = 0; i < MIN(c->n_members, (size_t)limit); i++)
                if (!fn(userdata, &c->members[i])) {
                        *ret_more = true;
                        break;
                }
        return 0;
}

void chat_visit_room(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        ChatPeersDoneFn done, void *userdata) {
        fake_asked(c, "visit", room, after, NULL);
        fake_open(c, (FakeCall){.member = fn, .peers_done = done, .userdata = userdata});
}

int chat_digest(Chat *c, const char *with, ChatDigest *ret, ChatError *error) {
        fake_asked(c, "digest", with, NULL, NULL);
        if (c->refuse) {
                *error = fake_refusal;
                return -ENOENT;
        }
        *ret = c->digest;
        return 0;
}

const ChatRoom *chat_get_room(Chat *c, const char *id) {
        for (size_t i = 0; i < c->n_rooms; i++)
                if (streq(c->rooms[i].id, id))
                        return &c->rooms[i];
        return NULL;
}

void chat_each_room(Chat *c, ChatObjectFn fn, void *userdata) {
        for (size_t i = 0; i < c->n_rooms; i++)
                if (!fn(userdata, c->rooms[i].id))
                        return;
}

size_t chat_room_news(
        Chat *c, const char *id, const char *ret_names[static CHAT_ROOM_NEWS_MAX + 1]) {
        size_t n = 0;

        c->n_news++;
        if (chat_get_room(c, id) && c->news)
                ret_names[n++] = c->news;
        ret_names[n] = NULL;
        return n;
}
