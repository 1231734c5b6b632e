/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who is on the local network: what is heard is a reason to call, and nothing more. */

#include "test.h"

#include <stdio.h>

#include "delivery/delivery.h"
#include "directory/lan.h"
#include "sim-lab.h"

#define PROBES_MAX 64

typedef struct Probe {
        uint8_t account[KEY_SIZE];
        SockAddr at;
        DirectoryProbedFn fn; /* NULL: answered, or freed */
        void *userdata;
} Probe;

typedef struct World {
        Sim sim;
        Person alice, bob, mallory;
        Directory *directory;
        Probe probes[PROBES_MAX];
        size_t n_probes; /* so far */
        unsigned n_said, n_presence, n_changed;
        Beacon said; /* the last one */
        Buffer datagram; /* it */
        bool online;
} World;

static World *world; /* of the test that runs: a probe is freed without a word on whose it was */

static void on_trackers_changed(void *userdata) {
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
        World *w = userdata;

        CHECK(key_equal(account, person_account(&w->bob)));
        w->n_presence++;
        w->online = online;
}

static int on_probe(void *userdata, const uint8_t account[static KEY_SIZE], const SockAddr *at,
        DirectoryProbedFn fn, void *fn_userdata, void **ret_probe) {
        World *w = userdata;
        Probe *p = &w->probes[w->n_probes];
        unsigned open = 0;

        for (size_t i = 0; i < w->n_probes; i++)
                open += w->probes[i].fn != NULL;
        if (open == DELIVERY_PROBES_MAX)
                return -EBUSY;
        CHECK(++w->n_probes < PROBES_MAX);
        *p = (Probe){.at = *at, .fn = fn, .userdata = fn_userdata};
        memcpy(p->account, account, KEY_SIZE);
        *ret_probe = p;
        return 0;
}

static void on_probe_free(void *probe) {
        Probe *p = probe;

        CHECK(p >= world->probes && p->fn);
        p->fn = NULL;
}

static void on_lan_changed(void *userdata) {
        World *w = userdata;

        w->n_changed++;
}

static const DirectoryCallbacks callbacks = {
        .trackers_changed = on_trackers_changed,
        .presence = on_presence,
        .probe = on_probe,
        .probe_free = on_probe_free,
        .lan_changed = on_lan_changed,
};

static int on_send(void *userdata, Bytes datagram) {
        World *w = userdata;

        w->n_said++;
        buffer_clear(&w->datagram);
        CHECK_OK(buffer_append(&w->datagram, datagram.data, datagram.size));
        CHECK_OK(beacon_parse(buffer_bytes(&w->datagram), &w->said));
        CHECK_OK(beacon_verify(buffer_bytes(&w->datagram), &w->said, false));
        return 1;
}

static void world_new(World *w) {
        *w = (World){};
        world = w;
        sim_new(&w->sim, 1);
        person_new(&w->sim, "alice", &w->alice);
        person_new(&w->sim, "bob", &w->bob);
        person_new(&w->sim, "mallory", &w->mallory);
        CHECK_OK(directory_new(w->sim.net, &w->alice.local, &callbacks, w, &w->directory));
        CHECK_OK(directory_watch(w->directory, person_account(&w->bob)));
        directory_lan_start(w->directory, &(LanSettings){.port = 7000, .interval = 10}, on_send, w);
}

static void world_free(World *w) {
        directory_free(w->directory);
        person_done(&w->alice);
        person_done(&w->bob);
        person_done(&w->mallory);
        buffer_done(&w->datagram);
        sim_free(&w->sim);
}

static SockAddr host(const char *ip) {
        SockAddr a;

        CHECK_OK(sockaddr_parse_ip(ip, 6004, &a));
        return a;
}

/* Beacons */

static Beacon beacon_of(const Person *p, uint64_t seq) {
        Beacon b = {.kind = BEACON_PERSON,
                .port = 7001,
                .seq = seq,
                .interval = 60,
                .certificate = buffer_bytes(&p->certificate),
                .presence = PRESENCE_ONLINE};

        memcpy(b.boot_nonce, p->local.boot_nonce, BOOT_NONCE_SIZE);
        memcpy(b.name, p->name, NAME_SIZE);
        return b;
}

static void hear(World *w, const Beacon *b, const SignKey *key, const char *from) {
        _cleanup_(buffer_done) Buffer out = BUFFER_NULL;
        SockAddr a = host(from);

        CHECK_OK(beacon_encode(b, key, &out));
        directory_lan_heard(w->directory, &a, buffer_bytes(&out));
}

static uint64_t seq_now(const World *w) {
        return loop_now(w->sim.loop) / USEC_PER_MSEC + 1;
}

static void hear_person(World *w, const Person *p, const char *from) {
        Beacon b = beacon_of(p, seq_now(w));

        hear(w, &b, &p->device, from);
}

/* Probes */

static Probe *probe_of(World *w, const char *ip) {
        SockAddr at = host(ip);

        for (size_t i = 0; i < w->n_probes; i++)
                if (w->probes[i].fn && sockaddr_same_host(&w->probes[i].at, &at))
                        return &w->probes[i];
        return NULL;
}

static void end_probe(World *w, const char *ip, int error) {
        Probe *p = probe_of(w, ip);
        DirectoryProbedFn fn;

        CHECK(p);
        fn = p->fn;
        p->fn = NULL;
        fn(p->userdata, error, NULL, (Bytes){});
}

static void fail_probe(World *w, const char *ip) {
        end_probe(w, ip, -ECONNREFUSED);
}

static void answer_probe(World *w, const char *ip, const Person *who) {
        Probe *p = probe_of(w, ip);
        Greeting g = {.certificate = person_certificate(who, IDENTITY_LIFETIME)};
        DirectoryProbedFn fn;

        CHECK(p);
        CHECK_OK(record_decode(buffer_bytes(&who->record), &g.record));
        memcpy(g.hello.boot_nonce, who->local.boot_nonce, BOOT_NONCE_SIZE);
        fn = p->fn;
        p->fn = NULL;
        fn(p->userdata, 0, &g, buffer_bytes(&who->record));
}

static bool is_there(const World *w, const Person *p) {
        LanPerson person;

        return directory_lan_get(w->directory, person_account(p), &person);
}

/* Bob has proved to be at 192.0.2.2. */
static void bob_arrives(World *w) {
        hear_person(w, &w->bob, "192.0.2.2");
        answer_probe(w, "192.0.2.2", &w->bob);
        CHECK(is_there(w, &w->bob) && w->online);
}

TEST(who_says_that_he_is_here_is_called_and_then_is) {
        SockAddr at;
        World w;

        world_new(&w);
        hear_person(&w, &w.bob, "192.0.2.2");
        CHECK(!is_there(&w, &w.bob) && w.n_presence == 0);
        CHECK(probe_of(&w, "192.0.2.2"));
        CHECK_EQ(sockaddr_port(&probe_of(&w, "192.0.2.2")->at), 7001);
        answer_probe(&w, "192.0.2.2", &w.bob);
        CHECK(is_there(&w, &w.bob) && w.online);
        CHECK_EQ(directory_lan_endpoints(w.directory, person_account(&w.bob), &at, 1), 1);
        CHECK_EQ(sockaddr_port(&at), 7001);
        CHECK_EQ(directory_lan_count(w.directory), 1);
        world_free(&w);
}

TEST(who_does_not_answer_is_not_there) {
        World w;

        world_new(&w);
        hear_person(&w, &w.bob, "192.0.2.2");
        fail_probe(&w, "192.0.2.2");
        CHECK(!is_there(&w, &w.bob));
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(!is_there(&w, &w.bob) && w.n_presence == 0);
        world_free(&w);
}

/* He would be called as often as somebody new each time that he was forgotten. */
TEST(who_lets_nobody_in_is_kept_in_mind) {
        World w;

        world_new(&w);
        for (int minute = 0; minute < 20; minute++) {
                hear_person(&w, &w.bob, "192.0.2.2");
                for (int i = 0; i < 30; i++) {
                        sim_run(&w.sim, 2 * USEC_PER_SEC);
                        if (probe_of(&w, "192.0.2.2"))
                                fail_probe(&w, "192.0.2.2");
                }
        }
        CHECK(w.n_probes > 10 && w.n_probes < 20);
        world_free(&w);
}

TEST(who_was_not_called_to_the_end_is_called_again) {
        World w;

        world_new(&w);
        hear_person(&w, &w.bob, "192.0.2.2");
        end_probe(&w, "192.0.2.2", -ECANCELED);
        CHECK(!probe_of(&w, "192.0.2.2"));
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        answer_probe(&w, "192.0.2.2", &w.bob);
        CHECK(is_there(&w, &w.bob));
        world_free(&w);
}

TEST(what_is_forged_is_not_worth_a_call) {
        Beacon b;
        World w;

        world_new(&w);
        b = beacon_of(&w.bob, 1);
        hear(&w, &b, &w.mallory.device, "192.0.2.66");
        b = beacon_of(&w.alice, 1); /* that is oneself */
        hear(&w, &b, &w.alice.device, "192.0.2.66");
        CHECK_EQ(w.n_probes, 0);
        world_free(&w);
}

/* Somebody repeats what Bob says from where Bob is not: now, and much later. */
TEST(what_is_repeated_from_elsewhere_moves_nobody) {
        SockAddr at[LAN_ADDRESSES_MAX], good = host("192.0.2.2");
        Beacon b;
        World w;

        world_new(&w);
        bob_arrives(&w);
        b = beacon_of(&w.bob, seq_now(&w));
        hear(&w, &b, &w.bob.device, "192.0.2.66");
        fail_probe(&w, "192.0.2.66");
        CHECK_EQ(directory_lan_endpoints(w.directory, person_account(&w.bob), at, ELEMENTSOF(at)),
                1);
        CHECK(sockaddr_same_host(&at[0], &good));
        CHECK(is_there(&w, &w.bob) && w.online);
        world_free(&w);
}

/* Much faster than Bob can answer, and without a signature to pay for. */
TEST(what_is_repeated_from_everywhere_takes_no_call_from_who_said_it) {
        Beacon b;
        World w;

        world_new(&w);
        b = beacon_of(&w.bob, seq_now(&w));
        hear(&w, &b, &w.bob.device, "192.0.2.2");
        for (unsigned i = 100; i < 130; i++) {
                char from[32];
                SockAddr at;

                snprintf(from, sizeof(from), "192.0.2.%u", i);
                hear(&w, &b, &w.bob.device, from);
                at = host(from);
                directory_lan_candidate(w.directory, person_account(&w.bob), &at);
        }
        answer_probe(&w, "192.0.2.2", &w.bob);
        CHECK(is_there(&w, &w.bob));
        world_free(&w);
}

TEST(an_old_beacon_is_no_sign_of_life) {
        Beacon b;
        World w;

        world_new(&w);
        bob_arrives(&w);
        b = beacon_of(&w.bob, seq_now(&w) + 1);
        /* Bob goes without a word; somebody keeps his last beacon, and says it with his address. */
        for (int i = 0; i < 5; i++) {
                sim_run(&w.sim, USEC_PER_MINUTE);
                hear(&w, &b, &w.bob.device, "192.0.2.2");
                while (probe_of(&w, "192.0.2.2"))
                        fail_probe(&w, "192.0.2.2");
        }
        CHECK(!is_there(&w, &w.bob) && !w.online);
        world_free(&w);
}

/* His clock loses 9 s a day, which nobody sets where there is no server at all. */
TEST(a_clock_that_is_slow_makes_nobody_late) {
        World w;

        world_new(&w);
        bob_arrives(&w);
        for (unsigned i = 0; i < 7 * 24; i++) {
                Beacon b = beacon_of(&w.bob, seq_now(&w) + 1 - (uint64_t)i * 360);

                b.interval = 3600;
                hear(&w, &b, &w.bob.device, "192.0.2.2");
                sim_run(&w.sim, USEC_PER_HOUR);
        }
        CHECK_EQ(w.n_probes, 1);
        CHECK(is_there(&w, &w.bob));
        world_free(&w);
}

/* The clock of the loop stands still meanwhile, and those of the others do not. */
TEST(a_beacon_after_a_sleep_is_not_late) {
        uint64_t before;
        World w;

        world_new(&w);
        sim_run(&w.sim, USEC_PER_MINUTE);
        before = w.said.seq;
        directory_woke(w.directory, USEC_PER_HOUR);
        sim_run(&w.sim, USEC_PER_SEC);
        CHECK(w.said.seq >= before + USEC_PER_HOUR / USEC_PER_MSEC);
        world_free(&w);
}

TEST(who_is_not_heard_is_called_then_away_then_gone) {
        LanPerson person;
        World w;

        world_new(&w);
        bob_arrives(&w);
        sim_run(&w.sim, 160 * USEC_PER_SEC);
        CHECK(probe_of(&w, "192.0.2.2"));
        CHECK(directory_lan_get(w.directory, person_account(&w.bob), &person) && !person.missed);
        fail_probe(&w, "192.0.2.2");
        CHECK(directory_lan_get(w.directory, person_account(&w.bob), &person) && person.missed);
        CHECK_EQ(directory_presence(w.directory, person_account(&w.bob))->presence, PRESENCE_AWAY);
        sim_run(&w.sim, 5 * USEC_PER_SEC);
        fail_probe(&w, "192.0.2.2");
        CHECK(!is_there(&w, &w.bob) && !w.online);
        world_free(&w);
}

TEST(who_answers_when_he_was_not_heard_has_never_been_away) {
        unsigned told;
        World w;

        world_new(&w);
        bob_arrives(&w);
        told = w.n_presence;
        sim_run(&w.sim, 160 * USEC_PER_SEC);
        answer_probe(&w, "192.0.2.2", &w.bob);
        hear_person(&w, &w.bob, "192.0.2.2");
        CHECK(is_there(&w, &w.bob));
        CHECK_EQ(w.n_presence, told);
        world_free(&w);
}

TEST(who_leaves_says_so) {
        Beacon b;
        World w;

        world_new(&w);
        bob_arrives(&w);
        sim_run(&w.sim, USEC_PER_SEC);
        b = beacon_of(&w.bob, seq_now(&w));
        b.leaves = true;
        hear(&w, &b, &w.mallory.device, "192.0.2.2");
        CHECK(is_there(&w, &w.bob));
        hear(&w, &b, &w.bob.device, "192.0.2.2");
        CHECK(!is_there(&w, &w.bob) && !w.online);
        world_free(&w);
}

/* P is heard from as many addresses as are called of one account. */
static void hear_from_everywhere(World *w, const Person *p, unsigned net) {
        char ip[32];

        for (unsigned i = 0; i < LAN_ADDRESSES_MAX; i++) {
                snprintf(ip, sizeof(ip), "10.0.%u.%u", net, i + 1);
                hear_person(w, p, ip);
                sim_run(&w->sim, USEC_PER_SEC);
        }
}

TEST(who_leaves_while_he_is_called_makes_room_for_others) {
        Person other;
        World w;
        Beacon b;

        world_new(&w);
        person_new(&w.sim, "carol", &other);
        hear_from_everywhere(&w, &w.bob, 1);
        hear_from_everywhere(&w, &w.mallory, 2);
        CHECK_EQ(w.n_probes, LAN_PROBES_MAX);
        hear_person(&w, &other, "192.0.2.3");
        CHECK(!probe_of(&w, "192.0.2.3"));
        b = beacon_of(&w.mallory, seq_now(&w));
        b.leaves = true;
        hear(&w, &b, &w.mallory.device, "10.0.2.1");
        CHECK(!probe_of(&w, "10.0.2.2"));
        CHECK(probe_of(&w, "192.0.2.3"));
        person_done(&other);
        world_free(&w);
}

TEST(another_program_at_the_same_place_is_called) {
        Person again;
        World w;

        world_new(&w);
        bob_arrives(&w);
        again = w.bob;
        loop_random(w.sim.loop, again.local.boot_nonce, BOOT_NONCE_SIZE);
        sim_run(&w.sim, USEC_PER_MINUTE);
        hear_person(&w, &again, "192.0.2.2");
        answer_probe(&w, "192.0.2.2", &again);
        CHECK(is_there(&w, &w.bob));
        /* The one before counts for nothing. */
        sim_run(&w.sim, 100 * USEC_PER_SEC);
        hear_person(&w, &w.bob, "192.0.2.2");
        fail_probe(&w, "192.0.2.2");
        sim_run(&w.sim, 100 * USEC_PER_SEC);
        while (probe_of(&w, "192.0.2.2")) {
                fail_probe(&w, "192.0.2.2");
                sim_run(&w.sim, 10 * USEC_PER_SEC);
        }
        CHECK(!is_there(&w, &w.bob));
        world_free(&w);
}

/* The clock of each program begins with it: the beacons of this one are not late. */
TEST(who_was_not_reached_before_he_started_again_is_believed) {
        LanPerson person;
        World w;
        Beacon b;

        world_new(&w);
        hear_person(&w, &w.bob, "192.0.2.2");
        fail_probe(&w, "192.0.2.2");
        sim_run(&w.sim, USEC_PER_MINUTE);
        w.bob.local.boot_nonce[0] ^= 1;
        b = beacon_of(&w.bob, 1);
        hear(&w, &b, &w.bob.device, "192.0.2.2");
        answer_probe(&w, "192.0.2.2", &w.bob);
        sim_run(&w.sim, USEC_PER_MINUTE);
        b.seq += USEC_PER_MINUTE / USEC_PER_MSEC;
        b.presence = PRESENCE_AWAY;
        hear(&w, &b, &w.bob.device, "192.0.2.2");
        CHECK(!probe_of(&w, "192.0.2.2"));
        CHECK(directory_lan_get(w.directory, person_account(&w.bob), &person));
        CHECK_EQ(person.presence, PRESENCE_AWAY);
        world_free(&w);
}

TEST(away_busy_and_a_note_are_his_word) {
        const KnownPresence *k;
        Beacon b;
        World w;

        world_new(&w);
        bob_arrives(&w);
        b = beacon_of(&w.bob, seq_now(&w) + 1);
        b.presence = PRESENCE_BUSY;
        snprintf(b.note, sizeof(b.note), "in a meeting");
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        hear(&w, &b, &w.bob.device, "192.0.2.2");
        k = directory_presence(w.directory, person_account(&w.bob));
        CHECK_EQ(k->presence, PRESENCE_BUSY);
        CHECK_STR(k->note, "in a meeting");
        world_free(&w);
}

/* A flood of good beacons by strangers: Bob, who is known, is found all the same. */
TEST(strangers_take_no_time_from_who_is_known) {
        char ip[32];
        World w;

        world_new(&w);
        for (int i = 0; i < 100; i++) {
                Person stranger;

                person_begin(&w.sim, "stranger", 1, &stranger);
                person_sign(&stranger, IDENTITY_LIFETIME);
                snprintf(ip, sizeof(ip), "192.0.2.%d", 100 + i);
                hear_person(&w, &stranger, ip);
                buffer_done(&stranger.certificate);
                buffer_done(&stranger.record);
        }
        CHECK(w.n_probes <= LAN_PROBES);
        hear_person(&w, &w.bob, "192.0.2.2");
        for (size_t i = 0; i < w.n_probes; i++)
                if (w.probes[i].fn) {
                        DirectoryProbedFn fn = w.probes[i].fn;

                        w.probes[i].fn = NULL;
                        fn(w.probes[i].userdata, -ECONNREFUSED, NULL, (Bytes){});
                }
        sim_run(&w.sim, 2 * USEC_PER_SEC);
        CHECK(probe_of(&w, "192.0.2.2"));
        answer_probe(&w, "192.0.2.2", &w.bob);
        CHECK(is_there(&w, &w.bob));
        world_free(&w);
}

#define NEWCOMERS 19

static void person_says_by_both(World *w, const Person *p, int n) {
        Beacon b = beacon_of(p, seq_now(w));
        char ip[32];

        snprintf(ip, sizeof(ip), "192.0.2.%d", 100 + n);
        hear(w, &b, &p->device, ip);
        snprintf(ip, sizeof(ip), "fe80::%d", 100 + n);
        hear(w, &b, &p->device, ip);
}

static void person_answers(World *w, const Person *p, int n) {
        char four[32], six[32];

        snprintf(four, sizeof(four), "192.0.2.%d", 100 + n);
        snprintf(six, sizeof(six), "fe80::%d", 100 + n);
        if (probe_of(w, four))
                answer_probe(w, four, p);
        if (probe_of(w, six))
                answer_probe(w, six, p);
}

/* Strangers who start together, each heard at two addresses and three times: nobody waits for
 * another's second address, or for the beacon after. */
TEST(many_newcomers_are_found_within_two_seconds) {
        Person people[NEWCOMERS];
        World w;

        world_new(&w);
        for (int i = 0; i < NEWCOMERS; i++) {
                person_begin(&w.sim, "stranger", 1, &people[i]);
                person_sign(&people[i], IDENTITY_LIFETIME);
        }
        for (int tick = 0; tick < 20; tick++) {
                for (int i = 0; i < NEWCOMERS; i++) {
                        if (tick % 5 == 0)
                                person_says_by_both(&w, &people[i], i);
                        person_answers(&w, &people[i], i);
                }
                sim_run(&w.sim, 100 * USEC_PER_MSEC);
        }
        for (int i = 0; i < NEWCOMERS; i++) {
                CHECK(is_there(&w, &people[i]));
                person_done(&people[i]);
        }
        world_free(&w);
}

/* On one network all addresses of IPv6 begin alike. */
TEST(who_has_an_address_of_ipv6_alone_is_found_as_soon) {
        Person people[NEWCOMERS];
        char ip[32];
        World w;

        world_new(&w);
        for (int i = 0; i < NEWCOMERS; i++) {
                person_begin(&w.sim, "stranger", 1, &people[i]);
                person_sign(&people[i], IDENTITY_LIFETIME);
                snprintf(ip, sizeof(ip), "fe80::%d", 100 + i);
                hear_person(&w, &people[i], ip);
        }
        for (int tick = 0; tick < 10; tick++) {
                for (int i = 0; i < NEWCOMERS; i++)
                        person_answers(&w, &people[i], i);
                sim_run(&w.sim, 100 * USEC_PER_MSEC);
        }
        for (int i = 0; i < NEWCOMERS; i++) {
                CHECK(is_there(&w, &people[i]));
                person_done(&people[i]);
        }
        world_free(&w);
}

TEST(trackers_are_offered_and_forgotten) {
        EndpointKey found[LAN_TRACKERS_MAX];
        Beacon b = {.kind = BEACON_TRACKER, .port = 7425, .seq = 1, .interval = 60};
        SignKey key;
        World w;

        world_new(&w);
        person_key(&w.sim, &key);
        memcpy(b.key, sign_key_public(&key), KEY_SIZE);
        hear(&w, &b, &w.mallory.device, "192.0.2.9");
        CHECK_EQ(directory_lan_trackers(w.directory, found, ELEMENTSOF(found)), 0);
        hear(&w, &b, &key, "192.0.2.9");
        CHECK_EQ(directory_lan_trackers(w.directory, found, ELEMENTSOF(found)), 1);
        CHECK_STR(found[0].host, "192.0.2.9");
        CHECK_EQ(found[0].port, 7425);
        CHECK(key_equal(found[0].key, b.key));
        CHECK_EQ(w.n_probes, 0);
        sim_run(&w.sim, 200 * USEC_PER_SEC);
        CHECK_EQ(directory_lan_trackers(w.directory, found, ELEMENTSOF(found)), 0);
        world_free(&w);
}

TEST(this_device_says_that_it_is_here_and_that_it_leaves) {
        World w;

        world_new(&w);
        sim_run(&w.sim, 4 * USEC_PER_SEC);
        CHECK_EQ(w.n_said, 3);
        CHECK_STR(w.said.name, "alice");
        CHECK_EQ(w.said.port, 7000);
        CHECK(!w.said.leaves);
        directory_lan_stop(w.directory);
        CHECK_EQ(w.n_said, 4);
        CHECK(w.said.leaves);
        sim_run(&w.sim, USEC_PER_HOUR);
        CHECK_EQ(w.n_said, 4);
        world_free(&w);
}

TEST(who_may_not_be_seen_only_listens) {
        World w;

        world_new(&w);
        directory_lan_start(w.directory, &(LanSettings){.port = 0, .interval = 10}, on_send, &w);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK_EQ(w.n_said, 0);
        bob_arrives(&w);
        directory_lan_stop(w.directory);
        CHECK_EQ(w.n_said, 0);
        CHECK(!w.online);
        world_free(&w);
}

/* Who is called learns who calls, and from where. */
TEST(who_hides_from_strangers_does_not_call_them) {
        LanSettings hiding = {.interval = 10, .hides = true};
        SockAddr at = host("192.0.2.66");
        World w;

        world_new(&w);
        hear_person(&w, &w.mallory, "192.0.2.66");
        answer_probe(&w, "192.0.2.66", &w.mallory);
        directory_lan_start(w.directory, &hiding, on_send, &w);
        bob_arrives(&w);
        sim_run(&w.sim, 10 * USEC_PER_MINUTE);
        CHECK(!is_there(&w, &w.mallory));
        hear_person(&w, &w.mallory, "192.0.2.66");
        directory_lan_candidate(w.directory, person_account(&w.mallory), &at);
        sim_run(&w.sim, USEC_PER_MINUTE);
        CHECK(!probe_of(&w, "192.0.2.66"));
        CHECK_OK(directory_watch(w.directory, person_account(&w.mallory)));
        CHECK(probe_of(&w, "192.0.2.66"));
        world_free(&w);
}

/* Looking for somebody by name */

typedef struct Found {
        unsigned n;
        Code code;
        size_t n_claimants;
        char name[NAME_SIZE];
        bool confirmed;
} Found;

static void on_found(void *userdata, Code code, const DirectoryFound *found) {
        Found *f = userdata;

        f->n++;
        f->code = code;
        if (code == CODE_AMBIGUOUS_NAME)
                f->n_claimants = found->n_claimants;
        if (code != CODE_OK)
                return;
        memcpy(f->name, found->record->name, NAME_SIZE);
        f->confirmed = found->confirmed;
}

TEST(a_name_is_looked_for_among_those_who_are_there) {
        Found f = {};
        World w;

        world_new(&w);
        CHECK_EQ(directory_find(w.directory, "bob", NULL, on_found, &f), -ENOTCONN);
        bob_arrives(&w);
        CHECK_OK(directory_find(w.directory, "bob", NULL, on_found, &f));
        CHECK_EQ(f.n, 0);
        answer_probe(&w, "192.0.2.2", &w.bob);
        CHECK_EQ(f.n, 1);
        CHECK_EQ(f.code, CODE_OK);
        CHECK_STR(f.name, "bob");
        CHECK(!f.confirmed);
        world_free(&w);
}

/* They take a call each, and say nothing. */
TEST(who_is_looked_for_is_asked_while_strangers_are_called) {
        Found f = {};
        Person strangers[2 * LAN_PROBES_MAX];
        char from[32];
        World w;

        world_new(&w);
        bob_arrives(&w);
        for (unsigned i = 0; i < ELEMENTSOF(strangers); i++) {
                person_new(&w.sim, "stranger", &strangers[i]);
                snprintf(from, sizeof(from), "192.0.2.%u", 100 + i);
                hear_person(&w, &strangers[i], from);
                sim_run(&w.sim, USEC_PER_SEC / 5);
        }
        CHECK_OK(directory_find(w.directory, "bob", NULL, on_found, &f));
        answer_probe(&w, "192.0.2.2", &w.bob);
        CHECK_EQ(f.code, CODE_OK);
        world_free(&w);
        for (unsigned i = 0; i < ELEMENTSOF(strangers); i++)
                person_done(&strangers[i]);
}

TEST(a_name_that_two_have_is_nobodys) {
        Found f = {};
        Person other;
        World w;

        world_new(&w);
        bob_arrives(&w);
        person_new(&w.sim, "bob", &other);
        hear_person(&w, &other, "192.0.2.3");
        answer_probe(&w, "192.0.2.3", &other);
        CHECK_OK(directory_find(w.directory, "bob", NULL, on_found, &f));
        CHECK_EQ(f.code, CODE_AMBIGUOUS_NAME);
        CHECK_EQ(f.n_claimants, 2);
        CHECK_OK(directory_find(w.directory, NULL, person_account(&other), on_found, &f));
        answer_probe(&w, "192.0.2.3", &other);
        CHECK_EQ(f.code, CODE_OK);
        person_done(&other);
        world_free(&w);
}
