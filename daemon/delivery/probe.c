/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Whether somebody is at an address, as he would be found there if he were dialled. */

#include "delivery/private.h"

#include <utlist.h>

struct DeliveryProbe {
        Delivery *delivery;
        LinkPeek *peek;
        DeliveryProbeFn fn;
        void *userdata;
        DeliveryProbe *prev, *next;
};

DeliveryProbe *delivery_probe_free(DeliveryProbe *p) {
        if (!p)
                return NULL;
        DL_DELETE(p->delivery->probes, p);
        p->delivery->n_probes--;
        link_peek_free(p->peek);
        free(p);
        return NULL;
}

/* FN may begin another one in its place. G lives as long as the connection does. */
static void on_peeked(void *userdata, int error, const Greeting *g) {
        DeliveryProbe *p = userdata, copy = *p;

        p->peek = NULL;
        delivery_probe_free(p);
        copy.fn(copy.userdata, error, g, g ? g->hello.record : (Bytes){});
        link_peek_free(copy.peek);
}

int delivery_probe(Delivery *d, const uint8_t account[static KEY_SIZE], const SockAddr *at,
        DeliveryProbeFn fn, void *userdata, DeliveryProbe **ret) {
        char text[ENDPOINT_SIZE], host[HOST_SIZE];
        LinkAddress to = {.host = host, .account = account};
        DeliveryProbe *p;
        int r;

        if (!d->started && !own_is_retired(d))
                return -ENOTCONN;
        if (d->n_probes >= DELIVERY_PROBES_MAX)
                return -EBUSY;
        sockaddr_format(at, text);
        r = endpoint_parse_scoped(text, strlen(text), host, &to.port);
        if (r < 0)
                return r;
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        *p = (DeliveryProbe){.delivery = d, .fn = fn, .userdata = userdata};
        r = link_peek(d->links, &to, DIAL_TIME, on_peeked, p, &p->peek);
        if (r < 0) {
                free(p);
                return r;
        }
        DL_APPEND(d->probes, p);
        d->n_probes++;
        *ret = p;
        return 0;
}

void probes_end(Delivery *d) {
        while (d->probes)
                on_peeked(d->probes, -ECANCELED, NULL);
}
