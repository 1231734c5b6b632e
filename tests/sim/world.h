/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A world of machines in one process: users' daemons and trackers, each the real code from chat/
 * and node/ down to LMDB, on a virtual clock of its own, with a network between them that loses,
 * delays and cuts. Nothing in it depends on the time or on anything random but its seed: the same
 * seed and the same calls give the same trace, byte for byte.
 *
 * One machine acts at a time, the one whose turn is next; a machine whose disk or processor holds
 * it up is late, the others are not. World calls are what the rest of the world can notice: a
 * commit, a write to the network, an answer or an event told to a user. A program that dies at one
 * of them has done everything before it and nothing after: its handler runs to its end unheard, and
 * what it has in memory is freed by its own code.
 */

#include <stdio.h>

#include "chat/create.h"
#include "network.h"
#include "node/node.h"
#include "parts.h"

typedef struct World World;
typedef struct User User; /* user.h */
typedef struct Ledger Ledger; /* ledger.h */
typedef struct Intruder Intruder; /* intruder.h */
typedef struct Agenda Agenda; /* agenda.h */
typedef struct People People; /* people.h */
typedef struct Seat Seat;

#define MACHINES_MAX HOSTS_MAX
#define TRACKERS_MAX 4
#define WORLD_PORT 7425
#define WORLD_LATENCY (20 * USEC_PER_MSEC) /* until a story says otherwise */

typedef enum MachineKind {
        MACHINE_DAEMON,
        MACHINE_TRACKER,
        MACHINE_INTRUDER, /* on a LAN, see intruder.h: no program of ours runs on it */
} MachineKind;

typedef struct Disk {
        bool full;
        uint64_t failing; /* so many commits, or times that it is opened, fail from now on */
        usec_t slow; /* that a commit takes */
} Disk;

typedef enum Death {
        DEATH_KILL, /* the kernel closes its connections */
        DEATH_POWER, /* nobody is told; who writes to it after it is up again is refused */
} Death;

/* What a tracker does that lies. */
typedef enum MachineLie {
        LIE_WITHHOLD, /* there is no mail for anybody */
        LIE_KEEP_NOTHING, /* what is left is kept, it says */
        LIE_DENY, /* nothing of what is asked after was ever there */
        LIE_CLAIM, /* all of it still is */
        LIE_MIX_UP, /* mail of others as well, from the last to the first, twice, and altered */
        LIE_KEEP_FOR_EVER, /* what was collected or taken back */
        LIE_OLD_RECORDS, /* as people were when it first heard of them */
        _LIE_MAX,
} MachineLie;

typedef struct Machine {
        World *world;
        MachineKind kind;
        unsigned number; /* among all machines */
        char name[NAME_SIZE]; /* of its user; "t1" of a tracker */
        const char *
                called; /* how its user calls himself: the name, but for those who bear another's */
        char *dir; /* what is on its disk */
        Loop *loop; /* outlives the program */
        Host *host; /* its place in the network */
        unsigned n_moves;
        Disk disk;
        usec_t disturbed; /* when something happened to it last, see faults.h */
        int64_t skew; /* of its clock */
        usec_t skew_most; /* either way */
        bool nat, forging, unplugged;
        bool no_tracker; /* its user knows none */
        unsigned lies; /* of a tracker, a bit for each MachineLie */
        bool destroyed; /* for ever */
        bool asleep; /* nothing can happen to it until it wakes up by itself */
        uint64_t starts, commits, failures, turns; /* failures: of commits */
        usec_t started; /* the program, last, in the world's time */

        /* The program. */
        bool running;
        bool stopping, stopped; /* in order */
        bool dead; /* it has died in the present turn: the world does not hear it any more */
        uint64_t dies_in; /* world calls; 0: it does not */
        Death death;
        unsigned n_sources; /* of the loop, without the program */
        LoopTimer *retry; /* of a start that has failed */
        LoopTimer *awake; /* the end of its sleep */

        /* Of a daemon, NULL while it does not run. */
        Store *store;
        Parts *parts;

        User *user; /* NULL: nobody is in front of it, */
        Seat *seat; /* or one of the people of a world with devices */
        unsigned n_copies; /* of its disk */
        unsigned n_devices; /* that this user has had before */
        struct Machine *old; /* the last of them, or NULL */
        bool device_known; /* everybody has heard of the one of now */
        bool has_twin; /* which is the old one: it has the same key, and knows not of this one */

        /* Of a tracker. */
        SignKey key;
        NodeLimits limits;
        Net *net;
        DStore *directory;
        OprfKeys *passwords; /* in a world with devices */
        Node *node;
} Machine;

typedef struct WorldOptions {
        uint64_t seed;
        unsigned n_users, n_trackers; /* alice, bob, …; t1, t2, … */
        unsigned n_devices; /* of each user; 0: one, and he has no password */
        FILE *trace; /* or NULL */
} WorldOptions;

struct World {
        Machine *machines[MACHINES_MAX]; /* users' first, then trackers, then further devices or
                                            those that were */
        unsigned n_machines, n_users, n_trackers, n_devices;
        Agenda *agenda;
        Network *network;
        Ledger *ledger;
        People *people; /* in a world with devices, where they stand for users; else NULL */
        Intruder *intruder; /* NULL: nobody has come so far */
        usec_t now; /* of the turn that is or was the last one */
        uint64_t turns;
        uint64_t written, writes; /* bytes of TLS records of all machines, and records */
        unsigned at_once; /* turns at this time */
        Loop *loop; /* of who only looks, with a clock that is right; and what is random */
        bool is_slow; /* the network: nothing can be expected to be prompt */
        bool no_router; /* between LANs */
        bool lossy; /* LANs are */
        char dir[256];
        FILE *trace;
        uint8_t digest[SHA256_SIZE]; /* of the trace: of the one before, and each line */
        char oracle[64]; /* the first that was violated, "" while none was */
        char failure[512];
};

/* Nothing runs yet. The disks are in a directory of the world's own, in $TMPDIR or /tmp. One world
 * at a time. */
int world_new(const WorldOptions *options, World **ret);
World *world_free(World *w);

/* Virtual time since the beginning. */
usec_t world_time(const World *w);

/* All that happens until then; stops at the first failure. */
void world_run(World *w, usec_t until);

/* An oracle was violated: NAME is a word with hyphens ("shown-twice") by which runs are
 * compared. */
void world_fail(World *w, const char *name, const char *format, ...) _printf_(3, 4);
bool world_has_failed(const World *w);

/* A line of the trace; M may be NULL. */
void world_trace(World *w, const Machine *m, const char *format, ...) _printf_(3, 4);

/* Uniform in [0, limit), of the world itself. */
uint64_t world_random_below(World *w, uint64_t limit);

/* The machine whose turn it is, NULL between turns. */
Machine *world_acting(void);

/* A call of the world by M's program: false when it is dead, before this or by this. */
bool machine_call(Machine *m);

/* Its user lets others know what of theirs he has read; every third one does not like that. */
bool machine_says_read(const Machine *m);

/* What can happen to a machine. Trackers and daemons that cannot start try again, as their units
 * say; those that have died do not start by themselves. */
void machine_start(Machine *m);
void machine_stop(Machine *m); /* the program, in order */
void machine_die(Machine *m, Death death, uint64_t calls); /* at the CALLS-th world call; 0: now */
void machine_suspend(Machine *m, usec_t time);
void machine_step_clock(Machine *m, int64_t by);
void machine_destroy(Machine *m); /* with its disk; it never starts again */
void machine_lose_disk(Machine *m); /* of a tracker, whose key is elsewhere; the program dies */
int machine_lose_prekey(Machine *m); /* as a copy of an older state has it; -EBUSY likewise */
int machine_copy_disk(Machine *m, char **ret_dir); /* as it is now */
int machine_double(Machine *m); /* as a copy of a disk has it that runs as well; likewise */
int machine_renew(Machine *m); /* its user has a new device; -EBUSY where the program runs */
void machine_move(Machine *m); /* to another address, without a word on its connections */
void machine_tell_trackers(Machine *m); /* its user, who knew none, registers there as well */
void machine_move_to_lan(Machine *m, unsigned lan); /* the same */

/* A turn of M's that somebody outside begins: whatever calls its program must be between these. */
void machine_enter(Machine *m);
void machine_leave(Machine *m);
