/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/addresses.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "util/fs.h"

#define SETTLE USEC_PER_SEC

struct AddressWatch {
        Loop *loop;
        void (*fn)(void *userdata);
        void *userdata;
        int fd;
        LoopIo *io;
        LoopTimer *timer;
        bool waiting; /* the timer is set */
};

/* What is asked of the kernel at once is answered at once: nothing here waits. */
static int netlink_socket(unsigned groups, int flags) {
        struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = groups};
        _cleanup_(closep) int fd = -EBADF;

        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

typedef struct LocalAddresses {
        LocalAddress *items;
        size_t n;
} LocalAddresses;

typedef int (*DumpFn)(LocalAddresses *l, const struct nlmsghdr *h);

static int dump_request(int fd, uint16_t type) {
        struct {
                struct nlmsghdr h;
                struct rtgenmsg g;
        } request = {
                .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtgenmsg)),
                        .nlmsg_type = type,
                        .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
        };

        return send(fd, &request, request.h.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* One answer is at most 32 KiB (netlink_dump() of the kernel). */
static int dump(int fd, uint16_t type, DumpFn fn, LocalAddresses *l) {
        _Alignas(struct nlmsghdr) char buffer[32768];
        int r = dump_request(fd, type);

        while (r >= 0) {
                ssize_t n = recv(fd, buffer, sizeof(buffer), 0);

                if (n < 0 && errno != EINTR)
                        return -errno;
                for (struct nlmsghdr *h = (struct nlmsghdr *)buffer; n > 0 && NLMSG_OK(h, n);
                        h = NLMSG_NEXT(h, n)) {
                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return ((struct nlmsgerr *)NLMSG_DATA(h))->error;
                        r = fn(l, h);
                        if (r < 0)
                                break;
                }
        }
        return r;
}

/* The attribute of that type in a message whose own header is SIZE bytes, or NULL. */
static const struct rtattr *attribute(const struct nlmsghdr *h, size_t size, unsigned short type) {
        const struct rtattr *a =
                (const struct rtattr *)((const char *)NLMSG_DATA(h) + NLMSG_ALIGN(size));
        ssize_t n = (ssize_t)h->nlmsg_len - (ssize_t)NLMSG_SPACE(size);

        for (; RTA_OK(a, n); a = RTA_NEXT(a, n))
                if (a->rta_type == type)
                        return a;
        return NULL;
}

static void set_address(SockAddr *a, const struct ifaddrmsg *m, const struct rtattr *from) {
        const bool v6 = m->ifa_family == AF_INET6;

        *a = (SockAddr){};
        a->sa.sa_family = m->ifa_family;
        memcpy(v6 ? (void *)&a->in6.sin6_addr : (void *)&a->in.sin_addr, RTA_DATA(from),
                MIN(RTA_PAYLOAD(from), v6 ? sizeof(a->in6.sin6_addr) : sizeof(a->in.sin_addr)));
        if (v6 && IN6_IS_ADDR_LINKLOCAL(&a->in6.sin6_addr))
                a->in6.sin6_scope_id = m->ifa_index;
}

static int on_address(LocalAddresses *l, const struct nlmsghdr *h) {
        const struct ifaddrmsg *m = NLMSG_DATA(h);
        const struct rtattr *network = attribute(h, sizeof(*m), IFA_ADDRESS);
        const struct rtattr *address = attribute(h, sizeof(*m), IFA_LOCAL) ?: network;
        LocalAddress *items;

        if (!network || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6) ||
                m->ifa_flags & IFA_F_TENTATIVE || l->n == LOCAL_ADDRESSES_MAX)
                return 0;
        items = reallocarray(l->items, l->n + 1, sizeof(*items));
        if (!items)
                return -ENOMEM;
        l->items = items;
        items[l->n] = (LocalAddress){.prefix = m->ifa_prefixlen, .interface = m->ifa_index};
        set_address(&items[l->n].address, m, address);
        set_address(&items[l->n].network, m, network);
        l->n++;
        return 0;
}

/* What has no name in the end is no interface that is up. */
static int on_interface(LocalAddresses *l, const struct nlmsghdr *h) {
        const struct ifinfomsg *m = NLMSG_DATA(h);
        const struct rtattr *name = attribute(h, sizeof(*m), IFLA_IFNAME);

        if (!name || !(m->ifi_flags & IFF_UP) || m->ifi_flags & IFF_LOOPBACK)
                return 0;
        for (LocalAddress *a = l->items; a < l->items + l->n; a++) {
                if (a->interface != (unsigned)m->ifi_index)
                        continue;
                memcpy(a->name, RTA_DATA(name), MIN(RTA_PAYLOAD(name), sizeof(a->name) - 1));
                a->flags = m->ifi_flags & (IFF_RUNNING | IFF_BROADCAST | IFF_MULTICAST);
                a->is_port = attribute(h, sizeof(*m), IFLA_MASTER);
        }
        return 0;
}

int local_addresses(LocalAddress **ret, size_t *ret_n) {
        _cleanup_(closep) int fd = -EBADF;
        LocalAddresses l = {};
        size_t n = 0;
        int r;

        fd = r = netlink_socket(0, 0);
        if (r >= 0)
                r = dump(fd, RTM_GETADDR, on_address, &l);
        if (r >= 0)
                r = dump(fd, RTM_GETLINK, on_interface, &l);
        if (r < 0) {
                free(l.items);
                return r;
        }
        for (size_t i = 0; i < l.n; i++)
                if (l.items[i].name[0])
                        l.items[n++] = l.items[i];
        *ret = l.items;
        *ret_n = n;
        return 0;
}

static const uint8_t *address_bytes(const SockAddr *a) {
        return a->sa.sa_family == AF_INET6 ? a->in6.sin6_addr.s6_addr
                                           : (const uint8_t *)&a->in.sin_addr;
}

bool local_address_equal(const LocalAddress *a, const LocalAddress *b) {
        return memcmp(&a->address, &b->address, sizeof(a->address)) == 0 &&
                memcmp(&a->network, &b->network, sizeof(a->network)) == 0 &&
                a->prefix == b->prefix && a->interface == b->interface && a->flags == b->flags &&
                a->is_port == b->is_port && streq(a->name, b->name);
}

bool local_address_is_link_local(const LocalAddress *a) {
        return a->address.sa.sa_family == AF_INET6 && a->address.in6.sin6_scope_id != 0;
}

bool local_address_reaches(const LocalAddress *a, const SockAddr *from) {
        const uint8_t *x = address_bytes(&a->network), *y = address_bytes(from);
        const unsigned whole = a->prefix / 8, bits = a->prefix % 8;

        if (a->address.sa.sa_family != from->sa.sa_family || memcmp(x, y, whole) != 0)
                return false;
        return bits == 0 || ((x[whole] ^ y[whole]) >> (8 - bits)) == 0;
}

static void on_settled(void *userdata) {
        AddressWatch *w = userdata;

        w->waiting = false;
        w->fn(w->userdata);
}

static void on_netlink(void *userdata, uint32_t events) {
        AddressWatch *w = userdata;
        char buffer[8192];

        /* What did not fit into its queue (ENOBUFS) is a change as well. */
        while (recv(w->fd, buffer, sizeof(buffer), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
                ;
        if (w->waiting)
                return;
        w->waiting = true;
        loop_timer_set(w->timer, loop_now(w->loop) + SETTLE);
}

int address_watch_new(Loop *l, void (*fn)(void *userdata), void *userdata, AddressWatch **ret) {
        AddressWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (AddressWatch){.loop = l, .fn = fn, .userdata = userdata};
        w->fd = r = netlink_socket(
                RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, SOCK_NONBLOCK);
        if (r >= 0)
                r = loop_timer_new(l, on_settled, w, &w->timer);
        if (r >= 0)
                r = loop_io_new(l, w->fd, LOOP_READ, on_netlink, w, &w->io);
        if (r < 0) {
                address_watch_free(w);
                return r;
        }
        *ret = w;
        return 0;
}

AddressWatch *address_watch_free(AddressWatch *w) {
        if (!w)
                return NULL;
        loop_io_free(w->io);
        loop_timer_free(w->timer);
        safe_close(w->fd);
        free(w);
        return NULL;
}
