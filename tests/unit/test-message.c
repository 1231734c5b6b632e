/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "signed-cases.h"

static int try_inner(Bytes body) {
        Inner m;

        return inner_decode(body, &m);
}

static Buffer encode_inner(const Inner *m) {
        Buffer b = BUFFER_NULL;

        CHECK_OK(inner_encode(&b, m));
        return b;
}

TEST(inner) {
        Inner want = sample_inner_full(1, 3), got;
        _cleanup_(buffer_done) Buffer b = encode_inner(&want), again = BUFFER_NULL;
        Bytes body = sample_bytes(&b);

        CHECK_OK(inner_decode(body, &got));
        CHECK(uuid_equal(&got.id, &want.id));
        CHECK(memcmp(got.conversation, want.conversation, SHA256_SIZE) == 0);
        CHECK(key_equal(got.account, want.account) && key_equal(got.device, want.device));
        CHECK(got.epoch == 1 && got.seq == 300 && got.prev[0] == 0xee && got.hlc == want.hlc);
        CHECK(got.sent == want.sent && got.expires == want.expires && got.kind == KIND_TEXT);
        CHECK(got.body.size == 2 && memcmp(got.body.data, "hi", 2) == 0);
        CHECK(got.n_parents == 2 && got.parents[0][0] == 1 && got.parents[1][31] == 2);
        CHECK(got.has_reply_to && uuid_equal(&got.reply_to, &want.reply_to));
        CHECK(got.control_head.size == 4 && got.ext.size == 3);
        CHECK_OK(inner_encode(&again, &got));
        CHECK_EQ(buffer_size(&again), buffer_size(&b));
        CHECK(memcmp(again.data, b.data, buffer_size(&b)) == 0);

        check_uint(body, 0, 1);
        check_bytes(body, 1, &want.id, 16);
        check_bytes(body, 2, want.conversation, 32);
        check_bytes(body, 3, want.account, 32);
        check_uint(body, 4, 1);
        check_bytes(body, 5, want.device, 32);
        check_uint(body, 6, 300);
        check_bytes(body, 7, want.prev, 32);
        check_uint(body, 8, want.hlc);
        check_uint(body, 9, want.sent);
        check_uint(body, 10, want.expires);
        check_uint(body, 11, 1);
        check_bytes(body, 12, "hi", 2);
        CHECK_EQ(map_value(body, 13).size, 1 + 2 * 34);
        check_bytes(body, 14, &want.reply_to, 16);
        check_bytes(body, 15, "head", 4);
        check_bytes(body, 16, "\xa1\x01\x02", 3);
        check_map(body, 0x1ffff, 0x1fff, try_inner);
}

TEST(inner_has_one_form) {
        Inner m = sample_inner_full(1, 3);
        _cleanup_(buffer_done) Buffer b = encode_inner(&m);
        Bytes body = sample_bytes(&b);

        CHECK(map_try_with(body, 13, LITERAL("\x80"), try_inner) < 0);
        CHECK(map_try_with(body, 15, LITERAL("\x40"), try_inner) < 0);
        CHECK(map_try_with(body, 16, LITERAL("\x40"), try_inner) < 0);
        CHECK_OK(map_try_with(body, 13, (Bytes){}, try_inner));
}

TEST(inner_bounds) {
        static uint8_t text[BODY_SIZE_MAX + 1];
        Inner m = sample_inner_full(1, 3);
        _cleanup_(buffer_done) Buffer b = encode_inner(&m), largest = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer over = BUFFER_NULL, beyond = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer five = BUFFER_NULL;
        Bytes body = sample_bytes(&b);
        static uint8_t ext[2048];

        CHECK(map_try_with(body, 0, LITERAL("\x02"), try_inner) < 0);
        CHECK(map_try_with(body, 6, LITERAL("\x00"), try_inner) < 0); /* seq counts from 1 */
        CHECK(map_try_with(body, 1, LITERAL("\x50\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), try_inner) <
                0);
        CHECK_OK(map_try_with(
                body, 12, LITERAL("\x40"), try_inner)); /* empty: for the kind to say */
        CHECK_OK(map_try_with(body, 11, LITERAL("\x19\x03\xe7"), try_inner)); /* an unknown kind */

        echo_head(&five, 4, 5);
        for (int i = 0; i < 5; i++) {
                echo_head(&five, 2, 32);
                CHECK_OK(buffer_append(&five, text, 32));
        }
        CHECK(map_try_with(body, 13, sample_bytes(&five), try_inner) < 0);

        m.body = (Bytes){.data = text, .size = BODY_SIZE_MAX};
        m.n_parents = PARENTS_MAX;
        m.ext = (Bytes){.data = ext, .size = sizeof(ext)};
        m.epoch = m.hlc = m.kind = UINT64_MAX;
        m.seq = SEQ_MAX;
        largest = encode_inner(&m);
        CHECK_OK(try_inner(sample_bytes(&largest)));
        m.body.size++;
        over = encode_inner(&m);
        CHECK(try_inner(sample_bytes(&over)) < 0);
        m.body.size--;
        m.seq++;
        beyond = encode_inner(&m);
        CHECK(try_inner(sample_bytes(&beyond)) < 0);
        CHECK(buffer_size(&largest) + SIGNATURE_SIZE + CERTIFICATE_MAX + 64 < FRAME_MESSAGE_MAX);
}

/* How long an id has to be remembered is the sender's choice only up to a year. */
TEST(a_message_lives_at_most_a_year) {
        static const struct {
                uint64_t sent, expires;
                int want;
        } cases[] = {
                {SAMPLE_TIME, SAMPLE_TIME + 365 * USEC_PER_DAY, 0},
                {SAMPLE_TIME, SAMPLE_TIME + 365 * USEC_PER_DAY + 1, -EBADMSG},
                {SAMPLE_TIME, UINT64_MAX, -EBADMSG},
                {SAMPLE_TIME, 0, 0}, /* past its horizon already, which is no matter of form */
                {MESSAGE_TIME_MAX, MESSAGE_TIME_MAX, 0},
                {MESSAGE_TIME_MAX, MESSAGE_TIME_MAX + 1, -EBADMSG},
                {MESSAGE_TIME_MAX + 1, MESSAGE_TIME_MAX, -EBADMSG},
                {UINT64_MAX, UINT64_MAX, -EBADMSG},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Inner m = sample_inner(1, 3);
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                m.sent = cases[i].sent;
                m.expires = cases[i].expires;
                b = encode_inner(&m);
                CHECK_EQ(try_inner(sample_bytes(&b)), cases[i].want);
        }
}

TEST(direct_conversation_is_the_same_from_both_ends) {
        uint8_t a[KEY_SIZE] = {1, 2}, b[KEY_SIZE] = {1, 3}, in[16 + 64], want[SHA256_SIZE],
                got[SHA256_SIZE];

        memcpy(in, "p2pchat/1 direct", 16);
        memcpy(in + 16, a, KEY_SIZE);
        memcpy(in + 48, b, KEY_SIZE);
        sha256(in, sizeof(in), want);
        conversation_direct(a, b, got);
        CHECK(memcmp(got, want, sizeof(got)) == 0);
        conversation_direct(b, a, got);
        CHECK(memcmp(got, want, sizeof(got)) == 0);
        conversation_direct(a, a, got);
        CHECK(memcmp(got, want, sizeof(got)) != 0);
}

TEST(entry_signature) {
        SignKey k = sample_key(2), other = sample_key(3);
        uint8_t hash[SHA256_SIZE] = {1}, s[SIGNATURE_SIZE], want[SIGNATURE_SIZE];

        CHECK_OK(entry_sign(&k, hash, s));
        CHECK_OK(sign(&k, SIGN_MESSAGE, hash, SHA256_SIZE, want));
        CHECK(memcmp(s, want, sizeof(s)) == 0);
        CHECK_OK(entry_verify(sign_key_public(&k), hash, s));
        CHECK_EQ(entry_verify(sign_key_public(&other), hash, s), -EBADMSG);
        hash[31] ^= 1;
        CHECK_EQ(entry_verify(sign_key_public(&k), hash, s), -EBADMSG);
}

/* Receipts and voids. The reader's device has key 4, the author's key 2. */

#define READER 4
#define AUTHOR 2

static int decode_receipt_by(Bytes outer, uint8_t key) {
        SignKey k = sample_key(key);
        Receipt rc;

        return receipt_decode(outer, sign_key_public(&k), &rc);
}

static int decode_void_by(Bytes outer, uint8_t key) {
        SignKey k = sample_key(key);
        Void v;

        return void_decode(outer, sign_key_public(&k), &v);
}

static int decode_receipt(const Buffer *b) {
        return decode_receipt_by(sample_bytes(b), READER);
}

static int decode_void(const Buffer *b) {
        return decode_void_by(sample_bytes(b), AUTHOR);
}

static int try_sealed(Bytes body, SignContext context, uint8_t key) {
        _cleanup_(buffer_done) Buffer b = sign_body(context, body, key, 0);

        return key == READER ? decode_receipt(&b) : decode_void(&b);
}

static int try_receipt(Bytes body) {
        return try_sealed(body, SIGN_RECEIPT, READER);
}

static int try_void(Bytes body) {
        return try_sealed(body, SIGN_VOID, AUTHOR);
}

static void check_feed(Bytes body) {
        Receipt rc = sample_receipt();

        check_uint(body, 0, 1);
        check_bytes(body, 1, rc.conversation, SHA256_SIZE);
        check_bytes(body, 2, rc.author, KEY_SIZE);
        check_uint(body, 3, 1);
        check_bytes(body, 4, rc.device, KEY_SIZE);
}

TEST(receipt) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Receipt want = sample_receipt(), got;
        SignKey k = sample_key(READER);
        Bytes body;

        CHECK_OK(receipt_encode(&b, &want, &k));
        body = signed_body(&b);
        check_feed(body);
        check_item(body, 5,
                LITERAL("\x86\x01\x01\x03\x19\x01\x2b\x19\x01\x2d"
                        "\x1b\xff\xff\xff\xff\xff\xff\xff\xff"));
        check_bytes(body, 6, want.hash, SHA256_SIZE);
        check_uint(body, 7, 3);
        check_bytes(body, 8, want.reader, KEY_SIZE);
        check_map(body, 0x1ff, 0x1ff, try_receipt);

        CHECK_OK(receipt_decode(sample_bytes(&b), sign_key_public(&k), &got));
        CHECK(memcmp(got.conversation, want.conversation, SHA256_SIZE) == 0);
        CHECK(key_equal(got.author, want.author) && key_equal(got.device, want.device));
        CHECK(key_equal(got.reader, want.reader));
        CHECK(memcmp(got.hash, want.hash, SHA256_SIZE) == 0);
        CHECK(got.epoch == 1 && got.state == RECEIPT_READ);
        CHECK_EQ(got.n_ranges, 3);
        CHECK(memcmp(got.ranges, want.ranges, sizeof(got.ranges)) == 0);

        CHECK_OK(map_try_with(body, 7, LITERAL("\x02"), try_receipt));
        CHECK(map_try_with(body, 7, LITERAL("\x01"), try_receipt) < 0);
        CHECK(map_try_with(body, 7, LITERAL("\x04"), try_receipt) < 0);
        CHECK(map_try_with(body, 0, LITERAL("\x02"), try_receipt) < 0);
}

TEST(voided) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Void want = sample_void(), got;
        SignKey k = sample_key(AUTHOR);
        Bytes body;

        CHECK_OK(void_encode(&b, &want, &k));
        body = signed_body(&b);
        check_feed(body);
        check_item(body, 5, LITERAL("\x84\x02\x02\x19\x01\x2c\x19\x01\x2c"));
        check_uint(body, 6, 2);
        check_map(body, 0x7f, 0x7f, try_void);

        CHECK_OK(void_decode(sample_bytes(&b), sign_key_public(&k), &got));
        CHECK(memcmp(got.conversation, want.conversation, SHA256_SIZE) == 0);
        CHECK(key_equal(got.author, want.author) && key_equal(got.device, want.device));
        CHECK(got.epoch == 1 && got.reason == VOID_EXPIRED && got.n_ranges == 2);
        CHECK(memcmp(got.ranges, want.ranges, sizeof(got.ranges)) == 0);
        CHECK_OK(map_try_with(body, 6, LITERAL("\x19\x03\xe7"), try_void)); /* of a newer version */
        CHECK(map_try_with(body, 6, LITERAL("\x00"), try_void) < 0);
}

TEST(statements_are_signed_by_who_says_so_and_for_that_purpose) {
        _cleanup_(buffer_done) Buffer rc = BUFFER_NULL, v = BUFFER_NULL, twice = BUFFER_NULL;
        Receipt receipt = sample_receipt();
        SignKey reader = sample_key(READER), author = sample_key(AUTHOR);
        Void voided = sample_void();

        CHECK_OK(receipt_encode(&rc, &receipt, &reader));
        CHECK_OK(decode_receipt(&rc));
        CHECK_EQ(decode_receipt_by(sample_bytes(&rc), AUTHOR), -EBADMSG);
        CHECK_OK(void_encode(&v, &voided, &author));
        CHECK_OK(decode_void(&v));
        CHECK_EQ(decode_void_by(sample_bytes(&v), READER), -EBADMSG);
        CHECK_EQ(try_sealed(signed_body(&rc), SIGN_VOID, READER), -EBADMSG);
        CHECK_EQ(try_sealed(signed_body(&v), SIGN_RECEIPT, AUTHOR), -EBADMSG);
        check_every_bit(&rc, decode_receipt);
        check_every_bit(&v, decode_void);
        CHECK_OK(signed_encode(&twice, SIGN_RECEIPT, signed_body(&rc), &reader, &author));
        CHECK_EQ(decode_receipt(&twice), -EBADMSG);
}

TEST(ranges_ascend_and_do_not_touch) {
        static const struct {
                size_t n;
                uint64_t numbers[6];
                int want;
        } cases[] = {
                {2, {1, 1}, 0},
                {2, {1, UINT64_MAX}, 0},
                {2, {UINT64_MAX, UINT64_MAX}, 0},
                {4, {1, 2, 4, 4}, 0},
                {6, {1, 1, 3, 3, 5, 5}, 0},
                {0, {}, -EBADMSG},
                {1, {1}, -EBADMSG},
                {3, {1, 2, 4}, -EBADMSG},
                {2, {0, 0}, -EBADMSG}, /* seq counts from 1 */
                {2, {0, 5}, -EBADMSG},
                {2, {2, 1}, -EBADMSG},
                {4, {1, 2, 3, 4}, -EBADMSG}, /* touching: 1 to 4 has a shorter form */
                {4, {1, 2, 2, 4}, -EBADMSG},
                {4, {5, 6, 1, 2}, -EBADMSG},
                {4, {1, UINT64_MAX, 1, 1}, -EBADMSG},
                {4, {1, UINT64_MAX, 0, 0}, -EBADMSG},
        };
        _cleanup_(buffer_done) Buffer rc = BUFFER_NULL, v = BUFFER_NULL;
        SignKey reader = sample_key(READER), author = sample_key(AUTHOR);
        Receipt receipt = sample_receipt();
        Void voided = sample_void();

        CHECK_OK(receipt_encode(&rc, &receipt, &reader));
        CHECK_OK(void_encode(&v, &voided, &author));
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

                echo_head(&list, 4, cases[i].n);
                for (size_t k = 0; k < cases[i].n; k++)
                        echo_head(&list, 0, cases[i].numbers[k]);
                CHECK_EQ(map_try_with(signed_body(&rc), 5, sample_bytes(&list), try_receipt),
                        cases[i].want);
                CHECK_EQ(map_try_with(signed_body(&v), 5, sample_bytes(&list), try_void),
                        cases[i].want);
        }
}

TEST(at_most_256_ranges) {
        _cleanup_(buffer_done) Buffer rc = BUFFER_NULL;
        SignKey reader = sample_key(READER);
        Receipt receipt = sample_receipt();

        CHECK_OK(receipt_encode(&rc, &receipt, &reader));
        for (size_t n = RECEIPT_RANGES_MAX; n <= RECEIPT_RANGES_MAX + 1; n++) {
                _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

                echo_head(&list, 4, 2 * n);
                for (size_t k = 0; k < n; k++) {
                        echo_head(&list, 0, 2 * k + 1);
                        echo_head(&list, 0, 2 * k + 1);
                }
                CHECK_EQ(map_try_with(signed_body(&rc), 5, sample_bytes(&list), try_receipt),
                        n <= RECEIPT_RANGES_MAX ? 0 : -EBADMSG);
        }
}
