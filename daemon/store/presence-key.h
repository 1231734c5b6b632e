/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The keys with which people seal for their contacts where they are to be found: the own one, and
 * those that contacts have given. */

#include "crypto/box.h"
#include "store/store.h"

/* 1, or 0 where there is none yet. */
int store_get_presence_key(DbTxn *txn, uint8_t ret[static BOX_KEY_SIZE]);
int store_set_presence_key(Store *s, const uint8_t key[static BOX_KEY_SIZE]);

/* That of a contact; KEY may be NULL: none any more. */
int store_get_contact_key(DbTxn *txn, uint32_t account, uint8_t ret[static BOX_KEY_SIZE]);
int store_set_contact_key(Store *s, uint32_t account, const uint8_t *key);
