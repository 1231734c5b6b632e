/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Rooms: what is kept of each, and the entries of their feeds.
 *
 * A room is a conversation whose peer is 0, and its number is that of the conversation. The store
 * knows no roster: who may write what, and what a block means, its callers know. It sees to it that
 * a feed is one chain, and that the digests by which two members find out that they hold the same
 * are those of what is here, whatever is added or cut.
 *
 * All writes join the open batch. What is read in rows points into the map: valid until the next
 * write.
 */

#include "store/history.h"
#include "wire/hello.h"
#include "wire/room.h"

/* Own entries; nobody deletes them at this time yet. */
#define ROOM_ENTRY_EXPIRES (365 * USEC_PER_DAY)

typedef enum RoomStatus {
        ROOM_JOINING = 1, /* asked, and no answer yet that lets us write */
        ROOM_JOINED,
        ROOM_INVITED, /* and the user has not said anything to it */
        ROOM_LEFT,
        ROOM_KICKED,
        ROOM_DELETED, /* by its owner */
        _ROOM_STATUS_MAX,
} RoomStatus;

typedef struct RoomRow {
        uint32_t number; /* of the conversation */
        uint8_t id[SHA256_SIZE];
        char name[NAME_SIZE]; /* without '#', canonical; "" as long as it is not known */
        RoomStatus status;
        bool read_only;
        bool farewell; /* that we have left is still to be told */
        uint64_t head_epoch; /* of the control log; 0: there is no block yet */
        uint8_t head_hash[SHA256_SIZE];
        uint8_t founder[KEY_SIZE], nonce[ROOM_NONCE_SIZE]; /* zeros as long as they are not known */
        uint32_t inviter; /* account number, 0: nobody */
        usec_t invited; /* when he did last, by his clock */
        usec_t joined; /* realtime */
        uint32_t flags; /* rooms/ says what they mean */
        char topic[ROOM_TOPIC_MAX + 1];

        /* The store's own: room_write() leaves them as they are on disk. The digests are sums
         * (wire/room.h), so that the order in which things came does not matter. */
        uint64_t change; /* counts what has changed in any feed */
        uint8_t feeds_digest[SHA256_SIZE]; /* of SHA-256(tag ‖ seq ‖ hash of the head) */
        uint8_t proposals_digest[SHA256_SIZE]; /* of the hashes of the proposals that are kept */
        uint8_t forks_digest[SHA256_SIZE]; /* of SHA-256(tag ‖ first forked seq) */
} RoomRow;

/* Makes the room and its conversation. 1 when it was there: as it is. -EEXIST: STATUS is joining or
 * joined, and the name is pinned to another room the user is in. NAME may be "". */
int room_add(Store *s, const uint8_t id[static SHA256_SIZE], const char *name, RoomStatus status,
        RoomRow *ret);

/* 1 or 0. */
int room_get(DbTxn *txn, uint32_t number, RoomRow *ret);
int room_find(DbTxn *txn, const uint8_t id[static SHA256_SIZE], RoomRow *ret);

/* The room that is meant by this name: one that the user is in before one he is invited to, before
 * one he has left. */
int room_find_name(DbTxn *txn, const char *name, RoomRow *ret);

/* Writes all but what is the store's own, whatever R says of that. A room that is left, or has
 * another name now, has the name no longer against others; one that is joined wants it:
 * -EEXIST as room_add(), and nothing is written. */
int room_write(Store *s, const RoomRow *r);

/* In the order of their numbers. True to go on. FN must not write. */
typedef bool (*RoomFn)(void *userdata, DbTxn *txn, const RoomRow *r);
int room_each(DbTxn *txn, RoomFn fn, void *userdata);

/* The control log: blocks by epoch, and the proposals that no block has settled. OUTER is the
 * signed object; its certificate is kept by store_keep_certificate(). All that adds is refused
 * where the store is too full (store_check_room() with STORE_PERCENT_OWN): the control log is
 * little, and who may write matters more than what is written. */
int room_block_put(Store *s, uint32_t room, uint64_t epoch, Bytes outer);
int room_block_get(DbTxn *txn, uint32_t room, uint64_t epoch, Bytes *ret);

/* All from FROM_EPOCH on; the head in the row of the room is the caller's. */
int room_blocks_remove(Store *s, uint32_t room, uint64_t from_epoch);

/* 1 when it was there. room_proposal_remove(): 1 when it was, 0 when not. */
int room_proposal_put(
        Store *s, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes outer, usec_t now);
int room_proposal_get(
        DbTxn *txn, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes *ret);
int room_proposal_remove(Store *s, uint32_t room, const uint8_t hash[static SHA256_SIZE]);

typedef struct RoomProposalRow {
        const uint8_t *hash;
        Bytes outer;
        usec_t received; /* realtime */
} RoomProposalRow;

typedef bool (*RoomProposalFn)(void *userdata, DbTxn *txn, const RoomProposalRow *p);
int room_proposal_each(DbTxn *txn, uint32_t room, RoomProposalFn fn, void *userdata);
int room_proposal_count(DbTxn *txn, uint32_t room, size_t *ret);

/* Proposals that a block rests on, which are never pending again: in no digest, and for ever. */
int room_settled_put(Store *s, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes outer);
int room_settled_get(DbTxn *txn, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes *ret);
int room_settled_count(DbTxn *txn, uint32_t room, size_t *ret);

/* Keys by key epoch. room_key_last(): the newest one at or before EPOCH; room_key_next(): the first
 * one after AFTER. 1 or 0. */
int room_key_put(Store *s, uint32_t room, uint64_t epoch, const uint8_t key[static ROOM_KEY_SIZE]);
int room_key_get(DbTxn *txn, uint32_t room, uint64_t epoch, uint8_t ret[static ROOM_KEY_SIZE]);
int room_key_next(DbTxn *txn, uint32_t room, uint64_t after, uint64_t *ret);
int room_key_last(DbTxn *txn, uint32_t room, uint64_t epoch, uint64_t *ret_epoch,
        uint8_t ret[static ROOM_KEY_SIZE]);

/* Feeds */

typedef struct RoomFeed {
        Feed feed; /* `account` is SELF_NUMBER for all feeds of this account, older devices too */
        uint8_t tag[ROOM_TAG_SIZE]; /* SHA-256(account ‖ epoch ‖ device) */
        uint64_t
                change; /* of the room, when the head, `frozen`, or what readers may know changed */
        uint64_t frozen; /* 0, or the first seq that is not taken: the lower of the next two */
        uint64_t limit; /* 0, or as room_feed_freeze() says */
        uint64_t forked; /* 0, or the first seq of which there is a proof */
        uint64_t known; /* another device of this account has had the entries up to there: the user
                           has been told of them */
} RoomFeed;

/* Feeds of the account with that number, whose key is ACCOUNT. The feed may have no entry (seq 0):
 * it is in no digest then. */
typedef struct RoomFeedKey {
        uint32_t number; /* SELF_NUMBER for one's own */
        const uint8_t *account;
        uint64_t epoch;
        const uint8_t *device;
} RoomFeedKey;

int room_feed_open(Store *s, uint32_t room, const RoomFeedKey *key, RoomFeed *ret);

/* 1 or 0. */
int room_feed_find(DbTxn *txn, uint32_t room, const RoomFeedKey *key, RoomFeed *ret);
int room_feed_get(DbTxn *txn, uint32_t room, uint32_t feed, RoomFeed *ret);
int room_feed_find_tag(
        DbTxn *txn, uint32_t room, const uint8_t tag[static ROOM_TAG_SIZE], RoomFeed *ret);

/* Those that have changed after the change number AFTER (0: all), the oldest change first. True to
 * go on. FN must not write. */
typedef bool (*RoomFeedFn)(void *userdata, DbTxn *txn, const RoomFeed *f);
int room_feed_each(DbTxn *txn, uint32_t room, uint64_t after, RoomFeedFn fn, void *userdata);

/* The same, of one account, the oldest epoch first. */
int room_feed_each_of(DbTxn *txn, uint32_t room, uint32_t account, RoomFeedFn fn, void *userdata);

/* Takes nothing from FIRST on; 0: takes all again, but what a proof of a fork forbids. What is
 * there already is for store_room_cut(). */
int room_feed_freeze(Store *s, uint32_t room, uint32_t feed, uint64_t first);

/* The last seq of the feed up to which the user has read; 0: nothing. */
int room_feed_read(DbTxn *txn, uint32_t feed, uint64_t *ret);

/* What the user has done with a feed, somebody else's, on another device of this account. READ and
 * TOLD, which its author may know, come beside what has been read here, also of entries that are
 * still to come. KNOWN: as in RoomFeed. */
int room_feed_take_read(Store *s, uint32_t room, uint32_t feed, const Ranges *read,
        const Ranges *told, uint64_t known);

/* Proof that two entries have the place SEQ of a feed: kept is the one of the lowest seq, and the
 * feed is frozen there. 1: it is that; 0: nothing new. */
int room_fork_put(Store *s, uint32_t room, uint32_t feed, uint64_t seq, Bytes proof);
int room_fork_get(DbTxn *txn, uint32_t room, uint32_t feed, uint64_t *ret_seq, Bytes *ret);

typedef bool (*RoomForkFn)(void *userdata, DbTxn *txn, uint32_t feed, uint64_t seq, Bytes proof);
int room_fork_each(DbTxn *txn, uint32_t room, RoomForkFn fn, void *userdata);

/* What the account with that number has of an own feed, as it has said. room_mark_set() is 1 when
 * that is more than before; less is not noted, as nobody forgets (a cut takes it back). */
typedef struct RoomMark {
        uint32_t feed;
        uint64_t held, read; /* seqs; read <= held */
} RoomMark;

int room_mark_set(Store *s, uint32_t room, uint32_t account, const RoomMark *m);
int room_mark_get(DbTxn *txn, uint32_t room, uint32_t account, uint32_t feed, RoomMark *ret);

typedef bool (*RoomMarkFn)(void *userdata, DbTxn *txn, uint32_t account, const RoomMark *m);
int room_mark_each(DbTxn *txn, uint32_t room, uint32_t feed, RoomMarkFn fn, void *userdata);

/* Entries */

/* How another device of this account has had an entry. */
typedef struct RoomEntryWas {
        uint8_t flags; /* EntryFlags */
        EntryState state; /* of an own one: queued or stored */
        usec_t received, stored; /* by its clock */
        bool has_content;
        uint8_t content[SHA256_SIZE]; /* of an own one: what was sent under its id */
        bool news; /* it came there when this device was the active one already: the user is told */
} RoomEntryWas;

typedef struct NewRoomEntry {
        uint32_t room;
        uint32_t account; /* the author's number; SELF_NUMBER: this account, from whatever device */
        const Inner *inner;
        Bytes bytes; /* of INNER */
        const uint8_t *hash; /* of them */
        Bytes signature; /* of SIGNATURE_SIZE */
        const uint8_t *content; /* store_room_append(): what store_room_content() has made */
        const FeedHead
                *resume; /* NULL, or a head that a span of the author's begins with: the entry
                                   may follow that instead of the head that is here */
        bool quiet; /* store_room_receive(): from before the user came. It counts as read, and no
                       event tells of it */
        const RoomEntryWas *was; /* store_room_receive(): NULL, or the entry is handed over */
        usec_t now; /* realtime */
} NewRoomEntry;

/* What makes two sends into a room the same. REPLY_TO may be NULL. */
void store_room_content(const uint8_t room[static SHA256_SIZE], const Uuid *reply_to, Bytes text,
        uint8_t ret[static SHA256_SIZE]);

/* Whether an own message has been sent under this id: 1 with the same content, into this room;
 * -EEXIST: with another, or to somebody else; 0: not yet. To be asked before anything is made. */
int store_room_sent(DbTxn *txn, const Uuid *id, const uint8_t content[static SHA256_SIZE]);

/* Fills in where an own entry goes: conversation, account, epoch, device, seq, prev, hlc, parents,
 * sent, expires, and opens the feed. The rest of IO is the caller's. -ENOENT: no such room; -EROFS:
 * the own feed is frozen there; as store_check_room() where the store is too full. */
int store_room_prepare(Store *s, const Identity *self, uint32_t room, usec_t now, Inner *io);

/* The entry that was prepared in this batch, signed. As store_room_sent() where its id is known.
 * -ESTALE: it follows neither the head of its feed nor `resume`; -EROFS: the feed is frozen. */
int store_room_append(Store *s, const NewRoomEntry *e);

typedef enum RoomTaken {
        ROOM_ENTRY_NEW,
        ROOM_ENTRY_AGAIN, /* is here already */
        ROOM_ENTRY_GAP, /* something before it is missing */
        ROOM_ENTRY_FORK, /* another entry is at its place (`at`), or it follows another one than is
                            here (`at` is the place of that, one before) */
        ROOM_ENTRY_REFUSED, /* the feed is frozen there, or it is a hole between two spans, or the
                               author contradicts the head after which he goes on */
} RoomTaken;

typedef struct RoomReceived {
        RoomTaken taken;
        uint32_t feed; /* 0: none was opened */
        uint64_t seq; /* GAP: its head: what is wanted comes after that */
        uint64_t at; /* FORK: where to look for the other one */
} RoomReceived;

/* What was sent under the id of the own entry M of FEED, as the device knows that sent it: 1, or 0
 * where the id is not kept. _keep_content(): as another device has known it. */
int store_room_content_of(
        DbTxn *txn, uint32_t feed, const Inner *m, uint8_t ret[static SHA256_SIZE]);
int store_room_keep_content(
        Store *s, uint32_t feed, const Inner *m, const uint8_t content[static SHA256_SIZE]);

/* An own id of which is known that it was used, and not for which message, can be used again. */
int store_room_free_id(Store *s, const Uuid *id);

/* Takes an entry in that has been proven, and that its author may write. With `resume` the head
 * that is here must be the last of the span before, and only the caller can know that it is: a feed
 * whose earlier span is not complete must not go on in the next, as nobody would ask for the rest
 * any more. Entries of this account's are taken as sent. */
int store_room_receive(Store *s, const NewRoomEntry *e, RoomReceived *ret);

/* Entries that one call of store_room_cut() deletes. */
#define ROOM_CUT_MAX 2048

/* Deletes the entries of a feed from FIRST on, the newest first, as if they had never come. 1:
 * there are more, for another batch. What is left after each call is in itself right. */
int store_room_cut(Store *s, uint32_t room, uint32_t feed, uint64_t first);

/* Entries of a feed after AFTER, with their signatures. True to go on. */
typedef bool (*RoomEntryFn)(void *userdata, DbTxn *txn, const Entry *e);
int store_room_entries(DbTxn *txn, uint32_t feed, uint64_t after, RoomEntryFn fn, void *userdata);

/* The first entry of a feed whose hybrid clock is HLC or later, of all, which are looked at one by
 * one. 1 or 0. */
int store_room_first_at(DbTxn *txn, uint32_t feed, uint64_t hlc, uint64_t *ret);

/* Where the message with this id of a room is; of several, the one whose feed was the first to be
 * here. 1 or 0. */
int store_room_find_id(
        DbTxn *txn, uint32_t room, const Uuid *id, uint32_t *ret_feed, uint64_t *ret_seq);

/* As store_mark_read(), for a message of a room. 1, 0 or -ENOENT. TELL: the feeds whose authors may
 * know of it have changed. */
int store_room_mark_read(Store *s, uint32_t room, const Uuid *id, usec_t now, bool tell);

/* SHA-256 over the hashes of all entries of a conversation, direct or a room, in the order they are
 * shown in; and how many they are. */
int store_digest(
        DbTxn *txn, uint32_t conversation, uint8_t ret[static SHA256_SIZE], uint64_t *ret_n);
