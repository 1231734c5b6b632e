/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "frame-cases.h"
#include "room-sample.h"

static int encode(const RoomSync *s) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        int r;

        r = room_sync_encode(&b, s);
        CHECK(r >= 0 || buffer_size(&b) == 0);
        return r;
}

/* Known and required beside op and room, which ASK and OFFER do not have. */
static const struct {
        uint64_t known, required;
} FIELDS[_ROOM_SYNC_MAX] = {
        [ROOM_SYNC_STATE] = {0x1e0, 0x1e0},
        [ROOM_SYNC_CONTROL] = {0xe0, 0x20},
        [ROOM_SYNC_PROPOSALS] = {0xe0, 0x20},
        [ROOM_SYNC_VECTOR] = {0x1e0, 0},
        [ROOM_SYNC_WANT] = {0xfe0, 0},
        [ROOM_SYNC_WRAPS] = {0x20, 0x20},
        [ROOM_SYNC_JOIN] = {0xe0, 0x60},
        [ROOM_SYNC_REFUSED] = {0x60, 0x60},
        [ROOM_SYNC_ASK] = {0x60, 0},
        [ROOM_SYNC_OFFER] = {0x20, 0x20},
        [ROOM_SYNC_NOTICE] = {0x20, 0x20},
        [ROOM_SYNC_FORK] = {0x20, 0x20},
        [ROOM_SYNC_RECORDS] = {0x20, 0x20},
        [ROOM_SYNC_TYPING] = {0x20, 0x20},
};

TEST(every_op) {
        for (RoomSyncOp op = ROOM_SYNC_STATE; op < _ROOM_SYNC_MAX; op++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                RoomSync s = sample_sync_full(op);
                uint64_t head = KEY(3);

                if (op != ROOM_SYNC_ASK && op != ROOM_SYNC_OFFER)
                        head |= KEY(4);
                CHECK_OK(room_sync_encode(&b, &s));
                check_frame(&b, FIELDS[op].known | head, FIELDS[op].required | head);
                check_uint(body_of(&b), 3, op);
                if (head & KEY(4))
                        check_bytes(body_of(&b), 4, s.room, ROOM_ID_SIZE);
                CHECK_EQ(map_try_with(body_of(&b), 3, LITERAL("\x00"), try_body), -EBADMSG);
                CHECK_EQ(map_try_with(body_of(&b), 3, LITERAL("\x0f"), try_body), -EBADMSG);
        }
        CHECK_EQ(encode(&(RoomSync){.op = (RoomSyncOp)0}), -EINVAL);
        CHECK_EQ(encode(&(RoomSync){.op = _ROOM_SYNC_MAX}), -EINVAL);
}

static RoomSync decoded(const RoomSync *s, Buffer *b) {
        RoomSync got;
        Frame f;

        CHECK_OK(room_sync_encode(b, s));
        open_frame(b, FRAME_ROOM_SYNC, 0, &f);
        CHECK_OK(room_sync_decode(&f, &got));
        CHECK_EQ(got.op, s->op);
        return got;
}

TEST(state) {
        RoomSync s = sample_sync_full(ROOM_SYNC_STATE), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, none = BUFFER_NULL;

        got = decoded(&s, &b);
        CHECK(memcmp(&got.state, &s.state, sizeof(s.state)) == 0);
        s.state = (RoomState){}; /* who has nothing yet says so */
        got = decoded(&s, &none);
        CHECK_EQ(got.state.head.epoch, 0);
        /* A head has no keys that may be ignored, and no hash without an epoch. */
        CHECK_EQ(map_try_with(body_of(&none), 5, map_value(body_of(&b), 6), try_body), -EBADMSG);
        s.state.head.epoch = 1;
        buffer_clear(&none);
        CHECK_OK(room_sync_encode(&none, &s));
        CHECK_EQ(try_body(body_of(&none)), -EBADMSG);
}

TEST(packed_lists) {
        Buffer v = BUFFER_NULL, w = BUFFER_NULL;
        RoomVectorItem x;
        RoomWantItem y;

        CHECK_EQ(sizeof(SAMPLE_VECTOR), 2 * ROOM_VECTOR_ITEM_SIZE);
        CHECK_EQ(sizeof(SAMPLE_WANT), 2 * ROOM_WANT_ITEM_SIZE);
        CHECK_EQ(room_vector_count(SAMPLE_PACKED(SAMPLE_VECTOR)), 2);
        CHECK_EQ(room_want_count(SAMPLE_PACKED(SAMPLE_WANT)), 2);
        for (size_t i = 0; i < 2; i++) {
                x = room_vector_get(SAMPLE_PACKED(SAMPLE_VECTOR), i);
                y = room_want_get(SAMPLE_PACKED(SAMPLE_WANT), i);
                CHECK(x.seq == (i ? 0 : 300) && y.seq == x.seq);
                CHECK(memcmp(x.tag, y.tag, ROOM_TAG_SIZE) == 0);
                CHECK_OK(room_vector_append(&v, &x));
                CHECK_OK(room_want_append(&w, &y));
        }
        CHECK(bytes_equal(buffer_bytes(&v), SAMPLE_PACKED(SAMPLE_VECTOR)));
        CHECK(bytes_equal(buffer_bytes(&w), SAMPLE_PACKED(SAMPLE_WANT)));
        buffer_done(&v);
        buffer_done(&w);
}

/* Whole items, at least one, and as many as there may be. */
static void check_packed(Bytes body, uint64_t key, size_t item, size_t max) {
        CHECK_EQ(map_try_size(body, key, 0, try_body), -EBADMSG);
        CHECK_EQ(map_try_size(body, key, item - 1, try_body), -EBADMSG);
        CHECK_OK(map_try_size(body, key, item, try_body));
        CHECK_EQ(map_try_size(body, key, item + 1, try_body), -EBADMSG);
        CHECK_OK(map_try_size(body, key, item * max, try_body));
        CHECK_EQ(map_try_size(body, key, item * (max + 1), try_body), -EBADMSG);
}

TEST(vector) {
        RoomSync s = sample_sync_full(ROOM_SYNC_VECTOR), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, none = BUFFER_NULL;

        got = decoded(&s, &b);
        CHECK(got.vector.full && got.vector.more);
        CHECK(bytes_equal(got.vector.items, s.vector.items));
        CHECK(bytes_equal(got.vector.read, s.vector.read));
        check_packed(body_of(&b), 5, ROOM_VECTOR_ITEM_SIZE, ROOM_VECTOR_MAX);
        check_packed(body_of(&b), 8, ROOM_WANT_ITEM_SIZE, ROOM_HEADS_MAX);
        CHECK_EQ(map_try_with(body_of(&b), 6, LITERAL("\xf4"), try_body), -EBADMSG);
        s.vector = (RoomVector){};
        got = decoded(&s, &none);
        CHECK(!got.vector.full && !got.vector.more && got.vector.items.size == 0);
        s.vector.items = (Bytes){SAMPLE_VECTOR, 23};
        CHECK_EQ(encode(&s), -EINVAL);
}

TEST(want) {
        RoomSync s = sample_sync_full(ROOM_SYNC_WANT), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Bytes body;

        got = decoded(&s, &b);
        body = body_of(&b);
        CHECK(bytes_equal(got.want.feeds, s.want.feeds) && got.want.has_control);
        CHECK(got.want.n_keys == 2 && got.want.keys[1] == 300 && got.want.n_accounts == 2);
        CHECK(memcmp(got.want.accounts, s.want.accounts, 2 * sizeof(s.want.accounts[0])) == 0);
        CHECK(got.want.proposals && got.want.forks);
        check_packed(body, 5, ROOM_WANT_ITEM_SIZE, ROOM_WANT_FEEDS_MAX);
        check_packed(body, 9, ROOM_WANT_ITEM_SIZE, ROOM_WANT_ENTRIES_MAX);
        check_map_list(body, 8, ROOM_WANT_ACCOUNTS_MAX, KEY_SIZE, try_body);
        CHECK_EQ(map_try_with(body, 7, LITERAL("\x80"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 7, LITERAL("\x81\x00"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 7, LITERAL("\x82\x02\x02"), try_body), -EBADMSG);
        CHECK_OK(map_try_with(body, 7, LITERAL("\x82\x01\x02"), try_body));
        CHECK_EQ(map_try_with(body, 10, LITERAL("\xf4"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 11, LITERAL("\xf4"), try_body), -EBADMSG);

        s.want = (RoomWant){}; /* who wants nothing says nothing */
        CHECK_EQ(encode(&s), -EINVAL);
        for (int i = 0; i < 7; i++) {
                _cleanup_(buffer_done) Buffer one = BUFFER_NULL;
                RoomSync full = sample_sync_full(ROOM_SYNC_WANT);

                s.want = (RoomWant){};
                if (i == 0)
                        s.want.feeds = full.want.feeds;
                s.want.has_control = i == 1; /* from the genesis on */
                s.want.n_keys = i == 2;
                s.want.keys[0] = 7;
                s.want.n_accounts = i == 3;
                if (i == 4)
                        s.want.entries = full.want.entries;
                s.want.proposals = i == 5;
                s.want.forks = i == 6;
                decoded(&s, &one);
                CHECK_EQ(map_pairs(body_of(&one)).n, 4);
        }
}

/* 1 to MAX byte strings that are not empty. */
static void check_count(Bytes body, uint64_t key, size_t max) {
        const size_t counts[] = {0, 1, max, max + 1};

        for (size_t i = 0; i < ELEMENTSOF(counts); i++) {
                _cleanup_(buffer_done) Buffer list = BUFFER_NULL;

                echo_head(&list, 4, counts[i]);
                for (size_t k = 0; k < counts[i]; k++)
                        CHECK_OK(buffer_append(&list, "\x41x", 2));
                CHECK_EQ(map_try_with(body, key, buffer_bytes(&list), try_body),
                        counts[i] > 0 && counts[i] <= max ? 0 : -EBADMSG);
        }
        CHECK_EQ(map_try_with(body, key, LITERAL("\x81\x40"), try_body), -EBADMSG);
}

/* N objects of SIZE bytes each. */
static int try_objects(RoomSyncOp op, size_t n, size_t size) {
        static const uint8_t zeros[ROOM_BLOCK_MAX + 1];
        RoomSync s = sample_sync(op);

        s.objects.n_objects = n;
        for (size_t i = 0; i < n && i < ROOM_SYNC_OBJECTS_MAX; i++)
                s.objects.objects[i] = (Bytes){zeros, size};
        return encode(&s);
}

TEST(lists_of_objects) {
        static const RoomSyncOp ops[] = {ROOM_SYNC_CONTROL, ROOM_SYNC_PROPOSALS, ROOM_SYNC_WRAPS,
                ROOM_SYNC_FORK, ROOM_SYNC_RECORDS};
        size_t n, max;

        for (size_t i = 0; i < ELEMENTSOF(ops); i++) {
                RoomSync s = sample_sync_full(ops[i]), got;
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

                max = room_sync_object_max(ops[i], &n);
                got = decoded(&s, &b);
                CHECK_EQ(got.objects.n_objects, 2);
                CHECK(bytes_equal(got.objects.objects[1], sample_text("second")));
                check_count(body_of(&b), 5, n);
                CHECK_OK(try_objects(ops[i], 1, max));
                CHECK_EQ(try_objects(ops[i], 1, max + 1), -EINVAL);
                CHECK_EQ(try_objects(ops[i], 1, 0), -EINVAL);
                CHECK_EQ(try_objects(ops[i], 0, 1), -EINVAL);
                CHECK_EQ(try_objects(ops[i], n + 1, 1), -EINVAL);
        }
        CHECK_OK(try_objects(ROOM_SYNC_RECORDS, ROOM_SYNC_RECORDS_MAX, RECORD_MAX));
        CHECK_EQ(try_objects(ROOM_SYNC_CONTROL, 2, ROOM_BLOCK_MAX), -EMSGSIZE);
        CHECK_EQ(room_sync_object_max(ROOM_SYNC_STATE, &n), 0);
        CHECK_EQ(n, 0);
}

TEST(certificates_go_with_what_is_signed) {
        RoomSync s = sample_sync_full(ROOM_SYNC_CONTROL), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

        got = decoded(&s, &b);
        CHECK(got.objects.n_certificates == 1 && got.objects.more);
        CHECK(bytes_equal(got.objects.certificates[0], sample_text("certificate")));
        check_count(body_of(&b), 6, ROOM_SYNC_OBJECTS_MAX);
        s.objects.certificates[0].size = 0;
        CHECK_EQ(encode(&s), -EINVAL);
        s.objects.certificates[0].size = CERTIFICATE_MAX + 1;
        CHECK_EQ(encode(&s), -EINVAL);
        s = sample_sync_full(ROOM_SYNC_WRAPS);
        s.objects.more = true;
        CHECK_EQ(encode(&s), -EINVAL);
        s.objects.more = false;
        s.objects.n_certificates = 1;
        CHECK_EQ(encode(&s), -EINVAL);
}

TEST(join) {
        RoomSync s = sample_sync_full(ROOM_SYNC_JOIN), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

        got = decoded(&s, &b);
        CHECK_STR(got.join.name, "bob");
        CHECK(bytes_equal(got.join.record, s.join.record) && got.join.n_heads == 1);
        CHECK_EQ(got.join.heads[0].seq, 300);
        CHECK_EQ(map_try_with(body_of(&b), 5,
                         LITERAL("\x63"
                                 "Bob"),
                         try_body),
                -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&b), 7, LITERAL("\x80"), try_body), -EBADMSG);
        check_map_size(body_of(&b), 6, 1, RECORD_MAX, try_body);
        s.join.n_heads = 2;
        s.join.heads[1] = s.join.heads[0];
        CHECK_EQ(encode(&s), -EINVAL);
        s.join.n_heads = ROOM_HEADS_MAX + 1;
        CHECK_EQ(encode(&s), -EINVAL);
        s.join.n_heads = 0;
        CHECK_OK(encode(&s));
        s.join.name[0] = 0;
        CHECK_EQ(encode(&s), -EINVAL);
}

TEST(refusals_of_newer_versions) {
        RoomSync s = sample_sync_full(ROOM_SYNC_REFUSED), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        char longest[REASON_TEXT_MAX + 1];

        got = decoded(&s, &b);
        CHECK_EQ(got.refused.code, CODE_NOT_INVITED);
        CHECK(bytes_equal(got.refused.text, s.refused.text));
        check_text(body_of(&b), 5, "NotInvited");
        CHECK_OK(map_try_with(body_of(&b), 5, LITERAL("\x65Other"), try_body));
        s.refused.code = CODE_OK;
        CHECK_EQ(encode(&s), -EINVAL);
        s.refused.code = CODE_TOO_MANY;
        memset(longest, 'x', sizeof(longest));
        s.refused.text = (Bytes){(uint8_t *)longest, REASON_TEXT_MAX};
        CHECK_OK(encode(&s));
        s.refused.text.size++;
        CHECK_EQ(encode(&s), -EINVAL);
}

TEST(ask) {
        RoomSync s = sample_sync(ROOM_SYNC_ASK), got;
        _cleanup_(buffer_done) Buffer all = BUFFER_NULL, name = BUFFER_NULL, words = BUFFER_NULL;

        got = decoded(&s, &all);
        CHECK(!got.ask.name[0] && got.ask.words.size == 0);
        memcpy(s.ask.name, "tea", 4);
        got = decoded(&s, &name);
        CHECK_STR(got.ask.name, "tea");
        CHECK_EQ(map_try_with(body_of(&name), 6, LITERAL("\x61x"), try_body), -EBADMSG); /* both */
        CHECK_EQ(map_try_with(body_of(&name), 4, map_value(body_of(&all), 3), try_body), -EBADMSG);
        s = sample_sync_full(ROOM_SYNC_ASK);
        got = decoded(&s, &words);
        CHECK(bytes_equal(got.ask.words, sample_text("tea time")));
        CHECK_EQ(map_try_with(body_of(&words), 6, LITERAL("\x60"), try_body), -EBADMSG);
        s.ask.words.size = ROOM_WORDS_MAX + 1;
        CHECK_EQ(encode(&s), -EINVAL);
}

static int encode_summary(const RoomSummary *x) {
        RoomSync s = sample_sync(ROOM_SYNC_OFFER);

        s.offer.n_rooms = 1;
        s.offer.rooms[0] = *x;
        return encode(&s);
}

TEST(offer) {
        RoomSync s = sample_sync_full(ROOM_SYNC_OFFER), got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, none = BUFFER_NULL, full = BUFFER_NULL;
        RoomSummary x = sample_summary();

        got = decoded(&s, &b);
        CHECK_STR(got.offer.rooms[0].name, "tea");
        CHECK(got.offer.rooms[0].members == 300 && got.offer.rooms[0].online == 2);
        CHECK(key_equal(got.offer.rooms[0].owner, x.owner));
        CHECK(bytes_equal(got.offer.rooms[0].topic, x.topic));

        x.room[0] ^= 1; /* nobody offers a room under the id of another */
        CHECK_EQ(encode_summary(&x), -EINVAL);
        x = sample_summary();
        x.access = ROOM_ACCESS_NONE;
        CHECK_EQ(encode_summary(&x), -EINVAL);
        x = sample_summary();
        x.name[0] = 'T';
        CHECK_EQ(encode_summary(&x), -EINVAL);
        x = sample_summary();
        x.topic = sample_text("two\nlines");
        CHECK_EQ(encode_summary(&x), -EINVAL);
        x.topic = (Bytes){};
        CHECK_OK(encode_summary(&x));

        s.offer.n_rooms = 0;
        got = decoded(&s, &none);
        CHECK_EQ(got.offer.n_rooms, 0);
        s.offer.n_rooms = ROOM_OFFERS_MAX;
        for (size_t i = 0; i < ROOM_OFFERS_MAX; i++)
                s.offer.rooms[i] = sample_summary();
        got = decoded(&s, &full);
        CHECK_EQ(got.offer.n_rooms, ROOM_OFFERS_MAX);
        s.offer.n_rooms++;
        CHECK_EQ(encode(&s), -EINVAL);
}

static int try_summary(Bytes map) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, list = BUFFER_NULL;
        RoomSync s = sample_sync_full(ROOM_SYNC_OFFER);

        CHECK_OK(room_sync_encode(&b, &s));
        echo_head(&list, 4, 1);
        CHECK_OK(buffer_append(&list, map.data, map.size));
        return map_try_with(body_of(&b), 5, buffer_bytes(&list), try_body);
}

TEST(summary) {
        RoomSync s = sample_sync_full(ROOM_SYNC_OFFER);
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Bytes list;

        CHECK_OK(room_sync_encode(&b, &s));
        list = map_value(body_of(&b), 5);
        check_map((Bytes){list.data + 1, list.size - 1}, 0x1ff, 0x1fb, try_summary);
}

TEST(notice_in_a_frame) {
        RoomSync s = sample_sync_full(ROOM_SYNC_NOTICE);
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;

        CHECK_OK(room_sync_encode(&b, &s));
        check_map_size(body_of(&b), 5, 1, ROOM_NOTICE_MAX, try_body);
        s.notice = (Bytes){};
        CHECK_EQ(encode(&s), -EINVAL);
}

/* ROOM_ENTRIES */

static const uint8_t SIGNATURES[3][SIGNATURE_SIZE] = {{1}, {2}, {3}};

static void sample_entries(RoomEntries *e) {
        *e = (RoomEntries){.n_items = 3, .done = true};
        sample_room_id(e->room);
        for (size_t i = 0; i < 3; i++)
                e->items[i] = (RoomEntriesItem){sample_text("INNER"), SIGNATURES[i], {}};
        e->items[1].certificate = e->items[2].certificate = sample_text("certificate");
}

static int try_item(Bytes item) {
        static RoomEntries e;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, list = BUFFER_NULL;

        sample_entries(&e);
        CHECK_OK(room_entries_encode(&b, &e));
        echo_head(&list, 4, 1);
        CHECK_OK(buffer_append(&list, item.data, item.size));
        return map_try_with(body_of(&b), 4, buffer_bytes(&list), try_body);
}

static int try_item_of(size_t parts, size_t inner, size_t signature, size_t certificate) {
        static const uint8_t zeros[INNER_SIZE_MAX + 1];
        const size_t sizes[] = {inner, signature, certificate, 1};
        _cleanup_(buffer_done) Buffer item = BUFFER_NULL;

        echo_head(&item, 4, parts);
        for (size_t i = 0; i < parts; i++) {
                echo_head(&item, 2, sizes[i]);
                CHECK_OK(buffer_append(&item, zeros, sizes[i]));
        }
        return try_item(buffer_bytes(&item));
}

TEST(entries) {
        static RoomEntries e, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Frame f;

        sample_entries(&e);
        CHECK_OK(room_entries_encode(&b, &e));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(3));
        open_frame(&b, FRAME_ROOM_ENTRIES, 0, &f);
        CHECK_OK(room_entries_decode(&f, &got));
        CHECK(got.n_items == 3 && got.done);
        for (size_t i = 0; i < 3; i++) {
                CHECK(bytes_equal(got.items[i].inner, sample_text("INNER")));
                CHECK(memcmp(got.items[i].signature, SIGNATURES[i], SIGNATURE_SIZE) == 0);
                CHECK(bytes_equal(got.items[i].certificate, e.items[i].certificate));
        }
        CHECK(got.items[1].certificate.data == got.items[2].certificate.data); /* sent once */

        CHECK_OK(try_item_of(3, 1, 64, 0));
        CHECK_OK(try_item_of(3, INNER_SIZE_MAX, 64, CERTIFICATE_MAX));
        CHECK_EQ(try_item_of(3, INNER_SIZE_MAX + 1, 64, 0), -EBADMSG);
        CHECK_EQ(try_item_of(3, 0, 64, 0), -EBADMSG);
        CHECK_EQ(try_item_of(3, 1, 63, 0), -EBADMSG);
        CHECK_EQ(try_item_of(3, 1, 65, 0), -EBADMSG);
        CHECK_EQ(try_item_of(3, 1, 64, CERTIFICATE_MAX + 1), -EBADMSG);
        CHECK_EQ(try_item_of(2, 1, 64, 0), -EBADMSG);
        CHECK_EQ(try_item_of(4, 1, 64, 0), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&b), 4, LITERAL("\x80"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&b), 5, LITERAL("\xf4"), try_body), -EBADMSG);
}

TEST(entries_and_whose_certificate) {
        static RoomEntries e;
        Buffer b = BUFFER_NULL;

        sample_entries(&e);
        e.items[2].certificate = (Bytes){}; /* the link's own again: to be written out */
        CHECK_EQ(room_entries_encode(&b, &e), -EINVAL);
        sample_entries(&e);
        e.n_items = 0;
        CHECK_OK(room_entries_encode(&b, &e));
        CHECK_OK(try_body(body_of(&b)));
        CHECK_EQ(map_try_with(body_of(&b), 5, (Bytes){}, try_body), -EBADMSG); /* says nothing */
        buffer_clear(&b);
        e.done = false;
        CHECK_EQ(room_entries_encode(&b, &e), -EINVAL);
        e.n_items = ROOM_ENTRIES_MAX + 1;
        CHECK_EQ(room_entries_encode(&b, &e), -EINVAL);
        CHECK_EQ(buffer_size(&b), 0);
        buffer_done(&b);
}

/* What room_entries_size() lets in fits a frame. */
TEST(full_frames_of_entries) {
        static const uint8_t zeros[INNER_SIZE_MAX], certificate[CERTIFICATE_MAX];
        static RoomEntries e;
        const size_t inners[] = {100, 1000, INNER_SIZE_MAX - 5000};

        for (size_t k = 0; k < ELEMENTSOF(inners); k++) {
                _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
                size_t size = 0;

                e = (RoomEntries){};
                while (e.n_items < ROOM_ENTRIES_MAX) {
                        RoomEntriesItem x = {{zeros, inners[k]}, SIGNATURES[0],
                                {certificate, CERTIFICATE_MAX - e.n_items % 2}};

                        size += room_entries_size(&x);
                        if (size > ROOM_ENTRIES_BYTES_MAX)
                                break;
                        e.items[e.n_items++] = x;
                }
                CHECK(e.n_items > 0);
                CHECK_OK(room_entries_encode(&b, &e));
                CHECK_OK(try_body(body_of(&b)));
        }
}
