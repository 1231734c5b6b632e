/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What wire/account.h has, made from fixed keys, as wire-sample.h does it. */

#include "wire-sample.h"
#include "wire/account.h"

static const uint8_t SAMPLE_BACKUP_KEY[BOX_KEY_SIZE] = {0x31, [31] = 0x32};
static const uint8_t SAMPLE_BACKUP_NONCE[BOX_NONCE_SIZE] = {0x33, [23] = 0x34};

static inline AccountBackup sample_backup(uint8_t n) {
        SignKey account = sample_key(n);
        AccountBackup b = {
                .name = "alice",
                .epoch = 3,
                .record_seq = SAMPLE_TIME / USEC_PER_MSEC,
                .made = SAMPLE_TIME,
        };

        memcpy(b.seed, sign_key_seed(&account), KEY_SIZE);
        return b;
}

/* Of account N, whose login key has N + 1. BACKUP empty: without a password. */
static inline AccountStatement sample_statement(uint8_t n, Bytes backup) {
        SignKey account = sample_key(n), login = sample_key((uint8_t)(n + 1));
        AccountStatement s = {.seq = SAMPLE_TIME / USEC_PER_MSEC, .issued = SAMPLE_TIME};

        memcpy(s.account, sign_key_public(&account), KEY_SIZE);
        if (backup.size == 0)
                return s;
        s.has_password = true;
        s.key_id = UINT64_C(0x0102030405060708);
        s.memory = 256UL * 1024;
        s.passes = 3;
        memcpy(s.login, sign_key_public(&login), KEY_SIZE);
        s.backup = backup;
        return s;
}

static inline Buffer sample_sealed_backup(uint8_t n) {
        AccountStatement s = sample_statement(n, sample_text("to come"));
        AccountBackup b = sample_backup(n);
        Buffer out = BUFFER_NULL;

        sample_must(account_backup_seal(&b, &s, SAMPLE_BACKUP_KEY, SAMPLE_BACKUP_NONCE, &out));
        return out;
}

static inline Buffer sample_deletion_object(uint8_t n) {
        AccountStatement s = sample_statement(n, (Bytes){});
        SignKey account = sample_key(n);
        Buffer b = BUFFER_NULL;

        s.deleted = true;
        sample_must(account_statement_encode(&s, &account, &b));
        return b;
}

static inline Buffer sample_statement_object(uint8_t n, bool has_password) {
        _cleanup_(buffer_done) Buffer backup = sample_sealed_backup(n);
        AccountStatement s = sample_statement(n, has_password ? sample_bytes(&backup) : (Bytes){});
        SignKey account = sample_key(n);
        Buffer b = BUFFER_NULL;

        sample_must(account_statement_encode(&s, &account, &b));
        return b;
}
