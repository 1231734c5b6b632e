/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * When all is quiet: each account is active on one device, which has all of it, and the others have
 * nothing left to hand over.
 */

#include "people-private.h"

typedef struct Shown {
        Seat *seat;
        Person *with; /* NULL: the room */
        char last[UUID_TEXT_SIZE]; /* the oldest of a page */
        unsigned n, unread;
} Shown;

/* Said so on another device, the disk of which is not as it was. */
static void check_read(const Shown *s, const Note *n, const ChatMessage *m) {
        Person *p = s->seat->person;
        const NoteAt *at = &n->at[p->number];
        bool read = streq(m->state, "read");

        if (p->lossy || !s->with)
                return;
        if (at->seen && !read)
                PERSON_FAIL(
                        s->seat, "unread-wrong", "\"%s\" was read, and is %s", n->text, m->state);
        if (read && !at->seen && p->read_asked[n->from->number] <= n->wanted)
                PERSON_FAIL(s->seat, "unread-wrong", "\"%s\" was not read, and is", n->text);
}

static void check_own_state(const Shown *s, const Note *n, const ChatMessage *m) {
        if (!s->with || n->excused || s->seat->person->lossy)
                return;
        if (!streq(m->state, "delivered") && !streq(m->state, "read"))
                PERSON_FAIL(s->seat, "state-wrong", "\"%s\" is %s", n->text, m->state);
}

static bool belongs(const Shown *s, const Note *n) {
        if (!s->with)
                return !n->to;
        return n->to && (n->from == s->with || n->to == s->with) &&
                (n->from == s->seat->person || n->to == s->seat->person);
}

static bool on_shown(void *userdata, const ChatMessage *m) {
        Shown *s = userdata;
        Seat *seat = s->seat;
        Note *n = note_find_text(seat->person->people, m->id);

        if (s->n++ == 0)
                snprintf(s->last, sizeof(s->last), "%s", m->id);
        if (!n || !belongs(s, n) || !streq(n->text, m->text) ||
                !streq(n->from->account_text, m->from_account)) {
                PERSON_FAIL(seat, "forged", "shows \"%s\" of %s as %s", m->text, m->from, m->kind);
                return false;
        }
        if (note_at(n, seat->person)->shown++ > 0)
                PERSON_FAIL(seat, "shown-twice", "\"%s\" is in the history twice", n->text);
        if (n->from == seat->person)
                check_own_state(s, n, m);
        else
                check_read(s, n, m);
        s->unread += streq(m->state, "received");
        return !world_has_failed(seat->machine->world);
}

static const char *ref(const Shown *s) {
        return s->with ? s->with->name : "#room";
}

static bool is_unknown(const ChatError *e) {
        return streq(e->name, "UnknownPeer") || streq(e->name, "UnknownRoom") ||
                streq(e->name, "NotMember");
}

static void show(Shown *s) {
        World *w = s->seat->machine->world;
        ChatListMessages args = {.with = ref(s), .limit = PEOPLE_PAGE};
        bool more = true;
        ChatError e;

        while (more && !world_has_failed(w)) {
                s->n = 0;
                if (chat_list_messages(
                            s->seat->machine->parts->chat, &args, on_shown, s, &more, &e) < 0) {
                        if (!is_unknown(&e))
                                PERSON_FAIL(s->seat, "refused", "ListMessages: %s", e.text);
                        return;
                }
                more &= s->n > 0;
                args.before = s->last;
        }
}

static bool on_conversation(void *userdata, const ChatConversation *v) {
        Shown *s = userdata;

        if (!v->account || !streq(v->account, s->with->account_text))
                return true;
        if (v->unread != s->unread)
                PERSON_FAIL(s->seat, "unread-wrong", "%u messages of %s are unread, not %u",
                        s->unread, s->with->name, v->unread);
        return false;
}

static void check_unread(Shown *s) {
        bool more;
        ChatError e;

        if (s->with)
                (void)chat_list_conversations(
                        s->seat->machine->parts->chat, NULL, 1000, on_conversation, s, &more, &e);
}

/* Of two with one place a device that has one takes no other: its author, whose disk was put back,
 * knows nothing of the first any more, and says the second in another place. */
static bool has_lost_its_place(const Note *n) {
        return n->forked && n->at[n->from->number].excused;
}

static bool need_not_be_there(const Note *n, const Person *p) {
        return n->at[p->number].excused || (p != n->from && (n->excused || has_lost_its_place(n)));
}

/* Events of before a client is known are not handed over. */
static bool is_only_one(const Seat *s) {
        const Person *p = s->person;
        unsigned n = 0;

        for (unsigned i = 0; i < p->people->n_devices; i++)
                n += p->seats[i].had_account;
        return n == 1;
}

static void check_history(Seat *seat, Person *with) {
        Person *p = seat->person;
        Shown s = {.seat = seat, .with = with};
        Note *n, *tmp;

        HASH_ITER (hh, p->people->notes, n, tmp)
                note_at(n, p)->shown = 0;
        show(&s);
        if (world_has_failed(seat->machine->world))
                return;
        HASH_ITER (hh, p->people->notes, n, tmp) {
                const NoteAt *at = note_at(n, p);

                if (!belongs(&s, n) || !n->accepted || need_not_be_there(n, p))
                        continue;
                if (at->shown == 0)
                        PERSON_FAIL(seat, "lost", "\"%s\" was accepted and is not shown", n->text);
                if (n->from != p && !at->read && !p->lossy && n->to &&
                        (at->for_reader || (at->came[seat->device] && is_only_one(seat))))
                        PERSON_FAIL(seat, "events-incomplete", "the reader was not told \"%s\"",
                                n->text);
        }
        check_unread(&s);
}

static void check_contact(Seat *s, const Person *other) {
        const Person *p = s->person;
        const ChatPeer *peer;

        if (!other->account_text[0])
                return;
        peer = chat_get_object(s->machine->parts->chat, other->account_text);
        if (p->verified[other->number] && !p->lossy && !(peer && peer->verified))
                PERSON_FAIL(s, "verified-lost", "%s was verified", other->name);
        if (!peer)
                return;
        if (peer->key_changed)
                PERSON_FAIL(s, "key-changed", "%s is somebody else, it says", other->name);
        if (peer->contact && !streq(peer->presence, "online"))
                PERSON_FAIL(s, "presence-true", "%s is %s, it says", other->name, peer->presence);
}

static void check_status(Seat *s) {
        StoreHealth h;
        ChatStatus st;

        chat_status(s->machine->parts->chat, &st);
        store_get_health(s->machine->store, &h);
        if (!streq(st.state, "online"))
                PERSON_FAIL(s, "presence-true", "is %s itself", st.state);
        if (st.queued > 0)
                PERSON_FAIL(s, "queue-drains", "%u messages are queued", st.queued);
        for (size_t i = 0; st.problems[i] && h.last_error >= 0 && !s->person->lossy; i++)
                PERSON_FAIL(s, "problem-stays", "%s", st.problems[i]);
}

static void check_replaced(Seat *s) {
        ChatStatus st;

        if (!s->machine->running || !s->has_account)
                return;
        chat_status(s->machine->parts->chat, &st);
        if (!s->replaced || !streq(st.state, "replaced"))
                PERSON_FAIL(
                        s, "two-active", "is %s, and the account is active elsewhere", st.state);
        if (seat_is_handing_over(s))
                PERSON_FAIL(s, "handover-stays", "has something to hand over");
}

static void check_handed_over(Seat *s) {
        HandoverState h;

        handover_get_state(s->machine->parts->handover, &h);
        if (seat_is_handing_over(s))
                PERSON_FAIL(s, "handover-stays", "is taking something");
        if (h.refused > 0)
                PERSON_FAIL(s, "handover-refused", "%llu items were of no use",
                        (unsigned long long)h.refused);
}

static void check_active(Seat *s) {
        People *p = s->person->people;

        machine_enter(s->machine);
        check_status(s);
        check_handed_over(s);
        for (unsigned i = 0; i < p->n && !world_has_failed(p->world); i++)
                if (&p->all[i] != s->person) {
                        check_contact(s, &p->all[i]);
                        check_history(s, &p->all[i]);
                }
        if (s->person->in_room && !world_has_failed(p->world))
                check_history(s, NULL);
        machine_leave(s->machine);
}

/* All who are in the room hold the same. */
static void check_room(People *p) {
        ChatDigest first = {}, d;
        const Person *whose = NULL;
        ChatError e;

        for (unsigned i = 0; i < p->n && !world_has_failed(p->world); i++) {
                Seat *s = person_seat(&p->all[i]);

                if (!s || !p->all[i].in_room || p->all[i].lossy)
                        continue;
                if (chat_digest(s->machine->parts->chat, "#room", &d, &e) < 0)
                        PERSON_FAIL(s, "room-lost", "%s", e.text);
                else if (whose && (!streq(d.digest, first.digest) || d.messages != first.messages))
                        PERSON_FAIL(s, "room-digest", "has %llu messages, and %s %llu",
                                (unsigned long long)d.messages, whose->name,
                                (unsigned long long)first.messages);
                if (!whose) {
                        first = d;
                        whose = &p->all[i];
                }
        }
}

void people_check_quiet(People *p) {
        for (unsigned i = 0; i < p->n && !world_has_failed(p->world); i++) {
                Person *person = &p->all[i];
                Seat *active = person_seat(person);

                if (!active || !active->running) {
                        if (person->registered)
                                world_fail(p->world, "none-active",
                                        "%s's account is active nowhere", person->name);
                        continue;
                }
                check_active(active);
                for (unsigned k = 0; k < p->n_devices && !world_has_failed(p->world); k++)
                        if (&person->seats[k] != active)
                                check_replaced(&person->seats[k]);
        }
        if (p->has_room && !world_has_failed(p->world))
                check_room(p);
}
