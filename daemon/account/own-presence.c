/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user says of himself, and what is seen of him. */

#include "account/private.h"

#include <assert.h>
#include <stdio.h>

void account_on_presence_timer(void *userdata) {
        Account *a = userdata;

        if (account_is_active(a))
                account_publish(a, &a->endpoints);
}

void account_publish_soon(Account *a) {
        usec_t now = loop_now(a->loop);

        if (a->published)
                loop_timer_set(a->presence_timer,
                        MAX(now, usec_add(a->presence_made, ACCOUNT_PRESENCE_INTERVAL)));
}

static void own_presence_changed(Account *a) {
        account_publish_soon(a);
        a->callbacks->own_presence(a->userdata);
}

OwnPresence account_own_presence(const Account *a) {
        bool idle = a->idle && a->chosen.presence == PRESENCE_ONLINE;

        return (OwnPresence){.presence = idle ? PRESENCE_AWAY : a->chosen.presence,
                .note = a->chosen.note,
                .idle = idle};
}

/* What the batch that was committed, or the last that was, has left on disk. */
static void on_presence_chosen(void *userdata, int error) {
        Account *a = userdata;
        ChosenPresence c;

        if (error < 0 || store_get_chosen_presence(store_write(a->store), &c) <= 0 ||
                (c.presence == a->chosen.presence && streq(c.note, a->chosen.note)))
                return;
        a->chosen = c;
        own_presence_changed(a);
}

int account_choose_presence(Account *a, Presence presence, const char *note) {
        ChosenPresence c = {.presence = presence};
        int r;

        assert(presence != PRESENCE_OFFLINE && strlen(note) <= PRESENCE_NOTE_MAX);
        snprintf(c.note, sizeof(c.note), "%s", note);
        r = store_set_chosen_presence(a->store, &c);
        return r < 0 ? r : store_after_commit(a->store, on_presence_chosen, a);
}

void account_set_idle(Account *a, bool idle) {
        bool was = account_own_presence(a).idle;

        a->idle = idle;
        if (account_own_presence(a).idle != was)
                own_presence_changed(a);
}
