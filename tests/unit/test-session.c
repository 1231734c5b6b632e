/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A session with a tracker that does what it likes. */

#include "test.h"

#include "tracker-lab.h"

typedef struct World {
        Sim sim;
        Person alice;
        FakeTracker tracker;
        Session *session;
        unsigned n_states, n_presence, n_records, n_replaced;
        bool frees; /* the session, in the next callback */
} World;

static void maybe_free(World *w) {
        if (w->frees)
                w->session = session_free(w->session);
}

static void on_state(void *userdata, Session *s) {
        ((World *)userdata)->n_states++;
        maybe_free(userdata);
}

static void on_presence(void *userdata, Session *s, const PresencePush *p) {
        ((World *)userdata)->n_presence++;
        maybe_free(userdata);
}

static void on_record(void *userdata, Session *s, Bytes record) {
        ((World *)userdata)->n_records++;
        maybe_free(userdata);
}

static void on_replaced(void *userdata, Session *s, Bytes record) {
        ((World *)userdata)->n_replaced++;
        maybe_free(userdata);
}

static const SessionCallbacks callbacks = {
        .state = on_state,
        .presence = on_presence,
        .record = on_record,
        .replaced = on_replaced,
};

static void world_begin(World *w) {
        EndpointKey address;

        *w = (World){};
        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->alice);
        tracker_new(&w->sim, &w->tracker);
        address = tracker_address(&w->tracker);
        CHECK_OK(session_new(w->sim.net, &address, &w->alice.local, &callbacks, w, &w->session));
}

static bool is_connected(const World *w) {
        return w->session && session_state(w->session) == SESSION_CONNECTED;
}

static void world_new(World *w) {
        world_begin(w);
        tracker_greet(&w->tracker);
        SIM_UNTIL(&w->sim, is_connected(w));
}

static void world_free(World *w) {
        session_free(w->session);
        tracker_free(&w->tracker);
        person_done(&w->alice);
        sim_free(&w->sim);
}

/* What a login signs: each end has the same of this connection, and of no other. */
TEST(both_ends_export_the_same) {
        static const char label[] = "EXPORTER-p2pchat-test", other[] = "EXPORTER-p2pchat-other";
        uint8_t here[32], there[32], with_other[32], next[32], longer[80];
        World w;

        world_begin(&w);
        CHECK_EQ(session_export(w.session, label, here, sizeof(here)), -ENOTCONN);
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, is_connected(&w));
        CHECK_OK(session_export(w.session, label, here, sizeof(here)));
        CHECK_OK(conn_export(w.tracker.far.conn, label, there, sizeof(there)));
        CHECK(memcmp(here, there, sizeof(here)) == 0);
        CHECK_OK(session_export(w.session, label, there, sizeof(there))); /* and again */
        CHECK(memcmp(here, there, sizeof(here)) == 0);
        CHECK_OK(session_export(w.session, other, with_other, sizeof(with_other)));
        CHECK(memcmp(here, with_other, sizeof(here)) != 0);
        CHECK_OK(session_export(w.session, label, longer, sizeof(longer)));
        CHECK(memcmp(here, longer, sizeof(here)) != 0); /* the length is part of it */

        tracker_hang_up(&w.tracker);
        SIM_UNTIL(&w.sim, !is_connected(&w));
        CHECK_EQ(session_export(w.session, label, next, sizeof(next)), -ENOTCONN);
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, is_connected(&w));
        CHECK_OK(session_export(w.session, label, next, sizeof(next)));
        CHECK(memcmp(here, next, sizeof(here)) != 0);
        world_free(&w);
}

/* Answers */

typedef struct Answer {
        World *world;
        unsigned n;
        Code code;
        bool has_frame, frees;
} Answer;

static void on_answer(void *userdata, Code code, const char *text, Frame *ok) {
        Answer *a = userdata;

        a->n++;
        a->code = code;
        a->has_frame = ok != NULL;
        CHECK((code == CODE_OK) == (ok != NULL));
        CHECK(code == CODE_OK || strlen(text) > 10);
        if (a->frees)
                a->world->session = session_free(a->world->session);
}

static int ask(World *w, Answer *a) {
        *a = (Answer){.world = w};
        return session_lookup(w->session, &(Lookup){.name = "bob"}, on_answer, a);
}

/* The id of a request as the tracker sees it. */
static uint64_t take_lookup(World *w) {
        Frame f = far_take(&w->tracker.far, FRAME_LOOKUP);
        Lookup l;

        CHECK_OK(lookup_decode(&f, &l));
        CHECK_STR(l.name, "bob");
        CHECK(f.request > 0);
        return f.request;
}

TEST(a_session_says_who_it_is_and_asks) {
        uint64_t first, second;
        Answer a, b;
        Frame f;
        Hello h;
        World w;

        world_begin(&w);
        CHECK_EQ(ask(&w, &a), -ENOTCONN);
        tracker_await(&w.tracker);
        CHECK(key_equal(w.tracker.far.key, sign_key_public(&w.alice.device)));
        f = far_take(&w.tracker.far, FRAME_HELLO);
        CHECK_OK(hello_decode(&f, &h));
        CHECK(h.record.size == w.alice.local.record.size && !h.expects);
        CHECK(h.certificate.size == w.alice.local.certificate.size);
        far_send_hello(&w.tracker.far, &h);
        CHECK_EQ(ask(&w, &a), -ENOTCONN);
        far_sent(&w.tracker.far, hello_ok_encode(conn_output(w.tracker.far.conn), &(HelloOk){}));
        SIM_UNTIL(&w.sim, is_connected(&w));
        CHECK_STR(session_error(w.session), "");

        CHECK_OK(ask(&w, &a));
        CHECK_OK(ask(&w, &b));
        first = take_lookup(&w);
        second = take_lookup(&w);
        CHECK(first != second);
        tracker_error(&w.tracker, second, CODE_UNKNOWN_PEER); /* in any order */
        SIM_UNTIL(&w.sim, b.n == 1);
        CHECK(a.n == 0 && b.code == CODE_UNKNOWN_PEER);
        tracker_ok(&w.tracker, first);
        SIM_UNTIL(&w.sim, a.n == 1);
        CHECK_EQ(a.code, CODE_OK);
        tracker_ok(&w.tracker, first); /* again */
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(a.n == 1 && b.n == 1 && is_connected(&w));
        world_free(&w);
}

TEST(answers_to_what_was_not_asked_are_nothing) {
        uint64_t id;
        Answer a;
        World w;

        world_new(&w);
        CHECK_OK(ask(&w, &a));
        id = take_lookup(&w);
        tracker_ok(&w.tracker, id + 1);
        tracker_ok(&w.tracker, UINT64_MAX);
        tracker_error(&w.tracker, 4711, CODE_NOT_ALLOWED);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK_EQ(a.n, 0);
        tracker_ok(&w.tracker, id);
        SIM_UNTIL(&w.sim, a.n == 1);
        CHECK(is_connected(&w));
        world_free(&w);
}

TEST(a_question_waits_five_seconds) {
        uint64_t id;
        Answer a, b;
        World w;

        world_new(&w);
        CHECK_OK(ask(&w, &a));
        id = take_lookup(&w);
        sim_run(&w.sim, 3 * USEC_PER_SEC);
        CHECK_OK(ask(&w, &b));
        loop_virtual_run(w.sim.loop, 2 * USEC_PER_SEC - 10 * USEC_PER_MSEC);
        CHECK_EQ(a.n, 0);
        SIM_UNTIL(&w.sim, a.n == 1);
        CHECK_EQ(a.code, CODE_TIMEOUT);
        CHECK_EQ(b.n, 0);
        tracker_ok(&w.tracker, id); /* too late */
        tracker_ok(&w.tracker, take_lookup(&w));
        SIM_UNTIL(&w.sim, b.n == 1);
        CHECK_EQ(b.code, CODE_OK);
        CHECK_EQ(a.n, 1);
        CHECK(is_connected(&w)); /* a slow tracker is a tracker */
        world_free(&w);
}

TEST(questions_are_bounded) {
        Answer a[SESSION_REQUESTS_MAX], more;
        World w;

        world_new(&w);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                CHECK_OK(ask(&w, &a[i]));
        CHECK_EQ(ask(&w, &more), -EBUSY);
        tracker_ok(&w.tracker, take_lookup(&w));
        SIM_UNTIL(&w.sim, a[0].n == 1);
        CHECK_OK(ask(&w, &more));
        SIM_UNTIL(&w.sim, more.n == 1);
        CHECK_EQ(more.code, CODE_TIMEOUT);
        for (size_t i = 1; i < ELEMENTSOF(a); i++)
                CHECK(a[i].n == 1 && a[i].code == CODE_TIMEOUT);
        world_free(&w);
}

TEST(who_does_not_wait_any_more_is_not_called) {
        Answer a, b;
        World w;

        world_new(&w);
        CHECK_OK(ask(&w, &a));
        CHECK_OK(ask(&w, &b));
        session_forget(w.session, &a);
        tracker_ok(&w.tracker, take_lookup(&w));
        tracker_ok(&w.tracker, take_lookup(&w));
        SIM_UNTIL(&w.sim, b.n == 1);
        CHECK_EQ(a.n, 0);
        world_free(&w);
}

/* Connections that do not come up, or do not last */

TEST(another_key_is_refused) {
        SignKey other;
        World w;

        world_begin(&w);
        person_key(&w.sim, &other);
        tls_identity_free(w.tracker.self.local.tls);
        CHECK_OK(tls_identity_new(&other, &w.tracker.self.local.tls));
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_REFUSED);
        CHECK(strstr(session_error(w.session), "another key answers"));
        CHECK(strstr(session_error(w.session), "--print-address")); /* what to compare it with */
        SIM_UNTIL(&w.sim, w.tracker.far.is_closed || !w.tracker.far.conn);
        CHECK(!far_has(&w.tracker.far, FRAME_HELLO)); /* was told nothing */
        world_free(&w);
}

TEST(another_version_is_refused) {
        Hello h = {.versions = {2}, .n_versions = 1, .heartbeat = 30};
        World w;

        world_begin(&w);
        tracker_await(&w.tracker);
        far_send_hello(&w.tracker.far, &h);
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_REFUSED);
        CHECK(strstr(session_error(w.session), "version"));
        world_free(&w);
}

TEST(a_tracker_may_say_why_not) {
        World w;

        world_begin(&w);
        tracker_await(&w.tracker);
        far_take(&w.tracker.far, FRAME_HELLO);
        far_sent(&w.tracker.far,
                bye_encode(conn_output(w.tracker.far.conn), CODE_NOT_ALLOWED, "members only",
                        (Bytes){}));
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_REFUSED);
        CHECK_STR(session_error(w.session), "members only");
        tracker_greet(&w.tracker); /* it may change its mind */
        SIM_UNTIL(&w.sim, is_connected(&w));
        CHECK_STR(session_error(w.session), "");
        world_free(&w);
}

TEST(what_a_tracker_says_is_one_line_of_whole_characters) {
        char reason[REASON_TEXT_MAX + 1] = "no\nWATCHDOG=trigger ";
        const char *text;
        World w;

        while (strlen(reason) + 3 < sizeof(reason))
                strcat(reason, "\xe2\x82\xac");
        for (size_t skip = 0; skip < 3; skip++) { /* each place where one may be cut */
                world_begin(&w);
                tracker_await(&w.tracker);
                far_take(&w.tracker.far, FRAME_HELLO);
                far_sent(&w.tracker.far,
                        bye_encode(conn_output(w.tracker.far.conn), CODE_NOT_ALLOWED, reason + skip,
                                (Bytes){}));
                SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_REFUSED);
                text = session_error(w.session);
                CHECK(strstr(text, "?WATCHDOG=trigger \xe2\x82\xac"));
                CHECK(utf8_is_valid(text, strlen(text)));
                CHECK(strlen(text) >= SESSION_ERROR_SIZE - 3);
                world_free(&w);
        }
}

/* These bytes, said by a tracker in the middle of the session, end it; then it comes back. */
static void ends_session(const void *p, size_t n) {
        Answer a;
        World w;

        world_new(&w);
        CHECK_OK(ask(&w, &a));
        far_send_bytes(&w.tracker.far, p, n);
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_UNREACHABLE);
        CHECK(a.n == 1 && a.code == CODE_TRACKER_UNREACHABLE);
        CHECK(session_error(w.session)[0]);
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, is_connected(&w));
        CHECK_OK(ask(&w, &a));
        tracker_ok(&w.tracker, take_lookup(&w));
        SIM_UNTIL(&w.sim, a.n == 1);
        world_free(&w);
}

TEST(garbage_ends_the_session_and_it_comes_back) {
        ends_session("\xff\xff\xff\xff\xa1\x00\x10", 7);
        ends_session("\0\0\0\x04\xa1\x00\x18\x03", 8);
        ends_session("\0\0\0\x03\xa1\x00\x10", 7); /* MESSAGE */
        ends_session("\0\0\0\x05\xa1\x00\x18\x40\x00", 9); /* PRESENCE, and more */
        ends_session("\0\0\0\x04\xa1\x00\x18\x41", 8); /* RECORD of nothing */
        ends_session("\0\0\0\x03\xa1\x00\x01", 7); /* HELLO of nothing */
        ends_session("\0\0\0\x05\xa2\x00\x07\x01\x01", 9); /* ERROR of nothing */
}

TEST(what_may_be_ignored_is) {
        World w;

        world_new(&w);
        far_send_bytes(&w.tracker.far, "\0\0\0\x04\xa1\x00\x18\x80", 8);
        CHECK(far_is_served(&w.tracker.far));
        CHECK(is_connected(&w));
        world_free(&w);
}

TEST(pushes_before_hello_ok_end_the_session) {
        Hello h = {.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = 30};
        World w;

        world_begin(&w);
        tracker_await(&w.tracker);
        far_send_hello(&w.tracker.far, &h);
        far_sent(&w.tracker.far,
                record_frame_encode(
                        conn_output(w.tracker.far.conn), FRAME_RECORD, 0, w.alice.local.record));
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_UNREACHABLE);
        CHECK_EQ(w.n_records, 0);
        world_free(&w);
}

TEST(a_tracker_that_says_nothing_is_given_ten_seconds) {
        usec_t start;
        World w;

        for (int tls = 0; tls < 2; tls++) {
                world_begin(&w);
                w.tracker.wants_raw = !tls;
                SIM_UNTIL(&w.sim, w.tracker.n_accepted == 1);
                start = loop_now(w.sim.loop);
                SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_UNREACHABLE);
                CHECK(loop_now(w.sim.loop) > start + 9 * USEC_PER_SEC);
                CHECK(loop_now(w.sim.loop) < start + 11 * USEC_PER_SEC);
                CHECK_STR(session_error(w.session), "the tracker did not answer in time");
                world_free(&w);
        }
}

TEST(who_speaks_another_protocol_is_unreachable) {
        static const char page[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
        World w;

        world_begin(&w);
        w.tracker.wants_raw = true;
        SIM_UNTIL(&w.sim, w.tracker.raw);
        CHECK(w.tracker.raw->ops->write(w.tracker.raw, page, strlen(page)) > 0);
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_UNREACHABLE);
        CHECK(session_error(w.session)[0]);
        world_free(&w);
}

TEST(a_lost_connection_fails_what_was_asked) {
        Answer a[3];
        World w;

        world_new(&w);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                CHECK_OK(ask(&w, &a[i]));
        tracker_hang_up(&w.tracker);
        SIM_UNTIL(&w.sim, session_state(w.session) == SESSION_UNREACHABLE);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                CHECK(a[i].n == 1 && a[i].code == CODE_TRACKER_UNREACHABLE);
        CHECK_EQ(ask(&w, &a[0]), -ENOTCONN);
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, is_connected(&w));
        world_free(&w);
}

TEST(attempts_become_rarer) {
        usec_t last, wait = 0, before;
        World w;
        unsigned n;

        world_new(&w);
        tracker_close(&w.tracker);
        tracker_hang_up(&w.tracker);
        n = network_n_dialled(w.sim.network);
        last = loop_now(w.sim.loop);
        for (int i = 0; i < 12; i++) {
                SIM_UNTIL(&w.sim, network_n_dialled(w.sim.network) == n + (unsigned)i + 1);
                before = wait;
                wait = loop_now(w.sim.loop) - last;
                last = loop_now(w.sim.loop);
                /* The first is spread over seconds: all clients of a tracker lose it at once. */
                CHECK(i == 0 ? wait < 4 * USEC_PER_SEC : i == 1 || wait > before * 3 / 4);
                CHECK(wait < 35 * USEC_PER_SEC);
        }
        CHECK(wait > 25 * USEC_PER_SEC); /* half a minute in the end */
        CHECK(strstr(session_error(w.session), "refused"));

        tracker_listen(&w.tracker);
        session_wake(w.session); /* somebody waits */
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, is_connected(&w));
        CHECK(loop_now(w.sim.loop) < last + USEC_PER_SEC);
        world_free(&w);
}

/* From the loss of the connection to the next session. */
static usec_t time_to_return(World *w) {
        usec_t lost;

        tracker_hang_up(&w->tracker);
        SIM_UNTIL(&w->sim, !is_connected(w));
        lost = loop_now(w->sim.loop);
        tracker_greet(&w->tracker);
        SIM_UNTIL(&w->sim, is_connected(w));
        return loop_now(w->sim.loop) - lost;
}

TEST(a_tracker_that_lets_in_and_hangs_up_is_asked_ever_less) {
        World w;

        world_new(&w);
        for (int i = 0; i < 9; i++)
                (void)time_to_return(&w);
        CHECK(time_to_return(&w) > 25 * USEC_PER_SEC);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(time_to_return(&w) < 5 * USEC_PER_SEC); /* one that has lasted is a new beginning */
        world_free(&w);
}

TEST(a_silent_tracker_is_gone_after_two_and_a_half_heartbeats) {
        usec_t heard;
        World w;

        world_new(&w);
        CHECK(far_is_served(&w.tracker.far));
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK(is_connected(&w));
        w.tracker.far.answers = false;
        far_send_empty(&w.tracker.far, FRAME_PING, 1);
        far_take(&w.tracker.far, FRAME_PONG);
        heard = loop_now(w.sim.loop);
        loop_virtual_run(w.sim.loop, 75 * USEC_PER_SEC - 10 * USEC_PER_MSEC);
        CHECK(is_connected(&w));
        SIM_UNTIL(&w.sim, !is_connected(&w));
        CHECK(loop_now(w.sim.loop) < heard + 76 * USEC_PER_SEC);
        CHECK_EQ(session_state(w.session), SESSION_UNREACHABLE);
        world_free(&w);
}

TEST(a_tracker_in_doubt_answers_soon_or_is_gone) {
        usec_t start;
        World w;

        world_new(&w);
        for (unsigned i = 0; i < 3; i++) {
                session_doubt(w.session);
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK(is_connected(&w));
        }
        CHECK_EQ(w.tracker.n_accepted, 1);

        w.tracker.far.answers = false;
        start = loop_now(w.sim.loop);
        session_doubt(w.session);
        SIM_UNTIL(&w.sim, w.tracker.n_accepted == 2);
        CHECK(loop_now(w.sim.loop) - start < 10 * USEC_PER_SEC);

        /* Where it waits, it does not any more. */
        tracker_close(&w.tracker);
        tracker_hang_up(&w.tracker);
        sim_run(&w.sim, USEC_PER_HOUR);
        tracker_listen(&w.tracker);
        start = loop_now(w.sim.loop);
        session_doubt(w.session);
        SIM_UNTIL(&w.sim, w.tracker.n_accepted == 3);
        CHECK(loop_now(w.sim.loop) - start < 100 * USEC_PER_MSEC);
        world_free(&w);
}

TEST(a_heartbeat_that_changes_holds_for_the_session) {
        World w;

        world_new(&w);
        CHECK(far_is_served(&w.tracker.far));
        w.alice.local.heartbeat = 300;
        sim_run(&w.sim, USEC_PER_HOUR); /* it is looked at with the next PINGs */
        w.tracker.far.answers = false;
        far_send_empty(&w.tracker.far, FRAME_PING, 1);
        far_take(&w.tracker.far, FRAME_PONG);
        sim_run(&w.sim, 745 * USEC_PER_SEC);
        CHECK(is_connected(&w));
        sim_run(&w.sim, 10 * USEC_PER_SEC);
        CHECK(!is_connected(&w));
        world_free(&w);
}

/* The first PING, with both ends' intervals as they are. */
static void pings_after(uint32_t ours, uint32_t theirs, usec_t interval) {
        Hello h = {.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = theirs};
        usec_t start;
        World w;

        world_begin(&w);
        w.alice.local.heartbeat = ours;
        tracker_await(&w.tracker);
        far_take(&w.tracker.far, FRAME_HELLO);
        far_send_hello(&w.tracker.far, &h);
        far_sent(&w.tracker.far, hello_ok_encode(conn_output(w.tracker.far.conn), &(HelloOk){}));
        SIM_UNTIL(&w.sim, is_connected(&w));
        start = loop_now(w.sim.loop);
        w.tracker.far.answers = false;
        far_take(&w.tracker.far, FRAME_PING);
        CHECK(loop_now(w.sim.loop) > start + interval * 8 / 10);
        CHECK(loop_now(w.sim.loop) < start + interval * 12 / 10);
        SIM_UNTIL(&w.sim, !is_connected(&w));
        CHECK(loop_now(w.sim.loop) > start + interval * 24 / 10);
        CHECK(loop_now(w.sim.loop) < start + interval * 26 / 10);
        world_free(&w);
}

TEST(the_larger_heartbeat_counts) {
        pings_after(30, 120, 120 * USEC_PER_SEC);
        pings_after(120, 30, 120 * USEC_PER_SEC);
        pings_after(5, 5, 5 * USEC_PER_SEC);
}

TEST(time_that_the_loop_lost_counts_against_no_tracker) {
        static const usec_t stalls[] = {20 * USEC_PER_SEC, 76 * USEC_PER_SEC, USEC_PER_HOUR};
        World w;

        for (size_t i = 0; i < ELEMENTSOF(stalls); i++) {
                world_new(&w);
                loop_virtual_stall(w.sim.loop, stalls[i]);
                sim_run(&w.sim, 10 * USEC_PER_MINUTE);
                CHECK(is_connected(&w));
                w.tracker.far.answers = false;
                far_take(&w.tracker.far, FRAME_PING); /* and while it waits for the answer */
                far_send_empty(&w.tracker.far, FRAME_PONG, 0);
                w.tracker.far.answers = true;
                loop_virtual_stall(w.sim.loop, stalls[i]);
                sim_run(&w.sim, 10 * USEC_PER_MINUTE);
                CHECK(is_connected(&w));
                CHECK_EQ(w.n_states, 1);
                world_free(&w);
        }
}

/* Pushes are handed on; who they are about is for the owner to check. */

static void push(World *w, FrameType type) {
        Buffer *out = conn_output(w->tracker.far.conn);

        if (type == FRAME_PRESENCE)
                far_sent(&w->tracker.far,
                        presence_push_encode(out, &(PresencePush){.online = true}));
        else
                far_sent(&w->tracker.far, record_frame_encode(out, type, 0, w->alice.local.record));
}

TEST(pushes_are_handed_on) {
        World w;

        world_new(&w);
        push(&w, FRAME_PRESENCE);
        push(&w, FRAME_RECORD);
        push(&w, FRAME_SESSION_REPLACED);
        SIM_UNTIL(&w.sim, w.n_replaced == 1);
        CHECK(w.n_presence == 1 && w.n_records == 1);
        CHECK(is_connected(&w));
        far_sent(&w.tracker.far,
                bye_encode(conn_output(w.tracker.far.conn), CODE_REPLACED, "on another device",
                        w.alice.local.record));
        SIM_UNTIL(&w.sim, w.n_replaced == 2 && session_state(w.session) == SESSION_REFUSED);
        world_free(&w);
}

TEST(a_session_may_be_freed_in_any_callback) {
        Answer a;
        World w;

        for (FrameType type = FRAME_PRESENCE; type <= FRAME_SESSION_REPLACED; type++) {
                if (type == FRAME_ROOM_UPDATE || type == FRAME_MAIL_WAITING)
                        continue;
                world_new(&w);
                w.frees = true;
                push(&w, type);
                SIM_UNTIL(&w.sim, !w.session);
                world_free(&w);
        }
        for (int lost = 0; lost < 2; lost++) {
                world_new(&w);
                CHECK_OK(ask(&w, &a));
                a.frees = true;
                if (lost)
                        tracker_hang_up(&w.tracker);
                else
                        tracker_ok(&w.tracker, take_lookup(&w));
                SIM_UNTIL(&w.sim, !w.session);
                world_free(&w);
        }
        world_begin(&w);
        w.frees = true;
        tracker_greet(&w.tracker);
        SIM_UNTIL(&w.sim, !w.session);
        SIM_UNTIL(&w.sim, w.tracker.far.is_closed);
        world_free(&w);
        world_new(&w);
        w.frees = true;
        tracker_hang_up(&w.tracker);
        SIM_UNTIL(&w.sim, !w.session);
        world_free(&w);
}
