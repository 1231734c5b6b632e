/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is on the disk of a user's machine, read after each commit: which messages, in which state,
 * and what events are to be told. Each step is compared with the truth at once.
 */

#include <utlist.h>

#include "store/history.h"
#include "prompt.h"
#include "room.h"

/* In digests of events. */
#define OF_ROOM UINT64_C(1)

/* FNV-1a */
static uint64_t digest_bytes(uint64_t digest, const void *p, size_t n) {
        const uint8_t *b = p;

        for (size_t i = 0; i < n; i++)
                digest = (digest ^ b[i]) * UINT64_C(0x100000001b3);
        return digest;
}

static uint64_t digest_text(uint64_t digest, const char *text) {
        return digest_bytes(digest, text ?: "-", strlen(text ?: "-") + 1);
}

static uint64_t digest_event(const ChatEvent *e) {
        uint64_t d = UINT64_C(0xcbf29ce484222325);

        d = digest_bytes(d, &e->kind, sizeof(e->kind));
        d = digest_bytes(d, &e->time, sizeof(e->time));
        if (e->room || (e->message && e->message->room))
                return d | OF_ROOM;
        if (e->kind == CHAT_EVENT_MESSAGE || e->kind == CHAT_EVENT_REQUEST) {
                d = digest_text(d, e->message->id);
                d = digest_text(d, e->message->text);
                d = digest_bytes(d, &e->message->sent, sizeof(usec_t));
                return digest_bytes(d, &e->message->received, sizeof(usec_t));
        }
        if (e->kind == CHAT_EVENT_PEER) {
                d = digest_text(d, e->account);
                d = digest_text(d, e->other_account);
                return digest_text(d, e->presence);
        }
        d = digest_text(d, e->id);
        d = digest_text(d, e->state);
        return digest_text(d, e->reason);
}

uint64_t event_digest(const ChatEvent *e) {
        bool of_room = e->room || (e->message && e->message->room);

        return of_room ? digest_event(e) : digest_event(e) & ~OF_ROOM;
}

/* The first noted event whose cursor is not below CURSOR; n_noted: there is none. */
static size_t noted_from(const User *u, uint64_t cursor) {
        size_t low = 0, high = u->n_noted;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (u->noted[middle].cursor < cursor)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const uint64_t *rows_digest(const User *u, uint64_t cursor) {
        size_t at = noted_from(u, cursor);

        return at < u->n_noted && u->noted[at].cursor == cursor ? &u->noted[at].digest : NULL;
}

/* Consecutive, but that an epoch begins with a number of its own. */
static bool may_follow(uint64_t cursor, uint64_t last) {
        return cursor == last + 1 || (cursor > last && cursor % (UINT64_C(1) << 40) == 0);
}

bool rows_may_be_end(const User *u, uint64_t cursor) {
        return cursor <= u->events || may_follow(cursor + 1, u->events);
}

bool rows_may_skip(const User *u, uint64_t after, uint64_t before) {
        if (before > after + 1 && before > u->events && !may_follow(before, u->events))
                return false;
        for (size_t i = noted_from(u, after + 1); i < u->n_noted && u->noted[i].cursor < before;
                i++)
                if (!(u->noted[i].digest & OF_ROOM))
                        return false;
        return true;
}

void rows_note_event(User *u, const ChatEvent *e) {
        if (!may_follow(e->cursor, u->events)) {
                FAIL(u, "events-incomplete", "event %llu is on disk after %llu",
                        (unsigned long long)e->cursor, (unsigned long long)u->events);
                return;
        }
        if (u->n_noted == u->allocated_noted) {
                u->allocated_noted = MAX(2 * u->allocated_noted, (size_t)256);
                u->noted = must(reallocarray(u->noted, u->allocated_noted, sizeof(*u->noted)));
        }
        u->noted[u->n_noted].cursor = e->cursor;
        u->noted[u->n_noted++].digest = event_digest(e);
        u->events = e->cursor;
}

/* Own messages */

static void put_into_feed(User *u, Letter *l) {
        Mail *m = mail_between(l->from, l->to);
        Chain *c = must(mail_chain(m, l->epoch));

        for (; c->n < l->seq; c->n++) {
                if (c->n == c->allocated) {
                        c->allocated = MAX(2 * c->allocated, (size_t)64);
                        c->letters =
                                must(reallocarray(c->letters, c->allocated, sizeof(*c->letters)));
                }
                c->letters[c->n] = NULL;
        }
        if (c->letters[l->seq - 1])
                FAIL(u, "feed-broken", "\"%s\" and \"%s\" have one place", l->text,
                        c->letters[l->seq - 1]->text);
        c->letters[l->seq - 1] = l;
        m->n_kept++;
}

static bool is_text(const Inner *m, const char *text) {
        return m->body.size == strlen(text) && memcmp(m->body.data, text, m->body.size) == 0;
}

static void count_waiting(const Letter *l, int by) {
        l->from->n_queued += (uint64_t)by;
        mail_between(l->from, l->to)->n_waiting += (uint64_t)by;
}

static void look_for(User *u, DbTxn *txn, Letter *l) {
        uint32_t feed;
        uint64_t seq;
        HistoryRow h;

        if (store_find_id(txn, SELF_NUMBER, &l->id, &feed, &seq) <= 0)
                return;
        if (history_get(txn, feed, seq, &h) <= 0 || !is_text(&h.inner, l->text)) {
                FAIL(u, "forged", "keeps something else as \"%s\"", l->text);
                return;
        }
        l->kept = true;
        prompt_await(user_ledger(u)->prompt, l);
        l->feed = feed;
        l->epoch = h.inner.epoch;
        l->seq = seq;
        l->expires = h.inner.expires;
        l->known = u->events;
        l->failures = l->to->machine->failures;
        if (l->worthless > 0 && l->expires != l->worthless)
                FAIL(u, "forged", "\"%s\" expires at another time", l->text);
        l->state = MESSAGE_QUEUED;
        count_waiting(l, 1);
        put_into_feed(u, l);
}

static unsigned state_rank(MessageState s) {
        static const unsigned ranks[_MESSAGE_STATE_MAX] = {
                [MESSAGE_QUEUED] = 0,
                [MESSAGE_STORED] = 1,
                [MESSAGE_FAILED] = 2,
                [MESSAGE_EXPIRED] = 2,
                [MESSAGE_DELIVERED] = 3,
                [MESSAGE_READ] = 4,
        };

        return ranks[s];
}

/* By the clock of either; the recipient need not have kept anything when he said so. */
static bool may_expire(const Letter *l) {
        const Machine *to = l->to->machine;
        usec_t latest = MAX(l->to->latest, loop_realtime(to->loop));

        return MAX(l->from->latest, latest) >= l->expires ||
                to->world->now - to->disturbed < USEC_PER_MINUTE;
}

static void take_state(User *u, Letter *l, const EventRow *row) {
        MessageState s = row->state;

        if (!l->kept || state_rank(s) <= state_rank(l->state))
                FAIL(u, "state-order", "\"%s\" was %s and is %s", l->text,
                        l->kept ? message_state_name(l->state) : "nothing", message_state_name(s));
        else if ((s == MESSAGE_DELIVERED || s == MESSAGE_READ) && l->arrived == 0)
                FAIL(u, "ahead-of-truth", "\"%s\" is %s and has not arrived", l->text,
                        message_state_name(s));
        else if (s == MESSAGE_READ && (!l->read || !machine_says_read(l->to->machine)))
                FAIL(u, "ahead-of-truth", "\"%s\" is read, which its reader has not said", l->text);
        else if (s == MESSAGE_FAILED &&
                (row->reason != CODE_CANCELLED || l->cancelling == CANCEL_NOT))
                FAIL(u, "failed-wrongly", "\"%s\": %s", l->text, code_name(row->reason));
        else if (s == MESSAGE_EXPIRED && !may_expire(l))
                FAIL(u, "expired-early", "\"%s\"", l->text);
        else if (s == MESSAGE_STORED && !l->left)
                FAIL(u, "stored-false", "\"%s\" lies nowhere", l->text);
        count_waiting(l, -(int)letter_waits(l));
        l->given_up |= s == MESSAGE_FAILED || s == MESSAGE_EXPIRED;
        l->state = s;
        count_waiting(l, letter_waits(l));
        if (!letter_waits(l))
                prompt_done(user_ledger(u)->prompt, l);
}

/* Events */

static void note_arrival(Letter *l, uint64_t cursor) {
        Mail *m = mail_between(l->from, l->to);
        Chain *c = mail_chain(m, l->epoch);

        prompt_arrived(user_ledger(l->to)->prompt, l);
        l->arrived = cursor;
        m->n_arrived++;
        if (letter_place(l) > letter_place(m->last))
                m->last = l;
        while (c->whole < c->n && c->letters[c->whole] && c->letters[c->whole]->arrived > 0)
                c->whole++;
}

static void note_received(User *u, DbTxn *txn, const EventRow *row) {
        ChatMessage shown;
        ChatEvent e = {.kind = CHAT_EVENT_MESSAGE,
                .cursor = row->cursor,
                .time = row->time,
                .message = &shown};
        HistoryRow h = {};
        Letter *l = NULL;

        if (room_has_feed(txn, row->feed)) {
                room_note_received(u, txn, row);
                return;
        }
        if (history_get(txn, row->feed, row->seq, &h) > 0)
                l = letter_find(user_ledger(u), &h.inner.id);
        if (!l || l->to != u || !key_equal(h.inner.account, l->from->account) ||
                !is_text(&h.inner, l->text)) {
                FAIL(u, "forged", "has kept what nobody has sent: event %llu",
                        (unsigned long long)row->cursor);
                return;
        }
        if (mail_between(l->from, u)->blocked)
                FAIL(u, "blocked-heard", "\"%s\" has come of who is blocked", l->text);
        else if (l->arrived > 0)
                FAIL(u, "shown-twice", "\"%s\" has come again", l->text);
        else if (!l->kept)
                FAIL(u, "frame-before-commit", "\"%s\" is not on its sender's disk", l->text);
        else if (l->seq != row->seq || l->epoch != h.inner.epoch)
                FAIL(u, "feed-broken", "\"%s\" is not where its sender has it", l->text);
        else
                note_arrival(l, row->cursor);
        shown = (ChatMessage){
                .id = l->id_text, .text = l->text, .sent = h.inner.sent, .received = row->time};
        rows_note_event(u, &e);
}

/* The first message of somebody who is no contact is told of once more. */
static void note_request(User *u, DbTxn *txn, const EventRow *row) {
        ChatMessage shown;
        ChatEvent e = {.kind = CHAT_EVENT_REQUEST,
                .cursor = row->cursor,
                .time = row->time,
                .message = &shown};
        HistoryRow h = {};
        Letter *l = NULL;

        if (history_get(txn, row->feed, row->seq, &h) > 0)
                l = letter_find(user_ledger(u), &h.inner.id);
        if (!l || l->to != u || l->arrived != row->cursor - 1) {
                FAIL(u, "forged", "has a request with nothing that came: event %llu",
                        (unsigned long long)row->cursor);
                return;
        }
        shown = (ChatMessage){
                .id = l->id_text, .text = l->text, .sent = h.inner.sent, .received = row->time};
        rows_note_event(u, &e);
}

/* All that were here before that. */
static void note_read(const Letter *upto, uint64_t cursor) {
        Mail *m = mail_between(upto->from, upto->to);

        for (size_t i = 0; i < m->n_sent; i++) {
                Letter *l = m->sent[i];

                l->read |= l->arrived > 0 && l->arrived < cursor &&
                        letter_place(l) <= letter_place(upto);
        }
}

static void note_state(User *u, DbTxn *txn, const EventRow *row) {
        Letter *l = letter_find(user_ledger(u), &row->id);
        ChatEvent e = {.kind = CHAT_EVENT_STATE,
                .cursor = row->cursor,
                .time = row->time,
                .state = message_state_name(row->state),
                .reason = row->reason == CODE_OK ? NULL : code_name(row->reason)};

        if (room_has_feed(txn, row->feed)) {
                room_note_state(u, txn, row);
                return;
        }
        if (!l || (l->from != u && l->to != u)) {
                FAIL(u, "forged", "has a state of what nobody has sent: event %llu",
                        (unsigned long long)row->cursor);
                return;
        }
        if (l->from == u)
                take_state(u, l, row);
        else if (row->state != MESSAGE_READ ||
                letter_place(mail_between(l->from, u)->read_asked) < letter_place(l))
                FAIL(u, "state-order", "\"%s\" is %s, unasked", l->text, e.state);
        else
                note_read(l, row->cursor);
        e.id = l->id_text;
        rows_note_event(u, &e);
}

static void note_presence(User *u, DbTxn *txn, const EventRow *row) {
        char account[BASE32_KEY_SIZE + 1], rival[BASE32_KEY_SIZE + 1];
        ChatEvent e = {.kind = CHAT_EVENT_PEER,
                .cursor = row->cursor,
                .time = row->time,
                .account = account,
                .presence = presence_name(row->presence)};
        const User *other;
        Contact k;

        if (contact_get_by_number(txn, row->account, &k) <= 0) {
                FAIL(u, "forged", "has a presence of nobody: event %llu",
                        (unsigned long long)row->cursor);
                return;
        }
        other = ledger_find_user(user_ledger(u), k.account);
        if (row->key_changed)
                e.other_account = base32_encode_key(row->other, rival);
        if (other && row->kind == EVENT_PRESENCE)
                presence_note(u, other, row->presence);
        base32_encode_key(k.account, account);
        rows_note_event(u, &e);
}

static bool on_row(void *userdata, DbTxn *txn, const EventRow *row) {
        User *u = userdata;

        switch (row->kind) {
        case EVENT_RECEIVED:
                note_received(u, txn, row);
                break;
        case EVENT_STATE:
                note_state(u, txn, row);
                break;
        case EVENT_REQUEST:
                note_request(u, txn, row);
                break;
        case EVENT_PRESENCE:
        case EVENT_KEY:
                note_presence(u, txn, row);
                break;
        case EVENT_ROOM:
                rows_note_event(u,
                        &(ChatEvent){.kind = CHAT_EVENT_ROOM,
                                .cursor = row->cursor,
                                .time = row->time,
                                .room = ROOM_CALLED});
                break;
        case EVENT_REPLACED:
                rows_note_event(u,
                        &(ChatEvent){.kind = CHAT_EVENT_REPLACED,
                                .cursor = row->cursor,
                                .time = row->time});
                break;
        }
        return !world_has_failed(u->machine->world);
}

/* Looking */

static void look(User *u, DbTxn *txn) {
        Letter *l;

        DL_FOREACH (u->open, l)
                if (l->asked && !l->kept)
                        look_for(u, txn, l);
        room_look(u, txn);
        if (event_each(txn, u->events, on_row, u) < 0)
                FAIL(u, "store-damaged", "events cannot be read");
        else if (!world_has_failed(u->machine->world) && outbox_count(txn) != u->n_queued)
                FAIL(u, "accepted-lost", "%llu messages are queued and the outbox has %llu",
                        (unsigned long long)u->n_queued, (unsigned long long)outbox_count(txn));
}

void user_look(User *u) {
        Machine *m = u->machine;
        DbTxn *txn;

        if (!m->store || world_has_failed(m->world) || store_read_begin(m->store, &txn) < 0)
                return;
        u->latest = MAX(u->latest, loop_realtime(m->loop));
        look(u, txn);
        store_read_end(txn);
}

static void check_is_there(User *u, DbTxn *txn, const Letter *l) {
        uint32_t feed;
        uint64_t seq;
        Entry e;

        if (l->kept &&
                (store_find_id(txn, SELF_NUMBER, &l->id, &feed, &seq) <= 0 || feed != l->feed ||
                        seq != l->seq || entry_get(txn, feed, seq, &e) <= 0))
                FAIL(u, "accepted-lost", "\"%s\" is not on disk any more", l->text);
}

void rows_check_start(User *u) {
        const World *w = u->machine->world;
        EventBounds b = {};
        DbTxn *txn;

        if (world_has_failed(w) || store_read_begin(u->machine->store, &txn) < 0)
                return;
        if (event_bounds(txn, &b) < 0 || b.last != MAX(u->events, b.epoch - 1))
                FAIL(u, b.last > u->events ? "disk-remembers" : "disk-forgot",
                        "has seen event %llu and the last is %llu", (unsigned long long)u->events,
                        (unsigned long long)b.last);
        room_check_start(u, txn);
        for (unsigned i = 0; i < w->n_users; i++) {
                const Mail *m = mail_between(u, w->machines[i]->user);

                for (size_t k = 0; k < m->n_sent; k++)
                        if (letter_waits(m->sent[k]))
                                check_is_there(u, txn, m->sent[k]);
        }
        store_read_end(txn);
}
