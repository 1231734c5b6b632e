/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The parts of a daemon together: which trackers they use, and how everything ends. */

#include "test.h"

#include "answer.h"
#include "tracker-lab.h"

/* The address of the only tracker. */
static const char *only_tracker(ChatLab *l) {
        ChatStatus s;

        chat_status(l->chat, &s);
        CHECK_EQ(s.n_trackers, 1);
        return s.trackers[0].address;
}

TEST(a_tracker_given_with_the_account_wins_over_the_configured_ones) {
        FakeTracker configured, given;
        EndpointKey first, second;
        char text[ENDPOINT_KEY_SIZE];
        Answer a = {};
        ChatLab l;

        chat_lab_new(&l);
        tracker_new_at(&l.sim, "configured", &configured);
        tracker_new_at(&l.sim, "given", &given);
        first = tracker_address(&configured);
        second = tracker_address(&given);
        parts_set_trackers(l.parts, &first, 1);
        CHECK_STR(only_tracker(&l), endpoint_key_format(&first, text));
        tracker_greet(&configured);

        chat_login(l.chat, "alice", "", endpoint_key_format(&second, text), on_answer, &a);
        SIM_UNTIL(&l.sim, a.n == 1);
        CHECK(!a.error);
        CHECK_STR(only_tracker(&l), text);
        tracker_greet(&given);

        parts_set_trackers(l.parts, &first, 1); /* a reload */
        CHECK_STR(only_tracker(&l), text);
        chat_lab_stop(&l);
        chat_lab_start(&l);
        parts_set_trackers(l.parts, &first, 1);
        CHECK_STR(only_tracker(&l), text);
        tracker_free(&configured);
        tracker_free(&given);
        chat_lab_free(&l);
}

TEST(trackers_hear_of_the_end_and_need_not_be_waited_for) {
        FakeTracker k;
        EndpointKey address;
        ChatLab l;

        chat_lab_new(&l);
        tracker_new(&l.sim, &k);
        address = tracker_address(&k);
        for (int waits = 0; waits < 2; waits++) {
                parts_set_trackers(l.parts, &address, 1);
                tracker_greet(&k);
                SIM_UNTIL(&l.sim, directory_is_connected(l.parts->directory));
                parts_stop(l.parts);
                if (waits) {
                        SIM_UNTIL(&l.sim, k.far.is_closed);
                        CHECK_EQ(k.far.error, 0);
                }
                chat_lab_stop(&l); /* the first time with a connection that is still ending */
                tracker_hang_up(&k);
                chat_lab_start(&l);
        }
        tracker_free(&k);
        chat_lab_free(&l);
}

/* Bob is there, says the tracker. */
static void say_online(FakeTracker *k, const Person *bob) {
        _cleanup_(buffer_done) Buffer b = person_presence(bob, PRESENCE_ONLINE, 1, NULL);
        Buffer *out = conn_output(k->far.conn);
        PresencePush p = {.online = true,
                .presence = buffer_bytes(&b),
                .last_seen = loop_realtime(bob->sim->loop)};

        memcpy(p.account, person_account(bob), KEY_SIZE);
        far_sent(&k->far, record_frame_encode(out, FRAME_RECORD, 0, bob->local.record));
        far_sent(&k->far, presence_push_encode(out, &p));
}

static bool is_online(ChatLab *l, const Person *bob) {
        const KnownPresence *k = directory_presence(l->parts->directory, person_account(bob));

        return k && k->online;
}

/* Of an hour in which nobody could say anything. */
TEST(what_was_said_before_a_sleep_counts_no_longer_than_without) {
        usec_t start, before, after;
        EndpointKey address;
        FakeTracker k;
        Person bob;
        ChatLab l;

        chat_lab_new(&l);
        person_new(&l.sim, "bob", &bob);
        tracker_new(&l.sim, &k);
        address = tracker_address(&k);
        parts_set_trackers(l.parts, &address, 1);
        CHECK_OK(directory_watch(l.parts->directory, person_account(&bob)));
        tracker_greet(&k);
        say_online(&k, &bob);
        SIM_UNTIL(&l.sim, is_online(&l, &bob));
        CHECK(directory_get_time(l.parts->directory, &before));
        parts_woke(l.parts, USEC_PER_HOUR);
        CHECK(directory_get_time(l.parts->directory, &after));
        CHECK_EQ(after - before, USEC_PER_HOUR);
        sim_run(&l.sim, 3 * USEC_PER_MINUTE);
        CHECK(is_online(&l, &bob)); /* the tracker is there, and has said nothing else */

        k.far.answers = false;
        tracker_close(&k);
        start = loop_now(l.sim.loop);
        parts_woke(l.parts, USEC_PER_HOUR);
        sim_run(&l.sim, USEC_PER_SEC);
        parts_woke(l.parts, 0); /* and its network is there */
        SIM_UNTIL(&l.sim, !is_online(&l, &bob));
        CHECK(loop_now(l.sim.loop) - start < 40 * USEC_PER_SEC);
        CHECK(loop_now(l.sim.loop) - start > 20 * USEC_PER_SEC); /* which it takes to come back */
        tracker_free(&k);
        person_done(&bob);
        chat_lab_free(&l);
}

static bool on_event(void *userdata, const ChatEvent *e) {
        unsigned *failed = userdata;

        *failed += e->kind == CHAT_EVENT_STATE && streq(e->state, "failed");
        return true;
}

/* And nobody is there to be told of it. */
TEST(what_is_committed_when_everything_ends_is_read_later) {
        Answer sent = {}, cancelled = {};
        unsigned failed = 0;
        uint64_t next;
        ChatError e;
        ChatLab l;

        chat_lab_new(&l);
        chat_lab_add_contact(&l, "bob", CONTACT_PINNED, NULL);
        chat_send(l.chat, &(ChatSend){.to = "bob", .text = "hi"}, on_id, &sent);
        SIM_UNTIL(&l.sim, sent.n == 1);
        chat_cancel(l.chat, sent.id, on_answer, &cancelled);
        chat_lab_stop(&l);
        CHECK_OK(store_commit(l.store));
        CHECK_EQ(cancelled.n, 0);
        chat_lab_start(&l);
        CHECK_OK(chat_list_events(
                l.chat, &(ChatListEvents){.max = 10}, on_event, &failed, &next, &e));
        CHECK_EQ(failed, 1);
        chat_lab_free(&l);
}
