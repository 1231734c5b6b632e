/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A store as items (wire/handover.h), for the device that has the account now; and such items taken
 * into a store that may have some of it already.
 *
 * What is read is a store that does not change any more. Items name accounts by their keys and
 * feeds by (peer, account, epoch, device), never by numbers of this store. Merging is a join: what
 * is there stays, what comes again changes nothing, and cut off anywhere it goes on from there.
 */

#include "store/identity.h"
#include "wire/handover.h"

typedef enum HandoverKind {
        HANDOVER_PREKEY = 1,
        HANDOVER_PRESENCE_KEY = 2, /* what the endpoints of this account are sealed with */
        HANDOVER_PERSON = 3,
        HANDOVER_CERTIFICATE = 4,
        HANDOVER_FEED = 5, /* comes before its entries */
        HANDOVER_ENTRY = 6,
        HANDOVER_FEED_END = 7, /* after them: what was received, and what receipts say */
        HANDOVER_ID = 8, /* of a message that is not kept */
        HANDOVER_CLIENT = 9, /* clients come before events */
        HANDOVER_EVENT = 10,
        HANDOVER_CHOSEN_PRESENCE = 11,
        HANDOVER_PASSWORD = 12,
} HandoverKind;

/* What refers to feeds of rooms comes after these. */
typedef enum HandoverPart {
        HANDOVER_BEFORE_ROOMS,
        HANDOVER_AFTER_ROOMS,
} HandoverPart;

/* Longest position; what is left of HANDOVER_POSITION_MAX is the caller's. */
#define HANDOVER_STORE_POSITION_MAX 96

/* Appends items after POSITION (empty: from the start) to ITEMS, so that they are not more than MAX
 * bytes, unless the first one alone is; *RET_N is their number, *NEXT the position after them. 1:
 * there may be more, even if this time there was nothing; 0: this was the end of the part.
 * -EBADMSG: not a position. */
int handover_read(DbTxn *txn, const Identity *self, HandoverPart part, Bytes position, size_t max,
        Buffer *items, uint64_t *ret_n, Buffer *next);

/* How many items both parts have, about. */
int handover_count(DbTxn *txn, const Identity *self, uint64_t *ret);

/* Takes items in, one after the other in the present batch. Between begin and end nobody else
 * writes what they are about: where entries go is kept in memory meanwhile. */
typedef struct HandoverMerge HandoverMerge;

int handover_merge_begin(Store *s, const Identity *self, usec_t now, HandoverMerge **ret);

/* 1: there was something new in it; 0: there was not, or the kind is of a later version. -EBADMSG:
 * it is not what SELF's older device can have, and was left out; else an error of the store. */
int handover_merge_item(HandoverMerge *m, Bytes item);

/* Writes what is in memory, and frees it. Nothing is written without it. */
int handover_merge_end(HandoverMerge *m);

/* Before the first item of a transfer that begins from its start. */
int handover_merge_reset(Store *s);

/* 1, once: somebody who is blocked here has the presence key that was handed over, so that another
 * one is needed; 0: nobody has it who is not to. */
int handover_key_is_known(Store *s);

/* One item. */
int handover_merge(Store *s, const Identity *self, Bytes item, usec_t now);
