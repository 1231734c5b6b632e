/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The addresses of this machine's interfaces, and when they change: rtnetlink(7). What it says of
 * changes is taken as a sign that there is something to look at, and not read any further.
 */

#include <net/if.h>

#include "util/loop.h"
#include "util/sockaddr.h"

typedef struct LocalAddress {
        SockAddr address; /* port 0; with its scope where it is link-local */
        SockAddr network; /* the same, or the other end of a point-to-point link */
        unsigned prefix; /* bits of NETWORK that all have who are on the link */
        unsigned interface; /* its index */
        unsigned flags; /* IFF_RUNNING, _BROADCAST and _MULTICAST of the interface */
        bool is_port; /* of a bridge or the like, which receives in its place */
        char name[IF_NAMESIZE]; /* of the interface */
} LocalAddress;

/* More of a machine are not looked at. */
#define LOCAL_ADDRESSES_MAX 1024

/* Those of interfaces that are up, loopback aside, in a new array, which may be NULL for none. What
 * IPv6 still makes sure of (RFC 4862 section 5.4) is not among them, and a change when it is. */
int local_addresses(LocalAddress **ret, size_t *ret_n);

bool local_address_equal(const LocalAddress *a, const LocalAddress *b) _pure_;
bool local_address_is_link_local(const LocalAddress *a) _pure_;

/* Whether FROM, which came in by the interface of A, is on the link that A is an address of. */
bool local_address_reaches(const LocalAddress *a, const SockAddr *from) _pure_;

typedef struct AddressWatch AddressWatch;

/* FN is called a second after interfaces or addresses have begun to change: they come in crowds.
 * The addresses may be the same after all. */
int address_watch_new(Loop *l, void (*fn)(void *userdata), void *userdata, AddressWatch **ret);
AddressWatch *address_watch_free(AddressWatch *w);
