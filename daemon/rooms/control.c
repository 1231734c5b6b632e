/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Blocks and proposals, as they come: what they are held against, what they change, and which of
 * two chains is the one.
 */

#include <stdio.h>

#include "rooms/state.h"

/* Folding */

int control_fold(Room *room, DbTxn *txn, uint64_t epoch, Roster **ret) {
        _cleanup_(roster_freep) Roster *roster = roster_new(room->row.id);
        RoomBlock *b = room->rooms->other;
        Bytes outer;
        int e;

        if (!roster)
                return -ENOMEM;
        control_prepare(room, roster);
        room->rooms->txn = txn;
        for (uint64_t i = 1; i <= epoch; i++) {
                e = room_block_get(txn, room->row.number, i, &outer);
                if (e > 0)
                        e = room_block_parse(outer, b);
                else if (e == 0)
                        e = -EUCLEAN;
                if (e >= 0)
                        e = roster_take_block(roster, b);
                if (e < 0)
                        return e == -ENOMEM ? e : store_damaged(txn);
        }
        *ret = TAKE_PTR(roster);
        return 0;
}

/* What was to be seen before a change, and what the change has made of it. */

typedef struct SeenMember {
        uint8_t account[KEY_SIZE];
        RoomRole role;
        bool invited;
} SeenMember;

typedef struct Seen {
        SeenMember *list; /* by account */
        size_t n, allocated;
        char topic[ROOM_TOPIC_MAX + 1];
        bool begun, deleted, failed;
} Seen;

static void seen_done(Seen *s) {
        free(s->list);
}

static bool seen_add(void *userdata, const RosterMember *m) {
        Seen *s = userdata;
        SeenMember *list;

        if (s->n == s->allocated) {
                list = realloc(s->list, (2 * s->n + 16) * sizeof(*list));
                if (!list) {
                        s->failed = true;
                        return false;
                }
                s->list = list;
                s->allocated = 2 * s->n + 16;
        }
        s->list[s->n] = (SeenMember){.role = m->role, .invited = m->invited};
        memcpy(s->list[s->n++].account, m->account, KEY_SIZE);
        return true;
}

static int seen_take(const Room *room, Seen *ret) {
        *ret = (Seen){.begun = roster_head(room->roster)->epoch > 0,
                .deleted = roster_deleted(room->roster)};
        snprintf(ret->topic, sizeof(ret->topic), "%s", roster_topic(room->roster));
        roster_each(room->roster, seen_add, ret);
        return ret->failed ? -ENOMEM : 0;
}

int room_account_number(
        Room *room, const uint8_t account[static KEY_SIZE], bool add, uint32_t *ret) {
        Store *s = room->rooms->store;
        Contact c;
        int e;

        *ret = SELF_NUMBER;
        if (key_equal(account, rooms_self(room->rooms)))
                return 1;
        e = contact_get(store_write(s), account, &c);
        if (e == 0 && add) {
                e = contact_mark(s, account, CONTACT_MEMBER);
                if (e >= 0)
                        e = contact_get(store_write(s), account, &c);
        }
        if (e > 0)
                *ret = c.number;
        return e;
}

static int add_event(Room *room, EventRow *row, const uint8_t *account) {
        int e;

        if (room->taking)
                return 0; /* the user has heard of it, on the device that hands it over */
        row->kind = EVENT_ROOM;
        row->time = loop_realtime(room->rooms->loop);
        row->room = room->row.number;
        if (account) {
                e = room_account_number(room, account, true, &row->account);
                if (e >= 0 && row->account != SELF_NUMBER)
                        e = contact_mark(room->rooms->store, account, CONTACT_NAMED);
                if (e < 0)
                        return e;
        }
        return event_add(room->rooms->store, row);
}

int room_event(Room *room, RoomEventKind kind, const uint8_t *account) {
        return add_event(room, &(EventRow){.change = kind}, account);
}

static int role_event(Room *room, const uint8_t *account, RoomRole role) {
        return add_event(
                room, &(EventRow){.change = ROOM_EVENT_ROLE, .says = true, .role = role}, account);
}

static int topic_event(Room *room, const uint8_t *actor) {
        return add_event(room,
                &(EventRow){.change = ROOM_EVENT_TOPIC,
                        .says = true,
                        .topic = text_bytes(roster_topic(room->roster))},
                actor);
}

/* Whether somebody is with the user in a room but this one. */
static bool is_in_another(Room *room, const uint8_t account[static KEY_SIZE]) {
        ROOM_EACH(room->rooms, other)
        if (other != room && other->row.status == ROOM_JOINED && room_is_member(other, account))
                return true;
        return false;
}

static int member_changed(Room *room, const SeenMember *before, const RosterMember *now) {
        Store *s = room->rooms->store;
        const uint8_t *account = now ? now->account : before->account;
        RoomRole was = before ? before->role : ROOM_ROLE_NONE;
        RoomRole is = now ? now->role : ROOM_ROLE_NONE;
        /* After the end what was pending counts no more, which is no news of anybody. */
        bool tell = room->row.status == ROOM_JOINED && !roster_deleted(room->roster);
        int e = 0;

        if (!key_equal(account, rooms_self(room->rooms))) {
                if (is != ROOM_ROLE_NONE)
                        e = contact_mark(s, account, CONTACT_MEMBER);
                else if (was != ROOM_ROLE_NONE && !is_in_another(room, account))
                        e = contact_set_flags(s, account, 0, CONTACT_MEMBER);
        }
        if (e < 0 || !tell ||
                (was == ROOM_ROLE_NONE && key_equal(account, rooms_self(room->rooms))))
                return e; /* own_status() tells when the user comes in */
        if (was == is) {
                if (now && now->invited && is == ROOM_ROLE_NONE && !(before && before->invited))
                        e = room_event(room, ROOM_EVENT_INVITED, account);
        } else if (was == ROOM_ROLE_NONE) {
                e = room_event(room, ROOM_EVENT_JOINED, account);
        } else if (is == ROOM_ROLE_NONE) {
                e = room_event(
                        room, now && now->kicked ? ROOM_EVENT_KICKED : ROOM_EVENT_LEFT, account);
        } else {
                e = role_event(room, account, is);
        }
        return e;
}

typedef struct Comparison {
        Room *room;
        const Seen *before;
        size_t at; /* in BEFORE */
        int error;
} Comparison;

/* Both are by account. */
static bool compare_member(void *userdata, const RosterMember *m) {
        Comparison *c = userdata;
        const SeenMember *list = c->before->list, *same = NULL;

        while (c->error >= 0 && c->at < c->before->n &&
                memcmp(list[c->at].account, m->account, KEY_SIZE) < 0)
                c->error = member_changed(c->room, &list[c->at++], NULL);
        if (c->at < c->before->n && key_equal(list[c->at].account, m->account))
                same = &list[c->at++];
        if (c->error >= 0 && (!same || same->role != m->role || same->invited != m->invited))
                c->error = member_changed(c->room, same, m);
        return c->error >= 0;
}

static int tell_members(Room *room, const Seen *before) {
        Comparison c = {.room = room, .before = before};

        roster_each(room->roster, compare_member, &c);
        while (c.error >= 0 && c.at < before->n)
                c.error = member_changed(room, &before->list[c.at++], NULL);
        return c.error;
}

/* What the roster makes of the user himself. */
static int own_status(Room *room, const Seen *before) {
        const RosterMember *self = roster_member(room->roster, rooms_self(room->rooms));
        RoomStatus status = room->row.status;
        int e = 0;

        if (room->taking)
                return 0; /* the last word is that of the device itself */
        if (roster_deleted(room->roster)) {
                if (!before->deleted && status == ROOM_JOINED)
                        e = room_event(room, ROOM_EVENT_DELETED, roster_owner(room->roster));
                return e < 0 || status == ROOM_DELETED ? e : room_set_status(room, ROOM_DELETED);
        }
        if (self && self->member) {
                if (status == ROOM_JOINED || status == ROOM_LEFT)
                        return 0;
                e = room_set_status(room, ROOM_JOINED);
                return e < 0 ? e : room_event(room, ROOM_EVENT_JOINED, self->account);
        }
        if (status == ROOM_JOINED) /* the chain that won may not know of him yet */
                e = room_set_status(room,
                        self && self->kicked        ? ROOM_KICKED
                                : self && self->was ? ROOM_LEFT
                                                    : ROOM_JOINING);
        return e;
}

static int save_summary(Room *room) {
        const RosterHead *head = roster_head(room->roster);
        RoomRow *row = &room->row;

        row->head_epoch = head->epoch;
        memcpy(row->head_hash, head->hash, SHA256_SIZE);
        snprintf(row->topic, sizeof(row->topic), "%s", roster_topic(room->roster));
        if (head->epoch > 0) {
                memcpy(row->founder, roster_founder(room->roster), KEY_SIZE);
                memcpy(row->nonce, roster_nonce(room->roster), ROOM_NONCE_SIZE);
                if (row->name[0] == '\0' || row->status != ROOM_JOINED)
                        snprintf(row->name, sizeof(row->name), "%s", roster_name(room->roster));
        }
        return room_keep(room);
}

/* Whose doing the topic is: of whoever has proposed it, as long as that is pending. */
static const uint8_t *topic_author(const Pending *p, const uint8_t *other) {
        for (size_t i = p->n; i-- > 0;)
                if (p->list[i].verdict == ROSTER_APPLIED &&
                        p->list[i].proposal->change.type == ROOM_CHANGE_TOPIC)
                        return p->list[i].proposal->account;
        return other;
}

/* The roster is another one, or something else is pending. ACTOR: whose doing it is. */
static int roster_changed(Room *room, const Seen *before, const uint8_t *actor, unsigned what) {
        _cleanup_(pending_done) Pending p = {};
        Store *s = room->rooms->store;
        int e;

        e = pending_fold(room, store_write(s), &p);
        if (e >= 0)
                e = pending_clean(room, &p);
        if (e >= 0)
                e = save_summary(room);
        if (e == -EEXIST) { /* the name is another room's, to which the user has given it */
                room->row.name[0] = '\0';
                e = room_keep(room);
        }
        if (e >= 0)
                e = tell_members(room, before);
        if (e >= 0 && room->row.status == ROOM_JOINED && !roster_deleted(room->roster) &&
                before->begun && !streq(before->topic, roster_topic(room->roster)))
                e = topic_event(room, topic_author(&p, actor));
        if (e >= 0)
                e = own_status(room, before);
        if (e >= 0)
                e = entries_cut_barred(room);
        if (e < 0)
                return e;
        commit_plan(room, &p);
        e = room_touch(room, what);
        return e < 0 ? e : marks_look(room);
}

/* Half of it must not be kept, with blocks of which the row of the room knows nothing, or without
 * those of which it does: nothing of the batch is. */
static int give_up(Room *room, int error) {
        store_fail(room->rooms->store, error);
        room->dirty = true;
        room->lost = true; /* where nobody is told that the batch has failed */
        (void)rooms_await_commit(room->rooms);
        return error;
}

/* Before anything is done that has to be done to its end. */
static int check_space(const Room *room) {
        return store_check_room(room->rooms->store, STORE_PERCENT_OWN);
}

static int refuse(Room *room, RoomReason *why) {
        return room_reason(
                why, TAKEN_REFUSED, roster_code(room->roster), "%s", roster_reason(room->roster));
}

static int merge_clock(Room *room, uint64_t hlc) {
        Store *s = room->rooms->store;
        Conversation v;
        int e;

        e = conversation_get(store_write(s), room->row.number, &v);
        if (e <= 0)
                return e < 0 ? e : -ENOENT;
        v.hlc = hlc_merge(v.hlc, hlc, loop_realtime(room->rooms->loop));
        return conversation_write(s, &v);
}

/* Blocks */

/* Proposals that the block rests on are kept beside it, the others go. */
static int settle(Room *room, const RoomBlock *b, uint64_t term_before, bool transfer) {
        Store *s = room->rooms->store;
        _cleanup_(buffer_done) Buffer copy = BUFFER_NULL;
        int e = 0;

        for (size_t i = 0; i < b->n_settled && e >= 0; i++) {
                Bytes outer;

                if (transfer || b->term != term_before) {
                        e = proposal_bytes(room, store_write(s), b->settled[i], &outer);
                        buffer_clear(&copy);
                        if (e > 0)
                                e = buffer_append(&copy, outer.data, outer.size);
                        if (e >= 0 && buffer_size(&copy) > 0)
                                e = room_settled_put(
                                        s, room->row.number, b->settled[i], buffer_bytes(&copy));
                }
                if (e >= 0)
                        e = room_proposal_remove(s, room->row.number, b->settled[i]);
        }
        return e;
}

static bool is_transfer(const RoomBlock *b) {
        for (size_t i = 0; i < b->n_changes; i++)
                if (b->changes[i].type == ROOM_CHANGE_ROLE && b->changes[i].role == ROOM_ROLE_OWNER)
                        return true;
        return false;
}

static int verdict_of(Room *room, int e, RoomReason *why) {
        switch (e) {
        case -EAGAIN:
        case -EXDEV:
        case -ENOENT:
                return TAKEN_NOT_NOW;
        case -ESTALE:
                return TAKEN_STALE;
        case -ENOMEM:
                return e;
        default:
                return refuse(room, why);
        }
}

/* B, which is proven, comes next in the chain. BEFORE is what was to be seen so far. */
static int append(Room *room, const RoomBlock *b, Bytes outer, const AuthorProof *author,
        const Seen *before) {
        Store *s = room->rooms->store;
        uint64_t term = roster_head(room->roster)->term;
        int e;

        e = room_block_put(s, room->row.number, b->epoch, outer);
        if (e >= 0)
                e = author_keep(room->rooms, author);
        if (e < 0)
                return e;
        room->rooms->txn = store_write(s);
        e = roster_take_block(room->roster, b);
        if (e >= 0)
                e = settle(room, b, term, is_transfer(b));
        if (e >= 0)
                e = merge_clock(room, b->hlc);
        if (e < 0)
                return e;
        return roster_changed(room, before, b->account,
                ROOM_NEW_CONTROL | ROOM_NEW_PROPOSALS | (b->has_commitment ? ROOM_NEW_KEYS : 0));
}

int control_append(
        Room *room, const RoomBlock *b, Bytes outer, const AuthorProof *author, RoomReason *why) {
        _cleanup_(seen_done) Seen before = {};
        int e;

        room->rooms->txn = store_write(room->rooms->store);
        e = roster_check_block(room->roster, b);
        if (e < 0)
                return verdict_of(room, e, why);
        e = check_space(room);
        if (e >= 0)
                e = seen_take(room, &before);
        if (e < 0)
                return e;
        e = append(room, b, outer, author, &before);
        return e < 0 ? give_up(room, e) : TAKEN;
}

/* The chain as far as EPOCH, from the store, in place of the one that is there. */
static int fall_back(Room *room, uint64_t epoch, const Seen *before, unsigned what) {
        Store *s = room->rooms->store;
        Roster *roster;
        int e;

        e = control_fold(room, store_write(s), epoch, &roster);
        if (e < 0)
                return e;
        roster_free(room->roster);
        room->roster = roster;
        return roster_changed(room, before, epoch > 0 ? roster_owner(roster) : NULL, what);
}

/* The author of B, who may write the log, has signed another block for its place. What is signed
 * for the first place of all stays there, as there is nothing before. */
static int owner_has_forked(
        Room *room, const RoomBlock *b, Bytes held, Bytes outer, const AuthorProof *author) {
        Store *s = room->rooms->store;
        uint32_t number = room->row.number;
        _cleanup_(buffer_done) Buffer other = BUFFER_NULL;
        _cleanup_(seen_done) Seen before = {};
        uint8_t owner[KEY_SIZE];
        bool first;
        int e;

        first = memcmp(room->rooms->other->hash, b->hash, SHA256_SIZE) < 0;
        memcpy(owner, b->account, KEY_SIZE);
        e = check_space(room);
        if (e >= 0)
                e = seen_take(room, &before);
        if (e >= 0)
                e = buffer_append(&other, held.data, held.size);
        if (e < 0)
                return e;
        e = author_keep(room->rooms, author);
        if (e >= 0)
                e = room_blocks_remove(s, number, b->epoch);
        if (e >= 0)
                e = room_block_put(s, number, ROOM_FORK_BLOCKS, buffer_bytes(&other));
        if (e >= 0)
                e = room_block_put(s, number, ROOM_FORK_BLOCKS + 1, outer);
        if (e >= 0 && b->epoch == 1)
                e = room_block_put(s, number, 1, first ? buffer_bytes(&other) : outer);
        if (e < 0)
                return give_up(room, e);
        room->row.flags |= ROOM_FLAG_FORKED;
        e = fall_back(room, b->epoch == 1 ? 1 : b->epoch - 1, &before,
                ROOM_NEW_CONTROL | ROOM_NEW_PROPOSALS | ROOM_NEW_FORKS);
        if (e >= 0)
                e = room_set_status(room, room->row.status);
        if (e >= 0)
                e = room_event(room, ROOM_EVENT_FORK, owner);
        return e < 0 ? give_up(room, e) : TAKEN_FORK;
}

static int reorganise(
        Room *room, const RoomBlock *b, Bytes outer, const AuthorProof *author, RoomReason *why) {
        Store *s = room->rooms->store;
        _cleanup_(roster_freep) Roster *roster = NULL, *old = NULL;
        _cleanup_(seen_done) Seen before = {};
        bool own = key_equal(room->rooms->other->account, rooms_self(room->rooms));
        int e;

        e = control_fold(room, store_write(s), b->epoch - 1, &roster);
        if (e < 0)
                return e;
        e = roster_check_block(roster, b);
        if (e < 0)
                return e == -ENOMEM    ? e
                        : e == -ENOENT ? TAKEN_NOT_NOW
                                       : room_reason(why, TAKEN_REFUSED, roster_code(roster), "%s",
                                                 roster_reason(roster));
        e = check_space(room);
        if (e >= 0)
                e = seen_take(room, &before);
        if (e < 0)
                return e;
        e = room_blocks_remove(s, room->row.number, b->epoch);
        if (e < 0)
                return give_up(room, e);
        old = room->roster;
        room->roster = TAKE_PTR(roster);
        room->row.flags &= ~(uint32_t)ROOM_FLAG_FORKED;
        e = append(room, b, outer, author, &before);
        if (e < 0)
                return give_up(room, e);
        if (own)
                commit_offer_again(room, old);
        return TAKEN;
}

/* There is a block of this epoch already, or was one before the owner forked the log. */
static int take_beside(
        Room *room, const RoomBlock *b, Bytes outer, const AuthorProof *author, RoomReason *why) {
        RoomBlock *held = room->rooms->other;
        bool fork;
        Bytes bytes;
        int e;

        e = room_block_get(store_write(room->rooms->store), room->row.number, b->epoch, &bytes);
        if (e <= 0 || room_block_parse(bytes, held) < 0)
                return e < 0 ? e : store_damaged(store_write(room->rooms->store));
        if (memcmp(held->hash, b->hash, SHA256_SIZE) == 0)
                return TAKEN_AGAIN;
        if (memcmp(held->prev, b->prev, SHA256_SIZE) != 0)
                return TAKEN_NOT_NOW; /* they differ before */
        if (room->row.flags & ROOM_FLAG_FORKED && b->epoch == 1)
                return TAKEN_STALE;
        e = roster_compare_blocks(held, b, &fork);
        if (fork)
                return owner_has_forked(room, b, bytes, outer, author);
        return e <= 0 ? TAKEN_STALE : reorganise(room, b, outer, author, why);
}

/* While the log is forked only another term goes on, and from where it was forked. */
static int take_after_fork(
        Room *room, const RoomBlock *b, Bytes outer, const AuthorProof *author, RoomReason *why) {
        RoomBlock *held = room->rooms->other;
        Store *s = room->rooms->store;
        Bytes bytes;
        int e;

        e = room_block_get(store_write(s), room->row.number, ROOM_FORK_BLOCKS, &bytes);
        if (e <= 0 || room_block_parse(bytes, held) < 0)
                return e < 0 ? e : store_damaged(store_write(s));
        if (b->epoch != held->epoch || b->term <= held->term)
                return TAKEN_STALE;
        room->rooms->txn = store_write(s);
        e = roster_check_block(room->roster, b);
        if (e < 0)
                return verdict_of(room, e, why);
        e = check_space(room);
        if (e < 0)
                return e;
        e = room_blocks_remove(s, room->row.number, b->epoch);
        if (e < 0)
                return give_up(room, e);
        room->row.flags &= ~(uint32_t)ROOM_FLAG_FORKED;
        e = room_set_status(room, room->row.status);
        if (e >= 0)
                e = control_append(room, b, outer, author, why);
        return e < 0 ? give_up(room, e) : e;
}

/* Who is out of the room, and does not want in, is not told of it; but of his leaving he is, until
 * that is settled or known to somebody. */
static bool takes_control(const Room *room) {
        if (room->taking)
                return true;
        switch (room->row.status) {
        case ROOM_LEFT:
                return room->row.farewell;
        case ROOM_JOINING:
        case ROOM_JOINED:
        case ROOM_KICKED: /* which may be taken back */
                return true;
        default:
                return false;
        }
}

int room_take_block(Room *room, Bytes outer, const RoomCertificates *c, RoomReason *why) {
        uint64_t head = roster_head(room->roster)->epoch;
        RoomBlock *b = room->rooms->block;
        AuthorProof author;
        int e;

        if (room_block_parse(outer, b) < 0 || memcmp(b->room, room->row.id, ROOM_ID_SIZE) != 0)
                return TAKEN_BAD;
        if (!takes_control(room))
                return room_reason(why, TAKEN_REFUSED, CODE_UNKNOWN_ROOM, "not in this room");
        if (room_has_head(room, store_write(room->rooms->store), b->epoch, b->hash) > 0)
                return TAKEN_AGAIN;
        if (b->epoch > head + 1 && !(room->row.flags & ROOM_FLAG_FORKED))
                return TAKEN_NOT_NOW;
        e = room_block_decode(outer, b);
        if (e < 0)
                return e == -ENOMEM ? e : TAKEN_BAD;
        e = author_prove(room->rooms, c,
                &(Author){.account = b->account,
                        .epoch = b->device_epoch,
                        .device = b->device,
                        .sent = b->sent},
                &author);
        if (e <= 0)
                return e < 0 ? e : TAKEN_BAD;
        if (b->epoch <= head)
                return take_beside(room, b, outer, &author, why);
        if (room->row.flags & ROOM_FLAG_FORKED)
                return take_after_fork(room, b, outer, &author, why);
        return control_append(room, b, outer, &author, why);
}

/* Proposals */

/* P is proven. */
static int put(Room *room, const RoomProposal *p, Bytes outer, const AuthorProof *author,
        RoomProposals *io) {
        Rooms *r = room->rooms;
        int e;

        e = io->n == ELEMENTSOF(io->hashes) ? room_fold_proposals(room, io) : 0;
        if (e < 0)
                return e;
        e = room_proposal_put(r->store, room->row.number, p->hash, outer, loop_realtime(r->loop));
        if (e >= 0)
                e = author_keep(r, author);
        if (e < 0)
                return e;
        memcpy(io->hashes[io->n++], p->hash, SHA256_SIZE);
        memcpy(io->author, p->account, KEY_SIZE);
        e = merge_clock(room, p->hlc);
        return e < 0 ? give_up(room, e) : TAKEN;
}

int room_fold_proposals(Room *room, RoomProposals *io) {
        _cleanup_(seen_done) Seen before = {};
        DbTxn *txn = store_write(room->rooms->store);
        size_t n = io->n;
        Bytes kept;
        int e;

        io->n = 0;
        if (n == 0)
                return 0;
        e = seen_take(room, &before);
        if (e >= 0)
                e = roster_changed(room, &before, io->author, ROOM_NEW_PROPOSALS);
        if (e < 0)
                return give_up(room, e);
        for (size_t i = 0; i < n; i++) {
                e = room_proposal_get(txn, room->row.number, io->hashes[i], &kept);
                if (e < 0)
                        return e;
                io->kept += e > 0;
                io->dropped += e == 0;
        }
        return 0;
}

/* What was put last is all there was. */
static int fold_one(Room *room, RoomProposals *io, RoomReason *why) {
        int e;

        e = room_fold_proposals(room, io);
        if (e < 0 || io->dropped == 0)
                return e < 0 ? e : TAKEN;
        return room_reason(why, TAKEN_REFUSED, CODE_NOT_ALLOWED,
                "the proposal can never count, or there are too many");
}

int control_take_proposal(Room *room, const RoomProposal *p, Bytes outer, const AuthorProof *author,
        RoomReason *why) {
        RoomProposals one = {};
        int e;

        e = put(room, p, outer, author, &one);
        return e < 0 ? e : fold_one(room, &one, why);
}

/* One of those that came with it may have let him in. */
static int knows_by_now(Room *room, const uint8_t account[static KEY_SIZE], RoomProposals *io) {
        int e;

        if (room_knows(room, account))
                return 1;
        e = room_fold_proposals(room, io);
        return e < 0 ? e : room_knows(room, account);
}

int room_put_proposal(
        Room *room, Bytes outer, const RoomCertificates *c, RoomProposals *io, RoomReason *why) {
        Rooms *r = room->rooms;
        RoomProposal *p = r->proposal;
        AuthorProof author;
        bool settled;
        Bytes held;
        int e;

        e = room_proposal_parse(outer, p);
        if (e < 0 || memcmp(p->room, room->row.id, ROOM_ID_SIZE) != 0)
                return e == -ENOMEM ? e : TAKEN_BAD;
        if (!takes_control(room))
                return room_reason(why, TAKEN_REFUSED, CODE_UNKNOWN_ROOM, "not in this room");
        e = room_proposal_get(store_write(r->store), room->row.number, p->hash, &held);
        settled = roster_is_settled(room->roster, p->hash);
        if (e != 0 || (settled && candidate_is_here(room, p->hash)))
                return e < 0 ? e : TAKEN_AGAIN;
        e = room_proposal_decode(outer, p);
        if (e < 0)
                return e == -ENOMEM ? e : TAKEN_BAD;
        e = author_prove(r, c,
                &(Author){.account = p->account,
                        .epoch = p->device_epoch,
                        .device = p->device,
                        .sent = p->sent},
                &author);
        if (e <= 0)
                return e < 0 ? e : TAKEN_BAD;
        e = 0; /* what is settled here may be what another chain rests on, which has won */
        if (!settled && p->head.epoch <= roster_head(room->roster)->epoch)
                e = knows_by_now(room, p->account, io);
        if (e != 0)
                return e < 0 ? e : put(room, p, outer, &author, io);
        e = candidate_add(room, p, outer);
        return e < 0 ? e : settled ? TAKEN_AGAIN : TAKEN_NOT_NOW;
}

int room_take_proposal(Room *room, Bytes outer, const RoomCertificates *c, RoomReason *why) {
        RoomProposals one = {};
        int v;

        v = room_put_proposal(room, outer, c, &one, why);
        return v != TAKEN ? v : fold_one(room, &one, why);
}
