/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Datagrams in the network of the simulator: who hears what, and when. */

#include "test.h"

#include "sim-lab.h"

#define LATENCY (10 * USEC_PER_MSEC)
#define N_HOSTS 4

typedef struct Ear {
        Host *host;
        unsigned n; /* datagrams */
        char heard[64]; /* the first letter of each */
        SockAddr from; /* of the last one */
} Ear;

typedef struct Lan {
        Sim sim;
        Ear ears[N_HOSTS];
} Lan;

static bool on_call(void *userdata, void *to, size_t n) {
        return true;
}

static const HostCallbacks callbacks = {
        .call = on_call,
};

static void on_heard(void *userdata, const SockAddr *from, Bytes datagram) {
        Ear *e = userdata;

        e->heard[e->n++] = (char)datagram.data[0];
        e->from = *from;
}

/* Two on LAN 1, one on LAN 2, one on none. */
static void lan_new(Lan *l) {
        static const unsigned lans[N_HOSTS] = {1, 1, 2, 0};

        *l = (Lan){};
        sim_new(&l->sim, 1);
        network_set_path(l->sim.network, &(Path){.latency = LATENCY});
        for (unsigned i = 0; i < N_HOSTS; i++) {
                Ear *e = &l->ears[i];
                char address[32];

                snprintf(address, sizeof(address), "10.0.0.%u", i + 1);
                CHECK_OK(network_add_host(
                        l->sim.network, l->sim.loop, &callbacks, l, address, &e->host));
                CHECK_OK(host_hear(e->host, on_heard, e));
                host_set_lan(e->host, lans[i], 0);
                host_set_address(e->host, address, 0);
        }
}

static void lan_free(Lan *l) {
        for (unsigned i = 0; i < N_HOSTS; i++)
                CHECK_OK(host_hear(l->ears[i].host, NULL, NULL));
        sim_free(&l->sim);
}

static void say_as(Lan *l, unsigned who, const char *as, const char *text) {
        CHECK_OK(host_say(l->ears[who].host, as, (Bytes){(const uint8_t *)text, strlen(text)},
                loop_now(l->sim.loop)));
}

static void say(Lan *l, unsigned who, const char *text) {
        say_as(l, who, NULL, text);
}

/* What each has heard in a second, "-" for nothing: "a b - -". */
static void check_heard(Lan *l, const char *expected) {
        char all[N_HOSTS * 64] = "";

        sim_run(&l->sim, USEC_PER_SEC);
        for (unsigned i = 0; i < N_HOSTS; i++) {
                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? " " : "",
                        l->ears[i].n > 0 ? l->ears[i].heard : "-");
                memset(l->ears[i].heard, 0, sizeof(l->ears[i].heard));
                l->ears[i].n = 0;
        }
        CHECK_STR(all, expected);
}

TEST(all_others_on_the_lan_hear_it) {
        char text[ENDPOINT_SIZE];
        Lan l;

        lan_new(&l);
        say(&l, 0, "hello");
        sim_run(&l.sim, LATENCY - 1);
        CHECK_EQ(l.ears[1].n, 0);
        check_heard(&l, "- h - -");
        CHECK_STR(sockaddr_format(&l.ears[1].from, text), "10.0.0.1:6004");
        say_as(&l, 0, "10.0.0.9", "not me");
        check_heard(&l, "- n - -");
        CHECK_STR(sockaddr_format(&l.ears[1].from, text), "10.0.0.9:6004");
        CHECK_EQ(host_say(l.ears[3].host, NULL, (Bytes){}, loop_now(l.sim.loop)), -ENETUNREACH);
        lan_free(&l);
}

TEST(lans_are_joined_and_parted) {
        Lan l;

        lan_new(&l);
        network_join_lans(l.sim.network, true, 0);
        say(&l, 2, "a");
        check_heard(&l, "a a - -");
        CHECK(host_is_near(l.ears[0].host, l.ears[2].host));
        CHECK(!host_is_near(l.ears[0].host, l.ears[3].host));
        network_join_lans(l.sim.network, false, 0);
        say(&l, 2, "b");
        check_heard(&l, "- - - -");
        host_set_lan(l.ears[0].host, 2, 0);
        say(&l, 2, "c");
        check_heard(&l, "c - - -");
        lan_free(&l);
}

TEST(who_is_gone_hears_nothing_that_was_under_way) {
        Lan l;

        lan_new(&l);
        say(&l, 0, "moved");
        host_set_lan(l.ears[1].host, 2, 0);
        host_set_lan(l.ears[1].host, 1, 0);
        check_heard(&l, "- - - -");
        say(&l, 0, "down");
        host_set_up(l.ears[1].host, false, 0);
        say(&l, 0, "down");
        host_set_up(l.ears[1].host, true, 0);
        check_heard(&l, "- - - -");
        say(&l, 0, "deaf");
        CHECK_OK(host_hear(l.ears[1].host, NULL, NULL));
        say(&l, 0, "deaf");
        check_heard(&l, "- - - -");
        network_set_cut(l.sim.network, l.ears[1].host, l.ears[0].host, true, 0);
        say(&l, 1, "cut");
        check_heard(&l, "- - - -");
        lan_free(&l);
}

TEST(a_lan_loses_doubles_and_mixes_up) {
        Lan l;

        lan_new(&l);
        network_set_lan_faults(l.sim.network, &(LanFaults){.lost = 100});
        say(&l, 0, "lost");
        check_heard(&l, "- - - -");
        network_set_lan_faults(l.sim.network, &(LanFaults){.doubled = 100});
        say(&l, 0, "doubled");
        check_heard(&l, "- dd - -");
        network_set_lan_faults(l.sim.network, &(LanFaults){.late = USEC_PER_SEC / 2});
        for (const char *p = "0123456789"; *p; p++)
                say(&l, 0, (char[]){*p, 0});
        sim_run(&l.sim, USEC_PER_SEC);
        CHECK_EQ(l.ears[1].n, 10);
        CHECK(!streq(l.ears[1].heard, "0123456789"));
        lan_free(&l);
}

static void on_accept(void *userdata, Transport *t) {
        transport_free(t);
}

typedef struct Dialled {
        bool is_over;
        int error;
} Dialled;

static void on_connected(void *userdata, int error, Transport *t) {
        *(Dialled *)userdata = (Dialled){.is_over = true, .error = error};
        transport_free(t);
}

/* 0, or the error. */
static int dial(Lan *l, unsigned from, unsigned to) {
        DialTarget target = {
                .host = host_address(l->ears[to].host), .port = 1, .timeout = USEC_PER_SEC / 2};
        Connect *c = NULL;
        Dialled d = {};

        host_connect_with(l->ears[from].host, l->sim.net);
        CHECK_OK(connect_new(l->sim.net, &target, on_connected, &d, &c));
        SIM_UNTIL(&l->sim, d.is_over);
        connect_free(c);
        return d.error;
}

TEST(a_router_passes_connections) {
        Lan l;

        lan_new(&l);
        for (unsigned i = 0; i < N_HOSTS; i++)
                CHECK_OK(host_listen(l.ears[i].host, 1, on_accept, NULL));
        CHECK_EQ(dial(&l, 0, 2), 0);
        CHECK_EQ(dial(&l, 0, 3), 0);
        host_set_lan(l.ears[1].host, 2, 0);
        CHECK_EQ(dial(&l, 0, 1), -ETIMEDOUT);
        CHECK_EQ(dial(&l, 2, 1), 0);
        host_set_lan(l.ears[1].host, 1, 0);
        network_set_router(l.sim.network, false, 0);
        CHECK_EQ(dial(&l, 0, 1), 0);
        CHECK_EQ(dial(&l, 0, 2), -ETIMEDOUT);
        CHECK_EQ(dial(&l, 0, 3), -ETIMEDOUT);
        network_join_lans(l.sim.network, true, 0);
        CHECK_EQ(dial(&l, 0, 2), 0);
        for (unsigned i = 0; i < N_HOSTS; i++)
                host_close(l.ears[i].host);
        lan_free(&l);
}
