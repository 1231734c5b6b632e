/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a tracker says is believed only where somebody has signed it. */

#include "test.h"

#include "directory-lab.h"

static Buffer *tracker_output(World *w) {
        return conn_output(w->teller->far.conn);
}

static void push_record(World *w, Bytes record) {
        far_sent(&w->teller->far, record_frame_encode(tracker_output(w), FRAME_RECORD, 0, record));
        settle(w);
}

static void push_presence(World *w, const Person *about, bool online, Bytes presence) {
        PresencePush p = {
                .online = online, .presence = presence, .last_seen = loop_realtime(w->sim.loop)};

        memcpy(p.account, person_account(about), KEY_SIZE);
        far_sent(&w->teller->far, presence_push_encode(tracker_output(w), &p));
        settle(w);
}

/* Of whoever signs, about Bob. */
static void push_presence_of(World *w, const Person *signer, Presence state, uint64_t seq) {
        _cleanup_(buffer_done) Buffer b = person_presence(signer, state, seq, "192.0.2.1:7000");

        push_presence(w, &w->bob, state != PRESENCE_OFFLINE, buffer_bytes(&b));
}

/* Announcing */

TEST(a_tracker_is_told_who_is_there_and_who_is_watched) {
        _cleanup_(buffer_done) Buffer presence = BUFFER_NULL;
        uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        Bytes record;
        Publish p;
        Watch watch;
        Frame f;
        World w;

        world_begin(&w);
        presence = person_presence(&w.alice, PRESENCE_ONLINE, 1, "192.0.2.7:7000");
        CHECK_OK(directory_watch(w.directory, person_account(&w.bob)));
        directory_announce(w.directory, true, buffer_bytes(&presence));
        directory_start(w.directory);
        for (int i = 0; i < 2; i++) { /* and again after the connection was lost */
                tracker_greet(&w.tracker);
                f = far_take(&w.tracker.far, FRAME_REGISTER);
                CHECK_OK(record_frame_decode(&f, &record));
                CHECK_EQ(record.size, w.alice.local.record.size);
                CHECK(far_is_served(&w.tracker.far));
                CHECK(!far_has(&w.tracker.far, FRAME_PUBLISH)); /* it has no such name so far */
                tracker_ok(&w.tracker, f.request);
                f = far_take(&w.tracker.far, FRAME_PUBLISH);
                CHECK_OK(publish_decode(&f, &p));
                CHECK_EQ(p.presence.size, buffer_size(&presence));
                f = far_take(&w.tracker.far, FRAME_WATCH);
                CHECK_OK(watch_decode(&f, accounts, &watch));
                CHECK_EQ(watch.add.size, KEY_SIZE);
                CHECK(key_equal(watch.add.data, person_account(&w.bob)));
                tracker_hang_up(&w.tracker);
        }
        world_free(&w);
}

TEST(a_name_that_is_taken_is_told) {
        World w;

        world_begin(&w);
        directory_announce(w.directory, true, (Bytes){});
        directory_start(w.directory);
        tracker_greet(&w.tracker);
        tracker_error(
                &w.tracker, far_take(&w.tracker.far, FRAME_REGISTER).request, CODE_NAME_TAKEN);
        SIM_UNTIL(&w.sim, w.n_refused == 1);
        world_free(&w);
}

/* How long it takes until the next frame of this type is there. */
static usec_t await_frame(World *w, uint64_t type, uint64_t *ret_request) {
        usec_t start = loop_now(w->sim.loop);

        while (!far_has(&w->tracker.far, type) && loop_now(w->sim.loop) < start + USEC_PER_DAY)
                sim_run(&w->sim, USEC_PER_SEC);
        *ret_request = far_take(&w->tracker.far, type).request;
        return loop_now(w->sim.loop) - start;
}

TEST(what_is_refused_for_now_is_announced_again) {
        _cleanup_(buffer_done) Buffer presence = BUFFER_NULL;
        usec_t took, last = 0;
        uint64_t request;
        unsigned changed;
        World w;

        world_begin(&w);
        presence = person_presence(&w.alice, PRESENCE_ONLINE, 1, "192.0.2.7:7000");
        directory_announce(w.directory, true, buffer_bytes(&presence));
        directory_start(w.directory);
        tracker_greet(&w.tracker);
        await_frame(&w, FRAME_REGISTER, &request);

        /* As long as the tracker says; and a while where it does not, longer each time. Whoever has
         * made the record hears of it. */
        changed = w.n_changed;
        tracker_refuse(&w.tracker, request, CODE_RATE_LIMITED, 180);
        took = await_frame(&w, FRAME_REGISTER, &request);
        CHECK_EQ(w.n_changed, changed + 1);
        CHECK(took >= 180 * USEC_PER_SEC && took < 240 * USEC_PER_SEC);
        tracker_refuse(&w.tracker, request, CODE_RATE_LIMITED, RETRY_AFTER_MAX);
        took = await_frame(&w, FRAME_REGISTER, &request);
        CHECK(took >= USEC_PER_HOUR && took < 2 * USEC_PER_HOUR);
        for (int i = 0; i < 4; i++) {
                tracker_error(&w.tracker, request, CODE_STORAGE);
                took = await_frame(&w, FRAME_REGISTER, &request);
                CHECK(took >= 5 * USEC_PER_SEC && took > last && took < USEC_PER_HOUR);
                last = took;
        }

        /* Of a presence as well; and it begins anew after one that was taken. */
        tracker_ok(&w.tracker, request);
        await_frame(&w, FRAME_PUBLISH, &request);
        tracker_refuse(&w.tracker, request, CODE_RATE_LIMITED, 10);
        await_frame(&w, FRAME_REGISTER, &request);
        tracker_ok(&w.tracker, request);
        await_frame(&w, FRAME_PUBLISH, &request);
        tracker_ok(&w.tracker, request);
        sim_run(&w.sim, 3 * USEC_PER_HOUR);
        CHECK(!far_has(&w.tracker.far, FRAME_REGISTER));
        CHECK(!far_has(&w.tracker.far, FRAME_PUBLISH));
        directory_announce(w.directory, true, buffer_bytes(&presence));
        await_frame(&w, FRAME_PUBLISH, &request);
        tracker_error(&w.tracker, request, CODE_STORAGE);
        took = await_frame(&w, FRAME_REGISTER, &request);
        CHECK(took >= 5 * USEC_PER_SEC && took < 10 * USEC_PER_SEC);

        /* A name that is taken stays taken. */
        tracker_error(&w.tracker, request, CODE_NAME_TAKEN);
        sim_run(&w.sim, 3 * USEC_PER_HOUR);
        CHECK(w.n_refused == 1 && !far_has(&w.tracker.far, FRAME_REGISTER));
        CHECK(directory_is_connected(w.directory));
        world_free(&w);
}

/* Presence */

TEST(presence_counts_from_the_accounts_own_device) {
        const KnownPresence *k;
        World w;

        world_new(&w);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 5); /* may be anybody's: no record yet */
        CHECK_EQ(w.n_presence, 0);
        CHECK(!directory_presence(w.directory, person_account(&w.bob)));
        push_record(&w, w.bob.local.record);
        CHECK_EQ(w.n_records, 1);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 5);
        CHECK_EQ(w.n_presence, 1);
        CHECK(w.online && w.presence == PRESENCE_ONLINE);
        k = directory_presence(w.directory, person_account(&w.bob));
        CHECK(k && k->online && k->n_endpoints == 1);
        CHECK_STR(k->endpoints[0], "192.0.2.1:7000");
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 6);
        CHECK(w.n_presence == 2 && w.presence == PRESENCE_AWAY);
        world_free(&w);
}

TEST(forged_and_old_presence_is_ignored) {
        _cleanup_(buffer_done) Buffer mallorys = BUFFER_NULL, broken = BUFFER_NULL;
        Person forger;
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 5);
        CHECK_EQ(w.n_presence, 1);

        /* Bob's account, Mallory's device; with a seq that would lock Bob out for ever */
        person_on_device(&w.bob, 1, &forger);
        push_presence_of(&w, &forger, PRESENCE_ONLINE, UINT64_MAX);
        forger.epoch = 2;
        push_presence_of(&w, &forger, PRESENCE_ONLINE, 7);
        /* Mallory's own, said to be Bob's */
        mallorys = person_presence(&w.mallory, PRESENCE_ONLINE, 8, "192.0.2.66:1");
        push_presence(&w, &w.bob, true, buffer_bytes(&mallorys));
        /* about whom nobody has asked */
        push_presence(&w, &w.mallory, true, buffer_bytes(&mallorys));
        /* a signature that does not hold */
        broken = person_presence(&w.bob, PRESENCE_BUSY, 9, NULL);
        buffer_data(&broken)[buffer_size(&broken) - 1] ^= 1;
        push_presence(&w, &w.bob, true, buffer_bytes(&broken));
        /* older than what is known, none at all, not even a signed object */
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 4);
        push_presence(&w, &w.bob, true, (Bytes){});
        push_presence(&w, &w.bob, true, text_bytes("online, honestly"));
        CHECK_EQ(w.n_presence, 1);
        CHECK_EQ(directory_presence(w.directory, person_account(&w.bob))->seq, 5);

        push_presence_of(&w, &w.bob, PRESENCE_BUSY, 6);
        CHECK(w.n_presence == 2 && w.presence == PRESENCE_BUSY);
        person_done(&forger);
        world_free(&w);
}

TEST(that_somebody_is_gone_needs_no_signature) {
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 5);
        push_presence(&w, &w.bob, false, (Bytes){});
        CHECK(w.n_presence == 2 && !w.online);
        CHECK_EQ(w.last_seen, directory_presence(w.directory, person_account(&w.bob))->last_seen);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 5); /* and is back */
        CHECK(w.n_presence == 3 && w.online);
        world_free(&w);
}

#define GRACE (DIRECTORY_GRACE_HEARTBEATS * 30 * USEC_PER_SEC)

static void lose(FakeTracker *t) {
        tracker_close(t);
        tracker_hang_up(t);
}

static void come_back(World *w, FakeTracker *t) {
        tracker_listen(t);
        directory_wake(w->directory);
        tracker_greet(t);
        far_take(&t->far, FRAME_WATCH);
}

TEST(a_tracker_that_is_lost_does_not_mean_that_people_are) {
        const KnownPresence *known;
        unsigned n;
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 7);
        n = w.n_presence;
        known = directory_presence(w.directory, person_account(&w.bob));
        CHECK(known && known->online);

        /* Back within three heartbeats, and says the same again: nothing has happened. */
        lose(&w.tracker);
        sim_run(&w.sim, GRACE - 10 * USEC_PER_SEC);
        CHECK(!directory_is_connected(w.directory));
        CHECK(known->online);
        CHECK_EQ(known->presence, PRESENCE_AWAY);
        come_back(&w, &w.tracker);
        sim_run(&w.sim, GRACE - 10 * USEC_PER_SEC); /* he may take his time as well */
        CHECK(known->online);
        CHECK_EQ(w.n_presence, n);
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 7);
        CHECK(w.online && w.n_presence == n + 1);
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK(known->online);
        CHECK_EQ(w.n_presence, ++n);

        /* Not back for longer. */
        lose(&w.tracker);
        SIM_UNTIL(&w.sim, w.n_presence > n);
        CHECK_EQ(w.n_presence, n + 1);
        CHECK(!w.online && !known->online);
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK_EQ(w.n_presence, n + 1);
        come_back(&w, &w.tracker);
        CHECK(!known->online);
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 7); /* the same as before will do */
        CHECK(known->online && w.n_presence == n + 2);

        /* Who stops has no more to do with it. */
        directory_stop(w.directory);
        CHECK(!known->online);
        CHECK_EQ(w.n_presence, n + 2);
        world_free(&w);
}

/* As one does that was set up anew: it knows nobody, so it says of nobody that he is gone. */
TEST(a_tracker_that_is_back_has_to_say_again_who_is_there) {
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 7);
        for (int i = 0; i < 6 && w.online; i++) { /* coming and going does not count */
                lose(&w.tracker);
                sim_run(&w.sim, GRACE / 3);
                come_back(&w, &w.tracker);
                sim_run(&w.sim, GRACE / 3);
        }
        CHECK(!w.online && w.n_presence == 2);
        CHECK(!directory_presence(w.directory, person_account(&w.bob))->online);
        CHECK(!directory_presence(w.directory, person_account(&w.bob))->gone); /* who knows */
        world_free(&w);
}

/* Connected to two. */
static void add_tracker(World *w, FakeTracker *second) {
        EndpointKey addresses[2];

        tracker_new_at(&w->sim, "second", second);
        addresses[0] = tracker_address(second);
        addresses[1] = tracker_address(&w->tracker);
        CHECK_OK(directory_set_trackers(w->directory, addresses, 2));
        tracker_greet(second);
        far_take(&second->far, FRAME_WATCH);
}

TEST(one_tracker_that_says_so_is_enough) {
        const KnownPresence *known;
        FakeTracker second;
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 7);
        add_tracker(&w, &second);
        known = directory_presence(w.directory, person_account(&w.bob));
        w.teller = &second;
        push_presence(&w, &w.bob, false, (Bytes){}); /* he is not there: he does not use it */
        CHECK(known->online && w.n_presence == 1);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 6); /* it has not heard the last of it */
        CHECK(known->online && w.n_presence == 1);
        w.teller = &w.tracker;
        push_presence(&w, &w.bob, false, (Bytes){});
        CHECK(known->online && !known->gone && w.n_presence == 1);
        w.teller = &second;
        push_presence(&w, &w.bob, false, (Bytes){});
        CHECK(!known->online && known->gone && w.n_presence == 2);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 6);
        CHECK(known->online && !known->gone && w.n_presence == 3);
        tracker_free(&second);
        world_free(&w);
}

TEST(what_only_a_lost_tracker_has_said_expires) {
        const KnownPresence *known;
        FakeTracker second;
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 7);
        add_tracker(&w, &second);
        known = directory_presence(w.directory, person_account(&w.bob));
        lose(&w.tracker);
        sim_run(&w.sim, GRACE - 10 * USEC_PER_SEC);
        CHECK(known->online && w.n_presence == 1);
        SIM_UNTIL(&w.sim, w.n_presence == 2);
        CHECK(!known->online && !w.online && directory_is_connected(w.directory));
        tracker_free(&second);
        world_free(&w);
}

TEST(a_tracker_that_is_taken_off_the_list_counts_as_lost) {
        const KnownPresence *known;
        EndpointKey address;
        FakeTracker second;
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 7);
        add_tracker(&w, &second);
        known = directory_presence(w.directory, person_account(&w.bob));
        address = tracker_address(&w.tracker); /* which stays, at another place in the list */
        CHECK_OK(directory_set_trackers(w.directory, &address, 1));
        sim_run(&w.sim, 2 * GRACE);
        CHECK(known->online && w.n_presence == 1);
        address = tracker_address(&second);
        CHECK_OK(directory_set_trackers(w.directory, &address, 1));
        CHECK(known->online);
        SIM_UNTIL(&w.sim, w.n_presence == 2);
        CHECK(!known->online);
        tracker_free(&second);
        world_free(&w);
}

TEST(a_newer_device_speaks_for_the_account) {
        Person tablet;
        World w;

        world_new(&w);
        push_record(&w, w.bob.local.record);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 100);
        person_on_device(&w.bob, 2, &tablet);
        push_record(&w, tablet.local.record);
        CHECK_EQ(w.record_epoch, 2);
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 101); /* the old one does not know */
        CHECK_EQ(w.n_presence, 1);
        push_presence_of(&w, &tablet, PRESENCE_BUSY, 1);
        CHECK(w.n_presence == 2 && w.presence == PRESENCE_BUSY);
        push_record(&w, w.bob.local.record); /* a tracker with a backup */
        push_presence_of(&w, &w.bob, PRESENCE_AWAY, 102);
        CHECK_EQ(w.n_presence, 2);
        person_done(&tablet);
        world_free(&w);
}

TEST(what_a_link_says_is_checked_as_well) {
        _cleanup_(buffer_done) Buffer own = BUFFER_NULL, other = BUFFER_NULL;
        const KnownPresence *known;
        Certificate c;
        World w;

        world_new(&w);
        CHECK_OK(certificate_decode(w.bob.local.certificate, &c));
        own = person_presence(&w.bob, PRESENCE_ONLINE, 5, "192.0.2.1:7000");
        other = person_presence(&w.mallory, PRESENCE_ONLINE, 6, NULL);
        CHECK_EQ(directory_take_presence(w.directory, &c, buffer_bytes(&other), 1), -EBADMSG);
        CHECK_EQ(w.n_presence, 0);
        CHECK_OK(directory_take_presence(w.directory, &c, buffer_bytes(&own), 1));
        known = directory_presence(w.directory, person_account(&w.bob));
        CHECK(known && known->n_endpoints == 1);
        CHECK_STR(known->endpoints[0], "192.0.2.1:7000");
        /* Nobody would say when he has left. */
        CHECK(!known->online && !known->gone && w.n_presence == 0);
        push_presence_of(&w, &w.bob, PRESENCE_ONLINE, 5);
        CHECK(known->online && w.n_presence == 1);
        buffer_done(&own);
        own = BUFFER_NULL;
        own = person_presence(&w.bob, PRESENCE_BUSY, 6, NULL);
        CHECK_OK(directory_take_presence(w.directory, &c, buffer_bytes(&own), 1));
        CHECK(known->online && w.n_presence == 2 && w.presence == PRESENCE_BUSY);
        world_free(&w);
}

/* Records */

TEST(records_that_do_not_verify_are_ignored) {
        World w;

        world_new(&w);
        push_record(&w, w.mallory.local.record); /* nobody has asked about her */
        push_record(&w, text_bytes("not a record"));
        push_record(&w, w.bob.local.certificate);
        buffer_data(&w.bob.record)[buffer_size(&w.bob.record) - 1] ^= 1;
        push_record(&w, w.bob.local.record);
        CHECK_EQ(w.n_records, 0);
        buffer_data(&w.bob.record)[buffer_size(&w.bob.record) - 1] ^= 1;
        push_record(&w, w.bob.local.record);
        CHECK_EQ(w.n_records, 1);
        world_free(&w);
}

static void push_replaced(World *w, Bytes record) {
        far_sent(&w->teller->far,
                record_frame_encode(tracker_output(w), FRAME_SESSION_REPLACED, 0, record));
        settle(w);
}

TEST(a_push_alone_logs_nobody_out) {
        Person tablet;
        World w;

        world_new(&w);
        person_on_device(&w.alice, 2, &tablet);
        push_replaced(&w, text_bytes("you are replaced"));
        push_replaced(&w, w.mallory.local.record);
        buffer_data(&tablet.record)[buffer_size(&tablet.record) - 1] ^= 1;
        push_replaced(&w, tablet.local.record);
        CHECK_EQ(w.n_records, 0);
        buffer_data(&tablet.record)[buffer_size(&tablet.record) - 1] ^= 1;
        push_replaced(&w, tablet.local.record); /* this one Alice has signed herself */
        CHECK(w.n_records == 1 && w.record_epoch == 2);
        person_done(&tablet);
        world_free(&w);
}

/* Questions */

typedef struct Answer {
        World *world;
        unsigned n, peers;
        Code code;
        char name[NAME_SIZE];
        bool has_presence;
        bool asks_again;
} Answer;

static void on_lookup(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence) {
        Answer *a = userdata;

        a->n++;
        a->code = code;
        CHECK((code == CODE_OK) == (record != NULL));
        if (record)
                memcpy(a->name, record->name, NAME_SIZE);
        a->has_presence = presence != NULL;
        if (a->asks_again && a->n < 1000)
                (void)directory_lookup(a->world->directory, "bob", NULL, on_lookup, a);
}

/* Asks, and has the tracker answer with these. */
static Code look_up(World *w, bool by_name, Bytes record, Bytes presence, Answer *a) {
        LookupAnswer answer = {.record = record, .presence = presence};
        uint64_t id;

        *a = (Answer){.world = w};
        CHECK_OK(directory_lookup(w->directory, by_name ? "bob" : NULL,
                by_name ? NULL : person_account(&w->bob), on_lookup, a));
        CHECK_EQ(a->n, 0);
        id = far_take(&w->tracker.far, FRAME_LOOKUP).request;
        far_sent(&w->tracker.far, lookup_answer_encode(tracker_output(w), id, &answer));
        SIM_UNTIL(&w->sim, a->n == 1);
        settle(w);
        return a->code;
}

TEST(an_answer_must_be_about_whom_was_asked) {
        _cleanup_(buffer_done) Buffer own = BUFFER_NULL, other = BUFFER_NULL;
        Answer a;
        World w;

        world_new(&w);
        own = person_presence(&w.bob, PRESENCE_ONLINE, 1, "192.0.2.1:7000");
        other = person_presence(&w.mallory, PRESENCE_ONLINE, 1, "192.0.2.6:7000");
        for (int by_name = 0; by_name < 2; by_name++) {
                Bytes record = w.bob.local.record;

                CHECK_EQ(look_up(&w, by_name, record, buffer_bytes(&own), &a), CODE_OK);
                CHECK_STR(a.name, "bob");
                CHECK(a.has_presence);
                /* A presence that is not his is none. */
                CHECK_EQ(look_up(&w, by_name, record, buffer_bytes(&other), &a), CODE_OK);
                CHECK(!a.has_presence);
                CHECK_EQ(look_up(&w, by_name, record, (Bytes){}, &a), CODE_OK);
                CHECK(!a.has_presence);
                CHECK_EQ(look_up(&w, by_name, w.mallory.local.record, (Bytes){}, &a),
                        CODE_TRACKER_UNREACHABLE);
                CHECK_EQ(look_up(&w, by_name, text_bytes("bob"), (Bytes){}, &a),
                        CODE_TRACKER_UNREACHABLE);
        }
        world_free(&w);
}

TEST(an_answer_of_the_wrong_kind_is_none) {
        Answer a = {};
        World w;

        world_new(&w);
        CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        tracker_ok(&w.tracker, far_take(&w.tracker.far, FRAME_LOOKUP).request);
        SIM_UNTIL(&w.sim, a.n == 1);
        CHECK_EQ(a.code, CODE_TRACKER_UNREACHABLE);
        CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        tracker_error(
                &w.tracker, far_take(&w.tracker.far, FRAME_LOOKUP).request, CODE_UNKNOWN_PEER);
        SIM_UNTIL(&w.sim, a.n == 2);
        CHECK_EQ(a.code, CODE_UNKNOWN_PEER);
        world_free(&w);
}

static void on_peer(void *userdata, const Record *record, const PresenceRecord *presence) {
        Answer *a = userdata;

        a->peers++;
        memcpy(a->name, record->name, NAME_SIZE);
}

static void on_list(void *userdata, Code code, Bytes after) {
        Answer *a = userdata;

        a->n++;
        a->code = code;
}

TEST(a_list_is_read_without_what_does_not_verify) {
        ListPeersAnswer *list = calloc(1, sizeof(*list));
        Answer a = {};
        uint64_t id;
        World w;

        CHECK(list);
        world_new(&w);
        CHECK_OK(directory_list(w.directory, true, (Bytes){}, on_peer, on_list, &a));
        id = far_take(&w.tracker.far, FRAME_LIST_PEERS).request;
        list->n_peers = 3;
        list->peers[0].record = w.alice.local.certificate;
        list->peers[1].record = w.bob.local.record;
        list->peers[2].record = text_bytes("mallory");
        far_sent(&w.tracker.far, list_peers_answer_encode(tracker_output(&w), id, list));
        SIM_UNTIL(&w.sim, a.n == 1);
        CHECK(a.code == CODE_OK && a.peers == 1);
        CHECK_STR(a.name, "bob");
        free(list);
        world_free(&w);
}

TEST(questions_wait_for_the_attempt_that_is_under_way) {
        usec_t start;
        Answer a = {};
        World w;

        world_begin(&w);
        CHECK_EQ(directory_lookup(w.directory, "bob", NULL, on_lookup, &a), -ENOTCONN);
        directory_start(w.directory);
        CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        tracker_greet(&w.tracker);
        tracker_error(
                &w.tracker, far_take(&w.tracker.far, FRAME_LOOKUP).request, CODE_UNKNOWN_PEER);
        SIM_UNTIL(&w.sim, a.n == 1);
        CHECK_EQ(a.code, CODE_UNKNOWN_PEER);

        /* It accepts, and then it says nothing. */
        tracker_hang_up(&w.tracker);
        SIM_UNTIL(&w.sim, !directory_is_connected(w.directory));
        w.tracker.wants_raw = true;
        start = loop_now(w.sim.loop);
        CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        SIM_UNTIL(&w.sim, a.n == 2);
        CHECK_EQ(a.code, CODE_TRACKER_UNREACHABLE);
        CHECK(loop_now(w.sim.loop) <= start + 5 * USEC_PER_SEC);

        /* It is gone; whoever asks again at once has to wait like everybody. */
        tracker_close(&w.tracker);
        tracker_hang_up(&w.tracker);
        SIM_UNTIL(&w.sim, directory_has_failed(w.directory));
        a = (Answer){.world = &w, .asks_again = true};
        CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        sim_run(&w.sim, 50 * USEC_PER_MSEC);
        CHECK(a.n >= 1 && a.n < 50);
        CHECK_EQ(a.code, CODE_TRACKER_UNREACHABLE);
        CHECK(directory_error(w.directory)[0]);
        a.asks_again = false;
        world_free(&w);
}

TEST(a_new_list_of_trackers_answers_what_is_open) {
        Answer a = {};
        World w;

        world_new(&w);
        CHECK_OK(directory_lookup(w.directory, "bob", NULL, on_lookup, &a));
        CHECK_OK(directory_set_trackers(w.directory, NULL, 0));
        CHECK(a.n == 1 && a.code == CODE_TRACKER_UNREACHABLE);
        CHECK(!directory_is_connected(w.directory));
        CHECK_EQ(directory_lookup(w.directory, "bob", NULL, on_lookup, &a), -ENOTCONN);
        world_free(&w);
}

static void on_deleted(void *userdata, Code code, const char *text) {
        *(Code *)userdata = code;
}

/* A tracker that keeps passwords. */
static void greet_with_accounts(FakeTracker *t) {
        Hello h = {.versions = {PROTOCOL_VERSION},
                .n_versions = 1,
                .heartbeat = 30,
                .features = {FEATURE_ACCOUNTS},
                .n_features = 1};

        tracker_await(t);
        far_send_hello(&t->far, &h);
        far_sent(&t->far, hello_ok_encode(conn_output(t->far.conn), &(HelloOk){}));
}

TEST(an_account_is_deleted_once) {
        const Bytes statement = text_bytes("statement");
        Code code = _CODE_MAX;
        Bytes got;
        World w;
        Frame f;

        world_begin(&w);
        CHECK_EQ(directory_delete_account(w.directory, NULL, statement, on_deleted, &code),
                -ENOTCONN);
        directory_start(w.directory);
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, directory_is_connected(w.directory));
        CHECK_EQ(directory_delete_account(w.directory, NULL, statement, on_deleted, &code),
                -EOPNOTSUPP);
        tracker_hang_up(&w.tracker);
        SIM_UNTIL(&w.sim, !directory_is_connected(w.directory));
        directory_wake(w.directory);
        greet_with_accounts(&w.tracker);
        SIM_UNTIL(&w.sim, directory_is_connected(w.directory));
        CHECK_OK(directory_delete_account(w.directory, sign_key_public(&w.tracker.self.device),
                statement, on_deleted, &code));
        f = far_take(&w.tracker.far, FRAME_ACCOUNT);
        CHECK_OK(account_decode(&f, &got));
        CHECK(bytes_equal(got, statement));
        tracker_hang_up(&w.tracker); /* whether it has done that nobody knows */
        SIM_UNTIL(&w.sim, code == CODE_TRACKER_UNREACHABLE);
        CHECK_EQ(directory_delete_account(w.directory, NULL, statement, on_deleted, &code),
                -ENOTCONN);
        directory_wake(w.directory);
        tracker_await(&w.tracker);
        far_sent(&w.tracker.far,
                bye_encode(conn_output(w.tracker.far.conn), CODE_NOT_ALLOWED,
                        "this account was deleted", (Bytes){}));
        SIM_UNTIL(&w.sim, session_state(directory_session(w.directory, 0)) == SESSION_REFUSED);
        CHECK_EQ(directory_delete_account(w.directory, NULL, statement, on_deleted, &code),
                -EALREADY);
        world_free(&w);
}
