/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What was sent over a link and not acknowledged, in the order of sending. Pure.
 *
 * Whatever the other end says of an id costs one look-up, so a thousand ids that nobody has sent
 * are no work. An entry that was refused for now keeps its place: somebody who refuses everything
 * stops the flow, and nothing grows.
 */

#include "store/message.h"

#define WINDOW_ENTRIES 1024
#define WINDOW_BYTES (2 * 1024 * 1024)

/* With more that were refused for now nothing new is sent. Each is a hole in what the other end
 * has, and it cannot remember any number of them (RECEIPT_RANGES_MAX). */
#define WINDOW_WAITING_MAX 64

typedef struct Sent {
        Uuid id;
        OutboxPosition at;
        uint32_t size;
        unsigned refusals; /* that were not for good */
        usec_t retry; /* monotonic, by window_set_retry(); 0: it is under way */
} Sent;

typedef struct WindowSlot WindowSlot;

typedef struct Window {
        WindowSlot *slots;
        uint16_t *buckets; /* by id: a slot and 1, or 0 */
        uint16_t allocated, free, first, last; /* slots and 1 */
        uint16_t n, n_waiting; /* of them, to be sent again */
        size_t bytes;
} Window;

void window_done(Window *w);

/* Nothing more is sent until something of it is acknowledged. */
bool window_is_full(const Window *w) _pure_;

/* At the end. The id is not there yet; the window is not full. */
int window_add(Window *w, const Sent *s);

/* NULL for what is not there. Valid until the next change. */
Sent *window_find(Window *w, const Uuid *id);
bool window_remove(Window *w, const Uuid *id);

void window_set_retry(Window *w, Sent *s, usec_t retry);

/* The first entry of those that wait to be sent again whose time has come, in the order of sending;
 * NULL: none. */
Sent *window_next_retry(Window *w, usec_t now);

/* When the first that waits is to be sent again; USEC_INFINITY where none does. */
usec_t window_first_retry(const Window *w) _pure_;
