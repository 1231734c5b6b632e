/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Rooms as one device of an account hands them over to the next: items, maps of deterministic CBOR
 * one after the other. They call nothing by numbers of a store. Taking one in again changes
 * nothing, and what is here already is never less for it.
 *
 * For each room, in this order: that it is there; the control log, with what blocks rest on and
 * what is pending; its keys; of each feed its certificate and what the user has read; proofs of
 * forks; how the user stands in it; entries, feed by feed; what others have of the own ones.
 */

#include "rooms/rooms.h"

/* ITEMS, unless it is empty, is not made longer than MAX by an item; one that is larger than MAX is
 * alone. None is larger than this. */
#define ROOMS_HANDOVER_ITEM_MAX (116 * 1024)
#define ROOMS_HANDOVER_POSITION_MAX 64

/* Appends items of the rooms in TXN, of a store that does not change any more, after POSITION
 * (empty: from the start); RET_NEXT, which is cleared, is the position after them, and *RET_N how
 * many they are. 1: there may be more; 0: that was all. -EINVAL: a position of no kind. The items
 * have keys: who is done with them wipes them. */
int rooms_handover_read(DbTxn *txn, const Identity *self, Bytes position, size_t max, Buffer *items,
        uint64_t *ret_n, Buffer *ret_next);

/* About how many there are: no less. */
int rooms_handover_count(DbTxn *txn, uint64_t *ret);

/* Takes one item in, in the open batch: as if a member had said it, so that what does not hold is
 * not taken. No event tells of it, and what was unread stays so, what was read
 * too. What the user has written on a device that was replaced already, and no member takes any
 * more as it is, is written anew, under its id. Returns 1: taken, or not worth it; -EBADMSG: the
 * item has no such form; else an error of the store, by which the batch has failed. */
int rooms_handover_merge(Rooms *r, Bytes item);
