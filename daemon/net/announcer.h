/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * When something is said to everybody on the local network: three times at the start and after a
 * change, since datagrams get lost; then at intervals that grow to ANNOUNCER_STRETCH times the
 * first while nothing changes; and once for all newcomers that came since it was said last. Those
 * who answer the same newcomer take their time by lot, so that they do not all speak at once.
 */

#include "util/loop.h"

#define ANNOUNCER_STRETCH 6

typedef struct Announcer Announcer;

/* ASKS: it is the start, and whoever hears it is to answer. NEXT: how long it is until it is said
 * again, in s, at most. */
typedef void (*AnnouncerFn)(void *userdata, bool asks, unsigned next);

/* Silent until announcer_start(). */
int announcer_new(Loop *l, AnnouncerFn fn, void *userdata, Announcer **ret);
Announcer *announcer_free(Announcer *a);

/* INTERVAL in s, the first one. Begins anew where it has begun already. */
void announcer_start(Announcer *a, unsigned interval);
void announcer_stop(Announcer *a);
bool announcer_is_started(const Announcer *a);

/* What is said is something else from now on, or there are others to hear it. Those who cause this
 * more often than a few times a minute wait for the interval. */
void announcer_changed(Announcer *a);

/* Somebody new is there, one of KNOWN. As often as announcer_changed(). */
void announcer_met(Announcer *a, size_t known);
