/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The Loop of the daemons, on sd-event and a worker thread for each lane. */

#include "util/loop.h"

typedef struct sd_event sd_event;

/* Takes a reference of EVENT. */
int loop_sd_event_new(sd_event *event, Loop **ret);

/* All sources must be gone. A job that is still running (name resolution cannot be interrupted)
 * ends on its own; its DONE is then called on its worker's thread, cancelled. */
Loop *loop_sd_event_free(Loop *l);
