/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as a stream of frames, arriving one at a time: a verdict, once there, never changes,
 * and what is a whole frame is within the cap of its type and has one form. */

#include "fuzz.h"

#include "../unit/cbor-echo.h"
#include "wire/frame.h"

static void check_frame(const uint8_t *p, size_t size) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        uint64_t key;
        Frame f;
        int r;

        r = frame_open(p, size, &f);
        MUST(r == 0 || r == -EBADMSG);
        if (r < 0)
                return;
        MUST(f.size == size && size - FRAME_HEAD_SIZE <= frame_cap(f.type));
        while (frame_next(&f, &key)) {
                MUST(key > 2);
                cbor_skip(&f.reader);
        }
        r = frame_close(&f, 0);
        MUST(r == echo(p + FRAME_HEAD_SIZE, size - FRAME_HEAD_SIZE, &out));
        if (r == 0)
                MUST(memcmp(buffer_data(&out), p + FRAME_HEAD_SIZE, size - FRAME_HEAD_SIZE) == 0);
}

/* What is waited for may still come: the cap of its type is known by then. */
static void check_wait(const uint8_t *p, size_t n) {
        CborReader r = cbor_reader(p + FRAME_HEAD_SIZE + 2, n - FRAME_HEAD_SIZE - 2);
        uint64_t type = cbor_read_uint(&r);
        size_t size = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];

        if (p[FRAME_HEAD_SIZE + 1] == 0 && r.error == 0)
                MUST(size <= frame_cap(type));
}

void fuzz_one(const uint8_t *data, size_t size) {
        FUZZ_OWN_MEMORY; /* reading takes none */
        size_t from = 0, frame = 0, at_once = 0;

        for (size_t n = 0; from + n <= size; n++) {
                int r, whole;

                r = frame_scan(data + from, n, &frame);
                if (r == 0) {
                        if (n > FRAME_HEAD_SIZE + 2)
                                check_wait(data + from, n);
                        continue;
                }
                whole = frame_scan(data + from, size - from, &at_once);
                MUST(whole == r);
                if (r < 0)
                        return;
                MUST(r == 1 && frame == n && at_once == n);
                check_frame(data + from, n);
                from += n;
                n = 0;
        }
}
