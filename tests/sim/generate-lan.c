/* SPDX-License-Identifier: GPL-3.0-or-later */

/* People on LANs, as the seed says: what happens there comes on top of the days, near messages. */

#include "generate-private.h"

typedef enum LanFault {
        LAN_FAULT_MOVE,
        LAN_FAULT_SWITCH,
        LAN_FAULT_UNPLUG,
        LAN_FAULT_PART,
        LAN_FAULT_ROUTER,
        LAN_FAULT_LOSSY,
        LAN_FAULT_INTRUDER,
        _LAN_FAULT_MAX,
} LanFault;

static const usec_t flood_time = 20 * USEC_PER_SEC;

static unsigned any_lan(Generator *g) {
        return 1 + below(g, SCRIPT_LANS_MAX);
}

/* Most are on the first one. */
static unsigned likely_lan(Generator *g) {
        return chance(g, 75) ? 1 : any_lan(g);
}

static void add_lan(Generator *g, usec_t at, Verb verb, unsigned machine, unsigned lan) {
        add(g, at, verb, (Action){.a = machine, .n = lan});
}

static usec_t while_later(Generator *g, usec_t at) {
        return at + any_time(g, USEC_PER_SEC, 2 * USEC_PER_HOUR);
}

static void add_split(Generator *g, usec_t at, unsigned victim) {
        add_lan(g, at, VERB_LAN_SWITCH, victim, any_lan(g));
        add_lan(g, while_later(g, at), VERB_LAN_SWITCH, victim, likely_lan(g));
}

static void add_unplugged(Generator *g, usec_t at, unsigned victim) {
        add_one(g, at, VERB_UNPLUG, victim);
        add_one(g, while_later(g, at), VERB_PLUG, victim);
}

static void add_loss(Generator *g, usec_t at) {
        Action a = {.n = any_size(g, 1, 60), .t = any_time(g, USEC_PER_MSEC, 5 * USEC_PER_SEC)};

        add(g, at, VERB_LAN_FAULTS, a);
        add(g, while_later(g, at), VERB_LAN_FAULTS, (Action){});
}

/* He has heard something before he begins. */
static void add_intruder(Generator *g, usec_t at) {
        usec_t begin = usec_sub(at, any_time(g, USEC_PER_SEC, 10 * USEC_PER_MINUTE));
        usec_t end = at + any_time(g, USEC_PER_SEC, 30 * USEC_PER_MINUTE);

        add_lan(g, begin, VERB_INTRUDER_COMES, 0, likely_lan(g));
        add(g, at, VERB_REPLAY + below(g, VERB_FLOOD - VERB_REPLAY), (Action){});
        if (chance(g, 50))
                add(g, at, VERB_REPLAY, (Action){});
        if (chance(g, 20)) {
                add(g, at, VERB_FLOOD, (Action){});
                end = MIN(end, at + flood_time);
        }
        add(g, end, VERB_INTRUDER_STOPS, (Action){});
}

static void add_lan_fault(Generator *g, usec_t at, unsigned victim) {
        switch ((LanFault)below(g, _LAN_FAULT_MAX)) {
        case LAN_FAULT_MOVE:
                add_lan(g, at, VERB_LAN_MOVE, victim, likely_lan(g));
                break;
        case LAN_FAULT_SWITCH:
                add_split(g, at, victim);
                break;
        case LAN_FAULT_UNPLUG:
                add_unplugged(g, at, victim);
                break;
        case LAN_FAULT_PART:
                add(g, at, chance(g, 50) ? VERB_LANS_JOIN : VERB_LANS_PART, (Action){});
                break;
        case LAN_FAULT_ROUTER:
                add(g, at, VERB_ROUTER_OFF, (Action){});
                add(g, while_later(g, at), VERB_ROUTER_ON, (Action){});
                break;
        case LAN_FAULT_LOSSY:
                add_loss(g, at);
                break;
        case LAN_FAULT_INTRUDER:
                add_intruder(g, at);
                break;
        case _LAN_FAULT_MAX:
                break;
        }
}

/* Shortly before or after one of the messages, and what is quiet has joined all LANs. */
static void add_lan_faults(Generator *g, unsigned days) {
        unsigned n = any_size(g, 1, 4 * days);

        for (unsigned i = 0; i < n; i++) {
                const Action *a = &g->script.actions[below(g, g->script.n)];
                usec_t around = any_time(g, USEC_PER_MSEC, 5 * USEC_PER_MINUTE);
                unsigned victim = a->a < g->script.n_users ? a->a : any_user(g);

                add_lan_fault(g, chance(g, 50) ? a->at + around : usec_sub(a->at, around), victim);
        }
        for (unsigned day = 1; day < days; day++)
                if (chance(g, 60))
                        add(g, day * USEC_PER_DAY, VERB_LANS_PART, (Action){});
}

void add_lans(Generator *g, unsigned days) {
        unsigned lonely = chance(g, 40) ? 100 : below(g, 60); /* of 100 know no tracker */

        for (unsigned i = 0; i < g->script.n_users; i++) {
                add_lan(g, 0, VERB_LAN_MOVE, i, likely_lan(g));
                if (!chance(g, lonely))
                        continue;
                add_one(g, 0, VERB_NO_TRACKER, i);
                if (chance(g, 25))
                        add_one(g, any_time(g, USEC_PER_MINUTE, days * USEC_PER_DAY), VERB_PUBLISH,
                                i);
        }
        if (chance(g, 30))
                add_lan(g, 0, VERB_LAN_MOVE, any_tracker(g), likely_lan(g));
        add_lan_faults(g, days);
}
