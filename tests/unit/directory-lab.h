/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Alice's client, and a tracker that the test plays. */

#include "directory/directory.h"
#include "tracker-lab.h"

typedef struct World {
        Sim sim;
        Person alice, bob, mallory;
        FakeTracker tracker, *teller; /* TELLER: whose pushes are made */
        Directory *directory;
        unsigned n_records, n_presence, n_refused, n_changed;
        uint64_t record_epoch, record_seq; /* of the last one told */
        bool online;
        Presence presence;
        usec_t last_seen;
} World;

static void on_trackers_changed(void *userdata) {
        ((World *)userdata)->n_changed++;
}

static void on_record(void *userdata, const Record *record, Bytes outer) {
        World *w = userdata;

        w->n_records++;
        w->record_epoch = record->epoch;
        w->record_seq = record->seq;
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
        World *w = userdata;

        CHECK(key_equal(account, person_account(&w->bob)));
        w->n_presence++;
        w->online = online;
        w->last_seen = last_seen;
        w->presence = p ? p->presence : _PRESENCE_MAX;
}

static void on_name_refused(void *userdata, Code code, const char *text) {
        World *w = userdata;

        CHECK_EQ(code, CODE_NAME_TAKEN);
        w->n_refused++;
}

static const DirectoryCallbacks callbacks = {
        .trackers_changed = on_trackers_changed,
        .record = on_record,
        .own_record = on_record,
        .presence = on_presence,
        .name_refused = on_name_refused,
};

static _unused_ void world_begin(World *w) {
        EndpointKey address;

        *w = (World){.teller = &w->tracker};
        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->alice);
        person_new(&w->sim, "bob", &w->bob);
        person_new(&w->sim, "mallory", &w->mallory);
        tracker_new(&w->sim, &w->tracker);
        address = tracker_address(&w->tracker);
        CHECK_OK(directory_new(w->sim.net, &w->alice.local, &callbacks, w, &w->directory));
        CHECK_OK(directory_set_trackers(w->directory, &address, 1));
}

/* Connected, and Bob is watched. */
static _unused_ void world_new(World *w) {
        world_begin(w);
        directory_announce(w->directory, true, (Bytes){});
        directory_start(w->directory);
        tracker_greet(&w->tracker);
        tracker_ok(&w->tracker, far_take(&w->tracker.far, FRAME_REGISTER).request);
        SIM_UNTIL(&w->sim, directory_is_connected(w->directory));
        CHECK_OK(directory_watch(w->directory, person_account(&w->bob)));
        far_take(&w->tracker.far, FRAME_WATCH);
}

static _unused_ void world_free(World *w) {
        directory_free(w->directory);
        tracker_free(&w->tracker);
        person_done(&w->alice);
        person_done(&w->bob);
        person_done(&w->mallory);
        sim_free(&w->sim);
}

/* Everything said so far has been heard, and the session goes on. */
static _unused_ void settle(World *w) {
        CHECK(far_is_served(&w->teller->far));
        CHECK(directory_is_connected(w->directory));
}
