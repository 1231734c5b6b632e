/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What people ask of their programs, again and again until it is done, on one device or the other.
 */

#include <utlist.h>

#include "people-private.h"

/* Until what was not answered well is asked again: from the first to so much more. */
#define AGAIN_AFTER USEC_PER_SEC
#define AGAIN_SPREAD (20 * USEC_PER_SEC)

#define ROOM_CALLED "#room"

/* After these the same may be answered otherwise a little later. */
static bool is_transient(const ChatError *e) {
        static const char *const names[] = {"Cancelled", "NotLoggedIn", "PeerOffline",
                "PeerStorage", "RateLimited", "Replaced", "Storage", "Timeout", "TooMany",
                "TrackerUnreachable", "UnknownPeer", "UnknownRoom"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(e->name, names[i]))
                        return true;
        return streq(e->name, "InvalidArgs") && strstr(e->text, "clock"); /* somebody's is wrong */
}

void seat_ask_again(Seat *s) {
        Loop *l = s->machine->loop;

        if (s->again_set)
                return;
        s->again_set = true;
        loop_timer_set(s->again,
                loop_now(l) + AGAIN_AFTER + world_random_below(s->machine->world, AGAIN_SPREAD));
}

bool seat_is_heard(Seat *s) {
        return s->running && machine_call(s->machine);
}

/* True where it went well. "Replaced" is for who was. */
static bool take_answer(Seat *s, const char *what, const ChatError *e) {
        if (!e)
                return true;
        SEAT_TRACE(s, "is answered %s: %s", what, e->name);
        if (!is_transient(e))
                PERSON_FAIL(s, "refused", "%s: %s: %s", what, e->name, e->text);
        else if (streq(e->name, "Replaced") && !s->logging_in &&
                !account_is_replaced(s->machine->parts->account))
                PERSON_FAIL(s, "refused", "%s: %s, and that is not so", what, e->text);
        seat_ask_again(s);
        return false;
}

/* Accounts */

static void look_at_account(Seat *s) {
        Person *p = s->person;
        ChatStatus st;

        chat_status(s->machine->parts->chat, &st);
        s->has_account = st.account[0] != '\0';
        s->wants_login |= s->had_account && !s->has_account; /* its disk is one of before that */
        s->had_account |= s->has_account;
        if (!s->has_account)
                return;
        if (p->account_text[0] && !streq(p->account_text, st.account))
                PERSON_FAIL(s, "account-lost", "%s was %s and is %s", p->name, p->account_text,
                        st.account);
        snprintf(p->account_text, sizeof(p->account_text), "%s", st.account);
        (void)base32_decode_key(st.account, strlen(st.account), p->account);
        p->registered = true;
}

static void on_registered(void *userdata, const ChatError *e) {
        Seat *s = userdata;

        if (!seat_is_heard(s))
                return;
        s->registering = false;
        look_at_account(s);
        if (!take_answer(s, "Register", e))
                return;
        SEAT_TRACE(s, "is registered");
        if (!s->has_account)
                PERSON_FAIL(s, "account-lost", "has none, and was told otherwise");
        seat_ask_again(s);
}

static void register_account(Seat *s) {
        ChatRegister args = {.name = s->person->name, .password = s->person->password};

        if (s->registering)
                return;
        s->registering = true;
        chat_register(s->machine->parts->chat, &args, on_registered, s);
}

/* A name that nobody has looks like one with another password. */
static bool is_unknown_so_far(const Seat *s, const ChatError *e) {
        return !s->person->registered &&
                (streq(e->name, "BadPassword") || streq(e->name, "UnknownUser"));
}

static void on_logged_in(void *userdata, const ChatError *e) {
        Seat *s = userdata;

        if (!seat_is_heard(s))
                return;
        if (e && is_unknown_so_far(s, e))
                seat_ask_again(s);
        else if (take_answer(s, "Login", e)) {
                s->wants_login = false;
                look_at_account(s);
                SEAT_TRACE(s, "is logged in");
                if (!s->has_account)
                        PERSON_FAIL(s, "account-lost", "has none, and was told otherwise");
                seat_ask_again(s);
        }
        s->logging_in = false;
}

static void log_in(Seat *s) {
        s->logging_in = true;
        chat_login(s->machine->parts->chat, s->person->name, s->person->password, NULL,
                on_logged_in, s);
}

void seat_log_in(Seat *s) {
        s->wants_login = true;
        SEAT_TRACE(s, "wants to log in");
        if (s->running && !s->logging_in)
                log_in(s);
}

/* Writing */

/* The account is elsewhere, or is not here. */
static bool is_out_of_place(const Seat *s) {
        return s->replaced || (!s->has_account && !s->wants_login && s->device > 0) ||
                s->machine->destroyed;
}

/* Where it can be asked; what is under way stays. */
static void move(Note *n) {
        Seat *to = person_seat(n->from);

        if (n->waiting || !is_out_of_place(n->seat) || !to || to == n->seat)
                return;
        DL_DELETE(n->seat->open, n);
        n->seat = to;
        DL_APPEND(to->open, n);
        SEAT_TRACE(to, "is where \"%s\" is asked now", n->text);
        if (to->running)
                seat_ask_again(to);
}

/* In the batch that replaced it, at the latest. */
static bool is_too_late(const Seat *s, const Note *n) {
        return s->replaced && n->kept > s->replaced_since;
}

static void on_sent(void *userdata, const ChatError *e, const char *id) {
        Note *n = userdata;
        Seat *s = n->seat;

        if (!seat_is_heard(s))
                return;
        n->waiting = false;
        if (!take_answer(s, n->text, e))
                return;
        if (!streq(id, n->id_text))
                PERSON_FAIL(s, "answer-wrong", "\"%s\" has the id %s", n->text, id);
        if (!note_at(n, n->from)->kept[s->device])
                PERSON_FAIL(s, "reply-before-commit", "\"%s\" is not on disk", n->text);
        if (is_too_late(s, n))
                PERSON_FAIL(s, "accepted-late", "\"%s\" is taken, and the account is elsewhere",
                        n->text);
        n->accepted = true;
        n->excused = note_at(n, n->from)->excused = false; /* it was lost before that */
        DL_DELETE(s->open, n);
        SEAT_TRACE(s, "may forget \"%s\"", n->text);
}

static void send_note(Seat *s, Note *n) {
        ChatSend args = {
                .to = n->to ? n->to->name : ROOM_CALLED, .text = n->text, .id = n->id_text};

        n->waiting = true;
        chat_send(s->machine->parts->chat, &args, on_sent, n);
}

static Note *note_new(Seat *s, Person *to) {
        Person *from = s->person;
        World *w = s->machine->world;
        unsigned which = to ? to->number : SCRIPT_PEOPLE_MAX;
        Note *n = must(calloc(1, sizeof(*n)));
        uint8_t random[10];

        for (size_t i = 0; i < sizeof(random); i++)
                random[i] = (uint8_t)world_random_below(w, 256);
        *n = (Note){.id = uuid_make_v7(loop_realtime(s->machine->loop), random),
                .from = from,
                .to = to,
                .seat = s,
                .wanted = w->now};
        uuid_format(&n->id, n->id_text);
        snprintf(n->text, sizeof(n->text), "%s to %s %u", s->machine->name, to ? to->name : "all",
                ++from->n_notes[which]);
        HASH_ADD(hh, from->people->notes, id, sizeof(n->id), n);
        must(n->hh.tbl);
        return n;
}

void seat_write(Seat *s, Person *to) {
        Note *n;

        if (to == s->person || s->machine->destroyed || (!to && !s->person->wants_room))
                return;
        n = note_new(s, to);
        SEAT_TRACE(s, "wants to send \"%s\"", n->text);
        DL_APPEND(s->open, n);
        if (s->running && s->has_account && (to || s->person->in_room))
                send_note(s, n);
        else
                seat_ask_again(s);
}

/* Reading */

/* What was asked stays until the end of the world: it may be answered while a program ends. */
struct Reading {
        Seat *seat;
        Person *from;
        Note **notes;
        size_t n, allocated;
        char last[UUID_TEXT_SIZE];
        Reading *next;
};

void readings_free(People *p) {
        while (p->readings) {
                Reading *r = p->readings;

                LL_DELETE(p->readings, r);
                free(r->notes);
                free(r);
        }
}

static void on_read(void *userdata, const ChatError *e) {
        Reading *r = userdata;

        if (seat_is_heard(r->seat) && !e)
                for (size_t i = 0; i < r->n; i++)
                        note_at(r->notes[i], r->seat->person)->seen = true;
}

static bool on_listed(void *userdata, const ChatMessage *m) {
        Reading *r = userdata;
        Note *n = note_find_text(r->seat->person->people, m->id);

        if (r->n == r->allocated) {
                r->allocated = MAX(2 * r->allocated, (size_t)64);
                r->notes = must(reallocarray(r->notes, r->allocated, sizeof(Note *)));
        }
        if (n && n->from == r->from)
                r->notes[r->n++] = n;
        snprintf(r->last, sizeof(r->last), "%s", m->id);
        return true;
}

void seat_read(Seat *s, Person *from) {
        ChatListMessages args = {.with = from->name, .limit = 1000};
        Reading *r;
        bool more;
        ChatError e;

        if (!s->running || !s->has_account || from == s->person)
                return;
        r = must(calloc(1, sizeof(*r)));
        *r = (Reading){.seat = s, .from = from};
        LL_PREPEND(s->person->people->readings, r);
        if (chat_list_messages(s->machine->parts->chat, &args, on_listed, r, &more, &e) < 0 ||
                r->n == 0)
                return;
        s->person->read_asked[from->number] = s->machine->world->now;
        chat_mark_read(s->machine->parts->chat, r->last, on_read, r);
}

/* Verifying */

static void on_verified(void *userdata, const ChatError *e) {
        Verifying *v = userdata;

        if (!seat_is_heard(v->seat) || e)
                return;
        SEAT_TRACE(v->seat, "has verified %s", v->whom->name);
        v->seat->person->verified[v->whom->number] = true;
}

void seat_verify(Seat *s, Person *whom) {
        Verifying *v = &s->verifying[whom->number];

        if (!s->running || !s->has_account || whom == s->person)
                return;
        *v = (Verifying){.seat = s, .whom = whom};
        chat_set_verified(s->machine->parts->chat, whom->name, true, on_verified, v);
}

/* The room */

static void on_room(void *userdata, const ChatError *e, const char *id) {
        Person *p = userdata;
        Seat *s = p->room_seat;

        p->asking_room = false;
        if (!s || !seat_is_heard(s) || !take_answer(s, "the room", e))
                return;
        SEAT_TRACE(s, "is in the room");
        p->in_room = true;
        p->people->has_room = true;
        seat_ask_again(s);
}

static void ask_for_room(Person *p, Seat *s) {
        Chat *chat = s->machine->parts->chat;

        if (p->asking_room || p->in_room || !p->wants_room)
                return;
        p->asking_room = true;
        p->room_seat = s;
        if (p->makes_room)
                chat_create_room(
                        chat, &(ChatCreateRoom){.room = ROOM_CALLED, .access = "open"}, on_room, p);
        else
                chat_join_room(chat, ROOM_CALLED, on_room, p);
}

void seat_make_room(Seat *s) {
        s->person->wants_room = s->person->makes_room = true;
        seat_ask_again(s);
}

/* There is one, or somebody is about to make it. */
static bool is_room_wanted(const People *p) {
        for (unsigned i = 0; i < p->n; i++)
                if (p->all[i].makes_room)
                        return true;
        return false;
}

void seat_join_room(Seat *s) {
        s->person->wants_room |= is_room_wanted(s->person->people);
        seat_ask_again(s);
}

/* The program comes and goes */

static void on_again(void *userdata) {
        Seat *s = userdata;
        Person *p = s->person;
        Note *n, *tmp;

        s->again_set = false;
        DL_FOREACH_SAFE (s->open, n, tmp)
                move(n);
        if (!s->running)
                return;
        look_at_account(s);
        if (!s->has_account && s->device == 0 && !p->registered)
                register_account(s);
        else if (s->wants_login && !s->logging_in)
                log_in(s);
        if (!s->has_account)
                return;
        if (person_seat(p) == s)
                ask_for_room(p, s);
        DL_FOREACH_SAFE (s->open, n, tmp)
                if (!n->waiting && (n->to || p->in_room))
                        send_note(s, n);
}

bool seat_is_content(const Seat *s) {
        const Person *p = s->person;

        return !s->open && !s->wants_login && !s->logging_in && !s->registering && !s->reading &&
                p->in_room == p->wants_room;
}

void seat_forget(Seat *s) {
        Person *p = s->person;
        Note *n;

        loop_timer_set(s->again, USEC_INFINITY);
        s->again_set = s->registering = s->logging_in = s->reading = false;
        if (p->room_seat == s)
                p->asking_room = false;
        DL_FOREACH (s->open, n)
                n->waiting = false;
}

int seat_init(Seat *s, Person *p, Machine *m, unsigned device) {
        *s = (Seat){.machine = m, .person = p, .device = device, .events = EVENT_CURSOR_FIRST - 1};
        return loop_timer_new(m->loop, on_again, s, &s->again);
}
