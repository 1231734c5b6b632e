/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Waiting for a message to reach a state. Nothing can be missed: the signal is subscribed to
 * before the message is sent, and where a state may have been reached earlier (a repeated id, a
 * daemon that restarted) it is looked up as well.
 */

#include "cli/bus-signal.h"

/* queued < stored < delivered < read; failed and expired end the way. */
typedef enum MessageState {
        STATE_QUEUED,
        STATE_STORED,
        STATE_DELIVERED,
        STATE_READ,
        STATE_FAILED,
        STATE_EXPIRED,
        _STATE_INVALID = -EINVAL,
} MessageState;

MessageState message_state_from_string(const char *s);

typedef struct StateWait StateWait;

/* Subscribes; before the message is sent. */
int state_wait_new(Chatc *c, StateWait **ret);
StateWait *state_wait_free(StateWait *w);
DEFINE_CLEANUP(StateWait *, state_wait_free)

/* Waits until message ID to TO is in the state WANTED or a later one, at the longest TIMEOUT
 * (USEC_INFINITY: for ever). LOOK_UP: it may have been there before the subscription. */
int state_wait_run(StateWait *w, const char *to, const char *id, MessageState wanted,
        usec_t timeout, bool look_up);
