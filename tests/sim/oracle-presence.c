/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Whether people are shown as what they are: those whose program has not run for long as offline,
 * whatever else happens, and when all is quiet everybody as online.
 *
 * The tracker notices within three heartbeats, whoever has lost the tracker within as many, and
 * what it said counts for three more (DIRECTORY_GRACE_HEARTBEATS): that is less than GONE_TIME. Who
 * asks must have been awake for as long, and no tracker may have started meanwhile, since each
 * gives people time to come back.
 */

#include "truth.h"

#define LOOK_INTERVAL USEC_PER_MINUTE
#define GONE_TIME (15 * USEC_PER_MINUTE)

/* A machine that is later than this was asleep. */
#define LATE (10 * USEC_PER_SEC)

static uint64_t count_starts(const World *w) {
        uint64_t n = 0;

        for (unsigned i = 0; i < w->n_trackers; i++)
                n += w->machines[w->n_users + i]->starts;
        return n;
}

static void begin_gone(User *u, const User *other) {
        unsigned i = other->machine->number;

        u->gone[i].since = loop_now(u->machine->loop);
        u->gone[i].trackers = count_starts(u->machine->world);
}

/* What is armed stays: when it comes late, the machine was asleep. */
static void watch(User *u) {
        if (u->watched > 0)
                return;
        u->watched = loop_now(u->machine->loop) + LOOK_INTERVAL;
        loop_timer_set(u->watch, u->watched);
}

/* NULL where U has nothing to do with OTHER. */
static const char *shown_presence(User *u, const User *other) {
        const ChatPeer *p = chat_get_object(u->machine->parts->chat, other->account_text);

        return p ? p->presence : NULL;
}

static void look_at(User *u, const User *other) {
        unsigned i = other->machine->number;
        const char *shown;

        if (loop_now(u->machine->loop) - u->gone[i].since < GONE_TIME)
                return;
        shown = u->registered ? shown_presence(u, other) : NULL;
        if (shown && !streq(shown, "offline"))
                FAIL(u, "presence-true", "%s is gone and is shown as %s", other->machine->name,
                        shown);
}

/* His former device says that it is he. */
static bool has_old(const Machine *m) {
        return m->old && m->old->running;
}

/* True while there is somebody to look at. */
static bool look_at_all(User *u, bool late) {
        const World *w = u->machine->world;
        uint64_t starts = count_starts(w);
        bool any = false;

        for (unsigned i = 0; i < w->n_users; i++) {
                if (u->gone[i].since == 0)
                        continue;
                any = true;
                if (late || u->gone[i].trackers != starts || has_old(w->machines[i]))
                        begin_gone(u, w->machines[i]->user);
                look_at(u, w->machines[i]->user);
        }
        return any;
}

static void on_watch(void *userdata) {
        User *u = userdata;
        bool late = loop_now(u->machine->loop) - u->watched > LATE;

        u->watched = 0;
        if (u->running && look_at_all(u, late))
                watch(u);
}

void presence_started(User *u) {
        const World *w = u->machine->world;

        for (unsigned i = 0; i < w->n_users; i++) {
                User *other = w->machines[i]->user;

                other->gone[u->machine->number].since = 0;
                u->gone[i].since = 0;
                if (other != u && !other->running)
                        begin_gone(u, other);
        }
        watch(u);
}

void presence_ended(User *u) {
        const World *w = u->machine->world;

        loop_timer_set(u->watch, USEC_INFINITY);
        u->watched = 0;
        for (unsigned i = 0; i < w->n_users; i++) {
                User *other = w->machines[i]->user;

                if (other == u || !other->running)
                        continue;
                begin_gone(other, u);
                watch(other);
        }
}

/* What was said already is no news: not in the life of a program, unless it could not be kept. */
void presence_note(User *u, const User *other, Presence presence) {
        unsigned i = other->machine->number;

        if (u->failures != u->machine->failures)
                for (unsigned k = 0; k < MACHINES_MAX; k++)
                        u->others[k].heard = false;
        u->failures = u->machine->failures;
        if (u->others[i].heard && u->others[i].presence == presence)
                FAIL(u, "presence-again", "%s is %s, as before", other->machine->name,
                        presence_name(presence));
        u->others[i].heard = true;
        u->others[i].presence = presence;
}

/* Whoever is on the same LAN is shown as that. */
static void check_via(User *u, const User *other) {
        const ChatPeer *p = chat_get_object(u->machine->parts->chat, other->account_text);
        bool lan = false;

        for (size_t i = 0; p && p->via[i]; i++)
                lan |= streq(p->via[i], "lan");
        if (p && lan != host_is_near(u->machine->host, other->machine->host))
                FAIL(u, lan ? "lan-true" : "lan-found", "%s is %s as on the LAN",
                        other->machine->name, lan ? "shown" : "not shown");
}

void presence_check_quiet(User *u) {
        const World *w = u->machine->world;

        for (unsigned i = 0; i < w->n_users; i++) {
                const User *other = w->machines[i]->user;
                bool known =
                        mail_between(u, other)->n_kept > 0 || mail_between(other, u)->n_arrived > 0;
                const char *shown = shown_presence(u, other);

                if (other->machine->destroyed)
                        continue;
                if (u->others[i].object != (shown != NULL))
                        FAIL(u, "object-true", "%s %s an object, and was told otherwise",
                                other->machine->name, shown ? "has" : "has not");
                if (u->others[i].heard && u->others[i].presence != PRESENCE_ONLINE)
                        FAIL(u, "presence-true", "%s runs, and was last said to be %s",
                                other->machine->name, presence_name(u->others[i].presence));
                if (known && (!shown || !streq(shown, "online")))
                        FAIL(u, "presence-true", "%s runs and is shown as %s", other->machine->name,
                                shown ?: "nothing");
                if (!w->is_slow)
                        check_via(u, other);
        }
}

int presence_new(User *u) {
        return loop_timer_new(u->machine->loop, on_watch, u, &u->watch);
}

void presence_free(User *u) {
        loop_timer_free(u->watch);
}
