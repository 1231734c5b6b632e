/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "frame-cases.h"
#include "wire-sample.h"

TEST(deposit) {
        _cleanup_(buffer_done) Buffer envelope = sample_envelope_bytes();
        _cleanup_(buffer_done) Buffer token = sample_deposit_token_object(1), b = BUFFER_NULL;
        Deposit x = sample_deposit(sample_bytes(&envelope), sample_bytes(&token)), got;
        Bytes body;
        Frame f;

        x.has_stamp = true;
        x.stamp = 70000;
        CHECK_OK(deposit_encode(&b, 7, &x));
        check_frame(&b, 0x1f8, KEY(3) | KEY(4) | KEY(5) | KEY(6));
        body = body_of(&b);
        check_bytes(body, 3, x.account, KEY_SIZE);
        check_bytes(body, 4, envelope.data, buffer_size(&envelope));
        check_uint(body, 5, x.expires);
        check_bytes(body, 6, x.withdraw_hash, 32);
        check_bytes(body, 7, token.data, buffer_size(&token));
        check_uint(body, 8, 70000);
        open_frame(&b, FRAME_DEPOSIT, 7, &f);
        CHECK_OK(deposit_decode(&f, &got));
        CHECK(key_equal(got.account, x.account) && bytes_equal(got.envelope, x.envelope));
        CHECK(got.expires == x.expires && bytes_equal(got.token, x.token));
        CHECK(memcmp(got.withdraw_hash, x.withdraw_hash, SHA256_SIZE) == 0);
        CHECK(got.has_stamp && got.stamp == 70000);

        check_map_size(body, 3, 32, 32, try_body);
        check_map_size(body, 4, 0, MAIL_ENVELOPE_MAX, try_body);
        check_map_size(body, 6, 32, 32, try_body);
        check_map_size(body, 7, 1, 512, try_body);
}

/* A nonce of zero is one as well. */
TEST(deposit_by_token_or_stamp) {
        for (int i = 0; i < 4; i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                Deposit x = sample_deposit(sample_text("envelope"), (Bytes){}), got;
                Frame f;

                if (i & 1)
                        x.token = sample_text("token");
                x.has_stamp = i & 2;
                CHECK_OK(deposit_encode(&b, 1, &x));
                CHECK_EQ(map_value(body_of(&b), 7).size > 0, i & 1);
                CHECK_EQ(map_value(body_of(&b), 8).size > 0, i >> 1);
                open_frame(&b, FRAME_DEPOSIT, 1, &f);
                CHECK_OK(deposit_decode(&f, &got));
                CHECK(bytes_equal(got.token, x.token) && got.has_stamp == x.has_stamp);
                CHECK_EQ(got.stamp, 0);
        }
}

TEST(deposit_answer) {
        _cleanup_(buffer_done) Buffer kept = BUFFER_NULL, superseded = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1);
        DepositAnswer got;
        Bytes body;
        Frame f;

        ok_kind = ECHO_OK_DEPOSIT;
        CHECK_OK(deposit_answer_encode(&kept, 2, &(DepositAnswer){.replicas = 3}));
        check_frame(&kept, KEY(3) | KEY(4), KEY(3));
        check_uint(body_of(&kept), 3, 3);
        open_frame(&kept, FRAME_OK, 2, &f);
        CHECK_OK(deposit_answer_decode(&f, &got));
        CHECK(got.replicas == 3 && got.record.size == 0);

        CHECK_OK(deposit_answer_encode(
                &superseded, 2, &(DepositAnswer){.record = sample_bytes(&rec)}));
        body = body_of(&superseded);
        check_frame(&superseded, KEY(3) | KEY(4), KEY(3) | KEY(4));
        check_uint(body, 3, 0);
        check_bytes(body, 4, rec.data, buffer_size(&rec));
        open_frame(&superseded, FRAME_OK, 2, &f);
        CHECK_OK(deposit_answer_decode(&f, &got));
        CHECK(got.replicas == 0 && bytes_equal(got.record, sample_bytes(&rec)));
        check_map_size(body, 4, 1, RECORD_MAX, try_body);

        /* It was kept, or it says to which prekey it has to be sealed. */
        CHECK_EQ(map_try_with(body_of(&kept), 3, LITERAL("\x00"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 3, LITERAL("\x01"), try_body), -EBADMSG);
}

TEST(collect) {
        static const uint64_t limits[][2] = {{0, 1}, {1, 1}, {64, 64}, {65, 64}, {UINT64_MAX, 64}};
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Collect x = {.after = sample_text("after"), .limit = 50}, got;
        Frame f;

        CHECK_OK(collect_encode(&b, 3, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(4));
        check_bytes(body_of(&b), 3, "after", 5);
        check_uint(body_of(&b), 4, 50);
        open_frame(&b, FRAME_COLLECT, 3, &f);
        CHECK_OK(collect_decode(&f, &got));
        CHECK(bytes_equal(got.after, x.after) && got.limit == 50);
        check_map_size(body_of(&b), 3, 1, 64, try_body);

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                _cleanup_(buffer_done) Buffer wide = BUFFER_NULL;

                CHECK_OK(collect_encode(&wide, 3, &(Collect){.limit = limits[i][0]}));
                open_frame(&wide, FRAME_COLLECT, 3, &f);
                CHECK_OK(collect_decode(&f, &got));
                CHECK(got.after.size == 0 && got.limit == limits[i][1]);
        }
}

static Bytes list_body;

/* A list of ITEM alone. */
static int try_item(Bytes item) {
        _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

        CHECK_OK(buffer_append(&list, "\x81", 1));
        CHECK_OK(buffer_append(&list, item.data, item.size));
        return map_try_with(list_body, 3, sample_bytes(&list), try_body);
}

static Bytes only_item(Bytes body) {
        Bytes list = map_value(body, 3);

        CHECK_EQ(list.data[0], 0x81);
        return (Bytes){.data = list.data + 1, .size = list.size - 1};
}

/* N times ITEM. */
static int try_items(size_t n, Bytes item) {
        _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

        echo_head(&list, 4, n);
        for (size_t i = 0; i < n; i++)
                CHECK_OK(buffer_append(&list, item.data, item.size));
        return map_try_with(list_body, 3, sample_bytes(&list), try_body);
}

TEST(collect_answer) {
        static CollectAnswer x, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Bytes item;
        Frame f;

        ok_kind = ECHO_OK_COLLECT;
        x = (CollectAnswer){.n_items = 1, .after = sample_text("more")};
        x.items[0].envelope = sample_text("envelope");
        x.items[0].expires = 5000;
        CHECK_OK(collect_answer_encode(&b, 6, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(3));
        list_body = body_of(&b);
        check_bytes(list_body, 4, "more", 4);
        check_map_size(list_body, 4, 1, 64, try_body);
        item = only_item(list_body);
        check_bytes(item, 0, "envelope", 8);
        check_uint(item, 1, 5000);
        check_map(item, KEY(0) | KEY(1), KEY(0) | KEY(1), try_item);
        check_map_size(item, 0, 0, MAIL_ENVELOPE_MAX, try_item);
        CHECK_OK(try_items(0, item));
        CHECK_OK(try_items(64, item));
        CHECK_EQ(try_items(65, item), -EBADMSG);
        open_frame(&b, FRAME_OK, 6, &f);
        CHECK_OK(collect_answer_decode(&f, &got));
        CHECK(got.n_items == 1 && bytes_equal(got.after, x.after));
        CHECK(bytes_equal(got.items[0].envelope, x.items[0].envelope));
        CHECK_EQ(got.items[0].expires, 5000);
}

/* The order is that in which they came in. */
TEST(collect_answer_keeps_the_order) {
        static CollectAnswer x, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        static uint8_t envelopes[COLLECT_MAX];
        Frame f;

        x.n_items = COLLECT_MAX;
        for (size_t i = 0; i < COLLECT_MAX; i++) {
                envelopes[i] = (uint8_t)(COLLECT_MAX - i);
                x.items[i].envelope = (Bytes){.data = &envelopes[i], .size = 1};
                x.items[i].expires = 1000 + i;
        }
        CHECK_OK(collect_answer_encode(&b, 6, &x));
        open_frame(&b, FRAME_OK, 6, &f);
        CHECK_OK(collect_answer_decode(&f, &got));
        CHECK(got.n_items == COLLECT_MAX && got.after.size == 0);
        for (size_t i = 0; i < COLLECT_MAX; i++) {
                CHECK(bytes_equal(got.items[i].envelope, x.items[i].envelope));
                CHECK_EQ(got.items[i].expires, 1000 + i);
        }
}

/* Everything around it as large as it can be. */
TEST(a_largest_envelope_is_deposited_and_collected) {
        static const uint8_t zeros[MAIL_ENVELOPE_MAX];
        const Bytes envelope = {.data = zeros, .size = MAIL_ENVELOPE_MAX};
        static CollectAnswer x, got_page;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, page = BUFFER_NULL, two = BUFFER_NULL;
        Deposit d = sample_deposit(envelope, (Bytes){.data = zeros, .size = DEPOSIT_TOKEN_MAX}),
                got;
        Frame f;

        d.expires = d.stamp = UINT64_MAX;
        d.has_stamp = true;
        CHECK_OK(deposit_encode(&b, UINT64_MAX, &d));
        open_frame(&b, FRAME_DEPOSIT, UINT64_MAX, &f);
        CHECK_OK(deposit_decode(&f, &got));
        CHECK_EQ(got.envelope.size, MAIL_ENVELOPE_MAX);

        x.n_items = 1;
        x.after = (Bytes){.data = zeros, .size = COLLECT_AFTER_MAX};
        x.items[0].envelope = x.items[1].envelope = envelope;
        x.items[0].expires = x.items[1].expires = UINT64_MAX;
        CHECK_OK(collect_answer_encode(&page, UINT64_MAX, &x));
        open_frame(&page, FRAME_OK, UINT64_MAX, &f);
        CHECK_OK(collect_answer_decode(&f, &got_page));
        CHECK_EQ(got_page.items[0].envelope.size, MAIL_ENVELOPE_MAX);

        /* Two are too much, which the tracker is told. */
        x.n_items = 2;
        CHECK_EQ(collect_answer_encode(&two, UINT64_MAX, &x), -EMSGSIZE);
        CHECK_EQ(buffer_size(&two), 0);
}

TEST(collected) {
        static uint8_t ids[COLLECTED_MAX][SHA256_SIZE], buf[COLLECTED_MAX][SHA256_SIZE];
        static const uint8_t rekey[REKEY_MAX];
        _cleanup_(buffer_done) Buffer k = sample_rekey_object(1), b = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer full = BUFFER_NULL;
        Collected x = {.ids = {.data = ids[0], .size = (size_t)2 * SHA256_SIZE},
                          .rekey = sample_bytes(&k)},
                  got;
        Frame f;

        for (size_t i = 0; i < COLLECTED_MAX; i++) {
                ids[i][0] = (uint8_t)i;
                ids[i][31] = (uint8_t)(i >> 8);
        }
        CHECK_OK(collected_encode(&b, 4, &x));
        check_frame(&b, KEY(3) | KEY(4), 0);
        CHECK_EQ(map_value(body_of(&b), 3).size, 1 + 2 * 34);
        check_bytes(body_of(&b), 4, k.data, buffer_size(&k));
        check_map_list(body_of(&b), 3, 1024, 32, try_body);
        check_map_size(body_of(&b), 4, 1, 4096, try_body);
        open_frame(&b, FRAME_COLLECTED, 4, &f);
        CHECK_OK(collected_decode(&f, buf, &got));
        CHECK(bytes_equal(got.ids, x.ids) && bytes_equal(got.rekey, x.rekey));

        /* As much as there can be is one frame still. */
        x = (Collected){.ids = {.data = ids[0], .size = sizeof(ids)},
                .rekey = {.data = rekey, .size = sizeof(rekey)}};
        CHECK_OK(collected_encode(&full, UINT64_MAX, &x));
        open_frame(&full, FRAME_COLLECTED, UINT64_MAX, &f);
        CHECK_OK(collected_decode(&f, buf, &got));
        CHECK(bytes_equal(got.ids, x.ids) && bytes_equal(got.rekey, x.rekey));
}

TEST(mail_status) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, full = BUFFER_NULL;
        MailStatus x = {.account = {1}, .ids = {{2}, {[31] = 3}}, .n_ids = 2}, got;
        Frame f;

        CHECK_OK(mail_status_encode(&b, 5, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(3) | KEY(4));
        check_bytes(body_of(&b), 3, x.account, KEY_SIZE);
        CHECK_EQ(map_value(body_of(&b), 4).size, 1 + 2 * 34);
        check_map_size(body_of(&b), 3, 32, 32, try_body);
        check_map_list(body_of(&b), 4, 16, 32, try_body);

        x.n_ids = MAIL_STATUS_MAX;
        x.ids[MAIL_STATUS_MAX - 1][0] = 9;
        CHECK_OK(mail_status_encode(&full, 5, &x));
        open_frame(&full, FRAME_MAIL_STATUS, 5, &f);
        CHECK_OK(mail_status_decode(&f, &got));
        CHECK(key_equal(got.account, x.account) && got.n_ids == 16);
        CHECK(memcmp(got.ids, x.ids, sizeof(x.ids)) == 0);
}

TEST(mail_status_answer) {
        static const uint8_t rekey[REKEY_MAX];
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, full = BUFFER_NULL;
        MailStatusAnswer x = {.items = {{MAIL_GONE, sample_text("rekey")}}, .n_items = 1}, got;
        Bytes item;
        Frame f;

        ok_kind = ECHO_OK_MAIL_STATUS;
        CHECK_OK(mail_status_answer_encode(&b, 6, &x));
        check_frame(&b, KEY(3), KEY(3));
        list_body = body_of(&b);
        item = only_item(list_body);
        check_uint(item, 0, 2);
        check_bytes(item, 1, "rekey", 5);
        check_map(item, KEY(0) | KEY(1), KEY(0), try_item);
        CHECK_OK(map_try_with(item, 0, LITERAL("\x00"), try_item));
        CHECK_OK(map_try_with(item, 0, LITERAL("\x01"), try_item));
        CHECK_EQ(map_try_with(item, 0, LITERAL("\x03"), try_item), -EBADMSG);
        check_map_size(item, 1, 1, 4096, try_item);
        CHECK_OK(try_items(0, item));
        CHECK_OK(try_items(16, item));
        CHECK_EQ(try_items(17, item), -EBADMSG);

        /* In the order asked; the largest fit a frame. */
        x.n_items = MAIL_STATUS_MAX;
        for (size_t i = 0; i < MAIL_STATUS_MAX; i++) {
                x.items[i].state = (MailState)(i % 3);
                x.items[i].rekey = (Bytes){.data = rekey, .size = REKEY_MAX - i};
        }
        CHECK_OK(mail_status_answer_encode(&full, UINT64_MAX, &x));
        open_frame(&full, FRAME_OK, UINT64_MAX, &f);
        CHECK_OK(mail_status_answer_decode(&f, &got));
        CHECK_EQ(got.n_items, 16);
        for (size_t i = 0; i < MAIL_STATUS_MAX; i++) {
                CHECK_EQ(got.items[i].state, i % 3);
                CHECK_EQ(got.items[i].rekey.size, REKEY_MAX - i);
        }
}

TEST(withdraw) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Withdraw x = {.account = {1}, .id = {2}, .secret = {3, [31] = 4}}, got;
        Frame f;

        CHECK_OK(withdraw_encode(&b, 8, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(3) | KEY(4) | KEY(5));
        check_bytes(body_of(&b), 3, x.account, 32);
        check_bytes(body_of(&b), 4, x.id, 32);
        check_bytes(body_of(&b), 5, x.secret, 32);
        for (uint64_t key = 3; key <= 5; key++)
                check_map_size(body_of(&b), key, 32, 32, try_body);
        open_frame(&b, FRAME_WITHDRAW, 8, &f);
        CHECK_OK(withdraw_decode(&f, &got));
        CHECK(memcmp(&got, &x, sizeof(x)) == 0);
}

TEST(mail_waiting) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        uint64_t items;
        Frame f;

        CHECK_OK(mail_waiting_encode(&b, 300));
        check_frame(&b, KEY(3), KEY(3));
        check_uint(body_of(&b), 3, 300);
        open_frame(&b, FRAME_MAIL_WAITING, 0, &f);
        CHECK_OK(mail_waiting_decode(&f, &items));
        CHECK_EQ(items, 300);
}

/* What comes last is wrong, when everything else has been read. */
TEST(what_is_refused_leaves_nothing_behind) {
        static CollectAnswer page, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Frame f;

        page.n_items = 1;
        page.items[0].envelope = sample_text("envelope");
        page.after = sample_text("after");
        CHECK_OK(collect_answer_encode(&b, 1, &page));
        CHECK_EQ(b.data[b.end - 6], 0x45);
        b.data[b.end - 6] = 0x65; /* text instead of bytes */
        open_frame(&b, FRAME_OK, 1, &f);
        CHECK_EQ(collect_answer_decode(&f, &got), -EBADMSG);
        CHECK(bytes_are_zero(&got, sizeof(got)));
}
