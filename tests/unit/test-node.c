/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node-lab.h"

/* A user who has registered and stays connected. */
static void member_new(Lab *lab, const char *name, User *u, Caller *c) {
        user_new(lab, name, u);
        caller_new(lab, u, c);
        CHECK_EQ(caller_register(c, u), CODE_OK);
}

static bool bytes_equal(Bytes a, Bytes b) {
        return a.size == b.size && memcmp(a.data, b.data, b.size) == 0;
}

/* HELLO */

TEST(nobody_in_particular_is_welcome) {
        SignKey stranger;
        HelloOk ok;
        Caller c;
        Hello h;
        Frame f;
        Lab lab;

        lab_new(&lab);
        sign_key_generate(&stranger);
        caller_connect(&lab, &stranger, &c);
        caller_send_hello(&c, (Bytes){}, (Bytes){});
        f = caller_take(&c, FRAME_HELLO);
        CHECK_OK(hello_decode(&f, &h));
        CHECK(hello_has_version(&h, PROTOCOL_VERSION));
        CHECK_EQ(h.heartbeat, 30);
        CHECK(!bytes_are_zero(h.boot_nonce, sizeof(h.boot_nonce)));
        CHECK(h.time >= lab.realtime && h.time < lab.realtime + USEC_PER_HOUR);
        f = caller_take(&c, FRAME_HELLO_OK);
        CHECK_OK(hello_ok_decode(&f, &ok));
        CHECK_EQ(node_stats(lab.node)->sessions, 1);
        caller_free(&c);
        LAB_UNTIL(&lab, node_stats(lab.node)->sessions == 0);
        lab_free(&lab);
}

static Code refused_hello(Lab *lab, const SignKey *device, Bytes certificate, Bytes record) {
        Caller c;
        Code code;

        caller_connect(lab, device, &c);
        caller_send_hello(&c, certificate, record);
        code = caller_bye(&c);
        caller_free(&c);
        return code;
}

TEST(a_hello_that_does_not_hold_is_refused) {
        User alice, bob, late;
        Bytes cert, rec;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        user_new(&lab, "bob", &bob);
        user_new(&lab, "late", &late);
        user_sign(&lab, &late, 0); /* ended when the test began */
        cert = buffer_view(&alice.certificate);
        rec = buffer_view(&alice.record);
        /* another device's; one without the other; of two accounts; expired; broken */
        CHECK_EQ(refused_hello(&lab, &bob.device, cert, rec), CODE_INVALID_ARGS);
        CHECK_EQ(refused_hello(&lab, &alice.device, cert, (Bytes){}), CODE_INVALID_ARGS);
        CHECK_EQ(refused_hello(&lab, &alice.device, (Bytes){}, rec), CODE_INVALID_ARGS);
        CHECK_EQ(refused_hello(&lab, &alice.device, cert, buffer_view(&bob.record)), CODE_INVALID_ARGS);
        CHECK_EQ(refused_hello(&lab, &late.device, buffer_view(&late.certificate),
                         buffer_view(&late.record)), CODE_EXPIRED);
        buffer_data(&alice.record)[alice.record.end - alice.record.begin - 1] ^= 1;
        CHECK_EQ(refused_hello(&lab, &alice.device, cert, rec), CODE_INVALID_ARGS);
        user_done(&alice);
        user_done(&bob);
        user_done(&late);
        lab_free(&lab);
}

TEST(another_version_or_another_tracker_is_refused) {
        Hello h = {.versions = {2}, .n_versions = 1, .heartbeat = 30};
        SignKey key;
        Caller c;
        Lab lab;

        lab_new(&lab);
        sign_key_generate(&key);
        caller_connect(&lab, &key, &c);
        caller_sent(&c, hello_encode(conn_output(c.conn), &h));
        CHECK_EQ(caller_bye(&c), CODE_NEWER_VERSION);
        caller_free(&c);
        h = (Hello){.versions = {1}, .n_versions = 1, .heartbeat = 30, .expects = true, .expected = {1}};
        caller_connect(&lab, &key, &c);
        caller_sent(&c, hello_encode(conn_output(c.conn), &h));
        CHECK_EQ(caller_bye(&c), CODE_KEY_CHANGED);
        caller_free(&c);
        lab_free(&lab);
}

TEST(what_comes_before_hello_or_out_of_place_ends_the_session) {
        SignKey key;
        Caller c;
        Lab lab;

        lab_new(&lab);
        sign_key_generate(&key);
        caller_connect(&lab, &key, &c);
        caller_sent(&c, lookup_encode(conn_output(c.conn), 1, &(Lookup){.name = "alice"}));
        CHECK_EQ(caller_bye(&c), CODE_INVALID_ARGS);
        caller_free(&c);

        caller_new(&lab, NULL, &c);
        caller_send_hello(&c, (Bytes){}, (Bytes){}); /* a second one */
        CHECK_EQ(caller_bye(&c), CODE_INVALID_ARGS);
        caller_free(&c);

        caller_new(&lab, NULL, &c);
        caller_sent(&c, lookup_encode(conn_output(c.conn), 0, &(Lookup){.name = "alice"}));
        CHECK_EQ(caller_bye(&c), CODE_INVALID_ARGS);
        caller_free(&c);

        caller_new(&lab, NULL, &c);
        caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_LOOKUP, 1)); /* of nothing */
        CHECK_EQ(caller_bye(&c), CODE_INVALID_ARGS);
        caller_free(&c);
        lab_free(&lab);
}

TEST(who_does_not_say_hello_is_sent_away) {
        SignKey key;
        Caller c;
        Lab lab;

        lab_new(&lab);
        sign_key_generate(&key);
        caller_connect(&lab, &key, &c);
        lab_advance(&lab, 9 * USEC_PER_SEC);
        lab_turn(&lab, 0);
        CHECK(!c.is_closed);
        lab_advance(&lab, 2 * USEC_PER_SEC);
        CHECK_EQ(caller_bye(&c), CODE_TIMEOUT);
        caller_free(&c);
        lab_free(&lab);
}

TEST(what_is_not_built_is_said_and_what_is_newer_is_ignored) {
        Caller c;
        Frame f;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        for (FrameType type = FRAME_REGISTER; type <= FRAME_CONNECT; type++) {
                if (type == FRAME_REGISTER || (type >= FRAME_PUBLISH && type <= FRAME_WATCH))
                        continue;
                caller_sent(&c, frame_put_empty(conn_output(c.conn), type, ++c.last_request));
                f = caller_answer(&c);
                CHECK_EQ(frame_code(&f), CODE_NOT_SUPPORTED);
        }
        caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_IGNORABLE, 5));
        caller_sync(&c);
        CHECK(!c.incoming->next); /* its HELLO, which nobody has taken */
        caller_free(&c);
        lab_free(&lab);
}

/* Names */

TEST(a_registered_name_is_found) {
        LookupAnswer a;
        User alice;
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        caller_new(&lab, NULL, &d);
        CHECK_EQ(caller_lookup(&d, "alice", NULL, &a), CODE_OK);
        CHECK(bytes_equal(a.record, buffer_view(&alice.record)));
        CHECK_EQ(a.presence.size, 0); /* she has not published any */
        CHECK_EQ(caller_lookup(&d, NULL, user_account(&alice), &a), CODE_OK);
        CHECK(bytes_equal(a.record, buffer_view(&alice.record)));
        CHECK_EQ(caller_lookup(&d, "bob", NULL, &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(caller_lookup(&d, NULL, sign_key_public(&alice.device), &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(node_stats(lab.node)->registrations, 1);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        lab_free(&lab);
}

TEST(a_name_is_kept_against_others_and_through_a_restart) {
        User alice, thief;
        LookupAnswer a;
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK); /* again */
        caller_free(&c);
        lab_stop_node(&lab);
        lab_start_node(&lab);
        user_new(&lab, "alice", &thief);
        caller_new(&lab, &thief, &d); /* who only claims it so far */
        CHECK_EQ(caller_register(&d, &thief), CODE_NAME_TAKEN);
        CHECK_EQ(caller_publish(&d, &thief, PRESENCE_ONLINE), CODE_NOT_LOGGED_IN);
        CHECK_EQ(caller_lookup(&d, "alice", NULL, &a), CODE_OK);
        CHECK(bytes_equal(a.record, buffer_view(&alice.record)));
        CHECK_EQ(caller_lookup(&d, NULL, user_account(&thief), &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(node_stats(lab.node)->registrations, 0);
        caller_free(&d);
        user_done(&alice);
        user_done(&thief);
        lab_free(&lab);
}

TEST(a_name_that_was_given_up_is_not_found_and_one_that_ran_out_is_free) {
        User alice, heir;
        LookupAnswer a;
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        user_sign(&lab, &alice, USEC_PER_DAY);
        caller_new(&lab, &alice, &c);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK);
        snprintf(alice.name, sizeof(alice.name), "alicia");
        user_sign(&lab, &alice, LIFETIME);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK);
        CHECK_EQ(caller_lookup(&c, "alice", NULL, &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(caller_lookup(&c, "alicia", NULL, &a), CODE_OK);

        user_new(&lab, "alice", &heir);
        caller_new(&lab, &heir, &d);
        CHECK_EQ(caller_register(&d, &heir), CODE_NAME_TAKEN); /* still held */
        caller_free(&c);
        caller_free(&d);
        lab_advance(&lab, 2 * USEC_PER_DAY);
        caller_new(&lab, &heir, &d);
        CHECK_EQ(caller_register(&d, &heir), CODE_OK);
        CHECK_EQ(caller_lookup(&d, "alice", NULL, &a), CODE_OK);
        CHECK(bytes_equal(a.record, buffer_view(&heir.record)));
        caller_free(&d);
        user_done(&alice);
        user_done(&heir);
        lab_free(&lab);
}

TEST(a_record_that_does_not_hold_is_refused) {
        User alice, bob;
        LookupAnswer a;
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        user_new(&lab, "bob", &bob);
        caller_new(&lab, NULL, &d);
        CHECK_EQ(caller_register(&d, &alice), CODE_NOT_LOGGED_IN);
        caller_new(&lab, &alice, &c);
        CHECK_EQ(caller_register(&c, &bob), CODE_INVALID_ARGS);
        user_sign(&lab, &alice, 0);
        CHECK_EQ(caller_register(&c, &alice), CODE_INVALID_ARGS); /* expired */
        user_sign(&lab, &alice, 400 * USEC_PER_DAY);
        CHECK_EQ(caller_register(&c, &alice), CODE_INVALID_ARGS); /* for ever */
        alice.seq += 25 * 3600 * 1000;
        user_sign(&lab, &alice, LIFETIME);
        CHECK_EQ(caller_register(&c, &alice), CODE_INVALID_ARGS); /* from the future */
        CHECK_EQ(caller_lookup(&c, "alice", NULL, &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(caller_lookup(&c, "bob", NULL, &a), CODE_UNKNOWN_PEER);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

TEST(new_names_are_limited_by_address) {
        User users[4];
        Caller c[4];
        Refusal x;
        Frame f;
        Lab lab;

        lab_new(&lab);
        lab.limits.registrations_per_hour = 2;
        for (size_t i = 0; i < ELEMENTSOF(users); i++) {
                char name[] = "user0";

                name[4] = (char)('0' + i);
                user_new(&lab, name, &users[i]);
                caller_new(&lab, &users[i], &c[i]);
        }
        CHECK_EQ(caller_register(&c[0], &users[0]), CODE_OK);
        CHECK_EQ(caller_register(&c[0], &users[0]), CODE_OK); /* nothing new */
        CHECK_EQ(caller_register(&c[1], &users[1]), CODE_OK);
        caller_sent(&c[2], record_frame_encode(conn_output(c[2].conn), FRAME_REGISTER,
                                   ++c[2].last_request, buffer_view(&users[2].record)));
        f = caller_answer(&c[2]);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_RATE_LIMITED);
        CHECK_EQ(x.retry_after, 1800);
        CHECK_EQ(caller_register(&c[1], &users[1]), CODE_OK);
        lab_advance(&lab, 1801 * USEC_PER_SEC);
        for (size_t i = 0; i < ELEMENTSOF(users); i++)
                caller_free(&c[i]); /* silent for half an hour: gone anyway */
        caller_new(&lab, &users[2], &c[2]);
        CHECK_EQ(caller_register(&c[2], &users[2]), CODE_OK);
        caller_free(&c[2]);
        for (size_t i = 0; i < ELEMENTSOF(users); i++)
                user_done(&users[i]);
        lab_free(&lab);
}

TEST(hello_renews_a_record_but_claims_nothing) {
        LookupAnswer a;
        User alice;
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        caller_new(&lab, &alice, &c);
        caller_new(&lab, NULL, &d);
        CHECK_EQ(caller_lookup(&d, "alice", NULL, &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK);
        caller_free(&c);
        user_sign(&lab, &alice, LIFETIME); /* the weekly renewal */
        caller_new(&lab, &alice, &c);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        LAB_UNTIL(&lab, caller_lookup(&d, "alice", NULL, &a) == CODE_OK &&
                        bytes_equal(a.record, buffer_view(&alice.record)));
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        lab_free(&lab);
}

/* Devices */

TEST(a_newer_device_replaces_the_older_one) {
        User alice, tablet, bob;
        Caller c, d, b;
        Refusal x;
        Bytes rec;
        Frame f;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &b);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        user_on_device(&lab, &alice, 2, &tablet);
        caller_new(&lab, &tablet, &d);

        f = caller_take(&c, FRAME_SESSION_REPLACED);
        CHECK_OK(record_frame_decode(&f, &rec));
        CHECK(bytes_equal(rec, buffer_view(&tablet.record)));
        f = caller_take(&c, FRAME_BYE);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_REPLACED);
        CHECK(bytes_equal(x.record, buffer_view(&tablet.record)));
        LAB_UNTIL(&lab, c.is_closed);
        f = caller_take(&b, FRAME_RECORD);
        CHECK_OK(record_frame_decode(&f, &rec));
        CHECK(bytes_equal(rec, buffer_view(&tablet.record)));
        CHECK_EQ(caller_publish(&d, &tablet, PRESENCE_ONLINE), CODE_OK);
        caller_free(&c);

        /* The old one comes back and is told, the new one stays. */
        caller_connect(&lab, &alice.device, &c);
        caller_send_hello(&c, buffer_view(&alice.certificate), buffer_view(&alice.record));
        f = caller_take(&c, FRAME_BYE);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_REPLACED);
        CHECK(bytes_equal(x.record, buffer_view(&tablet.record)));
        caller_free(&c);
        caller_sync(&d);
        caller_free(&d);
        caller_free(&b);
        user_done(&alice);
        user_done(&tablet);
        user_done(&bob);
        lab_free(&lab);
}

TEST(of_two_devices_of_one_epoch_one_wins) {
        User a, b, *winner, *loser;
        uint8_t ha[SHA256_SIZE], hb[SHA256_SIZE];
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &a);
        user_on_device(&lab, &a, 1, &b);
        sha256(sign_key_public(&a.device), KEY_SIZE, ha);
        sha256(sign_key_public(&b.device), KEY_SIZE, hb);
        winner = memcmp(ha, hb, SHA256_SIZE) < 0 ? &a : &b;
        loser = winner == &a ? &b : &a;
        caller_new(&lab, loser, &c);
        CHECK_EQ(caller_register(&c, loser), CODE_OK);
        caller_new(&lab, winner, &d);
        CHECK_EQ(caller_bye(&c), CODE_REPLACED);
        caller_free(&c);
        caller_connect(&lab, &loser->device, &c);
        caller_send_hello(&c, buffer_view(&loser->certificate), buffer_view(&loser->record));
        CHECK_EQ(caller_bye(&c), CODE_REPLACED);
        caller_free(&c);
        caller_free(&d);
        user_done(&a);
        user_done(&b);
        lab_free(&lab);
}

TEST(a_device_that_connects_anew_does_not_leave) {
        User alice, bob;
        PresencePush p;
        Caller c, d, b;
        Frame f;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &b);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        f = caller_take(&b, FRAME_PRESENCE);
        CHECK_OK(presence_push_decode(&f, &p));
        CHECK(p.online);
        caller_new(&lab, &alice, &d);
        CHECK_EQ(caller_bye(&c), CODE_OK);
        caller_free(&c);
        CHECK_EQ(caller_publish(&d, &alice, PRESENCE_AWAY), CODE_OK);
        f = caller_take(&b, FRAME_PRESENCE);
        CHECK_OK(presence_push_decode(&f, &p));
        CHECK(p.online);
        caller_sync(&b);
        CHECK(!caller_has(&b, FRAME_PRESENCE));
        CHECK_EQ(node_stats(lab.node)->online, 1);
        caller_free(&b);
        caller_free(&d);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

/* Presence */

static PresencePush take_presence(Caller *c) {
        PresencePush p;
        Frame f;

        f = caller_take(c, FRAME_PRESENCE);
        CHECK_OK(presence_push_decode(&f, &p));
        return p;
}

TEST(presence_is_pushed_to_who_watches) {
        User alice, bob;
        Caller c, b;
        PresenceRecord signed_presence;
        PresencePush p;
        LookupAnswer a;
        Bytes rec;
        Frame f;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &b);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        f = caller_take(&b, FRAME_RECORD);
        CHECK_OK(record_frame_decode(&f, &rec));
        CHECK(bytes_equal(rec, buffer_view(&alice.record)));
        p = take_presence(&b);
        CHECK(p.online && key_equal(p.account, user_account(&alice)));
        CHECK_OK(presence_decode(p.presence, &signed_presence));
        CHECK_EQ(signed_presence.presence, PRESENCE_ONLINE);

        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_BUSY), CODE_OK);
        p = take_presence(&b);
        CHECK_OK(presence_decode(p.presence, &signed_presence));
        CHECK_EQ(signed_presence.presence, PRESENCE_BUSY);
        CHECK_EQ(caller_lookup(&b, "alice", NULL, &a), CODE_OK);
        CHECK_OK(presence_decode(a.presence, &signed_presence));
        CHECK_EQ(signed_presence.presence, PRESENCE_BUSY);

        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_OFFLINE), CODE_OK);
        p = take_presence(&b);
        CHECK(!p.online && p.presence.size == 0);
        CHECK(p.last_seen >= lab.realtime);

        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK(take_presence(&b).online);
        caller_free(&c); /* gone without a word */
        p = take_presence(&b);
        CHECK(!p.online && p.last_seen >= lab.realtime);
        CHECK_EQ(caller_lookup(&b, "alice", NULL, &a), CODE_OK);
        CHECK_EQ(a.presence.size, 0);
        CHECK_EQ(a.last_seen, p.last_seen);

        CHECK_EQ(caller_watch(&b, NULL, user_account(&alice)), CODE_OK);
        caller_new(&lab, &alice, &c);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        caller_sync(&b);
        CHECK(!caller_has(&b, FRAME_PRESENCE)); /* no longer watched */
        caller_free(&b);
        caller_free(&c);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

TEST(presence_of_somebody_else_or_of_the_past_is_refused) {
        User alice, bob;
        Caller c, b;
        Buffer early;
        Publish p;
        Frame f;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &b);
        early = user_presence(&alice, PRESENCE_ONLINE);
        CHECK_EQ(caller_publish(&b, &alice, PRESENCE_ONLINE), CODE_INVALID_ARGS);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        p = (Publish){.presence = buffer_view(&early)};
        caller_sent(&c, publish_encode(conn_output(c.conn), ++c.last_request, &p));
        f = caller_answer(&c);
        CHECK_EQ(frame_code(&f), CODE_INVALID_ARGS);
        buffer_done(&early);
        caller_free(&b);
        caller_free(&c);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

TEST(last_seen_outlives_a_restart) {
        User alice;
        LookupAnswer a;
        usec_t seen;
        Caller c;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        caller_free(&c);
        LAB_UNTIL(&lab, node_stats(lab.node)->online == 0);
        caller_new(&lab, NULL, &c);
        CHECK_EQ(caller_lookup(&c, "alice", NULL, &a), CODE_OK);
        seen = a.last_seen;
        CHECK(seen >= lab.realtime);
        caller_free(&c);
        lab_stop_node(&lab);
        lab_start_node(&lab);
        caller_new(&lab, NULL, &c);
        CHECK_EQ(caller_lookup(&c, "alice", NULL, &a), CODE_OK);
        CHECK_EQ(a.last_seen, seen);
        caller_free(&c);
        user_done(&alice);
        lab_free(&lab);
}

TEST(who_hides_is_never_shown) {
        User alice, bob;
        LookupAnswer a;
        Caller c, b;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        alice.presence_visible = VISIBLE_NOBODY;
        user_sign(&lab, &alice, LIFETIME);
        caller_new(&lab, &alice, &c);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK);
        member_new(&lab, "bob", &bob, &b);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK_EQ(caller_lookup(&b, "alice", NULL, &a), CODE_OK);
        CHECK_EQ(a.presence.size, 0);
        CHECK_EQ(a.last_seen, 0);
        caller_free(&c);
        LAB_UNTIL(&lab, node_stats(lab.node)->online == 0);
        CHECK_EQ(caller_lookup(&b, "alice", NULL, &a), CODE_OK);
        CHECK_EQ(a.last_seen, 0);
        CHECK(!caller_has(&b, FRAME_PRESENCE));
        caller_free(&b);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

TEST(who_begins_to_hide_goes_offline) {
        User alice, bob;
        Caller c, b;
        PresencePush p;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &b);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        CHECK(take_presence(&b).online);
        alice.presence_visible = VISIBLE_NOBODY;
        user_sign(&lab, &alice, LIFETIME);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK);
        p = take_presence(&b);
        CHECK(!p.online);
        CHECK_EQ(p.last_seen, 0);
        caller_free(&b);
        caller_free(&c);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

TEST(a_restart_is_not_everybody_leaving) {
        User alice, bob, carol;
        Caller b, c;
        PresencePush p;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        caller_free(&c);
        member_new(&lab, "carol", &carol, &c);
        caller_free(&c);
        member_new(&lab, "bob", &bob, &b);
        caller_free(&b);
        lab_stop_node(&lab);
        lab_start_node(&lab);

        caller_new(&lab, &bob, &b);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        CHECK_EQ(caller_watch(&b, user_account(&carol), NULL), CODE_OK);
        lab_advance(&lab, 44 * USEC_PER_SEC);
        caller_sync(&b);
        lab_advance(&lab, 44 * USEC_PER_SEC);
        caller_sync(&b);
        CHECK(!caller_has(&b, FRAME_PRESENCE));
        caller_new(&lab, &carol, &c);
        CHECK_EQ(caller_publish(&c, &carol, PRESENCE_ONLINE), CODE_OK);
        p = take_presence(&b);
        CHECK(p.online && key_equal(p.account, user_account(&carol)));

        /* Three heartbeats are over: who is not back has left. */
        lab_advance(&lab, 3 * USEC_PER_SEC);
        p = take_presence(&b);
        CHECK(!p.online && key_equal(p.account, user_account(&alice)));
        CHECK(p.last_seen > 0);
        caller_sync(&b);
        CHECK(!caller_has(&b, FRAME_PRESENCE));
        caller_free(&b);
        caller_free(&c);
        user_done(&alice);
        user_done(&bob);
        user_done(&carol);
        lab_free(&lab);
}

/* Lists */

#define CROWD 230

typedef struct Crowd {
        User users[CROWD];
        Caller callers[CROWD];
        unsigned found[CROWD];
} Crowd;

static void crowd_new(Lab *lab, Crowd *crowd, unsigned unlisted) {
        for (unsigned i = 0; i < CROWD; i++) {
                User *u = &crowd->users[i];

                *u = (User){.epoch = 1, .seq = lab->realtime / 1000, .listed = i >= unlisted};
                snprintf(u->name, sizeof(u->name), "user%u", i);
                sign_key_generate(&u->account);
                sign_key_generate(&u->device);
                user_sign(lab, u, LIFETIME);
                caller_new(lab, u, &crowd->callers[i]);
                CHECK_EQ(caller_register(&crowd->callers[i], u), CODE_OK);
                crowd->found[i] = 0;
        }
}

static void crowd_free(Crowd *crowd) {
        for (unsigned i = 0; i < CROWD; i++) {
                caller_free(&crowd->callers[i]);
                user_done(&crowd->users[i]);
        }
}

/* Returns how many pages there were; every entry is counted at its user. */
static unsigned list_all(Caller *c, Crowd *crowd, uint64_t limit, bool online) {
        uint8_t after[LIST_AFTER_MAX];
        ListPeers l = {.limit = limit, .online = online};
        unsigned pages = 0;

        do {
                ListPeersAnswer a;
                Frame f;

                caller_sent(c, list_peers_encode(conn_output(c->conn), ++c->last_request, &l));
                f = caller_answer(c);
                CHECK_EQ(f.type, FRAME_OK);
                CHECK(f.size < FRAME_MESSAGE_MAX);
                CHECK_OK(list_peers_answer_decode(&f, &a));
                CHECK(a.n_peers <= limit);
                for (size_t i = 0; i < a.n_peers; i++) {
                        unsigned n;
                        Record rec;

                        CHECK_OK(record_decode(a.peers[i].record, &rec));
                        CHECK_EQ(sscanf(rec.name, "user%u", &n), 1);
                        CHECK(key_equal(rec.account, user_account(&crowd->users[n])));
                        CHECK_EQ(a.peers[i].presence.size > 0, online);
                        crowd->found[n]++;
                }
                memcpy(after, a.after.data, a.after.size);
                l.after = (Bytes){after, a.after.size};
                pages++;
        } while (l.after.size > 0);
        return pages;
}

TEST(everybody_who_wants_it_is_listed_once) {
        static Crowd crowd;
        Caller c;
        Lab lab;

        lab_new(&lab);
        crowd_new(&lab, &crowd, 30);
        caller_new(&lab, NULL, &c);
        CHECK(list_all(&c, &crowd, 64, false) >= 4);
        for (unsigned i = 0; i < CROWD; i++)
                CHECK_EQ(crowd.found[i], i >= 30);
        caller_free(&c);
        crowd_free(&crowd);
        lab_free(&lab);
}

TEST(who_is_online_is_listed_once_while_others_come_and_go) {
        static Crowd crowd;
        unsigned online = 0;
        Caller c;
        Lab lab;

        lab_new(&lab);
        crowd_new(&lab, &crowd, 30);
        caller_new(&lab, NULL, &c);
        for (unsigned i = 0; i < CROWD; i++)
                if (i % 2)
                        CHECK_EQ(caller_publish(&crowd.callers[i], &crowd.users[i], PRESENCE_ONLINE), CODE_OK);
        for (unsigned i = 1; i < CROWD; i += 10)
                caller_free(&crowd.callers[i]);
        LAB_UNTIL(&lab, node_stats(lab.node)->online == CROWD / 2 - CROWD / 10);
        CHECK(list_all(&c, &crowd, 20, true) >= 4);
        for (unsigned i = 0; i < CROWD; i++) {
                CHECK_EQ(crowd.found[i], i >= 30 && i % 2 && i % 10 != 1);
                online += crowd.found[i];
        }
        CHECK_EQ(online, 80);
        caller_free(&c);
        crowd_free(&crowd);
        lab_free(&lab);
}

TEST(a_page_of_large_records_fits_its_frame) {
        static Crowd crowd;
        uint8_t note[256];
        Caller c;
        Lab lab;

        /* Identity changes make a record large. */
        memset(note, 7, sizeof(note));
        lab_new(&lab);
        crowd_new(&lab, &crowd, 0);
        for (unsigned i = 0; i < CROWD; i++) {
                User *u = &crowd.users[i];
                Record rec;
                Buffer out = BUFFER_NULL;

                CHECK_OK(record_decode(buffer_view(&u->record), &rec));
                rec.seq = u->seq++;
                for (rec.n_changes = 0; rec.n_changes < RECORD_CHANGES_MAX; rec.n_changes++)
                        rec.changes[rec.n_changes] = (Bytes){note, sizeof(note)};
                CHECK_OK(record_encode(&rec, &u->account, &out));
                buffer_done(&u->record);
                u->record = out;
                CHECK_EQ(caller_register(&crowd.callers[i], u), CODE_OK);
        }
        caller_new(&lab, NULL, &c);
        CHECK(list_all(&c, &crowd, LIST_PEERS_MAX, false) >= 5);
        for (unsigned i = 0; i < CROWD; i++)
                CHECK_EQ(crowd.found[i], 1);
        caller_free(&c);
        crowd_free(&crowd);
        lab_free(&lab);
}

TEST(an_after_of_ones_own_making_is_refused) {
        ListPeers l = {.limit = 10, .after = {(const uint8_t *)"xyz", 3}};
        Caller c;
        Frame f;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        for (int online = 0; online < 2; online++) {
                l.online = online;
                caller_sent(&c, list_peers_encode(conn_output(c.conn), ++c.last_request, &l));
                f = caller_answer(&c);
                CHECK_EQ(frame_code(&f), CODE_INVALID_ARGS);
        }
        caller_free(&c);
        lab_free(&lab);
}

/* Limits */

TEST(silence_is_answered_by_a_ping_and_then_the_end) {
        Caller c, busy;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        caller_new(&lab, NULL, &busy);
        lab_advance(&lab, 26 * USEC_PER_SEC);
        caller_sync(&busy);
        caller_sync(&c);
        CHECK(!caller_has(&c, FRAME_PING));
        lab_advance(&lab, 34 * USEC_PER_SEC);
        (void)caller_take(&c, FRAME_PING);
        caller_sync(&busy);
        for (int i = 0; i < 2; i++) {
                lab_advance(&lab, 20 * USEC_PER_SEC);
                caller_sync(&busy);
                CHECK(!c.is_closed);
        }
        lab_advance(&lab, 2 * USEC_PER_SEC); /* 76 s after the last byte */
        LAB_UNTIL(&lab, c.is_closed);
        caller_sync(&busy);
        caller_free(&c);
        caller_free(&busy);
        lab_free(&lab);
}

TEST(too_much_in_too_little_time_ends_the_session) {
        Caller c;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        for (int i = 0; i < 1990; i++)
                caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_PONG, 0));
        caller_sync(&c);
        for (int i = 0; i < 20; i++)
                caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_PONG, 0));
        CHECK_EQ(caller_bye(&c), CODE_RATE_LIMITED);
        caller_free(&c);
        lab_free(&lab);
}

TEST(only_so_many_requests_are_open_at_once) {
        unsigned ok = 0, refused = 0;
        User alice;
        Caller c;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        caller_new(&lab, &alice, &c);
        for (uint64_t i = 1; i <= 70; i++)
                caller_sent(&c, record_frame_encode(conn_output(c.conn), FRAME_REGISTER, i,
                                        buffer_view(&alice.record)));
        while (ok + refused < 70) {
                Frame f;

                LAB_UNTIL(&lab, caller_has(&c, FRAME_OK) || caller_has(&c, FRAME_ERROR));
                f = caller_take(&c, caller_has(&c, FRAME_OK) ? FRAME_OK : FRAME_ERROR);
                if (f.type == FRAME_OK)
                        ok++;
                else {
                        CHECK_EQ(frame_code(&f), CODE_TOO_MANY);
                        refused++;
                }
        }
        CHECK(ok >= 64);
        CHECK(refused > 0);
        CHECK_EQ(node_stats(lab.node)->registrations, 1);
        caller_free(&c);
        user_done(&alice);
        lab_free(&lab);
}

TEST(only_so_many_accounts_are_watched) {
        static uint8_t keys[WATCH_ACCOUNTS_MAX][KEY_SIZE];
        Watch w = {.add = {keys[0], sizeof(keys)}};
        Caller c;
        Frame f;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        for (unsigned round = 0; round <= 10; round++) {
                for (unsigned i = 0; i < WATCH_ACCOUNTS_MAX; i++)
                        memcpy(keys[i], &(unsigned){round * WATCH_ACCOUNTS_MAX + i}, sizeof(unsigned));
                caller_sent(&c, watch_encode(conn_output(c.conn), ++c.last_request, &w));
                f = caller_answer(&c);
                CHECK_EQ(frame_code(&f), round < 10 ? CODE_OK : CODE_TOO_MANY);
        }
        w = (Watch){.remove = {keys[0], sizeof(keys)}};
        for (unsigned i = 0; i < WATCH_ACCOUNTS_MAX; i++)
                memcpy(keys[i], &(unsigned){i}, sizeof(unsigned));
        caller_sent(&c, watch_encode(conn_output(c.conn), ++c.last_request, &w));
        f = caller_answer(&c);
        CHECK_EQ(frame_code(&f), CODE_OK);
        CHECK_EQ(caller_watch(&c, sign_key_public(&lab.key), NULL), CODE_OK);
        caller_free(&c);
        lab_free(&lab);
}
