/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Datagrams on a LAN. What one host says comes to each of the others on its own way: later than to
 * its neighbour, twice, out of order, or not at all.
 */

#include <utlist.h>

#include "loop-virtual.h"
#include "network-private.h"

/* What has headers of Ethernet, IP and UDP. */
#define HEADERS 42

struct Datagram {
        SockAddr from;
        usec_t at;
        Datagram *prev, *next;
        size_t size;
        uint8_t bytes[];
};

bool is_one_lan(const Host *a, const Host *b) {
        return a->lan > 0 && b->lan > 0 && (a->lan == b->lan || a->network->joined);
}

/* Arriving */

static void datagram_free(Host *h, Datagram *d) {
        DL_DELETE(h->arriving, d);
        free(d);
}

static void await_next(Host *h) {
        loop_timer_set(h->arrival, h->arriving ? h->arriving->at : USEC_INFINITY);
}

void host_drop_datagrams(Host *h) {
        while (h->arriving)
                datagram_free(h, h->arriving);
        if (h->arrival)
                await_next(h);
}

/* Whoever hears it may do anything, such as close the host. */
static void on_arrival(void *userdata) {
        Host *h = userdata;
        Datagram *d = h->arriving;

        DL_DELETE(h->arriving, d);
        await_next(h);
        h->hear(h->hear_userdata, &d->from, (Bytes){d->bytes, d->size});
        free(d);
}

static int by_time(const Datagram *a, const Datagram *b) {
        return a->at < b->at ? -1 : a->at > b->at;
}

static int datagram_new(Host *to, const SockAddr *from, Bytes datagram, usec_t at) {
        Datagram *d = malloc(sizeof(*d) + datagram.size);

        if (!d)
                return -ENOMEM;
        *d = (Datagram){.from = *from, .at = at, .size = datagram.size};
        copy_bytes(d->bytes, datagram.data, datagram.size);
        DL_INSERT_INORDER(to->arriving, d, by_time);
        await_next(to);
        return 0;
}

/* Saying */

static bool chance(Network *n, unsigned percent) {
        return percent > 0 && loop_random_below(n->loop, 100) < percent;
}

static bool is_heard(const Host *from, const Host *to) {
        return to != from && to->hear && host_is_near(from, to) && !lane_between(from, to)->cut;
}

static int say_to(const Host *from, Host *to, const SockAddr *as, Bytes datagram, usec_t now) {
        Network *n = from->network;
        unsigned copies = chance(n, n->lan_faults.doubled) ? 2 : 1;

        if (chance(n, n->lan_faults.lost))
                return 0;
        while (copies-- > 0) {
                usec_t at = now + lane_delay(from, to, HEADERS + datagram.size, now);
                int r;

                if (n->lan_faults.late > 0)
                        at += loop_random_below(n->loop, n->lan_faults.late);
                r = datagram_new(to, as, datagram, at);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A source that is elsewhere is none: whoever has the socket looks at that. */
static bool is_on_link(const Host *h, const char *address) {
        const Network *n = h->network;

        for (unsigned i = 0; i < n->n_hosts; i++) {
                const Host *o = n->hosts[i];

                if (streq(o->address, address))
                        return o->home > 0 && (o->home == h->lan || n->joined);
        }
        return true;
}

int host_say(const Host *h, const char *as, Bytes datagram, usec_t now) {
        Network *n = h->network;
        SockAddr from;
        int r;

        if (host_is_off(h) || h->lan == 0)
                return -ENETUNREACH;
        if (as && !is_on_link(h, as))
                return 0;
        r = sockaddr_parse_ip(as ?: h->address, LAN_PORT, &from);
        for (unsigned i = 0; i < n->n_hosts && r >= 0; i++)
                if (is_heard(h, n->hosts[i]))
                        r = say_to(h, n->hosts[i], &from, datagram, now);
        return r;
}

int host_hear(Host *h, HostHearFn fn, void *userdata) {
        int r = 0;

        host_drop_datagrams(h);
        h->hear = fn;
        h->hear_userdata = userdata;
        if (!fn) {
                h->arrival = loop_timer_free(h->arrival);
                return 0;
        }
        if (!h->arrival)
                r = loop_timer_new(h->loop, on_arrival, h, &h->arrival);
        if (r >= 0)
                loop_virtual_set_arrival(h->arrival);
        return r;
}

/* LANs */

unsigned host_lan(const Host *h) {
        return h->lan;
}

void host_set_lan(Host *h, unsigned lan, usec_t now) {
        h->lan = lan;
        host_drop_datagrams(h);
        network_update_wires(h->network, h, now);
}

bool host_is_near(const Host *a, const Host *b) {
        return is_one_lan(a, b) && !host_is_off(a) && !host_is_off(b);
}

void host_plug(Host *h, bool in, usec_t now) {
        h->unplugged = !in;
        if (!in)
                host_drop_datagrams(h);
        network_update_wires(h->network, h, now);
}

void network_join_lans(Network *n, bool joined, usec_t now) {
        n->joined = joined;
        network_update_wires(n, NULL, now);
}

void network_set_router(Network *n, bool up, usec_t now) {
        n->no_router = !up;
        network_update_wires(n, NULL, now);
}

void network_set_lan_faults(Network *n, const LanFaults *faults) {
        n->lan_faults = *faults;
}
