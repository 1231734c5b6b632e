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
        uint64_t record_seq; /* of the record below */
        bool claimed; /* a directory has accepted the name */
        bool logged_in;
        char tracker[TRACKER_TEXT_MAX]; /* given with Register or Login; "" */
        Buffer certificate; /* signed objects */
        Buffer record;
} Identity;

void identity_done(Identity *i);

/* 1 with the identity, 0 where there is none yet. */
int store_load_identity(Store *s, Identity *ret);
int store_save_identity(Store *s, const Identity *i);

/* The seq of the newest presence record; 0 before the first. */
uint64_t store_presence_seq(Store *s);
int store_set_presence_seq(Store *s, uint64_t seq);
