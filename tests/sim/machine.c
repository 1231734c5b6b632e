/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A machine and the program on it: how it starts, ends, dies. */

#include "machine.h"

#include <ftw.h>

#include "agenda.h"
#include "faults.h"
#include "ledger.h"
#include "loop-virtual.h"
#include "mailbox.h"
#include "people.h"
#include "user.h"
#include "util/fs.h"

#define HEARTBEAT 30 /* s */
#define HANDSHAKE 10 /* s */
#define REGISTRATIONS 1000 /* an hour */
#define STAMP_BITS 4 /* work is no time here */

#define ADDRESSES 250 /* a net, each machine of which has had the same moves */

/* What the end of a program waits for. */
#define FINISH_TIME USEC_PER_SEC

/* RestartSec= of the units. */
#define RESTART_TIME (5 * USEC_PER_SEC)

static void machine_retry(Machine *m) {
        loop_timer_set(m->retry, loop_now(m->loop) + RESTART_TIME);
}

/* Calls of the world */

bool machine_call(Machine *m) {
        if (m->dies_in > 0 && --m->dies_in == 0) {
                world_trace(m->world, m, m->death == DEATH_KILL ? "is killed" : "loses power");
                m->dead = true;
        }
        return !m->dead;
}

static bool on_write(void *userdata, void *to, size_t n) {
        const Machine *other = to;
        Machine *m = userdata;

        if (!machine_call(m))
                return false;
        m->world->written += n;
        m->world->writes += n > 0;
        if (n > 0)
                world_trace(m->world, m, "writes %zu to %s", n, other->name);
        else
                world_trace(m->world, m, "ends a connection with %s", other->name);
        return true;
}

static const HostCallbacks host_callbacks = {
        .call = on_write,
};

/* A user's daemon */

static void on_link(void *userdata, Transport *t) {
        Machine *m = userdata;

        delivery_accept(m->parts->delivery, t);
}

static void publish(Machine *m) {
        Endpoints e = {.n = 1};

        snprintf(e.text[0], sizeof(e.text[0]), "%s:%u", host_address(m->host), WORLD_PORT);
        parts_publish(m->parts, &e);
}

static void listen_as_daemon(Machine *m) {
        if (host_listen(m->host, WORLD_PORT, on_link, m) >= 0)
                publish(m);
}

static void on_active(void *userdata, bool active) {
        Machine *m = userdata;

        if (active) {
                listen_as_daemon(m);
                machine_lan_start(m);
        } else {
                machine_lan_stop(m);
                host_close(m->host);
        }
}

static const PartsCallbacks parts_callbacks = {
        .active = on_active,
};

static size_t find_trackers(const Machine *m, EndpointKey *ret) {
        const World *w = m->world;
        size_t n = 0;

        for (unsigned i = 0; i < w->n_trackers && !m->no_tracker; i++)
                machine_endpoint(w->machines[w->n_users + i], &ret[n++]);
        return n;
}

bool machine_says_read(const Machine *m) {
        return m->user ? m->number % 3 != 2 : m->seat && m->called[0] % 3 != 2;
}

static int daemon_start(Machine *m) {
        PartsArgs args = {.loop = m->loop,
                .heartbeat = HEARTBEAT,
                .delivery = {.accept_all = true,
                        .handshake = HANDSHAKE,
                        .say_read = machine_says_read(m),
                        .stamp_bits = STAMP_BITS},
                .max_members = 1000,
                .state_dir = m->dir,
                .sandbox = {"sandbox", "ok", "This is a simulation.", NULL},
                .callbacks = &parts_callbacks,
                .userdata = m};
        EndpointKey trackers[MACHINES_MAX];
        size_t n = find_trackers(m, trackers);
        int r;

        r = store_open(m->dir, m->loop, &m->store);
        if (r < 0)
                return r;
        store_set_max_size(m->store, 0);
        args.store = m->store;
        r = parts_new(&args, &m->parts);
        if (r < 0)
                return r;
        host_connect_with(m->host, m->parts->net);
        if (m->seat)
                account_set_password_least(m->parts->account, &PASSWORD_COST_MIN);
        else if (!m->user) /* what a former device has was handed over already */
                parts_set_handover_asks(m->parts, true);
        parts_set_trackers(m->parts, trackers, n);
        if (m->user)
                user_started(m->user);
        if (m->seat)
                seat_started(m->seat);
        parts_start(m->parts);
        return 0;
}

static void daemon_free(Machine *m) {
        if (m->parts && m->user)
                user_ended(m->user);
        if (m->parts && m->seat)
                seat_ended(m->seat);
        m->parts = parts_free(m->parts);
        m->store = store_close(m->store);
}

/* A tracker */

static void on_session(void *userdata, Transport *t) {
        Machine *m = userdata;

        node_accept(m->node, t);
}

/* Stretching a password is no time here, and next to no work. */
static int keep_passwords(Machine *m) {
        _cleanup_(freep) char *path = fs_join(m->dir, "oprf");
        int r;

        r = path ? oprf_keys_open(m->loop, path, &m->passwords) : -ENOMEM;
        return r < 0 ? r : node_set_accounts(m->node, m->passwords);
}

static int tracker_start(Machine *m) {
        _cleanup_(freep) char *path = fs_join(m->dir, "directory");
        DStore *real;
        int r;

        r = path ? dstore_lmdb_open(m->loop, path, &real) : -ENOMEM;
        if (r >= 0)
                r = mailbox_store_new(m, real, &m->directory);
        if (r >= 0)
                r = net_new(m->loop, &m->net);
        if (r >= 0)
                r = node_new(m->net, m->directory, &m->key, &m->limits, &m->node);
        if (r >= 0 && m->world->n_devices > 0)
                r = keep_passwords(m);
        if (r >= 0)
                r = host_listen(m->host, WORLD_PORT, on_session, m);
        return r;
}

static void tracker_free(Machine *m) {
        m->node = node_free(m->node);
        m->passwords = oprf_keys_close(m->passwords);
        m->directory = dstore_close(m->directory);
        m->net = net_free(m->net);
}

void machine_endpoint(const Machine *m, EndpointKey *ret) {
        *ret = (EndpointKey){.port = WORLD_PORT};
        snprintf(ret->host, sizeof(ret->host), "%s", host_address(m->host));
        memcpy(ret->key, sign_key_public(&m->key), KEY_SIZE);
}

/* The end of a program */

static void program_free(Machine *m) {
        host_close(m->host);
        (void)host_hear(m->host, NULL, NULL);
        if (m->kind == MACHINE_DAEMON)
                daemon_free(m);
        else
                tracker_free(m);
        m->running = m->stopping = m->stopped = m->dead = false;
        m->dies_in = 0;
        machine_disturbed(m);
}

static void check_sources(Machine *m) {
        unsigned n = loop_virtual_count_sources(m->loop);

        if (n != m->n_sources)
                world_fail(m->world, "sources-left", "%s has left %u sources behind", m->name,
                        n - m->n_sources);
}

void machine_settle(Machine *m) {
        bool power = m->dead && m->death == DEATH_POWER, start_again = m->stopped && !m->stopping;

        if (!m->dead && !m->stopped)
                return;
        if (power) {
                host_lose(m->host);
                host_set_up(m->host, false, m->world->now);
        }
        program_free(m);
        check_sources(m);
        if (start_again)
                machine_retry(m);
}

/* What can happen to it */

static void program_start(Machine *m) {
        int r;

        host_set_up(m->host, true, m->world->now);
        m->n_sources = loop_virtual_count_sources(m->loop);
        m->starts++;
        m->started = m->world->now;
        m->running = true;
        loop_timer_set(m->retry, USEC_INFINITY);
        r = m->kind == MACHINE_DAEMON ? daemon_start(m) : tracker_start(m);
        world_trace(m->world, m, r < 0 ? "cannot start: %s" : "runs", strerror(-r));
        m->stopped = r < 0;
}

static void on_retry(void *userdata) {
        program_start(userdata);
}

void machine_start(Machine *m) {
        if (m->running || m->asleep || m->destroyed)
                return;
        machine_enter(m);
        program_start(m);
        machine_leave(m);
}

static void on_finished(void *userdata) {
        ((Machine *)userdata)->stopped = true;
}

static void daemon_stop(Machine *m) {
        (void)store_commit(m->store);
        machine_lan_stop(m);
        host_close(m->host);
        parts_stop(m->parts);
        if (net_finish(m->parts->net, FINISH_TIME, on_finished, m) < 0)
                m->stopped = true;
}

void machine_stop(Machine *m) {
        loop_timer_set(m->retry, USEC_INFINITY);
        if (!m->running || m->stopping || m->asleep)
                return;
        machine_enter(m);
        world_trace(m->world, m, "stops");
        m->stopping = true;
        if (m->kind == MACHINE_DAEMON)
                daemon_stop(m);
        else
                m->stopped = true;
        machine_leave(m);
}

void machine_die(Machine *m, Death death, uint64_t calls) {
        if (!m->running || m->asleep)
                return;
        m->death = death;
        m->dies_in = MAX(calls, 1U);
        if (calls > 0)
                return;
        machine_enter(m);
        (void)machine_call(m);
        machine_leave(m);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

/* What is on it, and with power: nobody is told. */
static void disk_lose(Machine *m) {
        machine_die(m, DEATH_POWER, 0);
        loop_timer_set(m->retry, USEC_INFINITY);
        (void)nftw(m->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        machine_disturbed(m);
}

void machine_destroy(Machine *m) {
        if (m->asleep || m->destroyed)
                return;
        world_trace(m->world, m, "is destroyed");
        machine_die(m, DEATH_POWER, 0);
        if (m->seat)
                seat_destroyed(m->seat);
        disk_lose(m);
        host_set_up(m->host, false, m->world->now);
        m->destroyed = true;
        if (m->old)
                machine_destroy(m->old);
}

void machine_lose_disk(Machine *m) {
        world_trace(m->world, m, "loses its disk");
        disk_lose(m);
        (void)fs_mkdir_p(m->dir);
        ledger_mail_lost(m);
}

/* What clock_watch_new() tells of; its monotonic clock has gone on. */
static void machine_woke(Machine *m) {
        if (m->running && !m->stopping && m->kind == MACHINE_DAEMON)
                parts_woke(m->parts, 0);
}

static void on_awake(void *userdata) {
        Machine *m = userdata;

        m->asleep = false;
        machine_disturbed(m);
        host_set_up(m->host, true, loop_now(m->loop));
        world_trace(m->world, m, "is awake");
        machine_woke(m);
}

void machine_suspend(Machine *m, usec_t time) {
        if (m->asleep)
                return;
        world_trace(m->world, m, "sleeps");
        m->asleep = true;
        host_set_up(m->host, false, m->world->now);
        loop_virtual_stall(m->loop, time);
        loop_timer_set(m->awake, loop_now(m->loop));
}

void machine_step_clock(Machine *m, int64_t by) {
        world_trace(m->world, m, "has its clock stepped by %lld", (long long)by);
        machine_disturbed(m);
        m->skew += by;
        m->skew_most = MAX(m->skew_most, (usec_t)llabs(m->skew));
        loop_virtual_step_realtime(m->loop, by);
        if (m->asleep)
                return;
        machine_enter(m);
        machine_woke(m);
        machine_leave(m);
}

unsigned machine_last_octet(const Machine *m) {
        return m->number % ADDRESSES + 1;
}

static void set_address(const Machine *m, char ret[static 32]) {
        snprintf(ret, 32, "10.%u.%u.%u", m->number / ADDRESSES * 50 + m->n_moves / ADDRESSES,
                m->n_moves % ADDRESSES, machine_last_octet(m));
}

static void move(Machine *m, unsigned lan) {
        char address[32];

        machine_disturbed(m);
        m->n_moves += m->kind != MACHINE_TRACKER; /* people know where that is */
        set_address(m, address);
        machine_enter(m);
        world_trace(m->world, m, "moves to %s on LAN %u", address, lan);
        host_set_lan(m->host, lan, m->world->now);
        host_set_address(m->host, address, m->world->now);
        if (m->running && m->kind == MACHINE_TRACKER)
                (void)host_listen(m->host, WORLD_PORT, on_session, m);
        else if (m->running && account_is_active(m->parts->account))
                listen_as_daemon(m);
        machine_leave(m);
        machine_network_changed(m);
}

void machine_tell_trackers(Machine *m) {
        EndpointKey trackers[MACHINES_MAX];

        if (!m->no_tracker || m->destroyed)
                return;
        machine_disturbed(m);
        m->no_tracker = false;
        if (!m->running || m->stopping)
                return;
        machine_enter(m);
        parts_set_trackers(m->parts, trackers, find_trackers(m, trackers));
        user_publish(m->user);
        machine_leave(m);
}

void machine_move(Machine *m) {
        move(m, host_lan(m->host));
}

void machine_move_to_lan(Machine *m, unsigned lan) {
        move(m, lan);
}

/* Making it */

int machine_new(World *w, MachineKind kind, const char *name, Machine **ret) {
        Machine *m = calloc(1, sizeof(*m));
        char address[32];
        int r;

        if (!m)
                return -ENOMEM;
        *m = (Machine){.world = w,
                .kind = kind,
                .number = w->n_machines,
                .limits = {.heartbeat = HEARTBEAT,
                        .handshake = HANDSHAKE,
                        .registrations_per_hour = REGISTRATIONS,
                        .mailbox = true,
                        .mailbox_days = 30,
                        .mailbox_items = 1000,
                        .mailbox_bytes = 8 << 20,
                        .stamp_bits = STAMP_BITS,
                        .password_memory = w->n_devices > 0 ? PASSWORD_COST_MIN.memory : 0,
                        .password_passes = w->n_devices > 0 ? PASSWORD_COST_MIN.passes : 0}};
        snprintf(m->name, sizeof(m->name), "%s", name);
        m->called = m->name;
        set_address(m, address);
        sign_key_generate(&m->key);
        m->dir = fs_join(w->dir, name);
        r = m->dir ? loop_virtual_new(world_random_below(w, UINT64_MAX), &m->loop) : -ENOMEM;
        if (r >= 0)
                r = fs_mkdir_p(m->dir);
        if (r >= 0)
                r = loop_timer_new(m->loop, on_retry, m, &m->retry);
        if (r >= 0)
                r = loop_timer_new(m->loop, on_awake, m, &m->awake);
        if (r >= 0)
                loop_virtual_set_arrival(m->awake);
        if (r >= 0)
                r = network_add_host(w->network, m->loop, &host_callbacks, m, address, &m->host);
        if (r < 0) {
                machine_free(m);
                return r;
        }
        agenda_add(m);
        *ret = m;
        return 0;
}

int machine_new_old(Machine *m) {
        World *w = m->world;
        char name[NAME_SIZE];
        int r;

        snprintf(name, sizeof(name), "%.20s-old", m->name);
        r = w->n_machines < MACHINES_MAX ? machine_new(w, MACHINE_DAEMON, name, &m->old) : -ENOSPC;
        if (r >= 0)
                w->machines[w->n_machines++] = m->old;
        return r;
}

void machine_end(Machine *m) {
        if (m->running)
                program_free(m);
}

Machine *machine_free(Machine *m) {
        if (m->host)
                (void)host_hear(m->host, NULL, NULL);
        loop_timer_free(m->retry);
        loop_timer_free(m->awake);
        loop_virtual_free(m->loop);
        free(m->dir);
        free(m);
        return NULL;
}
