/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a user's daemon keeps. Tables of one LMDB environment; every write joins the open batch
 * (db/db.h), so nothing here is durable before db_after_commit() says so.
 *
 * Functions that decide a write read in the batch; functions that answer a user take a snapshot.
 * Accounts, conversations and feeds have numbers, given out once and never used again, which keep
 * the keys of the many rows short.
 */

#include "crypto/hash.h"
#include "crypto/sign.h"
#include "store/row.h"

/* Table: key -> value (after the head). Numbers in keys are big-endian. */
enum {
        TABLE_META, /* text -> as its user says */
        TABLE_ACCOUNT, /* account key -> Contact */
        TABLE_ACCOUNT_KEY, /* u32 number -> account key */
        TABLE_NAME, /* name -> account key: who is shown under the plain name */
        TABLE_CLAIM, /* name, 0, account key -> nothing: everybody who claims it */
        TABLE_CONVERSATION, /* u32 number -> Conversation */
        TABLE_CONVERSATION_HASH, /* hash -> u32 number */
        TABLE_FEED, /* u32 number -> Feed */
        TABLE_FEED_KEY, /* u32 conversation, u32 account, u64 epoch, device -> u32 number */
        TABLE_ENTRY, /* u32 feed, u64 seq -> Entry with INNER */
        TABLE_ORDER, /* u32 conversation, u64 hlc, account, epoch, device, seq -> u32 feed */
        TABLE_ID, /* u32 account, id -> where the message is, what it was, until when */
        TABLE_OUTBOX, /* u32 recipient, u32 feed, u64 seq -> id, expires */
        TABLE_RECEIPT, /* u32 own feed -> ranges that the recipient has signed for */
        TABLE_ENDPOINT, /* u32 account -> endpoints */
        TABLE_CERTIFICATE, /* device key, u64 epoch -> certificate as signed */
        TABLE_EXPIRY, /* u64 expires, u32 recipient, u32 feed, u64 seq -> nothing */
        TABLE_READ, /* u32 foreign feed -> ranges that the user has read */
        TABLE_EVENT, /* u64 cursor -> what has happened */
        TABLE_VOID, /* u32 feed, u8 reason -> ranges that will never come */
        TABLE_CLIENT, /* name -> cursor up to which it has acknowledged events */
        TABLE_PREKEY, /* u64 id -> an own prekey, with its secret */
        TABLE_MAIL, /* u32 recipient, u32 feed, u64 seq -> where its envelopes lie */
        TABLE_MAIL_OWED, /* u32 account, u32 feed, u8 state -> a receipt is to be sealed */
        TABLE_TOKEN, /* u32 account -> what lets mail into its mailbox */
        TABLE_READ_RECEIPT, /* u32 feed -> own: ranges that the recipient has signed for as read;
                               foreign: ranges that the user has read and lets its author know */
        TABLE_PRESENCE_KEY, /* u32 account -> what opens where it is to be found */
        TABLE_ROOM, /* u32 room, which is its conversation -> RoomRow */
        TABLE_ROOM_NAME, /* name -> u32 room: the one that the user is in */
        TABLE_ROOM_BLOCK, /* u32 room, u64 epoch -> block of the control log, as signed */
        TABLE_ROOM_PROPOSAL, /* u32 room, hash -> when it came, proposal as signed */
        TABLE_ROOM_KEY, /* u32 room, u64 epoch -> the key of the room from then on */
        TABLE_ROOM_FORK, /* u32 room, u32 feed -> seq, proof */
        TABLE_ROOM_MARK, /* u32 room, u32 own feed, u32 account -> what somebody has of it */
        TABLE_ROOM_FEED, /* u32 feed -> what RoomFeed has beside Feed */
        TABLE_ROOM_CHANGE, /* u32 room, u64 change -> u32 feed */
        TABLE_ROOM_TAG, /* u32 room, tag, u32 feed -> nothing */
        TABLE_ROOM_ID, /* u32 room, id, u32 feed, u64 seq -> nothing */
        TABLE_ROOM_SETTLED, /* u32 room, hash -> proposal that a block rests on, as signed */
        _TABLE_MAX,
};

/* 1 is that of 0.1.0 to 0.5.0, 2 that of 0.6.0 and 0.7.0, 3 that of 0.8.0, whose programs take rows
 * of today for damaged or do not know what belongs to them; what they wrote is read as it is. */
#define STORE_SCHEMA_VERSION 4

/* So many messages that were sealed can be looked at at a time. */
#define SEAL_OPENED 16

typedef struct Store {
        Db *db;
        Buffer row; /* scratch for the row being written */
        Buffer inner; /* and for the own message */
        Loop *loop; /* for randomness */

        /* seal-private.h */
        struct Seal *seal; /* NULL: nothing is sealed */
        Buffer sealed; /* scratch */
        Buffer opened[SEAL_OPENED]; /* the last messages */
        unsigned next_opened;

        /* Where the last ones were found. Only hints: what is read there is compared. */
        struct {
                uint8_t self[KEY_SIZE], peer[KEY_SIZE], hash[SHA256_SIZE];
                uint32_t number;
        } conversation_hint;
        uint32_t feed_hint[2]; /* own, foreign */

        /* event.h */
        void (*events_fn)(void *userdata, int error);
        void *events_userdata;
        uint64_t events_batch; /* the last batch that got any, */
        uint64_t last_event; /* and the cursor of the last of them */
} Store;

/* The batch and the snapshot of db/db.h, for the layers above, which do not know db/. */
DbTxn *store_write(Store *s);
int store_read_begin(Store *s, DbTxn **ret);
void store_read_end(DbTxn *txn);
DEFINE_CLEANUP(DbTxn *, store_read_end)
int store_after_commit(Store *s, DbCommitFn fn, void *userdata);
void store_forget(Store *s, void *userdata);
uint64_t store_batch_number(const Store *s);
int store_commit(Store *s);

/* The open batch fails with ERROR, for who finds in the middle of several writes that they cannot
 * be completed: nothing of it is kept. */
void store_fail(Store *s, int error);

/* What was read cannot have been written: notes it, and is -EUCLEAN. */
int store_damaged(DbTxn *txn);

/* How the store is, for status and doctor. Sizes in bytes. */
typedef struct StoreHealth {
        int last_error; /* of the last batch, 0 when it went well */
        int open_error; /* why the environment is closed, 0 while it is open */
        usec_t slowest_commit, last_commit; /* since the start */
        uint64_t used; /* by what is kept, free pages of the file left out */
        uint64_t limit; /* storage.max-size, or what the address space allows */
        uint64_t free; /* on the file system, for this user */
        bool reserve; /* the room for acks and deletions on a full disk is held */
        bool full; /* the disk is: it was given up, and there is no room to take it again */
        bool damaged; /* something was read that cannot have been written */
} StoreHealth;

void store_get_health(Store *s, StoreHealth *ret);

/* Calls FN after a slow commit, and when something of the health but the sizes has changed. It must
 * not write. */
void store_set_watch(Store *s, DbWatchFn fn, void *userdata);

/* storage.max-size: bytes, 0: as much as the file system has. */
void store_set_max_size(Store *s, uint64_t size);

/* Above these parts of the limit nothing new is taken in, from others and from the user. What is
 * left is for acks, receipts and deletions. */
#define STORE_PERCENT_MAIL 90
#define STORE_PERCENT_OWN 95

/* 0, or why nothing new can be kept now: -ENOSPC: the disk is full; -EDQUOT: the store is; else the
 * disk cannot be used. Room that has come back is noticed here. */
int store_check_room(Store *s, unsigned percent);

#define STORE_TEXT_SIZE 256

/* What is wrong, in a sentence for the user; NULL when nothing is. */
const char *store_problem(const StoreHealth *h, char buf[static STORE_TEXT_SIZE]);

/* The same for an error of store_check_room() or a batch. */
const char *store_error_text(int error, char buf[static STORE_TEXT_SIZE]);

/* DIR/db. -EPROTONOSUPPORT: written by a newer version; -EMEDIUMTYPE: not a store of p2pchatd;
 * else as db_open(). A store that is refused is left as it is. */
int store_open(const char *dir, Loop *loop, Store **ret);
Store *store_close(Store *s);

const char *store_table_name(unsigned table);

/* What is in the store is not to be kept, from this batch on: the next store_open() empties it, or
 * store_begin_anew(), where nobody has anything of it in memory. That commits; then the store is a
 * new one, but for where the key of its sealed rows is kept. */
int store_give_up(Store *s);
int store_is_given_up(DbTxn *txn);
int store_begin_anew(Store *s);

/* Rows of TABLE_META. store_meta_get(): 1 with the row, 0 without, or an error. */
int store_meta_get(DbTxn *txn, const char *key, DbValue *ret);
DbKey store_meta_key(const char *key);

/* A counter of TABLE_META: the next number, from 1. */
int store_next_number(Store *s, const char *counter, uint32_t *ret);

/* The TCP port chosen at the first start, 0 if none was yet. */
uint16_t store_port(Store *s);
int store_set_port(Store *s, uint16_t port);
