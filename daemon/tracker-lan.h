/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A tracker says on the local network that it is there, and answers newcomers who ask; what users
 * do with it is theirs to decide. It is silent where nobody else could connect.
 */

#include "config/config.h"
#include "node/doors.h"
#include "node/node.h"

typedef struct TrackerLan TrackerLan;

/* KEY and NODE outlive it. Silent until tracker_lan_set(). */
int tracker_lan_new(Loop *l, const SignKey *key, const Node *node, TrackerLan **ret);

/* Says that the tracker leaves, if it has said that it is there. */
TrackerLan *tracker_lan_free(TrackerLan *t);

/* What it says from now on, and where; nothing of the two is kept. A problem is logged. */
void tracker_lan_set(TrackerLan *t, const TrackerConfig *config, const Doors *doors);
