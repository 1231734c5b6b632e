/* SPDX-License-Identifier: GPL-3.0-or-later */

/* New keys for passwords, and the statements that name them. */

#include "node/node-account.h"

struct AccountStep {
        NodeAccounts *accounts;
        uint8_t account[KEY_SIZE];
        uint64_t key_id; /* 0: without a password from now on */
        bool deletes;
        char name[NAME_SIZE]; /* who it was */
        ClientRequest *request; /* NULL: the session has ended */
        AccountStep *prev, *next;
};

PasswordCost accounts_cost(const NodeAccounts *a) {
        const NodeLimits *l = a->node->limits;
        PasswordCost cost = PASSWORD_COST_DEFAULT;

        if (l->password_memory > 0)
                cost.memory = l->password_memory;
        if (l->password_passes > 0)
                cost.passes = l->password_passes;
        return cost;
}

int accounts_statement_read(NodeAccounts *a, int error, Bytes blob, AccountStatement *ret) {
        bool is_there = error >= 0 && blob.size > 0;

        if (!is_there)
                blob = buffer_bytes(&a->decoy_statement);
        if (error >= 0 && account_statement_parse(blob, ret) < 0)
                error = -EUCLEAN;
        node_store_told(a->node, NODE_STORE_READ, error);
        return error < 0 ? error : is_there;
}

int accounts_record_read(NodeAccounts *a, int error, Bytes blob, Record *ret) {
        bool is_there = error >= 0 && blob.size > 0;
        int r;

        r = node_record_read(a->node, error, is_there ? blob : buffer_bytes(&a->decoy_record), ret);
        return r < 0 ? r : is_there;
}

/* Where there is no room, that something could be read proves nothing. */
void accounts_keys_told(NodeAccounts *a, int error, bool wrote) {
        Node *n = a->node;

        if (error < 0 || wrote || n->store_errors[NODE_STORE_PASSWORDS] != -ENOSPC)
                node_store_told(n, NODE_STORE_PASSWORDS, error);
}

void account_request_unreadable(ClientRequest *rq) {
        client_request_error(
                rq, CODE_STORAGE, "the tracker cannot read what it keeps about accounts", 60);
}

void account_request_invalid_element(ClientRequest *rq) {
        client_request_error(
                rq, CODE_INVALID_ARGS, "what was blinded is not written as RFC 9497 has it", 0);
}

static void account_request_unwritable(ClientRequest *rq, int error) {
        client_request_error(rq, CODE_STORAGE,
                error == -ENOSPC ? "the tracker's disk is full; try again later"
                                 : "the tracker could not keep it; try again later",
                60);
}

/* What is being written may be what this one begins with. */
static void account_request_busy(ClientRequest *rq) {
        client_request_error(
                rq, CODE_RATE_LIMITED, "another change of this account is being written", 1);
}

static AccountStep *step_find(const NodeAccounts *a, const uint8_t account[static KEY_SIZE]) {
        AccountStep *s;

        DL_FOREACH (a->steps, s)
                if (key_equal(s->account, account))
                        return s;
        return NULL;
}

/* A newer record than this session's is known. */
static bool client_is_replaced(const Client *c) {
        const Person *p = c->person;

        return node_device_is_older(c->epoch, c->key, p->epoch, p->device);
}

/* Who the session speaks for may change how he logs in. False: refused. */
static bool client_may_change(Client *c, uint64_t id) {
        if (!c->person || !c->person->registered)
                client_error(
                        c, id, CODE_NOT_LOGGED_IN, "this session is of no registered account", 0);
        else if (client_is_replaced(c))
                client_error(c, id, CODE_REPLACED, "this account is used on another device", 0);
        else if (step_find(client_accounts(c), c->person->key))
                client_error(c, id, CODE_RATE_LIMITED,
                        "another change of this account is being written", 1);
        else if (!client_charge_address(c, CHARGE_ACCOUNT, ACCOUNT_CHANGES_PER_HOUR))
                client_error(c, id, CODE_RATE_LIMITED,
                        "too many changes of accounts came from this address", 60);
        else
                return true;
        return false;
}

/* A new key */

typedef struct Enrolment {
        ClientRequest request;
        uint8_t account[KEY_SIZE], blinded[ACCOUNT_ELEMENT_SIZE];
        OprfAnswer answer;
} Enrolment;

static void enrolment_clear(ClientRequest *rq) {
        oprf_keys_forget(client_accounts(rq->client)->keys, CONTAINER_OF(rq, Enrolment, request));
}

static void on_enrolled(void *userdata, int error) {
        Enrolment *x = userdata;
        Client *c = x->request.client;

        accounts_keys_told(client_accounts(c), error, true);
        if (error < 0) {
                account_request_unwritable(&x->request, error);
                return;
        }
        client_queued(c, oprf_answer_encode(conn_output(c->conn), x->request.id, &x->answer));
        client_request_free(&x->request);
}

static OprfKey make_key(NodeAccounts *a) {
        const PasswordCost cost = accounts_cost(a);
        uint8_t random[OPRF_RANDOM_SIZE];
        OprfKey k = {.memory = cost.memory, .passes = cost.passes};
        uint64_t id;

        loop_random(a->node->loop, random, sizeof(random));
        oprf_key_generate(random, k.key);
        explicit_bzero(random, sizeof(random));
        loop_random(a->node->loop, &id, sizeof(id));
        k.id = MAX(id & INT64_MAX, UINT64_C(1));
        return k;
}

static void on_enrolment_statement(void *userdata, int error, Bytes blob) {
        Enrolment *x = userdata;
        NodeAccounts *a = client_accounts(x->request.client);
        AccountStatement s;
        OprfKey k;
        int r;

        r = accounts_statement_read(a, error, blob, &s);
        if (r < 0) {
                account_request_unreadable(&x->request);
                return;
        }
        if (step_find(a, x->account)) {
                account_request_busy(&x->request);
                return;
        }
        k = make_key(a);
        x->answer = (OprfAnswer){.key_id = k.id, .memory = k.memory, .passes = k.passes};
        if (oprf_evaluate(k.key, x->blinded, x->answer.evaluated) < 0)
                account_request_invalid_element(&x->request);
        else {
                r = oprf_keys_add(a->keys, x->account, r > 0 && s.has_password ? s.key_id : 0, &k,
                        on_enrolled, x);
                if (r < 0) {
                        accounts_keys_told(a, r, false);
                        account_request_unwritable(&x->request, r);
                }
        }
        oprf_key_wipe(&k);
}

void client_enrol(Client *c, uint64_t id, const OprfRequest *asked) {
        Node *n = c->node;
        uint8_t key[SHA256_SIZE];
        Enrolment *x;

        if (!client_may_change(c, id))
                return;
        if (asked->name[0] || !key_equal(asked->account, c->person->key)) {
                client_error(c, id, CODE_NOT_ALLOWED,
                        "a new password is for the account of this session", 0);
                return;
        }
        x = client_request_new(c, id, sizeof(*x));
        if (!x)
                return;
        x->request.clear = enrolment_clear;
        memcpy(x->account, asked->account, KEY_SIZE);
        memcpy(x->blinded, asked->blinded, sizeof(x->blinded));
        directory_key_account(DIRECTORY_ACCT, x->account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ACCT, key, on_enrolment_statement, x);
}

/* A statement */

typedef struct Statement {
        ClientRequest request;
        AccountStep *step; /* once it is being written */
        uint8_t *blob;
        size_t size;
        AccountStatement statement; /* points into `blob` */
        char name[NAME_SIZE]; /* of the account, where it is to be deleted */
} Statement;

static void statement_clear(ClientRequest *rq) {
        Statement *x = CONTAINER_OF(rq, Statement, request);

        if (x->step)
                x->step->request = NULL;
        free(x->blob);
}

static void step_free(AccountStep *s) {
        DL_DELETE(s->accounts->steps, s);
        free(s);
}

static void statement_answer(ClientRequest *rq, int error, const MergeResult *results) {
        CONTAINER_OF(rq, Statement, request)->step = NULL;
        if (error < 0)
                account_request_unwritable(rq, error);
        else if (results[0] == MERGE_STALE)
                client_request_error(rq, CODE_NOT_ALLOWED,
                        "a newer statement of this account is known already", 0);
        else
                client_request_ok(rq);
}

/* What a step of before has not done is done by the next key, or after the next start. Who deletes
 * the account is answered before his session ends. */
static void on_statement_merged(void *userdata, int error, const MergeResult *results) {
        AccountStep s = *(AccountStep *)userdata;
        NodeAccounts *a = s.accounts;
        bool taken = error >= 0 && results[0] != MERGE_STALE;

        node_write_told(a->node, error, error >= 0 && results[0] == MERGE_STORED);
        step_free(userdata);
        if (taken && !s.deletes)
                (void)oprf_keys_settle(a->keys, s.account, s.key_id);
        if (s.request)
                statement_answer(s.request, error, results);
        if (taken && s.deletes)
                accounts_deleted(a, s.account, s.name);
}

static void statement_merge(Statement *x) {
        NodeAccounts *a = client_accounts(x->request.client);
        DStore *store = a->node->store;
        const Bytes blob = {.data = x->blob, .size = x->size};
        DStoreMerge merges[1 + DELETION_ROWS] = {
                {.kind = DIRECTORY_ACCT, .merge = merge_acct, .blob = blob}};
        AccountStep *s = calloc(1, sizeof(*s));

        if (!s) {
                client_request_error(&x->request, CODE_STORAGE, "the tracker is out of memory", 1);
                return;
        }
        s->accounts = a;
        s->request = &x->request;
        memcpy(s->account, x->statement.account, KEY_SIZE);
        s->key_id = x->statement.key_id;
        s->deletes = x->statement.deleted;
        memcpy(s->name, x->name, sizeof(s->name));
        DL_APPEND(a->steps, s);
        x->step = s;
        directory_key_account(DIRECTORY_ACCT, s->account, merges[0].key);
        if (s->deletes)
                deletion_rows(s->account, x->name, blob, merges + 1);
        store->ops->rec_merge(
                store, merges, s->deletes ? ELEMENTSOF(merges) : 1, on_statement_merged, s);
}

/* 1: it may be named; 0: it is not here, or not any more, or was said with something else; or an
 * error. */
static int statement_check_key(NodeAccounts *a, const AccountStatement *s) {
        OprfKey k;
        int r;

        if (!s->has_password)
                return 1;
        r = oprf_keys_get_next(a->keys, s->account, s->key_id, &k);
        accounts_keys_told(a, MIN(r, 0), false);
        if (r > 0) {
                r = k.memory == s->memory && k.passes == s->passes;
                oprf_key_wipe(&k);
        }
        return r;
}

/* Whether who deletes the account need not prove its password: he has done so, it has none, or
 * nobody can, since the key of it is lost. */
static int deletion_is_proven(const Client *c, const AccountStatement *before) {
        NodeAccounts *a = client_accounts(c);
        OprfKey k;
        int r;

        if (!before || !before->has_password)
                return 1;
        r = oprf_keys_get(a->keys, before->account, before->key_id, &k);
        accounts_keys_told(a, MIN(r, 0), false);
        if (r <= 0)
                return r < 0 ? r : 1;
        oprf_key_wipe(&k);
        return c->proven > 0 && c->proven_key == before->key_id &&
                loop_now(a->node->loop) - c->proven < ACCOUNT_PROOF_TIME;
}

/* False: refused. */
static bool statement_is_allowed(Statement *x, const AccountStatement *before) {
        NodeAccounts *a = client_accounts(x->request.client);
        int key = statement_check_key(a, &x->statement);
        int proven = x->statement.deleted ? deletion_is_proven(x->request.client, before) : 1;

        if (key < 0 || proven < 0)
                account_request_unreadable(&x->request);
        else if (key == 0)
                client_request_error(&x->request, CODE_INVALID_ARGS,
                        "the key that the statement names is not here; begin with OPRF again", 0);
        else if (proven == 0)
                client_request_error(&x->request, CODE_BAD_PASSWORD,
                        "the account has a password, which comes first: OPRF and LOGIN", 0);
        else if (client_is_replaced(x->request.client))
                client_request_error(
                        &x->request, CODE_REPLACED, "this account is used on another device", 0);
        else if (step_find(a, x->statement.account))
                account_request_busy(&x->request);
        else
                return true;
        return false;
}

static void on_statement_before(void *userdata, int error, Bytes blob) {
        Statement *x = userdata;
        NodeAccounts *a = client_accounts(x->request.client);
        const Bytes outer = {.data = x->blob, .size = x->size};
        AccountStatement before;
        int r;

        r = accounts_statement_read(a, error, blob, &before);
        if (r < 0)
                account_request_unreadable(&x->request);
        else if (r > 0 && account_statement_compare(&before, blob, &x->statement, outer) > 0)
                client_request_error(&x->request, CODE_NOT_ALLOWED,
                        "a newer statement of this account is known already", 0);
        else if (statement_is_allowed(x, r > 0 ? &before : NULL))
                statement_merge(x);
}

static void statement_find_before(Statement *x) {
        Node *n = x->request.client->node;
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_ACCT, x->statement.account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ACCT, key, on_statement_before, x);
}

/* The name goes with the account. */
static void on_statement_user(void *userdata, int error, Bytes blob) {
        Statement *x = userdata;
        Record rec;
        int r;

        r = accounts_record_read(client_accounts(x->request.client), error, blob, &rec);
        if (r < 0) {
                account_request_unreadable(&x->request);
                return;
        }
        if (r > 0)
                memcpy(x->name, rec.name, sizeof(x->name));
        statement_find_before(x);
}

static bool is_about_now(uint64_t time, uint64_t now) {
        return (time > now ? time - now : now - time) <= RECORD_AHEAD_MAX;
}

static const char *statement_error(Client *c, Bytes blob) {
        AccountStatement s;

        if (account_statement_decode(blob, &s) < 0)
                return "the statement does not hold: bad form, key or signature";
        if (!key_equal(s.account, c->person->key))
                return "the statement is of another account than this session";
        if (account_statement_is_ahead(&s, loop_realtime(c->node->loop)))
                return "the statement is from the future: the clock of this device may be wrong";
        if (s.deleted && !is_about_now(s.issued, loop_realtime(c->node->loop)))
                return "the statement is not of today: the clock of this device may be wrong";
        return NULL;
}

static void statement_start(Client *c, uint64_t id, Bytes blob) {
        Node *n = c->node;
        uint8_t key[SHA256_SIZE];
        Statement *x;

        x = client_request_new(c, id, sizeof(*x));
        if (!x)
                return;
        x->request.clear = statement_clear;
        x->blob = malloc(blob.size);
        if (!x->blob) {
                client_request_error(&x->request, CODE_STORAGE, "the tracker is out of memory", 1);
                return;
        }
        memcpy(x->blob, blob.data, blob.size);
        x->size = blob.size;
        if (account_statement_parse((Bytes){.data = x->blob, .size = x->size}, &x->statement) < 0) {
                client_request_error(
                        &x->request, CODE_INVALID_ARGS, "the statement is ill-formed", 0);
                return;
        }
        if (!x->statement.deleted) {
                statement_find_before(x);
                return;
        }
        directory_key_account(DIRECTORY_USER, x->statement.account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_statement_user, x);
}

void client_account(Client *c, Frame *f) {
        const char *wrong;
        Bytes blob;

        if (account_decode(f, &blob) < 0) {
                client_malformed(c);
                return;
        }
        if (!client_may_change(c, f->request))
                return;
        wrong = statement_error(c, blob);
        if (wrong)
                client_error(c, f->request, CODE_INVALID_ARGS, wrong, 0);
        else
                statement_start(c, f->request, blob);
}

/* After a start: keys that were to go when it ended */

typedef struct SweepStep {
        NodeAccounts *accounts;
        uint8_t account[KEY_SIZE];
} SweepStep;

static void on_sweep_statement(void *userdata, int error, Bytes blob) {
        SweepStep *x = userdata;
        AccountStatement s;

        if (error >= 0 && blob.size > 0 && account_statement_parse(blob, &s) >= 0 && s.has_password)
                (void)oprf_keys_settle(x->accounts->keys, x->account, s.key_id);
        free(x);
}

static void on_crowded(void *userdata, const uint8_t account[static KEY_SIZE]) {
        NodeAccounts *a = userdata;
        SweepStep *x = malloc(sizeof(*x));
        uint8_t key[SHA256_SIZE];

        if (!x)
                return;
        x->accounts = a;
        memcpy(x->account, account, KEY_SIZE);
        directory_key_account(DIRECTORY_ACCT, account, key);
        a->node->store->ops->rec_get(a->node->store, DIRECTORY_ACCT, key, on_sweep_statement, x);
}

static void on_sweep(void *userdata) {
        NodeAccounts *a = userdata;

        if (oprf_keys_crowded(a->keys, a->swept, SWEEP_BUDGET, on_crowded, a) > 0)
                loop_timer_set(a->sweep, loop_now(a->node->loop));
        else
                a->sweep = loop_timer_free(a->sweep);
}

/* The node's part */

static void on_delete_again(void *userdata) {
        accounts_go_on_deleting(userdata);
}

static void on_answer(void *userdata) {
        accounts_give_answers(userdata);
}

static int make_decoy_record(Node *n, Buffer *out) {
        _cleanup_(buffer_done) Buffer certificate = BUFFER_NULL;
        Certificate c = {.expires = IDENTITY_LIFETIME};
        uint8_t seed[KEY_SIZE];
        Record rec = {.name = "nobody", .expires = IDENTITY_LIFETIME};
        SignKey key;
        int r;

        loop_random(n->loop, seed, sizeof(seed));
        sign_key_from_seed(seed, &key);
        memcpy(c.account, sign_key_public(&key), KEY_SIZE);
        memcpy(c.device, sign_key_public(&key), KEY_SIZE);
        memcpy(rec.account, c.account, KEY_SIZE);
        r = certificate_encode(&c, &key, &key, &certificate);
        rec.certificate = buffer_bytes(&certificate);
        rec.device = c;
        return r < 0 ? r : record_encode(&rec, &key, out);
}

static int make_decoy_statement(Node *n, Buffer *out) {
        static const uint8_t backup[160];
        AccountStatement s = {.has_password = true,
                .key_id = 1,
                .memory = 1,
                .passes = 1,
                .backup = {.data = backup, .size = sizeof(backup)}};
        uint8_t seed[KEY_SIZE];
        SignKey key;

        loop_random(n->loop, seed, sizeof(seed));
        sign_key_from_seed(seed, &key);
        memcpy(s.account, sign_key_public(&key), KEY_SIZE);
        memcpy(s.login, sign_key_public(&key), KEY_SIZE);
        return account_statement_encode(&s, &key, out);
}

int node_set_accounts(Node *n, OprfKeys *keys) {
        NodeAccounts *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->node = n;
        a->keys = keys;
        loop_random(n->loop, &a->hash, sizeof(a->hash));
        r = tries_new(&a->hash, TRIES_BUCKETS_MAX, &a->tries);
        if (r >= 0)
                r = make_decoy_record(n, &a->decoy_record);
        if (r >= 0)
                r = make_decoy_statement(n, &a->decoy_statement);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_sweep, a, &a->sweep);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_answer, a, &a->answer);
        if (r >= 0)
                r = loop_timer_new(n->loop, on_delete_again, a, &a->delete_again);
        n->accounts = a;
        if (r < 0) {
                node_accounts_free(n);
                return r;
        }
        loop_timer_set(a->sweep, loop_now(n->loop));
        accounts_go_on_deleting(a);
        return 0;
}

/* The sessions have gone. */
void node_accounts_free(Node *n) {
        NodeAccounts *a = TAKE_PTR(n->accounts);

        if (!a)
                return;
        while (a->steps) {
                n->store->ops->forget(n->store, a->steps);
                step_free(a->steps);
        }
        accounts_stop_deleting(a);
        loop_timer_free(a->sweep);
        loop_timer_free(a->answer);
        loop_timer_free(a->delete_again);
        tries_free(a->tries);
        buffer_done(&a->decoy_record);
        buffer_done(&a->decoy_statement);
        free(a);
}
