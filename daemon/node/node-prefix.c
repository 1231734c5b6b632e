/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is charged to an address and not to a session, of which anybody can have many. */

#include "node/node-internal.h"

struct Prefix {
        uint8_t address[16];
        Quota quotas[_CHARGE_MAX];
        UT_hash_handle hh;
};

static void prefix_free(Node *n, Prefix *p) {
        HASH_DEL(n->prefixes, p);
        free(p);
}

void node_prefixes_free(Node *n) {
        while (n->prefixes)
                prefix_free(n, n->prefixes);
}

static bool prefix_owes_nothing(const Prefix *p, usec_t now) {
        for (unsigned i = 0; i < _CHARGE_MAX; i++)
                if (!quota_is_full(&p->quotas[i], now))
                        return false;
        return true;
}

/* The table is in order of arrival: the oldest go when they owe nothing, or for want of room. */
static void prefixes_trim(Node *n, usec_t now) {
        while (n->prefixes &&
                (prefix_owes_nothing(n->prefixes, now) ||
                        HASH_COUNT(n->prefixes) >= NODE_PREFIXES_MAX))
                prefix_free(n, n->prefixes);
}

static Prefix *prefix_get(Node *n, const SockAddr *peer, usec_t now) {
        uint8_t address[16];
        unsigned hash;
        Prefix *p;

        sockaddr_prefix(peer, address);
        hash = key_hash(&n->hash, address, sizeof(address));
        HASH_FIND_BYHASHVALUE(hh, n->prefixes, address, sizeof(address), hash, p);
        if (p)
                return p;
        prefixes_trim(n, now);
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        memcpy(p->address, address, sizeof(address));
        for (unsigned i = 0; i < _CHARGE_MAX; i++)
                p->quotas[i].interval = USEC_PER_HOUR;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, n->prefixes, p->address, sizeof(p->address), hash, p);
        return TABLE_HAS(p) ? p : mfree(p);
}

bool client_charge_address(Client *c, Charge what, unsigned per_hour) {
        usec_t now = loop_now(c->node->loop);
        Prefix *p;

        if (per_hour == 0)
                return true;
        p = prefix_get(c->node, conn_peer(c->conn), now);
        if (!p)
                return false;
        p->quotas[what].burst = per_hour;
        return quota_take(&p->quotas[what], 1, now);
}
