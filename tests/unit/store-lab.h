/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Two people, each with a store, who know each other; and entries of any form, to be received. */

#include "test.h"

#include <ftw.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "net/loop-sd-event.h"
#include "store/history.h"
#include "util/fs.h"
#include "wire-sample.h"

#define NOW SAMPLE_TIME
#define MINUTE USEC_PER_MINUTE

typedef struct Person {
        Store *store;
        char *dir;
        Identity self;
        Contact other; /* as known here */
} Person;

typedef struct Lab {
        char dir[64];
        sd_event *event;
        Loop *loop;
        Person alice, bob;
} Lab;

/* A record of the account with key N on the device with key DEVICE. */
static inline void record_make(
        uint8_t n, uint8_t device_n, const char *name, uint64_t epoch, uint64_t seq, Buffer *ret) {
        _cleanup_(buffer_done) Buffer certificate = BUFFER_NULL;
        SignKey account = sample_key(n), device = sample_key(device_n);
        Certificate c = sample_certificate(n);
        Record rec;

        c.epoch = epoch;
        memcpy(c.device, sign_key_public(&device), KEY_SIZE);
        CHECK_OK(certificate_encode(&c, &account, &device, &certificate));
        rec = sample_record(n, buffer_bytes(&certificate));
        rec.device = c;
        rec.epoch = epoch;
        rec.seq = seq;
        memset(rec.name, 0, sizeof(rec.name));
        memcpy(rec.name, name, strlen(name));
        *ret = BUFFER_NULL;
        CHECK_OK(record_encode(&rec, &account, ret));
}

/* Teaches S the record; returns what contact_learn() did. */
static inline int learn_device(Store *s, uint8_t n, uint8_t device_n, const char *name,
        uint64_t epoch, uint64_t seq, uint8_t flags, bool confirmed, Contact *ret) {
        Buffer outer;
        Record rec;
        int r;

        record_make(n, device_n, name, epoch, seq, &outer);
        CHECK_OK(record_decode(buffer_bytes(&outer), &rec));
        r = contact_learn(s, &rec, buffer_bytes(&outer), NOW, flags, confirmed, ret);
        buffer_done(&outer);
        return r;
}

static inline int learn(Store *s, uint8_t n, const char *name, uint64_t epoch, uint64_t seq,
        uint8_t flags, bool confirmed, Contact *ret) {
        return learn_device(s, n, (uint8_t)(n + 1), name, epoch, seq, flags, confirmed, ret);
}

static inline void person_new(Lab *lab, Person *p, uint8_t n, const char *name) {
        p->dir = fs_join(lab->dir, name);
        p->self = (Identity){.account = sample_key(n),
                .device = sample_key((uint8_t)(n + 1)),
                .epoch = 1,
                .record_seq = 1,
                .logged_in = true,
                .certificate = sample_certificate_object(n)};
        memcpy(p->self.name, name, strlen(name));
        record_make(n, (uint8_t)(n + 1), name, 1, 1, &p->self.record);
        CHECK_OK(store_open(p->dir, lab->loop, &p->store));
}

static inline void person_free(Person *p) {
        store_close(p->store);
        identity_done(&p->self);
        free(p->dir);
}

static inline void person_reopen(Lab *lab, Person *p) {
        p->store = store_close(p->store);
        CHECK_OK(store_open(p->dir, lab->loop, &p->store));
}

#define ALICE 1
#define BOB 3
#define CAROL 5

static inline void lab_new(Lab *lab) {
        *lab = (Lab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(lab->dir));
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        person_new(lab, &lab->alice, ALICE, "alice");
        person_new(lab, &lab->bob, BOB, "bob");
        CHECK(learn(lab->alice.store, BOB, "bob", 1, 1, CONTACT_PINNED, true, &lab->alice.other) >
                0);
        CHECK(learn(lab->bob.store, ALICE, "alice", 1, 1, CONTACT_PINNED, true, &lab->bob.other) >
                0);
}

static inline int lab_remove(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static inline void lab_free(Lab *lab) {
        person_free(&lab->alice);
        person_free(&lab->bob);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
        CHECK_OK(nftw(lab->dir, lab_remove, 8, FTW_DEPTH | FTW_PHYS));
}

static inline DbTxn *txn_of(const Person *p) {
        return store_write(p->store);
}

static inline Uuid uuid_number(uint32_t n) {
        Uuid u = {.bytes = {1, 0x9b, 0, 0, 0, 0, 0x70, 0, 0x80}};

        db_set_u32(u.bytes + 12, n);
        return u;
}

static inline uint32_t uuid_to_number(const Uuid *u) {
        return db_get_u32(u->bytes + 12);
}

/* Sends under the id with number ID. */
static inline int send_text(Person *p, uint32_t id, const char *text, usec_t now) {
        return store_send(p->store,
                &(NewMessage){.self = &p->self,
                        .to = &p->other,
                        .id = uuid_number(id),
                        .text = text_bytes(text),
                        .now = now});
}

/* The own feed towards the other, which has been written to. */
static inline Feed own_feed(const Person *p) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;
        Feed f;

        conversation_direct(sign_key_public(&p->self.account), p->other.account, hash);
        CHECK_EQ(conversation_find(txn_of(p), hash, &v), 1);
        CHECK_EQ(feed_find(txn_of(p), v.number, SELF_NUMBER, p->self.epoch,
                         sign_key_public(&p->self.device), &f),
                1);
        return f;
}

static inline Conversation conversation_of(const Person *p) {
        uint8_t hash[SHA256_SIZE];
        Conversation v;

        conversation_direct(sign_key_public(&p->self.account), p->other.account, hash);
        CHECK_EQ(conversation_find(txn_of(p), hash, &v), 1);
        return v;
}

/* An entry as it comes over a link. */
typedef struct Made {
        Buffer bytes;
        Inner inner;
        uint8_t hash[SHA256_SIZE];
} Made;

static inline void made_done(Made *m) {
        buffer_done(&m->bytes);
}

static inline void make(Made *ret, const Inner *m) {
        *ret = (Made){};
        CHECK_OK(inner_encode(&ret->bytes, m));
        CHECK_OK(inner_decode(buffer_bytes(&ret->bytes), &ret->inner));
        sha256(buffer_data(&ret->bytes), buffer_size(&ret->bytes), ret->hash);
}

/* Alice's entry SEQ after the one with hash PREV (NULL: none), sent at NOW + SEQ ms. */
static inline Inner inner_for(uint64_t seq, const uint8_t *prev) {
        Inner m = sample_inner(ALICE, BOB);

        m.id = uuid_number((uint32_t)seq);
        m.seq = seq;
        memset(m.prev, 0, SHA256_SIZE);
        if (prev)
                memcpy(m.prev, prev, SHA256_SIZE);
        m.sent = NOW + seq % 1000 * USEC_PER_MSEC;
        m.hlc = m.sent / USEC_PER_MSEC << 16;
        m.expires = m.sent + 30 * USEC_PER_DAY;
        return m;
}

/* A chain of N entries, the first with seq 1. */
static inline void make_chain(Made *ret, size_t n) {
        for (size_t i = 0; i < n; i++) {
                Inner m = inner_for(i + 1, i > 0 ? ret[i - 1].hash : NULL);

                make(&ret[i], &m);
        }
}

static inline void chain_done(Made *m, size_t n) {
        for (size_t i = 0; i < n; i++)
                made_done(&m[i]);
}

/* P takes it in from his other. */
static inline Received receive_and_find(Person *p, const Made *m, usec_t now, ReceivedAt *ret_at) {
        NewEntry e = {.self = &p->self,
                .from = &p->other,
                .inner = &m->inner,
                .bytes = buffer_bytes(&m->bytes),
                .hash = m->hash,
                .now = now};
        ReceivedAt at;
        Received what;

        CHECK_OK(store_receive(p->store, &e, &what, ret_at ?: &at));
        return what;
}

static inline Received receive_at(Person *p, const Made *m, usec_t now) {
        return receive_and_find(p, m, now, NULL);
}

static inline Received receive(Lab *lab, const Made *m) {
        return receive_at(&lab->bob, m, NOW + MINUTE);
}

static inline Inner inner_at(const Person *p, uint32_t feed, uint64_t seq) {
        Entry e;
        Inner m;

        CHECK_EQ(entry_get(txn_of(p), feed, seq, &e), 1);
        CHECK_OK(inner_decode(e.inner, &m));
        return m;
}

static inline void hash_at(const Person *p, uint32_t feed, uint64_t seq, uint8_t *ret) {
        Entry e;

        CHECK_EQ(entry_get(txn_of(p), feed, seq, &e), 1);
        sha256(e.inner.data, e.inner.size, ret);
}

static inline int send_as(Person *p, uint32_t id, const char *text, uint32_t reply_to,
        usec_t expires, const Contact *to) {
        return store_send(p->store,
                &(NewMessage){.self = &p->self,
                        .to = to,
                        .id = uuid_number(id),
                        .has_reply_to = reply_to > 0,
                        .reply_to = uuid_number(reply_to),
                        .text = text_bytes(text),
                        .expires = expires,
                        .now = NOW});
}

/* Alice's feed at bob's. */
static inline Feed foreign_feed(const Person *p) {
        Conversation v = conversation_of(p);
        SignKey device = sample_key(ALICE + 1);
        Feed f;

        CHECK_EQ(feed_find(txn_of(p), v.number, p->other.number, 1, sign_key_public(&device), &f),
                1);
        return f;
}

/* Bob's for a feed of alice's. */
static inline int make_receipt_of(const Lab *lab, uint32_t feed, ReceiptState state, Receipt *ret) {
        const Person *bob = &lab->bob;

        return store_make_receipt(
                txn_of(bob), feed, state, sign_key_public(&bob->self.account), ret);
}

static inline int make_receipt(const Lab *lab, uint32_t feed, Receipt *ret) {
        return make_receipt_of(lab, feed, RECEIPT_DELIVERED, ret);
}
