/* SPDX-License-Identifier: GPL-3.0-or-later */

/* LOOKUP: a name leads to the account that claims it, an account to its newest record. */

#include "node/node-internal.h"
#include "wire/mail.h"

typedef struct Find {
        ClientRequest request;
        char name[NAME_SIZE]; /* empty: by account */
        uint8_t account[KEY_SIZE];
        Viewer viewer;
        uint8_t contact_of[KEY_SIZE]; /* whose token was shown */
        uint8_t *record; /* while the store is asked for the time */
        size_t record_size;
} Find;

static void find_clear(ClientRequest *rq) {
        free(CONTAINER_OF(rq, Find, request)->record);
}

static void find_unknown(Find *x) {
        client_request_error(
                &x->request, CODE_UNKNOWN_PEER, "nobody is registered under this name", 0);
}

static void find_unreadable(Find *x) {
        client_request_error(
                &x->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
}

static void find_answer(Find *x, Bytes record, bool visible, usec_t last_seen) {
        Client *c = x->request.client;
        Person *a = person_find(c->node, x->account);
        LookupAnswer answer = {.record = record};

        if (visible && a && a->presence) {
                answer.presence = person_presence(a);
                answer.last_seen = loop_realtime(c->node->loop);
        } else if (visible)
                answer.last_seen = a ? MAX(a->last_seen, last_seen) : last_seen;
        client_queued(c, lookup_answer_encode(conn_output(c->conn), x->request.id, &answer));
        client_request_free(&x->request);
}

static void on_find_seen(void *userdata, int error, Bytes blob) {
        Find *x = userdata;
        usec_t t = 0;

        if (error >= 0)
                (void)node_seen_decode(blob, &t);
        find_answer(x, (Bytes){.data = x->record, .size = x->record_size}, true, t);
}

static void find_last_seen(Find *x, Bytes record) {
        Node *n = x->request.client->node;
        uint8_t key[SHA256_SIZE];

        x->record = malloc(record.size);
        if (!x->record) {
                find_answer(x, record, true, 0);
                return;
        }
        memcpy(x->record, record.data, record.size);
        x->record_size = record.size;
        directory_key_account(DIRECTORY_SEEN, x->account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_SEEN, key, on_find_seen, x);
}

static bool find_may_see(const Find *x, const Record *rec) {
        return is_audience(
                rec->presence, key_equal(x->contact_of, x->account) ? x->viewer : VIEWER_ANYBODY);
}

static void on_find_user(void *userdata, int error, Bytes blob) {
        Find *x = userdata;
        Node *n = x->request.client->node;
        Record rec;
        int r;

        r = node_record_read(n, error, blob, &rec);
        if (r < 0)
                find_unreadable(x);
        else if (r == 0 || rec.expires <= loop_realtime(n->loop) ||
                (x->name[0] && !streq(rec.name, x->name)))
                find_unknown(x);
        else if (!find_may_see(x, &rec))
                find_answer(x, blob, false, 0);
        else if (person_find(n, x->account))
                find_answer(x, blob, true, 0);
        else
                find_last_seen(x, blob);
}

static void find_user(Find *x) {
        Node *n = x->request.client->node;
        uint8_t key[SHA256_SIZE];

        directory_key_account(DIRECTORY_USER, x->account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_find_user, x);
}

static void on_find_name(void *userdata, int error, Bytes blob) {
        Find *x = userdata;
        Record rec;
        int r;

        r = node_record_read(x->request.client->node, error, blob, &rec);
        if (r < 0)
                find_unreadable(x);
        else if (r == 0)
                find_unknown(x);
        else {
                memcpy(x->account, rec.account, KEY_SIZE);
                find_user(x);
        }
}

void client_lookup(Client *c, Frame *f) {
        Node *n = c->node;
        uint8_t key[SHA256_SIZE];
        DepositToken token;
        usec_t until;
        int contact = 0;
        Lookup l;
        Find *x;

        if (lookup_decode(f, &l) < 0) {
                client_malformed(c);
                return;
        }
        if (conn_is_full(c->conn)) {
                client_error(c, f->request, CODE_RATE_LIMITED, "read the answers first", 1);
                return;
        }
        if (deposit_token_parse(l.token, &token) >= 0)
                contact = client_check_token(c, l.token, token.account, &until);
        if (contact < 0) {
                client_error(c, f->request, CODE_RATE_LIMITED, "too many tokens were shown", 1);
                return;
        }
        x = client_request_new(c, f->request, sizeof(*x));
        if (!x)
                return;
        x->request.clear = find_clear;
        x->viewer = contact > 0 ? (Viewer)contact : VIEWER_ANYBODY;
        if (contact > 0)
                memcpy(x->contact_of, token.account, KEY_SIZE);
        memcpy(x->name, l.name, sizeof(x->name));
        memcpy(x->account, l.account, KEY_SIZE);
        if (!x->name[0]) {
                find_user(x);
                return;
        }
        directory_key_name(x->name, key);
        n->store->ops->rec_get(n->store, DIRECTORY_NAME, key, on_find_name, x);
}
