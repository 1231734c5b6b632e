/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as one item of CBOR: what is taken is written again byte for byte, and passing over it
 * comes to the same verdict as reading it. */

#include "fuzz.h"

#include "../unit/cbor-echo.h"

void fuzz_one(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY; /* reading takes none */
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        CborReader r = cbor_reader(data, size);
        int e;

        e = echo(data, size, &out);
        MUST(e == 0 || e == -EBADMSG);
        if (e == 0)
                MUST(buffer_size(&out) == size && memcmp(buffer_data(&out), data, size) == 0);
        cbor_skip(&r);
        MUST(cbor_finish(&r, NULL, 0) == e);
}
