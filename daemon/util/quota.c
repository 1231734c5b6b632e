/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/quota.h"

static uint64_t quota_used(const Quota *q, usec_t now) {
        return usec_sub(q->used_us, usec_sub(now, q->last));
}

bool quota_take(Quota *q, uint64_t units, usec_t now) {
        uint64_t used = quota_used(q, now), cost;

        if (q->burst == 0)
                return true;
        if (units > q->burst)
                return false;
        cost = (uint64_t)((unsigned __int128)units * q->interval / q->burst);
        if (used + cost > q->interval)
                return false;
        q->used_us = used + cost;
        q->last = now;
        return true;
}

bool quota_is_full(const Quota *q, usec_t now) {
        return quota_used(q, now) == 0;
}
