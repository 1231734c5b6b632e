/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Who is dialled when. There are DIALLING_MAX places. Whoever has appeared goes first, then those
 * whose time has come; a walk over the outbox finds recipients that are not in memory, which is how
 * the start, and an outbox with more recipients than are remembered, work. Those for whom nothing
 * waits, and a link is only held, come after them all, and never have more than a part of the
 * places.
 */

#include <stdio.h>
#include <utlist.h>

#include "delivery/private.h"

/* Peers that are given a place, and rows that the walk looks at, before others get their turn. */
#define STEP 64

/* The walk begins no sooner than this after the one before. */
#define SWEEP_INTERVAL SCHEDULE_LAST

/* Queues */

static void queue_remove(Peer *p) {
        Delivery *d = p->delivery;

        if (p->queue == QUEUE_URGENT)
                DL_DELETE2(d->urgent, p, queue_prev, queue_next);
        else if (p->queue == QUEUE_ORDINARY)
                DL_DELETE2(d->queued, p, queue_prev, queue_next);
        else
                DL_DELETE2(d->holding, p, queue_prev, queue_next);
        d->n_queued -= p->queue != QUEUE_HOLDING;
}

static void queue_add(Peer *p, PeerQueue queue) {
        Delivery *d = p->delivery;

        p->queue = queue;
        if (queue == QUEUE_URGENT)
                DL_APPEND2(d->urgent, p, queue_prev, queue_next);
        else if (queue == QUEUE_ORDINARY)
                DL_APPEND2(d->queued, p, queue_prev, queue_next);
        else if (p->appeared)
                DL_PREPEND2(d->holding, p, queue_prev, queue_next);
        else
                DL_APPEND2(d->holding, p, queue_prev, queue_next);
        d->n_queued += queue != QUEUE_HOLDING;
}

static void peer_set_state(Peer *p, PeerState state) {
        Delivery *d = p->delivery;

        if (p->state == PEER_QUEUED)
                queue_remove(p);
        d->n_waiting -= p->state == PEER_WAITING;
        d->n_dialling -= p->state == PEER_DIALLING;
        d->n_holding -= p->state == PEER_DIALLING && p->queue == QUEUE_HOLDING;
        p->state = state;
        d->n_waiting += state == PEER_WAITING;
        d->n_dialling += state == PEER_DIALLING;
        d->n_holding += p->state == PEER_DIALLING && p->queue == QUEUE_HOLDING;
}

/* Places */

static bool may_hold(const Delivery *d) {
        return d->holding && d->n_holding < HOLDING_MAX;
}

static bool has_errands(const Delivery *d) {
        return d->urgent || d->queued || d->sweep.active;
}

static bool has_work(const Delivery *d) {
        return has_errands(d) || may_hold(d);
}

/* Brings the next walk forward, and never puts it off: reasons may come in a steady stream. */
static void sweep_by(Delivery *d, usec_t at) {
        if (at >= d->sweep.next)
                return;
        d->sweep.next = at;
        loop_timer_set(d->sweep.timer, at);
}

static void sweep_end(Delivery *d) {
        usec_t wait = loop_jitter(d->loop, SWEEP_INTERVAL);

        d->sweep.active = false;
        if (d->sweep.again)
                sweep_by(d, loop_now(d->loop) + USEC_PER_SEC);
        else if (d->sweep.left_out && d->sweep.next == USEC_INFINITY)
                sweep_by(d, d->sweep.begun + wait);
}

static void sweep_begin(Delivery *d) {
        bool left_out = !holds_remember(d);

        d->sweep.active = true;
        d->sweep.again = false;
        d->sweep.left_out = left_out;
        d->sweep.next = USEC_INFINITY;
        d->sweep.at = 0;
        d->sweep.begun = loop_now(d->loop);
}

/* The next recipient of whom nothing is known in memory. *STEPS: rows to look at. */
static Peer *sweep_next(Delivery *d, unsigned *steps) {
        DbTxn *txn = store_write(d->store);
        Contact c;
        Peer *p;
        int r;

        for (; *steps > 0; --*steps) {
                r = outbox_next_recipient(txn, d->sweep.at, &d->sweep.at);
                if (r <= 0) {
                        d->sweep.left_out |= r < 0; /* the store is being reopened */
                        sweep_end(d);
                        return NULL;
                }
                r = contact_get_by_number(txn, d->sweep.at, &c);
                d->sweep.left_out |= r < 0;
                if (r <= 0 || c.flags & CONTACT_BLOCKED || peer_find(d, c.account))
                        continue;
                p = peer_get(d, c.account, c.number);
                if (p) {
                        p->since = d->since;
                        return p;
                }
                d->sweep.left_out = true;
        }
        return NULL;
}

/* Every fourth place is not for the urgent ones, and of the others every second for the walk: who
 * is at the end of a list gets there. */
static Peer *pick(Delivery *d, unsigned *steps) {
        unsigned n = d->picked++;
        Peer *p = NULL;

        if (may_hold(d) && (n % 8 == 5 || !has_errands(d)))
                return d->holding;
        if (d->urgent && (n % 4 != 3 || (!d->queued && !d->sweep.active)))
                return d->urgent;
        if (d->sweep.active && (n % 2 == 1 || !d->queued))
                p = sweep_next(d, steps);
        return p ?: d->queued ?: d->urgent;
}

static void places_fill(Delivery *d) {
        unsigned steps = STEP;

        if (d->filling || !d->started)
                return;
        d->filling = true;
        while (steps > 0 && d->n_dialling < DIALLING_MAX && has_work(d)) {
                Peer *p = pick(d, &steps);
                bool appeared;

                if (!p)
                        continue;
                steps--;
                appeared = p->appeared;
                p->appeared = false;
                peer_set_state(p, PEER_DIALLING);
                if (race_begin(p, appeared) < 0)
                        peer_retry_later(p, 0);
        }
        d->filling = false;
        if (d->n_dialling < DIALLING_MAX && has_work(d))
                loop_timer_set(d->place_timer, loop_now(d->loop));
}

static void on_place(void *userdata) {
        places_fill(userdata);
}

bool peer_has_place(const Delivery *d, bool urgent) {
        return d->n_queued < (urgent ? 2 * QUEUED_MAX : QUEUED_MAX);
}

static void on_sweep(void *userdata) {
        Delivery *d = userdata;

        if (!d->sweep.active)
                sweep_begin(d);
        places_fill(d);
}

void dialling_sweep_again(Delivery *d) {
        d->sweep.again = true;
        if (!d->sweep.active)
                sweep_end(d);
}

int dialling_new(Delivery *d) {
        int r;

        d->sweep.next = USEC_INFINITY;
        r = loop_timer_new(d->loop, on_sweep, d, &d->sweep.timer);
        return r < 0 ? r : loop_timer_new(d->loop, on_place, d, &d->place_timer);
}

void dialling_free(Delivery *d) {
        d->sweep.timer = loop_timer_free(d->sweep.timer);
        d->place_timer = loop_timer_free(d->place_timer);
        dead_done(&d->dead);
}

/* Nothing is looked at yet: starting takes as long with a million messages as with none. */
void dialling_start(Delivery *d) {
        d->since = loop_now(d->loop);
        sweep_begin(d);
        loop_timer_set(d->place_timer, d->since);
}

void dialling_stop(Delivery *d) {
        Peer *p, *tmp;

        HASH_ITER (hh, d->peers, p, tmp)
                peer_stop_dialling(p);
        d->sweep.active = d->sweep.again = d->sweep.left_out = false;
        d->sweep.next = USEC_INFINITY;
        loop_timer_set(d->sweep.timer, USEC_INFINITY);
        loop_timer_set(d->place_timer, USEC_INFINITY);
        dead_done(&d->dead);
}

/* Their timers lead to an attempt. The network may not be there yet, so the waits begin anew. */
void dialling_woke(Delivery *d) {
        usec_t now = loop_now(d->loop);
        Peer *p, *tmp;

        dead_done(&d->dead);
        HASH_ITER (hh, d->peers, p, tmp) {
                if (p->state == PEER_IDLE)
                        continue;
                p->since = now;
                p->appeared |= p->state == PEER_DIALLING;
                if (p->state == PEER_WAITING)
                        loop_timer_set(p->timer, now);
        }
        dialling_sweep_again(d);
}

/* Peers */

void peer_want_link(Peer *p, bool urgent) {
        Delivery *d = p->delivery;

        PeerQueue queue = urgent ? QUEUE_URGENT : QUEUE_ORDINARY;

        if (!d->started || p->link || p->state == PEER_DIALLING)
                return;
        if (peer_is_held(p) && !peer_has_rows(p))
                queue = QUEUE_HOLDING;
        if (p->state == PEER_QUEUED && p->queue <= queue)
                return;
        loop_timer_set(p->timer, USEC_INFINITY);
        peer_set_state(p, PEER_QUEUED);
        queue_add(p, queue);
        places_fill(d);
}

void peer_stop_dialling(Peer *p) {
        p->race = race_free(p->race);
        peer_set_state(p, PEER_IDLE);
        loop_timer_set(p->timer, USEC_INFINITY);
        if (!p->delivery->filling && has_work(p->delivery))
                loop_timer_set(p->delivery->place_timer, loop_now(p->delivery->loop));
}

/* News that came during the attempt is used at once. */
void peer_retry_later(Peer *p, usec_t blocked) {
        Delivery *d = p->delivery;
        usec_t now = loop_now(d->loop), at;
        uint64_t random;

        peer_stop_dialling(p);
        if (p->appeared && peer_has_place(d, true)) {
                peer_want_link(p, true);
                return;
        }
        if (d->n_waiting >= WAITING_MAX && !peer_is_held(p)) {
                d->sweep.left_out = true;
                if (!d->sweep.active)
                        sweep_end(d);
                peer_forget(p);
                return;
        }
        loop_random(d->loop, &random, sizeof(random));
        at = now + schedule_wait(now - p->since, random);
        if (blocked != USEC_INFINITY)
                at = MAX(at, blocked);
        peer_set_state(p, PEER_WAITING);
        loop_timer_set(p->timer, at);
}

/* An address that is valid on one interface is of no use later: who is there says so. */
static void endpoint_add(Endpoints *e, const char *text) {
        if (!text[0] || strchr(text, '%'))
                return;
        for (size_t i = 0; i < e->n; i++)
                if (streq(e->text[i], text))
                        return;
        if (e->n < ENDPOINTS_MAX && strlen(text) < sizeof(e->text[0]))
                snprintf(e->text[e->n++], sizeof(e->text[0]), "%s", text);
}

/* The endpoint that worked goes first. Where the peer says it is follows, or, as long as it does
 * not say, what was known before. Written only when that changes something, so an ordinary
 * reconnection costs no write. */
void peer_reached(Peer *p) {
        const KnownPresence *k = directory_presence(p->delivery->directory, p->account);
        Delivery *d = p->delivery;
        DeadKey key = dead_key(p->account, "");
        Endpoints before = {}, now = {};
        int r;

        peer_stop_dialling(p);
        p->up_since = loop_now(d->loop);
        dead_forget(&d->dead, &key);
        r = store_get_endpoints(store_write(d->store), p->number, &before);
        if (r < 0)
                return;
        if (p->link && link_is_outgoing(p->link)) {
                key = dead_key(p->account, p->dialled);
                dead_forget(&d->dead, &key);
                endpoint_add(&now, p->dialled);
        }
        for (size_t i = 0; k && i < k->n_endpoints; i++)
                endpoint_add(&now, k->endpoints[i]);
        for (size_t i = 0; (!k || k->n_endpoints == 0) && i < before.n; i++)
                endpoint_add(&now, before.text[i]);
        if (now.n == before.n && memcmp(&now, &before, sizeof(before)) == 0)
                return;
        (void)store_set_endpoints(d->store, p->number, &now);
}
