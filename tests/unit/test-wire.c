/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "frame-cases.h"
#include "wire-sample.h"

TEST(hello) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(1);
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1);
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Hello h = sample_hello(sample_bytes(&c), sample_bytes(&rec)), got;
        Bytes body;
        Frame f;

        CHECK_OK(hello_encode(&b, &h));
        check_frame(&b, 0x7f8, KEY(3) | KEY(7) | KEY(8) | KEY(9));
        body = body_of(&b);
        check_item(body, 3, LITERAL("\x82\x01\x02"));
        check_bytes(body, 4, h.expected, 32);
        check_bytes(body, 5, c.data, buffer_size(&c));
        check_bytes(body, 6, rec.data, buffer_size(&rec));
        check_bytes(body, 7, h.boot_nonce, 16);
        check_uint(body, 8, 30);
        check_item(body, 9, LITERAL("\x82\x01\x19\xff\xff"));
        check_uint(body, 10, SAMPLE_TIME);

        open_frame(&b, FRAME_HELLO, 0, &f);
        CHECK_OK(hello_decode(&f, &got));
        CHECK(got.expects && key_equal(got.expected, h.expected));
        CHECK(bytes_equal(got.certificate, h.certificate) && bytes_equal(got.record, h.record));
        CHECK(memcmp(got.boot_nonce, h.boot_nonce, BOOT_NONCE_SIZE) == 0);
        CHECK_EQ(got.heartbeat, 30);
        CHECK_EQ(got.n_features, 2);
        CHECK_EQ(got.features[1], 65535);
        CHECK_EQ(got.time, SAMPLE_TIME);
        CHECK(hello_has_version(&got, 1) && hello_has_version(&got, 2) &&
                !hello_has_version(&got, 3));
}

TEST(hello_bounds) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Hello h = sample_hello((Bytes){}, (Bytes){}), got;
        Bytes body;
        Frame f;

        h.heartbeat = 1;
        h.expects = false;
        h.time = 0;
        CHECK_OK(hello_encode(&b, &h));
        open_frame(&b, FRAME_HELLO, 0, &f);
        CHECK_OK(hello_decode(&f, &got));
        CHECK_EQ(got.heartbeat, HEARTBEAT_MIN);
        CHECK(!got.expects && got.certificate.size == 0 && got.record.size == 0 && got.time == 0);

        body = body_of(&b);
        CHECK_OK(map_try_with(body, 3, LITERAL("\x88\1\2\3\4\5\6\7\x08"), try_body));
        CHECK(map_try_with(body, 3, LITERAL("\x89\1\2\3\4\5\6\7\x08\x09"), try_body) < 0);
        CHECK(map_try_with(body, 9, LITERAL("\x81\x1a\x00\x01\x00\x00"), try_body) < 0);
        CHECK(map_try_with(body, 7,
                      LITERAL("\x4f"
                              "123456789012345"),
                      try_body) < 0);
        CHECK(map_try_with(body, 8, LITERAL("\x1b\x00\x00\x00\x01\x00\x00\x00\x00"), try_body) < 0);
        CHECK(map_try_with(body, 4, LITERAL("\x40"), try_body) < 0);
        /* Absence is the one form of nothing. */
        CHECK(map_try_with(body, 5, LITERAL("\x40"), try_body) < 0);
        CHECK(map_try_with(body, 6, LITERAL("\x40"), try_body) < 0);
        CHECK(map_try_with(body, 10, LITERAL("\x00"), try_body) < 0);
}

TEST(hello_ok) {
        _cleanup_(buffer_done) Buffer rc = BUFFER_NULL, p = sample_presence_object(1);
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        SignKey reader = sample_key(4);
        Receipt receipt = sample_receipt();
        HelloOk h, got;
        Bytes body;
        Frame f;

        CHECK_OK(receipt_encode(&rc, &receipt, &reader));
        h = sample_hello_ok(sample_bytes(&rc), sample_bytes(&p));
        CHECK_OK(hello_ok_encode(&b, &h));
        check_frame(&b, 0xf8, 0);
        body = body_of(&b);
        check_bytes(body, 3, "token", 5);
        check_bytes(body, 4, "presence key", 12);
        check_uint(map_value(body, 5), 0, 1);
        check_bytes(map_value(body, 5), 1, h.head.device, 32);
        check_uint(map_value(body, 5), 2, 300);
        check_bytes(map_value(body, 5), 3, h.head.hash, 32);
        check_bytes(body, 6, rc.data, buffer_size(&rc));
        check_bytes(body, 7, p.data, buffer_size(&p));

        open_frame(&b, FRAME_HELLO_OK, 0, &f);
        CHECK_OK(hello_ok_decode(&f, &got));
        CHECK(got.has_head && got.head.epoch == 1 && got.head.seq == 300);
        CHECK(memcmp(&got.head, &h.head, sizeof(h.head)) == 0);
        CHECK(bytes_equal(got.receipt, h.receipt) && bytes_equal(got.presence, h.presence));
        CHECK(bytes_equal(got.deposit_token, h.deposit_token));
        CHECK(bytes_equal(got.presence_key, h.presence_key));

        for (uint64_t key = 3; key <= 7; key++)
                CHECK(map_try_with(body, key, LITERAL("\x40"), try_body) < 0);
}

static Bytes hello_ok_head;

static int try_head(Bytes head) {
        return map_try_with(hello_ok_head, 5, head, try_body);
}

TEST(hello_ok_head) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        HelloOk h = sample_hello_ok((Bytes){}, (Bytes){});
        MapPairs head;

        CHECK_OK(hello_ok_encode(&b, &h));
        hello_ok_head = body_of(&b);
        head = map_pairs(map_value(hello_ok_head, 5));
        check_map_keys(&head, 0xf, 0xf, try_head);
        check_map_values(&head, try_head);
}

/* The largest receipt and the largest presence are too much together; the link opens anyway. */
TEST(hello_ok_that_is_too_long_goes_without_presence) {
        static uint8_t receipt[6000], presence[PRESENCE_MAX];
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        HelloOk h = {.receipt = {.data = receipt, .size = sizeof(receipt)},
                        .presence = {.data = presence, .size = sizeof(presence)}},
                got;
        Frame f;

        CHECK_OK(frame_put_empty(&b, FRAME_PING, 0));
        buffer_clear(&b);
        CHECK_OK(hello_ok_encode(&b, &h));
        open_frame(&b, FRAME_HELLO_OK, 0, &f);
        CHECK_OK(hello_ok_decode(&f, &got));
        CHECK_EQ(got.receipt.size, sizeof(receipt));
        CHECK_EQ(got.presence.size, 0);
}

TEST(the_largest_receipt_fits_hello_ok) {
        _cleanup_(buffer_done) Buffer rc = BUFFER_NULL, b = BUFFER_NULL;
        static uint8_t token[DEPOSIT_TOKEN_MAX], key[PRESENCE_KEY_MAX];
        Receipt receipt = sample_receipt();
        SignKey reader = sample_key(4);
        HelloOk h;

        receipt.epoch = UINT64_MAX;
        receipt.n_ranges = RECEIPT_RANGES_MAX;
        for (size_t i = 0; i < RECEIPT_RANGES_MAX; i++)
                receipt.ranges[i].first = receipt.ranges[i].last = UINT64_MAX / 2 + 2 * i;
        CHECK_OK(receipt_encode(&rc, &receipt, &reader));
        h = sample_hello_ok(sample_bytes(&rc), (Bytes){});
        h.deposit_token = (Bytes){.data = token, .size = sizeof(token)};
        h.presence_key = (Bytes){.data = key, .size = sizeof(key)};
        CHECK_OK(hello_ok_encode(&b, &h));
}

TEST(bye_and_error) {
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1), b = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer e = BUFFER_NULL;
        Refusal x;
        Frame f;

        CHECK_OK(bye_encode(&b, CODE_REPLACED, "by another device", sample_bytes(&rec)));
        check_frame(&b, 0x38, KEY(3) | KEY(4));
        check_text(body_of(&b), 3, "Replaced");
        check_text(body_of(&b), 4, "by another device");
        check_bytes(body_of(&b), 5, rec.data, buffer_size(&rec));
        open_frame(&b, FRAME_BYE, 0, &f);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_REPLACED);
        CHECK(bytes_equal(x.text, sample_text("by another device")));
        CHECK(bytes_equal(x.record, sample_bytes(&rec)));
        CHECK(map_try_with(body_of(&b), 5, LITERAL("\x40"), try_body) < 0);

        CHECK_OK(error_encode(&e, 70, CODE_RATE_LIMITED, "slower", 300));
        check_frame(&e, 0x38, KEY(3) | KEY(4));
        check_uint(body_of(&e), 5, 300);
        open_frame(&e, FRAME_ERROR, 70, &f);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_RATE_LIMITED);
        CHECK_EQ(x.retry_after, 300);
        CHECK(map_try_with(body_of(&e), 5, LITERAL("\x00"), try_body) < 0);
        /* Seconds that become µs must not overflow. */
        CHECK(map_try_with(body_of(&e), 5, LITERAL("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"),
                      try_body) < 0);
}

TEST(refusals_of_a_newer_version_keep_their_text) {
        _cleanup_(buffer_done) Buffer newer = BUFFER_NULL;
        CborWriter w = frame_begin(&newer, FRAME_ERROR, 1);
        Refusal x;
        Frame f;

        cbor_pair_text(&w, 3, "TooSunny");
        cbor_pair_text(&w, 4, "wait for clouds");
        CHECK_OK(frame_end(&w));
        open_frame(&newer, FRAME_ERROR, 1, &f);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, _CODE_MAX);
        CHECK(bytes_equal(x.text, sample_text("wait for clouds")));
}

TEST(ok_ends_a_conversation_and_refuses_nothing) {
        _cleanup_(buffer_done) Buffer bye = BUFFER_NULL, error = BUFFER_NULL, nack = BUFFER_NULL;
        Nack n = {.id.bytes = {1}, .code = CODE_OK}, got;
        Refusal x;
        Frame f;

        CHECK_OK(bye_encode(&bye, CODE_OK, "superseded", (Bytes){}));
        open_frame(&bye, FRAME_BYE, 0, &f);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_OK);
        CHECK_OK(error_encode(&error, 1, CODE_OK, "no refusal", 0));
        open_frame(&error, FRAME_ERROR, 1, &f);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, _CODE_MAX);
        CHECK_OK(nack_encode(&nack, &n));
        open_frame(&nack, FRAME_NACK, 0, &f);
        CHECK_OK(nack_decode(&f, &got));
        CHECK_EQ(got.code, _CODE_MAX);
}

TEST(a_long_reason_is_cut_between_characters) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        char text[800] = "x";
        Refusal x;
        Frame f;

        while (strlen(text) < 700)
                strcat(text, "☕");
        CHECK_OK(bye_encode(&b, CODE_STORAGE, text, (Bytes){}));
        open_frame(&b, FRAME_BYE, 0, &f);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.text.size, 511); /* 1 + 170 * 3 */
        CHECK_OK(error_encode(&b, 1, CODE_STORAGE, text, UINT64_MAX));
}

TEST(every_code_has_a_name_and_comes_back) {
        for (Code c = 0; c < _CODE_MAX; c++) {
                CHECK(strlen(code_name(c)) <= CODE_NAME_MAX);
                CHECK_EQ(code_from_name(code_name(c), strlen(code_name(c))), c);
                CHECK_EQ(code_from_name(code_name(c), strlen(code_name(c)) - 1), _CODE_MAX);
        }
        CHECK_STR(code_name(CODE_STORAGE), "Storage");
        CHECK_STR(code_name(CODE_PEER_STORAGE), "storage");
        CHECK_STR(code_name(_CODE_MAX), "unknown");
        CHECK_EQ(code_from_name(NULL, 0), _CODE_MAX);
}

TEST(frames_without_fields) {
        static const FrameType types[] = {FRAME_PING, FRAME_PONG, FRAME_OK};

        ok_kind = ECHO_OK_EMPTY;
        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                CHECK_OK(frame_put_empty(&b, types[i], 1000));
                check_frame(&b, 0, 0);
        }
}

/* Links */

TEST(message) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(1), in = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        static const uint8_t signature[SIGNATURE_SIZE] = {5};
        Inner x = sample_inner_full(1, 3);
        MessageFrame m, got;
        Bytes body;
        Frame f;

        CHECK_OK(inner_encode(&in, &x));
        m = sample_message(sample_bytes(&in), signature, sample_bytes(&c));
        CHECK_OK(message_encode(&b, &m));
        check_frame(&b, 0x38, KEY(3));
        body = body_of(&b);
        check_bytes(body, 3, in.data, buffer_size(&in));
        check_bytes(body, 4, signature, SIGNATURE_SIZE);
        check_bytes(body, 5, c.data, buffer_size(&c));
        open_frame(&b, FRAME_MESSAGE, 0, &f);
        CHECK_OK(message_decode(&f, &got));
        CHECK(bytes_equal(got.inner, m.inner) && bytes_equal(got.signature, m.signature));
        CHECK(bytes_equal(got.certificate, m.certificate));

        CHECK(map_try_with(body, 4, LITERAL("\x40"), try_body) < 0);
        CHECK(map_try_with(body, 4,
                      LITERAL("\x41"
                              "1"),
                      try_body) < 0);
        CHECK(map_try_with(body, 5, LITERAL("\x40"), try_body) < 0);
        CHECK_OK(map_try_with(body, 4, (Bytes){}, try_body));
}

TEST(ack) {
        static Uuid ids[ACK_IDS_MAX], got[ACK_IDS_MAX];
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, full = BUFFER_NULL, over = BUFFER_NULL;
        CborWriter w;
        size_t n;
        Frame f;

        for (size_t i = 0; i < ACK_IDS_MAX; i++)
                ids[i].bytes[i % 16] = (uint8_t)(i + 1);
        CHECK_OK(ack_encode(&b, ids, 2));
        check_frame(&b, KEY(3), KEY(3));
        CHECK_EQ(map_value(body_of(&b), 3).size, 1 + 2 * 17);
        CHECK_OK(ack_encode(&full, ids, ACK_IDS_MAX));
        open_frame(&full, FRAME_ACK, 0, &f);
        CHECK_OK(ack_decode(&f, got, &n));
        CHECK_EQ(n, ACK_IDS_MAX);
        CHECK(memcmp(ids, got, sizeof(ids)) == 0);

        w = frame_begin(&over, FRAME_ACK, 0);
        cbor_key(&w, 3);
        cbor_put_array(&w, ACK_IDS_MAX + 1);
        for (size_t i = 0; i <= ACK_IDS_MAX; i++)
                cbor_put_bytes(&w, &ids[0], sizeof(ids[0]));
        CHECK_OK(frame_end(&w));
        CHECK(decode_frame(&over, &full) < 0);
        CHECK(map_try_with(body_of(&b), 3,
                      LITERAL("\x81\x4f"
                              "123456789012345"),
                      try_body) < 0);
}

TEST(nack) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Nack n = {.id.bytes = {1}, .code = CODE_PEER_STORAGE, .permanent = true, .retry_after = 60},
             got;
        Bytes body;
        Frame f;

        CHECK_OK(nack_encode(&b, &n));
        check_frame(&b, 0x78, KEY(3) | KEY(4) | KEY(5));
        body = body_of(&b);
        check_bytes(body, 3, &n.id, 16);
        check_text(body, 4, "storage");
        check_item(body, 5, LITERAL("\xf5"));
        check_uint(body, 6, 60);
        open_frame(&b, FRAME_NACK, 0, &f);
        CHECK_OK(nack_decode(&f, &got));
        CHECK(uuid_equal(&got.id, &n.id) && got.permanent);
        CHECK_EQ(got.code, CODE_PEER_STORAGE);
        CHECK_EQ(got.retry_after, 60);
        CHECK(map_try_with(body, 6, LITERAL("\x00"), try_body) < 0);
        CHECK(map_try_with(body, 6, LITERAL("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), try_body) < 0);
        CHECK(map_try_with(body, 4,
                      LITERAL("\x78\x21"
                              "abcdefghijklmnopqrstuvwxyzabcdefg"),
                      try_body) < 0);
}

TEST(receipt_and_void_frames) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(1);

        for (int i = 0; i < 2; i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL, with = BUFFER_NULL;
                FrameType type = i == 0 ? FRAME_RECEIPT : FRAME_VOID;
                Bytes object, certificate;
                CborWriter w;
                Frame f;

                if (i == 0)
                        CHECK_OK(receipt_frame_encode(&b, sample_text("signed object")));
                else
                        CHECK_OK(void_frame_encode(&b, sample_text("signed object")));
                check_frame(&b, KEY(3) | KEY(4), KEY(3));
                check_bytes(body_of(&b), 3, "signed object", 13);

                w = frame_begin(&with, type, 0);
                cbor_pair_bytes(&w, 3, "object", 6);
                cbor_pair_bytes(&w, 4, c.data, buffer_size(&c));
                CHECK_OK(frame_end(&w));
                open_frame(&with, type, 0, &f);
                if (i == 0)
                        CHECK_OK(receipt_frame_decode(&f, &object, &certificate));
                else
                        CHECK_OK(void_frame_decode(&f, &object, &certificate));
                CHECK(bytes_equal(object, sample_text("object")));
                CHECK(bytes_equal(certificate, sample_bytes(&c)));
                CHECK(map_try_with(body_of(&with), 4, LITERAL("\x40"), try_body) < 0);
        }
}

TEST(handover) {
        static const HandoverFrame frames[] = {
                {.what = HANDOVER_OFFER, .transfer = {1, 2}, .items = 70000, .waits = true},
                {.what = HANDOVER_GO, .position = LITERAL("\x01here"), .items = 7},
                {.what = HANDOVER_PIECE,
                        .position = LITERAL("\x01there"),
                        .piece = LITERAL("\xa1\x00\x01\xa1\x00\x02"),
                        .items = 9},
                {.what = HANDOVER_TAKEN, .position = LITERAL("\x01there")},
                {.what = HANDOVER_END, .position = LITERAL("\x03")},
                {.what = HANDOVER_DONE},
        };
        static const uint64_t known[] = {0x78, 0x58, 0x78, 0x18, 0x18, 0x08},
                              required[] = {0x18, 0x08, 0x18, 0x18, 0x18, 0x08};

        for (size_t i = 0; i < ELEMENTSOF(frames); i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                HandoverFrame got;
                Frame f;

                CHECK_OK(handover_encode(&b, &frames[i]));
                check_frame(&b, known[i], required[i]);
                open_frame(&b, FRAME_HANDOVER, 0, &f);
                CHECK_OK(handover_decode(&f, &got));
                CHECK_EQ(got.what, frames[i].what);
                CHECK_EQ(got.items, frames[i].items);
                CHECK_EQ(got.waits, frames[i].waits);
                CHECK(memcmp(got.transfer, frames[i].transfer, HANDOVER_TRANSFER_SIZE) == 0);
                CHECK(bytes_equal(got.position, frames[i].position));
                CHECK(bytes_equal(got.piece, frames[i].piece));
        }
}

TEST(items_of_a_piece) {
        Bytes piece = LITERAL("\xa1\x00\x05\xa2\x00\x18\x40\x01\x41z"), item;
        uint64_t kind;

        CHECK_EQ(handover_item_next(&piece, &item, &kind), 1);
        CHECK(kind == 5 && item.size == 3);
        CHECK_EQ(handover_item_next(&piece, &item, &kind), 1);
        CHECK(kind == HANDOVER_KIND_ROOMS && item.size == 7);
        CHECK_EQ(handover_item_next(&piece, &item, &kind), 0);
        piece = LITERAL("\xa1\x01\x05"); /* without a kind */
        CHECK_EQ(handover_item_next(&piece, &item, &kind), -EBADMSG);
        piece = LITERAL("\xa2\x00\x05\x01"); /* cut short */
        CHECK_EQ(handover_item_next(&piece, &item, &kind), -EBADMSG);
}
