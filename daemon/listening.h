/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Where this device can be reached: the socket it listens on, moved by a reload, tried again while
 * the port is taken, and the endpoints that are published for it.
 */

#include "config/config.h"
#include "net/tcp.h"
#include "store/contact.h"

typedef struct Listening Listening;

typedef struct ListeningCallbacks {
        ListenerFn connection;

        /* PROBLEM is NULL while it listens, else a sentence, and there are no endpoints then.
         * ALONE: this machine has no network address, so that only who is on it can connect. Not
         * called for the end. */
        void (*changed)(
                void *userdata, const Endpoints *endpoints, bool alone, const char *problem);
} ListeningCallbacks;

/* WHERE is read at each call and at each new try. All arguments outlive it. */
int listening_new(Loop *loop, Store *store, const struct ConfigListen *where,
        const ListeningCallbacks *callbacks, void *userdata, Listening **ret);
Listening *listening_free(Listening *l);

/* Where connections are accepted now; NULL: nowhere. */
const SockAddr *listening_address(const Listening *l);

/* Until it is stopped; while that fails it is tried again, and told once. */
void listening_start(Listening *l);
void listening_stop(Listening *l);

/* Listens at TO, which is WHERE from then on, instead of the present place. On an error it listens
 * where it did. Nothing is told before listening_refresh(). */
int listening_move(Listening *l, const struct ConfigListen *to);

/* Tells `changed` when the endpoints are others than it told. It happens by itself when addresses
 * of this machine come and go. The endpoints are what the configuration says, the address listened
 * on, or all there are; the loopback one where there is no other. */
void listening_refresh(Listening *l);
