/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The account that is kept on this device: one row, with its keys. */

#include "store/store.h"
#include "wire/identity.h"

#define TRACKER_TEXT_MAX 512

typedef struct Identity {
        SignKey account, device;
        char name[NAME_SIZE];
        uint64_t epoch;
        uint64_t record_seq; /* the highest of any record of this account that was signed here */
        bool claimed; /* a directory has accepted the name */
        bool lan_only; /* or none was asked, and none is until the account is published */
        bool logged_in;
        bool replaced; /* another device is the active one, see store_get_replaced_by() */
        char tracker[TRACKER_TEXT_MAX]; /* given with Register or Login; "" */
        Buffer certificate; /* signed objects */
        Buffer record;
} Identity;

void identity_done(Identity *i);

/* 1 with the identity, 0 where there is none yet. */
int store_load_identity(Store *s, Identity *ret);
int store_save_identity(Store *s, const Identity *i);

/* The newest record of the account that beats the one of this device, as signed. It is written in
 * the batch that sets `replaced`, and may stay when that is over: the epoch of it is taken. 1 with
 * it, in the map: good until the next write; 0 where none was seen. */
int store_get_replaced_by(DbTxn *txn, Bytes *ret);
int store_set_replaced_by(Store *s, Bytes record);

/* The password of the account, as far as it is known here: at which tracker it was set, by which
 * account statement (wire/account.h). */
typedef struct PasswordRow {
        uint8_t tracker[KEY_SIZE];
        Bytes statement; /* in the map: good until the next write */
} PasswordRow;

/* 1, or 0 where the account has none. */
int store_get_password(DbTxn *txn, PasswordRow *ret);
int store_set_password(Store *s, const PasswordRow *p);

/* The seq of the newest presence record; 0 before the first. */
uint64_t store_presence_seq(Store *s);
int store_set_presence_seq(Store *s, uint64_t seq);

/* What the user has said of himself. */
typedef struct ChosenPresence {
        Presence presence; /* PRESENCE_ONLINE: whatever is found out */
        char note[PRESENCE_NOTE_MAX + 1];
} ChosenPresence;

/* 1, or 0 where nothing was said. */
int store_get_chosen_presence(DbTxn *txn, ChosenPresence *ret);
int store_set_chosen_presence(Store *s, const ChosenPresence *c);
