/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Stories in child processes, as many at a time as there are processors: one that crashes, fails an
 * assertion, or does not end is a verdict like any other.
 */

#include "run.h"

#define TRIALS_AT_ONCE_MAX 256

typedef struct Trials {
        unsigned at_once; /* up to TRIALS_AT_ONCE_MAX; 0: as there are processors */
        unsigned cpu_seconds; /* that one may take */

        /* The story of number I, in its child. */
        void (*run)(void *userdata, size_t i, Verdict *ret);

        /* In the parent, in any order. False: enough; what still runs is ended. */
        bool (*done)(void *userdata, size_t i, const Verdict *v);
        void *userdata;
} Trials;

unsigned trials_at_once(void);

/* Numbers 0 to N - 1. DONE comes for each of them, unless one was enough. -EINTR: this process is
 * told to end. */
int trials_run(const Trials *t, size_t n);
