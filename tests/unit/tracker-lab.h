/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A tracker that is made of single frames, at the host "tracker" of the simulated network. */

#include "session/session.h"
#include "sim-lab.h"

#define TRACKER_HOST "tracker"
#define TRACKER_PORT 7600

typedef struct FakeTracker {
        Person self;
        const char *host;
        Far far; /* the last connection */
        unsigned n_accepted;
        Transport *raw; /* instead of TLS, where wants_raw */
        bool wants_raw;
        bool takes_tokens; /* and says so */
        usec_t accepted; /* when */
} FakeTracker;

static void tracker_on_accept(void *userdata, Transport *t) {
        FakeTracker *k = userdata;

        far_free(&k->far);
        k->n_accepted++;
        k->accepted = loop_now(k->self.sim->loop);
        if (k->wants_raw) {
                k->raw = transport_free(k->raw);
                k->raw = t;
        } else
                far_begin(&k->far, &k->self, TLS_SERVER, TRACKER_ALPN, t);
}

static _unused_ void tracker_listen(FakeTracker *k) {
        CHECK_OK(network_listen(k->self.sim->network, k->host, TRACKER_PORT, tracker_on_accept, k));
}

static _unused_ void tracker_new_at(Sim *sim, const char *host, FakeTracker *k) {
        *k = (FakeTracker){.host = host};
        person_new(sim, host, &k->self);
        tracker_listen(k);
}

static _unused_ void tracker_new(Sim *sim, FakeTracker *k) {
        tracker_new_at(sim, TRACKER_HOST, k);
}

/* Connections are refused from now on; the one that there is stays. */
static _unused_ void tracker_close(FakeTracker *k) {
        network_close(k->self.sim->network, k->host, TRACKER_PORT);
}

/* The connection goes as well. */
static _unused_ void tracker_hang_up(FakeTracker *k) {
        far_free(&k->far);
        k->raw = transport_free(k->raw);
}

static _unused_ void tracker_free(FakeTracker *k) {
        tracker_close(k);
        tracker_hang_up(k);
        person_done(&k->self);
}

static EndpointKey tracker_address(const FakeTracker *k) {
        EndpointKey e = {.port = TRACKER_PORT};

        snprintf(e.host, sizeof(e.host), "%s", k->host);
        memcpy(e.key, sign_key_public(&k->self.device), KEY_SIZE);
        return e;
}

/* Waits for the next connection and for its HELLO, which is left to be looked at. */
static void tracker_await(FakeTracker *k) {
        Sim *sim = k->self.sim;

        SIM_UNTIL(sim, k->far.conn && far_has(&k->far, FRAME_HELLO));
}

/* To the HELLO that was taken. */
static void tracker_answer(FakeTracker *k) {
        Hello h = {.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = 30};

        if (k->takes_tokens)
                h.features[h.n_features++] = FEATURE_CONTACT_TOKENS;
        far_send_hello(&k->far, &h);
        far_sent(&k->far, hello_ok_encode(conn_output(k->far.conn), &(HelloOk){}));
}

static _unused_ void tracker_greet(FakeTracker *k) {
        tracker_await(k);
        far_take(&k->far, FRAME_HELLO);
        tracker_answer(k);
}

static _unused_ void tracker_ok(FakeTracker *k, uint64_t request) {
        far_send_empty(&k->far, FRAME_OK, request);
}

static _unused_ void tracker_refuse(
        FakeTracker *k, uint64_t request, Code code, uint64_t retry_after) {
        far_sent(&k->far,
                error_encode(
                        conn_output(k->far.conn), request, code, "says the tracker", retry_after));
}

static _unused_ void tracker_error(FakeTracker *k, uint64_t request, Code code) {
        tracker_refuse(k, request, code, 0);
}
