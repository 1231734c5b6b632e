/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "session/session.h"

#include <stdio.h>

#include <utlist.h>

#include "net/connect.h"
#include "net/keepalive.h"
#include "util/backoff.h"

#define SESSION_ALPN "p2pchat-tracker/1"
#define CONNECT_TIME (10 * USEC_PER_SEC)
#define RETRY_FIRST (500 * USEC_PER_MSEC)
#define RETRY_LAST (30 * USEC_PER_SEC)

/* When a tracker restarts, all its clients notice at once: they spread over this. */
#define RETURN_SPREAD (3 * USEC_PER_SEC)

/* A session that lasted less does not count as success: the back-off goes on. */
#define LASTING (30 * USEC_PER_SEC)

typedef struct Request {
        uint64_t id;
        usec_t deadline;
        SessionAnswerFn fn;
        void *userdata;
        struct Request *prev, *next;
} Request;

typedef enum Phase {
        PHASE_WAITING, /* for the next attempt */
        PHASE_DIALLING, /* or about to, at the next turn of the loop */
        PHASE_TLS,
        PHASE_HELLO,
        PHASE_READY,
} Phase;

struct Session {
        Net *net;
        EndpointKey tracker;
        const LocalIdentity *self;
        const SessionCallbacks *callbacks;
        void *userdata;
        SessionState state;
        Phase phase;
        char error[SESSION_ERROR_SIZE];
        Connect *connect;
        Conn *conn;
        bool has_hello;
        bool nameless; /* HELLO was sent without a certificate */
        bool deleted; /* as the tracker said when it refused the account */
        bool renamed; /* and there is one now: made anew at the next turn of the loop */
        uint16_t features[HELLO_FEATURES_MAX]; /* of HELLO */
        size_t n_features;
        LoopTimer *timer; /* next attempt, hand-shake, keepalive: by phase */
        LoopTimer *request_timer;
        Backoff backoff;
        Keepalive keepalive;
        unsigned offered; /* the tracker's heartbeat, s */
        usec_t ready_since;
        Request *requests; /* in the order of their deadlines */
        Request *newest; /* while it is being written */
        unsigned n_requests;
        uint64_t last_id;
        usec_t retry_after; /* as the answer that is being given has it */
        bool *freed; /* set while callbacks run */
};

static Loop *session_loop(const Session *s) {
        return net_loop(s->net);
}

static void session_connect(Session *s);

/* False when the callback has freed the session. */
static bool session_set_state(Session *s, SessionState state, const char *error) {
        bool freed = false, *outer = s->freed;

        s->state = state;
        snprintf(s->error, sizeof(s->error), "%s", error);
        s->freed = &freed;
        s->callbacks->state(s->userdata, s);
        if (freed) {
                if (outer)
                        *outer = true;
                return false;
        }
        s->freed = outer;
        return true;
}

static void request_free(Session *s, Request *q) {
        DL_DELETE(s->requests, q);
        s->n_requests--;
        free(q);
}

static bool request_answer(Session *s, Request *q, Code code, const char *text, Frame *ok) {
        SessionAnswerFn fn = q->fn;
        void *userdata = q->userdata;
        bool freed = false, *outer = s->freed;

        request_free(s, q);
        if (!fn)
                return true;
        s->freed = &freed;
        fn(userdata, code, text, ok);
        if (freed) {
                if (outer)
                        *outer = true;
                return false;
        }
        s->freed = outer;
        return true;
}

static bool requests_fail(Session *s) {
        while (s->requests)
                if (!request_answer(s, s->requests, CODE_TRACKER_UNREACHABLE,
                            "the connection to the tracker was lost", NULL))
                        return false;
        return true;
}

/* There is no connection and no attempt; whoever waits for an answer is told. */
static void session_end(Session *s, SessionState state, const char *error) {
        s->has_hello = s->nameless = s->renamed = false;
        loop_timer_set(s->request_timer, USEC_INFINITY);
        if (requests_fail(s))
                (void)session_set_state(s, state, error);
}

/* The attempt or the connection is over: tell why, try again later. */
static void session_lose(Session *s, SessionState state, const char *error) {
        usec_t now = loop_now(session_loop(s)), wait;

        if (s->phase == PHASE_READY && now - s->ready_since >= LASTING)
                backoff_reset(&s->backoff);
        wait = backoff_next(&s->backoff, session_loop(s));
        if (s->phase == PHASE_READY)
                wait += loop_random_below(session_loop(s), RETURN_SPREAD);
        s->connect = connect_free(s->connect);
        s->conn = conn_free(s->conn);
        s->phase = PHASE_WAITING;
        loop_timer_set(s->timer, now + wait);
        session_end(s, state, error);
}

/* Nothing is wrong with the tracker: at once. */
static void session_begin_anew(Session *s) {
        s->conn = conn_shutdown(s->conn);
        s->phase = PHASE_DIALLING;
        loop_timer_set(s->timer, loop_now(session_loop(s)));
        session_end(s, SESSION_CONNECTING, "");
}

/* Requests */

static void request_arm_timer(Session *s) {
        loop_timer_set(s->request_timer, s->requests ? s->requests->deadline : USEC_INFINITY);
}

static void on_request_timer(void *userdata) {
        Session *s = userdata;

        while (s->requests && s->requests->deadline <= loop_now(session_loop(s)))
                if (!request_answer(s, s->requests, CODE_TIMEOUT,
                            "the tracker did not answer in time", NULL))
                        return;
        request_arm_timer(s);
}

/* At its place: most have the same time, and go to the end. */
static void request_add(Session *s, Request *q) {
        Request *before = s->requests;

        while (before && before->deadline <= q->deadline)
                before = before->next;
        DL_PREPEND_ELEM(s->requests, before, q);
        s->n_requests++;
        s->newest = q;
}

static int request_new_within(
        Session *s, usec_t time, SessionAnswerFn fn, void *userdata, uint64_t *ret_id) {
        Request *q;

        if (s->phase != PHASE_READY)
                return -ENOTCONN;
        if (s->n_requests >= SESSION_REQUESTS_MAX)
                return -EBUSY;
        q = malloc(sizeof(*q));
        if (!q)
                return -ENOMEM;
        *q = (Request){.id = ++s->last_id,
                .deadline = loop_now(session_loop(s)) + time,
                .fn = fn,
                .userdata = userdata};
        request_add(s, q);
        request_arm_timer(s);
        *ret_id = q->id;
        return 0;
}

static int request_new(Session *s, SessionAnswerFn fn, void *userdata, uint64_t *ret_id) {
        return request_new_within(s, SESSION_REQUEST_TIME, fn, userdata, ret_id);
}

/* R is what the encoder said. A request that was not written is not open. */
static int request_send(Session *s, int r) {
        if (r < 0)
                request_free(s, s->newest);
        else
                conn_queued(s->conn);
        return r;
}

int session_register(Session *s, Bytes record, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0
                ? r
                : request_send(
                          s, record_frame_encode(conn_output(s->conn), FRAME_REGISTER, id, record));
}

int session_publish(Session *s, const Publish *p, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, publish_encode(conn_output(s->conn), id, p));
}

int session_lookup(Session *s, const Lookup *l, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, lookup_encode(conn_output(s->conn), id, l));
}

int session_list_peers(Session *s, const ListPeers *l, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, list_peers_encode(conn_output(s->conn), id, l));
}

bool session_has_feature(const Session *s, uint16_t feature) {
        for (size_t i = 0; i < s->n_features; i++)
                if (s->features[i] == feature)
                        return true;
        return false;
}

bool session_is_deleted(const Session *s) {
        return s->deleted;
}

int session_export(Session *s, const char *label, uint8_t *ret, size_t n) {
        return s->phase == PHASE_READY ? conn_export(s->conn, label, ret, n) : -ENOTCONN;
}

int session_watch(Session *s, const Watch *w, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, watch_encode(conn_output(s->conn), id, w));
}

int session_deposit(Session *s, const Deposit *d, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new_within(s, SESSION_MAIL_TIME, fn, userdata, &id);

        return r < 0 ? r : request_send(s, deposit_encode(conn_output(s->conn), id, d));
}

int session_collect(Session *s, const Collect *c, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new_within(s, SESSION_MAIL_TIME, fn, userdata, &id);

        return r < 0 ? r : request_send(s, collect_encode(conn_output(s->conn), id, c));
}

int session_collected(Session *s, const Collected *c, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, collected_encode(conn_output(s->conn), id, c));
}

int session_mail_status(Session *s, const MailStatus *m, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, mail_status_encode(conn_output(s->conn), id, m));
}

int session_withdraw(Session *s, const Withdraw *w, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, withdraw_encode(conn_output(s->conn), id, w));
}

int session_oprf(Session *s, const OprfRequest *o, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, oprf_request_encode(conn_output(s->conn), id, o));
}

int session_login(Session *s, const SignKey *login, const OprfRequest *asked, SessionAnswerFn fn,
        void *userdata) {
        uint8_t exporter[LOGIN_EXPORTER_SIZE], signature[SIGNATURE_SIZE];
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        if (r < 0)
                return r;
        r = conn_export(s->conn, LOGIN_EXPORTER_LABEL, exporter, sizeof(exporter));
        if (r >= 0)
                r = login_sign(login, exporter, s->tracker.key, asked, signature);
        if (r >= 0)
                r = login_encode(conn_output(s->conn), id, signature);
        explicit_bzero(exporter, sizeof(exporter));
        return request_send(s, r);
}

int session_set_password(Session *s, Bytes statement, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, account_encode(conn_output(s->conn), id, statement));
}

int session_room_publish(Session *s, const RoomPublish *p, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, room_publish_encode(conn_output(s->conn), id, p));
}

int session_room_lookup(Session *s, const RoomLookup *l, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, room_lookup_encode(conn_output(s->conn), id, l));
}

int session_room_list(Session *s, const RoomList *l, SessionAnswerFn fn, void *userdata) {
        uint64_t id;
        int r = request_new(s, fn, userdata, &id);

        return r < 0 ? r : request_send(s, room_list_encode(conn_output(s->conn), id, l));
}

void session_forget(Session *s, void *userdata) {
        Request *q;

        DL_FOREACH (s->requests, q)
                if (q->userdata == userdata)
                        q->fn = NULL;
}

/* What comes in */

/* The tracker's words, which go to the user, the journal and the service manager. */
static const char *refusal_text(const Refusal *x, char buf[static SESSION_ERROR_SIZE]) {
        snprintf(buf, SESSION_ERROR_SIZE, "%.*s",
                (int)MIN(x->text.size, (size_t)SESSION_ERROR_SIZE - 1),
                x->text.size > 0 ? (const char *)x->text.data : "");
        return text_clean(buf);
}

static int take_answer(Session *s, Frame *f) {
        char text[SESSION_ERROR_SIZE];
        Request *q;
        Refusal x;
        int r;

        DL_FOREACH (s->requests, q)
                if (q->id == f->request)
                        break;
        if (!q)
                return 0; /* its time was over */
        if (f->type == FRAME_OK) {
                if (request_answer(s, q, CODE_OK, "", f))
                        request_arm_timer(s);
                return 0;
        }
        r = refusal_decode(f, &x);
        if (r < 0)
                return r;
        s->retry_after = x.retry_after * USEC_PER_SEC;
        if (!request_answer(s, q, x.code, refusal_text(&x, text), NULL))
                return 0;
        s->retry_after = 0;
        request_arm_timer(s);
        return 0;
}

/* The larger of both. The own one may change meanwhile: each end takes a PING at any time. */
static usec_t session_interval(const Session *s) {
        return MAX(s->offered, s->self->heartbeat) * USEC_PER_SEC;
}

static void session_ready(Session *s) {
        usec_t now = loop_now(session_loop(s)), interval = session_interval(s);

        s->phase = PHASE_READY;
        s->deleted = false;
        keepalive_start(&s->keepalive, interval, loop_jitter(session_loop(s), interval), now);
        loop_timer_set(s->timer, s->renamed ? now : s->keepalive.next);
        s->ready_since = now;
}

static int take_hello(Session *s, Frame *f) {
        Hello h;
        int r;

        if (s->phase != PHASE_HELLO || s->has_hello)
                return -EPROTO;
        r = hello_decode(f, &h);
        if (r < 0)
                return r;
        if (!hello_has_version(&h, PROTOCOL_VERSION)) {
                session_lose(
                        s, SESSION_REFUSED, "the tracker speaks no protocol version in common");
                return 0;
        }
        s->has_hello = true;
        s->offered = h.heartbeat;
        s->n_features = h.n_features;
        memcpy(s->features, h.features, sizeof(s->features));
        return 0;
}

static int take_hello_ok(Session *s, Frame *f) {
        HelloOk ok;
        int r;

        if (s->phase != PHASE_HELLO || !s->has_hello)
                return -EPROTO;
        r = hello_ok_decode(f, &ok);
        if (r < 0)
                return r;
        session_ready(s);
        (void)session_set_state(s, SESSION_CONNECTED, "");
        return 0;
}

static int take_bye(Session *s, Frame *f) {
        char text[SESSION_ERROR_SIZE];
        bool freed = false, *outer = s->freed;
        Refusal x;
        int r;

        r = refusal_decode(f, &x);
        if (r < 0)
                return r;
        if (x.code == CODE_REPLACED && x.record.size > 0) {
                s->freed = &freed;
                s->callbacks->replaced(s->userdata, s, x.record);
                if (freed) {
                        if (outer)
                                *outer = true;
                        return 0;
                }
                s->freed = outer;
        }
        s->deleted = x.code == CODE_NOT_ALLOWED;
        session_lose(s, SESSION_REFUSED, refusal_text(&x, text));
        return 0;
}

static int take_room_update(Session *s, Frame *f) {
        RoomUpdate u;
        int r;

        if (s->phase != PHASE_READY)
                return -EPROTO;
        r = room_update_decode(f, &u);
        if (r >= 0 && s->callbacks->room_update)
                s->callbacks->room_update(s->userdata, s, &u);
        return r;
}

static int take_push(Session *s, Frame *f) {
        PresencePush p;
        uint64_t items;
        Bytes record;
        int r;

        if (s->phase != PHASE_READY)
                return -EPROTO;
        if (f->type == FRAME_MAIL_WAITING) {
                r = mail_waiting_decode(f, &items);
                if (r >= 0 && items > 0 && s->callbacks->mail_waiting)
                        s->callbacks->mail_waiting(s->userdata, s);
                return r;
        }
        if (f->type == FRAME_PRESENCE) {
                r = presence_push_decode(f, &p);
                if (r >= 0)
                        s->callbacks->presence(s->userdata, s, &p);
                return r;
        }
        r = record_frame_decode(f, &record);
        if (r >= 0 && f->type == FRAME_RECORD)
                s->callbacks->record(s->userdata, s, record);
        else if (r >= 0)
                s->callbacks->replaced(s->userdata, s, record);
        return r;
}

static int on_frame(void *userdata, Frame *f) {
        Session *s = userdata;

        switch (f->type) {
        case FRAME_HELLO:
                return take_hello(s, f);
        case FRAME_HELLO_OK:
                return take_hello_ok(s, f);
        case FRAME_BYE:
                return take_bye(s, f);
        case FRAME_OK:
        case FRAME_ERROR:
                return take_answer(s, f);
        case FRAME_PING:
                if (frame_decode_empty(f) < 0)
                        return -EBADMSG;
                (void)frame_put_empty(conn_output(s->conn), FRAME_PONG, f->request);
                conn_queued(s->conn);
                return 0;
        case FRAME_PONG:
                keepalive_answered(&s->keepalive);
                return frame_decode_empty(f);
        case FRAME_PRESENCE:
        case FRAME_RECORD:
        case FRAME_MAIL_WAITING:
        case FRAME_SESSION_REPLACED:
                return take_push(s, f);
        case FRAME_ROOM_UPDATE:
                return take_room_update(s, f);
        default:
                return f->type >= FRAME_IGNORABLE ? 0 : -EPROTO;
        }
}

/* Connecting */

static void on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Session *s = userdata;

        if (!key_equal(key, s->tracker.key)) {
                session_lose(s, SESSION_REFUSED,
                        "another key answers at this address: compare the key in the tracker's "
                        "address with what p2pchat-tracker --print-address says");
                return;
        }
        s->phase = PHASE_HELLO;
        s->nameless = s->self->certificate.size == 0;
        if (greeting_send(s->conn, s->self, NULL) < 0)
                session_lose(s, SESSION_UNREACHABLE, "out of memory");
}

static void on_closed(void *userdata, int error, const char *text) {
        Session *s = userdata;

        session_lose(s, SESSION_UNREACHABLE, text);
}

static const ConnCallbacks conn_callbacks = {
        .open = on_open,
        .frame = on_frame,
        .closed = on_closed,
};

static void on_connected(void *userdata, int error, Transport *t) {
        Session *s = userdata;
        char text[SESSION_ERROR_SIZE];
        int r = error;

        s->connect = connect_free(s->connect);
        if (r >= 0)
                r = conn_new(s->net, t, s->self->tls, TLS_CLIENT, SESSION_ALPN, &conn_callbacks, s,
                        &s->conn);
        if (r < 0) {
                if (r == -EHOSTUNREACH)
                        snprintf(text, sizeof(text),
                                "the name does not resolve, or there is no route");
                else
                        snprintf(text, sizeof(text), "connecting failed: %s", strerror(-r));
                session_lose(s, SESSION_UNREACHABLE, text);
                return;
        }
        s->phase = PHASE_TLS;
}

static void session_connect(Session *s) {
        DialTarget to = {.host = s->tracker.host,
                .port = s->tracker.port,
                .lane = LOOP_WORK_OWN,
                .timeout = CONNECT_TIME};
        int r;

        s->phase = PHASE_DIALLING;
        loop_timer_set(s->timer, loop_now(session_loop(s)) + CONNECT_TIME);
        r = connect_new(s->net, &to, on_connected, s, &s->connect);
        if (r < 0)
                session_lose(s, SESSION_UNREACHABLE, strerror(-r));
}

static void session_ping(Session *s) {
        (void)frame_put_empty(conn_output(s->conn), FRAME_PING, 0);
        conn_queued(s->conn);
}

static void session_keep_alive(Session *s) {
        usec_t interval = session_interval(s), now = loop_now(session_loop(s));
        usec_t wait = loop_jitter(session_loop(s), interval);

        s->keepalive.interval = interval;
        switch (keepalive_step(&s->keepalive, conn_last_input(s->conn), wait, now)) {
        case KEEPALIVE_GONE:
                session_lose(s, SESSION_UNREACHABLE,
                        s->keepalive.asked > 0 ? "nothing was heard after this machine woke up"
                                               : "nothing was heard for two and a half heartbeats");
                return;
        case KEEPALIVE_PING:
                session_ping(s);
                break;
        case KEEPALIVE_WAIT:
                break;
        }
        loop_timer_set(s->timer, s->keepalive.next);
}

static void on_timer(void *userdata) {
        Session *s = userdata;

        if (s->phase == PHASE_WAITING || (s->phase == PHASE_DIALLING && !s->connect))
                session_connect(s);
        else if (s->renamed)
                session_begin_anew(s);
        else if (s->phase == PHASE_READY)
                session_keep_alive(s);
        else
                session_lose(s, SESSION_UNREACHABLE, "the tracker did not answer in time");
}

void session_wake(Session *s) {
        if (s->phase != PHASE_WAITING)
                return;
        backoff_reset(&s->backoff);
        s->phase = PHASE_DIALLING; /* so that it counts as trying from now on */
        loop_timer_set(s->timer, loop_now(session_loop(s)));
}

void session_doubt(Session *s) {
        session_wake(s);
        if (s->phase != PHASE_READY)
                return;
        keepalive_ask(&s->keepalive, loop_now(session_loop(s)));
        session_ping(s);
        loop_timer_set(s->timer, s->keepalive.next);
}

bool session_introduce(Session *s) {
        if (!s->nameless || s->self->certificate.size == 0)
                return false;
        s->renamed = true;
        loop_timer_set(s->timer, loop_now(session_loop(s)));
        return true;
}

bool session_is_trying(const Session *s) {
        return s->phase != PHASE_WAITING && s->phase != PHASE_READY;
}

int session_new(Net *net, const EndpointKey *tracker, const LocalIdentity *self,
        const SessionCallbacks *callbacks, void *userdata, Session **ret) {
        Session *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (Session){.net = net,
                .tracker = *tracker,
                .self = self,
                .callbacks = callbacks,
                .userdata = userdata,
                .phase = PHASE_DIALLING,
                .backoff = BACKOFF_INIT(RETRY_FIRST, RETRY_LAST)};
        r = loop_timer_new(net_loop(net), on_timer, s, &s->timer);
        if (r >= 0)
                r = loop_timer_new(net_loop(net), on_request_timer, s, &s->request_timer);
        if (r < 0) {
                session_free(s);
                return r;
        }
        loop_timer_set(s->timer, loop_now(net_loop(net)));
        *ret = s;
        return 0;
}

void session_fail_requests(Session *s) {
        (void)requests_fail(s);
}

Session *session_free(Session *s) {
        Request *q, *tmp;

        if (!s)
                return NULL;
        if (s->freed)
                *s->freed = true;
        DL_FOREACH_SAFE (s->requests, q, tmp)
                request_free(s, q);
        connect_free(s->connect);
        conn_shutdown(s->conn);
        loop_timer_free(s->timer);
        loop_timer_free(s->request_timer);
        free(s);
        return NULL;
}

void *session_userdata(const Session *s) {
        return s->userdata;
}

SessionState session_state(const Session *s) {
        return s->state;
}

const char *session_state_name(const Session *s) {
        static const char *const names[] = {
                [SESSION_CONNECTING] = "connecting",
                [SESSION_CONNECTED] = "connected",
                [SESSION_UNREACHABLE] = "unreachable",
                [SESSION_REFUSED] = "refused",
        };

        return names[s->state];
}

usec_t session_retry_after(const Session *s) {
        return s->retry_after;
}

const char *session_error(const Session *s) {
        return s->error;
}
