/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/doors.h"

#include <arpa/inet.h>

static void close_all(Door *doors, size_t n) {
        for (size_t i = 0; i < n; i++)
                doors[i].listener = listener_free(doors[i].listener);
}

void doors_done(Doors *d) {
        close_all(d->doors, d->n);
        d->n = 0;
}

static const Door *door_find(const Door *doors, size_t n, const Endpoint *e) {
        for (size_t i = 0; i < n; i++)
                if (doors[i].endpoint.port == e->port && streq(doors[i].endpoint.host, e->host))
                        return &doors[i];
        return NULL;
}

static int door_open(Doors *d, const Endpoint *e, Door *ret) {
        Door door = {.endpoint = *e};
        SockAddr a;
        int r;

        r = sockaddr_parse_ip(e->host, e->port, &a);
        if (r >= 0)
                r = listener_new(d->loop, &a, d->fn, d->userdata, &door.listener);
        if (r >= 0)
                *ret = door;
        return r;
}

static bool is_named(const Door *door, const ConfigEndpoints *endpoints) {
        for (size_t i = 0; i < endpoints->n; i++)
                if (door_find(door, 1, &endpoints->items[i]))
                        return true;
        return false;
}

/* Keeps the doors that are named, and closes the others. */
static void close_others(Doors *d, const ConfigEndpoints *endpoints) {
        size_t n = 0;

        for (size_t i = 0; i < d->n; i++)
                if (is_named(&d->doors[i], endpoints))
                        d->doors[n++] = d->doors[i];
                else
                        listener_free(d->doors[i].listener);
        d->n = n;
}

/* Of those that are to go the ones on PORT: [::] and 127.0.0.1 cannot have it both. */
static bool close_in_the_way(Doors *d, const ConfigEndpoints *endpoints, uint16_t port) {
        bool closed = false;

        for (size_t i = 0; i < d->n; i++) {
                Door *door = &d->doors[i];

                if (!door->listener || door->endpoint.port != port || is_named(door, endpoints))
                        continue;
                door->listener = listener_free(door->listener);
                closed = true;
        }
        return closed;
}

/* A door that somebody else has taken within this moment is lost until the next reload. */
static void reopen(Doors *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n; i++) {
                Door *door = &d->doors[i];

                if (door->listener || door_open(d, &door->endpoint, door) >= 0)
                        d->doors[n++] = *door;
        }
        d->n = n;
}

int doors_open(Doors *d, const ConfigEndpoints *endpoints, const Endpoint **ret_failed) {
        Door opened[DOORS_MAX];
        size_t n = 0;
        int r;

        for (size_t i = 0; i < endpoints->n; i++) {
                const Endpoint *e = &endpoints->items[i];

                if (door_find(d->doors, d->n, e) || door_find(opened, n, e))
                        continue;
                r = n < DOORS_MAX ? door_open(d, e, &opened[n]) : -E2BIG;
                if (r == -EADDRINUSE && close_in_the_way(d, endpoints, e->port))
                        r = door_open(d, e, &opened[n]);
                if (r < 0) {
                        close_all(opened, n);
                        reopen(d);
                        *ret_failed = e;
                        return r;
                }
                n++;
        }
        close_others(d, endpoints);
        for (size_t i = 0; i < n && d->n < DOORS_MAX; i++)
                d->doors[d->n++] = opened[i];
        return 0;
}

/* Where the socket is bound, as the configuration would say it. */
static Endpoint listener_endpoint(const Listener *l) {
        const SockAddr *a = listener_address(l);
        Endpoint e = {.port = sockaddr_port(a)};

        if (a->sa.sa_family == AF_INET6)
                inet_ntop(AF_INET6, &a->in6.sin6_addr, e.host, sizeof(e.host));
        else
                inet_ntop(AF_INET, &a->in.sin_addr, e.host, sizeof(e.host));
        return e;
}

int doors_adopt(Doors *d, int fd) {
        Door *door = &d->doors[d->n];
        int r;

        if (d->n == DOORS_MAX) {
                safe_close(fd);
                return -E2BIG;
        }
        r = listener_new_fd(d->loop, fd, d->fn, d->userdata, &door->listener);
        if (r < 0)
                return r;
        door->endpoint = listener_endpoint(door->listener);
        d->n++;
        return 0;
}

bool doors_are(const Doors *d, const ConfigEndpoints *endpoints) {
        for (size_t i = 0; i < endpoints->n; i++)
                if (!door_find(d->doors, d->n, &endpoints->items[i]))
                        return false;
        return d->n == endpoints->n;
}
