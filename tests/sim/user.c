/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What people ask of their daemon, again and again until it is done. */

#include <stdio.h>

#include <utlist.h>

#include "directory/lan.h"
#include "faults.h"
#include "room.h"

/* Until what was not answered well is asked again: from the first to so much more. */
#define AGAIN_AFTER USEC_PER_SEC
#define AGAIN_SPREAD (20 * USEC_PER_SEC)

/* After these the same may be answered otherwise a little later. */
static bool is_transient(const ChatError *e) {
        static const char *const names[] = {"NotLoggedIn", "RateLimited", "Storage", "Timeout",
                "TooMany", "TrackerUnreachable", "UnknownPeer"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(e->name, names[i]))
                        return true;
        return streq(e->name, "InvalidArgs") && strstr(e->text, "clock"); /* somebody's is wrong */
}

void user_ask_again(User *u) {
        Loop *l = u->machine->loop;

        if (u->again_set)
                return;
        u->again_set = true;
        loop_timer_set(u->again,
                loop_now(l) + AGAIN_AFTER + world_random_below(u->machine->world, AGAIN_SPREAD));
}

/* False: the program has died before it could say it. */
static bool is_heard(User *u) {
        return u->running && machine_call(u->machine);
}

/* True where it went well. */
static bool take_answer(User *u, const char *what, const ChatError *e) {
        if (!e)
                return true;
        TRACE(u, "is answered %s: %s", what, e->name);
        if (!is_transient(e))
                FAIL(u, "refused", "%s: %s: %s", what, e->name, e->text);
        user_ask_again(u);
        return false;
}

/* Registering */

/* False while there is none. */
static bool has_account(User *u) {
        ChatStatus s;

        chat_status(u->machine->parts->chat, &s);
        if (u->registered && !streq(u->account_text, s.account))
                FAIL(u, "account-lost", "was %s and is \"%s\"", u->account_text, s.account);
        if (!s.name[0])
                return false;
        if (!streq(s.name, u->machine->called))
                FAIL(u, "account-lost", "is called %s", s.name);
        u->registered = true;
        snprintf(u->account_text, sizeof(u->account_text), "%s", s.account);
        (void)base32_decode_key(s.account, strlen(s.account), u->account);
        return true;
}

static void on_registered(void *userdata, const ChatError *e) {
        User *u = userdata;

        if (!is_heard(u))
                return;
        u->registering = false;
        if (!take_answer(u, "Register", e))
                return;
        TRACE(u, "is registered");
        if (!has_account(u))
                FAIL(u, "account-lost", "has none, and was told otherwise");
        user_ask_again(u);
}

/* For the LAN alone, while he knows trackers. */
static bool is_unpublished(const User *u) {
        return !u->machine->no_tracker && account_is_lan_only(u->machine->parts->account);
}

void user_publish(User *u) {
        user_ask_again(u);
}

static void register_account(User *u) {
        ChatRegister args = {.name = u->machine->called,
                .password = "",
                .no_password = true,
                .no_tracker = u->machine->no_tracker};

        if (u->registering)
                return;
        u->registering = true;
        chat_register(u->machine->parts->chat, &args, on_registered, u);
}

/* Names */

static bool bears_name_of(const Machine *m, const User *u) {
        return m != u->machine && streq(m->called, u->machine->called);
}

static bool is_rivalled(const User *u) {
        const World *w = u->machine->world;

        for (unsigned i = 0; i < w->n_users; i++)
                if (bears_name_of(w->machines[i], u))
                        return true;
        return false;
}

const char *user_ref(const User *u, char buf[static USER_REF_SIZE]) {
        if (!is_rivalled(u))
                return u->machine->called;
        snprintf(buf, USER_REF_SIZE, u->account_text[0] ? "@%s" : "%s", u->account_text);
        return buf;
}

static bool has_met(const User *u, const User *other) {
        return mail_between(u, other)->n_kept > 0 || mail_between(other, u)->n_arrived > 0;
}

/* Nothing has happened to either for a while, and U's program shows M's user on the LAN. */
static bool is_found(const User *u, const Machine *m) {
        const Machine *self = u->machine;
        LanPerson person;

        return u->registered && m->user->registered && host_is_near(self->host, m->host) &&
                self->world->now > usec_add(machine_calm_since(self), USEC_PER_MINUTE) &&
                self->world->now > usec_add(machine_calm_since(m), USEC_PER_MINUTE) &&
                directory_lan_get(self->parts->directory, m->user->account, &person);
}

/* Two strangers on the LAN bear the name that TO bears: which one is meant by it? */
static bool is_ambiguous(const User *u, const User *to) {
        const World *w = u->machine->world;
        bool any = false;

        if (has_met(u, to) || !is_found(u, to->machine))
                return false;
        for (unsigned i = 0; i < w->n_users; i++) {
                const Machine *m = w->machines[i];

                if (!bears_name_of(m, to))
                        continue;
                if (has_met(u, m->user) || !is_found(u, m))
                        return false;
                any = true;
        }
        return any;
}

/* Whom U has written to is meant by the name, whoever else bears it, unless U knows that one. */
static bool is_pinned(const User *u, const User *to) {
        const World *w = u->machine->world;

        for (unsigned i = 0; i < w->n_users; i++)
                if (bears_name_of(w->machines[i], to) && has_met(u, w->machines[i]->user))
                        return false;
        return mail_between(u, to)->n_kept > 0;
}

/* Sending */

static void on_sent(void *userdata, const ChatError *e, const char *id) {
        Letter *l = userdata;
        User *u = l->from;

        if (!is_heard(u))
                return;
        l->waiting = false;
        if (e && l->by_name && streq(e->name, "AmbiguousName")) {
                TRACE(u, "is told that two are called %s", l->to->machine->called);
                l->refused = true;
                user_ask_again(u);
                return;
        }
        if (!e && l->by_name)
                FAIL(u, "ambiguous-accepted", "\"%s\" is for one of two", l->text);
        if (!take_answer(u, l->text, e))
                return;
        if (!streq(id, l->id_text))
                FAIL(u, "answer-wrong", "\"%s\" has the id %s", l->text, id);
        if (!l->kept)
                FAIL(u, "reply-before-commit", "\"%s\" is not on disk", l->text);
        l->accepted = true;
        DL_DELETE(u->open, l);
        TRACE(u, "may forget \"%s\"", l->text);
}

static void send_letter(User *u, Letter *l) {
        char ref[USER_REF_SIZE];
        ChatSend args = {.to = user_ref(l->to, ref),
                .text = l->text,
                .id = l->id_text,
                .expires = l->worthless};

        if (l->to->machine->destroyed && !l->kept) {
                TRACE(u, "gives up \"%s\"", l->text);
                DL_DELETE(u->open, l);
                return;
        }
        if (l->worthless > 0 && l->worthless <= loop_realtime(u->machine->loop)) {
                TRACE(u, "is too late with \"%s\"", l->text);
                DL_DELETE(u->open, l);
                return;
        }
        l->by_name = !l->refused && is_ambiguous(u, l->to);
        if (l->by_name || is_pinned(u, l->to))
                args.to = l->to->machine->called;
        if (!args.to[0]) {
                user_ask_again(u); /* he cannot have told anybody who he is */
                return;
        }
        l->asked = l->waiting = true;
        chat_send(u->machine->parts->chat, &args, on_sent, l);
}

void user_send(User *u, User *to) {
        Letter *l;

        if (u->machine->destroyed)
                return;
        l = letter_new(u, to);
        TRACE(u, "wants to send \"%s\"", l->text);
        DL_APPEND(u->open, l);
        if (!u->running)
                return;
        if (u->registered)
                send_letter(u, l);
        else
                user_ask_again(u);
}

/* Reading */

static void on_read(void *userdata, const ChatError *e) {
        Mail *m = userdata;

        if (!is_heard(m->to))
                return;
        m->read_waiting = false;
        if (!take_answer(m->to, "MarkRead", e))
                return;
        for (size_t i = 0; i < m->n_sent; i++) {
                Letter *l = m->sent[i];

                l->seen |= l->arrived > 0 && l->arrived <= m->events_when_asked &&
                        letter_place(l) <= letter_place(m->read_asked);
        }
        m->read_done = m->read_asked;
}

static void mark_read(Mail *m) {
        User *u = m->to;

        if (m->read_waiting || m->read_done == m->read_wanted)
                return;
        m->read_waiting = true;
        m->read_asked = m->read_wanted;
        m->events_when_asked = u->events;
        chat_mark_read(u->machine->parts->chat, m->read_asked->id_text, on_read, m);
}

void user_mark_read(User *u, User *from) {
        Mail *m = mail_between(from, u);

        if (!u->running || !u->registered)
                return;
        m->read_wanted = m->last;
        mark_read(m);
}

/* Taking back */

static void on_cancelled(void *userdata, const ChatError *e) {
        Letter *l = userdata;
        User *u = l->from;

        if (!is_heard(u))
                return;
        if (e && streq(e->name, "NotAllowed")) {
                if (letter_waits(l))
                        FAIL(u, "cancel-refused", "\"%s\" waits: %s", l->text, e->text);
                return;
        }
        if (e && streq(e->name, "InvalidArgs")) {
                FAIL(u, "accepted-lost", "\"%s\" cannot be taken back: %s", l->text, e->text);
                return;
        }
        if (!take_answer(u, "Cancel", e))
                return; /* that it was tried is enough */
        l->cancelling = CANCEL_DONE;
        TRACE(u, "has taken back \"%s\"", l->text);
        if (letter_waits(l))
                FAIL(u, "reply-before-commit", "\"%s\" is not taken back on disk", l->text);
}

void user_cancel(User *u, User *to) {
        Mail *m = mail_between(u, to);
        Letter *l = NULL;

        if (!u->running || !u->registered)
                return;
        for (size_t i = 0; i < m->n_sent && !l; i++)
                if (m->sent[i]->accepted && letter_waits(m->sent[i]) &&
                        m->sent[i]->cancelling == CANCEL_NOT)
                        l = m->sent[i];
        if (!l)
                return;
        TRACE(u, "takes back \"%s\"", l->text);
        l->cancelling = CANCEL_ASKED;
        chat_cancel(u->machine->parts->chat, l->id_text, on_cancelled, l);
}

/* Blocking */

static void on_blocked(void *userdata, const ChatError *e) {
        Mail *m = userdata;
        User *u = m->to;

        if (!is_heard(u))
                return;
        m->block_waiting = false;
        if (!take_answer(u, m->block_asked ? "Block" : "Unblock", e))
                return;
        if (m->blocked && !m->block_asked)
                m->unblocked = u->machine->world->now;
        m->blocked = m->block_asked;
        TRACE(u, "%s %s", m->blocked ? "has blocked" : "hears again", m->from->machine->name);
}

/* Again until the program has said that it is so. */
static void set_block(Mail *m) {
        Chat *chat = m->to->machine->parts->chat;
        char ref[USER_REF_SIZE];
        const char *name;

        if (m->block_waiting || m->blocked == m->block_wanted)
                return;
        name = user_ref(m->from, ref); /* looks at everybody */
        if (!name[0])
                return;
        m->block_waiting = true;
        m->block_asked = m->block_wanted;
        if (m->block_asked)
                chat_block(chat, name, on_blocked, m);
        else
                chat_unblock(chat, name, on_blocked, m);
}

void user_block(User *u, User *whom, bool block) {
        Mail *m = mail_between(whom, u);

        m->block_wanted = block;
        if (u->running && u->registered)
                set_block(m);
}

/* The program comes and goes */

static void on_again(void *userdata) {
        User *u = userdata;
        World *w = u->machine->world;
        Letter *l, *tmp;

        u->again_set = false;
        if (!u->running)
                return;
        if (!has_account(u) || is_unpublished(u))
                register_account(u);
        if (!u->registered)
                return;
        client_registered(u);
        room_ask_again(u);
        DL_FOREACH_SAFE (u->open, l, tmp)
                if (!l->waiting)
                        send_letter(u, l);
        for (unsigned i = 0; i < w->n_users; i++) {
                mark_read(mail_between(w->machines[i]->user, u));
                set_block(mail_between(w->machines[i]->user, u));
        }
}

void user_started(User *u) {
        room_user_started(u);
        u->running = true;
        rows_check_start(u);
        (void)has_account(u);
        client_started(u);
        presence_started(u);
        user_ask_again(u);
}

void user_ended(User *u) {
        World *w = u->machine->world;
        Letter *l;

        u->running = u->registering = u->again_set = false;
        loop_timer_set(u->again, USEC_INFINITY);
        DL_FOREACH (u->open, l)
                l->waiting = false;
        for (unsigned i = 0; i < w->n_users; i++) {
                Mail *m = mail_between(w->machines[i]->user, u);

                m->read_waiting = m->block_waiting = false;
        }
        room_user_ended(u);
        client_ended(u);
        presence_ended(u);
}

bool user_is_content(const User *u) {
        const World *w = u->machine->world;

        if (!u->running || !u->registered || is_unpublished(u) || u->open ||
                !client_is_content(u) || !room_user_is_content(u))
                return false;
        for (unsigned i = 0; i < w->n_users; i++) {
                const Mail *m = mail_between(w->machines[i]->user, u);

                if (m->read_done != m->read_wanted || m->blocked != m->block_wanted)
                        return false;
        }
        return true;
}

int user_new(Machine *m, User **ret) {
        User *u = calloc(1, sizeof(*u));
        Ledger *l = m->world->ledger;
        int r;

        if (!u)
                return -ENOMEM;
        u->machine = m;
        u->listens = true;
        for (unsigned i = 0; i < l->n_users; i++) {
                l->mail[(size_t)m->number * l->n_users + i].from = u;
                l->mail[(size_t)i * l->n_users + m->number].to = u;
        }
        u->events = u->heard = u->acknowledged = u->acknowledging = EVENT_CURSOR_FIRST - 1;
        r = loop_timer_new(m->loop, on_again, u, &u->again);
        if (r >= 0)
                r = presence_new(u);
        if (r < 0) {
                user_free(u);
                return r;
        }
        *ret = u;
        return 0;
}

User *user_free(User *u) {
        if (!u)
                return NULL;
        loop_timer_free(u->again);
        presence_free(u);
        room_user_done(u);
        free(u->noted);
        free(u);
        return NULL;
}
