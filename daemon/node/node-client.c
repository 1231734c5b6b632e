/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The session with a client: its connection, what it may cost, and who answers which request. */

#include "node/node-internal.h"
#include "util/log.h"

static void on_client_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Client *c = userdata;

        memcpy(c->key, key, KEY_SIZE);
}

static void on_client_drained(void *userdata) {
        client_drained(userdata);
        client_rooms_drained(userdata);
}

static void on_client_closed(void *userdata, int error, const char *text) {
        Client *c = userdata;
        char peer[ENDPOINT_SIZE];

        log_debug("%s: session ended: %s", sockaddr_format(conn_peer(c->conn), peer), text);
        client_free(c);
}

static bool is_of_accounts(uint64_t type) {
        return type == FRAME_OPRF || type == FRAME_LOGIN || type == FRAME_ACCOUNT;
}

static void client_request(Client *c, Frame *f) {
        if (f->request == 0) {
                client_bye(c, CODE_INVALID_ARGS, "a request came without an id", (Bytes){});
                return;
        }
        if (!c->node->accounts && is_of_accounts(f->type)) {
                client_error(
                        c, f->request, CODE_NOT_SUPPORTED, "this tracker keeps no passwords", 0);
                return;
        }
        switch (f->type) {
        case FRAME_REGISTER:
                client_register(c, f);
                return;
        case FRAME_PUBLISH:
                client_publish(c, f);
                return;
        case FRAME_LOOKUP:
                client_lookup(c, f);
                return;
        case FRAME_LIST_PEERS:
                client_list(c, f);
                return;
        case FRAME_WATCH:
                client_watch(c, f);
                return;
        case FRAME_DEPOSIT:
                client_deposit(c, f);
                return;
        case FRAME_COLLECT:
                client_collect(c, f);
                return;
        case FRAME_COLLECTED:
                client_collected(c, f);
                return;
        case FRAME_MAIL_STATUS:
                client_mail_status(c, f);
                return;
        case FRAME_WITHDRAW:
                client_withdraw(c, f);
                return;
        case FRAME_OPRF:
                client_oprf(c, f);
                return;
        case FRAME_LOGIN:
                client_login(c, f);
                return;
        case FRAME_ACCOUNT:
                client_account(c, f);
                return;
        case FRAME_ROOM_PUBLISH:
                client_room_publish(c, f);
                return;
        case FRAME_ROOM_LOOKUP:
                client_room_lookup(c, f);
                return;
        case FRAME_ROOM_LIST:
                client_room_list(c, f);
                return;
        default:
                client_error(c, f->request, CODE_NOT_SUPPORTED,
                        "this tracker does not have that feature yet", 0);
        }
}

static void client_ping(Client *c, Frame *f) {
        if (frame_decode_empty(f) < 0)
                client_malformed(c);
        else if (f->type == FRAME_PING && !quota_take(&c->pings, 1, loop_now(c->node->loop)))
                client_bye(c, CODE_RATE_LIMITED, "too many PINGs", (Bytes){});
        else if (f->type == FRAME_PING)
                client_queued(c, frame_put_empty(conn_output(c->conn), FRAME_PONG, f->request));
}

static void client_frame(Client *c, Frame *f) {
        switch (f->type) {
        case FRAME_PING:
        case FRAME_PONG:
                client_ping(c, f);
                return;
        case FRAME_BYE:
                c->conn = conn_shutdown(c->conn);
                client_free(c);
                return;
        case FRAME_REGISTER ... FRAME_ACCOUNT:
                client_request(c, f);
                return;
        default:
                client_bye(c, CODE_INVALID_ARGS, "this frame has no place in a tracker session",
                        (Bytes){});
        }
}

static int on_client_frame(void *userdata, Frame *f) {
        Client *c = userdata;

        if (f->type >= FRAME_IGNORABLE)
                return 0;
        else if (c->state == CLIENT_CONNECTED && f->type == FRAME_HELLO)
                client_hello(c, f);
        else if (c->state == CLIENT_OPEN)
                client_frame(c, f);
        else
                client_bye(c, CODE_INVALID_ARGS,
                        "a session begins with HELLO, and all else comes after HELLO_OK",
                        (Bytes){});
        return 0; /* the session may be gone */
}

static const ConnCallbacks client_callbacks = {
        .open = on_client_open,
        .frame = on_client_frame,
        .drained = on_client_drained,
        .closed = on_client_closed,
};

/* The larger of both. The own one may change meanwhile: each end takes a PING at any time. */
static usec_t client_interval(const Client *c) {
        return MAX(c->node->limits->heartbeat, c->heartbeat) * USEC_PER_SEC;
}

static usec_t client_wait(Client *c) {
        c->keepalive.interval = client_interval(c);
        return loop_jitter(c->node->loop, c->keepalive.interval);
}

static void on_client_timer(void *userdata) {
        Client *c = userdata;

        if (c->state != CLIENT_OPEN) {
                client_bye(c, CODE_TIMEOUT, "no HELLO came in time", (Bytes){});
                return;
        }
        switch (keepalive_step(
                &c->keepalive, conn_last_input(c->conn), client_wait(c), loop_now(c->node->loop))) {
        case KEEPALIVE_PING:
                client_queued(c, frame_put_empty(conn_output(c->conn), FRAME_PING, 0));
                break;
        case KEEPALIVE_GONE:
                client_free(c);
                return;
        case KEEPALIVE_WAIT:
                break;
        }
        loop_timer_set(c->timer, c->keepalive.next);
}

/* Without memory there is no session, and nobody to be told. */
void client_new(Node *n, Transport *t) {
        static const ConnLimit limit = {
                .frames = CLIENT_FRAMES, .bytes = CLIENT_BYTES, .interval = CLIENT_QUOTA_INTERVAL};
        Client *c = calloc(1, sizeof(*c));

        if (!c || loop_timer_new(n->loop, on_client_timer, c, &c->timer) < 0) {
                transport_free(t);
                free(c);
                return;
        }
        c->node = n;
        c->pings = KEEPALIVE_PINGS;
        c->tokens = QUOTA_INIT(CLIENT_TOKENS, CLIENT_TOKENS_INTERVAL);
        DL_APPEND(n->clients, c);
        if (conn_new(n->net, t, n->tls, TLS_SERVER, NODE_ALPN, &client_callbacks, c, &c->conn) <
                0) {
                client_free(c);
                return;
        }
        conn_set_limit(c->conn, &limit);
        if (n->limits->handshake > 0)
                loop_timer_set(c->timer, loop_now(n->loop) + n->limits->handshake * USEC_PER_SEC);
}

Client *client_free(Client *c) {
        Node *n = c->node;

        while (c->requests)
                client_request_free(c->requests);
        client_unwatch(c);
        client_leave_rooms(c);
        client_forget_mail(c);
        if (c->person && c->person->client == c) {
                person_offline(c->person);
                c->person->client = NULL;
        }
        if (c->person)
                person_unref(c->person);
        if (c->state == CLIENT_OPEN)
                n->stats.sessions--;
        n->store->ops->forget(n->store, c);
        DL_DELETE(n->clients, c);
        conn_free(c->conn);
        loop_timer_free(c->timer);
        free(c->record);
        free(c->login);
        free(c);
        return NULL;
}

void client_bye(Client *c, Code code, const char *text, Bytes record) {
        char peer[ENDPOINT_SIZE];

        log_debug("%s: session refused: %s: %s", sockaddr_format(conn_peer(c->conn), peer),
                code_name(code), text);
        if (bye_encode(conn_output(c->conn), code, text, record) >= 0)
                conn_queued(c->conn);
        c->conn = conn_shutdown(c->conn);
        client_free(c);
}

static void log_opened(const Client *c) {
        char peer[ENDPOINT_SIZE], account[BASE32_KEY_SIZE + 1] = "nobody in particular";

        if (c->person)
                base32_encode_key(c->person->key, account);
        log_debug("%s: session of %s", sockaddr_format(conn_peer(c->conn), peer), account);
}

void client_opened(Client *c) {
        usec_t now = loop_now(c->node->loop);
        usec_t interval = client_interval(c);

        c->state = CLIENT_OPEN;
        c->node->stats.sessions++;
        keepalive_start(&c->keepalive, interval, loop_jitter(c->node->loop, interval), now);
        loop_timer_set(c->timer, c->keepalive.next);
        log_opened(c);
}

/* A frame that could not be encoded was not queued: there is no memory, or it is an answer that
 * does not fit, and then the request gets none. Other sessions are not concerned. */
void client_queued(Client *c, int r) {
        if (r >= 0)
                conn_queued(c->conn);
        else
                log_debug("a frame could not be made: %s", strerror(-r));
}

void client_drop_record(Client *c) {
        c->record = mfree(c->record);
        c->record_size = 0;
}

void client_ok(Client *c, uint64_t id) {
        if (id != 0)
                client_queued(c, frame_put_empty(conn_output(c->conn), FRAME_OK, id));
}

void client_error(Client *c, uint64_t id, Code code, const char *text, uint64_t retry_after) {
        if (id != 0)
                client_queued(c, error_encode(conn_output(c->conn), id, code, text, retry_after));
}

void client_malformed(Client *c) {
        client_bye(c, CODE_INVALID_ARGS, "a frame did not hold what its type demands", (Bytes){});
}

/* Requests */

void *client_request_new(Client *c, uint64_t id, size_t size) {
        ClientRequest *rq;

        if (c->n_requests >= CLIENT_REQUESTS_MAX) {
                client_error(c, id, CODE_TOO_MANY, "too many requests are open", 1);
                return NULL;
        }
        rq = calloc(1, size);
        if (!rq) {
                client_error(c, id, CODE_STORAGE, "the tracker is out of memory", 1);
                return NULL;
        }
        rq->client = c;
        rq->id = id;
        DL_APPEND(c->requests, rq);
        c->n_requests++;
        return rq;
}

void client_request_free(ClientRequest *rq) {
        Client *c = rq->client;

        c->node->store->ops->forget(c->node->store, rq);
        DL_DELETE(c->requests, rq);
        c->n_requests--;
        if (rq->clear)
                rq->clear(rq);
        free(rq);
}

void client_request_ok(ClientRequest *rq) {
        client_ok(rq->client, rq->id);
        client_request_free(rq);
}

void client_request_error(ClientRequest *rq, Code code, const char *text, uint64_t retry_after) {
        client_error(rq->client, rq->id, code, text, retry_after);
        client_request_free(rq);
}
