/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "net/tcp.h"

#include <assert.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <utlist.h>

#include "util/quota.h"
#include "util/table.h"

/* Admission */

/* Addresses without connections that are remembered for what they have cost. */
#define IDLE_MAX 4096

typedef struct AddressCount {
        uint8_t prefix[16];
        unsigned n;
        Quota attempts;
        UT_hash_handle hh;
        struct AddressCount *prev, *next; /* a->idle, with n = 0 */
} AddressCount;

typedef struct Tcp {
        Transport transport;
        Loop *loop;
        int fd;
        LoopIo *io;
        Admission *admission;
        uint8_t prefix[16];
        bool may_go; /* in the list of those that give way */
        bool has_gone; /* it gave way, and its place is taken */
        struct Tcp *prev, *next;
} Tcp;

struct Admission {
        unsigned connections, per_address, n;
        AddressCount *addresses;
        AddressCount *idle; /* oldest first */
        unsigned n_idle;
        Tcp *may_go; /* oldest first */
};

Admission *admission_new(unsigned connections, unsigned per_address) {
        Admission *a = calloc(1, sizeof(*a));

        if (a)
                admission_set_limits(a, connections, per_address);
        return a;
}

void admission_set_limits(Admission *a, unsigned connections, unsigned per_address) {
        a->connections = connections;
        a->per_address = per_address;
}

unsigned admission_count(const Admission *a) {
        return a->n;
}

static void address_drop(Admission *a, AddressCount *c) {
        DL_DELETE(a->idle, c);
        a->n_idle--;
        HASH_DEL(a->addresses, c);
        free(c);
}

/* Without connections: remembered as long as it owes something. */
static void address_rest(Admission *a, AddressCount *c, usec_t now) {
        if (c->n > 0)
                return;
        DL_APPEND(a->idle, c);
        a->n_idle++;
        if (quota_is_full(&c->attempts, now))
                address_drop(a, c);
}

static int address_get(
        Admission *a, const uint8_t prefix[static 16], usec_t now, AddressCount **ret) {
        AddressCount *c;

        HASH_FIND(hh, a->addresses, prefix, 16, c);
        if (c && c->n == 0) {
                DL_DELETE(a->idle, c);
                a->n_idle--;
        }
        while (a->idle && (a->n_idle >= IDLE_MAX || quota_is_full(&a->idle->attempts, now)))
                address_drop(a, a->idle);
        if (!c) {
                c = calloc(1, sizeof(*c));
                if (!c)
                        return -ENOMEM;
                memcpy(c->prefix, prefix, 16);
                c->attempts = QUOTA_INIT(0, ADMISSION_INTERVAL);
                HASH_ADD(hh, a->addresses, prefix, 16, c);
                if (!TABLE_HAS(c)) {
                        free(c);
                        return -ENOMEM;
                }
        }
        c->attempts.burst = (uint64_t)a->per_address * ADMISSION_TURNS;
        *ret = c;
        return 0;
}

Admission *admission_free(Admission *a) {
        if (!a)
                return NULL;
        assert(a->n == 0);
        while (a->idle)
                address_drop(a, a->idle);
        free(a);
        return NULL;
}

static void tcp_stays(Tcp *c) {
        if (c->may_go)
                DL_DELETE(c->admission->may_go, c);
        c->may_go = false;
}

/* Its owner reads an end of stream, as if the other end had closed. */
static bool admission_make_room(Admission *a) {
        Tcp *c = a->may_go;

        if (!c)
                return false;
        tcp_stays(c);
        c->has_gone = true;
        a->n--;
        (void)shutdown(c->fd, SHUT_RDWR);
        return true;
}

static int admission_take(Admission *a, const uint8_t prefix[static 16], usec_t now) {
        AddressCount *c;
        int r;

        r = address_get(a, prefix, now, &c);
        if (r < 0)
                return r;
        if ((a->per_address > 0 && c->n >= a->per_address) ||
                quota_wait(&c->attempts, 1, now) > 0 ||
                (a->connections > 0 && a->n >= a->connections && !admission_make_room(a))) {
                address_rest(a, c, now);
                return -EUSERS;
        }
        (void)quota_take(&c->attempts, 1, now); /* who is turned away at once costs nothing */
        c->n++;
        a->n++;
        return 0;
}

static void admission_release(Tcp *t) {
        Admission *a = t->admission;
        AddressCount *c;

        HASH_FIND(hh, a->addresses, t->prefix, 16, c);
        assert(c);
        tcp_stays(t);
        if (!t->has_gone)
                a->n--;
        c->n--;
        address_rest(a, c, loop_now(t->loop));
}

/* Connected sockets */

static Tcp *tcp(Transport *t) {
        return CONTAINER_OF(t, Tcp, transport);
}

static ssize_t tcp_read(Transport *t, void *p, size_t n) {
        ssize_t k = recv(tcp(t)->fd, p, n, 0);

        return k < 0 ? -errno : k;
}

static ssize_t tcp_write(Transport *t, const void *p, size_t n) {
        ssize_t k = send(tcp(t)->fd, p, n, MSG_NOSIGNAL);

        return k < 0 ? -errno : k;
}

static void tcp_want(Transport *t, uint32_t events) {
        loop_io_set_events(tcp(t)->io, events);
}

static void tcp_end(Transport *t) {
        shutdown(tcp(t)->fd, SHUT_WR);
}

static void tcp_free(Transport *t) {
        Tcp *c = tcp(t);

        loop_io_free(c->io);
        safe_close(c->fd);
        if (c->admission)
                admission_release(c);
        free(c);
}

static void tcp_keep(Transport *t) {
        tcp_stays(tcp(t));
}

static const TransportOps tcp_ops = {
        .read = tcp_read,
        .write = tcp_write,
        .want = tcp_want,
        .end = tcp_end,
        .free = tcp_free,
        .keep = tcp_keep,
};

static void on_tcp(void *userdata, uint32_t revents) {
        Tcp *c = userdata;

        c->transport.ready(c->transport.userdata, revents);
}

static void tcp_set_options(int fd) {
        static const int on = 1;
        static const unsigned unacknowledged_ms = TCP_UNACKNOWLEDGED_MAX / USEC_PER_MSEC;

        /* Not being able to set one costs latency, not correctness. */
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(
                fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacknowledged_ms, sizeof(unacknowledged_ms));
}

int tcp_transport_new(Loop *l, int fd, const SockAddr *peer, Admission *a, Transport **ret) {
        Tcp *c;
        int r;

        c = calloc(1, sizeof(*c));
        if (!c) {
                safe_close(fd);
                return -ENOMEM;
        }
        c->loop = l;
        c->fd = fd;
        c->transport.ops = &tcp_ops;
        c->transport.peer = *peer;
        sockaddr_prefix(peer, c->prefix);
        r = a ? admission_take(a, c->prefix, loop_now(l)) : 0;
        if (r >= 0 && a) {
                c->admission = a;
                c->may_go = true;
                DL_APPEND(a->may_go, c);
        }
        if (r >= 0)
                r = loop_io_new(l, fd, LOOP_READ, on_tcp, c, &c->io);
        if (r < 0) {
                tcp_free(&c->transport);
                return r;
        }
        tcp_set_options(fd);
        *ret = &c->transport;
        return 0;
}

/* Listening */

/* With no descriptor left accept() fails at once, again and again: look again after this. */
#define ACCEPT_PAUSE (100 * USEC_PER_MSEC)
#define ACCEPT_AT_ONCE 16

struct Listener {
        Loop *loop;
        int fd;
        LoopIo *io;
        LoopTimer *pause;
        ListenerFn fn;
        void *userdata;
        SockAddr address;
        bool exhausted; /* and the owner was told */
        bool *freed; /* set while callbacks run, in case one of them frees the listener */
};

static void on_accept_pause(void *userdata) {
        Listener *l = userdata;

        loop_io_set_events(l->io, LOOP_READ);
}

static bool is_exhaustion(int error) {
        return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void listener_pause(Listener *l, int error) {
        bool told = l->exhausted;

        loop_io_set_events(l->io, 0);
        loop_timer_set(l->pause, loop_now(l->loop) + ACCEPT_PAUSE);
        l->exhausted = true;
        if (!told)
                l->fn(l->userdata, -error, NULL);
}

static void on_listener(void *userdata, uint32_t revents) {
        Listener *l = userdata;
        bool freed = false;

        l->freed = &freed;
        for (int i = 0; i < ACCEPT_AT_ONCE; i++) {
                SockAddr peer = {};
                socklen_t size = sizeof(peer);
                int fd;

                fd = accept4(l->fd, &peer.sa, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0) {
                        l->exhausted = false;
                        l->fn(l->userdata, fd, &peer);
                } else if (is_exhaustion(errno))
                        listener_pause(l, errno);
                if (freed)
                        return;
                if (fd < 0)
                        break;
        }
        l->freed = NULL;
}

static int listen_socket(const SockAddr *address) {
        static const int on = 1, off = 0;
        _cleanup_(closep) int fd = -EBADF;

        fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        if (address->sa.sa_family == AF_INET6 &&
                setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0)
                return -errno;
        if (bind(fd, &address->sa, sockaddr_size(address)) < 0 || listen(fd, SOMAXCONN) < 0)
                return -errno;
        return TAKE_FD(fd);
}

/* The address FD is bound to; an error unless it listens for TCP. */
static int listening_address(int fd, SockAddr *ret) {
        SockAddr a = {};
        socklen_t size = sizeof(a);
        int type, listening;

        if (getsockname(fd, &a.sa, &size) < 0)
                return -errno;
        size = sizeof(type);
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
                return -errno;
        size = sizeof(listening);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
                return -errno;
        if ((a.sa.sa_family != AF_INET && a.sa.sa_family != AF_INET6) || type != SOCK_STREAM)
                return -EAFNOSUPPORT;
        if (!listening)
                return -EINVAL;
        *ret = a;
        return 0;
}

int listener_new_fd(Loop *loop, int fd, ListenerFn fn, void *userdata, Listener **ret) {
        Listener *l = calloc(1, sizeof(*l));
        int flags = fcntl(fd, F_GETFL), r;

        if (!l) {
                safe_close(fd);
                return -ENOMEM;
        }
        *l = (Listener){.loop = loop, .fd = fd, .fn = fn, .userdata = userdata};
        r = listening_address(fd, &l->address);
        if (r >= 0 && (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0))
                r = -errno;
        if (r >= 0)
                r = loop_timer_new(loop, on_accept_pause, l, &l->pause);
        if (r >= 0)
                r = loop_io_new(loop, l->fd, LOOP_READ, on_listener, l, &l->io);
        if (r < 0) {
                listener_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

int listener_new(
        Loop *loop, const SockAddr *address, ListenerFn fn, void *userdata, Listener **ret) {
        SockAddr v4 = {.in = {.sin_family = AF_INET, .sin_port = htons(sockaddr_port(address))}};
        int fd;

        fd = listen_socket(address);
        if ((fd == -EAFNOSUPPORT || fd == -EADDRNOTAVAIL) && sockaddr_is_any(address))
                fd = listen_socket(&v4);
        return fd < 0 ? fd : listener_new_fd(loop, fd, fn, userdata, ret);
}

Listener *listener_free(Listener *l) {
        if (!l)
                return NULL;
        if (l->freed)
                *l->freed = true;
        loop_io_free(l->io);
        loop_timer_free(l->pause);
        safe_close(l->fd);
        free(l);
        return NULL;
}

const SockAddr *listener_address(const Listener *l) {
        return &l->address;
}
