/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The keys by which passwords are evaluated (crypto/oprf.h), in a database of their own: whoever
 * has the directory without it cannot test a single password, and nothing of it ever leaves the
 * node. Beside the keys it has the seed of all that stands for accounts that have no password or
 * are not there, and from where accounts have lately been logged in to.
 *
 * Of an account it has the key that the account's statement names, the current one, and those that
 * were made after it: two at most, which wait for a statement that names them. When that is on
 * disk, those before it go (oprf_keys_settle()); where the program ends in between, they go with
 * the next key, or by oprf_keys_crowded().
 *
 * Reads are of what is committed, but for one. Nothing here logs, and what holds a key is for the
 * caller to wipe.
 */

#include "crypto/oprf.h"
#include "crypto/sign.h"
#include "util/loop.h"

#define OPRF_KEYS_PENDING_MAX 2

/* Sources that count as known, of an account; for how long. */
#define OPRF_SOURCES_MAX 8
#define OPRF_SOURCE_TIME (30 * USEC_PER_DAY)
#define OPRF_SOURCE_SIZE 16 /* sockaddr_prefix() */

typedef struct OprfKeys OprfKeys;

/* DIR is created 0700. Errors as dstore_lmdb_open(). */
int oprf_keys_open(Loop *l, const char *dir, OprfKeys **ret);

/* What was accepted is on disk afterwards. */
OprfKeys *oprf_keys_close(OprfKeys *o);

typedef struct OprfKey {
        uint64_t id; /* random, 1 to INT64_MAX */
        uint8_t key[OPRF_KEY_SIZE];
        uint64_t memory, passes; /* of Argon2id, as they were said with it */
} OprfKey;

void oprf_key_wipe(OprfKey *k);

/* What stands for an account that a name does not lead to: always the same for a name, and no
 * account of anybody. */
void oprf_keys_nobody(const OprfKeys *o, const char *name, uint8_t ret_account[static KEY_SIZE]);

/* Key and id for an account without a password, which look like those of any other and are always
 * the same; and a login key that nobody has. MEMORY and PASSES are the caller's. */
void oprf_keys_fake(const OprfKeys *o, const uint8_t account[static KEY_SIZE], OprfKey *ret,
        uint8_t ret_login[static KEY_SIZE]);

/* 1 with the key, 0 where there is none, or an error. */
int oprf_keys_get(OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t id, OprfKey *ret);

/* The same as the next commit will have it: before what is to be written elsewhere names the key.
 */
int oprf_keys_get_next(
        OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t id, OprfKey *ret);

/* FN is called once, later. */
typedef void (*OprfKeysFn)(void *userdata, int error);

/* Keeps one more, after all there are. CURRENT is the id of the current one, or 0. -ENOSPC where
 * there is no room for anything new. */
int oprf_keys_add(OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t current,
        const OprfKey *k, OprfKeysFn fn, void *userdata);

/* The directory has the statement that names CURRENT: those before it go. 0: the account has no
 * password any more, and all of them go. Where CURRENT is not there, nothing is done. */
int oprf_keys_settle(OprfKeys *o, const uint8_t account[static KEY_SIZE], uint64_t current);

/* There is no such account any more: all that is here of it goes. FN may be NULL. */
int oprf_keys_remove(
        OprfKeys *o, const uint8_t account[static KEY_SIZE], OprfKeysFn fn, void *userdata);

/* Accounts that have more than one key, among the next BUDGET keys after those of AFTER, which says
 * then how far it got (zeros: from the first). 1: there are more; 0: these were the last. */
int oprf_keys_crowded(OprfKeys *o, uint8_t after[static KEY_SIZE], unsigned budget,
        void (*fn)(void *userdata, const uint8_t account[static KEY_SIZE]), void *userdata);

/* Whether the account was logged in to from there within OPRF_SOURCE_TIME. NOW is realtime. 1, 0 or
 * an error. */
int oprf_keys_knows(OprfKeys *o, const uint8_t account[static KEY_SIZE],
        const uint8_t source[static OPRF_SOURCE_SIZE], uint64_t now);

/* It was just now. Who has it on disk cannot read from it where that is. */
int oprf_keys_remember(OprfKeys *o, const uint8_t account[static KEY_SIZE],
        const uint8_t source[static OPRF_SOURCE_SIZE], uint64_t now);

/* Answers for USERDATA will not be called any more. */
void oprf_keys_forget(OprfKeys *o, void *userdata);
