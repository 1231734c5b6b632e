/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What rooms are made of: the control log, which says who is in and what he may do, and the objects
 * around it. All but the wrap (wire/room-seal.h) are signed objects (wire/signed.h) of the context
 * room-control, by a device key; `kind` in the body keeps them apart.
 *
 * Block     {0 version, 1 kind 1, 2 room, 3 term, 4 epoch, 5 prev, 6 account, 7 device epoch,
 *            8 device, 9 hlc, 10 sent, 11 [changes], 12 [settled], 13 key commitment}
 * Proposal  {0 version, 1 kind 2, 2 room, 3 control head {0 epoch, 1 hash}, 4 account,
 *            5 device epoch, 6 device, 7 hlc, 8 sent, 9 change}
 * Record    {0 version, 1 kind 3, 2 room, 3 founder, 4 nonce, 5 name, 6 topic, 7 access, 8 owner,
 *            9 certificate, 10 control head, 11 members, 12 seq, 13 issued, 14 expires,
 *            15 door hash, 16 [transfers {0 block, 1 certificate}], 17 deleted}
 * Notice    {0 version, 1 kind 4, 2 room, 3 name, 4 what, 5 account, 6 device epoch, 7 device,
 *            8 to, 9 sent, 10 proof, 11 certificate of the proof, 12 [members], 13 founder,
 *            14 nonce}
 * Change    {0 type, 1 account, 2 role, 3 text, 4 [heads], 5 nonce, 6 access, 7 history}
 * Fork      {0 version, 1 room, 2 account, 3 epoch, 4 device, 5 seq, 6 hash, 7 signature,
 *            8 certificate, 9 other hash, 10 other signature, 11 other certificate}
 *
 * Optional lists are absent when empty, texts when empty, numbers when 0. The hash of a block and
 * of a proposal is SHA-256 of its body.
 *
 * Decoding checks form, and the signature with the device key that the body names: whether a
 * certificate gives that key to the account is asked by room_author_is_certified(), what the author
 * may do is for rooms/roster.h. Structs own no memory: Bytes point into the input. Those of blocks
 * are large: a caller has them on the heap. What is in RET after a failure means nothing. Times are
 * µs, realtime.
 */

#include "crypto/hash.h"
#include "util/text.h"
#include "wire/hello.h"
#include "wire/identity.h"

#define ROOM_VERSION 1
#define ROOM_ID_SIZE SHA256_SIZE
#define ROOM_NONCE_SIZE 16
#define ROOM_KEY_SIZE 32
#define ROOM_TOPIC_MAX 512 /* bytes of UTF-8, no control characters */
#define ROOM_HEADS_MAX 8 /* feeds of one account that a change names */
#define ROOM_CHANGES_MAX 128 /* in a block */
#define ROOM_SETTLED_MAX 128
#define ROOM_BLOCK_MAX (32 * 1024) /* bytes of the signed object */
#define ROOM_PROPOSAL_MAX 2048
#define ROOM_COUNT_MAX (UINT64_MAX / 2) /* terms and epochs */

/* SHA-256("p2pchat/1 room" ‖ 0 ‖ founder ‖ nonce); it is also the conversation of the entries. */
void room_id(const uint8_t founder[static KEY_SIZE], const uint8_t nonce[static ROOM_NONCE_SIZE],
        uint8_t ret[static ROOM_ID_SIZE]);

/* UTF-8 of one line, at most ROOM_TOPIC_MAX bytes. */
bool room_topic_is_valid(Bytes topic) _pure_;

/* A place in the control log. Before there is any, all zeros. */
typedef struct RoomHead {
        uint64_t epoch;
        uint8_t hash[SHA256_SIZE]; /* of the block of that epoch */
} RoomHead;

/* The control head of an entry: key 15 of INNER. */
#define ROOM_HEAD_MAX 64
int room_head_encode(Buffer *out, const RoomHead *h);
int room_head_decode(Bytes in, RoomHead *ret);

typedef enum RoomChangeType {
        ROOM_CHANGE_CREATE = 1, /* first of the genesis, and nowhere else */
        ROOM_CHANGE_ADD = 2,
        ROOM_CHANGE_REMOVE = 3,
        ROOM_CHANGE_ROLE = 4,
        ROOM_CHANGE_TOPIC = 5,
        ROOM_CHANGE_INVITE = 6,
        ROOM_CHANGE_DELETE = 7, /* there is no block after it; no proposal */
        ROOM_CHANGE_OFFER = 8, /* the account may propose itself as owner; no proposal */
        ROOM_CHANGE_LEAVE = 9, /* proposed by the account itself; blocks say who has left */
        _ROOM_CHANGE_MAX,
} RoomChangeType;

typedef enum RoomRole {
        ROOM_ROLE_NONE, /* absent */
        ROOM_ROLE_MEMBER,
        ROOM_ROLE_ADMIN,
        ROOM_ROLE_OWNER,
        _ROOM_ROLE_MAX,
} RoomRole;

typedef enum RoomAccess {
        ROOM_ACCESS_NONE, /* absent */
        ROOM_ACCESS_OPEN,
        ROOM_ACCESS_PRIVATE,
        ROOM_ACCESS_HIDDEN,
        _ROOM_ACCESS_MAX,
} RoomAccess;

typedef enum RoomHistory {
        ROOM_HISTORY_NONE, /* absent */
        ROOM_HISTORY_ALL,
        ROOM_HISTORY_JOINED,
        _ROOM_HISTORY_MAX,
} RoomHistory;

/* "member", "open", "all"; never NULL. */
const char *room_role_name(RoomRole r);
const char *room_access_name(RoomAccess a);
const char *room_history_name(RoomHistory h);

/* Which fields a type has: see the table in room.c. Any other is refused, and not
 * encoded. */
typedef struct RoomChange {
        RoomChangeType type;
        uint8_t account[KEY_SIZE]; /* all but CREATE, TOPIC, DELETE */
        RoomRole role; /* ROLE */
        Bytes text; /* name of CREATE, claimed name of ADD (may be empty), TOPIC (may be empty) */
        FeedHead heads[ROOM_HEADS_MAX]; /* ADD, REMOVE, LEAVE: (epoch, device) once, seq >= 1 */
        size_t n_heads;
        uint8_t nonce[ROOM_NONCE_SIZE]; /* CREATE, as the next two */
        RoomAccess access;
        RoomHistory history;
} RoomChange;

typedef struct RoomBlock {
        uint8_t hash[SHA256_SIZE]; /* by decoding */
        uint8_t room[ROOM_ID_SIZE];
        uint64_t term, epoch; /* from 1 */
        uint8_t prev[SHA256_SIZE]; /* zeros in the genesis, and nowhere else */
        uint8_t account[KEY_SIZE];
        uint64_t device_epoch;
        uint8_t device[KEY_SIZE];
        uint64_t hlc, sent;
        RoomChange changes[ROOM_CHANGES_MAX];
        size_t n_changes;
        uint8_t settled[ROOM_SETTLED_MAX][SHA256_SIZE]; /* proposals, none twice */
        size_t n_settled;
        bool has_commitment; /* there is a new room key from here on */
        uint8_t commitment[SHA256_SIZE];
} RoomBlock;

/* DEVICE is that of the block. RET_HASH may be NULL. -EMSGSIZE: over ROOM_BLOCK_MAX, the caller
 * takes fewer changes; -EINVAL: no reader would take it. */
int room_block_encode(
        Buffer *out, const RoomBlock *b, const SignKey *device, uint8_t ret_hash[SHA256_SIZE]);

/* The genesis is held against the room's id: room_id(account, nonce). */
int room_block_decode(Bytes outer, RoomBlock *ret);

/* Form only, without signatures, as record_parse(): for what was decoded when it came in and kept
 * since. */
int room_block_parse(Bytes outer, RoomBlock *ret);

typedef struct RoomProposal {
        uint8_t hash[SHA256_SIZE]; /* by decoding */
        uint8_t room[ROOM_ID_SIZE];
        RoomHead head; /* what its author knew of the control log */
        uint8_t account[KEY_SIZE];
        uint64_t device_epoch;
        uint8_t device[KEY_SIZE];
        uint64_t hlc, sent;
        RoomChange change;
} RoomProposal;

/* As those of blocks. */
int room_proposal_encode(
        Buffer *out, const RoomProposal *p, const SignKey *device, uint8_t ret_hash[SHA256_SIZE]);
int room_proposal_decode(Bytes outer, RoomProposal *ret);
int room_proposal_parse(Bytes outer, RoomProposal *ret);

/* That C gives this device, of this epoch, to the account, and did so at SENT. */
bool room_author_is_certified(const Certificate *c, const uint8_t account[static KEY_SIZE],
        uint64_t device_epoch, const uint8_t device[static KEY_SIZE], uint64_t sent) _pure_;

/* Record: the room's public face at trackers. */

#define ROOM_RECORD_MAX (16 * 1024)
#define ROOM_TRANSFERS_MAX 8
#define ROOM_TRANSFER_MAX 1024 /* bytes of one's block */
#define ROOM_RECORD_LIFETIME (180 * USEC_PER_DAY)

/* A block by which the owner of then, whose certificate is beside it, made somebody owner. */
typedef struct RoomTransfer {
        Bytes block, certificate;
} RoomTransfer;

typedef struct RoomRecord {
        uint8_t room[ROOM_ID_SIZE];
        uint8_t founder[KEY_SIZE];
        uint8_t nonce[ROOM_NONCE_SIZE];
        char name[NAME_SIZE];
        Bytes topic; /* may be empty */
        RoomAccess access; /* open or private: nobody publishes a hidden one */
        uint8_t owner[KEY_SIZE];
        Bytes certificate; /* of the owner's device, which signs */
        Certificate device; /* decoded from it */
        RoomHead head;
        uint64_t members;
        uint64_t seq, issued, expires;
        bool has_door;
        uint8_t door_hash[SHA256_SIZE]; /* SHA-256 of room_door(); private rooms */
        RoomTransfer transfers[ROOM_TRANSFERS_MAX]; /* none where the founder is the owner */
        size_t n_transfers;
        bool deleted;
} RoomRecord;

/* -EMSGSIZE: over ROOM_RECORD_MAX. DEVICE is that of the certificate. */
int room_record_encode(Buffer *out, const RoomRecord *rec, const SignKey *device);

/* Form and signatures, that the id is that of founder and nonce, and that the transfers lead from
 * the founder to the owner: block by block, epochs ascending, each signed by the owner of then. */
int room_record_decode(Bytes outer, RoomRecord *ret);

/* Form only, as record_parse(). */
int room_record_parse(Bytes outer, RoomRecord *ret);

/* Which of two records of a room is newer. Who was the owner once must not take the room back: at
 * the first transfer that is not the same the older one wins, then more transfers; then what is
 * deleted; then (control epoch, seq, hash of the record as it is). Positive when A wins. */
int room_record_compare(const RoomRecord *a, Bytes a_outer, const RoomRecord *b, Bytes b_outer);

/* Notice: what one who does not hold the room, or is away, is told about it. Over a link in
 * ROOM_SYNC, else as sealed mail; the same bytes. */

#define ROOM_NOTICE_MAX (48 * 1024)
#define ROOM_NOTICE_MEMBERS_MAX 16

typedef enum RoomNoticeKind {
        ROOM_NOTICE_INVITED = 1,
        ROOM_NOTICE_NEWS = 2, /* there is something that the recipient does not have */
        ROOM_NOTICE_REMOVED = 3,
        _ROOM_NOTICE_MAX,
} RoomNoticeKind;

typedef struct RoomNotice {
        uint8_t room[ROOM_ID_SIZE];
        char name[NAME_SIZE];
        RoomNoticeKind what;
        uint8_t account[KEY_SIZE]; /* who says it */
        uint64_t device_epoch;
        uint8_t device[KEY_SIZE];
        uint8_t to[KEY_SIZE];
        uint64_t sent;
        Bytes proof; /* block or proposal, a signed object that is not looked into; empty: none */
        Bytes proof_certificate; /* of its author; empty: the sender's */
        uint8_t members[ROOM_NOTICE_MEMBERS_MAX][KEY_SIZE]; /* whom to ask, beside the sender */
        size_t n_members;
        bool has_founder; /* and nonce: decoding has checked that the id is theirs */
        uint8_t founder[KEY_SIZE];
        uint8_t nonce[ROOM_NONCE_SIZE];
} RoomNotice;

int room_notice_encode(Buffer *out, const RoomNotice *n, const SignKey *device);
int room_notice_decode(Bytes outer, RoomNotice *ret);

/* Entries are INNERs (wire/message.h), each signed by itself over its place and its hash:
 * SIGN_ROOM_ENTRY over room ‖ account ‖ epoch u64 ‖ device ‖ seq u64 ‖ SHA-256(INNER). With the
 * place in it, two signatures prove a fork without the entries. */
typedef struct RoomPosition {
        uint8_t room[ROOM_ID_SIZE];
        uint8_t account[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint64_t seq;
} RoomPosition;

struct Inner;

RoomPosition room_position(const struct Inner *m);
int room_entry_sign(const SignKey *device, const RoomPosition *at,
        const uint8_t hash[static SHA256_SIZE], uint8_t ret[static SIGNATURE_SIZE]);

/* DEVICE is the key that has signed: the entry's, or that of a newer device of the account. */
int room_entry_verify(const uint8_t device[static KEY_SIZE], const RoomPosition *at,
        const uint8_t hash[static SHA256_SIZE], const uint8_t signature[static SIGNATURE_SIZE]);

/* Proof that an author has signed two entries with one number. One is kept of each feed: that
 * of the lowest number. */

#define ROOM_FORK_MAX 2048

typedef struct RoomFork {
        RoomPosition at;
        struct {
                uint8_t hash[SHA256_SIZE]; /* the smaller one first; encoding puts them in order */
                uint8_t signature[SIGNATURE_SIZE];
                Bytes certificate; /* of the device that signed */
        } entry[2];
} RoomFork;

int room_fork_encode(Buffer *out, const RoomFork *f);

/* Checks both certificates and signatures: each by the feed's device or a newer one of the
 * account. */
int room_fork_decode(Bytes in, RoomFork *ret);
int room_fork_parse(Bytes in, RoomFork *ret); /* form only */

/* Names of feeds in a frame, and digests of sets: the sum modulo 2^256 of the hashes of the
 * members, big-endian, so that one member is added or taken out without the others. */

#define ROOM_TAG_SIZE 8
#define ROOM_DIGEST_SIZE 32

/* The first bytes of SHA-256(account ‖ epoch u64 ‖ device). */
void room_feed_tag(const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint8_t ret[static ROOM_TAG_SIZE]);

/* SHA-256(tag ‖ seq u64 ‖ hash): what a feed with that head adds to the digest of the feeds. */
void room_feed_hash(const uint8_t tag[static ROOM_TAG_SIZE], uint64_t seq,
        const uint8_t hash[static SHA256_SIZE], uint8_t ret[static SHA256_SIZE]);

void room_digest_add(uint8_t d[static ROOM_DIGEST_SIZE], const uint8_t hash[static SHA256_SIZE]);
void room_digest_remove(uint8_t d[static ROOM_DIGEST_SIZE], const uint8_t hash[static SHA256_SIZE]);
