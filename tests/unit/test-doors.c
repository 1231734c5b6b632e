/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <sys/random.h>
#include <sys/resource.h>

#include <systemd/sd-event.h>

#include "net/loop-sd-event.h"
#include "node/address.h"
#include "node/doors.h"

typedef struct Lab {
        sd_event *event;
        Loop *loop;
        Doors doors;
        unsigned connections, errors;
        int error; /* the last one */
} Lab;

static void on_connection(void *userdata, int fd, const SockAddr *peer) {
        Lab *lab = userdata;

        if (fd < 0) {
                CHECK(!peer);
                lab->errors++;
                lab->error = fd;
                return;
        }
        lab->connections++;
        safe_close(fd);
}

static void lab_new(Lab *lab) {
        *lab = (Lab){};
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        lab->doors = (Doors){.loop = lab->loop, .fn = on_connection, .userdata = lab};
}

static void lab_free(Lab *lab) {
        doors_done(&lab->doors);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
}

/* A listening socket on a port that was free, below those that the kernel gives to connections of
 * other tests. */
static int listening_socket(uint16_t *ret_port) {
        SockAddr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint16_t chance;

        CHECK(fd >= 0);
        do {
                CHECK_EQ(getrandom(&chance, sizeof(chance), 0), sizeof(chance));
                *ret_port = (uint16_t)(10000 + chance % 20000);
                sockaddr_set_port(&a, *ret_port);
        } while (bind(fd, &a.sa, sizeof(a.in)) < 0 && errno == EADDRINUSE);
        CHECK_OK(listen(fd, 5));
        return fd;
}

static Endpoint free_endpoint(void) {
        Endpoint e = {.host = "127.0.0.1"};

        close(listening_socket(&e.port));
        return e;
}

static bool answers(Lab *lab, uint16_t port) {
        SockAddr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        unsigned before = lab->connections;
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool up;

        CHECK(fd >= 0);
        sockaddr_set_port(&a, port);
        up = connect(fd, &a.sa, sizeof(a.in)) == 0;
        for (int i = 0; up && i < 10 && lab->connections == before; i++)
                CHECK(sd_event_run(lab->event, USEC_PER_SEC) >= 0);
        close(fd);
        return up && lab->connections == before + 1;
}

TEST(doors_follow_the_configuration) {
        Endpoint e[3] = {free_endpoint(), free_endpoint(), free_endpoint()};
        ConfigEndpoints first = {.n = 2, .items = e}, second = {.n = 2, .items = e + 1};
        const Endpoint *failed;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(doors_open(&lab.doors, &first, &failed));
        CHECK(doors_are(&lab.doors, &first) && !doors_are(&lab.doors, &second));
        CHECK(answers(&lab, e[0].port) && answers(&lab, e[1].port));
        CHECK_OK(doors_open(&lab.doors, &second, &failed));
        CHECK(!answers(&lab, e[0].port));
        CHECK(answers(&lab, e[1].port) && answers(&lab, e[2].port));
        lab_free(&lab);
}

TEST(one_that_cannot_be_opened_leaves_all_as_it_was) {
        Endpoint e[3] = {free_endpoint(), free_endpoint(), {.host = "127.0.0.1"}};
        ConfigEndpoints first = {.n = 1, .items = e}, second = {.n = 2, .items = e + 1};
        const Endpoint *failed;
        int taken;
        Lab lab;

        lab_new(&lab);
        taken = listening_socket(&e[2].port);
        CHECK_OK(doors_open(&lab.doors, &first, &failed));
        CHECK_EQ(doors_open(&lab.doors, &second, &failed), -EADDRINUSE);
        CHECK(failed == &e[2]);
        CHECK(answers(&lab, e[0].port));
        CHECK(!answers(&lab, e[1].port));
        close(taken);
        lab_free(&lab);
}

TEST(one_address_of_a_port_follows_another) {
        Endpoint e[3] = {free_endpoint(), {.host = "0.0.0.0"}, {.host = "127.0.0.1"}};
        ConfigEndpoints one = {.n = 1, .items = e}, any = {.n = 1, .items = e + 1},
                        bad = {.n = 2, .items = e + 1};
        const Endpoint *failed;
        int taken;
        Lab lab;

        e[1].port = e[0].port;
        lab_new(&lab);
        CHECK_OK(doors_open(&lab.doors, &one, &failed));
        CHECK_OK(doors_open(&lab.doors, &any, &failed));
        CHECK(doors_are(&lab.doors, &any) && answers(&lab, e[0].port));
        CHECK_OK(doors_open(&lab.doors, &one, &failed));
        CHECK(doors_are(&lab.doors, &one) && answers(&lab, e[0].port));

        /* What was closed for it is opened again when another one cannot be. */
        taken = listening_socket(&e[2].port);
        CHECK_EQ(doors_open(&lab.doors, &bad, &failed), -EADDRINUSE);
        CHECK(failed == &e[2]);
        CHECK(doors_are(&lab.doors, &one) && answers(&lab, e[0].port));
        close(taken);
        lab_free(&lab);
}

TEST(an_address_named_twice_is_one) {
        Endpoint e[2] = {free_endpoint()};
        ConfigEndpoints twice = {.n = 2, .items = e};
        const Endpoint *failed;
        Lab lab;

        e[1] = e[0];
        lab_new(&lab);
        CHECK_OK(doors_open(&lab.doors, &twice, &failed));
        CHECK_OK(doors_open(&lab.doors, &twice, &failed));
        CHECK(answers(&lab, e[0].port));
        lab_free(&lab);
}

/* Until the loop has called back N times in all. */
static void wait_for(Lab *lab, unsigned n) {
        for (int i = 0; i < 100 && lab->connections + lab->errors < n; i++)
                CHECK(sd_event_run(lab->event, USEC_PER_SEC) >= 0);
        CHECK_EQ(lab->connections + lab->errors, n);
}

TEST(want_of_descriptors_is_told_once_and_passes) {
        Endpoint e = free_endpoint();
        ConfigEndpoints one = {.n = 1, .items = &e};
        SockAddr a = {.in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
        struct rlimit limit, none;
        const Endpoint *failed;
        int fd, next;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(doors_open(&lab.doors, &one, &failed));
        sockaddr_set_port(&a, e.port);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_OK(connect(fd, &a.sa, sizeof(a.in)));
        next = dup(fd);
        CHECK(next > fd);
        close(next);
        CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
        none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = limit.rlim_max};
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
        wait_for(&lab, 1);
        CHECK(lab.errors == 1 && lab.error == -EMFILE);
        for (int i = 0; i < 6; i++) /* it is tried again meanwhile */
                CHECK(sd_event_run(lab.event, USEC_PER_SEC / 5) >= 0);
        CHECK_EQ(lab.errors, 1);
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        if (test_in_valgrind()) {
                close(fd);
                lab_free(&lab);
                return; /* it accepts what is over the limit, and closes it: nothing is left */
        }
        wait_for(&lab, 2);
        CHECK_EQ(lab.connections, 1);

        /* The next time is told again. */
        close(fd);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_OK(connect(fd, &a.sa, sizeof(a.in)));
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &none));
        wait_for(&lab, 3);
        CHECK_EQ(lab.errors, 2);
        CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
        wait_for(&lab, 4);
        close(fd);
        lab_free(&lab);
}

TEST(a_socket_that_was_passed_is_taken) {
        Endpoint e = {.host = "127.0.0.1"};
        ConfigEndpoints same = {.n = 1, .items = &e};
        int fd;
        Lab lab;

        lab_new(&lab);
        fd = listening_socket(&e.port);
        CHECK_OK(doors_adopt(&lab.doors, fd));
        CHECK(doors_are(&lab.doors, &same));
        CHECK(answers(&lab, e.port));
        lab_free(&lab);
}

TEST(what_does_not_listen_is_refused) {
        Lab lab;

        lab_new(&lab);
        CHECK(doors_adopt(&lab.doors, socket(AF_INET, SOCK_STREAM, 0)) < 0);
        CHECK(doors_adopt(&lab.doors, socket(AF_INET, SOCK_DGRAM, 0)) < 0);
        CHECK(doors_adopt(&lab.doors, socket(AF_UNIX, SOCK_STREAM, 0)) < 0);
        CHECK(doors_adopt(&lab.doors, -EBADF) < 0);
        CHECK_EQ(lab.doors.n, 0);
        lab_free(&lab);
}

/* The address of a tracker */

static const char *address_of(
        const char *advertise, uint16_t port, size_t n, const char *const *listen) {
        static char text[ENDPOINT_KEY_SIZE];
        static const uint8_t key[32];
        Endpoint items[4] = {};
        TrackerConfig config = {.listen = {.n = n, .items = items}, .advertise = {.port = port}};
        EndpointKey e;

        snprintf(config.advertise.host, sizeof(config.advertise.host), "%s", advertise);
        for (size_t i = 0; i < n; i++) {
                items[i].port = (uint16_t)(7001 + i);
                snprintf(items[i].host, sizeof(items[i].host), "%s", listen[i]);
        }
        node_address(&config, key, &e);
        endpoint_key_format(&e, text);
        *strchr(text, '#') = 0;
        return text;
}

TEST(the_address_is_one_that_others_can_use) {
        char host[HOST_SIZE] = {}, expected[ENDPOINT_SIZE];

        CHECK_OK(gethostname(host, sizeof(host) - 1));
        CHECK_STR(address_of("", 0, 1, (const char *[]){"127.0.0.1"}), "127.0.0.1:7001");
        CHECK_STR(address_of("", 0, 2, (const char *[]){"::1", "192.0.2.1"}), "192.0.2.1:7002");
        CHECK_STR(address_of("", 0, 1, (const char *[]){"2001:db8::1"}), "[2001:db8::1]:7001");
        CHECK_STR(address_of("", 0, 2, (const char *[]){"127.0.0.1", "::"}),
                endpoint_format(host, 7002, expected));
        CHECK_STR(address_of("t.example", 0, 1, (const char *[]){"::"}), "t.example:7001");
        CHECK_STR(address_of("t.example", 9, 1, (const char *[]){"::"}), "t.example:9");
}
