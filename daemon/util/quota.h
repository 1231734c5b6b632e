/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Token bucket: at most `burst` units at once, refilled at `burst` per `interval`. Whoever causes
 * work is charged before it is done. A burst of 0 means no limit.
 */

#include "util/macro.h"
#include "util/usec.h"

typedef struct Quota {
        uint64_t burst;
        usec_t interval;
        uint64_t used_us; /* of the interval, in µs worth of refill */
        usec_t last;
} Quota;

#define QUOTA_INIT(b, i) ((Quota){.burst = (b), .interval = (i)})

/* Takes UNITS and returns true, or takes nothing and returns false. */
bool quota_take(Quota *q, uint64_t units, usec_t now);

/* Takes UNITS for what has been done already, even where there are not so many: what is missing is
 * owed, up to another `burst`. False: something is. */
bool quota_owe(Quota *q, uint64_t units, usec_t now);

/* How long from NOW until quota_take() gives UNITS, 0 when it would do so now; USEC_INFINITY for
 * more than there ever is. */
usec_t quota_wait(const Quota *q, uint64_t units, usec_t now);

/* Nothing is in use any more: the owner of many buckets may forget this one. */
bool quota_is_full(const Quota *q, usec_t now);
