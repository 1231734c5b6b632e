/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Sealed rows, for the files of store/. */

#include "crypto/box.h"
#include "store/seal.h"

#define ROW_SEALED 1 /* flag of a row's head: what follows is a box, under the key of its key id */

/* Row keys of one store: one, and those of messages from before the master key was changed. */
#define SEAL_KEYS_MAX 32

typedef enum SealKeyFlags {
        SEAL_KEY_MESSAGES = 1, /* some may be sealed with it */
} SealKeyFlags;

typedef struct SealKey {
        uint8_t id; /* from 1 */
        uint8_t flags;
        uint8_t key[BOX_KEY_SIZE];
        uint8_t wrapped[BOX_KEY_SIZE + BOX_OVERHEAD]; /* as it is on disk */
        size_t n_wrapped;
} SealKey;

/* In memory that is wiped. */
typedef struct Seal {
        bool chosen; /* as on disk */
        bool open; /* the keys are known, or there are none */
        bool messages; /* are to be sealed */
        bool scrub; /* what was written openly may be in free pages of the file */
        Keeping keeping, leaving;
        uint8_t current; /* id of the key to write with; 0: none */
        uint8_t salt[SHA256_SIZE]; /* of what is derived from master keys; begins with the id */
        uint8_t check[STORE_ID_SIZE]; /* which the right master key gives */
        SealKey keys[SEAL_KEYS_MAX];
        size_t n;
} Seal;

/* When the store is opened. */
int seal_load(Store *s);

/* What is in s->row goes to disk, sealed where it is to be, and is wiped: room for all of it was
 * reserved, since growing would leave copies behind. */
int row_write_secret(Store *s, unsigned table, const DbKey *key);
int row_write_message(Store *s, unsigned table, const DbKey *key);

/* A row that may be sealed: row_begin(), which reads from PLAIN where it is. The caller wipes
 * that. */
RowReader row_open(DbValue v, unsigned table, Bytes key, Buffer *plain);

/* The same for messages, of which the last SEAL_OPENED rows that were opened can be read, or until
 * the map is no longer. */
RowReader row_open_message(DbValue v, unsigned table, const DbKey *key);

static inline Bytes key_bytes(const DbKey *k) {
        return (Bytes){.data = k->data, .size = k->size};
}
