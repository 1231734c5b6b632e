/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * People with keys on a virtual clock, and a far end made of single frames, which says whatever the
 * test wants it to say.
 */

#include "check.h"

#include <utlist.h>

#include "loop-virtual.h"
#include "net/greeting.h"
#include "network.h"
#include "util/log.h"
#include "wire/message.h"

#define LINK_ALPN "p2pchat-link/1"
#define TRACKER_ALPN "p2pchat-tracker/1"

/* More than any test should need. */
#define SIM_PATIENCE (10 * USEC_PER_MINUTE)

typedef struct Sim {
        Loop *loop;
        Net *net;
        Network *network;
} Sim;

static _unused_ void sim_new(Sim *sim, uint64_t seed) {
        static const PipeOptions options = {.latency = 2 * USEC_PER_MSEC};

        log_set_level(getenv("DBG") ? LOG_DEBUG : LOG_ERR);
        CHECK_OK(crypto_init());
        CHECK_OK(loop_virtual_new(seed, &sim->loop));
        CHECK_OK(net_new(sim->loop, &sim->net));
        CHECK_OK(network_new(sim->loop, &sim->network));
        network_set_options(sim->network, &options);
        network_connect_with(sim->network, sim->net);
}

static _unused_ void sim_free(Sim *sim) {
        net_free(sim->net);
        network_free(sim->network);
        loop_virtual_free(sim->loop);
}

static _unused_ void sim_run(Sim *sim, usec_t time) {
        loop_virtual_run(sim->loop, time);
}

/* Turns the loop until the condition holds. */
#define SIM_UNTIL(sim, condition)                                                                  \
        for (usec_t _end = loop_now((sim)->loop) + SIM_PATIENCE; !(condition);)                    \
                if (!loop_virtual_turn((sim)->loop, _end))                                         \
        test_fail(__FILE__, __LINE__, "in vain: " #condition)

/* People */

typedef struct Person {
        Sim *sim;
        SignKey account, device;
        char name[NAME_SIZE];
        uint64_t epoch, seq;
        Buffer certificate, record;
        LocalIdentity local;
} Person;

static void person_key(Sim *sim, SignKey *ret) {
        uint8_t seed[KEY_SIZE];

        loop_random(sim->loop, seed, sizeof(seed));
        sign_key_from_seed(seed, ret);
}

static Certificate person_certificate(const Person *p, usec_t lifetime) {
        usec_t now = loop_realtime(p->sim->loop);
        Certificate c = {.epoch = p->epoch, .issued = now, .expires = now + lifetime};

        memcpy(c.account, sign_key_public(&p->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&p->device), KEY_SIZE);
        return c;
}

/* Makes the record, of whatever certificate there is, with the next seq. */
static void person_sign_record(Person *p, usec_t lifetime) {
        usec_t now = loop_realtime(p->sim->loop);
        Record rec = {.epoch = p->epoch,
                .seq = p->seq++,
                .issued = now,
                .expires = now + lifetime,
                .listed = true,
                .certificate = buffer_bytes(&p->certificate)};

        memcpy(rec.account, sign_key_public(&p->account), KEY_SIZE);
        memcpy(rec.name, p->name, NAME_SIZE);
        buffer_clear(&p->record);
        CHECK_OK(record_encode(&rec, &p->account, &p->record));
        p->local.certificate = buffer_bytes(&p->certificate);
        p->local.record = buffer_bytes(&p->record);
}

static void person_sign(Person *p, usec_t lifetime) {
        Certificate c = person_certificate(p, lifetime);

        buffer_clear(&p->certificate);
        CHECK_OK(certificate_encode(&c, &p->account, &p->device, &p->certificate));
        person_sign_record(p, lifetime);
}

static void person_begin(Sim *sim, const char *name, uint64_t epoch, Person *p) {
        *p = (Person){.sim = sim, .epoch = epoch, .seq = 100};
        snprintf(p->name, sizeof(p->name), "%s", name);
        person_key(sim, &p->account);
        person_key(sim, &p->device);
}

static void person_finish(Person *p) {
        CHECK_OK(tls_identity_new(&p->device, &p->local.tls));
        p->local.account = &p->account;
        p->local.device = &p->device;
        p->local.heartbeat = 30;
        loop_random(p->sim->loop, p->local.boot_nonce, BOOT_NONCE_SIZE);
        person_sign(p, IDENTITY_LIFETIME);
}

static _unused_ void person_new(Sim *sim, const char *name, Person *p) {
        person_begin(sim, name, 1, p);
        person_finish(p);
}

/* The same account on another device. */
static _unused_ void person_on_device(const Person *other, uint64_t epoch, Person *p) {
        person_begin(other->sim, other->name, epoch, p);
        p->account = other->account;
        person_finish(p);
}

static _unused_ void person_done(Person *p) {
        tls_identity_free(p->local.tls);
        buffer_done(&p->certificate);
        buffer_done(&p->record);
}

static _unused_ const uint8_t *person_account(const Person *p) {
        return sign_key_public(&p->account);
}

/* The caller frees it. */
static _unused_ Buffer person_presence(
        const Person *p, Presence state, uint64_t seq, const char *endpoint) {
        PresenceRecord rec = {.epoch = p->epoch, .presence = state, .seq = seq};
        Buffer out = BUFFER_NULL;

        if (endpoint)
                rec.endpoints[rec.n_endpoints++] = text_bytes(endpoint);
        memcpy(rec.account, person_account(p), KEY_SIZE);
        memcpy(rec.device, sign_key_public(&p->device), KEY_SIZE);
        CHECK_OK(presence_encode(&rec, &p->device, &out));
        return out;
}

/* The far end. Frames are kept as they came, in order, until the test takes them. */

typedef struct Incoming {
        uint64_t type;
        uint8_t *bytes;
        size_t size;
        struct Incoming *prev, *next;
} Incoming;

typedef struct Far {
        Sim *sim;
        Conn *conn;
        bool is_open, is_closed;
        int error;
        bool answers; /* PING by PONG */
        uint8_t key[KEY_SIZE];
        Incoming *incoming;
        Buffer taken; /* what far_take() has returned */
} Far;

static void far_on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Far *f = userdata;

        memcpy(f->key, key, KEY_SIZE);
        f->is_open = true;
}

static int far_on_frame(void *userdata, Frame *frame) {
        Far *f = userdata;
        Incoming *in;

        if (frame->type == FRAME_PING && f->answers) {
                CHECK_OK(frame_put_empty(conn_output(f->conn), FRAME_PONG, frame->request));
                conn_queued(f->conn);
                return 0;
        }
        in = calloc(1, sizeof(*in));
        CHECK(in);
        in->type = frame->type;
        in->size = frame->size;
        in->bytes = malloc(frame->size);
        CHECK(in->bytes);
        /* Its reader stands somewhere in a frame that is one piece. */
        memcpy(in->bytes, frame->reader.end - frame->size, frame->size);
        DL_APPEND(f->incoming, in);
        return 0;
}

static void far_on_closed(void *userdata, int error, const char *text) {
        Far *f = userdata;

        f->is_closed = true;
        f->error = error;
}

static const ConnCallbacks far_callbacks = {
        .open = far_on_open,
        .frame = far_on_frame,
        .closed = far_on_closed,
};

/* Takes the transport over. */
static _unused_ void far_begin(
        Far *f, const Person *who, TlsRole role, const char *alpn, Transport *t) {
        *f = (Far){.sim = who->sim, .answers = true};
        CHECK_OK(conn_new(f->sim->net, t, who->local.tls, role, alpn, &far_callbacks, f, &f->conn));
}

static _unused_ void far_free(Far *f) {
        Incoming *in, *tmp;

        DL_FOREACH_SAFE (f->incoming, in, tmp) {
                free(in->bytes);
                free(in);
        }
        conn_free(f->conn);
        buffer_done(&f->taken);
        *f = (Far){};
}

static Incoming *far_find(const Far *f, uint64_t type) {
        Incoming *in;

        DL_FOREACH (f->incoming, in)
                if (in->type == type)
                        return in;
        return NULL;
}

static _unused_ bool far_has(const Far *f, uint64_t type) {
        return far_find(f, type) != NULL;
}

/* The first frame of that type that has come or will come. Its memory lives until the next call. */
static _unused_ Frame far_take(Far *f, uint64_t type) {
        Incoming *in;
        Frame frame;

        SIM_UNTIL(f->sim, far_has(f, type) || f->is_closed);
        in = far_find(f, type);
        if (!in)
                test_fail(__FILE__, __LINE__, "the connection ended without the frame");
        buffer_clear(&f->taken);
        CHECK_OK(buffer_append(&f->taken, in->bytes, in->size));
        CHECK_OK(frame_open(buffer_data(&f->taken), in->size, &frame));
        DL_DELETE(f->incoming, in);
        free(in->bytes);
        free(in);
        return frame;
}

/* Before any frame is encoded; R is what the encoder has said. */
static _unused_ void far_sent(Far *f, int r) {
        CHECK_OK(r);
        conn_queued(f->conn);
}

static _unused_ void far_send_bytes(Far *f, const void *p, size_t n) {
        far_sent(f, buffer_append(conn_output(f->conn), p, n));
}

static _unused_ void far_send_empty(Far *f, FrameType type, uint64_t request) {
        far_sent(f, frame_put_empty(conn_output(f->conn), type, request));
}

/* What everybody says first, for the test to change. */
static _unused_ Hello person_hello(const Person *p) {
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .certificate = p->local.certificate,
                .record = p->local.record,
                .heartbeat = p->local.heartbeat};

        memcpy(h.boot_nonce, p->local.boot_nonce, BOOT_NONCE_SIZE);
        return h;
}

static _unused_ void far_send_hello(Far *f, const Hello *h) {
        SIM_UNTIL(f->sim, f->is_open || f->is_closed);
        CHECK(f->is_open);
        far_sent(f, hello_encode(conn_output(f->conn), h));
}

/* The reason in the BYE that must come, and the end after it. */
static _unused_ Code far_bye(Far *f) {
        Frame frame = far_take(f, FRAME_BYE);
        Refusal x;

        CHECK_OK(refusal_decode(&frame, &x));
        CHECK(x.text.size > 10); /* a sentence */
        SIM_UNTIL(f->sim, f->is_closed);
        return x.code;
}

/* True: it still answers. */
static _unused_ bool far_is_served(Far *f) {
        far_send_empty(f, FRAME_PING, 77);
        SIM_UNTIL(f->sim, far_has(f, FRAME_PONG) || f->is_closed);
        if (f->is_closed)
                return false;
        far_take(f, FRAME_PONG);
        return true;
}
