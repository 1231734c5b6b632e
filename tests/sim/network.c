/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "network.h"

#include <stdio.h>

#include <utlist.h>

#include "loop-virtual.h"

typedef struct Listening {
        char host[HOST_SIZE];
        uint16_t port;
        NetworkAcceptFn fn;
        void *userdata;
        struct Listening *prev, *next;
} Listening;

typedef struct Wire {
        Pipe *pipe;
        struct Wire *prev, *next;
} Wire;

struct Network {
        Loop *loop;
        PipeOptions options;
        Listening *listening;
        Wire *wires;
        unsigned n_dialled, n_connecting, most_at_once;
};

/* Begins with the Net, as every implementation does. */
struct Connect {
        Net *net;
        Network *network;
        char host[HOST_SIZE];
        uint16_t port;
        LoopTimer *timer;
        usec_t end; /* of whoever gets no answer */
        bool connecting;
        ConnectFn fn;
        void *userdata;
};

static Listening *network_find(const Network *n, const char *host, uint16_t port) {
        Listening *l;

        DL_FOREACH (n->listening, l)
                if (l->port == port && streq(l->host, host))
                        return l;
        return NULL;
}

static void wire_free(Network *n, Wire *w) {
        DL_DELETE(n->wires, w);
        pipe_unref(w->pipe);
        free(w);
}

static int network_join(Network *n, const Listening *to, Transport **ret) {
        Wire *w = calloc(1, sizeof(*w));
        Transport *ends[2];
        int r;

        if (!w)
                return -ENOMEM;
        r = pipe_new(n->loop, &n->options, ends, &w->pipe);
        if (r < 0) {
                free(w);
                return r;
        }
        DL_APPEND(n->wires, w);
        to->fn(to->userdata, ends[1]);
        *ret = ends[0];
        return 0;
}

static void connect_settled(Connect *c) {
        c->network->n_connecting -= c->connecting;
        c->connecting = false;
}

/* After a round trip: SYN, SYN-ACK. */
static void on_round_trip(void *userdata) {
        Connect *c = userdata;
        const Listening *l = network_find(c->network, c->host, c->port);
        usec_t now = loop_now(c->network->loop);
        Transport *t = NULL;
        int r = -ECONNREFUSED;

        if (l && !l->fn && now < c->end) {
                loop_timer_set(c->timer, c->end);
                return;
        }
        connect_settled(c);
        c->network->n_dialled++;
        if (l)
                r = l->fn ? network_join(c->network, l, &t) : -ETIMEDOUT;
        c->fn(c->userdata, r, t);
}

static int network_connect_new(
        Net *net, const DialTarget *to, ConnectFn fn, void *userdata, Connect **ret) {
        Network *n = net_connector_context(net);
        Connect *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Connect){.net = net,
                .network = n,
                .port = to->port,
                .end = loop_now(n->loop) + to->timeout,
                .connecting = true,
                .fn = fn,
                .userdata = userdata};
        snprintf(c->host, sizeof(c->host), "%s", to->host);
        r = loop_timer_new(n->loop, on_round_trip, c, &c->timer);
        if (r < 0) {
                free(c);
                return r;
        }
        loop_virtual_set_arrival(c->timer);
        loop_timer_set(c->timer, loop_now(n->loop) + 2 * n->options.latency);
        n->most_at_once = MAX(n->most_at_once, ++n->n_connecting);
        *ret = c;
        return 0;
}

static void network_connect_free(Connect *c) {
        connect_settled(c);
        loop_timer_free(c->timer);
        free(c);
}

static const Connector network_connector = {
        .new = network_connect_new,
        .free = network_connect_free,
};

void network_connect_with(Network *network, Net *n) {
        net_set_connector(n, &network_connector, network);
}

int network_new(Loop *l, Network **ret) {
        Network *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        n->loop = l;
        *ret = n;
        return 0;
}

Network *network_free(Network *n) {
        Listening *l, *tmp;

        if (!n)
                return NULL;
        DL_FOREACH_SAFE (n->listening, l, tmp)
                free(l);
        while (n->wires)
                wire_free(n, n->wires);
        free(n);
        return NULL;
}

void network_set_options(Network *n, const PipeOptions *options) {
        n->options = *options;
}

int network_listen(
        Network *n, const char *host, uint16_t port, NetworkAcceptFn fn, void *userdata) {
        Listening *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (Listening){.port = port, .fn = fn, .userdata = userdata};
        snprintf(l->host, sizeof(l->host), "%s", host);
        DL_APPEND(n->listening, l);
        return 0;
}

int network_swallow(Network *n, const char *host, uint16_t port) {
        return network_listen(n, host, port, NULL, NULL);
}

void network_close(Network *n, const char *host, uint16_t port) {
        Listening *l = network_find(n, host, port);

        if (l)
                DL_DELETE(n->listening, l);
        free(l);
}

void network_cut(Network *n, unsigned directions) {
        Wire *w;

        DL_FOREACH (n->wires, w)
                pipe_cut(w->pipe, directions);
}

unsigned network_n_dialled(const Network *n) {
        return n->n_dialled;
}

unsigned network_most_at_once(const Network *n) {
        return n->most_at_once;
}
