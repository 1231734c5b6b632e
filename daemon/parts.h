/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The parts of a user's daemon that know neither the bus, nor sockets, nor systemd, made and made
 * to hear of each other. On a virtual loop they are a whole daemon.
 */

#include "chat/create.h"
#include "handover/handover.h"

/* Upward; any may be NULL. */
typedef struct PartsCallbacks {
        /* Logged in or out, durably: the user can be reached from now on, or no longer. */
        void (*active)(void *userdata, bool active);
        /* parts_is_reachable() may be something else. */
        void (*reachable)(void *userdata);
        /* The list of trackers, or a session with one. */
        void (*trackers_changed)(void *userdata);
        void (*name_refused)(void *userdata, Code code, const char *text);
        /* The store was restored from a copy, and goes on in a new epoch. */
        void (*restored)(void *userdata);
        /* The account is deleted, and the store given up: these parts are to go, and others to be
         * made on a store that begins anew. Comes after `active`. */
        void (*deleted)(void *userdata);
        /* Another device has the account, and wants what this one has: the user is to say whether
         * it gets that, by handover_accept(). */
        void (*handover_asks)(void *userdata);

        /* What chat_status() says may be something else now. Comes after the others. */
        void (*changed)(void *userdata);
} PartsCallbacks;

typedef struct PartsArgs {
        Loop *loop;
        Store *store;
        uint32_t heartbeat; /* s */
        DeliverySettings delivery;
        unsigned max_members; /* of rooms */
        const char *state_dir;
        ChatCheck sandbox;
        const PartsCallbacks *callbacks;
        void *userdata;
} PartsArgs;

/* To be used by everybody, and changed by parts.c alone. */
typedef struct Parts {
        Net *net;
        Account *account;
        TlsIdentity *tls;
        Directory *directory;
        Delivery *delivery;
        Rooms *rooms;
        Handover *handover;
        Chat *chat; /* NULL while everything ends */

        EndpointKey trackers[DIRECTORY_TRACKERS_MAX]; /* as configured */
        size_t n_trackers;
        Store *store;
        const PartsCallbacks *callbacks;
        void *userdata;
} Parts;

/* Nobody is called before parts_set_trackers() or parts_start(). What ARGS points to outlives the
 * parts. */
int parts_new(const PartsArgs *args, Parts **ret);
Parts *parts_free(Parts *p);

/* Whoever was logged in is so again. */
void parts_start(Parts *p);

/* Who is connected hears that it is over, for which net_finish() then waits. */
void parts_stop(Parts *p);

/* The configured list, at most DIRECTORY_TRACKERS_MAX, which is copied. A tracker that was given
 * with the account wins over it. */
void parts_set_trackers(Parts *p, const EndpointKey *trackers, size_t n);

/* The machine has slept for so long, or, where that is 0, its clock was set or the network is
 * another one: nothing that is open counts as there before it answers, and nothing waits any more.
 */
void parts_woke(Parts *p, usec_t slept);

/* Connections are to be accepted: the account is active, or another device is and has not been
 * given everything yet. */
bool parts_is_reachable(const Parts *p);

/* Whether the user of a device that was replaced is asked before anything is handed over. */
void parts_set_handover_asks(Parts *p, bool asks);

/* Where connections to this user are accepted now. */
void parts_publish(Parts *p, const Endpoints *endpoints);
