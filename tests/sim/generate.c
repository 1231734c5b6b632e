/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "generate-private.h"

/* Meetings: who takes part is there for most of it, the others are not there at all. */
#define MEETINGS_A_DAY 5
#define MEETING_LENGTH_MIN (2 * USEC_PER_MINUTE)
#define MEETING_LENGTH_MAX (90 * USEC_PER_MINUTE)

/* Of 100 stories. */
#define LANS 25

/* SplitMix64 (Steele, Lea and Flood, 2014). */
static uint64_t draw(Generator *g) {
        uint64_t x = g->random += UINT64_C(0x9e3779b97f4a7c15);

        x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
        return x ^ x >> 31;
}

uint64_t below(Generator *g, uint64_t limit) {
        return draw(g) % limit;
}

bool chance(Generator *g, unsigned percent) {
        return below(g, 100) < percent;
}

uint64_t any_size(Generator *g, uint64_t least, uint64_t most) {
        unsigned doublings = 0;

        while (least << doublings <= most)
                doublings++;
        doublings = 1 + below(g, doublings);
        return least + below(g, MIN(least << doublings, most + 1) - least);
}

usec_t any_time(Generator *g, usec_t least, usec_t most) {
        usec_t t = any_size(g, least, most);

        return t >= USEC_PER_MINUTE ? t / USEC_PER_SEC * USEC_PER_SEC
                                    : t / USEC_PER_MSEC * USEC_PER_MSEC;
}

unsigned any_user(Generator *g) {
        return below(g, g->script.n_users);
}

unsigned any_tracker(Generator *g) {
        return g->script.n_users + below(g, g->script.n_trackers);
}

void add(Generator *g, usec_t at, Verb verb, Action a) {
        int r;

        a.at = at;
        a.verb = verb;
        if (at >= g->end)
                return;
        r = script_add(&g->script, &a);
        if (r < 0)
                g->error = r;
}

void add_one(Generator *g, usec_t at, Verb verb, unsigned machine) {
        add(g, at, verb, (Action){.a = machine, .n = verb_default(verb)});
}

static void add_two(Generator *g, usec_t at, Verb verb, unsigned a, unsigned b) {
        add(g, at, verb, (Action){.a = a, .b = b, .n = verb_default(verb)});
}

/* Faults, near a message from A to B at AT */

/* Most deaths are at one of the next calls of the world, while there is something to lose. */
static uint64_t any_call(Generator *g) {
        return chance(g, 10) ? 0 : any_size(g, 1, 60);
}

static void add_death(Generator *g, usec_t at, Verb verb, unsigned victim) {
        add(g, at, verb, (Action){.a = victim, .n = any_call(g)});
        add_one(g, at + any_time(g, 100 * USEC_PER_MSEC, 3 * USEC_PER_MINUTE), VERB_START, victim);
}

static void add_cut(Generator *g, usec_t at, Verb verb, unsigned a, unsigned b) {
        usec_t end = at + any_time(g, 200 * USEC_PER_MSEC, 10 * USEC_PER_MINUTE);

        add_two(g, at, verb, a, b);
        if (verb == VERB_ALONE)
                add_one(g, end, VERB_HEAL_ALL, 0);
        else
                add_two(g, end, VERB_HEAL, a, b);
}

static void add_bad_disk(Generator *g, usec_t at, Verb verb, unsigned victim) {
        usec_t end = at + any_time(g, USEC_PER_SEC, 10 * USEC_PER_MINUTE);
        Action a = {.a = victim, .n = verb_default(verb)};

        if (verb == VERB_DISK_FAILS)
                a.n = any_size(g, 1, 20);
        if (verb == VERB_DISK_SLOW)
                a.t = any_time(g, 5 * USEC_PER_MSEC, 3 * USEC_PER_SEC);
        add(g, at, verb, a);
        add_one(g, end, VERB_DISK_GOOD, victim);
}

/* Half of them go back after a while, as clocks do that somebody has noticed. */
static void add_step_of_clock(Generator *g, usec_t at, unsigned victim) {
        bool forward = chance(g, 50);
        Action a = {.a = victim, .t = any_time(g, USEC_PER_SEC, 2 * USEC_PER_DAY)};

        add(g, at, forward ? VERB_CLOCK_FORWARD : VERB_CLOCK_BACK, a);
        if (chance(g, 50))
                add(g, at + any_time(g, USEC_PER_SEC, USEC_PER_HOUR),
                        forward ? VERB_CLOCK_BACK : VERB_CLOCK_FORWARD, a);
}

static void add_network(Generator *g, usec_t at) {
        Action a = {.t = any_time(g, USEC_PER_MSEC, USEC_PER_SEC)};

        if (chance(g, 60))
                a.u = any_time(g, USEC_PER_MSEC, USEC_PER_SEC);
        if (chance(g, 40))
                a.n = any_size(g, 2000, 10 * 1000 * 1000);
        add(g, at, VERB_NETWORK, a);
}

static void add_nat(Generator *g, usec_t at, unsigned victim) {
        add_one(g, at, VERB_NAT_ON, victim);
        if (chance(g, 70))
                add_one(g, at + any_time(g, USEC_PER_SEC, USEC_PER_HOUR), VERB_NAT_OFF, victim);
}

static void add_forgery(Generator *g, usec_t at, unsigned liar) {
        add_one(g, at, VERB_FORGE, liar);
        add_one(g, at + any_time(g, USEC_PER_SEC, 5 * USEC_PER_MINUTE), VERB_HONEST, liar);
}

static void add_new_device(Generator *g, usec_t at, unsigned user) {
        add_one(g, at, VERB_STOP, user);
        add_one(g, at + 2 * USEC_PER_SEC, VERB_RENEW, user);
        add_one(g, at + any_time(g, 3 * USEC_PER_SEC, USEC_PER_MINUTE), VERB_START, user);
}

/* If there is one: it is switched on again, and off. */
static void add_old_device(Generator *g, usec_t at, unsigned user) {
        add_one(g, at, VERB_OLD_START, user);
        add_one(g, at + any_time(g, USEC_PER_SEC, USEC_PER_HOUR), VERB_OLD_STOP, user);
}

/* Off without a word, and on again elsewhere, with something to say. */
static void add_travel(Generator *g, usec_t at, unsigned victim, unsigned other) {
        add(g, at, VERB_POWER, (Action){.a = victim, .n = any_call(g)});
        at += any_time(g, USEC_PER_SEC, USEC_PER_MINUTE);
        add_one(g, at, VERB_MOVE, victim);
        add_one(g, at, VERB_START, victim);
        add_two(g, at + any_time(g, USEC_PER_MSEC, USEC_PER_SEC), VERB_SEND, victim, other);
}

static Fault any_fault(Generator *g) {
        uint64_t n = below(g, g->weight);

        for (Fault f = 0; f < _FAULT_MAX; f++) {
                if (n < g->weights[f])
                        return f;
                n -= g->weights[f];
        }
        return FAULT_KILL;
}

static void add_fault_of(Generator *g, Fault f, usec_t at, unsigned victim, unsigned other) {
        switch (f) {
        case FAULT_KILL:
                add_death(g, at, VERB_KILL, victim);
                break;
        case FAULT_POWER:
                add_death(g, at, VERB_POWER, victim);
                break;
        case FAULT_STOP:
                add_one(g, at, VERB_STOP, victim);
                add_one(g, at + any_time(g, 1500 * USEC_PER_MSEC, USEC_PER_MINUTE), VERB_START,
                        victim);
                break;
        case FAULT_CUT:
                add_cut(g, at, VERB_CUT, victim, other);
                break;
        case FAULT_CUT_ONE_WAY:
                add_cut(g, at, VERB_CUT_ONE_WAY, victim, other);
                break;
        case FAULT_ALONE:
                add_cut(g, at, VERB_ALONE, victim, other);
                break;
        case FAULT_RESET:
                add_two(g, at, VERB_RESET, victim, other);
                break;
        case FAULT_MOVE:
                add_one(g, at, VERB_MOVE, victim);
                break;
        case FAULT_TRAVEL:
                add_travel(g, at, victim, other);
                break;
        case FAULT_NAT:
                add_nat(g, at, victim);
                break;
        case FAULT_DISK_FULL:
                add_bad_disk(g, at, VERB_DISK_FULL, victim);
                break;
        case FAULT_DISK_FAILS:
                add_bad_disk(g, at, VERB_DISK_FAILS, victim);
                break;
        case FAULT_DISK_SLOW:
                add_bad_disk(g, at, VERB_DISK_SLOW, victim);
                break;
        case FAULT_CLOCK:
                add_step_of_clock(g, at, victim);
                break;
        case FAULT_SLEEP:
                add(g, at, VERB_SUSPEND,
                        (Action){.a = victim, .t = any_time(g, USEC_PER_SEC, USEC_PER_HOUR)});
                break;
        case FAULT_FORGE:
                add_forgery(g, at, victim);
                break;
        case FAULT_RENEW:
                if (chance(g, 40))
                        add_new_device(g, at, victim);
                else
                        add_old_device(g, at, victim);
                break;
        case FAULT_NETWORK:
                add_network(g, at);
                break;
        case _FAULT_MAX:
                break;
        }
}

/* A tracker has its place, and nobody who closes its lid or lies. */
static bool is_of_people(Fault f) {
        return f == FAULT_MOVE || f == FAULT_TRAVEL || f == FAULT_NAT || f == FAULT_SLEEP ||
                f == FAULT_FORGE || f == FAULT_RENEW;
}

void add_fault(Generator *g, usec_t at, unsigned a, unsigned b) {
        bool of_tracker = g->script.n_trackers > 0 && chance(g, g->tracker_share);
        unsigned victim = of_tracker ? any_tracker(g) : chance(g, 50) ? a : b;
        Fault f = any_fault(g);

        if (of_tracker && is_of_people(f))
                f = FAULT_KILL;
        add_fault_of(g, f, at, victim, victim == a ? b : a);
}

/* A fault comes from shortly before the message until its receipt is long back. */
static void maybe_fault(Generator *g, usec_t at, unsigned a, unsigned b) {
        usec_t before = any_time(g, 2 * USEC_PER_MSEC, 2 * USEC_PER_SEC);
        usec_t after = any_time(g, USEC_PER_MSEC, 5 * USEC_PER_SEC);

        while (chance(g, g->faults))
                add_fault(g, chance(g, 50) ? usec_sub(at, before) : at + after, a, b);
}

/* Scenes */

static void add_messages(Generator *g, usec_t at, unsigned a, unsigned b, uint64_t n) {
        add(g, at, VERB_SEND, (Action){.a = a, .b = b, .n = n});
}

static usec_t scene_of_burst(Generator *g, usec_t at, unsigned a, unsigned b) {
        maybe_fault(g, at, a, b);
        add_messages(g, at, a, b, any_size(g, 2, 200));
        if (chance(g, 30))
                add_messages(
                        g, at + any_time(g, USEC_PER_MSEC, USEC_PER_SEC), b, a, any_size(g, 1, 50));
        return at + any_time(g, USEC_PER_SEC, USEC_PER_MINUTE);
}

static usec_t scene_of_talk(Generator *g, usec_t at, unsigned a, unsigned b) {
        unsigned lines = 1 + below(g, 8);

        maybe_fault(g, at, a, b);
        for (unsigned i = 0; i < lines; i++) {
                bool forth = chance(g, 50);
                unsigned from = forth ? a : b, to = forth ? b : a;

                add_messages(g, at, from, to, 1);
                if (chance(g, 30))
                        add_two(g, at + any_time(g, 100 * USEC_PER_MSEC, 20 * USEC_PER_SEC),
                                VERB_READ, to, from);
                if (chance(g, 5))
                        add_two(g, at + any_time(g, USEC_PER_MSEC, 10 * USEC_PER_SEC), VERB_CANCEL,
                                from, to);
                at += any_time(g, USEC_PER_MSEC, 30 * USEC_PER_SEC);
        }
        return at;
}

/* Clients that come and go. */
static void scene_of_clients(Generator *g, usec_t at, unsigned a) {
        static const Verb verbs[] = {VERB_LISTEN, VERB_DEAFEN, VERB_CATCH_UP};

        add_one(g, at, verbs[below(g, ELEMENTSOF(verbs))], a);
}

static usec_t add_scene(Generator *g, usec_t at, const bool *here) {
        unsigned a, b;

        do
                a = any_user(g);
        while (!here[a]);
        do
                b = any_user(g);
        while (b == a || (!here[b] && chance(g, 70)));
        if (chance(g, 20))
                scene_of_clients(g, usec_sub(at, any_time(g, USEC_PER_MSEC, USEC_PER_SEC)),
                        chance(g, 50) ? a : b);
        return chance(g, g->bursts) ? scene_of_burst(g, at, a, b) : scene_of_talk(g, at, a, b);
}

/* Who goes stops the program, closes the lid, or loses power. */
static void add_departure(Generator *g, usec_t at, usec_t next, unsigned user) {
        unsigned how = below(g, 100);

        if (how < 25 && next > at + USEC_PER_SEC)
                add(g, at, VERB_SUSPEND, (Action){.a = user, .t = next - at});
        else if (how < 40)
                add(g, at, VERB_KILL, (Action){.a = user});
        else if (how < 50)
                add(g, at, VERB_POWER, (Action){.a = user});
        else
                add_one(g, at, VERB_STOP, user);
}

/* People come within a minute, and are asleep at most until NEXT. */
static void add_meeting(Generator *g, usec_t at, usec_t length, usec_t next) {
        bool here[SCRIPT_USERS_MAX] = {};
        usec_t end = at + length;

        here[any_user(g)] = true;
        for (unsigned i = 0; i < g->script.n_users; i++) {
                here[i] |= chance(g, g->crowd);
                if (here[i])
                        add_one(g, at + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), VERB_START, i);
        }
        at += any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE);
        while (at < end) {
                at = add_scene(g, at, here);
                at += any_time(g, USEC_PER_SEC, MEETING_LENGTH_MAX / 4);
        }
        for (unsigned i = 0; i < g->script.n_users; i++)
                if (here[i])
                        add_departure(
                                g, end + any_time(g, USEC_PER_MSEC, USEC_PER_MINUTE), next, i);
}

static void add_day(Generator *g, unsigned day) {
        usec_t begin = day * USEC_PER_DAY, slot = (USEC_PER_DAY - EVENING) / MEETINGS_A_DAY;

        g->end = begin + USEC_PER_DAY - EVENING;
        for (unsigned i = 0; i < MEETINGS_A_DAY; i++) {
                usec_t length = any_time(g, MEETING_LENGTH_MIN, MEETING_LENGTH_MAX);
                usec_t at = begin + i * slot + any_time(g, USEC_PER_SEC, slot - length);

                add_meeting(g, at, length, begin + (i + 1) * slot);
        }
        g->end = begin + USEC_PER_DAY;
}

/* Mail: what is rare, and comes on top of the days */

/* Two are left, at least. */
static void add_destruction(Generator *g, usec_t at, unsigned from, unsigned to) {
        add_messages(g, at, from, to, any_size(g, 1, 40));
        if (g->destroyed + 2U >= g->script.n_users)
                return;
        g->destroyed++;
        add_one(g, at + any_time(g, USEC_PER_SEC, 10 * USEC_PER_MINUTE), VERB_DESTROY, from);
}

/* A story that is quiet meanwhile would have everybody start. */
static void leave_out(Generator *g, usec_t begin, usec_t end, unsigned user) {
        Script *s = &g->script;
        size_t n = 0;

        for (size_t i = 0; i < s->n; i++) {
                const Action *a = &s->actions[i];
                bool within = a->at >= begin && a->at < end;

                if (!within || (a->verb != VERB_QUIET && (a->verb != VERB_START || a->a != user)))
                        s->actions[n++] = *a;
        }
        s->n = n;
}

static usec_t any_moment(Generator *g, usec_t begin, usec_t end) {
        return (begin + below(g, end - begin)) / USEC_PER_MSEC * USEC_PER_MSEC;
}

/* Longer than a prekey is the newest; clocks step meanwhile. */
static void add_absence(Generator *g, unsigned days, unsigned user) {
        usec_t begin = any_time(g, USEC_PER_MINUTE, 2 * USEC_PER_DAY);
        usec_t end = days * USEC_PER_DAY - any_time(g, USEC_PER_HOUR, USEC_PER_DAY);
        unsigned others = 1 + below(g, 3);

        if (end <= begin)
                return;
        leave_out(g, begin, end, user);
        add_one(g, begin / 2, VERB_START, user); /* so that he is known */
        add_one(g, begin, VERB_STOP, user);
        for (unsigned i = 0; i < others; i++) {
                unsigned from = any_user(g);
                usec_t at = any_moment(g, begin, end);

                if (from == user)
                        continue;
                add_one(g, usec_sub(at, USEC_PER_MINUTE), VERB_START, from);
                if (chance(g, 30))
                        add_step_of_clock(g, at - USEC_PER_SEC, from);
                add_destruction(g, at, from, user);
        }
        add_one(g, end, VERB_START, user);
}

static void add_lie(Generator *g, usec_t at) {
        unsigned liar = any_tracker(g);

        add_one(g, at, VERB_WITHHOLD + below(g, VERB_LIES_NO_MORE - VERB_WITHHOLD), liar);
        add_one(g, at + any_time(g, USEC_PER_MINUTE, 6 * USEC_PER_HOUR), VERB_LIES_NO_MORE, liar);
}

static void add_lost_disk(Generator *g, usec_t at) {
        unsigned victim = any_tracker(g);

        add_one(g, at, VERB_DISK_LOST, victim);
        add_one(g, at + any_time(g, USEC_PER_SEC, USEC_PER_HOUR), VERB_START, victim);
}

static void add_mail(Generator *g, unsigned days) {
        usec_t length = days * USEC_PER_DAY - EVENING;
        unsigned lies = chance(g, 40) ? 1 + below(g, 4) : 0;

        if (chance(g, 40))
                add_absence(g, days, any_user(g));
        if (chance(g, 30)) {
                unsigned from = any_user(g);

                add_destruction(g, any_moment(g, 0, length), from, (from + 1) % g->script.n_users);
        }
        while (lies-- > 0)
                add_lie(g, any_moment(g, 0, length));
        if (chance(g, 20))
                add_lost_disk(g, any_moment(g, 0, length));
}

/* The world */

static void choose(Generator *g) {
        static const unsigned weights[] = {0, 0, 0, 1, 2, 8};

        g->script.n_users = 3 + below(g, 4);
        g->script.n_trackers = 1 + below(g, 2);
        for (Fault f = 0; f < _FAULT_MAX; f++)
                g->weight += g->weights[f] = weights[below(g, ELEMENTSOF(weights))];
        if (g->weight == 0)
                g->weight = g->weights[FAULT_KILL] = 1;
        g->faults = 10 + below(g, 60);
        g->tracker_share = below(g, 40);
        g->crowd = 30 + below(g, 60);
        g->bursts = below(g, 60);
}

int generate(uint64_t seed, unsigned days, Script *ret) {
        Generator g = {.random = seed, .script = {.seed = seed}, .end = USEC_INFINITY};

        choose(&g);
        for (unsigned i = 0; i < g.script.n_trackers; i++)
                add_one(&g, 0, VERB_START, g.script.n_users + i);
        if (chance(&g, 30))
                add_network(&g, 0);
        for (unsigned day = 0; day < days; day++) {
                add_day(&g, day);
                if (day + 1 == days || chance(&g, 80))
                        add(&g, (day + 1) * USEC_PER_DAY - 1, VERB_QUIET, (Action){});
        }
        g.end = days * USEC_PER_DAY - EVENING;
        add_mail(&g, days);
        /* With a source of its own: the stories of other seeds stay as they are. */
        g.random = ~seed;
        if (chance(&g, LANS))
                add_lans(&g, days);
        if (g.error < 0) {
                script_done(&g.script);
                return g.error;
        }
        *ret = g.script;
        return 0;
}
