/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/addresses.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

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

int local_addresses(SockAddr *addresses, size_t max) {
        struct ifaddrs *list = NULL;
        int n = 0;

        if (getifaddrs(&list) < 0)
                return -errno;
        for (struct ifaddrs *i = list; i && (size_t)n < max; i = i->ifa_next) {
                SockAddr a = {};

                if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK)
                        continue;
                if (i->ifa_addr->sa_family == AF_INET)
                        memcpy(&a.in, i->ifa_addr, sizeof(a.in));
                else if (i->ifa_addr->sa_family == AF_INET6)
                        memcpy(&a.in6, i->ifa_addr, sizeof(a.in6));
                else
                        continue;
                if (a.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&a.in6.sin6_addr))
                        continue;
                addresses[n++] = a;
        }
        freeifaddrs(list);
        return n;
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

static int netlink_socket(void) {
        struct sockaddr_nl a = {
                .nl_family = AF_NETLINK,
                .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
        };
        _cleanup_(closep) int fd = -EBADF;

        fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
        if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int address_watch_new(Loop *l, void (*fn)(void *userdata), void *userdata, AddressWatch **ret) {
        AddressWatch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (AddressWatch){.loop = l, .fn = fn, .userdata = userdata};
        w->fd = r = netlink_socket();
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
