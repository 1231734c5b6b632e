/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * When somebody is tried again, and where. Pure: no loop, no store; times are monotonic and, like
 * random values, arguments.
 *
 * A fresh message leads to an attempt at once. After that the waits grow with its age, so a day-old
 * message costs an attempt every five minutes. An endpoint that failed has a pause of its own,
 * which grows with its failures: whoever writes once a second to somebody who is away does not dial
 * a dead address once a second.
 */

#include "util/sockaddr.h"
#include "wire/identity.h"

#define SCHEDULE_FIRST (500 * USEC_PER_MSEC)
#define SCHEDULE_LAST (5 * USEC_PER_MINUTE)

/* How long to wait for the next attempt when the newest message that waits is AGE old. */
usec_t schedule_wait(usec_t age, uint64_t random);

/* Endpoints of accounts that did not work. Bounded: with more, those are forgotten that failed
 * longest ago. Endpoints are texts; the empty one may stand for asking a directory. */

#define DEAD_MAX 2048
#define DEAD_PAUSE_FIRST USEC_PER_SEC

/* Where somebody else answers, or nobody who could be the account, is worth less than silence. */
#define DEAD_PAUSE_WRONG USEC_PER_MINUTE

typedef struct Dead Dead;

typedef struct DeadList {
        Dead *table;
} DeadList;

typedef struct DeadKey {
        uint8_t bytes[16];
} DeadKey;

DeadKey dead_key(const uint8_t account[static KEY_SIZE], const char *endpoint);

/* Failed once more. WRONG: somebody else was there. Without memory nothing is remembered. */
void dead_add(DeadList *d, const DeadKey *key, bool wrong, usec_t now, uint64_t random);

/* It works. */
void dead_forget(DeadList *d, const DeadKey *key);

/* There is reason to believe that it works again: it may be tried at once, but pauses for longer
 * when that was wrong. Not sooner than DEAD_PAUSE_FIRST after its last failure. */
void dead_excuse(DeadList *d, const DeadKey *key, usec_t now);

/* When it may be tried again; 0 for what has not failed. */
usec_t dead_until(const DeadList *d, const DeadKey *key);
size_t dead_count(const DeadList *d);
void dead_done(DeadList *d);

/* Where an account may be. Later sources are worth less. */
typedef enum CandidateSource {
        CANDIDATE_LAN, /* it has proved to be there on the local network; may have a scope */
        CANDIDATE_ANNOUNCED, /* said to be there now */
        CANDIDATE_REACHED, /* it was reached there last */
        CANDIDATE_CACHED, /* it was said to be there once */
} CandidateSource;

#define CANDIDATES_MAX 24
#define CANDIDATE_SIZE 64

typedef struct Candidate {
        char endpoint[CANDIDATE_SIZE];
        CandidateSource source;
        usec_t until; /* from dead_until() */
} Candidate;

typedef struct Candidates {
        Candidate list[CANDIDATES_MAX];
        size_t n;
} Candidates;

/* False for what is no endpoint, there already, or too much. */
bool candidates_add(
        Candidates *c, const char *endpoint, size_t size, CandidateSource source, usec_t until);

/* Puts those from FROM on into the order in which they are to be tried and drops those whose pause
 * is not over. The others: first those on the local network, then by source, families interleaved
 * (RFC 8305 section 4); what has failed before after all that has not. Returns when the first that
 * was dropped may be tried, USEC_INFINITY where none was. */
usec_t candidates_order(Candidates *c, size_t from, usec_t now);
