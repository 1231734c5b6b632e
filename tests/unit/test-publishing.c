/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An account for the LAN alone, and how it is published. */

#include "test.h"

#include "chat-lab.h"
#include "tracker-lab.h"

typedef struct Caller {
        bool answered;
        Code code;
} Caller;

static void on_done(void *userdata, Code code, const char *text) {
        Caller *c = userdata;

        CHECK(!c->answered);
        CHECK_EQ(code != CODE_OK, text[0] != 0); /* a sentence, which is still there */
        c->answered = true;
        c->code = code;
}

/* What the account says of itself now. */
static Record record_of(const ChatLab *l) {
        Record r;

        CHECK_OK(record_decode(account_local(l->parts->account)->record, &r));
        return r;
}

static uint64_t await_register(FakeTracker *k) {
        SIM_UNTIL(k->self.sim, far_has(&k->far, FRAME_REGISTER));
        return far_take(&k->far, FRAME_REGISTER).request;
}

static const Endpoints here = {.text = {"192.0.2.1:7425"}, .n = 1};

static Code register_on_lan(ChatLab *l, const char *name) {
        Caller c = {};

        account_register_on_lan(l->parts->account, name, on_done, &c);
        SIM_UNTIL(&l->sim, c.answered);
        return c.code;
}

static Code log_in(ChatLab *l, const char *name, const char *tracker) {
        Caller c = {};

        account_login(l->parts->account, name, "", tracker, on_done, &c);
        SIM_UNTIL(&l->sim, c.answered);
        return c.code;
}

static void log_out(ChatLab *l) {
        Caller c = {};

        account_logout(l->parts->account, on_done, &c);
        SIM_UNTIL(&l->sim, c.answered);
        CHECK_EQ(c.code, CODE_OK);
}

/* The program starts, with a tracker in its configuration. */
static void start_configured(ChatLab *l, const FakeTracker *k) {
        EndpointKey address = tracker_address(k);

        chat_lab_start(l);
        parts_set_trackers(l->parts, &address, 1);
        parts_publish(l->parts, &here);
}

/* Alice is there for the LAN alone, though a tracker is configured, and knows Bob. */
static void lan_new(ChatLab *l, FakeTracker *k) {
        chat_lab_begin(l);
        tracker_new(&l->sim, k);
        start_configured(l, k);
        CHECK_EQ(register_on_lan(l, "Alice"), CODE_OK);
        chat_lab_stop(l);
        chat_lab_add_contact(l, "bob", CONTACT_PINNED, NULL);
        CHECK_OK(store_commit(l->store));
        start_configured(l, k);
}

static void lan_free(ChatLab *l, FakeTracker *k) {
        tracker_free(k);
        chat_lab_free(l);
}

/* Logged in, for the LAN alone, and at no tracker. */
static void check_on_lan(ChatLab *l) {
        ChatStatus s;

        CHECK(account_is_active(l->parts->account) && account_is_lan_only(l->parts->account));
        CHECK_EQ(directory_n_trackers(l->parts->directory), 0);
        chat_status(l->chat, &s);
        CHECK(s.lan_only && !s.problems[0]);
        CHECK_STR(s.state, "online");
        CHECK_STR(s.name, "alice");
}

static void restart(ChatLab *l, const FakeTracker *k) {
        chat_lab_stop(l);
        start_configured(l, k);
}

TEST(an_account_for_the_lan_asks_no_tracker) {
        uint8_t account[KEY_SIZE];
        EndpointKey address;
        FakeTracker k;
        ChatLab lab;
        Record r;

        lan_new(&lab, &k);
        check_on_lan(&lab);
        r = record_of(&lab);
        CHECK_STR(r.name, "alice");
        memcpy(account, r.account, KEY_SIZE);

        /* Nor when the configuration is read again, or a day later, or after logging in again. */
        address = tracker_address(&k);
        parts_set_trackers(lab.parts, &address, 1);
        sim_run(&lab.sim, 8 * USEC_PER_DAY);
        check_on_lan(&lab);
        log_out(&lab);
        CHECK(account_exists(lab.parts->account) && !account_is_active(lab.parts->account));
        restart(&lab, &k);
        CHECK_EQ(log_in(&lab, "alice",
                         "tracker:1#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
                CODE_INVALID_ARGS);
        CHECK_EQ(log_in(&lab, "alice", NULL), CODE_OK);
        check_on_lan(&lab);
        CHECK(key_equal(record_of(&lab).account, account));
        CHECK_EQ(register_on_lan(&lab, "alice"), CODE_ACCOUNT_EXISTS);
        CHECK_EQ(network_n_dialled(lab.sim.network), 0);
        lan_free(&lab, &k);
}

/* Registers Alice's name, until the tracker is asked for it. Returns the request. */
static uint64_t publish(ChatLab *l, FakeTracker *k, Caller *c) {
        *c = (Caller){};
        account_register(l->parts->account, "alice", "", NULL, on_done, c);
        tracker_greet(k);
        return await_register(k);
}

static void check_refused(ChatLab *l, FakeTracker *k, Caller *c, Code code) {
        SIM_UNTIL(&l->sim, c->answered);
        CHECK_EQ(c->code, code);
        check_on_lan(l);
        restart(l, k);
        check_on_lan(l);
}

TEST(who_cannot_be_published_stays_on_the_lan) {
        uint64_t request;
        FakeTracker k;
        ChatLab lab;
        Caller c;

        lan_new(&lab, &k);
        c = (Caller){};
        account_register(lab.parts->account, "anna", "", NULL, on_done, &c);
        check_refused(&lab, &k, &c, CODE_ACCOUNT_EXISTS);
        CHECK_EQ(network_n_dialled(lab.sim.network), 0);

        /* Who refuses the name hears of nobody else. */
        request = publish(&lab, &k, &c);
        CHECK(account_is_active(lab.parts->account) && account_is_lan_only(lab.parts->account));
        CHECK(far_is_served(&k.far) && !far_has(&k.far, FRAME_WATCH));
        tracker_error(&k, request, CODE_NAME_TAKEN);
        check_refused(&lab, &k, &c, CODE_NAME_TAKEN);

        /* One that ends in the middle, another that cannot be reached, and none. */
        (void)publish(&lab, &k, &c);
        tracker_close(&k);
        tracker_hang_up(&k);
        check_refused(&lab, &k, &c, CODE_TRACKER_UNREACHABLE);
        c = (Caller){};
        account_register(lab.parts->account, "alice", "", NULL, on_done, &c);
        check_refused(&lab, &k, &c, CODE_TRACKER_UNREACHABLE);
        parts_set_trackers(lab.parts, NULL, 0);
        c = (Caller){};
        account_register(lab.parts->account, "alice", "", NULL, on_done, &c);
        check_refused(&lab, &k, &c, CODE_TRACKER_UNREACHABLE);

        /* The program ends before the answer. */
        tracker_listen(&k);
        (void)publish(&lab, &k, &c);
        account_forget(lab.parts->account, &c);
        restart(&lab, &k);
        check_on_lan(&lab);
        lan_free(&lab, &k);
}

/* The tracker is told all that it is told of anybody. */
static void check_published(ChatLab *l, FakeTracker *k) {
        uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];
        Watch watch;
        Publish p;
        Frame f;

        CHECK(account_is_active(l->parts->account) && !account_is_lan_only(l->parts->account));
        tracker_ok(k, await_register(k));
        f = far_take(&k->far, FRAME_WATCH);
        CHECK_OK(watch_decode(&f, accounts, &watch));
        CHECK_EQ(watch.add.size, KEY_SIZE);
        f = far_take(&k->far, FRAME_PUBLISH);
        CHECK_OK(publish_decode(&f, &p));
        CHECK(p.presence.size > 0);
        SIM_UNTIL(&l->sim, directory_ready_session(l->parts->directory, 0));
}

TEST(a_published_account_is_the_same_one) {
        char address[ENDPOINT_KEY_SIZE];
        uint8_t account[KEY_SIZE];
        EndpointKey e;
        FakeTracker k;
        ChatLab lab;
        Caller c;

        lan_new(&lab, &k);
        memcpy(account, record_of(&lab).account, KEY_SIZE);
        tracker_ok(&k, publish(&lab, &k, &c));
        SIM_UNTIL(&lab.sim, c.answered);
        CHECK_EQ(c.code, CODE_OK);
        check_published(&lab, &k);
        CHECK(key_equal(record_of(&lab).account, account));
        restart(&lab, &k);
        tracker_greet(&k);
        check_published(&lab, &k);
        lan_free(&lab, &k);

        /* The same from one who is logged out, at a tracker that is named: it is kept with him. */
        lan_new(&lab, &k);
        log_out(&lab);
        e = tracker_address(&k);
        parts_set_trackers(lab.parts, NULL, 0);
        c = (Caller){};
        account_register(
                lab.parts->account, "alice", "", endpoint_key_format(&e, address), on_done, &c);
        tracker_greet(&k);
        tracker_ok(&k, await_register(&k));
        SIM_UNTIL(&lab.sim, c.answered);
        CHECK_EQ(c.code, CODE_OK);
        parts_publish(lab.parts, &here);
        check_published(&lab, &k);
        chat_lab_stop(&lab);
        chat_lab_start(&lab);
        parts_publish(lab.parts, &here);
        tracker_greet(&k);
        check_published(&lab, &k);
        lan_free(&lab, &k);
}

/* A laptop that never had a network may have any time; no tracker takes what is of the future. */
TEST(what_is_published_is_signed_now) {
        const usec_t ahead = 400 * USEC_PER_DAY;
        FakeTracker k;
        ChatLab lab;
        Caller c;

        lan_new(&lab, &k);
        loop_virtual_step_realtime(lab.sim.loop, (int64_t)ahead);
        restart(&lab, &k);
        CHECK(record_of(&lab).issued == loop_realtime(lab.sim.loop));
        loop_virtual_step_realtime(lab.sim.loop, -(int64_t)ahead);
        tracker_ok(&k, publish(&lab, &k, &c));
        CHECK(record_of(&lab).issued <= loop_realtime(lab.sim.loop));
        SIM_UNTIL(&lab.sim, c.answered);
        CHECK_EQ(c.code, CODE_OK);
        lan_free(&lab, &k);
}
