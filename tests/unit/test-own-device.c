/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Several devices of one account, as delivery has them: which of them is active is for others to
 * find out; here it is said by delivery_retire(). */

#include "test.h"

#include "stack-lab.h"

typedef struct World {
        Sim sim;
        Stack phone, tablet, desk; /* of Alice, in the order in which they took over */
        Stack bob;
} World;

static void device_new(World *w, const char *host, uint64_t epoch, Stack *s) {
        Person who;

        person_on_device(&w->phone.who, epoch, &who);
        snprintf(who.name, sizeof(who.name), "%s", host); /* the record has been made */
        stack_new_of(&who, s);
}

static void world_new(World *w) {
        *w = (World){};
        sim_new(&w->sim, 1);
        stack_new(&w->sim, "alice", &w->phone);
        device_new(w, "tablet", 2, &w->tablet);
        device_new(w, "desk", 3, &w->desk);
        stack_new(&w->sim, "bob", &w->bob);
}

static void world_free(World *w) {
        stack_free(&w->phone);
        stack_free(&w->tablet);
        stack_free(&w->desk);
        stack_free(&w->bob);
        sim_free(&w->sim);
}

/* S has heard once that a device of its account is at these hosts. */
static void knows_devices(Stack *s, const char *const *hosts, size_t n) {
        Endpoints e = {.n = n};

        for (size_t i = 0; i < n; i++)
                snprintf(e.text[i], sizeof(e.text[i]), "%s:%u", hosts[i], STACK_PORT);
        CHECK_OK(store_set_endpoints(s->store, ENDPOINTS_OWN, &e));
        CHECK_OK(store_commit(s->store));
}

#define KNOWS_DEVICES(s, ...)                                                                      \
        knows_devices(s, (const char *[]){__VA_ARGS__},                                            \
                sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void retire(Stack *s, const Stack *by) {
        delivery_retire(s->delivery, by->who.local.record);
}

static void check_own_pair(const Stack *a, const Stack *b) {
        CHECK_EQ(a->n_own, 1);
        CHECK_EQ(b->n_own, 1);
        CHECK(key_equal(link_certificate(a->own[0])->device, sign_key_public(&b->who.device)));
        CHECK(key_equal(link_certificate(b->own[0])->device, sign_key_public(&a->who.device)));
}

TEST(a_replaced_device_finds_the_new_one_and_is_nobodys_peer) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "tablet");
        retire(&w.phone, &w.tablet);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.phone.n_own, 0); /* it is not looked for */
        delivery_want_own(w.phone.delivery, true);
        SIM_UNTIL(&w.sim, w.phone.n_own && w.tablet.n_own);
        check_own_pair(&w.phone, &w.tablet);
        CHECK_EQ(w.phone.n_up + w.tablet.n_up, 0);
        CHECK_EQ(delivery_count_links(w.tablet.delivery), 0);
        CHECK(!delivery_has_link(w.tablet.delivery, person_account(&w.phone.who)));
        CHECK_EQ(w.tablet.n_own_records, 0); /* that of an older one is no news */
        sim_run(&w.sim, USEC_PER_HOUR);
        check_own_pair(&w.phone, &w.tablet);
        CHECK_EQ(w.phone.n_own_up, 1);
        world_free(&w);
}

TEST(frames_of_a_hand_over_go_through_and_others_end_the_link) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "tablet");
        retire(&w.phone, &w.tablet);
        delivery_want_own(w.phone.delivery, true);
        SIM_UNTIL(&w.sim, w.phone.n_own && w.tablet.n_own);
        CHECK_OK(frame_put_empty(link_output(w.phone.own[0]), FRAME_HANDOVER, 0));
        link_queued(w.phone.own[0]);
        CHECK_OK(frame_put_empty(link_output(w.tablet.own[0]), FRAME_HANDOVER, 0));
        link_queued(w.tablet.own[0]);
        SIM_UNTIL(&w.sim, w.phone.n_own_frames == 1 && w.tablet.n_own_frames == 1);
        CHECK_OK(message_encode(
                link_output(w.phone.own[0]), &(MessageFrame){.inner = text_bytes("hello")}));
        link_queued(w.phone.own[0]);
        SIM_UNTIL(&w.sim, w.tablet.n_own == 0 && w.phone.n_own == 0);
        SIM_UNTIL(&w.sim, w.tablet.n_own == 1); /* called again */
        CHECK_EQ(w.tablet.n_shown, 0);
        world_free(&w);
}

TEST(a_device_that_does_not_know_yet_is_told_and_called_until_it_does) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.tablet, "alice");
        delivery_want_own(w.tablet.delivery, true);
        SIM_UNTIL(&w.sim, w.phone.n_own_records > 0);
        CHECK_EQ(w.phone.own_epoch, 2);
        sim_run(&w.sim, 10 * USEC_PER_SEC);
        CHECK(w.phone.n_own_records > 1);
        CHECK_EQ(w.phone.n_own_up + w.tablet.n_own_up, 0);
        retire(&w.phone, &w.tablet); /* which finds nobody */
        SIM_UNTIL(&w.sim, w.phone.n_own && w.tablet.n_own);
        check_own_pair(&w.phone, &w.tablet);
        world_free(&w);
}

TEST(one_that_is_away_is_called_for_as_long_as_it_is_wanted) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "tablet");
        stack_stop(&w.tablet);
        retire(&w.phone, &w.tablet);
        delivery_want_own(w.phone.delivery, true);
        sim_run(&w.sim, USEC_PER_DAY);
        stack_start(&w.tablet);
        sim_run(&w.sim, 6 * USEC_PER_MINUTE);
        check_own_pair(&w.phone, &w.tablet);

        stack_stop(&w.tablet);
        SIM_UNTIL(&w.sim, w.phone.n_own == 0);
        w.tablet.n_own = 0;
        stack_start(&w.tablet);
        SIM_UNTIL(&w.sim, w.phone.n_own == 1 && w.tablet.n_own == 1);

        delivery_want_own(w.phone.delivery, false);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.phone.n_own, 1); /* who is there may stay */
        stack_stop(&w.tablet);
        SIM_UNTIL(&w.sim, w.phone.n_own == 0);
        stack_start(&w.tablet);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(w.phone.n_own, 0);
        world_free(&w);
}

TEST(news_of_the_other_device_are_a_reason_to_call_at_once) {
        World w;

        world_new(&w);
        stack_hide(&w.tablet);
        KNOWS_DEVICES(&w.phone, "tablet");
        retire(&w.phone, &w.tablet);
        delivery_want_own(w.phone.delivery, true);
        sim_run(&w.sim, USEC_PER_DAY);
        stack_listen(&w.tablet);
        delivery_appeared(w.phone.delivery, person_account(&w.phone.who));
        sim_run(&w.sim, USEC_PER_SEC);
        check_own_pair(&w.phone, &w.tablet);
        world_free(&w);
}

TEST(two_older_devices_have_a_link_with_the_newest_each) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "desk");
        KNOWS_DEVICES(&w.tablet, "alice", "desk");
        retire(&w.phone, &w.desk);
        retire(&w.tablet, &w.desk);
        delivery_want_own(w.phone.delivery, true);
        delivery_want_own(w.tablet.delivery, true);
        SIM_UNTIL(&w.sim, w.desk.n_own == 2);
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK_EQ(w.desk.n_own, 2);
        CHECK_EQ(w.desk.n_own_up, 2);
        CHECK_EQ(w.phone.n_own, 1);
        CHECK_EQ(w.tablet.n_own, 1); /* the phone has turned it away */
        CHECK(key_equal(
                link_certificate(w.tablet.own[0])->device, sign_key_public(&w.desk.who.device)));
        world_free(&w);
}

TEST(a_replaced_device_tells_of_the_newest_who_does_not_know) {
        World w;

        world_new(&w);
        retire(&w.phone, &w.desk);
        KNOWS_DEVICES(&w.tablet, "alice");
        delivery_want_own(w.tablet.delivery, true);
        SIM_UNTIL(&w.sim, w.tablet.n_own_records > 0);
        CHECK_EQ(w.tablet.own_epoch, 3);
        CHECK_EQ(w.tablet.n_own_up + w.phone.n_own_up, 0);
        world_free(&w);
}

TEST(one_that_is_replaced_again_goes_over_to_the_newest) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "tablet", "desk");
        stack_hide(&w.desk);
        retire(&w.phone, &w.tablet);
        delivery_want_own(w.phone.delivery, true);
        SIM_UNTIL(&w.sim, w.phone.n_own && w.tablet.n_own);
        stack_listen(&w.desk);
        retire(&w.phone, &w.desk);
        CHECK_EQ(w.phone.n_own, 0);
        SIM_UNTIL(&w.sim, w.tablet.n_own == 0);
        CHECK_EQ(w.tablet.own_epoch, 3); /* said with BYE */
        SIM_UNTIL(&w.sim, w.phone.n_own && w.desk.n_own);
        check_own_pair(&w.phone, &w.desk);
        retire(&w.phone, &w.desk); /* no news */
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.phone.n_own_up, 2);
        check_own_pair(&w.phone, &w.desk);
        world_free(&w);
}

TEST(one_that_is_active_again_begins_anew) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "tablet");
        retire(&w.phone, &w.tablet);
        delivery_want_own(w.phone.delivery, true);
        SIM_UNTIL(&w.sim, w.phone.n_own && w.tablet.n_own);
        delivery_start(w.phone.delivery);
        CHECK_EQ(w.phone.n_own, 0);
        SIM_UNTIL(&w.sim, w.tablet.n_own == 0);
        world_free(&w);
}

/* Peers of the account */

static uint64_t known_epoch(Stack *s, const Person *of) {
        DbTxn *txn;
        Contact c;

        CHECK_OK(store_read_begin(s->store, &txn));
        CHECK_EQ(contact_get(txn, person_account(of), &c), 1);
        store_read_end(txn);
        return c.epoch;
}

TEST(peers_of_a_replaced_device_learn_of_the_new_one) {
        World w;

        world_new(&w);
        stack_knows(&w.phone, &w.bob.who, CONTACT_PINNED);
        stack_knows(&w.bob, &w.phone.who, CONTACT_PINNED);
        stack_send(&w.bob, &w.phone.who, "before");
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 1);
        retire(&w.phone, &w.tablet);
        CHECK_EQ(delivery_count_links(w.phone.delivery), 0);
        SIM_UNTIL(&w.sim, known_epoch(&w.bob, &w.phone.who) == 2);
        CHECK_EQ(w.bob.n_down, 1);

        stack_knows(&w.tablet, &w.bob.who, CONTACT_PINNED);
        stack_send(&w.bob, &w.phone.who, "after");
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.phone.n_shown, 1);
        CHECK_EQ(w.bob.n_delivered, 1);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);

        /* And goes on with the new one. */
        stack_hide(&w.phone);
        CHECK_OK(network_listen(
                w.sim.network, w.phone.who.name, STACK_PORT, stack_on_accept, &w.tablet));
        SIM_UNTIL(&w.sim, w.bob.n_delivered == 2);
        CHECK_EQ(w.tablet.n_shown, 1);
        CHECK_EQ(w.bob.n_failed, 0);
        stack_hide(&w.phone);
        stack_listen(&w.phone);
        world_free(&w);
}

TEST(who_did_not_hear_it_then_is_told_when_he_calls) {
        World w;

        world_new(&w);
        stack_knows(&w.phone, &w.bob.who, CONTACT_PINNED);
        stack_knows(&w.bob, &w.phone.who, CONTACT_PINNED);
        retire(&w.phone, &w.tablet);
        stack_send(&w.bob, &w.phone.who, "hello");
        SIM_UNTIL(&w.sim, known_epoch(&w.bob, &w.phone.who) == 2);
        CHECK_EQ(w.phone.n_shown, 0);
        CHECK_EQ(stack_count_outbox(&w.bob), 1);
        world_free(&w);
}

TEST(an_old_device_that_calls_a_peer_is_told_of_the_new_one) {
        World w;

        world_new(&w);
        stack_knows(&w.phone, &w.bob.who, CONTACT_PINNED);
        stack_knows(&w.bob, &w.desk.who, CONTACT_PINNED);
        stack_send(&w.phone, &w.bob.who, "of the past");
        SIM_UNTIL(&w.sim, w.phone.n_own_records > 0);
        CHECK_EQ(w.phone.own_epoch, 3);
        CHECK_EQ(w.bob.n_shown, 0);
        world_free(&w);
}

/* As a device does that has taken the account over and cannot be called. */
TEST(the_active_device_calls_where_the_account_was_until_it_has_met_another) {
        World w;

        world_new(&w);
        stack_hide(&w.tablet);
        retire(&w.phone, &w.tablet);
        delivery_want_own(w.phone.delivery, true);
        KNOWS_DEVICES(&w.tablet, "alice");
        delivery_start(w.tablet.delivery);
        SIM_UNTIL(&w.sim, w.phone.n_own && w.tablet.n_own);
        stack_stop(&w.phone);
        SIM_UNTIL(&w.sim, w.tablet.n_own == 0);
        stack_start(&w.phone);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(w.tablet.n_own_up, 1);
        stack_listen(&w.tablet);
        world_free(&w);
}

TEST(one_that_is_gone_for_ever_is_not_called_for_ever) {
        unsigned n;
        World w;

        world_new(&w);
        stack_stop(&w.phone);
        KNOWS_DEVICES(&w.tablet, "alice");
        delivery_start(w.tablet.delivery);
        n = network_n_dialled(w.sim.network);
        sim_run(&w.sim, USEC_PER_DAY + USEC_PER_HOUR);
        CHECK(network_n_dialled(w.sim.network) > n);
        n = network_n_dialled(w.sim.network);
        sim_run(&w.sim, USEC_PER_DAY);
        CHECK_EQ(network_n_dialled(w.sim.network), n);
        stack_start(&w.phone);
        world_free(&w);
}

TEST(a_device_that_is_active_again_calls_the_one_that_was_meanwhile) {
        World w;

        world_new(&w);
        KNOWS_DEVICES(&w.phone, "tablet");
        retire(&w.phone, &w.tablet);
        delivery_start(w.phone.delivery); /* of an older epoch still, which the tablet turns away */
        SIM_UNTIL(&w.sim, w.phone.n_own_records > 0);
        CHECK_EQ(w.phone.own_epoch, 2);
        world_free(&w);
}
