/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The Loop of the tests. Its clock stands still while anything is ready and then jumps to the next
 * timer, so hours pass in milliseconds. Randomness comes from a seed: the same seed and the same
 * calls give the same run. What a worker would do is done inline, in its turn.
 *
 * Handlers are called in the order of net/loop-sd-event.c: POST after each, SOON before anything
 * new, IDLE when nothing else is ready. There are no descriptors: loop_io_new() says -EOPNOTSUPP.
 */

#include "util/loop.h"

/* Both clocks at the start. */
#define VIRTUAL_START (1000 * USEC_PER_SEC)
#define VIRTUAL_REALTIME (UINT64_C(1767225600) * USEC_PER_SEC) /* 2026-01-01 */

int loop_virtual_new(uint64_t seed, Loop **ret);

/* All sources must be gone. Jobs that were not run yet are cancelled. */
Loop *loop_virtual_free(Loop *l);

/* Calls the next handler; the clock goes as far as UNTIL. False, at UNTIL, when there is none; with
 * USEC_INFINITY the clock then stays where it is. */
bool loop_virtual_turn(Loop *l, usec_t until);

/* When the next handler is to be called, USEC_INFINITY: never, as far as is known now. */
usec_t loop_virtual_next(Loop *l);

/* FN is called when that may be another time than loop_virtual_next() has said, once until it says
 * so again. */
typedef void (*LoopVirtualFn)(void *userdata);
void loop_virtual_watch(Loop *l, LoopVirtualFn fn, void *userdata);

/* All that happens within TIME from now. */
void loop_virtual_run(Loop *l, usec_t time);

/* T stands for a descriptor: it fires when that becomes ready. Nothing happens with other Loops. */
void loop_virtual_set_arrival(LoopTimer *t);

/* Time passes and nobody is called: the process was stopped, or something has blocked. */
void loop_virtual_stall(Loop *l, usec_t time);

/* How many sources there are: what has ended leaves none behind. */
unsigned loop_virtual_count_sources(Loop *l);

/* Moves the wall clock against the monotonic one. */
void loop_virtual_step_realtime(Loop *l, int64_t by);
