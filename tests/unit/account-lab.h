/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A directory node that keeps passwords, and who has one. Stretching costs next to nothing here. */

#include "crypto/password.h"
#include "node-lab.h"
#include "util/fs.h"
#include "wire/account.h"

#define LAB_MEMORY 8
#define LAB_PASSES 1

typedef struct AccountLab {
        Lab lab;
        char *dir;
        OprfKeys *keys;
} AccountLab;

static void account_lab_open(AccountLab *x) {
        CHECK_OK(oprf_keys_open(&x->lab.loop.loop, x->dir, &x->keys));
        CHECK_OK(node_set_accounts(x->lab.node, x->keys));
}

static _unused_ void account_lab_new(AccountLab *x) {
        *x = (AccountLab){};
        lab_new(&x->lab);
        x->lab.limits.password_memory = LAB_MEMORY;
        x->lab.limits.password_passes = LAB_PASSES;
        x->lab.limits.password_time = 1;
        x->dir = fs_join(x->lab.dir, "oprf");
        account_lab_open(x);
}

/* Whoever is connected is to be freed before. */
static void account_lab_stop(AccountLab *x) {
        lab_stop_node(&x->lab);
        x->keys = oprf_keys_close(x->keys);
}

static _unused_ void account_lab_start(AccountLab *x) {
        lab_start_node(&x->lab);
        account_lab_open(x);
}

static _unused_ void account_lab_free(AccountLab *x) {
        account_lab_stop(x);
        lab_free(&x->lab);
        free(x->dir);
}

/* Who connects from now on comes from 10.0.<source>. */
static _unused_ void lab_come_from(Lab *lab, unsigned source) {
        static SockAddr a;
        char text[32];

        snprintf(text, sizeof(text), "10.0.%u.%u", source / 256, source % 256);
        CHECK_OK(sockaddr_parse_ip(text, 4711, &a));
        lab->peer = &a;
}

/* OPRF: what is to be said, and what came of it */

typedef struct Asked {
        OprfRequest request;
        uint8_t blind[OPRF_KEY_SIZE];
        char password[64];
        OprfAnswer answer;
        PasswordKeys keys;
} Asked;

/* By name, or by account where NAME is NULL. */
static void asked_begin(
        Asked *x, Lab *lab, const char *name, const uint8_t *account, const char *password) {
        uint8_t random[OPRF_RANDOM_SIZE];

        *x = (Asked){};
        if (name)
                snprintf(x->request.name, sizeof(x->request.name), "%s", name);
        else
                memcpy(x->request.account, account, KEY_SIZE);
        snprintf(x->password, sizeof(x->password), "%s", password);
        loop_random(&lab->loop.loop, random, sizeof(random));
        CHECK_OK(oprf_blind(text_bytes(x->password), random, x->blind, x->request.blinded));
}

static void asked_send(Asked *x, Caller *c) {
        caller_sent(c, oprf_request_encode(conn_output(c->conn), ++c->last_request, &x->request));
}

static Code asked_take(Asked *x, Caller *c) {
        uint8_t y[OPRF_OUTPUT_SIZE];
        PasswordCost cost;
        Frame f;

        f = caller_answer(c);
        if (f.type != FRAME_OK)
                return frame_code(&f);
        CHECK_OK(oprf_answer_decode(&f, &x->answer));
        CHECK_OK(oprf_finalize(text_bytes(x->password), x->blind, x->answer.evaluated, y));
        cost = (PasswordCost){.memory = x->answer.memory, .passes = x->answer.passes};
        CHECK_OK(password_stretch(y, &cost, &x->keys));
        return CODE_OK;
}

static _unused_ Code caller_ask(
        Caller *c, const char *name, const uint8_t *account, const char *password, Asked *ret) {
        asked_begin(ret, c->lab, name, account, password);
        asked_send(ret, c);
        return asked_take(ret, c);
}

static _unused_ Code caller_enrol(Caller *c, const User *u, const char *password, Asked *ret) {
        asked_begin(ret, c->lab, NULL, user_account(u), password);
        ret->request.enrol = true;
        asked_send(ret, c);
        return asked_take(ret, c);
}

/* Statements */

/* With the key that was answered; NULL: without a password. The caller frees it. */
static Buffer statement_new(Lab *lab, const User *u, const Asked *x, uint64_t seq) {
        _cleanup_(buffer_done) Buffer backup = BUFFER_NULL;
        static const uint8_t nonce[BOX_NONCE_SIZE] = {1};
        AccountStatement s = {.seq = seq, .issued = lab->realtime};
        Buffer out = BUFFER_NULL;
        SignKey login;

        memcpy(s.account, user_account(u), KEY_SIZE);
        if (x) {
                AccountBackup b = {.epoch = u->epoch, .record_seq = u->seq, .made = lab->realtime};

                memcpy(b.seed, sign_key_seed(&u->account), KEY_SIZE);
                memcpy(b.name, u->name, sizeof(b.name));
                s.has_password = true;
                s.key_id = x->answer.key_id;
                s.memory = x->answer.memory;
                s.passes = x->answer.passes;
                sign_key_from_seed(x->keys.login_seed, &login);
                memcpy(s.login, sign_key_public(&login), KEY_SIZE);
                CHECK_OK(account_backup_seal(&b, &s, x->keys.backup, nonce, &backup));
                s.backup = buffer_view(&backup);
        }
        CHECK_OK(account_statement_encode(&s, &u->account, &out));
        return out;
}

static Code caller_put(Caller *c, const Buffer *statement) {
        Frame f;

        caller_sent(
                c, account_encode(conn_output(c->conn), ++c->last_request, buffer_view(statement)));
        f = caller_answer(c);
        return frame_code(&f);
}

static uint64_t lab_seq(const Lab *lab) {
        return lab->realtime / USEC_PER_MSEC;
}

static Code caller_put_new(Caller *c, const User *u, const Asked *x, uint64_t seq) {
        _cleanup_(buffer_done) Buffer b = statement_new(c->lab, u, x, seq);

        return caller_put(c, &b);
}

/* Registered and connected, with this password. SEQ is counted from the lab's time. */
static _unused_ void account_new(
        Lab *lab, const char *name, const char *password, User *u, Caller *c) {
        Asked x;

        member_new(lab, name, u, c);
        CHECK_EQ(caller_enrol(c, u, password, &x), CODE_OK);
        CHECK_EQ(caller_put_new(c, u, &x, lab_seq(lab)), CODE_OK);
}

/* LOGIN */

typedef struct LoggedIn {
        Code code;
        char text[256];
        uint64_t retry_after;
        AccountStatement statement;
        AccountBackup backup;
        Record record;
        Bytes statement_outer;
} LoggedIn;

static void caller_send_signature(Caller *c, const uint8_t signature[static SIGNATURE_SIZE]) {
        caller_sent(c, login_encode(conn_output(c->conn), ++c->last_request, signature));
}

/* Over this connection or, where there is one, FOREIGN's. What RET points to lives until the next
 * answer. */
static void caller_sign(Caller *c, Caller *foreign, const Asked *x, uint8_t ret[SIGNATURE_SIZE]) {
        uint8_t exporter[LOGIN_EXPORTER_SIZE];
        SignKey login;

        CHECK_OK(conn_export(
                (foreign ?: c)->conn, LOGIN_EXPORTER_LABEL, exporter, sizeof(exporter)));
        sign_key_from_seed(x->keys.login_seed, &login);
        CHECK_OK(login_sign(&login, exporter, sign_key_public(&c->lab->key), &x->request, ret));
}

static LoggedIn caller_take_login(Caller *c, const Asked *x) {
        Frame f = caller_answer(c);
        LoggedIn l = {};
        LoginAnswer a;
        Refusal no;

        if (f.type != FRAME_OK) {
                CHECK_OK(refusal_decode(&f, &no));
                l.code = no.code;
                l.retry_after = no.retry_after;
                snprintf(l.text, sizeof(l.text), "%.*s", (int)no.text.size, no.text.data);
                return l;
        }
        CHECK_OK(login_answer_decode(&f, &a));
        l.statement_outer = a.statement;
        CHECK_OK(account_statement_decode(a.statement, &l.statement));
        CHECK_OK(record_decode(a.record, &l.record));
        CHECK_OK(account_backup_open(&l.statement, x->keys.backup, &l.backup));
        return l;
}

static LoggedIn caller_log_in_after(Caller *c, const Asked *x) {
        uint8_t signature[SIGNATURE_SIZE];

        caller_sign(c, NULL, x, signature);
        caller_send_signature(c, signature);
        return caller_take_login(c, x);
}

/* By name, or by account where NAME is NULL. */
static _unused_ LoggedIn caller_log_in(
        Caller *c, const char *name, const uint8_t *account, const char *password) {
        Asked x;

        CHECK_EQ(caller_ask(c, name, account, password, &x), CODE_OK);
        return caller_log_in_after(c, &x);
}

/* From somebody who connects for it. */
static _unused_ LoggedIn lab_log_in(Lab *lab, const char *name, const char *password) {
        LoggedIn l;
        Caller c;

        caller_new(lab, NULL, &c);
        l = caller_log_in(&c, name, NULL, password);
        caller_free(&c);
        return l;
}
