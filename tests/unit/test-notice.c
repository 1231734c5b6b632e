/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/notice.h"
#include "test.h"
#include "util/text.h"

static char title[NOTICE_TITLE_SIZE], body[NOTICE_BODY_SIZE];

TEST(a_title_has_the_name_and_from_two_on_the_count) {
        CHECK_STR(notice_title("bob", 0, title), "bob");
        CHECK_STR(notice_title("bob", 1, title), "bob");
        CHECK_STR(notice_title("bob", 2, title), "bob (2 unread)");
        CHECK_STR(notice_title("bob", UINT32_MAX, title), "bob (4294967295 unread)");
        CHECK_STR(notice_title("two\nlines", 1, title), "two lines");
        CHECK_STR(notice_hidden(1), "New message");
        CHECK_STR(notice_hidden(2), "New messages");
}

TEST(markup_is_written_so_that_it_is_shown) {
        CHECK_STR(notice_body("<a href=\"x\">&amp;'</a>", false, body), "<a href=\"x\">&amp;'</a>");
        CHECK_STR(notice_body("<a href=\"x\">&amp;'</a>", true, body),
                "&lt;a href=&quot;x&quot;&gt;&amp;amp;&#39;&lt;/a&gt;");
}

TEST(what_controls_or_turns_direction_is_not_in_it) {
        CHECK_STR(notice_body("a\x01"
                              "b\x1b[1mc\x7f\xc2\x9b"
                              "d",
                          false, body),
                "a b [1mc  d");
        CHECK_STR(notice_body("a\nb\xc2\x85"
                              "c\xe2\x80\xa8"
                              "d\xe2\x80\xa9"
                              "e\r\tf",
                          false, body),
                "a\nb\nc\nd\ne  f");
        CHECK_STR(notice_body("x\xd8\x9cx\xe2\x80\x8ex\xe2\x80\x8fx\xe2\x80\xaax\xe2\x80\xaex"
                              "\xe2\x81\xa6x\xe2\x81\xa9x",
                          false, body),
                "xxxxxxxx");
        /* What joins the parts of one sign has to stay. */
        CHECK_STR(notice_body("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", false, body),
                "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb");
        CHECK_STR(notice_body("bad \xff\xc3 \xe2\x82", false, body), "bad ?? ??");
}

TEST(long_texts_are_cut_between_characters) {
        char text[4 * NOTICE_BODY_MAX];

        for (size_t before = 0; before < 4; before++) {
                size_t n = before;

                memset(text, 'x', before);
                while (n + 4 < sizeof(text)) {
                        memcpy(text + n, "\xf0\x9f\x91\xa9", 4);
                        n += 4;
                }
                text[n] = 0;
                notice_body(text, true, body);
                CHECK(utf8_is_valid(body, strlen(body)));
                CHECK(strlen(body) > NOTICE_BODY_MAX - 4);
                CHECK(strlen(body) <= NOTICE_BODY_MAX + STRLEN("…"));
                CHECK_STR(body + strlen(body) - STRLEN("…"), "…");
                notice_title(text, 2, title);
                CHECK(utf8_is_valid(title, strlen(title)));
                CHECK(strlen(title) < sizeof(title));
        }
}

TEST(what_fits_exactly_is_whole) {
        char text[NOTICE_BODY_MAX + 2];

        memset(text, '"', sizeof(text));
        text[NOTICE_BODY_MAX] = 0;
        notice_body(text, true, body);
        CHECK_EQ(strlen(body), (size_t)NOTICE_BODY_MAX * NOTICE_MARKUP_MAX);
        text[NOTICE_BODY_MAX] = '"';
        text[NOTICE_BODY_MAX + 1] = 0;
        notice_body(text, true, body);
        CHECK_EQ(strlen(body), (size_t)NOTICE_BODY_MAX * NOTICE_MARKUP_MAX + STRLEN("…"));
}
