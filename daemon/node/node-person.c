/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts in memory: those that have a session, are watched, or left a moment ago. */

#include "node/node-internal.h"

static void person_read(Person *a, const Record *rec) {
        a->registered = true;
        a->audience = rec->presence;
        a->listed = rec->listed;
        a->epoch = rec->epoch;
        memcpy(a->device, rec->device.device, KEY_SIZE);
}

/* The store has a newer record: of the session's own device, or of one that replaces it. */
static void person_check_session(Person *a, const Record *rec, Bytes blob) {
        Client *c = a->client;

        if (!c)
                return;
        if (node_device_is_older(c->epoch, c->key, rec->epoch, rec->device.device)) {
                if (!key_equal(c->key, rec->device.device))
                        client_replace(c, blob);
                else
                        c->epoch = rec->epoch;
        }
        c = a->client;
        if (c && c->epoch == rec->epoch && key_equal(c->key, rec->device.device))
                client_drop_record(c);
}

static void on_person_changed(void *userdata, Bytes blob) {
        Person *a = userdata;
        Record rec;

        if (record_parse(blob, &rec) < 0)
                return;
        a->refs++; /* the session that is replaced may be the only one who keeps it */
        person_read(a, &rec);
        person_changed(a, PUSH_RECORD | (a->presence ? PUSH_PRESENCE : 0));
        person_check_session(a, &rec, blob);
        person_unref(a);
}

void person_learn(Person *a, const Record *rec) {
        if (a->registered)
                return;
        person_read(a, rec);
        person_changed(a, PUSH_PRESENCE);
}

void person_forget(Person *a) {
        a->refs++; /* its session may be the only one who keeps it */
        a->registered = false; /* before: nothing more is kept of it */
        if (a->client)
                client_bye(a->client, CODE_NOT_ALLOWED, TEXT_DELETED, (Bytes){});
        person_changed(a, PUSH_PRESENCE);
        person_unref(a);
}

static void on_person_user(void *userdata, int error, Bytes blob) {
        Person *a = userdata;
        Record rec;

        if (node_record_read(a->node, error, blob, &rec) > 0)
                person_learn(a, &rec);
}

static void on_person_seen(void *userdata, int error, Bytes blob) {
        Person *a = userdata;
        usec_t t;

        if (error >= 0 && node_seen_decode(blob, &t) >= 0)
                a->last_seen = MAX(a->last_seen, t);
}

static void person_free(Person *a) {
        DStore *store = a->node->store;

        if (a->watch)
                store->ops->unwatch(a->watch);
        store->ops->forget(store, a);
        free(a->presence);
        free(a);
}

static int person_new(Node *n, const uint8_t key[static KEY_SIZE], unsigned hash, Person **ret) {
        uint8_t user[SHA256_SIZE], seen[SHA256_SIZE];
        Person *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->node = n;
        a->changes = QUOTA_INIT(CHANGES_BURST, CHANGES_INTERVAL);
        memcpy(a->key, key, KEY_SIZE);
        directory_key_account(DIRECTORY_USER, key, user);
        directory_key_account(DIRECTORY_SEEN, key, seen);
        r = n->store->ops->watch(n->store, DIRECTORY_USER, user, on_person_changed, a, &a->watch);
        if (r < 0) {
                person_free(a);
                return r;
        }
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, n->people, a->key, KEY_SIZE, hash, a);
        if (!TABLE_HAS(a)) {
                person_free(a);
                return -ENOMEM;
        }
        n->store->ops->rec_get(n->store, DIRECTORY_USER, user, on_person_user, a);
        n->store->ops->rec_get(n->store, DIRECTORY_SEEN, seen, on_person_seen, a);
        *ret = a;
        return 0;
}

Person *person_find(Node *n, const uint8_t key[static KEY_SIZE]) {
        unsigned hash = key_hash(&n->hash, key, KEY_SIZE);
        Person *a;

        HASH_FIND_BYHASHVALUE(hh, n->people, key, KEY_SIZE, hash, a);
        return a;
}

int person_get(Node *n, const uint8_t key[static KEY_SIZE], Person **ret) {
        Person *a = person_find(n, key);
        int r = 0;

        if (!a)
                r = person_new(n, key, key_hash(&n->hash, key, KEY_SIZE), &a);
        if (r < 0)
                return r;
        a->refs++;
        *ret = a;
        return 0;
}

Person *person_unref(Person *a) {
        if (--a->refs > 0)
                return NULL;
        HASH_DEL(a->node->people, a);
        person_free(a);
        return NULL;
}
