/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Tells the service manager twice in each WatchdogSec= that the loop still turns. What libsystemd
 * has for that, sd_event_set_watchdog(), waits for as long as the manager does not read, and so
 * stops the very loop that it vouches for.
 */

#include "util/loop.h"

typedef struct Watchdog Watchdog;

/* Does nothing where the manager does not want it: $WATCHDOG_USEC, $WATCHDOG_PID. */
int watchdog_new(Loop *l, Watchdog **ret);
Watchdog *watchdog_free(Watchdog *w);
