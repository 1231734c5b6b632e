/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A directory node: sessions with clients, names, records, presence. It runs in p2pchat-tracker,
 * and later inside p2pchatd. The owner accepts connections and hands them over, with a store.
 */

#include "net/conn.h"
#include "node/dstore.h"

#define NODE_ALPN "p2pchat-tracker/1"

typedef struct NodeLimits {
        unsigned heartbeat; /* s, offered to clients */
        unsigned handshake; /* s until HELLO; 0: no limit */
        unsigned registrations_per_hour; /* new names, and address; 0: no limit */
} NodeLimits;

typedef struct Node Node;

/* KEY is the node's own. All arguments outlive the node; LIMITS may be changed in place and hold
 * for what begins afterwards. */
int node_new(Net *net, DStore *store, const SignKey *key, const NodeLimits *limits, Node **ret);

/* Ends all sessions. What is to be kept has been given to the store. */
Node *node_free(Node *n);

/* A connection that was accepted; the transport is taken over. */
void node_accept(Node *n, Transport *t);

typedef struct NodeStats {
        unsigned sessions; /* that have said HELLO */
        unsigned online; /* accounts with presence */
        uint64_t registrations; /* new names since the start */
} NodeStats;

const NodeStats *node_stats(const Node *n);
