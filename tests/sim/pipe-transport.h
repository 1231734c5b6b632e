/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Two Transports with a wire between them, in memory: with latency, with a buffer that can be full,
 * in pieces as small as one byte, and cut where the test wants. Uses timers only, so it runs on any
 * Loop.
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

/* The caller has the ends, and a reference to the wire between them. */
int pipe_new(Loop *l, const PipeOptions *options, Transport *ret_ends[static 2], Pipe **ret);
Pipe *pipe_unref(Pipe *p);

/* From now on what is sent in these directions, the end of the stream included, is lost without
 * either end's noticing. */
void pipe_cut(Pipe *p, unsigned directions);

/* Of what is written from now on. */
void pipe_set_latency(Pipe *p, usec_t latency);

/* Bytes written in one direction so far. */
uint64_t pipe_carried(const Pipe *p, unsigned direction);

/* An end was freed, or said that it ends. */
bool pipe_is_over(const Pipe *p);
