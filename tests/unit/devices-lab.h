/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Devices of one user, each with a store and all parts of a daemon, and a tracker that keeps
 * passwords, on the virtual clock. Stretching costs next to nothing here.
 */

#include <ftw.h>

#include "account/private.h"
#include "node/node.h"
#include "node/oprf-keys.h"
#include "parts.h"
#include "sim-lab.h"
#include "util/fs.h"

#define HOME_HOST "home"
#define HOME_PORT 7600
#define DEVICE_PORT 7700
#define PASSWORD "correct horse"

typedef struct Home {
        Sim *sim;
        const char *host;
        char dir[64];
        SignKey key;
        NodeLimits limits;
        Net *net;
        DStore *store;
        OprfKeys *keys;
        Node *node;
} Home;

static void home_on_accept(void *userdata, Transport *t) {
        node_accept(((Home *)userdata)->node, t);
}

static void home_start(Home *h) {
        _cleanup_(freep) char *keys = fs_join(h->dir, "oprf");

        CHECK_OK(net_new(h->sim->loop, &h->net));
        CHECK_OK(dstore_lmdb_open(h->sim->loop, h->dir, &h->store));
        CHECK_OK(oprf_keys_open(h->sim->loop, keys, &h->keys));
        CHECK_OK(node_new(h->net, h->store, &h->key, &h->limits, &h->node));
        CHECK_OK(node_set_accounts(h->node, h->keys));
        CHECK_OK(network_listen(h->sim->network, h->host, HOME_PORT, home_on_accept, h));
}

static void home_stop(Home *h) {
        network_close(h->sim->network, h->host, HOME_PORT);
        h->node = node_free(h->node);
        h->keys = oprf_keys_close(h->keys);
        h->store = dstore_close(h->store);
        h->net = net_free(h->net);
}

static void lab_dir_new(char dir[static 64]) {
        snprintf(dir, 64, "/tmp/p2pchat-test-XXXXXX");
        CHECK(mkdtemp(dir));
}

static int lab_dir_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void lab_dir_free(const char *dir) {
        CHECK_OK(nftw(dir, lab_dir_unlink, 8, FTW_DEPTH | FTW_PHYS));
}

static EndpointKey home_address(const Home *h) {
        EndpointKey e = {.port = HOME_PORT};

        snprintf(e.host, sizeof(e.host), "%s", h->host);
        memcpy(e.key, sign_key_public(&h->key), KEY_SIZE);
        return e;
}

static void home_new_at(Sim *sim, const char *host, Home *h) {
        *h = (Home){.sim = sim,
                .host = host,
                .limits = {.heartbeat = 30,
                        .handshake = 10,
                        .password_memory = PASSWORD_COST_MIN.memory,
                        .password_passes = PASSWORD_COST_MIN.passes}};
        lab_dir_new(h->dir);
        sign_key_generate(&h->key);
        home_start(h);
}

static void home_new(Sim *sim, Home *h) {
        home_new_at(sim, HOME_HOST, h);
}

static void home_free(Home *h) {
        home_stop(h);
        lab_dir_free(h->dir);
}

typedef struct Device {
        Home *home;
        char host[16]; /* where others find it */
        char dir[64];
        Store *store;
        Parts *parts;
        Account *account; /* of the parts */
        unsigned n_answers;
        Code code;
        char text[256];
} Device;

static void device_on_accept(void *userdata, Transport *t) {
        delivery_accept(((Device *)userdata)->parts->delivery, t);
}

static void device_on_active(void *userdata, bool active) {
        Device *d = userdata;
        Endpoints e = {.n = active};

        snprintf(e.text[0], sizeof(e.text[0]), "%s:%u", d->host, DEVICE_PORT);
        if (active)
                parts_publish(d->parts, &e);
}

/* The program starts, with what is on disk. */
static void device_start(Device *d) {
        static const PartsCallbacks callbacks = {.active = device_on_active};
        EndpointKey e = home_address(d->home);
        PartsArgs args = {.loop = d->home->sim->loop,
                .heartbeat = 30,
                .delivery = {.accept_all = true, .handshake = 10, .say_read = true},
                .max_members = 1000,
                .state_dir = d->dir,
                .sandbox = {"sandbox", "ok", "This is a test.", NULL},
                .callbacks = &callbacks,
                .userdata = d};

        CHECK_OK(store_open(d->dir, d->home->sim->loop, &d->store));
        args.store = d->store;
        CHECK_OK(parts_new(&args, &d->parts));
        d->account = d->parts->account;
        network_connect_with(d->home->sim->network, d->parts->net);
        parts_set_trackers(d->parts, &e, 1);
        account_set_password_least(d->account, &PASSWORD_COST_MIN);
        CHECK_OK(network_listen(d->home->sim->network, d->host, DEVICE_PORT, device_on_accept, d));
        parts_start(d->parts);
}

static void device_stop(Device *d) {
        network_close(d->home->sim->network, d->host, DEVICE_PORT);
        d->parts = parts_free(d->parts);
        d->account = NULL;
        d->store = store_close(d->store);
}

static void device_new(Home *h, Device *d) {
        static unsigned n;

        *d = (Device){.home = h};
        snprintf(d->host, sizeof(d->host), "10.0.0.%u", ++n);
        lab_dir_new(d->dir);
        device_start(d);
}

static void device_free(Device *d) {
        device_stop(d);
        lab_dir_free(d->dir);
}

static void device_on_done(void *userdata, Code code, const char *text) {
        Device *d = userdata;

        d->n_answers++;
        d->code = code;
        snprintf(d->text, sizeof(d->text), "%s", text);
}

static Code device_answer(Device *d, unsigned before) {
        SIM_UNTIL(d->home->sim, d->n_answers > before);
        CHECK_EQ(d->n_answers, before + 1);
        return d->code;
}

static _unused_ Code device_register(Device *d, const char *name, const char *password) {
        unsigned n = d->n_answers;

        account_register(d->account, name, password, NULL, device_on_done, d);
        return device_answer(d, n);
}

static _unused_ Code device_login(Device *d, const char *name, const char *password) {
        unsigned n = d->n_answers;

        account_login(d->account, name, password, NULL, device_on_done, d);
        return device_answer(d, n);
}
