/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "signed-cases.h"

#define ALICE 1
#define BOB 11

static int decode_beacon(const Buffer *b) {
        Beacon x;
        int r = beacon_parse(sample_bytes(b), &x);

        return r < 0 ? r : beacon_verify(sample_bytes(b), &x, false);
}

static int try_beacon(Bytes body) {
        _cleanup_(buffer_done) Buffer b = sign_body(SIGN_BEACON, body, ALICE + 1, 0);

        return decode_beacon(&b);
}

static Buffer sample_of(BeaconKind kind) {
        return sample_beacon_object(kind, ALICE);
}

TEST(person) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(ALICE);
        _cleanup_(buffer_done) Buffer b = sample_of(BEACON_PERSON);
        Beacon want = sample_beacon(BEACON_PERSON, ALICE, sample_bytes(&c)), got;
        Bytes body = signed_body(&b);

        CHECK_OK(beacon_parse(sample_bytes(&b), &got));
        CHECK_OK(beacon_verify(sample_bytes(&b), &got, false));
        CHECK(got.kind == BEACON_PERSON && got.port == 7425 && got.interval == 11);
        CHECK(got.seq == 70000 && got.asks && got.leaves && got.presence == PRESENCE_BUSY);
        CHECK(memcmp(got.boot_nonce, want.boot_nonce, BOOT_NONCE_SIZE) == 0);
        CHECK(bytes_equal(got.certificate, want.certificate));
        CHECK(memcmp(&got.device, &want.device, sizeof(got.device)) == 0);
        CHECK_STR(got.name, "alice");
        CHECK_STR(got.note, "back at four ☕");
        CHECK_STR(got.host, "");

        check_uint(body, 0, 1);
        check_uint(body, 1, 0);
        check_uint(body, 2, 7425);
        check_bytes(body, 3, want.boot_nonce, BOOT_NONCE_SIZE);
        check_uint(body, 4, 70000);
        check_uint(body, 5, 11);
        check_bytes(body, 6, c.data, buffer_size(&c));
        check_text(body, 7, "alice");
        check_item(body, 10, LITERAL("\xf5"));
        check_item(body, 11, LITERAL("\xf5"));
        check_uint(body, 12, PRESENCE_BUSY);
        check_text(body, 13, "back at four ☕");
        check_map(body, 0x3cff, 0xff, try_beacon);
}

TEST(tracker) {
        _cleanup_(buffer_done) Buffer b = sample_of(BEACON_TRACKER);
        SignKey key = sample_key(ALICE + 1);
        Bytes body = signed_body(&b);
        Beacon got;

        CHECK_OK(beacon_parse(sample_bytes(&b), &got));
        CHECK_OK(beacon_verify(sample_bytes(&b), &got, false));
        CHECK(got.kind == BEACON_TRACKER && key_equal(got.key, sign_key_public(&key)));
        CHECK_STR(got.host, "tracker.example");
        check_uint(body, 1, 1);
        check_bytes(body, 8, sign_key_public(&key), KEY_SIZE);
        check_text(body, 9, "tracker.example");
        check_map(body, 0xf3f, 0x13f, try_beacon);
}

TEST(every_byte_counts) {
        for (BeaconKind kind = 0; kind < _BEACON_KIND_MAX; kind++) {
                _cleanup_(buffer_done) Buffer b = sample_of(kind);

                check_every_bit(&b, decode_beacon);
                check_outer(&b, decode_beacon, false);
                check_object_max(&b, SIGN_BEACON, ALICE + 1, 0, BEACON_MAX, decode_beacon);
        }
}

/* Of either kind, what only the other one has. */
TEST(kinds_do_not_mix) {
        _cleanup_(buffer_done) Buffer person = sample_of(BEACON_PERSON);
        _cleanup_(buffer_done) Buffer tracker = sample_of(BEACON_TRACKER);
        static const uint64_t of_person[] = {6, 7, 12, 13}, of_tracker[] = {8, 9};
        Bytes p = signed_body(&person), t = signed_body(&tracker);

        for (size_t i = 0; i < ELEMENTSOF(of_person); i++)
                CHECK_EQ(map_try_with(t, of_person[i], map_value(p, of_person[i]), try_beacon),
                        -EBADMSG);
        for (size_t i = 0; i < ELEMENTSOF(of_tracker); i++)
                CHECK_EQ(map_try_with(p, of_tracker[i], map_value(t, of_tracker[i]), try_beacon),
                        -EBADMSG);
        CHECK_EQ(map_try_with(p, 1, LITERAL("\x01"), try_beacon), -EBADMSG);
        CHECK_EQ(map_try_with(t, 1, LITERAL("\x00"), try_beacon), -EBADMSG);
        CHECK_EQ(map_try_with(t, 1, LITERAL("\x02"), try_beacon), -EBADMSG);
}

TEST(bounds) {
        const struct {
                uint64_t key;
                Bytes value;
                int want;
        } cases[] = {
                {0, LITERAL("\x00"), -EBADMSG},
                {0, LITERAL("\x02"), -EBADMSG},
                {2, LITERAL("\x00"), -EBADMSG},
                {2, LITERAL("\x01"), 0},
                {2, LITERAL("\x19\xff\xff"), 0},
                {2, LITERAL("\x1a\x00\x01\x00\x00"), -EBADMSG},
                {4, LITERAL("\x00"), 0},
                {4, LITERAL("\x1b\x00\x04\x00\x00\x00\x00\x00\x00"), 0},
                {4, LITERAL("\x1b\x00\x04\x00\x00\x00\x00\x00\x01"), -EBADMSG},
                {5, LITERAL("\x01"), -EBADMSG},
                {5, LITERAL("\x02"), 0},
                {5, LITERAL("\x19\x0e\x10"), 0},
                {5, LITERAL("\x19\x0e\x11"), -EBADMSG},
                {6, LITERAL("\x40"), -EBADMSG},
                {7, LITERAL("\x60"), -EBADMSG},
                {7, LITERAL("\x61\x41"), -EBADMSG}, /* "A" */
                {7, LITERAL("\x62\xc3\xbc"), -EBADMSG},
                {10, LITERAL("\xf4"), -EBADMSG}, /* what is not so is not said */
                {11, LITERAL("\xf4"), -EBADMSG},
                {12, LITERAL("\x00"), -EBADMSG},
                {12, LITERAL("\x01"), -EBADMSG}, /* nor that somebody is online */
                {12, LITERAL("\x02"), 0},
                {12, LITERAL("\x04"), -EBADMSG},
                {13, LITERAL("\x60"), -EBADMSG},
                {13, LITERAL("\x61\x00"), -EBADMSG},
        };
        _cleanup_(buffer_done) Buffer b = sample_of(BEACON_PERSON);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                int r = map_try_with(signed_body(&b), cases[i].key, cases[i].value, try_beacon);

                if (r != cases[i].want)
                        printf("# case %zu: %d\n", i, r);
                CHECK_EQ(r, cases[i].want);
        }
        check_map_size(signed_body(&b), 3, BOOT_NONCE_SIZE, BOOT_NONCE_SIZE, try_beacon);
}

/* N letters as the text under KEY of a beacon of KIND. */
static int try_letters(BeaconKind kind, uint64_t key, size_t n) {
        _cleanup_(buffer_done) Buffer b = sample_of(kind), text = BUFFER_NULL;

        echo_head(&text, 3, n);
        for (size_t i = 0; i < n; i++)
                CHECK_OK(buffer_append(&text, "a", 1));
        return map_try_with(signed_body(&b), key, sample_bytes(&text), try_beacon);
}

TEST(texts_have_caps) {
        CHECK_OK(try_letters(BEACON_PERSON, 7, NAME_MAX_LENGTH));
        CHECK_EQ(try_letters(BEACON_PERSON, 7, NAME_MAX_LENGTH + 1), -EBADMSG);
        CHECK_OK(try_letters(BEACON_PERSON, 13, PRESENCE_NOTE_MAX));
        CHECK_EQ(try_letters(BEACON_PERSON, 13, PRESENCE_NOTE_MAX + 1), -EBADMSG);
        CHECK_OK(try_letters(BEACON_TRACKER, 9, HOST_SIZE - 1));
        CHECK_EQ(try_letters(BEACON_TRACKER, 9, HOST_SIZE), -EBADMSG);
}

TEST(host) {
        static const struct {
                const char *host;
                int want;
        } cases[] = {{"192.0.2.1", 0}, {"2001:db8::1", 0}, {"a", 0}, {"", -EBADMSG},
                {"a b", -EBADMSG}, {"a:1", -EBADMSG}, {"[2001:db8::1]", -EBADMSG},
                {"a]:1", -EBADMSG}, {"fe80::1%eth0", -EBADMSG}, {"ü.example", -EBADMSG},
                {"a\nb", -EBADMSG}};
        _cleanup_(buffer_done) Buffer b = sample_of(BEACON_TRACKER);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(buffer_done) Buffer text = BUFFER_NULL;
                size_t n = strlen(cases[i].host);

                echo_head(&text, 3, n);
                CHECK_OK(buffer_append(&text, cases[i].host, n));
                CHECK_EQ(map_try_with(signed_body(&b), 9, sample_bytes(&text), try_beacon),
                        cases[i].want);
        }
        CHECK_EQ(map_try_with(signed_body(&b), 9,
                         LITERAL("\x63"
                                 "a\0b"),
                         try_beacon),
                -EBADMSG);
}

TEST(who_signs) {
        const struct {
                SignContext context;
                uint8_t key, counter;
                int want;
        } cases[] = {
                {SIGN_BEACON, ALICE + 1, 0, 0},
                {SIGN_BEACON, ALICE, 0, -EBADMSG}, /* the account itself */
                {SIGN_BEACON, BOB + 1, 0, -EBADMSG},
                {SIGN_PRESENCE, ALICE + 1, 0, -EBADMSG}, /* for another purpose */
                {SIGN_BEACON, ALICE + 1, ALICE, -EBADMSG}, /* counter-signed */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases) * _BEACON_KIND_MAX; i++) {
                _cleanup_(buffer_done) Buffer good = sample_of(i % _BEACON_KIND_MAX);
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                size_t k = i / _BEACON_KIND_MAX;

                b = sign_body(cases[k].context, signed_body(&good), cases[k].key, cases[k].counter);
                CHECK_EQ(decode_beacon(&b), cases[k].want);
        }
}

/* Whom the certificate is of, signs; a certificate that was found good before is not looked at
 * again, the beacon is. */
TEST(certificate) {
        _cleanup_(buffer_done) Buffer bob = sample_certificate_object(BOB);
        _cleanup_(buffer_done) Buffer alice = sample_certificate_object(ALICE);
        _cleanup_(buffer_done) Buffer half = BUFFER_NULL, b = BUFFER_NULL;
        SignKey key = sample_key(ALICE + 1);
        Beacon x = sample_beacon(BEACON_PERSON, ALICE, sample_bytes(&bob)), got;

        CHECK_OK(beacon_encode(&x, &key, &b));
        CHECK_EQ(decode_beacon(&b), -EBADMSG);
        CHECK_OK(beacon_parse(sample_bytes(&b), &got));
        CHECK_EQ(beacon_verify(sample_bytes(&b), &got, true), -EBADMSG);

        buffer_clear(&b);
        half = sign_body(SIGN_DEVICE, signed_body(&alice), ALICE, 0);
        x.certificate = sample_bytes(&half);
        CHECK_OK(beacon_encode(&x, &key, &b));
        CHECK(decode_beacon(&b) < 0); /* no device has signed it */

        buffer_clear(&b);
        x.certificate = sample_text("no certificate");
        CHECK_OK(beacon_encode(&x, &key, &b));
        CHECK_EQ(decode_beacon(&b), -EBADMSG);
}

TEST(tracker_of_a_small_order_key) {
        for (size_t i = 0; i < ELEMENTSOF(SMALL_ORDER_KEYS); i++) {
                _cleanup_(buffer_done) Buffer made = BUFFER_NULL, b = BUFFER_NULL;
                Beacon x = sample_beacon(BEACON_TRACKER, ALICE, (Bytes){});
                SignKey key = sample_key(ALICE + 1);

                memcpy(x.key, SMALL_ORDER_KEYS[i], KEY_SIZE);
                CHECK_OK(beacon_encode(&x, &key, &made));
                b = with_constant_signature(&made, 1);
                CHECK_EQ(decode_beacon(&b), -EKEYREJECTED);
        }
}

TEST(nothing_to_say_is_not_said) {
        _cleanup_(buffer_done) Buffer c = sample_certificate_object(ALICE), b = BUFFER_NULL;
        Beacon x = sample_beacon(BEACON_PERSON, ALICE, sample_bytes(&c)), got;
        SignKey key = sample_key(ALICE + 1);

        x.asks = x.leaves = false;
        x.presence = PRESENCE_ONLINE;
        x.note[0] = 0;
        CHECK_OK(beacon_encode(&x, &key, &b));
        CHECK_EQ(map_pairs(signed_body(&b)).n, 8);
        CHECK_OK(beacon_parse(sample_bytes(&b), &got));
        CHECK(!got.asks && !got.leaves && got.presence == PRESENCE_ONLINE && !got.note[0]);
}

TEST(over_the_cap_it_is_not_written) {
        static const uint8_t big[BEACON_MAX];
        Beacon x = sample_beacon(BEACON_PERSON, ALICE, (Bytes){.data = big, .size = sizeof(big)});
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        SignKey key = sample_key(ALICE + 1);

        CHECK_OK(buffer_append(&b, "before", 6));
        CHECK_EQ(beacon_encode(&x, &key, &b), -EMSGSIZE);
        CHECK_EQ(buffer_size(&b), 6);
}
