/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Two programs of a user's that hear what happens. One listens to signals; it keeps the cursor of
 * what it has heard and, whenever it is back, asks for what it has missed. The other has a name,
 * asks now and then, and leaves it to the daemon to remember how far it got.
 */

#include <stdio.h>

#include "loop-virtual.h"
#include "room.h"

#define READER "reader"
#define PAGE 20
#define READ_MAX 200

/* What is told of a message: whether it is one, and is here. */
static void check_message(User *u, const ChatEvent *e) {
        const ChatMessage *m = e->message;
        const Letter *l = letter_find_text(user_ledger(u), m->id);

        if (!l || l->to != u || !streq(l->text, m->text) ||
                !streq(l->from->account_text, m->from_account) ||
                !streq(u->account_text, m->to_account))
                FAIL(u, "forged", "is shown \"%s\" of %s (%s)", m->text, m->from, m->id);
        else if (l->arrived == 0)
                FAIL(u, "shown-before-commit", "is shown \"%s\"", m->text);
        else if (l->arrived != e->cursor)
                FAIL(u, "shown-twice", "\"%s\": events %llu and %llu", m->text,
                        (unsigned long long)l->arrived, (unsigned long long)e->cursor);
}

static void check_state(User *u, const ChatEvent *e) {
        const Letter *l = letter_find_text(user_ledger(u), e->id);
        const User *other = l && l->from == u ? l->to : l ? l->from : NULL;

        if (!other || (other->account_text[0] && !streq(other->account_text, e->account)))
                FAIL(u, "forged", "is told that %s is %s to %s", e->id, e->state, e->to);
}

/* False where it must not have been said. */
static bool check_event(User *u, const ChatEvent *e) {
        World *w = u->machine->world;
        const uint64_t *digest;

        if (e->kind == CHAT_EVENT_GAP) {
                if (u->latest < VIRTUAL_REALTIME + EVENTS_AGE)
                        FAIL(u, "events-incomplete", "%llu events up to %llu are forgotten",
                                (unsigned long long)e->lost, (unsigned long long)e->cursor);
                return !world_has_failed(w);
        }
        if (e->kind == CHAT_EVENT_MESSAGE && e->message->room)
                room_check_message(u, e->message);
        else if (e->kind == CHAT_EVENT_MESSAGE)
                check_message(u, e);
        else if (e->kind == CHAT_EVENT_STATE && !e->room)
                check_state(u, e);
        if (world_has_failed(w))
                return false;
        digest = rows_digest(u, e->cursor);
        if (!digest)
                FAIL(u, "event-before-commit", "event %llu", (unsigned long long)e->cursor);
        else if (event_digest(e) != *digest)
                FAIL(u, "event-wrong", "event %llu is not told as it is on disk",
                        (unsigned long long)e->cursor);
        return !world_has_failed(w);
}

/* AT is the cursor of the event before. False where the world has ended. */
static bool take_event(User *u, const char *client, const ChatEvent *e, uint64_t *at) {
        if (!check_event(u, e))
                return false;
        if (e->kind != CHAT_EVENT_GAP && (e->cursor <= *at || !rows_may_skip(u, *at, e->cursor)))
                FAIL(u, e->cursor <= *at ? "event-twice" : "events-incomplete",
                        "the %s is told of event %llu after %llu", client,
                        (unsigned long long)e->cursor, (unsigned long long)*at);
        *at = e->cursor;
        if (e->kind == CHAT_EVENT_MESSAGE)
                TRACE(u, "%s: \"%s\"", client, e->message->text);
        else if (e->kind == CHAT_EVENT_ROOM)
                TRACE(u, "%s: %s %s", client, e->change, e->name ?: "");
        else if (e->kind == CHAT_EVENT_STATE)
                TRACE(u, "%s: %s is %s", client, e->id, e->state);
        else if (e->kind == CHAT_EVENT_PEER)
                TRACE(u, "%s: %s is %s", client, e->name, e->presence);
        else if (e->kind == CHAT_EVENT_REPLACED)
                TRACE(u, "%s: another device is active", client);
        return !world_has_failed(u->machine->world);
}

/* Who listens */

static void on_signal(void *userdata, const ChatEvent *e) {
        User *u = userdata;

        if (u->attached && machine_call(u->machine))
                (void)take_event(u, "listener", e, &u->heard);
}

static void on_properties(void *userdata, unsigned properties) {
}

/* People have objects from when they are added until they are removed. */
static void on_object(void *userdata, const char *account, ChatObjectChange change) {
        static const char *const wrong[] = {
                [CHAT_OBJECT_ADDED] = "added again",
                [CHAT_OBJECT_CHANGED] = "changed without being there",
                [CHAT_OBJECT_REMOVED] = "removed without being there",
        };
        User *u = userdata, *other;
        uint8_t key[KEY_SIZE];
        bool *there;

        if (!u->running || u->machine->dead || base32_decode_key(account, strlen(account), key) < 0)
                return;
        other = ledger_find_user(user_ledger(u), key);
        if (!other) { /* his own program has not told him yet that he has an account */
                u->n_unknown_objects += change == CHAT_OBJECT_ADDED;
                return;
        }
        there = &u->others[other->machine->number].object;
        if (!*there && change != CHAT_OBJECT_ADDED && u->n_unknown_objects > 0) {
                u->n_unknown_objects--;
                *there = true;
        }
        if (*there == (change == CHAT_OBJECT_ADDED))
                FAIL(u, "object-true", "%s is %s", other->machine->name, wrong[change]);
        *there = change != CHAT_OBJECT_REMOVED;
}

static const ChatListener listener = {
        .event = on_signal,
        .properties_changed = on_properties,
        .object_changed = on_object,
};

typedef struct Reading {
        User *user;
        const char *client;
        uint64_t at;
        unsigned n;
} Reading;

static bool on_listed(void *userdata, const ChatEvent *e) {
        Reading *r = userdata;

        r->n++;
        return take_event(r->user, r->client, e, &r->at);
}

/* One answer after the other until there is nothing more. False: it went wrong, or the program has
 * died. */
static bool read_all(Reading *r, ChatListEvents *args) {
        User *u = r->user;
        uint64_t next = args->cursor, before;
        ChatError e;

        args->max = PAGE;
        do {
                before = args->cursor;
                if (chat_list_events(u->machine->parts->chat, args, on_listed, r, &next, &e) < 0) {
                        TRACE(u, "cannot list events: %s", e.name);
                        return false;
                }
                if (!machine_call(u->machine) || world_has_failed(u->machine->world))
                        return false;
                args->cursor = next;
        } while (next != before);
        return true;
}

/* There was nothing more to be told. */
static void check_end(User *u, const char *client, uint64_t at) {
        if ((!rows_may_be_end(u, at) || !rows_may_skip(u, at, u->events + 1)) &&
                !world_has_failed(u->machine->world))
                FAIL(u, "events-incomplete", "the %s is told up to event %llu of %llu", client,
                        (unsigned long long)at, (unsigned long long)u->events);
}

static void attach(User *u) {
        Reading r = {.user = u, .client = "listener", .at = u->heard};
        ChatListEvents args = {.cursor = u->heard};

        if (u->attached)
                return;
        if (!read_all(&r, &args)) {
                user_ask_again(u);
                return;
        }
        u->heard = r.at;
        u->attached = true;
        check_end(u, "listener", r.at);
}

void user_listen(User *u, bool on) {
        u->listens = on;
        if (!on)
                u->attached = false;
        else if (u->running && u->registered)
                attach(u);
}

/* Who reads */

static void on_acknowledged(void *userdata, const ChatError *e) {
        User *u = userdata;

        if (!u->running || !machine_call(u->machine))
                return;
        u->acknowledge_waiting = false;
        if (!e)
                u->acknowledged = u->acknowledging;
}

/* The daemon begins where it was told that this client has got to. */
static bool on_reader_listed(void *userdata, const ChatEvent *e) {
        Reading *r = userdata;
        User *u = r->user;

        if (r->n == 0 && e->kind != CHAT_EVENT_GAP) {
                if (!rows_may_skip(u, u->acknowledging, e->cursor))
                        FAIL(u, "events-incomplete", "the reader got to %llu and goes on with %llu",
                                (unsigned long long)u->acknowledging,
                                (unsigned long long)e->cursor);
                else if (e->cursor <= u->acknowledged)
                        FAIL(u, "event-twice", "the reader got to %llu and goes on with %llu",
                                (unsigned long long)u->acknowledged, (unsigned long long)e->cursor);
                r->at = e->cursor - 1;
        }
        return on_listed(userdata, e);
}

static void read_on(User *u) {
        Reading r = {.user = u, .client = READER};
        ChatListEvents args = {.max = READ_MAX, .client = READER};
        uint64_t next;
        ChatError e;

        if (u->acknowledge_waiting ||
                chat_list_events(u->machine->parts->chat, &args, on_reader_listed, &r, &next, &e) <
                        0 ||
                !machine_call(u->machine))
                return;
        if (r.n < READ_MAX)
                check_end(u, READER, r.n > 0 ? r.at : u->acknowledging);
        if (r.n == 0 || world_has_failed(u->machine->world))
                return;
        u->acknowledging = r.at;
        u->acknowledge_waiting = true;
        chat_ack_events(u->machine->parts->chat, READER, r.at, on_acknowledged, u);
}

void user_read_on(User *u) {
        World *w = u->machine->world;
        User *other;

        if (!u->running || !u->registered)
                return;
        read_on(u);
        queue_check(u);
        other = w->machines[world_random_below(w, w->n_users)]->user;
        if (other != u && !world_has_failed(w))
                history_check(u, other);
}

/* The program comes and goes */

/* The bus always listens, whether anybody is there to hear it or not. */
void client_started(User *u) {
        memset(u->others, 0, sizeof(u->others));
        u->n_unknown_objects = 0;
        chat_add_listener(u->machine->parts->chat, &listener, u);
}

void client_registered(User *u) {
        if (u->listens)
                attach(u);
}

void client_ended(User *u) {
        u->attached = u->acknowledge_waiting = false;
}

bool client_is_content(const User *u) {
        return !u->listens || (u->attached && rows_may_skip(u, u->heard, u->events + 1));
}
