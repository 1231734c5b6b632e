/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "link/private.h"

#include "net/connect.h"

struct LinkPeek {
        LinkPool *pool;
        uint8_t account[KEY_SIZE], tls_key[KEY_SIZE];
        Connect *connect; /* until it is connected */
        Conn *conn; /* then */
        LoopTimer *timer;
        LinkPeekFn fn;
        void *userdata;
};

LinkPeek *link_peek_free(LinkPeek *p) {
        if (!p)
                return NULL;
        connect_free(p->connect);
        conn_free(p->conn);
        loop_timer_free(p->timer);
        free(p);
        return NULL;
}

static void on_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        LinkPeek *p = userdata;

        memcpy(p->tls_key, key, KEY_SIZE);
}

static int on_frame(void *userdata, Frame *f) {
        LinkPeek *p = userdata;
        const char *text;
        Greeting g;
        Hello h;
        Code code;

        if (f->type != FRAME_HELLO || hello_decode(f, &h) < 0) {
                p->fn(p->userdata, -EBADMSG, NULL);
                return 0;
        }
        code = link_check_hello(p->pool, &h, p->tls_key, p->account, &g, &text);
        if (code == CODE_OK)
                p->fn(p->userdata, 0, &g);
        else
                p->fn(p->userdata, code == CODE_KEY_CHANGED ? -EKEYREJECTED : -EBADMSG, NULL);
        return 0;
}

static void on_closed(void *userdata, int error, const char *text) {
        LinkPeek *p = userdata;

        p->fn(p->userdata, error < 0 ? error : -ECONNRESET, NULL);
}

static const ConnCallbacks conn_callbacks = {
        .open = on_open,
        .frame = on_frame,
        .closed = on_closed,
};

static void on_connected(void *userdata, int error, Transport *t) {
        LinkPeek *p = userdata;
        int r = error;

        p->connect = connect_free(p->connect);
        if (r >= 0)
                r = conn_new(link_pool_net(p->pool), t, link_pool_self(p->pool)->tls, TLS_CLIENT,
                        LINK_ALPN, &conn_callbacks, p, &p->conn);
        if (r < 0)
                p->fn(p->userdata, r, NULL);
}

static void on_timer(void *userdata) {
        LinkPeek *p = userdata;

        p->fn(p->userdata, -ETIMEDOUT, NULL);
}

int link_peek(LinkPool *pool, const LinkAddress *to, usec_t timeout, LinkPeekFn fn, void *userdata,
        LinkPeek **ret) {
        DialTarget target = {
                .host = to->host, .port = to->port, .lane = LOOP_WORK_OTHERS, .timeout = timeout};
        Loop *loop = net_loop(link_pool_net(pool));
        LinkPeek *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        *p = (LinkPeek){.pool = pool, .fn = fn, .userdata = userdata};
        memcpy(p->account, to->account, KEY_SIZE);
        r = loop_timer_new(loop, on_timer, p, &p->timer);
        if (r >= 0)
                r = connect_new(link_pool_net(pool), &target, on_connected, p, &p->connect);
        if (r < 0) {
                link_peek_free(p);
                return r;
        }
        loop_timer_set(p->timer, loop_now(loop) + timeout);
        *ret = p;
        return 0;
}
