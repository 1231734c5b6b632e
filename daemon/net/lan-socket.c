/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/lan-socket.h"

#include <stdio.h>

#include "net/addresses.h"
#include "net/lan-guard.h"
#include "util/quota.h"
#include "util/text.h"

#define AT_ONCE 32

/* A socket that could not be made is tried again after this. */
#define RETRY (10 * USEC_PER_SEC)

/* So many pauses in a row are a flood, not a large network that says something at once. Then fewer
 * strangers are let in by this many powers of two, and more again after a while. */
#define FLOOD_PAUSES 16
#define THIN_STEP 4
#define CALM (10 * USEC_PER_SEC)

static const uint8_t broadcast[4] = {255, 255, 255, 255};
static const uint8_t group4[4] = {239, 255, 60, 4};
static const uint8_t group6[16] = {0xff, 0x02, [14] = 0x60, 0x04};

/* The socket of a family. */
typedef struct Door {
        LanSocket *lan;
        int family;
        int fd;
        int error; /* of opening it */
        LoopIo *io;
        LoopTimer *pause;
        Quota quota;
        unsigned pauses; /* since all was read that had come */
        unsigned thin; /* 0: no guard */
        LoopTimer *calm;
} Door;

struct LanSocket {
        Loop *loop;
        uint16_t port;
        SockAddr from;
        char (*interfaces)[IF_NAMESIZE];
        size_t n_interfaces;
        const LanSocketCallbacks *callbacks;
        void *userdata;
        Door doors[2];
        LoopTimer *retry;
        AddressWatch *watch;
        LocalAddress *addresses; /* of the interfaces in use */
        size_t n_addresses;
        int watch_error, addresses_error;
        int send_error; /* of an interface that nothing could be sent by the last time */
        char send_interface[IF_NAMESIZE];
        bool *freed; /* set while callbacks run, in case one of them frees the socket */
};

/* Which interfaces */

static bool is_named(const LanSocket *s, const char *name) {
        for (size_t i = 0; i < s->n_interfaces; i++)
                if (streq(s->interfaces[i], name))
                        return true;
        return s->n_interfaces == 0;
}

/* A port of a bridge receives nothing itself, and what it sent would come twice. */
static bool is_usable(const LanSocket *s, const LocalAddress *a) {
        return a->flags & IFF_RUNNING && a->flags & (IFF_BROADCAST | IFF_MULTICAST) &&
                !a->is_port && is_named(s, a->name);
}

static bool has_interface(const LocalAddress *a, size_t n, unsigned interface) {
        for (size_t i = 0; i < n; i++)
                if (a[i].interface == interface)
                        return true;
        return false;
}

/* For an interface that is in it already, or that is gone, it changes nothing. */
static void set_membership(const Door *d, unsigned interface, bool member) {
        struct ip_mreqn four = {.imr_ifindex = (int)interface};
        struct ipv6_mreq six = {.ipv6mr_interface = interface};

        memcpy(&four.imr_multiaddr, group4, sizeof(group4));
        memcpy(&six.ipv6mr_multiaddr, group6, sizeof(group6));
        if (d->fd < 0)
                return;
        if (d->family == AF_INET)
                (void)setsockopt(d->fd, IPPROTO_IP, member ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                        &four, sizeof(four));
        else
                (void)setsockopt(d->fd, IPPROTO_IPV6, member ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
                        &six, sizeof(six));
}

static void set_memberships(const LanSocket *s, const LocalAddress *a, size_t n, bool member) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < ELEMENTSOF(s->doors); k++)
                        set_membership(&s->doors[k], a[i].interface, member);
}

static int read_addresses(const LanSocket *s, LocalAddress **ret, size_t *ret_n) {
        LocalAddress *a;
        size_t all, n = 0;
        int r;

        r = local_addresses(&a, &all);
        if (r < 0)
                return r;
        for (size_t i = 0; i < all; i++)
                if (is_usable(s, &a[i]))
                        a[n++] = a[i];
        *ret = a;
        *ret_n = n;
        return 0;
}

static bool are_same(const LocalAddress *a, size_t n, const LocalAddress *b, size_t m) {
        for (size_t i = 0; n == m && i < n; i++)
                if (!local_address_equal(&a[i], &b[i]))
                        return false;
        return n == m;
}

/* Returns whether they are others than before. What was there holds until they can be read. */
static bool refresh(LanSocket *s) {
        LocalAddress *a;
        bool same;
        size_t n;

        s->addresses_error = read_addresses(s, &a, &n);
        if (s->addresses_error < 0)
                return false;
        same = are_same(a, n, s->addresses, s->n_addresses);
        for (size_t i = 0; i < s->n_addresses; i++)
                if (!has_interface(a, n, s->addresses[i].interface))
                        set_memberships(s, &s->addresses[i], 1, false);
        set_memberships(s, a, n, true);
        free(s->addresses);
        s->addresses = a;
        s->n_addresses = n;
        return !same;
}

static void on_addresses(void *userdata) {
        LanSocket *s = userdata;

        if (refresh(s))
                s->callbacks->changed(s->userdata);
}

/* What comes in */

typedef struct Letters {
        struct mmsghdr headers[AT_ONCE];
        struct iovec iov[AT_ONCE];
        SockAddr from[AT_ONCE];
        _Alignas(struct cmsghdr) char control[AT_ONCE][CMSG_SPACE(sizeof(struct in6_pktinfo))];
        uint8_t data[AT_ONCE][LAN_DATAGRAM_MAX];
} Letters;

static int receive(int fd, Letters *l) {
        for (size_t i = 0; i < AT_ONCE; i++) {
                l->iov[i] = (struct iovec){l->data[i], sizeof(l->data[i])};
                l->headers[i].msg_hdr = (struct msghdr){
                        .msg_name = &l->from[i],
                        .msg_namelen = sizeof(l->from[i]),
                        .msg_iov = &l->iov[i],
                        .msg_iovlen = 1,
                        .msg_control = l->control[i],
                        .msg_controllen = sizeof(l->control[i]),
                };
        }
        return recvmmsg(fd, l->headers, AT_ONCE, MSG_DONTWAIT, NULL);
}

/* The interface that it came in by; 0 when it was not sent to all. */
static unsigned interface_of(struct msghdr *h) {
        const struct cmsghdr *c = CMSG_FIRSTHDR(h);
        struct in6_pktinfo six;
        struct in_pktinfo four;

        if (c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
                memcpy(&four, CMSG_DATA(c), sizeof(four));
                if (memcmp(&four.ipi_addr, broadcast, sizeof(broadcast)) == 0 ||
                        memcmp(&four.ipi_addr, group4, sizeof(group4)) == 0)
                        return (unsigned)four.ipi_ifindex;
        } else if (c && c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
                memcpy(&six, CMSG_DATA(c), sizeof(six));
                if (memcmp(&six.ipi6_addr, group6, sizeof(group6)) == 0)
                        return six.ipi6_ifindex;
        }
        return 0;
}

static bool is_from_here(const LanSocket *s, unsigned interface, const SockAddr *from) {
        for (size_t i = 0; i < s->n_addresses; i++)
                if (s->addresses[i].interface == interface &&
                        local_address_reaches(&s->addresses[i], from))
                        return true;
        return false;
}

/* Fails where memory is out; then it is tried again after as many pauses. */
static void door_guard(Door *d, unsigned thin) {
        const LanSocket *s = d->lan;
        SockAddr known[LAN_GUARD_KNOWN_MAX];
        size_t n = 0;

        d->pauses = 0;
        if (thin == 0)
                lan_guard_clear(d->fd);
        else {
                if (s->callbacks->known)
                        n = s->callbacks->known(s->userdata, known, ELEMENTSOF(known));
                if (lan_guard_set(d->fd, d->family, thin, known, n) < 0)
                        return;
        }
        d->thin = thin;
        loop_timer_set(d->calm, thin > 0 ? loop_now(s->loop) + CALM : USEC_INFINITY);
}

static void on_calm(void *userdata) {
        Door *d = userdata;

        door_guard(d, d->thin - THIN_STEP);
}

static void on_readable(void *userdata, uint32_t revents) {
        Door *d = userdata;
        LanSocket *s = d->lan;
        usec_t now = loop_now(s->loop), wait = quota_wait(&d->quota, AT_ONCE, now);
        bool freed = false;
        Letters l;
        int n;

        if (wait > 0) {
                loop_io_set_events(d->io, 0);
                loop_timer_set(d->pause, now + wait);
                if (++d->pauses >= FLOOD_PAUSES)
                        door_guard(d, MIN(d->thin + THIN_STEP, (unsigned)LAN_GUARD_THIN_MAX));
                return;
        }
        n = receive(d->fd, &l);
        if (n < AT_ONCE)
                d->pauses = 0;
        (void)quota_take(&d->quota, (uint64_t)MAX(n, 1), now);
        s->freed = &freed;
        for (int i = 0; i < n && !freed; i++) {
                struct msghdr *h = &l.headers[i].msg_hdr;

                if (!(h->msg_flags & MSG_TRUNC) && is_from_here(s, interface_of(h), &l.from[i]))
                        s->callbacks->received(
                                s->userdata, &l.from[i], (Bytes){l.data[i], l.headers[i].msg_len});
        }
        if (!freed)
                s->freed = NULL;
}

static void on_pause(void *userdata) {
        Door *d = userdata;

        loop_io_set_events(d->io, LOOP_READ);
}

/* What goes out */

typedef struct Copy {
        int family;
        const uint8_t *to;
        unsigned flag; /* what its interface must be able to do */
} Copy;

static const Copy copies[] = {
        {AF_INET, broadcast, IFF_BROADCAST},
        {AF_INET, group4, IFF_MULTICAST},
        {AF_INET6, group6, IFF_MULTICAST},
};

static int send_copy(const LanSocket *s, int fd, const Copy *c, const LocalAddress *a, Bytes data) {
        const bool v6 = c->family == AF_INET6;
        struct in6_pktinfo six = {
                .ipi6_addr = a->address.in6.sin6_addr, .ipi6_ifindex = a->interface};
        struct in_pktinfo four = {
                .ipi_spec_dst = a->address.in.sin_addr, .ipi_ifindex = (int)a->interface};
        const size_t size = v6 ? sizeof(six) : sizeof(four);
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(six))] = {};
        struct iovec iov = {(void *)data.data, data.size};
        SockAddr to = {.sa.sa_family = (sa_family_t)c->family};
        struct msghdr h = {
                .msg_name = &to,
                .msg_namelen = sockaddr_size(&to),
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = CMSG_SPACE(size),
        };

        memcpy(v6 ? (void *)&to.in6.sin6_addr : (void *)&to.in.sin_addr, c->to, v6 ? 16 : 4);
        sockaddr_set_port(&to, s->port);
        *CMSG_FIRSTHDR(&h) = (struct cmsghdr){
                .cmsg_len = CMSG_LEN(size),
                .cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP,
                .cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO,
        };
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&h)), v6 ? (void *)&six : (void *)&four, size);
        return sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A link-local address is enough for IPv6: the others on the link have one as well. */
static bool is_sender(const LanSocket *s, const LocalAddress *a) {
        if (!sockaddr_is_any(&s->from))
                return sockaddr_same_host(&s->from, &a->address);
        if (a->address.sa.sa_family == AF_INET6)
                return s->from.sa.sa_family == AF_INET6 && local_address_is_link_local(a);
        return true;
}

/* Returns how many, or what the first one failed with when none was sent. */
static int send_from(const LanSocket *s, const LocalAddress *a, Bytes data) {
        int n = 0, error = 0;

        for (size_t i = 0; i < ELEMENTSOF(copies); i++) {
                const Copy *c = &copies[i];
                const Door *d = &s->doors[c->family == AF_INET6];
                int r;

                if (c->family != a->address.sa.sa_family || !(a->flags & c->flag) || d->fd < 0)
                        continue;
                r = send_copy(s, d->fd, c, a, data);
                if (r >= 0)
                        n++;
                else if (error == 0)
                        error = r;
        }
        return n > 0 ? n : error;
}

int lan_socket_send(LanSocket *s, Bytes datagram) {
        int n = 0;

        s->send_error = 0;
        for (size_t i = 0; i < s->n_addresses; i++) {
                const LocalAddress *a = &s->addresses[i];
                int r = is_sender(s, a) ? send_from(s, a, datagram) : 0;

                if (r > 0)
                        n += r;
                else if (r < 0 && s->send_error == 0) {
                        s->send_error = r;
                        memcpy(s->send_interface, a->name, sizeof(s->send_interface));
                }
        }
        return n > 0 ? n : s->send_error ?: -ENETUNREACH;
}

/* Opening */

static int open_socket(int family, uint16_t port) {
        static const int on = 1;
        const bool v6 = family == AF_INET6;
        SockAddr any = {.sa.sa_family = (sa_family_t)family};
        _cleanup_(closep) int fd = -EBADF;

        sockaddr_set_port(&any, port);
        fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
                return -errno;
        /* Multicast goes one hop, no further, unless one asks for more. */
        if (v6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0 ||
                                setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0
               : setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
                                setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0)
                return -errno;
        if (bind(fd, &any.sa, sockaddr_size(&any)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static void door_open(Door *d) {
        LanSocket *s = d->lan;
        int r;

        d->fd = r = open_socket(d->family, s->port);
        if (r >= 0)
                r = loop_io_new(s->loop, d->fd, LOOP_READ, on_readable, d, &d->io);
        if (r < 0)
                d->fd = safe_close(d->fd);
        d->error = MIN(r, 0);
}

/* A machine without IPv6 is as good. Returns whether a socket is open that was not. */
static bool open_doors(LanSocket *s) {
        bool again = false, opened = false;

        for (size_t i = 0; i < ELEMENTSOF(s->doors); i++) {
                Door *d = &s->doors[i];

                if (d->fd >= 0)
                        continue;
                door_open(d);
                opened |= d->fd >= 0;
                again |= d->error < 0 && d->error != -EAFNOSUPPORT;
        }
        if (opened)
                set_memberships(s, s->addresses, s->n_addresses, true);
        if (again)
                loop_timer_set(s->retry, loop_now(s->loop) + RETRY);
        return opened;
}

static void on_retry(void *userdata) {
        LanSocket *s = userdata;

        if (open_doors(s))
                s->callbacks->changed(s->userdata);
}

static int copy_interfaces(LanSocket *s, const LanSocketSettings *settings) {
        if (settings->n_interfaces == 0)
                return 0;
        s->interfaces = calloc(settings->n_interfaces, sizeof(*s->interfaces));
        if (!s->interfaces)
                return -ENOMEM;
        s->n_interfaces = settings->n_interfaces;
        for (size_t i = 0; i < s->n_interfaces; i++)
                snprintf(s->interfaces[i], sizeof(s->interfaces[i]), "%s", settings->interfaces[i]);
        return 0;
}

bool lan_socket_has(const LanSocket *s, const LanSocketSettings *settings) {
        for (size_t i = 0; i < s->n_interfaces && i < settings->n_interfaces; i++)
                if (!streq(s->interfaces[i], settings->interfaces[i]))
                        return false;
        return s->n_interfaces == settings->n_interfaces && s->port == settings->port &&
                sockaddr_same_host(&s->from, &settings->from);
}

static int lan_socket_make(LanSocket *s, const LanSocketSettings *settings) {
        int r;

        for (size_t i = 0; i < ELEMENTSOF(s->doors); i++) {
                Door *d = &s->doors[i];

                *d = (Door){.lan = s,
                        .family = i == 0 ? AF_INET : AF_INET6,
                        .fd = -EBADF,
                        .quota = QUOTA_INIT(LAN_SOCKET_RATE, USEC_PER_SEC)};
                r = loop_timer_new(s->loop, on_pause, d, &d->pause);
                if (r >= 0)
                        r = loop_timer_new(s->loop, on_calm, d, &d->calm);
                if (r < 0)
                        return r;
        }
        r = loop_timer_new(s->loop, on_retry, s, &s->retry);
        if (r >= 0)
                r = copy_interfaces(s, settings);
        return r;
}

int lan_socket_new(Loop *l, const LanSocketSettings *settings, const LanSocketCallbacks *callbacks,
        void *userdata, LanSocket **ret) {
        LanSocket *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (LanSocket){.loop = l,
                .port = settings->port,
                .from = settings->from,
                .callbacks = callbacks,
                .userdata = userdata};
        r = lan_socket_make(s, settings);
        if (r < 0) {
                lan_socket_free(s);
                return r;
        }
        /* First of all, so that nothing is missed. */
        s->watch_error = address_watch_new(l, on_addresses, s, &s->watch);
        (void)refresh(s);
        (void)open_doors(s);
        *ret = s;
        return 0;
}

LanSocket *lan_socket_free(LanSocket *s) {
        if (!s)
                return NULL;
        if (s->freed)
                *s->freed = true;
        for (size_t i = 0; i < ELEMENTSOF(s->doors); i++) {
                loop_io_free(s->doors[i].io);
                loop_timer_free(s->doors[i].pause);
                loop_timer_free(s->doors[i].calm);
                if (s->doors[i].lan)
                        safe_close(s->doors[i].fd);
        }
        loop_timer_free(s->retry);
        address_watch_free(s->watch);
        free(s->addresses);
        free(s->interfaces);
        free(s);
        return NULL;
}

/* For the doctor */

static void list_interfaces(const LanSocket *s, char *p, size_t size) {
        size_t n = 0;

        p[0] = 0;
        for (size_t i = 0; i < s->n_addresses && n < size; i++)
                if (!has_interface(s->addresses, i, s->addresses[i].interface))
                        n += (size_t)snprintf(
                                p + n, size - n, "%s%s", n > 0 ? ", " : "", s->addresses[i].name);
        text_clean(p);
}

static int door_error(const LanSocket *s) {
        for (size_t i = 0; i < ELEMENTSOF(s->doors); i++)
                if (s->doors[i].error < 0 && s->doors[i].error != -EAFNOSUPPORT)
                        return s->doors[i].error;
        return s->doors[0].fd < 0 && s->doors[1].fd < 0 ? -EAFNOSUPPORT : 0;
}

void lan_socket_get_facts(const LanSocket *s, LanSocketFacts *ret) {
        const int door = door_error(s);
        char *p = ret->problem;
        const size_t size = sizeof(ret->problem);

        list_interfaces(s, ret->interfaces, sizeof(ret->interfaces));
        p[0] = 0;
        if (door == -EADDRINUSE)
                snprintf(p, size, "Another program keeps UDP port %u for itself.", s->port);
        else if (door < 0)
                snprintf(p, size, "UDP port %u cannot be used: %s.", s->port, strerror(-door));
        else if (s->addresses_error < 0 || s->watch_error < 0)
                snprintf(p, size, "The network interfaces cannot be read: %s.",
                        strerror(-(s->addresses_error ?: s->watch_error)));
        else if (s->n_interfaces > 0 && s->n_addresses == 0)
                snprintf(p, size, "No interface that lan.interfaces names is connected.");
        else if (s->send_error < 0)
                snprintf(p, size, "Nothing can be sent on %s: %s.", s->send_interface,
                        strerror(-s->send_error));
        text_clean(p);
}
