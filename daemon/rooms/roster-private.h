/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of the roster share: states in layers. A layer holds copies of those whom it has
 * changed, and looks below for the others: so that a block that is refused in its middle has
 * changed nothing, and that the provisional state costs what the proposals change.
 */

#include "rooms/roster.h"
#include "util/table.h"

#define SPAN_OPEN UINT64_MAX

/* What a feed may hold: from < seq <= to. Those of one feed are disjoint and ascending; one that
 * holds nothing (from = to) says where the feed goes on at the earliest. Feeds of a member without
 * any are open from 1 on, those of others are closed. */
typedef struct Span {
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint64_t from, to;
        uint64_t least; /* of an open one: where it ended before, and will not end earlier */
        uint8_t hash[SHA256_SIZE]; /* of the entry FROM; zeros for 0 */
} Span;

typedef struct Person {
        RosterMember m;
        uint64_t removed; /* control epoch of the last removal; 0: none */
        uint64_t removed_hlc; /* of the last one that is only provisional; 0: none */
        Span *spans; /* by epoch, device, from */
        size_t n_spans;
} Person;

typedef struct State {
        struct State *below; /* NULL: the final state */
        Person **people; /* by account */
        size_t n_people, allocated;
        size_t known; /* all of them, with those below */
        size_t members, invited, spans;
        uint64_t order, appointed; /* the last that were given */
        RosterHead head;
        char name[NAME_SIZE];
        char topic[ROOM_TOPIC_MAX + 1];
        RoomAccess access;
        RoomHistory history;
        uint8_t founder[KEY_SIZE], nonce[ROOM_NONCE_SIZE], owner[KEY_SIZE];
        bool offered;
        uint8_t offer[KEY_SIZE];
        uint64_t offer_epoch;
        bool deleted;
} State;

typedef struct KeyEpoch {
        uint64_t epoch;
        uint8_t commitment[SHA256_SIZE];
} KeyEpoch;

typedef struct SettledHash {
        uint8_t hash[SHA256_SIZE];
        uint64_t epoch; /* of the block that says so */
        UT_hash_handle hh;
} SettledHash;

typedef struct Why {
        Code code;
        const char *text;
} Why;

struct Roster {
        uint8_t room[ROOM_ID_SIZE];
        unsigned max_members;
        RosterFindFn find;
        void *userdata;
        State final;
        State pending; /* on top of it; below = NULL: there is none */
        KeyEpoch *keys; /* ascending */
        size_t n_keys, keys_allocated;
        SettledHash *settled; /* the oldest first */
        uint64_t settled_floor; /* control epoch up to which they are forgotten */
        Why why;
};

/* The state that everybody goes by. */
static inline const State *roster_now(const Roster *r) {
        return r->pending.below ? &r->pending : &r->final;
}

/* roster-state.c */
void state_begin(State *s, State *below);
void state_done(State *s);
const Person *state_find(const State *s, const uint8_t account[static KEY_SIZE]);

/* The copy of S itself, which is made where there is none; a new person, known to nobody yet, with
 * it. NULL: out of memory, which the next change shows as well. */
Person *state_edit(State *s, const uint8_t account[static KEY_SIZE]);

/* What S has becomes the state below. state_reserve(), then this, which cannot fail. */
int state_reserve(State *s);
void state_merge(State *s);

typedef bool (*PersonFn)(void *userdata, const Person *p);
void state_each(const State *s, PersonFn fn, void *userdata);

static inline RoomRole state_rank(const State *s, const uint8_t account[static KEY_SIZE]) {
        const Person *p = state_find(s, account);

        return p ? p->m.role : ROOM_ROLE_NONE;
}

/* He is a member, was one, or is invited. */
static inline bool person_is_known(const Person *p) {
        return p && (p->m.was || p->m.invited);
}

/* roster-span.c */

/* Not more than ROSTER_SPANS_MAX; else -E2BIG, and nothing has changed. -ENOMEM. */
int spans_open(State *s, Person *p, const FeedHead *heads, size_t n);

/* Never over the bound: feeds for which there is no room lose what they have. */
int spans_close(State *s, Person *p, const FeedHead *heads, size_t n);

/* roster-change.c */

/* Who does something, and what he knew. */
typedef struct Act {
        const uint8_t *who;
        bool block; /* in a block, which gives him the rank of the owner */
        uint64_t epoch; /* of the block, or of the log that the proposal's author knew */
        uint64_t hlc; /* of a proposal */
} Act;

enum {
        CHANGE_MOOT = 0,
        CHANGE_WORKS = 1,
        CHANGE_ACCEPTS = 2, /* the owner's offer */
};

/* One of these, or the error with WHY. state_change() does it as well; after an error but -ENOMEM,
 * nothing has changed. */
int state_check(const State *s, const Act *a, const RoomChange *c, Why *why);
int state_change(State *s, const Act *a, const RoomChange *c, Why *why);

/* A member of S becomes owner, and the owner admin. */
int state_hand_over(State *s, const uint8_t account[static KEY_SIZE]);

int refuse(Why *why, int error, Code code, const char *text);
