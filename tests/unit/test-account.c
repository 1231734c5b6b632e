/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What an operation on the account waits for. */

#include "test.h"

#include <ftw.h>

#include "account/account.h"
#include "db/private.h"
#include "sim-lab.h"

typedef struct Caller {
        bool answered;
        Code code;
} Caller;

typedef struct World {
        Sim sim;
        char dir[64];
        Store *store;
        Account *account;
        TlsIdentity *tls;
        Directory *directory;
        Caller first, second;
} World;

static void on_active(void *userdata, bool active) {
}

static void on_use_tracker(void *userdata, const char *address) {
}

static const AccountCallbacks account_callbacks = {
        .active = on_active,
        .use_tracker = on_use_tracker,
};

static void on_trackers_changed(void *userdata) {
        account_trackers_changed(((World *)userdata)->account);
}

static const DirectoryCallbacks directory_callbacks = {.trackers_changed = on_trackers_changed};

/* There is a tracker, which does not answer. */
static void world_new(World *w) {
        EndpointKey tracker = {.host = "tracker", .port = 7400};

        *w = (World){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(w->dir));
        sim_new(&w->sim, 1);
        CHECK_OK(network_swallow(w->sim.network, "tracker", 7400));
        CHECK_OK(store_open(w->dir, w->sim.loop, &w->store));
        CHECK_OK(account_new(w->store, w->sim.loop, 30, &account_callbacks, w, &w->account));
        CHECK_OK(tls_identity_new(&account_identity(w->account)->device, &w->tls));
        account_set_tls(w->account, w->tls);
        CHECK_OK(directory_new(
                w->sim.net, account_local(w->account), &directory_callbacks, w, &w->directory));
        CHECK_OK(directory_set_trackers(w->directory, &tracker, 1));
        account_set_directory(w->account, w->directory);
        account_start(w->account);
        CHECK_OK(store_commit(w->store));
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void world_free(World *w) {
        directory_free(w->directory);
        tls_identity_free(w->tls);
        account_free(w->account);
        store_close(w->store);
        sim_free(&w->sim);
        CHECK_OK(nftw(w->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS));
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
        account_register(w.account, "alice", NULL, on_done, &w.first);
        account_register(w.account, "bob", NULL, on_done, &w.second);
        CHECK(w.second.answered && !w.first.answered);
        CHECK_EQ(w.second.code, CODE_TOO_MANY);
        SIM_UNTIL(&w.sim, w.first.answered);
        CHECK(!account_exists(w.account));
        world_free(&w);
}

/* The first one's time is over, its commit is not: somebody begins anew, and his is the next. */
static void on_first_batch(void *userdata, int error) {
        World *w = userdata;

        CHECK_OK(error);
        CHECK(w->first.answered);
        account_register(w->account, "bob", NULL, on_done, &w->second);
        CHECK(!w->second.answered);
        db_fail(store_write(w->store), -EIO);
}

TEST(a_commit_speaks_for_its_own_operation_only) {
        World w;

        world_new(&w);
        CHECK_OK(store_after_commit(w.store, on_first_batch, &w));
        account_register(w.account, "alice", NULL, on_done, &w.first);
        loop_virtual_stall(w.sim.loop, ACCOUNT_ANSWER_TIME);
        SIM_UNTIL(&w.sim, w.second.answered);
        CHECK_EQ(w.first.code, CODE_TIMEOUT);
        CHECK_EQ(w.second.code, CODE_STORAGE); /* what was not kept is claimed nowhere */
        world_free(&w);
}
