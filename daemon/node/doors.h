/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The addresses that a node listens on, which a reload may change while it runs. */

#include "config/config.h"
#include "net/tcp.h"

#define DOORS_MAX 64 /* as many as the configuration takes */

typedef struct Door {
        Endpoint endpoint; /* numeric */
        Listener *listener;
} Door;

typedef struct Doors {
        Loop *loop;
        ListenerFn fn;
        void *userdata;
        Door doors[DOORS_MAX];
        size_t n;
} Doors;

void doors_done(Doors *d);

/* Opens what is named and not open yet, then closes the others; before, where they are in the way.
 * On an error all is as it was, and RET_FAILED says which address it was. */
int doors_open(Doors *d, const ConfigEndpoints *endpoints, const Endpoint **ret_failed);

/* Takes over a socket that listens already. */
int doors_adopt(Doors *d, int fd);

/* Exactly those are open. */
bool doors_are(const Doors *d, const ConfigEndpoints *endpoints);
