/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "signed-cases.h"

#define ALICE 1
#define BOB 11

static int decode_certificate(const Buffer *b) {
        Certificate c;

        return certificate_decode(sample_bytes(b), &c);
}

static int decode_record(const Buffer *b) {
        Record rec;

        return record_decode(sample_bytes(b), &rec);
}

static int decode_presence(const Buffer *b) {
        PresenceRecord p;

        return presence_decode(sample_bytes(b), &p);
}

static int try_certificate(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_DEVICE, body, ALICE, ALICE + 1);

        return decode_certificate(&b);
}

static int try_record(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_RECORD, body, ALICE, 0);

        return decode_record(&b);
}

static int try_presence(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_PRESENCE, body, ALICE + 1, 0);

        return decode_presence(&b);
}

TEST(certificate) {
        _cleanup_(buffer_done) Buffer b = sample_certificate_object(ALICE);
        Certificate want = sample_certificate(ALICE), got;
        Bytes body = signed_body(&b);

        CHECK_OK(certificate_decode(sample_bytes(&b), &got));
        CHECK(memcmp(&got, &want, sizeof(got)) == 0);
        check_uint(body, 0, 1);
        check_bytes(body, 1, want.account, KEY_SIZE);
        check_bytes(body, 2, want.device, KEY_SIZE);
        check_uint(body, 3, 1);
        check_uint(body, 4, SAMPLE_TIME);
        check_uint(body, 5, want.expires);
        check_map(body, 0x3f, 0x3f, try_certificate);
        check_every_bit(&b, decode_certificate);
        check_outer(&b, decode_certificate, true);
        CHECK(map_try_with(body, 0, LITERAL("\x02"), try_certificate) < 0);
}

TEST(certificate_needs_both_signatures) {
        _cleanup_(buffer_done) Buffer good = sample_certificate_object(ALICE);
        Bytes body = signed_body(&good);
        const struct {
                SignContext context;
                uint8_t account, device;
                int want;
        } cases[] = {
                {SIGN_DEVICE, ALICE, ALICE + 1, 0},
                {SIGN_DEVICE, ALICE, 0, -EKEYREJECTED}, /* not counter-signed */
                {SIGN_DEVICE, BOB, ALICE + 1, -EBADMSG}, /* by another account */
                {SIGN_DEVICE, ALICE, BOB + 1, -EBADMSG}, /* by another device */
                {SIGN_DEVICE, ALICE + 1, ALICE, -EBADMSG}, /* the wrong way round */
                {SIGN_DEVICE, ALICE, ALICE, -EBADMSG}, /* the account vouches twice */
                {SIGN_DEVICE, ALICE + 1, ALICE + 1, -EBADMSG},
                {SIGN_RECORD, ALICE, ALICE + 1, -EBADMSG}, /* for another purpose */
                {SIGN_RING_CERTIFICATE, ALICE, ALICE + 1, -EBADMSG},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                b = sign_body(cases[i].context, body, cases[i].account, cases[i].device);
                CHECK_EQ(decode_certificate(&b), cases[i].want);
        }
}

TEST(certificate_expires) {
        Certificate c = sample_certificate(ALICE);
        SignKey account = sample_key(ALICE), device = sample_key(ALICE + 1);

        CHECK(certificate_is_valid_at(&c, c.expires - 1));
        CHECK(!certificate_is_valid_at(&c, c.expires));
        CHECK(!certificate_is_valid_at(&c, UINT64_MAX));
        for (uint64_t after = 0; after <= 1; after++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                c.expires = c.issued + after;
                CHECK_OK(certificate_encode(&c, &account, &device, &b));
                CHECK_EQ(decode_certificate(&b), after == 0 ? -EBADMSG : 0);
        }
}

TEST(certificate_of_a_small_order_key) {
        for (size_t i = 0; i < 2 * ELEMENTSOF(SMALL_ORDER_KEYS); i++) {
                _cleanup_(buffer_done) Buffer made = BUFFER_NULL, b = BUFFER_NULL;
                SignKey account = sample_key(ALICE), device = sample_key(ALICE + 1);
                Certificate c = sample_certificate(ALICE);

                memcpy(i % 2 ? c.account : c.device, SMALL_ORDER_KEYS[i / 2], KEY_SIZE);
                CHECK_OK(certificate_encode(&c, &account, &device, &made));
                b = with_constant_signature(&made, i % 2 ? 1 : 2);
                CHECK_EQ(decode_certificate(&b), -EKEYREJECTED);
        }
}

TEST(certificate_is_at_most_512_bytes) {
        _cleanup_(buffer_done) Buffer b = sample_certificate_object(ALICE);

        check_object_max(&b, SIGN_DEVICE, ALICE, ALICE + 1, CERTIFICATE_MAX, decode_certificate);
}

TEST(record) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(ALICE);
        _cleanup_(buffer_done) Buffer b = sample_record_object(ALICE);
        Record want = sample_record(ALICE, sample_bytes(&c)), got;
        Bytes body = signed_body(&b), device;

        CHECK_OK(record_decode(sample_bytes(&b), &got));
        CHECK(key_equal(got.account, want.account));
        CHECK_STR(got.name, "alice");
        CHECK_EQ(got.certificate.size, buffer_size(&c));
        CHECK(memcmp(&got.device, &want.device, sizeof(got.device)) == 0);
        CHECK(got.epoch == 1 && got.seq == want.seq && got.issued == want.issued);
        CHECK(got.expires == want.expires && got.listed);
        CHECK(got.presence == VISIBLE_CONTACTS && got.endpoints == VISIBLE_ALL);
        CHECK(got.n_suites == 2 && got.suites[0] == 1 && got.suites[1] == 300);
        CHECK(got.n_prekeys == 2 && got.prekeys[0].suite == 1 && got.prekeys[1].id == 8);
        CHECK(bytes_equal(got.prekeys[0].key, sample_text("a key of thirty-two bytes length")));
        CHECK(got.n_changes == 2 && got.changes[0].size == 5 && got.changes[1].size == 6);

        check_uint(body, 0, 1);
        check_bytes(body, 1, want.account, KEY_SIZE);
        check_text(body, 2, "alice");
        device = map_value(body, 3);
        CHECK_EQ(device.data[0], 0x81);
        device = (Bytes){.data = device.data + 1, .size = device.size - 1};
        check_bytes(device, 0, c.data, buffer_size(&c));
        check_item(device, 1,
                LITERAL("\x82\xa3\x00\x01\x01\x07\x02\x58\x20" SAMPLE_PREKEY
                        "\xa3\x00\x19\x01\x2c\x01\x08\x02\x47"
                        "another"));
        check_uint(body, 4, 1);
        check_uint(body, 5, want.seq);
        check_uint(body, 6, want.issued);
        check_uint(body, 7, want.expires);
        check_item(body, 8, LITERAL("\x82\x01\x19\x01\x2c"));
        check_item(body, 9, LITERAL("\xa3\x00\xf5\x01\x01\x02\x00"));
        check_item(body, 11,
                LITERAL("\x82\x45"
                        "first\x46"
                        "second"));
}

TEST(record_form) {
        _cleanup_(buffer_done) Buffer b = sample_record_object(ALICE);
        _cleanup_(buffer_done) Buffer bob = sample_record_object(BOB);

        check_map(signed_body(&b), 0xfff, 0xbff, try_record);
        check_every_bit(&b, decode_record);
        check_outer(&b, decode_record, false);
        CHECK_EQ(try_record(signed_body(&bob)), -EBADMSG); /* signed by another account */
        CHECK(map_try_with(signed_body(&b), 0, LITERAL("\x02"), try_record) < 0);
}

static Bytes record_body;

static int try_device(Bytes device) {
        _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

        CHECK_OK(buffer_append(&list, "\x81", 1));
        CHECK_OK(buffer_append(&list, device.data, device.size));
        return map_try_with(record_body, 3, sample_bytes(&list), try_record);
}

static int try_flags(Bytes flags) {
        return map_try_with(record_body, 9, flags, try_record);
}

TEST(record_parts) {
        _cleanup_(buffer_done) Buffer b = sample_record_object(ALICE);
        _cleanup_(buffer_done) Buffer two = BUFFER_NULL;
        MapPairs flags;
        Bytes list;

        record_body = signed_body(&b);
        list = map_value(record_body, 3);
        check_map((Bytes){.data = list.data + 1, .size = list.size - 1}, 3, 3, try_device);
        flags = map_pairs(map_value(record_body, 9));
        check_map_keys(&flags, 7, 7, try_flags);
        CHECK_OK(try_flags(LITERAL("\xa3\x00\xf4\x01\x02\x02\x01")));
        CHECK(try_flags(LITERAL("\xa3\x00\xf4\x01\x03\x02\x01")) < 0);
        CHECK(try_flags(LITERAL("\xa3\x00\xf4\x01\x02\x02\x02")) < 0); /* no such visibility */

        /* Exactly one device. */
        CHECK_OK(buffer_append(&two, "\x82", 1));
        CHECK_OK(buffer_append(&two, list.data + 1, list.size - 1));
        CHECK_OK(buffer_append(&two, list.data + 1, list.size - 1));
        CHECK(map_try_with(record_body, 3, sample_bytes(&two), try_record) < 0);
        CHECK(map_try_with(record_body, 3, LITERAL("\x80"), try_record) < 0);
}

/* With N times PREKEY in it. */
static int try_prekeys(size_t n, Bytes prekey) {
        _cleanup_(buffer_done) Buffer list = BUFFER_NULL;
        Bytes devices = map_value(record_body, 3);

        echo_head(&list, 4, n);
        for (size_t i = 0; i < n; i++)
                CHECK_OK(buffer_append(&list, prekey.data, prekey.size));
        return map_try_with((Bytes){.data = devices.data + 1, .size = devices.size - 1}, 1,
                sample_bytes(&list), try_device);
}

static int try_prekey(Bytes prekey) {
        return try_prekeys(1, prekey);
}

TEST(record_prekeys) {
        _cleanup_(buffer_done) Buffer b = sample_record_object(ALICE), item = BUFFER_NULL;
        const Prekey prekey = {.suite = 1, .id = 2, .key = sample_text("x")};
        CborWriter w = cbor_writer(&item);

        record_body = signed_body(&b);
        prekey_write(&w, &prekey);
        CHECK_OK(w.error);
        check_map(sample_bytes(&item), 7, 7, try_prekey);
        CHECK_OK(try_prekeys(0, sample_bytes(&item)));
        CHECK_OK(try_prekeys(RECORD_PREKEYS_MAX, sample_bytes(&item)));
        CHECK_EQ(try_prekeys(RECORD_PREKEYS_MAX + 1, sample_bytes(&item)), -EBADMSG);
        check_map_size(sample_bytes(&item), 2, 0, PREKEY_SIZE_MAX, try_prekey);
}

TEST(record_bounds) {
        _cleanup_(buffer_done) Buffer b = sample_record_object(ALICE);
        static const char *const names[] = {"\x60",
                "\x61"
                "A",
                "\x61"
                ".",
                "\x62"
                "a ",
                "\x62"
                "a\0",
                "\x62\xc3\xbc",
                "\x41"
                "a",
                "\x78\x21"
                "abcdefghijklmnopqrstuvwxyzabcdefg"};
        static const size_t sizes[] = {1, 2, 2, 3, 3, 3, 2, 35};
        Bytes body = signed_body(&b);

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Bytes name = {.data = (const uint8_t *)names[i], .size = sizes[i]};

                CHECK_EQ(map_try_with(body, 2, name, try_record), -EBADMSG);
        }
        CHECK_OK(map_try_with(body, 2,
                LITERAL("\x78\x20"
                        "abcdefghijklmnopqrstuvwxyzabcdef"),
                try_record));
        CHECK_OK(map_try_with(body, 8, LITERAL("\x88\1\2\3\4\5\6\7\x08"), try_record));
        CHECK(map_try_with(body, 8, LITERAL("\x89\1\2\3\4\5\6\7\x08\x09"), try_record) < 0);
        CHECK_OK(map_try_with(body, 11, LITERAL("\x88@@@@@@@@"), try_record));
        CHECK(map_try_with(body, 11, LITERAL("\x89@@@@@@@@@"), try_record) < 0);
        CHECK_OK(map_try_with(body, 10, LITERAL("\x41s"), try_record));
        CHECK(map_try_with(body, 10, LITERAL("\x40"), try_record) < 0);
        /* Another epoch than its certificate's; times the wrong way round. */
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x02"), try_record), -EBADMSG);
        CHECK_EQ(map_try_with(body, 7, map_value(body, 6), try_record), -EBADMSG);
        CHECK_EQ(map_try_with(body, 7, LITERAL("\x01"), try_record), -EBADMSG);
}

TEST(record_has_a_certificate_of_its_own_account) {
        _cleanup_(buffer_done) Buffer bob = sample_certificate_object(BOB), b = BUFFER_NULL;
        Record rec = sample_record(ALICE, sample_bytes(&bob));
        SignKey account = sample_key(ALICE);

        CHECK_OK(record_encode(&rec, &account, &b));
        CHECK_EQ(decode_record(&b), -EBADMSG);

        buffer_clear(&b);
        rec.certificate = (Bytes){};
        CHECK_OK(record_encode(&rec, &account, &b));
        CHECK_EQ(decode_record(&b), -EBADMSG);
}

TEST(record_and_presence_over_their_cap_are_not_written) {
        static uint8_t big[4000];
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(ALICE), b = BUFFER_NULL;
        Record rec = sample_record(ALICE, sample_bytes(&c));
        PresenceRecord p = sample_presence(ALICE);
        SignKey k = sample_key(ALICE);

        rec.changes[0] = (Bytes){.data = big, .size = sizeof(big)};
        CHECK_OK(buffer_append(&b, "before", 6));
        CHECK_EQ(record_encode(&rec, &k, &b), -EMSGSIZE);
        memset(big, 'x', sizeof(big));
        p.note = (Bytes){.data = big, .size = sizeof(big)};
        CHECK_EQ(presence_encode(&p, &k, &b), -EMSGSIZE);
        CHECK_EQ(buffer_size(&b), 6);
}

static Bytes some_object(uint8_t which) {
        static const uint8_t objects[] = {1, 2};

        return (Bytes){.data = &objects[which], .size = 1};
}

static Record record_for(uint8_t device, uint64_t epoch, uint64_t seq) {
        Record rec = {.epoch = epoch, .seq = seq};

        rec.device.device[0] = device;
        return rec;
}

/* A wins against B and B loses against A. */
static bool wins(const Record *a, Bytes a_object, const Record *b, Bytes b_object) {
        return record_compare(a, a_object, b, b_object) > 0 &&
                record_compare(b, b_object, a, a_object) < 0;
}

TEST(records_are_ordered_by_epoch_device_seq_hash) {
        uint8_t h1[SHA256_SIZE], h2[SHA256_SIZE], lower, higher;
        Record a, b;

        a = record_for(1, 1, 1);
        b = record_for(2, 1, 1);
        sha256(a.device.device, KEY_SIZE, h1);
        sha256(b.device.device, KEY_SIZE, h2);
        lower = memcmp(h1, h2, SHA256_SIZE) < 0 ? 1 : 2;
        higher = 3 - lower;

        /* The epoch before everything else. */
        a = record_for(higher, 2, 1);
        b = record_for(lower, 1, 9);
        CHECK(wins(&a, some_object(0), &b, some_object(1)));
        /* Two devices in one epoch: the lower hash of the key, whatever the seq. */
        a = record_for(lower, 5, 1);
        b = record_for(higher, 5, UINT64_MAX);
        CHECK(wins(&a, some_object(0), &b, some_object(1)));
        /* One device: the seq, and expiry has no say. */
        a = record_for(lower, 5, 8);
        b = record_for(lower, 5, 7);
        b.expires = UINT64_MAX;
        CHECK(wins(&a, some_object(0), &b, some_object(1)));
        /* All equal: the hash of the whole, so that everybody keeps the same one. */
        sha256(some_object(0).data, 1, h1);
        sha256(some_object(1).data, 1, h2);
        if (memcmp(h1, h2, SHA256_SIZE) > 0)
                CHECK(wins(&a, some_object(0), &a, some_object(1)));
        else
                CHECK(wins(&a, some_object(1), &a, some_object(0)));
        CHECK_EQ(record_compare(&a, some_object(0), &a, some_object(0)), 0);
}

TEST(presence) {
        _cleanup_(buffer_done) Buffer b = sample_presence_object(ALICE);
        PresenceRecord want = sample_presence(ALICE), got;
        Bytes body = signed_body(&b);

        CHECK_OK(presence_decode(sample_bytes(&b), &got));
        CHECK(key_equal(got.account, want.account) && key_equal(got.device, want.device));
        CHECK(got.epoch == 1 && got.presence == PRESENCE_AWAY && got.seq == 70000);
        CHECK_EQ(got.n_endpoints, 3);
        for (size_t i = 0; i < 3; i++) {
                CHECK_EQ(got.endpoints[i].size, want.endpoints[i].size);
                CHECK(memcmp(got.endpoints[i].data, want.endpoints[i].data,
                              got.endpoints[i].size) == 0);
        }
        CHECK_EQ(got.note.size, want.note.size);

        check_uint(body, 0, 1);
        check_bytes(body, 1, want.account, KEY_SIZE);
        check_uint(body, 2, 1);
        check_bytes(body, 3, want.device, KEY_SIZE);
        CHECK_EQ(map_value(body, 4).data[0], 0x83);
        check_uint(body, 5, 2);
        check_text(body, 6, "back at four ☕");
        check_uint(body, 7, 70000);
        check_map(body, 0x1ff, 0xff, try_presence);
        check_every_bit(&b, decode_presence);
        check_outer(&b, decode_presence, false);
}

TEST(presence_bounds) {
        _cleanup_(buffer_done) Buffer b = sample_presence_object(ALICE), other = BUFFER_NULL;
        static const char *const endpoints[] = {"", "host", "host:0", "host:65536", "ho st:1",
                "host:1 ", "2001:db8::1:7425", "[::1]", ":1", "hö:1", "a\x1b[2J:1"};
        PresenceRecord p = sample_presence(ALICE);
        SignKey device = sample_key(ALICE + 1);
        Bytes body = signed_body(&b);

        for (size_t i = 0; i < ELEMENTSOF(endpoints); i++) {
                _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

                echo_head(&list, 4, 1);
                echo_head(&list, 3, strlen(endpoints[i]));
                CHECK_OK(buffer_append(&list, endpoints[i], strlen(endpoints[i])));
                CHECK_EQ(map_try_with(body, 4, sample_bytes(&list), try_presence), -EBADMSG);
        }
        CHECK_OK(map_try_with(body, 4, LITERAL("\x80"), try_presence));
        CHECK_OK(map_try_with(body, 4,
                LITERAL("\x90"
                        "ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1"
                        "ca:1ca:1ca:1ca:1ca:1"),
                try_presence));
        CHECK(map_try_with(body, 4,
                      LITERAL("\x91"
                              "ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1ca:1"
                              "ca:1ca:1ca:1ca:1ca:1ca:1"),
                      try_presence) < 0);
        CHECK(map_try_with(body, 5, LITERAL("\x04"), try_presence) < 0);
        CHECK(map_try_with(body, 6,
                      LITERAL("\x62"
                              "a\0"),
                      try_presence) < 0);
        CHECK(map_try_with(body, 6, LITERAL("\x61\xff"), try_presence) < 0);
        CHECK_OK(map_try_with(body, 6, LITERAL("\x60"), try_presence));
        CHECK_OK(map_try_with(body, 8, LITERAL("\x41x"), try_presence));
        CHECK(map_try_with(body, 8, LITERAL("\x40"), try_presence) < 0);

        p.device[0] ^= 1;
        CHECK_OK(presence_encode(&p, &device, &other));
        CHECK(decode_presence(&other) < 0);
        buffer_clear(&other);
        memset(p.device, 0, KEY_SIZE);
        CHECK_OK(presence_encode(&p, &device, &other));
        CHECK_EQ(decode_presence(&other), -EKEYREJECTED);
        CHECK_STR(presence_name(PRESENCE_AWAY), "away");
        CHECK_STR(presence_name(_PRESENCE_MAX), "offline");
}

TEST(names_are_folded_or_refused) {
        static const struct {
                const char *text, *want;
        } cases[] = {{"Alice", "alice"}, {"a", "a"}, {"9", "9"}, {"a.b_c-d", "a.b_c-d"}, {"", NULL},
                {".a", NULL}, {"-a", NULL}, {"_a", NULL}, {"a b", NULL}, {"ä", NULL}, {"a~", NULL},
                {"abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz012345"},
                {"abcdefghijklmnopqrstuvwxyz0123456", NULL}};
        char name[NAME_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                if (cases[i].want) {
                        CHECK_OK(name_fold(cases[i].text, strlen(cases[i].text), name));
                        CHECK_STR(name, cases[i].want);
                } else
                        CHECK_EQ(name_fold(cases[i].text, strlen(cases[i].text), name), -EINVAL);
        CHECK_EQ(name_fold("a\0b", 3, name), -EINVAL);
        CHECK(!name_is_canonical((const uint8_t *)"Alice", 5));
}
