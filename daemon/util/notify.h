/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the service manager is told, by the protocol of sd_notify(3). Without $NOTIFY_SOCKET these
 * do nothing. STATUS is one line for people, whatever is in it; where the manager has no room for
 * it, it is left out.
 */

/* At the start, and after a reload. This one must arrive, or the manager takes the start for failed
 * and a reload for unfinished: it waits, but a second at most. */
void notify_ready(const char *status);

void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(void);

/* See util/watchdog.h. -EAGAIN: the manager has no room now. */
int notify_alive(void);
