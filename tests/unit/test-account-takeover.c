/* SPDX-License-Identifier: GPL-3.0-or-later */

/* An account moves from one device to another, by its password. */

#include "test.h"

#include "devices-lab.h"

typedef struct World {
        Sim sim;
        Home home;
        Device phone, laptop;
} World;

/* Alice has an account with a password, on her phone. */
static void world_new(World *w) {
        *w = (World){};
        sim_new(&w->sim, 1);
        home_new(&w->sim, &w->home);
        device_new(&w->home, &w->phone);
        device_new(&w->home, &w->laptop);
        CHECK_EQ(device_register(&w->phone, "alice", PASSWORD), CODE_OK);
        CHECK(account_is_active(w->phone.account));
}

static void world_free(World *w) {
        device_free(&w->phone);
        device_free(&w->laptop);
        home_free(&w->home);
        sim_free(&w->sim);
}

static uint64_t epoch(const Device *d) {
        return account_identity(d->account)->epoch;
}

static bool same_account(const Device *a, const Device *b) {
        return key_equal(sign_key_public(&account_identity(a->account)->account),
                sign_key_public(&account_identity(b->account)->account));
}

/* The account is used on TO, and FROM knows it. */
static bool is_moved(const Device *from, const Device *to) {
        return account_is_active(to->account) && account_is_replaced(from->account) &&
                !account_is_active(from->account) && same_account(from, to) &&
                bytes_equal(account_replaced_by(from->account),
                        buffer_bytes(&account_identity(to->account)->record));
}

/* Others find the account at the tracker. */
static bool is_found(const World *w) {
        return node_stats(w->home.node)->online == 1;
}

static AccountStatement statement(Device *d) {
        AccountStatement s;
        PasswordRow row;

        CHECK_EQ(store_get_password(store_write(d->store), &row), 1);
        CHECK_OK(account_statement_parse(row.statement, &s));
        return s;
}

TEST(name_and_password_bring_the_account_to_another_device) {
        AccountStatement before, after;
        Device tablet;
        World w;

        world_new(&w);
        CHECK_EQ(device_login(&w.laptop, "Alice", PASSWORD), CODE_OK);
        CHECK_EQ(epoch(&w.laptop), 2);
        CHECK_STR(account_identity(w.laptop.account)->name, "alice");
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK(is_moved(&w.phone, &w.laptop));
        CHECK_EQ(epoch(&w.phone), 1);
        before = statement(&w.phone);
        after = statement(&w.laptop);
        CHECK(after.key_id == before.key_id && key_equal(after.login, before.login));
        CHECK(after.seq > before.seq);

        device_new(&w.home, &tablet);
        CHECK_EQ(device_login(&tablet, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(epoch(&tablet), 3);
        SIM_UNTIL(&w.sim, account_is_replaced(w.laptop.account));
        CHECK(is_moved(&w.laptop, &tablet));
        SIM_UNTIL(&w.sim, is_found(&w));
        device_free(&tablet);
        world_free(&w);
}

TEST(a_wrong_password_or_name_brings_nothing) {
        World w;

        world_new(&w);
        CHECK_EQ(device_login(&w.laptop, "alice", "battery staple"), CODE_BAD_PASSWORD);
        CHECK_EQ(device_login(&w.laptop, "nobody", PASSWORD), CODE_BAD_PASSWORD);
        CHECK_EQ(device_login(&w.laptop, "alice", ""), CODE_NOT_LOGGED_IN);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(!account_exists(w.laptop.account) && account_is_active(w.phone.account));
        device_stop(&w.laptop);
        device_start(&w.laptop);
        CHECK(!account_exists(w.laptop.account));
        CHECK_EQ(device_register(&w.laptop, "bob", ""), CODE_OK);
        world_free(&w);
}

TEST(a_device_that_was_away_hears_of_it_when_it_comes_back) {
        World w;

        world_new(&w);
        device_stop(&w.phone);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        device_start(&w.phone);
        CHECK(account_is_active(w.phone.account));
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(is_moved(&w.phone, &w.laptop));
        device_stop(&w.phone);
        device_start(&w.phone);
        CHECK(is_moved(&w.phone, &w.laptop));
        world_free(&w);
}

TEST(the_account_comes_back_to_the_device_it_was_on) {
        World w;

        world_new(&w);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK_EQ(device_login(&w.phone, "alice", "battery staple"), CODE_BAD_PASSWORD);
        CHECK(is_moved(&w.phone, &w.laptop));
        CHECK_EQ(device_login(&w.phone, "alice", PASSWORD), CODE_OK);
        SIM_UNTIL(&w.sim, account_is_replaced(w.laptop.account));
        CHECK(is_moved(&w.laptop, &w.phone));
        CHECK_EQ(epoch(&w.phone), 3);
        device_stop(&w.phone);
        device_start(&w.phone);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(is_moved(&w.laptop, &w.phone));
        SIM_UNTIL(&w.sim, is_found(&w));
        world_free(&w);
}

/* Nobody has told the phone yet, which was logged out. */
TEST(a_device_that_was_logged_out_takes_the_account_back) {
        World w;

        world_new(&w);
        account_logout(w.phone.account, device_on_done, &w.phone);
        CHECK_EQ(device_answer(&w.phone, 1), CODE_OK);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(device_login(&w.phone, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(epoch(&w.phone), 3);
        SIM_UNTIL(&w.sim, account_is_replaced(w.laptop.account));
        CHECK(is_moved(&w.laptop, &w.phone));
        world_free(&w);
}

/* And nobody has had the account meanwhile. */
TEST(a_device_that_logs_in_again_stays_in_its_epoch) {
        World w;

        world_new(&w);
        account_logout(w.phone.account, device_on_done, &w.phone);
        CHECK_EQ(device_answer(&w.phone, 1), CODE_OK);
        CHECK_EQ(device_login(&w.phone, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(epoch(&w.phone), 1);
        SIM_UNTIL(&w.sim, is_found(&w));
        world_free(&w);
}

/* The epoch is on disk, and nobody has seen it. */
static void stop_before_the_tracker_hears(World *w) {
        account_login(w->laptop.account, "alice", PASSWORD, NULL, device_on_done, &w->laptop);
        SIM_UNTIL(&w->sim, w->laptop.account->operation == OPERATION_SAVE);
        CHECK_OK(store_commit(w->laptop.store));
        device_stop(&w->laptop);
        device_start(&w->laptop);
}

TEST(a_crash_on_the_way_is_made_good_by_another_login) {
        World w;

        world_new(&w);
        stop_before_the_tracker_hears(&w);
        CHECK(account_exists(w.laptop.account) && !account_is_active(w.laptop.account));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(account_is_active(w.phone.account)); /* which nothing was taken from */
        CHECK_EQ(device_login(&w.laptop, "alice", ""), CODE_BAD_PASSWORD);
        CHECK_EQ(device_login(&w.laptop, "alice", "battery staple"), CODE_BAD_PASSWORD);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK(is_moved(&w.phone, &w.laptop));
        world_free(&w);
}

/* The tracker has the record, and the device does not know. */
TEST(a_crash_after_the_tracker_has_heard_is_made_good_as_well) {
        World w;

        world_new(&w);
        account_login(w.laptop.account, "alice", PASSWORD, NULL, device_on_done, &w.laptop);
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK_EQ(w.laptop.n_answers, 0);
        device_stop(&w.laptop);
        device_start(&w.laptop);
        CHECK(account_exists(w.laptop.account) && !account_is_active(w.laptop.account));
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(is_moved(&w.phone, &w.laptop));
        SIM_UNTIL(&w.sim, is_found(&w));
        world_free(&w);
}

TEST(a_tracker_that_goes_away_on_the_way) {
        World w;

        world_new(&w);
        account_login(w.laptop.account, "alice", PASSWORD, NULL, device_on_done, &w.laptop);
        SIM_UNTIL(&w.sim, w.laptop.account->operation == OPERATION_SAVE);
        home_stop(&w.home);
        CHECK(device_answer(&w.laptop, 0) != CODE_OK);
        CHECK(account_exists(w.laptop.account) && !account_is_active(w.laptop.account));
        home_start(&w.home);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK(is_moved(&w.phone, &w.laptop));
        world_free(&w);
}

TEST(what_could_not_be_kept_has_brought_nothing) {
        World w;

        world_new(&w);
        account_login(w.laptop.account, "alice", PASSWORD, NULL, device_on_done, &w.laptop);
        SIM_UNTIL(&w.sim, w.laptop.account->operation == OPERATION_SAVE);
        store_fail(w.laptop.store, -EIO);
        CHECK_EQ(device_answer(&w.laptop, 0), CODE_STORAGE);
        CHECK(!account_exists(w.laptop.account) && !same_account(&w.phone, &w.laptop));
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK(is_moved(&w.phone, &w.laptop));
        world_free(&w);
}

TEST(of_two_devices_that_take_the_account_at_once_one_has_it) {
        const Device *winner, *loser;
        Device tablet;
        World w;

        world_new(&w);
        device_new(&w.home, &tablet);
        account_login(w.laptop.account, "alice", PASSWORD, NULL, device_on_done, &w.laptop);
        account_login(tablet.account, "alice", PASSWORD, NULL, device_on_done, &tablet);
        CHECK_EQ(device_answer(&tablet, 0), CODE_OK);
        CHECK_EQ(device_answer(&w.laptop, 0), CODE_OK);
        sim_run(&w.sim, USEC_PER_MINUTE);
        winner = account_is_active(tablet.account) ? &tablet : &w.laptop;
        loser = winner == &tablet ? &w.laptop : &tablet;
        CHECK(is_moved(loser, winner) && account_is_replaced(w.phone.account));
        device_free(&tablet);
        world_free(&w);
}

/* Of which one knows the account, and says so last. */
TEST(each_tracker_may_be_the_one_that_keeps_the_password) {
        for (unsigned first = 0; first < 2; first++) {
                EndpointKey both[2];
                Home other;
                World w;

                world_new(&w);
                home_new_at(&w.sim, "other", &other);
                both[first] = home_address(&other);
                both[1 - first] = home_address(&w.home);
                parts_set_trackers(w.laptop.parts, both, 2);
                CHECK_EQ(device_login(&w.laptop, "alice", "battery staple"), CODE_BAD_PASSWORD);
                CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
                SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
                CHECK(is_moved(&w.phone, &w.laptop));
                home_free(&other);
                world_free(&w);
        }
}
