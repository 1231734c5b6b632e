/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "fake-manager.h"

#include <signal.h>
#include <sys/resource.h>

#include "util/buffer.h"
#include "util/fs.h"
#include "util/notify.h"
#include "util/quota.h"
#include "util/sockaddr.h"
#include "util/text.h"

TEST(buffer_keeps_order_while_it_moves_and_grows) {
        Buffer b = BUFFER_NULL;
        uint8_t in = 0, out = 0;

        for (int round = 0; round < 300; round++) {
                for (int i = 0; i < round; i++, in++)
                        CHECK_OK(buffer_append(&b, &in, 1));
                for (int i = 0; i < round - 1; i++, out++) {
                        CHECK_EQ(buffer_data(&b)[0], out);
                        buffer_consume(&b, 1);
                }
        }
        CHECK_EQ(buffer_size(&b), 299);
        buffer_done(&b);
}

TEST(base32_round_trip_and_one_form_only) {
        uint8_t key[32], back[32];
        char text[BASE32_KEY_SIZE + 1];

        for (unsigned i = 0; i < sizeof(key); i++)
                key[i] = (uint8_t)(i * 37 + 11);
        CHECK_EQ(strlen(base32_encode_key(key, text)), BASE32_KEY_SIZE);
        CHECK_OK(base32_decode_key(text, BASE32_KEY_SIZE, back));
        CHECK(memcmp(key, back, 32) == 0);

        CHECK_EQ(base32_decode_key(text, BASE32_KEY_SIZE - 1, back), -EINVAL);
        text[51] =
                text[51] == 'q' ? 'r' : (char)(text[51] + 1); /* a stray bit after the last byte */
        CHECK_EQ(base32_decode_key(text, BASE32_KEY_SIZE, back), -EINVAL);
        text[51] = '1';
        CHECK_EQ(base32_decode_key(text, BASE32_KEY_SIZE, back), -EINVAL);
}

TEST(base32_rfc4648_alphabet) {
        uint8_t key[32] = "foobar"; /* RFC 4648 section 10: MZXW6YTBOI */
        char text[BASE32_KEY_SIZE + 1];

        base32_encode_key(key, text);
        CHECK(strncmp(text, "mzxw6ytboiaaa", 13) == 0);
}

TEST(uuid_forms) {
        static const uint8_t random[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
        Uuid a = uuid_make_v7(UINT64_C(1645557742000000), random), b;
        char text[UUID_TEXT_SIZE];

        uuid_format(&a, text);
        CHECK_STR(text, "017f22e2-79b0-7102-8304-05060708090a"); /* time of RFC 9562 A.6 */
        CHECK_OK(uuid_parse("017F22E2-79B0-7102-8304-05060708090A", &b));
        CHECK(uuid_equal(&a, &b));
        CHECK_EQ(uuid_parse("", &b), -EINVAL);
        CHECK_EQ(uuid_parse("017f22e279b0-7102-8304-05060708090a", &b), -EINVAL);
        CHECK_EQ(uuid_parse("017f22e2-79b0-7102-8304-05060708090a0", &b), -EINVAL);
        CHECK_EQ(uuid_parse("00000000-0000-0000-0000-000000000000", &b), -EINVAL);
}

TEST(utf8_edges) {
        CHECK(utf8_is_valid("", 0));
        CHECK(utf8_is_valid("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10));
        CHECK(!utf8_is_valid("\xc0\x80", 2)); /* overlong */
        CHECK(!utf8_is_valid("\xe0\x80\x80", 3)); /* overlong */
        CHECK(!utf8_is_valid("\xed\xa0\x80", 3)); /* surrogate */
        CHECK(!utf8_is_valid("\xf4\x90\x80\x80", 4)); /* above U+10FFFF */
        CHECK(!utf8_is_valid("\xe2\x82", 2)); /* cut short */
        CHECK(!utf8_is_valid("\x80", 1));
        for (size_t i = 0; i < 24; i++) { /* wherever it is in a long text */
                char text[24];

                memset(text, 'a', sizeof(text));
                text[i] = (char)0x80;
                CHECK(!utf8_is_valid(text, sizeof(text)));
                CHECK(utf8_is_valid(text, i));
        }
}

static const char *clean(const char *text) {
        static char buf[64];

        snprintf(buf, sizeof(buf), "%s", text);
        return text_clean(buf);
}

TEST(a_clean_text_is_one_line_of_utf8) {
        CHECK_STR(clean(""), "");
        CHECK_STR(clean("a \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"),
                "a \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
        CHECK_STR(clean("a\nb\r\x1b\x7f\xc2\x9bz"), "a?b?????z");
        CHECK_STR(clean("\xff\xe2\x82z\xc0\x80"), "???z??");
        /* Cut in the middle of a character. */
        CHECK_STR(clean("a\xc3"), "a");
        CHECK_STR(clean("a\xe2\x82"), "a");
        CHECK_STR(clean("a\xf0\x9f\x98"), "a");
        CHECK_STR(clean("\xe2"), "");
}

TEST(endpoints) {
        char host[HOST_SIZE], text[ENDPOINT_SIZE];
        uint16_t port;
        SockAddr a;

        CHECK_OK(endpoint_parse("tracker.example:7425", 20, false, host, &port));
        CHECK_STR(host, "tracker.example");
        CHECK_EQ(port, 7425);
        CHECK_OK(endpoint_parse("[::1]:1", 7, false, host, &port));
        CHECK_STR(endpoint_format(host, port, text), "[::1]:1");
        CHECK_EQ(endpoint_parse("::1:7425", 8, false, host, &port), -EINVAL);
        CHECK_EQ(endpoint_parse("a:0", 3, false, host, &port), -EINVAL);
        CHECK_OK(endpoint_parse("a:0", 3, true, host, &port));
        CHECK_EQ(endpoint_parse("a:65536", 7, false, host, &port), -EINVAL);
        CHECK_EQ(endpoint_parse("a b:1", 5, false, host, &port), -EINVAL);
        CHECK_EQ(endpoint_parse(":1", 2, false, host, &port), -EINVAL);
        CHECK_EQ(endpoint_parse("a\0b:1", 5, false, host, &port), -EINVAL);
        CHECK_EQ(endpoint_parse("[::1\0b]:1", 9, false, host, &port), -EINVAL);
        CHECK_EQ(endpoint_parse("[fe80::1%lo]:1", 14, false, host, &port), -EINVAL);
        CHECK_EQ(sockaddr_parse_ip("fe80::1%lo", 5, &a), -EINVAL);
        CHECK_OK(sockaddr_parse_ip("::ffff:127.0.0.1", 5, &a));
        CHECK(sockaddr_is_loopback(&a));
        CHECK_STR(sockaddr_format(&a, text), "127.0.0.1:5");
}

/* The loopback interface is the one that is there everywhere. */
TEST(endpoints_with_a_scope) {
        static const char *const wrong[] = {"[fe80::1%]:1", "[2001:db8::1%lo]:1", "[%lo]:1",
                "fe80::1%lo:1", "192.0.2.1%lo:1", "[fe80::1%a-name-too-long-]:1", "[fe80::1%lo]:0"};
        char host[HOST_SIZE] = "", text[ENDPOINT_SIZE];
        uint16_t port;
        SockAddr a;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                CHECK_EQ(endpoint_parse_scoped(wrong[i], strlen(wrong[i]), host, &port), -EINVAL);
        CHECK_OK(endpoint_parse_scoped("[fe80::1%lo]:7425", 17, host, &port));
        CHECK_STR(host, "fe80::1%lo");
        CHECK_STR(endpoint_format(host, port, text), "[fe80::1%lo]:7425");
        CHECK_OK(sockaddr_parse_scoped_ip(host, port, &a));
        CHECK_EQ(a.in6.sin6_scope_id, 1);
        CHECK_STR(sockaddr_format(&a, text), "[fe80::1%lo]:7425");
        CHECK_OK(sockaddr_parse_scoped_ip("fe80::1%65534", 5, &a));
        CHECK_STR(sockaddr_format(&a, text), "[fe80::1%65534]:5");
        CHECK_EQ(sockaddr_parse_scoped_ip("fe80::1%no-such-one", 5, &a), -ENODEV);
        CHECK_EQ(sockaddr_parse_scoped_ip("fe80::1%0", 5, &a), -ENODEV);
        CHECK_EQ(sockaddr_parse_scoped_ip("2001:db8::1%lo", 5, &a), -EINVAL);
        CHECK_OK(endpoint_parse_scoped("tracker.example:1", 17, host, &port));
        CHECK_OK(sockaddr_parse_scoped_ip("::1", 5, &a));
        CHECK_EQ(a.in6.sin6_scope_id, 0);
}

TEST(quota_refills_with_time) {
        Quota q = QUOTA_INIT(10, USEC_PER_SEC), off = QUOTA_INIT(0, USEC_PER_SEC);
        usec_t now = USEC_PER_DAY;

        for (int i = 0; i < 10; i++)
                CHECK(quota_take(&q, 1, now));
        CHECK(!quota_take(&q, 1, now));
        CHECK(!quota_take(&q, 1, now + 99 * USEC_PER_MSEC));
        CHECK_EQ(quota_wait(&q, 1, now), 100 * USEC_PER_MSEC);
        CHECK_EQ(quota_wait(&q, 10, now), USEC_PER_SEC);
        CHECK_EQ(quota_wait(&q, 11, now), USEC_INFINITY);
        CHECK_EQ(quota_wait(&off, UINT64_MAX, now), 0);
        CHECK_EQ(quota_wait(&q, 1, now + 100 * USEC_PER_MSEC), 0);
        CHECK(quota_take(&q, 1, now + 100 * USEC_PER_MSEC));
        CHECK(!quota_is_full(&q, now + 200 * USEC_PER_MSEC));
        CHECK(quota_is_full(&q, now + 2 * USEC_PER_SEC));
        CHECK(!quota_take(&q, 11, now + 9 * USEC_PER_SEC));
        CHECK(quota_take(&off, UINT64_MAX, now));
}

TEST(time_text) {
        char buf[TIME_TEXT_SIZE];

        CHECK_STR(usec_format(0, buf), "1970-01-01T00:00:00.000000Z");
        CHECK_STR(usec_format(UINT64_C(1700000000123456), buf), "2023-11-14T22:13:20.123456Z");
        CHECK_EQ(strlen(usec_format(UINT64_MAX, buf)), 27);
}

TEST(files_are_private_and_bounded) {
        char dir[] = "/tmp/p2pchat-test-XXXXXX";
        _cleanup_(freep) char *sub = NULL, *file = NULL, *text = NULL;
        int a, b;

        CHECK(mkdtemp(dir));
        sub = fs_join(dir, "x/y");
        CHECK_OK(fs_mkdir_p(sub));
        CHECK_OK(fs_mkdir_p(sub));
        file = fs_join(sub, "f");
        CHECK_OK(fs_write_file(file, "hello", 5));
        CHECK_OK(fs_read_file(file, 5, &text, NULL));
        CHECK_STR(text, "hello");
        CHECK_EQ(fs_read_file(file, 4, &text, NULL), -EFBIG);
        CHECK_OK(fs_lock_dir(sub, &a));
        CHECK_EQ(fs_lock_dir(sub, &b), -EWOULDBLOCK);
        safe_close(a);
        CHECK_OK(fs_lock_dir(sub, &b));
        safe_close(b);
        CHECK_EQ(access(file, X_OK), -1);
        {
                _cleanup_(freep) char *cmd = NULL;

                CHECK(asprintf(&cmd, "find %s -perm /077 | grep -q . && exit 1; rm -r %s", dir,
                              dir) > 0);
                CHECK_OK(system(cmd));
        }
}

/* A file that cannot be replaced stays, and nothing is left beside it. */
TEST(files_that_cannot_be_written) {
        char dir[] = "/tmp/p2pchat-test-XXXXXX";
        struct rlimit before, none = {};
        _cleanup_(freep) char *file = NULL, *below = NULL, *tmp = NULL, *text = NULL;

        CHECK(mkdtemp(dir));
        file = fs_join(dir, "f");
        below = fs_join(file, "below");
        tmp = fs_join(dir, "f.new");
        CHECK_EQ(fs_write_file(below, "x", 1), -ENOENT);
        CHECK_OK(fs_write_file(file, "kept", 4));
        CHECK_EQ(fs_mkdir_p(file), -ENOTDIR);
        CHECK_EQ(fs_mkdir_p(below), -ENOTDIR);

        CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
        CHECK_OK(getrlimit(RLIMIT_FSIZE, &before));
        none.rlim_max = before.rlim_max;
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &none));
        CHECK_EQ(fs_write_file(file, "x", 1), -EFBIG);
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &before));
        CHECK_OK(fs_read_file(file, 4, &text, NULL));
        CHECK_STR(text, "kept");
        CHECK(access(tmp, F_OK) < 0);

        CHECK_OK(unlink(file));
        CHECK_OK(fs_mkdir_p(below));
        CHECK_EQ(fs_write_file(file, "x", 1), -EISDIR);
        CHECK(access(tmp, F_OK) < 0);
        CHECK_OK(rmdir(below));
        CHECK_OK(rmdir(file));
        CHECK_OK(rmdir(dir));
}

static void expect_notice(int fd, const char *expected) {
        char text[NOTICE_SIZE];

        (void)manager_read(fd, text);
        CHECK_STR(text, expected);
}

TEST(the_service_manager_is_told_and_nobody_waits_for_that) {
        char path[64], text[NOTICE_SIZE];
        unsigned long long usec;
        int fd;

        CHECK_OK(unsetenv("NOTIFY_SOCKET"));
        notify_status("to nobody");
        fd = manager_listen(path);
        notify_ready("online");
        expect_notice(fd, "READY=1\nSTATUS=online");
        notify_status("offline");
        expect_notice(fd, "STATUS=offline");
        notify_status("refused: taken\nWATCHDOG=trigger");
        expect_notice(fd, "STATUS=refused: taken?WATCHDOG=trigger");
        notify_ready("refused: taken\nMAINPID=1");
        expect_notice(fd, "READY=1\nSTATUS=refused: taken?MAINPID=1");
        notify_stopping();
        expect_notice(fd, "STOPPING=1");
        notify_reloading();
        CHECK(manager_read(fd, text));
        CHECK_EQ(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
        CHECK(usec > 0);
        for (int i = 0; i < 10000; i++) /* more than any queue holds; nobody reads */
                notify_status("online");
        notify_ready("online"); /* which has a limit as well */
        CHECK_OK(close(fd));
        notify_status("to one who is gone");
        CHECK_OK(unlink(path));
        CHECK_OK(setenv("NOTIFY_SOCKET", "no path", 1));
        notify_status("to nothing");
}
