/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "listening.h"

#include <stdio.h>

#include "net/addresses.h"
#include "util/log.h"

/* A port that is taken is tried again after this. */
#define LISTEN_RETRY (10 * USEC_PER_SEC)

/* Where a port of our own is looked for first: of the dynamic ones (RFC 6335, section 6) those
 * above what Linux hands out by itself, so that it is still free after a restart. */
#define OWN_PORT_MIN 61000
#define OWN_PORT_MAX 65535
#define OWN_PORT_TRIES 32

struct Listening {
        Loop *loop;
        Store *store;
        const struct ConfigListen *where;
        const ListeningCallbacks *callbacks;
        void *userdata;
        Listener *listener;
        LoopTimer *retry;
        bool failed; /* and said so */
        bool keeping; /* the port is not on disk yet: nobody is told of it */
        AddressWatch *watch;
        Endpoints told;
        bool told_alone, has_told;
};

static uint16_t random_own_port(Loop *l) {
        uint32_t n;

        loop_random(l, &n, sizeof(n));
        return (uint16_t)(OWN_PORT_MIN + n % (OWN_PORT_MAX - OWN_PORT_MIN + 1));
}

/* At A with any port that is free: the last try is the kernel's. */
static int listen_on_free_port(Listening *l, SockAddr *a, Listener **ret) {
        int r = -EADDRINUSE;

        for (unsigned i = 0; r == -EADDRINUSE && i <= OWN_PORT_TRIES; i++) {
                sockaddr_set_port(a, i < OWN_PORT_TRIES ? random_own_port(l->loop) : 0);
                r = listener_new(l->loop, a, l->callbacks->connection, l->userdata, ret);
        }
        return r;
}

/* Where it was not kept there will be another port after a restart. */
static void on_kept(void *userdata, int error) {
        Listening *l = userdata;

        l->keeping = false;
        listening_refresh(l);
}

static int keep_port(Listening *l, uint16_t port) {
        int r;

        r = store_set_port(l->store, port);
        if (r >= 0 && !l->keeping)
                r = store_after_commit(l->store, on_kept, l);
        l->keeping |= r >= 0;
        return r;
}

/* Port 0 is chosen once and kept, so that cached endpoints stay good. TAKEN: it may be another one
 * when somebody else has it. */
static int listen_somewhere(
        Listening *l, const struct ConfigListen *where, bool taken, Listener **ret) {
        uint16_t port = (uint16_t)where->port, kept = store_port(l->store);
        Listener *listener;
        SockAddr a;
        int r;

        r = sockaddr_parse_ip(where->address, port ?: kept, &a);
        if (r < 0)
                return r;
        if (port == 0 && kept == 0)
                r = listen_on_free_port(l, &a, &listener);
        else
                r = listener_new(l->loop, &a, l->callbacks->connection, l->userdata, &listener);
        if (r == -EADDRINUSE && taken && port == 0 && kept != 0)
                r = listen_on_free_port(l, &a, &listener);
        if (r < 0)
                return r;
        if (port == 0 && sockaddr_port(listener_address(listener)) != kept)
                r = keep_port(l, sockaddr_port(listener_address(listener)));
        if (r < 0) {
                listener_free(listener);
                return r;
        }
        *ret = listener;
        return 0;
}

static void endpoints_add(Endpoints *e, const char *text) {
        if (e->n < ENDPOINTS_MAX && strlen(text) < sizeof(e->text[0]))
                snprintf(e->text[e->n++], sizeof(e->text[0]), "%s", text);
}

static int endpoints_add_local(Endpoints *e, const SockAddr *bound, bool *ret_alone) {
        _cleanup_(freep) LocalAddress *local = NULL;
        char text[ENDPOINT_SIZE];
        size_t n;
        int r;

        r = local_addresses(&local, &n);
        if (r < 0)
                return r;
        *ret_alone = true;
        for (size_t i = 0; i < n; i++) {
                SockAddr *a = &local[i].address;

                if (bound->sa.sa_family == AF_INET && a->sa.sa_family == AF_INET6)
                        continue;
                *ret_alone = false;
                if (local_address_is_link_local(&local[i]))
                        continue;
                sockaddr_set_port(a, sockaddr_port(bound));
                endpoints_add(e, sockaddr_format(a, text));
        }
        /* Without a network people on this machine still reach each other. */
        if (e->n == 0)
                endpoints_add(e, endpoint_format("127.0.0.1", sockaddr_port(bound), text));
        return 0;
}

static int listening_endpoints(const Listening *l, Endpoints *ret, bool *ret_alone) {
        const ConfigEndpoints *advertise = &l->where->advertise;
        const SockAddr *bound = listener_address(l->listener);
        char text[ENDPOINT_SIZE];

        *ret = (Endpoints){};
        *ret_alone = false;
        for (size_t i = 0; i < advertise->n; i++)
                endpoints_add(ret,
                        endpoint_format(advertise->items[i].host, advertise->items[i].port, text));
        if (advertise->n > 0)
                return 0;
        if (sockaddr_is_any(bound))
                return endpoints_add_local(ret, bound, ret_alone);
        endpoints_add(ret, sockaddr_format(bound, text));
        return 0;
}

static void listening_failed(Listening *l, int error) {
        char text[256];

        loop_timer_set(l->retry, loop_now(l->loop) + LISTEN_RETRY);
        if (l->failed)
                return;
        l->failed = true;
        l->told = (Endpoints){};
        snprintf(text, sizeof(text),
                "Listening on %s port %u failed: %s. Nobody can connect to this device.",
                l->where->address, l->where->port, strerror(-error));
        l->callbacks->changed(l->userdata, &l->told, false, text);
}

/* What was told before holds until they can be read. */
static void addresses_failed(Listening *l, int error) {
        loop_timer_set(l->retry, loop_now(l->loop) + LISTEN_RETRY);
        if (!l->failed)
                log_error_errno(error, "The addresses of this machine cannot be read");
        l->failed = true;
}

void listening_refresh(Listening *l) {
        Endpoints e;
        bool alone;
        int r;

        if (!l->listener || l->keeping)
                return;
        r = listening_endpoints(l, &e, &alone);
        if (r < 0) {
                addresses_failed(l, r);
                return;
        }
        l->failed = false;
        if (l->has_told && alone == l->told_alone && memcmp(&e, &l->told, sizeof(e)) == 0)
                return;
        l->has_told = true;
        l->told_alone = alone;
        l->told = e;
        l->callbacks->changed(l->userdata, &l->told, alone, NULL);
}

/* A daemon that lingers is there before the network, and a laptop moves. */
static void on_addresses(void *userdata) {
        listening_refresh(userdata);
}

const SockAddr *listening_address(const Listening *l) {
        return l->listener ? listener_address(l->listener) : NULL;
}

void listening_start(Listening *l) {
        int r;

        if (l->listener)
                return;
        r = listen_somewhere(l, l->where, true, &l->listener);
        if (r < 0) {
                listening_failed(l, r);
                return;
        }
        l->failed = l->has_told = false;
        listening_refresh(l);
}

static void on_retry(void *userdata) {
        Listening *l = userdata;

        if (l->listener)
                listening_refresh(l);
        else
                listening_start(l);
}

void listening_stop(Listening *l) {
        loop_timer_set(l->retry, USEC_INFINITY);
        l->listener = listener_free(l->listener);
        l->failed = false;
}

/* The new door is opened before the old one is closed, unless they are in each other's way. */
int listening_move(Listening *l, const struct ConfigListen *to) {
        Listener *listener = NULL;
        bool had = l->listener;
        int r;

        r = listen_somewhere(l, to, !had, &listener);
        if (r == -EADDRINUSE && had) {
                l->listener = listener_free(l->listener);
                r = listen_somewhere(l, to, true, &listener);
                if (r < 0 && listen_somewhere(l, l->where, true, &l->listener) < 0)
                        loop_timer_set(l->retry, loop_now(l->loop));
        }
        if (r < 0)
                return r;
        listening_stop(l);
        l->listener = listener;
        return 0;
}

int listening_new(Loop *loop, Store *store, const struct ConfigListen *where,
        const ListeningCallbacks *callbacks, void *userdata, Listening **ret) {
        Listening *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        *l = (Listening){.loop = loop,
                .store = store,
                .where = where,
                .callbacks = callbacks,
                .userdata = userdata};
        r = loop_timer_new(loop, on_retry, l, &l->retry);
        if (r < 0) {
                free(l);
                return r;
        }
        r = address_watch_new(loop, on_addresses, l, &l->watch);
        if (r < 0)
                log_error_errno(r, "Changes of the network are not seen");
        *ret = l;
        return 0;
}

Listening *listening_free(Listening *l) {
        if (!l)
                return NULL;
        store_forget(l->store, l);
        listener_free(l->listener);
        loop_timer_free(l->retry);
        address_watch_free(l->watch);
        free(l);
        return NULL;
}
