/* SPDX-License-Identifier: GPL-3.0-or-later */

/* One account on several devices: which of them is the active one. */

#include "test.h"

#include "chat-lab.h"
#include "db/private.h"
#include "tracker-lab.h"

typedef struct World {
        ChatLab lab;
        FakeTracker tracker;
} World;

static Account *account(const World *w) {
        return w->lab.parts->account;
}

static void use_tracker(World *w) {
        EndpointKey address = tracker_address(&w->tracker);

        parts_set_trackers(w->lab.parts, &address, 1);
}

/* Alice is at the tracker. */
static void world_new(World *w) {
        *w = (World){};
        chat_lab_begin(&w->lab);
        chat_lab_save_identity(&w->lab);
        tracker_new(&w->lab.sim, &w->tracker);
        chat_lab_start(&w->lab);
        use_tracker(w);
        tracker_greet(&w->tracker);
        SIM_UNTIL(&w->lab.sim, directory_is_connected(w->lab.parts->directory));
}

static void world_free(World *w) {
        tracker_free(&w->tracker);
        chat_lab_free(&w->lab);
}

/* Alice's account on a device whose key is lower, or higher, than that of hers, as equal epochs
 * are compared. */
static void device_new(World *w, uint64_t epoch, bool wins, Person *p) {
        const LocalIdentity *self = account_local(account(w));
        uint8_t hash[SHA256_SIZE], own[SHA256_SIZE];

        sha256(sign_key_public(self->device), KEY_SIZE, own);
        person_begin(&w->lab.sim, "alice", epoch, p);
        do {
                person_key(&w->lab.sim, &p->device);
                sha256(sign_key_public(&p->device), KEY_SIZE, hash);
        } while ((memcmp(hash, own, sizeof(own)) < 0) != wins);
        p->account = *self->account;
        person_finish(p);
}

static void push(World *w, Bytes record) {
        far_sent(&w->tracker.far,
                record_frame_encode(
                        conn_output(w->tracker.far.conn), FRAME_SESSION_REPLACED, 0, record));
}

/* It comes from elsewhere. */
static int record_see(World *w, Bytes outer) {
        Record record;
        int r;

        r = record_decode(outer, &record);
        if (r >= 0)
                account_see_own_record(account(w), &record, outer);
        return r;
}

static bool is_replaced_by(const World *w, const Person *p) {
        return account_is_replaced(account(w)) && !account_is_active(account(w)) &&
                bytes_equal(account_replaced_by(account(w)), p->local.record);
}

/* What the daemon says of itself at its next connection. */
static bool says_who_it_is(World *w) {
        bool named;
        Hello h;
        Frame f;

        far_free(&w->tracker.far);
        tracker_await(&w->tracker);
        f = far_take(&w->tracker.far, FRAME_HELLO);
        CHECK_OK(hello_decode(&f, &h));
        named = h.certificate.size > 0;
        CHECK_EQ(h.record.size > 0, named);
        tracker_answer(&w->tracker);
        return named;
}

TEST(another_device_with_a_higher_epoch_is_the_active_one) {
        Person laptop;
        World w;

        world_new(&w);
        device_new(&w, 2, false, &laptop);
        push(&w, laptop.local.record);
        SIM_UNTIL(&w.lab.sim, is_replaced_by(&w, &laptop));
        CHECK(!says_who_it_is(&w));
        chat_lab_stop(&w.lab);
        chat_lab_start(&w.lab);
        use_tracker(&w);
        CHECK(is_replaced_by(&w, &laptop));
        CHECK(!says_who_it_is(&w));
        account_set_handing_over(account(&w), false);
        SIM_UNTIL(&w.lab.sim, w.tracker.far.is_closed);
        person_done(&laptop);
        world_free(&w);
}

TEST(of_two_devices_in_one_epoch_the_same_wins_everywhere) {
        Person loser, winner;
        World w;

        world_new(&w);
        device_new(&w, 1, false, &loser);
        device_new(&w, 1, true, &winner);
        push(&w, loser.local.record);
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(account_is_active(account(&w)) && account_replaced_by(account(&w)).size == 0);
        push(&w, winner.local.record);
        SIM_UNTIL(&w.lab.sim, is_replaced_by(&w, &winner));
        person_done(&loser);
        person_done(&winner);
        world_free(&w);
}

TEST(what_shows_no_other_device_of_the_account_replaces_nothing) {
        Person forged, stranger, older;
        World w;

        world_new(&w);
        device_new(&w, 2, true, &forged);
        person_begin(&w.lab.sim, "alice", 9, &stranger);
        person_finish(&stranger);
        device_new(&w, 0, true, &older);
        buffer_data(&forged.record)[buffer_size(&forged.record) - 1] ^= 1;
        push(&w, forged.local.record);
        push(&w, stranger.local.record);
        push(&w, older.local.record);
        push(&w, account_local(account(&w))->record);
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(account_is_active(account(&w)));
        person_done(&forged);
        person_done(&stranger);
        person_done(&older);
        world_free(&w);
}

TEST(a_device_that_is_replaced_hears_of_the_newest) {
        Person second, third;
        World w;

        world_new(&w);
        device_new(&w, 2, true, &second);
        device_new(&w, 3, false, &third);
        CHECK_OK(record_see(&w, second.local.record));
        CHECK_OK(record_see(&w, third.local.record));
        CHECK_OK(record_see(&w, second.local.record));
        SIM_UNTIL(&w.lab.sim, is_replaced_by(&w, &third));
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(is_replaced_by(&w, &third));
        person_done(&second);
        person_done(&third);
        world_free(&w);
}

/* It is told again at the next connection. */
TEST(what_was_not_kept_of_being_replaced_is_not_so) {
        Person laptop;
        World w;

        world_new(&w);
        device_new(&w, 2, true, &laptop);
        CHECK_OK(record_see(&w, laptop.local.record));
        CHECK(!account_is_active(account(&w)));
        db_fail(store_write(w.lab.store), -EIO);
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(account_is_active(account(&w)) && account_replaced_by(account(&w)).size == 0);
        CHECK_OK(record_see(&w, laptop.local.record));
        SIM_UNTIL(&w.lab.sim, is_replaced_by(&w, &laptop));
        person_done(&laptop);
        world_free(&w);
}

/* A copy of the store */

/* What this device has signed in EPOCH, so much later than all that it knows of. */
static Buffer later_record(World *w, uint64_t epoch, uint64_t later) {
        const Identity *i = account_identity(account(w));
        Person p = {.sim = &w->lab.sim,
                .account = i->account,
                .device = i->device,
                .epoch = epoch,
                .seq = i->record_seq + later};

        snprintf(p.name, sizeof(p.name), "alice");
        person_sign(&p, IDENTITY_LIFETIME);
        buffer_done(&p.certificate);
        return p.record;
}

static uint64_t epoch(const World *w) {
        return account_identity(account(w))->epoch;
}

/* As the next HELLO says it. */
static uint64_t said_epoch(World *w) {
        Record r;
        Hello h;
        Frame f;

        tracker_await(&w->tracker);
        f = far_take(&w->tracker.far, FRAME_HELLO);
        CHECK_OK(hello_decode(&f, &h));
        CHECK_OK(record_decode(h.record, &r));
        CHECK_EQ(r.device.epoch, r.epoch);
        tracker_answer(&w->tracker);
        return r.epoch;
}

TEST(a_record_of_this_device_that_it_does_not_know_begins_an_epoch) {
        for (uint64_t shown = 1; shown <= 5; shown += 4) {
                _cleanup_(buffer_done) Buffer newer = BUFFER_NULL, again = BUFFER_NULL;
                World w;

                world_new(&w);
                parts_publish(w.lab.parts, &(Endpoints){});
                newer = later_record(&w, shown, 1000);
                CHECK_OK(record_see(&w, buffer_bytes(&newer)));
                CHECK_EQ(epoch(&w), shown + 1); /* at once: nothing is signed in the other */
                far_free(&w.tracker.far);
                CHECK_EQ(said_epoch(&w), shown + 1);
                CHECK(account_is_active(account(&w)));
                CHECK(account_identity(account(&w))->record_seq > 1000);
                again = later_record(&w, shown + 1, 1000);
                CHECK_OK(record_see(&w, buffer_bytes(&again)));
                CHECK_EQ(epoch(&w), shown + 1);
                chat_lab_stop(&w.lab);
                chat_lab_start(&w.lab);
                CHECK_EQ(epoch(&w), shown + 1);
                world_free(&w);
        }
}

TEST(a_copy_of_this_device_that_runs_elsewhere_replaces_it) {
        _cleanup_(buffer_done) Buffer first = BUFFER_NULL, second = BUFFER_NULL;
        World w;

        world_new(&w);
        first = later_record(&w, 1, 1000);
        CHECK_OK(record_see(&w, buffer_bytes(&first)));
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK_EQ(epoch(&w), 2);
        second = later_record(&w, 3, 1000); /* so does the copy */
        CHECK_OK(record_see(&w, buffer_bytes(&second)));
        SIM_UNTIL(&w.lab.sim, account_is_replaced(account(&w)));
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(!account_is_active(account(&w)));
        CHECK(bytes_equal(account_replaced_by(account(&w)), buffer_bytes(&second)));
        world_free(&w);
}

TEST(what_others_say_is_believed_once_and_not_without_end) {
        World w;

        world_new(&w);
        account_behind(account(&w), UINT64_MAX, "somebody says so");
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK(epoch(&w) > 2 && epoch(&w) < 1000);
        chat_lab_stop(&w.lab);
        chat_lab_start(&w.lab);
        account_behind(account(&w), 1, "somebody says so");
        CHECK(epoch(&w) < 1000);
        world_free(&w);

        world_new(&w);
        account_behind(account(&w), 1, "somebody says so");
        account_behind(account(&w), 2, "somebody says so");
        CHECK_EQ(epoch(&w), 2);
        world_free(&w);
}

TEST(an_epoch_that_was_not_kept_is_begun_again) {
        World w;

        world_new(&w);
        parts_publish(w.lab.parts, &(Endpoints){});
        CHECK_OK(store_commit(w.lab.store));
        account_behind(account(&w), 1, "somebody says so");
        db_fail(store_write(w.lab.store), -EIO);
        sim_run(&w.lab.sim, USEC_PER_SEC);
        CHECK_EQ(epoch(&w), 2); /* for all that is written */
        far_free(&w.tracker.far);
        CHECK_EQ(said_epoch(&w), 1); /* what is not on disk is shown to nobody */
        sim_run(&w.lab.sim, 2 * USEC_PER_MINUTE);
        CHECK_EQ(said_epoch(&w), 2);
        chat_lab_stop(&w.lab);
        chat_lab_start(&w.lab);
        CHECK_EQ(epoch(&w), 2);
        world_free(&w);
}

static uint64_t record_seq(const World *w) {
        Record r;

        CHECK_OK(record_decode(account_local(account(w))->record, &r));
        return r.seq;
}

/* It would be newer than what a tracker has of before the store was restored. */
TEST(a_week_old_record_is_renewed_when_trackers_were_heard) {
        uint64_t first;
        World w;

        world_new(&w);
        sim_run(&w.lab.sim, USEC_PER_SEC);
        first = record_seq(&w);
        chat_lab_stop(&w.lab);
        loop_virtual_step_realtime(w.lab.sim.loop, (int64_t)(8 * USEC_PER_DAY));
        chat_lab_start(&w.lab);
        use_tracker(&w);
        CHECK_EQ(record_seq(&w), first);
        far_free(&w.tracker.far);
        CHECK_EQ(said_epoch(&w), 1);
        sim_run(&w.lab.sim, 10 * USEC_PER_SEC);
        CHECK_EQ(record_seq(&w), first);
        sim_run(&w.lab.sim, USEC_PER_MINUTE);
        CHECK(record_seq(&w) > first);
        world_free(&w);
}
