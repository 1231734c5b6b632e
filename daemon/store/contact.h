/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Accounts that this one has to do with, and the names under which they are shown.
 *
 * A name is only a claim. It is shown plain for the one account that TABLE_NAME gives it to: the
 * one that was pinned by writing to it, or confirmed by a directory while no contact had it. All
 * others show as name~XXXX, the first characters of the account. An alias is the user's own name
 * for somebody, and a row of TABLE_NAME as well. Who was only blocked by his account has no name,
 * and shows as @ACCOUNT.
 */

#include "store/store.h"
#include "util/text.h"
#include "wire/identity.h"

typedef enum ContactFlags {
        CONTACT_PINNED = 1, /* the user has written to it, or accepted it */
        CONTACT_REQUEST = 2, /* has written to the user, who has not answered */
        CONTACT_BLOCKED = 4,
        CONTACT_VERIFIED = 8,
        CONTACT_KEY_CHANGED = 16, /* a directory gives the name to `rival`, and the user does not
                                     know better so far */
        CONTACT_MEMBER = 32, /* in a room with the user: his row stays */
        CONTACT_NAMED = 64, /* by an event of a room: his row stays, too, when he has left */
} ContactFlags;

/* Whoever connects leaves a row. With this many, only people that the user writes to, blocks or is
 * in a room with are added. */
#define CONTACTS_MAX 20000

#define SHOWN_NAME_SIZE (1 + BASE32_KEY_SIZE + 1)

/* What the user decides about somebody, and in which epoch he did last: a decision of a later epoch
 * is a later one, on whichever device. */
enum {
        DECIDED_PINNED,
        DECIDED_BLOCKED,
        DECIDED_VERIFIED,
        DECIDED_ALIAS,
        _DECIDED_MAX,
};

typedef struct Contact {
        uint8_t account[KEY_SIZE];
        uint32_t number;
        uint8_t flags;
        char name[NAME_SIZE]; /* as last claimed; "" as long as there is no record */
        char alias[NAME_SIZE]; /* or "" */
        uint64_t epoch, record_seq; /* highest seen: no rollback */
        uint64_t last_seen; /* µs, realtime */
        Bytes record; /* the newest, signed; in the map */
        bool has_rival;
        uint8_t rival[KEY_SIZE]; /* the account that a directory gives the name to instead */
        uint64_t decided[_DECIDED_MAX]; /* epochs; 0: not known, or never */
} Contact;

/* The user has said that he wants to hear of it. */
static inline bool contact_is_accepted(const Contact *c) {
        return (c->flags & (CONTACT_PINNED | CONTACT_BLOCKED)) == CONTACT_PINNED;
}

/* 1 with the contact, 0 for an account that is not known. */
int contact_get(DbTxn *txn, const uint8_t account[static KEY_SIZE], Contact *ret);
int contact_get_by_number(DbTxn *txn, uint32_t number, Contact *ret);

/* Finds or adds the account, takes a newer record in, and sets FLAGS beside those that are there. A
 * record that is ahead of NOW, realtime, counts as older than one of the same device that is not.
 * -ESTALE: an older epoch than one seen before, or the device that lost an equal one. CONFIRMED: a
 * directory says that the name is this account's. -EUSERS: a stranger, and there are CONTACTS_MAX
 * already. */
int contact_learn(Store *s, const Record *record, Bytes record_outer, usec_t now, uint8_t flags,
        bool confirmed, Contact *ret);

/* Sets FLAGS of an account of which nothing need be known. */
int contact_mark(Store *s, const uint8_t account[static KEY_SIZE], uint8_t flags);

/* Removes a contact that nothing else refers to: nobody has written to it, nor it to the user. A
 * member of a room stays as he is, and so does who has written there. */
int contact_forget(Store *s, const Contact *c);
int contact_set_flags(Store *s, const uint8_t account[static KEY_SIZE], uint8_t set, uint8_t clear);

/* A contact from now on, by its plain name if no other contact has that. */
int contact_pin(Store *s, const uint8_t account[static KEY_SIZE]);

/* No contact any more, nor a request. The row stays, and with it the claim to the name; the alias
 * goes, and so does the plain name that a contact has by being one. */
int contact_unpin(Store *s, const uint8_t account[static KEY_SIZE]);

/* ALIAS is canonical, or "" to take it back. -EEXIST: another contact has this name. */
int contact_rename(Store *s, const uint8_t account[static KEY_SIZE], const char *alias);

/* A directory says that NAME is ACCOUNT's. The contact that has the plain name keeps it, and is
 * marked CONTACT_KEY_CHANGED when that is somebody else; the mark goes when the directory says what
 * was pinned. 1 with the contact whose mark has changed, else 0. What the user has decided about a
 * rival holds for this one. */
int contact_hear_name(
        Store *s, const char *name, const uint8_t account[static KEY_SIZE], Contact *ret);
int contact_set_last_seen(Store *s, const uint8_t account[static KEY_SIZE], uint64_t realtime);

/* Somebody as another device of the user's knows him. */
typedef struct ContactMerge {
        uint8_t account[KEY_SIZE];
        const Record *record; /* verified; NULL: none, */
        Bytes record_outer; /* as it came */
        uint8_t flags;
        const char *alias; /* or "" */
        bool named; /* shown under his plain name there */
        usec_t last_seen;
        const uint8_t *rival; /* or NULL */
        const uint64_t *decided; /* _DECIDED_MAX, as Contact has it */
        usec_t now;
} ContactMerge;

/* Unites that with what is known here: what was decided later counts, where neither was, flags add
 * up and an alias that is here stays; the newer record counts. 1 when something has changed;
 * -EUSERS as contact_learn(). */
int contact_merge(Store *s, const ContactMerge *m);

/* The name under which it is shown. */
const char *contact_shown_name(DbTxn *txn, const Contact *c, char buf[static SHOWN_NAME_SIZE]);

/* What a user typed: name, name~XXXX or @ACCOUNT. 1 with the account (which may be unknown to this
 * store after '@'), 0: not known here; -EINVAL: not a name; -ENOTUNIQ: several claim it. */
int contact_resolve(DbTxn *txn, const char *text, uint8_t ret_account[static KEY_SIZE]);

/* For -ENOTUNIQ: some of those that TEXT can mean, as they may be typed, with ", " between them. */
#define CANDIDATES_SIZE 192
const char *contact_candidates(DbTxn *txn, const char *text, char buf[static CANDIDATES_SIZE]);

/* One after the other in the order of their keys; AFTER may be NULL. True to go on. */
typedef bool (*ContactFn)(void *userdata, DbTxn *txn, const Contact *c);
int contact_each(DbTxn *txn, const uint8_t *after, ContactFn fn, void *userdata);

/* Endpoints where somebody was reached or said to be, best first. */
#define ENDPOINTS_MAX 16

typedef struct Endpoints {
        char text[ENDPOINTS_MAX][64];
        size_t n;
} Endpoints;

/* Instead of a number: those of other devices of this account. */
#define ENDPOINTS_OWN 0

int store_get_endpoints(DbTxn *txn, uint32_t account, Endpoints *ret);
int store_set_endpoints(Store *s, uint32_t account, const Endpoints *e);
