/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * When a quiet connection is asked whether it is still there, and when it counts as gone. No I/O
 * and no clock of its own: the owner keeps one timer at `next` and calls keepalive_step() when it
 * fires; input needs no call. Times are monotonic.
 *
 * Silent for one interval: PING. Silent for two and a half: gone, but never without a PING before
 * it, and never for time that the own loop has lost: whoever looks late gives the other end another
 * half interval, so that what waits in the socket is read first.
 *
 * There may be a reason to doubt that the other end is there, such as after the machine has slept:
 * it is asked then, and has KEEPALIVE_ASK_TIME to answer.
 */

#include "util/macro.h"
#include "util/quota.h"
#include "util/usec.h"

/* The shortest interval is 5 s, and a link may be probed besides: who sends more PINGs than this
 * raves, and the connection ends. */
#define KEEPALIVE_PINGS QUOTA_INIT(100, 10 * USEC_PER_SEC)

#define KEEPALIVE_ASK_TIME (5 * USEC_PER_SEC)

typedef enum KeepaliveAction {
        KEEPALIVE_WAIT, /* set the timer again, nothing else */
        KEEPALIVE_PING, /* send PING, set the timer again */
        KEEPALIVE_GONE, /* end the connection */
} KeepaliveAction;

typedef struct Keepalive {
        usec_t interval; /* the larger of both ends' */
        usec_t heard; /* the last input that was looked at */
        usec_t next; /* when to look again */
        bool pinged; /* since `heard` */
        usec_t asked; /* out of turn, and not answered; 0: not */
} Keepalive;

/* WAIT is the interval with jitter (loop_jitter()), so that not all connections ping in step. */
void keepalive_start(Keepalive *k, usec_t interval, usec_t wait, usec_t now);

/* The owner sends PING now, and sets its timer again. What comes in the next moment was on its way
 * before, perhaps, and only a PONG is an answer then: keepalive_answered(). */
void keepalive_ask(Keepalive *k, usec_t now);
void keepalive_answered(Keepalive *k);

/* LAST_INPUT is the time of the last byte received, WAIT as above, for the silence after it. */
KeepaliveAction keepalive_step(Keepalive *k, usec_t last_input, usec_t wait, usec_t now);
