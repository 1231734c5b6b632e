/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What is said to a tracker with FEATURE_ACCOUNTS about passwords, beside wire/tracker.h, and what
 * it keeps for an account that has one.
 *
 * OPRF     {3 name | 4 account, 5 blinded, 6 enrol}
 *                                   -> OK {3 evaluated, 4 key id, 5 memory KiB, 6 passes}
 * LOGIN    {3 signature}            -> OK {3 statement, 4 record}
 * ACCOUNT  {3 statement}            -> OK {}
 *
 * OPRF evaluates a password that nobody here sees with a key that nobody there has (RFC 9497); what
 * comes of it, stretched, gives the login key and the backup key. With `enrol` the key is a new
 * one, which an ACCOUNT then names. LOGIN answers the last OPRF of the session.
 *
 * Statement {0 version, 1 account, 2 seq, 3 key id, 4 memory KiB, 5 passes, 6 login key, 7 backup,
 * 8 issued, 9 deleted}, signed by the account key: how the account is restored by its password.
 * Without 3 to 7 it has none any more; with 9, which is true and goes with none of them, there is
 * no account any more: what a tracker has of it goes, and for as long as a record of before may
 * hold it is not taken again.
 *
 * Backup {0 version, 1 seed, 2 name, 3 epoch, 4 record seq, 5 made}: what a new device needs. It is
 * sealed with the backup key (crypto/box.h), for one statement: as additional data it has
 * "p2pchat/1 backup" ‖ 0 ‖ account ‖ seq u64 ‖ key id u64, big-endian.
 *
 * Decoding checks form, keys and signatures; what depends on the clock or on what the reader
 * expects is asked separately. Times are µs, realtime.
 */

#include "wire/tracker.h"

#define ACCOUNT_ELEMENT_SIZE 32
#define ACCOUNT_KEY_ID_MAX INT64_MAX /* from 1 */
#define ACCOUNT_MEMORY_MAX UINT32_MAX /* as numbers: what a client computes is its own decision */
#define ACCOUNT_PASSES_MAX UINT32_MAX
#define ACCOUNT_STATEMENT_MAX 2048
#define ACCOUNT_BACKUP_MAX 1024 /* sealed */

/* By name, or by account where `name` is empty. */
typedef struct OprfRequest {
        char name[NAME_SIZE];
        uint8_t account[KEY_SIZE];
        uint8_t blinded[ACCOUNT_ELEMENT_SIZE];
        bool enrol; /* with a new key; only by account */
} OprfRequest;

int oprf_request_encode(Buffer *out, uint64_t request, const OprfRequest *o);
int oprf_request_decode(Frame *f, OprfRequest *ret);

typedef struct OprfAnswer {
        uint8_t evaluated[ACCOUNT_ELEMENT_SIZE];
        uint64_t key_id; /* random, so that it tells nothing */
        uint64_t memory, passes; /* for Argon2id: KiB, and how often */
} OprfAnswer;

int oprf_answer_encode(Buffer *out, uint64_t request, const OprfAnswer *a);
int oprf_answer_decode(Frame *f, OprfAnswer *ret);

#define LOGIN_EXPORTER_LABEL "EXPORTER-p2pchat-login" /* of TLS (RFC 8446, 7.5), no context */
#define LOGIN_EXPORTER_SIZE 32

/* The signature is over the array [exporter, key of the tracker, name or account as it was asked
 * for]: on this connection, to this tracker, after that OPRF. */
int login_sign(const SignKey *login, const uint8_t exporter[static LOGIN_EXPORTER_SIZE],
        const uint8_t tracker[static KEY_SIZE], const OprfRequest *asked,
        uint8_t ret[static SIGNATURE_SIZE]);

/* 0, or -EBADMSG where it does not hold (or -ENOMEM). */
int login_verify(const uint8_t login[static KEY_SIZE],
        const uint8_t exporter[static LOGIN_EXPORTER_SIZE], const uint8_t tracker[static KEY_SIZE],
        const OprfRequest *asked, const uint8_t signature[static SIGNATURE_SIZE]);

int login_encode(Buffer *out, uint64_t request, const uint8_t signature[static SIGNATURE_SIZE]);
int login_decode(Frame *f, uint8_t ret_signature[static SIGNATURE_SIZE]);

/* Both are the newest that the tracker has. */
typedef struct LoginAnswer {
        Bytes statement, record;
} LoginAnswer;

int login_answer_encode(Buffer *out, uint64_t request, const LoginAnswer *a);
int login_answer_decode(Frame *f, LoginAnswer *ret);

int account_encode(Buffer *out, uint64_t request, Bytes statement);
int account_decode(Frame *f, Bytes *ret_statement);

/* The statement. Strings point into what was decoded. */
typedef struct AccountStatement {
        uint8_t account[KEY_SIZE]; /* signs */
        uint64_t seq; /* the larger of last + 1 and the time in ms */
        bool has_password; /* else none of the next five */
        uint64_t key_id; /* as OPRF said it */
        uint64_t memory, passes;
        uint8_t login[KEY_SIZE]; /* public */
        Bytes backup; /* sealed */
        uint64_t issued;
        bool deleted; /* then it has no password */
} AccountStatement;

int account_statement_encode(const AccountStatement *s, const SignKey *account, Buffer *out);

/* -EBADMSG: ill-formed, or the signature does not hold; -EKEYREJECTED: a key of small order. */
int account_statement_decode(Bytes outer, AccountStatement *ret);

/* Form only, as record_parse(). */
int account_statement_parse(Bytes outer, AccountStatement *ret);

/* As record_is_ahead(). */
static inline bool account_statement_is_ahead(const AccountStatement *s, uint64_t realtime) {
        return s->seq > (realtime + RECORD_AHEAD_MAX) / USEC_PER_MSEC;
}

/* When the last record that was signed before has expired. */
#define ACCOUNT_DELETED_TIME (IDENTITY_LIFETIME + RECORD_AHEAD_MAX)

/* It says that the account is deleted, and that counts still. */
static inline bool account_statement_is_deleted_at(const AccountStatement *s, uint64_t realtime) {
        return s->deleted && (s->issued > realtime || realtime - s->issued < ACCOUNT_DELETED_TIME);
}

/* What orders two statements of an account: (seq, deleted, hash of the statement as it is).
 * Positive when A wins, 0 for the same bytes. */
int account_statement_compare(
        const AccountStatement *a, Bytes a_outer, const AccountStatement *b, Bytes b_outer);

/* The backup. It holds the account's key: wiped by whoever has it. */
typedef struct AccountBackup {
        uint8_t seed[KEY_SIZE]; /* of the account key */
        char name[NAME_SIZE];
        uint64_t epoch, record_seq; /* of the newest record when it was made */
        uint64_t made;
} AccountBackup;

/* Appends the sealed backup that S is to have: `account`, `seq` and `key_id` of it are there. NONCE
 * is fresh randomness. */
int account_backup_seal(const AccountBackup *b, const AccountStatement *s,
        const uint8_t key[static BOX_KEY_SIZE], const uint8_t nonce[static BOX_NONCE_SIZE],
        Buffer *out);

/* The backup of S. -EBADMSG: another key, made for another statement, or not of this account. */
int account_backup_open(
        const AccountStatement *s, const uint8_t key[static BOX_KEY_SIZE], AccountBackup *ret);

void account_backup_wipe(AccountBackup *b);
