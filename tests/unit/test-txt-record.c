/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/txt-record.h"
#include "test.h"

static bool has(const TxtRecord *t, const char *key, const char *value) {
        Bytes got;

        return txt_record_get(t, key, &got) && bytes_equal(got, text_bytes(value));
}

TEST(the_first_string_with_a_key_counts) {
        TxtRecord t = {};
        Bytes value;

        CHECK(txt_record_add(&t, text_bytes("")) == 0);
        CHECK(txt_record_add(&t, text_bytes("=nothing")) == 0);
        CHECK(txt_record_add(&t, text_bytes("Name=one")) == 0);
        CHECK(txt_record_add(&t, text_bytes("name=two")) == 0);
        CHECK(txt_record_add(&t, text_bytes("names=three")) == 0);
        CHECK(txt_record_add(&t, text_bytes("flag")) == 0);
        CHECK(txt_record_add(&t, text_bytes("flag=late")) == 0);
        CHECK(txt_record_add(&t, text_bytes("empty=")) == 0);
        CHECK(has(&t, "name", "one") && has(&t, "NAMES", "three") && has(&t, "empty", ""));
        CHECK(!txt_record_get(&t, "flag", &value) && !txt_record_get(&t, "nam", &value));
}

TEST(a_record_is_as_in_dns_and_bounded) {
        TxtRecord t = {};
        char longest[TXT_STRING_MAX + 2];

        memset(longest, 'x', sizeof(longest));
        CHECK(txt_record_add(&t, text_bytes("v=1")) == 0);
        CHECK(t.size == 4 && memcmp(t.data, "\3v=1", 4) == 0);
        CHECK(txt_record_add(&t, (Bytes){(uint8_t *)longest, TXT_STRING_MAX + 1}) == -E2BIG);
        CHECK(txt_record_add(&t, (Bytes){(uint8_t *)longest, TXT_STRING_MAX}) == 0);
        CHECK(txt_record_add(&t, (Bytes){(uint8_t *)longest, TXT_STRING_MAX}) == -E2BIG);
        CHECK(txt_record_add(&t, (Bytes){(uint8_t *)longest, TXT_RECORD_MAX - 4 - 256 - 1}) == 0);
        CHECK(t.size == TXT_RECORD_MAX && txt_record_add(&t, text_bytes("")) == -E2BIG);
        CHECK(has(&t, "v", "1"));
}

TEST(what_is_cut_off_is_no_string) {
        TxtRecord t = {.size = 8, .data = "\3v=1\4a=2"};
        size_t offset = 0;
        Bytes s;

        CHECK(txt_record_next(&t, &offset, &s) && bytes_equal(s, text_bytes("v=1")));
        CHECK(!txt_record_next(&t, &offset, &s) && offset == 4);
        CHECK(!txt_record_get(&t, "a", &s));
}
