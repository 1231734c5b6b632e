/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "handover/private.h"

#include <utlist.h>

/* Between two calls of `changed` while it goes on. */
#define NEWS_INTERVAL (USEC_PER_SEC / 2)

void handover_news(Handover *h) {
        h->told = loop_now(h->loop);
        loop_timer_set(h->news_timer, USEC_INFINITY);
        h->callbacks->changed(h->userdata);
}

void handover_news_soon(Handover *h) {
        usec_t at = usec_add(h->told, NEWS_INTERVAL);

        if (loop_now(h->loop) >= at)
                handover_news(h);
        else
                loop_timer_set(h->news_timer, at);
}

static void on_news(void *userdata) {
        handover_news(userdata);
}

/* For as long as there is something to give or to take. */
void handover_want(Handover *h) {
        bool wanted = h->gives || h->takes;

        if (wanted == h->wanted)
                return;
        h->wanted = wanted;
        h->callbacks->want(h->userdata, wanted);
}

int handover_say(Other *o, const HandoverFrame *f) {
        int r;

        r = handover_encode(link_output(o->link), f);
        if (r >= 0)
                link_queued(o->link);
        return r;
}

void handover_end_link(Other *o, Code code, const char *text) {
        Handover *h = o->handover;

        h->callbacks->end(h->userdata, o->link, code, text);
}

/* Links */

static Other *other_find(const Handover *h, const Link *l) {
        Other *o;

        DL_FOREACH (h->others, o)
                if (o->link == l)
                        return o;
        return NULL;
}

/* The higher epoch is the newer one; of two that took the same, the lower hash of the device. */
static bool is_newer(const Handover *h, const Certificate *c) {
        Record a = {.epoch = c->epoch}, b = {.epoch = h->self->epoch};

        memcpy(a.device.device, c->device, KEY_SIZE);
        memcpy(b.device.device, sign_key_public(&h->self->device), KEY_SIZE);
        return record_compare(&a, (Bytes){}, &b, (Bytes){}) > 0;
}

static void other_free(Other *o) {
        Handover *h = o->handover;

        DL_DELETE(h->others, o);
        buffer_done(&o->position);
        free(o);
}

static void link_up(Handover *h, Link *l) {
        const Certificate *c = link_certificate(l);
        Other *o = calloc(1, sizeof(*o));

        if (!o)
                return; /* nothing is said, and the next link is another try */
        *o = (Other){.handover = h, .link = l, .gives = is_newer(h, c)};
        memcpy(o->device, c->device, KEY_SIZE);
        DL_APPEND(h->others, o);
        if (o->gives)
                handover_give_offer(o);
}

static void link_down(Handover *h, Link *l) {
        Other *o = other_find(h, l);

        if (!o)
                return;
        if (o->takes)
                handover_take_ended(o);
        other_free(o);
}

void handover_own_link(Handover *h, Link *l, bool up) {
        if (up)
                link_up(h, l);
        else
                link_down(h, l);
}

int handover_frame(Handover *h, Link *l, Frame *f) {
        Other *o = other_find(h, l);
        HandoverFrame frame;
        int r;

        r = handover_decode(f, &frame);
        if (r < 0 || !o)
                return r;
        switch (frame.what) {
        case HANDOVER_GO:
        case HANDOVER_TAKEN:
        case HANDOVER_DONE:
                return o->gives ? handover_give_frame(o, &frame) : -EBADMSG;
        default:
                return o->gives ? -EBADMSG : handover_take_frame(o, &frame);
        }
}

static void go_on(Other *o) {
        if (o->gives && handover_give_more(o) < 0)
                handover_end_link(o, CODE_STORAGE, "this device cannot read what it has");
}

void handover_drained(Handover *h, Link *l) {
        Other *o = other_find(h, l);

        if (o)
                go_on(o);
}

static void on_timer(void *userdata) {
        Handover *h = userdata;
        Other *o, *tmp;

        DL_FOREACH_SAFE (h->others, o, tmp)
                go_on(o);
}

/* The owner's side */

void handover_start(Handover *h) {
        h->gives = h->takes = h->waits = false;
        h->rests = h->self->replaced;
        if (h->self->replaced)
                h->gives = handover_give_begin(h);
        else if (h->self->logged_in) {
                handover_give_stop(h);
                handover_take_begin(h);
        }
        h->wanted = !(h->gives || h->takes); /* said in any case: who hears it keeps it for ever */
        handover_want(h);
        handover_news(h);
}

void handover_set_ask(Handover *h, bool ask) {
        Other *o;

        if (ask == h->ask)
                return;
        h->ask = ask;
        DL_FOREACH (h->others, o)
                if (o->gives && !o->going)
                        handover_give_offer(o);
        if (h->gives)
                handover_news(h);
}

static void on_accepted(void *userdata, int error) {
        Handover *h = userdata;
        Other *o;

        if (error < 0) {
                h->give.accepted = false;
                return;
        }
        DL_FOREACH (h->others, o)
                if (o->gives && !o->going)
                        handover_give_offer(o);
        handover_news(h);
}

int handover_accept(Handover *h) {
        int r;

        if (!h->gives || !h->ask || h->give.accepted)
                return -ENOENT;
        h->give.accepted = true;
        r = store_set_handover_give(h->store, &h->give);
        if (r >= 0)
                r = store_after_commit(h->store, on_accepted, h);
        if (r < 0)
                h->give.accepted = false;
        return r;
}

void handover_get_state(const Handover *h, HandoverState *ret) {
        *ret = (HandoverState){};
        if (h->gives || (h->self->replaced && !h->rests))
                *ret = (HandoverState){.active = true,
                        .giving = true,
                        .waiting = h->ask && !h->give.accepted,
                        .done = h->given,
                        .total = MAX(h->total, h->given)};
        else if (h->takes)
                *ret = (HandoverState){.active = true,
                        .waiting = h->waits,
                        .done = h->take.items,
                        .total = MAX(h->take.total, h->take.items)};
        ret->refused = h->refused;
}

int handover_new(Loop *loop, Store *store, const Identity *self, const HandoverCallbacks *callbacks,
        void *userdata, Handover **ret) {
        Handover *h = calloc(1, sizeof(*h));
        int r;

        if (!h)
                return -ENOMEM;
        *h = (Handover){.loop = loop,
                .store = store,
                .self = self,
                .callbacks = callbacks,
                .userdata = userdata};
        r = loop_timer_new(loop, on_timer, h, &h->timer);
        if (r >= 0)
                r = loop_timer_new(loop, on_news, h, &h->news_timer);
        if (r < 0) {
                handover_free(h);
                return r;
        }
        *ret = h;
        return 0;
}

Handover *handover_free(Handover *h) {
        if (!h)
                return NULL;
        store_forget(h->store, h);
        while (h->others)
                other_free(h->others);
        loop_timer_free(h->timer);
        loop_timer_free(h->news_timer);
        buffer_wipe(&h->items); /* had keys */
        buffer_done(&h->next);
        free(h);
        return NULL;
}
