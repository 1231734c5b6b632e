/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whether people are on the LAN of whom a daemon takes to be there: found soon when they come, not
 * for long when they are gone, and never at an address that is not theirs. Whoever else is on the
 * LAN and whatever he says.
 */

#include "directory/lan.h"
#include "faults.h"
#include "machine.h"
#include "nearby.h"

#define TICK (3 * USEC_PER_SEC)

/* Who goes without a word is missed after 2.5 intervals of a minute and is called, twice where it
 * fails. Who answers from behind a router has 2.5 intervals more to be heard. */
#define GONE_TIME (6 * USEC_PER_MINUTE)

/* Who comes with a change that his daemon hears of says so at once; else a minute later. Calls that
 * have failed before are made again after a while. */
#define FOUND_TIME (6 * USEC_PER_MINUTE)

typedef struct Pair {
        bool near;
        usec_t since; /* as it is now */
} Pair;

struct Nearby {
        World *world;
        LoopTimer *timer;
        Pair *pairs[MACHINES_MAX]; /* who hears, who is heard; NULL: nobody so far */
};

static bool is_here(const Machine *m) {
        return m->running && !m->stopping && m->user->registered && !m->asleep;
}

static bool hears(const Machine *m, const Machine *other) {
        return is_here(other) && host_is_near(m->host, other->host) &&
                !network_is_cut(other->host, m->host);
}

/* Addresses end with the number of their machine; see machine.c. */
static bool is_address_of(const SockAddr *a, const Machine *m) {
        unsigned last = ntohl(a->in.sin_addr.s_addr) & 255;

        return a->sa.sa_family == AF_INET &&
                (last == machine_last_octet(m) || (m->old && last == machine_last_octet(m->old)));
}

static bool is_at(const SockAddr *a, const Machine *m) {
        char text[ENDPOINT_SIZE], expected[ENDPOINT_SIZE];

        return streq(sockaddr_format(a, text),
                endpoint_format(host_address(m->host), WORLD_PORT, expected));
}

/* Whether it has OTHER at his present address. */
static bool check_addresses(const Machine *m, const Machine *other) {
        SockAddr at[LAN_ADDRESSES_MAX + 1];
        size_t n = directory_lan_endpoints(
                m->parts->directory, other->user->account, at, ELEMENTSOF(at));
        bool found = false;

        if (n > LAN_ADDRESSES_MAX)
                world_fail(m->world, "memory-bounded", "%s has %zu addresses of %s", m->name, n,
                        other->name);
        for (size_t i = 0; i < n; i++) {
                char text[ENDPOINT_SIZE];

                if (!is_address_of(&at[i], other))
                        world_fail(m->world, "lan-address", "%s has %s for %s", m->name,
                                sockaddr_format(&at[i], text), other->name);
                found |= is_at(&at[i], other);
        }
        return found;
}

/* Nothing that either could do about it is in the way of either. */
static usec_t calm_since(const Machine *m, const Machine *other) {
        const World *w = m->world;
        usec_t calm = later(machine_calm_since(m), machine_calm_since(other));

        if (w->lossy || w->is_slow || calm == USEC_INFINITY)
                return USEC_INFINITY;
        return later(calm, later(m->started, other->started));
}

/* That may have made them neighbours for a moment, or not heard what it said. */
static usec_t last_event(const Machine *m, const Machine *other) {
        return later(later(m->disturbed, m->started), later(other->disturbed, other->started));
}

static bool is_patient(const Machine *m, usec_t since, usec_t time) {
        return m->world->now > usec_add(since, time);
}

static void look_at_pair(Pair *p, const Machine *m, const Machine *other) {
        const World *w = m->world;
        const Directory *d = m->parts->directory;
        bool near = hears(m, other), at = check_addresses(m, other);
        bool shown;
        LanPerson person;

        if (near != p->near) {
                p->near = near;
                p->since = w->now;
        }
        shown = directory_lan_get(d, other->user->account, &person);
        if (shown && !near && is_patient(m, later(p->since, last_event(m, other)), GONE_TIME) &&
                m->disk.slow == 0)
                world_fail(m->world, "lan-true", "%s is not on the LAN, and %s says so",
                        other->name, m->name);
        if (!(shown && at) && near &&
                is_patient(m, later(p->since, calm_since(m, other)), FOUND_TIME))
                world_fail(m->world, "lan-found", "%s is on the LAN of %s and is %s", other->name,
                        m->name, shown ? "called elsewhere" : "not found");
}

static void look_from(Nearby *n, const Machine *m) {
        const World *w = n->world;

        if (directory_lan_count(m->parts->directory) > LAN_PEERS_MAX)
                world_fail(n->world, "memory-bounded", "%s knows %zu people on the LAN", m->name,
                        directory_lan_count(m->parts->directory));
        if (!n->pairs[m->number] && host_lan(m->host) == 0 &&
                directory_lan_count(m->parts->directory) == 0)
                return; /* and was on none before */
        if (!n->pairs[m->number])
                n->pairs[m->number] = must(calloc(w->n_users, sizeof(Pair)));
        for (unsigned i = 0; i < w->n_users; i++) {
                const Machine *other = w->machines[i];

                if (other != m && other->user->registered)
                        look_at_pair(&n->pairs[m->number][i], m, other);
        }
}

static void on_tick(void *userdata) {
        Nearby *n = userdata;
        World *w = n->world;

        loop_timer_set(n->timer, w->now + TICK);
        for (unsigned i = 0; i < w->n_users; i++)
                if (is_here(w->machines[i]) &&
                        directory_lan_is_started(w->machines[i]->parts->directory))
                        look_from(n, w->machines[i]);
}

int nearby_new(World *w, Nearby **ret) {
        Nearby *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->world = w;
        r = loop_timer_new(w->loop, on_tick, n, &n->timer);
        if (r < 0) {
                free(n);
                return r;
        }
        loop_timer_set(n->timer, loop_now(w->loop) + TICK);
        *ret = n;
        return 0;
}

Nearby *nearby_free(Nearby *n) {
        if (!n)
                return NULL;
        loop_timer_free(n->timer);
        for (unsigned i = 0; i < MACHINES_MAX; i++)
                free(n->pairs[i]);
        free(n);
        return NULL;
}
