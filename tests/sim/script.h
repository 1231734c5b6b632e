/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What happens to a world, as a story: a few lines that say who there is, then one action a line,
 * each with its time. Random runs are made as such a story first, so that one that fails can be cut
 * down to the lines that matter, kept as a file in scenarios/ and read.
 *
 *     seed 4711
 *     users 2
 *     trackers 1
 *     devices 2                            # or not: then everybody has one
 *     0s t1 starts
 *     0s alice starts
 *     0s bob starts
 *     1m30s alice writes to bob 20 times   # what follows a # is for people
 *     1m30.25s bob loses power at call 17
 *     2m bob starts
 *     3m quiet
 *
 * script_print_phrases() prints all there are. The clock of a story stands still while it is quiet.
 *
 * With `devices` alice's second device is called alice2, and whatever can happen to a user's
 * machine, or be done there, can happen to that. A story then has accounts with passwords, and
 * messages that neither expire nor are taken back: see people.h.
 */

#include <stdio.h>

#include "util/macro.h"
#include "util/usec.h"

#define SCRIPT_USERS_MAX 1000
#define SCRIPT_TRACKERS_MAX 4
#define SCRIPT_DEVICES_MAX 3
#define SCRIPT_PEOPLE_MAX 8 /* users of a story with devices */
#define SCRIPT_LANS_MAX 4
#define SCRIPT_NAME_SIZE 16

typedef enum Verb {
        VERB_SEND,
        VERB_READ,
        VERB_CANCEL,
        VERB_LISTEN,
        VERB_DEAFEN,
        VERB_CATCH_UP,
        VERB_BLOCK,
        VERB_UNBLOCK,
        VERB_ROOM_MAKE,
        VERB_ROOM_MAKE_PRIVATE,
        VERB_ROOM_MAKE_HIDDEN,
        VERB_ROOM_JOIN,
        VERB_ROOM_LEAVE,
        VERB_ROOM_INVITE,
        VERB_ROOM_KICK,
        VERB_ROOM_ADMIN,
        VERB_ROOM_GIVE,
        VERB_ROOM_POST,
        VERB_ROOM_READ,
        VERB_LOGIN,
        VERB_VERIFY,
        VERB_ASK,
        VERB_ACCEPT,
        VERB_SAVE,
        VERB_RESTORE,
        VERB_START,
        VERB_STOP,
        VERB_KILL,
        VERB_POWER,
        VERB_SUSPEND,
        VERB_CLOCK_FORWARD,
        VERB_CLOCK_BACK,
        VERB_FORGE,
        VERB_HONEST,
        VERB_DESTROY,
        VERB_LOSE_PREKEY,
        VERB_RENEW,
        VERB_OLD_START,
        VERB_OLD_STOP,
        VERB_TWIN,
        VERB_OLD_POST,
        VERB_MOVE,
        VERB_NAT_ON,
        VERB_NAT_OFF,
        VERB_LAN_MOVE,
        VERB_LAN_SWITCH,
        VERB_UNPLUG,
        VERB_PLUG,
        VERB_NO_TRACKER,
        VERB_PUBLISH,
        VERB_CALLED,
        VERB_DISK_FULL,
        VERB_DISK_FAILS,
        VERB_DISK_SLOW,
        VERB_DISK_GOOD,
        VERB_DISK_LOST,
        VERB_WITHHOLD, /* as MachineLie from here on */
        VERB_KEEP_NOTHING,
        VERB_DENY,
        VERB_CLAIM,
        VERB_MIX_UP,
        VERB_KEEP_FOR_EVER,
        VERB_OLD_RECORDS,
        VERB_LIES_NO_MORE,
        VERB_CUT,
        VERB_CUT_ONE_WAY,
        VERB_RESET,
        VERB_ALONE,
        VERB_PARTS,
        VERB_HEAL,
        VERB_HEAL_ALL,
        VERB_NETWORK,
        VERB_LANS_JOIN,
        VERB_LANS_PART,
        VERB_ROUTER_OFF,
        VERB_ROUTER_ON,
        VERB_LAN_FAULTS,
        VERB_INTRUDER_COMES,
        VERB_REPLAY, /* as Trick from here on */
        VERB_ALTER,
        VERB_CLAIM_NAMES,
        VERB_FLOOD,
        VERB_INTRUDER_STOPS,
        VERB_QUIET,
        _VERB_MAX,
} Verb;

typedef struct Action {
        usec_t at; /* since the beginning */
        Verb verb;
        unsigned a, b; /* machines: users first, then trackers, then further devices */
        uint64_t n;
        usec_t t, u;
} Action;

typedef struct Script {
        uint64_t seed; /* of everything that is not an action */
        unsigned n_users, n_trackers;
        unsigned n_devices; /* of each user; 0: one, and the story knows nothing of devices */
        Action *actions; /* in order of time */
        size_t n, allocated;
} Script;

typedef struct ScriptError {
        char text[160]; /* with the number of the line */
} ScriptError;

/* -EINVAL with an error, or -ENOMEM. */
int script_parse(const char *text, Script *ret, ScriptError *ret_error);

/* The same with a file; other errors are those of reading it. */
int script_load(const char *path, Script *ret, ScriptError *ret_error);

/* What script_parse() takes, and makes the same of. */
void script_print(const Script *s, FILE *f);
void action_print(const Script *s, const Action *a, FILE *f);

/* A at its place: after all that happen at the same time. */
int script_add(Script *s, const Action *a);

int script_copy(const Script *s, Script *ret);
void script_done(Script *s);

/* How many machines there are: all that a story names. */
unsigned script_n_machines(const Script *s);

/* As a story says it: "alice", after some of these "u17", or "t1"; "alice2" is her second device.
 */
const char *script_name(
        unsigned n_users, unsigned n_trackers, unsigned machine, char buf[static SCRIPT_NAME_SIZE]);

/* Whether the phrase speaks of A and B, of N, T or U: one of the letters 'A', 'B', 'X', 'Y', 'Z',
 * 'N', 'L', 'T', 'U'. */
bool verb_has(Verb v, char letter);

/* The number that N has when the story does not say it. */
uint64_t verb_default(Verb v);

/* Every phrase on a line. A and B stand for users, X and Y for any machine, Z for a tracker, N for
 * a number, L for that of a LAN or 0 for none, T and U for times. A and X may be a further device,
 * as alice2. */
void script_print_phrases(FILE *f);
