/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is said of rooms passes through: whoever is above knows what it means. */

#include "delivery/mail.h"

void peer_rooms_up(Peer *p) {
        Delivery *d = p->delivery;

        if (!d->callbacks->room_link || p->speaks_of_rooms || !link_takes_rooms(p->link))
                return;
        p->speaks_of_rooms = true;
        d->callbacks->room_link(d->userdata, p->link, p->account, true);
}

void peer_rooms_down(Peer *p) {
        Delivery *d = p->delivery;

        if (!p->speaks_of_rooms)
                return;
        p->speaks_of_rooms = false;
        d->callbacks->room_link(d->userdata, NULL, p->account, false);
}

int peer_take_room_frame(Peer *p, Frame *f) {
        Delivery *d = p->delivery;

        return p->speaks_of_rooms ? d->callbacks->room_frame(d->userdata, p->link, f)
                                  : -EPROTONOSUPPORT;
}

Link *delivery_room_link(const Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Link *l = link_find(d->links, account);

        return l && link_takes_rooms(l) ? l : NULL;
}

int delivery_leave_room_notice(Delivery *d, const uint8_t account[static KEY_SIZE], Bytes notice) {
        Contact c;
        int r;

        if (!d->started)
                return -ENOTCONN;
        if (notice.size > DELIVERY_NOTICE_MAX)
                return -EMSGSIZE;
        r = contact_get(store_write(d->store), account, &c);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        return c.flags & CONTACT_BLOCKED ? -EACCES : mail_leave_notice(d->mail, &c, notice);
}

void peer_rooms_drained(Peer *p) {
        Delivery *d = p->delivery;

        if (p->speaks_of_rooms)
                d->callbacks->room_drained(d->userdata, p->link);
}
