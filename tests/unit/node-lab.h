/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A directory node with its store on a real loop, and clients that speak to it over TLS and TCP on
 * the loopback interface. Only the clock is the test's: lab_advance() moves it, and with it every
 * timer.
 */

#include "test.h"

#include <ftw.h>

#include <systemd/sd-event.h>
#include <utlist.h>

#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/node.h"
#include "util/log.h"
#include "wire/hello.h"
#include "wire/mailbox.h"
#include "wire/tracker.h"

/* No test should ever come near it. Times that a test tells apart are as far apart as that, since
 * the clock runs on by itself as well. */
#define PATIENCE (30 * USEC_PER_SEC)

/* A loop whose clock runs ahead of the real one by what the test wants */

typedef struct LabTimer {
        Loop *loop;
        LoopTimer *inner;
        usec_t at;
        struct LabTimer *prev, *next;
} LabTimer;

typedef struct LabLoop {
        Loop loop;
        Loop *inner;
        usec_t ahead;
        usec_t stands, realtime_stands; /* instead of the inner clocks; 0: they go on */
        LabTimer *timers;
} LabLoop;

static inline Loop *lab_inner(Loop *l) {
        return CONTAINER_OF(l, LabLoop, loop)->inner;
}

static usec_t lab_now(Loop *l) {
        const LabLoop *x = CONTAINER_OF(l, LabLoop, loop);

        return (x->stands ?: loop_now(x->inner)) + x->ahead;
}

static usec_t lab_realtime(Loop *l) {
        const LabLoop *x = CONTAINER_OF(l, LabLoop, loop);

        return (x->realtime_stands ?: loop_realtime(x->inner)) + x->ahead;
}

static void lab_random(Loop *l, void *p, size_t n) {
        loop_random(lab_inner(l), p, n);
}

static int lab_timer_new(Loop *l, LoopTimerFn fn, void *userdata, LoopTimer **ret) {
        LabTimer *t = calloc(1, sizeof(*t));
        int r;

        if (!t)
                return -ENOMEM;
        r = loop_timer_new(lab_inner(l), fn, userdata, &t->inner);
        if (r < 0) {
                free(t);
                return r;
        }
        t->loop = l;
        t->at = USEC_INFINITY;
        DL_APPEND(CONTAINER_OF(l, LabLoop, loop)->timers, t);
        *ret = (LoopTimer *)t;
        return 0;
}

static void lab_timer_arm(LabTimer *t) {
        LabLoop *l = CONTAINER_OF(t->loop, LabLoop, loop);

        loop_timer_set(t->inner, t->at == USEC_INFINITY ? t->at : usec_sub(t->at, l->ahead));
}

static void lab_timer_set(LoopTimer *timer, usec_t at) {
        LabTimer *t = (LabTimer *)timer;

        t->at = at;
        lab_timer_arm(t);
}

static void lab_timer_free(LoopTimer *timer) {
        LabTimer *t = (LabTimer *)timer;

        DL_DELETE(CONTAINER_OF(t->loop, LabLoop, loop)->timers, t);
        loop_timer_free(t->inner);
        free(t);
}

static int lab_io_new(Loop *l, int fd, uint32_t events, LoopIoFn fn, void *userdata, LoopIo **ret) {
        return loop_io_new(lab_inner(l), fd, events, fn, userdata, ret);
}

static int lab_defer_new(
        Loop *l, LoopDeferKind kind, LoopDeferFn fn, void *userdata, LoopDefer **ret) {
        return loop_defer_new(lab_inner(l), kind, fn, userdata, ret);
}

static const LoopOps lab_loop_ops = {
        .now = lab_now,
        .clock = lab_now,
        .realtime = lab_realtime,
        .random = lab_random,
        .timer_new = lab_timer_new,
        .timer_set = lab_timer_set,
        .timer_free = lab_timer_free,
        .io_new = lab_io_new,
        .defer_new = lab_defer_new,
};

/* The laboratory */

typedef struct Lab {
        char dir[64];
        sd_event *event;
        LabLoop loop;
        Net *net;
        DStore *store;
        SignKey key;
        NodeLimits limits;
        Node *node;
        Listener *listener;
        const SockAddr *peer; /* whom those who connect are taken for; NULL: as it is */
        uint64_t realtime; /* of the start; what is made here is dated by it */
} Lab;

static void lab_on_connection(void *userdata, int fd, const SockAddr *peer) {
        Lab *lab = userdata;
        Transport *t;

        /* Small, or the kernel would take everything for a client that does not read. */
        CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &(int){65536}, sizeof(int)));
        if (tcp_transport_new(&lab->loop.loop, fd, lab->peer ?: peer, NULL, &t) >= 0)
                node_accept(lab->node, t);
}

static void lab_start_node(Lab *lab) {
        SockAddr a;

        CHECK_OK(sockaddr_parse_ip("127.0.0.1", 0, &a));
        CHECK_OK(dstore_lmdb_open(&lab->loop.loop, lab->dir, &lab->store));
        CHECK_OK(node_new(lab->net, lab->store, &lab->key, &lab->limits, &lab->node));
        CHECK_OK(listener_new(&lab->loop.loop, &a, lab_on_connection, lab, &lab->listener));
}

static void lab_stop_node(Lab *lab) {
        lab->listener = listener_free(lab->listener);
        lab->node = node_free(lab->node);
        lab->store = dstore_close(lab->store);
}

static void lab_new(Lab *lab) {
        *lab = (Lab){
                .dir = "/tmp/p2pchat-test-XXXXXX", .limits = {.heartbeat = 30, .handshake = 10}};
        log_set_level(LOG_WARNING);
        CHECK_OK(crypto_init());
        CHECK(mkdtemp(lab->dir));
        sign_key_generate(&lab->key);
        CHECK_OK(sd_event_new(&lab->event));
        lab->loop.loop.ops = &lab_loop_ops;
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop.inner));
        CHECK_OK(net_new(&lab->loop.loop, &lab->net));
        lab->realtime = loop_realtime(&lab->loop.loop);
        lab_start_node(lab);
}

static int lab_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void lab_free(Lab *lab) {
        lab_stop_node(lab);
        net_free(lab->net);
        CHECK(!lab->loop.timers);
        loop_sd_event_free(lab->loop.inner);
        sd_event_unref(lab->event);
        CHECK_OK(nftw(lab->dir, lab_unlink, 8, FTW_DEPTH | FTW_PHYS));
}

static void lab_turn(Lab *lab, usec_t timeout) {
        CHECK(sd_event_run(lab->event, timeout) >= 0);
}

/* Until nothing is ready and no timer is due. */
static _unused_ void lab_settle(Lab *lab) {
        int r;

        while ((r = sd_event_run(lab->event, 0)) > 0)
                ;
        CHECK_OK(r);
}

/* Turns the loop until the condition holds. */
#define LAB_UNTIL(lab, condition)                                                                  \
        for (usec_t _end = loop_now((lab)->loop.inner) + PATIENCE; !(condition);) {                \
                lab_turn(lab, USEC_PER_SEC);                                                       \
                if (loop_now((lab)->loop.inner) > _end)                                            \
                        test_fail(__FILE__, __LINE__, "in vain: " #condition);                     \
        }

static _unused_ void lab_advance(Lab *lab, usec_t by) {
        LabTimer *t;

        lab->loop.ahead += by;
        DL_FOREACH (lab->loop.timers, t)
                lab_timer_arm(t);
}

/* For what is counted in time, however slow the machine: lab_advance() alone moves the clocks. */
static _unused_ void lab_stand_still(Lab *lab, bool on) {
        lab->loop.stands = on ? loop_now(lab->loop.inner) : 0;
        lab->loop.realtime_stands = on ? loop_realtime(lab->loop.inner) : 0;
}

/* In steps that are none for who would notice that time was lost. */
#define LAB_ADVANCE_UNTIL(lab, condition)                                                          \
        do {                                                                                       \
                for (int _i = 0; _i < 1000 && !(condition); _i++) {                                \
                        lab_advance(lab, USEC_PER_SEC);                                            \
                        lab_settle(lab);                                                           \
                }                                                                                  \
                LAB_UNTIL(lab, condition);                                                         \
        } while (0)

/* Who connects */

typedef struct User {
        SignKey account, device;
        char name[NAME_SIZE];
        uint64_t epoch, seq;
        uint64_t prekey; /* 0: none */
        bool listed;
        Visibility presence_visible;
        Buffer certificate, record;
} User;

static Bytes buffer_view(const Buffer *b) {
        return (Bytes){.data = buffer_data(b), .size = buffer_size(b)};
}

/* Makes the record anew, with the next seq. LIFETIME counts from the start of the test. */
static void user_sign(Lab *lab, User *u, usec_t lifetime) {
        Certificate c = {.epoch = u->epoch,
                .issued = lab->realtime - USEC_PER_SEC,
                .expires = lab->realtime + lifetime};
        Record rec = {.epoch = u->epoch,
                .seq = u->seq++,
                .issued = c.issued,
                .expires = c.expires,
                .listed = u->listed,
                .presence = u->presence_visible};

        buffer_clear(&u->certificate);
        buffer_clear(&u->record);
        memcpy(c.account, sign_key_public(&u->account), KEY_SIZE);
        memcpy(c.device, sign_key_public(&u->device), KEY_SIZE);
        CHECK_OK(certificate_encode(&c, &u->account, &u->device, &u->certificate));
        memcpy(rec.account, c.account, KEY_SIZE);
        memcpy(rec.name, u->name, sizeof(rec.name));
        rec.certificate = buffer_view(&u->certificate);
        if (u->prekey != 0) {
                rec.suites[rec.n_suites++] = MAIL_SUITE_HPKE;
                rec.prekeys[rec.n_prekeys++] =
                        (Prekey){MAIL_SUITE_HPKE, u->prekey, {c.device, KEY_SIZE}};
        }
        CHECK_OK(record_encode(&rec, &u->account, &u->record));
}

#define LIFETIME (170 * USEC_PER_DAY)

static void user_new(Lab *lab, const char *name, User *u) {
        *u = (User){.epoch = 1, .seq = lab->realtime / 1000, .listed = true};
        snprintf(u->name, sizeof(u->name), "%s", name);
        sign_key_generate(&u->account);
        sign_key_generate(&u->device);
        user_sign(lab, u, LIFETIME);
}

/* The same account on another device. */
static _unused_ void user_on_device(Lab *lab, const User *u, uint64_t epoch, User *ret) {
        *ret = (User){.account = u->account,
                .epoch = epoch,
                .seq = u->seq,
                .listed = u->listed,
                .presence_visible = u->presence_visible};
        memcpy(ret->name, u->name, sizeof(ret->name));
        sign_key_generate(&ret->device);
        user_sign(lab, ret, LIFETIME);
}

/* Identity changes make a record large: more than 2 KiB. */
static _unused_ void user_make_large(User *u) {
        uint8_t change[256] = {7};
        Buffer out = BUFFER_NULL;
        Record rec;

        CHECK_OK(record_decode(buffer_view(&u->record), &rec));
        rec.seq = u->seq++;
        for (rec.n_changes = 0; rec.n_changes < RECORD_CHANGES_MAX; rec.n_changes++)
                rec.changes[rec.n_changes] = (Bytes){change, sizeof(change)};
        CHECK_OK(record_encode(&rec, &u->account, &out));
        buffer_done(&u->record);
        u->record = out;
}

static void user_done(User *u) {
        buffer_done(&u->certificate);
        buffer_done(&u->record);
}

static const uint8_t *user_account(const User *u) {
        return sign_key_public(&u->account);
}

/* The caller frees it. */
static _unused_ Buffer user_presence(User *u, Presence state) {
        static const char endpoint[] = "192.0.2.1:7000";
        PresenceRecord p = {
                .epoch = u->epoch, .presence = state, .seq = u->seq++, .n_endpoints = 1};
        Buffer out = BUFFER_NULL;

        p.endpoints[0] = (Bytes){(const uint8_t *)endpoint, strlen(endpoint)};
        memcpy(p.account, user_account(u), KEY_SIZE);
        memcpy(p.device, sign_key_public(&u->device), KEY_SIZE);
        CHECK_OK(presence_encode(&p, &u->device, &out));
        return out;
}

/* Frames as they came, in order, until the test takes them. */
typedef struct Incoming {
        uint64_t type, request;
        uint8_t *bytes; /* the frame */
        size_t size;
        struct Incoming *prev, *next;
} Incoming;

typedef struct Caller {
        Lab *lab;
        Conn *conn;
        Dial *dial;
        Transport *transport; /* the connection's */
        const TransportOps *transport_ops;
        TlsIdentity *tls;
        bool is_open, is_closed;
        int error;
        Incoming *incoming;
        uint64_t last_request;
        uint8_t seen_key[KEY_SIZE];
} Caller;

static void caller_on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Caller *c = userdata;

        memcpy(c->seen_key, key, KEY_SIZE);
        c->is_open = true;
}

/* The body is copied from behind the reader's back: a frame is one piece, and its reader stands
 * somewhere in it. */
static int caller_on_frame(void *userdata, Frame *f) {
        Caller *c = userdata;
        Incoming *in = calloc(1, sizeof(*in));

        CHECK(in);
        in->type = f->type;
        in->request = f->request;
        in->size = f->size;
        in->bytes = malloc(f->size);
        CHECK(in->bytes);
        memcpy(in->bytes, f->reader.end - f->size, f->size);
        DL_APPEND(c->incoming, in);
        return 0;
}

static void caller_on_closed(void *userdata, int error, const char *text) {
        Caller *c = userdata;

        c->is_closed = true;
        c->error = error;
}

static const ConnCallbacks caller_callbacks = {
        .open = caller_on_open,
        .frame = caller_on_frame,
        .closed = caller_on_closed,
};

static void caller_on_dialled(void *userdata, int fd, const SockAddr *peer) {
        Caller *c = userdata;
        Transport *t;

        c->dial = dial_free(c->dial);
        CHECK(fd >= 0);
        CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int)));
        CHECK_OK(tcp_transport_new(&c->lab->loop.loop, fd, peer, NULL, &t));
        c->transport = t;
        c->transport_ops = t->ops;
        CHECK_OK(conn_new(
                c->lab->net, t, c->tls, TLS_CLIENT, NODE_ALPN, &caller_callbacks, c, &c->conn));
}

/* TLS only. */
static void caller_connect(Lab *lab, const SignKey *device, Caller *c) {
        DialTarget to = {.host = "127.0.0.1",
                .port = sockaddr_port(listener_address(lab->listener)),
                .timeout = PATIENCE};

        *c = (Caller){.lab = lab};
        CHECK_OK(tls_identity_new(device, &c->tls));
        CHECK_OK(dial_new(&lab->loop.loop, &to, caller_on_dialled, c, &c->dial));
        LAB_UNTIL(lab, c->is_open || c->is_closed);
        CHECK(c->is_open);
        CHECK(key_equal(c->seen_key, sign_key_public(&lab->key)));
}

static void caller_free(Caller *c) {
        Incoming *in, *tmp;

        DL_FOREACH_SAFE (c->incoming, in, tmp) {
                free(in->bytes);
                free(in);
        }
        dial_free(c->dial);
        conn_free(c->conn);
        tls_identity_free(c->tls);
        *c = (Caller){};
}

/* A transport that does not take what is there, but still sends */

static ssize_t deaf_read(Transport *t, void *p, size_t n) {
        return -EAGAIN;
}

static TransportOps deaf_ops;
static const TransportOps *hearing_ops;

static void deaf_want(Transport *t, uint32_t events) {
        hearing_ops->want(t, events & LOOP_WRITE);
}

static _unused_ void caller_stop_reading(Caller *c) {
        hearing_ops = c->transport_ops;
        deaf_ops = *hearing_ops;
        deaf_ops.read = deaf_read;
        deaf_ops.want = deaf_want;
        c->transport->ops = &deaf_ops;
        deaf_want(c->transport, 0);
}

static _unused_ void caller_read_again(Caller *c) {
        c->transport->ops = c->transport_ops;
        c->transport->ops->want(c->transport, LOOP_READ | LOOP_WRITE);
}

/* The first frame of that type that has come or will come, taken out; its memory lives until the
 * next call. */
static Frame caller_take(Caller *c, uint64_t type) {
        static uint8_t kept[FRAME_MESSAGE_MAX + FRAME_HEAD_SIZE];
        Incoming *in = NULL;
        Frame f;

        LAB_UNTIL(c->lab, ({
                DL_FOREACH (c->incoming, in)
                        if (in->type == type)
                                break;
                in || c->is_closed;
        }));
        if (!in)
                test_fail(__FILE__, __LINE__, "the connection ended without the frame");
        memcpy(kept, in->bytes, in->size);
        CHECK_OK(frame_open(kept, in->size, &f));
        DL_DELETE(c->incoming, in);
        free(in->bytes);
        free(in);
        return f;
}

static bool caller_has(const Caller *c, uint64_t type) {
        Incoming *in;

        DL_FOREACH (c->incoming, in)
                if (in->type == type)
                        return true;
        return false;
}

static void caller_sent(Caller *c, int r) {
        CHECK_OK(r);
        conn_queued(c->conn);
}

static void caller_send_hello(Caller *c, Bytes certificate, Bytes record) {
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .certificate = certificate,
                .record = record,
                .boot_nonce = {7},
                .heartbeat = 30};

        caller_sent(c, hello_encode(conn_output(c->conn), &h));
}

/* As that user, or as nobody where USER is NULL. */
static _unused_ void caller_new(Lab *lab, const User *user, Caller *c) {
        SignKey stranger;
        HelloOk ok;
        Frame f;

        sign_key_generate(&stranger);
        caller_connect(lab, user ? &user->device : &stranger, c);
        if (user)
                caller_send_hello(c, buffer_view(&user->certificate), buffer_view(&user->record));
        else
                caller_send_hello(c, (Bytes){}, (Bytes){});
        f = caller_take(c, FRAME_HELLO_OK);
        CHECK_OK(hello_ok_decode(&f, &ok));
}

static Code frame_code(Frame *f) {
        Refusal x;

        if (f->type == FRAME_OK)
                return CODE_OK;
        CHECK_OK(refusal_decode(f, &x));
        CHECK(x.text.size > 10); /* a sentence */
        return x.code;
}

/* The reason of the BYE that must come, and the end after it. */
static _unused_ Code caller_bye(Caller *c) {
        Frame f = caller_take(c, FRAME_BYE);
        Code code = frame_code(&f);

        LAB_UNTIL(c->lab, c->is_closed);
        return code;
}

/* The answer to the last request. */
static Frame caller_answer(Caller *c) {
        Frame f;

        LAB_UNTIL(c->lab, caller_has(c, FRAME_OK) || caller_has(c, FRAME_ERROR) || c->is_closed);
        f = caller_take(c, caller_has(c, FRAME_OK) ? FRAME_OK : FRAME_ERROR);
        CHECK_EQ(f.request, c->last_request);
        return f;
}

static _unused_ Code caller_register(Caller *c, const User *u) {
        Frame f;

        caller_sent(c,
                record_frame_encode(conn_output(c->conn), FRAME_REGISTER, ++c->last_request,
                        buffer_view(&u->record)));
        f = caller_answer(c);
        return frame_code(&f);
}

static _unused_ Code caller_publish(Caller *c, User *u, Presence state) {
        _cleanup_(buffer_done) Buffer presence = user_presence(u, state);
        Publish p = {.presence = buffer_view(&presence)};
        Frame f;

        caller_sent(c, publish_encode(conn_output(c->conn), ++c->last_request, &p));
        f = caller_answer(c);
        return frame_code(&f);
}

static _unused_ Code caller_watch(Caller *c, const uint8_t *add, const uint8_t *remove) {
        Watch w = {.add = {add, add ? KEY_SIZE : 0}, .remove = {remove, remove ? KEY_SIZE : 0}};
        Frame f;

        caller_sent(c, watch_encode(conn_output(c->conn), ++c->last_request, &w));
        f = caller_answer(c);
        return frame_code(&f);
}

/* By name, or by account where NAME is NULL. What RET points to lives until the next call. */
static _unused_ Code caller_lookup(
        Caller *c, const char *name, const uint8_t *account, LookupAnswer *ret) {
        Lookup l = {};
        Frame f;

        if (name)
                snprintf(l.name, sizeof(l.name), "%s", name);
        else
                memcpy(l.account, account, KEY_SIZE);
        caller_sent(c, lookup_encode(conn_output(c->conn), ++c->last_request, &l));
        f = caller_answer(c);
        if (f.type == FRAME_OK)
                CHECK_OK(lookup_answer_decode(&f, ret));
        return frame_code(&f);
}

/* A round trip: what the node wanted to say before has been said. */
static _unused_ void caller_sync(Caller *c) {
        caller_sent(c, frame_put_empty(conn_output(c->conn), FRAME_PING, 77));
        (void)caller_take(c, FRAME_PONG);
}

/* A user who has registered and stays connected. */
static _unused_ void member_new(Lab *lab, const char *name, User *u, Caller *c) {
        user_new(lab, name, u);
        caller_new(lab, u, c);
        CHECK_EQ(caller_register(c, u), CODE_OK);
}

static _unused_ PresencePush caller_take_presence(Caller *c) {
        PresencePush p;
        Frame f;

        f = caller_take(c, FRAME_PRESENCE);
        CHECK_OK(presence_push_decode(&f, &p));
        return p;
}
