/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "account-sample.h"
#include "frame-cases.h"
#include "signed-cases.h"

#define ALICE 1
#define BOB 11

/* Frames */

TEST(oprf) {
        _cleanup_(buffer_done) Buffer a = BUFFER_NULL, b = BUFFER_NULL;
        OprfRequest by_name = {.name = "alice", .blinded = {1, [31] = 2}},
                    by_account = {.account = {3}, .blinded = {4}, .enrol = true}, got;
        Frame f;

        CHECK_OK(oprf_request_encode(&a, 7, &by_name));
        check_frame(&a, KEY(3) | KEY(4) | KEY(5) | KEY(6), KEY(3) | KEY(5) | KEY(6));
        check_text(body_of(&a), 3, "alice");
        check_bytes(body_of(&a), 5, by_name.blinded, 32);
        check_item(body_of(&a), 6, LITERAL("\xf4"));
        open_frame(&a, FRAME_OPRF, 7, &f);
        CHECK_OK(oprf_request_decode(&f, &got));
        CHECK(memcmp(&got, &by_name, sizeof(got)) == 0);

        CHECK_OK(oprf_request_encode(&b, 7, &by_account));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5) | KEY(6), KEY(4) | KEY(5) | KEY(6));
        check_bytes(body_of(&b), 4, by_account.account, KEY_SIZE);
        check_item(body_of(&b), 6, LITERAL("\xf5"));
        open_frame(&b, FRAME_OPRF, 7, &f);
        CHECK_OK(oprf_request_decode(&f, &got));
        CHECK(memcmp(&got, &by_account, sizeof(got)) == 0);

        check_map_size(body_of(&b), 4, 32, 32, try_body);
        check_map_size(body_of(&b), 5, 32, 32, try_body);
        CHECK_EQ(map_try_with(body_of(&a), 4, map_value(body_of(&b), 4), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&a), 3,
                         LITERAL("\x65"
                                 "Alice"),
                         try_body),
                -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&a), 3, LITERAL("\x60"), try_body), -EBADMSG);
}

TEST(oprf_answer) {
        OprfAnswer x = {.evaluated = {5, [31] = 6}, .key_id = 70000, .memory = 262144, .passes = 3};
        static const struct {
                uint64_t key;
                Bytes value;
        } wrong[] = {
                {4, {(const uint8_t *)"\x00", 1}},
                {4, {(const uint8_t *)"\x1b\x80\0\0\0\0\0\0\0", 9}}, /* 2^63 */
                {5, {(const uint8_t *)"\x00", 1}},
                {5, {(const uint8_t *)"\x1b\0\0\0\1\0\0\0\0", 9}}, /* 2^32 */
                {6, {(const uint8_t *)"\x00", 1}},
                {6, {(const uint8_t *)"\x1b\0\0\0\1\0\0\0\0", 9}},
        };
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        OprfAnswer got;
        Frame f;

        ok_kind = ECHO_OK_OPRF;
        CHECK_OK(oprf_answer_encode(&b, 3, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5) | KEY(6), KEY(3) | KEY(4) | KEY(5) | KEY(6));
        check_bytes(body_of(&b), 3, x.evaluated, 32);
        check_uint(body_of(&b), 4, 70000);
        check_uint(body_of(&b), 5, 262144);
        check_uint(body_of(&b), 6, 3);
        open_frame(&b, FRAME_OK, 3, &f);
        CHECK_OK(oprf_answer_decode(&f, &got));
        CHECK(memcmp(&got, &x, sizeof(got)) == 0);
        check_map_size(body_of(&b), 3, 32, 32, try_body);
        CHECK_OK(map_try_with(
                body_of(&b), 4, LITERAL("\x1b\x7f\xff\xff\xff\xff\xff\xff\xff"), try_body));
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                CHECK_EQ(map_try_with(body_of(&b), wrong[i].key, wrong[i].value, try_body),
                        -EBADMSG);
}

TEST(login) {
        static const uint8_t signature[SIGNATURE_SIZE] = {7, [63] = 8};
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        uint8_t got[SIGNATURE_SIZE];
        Frame f;

        CHECK_OK(login_encode(&b, 5, signature));
        check_frame(&b, KEY(3), KEY(3));
        check_bytes(body_of(&b), 3, signature, sizeof(signature));
        open_frame(&b, FRAME_LOGIN, 5, &f);
        CHECK_OK(login_decode(&f, got));
        CHECK(memcmp(got, signature, sizeof(got)) == 0);
        check_map_size(body_of(&b), 3, 64, 64, try_body);
}

TEST(login_answer) {
        LoginAnswer x = {.statement = sample_text("statement"), .record = sample_text("record")};
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        LoginAnswer got;
        Frame f;

        ok_kind = ECHO_OK_LOGIN;
        CHECK_OK(login_answer_encode(&b, 5, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(3) | KEY(4));
        open_frame(&b, FRAME_OK, 5, &f);
        CHECK_OK(login_answer_decode(&f, &got));
        CHECK(bytes_equal(got.statement, x.statement) && bytes_equal(got.record, x.record));
        check_map_size(body_of(&b), 3, 0, 2048, try_body);
        check_map_size(body_of(&b), 4, 0, RECORD_MAX, try_body);
}

TEST(account) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Bytes got;
        Frame f;

        CHECK_EQ(FRAME_ACCOUNT, 48);
        CHECK_OK(account_encode(&b, 6, sample_text("statement")));
        check_frame(&b, KEY(3), KEY(3));
        open_frame(&b, FRAME_ACCOUNT, 6, &f);
        CHECK_OK(account_decode(&f, &got));
        CHECK(bytes_equal(got, sample_text("statement")));
        check_map_size(body_of(&b), 3, 0, 2048, try_body);
}

/* What a login signs */

TEST(a_login_is_for_one_connection_one_tracker_and_one_name) {
        static const uint8_t exporter[LOGIN_EXPORTER_SIZE] = {1}, other[KEY_SIZE] = {2};
        SignKey key = sample_key(3), tracker = sample_key(4);
        OprfRequest name = {.name = "alice"}, account = {.account = {5}}, elsewhere = name;
        uint8_t signature[SIGNATURE_SIZE], in[3 + 2 + 32 + 1 + 32 + 6], *p = in;

        CHECK_OK(login_sign(&key, exporter, sign_key_public(&tracker), &name, signature));
        CHECK_OK(login_verify(
                sign_key_public(&key), exporter, sign_key_public(&tracker), &name, signature));
        CHECK_EQ(login_verify(
                         sign_key_public(&key), other, sign_key_public(&tracker), &name, signature),
                -EBADMSG);
        CHECK_EQ(login_verify(sign_key_public(&key), exporter, other, &name, signature), -EBADMSG);
        CHECK_EQ(login_verify(sign_key_public(&key), exporter, sign_key_public(&tracker), &account,
                         signature),
                -EBADMSG);
        elsewhere.name[0] = 'b';
        CHECK_EQ(login_verify(sign_key_public(&key), exporter, sign_key_public(&tracker),
                         &elsewhere, signature),
                -EBADMSG);
        CHECK_EQ(login_verify(sign_key_public(&tracker), exporter, sign_key_public(&tracker), &name,
                         signature),
                -EBADMSG);

        /* What was blinded has no part in it: the key that came of it has. */
        name.blinded[0] = 1;
        CHECK_OK(login_verify(
                sign_key_public(&key), exporter, sign_key_public(&tracker), &name, signature));

        memcpy(p, "\x83\x58\x20", 3);
        memcpy(p + 3, exporter, 32);
        memcpy(p + 35, "\x58\x20", 2);
        memcpy(p + 37, sign_key_public(&tracker), 32);
        memcpy(p + 69,
                "\x65"
                "alice",
                6);
        CHECK_OK(sign_verify(sign_key_public(&key), SIGN_LOGIN, in, 75, signature));
}

/* The statement */

static int decode_statement(const Buffer *b) {
        AccountStatement s;

        return account_statement_decode(sample_bytes(b), &s);
}

static int try_statement(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_LOGIN, body, ALICE, 0);

        return decode_statement(&b);
}

TEST(statement) {
        _cleanup_(buffer_done) Buffer backup = sample_sealed_backup(ALICE);
        _cleanup_(buffer_done) Buffer b = sample_statement_object(ALICE, true);
        AccountStatement want = sample_statement(ALICE, sample_bytes(&backup)), got;
        Bytes body = signed_body(&b);

        CHECK_OK(account_statement_decode(sample_bytes(&b), &got));
        CHECK(bytes_equal(got.backup, want.backup));
        got.backup = want.backup;
        CHECK(memcmp(&got, &want, sizeof(got)) == 0);

        check_uint(body, 0, 1);
        check_bytes(body, 1, want.account, KEY_SIZE);
        check_uint(body, 2, want.seq);
        check_uint(body, 3, want.key_id);
        check_uint(body, 4, 262144);
        check_uint(body, 5, 3);
        check_bytes(body, 6, want.login, KEY_SIZE);
        check_bytes(body, 7, want.backup.data, want.backup.size);
        check_uint(body, 8, SAMPLE_TIME);
        check_map(body, 0x1ff, 0x1ff, try_statement);
        CHECK_EQ(map_try_with(body, 0, LITERAL("\x02"), try_statement), -EBADMSG);
        CHECK_EQ(map_try_with(body, 3, LITERAL("\x00"), try_statement), -EBADMSG);
        CHECK_EQ(map_try_with(body, 3, LITERAL("\x1b\x80\0\0\0\0\0\0\0"), try_statement), -EBADMSG);
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x00"), try_statement), -EBADMSG);
        CHECK_EQ(map_try_with(body, 5, LITERAL("\x00"), try_statement), -EBADMSG);
        check_map_size(body, 7, 1, 1024, try_statement);
        check_every_bit(&b, decode_statement);
        check_outer(&b, decode_statement, false);
        check_object_max(&b, SIGN_LOGIN, ALICE, 0, ACCOUNT_STATEMENT_MAX, decode_statement);
}

TEST(statement_without_a_password) {
        _cleanup_(buffer_done) Buffer b = sample_statement_object(ALICE, false);
        AccountStatement got;
        Bytes body = signed_body(&b);

        CHECK_OK(account_statement_decode(sample_bytes(&b), &got));
        CHECK(!got.has_password && got.backup.size == 0 && got.key_id == 0);
        check_map(body, 0x107, 0x107, try_statement);
}

TEST(statement_of_an_account_that_is_deleted) {
        static const uint64_t last = SAMPLE_TIME + ACCOUNT_DELETED_TIME;
        _cleanup_(buffer_done) Buffer b = sample_deletion_object(ALICE), none = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer before = sample_statement_object(ALICE, true);
        AccountStatement got, old, both = sample_statement(ALICE, sample_text("backup"));
        SignKey alice = sample_key(ALICE);
        Bytes body = signed_body(&b);

        CHECK_OK(account_statement_decode(sample_bytes(&b), &got));
        CHECK(got.deleted && !got.has_password && got.issued == SAMPLE_TIME);
        check_item(body, 9, LITERAL("\xf5"));
        check_map(body, 0x307, 0x107, try_statement);
        CHECK_EQ(map_try_with(body, 9, LITERAL("\xf4"), try_statement), -EBADMSG);
        CHECK_EQ(map_try_with(signed_body(&before), 9, LITERAL("\xf5"), try_statement), -EBADMSG);
        both.deleted = true;
        CHECK_EQ(account_statement_encode(&both, &alice, &none), -EINVAL);

        CHECK(account_statement_is_deleted_at(&got, 0));
        CHECK(account_statement_is_deleted_at(&got, last - 1));
        CHECK(!account_statement_is_deleted_at(&got, last));
        got.issued = UINT64_MAX;
        CHECK(account_statement_is_deleted_at(&got, SAMPLE_TIME));
        CHECK_OK(account_statement_decode(sample_bytes(&before), &old));
        CHECK(!account_statement_is_deleted_at(&old, SAMPLE_TIME));
        CHECK(account_statement_compare(&got, sample_bytes(&b), &old, sample_bytes(&before)) > 0);
        CHECK(account_statement_compare(&old, sample_bytes(&before), &got, sample_bytes(&b)) < 0);
        old.seq++;
        CHECK(account_statement_compare(&got, sample_bytes(&b), &old, sample_bytes(&before)) < 0);
}

TEST(statement_is_of_its_account) {
        _cleanup_(buffer_done) Buffer object = sample_statement_object(ALICE, true);
        _cleanup_(buffer_done) Buffer by_bob = BUFFER_NULL, as_record = BUFFER_NULL;
        _cleanup_(buffer_done) Buffer countersigned = BUFFER_NULL;
        AccountStatement s;

        by_bob = sign_body(SIGN_LOGIN, signed_body(&object), BOB, 0);
        CHECK_EQ(decode_statement(&by_bob), -EBADMSG);
        CHECK_OK(account_statement_parse(sample_bytes(&by_bob), &s)); /* form only */
        as_record = sign_body(SIGN_RECORD, signed_body(&object), ALICE, 0);
        CHECK_EQ(decode_statement(&as_record), -EBADMSG);
        countersigned = sign_body(SIGN_LOGIN, signed_body(&object), ALICE, BOB);
        CHECK_EQ(decode_statement(&countersigned), -EBADMSG);
}

TEST(keys_of_small_order_are_refused) {
        for (size_t i = 0; i < ELEMENTSOF(SMALL_ORDER_KEYS); i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL, c = BUFFER_NULL, d = BUFFER_NULL;
                AccountStatement s = sample_statement(ALICE, sample_text("backup"));
                SignKey alice = sample_key(ALICE);

                memcpy(s.login, SMALL_ORDER_KEYS[i], KEY_SIZE);
                CHECK_OK(account_statement_encode(&s, &alice, &b));
                CHECK_EQ(decode_statement(&b), -EKEYREJECTED);
                s = sample_statement(ALICE, (Bytes){});
                memcpy(s.account, SMALL_ORDER_KEYS[i], KEY_SIZE);
                CHECK_OK(account_statement_encode(&s, &alice, &c));
                d = with_constant_signature(&c, 1);
                CHECK_EQ(decode_statement(&d), -EKEYREJECTED);
        }
}

TEST(statements_are_ordered_by_seq) {
        _cleanup_(buffer_done) Buffer first = sample_statement_object(ALICE, true);
        _cleanup_(buffer_done) Buffer none = sample_statement_object(ALICE, false);
        AccountStatement a, b, c;

        CHECK_OK(account_statement_decode(sample_bytes(&first), &a));
        CHECK_OK(account_statement_decode(sample_bytes(&none), &b));
        CHECK_EQ(account_statement_compare(&a, sample_bytes(&first), &a, sample_bytes(&first)), 0);
        CHECK(account_statement_compare(&a, sample_bytes(&first), &b, sample_bytes(&none)) != 0);
        CHECK((account_statement_compare(&a, sample_bytes(&first), &b, sample_bytes(&none)) > 0) ==
                (account_statement_compare(&b, sample_bytes(&none), &a, sample_bytes(&first)) < 0));
        c = b;
        c.seq++;
        CHECK(account_statement_compare(&c, sample_bytes(&none), &a, sample_bytes(&first)) > 0);
        CHECK(account_statement_compare(&a, sample_bytes(&first), &c, sample_bytes(&none)) < 0);
        CHECK(!account_statement_is_ahead(&a, SAMPLE_TIME - USEC_PER_DAY));
        CHECK(account_statement_is_ahead(&a, SAMPLE_TIME - USEC_PER_DAY - USEC_PER_MSEC));
}

TEST(a_statement_with_a_password_has_a_backup) {
        static const uint8_t large[ACCOUNT_BACKUP_MAX + 1];
        AccountStatement s = sample_statement(ALICE, (Bytes){large, sizeof(large)});
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        SignKey alice = sample_key(ALICE);

        CHECK_EQ(account_statement_encode(&s, &alice, &b), -EINVAL);
        s.backup.size = 0;
        CHECK_EQ(account_statement_encode(&s, &alice, &b), -EINVAL);
        s.backup.size = ACCOUNT_BACKUP_MAX;
        CHECK_OK(account_statement_encode(&s, &alice, &b));
        CHECK(buffer_size(&b) <= ACCOUNT_STATEMENT_MAX);
}

/* The backup */

/* BODY sealed as S would have it. */
static int open_body(AccountStatement *s, Bytes body) {
        _cleanup_(buffer_done) Buffer sealed = BUFFER_NULL;
        AccountBackup b;
        uint8_t aad[17 + 32 + 8 + 8] = "p2pchat/1 backup", *p = aad + 17;

        memcpy(p, s->account, 32);
        for (int i = 0; i < 8; i++) {
                p[32 + i] = (uint8_t)(s->seq >> (56 - 8 * i));
                p[40 + i] = (uint8_t)(s->key_id >> (56 - 8 * i));
        }
        CHECK_OK(box_seal(
                SAMPLE_BACKUP_KEY, SAMPLE_BACKUP_NONCE, (Bytes){aad, sizeof(aad)}, body, &sealed));
        s->backup = buffer_bytes(&sealed);
        return account_backup_open(s, SAMPLE_BACKUP_KEY, &b);
}

static int try_backup(Bytes body) {
        AccountStatement s = sample_statement(ALICE, sample_text("backup"));

        return open_body(&s, body);
}

/* What is inside. */
static Buffer backup_body(uint8_t n) {
        AccountBackup x = sample_backup(n);
        CborWriter w;
        Buffer b = BUFFER_NULL;

        w = cbor_writer(&b);
        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, 1);
        cbor_pair_bytes(&w, 1, x.seed, 32);
        cbor_pair_text(&w, 2, "alice");
        cbor_pair_uint(&w, 3, 3);
        cbor_pair_uint(&w, 4, x.record_seq);
        cbor_pair_uint(&w, 5, SAMPLE_TIME);
        cbor_map_end(&w);
        CHECK_OK(w.error);
        return b;
}

TEST(backup) {
        _cleanup_(buffer_done) Buffer sealed = sample_sealed_backup(ALICE);
        _cleanup_(buffer_done) Buffer body = backup_body(ALICE);
        AccountStatement s = sample_statement(ALICE, sample_bytes(&sealed));
        AccountBackup want = sample_backup(ALICE), got, zeros = {};

        CHECK_OK(account_backup_open(&s, SAMPLE_BACKUP_KEY, &got));
        CHECK(memcmp(&got, &want, sizeof(got)) == 0);
        CHECK_EQ(buffer_size(&sealed), buffer_size(&body) + BOX_OVERHEAD);
        account_backup_wipe(&got);
        CHECK(memcmp(&got, &zeros, sizeof(got)) == 0);
        check_map(sample_bytes(&body), 0x3f, 0x3f, try_backup);
        CHECK_EQ(map_try_with(sample_bytes(&body), 0, LITERAL("\x02"), try_backup), -EBADMSG);
        CHECK_EQ(map_try_with(sample_bytes(&body), 2, LITERAL("\x60"), try_backup), -EBADMSG);
}

TEST(a_backup_is_of_one_statement) {
        _cleanup_(buffer_done) Buffer sealed = sample_sealed_backup(ALICE);
        _cleanup_(buffer_done) Buffer bobs = backup_body(BOB);
        const AccountStatement right = sample_statement(ALICE, sample_bytes(&sealed));
        uint8_t key[BOX_KEY_SIZE];
        AccountBackup got = {.epoch = 77};
        AccountStatement s = right;

        s.seq++; /* an old backup in a new statement */
        CHECK_EQ(account_backup_open(&s, SAMPLE_BACKUP_KEY, &got), -EBADMSG);
        s = right;
        s.key_id++;
        CHECK_EQ(account_backup_open(&s, SAMPLE_BACKUP_KEY, &got), -EBADMSG);
        s = right;
        s.account[0] ^= 1;
        CHECK_EQ(account_backup_open(&s, SAMPLE_BACKUP_KEY, &got), -EBADMSG);
        s = right;
        memcpy(key, SAMPLE_BACKUP_KEY, sizeof(key));
        key[31] ^= 1;
        CHECK_EQ(account_backup_open(&s, key, &got), -EBADMSG);
        for (size_t i = 0; i < 8 * buffer_size(&sealed); i += 7) {
                sealed.data[i / 8] ^= (uint8_t)(1 << i % 8);
                CHECK_EQ(account_backup_open(&right, SAMPLE_BACKUP_KEY, &got), -EBADMSG);
                sealed.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        CHECK_EQ(open_body(&s, sample_bytes(&bobs)), -EBADMSG); /* the seed of somebody else */
        CHECK_EQ(got.epoch, 77);
}
