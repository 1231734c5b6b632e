/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the user has on disk, and what of it must hold; his program, and the world at the start. */

#include "room-world.h"

/* On disk */

/* A store that has run out of memory is opened again, at most once a second. */
static DbTxn *look(void) {
        DbTxn *txn;

        if (store_read_begin(bob.store, &txn) < 0) {
                MUST(fuzz_failed());
                loop_virtual_stall(sim.loop, USEC_PER_SEC);
                MUST(store_read_begin(bob.store, &txn) == 0);
        }
        return txn;
}

static Said *find_said(const uint8_t *hash) {
        for (size_t i = 0; i < n_said; i++)
                if (memcmp(said[i].hash, hash, SHA256_SIZE) == 0)
                        return &said[i];
        return NULL;
}

static const Made *find_made(const Made *list, size_t n, const uint8_t *hash) {
        for (size_t i = 0; i < n; i++)
                if (memcmp(list[i].hash, hash, SHA256_SIZE) == 0)
                        return &list[i];
        return NULL;
}

static bool is_own_device(const uint8_t *device) {
        return key_equal(device, sign_key_public(&bob.self.device));
}

/* A room as it is on disk, folded anew. */
typedef struct Shelf {
        unsigned chat;
        RoomRow row;
        Roster *roster;
        RoomBlock block;
        RoomProposal found, pending[PROPOSALS_MAX];
        RosterPending list[PROPOSALS_MAX];
        size_t n_pending, n_entries;
        DbTxn *txn;
        uint8_t feeds[SHA256_SIZE], proposals[SHA256_SIZE];
        const RoomFeed *feed;
        uint64_t last;
        uint8_t last_hash[SHA256_SIZE], author[KEY_SIZE];
} Shelf;

static const RoomProposal *find_settled(void *userdata, const uint8_t hash[static SHA256_SIZE]) {
        Shelf *s = userdata;
        Bytes outer;

        if (room_proposal_get(s->txn, s->row.number, hash, &outer) <= 0 &&
                room_settled_get(s->txn, s->row.number, hash, &outer) <= 0)
                return NULL;
        return room_proposal_decode(outer, &s->found) < 0 ? NULL : &s->found;
}

/* What is in the log was signed by whoever it says, and the next reader takes it too. */
static void check_log(Shelf *s) {
        const Made *m;
        Bytes outer;

        for (uint64_t i = 1; i <= s->row.head_epoch; i++) {
                MUST(room_block_get(s->txn, s->row.number, i, &outer) == 1);
                MUST(room_block_decode(outer, &s->block) == 0);
                m = find_made(blocks, n_blocks, s->block.hash);
                MUST(m ? m->proven : is_own_device(s->block.device));
                MUST(roster_take_block(s->roster, &s->block) == 0);
        }
        MUST(roster_head(s->roster)->epoch == s->row.head_epoch);
        MUST(memcmp(roster_head(s->roster)->hash, s->row.head_hash, SHA256_SIZE) == 0);
}

static bool on_proposal(void *userdata, DbTxn *txn, const RoomProposalRow *row) {
        Shelf *s = userdata;
        RoomProposal *p = &s->pending[s->n_pending];
        const Made *m;

        MUST(s->n_pending < PROPOSALS_MAX && room_proposal_decode(row->outer, p) == 0);
        m = find_made(proposals, n_proposals, p->hash);
        MUST(m ? m->proven : is_own_device(p->device));
        MUST(!roster_is_settled(s->roster, p->hash));
        room_digest_add(s->proposals, p->hash);
        s->list[s->n_pending++].proposal = p;
        return true;
}

/* One chain, from the start or from where the author came back; all of it may be there. */
static bool on_entry(void *userdata, DbTxn *txn, const Entry *e) {
        Shelf *s = userdata;
        uint8_t hash[SHA256_SIZE];
        const Said *x;
        FeedHead resume;
        uint64_t end;
        Inner m;

        MUST(inner_decode(e->inner, &m) == 0 && m.seq == e->seq && e->seq > s->last);
        sha256(e->inner.data, e->inner.size, hash);
        x = find_said(hash);
        MUST(x ? x->proven : is_own_device(m.device));
        if (m.seq != s->last + 1 || (m.seq > 1 && memcmp(m.prev, s->last_hash, SHA256_SIZE) != 0))
                MUST(s->row.status != ROOM_JOINED ||
                        (roster_resume(
                                 s->roster, m.account, m.epoch, m.device, m.seq, &resume, &end) &&
                                end == s->last && memcmp(m.prev, resume.hash, SHA256_SIZE) == 0));
        if (s->row.status == ROOM_JOINED)
                MUST(roster_allows(s->roster, m.account, m.epoch, m.device, m.seq));
        MUST(s->feed->frozen == 0 || e->seq < s->feed->frozen || s->row.status != ROOM_JOINED);
        s->last = e->seq;
        memcpy(s->last_hash, hash, SHA256_SIZE);
        s->n_entries++;
        return true;
}

static bool on_feed(void *userdata, DbTxn *txn, const RoomFeed *f) {
        Shelf *s = userdata;
        uint8_t hash[SHA256_SIZE];
        RoomFork fork;
        uint64_t seq;
        Bytes proof;

        s->feed = f;
        s->last = 0;
        memset(s->last_hash, 0, SHA256_SIZE);
        MUST(store_room_entries(txn, f->feed.number, 0, on_entry, s) >= 0);
        MUST(s->last == f->feed.seq);
        MUST(s->last == 0 || memcmp(s->last_hash, f->feed.hash, SHA256_SIZE) == 0);
        if (room_fork_get(txn, s->row.number, f->feed.number, &seq, &proof) > 0) {
                MUST(room_fork_decode(proof, &fork) == 0 && fork.at.seq == seq);
                MUST(f->feed.seq < seq);
        }
        if (f->feed.seq == 0)
                return true;
        room_feed_hash(f->tag, f->feed.seq, f->feed.hash, hash);
        room_digest_add(s->feeds, hash);
        return true;
}

/* The same that the program has in memory, where it has not run out of it. */
static void check_memory(const Shelf *s) {
        uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
        const Room *room = room_here(s->chat);

        MUST(room || fuzz_failed());
        if (!room || fuzz_failed())
                return;
        roster_digest(s->roster, true, a);
        roster_digest(room->roster, true, b);
        MUST(memcmp(a, b, SHA256_SIZE) == 0);
        MUST(s->row.status != ROOM_JOINED || room_is_member(room, account_of(BOB)));
}

/* Once each, and in the order in which they are shown. */
typedef struct Reading {
        uint32_t room;
        size_t n;
        uint8_t hash[SHA256_SIZE];
        Uuid last;
} Reading;

static bool on_shown(void *userdata, DbTxn *txn, const HistoryRow *row) {
        _cleanup_(buffer_done) Buffer text = BUFFER_NULL;
        Reading *r = userdata;
        int x;

        r->n++;
        x = rooms_read_text(rooms, txn, r->room, &row->inner, &text);
        MUST(x == 0 || x == 1 || x == -EBADMSG || fuzz_failed());
        (void)rooms_is_barred(rooms, r->room, &row->inner);
        return true;
}

static bool on_member(void *userdata, const RosterMember *m) {
        unsigned *n = userdata;

        *n += m->member;
        return true;
}

/* What the user is told of the room is what is on disk. */
static void check_view(const Shelf *s) {
        uint8_t door[ROOM_DOOR_SIZE];
        unsigned members = 0;
        RoomView v;
        int x;

        x = rooms_view(rooms, s->txn, s->row.number, &v);
        MUST(x == 1 || fuzz_failed());
        if (x != 1 || fuzz_failed())
                return;
        roster_each(s->roster, on_member, &members);
        MUST(v.members == members && v.status == s->row.status);
        MUST(v.control_epoch == s->row.head_epoch && streq(v.topic, roster_topic(s->roster)));
        MUST(v.read_only || v.role != ROOM_ROLE_NONE || v.status != ROOM_JOINED);
        MUST(rooms_door(rooms, s->txn, s->row.number, door) >= 0);
}

static void check_shown(const Shelf *s) {
        HistoryPage page = {.conversation = s->row.number, .limit = SAID_MAX * 2};
        Reading r = {.room = s->row.number};
        uint8_t digest[SHA256_SIZE];
        uint64_t n;
        bool more;

        MUST(history_read(s->txn, &page, on_shown, &r, &more) >= 0 && !more);
        MUST(store_digest(s->txn, s->row.number, digest, &n) >= 0);
        MUST(r.n == s->n_entries && n == s->n_entries);
}

static bool check_room(void *userdata, DbTxn *txn, const RoomRow *row) {
        static Shelf s;

        s = (Shelf){.chat = find_chat(row->id), .row = *row, .txn = txn};
        MUST(s.chat < _ROOMS_MAX);
        s.roster = roster_new(row->id);
        MUST(s.roster);
        roster_set_find(s.roster, find_settled, &s);
        check_log(&s);
        MUST(room_proposal_each(txn, row->number, on_proposal, &s) >= 0);
        MUST(roster_take_proposals(s.roster, s.list, s.n_pending) == 0);
        MUST(room_feed_each(txn, row->number, 0, on_feed, &s) >= 0);
        MUST(memcmp(s.feeds, row->feeds_digest, SHA256_SIZE) == 0);
        MUST(memcmp(s.proposals, row->proposals_digest, SHA256_SIZE) == 0);
        check_shown(&s);
        check_view(&s);
        check_memory(&s);
        roster_free(s.roster);
        return true;
}

static bool count_contact(void *userdata, DbTxn *txn, const Contact *c) {
        unsigned *n = userdata;

        (*n)++;
        return true;
}

/* What is claimed is bounded, and so is who is known. */
static void check_bounds(void) {
        SyncRoom *sr, *tmp;
        RoomLink *rl;

        HASH_ITER (hh, rooms->sync->table, sr, tmp) {
                unsigned links = 0;

                DL_FOREACH (sr->links, rl) {
                        links++;
                        MUST(buffer_size(&rl->claims) <= CLAIMS_MAX * ROOM_WANT_ITEM_SIZE);
                }
                MUST(links <= CONNECTIONS && HASH_COUNT(sr->known) <= KNOWN_MAX);
                MUST(HASH_COUNT(sr->fetches) <= links * WANT_FEEDS_MAX);
                MUST(sr->n_fresh <= FRESH_MAX && sr->join.n <= _TARGET_MAX);
        }
}

static void check_store(void) {
        unsigned contacts = 0;
        DbTxn *txn;

        MUST(store_commit(bob.store) == 0 || fuzz_failed());
        txn = look();
        MUST(room_each(txn, check_room, NULL) >= 0);
        MUST(contact_each(txn, NULL, count_contact, &contacts) >= 0 && contacts <= _TARGET_MAX);
        store_read_end(txn);
        check_bounds();
}

/* Looked at after each turn: who is in, and which states there have been. */

static void note_members(Chat *chat, const Room *room) {
        for (unsigned i = 0; i < _PEOPLE_MAX; i++) {
                chat->known[i] |= room_knows(room, person_account(&people[i]));
                if (room_is_member(room, person_account(&people[i])))
                        chat->member_at[i] = loop_now(sim.loop);
        }
}

static bool note_state(void *userdata, DbTxn *txn, const RoomRow *row) {
        unsigned n = find_chat(row->id);
        Chat *chat = &chats[n];
        RoomState *s = &chat->states[chat->n_states];

        MUST(n < _ROOMS_MAX);
        if (chat->n_states == STATES_MAX)
                return true;
        *s = (RoomState){.head.epoch = row->head_epoch};
        memcpy(s->head.hash, row->head_hash, SHA256_SIZE);
        memcpy(s->proposals, row->proposals_digest, ROOM_DIGEST_SIZE);
        memcpy(s->feeds, row->feeds_digest, ROOM_DIGEST_SIZE);
        memcpy(s->forks, row->forks_digest, ROOM_DIGEST_SIZE);
        if (chat->n_states == 0 || !states_equal(s, s - 1))
                chat->n_states++;
        return true;
}

static void note_all(void) {
        DbTxn *txn;

        for (unsigned i = 0; i < _ROOMS_MAX; i++) {
                const Room *room = room_here(i);

                if (room)
                        note_members(&chats[i], room);
        }
        if (store_read_begin(bob.store, &txn) < 0)
                return;
        MUST(room_each(txn, note_state, NULL) >= 0);
        store_read_end(txn);
}
