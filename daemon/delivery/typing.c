/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is writing just now: said over links that are open, and kept nowhere. */

#include "delivery/private.h"

/* Until it is said again while the user goes on. */
#define TYPING_REPEAT (TYPING_LASTS / 3)

/* Beginning and ending, by turns: what is over it is neither said nor heard. */
#define TYPINGS QUOTA_INIT(30, 30 * USEC_PER_SEC)

static bool may_pass(Peer *p, Quota *q) {
        if (q->burst == 0)
                *q = TYPINGS;
        return quota_take(q, 1, loop_now(p->delivery->loop));
}

static bool is_contact(const Peer *p) {
        Contact c;

        return contact_get(store_write(p->delivery->store), p->account, &c) > 0 &&
                contact_is_accepted(&c);
}

bool delivery_says_typing(const Delivery *d) {
        return d->settings.say_typing;
}

void delivery_type(Delivery *d, const uint8_t account[static KEY_SIZE], bool on) {
        usec_t now = loop_now(d->loop);
        Peer *p = peer_find(d, account);

        if (!p || !p->link || !link_is_open(p->link) || !d->settings.say_typing ||
                !link_takes_typing(p->link) || !is_contact(p))
                return;
        if (on ? p->typing_said > 0 && now < p->typing_said + TYPING_REPEAT : p->typing_said == 0)
                return;
        if (on && !may_pass(p, &p->typing_says))
                return;
        p->typing_said = on ? now : 0;
        (void)typing_encode(link_output(p->link), on);
        link_queued(p->link);
}

void typing_end(Peer *p) {
        const DeliveryCallbacks *callbacks = p->delivery->callbacks;

        if (!p->types)
                return;
        p->types = false;
        loop_timer_set(p->typing_timer, USEC_INFINITY);
        if (callbacks->typing)
                callbacks->typing(p->delivery->userdata, p->account, false);
}

void typing_link_lost(Peer *p) {
        p->typing_said = 0;
        typing_end(p);
}

static void on_typing_timer(void *userdata) {
        typing_end(userdata);
}

static void typing_begin(Peer *p) {
        Delivery *d = p->delivery;

        if (!p->typing_timer && loop_timer_new(d->loop, on_typing_timer, p, &p->typing_timer) < 0)
                return;
        loop_timer_set(p->typing_timer, loop_now(d->loop) + TYPING_LASTS);
        if (p->types)
                return;
        p->types = true;
        if (d->callbacks->typing)
                d->callbacks->typing(d->userdata, p->account, true);
}

int typing_take_frame(Peer *p, Frame *f) {
        bool on;
        int r;

        r = typing_decode(f, &on);
        if (r < 0 || !may_pass(p, &p->typing) || !is_contact(p))
                return r;
        if (on)
                typing_begin(p);
        else
                typing_end(p);
        return 0;
}
