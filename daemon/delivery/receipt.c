/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Receipts as objects, and those of what the user has read: at the start of each link and when it
 * happens. A stranger does not learn what the user looks at, nor does anybody who was blocked. */

#include "delivery/mail.h"

int receipt_make(
        const Delivery *d, DbTxn *txn, uint32_t feed, ReceiptState state, Buffer *ret_object) {
        _cleanup_(freep) Receipt *rc = malloc(sizeof(*rc));
        int r;

        if (!rc)
                return -ENOMEM;
        r = store_make_receipt(txn, feed, state, sign_key_public(&d->self->account), rc);
        if (r > 0)
                r = receipt_encode(ret_object, rc, &d->self->device);
        return r < 0 ? r : buffer_size(ret_object) > 0;
}

static int tell_feed(void *userdata, DbTxn *txn, const Feed *f) {
        _cleanup_(buffer_done) Buffer object = BUFFER_NULL;
        Peer *p = userdata;

        /* What fails is said at the next link. */
        if (receipt_make(p->delivery, txn, f->number, RECEIPT_READ, &object) > 0)
                (void)receipt_frame_encode(link_output(p->link), buffer_bytes(&object));
        return 0;
}

void receipts_tell_read(Peer *p) {
        Delivery *d = p->delivery;
        Conversation v;
        DbTxn *txn;
        Contact c;
        int r;

        p->read = false;
        if (!p->link) {
                peer_want_link(p, false); /* and if he is not there, the next one begins with it */
                return;
        }
        if (!d->settings.say_read || !link_is_open(p->link) || store_read_begin(d->store, &txn) < 0)
                return;
        r = contact_get(txn, p->account, &c);
        p->said_read = r > 0 && contact_is_accepted(&c);
        if (p->said_read)
                r = conversation_find(txn, p->conversation, &v);
        if (p->said_read && r > 0)
                (void)feed_each(txn, v.number, p->number, tell_feed, p);
        store_read_end(txn);
        link_queued(p->link);
}

void peer_tell_read(Peer *p) {
        if (p->said_read || p->read || !p->delivery->settings.say_read)
                return;
        p->read = delivery_await_commit(p->delivery) >= 0; /* many at once are told together */
}

void delivery_read(Delivery *d, const uint8_t account[static KEY_SIZE]) {
        Peer *p = peer_find(d, account);
        Contact c;

        if (!d->started || !d->settings.say_read ||
                contact_get(store_write(d->store), account, &c) <= 0 || !contact_is_accepted(&c))
                return;
        if (!p || !p->up)
                mail_owe_read(d->mail, &c);
        if (!p && peer_has_place(d, false))
                p = peer_get(d, account, c.number);
        if (!p)
                return;
        p->said_read = false;
        peer_tell_read(p);
}

bool delivery_says_read(const Delivery *d) {
        return d->settings.say_read;
}
