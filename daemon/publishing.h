/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * This account on the local network by DNS-SD, "NAME._p2pchat._tcp" with the account in its TXT
 * record, and the accounts that others publish so: candidates for the directory, which believes
 * nothing of it. It is published when a beacon would say the same, and for nobody else.
 */

#include "config/config.h"
#include "util/macro.h"

typedef struct Chat Chat;
typedef struct Parts Parts;
typedef struct Publishing Publishing;
typedef struct Loop Loop;
typedef struct sd_event sd_event;

/* CONFIG is read at each call. All arguments outlive it. Nothing happens before the first
 * publishing_refresh(). */
int publishing_new(
        sd_event *event, Loop *loop, Parts *parts, const DaemonConfig *config, Publishing **ret);
Publishing *publishing_free(Publishing *p);

/* The configuration, the account or PORT, at which this device takes links, may be others. */
void publishing_refresh(Publishing *p, uint16_t port);

/* Nothing is published or looked for any more. */
void publishing_stop(Publishing *p);

DEFINE_CLEANUP(Publishing *, publishing_free)
