/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Signals of the daemon, and waiting for them. Returns are those of bus.h. */

#include <signal.h>

#include "cli/bus.h"

/* FN is called from bus_wait() and bus_process() only. ARGS are the signal's arguments as a list,
 * the last one its dictionary. End with signal_done(). */
typedef struct SignalHandler {
        void (*fn)(const Value *args, void *userdata);
        void *userdata;
        const char *member; /* of the signal that FN is called for; good until FN returns */
        sd_bus_slot *slot;
} SignalHandler;

/* MEMBER NULL: every signal there is. */
int signal_subscribe(Chatc *c, const char *member, SignalHandler *h);

/* The same for its properties; ARGS are those of PropertiesChanged. */
int signal_subscribe_properties(Chatc *c, SignalHandler *h);

/* The same for the daemon coming and going: one boolean argument, true when it is there. */
int signal_subscribe_owner(Chatc *c, SignalHandler *h);

void signal_done(SignalHandler *h);

/* Handles what has arrived, or waits until something does, at the longest to DEADLINE (monotonic).
 * *ret_timeout: the deadline passed with nothing to handle. */
int bus_wait(Chatc *c, usec_t deadline, bool *ret_timeout);

/* Handles what has arrived, MAX messages at most, and does not wait. */
int bus_process(Chatc *c, size_t max);

typedef enum BusWake {
        WAKE_BUS, /* there is something to handle */
        WAKE_TIMEOUT,
        WAKE_SIGNAL, /* a signal handler has run */
        WAKE_CLOSED, /* nobody reads standard output any more */
        WAKE_INPUT, /* FD can be read */
} BusWake;

/* Waits as bus_wait() does, and handles nothing. MASK is the signal mask while it waits: the caller
 * blocks what it must not miss between looking at its flags and waiting here. FD wakes it as well;
 * -1: none. */
int bus_sleep(Chatc *c, int fd, usec_t deadline, const sigset_t *mask, BusWake *ret);
