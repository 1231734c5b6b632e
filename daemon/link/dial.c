/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "link/link.h"

#include "net/connect.h"

struct LinkDial {
        LinkPool *pool;
        Connect *connect;
        uint8_t account[KEY_SIZE];
        bool raced;
        LinkDialFn fn;
        void *userdata;
};

static void on_connected(void *userdata, int error, Transport *t) {
        LinkDial *d = userdata;
        Link *l = NULL;
        int r = error;

        if (r >= 0)
                r = link_dialled(d->pool, t, d->account, &l);
        if (r >= 0 && d->raced)
                link_set_raced(l);
        d->fn(d->userdata, MIN(r, 0), l);
}

int link_dial(LinkPool *p, const LinkAddress *to, usec_t timeout, LinkDialFn fn, void *userdata,
        LinkDial **ret) {
        /* Where somebody is to be found, he has said himself. */
        DialTarget target = {
                .host = to->host, .port = to->port, .lane = LOOP_WORK_OTHERS, .timeout = timeout};
        LinkDial *d = malloc(sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        *d = (LinkDial){.pool = p, .raced = to->raced, .fn = fn, .userdata = userdata};
        memcpy(d->account, to->account, KEY_SIZE);
        r = connect_new(link_pool_net(p), &target, on_connected, d, &d->connect);
        if (r < 0) {
                free(d);
                return r;
        }
        *ret = d;
        return 0;
}

LinkDial *link_dial_free(LinkDial *d) {
        if (!d)
                return NULL;
        connect_free(d->connect);
        free(d);
        return NULL;
}
