/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Mailboxes, for those to whom they belong: COLLECT, COLLECTED and MAIL_WAITING; and the end of
 * what nobody collects. An envelope is opaque here: a tracker has nothing to open it with.
 */

#include "node/node-internal.h"

/* Bytes of envelopes in an answer, below the cap of its frame with what surrounds them. One that
 * is larger than this goes alone. */
#define COLLECT_SIZE_MAX (96 * 1024)

/* Ids of a COLLECTED that cost as much as a frame. */
#define COLLECTED_PER_FRAME 16

static const char unreadable[] = "the tracker cannot read its mailboxes";

/* Expiry: one timer, set to the end of the next item. */

static void on_count(void *userdata, int error, const DStoreUsage *usage) {
        Node *n = userdata;

        if (error < 0)
                return;
        n->stats.mail_items = usage->items;
        n->stats.mail_bytes = usage->bytes;
}

void node_count_mail(Node *n) {
        n->store->ops->set_usage(n->store, NULL, on_count, n);
}

/* A day at most, since it is the wall clock that counts, which may be set meanwhile. */
static void expire_later(Node *n, uint64_t next) {
        usec_t wait = usec_sub(next, loop_realtime(n->loop));

        n->mail_next = next;
        loop_timer_set(n->mail_expire,
                next > 0 ? loop_now(n->loop) + MIN(wait, USEC_PER_DAY) + MAIL_EXPIRE_DELAY
                         : USEC_INFINITY);
}

static void on_expired(void *userdata, int error, uint64_t next) {
        Node *n = userdata;

        node_write_told(n, error, false);
        node_count_mail(n);
        if (error < 0)
                expire_later(n, loop_realtime(n->loop));
        else if (next > 0 && next <= loop_realtime(n->loop))
                loop_timer_set(n->mail_expire, loop_now(n->loop) + USEC_PER_SEC / 10);
        else
                expire_later(n, next);
}

void node_expire_mail(Node *n) {
        n->store->ops->set_expire(
                n->store, loop_realtime(n->loop), MAIL_EXPIRE_BUDGET, on_expired, n);
}

/* MAIL_WAITING */

static void on_waiting(void *userdata, int error, const DStoreUsage *usage) {
        Client *c = userdata;

        if (error < 0)
                node_store_told(c->node, NODE_STORE_READ, error);
        if (error < 0 || usage->listed == 0)
                return;
        c->mail_told = loop_now(c->node->loop);
        client_queued(c, mail_waiting_encode(conn_output(c->conn), usage->listed));
}

static void tell_mail(Client *c) {
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;

        directory_key_account(DIRECTORY_MAIL, c->person->key, key);
        n->store->ops->set_usage(n->store, key, on_waiting, c);
}

/* Of many in a short time the first is told at once, and the others together. */
void client_tell_mail(Client *c) {
        usec_t now = loop_now(c->node->loop);
        Node *n = c->node;

        if (c->mail_due != 0)
                return;
        if (c->mail_told == 0 || now >= c->mail_told + MAIL_TOLD_INTERVAL) {
                tell_mail(c);
                return;
        }
        c->mail_due = now + MAIL_TOLD_INTERVAL;
        DL_APPEND2(n->mailing, c, mailing_prev, mailing_next);
        if (n->mailing == c)
                loop_timer_set(n->mail_tell, c->mail_due);
}

void client_forget_mail(Client *c) {
        if (c->mail_due == 0)
                return;
        DL_DELETE2(c->node->mailing, c, mailing_prev, mailing_next);
        c->mail_due = 0;
}

void node_tell_mail(Node *n) {
        while (n->mailing && n->mailing->mail_due <= loop_now(n->loop)) {
                Client *c = n->mailing;

                client_forget_mail(c);
                tell_mail(c);
        }
        loop_timer_set(n->mail_tell, n->mailing ? n->mailing->mail_due : USEC_INFINITY);
}

void node_mail_added(Node *n, const uint8_t account[static KEY_SIZE], uint64_t expires) {
        Person *a = person_find(n, account);

        if (a && a->client && a->client->state == CLIENT_OPEN)
                client_tell_mail(a->client);
        if (n->mail_next == 0 || expires < n->mail_next)
                expire_later(n, expires);
        node_count_mail(n);
}

/* Whose mailbox it is: the newest device of a registered account, and nobody else. */
static bool client_owns_mailbox(Client *c, uint64_t id) {
        const Person *a = c->person;

        if (!a || !a->registered) {
                client_error(
                        c, id, CODE_NOT_LOGGED_IN, "this session is of no registered account", 0);
                return false;
        }
        if (node_device_is_older(c->epoch, c->key, a->epoch, a->device)) {
                client_error(c, id, CODE_REPLACED, "this account is used on another device", 0);
                return false;
        }
        return true;
}

/* COLLECT */

static void on_list(
        void *userdata, int error, const DStoreItem *items, size_t n, uint64_t after, bool more) {
        ClientRequest *rq = userdata;
        Client *c = rq->client;
        CollectAnswer answer = {.n_items = n};
        uint8_t be[sizeof(after)];

        node_store_told(c->node, NODE_STORE_READ, error);
        if (error < 0) {
                client_request_error(rq, CODE_STORAGE, unreadable, 60);
                return;
        }
        for (size_t i = 0; i < n; i++) {
                answer.items[i].envelope = items[i].blob;
                answer.items[i].expires = items[i].expires;
        }
        for (size_t i = 0; i < sizeof(be); i++)
                be[i] = (uint8_t)(after >> (56 - 8 * i));
        if (more)
                answer.after = (Bytes){.data = be, .size = sizeof(be)};
        client_queued(c, collect_answer_encode(conn_output(c->conn), rq->id, &answer));
        client_request_free(rq);
}

void client_collect(Client *c, Frame *f) {
        DStorePage page = {.bytes = COLLECT_SIZE_MAX};
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;
        ClientRequest *rq;
        Collect x;

        if (collect_decode(f, &x) < 0) {
                client_malformed(c);
                return;
        }
        if (!client_owns_mailbox(c, f->request))
                return;
        if (conn_is_full(c->conn)) {
                client_error(c, f->request, CODE_RATE_LIMITED, "read the answers first", 1);
                return;
        }
        if (x.after.size != 0 && x.after.size != sizeof(page.after)) {
                client_error(c, f->request, CODE_INVALID_ARGS, "`after` is not from an answer", 0);
                return;
        }
        for (size_t i = 0; i < x.after.size; i++)
                page.after = page.after << 8 | x.after.data[i];
        page.items = x.limit;
        rq = client_request_new(c, f->request, sizeof(*rq));
        if (!rq)
                return;
        directory_key_account(DIRECTORY_MAIL, c->person->key, key);
        n->store->ops->set_list(n->store, key, &page, on_list, rq);
}

/* COLLECTED: up to two steps of the store, and one answer when both are done. */

typedef struct Removal {
        ClientRequest request;
        unsigned steps; /* that are not done */
        int error;
} Removal;

static void removal_step_done(Removal *x) {
        Node *n = x->request.client->node;

        if (--x->steps > 0)
                return;
        node_count_mail(n);
        if (x->error < 0)
                client_request_error(&x->request, CODE_STORAGE,
                        "the tracker could not keep that; try again later", 60);
        else
                client_request_ok(&x->request);
}

static void on_removed(void *userdata, int error, uint64_t n) {
        Removal *x = userdata;

        node_write_told(x->request.client->node, error, false);
        x->error = MIN(x->error, error);
        removal_step_done(x);
}

static void collected_start(Client *c, uint64_t id, const Collected *x,
        const uint8_t (*ids)[SHA256_SIZE], const Rekey *rekey) {
        Removal *removal = client_request_new(c, id, sizeof(*removal));
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;

        if (!removal)
                return;
        directory_key_account(DIRECTORY_MAIL, c->person->key, key);
        removal->steps = 3; /* and this function */
        n->store->ops->set_ack(n->store, key, ids, x->ids.size / SHA256_SIZE, on_removed, removal);
        if (rekey)
                n->store->ops->set_note(
                        n->store, key, rekey->items, rekey->n_items, x->rekey, on_removed, removal);
        else
                removal->steps--;
        removal_step_done(removal);
}

void client_collected(Client *c, Frame *f) {
        uint8_t ids[COLLECTED_MAX][SHA256_SIZE];
        bool rekeys;
        Collected x;
        Rekey rekey;

        if (collected_decode(f, ids, &x) < 0) {
                client_malformed(c);
                return;
        }
        if (!client_owns_mailbox(c, f->request))
                return;
        if (!conn_charge(c->conn, x.ids.size / SHA256_SIZE / COLLECTED_PER_FRAME)) {
                client_error(c, f->request, CODE_RATE_LIMITED, "too much at once", 10);
                return;
        }
        rekeys = x.rekey.size > 0;
        if (rekeys &&
                (rekey_decode(x.rekey, &rekey) < 0 || !key_equal(rekey.account, c->person->key)))
                client_error(c, f->request, CODE_INVALID_ARGS,
                        "the REKEY does not hold: bad form or signature, or of another account", 0);
        else
                collected_start(c, f->request, &x, ids, rekeys ? &rekey : NULL);
}
