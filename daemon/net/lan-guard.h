/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A filter of the kernel for a socket to which strangers send more than is worth reading: datagrams
 * of those whose address is known all come in, and of the others as many as luck lets. What it
 * drops takes no room in the socket's buffer.
 */

#include "util/sockaddr.h"

#define LAN_GUARD_KNOWN_MAX 128
#define LAN_GUARD_THIN_MAX 12

/* One of 2^THIN datagrams of strangers comes in, THIN from 1 to LAN_GUARD_THIN_MAX. FAMILY is the
 * socket's; those of KNOWN that are of another, and those after LAN_GUARD_KNOWN_MAX, do not count.
 * Takes the place of the filter before. */
int lan_guard_set(int fd, int family, unsigned thin, const SockAddr *known, size_t n);

/* Everything comes in again. */
void lan_guard_clear(int fd);
