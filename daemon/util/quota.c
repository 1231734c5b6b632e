/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/quota.h"

static uint64_t quota_used(const Quota *q, usec_t now) {
        return usec_sub(q->used_us, usec_sub(now, q->last));
}

/* Divisions of 128 bits take several times as long, and frames come by the hundred thousand. */
static uint64_t quota_cost(const Quota *q, uint64_t units) {
        uint64_t product;

        if (!__builtin_mul_overflow(units, q->interval, &product))
                return product / q->burst;
        return (uint64_t)((unsigned __int128)units * q->interval / q->burst);
}

bool quota_take(Quota *q, uint64_t units, usec_t now) {
        uint64_t used;

        if (q->burst == 0)
                return true;
        if (units > q->burst)
                return false;
        used = quota_used(q, now) + quota_cost(q, units);
        if (used > q->interval)
                return false;
        q->used_us = used;
        q->last = now;
        return true;
}

bool quota_owe(Quota *q, uint64_t units, usec_t now) {
        if (q->burst == 0)
                return true;
        q->used_us = quota_used(q, now) + quota_cost(q, MIN(units, q->burst));
        q->used_us = MIN(q->used_us, 2 * q->interval);
        q->last = now;
        return q->used_us <= q->interval;
}

usec_t quota_wait(const Quota *q, uint64_t units, usec_t now) {
        if (q->burst == 0)
                return 0;
        if (units > q->burst)
                return USEC_INFINITY;
        return usec_sub(quota_used(q, now) + quota_cost(q, units), q->interval);
}

bool quota_is_full(const Quota *q, usec_t now) {
        return quota_used(q, now) == 0;
}
