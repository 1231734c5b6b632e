/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* TCP: connected sockets as transports, listening, and dialling with name resolution. */

#include "net/transport.h"
#include "util/loop.h"

/* Data that stays unacknowledged for this long ends a connection (TCP_USER_TIMEOUT). */
#define TCP_UNACKNOWLEDGED_MAX (30 * USEC_PER_SEC)

/* How many connections there may be, in all and from one address (/64 of IPv6). 0: no limit. An
 * address that has so many may replace them ADMISSION_TURNS times in ADMISSION_INTERVAL: each costs
 * a hand-shake.
 * Outgoing connections are not counted. When there are too many in all, the oldest of those that
 * conn_keep() was not called for ends, so that a crowd that says nothing keeps nobody out.
 * Outlives all that it counts. */
typedef struct Admission Admission;

#define ADMISSION_TURNS 4
#define ADMISSION_INTERVAL (10 * USEC_PER_SEC)

Admission *admission_new(unsigned connections, unsigned per_address);
Admission *admission_free(Admission *a);
void admission_set_limits(Admission *a, unsigned connections, unsigned per_address);
unsigned admission_count(const Admission *a);

/* Takes over FD in every case. ADMISSION may be NULL; otherwise a place is taken, and given back
 * with the transport: -EUSERS when there is none. */
int tcp_transport_new(Loop *l, int fd, const SockAddr *peer, Admission *a, Transport **ret);

typedef struct Listener Listener;

/* FD ≥ 0 is the callee's, PEER where it comes from. Else a negative errno, without a peer: for want
 * of descriptors or memory no connection can be accepted. They wait in the queue, and it is tried
 * again by itself; that is told once, until one comes through. */
typedef void (*ListenerFn)(void *userdata, int fd, const SockAddr *peer);

/* Port 0: the kernel chooses. "::" listens for both families, and falls back to 0.0.0.0 where
 * IPv6 is off. -EADDRINUSE and the like as they come. */
int listener_new(Loop *l, const SockAddr *address, ListenerFn fn, void *userdata, Listener **ret);

/* On a socket that listens already, as systemd passes them; FD is taken over in every case.
 * -ENOTSOCK and the like for what is no listening TCP socket. */
int listener_new_fd(Loop *l, int fd, ListenerFn fn, void *userdata, Listener **ret);
Listener *listener_free(Listener *l);

/* The address really bound, with its port. */
const SockAddr *listener_address(const Listener *l);

typedef struct Dial Dial;

/* FD ≥ 0 is the callee's, PEER what it is connected to; else a negative errno, -EHOSTUNREACH for a
 * name that does not resolve. Called once, never from within dial_new(). */
typedef void (*DialFn)(void *userdata, int fd, const SockAddr *peer);

/* HOST is numeric, with a scope where it has one (-ENODEV when that is gone), or a name. Resolving
 * a name may take the worker of its lane minutes, whoever gave it: names that others have chosen
 * are LOOP_WORK_OTHERS. */
typedef struct DialTarget {
        const char *host;
        uint16_t port;
        LoopWorkLane lane;
        usec_t timeout; /* for everything, resolving included */
} DialTarget;

/* Of several addresses the next is tried when one has failed, or has not answered for a moment
 * (RFC 8305 section 5); the first that is connected ends the others. -EBUSY as loop_work_new(). */
int dial_new(Loop *l, const DialTarget *to, DialFn fn, void *userdata, Dial **ret);

/* The same with addresses that are known, in order of preference. Of more than 16 the last are not
 * tried. */
int dial_new_addresses(Loop *l, const SockAddr *addresses, size_t n, usec_t timeout, DialFn fn,
        void *userdata, Dial **ret);

/* Gives up. Also to be called after the callback, or in it. */
Dial *dial_free(Dial *d);
