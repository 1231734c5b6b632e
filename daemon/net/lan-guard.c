/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/lan-guard.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sys/socket.h>

#define WORDS_MAX 4 /* of an address */
#define COMPARISON_MAX (2 * WORDS_MAX + 1)

typedef struct Program {
        struct sock_filter code[LAN_GUARD_KNOWN_MAX * COMPARISON_MAX + 5];
        unsigned short n;
} Program;

static void add(Program *p, uint16_t code, uint32_t k, uint8_t otherwise) {
        p->code[p->n++] = (struct sock_filter){.code = code, .jf = otherwise, .k = k};
}

static void accept_it(Program *p) {
        add(p, BPF_RET | BPF_K, UINT32_MAX, 0);
}

/* The source address is looked at from its end, where addresses of one network differ. */
static void accept_from(Program *p, const uint8_t *address, unsigned words, uint32_t offset) {
        for (unsigned i = words; i-- > 0;) {
                uint32_t word;

                memcpy(&word, address + (size_t)i * sizeof(word), sizeof(word));
                add(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + offset + 4 * i, 0);
                add(p, BPF_JMP | BPF_JEQ | BPF_K, be32toh(word), (uint8_t)(2 * i + 1));
        }
        accept_it(p);
}

int lan_guard_set(int fd, int family, unsigned thin, const SockAddr *known, size_t n) {
        const bool v6 = family == AF_INET6;
        Program p = {};
        struct sock_fprog fprog = {.filter = p.code};

        assert(thin > 0 && thin <= LAN_GUARD_THIN_MAX);
        for (size_t i = 0; i < MIN(n, (size_t)LAN_GUARD_KNOWN_MAX); i++) {
                const SockAddr *a = &known[i];

                if (a->sa.sa_family != family)
                        continue;
                if (v6)
                        accept_from(
                                &p, a->in6.sin6_addr.s6_addr, 4, offsetof(struct ip6_hdr, ip6_src));
                else
                        accept_from(&p, (const uint8_t *)&a->in.sin_addr, 1,
                                offsetof(struct iphdr, saddr));
        }
        add(&p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM), 0);
        add(&p, BPF_ALU | BPF_AND | BPF_K, (UINT32_C(1) << thin) - 1, 0);
        add(&p, BPF_JMP | BPF_JEQ | BPF_K, 0, 1);
        accept_it(&p);
        add(&p, BPF_RET | BPF_K, 0, 0);
        fprog.len = p.n;
        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &fprog, sizeof(fprog)) < 0 ? -errno : 0;
}

void lan_guard_clear(int fd) {
        static const int unused = 0;

        (void)setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}
