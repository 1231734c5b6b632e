/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is on the disks of people's devices, looked at after each commit, and what their clients are
 * told: one that listens on each device, and one with a name, which is the same program of that
 * person's wherever he sits, and has to be told of each message once.
 */

#include <utlist.h>

#include "people-private.h"
#include "store/history.h"
#include "store/room.h"

#define ROOM_NAMED "room"

/* Disks */

bool seat_has(const Seat *s, DbTxn *txn, const Note *n) {
        uint32_t number = SELF_NUMBER, feed;
        uint64_t seq;
        RoomRow room;
        Contact c;

        if (!n->to)
                return room_find_name(txn, ROOM_NAMED, &room) > 0 &&
                        store_room_find_id(txn, room.number, &n->id, &feed, &seq) > 0;
        if (n->from != s->person) {
                if (contact_get(txn, n->from->account, &c) <= 0)
                        return false;
                number = c.number;
        }
        return store_find_id(txn, number, &n->id, &feed, &seq) > 0;
}

static void note_kept(Seat *s, Note *n) {
        note_at(n, s->person)->kept[s->device] = true;
        if (n->kept == 0)
                n->kept = s->machine->world->now;
}

/* An own one, of this epoch, unless the epoch began in this very commit. */
static void check_own(Seat *s, DbTxn *txn, Note *n) {
        uint32_t feed;
        uint64_t seq;
        HistoryRow h;

        if (!n->to || store_find_id(txn, SELF_NUMBER, &n->id, &feed, &seq) <= 0 ||
                history_get(txn, feed, seq, &h) <= 0 ||
                !key_equal(h.inner.device,
                        sign_key_public(&account_identity(s->machine->parts->account)->device)))
                return; /* it came from another device meanwhile */
        if (h.inner.epoch < s->epoch_before)
                PERSON_FAIL(s, "old-epoch", "\"%s\" is of epoch %llu, and the device knew of %llu",
                        n->text, (unsigned long long)h.inner.epoch,
                        (unsigned long long)s->epoch_before);
        n->loose |= s->restored && h.inner.epoch <= s->restored_epoch;
}

/* Of another device of the account, by its cursor: it may tell of what came here as well. */
static bool is_imported(const Seat *s, const EventRow *row) {
        return event_epoch_begin(row->cursor) !=
                event_epoch_begin((account_identity(s->machine->parts->account)->epoch - 1) << 40);
}

static bool on_row(void *userdata, DbTxn *txn, const EventRow *row) {
        Seat *s = userdata;
        HistoryRow h = {};
        Note *n = NULL;
        NoteAt *at;

        s->events = row->cursor;
        if (row->kind != EVENT_RECEIVED)
                return true;
        if (history_get(txn, row->feed, row->seq, &h) > 0)
                n = note_find(s->person->people, &h.inner.id);
        if (!n || !note_is_for(n, s->person) || !key_equal(h.inner.account, n->from->account)) {
                PERSON_FAIL(s, "forged", "has kept what nobody has sent: event %llu",
                        (unsigned long long)row->cursor);
                return false;
        }
        at = note_at(n, s->person);
        if (at->came[s->device] && !is_imported(s, row))
                PERSON_FAIL(s, "shown-twice", "\"%s\" has come again", n->text);
        at->came[s->device] = at->arrived = true;
        at->for_reader |= s->reader_is_known;
        note_kept(s, n);
        return !world_has_failed(s->machine->world);
}

static void look(Seat *s, DbTxn *txn) {
        Note *n;

        DL_FOREACH (s->open, n)
                if (n->waiting && !note_at(n, s->person)->kept[s->device] && seat_has(s, txn, n)) {
                        note_kept(s, n);
                        check_own(s, txn, n);
                }
        if (event_each(txn, s->events, on_row, s) < 0)
                PERSON_FAIL(s, "store-damaged", "events cannot be read");
}

/* What the program has in memory is what it has just written. */
static void look_at_identity(Seat *s) {
        const Account *a = s->machine->parts->account;
        uint64_t epoch = account_identity(a)->epoch;
        bool replaced = account_is_replaced(a);

        if (epoch < s->epoch)
                PERSON_FAIL(s, "epoch-lower", "was in epoch %llu and is in %llu",
                        (unsigned long long)s->epoch, (unsigned long long)epoch);
        s->epoch_before = s->epoch;
        s->epoch = epoch;
        s->restored &= epoch <= s->restored_epoch;
        if (replaced && !s->replaced) {
                s->replaced_since = s->machine->world->now;
                s->events_when_replaced = s->events;
                SEAT_TRACE(s, "is replaced");
        }
        if (epoch != s->epoch_before)
                SEAT_TRACE(s, "is in epoch %llu", (unsigned long long)epoch);
        s->replaced = replaced;
}

void seat_look(Seat *s) {
        Machine *m = s->machine;
        DbTxn *txn;

        if (!m->store || !m->parts || world_has_failed(m->world) ||
                store_read_begin(m->store, &txn) < 0)
                return;
        look(s, txn);
        store_read_end(txn);
        look_at_identity(s);
}

/* All that was accepted here is here. */
static void look_at_start(Seat *s) {
        People *p = s->person->people;
        Note *n, *tmp;
        DbTxn *txn;

        if (store_read_begin(s->machine->store, &txn) < 0)
                return;
        HASH_ITER (hh, p->notes, n, tmp) {
                const NoteAt *at = note_at(n, s->person);

                if (at->kept[s->device] && !seat_has(s, txn, n))
                        PERSON_FAIL(s, "disk-forgot", "\"%s\" is not on disk any more", n->text);
        }
        store_read_end(txn);
        look_at_identity(s);
}

/* What is told */

static Note *check_message(Seat *s, const ChatMessage *m) {
        Note *n = note_find_text(s->person->people, m->id);

        if (!n || !note_is_for(n, s->person) || !streq(n->text, m->text) ||
                !streq(n->from->account_text, m->from_account)) {
                PERSON_FAIL(s, "forged", "is told \"%s\" of %s", m->text, m->from);
                return NULL;
        }
        return n;
}

static void check_state(Seat *s, const ChatEvent *e) {
        if (streq(e->state, "failed") || streq(e->state, "expired"))
                PERSON_FAIL(s, "failed-wrongly", "%s is %s: %s", e->id, e->state, e->reason ?: "");
}

/* False where it must not have been said. */
static bool check_event(Seat *s, const ChatEvent *e) {
        if (e->kind == CHAT_EVENT_GAP)
                PERSON_FAIL(s, "events-incomplete", "%llu events up to %llu are forgotten",
                        (unsigned long long)e->lost, (unsigned long long)e->cursor);
        if (e->kind == CHAT_EVENT_STATE && !e->room)
                check_state(s, e);
        if (e->kind == CHAT_EVENT_PEER && e->key_changed)
                PERSON_FAIL(s, "key-changed", "is told that %s is somebody else now", e->name);
        return !world_has_failed(s->machine->world);
}

/* Who listens */

static void hear_message(Seat *s, const ChatEvent *e) {
        Note *n = check_message(s, e->message);
        NoteAt *at;

        if (!n)
                return;
        at = note_at(n, s->person);
        SEAT_TRACE(s, "hears \"%s\"", n->text);
        if (!at->came[s->device])
                PERSON_FAIL(s, "shown-before-commit", "is told \"%s\"", n->text);
        if (at->heard[s->device])
                PERSON_FAIL(s, "shown-twice", "is told \"%s\" again", n->text);
        at->heard[s->device] = true;
}

static void on_signal(void *userdata, const ChatEvent *e) {
        Seat *s = userdata;

        if (!seat_is_heard(s) || !check_event(s, e))
                return;
        if (s->replaced && e->cursor > s->events_when_replaced &&
                (e->kind == CHAT_EVENT_MESSAGE || e->kind == CHAT_EVENT_STATE))
                PERSON_FAIL(
                        s, "event-after-replacement", "event %llu", (unsigned long long)e->cursor);
        else if (e->kind == CHAT_EVENT_MESSAGE)
                hear_message(s, e);
}

static void on_properties(void *userdata, unsigned properties) {
}

static void on_object(void *userdata, const char *account, ChatObjectChange change) {
}

static const ChatListener listener = {
        .event = on_signal,
        .properties_changed = on_properties,
        .object_changed = on_object,
        .room_object_changed = on_object,
};

/* Who reads */

static void on_acknowledged(void *userdata, const ChatError *e) {
        Seat *s = userdata;

        if (!seat_is_heard(s))
                return;
        s->reading = false;
        if (e)
                return;
        s->reader_is_known = true;
        for (unsigned i = 0; i < s->n_told; i++)
                note_at(s->told[i], s->person)->read = true;
}

typedef struct Listing {
        Seat *seat;
        uint64_t at;
} Listing;

/* The others have told it all, that he has acknowledged something among it. */
static bool knows_all(const Seat *s) {
        Person *p = s->person;

        for (unsigned i = 0; i < p->people->n_devices; i++) {
                const Seat *o = &p->seats[i];

                if (o != s && o->had_account &&
                        !(o->running && o->replaced && !seat_is_handing_over(o)))
                        return false;
        }
        return person_seat(p) == s && !seat_is_handing_over(s);
}

/* What he has acknowledged he is not told again, unless it has come here by itself, before this
 * device could know that. */
static bool on_listed(void *userdata, const ChatEvent *e) {
        Listing *l = userdata;
        Seat *s = l->seat;
        Note *n;

        if (!check_event(s, e))
                return false;
        if (e->cursor <= l->at)
                PERSON_FAIL(s, "event-twice", "event %llu is told after %llu",
                        (unsigned long long)e->cursor, (unsigned long long)l->at);
        l->at = e->cursor;
        if (e->kind != CHAT_EVENT_MESSAGE)
                return true;
        n = check_message(s, e->message);
        if (!n)
                return false;
        SEAT_TRACE(
                s, "the reader is told \"%s\", event %llu", n->text, (unsigned long long)e->cursor);
        if (note_at(n, s->person)->read && !note_at(n, s->person)->heard[s->device] &&
                !note_at(n, s->person)->unheard[s->device] && !s->person->lossy && knows_all(s))
                PERSON_FAIL(s, "event-twice", "the reader is told \"%s\" again", n->text);
        s->told[s->n_told++] = n;
        return true;
}

void seat_catch_up(Seat *s) {
        Listing l = {.seat = s};
        ChatListEvents args = {.max = PEOPLE_READ_MAX, .client = READER};
        Chat *chat = s->machine->parts ? s->machine->parts->chat : NULL;
        uint64_t next;
        ChatError e;

        if (!s->running || !s->has_account || s->reading)
                return;
        s->n_told = 0;
        s->read_something = chat_list_events(chat, &args, on_listed, &l, &next, &e) >= 0 &&
                l.at > 0 && machine_call(s->machine) && !world_has_failed(s->machine->world);
        if (!s->read_something || s->replaced)
                return;
        s->reading = true;
        chat_ack_events(chat, READER, l.at, on_acknowledged, s);
}

/* The program comes and goes */

void seat_started(Seat *s) {
        s->running = true;
        look_at_start(s);
        chat_add_listener(s->machine->parts->chat, &listener, s);
        if (s->asks_first)
                parts_set_handover_asks(s->machine->parts, true);
        seat_ask_again(s);
}

/* What has come just before is told by nobody. */
static void note_unheard(Seat *s) {
        Note *n, *tmp;

        HASH_ITER (hh, s->person->people->notes, n, tmp) {
                NoteAt *at = note_at(n, s->person);

                at->unheard[s->device] |= at->came[s->device] && !at->heard[s->device];
        }
}

void seat_ended(Seat *s) {
        s->running = false;
        note_unheard(s);
        seat_forget(s);
}
