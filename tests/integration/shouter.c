/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * An enemy on the local network, who says whatever can be said to everybody:
 *
 *   shouter INTERFACE MAC
 *
 * Sends to UDP port 6004, from addresses of its own choosing. MAC is ff:ff:ff:ff:ff:ff, or whose
 * machine it is meant for: a datagram to everybody may come in a frame to one. Reads commands, and
 * answers each with a line of JSON.
 *
 *   accounts N PORT NAME     holds beacons of N new accounts, all valid: TCP port and name as given
 *   forge N PORT HEX         holds N beacons that differ from this one in PORT, in boot nonce and
 *                            seq, and in who has signed them
 *   noise N SIZE             holds N datagrams that are nothing
 *   say N RATE FROM SPREAD   says N of them, in turn and RATE a second (0: as fast as it can be
 *                            done), from SPREAD addresses that follow each other
 */

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <netpacket/packet.h>
#include <sodium.h>
#include <sys/socket.h>

#include <systemd/sd-event.h>

#include "../bench/bench.h"
#include "net/loop-sd-event.h"
#include "people.h"
#include "wire/beacon.h"

#define PORT 6004
#define HELD_MAX 200000
#define AT_ONCE 64
#define INTERVAL 10

/* One that is held: from the first on in one buffer. */
static struct { size_t at, size; } held[HELD_MAX];
static size_t n_held;
static Buffer bytes;
static Loop *loop;
static unsigned interface;
static uint8_t self[ETHER_ADDR_LEN] = {0x02, [5] = 0x66}, to[ETHER_ADDR_LEN];

static void hold_none(void) {
        n_held = 0;
        buffer_clear(&bytes);
}

static void hold(Bytes b) {
        if (n_held == HELD_MAX)
                bench_check(-E2BIG, "datagrams");
        held[n_held].at = buffer_size(&bytes);
        held[n_held++].size = b.size;
        bench_check(buffer_append(&bytes, b.data, b.size), "memory");
}

static void hold_beacon(Beacon *b, const SignKey *key) {
        static Buffer out;

        buffer_clear(&out);
        loop_random(loop, b->boot_nonce, sizeof(b->boot_nonce));
        bench_check(beacon_encode(b, key, &out), "beacon");
        hold(buffer_bytes(&out));
}

static void make_accounts(size_t n, uint16_t tcp, const char *name) {
        Beacon b = {.port = tcp, .interval = INTERVAL, .asks = true};

        snprintf(b.name, sizeof(b.name), "%s", name);
        for (size_t i = 0; i < n; i++) {
                Someone s = {};

                bench_check(someone_make(loop, name, &s), "account");
                b.certificate = buffer_bytes(&s.certificate);
                hold_beacon(&b, &s.device);
                someone_done(&s);
        }
}

static void forge(size_t n, uint16_t tcp, const char *hex) {
        uint8_t model[BEACON_MAX], seed[KEY_SIZE];
        Beacon b = {};
        SignKey key;
        size_t size;

        if (sodium_hex2bin(model, sizeof(model), hex, strlen(hex), NULL, &size, NULL) != 0)
                bench_check(-EINVAL, "beacon");
        bench_check(beacon_parse((Bytes){model, size}, &b), "beacon");
        loop_random(loop, seed, sizeof(seed));
        sign_key_from_seed(seed, &key);
        b.port = tcp;
        for (size_t i = 0; i < n; i++) {
                b.seq += 1000;
                hold_beacon(&b, &key);
        }
}

static void make_noise(size_t n, size_t size) {
        uint8_t noise[65536];

        for (size_t i = 0; i < n && size <= sizeof(noise); i++) {
                loop_random(loop, noise, size);
                hold((Bytes){noise, size});
        }
}

/* Saying */

typedef struct __attribute__((packed)) Letter {
        struct ether_header ether;
        struct iphdr ip;
        struct udphdr udp;
} Letter;

/* UDP without a checksum is as good on IPv4. */
static Letter letter_from(uint32_t source, size_t size) {
        const size_t whole = sizeof(struct iphdr) + sizeof(struct udphdr) + size;
        Letter l = {
                .ether.ether_type = htons(ETHERTYPE_IP),
                .ip = {.version = 4,
                        .ihl = 5,
                        .tot_len = htons((uint16_t)whole),
                        .ttl = 1,
                        .protocol = IPPROTO_UDP,
                        .saddr = htonl(source),
                        .daddr = INADDR_BROADCAST},
                .udp = {.source = htons(PORT),
                        .dest = htons(PORT),
                        .len = htons((uint16_t)(sizeof(struct udphdr) + size))},
        };
        uint16_t words[sizeof(struct iphdr) / 2];
        uint32_t sum = 0;

        memcpy(words, &l.ip, sizeof(words));
        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                sum += words[i];
        sum = (sum & 0xffff) + (sum >> 16);
        l.ip.check = (uint16_t) ~(sum + (sum >> 16));
        memcpy(l.ether.ether_dhost, to, sizeof(to));
        memcpy(l.ether.ether_shost, self, sizeof(self));
        return l;
}

static int open_raw(void) {
        struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_ifindex = (int)interface};
        int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

        if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
                bench_check(-errno, "socket");
        return fd;
}

static void say_some(int fd, size_t first, size_t n, uint32_t from, uint32_t spread) {
        struct mmsghdr headers[AT_ONCE] = {};
        struct iovec iov[AT_ONCE][2];
        Letter letters[AT_ONCE];

        for (size_t i = 0; i < n; i++) {
                size_t k = (first + i) % n_held;

                letters[i] = letter_from(from + (uint32_t)((first + i) % spread), held[k].size);
                iov[i][0] = (struct iovec){&letters[i], sizeof(letters[i])};
                iov[i][1] = (struct iovec){buffer_data(&bytes) + held[k].at, held[k].size};
                headers[i].msg_hdr = (struct msghdr){.msg_iov = iov[i], .msg_iovlen = 2};
        }
        for (size_t done = 0; done < n;) {
                int r = sendmmsg(fd, headers + done, (unsigned)(n - done), 0);

                if (r < 0 && errno != ENOBUFS)
                        bench_check(-errno, "say");
                done += (size_t)MAX(r, 0);
        }
}

static void wait_until(uint64_t then) {
        struct timespec t = {(time_t)(then / 1000000000), (long)(then % 1000000000)};

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
                ;
}

static double say(size_t n, size_t rate, uint32_t from, uint32_t spread) {
        uint64_t start = bench_now();
        int fd = open_raw();

        for (size_t i = 0; i < n; i += AT_ONCE) {
                if (rate > 0)
                        wait_until(start + i * 1000000000 / rate);
                say_some(fd, i, MIN(n - i, (size_t)AT_ONCE), from, spread);
        }
        safe_close(fd);
        return (double)(bench_now() - start) / 1e9;
}

static void run(const char *line) {
        static char word[2 * BEACON_MAX + 1];
        size_t n, number;
        uint32_t spread;
        uint16_t tcp;

        if (sscanf(line, "say %zu %zu %63s %u", &n, &number, word, &spread) == 4) {
                printf("{\"said\": %zu, \"seconds\": %.3f}\n", n,
                        say(n, number, ntohl(inet_addr(word)), spread));
                return;
        }
        hold_none();
        if (sscanf(line, "accounts %zu %hu %63s", &n, &tcp, word) == 3)
                make_accounts(n, tcp, word);
        else if (sscanf(line, "forge %zu %hu %2400s", &n, &tcp, word) == 3)
                forge(n, tcp, word);
        else if (sscanf(line, "noise %zu %zu", &n, &number) == 2)
                make_noise(n, number);
        else
                bench_check(-EINVAL, line);
        printf("{\"held\": %zu}\n", n_held);
}

int main(int argc, char *argv[]) {
        char line[2 * BEACON_MAX + 64];
        sd_event *event;

        if (argc != 3 || !ether_aton(argv[2]))
                bench_check(-EINVAL, "usage: shouter INTERFACE MAC");
        interface = if_nametoindex(argv[1]);
        memcpy(to, ether_aton(argv[2]), sizeof(to));
        bench_check(sd_event_default(&event), "loop");
        bench_check(loop_sd_event_new(event, &loop), "loop");
        while (fgets(line, sizeof(line), stdin)) {
                run(line);
                fflush(stdout);
        }
        return 0;
}
