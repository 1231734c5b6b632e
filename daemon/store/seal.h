/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Rows whose content is sealed (crypto/box.h): keys and secrets always, messages when they are to
 * be. What seals them are row keys, which are in the row "keys" of TABLE_META, each sealed with a
 * master key that is kept somewhere else. The box is bound to the table and the key of its row, so
 * that rows cannot be exchanged. A row that was written before is read as it is, and sealed when it
 * is written again.
 *
 * A master key that goes elsewhere is another one, and so is the row key from then on: whoever has
 * an old master key and the store of today reads what he could have read then. The row keys of
 * messages stay, under the new master key; everything else is written anew in the same commit.
 */

#include "store/store.h"

#define STORE_KEY_SIZE 32 /* of the master key */
#define STORE_ID_SIZE 16

/* Where the master key is. Values are on disk. */
typedef enum Keeping {
        KEEPING_NONE, /* nothing is sealed */
        KEEPING_FILE, /* beside the store, by the mode of the file alone */
        KEEPING_CREDENTIAL, /* systemd has it */
        KEEPING_SECRET_SERVICE, /* the key ring of the desktop */
        _KEEPING_MAX,
} Keeping;

const char *keeping_name(Keeping k);

typedef struct StoreKeyInfo {
        bool chosen; /* somebody has: else it is a store from before, or a new one */
        bool in_use; /* there is an account */
        Keeping keeping;
        Keeping leaving; /* what is still kept there is of no use any more; NONE: nothing is */
        uint8_t id[STORE_ID_SIZE]; /* of this store, for whoever keeps several keys */
} StoreKeyInfo;

/* Before store_unseal(). A store that nobody has chosen for gets its id here. */
int store_key_info(Store *s, StoreKeyInfo *ret);

/* With the master key of a store that is sealed, before anything that may be sealed is read: what
 * is, is -ENOKEY until then. -EKEYREJECTED: it is another one. */
int store_unseal(Store *s, const uint8_t master[static STORE_KEY_SIZE]);

/* From now on the master key is this one (NULL: KEEPING_NONE) and kept there, where it can be read
 * by now. One commit, which is over on return; when it fails everything is as before. What was
 * written openly until now is out of the file as well: 1 where that could not be done, for want of
 * room, and is tried again by store_scrub(). -EOVERFLOW: it was changed too often. */
int store_rekey(Store *s, Keeping keeping, const uint8_t *master);

/* The key that is no longer of use is gone from where it was. */
int store_key_left(Store *s);

/* What was once written openly is overwritten in the file: 1 when it still is there, 0 when not. */
int store_scrub(Store *s);

/* Whether messages are sealed when they are written. */
int store_set_seal_messages(Store *s, bool on);

Keeping store_keeping(const Store *s) _pure_;
