/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node-lab.h"

#include <signal.h>
#include <sys/resource.h>

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
        CHECK_EQ(refused_hello(&lab, &alice.device, cert, buffer_view(&bob.record)),
                CODE_INVALID_ARGS);
        CHECK_EQ(refused_hello(&lab, &late.device, buffer_view(&late.certificate),
                         buffer_view(&late.record)),
                CODE_EXPIRED);
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
        h = (Hello){.versions = {1},
                .n_versions = 1,
                .heartbeat = 30,
                .expects = true,
                .expected = {1}};
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
        lab.limits.handshake = 600;
        sign_key_generate(&key);
        caller_connect(&lab, &key, &c);
        lab_advance(&lab, 560 * USEC_PER_SEC);
        lab_settle(&lab);
        CHECK(!c.is_closed);
        lab_advance(&lab, 40 * USEC_PER_SEC);
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
        for (FrameType type = FRAME_REGISTER; type <= FRAME_ACCOUNT; type++) {
                if (type == FRAME_REGISTER || (type >= FRAME_PUBLISH && type <= FRAME_ROOM_LIST))
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
        caller_sent(&c[2],
                record_frame_encode(conn_output(c[2].conn), FRAME_REGISTER, ++c[2].last_request,
                        buffer_view(&users[2].record)));
        f = caller_answer(&c[2]);
        CHECK_OK(refusal_decode(&f, &x));
        CHECK_EQ(x.code, CODE_RATE_LIMITED);
        CHECK(x.retry_after > 1700 && x.retry_after <= 1800);
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
        LAB_UNTIL(&lab,
                caller_lookup(&d, "alice", NULL, &a) == CODE_OK &&
                        bytes_equal(a.record, buffer_view(&alice.record)));
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        lab_free(&lab);
}

/* What the node has is believed as it is, and nothing that only looks like it. */
TEST(a_known_record_with_another_signature_is_refused) {
        uint8_t *last;
        User alice;
        Caller c;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        last = buffer_data(&alice.record) + buffer_size(&alice.record) - 1;
        *last ^= 1;
        CHECK_EQ(refused_hello(&lab, &alice.device, buffer_view(&alice.certificate),
                         buffer_view(&alice.record)),
                CODE_INVALID_ARGS);
        caller_sync(&c); /* the session is not disturbed */
        *last ^= 1;
        caller_free(&c);
        caller_new(&lab, &alice, &c);
        caller_sync(&c);
        caller_free(&c);
        user_done(&alice);
        lab_free(&lab);
}

/* Limits */

TEST(silence_is_answered_by_a_ping_and_then_the_end) {
        Caller c, busy;
        Lab lab;

        lab_new(&lab);
        lab.limits.heartbeat = 600;
        caller_new(&lab, NULL, &c);
        caller_new(&lab, NULL, &busy);
        lab_advance(&lab, 500 * USEC_PER_SEC);
        caller_sync(&busy);
        caller_sync(&c);
        CHECK(!caller_has(&c, FRAME_PING));
        lab_advance(&lab, 700 * USEC_PER_SEC);
        (void)caller_take(&c, FRAME_PING);
        caller_sync(&busy);
        for (int i = 0; i < 2; i++) {
                lab_advance(&lab, 380 * USEC_PER_SEC);
                caller_sync(&busy);
                CHECK(!c.is_closed);
        }
        LAB_ADVANCE_UNTIL(&lab, c.is_closed); /* 1500 s after the last byte */
        caller_sync(&busy);
        caller_free(&c);
        caller_free(&busy);
        lab_free(&lab);
}

TEST(time_that_the_loop_lost_counts_against_no_client) {
        Caller c, busy;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        caller_new(&lab, NULL, &busy);
        lab_advance(&lab, USEC_PER_HOUR); /* before there was a PING */
        (void)caller_take(&c, FRAME_PING);
        caller_sync(&busy);
        lab_advance(&lab, USEC_PER_HOUR); /* while an answer is awaited */
        caller_sync(&busy);
        caller_sync(&busy);
        CHECK(!c.is_closed);
        caller_sync(&c); /* the answer comes as late as that */
        CHECK(!c.is_closed && !busy.is_closed);
        caller_free(&c);
        caller_free(&busy);
        lab_free(&lab);
}

TEST(the_larger_heartbeat_counts) {
        Caller c, busy;
        Lab lab;

        lab_new(&lab);
        lab.limits.heartbeat = 300;
        caller_new(&lab, NULL, &c);
        caller_new(&lab, NULL, &busy);
        for (int i = 0; i < 8; i++) {
                lab_advance(&lab, 30 * USEC_PER_SEC);
                caller_sync(&busy);
        }
        CHECK(!c.is_closed && !caller_has(&c, FRAME_PING));
        lab_advance(&lab, 91 * USEC_PER_SEC);
        (void)caller_take(&c, FRAME_PING);
        lab_advance(&lab, 380 * USEC_PER_SEC); /* 711 s after the last byte */
        caller_sync(&busy);
        CHECK(!c.is_closed);
        LAB_ADVANCE_UNTIL(&lab, c.is_closed); /* 750 s after it */
        caller_free(&c);
        caller_free(&busy);
        lab_free(&lab);
}

TEST(too_much_in_too_little_time_has_to_wait) {
        Caller c, other;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        caller_new(&lab, NULL, &other);
        for (int i = 0; i < 10000; i++)
                caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_PONG, 0));
        caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_PING, 77));
        for (int i = 0; i < 10; i++)
                caller_sync(&other); /* which does not have to wait with it */
        CHECK(!caller_has(&c, FRAME_PONG));
        LAB_ADVANCE_UNTIL(&lab, caller_has(&c, FRAME_PONG));
        CHECK(!c.is_closed);
        caller_free(&c);
        caller_free(&other);
        lab_free(&lab);
}

TEST(who_raves_is_sent_away) {
        Caller c;
        Lab lab;

        lab_new(&lab);
        caller_new(&lab, NULL, &c);
        for (int i = 0; i < 200; i++)
                caller_sent(&c, frame_put_empty(conn_output(c.conn), FRAME_PING, 1));
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
                caller_sent(&c,
                        record_frame_encode(conn_output(c.conn), FRAME_REGISTER, i,
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
                        memcpy(keys[i], &(unsigned){round * WATCH_ACCOUNTS_MAX + i},
                                sizeof(unsigned));
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

/* The disk */

TEST(a_full_disk_is_said_and_claims_nothing) {
        struct rlimit before, none;
        User alice, bob;
        LookupAnswer a;
        Caller c, d;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        user_new(&lab, "bob", &bob);
        caller_new(&lab, &bob, &d);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_OK(getrlimit(RLIMIT_FSIZE, &before));
        none = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &none));
        CHECK_EQ(caller_register(&d, &bob), CODE_STORAGE);
        CHECK_EQ(caller_publish(&d, &bob, PRESENCE_ONLINE), CODE_NOT_LOGGED_IN);
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &before));
        CHECK_EQ(caller_lookup(&c, "bob", NULL, &a), CODE_UNKNOWN_PEER);
        CHECK_EQ(caller_lookup(&c, "alice", NULL, &a), CODE_OK);
        CHECK_EQ(caller_register(&d, &bob), CODE_OK);
        CHECK_EQ(caller_lookup(&c, "bob", NULL, &a), CODE_OK);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

/* Damage */

typedef struct Told {
        unsigned n;
        int error;
        bool merged;
} Told;

static void on_told(void *userdata, NodeStoreUse use, int error) {
        Told *told = userdata;

        told->n++;
        told->error = error;
}

static void on_registered(void *userdata, const Record *record) {
}

static int merge_anything(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        *ret = MERGE_STORED;
        return 0;
}

static void on_merged(void *userdata, int error, const MergeResult *results) {
        Told *told = userdata;

        CHECK_OK(error);
        told->merged = true;
}

TEST(damage_is_told_once_and_a_good_write_does_not_end_it) {
        static const NodeCallbacks callbacks = {.registered = on_registered, .store = on_told};
        DStoreMerge damage = {.kind = DIRECTORY_NAME,
                .merge = merge_anything,
                .blob = {(const uint8_t *)"no record", 9}};
        User alice, bob;
        LookupAnswer a;
        Caller c, d;
        Told told = {};
        Lab lab;

        lab_new(&lab);
        node_set_callbacks(lab.node, &callbacks, &told);
        member_new(&lab, "alice", &alice, &c);
        directory_key_name("alice", damage.key);
        lab.store->ops->rec_merge(lab.store, &damage, 1, on_merged, &told);
        LAB_UNTIL(&lab, told.merged);
        for (int i = 0; i < 2; i++) {
                CHECK_EQ(caller_lookup(&c, "alice", NULL, &a), CODE_STORAGE);
                CHECK_EQ(caller_register(&c, &alice), CODE_STORAGE);
                CHECK_EQ(told.n, 1);
                CHECK_EQ(told.error, -EUCLEAN);
        }
        member_new(&lab, "bob", &bob, &d);
        CHECK_EQ(caller_lookup(&c, "bob", NULL, &a), CODE_OK);
        CHECK_EQ(told.n, 1);
        caller_free(&c);
        caller_free(&d);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}
