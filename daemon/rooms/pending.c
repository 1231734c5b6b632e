/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Proposals as they are kept: pending, and folded; or until the block comes that rests on them. */

#include "rooms/state.h"

/* Proposals that came before the block that rests on them, which settles them for who has them and
 * is all that speaks of them for who has not. */
#define CANDIDATES_MAX 8

typedef struct Candidate {
        Buffer outer;
        uint8_t hash[SHA256_SIZE];
} Candidate;

bool candidate_is_here(const Room *room, const uint8_t hash[static SHA256_SIZE]) {
        for (size_t i = 0; room->candidates && i < CANDIDATES_MAX; i++)
                if (memcmp(room->candidates[i].hash, hash, SHA256_SIZE) == 0 &&
                        buffer_size(&room->candidates[i].outer) > 0)
                        return true;
        return false;
}

int candidate_add(Room *room, const RoomProposal *p, Bytes outer) {
        Candidate *c;

        if (candidate_is_here(room, p->hash))
                return 0;
        if (!room->candidates)
                room->candidates = calloc(CANDIDATES_MAX, sizeof(Candidate));
        if (!room->candidates)
                return -ENOMEM;
        c = &room->candidates[room->next_candidate++ % CANDIDATES_MAX];
        buffer_clear(&c->outer);
        memcpy(c->hash, p->hash, SHA256_SIZE);
        return buffer_append(&c->outer, outer.data, outer.size);
}

void control_forget_candidates(Room *room) {
        for (size_t i = 0; room->candidates && i < CANDIDATES_MAX; i++)
                buffer_done(&room->candidates[i].outer);
        room->candidates = mfree(room->candidates);
}

/* A proposal wherever it is: pending, kept for the block that rests on it, or a candidate. */
int proposal_bytes(Room *room, DbTxn *txn, const uint8_t hash[static SHA256_SIZE], Bytes *ret) {
        int e;

        e = room_proposal_get(txn, room->row.number, hash, ret);
        if (e == 0)
                e = room_settled_get(txn, room->row.number, hash, ret);
        for (size_t i = 0; e == 0 && room->candidates && i < CANDIDATES_MAX; i++)
                if (memcmp(room->candidates[i].hash, hash, SHA256_SIZE) == 0) {
                        *ret = buffer_bytes(&room->candidates[i].outer);
                        e = ret->size > 0;
                }
        return e;
}

static const RoomProposal *find_proposal(void *userdata, const uint8_t hash[static SHA256_SIZE]) {
        Room *room = userdata;
        Rooms *r = room->rooms;
        Bytes outer;

        if (proposal_bytes(room, r->txn, hash, &outer) <= 0 ||
                room_proposal_parse(outer, r->found) < 0)
                return NULL;
        return r->found;
}

void control_prepare(Room *room, Roster *roster) {
        roster_set_max(roster, room->rooms->max_members);
        roster_set_find(roster, find_proposal, room);
}

/* Folding */

void pending_done(Pending *p) {
        free(p->proposals);
        free(p->list);
}

static bool pending_add(void *userdata, DbTxn *txn, const RoomProposalRow *row) {
        Pending *p = userdata;

        if (p->n == p->allocated)
                return false;
        if (room_proposal_parse(row->outer, &p->proposals[p->n]) >= 0) {
                p->list[p->n].proposal = &p->proposals[p->n];
                p->n++;
        }
        return true;
}

int pending_fold(Room *room, DbTxn *txn, Pending *ret) {
        int e;

        *ret = (Pending){};
        e = room_proposal_count(txn, room->row.number, &ret->allocated);
        if (e < 0)
                return e;
        ret->proposals = calloc(ret->allocated + 1, sizeof(*ret->proposals));
        ret->list = calloc(ret->allocated + 1, sizeof(*ret->list));
        if (!ret->proposals || !ret->list)
                return -ENOMEM;
        e = room_proposal_each(txn, room->row.number, pending_add, ret);
        room->rooms->txn = txn;
        return e < 0 ? e : roster_take_proposals(room->roster, ret->list, ret->n);
}

int control_fold_pending(Room *room, DbTxn *txn) {
        _cleanup_(pending_done) Pending p = {};
        int e;

        e = pending_fold(room, txn, &p);
        if (e >= 0)
                commit_plan(room, &p);
        return e;
}

/* Proposals that will never count any more are not kept. */
int pending_clean(Room *room, const Pending *p) {
        int e = 0;

        for (size_t i = 0; i < p->n && e >= 0; i++)
                switch (p->list[i].verdict) {
                case ROSTER_OVER:
                case ROSTER_SETTLED:
                case ROSTER_STALE:
                case ROSTER_BAD:
                        e = room_proposal_remove(
                                room->rooms->store, room->row.number, p->list[i].proposal->hash);
                        break;
                default:
                        break;
                }
        return e;
}
