/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of the LAN share. */

#include "crypto/hash.h"
#include "directory/lan.h"
#include "directory/private.h"
#include "net/announcer.h"
#include "util/quota.h"

typedef struct LanPeer LanPeer;

typedef struct LanAddress {
        LanPeer *peer; /* NULL: the place is free */
        SockAddr at;
        bool proved;
        bool has_beacon; /* else somebody else named it */
        bool missed; /* it was proved, and is silent for too long */
        bool unheard; /* it was called when it was missed or checked, answered, and says nothing */
        bool checked; /* it was proved, but the network is another one perhaps */
        bool doubted; /* it was proved, and a beacon is of another program, or late */
        uint8_t nonce[BOOT_NONCE_SIZE]; /* of the program there */
        uint64_t seq; /* of its newest beacon */
        usec_t interval; /* as that says */
        int64_t base; /* this clock less the other's, as small as it was seen; µs */
        usec_t heard; /* a fresh beacon, or the proof */
        void *probe; /* under way; NULL: none */
        bool probing;
        unsigned failures;
        usec_t retry; /* not called before */
} LanAddress;

struct LanPeer {
        Directory *directory;
        LanPerson person, told;
        bool named; /* the device, and what is in `person`, are his own word */
        bool there; /* as was last told, with `told` */
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint8_t certificate[SHA256_SIZE]; /* hash of the one that was found good */
        uint8_t last[SHA256_SIZE]; /* of the newest datagram: there is a copy for each interface */
        usec_t heard, verified; /* anything; a datagram's signatures */
        LanAddress addresses[LAN_ADDRESSES_MAX];
        UT_hash_handle hh;
};

typedef struct LanTracker {
        EndpointKey address;
        uint8_t nonce[BOOT_NONCE_SIZE];
        uint64_t seq;
        usec_t until; /* 0: the place is free */
} LanTracker;

#define LAN_SOURCES 256 /* buckets by address */

/* Whoever is there by another's word says nothing himself: called as if this were his interval. */
#define LAN_NAMED_INTERVAL (2 * USEC_PER_MINUTE)

typedef struct Lan {
        bool started;
        LanSettings settings;
        LanSendFn send;
        void *userdata;
        Announcer *announcer;
        bool said; /* that this device is here */
        bool looking; /* in lan_look() */
        uint64_t seq;
        usec_t born; /* of the boot nonce */
        usec_t slept; /* since then: the clock of the loop stood still */
        Buffer out;

        LanPeer *peers;
        LanTracker trackers[LAN_TRACKERS_MAX];
        SockAddr kept[LAN_KEPT_MAX]; /* a ring: where people who are known have proved to be */
        size_t n_kept; /* ever */
        LoopTimer *timer; /* somebody's time is over, or somebody is to be called */
        unsigned n_probes;
        size_t n_there;
        Quota probes, verifications, unknown, elsewhere;
        Quota sources[LAN_SOURCES];
        uint64_t source_key; /* of the buckets */
} Lan;

int lan_new(Directory *d);
void lan_free(Directory *d);

/* lan-table.c */

LanPeer *lan_find(const Directory *d, const uint8_t *account);

/* NULL where there is no room: others are worth more. */
LanPeer *lan_peer_get(Directory *d, const uint8_t *account);

/* Tells that he is not there any more, if he was. */
void lan_peer_drop(LanPeer *p);

/* Somebody the user knows, or is about to; or another device of his. */
bool lan_is_known(const Directory *d, const uint8_t *account);
bool lan_peer_is_known(const LanPeer *p);

/* AT with its port; with any, and proved. NULL: there is none. */
LanAddress *lan_address_find(LanPeer *p, const SockAddr *at);
const LanAddress *lan_address_of_host(const LanPeer *p, const SockAddr *host);

/* HINT: not from a datagram that was verified now, but from a copy of it, or by another's word.
 * NULL where all places are taken by what is worth more. */
LanAddress *lan_address_get(LanPeer *p, const SockAddr *at, bool hint);
void lan_address_drop(LanAddress *a);

/* One more account may be known of this address. */
bool lan_has_room_at(const Directory *d, const SockAddr *host);

/* Somebody who is known has proved to be there. */
void lan_keep(Lan *lan, const SockAddr *host);

/* Tells what has become of P, if it is something else than before. */
void lan_settle(LanPeer *p);

/* lan-probe.c */

/* Calls those that are to be called, and forgets those whose time is over. */
void lan_look(Directory *d);
void lan_on_timer(void *userdata);
void lan_probe_end(LanAddress *a);

/* presence.c: PERSON is on the LAN; NULL: ACCOUNT is not any more. */
void presence_on_lan(Directory *d, const LanPerson *person, const uint8_t *account);
