/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "run.h"

#include <assert.h>
#include <inttypes.h>
#include <malloc.h>

#include "faults.h"
#include "intruder.h"
#include "ledger.h"
#include "people.h"
#include "room.h"
#include "user.h"
#include "world.h"

/* Back-off, and who has lost a tracker, takes minutes. */
#define SETTLE_TIME (30 * USEC_PER_MINUTE)
#define SETTLE_STEP USEC_PER_SEC

/* When everything has been said, presence has not: what a tracker has refused while a clock was
 * wrong is announced again within twelve minutes. */
#define CALM_TIME (15 * USEC_PER_MINUTE)

/* A machine that is left alone has heartbeats to answer, and no more: a thousand turns in half an
 * hour, and not a byte that it had not before. */
#define IDLE_TIME (30 * USEC_PER_MINUTE)
#define IDLE_TURNS_MAX 3000
#define IDLE_GROWTH_MAX (64 * 1024)

/* Of more, trackers have as many sessions, and members of a room more links. */
#define FEW_USERS 16
#define IDLE_TURNS_EACH 250
#define IDLE_GROWTH_EACH 2048

/* For a machine, with what the ledger remembers of its messages; it has two or three. */
#define MEMORY_MAX (8 * 1024 * 1024)

typedef struct Run {
        const Script *script;
        World *world;
        usec_t pauses; /* that the story was quiet */
} Run;

/* Quiet */

static bool is_anybody_asleep(const World *w) {
        for (unsigned i = 0; i < w->n_machines; i++)
                if (w->machines[i]->asleep)
                        return true;
        return false;
}

/* Who knows no tracker is found on the LAN or nowhere, and called in vain where that takes more
 * than the seconds that a call may. */
static void make_findable(Machine *m) {
        if (!m->no_tracker)
                return;
        if (host_lan(m->host) == 0)
                machine_move_to_lan(m, 1);
        if (m->world->is_slow)
                world_set_path(m->world, &(Path){.latency = WORLD_LATENCY});
}

/* All who are on a LAN are on one. */
static void make_lans_good(World *w) {
        world_join_lans(w, true);
        world_set_router(w, true);
        world_set_lan_faults(w, &(LanFaults){});
        intruder_stop(w);
        for (unsigned i = 0; i < w->n_users; i++)
                make_findable(w->machines[i]);
}

static void make_all_good(World *w) {
        world_heal_all(w);
        make_lans_good(w);
        for (unsigned i = 0; i < w->n_machines; i++)
                machine_forgive(w->machines[i]);
}

/* Programs that end just now are started later. */
static void start_all(World *w) {
        for (unsigned i = 0; i < w->n_users + w->n_trackers; i++)
                machine_start(w->machines[i]);
}

/* NULL: nothing is left to do for anybody. */
static const char *unsettled(const World *w) {
        if (w->people)
                return people_unsettled(w->people);
        return ledger_is_settled(w->ledger) ? NULL : "something is left to do";
}

static void settle(World *w) {
        const char *why;
        usec_t end;

        while (is_anybody_asleep(w) && !world_has_failed(w))
                world_run(w, world_time(w) + SETTLE_STEP);
        make_all_good(w);
        end = world_time(w) + SETTLE_TIME;
        do {
                start_all(w);
                if (w->people)
                        people_settle(w->people);
                world_run(w, world_time(w) + SETTLE_STEP);
        } while ((unsettled(w) || !room_is_level(w->ledger)) && !world_has_failed(w) &&
                world_time(w) < end);
        why = unsettled(w);
        if (why)
                world_fail(w, "not-settled", "%s after %" PRIu64 " minutes", why,
                        SETTLE_TIME / USEC_PER_MINUTE);
}

/* Bytes that are allocated; 0 where a sanitizer does that. */
static size_t memory_in_use(void) {
        struct mallinfo2 m = mallinfo2();

        return m.uordblks + m.hblkhd;
}

static unsigned of_many(const World *w, unsigned each) {
        return w->n_users > FEW_USERS ? each * w->n_machines : 0;
}

static void check_memory(World *w, size_t before) {
        size_t now = memory_in_use(), most = (size_t)MEMORY_MAX * w->n_machines;

        if (now > before + IDLE_GROWTH_MAX + of_many(w, IDLE_GROWTH_EACH))
                world_fail(w, "memory-grows",
                        "%zu bytes more in %" PRIu64 " minutes without anything to do",
                        now - before, IDLE_TIME / USEC_PER_MINUTE);
        if (now > most)
                world_fail(w, "memory-bounded", "%zu bytes for %u machines", now, w->n_machines);
}

static void check_idle(World *w) {
        size_t memory = memory_in_use();
        uint64_t before[MACHINES_MAX];

        for (unsigned i = 0; i < w->n_machines; i++)
                before[i] = w->machines[i]->turns;
        world_run(w, world_time(w) + IDLE_TIME);
        for (unsigned i = 0; i < w->n_machines; i++) {
                const Machine *m = w->machines[i];
                uint64_t turns = m->turns - before[i];

                if (turns > IDLE_TURNS_MAX + of_many(w, IDLE_TURNS_EACH))
                        world_fail(w, "timer-storm",
                                "%s has %" PRIu64 " turns in %" PRIu64
                                " minutes without anything to do",
                                m->name, turns, IDLE_TIME / USEC_PER_MINUTE);
        }
        check_memory(w, memory);
}

static void quiet(Run *run) {
        World *w = run->world;
        usec_t begin = world_time(w);

        settle(w);
        world_run(w, world_time(w) + CALM_TIME);
        if (world_has_failed(w))
                return;
        if (w->people) {
                people_settle(w->people); /* what has come meanwhile is read as well */
                world_run(w, world_time(w) + SETTLE_STEP);
                people_check_quiet(w->people);
        } else
                ledger_check_quiet(w->ledger);
        for (unsigned i = 0; i < w->n_users; i++)
                w->machines[i]->device_known = true;
        check_idle(w);
        run->pauses += world_time(w) - begin;
}

/* One action */

static void perform_by_user(const Action *a, Machine *m, User *other) {
        machine_enter(m);
        switch (a->verb) {
        case VERB_SEND:
                for (uint64_t i = 0; i < a->n; i++)
                        user_send(m->user, other);
                break;
        case VERB_READ:
                user_mark_read(m->user, other);
                break;
        case VERB_CANCEL:
                user_cancel(m->user, other);
                break;
        case VERB_LISTEN:
        case VERB_DEAFEN:
                user_listen(m->user, a->verb == VERB_LISTEN);
                break;
        case VERB_CATCH_UP:
                user_read_on(m->user);
                break;
        case VERB_BLOCK:
        case VERB_UNBLOCK:
                user_block(m->user, other, a->verb == VERB_BLOCK);
                break;
        case VERB_ROOM_POST:
                for (uint64_t i = 0; i < a->n; i++)
                        user_post(m->user);
                break;
        case VERB_ROOM_READ:
                user_read_room(m->user);
                break;
        case VERB_ROOM_MAKE ... VERB_ROOM_JOIN:
        case VERB_ROOM_LEAVE:
                user_do(m->user, DEED_MAKE + (a->verb - VERB_ROOM_MAKE), NULL);
                break;
        case VERB_ROOM_INVITE ... VERB_ROOM_GIVE:
                user_do(m->user, DEED_MAKE + (a->verb - VERB_ROOM_MAKE), other);
                break;
        default:
                assert(false);
        }
        machine_leave(m);
}

static void perform_by_person(const Action *a, Seat *seat, Machine *other) {
        Person *whom = seat_person(other->seat);

        switch (a->verb) {
        case VERB_SEND:
                for (uint64_t i = 0; i < a->n; i++)
                        seat_write(seat, whom);
                break;
        case VERB_READ:
                seat_read(seat, whom);
                break;
        case VERB_CATCH_UP:
                seat_catch_up(seat);
                break;
        case VERB_ROOM_MAKE:
                seat_make_room(seat);
                break;
        case VERB_ROOM_JOIN:
                seat_join_room(seat);
                break;
        case VERB_ROOM_POST:
                for (uint64_t i = 0; i < a->n; i++)
                        seat_write(seat, NULL);
                break;
        case VERB_LOGIN:
                seat_log_in(seat);
                break;
        case VERB_VERIFY:
                seat_verify(seat, whom);
                break;
        case VERB_ASK:
                seat_ask_first(seat);
                break;
        case VERB_ACCEPT:
                seat_accept(seat);
                break;
        default: /* what people do not do in these stories */
                break;
        }
}

/* Where somebody sits there. */
static void perform_at(const Action *a, Machine *m, Machine *other) {
        if (a->verb == VERB_SAVE)
                (void)seat_save_store(m->seat);
        else if (a->verb == VERB_RESTORE)
                (void)seat_restore_store(m->seat); /* not while its program runs */
        else if (!m->destroyed) {
                machine_enter(m);
                perform_by_person(a, m->seat, other);
                machine_leave(m);
        }
}

/* Users by their numbers, and trackers by theirs; a former device is where its user is,
 * and a twin is elsewhere. */
static unsigned number_in_kind(const World *w, const Machine *m) {
        unsigned first = m->kind == MACHINE_TRACKER ? w->n_users : 0;

        for (unsigned i = 0; i < w->n_users; i++)
                if (w->machines[i]->old == m)
                        return i + w->machines[i]->has_twin;
        return m->number - first;
}

static void part(World *w, unsigned n) {
        for (unsigned i = 0; i < w->n_machines; i++)
                for (unsigned k = 0; k < w->n_machines; k++)
                        if (number_in_kind(w, w->machines[i]) % n !=
                                number_in_kind(w, w->machines[k]) % n)
                                world_cut(w->machines[i], w->machines[k]);
}

static void perform_on_network(World *w, const Action *a, Machine *m, Machine *other) {
        Path path = {.latency = a->t, .jitter = a->u, .bandwidth = a->n};

        switch (a->verb) {
        case VERB_CUT:
                world_cut(other, m);
                world_cut(m, other);
                break;
        case VERB_CUT_ONE_WAY:
                world_cut(m, other);
                break;
        case VERB_RESET:
                world_reset(m, other);
                break;
        case VERB_ALONE:
                for (unsigned i = 0; i < w->n_machines; i++)
                        if (w->machines[i] != m) {
                                world_cut(m, w->machines[i]);
                                world_cut(w->machines[i], m);
                        }
                break;
        case VERB_PARTS:
                part(w, MAX(a->n, 1U));
                break;
        case VERB_HEAL:
                world_heal(m, other);
                break;
        case VERB_HEAL_ALL:
                world_heal_all(w);
                break;
        case VERB_NETWORK:
                world_set_path(w, &path);
                break;
        case VERB_LANS_JOIN:
        case VERB_LANS_PART:
                world_join_lans(w, a->verb == VERB_LANS_JOIN);
                break;
        case VERB_ROUTER_OFF:
        case VERB_ROUTER_ON:
                world_set_router(w, a->verb == VERB_ROUTER_ON);
                break;
        case VERB_LAN_FAULTS:
                world_set_lan_faults(w,
                        &(LanFaults){.lost = (unsigned)MIN(a->n, (uint64_t)100),
                                .doubled = (unsigned)MIN(a->n, (uint64_t)100),
                                .late = a->t});
                break;
        default:
                assert(false);
        }
}

/* The one before the present one, if there is one. Whoever has not heard of the new device rightly
 * takes the old one for it: so it stays away until everybody has. */
static void perform_on_old_device(const Action *a, Machine *old, User *user, bool known) {
        if (!old || !known || old->destroyed)
                return;
        if (a->verb == VERB_OLD_POST)
                for (uint64_t i = 0; i < a->n; i++)
                        room_post_from(old, user);
        else if (a->verb == VERB_OLD_START)
                machine_start(old);
        else
                machine_stop(old);
}

static void perform_on_disk(const Action *a, Machine *m) {
        Disk disk = {};

        if (a->verb == VERB_DISK_FULL)
                disk.full = true;
        if (a->verb == VERB_DISK_FAILS)
                disk.failing = a->n;
        if (a->verb == VERB_DISK_SLOW)
                disk.slow = a->t;
        machine_set_disk(m, &disk);
}

static void perform_on_tracker(const Action *a, Machine *m) {
        switch (a->verb) {
        case VERB_DISK_LOST:
                machine_lose_disk(m);
                break;
        case VERB_WITHHOLD ... VERB_OLD_RECORDS:
                machine_set_lies(m, m->lies | 1U << (a->verb - VERB_WITHHOLD + LIE_WITHHOLD));
                break;
        case VERB_LIES_NO_MORE:
                machine_set_lies(m, 0);
                break;
        default:
                assert(false);
        }
}

static void perform_on_machine(const Action *a, Machine *m) {
        switch (a->verb) {
        case VERB_START:
                machine_start(m);
                break;
        case VERB_STOP:
                machine_stop(m);
                break;
        case VERB_KILL:
                machine_die(m, DEATH_KILL, a->n);
                break;
        case VERB_POWER:
                machine_die(m, DEATH_POWER, a->n);
                break;
        case VERB_SUSPEND:
                machine_suspend(m, a->t);
                break;
        case VERB_CLOCK_FORWARD:
                machine_step_clock(m, (int64_t)a->t);
                break;
        case VERB_CLOCK_BACK:
                machine_step_clock(m, -(int64_t)a->t);
                break;
        case VERB_FORGE:
        case VERB_HONEST:
                machine_set_forging(m, a->verb == VERB_FORGE);
                break;
        case VERB_DESTROY:
                machine_destroy(m);
                break;
        case VERB_LOSE_PREKEY:
                (void)machine_lose_prekey(m); /* not while its program runs */
                break;
        case VERB_RENEW:
                (void)machine_renew(m); /* nor here */
                break;
        case VERB_TWIN:
                (void)machine_double(m); /* nor here */
                break;
        case VERB_MOVE:
                machine_move(m);
                break;
        case VERB_NAT_ON:
        case VERB_NAT_OFF:
                machine_set_nat(m, a->verb == VERB_NAT_ON);
                break;
        case VERB_LAN_MOVE:
                machine_move_to_lan(m, (unsigned)a->n);
                break;
        case VERB_LAN_SWITCH:
                machine_switch_to_lan(m, (unsigned)a->n);
                break;
        case VERB_UNPLUG:
        case VERB_PLUG:
                machine_plug(m, a->verb == VERB_PLUG);
                break;
        case VERB_NO_TRACKER:
                m->no_tracker |= m->starts == 0;
                break;
        case VERB_PUBLISH:
                machine_tell_trackers(m);
                break;
        default:
                assert(false);
        }
}

static void perform_by_intruder(World *w, const Action *a) {
        if (a->verb == VERB_INTRUDER_COMES)
                intruder_come(w, (unsigned)a->n);
        else if (a->verb == VERB_INTRUDER_STOPS)
                intruder_stop(w);
        else
                intruder_do(w, a->verb - VERB_REPLAY + TRICK_REPLAY);
}

static void perform(Run *run, const Action *a) {
        World *w = run->world;
        Machine *m = w->machines[a->a], *other = w->machines[a->b];

        switch (a->verb) {
        case VERB_SEND ... VERB_RESTORE:
                if (m->seat)
                        perform_at(a, m, other);
                else if (a->verb <= VERB_ROOM_READ)
                        perform_by_user(a, m, other->user);
                break;
        case VERB_OLD_START:
        case VERB_OLD_STOP:
        case VERB_OLD_POST:
                perform_on_old_device(a, m->old, m->user, m->device_known);
                break;
        case VERB_START ... VERB_RENEW:
        case VERB_TWIN:
        case VERB_MOVE ... VERB_PUBLISH:
                perform_on_machine(a, m);
                break;
        case VERB_CALLED:
                if (m->starts == 0)
                        m->called = other->name;
                break;
        case VERB_DISK_FULL ... VERB_DISK_GOOD:
                perform_on_disk(a, m);
                break;
        case VERB_DISK_LOST ... VERB_LIES_NO_MORE:
                perform_on_tracker(a, m);
                break;
        case VERB_CUT ... VERB_LAN_FAULTS:
                perform_on_network(w, a, m, other);
                break;
        case VERB_INTRUDER_COMES ... VERB_INTRUDER_STOPS:
                perform_by_intruder(w, a);
                break;
        case VERB_QUIET:
                quiet(run);
                break;
        case _VERB_MAX:
                assert(false);
        }
}

/* Stories */

static void trace_action(World *w, const Script *s, const Action *a) {
        _cleanup_(freep) char *line = NULL;
        size_t size;
        FILE *f = open_memstream(&line, &size);

        if (!f)
                return;
        action_print(s, a, f);
        fclose(f);
        world_trace(w, NULL, "story: %.*s", (int)(size - 1), line);
}

static void tell(Run *run, Verdict *v) {
        const Script *s = run->script;
        World *w = run->world;

        for (v->n_done = 0; v->n_done < s->n && !world_has_failed(w); v->n_done++) {
                const Action *a = &s->actions[v->n_done];

                world_run(w, usec_add(run->pauses, a->at));
                if (world_has_failed(w))
                        break;
                trace_action(w, s, a);
                perform(run, a);
        }
}

static void judge(const World *w, Verdict *v) {
        snprintf(v->oracle, sizeof(v->oracle), "%s", w->oracle);
        snprintf(v->text, sizeof(v->text), "%s", w->failure);
        v->time = world_time(w);
        v->turns = w->turns;
        memcpy(v->digest, w->digest, sizeof(v->digest));
}

void script_run(const Script *s, FILE *trace, Verdict *ret) {
        WorldOptions options = {.seed = s->seed,
                .n_users = s->n_users,
                .n_trackers = s->n_trackers,
                .n_devices = s->n_devices,
                .trace = trace};
        Run run = {.script = s};
        int r;

        *ret = (Verdict){};
        r = world_new(&options, &run.world);
        if (r < 0) {
                snprintf(ret->oracle, sizeof(ret->oracle), "no-world");
                snprintf(ret->text, sizeof(ret->text), "%s", strerror(-r));
                return;
        }
        tell(&run, ret);
        judge(run.world, ret);
        world_free(run.world);
}
