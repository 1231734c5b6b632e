/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the generator share. */

#include "generate.h"

/* Of a day's end: everybody is back from sleep, and nothing else begins. */
#define EVENING (10 * USEC_PER_MINUTE)

typedef enum Fault {
        FAULT_KILL,
        FAULT_POWER,
        FAULT_STOP,
        FAULT_CUT,
        FAULT_CUT_ONE_WAY,
        FAULT_ALONE,
        FAULT_RESET,
        FAULT_MOVE,
        FAULT_TRAVEL,
        FAULT_NAT,
        FAULT_DISK_FULL,
        FAULT_DISK_FAILS,
        FAULT_DISK_SLOW,
        FAULT_CLOCK,
        FAULT_SLEEP,
        FAULT_FORGE,
        FAULT_RENEW,
        FAULT_NETWORK,
        _FAULT_MAX,
} Fault;

typedef struct Generator {
        uint64_t random;
        Script script;
        usec_t end; /* of the day: nothing happens later */
        int error;

        /* The seed's choice. */
        unsigned weights[_FAULT_MAX], weight;
        unsigned faults; /* of 100 scenes */
        unsigned tracker_share; /* of 100 faults of machines */
        unsigned crowd; /* of 100 people take part in a meeting */
        unsigned bursts; /* of 100 scenes */

        unsigned destroyed;

        /* Of rooms: how it is made; the first so many after the founder are its admins; whether he
         * is away at the end for about as long as it waits for an owner. */
        Verb make;
        unsigned admins;
        bool absence;
} Generator;

/* In [0, LIMIT). */
uint64_t below(Generator *g, uint64_t limit);
bool chance(Generator *g, unsigned percent);

/* From LEAST, not 0, to MOST; small ones are as likely as large ones: below a limit that is LEAST
 * doubled any number of times. */
uint64_t any_size(Generator *g, uint64_t least, uint64_t most);

/* The same for times, in milliseconds that can be read. */
usec_t any_time(Generator *g, usec_t least, usec_t most);

unsigned any_user(Generator *g);
unsigned any_tracker(Generator *g);

/* What comes after the day is left out. */
void add(Generator *g, usec_t at, Verb verb, Action a);
void add_one(Generator *g, usec_t at, Verb verb, unsigned machine);

/* One of those of which the seed has chosen some, to A, B or a tracker. */
void add_fault(Generator *g, usec_t at, unsigned a, unsigned b);

/* generate-lan.c */
void add_lans(Generator *g, unsigned days);
