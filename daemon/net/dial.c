/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <netdb.h>
#include <stdio.h>

#include "net/tcp.h"

#define ADDRESSES_MAX 16

/* What the worker thread works on: nothing of the Dial itself. */
typedef struct Resolve {
        char host[HOST_SIZE];
        uint16_t port;
        SockAddr addresses[ADDRESSES_MAX];
        size_t n;
} Resolve;

/* One connection under way. */
typedef struct Try {
        Dial *dial;
        LoopIo *io; /* NULL: free, or over */
        int fd;
        size_t address;
} Try;

struct Dial {
        Loop *loop;
        LoopWork *work;
        LoopTimer *timer; /* the next address, or the end */
        Try tries[ADDRESSES_MAX];
        unsigned n_tries; /* under way */
        SockAddr addresses[ADDRESSES_MAX];
        size_t n, next;
        usec_t deadline;
        int error; /* of the last that failed */
        DialFn fn;
        void *userdata;
};

static void try_end(Try *t) {
        if (!t->io)
                return;
        t->io = loop_io_free(t->io);
        t->fd = safe_close(t->fd);
        t->dial->n_tries--;
}

/* The callback may free D. */
static void dial_end(Dial *d, Try *won) {
        DialFn fn = d->fn;
        void *userdata = d->userdata;
        SockAddr peer = {};
        int result = d->error;

        if (won) {
                peer = d->addresses[won->address];
                result = TAKE_FD(won->fd);
        }
        for (size_t i = 0; i < ELEMENTSOF(d->tries); i++)
                try_end(&d->tries[i]);
        loop_timer_set(d->timer, USEC_INFINITY);
        fn(userdata, result, &peer);
}

static void dial_go_on(Dial *d);

static void on_connected(void *userdata, uint32_t revents) {
        Try *t = userdata;
        Dial *d = t->dial;
        int e = 0;
        socklen_t size = sizeof(e);

        if (getsockopt(t->fd, SOL_SOCKET, SO_ERROR, &e, &size) < 0)
                e = errno;
        if (e == 0) {
                dial_end(d, t);
                return;
        }
        d->error = -e;
        try_end(t);
        dial_go_on(d);
}

static int try_begin(Dial *d, size_t address) {
        const SockAddr *a = &d->addresses[address];
        Try *t = &d->tries[address];
        _cleanup_(closep) int fd = -EBADF;
        int r;

        fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, &a->sa, sockaddr_size(a)) < 0 && errno != EINPROGRESS)
                return -errno;
        r = loop_io_new(d->loop, fd, LOOP_WRITE, on_connected, t, &t->io);
        if (r < 0)
                return r;
        t->fd = TAKE_FD(fd);
        d->n_tries++;
        return 0;
}

/* RFC 8305 section 5: the next address is tried when one fails, or when its turn comes while the
 * others are under way. All have until the deadline. */
static void dial_go_on(Dial *d) {
        usec_t now = loop_now(d->loop), turn = now + CONNECT_STAGGER;

        while (d->next < d->n) {
                int r = try_begin(d, d->next++);

                if (r >= 0) {
                        loop_timer_set(
                                d->timer, d->next < d->n ? MIN(turn, d->deadline) : d->deadline);
                        return;
                }
                d->error = r;
        }
        if (d->n_tries == 0)
                dial_end(d, NULL);
}

static void on_dial_timer(void *userdata) {
        Dial *d = userdata;

        if (d->n > 0 && loop_now(d->loop) < d->deadline) {
                loop_timer_set(d->timer, d->deadline);
                dial_go_on(d);
                return;
        }
        d->work = loop_work_cancel(d->work);
        d->error = -ETIMEDOUT;
        dial_end(d, NULL);
}

/* In the order of the resolver (RFC 6724), families in turns. */
static void dial_set_addresses(Dial *d, const SockAddr *addresses, size_t n) {
        size_t order[ADDRESSES_MAX] = {};
        int families[ADDRESSES_MAX] = {};

        d->n = MIN(n, (size_t)ADDRESSES_MAX);
        for (size_t i = 0; i < d->n; i++)
                families[i] = addresses[i].sa.sa_family;
        families_interleave(families, d->n, order);
        for (size_t i = 0; i < d->n; i++)
                d->addresses[i] = addresses[order[i]];
}

static void resolve_run(void *job) {
        static const struct addrinfo hints = {
                .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        Resolve *v = job;
        struct addrinfo *list = NULL;
        char port[8];

        snprintf(port, sizeof(port), "%u", v->port);
        if (getaddrinfo(v->host, port, &hints, &list) != 0)
                return;
        for (struct addrinfo *i = list; i && v->n < ADDRESSES_MAX; i = i->ai_next)
                if (i->ai_family == AF_INET || i->ai_family == AF_INET6)
                        memcpy(&v->addresses[v->n++], i->ai_addr, i->ai_addrlen);
        freeaddrinfo(list);
}

static void resolve_done(void *job, void *userdata, bool cancelled) {
        _cleanup_(freep) Resolve *v = job;
        Dial *d = userdata;

        if (cancelled)
                return;
        d->work = NULL;
        dial_set_addresses(d, v->addresses, v->n);
        if (v->n == 0)
                d->error = -EHOSTUNREACH;
        dial_go_on(d);
}

static int dial_resolve(Dial *d, const DialTarget *to) {
        Resolve *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        snprintf(v->host, sizeof(v->host), "%s", to->host);
        v->port = to->port;
        r = loop_work_new(d->loop, to->lane, resolve_run, v, resolve_done, d, &d->work);
        if (r < 0)
                free(v);
        return r;
}

static int dial_alloc(Loop *l, usec_t timeout, DialFn fn, void *userdata, Dial **ret) {
        Dial *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        *d = (Dial){.loop = l,
                .deadline = usec_add(loop_now(l), timeout),
                .error = -ETIMEDOUT,
                .fn = fn,
                .userdata = userdata};
        for (size_t i = 0; i < ELEMENTSOF(d->tries); i++)
                d->tries[i] = (Try){.dial = d, .fd = -EBADF, .address = i};
        r = loop_timer_new(l, on_dial_timer, d, &d->timer);
        if (r < 0) {
                free(d);
                return r;
        }
        *ret = d;
        return 0;
}

int dial_new_addresses(Loop *l, const SockAddr *addresses, size_t n, usec_t timeout, DialFn fn,
        void *userdata, Dial **ret) {
        Dial *d;
        int r;

        if (n == 0)
                return -EINVAL;
        r = dial_alloc(l, timeout, fn, userdata, &d);
        if (r < 0)
                return r;
        dial_set_addresses(d, addresses, n);
        /* From the loop, so that the callback never comes before this function returns. */
        loop_timer_set(d->timer, loop_now(l));
        *ret = d;
        return 0;
}

int dial_new(Loop *l, const DialTarget *to, DialFn fn, void *userdata, Dial **ret) {
        SockAddr address;
        Dial *d;
        int r;

        r = sockaddr_parse_scoped_ip(to->host, to->port, &address);
        if (r == -ENODEV)
                return r;
        if (r >= 0)
                return dial_new_addresses(l, &address, 1, to->timeout, fn, userdata, ret);
        r = dial_alloc(l, to->timeout, fn, userdata, &d);
        if (r >= 0) {
                r = dial_resolve(d, to);
                loop_timer_set(d->timer, d->deadline);
                if (r < 0)
                        dial_free(d);
        }
        if (r < 0)
                return r;
        *ret = d;
        return 0;
}

Dial *dial_free(Dial *d) {
        if (!d)
                return NULL;
        loop_work_cancel(d->work);
        loop_timer_free(d->timer);
        for (size_t i = 0; i < ELEMENTSOF(d->tries); i++)
                try_end(&d->tries[i]);
        free(d);
        return NULL;
}
