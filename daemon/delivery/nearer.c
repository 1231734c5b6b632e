/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Somebody to whom there is a link has proved to be on the local network. Where this end has opened
 * the link, and it goes another way, one that goes over the local network takes its place: both are
 * of the same opener, so that the newer one stays (link.h), and what the older had not acknowledged
 * goes over it. That is tried once for each address that is proved.
 */

#include "delivery/private.h"

/* All addresses of somebody are proved at about the same time: the link may go to one of them. */
#define NEARER_DELAY (3 * USEC_PER_SEC)

void delivery_on_lan(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);

        if (!p || !p->up) {
                delivery_appeared(d, account);
                return;
        }
        p->nearer = true;
        loop_timer_set(d->nearer_timer, loop_now(d->loop) + NEARER_DELAY);
}

/* Who answers there is the same: otherwise it would not have come to this. */
static bool on_met(void *userdata, Code code, const char *text, const Record *record, Bytes outer) {
        return code == CODE_OK;
}

static void peer_go_nearer(Peer *p) {
        Delivery *d = p->delivery;
        SockAddr lan[LAN_ADDRESSES_MAX];
        size_t n = directory_lan_endpoints(d->directory, p->account, lan, ELEMENTSOF(lan));
        char text[ENDPOINT_SIZE], host[HOST_SIZE];
        LinkAddress to = {.host = host, .account = p->account, .raced = true};

        if (!p->up || !link_is_outgoing(p->link) || n == 0)
                return;
        for (size_t i = 0; i < n; i++)
                if (sockaddr_same_host(&lan[i], link_peer(p->link)))
                        return;
        sockaddr_format(&lan[0], text);
        if (endpoint_parse_scoped(text, strlen(text), host, &to.port) >= 0)
                (void)visit_begin(d, &to, on_met, d);
}

void nearer_look(void *userdata) {
        Delivery *d = userdata;
        Peer *p, *tmp;

        HASH_ITER (hh, d->peers, p, tmp) {
                if (p->nearer)
                        peer_go_nearer(p);
                p->nearer = false;
        }
}
