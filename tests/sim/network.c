/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "network.h"

#include <stdio.h>

#include <utlist.h>

#include "loop-virtual.h"
#include "network-private.h"

/* SYN is sent again after this, then after twice as long, … */
#define SYN_AGAIN USEC_PER_SEC

struct Listening {
        Host *owner;
        char host[HOST_SIZE];
        uint16_t port;
        NetworkAcceptFn fn;
        void *userdata;
        Listening *prev, *next;
};

/* A connection that a machine has not accepted yet. */
struct Accepting {
        const Listening *by;
        Transport *transport;
        LoopTimer *timer;
        Accepting *prev, *next;
};

struct Wire {
        Pipe *pipe;
        Host *ends[2];
        bool left_behind; /* one of them has moved */
        Wire *prev, *next;
};

/* Begins with the Net, as every implementation does. */
struct Connect {
        Net *net;
        Host *from;
        char host[HOST_SIZE];
        uint16_t port;
        LoopTimer *timer;
        usec_t end; /* of whoever gets no answer */
        usec_t again;
        bool connecting;
        ConnectFn fn;
        void *userdata;
};

bool host_is_routed(const Host *h) {
        return h->lan == h->home || (h->network->joined && h->lan > 0 && h->home > 0);
}

static bool is_through(const Host *from, const Host *to) {
        if (host_is_off(from) || host_is_off(to) || lane_between(from, to)->cut)
                return false;
        if (is_one_lan(from, to) || (from->lan == 0 && to->lan == 0))
                return true;
        return !from->network->no_router && host_is_routed(from) && host_is_routed(to);
}

static Listening *network_find(const Network *n, const char *host, uint16_t port) {
        Listening *l;

        DL_FOREACH (n->listening, l)
                if (l->port == port && streq(l->host, host))
                        return l;
        return NULL;
}

static const Host *find_host(const Network *n, const char *address) {
        for (unsigned i = 0; i < n->n_hosts; i++)
                if (streq(n->hosts[i]->address, address))
                        return n->hosts[i];
        return NULL;
}

/* Wires between machines */

usec_t lane_delay(const Host *from, const Host *to, size_t size, usec_t now) {
        Network *n = from->network;
        Lane *lane = lane_between(from, to);
        usec_t delay = n->path.latency;

        if (n->path.jitter > 0)
                delay += loop_random_below(n->loop, n->path.jitter);
        if (n->path.bandwidth > 0) {
                lane->free = MAX(lane->free, now) + size * USEC_PER_SEC / n->path.bandwidth;
                delay += lane->free - now;
        }
        return delay;
}

static usec_t wire_delay(void *userdata, unsigned end, size_t size, usec_t now) {
        const Wire *w = userdata;

        return lane_delay(w->ends[end], w->ends[!end], size, now);
}

static bool wire_call(void *userdata, unsigned end, size_t n) {
        const Wire *w = userdata;
        const Host *h = w->ends[end];

        return h->callbacks->call(h->userdata, w->ends[!end]->userdata, n);
}

static const PipeHooks wire_hooks = {
        .delay = wire_delay,
        .call = wire_call,
};

static void wire_free(Network *n, Wire *w) {
        DL_DELETE(n->wires, w);
        pipe_unref(w->pipe);
        free(w);
}

static void wire_update(Wire *w, usec_t now) {
        for (unsigned i = 0; i < 2; i++)
                pipe_hold(w->pipe, i, w->left_behind || !is_through(w->ends[i], w->ends[!i]), now);
}

/* Of all, or of those of one host. */
void network_update_wires(Network *n, const Host *h, usec_t now) {
        Wire *w;

        DL_FOREACH (n->wires, w)
                if (w->ends[0]->callbacks && (!h || w->ends[0] == h || w->ends[1] == h))
                        wire_update(w, now);
}

static void drop_old_wires(Network *n) {
        Wire *w, *tmp;

        DL_FOREACH_SAFE (n->wires, w, tmp)
                if (pipe_is_freed(w->pipe))
                        wire_free(n, w);
}

static int wire_new(Network *n, Host *from, Host *to, Transport *ends[static 2]) {
        bool machines = from->callbacks && to->callbacks;
        Wire *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (Wire){.ends = {from, to}};
        r = pipe_new_between((Loop *const[]){from->loop, to->loop}, &n->options,
                machines ? &wire_hooks : NULL, w, ends, &w->pipe);
        if (r < 0) {
                free(w);
                return r;
        }
        DL_APPEND(n->wires, w);
        return 0;
}

/* Accepting */

/* The callee frees the transport. */
static Transport *accepting_free(Network *n, Accepting *a) {
        Transport *t = a->transport;

        DL_DELETE(n->accepting, a);
        loop_timer_free(a->timer);
        free(a);
        return t;
}

static void on_accept(void *userdata) {
        Accepting *a = userdata;
        const Listening *by = a->by;

        by->fn(by->userdata, accepting_free(by->owner->network, a));
}

/* A machine accepts in a turn of its own. */
static int accept_later(const Listening *by, Transport *t, usec_t at) {
        Network *n = by->owner->network;
        Accepting *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        *a = (Accepting){.by = by, .transport = t};
        r = loop_timer_new(by->owner->loop, on_accept, a, &a->timer);
        if (r < 0) {
                free(a);
                return r;
        }
        DL_APPEND(n->accepting, a);
        loop_virtual_set_arrival(a->timer);
        loop_timer_set(a->timer, at);
        return 0;
}

static void refuse_waiting(Network *n, const Listening *by) {
        Accepting *a, *tmp;

        DL_FOREACH_SAFE (n->accepting, a, tmp)
                if (a->by == by)
                        transport_free(accepting_free(n, a));
}

static int network_join(Host *from, const Listening *to, Transport **ret) {
        Transport *ends[2];
        int r;

        drop_old_wires(from->network);
        r = wire_new(from->network, from, to->owner, ends);
        if (r < 0)
                return r;
        (void)sockaddr_parse_ip(from->address, 1, &ends[1]->peer);
        (void)sockaddr_parse_ip(to->host, to->port, &ends[0]->peer);
        *ret = ends[0];
        if (!to->owner->callbacks) {
                to->fn(to->userdata, ends[1]);
                return 0;
        }
        r = accept_later(to, ends[1], loop_now(from->loop));
        if (r < 0) {
                transport_free(ends[1]);
                transport_free(ends[0]);
        }
        return r;
}

/* Connecting */

static void connect_settled(Connect *c) {
        c->from->network->n_connecting -= c->connecting;
        c->connecting = false;
}

/* Neither accepted nor refused. */
static bool is_silent(const Connect *c, const Listening *l) {
        const Host *to = l ? l->owner : find_host(c->from->network, c->host);

        if (l && !l->fn)
                return true;
        if (!c->from->callbacks)
                return false;
        return !to || to->nat || !is_through(c->from, to) || !is_through(to, c->from);
}

static void connect_again(Connect *c, usec_t now) {
        usec_t at = c->end;

        if (c->from->callbacks) {
                c->again = MAX(2 * c->again, SYN_AGAIN);
                at = MIN(c->end, now + c->again);
        }
        loop_timer_set(c->timer, at);
}

/* After a round trip: SYN, SYN-ACK. */
static void on_round_trip(void *userdata) {
        Connect *c = userdata;
        Network *n = c->from->network;
        const Listening *l = network_find(n, c->host, c->port);
        usec_t now = loop_now(c->from->loop);
        Transport *t = NULL;
        int r = -ECONNREFUSED;

        if (is_silent(c, l) && now < c->end) {
                connect_again(c, now);
                return;
        }
        connect_settled(c);
        n->n_dialled++;
        if (is_silent(c, l))
                r = -ETIMEDOUT;
        else if (l)
                r = network_join(c->from, l, &t);
        c->fn(c->userdata, r, t);
}

static usec_t round_trip(const Host *from) {
        const Network *n = from->network;

        return 2 * (from->callbacks ? n->path.latency : n->options.latency);
}

static int network_connect_new(
        Net *net, const DialTarget *to, ConnectFn fn, void *userdata, Connect **ret) {
        Host *from = net_connector_context(net);
        Network *n = from->network;
        Connect *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        *c = (Connect){.net = net,
                .from = from,
                .port = to->port,
                .end = loop_now(from->loop) + to->timeout,
                .connecting = true,
                .fn = fn,
                .userdata = userdata};
        snprintf(c->host, sizeof(c->host), "%s", to->host);
        r = loop_timer_new(from->loop, on_round_trip, c, &c->timer);
        if (r < 0) {
                free(c);
                return r;
        }
        loop_virtual_set_arrival(c->timer);
        loop_timer_set(c->timer, loop_now(from->loop) + round_trip(from));
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
        net_set_connector(n, &network_connector, &network->anybody);
}

int network_new(Loop *l, Network **ret) {
        Network *n = calloc(1, sizeof(*n));

        if (!n)
                return -ENOMEM;
        n->loop = l;
        n->anybody = (Host){.network = n, .loop = l, .lanes = calloc(HOSTS_MAX, sizeof(Lane))};
        if (!n->anybody.lanes) {
                free(n);
                return -ENOMEM;
        }
        *ret = n;
        return 0;
}

static void host_free(Host *h) {
        free(h->lanes);
        free(h);
}

Network *network_free(Network *n) {
        Listening *l, *tmp;

        if (!n)
                return NULL;
        DL_FOREACH_SAFE (n->listening, l, tmp)
                free(l);
        while (n->wires)
                wire_free(n, n->wires);
        for (unsigned i = 0; i < n->n_hosts; i++)
                host_free(n->hosts[i]);
        free(n->anybody.lanes);
        free(n);
        return NULL;
}

void network_set_options(Network *n, const PipeOptions *options) {
        n->options = *options;
}

static int listen_at(Network *n, Host *owner, const char *host, uint16_t port, NetworkAcceptFn fn,
        void *userdata) {
        Listening *l = calloc(1, sizeof(*l));

        if (!l)
                return -ENOMEM;
        *l = (Listening){.owner = owner, .port = port, .fn = fn, .userdata = userdata};
        snprintf(l->host, sizeof(l->host), "%s", host);
        DL_APPEND(n->listening, l);
        return 0;
}

int network_listen(
        Network *n, const char *host, uint16_t port, NetworkAcceptFn fn, void *userdata) {
        return listen_at(n, &n->anybody, host, port, fn, userdata);
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

/* Machines */

int network_add_host(Network *n, Loop *l, const HostCallbacks *callbacks, void *userdata,
        const char *address, Host **ret) {
        Host *h;

        if (n->n_hosts == HOSTS_MAX)
                return -ENOSPC;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        *h = (Host){.network = n,
                .number = n->n_hosts,
                .loop = l,
                .callbacks = callbacks,
                .userdata = userdata,
                .lanes = calloc(HOSTS_MAX, sizeof(Lane))};
        if (!h->lanes) {
                free(h);
                return -ENOMEM;
        }
        snprintf(h->address, sizeof(h->address), "%s", address);
        n->hosts[n->n_hosts++] = h;
        *ret = h;
        return 0;
}

void host_connect_with(Host *h, Net *n) {
        net_set_connector(n, &network_connector, h);
}

int host_listen(Host *h, uint16_t port, NetworkAcceptFn fn, void *userdata) {
        return listen_at(h->network, h, h->address, port, fn, userdata);
}

void host_close(Host *h) {
        Listening *l, *tmp;

        DL_FOREACH_SAFE (h->network->listening, l, tmp)
                if (l->owner == h) {
                        refuse_waiting(h->network, l);
                        DL_DELETE(h->network->listening, l);
                        free(l);
                }
}

const char *host_address(const Host *h) {
        return h->address;
}

void host_set_address(Host *h, const char *address, usec_t now) {
        Wire *w;

        DL_FOREACH (h->network->wires, w)
                w->left_behind |= w->ends[0] == h || w->ends[1] == h;
        snprintf(h->address, sizeof(h->address), "%s", address);
        h->home = h->lan;
        host_close(h);
        network_update_wires(h->network, h, now);
}

void host_set_up(Host *h, bool up, usec_t now) {
        h->down = !up;
        if (!up)
                host_drop_datagrams(h);
        network_update_wires(h->network, h, now);
}

void host_lose(Host *h) {
        Wire *w;

        DL_FOREACH (h->network->wires, w)
                for (unsigned i = 0; i < 2; i++)
                        if (w->ends[i] == h)
                                pipe_lose(w->pipe, i);
}

void host_set_nat(Host *h, bool nat) {
        h->nat = nat;
}

void network_set_path(Network *n, const Path *path) {
        n->path = *path;
}

void network_set_cut(Network *n, Host *from, Host *to, bool cut, usec_t now) {
        Lane *lane = lane_between(from, to);

        from->n_cut += cut - lane->cut;
        to->n_cut += cut - lane->cut;
        lane->cut = cut;
        network_update_wires(n, from, now);
}

bool host_is_cut(const Host *h) {
        return h->n_cut > 0;
}

bool network_is_cut(const Host *from, const Host *to) {
        return lane_between(from, to)->cut;
}

void network_reset(Network *n, const Host *a, const Host *b) {
        Wire *w;

        DL_FOREACH (n->wires, w)
                if ((w->ends[0] == a && w->ends[1] == b) || (w->ends[0] == b && w->ends[1] == a))
                        pipe_reset(w->pipe);
}
