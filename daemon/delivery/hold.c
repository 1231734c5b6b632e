/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Links that somebody above wants although nothing is to be sent. Who is held is dialled as if
 * there were something in the outbox for him, by the same schedule; only the places are given to
 * others first. Who cannot be kept in memory is found again by the next walk.
 */

#include "delivery/private.h"

struct Hold {
        uint8_t account[KEY_SIZE];
        UT_hash_handle hh;
};

static Hold *hold_find(const Delivery *d, const uint8_t *account) {
        Hold *h;

        HASH_FIND(hh, d->holds, account, KEY_SIZE, h);
        return h;
}

bool peer_is_held(const Peer *p) {
        return hold_find(p->delivery, p->account) != NULL;
}

bool peer_is_wanted(Peer *p) {
        return peer_is_held(p) || peer_has_rows(p);
}

static int hold_add(Delivery *d, const uint8_t *account) {
        Hold *h;

        if (HASH_COUNT(d->holds) >= DELIVERY_HOLDS_MAX)
                return -ENOBUFS;
        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        memcpy(h->account, account, KEY_SIZE);
        HASH_ADD(hh, d->holds, account, KEY_SIZE, h);
        if (TABLE_HAS(h))
                return 0;
        free(h);
        return -ENOMEM;
}

static void hold_remove(Delivery *d, Hold *h) {
        HASH_DEL(d->holds, h);
        free(h);
}

void holds_free(Delivery *d) {
        Hold *h, *tmp;

        HASH_ITER (hh, d->holds, h, tmp)
                hold_remove(d, h);
}

/* 0: he is blocked. -ENOENT: there is no row of him; one may come, or come again where the batch
 * failed that had it. */
static int hold_begin(Delivery *d, const uint8_t *account) {
        Peer *p = peer_find(d, account);
        Contact c;
        int r;

        if (p && (p->link || p->state != PEER_IDLE))
                return 1;
        r = contact_get(store_write(d->store), account, &c);
        if (r <= 0 || c.flags & CONTACT_BLOCKED)
                return r == 0 ? -ENOENT : MIN(r, 0);
        p = peer_get(d, account, c.number);
        if (!p)
                return -ENOMEM;
        p->since = loop_now(d->loop);
        (void)delivery_await_commit(d); /* his row may be of the open batch */
        (void)directory_watch(d->directory, account);
        peer_want_link(p, false);
        return 1;
}

Peer *hold_find_peer(Delivery *d, const uint8_t *account) {
        return hold_find(d, account) && hold_begin(d, account) > 0 ? peer_find(d, account) : NULL;
}

bool holds_remember(Delivery *d) {
        bool all = true;
        Hold *h, *tmp;

        HASH_ITER (hh, d->holds, h, tmp)
                all &= peer_find(d, h->account) || hold_begin(d, h->account) >= 0;
        return all;
}

/* Who is nobody's contact, and has nothing to get, need not stay. */
static void let_go(Delivery *d, Peer *p) {
        Contact c;
        bool known;

        known = contact_get(store_write(d->store), p->account, &c) > 0 && c.flags & CONTACT_PINNED;
        if (peer_has_rows(p))
                return;
        if (p->link && (known || !link_is_outgoing(p->link)))
                return;
        if (p->link)
                peer_turn_out(p, CODE_OK, "nothing is to be said any more");
        else {
                peer_stop_dialling(p);
                peer_let_go(p);
        }
}

int delivery_hold_link(Delivery *d, const uint8_t account[static KEY_SIZE], bool hold) {
        Hold *h = hold_find(d, account);
        Peer *p;
        int r;

        if (!d->started)
                return hold ? -ENOTCONN : 0;
        if (!hold) {
                if (!h)
                        return 0;
                hold_remove(d, h);
                p = peer_find(d, account);
                if (p)
                        let_go(d, p);
                return 0;
        }
        r = h ? 0 : hold_add(d, account);
        if (r < 0)
                return r;
        p = peer_find(d, account);
        if (p && p->link)
                link_trust(p->link);
        if (hold_begin(d, account) < 0)
                dialling_sweep_again(d);
        return 0;
}
