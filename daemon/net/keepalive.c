/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/keepalive.h"

/* Later than this is not the timer's accuracy but a loop that stood still. */
#define LATE (2 * USEC_PER_SEC)

/* What waited in the socket has been read by then. */
#define STALE USEC_PER_SEC

void keepalive_start(Keepalive *k, usec_t interval, usec_t wait, usec_t now) {
        *k = (Keepalive){.interval = interval, .heard = now, .next = now + wait};
}

void keepalive_ask(Keepalive *k, usec_t now) {
        k->asked = now;
        k->pinged = true;
        k->next = now + KEEPALIVE_ASK_TIME;
}

void keepalive_answered(Keepalive *k) {
        k->asked = 0;
}

KeepaliveAction keepalive_step(Keepalive *k, usec_t last_input, usec_t wait, usec_t now) {
        if (last_input > k->heard && (k->asked == 0 || last_input > k->asked + STALE)) {
                k->heard = last_input;
                k->asked = 0;
                k->pinged = false;
                k->next = last_input + wait;
        }
        if (now < k->next)
                return KEEPALIVE_WAIT;
        if (!k->pinged) {
                k->pinged = true;
                k->next = MAX(k->heard + k->interval * 5 / 2, now + k->interval);
                return KEEPALIVE_PING;
        }
        if (now - k->next > LATE) {
                k->next = now + k->interval / 2;
                return KEEPALIVE_WAIT;
        }
        return KEEPALIVE_GONE;
}
