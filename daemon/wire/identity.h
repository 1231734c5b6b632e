/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Who somebody is: the device certificate, the account's record and the device's presence.
 *
 * Decoding checks form, signatures and that the keys are points of full order; what depends on the
 * clock or on what the reader expects is asked separately. Times are µs, realtime.
 */

#include "crypto/box.h"
#include "crypto/hash.h"
#include "wire/name.h"
#include "util/usec.h"
#include "wire/signed.h"

#define CERTIFICATE_MAX 512
#define RECORD_MAX 4096
#define PRESENCE_MAX 4096

#define IDENTITY_VERSION 1
#define IDENTITY_LIFETIME (180 * USEC_PER_DAY)
#define IDENTITY_RENEWAL (7 * USEC_PER_DAY)

/* No directory takes a record that is further ahead of its clock, by what its seq and its expiry
 * say. */
#define RECORD_AHEAD_MAX USEC_PER_DAY

/* {account, device, epoch, issued, expires}, signed by the account key and counter-signed by the
 * device key, or Mallory could certify Bob's device as hers. */
typedef struct Certificate {
        uint8_t account[KEY_SIZE];
        uint8_t device[KEY_SIZE];
        uint64_t epoch;
        uint64_t issued, expires;
} Certificate;

int certificate_encode(
        const Certificate *c, const SignKey *account, const SignKey *device, Buffer *out);

/* -EBADMSG: ill-formed, or a signature does not hold; -EKEYREJECTED: not counter-signed, or a key
 * of small order. */
int certificate_decode(Bytes outer, Certificate *ret);

/* Form only, as record_parse(). */
int certificate_parse(Bytes outer, Certificate *ret);

static inline bool certificate_is_valid_at(const Certificate *c, uint64_t realtime) {
        return realtime < c->expires;
}

typedef enum Visibility {
        VISIBLE_ALL,
        VISIBLE_CONTACTS,
        VISIBLE_NOBODY,
        _VISIBILITY_MAX,
} Visibility;

#define RECORD_SUITES_MAX 8
#define RECORD_PREKEYS_MAX 8
#define RECORD_CHANGES_MAX 8

/* A key to which mail for somebody who is away can be sealed, in the way that `suite` names. Ids
 * are never used again. */
typedef struct Prekey {
        uint64_t suite, id;
        Bytes key;
} Prekey;

#define PREKEY_SIZE_MAX 2048

/* {0 suite, 1 id, 2 key} */
void prekey_write(CborWriter *w, const Prekey *p);
void prekey_read(CborReader *r, Prekey *ret);

/* An account's public face. `certificate` is the signed object of its one device. The successor
 * statement is checked for form and passed over; version 1 writes none. */
typedef struct Record {
        uint8_t account[KEY_SIZE];
        char name[NAME_SIZE];
        Bytes certificate;
        Certificate device; /* decoded from it */
        uint64_t epoch, seq;
        uint64_t issued, expires;
        uint64_t suites[RECORD_SUITES_MAX];
        size_t n_suites;
        Prekey prekeys[RECORD_PREKEYS_MAX];
        size_t n_prekeys;
        bool listed;
        Visibility presence, endpoints;
        Bytes changes[RECORD_CHANGES_MAX]; /* of name, account, epoch, device; oldest first */
        size_t n_changes;
} Record;

/* -EMSGSIZE: over RECORD_MAX. */
int record_encode(const Record *rec, const SignKey *account, Buffer *out);
int record_decode(Bytes outer, Record *ret);

/* Form only, without keys and signatures, which cost more than all the rest: for what was decoded
 * when it came in and kept since. Never for what comes from outside. */
int record_parse(Bytes outer, Record *ret);

/* A seq counts in ms, at least; nobody may be more than a day ahead, or he could never be
 * overtaken again. No directory takes such a record. */
static inline bool record_is_ahead(const Record *rec, uint64_t realtime) {
        return rec->seq > (realtime + RECORD_AHEAD_MAX) / USEC_PER_MSEC;
}

/* What orders two devices of an account, each with the epoch in which it was active: that, then the
 * lower SHA-256 of the key. Positive when A is the newer one. */
int device_compare(uint64_t a_epoch, const uint8_t a[static KEY_SIZE], uint64_t b_epoch,
        const uint8_t b[static KEY_SIZE]);

/* What orders two records of an account: (epoch, lower SHA-256 of the device key, seq, hash of the
 * record as it is). Expiry is not in it. Positive when A wins. */
int record_compare(const Record *a, Bytes a_outer, const Record *b, Bytes b_outer);

typedef enum Presence {
        PRESENCE_OFFLINE,
        PRESENCE_ONLINE,
        PRESENCE_AWAY,
        PRESENCE_BUSY,
        _PRESENCE_MAX,
} Presence;

#define PRESENCE_ENDPOINTS_MAX 16
#define PRESENCE_NOTE_MAX 128

/* Where a device can be reached just now, signed by the device key. */
typedef struct PresenceRecord {
        uint8_t account[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        Bytes endpoints[PRESENCE_ENDPOINTS_MAX]; /* text "host:port" */
        size_t n_endpoints;
        Presence presence;
        Bytes note; /* text, no zero byte */
        uint64_t seq;
        Bytes sealed; /* endpoints for contacts, who have the presence key; empty: none */
} PresenceRecord;

/* -EMSGSIZE: over PRESENCE_MAX. */
int presence_encode(const PresenceRecord *p, const SignKey *device, Buffer *out);
int presence_decode(Bytes outer, PresenceRecord *ret);

/* Appends to OUT the endpoints of P as what `sealed` is to be; and the other way round, with
 * endpoints that point into BUF. NONCE is fresh randomness. -EBADMSG: `sealed` is empty, was sealed
 * with another key, or holds no endpoints. */
int presence_seal(const PresenceRecord *p, const uint8_t key[static BOX_KEY_SIZE],
        const uint8_t nonce[static BOX_NONCE_SIZE], Buffer *out);
int presence_open(PresenceRecord *p, const uint8_t key[static BOX_KEY_SIZE], Buffer *buf);

/* As record_parse(). */
int presence_parse(Bytes outer, PresenceRecord *ret);

/* "online"; never NULL. */
const char *presence_name(Presence p);
