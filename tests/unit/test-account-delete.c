/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The end of an account: at its tracker, and on the device. */

#include "test.h"

#include "devices-lab.h"

typedef struct World {
        Sim sim;
        Home home;
        Device phone, laptop;
} World;

static void world_new(World *w) {
        sim_new(&w->sim, 1);
        home_new(&w->sim, &w->home);
        device_new(&w->home, &w->phone);
        device_new(&w->home, &w->laptop);
}

static void world_free(World *w) {
        device_free(&w->phone);
        device_free(&w->laptop);
        home_free(&w->home);
        sim_free(&w->sim);
}

static Code device_delete(Device *d, const char *password) {
        unsigned n = d->n_answers;

        account_delete(d->account, password, device_on_done, d);
        return device_answer(d, n);
}

/* What whoever runs the parts does then. */
static void begin_anew(Device *d) {
        device_stop(d);
        device_start(d);
}

static bool has_account(const Device *d) {
        return account_exists(d->account);
}

/* Nothing of an account is there, and another one can be. */
static void check_empty(World *w, Device *d) {
        unsigned n = d->n_answers;

        CHECK(!has_account(d));
        account_logout(d->account, device_on_done, d);
        CHECK_EQ(device_answer(d, n), CODE_NOT_LOGGED_IN);
        begin_anew(d);
        CHECK(!has_account(d));
        CHECK_STR(account_identity(d->account)->name, "");
        CHECK_EQ(account_identity(d->account)->epoch, 1);
}

static void check_deletion(const char *password) {
        uint8_t before[KEY_SIZE];
        World w;

        world_new(&w);
        CHECK_EQ(device_register(&w.phone, "alice", password), CODE_OK);
        memcpy(before, sign_key_public(&account_identity(w.phone.account)->account), KEY_SIZE);
        CHECK_EQ(device_delete(&w.phone, password), CODE_OK);
        check_empty(&w, &w.phone);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_BAD_PASSWORD);
        CHECK(!has_account(&w.laptop));
        /* The name is free, and who takes it is somebody else. */
        CHECK_EQ(device_register(&w.phone, "alice", PASSWORD), CODE_OK);
        CHECK(!key_equal(before, sign_key_public(&account_identity(w.phone.account)->account)));
        world_free(&w);
}

TEST(an_account_with_a_password_is_deleted) {
        check_deletion(PASSWORD);
}

TEST(an_account_without_a_password_is_deleted) {
        check_deletion("");
}

TEST(who_does_not_know_the_password_deletes_nothing) {
        World w;

        world_new(&w);
        CHECK_EQ(device_register(&w.phone, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(device_delete(&w.phone, ""), CODE_BAD_PASSWORD);
        CHECK_EQ(device_delete(&w.phone, "wrong horse"), CODE_BAD_PASSWORD);
        CHECK(account_is_active(w.phone.account));
        begin_anew(&w.phone);
        CHECK(account_is_active(w.phone.account));
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        world_free(&w);
}

TEST(a_password_that_there_is_not_is_refused) {
        World w;

        world_new(&w);
        CHECK_EQ(device_delete(&w.phone, ""), CODE_NOT_LOGGED_IN);
        CHECK_EQ(device_register(&w.phone, "alice", ""), CODE_OK);
        CHECK_EQ(device_delete(&w.phone, PASSWORD), CODE_BAD_PASSWORD);
        CHECK(account_is_active(w.phone.account));
        world_free(&w);
}

TEST(who_is_logged_out_cannot_tell_the_tracker) {
        unsigned n;
        World w;

        world_new(&w);
        CHECK_EQ(device_register(&w.phone, "alice", PASSWORD), CODE_OK);
        n = w.phone.n_answers;
        account_logout(w.phone.account, device_on_done, &w.phone);
        CHECK_EQ(device_answer(&w.phone, n), CODE_OK);
        CHECK_EQ(device_delete(&w.phone, PASSWORD), CODE_NOT_LOGGED_IN);
        CHECK(has_account(&w.phone));
        world_free(&w);
}

TEST(without_the_tracker_nothing_is_deleted) {
        World w;

        world_new(&w);
        CHECK_EQ(device_register(&w.phone, "alice", ""), CODE_OK);
        home_stop(&w.home);
        CHECK_EQ(device_delete(&w.phone, ""), CODE_TRACKER_UNREACHABLE);
        CHECK(account_is_active(w.phone.account));
        home_start(&w.home);
        SIM_UNTIL(&w.sim, directory_is_connected(w.phone.parts->directory));
        CHECK_EQ(device_delete(&w.phone, ""), CODE_OK);
        check_empty(&w, &w.phone);
        world_free(&w);
}

TEST(a_device_that_was_replaced_deletes_what_it_has) {
        World w;

        world_new(&w);
        CHECK_EQ(device_register(&w.phone, "alice", PASSWORD), CODE_OK);
        CHECK_EQ(device_login(&w.laptop, "alice", PASSWORD), CODE_OK);
        SIM_UNTIL(&w.sim, account_is_replaced(w.phone.account));
        CHECK_EQ(device_delete(&w.phone, ""), CODE_OK);
        check_empty(&w, &w.phone);
        CHECK(account_is_active(w.laptop.account));
        CHECK_EQ(device_login(&w.phone, "alice", PASSWORD), CODE_OK);
        world_free(&w);
}

TEST(an_account_for_the_lan_alone_is_deleted_here) {
        unsigned n;
        World w;

        world_new(&w);
        n = w.phone.n_answers;
        account_register_on_lan(w.phone.account, "alice", device_on_done, &w.phone);
        CHECK_EQ(device_answer(&w.phone, n), CODE_OK);
        CHECK_EQ(device_delete(&w.phone, ""), CODE_OK);
        check_empty(&w, &w.phone);
        world_free(&w);
}

/* The tracker has done it, and the disk has not. */
TEST(what_the_tracker_has_deleted_is_deleted_here_by_asking_again) {
        unsigned n;
        World w;

        world_new(&w);
        CHECK_EQ(device_register(&w.phone, "alice", PASSWORD), CODE_OK);
        n = w.phone.n_answers;
        account_delete(w.phone.account, PASSWORD, device_on_done, &w.phone);
        SIM_UNTIL(&w.sim, w.phone.account->deleting);
        store_fail(w.phone.store, -EIO);
        CHECK_EQ(device_answer(&w.phone, n), CODE_STORAGE);
        CHECK(has_account(&w.phone));
        begin_anew(&w.phone);
        CHECK(has_account(&w.phone));
        SIM_UNTIL(&w.sim, directory_is_deleted(w.phone.parts->directory, NULL));
        CHECK_EQ(device_delete(&w.phone, PASSWORD), CODE_OK);
        check_empty(&w, &w.phone);
        world_free(&w);
}
