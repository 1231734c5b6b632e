/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Other devices of this account. They are no peers: nothing is sent to them and nothing taken from
 * them here, and there is no row of them. A link with one goes to whoever hands over what a device
 * has (own_link); which device is the active one, the records in their HELLO say.
 */

#include "delivery/private.h"

#include <stdio.h>
#include <utlist.h>

/* Dialled at once. */
#define OWN_DIALS_MAX 8

/* Where nobody has asked for it. */
#define CALLED_UNASKED USEC_PER_DAY

typedef struct OwnLink {
        Link *link; /* let in */
        bool up; /* it is open, and that was told */
        usec_t since; /* let in, then up */
        struct OwnLink *prev, *next;
} OwnLink;

typedef struct OwnDial {
        Delivery *delivery;
        char endpoint[CANDIDATE_SIZE]; /* "": free */
        LinkDial *dial; /* until it is connected */
        Link *link; /* then, until the other end has said who it is */
} OwnDial;

struct Own {
        bool want, retired;
        bool met; /* another device, since the start */
        Buffer record; /* while retired: the newest, and whose it is */
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        OwnLink *links;
        OwnDial dials[OWN_DIALS_MAX];
        unsigned n_dials;
        LoopTimer *timer; /* the next attempt, or the end of this one */
        usec_t since; /* there was news */
        bool news; /* since the present attempt began */
        bool trying; /* dials are being begun */
};

bool is_own_account(const Delivery *d, const uint8_t *account) {
        return key_equal(account, sign_key_public(&d->self->account));
}

bool own_is_retired(const Delivery *d) {
        return d->own->retired;
}

Bytes own_newest(const Delivery *d) {
        return buffer_bytes(&d->own->record);
}

/* Positive when the device of C is newer than all that are known here, this one included. */
static int compare_with_newest(const Delivery *d, const Certificate *c) {
        const Own *o = d->own;

        if (o->retired)
                return device_compare(c->epoch, c->device, o->epoch, o->device);
        return device_compare(
                c->epoch, c->device, d->self->epoch, sign_key_public(&d->self->device));
}

/* Of a device that took the account over and has not been given anything yet. One that is gone for
 * ever is not called for ever: that it is back would be news. */
static bool was_elsewhere(const Delivery *d) {
        Endpoints e;

        return d->started && !d->own->met && loop_now(d->loop) - d->own->since < CALLED_UNASKED &&
                store_get_endpoints(store_write(d->store), ENDPOINTS_OWN, &e) > 0 && e.n > 0;
}

/* Whether somebody is to be dialled. */
static bool is_missing(const Delivery *d) {
        const Own *o = d->own;
        const OwnLink *x;

        if ((!d->started && !o->retired) || (!o->want && !was_elsewhere(d)))
                return false;
        DL_FOREACH (o->links, x)
                if (!o->retired || key_equal(link_certificate(x->link)->device, o->device))
                        return false;
        return true;
}

/* Dialling */

static void dial_clear(OwnDial *a) {
        Delivery *d = a->delivery;

        if (!a->endpoint[0])
                return;
        link_dial_free(a->dial);
        if (a->link)
                link_abandon(a->link);
        *a = (OwnDial){.delivery = d};
        d->own->n_dials--;
}

static void dials_clear(Own *o) {
        for (size_t i = 0; i < OWN_DIALS_MAX; i++)
                dial_clear(&o->dials[i]);
}

static uint64_t random_of(Delivery *d) {
        uint64_t v;

        loop_random(d->loop, &v, sizeof(v));
        return v;
}

static void dial_failed(OwnDial *a, bool wrong) {
        Delivery *d = a->delivery;
        DeadKey key = dead_key(sign_key_public(&d->self->account), a->endpoint);

        dead_add(&d->dead, &key, wrong, loop_now(d->loop), random_of(d));
        dial_clear(a);
}

/* Links that do not open end as well: the pool need not have a limit for handshakes. */
static void arm(Delivery *d, usec_t at) {
        const OwnLink *x;

        DL_FOREACH (d->own->links, x)
                if (!x->up)
                        at = MIN(at, x->since + ATTEMPT_TIME);
        loop_timer_set(d->own->timer, at);
}

static void try_later(Delivery *d) {
        Own *o = d->own;
        usec_t now = loop_now(d->loop);

        if (o->n_dials > 0 || o->trying)
                return;
        if (!is_missing(d))
                arm(d, USEC_INFINITY);
        else
                arm(d, now + schedule_wait(o->news ? 0 : now - o->since, random_of(d)));
}

static void on_dialled(void *userdata, int error, Link *l) {
        OwnDial *a = userdata;
        Delivery *d = a->delivery;

        a->dial = link_dial_free(a->dial);
        a->link = l;
        if (error >= 0)
                return;
        dial_failed(a, false);
        try_later(d);
}

static void add(Delivery *d, Candidates *c, const char *text, CandidateSource source, bool excuse) {
        DeadKey key = dead_key(sign_key_public(&d->self->account), text);

        if (excuse)
                dead_excuse(&d->dead, &key, loop_now(d->loop));
        (void)candidates_add(c, text, strlen(text), source, dead_until(&d->dead, &key));
}

static void collect(Delivery *d, Candidates *c, bool excuse) {
        const uint8_t *account = sign_key_public(&d->self->account);
        const KnownPresence *k = directory_presence(d->directory, account);
        SockAddr lan[LAN_ADDRESSES_MAX];
        size_t n = directory_lan_endpoints(d->directory, account, lan, ELEMENTSOF(lan));
        char text[ENDPOINT_SIZE];
        Endpoints cached;
        DbTxn *txn;

        for (size_t i = 0; i < n; i++)
                add(d, c, sockaddr_format(&lan[i], text), CANDIDATE_LAN, excuse);
        for (size_t i = 0; k && i < k->n_endpoints; i++)
                add(d, c, k->endpoints[i], CANDIDATE_ANNOUNCED, excuse);
        if (store_read_begin(d->store, &txn) < 0)
                return;
        if (store_get_endpoints(txn, ENDPOINTS_OWN, &cached) > 0)
                for (size_t i = 0; i < cached.n; i++)
                        add(d, c, cached.text[i], CANDIDATE_CACHED, excuse);
        store_read_end(txn);
}

static void dial_begin(Delivery *d, const Candidate *c, bool raced) {
        OwnDial *a = d->own->dials;
        char host[HOST_SIZE];
        LinkAddress to = {
                .host = host, .account = sign_key_public(&d->self->account), .raced = raced};

        while (a->endpoint[0])
                a++;
        if (endpoint_parse_scoped(c->endpoint, strlen(c->endpoint), host, &to.port) < 0)
                return;
        memcpy(a->endpoint, c->endpoint, sizeof(a->endpoint));
        d->own->n_dials++;
        if (link_dial(d->links, &to, DIAL_TIME, on_dialled, a, &a->dial) < 0)
                dial_failed(a, false);
}

/* Everywhere at once: an account has few devices. HELLO is said to the one that answers first. */
static void try_now(Delivery *d) {
        Own *o = d->own;
        Candidates c = {};
        size_t n;

        collect(d, &c, o->news);
        (void)candidates_order(&c, 0, loop_now(d->loop));
        o->news = false;
        o->trying = true;
        n = MIN(c.n, (size_t)OWN_DIALS_MAX);
        for (size_t i = 0; i < n; i++)
                dial_begin(d, &c.list[i], n > 1);
        o->trying = false;
        if (o->n_dials > 0)
                arm(d, loop_now(d->loop) + ATTEMPT_TIME);
        else
                try_later(d);
}

void own_look(Delivery *d) {
        Own *o = d->own;

        o->since = loop_now(d->loop);
        o->news = true;
        if (o->n_dials == 0 && is_missing(d))
                loop_timer_set(o->timer, o->since);
}

/* Links */

static void own_link_drop(Delivery *d, OwnLink *x) {
        Link *l = x->link;
        bool up = x->up;

        DL_DELETE(d->own->links, x);
        free(x);
        if (up)
                d->callbacks->own_link(d->userdata, l, false);
}

static OwnLink *own_link_find(const Delivery *d, const Link *l) {
        OwnLink *x;

        DL_FOREACH (d->own->links, x)
                if (x->link == l)
                        return x;
        return NULL;
}

static OwnDial *dial_find(Own *o, const Link *l) {
        for (size_t i = 0; i < OWN_DIALS_MAX; i++)
                if (o->dials[i].endpoint[0] && o->dials[i].link == l)
                        return &o->dials[i];
        return NULL;
}

static void end_those_that_do_not_open(Delivery *d) {
        usec_t now = loop_now(d->loop);
        OwnLink *x, *tmp;

        DL_FOREACH_SAFE (d->own->links, x, tmp) {
                Link *l = x->link;

                if (x->up || now < x->since + ATTEMPT_TIME)
                        continue;
                own_link_drop(d, x);
                link_close(l, CODE_TIMEOUT, "the link did not open in time");
        }
}

static void on_timer(void *userdata) {
        Delivery *d = userdata;
        Own *o = d->own;

        end_those_that_do_not_open(d);
        for (size_t i = 0; i < OWN_DIALS_MAX; i++)
                if (o->dials[i].endpoint[0])
                        dial_failed(&o->dials[i], false);
        if (is_missing(d))
                try_now(d);
        else
                arm(d, USEC_INFINITY);
}

/* The endpoint that worked goes first. Where it is not kept, the directory will have to say it. */
static void remember(Delivery *d, const char *endpoint) {
        Endpoints before = {}, now = {.n = 1};

        if (!endpoint[0] || strchr(endpoint, '%') || strlen(endpoint) >= sizeof(now.text[0]) ||
                store_get_endpoints(store_write(d->store), ENDPOINTS_OWN, &before) < 0 ||
                (before.n > 0 && streq(before.text[0], endpoint)))
                return;
        snprintf(now.text[0], sizeof(now.text[0]), "%.*s", CANDIDATE_SIZE - 1, endpoint);
        for (size_t i = 0; i < before.n && now.n < ENDPOINTS_MAX; i++)
                if (!streq(before.text[i], endpoint))
                        memcpy(now.text[now.n++], before.text[i], sizeof(now.text[0]));
        (void)store_set_endpoints(d->store, ENDPOINTS_OWN, &now);
}

static bool let_in(Delivery *d, Link *l) {
        OwnLink *x = calloc(1, sizeof(*x));
        OwnDial *a = dial_find(d->own, l);

        if (!x)
                return false;
        *x = (OwnLink){.link = l, .since = loop_now(d->loop)};
        DL_APPEND(d->own->links, x);
        if (a) {
                remember(d, a->endpoint);
                a->link = NULL;
                dial_clear(a);
        }
        if (!is_missing(d))
                dials_clear(d->own);
        if (d->own->n_dials == 0)
                try_later(d);
        link_trust(l);
        link_confirm(l, &(HelloOk){});
        return true;
}

/* It was dialled, perhaps, and is not the one that is looked for. */
static void turn_away(Delivery *d, Link *l, bool wrong) {
        OwnDial *a = dial_find(d->own, l);

        if (!a)
                return;
        a->link = NULL;
        dial_failed(a, wrong);
        try_later(d);
}

void own_hello(Delivery *d, Link *l, const Greeting *g, Bytes record) {
        Own *o = d->own;
        int c = compare_with_newest(d, &g->certificate);

        if (c > 0 && d->callbacks->own_record)
                d->callbacks->own_record(d->userdata, &g->record, record);
        if (o->retired ? c < 0 : c > 0) {
                turn_away(d, l, false);
                link_replaced(l, o->retired ? own_newest(d) : record);
        } else if (!link_takes_handover(l) || !d->callbacks->own_link) {
                turn_away(d, l, true);
                link_refuse(l, CODE_NOT_SUPPORTED, "this device has nothing to say to that one");
        } else if (!let_in(d, l)) {
                turn_away(d, l, false);
                link_refuse(l, CODE_STORAGE, "out of memory");
        }
}

void own_open(Delivery *d, Link *l) {
        OwnLink *x = own_link_find(d, l);

        x->up = d->own->met = true;
        x->since = loop_now(d->loop);
        d->callbacks->own_link(d->userdata, l, true);
}

int own_frame(Delivery *d, Link *l, Frame *f) {
        if (f->type >= FRAME_IGNORABLE)
                return 0;
        if (f->type != FRAME_HANDOVER || !d->callbacks->own_frame)
                return -EPROTONOSUPPORT;
        return d->callbacks->own_frame(d->userdata, l, f);
}

void own_drained(Delivery *d, Link *l) {
        if (d->callbacks->own_drained)
                d->callbacks->own_drained(d->userdata, l);
}

void own_closed(Delivery *d, Link *l, Code code) {
        OwnLink *x = own_link_find(d, l);
        OwnDial *a = dial_find(d->own, l);

        if (a) {
                a->link = NULL;
                if (link_gave_way(l))
                        dial_clear(a);
                else
                        dial_failed(a, code == CODE_KEY_CHANGED || code == CODE_NOT_ALLOWED);
        }
        if (x) {
                if (x->up && loop_now(d->loop) - x->since >= LINK_LASTING)
                        d->own->since = loop_now(d->loop);
                own_link_drop(d, x);
        }
        if (a || x)
                try_later(d);
}

/* The owner's side */

void delivery_close_own(Delivery *d, Link *l, Code code, const char *text) {
        OwnLink *x = own_link_find(d, l);

        if (!x)
                return;
        own_link_drop(d, x);
        link_close(l, code, text);
        try_later(d);
}

void delivery_want_own(Delivery *d, bool want) {
        Own *o = d->own;

        if (want == o->want)
                return;
        o->want = want;
        if (want)
                own_look(d);
        else {
                (void)store_set_endpoints(d->store, ENDPOINTS_OWN, &(Endpoints){});
                dials_clear(o);
                try_later(d);
        }
}

/* Those of the device that is the active one now stay. */
static void retire_again(Delivery *d) {
        OwnLink *x, *tmp;

        DL_FOREACH_SAFE (d->own->links, x, tmp) {
                Link *l = x->link;

                if (key_equal(link_certificate(l)->device, d->own->device))
                        continue;
                own_link_drop(d, x);
                link_replaced(l, own_newest(d));
        }
}

void delivery_retire(Delivery *d, Bytes record) {
        _cleanup_(buffer_done) Buffer copy = BUFFER_NULL;
        bool again = d->own->retired;
        Own *o = d->own;
        Record rec;

        if (buffer_append(&copy, record.data, record.size) < 0 ||
                record_parse(buffer_bytes(&copy), &rec) < 0) {
                delivery_stop(d); /* nothing is acknowledged, and nobody is told why */
                return;
        }
        if (!again)
                delivery_end(d, record);
        buffer_done(&o->record);
        o->record = copy;
        copy = BUFFER_NULL;
        o->retired = true;
        o->epoch = rec.epoch;
        memcpy(o->device, rec.device.device, KEY_SIZE);
        if (again)
                retire_again(d);
        own_look(d);
}

void own_rise(Delivery *d) {
        const KnownPresence *k =
                directory_presence(d->directory, sign_key_public(&d->self->account));

        for (size_t i = k ? k->n_endpoints : 0; i > 0; i--)
                remember(d, k->endpoints[i - 1]);
        own_stop(d);
        d->own->met = false;
}

void own_stop(Delivery *d) {
        Own *o = d->own;

        dials_clear(o);
        while (o->links)
                own_link_drop(d, o->links);
        o->retired = false;
        buffer_done(&o->record);
        loop_timer_set(o->timer, USEC_INFINITY);
}

int own_new(Delivery *d) {
        Own *o = calloc(1, sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        for (size_t i = 0; i < OWN_DIALS_MAX; i++)
                o->dials[i].delivery = d;
        r = loop_timer_new(d->loop, on_timer, d, &o->timer);
        if (r < 0) {
                free(o);
                return r;
        }
        d->own = o;
        return 0;
}

void own_free(Delivery *d) {
        if (!d->own)
                return;
        loop_timer_free(d->own->timer);
        buffer_done(&d->own->record);
        free(d->own);
        d->own = NULL;
}
