/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What this account writes into a control log: proposals, and where it is the owner's, blocks. The
 * owner settles what is pending in one block, a moment after the first of it; a deputy does so when
 * the owner has been away for long, which makes him the owner; and who was offered a room accepts.
 */

#include "rooms/state.h"

/* What comes together, as people join, is settled together. */
#define COMMIT_DELAY (200 * USEC_PER_MSEC)

/* After an error of the store; and how long a look at the calendar holds, as clocks are set. */
#define COMMIT_AGAIN (10 * USEC_PER_SEC)
#define TERM_LOOK USEC_PER_DAY

/* So long a device that has taken the account over writes no blocks unless the one before has
 * handed over what it has written: two blocks with one number would end the room. */
#define WHOLE_AFTER USEC_PER_DAY

static bool is_owner(const Room *room) {
        return roster_head(room->roster)->epoch > 0 &&
                key_equal(roster_owner(room->roster), rooms_self(room->rooms));
}

static bool is_own(const Room *room, const uint8_t *account) {
        return account && key_equal(account, rooms_self(room->rooms));
}

/* Another device of the owner's */

static uint32_t epoch_bits(const Identity *self) {
        return (uint32_t)(self->epoch & 0xffff) << ROOM_FLAG_EPOCH_SHIFT;
}

bool commit_log_is_whole(DbTxn *txn, const RoomRow *row, const Identity *self, RoomBlock *b) {
        Bytes outer;

        if (self->epoch <= 1 ||
                row->flags >> ROOM_FLAG_EPOCH_SHIFT << ROOM_FLAG_EPOCH_SHIFT == epoch_bits(self))
                return true;
        return room_block_get(txn, row->number, row->head_epoch, &outer) > 0 &&
                room_block_parse(outer, b) >= 0 && b->device_epoch == self->epoch &&
                key_equal(b->device, sign_key_public(&self->device));
}

void commit_note_whole(Room *room) {
        RoomRow *row = &room->row;

        row->flags &= (UINT32_C(1) << ROOM_FLAG_EPOCH_SHIFT) - 1;
        row->flags |= epoch_bits(room->rooms->self);
}

usec_t commit_active_since(const Rooms *r) {
        Certificate c;
        usec_t since;

        if (event_epoch_since(store_write(r->store), &since) >= 0 && since > 0)
                return since;
        return certificate_parse(buffer_bytes(&r->self->certificate), &c) < 0 ? USEC_INFINITY
                                                                              : c.issued;
}

/* 0: this device may write blocks. */
static usec_t whole_wait(Room *room) {
        const Rooms *r = room->rooms;
        usec_t since = commit_active_since(r);

        if (since == USEC_INFINITY ||
                commit_log_is_whole(store_write(r->store), &room->row, r->self, r->other))
                return 0;
        return MIN(usec_sub(usec_add(since, WHOLE_AFTER), loop_realtime(r->loop)), WHOLE_AFTER);
}

/* Planning */

static void set_timer(Rooms *r) {
        usec_t first = USEC_INFINITY;

        ROOM_EACH(r, room)
        if (room->commit_at > 0)
                first = MIN(first, room->commit_at);
        if (r->commit_timer)
                loop_timer_set(r->commit_timer, r->started ? first : USEC_INFINITY);
}

static void plan(Room *room, usec_t wait) {
        usec_t at = usec_add(loop_now(room->rooms->loop), wait);

        if (room->commit_at == 0 || at < room->commit_at)
                room->commit_at = at;
}

/* The deputy's time comes when the last block is old enough, and a proposal that would count then:
 * others may be pending for as long as the owner is away. */
static usec_t term_wait(const Room *room, const Pending *p) {
        usec_t now = loop_realtime(room->rooms->loop), first = USEC_INFINITY;

        for (size_t i = 0; i < p->n; i++) {
                usec_t at = MAX((usec_t)hlc_time(p->list[i].proposal->hlc),
                        (usec_t)roster_head(room->roster)->sent);

                at = usec_add(at, ROSTER_TERM_ABSENCE + USEC_PER_SEC);
                if (at < first &&
                        roster_may_open_term(
                                room->roster, rooms_self(room->rooms), p->list[i].proposal, at))
                        first = at;
        }
        return first == USEC_INFINITY ? first : MIN(usec_sub(first, now), TERM_LOOK);
}

static bool is_to_settle(const RosterPending *p) {
        return p->verdict == ROSTER_APPLIED || p->verdict == ROSTER_MOOT ||
                p->verdict == ROSTER_ACCEPTANCE || p->verdict == ROSTER_NO_RIGHT;
}

static bool has_accepted(const Room *room, const Pending *p) {
        for (size_t i = 0; i < p->n; i++)
                if (is_own(room, p->list[i].proposal->account) &&
                        p->list[i].proposal->change.type == ROOM_CHANGE_ROLE &&
                        p->list[i].proposal->change.role == ROOM_ROLE_OWNER)
                        return true;
        return false;
}

void commit_plan(Room *room, const Pending *p) {
        usec_t wait;

        if (!room_is_joined(room) || room->taking)
                return;
        if (is_owner(room)) {
                for (size_t i = 0; i < p->n; i++)
                        if (is_to_settle(&p->list[i])) {
                                plan(room, MAX(COMMIT_DELAY, whole_wait(room)));
                                break;
                        }
        } else if (is_own(room, roster_offered(room->roster)) && !has_accepted(room, p)) {
                plan(room, 0);
        } else if (is_own(room, roster_deputy(room->roster))) {
                wait = term_wait(room, p);
                if (wait != USEC_INFINITY)
                        plan(room, wait);
        }
        set_timer(room->rooms);
}

/* Leaving */

bool commit_is_farewell(const Room *room, const RoomProposal *p) {
        Bytes held;

        return room->row.status == ROOM_LEFT && room->row.farewell &&
                p->change.type == ROOM_CHANGE_LEAVE && is_own(room, p->account) &&
                room_proposal_get(
                        store_write(room->rooms->store), room->row.number, p->hash, &held) > 0;
}

/* Making */

static int stamp_time(Room *room, uint64_t *ret_hlc, uint64_t *ret_sent) {
        Rooms *r = room->rooms;
        usec_t now = loop_realtime(r->loop);
        Conversation v;
        int e;

        e = conversation_get(store_write(r->store), room->row.number, &v);
        if (e <= 0)
                return e < 0 ? e : -ENOENT;
        *ret_hlc = v.hlc = hlc_next(v.hlc, now);
        *ret_sent = now;
        return conversation_write(r->store, &v);
}

static int own_proof(const Rooms *r, AuthorProof *ret) {
        ret->outer = buffer_bytes(&r->self->certificate);
        return certificate_parse(ret->outer, &ret->certificate);
}

static int give_proof(Buffer *ret, Bytes outer) {
        return ret ? buffer_append(ret, outer.data, outer.size) : 0;
}

int commit_propose(Room *room, const RoomChange *c, Buffer *ret_proof, RoomReason *why) {
        Rooms *r = room->rooms;
        const RosterHead *head = roster_head(room->roster);
        _cleanup_(buffer_done) Buffer outer = BUFFER_NULL;
        RoomProposal *p = r->proposal;
        AuthorProof proof;
        int e;

        *p = (RoomProposal){.change = *c, .device_epoch = r->self->epoch};
        p->head.epoch = head->epoch;
        memcpy(p->head.hash, head->hash, SHA256_SIZE);
        memcpy(p->room, room->row.id, ROOM_ID_SIZE);
        memcpy(p->account, rooms_self(r), KEY_SIZE);
        memcpy(p->device, sign_key_public(&r->self->device), KEY_SIZE);
        e = stamp_time(room, &p->hlc, &p->sent);
        if (e >= 0)
                e = room_proposal_encode(&outer, p, &r->self->device, p->hash);
        if (e >= 0)
                e = own_proof(r, &proof);
        if (e >= 0)
                e = give_proof(ret_proof, buffer_bytes(&outer));
        if (e < 0)
                return e;
        room->proposed = true;
        return control_take_proposal(room, p, buffer_bytes(&outer), &proof, why);
}

/* Whether X is settled by this block already. What has no right now may have it after what was
 * applied; and who accepts the room gets it by a block that changes nothing else, as he may have
 * left since, or said it twice. */
static bool is_for_now(const RoomBlock *b, const RosterPending *x, bool applied, bool more) {
        if (x->verdict == ROSTER_ACCEPTANCE)
                return !applied && !more && b->n_changes == 0;
        return is_to_settle(x) && !(x->verdict == ROSTER_NO_RIGHT && applied);
}

/* What of the pending ones goes into a block, N of them at most, before MORE. */
static void fill_block(RoomBlock *b, const Pending *p, size_t n, bool more) {
        bool applied = p->n > 0 && p->list[0].verdict == ROSTER_APPLIED;

        for (size_t i = 0; i < p->n && b->n_settled < n; i++) {
                const RosterPending *x = &p->list[i];

                if (!is_for_now(b, x, applied, more))
                        continue;
                if (x->verdict == ROSTER_APPLIED || x->verdict == ROSTER_ACCEPTANCE)
                        b->changes[b->n_changes++] = x->proposal->change;
                memcpy(b->settled[b->n_settled++], x->proposal->hash, SHA256_SIZE);
        }
}

static int make_key(Room *room, RoomBlock *b, uint8_t key[static ROOM_KEY_SIZE]) {
        b->has_commitment =
                b->epoch == 1 || roster_needs_key(room->roster, b->changes, b->n_changes);
        if (!b->has_commitment)
                return 0;
        loop_random(room->rooms->loop, key, ROOM_KEY_SIZE);
        room_key_commitment(room->row.id, b->epoch, key, b->commitment);
        return room_key_put(room->rooms->store, room->row.number, b->epoch, key);
}

static void block_start(Room *room, RoomBlock *b) {
        Rooms *r = room->rooms;
        const RosterHead *head = roster_head(room->roster);

        memset(b, 0, sizeof(*b));
        b->term = MAX(head->term, UINT64_C(1));
        b->epoch = head->epoch + 1;
        b->device_epoch = r->self->epoch;
        memcpy(b->prev, head->hash, SHA256_SIZE);
        memcpy(b->room, room->row.id, ROOM_ID_SIZE);
        memcpy(b->account, rooms_self(r), KEY_SIZE);
        memcpy(b->device, sign_key_public(&r->self->device), KEY_SIZE);
}

/* Signs what is in B, and takes it in. */
static int block_finish(Room *room, RoomBlock *b, Buffer *ret_proof, RoomReason *why) {
        Rooms *r = room->rooms;
        _cleanup_(buffer_done) Buffer outer = BUFFER_NULL;
        uint8_t key[ROOM_KEY_SIZE];
        AuthorProof proof;
        int e;

        e = stamp_time(room, &b->hlc, &b->sent);
        if (e >= 0)
                e = make_key(room, b, key);
        explicit_bzero(key, sizeof(key));
        if (e >= 0)
                e = room_block_encode(&outer, b, &r->self->device, b->hash);
        if (e >= 0)
                e = own_proof(r, &proof);
        if (e >= 0)
                e = give_proof(ret_proof, buffer_bytes(&outer));
        return e < 0 ? e : control_append(room, b, buffer_bytes(&outer), &proof, why);
}

/* With as many as fit. */
static int block_of(Room *room, const RoomChange *c, const Pending *p, uint64_t term,
        Buffer *ret_proof, RoomReason *why) {
        RoomBlock *b = room->rooms->block;
        int e = -EMSGSIZE;

        for (size_t n = ROOM_SETTLED_MAX - 1; e == -EMSGSIZE; n /= 2) {
                block_start(room, b);
                if (term > 0)
                        b->term = term;
                fill_block(b, p, n, c || term > 0);
                if (c)
                        b->changes[b->n_changes++] = *c;
                if (b->n_changes == 0 && b->n_settled == 0)
                        return TAKEN_AGAIN;
                e = block_finish(room, b, ret_proof, why);
                if (n == 0)
                        break;
        }
        return e;
}

static size_t count_applied(const Pending *p) {
        size_t n = 0;

        while (n < p->n && p->list[n].verdict == ROSTER_APPLIED)
                n++;
        return n;
}

/* The own change C goes by what is pending: so that comes before it, in blocks of its own where it
 * is much. */
int commit_block(Room *room, const RoomChange *c, Buffer *ret_proof, RoomReason *why) {
        DbTxn *txn = store_write(room->rooms->store);
        int e;

        for (;;) {
                _cleanup_(pending_done) Pending p = {};

                e = pending_fold(room, txn, &p);
                if (e < 0)
                        return e;
                if (!c || count_applied(&p) <= ROOM_SETTLED_MAX / 8)
                        return block_of(room, c, &p, 0, ret_proof, why);
                e = block_of(room, NULL, &p, 0, NULL, why);
                if (e != TAKEN)
                        return e;
        }
}

/* What only blocks can do. */
static int refuse_for_now(RoomReason *why) {
        return room_reason(why, TAKEN_REFUSED, CODE_NOT_ALLOWED,
                "another device of yours has not handed this room over yet: try again when it has, "
                "or in a day");
}

int commit_change(Room *room, const RoomChange *c, Buffer *ret_proof, RoomReason *why) {
        if (!is_owner(room))
                return commit_propose(room, c, ret_proof, why);
        if (whole_wait(room) == 0)
                return commit_block(room, c, ret_proof, why);
        if (c->type == ROOM_CHANGE_ROLE || c->type == ROOM_CHANGE_OFFER)
                return refuse_for_now(why);
        return commit_propose(room, c, ret_proof, why);
}

int commit_alone(Room *room, const RoomChange *c, RoomReason *why) {
        const Pending none = {};

        if (whole_wait(room) > 0)
                return refuse_for_now(why);
        return block_of(room, c, &none, 0, NULL, why);
}

int commit_genesis(Room *room, const RoomChange *list, size_t n, RoomReason *why) {
        RoomBlock *b = room->rooms->block;

        block_start(room, b);
        copy_bytes(b->changes, list, n * sizeof(*list));
        b->n_changes = n;
        return block_finish(room, b, NULL, why);
}

/* The own chain has lost */

typedef struct Again {
        Room *room;
        RoomChange *list;
        size_t n;
} Again;

#define AGAIN_MAX 256

static bool lost_member(void *userdata, const RosterMember *m) {
        Again *a = userdata;
        RoomChange *c = &a->list[a->n];
        bool member = roster_is_member(a->room->roster, m->account);

        if ((!m->member || member) &&
                (!m->invited || roster_is_invited(a->room->roster, m->account)))
                return true;
        *c = (RoomChange){.type = m->member ? ROOM_CHANGE_ADD : ROOM_CHANGE_INVITE};
        memcpy(c->account, m->account, KEY_SIZE);
        if (m->member)
                c->text = text_bytes(m->name); /* OLD outlives the list */
        a->n++;
        return a->n < AGAIN_MAX;
}

void commit_offer_again(Room *room, const Roster *old) {
        Again a = {.room = room, .list = calloc(AGAIN_MAX, sizeof(*a.list))};
        RoomReason why;

        if (!a.list)
                return;
        roster_each(old, lost_member, &a);
        for (size_t i = 0; i < a.n; i++)
                if (room_is_joined(room) &&
                        roster_may(room->roster, rooms_self(room->rooms), &a.list[i]))
                        (void)commit_propose(room, &a.list[i], NULL, &why);
        free(a.list);
}

/* The timer */

static int accept_offer(Room *room, RoomReason *why) {
        RoomChange c = {.type = ROOM_CHANGE_ROLE, .role = ROOM_ROLE_OWNER};

        memcpy(c.account, rooms_self(room->rooms), KEY_SIZE);
        return commit_propose(room, &c, NULL, why);
}

static int open_term(Room *room, const Pending *p, RoomReason *why) {
        usec_t now = loop_realtime(room->rooms->loop);

        room->rooms->txn = store_write(room->rooms->store);
        for (size_t i = 0; i < p->n; i++)
                if (roster_may_open_term(
                            room->roster, rooms_self(room->rooms), p->list[i].proposal, now))
                        return block_of(
                                room, NULL, p, roster_head(room->roster)->term + 1, NULL, why);
        return TAKEN_NOT_NOW;
}

static int settle_room(Room *room) {
        _cleanup_(pending_done) Pending p = {};
        RoomReason why = {};
        int e;

        if (!room_is_joined(room))
                return 0;
        e = pending_fold(room, store_write(room->rooms->store), &p);
        if (e < 0)
                return e;
        if (is_owner(room) && whole_wait(room) > 0)
                plan(room, whole_wait(room));
        else if (is_owner(room))
                e = block_of(room, NULL, &p, 0, NULL, &why);
        else if (is_own(room, roster_offered(room->roster)))
                e = has_accepted(room, &p) ? 0 : accept_offer(room, &why);
        else if (is_own(room, roster_deputy(room->roster))) {
                e = open_term(room, &p, &why);
                if (e == TAKEN_NOT_NOW && term_wait(room, &p) != USEC_INFINITY)
                        plan(room, MAX(term_wait(room, &p), COMMIT_AGAIN));
        }
        if (e == TAKEN_REFUSED || e == TAKEN_STALE)
                log_warning("a room's own block was not taken: %s", why.text);
        return e;
}

static void on_commit_timer(void *userdata) {
        Rooms *r = userdata;
        usec_t now = loop_now(r->loop);

        ROOM_EACH(r, room) {
                int e;

                if (room->commit_at == 0 || room->commit_at > now)
                        continue;
                room->commit_at = 0;
                if (!room_by_number(r, room->row.number)) { /* it cannot be read now */
                        plan(room, COMMIT_AGAIN);
                        continue;
                }
                e = settle_room(room);
                if (e >= 0)
                        continue;
                plan(room, COMMIT_AGAIN);
                if (e != -ENOSPC && e != -EDQUOT && log_limit_take(&r->failures, now))
                        log_warning("cannot settle what a room has pending: %s", strerror(-e));
        }
        set_timer(r);
}

int commit_new(Rooms *r) {
        return loop_timer_new(r->loop, on_commit_timer, r, &r->commit_timer);
}

void commit_free(Rooms *r) {
        r->commit_timer = loop_timer_free(r->commit_timer);
}

void commit_begin(Rooms *r) {
        set_timer(r);
}

void commit_end(Rooms *r) {
        set_timer(r);
}
