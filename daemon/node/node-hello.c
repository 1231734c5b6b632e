/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who a client is: nobody in particular, or the one device that speaks for an account. */

#include "node/node-internal.h"

bool node_device_is_older(uint64_t epoch, const uint8_t device[static KEY_SIZE],
        uint64_t newest_epoch, const uint8_t newest_device[static KEY_SIZE]) {
        Record a = {.epoch = epoch}, b = {.epoch = newest_epoch};

        if (epoch == newest_epoch && key_equal(device, newest_device))
                return false;
        memcpy(a.device.device, device, KEY_SIZE);
        memcpy(b.device.device, newest_device, KEY_SIZE);
        return record_compare(&a, (Bytes){}, &b, (Bytes){}) < 0;
}

void client_replace(Client *c, Bytes record) {
        client_queued(
                c, record_frame_encode(conn_output(c->conn), FRAME_SESSION_REPLACED, 0, record));
        client_bye(c, CODE_REPLACED, "this account is used on another device now", record);
}

/* Without memory for the answer there is no session: the client would wait for it. */
static bool hello_answer(Client *c) {
        Node *n = c->node;
        Hello h = {
                .versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .heartbeat = n->limits->heartbeat,
                .features = {FEATURE_CONTACT_TOKENS, FEATURE_ROOM_DIRECTORY, FEATURE_ACCOUNTS},
                .n_features = n->accounts ? 3 : 2,
                .time = loop_realtime(n->loop),
        };
        int r;

        memcpy(h.boot_nonce, n->boot_nonce, sizeof(h.boot_nonce));
        r = hello_encode(conn_output(c->conn), &h);
        if (r >= 0)
                r = hello_ok_encode(conn_output(c->conn), &(HelloOk){});
        if (r < 0) {
                client_bye(c, CODE_STORAGE, "the tracker is out of memory", (Bytes){});
                return false;
        }
        client_queued(c, r);
        if (c->person)
                conn_keep(c->conn);
        client_opened(c);
        return true;
}

/* The session that spoke for the account until now is ended: the same device has connected anew,
 * and what it is said to be online with stays; or another device has taken over. */
static void hello_supersede(Client *c, Client *old) {
        Person *a = c->person;

        if (key_equal(old->key, c->key)) {
                a->client = c;
                client_bye(old, CODE_OK, "this device has connected anew", (Bytes){});
                return;
        }
        person_offline(a);
        a->client = c;
        client_replace(old, client_record(c));
}

static void hello_accept(Client *c) {
        Person *a = c->person;
        Client *old = a->client;

        if (old)
                hello_supersede(c, old);
        a->client = c;
        if (!hello_answer(c))
                return;
        client_tell_mail(c);
        client_refresh(c);
}

/* What the store has was verified when it came in: the same bytes need not be again. */
static bool hello_record_holds(Client *c, Bytes stored) {
        Bytes record = client_record(c);
        Record rec;

        return bytes_equal(record, stored) || record_decode(record, &rec) >= 0;
}

/* Who has no record here may have had one. */
static void on_hello_statement(void *userdata, int error, Bytes blob) {
        Client *c = userdata;
        AccountStatement s;

        if (error >= 0 && blob.size > 0 && account_statement_parse(blob, &s) < 0)
                error = -EUCLEAN;
        node_store_told(c->node, NODE_STORE_READ, error);
        if (error < 0)
                client_bye(c, CODE_STORAGE, "the tracker cannot read its directory", (Bytes){});
        else if (blob.size > 0 && account_statement_is_deleted_at(&s, loop_realtime(c->node->loop)))
                client_bye(c, CODE_NOT_ALLOWED, TEXT_DELETED, (Bytes){});
        else
                hello_accept(c);
}

static void hello_check_deleted(Client *c) {
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;

        directory_key_account(DIRECTORY_ACCT, c->person->key, key);
        n->store->ops->rec_get(n->store, DIRECTORY_ACCT, key, on_hello_statement, c);
}

static void on_hello_user(void *userdata, int error, Bytes blob) {
        Client *c = userdata;
        Client *other = c->person->client;
        Record newest;
        int r;

        r = node_record_read(c->node, error, blob, &newest);
        if (r < 0)
                client_bye(c, CODE_STORAGE, "the tracker cannot read its directory", (Bytes){});
        else if (!hello_record_holds(c, blob))
                client_bye(c, CODE_INVALID_ARGS,
                        "the record does not hold: bad form, key or signature", (Bytes){});
        else if (r > 0 &&
                node_device_is_older(c->epoch, c->key, newest.epoch, newest.device.device))
                client_bye(c, CODE_REPLACED, "this account is used on another device", blob);
        else if (other && other->record &&
                node_device_is_older(c->epoch, c->key, other->epoch, other->key))
                client_bye(c, CODE_REPLACED, "this account is used on another device",
                        client_record(other));
        else if (r > 0) {
                person_learn(c->person, &newest);
                hello_accept(c);
        } else
                hello_check_deleted(c);
}

/* All but the signatures, for which the store is asked first. */
static Code hello_check_certificate(Client *c, const Hello *h, Record *ret, const char **ret_text) {
        Record rec;

        if (record_parse(h->record, &rec) < 0) {
                *ret_text = "the record does not hold: bad form, key or signature";
                return CODE_INVALID_ARGS;
        }
        if (!bytes_equal(rec.certificate, h->certificate)) {
                *ret_text = "certificate and record are not of the same account and device";
                return CODE_INVALID_ARGS;
        }
        if (!key_equal(rec.device.device, c->key)) {
                *ret_text = "the certificate is for another device than the one that connected";
                return CODE_INVALID_ARGS;
        }
        if (!certificate_is_valid_at(&rec.device, loop_realtime(c->node->loop))) {
                *ret_text = "the device certificate has expired";
                return CODE_EXPIRED;
        }
        *ret = rec;
        return CODE_OK;
}

static Code hello_check(Client *c, const Hello *h, Record *ret, const char **ret_text) {
        if (!hello_has_version(h, PROTOCOL_VERSION)) {
                *ret_text = "this tracker speaks version 1 of the protocol only";
                return CODE_NEWER_VERSION;
        }
        if (h->expects && !key_equal(h->expected, c->node->key)) {
                *ret_text = "this is not the tracker you expect";
                return CODE_KEY_CHANGED;
        }
        if ((h->certificate.size > 0) != (h->record.size > 0)) {
                *ret_text = "certificate and record come together or not at all";
                return CODE_INVALID_ARGS;
        }
        return h->record.size > 0 ? hello_check_certificate(c, h, ret, ret_text) : CODE_OK;
}

void client_hello(Client *c, Frame *f) {
        uint8_t key[SHA256_SIZE];
        Node *n = c->node;
        const char *text;
        Record rec;
        Code code;
        Hello h;

        if (hello_decode(f, &h) < 0) {
                client_malformed(c);
                return;
        }
        code = hello_check(c, &h, &rec, &text);
        if (code != CODE_OK) {
                client_bye(c, code, text, (Bytes){});
                return;
        }
        c->heartbeat = h.heartbeat;
        c->state = CLIENT_CHECKING;
        if (h.record.size == 0) {
                (void)hello_answer(c);
                return;
        }
        c->record = malloc(h.record.size);
        if (!c->record || person_get(n, rec.account, &c->person) < 0) {
                client_bye(c, CODE_STORAGE, "the tracker is out of memory", (Bytes){});
                return;
        }
        memcpy(c->record, h.record.data, h.record.size);
        c->record_size = h.record.size;
        c->epoch = rec.epoch;
        directory_key_account(DIRECTORY_USER, rec.account, key);
        n->store->ops->rec_get(n->store, DIRECTORY_USER, key, on_hello_user, c);
}
