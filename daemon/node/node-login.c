/* SPDX-License-Identifier: GPL-3.0-or-later */

/* OPRF and LOGIN: a password is tried. node-account.h says what must not be told by it. */

#include "node/node-account.h"

_Static_assert(ACCOUNT_ELEMENT_SIZE == OPRF_ELEMENT_SIZE, "as the function has it");
_Static_assert(TRIES_SOURCE_SIZE == OPRF_SOURCE_SIZE, "both are sockaddr_prefix()");

/* Answers in time */

static void trial_clear(ClientRequest *rq) {
        Trial *t = CONTAINER_OF(rq, Trial, request);

        if (t->waits)
                DL_DELETE(client_accounts(rq->client)->trials, t);
        buffer_done(&t->answer);
}

/* SIZE is that of the struct that begins with Trial. NULL: refused, with an answer. */
static void *trial_new(Client *c, uint64_t id, size_t size) {
        const NodeLimits *l = c->node->limits;
        Trial *t = client_request_new(c, id, size);

        if (!t)
                return NULL;
        t->request.clear = trial_clear;
        t->due = loop_now(c->node->loop) +
                (l->password_time > 0 ? l->password_time : PASSWORD_TIME_DEFAULT);
        return t;
}

/* The end of each encoder: R is what it returned. */
static void trial_answered(Trial *t, int r) {
        NodeAccounts *a = client_accounts(t->request.client);

        if (r < 0) {
                client_queued(t->request.client, r);
                client_request_free(&t->request);
                return;
        }
        t->waits = true;
        DL_APPEND(a->trials, t);
        if (a->trials == t)
                loop_timer_set(a->answer, t->due);
}

static void trial_refused(Trial *t, Code code, const char *text, uint64_t retry_after) {
        trial_answered(t, error_encode(&t->answer, t->request.id, code, text, retry_after));
}

static void trial_give(Trial *t) {
        Client *c = t->request.client;

        client_queued(c,
                buffer_append(
                        conn_output(c->conn), buffer_data(&t->answer), buffer_size(&t->answer)));
        client_request_free(&t->request);
}

void accounts_give_answers(NodeAccounts *a) {
        usec_t now = loop_now(a->node->loop);

        if (a->trials) /* whose time it was when this was called */
                now = MAX(now, a->trials->due);
        while (a->trials && a->trials->due <= now)
                trial_give(a->trials);
        if (a->trials)
                loop_timer_set(a->answer, a->trials->due);
}

/* OPRF: name -> account -> record -> statement -> keys */

typedef struct Evaluation {
        Trial trial;
        OprfRequest asked;
        uint8_t nobody[KEY_SIZE]; /* what stands for the name where it leads nowhere */
        uint8_t account[KEY_SIZE];
        bool is_there; /* the account has a record here */
} Evaluation;

/* Which key and id answer it. */
static int evaluation_choose(
        NodeAccounts *a, const Evaluation *x, const AccountStatement *s, OprfKey *ret) {
        const PasswordCost cost = accounts_cost(a);
        uint8_t login[KEY_SIZE];
        OprfKey own = {}, fake;
        int r;

        oprf_keys_fake(a->keys, x->account, &fake, login);
        fake.memory = cost.memory;
        fake.passes = cost.passes;
        r = oprf_keys_get(a->keys, x->account, s ? s->key_id : fake.id, &own);
        accounts_keys_told(a, MIN(r, 0), false);
        if (r >= 0)
                *ret = r > 0 && s ? own : fake;
        oprf_key_wipe(&own);
        oprf_key_wipe(&fake);
        return r < 0 ? r : 0;
}

/* Charges it. What is one too many is evaluated with a key of which nothing is learned. */
static int evaluation_charge(NodeAccounts *a, const Evaluation *x, OprfKey *k, LoginTry *ret) {
        Client *c = x->trial.request.client;
        uint8_t random[OPRF_RANDOM_SIZE], throw_away[OPRF_KEY_SIZE];
        usec_t wait;
        int r;

        memcpy(ret->charged.account, x->account, KEY_SIZE);
        sockaddr_prefix(conn_peer(c->conn), ret->charged.source);
        r = oprf_keys_knows(a->keys, x->account, ret->charged.source, loop_realtime(a->node->loop));
        accounts_keys_told(a, MIN(r, 0), false);
        if (r < 0)
                return r;
        ret->charged.known = r > 0;
        ret->throttled = !tries_take(a->tries, &ret->charged, loop_now(a->node->loop), &wait);
        ret->retry_after = (wait + USEC_PER_SEC - 1) / USEC_PER_SEC;
        loop_random(a->node->loop, random, sizeof(random));
        oprf_key_generate(random, throw_away);
        if (ret->throttled)
                memcpy(k->key, throw_away, sizeof(k->key));
        explicit_bzero(random, sizeof(random));
        explicit_bzero(throw_away, sizeof(throw_away));
        return 0;
}

static void evaluation_answer(Evaluation *x, OprfKey *k) {
        Client *c = x->trial.request.client;
        NodeAccounts *a = client_accounts(c);
        LoginTry *login = calloc(1, sizeof(*login));
        OprfAnswer answer = {.key_id = k->id, .memory = k->memory, .passes = k->passes};
        int r = login ? evaluation_charge(a, x, k, login) : -ENOMEM;

        if (r < 0) {
                free(login);
                account_request_unreadable(&x->trial.request);
                return;
        }
        if (oprf_evaluate(k->key, x->asked.blinded, answer.evaluated) < 0) {
                if (!login->throttled)
                        tries_give_back(a->tries, &login->charged);
                free(login);
                account_request_invalid_element(&x->trial.request);
                return;
        }
        login->asked = x->asked;
        free(c->login);
        c->login = login;
        trial_answered(
                &x->trial, oprf_answer_encode(&x->trial.answer, x->trial.request.id, &answer));
}

static void on_evaluation_statement(void *userdata, int error, Bytes blob) {
        Evaluation *x = userdata;
        NodeAccounts *a = client_accounts(x->trial.request.client);
        AccountStatement s;
        OprfKey k;
        int r;

        r = accounts_statement_read(a, error, blob, &s);
        if (r >= 0)
                r = evaluation_choose(a, x, r > 0 && s.has_password && x->is_there ? &s : NULL, &k);
        if (r < 0) {
                account_request_unreadable(&x->trial.request);
                return;
        }
        evaluation_answer(x, &k);
        oprf_key_wipe(&k);
}

static void on_evaluation_user(void *userdata, int error, Bytes blob) {
        Evaluation *x = userdata;
        Node *n = x->trial.request.client->node;
        uint8_t key[SHA256_SIZE];
        Record rec;
        int r;

        r = accounts_record_read(n->accounts, error, blob, &rec);
        if (r < 0) {
                account_request_unreadable(&x->trial.request);
                return;
        }
        x->is_there = r > 0 && (!x->asked.name[0] || streq(rec.name, x->asked.name));
        if (!x->is_there && x->asked.name[0])
                memcpy(x->account, x->nobody, KEY_SIZE);
        directory_key_account(DIRECTORY_ACCT, x->account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ACCT, key, on_evaluation_statement, x);
}

static void evaluation_find_user(Evaluation *x) {
        Node *n = x->trial.request.client->node;
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_USER, x->account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_evaluation_user, x);
}

/* Who was away for so long that his record has expired still has the name, until somebody else
 * takes it. */
static void on_evaluation_name(void *userdata, int error, Bytes blob) {
        Evaluation *x = userdata;
        Record rec;
        int r;

        r = accounts_record_read(client_accounts(x->trial.request.client), error, blob, &rec);
        if (r < 0) {
                account_request_unreadable(&x->trial.request);
                return;
        }
        memcpy(x->account, r > 0 ? rec.account : x->nobody, KEY_SIZE);
        evaluation_find_user(x);
}

static void evaluation_start(Client *c, uint64_t id, const OprfRequest *asked) {
        Node *n = c->node;
        uint8_t key[SHA256_SIZE];
        Evaluation *x;

        c->login = mfree(c->login);
        x = trial_new(c, id, sizeof(*x));
        if (!x)
                return;
        x->asked = *asked;
        memcpy(x->account, asked->account, KEY_SIZE);
        if (!asked->name[0]) {
                evaluation_find_user(x);
                return;
        }
        oprf_keys_nobody(n->accounts->keys, asked->name, x->nobody);
        directory_key_name(asked->name, key);
        n->store->ops->rec_get(n->store, DIRECTORY_NAME, key, on_evaluation_name, x);
}

/* False: refused. */
static bool client_may_ask(Client *c, uint64_t id, unsigned frames) {
        if (conn_is_full(c->conn))
                client_error(c, id, CODE_RATE_LIMITED, "read the answers first", 1);
        else if (!conn_charge(c->conn, frames))
                client_error(c, id, CODE_RATE_LIMITED, "too much was asked at once", 10);
        else
                return true;
        return false;
}

void client_oprf(Client *c, Frame *f) {
        OprfRequest asked;

        if (oprf_request_decode(f, &asked) < 0)
                client_malformed(c);
        else if (!client_may_ask(c, f->request, OPRF_FRAMES))
                return;
        else if (asked.enrol)
                client_enrol(c, f->request, &asked);
        else
                evaluation_start(c, f->request, &asked);
}

/* LOGIN: statement -> record -> signature */

typedef struct Login {
        Trial trial;
        LoginTry try;
        uint8_t signature[SIGNATURE_SIZE];
        bool has_password;
        Buffer statement; /* of the account, or the decoy */
} Login;

static void login_clear(ClientRequest *rq) {
        Login *x = CONTAINER_OF(rq, Login, trial.request);

        buffer_done(&x->statement);
        trial_clear(rq);
}

/* Whether it is the key of the statement, or of nobody, that has signed. */
static bool login_holds(NodeAccounts *a, Login *x, const AccountStatement *s) {
        uint8_t exporter[LOGIN_EXPORTER_SIZE], nobody[KEY_SIZE];
        OprfKey fake;
        bool holds;

        oprf_keys_fake(a->keys, x->try.charged.account, &fake, nobody);
        oprf_key_wipe(&fake);
        if (conn_export(x->trial.request.client->conn, LOGIN_EXPORTER_LABEL, exporter,
                    sizeof(exporter)) < 0)
                return false;
        holds = login_verify(x->has_password ? s->login : nobody, exporter, a->node->key,
                        &x->try.asked, x->signature) >= 0;
        explicit_bzero(exporter, sizeof(exporter));
        return holds && x->has_password;
}

static void login_succeed(NodeAccounts *a, Login *x, uint64_t key_id, Bytes record) {
        Client *c = x->trial.request.client;
        LoginAnswer answer = {.statement = buffer_bytes(&x->statement), .record = record};

        if (c->person && key_equal(c->person->key, x->try.charged.account)) {
                c->proven = loop_now(a->node->loop);
                c->proven_key = key_id;
        }
        tries_give_back(a->tries, &x->try.charged);
        (void)oprf_keys_remember(a->keys, x->try.charged.account, x->try.charged.source,
                loop_realtime(a->node->loop));
        trial_answered(
                &x->trial, login_answer_encode(&x->trial.answer, x->trial.request.id, &answer));
}

static void on_login_user(void *userdata, int error, Bytes blob) {
        Login *x = userdata;
        NodeAccounts *a = client_accounts(x->trial.request.client);
        AccountStatement s;
        Record rec;
        bool holds;
        int r;

        r = accounts_record_read(a, error, blob, &rec);
        if (r >= 0 && account_statement_parse(buffer_bytes(&x->statement), &s) < 0)
                r = -EUCLEAN;
        if (r < 0) {
                account_request_unreadable(&x->trial.request);
                return;
        }
        x->has_password = x->has_password && s.has_password && r > 0;
        holds = login_holds(a, x, &s);
        if (x->try.throttled)
                trial_refused(&x->trial, CODE_RATE_LIMITED,
                        "too many passwords were tried; try again later", x->try.retry_after);
        else if (!holds)
                trial_refused(&x->trial, CODE_BAD_PASSWORD, "the name or the password is wrong", 0);
        else
                login_succeed(a, x, s.key_id, blob);
}

static void on_login_statement(void *userdata, int error, Bytes blob) {
        Login *x = userdata;
        Node *n = x->trial.request.client->node;
        uint8_t key[SHA256_SIZE];
        AccountStatement s;
        int r;

        r = accounts_statement_read(n->accounts, error, blob, &s);
        x->has_password = r > 0;
        if (r == 0)
                blob = buffer_bytes(&n->accounts->decoy_statement);
        if (r >= 0)
                r = buffer_append(&x->statement, blob.data, blob.size);
        if (r < 0) {
                account_request_unreadable(&x->trial.request);
                return;
        }
        directory_key_account(DIRECTORY_USER, x->try.charged.account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_login_user, x);
}

void client_login(Client *c, Frame *f) {
        uint8_t signature[SIGNATURE_SIZE], key[SHA256_SIZE];
        Node *n = c->node;
        Login *x;

        if (login_decode(f, signature) < 0) {
                client_malformed(c);
                return;
        }
        if (!client_may_ask(c, f->request, LOGIN_FRAMES))
                return;
        if (!c->login) {
                client_error(c, f->request, CODE_NOT_ALLOWED,
                        "a LOGIN comes after an OPRF, one after each", 0);
                return;
        }
        x = trial_new(c, f->request, sizeof(*x));
        if (!x)
                return;
        x->trial.request.clear = login_clear;
        x->try = *c->login;
        c->login = mfree(c->login);
        memcpy(x->signature, signature, sizeof(signature));
        directory_key_account(DIRECTORY_ACCT, x->try.charged.account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ACCT, key, on_login_statement, x);
}
