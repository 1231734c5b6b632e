/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Waiting longer after each failure: doubles from `first` to `last`, with a tenth of jitter. */

#include "util/loop.h"

typedef struct Backoff {
        usec_t first, last, wait;
} Backoff;

#define BACKOFF_INIT(f, l) ((Backoff){.first = (f), .last = (l)})

static inline void backoff_reset(Backoff *b) {
        b->wait = 0;
}

/* How long to wait this time. */
static inline usec_t backoff_next(Backoff *b, Loop *l) {
        b->wait = b->wait == 0 ? b->first : MIN(2 * b->wait, b->last);
        return loop_jitter(l, b->wait);
}
