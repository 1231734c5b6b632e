/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "util/macro.h"

#include <locale.h>

#include "cli/args.h"
#include "cli/chat-line.h"
#include "cli/chatc.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/synopsis.h"
#include "cli/value.h"
#include "cli/wait.h"

/* The parser reorders the array and leaves the strings alone. */
#define ARGV(...) ((char **)(const char *[]){__VA_ARGS__, NULL})

static bool all, json;
static const char *count, *id;

static const Option own[] = {
        {"--all", .flag = &all}, {"-n", .value = &count}, {"--id", .value = &id}, {}};
static const Option common[] = {{"--json", .flag = &json}, {}};

/* The words that are found point into the list, which a macro's block does not outlive: it is kept
 * here until the next one. */
static int parse(char **argv, Args *ret) {
        static char *kept[32];
        char error[ARGS_ERROR_SIZE] = "";
        size_t n = 0;
        int r;

        do
                kept[n] = argv[n];
        while (argv[n++] && n < sizeof(kept) / sizeof(kept[0]));
        all = json = false;
        count = id = NULL;
        r = args_parse(kept, own, common, ret, error);
        CHECK((r < 0) == (error[0] != '\0'));
        return r;
}

TEST(options_stand_anywhere) {
        Args a;

        CHECK_OK(parse(ARGV("bob", "--json", "hi", "-n", "5", "--all", "there", "--id=x=y"), &a));
        CHECK(all && json);
        CHECK_STR(count, "5");
        CHECK_STR(id, "x=y");
        CHECK_EQ(a.n_words, 3);
        CHECK_EQ(a.literal, 3);
        CHECK_STR(a.words[2], "there");
}

TEST(double_dash_ends_options) {
        Args a;

        CHECK_OK(parse(ARGV("bob", "--", "--all", "--", "-n"), &a));
        CHECK(!all && !count);
        CHECK_EQ(a.n_words, 4);
        CHECK_EQ(a.literal, 1);
        CHECK_STR(a.words[1], "--all");
        CHECK_STR(a.words[2], "--");
}

TEST(single_dash_is_a_word) {
        Args a;

        CHECK_OK(parse(ARGV("bob", "-"), &a));
        CHECK_EQ(a.n_words, 2);
        CHECK_OK(parse(ARGV("--id", "-"), &a));
        CHECK_EQ(a.n_words, 0);
        CHECK_STR(id, "-");
}

TEST(short_option_takes_attached_value) {
        Args a;

        CHECK_OK(parse(ARGV("-n12", "bob"), &a));
        CHECK_STR(count, "12");
}

TEST(wrong_options_are_refused) {
        Args a;

        CHECK_EQ(parse(ARGV("--al"), &a), -EINVAL);
        CHECK_EQ(parse(ARGV("--allx"), &a), -EINVAL);
        CHECK_EQ(parse(ARGV("--all=yes"), &a), -EINVAL);
        CHECK_EQ(parse(ARGV("bob", "-n"), &a), -EINVAL);
        CHECK_EQ(parse(ARGV("-x"), &a), -EINVAL);
}

TEST(words_are_joined_untrimmed) {
        _cleanup_(freep) char *s = NULL, *empty = NULL;
        Args a;

        CHECK_OK(parse(ARGV("bob", "  a ", "", "b "), &a));
        s = args_join(&a, 1);
        CHECK_STR(s, "  a   b ");
        empty = args_join(&a, 4);
        CHECK_STR(empty, "");
}

TEST(numbers) {
        uint64_t n = 0;
        usec_t t = 0;

        CHECK_OK(parse_number("18446744073709551615", 1, UINT64_MAX, &n));
        CHECK(n == UINT64_MAX);
        CHECK_EQ(parse_number("18446744073709551616", 1, UINT64_MAX, &n), -EINVAL);
        CHECK_EQ(parse_number("0", 1, 10, &n), -EINVAL);
        CHECK_EQ(parse_number("11", 1, 10, &n), -EINVAL);
        CHECK_EQ(parse_number("-1", 0, 10, &n), -EINVAL);
        CHECK_EQ(parse_number("1x", 0, 10, &n), -EINVAL);
        CHECK_EQ(parse_number("", 0, 10, &n), -EINVAL);

        CHECK_OK(parse_seconds("30", &t));
        CHECK(t == 30 * USEC_PER_SEC);
        CHECK_OK(parse_seconds("0.25", &t));
        CHECK(t == 250 * USEC_PER_MSEC);
        CHECK_EQ(parse_seconds("1.", &t), -EINVAL);
        CHECK_EQ(parse_seconds(".5", &t), -EINVAL);
        CHECK_EQ(parse_seconds("1e3", &t), -EINVAL);
        CHECK_EQ(parse_seconds("99999999999", &t), -EINVAL);
        CHECK_EQ(parse_seconds("0.1234567", &t), -EINVAL);
}

static char shown[1024];

static const char *safe(const char *s, const char *newline) {
        FILE *f = fmemopen(shown, sizeof(shown), "w");

        print_safe(f, s, newline);
        fclose(f);
        return shown;
}

static const char *quoted(const char *s) {
        FILE *f = fmemopen(shown, sizeof(shown), "w");

        json_string(f, s);
        fclose(f);
        return shown;
}

TEST(terminal_sees_no_control_characters) {
        CHECK_STR(safe("plain, äöü € 😀", NULL), "plain, äöü € 😀");
        CHECK_STR(safe("\x1b[2Ja\a\b\x7f", NULL), "\\u001b[2Ja\\u0007\\u0008\\u007f");
        CHECK_STR(safe("a\tb\rc\nd", NULL), "a\\tb\\rc\\nd");
        CHECK_STR(safe("a\nb", "\n    "), "a\n    b");
        CHECK_STR(safe("\xc2\x9b"
                       "31m\xc2\x80\xc2\xa0",
                          NULL),
                "\\u009b31m\\u0080\xc2\xa0");
        CHECK_STR(safe("\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf", NULL), "\\u202a\\u202e\xe2\x80\xaf");
        CHECK_STR(safe("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa", NULL),
                "\xe2\x81\xa5\\u2066\\u2069\xe2\x81\xaa");
        CHECK_STR(safe("\xe2\x80\xa8\xe2\x80\xa9", NULL), "\\u2028\\u2029");
}

TEST(only_the_start_is_shown) {
        FILE *f = fmemopen(shown, sizeof(shown), "w");

        print_start(f, "äb\ncd", 3);
        fputc('|', f);
        print_start(f, "äbc", 3);
        fclose(f);
        CHECK_STR(shown, "äb\\n…|äbc");
}

TEST(terminal_sees_no_invalid_utf8) {
        CHECK_STR(safe("a\xff\x9b", NULL), "a\\xff\\x9b");
        CHECK_STR(safe("\xc0\x9b"
                       "31m",
                          NULL),
                "\\xc0\\x9b31m");
        CHECK_STR(safe("\xed\xa0\x80", NULL), "\\xed\\xa0\\x80");
        CHECK_STR(safe("\xe2\x80", NULL), "\\xe2\\x80");
}

TEST(json_strings) {
        CHECK_STR(quoted("a\"b\\c/\n\r\t\x01\x7f"), "\"a\\\"b\\\\c/\\n\\r\\t\\u0001\\u007f\"");
        CHECK_STR(quoted("ä😀"), "\"ä😀\"");
        CHECK_STR(quoted("\xc2\x9b\xe2\x80\xae\xe2\x80\xa8"), "\"\\u009b\\u202e\\u2028\"");
        CHECK_STR(quoted("\xff"), "\"\\ufffd\"");
}

static Value text(const char *s) {
        return (Value){VALUE_STRING, .string = (char *)s};
}

TEST(json_lines) {
        Value name = text("bob"), none = text(""), yes = {VALUE_BOOL, .boolean = true};
        Value seen = {VALUE_U64, .number = UINT64_C(1700000000000001)}, never = {VALUE_U64};
        Value count_of = {VALUE_NUMBER}, cursor = {VALUE_U64, .number = 7};
        Value list = {VALUE_LIST},
              *items[] = {&name, &none, &yes, &seen, &never, &count_of, &cursor, &list};
        char *keys[] = {(char *)"name", (char *)"note", (char *)"contact", (char *)"last-seen",
                (char *)"expires", (char *)"unread", (char *)"cursor", (char *)"via"};
        Value dict = {VALUE_DICT, .items = items, .keys = keys, .n_items = 8};
        FILE *f = fmemopen(shown, sizeof(shown), "w");

        json_line(f, &dict);
        fclose(f);
        CHECK_STR(shown,
                "{\"name\":\"bob\",\"contact\":true,\"last-seen\":\"2023-11-14T22:13:20.000001Z\","
                "\"unread\":0,\"cursor\":\"7\",\"via\":[]}\n");
        CHECK_STR(value_string(&dict, "name"), "bob");
        CHECK_STR(value_string(&dict, "contact"), "");
        CHECK_STR(value_string(NULL, "name"), "");
        CHECK_EQ(value_number(&dict, "missing"), 0);
        CHECK(value_bool(&dict, "contact"));
}

TEST(only_dictionaries_have_members) {
        Value number = {VALUE_NUMBER, .number = 1}, *item = &number;
        Value list = {VALUE_LIST, .items = &item, .n_items = 1};
        FILE *f = fmemopen(shown, sizeof(shown), "w");

        json_line(f, &list);
        print_dict(f, &list);
        fclose(f);
        CHECK_STR(shown, "{}\n");
}

TEST(page_mark_is_taken_off) {
        Value *mark = calloc(1, sizeof(Value)), *yes = calloc(1, sizeof(Value));
        Value **inner = calloc(1, sizeof(*inner));
        char **key = calloc(1, sizeof(*key));
        Value list = {VALUE_LIST, .items = &mark, .n_items = 1};

        *yes = (Value){VALUE_BOOL, .boolean = true};
        inner[0] = yes;
        key[0] = strdup("more");
        *mark = (Value){VALUE_DICT, .items = inner, .keys = key, .n_items = 1};
        CHECK(value_take_more(&list));
        CHECK_EQ(list.n_items, 0);
        CHECK(!value_take_more(&list));
}

TEST(states_are_ordered) {
        CHECK(message_state_from_string("queued") < message_state_from_string("stored"));
        CHECK(message_state_from_string("stored") < message_state_from_string("delivered"));
        CHECK(message_state_from_string("delivered") < message_state_from_string("read"));
        CHECK(message_state_from_string("Read") < 0);
}

static bool has_option(const Synopsis *s, const char *name, const char *value) {
        const SynopsisOption *o = synopsis_option(s, name, strlen(name));

        return o && span_is(o->value, value);
}

TEST(synopsis_is_taken_apart) {
        Synopsis s;

        synopsis_parse(
                "TO TEXT… | TO -  [--id UUID] [--wait delivered|read [--timeout S]] [--all]", &s);
        CHECK_EQ(s.n_words, 2);
        CHECK(span_is(s.words[0], "TO") && span_is(s.words[1], "TEXT…"));
        CHECK_EQ(s.n_options, 4);
        CHECK(has_option(&s, "--id", "UUID"));
        CHECK(has_option(&s, "--wait", "delivered|read"));
        CHECK(has_option(&s, "--timeout", "S"));
        CHECK(has_option(&s, "--all", ""));
        CHECK(!synopsis_option(&s, "--i", 3));

        synopsis_parse("[--verify] FILE", &s);
        CHECK(has_option(&s, "--verify", ""));
        CHECK(s.n_words == 1 && span_is(s.words[0], "FILE"));

        synopsis_parse("#ROOM [--private|--hidden] [-n N] [--since A | --client B]", &s);
        CHECK_EQ(s.n_options, 5);
        CHECK(has_option(&s, "--private", "") && has_option(&s, "--hidden", ""));
        CHECK(has_option(&s, "-n", "N"));
        CHECK(has_option(&s, "--since", "A") && has_option(&s, "--client", "B"));

        synopsis_parse("", &s);
        CHECK(s.n_words == 0 && s.n_options == 0);
}

/* Lines of a conversation */

static char rows[4096];

/* The rows of a text of bob's in a window of this width, without what stands before them. */
static size_t render(const char *name, const char *text, unsigned columns) {
        const Line l = {.name = name, .account = "b", .text = text, .mark = MARK_DELIVERED};
        FILE *f = fmemopen(rows, sizeof(rows), "w");
        const Chatc plain = {};
        size_t n;

        setlocale(LC_CTYPE, "C.UTF-8");
        n = line_render(&plain, f, &l, columns);
        fclose(f);
        return n;
}

/* Each row fits, and says so: what is counted is what a terminal shows. */
static bool rows_fit(size_t n, unsigned columns) {
        char copy[sizeof(rows)], *save = NULL;
        size_t found = 0;

        memcpy(copy, rows, sizeof(copy));
        for (char *row = strtok_r(copy, "\n", &save); row; row = strtok_r(NULL, "\n", &save)) {
                if (text_columns(row) >= columns)
                        return false;
                found++;
        }
        return found == n;
}

TEST(lines_are_broken_at_words) {
        CHECK_EQ(render("bob", "one two three", 80), 1);
        CHECK_STR(rows, "      ✓  bob: one two three\n");
        CHECK_EQ(render("bob", "aaaa bbbb cccc dddd eeee ffff", 40), 2);
        CHECK_STR(rows, "      ✓  bob: aaaa bbbb cccc dddd eeee \n         ffff\n");
        /* The last column stays free. */
        CHECK_EQ(render("bob", "aaaa bbbb cccc dddd eeeee", 40), 1);
        CHECK_EQ(render("bob", "aaaa bbbb cccc dddd eeeeee", 40), 2);
        CHECK_EQ(render("bob", "one\n\n two", 80), 3);
        CHECK_STR(rows, "      ✓  bob: one\n         \n          two\n");
        /* Narrow windows do without the time. */
        CHECK_EQ(render("bob", "one two", 39), 1);
        CHECK_STR(rows, "✓  bob: one two\n");
}

TEST(lines_fit_whatever_is_said) {
        static const char *const texts[] = {
                "a word that is muchlongerthanthewindowiswideandhasnoblankanywhereinit and more",
                "日本語のとても長い文章はここで折り返される、言葉の間に空白がないので",
                "e\xcc\x81"
                "e\xcc\x81"
                "e\xcc\x81"
                " combining marks take no room e\xcc\x81",
                "\x1b[2J \xc2\x9b"
                "31m \xff\xfe \xe2\x80\xae"
                "rtl \t\r",
                "                                                              blanks      ",
                "",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                for (unsigned columns = 12; columns < 90; columns++) {
                        size_t n = render("bob", texts[i], columns);

                        if (!rows_fit(n, columns) || strpbrk(rows, "\x1b\r\t"))
                                printf("# text %zu in %u columns\n", i, columns),
                                        test_fail(__FILE__, __LINE__, rows);
                }
        CHECK_EQ(render("a-name-of-thirty-two-characters-.", "x", 20), 3);
        CHECK(rows_fit(3, 20));
}

/* What looks like a line of somebody else's never stands where one would. */
TEST(lines_cannot_be_forged) {
        static const char text[] = "hi\n12:00 ✓  alice: one\n                                    "
                                   "                                  12:00 ✓  alice: two";

        for (unsigned columns = 12; columns < 90; columns++) {
                render("bob", text, columns);
                for (const char *row = rows; (row = strchr(row, '\n')) && row[1]; row++)
                        if (strncmp(row + 1, "   ", 3) != 0)
                                printf("# in %u columns\n", columns),
                                        test_fail(__FILE__, __LINE__, rows);
        }
}

TEST(marks_follow_states) {
        CHECK(line_mark_from_state("queued") < line_mark_from_state("stored"));
        CHECK(line_mark_from_state("delivered") < line_mark_from_state("read"));
        CHECK_EQ(line_mark_from_state("expired"), MARK_FAILED);
        CHECK_EQ(line_mark_from_state("received"), MARK_NONE);
        for (LineMark m = MARK_NONE; m <= MARK_FAILED; m++) {
                setlocale(LC_CTYPE, "C.UTF-8");
                CHECK_EQ(text_columns(line_mark_text(m)), LINE_MARK_COLUMNS);
        }
}
