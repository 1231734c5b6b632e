/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Getting a link to a peer: candidates from the directory and from disk, one after the other, then
 * waiting longer from time to time. */

#include <stdio.h>

#include "delivery/private.h"

static void peer_dial_next(Peer *p);

static void candidate_add(Peer *p, const char *text) {
        for (size_t i = 0; i < p->candidates.n; i++)
                if (streq(p->candidates.text[i], text))
                        return;
        if (p->candidates.n < ENDPOINTS_MAX && strlen(text) < sizeof(p->candidates.text[0]))
                snprintf(p->candidates.text[p->candidates.n++], sizeof(p->candidates.text[0]), "%s",
                        text);
}

/* Where it was said to be just now comes before where it was reached once. */
static void collect_candidates(Peer *p) {
        const KnownPresence *k = directory_presence(p->delivery->directory, p->account);
        Endpoints cached;
        DbTxn *txn;
        int r;

        p->candidates = (Endpoints){};
        p->next_candidate = 0;
        for (size_t i = 0; k && k->online && i < k->n_endpoints; i++)
                candidate_add(p, k->endpoints[i]);
        if (store_read_begin(p->delivery->store, &txn) < 0)
                return;
        r = store_get_endpoints(txn, p->number, &cached);
        store_read_end(txn);
        for (size_t i = 0; r > 0 && i < cached.n; i++)
                candidate_add(p, cached.text[i]);
}

static void on_lookup(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Peer *p = userdata;

        p->looking_up = false;
        if (p->link)
                return;
        for (size_t i = 0; code == CODE_OK && presence && i < presence->n_endpoints; i++) {
                char text[ENDPOINT_SIZE];

                snprintf(text, sizeof(text), "%.*s", (int)presence->endpoints[i].size,
                        (const char *)presence->endpoints[i].data);
                candidate_add(p, text);
        }
        if (!p->dial)
                peer_dial_next(p);
}

/* Everything known has failed: ask, and if nothing new is said, wait. Trackers are not woken for
 * this: they say who appears when they are back. */
static void peer_ask_directory(Peer *p) {
        if (p->looking_up)
                return;
        if (!p->looked_up && directory_is_connected(p->delivery->directory) &&
                directory_lookup(p->delivery->directory, NULL, p->account, on_lookup, p) >= 0) {
                p->looked_up = p->looking_up = true;
                return;
        }
        peer_retry_later(p);
}

static void on_dialled(void *userdata, int error, Link *l) {
        Peer *p = userdata;

        p->dial = link_dial_free(p->dial);
        p->link = l;
        if (error < 0)
                peer_dial_next(p);
}

static void peer_dial_next(Peer *p) {
        while (p->next_candidate < p->candidates.n) {
                const char *text = p->candidates.text[p->next_candidate++];
                char host[HOST_SIZE];
                LinkAddress to = {.host = host, .account = p->account};

                if (endpoint_parse(text, strlen(text), false, host, &to.port) < 0)
                        continue;
                snprintf(p->dialled, sizeof(p->dialled), "%s", text);
                if (link_dial(p->delivery->links, &to, DIAL_TIME, on_dialled, p, &p->dial) >= 0)
                        return;
        }
        peer_ask_directory(p);
}

void peer_try_next(Peer *p) {
        if (p->delivery->started)
                peer_dial_next(p);
}

void peer_want_link(Peer *p) {
        if (!p->delivery->started || p->link || p->dial || p->looking_up)
                return;
        loop_timer_set(p->timer, USEC_INFINITY);
        p->looked_up = p->appeared = false;
        collect_candidates(p);
        peer_dial_next(p);
}

void peer_stop_dialling(Peer *p) {
        p->dial = link_dial_free(p->dial);
        if (p->looking_up)
                directory_forget(p->delivery->directory, p);
        p->looking_up = false;
        loop_timer_set(p->timer, USEC_INFINITY);
}

/* News that came during the attempt is used at once. */
void peer_retry_later(Peer *p) {
        if (p->appeared) {
                peer_want_link(p);
                return;
        }
        loop_timer_set(p->timer,
                loop_now(p->delivery->loop) + backoff_next(&p->backoff, p->delivery->loop));
}

/* The endpoint that worked goes first; where the peer says it is follows. Written only when that
 * changes something, so an ordinary reconnection costs no write. */
void peer_reached(Peer *p) {
        const KnownPresence *k = directory_presence(p->delivery->directory, p->account);
        Delivery *d = p->delivery;
        Endpoints before = {};
        int r;

        p->up_since = loop_now(d->loop);
        r = store_get_endpoints(store_write(d->store), p->number, &before);
        if (r < 0)
                return;
        p->candidates = (Endpoints){};
        if (p->link && link_is_outgoing(p->link))
                candidate_add(p, p->dialled);
        for (size_t i = 0; k && i < k->n_endpoints; i++)
                candidate_add(p, k->endpoints[i]);
        for (size_t i = 0; p->candidates.n == 0 && i < before.n; i++)
                candidate_add(p, before.text[i]);
        if (p->candidates.n == before.n && memcmp(&p->candidates, &before, sizeof(before)) == 0)
                return;
        (void)store_set_endpoints(d->store, p->number, &p->candidates);
}
