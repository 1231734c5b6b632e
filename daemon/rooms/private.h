/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the files of rooms/ share. room.c, act.c, control.c, entries.c, keys.c, text.c and view.c
 * keep the state of the rooms here, and know no links; sync*.c, live.c, join.c, links.c and
 * notice.c speak to others, and change nothing but by the functions below.
 *
 * All of it is in the open batch. What was changed is in memory at once, so that the next object
 * is judged by it; where the batch fails, the rooms that it concerned are loaded again. What others
 * may see of it waits for RoomsHooks.settled.
 */

#include "rooms/rooms.h"
#include "util/log.h"
#include "util/table.h"
#include "wire/room-seal.h"
#include "wire/room-sync.h"

/* What is new of a room since the batch before. */
enum {
        ROOM_NEW_CONTROL = 1, /* blocks */
        ROOM_NEW_PROPOSALS = 2,
        ROOM_NEW_ENTRIES = 4, /* or a feed was cut */
        ROOM_NEW_KEYS = 8,
        ROOM_NEW_FORKS = 16,
        ROOM_NEW_STATUS = 32, /* joined, kicked, left, deleted, read-only */
        ROOM_NEW_MARKS = 64, /* what others have, or the user has read */
};

typedef struct Sync Sync;
typedef struct RoomLink RoomLink;

typedef struct Room {
        struct Rooms *rooms;
        RoomRow row; /* as in the open batch */
        Roster *roster; /* never NULL; its head is 0 before the genesis is here */
        unsigned what; /* ROOM_NEW_*, in the open batch */
        unsigned news; /* the same of the batch that was committed last, still to be told */
        bool dirty; /* concerned by the open batch: to be loaded again if that fails */
        usec_t commit_at; /* monotonic: when commit.c has something to do; 0: nothing */

        /* Own entries of the feed `own` up to there are told to be held by somebody, by all, and to
         * be read by all; and when that is looked at. */
        uint32_t own;
        uint64_t own_epoch;
        uint64_t stored, delivered, read;
        usec_t marks_at;
        RoomLink *links; /* sync's, made and freed there */
        struct Candidate *candidates; /* proposals that a block may rest on, see pending.c */
        unsigned next_candidate;
        bool proposed; /* the user has, in the open batch */
        bool cutting; /* there was more to cut than a batch takes */
        bool lost; /* could not be read again: nothing is done with it until it was */
        bool taking; /* what is taken in now comes from another device of this account */
        UT_hash_handle hh, by_number;
} Room;

/* What speaks to others. Every member may be NULL, and HOOKS itself. */
typedef struct RoomsHooks {
        /* The batch has been committed, or ERROR: then the rooms were loaded again. Comes after
         * each batch that rooms_await_commit() was called in, once, before `changed`. */
        void (*settled)(struct Rooms *r, int error);

        /* After the commit: ROOM_NEW_* of it is to be told. */
        void (*changed)(struct Rooms *r, Room *room, unsigned what);

        /* After the commit: ACCOUNT, who is no member, is to be told by a NOTICE of KIND, with the
         * proposal or block (the whole signed object) that says so. */
        void (*notify)(struct Rooms *r, Room *room, const uint8_t account[static KEY_SIZE],
                RoomNoticeKind kind, Bytes proof);

        /* Room->links goes. */
        void (*room_gone)(Room *room);
} RoomsHooks;

/* Of one own feed: up to where each of the other members has it, and has read it, ascending. Made
 * once for all messages that are shown in a row. */
typedef struct Tally {
        uint32_t room, feed;
        bool good; /* until something of any room changes, or that is committed */
        uint64_t *held, *read;
        size_t n, allocated;
        unsigned made; /* times */
        int error;
} Tally;

struct Rooms {
        Loop *loop;
        Store *store;
        const Identity *self;
        const LocalIdentity *local;
        unsigned max_members;
        const RoomsCallbacks *callbacks;
        void *userdata;
        const RoomsHooks *hooks;
        Sync *sync; /* sync.c's */
        Room *rooms; /* by id */
        Room *numbers; /* the same, by number */
        bool started;
        uint64_t awaited; /* the batch after which on_batch() will come */
        LoopTimer *commit_timer, *marks_timer;
        Tally tally;

        /* For objects that are large, while one is looked at; `other`: one from the store. */
        RoomBlock *block, *other;
        RoomProposal *proposal, *found;
        DbTxn *txn; /* where the roster's proposals are looked for */
        struct Owed *owed; /* calls of `notify` after the commit */
        LogLimit failures;
};

/* What became of an object that somebody has brought; < 0: an error of the store. */
typedef enum RoomVerdict {
        TAKEN, /* new */
        TAKEN_AGAIN, /* is here, or is no longer of interest */
        TAKEN_NOT_NOW, /* what it builds on is not here: control first, or what is before */
        TAKEN_REFUSED, /* well made, and not to be had: RoomReason. No fault of who brought it */
        TAKEN_BAD, /* form, or a signature that does not hold: who brought it did not look */
        TAKEN_STALE, /* a block or entry that loses: show what is here to whoever brought it */
        TAKEN_FORK, /* new, and proves that its author has forked; the proof is kept */
} RoomVerdict;

typedef struct RoomReason {
        Code code;
        char text[160];
} RoomReason;

/* RoomRow.flags */
#define ROOM_FLAG_FORKED 1 /* the owner has forked the control log */
#define ROOM_FLAG_COMING 2 /* from another device, which has not said all yet: shown as left */

/* With these bits of an epoch of this account: what older devices have written of the control log
 * is here, as the one before has handed it over to the device of that epoch. */
#define ROOM_FLAG_EPOCH_SHIFT 16

/* What such an owner has signed lies behind all epochs, two blocks. */
#define ROOM_FORK_BLOCKS (UINT64_C(1) << 63)

/* room.c */

/* rooms_new() without anything that speaks, and rooms_free() of it; rooms_begin() sets the timers.
 * (sync.c defines rooms_new(), rooms_free(), rooms_start() and rooms_stop() with them.) */
int rooms_open(Loop *loop, Store *store, const Identity *self, const LocalIdentity *local,
        unsigned max_members, const RoomsCallbacks *callbacks, void *userdata, Rooms **ret);
Rooms *rooms_close(Rooms *r);
void rooms_begin(Rooms *r);
void rooms_end(Rooms *r);

Room *room_of(Rooms *r, const uint8_t id[static SHA256_SIZE]);
Room *room_by_number(Rooms *r, uint32_t number);
#define ROOM_EACH(r, room) for (Room *room = (r)->rooms; room; room = room->hh.next)

/* on_batch() follows: `settled`, then `changed` for each room with something new. */
int rooms_await_commit(Rooms *r);

/* WHAT (ROOM_NEW_*, may be 0) of ROOM is new in the open batch; also written: room->row. */
int room_touch(Room *room, unsigned what);
int room_keep(Room *room);

/* A room that was only heard of: ROOM_JOINING or ROOM_INVITED (INVITER: account number). Finds the
 * one that is here, and changes its status unless that is ROOM_JOINED. -EEXIST: the name is pinned
 * to another one, in which the user is. */
int room_begin(Rooms *r, const uint8_t id[static SHA256_SIZE], const char *name, RoomStatus status,
        uint32_t inviter, Room **ret);
int room_set_status(Room *room, RoomStatus status);

static inline const uint8_t *rooms_self(const Rooms *r) {
        return sign_key_public(&r->self->account);
}

bool room_is_member(const Room *room, const uint8_t account[static KEY_SIZE]);
RoomRole room_rank(const Room *room, const uint8_t account[static KEY_SIZE]); /* 0: no member */

/* Somebody with whom this room may be spoken of: he is or was a member, or is invited. */
bool room_knows(const Room *room, const uint8_t account[static KEY_SIZE]);

/* The own account is a member, the log is here, and nothing forbids writing. */
bool room_is_joined(const Room *room);

/* The head: 0 and zeros before the genesis. */
uint64_t room_head(const Room *room, uint8_t ret_hash[static SHA256_SIZE]);

/* The digests of STATE are row.proposals_digest, row.feeds_digest, row.forks_digest. */

/* control.c */

/* The signed object and its certificate: (device, epoch) looked for in CERTIFICATES, then in the
 * store. */
typedef struct RoomCertificates {
        const Bytes *list;
        size_t n;
} RoomCertificates;

int room_take_block(Room *room, Bytes outer, const RoomCertificates *c, RoomReason *why);
int room_take_proposal(Room *room, Bytes outer, const RoomCertificates *c, RoomReason *why);

/* Several that come together, as many as a frame has: all that is pending is folded once for them.
 * Of what is put, and has to be TAKEN for that, room_fold_proposals() finds out what becomes; until
 * then nothing else is done with the room, and nothing shows. Whatever was put is folded, also
 * after an error. */
typedef struct RoomProposals {
        uint8_t hashes[ROOM_SYNC_OBJECTS_MAX][SHA256_SIZE]; /* put, not folded yet */
        size_t n;
        uint8_t author[KEY_SIZE]; /* of the last one */
        size_t kept;
        size_t dropped; /* as TAKEN_REFUSED: can never count, or there are too many */
} RoomProposals;

int room_put_proposal(
        Room *room, Bytes outer, const RoomCertificates *c, RoomProposals *io, RoomReason *why);
int room_fold_proposals(Room *room, RoomProposals *io);

/* It is here, is pending, and by it the user has left the room: as others are still to hear. */
bool commit_is_farewell(const Room *room, const RoomProposal *p);

/* supply.c: what others are given. All bytes are in the map: good until the next write. */
typedef struct RoomGiven {
        enum { ROOM_GIVEN_BLOCK = 1, ROOM_GIVEN_PROPOSAL } kind;
        Bytes outer;
        Bytes certificate; /* of who has signed it; empty: not here, which should not be */
        uint64_t epoch; /* of a block */
} RoomGiven;

/* 0 to go on, else it ends with that. */
typedef int (*RoomBlockFn)(void *userdata, const RoomGiven *g);

/* Blocks after epoch AFTER, oldest first. A proposal that a block rests on comes before it, and has
 * to be taken (room_take_proposal(), whatever comes of that) before it. */
int room_blocks_each(Room *room, DbTxn *txn, uint64_t after, RoomBlockFn fn, void *userdata);

/* What is pending, in no order. */
int room_proposals_each(Room *room, DbTxn *txn, RoomBlockFn fn, void *userdata);

/* The two blocks by which the owner has forked the log; none: has not. */
int room_owner_fork_each(Room *room, DbTxn *txn, RoomBlockFn fn, void *userdata);

/* The hash of the block of EPOCH in the chain: 1; or 0, with zeros: there is none. */
int room_head_at(Room *room, DbTxn *txn, uint64_t epoch, uint8_t ret_hash[static SHA256_SIZE]);

/* 1: (EPOCH, HASH) is in the chain; epoch 0 always is. */
int room_has_head(Room *room, DbTxn *txn, uint64_t epoch, const uint8_t hash[static SHA256_SIZE]);

/* The own proposal to add ACCOUNT, who has asked for it, with the heads that he has of his feeds;
 * TAKEN_AGAIN when he is a member. The room must be joined. */
int room_admit(Room *room, const uint8_t account[static KEY_SIZE], const char *name,
        const FeedHead *heads, size_t n_heads, RoomReason *why);

/* entries.c */
typedef struct RoomEntryIn {
        Bytes inner, signature, certificate; /* certificate may be empty: the one of the store */

        /* Whoever brought it knows as much of the control log as is here. Then it is taken though
         * its author knew more: that was of a chain that has lost, or that its owner has forked. */
        bool level;
        const RoomEntryWas *was; /* NULL, or another device of this account hands it over */
} RoomEntryIn;

/* RET (may be NULL) tells where a TAKEN one is. TAKEN_NOT_NOW with `gap`: entries of the same feed
 * before it; else control. */
typedef struct RoomEntryAt {
        uint32_t feed;
        uint64_t seq;
        uint8_t tag[ROOM_TAG_SIZE];
        bool gap; /* of TAKEN_NOT_NOW */
        bool misfit; /* of TAKEN_STALE: it builds on another entry than the one that is here at
                        seq - 1: the author has forked before, look for where */
} RoomEntryAt;

int room_take_entry(Room *room, const RoomEntryIn *in, RoomEntryAt *ret, RoomReason *why);

/* Of FEED after SEQ, oldest first; CERTIFICATE as the entry's device and epoch have it. 0 to go
 * on. */
typedef int (*RoomSupplyFn)(
        void *userdata, uint64_t seq, Bytes inner, Bytes signature, Bytes certificate);
int room_entries_each(
        Room *room, DbTxn *txn, uint32_t feed, uint64_t after, RoomSupplyFn fn, void *userdata);

/* The vector is room_feed_each() of store/room.h: by change number, from 0 everything.
 * room_feed_find_tag() finds what a tag means here. The author of a feed: */
int room_feed_author(Room *room, DbTxn *txn, const RoomFeed *f, uint8_t ret[static KEY_SIZE]);

/* The heads of own feeds, as JOIN and a leave name them. */
int room_own_heads(Room *room, DbTxn *txn, FeedHead ret[static ROOM_HEADS_MAX], size_t *ret_n);
int room_heads_of(Room *room, DbTxn *txn, const uint8_t account[static KEY_SIZE],
        FeedHead ret[static ROOM_HEADS_MAX], size_t *ret_n);

/* Proofs of forks of feeds: encoded as wire/room.h has them. */
typedef int (*RoomProofFn)(void *userdata, Bytes proof);
int room_forks_each(Room *room, DbTxn *txn, RoomProofFn fn, void *userdata);
int room_take_fork(Room *room, Bytes proof, RoomReason *why);

/* ACCOUNT, who is a member or will be one, says that it holds the own feed F up to SEQ, of which it
 * names the beginning of the hash: no bytes mean that it need not fit. A claim that does not fit
 * what is here counts for nothing. READ: up to there it has read; 0: does not say. */
int room_note_mark(Room *room, const uint8_t account[static KEY_SIZE], const RoomFeed *f,
        uint64_t seq, Bytes hash, uint64_t read);

/* Up to where the user has read F, somebody else's; what may be told in small rooms. */
int room_read_position(Room *room, DbTxn *txn, const RoomFeed *f, uint64_t *ret);

/* keys.c */

/* Key epochs to which the own account is entitled and whose key is not here, the newest first. */
int room_keys_missing(Room *room, DbTxn *txn, uint64_t *ret, size_t max, size_t *ret_n);

/* The key of EPOCH for ACCOUNT, appended to OUT as a wrap. 1; or 0: it is not entitled, or the key
 * or its record is not here. */
int room_make_wrap(Room *room, DbTxn *txn, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        Buffer *out);

/* TAKEN_AGAIN for a key that is here, or a wrap for somebody else. */
int room_take_wrap(Room *room, Bytes wrap, RoomReason *why);

/* The key of the newest key epoch is here. */
int room_has_key(Room *room, DbTxn *txn);

/* Members without a record here, at most MAX; and one that came (any account's: whose is
 * checked). */
int room_records_missing(
        Room *room, DbTxn *txn, uint8_t (*ret)[KEY_SIZE], size_t max, size_t *ret_n);
int room_take_record(Room *room, Bytes record, RoomReason *why);

/* The record of a member, in the map: 1 or 0. */
int room_record_of(Room *room, DbTxn *txn, const uint8_t account[static KEY_SIZE], Bytes *ret);

/* act.c */
int rooms_error(RoomsError *e, Code code, const char *format, ...) _printf_(3, 4);
