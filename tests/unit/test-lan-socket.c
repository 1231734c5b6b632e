/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Datagrams to everybody, in network namespaces of this test alone, with one end of a pair of
 * virtual Ethernet devices; what comes from the other end is written by hand. */

#include "test.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/wait.h>

#include <systemd/sd-event.h>

#include "net/addresses.h"
#include "net/lan-socket.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"

#define PORT 6004

/* How many of the copies of one datagram come back: IPv4 broadcast and multicast, IPv6. */
#define COPIES 3

typedef struct Lab {
        sd_event *event;
        Loop *loop;
        LanSocket *socket;
        unsigned n_received, n_good, n_changed;
        SockAddr from;
        char text[LAN_DATAGRAM_MAX + 1];
        bool free_it;
} Lab;

static void run(const char *command) {
        CHECK_OK(system(command));
}

static void on_received(void *userdata, const SockAddr *from, Bytes datagram) {
        Lab *lab = userdata;

        lab->n_received++;
        lab->from = *from;
        snprintf(lab->text, sizeof(lab->text), "%.*s", (int)datagram.size,
                (const char *)datagram.data);
        lab->n_good += streq(lab->text, "good");
        if (lab->free_it)
                lab->socket = lan_socket_free(lab->socket);
}

static void on_changed(void *userdata) {
        Lab *lab = userdata;

        lab->n_changed++;
}

static const LanSocketCallbacks callbacks = {.received = on_received, .changed = on_changed};

/* A network with nothing but loopback. */
static void lab_new(Lab *lab) {
        *lab = (Lab){};
        if (unshare(CLONE_NEWNET) < 0)
                test_skip("network namespaces are not allowed");
        run("ip link set lo up");
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        CHECK(sd_event_run(lab->event, 0) >= 0); /* the loop has a time */
}

static void lab_free(Lab *lab) {
        lan_socket_free(lab->socket);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
}

/* With an address of each family, which needs no check for being taken, and no other; FAR is the
 * other end. What is up before it is told to make no address has made one. */
static void add_ethernet(const char *name) {
        char command[512];

        snprintf(command, sizeof(command),
                "ip link add %s type veth peer name far-%s && "
                "ip link set dev far-%s addrgenmode none && ip link set dev far-%s up && "
                "ip link set dev %s addrgenmode none && ip link set dev %s up && "
                "ip address add 10.77.0.1/24 dev %s && "
                "ip address add fe80::77/64 dev %s nodad",
                name, name, name, name, name, name, name, name);
        run(command);
}

static void open_on(Lab *lab, const char *from, const char *interface) {
        LanSocketSettings settings = {
                .port = PORT, .interfaces = &interface, .n_interfaces = interface ? 1 : 0};

        CHECK_OK(sockaddr_parse_ip(from, 0, &settings.from));
        CHECK_OK(lan_socket_new(lab->loop, &settings, &callbacks, lab, &lab->socket));
}

static int say(Lab *lab, const char *text) {
        return lan_socket_send(lab->socket, (Bytes){(const uint8_t *)text, strlen(text)});
}

#define WAIT_UNTIL(lab, what)                                                                      \
        while (!(what))                                                                            \
        CHECK(sd_event_run((lab)->event, 100 * USEC_PER_MSEC) >= 0)

/* All that is there by now: the kernel delivers to this machine at once. */
static void take_all(Lab *lab) {
        while (sd_event_run(lab->event, 0) > 0)
                ;
}

static void check_interfaces(const Lab *lab, const char *names, const char *problem) {
        LanSocketFacts f;

        lan_socket_get_facts(lab->socket, &f);
        CHECK_STR(f.interfaces, names);
        CHECK_STR(f.problem, problem);
}

static bool interfaces_are(const Lab *lab, const char *names) {
        LanSocketFacts f;

        lan_socket_get_facts(lab->socket, &f);
        return streq(f.interfaces, names);
}

/* By hand */

typedef struct __attribute__((packed)) Frame {
        struct ether_header ether;
        struct iphdr ip;
        struct udphdr udp;
        char text[1400];
} Frame;

static uint16_t checksum(const void *p, size_t n) {
        const uint8_t *b = p;
        uint32_t sum = 0;

        for (size_t i = 0; i + 1 < n; i += 2)
                sum += (uint32_t)(b[i] << 8 | b[i + 1]);
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t)~sum);
}

static int far_end(const char *name) {
        struct sockaddr_ll a = {.sll_family = AF_PACKET,
                .sll_protocol = htons(ETHERTYPE_IP),
                .sll_ifindex = (int)if_nametoindex(name)};
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

        CHECK(fd >= 0);
        CHECK_OK(bind(fd, (const struct sockaddr *)&a, sizeof(a)));
        return fd;
}

static void throw_frame(int fd, const char *from, const char *to, const char *text, size_t n) {
        Frame f = {
                .ether = {.ether_dhost = {255, 255, 255, 255, 255, 255},
                        .ether_shost = {2, 0, 0, 0, 0, 1},
                        .ether_type = htons(ETHERTYPE_IP)},
                .ip = {.ihl = 5,
                        .version = 4,
                        .ttl = 1,
                        .protocol = IPPROTO_UDP,
                        .tot_len = htons((uint16_t)(sizeof(f.ip) + sizeof(f.udp) + n))},
                .udp = {.source = htons(PORT),
                        .dest = htons(PORT),
                        .len = htons((uint16_t)(sizeof(f.udp) + n))},
        };
        const size_t size = offsetof(Frame, text) + n;

        f.ip.saddr = inet_addr(from);
        f.ip.daddr = inet_addr(to);
        f.ip.check = checksum(&f.ip, sizeof(f.ip));
        memcpy(f.text, text, n);
        CHECK_EQ(send(fd, &f, size, 0), size);
}

/* The tests */

TEST(everybody_hears_it_by_each_family) {
        Lab lab;

        lab_new(&lab);
        add_ethernet("eth0");
        open_on(&lab, "::", NULL);
        CHECK_EQ(say(&lab, "hello"), COPIES);
        WAIT_UNTIL(&lab, lab.n_received == COPIES);
        CHECK_STR(lab.text, "hello");
        check_interfaces(&lab, "eth0", "");
        lab_free(&lab);
}

/* No router passes on what is sent to a group, however it is set up. */
TEST(it_goes_no_further_than_the_link) {
        Frame f = {};
        Lab lab;
        int far;

        lab_new(&lab);
        add_ethernet("eth0");
        far = far_end("far-eth0");
        open_on(&lab, "::", NULL);
        CHECK_EQ(say(&lab, "hello"), COPIES);
        while (f.ip.daddr != inet_addr("239.255.60.4") || f.ip.protocol != IPPROTO_UDP)
                CHECK(recv(far, &f, sizeof(f), 0) > 0);
        CHECK_EQ(f.ip.ttl, 1);
        close(far);
        lab_free(&lab);
}

TEST(who_is_on_the_link) {
        static const struct {
                const char *network;
                unsigned prefix;
                const char *from;
                bool reaches;
        } cases[] = {
                {"10.77.0.1", 24, "10.77.0.255", true},
                {"10.77.0.1", 24, "10.77.1.0", false},
                {"10.77.16.1", 20, "10.77.31.1", true},
                {"10.77.16.1", 20, "10.77.32.1", false},
                {"10.77.0.2", 32, "10.77.0.2", true},
                {"10.77.0.2", 32, "10.77.0.3", false},
                {"0.0.0.0", 0, "192.0.2.1", true},
                {"fe80::1", 64, "fe80::ffff:1", true},
                {"fe80::1", 64, "fe80:0:0:1::1", false},
                {"2001:db8::1", 128, "2001:db8::1", true},
                {"2001:db8::1", 128, "2001:db8::2", false},
                {"::", 0, "192.0.2.1", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                LocalAddress a = {.prefix = cases[i].prefix};
                SockAddr from;

                CHECK_OK(sockaddr_parse_ip(cases[i].network, 0, &a.network));
                CHECK_OK(sockaddr_parse_ip(cases[i].from, PORT, &from));
                a.address = a.network;
                CHECK_EQ(local_address_reaches(&a, &from), cases[i].reaches);
        }
}

TEST(a_link_local_sender_comes_with_its_scope) {
        SockAddr a;
        Lab lab;

        lab_new(&lab);
        add_ethernet("eth0");
        run("ip address flush dev eth0 && ip address add fe80::77/64 dev eth0 nodad");
        open_on(&lab, "::", NULL);
        CHECK_EQ(say(&lab, "hello"), 1);
        WAIT_UNTIL(&lab, lab.n_received == 1);
        CHECK_OK(sockaddr_parse_ip("fe80::77", PORT, &a));
        a.in6.sin6_scope_id = if_nametoindex("eth0");
        CHECK(sockaddr_same_host(&lab.from, &a));
        CHECK_EQ(sockaddr_port(&lab.from), PORT);
        lab_free(&lab);
}

static void on_accepted(void *userdata, int fd, const SockAddr *peer) {
        char text[ENDPOINT_SIZE];

        CHECK(fd >= 0);
        CHECK(strncmp(sockaddr_format(peer, text), "[fe80::77%eth0]:", 16) == 0);
        close(fd);
}

static void on_dialled(void *userdata, int fd, const SockAddr *peer) {
        int *result = userdata;

        *result = fd;
}

TEST(a_link_local_sender_can_be_dialled) {
        DialTarget to = {.host = "fe80::77%eth0", .timeout = USEC_PER_HOUR};
        Listener *listener;
        int fd = 0;
        SockAddr a;
        Dial *dial;
        Lab lab;

        lab_new(&lab);
        add_ethernet("eth0");
        CHECK_OK(sockaddr_parse_ip("::", 0, &a));
        CHECK_OK(listener_new(lab.loop, &a, on_accepted, NULL, &listener));
        to.port = sockaddr_port(listener_address(listener));
        CHECK_OK(dial_new(lab.loop, &to, on_dialled, &fd, &dial));
        WAIT_UNTIL(&lab, fd != 0);
        CHECK(fd > 0);
        close(fd);
        dial_free(dial);
        to.host = "fe80::77%eth1";
        CHECK_EQ(dial_new(lab.loop, &to, on_dialled, &fd, &dial), -ENODEV);
        listener_free(listener);
        lab_free(&lab);
}

/* SO_REUSEPORT would share the port within one user only. */
TEST(several_users_of_a_machine_hear_each_other) {
        int ready[2], status;
        Lab lab;
        pid_t pid;
        char c;

        lab_new(&lab);
        add_ethernet("eth0");
        CHECK_OK(pipe(ready));
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                Lab other = {};

                if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0 ||
                        sd_event_new(&other.event) < 0 ||
                        loop_sd_event_new(other.event, &other.loop) < 0 ||
                        sd_event_run(other.event, 0) < 0)
                        _exit(1);
                open_on(&other, "::", NULL);
                (void)!write(ready[1], "", 1);
                while (other.n_received < COPIES)
                        if (sd_event_run(other.event, UINT64_MAX) < 0)
                                _exit(1);
                _exit(say(&other, "and to you") == COPIES ? 0 : 1);
        }
        close(ready[1]);
        open_on(&lab, "::", NULL);
        CHECK_EQ(read(ready[0], &c, 1), 1);
        CHECK_EQ(say(&lab, "hello"), COPIES);
        WAIT_UNTIL(&lab, lab.n_received == 2 * COPIES);
        CHECK_STR(lab.text, "and to you");
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_OK(status);
        close(ready[0]);
        lab_free(&lab);
}

TEST(what_is_not_from_the_link_is_not_heard) {
        char much[LAN_DATAGRAM_MAX + 1];
        Lab lab;
        int far;

        memset(much, 'x', sizeof(much));
        lab_new(&lab);
        add_ethernet("eth0");
        run("ip route add default via 10.77.0.2");
        far = far_end("far-eth0");
        open_on(&lab, "::", NULL);
        throw_frame(far, "10.77.1.2", "255.255.255.255", "off the link", 12);
        throw_frame(far, "10.77.0.2", "10.77.0.1", "to one", 6);
        throw_frame(far, "10.77.0.2", "10.77.0.255", "to a subnet", 11);
        throw_frame(far, "10.77.0.2", "255.255.255.255", much, sizeof(much));
        throw_frame(far, "10.77.0.2", "239.255.60.4", much, sizeof(much) - 1);
        throw_frame(far, "10.77.0.2", "255.255.255.255", "good", 4);
        /* On a machine with several CPUs one may overtake another. */
        WAIT_UNTIL(&lab, lab.n_good == 1 && lab.n_received >= 2);
        CHECK_EQ(lab.n_received, 2);
        close(far);
        lab_free(&lab);
}

TEST(interfaces_that_are_not_named_are_silent) {
        Lab lab;
        int far;

        lab_new(&lab);
        add_ethernet("eth0");
        add_ethernet("eth1");
        far = far_end("far-eth1");
        open_on(&lab, "::", "eth0");
        check_interfaces(&lab, "eth0", "");
        CHECK_EQ(say(&lab, "hello"), COPIES);
        WAIT_UNTIL(&lab, lab.n_received == COPIES);
        throw_frame(far, "10.77.0.2", "255.255.255.255", "elsewhere", 9);
        CHECK_EQ(say(&lab, "again"), COPIES);
        WAIT_UNTIL(&lab, lab.n_received == 2 * COPIES);
        CHECK_STR(lab.text, "again");
        lan_socket_free(lab.socket);
        open_on(&lab, "::", "eth2");
        check_interfaces(&lab, "", "No interface that lan.interfaces names is connected.");
        CHECK_EQ(say(&lab, "hello"), -ENETUNREACH);
        close(far);
        lab_free(&lab);
}

/* Where nobody could connect, nothing is said. */
TEST(what_is_listened_on_is_what_is_said) {
        Lab lab;

        lab_new(&lab);
        add_ethernet("eth0");
        run("ip address add 10.78.0.1/24 dev eth0");
        open_on(&lab, "0.0.0.0", NULL);
        CHECK_EQ(say(&lab, "from both IPv4 addresses"), 4);
        lan_socket_free(lab.socket);
        open_on(&lab, "10.78.0.1", NULL);
        CHECK_EQ(say(&lab, "from one"), 2);
        WAIT_UNTIL(&lab, lab.n_received == 2);
        CHECK_EQ(lab.from.in.sin_addr.s_addr, inet_addr("10.78.0.1"));
        lan_socket_free(lab.socket);
        open_on(&lab, "10.79.0.1", NULL);
        CHECK_EQ(say(&lab, "from none"), -ENETUNREACH);
        lab_free(&lab);
}

TEST(interfaces_come_and_go) {
        Lab lab;

        lab_new(&lab);
        open_on(&lab, "::", NULL);
        check_interfaces(&lab, "", "");
        CHECK_EQ(say(&lab, "nobody"), -ENETUNREACH);
        add_ethernet("eth0");
        WAIT_UNTIL(&lab, lab.n_changed > 0 && say(&lab, "hello") == COPIES);
        WAIT_UNTIL(&lab, lab.n_received >= COPIES);
        /* It becomes the port of a bridge, which has an address. */
        run("ip link add bridge0 type bridge && ip link set dev bridge0 addrgenmode none && "
            "ip link set dev bridge0 up && ip link set dev eth0 master bridge0 && "
            "ip address add 10.80.0.1/24 dev bridge0");
        WAIT_UNTIL(&lab, interfaces_are(&lab, "bridge0"));
        /* What is said before the bridge forwards gets lost. */
        WAIT_UNTIL(&lab, streq(lab.text, "by the bridge") || say(&lab, "by the bridge") == 0);
        run("ip link set dev bridge0 down && ip link set dev bridge0 name docker0 up");
        WAIT_UNTIL(&lab, interfaces_are(&lab, "docker0"));
        run("ip link delete eth0");
        WAIT_UNTIL(&lab, interfaces_are(&lab, ""));
        lab_free(&lab);
}

/* It waits for a rate, and what waits meanwhile is bounded by the buffer of the socket. */
TEST(a_flood_is_read_by_and_by) {
        usec_t start;
        Lab lab;
        int far;

        lab_new(&lab);
        add_ethernet("eth0");
        far = far_end("far-eth0");
        open_on(&lab, "::", NULL);
        start = loop_clock(lab.loop);
        while (lab.n_received < 2 * LAN_SOCKET_RATE) {
                for (int i = 0; i < 64; i++)
                        throw_frame(far, "10.77.0.2", "255.255.255.255", "flood", 5);
                take_all(&lab);
        }
        CHECK(lab.n_received <=
                LAN_SOCKET_RATE + (loop_clock(lab.loop) - start) * LAN_SOCKET_RATE / USEC_PER_SEC);
        while (!streq(lab.text, "friend")) {
                throw_frame(far, "10.77.0.2", "255.255.255.255", "friend", 6);
                CHECK(sd_event_run(lab.event, 10 * USEC_PER_MSEC) >= 0);
        }
        close(far);
        lab_free(&lab);
}

static size_t knows_one(void *userdata, SockAddr *ret, size_t max) {
        CHECK_OK(sockaddr_parse_ip("10.77.0.9", 0, &ret[0]));
        CHECK_OK(sockaddr_parse_ip("fe80::9", 0, &ret[1]));
        return 2;
}

static void on_friend(void *userdata, const SockAddr *from, Bytes datagram) {
        unsigned *n_friend = userdata;

        *n_friend += datagram.size == STRLEN("friend");
}

static void on_nothing(void *userdata) {
}

/* Until that is heard, or for a second: what has not come by then was lost. */
static bool is_heard(Lab *lab, int far, const unsigned *n_friend) {
        usec_t end = loop_clock(lab->loop) + USEC_PER_SEC;
        unsigned before = *n_friend;

        throw_frame(far, "10.77.0.9", "255.255.255.255", "friend", 6);
        while (*n_friend == before && loop_clock(lab->loop) < end) {
                for (int i = 0; i < 500; i++)
                        throw_frame(far, "10.77.0.2", "255.255.255.255", "flood", 5);
                CHECK(sd_event_run(lab->event, 5 * USEC_PER_MSEC) >= 0);
        }
        return *n_friend > before;
}

/* After a while of it, which is most of what this waits for. */
TEST(in_a_flood_who_is_known_is_heard) {
        static const LanSocketCallbacks with_known = {
                .received = on_friend, .changed = on_nothing, .known = knows_one};
        LanSocketSettings settings = {.port = PORT};
        unsigned n_friend = 0, in_a_row = 0;
        Lab lab;
        int far;

        lab_new(&lab);
        add_ethernet("eth0");
        far = far_end("far-eth0");
        CHECK_OK(sockaddr_parse_ip("::", 0, &settings.from));
        CHECK_OK(lan_socket_new(lab.loop, &settings, &with_known, &n_friend, &lab.socket));
        while (in_a_row < 20)
                in_a_row = is_heard(&lab, far, &n_friend) ? in_a_row + 1 : 0;
        close(far);
        lab_free(&lab);
}

TEST(a_port_that_another_program_keeps) {
        SockAddr a = {.in = {.sin_family = AF_INET, .sin_port = htons(PORT)}};
        LanSocketFacts f;
        Lab lab;
        int fd;

        lab_new(&lab);
        add_ethernet("eth0");
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CHECK_OK(bind(fd, &a.sa, sizeof(a.in)));
        open_on(&lab, "::", NULL);
        lan_socket_get_facts(lab.socket, &f);
        CHECK_STR(f.problem, "Another program keeps UDP port 6004 for itself.");
        CHECK_EQ(say(&lab, "by IPv6"), 1);
        WAIT_UNTIL(&lab, lab.n_received == 1);
        close(fd);
        WAIT_UNTIL(&lab, lab.n_changed == 1);
        check_interfaces(&lab, "eth0", "");
        CHECK_EQ(say(&lab, "hello"), COPIES);
        lab_free(&lab);
}

TEST(without_ipv6) {
        Lab lab;

        lab_new(&lab);
        run("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; "
            "ip link add eth0 type veth peer name far && ip link set far up && "
            "ip link set eth0 up && ip address add 10.77.0.1/24 dev eth0");
        open_on(&lab, "::", NULL);
        check_interfaces(&lab, "eth0", "");
        CHECK_EQ(say(&lab, "hello"), COPIES - 1);
        WAIT_UNTIL(&lab, lab.n_received == COPIES - 1);
        lab_free(&lab);
}

/* As a firewall makes one refuse, or one that goes down before that is seen. */
TEST(an_interface_that_refuses_keeps_no_other_back) {
        LanSocketFacts f;
        Lab lab;

        lab_new(&lab);
        add_ethernet("eth0");
        add_ethernet("eth1");
        open_on(&lab, "::", NULL);
        check_interfaces(&lab, "eth0, eth1", "");
        CHECK_EQ(say(&lab, "hello"), 2 * COPIES);
        run("ip link set eth0 down");
        CHECK_EQ(say(&lab, "hello"), COPIES);
        lan_socket_get_facts(lab.socket, &f);
        CHECK(strncmp(f.problem, "Nothing can be sent on eth0: ", 29) == 0);
        run("ip link set eth1 down");
        CHECK(say(&lab, "hello") < 0);
        WAIT_UNTIL(&lab, say(&lab, "hello") == -ENETUNREACH);
        WAIT_UNTIL(&lab, interfaces_are(&lab, ""));
        CHECK_EQ(say(&lab, "hello"), -ENETUNREACH);
        check_interfaces(&lab, "", "");
        lab_free(&lab);
}

TEST(it_may_be_freed_when_something_is_heard) {
        Lab lab;

        lab_new(&lab);
        add_ethernet("eth0");
        open_on(&lab, "::", NULL);
        CHECK_EQ(say(&lab, "hello"), COPIES);
        lab.free_it = true;
        WAIT_UNTIL(&lab, !lab.socket);
        take_all(&lab);
        CHECK_EQ(lab.n_received, 1);
        lab_free(&lab);
}
