/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Getting into a room: members are dialled, a few at a time, and asked one after the other; and the
 * other end of that. */

#include "rooms/sync.h"

#include <stdio.h>
#include <utlist.h>

/* Links that are being opened at once; how long that may take, and an answer. */
#define CANDIDATES_AT_ONCE 3
#define CANDIDATES_TIME (6 * USEC_PER_SEC)
#define ANSWER_TIME (8 * USEC_PER_SEC)

/* The user is told then, and it goes on. */
#define JOIN_TIME (20 * USEC_PER_SEC)

#define ROUND_FIRST (5 * USEC_PER_SEC)
#define ROUND_LAST (5 * USEC_PER_MINUTE)

static size_t find_candidate(const Join *j, const uint8_t *account) {
        for (size_t i = 0; i < j->n; i++)
                if (key_equal(j->candidates[i], account))
                        return i;
        return j->n;
}

bool join_has_candidate(const SyncRoom *sr, const uint8_t *account) {
        return sr->join.active && find_candidate(&sr->join, account) < sr->join.n;
}

void join_add_candidate(SyncRoom *sr, const uint8_t *account) {
        Join *j = &sr->join;

        if (j->n < ROOMS_CANDIDATES_MAX && find_candidate(j, account) == j->n &&
                !key_equal(account, rooms_self(sr->sync->rooms)))
                memcpy(j->candidates[j->n++], account, KEY_SIZE);
}

static void tell(SyncRoom *sr, Code code, const char *text) {
        Join *j = &sr->join;
        RoomsDoneFn fn = j->fn;

        j->fn = NULL;
        j->give_up = 0;
        if (fn)
                fn(j->userdata, sr->number, code, text);
}

static void finish(SyncRoom *sr, Code code, const char *text) {
        sr->join.active = false;
        sync_due(sr, DUE_LINKS, sync_now(sr->sync)); /* lets candidates go */
        tell(sr, code, text);
}

void join_end(SyncRoom *sr) {
        if (sr->join.active || sr->join.fn)
                finish(sr, CODE_NOT_LOGGED_IN, "logged out or stopped");
}

void rooms_forget(Rooms *r, void *userdata) {
        SyncRoom *sr, *tmp;

        HASH_ITER (hh, r->sync->table, sr, tmp)
                if (sr->join.fn && sr->join.userdata == userdata)
                        sr->join.fn = NULL;
        if (r->sync->ask.active && r->sync->ask.userdata == userdata)
                r->sync->ask.fn = NULL;
}

/* Asking */

static int send_join(SyncRoom *sr, SyncPeer *p) {
        Rooms *r = sr->sync->rooms;
        RoomSync m = {.op = ROOM_SYNC_JOIN};
        int x;

        memcpy(m.room, sr->room->row.id, SHA256_SIZE);
        memcpy(m.join.name, r->self->name, NAME_SIZE);
        m.join.record = r->local->record;
        x = room_own_heads(sr->room, store_write(r->store), m.join.heads, &m.join.n_heads);
        return x < 0 ? x : sync_send(p, &m);
}

static void say_join(SyncRoom *sr, SyncPeer *p, size_t i) {
        Join *j = &sr->join;

        j->asked[i] = true;
        if (!room_link_get(sr, p) || send_join(sr, p) < 0)
                return;
        memcpy(j->asking, p->account, KEY_SIZE);
        j->answer_by = sync_now(sr->sync) + ANSWER_TIME;
}

/* The first of those who have links and have not been asked. */
static bool ask_one(SyncRoom *sr) {
        Join *j = &sr->join;

        for (size_t i = 0; i < j->n; i++) {
                SyncPeer *p = j->asked[i] ? NULL : sync_find_peer(sr->sync, j->candidates[i]);

                if (!p)
                        continue;
                say_join(sr, p, i);
                if (j->answer_by > 0)
                        return true;
        }
        return false;
}

static void next_candidates(SyncRoom *sr, usec_t now) {
        Join *j = &sr->join;

        if (j->at >= j->n) {
                j->round = CLAMP(2 * j->round, ROUND_FIRST, ROUND_LAST);
                j->step_by = now + loop_jitter(sr->sync->rooms->loop, j->round);
                j->at = 0;
                memset(j->asked, 0, sizeof(j->asked));
                return;
        }
        for (size_t i = 0; i < CANDIDATES_AT_ONCE && j->at < j->n; i++)
                links_hold(sr, j->candidates[j->at++], true);
        j->step_by = now + CANDIDATES_TIME;
}

static bool all_have_been_asked(const Join *j) {
        for (size_t i = 0; i < j->n; i++)
                if (!j->asked[i])
                        return false;
        return j->n > 0;
}

/* A member has refused, and whoever has not could not be reached. */
static bool round_is_over(const Join *j, usec_t now) {
        return j->refused && j->at >= j->n && j->step_by <= now;
}

/* Nobody who could let the user in has: what he was to the room before, he is again. */
static RoomStatus status_of_refused(const SyncRoom *sr) {
        const RosterMember *self = roster_member(sr->room->roster, rooms_self(sr->sync->rooms));
        const Join *j = &sr->join;

        if (j->was_invited && j->code == CODE_TOO_MANY) /* there may be room later */
                return ROOM_INVITED;
        return self && self->kicked ? ROOM_KICKED : ROOM_LEFT;
}

static void refused_by_all(SyncRoom *sr) {
        Join *j = &sr->join;

        if (sr->room->row.status == ROOM_JOINING)
                (void)room_set_status(sr->room, status_of_refused(sr));
        finish(sr, j->code, j->text);
}

void join_on_due(SyncRoom *sr) {
        usec_t now = sync_now(sr->sync);
        Join *j = &sr->join;

        if (!j->active)
                return;
        if (room_is_joined(sr->room) &&
                room_has_key(sr->room, store_write(sr->sync->rooms->store)) > 0) {
                finish(sr, CODE_OK, "");
                return;
        }
        if (sr->room->row.status != ROOM_JOINING && sr->room->row.status != ROOM_JOINED) {
                finish(sr, CODE_NOT_MEMBER, "The room was left, or its owner has deleted it.");
                return;
        }
        if (j->give_up > 0 && j->give_up <= now)
                tell(sr, j->code != CODE_OK ? j->code : CODE_TIMEOUT,
                        j->code != CODE_OK ? j->text
                                           : "No member has answered yet; it goes on being tried.");
        if (j->answer_by > 0 && j->answer_by <= now)
                j->answer_by = 0;
        if (sr->room->row.status == ROOM_JOINING && j->answer_by == 0 && !ask_one(sr)) {
                if (j->code != CODE_OK && (all_have_been_asked(j) || round_is_over(j, now))) {
                        refused_by_all(sr);
                        return;
                }
                if (j->step_by <= now)
                        next_candidates(sr, now);
        }
        if (j->give_up > 0)
                sync_due(sr, DUE_JOIN, j->give_up);
        if (sr->room->row.status == ROOM_JOINING) /* else its key is waited for */
                sync_due(sr, DUE_JOIN, j->answer_by > 0 ? j->answer_by : j->step_by);
}

static void join_soon(SyncRoom *sr) {
        if (sr->join.active)
                sync_due(sr, DUE_JOIN, sync_now(sr->sync));
}

void join_changed(SyncRoom *sr) {
        join_soon(sr);
}

void join_link_up(SyncRoom *sr, SyncPeer *p) {
        if (join_has_candidate(sr, p->account))
                join_soon(sr);
}

void join_link_down(SyncRoom *sr, const uint8_t *account) {
        Join *j = &sr->join;

        if (!join_has_candidate(sr, account))
                return;
        if (j->answer_by > 0 && key_equal(j->asking, account)) {
                j->answer_by = 0;
                j->asked[find_candidate(j, account)] = false;
        }
        join_soon(sr);
}

void join_not_counted(RoomLink *rl) {
        const Room *room = rl->sr->room;
        const RosterMember *self;

        self = roster_final_member(room->roster, rooms_self(rl->sr->sync->rooms));
        if (room->row.status != ROOM_JOINED || rl->asked_in || (self && self->member))
                return;
        rl->asked_in = true;
        (void)send_join(rl->sr, rl->peer);
}

/* A member's word counts for more than that of who knows nothing of the room. */
void join_refused(SyncRoom *sr, const SyncPeer *p, const RoomRefused *r) {
        Join *j = &sr->join;

        if (!j->active || j->answer_by == 0 || !key_equal(j->asking, p->account) ||
                r->code == CODE_NOT_MEMBER) /* that is about something else, and no answer */
                return;
        j->answer_by = 0;
        /* Who limits, or has no room, may answer otherwise later. */
        if (r->code != CODE_RATE_LIMITED && r->code != CODE_PEER_STORAGE &&
                (!j->refused || r->code != CODE_UNKNOWN_ROOM)) {
                j->refused |= r->code != CODE_UNKNOWN_ROOM;
                j->code = r->code == CODE_OK || r->code == _CODE_MAX ? CODE_NOT_ALLOWED : r->code;
                snprintf(j->text, sizeof(j->text), "%.*s",
                        (int)MIN(r->text.size, sizeof(j->text) - 1), (const char *)r->text.data);
        }
        join_soon(sr);
}

static bool add_member(void *userdata, const RosterMember *m) {
        if (m->member)
                join_add_candidate(userdata, m->account);
        return true;
}

static void add_known(SyncRoom *sr) {
        Contact c;

        if (sr->room->row.inviter > 0 &&
                contact_get_by_number(
                        store_write(sr->sync->rooms->store), sr->room->row.inviter, &c) > 0)
                join_add_candidate(sr, c.account);
        roster_each(sr->room->roster, add_member, sr);
}

static void begin(SyncRoom *sr) {
        Join *j = &sr->join;

        j->active = true;
        j->at = 0;
        j->code = CODE_OK;
        j->text[0] = '\0';
        j->refused = false;
        j->answer_by = j->step_by = j->round = 0;
        memset(j->asked, 0, sizeof(j->asked));
        join_soon(sr);
}

void join_begin_again(SyncRoom *sr) {
        if (sr->room->row.status != ROOM_JOINING || sr->join.active)
                return;
        add_known(sr);
        begin(sr);
}

int rooms_join(Rooms *r, const RoomsJoin *j, RoomsDoneFn fn, void *userdata, RoomsError *e) {
        Room *room = room_of(r, j->id);
        RoomStatus before = room ? room->row.status : ROOM_LEFT;
        SyncRoom *sr;
        int x = 0;

        if (!r->started)
                return rooms_error(e, CODE_NOT_LOGGED_IN, "log in first");
        if (room && room->row.status == ROOM_DELETED)
                return rooms_error(
                        e, CODE_UNKNOWN_ROOM, "#%s was deleted by its owner", room->row.name);
        if (!room || room->row.status != ROOM_JOINED)
                x = room_begin(r, j->id, j->name, ROOM_JOINING, 0, &room);
        if (x == -EEXIST && j->exact)
                x = room_begin(r, j->id, "", ROOM_JOINING, 0, &room);
        if (x == -EEXIST)
                return rooms_error(e, CODE_ROOM_EXISTS, "you are in another room #%s", j->name);
        if (x < 0)
                return x;
        sr = sync_room(room);
        if (!sr)
                return -ENOMEM;
        tell(sr, CODE_CANCELLED, "It was asked for once more.");
        for (size_t i = 0; i < j->n_candidates; i++)
                join_add_candidate(sr, j->candidates[i]);
        add_known(sr);
        sr->join.fn = fn;
        sr->join.userdata = userdata;
        sr->join.give_up = sync_now(r->sync) + JOIN_TIME;
        if (before != ROOM_JOINING)
                sr->join.was_invited = before == ROOM_INVITED;
        begin(sr);
        return 0;
}

/* The other end */

static void refuse(SyncPeer *p, const RoomSync *m, Code code, const char *text) {
        say_refused(p, m->room, code, text);
}

/* That this member may let him in does not mean that it is to: who has the right to add anybody has
 * not been asked. */
static bool may_come_in(const Room *room, const uint8_t *account, RoomReason *why) {
        const RosterMember *m = roster_member(room->roster, account);

        if (m && (m->member || m->invited))
                return true;
        if (m && m->kicked)
                *why = (RoomReason){CODE_NOT_ALLOWED,
                        "You were removed from this room: its owner or an admin can invite "
                        "you again."};
        else if (roster_access(room->roster) != ROOM_ACCESS_OPEN)
                *why = (RoomReason){CODE_NOT_INVITED,
                        "Only who is invited may join this room: ask its owner or an admin."};
        else
                return true;
        return false;
}

void take_join(SyncPeer *p, const RoomSync *m) {
        Sync *s = p->sync;
        Room *room = room_of(s->rooms, m->room);
        SyncRoom *sr = room ? sync_room(room) : NULL;
        RoomReason why = {};
        RoomLink *rl;
        int v;

        if (!sync_charge(p, COST_JOIN) || !quota_take(&p->joins, 1, sync_now(s))) {
                refuse(p, m, CODE_RATE_LIMITED, "Too many rooms were asked for; wait a minute.");
                return;
        }
        if (room && room->row.status == ROOM_DELETED) {
                refuse(p, m, CODE_UNKNOWN_ROOM, "This room was deleted by its owner.");
                return;
        }
        if (!sr || !room_is_joined(room)) {
                refuse(p, m, CODE_UNKNOWN_ROOM, "This room is not known here.");
                return;
        }
        if (!may_come_in(room, p->account, &why)) {
                refuse(p, m, why.code, why.text);
                return;
        }
        v = room_admit(room, p->account, m->join.name, m->join.heads, m->join.n_heads, &why);
        if (v < 0 || (v != TAKEN && v != TAKEN_AGAIN)) {
                refuse(p, m, v < 0 ? CODE_PEER_STORAGE : why.code,
                        v < 0 ? "It could not be kept here; try again later." : why.text);
                return;
        }
        rl = room_link_get(sr, p);
        if (!rl)
                return;
        rl->refused = false;
        (void)room_take_record(room, m->join.record, &why);
        rl->admitted = true;
        if (v == TAKEN_AGAIN && rooms_await_commit(s->rooms) < 0)
                join_settled(sr, 0);
}

void join_settled(SyncRoom *sr, int error) {
        RoomLink *rl;

        DL_FOREACH (sr->links, rl) {
                if (!rl->admitted)
                        continue;
                rl->admitted = false;
                if (error >= 0)
                        give_all(rl);
                else
                        say_refused(rl->peer, sr->room->row.id, CODE_PEER_STORAGE,
                                "It could not be kept here; try again later.");
        }
}
