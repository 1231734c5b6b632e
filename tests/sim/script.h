/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What happens to a world, as a story: one action a line, each with its time. Random runs are made
 * from such a story as well, so that one that fails can be cut down to the lines that matter, kept
 * as a file in scenarios/ and read.
 */

#include "world.h"

typedef enum Verb {
        VERB_SEND, /* alice sends bob [COUNT]: so many messages, one after the other */
        VERB_READ, /* alice reads bob */
        VERB_CANCEL, /* alice cancels bob */
        VERB_LISTEN, /* alice listens */
        VERB_DEAFEN, /* alice stops listening */
        VERB_CATCH_UP, /* alice catches up */
        VERB_START, /* alice starts */
        VERB_STOP, /* alice stops */
        VERB_KILL, /* alice is killed [after N calls] */
        VERB_POWER, /* alice loses power [after N calls] */
        VERB_SUSPEND, /* alice sleeps TIME */
        VERB_CLOCK, /* alice's clock jumps ±TIME */
        VERB_MOVE, /* alice moves */
        VERB_NAT_ON, /* alice is behind NAT */
        VERB_NAT_OFF, /* alice is reachable */
        VERB_DISK_FULL, /* alice's disk is full */
        VERB_DISK_FAILS, /* alice's disk fails N times */
        VERB_DISK_SLOW, /* alice's disk takes TIME */
        VERB_DISK_GOOD, /* alice's disk is good */
        VERB_CUT, /* alice bob are cut: both directions */
        VERB_CUT_ONE_WAY, /* alice to bob is cut */
        VERB_HEAL, /* alice bob are healed */
        VERB_RESET, /* alice bob are reset: their connections end at once */
        VERB_PARTITION, /* alice is alone: cut from everybody */
        VERB_HEAL_ALL, /* all are healed */
        VERB_NETWORK, /* network LATENCY JITTER BYTES/S (0: any): of all from now on */
        VERB_QUIET, /* quiet: everything is healed and runs until nothing is left; all must hold */
        _VERB_MAX,
} Verb;

typedef struct Action {
        usec_t at; /* since the beginning */
        Verb verb;
        unsigned a, b; /* machines */
        uint64_t n, m, k; /* as the verb says; times in µs */
        int64_t by; /* of VERB_CLOCK */
} Action;

typedef struct Script {
        uint64_t seed; /* of everything that is not an action */
        unsigned n_users, n_trackers;
        Action *actions; /* in order of time */
        size_t n, allocated;
} Script;
