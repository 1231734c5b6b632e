/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Mailboxes, for those who leave something in them: DEPOSIT, MAIL_STATUS and WITHDRAW. They need
 * not say who they are: a token or a stamp says that they may, and a session without a certificate
 * is charged to its address.
 */

#include "crypto/stamp.h"
#include "node/node-internal.h"

static bool mail_charge(Client *c, uint64_t id) {
        if (c->person || client_charge_address(c, CHARGE_MAIL, ANONYMOUS_MAIL_PER_HOUR))
                return true;
        client_error(c, id, CODE_RATE_LIMITED, "too much was asked from this address", 60);
        return false;
}

/* DEPOSIT */

typedef struct Intake {
        ClientRequest request;
        Deposit deposit; /* points into `data` */
        uint8_t *data; /* envelope and token, until the store has them */
        uint8_t id[SHA256_SIZE];
        uint64_t suite, prekey;
} Intake;

static void intake_clear(ClientRequest *rq) {
        free(CONTAINER_OF(rq, Intake, request)->data);
}

static void intake_kept(Intake *in) {
        Client *c = in->request.client;

        client_queued(c,
                deposit_answer_encode(
                        conn_output(c->conn), in->request.id, &(DepositAnswer){.replicas = 1}));
        client_request_free(&in->request);
}

static void on_intake_added(void *userdata, int error, uint64_t result) {
        Intake *in = userdata;
        Node *n = in->request.client->node;

        node_write_told(n, error, error >= 0 && result == SET_OK);
        if (error < 0)
                client_request_error(&in->request, CODE_STORAGE,
                        error == -ENOSPC ? "the tracker's disk is full; try again later"
                                         : "the tracker could not keep this; try again later",
                        60);
        else if (result == SET_FULL)
                client_request_error(
                        &in->request, CODE_TOO_MANY, "the mailbox is full; try again later", 3600);
        else if (result == SET_BY_FULL)
                client_request_error(&in->request, CODE_TOO_MANY,
                        in->deposit.token.size > 0
                                ? "you have left as much in this mailbox as one contact may"
                                : "strangers have left as much in this mailbox as they may",
                        3600);
        else {
                if (result == SET_OK)
                        node_mail_added(n, in->deposit.account, in->deposit.expires);
                intake_kept(in);
        }
}

/* So neither strangers nor a contact can fill a mailbox. */
static DStoreQuota intake_quota(const DStoreQuota *all, bool stranger) {
        DStoreQuota q = {
                .items = MAIL_CONTACT_SHARE(all->items), .bytes = MAIL_CONTACT_SHARE(all->bytes)};

        if (stranger)
                q = (DStoreQuota){.items = MIN(q.items, MAIL_STRANGERS_ITEMS),
                        .bytes = MAIL_STRANGERS_BYTES(all->bytes)};
        return q;
}

static void intake_add(Intake *in, const DepositToken *token) {
        uint8_t *data = TAKE_PTR(in->data);
        Node *n = in->request.client->node;
        DStoreAdd add = {
                .item = {.expires = in->deposit.expires, .blob = in->deposit.envelope},
                .of_set = {.items = n->limits->mailbox_items, .bytes = n->limits->mailbox_bytes},
        };

        directory_key_account(DIRECTORY_MAIL, in->deposit.account, add.key);
        memcpy(add.item.id, in->id, SHA256_SIZE);
        memcpy(add.lock, in->deposit.withdraw_hash, SHA256_SIZE);
        if (token)
                memcpy(add.by, token->pseudonym, DSTORE_BY_SIZE);
        add.of_by = intake_quota(&add.of_set, !token);
        n->store->ops->set_add(n->store, &add, on_intake_added, in);
        free(data); /* the request may be gone as well */
}

/* The right to leave something; NULL, or why there is none. */
static const char *token_error(const Intake *in, DepositToken *ret) {
        Node *n = in->request.client->node;

        if (deposit_token_decode(in->deposit.token, ret) < 0)
                return "the token does not hold: bad form or signature";
        if (!key_equal(ret->account, in->deposit.account))
                return "the token is for another mailbox";
        if (ret->expires <= loop_realtime(n->loop))
                return "the token has expired";
        return NULL;
}

static const char *stamp_error(const Intake *in) {
        const Deposit *d = &in->deposit;
        unsigned bits = in->request.client->node->limits->stamp_bits;

        if (!d->has_stamp)
                return "a token or a stamp is needed here";
        if (!stamp_is_valid(d->account, in->id, d->stamp, bits))
                return "the stamp does not hold";
        return NULL;
}

static bool record_has_prekey(const Record *rec, uint64_t suite, uint64_t id) {
        for (size_t i = 0; i < rec->n_prekeys; i++)
                if (rec->prekeys[i].suite == suite && rec->prekeys[i].id == id)
                        return true;
        return false;
}

static void intake_seal_again(Intake *in, Bytes record) {
        Client *c = in->request.client;

        client_queued(c,
                deposit_answer_encode(
                        conn_output(c->conn), in->request.id, &(DepositAnswer){.record = record}));
        client_request_free(&in->request);
}

static void on_intake_user(void *userdata, int error, Bytes blob) {
        Intake *in = userdata;
        Node *n = in->request.client->node;
        bool contact = in->deposit.token.size > 0;
        DepositToken token;
        const char *wrong;
        Record rec;
        int r;

        r = node_record_read(n, error, blob, &rec);
        if (r < 0) {
                client_request_error(
                        &in->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
                return;
        }
        if (r == 0 || rec.expires <= loop_realtime(n->loop)) {
                client_request_error(&in->request, CODE_UNKNOWN_PEER,
                        "nobody is registered with this account", 0);
                return;
        }
        wrong = contact ? token_error(in, &token) : stamp_error(in);
        if (wrong)
                client_request_error(&in->request, CODE_NOT_ALLOWED, wrong, 0);
        else if (rec.n_prekeys == 0)
                client_request_error(&in->request, CODE_NOT_SUPPORTED,
                        "this account takes no mail: its record has no key for that", 0);
        else if (!record_has_prekey(&rec, in->suite, in->prekey))
                intake_seal_again(in, blob);
        else
                intake_add(in, contact ? &token : NULL);
}

static bool deposit_check(Client *c, uint64_t id, const Deposit *d, Envelope *ret) {
        uint64_t now = loop_realtime(c->node->loop);
        if (envelope_decode(d->envelope, ret) < 0) {
                client_error(c, id, CODE_INVALID_ARGS, "the envelope is ill-formed", 0);
                return false;
        }
        if (d->expires <= now || d->expires > now + MAIL_LIFETIME_MAX + MAIL_AHEAD) {
                client_error(c, id, CODE_INVALID_ARGS,
                        "it must end in the future, in at most 30 days", 0);
                return false;
        }
        return true;
}

/* A copy, until the store has it: an engine may answer later. Here it ends when this tracker wants
 * it to; the sender finds that out by MAIL_STATUS, and leaves it again if he has to. */
static void intake_start(Client *c, uint64_t id, const Deposit *d, const Envelope *e) {
        Intake *in = client_request_new(c, id, sizeof(*in));
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;

        if (!in)
                return;
        in->request.clear = intake_clear;
        in->data = malloc(d->envelope.size + d->token.size);
        if (!in->data) {
                client_request_error(&in->request, CODE_STORAGE, "the tracker is out of memory", 1);
                return;
        }
        in->deposit = *d;
        in->deposit.expires =
                MIN(d->expires, loop_realtime(n->loop) + n->limits->mailbox_days * USEC_PER_DAY);
        in->deposit.envelope.data = in->data;
        in->deposit.token.data = in->data + d->envelope.size;
        copy_bytes(in->data, d->envelope.data, d->envelope.size);
        copy_bytes(in->data + d->envelope.size, d->token.data, d->token.size);
        in->suite = e->suite;
        in->prekey = e->prekey;
        envelope_id(d->envelope, in->id);
        directory_key_account(DIRECTORY_USER, d->account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_intake_user, in);
}

void client_deposit(Client *c, Frame *f) {
        Envelope e;
        Deposit d;

        if (deposit_decode(f, &d) < 0) {
                client_malformed(c);
                return;
        }
        if (!c->node->limits->mailbox) {
                client_error(c, f->request, CODE_NOT_SUPPORTED, "this tracker takes in no mail", 0);
                return;
        }
        if (mail_charge(c, f->request) && deposit_check(c, f->request, &d, &e))
                intake_start(c, f->request, &d, &e);
}

/* MAIL_STATUS */

typedef struct Query {
        ClientRequest request;
        size_t n;
} Query;

static void on_found(void *userdata, int error, const DStoreFound *found) {
        static const MailState states[] = {
                [ITEM_UNKNOWN] = MAIL_UNKNOWN,
                [ITEM_HELD] = MAIL_HELD,
                [ITEM_GONE] = MAIL_GONE,
        };
        Query *q = userdata;
        Client *c = q->request.client;
        MailStatusAnswer answer = {.n_items = q->n};

        node_store_told(c->node, NODE_STORE_READ, error);
        if (error < 0) {
                client_request_error(
                        &q->request, CODE_STORAGE, "the tracker cannot read its mailboxes", 60);
                return;
        }
        for (size_t i = 0; i < q->n; i++) {
                answer.items[i].state = states[found[i].state];
                answer.items[i].rekey = found[i].note;
        }
        client_queued(c, mail_status_answer_encode(conn_output(c->conn), q->request.id, &answer));
        client_request_free(&q->request);
}

_Static_assert(MAIL_STATUS_MAX <= DSTORE_FIND_MAX, "one look of the store answers a request");

void client_mail_status(Client *c, Frame *f) {
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;
        MailStatus s;
        Query *q;

        if (mail_status_decode(f, &s) < 0) {
                client_malformed(c);
                return;
        }
        if (conn_is_full(c->conn)) {
                client_error(c, f->request, CODE_RATE_LIMITED, "read the answers first", 1);
                return;
        }
        if (!mail_charge(c, f->request))
                return;
        q = client_request_new(c, f->request, sizeof(*q));
        if (!q)
                return;
        q->n = s.n_ids;
        directory_key_account(DIRECTORY_MAIL, s.account, key);
        n->store->ops->set_find(n->store, key, s.ids, s.n_ids, on_found, q);
}

/* WITHDRAW */

static void on_withdrawn(void *userdata, int error, uint64_t result) {
        ClientRequest *rq = userdata;
        Node *n = rq->client->node;

        node_write_told(n, error, false);
        node_count_mail(n);
        if (error < 0)
                client_request_error(
                        rq, CODE_STORAGE, "the tracker could not keep that; try again later", 60);
        else if (result == SET_LOCKED)
                client_request_error(
                        rq, CODE_NOT_ALLOWED, "the secret is not that of the deposit", 0);
        else
                client_request_ok(rq);
}

void client_withdraw(Client *c, Frame *f) {
        uint8_t key[SHA256_SIZE], lock[SHA256_SIZE];
        ClientRequest *rq;
        Node *n = c->node;
        Withdraw w;

        if (withdraw_decode(f, &w) < 0) {
                client_malformed(c);
                return;
        }
        if (!mail_charge(c, f->request))
                return;
        rq = client_request_new(c, f->request, sizeof(*rq));
        if (!rq)
                return;
        sha256(w.secret, sizeof(w.secret), lock);
        directory_key_account(DIRECTORY_MAIL, w.account, key);
        n->store->ops->set_withdraw(n->store, key, w.id, lock, on_withdrawn, rq);
}
