/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What others say of rooms. */

#include "rooms/sync.h"

#include <utlist.h>

/* STATE */

static void differ_in_control(RoomLink *rl, DbTxn *txn, const RoomState *mine) {
        SyncRoom *sr = rl->sr;
        const RoomHead *theirs = &rl->theirs.head;

        if (memcmp(theirs, &mine->head, sizeof(*theirs)) == 0)
                return;
        if (sr->room->row.flags & ROOM_FLAG_FORKED)
                say_owner_fork(rl, txn);
        else if (theirs->epoch > 0 &&
                room_has_head(sr->room, txn, theirs->epoch, theirs->hash) == 0)
                rl->needs |= NEED_CONTROL;
}

/* What is pending, and what proves forks, is little: it is pushed once as it is, and asked for
 * where that has not made both level. */
static void differ_in_objects(RoomLink *rl, DbTxn *txn, const RoomState *mine) {
        if (memcmp(rl->theirs.proposals, mine->proposals, ROOM_DIGEST_SIZE) != 0) {
                if (rl->has_proposals_said &&
                        memcmp(rl->proposals_said, mine->proposals, ROOM_DIGEST_SIZE) == 0)
                        rl->needs |= NEED_PROPOSALS;
                else
                        say_proposals(rl, txn, mine->proposals);
        }
        if (rl->outsider || memcmp(rl->theirs.forks, mine->forks, ROOM_DIGEST_SIZE) == 0)
                return;
        if (rl->has_forks_said && memcmp(rl->forks_said, mine->forks, ROOM_DIGEST_SIZE) == 0)
                rl->needs |= NEED_FORKS;
        else
                say_forks(rl, txn, mine->forks);
}

/* Where both were level before, what has changed since is all there is to tell. */
static void differ_in_feeds(RoomLink *rl, DbTxn *txn, const RoomState *mine, uint64_t change) {
        if (rl->outsider || memcmp(rl->theirs.feeds, mine->feeds, ROOM_DIGEST_SIZE) == 0)
                return;
        if (!rl->tells)
                say_first_vector(rl, txn, change);
        else if (rl->told < change)
                say_vector(rl, txn, rl->told, change, false);
        else if (quota_take(&rl->vectors, 1, sync_now(rl->sr->sync)))
                say_vector(rl, txn, 0, change, true);
}

typedef struct OwnFeeds {
        RoomFeed list[8];
        size_t n;
} OwnFeeds;

static bool own_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        OwnFeeds *own = userdata;

        if (f->feed.seq > 0)
                own->list[own->n++ % ELEMENTSOF(own->list)] = *f;
        return true;
}

/* Who has all that is here has what was written here, whoever he has it from. */
void note_all_held(RoomLink *rl, DbTxn *txn) {
        SyncRoom *sr = rl->sr;
        OwnFeeds own = {};

        if (rl->outsider || room_feed_each_of(txn, sr->number, SELF_NUMBER, own_feed, &own) < 0)
                return;
        for (size_t i = 0; i < MIN(own.n, ELEMENTSOF(own.list)); i++)
                (void)room_note_mark(sr->room, rl->peer->account, &own.list[i],
                        own.list[i].feed.seq, (Bytes){}, 0);
}

/* He was told what was here before the same came from somebody else: it is by hearing that he
 * learns who has what he wrote. */
static void say_what_came(RoomLink *rl, DbTxn *txn, const RoomState *mine) {
        if (!rl->tells && !rl->outsider &&
                (!rl->has_said || memcmp(rl->said.feeds, mine->feeds, ROOM_DIGEST_SIZE) != 0))
                say_state(rl, txn);
}

/* That both have the same says nothing of what was read; and what is due to be told still is. */
static void now_level(RoomLink *rl, DbTxn *txn, const RoomState *mine, uint64_t change) {
        SyncRoom *sr = rl->sr;
        Known *k = rl->outsider ? NULL : sync_known(sr, rl->peer->account);

        note_all_held(rl, txn);
        say_what_came(rl, txn, mine);
        if (k && !rl->tells && roster_count(sr->room->roster) <= ROOMS_READ_MAX)
                say_read(rl, txn, k->level, change);
        else if (!rl->tells)
                rl->told = change;
        rl->tells = true;
        if (k)
                k->level = change;
        rl->needs = 0;
        rl->claims_cut = false;
        if (rl->deadline == 0)
                buffer_clear(&rl->claims);
}

/* STATE is answered by STATE, unless one was said that is still to be answered: so both know what
 * the other has, whoever began, and whatever one of them has forgotten. One may have lost count, as
 * when somebody is removed and a link is spoken of anew: an answer without news is not given twice
 * in that time, or they would answer each other for ever. */
static void answer_state(RoomLink *rl, DbTxn *txn, bool news) {
        usec_t now = sync_now(rl->sr->sync);

        if (rl->asks > 0 && now - rl->asked_at < STATE_TIME)
                rl->asks--;
        else if (quota_take(news ? &rl->states : &rl->repeats, 1, now)) {
                say_state(rl, txn);
                rl->asks = 0;
        }
}

/* Where only the control log differs: he is told of feeds from here on. */
static void same_feeds(RoomLink *rl, DbTxn *txn, const RoomState *mine, uint64_t change) {
        note_all_held(rl, txn);
        if (rl->outsider || rl->tells)
                return;
        say_what_came(rl, txn, mine);
        rl->told = change;
        rl->tells = true;
}

/* That the user has left, or has deleted the room, is known to somebody: all others hear it from
 * him. */
static void farewell_is_known(SyncRoom *sr) {
        sr->room->row.farewell = false;
        (void)room_keep(sr->room);
        sync_due(sr, DUE_LINKS, sync_now(sr->sync));
}

static void say_farewell(RoomLink *rl, DbTxn *txn, const RoomState *mine) {
        SyncRoom *sr = rl->sr;
        RoomRow kept;

        /* What is in the open batch alone is not in MINE. */
        if (sr->room->row.farewell && room_get(txn, sr->number, &kept) > 0 && kept.farewell &&
                memcmp(&rl->theirs.head, &mine->head, sizeof(mine->head)) == 0 &&
                memcmp(rl->theirs.proposals, mine->proposals, ROOM_DIGEST_SIZE) == 0)
                farewell_is_known(sr);
}

static void take_state(RoomLink *rl, const RoomState *theirs) {
        _cleanup_(store_read_endp) DbTxn *txn = NULL;
        SyncRoom *sr = rl->sr;
        RoomState mine;
        uint64_t change;
        bool news;

        news = !rl->has_theirs || !states_equal(&rl->theirs, theirs);
        rl->theirs = *theirs;
        rl->has_theirs = true;
        if (store_read_begin(sr->sync->rooms->store, &txn) < 0 ||
                read_state(sr, txn, &mine, &change) < 0)
                return;
        answer_state(rl, txn, news || !is_said(rl, txn));
        say_farewell(rl, txn, &mine);
        if (states_equal(&mine, theirs)) {
                now_level(rl, txn, &mine, change);
                sync_due(sr, DUE_WANT, sync_now(sr->sync)); /* keys may be missing all the same */
                return;
        }
        if (memcmp(theirs->feeds, mine.feeds, ROOM_DIGEST_SIZE) == 0)
                same_feeds(rl, txn, &mine, change);
        differ_in_control(rl, txn, &mine);
        differ_in_objects(rl, txn, &mine);
        differ_in_feeds(rl, txn, &mine, change);
        sync_due(sr, DUE_WANT, sync_now(sr->sync));
        live_plan_entropy(sr);
}

/* What he has lost against is shown to him. */
static void show_state(RoomLink *rl) {
        if (quota_take(&rl->states, 1, sync_now(rl->sr->sync)))
                say_state(rl, NULL);
}

/* CONTROL, PROPOSALS and the like */

/* What is not taken has cost work all the same, REFUSED if its author is at fault. False: the rest
 * of the frame is not looked at. */
static bool judge(RoomLink *rl, RoomVerdict v, const RoomReason *why, unsigned refused) {
        switch (v) {
        case TAKEN:
        case TAKEN_FORK:
                want_progressed(rl);
                return true;
        case TAKEN_BAD:
                log_debug("Something about a room does not hold: %s", why->text);
                (void)sync_owe(rl->peer, COST_BAD);
                return false;
        case TAKEN_REFUSED:
                return sync_owe(rl->peer, refused);
        default:
                return sync_owe(rl->peer, COST_FRAME);
        }
}

/* For one beside the chain that is here, the chain is folded up to there. */
static unsigned cost_of_refusal(const Room *room) {
        uint64_t epoch = MIN(roster_head(room->roster)->epoch, room->rooms->block->epoch);

        return COST_BAD + (unsigned)MIN(epoch / COST_REFUSED_EPOCHS, UINT64_C(1000));
}

static int take_control(RoomLink *rl, const RoomObjects *o) {
        const RoomCertificates c = {.list = o->certificates, .n = o->n_certificates};
        Room *room = rl->sr->room;
        RoomReason why = {};
        bool on = true;

        for (size_t i = 0; i < o->n_objects && on; i++) {
                uint64_t head = roster_head(room->roster)->epoch;
                int v = room_take_block(room, o->objects[i], &c, &why);

                if (v < 0)
                        return v;
                on = judge(rl, (RoomVerdict)v, &why, cost_of_refusal(room));
                if (v == TAKEN_NOT_NOW) {
                        if (room->rooms->block->epoch <= head)
                                (void)sync_owe(rl->peer, cost_of_refusal(room));
                        rl->needs |= rl->asked & NEED_CONTROL ? 0 : NEED_CONTROL;
                        sync_due(rl->sr, DUE_WANT, sync_now(rl->sr->sync));
                        break;
                }
                if (v == TAKEN_STALE)
                        show_state(rl);
        }
        return 0;
}

/* What is put and does not stay was looked at together with what is pending, for each of them. That
 * the user has left is on their disk where they give it back: their STATE need not say so, as what
 * else is pending there is not for him. */
static int take_proposals(RoomLink *rl, const RoomObjects *o) {
        const RoomCertificates c = {.list = o->certificates, .n = o->n_certificates};
        Room *room = rl->sr->room;
        RoomProposals came = {};
        RoomReason why = {};
        bool farewell = false;
        int v = 0, r;

        for (size_t i = 0; i < o->n_objects && v >= 0; i++) {
                v = room_put_proposal(room, o->objects[i], &c, &came, &why);
                if (v == TAKEN_NOT_NOW && !(rl->asked & NEED_CONTROL)) {
                        rl->needs |= NEED_CONTROL | NEED_PROPOSALS;
                        sync_due(rl->sr, DUE_WANT, sync_now(rl->sr->sync));
                }
                farewell |= v == TAKEN_AGAIN && commit_is_farewell(room, room->rooms->proposal);
                if (v > TAKEN && !judge(rl, (RoomVerdict)v, &why, COST_REFUSED))
                        break;
        }
        r = room_fold_proposals(room, &came);
        if (came.kept > 0)
                want_progressed(rl);
        rl->sr->brought |= came.kept > 0;
        if (farewell && v >= 0 && r >= 0)
                farewell_is_known(rl->sr);
        if (came.dropped > 0)
                (void)sync_owe(rl->peer, (unsigned)came.dropped * COST_REFUSED);
        return v < 0 ? v : r;
}

typedef int (*TakeFn)(Room *room, Bytes object, RoomReason *why);

static int take_each(RoomLink *rl, const RoomObjects *o, TakeFn take) {
        RoomReason why = {};

        for (size_t i = 0; i < o->n_objects; i++) {
                int v = take(rl->sr->room, o->objects[i], &why);

                if (v < 0)
                        return v;
                if (!judge(rl, (RoomVerdict)v, &why, COST_FRAME))
                        break;
        }
        return 0;
}

/* VECTOR */

static void take_item(RoomLink *rl, DbTxn *txn, const RoomVectorItem *x) {
        SyncRoom *sr = rl->sr;
        const Bytes hash = {.data = x->hash, .size = sizeof(x->hash)};
        RoomFeed f;

        if (room_feed_find_tag(txn, sr->number, x->tag, &f) <= 0) {
                if (x->seq > 0)
                        claim_add(rl, x->tag, x->seq);
                return;
        }
        if (f.feed.account == SELF_NUMBER && x->seq > 0)
                (void)room_note_mark(sr->room, rl->peer->account, &f, x->seq, hash, 0);
        if (x->seq > f.feed.seq)
                claim_add(rl, x->tag, x->seq);
        else if (x->seq == f.feed.seq && x->seq > 0 &&
                memcmp(x->hash, f.feed.hash, sizeof(x->hash)) != 0)
                search_begin(rl, x->tag, 0, x->seq);
}

static void take_vector(RoomLink *rl, const RoomVector *v) {
        SyncRoom *sr = rl->sr;
        DbTxn *txn = store_write(sr->sync->rooms->store);
        size_t n = room_vector_count(v->items), m = room_want_count(v->read);
        RoomFeed f;

        (void)sync_charge(rl->peer, (unsigned)(n / 32 + m / 8));
        for (size_t i = 0; i < n; i++) {
                RoomVectorItem x = room_vector_get(v->items, i);

                take_item(rl, txn, &x);
        }
        for (size_t i = 0; i < m; i++) {
                RoomWantItem x = room_want_get(v->read, i);

                if (x.seq > 0 && room_feed_find_tag(txn, sr->number, x.tag, &f) > 0 &&
                        f.feed.account == SELF_NUMBER)
                        (void)room_note_mark(
                                sr->room, rl->peer->account, &f, x.seq, (Bytes){}, x.seq);
        }
        if (v->full && !v->more)
                sync_due(sr, DUE_WANT, sync_now(sr->sync));
        else if (buffer_size(&rl->claims) > 0 || rl->search.active)
                want_soon(sr);
        live_plan_entropy(sr);
}

/* Entries */

static void entry_missing(RoomLink *rl, const RoomEntryAt *at) {
        if (at->gap)
                claim_add(rl, at->tag, at->seq);
        else if (!(rl->asked & NEED_CONTROL))
                rl->needs |= NEED_CONTROL;
        sync_due(rl->sr, DUE_WANT, sync_now(rl->sr->sync));
}

/* What he said last of the control log is what is here: he has no more of it. */
static bool has_same_head(const RoomLink *rl) {
        uint8_t hash[SHA256_SIZE];

        return rl->has_theirs && rl->theirs.head.epoch == room_head(rl->sr->room, hash) &&
                memcmp(rl->theirs.head.hash, hash, SHA256_SIZE) == 0;
}

static int take_entry(RoomLink *rl, const RoomEntriesItem *x, bool *ret_on) {
        const RoomEntryIn in = {.inner = x->inner,
                .signature = {.data = x->signature, .size = SIGNATURE_SIZE},
                .certificate = x->certificate.size > 0 ? x->certificate
                                                       : link_certificate_outer(rl->peer->link),
                .level = rl->deadline > 0 && has_same_head(rl)};
        SyncRoom *sr = rl->sr;
        RoomEntryAt at = {};
        RoomReason why = {};
        int v;

        v = room_take_entry(sr->room, &in, &at, &why);
        if (v < 0)
                return v;
        *ret_on = judge(rl, (RoomVerdict)v, &why, COST_FRAME);
        switch (v) {
        case TAKEN:
                live_fresh(sr, at.feed, at.seq, rl->peer->account);
                break;
        case TAKEN_AGAIN:
                search_found(rl, at.tag, at.seq, true);
                break;
        case TAKEN_NOT_NOW:
                entry_missing(rl, &at);
                break;
        case TAKEN_FORK:
                search_found(rl, at.tag, at.seq, false);
                search_begin(rl, at.tag, 0, at.seq > 0 ? at.seq - 1 : 0);
                break;
        case TAKEN_STALE:
                search_found(rl, at.tag, at.seq, false);
                if (at.misfit && at.seq > 1)
                        search_begin(rl, at.tag, 0, at.seq - 1);
                else
                        show_state(rl);
                break;
        default:
                break;
        }
        return v;
}

static int take_entries(RoomLink *rl, const RoomEntries *e) {
        bool on = true;

        for (size_t i = 0; i < e->n_items && on; i++) {
                int v = take_entry(rl, &e->items[i], &on);

                if (v < 0)
                        return v;
        }
        if (e->done)
                want_answered(rl);
        return 0;
}

/* What is about a room */

/* Who is not in it, and what the user is not in, is spoken of no further. */
static RoomLink *link_for(SyncPeer *p, const uint8_t *id, RoomSyncOp op) {
        Room *room = room_of(p->sync->rooms, id);
        SyncRoom *sr = room ? sync_room(room) : NULL;
        RoomLink *rl;

        if (!sr || !sync_is_speaking(sr)) {
                (void)sync_charge(p, COST_ANSWER);
                if (op != ROOM_SYNC_REFUSED)
                        say_refused(p, id, CODE_UNKNOWN_ROOM, "This room is not known here.");
                return NULL;
        }
        rl = room_link_find(sr, p);
        if (rl)
                return rl;
        if (!room_knows(room, p->account) && !join_has_candidate(sr, p->account)) {
                (void)sync_charge(p, COST_ANSWER);
                if (op != ROOM_SYNC_REFUSED)
                        say_refused(p, id, CODE_NOT_MEMBER, "You are not a member of this room.");
                return NULL;
        }
        return room_link_get(sr, p);
}

static void take_refused(SyncPeer *p, const RoomSync *m) {
        Room *room = room_of(p->sync->rooms, m->room);
        SyncRoom *sr = room ? sync_room(room) : NULL;
        RoomLink *rl = sr ? room_link_find(sr, p) : NULL;

        if (sr)
                join_refused(sr, p, &m->refused);
        if (!rl)
                return;
        rl->refused = true;
        rl->has_said = rl->tells = false; /* nothing of it was heard */
        rl->asks = 0;
        rl->has_proposals_said = rl->has_forks_said = false;
        want_answered(rl);
        if (m->refused.code == CODE_NOT_MEMBER)
                join_not_counted(rl);
}

/* What only members may say, and be told. */
static bool is_for_members(RoomSyncOp op) {
        return op == ROOM_SYNC_VECTOR || op == ROOM_SYNC_TYPING || op == ROOM_SYNC_RECORDS;
}

/* Of the store's errors nothing is the other end's fault: what was not kept comes again. */
static int take_about_room(SyncPeer *p, const RoomSync *m) {
        RoomLink *rl = link_for(p, m->room, m->op);
        int r = 0;

        if (!rl)
                return 0;
        rl->refused = false;
        if (rl->outsider && is_for_members(m->op) && !join_has_candidate(rl->sr, p->account)) {
                (void)sync_charge(p, COST_ANSWER);
                say_refused(p, m->room, CODE_NOT_MEMBER, "You are not a member of this room.");
                return 0;
        }
        switch (m->op) {
        case ROOM_SYNC_STATE:
                take_state(rl, &m->state);
                break;
        case ROOM_SYNC_CONTROL:
                r = take_control(rl, &m->objects);
                break;
        case ROOM_SYNC_PROPOSALS:
                r = take_proposals(rl, &m->objects);
                break;
        case ROOM_SYNC_WRAPS:
                r = take_each(rl, &m->objects, room_take_wrap);
                break;
        case ROOM_SYNC_FORK:
                r = take_each(rl, &m->objects, room_take_fork);
                break;
        case ROOM_SYNC_RECORDS:
                r = take_each(rl, &m->objects, room_take_record);
                break;
        case ROOM_SYNC_VECTOR:
                take_vector(rl, &m->vector);
                break;
        case ROOM_SYNC_WANT:
                (void)sync_charge(p, COST_ANSWER);
                give_begin(rl, &m->want);
                break;
        case ROOM_SYNC_TYPING:
                live_take_typing(rl, m->typing);
                break;
        default:
                break;
        }
        return r;
}

static int take_sync(SyncPeer *p, Frame *f) {
        RoomSync *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return -ENOMEM;
        r = room_sync_decode(f, m);
        if (r >= 0) {
                switch (m->op) {
                case ROOM_SYNC_JOIN:
                        take_join(p, m);
                        break;
                case ROOM_SYNC_REFUSED:
                        take_refused(p, m);
                        break;
                case ROOM_SYNC_ASK:
                        take_ask(p, &m->ask);
                        break;
                case ROOM_SYNC_OFFER:
                        take_offer(p, &m->offer);
                        break;
                case ROOM_SYNC_NOTICE:
                        take_notice(p->sync, p, m->notice);
                        break;
                default:
                        r = take_about_room(p, m);
                        break;
                }
        } else
                r = r == -ENOMEM ? r : -EBADMSG;
        free(m);
        return r;
}

static int take_entries_frame(SyncPeer *p, Frame *f) {
        RoomEntries *e = calloc(1, sizeof(*e));
        RoomLink *rl;
        int r;

        if (!e)
                return -ENOMEM;
        r = room_entries_decode(f, e);
        if (r >= 0) {
                rl = link_for(p, e->room, _ROOM_SYNC_MAX);
                if (rl)
                        r = take_entries(rl, e);
        } else
                r = r == -ENOMEM ? r : -EBADMSG;
        free(e);
        return r;
}

/* Only what is not well made ends a link. */
int take_frame(SyncPeer *p, Frame *f) {
        static const uint8_t no_room[SHA256_SIZE];
        Rooms *rooms = p->sync->rooms;
        int r;

        if (!sync_charge(p, COST_FRAME)) {
                say_refused(p, no_room, CODE_RATE_LIMITED,
                        "Too much was said of rooms; wait some seconds.");
                return 0;
        }
        r = f->type == FRAME_ROOM_ENTRIES ? take_entries_frame(p, f) : take_sync(p, f);
        if (r == -EBADMSG || r >= 0)
                return MIN(r, 0);
        live_not_kept(p->sync);
        if (log_limit_take(&rooms->failures, loop_now(rooms->loop)))
                log_warning("What was said of a room could not be kept: %s", strerror(-r));
        return 0;
}
