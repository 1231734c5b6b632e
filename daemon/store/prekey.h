/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The secret halves of the prekeys that this account's records have named (wire/mail.h). The newest
 * is the one of the present record. One that was superseded is kept as long as mail can still come
 * that was sealed to it, and then deleted: that deletion is all the forward secrecy of stored mail.
 */

#include "store/store.h"

/* So long after it was superseded in the directory, as no item lives longer. */
#define PREKEY_KEEP (30 * USEC_PER_DAY)

/* A record that is made later than this after the newest prekey names a new one. */
#define PREKEY_ROTATION (6 * USEC_PER_DAY)

#define PREKEY_SECRET_SIZE 32

typedef struct PrekeyRow {
        uint64_t id, suite;
        uint8_t secret[PREKEY_SECRET_SIZE], public[PREKEY_SECRET_SIZE];
        usec_t made, superseded; /* realtime; 0: still the one of the directory, as far as known */
} PrekeyRow;

/* 1 with the row, which whoever asks wipes, or 0. */
int prekey_get(DbTxn *txn, uint64_t id, PrekeyRow *ret);
int prekey_newest(DbTxn *txn, PrekeyRow *ret);
int prekey_put(Store *s, const PrekeyRow *p);

/* All mail that was there NOW has been collected, at every directory, and these have the newest
 * record: older prekeys are superseded from now on, and those go that have been for PREKEY_KEEP. */
int prekeys_collected(Store *s, usec_t now);
