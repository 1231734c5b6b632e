/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What two people compare to know that nobody stands between them: Signal's numeric fingerprint,
 * version 0, of which either side has half. The number is the same at both.
 *
 * Each half takes 5,200 hashes of SHA-512, about 2 ms, so that whoever looks for an account with
 * the half of another one has as much more to do.
 */

#include "util/buffer.h"

#define SAFETY_NUMBER_GROUP 5 /* digits that are read together */
#define SAFETY_NUMBER_HALF_SIZE 30 /* digits */
#define SAFETY_NUMBER_SIZE (2 * SAFETY_NUMBER_HALF_SIZE)

/* Of who is called ID and has KEY. */
void safety_number_half(Bytes id, Bytes key, char ret[static SAFETY_NUMBER_HALF_SIZE + 1]);

/* Of two accounts, in whatever order: an account is its key, and so both its id and its key. */
void safety_number(const uint8_t a[static 32], const uint8_t b[static 32],
        char ret[static SAFETY_NUMBER_SIZE + 1]);
