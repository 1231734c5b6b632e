/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "wire/frame.h"

/* A frame around BODY, whatever it is. */
static Buffer frame_of(const void *body, size_t n) {
        Buffer b = BUFFER_NULL;
        uint8_t head[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

        CHECK_OK(buffer_append(&b, head, sizeof(head)));
        CHECK_OK(buffer_append(&b, body, n));
        return b;
}

#define FRAME_OF(literal) frame_of(literal, sizeof(literal) - 1)

/* What becomes of a frame: 0, or the error of the scan, of the head or of an empty body. */
static int try_frame(Buffer b) {
        size_t size = 0;
        Frame f;
        int r;

        r = frame_scan(buffer_data(&b), buffer_size(&b), &size);
        if (r == 1) {
                CHECK_EQ(size, buffer_size(&b));
                r = frame_open(buffer_data(&b), size, &f);
                if (r == 0)
                        r = frame_decode_empty(&f);
        } else if (r == 0)
                r = -EAGAIN;
        buffer_done(&b);
        return r;
}

TEST(head_keys_are_read) {
        _cleanup_(buffer_done) Buffer b = FRAME_OF("\xa3\x00\x03\x01\x19\x01\x00\x02\x07");
        size_t size;
        Frame f;

        CHECK_EQ(frame_scan(buffer_data(&b), buffer_size(&b), &size), 1);
        CHECK_OK(frame_open(buffer_data(&b), size, &f));
        CHECK_EQ(f.type, FRAME_PING);
        CHECK_EQ(f.request, 256);
        CHECK_EQ(f.stream, 7);
        CHECK_EQ(f.size, 13);
        CHECK_OK(frame_decode_empty(&f));
}

TEST(a_zero_request_or_stream_is_told_by_absence) {
        CHECK_OK(try_frame(FRAME_OF("\xa1\x00\x03")));
        CHECK_OK(try_frame(FRAME_OF("\xa2\x00\x03\x01\x01")));
        CHECK_OK(try_frame(FRAME_OF("\xa2\x00\x03\x02\x01")));
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x00\x03\x01\x00")), -EBADMSG);
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x00\x03\x02\x00")), -EBADMSG);
}

TEST(what_is_not_canonical_is_refused) {
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x00\x18\x03")), -EBADMSG); /* long type */
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x00\x19\x00\x80")), -EBADMSG);
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x18\x00\x03")), -EBADMSG); /* long key */
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x01\x01\x00\x03")), -EBADMSG); /* not ascending */
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x00\x03\x00\x03")), -EBADMSG); /* twice */
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x01\x03")), -EBADMSG); /* no type */
        CHECK_EQ(try_frame(FRAME_OF("\xa0\xa0\xa0")), -EBADMSG);
        CHECK_EQ(try_frame(FRAME_OF("\x82\x00\x03")), -EBADMSG); /* no map */
        CHECK_EQ(try_frame(FRAME_OF("\xbf\x00\x03\xff")), -EBADMSG); /* indefinite */
        CHECK_EQ(try_frame(FRAME_OF("\xb8\x01\x00\x03")), -EBADMSG); /* long head */
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x00\x61\x33")), -EBADMSG); /* type is a text */
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x00\x20")), -EBADMSG); /* negative */
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x00\x03\x01\x41\x01")), -EBADMSG); /* request is bytes */
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x00\x03\x00")), -EBADMSG); /* left over */
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x00\x03")), -EBADMSG); /* too few */
        CHECK_EQ(try_frame(FRAME_OF("\xa2\x00\x03\x05\x00")), -EBADMSG); /* unknown key */
        CHECK_OK(try_frame(FRAME_OF("\xa2\x00\x03\x18\x40\xa1\x00\x00"))); /* may be ignored */
}

TEST(unknown_types_from_128_on_are_taken) {
        static const uint8_t known[] = {1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
                32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 64, 65, 66, 67,
                68};
        size_t k = 0;

        for (unsigned type = 0; type < 256; type++) {
                uint8_t body[] = {0xa1, 0x00, 0x18, (uint8_t)type};
                bool is_known = k < ELEMENTSOF(known) && known[k] == type;
                int want = is_known || type >= FRAME_IGNORABLE ? 0 : -EPROTONOSUPPORT;

                k += is_known;
                if (type < 24) {
                        body[2] = (uint8_t)type;
                        CHECK_EQ(try_frame(frame_of(body, 3)), want);
                } else
                        CHECK_EQ(try_frame(frame_of(body, 4)), want);
                CHECK_EQ(frame_cap(type) > 0, want == 0);
        }
        CHECK_EQ(k, ELEMENTSOF(known));
        CHECK_OK(try_frame(FRAME_OF("\xa1\x00\x1b\xff\xff\xff\xff\xff\xff\xff\xff")));
        CHECK_EQ(try_frame(FRAME_OF("\xa1\x00\x1b\x00\x00\x00\x00\xff\xff\xff\xff")), -EBADMSG);
}

TEST(caps_are_those_of_the_protocol) {
        CHECK_EQ(frame_cap(FRAME_HELLO), 8192);
        CHECK_EQ(frame_cap(FRAME_HELLO_OK), 8192);
        CHECK_EQ(frame_cap(FRAME_MESSAGE), 131072);
        CHECK_EQ(frame_cap(FRAME_DEPOSIT), 131072);
        CHECK_EQ(frame_cap(FRAME_OK), 131072);
        CHECK_EQ(frame_cap(FRAME_ACK), 65536);
        CHECK_EQ(frame_cap(FRAME_RECEIPT), 65536);
        CHECK_EQ(frame_cap(FRAME_PRESENCE), 65536);
        CHECK_EQ(frame_cap(FRAME_BYE), 65536);
        CHECK_EQ(frame_cap(200), 65536);
}

static int scan_head(uint32_t size, const char *body, size_t n) {
        uint8_t in[16] = {
                (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8), (uint8_t)size};
        size_t whole;

        memcpy(in + 4, body, n);
        return frame_scan(in, 4 + n, &whole);
}

/* A frame over its cap is refused by its first bytes, before anything is kept for the rest. */
TEST(the_cap_of_the_type_counts_before_the_body_is_there) {
        CHECK_EQ(scan_head(8192, "\xa3\x00\x01", 3), 0);
        CHECK_EQ(scan_head(8193, "\xa3\x00\x01", 3), -EMSGSIZE);
        CHECK_EQ(scan_head(65536, "\xa3\x00\x11", 3), 0);
        CHECK_EQ(scan_head(65537, "\xa3\x00\x11", 3), -EMSGSIZE);
        CHECK_EQ(scan_head(131072, "\xa3\x00\x10", 3), 0);
        CHECK_EQ(scan_head(131073, "\xa3\x00\x10", 3), -EMSGSIZE);
        CHECK_EQ(scan_head(131073, "", 0), -EMSGSIZE); /* over every cap */
        CHECK_EQ(scan_head(UINT32_MAX, "", 0), -EMSGSIZE);
        CHECK_EQ(scan_head(65537, "\xa3\x00\x18\x80", 4), -EMSGSIZE);
        CHECK_EQ(scan_head(100, "\xa3\x00\x18\x7f", 4), -EPROTONOSUPPORT);
        CHECK_EQ(scan_head(100, "\x83", 1), -EBADMSG);
        for (uint32_t size = 0; size < 3; size++)
                CHECK_EQ(scan_head(size, "", 0), -EBADMSG);
}

TEST(one_byte_at_a_time) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        CborWriter w = frame_begin(&b, FRAME_MESSAGE, 0);
        static uint8_t body[100000];
        size_t size = 0;

        cbor_pair_bytes(&w, 3, body, sizeof(body));
        CHECK_OK(frame_end(&w));
        CHECK_OK(frame_put_empty(&b, FRAME_PING, 1));
        for (size_t n = 0; n < buffer_size(&b); n++) {
                int r = frame_scan(buffer_data(&b), n, &size);

                CHECK_EQ(r, n >= 100000 + 13);
                if (r == 1)
                        CHECK_EQ(size, 100000 + 13);
        }
        buffer_consume(&b, size);
        CHECK_EQ(frame_scan(buffer_data(&b), buffer_size(&b), &size), 1);
        CHECK_EQ(size, buffer_size(&b));
}

/* A scan never changes its mind when more arrives. */
TEST(what_is_refused_stays_refused) {
        static const char *const bodies[] = {"\xa1\x00\x18\x03 123456789abcdef",
                "\x01 3456789abcdef", "\xa1\x00\x18\x7f 6789abcdef", "\xa1\x01\x03 456789abcdef",
                "\xa1\x00\x1b\x01\x01\x01\x01\x01\x01\x01\x01 123", "\xa1\x00\x20 456789abcdef"};

        for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
                _cleanup_(buffer_done) Buffer b = frame_of(bodies[i], 14);
                int before = 0;

                for (size_t n = 0; n <= buffer_size(&b); n++) {
                        size_t size;
                        int r = frame_scan(buffer_data(&b), n, &size);

                        CHECK(before == 0 || r == before);
                        before = r;
                }
                CHECK(before != 0);
        }
}

TEST(a_frame_cut_short_is_waited_for_and_nothing_beyond_it_is_read) {
        _cleanup_(buffer_done) Buffer b = FRAME_OF("\xa2\x00\x03\x18\x40\x44"
                                                   "abcd");
        size_t size;
        Frame f;

        for (size_t n = 0; n < buffer_size(&b); n++)
                CHECK_EQ(frame_scan(buffer_data(&b), n, &size), 0);
        /* The string says four bytes, the frame ends before. */
        buffer_data(&b)[3]--;
        CHECK_EQ(frame_scan(buffer_data(&b), buffer_size(&b), &size), 1);
        CHECK_EQ(size, buffer_size(&b) - 1);
        CHECK_OK(frame_open(buffer_data(&b), size, &f));
        CHECK_EQ(frame_decode_empty(&f), -EBADMSG);
}

TEST(a_frame_over_its_cap_is_not_written) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        static uint8_t body[FRAME_MESSAGE_MAX];
        size_t before;
        CborWriter w;

        CHECK_OK(frame_put_empty(&b, FRAME_PING, 0));
        before = buffer_size(&b);

        w = frame_begin(&b, FRAME_MESSAGE, 0);
        cbor_pair_bytes(&w, 3, body, FRAME_MESSAGE_MAX - 9); /* of which 9 are heads */
        CHECK_OK(frame_end(&w));
        CHECK_EQ(buffer_size(&b), before + FRAME_HEAD_SIZE + FRAME_MESSAGE_MAX);
        b.end = b.begin + before;

        w = frame_begin(&b, FRAME_MESSAGE, 0);
        cbor_pair_bytes(&w, 3, body, FRAME_MESSAGE_MAX - 8);
        CHECK_EQ(frame_end(&w), -EMSGSIZE);
        CHECK_EQ(buffer_size(&b), before);

        w = frame_begin(&b, FRAME_HELLO, 0);
        cbor_pair_bytes(&w, 3, body, FRAME_HELLO_MAX);
        CHECK_EQ(frame_end(&w), -EMSGSIZE);
        CHECK_EQ(buffer_size(&b), before);
}

/* A buffer that cannot grow: the frames in it before stay whole. */
TEST(without_memory_nothing_is_taken_back_that_was_there) {
        Buffer b = {
                .data = (uint8_t[16]){}, .end = SIZE_MAX / 4 - 2, .allocated = SIZE_MAX / 4 - 2};
        CborWriter w = frame_begin(&b, FRAME_PING, 0);

        CHECK_EQ(frame_end(&w), -ENOMEM);
        CHECK_EQ(b.end, SIZE_MAX / 4 - 2);
}
