/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms at trackers, as clients enter, publish and find them. */

#include "test.h"

#include "directory/directory.h"
#include "tracker-lab.h"

#define GRACE (DIRECTORY_GRACE_HEARTBEATS * 30 * USEC_PER_SEC)

typedef struct World {
        Sim sim;
        Person alice, bob, carol;
        FakeTracker tracker;
        Directory *directory; /* Alice's */
        RoomRecord record; /* as it is signed next, by Alice */
        Buffer outer;
        RoomPublish said; /* the last ROOM_PUBLISH */
        unsigned n_entered, n_left, n_offline, n_records, n_refused;
        uint8_t account[KEY_SIZE]; /* of the last update */
        uint64_t seq; /* of the last record */
        unsigned n_answers, n_online;
        Code code;
        bool deleted;
} World;

static void on_trackers_changed(void *userdata) {
}

static void on_room_update(void *userdata, const DirectoryRoomUpdate *u) {
        World *w = userdata;

        CHECK(memcmp(u->room, w->record.room, ROOM_ID_SIZE) == 0);
        if (u->record) {
                w->n_records++;
                w->seq = u->record->seq;
                return;
        }
        memcpy(w->account, u->account, KEY_SIZE);
        w->n_entered += u->state == ROOM_PRESENCE_ENTERED;
        w->n_left += u->state == ROOM_PRESENCE_LEFT;
        w->n_offline += u->state == ROOM_PRESENCE_OFFLINE;
}

static void on_room_refused(
        void *userdata, const uint8_t room[static ROOM_ID_SIZE], Code code, const char *text) {
        World *w = userdata;

        w->n_refused++;
        w->code = code;
}

static void on_done(void *userdata, Code code, const char *text) {
        World *w = userdata;

        w->n_answers++;
        w->code = code;
}

static void on_found(void *userdata, Code code, const char *text, const DirectoryRoomFound *found) {
        World *w = userdata;

        w->n_answers++;
        w->code = code;
        w->deleted = found && found->record->deleted;
        w->n_online = found ? (unsigned)found->n_online : 0;
}

static const DirectoryCallbacks callbacks = {
        .trackers_changed = on_trackers_changed,
        .room_update = on_room_update,
        .room_refused = on_room_refused,
};

static void world_new(World *w) {
        EndpointKey address;

        *w = (World){};
        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->alice);
        person_new(&w->sim, "bob", &w->bob);
        person_new(&w->sim, "carol", &w->carol);
        tracker_new(&w->sim, &w->tracker);
        address = tracker_address(&w->tracker);
        CHECK_OK(directory_new(w->sim.net, &w->alice.local, &callbacks, w, &w->directory));
        CHECK_OK(directory_set_trackers(w->directory, &address, 1));
        memcpy(w->record.founder, person_account(&w->alice), KEY_SIZE);
        room_id(w->record.founder, w->record.nonce, w->record.room);
        snprintf(w->record.name, sizeof(w->record.name), "garden");
        w->record.access = ROOM_ACCESS_OPEN;
        w->record.head = (RoomHead){.epoch = 1, .hash = {1}};
        w->record.issued = loop_realtime(w->sim.loop);
        w->record.expires = w->record.issued + USEC_PER_DAY;
        directory_announce(w->directory, true, (Bytes){});
}

static void world_free(World *w) {
        directory_free(w->directory);
        tracker_free(&w->tracker);
        person_done(&w->alice);
        person_done(&w->bob);
        person_done(&w->carol);
        buffer_done(&w->outer);
        sim_free(&w->sim);
}

static Bytes sign_record(World *w) {
        w->record.seq++;
        memcpy(w->record.owner, person_account(&w->alice), KEY_SIZE);
        w->record.certificate = buffer_bytes(&w->alice.certificate);
        buffer_clear(&w->outer);
        CHECK_OK(room_record_encode(&w->outer, &w->record, &w->alice.device));
        return buffer_bytes(&w->outer);
}

/* Up to HELLO_OK, with a tracker that knows rooms. */
static void greet(World *w) {
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .features = {FEATURE_ROOM_DIRECTORY},
                .n_features = 1,
                .heartbeat = 30};

        tracker_await(&w->tracker);
        far_take(&w->tracker.far, FRAME_HELLO);
        far_send_hello(&w->tracker.far, &h);
        far_sent(&w->tracker.far, hello_ok_encode(conn_output(w->tracker.far.conn), &(HelloOk){}));
}

/* And it has the account. */
static void come_up(World *w) {
        greet(w);
        tracker_ok(&w->tracker, far_take(&w->tracker.far, FRAME_REGISTER).request);
        SIM_UNTIL(&w->sim, directory_ready_session(w->directory, 0));
}

static void settle(World *w) {
        CHECK(far_is_served(&w->tracker.far));
}

/* What is said next about rooms, without an answer; returns the request. */
static uint64_t take_said(World *w) {
        Frame f = far_take(&w->tracker.far, FRAME_ROOM_PUBLISH);

        CHECK_OK(room_publish_decode(&f, &w->said));
        return f.request;
}

static void push(World *w, RoomPresence state, const Person *who, Bytes record) {
        RoomUpdate u = {.record = record, .state = state};

        memcpy(u.room, w->record.room, ROOM_ID_SIZE);
        if (who)
                memcpy(u.accounts[u.n_accounts++], person_account(who), KEY_SIZE);
        far_sent(&w->tracker.far, room_update_encode(conn_output(w->tracker.far.conn), &u));
        settle(w);
}

/* Connected, and the room is entered. */
static void world_enter(World *w) {
        world_new(w);
        CHECK_OK(directory_room_enter(w->directory, w->record.room, NULL));
        directory_start(w->directory);
        come_up(w);
        tracker_ok(&w->tracker, take_said(w));
        CHECK_EQ(w->said.n_enter, 1);
        settle(w);
}

/* Announcing */

TEST(a_tracker_that_has_the_account_is_told_and_told_again) {
        uint8_t door[ROOM_DOOR_SIZE] = {7};
        World w;

        world_new(&w);
        CHECK_OK(directory_room_enter(w.directory, w.record.room, door));
        CHECK_OK(directory_room_publish(w.directory, sign_record(&w), NULL, NULL));
        directory_start(w.directory);
        for (int i = 0; i < 2; i++) {
                Frame f;

                greet(&w);
                f = far_take(&w.tracker.far, FRAME_REGISTER);
                settle(&w);
                CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH));
                tracker_ok(&w.tracker, f.request);
                tracker_ok(&w.tracker, take_said(&w));
                CHECK_EQ(w.said.n_enter, 1);
                CHECK(memcmp(w.said.enter[0].room, w.record.room, ROOM_ID_SIZE) == 0);
                CHECK(w.said.enter[0].has_door);
                CHECK(memcmp(w.said.enter[0].door, door, sizeof(door)) == 0);
                CHECK_EQ(w.said.record.size, 0);
                tracker_ok(&w.tracker, take_said(&w));
                CHECK_EQ(w.said.n_enter, 0);
                CHECK(bytes_equal(w.said.record, buffer_bytes(&w.outer)));
                settle(&w);
                CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH)); /* once */
                tracker_hang_up(&w.tracker);
        }
        world_free(&w);
}

TEST(a_tracker_that_does_not_know_rooms_hears_of_none) {
        World w;

        world_new(&w);
        CHECK_OK(directory_room_enter(w.directory, w.record.room, NULL));
        directory_start(w.directory);
        tracker_greet(&w.tracker);
        tracker_ok(&w.tracker, far_take(&w.tracker.far, FRAME_REGISTER).request);
        settle(&w);
        CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH));
        CHECK_EQ(directory_room_lookup(w.directory, "garden", NULL, NULL, on_found, &w),
                -EOPNOTSUPP);
        world_free(&w);
}

TEST(leaving_is_said_and_a_new_door_is_shown) {
        uint8_t door[ROOM_DOOR_SIZE] = {8};
        World w;

        world_enter(&w);
        CHECK_OK(directory_room_enter(w.directory, w.record.room, NULL)); /* as it is */
        settle(&w);
        CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH));
        CHECK_OK(directory_room_enter(w.directory, w.record.room, door));
        tracker_ok(&w.tracker, take_said(&w));
        CHECK(w.said.n_enter == 1 && w.said.enter[0].door[0] == 8);
        directory_room_leave(w.directory, w.record.room);
        tracker_ok(&w.tracker, take_said(&w));
        CHECK(w.said.n_enter == 0 && w.said.n_leave == 1);
        settle(&w);
        tracker_hang_up(&w.tracker);
        come_up(&w);
        settle(&w);
        CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH)); /* it is over */
        world_free(&w);
}

TEST(what_is_refused_for_now_is_said_again) {
        World w;

        world_enter(&w);
        CHECK_OK(directory_room_publish(w.directory, sign_record(&w), on_done, &w));
        tracker_error(&w.tracker, take_said(&w), CODE_STORAGE);
        SIM_UNTIL(&w.sim, w.n_answers == 1);
        CHECK_EQ(w.code, CODE_STORAGE);
        tracker_ok(&w.tracker, take_said(&w));
        CHECK(w.said.record.size > 0);
        settle(&w);
        CHECK_EQ(w.n_answers, 1);

        tracker_hang_up(&w.tracker);
        come_up(&w);
        tracker_error(&w.tracker, take_said(&w), CODE_RATE_LIMITED);
        settle(&w);
        CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH)); /* not at once */
        tracker_ok(&w.tracker, take_said(&w));
        CHECK_EQ(w.said.n_enter, 1);
        world_free(&w);
}

TEST(what_is_refused_for_good_is_told_and_not_said_again) {
        World w;

        world_enter(&w);
        CHECK_OK(directory_room_publish(w.directory, sign_record(&w), on_done, &w));
        tracker_error(&w.tracker, take_said(&w), CODE_ROOM_EXISTS);
        SIM_UNTIL(&w.sim, w.n_answers == 1);
        CHECK_EQ(w.code, CODE_ROOM_EXISTS);
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK(!far_has(&w.tracker.far, FRAME_ROOM_PUBLISH));
        CHECK_EQ(w.n_refused, 0);

        tracker_hang_up(&w.tracker); /* another time nobody waits for it */
        come_up(&w);
        tracker_ok(&w.tracker, take_said(&w));
        tracker_error(&w.tracker, take_said(&w), CODE_NOT_OWNER);
        SIM_UNTIL(&w.sim, w.n_refused == 1);
        CHECK_EQ(w.code, CODE_NOT_OWNER);
        world_free(&w);
}

TEST(only_own_records_are_published) {
        World w;

        world_enter(&w);
        CHECK_EQ(directory_room_publish(w.directory, (Bytes){}, NULL, NULL), -EBADMSG);
        (void)sign_record(&w);
        memcpy(w.record.founder, person_account(&w.bob), KEY_SIZE);
        memcpy(w.record.owner, person_account(&w.bob), KEY_SIZE);
        room_id(w.record.founder, w.record.nonce, w.record.room);
        w.record.certificate = buffer_bytes(&w.bob.certificate);
        buffer_clear(&w.outer);
        CHECK_OK(room_record_encode(&w.outer, &w.record, &w.bob.device));
        CHECK_EQ(directory_room_publish(w.directory, buffer_bytes(&w.outer), NULL, NULL), -EBADMSG);
        world_free(&w);
}

/* Who is there */

TEST(entered_left_and_offline_are_told_apart) {
        World w;

        world_enter(&w);
        push(&w, ROOM_PRESENCE_ENTERED, &w.bob, (Bytes){});
        CHECK_EQ(w.n_entered, 1);
        CHECK(key_equal(w.account, person_account(&w.bob)));
        CHECK(directory_room_is_online(w.directory, w.record.room, person_account(&w.bob)));
        push(&w, ROOM_PRESENCE_ENTERED, &w.bob, (Bytes){}); /* nothing new */
        push(&w, ROOM_PRESENCE_ENTERED, &w.alice, (Bytes){}); /* herself */
        CHECK_EQ(w.n_entered, 1);
        push(&w, ROOM_PRESENCE_OFFLINE, &w.bob, (Bytes){});
        CHECK(w.n_offline == 1 && w.n_left == 0);
        CHECK(!directory_room_is_online(w.directory, w.record.room, person_account(&w.bob)));
        push(&w, ROOM_PRESENCE_ENTERED, &w.carol, (Bytes){});
        push(&w, ROOM_PRESENCE_LEFT, &w.carol, (Bytes){});
        CHECK(w.n_entered == 2 && w.n_offline == 1 && w.n_left == 1);
        CHECK(key_equal(w.account, person_account(&w.carol)));

        directory_room_leave(w.directory, w.record.room);
        push(&w, ROOM_PRESENCE_ENTERED, &w.bob, (Bytes){}); /* nobody asked */
        CHECK_EQ(w.n_entered, 2);
        world_free(&w);
}

TEST(a_tracker_that_starts_again_does_not_look_like_everybody_leaving) {
        World w;

        world_enter(&w);
        push(&w, ROOM_PRESENCE_ENTERED, &w.bob, (Bytes){});
        push(&w, ROOM_PRESENCE_ENTERED, &w.carol, (Bytes){});
        tracker_hang_up(&w.tracker);
        tracker_close(&w.tracker);
        sim_run(&w.sim, GRACE - 20 * USEC_PER_SEC);
        CHECK_EQ(w.n_offline + w.n_left, 0);
        tracker_listen(&w.tracker);
        directory_wake(w.directory);
        come_up(&w);
        tracker_ok(&w.tracker, take_said(&w));
        sim_run(&w.sim, GRACE - 20 * USEC_PER_SEC); /* they may take their time as well */
        CHECK_EQ(w.n_offline + w.n_left, 0);
        push(&w, ROOM_PRESENCE_ENTERED, &w.bob, (Bytes){});
        CHECK_EQ(w.n_entered, 2); /* as if nothing had been */
        SIM_UNTIL(&w.sim, w.n_offline == 1);
        CHECK(key_equal(w.account, person_account(&w.carol)));
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK_EQ(w.n_offline, 1);
        CHECK_EQ(w.n_left, 0);

        tracker_hang_up(&w.tracker); /* and does not come back */
        tracker_close(&w.tracker);
        SIM_UNTIL(&w.sim, w.n_offline == 2);
        CHECK(key_equal(w.account, person_account(&w.bob)));
        world_free(&w);
}

/* Records */

TEST(a_record_that_is_told_has_to_hold_and_to_be_newer) {
        _cleanup_(buffer_done) Buffer old = BUFFER_NULL, forged = BUFFER_NULL;
        uint8_t *p;
        World w;

        world_enter(&w);
        (void)sign_record(&w);
        CHECK_OK(buffer_append(&old, buffer_data(&w.outer), buffer_size(&w.outer)));
        (void)sign_record(&w);
        CHECK_OK(buffer_append(&forged, buffer_data(&w.outer), buffer_size(&w.outer)));
        p = (uint8_t *)buffer_data(&forged) + buffer_size(&forged) - 3;
        *p ^= 1;
        push(&w, ROOM_PRESENCE_NONE, NULL, buffer_bytes(&forged));
        CHECK_EQ(w.n_records, 0);
        push(&w, ROOM_PRESENCE_NONE, NULL, buffer_bytes(&w.outer));
        CHECK_EQ(w.n_records, 1);
        CHECK_EQ(w.seq, 2);
        push(&w, ROOM_PRESENCE_NONE, NULL, buffer_bytes(&w.outer));
        push(&w, ROOM_PRESENCE_NONE, NULL, buffer_bytes(&old));
        CHECK_EQ(w.n_records, 1);
        world_free(&w);
}

static void answer_lookup(World *w, Bytes record) {
        RoomLookupAnswer *a = calloc(1, sizeof(*a));
        uint64_t request = far_take(&w->tracker.far, FRAME_ROOM_LOOKUP).request;

        CHECK(a);
        a->record = record;
        memcpy(a->online[a->n_online++], person_account(&w->bob), KEY_SIZE);
        a->count = 5;
        far_sent(&w->tracker.far,
                room_lookup_answer_encode(conn_output(w->tracker.far.conn), request, a));
        SIM_UNTIL(&w->sim, w->n_answers == 1);
        w->n_answers = 0;
        free(a);
}

TEST(an_answer_must_be_about_the_room_that_was_asked_for) {
        uint8_t other[ROOM_ID_SIZE] = {9};
        World w;

        world_enter(&w);
        (void)sign_record(&w);
        CHECK_OK(directory_room_lookup(w.directory, "garden", NULL, NULL, on_found, &w));
        answer_lookup(&w, buffer_bytes(&w.outer));
        CHECK_EQ(w.code, CODE_OK);
        CHECK_EQ(w.n_online, 1);
        CHECK_OK(directory_room_lookup(w.directory, NULL, w.record.room, NULL, on_found, &w));
        answer_lookup(&w, buffer_bytes(&w.outer));
        CHECK_EQ(w.code, CODE_OK);
        CHECK_OK(directory_room_lookup(w.directory, "park", NULL, NULL, on_found, &w));
        answer_lookup(&w, buffer_bytes(&w.outer));
        CHECK_EQ(w.code, CODE_TRACKER_UNREACHABLE);
        CHECK_OK(directory_room_lookup(w.directory, NULL, other, NULL, on_found, &w));
        answer_lookup(&w, buffer_bytes(&w.outer));
        CHECK_EQ(w.code, CODE_TRACKER_UNREACHABLE);
        w.record.deleted = true;
        (void)sign_record(&w);
        CHECK_OK(directory_room_lookup(w.directory, "garden", NULL, NULL, on_found, &w));
        answer_lookup(&w, buffer_bytes(&w.outer));
        CHECK_EQ(w.code, CODE_UNKNOWN_ROOM);
        CHECK(w.deleted && w.n_online == 0);

        CHECK_OK(directory_room_lookup(w.directory, "garden", NULL, NULL, on_found, &w));
        directory_forget(w.directory, &w);
        tracker_error(
                &w.tracker, far_take(&w.tracker.far, FRAME_ROOM_LOOKUP).request, CODE_UNKNOWN_ROOM);
        settle(&w);
        CHECK_EQ(w.n_answers, 0);
        world_free(&w);
}

static void on_listed(void *userdata, const RoomRecord *record, Bytes outer, uint64_t online) {
        World *w = userdata;

        CHECK_STR(record->name, "garden");
        CHECK_EQ(online, 3);
        w->n_records++;
}

static void on_list_end(void *userdata, Code code, Bytes after) {
        World *w = userdata;

        w->n_answers++;
        w->code = code;
        CHECK_EQ(after.size, 4);
}

TEST(a_list_is_read_without_what_does_not_hold) {
        _cleanup_(buffer_done) Buffer forged = BUFFER_NULL;
        RoomListAnswer *a = calloc(1, sizeof(*a));
        RoomList l;
        uint8_t *p;
        World w;
        Frame f;

        CHECK(a);
        world_enter(&w);
        (void)sign_record(&w);
        CHECK_OK(buffer_append(&forged, buffer_data(&w.outer), buffer_size(&w.outer)));
        p = (uint8_t *)buffer_data(&forged) + buffer_size(&forged) - 3;
        *p ^= 1;
        CHECK_OK(directory_room_list(
                w.directory, text_bytes("gar"), (Bytes){}, 7, on_listed, on_list_end, &w));
        f = far_take(&w.tracker.far, FRAME_ROOM_LIST);
        CHECK_OK(room_list_decode(&f, &l));
        CHECK(bytes_equal(l.words, text_bytes("gar")));
        CHECK_EQ(l.limit, 7);
        a->n_rooms = 2;
        a->rooms[0].record = buffer_bytes(&forged);
        a->rooms[1].record = buffer_bytes(&w.outer);
        a->rooms[0].online = a->rooms[1].online = 3;
        a->after = text_bytes("more");
        far_sent(&w.tracker.far,
                room_list_answer_encode(conn_output(w.tracker.far.conn), f.request, a));
        SIM_UNTIL(&w.sim, w.n_answers == 1);
        CHECK_EQ(w.code, CODE_OK);
        CHECK_EQ(w.n_records, 1);
        free(a);
        world_free(&w);
}
