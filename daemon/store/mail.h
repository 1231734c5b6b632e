/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What is kept of sealed mail: where envelopes of own messages lie, what is owed to people who are
 * away, and the tokens by which they take mail.
 */

#include "store/message.h"
#include "wire/mailbox.h"

/* Directories at which one envelope may lie. */
#define MAIL_REPLICAS_MAX 16

/* The envelope of an own message: there while one may lie somewhere, or is to be sealed again. It
 * outlives the row of the outbox until the mailboxes have been told. */
typedef struct MailItem {
        uint32_t recipient;
        OutboxPosition at;
        uint8_t id[SHA256_SIZE];
        uint8_t secret[WITHDRAW_SECRET_SIZE];
        usec_t sealed, expires; /* realtime */
        uint8_t trackers[MAIL_REPLICAS_MAX][KEY_SIZE]; /* that have it, as far as known */
        size_t n_trackers; /* 0: none has it any more */
} MailItem;

int mail_item_put(Store *s, const MailItem *m);
int mail_item_remove(Store *s, uint32_t recipient, OutboxPosition at);

/* 1 or 0. */
int mail_item_get(DbTxn *txn, uint32_t recipient, OutboxPosition at, MailItem *ret);

/* The first of a recipient's after AFTER ({0, 0}: the first). 1 or 0. */
int mail_item_next(DbTxn *txn, uint32_t recipient, OutboxPosition after, MailItem *ret);

/* The envelope of M lies in mailboxes, durably there: the message is `stored`, if it was queued
 * until now, and its sender's clients hear of it. */
int store_mark_stored(Store *s, const MailItem *m, const Uuid *id, usec_t now);

/* A receipt for a feed is owed to somebody who is away. What it says is made when it is sealed.
 * `mark` is random: what was sealed before does not pay for what is owed since. */
typedef struct MailOwed {
        uint32_t account, feed;
        ReceiptState state;
        uint64_t mark;
} MailOwed;

int mail_owe(Store *s, const MailOwed *o);

/* The first that is owed to an account, after AFTER ({.account}: the first of all). 1 or 0. */
int mail_owed_next(DbTxn *txn, const MailOwed *after, MailOwed *ret);

/* O has been said, unless there was more to say meanwhile. */
int mail_owed_remove(Store *s, const MailOwed *o);

/* The first account above AFTER with envelopes or something owed. 1 or 0. */
int mail_next_account(DbTxn *txn, uint32_t after, uint32_t *ret);

/* Rows of either kind. */
uint64_t mail_count_items(DbTxn *txn);
uint64_t mail_count_owed(DbTxn *txn);

/* The token of a contact, a signed object; empty: none any more. store_get_token(): 1, with bytes
 * in the map, or 0. */
int store_set_token(Store *s, uint32_t account, Bytes token);
int store_get_token(DbTxn *txn, uint32_t account, Bytes *ret);
