/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A room's log by chance, told to a roster and to the model of roster-model.h, which must say the
 * same of every step; and to other rosters in other orders, which must end with the same digest.
 * Where chance comes from is the caller's: a generator with a seed, or the bytes of a fuzzer.
 */

#include "roster-lab.h"

#define RANDOM_BLOCKS_MAX 24
#define RANDOM_PROPOSALS_MAX 60 /* of one person, so below ROSTER_PENDING_EACH_MAX */

typedef struct RandomRoom {
        RosterLab lab;
        Model model; /* final */
        Model now; /* and with what is pending */
        const RoomProposal *applied[LAB_PROPOSALS_MAX];
        size_t n_applied;
        bool settled[LAB_PROPOSALS_MAX];
        RoomBlock *blocks[RANDOM_BLOCKS_MAX];
        size_t n_blocks;
        unsigned refused, terms, transfers; /* blocks */
        size_t seen; /* proposals that counted, at each look */
        unsigned (*chance)(void *userdata, unsigned n); /* below N */
        void *userdata;
} RandomRoom;

static inline unsigned chance(RandomRoom *room, unsigned n) {
        return room->chance(room->userdata, n);
}

static inline RoomChange random_change(RandomRoom *room) {
        static const RoomChangeType types[] = {ROOM_CHANGE_ADD, ROOM_CHANGE_ADD, ROOM_CHANGE_ADD,
                ROOM_CHANGE_ADD, ROOM_CHANGE_REMOVE, ROOM_CHANGE_REMOVE, ROOM_CHANGE_REMOVE,
                ROOM_CHANGE_LEAVE, ROOM_CHANGE_LEAVE, ROOM_CHANGE_ROLE, ROOM_CHANGE_ROLE,
                ROOM_CHANGE_TOPIC, ROOM_CHANGE_INVITE, ROOM_CHANGE_INVITE, ROOM_CHANGE_OFFER,
                ROOM_CHANGE_OFFER};
        RoomChange c =
                change(types[chance(room, ELEMENTSOF(types))], (int)chance(room, MODEL_PEOPLE));

        if (c.type == ROOM_CHANGE_ROLE)
                c.role = ROOM_ROLE_MEMBER + chance(room, 3);
        if (c.type == ROOM_CHANGE_TOPIC)
                c = change_topic(&room->lab, chance(room, 3));
        if (c.type == ROOM_CHANGE_ADD || c.type == ROOM_CHANGE_REMOVE ||
                c.type == ROOM_CHANGE_LEAVE)
                for (unsigned f = 0; f < MODEL_FEEDS; f++)
                        if (chance(room, 2))
                                c.heads[c.n_heads++] = model_feed(f, 1 + chance(room, 20));
        return c;
}

static inline bool random_can_be_proposed(const RoomProposal *p) {
        int who = model_number(p->account), whom = model_number(p->change.account);

        switch (p->change.type) {
        case ROOM_CHANGE_ROLE:
                return who == whom && p->change.role == ROOM_ROLE_OWNER;
        case ROOM_CHANGE_LEAVE:
                return who == whom;
        case ROOM_CHANGE_REMOVE:
                return who != whom;
        case ROOM_CHANGE_OFFER:
        case ROOM_CHANGE_DELETE:
                return false;
        default:
                return true;
        }
}

/* What the model makes of all proposals. */
static inline void random_pend(RandomRoom *room) {
        const RoomProposal *list[LAB_PROPOSALS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < room->lab.n_proposals; i++) {
                const RoomProposal *p = room->lab.proposals[i];

                if (!room->settled[i] && random_can_be_proposed(p) &&
                        p->head.epoch <= room->model.epoch)
                        list[n++] = p;
        }
        room->now = room->model;
        room->n_applied = model_pend(&room->now, list, n, room->applied);
}

/* Tells all proposals to R, in an order by chance. */
static inline void random_tell(RandomRoom *room, Roster *r, bool some) {
        RosterPending p[LAB_PROPOSALS_MAX];
        size_t n = 0;

        for (size_t i = 0; i < room->lab.n_proposals; i++) {
                size_t k = chance(room, (unsigned)n + 1);

                if (some && chance(room, 2))
                        continue;
                p[n++] = p[k];
                p[k] = (RosterPending){.proposal = room->lab.proposals[i]};
        }
        CHECK_OK(roster_take_proposals(r, p, n));
        for (size_t i = 0; i < n && !some; i++) {
                CHECK_EQ(p[i].verdict == ROSTER_APPLIED, i < room->n_applied);
                if (i < room->n_applied)
                        CHECK(p[i].proposal == room->applied[i]);
                CHECK_EQ(!!p[i].why, p[i].verdict != ROSTER_APPLIED);
        }
}

/* The block that is being made, which the model takes. */
static inline void random_keep(RandomRoom *room, const Model *m) {
        const RoomBlock *b = &room->lab.block;
        RoomBlock *copy = malloc(sizeof(RoomBlock));

        CHECK(copy);
        *copy = *b;
        room->blocks[room->n_blocks++] = copy;
        room->terms += m->term > room->model.term;
        room->transfers += m->term == room->model.term && m->owner != room->model.owner;
        room->model = *m;
        for (size_t i = 0; i < room->lab.n_proposals; i++)
                for (size_t k = 0; k < b->n_settled; k++)
                        if (memcmp(b->settled[k], room->lab.proposals[i]->hash, SHA256_SIZE) == 0)
                                room->settled[i] = true;
}

/* Somebody with two admins and two members. */
static inline void random_begin(RandomRoom *room) {
        RosterLab *lab = &room->lab;
        Model m = {.owner = 0, .offer = -1, .epoch = 1, .term = 1};

        lab_begin(lab, 0);
        m.access = ROOM_ACCESS_OPEN + chance(room, 2);
        m.people[0] = (ModelPerson){.role = 3, .was = true, .since = 1};
        block_found(lab, 0, m.access, ROOM_HISTORY_ALL + chance(room, 2));
        for (int i = 1; i < 5; i++) {
                block_add(&lab->block, change(ROOM_CHANGE_ADD, i));
                m.people[i] = (ModelPerson){.role = 1, .was = true, .since = 1};
        }
        for (int i = 1; i < 3; i++) {
                block_add(&lab->block, change_role(i, ROOM_ROLE_ADMIN));
                m.people[i].role = 2;
                m.people[i].appointed = ++m.appointments;
        }
        CHECK_OK(block_take(lab));
        m.sent = lab->block.sent;
        room->model = m;
        random_keep(room, &m);
        random_pend(room);
}

static inline void random_end(RandomRoom *room) {
        for (size_t i = 0; i < room->n_blocks; i++)
                free(room->blocks[i]);
        room->n_blocks = 0;
        lab_end(&room->lab);
}

static inline void random_propose(RandomRoom *room) {
        RosterLab *lab = &room->lab;
        uint64_t epoch = room->model.epoch, hlc = 0;
        RoomChange c = random_change(room);
        int who = (int)chance(room, MODEL_PEOPLE);

        if (lab->n_proposals >= RANDOM_PROPOSALS_MAX)
                return;
        if (c.type == ROOM_CHANGE_LEAVE && chance(room, 4))
                model_key(who, c.account);
        if (room->model.offer >= 0 && chance(room, 3) == 0) {
                who = room->model.offer;
                c = change_role(who, ROOM_ROLE_OWNER);
        }
        if (chance(room, 4) == 0) /* said long ago, or by a clock that is wrong */
                hlc = (LAB_MONDAY / USEC_PER_MSEC << 16) + chance(room, 6);
        if (chance(room, 4) == 0)
                epoch = 1 + chance(room, (unsigned)epoch + 1);
        lab_propose_at(lab, who, c, hlc, epoch);
}

/* The proposals that B settles, by the model's list. */
static inline bool random_settles(RandomRoom *room, const RoomBlock *b,
        bool (*fits)(RandomRoom *, size_t, const RoomBlock *)) {
        for (size_t i = 0; i < room->lab.n_proposals; i++)
                for (size_t k = 0; k < b->n_settled; k++)
                        if (memcmp(b->settled[k], room->lab.proposals[i]->hash, SHA256_SIZE) == 0 &&
                                fits(room, i, b))
                                return true;
        return false;
}

static inline bool random_waited(RandomRoom *room, size_t i, const RoomBlock *b) {
        const RoomProposal *p = room->lab.proposals[i];
        ModelAct a = {.who = model_number(p->account), .epoch = p->head.epoch, .hlc = p->hlc};
        Model try = room->model;

        return !room->settled[i] && p->head.epoch <= room->model.epoch &&
                (p->hlc >> 16) * 1000 + MODEL_ABSENCE <= b->sent &&
                model_try(&try, &a, &p->change) > 0;
}

static inline bool random_accepts(RandomRoom *room, size_t i, const RoomBlock *b) {
        const RoomProposal *p = room->lab.proposals[i];
        int n = model_number(b->changes[b->n_changes - 1].account);

        return p->change.type == ROOM_CHANGE_ROLE && p->change.role == ROOM_ROLE_OWNER &&
                model_number(p->account) == n && model_number(p->change.account) == n &&
                room->model.offer == n && p->head.epoch >= room->model.offer_epoch &&
                p->head.epoch <= room->model.epoch && room->model.people[n].role > 0;
}

/* What the model says of B, a block in its place: the state after it, or that it is none. */
static inline bool random_fold(RandomRoom *room, const RoomBlock *b, Model *ret) {
        Model m = room->model;
        int author = model_number(b->account);

        m.epoch = b->epoch;
        if (b->term == m.term + 1) {
                if (author != model_deputy(&m) || b->sent < m.sent + MODEL_ABSENCE ||
                        !random_settles(room, b, random_waited))
                        return false;
                model_hand_over(&m, author);
        } else if (b->term != m.term || author != m.owner) {
                return false;
        }
        m.term = b->term;
        m.sent = b->sent;
        for (size_t i = 0; i < b->n_changes; i++) {
                const RoomChange *c = &b->changes[i];
                ModelAct a = {.who = author, .block = true, .epoch = b->epoch};
                int to = model_number(c->account);

                if (c->type == ROOM_CHANGE_ROLE && c->role == ROOM_ROLE_OWNER && to != m.owner) {
                        if (i + 1 != b->n_changes || m.people[to].role == 0 ||
                                !random_settles(room, b, random_accepts))
                                return false;
                        model_hand_over(&m, to);
                } else if (model_try(&m, &a, c) < 0) {
                        return false;
                }
        }
        *ret = m;
        return true;
}

static inline void random_make_block(RandomRoom *room, RoomBlock *b) {
        RosterLab *lab = &room->lab;

        if (chance(room, 3) == 0) { /* what is pending, as an owner does it */
                for (size_t i = 0; i < room->n_applied && i < 100; i++) {
                        block_add(b, room->applied[i]->change);
                        block_settle(b, room->applied[i]);
                }
        } else {
                for (unsigned i = 1 + chance(room, 3); i > 0; i--)
                        block_add(b, random_change(room));
                for (size_t i = 0; i < lab->n_proposals; i++)
                        if (chance(room, 8) == 0)
                                block_settle(b, lab->proposals[i]);
        }
        if (room->model.offer >= 0 && chance(room, 2))
                block_add(b, change_role(room->model.offer, ROOM_ROLE_OWNER));
}

static inline void random_block(RandomRoom *room) {
        RosterLab *lab = &room->lab;
        int author = chance(room, 8) ? room->model.owner : (int)chance(room, MODEL_PEOPLE);
        RoomBlock *b;
        bool fits;
        Model m;

        if (room->n_blocks >= RANDOM_BLOCKS_MAX)
                return;
        b = block_begin(lab, lab->roster, author);
        if (chance(room, 4) == 0) { /* a new term, perhaps */
                int deputy = model_deputy(&room->model);

                if (deputy >= 0 && chance(room, 4))
                        model_key(deputy, b->account);
                b->term++;
                b->sent += (1 + chance(room, 3)) * (MODEL_ABSENCE / 2 + USEC_PER_HOUR);
                lab->now = b->sent;
        }
        random_make_block(room, b);
        block_end(b);
        fits = random_fold(room, b, &m);
        CHECK_EQ(roster_check_block(lab->roster, b) == 0, fits);
        CHECK_EQ(roster_take_block(lab->roster, b) == 0, fits);
        if (!fits) {
                room->refused++;
                return;
        }
        random_keep(room, &m);
}

/* The same from the beginning, with some of what is pending told between the blocks. */
static inline Roster *random_replica(RandomRoom *room) {
        Roster *r = lab_roster(&room->lab);

        for (size_t i = 0; i < room->n_blocks; i++) {
                if (chance(room, 4) == 0)
                        random_tell(room, r, true);
                CHECK_OK(roster_take_block(r, room->blocks[i]));
        }
        if (chance(room, 2))
                random_tell(room, r, true);
        return r;
}

static inline void random_compare(RandomRoom *room) {
        uint8_t a[2][SHA256_SIZE], b[2][SHA256_SIZE];
        Roster *other = random_replica(room);
        const char *differs;

        random_pend(room);
        random_tell(room, room->lab.roster, false);
        random_tell(room, other, false);
        for (int k = 0; k < 2; k++) {
                roster_digest(room->lab.roster, k, a[k]);
                roster_digest(other, k, b[k]);
                CHECK(memcmp(a[k], b[k], SHA256_SIZE) == 0);
        }
        room->seen += room->n_applied;
        differs = lab_compare(room->lab.roster, &room->now);
        if (differs)
                test_fail(__FILE__, __LINE__, differs);
        roster_free(other);
}

/* What the owner writes of what is pending is what everybody has gone by. */
static inline void random_settle(RandomRoom *room) {
        Roster *other = random_replica(room);
        RoomBlock *b = block_begin(&room->lab, other, room->model.owner);
        const char *differs;

        random_pend(room);
        for (size_t i = 0; i < room->n_applied; i++) {
                block_add(b, room->applied[i]->change);
                block_settle(b, room->applied[i]);
        }
        block_end(b);
        CHECK_OK(roster_take_block(other, b));
        differs = lab_compare(other, &room->now);
        if (differs)
                test_fail(__FILE__, __LINE__, differs);
        roster_free(other);
}
