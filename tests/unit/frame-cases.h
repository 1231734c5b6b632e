/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What every frame must do: come back byte for byte after decoding and encoding, and keep to the
 * rules of map-cases.h. Include after test.h.
 */

#include "frame-echo.h"
#include "map-cases.h"

/* What an OK answers. */
static EchoOk ok_kind;

static inline int decode_frame(const Buffer *frame, Buffer *out) {
        size_t size;
        Frame f;
        int r;

        r = frame_scan(frame->data + frame->begin, buffer_size(frame), &size);
        if (r <= 0)
                return r < 0 ? r : -EBADMSG;
        CHECK_EQ(size, buffer_size(frame));
        r = frame_open(frame->data + frame->begin, size, &f);
        return r < 0 ? r : frame_echo(&f, ok_kind, out);
}

static inline int try_body(Bytes body) {
        const uint8_t head[4] = {
                0, (uint8_t)(body.size >> 16), (uint8_t)(body.size >> 8), (uint8_t)body.size};
        _cleanup_(buffer_done) Buffer frame = BUFFER_NULL, out = BUFFER_NULL;
        int r;

        CHECK_OK(buffer_append(&frame, head, sizeof(head)));
        CHECK_OK(buffer_append(&frame, body.data, body.size));
        r = decode_frame(&frame, &out);
        return r == ECHO_LOSSY ? 0 : r;
}

static inline Bytes body_of(const Buffer *frame) {
        return (Bytes){.data = frame->data + FRAME_HEAD_SIZE, .size = frame->end - FRAME_HEAD_SIZE};
}

#define HEAD_KEYS UINT64_C(7) /* type, request, stream */
#define KEY(n) CBOR_BIT(n)

/* REQUIRED and KNOWN without the keys of the head. */
static inline void check_frame(const Buffer *frame, uint64_t known, uint64_t required) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL;

        CHECK_OK(decode_frame(frame, &again));
        CHECK_EQ(buffer_size(&again), buffer_size(frame));
        CHECK(memcmp(buffer_data(&again), frame->data, buffer_size(frame)) == 0);
        check_map(body_of(frame), known | HEAD_KEYS, required | KEY(0), try_body);
}

static inline void open_frame(const Buffer *b, FrameType type, uint64_t request, Frame *ret) {
        size_t size;

        CHECK_EQ(frame_scan(b->data, b->end, &size), 1);
        CHECK_OK(frame_open(b->data, size, ret));
        CHECK_EQ(ret->type, type);
        CHECK_EQ(ret->request, request);
}
