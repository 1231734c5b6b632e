/* SPDX-License-Identifier: GPL-3.0-or-later */

/* How a device hears of another one of its account: at trackers, and on the local network. */

#include "test.h"

#include "delivery/delivery.h"
#include "directory/lan.h"
#include "tracker-lab.h"
#include "wire/mail.h"

typedef struct World {
        Sim sim;
        Person phone, desk, bob; /* of Alice, the phone is this device and was replaced */
        Buffer desk_presence;
        FakeTracker tracker;
        Directory *directory;
        unsigned n_own, n_records, n_presence, n_on_lan, n_probes;
        uint64_t own_epoch;
        DirectoryProbedFn probed;
        void *probe;
} World;

static void on_trackers_changed(void *userdata) {
}

static void on_record(void *userdata, const Record *record, Bytes outer) {
        ((World *)userdata)->n_records++;
}

static void on_own_record(void *userdata, const Record *record, Bytes outer) {
        World *w = userdata;
        Record r;

        CHECK_OK(record_decode(outer, &r));
        w->n_own++;
        w->own_epoch = record->epoch;
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
        World *w = userdata;

        CHECK(key_equal(account, person_account(&w->phone)));
        w->n_presence++;
}

static int on_probe(void *userdata, const uint8_t account[static KEY_SIZE], const SockAddr *at,
        DirectoryProbedFn fn, void *fn_userdata, void **ret_probe) {
        World *w = userdata;

        CHECK(key_equal(account, person_account(&w->phone)));
        w->n_probes++;
        w->probed = fn;
        w->probe = fn_userdata;
        *ret_probe = w;
        return 0;
}

static void on_probe_free(void *probe) {
        ((World *)probe)->probed = NULL;
}

static void on_lan(void *userdata, const uint8_t account[static KEY_SIZE]) {
        World *w = userdata;

        CHECK(key_equal(account, person_account(&w->phone)));
        w->n_on_lan++;
}

static const DirectoryCallbacks callbacks = {
        .trackers_changed = on_trackers_changed,
        .record = on_record,
        .own_record = on_own_record,
        .presence = on_presence,
        .probe = on_probe,
        .probe_free = on_probe_free,
        .on_lan = on_lan,
};

static void world_new(World *w, Visibility presence) {
        EndpointKey address;

        *w = (World){};
        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->phone);
        person_on_device(&w->phone, 2, &w->desk);
        person_new(&w->sim, "bob", &w->bob);
        if (presence != VISIBLE_ALL) {
                Record rec;

                CHECK_OK(record_decode(buffer_bytes(&w->desk.record), &rec));
                rec.presence = presence;
                rec.certificate = buffer_bytes(&w->desk.certificate);
                buffer_clear(&w->desk.record);
                CHECK_OK(record_encode(&rec, &w->desk.account, &w->desk.record));
                w->desk.local.record = buffer_bytes(&w->desk.record);
        }
        w->desk_presence = person_presence(&w->desk, PRESENCE_ONLINE, 1, "192.0.2.7:7000");
        tracker_new(&w->sim, &w->tracker);
        address = tracker_address(&w->tracker);
        CHECK_OK(directory_new(w->sim.net, &w->phone.local, &callbacks, w, &w->directory));
        CHECK_OK(directory_set_trackers(w->directory, &address, 1));
}

static void world_free(World *w) {
        directory_free(w->directory);
        buffer_done(&w->desk_presence);
        tracker_free(&w->tracker);
        person_done(&w->phone);
        person_done(&w->desk);
        person_done(&w->bob);
        sim_free(&w->sim);
}

static int seek(World *w) {
        Record rec;

        CHECK_OK(record_decode(w->desk.local.record, &rec));
        return directory_seek_own(w->directory, &rec, w->desk.local.record);
}

/* As it is for who was replaced: a session without a name. */
static void connect_nameless(World *w) {
        directory_begin_anew(w->directory, true);
        directory_start(w->directory);
        tracker_greet(&w->tracker);
        SIM_UNTIL(&w->sim, directory_is_connected(w->directory));
}

static Watch take_watch(World *w, uint8_t buf[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE]) {
        Frame f = far_take(&w->tracker.far, FRAME_WATCH);
        Watch watch;

        CHECK_OK(watch_decode(&f, buf, &watch));
        tracker_ok(&w->tracker, f.request);
        return watch;
}

static void push(World *w, const Person *whose, Bytes presence) {
        PresencePush p = {.online = true, .presence = presence, .last_seen = VIRTUAL_REALTIME};

        memcpy(p.account, person_account(whose), KEY_SIZE);
        far_sent(&w->tracker.far, presence_push_encode(conn_output(w->tracker.far.conn), &p));
        CHECK(far_is_served(&w->tracker.far));
}

static uint8_t accounts[2 * WATCH_ACCOUNTS_MAX][KEY_SIZE];

TEST(a_tracker_is_told_of_the_own_account_and_of_nobody_else) {
        const KnownPresence *k;
        Buffer old;
        Watch watch;
        World w;

        world_new(&w, VISIBLE_ALL);
        CHECK_OK(directory_watch(w.directory, person_account(&w.bob)));
        connect_nameless(&w);
        CHECK_OK(seek(&w));
        watch = take_watch(&w, accounts);
        CHECK_EQ(watch.add.size, KEY_SIZE);
        CHECK(key_equal(watch.add.data, person_account(&w.phone)));
        CHECK_EQ(watch.n_tokens, 0);

        old = person_presence(&w.phone, PRESENCE_ONLINE, 9, "192.0.2.1:7000");
        push(&w, &w.phone, buffer_bytes(&old)); /* its own, of before */
        CHECK_EQ(w.n_presence, 0);
        push(&w, &w.phone, buffer_bytes(&w.desk_presence));
        CHECK_EQ(w.n_presence, 1);
        k = directory_presence(w.directory, person_account(&w.phone));
        CHECK(k && k->online && k->n_endpoints == 1);
        CHECK_STR(k->endpoints[0], "192.0.2.7:7000");
        buffer_done(&old);

        tracker_hang_up(&w.tracker); /* and again over the next session */
        tracker_greet(&w.tracker);
        watch = take_watch(&w, accounts);
        CHECK_EQ(watch.add.size, KEY_SIZE);
        CHECK_OK(directory_seek_own(w.directory, NULL, (Bytes){}));
        watch = take_watch(&w, accounts);
        CHECK_EQ(watch.remove.size, KEY_SIZE);
        CHECK(!directory_presence(w.directory, person_account(&w.phone)));
        CHECK(!far_has(&w.tracker.far, FRAME_REGISTER));
        world_free(&w);
}

TEST(it_proves_to_be_the_account_where_not_everybody_may_know) {
        DepositToken t;
        Watch watch;
        World w;

        for (Visibility v = VISIBLE_CONTACTS; v <= VISIBLE_NOBODY; v++) {
                world_new(&w, v);
                w.tracker.takes_tokens = true;
                CHECK_OK(seek(&w));
                directory_begin_anew(w.directory, true);
                directory_start(w.directory);
                tracker_greet(&w.tracker);
                do
                        watch = take_watch(&w, accounts);
                while (watch.n_tokens == 0);
                CHECK_OK(deposit_token_decode(watch.tokens[0], &t));
                CHECK(key_equal(t.account, person_account(&w.phone)));
                CHECK(deposit_token_is_own(&t));
                world_free(&w);
        }
}

TEST(records_of_the_own_account_are_its_own_affair) {
        Person third;
        World w;

        world_new(&w, VISIBLE_ALL);
        person_on_device(&w.phone, 3, &third);
        connect_nameless(&w);
        CHECK_OK(seek(&w));
        take_watch(&w, accounts);
        far_sent(&w.tracker.far,
                record_frame_encode(
                        conn_output(w.tracker.far.conn), FRAME_RECORD, 0, third.local.record));
        CHECK(far_is_served(&w.tracker.far));
        CHECK_EQ(w.n_records, 0);
        CHECK_EQ(w.n_own, 1);
        CHECK_EQ(w.own_epoch, 3);
        person_done(&third);
        world_free(&w);
}

/* The local network */

static int on_send(void *userdata, Bytes datagram) {
        return 1;
}

static void hear(World *w, const Person *p, uint64_t seq) {
        _cleanup_(buffer_done) Buffer b = BUFFER_NULL;
        Beacon beacon = {.kind = BEACON_PERSON,
                .port = 7001,
                .seq = seq,
                .interval = 60,
                .certificate = buffer_bytes(&p->certificate),
                .presence = PRESENCE_ONLINE};
        SockAddr from;

        memcpy(beacon.boot_nonce, p->local.boot_nonce, BOOT_NONCE_SIZE);
        memcpy(beacon.name, p->name, NAME_SIZE);
        CHECK_OK(beacon_encode(&beacon, &p->device, &b));
        CHECK_OK(sockaddr_parse_ip("192.0.2.7", 6004, &from));
        directory_lan_heard(w->directory, &from, buffer_bytes(&b));
}

static bool nobody(void *userdata, const LanPerson *p) {
        test_fail(__FILE__, __LINE__, "somebody is on the LAN");
        return false;
}

TEST(another_device_on_the_local_network_is_called_and_is_nobody) {
        SockAddr at[2];
        Greeting g = {};
        World w;

        world_new(&w, VISIBLE_ALL);
        directory_lan_start(w.directory,
                &(LanSettings){.port = 7000, .interval = 10, .hides = true}, on_send, &w);
        hear(&w, &w.phone, 1000); /* this one, by an echo */
        CHECK_EQ(w.n_probes, 0);
        hear(&w, &w.desk, 1000);
        CHECK_EQ(w.n_probes, 1);
        g.certificate.epoch = 2;
        CHECK_OK(record_decode(w.desk.local.record, &g.record));
        g.certificate = g.record.device;
        memcpy(g.hello.boot_nonce, w.desk.local.boot_nonce, BOOT_NONCE_SIZE);
        w.probed(w.probe, 0, &g, w.desk.local.record);
        CHECK_EQ(w.n_own, 1);
        CHECK_EQ(w.own_epoch, 2);
        CHECK_EQ(w.n_on_lan, 1);
        CHECK_EQ(directory_lan_endpoints(w.directory, person_account(&w.phone), at, 2), 1);
        CHECK_EQ(sockaddr_port(&at[0]), 7001);
        CHECK_EQ(directory_lan_count(w.directory), 0);
        directory_lan_each(w.directory, nobody, NULL);
        world_free(&w);
}
