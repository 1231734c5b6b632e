/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What network.c and lan.c share. */

#include "network.h"

typedef struct Listening Listening;
typedef struct Accepting Accepting;
typedef struct Wire Wire;
typedef struct Datagram Datagram;

/* From one host to another. */
typedef struct Lane {
        usec_t free; /* when what was sent before is through */
        bool cut;
} Lane;

struct Host {
        Network *network;
        unsigned number;
        Loop *loop;
        const HostCallbacks *callbacks; /* NULL: of a test on one loop */
        void *userdata;
        char address[HOST_SIZE];
        bool down, nat, unplugged;
        unsigned n_cut; /* of the lanes from it and to it */

        unsigned lan; /* 0: none */
        unsigned home; /* that the router sends what is for its address to */
        HostHearFn hear; /* NULL: nobody listens */
        void *hear_userdata;
        Datagram *arriving; /* by time */
        LoopTimer *arrival; /* of the first */
        Lane *lanes; /* to HOSTS_MAX others, by number */
};

struct Network {
        Loop *loop;
        PipeOptions options;
        Host anybody; /* who connects without being a machine */
        Host *hosts[HOSTS_MAX];
        unsigned n_hosts;
        Path path;
        Listening *listening;
        Accepting *accepting;
        Wire *wires;
        unsigned n_dialled, n_connecting, most_at_once;

        bool joined, no_router;
        LanFaults lan_faults;
};

static inline Lane *lane_between(const Host *from, const Host *to) {
        return &from->lanes[to->number];
}

static inline bool host_is_off(const Host *h) {
        return h->down || h->unplugged;
}

/* How long SIZE bytes that are sent at NOW are under way. */
usec_t lane_delay(const Host *from, const Host *to, size_t size, usec_t now);

/* What gets through may be something else now: on the wires of H, or where that is NULL of all. */
void network_update_wires(Network *n, const Host *h, usec_t now);

/* Nothing arrives at it any more of what is under way. */
void host_drop_datagrams(Host *h);

/* Both are on a LAN, and it is the same, or all are joined. */
bool is_one_lan(const Host *a, const Host *b);
