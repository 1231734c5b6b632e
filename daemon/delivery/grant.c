/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What contacts get from each other: a token, with which a tracker takes mail and shows presence,
 * and the key that opens where they are to be found. It goes with HELLO_OK, with mail, and over an
 * open link to who becomes a contact meanwhile, or when there is another key.
 */

#include "delivery/mail.h"
#include "store/presence-key.h"

int grant_make(Delivery *d, const Contact *c, GrantBuffer *ret) {
        int r;

        r = mail_make_token(d, c, &ret->token);
        if (r < 0)
                return r;
        ret->grant = (Grant){.deposit_token = buffer_bytes(&ret->token)};
        if (contact_is_accepted(c))
                r = store_get_presence_key(store_write(d->store), ret->key);
        if (r > 0)
                ret->grant.presence_key = (Bytes){.data = ret->key, .size = sizeof(ret->key)};
        return MIN(r, 0);
}

void grant_done(GrantBuffer *g) {
        buffer_done(&g->token);
        explicit_bzero(g->key, sizeof(g->key));
}

void grant_take(Delivery *d, const Contact *c, const Grant *g) {
        if (g->deposit_token.size > 0)
                mail_take_token(d, c, g->deposit_token);
        if (g->presence_key.size == BOX_KEY_SIZE &&
                store_set_contact_key(d->store, c->number, g->presence_key.data) >= 0)
                directory_set_presence_key(d->directory, c->account, g->presence_key.data);
}

void grant_forget(Delivery *d, const Contact *c) {
        (void)store_set_token(d->store, c->number, (Bytes){});
        (void)store_set_contact_key(d->store, c->number, NULL);
}

int peer_take_grant(Peer *p, const Grant *g) {
        Delivery *d = p->delivery;
        Contact c;
        int r;

        r = contact_get(store_write(d->store), p->account, &c);
        if (r > 0)
                grant_take(d, &c, g);
        return MIN(r, 0);
}

int grant_take_frame(Peer *p, Frame *f) {
        Grant g;
        int r;

        r = grant_decode(f, &g);
        if (r >= 0 && peer_take_grant(p, &g) < 0)
                delivery_store_failed(p->delivery, "What a contact gave could not be kept", -EIO);
        return r;
}

void peer_grant(Peer *p) {
        if (!p->granted && !p->grant)
                p->grant = delivery_await_commit(p->delivery) >= 0;
}

void grant_say(Peer *p) {
        _cleanup_(grant_done) GrantBuffer g = GRANT_BUFFER_NULL;
        Delivery *d = p->delivery;
        Contact c;

        p->grant = false;
        if (!p->link || !link_is_open(p->link) ||
                contact_get(store_write(d->store), p->account, &c) <= 0 ||
                !contact_is_accepted(&c) || grant_make(d, &c, &g) < 0)
                return;
        p->granted = grant_encode(link_output(p->link), &g.grant) >= 0;
        if (!p->told_presence) /* he was a stranger */
                presence_announce(p);
        link_queued(p->link);
}

void delivery_grant_anew(Delivery *d) {
        Peer *p, *tmp;

        HASH_ITER (hh, d->peers, p, tmp) {
                p->granted = false;
                if (p->up)
                        peer_grant(p);
        }
}
