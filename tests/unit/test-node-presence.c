/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "node-lab.h"
#include "node/node-internal.h"

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
        p = caller_take_presence(&b);
        CHECK(p.online && key_equal(p.account, user_account(&alice)));
        CHECK_OK(presence_decode(p.presence, &signed_presence));
        CHECK_EQ(signed_presence.presence, PRESENCE_ONLINE);

        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_BUSY), CODE_OK);
        p = caller_take_presence(&b);
        CHECK_OK(presence_decode(p.presence, &signed_presence));
        CHECK_EQ(signed_presence.presence, PRESENCE_BUSY);
        CHECK_EQ(caller_lookup(&b, "alice", NULL, &a), CODE_OK);
        CHECK_OK(presence_decode(a.presence, &signed_presence));
        CHECK_EQ(signed_presence.presence, PRESENCE_BUSY);

        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_OFFLINE), CODE_OK);
        p = caller_take_presence(&b);
        CHECK(!p.online && p.presence.size == 0);
        CHECK(p.last_seen >= lab.realtime);

        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_ONLINE), CODE_OK);
        CHECK(caller_take_presence(&b).online);
        caller_free(&c); /* gone without a word */
        p = caller_take_presence(&b);
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

/* How many pushes B was sent, and what the last one said. */
static unsigned count_pushes(Caller *b, bool *ret_online) {
        PresencePush p;
        unsigned n = 0;
        Frame f;

        caller_sync(b);
        while (caller_has(b, FRAME_PRESENCE)) {
                f = caller_take(b, FRAME_PRESENCE);
                CHECK_OK(presence_push_decode(&f, &p));
                *ret_online = p.online;
                n++;
        }
        return n;
}

TEST(a_storm_of_changes_is_pushed_as_what_comes_of_it) {
        User alice, bob;
        bool online;
        Caller c, b;
        usec_t start;
        unsigned n;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "alice", &alice, &c);
        member_new(&lab, "bob", &bob, &b);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        (void)count_pushes(&b, &online);
        start = loop_now(&lab.loop.loop);
        for (int i = 0; i < 100; i++) /* each waits for its answer, so it could be pushed */
                CHECK_EQ(caller_publish(&c, &alice, i % 2 ? PRESENCE_OFFLINE : PRESENCE_ONLINE),
                        CODE_OK);
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_AWAY), CODE_OK);
        n = count_pushes(&b, &online);
        CHECK(n > 0 && n < 10 + 2 * (loop_now(&lab.loop.loop) - start) / USEC_PER_SEC);
        lab_advance(&lab, 10 * USEC_PER_SEC);
        lab_settle(&lab);
        (void)count_pushes(&b, &online);
        CHECK(online);
        CHECK_EQ(count_pushes(&b, &online), 0); /* calm again: a change is told at once */
        CHECK_EQ(caller_publish(&c, &alice, PRESENCE_OFFLINE), CODE_OK);
        CHECK_EQ(count_pushes(&b, &online), 1);
        CHECK(!online);
        caller_free(&c);
        caller_free(&b);
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
        CHECK(caller_take_presence(&b).online);
        alice.presence_visible = VISIBLE_NOBODY;
        user_sign(&lab, &alice, LIFETIME);
        CHECK_EQ(caller_register(&c, &alice), CODE_OK);
        p = caller_take_presence(&b);
        CHECK(!p.online);
        CHECK_EQ(p.last_seen, 0);
        caller_free(&b);
        caller_free(&c);
        user_done(&alice);
        user_done(&bob);
        lab_free(&lab);
}

static void unreadable(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
        DStoreGetFn fn, void *userdata) {
        fn(userdata, -EIO, (Bytes){});
}

TEST(who_could_not_be_read_once_is_known_when_he_comes) {
        const DStoreOps *good;
        DStoreOps bad;
        User alice, bob;
        Caller a, b;
        PresencePush p;
        Lab lab;

        lab_new(&lab);
        member_new(&lab, "bob", &bob, &b);
        member_new(&lab, "alice", &alice, &a);
        caller_free(&a);
        LAB_UNTIL(&lab, !person_find(lab.node, user_account(&alice)));

        good = lab.store->ops;
        bad = *good;
        bad.rec_get = unreadable;
        lab.store->ops = &bad;
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        lab.store->ops = good;

        caller_new(&lab, &alice, &a);
        CHECK_EQ(caller_register(&a, &alice), CODE_OK);
        CHECK_EQ(caller_publish(&a, &alice, PRESENCE_ONLINE), CODE_OK);
        do
                p = caller_take_presence(&b);
        while (!p.online);
        (void)caller_take(&b, FRAME_RECORD);

        /* Without her record her presence is worth nothing to who begins to watch. */
        CHECK_EQ(caller_watch(&b, NULL, user_account(&alice)), CODE_OK);
        lab.store->ops = &bad;
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        lab.store->ops = good;
        (void)caller_take(&b, FRAME_RECORD);
        caller_free(&a);
        caller_free(&b);
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
        lab.limits.heartbeat = 600;
        lab_start_node(&lab);

        caller_new(&lab, &bob, &b);
        CHECK_EQ(caller_watch(&b, user_account(&alice), NULL), CODE_OK);
        CHECK_EQ(caller_watch(&b, user_account(&carol), NULL), CODE_OK);
        lab_advance(&lab, 880 * USEC_PER_SEC);
        caller_sync(&b);
        lab_advance(&lab, 880 * USEC_PER_SEC);
        caller_sync(&b);
        CHECK(!caller_has(&b, FRAME_PRESENCE));
        caller_new(&lab, &carol, &c);
        CHECK_EQ(caller_publish(&c, &carol, PRESENCE_ONLINE), CODE_OK);
        p = caller_take_presence(&b);
        CHECK(p.online && key_equal(p.account, user_account(&carol)));

        /* Three heartbeats are over: who is not back has left. */
        lab_advance(&lab, 40 * USEC_PER_SEC);
        p = caller_take_presence(&b);
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

/* Frames of either type that have come and are taken now. */
static unsigned drain(Caller *c, uint64_t type, Incoming **ret_last) {
        Incoming *in, *tmp;
        unsigned n = 0;

        DL_FOREACH_SAFE (c->incoming, in, tmp) {
                if (in->type != type)
                        continue;
                n++;
                *ret_last = in;
        }
        return n;
}

#define QUESTIONS 900 /* whose answers are more than all the buffers take */
#define CHANGES 300

/* It gets an answer to everything it asked, if only that it should read first; what it watches is
 * told to it as it is in the end, not in all its stages; and nobody else has to wait. */
TEST(who_does_not_read_keeps_nobody_waiting) {
        Incoming *last = NULL;
        PresenceRecord p;
        PresencePush push;
        unsigned pushes;
        User alice;
        Caller c, a;
        Frame f;
        Lab lab;

        lab_new(&lab);
        user_new(&lab, "alice", &alice);
        user_make_large(&alice);
        caller_new(&lab, &alice, &a);
        CHECK_EQ(caller_register(&a, &alice), CODE_OK);
        caller_new(&lab, NULL, &c);
        CHECK_EQ(caller_watch(&c, user_account(&alice), NULL), CODE_OK);
        caller_stop_reading(&c);
        for (uint64_t i = 1; i <= QUESTIONS; i++) {
                caller_sent(&c, lookup_encode(conn_output(c.conn), i, &(Lookup){.name = "alice"}));
                if (i % 60 == 0)
                        caller_sync(&a); /* the kernel takes what it can */
        }
        for (unsigned i = 0; i < CHANGES; i++)
                CHECK_EQ(caller_publish(&a, &alice, i % 2 ? PRESENCE_AWAY : PRESENCE_ONLINE),
                        CODE_OK);
        CHECK_EQ(caller_publish(&a, &alice, PRESENCE_BUSY), CODE_OK);

        caller_read_again(&c);
        LAB_UNTIL(&lab, drain(&c, FRAME_OK, &last) + drain(&c, FRAME_ERROR, &last) == QUESTIONS);
        CHECK(drain(&c, FRAME_ERROR, &last) > 0);
        LAB_UNTIL(&lab, ({
                pushes = drain(&c, FRAME_PRESENCE, &last);
                CHECK_OK(frame_open(last->bytes, last->size, &f));
                pushes > 0 && presence_push_decode(&f, &push) == 0 &&
                        presence_decode(push.presence, &p) == 0 && p.presence == PRESENCE_BUSY;
        }));
        CHECK(pushes < CHANGES / 2);
        caller_free(&c);
        caller_free(&a);
        user_done(&alice);
        lab_free(&lab);
}
