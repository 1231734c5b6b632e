/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Questions to neighbours about rooms: they hear one at a time, and the others wait. */

#include "chat/room.h"

#include <stdio.h>

#include <utlist.h>

/* Those that wait: each takes some seconds. */
#define ASKS_MAX 16

struct RoomAsk {
        Chat *chat;
        char words[128];
        RoomsOfferFn fn;
        void *userdata;
        RoomAsk *prev, *next;
};

static void ask_end(RoomAsk *a) {
        RoomsOfferFn fn = a->fn;
        void *userdata = a->userdata;

        DL_DELETE(a->chat->room_asks, a);
        free(a);
        if (fn)
                fn(userdata, NULL);
}

static void on_offer(void *userdata, const RoomsOffer *o);

/* The first of those that wait. What cannot be asked is answered. */
static void begin(Chat *c) {
        RoomAsk *a;

        while ((a = c->room_asks) && rooms_ask(c->parts.rooms, a->words, on_offer, a) < 0)
                ask_end(a);
}

static void on_offer(void *userdata, const RoomsOffer *o) {
        RoomAsk *a = userdata;
        Chat *c = a->chat;

        if (!o) {
                ask_end(a);
                begin(c);
        } else if (a->fn)
                a->fn(a->userdata, o);
}

int room_ask(Chat *c, const char *words, RoomsOfferFn fn, void *userdata) {
        RoomAsk *a, *other;
        unsigned n;

        DL_COUNT(c->room_asks, other, n);
        if (n >= ASKS_MAX)
                return -EBUSY;
        a = calloc(1, sizeof(*a));
        if (!a)
                return -ENOMEM;
        *a = (RoomAsk){.chat = c, .fn = fn, .userdata = userdata};
        snprintf(a->words, sizeof(a->words), "%s", words);
        DL_APPEND(c->room_asks, a);
        if (n == 0)
                begin(c);
        return 0;
}

/* The one that is under way still ends. */
void room_ask_forget(Chat *c, void *userdata) {
        RoomAsk *a;

        DL_FOREACH (c->room_asks, a)
                if (a->userdata == userdata)
                        a->fn = NULL;
}

void room_asks_end_all(Chat *c) {
        if (c->room_asks)
                rooms_forget(c->parts.rooms, c->room_asks);
        while (c->room_asks)
                ask_end(c->room_asks);
}
