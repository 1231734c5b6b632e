/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A directory node: sessions with clients, names, records, presence. It runs in p2pchat-tracker,
 * and later inside p2pchatd. The owner gives it listening sockets' connections and a store.
 */

#include "net/conn.h"
#include "node/dstore.h"
#include "util/quota.h"

typedef struct NodeLimits {
        unsigned heartbeat;              /* s, offered to clients */
        unsigned handshake;              /* s until HELLO; 0: no limit */
        unsigned registrations_per_hour; /* and address; 0: no limit */
} NodeLimits;

typedef struct Node Node;

/* KEY is the node's own; all arguments outlive the node. */
int node_new(Net *net, DStore *store, const SignKey *key, const NodeLimits *limits, Node **ret);
Node *node_free(Node *n);

/* A connection that was accepted; the transport is taken over. */
void node_accept(Node *n, Transport *t);

typedef struct NodeStats {
        unsigned sessions; /* that have said HELLO */
        unsigned online;   /* accounts with presence */
        uint64_t registrations;
} NodeStats;

const NodeStats *node_stats(const Node *n);
