/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Links, rooms and what is spoken of over which; and the one timer for all of it. */

#include "rooms/sync.h"

#include <utlist.h>

/* In a large room somebody comes or goes all the time, to whom there need not be a link. */
#define REVIEW_PAUSE (2 * USEC_PER_SEC)

usec_t sync_now(const Sync *s) {
        return loop_now(s->rooms->loop);
}

/* When to look */

void sync_by(Sync *s, usec_t at) {
        if (at >= s->next)
                return;
        s->next = at;
        loop_timer_set(s->timer, at);
}

void sync_due(SyncRoom *sr, Due due, usec_t at) {
        sr->due[due] = MIN(sr->due[due], at);
        sync_by(sr->sync, sr->due[due]);
}

static void sync_room_step(SyncRoom *sr, usec_t now) {
        static void (*const steps[_DUE_MAX])(SyncRoom *) = {
                [DUE_LINKS] = links_on_due,
                [DUE_WANT] = want_on_due,
                [DUE_GIVE] = give_on_due,
                [DUE_VECTOR] = live_on_vector,
                [DUE_STATE] = live_on_state,
                [DUE_ENTROPY] = live_on_entropy,
                [DUE_HEAL] = live_on_heal,
                [DUE_JOIN] = join_on_due,
                [DUE_NEWS] = notice_on_news,
                [DUE_TYPING] = live_on_typing,
        };

        for (Due i = 0; i < _DUE_MAX; i++) {
                if (sr->due[i] > now)
                        continue;
                sr->due[i] = USEC_INFINITY;
                steps[i](sr);
        }
        for (Due i = 0; i < _DUE_MAX; i++)
                sync_by(sr->sync, sr->due[i]);
}

static void on_timer(void *userdata) {
        Sync *s = userdata;
        usec_t now = sync_now(s);
        SyncRoom *sr, *tmp;

        s->next = USEC_INFINITY;
        HASH_ITER (hh, s->table, sr, tmp)
                sync_room_step(sr, now);
        ask_on_due(s);
}

/* Rooms */

static void sync_room_free(SyncRoom *sr) {
        Known *k, *tmp;

        join_end(sr);
        notice_forget_all(sr);
        while (sr->links)
                room_link_free(sr->links);
        links_let_go(sr);
        HASH_ITER (hh, sr->known, k, tmp) {
                HASH_DEL(sr->known, k);
                free(k);
        }
        HASH_DEL(sr->sync->table, sr);
        free(sr);
}

SyncRoom *sync_find_room(const Sync *s, uint32_t number) {
        SyncRoom *sr;

        HASH_FIND(hh, s->table, &number, sizeof(number), sr);
        return sr;
}

SyncRoom *sync_room(Room *room) {
        Sync *s = room->rooms->sync;
        SyncRoom *sr = sync_find_room(s, room->row.number);

        if (sr) {
                sr->room = room;
                return sr;
        }
        sr = calloc(1, sizeof(*sr));
        if (!sr)
                return NULL;
        *sr = (SyncRoom){.sync = s, .room = room, .number = room->row.number};
        for (Due i = 0; i < _DUE_MAX; i++)
                sr->due[i] = USEC_INFINITY;
        HASH_ADD(hh, s->table, number, sizeof(sr->number), sr);
        if (!TABLE_HAS(sr)) {
                free(sr);
                return NULL;
        }
        sr->mesh = true; /* until it is looked at */
        live_begin(sr);
        return sr;
}

/* An admin has removed the user, and the owner may refuse that. */
static bool may_be_taken_back(const SyncRoom *sr) {
        const RosterMember *self =
                roster_final_member(sr->room->roster, rooms_self(sr->sync->rooms));

        return sr->room->row.status == ROOM_KICKED && self && self->member;
}

/* A room of which there is something to be said: the user is in it, wants to be, or may still be;
 * has left and nobody knows yet; or it was deleted, and those who were away then are still to hear
 * it. */
bool sync_is_speaking(const SyncRoom *sr) {
        const RoomRow *row = &sr->room->row;

        return sr->sync->rooms->started &&
                (row->status == ROOM_JOINED || row->status == ROOM_JOINING ||
                        (row->status == ROOM_LEFT && row->farewell) ||
                        row->status == ROOM_DELETED || may_be_taken_back(sr));
}

unsigned sync_count_links(const SyncRoom *sr) {
        unsigned n = 0;
        RoomLink *rl;

        DL_FOREACH (sr->links, rl)
                n += !rl->outsider;
        return n;
}

/* Whoever has not been of use for longest makes room. */
Known *sync_known(SyncRoom *sr, const uint8_t *account) {
        Known *k, *other, *tmp, *oldest = NULL;

        HASH_FIND(hh, sr->known, account, KEY_SIZE, k);
        if (!k && HASH_COUNT(sr->known) >= KNOWN_MAX) {
                HASH_ITER (hh, sr->known, other, tmp)
                        if (!oldest || other->used < oldest->used)
                                oldest = other;
                HASH_DEL(sr->known, oldest);
                free(oldest);
        }
        if (!k) {
                k = calloc(1, sizeof(*k));
                if (!k)
                        return NULL;
                memcpy(k->account, account, KEY_SIZE);
                HASH_ADD(hh, sr->known, account, KEY_SIZE, k);
                if (!TABLE_HAS(k)) {
                        free(k);
                        return NULL;
                }
        }
        k->used = ++sr->known_used;
        return k;
}

/* Rooms over links */

RoomLink *room_link_find(const SyncRoom *sr, const SyncPeer *p) {
        RoomLink *rl;

        DL_FOREACH (sr->links, rl)
                if (rl->peer == p)
                        return rl;
        return NULL;
}

static void say_presence(const SyncRoom *sr, const uint8_t *account, bool linked) {
        Rooms *r = sr->sync->rooms;
        const RoomsCallbacks *c = r->callbacks;

        if (c->presence)
                c->presence(r->userdata, sr->number, account,
                        linked || (c->is_online && c->is_online(r->userdata, account)));
}

RoomLink *room_link_get(SyncRoom *sr, SyncPeer *p) {
        RoomLink *rl = room_link_find(sr, p);

        if (rl)
                return rl;
        rl = calloc(1, sizeof(*rl));
        if (!rl)
                return NULL;
        *rl = (RoomLink){.peer = p,
                .sr = sr,
                .outsider = !room_is_member(sr->room, p->account),
                .states = QUOTA_INIT(20, 20 * USEC_PER_SEC),
                .vectors = QUOTA_INIT(3, 30 * USEC_PER_SEC),
                .repeats = QUOTA_INIT(1, STATE_TIME)};
        DL_APPEND(sr->links, rl);
        sr->has_records = false;
        if (!rl->outsider) {
                notice_is_here(sr, p->account);
                say_presence(sr, p->account, true);
        }
        return rl;
}

void room_link_free(RoomLink *rl) {
        SyncRoom *sr = rl->sr;

        want_given_up(rl);
        DL_DELETE(sr->links, rl);
        live_take_typing(rl, false);
        give_done(&rl->give);
        buffer_done(&rl->claims);
        if (!rl->outsider)
                say_presence(sr, rl->peer->account, false);
        free(rl);
}

static bool may_be_told(const SyncRoom *sr, const SyncPeer *p) {
        return room_is_member(sr->room, p->account);
}

void sync_review(SyncRoom *sr) {
        bool speaking = sync_is_speaking(sr);
        bool gone = false;
        SyncPeer *p, *tmp;
        RoomLink *rl, *next;

        DL_FOREACH_SAFE (sr->links, rl, next) {
                bool member = room_is_member(sr->room, rl->peer->account);

                if (!speaking)
                        room_link_free(rl);
                else if (member && rl->outsider) {
                        rl->outsider = false;
                        say_presence(sr, rl->peer->account, true);
                        say_state(rl, NULL);
                } else if (member && rl->asked_in && !rl->has_said) {
                        say_state(rl, NULL); /* he has let the user in */
                } else if (!member && !rl->outsider) {
                        p = rl->peer;
                        gone = true;
                        room_link_free(rl);
                        rl = room_link_get(sr, p);
                        if (rl)
                                say_state(rl, NULL); /* he learns why */
                }
        }
        if (!speaking)
                return;
        if (gone)
                want_soon(sr); /* what he was asked for is asked of others */
        HASH_ITER (hh, sr->sync->peers, p, tmp) {
                if (!may_be_told(sr, p) || room_link_find(sr, p))
                        continue;
                rl = room_link_get(sr, p);
                if (rl)
                        say_state(rl, NULL);
        }
}

/* Links */

SyncPeer *sync_find_peer(const Sync *s, const uint8_t *account) {
        SyncPeer *p;

        HASH_FIND(hh, s->peers, account, KEY_SIZE, p);
        return p;
}

bool sync_charge(SyncPeer *p, unsigned units) {
        return quota_take(&p->work, units, sync_now(p->sync));
}

bool sync_owe(SyncPeer *p, unsigned units) {
        return quota_owe(&p->work, units, sync_now(p->sync));
}

static void peer_free(SyncPeer *p) {
        Sync *s = p->sync;
        SyncRoom *sr, *tmp;

        HASH_DEL(s->peers, p);
        HASH_ITER (hh, s->table, sr, tmp) {
                RoomLink *rl = room_link_find(sr, p);

                join_link_down(sr, p->account);
                if (!rl)
                        continue;
                room_link_free(rl);
                sync_due(sr, DUE_LINKS, sync_now(s));
                want_soon(sr);
        }
        notice_link_down(p);
        if (p->asked && s->ask.open > 0)
                s->ask.open--;
        ask_look(s);
        free(p);
}

void rooms_link_up(Rooms *r, Link *l) {
        Sync *s = r->sync;
        SyncPeer *p = sync_find_peer(s, link_account(l));

        if (p)
                peer_free(p);
        p = r->started ? calloc(1, sizeof(*p)) : NULL;
        if (!p)
                return;
        *p = (SyncPeer){.sync = s,
                .link = l,
                .work = WORK_QUOTA,
                .refusals = QUOTA_INIT(20, 10 * USEC_PER_SEC),
                .joins = QUOTA_INIT(20, USEC_PER_MINUTE),
                .typing = QUOTA_INIT(60, 30 * USEC_PER_SEC)};
        memcpy(p->account, link_account(l), KEY_SIZE);
        HASH_ADD(hh, s->peers, account, KEY_SIZE, p);
        if (!TABLE_HAS(p)) {
                free(p);
                return;
        }
        ask_link_up(p);
        ROOM_EACH(r, room) {
                SyncRoom *sr = sync_room(room);
                RoomLink *rl;

                if (!sr || !sync_is_speaking(sr))
                        continue;
                if (may_be_told(sr, p) && (rl = room_link_get(sr, p)))
                        say_state(rl, NULL);
                join_link_up(sr, p);
                if (room_is_member(room, p->account))
                        sync_due(sr, DUE_LINKS, sync_now(s));
        }
}

void rooms_link_down(Rooms *r, const uint8_t account[static KEY_SIZE]) {
        SyncPeer *p = sync_find_peer(r->sync, account);

        if (p)
                peer_free(p);
}

int rooms_frame(Rooms *r, Link *l, Frame *f) {
        SyncPeer *p = sync_find_peer(r->sync, link_account(l));

        return p && p->link == l ? take_frame(p, f) : 0;
}

void rooms_drained(Rooms *r, Link *l) {
        SyncPeer *p = sync_find_peer(r->sync, link_account(l));
        SyncRoom *sr, *tmp;

        if (!p)
                return;
        HASH_ITER (hh, r->sync->table, sr, tmp) {
                RoomLink *rl = room_link_find(sr, p);

                if (rl && rl->give.stage != GIVE_NOTHING)
                        sync_due(sr, DUE_GIVE, sync_now(r->sync));
        }
}

void rooms_presence(Rooms *r, const uint8_t account[static KEY_SIZE], bool online) {
        ROOM_EACH(r, room) {
                SyncRoom *sr = room_is_member(room, account) ? sync_room(room) : NULL;

                if (!sr || !sync_is_speaking(sr))
                        continue;
                if (online)
                        notice_is_here(sr, account);
                say_presence(sr, account, sync_find_peer(r->sync, account) != NULL);
                sync_due(sr, DUE_LINKS, sync_now(r->sync) + (sr->mesh ? 0 : REVIEW_PAUSE));
        }
}

/* What the state of the rooms says */

static void on_changed(Rooms *r, Room *room, unsigned what) {
        SyncRoom *sr = sync_room(room);

        if (!sr)
                return;
        if (what & (ROOM_NEW_CONTROL | ROOM_NEW_PROPOSALS | ROOM_NEW_STATUS)) {
                sr->has_records = false;
                sync_review(sr);
                sync_due(sr, DUE_LINKS, sync_now(r->sync));
        }
        if (sync_is_speaking(sr))
                live_changed(sr, what);
        join_changed(sr);
}

static void on_settled(Rooms *r, int error) {
        SyncRoom *sr, *tmp;

        if (error < 0)
                live_not_kept(r->sync);
        HASH_ITER (hh, r->sync->table, sr, tmp) {
                if (error < 0) {
                        sr->n_fresh = 0;
                        sr->has_records = false;
                }
                join_settled(sr, error);
                if (error < 0)
                        sync_review(sr); /* who was to be a member is none, and the other way */
        }
}

static void on_notify(Rooms *r, Room *room, const uint8_t account[static KEY_SIZE],
        RoomNoticeKind kind, Bytes proof) {
        SyncRoom *sr = sync_room(room);

        if (sr)
                notice_say(sr, account, kind, proof);
}

static void on_room_gone(Room *room) {
        SyncRoom *sr =
                room->rooms->sync ? sync_find_room(room->rooms->sync, room->row.number) : NULL;

        if (sr)
                sync_room_free(sr);
}

static const RoomsHooks hooks = {
        .settled = on_settled,
        .changed = on_changed,
        .notify = on_notify,
        .room_gone = on_room_gone,
};

/* Start and end */

static Sync *sync_free(Sync *s) {
        if (!s)
                return NULL;
        while (s->peers)
                peer_free(s->peers);
        while (s->table)
                sync_room_free(s->table);
        loop_timer_free(s->timer);
        free(s);
        return NULL;
}

static int sync_new(Rooms *r) {
        Sync *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (Sync){.rooms = r,
                .next = USEC_INFINITY,
                .mesh_max = MESH_MAX,
                .gossip_links = GOSSIP_LINKS,
                .gossip_eager = GOSSIP_EAGER,
                .strangers = QUOTA_INIT(20, USEC_PER_HOUR)};
        if (loop_timer_new(r->loop, on_timer, s, &s->timer) < 0) {
                free(s);
                return -ENOMEM;
        }
        r->sync = s;
        r->hooks = &hooks;
        return 0;
}

int rooms_new(Loop *loop, Store *store, const Identity *self, const LocalIdentity *local,
        unsigned max_members, const RoomsCallbacks *callbacks, void *userdata, Rooms **ret) {
        Rooms *r;
        int e;

        e = rooms_open(loop, store, self, local, max_members, callbacks, userdata, &r);
        if (e < 0)
                return e;
        e = sync_new(r);
        if (e < 0) {
                rooms_close(r);
                return e;
        }
        *ret = r;
        return 0;
}

Rooms *rooms_free(Rooms *r) {
        if (!r)
                return NULL;
        rooms_stop(r);
        r->hooks = NULL;
        r->sync = sync_free(r->sync);
        return rooms_close(r);
}

void rooms_start(Rooms *r) {
        rooms_begin(r);
        ROOM_EACH(r, room) {
                SyncRoom *sr = sync_room(room);

                if (!sr || !sync_is_speaking(sr))
                        continue;
                sync_due(sr, DUE_LINKS, sync_now(r->sync));
                join_begin_again(sr);
        }
}

void rooms_stop(Rooms *r) {
        Sync *s = r->sync;

        if (!r->started)
                return;
        rooms_end(r);
        ask_stop(s);
        while (s->peers)
                peer_free(s->peers);
        while (s->table)
                sync_room_free(s->table);
        s->next = USEC_INFINITY;
        loop_timer_set(s->timer, USEC_INFINITY);
}
