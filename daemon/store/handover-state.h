/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* How far hand-overs are, as it is on disk. */

#include "store/store.h"
#include "wire/handover.h"

/* What this device has, which was replaced: there until it is the active one again. */
typedef struct HandoverGive {
        uint8_t transfer[HANDOVER_TRANSFER_SIZE];
        bool accepted; /* by the user, who was asked */
        bool done;
        uint8_t to[KEY_SIZE]; /* done: the device that has it */
} HandoverGive;

/* 1 or 0. */
int store_get_handover_give(DbTxn *txn, HandoverGive *ret);
int store_set_handover_give(Store *s, const HandoverGive *g);
int store_forget_handover_give(Store *s);

/* What an older device gives: one row for each, from its first OFFER on. */
typedef struct HandoverTake {
        uint8_t device[KEY_SIZE]; /* the older one's */
        uint8_t transfer[HANDOVER_TRANSFER_SIZE];
        uint64_t items, total; /* taken so far, and in all, about */
        bool done;
        uint8_t position[HANDOVER_POSITION_MAX];
        size_t n_position;
} HandoverTake;

/* 1 or 0. */
int store_get_handover_take(DbTxn *txn, const uint8_t device[static KEY_SIZE], HandoverTake *ret);
int store_set_handover_take(Store *s, const HandoverTake *t);

/* True to go on. */
typedef bool (*HandoverTakeFn)(void *userdata, const HandoverTake *t);
int store_each_handover_take(DbTxn *txn, HandoverTakeFn fn, void *userdata);
