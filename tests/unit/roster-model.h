/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What rooms/roster.h is held against: the same rules in the plainest way, for a few people with a
 * few feeds of a few entries. Everything is an array that is walked; nothing is shared with the
 * code under test.
 */

#include "rooms/roster.h"

#define MODEL_PEOPLE 10
#define MODEL_FEEDS 3
#define MODEL_SEQS 24
#define MODEL_ABSENCE (UINT64_C(7) * 24 * 3600 * 1000 * 1000)

typedef struct ModelFeed {
        bool named; /* in an ADD or a removal */
        bool closed[MODEL_SEQS]; /* may be held, by intervals that are over */
        unsigned last; /* where the last of those ended */
        bool open;
        unsigned from; /* of the open one */
} ModelFeed;

typedef struct ModelPerson {
        int role; /* 0: no member */
        bool invited, kicked, was;
        uint64_t since, removed, removed_hlc;
        unsigned appointed;
        ModelFeed feeds[MODEL_FEEDS];
} ModelPerson;

typedef struct Model {
        ModelPerson people[MODEL_PEOPLE];
        int owner, offer; /* -1: none */
        uint64_t offer_epoch;
        RoomAccess access;
        char topic[ROOM_TOPIC_MAX + 1];
        uint64_t epoch, term, sent;
        unsigned appointments;
        bool deleted;
} Model;

/* Accounts whose order is not that of their numbers. */
static inline void model_key(int n, uint8_t ret[static KEY_SIZE]) {
        memset(ret, 0x40 + n, KEY_SIZE);
        ret[0] = (uint8_t)(n * 37 + 11);
}

static inline int model_number(const uint8_t key[static KEY_SIZE]) {
        uint8_t other[KEY_SIZE];

        for (int i = 0; i < MODEL_PEOPLE; i++) {
                model_key(i, other);
                if (memcmp(other, key, KEY_SIZE) == 0)
                        return i;
        }
        return -1;
}

/* Feed N of anybody: two devices of one epoch, and one of the next. */
static inline FeedHead model_feed(unsigned n, uint64_t seq) {
        FeedHead h = {.epoch = n == 2 ? 2 : 1, .seq = seq};

        memset(h.device, n == 1 ? 0x77 : 0x55, KEY_SIZE);
        memset(h.hash, (int)seq, SHA256_SIZE);
        return h;
}

static inline unsigned model_named(const RoomChange *c, unsigned feed) {
        FeedHead f = model_feed(feed, 0);

        for (size_t i = 0; i < c->n_heads; i++)
                if (c->heads[i].epoch == f.epoch &&
                        memcmp(c->heads[i].device, f.device, KEY_SIZE) == 0)
                        return (unsigned)c->heads[i].seq;
        return 0;
}

static inline void model_add(Model *m, ModelPerson *p, const RoomChange *c) {
        for (unsigned f = 0; f < MODEL_FEEDS; f++) {
                ModelFeed *feed = &p->feeds[f];
                unsigned named = model_named(c, f);

                if (!feed->named && !named)
                        continue; /* all of it */
                feed->named = feed->open = true;
                feed->from = named > feed->last ? named : feed->last;
        }
        p->role = 1;
        p->was = true;
        p->kicked = p->invited = false;
        p->since = m->epoch;
}

static inline void model_remove(Model *m, ModelPerson *p, int n, const RoomChange *c) {
        for (unsigned f = 0; f < MODEL_FEEDS && p->role > 0; f++) {
                ModelFeed *feed = &p->feeds[f];
                unsigned named = model_named(c, f);

                if (feed->named && !feed->open)
                        continue;
                if (!feed->named && !named)
                        continue;
                if (!feed->named)
                        feed->from = 0;
                for (unsigned s = feed->from + 1; s <= named && s < MODEL_SEQS; s++)
                        feed->closed[s] = true;
                feed->last = named > feed->from ? named : feed->from;
                feed->named = true;
                feed->open = false;
        }
        p->role = 0;
        p->appointed = 0;
        p->invited = false;
        p->kicked = c->type == ROOM_CHANGE_REMOVE;
        if (m->offer == n)
                m->offer = -1;
}

static inline bool model_allows(const Model *m, int n, unsigned feed, unsigned seq) {
        const ModelPerson *p = &m->people[n];
        const ModelFeed *f = &p->feeds[feed];

        if (!f->named)
                return p->role > 0;
        return f->closed[seq] || (f->open && seq > f->from);
}

typedef struct ModelAct {
        int who;
        bool block;
        uint64_t epoch, hlc;
} ModelAct;

/* 1 it is done, 0 it is so already, 2 it accepts, -1 he may not. */
static inline int model_admit(Model *m, const ModelAct *a, const RoomChange *c) {
        ModelPerson *p = &m->people[model_number(c->account)];
        int rank = a->block ? 3 : m->people[a->who].role;
        bool knows = a->block || (a->epoch >= p->removed && a->hlc > p->removed_hlc);

        if (p->role > 0 || (c->type == ROOM_CHANGE_INVITE && p->invited))
                return 0;
        if (!knows)
                return -1;
        if (rank == 1 && !p->invited && (p->kicked || m->access != ROOM_ACCESS_OPEN))
                return -1;
        if (c->type == ROOM_CHANGE_ADD)
                model_add(m, p, c);
        else
                p->invited = true;
        return 1;
}

static inline int model_leave(Model *m, const ModelAct *a, const RoomChange *c) {
        int n = model_number(c->account), rank = a->block ? 3 : m->people[a->who].role;
        ModelPerson *p = &m->people[n];
        bool own = a->who == n;

        if (n == m->owner)
                return -1;
        if (c->type == ROOM_CHANGE_LEAVE && !a->block && !own)
                return -1;
        if (c->type == ROOM_CHANGE_REMOVE && (own || rank < 2 || rank <= p->role))
                return -1;
        if (p->role == 0 && (c->type == ROOM_CHANGE_LEAVE || !p->invited))
                return 0;
        model_remove(m, p, n, c);
        if (a->block)
                p->removed = m->epoch;
        else
                p->removed_hlc = a->hlc;
        return 1;
}

static inline void model_hand_over(Model *m, int n) {
        m->people[m->owner].role = 2;
        m->people[m->owner].appointed = ++m->appointments;
        m->people[n].role = 3;
        m->people[n].appointed = 0;
        m->owner = n;
        m->offer = -1;
}

static inline int model_role(Model *m, const ModelAct *a, const RoomChange *c) {
        int n = model_number(c->account);
        ModelPerson *p = &m->people[n];

        if (!a->block)
                return c->role == ROOM_ROLE_OWNER && n == a->who && m->offer == n &&
                                a->epoch >= m->offer_epoch
                        ? 2
                        : -1;
        if (n == m->owner || p->role == 0)
                return -1;
        if (p->role == (int)c->role)
                return 0;
        p->role = (int)c->role;
        p->appointed = c->role == ROOM_ROLE_ADMIN ? ++m->appointments : 0;
        return 1;
}

static inline int model_offer(Model *m, const RoomChange *c) {
        int n = model_number(c->account), to = n == m->owner ? -1 : n;

        if (m->people[n].role == 0)
                return -1;
        if (m->offer == to)
                return 0;
        m->offer = to;
        m->offer_epoch = m->epoch;
        return 1;
}

static inline int model_try(Model *m, const ModelAct *a, const RoomChange *c) {
        int rank = a->block ? 3 : m->people[a->who].role;

        if (m->deleted || rank == 0)
                return -1;
        switch (c->type) {
        case ROOM_CHANGE_ADD:
        case ROOM_CHANGE_INVITE:
                return model_admit(m, a, c);
        case ROOM_CHANGE_REMOVE:
        case ROOM_CHANGE_LEAVE:
                return model_leave(m, a, c);
        case ROOM_CHANGE_ROLE:
                return model_role(m, a, c);
        case ROOM_CHANGE_OFFER:
                return a->block ? model_offer(m, c) : -1;
        case ROOM_CHANGE_DELETE:
                m->deleted |= a->block;
                return a->block ? 1 : -1;
        case ROOM_CHANGE_TOPIC:
                if (rank < 2)
                        return -1;
                if (strlen(m->topic) == c->text.size &&
                        memcmp(m->topic, c->text.data ?: (const uint8_t *)"", c->text.size) == 0)
                        return 0;
                memset(m->topic, 0, sizeof(m->topic));
                copy_bytes(m->topic, c->text.data, c->text.size);
                return 1;
        default:
                return -1;
        }
}

static inline int model_deputy(const Model *m) {
        int found = -1;

        for (int i = 0; i < MODEL_PEOPLE; i++)
                if (m->people[i].role == 2 &&
                        (found < 0 || m->people[i].appointed < m->people[found].appointed))
                        found = i;
        return found;
}

/* Proposals that are not settled and of no unknown epoch, on top of M. ORDER is filled with those
 * that were applied. */
static inline bool model_before(const RoomProposal *a, const RoomProposal *b) {
        return a->hlc != b->hlc ? a->hlc < b->hlc : memcmp(a->hash, b->hash, SHA256_SIZE) < 0;
}

static inline bool model_is_struck(
        const Model *final, const RoomProposal *const *p, size_t n, int who, int depth) {
        for (size_t i = 0; i < n; i++) {
                int by = model_number(p[i]->account);

                if (p[i]->change.type == ROOM_CHANGE_REMOVE &&
                        model_number(p[i]->change.account) == who && by != who &&
                        final->people[by].role >= 2 &&
                        final->people[by].role > final->people[who].role &&
                        (depth == 0 || !model_is_struck(final, p, n, by, depth - 1)))
                        return true;
        }
        return false;
}

static inline size_t model_pend(
        Model *m, const RoomProposal *const *p, size_t n, const RoomProposal **ret_applied) {
        Model final = *m;
        bool done[256] = {};
        size_t applied = 0;

        for (size_t turn = 0; turn < n; turn++) {
                size_t next = n;
                ModelAct a;

                for (size_t i = 0; i < n; i++)
                        if (!done[i] && (next == n || model_before(p[i], p[next])))
                                next = i;
                done[next] = true;
                a = (ModelAct){.who = model_number(p[next]->account),
                        .epoch = p[next]->head.epoch,
                        .hlc = p[next]->hlc};
                if (p[next]->change.type != ROOM_CHANGE_LEAVE &&
                        model_is_struck(&final, p, n, a.who, 3))
                        continue;
                if (model_try(m, &a, &p[next]->change) == 1)
                        ret_applied[applied++] = p[next];
        }
        return applied;
}
