/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is given to others: blocks, proposals, entries, proofs, heads, as they came. */

#include "rooms/state.h"

/* Control */

int room_head_at(Room *room, DbTxn *txn, uint64_t epoch, uint8_t ret_hash[static SHA256_SIZE]) {
        const RosterHead *head = roster_head(room->roster);
        Bytes outer;
        Signed x;
        int e;

        memset(ret_hash, 0, SHA256_SIZE);
        if (epoch == 0 || epoch > head->epoch)
                return 0;
        if (epoch == head->epoch) {
                memcpy(ret_hash, head->hash, SHA256_SIZE);
                return 1;
        }
        e = room_block_get(txn, room->row.number, epoch, &outer);
        if (e <= 0)
                return e;
        if (signed_decode(outer, &x) < 0)
                return store_damaged(txn);
        sha256(x.body.data, x.body.size, ret_hash);
        return 1;
}

int room_has_head(Room *room, DbTxn *txn, uint64_t epoch, const uint8_t hash[static SHA256_SIZE]) {
        uint8_t held[SHA256_SIZE];
        int e;

        if (epoch == 0)
                return 1;
        e = room_head_at(room, txn, epoch, held);
        return e <= 0 ? e : memcmp(held, hash, SHA256_SIZE) == 0;
}

/* The certificate of who has signed, in the map. */
static Bytes certificate_of(
        Room *room, DbTxn *txn, const uint8_t device[static KEY_SIZE], uint64_t epoch) {
        Bytes certificate;

        if (author_certificate(room->rooms, txn, device, epoch, &certificate) <= 0)
                certificate = (Bytes){};
        return certificate;
}

/* The proposal that a transfer or a new term rests on goes before it. */
static int give_settled(
        Room *room, DbTxn *txn, const RoomBlock *b, RoomBlockFn fn, void *userdata) {
        RoomProposal *p = room->rooms->found;
        RoomGiven g = {.kind = ROOM_GIVEN_PROPOSAL};
        int e = 0;

        for (size_t i = 0; i < b->n_settled && e == 0; i++) {
                e = room_settled_get(txn, room->row.number, b->settled[i], &g.outer);
                if (e <= 0)
                        continue;
                e = 0;
                if (room_proposal_parse(g.outer, p) < 0)
                        continue;
                g.certificate = certificate_of(room, txn, p->device, p->device_epoch);
                e = fn(userdata, &g);
        }
        return e;
}

static int give_block(Room *room, DbTxn *txn, Bytes outer, RoomBlockFn fn, void *userdata) {
        RoomBlock *b = room->rooms->other;
        RoomGiven g = {.kind = ROOM_GIVEN_BLOCK, .outer = outer};
        int e;

        e = room_block_parse(outer, b);
        if (e < 0)
                return store_damaged(txn);
        g.epoch = b->epoch;
        g.certificate = certificate_of(room, txn, b->device, b->device_epoch);
        e = give_settled(room, txn, b, fn, userdata);
        return e != 0 ? e : fn(userdata, &g);
}

int room_blocks_each(Room *room, DbTxn *txn, uint64_t after, RoomBlockFn fn, void *userdata) {
        uint64_t head = roster_head(room->roster)->epoch;
        Bytes outer;
        int e = 0;

        for (uint64_t i = after + 1; i <= head && e == 0; i++) {
                e = room_block_get(txn, room->row.number, i, &outer);
                if (e <= 0)
                        return e;
                e = give_block(room, txn, outer, fn, userdata);
        }
        return e;
}

int room_owner_fork_each(Room *room, DbTxn *txn, RoomBlockFn fn, void *userdata) {
        Bytes outer;
        int e = 0;

        if (!(room->row.flags & ROOM_FLAG_FORKED))
                return 0;
        for (uint64_t i = 0; i < 2 && e == 0; i++) {
                e = room_block_get(txn, room->row.number, ROOM_FORK_BLOCKS + i, &outer);
                if (e <= 0)
                        return e;
                e = give_block(room, txn, outer, fn, userdata);
        }
        return e;
}

typedef struct Giving {
        Room *room;
        RoomBlockFn fn;
        void *userdata;
        int result;
} Giving;

static bool give_proposal(void *userdata, DbTxn *txn, const RoomProposalRow *row) {
        Giving *x = userdata;
        RoomProposal *p = x->room->rooms->found;
        RoomGiven g = {.kind = ROOM_GIVEN_PROPOSAL, .outer = row->outer};

        if (room_proposal_parse(row->outer, p) < 0)
                return true;
        g.certificate = certificate_of(x->room, txn, p->device, p->device_epoch);
        x->result = x->fn(x->userdata, &g);
        return x->result == 0;
}

int room_proposals_each(Room *room, DbTxn *txn, RoomBlockFn fn, void *userdata) {
        Giving x = {.room = room, .fn = fn, .userdata = userdata};
        int e;

        e = room_proposal_each(txn, room->row.number, give_proposal, &x);
        return e < 0 ? e : x.result;
}

/* Entries */

typedef struct Supply {
        Room *room;
        RoomSupplyFn fn;
        void *userdata;
        Bytes certificate;
        int result;
} Supply;

static bool supply_entry(void *userdata, DbTxn *txn, const Entry *e) {
        Supply *x = userdata;

        x->result = x->fn(x->userdata, e->seq, e->inner, e->signature, x->certificate);
        return x->result == 0;
}

int room_entries_each(
        Room *room, DbTxn *txn, uint32_t feed, uint64_t after, RoomSupplyFn fn, void *userdata) {
        Supply x = {.room = room, .fn = fn, .userdata = userdata};
        RoomFeed f;
        int e;

        e = room_feed_get(txn, room->row.number, feed, &f);
        if (e <= 0)
                return e;
        x.certificate = certificate_of(room, txn, f.feed.device, f.feed.epoch);
        e = store_room_entries(txn, feed, after, supply_entry, &x);
        return e < 0 ? e : x.result;
}

typedef struct Heads {
        FeedHead *list;
        size_t n;
} Heads;

/* The newest epochs are what matters, and come last. */
static bool head_add(void *userdata, DbTxn *txn, const RoomFeed *f) {
        Heads *h = userdata;
        FeedHead *to;

        if (f->feed.seq == 0)
                return true;
        if (h->n == ROOM_HEADS_MAX)
                memmove(h->list, h->list + 1, --h->n * sizeof(*h->list));
        to = &h->list[h->n++];
        *to = (FeedHead){.epoch = f->feed.epoch, .seq = f->feed.seq};
        memcpy(to->device, f->feed.device, KEY_SIZE);
        memcpy(to->hash, f->feed.hash, SHA256_SIZE);
        return true;
}

int room_heads_of(Room *room, DbTxn *txn, const uint8_t account[static KEY_SIZE],
        FeedHead ret[static ROOM_HEADS_MAX], size_t *ret_n) {
        Heads h = {.list = ret};
        uint32_t number = SELF_NUMBER;
        Contact c;
        int e = 1;

        *ret_n = 0;
        if (!key_equal(account, rooms_self(room->rooms))) {
                e = contact_get(txn, account, &c);
                if (e > 0)
                        number = c.number;
        }
        if (e > 0)
                e = room_feed_each_of(txn, room->row.number, number, head_add, &h);
        *ret_n = h.n;
        return MIN(e, 0);
}

int room_own_heads(Room *room, DbTxn *txn, FeedHead ret[static ROOM_HEADS_MAX], size_t *ret_n) {
        return room_heads_of(room, txn, rooms_self(room->rooms), ret, ret_n);
}

typedef struct Proofs {
        RoomProofFn fn;
        void *userdata;
        int result;
} Proofs;

static bool give_proof(void *userdata, DbTxn *txn, uint32_t feed, uint64_t seq, Bytes proof) {
        Proofs *x = userdata;

        x->result = x->fn(x->userdata, proof);
        return x->result == 0;
}

int room_forks_each(Room *room, DbTxn *txn, RoomProofFn fn, void *userdata) {
        Proofs x = {.fn = fn, .userdata = userdata};
        int e;

        e = room_fork_each(txn, room->row.number, give_proof, &x);
        return e < 0 ? e : x.result;
}
