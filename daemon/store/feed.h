/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Conversations and feeds: the rows that say how far each author got.
 *
 * A conversation keeps its hybrid logical clock (Kulkarni et al., 2014): 48 bits of ms and a 16-bit
 * counter, so that what was written after something was seen also sorts after it. A feed keeps its
 * head, which no pruning touches, and, for others' feeds, the ranges that are on this disk: what a
 * receipt can say. Those are the newest ones (ranges.h); of what is older, the rows of the entries
 * tell whether it is here.
 */

#include "store/contact.h"
#include "store/ranges.h"
#include "wire/message.h"

/* Entries further ahead than this do not advance our clock. */
#define CLOCK_AHEAD_MAX (2 * USEC_PER_MINUTE)

typedef struct Conversation {
        uint32_t number;
        uint32_t peer; /* number of the account; 0 for a room */
        uint8_t hash[SHA256_SIZE];
        uint64_t hlc;
        uint64_t last_time; /* µs, realtime: when its last message was sent or came */
        uint32_t unread;
        uint32_t stranger_messages; /* kept while the peer is a stranger */
        uint64_t stranger_bytes;
} Conversation;

int conversation_get(DbTxn *txn, uint32_t number, Conversation *ret);
int conversation_find(DbTxn *txn, const uint8_t hash[static SHA256_SIZE], Conversation *ret);

/* Finds or makes the direct conversation between two accounts. */
int conversation_open_direct(
        Store *s, const uint8_t self[static KEY_SIZE], const Contact *peer, Conversation *ret);
int conversation_write(Store *s, const Conversation *c);

/* Rooms, by their ids. A room is found in no other way: its id can be made to be what the hash of a
 * direct conversation is. */
int conversation_find_room(DbTxn *txn, const uint8_t id[static SHA256_SIZE], Conversation *ret);
int conversation_add_room(Store *s, const uint8_t id[static SHA256_SIZE], Conversation *ret);

/* The clock for an own message, and what a foreign one makes of it. */
uint64_t hlc_next(uint64_t last, usec_t realtime);
uint64_t hlc_merge(uint64_t last, uint64_t seen, usec_t realtime);

static inline usec_t hlc_time(uint64_t hlc) {
        return (hlc >> 16) * USEC_PER_MSEC;
}

typedef struct Feed {
        uint32_t number;
        uint32_t conversation, account;
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint64_t seq; /* the head, refused entries included; 0: nothing yet */
        uint8_t hash[SHA256_SIZE];
        Ranges have; /* others' feeds only: what is on this disk, the newest of it */
        uint8_t have_hash[SHA256_SIZE]; /* of the last entry in `have` */
} Feed;

int feed_get(DbTxn *txn, uint32_t number, Feed *ret);

/* The feed of (account, epoch, device) in a conversation. feed_find(): 1 or 0. */
int feed_find(DbTxn *txn, uint32_t conversation, uint32_t account, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], Feed *ret);
int feed_open(Store *s, uint32_t conversation, uint32_t account, uint64_t epoch,
        const uint8_t device[static KEY_SIZE], Feed *ret);
int feed_write(Store *s, const Feed *f);

/* Feeds of an account in a conversation, oldest epoch first. */
typedef int (*FeedFn)(void *userdata, DbTxn *txn, const Feed *f);
int feed_each(DbTxn *txn, uint32_t conversation, uint32_t account, FeedFn fn, void *userdata);

/* Of all accounts. */
int feed_each_in(DbTxn *txn, uint32_t conversation, FeedFn fn, void *userdata);
