/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * That the machine has slept, and that its wall clock was set: timerfd_create(2) tells both, so
 * that nobody has to look. A clock that is made to run slower or faster is not told.
 */

#include "util/loop.h"

/* SLEPT: how long the machine was suspended since the last call, 0 where it was not. STEPPED: by
 * how much the wall clock was set besides, in µs. One of them is a second at least. */
typedef void (*ClockWatchFn)(void *userdata, usec_t slept, int64_t stepped);

typedef struct ClockWatch ClockWatch;

int clock_watch_new(Loop *l, ClockWatchFn fn, void *userdata, ClockWatch **ret);
ClockWatch *clock_watch_free(ClockWatch *w);
