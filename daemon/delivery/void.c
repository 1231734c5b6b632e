/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What was given up is said to whom it was for, at the start of each link and when it happens: so a
 * gap that will never be filled is none. */

#include "delivery/mail.h"

static void send_void(void *userdata, const Void *v) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;
        Peer *p = userdata;

        /* Said again at the next link. */
        if (void_encode(&object, v, &p->delivery->self->device) >= 0)
                (void)void_frame_encode(link_output(p->link), buffer_bytes(&object));
}

void voids_tell(Peer *p) {
        Delivery *d = p->delivery;
        DbTxn *txn;

        p->gave_up = false;
        if (!p->link || !link_is_open(p->link) || store_read_begin(d->store, &txn) < 0)
                return;
        (void)store_make_voids(txn, d->self, p->conversation, send_void, p);
        store_read_end(txn);
        link_queued(p->link);
}

void delivery_gave_up(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);
        Contact c;

        if (contact_get(store_write(d->store), account, &c) > 0)
                mail_take_back(d->mail, account, c.number);
        if (!p || !p->up || p->gave_up)
                return;
        p->gave_up = true; /* many at once are told together */
        outbox_take_turn(p);
}

int voids_take_object(Peer *p, Bytes outer, const uint8_t *device) {
        Delivery *d = p->delivery;
        _cleanup_(freep) Void *v = malloc(sizeof(*v));
        Contact author = {.number = p->number};
        int r;

        if (!v)
                return -ENOMEM;
        r = void_decode(outer, device, v);
        if (r < 0)
                return r;
        if (!key_equal(v->author, p->account) ||
                memcmp(v->conversation, p->conversation, SHA256_SIZE) != 0)
                return -EBADMSG;
        r = store_take_void(d->store, &author, v);
        if (r < 0)
                delivery_store_failed(d, "What a peer has given up could not be kept", r);
        return 0;
}

int voids_take(Peer *p, Frame *f) {
        Bytes outer, certificate;
        int r;

        r = void_frame_decode(f, &outer, &certificate);
        return r < 0 ? r : voids_take_object(p, outer, link_certificate(p->link)->device);
}
