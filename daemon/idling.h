/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The user is away when nobody has touched his desktop for a while: what his session says, to
 * chat. */

#include "util/macro.h"
#include "util/usec.h"

typedef struct Chat Chat;
typedef struct Idling Idling;
typedef struct Loop Loop;

/* Nobody is away before idling_set_after(). */
int idling_new(Loop *loop, Chat *chat, Idling **ret);
Idling *idling_free(Idling *i);

/* As heartbeat.away-after has it, from now on. */
void idling_set_after(Idling *i, usec_t after);

/* Without input since then, realtime; 0: there is input, or nobody can tell. */
void idling_set_since(Idling *i, usec_t since);

DEFINE_CLEANUP(Idling *, idling_free)
