/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rows of another device of the account have come into the store, beside what is in memory. */

#include <utlist.h>

#include "delivery/mail.h"

/* A row may be before those that went out already. Whoever gets one of them again takes it once. */
static void peer_look_again(Delivery *d, Peer *p) {
        if (p->up) {
                outbox_send_again(p, 0);
                return;
        }
        if (!peer_has_rows(p))
                return;
        p->pending = true;
        mail_wake(d->mail, p->account, p->number);
        peer_want_link(p, false);
}

void delivery_handed_over(Delivery *d) {
        const Directory *dir = d->directory;
        Peer *p, *tmp;
        Session *s;

        if (!d->started)
                return;
        expiry_look(d);
        HASH_ITER (hh, d->peers, p, tmp)
                peer_look_again(d, p);
        dialling_sweep_again(d);
        for (size_t i = 0; i < directory_n_trackers(dir); i++)
                if ((s = directory_ready_session(dir, i)))
                        mail_tracker_ready(d->mail, s);
}
