/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What people are told of rooms beside the members' own talk: invitations, that something is new,
 * that somebody was removed; and which open rooms there are, for who asks. A notice is signed, and
 * goes over a link or as sealed mail.
 */

#include <stdio.h>
#include <utlist.h>

#include "rooms/state.h"
#include "rooms/sync.h"

/* Until who is not there is told by mail that there is something. */
#define NEWS_WAIT USEC_PER_MINUTE

/* Mailboxes that one look leaves something in. In rooms of more than that, only contacts'. */
#define NEWS_AT_ONCE 32
#define NEWS_ROOM_MAX KNOWN_MAX

/* Rooms to which the user is invited and of which he has said nothing. */
#define INVITED_MAX 100

/* So long a link has to last after a notice. */
#define NOTICE_DOUBT USEC_PER_MINUTE

#define ASK_TIME (2 * USEC_PER_SEC)

/* Saying */

static void add_members(const SyncRoom *sr, RoomNotice *n) {
        RoomLink *rl;

        DL_FOREACH (sr->links, rl)
                if (!rl->outsider && n->n_members < ROOM_NOTICE_MEMBERS_MAX)
                        memcpy(n->members[n->n_members++], rl->peer->account, KEY_SIZE);
}

/* The certificate of whoever has signed PROOF, where that is not this device. */
static Bytes proof_certificate(Rooms *r, DbTxn *txn, Bytes proof) {
        const uint8_t *device = NULL;
        Bytes certificate = {};
        uint64_t epoch = 0;

        if (room_proposal_parse(proof, r->proposal) >= 0) {
                device = r->proposal->device;
                epoch = r->proposal->device_epoch;
        } else if (room_block_parse(proof, r->block) >= 0) {
                device = r->block->device;
                epoch = r->block->device_epoch;
        }
        if (!device || key_equal(device, sign_key_public(&r->self->device)))
                return (Bytes){};
        return author_certificate(r, txn, device, epoch, &certificate) > 0 ? certificate
                                                                           : (Bytes){};
}

static int make_notice(
        const SyncRoom *sr, const uint8_t *to, RoomNoticeKind kind, Bytes proof, Buffer *ret) {
        Rooms *r = sr->sync->rooms;
        const Room *room = sr->room;
        RoomNotice *n = calloc(1, sizeof(*n));
        int e;

        if (!n)
                return -ENOMEM;
        memcpy(n->room, room->row.id, SHA256_SIZE);
        memcpy(n->name, roster_name(room->roster)[0] ? roster_name(room->roster) : room->row.name,
                NAME_SIZE);
        n->what = kind;
        memcpy(n->account, rooms_self(r), KEY_SIZE);
        n->device_epoch = r->self->epoch;
        memcpy(n->device, sign_key_public(&r->self->device), KEY_SIZE);
        memcpy(n->to, to, KEY_SIZE);
        n->sent = loop_realtime(r->loop);
        n->proof = proof;
        if (proof.size > 0)
                n->proof_certificate = proof_certificate(r, store_write(r->store), proof);
        add_members(sr, n);
        if (roster_head(room->roster)->epoch > 0) {
                n->has_founder = true;
                memcpy(n->founder, roster_founder(room->roster), KEY_SIZE);
                memcpy(n->nonce, roster_nonce(room->roster), ROOM_NONCE_SIZE);
        }
        e = room_notice_encode(ret, n, &r->self->device);
        free(n);
        return e;
}

void notice_say(SyncRoom *sr, const uint8_t *account, RoomNoticeKind kind, Bytes proof) {
        _cleanup_(buffer_done) Buffer notice = BUFFER_NULL;
        Rooms *r = sr->sync->rooms;
        SyncPeer *p = sync_find_peer(sr->sync, account);
        RoomSync m = {.op = ROOM_SYNC_NOTICE};
        int e;

        e = make_notice(sr, account, kind, proof, &notice);
        if (e >= 0 && p) {
                memcpy(m.room, sr->room->row.id, SHA256_SIZE);
                m.notice = buffer_bytes(&notice);
                e = sync_send(p, &m);
                buffer_done(&p->notice);
                p->notice = notice;
                p->noticed = sync_now(sr->sync);
                notice = BUFFER_NULL;
        } else if (e >= 0 && r->callbacks->leave_notice)
                e = r->callbacks->leave_notice(r->userdata, account, buffer_bytes(&notice));
        if (e < 0)
                log_debug("A notice about a room could not be left: %s", strerror(-e));
}

/* A link that ended so soon may not have brought it: by mail it comes once more. */
void notice_link_down(SyncPeer *p) {
        Rooms *r = p->sync->rooms;

        if (buffer_size(&p->notice) > 0 && r->started && r->callbacks->leave_notice &&
                sync_now(p->sync) - p->noticed < NOTICE_DOUBT)
                (void)r->callbacks->leave_notice(r->userdata, p->account, buffer_bytes(&p->notice));
        buffer_done(&p->notice);
}

/* Something is new */

void notice_plan_news(SyncRoom *sr) {
        sync_due(sr, DUE_NEWS, sync_now(sr->sync) + NEWS_WAIT);
}

void notice_is_here(SyncRoom *sr, const uint8_t *account) {
        Noticed *n;

        HASH_FIND(hh, sr->noticed, account, KEY_SIZE, n);
        if (!n)
                return;
        HASH_DEL(sr->noticed, n);
        free(n);
}

void notice_forget_all(SyncRoom *sr) {
        while (sr->noticed)
                notice_is_here(sr, sr->noticed->account);
}

/* False: out of memory, and he is not told, as he might be told for ever. */
static bool note_noticed(SyncRoom *sr, const uint8_t *account) {
        Noticed *n = calloc(1, sizeof(*n));

        if (!n)
                return false;
        memcpy(n->account, account, KEY_SIZE);
        HASH_ADD(hh, sr->noticed, account, KEY_SIZE, n);
        if (TABLE_HAS(n))
                return true;
        free(n);
        return false;
}

typedef struct News {
        SyncRoom *sr;
        DbTxn *txn;
        uint8_t to[NEWS_AT_ONCE][KEY_SIZE];
        size_t n;
        bool more;
} News;

static bool lacks_news(void *userdata, const RosterMember *m) {
        News *x = userdata;
        SyncRoom *sr = x->sr;
        Rooms *r = sr->sync->rooms;
        const RoomsCallbacks *c = r->callbacks;
        RoomMark mark = {};
        Contact contact;
        Noticed *n;

        if (!m->member || key_equal(m->account, rooms_self(r)) ||
                sync_find_peer(sr->sync, m->account) ||
                (c->is_online && c->is_online(r->userdata, m->account)))
                return true;
        HASH_FIND(hh, sr->noticed, m->account, KEY_SIZE, n);
        if (n || contact_get(x->txn, m->account, &contact) <= 0 ||
                (roster_count(sr->room->roster) > NEWS_ROOM_MAX &&
                        !(contact.flags & CONTACT_PINNED)))
                return true;
        if (room_mark_get(x->txn, sr->number, contact.number, sr->own_feed, &mark) < 0 ||
                mark.held >= sr->own_seq)
                return true;
        if (x->n == NEWS_AT_ONCE) {
                x->more = true;
                return false;
        }
        memcpy(x->to[x->n++], m->account, KEY_SIZE);
        return true;
}

/* Once for each, until he was here again. */
void notice_on_news(SyncRoom *sr) {
        News x = {.sr = sr, .txn = store_write(sr->sync->rooms->store)};

        if (!room_is_joined(sr->room) || sr->own_seq == 0)
                return;
        roster_each(sr->room->roster, lacks_news, &x);
        for (size_t i = 0; i < x.n; i++)
                if (note_noticed(sr, x.to[i]))
                        notice_say(sr, x.to[i], ROOM_NOTICE_NEWS, (Bytes){});
        if (x.more)
                notice_plan_news(sr);
}

/* Hearing */

static bool count_invited(const Rooms *r) {
        unsigned n = 0;

        ROOM_EACH(r, room)
        n += room->row.status == ROOM_INVITED;
        return n < INVITED_MAX;
}

/* Who invites is somebody with a row; a stranger's invitations are few. */
static void take_invitation(Sync *s, const RoomNotice *n) {
        Rooms *r = s->rooms;
        Room *room = room_of(r, n->room);
        SyncRoom *sr;
        Contact c;
        bool is_new;

        if (contact_get(store_write(r->store), n->account, &c) <= 0 || c.flags & CONTACT_BLOCKED)
                return;
        if (room && room->row.inviter == c.number && n->sent == room->row.invited)
                return; /* it has come by another way, and may have been answered since */
        is_new = !room ||
                (room->row.status != ROOM_JOINED && room->row.status != ROOM_JOINING &&
                        room->row.status != ROOM_INVITED);
        if (!is_new || (room && room->row.status == ROOM_DELETED) || !count_invited(r) ||
                (!contact_is_accepted(&c) && !quota_take(&s->strangers, 1, sync_now(s))))
                return;
        if (room_begin(r, n->room, n->name, ROOM_INVITED, c.number, &room) < 0)
                return;
        room->row.invited = n->sent;
        if (n->has_founder) {
                memcpy(room->row.founder, n->founder, KEY_SIZE);
                memcpy(room->row.nonce, n->nonce, ROOM_NONCE_SIZE);
        }
        (void)room_keep(room);
        (void)contact_mark(r->store, n->account, CONTACT_MEMBER); /* his row stays */
        (void)room_event(room, ROOM_EVENT_INVITED, rooms_self(r));
        sr = sync_room(room);
        if (!sr)
                return;
        join_add_candidate(sr, n->account);
        for (size_t i = 0; i < n->n_members; i++)
                join_add_candidate(sr, n->members[i]);
}

/* After a day away in a large room there are many who say so: some of them are enough. */
static void hold_who_knows(SyncRoom *sr, const uint8_t *account) {
        if (links_count_held(sr) < sr->sync->mesh_max)
                links_hold(sr, account, true);
}

/* Members who may have it are dialled; the next review lets them go again. */
static void take_news(Sync *s, const RoomNotice *n) {
        Room *room = room_of(s->rooms, n->room);
        SyncRoom *sr = room ? sync_room(room) : NULL;

        if (!sr || !sync_is_speaking(sr) || !room_is_member(room, n->account))
                return;
        hold_who_knows(sr, n->account);
        for (size_t i = 0; i < n->n_members; i++)
                if (room_is_member(room, n->members[i]))
                        hold_who_knows(sr, n->members[i]);
}

/* The proof says so, or the log, which is asked for. */
static void take_removal(Sync *s, SyncPeer *p, const RoomNotice *n) {
        Room *room = room_of(s->rooms, n->room);
        SyncRoom *sr = room ? sync_room(room) : NULL;
        const RoomCertificates c = {
                .list = &n->proof_certificate, .n = n->proof_certificate.size > 0};
        RoomReason why = {};
        RoomLink *rl;
        int v = TAKEN_BAD;

        if (!sr || !sync_is_speaking(sr) || !room_knows(room, n->account))
                return;
        if (n->proof.size > 0)
                v = room_take_proposal(room, n->proof, &c, &why);
        if (v == TAKEN_BAD && n->proof.size > 0)
                v = room_take_block(room, n->proof, &c, &why);
        rl = p && v == TAKEN_NOT_NOW ? room_link_get(sr, p) : NULL;
        if (!rl)
                return;
        rl->needs |= NEED_CONTROL | NEED_PROPOSALS;
        sync_due(sr, DUE_WANT, sync_now(s));
}

static void heard(Sync *s, SyncPeer *p, const RoomNotice *n) {
        switch (n->what) {
        case ROOM_NOTICE_INVITED:
                take_invitation(s, n);
                break;
        case ROOM_NOTICE_NEWS:
                take_news(s, n);
                break;
        default:
                take_removal(s, p, n);
                break;
        }
}

void take_notice(Sync *s, SyncPeer *p, Bytes outer) {
        const Certificate *c = link_certificate(p->link);
        RoomNotice *n = calloc(1, sizeof(*n));

        if (!n)
                return;
        if (!sync_charge(p, COST_ANSWER) || room_notice_decode(outer, n) < 0 ||
                !key_equal(n->to, rooms_self(s->rooms)) || !key_equal(n->account, p->account) ||
                !key_equal(n->device, c->device))
                (void)sync_charge(p, COST_BAD);
        else
                heard(s, p, n);
        free(n);
}

/* By mail: the record that came along says whose device it is. */
void rooms_notice(Rooms *r, Bytes outer, Bytes record) {
        RoomNotice *n = calloc(1, sizeof(*n));
        Record rec;
        Contact c;

        if (!n)
                return;
        if (r->started && room_notice_decode(outer, n) >= 0 && key_equal(n->to, rooms_self(r)) &&
                record.size > 0 && record_decode(record, &rec) >= 0 &&
                key_equal(rec.account, n->account) && key_equal(rec.device.device, n->device) &&
                rec.device.epoch == n->device_epoch &&
                contact_learn(r->store, &rec, record, loop_realtime(r->loop), 0, false, &c) >= 0 &&
                rooms_await_commit(r) >= 0)
                heard(r->sync, NULL, n);
        free(n);
}

/* Which open rooms there are */

/* Each word is in the name or in the topic, as trackers have it. */
static bool has_words(const char *name, const char *topic, Bytes words) {
        size_t n = MIN(words.size, (size_t)ROOM_WORDS_MAX);
        char copy[ROOM_WORDS_MAX + 1], *rest = NULL;

        for (size_t i = 0; i < n; i++)
                copy[i] = (char)(words.data[i] > ' ' ? words.data[i] : ' ');
        copy[n] = '\0';
        for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest))
                if (!strcasestr(name, w) && !strcasestr(topic, w))
                        return false;
        return true;
}

static bool is_asked_for(const Room *room, const SyncPeer *p, const RoomAsk *a) {
        const Roster *ro = room->roster;

        if (!room_is_joined(room) || roster_access(ro) == ROOM_ACCESS_HIDDEN)
                return false;
        if (roster_access(ro) == ROOM_ACCESS_PRIVATE && !room_knows(room, p->account))
                return false; /* the answer would say who is in it */
        if (a->name[0] != '\0')
                return streq(a->name, roster_name(ro));
        return has_words(roster_name(ro),
                roster_access(ro) == ROOM_ACCESS_OPEN ? roster_topic(ro) : "", a->words);
}

static void summarize(Room *room, RoomSummary *ret) {
        const Roster *ro = room->roster;
        const SyncRoom *sr = sync_room(room);
        bool open = roster_access(ro) == ROOM_ACCESS_OPEN;

        *ret = (RoomSummary){.access = roster_access(ro)};
        memcpy(ret->room, room->row.id, SHA256_SIZE);
        snprintf(ret->name, sizeof(ret->name), "%s", roster_name(ro));
        if (open) {
                ret->topic = text_bytes(roster_topic(ro));
                ret->members = roster_count(ro);
                ret->online = (sr ? sync_count_links(sr) : 0) + 1;
        }
        memcpy(ret->owner, roster_owner(ro), KEY_SIZE);
        memcpy(ret->founder, roster_founder(ro), KEY_SIZE);
        memcpy(ret->nonce, roster_nonce(ro), ROOM_NONCE_SIZE);
}

void take_ask(SyncPeer *p, const RoomAsk *a) {
        RoomSync *m;

        if (!sync_charge(p, COST_ANSWER))
                return;
        m = calloc(1, sizeof(*m));
        if (!m)
                return;
        m->op = ROOM_SYNC_OFFER;
        ROOM_EACH(p->sync->rooms, room)
        if (m->offer.n_rooms < ROOM_OFFERS_MAX && is_asked_for(room, p, a))
                summarize(room, &m->offer.rooms[m->offer.n_rooms++]);
        (void)sync_send(p, m);
        free(m);
}

/* Copied: letting go may end links. */
static void ask_let_go(Sync *s) {
        uint8_t near[ASK_NEAR_MAX][KEY_SIZE];
        size_t n = s->ask.n_near;

        memcpy(near, s->ask.near, sizeof(near));
        s->ask.n_near = 0;
        for (size_t i = 0; i < n; i++)
                links_want(s, near[i], false);
}

/* Who asked may hold on to some of those, so they are let go after that. */
static void ask_ends(Sync *s) {
        Ask ask = s->ask;

        s->ask.active = false;
        s->ask.n_near = 0;
        if (ask.fn)
                ask.fn(ask.userdata, NULL);
        for (size_t i = 0; i < ask.n_near; i++)
                links_want(s, ask.near[i], false);
}

/* Not at once: links that are let go are not to end while one of them is heard. */
void ask_look(Sync *s) {
        if (!s->ask.active || s->ask.open > 0 || s->ask.dialled > 0)
                return;
        s->ask.end = sync_now(s);
        sync_by(s, s->ask.end);
}

static void ask_peer(SyncPeer *p) {
        Ask *a = &p->sync->ask;
        RoomSync m = {.op = ROOM_SYNC_ASK, .ask.words = text_bytes(a->words)};

        p->asked = sync_send(p, &m) >= 0;
        a->open += p->asked;
}

void ask_link_up(SyncPeer *p) {
        Ask *a = &p->sync->ask;

        for (size_t i = 0; a->active && i < a->n_near; i++)
                if (key_equal(a->near[i], p->account)) {
                        a->dialled -= a->dialled > 0;
                        ask_peer(p);
                        ask_look(p->sync);
                        return;
                }
}

void take_offer(SyncPeer *p, const RoomOffer *o) {
        Sync *s = p->sync;

        if (!s->ask.active || !p->asked) {
                (void)sync_charge(p, COST_ANSWER);
                return;
        }
        p->asked = false;
        for (size_t i = 0; i < o->n_rooms && s->ask.active; i++) {
                const RoomSummary *x = &o->rooms[i];
                RoomsOffer out = {.access = x->access,
                        .members = (unsigned)MIN(x->members, (uint64_t)UINT32_MAX),
                        .online = (unsigned)MIN(x->online, (uint64_t)UINT32_MAX)};

                memcpy(out.id, x->room, SHA256_SIZE);
                memcpy(out.name, x->name, NAME_SIZE);
                copy_bytes(out.topic, x->topic.data, MIN(x->topic.size, (size_t)ROOM_TOPIC_MAX));
                memcpy(out.owner, x->owner, KEY_SIZE);
                memcpy(out.from, p->account, KEY_SIZE);
                if (s->ask.fn)
                        s->ask.fn(s->ask.userdata, &out);
        }
        s->ask.open -= s->ask.open > 0;
        ask_look(s);
}

/* The daemon speaks to nobody any more: who has asked is told that it is over. */
void ask_stop(Sync *s) {
        if (s->ask.active)
                ask_ends(s);
        ask_let_go(s);
}

void ask_on_due(Sync *s) {
        if (!s->ask.active)
                return;
        if (s->ask.end <= sync_now(s))
                ask_ends(s);
        else
                sync_by(s, s->ask.end);
}

/* Only who has a row is dialled. */
static bool ask_near(void *userdata, const uint8_t account[static KEY_SIZE]) {
        Sync *s = userdata;
        Ask *a = &s->ask;
        Contact c;

        if (sync_find_peer(s, account) || key_equal(account, rooms_self(s->rooms)))
                return true;
        if (contact_get(store_write(s->rooms->store), account, &c) == 0 &&
                contact_mark(s->rooms->store, account, 0) < 0)
                return true;
        memcpy(a->near[a->n_near++], account, KEY_SIZE);
        a->dialled++;
        return a->n_near < ASK_NEAR_MAX;
}

/* One at a time: who asked before hears that it is over. */
int rooms_ask(Rooms *r, const char *words, RoomsOfferFn fn, void *userdata) {
        const RoomsCallbacks *c = r->callbacks;
        Sync *s = r->sync;
        SyncPeer *p, *tmp;

        if (s->ask.active)
                ask_ends(s);
        s->ask = (Ask){.fn = fn, .userdata = userdata, .active = true};
        snprintf(s->ask.words, sizeof(s->ask.words), "%s", words ?: "");
        HASH_ITER (hh, s->peers, p, tmp)
                ask_peer(p);
        if (r->started && c && c->each_near)
                c->each_near(r->userdata, ask_near, s);
        for (size_t i = 0; i < s->ask.n_near; i++)
                links_want(s, s->ask.near[i], true);
        s->ask.end = sync_now(s) + (s->peers || s->ask.n_near > 0 ? ASK_TIME : 0);
        sync_by(s, s->ask.end);
        ask_look(s);
        return 0;
}
