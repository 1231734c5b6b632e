/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "world.h"

#include <ftw.h>
#include <sodium.h>
#include <stdarg.h>
#include <sys/resource.h>

#include "agenda.h"
#include "intruder.h"
#include "ledger.h"
#include "loop-virtual.h"
#include "machine.h"
#include "people.h"
#include "script.h"
#include "user.h"
#include "util/log.h"

/* Who has so many turns without any time passing will have them for ever. */
#define TURNS_AT_ONCE 200000

static Machine *acting;
static Loop *randomness; /* of libsodium's keys as well */

Machine *world_acting(void) {
        return acting;
}

/* Randomness */

static const char *seeded_name(void) {
        return "seeded";
}

static uint32_t seeded_word(void) {
        uint32_t n;

        loop_random(randomness, &n, sizeof(n));
        return n;
}

static void seeded_bytes(void *const p, const size_t n) {
        loop_random(randomness, p, n);
}

static randombytes_implementation seeded = {
        .implementation_name = seeded_name,
        .random = seeded_word,
        .buf = seeded_bytes,
};

uint64_t world_random_below(World *w, uint64_t limit) {
        return loop_random_below(w->loop, limit);
}

/* Time */

usec_t world_time(const World *w) {
        return w->now - VIRTUAL_START;
}

static void count_turn(World *w, usec_t at) {
        w->at_once = at > w->now ? 0 : w->at_once + 1;
        w->now = MAX(w->now, at);
        w->turns++;
        if (w->at_once > TURNS_AT_ONCE * (1 + w->n_machines / 32))
                world_fail(w, "livelock", "%s goes on and on at the same time",
                        acting ? acting->name : "a machine");
}

static void turn_begin(Machine *m) {
        acting = m;
}

/* What its program does while it ends is still its own: one that has died commits nothing more. */
static void turn_end(Machine *m) {
        m->turns++;
        machine_settle(m);
        acting = NULL;
}

/* Somebody who only looks, after all that happens at that time. */
static bool observer_turn(World *w, usec_t until) {
        usec_t at = loop_virtual_next(w->loop);

        if (at > until)
                return false;
        w->now = MAX(w->now, at);
        (void)loop_virtual_turn(w->loop, at);
        return true;
}

/* A program that dies does so before its next handler is called. */
static bool world_turn(World *w, usec_t until) {
        usec_t at;
        Machine *m = agenda_next(w, &at);

        if (world_has_failed(w))
                return false;
        if (!m || at > until || loop_virtual_next(w->loop) < at)
                return observer_turn(w, until);
        turn_begin(m);
        count_turn(w, at);
        (void)loop_virtual_turn(m->loop, at);
        turn_end(m);
        return true;
}

void world_run(World *w, usec_t until) {
        usec_t end = VIRTUAL_START + until;

        while (world_turn(w, end))
                continue;
        if (world_has_failed(w))
                return;
        w->now = MAX(w->now, end);
        /* Only the clocks of those that are not late, for whom nothing is ready. */
        for (unsigned i = 0; i < w->n_machines; i++)
                if (loop_now(w->machines[i]->loop) < end)
                        (void)loop_virtual_turn(w->machines[i]->loop, end);
        (void)loop_virtual_turn(w->loop, end);
}

void machine_enter(Machine *m) {
        turn_begin(m);
}

void machine_leave(Machine *m) {
        turn_end(m);
}

/* Trace and oracles */

static void digest_line(World *w, const char *line) {
        const struct iovec parts[] = {
                {w->digest, sizeof(w->digest)},
                {(void *)line, strlen(line)},
        };

        sha256_parts(parts, ELEMENTSOF(parts), w->digest);
}

void world_trace(World *w, const Machine *m, const char *format, ...) {
        usec_t t = world_time(w);
        char line[512];
        va_list ap;
        int n;

        n = snprintf(line, sizeof(line), "%6llu.%06llu %-6s ",
                (unsigned long long)(t / USEC_PER_SEC), (unsigned long long)(t % USEC_PER_SEC),
                m ? m->name : "-");
        va_start(ap, format);
        vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
        va_end(ap);
        digest_line(w, line);
        if (w->trace)
                fprintf(w->trace, "%s\n", line);
}

void world_fail(World *w, const char *name, const char *format, ...) {
        va_list ap;

        if (world_has_failed(w))
                return;
        snprintf(w->oracle, sizeof(w->oracle), "%s", name);
        va_start(ap, format);
        vsnprintf(w->failure, sizeof(w->failure), format, ap);
        va_end(ap);
        world_trace(w, NULL, "%s: %s", name, w->failure);
}

bool world_has_failed(const World *w) {
        return w->oracle[0] != '\0';
}

/* Making it */

static int add_machine(World *w, MachineKind kind, const char *name) {
        Machine *m;
        int r;

        r = machine_new(w, kind, name, &m);
        if (r < 0)
                return r;
        w->machines[w->n_machines++] = m;
        if (kind == MACHINE_DAEMON && w->n_devices == 0)
                r = user_new(m, &m->user);
        return r;
}

static int populate(World *w, const WorldOptions *o) {
        char name[SCRIPT_NAME_SIZE];
        int r = 0;

        if (o->n_users > SCRIPT_USERS_MAX || o->n_trackers > TRACKERS_MAX ||
                (o->n_devices > 0 && o->n_users > SCRIPT_PEOPLE_MAX))
                return -EINVAL;
        for (unsigned i = 0; r >= 0 && i < o->n_users; i++)
                r = add_machine(w, MACHINE_DAEMON, script_name(o->n_users, o->n_trackers, i, name));
        for (unsigned i = 0; r >= 0 && i < o->n_trackers; i++)
                r = add_machine(w, MACHINE_TRACKER,
                        script_name(o->n_users, o->n_trackers, o->n_users + i, name));
        for (unsigned i = w->n_machines; r >= 0 && i < o->n_trackers + o->n_users * o->n_devices;
                i++)
                r = add_machine(w, MACHINE_DAEMON, script_name(o->n_users, o->n_trackers, i, name));
        if (r >= 0 && o->n_devices > 0)
                r = people_new(w, &w->people);
        return r;
}

/* Each machine has some. */
static void allow_descriptors(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return;
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
}

int world_new(const WorldOptions *options, World **ret) {
        World *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (World){.now = VIRTUAL_START,
                .trace = options->trace,
                .n_users = options->n_users,
                .n_trackers = options->n_trackers,
                .n_devices = options->n_devices};
        allow_descriptors();
        snprintf(w->dir, sizeof(w->dir), "%s/p2pchat-sim-XXXXXX", getenv("TMPDIR") ?: "/tmp");
        r = loop_virtual_new(options->seed, &w->loop);
        if (r >= 0) {
                randomness = w->loop;
                randombytes_set_implementation(&seeded);
                r = crypto_init();
        }
        if (r >= 0 && !mkdtemp(w->dir))
                r = -errno;
        if (r >= 0)
                r = network_new(w->loop, &w->network);
        if (r >= 0)
                r = ledger_new(w, w->n_devices > 0 ? 0 : w->n_users, &w->ledger);
        if (r >= 0)
                r = agenda_new(&w->agenda);
        if (r >= 0)
                r = populate(w, options);
        if (r < 0) {
                world_free(w);
                return r;
        }
        network_set_path(w->network, &(Path){.latency = WORLD_LATENCY});
        log_set_level(LOG_CRIT);
        *ret = w;
        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

World *world_free(World *w) {
        if (!w)
                return NULL;
        intruder_free(w);
        for (unsigned i = 0; i < w->n_machines; i++) {
                acting = w->machines[i];
                machine_end(acting);
        }
        people_free(w->people);
        for (unsigned i = 0; i < w->n_machines; i++) {
                user_free(w->machines[i]->user);
                machine_free(w->machines[i]);
        }
        acting = NULL;
        ledger_free(w->ledger);
        agenda_free(w->agenda);
        network_free(w->network);
        loop_virtual_free(w->loop);
        (void)nftw(w->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(w);
        return NULL;
}
