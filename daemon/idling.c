/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "idling.h"

#include "chat/create.h"

struct Idling {
        Loop *loop;
        Chat *chat;
        usec_t after, since;
        LoopTimer *timer; /* when he is away; it need not be looked again then */
};

static void on_away(void *userdata) {
        Idling *i = userdata;

        chat_set_idle(i->chat, true);
}

/* The wall clock may have been set since: never longer than from now on. */
static void look(Idling *i) {
        usec_t passed = usec_sub(loop_realtime(i->loop), i->since),
               left = usec_sub(i->after, passed);
        bool idle = i->since > 0;

        loop_timer_set(
                i->timer, idle && left > 0 ? usec_add(loop_now(i->loop), left) : USEC_INFINITY);
        chat_set_idle(i->chat, idle && left == 0);
}

void idling_set_after(Idling *i, usec_t after) {
        i->after = after;
        look(i);
}

void idling_set_since(Idling *i, usec_t since) {
        i->since = since;
        look(i);
}

int idling_new(Loop *loop, Chat *chat, Idling **ret) {
        Idling *i = calloc(1, sizeof(*i));
        int r;

        if (!i)
                return -ENOMEM;
        *i = (Idling){.loop = loop, .chat = chat, .after = USEC_INFINITY};
        r = loop_timer_new(loop, on_away, i, &i->timer);
        if (r < 0) {
                free(i);
                return r;
        }
        *ret = i;
        return 0;
}

Idling *idling_free(Idling *i) {
        if (!i)
                return NULL;
        loop_timer_free(i->timer);
        free(i);
        return NULL;
}
