/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The local network as a source: who says there that he is here (wire/beacon.h), and who has proved
 * it. A beacon is a reason to call: anybody can repeat one. On the LAN is who has answered at the
 * address that his beacon came from, with TLS and HELLO (a probe), and goes on saying so: without a
 * fresh beacon for 2.5 of his intervals he is called again; who does not answer is away, and who
 * does not a second time is not there. What is heard later replaces no address that has proved
 * good.
 *
 * Everything here is bounded, and known accounts come first: in verifications, in probes, and in
 * the table.
 */

#include "directory/directory.h"

#define LAN_PEERS_MAX 1024
#define LAN_ADDRESSES_MAX 8 /* of one account */
#define LAN_TRACKERS_MAX 16
#define LAN_KEPT_MAX 64 /* addresses of people who are known, after they have left */
#define LAN_VERIFICATIONS 50 /* a second */
#define LAN_PROBES_MAX 16 /* at once */
#define LAN_PROBES 10 /* a second */

typedef struct LanSettings {
        uint16_t port; /* TCP, where this device accepts links; 0: says nothing, only listens */
        unsigned interval; /* s */
        bool hides; /* from strangers: who is called learns who calls, so they are not */
} LanSettings;

/* How a datagram leaves, to everybody on the network: who has the sockets does that. Negative where
 * not a single copy got out. */
typedef int (*LanSendFn)(void *userdata, Bytes datagram);

/* Begins, or goes on with other settings. */
void directory_lan_start(Directory *d, const LanSettings *settings, LanSendFn send, void *userdata);

/* Says that this device leaves, if it has said that it is here, and forgets everybody. */
void directory_lan_stop(Directory *d);
bool directory_lan_is_started(const Directory *d);

/* A datagram from an address of the local network, of any size and content. FROM has a scope where
 * it is link-local. */
void directory_lan_heard(Directory *d, const SockAddr *from, Bytes datagram);

/* This device has other interfaces or addresses, or was asleep: it says at once that it is here,
 * and looks who still is. */
void directory_lan_changed(Directory *d);

/* What is said of this device is something else now. Called by directory_announce() as well. */
void directory_lan_say_again(Directory *d);

/* Somebody else says that ACCOUNT may be at AT (with its TCP port). */
void directory_lan_candidate(
        Directory *d, const uint8_t account[static KEY_SIZE], const SockAddr *at);

/* Somebody else says that nobody is at AT any more: who has proved to be there, and does not say so
 * himself, is called. */
void directory_lan_withdrawn(Directory *d, const SockAddr *at);

/* Who is on the LAN, proved. */
typedef struct LanPerson {
        uint8_t account[KEY_SIZE];
        char name[NAME_SIZE]; /* what he calls himself: a claim */
        Presence presence; /* as he says */
        bool missed; /* he is not heard any more and did not answer: say that he is away */
        char note[PRESENCE_NOTE_MAX + 1];
        usec_t last_seen; /* realtime */
} LanPerson;

/* False to stop. In no particular order, and without other devices of this account. */
typedef bool (*LanPersonFn)(void *userdata, const LanPerson *p);
void directory_lan_each(const Directory *d, LanPersonFn fn, void *userdata);
size_t directory_lan_count(const Directory *d);
bool directory_lan_get(const Directory *d, const uint8_t account[static KEY_SIZE], LanPerson *ret);

/* Where ACCOUNT has proved to be, latest first; how many of at most MAX. */
size_t directory_lan_endpoints(
        const Directory *d, const uint8_t account[static KEY_SIZE], SockAddr *ret, size_t max);

/* Where people who are known have proved to be on the LAN, or say that they can be reached, with
 * any port: who is heard from there is worth more than others. How many of at most MAX. */
size_t directory_lan_known(const Directory *d, SockAddr *ret, size_t max);

/* Trackers that have been heard, as "host:port#key"; nothing is done with them. */
size_t directory_lan_trackers(const Directory *d, EndpointKey *ret, size_t max);
