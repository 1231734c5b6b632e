/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The addresses of this machine's interfaces, and when they change: rtnetlink(7), whose messages
 * are taken as a sign that there is something to look at and are not read any further.
 */

#include "util/loop.h"
#include "util/sockaddr.h"

/* Those of interfaces that are up, without loopback and IPv6 link-local ones. Returns how many of
 * at most MAX, or a negative errno. */
int local_addresses(SockAddr *addresses, size_t max);

typedef struct AddressWatch AddressWatch;

/* FN is called a second after interfaces or addresses have begun to change: they come in crowds.
 * The addresses may be the same after all. */
int address_watch_new(Loop *l, void (*fn)(void *userdata), void *userdata, AddressWatch **ret);
AddressWatch *address_watch_free(AddressWatch *w);
