/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/conn.h"

#include <assert.h>
#include <malloc.h>
#include <stdio.h>

#include <utlist.h>

#include "net/connect.h"
#include "util/quota.h"

/* A TLS record, which is also what one read returns at most. */
#define RECORD_SIZE 16384

/* Records read before others get their turn. */
#define RECORDS_AT_ONCE 32

/* Who has sent too much is not read for at least so long. */
#define PAUSE_MIN (20 * USEC_PER_MSEC)

/* When a crowd has gone, its memory goes back to the system. Less than this is no crowd. */
#define CROWD 64
#define CROWD_GONE_TIME USEC_PER_SEC

#define SHUTDOWN_TIME (3 * USEC_PER_SEC)

struct Net {
        Loop *loop;
        uint8_t input[RECORD_SIZE];
        Conn *working; /* whose callbacks run, unless they have freed it */
        Conn *ending; /* those of conn_shutdown() */
        unsigned n_conns, most_conns; /* now, and since memory was given back */
        LoopTimer *trim;
        LoopTimer *finish; /* there after net_finish() */
        void (*finished)(void *userdata);
        void *finished_userdata;
        const Connector *connector;
        void *connector_context;
};

typedef enum ConnState {
        CONN_HANDSHAKE,
        CONN_OPEN,
        CONN_ENDING, /* the owner is gone: flush, then wait for the end of the stream */
        CONN_CLOSED,
} ConnState;

struct Conn {
        Net *net;
        Transport *transport;
        TlsSession *tls;
        ConnState state;
        const ConnCallbacks *callbacks;
        void *userdata;
        Buffer in, out;
        bool was_full, writable, ended;
        bool overflow; /* the peer did not take its output */
        bool paused; /* until `again`: the peer has sent too much */
        Quota frames, bytes;
        LoopDefer *soon;
        LoopTimer *give_up;
        LoopTimer *again; /* there when input was left for later */
        usec_t last_input;
        Conn *prev, *next; /* net->ending */
};

/* Sessions of TLS lie between other things, which keep the C library from giving back anything by
 * itself. */
static void on_trim(void *userdata) {
        Net *n = userdata;

        if (n->n_conns > n->most_conns / 2)
                return;
        n->most_conns = n->n_conns;
        malloc_trim(0);
}

static void net_count(Net *n, int by) {
        n->n_conns += (unsigned)by;
        n->most_conns = MAX(n->most_conns, n->n_conns);
        if (by < 0 && n->most_conns >= CROWD && n->n_conns == n->most_conns / 2)
                loop_timer_set(n->trim, loop_now(n->loop) + CROWD_GONE_TIME);
}

int net_new(Loop *l, Net **ret) {
        Net *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        n->loop = l;
        if (loop_timer_new(l, on_trim, n, &n->trim) < 0) {
                free(n);
                return -ENOMEM;
        }
        *ret = n;
        return 0;
}

Net *net_free(Net *n) {
        Conn *c, *tmp;

        if (!n)
                return NULL;
        DL_FOREACH_SAFE (n->ending, c, tmp)
                conn_free(c);
        loop_timer_free(n->finish);
        loop_timer_free(n->trim);
        explicit_bzero(n->input, sizeof(n->input));
        free(n);
        return NULL;
}

Loop *net_loop(const Net *n) {
        return n->loop;
}

static void on_finish(void *userdata) {
        Net *n = userdata;

        n->finish = loop_timer_free(n->finish);
        n->finished(n->finished_userdata);
}

int net_finish(Net *n, usec_t max, void (*fn)(void *userdata), void *userdata) {
        usec_t now = loop_now(n->loop);
        int r;

        assert(!n->finish);
        r = loop_timer_new(n->loop, on_finish, n, &n->finish);
        if (r < 0)
                return r;
        n->finished = fn;
        n->finished_userdata = userdata;
        loop_timer_set(n->finish, n->ending ? now + max : now);
        return 0;
}

static void net_let_go(Net *n, const Conn *c) {
        if (n->working == c)
                n->working = NULL;
}

static void net_forget_ending(Net *n, Conn *c) {
        DL_DELETE(n->ending, c);
        if (n->finish && !n->ending)
                loop_timer_set(n->finish, loop_now(n->loop));
}

void net_set_connector(Net *n, const Connector *c, void *context) {
        n->connector = c;
        n->connector_context = context;
}

const Connector *net_connector(const Net *n) {
        return n->connector;
}

void *net_connector_context(const Net *n) {
        return n->connector_context;
}

Conn *conn_free(Conn *c) {
        if (!c)
                return NULL;
        net_let_go(c->net, c);
        if (c->state == CONN_ENDING)
                net_forget_ending(c->net, c);
        net_count(c->net, -1);
        tls_session_free(c->tls);
        transport_free(c->transport);
        loop_defer_free(c->soon);
        loop_timer_free(c->give_up);
        loop_timer_free(c->again);
        buffer_done(&c->in);
        buffer_done(&c->out);
        free(c);
        return NULL;
}

/* The owner hears of it once. A connection without owner goes away by itself. */
static void conn_fail(Conn *c, int error, const char *text) {
        char copy[160];

        if (c->state == CONN_ENDING) {
                conn_free(c);
                return;
        }
        if (c->state == CONN_CLOSED)
                return;
        snprintf(copy, sizeof(copy), "%s", text);
        c->state = CONN_CLOSED;
        c->transport->ops->want(c->transport, 0);
        loop_defer_arm(c->soon, false);
        c->callbacks->closed(c->userdata, error, copy);
}

static const char *frame_error_text(int error) {
        switch (error) {
        case -EMSGSIZE:
                return "a frame was larger than its type allows";
        case -EPROTONOSUPPORT:
                return "a frame was of an unknown type";
        case -EBADMSG:
                return "a frame was not in canonical form";
        default:
                return strerror(-error);
        }
}

static void on_again(void *userdata);

static void conn_read_at(Conn *c, usec_t when) {
        if (!c->again && loop_timer_new(c->net->loop, on_again, c, &c->again) < 0)
                conn_fail(c, -ENOMEM, strerror(ENOMEM));
        else
                loop_timer_set(c->again, when);
}

/* Goes on reading when others had their turn. GnuTLS may have read ahead, so the transport need not
 * say anything; and a deferred call would come before all others' input. */
static void conn_read_later(Conn *c) {
        conn_read_at(c, loop_now(c->net->loop));
}

/* False: the peer has sent too much, and what it sends waits. */
static bool conn_admit(Conn *c, size_t size) {
        usec_t now = loop_now(c->net->loop), wait;

        if (quota_take(&c->frames, 1, now) && quota_take(&c->bytes, size, now))
                return true;
        wait = MAX(quota_wait(&c->frames, 1, now), quota_wait(&c->bytes, size, now));
        c->paused = true;
        conn_read_at(c, now + MAX(wait, PAUSE_MIN));
        return false;
}

/* Hands over the frames at P and returns the bytes used, or an error. CONN_CLOSED or a freed
 * connection ends it early, and so does what the peer may send. */
static ssize_t conn_take_frames(Conn *c, const uint8_t *p, size_t n) {
        const Net *net = c->net;
        size_t used = 0;

        while (net->working == c && c->state == CONN_OPEN) {
                size_t size;
                Frame f;
                int r;

                r = frame_scan(p + used, n - used, &size);
                if (r == 0)
                        break;
                if (r > 0)
                        r = frame_open(p + used, size, &f);
                if (r < 0)
                        return r;
                if (!conn_admit(c, size))
                        break;
                used += size;
                r = c->callbacks->frame(c->userdata, &f);
                if (r < 0 && net->working == c)
                        return r;
        }
        return (ssize_t)used;
}

/* Goes on with what is kept. */
static int conn_take_kept(Conn *c) {
        const Net *net = c->net;
        ssize_t used = conn_take_frames(c, buffer_data(&c->in), buffer_size(&c->in));

        if (used < 0)
                return (int)used;
        if (net->working == c)
                buffer_consume(&c->in, (size_t)used);
        return 0;
}

/* Frames are taken from where they were read as long as none is cut; only the rest is kept. */
static int conn_input(Conn *c, const uint8_t *p, size_t n) {
        const Net *net = c->net;
        ssize_t used;
        int r;

        if (buffer_size(&c->in) == 0) {
                used = conn_take_frames(c, p, n);
                if (used < 0)
                        return (int)used;
                return net->working != c ? 0 : buffer_append(&c->in, p + used, n - (size_t)used);
        }
        r = buffer_append(&c->in, p, n);
        return r < 0 ? r : conn_take_kept(c);
}

static void conn_update_events(Conn *c) {
        if (c->state == CONN_HANDSHAKE)
                c->transport->ops->want(c->transport, tls_wanted(c->tls));
        else if (c->state != CONN_CLOSED)
                c->transport->ops->want(c->transport,
                        (c->paused ? 0 : LOOP_READ) |
                                (buffer_size(&c->out) > 0 && !c->writable ? LOOP_WRITE : 0));
}

/* True when reading goes on: R is what became of the last input. */
static bool conn_took(const Net *net, Conn *c, int r) {
        if (net->working != c || c->state == CONN_CLOSED)
                return false;
        if (r < 0)
                conn_fail(c, r, frame_error_text(r));
        return r >= 0 && !c->paused;
}

static void conn_read(Conn *c) {
        Net *net = c->net;

        for (int i = 0; i < RECORDS_AT_ONCE; i++) {
                ssize_t n = tls_read(c->tls, net->input, RECORD_SIZE);

                if (n == -EAGAIN)
                        return;
                if (n <= 0) {
                        conn_fail(c, (int)n,
                                n == 0 ? "closed by the other end" : tls_failure(c->tls));
                        return;
                }
                c->last_input = loop_now(c->net->loop);
                if (c->state == CONN_ENDING)
                        continue;
                if (!conn_took(net, c, conn_input(c, net->input, (size_t)n)))
                        return;
        }
        conn_read_later(c);
}

static void conn_end_if_flushed(Conn *c) {
        if (c->state != CONN_ENDING || buffer_size(&c->out) > 0 || c->ended)
                return;
        c->ended = true;
        tls_bye(c->tls);
        c->transport->ops->end(c->transport);
}

static void conn_write(Conn *c) {
        while (buffer_size(&c->out) > 0) {
                ssize_t n = tls_write(c->tls, buffer_data(&c->out),
                        MIN(buffer_size(&c->out), (size_t)RECORD_SIZE));

                if (n == -EAGAIN) {
                        c->writable = false;
                        return;
                }
                if (n < 0) {
                        conn_fail(c, (int)n, tls_failure(c->tls));
                        return;
                }
                buffer_consume(&c->out, (size_t)n);
        }
        c->writable = true;
        conn_end_if_flushed(c);
}

static void conn_handshake(Conn *c) {
        uint8_t key[KEY_SIZE];
        int r;

        r = tls_handshake(c->tls);
        if (r == -EAGAIN)
                return;
        if (r < 0) {
                conn_fail(c, r, tls_failure(c->tls));
                return;
        }
        r = tls_peer_key(c->tls, key);
        if (r < 0) {
                conn_fail(c, r, "the other end showed no usable Ed25519 key");
                return;
        }
        c->state = CONN_OPEN;
        c->writable = true;
        c->callbacks->open(c->userdata, key);
}

static bool conn_is_usable(const Conn *c) {
        return c->state == CONN_OPEN || c->state == CONN_ENDING;
}

static void conn_say_drained(Conn *c) {
        if (c->state != CONN_OPEN || !c->was_full || buffer_size(&c->out) >= CONN_QUEUE_LOW)
                return;
        c->was_full = false;
        if (c->callbacks->drained)
                c->callbacks->drained(c->userdata);
}

static void conn_work(Conn *c, bool input) {
        Net *n = c->net;

        assert(!n->working);
        n->working = c;
        if (c->overflow)
                conn_fail(c, -ENOBUFS, "the other end does not take what is sent to it");
        if (n->working == c && c->state == CONN_HANDSHAKE)
                conn_handshake(c);
        if (n->working == c && conn_is_usable(c) && input && !c->paused)
                conn_read(c);
        if (n->working == c && conn_is_usable(c))
                conn_write(c);
        if (n->working == c)
                conn_say_drained(c);
        if (n->working != c)
                return;
        n->working = NULL;
        conn_update_events(c);
}

static void on_ready(void *userdata, uint32_t events) {
        conn_work(userdata, true);
}

/* Flushes what the last handler has queued, which is why it comes; once open, reading is left to
 * the transport and on_again(). */
static void on_soon(void *userdata) {
        Conn *c = userdata;

        conn_work(c, c->state != CONN_OPEN);
}

static void on_again(void *userdata) {
        Conn *c = userdata;
        Net *n = c->net;

        if (c->paused) {
                c->paused = false;
                n->working = c;
                if (!conn_took(n, c, conn_take_kept(c)) && n->working != c)
                        return;
                n->working = NULL;
        }
        conn_work(c, true);
}

static void on_give_up(void *userdata) {
        conn_free(userdata);
}

int conn_new(Net *n, Transport *t, TlsIdentity *identity, TlsRole role, const char *alpn,
        const ConnCallbacks *callbacks, void *userdata, Conn **ret) {
        Conn *c = calloc(1, sizeof(*c));
        int r;

        if (!c) {
                transport_free(t);
                return -ENOMEM;
        }
        *c = (Conn){.net = n, .transport = t, .callbacks = callbacks, .userdata = userdata};
        c->last_input = loop_now(n->loop);
        net_count(n, 1);
        r = loop_defer_new(n->loop, LOOP_DEFER_SOON, on_soon, c, &c->soon);
        if (r >= 0)
                r = tls_session_new(identity, role, alpn, t, &c->tls);
        if (r < 0) {
                conn_free(c);
                return r;
        }
        t->ready = on_ready;
        t->userdata = c;
        loop_defer_arm(c->soon, true);
        *ret = c;
        return 0;
}

Conn *conn_shutdown(Conn *c) {
        if (!c)
                return NULL;
        if (c->state != CONN_OPEN || loop_timer_new(c->net->loop, on_give_up, c, &c->give_up) < 0)
                return conn_free(c);
        net_let_go(c->net, c); /* as far as callbacks go, it is freed */
        c->paused = false; /* what still comes is thrown away */
        buffer_done(&c->in);
        c->state = CONN_ENDING;
        DL_APPEND(c->net->ending, c);
        loop_timer_set(c->give_up, loop_now(c->net->loop) + SHUTDOWN_TIME);
        loop_defer_arm(c->soon, true);
        return NULL;
}

void conn_set_limit(Conn *c, const ConnLimit *limit) {
        assert(limit->bytes == 0 || limit->bytes >= FRAME_HEAD_SIZE + FRAME_MESSAGE_MAX);
        c->frames = QUOTA_INIT(limit->frames, limit->interval);
        c->bytes = QUOTA_INIT(limit->bytes, limit->interval);
}

bool conn_charge(Conn *c, uint64_t frames) {
        return quota_take(&c->frames, frames, loop_now(c->net->loop));
}

Buffer *conn_output(Conn *c) {
        return &c->out;
}

void conn_queued(Conn *c) {
        size_t n = buffer_size(&c->out);

        if (n > CONN_QUEUE_FULL)
                c->was_full = true;
        if (n > CONN_QUEUE_MAX)
                c->overflow = true;
        loop_defer_arm(c->soon, c->state != CONN_CLOSED);
}

void conn_keep(Conn *c) {
        if (c->transport->ops->keep)
                c->transport->ops->keep(c->transport);
}

const SockAddr *conn_peer(const Conn *c) {
        return &c->transport->peer;
}

int conn_export(Conn *c, const char *label, uint8_t *ret, size_t n) {
        return c->state == CONN_OPEN ? tls_export(c->tls, label, ret, n) : -ENOTCONN;
}

usec_t conn_last_input(const Conn *c) {
        return c->last_input;
}
