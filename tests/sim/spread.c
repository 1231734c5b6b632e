/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * sim-spread [MEMBERS [ENTRIES]]: how an entry gets to everybody in a large room. All members are
 * there, each with the links that it has chosen itself, and somebody writes. Time is that of the
 * world: of the network and of what programs wait for, with a disk that takes as long as one does
 * for a commit, and without the processor's work. Prints a line of JSON.
 */

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>

#include "faults.h"
#include "ledger.h"
#include "room.h"
#include "rooms/sync.h"
#include "script.h"
#include "user.h"
#include "world.h"

#define MEMBERS 1000
#define ENTRIES 10
#define ENTRIES_MAX 1000

#define LATENCY (50 * USEC_PER_MSEC)
#define COMMIT 235 /* µs */
#define STARTING (10 * USEC_PER_SEC)
#define WAVE 100 /* who join at once: what is pending is folded by each for each of them */
#define SETTLING (15 * USEC_PER_SEC)
#define LEVEL_TIME (2 * USEC_PER_HOUR)
#define CALM (3 * USEC_PER_MINUTE) /* until those links are left that are wanted */
#define ENTRY_TIME USEC_PER_MINUTE
#define AFTER (10 * USEC_PER_SEC) /* in which all is said that is to be said of it */

/* Of the entry that is under way. */
typedef struct Spreading {
        usec_t begun;
        unsigned hops[MACHINES_MAX];
        usec_t times[MACHINES_MAX];
        unsigned n, hops_max, hops_sum;
        uint64_t frames, again; /* of entries; of one that is here already */
        uint64_t vectors, wants, states;
} Spreading;

static World *world;
static Spreading now;

/* What members say and hear. The linker puts these in the place of what they are named after. */

int __real_room_take_entry(Room *room, const RoomEntryIn *e, RoomEntryAt *ret, RoomReason *why);
int __wrap_room_take_entry(Room *room, const RoomEntryIn *e, RoomEntryAt *ret, RoomReason *why);
void __real_live_fresh(SyncRoom *sr, uint32_t feed, uint64_t seq, const uint8_t *from);
void __wrap_live_fresh(SyncRoom *sr, uint32_t feed, uint64_t seq, const uint8_t *from);
int __real_room_sync_encode(Buffer *out, const RoomSync *s);
int __wrap_room_sync_encode(Buffer *out, const RoomSync *s);

int __wrap_room_take_entry(Room *room, const RoomEntryIn *e, RoomEntryAt *ret, RoomReason *why) {
        int v = __real_room_take_entry(room, e, ret, why);

        now.frames++;
        now.again += v == TAKEN_AGAIN;
        return v;
}

void __wrap_live_fresh(SyncRoom *sr, uint32_t feed, uint64_t seq, const uint8_t *from) {
        const Machine *m = world_acting();
        const User *who = ledger_find_user(world->ledger, from);
        unsigned hops = who ? now.hops[who->machine->number] + 1 : 1;

        now.hops[m->number] = hops;
        now.hops_max = MAX(now.hops_max, hops);
        now.hops_sum += hops;
        now.times[now.n++ % MACHINES_MAX] = loop_now(m->loop) + COMMIT - now.begun;
        __real_live_fresh(sr, feed, seq, from);
}

int __wrap_room_sync_encode(Buffer *out, const RoomSync *s) {
        now.vectors += s->op == ROOM_SYNC_VECTOR;
        now.wants += s->op == ROOM_SYNC_WANT;
        now.states += s->op == ROOM_SYNC_STATE;
        return __real_room_sync_encode(out, s);
}

/* The room */

static void run_for(usec_t time) {
        world_run(world, world_time(world) + time);
}

static void set_disks(usec_t commit) {
        for (unsigned i = 0; i < world->n_machines; i++)
                machine_set_disk(world->machines[i], &(Disk){.slow = commit});
}

static void act_of(unsigned who, Deed deed) {
        Machine *m = world->machines[who];

        machine_enter(m);
        user_do(m->user, deed, NULL);
        machine_leave(m);
}

static unsigned count_joined(void) {
        unsigned n = 0;

        for (unsigned i = 0; i < world->n_users; i++)
                n += world->machines[i]->user->room.in;
        return n;
}

/* All have asked the founder to be let in, and keep the links with him; so he goes away for a
 * while, that there are only links as members choose them at random. False: not all are in the room
 * and have the same after a long time. */
static bool make_room(void) {
        usec_t end;

        world_set_path(world, &(Path){.latency = LATENCY});
        for (unsigned i = 0; i < world->n_trackers; i++)
                machine_start(world->machines[world->n_users + i]);
        for (unsigned i = 0; i < world->n_users; i++) {
                machine_start(world->machines[i]);
                run_for(STARTING / world->n_users);
        }
        run_for(STARTING);
        act_of(0, DEED_MAKE);
        run_for(STARTING);
        for (unsigned i = 1; i < world->n_users; i++) {
                act_of(i, DEED_JOIN);
                run_for(i % WAVE == 0 ? SETTLING : 0);
        }
        end = world_time(world) + LEVEL_TIME;
        while ((count_joined() < world->n_users || !room_is_level(world->ledger)) &&
                world_time(world) < end && !world_has_failed(world)) {
                run_for(10 * USEC_PER_SEC);
                fprintf(stderr, "%" PRIu64 " s: %u of %u have joined, %" PRIu64 " turns\n",
                        world_time(world) / USEC_PER_SEC, count_joined(), world->n_users,
                        world->turns);
        }
        machine_stop(world->machines[0]);
        run_for(CALM);
        machine_start(world->machines[0]);
        run_for(CALM);
        return !world_has_failed(world) && count_joined() == world->n_users;
}

/* Entries */

typedef struct Sum {
        unsigned n;
        usec_t last[ENTRIES_MAX], median[ENTRIES_MAX];
        unsigned hops_max, hops_sum, n_hops;
        uint64_t frames, again, vectors, wants, states;
        uint64_t bytes, writes, idle_bytes, idle_writes;
} Sum;

static int by_number(const void *a, const void *b) {
        usec_t x = *(const usec_t *)a, y = *(const usec_t *)b;

        return x < y ? -1 : x > y;
}

static void begin(void) {
        now = (Spreading){.begun = world->now};
        world->written = world->writes = 0;
}

/* What is said while nobody writes anything. */
static void measure_idle(Sum *s) {
        begin();
        run_for(AFTER);
        s->idle_bytes += world->written;
        s->idle_writes += world->writes;
}

static bool measure_entry(Sum *s) {
        Machine *m = world->machines[world_random_below(world, world->n_users)];
        usec_t end = world_time(world) + ENTRY_TIME;

        begin();
        machine_enter(m);
        user_post(m->user);
        machine_leave(m);
        run_for(AFTER);
        s->bytes += world->written;
        s->writes += world->writes;
        while (now.n < world->n_users - 1 && world_time(world) < end && !world_has_failed(world))
                run_for(USEC_PER_SEC);
        if (now.n != world->n_users - 1)
                return false;
        qsort(now.times, now.n, sizeof(now.times[0]), by_number);
        s->last[s->n] = now.times[now.n - 1];
        s->median[s->n++] = now.times[now.n / 2];
        s->hops_max = MAX(s->hops_max, now.hops_max);
        s->hops_sum += now.hops_sum;
        s->n_hops += now.n;
        s->frames += now.frames;
        s->again += now.again;
        s->vectors += now.vectors;
        s->wants += now.wants;
        s->states += now.states;
        return true;
}

/* Links */

static void count_links(unsigned *ret_sum, unsigned *ret_most) {
        *ret_sum = *ret_most = 0;
        for (unsigned i = 0; i < world->n_users; i++) {
                const Delivery *d = world->machines[i]->parts->delivery;
                unsigned n = 0;

                for (unsigned k = 0; k < world->n_users; k++)
                        n += k != i && delivery_has_link(d, world->machines[k]->user->account);
                *ret_sum += n;
                *ret_most = MAX(*ret_most, n);
        }
}

static long memory(void) {
        struct rusage u;

        return getrusage(RUSAGE_SELF, &u) < 0 ? 0 : u.ru_maxrss;
}

static void print(Sum *s) {
        double each = s->n, members = world->n_users;
        unsigned links, most;

        count_links(&links, &most);
        qsort(s->last, s->n, sizeof(s->last[0]), by_number);
        qsort(s->median, s->n, sizeof(s->median[0]), by_number);
        printf("{\"members\": %u, \"entries\": %u, \"latency-ms\": %.0f, ", world->n_users, s->n,
                (double)LATENCY / USEC_PER_MSEC);
        printf("\"last-ms\": %.1f, \"last-worst-ms\": %.1f, \"median-ms\": %.1f, ",
                s->last[s->n / 2] / 1e3, s->last[s->n - 1] / 1e3, s->median[s->n / 2] / 1e3);
        printf("\"hops-mean\": %.2f, \"hops-most\": %u, ", (double)s->hops_sum / s->n_hops,
                s->hops_max);
        printf("\"bytes\": %.0f, \"bytes-a-member\": %.0f, ",
                (s->bytes - (double)s->idle_bytes) / each,
                (s->bytes - (double)s->idle_bytes) / each / members);
        printf("\"records\": %.0f, \"records-a-member\": %.1f, ",
                (s->writes - (double)s->idle_writes) / each,
                (s->writes - (double)s->idle_writes) / each / members);
        printf("\"entries-a-member\": %.2f, \"again-a-member\": %.2f, ", s->frames / each / members,
                s->again / each / members);
        printf("\"vectors-a-member\": %.2f, \"wants-a-member\": %.2f, \"states-a-member\": %.2f, ",
                s->vectors / each / members, s->wants / each / members, s->states / each / members);
        printf("\"idle-bytes-a-member-minute\": %.0f, ",
                (double)s->idle_bytes / each / members * USEC_PER_MINUTE / AFTER);
        printf("\"links-mean\": %.1f, \"links-most\": %u, \"memory-a-member-KiB\": %.0f}\n",
                links / members, most, memory() / members);
}

static int spread(unsigned members, unsigned entries) {
        WorldOptions o = {.seed = 1, .n_users = members, .n_trackers = 1};
        Sum *s = calloc(1, sizeof(*s));
        bool fine;

        if (!s || world_new(&o, &world) < 0)
                return EXIT_FAILURE;
        fine = make_room();
        set_disks(COMMIT);
        for (unsigned i = 0; i < entries && fine; i++) {
                measure_idle(s);
                fine = measure_entry(s);
        }
        if (fine)
                print(s);
        else
                fprintf(stderr, "sim-spread: %s: %s; %u members, %u have the entry\n",
                        world->oracle[0] ? world->oracle : "it takes too long", world->failure,
                        count_joined(), now.n + 1);
        world_free(world);
        free(s);
        return fine ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char *argv[]) {
        unsigned long members = argc > 1 ? strtoul(argv[1], NULL, 10) : MEMBERS;
        unsigned long entries = argc > 2 ? strtoul(argv[2], NULL, 10) : ENTRIES;

        if (argc > 3 || members < 2 || members > SCRIPT_USERS_MAX || entries < 1 ||
                entries > ENTRIES_MAX) {
                fprintf(stderr, "sim-spread: expected members, 2 to %d, and entries, 1 to %d\n",
                        SCRIPT_USERS_MAX, ENTRIES_MAX);
                return EXIT_FAILURE;
        }
        return spread((unsigned)members, (unsigned)entries);
}
