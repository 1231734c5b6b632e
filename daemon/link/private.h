/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of link/ share. */

#include "link/link.h"

#define LINK_ALPN "p2pchat-link/1"

const LocalIdentity *link_pool_self(const LinkPool *p);

/* greeting_check() of what came over a connection of P, where this device itself is wrong too:
 * CODE_NOT_ALLOWED, with RET. */
Code link_check_hello(const LinkPool *p, const Hello *h, const uint8_t tls_key[static KEY_SIZE],
        const uint8_t *expected, Greeting *ret, const char **ret_text);
