/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The node's own key: DIR/key, mode 0600, made once. Whoever has it can pass for this node. */

#include "crypto/sign.h"

/* -ENOENT: there is none yet; -EBADMSG: it is no key file; else as open(2). */
int node_key_read(const char *dir, SignKey *ret);

/* Makes a new one. The caller holds the lock of DIR, so that nobody makes another. */
int node_key_create(const char *dir, SignKey *ret);
