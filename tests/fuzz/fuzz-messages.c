/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as a frame, read by the decoder of its type. The first byte says which request an OK
 * answers. What is taken is encoded again byte for byte, but for keys that may be ignored and what
 * the struct has no place for; even then once more changes nothing. A MESSAGE is read as far as its
 * INNER. */

#include "fuzz.h"

#include "../unit/cbor-echo.h"
#include "../unit/frame-echo.h"

static bool has_ignorable(const uint8_t *p, size_t size) {
        FUZZ_OWN_MEMORY;
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        CborReader r = cbor_reader(p, size);

        return echo_item(&r, &out) >= CBOR_KEY_IGNORABLE;
}

static void check_inner(Bytes in) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        Inner m;
        int r;

        if (inner_decode(in, &m) < 0)
                return;
        MUST(m.seq > 0 && m.body.size <= BODY_SIZE_MAX && m.n_parents <= PARENTS_MAX);
        MUST(m.expires <= MESSAGE_TIME_MAX && m.sent <= MESSAGE_TIME_MAX);
        r = inner_encode(&out, &m);
        MUST(r == (fuzz_failed() ? -ENOMEM : 0));
        if (r == 0 && !has_ignorable(in.data, in.size))
                MUST(buffer_size(&out) == in.size &&
                        memcmp(buffer_data(&out), in.data, in.size) == 0);
}

/* Requests that only some encoders take, and streams, which none does yet. */
static bool head_is_lost(const Frame *f) {
        switch (f->type) {
        case FRAME_OK:
        case FRAME_ERROR:
        case FRAME_PING:
        case FRAME_PONG:
        case FRAME_REGISTER ... FRAME_CONNECT:
        case FRAME_ROOM_SYNC ... FRAME_HANDOVER:
        case FRAME_RECORD ... FRAME_SESSION_REPLACED:
                return f->stream != 0;
        default:
                return f->stream != 0 || (f->request != 0 && f->type < FRAME_IGNORABLE);
        }
}

static int open_and_echo(const uint8_t *p, size_t size, EchoOk ok, Frame *ret, Buffer *out) {
        size_t frame;

        if (frame_scan(p, size, &frame) != 1 || frame != size || frame_open(p, size, ret) < 0)
                return -EBADMSG;
        return frame_echo(ret, ok, out);
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL, again = BUFFER_NULL;
        MessageFrame m;
        Frame f, g;
        EchoOk ok;
        int r;

        if (size == 0)
                return;
        ok = (EchoOk)(*data++ % _ECHO_OK_MAX);
        size--;
        r = open_and_echo(data, size, ok, &f, &out);
        MUST(r == ECHO_LOSSY || r == 0 || r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        if (r < 0)
                return;
        if (r == 0 && !head_is_lost(&f) &&
                !has_ignorable(data + FRAME_HEAD_SIZE, size - FRAME_HEAD_SIZE))
                MUST(buffer_size(&out) == size && memcmp(buffer_data(&out), data, size) == 0);

        r = open_and_echo(buffer_data(&out), buffer_size(&out), ok, &g, &again);
        if (fuzz_failed())
                return;
        MUST(r >= 0);
        MUST(buffer_size(&again) == buffer_size(&out));
        MUST(memcmp(buffer_data(&again), buffer_data(&out), buffer_size(&out)) == 0);

        if (f.type == FRAME_MESSAGE && frame_open(data, size, &f) == 0 &&
                message_decode(&f, &m) == 0)
                check_inner(m.inner);
}
