/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * When people were there last, kept over restarts without haste: what a tracker pushes and what
 * links tell is gathered and written a minute later, all of it in one batch. A time that gets lost
 * with a crash is no more than that.
 */

#include "chat/private.h"

#define SEEN_DELAY USEC_PER_MINUTE
#define SEEN_AT_ONCE 500 /* rows, then others have their turn */
#define SEEN_PAUSE (100 * USEC_PER_MSEC)

/* While somebody is there, what is on disk may be as old as this. */
#define SEEN_COARSE USEC_PER_HOUR

struct Seen {
        uint8_t account[KEY_SIZE];
        usec_t at; /* realtime */
        UT_hash_handle hh;
};

static Seen *seen_find(const Chat *c, const uint8_t *account) {
        Seen *s;

        HASH_FIND(hh, c->seen, account, KEY_SIZE, s);
        return s;
}

void seen_note(Chat *c, const Contact *k, usec_t at, bool there) {
        Seen *s = seen_find(c, k->account);

        if (at <= k->last_seen || (there && at - k->last_seen < SEEN_COARSE))
                return;
        if (s) {
                s->at = MAX(s->at, at);
                return;
        }
        s = calloc(1, sizeof(*s));
        if (!s)
                return;
        memcpy(s->account, k->account, KEY_SIZE);
        s->at = at;
        if (!c->seen)
                loop_timer_set(c->seen_timer, loop_now(c->parts.loop) + SEEN_DELAY);
        HASH_ADD(hh, c->seen, account, KEY_SIZE, s);
        if (!TABLE_HAS(s))
                free(s);
}

usec_t seen_last(const Chat *c, const Contact *k) {
        const Seen *s = seen_find(c, k->account);

        return s ? MAX(s->at, k->last_seen) : k->last_seen;
}

static void seen_save(Chat *c, Seen *s) {
        (void)contact_set_last_seen(c->parts.store, s->account, s->at);
        HASH_DEL(c->seen, s);
        free(s);
}

void on_seen_timer(void *userdata) {
        Chat *c = userdata;

        for (unsigned i = 0; c->seen && i < SEEN_AT_ONCE; i++)
                seen_save(c, c->seen);
        if (c->seen)
                loop_timer_set(c->seen_timer, loop_now(c->parts.loop) + SEEN_PAUSE);
}

void seen_save_all(Chat *c) {
        while (c->seen)
                seen_save(c, c->seen);
        loop_timer_set(c->seen_timer, USEC_INFINITY);
}
