/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Sealed mail, outside and inside. The first byte chooses what the rest is: an envelope, a content,
 * or what is to be sealed. With PAD its padding is still missing, so that what changes CBOR as CBOR
 * can change contents too. */

#include "fuzz.h"

#include "mutate.h"
#include "same.h"

#include "crypto/hpke.h"
#include "wire/mail.h"

enum {
        WHICH_ENVELOPE,
        WHICH_CONTENT,
        WHICH_PLAINTEXT,
        _WHICH_MAX,
        PAD = 0x80,
};

static const uint8_t account[KEY_SIZE] = {1};
static uint8_t secret[HPKE_KEY_SIZE], public[HPKE_KEY_SIZE];

static int try_envelope(Bytes in) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL, opened = BUFFER_NULL;
        Envelope e;
        int r;

        r = envelope_decode(in, &e);
        if (r < 0)
                return r;
        MUST(in.size <= MAIL_ENVELOPE_MAX);
        MUST(e.ciphertext.size < in.size);
        check_same(envelope_encode(&again, &e), &again, in);
        r = envelope_open(&opened, account, &e, MAIL_SUITE_HPKE, secret);
        MUST(r == 0 || r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        MUST(r == 0 || buffer_size(&opened) == 0);
        return 0;
}

/* As ISO/IEC 7816-4 says it, from the front. */
static void pad(Bytes in, Buffer *out) {
        FUZZ_OWN_MEMORY;

        MUST(buffer_append(out, in.data, in.size) == 0);
        MUST(buffer_append(out, "\x80", 1) == 0);
        while (buffer_size(out) % MAIL_PADDING != 0)
                MUST(buffer_append(out, "", 1) == 0);
}

/* The padding of what was taken is all that follows the item. */
static Bytes strip(Bytes in) {
        CborReader r = cbor_reader(in.data, in.size);

        cbor_skip(&r);
        return (Bytes){.data = in.data, .size = (size_t)(r.p - in.data)};
}

static int try_content(Bytes in) {
        _cleanup_(buffer_done) Buffer again = BUFFER_NULL, padded = BUFFER_NULL;
        Bytes item = strip(in);
        Content c;
        int r;

        r = content_decode(in, &c);
        if (r < 0)
                return r;
        MUST(c.kind >= CONTENT_MESSAGE && c.kind < _CONTENT_KIND_MAX);
        MUST(c.body.size > 0 && c.body.size <= INNER_SIZE_MAX && c.certificate.size > 0);
        MUST(c.kind == CONTENT_MESSAGE || bytes_are_zero(c.signature, SIGNATURE_SIZE));
        pad(item, &padded);
        MUST(bytes_equal(buffer_bytes(&padded), in));
        if (!has_ignorable(item))
                check_same(content_encode(&again, &c), &again, in);
        return 0;
}

/* Anything can be sealed, opens again, and for nobody else. */
static int try_plaintext(Bytes in) {
        static const uint8_t seed[HPKE_SEED_SIZE] = {2}, other[KEY_SIZE] = {3};
        const Prekey prekey = {.suite = MAIL_SUITE_HPKE,
                .id = in.size,
                .key = {.data = public, .size = sizeof(public)}};
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL, out = BUFFER_NULL;
        Envelope e;
        int r;

        if (in.size > INNER_SIZE_MAX) /* an envelope has an end */
                return 0;
        r = envelope_seal(&sealed, account, &prekey, in, seed);
        if (r < 0) {
                MUST(r == -ENOMEM && fuzz_failed());
                return 0;
        }
        MUST(envelope_decode(buffer_bytes(&sealed), &e) == 0 && e.prekey == in.size);
        r = envelope_open(&out, other, &e, MAIL_SUITE_HPKE, secret);
        MUST(r == -EBADMSG || (r == -ENOMEM && fuzz_failed()));
        r = envelope_open(&out, account, &e, MAIL_SUITE_HPKE, secret);
        if (r < 0)
                MUST(r == -ENOMEM && fuzz_failed());
        else
                MUST(bytes_equal(buffer_bytes(&out), in));
        return 0;
}

void fuzz_one(const uint8_t *data, size_t size) {
        static int (*const tries[_WHICH_MAX])(Bytes in) = {
                [WHICH_ENVELOPE] = try_envelope,
                [WHICH_CONTENT] = try_content,
                [WHICH_PLAINTEXT] = try_plaintext,
        };
        static const uint8_t seed[HPKE_SEED_SIZE] = {4};
        _cleanup_(buffer_done) Buffer padded = BUFFER_NULL;
        Bytes in;
        int r;

        if (size == 0)
                return;
        MUST(crypto_init() == 0);
        hpke_key_derive(seed, secret, public);
        in = (Bytes){.data = data + 1, .size = size - 1};
        if (data[0] & PAD) {
                pad(in, &padded);
                in = buffer_bytes(&padded);
        }
        r = tries[(data[0] & ~(unsigned)PAD) % _WHICH_MAX](in);
        MUST(r == 0 || r == -EBADMSG);
}

#ifdef FUZZING_LIBFUZZER
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
        return mutate_input(data, size, max, seed, 1);
}
#endif
