/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/connect.h"

/* By TCP. Begins with the Net, as every implementation does. */
struct Connect {
        Net *net;
        Dial *dial;
        ConnectFn fn;
        void *userdata;
};

static void on_dialled(void *userdata, int fd, const SockAddr *peer) {
        Connect *c = userdata;
        Transport *t = NULL;
        int r = fd;

        if (r >= 0)
                r = tcp_transport_new(net_loop(c->net), fd, peer, NULL, &t);
        c->fn(c->userdata, MIN(r, 0), t);
}

static int tcp_connect_new(
        Net *n, const DialTarget *to, ConnectFn fn, void *userdata, Connect **ret) {
        Connect *c = malloc(sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Connect){.net = n, .fn = fn, .userdata = userdata};
        r = dial_new(net_loop(n), to, on_dialled, c, &c->dial);
        if (r < 0) {
                free(c);
                return r;
        }
        *ret = c;
        return 0;
}

static void tcp_connect_free(Connect *c) {
        dial_free(c->dial);
        free(c);
}

static const Connector tcp_connector = {.new = tcp_connect_new, .free = tcp_connect_free};

static const Connector *connector_of(const Net *n) {
        return net_connector(n) ?: &tcp_connector;
}

int connect_new(Net *n, const DialTarget *to, ConnectFn fn, void *userdata, Connect **ret) {
        return connector_of(n)->new (n, to, fn, userdata, ret);
}

Connect *connect_free(Connect *c) {
        if (c)
                connector_of(*(Net **)c)->free(c);
        return NULL;
}
