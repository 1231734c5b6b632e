/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Accounts with a password: what node-account.c (new keys, and the statements that name them) and
 * node-login.c (passwords that are tried) share.
 *
 * A statement is in the directory, its key in a database of its own. A statement is only taken for
 * a key that is on disk, and keys before it go when it is on disk as well: wherever the program
 * ends, the key that the newest statement names is there.
 *
 * Whether there is an account, and whether it has a password, is told to nobody who has not shown
 * that he knows it. So the same is done in all cases: everything is looked up, what would stand for
 * a missing row is parsed in its place, what would stand for a missing password is derived, and
 * only then is chosen. What is left of a difference, since a row that is there has to be fetched
 * from memory, nobody sees: the answer waits until a fixed time after the question (Trial).
 */

#include "crypto/password.h"
#include "node/node-internal.h"
#include "node/oprf-keys.h"
#include "node/tries.h"
#include "wire/account.h"

/* What an evaluation costs of the frames that a session may send, and a signature that is looked
 * at. */
#define OPRF_FRAMES 8
#define LOGIN_FRAMES 4

/* New keys and statements, of one address. */
#define ACCOUNT_CHANGES_PER_HOUR 1000

/* Who deletes an account with a password has proven it within this, over the same session. */
#define ACCOUNT_PROOF_TIME (5 * USEC_PER_MINUTE)

/* Keys that were looked at after a start, in steps of so many. */
#define SWEEP_BUDGET 1000

/* A statement on its way into the store, whatever becomes of the session. */
typedef struct AccountStep AccountStep;

/* What is left of an account that was deleted. */
typedef struct Deletion Deletion;

/* A question about a password, and what will be said to it. First member of what it needs besides.
 */
typedef struct Trial Trial;
struct Trial {
        ClientRequest request;
        usec_t due;
        Buffer answer; /* once it is made */
        bool waits;
        Trial *prev, *next; /* in the order of their times */
};

struct NodeAccounts {
        Node *node;
        OprfKeys *keys;
        Tries *tries;
        KeyHash hash;
        AccountStep *steps;
        Deletion *deletions;
        LoopTimer *delete_again;

        Trial *trials; /* with an answer */
        LoopTimer *answer;

        /* In the place of what there is not. */
        Buffer decoy_record, decoy_statement;

        LoopTimer *sweep; /* NULL: it is over */
        uint8_t swept[KEY_SIZE];
};

/* A password that was evaluated and waits for its LOGIN. */
struct LoginTry {
        OprfRequest asked;
        Try charged; /* of the account, or what stands for it */
        bool throttled;
        uint64_t retry_after; /* s */
};

static inline NodeAccounts *client_accounts(const Client *c) {
        return c->node->accounts;
}

/* What was said with a key that stands for none, and what a new one gets. */
PasswordCost accounts_cost(const NodeAccounts *a);

/* The statement that a read has found, as node_record_read(). Nothing: the decoy is read. */
int accounts_statement_read(NodeAccounts *a, int error, Bytes blob, AccountStatement *ret);
int accounts_record_read(NodeAccounts *a, int error, Bytes blob, Record *ret);

/* What the database of keys has answered. WROTE: something new is on disk. */
void accounts_keys_told(NodeAccounts *a, int error, bool wrote);

void accounts_give_answers(NodeAccounts *a);

/* OPRF with `enrol`. */
void client_enrol(Client *c, uint64_t id, const OprfRequest *asked);

/*
 * Deletion (node-delete.c). With the statement, in one step, the record goes, and the claim to its
 * name, and it is noted that there is more to be done (GONE): keys, mailbox, when he was last seen.
 * Where the program ends in between, that is done after the next start, and where it fails, again
 * an hour later.
 */

#define DELETION_RETRY USEC_PER_HOUR

/* The rows of that step but the statement's own. NAME: of the newest record. */
#define DELETION_ROWS 4
void deletion_rows(const uint8_t account[static KEY_SIZE], const char *name, Bytes statement,
        DStoreMerge rows[static DELETION_ROWS]);

/* It is on disk: nobody is the account any more, who had NAME, and the rest goes. */
void accounts_deleted(NodeAccounts *a, const uint8_t account[static KEY_SIZE], const char *name);

/* After a start, or a failure; and before the end. */
void accounts_go_on_deleting(NodeAccounts *a);
void accounts_stop_deleting(NodeAccounts *a);

/* The errors of the databases, for a request that has not been answered. */
void account_request_unreadable(ClientRequest *rq);
void account_request_invalid_element(ClientRequest *rq);
