/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A link to an address that the user was told, to somebody who may be known neither here nor to any
 * directory: whoever proves to be the account there is who was meant. */

#include "delivery/private.h"

#include <stdio.h>

#include <utlist.h>

/* Until the other end has proved who it is, connecting included. */
#define VISIT_TIME (10 * USEC_PER_SEC)

struct Visit {
        Delivery *delivery;
        uint8_t account[KEY_SIZE];
        char endpoint[ENDPOINT_SIZE];
        LinkDial *dial; /* until it is connected */
        Link *link; /* then */
        LoopTimer *timer;
        DeliveryVisitFn fn;
        void *userdata;
        Visit *prev, *next;
};

/* Its link goes on. */
static void visit_free(Visit *v) {
        DL_DELETE(v->delivery->visits, v);
        link_dial_free(v->dial);
        loop_timer_free(v->timer);
        free(v);
}

static void visit_fail(Visit *v, Code code, const char *text) {
        DeliveryVisitFn fn = v->fn;
        void *userdata = v->userdata;

        visit_free(v);
        (void)fn(userdata, code, text, NULL, (Bytes){});
}

static void on_dialled(void *userdata, int error, Link *l) {
        Visit *v = userdata;

        v->dial = link_dial_free(v->dial);
        v->link = l;
        if (error < 0)
                visit_fail(v, error == -ETIMEDOUT ? CODE_TIMEOUT : CODE_UNKNOWN_PEER,
                        strerror(-error));
}

static void on_visit_timer(void *userdata) {
        Visit *v = userdata;
        Link *l = TAKE_PTR(v->link);

        if (l)
                link_abandon(l);
        visit_fail(v, CODE_TIMEOUT, strerror(ETIMEDOUT));
}

int visit_begin(Delivery *d, const LinkAddress *to, DeliveryVisitFn fn, void *userdata) {
        Visit *v;
        int r;

        if (!d->started)
                return -ENOTCONN;
        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        *v = (Visit){.delivery = d, .fn = fn, .userdata = userdata};
        memcpy(v->account, to->account, KEY_SIZE);
        endpoint_format(to->host, to->port, v->endpoint);
        DL_APPEND(d->visits, v);
        r = loop_timer_new(d->loop, on_visit_timer, v, &v->timer);
        if (r >= 0)
                r = link_dial(d->links, to, DIAL_TIME, on_dialled, v, &v->dial);
        if (r < 0) {
                visit_free(v);
                return r;
        }
        loop_timer_set(v->timer, loop_now(d->loop) + VISIT_TIME);
        return 0;
}

int delivery_visit(Delivery *d, const uint8_t account[static KEY_SIZE], const char *host,
        uint16_t port, DeliveryVisitFn fn, void *userdata) {
        LinkAddress to = {.host = host, .port = port, .account = account};

        return visit_begin(d, &to, fn, userdata);
}

void delivery_forget_visits(Delivery *d, void *userdata) {
        Visit *v, *tmp;

        DL_FOREACH_SAFE (d->visits, v, tmp) {
                if (v->userdata != userdata)
                        continue;
                if (v->link)
                        link_abandon(v->link);
                visit_free(v);
        }
}

static Visit *visit_find(Delivery *d, const Link *l) {
        Visit *v;

        DL_FOREACH (d->visits, v)
                if (v->link == l)
                        return v;
        return NULL;
}

/* The peer is as if a race had been won at this address. */
static void visit_win(Delivery *d, const uint8_t *account, const char *endpoint, Link *l) {
        Contact c;
        Peer *p;

        if (contact_get(store_write(d->store), account, &c) <= 0)
                return;
        p = peer_get(d, account, c.number);
        if (!p || p->link)
                return;
        peer_stop_dialling(p);
        p->link = l;
        if (strlen(endpoint) < sizeof(p->dialled))
                snprintf(p->dialled, sizeof(p->dialled), "%.*s", CANDIDATE_SIZE - 1, endpoint);
        loop_timer_set(p->timer, loop_now(d->loop) + ATTEMPT_TIME);
}

bool visit_met(Delivery *d, Link *l, const Record *record, Bytes outer) {
        Visit *v = visit_find(d, l);
        Visit met;

        if (!v)
                return true;
        met = *v;
        visit_free(v);
        if (!met.fn(met.userdata, CODE_OK, "", record, outer))
                return false;
        visit_win(d, met.account, met.endpoint, l);
        return true;
}

void visit_link_lost(Delivery *d, const Link *l, Code code, const char *text) {
        Visit *v = visit_find(d, l);

        if (!v)
                return;
        v->link = NULL;
        visit_fail(v, code == CODE_OK ? CODE_UNKNOWN_PEER : code, text);
}

void visits_end(Delivery *d) {
        while (d->visits) {
                Visit *v = d->visits;
                Link *l = TAKE_PTR(v->link);

                if (l)
                        link_abandon(l);
                visit_fail(v, CODE_NOT_LOGGED_IN, "logged out or stopped");
        }
}
