/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "signed-cases.h"

#define ALICE 1
#define BOB 11

static int try_envelope(Bytes in) {
        Envelope e;

        return envelope_decode(in, &e);
}

TEST(envelope) {
        _cleanup_(buffer_done) Buffer b = sample_envelope_bytes();
        Envelope want = sample_envelope(), got;
        Bytes body = sample_bytes(&b);

        CHECK_OK(envelope_decode(body, &got));
        CHECK(got.suite == want.suite && got.prekey == want.prekey);
        CHECK(memcmp(got.enc, want.enc, MAIL_KEY_SIZE) == 0);
        CHECK(bytes_equal(got.ciphertext, want.ciphertext));

        check_uint(body, 0, 1);
        check_uint(body, 1, 1);
        check_uint(body, 2, want.prekey);
        check_bytes(body, 3, want.enc, 32);
        check_bytes(body, 4, want.ciphertext.data, want.ciphertext.size);
        for (uint64_t key = 0; key < 70; key++) /* all of these, and no others */
                CHECK_EQ(map_try_with(
                                 body, key, key < 5 ? (Bytes){} : LITERAL("\x00"), try_envelope),
                        -EBADMSG);
        CHECK_EQ(map_try_with(body, 0, LITERAL("\x02"), try_envelope), -EBADMSG);
        check_map_size(body, 3, 32, 32, try_envelope);
        /* A suite that is not known here is the reader's business. */
        CHECK_OK(map_try_with(body, 1, LITERAL("\x19\x01\x2c"), try_envelope));
}

TEST(envelope_is_at_most_80_kib) {
        static uint8_t ciphertext[MAIL_ENVELOPE_MAX];
        Envelope e = sample_envelope();
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        size_t around;

        e.ciphertext = (Bytes){.data = ciphertext, .size = 70000};
        CHECK_OK(envelope_encode(&b, &e));
        around = buffer_size(&b) - 70000;
        for (size_t n = 80 * 1024; n <= 80 * 1024 + 1; n++) {
                buffer_clear(&b);
                e.ciphertext.size = n - around;
                CHECK_OK(envelope_encode(&b, &e));
                CHECK_EQ(buffer_size(&b), n);
                CHECK_EQ(try_envelope(sample_bytes(&b)), n <= 80 * 1024 ? 0 : -EBADMSG);
        }
}

TEST(item_id_is_of_the_whole_envelope) {
        _cleanup_(buffer_done) Buffer b = sample_envelope_bytes();
        uint8_t id[SHA256_SIZE], want[SHA256_SIZE];

        envelope_id(sample_bytes(&b), id);
        sha256(b.data, buffer_size(&b), want);
        CHECK(memcmp(id, want, SHA256_SIZE) == 0);
}

/* ITEM, 0x80, and N zeros. */
static int try_padded(Bytes item, uint8_t mark, size_t n) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Content c;

        CHECK_OK(buffer_append(&b, item.data, item.size));
        CHECK_OK(buffer_append(&b, &mark, 1));
        for (size_t i = 0; i < n; i++)
                CHECK_OK(buffer_append(&b, "", 1));
        return content_decode(sample_bytes(&b), &c);
}

/* How many zeros follow the mark of an item of SIZE bytes. */
static size_t zeros_after(size_t size) {
        return 255 - size % 256;
}

static int try_content(Bytes item) {
        return try_padded(item, 0x80, zeros_after(item.size));
}

static Bytes item_of(const Buffer *content) {
        CborReader r = cbor_reader(content->data, buffer_size(content));

        cbor_skip(&r);
        CHECK_OK(r.error);
        return (Bytes){.data = content->data, .size = (size_t)(r.p - content->data)};
}

static Buffer encode_content(const Content *c) {
        Buffer b = BUFFER_NULL;

        CHECK_OK(content_encode(&b, c));
        return b;
}

/* A message with every optional field, if only of some bytes. */
static Buffer sample_content_bytes(void) {
        Content c = sample_content(
                sample_text("certificate"), sample_text("record"), sample_text("token"));

        return encode_content(&c);
}

static Content small_receipt(void) {
        return (Content){
                .kind = CONTENT_RECEIPT,
                .body = sample_text("receipt"),
                .certificate = sample_text("certificate"),
        };
}

TEST(content) {
        _cleanup_(buffer_done) Buffer certificate = sample_certificate_object(ALICE);
        _cleanup_(buffer_done) Buffer record = sample_record_object(ALICE);
        _cleanup_(buffer_done) Buffer token = sample_deposit_token_object(ALICE);
        Content want = sample_content(
                        sample_bytes(&certificate), sample_bytes(&record), sample_bytes(&token)),
                got;
        _cleanup_(buffer_done) Buffer b = encode_content(&want);
        Bytes item = item_of(&b);

        CHECK_OK(content_decode(sample_bytes(&b), &got));
        CHECK(got.kind == CONTENT_MESSAGE && bytes_equal(got.body, want.body));
        CHECK(memcmp(got.signature, want.signature, SIGNATURE_SIZE) == 0);
        CHECK(bytes_equal(got.certificate, want.certificate));
        CHECK(bytes_equal(got.record, want.record));
        CHECK(bytes_equal(got.deposit_token, want.deposit_token));
        CHECK(bytes_equal(got.presence_key, want.presence_key));

        check_uint(item, 0, 1);
        check_uint(item, 1, 1);
        check_bytes(item, 2, "INNER", 5);
        check_bytes(item, 3, want.signature, SIGNATURE_SIZE);
        check_bytes(item, 4, certificate.data, buffer_size(&certificate));
        check_bytes(item, 5, record.data, buffer_size(&record));
        check_bytes(item, 6, token.data, buffer_size(&token));
        check_bytes(item, 7, "presence key", 12);
}

TEST(content_form) {
        _cleanup_(buffer_done) Buffer b = sample_content_bytes();
        Bytes item = item_of(&b);

        check_map(item, 0xff, 0x1f, try_content);
        CHECK_EQ(map_try_with(item, 0, LITERAL("\x02"), try_content), -EBADMSG);
        check_map_size(item, 2, 1, INNER_SIZE_MAX, try_content);
        check_map_size(item, 3, 64, 64, try_content);
        check_map_size(item, 4, 1, CERTIFICATE_MAX, try_content);
        check_map_size(item, 5, 1, RECORD_MAX, try_content);
        check_map_size(item, 6, 1, 512, try_content);
        check_map_size(item, 7, 1, PRESENCE_KEY_MAX, try_content);
}

/* A message is signed beside its body, everything else within. */
TEST(content_of_each_kind) {
        static const ContentKind kinds[] = {CONTENT_RECEIPT, CONTENT_VOID, CONTENT_ROOM};
        _cleanup_(buffer_done) Buffer b = sample_content_bytes();
        Bytes message = item_of(&b);

        CHECK_EQ(map_try_with(message, 3, (Bytes){}, try_content), -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                Content want = small_receipt(), got;
                _cleanup_(buffer_done) Buffer c = BUFFER_NULL;

                want.kind = kinds[i];
                CHECK_OK(content_encode(&c, &want));
                CHECK_OK(content_decode(sample_bytes(&c), &got));
                CHECK(got.kind == kinds[i] && bytes_equal(got.body, want.body));
                CHECK(bytes_equal(got.certificate, want.certificate));
                CHECK(got.record.size == 0 && got.deposit_token.size == 0);
                CHECK_EQ(got.presence_key.size, 0);
                check_uint(item_of(&c), 1, i + 2);
                check_map(item_of(&c), 0xff & ~CBOR_BIT(3), 0x17, try_content);
                CHECK_EQ(map_try_with(item_of(&c), 1, LITERAL("\x00"), try_content), -EBADMSG);
                CHECK_EQ(map_try_with(item_of(&c), 1, LITERAL("\x05"), try_content), -EBADMSG);
                CHECK_EQ(
                        map_try_with(item_of(&c), 3, map_value(message, 3), try_content), -EBADMSG);
        }
}

/* So its size tells no more than how many times 256 bytes there are. */
TEST(content_is_padded) {
        static const uint8_t text[600];

        for (size_t n = 1; n <= sizeof(text); n++) {
                Content c = small_receipt();
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                size_t size;

                c.body = (Bytes){.data = text, .size = n};
                CHECK_OK(buffer_append(&b, "before", 6));
                CHECK_OK(content_encode(&b, &c));
                buffer_consume(&b, 6);
                size = buffer_size(&b);
                CHECK_EQ(size % 256, 0);
                CHECK_OK(content_decode(sample_bytes(&b), &c));
                CHECK_EQ(c.body.size, n);
        }
}

/* A receipt of which the item has just SIZE bytes. */
static Buffer item_of_size(size_t size) {
        static const uint8_t text[512];
        Content c = small_receipt();

        for (size_t n = 1; n <= sizeof(text); n++) {
                Buffer b = BUFFER_NULL;

                c.body = (Bytes){.data = text, .size = n};
                CHECK_OK(content_encode(&b, &c));
                if (item_of(&b).size == size) {
                        b.end = b.begin + size;
                        return b;
                }
                buffer_done(&b);
        }
        CHECK(false);
}

TEST(content_has_one_padding) {
        static const size_t sizes[] = {100, 254, 255, 256, 257, 511};

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_(buffer_done) Buffer b = item_of_size(sizes[i]);
                size_t zeros = zeros_after(sizes[i]);
                Bytes item = sample_bytes(&b);
                Content c;

                CHECK_OK(try_padded(item, 0x80, zeros));
                for (size_t n = 0; n < 1024; n++)
                        if (n != zeros)
                                CHECK_EQ(try_padded(item, 0x80, n), -EBADMSG);
                CHECK_EQ(try_padded(item, 0x00, zeros), -EBADMSG); /* no mark */
                CHECK_EQ(try_padded(item, 0x81, zeros), -EBADMSG);
                CHECK_EQ(try_padded(item, 0x01, zeros), -EBADMSG);
                CHECK_EQ(content_decode(item, &c), -EBADMSG); /* none */
        }
}

TEST(content_of_padding_alone) {
        static const uint8_t zeros[512], mark[256] = {0x80};
        Content c;

        CHECK_EQ(content_decode((Bytes){}, &c), -EBADMSG);
        CHECK_EQ(content_decode((Bytes){.data = zeros, .size = 256}, &c), -EBADMSG);
        CHECK_EQ(content_decode((Bytes){.data = zeros, .size = 512}, &c), -EBADMSG);
        CHECK_EQ(content_decode((Bytes){.data = mark, .size = 256}, &c), -EBADMSG);
}

TEST(what_fits_a_link_fits_an_envelope) {
        static const uint8_t zeros[INNER_SIZE_MAX], tag[16];
        const Content c = {
                .kind = CONTENT_MESSAGE,
                .body = {.data = zeros, .size = INNER_SIZE_MAX},
                .certificate = {.data = zeros, .size = CERTIFICATE_MAX},
                .record = {.data = zeros, .size = RECORD_MAX},
                .deposit_token = {.data = zeros, .size = DEPOSIT_TOKEN_MAX},
                .presence_key = {.data = zeros, .size = PRESENCE_KEY_MAX},
        };
        _cleanup_(buffer_done) Buffer b = encode_content(&c), sealed = BUFFER_NULL;
        Envelope e = {.suite = UINT64_MAX, .prekey = UINT64_MAX};
        Content got;

        CHECK_OK(content_decode(sample_bytes(&b), &got));
        CHECK_EQ(got.body.size, INNER_SIZE_MAX);
        CHECK_OK(buffer_append(&b, tag, sizeof(tag)));
        e.ciphertext = sample_bytes(&b);
        CHECK_OK(envelope_encode(&sealed, &e));
        CHECK_OK(envelope_decode(sample_bytes(&sealed), &e));
        CHECK_EQ(e.ciphertext.size, buffer_size(&b));
}

/* Objects of the recipient's account key */

static int decode_token(const Buffer *b) {
        DepositToken t;

        return deposit_token_decode(sample_bytes(b), &t);
}

static int decode_rekey(const Buffer *b) {
        Rekey k;

        return rekey_decode(sample_bytes(b), &k);
}

static int try_token(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_DEPOSIT, body, ALICE, 0);

        return decode_token(&b);
}

static int try_rekey(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_PREKEY, body, ALICE, 0);

        return decode_rekey(&b);
}

TEST(deposit_token) {
        _cleanup_(buffer_done) Buffer b = sample_deposit_token_object(ALICE);
        DepositToken want = sample_deposit_token(ALICE), got;
        Bytes body = signed_body(&b);

        CHECK_OK(deposit_token_decode(sample_bytes(&b), &got));
        CHECK(key_equal(got.account, want.account) && got.expires == want.expires);
        CHECK(memcmp(got.pseudonym, want.pseudonym, PSEUDONYM_SIZE) == 0);

        check_uint(body, 0, 1);
        check_bytes(body, 1, want.account, KEY_SIZE);
        check_bytes(body, 2, want.pseudonym, 16);
        check_uint(body, 3, want.expires);
        check_map(body, 0xf, 0xf, try_token);
        check_every_bit(&b, decode_token);
        check_outer(&b, decode_token, false);
        check_object_max(&b, SIGN_DEPOSIT, ALICE, 0, 512, decode_token);
        CHECK_EQ(map_try_with(body, 0, LITERAL("\x02"), try_token), -EBADMSG);
        check_map_size(body, 2, 16, 16, try_token);
}

TEST(rekey) {
        _cleanup_(buffer_done) Buffer b = sample_rekey_object(ALICE);
        Rekey want = sample_rekey(ALICE), got;
        Bytes body = signed_body(&b), prekey;

        CHECK_OK(rekey_decode(sample_bytes(&b), &got));
        CHECK(key_equal(got.account, want.account) && got.n_items == 2);
        CHECK(memcmp(got.items, want.items, sizeof(got.items)) == 0);
        CHECK(got.prekey.suite == 1 && got.prekey.id == 9);
        CHECK(bytes_equal(got.prekey.key, want.prekey.key));

        check_uint(body, 0, 1);
        check_bytes(body, 1, want.account, KEY_SIZE);
        CHECK_EQ(map_value(body, 2).data[0], 0x82);
        CHECK_EQ(map_value(body, 2).size, 1 + 2 * 34);
        prekey = map_value(body, 3);
        check_uint(prekey, 0, 1);
        check_uint(prekey, 1, 9);
        check_bytes(prekey, 2, want.prekey.key.data, 32);
        check_map(body, 0xf, 0xf, try_rekey);
        check_every_bit(&b, decode_rekey);
        check_outer(&b, decode_rekey, false);
        check_object_max(&b, SIGN_PREKEY, ALICE, 0, 4096, decode_rekey);
        CHECK_EQ(map_try_with(body, 0, LITERAL("\x02"), try_rekey), -EBADMSG);
}

static Bytes rekey_body;

static int try_rekey_prekey(Bytes prekey) {
        return map_try_with(rekey_body, 3, prekey, try_rekey);
}

TEST(rekey_bounds) {
        _cleanup_(buffer_done) Buffer b = sample_rekey_object(ALICE), full = BUFFER_NULL;
        SignKey account = sample_key(ALICE);
        Rekey k = sample_rekey(ALICE), got;

        rekey_body = signed_body(&b);
        check_map(map_value(rekey_body, 3), 7, 7, try_rekey_prekey);
        check_map_list(rekey_body, 2, 64, 32, try_rekey);

        k.n_items = REKEY_ITEMS_MAX;
        k.items[REKEY_ITEMS_MAX - 1][31] = 0xee;
        CHECK_OK(rekey_encode(&full, &k, &account));
        CHECK_OK(rekey_decode(sample_bytes(&full), &got));
        CHECK(got.n_items == 64 && memcmp(got.items, k.items, sizeof(k.items)) == 0);
}

/* Whoever could make one would fill the mailbox, or have mail sealed to a key of his own. */
TEST(tokens_and_rekeys_are_signed_by_the_account_and_for_that_purpose) {
        _cleanup_(buffer_done) Buffer token = sample_deposit_token_object(ALICE);
        _cleanup_(buffer_done) Buffer rekey = sample_rekey_object(ALICE);
        static const struct {
                uint8_t key, counter;
                int want;
        } cases[] = {
                {ALICE, 0, 0}, {BOB, 0, -EBADMSG}, {ALICE + 1, 0, -EBADMSG}, /* by the device */
                {ALICE, ALICE + 1, -EBADMSG}, /* which nothing would check */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint8_t key = cases[i].key, counter = cases[i].counter;
                _cleanup_(buffer_done) Buffer a = BUFFER_NULL, b = BUFFER_NULL;

                a = sign_body(SIGN_DEPOSIT, signed_body(&token), key, counter);
                b = sign_body(SIGN_PREKEY, signed_body(&rekey), key, counter);
                CHECK_EQ(decode_token(&a), cases[i].want);
                CHECK_EQ(decode_rekey(&b), cases[i].want);
        }
        for (SignContext c = 0; c < _SIGN_CONTEXT_MAX; c++) {
                _cleanup_(buffer_done) Buffer a = sign_body(c, signed_body(&token), ALICE, 0);
                _cleanup_(buffer_done) Buffer b = sign_body(c, signed_body(&rekey), ALICE, 0);

                CHECK_EQ(decode_token(&a), c == SIGN_DEPOSIT ? 0 : -EBADMSG);
                CHECK_EQ(decode_rekey(&b), c == SIGN_PREKEY ? 0 : -EBADMSG);
        }
}

TEST(tokens_and_rekeys_of_a_small_order_key) {
        for (size_t i = 0; i < ELEMENTSOF(SMALL_ORDER_KEYS); i++) {
                _cleanup_(buffer_done) Buffer a = BUFFER_NULL, b = BUFFER_NULL;
                _cleanup_(buffer_done) Buffer token = BUFFER_NULL, rekey = BUFFER_NULL;
                DepositToken t = sample_deposit_token(ALICE);
                Rekey k = sample_rekey(ALICE);
                SignKey account = sample_key(ALICE);

                memcpy(t.account, SMALL_ORDER_KEYS[i], KEY_SIZE);
                memcpy(k.account, SMALL_ORDER_KEYS[i], KEY_SIZE);
                CHECK_OK(deposit_token_encode(&a, &t, &account));
                CHECK_OK(rekey_encode(&b, &k, &account));
                token = with_constant_signature(&a, 1);
                rekey = with_constant_signature(&b, 1);
                CHECK_EQ(decode_token(&token), -EKEYREJECTED);
                CHECK_EQ(decode_rekey(&rekey), -EKEYREJECTED);
        }
}

TEST(what_is_refused_leaves_nothing_behind) {
        _cleanup_(buffer_done) Buffer token = sample_deposit_token_object(ALICE);
        _cleanup_(buffer_done) Buffer rekey = sample_rekey_object(ALICE);
        DepositToken t = {};
        Rekey k = {};

        /* The last byte of the signature. */
        token.data[buffer_size(&token) - 1] ^= 1;
        rekey.data[buffer_size(&rekey) - 1] ^= 1;
        CHECK_EQ(deposit_token_decode(sample_bytes(&token), &t), -EBADMSG);
        CHECK_EQ(rekey_decode(sample_bytes(&rekey), &k), -EBADMSG);
        CHECK(bytes_are_zero(&t, sizeof(t)) && bytes_are_zero(&k, sizeof(k)));
}
