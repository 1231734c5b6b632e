/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Messages whose time is over before they could be delivered become `expired` then: one timer, at
 * the first of all. Expiry is a matter of the wall clock, which steps, and which goes on while the
 * machine sleeps and the timer does not; so as long as there is anything to expire it is looked at
 * now and then as well.
 */

#include "delivery/private.h"

/* In one batch; the next ones follow its commit. */
#define EXPIRE_MAX 256

#define LOOK_INTERVAL (5 * USEC_PER_MINUTE)

/* After a batch that failed. */
#define RETRY_INTERVAL (30 * USEC_PER_SEC)

static int expire(Delivery *d, const OutboxRow *row, usec_t now) {
        Failure f = {.id = &row->id, .state = ENTRY_EXPIRED, .reason = CODE_EXPIRED, .now = now};
        int r;

        r = store_fail_message(d->store, row->recipient, &f);
        /* A row of no message would be the first for ever. */
        return r == 0 ? outbox_remove(d->store, row->recipient, row->at) : r;
}

static void expiry_set_timer(Delivery *d, usec_t wait) {
        loop_timer_set(d->expiry_timer, usec_add(loop_now(d->loop), wait));
}

static void on_batch(void *userdata, int error) {
        Delivery *d = userdata;

        d->expiring = false;
        expiry_set_timer(d, error < 0 ? RETRY_INTERVAL : 0);
}

void expiry_look(Delivery *d) {
        usec_t now = loop_realtime(d->loop);
        OutboxRow row;
        unsigned n = 0;
        int r;

        if (!d->started || d->expiring)
                return;
        while ((r = outbox_first_to_expire(d->store, &row)) > 0 && row.expires <= now) {
                if (n == EXPIRE_MAX)
                        break;
                r = expire(d, &row, now);
                if (r < 0)
                        break;
                n++;
        }
        if (n > 0 && store_after_commit(d->store, on_batch, d) >= 0)
                d->expiring = true;
        else if (r < 0)
                expiry_set_timer(d, RETRY_INTERVAL);
        else if (r > 0)
                expiry_set_timer(d, MIN(usec_sub(row.expires, now), LOOK_INTERVAL));
        else
                loop_timer_set(d->expiry_timer, USEC_INFINITY);
}

void expiry_on_timer(void *userdata) {
        expiry_look(userdata);
}
