/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What is said to a tracker about sealed mail (wire/mail.h), beside wire/tracker.h.
 *
 * DEPOSIT      {3 account, 4 envelope, 5 expires, 6 withdraw hash, 7 token, 8 stamp}
 *                                                 -> OK {3 replicas, 4 record}
 * COLLECT      {3 after, 4 limit}                 -> OK {3 [{0 envelope, 1 expires}], 4 after}
 * COLLECTED    {3 [ids], 4 rekey}                 -> OK {}
 * MAIL_STATUS  {3 account, 4 [ids]}               -> OK {3 [{0 state, 1 rekey}]}
 * WITHDRAW     {3 account, 4 id, 5 secret}        -> OK {}
 * push MAIL_WAITING {3 items}
 */

#include "wire/mail.h"
#include "wire/tracker.h"

/* The right to leave something is shown by a token, or paid for by a stamp. */
typedef struct Deposit {
        uint8_t account[KEY_SIZE]; /* the recipient */
        Bytes envelope;
        uint64_t expires; /* µs, realtime */
        uint8_t withdraw_hash[SHA256_SIZE]; /* of the secret that WITHDRAW shows */
        Bytes token; /* empty: none */
        bool has_stamp;
        uint64_t stamp;
} Deposit;

int deposit_encode(Buffer *out, uint64_t request, const Deposit *d);
int deposit_decode(Frame *f, Deposit *ret);

/* No replicas: it was not kept, since the prekey is not that of the record, which comes with it. */
typedef struct DepositAnswer {
        uint64_t replicas;
        Bytes record; /* empty when there are replicas */
} DepositAnswer;

int deposit_answer_encode(Buffer *out, uint64_t request, const DepositAnswer *a);
int deposit_answer_decode(Frame *f, DepositAnswer *ret);

#define COLLECT_MAX 64 /* items in an answer */
#define COLLECT_AFTER_MAX 64

typedef struct Collect {
        Bytes after; /* empty: from the oldest; else what an answer said */
        uint64_t limit; /* brought into 1 to COLLECT_MAX */
} Collect;

int collect_encode(Buffer *out, uint64_t request, const Collect *c);
int collect_decode(Frame *f, Collect *ret);

typedef struct CollectAnswer {
        struct {
                Bytes envelope;
                uint64_t expires;
        } items[COLLECT_MAX];
        size_t n_items;
        Bytes after; /* empty: this was the last page */
} CollectAnswer;

/* -EMSGSIZE where the items do not fit a frame: the tracker then takes fewer. One always does. */
int collect_answer_encode(Buffer *out, uint64_t request, const CollectAnswer *a);
int collect_answer_decode(Frame *f, CollectAnswer *ret);

#define COLLECTED_MAX 1024

/* Durable at the recipient: the items go. REKEY, instead or beside: those that it names stay. */
typedef struct Collected {
        Bytes ids; /* one after the other, at most COLLECTED_MAX */
        Bytes rekey; /* a signed object; empty: none */
} Collected;

int collected_encode(Buffer *out, uint64_t request, const Collected *c);
/* The ids are copied into BUF. */
int collected_decode(Frame *f, uint8_t (*buf)[SHA256_SIZE], Collected *ret);

#define MAIL_STATUS_MAX 16

typedef enum MailState {
        MAIL_UNKNOWN, /* never seen here, or forgotten since it expired */
        MAIL_HELD,
        MAIL_GONE, /* collected or withdrawn */
        _MAIL_STATE_MAX,
} MailState;

typedef struct MailStatus {
        uint8_t account[KEY_SIZE];
        uint8_t ids[MAIL_STATUS_MAX][SHA256_SIZE];
        size_t n_ids; /* at least 1 */
} MailStatus;

int mail_status_encode(Buffer *out, uint64_t request, const MailStatus *s);
int mail_status_decode(Frame *f, MailStatus *ret);

/* In the order in which they were asked for. */
typedef struct MailStatusAnswer {
        struct {
                MailState state;
                Bytes rekey; /* left by the recipient; empty: none */
        } items[MAIL_STATUS_MAX];
        size_t n_items;
} MailStatusAnswer;

int mail_status_answer_encode(Buffer *out, uint64_t request, const MailStatusAnswer *a);
int mail_status_answer_decode(Frame *f, MailStatusAnswer *ret);

#define WITHDRAW_SECRET_SIZE 32

typedef struct Withdraw {
        uint8_t account[KEY_SIZE];
        uint8_t id[SHA256_SIZE];
        uint8_t secret[WITHDRAW_SECRET_SIZE];
} Withdraw;

int withdraw_encode(Buffer *out, uint64_t request, const Withdraw *w);
int withdraw_decode(Frame *f, Withdraw *ret);

int mail_waiting_encode(Buffer *out, uint64_t items);
int mail_waiting_decode(Frame *f, uint64_t *ret_items);
