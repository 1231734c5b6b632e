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

struct Dial {
        Loop *loop;
        LoopWork *work;
        LoopTimer *timer; /* the end, or with `next` at the end of the list: an early failure */
        LoopIo *io;
        int fd;
        SockAddr addresses[ADDRESSES_MAX];
        size_t n, next;
        usec_t deadline;
        int error;
        DialFn fn;
        void *userdata;
};

static void dial_end(Dial *d, int result) {
        DialFn fn = d->fn;
        void *userdata = d->userdata;
        SockAddr peer = d->next > 0 ? d->addresses[d->next - 1] : (SockAddr){};

        d->io = loop_io_free(d->io);
        if (result < 0)
                d->fd = safe_close(d->fd);
        else
                d->fd = -EBADF;
        loop_timer_set(d->timer, USEC_INFINITY);
        fn(userdata, result, &peer);
}

static void dial_next(Dial *d);

static void on_connected(void *userdata, uint32_t revents) {
        Dial *d = userdata;
        int e = 0;
        socklen_t size = sizeof(e);

        if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &e, &size) < 0)
                e = errno;
        if (e == 0) {
                dial_end(d, d->fd);
                return;
        }
        d->error = -e;
        dial_next(d);
}

static int dial_start(Dial *d, const SockAddr *a) {
        int r;

        d->fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (d->fd < 0)
                return -errno;
        if (connect(d->fd, &a->sa, sockaddr_size(a)) < 0 && errno != EINPROGRESS)
                return -errno;
        r = loop_io_new(d->loop, d->fd, LOOP_WRITE, on_connected, d, &d->io);
        return r;
}

/* The address after the one that failed; each gets its share of the time that is left. */
static void dial_next(Dial *d) {
        usec_t now = loop_now(d->loop);

        d->io = loop_io_free(d->io);
        d->fd = safe_close(d->fd);
        while (d->next < d->n && now < d->deadline) {
                size_t left = d->n - d->next;
                int r = dial_start(d, &d->addresses[d->next++]);

                if (r >= 0) {
                        loop_timer_set(d->timer, now + (d->deadline - now) / left);
                        return;
                }
                d->error = r;
                d->fd = safe_close(d->fd);
        }
        dial_end(d, d->error);
}

static void on_dial_timer(void *userdata) {
        Dial *d = userdata;

        if (d->fd >= 0)
                d->error = -ETIMEDOUT;
        dial_next(d);
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
        memcpy(d->addresses, v->addresses, sizeof(v->addresses));
        d->n = v->n;
        d->error = v->n == 0 ? -EHOSTUNREACH : -ETIMEDOUT;
        dial_next(d);
}

static int dial_resolve(Dial *d, const char *host, uint16_t port) {
        Resolve *v = calloc(1, sizeof(*v));
        int r;

        if (!v)
                return -ENOMEM;
        snprintf(v->host, sizeof(v->host), "%s", host);
        v->port = port;
        r = loop_work_new(d->loop, resolve_run, v, resolve_done, d, &d->work);
        if (r < 0)
                free(v);
        return r;
}

int dial_new(Loop *l, const char *host, uint16_t port, usec_t timeout, DialFn fn, void *userdata,
        Dial **ret) {
        Dial *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        *d = (Dial){.loop = l,
                .fd = -EBADF,
                .deadline = loop_now(l) + timeout,
                .error = -ETIMEDOUT,
                .fn = fn,
                .userdata = userdata};
        r = loop_timer_new(l, on_dial_timer, d, &d->timer);
        if (r >= 0 && sockaddr_parse_ip(host, port, &d->addresses[0]) >= 0) {
                /* From the loop, so that the callback never comes before this function returns. */
                d->n = 1;
                loop_timer_set(d->timer, loop_now(l));
        } else if (r >= 0) {
                r = dial_resolve(d, host, port);
                loop_timer_set(d->timer, d->deadline);
        }
        if (r < 0) {
                dial_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

Dial *dial_free(Dial *d) {
        if (!d)
                return NULL;
        loop_work_cancel(d->work);
        loop_timer_free(d->timer);
        loop_io_free(d->io);
        safe_close(d->fd);
        free(d);
        return NULL;
}
