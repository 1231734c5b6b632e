/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Stories of a room: everybody comes, talks, goes and comes back, while the network falls into
 * parts, and people are removed and leave.
 */

#include "generate-private.h"

#define MEMBERS 12
#define BEGINNING (5 * USEC_PER_MINUTE) /* until all have come */
#define ALL_INVITED (BEGINNING * 3 / 4)

static void add_two_of(Generator *g, usec_t at, Verb verb, unsigned a, unsigned b) {
        if (a != b)
                add(g, at, verb, (Action){.a = a, .b = b, .n = verb_default(verb)});
}

static unsigned any_but_founder(Generator *g) {
        return 1 + below(g, g->script.n_users - 1);
}

static void add_beginning(Generator *g) {
        bool open = g->make == VERB_ROOM_MAKE;

        for (unsigned i = 0; i < g->script.n_trackers; i++)
                add_one(g, 0, VERB_START, g->script.n_users + i);
        add_one(g, 0, VERB_START, 0);
        add_one(g, 5 * USEC_PER_SEC, g->make, 0);
        for (unsigned i = 1; i < g->script.n_users; i++) {
                usec_t at = any_time(g, USEC_PER_MSEC, BEGINNING / 2);

                add_one(g, at, VERB_START, i);
                at += any_time(g, USEC_PER_SEC, BEGINNING / 2);
                if (!open)
                        add_two_of(g, BEGINNING / 2, VERB_ROOM_INVITE, 0, i);
                add_one(g, open ? at : MAX(at, ALL_INVITED), VERB_ROOM_JOIN, i);
        }
        for (unsigned i = 1; i <= g->admins; i++)
                add_two_of(g, BEGINNING, VERB_ROOM_ADMIN, 0, i);
}

static usec_t add_talk(Generator *g, usec_t at) {
        unsigned lines = 1 + below(g, 10);
        unsigned a = any_user(g), b = any_user(g);

        while (chance(g, g->faults) && a != b)
                add_fault(g, at + any_time(g, USEC_PER_MSEC, 10 * USEC_PER_SEC), a, b);
        for (unsigned i = 0; i < lines; i++) {
                unsigned from = chance(g, 60) ? a : chance(g, 50) ? b : any_user(g);

                add(g, at, VERB_ROOM_POST,
                        (Action){.a = from, .n = chance(g, 20) ? any_size(g, 2, 40) : 1});
                if (chance(g, 20))
                        add_one(g, at + any_time(g, USEC_PER_MSEC, 10 * USEC_PER_SEC),
                                VERB_ROOM_READ, any_user(g));
                at += any_time(g, USEC_PER_MSEC, 20 * USEC_PER_SEC);
        }
        return at;
}

/* Whoever goes says something around it, and so do others. */
static void add_removal(Generator *g, usec_t at) {
        unsigned who = any_but_founder(g), by = chance(g, 80) ? 0 : any_user(g);

        if (g->admins > 0 && chance(g, 50))
                by = 1 + below(g, g->admins);

        add(g, usec_sub(at, any_time(g, USEC_PER_MSEC, 2 * USEC_PER_SEC)), VERB_ROOM_POST,
                (Action){.a = who, .n = 1 + below(g, 5)});
        if (chance(g, 40))
                add_one(g, at, VERB_ROOM_LEAVE, who);
        else
                add_two_of(g, at, VERB_ROOM_KICK, by, who);
        add(g, at + any_time(g, USEC_PER_MSEC, 2 * USEC_PER_SEC), VERB_ROOM_POST,
                (Action){.a = who, .n = 1 + below(g, 5)});
        add(g, at + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), VERB_ROOM_POST,
                (Action){.a = any_user(g), .n = 1 + below(g, 5)});
        if (!chance(g, 50))
                return;
        at += any_time(g, USEC_PER_SEC, 20 * USEC_PER_MINUTE);
        if (chance(g, 50))
                add_two_of(g, at, VERB_ROOM_INVITE, 0, who);
        add_one(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_ROOM_JOIN, who);
}

static usec_t add_parts(Generator *g, usec_t at) {
        usec_t length = any_time(g, 10 * USEC_PER_SEC, 30 * USEC_PER_MINUTE);
        usec_t end = at + length;

        add(g, at, VERB_PARTS, (Action){.n = 2 + below(g, 3)});
        while (at < end && !g->error) {
                at = add_talk(g, at + any_time(g, USEC_PER_MSEC, 5 * USEC_PER_MINUTE));
                if (chance(g, 15))
                        add_removal(g, at);
        }
        add_one(g, at, VERB_HEAL_ALL, 0);
        return at;
}

/* Off, and back. */
static void add_churn(Generator *g, usec_t at) {
        unsigned n = 1 + below(g, 4);

        while (n-- > 0) {
                unsigned who = any_user(g);
                Verb how = chance(g, 50) ? VERB_STOP : chance(g, 50) ? VERB_KILL : VERB_POWER;

                add_one(g, at, how, who);
                if (chance(g, 30))
                        add_one(g, at + USEC_PER_MSEC, VERB_MOVE, who);
                if (chance(g, 50))
                        add(g, at + USEC_PER_SEC, VERB_ROOM_POST,
                                (Action){.a = who, .n = 1 + below(g, 3)});
                add_one(g, at + any_time(g, 2 * USEC_PER_SEC, 40 * USEC_PER_MINUTE), VERB_START,
                        who);
                at += any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE);
        }
}

/* A disk that was copied: both write, in different parts. The last one of all, as nobody else is
 * doubled. */
static usec_t add_fork(Generator *g, usec_t at) {
        unsigned who = g->script.n_users - 1;

        add_one(g, at, VERB_STOP, who);
        add_one(g, at + 2 * USEC_PER_SEC, VERB_TWIN, who);
        at += 3 * USEC_PER_SEC;
        add(g, at, VERB_PARTS, (Action){.n = 2});
        add_one(g, at, VERB_START, who);
        add_one(g, at, VERB_OLD_START, who);
        add(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_ROOM_POST,
                (Action){.a = who, .n = 1 + below(g, 3)});
        add(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_OLD_POST,
                (Action){.a = who, .n = 1 + below(g, 3)});
        for (unsigned i = 0; i < 4; i++)
                add(g, at + any_time(g, USEC_PER_SEC, 3 * USEC_PER_MINUTE), VERB_ROOM_POST,
                        (Action){.a = any_user(g), .n = 1 + below(g, 3)});
        at += 5 * USEC_PER_MINUTE;
        add_one(g, at, VERB_OLD_STOP, who);
        add_one(g, at + USEC_PER_SEC, VERB_HEAL_ALL, 0);
        return at + USEC_PER_SEC;
}

/* A new device, and what the old one had still to say, or says afterwards. */
static void add_device(Generator *g, usec_t at) {
        unsigned who = any_user(g);

        add_one(g, at, VERB_ALONE, who);
        add(g, at + USEC_PER_MSEC, VERB_ROOM_POST, (Action){.a = who, .n = 1 + below(g, 3)});
        add_one(g, at + USEC_PER_SEC, VERB_STOP, who);
        at += 4 * USEC_PER_SEC;
        add_one(g, at, VERB_RENEW, who);
        add_one(g, at, VERB_HEAL_ALL, 0);
        add_one(g, at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE), VERB_START, who);
        add(g, at + any_time(g, USEC_PER_SEC, 5 * USEC_PER_MINUTE), VERB_ROOM_POST,
                (Action){.a = who, .n = 1 + below(g, 3)});
}

/* Never to who is doubled: his room would have a log that is forked. */
static void add_gift(Generator *g, usec_t at) {
        unsigned who = 1 + below(g, g->script.n_users - 2);

        add_two_of(g, at, VERB_ROOM_GIVE, 0, who);
        add_removal(g, at + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE));
        add_two_of(g, at + any_time(g, USEC_PER_SEC, 5 * USEC_PER_MINUTE), VERB_ROOM_KICK, who,
                any_but_founder(g));
}

/* Now and then somebody says something, goes, or is to go; and who does not stay looks in. */
static void add_days(Generator *g, usec_t at, usec_t end) {
        while (at < end) {
                unsigned who = any_but_founder(g), by = 1 + below(g, g->admins);

                add_one(g, at, VERB_START, who);
                add(g, at + USEC_PER_MINUTE, VERB_ROOM_POST, (Action){.a = who, .n = 1});
                if (chance(g, 30))
                        add_two_of(g, at + 2 * USEC_PER_MINUTE, VERB_ROOM_KICK, by,
                                any_but_founder(g));
                else if (chance(g, 30))
                        add_one(g, at + 2 * USEC_PER_MINUTE, VERB_ROOM_LEAVE, who);
                if (who > g->admins)
                        add_one(g, at + any_time(g, 5 * USEC_PER_MINUTE, 30 * USEC_PER_MINUTE),
                                VERB_STOP, who);
                at += any_time(g, USEC_PER_HOUR, 2 * USEC_PER_DAY);
        }
}

/* The founder is away for about as long as a room waits for its owner, or for ever, and most others
 * are; what they wait for is for his admins, one after the other, who stay. */
static usec_t add_absence(Generator *g, usec_t at) {
        static const Verb ways[] = {VERB_STOP, VERB_KILL, VERB_POWER, VERB_DESTROY};
        usec_t end = at + any_time(g, 5 * USEC_PER_DAY, 11 * USEC_PER_DAY);

        for (unsigned i = 1; i < g->script.n_users; i++)
                add_one(g, at, i <= g->admins ? VERB_START : VERB_STOP, i);
        add(g, at + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), ways[below(g, ELEMENTSOF(ways))],
                (Action){});
        add_days(g, at + any_time(g, USEC_PER_SEC, USEC_PER_DAY), end);
        for (unsigned i = 0; i < g->script.n_users; i++)
                add_one(g, end + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), VERB_START, i);
        at = add_talk(g, end + any_time(g, USEC_PER_SEC, 5 * USEC_PER_MINUTE));
        add_two_of(g, at, VERB_ROOM_KICK, 1 + below(g, g->admins), any_but_founder(g));
        return add_talk(g, at + any_time(g, USEC_PER_SEC, 5 * USEC_PER_MINUTE));
}

static void choose(Generator *g) {
        static const unsigned weights[] = {0, 0, 1, 2, 8};
        static const Fault faults[] = {FAULT_KILL, FAULT_POWER, FAULT_STOP, FAULT_CUT,
                FAULT_CUT_ONE_WAY, FAULT_ALONE, FAULT_RESET, FAULT_MOVE, FAULT_NAT, FAULT_DISK_FULL,
                FAULT_DISK_FAILS, FAULT_DISK_SLOW, FAULT_CLOCK, FAULT_SLEEP, FAULT_NETWORK};

        g->script.n_users = MEMBERS;
        g->script.n_trackers = 1 + below(g, 3);
        for (size_t i = 0; i < ELEMENTSOF(faults); i++)
                g->weight += g->weights[faults[i]] = weights[below(g, ELEMENTSOF(weights))];
        if (g->weight == 0)
                g->weight = g->weights[FAULT_KILL] = 1;
        g->faults = below(g, 60);
        g->tracker_share = below(g, 20);
        g->make = chance(g, 60) ? VERB_ROOM_MAKE
                : chance(g, 50) ? VERB_ROOM_MAKE_PRIVATE
                                : VERB_ROOM_MAKE_HIDDEN;
        g->admins = chance(g, 50) ? 1 + below(g, 3) : 0;
        g->absence = g->admins > 0 && chance(g, 12);
}

int generate_rooms(uint64_t seed, Script *ret) {
        Generator g = {.random = seed, .script = {.seed = seed}, .end = USEC_INFINITY};
        usec_t at = BEGINNING;
        unsigned scenes = 8 + below(&g, 12);

        choose(&g);
        add_beginning(&g);
        while (scenes-- > 0) {
                unsigned what = below(&g, 100);

                if (what < 50)
                        at = add_talk(&g, at);
                else if (what < 65)
                        at = add_parts(&g, at);
                else if (what < 85)
                        add_churn(&g, at);
                else if (what < 94)
                        add_removal(&g, at);
                else if (what < 96)
                        at = add_fork(&g, at);
                else if (what < 98 && !g.absence)
                        add_gift(&g, at);
                else
                        add_device(&g, at);
                at += any_time(&g, USEC_PER_SEC, 5 * USEC_PER_MINUTE);
        }
        if (g.absence)
                at = add_absence(&g, at + USEC_PER_HOUR);
        /* Whoever is off then is back. */
        add(&g, at + USEC_PER_HOUR, VERB_QUIET, (Action){});
        if (g.error < 0) {
                script_done(&g.script);
                return g.error;
        }
        *ret = g.script;
        return 0;
}
