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
        account_register(w.lab.parts->account, "alice", NULL, on_done, &w.first);
        account_register(w.lab.parts->account, "bob", NULL, on_done, &w.second);
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
        account_register(w->lab.parts->account, "bob", NULL, on_done, &w->second);
        CHECK(!w->second.answered);
        db_fail(store_write(w->lab.store), -EIO);
}

TEST(a_commit_speaks_for_its_own_operation_only) {
        World w;

        world_new(&w);
        CHECK_OK(store_after_commit(w.lab.store, on_first_batch, &w));
        account_register(w.lab.parts->account, "alice", NULL, on_done, &w.first);
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
        CHECK_OK(presence_decode(account_presence(lab.parts->account), &p));
        CHECK_EQ(presence_open(&p, key, &buf), -EBADMSG);
        CHECK_EQ(store_get_presence_key(store_write(lab.store), key), 1);
        CHECK_OK(presence_open(&p, key, &buf));

        set_privacy(&lab, true, VISIBLE_ALL, VISIBLE_ALL);
        CHECK_OK(presence_decode(account_presence(lab.parts->account), &p));
        CHECK(p.n_endpoints == 2 && p.sealed.size == 0);
        chat_lab_free(&lab);
}
