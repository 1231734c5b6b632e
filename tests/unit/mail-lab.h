/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Letters, whose insides a directory node cannot read anyway, and requests about them. */

#include "node-lab.h"

#include "crypto/stamp.h"

#define LAB_STAMP_BITS 8
#define PREKEY 7

static _unused_ void lab_take_mail(Lab *lab) {
        lab->limits.mailbox = true;
        lab->limits.mailbox_days = 30;
        lab->limits.mailbox_items = 1000;
        lab->limits.mailbox_bytes = 8 << 20;
        lab->limits.stamp_bits = LAB_STAMP_BITS;
}

/* Somebody registered, who can be left mail. */
static _unused_ void recipient_new(Lab *lab, const char *name, User *u, Caller *c) {
        user_new(lab, name, u);
        u->prekey = PREKEY;
        user_sign(lab, u, LIFETIME);
        caller_new(lab, u, c);
        CHECK_EQ(caller_register(c, u), CODE_OK);
}

typedef struct Letter {
        uint8_t envelope[MAIL_ENVELOPE_MAX];
        size_t size;
        uint8_t id[SHA256_SIZE], secret[WITHDRAW_SECRET_SIZE];
        Deposit deposit;
} Letter;

/* The NUMBER-th to U, with as many bytes of text, for ten days, without token or stamp. */
static _unused_ void letter_new(
        Lab *lab, const User *u, unsigned number, size_t size, Letter *ret) {
        static uint8_t text[MAIL_ENVELOPE_MAX];
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        Envelope e = {.suite = MAIL_SUITE_HPKE, .prekey = PREKEY, .ciphertext = {text, size}};

        memset(text, (int)number, size);
        memcpy(e.enc, &number, sizeof(number));
        *ret = (Letter){.deposit = {.expires = loop_realtime(&lab->loop.loop) + 10 * USEC_PER_DAY}};
        CHECK_OK(envelope_encode(&out, &e));
        ret->size = buffer_size(&out);
        CHECK(ret->size <= sizeof(ret->envelope));
        memcpy(ret->envelope, buffer_data(&out), ret->size);
        memcpy(ret->secret, &number, sizeof(number));
        memcpy(ret->deposit.account, user_account(u), KEY_SIZE);
        ret->deposit.envelope = (Bytes){ret->envelope, ret->size};
        envelope_id(ret->deposit.envelope, ret->id);
        sha256(ret->secret, sizeof(ret->secret), ret->deposit.withdraw_hash);
}

static _unused_ void letter_stamp(Letter *l) {
        Stamp s;

        stamp_init(&s, l->deposit.account, l->id, LAB_STAMP_BITS);
        while (!stamp_search(&s, 1000))
                ;
        l->deposit.has_stamp = true;
        l->deposit.stamp = s.nonce;
}

/* A token of U's for the contact whose pseudonym begins with WHO. The caller frees it. */
static _unused_ Buffer token_new(Lab *lab, const User *u, uint8_t who, usec_t lifetime) {
        DepositToken t = {.pseudonym = {who}, .expires = loop_realtime(&lab->loop.loop) + lifetime};
        Buffer out = BUFFER_NULL;

        memcpy(t.account, user_account(u), KEY_SIZE);
        CHECK_OK(deposit_token_encode(&out, &t, &u->account));
        return out;
}

/* What was said to the last request. */
typedef struct Said {
        Code code;
        char text[256];
        uint64_t retry_after;
} Said;

static _unused_ Said said(Frame *f) {
        Refusal x;
        Said s = {.code = CODE_OK};

        if (f->type == FRAME_OK)
                return s;
        CHECK_OK(refusal_decode(f, &x));
        s.code = x.code;
        s.retry_after = x.retry_after;
        CHECK(x.text.size < sizeof(s.text));
        copy_bytes(s.text, x.text.data, x.text.size);
        return s;
}

/* OK: it was kept, or had been; or RET_RECORD, where that is not NULL, is what to seal to. */
static _unused_ Said try_deposit(Caller *c, const Letter *l, Bytes *ret_record) {
        DepositAnswer answer;
        Deposit d = l->deposit;
        Frame f;

        d.envelope.data = l->envelope;
        caller_sent(c, deposit_encode(conn_output(c->conn), ++c->last_request, &d));
        f = caller_answer(c);
        if (f.type == FRAME_OK) {
                CHECK_OK(deposit_answer_decode(&f, &answer));
                CHECK_EQ(answer.replicas, !ret_record);
                if (ret_record)
                        *ret_record = answer.record;
                return (Said){.code = CODE_OK};
        }
        return said(&f);
}

static _unused_ Code deposit(Caller *c, const Letter *l) {
        return try_deposit(c, l, NULL).code;
}

/* By somebody who stamps it. */
static _unused_ Code deposit_stamped(Lab *lab, Caller *c, const User *to, unsigned number) {
        static Letter l;

        letter_new(lab, to, number, 300, &l);
        letter_stamp(&l);
        return deposit(c, &l);
}

/* The answer's memory lives until the next call. */
static _unused_ Code collect(Caller *c, Bytes after, unsigned limit, CollectAnswer *ret) {
        Collect x = {.after = after, .limit = limit};
        Frame f;

        *ret = (CollectAnswer){};
        caller_sent(c, collect_encode(conn_output(c->conn), ++c->last_request, &x));
        f = caller_answer(c);
        if (f.type == FRAME_OK) {
                CHECK_OK(collect_answer_decode(&f, ret));
                return CODE_OK;
        }
        return said(&f).code;
}

static _unused_ size_t count_mail(Caller *c) {
        CollectAnswer a;

        CHECK_EQ(collect(c, (Bytes){}, COLLECT_MAX, &a), CODE_OK);
        CHECK_EQ(a.after.size, 0);
        return a.n_items;
}

static _unused_ Code collected(Caller *c, const Letter *l, Bytes rekey) {
        Collected x = {.ids = {l ? l->id : NULL, l ? SHA256_SIZE : 0}, .rekey = rekey};
        Frame f;

        caller_sent(c, collected_encode(conn_output(c->conn), ++c->last_request, &x));
        f = caller_answer(c);
        return said(&f).code;
}

/* The rekey's memory lives until the next call. */
static _unused_ MailState mail_state(Caller *c, const Letter *l, Bytes *ret_rekey) {
        MailStatus s = {.n_ids = 1};
        MailStatusAnswer a;
        Frame f;

        memcpy(s.account, l->deposit.account, KEY_SIZE);
        memcpy(s.ids[0], l->id, SHA256_SIZE);
        caller_sent(c, mail_status_encode(conn_output(c->conn), ++c->last_request, &s));
        f = caller_answer(c);
        CHECK_EQ(f.type, FRAME_OK);
        CHECK_OK(mail_status_answer_decode(&f, &a));
        CHECK_EQ(a.n_items, 1);
        if (ret_rekey)
                *ret_rekey = a.items[0].rekey;
        else
                CHECK_EQ(a.items[0].rekey.size, 0);
        return a.items[0].state;
}

static _unused_ Code withdraw(Caller *c, const Letter *l, uint8_t secret) {
        Withdraw w = {};
        Frame f;

        memcpy(w.account, l->deposit.account, KEY_SIZE);
        memcpy(w.id, l->id, SHA256_SIZE);
        memcpy(w.secret, l->secret, sizeof(w.secret));
        w.secret[31] ^= secret;
        caller_sent(c, withdraw_encode(conn_output(c->conn), ++c->last_request, &w));
        f = caller_answer(c);
        return said(&f).code;
}

static _unused_ uint64_t caller_take_waiting(Caller *c) {
        Frame f = caller_take(c, FRAME_MAIL_WAITING);
        uint64_t n;

        CHECK_OK(mail_waiting_decode(&f, &n));
        return n;
}
