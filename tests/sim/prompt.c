/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "prompt.h"

#include <utlist.h>

#include "faults.h"

/* How often it is looked at. */
#define TICK (2 * USEC_PER_SEC)

/* After that nothing is left of what was wrong: dead connections are known to be dead, and what
 * waits for an endpoint without hearing of it has tried it again: an attempt every SCHEDULE_LAST,
 * which may find the endpoint's own pause not over. */
#define CALM (12 * USEC_PER_MINUTE)

/* For a message between calm machines, of which one may still be dialled at an old address, */
#define SOON (6 * USEC_PER_SEC)

/* and of a program that has just started, which is patient with nobody, to one that has been calm
 * since dead connections were noticed. */
#define CALM_ENOUGH (2 * USEC_PER_MINUTE)
#define SOON_AFTER_START (1500 * USEC_PER_MSEC)

/* A session that lasted is back so soon, though the first attempt may have met the end of what was
 * wrong and have to be given up. */
#define SESSION_LASTING USEC_PER_MINUTE
#define SESSION_SOON (20 * USEC_PER_SEC)

typedef struct Seen {
        bool ready;
        usec_t since; /* as it is now */
        bool lasted; /* before it was lost */
} Seen;

struct Prompt {
        World *world;
        LoopTimer *timer;
        Letter *awaited[MACHINES_MAX]; /* by recipient: nobody looks for who is not there */
        Seen sessions[MACHINES_MAX][TRACKERS_MAX]; /* daemon, tracker: numbers */
};

static Letter **awaited_of(Prompt *p, const Letter *l) {
        return &p->awaited[l->to->machine->number];
}

void prompt_await(Prompt *p, Letter *l) {
        Letter **awaited = awaited_of(p, l);

        l->kept_at = p->world->now;
        DL_APPEND2(*awaited, l, late_prev, late_next);
}

void prompt_done(Prompt *p, Letter *l) {
        Letter **awaited = awaited_of(p, l);

        if (l->kept_at == 0)
                return;
        l->kept_at = 0;
        DL_DELETE2(*awaited, l, late_prev, late_next);
}

/* Machines */

static usec_t trackers_calm_since(const World *w) {
        usec_t since = w->no_router ? USEC_INFINITY : 0;

        for (unsigned i = 0; i < w->n_trackers; i++) {
                const Machine *t = w->machines[w->n_users + i];
                usec_t calm = machine_calm_since(t);

                since = later(since, calm == USEC_INFINITY ? calm : later(calm, t->started));
        }
        return since;
}

/* When nothing has happened to it for so long, and its program runs as long. */
static usec_t calm_at(const Machine *m, usec_t time) {
        return usec_add(later(machine_calm_since(m), m->started), time);
}

/* Messages */

static bool is_blocked(const Letter *l) {
        return mail_between(l->from, l->to)->blocked || mail_between(l->to, l->from)->blocked;
}

/* Who was turned away comes again in his own time, as after anything that was wrong. */
static usec_t unblocked_at(const Letter *l) {
        usec_t at = later(
                mail_between(l->from, l->to)->unblocked, mail_between(l->to, l->from)->unblocked);

        return at > 0 ? usec_add(at, CALM) : 0;
}

static usec_t due_by_trackers(const World *w, const Letter *l) {
        const Machine *from = l->from->machine, *to = l->to->machine;
        usec_t trackers, all, others;

        if (from->no_tracker || to->no_tracker || !host_is_routed(from->host) ||
                !host_is_routed(to->host))
                return USEC_INFINITY;
        trackers = trackers_calm_since(w);
        others = later(usec_add(trackers, CALM_ENOUGH), calm_at(to, CALM_ENOUGH));
        if (unblocked_at(l) < from->started && machine_calm_since(from) <= from->started &&
                others <= from->started)
                return later(from->started, l->kept_at) + SOON_AFTER_START;
        all = later(usec_add(trackers, CALM), later(calm_at(to, CALM), calm_at(from, CALM)));
        return usec_add(later(later(all, unblocked_at(l)), l->kept_at), SOON);
}

/* The trackers may be dead, or not for him. */
static usec_t due_on_lan(const World *w, const Letter *l) {
        const Machine *from = l->from->machine, *to = l->to->machine;
        usec_t both = later(calm_at(to, CALM), calm_at(from, CALM));

        if (w->lossy || !host_is_near(from->host, to->host))
                return USEC_INFINITY;
        return usec_add(later(later(both, unblocked_at(l)), l->kept_at), SOON);
}

static usec_t due(const World *w, const Letter *l) {
        if (!l->from->machine->running || !l->to->machine->running || is_blocked(l))
                return USEC_INFINITY; /* most wait for that, and nothing else is to be looked at */
        return MIN(due_by_trackers(w, l), due_on_lan(w, l));
}

static void look_at(World *w, const Letter *l) {
        const char *how =
                l->arrived > 0 ? "has come, which its sender has not heard" : "is on its way";

        if (w->now > due(w, l) && !w->is_slow)
                world_fail(w, "late", "\"%s\" %s for %llu ms, and nothing is in its way", l->text,
                        how, (unsigned long long)((w->now - l->kept_at) / USEC_PER_MSEC));
}

void prompt_arrived(Prompt *p, Letter *l) {
        if (l->kept_at == 0)
                return;
        look_at(p->world, l);
        l->kept_at = p->world->now; /* its receipt has as long */
}

/* Sessions */

static bool is_ready(const Machine *m, unsigned tracker) {
        const Session *s =
                m->running && !m->stopping ? directory_session(m->parts->directory, tracker) : NULL;

        return s && session_state(s) == SESSION_CONNECTED;
}

static void look_at_session(World *w, Seen *seen, const Machine *m, unsigned tracker) {
        const Machine *t = w->machines[w->n_users + tracker];
        usec_t calm = later(machine_calm_since(m), machine_calm_since(t));
        bool routed = !w->no_router && host_is_routed(m->host) && host_is_routed(t->host);
        bool ready = is_ready(m, tracker);

        if (ready != seen->ready) {
                seen->lasted = seen->ready && w->now - seen->since >= SESSION_LASTING;
                seen->ready = ready;
                seen->since = w->now;
        }
        if (m->started >= seen->since)
                seen->lasted = false; /* another program */
        /* What was wrong was over before the back-off had grown. */
        if (!w->is_slow && routed && !ready && seen->lasted &&
                later(calm, t->started) <= seen->since && w->now > seen->since + SESSION_SOON)
                world_fail(w, "session-late", "%s is not back at %s, and nothing is in its way",
                        m->name, t->name);
}

static void on_tick(void *userdata) {
        Prompt *p = userdata;
        World *w = p->world;
        Letter *l;

        loop_timer_set(p->timer, w->now + TICK);
        for (unsigned i = 0; i < w->n_users; i++)
                if (w->machines[i]->running)
                        DL_FOREACH2 (p->awaited[i], l, late_next)
                                look_at(w, l);
        for (unsigned i = 0; i < w->n_users; i++)
                for (unsigned k = 0; k < w->n_trackers; k++)
                        look_at_session(w, &p->sessions[i][k], w->machines[i], k);
}

int prompt_new(World *w, Prompt **ret) {
        Prompt *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->world = w;
        r = loop_timer_new(w->loop, on_tick, p, &p->timer);
        if (r < 0) {
                free(p);
                return r;
        }
        loop_timer_set(p->timer, loop_now(w->loop) + TICK);
        *ret = p;
        return 0;
}

Prompt *prompt_free(Prompt *p) {
        if (p)
                loop_timer_free(p->timer);
        free(p);
        return NULL;
}
