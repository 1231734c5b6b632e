/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who comes in. */

#include "test.h"

#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "net/loop-sd-event.h"
#include "net/tcp.h"

/* A loop that has only a clock, which the test sets; what is real does the rest. */
typedef struct Lab {
        Loop loop;
        LoopOps ops;
        Loop *inner;
        sd_event *event;
        usec_t now;
        Admission *admission;
} Lab;

static usec_t lab_now(Loop *l) {
        return CONTAINER_OF(l, Lab, loop)->now;
}

static int lab_io_new(Loop *l, int fd, uint32_t events, LoopIoFn fn, void *userdata, LoopIo **ret) {
        return loop_io_new(CONTAINER_OF(l, Lab, loop)->inner, fd, events, fn, userdata, ret);
}

static void lab_new(Lab *lab, unsigned connections, unsigned per_address) {
        *lab = (Lab){.now = USEC_PER_DAY};
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->inner));
        lab->ops = *lab->inner->ops;
        lab->ops.now = lab_now;
        lab->ops.io_new = lab_io_new;
        lab->loop.ops = &lab->ops;
        lab->admission = admission_new(connections, per_address);
        CHECK(lab->admission);
}

static void lab_free(Lab *lab) {
        CHECK_EQ(admission_count(lab->admission), 0);
        admission_free(lab->admission);
        loop_sd_event_free(lab->inner);
        sd_event_unref(lab->event);
}

typedef struct Guest {
        Transport *transport;
        int far; /* the other end */
} Guest;

static int guest_come(Lab *lab, const char *address, Guest *ret) {
        SockAddr peer;
        int ends[2], r;

        CHECK_OK(sockaddr_parse_ip(address, 7000, &peer));
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends));
        ret->far = ends[1];
        ret->transport = NULL;
        r = tcp_transport_new(&lab->loop, ends[0], &peer, lab->admission, &ret->transport);
        if (r < 0)
                ret->far = safe_close(ret->far);
        return r;
}

static void guest_go(Guest *g) {
        g->transport = transport_free(g->transport);
        g->far = safe_close(g->far);
}

/* Neither end has hung up. */
static bool guest_is_in(const Guest *g) {
        char c;

        return recv(g->far, &c, 1, MSG_DONTWAIT) < 0;
}

TEST(so_many_of_one_address) {
        Guest guests[4], other;
        Lab lab;

        lab_new(&lab, 0, 3);
        for (int i = 0; i < 3; i++)
                CHECK_OK(guest_come(&lab, "192.0.2.1", &guests[i]));
        CHECK_EQ(guest_come(&lab, "192.0.2.1", &guests[3]), -EUSERS);
        CHECK_OK(guest_come(&lab, "192.0.2.2", &other));
        guest_go(&guests[1]);
        CHECK_OK(guest_come(&lab, "192.0.2.1", &guests[1]));
        CHECK_EQ(admission_count(lab.admission), 4);
        for (int i = 0; i < 3; i++)
                guest_go(&guests[i]);
        guest_go(&other);
        lab_free(&lab);
}

TEST(an_address_of_ipv6_is_a_network) {
        Guest a, b;
        Lab lab;

        lab_new(&lab, 0, 1);
        CHECK_OK(guest_come(&lab, "2001:db8::1", &a));
        CHECK_EQ(guest_come(&lab, "2001:db8::2", &b), -EUSERS);
        CHECK_OK(guest_come(&lab, "2001:db8:0:1::1", &b));
        guest_go(&a);
        guest_go(&b);
        lab_free(&lab);
}

TEST(whoever_is_kept_does_not_give_way) {
        Guest guests[4];
        Lab lab;

        lab_new(&lab, 2, 0);
        CHECK_OK(guest_come(&lab, "192.0.2.1", &guests[0]));
        CHECK_OK(guest_come(&lab, "192.0.2.2", &guests[1]));
        guests[0].transport->ops->keep(guests[0].transport);
        CHECK_OK(guest_come(&lab, "192.0.2.3", &guests[2]));
        CHECK(guest_is_in(&guests[0]) && !guest_is_in(&guests[1]) && guest_is_in(&guests[2]));
        CHECK_EQ(admission_count(lab.admission), 2);
        guests[2].transport->ops->keep(guests[2].transport);
        CHECK_EQ(guest_come(&lab, "192.0.2.4", &guests[3]), -EUSERS);
        for (int i = 0; i < 3; i++)
                guest_go(&guests[i]);
        lab_free(&lab);
}

/* Each costs a hand-shake, however short it stays. */
TEST(who_comes_and_goes_all_the_time_has_to_wait) {
        unsigned n = 0;
        Guest g;
        Lab lab;

        lab_new(&lab, 0, 10);
        while (guest_come(&lab, "192.0.2.1", &g) >= 0) {
                guest_go(&g);
                n++;
        }
        CHECK_EQ(n, 10 * ADMISSION_TURNS);
        CHECK_OK(guest_come(&lab, "192.0.2.2", &g));
        guest_go(&g);
        lab.now += ADMISSION_INTERVAL / n;
        CHECK_OK(guest_come(&lab, "192.0.2.1", &g));
        guest_go(&g);
        CHECK_EQ(guest_come(&lab, "192.0.2.1", &g), -EUSERS);
        lab.now += ADMISSION_INTERVAL;
        for (n = 0; guest_come(&lab, "192.0.2.1", &g) >= 0; n++)
                guest_go(&g);
        CHECK_EQ(n, 10 * ADMISSION_TURNS);
        admission_set_limits(lab.admission, 0, 0);
        for (n = 0; n < 1000; n++) {
                CHECK_OK(guest_come(&lab, "192.0.2.1", &g));
                guest_go(&g);
        }
        lab_free(&lab);
}

/* Addresses are easy to come by: more than are remembered. */
TEST(many_addresses_come_and_go) {
        char address[32];
        Guest g;
        Lab lab;

        lab_new(&lab, 0, 1);
        for (unsigned i = 0; i < 20000; i++) {
                snprintf(address, sizeof(address), "10.0.%u.%u", i / 256, i % 256);
                CHECK_OK(guest_come(&lab, address, &g));
                guest_go(&g);
        }
        lab_free(&lab);
}
