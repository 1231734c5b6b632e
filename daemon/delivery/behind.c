/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store that was restored from a copy: somebody has more of what this device has written than is
 * here. */

#include "delivery/private.h"

/* A stranger may say what he likes: whom the user has written to is a contact. */
static bool is_contact(const Peer *p) {
        Contact c;

        return contact_get(store_write(p->delivery->store), p->account, &c) > 0 &&
                c.flags & CONTACT_PINNED;
}

void peer_look_behind(Peer *p, const FeedHead *h) {
        Delivery *d = p->delivery;

        if (d->behind || !d->callbacks->behind || !is_contact(p) ||
                store_is_behind(store_write(d->store), d->self, p->conversation, h) <= 0)
                return;
        d->callbacks->behind(d->userdata, h->epoch);
}

void peer_look_at_receipt(Peer *p, const Receipt *rc) {
        FeedHead h = {.epoch = rc->epoch, .seq = rc->ranges[rc->n_ranges - 1].last};

        if (memcmp(rc->conversation, p->conversation, SHA256_SIZE) != 0)
                return;
        memcpy(h.device, rc->device, KEY_SIZE);
        memcpy(h.hash, rc->hash, SHA256_SIZE);
        peer_look_behind(p, &h);
}

static void begin_epoch(Delivery *d) {
        if (!d->behind && d->callbacks->behind)
                d->callbacks->behind(d->userdata, d->self->epoch);
}

/* What was written before the present epoch is entered in that one, the rest with all else when
 * there is a new one. 1: it is sent from its new place after the batch. */
int peer_take_fork(Peer *p, OutboxPosition at) {
        Delivery *d = p->delivery;
        Feed f;
        int r;

        r = feed_get(store_write(d->store), at.feed, &f);
        if (r > 0 && f.epoch >= d->self->epoch) {
                begin_epoch(d);
                return 0;
        }
        if (r > 0)
                r = store_send_anew(d->store, d->self, p->number, at);
        if (r > 0) {
                p->anew = true;
                r = delivery_await_commit(d);
                r = r < 0 ? r : 1;
        }
        return r;
}

void delivery_hold_back(Delivery *d) {
        d->behind = true;
}
