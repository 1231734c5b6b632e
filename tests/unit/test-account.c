/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an operation on the account waits for. */

#include "test.h"

#include "chat-lab.h"
#include "store/presence-key.h"
#include "db/private.h"
#include "tracker-lab.h"

typedef struct Caller {
        bool answered;
        Code code;
} Caller;

typedef struct World {
        ChatLab lab;
        Caller first, second;
} World;

/* There is a tracker, which does not answer. */
static void world_new(World *w) {
        EndpointKey tracker = {.host = "tracker", .port = 7400};

        *w = (World){};
        chat_lab_begin(&w->lab);
        CHECK_OK(network_swallow(w->lab.sim.network, "tracker", 7400));
        chat_lab_start(&w->lab);
        parts_set_trackers(w->lab.parts, &tracker, 1);
        CHECK_OK(store_commit(w->lab.store));
}

static void on_done(void *userdata, Code code, const char *text) {
        Caller *c = userdata;

        CHECK(!c->answered);
        c->answered = true;
        c->code = code;
}

TEST(a_tracker_that_does_not_answer_is_not_waited_for_for_ever) {
        World w;

        world_new(&w);
        account_register(w.lab.parts->account, "alice", "", NULL, on_done, &w.first);
        account_register(w.lab.parts->account, "bob", "", NULL, on_done, &w.second);
        CHECK(w.second.answered && !w.first.answered);
        CHECK_EQ(w.second.code, CODE_TOO_MANY);
        SIM_UNTIL(&w.lab.sim, w.first.answered);
        CHECK(!account_exists(w.lab.parts->account));
        chat_lab_free(&w.lab);
}

/* The first one's time is over, its commit is not: somebody begins anew, and his is the next. */
static void on_first_batch(void *userdata, int error) {
        World *w = userdata;

        CHECK_OK(error);
        CHECK(w->first.answered);
        account_register(w->lab.parts->account, "bob", "", NULL, on_done, &w->second);
        CHECK(!w->second.answered);
        db_fail(store_write(w->lab.store), -EIO);
}

TEST(a_commit_speaks_for_its_own_operation_only) {
        World w;

        world_new(&w);
        CHECK_OK(store_after_commit(w.lab.store, on_first_batch, &w));
        account_register(w.lab.parts->account, "alice", "", NULL, on_done, &w.first);
        loop_virtual_stall(w.lab.sim.loop, ACCOUNT_ANSWER_TIME);
        SIM_UNTIL(&w.lab.sim, w.second.answered);
        CHECK_EQ(w.first.code, CODE_TIMEOUT);
        CHECK_EQ(w.second.code, CODE_STORAGE); /* what was not kept is claimed nowhere */
        chat_lab_free(&w.lab);
}

/* What the account says of itself now. */
static Record record_of(const ChatLab *l) {
        Record r;

        CHECK_OK(record_decode(account_local(l->parts->account)->record, &r));
        return r;
}

/* Alice starts with a clock that shows so much more, or less, and is let in by a tracker. */
static void start_with_clock(ChatLab *l, int64_t step, FakeTracker *k) {
        EndpointKey address;

        loop_virtual_step_realtime(l->sim.loop, step);
        chat_lab_start(l);
        tracker_new(&l->sim, k);
        address = tracker_address(k);
        parts_set_trackers(l->parts, &address, 1);
        parts_publish(l->parts, &(Endpoints){});
        tracker_greet(k);
}

static uint64_t await_register(FakeTracker *k) {
        Frame f;

        SIM_UNTIL(k->self.sim, far_has(&k->far, FRAME_REGISTER));
        f = far_take(&k->far, FRAME_REGISTER);
        return f.request;
}

TEST(what_a_clock_that_was_ahead_has_signed_is_signed_again) {
        const usec_t ahead = 400 * USEC_PER_DAY;
        FakeTracker k;
        uint64_t request;
        ChatLab lab;
        Record r;
        usec_t now;

        chat_lab_begin(&lab);
        chat_lab_save_identity(&lab);
        start_with_clock(&lab, (int64_t)ahead, &k);
        r = record_of(&lab);
        now = loop_realtime(lab.sim.loop) - ahead;
        CHECK(r.issued > now + 300 * USEC_PER_DAY && r.device.issued > now + 300 * USEC_PER_DAY);
        request = await_register(&k);

        loop_virtual_step_realtime(lab.sim.loop, -(int64_t)ahead);
        tracker_error(&k, request, CODE_INVALID_ARGS);
        SIM_UNTIL(&lab.sim, record_of(&lab).seq != r.seq);
        now = loop_realtime(lab.sim.loop);
        r = record_of(&lab);
        CHECK(r.issued == now && r.device.issued == now);
        CHECK(r.seq <= (now + RECORD_AHEAD_MAX) / USEC_PER_MSEC);

        /* Nor is it behind anything that a tracker may have taken meanwhile. */
        CHECK(r.seq > (now + RECORD_AHEAD_MAX - USEC_PER_HOUR) / USEC_PER_MSEC);

        /* Once. */
        tracker_error(&k, await_register(&k), CODE_INVALID_ARGS);
        sim_run(&lab.sim, USEC_PER_SEC);
        CHECK_EQ(record_of(&lab).seq, r.seq);
        tracker_free(&k);
        chat_lab_free(&lab);
}

/* A clock that is not as far from this one may have let its owner take it. */
TEST(what_was_signed_ahead_of_the_time_is_overtaken_when_that_can_be) {
        const usec_t ahead = 36 * USEC_PER_HOUR;
        FakeTracker k;
        uint64_t seq;
        ChatLab lab;
        usec_t now;

        chat_lab_begin(&lab);
        chat_lab_save_identity(&lab);
        start_with_clock(&lab, (int64_t)ahead, &k);
        seq = record_of(&lab).seq;
        loop_virtual_step_realtime(lab.sim.loop, -(int64_t)ahead);
        tracker_error(&k, await_register(&k), CODE_INVALID_ARGS);
        SIM_UNTIL(&lab.sim, record_of(&lab).seq != seq);
        tracker_free(&k);
        chat_lab_stop(&lab);
        chat_lab_start(&lab);
        sim_run(&lab.sim, 11 * USEC_PER_HOUR);
        CHECK(record_of(&lab).seq < seq); /* nobody would take more */
        sim_run(&lab.sim, 2 * USEC_PER_HOUR);
        now = loop_realtime(lab.sim.loop);
        CHECK(record_of(&lab).seq > seq);
        CHECK(record_of(&lab).seq <= (now + RECORD_AHEAD_MAX) / USEC_PER_MSEC);

        /* Once. */
        seq = record_of(&lab).seq;
        sim_run(&lab.sim, 3 * USEC_PER_DAY);
        CHECK_EQ(record_of(&lab).seq, seq);
        chat_lab_free(&lab);
}

/* Waits for a session, lets it in, and is told whether HELLO has said whose it is. */
static bool greets_by_name(FakeTracker *k) {
        Frame f;
        Hello h;

        tracker_await(k);
        f = far_take(&k->far, FRAME_HELLO);
        CHECK_OK(hello_decode(&f, &h));
        CHECK_EQ(h.certificate.size > 0, h.record.size > 0);
        far_send_hello(&k->far,
                &(Hello){.versions = {PROTOCOL_VERSION}, .n_versions = 1, .heartbeat = 30});
        far_sent(&k->far, hello_ok_encode(conn_output(k->far.conn), &(HelloOk){}));
        return h.certificate.size > 0;
}

/* A device that is new to its account, on a disk that was full at its first start. */
TEST(who_could_not_say_who_he_is_says_it_when_he_can) {
        EndpointKey address;
        PartsArgs args;
        FakeTracker k;
        ChatLab lab;

        chat_lab_begin(&lab);
        chat_lab_save_identity(&lab);
        args = chat_lab_parts(&lab);
        CHECK_OK(parts_new(&args, &lab.parts));
        network_connect_with(lab.sim.network, lab.parts->net);
        db_fail(store_write(lab.store), -ENOSPC);
        parts_start(lab.parts);
        tracker_new(&lab.sim, &k);
        address = tracker_address(&k);
        parts_set_trackers(lab.parts, &address, 1);
        parts_publish(lab.parts, &(Endpoints){});
        CHECK(!greets_by_name(&k));
        tracker_error(&k, await_register(&k), CODE_NOT_LOGGED_IN);
        SIM_UNTIL(&lab.sim, k.n_accepted == 2);
        CHECK(greets_by_name(&k));
        tracker_ok(&k, await_register(&k));
        SIM_UNTIL(&lab.sim, far_has(&k.far, FRAME_PUBLISH));

        /* Once. */
        sim_run(&lab.sim, USEC_PER_DAY);
        parts_publish(lab.parts, &(Endpoints){});
        sim_run(&lab.sim, USEC_PER_DAY);
        CHECK_EQ(k.n_accepted, 2);
        tracker_free(&k);
        chat_lab_free(&lab);
}

/* As that of a machine without a battery until it has asked for the time. */
TEST(a_clock_that_is_behind_signs_nothing) {
        FakeTracker k;
        uint64_t seq;
        ChatLab lab;

        chat_lab_new(&lab);
        seq = record_of(&lab).seq;
        chat_lab_stop(&lab);
        start_with_clock(&lab, -(int64_t)(400 * USEC_PER_DAY), &k);
        tracker_ok(&k, await_register(&k));
        sim_run(&lab.sim, USEC_PER_HOUR);
        CHECK_EQ(record_of(&lab).seq, seq);
        tracker_free(&k);
        chat_lab_free(&lab);
}

static uint64_t presence_seq(ChatLab *l) {
        static const Endpoints endpoints = {.text = {"192.0.2.1:7425"}, .n = 1};
        PresenceRecord p;

        parts_publish(l->parts, &endpoints);
        CHECK_OK(presence_decode(account_presence(l->parts->account), &p));
        return p.seq;
}

TEST(presence_goes_on_where_it_was_though_the_clock_goes_back) {
        ChatLab lab;
        uint64_t seq;

        chat_lab_begin(&lab);
        chat_lab_save_identity(&lab);
        chat_lab_start(&lab);
        seq = presence_seq(&lab);
        chat_lab_stop(&lab);
        loop_virtual_step_realtime(lab.sim.loop, -(int64_t)USEC_PER_DAY);
        chat_lab_start(&lab);
        CHECK(presence_seq(&lab) > seq);
        chat_lab_free(&lab);
}

static void set_privacy(ChatLab *l, bool listed, Visibility presence, Visibility endpoints) {
        account_set_privacy(l->parts->account,
                &(AccountPrivacy){.listed = listed, .presence = presence, .endpoints = endpoints});
        sim_run(&l->sim, USEC_PER_SEC);
}

TEST(a_change_of_privacy_makes_a_new_record_and_nothing_else_does) {
        ChatLab lab;
        Record r;
        uint64_t seq;

        chat_lab_new(&lab);
        r = record_of(&lab);
        CHECK(r.listed && r.presence == VISIBLE_ALL && r.endpoints == VISIBLE_ALL);
        seq = r.seq;
        set_privacy(&lab, true, VISIBLE_ALL, VISIBLE_ALL);
        CHECK_EQ(record_of(&lab).seq, seq);
        set_privacy(&lab, false, VISIBLE_NOBODY, VISIBLE_CONTACTS);
        r = record_of(&lab);
        CHECK(!r.listed && r.presence == VISIBLE_NOBODY && r.endpoints == VISIBLE_CONTACTS);
        CHECK(r.seq > seq);
        seq = r.seq;
        set_privacy(&lab, false, VISIBLE_NOBODY, VISIBLE_CONTACTS);
        CHECK_EQ(record_of(&lab).seq, seq);

        /* What the record on disk says is not what is configured at the next start. */
        chat_lab_stop(&lab);
        chat_lab_start(&lab);
        r = record_of(&lab);
        CHECK(r.listed && r.presence == VISIBLE_ALL && r.endpoints == VISIBLE_ALL && r.seq > seq);
        chat_lab_free(&lab);
}

TEST(endpoints_for_contacts_are_sealed) {
        static const Endpoints endpoints = {.text = {"192.0.2.1:7425", "[2001:db8::1]:1"}, .n = 2};
        _cleanup_(buffer_done) Buffer buf = BUFFER_NULL;
        uint8_t key[BOX_KEY_SIZE], other[BOX_KEY_SIZE] = {1};
        PresenceRecord p;
        ChatLab lab;
        Bytes said;

        chat_lab_new(&lab);
        set_privacy(&lab, true, VISIBLE_ALL, VISIBLE_CONTACTS);
        parts_publish(lab.parts, &endpoints);
        said = account_presence(lab.parts->account);
        CHECK(!memmem(said.data, said.size, "192.0.2.1", 9) &&
                !memmem(said.data, said.size, "2001:db8", 8));
        CHECK_OK(presence_decode(said, &p));
        CHECK_EQ(p.n_endpoints, 0);
        CHECK_EQ(presence_open(&p, other, &buf), -EBADMSG);
        CHECK_EQ(store_get_presence_key(store_write(lab.store), key), 1);
        CHECK_OK(presence_open(&p, key, &buf));
        CHECK_EQ(p.n_endpoints, 2);
        CHECK(bytes_equal(p.endpoints[1], text_bytes("[2001:db8::1]:1")));

        /* Who has the key so far has none from now on. */
        CHECK_OK(account_change_presence_key(lab.parts->account));
        sim_run(&lab.sim, ACCOUNT_PRESENCE_INTERVAL);
        CHECK_OK(presence_decode(account_presence(lab.parts->account), &p));
        CHECK_EQ(presence_open(&p, key, &buf), -EBADMSG);
        CHECK_EQ(store_get_presence_key(store_write(lab.store), key), 1);
        CHECK_OK(presence_open(&p, key, &buf));

        set_privacy(&lab, true, VISIBLE_ALL, VISIBLE_ALL);
        CHECK_OK(presence_decode(account_presence(lab.parts->account), &p));
        CHECK(p.n_endpoints == 2 && p.sealed.size == 0);
        chat_lab_free(&lab);
}

/* What the user says of himself */

static const char *answer; /* the name of the error, "" without one */

static void on_presence_set(void *userdata, const ChatError *error) {
        answer = error ? error->name : "";
}

static const char *set_presence(ChatLab *l, const char *presence, const char *note) {
        answer = NULL;
        chat_set_presence(l->chat, presence, note, on_presence_set, NULL);
        SIM_UNTIL(&l->sim, answer);
        return answer;
}

static PresenceRecord presence_of(ChatLab *l) {
        PresenceRecord p;

        CHECK_OK(presence_decode(account_presence(l->parts->account), &p));
        return p;
}

static bool says(ChatLab *l, Presence presence, const char *note) {
        PresenceRecord p = presence_of(l);

        return p.presence == presence && bytes_equal(p.note, text_bytes(note));
}

static void publish_somewhere(ChatLab *l) {
        static const Endpoints endpoints = {.text = {"192.0.2.1:7425"}, .n = 1};

        parts_publish(l->parts, &endpoints);
}

TEST(a_presence_is_kept_and_published) {
        ChatStatus s;
        ChatLab lab;

        chat_lab_new(&lab);
        publish_somewhere(&lab);
        CHECK(says(&lab, PRESENCE_ONLINE, ""));
        CHECK_STR(set_presence(&lab, "busy", "in a meeting"), "");
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_BUSY, "in a meeting"));
        chat_status(lab.chat, &s);
        CHECK_STR(s.presence, "busy");
        CHECK_STR(s.note, "in a meeting");
        chat_lab_stop(&lab);
        chat_lab_start(&lab);
        publish_somewhere(&lab);
        CHECK(says(&lab, PRESENCE_BUSY, "in a meeting"));
        CHECK_STR(set_presence(&lab, "online", ""), "");
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_ONLINE, ""));
        CHECK_EQ(presence_of(&lab).n_endpoints, 1);
        chat_lab_free(&lab);
}

TEST(a_presence_that_is_none_is_refused) {
        char note[PRESENCE_NOTE_MAX + 2];
        ChatStatus s;
        ChatLab lab;

        chat_lab_new(&lab);
        CHECK_STR(set_presence(&lab, "offline", ""), "InvalidArgs");
        CHECK_STR(set_presence(&lab, "", ""), "InvalidArgs");
        CHECK_STR(set_presence(&lab, "Busy", ""), "InvalidArgs");
        CHECK_STR(set_presence(&lab, "busy", "two\nlines"), "InvalidArgs");
        CHECK_STR(set_presence(&lab, "busy", "\033[2J"), "InvalidArgs");
        CHECK_STR(set_presence(&lab, "busy", "\xc2\x9b"), "InvalidArgs");
        memset(note, 'x', sizeof(note));
        note[sizeof(note) - 1] = 0;
        CHECK_STR(set_presence(&lab, "busy", note), "TooLong");
        chat_status(lab.chat, &s);
        CHECK_STR(s.presence, "online");
        CHECK_STR(s.note, "");
        note[sizeof(note) - 2] = 0;
        CHECK_STR(set_presence(&lab, "busy", note), "");
        chat_status(lab.chat, &s);
        CHECK_STR(s.note, note);
        chat_lab_free(&lab);
}

TEST(changes_of_presence_are_joined_and_the_last_is_published) {
        uint64_t seq, n = 0;
        char note[16];
        ChatLab lab;

        chat_lab_new(&lab);
        publish_somewhere(&lab);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        seq = presence_of(&lab).seq;
        for (int i = 0; i <= 100; i++) {
                snprintf(note, sizeof(note), "%d", i);
                CHECK_STR(set_presence(&lab, i % 2 ? "busy" : "away", note), "");
                sim_run(&lab.sim, 50 * USEC_PER_MSEC);
                n += presence_of(&lab).seq != seq;
                seq = presence_of(&lab).seq;
        }
        CHECK(n >= 4 && n <= 7); /* in five seconds */
        sim_run(&lab.sim, ACCOUNT_PRESENCE_INTERVAL);
        CHECK(says(&lab, PRESENCE_AWAY, "100"));

        /* The same again is no news. */
        seq = presence_of(&lab).seq;
        CHECK_STR(set_presence(&lab, "away", "100"), "");
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK_EQ(presence_of(&lab).seq, seq);
        chat_lab_free(&lab);
}

/* Whoever blocks many makes as many keys, and contacts bear no more than one presence a second. */
TEST(changes_of_the_presence_key_are_joined) {
        uint64_t seq, n = 0;
        ChatLab lab;

        chat_lab_new(&lab);
        publish_somewhere(&lab);
        seq = presence_of(&lab).seq;
        for (int i = 0; i < 100; i++) {
                CHECK_OK(account_change_presence_key(lab.parts->account));
                sim_run(&lab.sim, 50 * USEC_PER_MSEC);
                n += presence_of(&lab).seq != seq;
                seq = presence_of(&lab).seq;
        }
        CHECK(n >= 4 && n <= 7); /* in five seconds */
        chat_lab_free(&lab);
}

TEST(without_input_he_is_away_unless_he_has_said_what_he_is) {
        ChatStatus s;
        ChatLab lab;

        chat_lab_new(&lab);
        publish_somewhere(&lab);
        CHECK_STR(set_presence(&lab, "online", "at home"), "");
        chat_set_idle(lab.chat, true);
        chat_status(lab.chat, &s);
        CHECK_STR(s.presence, "away");
        CHECK(s.idle);
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_AWAY, "at home"));
        CHECK_STR(set_presence(&lab, "busy", ""), "");
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_BUSY, ""));
        chat_status(lab.chat, &s);
        CHECK(!s.idle);
        chat_set_idle(lab.chat, false);
        chat_set_idle(lab.chat, true);
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK(says(&lab, PRESENCE_BUSY, ""));
        CHECK_STR(set_presence(&lab, "online", ""), "");
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_AWAY, ""));
        chat_set_idle(lab.chat, false);
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_ONLINE, ""));
        chat_lab_free(&lab);
}

TEST(a_presence_for_nobody_says_nothing) {
        ChatLab lab;

        chat_lab_new(&lab);
        set_privacy(&lab, true, VISIBLE_NOBODY, VISIBLE_ALL);
        publish_somewhere(&lab);
        CHECK_STR(set_presence(&lab, "busy", "with the doctor"), "");
        sim_run(&lab.sim, USEC_PER_MINUTE);
        CHECK(says(&lab, PRESENCE_ONLINE, ""));
        set_privacy(&lab, true, VISIBLE_CONTACTS, VISIBLE_ALL);
        SIM_UNTIL(&lab.sim, says(&lab, PRESENCE_BUSY, "with the doctor"));
        chat_lab_free(&lab);
}
