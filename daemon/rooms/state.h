/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files that keep the state of the rooms share, and nobody else needs. */

#include "rooms/private.h"

/* Who has signed something, and when, as it says. */
typedef struct Author {
        const uint8_t *account;
        uint64_t epoch;
        const uint8_t *device;
        uint64_t sent;
} Author;

/* A certificate that gives the device to the account. The bytes are empty where it is kept
 * already. */
typedef struct AuthorProof {
        Certificate certificate;
        Bytes outer;
} AuthorProof;

/* proof.c: 1; or 0: there is none that holds. */
int author_prove(Rooms *r, const RoomCertificates *c, const Author *a, AuthorProof *ret);
int author_keep(Rooms *r, const AuthorProof *p);

/* This device's own: the next device of the account supplies what this one has written. */
int author_keep_own(Rooms *r);

/* The certificate of a device as it is kept, in the map; empty where there is none. */
int author_certificate(
        Rooms *r, DbTxn *txn, const uint8_t device[static KEY_SIZE], uint64_t epoch, Bytes *ret);

/* room.c */
int room_load(Room *room, DbTxn *txn);
int room_make(Rooms *r, const uint8_t id[static SHA256_SIZE], const char *name, RoomStatus status,
        Room **ret);
int room_owe_notice(
        Room *room, const uint8_t account[static KEY_SIZE], RoomNoticeKind kind, Bytes proof);

/* pending.c */

/* A proposal that came before the block that rests on it. */
bool candidate_is_here(const Room *room, const uint8_t hash[static SHA256_SIZE]);
int candidate_add(Room *room, const RoomProposal *p, Bytes outer);
void control_forget_candidates(Room *room);

/* A proposal wherever it is: 1; or 0, it is nowhere. */
int proposal_bytes(Room *room, DbTxn *txn, const uint8_t hash[static SHA256_SIZE], Bytes *ret);

/* What is pending, in the order and with the verdicts of the roster. */
typedef struct Pending {
        RoomProposal *proposals;
        RosterPending *list;
        size_t n, allocated;
} Pending;

void pending_done(Pending *p);
int pending_fold(Room *room, DbTxn *txn, Pending *ret);
int pending_clean(Room *room, const Pending *p);
void control_prepare(Room *room, Roster *roster);
int control_fold_pending(Room *room, DbTxn *txn);

/* control.c */
int control_fold(Room *room, DbTxn *txn, uint64_t epoch, Roster **ret);
int control_append(
        Room *room, const RoomBlock *b, Bytes outer, const AuthorProof *author, RoomReason *why);
int control_take_proposal(
        Room *room, const RoomProposal *p, Bytes outer, const AuthorProof *author, RoomReason *why);

/* The number of an account, whose row is made if ADD. 1 or 0. */
int room_account_number(
        Room *room, const uint8_t account[static KEY_SIZE], bool add, uint32_t *ret);
int room_event(Room *room, RoomEventKind kind, const uint8_t *account);

/* commit.c */

/* What the user's own account has to do with what is pending, and when. */
void commit_plan(Room *room, const Pending *p);

/* When this device became the active one. Its certificate does not say: it is made anew. */
usec_t commit_active_since(const Rooms *r);

/* What SELF's older devices have written of the control log is here, as far as the store knows: a
 * device that takes the account over must not write a block where another one has. B is scratch.
 * commit_note_whole(): the device before has handed it over, and was sure of it; not written. */
bool commit_log_is_whole(DbTxn *txn, const RoomRow *row, const Identity *self, RoomBlock *b);
void commit_note_whole(Room *room);

/* C by the own account, who may do that: as owner in a block, else as a proposal. RET_PROOF (may be
 * NULL) gets the signed object. TAKEN, or as the others. */
int commit_change(Room *room, const RoomChange *c, Buffer *ret_proof, RoomReason *why);
int commit_propose(Room *room, const RoomChange *c, Buffer *ret_proof, RoomReason *why);

/* A block of own changes, C (may be NULL) and what is pending. */
int commit_block(Room *room, const RoomChange *c, Buffer *ret_proof, RoomReason *why);

/* C is all that is in the block; and the first one of all. */
int commit_alone(Room *room, const RoomChange *c, RoomReason *why);
int commit_genesis(Room *room, const RoomChange *list, size_t n, RoomReason *why);

/* The own chain has lost: what was in it and is not in the other is offered as proposals. */
void commit_offer_again(Room *room, const Roster *old);
int commit_new(Rooms *r);
void commit_free(Rooms *r);
void commit_begin(Rooms *r);
void commit_end(Rooms *r);

/* marks.c */

/* Nobody's number: what has been told of an own feed is kept as its mark. */
#define ROOM_MARK_TOLD UINT32_MAX

int marks_load(Room *room, DbTxn *txn);
int marks_look(Room *room);
void marks_forget(Rooms *r); /* what was counted */
int marks_new(Rooms *r);
void marks_free(Rooms *r);

/* entries.c */

/* 1: a newer device of this account's has written before the own entry M; 0. */
int entries_are_over(Room *room, const Inner *m);

/* The feed, which is made where it is not there. 1; or 0: its author has too many. */
int entries_open_feed(Room *room, const RoomFeedKey *key, RoomFeed *ret);

/* What may not be held any more goes; and what was left for another batch. */
int entries_cut_barred(Room *room);
void entries_go_on_cutting(Rooms *r);

/* again.c. Whether this is the feed that this device goes on with; and that it cannot: this store
 * is older than what was written with it. From then on the epoch is another one. */
bool again_is_about(const Room *room, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE]);
void again_begin_epoch(Room *room, const char *why);

/* Own messages that are to be written anew: gathered while they are here, *A is made for the first;
 * and written where the room lets the user write. */
typedef struct Again Again;

int again_add(Room *room, Again **a, const Inner *m);
int again_collect(Room *room, Again **a, uint32_t feed, uint64_t first);
int again_write(Room *room, const Again *a);
Again *again_free(Again *a);
DEFINE_CLEANUP(Again *, again_free)

/* keys.c: 1; 0: it is not here. */
int room_key_of(Room *room, DbTxn *txn, uint64_t epoch, uint8_t ret[static ROOM_KEY_SIZE]);

/* text.c: 1 or 0; -EBADMSG. */
int room_entry_key(Room *room, DbTxn *txn, const Inner *m, uint8_t ret[static ROOM_KEY_SIZE]);

/* VERDICT, with the reason for it. */
int room_reason(RoomReason *e, RoomVerdict verdict, Code code, const char *format, ...)
        _printf_(4, 5);
