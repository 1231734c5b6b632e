/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * One datagram to a socket of this machine: the service manager's or the journal's. Both protocols
 * are documented and stable. What libsystemd has for them, sd_notify() and sd_journal_sendv(),
 * waits for as long as the other end does not read, which the loop must not; systemd's own
 * programs write their journal entries themselves too, with a time limit.
 */

#include "util/macro.h"
#include "util/usec.h"

/* PATH is absolute, or "@…" in the abstract name space. WAIT is how long the other end has to make
 * room; 0: none, then -EAGAIN where there is none now. Other errors: nobody is there. */
int datagram_send(const char *path, const void *p, size_t n, usec_t wait);

/* Waits until PATH has read and dealt with what it has been sent so far. Empty datagrams, which
 * mean nothing to either protocol, are read after that. -EAGAIN when it takes longer than WAIT. */
int datagram_drain(const char *path, usec_t wait);
