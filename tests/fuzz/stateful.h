/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the fuzzers of conversations share. An input is a script: bytes that say which frame a
 * hostile end sends next, with which fields, how it is altered and when time passes. The end itself
 * is the raw half of a wire of tests/sim, with plain-tls.c in the place of TLS.
 */

#include "fuzz.h"

#include <errno.h>

#include "../unit/check.h"
#include "crypto/sign.h"
#include "loop-virtual.h"
#include "pipe-transport.h"
#include "util/buffer.h"
#include "wire/frame.h"

/* For laboratories of tests/unit. */
__attribute__((noreturn, unused)) static void test_fail(
        const char *file, int line, const char *what) {
        fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
        abort();
}

/* For a scope in which the code under test runs, and may be refused memory, while the fuzzer's own
 * is not (FUZZ_OWN_MEMORY). */
#define FUZZ_THEIR_MEMORY _unused_ _cleanup_(fuzz_resume) bool _their_memory = fuzz_begin_theirs()

static inline bool fuzz_begin_theirs(void) {
        bool before = fuzz_pause();

        fuzz_resume(&(const bool){true});
        return before;
}

/* The next handler of the code under test. */
static inline bool their_turn(Loop *loop, usec_t until) {
        FUZZ_THEIR_MEMORY;

        return loop_virtual_turn(loop, until);
}

/* The script. At its end it gives zeros. */

typedef struct Script {
        const uint8_t *p, *end;
} Script;

static inline uint8_t script_u8(Script *s) {
        return s->p < s->end ? *s->p++ : 0;
}

static inline bool script_more(const Script *s) {
        return s->p < s->end;
}

/* Numbers of any size from few bytes: most of them small, the rest powers of two and beside. */
static inline uint64_t script_number(Script *s) {
        uint8_t b = script_u8(s);

        if (b < 0xc0)
                return b;
        return (UINT64_C(1) << (b & 0x3f)) - 1 + script_u8(s) % 3;
}

/* The whole of fuzz_one(). */
static inline void script_run(const uint8_t *data, size_t size, void (*begin)(Script *in),
        void (*step)(Script *in), void (*end)(void)) {
        Script in = {.p = data, .end = data + size};
        FUZZ_OWN_MEMORY;

        begin(&in);
        while (script_more(&in))
                step(&in);
        end();
}

/* Up to 255 bytes as they are. */
static inline Bytes script_bytes(Script *s) {
        size_t n = script_u8(s);
        Bytes b = {.data = s->p};

        b.size = MIN(n, (size_t)(s->end - s->p));
        s->p += b.size;
        return b;
}

/* Waits from nothing to hours, most of them short. */
static inline usec_t script_time(Script *s) {
        uint8_t b = script_u8(s);

        return (usec_t)(1 + (b & 0x1f)) * USEC_PER_MSEC << 3 * (b >> 5);
}

/* The raw end of a wire */

#define RAW_IN_MAX (8 * 1024 * 1024)

typedef struct RawEnd {
        Transport *transport; /* NULL: not connected */
        Buffer in; /* what has come */
        size_t taken; /* of it, by raw_take() */
        bool heard_tls; /* the other's greeting was read */
        bool over; /* the other end has ended */
        uint8_t key[KEY_SIZE]; /* the other's */
        Buffer out; /* frames that are made but not sent */
        Buffer said; /* all that the wire has taken */
} RawEnd;

/* Wires the raw end to what is returned, for the code to be fuzzed. */
static inline Transport *raw_connect(RawEnd *e, Loop *loop, const PipeOptions *options) {
        Transport *ends[2];
        Pipe *p;

        MUST(pipe_new(loop, options, ends, &p) == 0);
        pipe_unref(p);
        *e = (RawEnd){.transport = ends[0]};
        return ends[1];
}

static inline void raw_close(RawEnd *e) {
        e->transport = transport_free(e->transport);
        buffer_done(&e->in);
        buffer_done(&e->out);
        buffer_done(&e->said);
        *e = (RawEnd){};
}

/* Sends what is queued, as far as the wire takes it. False: the rest is lost. */
static inline bool raw_flush(RawEnd *e) {
        bool all;

        while (e->transport && buffer_size(&e->out) > 0) {
                ssize_t k = e->transport->ops->write(
                        e->transport, buffer_data(&e->out), buffer_size(&e->out));

                if (k <= 0)
                        break;
                MUST(buffer_append(&e->said, buffer_data(&e->out), (size_t)k) == 0);
                buffer_consume(&e->out, (size_t)k);
        }
        all = buffer_size(&e->out) == 0;
        buffer_clear(&e->out);
        return all;
}

static inline void raw_say_tls(RawEnd *e, const char *alpn, const uint8_t key[static KEY_SIZE]) {
        uint8_t length = (uint8_t)strlen(alpn);

        MUST(buffer_append(&e->out, &length, 1) == 0);
        MUST(buffer_append(&e->out, alpn, length) == 0);
        MUST(buffer_append(&e->out, key, KEY_SIZE) == 0);
        (void)raw_flush(e);
}

static inline void raw_read(RawEnd *e) {
        uint8_t block[16384];
        ssize_t k;

        while (e->transport && !e->over) {
                k = e->transport->ops->read(e->transport, block, sizeof(block));
                if (k == -EAGAIN)
                        break;
                e->over = k <= 0;
                if (k > 0)
                        MUST(buffer_append(&e->in, block, (size_t)k) == 0);
                MUST(buffer_size(&e->in) <= RAW_IN_MAX);
        }
}

static inline bool raw_take_tls(RawEnd *e) {
        const uint8_t *p = buffer_data(&e->in);
        size_t n = buffer_size(&e->in);

        if (e->heard_tls)
                return true;
        if (n == 0 || n < 1 + (size_t)p[0] + KEY_SIZE)
                return false;
        memcpy(e->key, p + 1 + p[0], KEY_SIZE);
        e->taken = 1 + (size_t)p[0] + KEY_SIZE;
        e->heard_tls = true;
        return true;
}

/* The next frame that has come; false when there is none. All that the code sends are frames. It
 * lives until the next call. */
static inline bool raw_take(RawEnd *e, Frame *ret) {
        const uint8_t *p;
        size_t size;
        int r;

        raw_read(e);
        buffer_consume(&e->in, e->taken);
        e->taken = 0;
        if (!raw_take_tls(e) || buffer_size(&e->in) == e->taken)
                return false;
        p = buffer_data(&e->in) + e->taken;
        r = frame_scan(p, buffer_size(&e->in) - e->taken, &size);
        MUST(r >= 0);
        if (r == 0)
                return false;
        MUST(frame_open(p, size, ret) == 0);
        e->taken += size;
        return true;
}

/* The frames in OUT from AT on are changed by what the script says: bytes overwritten, left out or
 * put in. */
static inline void script_alter(Script *s, Buffer *out, size_t at) {
        uint8_t how = script_u8(s);
        size_t size = buffer_size(out) - at, where;

        if (size == 0)
                return;
        where = at + (script_u8(s) | (size_t)(how & 0x0f) << 8) % size;
        switch (how >> 4 & 3) {
        case 0:
                out->data[out->begin + where] = script_u8(s);
                break;
        case 1:
                out->data[out->begin + where] ^= (uint8_t)(1 << (script_u8(s) & 7));
                break;
        case 2: /* cut short */
                out->end = out->begin + where;
                break;
        default: {
                Bytes more = script_bytes(s);

                MUST(buffer_append(out, more.data, more.size) == 0);
                break;
        }
        }
}
