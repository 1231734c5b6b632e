/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What this end says of itself in HELLO, and what must hold of the other end's before anything else
 * it says counts. The same on links and on tracker sessions.
 */

#include "net/conn.h"
#include "wire/hello.h"

/* This device. The bytes belong to whoever fills this in and may change between connections. */
typedef struct LocalIdentity {
        TlsIdentity *tls;
        const SignKey *account, *device;
        Bytes certificate, record; /* signed objects */
        uint8_t boot_nonce[BOOT_NONCE_SIZE];
        uint32_t heartbeat; /* s; may change at any time */
} LocalIdentity;

/* Queues HELLO. EXPECTED is the account that the other end must be, NULL where any will do. */
int greeting_send(Conn *c, const LocalIdentity *self, const uint8_t *expected);

typedef struct Greeting {
        Hello hello;
        Certificate certificate;
        Record record;
} Greeting;

/* Checks HELLO of a connection whose TLS key is TLS_KEY: a version in common, certificate and
 * record of that key, of one account, and valid at REALTIME; SELF meant by it; the account EXPECTED
 * (NULL: any). CODE_OK, or why not, with a sentence. */
Code greeting_check(const Hello *h, const uint8_t tls_key[static KEY_SIZE], const uint8_t *self,
        const uint8_t *expected, usec_t realtime, Greeting *ret, const char **ret_text);
