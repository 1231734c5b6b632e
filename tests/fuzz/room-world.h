/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The people of fuzz-room-link.c, the user's program, and all that anybody has signed in a run. */

#include "stateful.h"
#include "store-dir.h"

#include "../unit/stack-lab.h"
#include "crypto/hpke.h"
#include "rooms/sync.h"
#include "store/prekey.h"

enum {
        ALICE, /* has founded TEA */
        CAROL, /* an admin */
        DAVE,
        ERIN, /* was removed */
        FRANK, /* was never in */
        DAVE_NEWER, /* Dave on another device */
        _PEOPLE_MAX,
        BOB = _PEOPLE_MAX, /* the user */
        NOBODY, /* a key that nobody has */
        _TARGET_MAX,
};

enum {
        TEA,
        DEN, /* private, and Bob's own */
        CAVE, /* hidden; only Frank knows it */
        _ROOMS_MAX,
};

#define CONNECTIONS 3
#define BLOCKS_MAX 64
#define PROPOSALS_MAX 256
#define SAID_MAX 600
#define FORKS_MAX 32
#define STATES_MAX 1024

/* What takes long is done so often in a run, at most. */
#define COSTLY_MAX 5

typedef struct Chat {
        uint8_t id[ROOM_ID_SIZE], nonce[ROOM_NONCE_SIZE];
        const char *name;
        unsigned founder;
        RoomHead tip; /* the last block that was made for it */
        uint64_t term;
        struct {
                uint64_t seq;
                uint8_t hash[SHA256_SIZE];
        } heads[_PEOPLE_MAX]; /* of the feeds */
        usec_t member_at[_PEOPLE_MAX]; /* when he was in last, as the user had it; 0: never */
        bool known[_PEOPLE_MAX]; /* the user's log has named him */
        bool asked[_PEOPLE_MAX]; /* the user has asked him to be let in */
        RoomState states[STATES_MAX]; /* that were on disk */
        size_t n_states;
} Chat;

typedef struct Made { /* a block or proposal */
        Buffer bytes;
        uint8_t hash[SHA256_SIZE];
        unsigned room;
        uint64_t epoch, term;
        const Person *by;
        bool proven, has_key;
} Made;

typedef struct Said {
        const Person *author;
        unsigned room;
        uint64_t seq;
        RoomPosition at;
        Uuid id;
        uint8_t hash[SHA256_SIZE], signature[SIGNATURE_SIZE];
        Buffer bytes;
        bool authentic; /* as its author would write it */
        bool proven; /* and its signature was sent */
        bool shown;
} Said;

typedef struct Connection {
        RawEnd end;
        const Person *who;
        bool scripted; /* nobody can tell what it has sent */
        bool serves; /* what is asked for is given */
        bool mute; /* takes no rooms */
        bool heard_bye;
        unsigned n_frames, n_wants, n_asks; /* said */
        unsigned n_refused, n_done, n_offers; /* heard */
} Connection;

static Sim sim;
static Person people[_PEOPLE_MAX];
static Buffer records[_PEOPLE_MAX]; /* with a prekey */
static Stack bob;
static Rooms *rooms;
static StoreDir dir;
static StoreImage begin[3], killed;
static unsigned n_costly;

static Chat chats[_ROOMS_MAX];
static Chat chats_begin[_ROOMS_MAX];
static Made blocks[BLOCKS_MAX], proposals[PROPOSALS_MAX];
static size_t n_blocks, n_blocks_begin, n_proposals;
static Said said[SAID_MAX];
static size_t n_said;
static Buffer forks[FORKS_MAX];
static size_t n_forks;
static Connection connections[CONNECTIONS];
static uint8_t online; /* people, as the directory would say */

static unsigned number_of(const Person *p) {
        return (unsigned)(p - people);
}

static const uint8_t *account_of(unsigned n) {
        static const uint8_t seed[KEY_SIZE] = {NOBODY};
        static SignKey nobody;

        if (n < _PEOPLE_MAX)
                return person_account(&people[n]);
        if (n == BOB)
                return sign_key_public(&bob.self.account);
        sign_key_from_seed(seed, &nobody);
        return sign_key_public(&nobody);
}

/* Without reading it again where it is lost, as room_of() does. */
static Room *room_here(unsigned n) {
        Room *room = NULL;

        if (rooms)
                HASH_FIND(hh, rooms->rooms, chats[n].id, ROOM_ID_SIZE, room);
        return room && !room->lost ? room : NULL;
}

static unsigned find_chat(const uint8_t *id) {
        for (unsigned i = 0; i < _ROOMS_MAX; i++)
                if (memcmp(chats[i].id, id, ROOM_ID_SIZE) == 0)
                        return i;
        return _ROOMS_MAX;
}

static void note_asked(unsigned room, unsigned who) {
        chats[room].asked[who] = true;
        if (who == DAVE || who == DAVE_NEWER)
                chats[room].asked[DAVE] = chats[room].asked[DAVE_NEWER] = true;
}

/* Who owns it, as the user has it. */
static const Person *owner_of(unsigned n) {
        const Room *room = room_here(n);

        for (unsigned i = 0; room && i < _PEOPLE_MAX; i++)
                if (key_equal(roster_owner(room->roster), person_account(&people[i])))
                        return &people[i];
        return &people[MIN(chats[n].founder, (unsigned)FRANK)];
}

/* What he knows is the least that everybody does. */
static const RoomHead *tip_of(unsigned n) {
        const Room *room = room_here(n);
        const RosterHead *head = room ? roster_head(room->roster) : NULL;
        Chat *chat = &chats[n];

        if (head && head->epoch > 0 && head->epoch >= chat->tip.epoch) {
                chat->tip.epoch = head->epoch;
                memcpy(chat->tip.hash, head->hash, SHA256_SIZE);
                chat->term = head->term;
        }
        return &chat->tip;
}

/* Making */

static uint64_t now_hlc(void) {
        return loop_realtime(sim.loop) / USEC_PER_MSEC << 16;
}

static void block_key(size_t n, uint8_t ret[static ROOM_KEY_SIZE]) {
        memset(ret, 1 + (int)n, ROOM_KEY_SIZE);
}

/* B is whole but for its commitment. NULL where nobody could write it. */
static Made *make_block(unsigned room, RoomBlock *b, const Person *by, bool has_key) {
        Made *m = &blocks[n_blocks];
        uint8_t key[ROOM_KEY_SIZE];

        if (n_blocks == BLOCKS_MAX)
                return NULL;
        b->has_commitment = has_key;
        block_key(n_blocks, key);
        room_key_commitment(b->room, b->epoch, key, b->commitment);
        buffer_clear(&m->bytes);
        if (room_block_encode(&m->bytes, b, &by->device, m->hash) < 0)
                return NULL;
        m->room = room;
        m->epoch = b->epoch;
        m->term = b->term;
        m->by = by;
        m->has_key = has_key;
        m->proven = key_equal(b->account, person_account(by)) &&
                key_equal(b->device, sign_key_public(&by->device)) && b->device_epoch == by->epoch;
        n_blocks++;
        return m;
}

static void block_begin(unsigned room, const Person *by, RoomBlock *b) {
        const RoomHead *tip = tip_of(room);

        *b = (RoomBlock){.term = chats[room].term ?: 1,
                .epoch = tip->epoch + 1,
                .device_epoch = by->epoch,
                .hlc = now_hlc(),
                .sent = loop_realtime(sim.loop)};
        memcpy(b->room, chats[room].id, ROOM_ID_SIZE);
        memcpy(b->prev, tip->hash, SHA256_SIZE);
        memcpy(b->account, person_account(by), KEY_SIZE);
        memcpy(b->device, sign_key_public(&by->device), KEY_SIZE);
}

static void make_tip(const Made *m) {
        Chat *chat = &chats[m->room];

        chat->tip.epoch = m->epoch;
        chat->term = m->term;
        memcpy(chat->tip.hash, m->hash, SHA256_SIZE);
}

static RoomChange change_of(RoomChangeType type, unsigned target) {
        RoomChange c = {.type = type};

        if (target < _TARGET_MAX)
                memcpy(c.account, account_of(target), KEY_SIZE);
        return c;
}

/* The genesis, with everybody of TEA in it; or Frank's alone. */
static void found(unsigned room) {
        static RoomBlock b;
        const Person *by = &people[chats[room].founder];
        RoomChange *c = b.changes;

        block_begin(room, by, &b);
        *c = change_of(ROOM_CHANGE_CREATE, _TARGET_MAX);
        c->text = text_bytes(chats[room].name);
        memcpy(c->nonce, chats[room].nonce, ROOM_NONCE_SIZE);
        c->access = room == TEA ? ROOM_ACCESS_OPEN : ROOM_ACCESS_HIDDEN;
        c++->history = room == TEA ? ROOM_HISTORY_ALL : ROOM_HISTORY_JOINED;
        if (room == TEA) {
                *c++ = change_of(ROOM_CHANGE_ADD, CAROL);
                *c = change_of(ROOM_CHANGE_ROLE, CAROL);
                c++->role = ROOM_ROLE_ADMIN;
                *c++ = change_of(ROOM_CHANGE_ADD, DAVE);
                *c++ = change_of(ROOM_CHANGE_ADD, ERIN);
        }
        b.n_changes = (size_t)(c - b.changes);
        make_tip(make_block(room, &b, by, true));
}

static void go_on(unsigned room, const RoomChange *c, bool has_key) {
        static RoomBlock b;

        block_begin(room, &people[chats[room].founder], &b);
        b.changes[b.n_changes++] = *c;
        make_tip(make_block(room, &b, &people[chats[room].founder], has_key));
}

/* Wraps are not remembered: they differ each time. */
static int make_wrap(unsigned room, uint64_t epoch, unsigned to, const uint8_t *key, Buffer *out) {
        uint8_t seed[32];
        Record rec;

        loop_random(sim.loop, seed, sizeof(seed));
        if (to == BOB) {
                MUST(record_decode(buffer_bytes(&bob.self.record), &rec) == 0);
                return room_wrap_seal(
                        out, chats[room].id, epoch, account_of(BOB), &rec.prekeys[0], key, seed);
        }
        MUST(record_decode(buffer_bytes(&records[to % _PEOPLE_MAX]), &rec) == 0);
        return room_wrap_seal(
                out, chats[room].id, epoch, account_of(to), &rec.prekeys[0], key, seed);
}
