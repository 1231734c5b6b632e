/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A network in memory: hosts that listen, and a connector (net/connect.h) that reaches them through
 * pipes. Hosts go off-line without a word, as machines do.
 */

#include "pipe-transport.h"

#include "net/connect.h"

typedef struct Network Network;

/* T is the callee's. */
typedef void (*NetworkAcceptFn)(void *userdata, Transport *t);

int network_new(Loop *l, Network **ret);
Network *network_free(Network *n);

/* Of the connections from now on. */
void network_set_options(Network *n, const PipeOptions *options);

/* Connections that N's owner makes go through NETWORK. */
void network_connect_with(Network *network, Net *n);

int network_listen(Network *n, const char *host, uint16_t port, NetworkAcceptFn fn, void *userdata);

/* Connections to it are neither accepted nor refused, until network_close(). */
int network_swallow(Network *n, const char *host, uint16_t port);

/* Connections to it are refused from now on; those that there are stay. */
void network_close(Network *n, const char *host, uint16_t port);

/* Everything that is connected now is cut in these directions, silently. */
void network_cut(Network *n, unsigned directions);

/* Connections made so far, refused ones included. */
unsigned network_n_dialled(const Network *n);

/* The most connections that were being made at the same time. */
unsigned network_most_at_once(const Network *n);
