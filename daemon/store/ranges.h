/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A set of sequence numbers, as receipts say it: ranges that ascend and do not touch, at most
 * RECEIPT_RANGES_MAX of them. In the life of a feed there may be more holes than that. A set that
 * must go on then keeps the newest ranges (ranges_push()), and of what is older it says nothing.
 */

#include "store/row.h"
#include "wire/receipt.h"

typedef struct Ranges {
        SeqRange range[RECEIPT_RANGES_MAX];
        size_t n;
        uint64_t dropped; /* the last of what was dropped, which was in the set; 0: nothing was */
} Ranges;

/* False for what was dropped. */
bool ranges_have(const Ranges *r, uint64_t seq) _pure_;

/* -ENOBUFS when there would be too many. */
int ranges_add(Ranges *r, uint64_t first, uint64_t last);

/* The same, but then the oldest range is dropped. Returns what the set does not say and might have:
 * the range that was dropped, or the one to be added where it is older than all that are kept;
 * {0, 0}: nothing. */
SeqRange ranges_push(Ranges *r, uint64_t first, uint64_t last);

/* All of FROM as well, the oldest of which may be dropped. True when that has changed something. */
bool ranges_unite(Ranges *r, const Ranges *from);

/* -ENOBUFS when there would be too many. */
int ranges_remove(Ranges *r, uint64_t seq);

/* What was at or after FIRST, which is not 0, is not in it any more. Where nothing of the ranges is
 * left, the last of what was dropped is one again. */
void ranges_cut(Ranges *r, uint64_t first);

bool ranges_equal(const Ranges *a, const Ranges *b) _pure_;

void row_put_ranges(Buffer *out, const Ranges *r);
void row_read_ranges(RowReader *row, Ranges *ret);

/* The first one at or after SEQ that is missing, or that is there; UINT64_MAX: none. */
uint64_t ranges_next_missing(const Ranges *r, uint64_t seq) _pure_;
uint64_t ranges_next_held(const Ranges *r, uint64_t seq) _pure_;

/* The first part of ALL that is missing, at most MAX (not 0) of it; {0, 0}: nothing is. */
SeqRange ranges_first_missing(const Ranges *r, SeqRange all, uint64_t max) _pure_;

/* Missing entries just before SEQ, which has not been dropped, back to the nearest one that is
 * there. */
uint64_t ranges_gap_before(const Ranges *r, uint64_t seq) _pure_;
