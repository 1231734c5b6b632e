/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Datagrams to and from everybody on the local networks: to 255.255.255.255 and 239.255.60.4, and
 * to ff02::6004, on every interface that carries packets, those that come and go included. The port
 * is shared (SO_REUSEADDR) with all others who ask for it like this, whoever they run as: what is
 * sent to all reaches each of them, the sender too.
 *
 * What comes in is limited to LAN_SOCKET_RATE datagrams a second for each of IPv4 and IPv6; the
 * kernel drops what does not fit into the socket's buffer meanwhile. Where that goes on, it drops
 * most datagrams before they are in the buffer, but those of who is known.
 */

#include "util/buffer.h"
#include "util/loop.h"
#include "util/sockaddr.h"

#define LAN_DATAGRAM_MAX 1200

#define LAN_SOCKET_RATE 512

typedef struct LanSocket LanSocket;

typedef struct LanSocketSettings {
        uint16_t port;
        /* What takes connections here, an address or one of those that mean all; datagrams are sent
         * from there only. */
        SockAddr from;
        const char *const *interfaces;
        size_t n_interfaces; /* 0: all */
} LanSocketSettings;

typedef struct LanSocketCallbacks {
        /* FROM is on the link of the interface that it came in by, and has its scope where it is
         * link-local. */
        void (*received)(void *userdata, const SockAddr *from, Bytes datagram);

        /* Interfaces or addresses are others than before, and what was sent is to be sent anew. */
        void (*changed)(void *userdata);

        /* Addresses of people who are worth more than strangers, the likeliest first, at most MAX.
         * Returns how many. NULL: there are none. */
        size_t (*known)(void *userdata, SockAddr *ret, size_t max);
} LanSocketCallbacks;

/* SETTINGS are copied, CALLBACKS are not. It may be freed in a callback. What the network or the
 * system does not allow is no error here but a problem, and tried again. */
int lan_socket_new(Loop *l, const LanSocketSettings *settings, const LanSocketCallbacks *callbacks,
        void *userdata, LanSocket **ret);
LanSocket *lan_socket_free(LanSocket *s);

/* It was made with the same. */
bool lan_socket_has(const LanSocket *s, const LanSocketSettings *settings) _pure_;

/* One copy for each address of an interface and each destination. Returns how many were sent, or a
 * negative errno where none was: -ENETUNREACH without a network. */
int lan_socket_send(LanSocket *s, Bytes datagram);

typedef struct LanSocketFacts {
        char interfaces[256]; /* the names of those in use, "eth0, wlan0" */
        char problem[256]; /* a sentence, or "" */
} LanSocketFacts;

/* For the doctor. */
void lan_socket_get_facts(const LanSocket *s, LanSocketFacts *ret);
