/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Where the bytes of a TLS session go: a TCP socket, the simulator's network, later a relayed
 * stream. Non-blocking; `ready` is called as long as something asked for can be done.
 */

#include "util/sockaddr.h"

typedef struct Transport Transport;

typedef struct TransportOps {
        /* Bytes moved, 0 at the end of the stream (read only), -EAGAIN, or another errno. */
        ssize_t (*read)(Transport *t, void *p, size_t n);
        ssize_t (*write)(Transport *t, const void *p, size_t n);

        /* LOOP_READ and LOOP_WRITE, what `ready` shall be called for from now on. */
        void (*want)(Transport *t, uint32_t events);

        /* No more will be written; the other end reads an end of stream. */
        void (*end)(Transport *t);
        void (*free)(Transport *t);

        /* It is of use, and does not give way when there are too many. May be NULL. */
        void (*keep)(Transport *t);
} TransportOps;

struct Transport {
        const TransportOps *ops;
        SockAddr peer; /* family 0 where there is no such thing */
        void (*ready)(void *userdata, uint32_t events);
        void *userdata;
};

static inline Transport *transport_free(Transport *t) {
        if (t)
                t->ops->free(t);
        return NULL;
}
