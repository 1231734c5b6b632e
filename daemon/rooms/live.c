/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What is new goes to others as it comes. In a room of a few the author sends to everybody, and
 * whoever takes something in tells all of them so: that is the acknowledgement. In a larger one
 * each member passes on what he sees first to three, and tells the others to whom he has links.
 * What does not get through is found by comparing states, once a minute with somebody, for as long
 * as it is not known that all is level.
 */

#include "rooms/sync.h"

#include <utlist.h>

#define TELL_LEAST (300 * USEC_PER_MSEC)
#define TELL_SPREAD (700 * USEC_PER_MSEC)

/* In a large room it is by this that an entry gets to those to whom nobody passes it on. */
#define TELL_LEAST_LARGE (30 * USEC_PER_MSEC)
#define TELL_SPREAD_LARGE (40 * USEC_PER_MSEC)

/* Members who have said that they have the same, before nobody is asked any more. */
#define LEVEL_ENOUGH 3

/* What one commit leads to, at once, for all who have links. */
#define PUSH_FRAMES 4

static usec_t soon(const SyncRoom *sr) {
        return sync_now(sr->sync) + (sr->mesh ? TELL_LEAST : TELL_LEAST_LARGE) +
                loop_random_below(
                        sr->sync->rooms->loop, sr->mesh ? TELL_SPREAD : TELL_SPREAD_LARGE);
}

/* Own entries */

typedef struct OwnFeed {
        uint64_t epoch;
        uint32_t feed;
        uint64_t seq;
        const uint8_t *device;
} OwnFeed;

static bool find_own(void *userdata, DbTxn *txn, const RoomFeed *f) {
        OwnFeed *o = userdata;

        if (key_equal(f->feed.device, o->device) && f->feed.epoch >= o->epoch) {
                o->epoch = f->feed.epoch;
                o->feed = f->feed.number;
                o->seq = f->feed.seq;
        }
        return true;
}

static OwnFeed own_feed(const SyncRoom *sr, DbTxn *txn) {
        OwnFeed o = {.device = sign_key_public(&sr->sync->rooms->self->device)};

        (void)room_feed_each_of(txn, sr->number, SELF_NUMBER, find_own, &o);
        return o;
}

/* What was there before the start is no news. */
void live_begin(SyncRoom *sr) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        OwnFeed o;

        sr->entropy = ENTROPY_INTERVAL;
        sr->pushed_epoch = roster_head(sr->room->roster)->epoch;
        if (store_read_begin(sr->sync->rooms->store, &txn) < 0)
                return;
        o = own_feed(sr, txn);
        sr->own_feed = o.feed;
        sr->own_seq = o.seq;
}

static bool is_told(const RoomLink *rl) {
        return !rl->outsider && !rl->refused && rl->has_theirs;
}

/* The first N of those who are told, from a random one on; but not FROM. */
static size_t choose(SyncRoom *sr, const uint8_t *from, RoomLink **ret, size_t max) {
        unsigned n = 0, first;
        size_t chosen = 0;
        RoomLink *rl;

        DL_FOREACH (sr->links, rl)
                n++;
        if (n == 0)
                return 0;
        first = (unsigned)loop_random_below(sr->sync->rooms->loop, n);
        for (unsigned round = 0; round < 2; round++) {
                unsigned i = 0;

                DL_FOREACH (sr->links, rl)
                        if ((i++ >= first) == (round == 0) && chosen < max && is_told(rl) &&
                                !link_is_full(rl->peer->link) &&
                                !(from && key_equal(from, rl->peer->account)))
                                ret[chosen++] = rl;
        }
        return chosen;
}

/* To whom it does not go, or not all of it, it is told that it is there. */
static void push(SyncRoom *sr, DbTxn *txn, const uint8_t *from, uint32_t feed, uint64_t after,
        uint64_t last) {
        RoomLink *to[MESH_MAX];
        size_t n = choose(sr, from, to, sr->mesh ? MESH_MAX : sr->sync->gossip_eager);
        int r = 1;

        for (unsigned i = 0; n > 0 && r > 0 && i < PUSH_FRAMES; i++)
                r = say_entries(to, n, txn, feed, &after, last);
}

static void push_own(SyncRoom *sr, DbTxn *txn) {
        OwnFeed o = own_feed(sr, txn);

        if (o.feed != sr->own_feed) {
                sr->own_feed = o.feed;
                sr->own_seq = 0;
        }
        if (o.seq > sr->own_seq) {
                push(sr, txn, NULL, o.feed, sr->own_seq, o.seq);
                notice_plan_news(sr);
        }
        sr->own_seq = o.seq;
}

/* Of others */

void live_fresh(SyncRoom *sr, uint32_t feed, uint64_t seq, const uint8_t *from) {
        Fresh *f;

        if (sr->mesh)
                return;
        for (size_t i = 0; i < sr->n_fresh; i++) {
                f = &sr->fresh[i];
                if (f->feed == feed && f->last + 1 == seq) {
                        f->last = seq;
                        return;
                }
        }
        if (sr->n_fresh == FRESH_MAX)
                return; /* the rest is told */
        f = &sr->fresh[sr->n_fresh++];
        *f = (Fresh){.feed = feed, .first = seq, .last = seq};
        memcpy(f->from, from, KEY_SIZE);
}

static void push_fresh(SyncRoom *sr, DbTxn *txn) {
        for (size_t i = 0; i < sr->n_fresh; i++) {
                const Fresh *f = &sr->fresh[i];

                push(sr, txn, f->from, f->feed, f->first - 1, f->last);
        }
        sr->n_fresh = 0;
}

/* The control log: who has made something of it says it to all. Others learn by STATE. */

static void push_control(SyncRoom *sr, DbTxn *txn) {
        const RosterHead *head = roster_head(sr->room->roster);
        bool own = key_equal(head->author, rooms_self(sr->sync->rooms)) &&
                head->epoch > sr->pushed_epoch;
        RoomLink *rl;

        DL_FOREACH (sr->links, rl) {
                uint64_t epoch = sr->pushed_epoch, key;
                int r = 1;

                if (!own || rl->refused || !rl->has_theirs)
                        continue;
                for (unsigned i = 0; r > 0 && i < PUSH_FRAMES; i++)
                        r = say_control(rl, txn, &epoch);
                key = roster_key_epoch(sr->room->roster, head->epoch);
                if (!rl->outsider && key > sr->pushed_epoch)
                        say_keys(rl, txn, &key, 1);
        }
        sr->pushed_epoch = head->epoch;
}

static void push_proposals(SyncRoom *sr, DbTxn *txn) {
        RoomLink *rl;
        RoomState mine;

        if (read_state(sr, txn, &mine, NULL) < 0)
                return;
        DL_FOREACH (sr->links, rl)
                if (rl->has_theirs && !rl->refused &&
                        memcmp(rl->theirs.proposals, mine.proposals, ROOM_DIGEST_SIZE) != 0)
                        say_proposals(rl, txn, mine.proposals);
}

static void push_forks(SyncRoom *sr, DbTxn *txn) {
        RoomLink *rl;
        RoomState mine;

        if (read_state(sr, txn, &mine, NULL) < 0)
                return;
        DL_FOREACH (sr->links, rl)
                if (is_told(rl) && memcmp(rl->theirs.forks, mine.forks, ROOM_DIGEST_SIZE) != 0)
                        say_forks(rl, txn, mine.forks);
}

static void ask_anew(SyncRoom *sr) {
        RoomLink *rl;

        DL_FOREACH (sr->links, rl)
                rl->keys_asked = rl->records_asked = false;
        sync_due(sr, DUE_WANT, sync_now(sr->sync));
}

void live_changed(SyncRoom *sr, unsigned what) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomLink *rl;

        if (store_read_begin(sr->sync->rooms->store, &txn) < 0)
                return;
        if (what & ROOM_NEW_CONTROL)
                push_control(sr, txn);
        if (what & ROOM_NEW_PROPOSALS && (!sr->brought || sr->room->proposed))
                push_proposals(sr, txn);
        if (what & ROOM_NEW_FORKS)
                push_forks(sr, txn);
        if (what & ROOM_NEW_STATUS && sr->room->row.flags & ROOM_FLAG_FORKED && !sr->forked_told) {
                sr->forked_told = true;
                DL_FOREACH (sr->links, rl)
                        say_owner_fork(rl, txn);
        }
        if (what & ROOM_NEW_ENTRIES) {
                push_own(sr, txn);
                push_fresh(sr, txn);
        }
        if (what &
                (ROOM_NEW_ENTRIES | ROOM_NEW_MARKS | ROOM_NEW_CONTROL | ROOM_NEW_PROPOSALS |
                        ROOM_NEW_STATUS))
                sync_due(sr, DUE_VECTOR, soon(sr)); /* also to who is a member now */
        if (what & (ROOM_NEW_CONTROL | ROOM_NEW_PROPOSALS | ROOM_NEW_FORKS))
                sync_due(sr, DUE_STATE, soon(sr));
        if (what & ROOM_NEW_CONTROL)
                ask_anew(sr);
        sr->brought = sr->room->proposed = false;
        live_plan_entropy(sr);
}

/* VECTOR */

/* Who was told nothing as he, or the user, was no member yet, is told now. */
void live_on_vector(SyncRoom *sr) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomState mine;
        uint64_t change;
        RoomLink *rl;

        if (store_read_begin(sr->sync->rooms->store, &txn) < 0 ||
                read_state(sr, txn, &mine, &change) < 0)
                return;
        DL_FOREACH (sr->links, rl)
                if (is_told(rl) && !rl->tells)
                        say_first_vector(rl, txn, change);
                else if (is_told(rl) && rl->told < change)
                        say_vector(rl, txn, rl->told, change, false);
}

/* STATE */

/* Whom to tell what there is: all who may not know it, or a few of them. */
void live_on_state(SyncRoom *sr) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomLink *to[MESH_MAX];
        RoomState mine;
        size_t n;

        if (store_read_begin(sr->sync->rooms->store, &txn) < 0 ||
                read_state(sr, txn, &mine, NULL) < 0)
                return;
        n = choose(sr, NULL, to, sr->mesh ? LEVEL_ENOUGH : sr->sync->gossip_links);
        for (size_t i = 0; i < n; i++)
                if (!to[i]->has_said || !states_equal(&to[i]->said, &mine))
                        say_state(to[i], txn);
}

static bool is_level(const RoomLink *rl, const RoomState *mine) {
        return rl->has_theirs && rl->has_said && states_equal(&rl->theirs, mine) &&
                states_equal(&rl->said, mine);
}

/* Keys that are missing are asked for once more, of somebody else perhaps. */
static bool lacks_keys(const SyncRoom *sr, DbTxn *txn) {
        uint64_t epoch;
        size_t n;

        return room_keys_missing(sr->room, txn, &epoch, 1, &n) >= 0 && n > 0;
}

/* It is not known that he has what was written here. What he has said of it may not have been kept;
 * and in a large room it need not be known. */
static bool lacks_mark(const RoomLink *rl, DbTxn *txn, const OwnFeed *o) {
        const SyncRoom *sr = rl->sr;
        RoomMark mark;
        Contact c;
        int r;

        if (rl->outsider || rl->refused || !sr->mesh || o->seq == 0)
                return false;
        r = contact_get(txn, rl->peer->account, &c);
        if (r > 0)
                r = room_mark_get(txn, sr->number, c.number, o->feed, &mark);
        return r == 0 || (r > 0 && mark.held < o->seq);
}

static bool needs_entropy(SyncRoom *sr, DbTxn *txn, const RoomState *mine) {
        OwnFeed own = own_feed(sr, txn);
        unsigned n = 0, level = 0;
        RoomLink *rl;

        DL_FOREACH (sr->links, rl) {
                if (rl->outsider || rl->refused)
                        continue;
                if (lacks_mark(rl, txn, &own))
                        return true;
                n++;
                level += is_level(rl, mine);
        }
        return n > 0 && (level < MIN(n, (unsigned)LEVEL_ENOUGH) || lacks_keys(sr, txn));
}

void live_plan_entropy(SyncRoom *sr) {
        Loop *l = sr->sync->rooms->loop;

        if (sr->due[DUE_ENTROPY] == USEC_INFINITY)
                sync_due(sr, DUE_ENTROPY, loop_now(l) + loop_jitter(l, sr->entropy));
}

/* Somebody who is not level; and all of whom it is not known that they are. */
static void ask_states(SyncRoom *sr, DbTxn *txn, const RoomState *mine) {
        OwnFeed own = own_feed(sr, txn);
        RoomLink *to[MESH_MAX];
        size_t n = choose(sr, NULL, to, MESH_MAX);
        bool asked = false;

        for (size_t i = 0; i < n; i++) {
                bool level = is_level(to[i], mine), lacks = lacks_mark(to[i], txn, &own);

                if (level && lacks)
                        note_all_held(to[i], txn);
                if (level || (asked && !lacks))
                        continue;
                say_state(to[i], txn);
                asked = true;
        }
}

/* With ever longer waits where nothing changes and nothing helps. */
void live_on_entropy(SyncRoom *sr) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        RoomState mine;

        if (store_read_begin(sr->sync->rooms->store, &txn) < 0 ||
                read_state(sr, txn, &mine, NULL) < 0)
                return;
        if (!needs_entropy(sr, txn, &mine)) {
                sr->entropy = ENTROPY_INTERVAL;
                return;
        }
        sr->entropy = states_equal(&sr->entropy_state, &mine) ? MIN(2 * sr->entropy, ENTROPY_LAST)
                                                              : ENTROPY_INTERVAL;
        sr->entropy_state = mine;
        ask_states(sr, txn, &mine);
        if (lacks_keys(sr, txn))
                ask_anew(sr);
        live_plan_entropy(sr);
}

/* On a full disk */

#define HEAL_LOOK (5 * USEC_PER_SEC)

/* What others have sent they do not send again of themselves: they hear what is missing once there
 * is room. */
void live_not_kept(Sync *s) {
        usec_t at = sync_now(s) + loop_jitter(s->rooms->loop, HEAL_LOOK);
        SyncRoom *sr, *tmp;

        HASH_ITER (hh, s->table, sr, tmp)
                if (sr->due[DUE_HEAL] == USEC_INFINITY)
                        sync_due(sr, DUE_HEAL, at);
}

void live_on_heal(SyncRoom *sr) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        Store *s = sr->sync->rooms->store;
        RoomLink *to[MESH_MAX], *rl;
        RoomState mine;
        size_t n;

        if (store_check_room(s, STORE_PERCENT_MAIL) < 0 || store_read_begin(s, &txn) < 0) {
                sync_due(sr, DUE_HEAL,
                        sync_now(sr->sync) + loop_jitter(sr->sync->rooms->loop, HEAL_LOOK));
                return;
        }
        n = choose(sr, NULL, to, sr->mesh ? MESH_MAX : LEVEL_ENOUGH);
        for (size_t i = 0; i < n; i++)
                say_state(to[i], txn);
        if (read_state(sr, txn, &mine, NULL) >= 0)
                DL_FOREACH (sr->links, rl)
                        if (rl->has_theirs && states_equal(&rl->theirs, &mine))
                                note_all_held(rl, txn); /* who has what may not have been kept */
        sync_due(sr, DUE_LINKS, sync_now(sr->sync)); /* of whom there may be no row any more */
        live_plan_entropy(sr);
}

/* Typing */

#define TYPING_REPEAT (TYPING_LASTS / 3)

void rooms_type(Rooms *r, uint32_t number, bool on) {
        SyncRoom *sr = sync_find_room(r->sync, number);
        RoomSync m = {.op = ROOM_SYNC_TYPING, .typing = on};
        usec_t now = loop_now(r->loop);
        RoomLink *rl;

        if (!sr || !room_is_joined(sr->room) || roster_count(sr->room->roster) > MESH_MAX)
                return;
        if (on ? sr->typed > 0 && now < sr->typed + TYPING_REPEAT : sr->typed == 0)
                return;
        sr->typed = on ? now : 0;
        memcpy(m.room, sr->room->row.id, SHA256_SIZE);
        DL_FOREACH (sr->links, rl)
                if (is_told(rl) && !link_is_full(rl->peer->link))
                        (void)sync_send(rl->peer, &m);
}

static void tell_typing(const RoomLink *rl, bool on) {
        Rooms *r = rl->sr->sync->rooms;

        if (r->callbacks->typing)
                r->callbacks->typing(r->userdata, rl->sr->number, rl->peer->account, on);
}

void live_take_typing(RoomLink *rl, bool on) {
        usec_t now = sync_now(rl->sr->sync);
        bool did = rl->types > 0;

        if (on &&
                (!quota_take(&rl->peer->typing, 1, now) ||
                        roster_count(rl->sr->room->roster) > MESH_MAX))
                return;
        rl->types = on ? now + TYPING_LASTS : 0;
        if (on)
                sync_due(rl->sr, DUE_TYPING, rl->types);
        if (on != did)
                tell_typing(rl, on);
}

void live_on_typing(SyncRoom *sr) {
        usec_t now = sync_now(sr->sync);
        RoomLink *rl;

        DL_FOREACH (sr->links, rl)
                if (rl->types > 0 && rl->types <= now)
                        live_take_typing(rl, false);
                else if (rl->types > 0)
                        sync_due(sr, DUE_TYPING, rl->types);
}
