/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What of the room is on whose disk, and what must be so when all is quiet: all members have the
 * same, nothing that was accepted is lost, and who was removed has nothing to read with.
 */

#include <inttypes.h>
#include <stdio.h>

#include <utlist.h>

#include "loop-virtual.h"
#include "room.h"
#include "rooms/roster.h"
#include "store/history.h"
#include "store/room.h"

#define ROOM_NAMED (ROOM_CALLED + 1)
#define PAGE 100

Post *post_find(const Ledger *l, const Uuid *id) {
        Post *found;

        HASH_FIND(hh, l->posts, id, sizeof(*id), found);
        return found;
}

Post *post_find_text(const Ledger *l, const char *text) {
        Uuid id;

        return uuid_parse(text, &id) < 0 ? NULL : post_find(l, &id);
}

void posts_free(Ledger *l) {
        Post *p, *tmp;

        HASH_ITER (hh, l->posts, p, tmp) {
                HASH_DEL(l->posts, p);
                free(p);
        }
}

/* Whose posts may come and go: what was taken may be taken back, and taken again. */
static bool is_steady(const User *u) {
        return !u->room.was_out && u->machine->n_devices == 0 && !u->machine->has_twin;
}

/* After each commit */

bool room_has_feed(DbTxn *txn, uint32_t feed) {
        Conversation v;
        Feed f;

        return feed_get(txn, feed, &f) > 0 && conversation_get(txn, f.conversation, &v) > 0 &&
                v.peer == 0;
}

void room_look(User *u, DbTxn *txn) {
        Post *p;
        RoomRow row;

        if (!u->room.open || room_find_name(txn, ROOM_NAMED, &row) <= 0)
                return;
        DL_FOREACH (u->room.open, p) {
                uint32_t feed;
                uint64_t seq;

                if (p->asked && !p->kept)
                        p->kept = store_room_find_id(txn, row.number, &p->id, &feed, &seq) > 0;
        }
}

void room_note_received(User *u, DbTxn *txn, const EventRow *row) {
        ChatMessage shown = {.room = ROOM_CALLED};
        ChatEvent e = {.kind = CHAT_EVENT_MESSAGE,
                .cursor = row->cursor,
                .time = row->time,
                .message = &shown};
        unsigned i = u->machine->number;
        HistoryRow h = {};
        Post *p = NULL;

        if (history_get(txn, row->feed, row->seq, &h) > 0) {
                p = post_find(user_ledger(u), &h.inner.id);
                if (!p || p->from == u || !key_equal(h.inner.account, p->from->account))
                        FAIL(u, "room-forged", "has kept what nobody has said: event %" PRIu64,
                                row->cursor);
                else if (!p->kept)
                        FAIL(u, "frame-before-commit", "\"%s\" is not on its author's disk",
                                p->text);
                else if (p->arrived[i] > 0 && is_steady(p->from) && is_steady(u))
                        FAIL(u, "room-shown-twice", "\"%s\" has come again", p->text);
                else
                        p->arrived[i] = row->cursor;
        }
        rows_note_event(u, &e);
}

/* Somebody whose disk can be read has it; true as well where one cannot be. */
static bool is_held_by_another(const Post *p) {
        const World *w = p->from->machine->world;

        for (unsigned i = 0; i < w->n_machines; i++) {
                const Machine *m = w->machines[i];
                uint32_t feed;
                uint64_t seq;
                RoomRow row;
                DbTxn *txn;
                bool held;

                if (m == p->from->machine || m->kind != MACHINE_DAEMON || m->starts == 0)
                        continue;
                if (!m->store || store_read_begin(m->store, &txn) < 0)
                        return true;
                held = room_find_name(txn, ROOM_NAMED, &row) > 0 &&
                        store_room_find_id(txn, row.number, &p->id, &feed, &seq) > 0;
                store_read_end(txn);
                if (held)
                        return true;
        }
        return false;
}

void room_note_state(User *u, DbTxn *txn, const EventRow *row) {
        const Post *p = post_find(user_ledger(u), &row->id);
        ChatEvent e = {.kind = CHAT_EVENT_STATE,
                .cursor = row->cursor,
                .time = row->time,
                .room = ROOM_CALLED};

        if (!p)
                FAIL(u, "room-forged", "has a state of what nobody has said: event %" PRIu64,
                        row->cursor);
        else if (p->from == u &&
                (row->state == MESSAGE_STORED || row->state == MESSAGE_DELIVERED) && is_steady(u) &&
                !is_held_by_another(p))
                FAIL(u, "room-ahead-of-truth", "\"%s\" is %s and nobody else has it", p->text,
                        message_state_name(row->state));
        rows_note_event(u, &e);
}

void room_check_start(User *u, DbTxn *txn) {
        Post *p, *tmp;
        RoomRow row;
        bool there = user_ledger(u)->posts && room_find_name(txn, ROOM_NAMED, &row) > 0;

        if (!is_steady(u))
                return;
        HASH_ITER (hh, user_ledger(u)->posts, p, tmp) {
                uint32_t feed;
                uint64_t seq;

                if (p->from == u && p->kept &&
                        (!there || store_room_find_id(txn, row.number, &p->id, &feed, &seq) <= 0))
                        FAIL(u, "accepted-lost", "\"%s\" is not on disk any more", p->text);
        }
}

void room_check_message(User *u, const ChatMessage *m) {
        const Post *p = post_find_text(user_ledger(u), m->id);

        if (!p || !streq(p->from->account_text, m->from_account))
                FAIL(u, "room-forged", "shows \"%s\" of %s", m->text, m->from);
        else if (streq(m->kind, "text") && !streq(p->text, m->text))
                FAIL(u, "room-altered", "shows \"%s\" as \"%s\"", p->text, m->text);
        else if (!streq(m->kind, "text") && !streq(m->kind, "sealed"))
                FAIL(u, "room-altered", "shows \"%s\" as %s", p->text, m->kind);
}

/* The owner */

/* Until somebody takes the place of an absent owner; the calendar is looked at once a day. */
#define SUCCESSION_MAX (ROSTER_TERM_ABSENCE + USEC_PER_DAY + USEC_PER_HOUR)

/* The last block of the control log that U has: false where there is none. */
static bool read_head(DbTxn *txn, const RoomRow *row, RoomBlock *ret) {
        Bytes outer;

        return room_block_get(txn, row->number, row->head_epoch, &outer) > 0 &&
                room_block_parse(outer, ret) >= 0;
}

/* How wrong a clock has been at most. */
static usec_t most_skew(const World *w) {
        usec_t most = 0;

        for (unsigned i = 0; i < w->n_users; i++)
                most = MAX(most, w->machines[i]->skew_most);
        return most;
}

/* As far as can be seen where clocks are wrong, and the room has gone from hand to hand. */
static bool was_owner_absent(const World *w) {
        for (unsigned i = 0; i < w->n_users; i++) {
                const User *u = w->machines[i]->user;

                if ((u->room.founder || w->ledger->room_given) &&
                        room_absence(u) + 2 * most_skew(w) >= ROSTER_TERM_ABSENCE)
                        return true;
        }
        return false;
}

typedef struct Pending {
        unsigned n;
        usec_t leave; /* when the first has said that he leaves; USEC_INFINITY: nobody */
} Pending;

static bool on_proposal(void *userdata, DbTxn *txn, const RoomProposalRow *row) {
        Pending *pending = userdata;
        RoomProposal p;

        pending->n++;
        if (room_proposal_parse(row->outer, &p) >= 0 && p.change.type == ROOM_CHANGE_LEAVE)
                pending->leave = MIN(pending->leave, (usec_t)p.sent);
        return true;
}

/* Who could settle it, and still is. */
typedef struct Chair {
        const Ledger *ledger;
        bool owner, admin;
} Chair;

static bool on_chair(void *userdata, const RoomMemberView *m) {
        Chair *chair = userdata;
        const User *u = ledger_find_user(chair->ledger, m->account);
        bool is = u && !u->machine->destroyed && !m->provisional;

        chair->owner |= is && m->role == ROOM_ROLE_OWNER;
        chair->admin |= is && m->role == ROOM_ROLE_ADMIN;
        return true;
}

/* Between the owner and what waits for him. */
static void check_owner(User *u) {
        const World *w = u->machine->world;
        _cleanup_(freep) RoomBlock *head = must(calloc(1, sizeof(*head)));
        usec_t due = usec_sub(loop_realtime(w->loop), SUCCESSION_MAX + 2 * most_skew(w));
        Pending pending = {.leave = USEC_INFINITY};
        Chair chair = {.ledger = user_ledger(u)};
        RoomRow row = {};
        DbTxn *txn;

        if (store_read_begin(u->machine->store, &txn) < 0)
                return;
        if (room_find_name(txn, ROOM_NAMED, &row) > 0 && read_head(txn, &row, head)) {
                (void)room_proposal_each(txn, row.number, on_proposal, &pending);
                (void)rooms_each_member(
                        u->machine->parts->rooms, txn, row.number, on_chair, &chair);
        }
        store_read_end(txn);
        if (head->term > 1 && !was_owner_absent(w))
                FAIL(u, "room-usurped", "the owner was not away, and it is term %" PRIu64,
                        head->term);
        if (pending.n > 0 && chair.owner && !row.read_only)
                FAIL(u, "room-unsettled", "%u proposals wait for the owner", pending.n);
        if (!chair.owner && chair.admin && MAX(pending.leave, (usec_t)head->sent) < due)
                FAIL(u, "room-forsaken", "the owner is gone, and no admin takes his place");
}

/* What an owner has done whose place another one took meanwhile may be undone. */
static bool is_succeeded(const User *u) {
        _cleanup_(freep) RoomBlock *head = must(calloc(1, sizeof(*head)));
        RoomRow row;
        DbTxn *txn;

        if (!u->machine->store || store_read_begin(u->machine->store, &txn) < 0)
                return false;
        if (room_find_name(txn, ROOM_NAMED, &row) <= 0 || !read_head(txn, &row, head))
                head->term = 0;
        store_read_end(txn);
        return head->term > 1;
}

/* Kicks */

/* The newest key epoch that U has; 0: none. */
static uint64_t last_key(const User *u) {
        uint8_t key[ROOM_KEY_SIZE];
        uint64_t epoch = 0;
        RoomRow row;
        DbTxn *txn;

        if (store_read_begin(u->machine->store, &txn) < 0)
                return 0;
        if (room_find_name(txn, ROOM_NAMED, &row) <= 0 ||
                room_key_last(txn, row.number, UINT64_MAX, &epoch, key) <= 0)
                epoch = 0;
        store_read_end(txn);
        return epoch;
}

void room_note_kick_begins(User *by) {
        by->room.key_epoch = last_key(by);
}

void room_note_kick(User *by, User *whom) {
        Ledger *l = user_ledger(by);
        Post *p, *tmp;
        RoomRow row;
        DbTxn *txn;

        if (!by->room.founder || l->room_given || whom->room.strict ||
                store_read_begin(by->machine->store, &txn) < 0)
                return;
        if (room_find_name(txn, ROOM_NAMED, &row) > 0) {
                HASH_ITER (hh, l->posts, p, tmp) {
                        uint32_t feed;
                        uint64_t seq;

                        if (p->from == whom)
                                p->before_kick = store_room_find_id(
                                                         txn, row.number, &p->id, &feed, &seq) > 0;
                }
                whom->room.strict = true;
                whom->room.kicked_at = by->room.key_epoch;
        }
        store_read_end(txn);
}

/* When all is quiet */

typedef struct RoomState {
        RoomStatus status; /* 0: knows none */
        uint64_t epoch, n;
        uint8_t hash[SHA256_SIZE], digest[SHA256_SIZE];
        uint8_t forks[ROOM_DIGEST_SIZE]; /* proofs */
} RoomState;

static void read_state(const User *u, RoomState *ret) {
        Store *s = u->machine->store;
        RoomRow row;
        DbTxn *txn;

        *ret = (RoomState){};
        if (!s || store_read_begin(s, &txn) < 0)
                return;
        if (room_find_name(txn, ROOM_NAMED, &row) > 0 &&
                store_digest(txn, row.number, ret->digest, &ret->n) >= 0) {
                ret->status = row.status;
                ret->epoch = row.head_epoch;
                memcpy(ret->hash, row.head_hash, SHA256_SIZE);
                memcpy(ret->forks, row.forks_digest, ROOM_DIGEST_SIZE);
        }
        store_read_end(txn);
}

static bool is_same(const RoomState *a, const RoomState *b) {
        return a->epoch == b->epoch && memcmp(a->hash, b->hash, SHA256_SIZE) == 0 &&
                memcmp(a->digest, b->digest, SHA256_SIZE) == 0 &&
                memcmp(a->forks, b->forks, ROOM_DIGEST_SIZE) == 0;
}

static bool is_to_be_in(const User *u) {
        return u->room.in && !u->room.was_out && !u->machine->destroyed;
}

/* NULL: all have the same. */
static const User *find_odd(const Ledger *l, const User **ret_first, RoomState *a, RoomState *b) {
        const World *w = l->world;

        *ret_first = NULL;
        for (unsigned i = 0; i < w->n_users; i++) {
                const User *u = w->machines[i]->user;
                RoomState *mine = *ret_first ? b : a;

                if (u->machine->destroyed)
                        continue;
                read_state(u, mine);
                if (is_to_be_in(u) ? mine->status != ROOM_JOINED : mine->status == ROOM_JOINING)
                        return u;
                if (mine->status != ROOM_JOINED)
                        continue;
                if (*ret_first && !is_same(a, b))
                        return u;
                if (!*ret_first)
                        *ret_first = u;
        }
        return NULL;
}

bool room_is_level(const Ledger *l) {
        const User *first;
        RoomState a, b;

        return !l->has_room || !find_odd(l, &first, &a, &b);
}

static void check_digests(Ledger *l) {
        const User *first, *odd;
        RoomState a = {}, b = {};

        odd = find_odd(l, &first, &a, &b);
        if (!odd)
                return;
        if (!first)
                b = a;
        if (b.status != ROOM_JOINED)
                FAIL(odd, "room-member", "is to be in the room and has status %d", b.status);
        else
                FAIL(odd, "room-digest",
                        "%s has %" PRIu64 " messages, %02x%02x, epoch %" PRIu64 "; has %" PRIu64
                        ", %02x%02x, epoch %" PRIu64,
                        first->machine->name, a.n, a.digest[0], a.digest[1], a.epoch, b.n,
                        b.digest[0], b.digest[1], b.epoch);
}

/* For good, by an owner who still is it. */
static bool is_removed(const User *u) {
        return u->room.strict && !u->room.reinstated && !user_ledger(u)->room_succeeded;
}

typedef struct Shown {
        User *user;
        char last[UUID_TEXT_SIZE]; /* the oldest of a page */
        unsigned n;
} Shown;

/* Who has what is said over links. */
static bool is_linked_with_all(const User *u) {
        const World *w = u->machine->world;

        for (unsigned i = 0; i < w->n_users; i++) {
                const User *other = w->machines[i]->user;

                if (other != u && other->room.in &&
                        !delivery_has_link(u->machine->parts->delivery, other->account))
                        return false;
        }
        return true;
}

static void check_own_state(User *u, const Post *p, const ChatMessage *m) {
        if (is_linked_with_all(u) && is_to_be_in(u) && is_steady(u) && m->members > 0 &&
                !streq(m->state, "delivered") && !streq(m->state, "read"))
                FAIL(u, "room-states", "\"%s\" is %s, with %u of %u", p->text, m->state,
                        m->delivered_to, m->members);
}

static bool on_shown(void *userdata, const ChatMessage *m) {
        Shown *s = userdata;
        User *u = s->user;
        Post *p = post_find_text(user_ledger(u), m->id);

        room_check_message(u, m);
        if (!p || world_has_failed(u->machine->world))
                return false;
        if (s->n++ % PAGE == 0)
                snprintf(s->last, sizeof(s->last), "%s", m->id);
        if (p->shown_to == u->machine->number + 1)
                FAIL(u, "room-shown-twice", "\"%s\" is in the history twice", p->text);
        p->shown_to = u->machine->number + 1;
        if (!streq(m->kind, "text"))
                FAIL(u, "room-unreadable", "\"%s\" is %s", p->text, m->kind);
        if (p->from == u)
                check_own_state(u, p, m);
        if (is_removed(p->from) && !p->before_kick && p->from != u)
                FAIL(u, "room-kicked", "\"%s\" was said after its author was removed", p->text);
        return !world_has_failed(u->machine->world);
}

static void check_history(User *u) {
        ChatListMessages args = {.with = ROOM_CALLED, .limit = PAGE};
        Shown s = {.user = u};
        Post *p, *tmp;
        bool more;
        ChatError e;

        HASH_ITER (hh, user_ledger(u)->posts, p, tmp)
                p->shown_to = 0;
        do {
                s.n = 0;
                if (chat_list_messages(u->machine->parts->chat, &args, on_shown, &s, &more, &e) < 0)
                        FAIL(u, "refused", "ListMessages: %s", e.text);
                args.before = s.last;
        } while (s.n == PAGE && more && !world_has_failed(u->machine->world));
        HASH_ITER (hh, user_ledger(u)->posts, p, tmp)
                if (p->accepted && is_steady(p->from) && !p->from->machine->destroyed &&
                        p->shown_to == 0)
                        FAIL(u, "room-lost", "\"%s\" was accepted and has not come", p->text);
}

/* Who was removed knows it, and has no key of later; and there is one. */
static void check_removed(User *u, const RoomState *state) {
        const World *w = u->machine->world;

        if (state->status == ROOM_JOINED)
                FAIL(u, "room-kicked", "was removed and does not know it");
        if (last_key(u) > u->room.kicked_at)
                FAIL(u, "room-readable",
                        "was removed at key epoch %" PRIu64 " and has the key of %" PRIu64,
                        u->room.kicked_at, last_key(u));
        for (unsigned i = 0; i < w->n_users; i++) {
                const User *other = w->machines[i]->user;

                if (other->room.founder && !other->machine->destroyed &&
                        last_key(other) <= u->room.kicked_at)
                        FAIL(u, "room-readable", "was removed and the key is still the same");
        }
}

static void check_user(User *u) {
        RoomState state;

        read_state(u, &state);
        if (is_removed(u))
                check_removed(u, &state);
        if (state.status != ROOM_JOINED)
                return;
        check_owner(u);
        check_history(u);
}

void room_check_quiet(Ledger *l) {
        World *w = l->world;

        if (!l->has_room)
                return;
        for (unsigned i = 0; i < w->n_users; i++)
                l->room_succeeded |= is_succeeded(w->machines[i]->user);
        check_digests(l);
        for (unsigned i = 0; i < w->n_users && !world_has_failed(w); i++) {
                Machine *m = w->machines[i];

                if (m->destroyed)
                        continue;
                machine_enter(m);
                check_user(m->user);
                machine_leave(m);
        }
}
