/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * "host:port#key": an endpoint together with the public key that must answer there. The key is 52
 * characters of base32 (text.h); it is written in lower case and read in either.
 */

#include "util/sockaddr.h"
#include "util/text.h"

typedef struct Endpoint {
        char host[HOST_SIZE]; /* a name or a numeric address without brackets */
        uint16_t port;
} Endpoint;

typedef struct EndpointKey {
        char host[HOST_SIZE];
        uint16_t port;
        uint8_t key[32];
} EndpointKey;

#define ENDPOINT_KEY_SIZE (ENDPOINT_SIZE + 1 + BASE32_KEY_SIZE)

/* -EINVAL for anything that is not exactly this form, port 0 included. Whether the key is a good
 * one is for the caller to find out. */
int endpoint_key_parse(const char *text, EndpointKey *ret);

const char *endpoint_key_format(const EndpointKey *e, char buf[static ENDPOINT_KEY_SIZE]);
