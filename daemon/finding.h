/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Finding people on the local network: the socket of the beacons, joined to the directory for as
 * long as the account, the configuration and the address listened on allow it.
 */

#include "config/config.h"
#include "util/sockaddr.h"

typedef struct Finding Finding;
typedef struct Loop Loop;
typedef struct Parts Parts;

/* CONFIG is read at each call. All arguments outlive it. Nothing happens before the first
 * finding_refresh(). */
int finding_new(Loop *loop, Parts *parts, const DaemonConfig *config, Finding **ret);
Finding *finding_free(Finding *f);

/* The configuration, the account or LISTENING, where this device takes links (NULL: nowhere), may
 * be others. */
void finding_refresh(Finding *f, const SockAddr *listening);

/* Says that this device leaves, and neither speaks nor hears any more. */
void finding_stop(Finding *f);

/* Why nobody is looked for on the local network; NULL: somebody is. */
const char *finding_off(const Parts *parts, const DaemonConfig *config);

/* Whether others there may hear of this device: who is there and where is told to everybody. */
bool finding_may_be_seen(const DaemonConfig *config);
