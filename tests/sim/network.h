/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A network in memory: hosts that listen, and a connector (net/connect.h) that reaches them through
 * pipes. Hosts go off-line without a word, as machines do.
 *
 * Tests on one loop name hosts by text. In a world of machines each host has a loop, an address and
 * paths to the others, which are slow, narrow, or cut in one direction. It may be on a LAN, where
 * what one says as a datagram is heard by all. A router passes connections between LANs and to the
 * hosts that are on none, and no datagrams.
 */

#include "pipe-transport.h"

#include "net/connect.h"

#define HOSTS_MAX 1024
#define LANS_MAX 4
#define LAN_PORT 6004

typedef struct Network Network;
typedef struct Host Host;

/* T is the callee's. */
typedef void (*NetworkAcceptFn)(void *userdata, Transport *t);

int network_new(Loop *l, Network **ret);
Network *network_free(Network *n);

/* Of the connections from now on. */
void network_set_options(Network *n, const PipeOptions *options);

/* Connections that N's owner makes go through NETWORK. */
void network_connect_with(Network *network, Net *n);

int network_listen(Network *n, const char *host, uint16_t port, NetworkAcceptFn fn, void *userdata);

/* Connections to it are neither accepted nor refused, until network_close(). */
int network_swallow(Network *n, const char *host, uint16_t port);

/* Connections to it are refused from now on; those that there are stay. */
void network_close(Network *n, const char *host, uint16_t port);

/* Everything that is connected now is cut in these directions, silently. */
void network_cut(Network *n, unsigned directions);

/* Connections made so far, refused ones included. */
unsigned network_n_dialled(const Network *n);

/* The most connections that were being made at the same time. */
unsigned network_most_at_once(const Network *n);

/* Machines */

typedef struct HostCallbacks {
        /* The program writes N bytes of a connection with TO, or ends it (0). False: it is dead. TO
         * is what that host was made with. */
        bool (*call)(void *userdata, void *to, size_t n);
} HostCallbacks;

/* From 0 on, in the order in which they are made; freed with N. */
int network_add_host(Network *n, Loop *l, const HostCallbacks *callbacks, void *userdata,
        const char *address, Host **ret);

void host_connect_with(Host *h, Net *n);
int host_listen(Host *h, uint16_t port, NetworkAcceptFn fn, void *userdata);

/* The program is gone, or does not listen any more. */
void host_close(Host *h);

const char *host_address(const Host *h);

/* An address of the LAN that it is on. What is connected by the old one stays behind: nothing gets
 * through, and nobody says so. What listens has to listen again. */
void host_set_address(Host *h, const char *address, usec_t now);

/* Nobody reaches it, and it reaches nobody; it sleeps, or has no power. */
void host_set_up(Host *h, bool up, usec_t now);

/* It has lost its connections without a word: before it is down for want of power. */
void host_lose(Host *h);

/* Behind a router that lets nobody in. */
void host_set_nat(Host *h, bool nat);

typedef struct Path {
        usec_t latency, jitter; /* up to so much more */
        uint64_t bandwidth; /* bytes/s; 0: any */
} Path;

/* Of all paths, from now on. */
void network_set_path(Network *n, const Path *path);

/* In one direction. */
void network_set_cut(Network *n, Host *from, Host *to, bool cut, usec_t now);
bool network_is_cut(const Host *from, const Host *to);

/* In any. */
bool host_is_cut(const Host *h);

/* Connections between the two end at once. */
void network_reset(Network *n, const Host *a, const Host *b);

/* LANs */

/* FROM is where the datagram comes from, or says that it does. */
typedef void (*HostHearFn)(void *userdata, const SockAddr *from, Bytes datagram);

/* 1 to LANS_MAX, or 0: none, as at the beginning. The address stays, so that no router finds it
 * until it has another one or is back. */
void host_set_lan(Host *h, unsigned lan, usec_t now);
unsigned host_lan(const Host *h);

/* Its cable: without it nobody reaches it, as when it is down. */
void host_plug(Host *h, bool in, usec_t now);

/* The router finds it: it is on none, or its address is of the LAN that it is on. */
bool host_is_routed(const Host *h);

/* They are on one LAN, and nothing is wrong with either. */
bool host_is_near(const Host *a, const Host *b);

/* FN is called for what others on the LAN say from now on; with NULL nobody is, as has to be before
 * the host's loop ends. A host that is down hears nothing. */
int host_hear(Host *h, HostHearFn fn, void *userdata);

/* To all others on the LAN, from its own address, or AS another, which counts for nothing where
 * that is elsewhere. -ENETUNREACH: there is no LAN. */
int host_say(const Host *h, const char *as, Bytes datagram, usec_t now);

/* All LANs are one, or are those that they were. */
void network_join_lans(Network *n, bool joined, usec_t now);

/* Without it, hosts reach those on their LAN, and those that are on none one another. */
void network_set_router(Network *n, bool up, usec_t now);

/* For each that hears it, by itself: */
typedef struct LanFaults {
        unsigned lost, doubled; /* of 100 datagrams */
        usec_t late; /* up to so much: they overtake one another */
} LanFaults;

/* Of all LANs, from now on. */
void network_set_lan_faults(Network *n, const LanFaults *faults);
