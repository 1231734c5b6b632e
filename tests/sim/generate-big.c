/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * The story of a room with very many members: all come within minutes and talk. Then the network
 * falls into three parts, in each of which something happens that the others do not hear of;
 * meanwhile people come and go, and what they stand on fails.
 */

#include "generate-private.h"

#define STARTING (20 * USEC_PER_SEC)
#define JOINING (20 * USEC_PER_SEC) /* after all have started */
#define PARTS 3
#define PARTED (4 * USEC_PER_MINUTE)

#define LINES_A_SCENE 12

/* Of those that have parts of their own in the story; all others are anybody. */
typedef struct Cast {
        unsigned doubled; /* two devices of his write with one number */
        unsigned kicked; /* by the founder, who does not hear what he says meanwhile */
        unsigned moved; /* to another device, with what he has not sent on both */
} Cast;

/* Elsewhere than the founder, when the network is in parts. */
static unsigned any_elsewhere(Generator *g) {
        unsigned who = (unsigned)below(g, (g->script.n_users - PARTS) / PARTS) * PARTS;

        return who + 1 + (unsigned)below(g, PARTS - 1);
}

static Cast choose_cast(Generator *g) {
        Cast c = {.doubled = g->script.n_users - 1};

        do {
                c.kicked = any_elsewhere(g);
                c.moved = any_elsewhere(g);
        } while (c.kicked == c.moved || c.kicked == c.doubled || c.moved == c.doubled);
        return c;
}

/* Not one whose absence would make nothing of what is to happen to him. */
static unsigned any_extra(Generator *g, const Cast *c) {
        unsigned who;

        do
                who = any_user(g);
        while (who == 0 || who == c->doubled || who == c->kicked || who == c->moved);
        return who;
}

static void add_posts(Generator *g, usec_t at, Verb verb, unsigned who) {
        add(g, at, verb, (Action){.a = who, .n = 1 + below(g, 2)});
}

static usec_t add_beginning(Generator *g) {
        for (unsigned i = 0; i < g->script.n_trackers; i++)
                add_one(g, 0, VERB_START, g->script.n_users + i);
        add_one(g, 0, VERB_START, 0);
        add_one(g, 5 * USEC_PER_SEC, VERB_ROOM_MAKE, 0);
        for (unsigned i = 1; i < g->script.n_users; i++) {
                add_one(g, below(g, STARTING / USEC_PER_MSEC) * USEC_PER_MSEC, VERB_START, i);
                add_one(g, STARTING + below(g, JOINING / USEC_PER_MSEC) * USEC_PER_MSEC,
                        VERB_ROOM_JOIN, i);
        }
        return STARTING + JOINING + USEC_PER_MINUTE;
}

static void add_talk(Generator *g, usec_t at, usec_t length, const Cast *c) {
        for (unsigned i = 0; i < LINES_A_SCENE; i++) {
                usec_t when = at + below(g, length / USEC_PER_MSEC) * USEC_PER_MSEC;

                add_posts(g, when, VERB_ROOM_POST, chance(g, 30) ? 0 : any_extra(g, c));
                if (chance(g, 20))
                        add_one(g, when, VERB_ROOM_READ, any_user(g));
                if (chance(g, g->faults))
                        add_fault(g, when, any_extra(g, c), any_extra(g, c));
        }
}

/* Off, and back. */
static void add_churn(Generator *g, usec_t at, usec_t length, const Cast *c) {
        unsigned n = g->script.n_users / 20;

        while (n-- > 0) {
                Verb how = chance(g, 50) ? VERB_STOP : chance(g, 50) ? VERB_KILL : VERB_POWER;
                usec_t when = at + below(g, length / USEC_PER_MSEC) * USEC_PER_MSEC;
                unsigned who = any_extra(g, c);

                add_one(g, when, how, who);
                if (chance(g, 30))
                        add_one(g, when + USEC_PER_MSEC, VERB_MOVE, who);
                if (chance(g, 20))
                        add_posts(g, when + USEC_PER_SEC, VERB_ROOM_POST, who);
                add_one(g, when + any_time(g, 2 * USEC_PER_SEC, length), VERB_START, who);
        }
}

static void add_twin(Generator *g, usec_t at, unsigned who) {
        add_one(g, at, VERB_STOP, who);
        add_one(g, at + 2 * USEC_PER_SEC, VERB_TWIN, who);
        at += 4 * USEC_PER_SEC;
        add_one(g, at, VERB_START, who);
        add_one(g, at, VERB_OLD_START, who);
        add_posts(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_ROOM_POST, who);
        add_posts(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_OLD_POST, who);
        add_one(g, at + PARTED / 2, VERB_OLD_STOP, who);
}

static void add_kick(Generator *g, usec_t at, unsigned who) {
        add_posts(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_ROOM_POST, who);
        at += USEC_PER_MINUTE;
        add(g, at, VERB_ROOM_KICK, (Action){.b = who});
        for (unsigned i = 0; i < 2; i++)
                add_posts(g, at + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), VERB_ROOM_POST, who);
}

/* What he says while he is alone both devices have, and nobody else. */
static void add_device(Generator *g, usec_t at, unsigned who) {
        add_one(g, at, VERB_ALONE, who);
        add_posts(g, at + USEC_PER_SEC, VERB_ROOM_POST, who);
        add_one(g, at + 20 * USEC_PER_SEC, VERB_STOP, who);
        add_one(g, at + 25 * USEC_PER_SEC, VERB_RENEW, who);
        add_one(g, at + any_time(g, 30 * USEC_PER_SEC, PARTED), VERB_START, who);
        add_posts(g, at + PARTED, VERB_ROOM_POST, who);
}

static usec_t add_parts(Generator *g, usec_t at, const Cast *c) {
        add(g, at, VERB_PARTS, (Action){.n = PARTS});
        add_twin(g, at, c->doubled);
        add_kick(g, at, c->kicked);
        add_device(g, at + any_time(g, USEC_PER_SEC, PARTED / 2), c->moved);
        add_talk(g, at, PARTED, c);
        add_churn(g, at, PARTED, c);
        add_one(g, at + PARTED, VERB_HEAL_ALL, 0);
        return at + PARTED;
}

static void choose(Generator *g) {
        static const unsigned weights[] = {0, 1, 2, 8};
        static const Fault faults[] = {FAULT_KILL, FAULT_POWER, FAULT_STOP, FAULT_CUT,
                FAULT_CUT_ONE_WAY, FAULT_ALONE, FAULT_RESET, FAULT_MOVE, FAULT_NAT, FAULT_DISK_FULL,
                FAULT_DISK_FAILS, FAULT_DISK_SLOW, FAULT_SLEEP};

        g->script.n_trackers = 1 + below(g, 3);
        for (size_t i = 0; i < ELEMENTSOF(faults); i++)
                g->weight += g->weights[faults[i]] = weights[below(g, ELEMENTSOF(weights))];
        if (g->weight == 0)
                g->weight = g->weights[FAULT_KILL] = 1;
        g->faults = 10 + below(g, 50);
}

int generate_big_room(uint64_t seed, unsigned members, Script *ret) {
        Generator g = {
                .random = seed, .script = {.seed = seed, .n_users = members}, .end = USEC_INFINITY};
        usec_t at;
        Cast c;

        choose(&g);
        c = choose_cast(&g);
        at = add_beginning(&g);
        add_talk(&g, at, USEC_PER_MINUTE, &c);
        at = add_parts(&g, at + USEC_PER_MINUTE, &c);
        add_talk(&g, at, USEC_PER_MINUTE, &c);
        add_churn(&g, at, USEC_PER_MINUTE, &c);
        /* Whoever is off then is back. */
        add(&g, at + 10 * USEC_PER_MINUTE, VERB_QUIET, (Action){});
        if (g.error < 0) {
                script_done(&g.script);
                return g.error;
        }
        *ret = g.script;
        return 0;
}
