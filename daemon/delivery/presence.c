/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What people say of themselves, said to contacts over links that are open: so that it is known at
 * once, and without any tracker.
 */

#include "delivery/private.h"

/* Who has nothing wrong with him says it once a second, and when endpoints or his key change. */
#define ANNOUNCES QUOTA_INIT(30, 30 * USEC_PER_SEC)

void presence_announce(Peer *p) {
        Bytes presence = buffer_bytes(&p->delivery->presence);
        Contact c;

        p->told_presence = false;
        if (presence.size == 0 || !p->link || !link_is_open(p->link) ||
                contact_get(store_write(p->delivery->store), p->account, &c) <= 0 ||
                !contact_is_accepted(&c))
                return;
        p->told_presence = announce_encode(link_output(p->link), presence) >= 0;
        link_queued(p->link);
}

void presence_announce_all(Delivery *d) {
        Peer *p, *tmp;

        HASH_ITER (hh, d->peers, p, tmp)
                presence_announce(p);
}

/* Each costs a signature. The last one counts, so none is dropped: who says too much is heard again
 * with the next link. */
int presence_take_frame(Peer *p, Frame *f) {
        Delivery *d = p->delivery;
        Bytes presence;
        int r;

        r = announce_decode(f, &presence);
        if (r < 0)
                return r;
        if (p->announced.burst == 0)
                p->announced = ANNOUNCES;
        if (!quota_take(&p->announced, 1, loop_now(d->loop))) {
                link_turn_away(d, p->link, CODE_RATE_LIMITED, "too many announcements");
                return 0;
        }
        r = directory_take_presence(
                d->directory, link_certificate(p->link), presence, loop_realtime(d->loop));
        if (r >= 0)
                d->callbacks->link_changed(d->userdata, p->account, true);
        return r == -ESTALE ? 0 : r;
}
