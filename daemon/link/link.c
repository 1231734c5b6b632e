/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "link/private.h"

#include <assert.h>

#include <utlist.h>

#include "net/keepalive.h"

/* How long an open link may take to answer when the other end opens another beside it. */
#define LINK_PROBE_TIME (2 * USEC_PER_SEC)

/* What a stranger may leave here, 500 messages or 8 MiB (store/message.h), may come at once. */
static const ConnLimit stranger_limit = {
        .frames = 2000, .bytes = 12 * 1024 * 1024, .interval = 10 * USEC_PER_SEC};

/* Several times what the fastest machine stores: against loops gone wrong. */
static const ConnLimit contact_limit = {
        .frames = 500 * 1000, .bytes = 256 * 1024 * 1024, .interval = USEC_PER_SEC};

#define REPLACED_TEXT "this account is used on another device now"

typedef enum LinkState {
        LINK_TLS, /* until the handshake is done */
        LINK_HELLO, /* HELLO sent, the other's not here */
        LINK_PROBING, /* waits for an older link to answer or not */
        LINK_ASKED, /* the owner decides */
        LINK_WAITING, /* HELLO_OK sent, the other's not here */
        LINK_OPEN,
} LinkState;

struct LinkPool {
        Net *net;
        const LocalIdentity *self;
        unsigned handshake;
        const LinkCallbacks *callbacks;
        void *userdata;
        Link *links;
        unsigned n_open;
};

struct Link {
        LinkPool *pool;
        Conn *conn;
        LinkState state;
        bool outgoing, has_hello;
        bool peer_ok; /* the other end has sent HELLO_OK */
        bool gave_way; /* to another link of the account */
        bool preferred; /* another one had to give way to it */
        bool holds_hello; /* until the other's is here */
        bool takes_typing, takes_rooms, takes_handover;
        uint8_t account[KEY_SIZE]; /* expected on outgoing links, proven once has_hello is set */
        uint8_t tls_key[KEY_SIZE];
        uint8_t boot_nonce[BOOT_NONCE_SIZE];
        Certificate certificate;
        Buffer hello; /* certificate, then record, as they came */
        size_t certificate_size;
        HelloOk ok; /* the other's, as long as the owner has not decided */
        Buffer kept; /* what it points to */
        uint32_t heartbeat; /* the other's, s */
        Keepalive keepalive;
        Quota pings;
        LoopTimer *timer; /* handshake, probe, then keepalive */
        Link *probed; /* of LINK_PROBING: the open link that was asked */
        usec_t probe_sent;
        void *userdata;
        Link *prev, *next;
};

static Loop *link_loop(const Link *l) {
        return net_loop(l->pool->net);
}

static bool is_own_account(const LinkPool *p, const uint8_t *account) {
        return key_equal(account, sign_key_public(p->self->account));
}

/* Of the own account there are several devices, with a link each; which one is being dialled is not
 * known before it says so. */
static bool link_is_rival(const Link *l, const Link *other) {
        if (other == l || !key_equal(other->account, l->account))
                return false;
        return !is_own_account(l->pool, l->account) ||
                (l->has_hello && other->has_hello &&
                        key_equal(l->certificate.device, other->certificate.device));
}

/* Ends */

static void link_unlink(Link *l) {
        Link *other;

        DL_DELETE(l->pool->links, l);
        if (l->state == LINK_OPEN && !link_is_own(l))
                l->pool->n_open--;
        DL_FOREACH (l->pool->links, other)
                if (other->probed == l) {
                        /* The question has answered itself: the timer looks at once. */
                        other->probed = NULL;
                        loop_timer_set(other->timer, loop_now(link_loop(l)));
                }
}

static Link *link_free(Link *l) {
        if (!l)
                return NULL;
        loop_timer_free(l->timer);
        conn_free(l->conn);
        buffer_done(&l->hello);
        buffer_done(&l->kept);
        free(l);
        return NULL;
}

static void link_say_bye(Link *l, Code code, const char *text, Bytes record) {
        if (l->state >= LINK_HELLO) {
                (void)bye_encode(conn_output(l->conn), code, text, record);
                conn_queued(l->conn);
                l->conn = conn_shutdown(l->conn);
        } else
                l->conn = conn_free(l->conn);
}

static void link_close_with(Link *l, Code code, const char *text, Bytes record) {
        link_unlink(l);
        link_say_bye(l, code, text, record);
        link_free(l);
}

void link_close(Link *l, Code code, const char *text) {
        link_close_with(l, code, text, (Bytes){});
}

void link_replaced(Link *l, Bytes record) {
        link_close_with(l, CODE_REPLACED, REPLACED_TEXT, record);
}

/* The link ends by itself or by a rule of this file: the owner is told, if it has heard of it. */
static void link_lost(Link *l, Code code, const char *text) {
        LinkPool *p = l->pool;

        link_unlink(l);
        l->state = LINK_TLS;
        if (l->outgoing || l->has_hello)
                p->callbacks->closed(p->userdata, l, code, text);
        link_free(l);
}

static void link_end_with(Link *l, Code code, const char *text, Bytes record) {
        LinkPool *p = l->pool;
        LinkState state = l->state;

        link_unlink(l);
        l->state = state == LINK_OPEN ? LINK_WAITING : state;
        link_say_bye(l, code, text, record);
        l->state = LINK_TLS;
        if (l->outgoing || l->has_hello)
                p->callbacks->closed(p->userdata, l, code, text);
        link_free(l);
}

static void link_end(Link *l, Code code, const char *text) {
        link_end_with(l, code, text, (Bytes){});
}

/* Another link of the account stays: nothing is wrong with this one. */
static void link_give_way(Link *l, const char *text) {
        l->gave_way = true;
        link_end(l, CODE_OK, text);
}

void link_abandon(Link *l) {
        link_unlink(l);
        link_free(l);
}

void link_refuse(Link *l, Code code, const char *text) {
        link_close(l, code, text);
}

/* Opening */

/* The larger of both. The own one may change meanwhile: each end takes a PING at any time. */
static usec_t link_interval(const Link *l) {
        return MAX(l->heartbeat, l->pool->self->heartbeat) * USEC_PER_SEC;
}

static void link_start_keepalive(Link *l) {
        usec_t interval = link_interval(l), now = loop_now(link_loop(l));

        keepalive_start(&l->keepalive, interval, loop_jitter(link_loop(l), interval), now);
        loop_timer_set(l->timer, l->keepalive.next);
}

/* The other end may decide first; what it says then waits for the owner here. */
static int link_keep_ok(Link *l, const HelloOk *ok) {
        Bytes *fields[] = {
                &l->ok.deposit_token, &l->ok.presence_key, &l->ok.receipt, &l->ok.presence};
        size_t at = 0;
        int r = 0;

        l->ok = *ok;
        for (size_t i = 0; i < ELEMENTSOF(fields) && r >= 0; i++)
                r = buffer_append(&l->kept, fields[i]->data, fields[i]->size);
        for (size_t i = 0; i < ELEMENTSOF(fields) && r >= 0; i++) {
                fields[i]->data = fields[i]->size > 0 ? buffer_data(&l->kept) + at : NULL;
                at += fields[i]->size;
        }
        return r;
}

static void link_open_if_ready(Link *l) {
        _cleanup_(buffer_done) Buffer kept = BUFFER_NULL;
        LinkPool *p = l->pool;
        HelloOk ok = l->ok;
        Link *older;

        if (l->state != LINK_WAITING || !l->peer_ok)
                return;
        DL_FOREACH (p->links, older)
                if (older->state == LINK_OPEN && link_is_rival(l, older))
                        break;
        if (older)
                link_give_way(older, "superseded by a newer link");
        l->state = LINK_OPEN;
        p->n_open += !link_is_own(l);
        link_start_keepalive(l);
        kept = l->kept;
        l->kept = BUFFER_NULL;
        p->callbacks->open(p->userdata, l, &ok);
}

/* The other end has so long for what it has to say next. */
static void link_await(Link *l) {
        if (l->pool->handshake > 0)
                loop_timer_set(
                        l->timer, loop_now(link_loop(l)) + l->pool->handshake * USEC_PER_SEC);
}

void link_trust(Link *l) {
        conn_set_limit(l->conn, &contact_limit);
        conn_keep(l->conn);
}

void link_confirm(Link *l, const HelloOk *ok) {
        assert(l->state == LINK_ASKED);
        if (hello_ok_encode(conn_output(l->conn), ok) < 0) {
                link_end(l, CODE_STORAGE, "out of memory");
                return;
        }
        conn_queued(l->conn);
        l->state = LINK_WAITING;
        link_await(l);
        link_open_if_ready(l);
}

static void link_ask_owner(Link *l) {
        LinkPool *p = l->pool;
        Greeting g = {};

        l->state = LINK_ASKED;
        g.certificate = l->certificate;
        if (record_decode(link_record_outer(l), &g.record) < 0) {
                link_end(l, CODE_INVALID_ARGS, "the record does not hold");
                return;
        }
        p->callbacks->hello(p->userdata, l, &g, link_record_outer(l));
}

/* The device that opened a link. */
static const uint8_t *link_opener(const Link *l) {
        return l->outgoing ? sign_key_public(l->pool->self->device) : l->certificate.device;
}

static void link_ping(Link *l) {
        (void)frame_put_empty(conn_output(l->conn), FRAME_PING, 0);
        conn_queued(l->conn);
}

static void link_probe(Link *l, Link *older) {
        l->state = LINK_PROBING;
        l->probed = older;
        l->probe_sent = loop_now(link_loop(l));
        link_ping(older);
        loop_timer_set(l->timer, l->probe_sent + LINK_PROBE_TIME);
}

static bool link_is_same_boot(const Link *l, const Link *other) {
        return other->has_hello && memcmp(other->boot_nonce, l->boot_nonce, BOOT_NONCE_SIZE) == 0;
}

/* True when L may go on; false when it is gone or waits. */
static bool link_settle_with(Link *l, Link *other) {
        bool same_boot = link_is_same_boot(l, other);

        /* Two attempts of this end's: the owner, who is asked next, drops the one that has not
         * proved anything. */
        if (!other->has_hello && other->outgoing && l->outgoing)
                return true;
        /* Nothing was heard of the other yet, nor said: if it is only being dialled, it may never
         * come up. */
        if (!other->has_hello && (other->state < LINK_HELLO || other->holds_hello)) {
                link_give_way(other, "superseded by a link from the other end");
                return true;
        }
        /* The owner refuses older devices too, but by then the newer one's link would be gone. */
        if (other->has_hello && other->certificate.epoch > l->certificate.epoch) {
                link_end_with(l, CODE_REPLACED, REPLACED_TEXT, link_record_outer(other));
                return false;
        }
        if (other->has_hello && (!same_boot || other->outgoing == l->outgoing)) {
                link_give_way(other, "superseded by a newer link");
                return true;
        }
        if (other->state == LINK_OPEN) {
                link_probe(l, other);
                return false;
        }
        if (memcmp(link_opener(l), link_opener(other), KEY_SIZE) < 0) {
                link_give_way(other, "the other end's link stays");
                return true;
        }
        /* Who calls again has not gone on with that one: it may be of a program that is gone. */
        if (!other->has_hello && other->preferred) {
                link_give_way(other, "the other end has not answered, and has called again");
                return true;
        }
        other->preferred = true;
        link_give_way(l, "the other link stays");
        return false;
}

/* Another one of the same start is waiting for an answer already: one at a time. */
static bool link_is_second_to_probe(Link *l) {
        Link *other;

        DL_FOREACH (l->pool->links, other)
                if (other->state == LINK_PROBING && link_is_rival(l, other) &&
                        link_is_same_boot(l, other))
                        return true;
        return false;
}

/* Comes to terms with every other link of the account, so that the owner is asked about one. */
static void link_settle(Link *l) {
        Link *other, *tmp;

        if (link_is_second_to_probe(l)) {
                link_give_way(l, "another link is being opened");
                return;
        }
        DL_FOREACH_SAFE (l->pool->links, other, tmp) {
                if (!link_is_rival(l, other))
                        continue;
                if (!other->has_hello && !other->outgoing)
                        continue;
                if (!link_settle_with(l, other))
                        return;
        }
        link_ask_owner(l);
}

Code link_check_hello(const LinkPool *p, const Hello *h, const uint8_t tls_key[static KEY_SIZE],
        const uint8_t *expected, Greeting *ret, const char **ret_text) {
        const uint8_t *self = sign_key_public(p->self->account);
        Code code = greeting_check(
                h, tls_key, self, expected, loop_realtime(net_loop(p->net)), ret, ret_text);

        if (code != CODE_OK || !key_equal(tls_key, sign_key_public(p->self->device)))
                return code;
        *ret_text = "this is the same device";
        return CODE_NOT_ALLOWED;
}

/* The record verified. */
static void link_heard_record(const Link *l, const Record *record, Bytes outer) {
        const LinkPool *p = l->pool;
        bool theirs = (l->outgoing || l->has_hello) && key_equal(l->account, record->account);

        if (p->callbacks->record && (theirs || is_own_account(p, record->account)))
                p->callbacks->record(p->userdata, record, outer);
}

static int link_take_hello(Link *l, Frame *f) {
        LinkPool *p = l->pool;
        const char *text;
        Greeting g;
        Hello h;
        Code code;
        int r;

        r = hello_decode(f, &h);
        if (r < 0)
                return r;
        code = link_check_hello(p, &h, l->tls_key, l->outgoing ? l->account : NULL, &g, &text);
        if (code == CODE_NOT_ALLOWED)
                link_heard_record(l, &g.record, h.record);
        if (code != CODE_OK) {
                link_end(l, code, text);
                return 0;
        }
        r = buffer_append(&l->hello, h.certificate.data, h.certificate.size);
        if (r >= 0)
                r = buffer_append(&l->hello, h.record.data, h.record.size);
        if (r < 0)
                return r;
        l->certificate_size = h.certificate.size;
        memcpy(l->account, g.certificate.account, KEY_SIZE);
        memcpy(l->boot_nonce, h.boot_nonce, BOOT_NONCE_SIZE);
        l->certificate = g.certificate;
        l->heartbeat = h.heartbeat;
        l->takes_typing = hello_has_feature(&h, FEATURE_TYPING);
        l->takes_rooms = hello_has_feature(&h, FEATURE_ROOMS);
        l->takes_handover = hello_has_feature(&h, FEATURE_HANDOVER);
        l->has_hello = true;
        if (l->holds_hello) {
                l->holds_hello = false;
                r = greeting_send(l->conn, p->self, l->account);
                if (r < 0)
                        return r;
        }
        link_settle(l);
        return 0;
}

static int link_take_hello_ok(Link *l, Frame *f) {
        HelloOk ok;
        int r;

        r = hello_ok_decode(f, &ok);
        if (r < 0)
                return r;
        r = link_keep_ok(l, &ok);
        if (r < 0)
                return r;
        l->peer_ok = true;
        link_open_if_ready(l);
        return 0;
}

static int link_take_bye(Link *l, Frame *f) {
        char text[REASON_TEXT_MAX + 1];
        Record record;
        Refusal x;
        int r;

        r = refusal_decode(f, &x);
        if (r < 0)
                return r;
        copy_bytes(text, x.text.data, x.text.size);
        text[x.text.size] = 0;
        if (x.record.size > 0 && record_decode(x.record, &record) >= 0)
                link_heard_record(l, &record, x.record);
        l->gave_way = x.code == CODE_OK && l->state != LINK_OPEN;
        link_lost(l, x.code, text);
        return 0;
}

static int link_take_ping(Link *l, Frame *f) {
        if (frame_decode_empty(f) < 0)
                return -EBADMSG;
        if (!quota_take(&l->pings, 1, loop_now(link_loop(l)))) {
                link_end(l, CODE_RATE_LIMITED, "too many PINGs");
                return 0;
        }
        (void)frame_put_empty(conn_output(l->conn), FRAME_PONG, f->request);
        conn_queued(l->conn);
        return 0;
}

/* Connection callbacks */

static void on_conn_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        Link *l = userdata;

        memcpy(l->tls_key, key, KEY_SIZE);
        l->state = LINK_HELLO;
        if (!l->holds_hello &&
                greeting_send(l->conn, l->pool->self, l->outgoing ? l->account : NULL) < 0)
                link_end(l, CODE_STORAGE, "out of memory");
}

static int on_conn_frame(void *userdata, Frame *f) {
        Link *l = userdata;
        LinkPool *p = l->pool;

        switch (f->type) {
        case FRAME_HELLO:
                return l->state == LINK_HELLO && !l->has_hello ? link_take_hello(l, f) : -EPROTO;
        case FRAME_BYE:
                return link_take_bye(l, f);
        case FRAME_HELLO_OK:
                return l->has_hello && !l->peer_ok ? link_take_hello_ok(l, f) : -EPROTO;
        default:
                break;
        }
        /* To the other end the link is open when it has both HELLO_OK, so this end has them too. */
        if (l->state != LINK_OPEN)
                return -EPROTO;
        if (f->type == FRAME_PING)
                return link_take_ping(l, f);
        if (f->type == FRAME_PONG) {
                keepalive_answered(&l->keepalive);
                return frame_decode_empty(f);
        }
        if (f->type >= FRAME_IGNORABLE && f->type != FRAME_GRANT && f->type != FRAME_ANNOUNCE)
                return 0;
        return p->callbacks->frame(p->userdata, l, f);
}

static void on_conn_drained(void *userdata) {
        Link *l = userdata;

        if (l->state == LINK_OPEN)
                l->pool->callbacks->drained(l->pool->userdata, l);
}

static void on_conn_closed(void *userdata, int error, const char *text) {
        Link *l = userdata;

        link_lost(l, error == -EKEYREJECTED ? CODE_KEY_CHANGED : CODE_OK, text);
}

static const ConnCallbacks conn_callbacks = {
        .open = on_conn_open,
        .frame = on_conn_frame,
        .drained = on_conn_drained,
        .closed = on_conn_closed,
};

static void link_probe_ends(Link *l) {
        Link *older = TAKE_PTR(l->probed);

        if (older && conn_last_input(older->conn) > l->probe_sent) {
                link_give_way(l, "the older link is alive and stays");
                return;
        }
        if (older)
                link_give_way(older, "superseded by a newer link");
        l->state = LINK_HELLO;
        link_settle(l); /* others may have come meanwhile */
}

static void link_keep_alive(Link *l) {
        usec_t interval = link_interval(l), wait = loop_jitter(link_loop(l), interval);

        l->keepalive.interval = interval;
        switch (keepalive_step(
                &l->keepalive, conn_last_input(l->conn), wait, loop_now(link_loop(l)))) {
        case KEEPALIVE_GONE:
                link_end(l, CODE_TIMEOUT,
                        l->keepalive.asked > 0 ? "nothing was heard after this machine woke up"
                                               : "nothing was heard for two and a half heartbeats");
                return;
        case KEEPALIVE_PING:
                link_ping(l);
                break;
        case KEEPALIVE_WAIT:
                break;
        }
        loop_timer_set(l->timer, l->keepalive.next);
}

static void on_link_timer(void *userdata) {
        Link *l = userdata;

        if (l->state == LINK_OPEN)
                link_keep_alive(l);
        else if (l->state == LINK_PROBING)
                link_probe_ends(l);
        else if (l->state != LINK_ASKED)
                link_end(l, CODE_TIMEOUT, "HELLO did not come in time");
}

/* The pool */

int link_pool_new(Net *net, const LocalIdentity *self, unsigned handshake,
        const LinkCallbacks *callbacks, void *userdata, LinkPool **ret) {
        LinkPool *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        *p = (LinkPool){.net = net,
                .self = self,
                .handshake = handshake,
                .callbacks = callbacks,
                .userdata = userdata};
        *ret = p;
        return 0;
}

LinkPool *link_pool_free(LinkPool *p) {
        Link *l, *tmp;

        if (!p)
                return NULL;
        DL_FOREACH_SAFE (p->links, l, tmp) {
                DL_DELETE(p->links, l);
                link_free(l);
        }
        free(p);
        return NULL;
}

void link_pool_bye(LinkPool *p, Code code, const char *text) {
        while (p->links)
                link_close(p->links, code, text);
}

void link_pool_replaced(LinkPool *p, Bytes record) {
        while (p->links)
                link_replaced(p->links, record);
}

void link_pool_set_handshake(LinkPool *p, unsigned handshake) {
        p->handshake = handshake;
}

unsigned link_pool_count_open(const LinkPool *p) {
        return p->n_open;
}

void link_pool_doubt(LinkPool *p) {
        Link *l;

        DL_FOREACH (p->links, l) {
                if (l->state != LINK_OPEN)
                        continue;
                keepalive_ask(&l->keepalive, loop_now(link_loop(l)));
                link_ping(l);
                loop_timer_set(l->timer, l->keepalive.next);
        }
}

Net *link_pool_net(const LinkPool *p) {
        return p->net;
}

const LocalIdentity *link_pool_self(const LinkPool *p) {
        return p->self;
}

static int link_new(LinkPool *p, Transport *t, const uint8_t *account, Link **ret) {
        Link *l = calloc(1, sizeof(*l));
        int r;

        if (!l) {
                transport_free(t);
                return -ENOMEM;
        }
        *l = (Link){.pool = p, .outgoing = account != NULL, .pings = KEEPALIVE_PINGS};
        if (account)
                memcpy(l->account, account, KEY_SIZE);
        r = conn_new(p->net, t, p->self->tls, account ? TLS_CLIENT : TLS_SERVER, LINK_ALPN,
                &conn_callbacks, l, &l->conn);
        if (r >= 0)
                r = loop_timer_new(net_loop(p->net), on_link_timer, l, &l->timer);
        if (r < 0) {
                link_free(l);
                return r;
        }
        conn_set_limit(l->conn, &stranger_limit);
        link_await(l);
        DL_APPEND(p->links, l);
        *ret = l;
        return 0;
}

void link_accept(LinkPool *p, Transport *t) {
        Link *l;

        /* Without memory the caller on the other end sees a connection that closes. */
        (void)link_new(p, t, NULL, &l);
}

int link_dialled(LinkPool *p, Transport *t, const uint8_t account[static KEY_SIZE], Link **ret) {
        return link_new(p, t, account, ret);
}

void link_set_raced(Link *l) {
        l->holds_hello = true;
}

Link *link_find(LinkPool *p, const uint8_t account[static KEY_SIZE]) {
        Link *l;

        /* Only the account's own: the pool is small, and a user has as many links as people to
         * talk to. */
        DL_FOREACH (p->links, l)
                if (l->state == LINK_OPEN && !link_is_own(l) && key_equal(l->account, account))
                        return l;
        return NULL;
}

/* One link */

Buffer *link_output(Link *l) {
        return conn_output(l->conn);
}

void link_queued(Link *l) {
        conn_queued(l->conn);
}

bool link_is_full(Link *l) {
        return conn_is_full(l->conn);
}

bool link_has_room(Link *l, size_t n) {
        return buffer_size(conn_output(l->conn)) + n <= CONN_QUEUE_FULL;
}

bool link_is_open(const Link *l) {
        return l->state == LINK_OPEN;
}

bool link_takes_typing(const Link *l) {
        return l->takes_typing;
}

bool link_takes_rooms(const Link *l) {
        return l->takes_rooms;
}

bool link_takes_handover(const Link *l) {
        return l->takes_handover;
}

bool link_is_own(const Link *l) {
        return l->has_hello && is_own_account(l->pool, l->account);
}

bool link_gave_way(const Link *l) {
        return l->gave_way;
}

bool link_is_outgoing(const Link *l) {
        return l->outgoing;
}

const SockAddr *link_peer(const Link *l) {
        return conn_peer(l->conn);
}

const uint8_t *link_account(const Link *l) {
        return l->account;
}

const Certificate *link_certificate(const Link *l) {
        return &l->certificate;
}

Bytes link_certificate_outer(const Link *l) {
        return (Bytes){.data = buffer_data(&l->hello), .size = l->certificate_size};
}

Bytes link_record_outer(const Link *l) {
        return (Bytes){.data = buffer_data(&l->hello) + l->certificate_size,
                .size = buffer_size(&l->hello) - l->certificate_size};
}

void link_set_userdata(Link *l, void *userdata) {
        l->userdata = userdata;
}

void *link_userdata(const Link *l) {
        return l->userdata;
}
