/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store that was restored from a copy: what was written since is known to others alone. */

#include "test.h"

#include "devices-lab.h"
#include "store/history.h"

typedef struct World {
        Sim sim;
        Home home;
        Device alice, bob;
        char copy[64];
        unsigned n_sent, n_answered;
} World;

static void on_sent(void *userdata, const ChatError *error, const char *id) {
        World *w = userdata;

        CHECK(!error);
        w->n_answered++;
}

static void send_from(World *w, Device *from, const char *to, const char *text) {
        chat_send(from->parts->chat, &(ChatSend){.to = to, .text = text}, on_sent, w);
        w->n_sent++;
        SIM_UNTIL(&w->sim, w->n_answered == w->n_sent);
}

static void send_some(World *w, const char *what, unsigned n) {
        char text[32];

        for (unsigned i = 0; i < n; i++) {
                snprintf(text, sizeof(text), "%s %u", what, i);
                send_from(w, &w->alice, "bob", text);
        }
}

typedef struct Count {
        const char *text;
        bool own;
        uint64_t epoch; /* of the last one */
        unsigned n;
} Count;

static bool count_row(void *userdata, DbTxn *txn, const HistoryRow *row) {
        Count *c = userdata;
        size_t n = strlen(c->text);

        if (row->own == c->own && row->inner.body.size >= n &&
                memcmp(row->inner.body.data, c->text, n) == 0) {
                c->n++;
                c->epoch = row->inner.epoch;
        }
        return true;
}

static bool count_in(void *userdata, DbTxn *txn, const Conversation *v) {
        HistoryPage page = {.conversation = v->number, .peer = v->peer, .limit = 1000};
        bool more;

        CHECK_OK(history_read(txn, &page, count_row, userdata, &more));
        CHECK(!more);
        return true;
}

/* How many messages begin with TEXT; RET_EPOCH may be NULL. */
static unsigned count(const Device *d, bool own, const char *text, uint64_t *ret_epoch) {
        Count c = {.text = text, .own = own};
        DbTxn *txn;

        CHECK_OK(store_read_begin(d->store, &txn));
        CHECK_OK(conversation_each(txn, count_in, &c));
        store_read_end(txn);
        if (ret_epoch)
                *ret_epoch = c.epoch;
        return c.n;
}

static uint64_t outbox_size(const Device *d) {
        uint64_t n;
        DbTxn *txn;

        CHECK_OK(store_read_begin(d->store, &txn));
        n = outbox_count(txn);
        store_read_end(txn);
        return n;
}

static uint64_t epoch(const Device *d) {
        return account_identity(d->account)->epoch;
}

static void copy_file(const char *from, const char *to) {
        char buf[65536];
        FILE *in = fopen(from, "re"), *out = fopen(to, "we");
        size_t n;

        CHECK(in && out);
        while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
                CHECK_EQ(fwrite(buf, 1, n, out), n);
        CHECK_EQ(fclose(out), 0);
        CHECK_EQ(fclose(in), 0);
}

static void copy_store(const char *from, const char *to) {
        char a[256], b[256];

        snprintf(a, sizeof(a), "%s/db/data.mdb", from);
        snprintf(b, sizeof(b), "%s/db", to);
        (void)mkdir(b, 0700);
        snprintf(b, sizeof(b), "%s/db/data.mdb", to);
        copy_file(a, b);
}

/* Alice writes to Bob, and both are contacts. */
static void world_new(World *w) {
        *w = (World){};
        sim_new(&w->sim, 1);
        home_new(&w->sim, &w->home);
        device_new(&w->home, &w->alice);
        device_new(&w->home, &w->bob);
        lab_dir_new(w->copy);
        CHECK_EQ(device_register(&w->alice, "alice", ""), CODE_OK);
        CHECK_EQ(device_register(&w->bob, "bob", ""), CODE_OK);
        send_some(w, "before", 3);
        SIM_UNTIL(&w->sim, count(&w->bob, false, "before", NULL) == 3);
        send_from(w, &w->bob, "alice", "hello");
        SIM_UNTIL(&w->sim, outbox_size(&w->alice) == 0 && outbox_size(&w->bob) == 0);
}

static void world_free(World *w) {
        device_free(&w->alice);
        device_free(&w->bob);
        lab_dir_free(w->copy);
        home_free(&w->home);
        sim_free(&w->sim);
}

static void take_copy(World *w) {
        device_stop(&w->alice);
        copy_store(w->alice.dir, w->copy);
        device_start(&w->alice);
}

static void put_copy_back(World *w) {
        device_stop(&w->alice);
        copy_store(w->copy, w->alice.dir);
        device_start(&w->alice);
}

TEST(what_is_written_after_a_restore_is_heard_once) {
        uint64_t in;
        World w;

        world_new(&w);
        take_copy(&w);
        send_some(&w, "lost", 3);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        put_copy_back(&w);
        CHECK_EQ(epoch(&w.alice), 1);
        send_some(&w, "after", 2);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        CHECK_EQ(epoch(&w.alice), 2);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(count(&w.bob, false, "before", NULL), 3);
        CHECK_EQ(count(&w.bob, false, "lost", NULL), 3);
        CHECK_EQ(count(&w.bob, false, "after", &in), 2);
        CHECK_EQ(in, 2);
        CHECK_EQ(count(&w.alice, true, "after", &in), 2);
        CHECK_EQ(in, 2);
        send_some(&w, "then", 2);
        SIM_UNTIL(&w.sim, count(&w.bob, false, "then", NULL) == 2);
        device_stop(&w.alice);
        device_start(&w.alice);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(epoch(&w.alice), 2);
        world_free(&w);
}

/* More than was written since the copy, and the other way round. */
TEST(what_was_written_offline_after_a_restore_is_heard_once) {
        for (unsigned lost = 1; lost <= 5; lost += 4) {
                uint64_t in;
                World w;

                world_new(&w);
                take_copy(&w);
                send_some(&w, "lost", lost);
                SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
                device_stop(&w.bob);
                home_stop(&w.home);
                put_copy_back(&w);
                send_some(&w, "offline", 3);
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK_EQ(epoch(&w.alice), 1);
                home_start(&w.home);
                device_start(&w.bob);
                SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK_EQ(epoch(&w.alice), 2);
                CHECK_EQ(count(&w.bob, false, "lost", NULL), lost);
                CHECK_EQ(count(&w.bob, false, "offline", &in), 3);
                CHECK_EQ(in, 2);
                CHECK_EQ(count(&w.alice, true, "offline", NULL), 3);
                world_free(&w);
        }
}

/* The copy was made while they waited, and they were sent since: Bob has them, and says so again.
 */
TEST(what_waited_when_the_copy_was_made_is_not_heard_twice) {
        World w;

        world_new(&w);
        device_stop(&w.bob);
        send_some(&w, "waiting", 3);
        take_copy(&w);
        device_start(&w.bob);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        send_some(&w, "lost", 1);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        put_copy_back(&w);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(count(&w.bob, false, "waiting", NULL), 3);
        CHECK_EQ(count(&w.bob, false, "lost", NULL), 1);
        CHECK_EQ(count(&w.alice, true, "waiting", NULL), 3);
        send_some(&w, "then", 1);
        SIM_UNTIL(&w.sim, count(&w.bob, false, "then", NULL) == 1);
        world_free(&w);
}

TEST(a_store_that_is_as_it_was_stays_in_its_epoch) {
        World w;

        world_new(&w);
        take_copy(&w);
        put_copy_back(&w);
        send_some(&w, "after", 3);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(epoch(&w.alice), 1);
        CHECK_EQ(count(&w.bob, false, "after", NULL), 3);
        world_free(&w);
}

static AccountPrivacy hidden = {.listed = false};

/* Nobody else is there to tell. */
TEST(a_tracker_has_a_newer_record_than_the_store) {
        uint64_t seq;
        World w;

        world_new(&w);
        take_copy(&w);
        device_stop(&w.bob);
        account_set_privacy(w.alice.account, &hidden);
        sim_run(&w.sim, 10 * USEC_PER_SEC);
        seq = account_identity(w.alice.account)->record_seq;
        device_stop(&w.alice);
        copy_store(w.copy, w.alice.dir);
        device_start(&w.alice);
        CHECK(account_identity(w.alice.account)->record_seq < seq);
        SIM_UNTIL(&w.sim, epoch(&w.alice) == 2);
        CHECK(account_identity(w.alice.account)->record_seq > seq);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(epoch(&w.alice), 2);
        device_start(&w.bob);
        send_some(&w, "after", 1);
        SIM_UNTIL(&w.sim, count(&w.bob, false, "after", NULL) == 1);
        world_free(&w);
}

/* And longer than a week: what is due to be renewed does not hide it. */
TEST(a_copy_that_is_older_than_a_record_lasts) {
        World w;

        world_new(&w);
        take_copy(&w);
        device_stop(&w.bob);
        sim_run(&w.sim, 8 * USEC_PER_DAY);
        put_copy_back(&w);
        SIM_UNTIL(&w.sim, epoch(&w.alice) == 2);
        world_free(&w);
}

/* Which the tracker says when it refuses the session. */
TEST(a_copy_of_an_epoch_before) {
        World w;

        world_new(&w);
        take_copy(&w);
        device_stop(&w.bob);
        account_behind(w.alice.account, 1, "a test says so");
        sim_run(&w.sim, 10 * USEC_PER_SEC);
        CHECK_EQ(epoch(&w.alice), 2);
        put_copy_back(&w);
        CHECK_EQ(epoch(&w.alice), 1);
        SIM_UNTIL(&w.sim, epoch(&w.alice) == 3);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(account_is_active(w.alice.account) && epoch(&w.alice) == 3);
        world_free(&w);
}

/* The epoch of the first time is taken as well, which Bob knows, with a tracker and without. */
TEST(a_copy_that_is_put_back_twice) {
        for (unsigned alone = 0; alone < 2; alone++) {
                uint64_t in;
                World w;

                world_new(&w);
                take_copy(&w);
                send_some(&w, "lost", 3);
                SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
                put_copy_back(&w);
                send_some(&w, "first", 2);
                SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
                CHECK_EQ(epoch(&w.alice), 2);
                if (alone)
                        home_stop(&w.home);
                put_copy_back(&w);
                send_some(&w, "second", 4);
                SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
                sim_run(&w.sim, USEC_PER_MINUTE);
                CHECK_EQ(count(&w.bob, false, "lost", NULL), 3);
                CHECK_EQ(count(&w.bob, false, "first", NULL), 2);
                CHECK_EQ(count(&w.bob, false, "second", &in), 4);
                CHECK_EQ(in, 3);
                if (alone)
                        home_start(&w.home);
                world_free(&w);
        }
}

/* The program ends when the epoch is on disk and not all that waited has its new place. */
TEST(what_waits_gets_its_new_place_across_a_crash) {
        World w;

        world_new(&w);
        take_copy(&w);
        send_some(&w, "lost", 2);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        device_stop(&w.bob);
        put_copy_back(&w);
        send_some(&w, "after", 300);
        device_start(&w.bob);
        SIM_UNTIL(&w.sim, epoch(&w.alice) == 2 && w.alice.account->anew_more);
        device_stop(&w.alice);
        device_start(&w.alice);
        SIM_UNTIL(&w.sim, outbox_size(&w.alice) == 0);
        CHECK_EQ(epoch(&w.alice), 2);
        CHECK_EQ(count(&w.bob, false, "lost", NULL), 2);
        CHECK_EQ(count(&w.bob, false, "after", NULL), 300);
        world_free(&w);
}
