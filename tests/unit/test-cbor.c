/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "cbor-echo.h"
#include "util/text.h"

/* Hexadecimal digits and blanks. */
static size_t unhex(const char *hex, uint8_t *ret, size_t max) {
        size_t digits = 0;

        for (; *hex; hex++) {
                const char *all = "0123456789abcdef", *d = strchr(all, *hex);

                if (*hex == ' ')
                        continue;
                CHECK(d && digits / 2 < max);
                ret[digits / 2] = (uint8_t)(ret[digits / 2] << 4 | (d - all));
                digits++;
        }
        CHECK(digits % 2 == 0);
        return digits / 2;
}

static int try_hex(const char *hex) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        uint8_t in[512];
        size_t n = unhex(hex, in, sizeof(in));
        CborReader r = cbor_reader(in, n);
        int skipped, echoed;

        cbor_skip(&r);
        skipped = cbor_finish(&r, NULL, 0);
        echoed = echo(in, n, &out);
        CHECK_EQ(skipped, echoed);
        if (echoed == 0) {
                CHECK_EQ(buffer_size(&out), n);
                CHECK(memcmp(buffer_data(&out), in, n) == 0);
        }
        return echoed;
}

static void check_all(const char *const *list, int want) {
        for (; *list; list++)
                if (try_hex(*list) != want) {
                        printf("# %s: expected %s\n", *list, want == 0 ? "taken" : "refused");
                        CHECK(false);
                }
}

/* RFC 8949, appendix A, as far as it is in the subset. */
TEST(the_examples_of_the_rfc_are_taken) {
        check_all((const char *const[]){"00", "01", "0a", "17", "1818", "1819", "1864", "1903e8",
                          "1a000f4240", "1b000000e8d4a51000", "1bffffffffffffffff", "20", "29",
                          "3863", "3903e7", "3bffffffffffffffff", "f4", "f5", "f6", "40",
                          "4401020304", "60", "6161", "6449455446", "62225c", "62c3bc", "63e6b0b4",
                          "64f0908591", "80", "83010203", "8301820203820405",
                          "98190102030405060708090a0b0c0d0e0f101112131415161718181819", "a0",
                          "a201020304", "a201820203036161", NULL},
                0);
}

TEST(longer_heads_than_needed_are_refused) {
        check_all((const char *const[]){"1800", "1817", "190000", "1900ff", "1a00000000",
                          "1a0000ffff", "1b0000000000000000", "1b00000000ffffffff", "3800", "3817",
                          "3900ff", "3a0000ffff", "3b00000000ffffffff", "5800", "580101",
                          "59000101", "5a0000000101", "5b000000000000000101", "7800", "780161",
                          "79000161", "7a0000000161", "7b000000000000000161", "9800", "980100",
                          "99000100", "9a0000000100", "9b000000000000000100", "b800", "b8010000",
                          "b900010000", "ba000000010000", "bb00000000000000010000", "a1 1800 00",
                          "a1 1817 00", "a1 190017 00", NULL},
                -EBADMSG);
}

TEST(maps_have_ascending_keys_without_duplicates) {
        check_all((const char *const[]){"a2 01 00 00 00", "a2 1818 00 01 00", "a2 01 00 01 00",
                          "a2 01 00 01 01", "a3 00 00 02 00 01 00", "81 a2 01 00 01 00",
                          "a1 00 a2 05 00 04 00", NULL},
                -EBADMSG);
        check_all((const char *const[]){"a2 00 00 01 00", "a3 17 00 1818 00 190100 00",
                          "a1 1bffffffffffffffff 00", NULL},
                0);
}

TEST(keys_are_unsigned_integers) {
        check_all((const char *const[]){"a1 20 00", "a1 6161 00", "a1 4161 00", "a1 80 00",
                          "a1 a0 00", "a1 f5 00", "a1 f6 00", NULL},
                -EBADMSG);
}

TEST(indefinite_lengths_are_refused) {
        check_all((const char *const[]){"5f42010243030405ff", "5fff", "7f657374726561646d696e67ff",
                          "7fff", "9fff", "9f018202039f0405ffff", "9f01820203820405ff",
                          "83018202039f0405ff", "83019f0203ff820405", "bfff",
                          "bf61610161629f0203ffff", "bf0001ff", "ff", NULL},
                -EBADMSG);
}

TEST(tags_floats_and_other_simple_values_are_refused) {
        check_all((const char *const[]){"c249010000000000000000", "c349010000000000000000",
                          "c074323031332d30332d32315432303a30343a30305a", "c11a514b67b0",
                          "d74401020304", "d818456449455446", "c000", "f90000", "f98000", "f93c00",
                          "fb3ff199999999999a", "f97e00", "fa7fc00000", "fb7ff8000000000000",
                          "fa47c35000", "f7", "f0", "e0", "f3", "f8ff", "f814", "f815", "f816",
                          "f818", NULL},
                -EBADMSG);
        check_all((const char *const[]){"1c", "1d", "1e", "1f", "3c", "3f", "5c", "7c", "9c", "bc",
                          "dc", "fc", "fd", "fe", NULL},
                -EBADMSG);
}

TEST(text_is_utf_8) {
        check_all(
                (const char *const[]){"61ff", "6180", "61c3", "62c328", "62c0af", "62c1bf",
                        "63e08080", "63e09fbf", "63eda080", "63edbfbf", "64f08080af", "64f08fbfbf",
                        "64f4908080", "64f5808080", "65f888808080", "62e6b0", "a1 00 61ff", NULL},
                -EBADMSG);
        check_all((const char *const[]){"6100", "61 7f", "62c280", "63ed9fbf", "63ee8080",
                          "64f48fbfbf", "63efbfbf", NULL},
                0);
}

TEST(what_is_cut_or_left_over_is_refused) {
        static const char whole[] = "a301820203036161 04 43010203";
        uint8_t in[64];
        size_t n = unhex(whole, in, sizeof(in));

        CHECK_OK(try_hex(whole));
        for (size_t cut = 0; cut < n; cut++) {
                CborReader r = cbor_reader(in, cut);

                cbor_skip(&r);
                CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
        }
        check_all((const char *const[]){"", "0000", "a000", "8000", "4000", "1801 00", "8100 00",
                          "a1 00 00 00", "83 01 02", "a2 00 00", "42 00", "18", "1b 00000000000000",
                          NULL},
                -EBADMSG);
}

/* What is announced is compared with what is there before anything is done with it. */
TEST(huge_counts_are_refused_at_once) {
        check_all((const char *const[]){"5bffffffffffffffff", "7bffffffffffffffff",
                          "9bffffffffffffffff", "bbffffffffffffffff", "bb8000000000000000",
                          "bb7fffffffffffffff 0000", "9a7fffffff 00", "5a7fffffff 00",
                          "ba7fffffff 0000", NULL},
                -EBADMSG);
}

TEST(depth_is_at_most_eight) {
        CHECK_OK(try_hex("8181818181818180"));
        CHECK_OK(try_hex("8181818181818181 00"));
        CHECK_EQ(try_hex("818181818181818180"), -EBADMSG);
        CHECK_OK(try_hex("a100a100a100a100a100a100a100a0"));
        CHECK_EQ(try_hex("a100a100a100a100a100a100a100a100a0"), -EBADMSG);
        /* Levels that are done do not count. */
        CHECK_OK(try_hex("8a 81818181818180 81818181818180 80808080 a0a0a000"));
}

static uint64_t state;

static uint64_t random_below(uint64_t limit) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state % limit;
}

static void random_bytes(Buffer *out, unsigned major) {
        static const char *const pieces[] = {"a", "ü", "水", "𐅑", "", "{}"};
        size_t n = random_below(5), size = 0;
        char text[64] = "";

        if (major == 2) {
                n = random_below(40);
                echo_head(out, 2, n);
                while (n-- > 0)
                        CHECK_OK(buffer_append(out, &(uint8_t){(uint8_t)random_below(256)}, 1));
                return;
        }
        while (n-- > 0)
                strcat(text, pieces[random_below(ELEMENTSOF(pieces))]);
        size = strlen(text);
        echo_head(out, 3, size);
        CHECK_OK(buffer_append(out, text, size));
}

static void random_item(Buffer *out, unsigned depth) {
        uint64_t kind = random_below(depth < CBOR_DEPTH_MAX ? 8 : 5), n, key = 0;

        switch (kind) {
        case 0:
        case 1:
                echo_head(out, (unsigned)kind, random_below(UINT64_MAX) >> random_below(64));
                break;
        case 2:
        case 3:
                random_bytes(out, (unsigned)kind);
                break;
        case 4:
                echo_head(out, 7, 20 + random_below(3));
                break;
        case 5:
                n = random_below(4);
                echo_head(out, 4, n);
                while (n-- > 0)
                        random_item(out, depth + 1);
                break;
        default:
                n = random_below(5);
                echo_head(out, 5, n);
                while (n-- > 0) {
                        key += random_below(30);
                        echo_head(out, 0, key++);
                        random_item(out, depth + 1);
                }
        }
}

static bool taken_unchanged(const uint8_t *p, size_t n) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;

        if (echo(p, n, &out) < 0)
                return false;
        CHECK_EQ(buffer_size(&out), n);
        CHECK(memcmp(buffer_data(&out), p, n) == 0);
        return true;
}

/* One byte changed, added or taken away. */
static void mutate(Buffer *b) {
        size_t n = buffer_size(b), at = random_below(n);
        uint8_t *p = buffer_data(b), byte = (uint8_t)random_below(256);

        switch (random_below(4)) {
        case 0:
                p[at] ^= (uint8_t)(1 << random_below(8));
                break;
        case 1:
                p[at] = byte;
                break;
        case 2:
                memmove(p + at, p + at + 1, n - at - 1);
                b->end--;
                break;
        default:
                CHECK_OK(buffer_append(b, &byte, 1));
                p = buffer_data(b);
                memmove(p + at + 1, p + at, n - at);
                p[at] = byte;
        }
}

TEST(whatever_is_taken_is_written_again_byte_for_byte) {
        unsigned taken = 0, refused = 0;

        state = 20260101;
        for (int i = 0; i < 20000; i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                random_item(&b, 0);
                CHECK(taken_unchanged(buffer_data(&b), buffer_size(&b)));
                for (int k = 0; k < 8 && buffer_size(&b) > 0; k++) {
                        mutate(&b);
                        if (taken_unchanged(buffer_data(&b), buffer_size(&b)))
                                taken++;
                        else
                                refused++;
                }
        }
        /* Both must have happened, or the changes were no test. */
        CHECK(taken > 1000 && refused > 1000);
}

TEST(the_writer_uses_the_same_forms) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        CborWriter w = cbor_writer(&b);
        uint8_t want[128];
        size_t n;

        cbor_map_begin(&w);
        cbor_pair_uint(&w, 0, 23);
        cbor_pair_uint(&w, 1, 24);
        cbor_pair_uint(&w, 2, 255);
        cbor_pair_uint(&w, 3, 256);
        cbor_pair_uint(&w, 4, 65535);
        cbor_pair_uint(&w, 5, 65536);
        cbor_pair_uint(&w, 6, UINT32_MAX);
        cbor_pair_uint(&w, 7, UINT64_C(1) << 32);
        cbor_pair_uint(&w, 8, UINT64_MAX);
        cbor_pair_bool(&w, 9, true);
        cbor_pair_bool(&w, 23, false);
        cbor_pair_bytes(&w, 24, "\1\2", 2);
        cbor_pair_bytes(&w, 255, NULL, 0);
        cbor_pair_text(&w, 256, "ü");
        cbor_key(&w, 257);
        cbor_put_array(&w, 2);
        cbor_map_begin(&w);
        cbor_map_end(&w);
        cbor_put_text_bytes(&w, (Bytes){});
        cbor_map_end(&w);
        CHECK_OK(w.error);
        n = unhex("af 0017 011818 0218ff 03190100 0419ffff 051a00010000 061affffffff"
                  "071b0000000100000000 081bffffffffffffffff 09f5 17f4 1818420102 18ff40"
                  "19010062c3bc 190101 82a060",
                want, sizeof(want));
        CHECK_EQ(buffer_size(&b), n);
        CHECK(memcmp(buffer_data(&b), want, n) == 0);
        CHECK(taken_unchanged(want, n));
}

static CborReader reader_of(const char *hex, uint8_t in[static 64]) {
        return cbor_reader(in, unhex(hex, in, 64));
}

TEST(typed_reads_keep_to_their_bounds) {
        uint8_t in[64], fixed[4];
        CborReader r;

        r = reader_of("19 0100", in);
        CHECK_EQ(cbor_read_uint_max(&r, 256), 256);
        CHECK_OK(cbor_finish(&r, NULL, 0));
        r = reader_of("19 0100", in);
        CHECK_EQ(cbor_read_uint_max(&r, 255), 0);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
        r = reader_of("00", in);
        cbor_read_positive(&r, 5);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
        r = reader_of("44 01020304", in);
        CHECK_EQ(cbor_read_bytes(&r, 3).size, 0);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
        r = reader_of("44 01020304", in);
        CHECK_EQ(cbor_read_bytes(&r, 4).size, 4);
        CHECK_OK(cbor_finish(&r, NULL, 0));
        r = reader_of("40", in);
        cbor_read_some(&r, 4);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
        for (size_t n = 3; n <= 5; n++) {
                r = reader_of(n == 3 ? "43010203" : n == 4 ? "4401020304" : "450102030405", in);
                cbor_read_fixed(&r, fixed, 4);
                CHECK_EQ(cbor_finish(&r, NULL, 0), n == 4 ? 0 : -EBADMSG);
        }
        r = reader_of("83 00 00 00", in);
        CHECK_EQ(cbor_read_array(&r, 2), 0);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
}

TEST(typed_reads_take_their_type_only) {
        static const char *const items[] = {
                "01", "20", "4101", "6161", "8100", "a10000", "f5", "f6"};

        for (size_t i = 0; i < ELEMENTSOF(items); i++)
                for (int want = 0; want < 6; want++) {
                        static const int takes[] = {0, -1, 1, 2, 3, 4, 5, -1};
                        uint8_t in[64];
                        CborReader r = reader_of(items[i], in);
                        CborMap m;

                        switch (want) {
                        case 0:
                                cbor_read_uint(&r);
                                break;
                        case 1:
                                cbor_read_bytes(&r, 9);
                                break;
                        case 2:
                                cbor_read_text(&r, 9);
                                break;
                        case 3:
                                cbor_read_array(&r, 9);
                                break;
                        case 4:
                                cbor_read_map(&r, &m);
                                break;
                        default:
                                cbor_read_bool(&r);
                        }
                        CHECK_EQ(r.error, takes[i] == want ? 0 : -EBADMSG);
                }
}

TEST(after_the_first_error_nothing_is_read) {
        uint8_t in[64], fixed[2] = {9, 9};
        CborReader r = reader_of("61ff 05 4161", in);
        uint64_t key = 77;
        CborMap m;

        CHECK_EQ(cbor_read_text(&r, 9).size, 0);
        CHECK_EQ(cbor_read_uint(&r), 0);
        CHECK_EQ(cbor_read_bytes(&r, 9).size, 0);
        CHECK(!cbor_read_bool(&r));
        CHECK_EQ(cbor_read_array(&r, 9), 0);
        cbor_read_fixed(&r, fixed, 2);
        CHECK_EQ(fixed[0], 9);
        cbor_read_map(&r, &m);
        CHECK(!cbor_map_next(&r, &m, &key));
        CHECK_EQ(key, 77);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
}

TEST(required_and_unknown_keys) {
        static const struct {
                const char *hex;
                uint64_t required;
                int want;
        } cases[] = {
                {"a0", 0, 0},
                {"a0", 1, -EBADMSG},
                {"a1 00 00", 1, 0},
                {"a1 00 00", 2, -EBADMSG},
                {"a2 00 00 01 00", 3, 0},
                {"a2 00 00 05 00", 1, -EBADMSG}, /* 5 is not known */
                {"a2 00 00 183f 00", 1, -EBADMSG}, /* nor is 63 */
                {"a2 00 00 1840 00", 1, 0}, /* 64 may be ignored */
                {"a2 00 00 1840 82a100f4 6161", 1, 0}, /* whatever it holds */
                {"a2 00 00 1840 82a100f7 6161", 1, -EBADMSG}, /* as long as it is well-formed */
                {"a1 1840 00", 1, -EBADMSG},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint8_t in[64];
                CborReader r = reader_of(cases[i].hex, in);
                uint64_t key;
                CborMap m;

                cbor_read_map(&r, &m);
                while (cbor_map_next(&r, &m, &key))
                        if (key <= 1)
                                cbor_read_uint(&r);
                        else
                                cbor_unknown_key(&r, key);
                CHECK_EQ(cbor_finish(&r, &m, cases[i].required), cases[i].want);
        }
}

TEST(a_map_that_was_not_read_to_its_end_is_not_finished) {
        uint8_t in[64];
        CborReader r = reader_of("a2 00 00 01 00", in);
        uint64_t key;
        CborMap m;

        cbor_read_map(&r, &m);
        CHECK(cbor_map_next(&r, &m, &key));
        CHECK_EQ(cbor_read_uint(&r), 0);
        CHECK_EQ(cbor_finish(&r, &m, 1), -EBADMSG);
        CHECK(cbor_map_next(&r, &m, &key));
        cbor_map_unread(&m);
        CHECK(cbor_map_next(&r, &m, &key));
        CHECK_EQ(key, 1);
        cbor_read_uint(&r);
        CHECK(!cbor_map_next(&r, &m, &key));
        CHECK_OK(cbor_finish(&r, &m, 3));
}

TEST(nothing_at_all_is_no_item) {
        CborReader r = cbor_reader(NULL, 0);

        cbor_skip(&r);
        CHECK_EQ(cbor_finish(&r, NULL, 0), -EBADMSG);
}
