/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * How often passwords may be tried. Three buckets are charged for a try, or none of them when one
 * is empty:
 *
 * - of one account from one source, so that a source learns little about an account;
 * - of one source over all accounts;
 * - of one account over all sources together, but for those that have lately logged in to it: so
 *   that many sources learn no more, and yet lock nobody out who comes from where he always does.
 *
 * A try that succeeds is given back. Accounts that there are not have buckets like all others.
 * Pure: the clock is passed in. In memory only, and bounded: what goes first is what would be full
 * first, which is what was least used.
 */

#include "crypto/sign.h"
#include "node/key-hash.h"
#include "util/usec.h"

#define TRIES_OF_ONE 10
#define TRIES_OF_ONE_REFILL (6 * USEC_PER_MINUTE) /* for each */
#define TRIES_FROM_SOURCE 60
#define TRIES_FROM_SOURCE_REFILL USEC_PER_MINUTE
#define TRIES_AT_ACCOUNT 100
#define TRIES_AT_ACCOUNT_REFILL USEC_PER_MINUTE

#define TRIES_BUCKETS_MAX 65536 /* of each kind: about 130 bytes */

#define TRIES_SOURCE_SIZE 16 /* sockaddr_prefix() */

typedef struct Try {
        uint8_t account[KEY_SIZE]; /* or what stands for one that there is not */
        uint8_t source[TRIES_SOURCE_SIZE];
        bool known; /* the source has lately logged in to the account */
} Try;

typedef struct Tries Tries;

/* Each kind has at most BUCKETS. HASH outlives it. */
int tries_new(const KeyHash *hash, size_t buckets, Tries **ret);
Tries *tries_free(Tries *t);

/* True: charged. False: it is one too many, or there is no memory; RET_WAIT says for how long. */
bool tries_take(Tries *t, const Try *x, usec_t now, usec_t *ret_wait);

/* As it was taken. */
void tries_give_back(Tries *t, const Try *x);
