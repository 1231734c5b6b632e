/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Any bytes as a frame, read by the decoder of its type. The first byte says which request an OK
 * answers. What is taken is encoded again byte for byte, but for keys that may be ignored and what
 * the struct has no place for; even then once more changes nothing. A MESSAGE is read as far as its
 * INNER. */

#include "fuzz.h"

#include "mutate.h"
#include "same.h"

#include "../unit/frame-echo.h"
#include "../unit/wire-sample.h"

#define BEFORE "before"

/* The device that signed is proven by what was signed, and nothing else. */
static void check_signature(const Inner *m, Bytes in, const uint8_t *signature) {
        SignKey device = sample_key(2);
        uint8_t hash[SHA256_SIZE], own[SIGNATURE_SIZE], there[SHA256_SIZE], back[SHA256_SIZE];

        sha256(in.data, in.size, hash);
        MUST(entry_sign(&device, hash, own) == 0);
        MUST(entry_verify(sign_key_public(&device), hash, own) == 0);
        hash[0] ^= 1;
        MUST(entry_verify(sign_key_public(&device), hash, own) == -EBADMSG);
        if (signature)
                MUST(entry_verify(m->device, hash, signature) == -EBADMSG);
        conversation_direct(m->account, m->device, there);
        conversation_direct(m->device, m->account, back);
        MUST(memcmp(there, back, SHA256_SIZE) == 0);
}

static void check_inner(Bytes in, const uint8_t *signature) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        Inner m;
        int r;

        if (inner_decode(in, &m) < 0)
                return;
        MUST(m.seq > 0 && m.body.size <= BODY_SIZE_MAX && m.n_parents <= PARENTS_MAX);
        check_signature(&m, in, signature);
        MUST(!bytes_are_zero(&m.id, sizeof(m.id)));
        MUST(m.expires <= usec_add(m.sent, MESSAGE_LIFETIME_MAX));
        MUST(m.expires <= MESSAGE_TIME_MAX && m.sent <= MESSAGE_TIME_MAX);
        r = inner_encode(&out, &m);
        MUST(r == (fuzz_failed() ? -ENOMEM : 0));
        if (!has_ignorable(in))
                check_same(r, &out, in);
}

/* Requests that only some encoders take, and streams, which none does yet. */
static bool head_is_lost(const Frame *f) {
        switch (f->type) {
        case FRAME_OK:
        case FRAME_ERROR:
        case FRAME_PING:
        case FRAME_PONG:
        case FRAME_REGISTER ... FRAME_ACCOUNT:
        case FRAME_FILE:
        case FRAME_RECORD:
        case FRAME_SESSION_REPLACED:
                return f->stream != 0;
        default:
                return f->stream != 0 || (f->request != 0 && f->type < FRAME_IGNORABLE);
        }
}

static void put_before(Buffer *out) {
        FUZZ_OWN_MEMORY;

        MUST(buffer_append(out, BEFORE, STRLEN(BEFORE)) == 0);
}

/* An encoder that fails leaves the output as it was, because other frames wait there. */
static int open_and_echo(const uint8_t *p, size_t size, EchoOk ok, Frame *ret, Buffer *out) {
        size_t frame;
        int r;

        if (frame_scan(p, size, &frame) != 1 || frame != size || frame_open(p, size, ret) < 0)
                return -EBADMSG;
        if (ret->type > UINT32_MAX) /* which is ignored, and no encoder has room for */
                return -EBADMSG;
        put_before(out);
        r = frame_echo(ret, ok, out);
        MUST(buffer_size(out) >= STRLEN(BEFORE));
        MUST(memcmp(buffer_data(out), BEFORE, STRLEN(BEFORE)) == 0);
        MUST(r >= 0 || buffer_size(out) == STRLEN(BEFORE));
        buffer_consume(out, STRLEN(BEFORE));
        return r;
}

void fuzz_one(const uint8_t *data, size_t size) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL, again = BUFFER_NULL;
        MessageFrame m;
        Bytes body;
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
        body = (Bytes){.data = data + FRAME_HEAD_SIZE, .size = size - FRAME_HEAD_SIZE};
        if (r == 0 && !head_is_lost(&f) && !has_ignorable(body))
                MUST(bytes_equal(buffer_bytes(&out), (Bytes){.data = data, .size = size}));

        r = open_and_echo(buffer_data(&out), buffer_size(&out), ok, &g, &again);
        if (fuzz_failed())
                return;
        MUST(r >= 0);
        MUST(buffer_size(&again) == buffer_size(&out));
        MUST(memcmp(buffer_data(&again), buffer_data(&out), buffer_size(&out)) == 0);

        if (f.type == FRAME_MESSAGE && frame_open(data, size, &f) == 0 &&
                message_decode(&f, &m) == 0)
                check_inner(m.inner, m.signature.size ? m.signature.data : NULL);
}

#ifdef FUZZING_LIBFUZZER
/* The size of the frame follows, most of the time. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
        size_t n = mutate_input(data, size, max, seed, 1 + FRAME_HEAD_SIZE), body;

        if (n <= 1 + FRAME_HEAD_SIZE || seed % 16 == 0)
                return n;
        body = n - 1 - FRAME_HEAD_SIZE;
        for (int i = 0; i < FRAME_HEAD_SIZE; i++)
                data[1 + i] = (uint8_t)(body >> (24 - 8 * i));
        return n;
}
#endif
