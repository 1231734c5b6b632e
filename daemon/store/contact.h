/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Accounts that this one has to do with, and the names under which they are shown.
 *
 * A name is only a claim. It is shown plain for the one account that TABLE_NAME gives it to: the
 * one that was pinned by writing to it, or confirmed by a directory while nobody else had it. All
 * others show as name~XXXX, the first characters of the account.
 */

#include "store/store.h"
#include "wire/identity.h"

typedef enum ContactFlags {
        CONTACT_PINNED = 1, /* the user has written to it, or accepted it */
        CONTACT_REQUEST = 2, /* has written to the user, who has not answered */
        CONTACT_BLOCKED = 4,
        CONTACT_VERIFIED = 8,
} ContactFlags;

/* Whoever connects leaves a row. With this many, only people that the user writes to are added. */
#define CONTACTS_MAX 20000

#define SHOWN_NAME_SIZE (NAME_SIZE + 8)

typedef struct Contact {
        uint8_t account[KEY_SIZE];
        uint32_t number;
        uint8_t flags;
        char name[NAME_SIZE]; /* as last claimed */
        uint64_t epoch, record_seq; /* highest seen: no rollback */
        uint64_t last_seen; /* µs, realtime */
        Bytes record; /* the newest, signed; in the map */
} Contact;

/* 1 with the contact, 0 for an account that is not known. */
int contact_get(DbTxn *txn, const uint8_t account[static KEY_SIZE], Contact *ret);
int contact_get_by_number(DbTxn *txn, uint32_t number, Contact *ret);

/* Finds or adds the account, takes a newer record in, and sets FLAGS beside those that are there.
 * -ESTALE: an older epoch than one seen before, or the device that lost an equal one. CONFIRMED: a
 * directory says that the name is this account's. -EUSERS: a stranger, and there are CONTACTS_MAX
 * already. */
int contact_learn(Store *s, const Record *record, Bytes record_outer, uint8_t flags, bool confirmed,
        Contact *ret);

/* Removes a contact that nothing else refers to: nobody has written to it, nor it to the user. */
int contact_forget(Store *s, const Contact *c);
int contact_set_flags(Store *s, const uint8_t account[static KEY_SIZE], uint8_t set, uint8_t clear);
int contact_set_last_seen(Store *s, const uint8_t account[static KEY_SIZE], uint64_t realtime);

/* The name under which it is shown. */
const char *contact_shown_name(DbTxn *txn, const Contact *c, char buf[static SHOWN_NAME_SIZE]);

/* What a user typed: name, name~XXXX or @ACCOUNT. 1 with the account (which may be unknown to this
 * store after '@'), 0: not known here; -EINVAL: not a name; -ENOTUNIQ: several claim it. */
int contact_resolve(DbTxn *txn, const char *text, uint8_t ret_account[static KEY_SIZE]);

/* One after the other in the order of their keys; AFTER may be NULL. True to go on. */
typedef bool (*ContactFn)(void *userdata, DbTxn *txn, const Contact *c);
int contact_each(DbTxn *txn, const uint8_t *after, ContactFn fn, void *userdata);

/* Endpoints where somebody was reached or said to be, best first. */
#define ENDPOINTS_MAX 16

typedef struct Endpoints {
        char text[ENDPOINTS_MAX][64];
        size_t n;
} Endpoints;

int store_get_endpoints(DbTxn *txn, uint32_t account, Endpoints *ret);
int store_set_endpoints(Store *s, uint32_t account, const Endpoints *e);
