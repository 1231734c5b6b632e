/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A connection that carries frames: TLS over a transport, with output that gathers until the
 * present handler is done, so that what one event causes leaves in full TLS records.
 *
 * The owner frees a connection whenever it likes, in its callbacks too. After `closed` nothing more
 * is called. Input is handed over as it comes; what is received but not handed over yet is at most
 * one frame and one TLS record.
 */

#include "net/tls.h"
#include "util/loop.h"
#include "wire/frame.h"

/* Output queued for a peer: above FULL the owner should stop producing until `drained`; a peer that
 * lets it grow to MAX is cut off with -ENOBUFS. */
#define CONN_QUEUE_FULL (256 * 1024)
#define CONN_QUEUE_LOW (64 * 1024)
#define CONN_QUEUE_MAX (4 * 1024 * 1024)

/* What connections share: the loop, a buffer to read into, and those that are being shut down. */
typedef struct Net Net;

int net_new(Loop *l, Net **ret);
Net *net_free(Net *n);
Loop *net_loop(const Net *n);

/* Before the loop ends: calls FN, once and never from within this function, when what
 * conn_shutdown() has queued is with the other ends and they have closed too, or after MAX. */
int net_finish(Net *n, usec_t max, void (*fn)(void *userdata), void *userdata);

typedef struct Conn Conn;

typedef struct ConnCallbacks {
        /* The handshake is done and the other end has proved to hold this key. */
        void (*open)(void *userdata, const uint8_t key[static KEY_SIZE]);

        /* A frame; negative ends the connection with that error. */
        int (*frame)(void *userdata, Frame *f);

        /* Output was over CONN_QUEUE_FULL and is below CONN_QUEUE_LOW again. May be NULL. */
        void (*drained)(void *userdata);

        /* -ECONNRESET or 0 for an end by the other side, -EPROTO with TLS, the errors of
         * frame_scan(), those of `frame`. TEXT is for people. */
        void (*closed)(void *userdata, int error, const char *text);
} ConnCallbacks;

/* Takes the transport over in every case. IDENTITY and the callbacks must outlive the connection.
 */
int conn_new(Net *n, Transport *t, TlsIdentity *identity, TlsRole role, const char *alpn,
        const ConnCallbacks *callbacks, void *userdata, Conn **ret);

/* What the other end may send in INTERVAL, all of it at once or spread. Over that nothing is read
 * from it until there is room again: it waits, TCP tells it so, and nothing is lost. 0: no limit.
 * BYTES must allow the largest frame. */
typedef struct ConnLimit {
        uint64_t frames, bytes;
        usec_t interval;
} ConnLimit;

void conn_set_limit(Conn *c, const ConnLimit *limit);

/* Charges what a frame costs beyond the others; false when there is not that much left. */
bool conn_charge(Conn *c, uint64_t frames);

/* At once; what is queued is lost. */
Conn *conn_free(Conn *c);

/* Sends what is queued, then ends; the owner is no longer concerned. Given up after a few
 * seconds. */
Conn *conn_shutdown(Conn *c);

/* Where encoders append frames; conn_queued() after each. */
Buffer *conn_output(Conn *c);
void conn_queued(Conn *c);

static inline bool conn_is_full(Conn *c) {
        return buffer_size(conn_output(c)) > CONN_QUEUE_FULL;
}

/* The other end is somebody who is wanted here. Until then a connection that was accepted gives way
 * to newer ones when there are too many. */
void conn_keep(Conn *c);

const SockAddr *conn_peer(const Conn *c);

/* As tls_export(), of a connection that is open. */
int conn_export(Conn *c, const char *label, uint8_t *ret, size_t n);

/* Monotonic time of the last byte received. */
usec_t conn_last_input(const Conn *c);
