/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node/address.h"

#include <stdio.h>

/* The first that others can use, else one that means all addresses, else loopback. */
static const Endpoint *best_listen(const TrackerConfig *config) {
        const Endpoint *any = NULL, *loopback = NULL;

        for (size_t i = 0; i < config->listen.n; i++) {
                const Endpoint *e = &config->listen.items[i];
                SockAddr a;

                if (sockaddr_parse_ip(e->host, e->port, &a) < 0)
                        continue;
                if (sockaddr_is_any(&a))
                        any = any ?: e;
                else if (sockaddr_is_loopback(&a))
                        loopback = loopback ?: e;
                else
                        return e;
        }
        return any ?: loopback ?: &config->listen.items[0];
}

void node_address(const TrackerConfig *config, const uint8_t key[static 32], EndpointKey *ret) {
        const Endpoint *listen = best_listen(config);
        EndpointKey e = {.port = config->advertise.port ?: listen->port};
        SockAddr a;

        memcpy(e.key, key, sizeof(e.key));
        if (config->advertise.host[0])
                memcpy(e.host, config->advertise.host, sizeof(e.host));
        else if (sockaddr_parse_ip(listen->host, 0, &a) >= 0 && !sockaddr_is_any(&a))
                memcpy(e.host, listen->host, sizeof(e.host));
        else if (gethostname(e.host, sizeof(e.host) - 1) < 0 || !e.host[0])
                snprintf(e.host, sizeof(e.host), "localhost");
        *ret = e;
}
