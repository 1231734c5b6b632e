/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Two Transports with a wire between them, in memory: with latency, with a buffer that can be full,
 * in pieces as small as one byte, and cut where the test wants. Uses timers only, so it runs on any
 * Loop; the two ends may be on loops of their own, with one time.
 *
 * A wire of a network of machines behaves as TCP does: what cannot get through is held, until it
 * can or until the end that waits for its acknowledgement gives up (TCP_UNACKNOWLEDGED_MAX).
 */

#include "net/transport.h"
#include "util/loop.h"

#define PIPE_CAPACITY (64 * 1024)

typedef struct PipeOptions {
        usec_t latency;
        size_t capacity; /* bytes under way or unread in one direction; 0: PIPE_CAPACITY */
        size_t chunk; /* at most so many in a read or write, the next only after `ready`; 0: any */
} PipeOptions;

enum {
        PIPE_FORTH = 1, /* from end 0 to end 1 */
        PIPE_BACK = 2,
};

typedef struct Pipe Pipe;

typedef struct PipeHooks {
        /* How long N bytes that this end writes at NOW are under way, instead of `latency`. */
        usec_t (*delay)(void *userdata, unsigned end, size_t n, usec_t now);

        /* The program at this end writes. False: it is dead, and nobody hears it. */
        bool (*call)(void *userdata, unsigned end, size_t n);
} PipeHooks;

/* The caller has the ends, and a reference to the wire between them. */
int pipe_new(Loop *l, const PipeOptions *options, Transport *ret_ends[static 2], Pipe **ret);
int pipe_new_between(Loop *const loops[static 2], const PipeOptions *options,
        const PipeHooks *hooks, void *userdata, Transport *ret_ends[static 2], Pipe **ret);
Pipe *pipe_unref(Pipe *p);

/* From now on what is sent in these directions, the end of the stream included, is lost without
 * either end's noticing. */
void pipe_cut(Pipe *p, unsigned directions);

/* From NOW on nothing gets through in this direction, until it does again: then what was under way
 * and what was written since arrives, unless an end has given up. */
void pipe_hold(Pipe *p, unsigned end, bool held, usec_t now);

/* The machine at this end is gone with all it knew of the connection, and holds nothing up any
 * more: whoever waits for it or writes to it from now on learns that. */
void pipe_lose(Pipe *p, unsigned end);

/* Ends the connection for both (RST). */
void pipe_reset(Pipe *p);

/* Of what is written from now on. */
void pipe_set_latency(Pipe *p, usec_t latency);

/* Bytes written in one direction so far. */
uint64_t pipe_carried(const Pipe *p, unsigned direction);

/* An end was freed, or said that it ends. */
bool pipe_is_over(const Pipe *p);

/* Both ends were freed: nobody will notice anything of it any more. */
bool pipe_is_freed(const Pipe *p);
