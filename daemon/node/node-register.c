/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Records that come in: REGISTER claims the name, PUBLISH and HELLO renew a record whose name the
 * account has already.
 */

#include "node/node-internal.h"

/* A record on its way into the store */

typedef struct Intake {
        ClientRequest request;
        bool claims; /* the name may be new to the account */
        bool is_new; /* it is */
        uint8_t *blob;
        Record record; /* points into `blob` */
        DStoreMerge merges[3];
} Intake;

static void intake_clear(ClientRequest *rq) {
        free(CONTAINER_OF(rq, Intake, request)->blob);
}

/* Why the newest record known is higher than this one. */
static void intake_answer_stale(Intake *in) {
        Person *a = in->request.client->person;
        const Record *rec = &in->record;

        if (node_device_is_older(rec->epoch, rec->device.device, a->epoch, a->device))
                client_request_error(
                        &in->request, CODE_REPLACED, "this account is used on another device", 0);
        else if (in->is_new)
                client_request_error(&in->request, CODE_INVALID_ARGS,
                        "a newer record of this account is known already", 0);
        else {
                client_drop_record(in->request.client);
                client_request_ok(&in->request);
        }
}

/* Whoever runs the node hears of this one. */
static void intake_refuse(Intake *in, Code code, const char *text, uint64_t retry_after) {
        Client *c = in->request.client;
        const NodeCallbacks *callbacks = c->node->callbacks;

        if (callbacks)
                callbacks->refused(c->node->userdata, &in->record, conn_peer(c->conn), code, text);
        client_request_error(&in->request, code, text, retry_after);
}

static void intake_stored(Intake *in, const MergeResult *results) {
        Node *n = in->request.client->node;

        if (in->is_new && results[0] == MERGE_STORED) {
                n->stats.registrations++;
                if (n->callbacks)
                        n->callbacks->registered(n->userdata, &in->record);
        }
        client_drop_record(in->request.client);
        if (in->is_new)
                client_tell_mail(in->request.client);
        client_request_ok(&in->request);
}

static void on_intake_merged(void *userdata, int error, const MergeResult *results) {
        Intake *in = userdata;
        Node *n = in->request.client->node;

        node_write_told(
                n, error, error >= 0 && (results[0] == MERGE_STORED || results[1] == MERGE_STORED));
        if (error < 0)
                client_request_error(&in->request, CODE_STORAGE,
                        error == -ENOSPC ? "the tracker's disk is full; try again later"
                                         : "the tracker could not keep the record; try again later",
                        60);
        else if (results[2] == MERGE_STALE)
                client_request_error(&in->request, CODE_NOT_ALLOWED, TEXT_DELETED, 0);
        else if (results[0] == MERGE_STALE)
                intake_refuse(in, CODE_NAME_TAKEN, "this name belongs to somebody else", 0);
        else if (results[1] == MERGE_STALE)
                intake_answer_stale(in);
        else
                intake_stored(in, results);
}

static void intake_merge(Intake *in) {
        Node *n = in->request.client->node;
        Bytes blob = in->merges[0].blob;

        in->merges[0].kind = DIRECTORY_NAME;
        in->merges[0].merge = merge_name;
        in->merges[1] = (DStoreMerge){.kind = DIRECTORY_USER, .merge = merge_user, .blob = blob};
        directory_key_account(DIRECTORY_USER, in->record.account, in->merges[1].key);
        in->merges[2] =
                (DStoreMerge){.kind = DIRECTORY_ACCT, .merge = merge_unless_deleted, .blob = blob};
        directory_key_account(DIRECTORY_ACCT, in->record.account, in->merges[2].key);
        n->store->ops->rec_merge(
                n->store, in->merges, ELEMENTSOF(in->merges), on_intake_merged, in);
}

static void intake_claim(Intake *in) {
        Client *c = in->request.client;
        unsigned limit = c->node->limits->registrations_per_hour;

        in->is_new = true;
        if (!in->claims)
                client_request_error(&in->request, CODE_INVALID_ARGS,
                        "the name of the record is not registered for this account", 0);
        else if (!client_charge_address(c, CHARGE_CLAIM, limit))
                intake_refuse(in, CODE_RATE_LIMITED, "too many new names came from this address",
                        MAX(3600 / limit, 1U));
        else
                intake_merge(in);
}

static void on_intake_name(void *userdata, int error, Bytes blob) {
        Intake *in = userdata;
        Client *c = in->request.client;
        Record holder;
        int r;

        r = node_record_read(c->node, error, blob, &holder);
        if (r < 0)
                client_request_error(
                        &in->request, CODE_STORAGE, "the tracker cannot read its directory", 60);
        else if (r > 0 && key_equal(holder.account, in->record.account))
                intake_merge(in);
        else if (r > 0 && holder.expires > loop_realtime(c->node->loop))
                intake_refuse(in, CODE_NAME_TAKEN, "this name belongs to somebody else", 0);
        else
                intake_claim(in);
}

/* RECORD was decoded from BLOB and checked. */
static void intake_start(Client *c, uint64_t id, bool claims, Bytes blob) {
        Node *n = c->node;
        Intake *in;

        in = client_request_new(c, id, sizeof(*in));
        if (!in)
                return;
        in->request.clear = intake_clear;
        in->claims = claims;
        in->blob = malloc(blob.size);
        if (!in->blob) {
                client_request_error(&in->request, CODE_STORAGE, "the tracker is out of memory", 1);
                return;
        }
        memcpy(in->blob, blob.data, blob.size);
        in->merges[0].blob = (Bytes){.data = in->blob, .size = blob.size};
        if (record_parse(in->merges[0].blob, &in->record) < 0) {
                client_request_error(
                        &in->request, CODE_INVALID_ARGS, "the record is ill-formed", 0);
                return;
        }
        directory_key_name(in->record.name, in->merges[0].key);
        n->store->ops->rec_get(n->store, DIRECTORY_NAME, in->merges[0].key, on_intake_name, in);
}

/* NULL, or what is wrong with the times of a record. */
static const char *record_time_error(const Record *rec, uint64_t now) {
        if (rec->expires <= now || !certificate_is_valid_at(&rec->device, now))
                return "the record or its certificate has expired";
        if (record_is_ahead(rec, now) || rec->expires > now + IDENTITY_LIFETIME + RECORD_AHEAD_MAX)
                return "the record is from the future: the clock of this device may be wrong";
        return NULL;
}

/* A record that the session brings must be its own. */
static const char *client_record_error(Client *c, Bytes blob) {
        Record rec;
        int r;

        /* What came with HELLO has been verified. */
        if (bytes_equal(blob, client_record(c)))
                r = record_parse(blob, &rec);
        else
                r = record_decode(blob, &rec);
        if (r < 0)
                return "the record does not hold: bad form, key or signature";
        if (!key_equal(rec.account, c->person->key) || !key_equal(rec.device.device, c->key) ||
                rec.epoch < c->epoch)
                return "the record is of another account or device than this session";
        return record_time_error(&rec, loop_realtime(c->node->loop));
}

void client_register(Client *c, Frame *f) {
        const char *wrong;
        Bytes blob;

        if (record_frame_decode(f, &blob) < 0) {
                client_malformed(c);
                return;
        }
        if (!c->person) {
                client_error(c, f->request, CODE_NOT_LOGGED_IN,
                        "HELLO came without a certificate: who wants the name?", 0);
                return;
        }
        wrong = client_record_error(c, blob);
        if (wrong)
                client_error(c, f->request, CODE_INVALID_ARGS, wrong, 0);
        else
                intake_start(c, f->request, true, blob);
}

void client_refresh(Client *c) {
        if (!client_record_error(c, client_record(c)))
                intake_start(c, 0, false, client_record(c));
}

/* PUBLISH */

static const char *presence_error(Client *c, Bytes blob, PresenceRecord *ret) {
        Person *a = c->person;
        MergeResult result;

        if (presence_decode(blob, ret) < 0)
                return "the presence does not hold: bad form, key or signature";
        if (!key_equal(ret->account, a->key) || !key_equal(ret->device, c->key) ||
                ret->epoch != c->epoch)
                return "the presence is of another account, device or epoch than this session";
        if (merge_presence(person_presence(a), blob, loop_realtime(a->node->loop), &result) < 0 ||
                result == MERGE_STALE)
                return "a newer presence is known already";
        return NULL;
}

/* Everybody who watches costs a push. */
static bool publish_charge(Client *c) {
        unsigned cost = MIN(c->person->n_watchers / 64, CLIENT_FRAMES / 4U);

        return conn_charge(c->conn, cost);
}

static const char *publish_presence(Client *c, Bytes blob) {
        const char *wrong;
        PresenceRecord p;
        uint8_t *copy;

        wrong = presence_error(c, blob, &p);
        if (wrong)
                return wrong;
        if (p.presence == PRESENCE_OFFLINE) {
                person_offline(c->person);
                return NULL;
        }
        copy = malloc(blob.size);
        if (!copy)
                return "the tracker is out of memory";
        memcpy(copy, blob.data, blob.size);
        if (person_online(c->person, copy, blob.size) < 0)
                return "the tracker is out of memory";
        return NULL;
}

void client_publish(Client *c, Frame *f) {
        const char *wrong = NULL;
        Publish p;

        if (publish_decode(f, &p) < 0) {
                client_malformed(c);
                return;
        }
        if (!c->person || !c->person->registered) {
                client_error(c, f->request, CODE_NOT_LOGGED_IN,
                        "this session is of no registered account", 0);
                return;
        }
        if (!publish_charge(c)) {
                client_error(c, f->request, CODE_RATE_LIMITED,
                        "too many changes for so many watchers", 10);
                return;
        }
        if (p.record.size > 0)
                wrong = client_record_error(c, p.record);
        if (!wrong && p.presence.size > 0)
                wrong = publish_presence(c, p.presence);
        if (wrong)
                client_error(c, f->request, CODE_INVALID_ARGS, wrong, 0);
        else if (p.record.size > 0)
                intake_start(c, f->request, false, p.record);
        else
                client_ok(c, f->request);
}
