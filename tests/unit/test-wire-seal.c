/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "crypto/hpke.h"
#include "wire-sample.h"

#define SEALED_TEXT "what is sealed"

typedef struct Sealed {
        uint8_t account[KEY_SIZE], secret[MAIL_KEY_SIZE], public[MAIL_KEY_SIZE];
        Prekey prekey;
        Buffer envelope;
        Envelope e; /* decoded from it */
} Sealed;

static void seal(Sealed *s) {
        static const uint8_t seed[HPKE_SEED_SIZE] = {1}, fresh[MAIL_KEY_SIZE] = {2};

        *s = (Sealed){.account = {3, [31] = 4}};
        hpke_key_derive(seed, s->secret, s->public);
        s->prekey = (Prekey){.suite = MAIL_SUITE_HPKE,
                .id = UINT64_C(0x0102030405060708),
                .key = {.data = s->public, .size = sizeof(s->public)}};
        CHECK_OK(envelope_seal(
                &s->envelope, s->account, &s->prekey, sample_text(SEALED_TEXT), fresh));
        CHECK_OK(envelope_decode(sample_bytes(&s->envelope), &s->e));
}

static void sealed_done(Sealed *s) {
        buffer_done(&s->envelope);
}

/* As the envelope and the keys are now. What does not open leaves the output as it was. */
static int open_sealed(const Sealed *s) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        int r;

        CHECK_OK(buffer_append(&out, "before", 6));
        r = envelope_open(&out, s->account, &s->e, MAIL_SUITE_HPKE, s->secret);
        CHECK_EQ(buffer_size(&out), r < 0 ? 6 : 6 + STRLEN(SEALED_TEXT));
        if (r == 0)
                CHECK(memcmp(buffer_data(&out), "before" SEALED_TEXT, buffer_size(&out)) == 0);
        return r;
}

/* As the protocol says it, for the account and the prekey of seal(). */
static const uint8_t INFO[] = "p2pchat/1 mail\0"
                              "\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                              "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4" /* account */
                              "\0\1" /* suite */
                              "\1\2\3\4\5\6\7\10"; /* prekey */
#define INFO_SIZE (sizeof(INFO) - 1)
#define INFO_SUITE (INFO_SIZE - 9) /* the low byte of the suite */

TEST(what_is_sealed_opens) {
        _cleanup_(sealed_done) Sealed s;
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;

        seal(&s);
        CHECK(s.e.suite == 1 && s.e.prekey == s.prekey.id);
        CHECK_EQ(s.e.ciphertext.size, STRLEN(SEALED_TEXT) + 16);
        CHECK_OK(open_sealed(&s));
        CHECK_OK(hpke_open(s.secret, s.e.enc, (Bytes){.data = INFO, .size = INFO_SIZE}, (Bytes){},
                s.e.ciphertext, &out));
        CHECK(bytes_equal(buffer_bytes(&out), sample_text(SEALED_TEXT)));
}

TEST(an_envelope_that_was_changed_does_not_open) {
        _cleanup_(sealed_done) Sealed s;
        uint8_t *ciphertext;

        seal(&s);
        s.account[0] ^= 1; /* left in the mailbox of somebody else */
        CHECK_EQ(open_sealed(&s), -EBADMSG);
        s.account[0] ^= 1;
        s.secret[7] ^= 1;
        CHECK_EQ(open_sealed(&s), -EBADMSG);
        s.secret[7] ^= 1;
        for (int bit = 0; bit < 64; bit++) {
                s.e.prekey ^= UINT64_C(1) << bit;
                CHECK_EQ(open_sealed(&s), -EBADMSG);
                s.e.prekey ^= UINT64_C(1) << bit;
                s.e.suite ^= UINT64_C(1) << bit;
                CHECK_EQ(open_sealed(&s), -EBADMSG);
                s.e.suite ^= UINT64_C(1) << bit;
        }
        for (size_t i = 0; i < 8 * sizeof(s.e.enc); i++) {
                s.e.enc[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(open_sealed(&s), -EBADMSG);
                s.e.enc[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        ciphertext = (uint8_t *)s.e.ciphertext.data;
        for (size_t i = 0; i < 8 * s.e.ciphertext.size; i++) {
                ciphertext[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(open_sealed(&s), -EBADMSG);
                ciphertext[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK_OK(open_sealed(&s));
        while (s.e.ciphertext.size > 0) {
                s.e.ciphertext.size--;
                CHECK_EQ(open_sealed(&s), -EBADMSG);
        }
}

/* An envelope cannot say of itself that it is of another suite than its prekey, and in a suite that
 * is not known here none opens, though everything but its number be right. */
TEST(a_prekey_of_another_suite_opens_nothing) {
        static const uint8_t fresh[HPKE_SEED_SIZE] = {5};
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL, ciphertext = BUFFER_NULL;
        _cleanup_(sealed_done) Sealed s;
        uint8_t info[INFO_SIZE];

        seal(&s);
        CHECK_EQ(envelope_open(&out, s.account, &s.e, 2, s.secret), -EBADMSG);
        memcpy(info, INFO, INFO_SIZE);
        info[INFO_SUITE] = 2;
        CHECK_OK(hpke_seal(s.public, fresh, (Bytes){.data = info, .size = INFO_SIZE}, (Bytes){},
                sample_text(SEALED_TEXT), s.e.enc, &ciphertext));
        s.e.ciphertext = buffer_bytes(&ciphertext);
        s.e.suite = 2;
        CHECK_EQ(envelope_open(&out, s.account, &s.e, 2, s.secret), -EBADMSG);
        CHECK_EQ(envelope_open(&out, s.account, &s.e, 1, s.secret), -EBADMSG);
        CHECK_EQ(buffer_size(&out), 0);
}

TEST(nothing_is_sealed_to_a_key_that_is_none) {
        static const uint8_t zeros[MAIL_KEY_SIZE + 1], account[KEY_SIZE], seed[MAIL_KEY_SIZE] = {1};
        static const uint8_t base[MAIL_KEY_SIZE + 1] = {9};
        const struct {
                uint64_t suite;
                Bytes key;
                int want;
        } cases[] = {
                {1, {base, 32}, 0},
                {1, {base, 31}, -EKEYREJECTED},
                {1, {base, 33}, -EKEYREJECTED},
                {1, {NULL, 0}, -EKEYREJECTED},
                {1, {zeros, 32}, -EKEYREJECTED}, /* of small order: anybody could open */
                {0, {base, 32}, -EKEYREJECTED},
                {2, {base, 32}, -EKEYREJECTED},
                {UINT64_C(0x10001), {base, 32}, -EKEYREJECTED},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
                const Prekey prekey = {.suite = cases[i].suite, .id = 1, .key = cases[i].key};

                CHECK_EQ(envelope_seal(&out, account, &prekey, sample_text("x"), seed),
                        cases[i].want);
                CHECK_EQ(buffer_size(&out) > 0, cases[i].want == 0);
        }
}
