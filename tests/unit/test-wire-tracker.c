/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "frame-cases.h"
#include "wire-sample.h"

TEST(register_and_record) {
        static const FrameType types[] = {FRAME_REGISTER, FRAME_RECORD};
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1);

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                Bytes got;
                Frame f;

                CHECK_OK(record_frame_encode(&b, types[i], 7, sample_bytes(&rec)));
                check_frame(&b, KEY(3), KEY(3));
                check_bytes(body_of(&b), 3, rec.data, buffer_size(&rec));
                open_frame(&b, types[i], 7, &f);
                CHECK_OK(record_frame_decode(&f, &got));
                CHECK(bytes_equal(got, sample_bytes(&rec)));
        }
}

TEST(a_record_is_at_most_4_kib) {
        static uint8_t big[RECORD_MAX + 1];

        for (size_t n = RECORD_MAX; n <= RECORD_MAX + 1; n++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL, out = BUFFER_NULL;
                int want = n <= RECORD_MAX ? 0 : -EBADMSG;
                Bytes record = {.data = big, .size = n};

                CHECK_OK(record_frame_encode(&b, FRAME_REGISTER, 1, record));
                CHECK_EQ(decode_frame(&b, &out), want);
                buffer_clear(&b);
                CHECK_OK(publish_encode(&b, 1, &(Publish){.record = record}));
                CHECK_EQ(decode_frame(&b, &out), want);
                buffer_clear(&b);
                CHECK_OK(publish_encode(&b, 1, &(Publish){.presence = record}));
                CHECK_EQ(decode_frame(&b, &out), want);
                buffer_clear(&b);
                CHECK_OK(presence_push_encode(&b, &(PresencePush){.presence = record}));
                CHECK_EQ(decode_frame(&b, &out), want);
        }
}

TEST(publish) {
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1), p = sample_presence_object(1);
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Publish x = {.presence = sample_bytes(&p), .record = sample_bytes(&rec)}, got;
        Frame f;

        CHECK_OK(publish_encode(&b, 9, &x));
        check_frame(&b, KEY(3) | KEY(4), 0);
        check_bytes(body_of(&b), 3, p.data, buffer_size(&p));
        check_bytes(body_of(&b), 4, rec.data, buffer_size(&rec));
        open_frame(&b, FRAME_PUBLISH, 9, &f);
        CHECK_OK(publish_decode(&f, &got));
        CHECK(bytes_equal(got.presence, x.presence) && bytes_equal(got.record, x.record));
        CHECK(map_try_with(body_of(&b), 3, LITERAL("\x40"), try_body) < 0);
        CHECK(map_try_with(body_of(&b), 4, LITERAL("\x40"), try_body) < 0);
}

TEST(lookup) {
        static const char *const names[] = {"\x60",
                "\x61"
                "A",
                "\x61"
                "-",
                "\x62"
                "a/",
                "\x62"
                "\xc3\xbc",
                "\x78\x21"
                "abcdefghijklmnopqrstuvwxyzabcdefg"};
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, a = BUFFER_NULL;
        Lookup by_name = {.name = "bob.the-2nd_"}, by_account = {.account = {1, 2, 3}}, got;
        MapPairs both;
        Frame f;

        CHECK_OK(lookup_encode(&b, 1, &by_name));
        check_frame(&b, KEY(3) | KEY(4), KEY(3));
        check_text(body_of(&b), 3, "bob.the-2nd_");
        open_frame(&b, FRAME_LOOKUP, 1, &f);
        CHECK_OK(lookup_decode(&f, &got));
        CHECK_STR(got.name, "bob.the-2nd_");

        CHECK_OK(lookup_encode(&a, 1, &by_account));
        check_frame(&a, KEY(3) | KEY(4), KEY(4));
        check_bytes(body_of(&a), 4, by_account.account, KEY_SIZE);
        open_frame(&a, FRAME_LOOKUP, 1, &f);
        CHECK_OK(lookup_decode(&f, &got));
        CHECK_STR(got.name, "");
        CHECK(key_equal(got.account, by_account.account));

        both = map_pairs(body_of(&b));
        map_insert(&both, 4, map_value(body_of(&a), 4));
        CHECK(map_try(&both, try_body) < 0);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                Bytes value = sample_text(names[i]);

                CHECK(map_try_with(body_of(&b), 3, value, try_body) < 0);
        }
}

TEST(lookup_answer) {
        _cleanup_(buffer_done) Buffer rec = sample_record_object(1), p = sample_presence_object(1);
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        LookupAnswer x = {
                .record = sample_bytes(&rec), .presence = sample_bytes(&p), .last_seen = 12345};
        LookupAnswer got;
        Frame f;

        ok_kind = ECHO_OK_LOOKUP;
        CHECK_OK(lookup_answer_encode(&b, 3, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(3) | KEY(5));
        check_bytes(body_of(&b), 3, rec.data, buffer_size(&rec));
        check_bytes(body_of(&b), 4, p.data, buffer_size(&p));
        check_uint(body_of(&b), 5, 12345);
        open_frame(&b, FRAME_OK, 3, &f);
        CHECK_OK(lookup_answer_decode(&f, &got));
        CHECK(bytes_equal(got.record, x.record) && bytes_equal(got.presence, x.presence));
        CHECK_EQ(got.last_seen, 12345);
        CHECK(map_try_with(body_of(&b), 4, LITERAL("\x40"), try_body) < 0);
}

TEST(list_peers) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, wide = BUFFER_NULL, none = BUFFER_NULL;
        ListPeers x = {.after = sample_text("alice"), .limit = 50, .online = true}, got;
        Frame f;

        CHECK_OK(list_peers_encode(&b, 5, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(4) | KEY(5));
        check_bytes(body_of(&b), 3, "alice", 5);
        check_uint(body_of(&b), 4, 50);
        check_item(body_of(&b), 5, LITERAL("\xf5"));
        open_frame(&b, FRAME_LIST_PEERS, 5, &f);
        CHECK_OK(list_peers_decode(&f, &got));
        CHECK(bytes_equal(got.after, x.after) && got.limit == 50 && got.online);

        x.limit = UINT64_MAX;
        CHECK_OK(list_peers_encode(&wide, 5, &x));
        open_frame(&wide, FRAME_LIST_PEERS, 5, &f);
        CHECK_OK(list_peers_decode(&f, &got));
        CHECK_EQ(got.limit, LIST_PEERS_MAX);
        x.limit = 0;
        CHECK_OK(list_peers_encode(&none, 5, &x));
        open_frame(&none, FRAME_LIST_PEERS, 5, &f);
        CHECK_OK(list_peers_decode(&f, &got));
        CHECK_EQ(got.limit, 1);
        CHECK(map_try_with(body_of(&b), 3, LITERAL("\x40"), try_body) < 0);
}

static Bytes list_body;

static int try_list_entry(Bytes entry) {
        _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

        CHECK_OK(buffer_append(&list, "\x81", 1));
        CHECK_OK(buffer_append(&list, entry.data, entry.size));
        return map_try_with(list_body, 3, sample_bytes(&list), try_body);
}

TEST(list_peers_answer) {
        static ListPeersAnswer x, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, over = BUFFER_NULL;
        Bytes entry;
        Frame f;

        ok_kind = ECHO_OK_LIST;
        x = (ListPeersAnswer){.n_peers = 1, .after = sample_text("more")};
        x.peers[0].record = sample_text("record");
        x.peers[0].presence = sample_text("presence");
        CHECK_OK(list_peers_answer_encode(&b, 6, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(3));
        list_body = body_of(&b);
        check_bytes(list_body, 4, "more", 4);
        entry = map_value(list_body, 3);
        entry = (Bytes){.data = entry.data + 1, .size = entry.size - 1};
        check_bytes(entry, 0, "record", 6);
        check_bytes(entry, 1, "presence", 8);
        check_map(entry, KEY(0) | KEY(1), KEY(0), try_list_entry);
        open_frame(&b, FRAME_OK, 6, &f);
        CHECK_OK(list_peers_answer_decode(&f, &got));
        CHECK_EQ(got.n_peers, 1);
        CHECK(bytes_equal(got.peers[0].record, x.peers[0].record));
        CHECK(bytes_equal(got.peers[0].presence, x.peers[0].presence));
        CHECK(bytes_equal(got.after, x.after));
        CHECK_OK(map_try_with(list_body, 3, LITERAL("\x80"), try_body));

        /* A hundred of the largest are too much for one frame, which the tracker is told. */
        x.n_peers = LIST_PEERS_MAX;
        for (size_t i = 0; i < LIST_PEERS_MAX; i++) {
                static const uint8_t record[RECORD_MAX];

                x.peers[i].record = (Bytes){.data = record, .size = sizeof(record)};
        }
        CHECK_EQ(list_peers_answer_encode(&over, 6, &x), -EMSGSIZE);
        CHECK_EQ(buffer_size(&over), 0);
}

TEST(list_peers_answer_has_at_most_a_hundred) {
        for (size_t n = LIST_PEERS_MAX; n <= LIST_PEERS_MAX + 1; n++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL, out = BUFFER_NULL;
                CborWriter w = frame_begin(&b, FRAME_OK, 1);

                cbor_key(&w, 3);
                cbor_put_array(&w, n);
                for (size_t i = 0; i < n; i++) {
                        cbor_map_begin(&w);
                        cbor_pair_bytes(&w, 0, "r", 1);
                        cbor_map_end(&w);
                }
                CHECK_OK(frame_end(&w));
                ok_kind = ECHO_OK_LIST;
                CHECK_EQ(decode_frame(&b, &out), n <= LIST_PEERS_MAX ? 0 : -EBADMSG);
        }
}

TEST(watch) {
        static uint8_t accounts[WATCH_ACCOUNTS_MAX + 1][KEY_SIZE],
                buf[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, full = BUFFER_NULL, over = BUFFER_NULL;
        Watch x = {.add = {.data = accounts[0], .size = (size_t)2 * KEY_SIZE},
                      .remove = {.data = accounts[2], .size = KEY_SIZE}},
              got;
        Frame f;

        for (size_t i = 0; i < ELEMENTSOF(accounts); i++)
                accounts[i][i % KEY_SIZE] = (uint8_t)(i + 1);
        CHECK_OK(watch_encode(&b, 8, &x));
        check_frame(&b, KEY(3) | KEY(4), 0);
        CHECK_EQ(map_value(body_of(&b), 3).size, 1 + 2 * 34);
        open_frame(&b, FRAME_WATCH, 8, &f);
        CHECK_OK(watch_decode(&f, buf, &got));
        CHECK(bytes_equal(got.add, x.add) && bytes_equal(got.remove, x.remove));
        CHECK(map_try_with(body_of(&b), 3, LITERAL("\x80"), try_body) < 0);

        x = (Watch){.remove = {.data = accounts[0], .size = (size_t)WATCH_ACCOUNTS_MAX * KEY_SIZE}};
        CHECK_OK(watch_encode(&full, 8, &x));
        open_frame(&full, FRAME_WATCH, 8, &f);
        CHECK_OK(watch_decode(&f, buf, &got));
        CHECK(got.add.size == 0 && bytes_equal(got.remove, x.remove));
        x.remove.size += KEY_SIZE;
        CHECK_OK(watch_encode(&over, 8, &x));
        open_frame(&over, FRAME_WATCH, 8, &f);
        CHECK_EQ(watch_decode(&f, buf, &got), -EBADMSG);
}

/* They are looked at later, and may be anything of that size. */
TEST(tokens) {
        static uint8_t token[DEPOSIT_TOKEN_MAX + 1], buf[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, over = BUFFER_NULL, l = BUFFER_NULL;
        Bytes most = {.data = token, .size = DEPOSIT_TOKEN_MAX};
        Lookup lookup = {.account = {1}, .token = most}, got_lookup;
        Watch x = {.n_tokens = WATCH_TOKENS_MAX}, got;
        Frame f;

        for (size_t i = 0; i < WATCH_TOKENS_MAX; i++)
                x.tokens[i] = most;
        CHECK_OK(watch_encode(&b, 8, &x));
        check_frame(&b, KEY(5), 0);
        open_frame(&b, FRAME_WATCH, 8, &f);
        CHECK_OK(watch_decode(&f, buf, &got));
        CHECK_EQ(got.n_tokens, WATCH_TOKENS_MAX);
        CHECK(bytes_equal(got.tokens[WATCH_TOKENS_MAX - 1], most));
        CHECK(map_try_with(body_of(&b), 5, LITERAL("\x80"), try_body) < 0);
        x.tokens[0].size++;
        CHECK_OK(watch_encode(&over, 8, &x));
        open_frame(&over, FRAME_WATCH, 8, &f);
        CHECK_EQ(watch_decode(&f, buf, &got), -EBADMSG);

        CHECK_OK(lookup_encode(&l, 8, &lookup));
        open_frame(&l, FRAME_LOOKUP, 8, &f);
        CHECK_OK(lookup_decode(&f, &got_lookup));
        CHECK(bytes_equal(got_lookup.token, most));
}

TEST(presence_push) {
        _cleanup_(buffer_done) Buffer p = sample_presence_object(1), b = BUFFER_NULL;
        PresencePush x = {
                .account = {9}, .online = true, .last_seen = 777, .presence = sample_bytes(&p)};
        PresencePush got;
        Frame f;

        CHECK_OK(presence_push_encode(&b, &x));
        check_frame(&b, 0x78, KEY(3) | KEY(4) | KEY(5));
        check_bytes(body_of(&b), 3, x.account, KEY_SIZE);
        check_item(body_of(&b), 4, LITERAL("\xf5"));
        check_uint(body_of(&b), 5, 777);
        check_bytes(body_of(&b), 6, p.data, buffer_size(&p));
        open_frame(&b, FRAME_PRESENCE, 0, &f);
        CHECK_OK(presence_push_decode(&f, &got));
        CHECK(key_equal(got.account, x.account) && got.online && got.last_seen == 777);
        CHECK(bytes_equal(got.presence, x.presence));
        CHECK(map_try_with(body_of(&b), 6, LITERAL("\x40"), try_body) < 0);
}
