/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Dialling by real sockets: several addresses of which some do not answer. */

#include "test.h"

#include <poll.h>

#include <systemd/sd-event.h>

#include "net/loop-sd-event.h"
#include "net/tcp.h"

/* Whoever waited for what does not answer would not come back before the test has given up. */
#define FOREVER (10 * USEC_PER_HOUR)

typedef struct Lab {
        sd_event *event;
        Loop *loop;
        Dial *dial;
        bool done;
        int result;
        SockAddr peer;
} Lab;

static void lab_new(Lab *lab) {
        *lab = (Lab){.result = -EBADF};
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        CHECK(sd_event_run(lab->event, 0) >= 0); /* the loop has a time */
}

static void lab_free(Lab *lab) {
        dial_free(lab->dial);
        if (lab->result >= 0)
                close(lab->result);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
}

static void on_dialled(void *userdata, int fd, const SockAddr *peer) {
        Lab *lab = userdata;

        CHECK(!lab->done);
        lab->done = true;
        lab->result = fd;
        lab->peer = *peer;
        lab->dial = dial_free(lab->dial);
}

static void lab_wait(Lab *lab) {
        while (!lab->done)
                CHECK(sd_event_run(lab->event, UINT64_MAX) >= 0);
        for (int i = 0; i < 10; i++)
                CHECK(sd_event_run(lab->event, 0) >= 0); /* and once only */
}

static void lab_dial(Lab *lab, const SockAddr *addresses, size_t n, usec_t timeout) {
        CHECK_OK(dial_new_addresses(lab->loop, addresses, n, timeout, on_dialled, lab, &lab->dial));
        CHECK(!lab->done);
        lab_wait(lab);
}

static int connect_to(const SockAddr *a) {
        int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        CHECK(fd >= 0);
        CHECK(connect(fd, &a->sa, sockaddr_size(a)) == 0 || errno == EINPROGRESS);
        return fd;
}

/* A port at 127.0.0.N: of somebody who listens, or (BACKLOG < 0) of nobody. */
static int port_new(uint8_t n, int backlog, SockAddr *ret) {
        SockAddr a = {
                .in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + n)}};
        socklen_t size = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0);
        CHECK_OK(bind(fd, &a.sa, sizeof(a.in)));
        if (backlog >= 0)
                CHECK_OK(listen(fd, backlog));
        CHECK_OK(getsockname(fd, &a.sa, &size));
        *ret = a;
        return fd;
}

/* Somebody who listens, with a queue that is full: the kernel answers no further attempt. */
typedef struct Hole {
        int fd, fillers[4];
        SockAddr address;
} Hole;

static void hole_new(Hole *h, uint8_t n) {
        bool full = false;

        h->fd = port_new(n, 0, &h->address);
        for (size_t i = 0; i < ELEMENTSOF(h->fillers); i++)
                h->fillers[i] = connect_to(&h->address);
        for (size_t i = 0; i < ELEMENTSOF(h->fillers); i++) {
                struct pollfd p = {.fd = h->fillers[i], .events = POLLOUT};

                full |= poll(&p, 1, 0) == 0;
        }
        CHECK(full);
}

static void hole_free(Hole *h) {
        for (size_t i = 0; i < ELEMENTSOF(h->fillers); i++)
                close(h->fillers[i]);
        close(h->fd);
}

TEST(an_address_that_does_not_answer_does_not_hold_up_the_next) {
        SockAddr addresses[3];
        Hole holes[2];
        Lab lab;
        int fd;

        lab_new(&lab);
        hole_new(&holes[0], 2);
        hole_new(&holes[1], 3);
        addresses[0] = holes[0].address;
        addresses[1] = holes[1].address;
        fd = port_new(4, 5, &addresses[2]);
        lab_dial(&lab, addresses, 3, FOREVER);
        CHECK(lab.result >= 0);
        CHECK_EQ(sockaddr_port(&lab.peer), sockaddr_port(&addresses[2]));
        CHECK_EQ(lab.peer.in.sin_addr.s_addr, addresses[2].in.sin_addr.s_addr);
        close(fd);
        hole_free(&holes[0]);
        hole_free(&holes[1]);
        lab_free(&lab);
}

TEST(the_first_that_is_connected_is_the_one) {
        SockAddr addresses[2];
        Lab lab;
        int a, b;

        lab_new(&lab);
        a = port_new(1, 5, &addresses[0]);
        b = port_new(1, 5, &addresses[1]);
        lab_dial(&lab, addresses, 2, FOREVER);
        CHECK(lab.result >= 0);
        CHECK_EQ(sockaddr_port(&lab.peer), sockaddr_port(&addresses[0]));
        close(a);
        close(b);
        lab_free(&lab);
}

TEST(when_one_refuses_the_next_is_tried_at_once) {
        SockAddr addresses[16];
        usec_t start;
        int fds[16];
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < 15; i++)
                fds[i] = port_new(1, -1, &addresses[i]);
        fds[15] = port_new(1, 5, &addresses[15]);
        start = loop_now(lab.loop);
        lab_dial(&lab, addresses, 16, FOREVER);
        CHECK(lab.result >= 0);
        CHECK(loop_now(lab.loop) - start < 15 * CONNECT_STAGGER); /* with seconds to spare */
        for (size_t i = 0; i < 16; i++)
                close(fds[i]);
        lab_free(&lab);
}

TEST(when_all_refuse_or_none_answers_it_says_so) {
        SockAddr addresses[2];
        Hole hole;
        Lab lab;
        int fd;

        lab_new(&lab);
        fd = port_new(1, -1, &addresses[0]);
        addresses[1] = addresses[0];
        lab_dial(&lab, addresses, 2, FOREVER);
        CHECK_EQ(lab.result, -ECONNREFUSED);
        lab_free(&lab);

        lab_new(&lab);
        hole_new(&hole, 2);
        addresses[1] = hole.address;
        lab_dial(&lab, addresses, 2, 400 * USEC_PER_MSEC);
        CHECK_EQ(lab.result, -ETIMEDOUT);
        lab_free(&lab);
        hole_free(&hole);
        close(fd);
}

TEST(names_and_numbers) {
        SockAddr address;
        DialTarget to;
        Lab lab;
        int fd;

        lab_new(&lab);
        fd = port_new(1, 5, &address);
        to = (DialTarget){.host = "127.0.0.1", .port = sockaddr_port(&address), .timeout = FOREVER};
        CHECK_OK(dial_new(lab.loop, &to, on_dialled, &lab, &lab.dial));
        lab_wait(&lab);
        CHECK(lab.result >= 0);
        lab_free(&lab);

        lab_new(&lab);
        to.host = "localhost";
        CHECK_OK(dial_new(lab.loop, &to, on_dialled, &lab, &lab.dial));
        lab_wait(&lab);
        CHECK(lab.result >= 0); /* ::1 or not, 127.0.0.1 is there */
        close(fd);
        lab_free(&lab);
}

TEST(giving_up_closes_everything) {
        SockAddr addresses[2];
        Hole holes[2];
        int before, after;
        Lab lab;

        lab_new(&lab);
        hole_new(&holes[0], 2);
        hole_new(&holes[1], 3);
        addresses[0] = holes[0].address;
        addresses[1] = holes[1].address;
        CHECK_OK(dial_new_addresses(lab.loop, addresses, 1, FOREVER, on_dialled, &lab, &lab.dial));
        lab.dial = dial_free(lab.dial); /* what the loop opens for its first timer stays open */
        before = dup(0);
        CHECK_OK(dial_new_addresses(lab.loop, addresses, 2, FOREVER, on_dialled, &lab, &lab.dial));
        for (usec_t end = loop_now(lab.loop) + 2 * CONNECT_STAGGER; loop_now(lab.loop) < end;)
                CHECK(sd_event_run(lab.event, CONNECT_STAGGER) >= 0);
        lab.dial = dial_free(lab.dial);
        after = dup(0);
        CHECK_EQ(after, before + 1); /* the lowest number that is free */
        CHECK(!lab.done);
        close(before);
        close(after);
        hole_free(&holes[0]);
        hole_free(&holes[1]);
        lab_free(&lab);
}
