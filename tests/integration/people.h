/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Many users of one tracker, in one process: what they are and where they come from. */

#include "net/greeting.h"

typedef struct Someone {
        SignKey account, device;
        Buffer certificate, record;
        LocalIdentity local; /* refers to the rest */
} Someone;

/* Keys, certificate and a listed record of NAME, valid for half a year. `local.tls` is left to who
 * is going to connect. RET must stay where it is. */
int someone_make(Loop *loop, const char *name, Someone *ret);
void someone_done(Someone *s);

/* A socket that is connected to PORT of 127.0.0.1, from the address SOURCE after 127.0.1.0; a
 * negative errno. Waits. */
int loopback_connect(unsigned source, uint16_t port, SockAddr *ret_peer);
