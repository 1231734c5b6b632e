/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Who is in a room and what he may do: its control log, folded. Pure: no store, no clock, no
 * randomness. The result depends on the chain of blocks and the set of pending proposals alone, in
 * whatever order and however often they came, so that all members see the same.
 *
 * There are two states. The final one is the fold of the blocks, which only the owner writes. The
 * provisional one is what the pending proposals make of it, and is what everybody goes by. After a
 * block it is the final one, until roster_take_proposals() is told again what is pending.
 *
 * Who has made a block or proposal is for the caller to have checked: form, signature, certificate.
 *
 * Rules that ring.md leaves open:
 *
 *  - Proposals are applied by (hlc, hash). Removals come first in this sense: in a pass before, by
 *    (rank of the proposer, hlc, hash), it is found who is removed by somebody of higher rank, and
 *    nothing that those have proposed counts, but that they leave. So nobody outruns his removal by
 *    an older hlc, and admins, who have equal rank, cannot duel.
 *  - Who was removed may be added or invited again by owner and admins only; who left, by whoever
 *    may add. A proposal to add or invite somebody counts only if its author knew of his last
 *    removal: that of the final state by control head, that of the provisional one by hlc.
 *  - What would change nothing (adding a member, removing one who is none) is no fault, in blocks
 *    neither.
 *  - What a feed may hold are intervals that only move up: (0, to], then (from, to] … A member who
 *    is added again goes on where his ADD says that his feed is, or where it ended if that is
 *    further or nothing is said. Numbers between two intervals are nobody's, ever.
 *  - A new term needs, beside a proposal that has waited for ROSTER_TERM_ABSENCE, that the last
 *    block is as old: an owner who writes blocks is not absent.
 *  - All bounds but the one of roster_set_max() are part of the rules: they are the same
 *    everywhere, or members would fold one log to different rooms.
 */

#include "wire/code.h"
#include "wire/room.h"

#define ROSTER_MEMBERS_MAX 10000
#define ROSTER_PEOPLE_MAX 32768 /* and all who ever were, or are invited */
#define ROSTER_INVITED_MAX 1000
#define ROSTER_PENDING_MAX 1024
#define ROSTER_PENDING_EACH_MAX 64 /* of one proposer */
#define ROSTER_SPANS_MAX 64 /* of one person: feeds, and intervals of each */
#define ROSTER_SPANS_TOTAL_MAX 65536
#define ROSTER_KEY_EPOCHS_MAX 65536
#define ROSTER_SETTLED_KEPT 8192
#define ROSTER_TERM_ABSENCE (7 * USEC_PER_DAY)

typedef struct Roster Roster;

/* ROOM is its id. NULL: out of memory. */
Roster *roster_new(const uint8_t room[static ROOM_ID_SIZE]);
Roster *roster_free(Roster *r);

DEFINE_CLEANUP(Roster *, roster_free)

/* rooms.max-members: what roster_may() allows at most, 1000 until it is said. */
void roster_set_max(Roster *r, unsigned max_members);

/* Transfers and new terms rest on a proposal that the block settles: FIND gives it, or NULL. It
 * must be had for ever, or nobody who joins later can check the log. */
typedef const RoomProposal *(*RosterFindFn)(void *userdata, const uint8_t hash[static SHA256_SIZE]);
void roster_set_find(Roster *r, RosterFindFn find, void *userdata);

/* The next block. What is refused has changed nothing.
 *  -ESTALE: there is a block of this epoch already (roster_compare_blocks());
 *  -EAGAIN: blocks before it are missing;
 *  -EXDEV: it continues another chain;
 *  -ENOENT: a proposal that it rests on is not there; it is for FIND to have it;
 *  -ESHUTDOWN: the room is deleted;
 *  -EPERM: its author may not do that; -EBADMSG: no rule allows it to anybody;
 *  -E2BIG: a bound; -ENOMEM.
 * roster_reason() says why. roster_check_block() is the same without effect. */
int roster_take_block(Roster *r, const RoomBlock *b);
int roster_check_block(Roster *r, const RoomBlock *b);

/* What becomes of a pending proposal. The order is that in which they stand after
 * roster_take_proposals(). */
typedef enum RosterVerdict {
        ROSTER_APPLIED, /* in the order of application, which is also that for the owner's block */
        ROSTER_MOOT, /* it changes nothing: it is so already */
        ROSTER_ACCEPTANCE, /* of the owner's offer: it waits for his block */
        ROSTER_NO_RIGHT, /* its author may not, in this state; that can change */
        ROSTER_AHEAD, /* its author knew more of the log than is here */
        ROSTER_OVER, /* more than is kept: everybody forgets the same ones */
        ROSTER_SETTLED, /* by a block: to be forgotten */
        ROSTER_STALE, /* so old that nobody knows whether it was settled: to be forgotten */
        ROSTER_BAD, /* can never count, or is of another room: to be forgotten */
} RosterVerdict;

typedef struct RosterPending {
        const RoomProposal *proposal;
        RosterVerdict verdict; /* set by roster_take_proposals() */
        const char *why; /* a sentence; NULL: applied */
} RosterPending;

/* All that is pending, at once; none twice. P is put into the order of RosterVerdict. Nothing is
 * kept of it. -ENOMEM: the provisional state is the final one. */
int roster_take_proposals(Roster *r, RosterPending *p, size_t n);

/* Why the last call that refused did so: a sentence, and the error for the user. Never NULL. */
const char *roster_reason(const Roster *r);
Code roster_code(const Roster *r);

/* The last block; epoch 0 and zeros before the genesis. */
typedef struct RosterHead {
        uint64_t epoch, term;
        uint8_t hash[SHA256_SIZE];
        uint8_t author[KEY_SIZE];
        uint64_t hlc, sent;
} RosterHead;

const RosterHead *roster_head(const Roster *r);

/* The room itself, provisional. Valid until blocks or proposals are taken. */
const char *roster_name(const Roster *r); /* "" before the genesis */
const char *roster_topic(const Roster *r);
RoomAccess roster_access(const Roster *r);
RoomHistory roster_history(const Roster *r);
const uint8_t *roster_founder(const Roster *r); /* zeros before the genesis */
const uint8_t *roster_nonce(const Roster *r);
const uint8_t *roster_owner(const Roster *r);
bool roster_deleted(const Roster *r);

/* To whom the owner has offered the room, or NULL. */
const uint8_t *roster_offered(const Roster *r);

/* The admin who may open the next term when the owner is absent, or NULL. */
const uint8_t *roster_deputy(const Roster *r);

/* Whether A may open a term with the proposal P at SENT: what he asks himself before. */
bool roster_may_open_term(
        Roster *r, const uint8_t account[static KEY_SIZE], const RoomProposal *p, uint64_t sent);

/* Valid until blocks or proposals are taken. */
typedef struct RosterMember {
        uint8_t account[KEY_SIZE];
        char name[NAME_SIZE]; /* as it was claimed when he was added; may be empty */
        RoomRole role; /* ROOM_ROLE_NONE: no member */
        bool member;
        bool was; /* a member at some time, or is */
        bool kicked; /* removed by somebody else, since he last was a member */
        bool invited;
        bool provisional; /* the final state differs in any of these */
        uint64_t since; /* control epoch that added him last */
        uint64_t order; /* of becoming known: smaller came earlier */
        uint64_t appointed; /* order of becoming admin; 0: none */
} RosterMember;

/* NULL: neither is nor was a member, nor is invited. roster_final_member(): in the final state. */
const RosterMember *roster_member(const Roster *r, const uint8_t account[static KEY_SIZE]);
const RosterMember *roster_final_member(const Roster *r, const uint8_t account[static KEY_SIZE]);

/* Up to which block the log concerns ACCOUNT: all of it, a member in the final state; the one that
 * removed him last; 0, never a member. */
uint64_t roster_concerned(const Roster *r, const uint8_t account[static KEY_SIZE]);

bool roster_is_member(const Roster *r, const uint8_t account[static KEY_SIZE]);
RoomRole roster_rank(const Roster *r, const uint8_t account[static KEY_SIZE]);
bool roster_is_invited(const Roster *r, const uint8_t account[static KEY_SIZE]);

/* Everybody roster_member() knows, by account; true to go on. roster_count(): members now. */
typedef bool (*RosterMemberFn)(void *userdata, const RosterMember *m);
void roster_each(const Roster *r, RosterMemberFn fn, void *userdata);
size_t roster_count(const Roster *r);

/* Whether WHO may do C now; for what only blocks can do, the owner. False: roster_reason(). What
 * would change nothing is refused here, with CODE_OK where it is so already. */
bool roster_may(Roster *r, const uint8_t who[static KEY_SIZE], const RoomChange *c);

/* What the feed (account, epoch, device) may hold. */
bool roster_allows(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t seq);

/* The first number >= FROM that it may not hold; UINT64_MAX: none. What is held from there on is to
 * go; what comes after, if it may be held, is asked for again. */
uint64_t roster_barred(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t from);

/* The other way round: the first number >= FROM that it may hold; UINT64_MAX: none. */
uint64_t roster_allowed(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t from);

/* SEQ begins an interval after a hole: it comes right after RET, which nobody holds, and only once
 * the feed is complete up to RET_END (0: there is nothing before). */
bool roster_resume(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t seq, FeedHead *ret, uint64_t *ret_end);

/* Room keys. The key epoch in force at a control epoch up to the head: 0 for none. */
uint64_t roster_key_epoch(const Roster *r, uint64_t control_epoch);

/* NULL: EPOCH is no key epoch. */
const uint8_t *roster_commitment(const Roster *r, uint64_t epoch);

/* Whether a member may have the key; nobody else may. Where the history is told from the joining
 * on, he has joined with the block that says so, which has a new key. */
bool roster_entitled(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t key_epoch);

/* Whether a block with these changes must have a new key. */
bool roster_needs_key(const Roster *r, const RoomChange *changes, size_t n);

/* Key epochs, newest first; true to go on. */
typedef bool (*RosterKeyFn)(void *userdata, uint64_t epoch);
void roster_each_key(const Roster *r, RosterKeyFn fn, void *userdata);

bool roster_is_settled(const Roster *r, const uint8_t proposal[static SHA256_SIZE]);

/* Two blocks of one epoch that follow the same block: negative, A's chain is the one; positive,
 * B's; 0, they are the same. RET_FORK: both are by one author in one term, who has forked the log;
 * no block counts from there on. */
int roster_compare_blocks(const RoomBlock *a, const RoomBlock *b, bool *ret_fork);

/* Of everything that the state (provisional or final) says. */
void roster_digest(const Roster *r, bool provisional, uint8_t ret[static SHA256_SIZE]);
