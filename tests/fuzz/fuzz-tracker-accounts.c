/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Passwords at a directory node: two accounts make keys and name them in statements, they and a
 * stranger try passwords, in any order, while the node is restarted and killed and time passes.
 * What is given out was signed by its account, and is given to who has signed with its login key;
 * no statement becomes older; wherever the node ends, the key that the newest statement names is
 * there; of an account that was deleted nothing is left, and nothing comes back; every request has
 * one answer.
 */

#include <limits.h>

#include "stateful.h"
#include "store-dir.h"

#include "../unit/wire-sample.h"
#include "db/db.h"
#include "node/node-internal.h"
#include "util/log.h"
#include "wire/account.h"

#define N_PEOPLE 2
#define STRANGER N_PEOPLE
#define N_CALLERS 3
#define REQUESTS_MAX 256
#define MADE_MAX 256
#define KEYS_MAX 256
#define RESTARTS_MAX 8
#define GONE_TIME (30 * USEC_PER_SEC)
#define NONE UINT_MAX

static const char *const NAMES[] = {"alice", "bob", "mallory"};

/* A statement. */
typedef struct Made {
        Buffer bytes;
        unsigned who;
        AccountStatement statement; /* its backup points into nothing */
} Made;

typedef struct Asked {
        uint64_t type; /* 0: answered */
        bool enrol;
        unsigned made; /* of ACCOUNT; of LOGIN: by whose key it is signed */
        unsigned subject; /* of LOGIN: whose account was asked for */
} Asked;

typedef struct Caller {
        RawEnd end;
        unsigned who;
        bool scripted, deaf, open;
        Asked asked[REQUESTS_MAX];
        size_t n_asked;
        OprfRequest oprf; /* the last one */
        unsigned subject; /* of it */
        bool proven; /* its own password */
} Caller;

static StoreDir dir, keys_dir;
static StoreImage empty, empty_keys, killed, killed_keys;
static Loop *loop;
static Net *net;
static DStore *store;
static OprfKeys *keys;
static Node *node;
static NodeLimits limits = {
        .heartbeat = 30, .handshake = 10, .password_memory = 8, .password_passes = 1};
static SignKey accounts[N_PEOPLE], devices[N_CALLERS], node_key;
static Buffer certificates[N_PEOPLE], records[N_PEOPLE];
static uint8_t elements[4][ACCOUNT_ELEMENT_SIZE];
static Made made[MADE_MAX];
static unsigned n_made, n_restarts;
static OprfAnswer given[N_PEOPLE][KEYS_MAX]; /* by `enrol` */
static unsigned n_given[N_PEOPLE];
static unsigned newest[N_PEOPLE]; /* of `made`, as it was acknowledged; NONE */
static Caller callers[N_CALLERS];

static SignKey login_key(unsigned n) {
        return sample_key((uint8_t)(60 + n % 8));
}

static void make_people(void) {
        for (unsigned i = 0; i < N_CALLERS; i++)
                devices[i] = sample_key((uint8_t)(20 + i));
        node_key = sample_key(40);
        for (unsigned i = 0; i < N_PEOPLE; i++) {
                Certificate c = {.epoch = 1,
                        .issued = VIRTUAL_REALTIME,
                        .expires = VIRTUAL_REALTIME + IDENTITY_LIFETIME};
                Record rec = {.epoch = 1,
                        .seq = VIRTUAL_REALTIME / USEC_PER_MSEC,
                        .issued = VIRTUAL_REALTIME,
                        .expires = VIRTUAL_REALTIME + IDENTITY_LIFETIME};

                accounts[i] = sample_key((uint8_t)(1 + i));
                memcpy(c.account, sign_key_public(&accounts[i]), KEY_SIZE);
                memcpy(c.device, sign_key_public(&devices[i]), KEY_SIZE);
                MUST(certificate_encode(&c, &accounts[i], &devices[i], &certificates[i]) == 0);
                memcpy(rec.account, c.account, KEY_SIZE);
                snprintf(rec.name, sizeof(rec.name), "%s", NAMES[i]);
                rec.certificate = buffer_bytes(&certificates[i]);
                MUST(record_encode(&rec, &accounts[i], &records[i]) == 0);
        }
        for (uint8_t i = 0; i < ELEMENTSOF(elements) - 1; i++) { /* the last one is none */
                const uint8_t random[OPRF_RANDOM_SIZE] = {1 + i};
                uint8_t blind[OPRF_KEY_SIZE];

                MUST(oprf_blind(text_bytes(NAMES[i]), random, blind, elements[i]) == 0);
        }
}

static const Made *find_made(Bytes b) {
        for (unsigned i = 0; i < n_made; i++)
                if (bytes_equal(buffer_bytes(&made[i].bytes), b))
                        return &made[i];
        return NULL;
}

static bool is_older(const Made *a, const Made *b) {
        return account_statement_compare(&a->statement, buffer_bytes(&a->bytes), &b->statement,
                       buffer_bytes(&b->bytes)) < 0;
}

/* What is on disk */

static void on_nothing(void *userdata, int error, Bytes blob) {
        MUST(error == 0 && blob.size == 0);
}

/* Whom nobody can be any more. */
static void check_gone(unsigned who) {
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_USER, sign_key_public(&accounts[who]), key);
        store->ops->rec_get(store, DIRECTORY_USER, key, on_nothing, NULL);
        directory_key_name(NAMES[who], key);
        store->ops->rec_get(store, DIRECTORY_NAME, key, on_nothing, NULL);
}

/* Some time later. */
static void check_forgotten(unsigned who) {
        uint8_t key[SHA256_SIZE];
        OprfKey k;

        directory_key_account(DIRECTORY_GONE, sign_key_public(&accounts[who]), key);
        store->ops->rec_get(store, DIRECTORY_GONE, key, on_nothing, NULL);
        for (unsigned i = 0; i < n_given[who]; i++)
                MUST(oprf_keys_get(
                             keys, sign_key_public(&accounts[who]), given[who][i].key_id, &k) == 0);
}

static bool is_deleted(unsigned who) {
        return newest[who] != NONE && made[newest[who]].statement.deleted;
}

static void on_kept(void *userdata, int error, Bytes blob) {
        const Made *m = blob.size > 0 ? find_made(blob) : NULL;
        unsigned who = *(unsigned *)userdata;
        OprfKey k;

        MUST(error == 0 && (blob.size == 0 || (m && m->who == who)));
        MUST(newest[who] == NONE || (m && !is_older(m, &made[newest[who]])));
        if (m && m->statement.deleted)
                check_gone(who);
        if (!m || !m->statement.has_password)
                return;
        MUST(oprf_keys_get(keys, m->statement.account, m->statement.key_id, &k) == 1);
        MUST(k.memory == m->statement.memory && k.passes == m->statement.passes);
}

static void check_store(void) {
        uint8_t key[SHA256_SIZE];

        for (unsigned i = 0; i < N_PEOPLE; i++) {
                directory_key_account(DIRECTORY_ACCT, sign_key_public(&accounts[i]), key);
                store->ops->rec_get(store, DIRECTORY_ACCT, key, on_kept, &i);
        }
}

/* What the node says */

static void take_oprf(Caller *c, const Asked *a, Frame *f) {
        OprfAnswer answer;

        MUST(oprf_answer_decode(f, &answer) == 0);
        MUST(answer.memory == limits.password_memory && answer.passes == limits.password_passes);
        if (!a->enrol)
                return;
        MUST(c->who < N_PEOPLE);
        if (n_given[c->who] < KEYS_MAX)
                given[c->who][n_given[c->who]++] = answer;
}

static void take_login(Caller *c, const Asked *a, Frame *f) {
        LoginAnswer answer;
        const Made *m;

        MUST(login_answer_decode(f, &answer) == 0);
        m = find_made(answer.statement);
        MUST(m && m->who == a->subject && m->statement.has_password && a->made != NONE);
        MUST(key_equal(m->statement.login, made[a->made].statement.login));
        MUST(bytes_equal(answer.record, buffer_bytes(&records[m->who])));
        MUST(!is_deleted(m->who));
        c->proven |= m->who == c->who;
}

/* Perhaps it was taken, and the answer got lost. */
static bool may_have_no_password(unsigned who) {
        for (unsigned i = 0; i < n_made; i++)
                if (made[i].who == who && !made[i].statement.has_password &&
                        !made[i].statement.deleted)
                        return true;
        return newest[who] == NONE;
}

static void take_account(const Caller *c, const Asked *a, Frame *f) {
        MUST(frame_decode_empty(f) == 0);
        MUST(a->made != NONE && made[a->made].who == c->who && !is_deleted(c->who));
        if (made[a->made].statement.deleted)
                MUST(c->proven || fuzz_failed() || may_have_no_password(c->who));
        if (newest[c->who] == NONE || is_older(&made[newest[c->who]], &made[a->made]))
                newest[c->who] = a->made;
        check_store();
}

static void take_answer(Caller *c, Frame *f) {
        Refusal x;
        Asked a;

        if (c->scripted)
                return;
        MUST(f->request > 0 && f->request <= c->n_asked && c->asked[f->request - 1].type != 0);
        a = c->asked[f->request - 1];
        c->asked[f->request - 1].type = 0;
        if (f->type == FRAME_ERROR) {
                MUST(refusal_decode(f, &x) == 0 && x.code < _CODE_MAX);
                MUST(x.code != CODE_STORAGE || fuzz_failed());
                MUST(x.code != CODE_BAD_PASSWORD || a.type == FRAME_LOGIN ||
                        (a.type == FRAME_ACCOUNT && made[a.made].statement.deleted));
        } else if (a.type == FRAME_OPRF)
                take_oprf(c, &a, f);
        else if (a.type == FRAME_LOGIN)
                take_login(c, &a, f);
        else if (a.type == FRAME_ACCOUNT)
                take_account(c, &a, f);
}

static void take_frame(Caller *c, Frame *f) {
        if (f->type == FRAME_HELLO_OK)
                c->open = true;
        else if (f->type == FRAME_OK || f->type == FRAME_ERROR)
                take_answer(c, f);
        else if (f->type == FRAME_PING)
                MUST(frame_put_empty(&c->end.out, FRAME_PONG, f->request) == 0);
}

static void pass_time(usec_t time) {
        usec_t until = usec_add(loop_now(loop), time);
        Frame f;

        for (unsigned i = 0; i < N_CALLERS; i++)
                callers[i].scripted |= !raw_flush(&callers[i].end);
        while (their_turn(loop, until))
                for (unsigned i = 0; i < N_CALLERS; i++)
                        while (!callers[i].deaf && raw_take(&callers[i].end, &f))
                                take_frame(&callers[i], &f);
}

/* The node */

static void node_start(void) {
        MUST(dstore_lmdb_open(loop, dir.path, &store) == 0);
        MUST(oprf_keys_open(loop, keys_dir.path, &keys) == 0);
        MUST(node_new(net, store, &node_key, &limits, &node) == 0);
        MUST(node_set_accounts(node, keys) == 0);
}

static void node_stop(void) {
        for (unsigned i = 0; i < N_CALLERS; i++)
                raw_close(&callers[i].end);
        FUZZ_THEIR_MEMORY;
        node = node_free(node);
        keys = oprf_keys_close(keys);
        store = dstore_close(store);
}

/* What was not committed is lost, in both. */
static void node_restart(bool kill) {
        if (kill) {
                store_image_take(&dir, &killed);
                store_image_take(&keys_dir, &killed_keys);
        }
        node_stop();
        if (kill) {
                store_image_put(&dir, &killed);
                store_image_put(&keys_dir, &killed_keys);
        }
        node_start();
        check_store();
}

/* What the callers say */

static Asked *ask(Caller *c, uint64_t type) {
        Asked *a = &c->asked[c->n_asked++];

        *a = (Asked){.type = type, .made = NONE, .subject = NONE};
        return a;
}

/* Up to the account's registration. */
static void caller_connect(Script *in, unsigned who) {
        uint8_t how = script_u8(in);
        PipeOptions options = {.chunk = how & 7};
        Hello h = {.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = HEARTBEAT_MAX};
        Caller *c = &callers[who];
        Transport *t;

        if (c->end.transport)
                return;
        *c = (Caller){.who = who, .subject = NONE};
        t = raw_connect(&c->end, loop, &options);
        MUST(sockaddr_parse_ip(how & 8 ? "192.0.2.1" : "198.51.100.1", 7000, &t->peer) == 0);
        raw_say_tls(&c->end, NODE_ALPN, sign_key_public(&devices[who]));
        {
                FUZZ_THEIR_MEMORY;
                node_accept(node, t);
        }
        if (who < N_PEOPLE) {
                h.record = buffer_bytes(&records[who]);
                h.certificate = buffer_bytes(&certificates[who]);
        }
        MUST(hello_encode(&c->end.out, &h) == 0);
        if (who < N_PEOPLE) {
                pass_time(USEC_PER_SEC);
                (void)ask(c, FRAME_REGISTER);
                MUST(record_frame_encode(&c->end.out, FRAME_REGISTER, c->n_asked, h.record) == 0);
        }
        pass_time(USEC_PER_SEC);
}

static void say_oprf(Script *in, Caller *c) {
        uint8_t how = script_u8(in);
        Asked *a = ask(c, FRAME_OPRF);

        c->oprf = (OprfRequest){.enrol = how & 1};
        c->subject = (how >> 2 & 3) % N_CALLERS;
        if (c->oprf.enrol && !(how & 0x80) && c->who < N_PEOPLE)
                c->subject = c->who;
        if (how & 2)
                snprintf(c->oprf.name, sizeof(c->oprf.name), "%s", NAMES[c->subject]);
        else
                memcpy(c->oprf.account,
                        sign_key_public(
                                c->subject < N_PEOPLE ? &accounts[c->subject] : &devices[STRANGER]),
                        KEY_SIZE);
        memcpy(c->oprf.blinded, elements[how >> 4 & 3], ACCOUNT_ELEMENT_SIZE);
        a->enrol = c->oprf.enrol;
        MUST(oprf_request_encode(&c->end.out, c->n_asked, &c->oprf) == 0);
}

/* With the key of one of the statements that there are, or of nobody. */
static void say_login(Script *in, Caller *c) {
        uint8_t how = script_u8(in), n = script_u8(in), exporter[LOGIN_EXPORTER_SIZE];
        uint8_t signature[SIGNATURE_SIZE];
        unsigned made_by = n_made > 0 && !(how & 1) ? n_made - 1 - n % n_made : NONE;
        SignKey key = login_key(made_by == NONE ? 77 : made_by);
        Asked *a = ask(c, FRAME_LOGIN);

        for (size_t i = 0; i < sizeof(exporter); i++) /* plain-tls.c */
                exporter[i] = sign_key_public(&node_key)[i] ^ sign_key_public(&devices[c->who])[i] ^
                        (uint8_t)LOGIN_EXPORTER_LABEL[0];
        if (made_by != NONE && !made[made_by].statement.has_password)
                made_by = NONE;
        a->made = made_by;
        a->subject = c->subject;
        MUST(login_sign(&key, exporter, sign_key_public(&node_key), &c->oprf, signature) == 0);
        if (how & 2) {
                signature[n % SIGNATURE_SIZE] ^= 1;
                a->made = NONE;
        }
        MUST(login_encode(&c->end.out, c->n_asked, signature) == 0);
}

/* As a rule one that holds, for a key that was given to its account. */
static unsigned script_statement(Script *in, unsigned own) {
        static const uint8_t backup[8];
        uint8_t how = script_u8(in), seq = script_u8(in), key = script_u8(in);
        unsigned n = n_made++, who = how & 0x80 ? !own : own % N_PEOPLE;
        SignKey login = login_key(n);
        Made *m = &made[n];
        AccountStatement *s = &m->statement;

        *s = (AccountStatement){.seq = VIRTUAL_REALTIME / USEC_PER_MSEC + seq,
                .has_password = !(how & 1),
                .deleted = (how & 0x21) == 0x21,
                .issued = VIRTUAL_REALTIME + n};
        memcpy(s->account, sign_key_public(&accounts[who]), KEY_SIZE);
        if (s->has_password) {
                OprfAnswer given_to = {.key_id = 1 + key, .memory = 8, .passes = 1};

                if (n_given[who] > 0 && !(how & 2))
                        given_to = given[who][n_given[who] - 1 - key % n_given[who]];
                s->key_id = given_to.key_id;
                s->memory = given_to.memory + (how & 4 ? 1 : 0);
                s->passes = given_to.passes;
                s->backup = (Bytes){backup, sizeof(backup)};
                memcpy(s->login, sign_key_public(&login), KEY_SIZE);
        }
        m->who = who;
        buffer_clear(&m->bytes);
        MUST(account_statement_encode(s, &accounts[how & 0x40 ? !who : who], &m->bytes) == 0);
        return n;
}

static void say_account(Script *in, Caller *c) {
        uint8_t how = script_u8(in);
        unsigned n;

        if (n_made == MADE_MAX)
                return;
        n = n_made > 0 && how & 1 ? how % n_made : script_statement(in, c->who % N_PEOPLE);
        ask(c, FRAME_ACCOUNT)->made = n;
        MUST(account_encode(&c->end.out, c->n_asked, buffer_bytes(&made[n].bytes)) == 0);
}

static void say_raw(Script *in, Caller *c) {
        Bytes body = script_bytes(in);

        c->scripted = true;
        MUST(buffer_append(&c->end.out, body.data, body.size) == 0);
}

static void step(Script *in) {
        static void (*const say[])(Script * in, Caller * c) = {
                say_oprf, say_account, say_login, say_raw};
        uint8_t op = script_u8(in);
        Caller *c = &callers[(op >> 4) % N_CALLERS];

        switch (op & 0x0f) {
        case 0:
                caller_connect(in, (op >> 4) % N_CALLERS);
                break;
        case 1 ... 4:
                if (c->end.transport && c->n_asked < REQUESTS_MAX)
                        say[(op & 0x0f) - 1](in, c);
                break;
        case 5:
                if (c->end.transport) {
                        c->scripted = true;
                        script_alter(in, &c->end.out, c->end.out.begin);
                }
                break;
        case 6:
                raw_close(&c->end);
                break;
        case 7:
                c->deaf = op & 0x80;
                c->scripted |= c->deaf;
                break;
        case 8:
                if (n_restarts++ < RESTARTS_MAX)
                        node_restart(op & 0x80);
                break;
        default:
                pass_time(script_time(in));
        }
}

static void run_end(void) {
        pass_time(GONE_TIME);
        for (unsigned i = 0; i < N_CALLERS; i++) {
                Caller *c = &callers[i];

                for (size_t k = 0; k < c->n_asked && c->open && !c->scripted && !c->end.over &&
                        c->end.transport && !fuzz_failed();
                        k++)
                        MUST(c->asked[k].type == 0);
                raw_close(&c->end);
        }
        pass_time(GONE_TIME + SEEN_DELAY);
        MUST(!node->clients && !node->people);
        check_store();
        for (unsigned i = 0; i < N_PEOPLE && !fuzz_failed(); i++)
                if (is_deleted(i))
                        check_forgotten(i);
        node_stop();
        net = net_free(net);
        loop = loop_virtual_free(loop);
}

static void run_begin(Script *in) {
        if (!dir.path[0]) {
                log_set_level(LOG_ERR);
                store_dir_make(&dir, ".");
                memcpy(keys_dir.path, dir.path, sizeof(keys_dir.path) - STRLEN("/oprf"));
                strcat(keys_dir.path, "/oprf");
                snprintf(keys_dir.file, sizeof(keys_dir.file), "%.64s/data.mdb", keys_dir.path);
                make_people();
                MUST(loop_virtual_new(1, &loop) == 0 && net_new(loop, &net) == 0);
                node_start();
                node_stop();
                net = net_free(net);
                loop = loop_virtual_free(loop);
                store_image_take(&dir, &empty);
                store_image_take(&keys_dir, &empty_keys);
        }
        store_image_put(&dir, &empty);
        store_image_put(&keys_dir, &empty_keys);
        n_made = n_restarts = 0;
        memset(n_given, 0, sizeof(n_given));
        memset(newest, 0xff, sizeof(newest));
        MUST(loop_virtual_new(1, &loop) == 0 && net_new(loop, &net) == 0);
        node_start();
}

void fuzz_one(const uint8_t *data, size_t size) {
        script_run(data, size, run_begin, step, run_end);
}
