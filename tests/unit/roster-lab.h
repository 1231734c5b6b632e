/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A room's log for tests: blocks and proposals as decoding would give them, by the people of
 * roster-model.h, and a roster that is told them. Hashes are of what they hold, so that they are as
 * different as those of real ones.
 */

#include "check.h"
#include "roster-model.h"

#define LAB_PROPOSALS_MAX 256
#define LAB_MONDAY (UINT64_C(1800000000) * USEC_PER_SEC)

typedef struct RosterLab {
        uint8_t nonce[ROOM_NONCE_SIZE], room[ROOM_ID_SIZE];
        Roster *roster;
        RoomBlock block; /* the one that is being made */
        RoomProposal *proposals[LAB_PROPOSALS_MAX]; /* all that were ever made */
        size_t n_proposals;
        uint64_t now; /* µs, realtime */
        char texts[64][16]; /* of topics */
        unsigned n_texts;
        unsigned keys;
        bool forgetful; /* proposals are not found */
} RosterLab;

static inline const RoomProposal *lab_find(void *userdata, const uint8_t hash[static SHA256_SIZE]) {
        RosterLab *lab = userdata;

        for (size_t i = 0; i < lab->n_proposals && !lab->forgetful; i++)
                if (memcmp(lab->proposals[i]->hash, hash, SHA256_SIZE) == 0)
                        return lab->proposals[i];
        return NULL;
}

static inline Roster *lab_roster(RosterLab *lab) {
        Roster *r = roster_new(lab->room);

        CHECK(r);
        roster_set_find(r, lab_find, lab);
        return r;
}

static inline void lab_begin(RosterLab *lab, int founder) {
        uint8_t key[KEY_SIZE];

        *lab = (RosterLab){.now = LAB_MONDAY};
        memset(lab->nonce, 0x5a, sizeof(lab->nonce));
        model_key(founder, key);
        room_id(key, lab->nonce, lab->room);
        lab->roster = lab_roster(lab);
}

static inline void lab_end(RosterLab *lab) {
        lab->roster = roster_free(lab->roster);
        for (size_t i = 0; i < lab->n_proposals; i++)
                free(lab->proposals[i]);
        lab->n_proposals = 0;
}

static inline Bytes lab_text(RosterLab *lab, unsigned n) {
        char *text = lab->texts[lab->n_texts++ % ELEMENTSOF(lab->texts)];

        snprintf(text, sizeof(lab->texts[0]), "text %u", n);
        return (Bytes){(const uint8_t *)text, strlen(text)};
}

/* Changes */

static inline RoomChange change(RoomChangeType type, int account) {
        RoomChange c = {.type = type};

        if (account >= 0)
                model_key(account, c.account);
        return c;
}

static inline RoomChange change_role(int account, RoomRole role) {
        RoomChange c = change(ROOM_CHANGE_ROLE, account);

        c.role = role;
        return c;
}

static inline RoomChange change_topic(RosterLab *lab, unsigned n) {
        RoomChange c = change(ROOM_CHANGE_TOPIC, -1);

        c.text = lab_text(lab, n);
        return c;
}

/* ADD, REMOVE or LEAVE that names feed 0 at SEQ. */
static inline RoomChange change_at(RoomChangeType type, int account, uint64_t seq) {
        RoomChange c = change(type, account);

        c.heads[c.n_heads++] = model_feed(0, seq);
        return c;
}

/* Blocks */

static inline RoomBlock *block_begin(RosterLab *lab, const Roster *r, int author) {
        const RosterHead *head = roster_head(r);
        RoomBlock *b = &lab->block;

        memset(b, 0, sizeof(*b));
        memcpy(b->room, lab->room, ROOM_ID_SIZE);
        b->epoch = head->epoch + 1;
        b->term = MAX(head->term, (uint64_t)1);
        memcpy(b->prev, head->hash, SHA256_SIZE);
        model_key(author, b->account);
        lab->now += USEC_PER_SEC;
        b->sent = lab->now;
        b->hlc = lab->now / USEC_PER_MSEC << 16;
        b->has_commitment = true;
        memset(b->commitment, (int)++lab->keys, SHA256_SIZE);
        return b;
}

static inline void block_add(RoomBlock *b, RoomChange c) {
        b->changes[b->n_changes++] = c;
}

static inline void block_settle(RoomBlock *b, const RoomProposal *p) {
        memcpy(b->settled[b->n_settled++], p->hash, SHA256_SIZE);
}

static inline void block_end(RoomBlock *b) {
        struct iovec parts[] = {
                {b->room, sizeof(b->room)},
                {&b->term, sizeof(b->term)},
                {&b->epoch, sizeof(b->epoch)},
                {b->prev, sizeof(b->prev)},
                {b->account, sizeof(b->account)},
                {&b->sent, sizeof(b->sent)},
                {b->changes, b->n_changes * sizeof(b->changes[0])},
                {b->settled, b->n_settled * sizeof(b->settled[0])},
        };

        sha256_parts(parts, ELEMENTSOF(parts), b->hash);
}

static inline void block_found(
        RosterLab *lab, int founder, RoomAccess access, RoomHistory history) {
        RoomBlock *b = block_begin(lab, lab->roster, founder);
        RoomChange c = change(ROOM_CHANGE_CREATE, -1);

        c.text = (Bytes){(const uint8_t *)"garden", 6};
        memcpy(c.nonce, lab->nonce, ROOM_NONCE_SIZE);
        c.access = access;
        c.history = history;
        block_add(b, c);
}

static inline int block_take(RosterLab *lab) {
        block_end(&lab->block);
        return roster_take_block(lab->roster, &lab->block);
}

/* One change, by AUTHOR. */
static inline int lab_do(RosterLab *lab, int author, RoomChange c) {
        block_add(block_begin(lab, lab->roster, author), c);
        return block_take(lab);
}

/* Proposals */

/* HLC 0: now. */
static inline RoomProposal *lab_propose_at(
        RosterLab *lab, int author, RoomChange c, uint64_t hlc, uint64_t epoch) {
        RoomProposal *p = calloc(1, sizeof(RoomProposal));
        struct iovec parts[] = {
                {p->account, sizeof(p->account)},
                {&p->hlc, sizeof(p->hlc)},
                {&p->head, sizeof(p->head)},
                {&p->change, sizeof(p->change)},
                {&lab->n_proposals, sizeof(lab->n_proposals)},
        };

        CHECK(p);
        CHECK(lab->n_proposals < LAB_PROPOSALS_MAX);
        memcpy(p->room, lab->room, ROOM_ID_SIZE);
        model_key(author, p->account);
        p->head.epoch = epoch;
        memset(p->head.hash, 7, SHA256_SIZE);
        lab->now += USEC_PER_SEC;
        p->sent = lab->now;
        p->hlc = hlc ?: lab->now / USEC_PER_MSEC << 16;
        p->change = c;
        sha256_parts(parts, ELEMENTSOF(parts), p->hash);
        lab->proposals[lab->n_proposals++] = p;
        return p;
}

static inline RoomProposal *lab_propose(RosterLab *lab, int author, RoomChange c) {
        return lab_propose_at(lab, author, c, 0, roster_head(lab->roster)->epoch);
}

/* All that were made, whether settled or not. RET may be NULL. */
static inline void lab_pend(RosterLab *lab, RosterPending *ret) {
        RosterPending list[LAB_PROPOSALS_MAX], *p = ret ?: list;

        for (size_t i = 0; i < lab->n_proposals; i++)
                p[i] = (RosterPending){.proposal = lab->proposals[i]};
        CHECK_OK(roster_take_proposals(lab->roster, p, lab->n_proposals));
}

static inline RosterVerdict lab_verdict(RosterLab *lab, const RoomProposal *which) {
        RosterPending list[LAB_PROPOSALS_MAX];

        lab_pend(lab, list);
        for (size_t i = 0; i < lab->n_proposals; i++)
                if (list[i].proposal == which)
                        return list[i].verdict;
        CHECK(!"pending");
        return ROSTER_BAD;
}

/* What is seen */

static inline RoomRole lab_rank(const Roster *r, int n) {
        uint8_t key[KEY_SIZE];

        model_key(n, key);
        return roster_rank(r, key);
}

static inline bool lab_allows(const Roster *r, int n, unsigned feed, uint64_t seq) {
        FeedHead f = model_feed(feed, 0);
        uint8_t key[KEY_SIZE];

        model_key(n, key);
        return roster_allows(r, key, f.epoch, f.device, seq);
}

static inline bool lab_may(RosterLab *lab, int who, RoomChange c) {
        uint8_t key[KEY_SIZE];

        model_key(who, key);
        return roster_may(lab->roster, key, &c);
}

/* Why the room is not as the model has it, or NULL. */
static inline const char *lab_compare(const Roster *r, const Model *m) {
        size_t members = 0;
        uint8_t key[KEY_SIZE];

        for (int i = 0; i < MODEL_PEOPLE; i++) {
                const ModelPerson *p = &m->people[i];
                const RosterMember *o;

                model_key(i, key);
                o = roster_member(r, key);
                members += p->role > 0;
                if (!o && (p->was || p->invited))
                        return "somebody is not known";
                if (o && (!p->was && !p->invited))
                        return "somebody is known whom nobody has let in";
                if (o && ((int)o->role != p->role || o->member != (p->role > 0)))
                        return "a role is another";
                if (o && (o->invited != p->invited || o->kicked != p->kicked))
                        return "somebody is invited, or removed, who is not";
                for (unsigned f = 0; f < MODEL_FEEDS; f++)
                        for (unsigned s = 1; s < MODEL_SEQS; s++)
                                if (lab_allows(r, i, f, s) != model_allows(m, i, f, s))
                                        return "a feed may hold something else";
        }
        model_key(m->owner, key);
        if (members != roster_count(r))
                return "the number of members";
        if (memcmp(roster_owner(r), key, KEY_SIZE) != 0)
                return "the owner is another";
        if (strcmp(roster_topic(r), m->topic) != 0 || roster_deleted(r) != m->deleted)
                return "the topic, or that it is deleted";
        if ((m->offer >= 0) != !!roster_offered(r))
                return "the offer";
        return NULL;
}
