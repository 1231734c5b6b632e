/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What is taken has one form: encoded again it is the same, byte for byte, unless it has keys that
 * may be ignored.
 */

#include "fuzz.h"

#include "../unit/cbor-echo.h"

/* IN is an item of CBOR that was taken. */
static inline bool has_ignorable(Bytes in) {
        FUZZ_OWN_MEMORY;
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        CborReader r = cbor_reader(in.data, in.size);

        return echo_item(&r, &out) >= CBOR_KEY_IGNORABLE;
}

/* R is what the encoder said that appended to AGAIN. */
static inline void check_same(int r, const Buffer *again, Bytes in) {
        if (fuzz_failed()) {
                MUST(r == -ENOMEM);
                return;
        }
        MUST(r == 0);
        MUST(bytes_equal(buffer_bytes(again), in));
}
