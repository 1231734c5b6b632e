/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Stories of accounts that move from device to device: people talk, one or two of them log in
 * elsewhere and back, while old and new devices are cut off from one another, are away, die at any
 * step of what is handed over, or have their disks put back as they were some time ago.
 */

#include "generate-private.h"

#define BEGINNING USEC_PER_MINUTE

/* How far a takeover gets: soon is while it goes on. */
#define SOON (15 * USEC_PER_SEC)

typedef struct Cast {
        Generator *g;
        unsigned n_movers; /* the first so many have several devices */
        unsigned at[SCRIPT_PEOPLE_MAX]; /* the device that somebody sits at */
        bool gone[SCRIPT_PEOPLE_MAX][SCRIPT_DEVICES_MAX]; /* for ever */
        bool has_room;
} Cast;

static unsigned machine_of(const Generator *g, unsigned user, unsigned device) {
        const Script *s = &g->script;

        return device == 0 ? user : s->n_users + s->n_trackers + (device - 1) * s->n_users + user;
}

static unsigned here(const Cast *c, unsigned user) {
        return machine_of(c->g, user, c->at[user]);
}

static void add_pair(Generator *g, usec_t at, Verb verb, unsigned a, unsigned b) {
        add(g, at, verb, (Action){.a = a, .b = b, .n = verb_default(verb)});
}

static void add_lines(Generator *g, usec_t at, unsigned from, unsigned to, uint64_t n) {
        add(g, at, VERB_SEND, (Action){.a = from, .b = to, .n = n});
}

static unsigned any_mover(Cast *c) {
        return below(c->g, c->n_movers);
}

static unsigned any_other(Generator *g, unsigned user) {
        return (user + 1 + below(g, g->script.n_users - 1)) % g->script.n_users;
}

/* Scenes */

static usec_t add_talk(Cast *c, usec_t at, unsigned a, unsigned b) {
        Generator *g = c->g;
        unsigned lines = 1 + below(g, 8);

        while (chance(g, g->faults))
                add_fault(g, at + any_time(g, USEC_PER_MSEC, 5 * USEC_PER_SEC), here(c, a),
                        here(c, b));
        for (unsigned i = 0; i < lines; i++) {
                bool forth = chance(g, 50);
                unsigned from = forth ? a : b, to = forth ? b : a;

                if (c->has_room && chance(g, 20))
                        add(g, at, VERB_ROOM_POST,
                                (Action){.a = here(c, from), .n = 1 + below(g, 3)});
                else
                        add_lines(g, at, here(c, from), to, chance(g, 15) ? any_size(g, 2, 60) : 1);
                if (chance(g, 25))
                        add_pair(g, at + any_time(g, 100 * USEC_PER_MSEC, 20 * USEC_PER_SEC),
                                VERB_READ, here(c, to), from);
                if (chance(g, 25))
                        add_one(g, at + any_time(g, 100 * USEC_PER_MSEC, 20 * USEC_PER_SEC),
                                VERB_CATCH_UP, here(c, to));
                if (chance(g, 5))
                        add_pair(g, at, VERB_VERIFY, here(c, from), to);
                at += any_time(g, USEC_PER_MSEC, 20 * USEC_PER_SEC);
        }
        return at;
}

/* What is on its way, or is about to be, when an account moves. */
static void add_words(Cast *c, usec_t at, usec_t within, unsigned user, unsigned machine) {
        Generator *g = c->g;
        unsigned n = below(g, 4);

        for (unsigned i = 0; i < n; i++) {
                unsigned other = any_other(g, user);
                usec_t when = at + any_time(g, USEC_PER_MSEC, within);

                if (chance(g, 50))
                        add_lines(g, when, machine, other, any_size(g, 1, 20));
                else
                        add_lines(g, when, here(c, other), user, any_size(g, 1, 20));
        }
}

static void add_death_at(Generator *g, usec_t at, unsigned machine) {
        add(g, at, chance(g, 60) ? VERB_KILL : VERB_POWER,
                (Action){.a = machine, .n = any_size(g, 1, 80)});
        add_one(g, at + any_time(g, 100 * USEC_PER_MSEC, 2 * USEC_PER_MINUTE), VERB_START, machine);
}

/* Either or both die, once or more often, while it is handed over. */
static void add_deaths(Generator *g, usec_t at, unsigned old, unsigned new) {
        unsigned n = 1 + below(g, 4);

        while (n-- > 0) {
                at += any_time(g, 100 * USEC_PER_MSEC, SOON);
                add_death_at(g, at, chance(g, 50) ? old : new);
        }
}

/* Until both know it; how long both write. */
static usec_t add_both_active(Cast *c, usec_t at, unsigned user, unsigned old, unsigned new) {
        Generator *g = c->g;
        usec_t end = at + any_time(g, 10 * USEC_PER_SEC, 20 * USEC_PER_MINUTE);

        if (chance(g, 50))
                add_one(g, at - USEC_PER_MSEC, VERB_ALONE, old);
        else {
                add_pair(g, at - USEC_PER_MSEC, VERB_CUT, old, new);
                add_pair(g, at - USEC_PER_MSEC, VERB_CUT, old, g->script.n_users);
        }
        for (unsigned i = 0; i < 4; i++)
                add_words(c, at, end - at, user, chance(g, 50) ? old : new);
        add_one(g, end, VERB_HEAL_ALL, 0);
        return end;
}

/* The old one is off when the new one begins, and comes back. */
static usec_t add_absent(Cast *c, usec_t at, unsigned user, unsigned old) {
        static const Verb ways[] = {VERB_STOP, VERB_KILL, VERB_POWER};
        Generator *g = c->g;
        usec_t back = at + any_time(g, USEC_PER_SEC, 30 * USEC_PER_MINUTE);

        add(g, usec_sub(at, any_time(g, 2 * USEC_PER_SEC, 20 * USEC_PER_SEC)),
                ways[below(g, ELEMENTSOF(ways))], (Action){.a = old});
        add_words(c, at, back - at, user, old); /* he does not sit there, and has not said it yet */
        add_one(g, back, VERB_START, old);
        return back;
}

static void add_question(Generator *g, usec_t at, unsigned old) {
        add_one(g, usec_sub(at, USEC_PER_SEC), VERB_ASK, old);
        if (chance(g, 70))
                add_one(g, at + any_time(g, USEC_PER_SEC, 10 * USEC_PER_MINUTE), VERB_ACCEPT, old);
}

static bool other_device(Cast *c, unsigned user, unsigned *ret) {
        Generator *g = c->g;

        *ret = (c->at[user] + 1 + below(g, g->script.n_devices - 1)) % g->script.n_devices;
        return !c->gone[user][*ret];
}

static usec_t add_takeover(Cast *c, usec_t at) {
        Generator *g = c->g;
        unsigned user = any_mover(c), device, how = below(g, 100);
        unsigned old = here(c, user), new;
        usec_t end = at + SOON;

        if (!other_device(c, user, &device))
                return at;
        new = machine_of(g, user, device);
        at += 30 * USEC_PER_SEC;
        add_one(g, usec_sub(at, any_time(g, USEC_PER_MSEC, 10 * USEC_PER_SEC)), VERB_START, new);
        add_words(c, usec_sub(at, 5 * USEC_PER_SEC), 5 * USEC_PER_SEC, user, old);
        if (chance(g, 20))
                add_question(g, at, old);
        if (how < 25)
                end = add_both_active(c, at, user, old, new);
        else if (how < 50)
                end = add_absent(c, at, user, old);
        add_one(g, at, VERB_LOGIN, new);
        c->at[user] = device;
        if (how >= 40)
                add_deaths(g, at, old, new);
        if (chance(g, 15)) {
                add_one(g, at + any_time(g, USEC_PER_MSEC, SOON), VERB_KILL, g->script.n_users);
                add_one(g, at + SOON + any_time(g, USEC_PER_SEC, 5 * USEC_PER_MINUTE), VERB_START,
                        g->script.n_users);
        }
        while (chance(g, g->faults))
                add_fault(g, at + any_time(g, USEC_PER_MSEC, SOON), old, new);
        add_words(c, at, 2 * SOON, user, new);
        if (chance(g, 50))
                add_one(g, end + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_CATCH_UP, new);
        return chance(g, 70) ? end : at + any_time(g, USEC_PER_SEC, SOON);
}

/* A device is as it was, and says something before it can know that, or does not. */
static usec_t add_restore(Cast *c, usec_t at) {
        Generator *g = c->g;
        unsigned user = chance(g, 70) ? any_mover(c) : any_user(g);
        unsigned machine = here(c, user);
        bool alone = chance(g, 50);

        add_one(g, at, VERB_SAVE, machine);
        at = add_talk(
                c, at + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), user, any_other(g, user));
        if (chance(g, 40))
                at = add_takeover(c, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE));
        at += any_time(g, USEC_PER_SEC, USEC_PER_MINUTE);
        add_one(g, at, chance(g, 50) ? VERB_STOP : VERB_KILL, machine);
        at += 3 * USEC_PER_SEC;
        add_one(g, at, VERB_RESTORE, machine);
        if (alone)
                add_one(g, at, VERB_ALONE, machine);
        add_one(g, at + USEC_PER_SEC, VERB_START, machine);
        add_words(c, at, 20 * USEC_PER_SEC, user, machine);
        at += 30 * USEC_PER_SEC;
        if (alone)
                add_one(g, at, VERB_HEAL_ALL, 0);
        add_words(c, at, USEC_PER_MINUTE, user, machine);
        return at;
}

/* A device that nobody sits at any more. */
static void add_destruction(Cast *c, usec_t at) {
        Generator *g = c->g;
        unsigned user = any_mover(c), device;

        if (c->has_room || !other_device(c, user, &device))
                return; /* who loses a device loses his rooms */
        c->gone[user][device] = true;
        add_one(g, at, VERB_DESTROY, machine_of(g, user, device));
}

/* The world */

static void add_beginning(Cast *c) {
        Generator *g = c->g;

        for (unsigned i = 0; i < g->script.n_trackers; i++)
                add_one(g, 0, VERB_START, g->script.n_users + i);
        for (unsigned i = 0; i < g->script.n_users; i++)
                add_one(g, any_time(g, USEC_PER_MSEC, BEGINNING / 2), VERB_START, i);
        c->has_room = chance(g, 30);
        if (!c->has_room)
                return;
        add_one(g, BEGINNING, VERB_ROOM_MAKE, below(g, g->script.n_users));
        for (unsigned i = 0; i < g->script.n_users; i++)
                add_one(g, BEGINNING + any_time(g, USEC_PER_SEC, BEGINNING), VERB_ROOM_JOIN, i);
}

static void choose(Cast *c) {
        static const unsigned weights[] = {0, 0, 1, 2, 8};
        static const Fault faults[] = {FAULT_KILL, FAULT_POWER, FAULT_STOP, FAULT_CUT,
                FAULT_CUT_ONE_WAY, FAULT_ALONE, FAULT_RESET, FAULT_MOVE, FAULT_NAT, FAULT_DISK_FULL,
                FAULT_DISK_FAILS, FAULT_DISK_SLOW, FAULT_SLEEP, FAULT_NETWORK};
        Generator *g = c->g;

        g->script.n_users = 3 + below(g, 2);
        g->script.n_trackers = 1;
        g->script.n_devices = chance(g, 30) ? 3 : 2;
        c->n_movers = 1 + below(g, 2);
        for (size_t i = 0; i < ELEMENTSOF(faults); i++)
                g->weight += g->weights[faults[i]] = weights[below(g, ELEMENTSOF(weights))];
        if (g->weight == 0)
                g->weight = g->weights[FAULT_KILL] = 1;
        g->faults = below(g, 50);
        g->tracker_share = below(g, 20);
}

static usec_t add_scene(Cast *c, usec_t at) {
        Generator *g = c->g;
        unsigned what = below(g, 100), user = any_user(g);

        if (what < 45)
                return add_talk(c, at, user, any_other(g, user));
        if (what < 80)
                return add_takeover(c, at);
        if (what < 93)
                return add_restore(c, at);
        if (what < 95)
                add_destruction(c, at);
        else
                add_one(g, at + USEC_PER_HOUR, VERB_QUIET, 0);
        return what < 95 ? at : at + USEC_PER_HOUR;
}

int generate_devices(uint64_t seed, Script *ret) {
        Generator g = {.random = seed, .script = {.seed = seed}, .end = USEC_INFINITY};
        Cast c = {.g = &g};
        usec_t at = 2 * BEGINNING;
        unsigned scenes = 4 + below(&g, 8);

        choose(&c);
        add_beginning(&c);
        while (scenes-- > 0)
                at = add_scene(&c, at + any_time(&g, USEC_PER_SEC, 5 * USEC_PER_MINUTE));
        /* Whoever is off then is back. */
        add(&g, at + USEC_PER_HOUR, VERB_QUIET, (Action){});
        if (g.error < 0) {
                script_done(&g.script);
                return g.error;
        }
        *ret = g.script;
        return 0;
}
