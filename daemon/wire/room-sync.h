/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * How two members of a room bring each other up to date, over a link whose other end has
 * FEATURE_ROOMS.
 *
 * ROOM_SYNC {3 op, 4 room, then by op}; ASK and OFFER have no room
 *   1 STATE      {5 head {0 epoch, 1 hash}, 6 proposals digest, 7 feeds digest, 8 forks digest}
 *   2 CONTROL    {5 [blocks], 6 [certificates], 7 more}
 *   3 PROPOSALS  {5 [proposals], 6 [certificates], 7 more}
 *   4 VECTOR     {5 items, 6 full, 7 more, 8 read}
 *   5 WANT       {5 feeds, 6 control head, 7 [key epochs], 8 [accounts], 9 entries, 10 proposals,
 *                 11 forks}
 *   6 WRAPS      {5 [wraps]}
 *   7 JOIN       {5 name, 6 record, 7 [heads]}
 *   8 REFUSED    {5 code, 6 text}
 *   9 ASK        {5 name | 6 words | neither}
 *  10 OFFER      {5 [{0 room, 1 name, 2 topic, 3 access, 4 owner, 5 members, 6 online, 7 founder,
 *                 8 nonce}]}
 *  11 NOTICE     {5 notice}
 *  12 FORK       {5 [proofs]}
 *  13 RECORDS    {5 [records]}
 *  14 TYPING     {5 on}
 *
 * ROOM_ENTRIES {3 room, 4 [[INNER, signature, certificate]], 5 done}
 *
 * Lists of feeds are packed, one after the other, numbers as u64 big-endian: an item of a vector is
 * tag ‖ seq ‖ first 8 bytes of the hash; one of WANT and of `read` is tag ‖ seq.
 *
 * Decoding checks form only; objects inside are for their own decoders. Optional lists are absent
 * when empty, and so are optional booleans when false.
 */

#include "wire/room-seal.h"
#include "wire/room.h"

typedef enum RoomSyncOp {
        ROOM_SYNC_STATE = 1,
        ROOM_SYNC_CONTROL = 2,
        ROOM_SYNC_PROPOSALS = 3,
        ROOM_SYNC_VECTOR = 4,
        ROOM_SYNC_WANT = 5,
        ROOM_SYNC_WRAPS = 6,
        ROOM_SYNC_JOIN = 7,
        ROOM_SYNC_REFUSED = 8,
        ROOM_SYNC_ASK = 9,
        ROOM_SYNC_OFFER = 10,
        ROOM_SYNC_NOTICE = 11,
        ROOM_SYNC_FORK = 12,
        ROOM_SYNC_RECORDS = 13,
        ROOM_SYNC_TYPING = 14,
        _ROOM_SYNC_MAX,
} RoomSyncOp;

#define ROOM_SYNC_OBJECTS_MAX 64 /* blocks, proposals, wraps; certificates beside them */
#define ROOM_SYNC_RECORDS_MAX 14 /* of RECORD_MAX bytes each, which fit a frame */
#define ROOM_SYNC_FORKS_MAX 16
#define ROOM_VECTOR_ITEM_SIZE (ROOM_TAG_SIZE + 8 + 8)
#define ROOM_VECTOR_MAX 2048 /* items in a frame */
#define ROOM_WANT_ITEM_SIZE (ROOM_TAG_SIZE + 8)
#define ROOM_WANT_FEEDS_MAX 1024
#define ROOM_WANT_KEYS_MAX 64
#define ROOM_WANT_ACCOUNTS_MAX 64
#define ROOM_WANT_ENTRIES_MAX 16
#define ROOM_WORDS_MAX 128
#define ROOM_OFFERS_MAX 50

/* `hash` is the beginning of it: enough to see that two are not the same. */
typedef struct RoomVectorItem {
        uint8_t tag[ROOM_TAG_SIZE];
        uint64_t seq; /* 0: nothing is held of it */
        uint8_t hash[8];
} RoomVectorItem;

/* How many there are, and the one at I, which is below that. */
static inline size_t room_vector_count(Bytes items) {
        return items.size / ROOM_VECTOR_ITEM_SIZE;
}
RoomVectorItem room_vector_get(Bytes items, size_t i);
int room_vector_append(Buffer *items, const RoomVectorItem *x);

typedef struct RoomWantItem {
        uint8_t tag[ROOM_TAG_SIZE];
        uint64_t seq; /* feeds: those after it; entries: this one; read: up to it */
} RoomWantItem;

static inline size_t room_want_count(Bytes items) {
        return items.size / ROOM_WANT_ITEM_SIZE;
}
RoomWantItem room_want_get(Bytes items, size_t i);
int room_want_append(Buffer *items, const RoomWantItem *x);

typedef struct RoomState {
        RoomHead head; /* epoch 0: nothing yet */
        uint8_t proposals[ROOM_DIGEST_SIZE]; /* of the hashes of those that are pending */
        uint8_t feeds[ROOM_DIGEST_SIZE]; /* of room_feed_hash() of each */
        uint8_t forks[ROOM_DIGEST_SIZE]; /* of SHA-256(tag ‖ seq) of each */
} RoomState;

/* CONTROL, PROPOSALS, WRAPS, FORK, RECORDS: at least one object. Only the first two have
 * certificates, in any order, each once, and `more`. */
typedef struct RoomObjects {
        Bytes objects[ROOM_SYNC_OBJECTS_MAX];
        size_t n_objects;
        Bytes certificates[ROOM_SYNC_OBJECTS_MAX];
        size_t n_certificates;
        bool more;
} RoomObjects;

typedef struct RoomVector {
        Bytes items; /* may be empty */
        bool full; /* all there is, else what has changed */
        bool more; /* the rest follows in another frame */
        Bytes read; /* of the receiver's own feeds, up to where they were read; may be empty */
} RoomVector;

/* At least one thing is asked for. */
typedef struct RoomWant {
        Bytes feeds; /* packed */
        bool has_control;
        RoomHead control; /* the blocks after it; epoch 0: from the genesis on */
        uint64_t keys[ROOM_WANT_KEYS_MAX]; /* epochs, ascending */
        size_t n_keys;
        uint8_t accounts[ROOM_WANT_ACCOUNTS_MAX][KEY_SIZE]; /* whose records */
        size_t n_accounts;
        Bytes entries; /* packed: single ones, to find where a feed forks */
        bool proposals, forks;
} RoomWant;

typedef struct RoomJoin {
        char name[NAME_SIZE]; /* of the account, as it claims */
        Bytes record; /* a signed object */
        FeedHead heads[ROOM_HEADS_MAX]; /* of one's own feeds in this room, from an earlier time */
        size_t n_heads;
} RoomJoin;

typedef struct RoomRefused {
        Code code; /* _CODE_MAX: one this version does not know */
        Bytes text; /* a sentence for people; at most REASON_TEXT_MAX; not cut by encoding */
} RoomRefused;

typedef struct RoomAsk {
        char name[NAME_SIZE]; /* exactly this; empty: not by name */
        Bytes words; /* in name or topic; both empty: all */
} RoomAsk;

typedef struct RoomSummary {
        uint8_t room[ROOM_ID_SIZE]; /* decoding has checked that it is of founder and nonce */
        char name[NAME_SIZE];
        Bytes topic; /* may be empty */
        RoomAccess access;
        uint8_t owner[KEY_SIZE];
        uint64_t members, online;
        uint8_t founder[KEY_SIZE];
        uint8_t nonce[ROOM_NONCE_SIZE];
} RoomSummary;

typedef struct RoomOffer {
        RoomSummary rooms[ROOM_OFFERS_MAX];
        size_t n_rooms; /* may be 0 */
} RoomOffer;

typedef struct RoomSync {
        RoomSyncOp op;
        uint8_t room[ROOM_ID_SIZE]; /* all but ASK and OFFER */
        union {
                RoomState state;
                RoomObjects objects; /* CONTROL, PROPOSALS, WRAPS, FORK, RECORDS */
                RoomVector vector;
                RoomWant want;
                RoomJoin join;
                RoomRefused refused;
                RoomAsk ask;
                RoomOffer offer;
                Bytes notice;
                bool typing;
        };
} RoomSync;

/* -EMSGSIZE: over the frame's cap, the caller takes fewer; -EINVAL: no reader would take it. */
int room_sync_encode(Buffer *out, const RoomSync *s);
int room_sync_decode(Frame *f, RoomSync *ret);

/* What the members of `objects` may be at most, and how many of them there may be. */
size_t room_sync_object_max(RoomSyncOp op, size_t *ret_n);

#define ROOM_ENTRIES_MAX 256 /* in a frame */

typedef struct RoomEntriesItem {
        Bytes inner;
        const uint8_t *signature; /* SIGNATURE_SIZE bytes */
        Bytes certificate; /* of the device that signed; empty: the link's own */
} RoomEntriesItem;

/* On the wire a certificate that is that of the entry before is left empty, which decoding has made
 * good. The first entries of a frame may have the link's own; after another's it has to be written
 * out. */
typedef struct RoomEntries {
        uint8_t room[ROOM_ID_SIZE];
        RoomEntriesItem items[ROOM_ENTRIES_MAX];
        size_t n_items; /* 0 only where done: there was nothing to give */
        bool done; /* the last frame of an answer */
} RoomEntries;

int room_entries_encode(Buffer *out, const RoomEntries *e);
int room_entries_decode(Frame *f, RoomEntries *ret);

/* What an entry takes at most in a frame, for whoever fills one. */
#define ROOM_ENTRIES_BYTES_MAX (FRAME_MESSAGE_MAX - 128)
static inline size_t room_entries_size(const RoomEntriesItem *x) {
        return x->inner.size + SIGNATURE_SIZE + x->certificate.size + 16;
}
