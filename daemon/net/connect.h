/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Outgoing connections, as transports: by TCP, or by whatever else a Net was given to make them
 * with, such as the network of a simulation.
 */

#include "net/conn.h"
#include "net/tcp.h"

typedef struct Connect Connect;

/* T is the callee's and connected; or NULL, and ERROR says why: -EHOSTUNREACH for a name that does
 * not resolve, else as connect(2). Called once, never from within connect_new(). */
typedef void (*ConnectFn)(void *userdata, int error, Transport *t);

int connect_new(Net *n, const DialTarget *to, ConnectFn fn, void *userdata, Connect **ret);

/* Gives up. Also to be called after the callback, or in it. */
Connect *connect_free(Connect *c);

/* Another way out. What NEW returns begins with its Net. */
typedef struct Connector {
        int (*new)(Net *n, const DialTarget *to, ConnectFn fn, void *userdata, Connect **ret);
        void (*free)(Connect *c);
} Connector;

/* CONTEXT is for the connector to find again; both outlive N. Not while anything connects. */
void net_set_connector(Net *n, const Connector *c, void *context);
const Connector *net_connector(const Net *n); /* NULL: TCP */
void *net_connector_context(const Net *n);
