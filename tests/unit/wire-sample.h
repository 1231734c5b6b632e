/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One of each object and frame of the protocol, made from fixed keys: what the tests of the codecs
 * begin with, and what the corpora of the fuzzers are made of.
 */

#include "wire/beacon.h"
#include "wire/mailbox.h"

#define SAMPLE_TIME UINT64_C(1767225600000000) /* 2026-01-01 */
#define SAMPLE_PREKEY "a key of thirty-two bytes length"

static inline Bytes sample_bytes(const Buffer *b) {
        return (Bytes){.data = b->data + b->begin, .size = buffer_size(b)};
}

static inline Bytes sample_text(const char *s) {
        return (Bytes){.data = (const uint8_t *)s, .size = strlen(s)};
}

static inline void sample_must(int r) {
        if (r < 0)
                abort();
}

static inline SignKey sample_key(uint8_t n) {
        uint8_t seed[KEY_SIZE] = {n, 0x5a};
        SignKey k;

        sample_must(crypto_init());
        sign_key_from_seed(seed, &k);
        return k;
}

/* Whose account has key N and whose device key N + 1. */
static inline Certificate sample_certificate(uint8_t n) {
        SignKey account = sample_key(n), device = sample_key((uint8_t)(n + 1));
        Certificate c = {
                .epoch = 1, .issued = SAMPLE_TIME, .expires = SAMPLE_TIME + IDENTITY_LIFETIME};

        memcpy(c.account, sign_key_public(&account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&device), KEY_SIZE);
        return c;
}

static inline Buffer sample_certificate_object(uint8_t n) {
        SignKey account = sample_key(n), device = sample_key((uint8_t)(n + 1));
        Certificate c = sample_certificate(n);
        Buffer b = BUFFER_NULL;

        sample_must(certificate_encode(&c, &account, &device, &b));
        return b;
}

static inline Record sample_record(uint8_t n, Bytes certificate) {
        Record rec = {
                .name = "alice",
                .certificate = certificate,
                .device = sample_certificate(n),
                .epoch = 1,
                .seq = SAMPLE_TIME / USEC_PER_MSEC,
                .issued = SAMPLE_TIME,
                .expires = SAMPLE_TIME + IDENTITY_LIFETIME,
                .suites = {1, 300},
                .n_suites = 2,
                .prekeys = {{.suite = 1, .id = 7, .key = sample_text(SAMPLE_PREKEY)},
                        {.suite = 300, .id = 8, .key = sample_text("another")}},
                .n_prekeys = 2,
                .listed = true,
                .presence = VISIBLE_CONTACTS,
                .endpoints = VISIBLE_ALL,
                .changes = {sample_text("first"), sample_text("second")},
                .n_changes = 2,
        };

        memcpy(rec.account, rec.device.account, KEY_SIZE);
        return rec;
}

static inline Buffer sample_record_object(uint8_t n) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(n);
        Record rec = sample_record(n, sample_bytes(&certificate));
        SignKey account = sample_key(n);
        Buffer b = BUFFER_NULL;

        sample_must(record_encode(&rec, &account, &b));
        return b;
}

static inline PresenceRecord sample_presence(uint8_t n) {
        Certificate c = sample_certificate(n);
        PresenceRecord p = {
                .epoch = 1,
                .endpoints = {sample_text("192.0.2.1:7425"), sample_text("[2001:db8::1]:7425"),
                        sample_text("alice.example:80")},
                .n_endpoints = 3,
                .presence = PRESENCE_AWAY,
                .note = sample_text("back at four ☕"),
                .seq = 70000,
        };

        memcpy(p.account, c.account, KEY_SIZE);
        memcpy(p.device, c.device, KEY_SIZE);
        return p;
}

static inline Buffer sample_presence_object(uint8_t n) {
        SignKey device = sample_key((uint8_t)(n + 1));
        PresenceRecord p = sample_presence(n);
        Buffer b = BUFFER_NULL;

        sample_must(presence_encode(&p, &device, &b));
        return b;
}

/* With every field that there is for its kind. Key N + 1 signs it. */
static inline Beacon sample_beacon(BeaconKind kind, uint8_t n, Bytes certificate) {
        Beacon b = {
                .kind = kind,
                .port = 7425,
                .boot_nonce = {0x44, [15] = 0x55},
                .seq = 70000,
                .interval = 11,
                .presence = PRESENCE_ONLINE,
                .asks = true,
                .leaves = true,
        };

        b.device = sample_certificate(n);
        if (kind == BEACON_PERSON) {
                b.certificate = certificate;
                b.presence = PRESENCE_BUSY;
                snprintf(b.name, sizeof(b.name), "alice");
                snprintf(b.note, sizeof(b.note), "back at four ☕");
        } else {
                memcpy(b.key, b.device.device, KEY_SIZE);
                snprintf(b.host, sizeof(b.host), "tracker.example");
        }
        return b;
}

static inline Buffer sample_beacon_object(BeaconKind kind, uint8_t n) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(n);
        SignKey key = sample_key((uint8_t)(n + 1));
        Beacon x = sample_beacon(kind, n, sample_bytes(&certificate));
        Buffer b = BUFFER_NULL;

        sample_must(beacon_encode(&x, &key, &b));
        return b;
}

/* What account N wrote to account M. */
static inline Inner sample_inner(uint8_t n, uint8_t m) {
        Certificate from = sample_certificate(n), to = sample_certificate(m);
        Inner x = {
                .id.bytes = {1, 2, 3, 4, 5, 6, 0x70, 8, 0x80, 10, 11, 12, 13, 14, 15, 16},
                .epoch = 1,
                .seq = 300,
                .prev = {0xee},
                .hlc = SAMPLE_TIME / USEC_PER_MSEC << 16 | 5,
                .sent = SAMPLE_TIME,
                .expires = SAMPLE_TIME + 30 * USEC_PER_DAY,
                .kind = KIND_TEXT,
                .body = sample_text("hi"),
        };

        conversation_direct(from.account, to.account, x.conversation);
        memcpy(x.account, from.account, KEY_SIZE);
        memcpy(x.device, from.device, KEY_SIZE);
        return x;
}

/* With every optional field. */
static inline Inner sample_inner_full(uint8_t n, uint8_t m) {
        Inner x = sample_inner(n, m);

        x.n_parents = 2;
        x.parents[0][0] = 1;
        x.parents[1][31] = 2;
        x.has_reply_to = true;
        x.reply_to.bytes[3] = 9;
        x.control_head = sample_text("head");
        x.ext = sample_text("\xa1\x01\x02");
        return x;
}

static inline Receipt sample_receipt(void) {
        Inner x = sample_inner(1, 3);
        Certificate reader = sample_certificate(3);
        Receipt rc = {
                .epoch = x.epoch,
                .ranges = {{1, 1}, {3, 299}, {301, UINT64_MAX}},
                .n_ranges = 3,
                .hash = {0xab},
                .state = RECEIPT_READ,
        };

        memcpy(rc.conversation, x.conversation, SHA256_SIZE);
        memcpy(rc.author, x.account, KEY_SIZE);
        memcpy(rc.device, x.device, KEY_SIZE);
        memcpy(rc.reader, reader.account, KEY_SIZE);
        return rc;
}

static inline Void sample_void(void) {
        Inner x = sample_inner(1, 3);
        Void v = {.epoch = x.epoch,
                .ranges = {{2, 2}, {300, 300}},
                .n_ranges = 2,
                .reason = VOID_EXPIRED};

        memcpy(v.conversation, x.conversation, SHA256_SIZE);
        memcpy(v.author, x.account, KEY_SIZE);
        memcpy(v.device, x.device, KEY_SIZE);
        return v;
}

static inline Hello sample_hello(Bytes certificate, Bytes record) {
        Hello h = {
                .versions = {1, 2},
                .n_versions = 2,
                .expects = true,
                .expected = {0x33},
                .certificate = certificate,
                .record = record,
                .boot_nonce = {0x44},
                .heartbeat = 30,
                .features = {1, 65535},
                .n_features = 2,
                .time = SAMPLE_TIME,
        };

        return h;
}

static inline HelloOk sample_hello_ok(Bytes receipt, Bytes presence) {
        HelloOk h = {
                .deposit_token = sample_text("token"),
                .presence_key = sample_text("presence key"),
                .has_head = true,
                .head = {.epoch = 1, .device = {2}, .seq = 300, .hash = {4}},
                .receipt = receipt,
                .presence = presence,
        };

        return h;
}

static inline MessageFrame sample_message(
        Bytes inner, const uint8_t *signature, Bytes certificate) {
        return (MessageFrame){
                .inner = inner,
                .signature = {.data = signature, .size = SIGNATURE_SIZE},
                .certificate = certificate,
        };
}

static inline Envelope sample_envelope(void) {
        return (Envelope){
                .suite = MAIL_SUITE_HPKE,
                .prekey = SAMPLE_TIME / USEC_PER_MSEC,
                .enc = {0x55, [31] = 0x66},
                .ciphertext = sample_text("what nobody but the recipient can read"),
        };
}

static inline Buffer sample_envelope_bytes(void) {
        Envelope e = sample_envelope();
        Buffer b = BUFFER_NULL;

        sample_must(envelope_encode(&b, &e));
        return b;
}

/* With every optional field. */
static inline Content sample_content(Bytes certificate, Bytes record, Bytes deposit_token) {
        return (Content){
                .kind = CONTENT_MESSAGE,
                .body = sample_text("INNER"),
                .signature = {0x77, [63] = 0x88},
                .certificate = certificate,
                .record = record,
                .deposit_token = deposit_token,
                .presence_key = sample_text("presence key"),
        };
}

/* By which a contact of account N leaves something for it. */
static inline DepositToken sample_deposit_token(uint8_t n) {
        SignKey account = sample_key(n);
        DepositToken t = {
                .pseudonym = {0x99, [15] = 0xaa},
                .expires = SAMPLE_TIME + DEPOSIT_TOKEN_LIFETIME,
        };

        memcpy(t.account, sign_key_public(&account), KEY_SIZE);
        return t;
}

static inline Buffer sample_deposit_token_object(uint8_t n) {
        SignKey account = sample_key(n);
        DepositToken t = sample_deposit_token(n);
        Buffer b = BUFFER_NULL;

        sample_must(deposit_token_encode(&b, &t, &account));
        return b;
}

static inline Rekey sample_rekey(uint8_t n) {
        SignKey account = sample_key(n);
        Rekey k = {
                .items = {{1}, {[31] = 2}},
                .n_items = 2,
                .prekey = {.suite = MAIL_SUITE_HPKE, .id = 9, .key = sample_text(SAMPLE_PREKEY)},
        };

        memcpy(k.account, sign_key_public(&account), KEY_SIZE);
        return k;
}

static inline Buffer sample_rekey_object(uint8_t n) {
        SignKey account = sample_key(n);
        Rekey k = sample_rekey(n);
        Buffer b = BUFFER_NULL;

        sample_must(rekey_encode(&b, &k, &account));
        return b;
}

static inline Deposit sample_deposit(Bytes envelope, Bytes token) {
        return (Deposit){
                .account = {0xbb},
                .envelope = envelope,
                .expires = SAMPLE_TIME + MAIL_LIFETIME_MAX,
                .withdraw_hash = {0xcc, [31] = 0xdd},
                .token = token,
        };
}
