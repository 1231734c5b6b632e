/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A directory node: sessions with clients, names, records, presence, mailboxes. It runs in
 * p2pchat-tracker, and later inside p2pchatd. The owner accepts connections and hands them over,
 * with a store.
 */

#include "net/conn.h"
#include "node/dstore.h"
#include "node/oprf-keys.h"
#include "wire/code.h"

#define NODE_ALPN "p2pchat-tracker/1"

typedef struct NodeLimits {
        unsigned heartbeat; /* s, offered to clients */
        unsigned handshake; /* s until HELLO; 0: no limit */
        unsigned registrations_per_hour; /* new names, and address; 0: no limit */

        /* What is taken in for people who are away; what is there already is kept and given out
         * in any case. */
        bool mailbox;
        unsigned mailbox_days; /* an item lasts at most */
        uint64_t mailbox_items, mailbox_bytes; /* of one mailbox */
        unsigned stamp_bits; /* that a stranger's stamp must have */

        /* What stretching a new password takes; 0: PASSWORD_COST_DEFAULT. */
        uint64_t password_memory, password_passes;

        /* From the question about a password to the answer; 0: PASSWORD_TIME_DEFAULT. */
        usec_t password_time;
} NodeLimits;

/* Many times what an answer takes to make: so that its time tells nothing of how it was made. */
#define PASSWORD_TIME_DEFAULT (5 * USEC_PER_MSEC)

typedef struct Node Node;

typedef enum NodeStoreUse {
        NODE_STORE_READ,
        NODE_STORE_WRITE,
        NODE_STORE_PASSWORDS, /* the keys of node_set_accounts(), either way */
        _NODE_STORE_USE_MAX,
} NodeStoreUse;

/* What whoever runs the node may want to hear, as often as it happens. */
typedef struct NodeCallbacks {
        /* A new name. */
        void (*registered)(void *userdata, const Record *record);

        /* An account that had NAME until now is gone. May be NULL. */
        void (*deleted)(void *userdata, const char *name, const uint8_t account[static KEY_SIZE]);

        /* A name that belongs to somebody else, or more than one address may have. */
        void (*refused)(void *userdata, const Record *record, const SockAddr *peer, Code code,
                const char *text);

        /* The store fails at that, or for another reason than before; 0: it works again. Each is
         * told once. -EUCLEAN of the directory: a part of it is damaged, whatever else can be read
         * and written; that is never over. */
        void (*store)(void *userdata, NodeStoreUse use, int error);
} NodeCallbacks;

/* KEY is the node's own. All arguments outlive the node; LIMITS may be changed in place and hold
 * for what begins afterwards. */
int node_new(Net *net, DStore *store, const SignKey *key, const NodeLimits *limits, Node **ret);

/* Nobody hears anything before. */
void node_set_callbacks(Node *n, const NodeCallbacks *callbacks, void *userdata);

/* Passwords are kept from now on, with these keys, which outlive the node; before the first
 * connection. Without it OPRF, LOGIN and ACCOUNT are not supported. */
int node_set_accounts(Node *n, OprfKeys *keys);

/* Ends all sessions. What is to be kept has been given to the store. */
Node *node_free(Node *n);

/* A connection that was accepted; the transport is taken over. */
void node_accept(Node *n, Transport *t);

typedef struct NodeStats {
        unsigned sessions; /* that have said HELLO */
        unsigned online; /* accounts with presence */
        uint64_t registrations; /* new names since the start */
        uint64_t mail_items, mail_bytes; /* in all mailboxes */
        unsigned rooms; /* in which somebody is online */
        uint64_t new_rooms; /* published since the start, that were not known */
} NodeStats;

const NodeStats *node_stats(const Node *n);

/* As in its HELLO. */
const uint8_t *node_boot_nonce(const Node *n);
