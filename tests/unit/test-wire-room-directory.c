/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include "frame-cases.h"
#include "room-sample.h"

TEST(room_publish) {
        static RoomPublish x, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Bytes body;
        Frame f;

        x = (RoomPublish){.record = sample_text("record"), .n_enter = 2, .n_leave = 2};
        x.enter[0].room[0] = x.leave[0][0] = 1;
        x.enter[1].room[0] = x.leave[1][0] = 2;
        x.enter[1].has_door = true;
        x.enter[1].door[31] = 3;
        CHECK_OK(room_publish_encode(&b, 7, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), 0);
        body = body_of(&b);
        open_frame(&b, FRAME_ROOM_PUBLISH, 7, &f);
        CHECK_OK(room_publish_decode(&f, &got));
        CHECK(bytes_equal(got.record, x.record) && got.n_enter == 2 && got.n_leave == 2);
        CHECK(memcmp(got.enter, x.enter, 2 * sizeof(x.enter[0])) == 0);
        CHECK(memcmp(got.leave, x.leave, 2 * sizeof(x.leave[0])) == 0);
        check_map_size(body, 3, 1, ROOM_RECORD_MAX, try_body);
        check_map_list(body, 5, ROOM_ENTER_MAX, ROOM_ID_SIZE, try_body);
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x80"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x81\xa0"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 4, LITERAL("\x81\xa1\x00\x41\x00"), try_body), -EBADMSG);
}

TEST(publish_says_something) {
        static RoomPublish x, got;
        Buffer b = BUFFER_NULL;
        Frame f;

        x = (RoomPublish){};
        CHECK_EQ(room_publish_encode(&b, 1, &x), -EINVAL);
        CHECK_OK(frame_put_empty(&b, FRAME_ROOM_PUBLISH, 1));
        open_frame(&b, FRAME_ROOM_PUBLISH, 1, &f);
        CHECK_EQ(room_publish_decode(&f, &got), -EBADMSG);
        buffer_clear(&b);
        x.n_enter = x.n_leave = ROOM_ENTER_MAX;
        for (size_t i = 0; i < ROOM_ENTER_MAX; i++)
                x.enter[i].has_door = true;
        CHECK_OK(room_publish_encode(&b, 1, &x));
        open_frame(&b, FRAME_ROOM_PUBLISH, 1, &f);
        CHECK_OK(room_publish_decode(&f, &got));
        CHECK(got.n_enter == ROOM_ENTER_MAX && got.enter[ROOM_ENTER_MAX - 1].has_door);
        buffer_clear(&b);
        x.n_enter++;
        CHECK_EQ(room_publish_encode(&b, 1, &x), -EINVAL);
        x.n_enter--;
        x.n_leave++;
        CHECK_EQ(room_publish_encode(&b, 1, &x), -EINVAL);
        buffer_done(&b);
}

TEST(room_lookup) {
        RoomLookup by_name = {.name = "tea", .has_door = true, .door = {[31] = 1}};
        RoomLookup by_id = {.room = {1}}, got;
        _cleanup_(buffer_done) Buffer a = BUFFER_NULL, b = BUFFER_NULL;
        Frame f;

        CHECK_OK(room_lookup_encode(&a, 3, &by_name));
        CHECK_OK(room_lookup_encode(&b, 4, &by_id));
        check_frame(&a, KEY(3) | KEY(4) | KEY(5), KEY(3));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(4));
        open_frame(&a, FRAME_ROOM_LOOKUP, 3, &f);
        CHECK_OK(room_lookup_decode(&f, &got));
        CHECK_STR(got.name, "tea");
        CHECK(got.has_door && memcmp(got.door, by_name.door, ROOM_DOOR_SIZE) == 0);
        open_frame(&b, FRAME_ROOM_LOOKUP, 4, &f);
        CHECK_OK(room_lookup_decode(&f, &got));
        CHECK(!got.name[0] && !got.has_door && got.room[0] == 1);
        check_map_size(body_of(&b), 4, 32, 32, try_body);
        check_map_size(body_of(&a), 5, 32, 32, try_body);
        CHECK_EQ(map_try_with(body_of(&a), 4, map_value(body_of(&b), 4), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&a), 3, LITERAL("\x63Tea"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&a), 3, LITERAL("\x64#tea"), try_body), -EBADMSG);
}

TEST(room_lookup_answer) {
        static RoomLookupAnswer x, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Bytes body;
        Frame f;

        ok_kind = ECHO_OK_ROOM_LOOKUP;
        x = (RoomLookupAnswer){.record = sample_text("record"), .n_online = 2, .count = 70000};
        x.online[1][31] = 1;
        CHECK_OK(room_lookup_answer_encode(&b, 3, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(3) | KEY(5));
        body = body_of(&b);
        open_frame(&b, FRAME_OK, 3, &f);
        CHECK_OK(room_lookup_answer_decode(&f, &got));
        CHECK(bytes_equal(got.record, x.record) && got.n_online == 2 && got.count == 70000);
        CHECK(memcmp(got.online, x.online, sizeof(x.online)) == 0);
        check_map_size(body, 3, 1, ROOM_RECORD_MAX, try_body);
        check_map_list(body, 4, ROOM_ONLINE_MAX, KEY_SIZE, try_body);
        CHECK_EQ(map_try_with(body, 5, LITERAL("\x01"), try_body), -EBADMSG); /* of two */
        x.count = 1;
        CHECK_EQ(room_lookup_answer_encode(&b, 3, &x), -EINVAL);
        x.n_online = ROOM_ONLINE_MAX + 1;
        x.count = 100;
        CHECK_EQ(room_lookup_answer_encode(&b, 3, &x), -EINVAL);
}

TEST(room_list) {
        RoomList x = {.words = sample_text("tea time"), .after = sample_text("sugar"), .limit = 9};
        RoomList all = {.limit = 1000}, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, c = BUFFER_NULL;
        Frame f;

        CHECK_OK(room_list_encode(&b, 5, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5), KEY(5));
        open_frame(&b, FRAME_ROOM_LIST, 5, &f);
        CHECK_OK(room_list_decode(&f, &got));
        CHECK(bytes_equal(got.words, x.words) && bytes_equal(got.after, x.after) && got.limit == 9);
        CHECK_EQ(map_try_with(body_of(&b), 3, LITERAL("\x60"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&b), 3, LITERAL("\x61\xff"), try_body), -EBADMSG);
        check_map_size(body_of(&b), 4, 1, ROOM_LIST_AFTER_MAX, try_body);
        CHECK_OK(room_list_encode(&c, 5, &all));
        open_frame(&c, FRAME_ROOM_LIST, 5, &f);
        CHECK_OK(room_list_decode(&f, &got));
        CHECK(got.words.size == 0 && got.after.size == 0 && got.limit == ROOM_LIST_MAX);
}

TEST(room_list_answer) {
        static const uint8_t large[ROOM_RECORD_MAX];
        static RoomListAnswer x, got;
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL, c = BUFFER_NULL;
        Frame f;

        ok_kind = ECHO_OK_ROOM_LIST;
        x = (RoomListAnswer){.n_rooms = 2, .after = sample_text("tea")};
        x.rooms[0].record = x.rooms[1].record = sample_text("record");
        x.rooms[1].online = 300;
        CHECK_OK(room_list_answer_encode(&b, 5, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(3));
        open_frame(&b, FRAME_OK, 5, &f);
        CHECK_OK(room_list_answer_decode(&f, &got));
        CHECK(got.n_rooms == 2 && got.rooms[0].online == 0 && got.rooms[1].online == 300);
        CHECK(bytes_equal(got.rooms[1].record, x.rooms[1].record));
        CHECK(bytes_equal(got.after, x.after));
        CHECK_OK(map_try_with(body_of(&b), 3, LITERAL("\x80"), try_body)); /* none */
        CHECK_EQ(map_try_with(body_of(&b), 3, LITERAL("\x81\xa1\x01\x00"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body_of(&b), 3, LITERAL("\x81\xa1\x00\x41x"), try_body), -EBADMSG);
        x.n_rooms = ROOM_LIST_MAX;
        for (size_t i = 0; i < x.n_rooms; i++)
                x.rooms[i].record = (Bytes){large, 2000};
        CHECK_OK(room_list_answer_encode(&c, 5, &x));
        open_frame(&c, FRAME_OK, 5, &f);
        CHECK_OK(room_list_answer_decode(&f, &got));
        CHECK_EQ(got.n_rooms, ROOM_LIST_MAX);
        for (size_t i = 0; i < x.n_rooms; i++)
                x.rooms[i].record.size = sizeof(large);
        buffer_clear(&c);
        CHECK_EQ(room_list_answer_encode(&c, 5, &x), -EMSGSIZE);
        x.n_rooms++;
        CHECK_EQ(room_list_answer_encode(&c, 5, &x), -EINVAL);
        CHECK_EQ(buffer_size(&c), 0);
}

TEST(room_update) {
        static RoomUpdate x, got;
        Buffer b = BUFFER_NULL;
        Bytes body;
        Frame f;

        x = (RoomUpdate){.record = sample_text("record"),
                .room = {1},
                .n_accounts = 2,
                .state = ROOM_PRESENCE_OFFLINE};
        x.accounts[1][0] = 2;
        CHECK_OK(room_update_encode(&b, &x));
        body = body_of(&b);
        open_frame(&b, FRAME_ROOM_UPDATE, 0, &f);
        CHECK_OK(room_update_decode(&f, &got));
        CHECK(bytes_equal(got.record, x.record) && got.room[0] == 1 && got.n_accounts == 2);
        CHECK(got.state == ROOM_PRESENCE_OFFLINE);
        CHECK(memcmp(got.accounts, x.accounts, sizeof(x.accounts)) == 0);
        check_map_size(body, 3, 1, ROOM_RECORD_MAX, try_body);
        check_map_size(body, 4, 32, 32, try_body);
        check_map_list(body, 5, ROOM_UPDATE_ACCOUNTS_MAX, KEY_SIZE, try_body);
        check_uint(body, 6, 3);
        CHECK_EQ(map_try_with(body, 6, LITERAL("\x00"), try_body), -EBADMSG);
        CHECK_EQ(map_try_with(body, 6, LITERAL("\x04"), try_body), -EBADMSG);
        buffer_clear(&b);

        /* Accounts and their state come together; nothing at all does not come. */
        x.state = ROOM_PRESENCE_NONE;
        CHECK_EQ(room_update_encode(&b, &x), -EINVAL);
        x.n_accounts = 0;
        CHECK_OK(room_update_encode(&b, &x));
        check_frame(&b, KEY(3) | KEY(4), KEY(3) | KEY(4));
        buffer_clear(&b);
        x.record = (Bytes){};
        CHECK_EQ(room_update_encode(&b, &x), -EINVAL);
        x.n_accounts = ROOM_UPDATE_ACCOUNTS_MAX;
        x.state = ROOM_PRESENCE_ENTERED;
        CHECK_OK(room_update_encode(&b, &x));
        check_frame(&b, KEY(3) | KEY(4) | KEY(5) | KEY(6), KEY(4) | KEY(5) | KEY(6));
        buffer_done(&b);
}
