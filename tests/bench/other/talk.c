/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "talk.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static void tls_check(ssize_t r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, gnutls_strerror((int)r));
        exit(1);
}

static int connect_to(const char *port) {
        struct sockaddr_in a = {.sin_family = AF_INET,
                .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                .sin_port = htons((uint16_t)bench_number(port))};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        static const int yes = 1;

        if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ||
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
                bench_check(-errno, "connect");
        return fd;
}

void talker_open(Talker *t, const char *port) {
        gnutls_certificate_credentials_t credentials;

        t->fd = connect_to(port);
        tls_check(gnutls_certificate_allocate_credentials(&credentials), "TLS");
        tls_check(gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NO_TICKETS), "TLS");
        tls_check(gnutls_set_default_priority(t->session), "TLS");
        tls_check(gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, credentials), "TLS");
        tls_check(gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, "localhost", 9), "TLS");
        gnutls_transport_set_int(t->session, t->fd);
        tls_check(gnutls_handshake(t->session), "handshake");
        if (fcntl(t->fd, F_SETFL, O_NONBLOCK) < 0)
                bench_check(-errno, "fcntl");
}

void talker_say(Talker *t, const void *p, size_t n) {
        if (t->n_out + n > t->allocated) {
                t->allocated = 2 * (t->n_out + n);
                t->out = realloc(t->out, t->allocated);
                if (!t->out)
                        bench_check(-ENOMEM, "memory");
        }
        if (n > 0)
                memcpy(t->out + t->n_out, p, n);
        t->n_out += n;
}

void talker_consume(Talker *t, size_t n) {
        t->n_in -= n;
        memmove(t->in, t->in + n, t->n_in);
}

static void talker_send(Talker *t) {
        size_t sent = 0;

        while (sent < t->n_out) {
                ssize_t k = gnutls_record_send(t->session, t->out + sent, t->n_out - sent);

                if (k == GNUTLS_E_AGAIN)
                        break; /* the same bytes are said again in the next turn */
                tls_check(k, "send");
                sent += (size_t)k;
        }
        t->n_out -= sent;
        memmove(t->out, t->out + sent, t->n_out);
}

static bool talker_receive(Talker *t) {
        bool any = false;

        while (t->n_in < sizeof(t->in)) {
                ssize_t k =
                        gnutls_record_recv(t->session, t->in + t->n_in, sizeof(t->in) - t->n_in);

                if (k == GNUTLS_E_AGAIN)
                        break;
                if (k == 0)
                        bench_check(-ECONNRESET, "the server");
                if (k < 0 && !gnutls_error_is_fatal((int)k))
                        continue;
                tls_check(k, "receive");
                t->n_in += (size_t)k;
                any = true;
        }
        return any;
}

void talkers_turn(Talker *a, Talker *b) {
        Talker *both[] = {a, b};
        struct pollfd fds[2];
        bool any = false;

        while (!any) {
                for (int i = 0; i < 2; i++) {
                        talker_send(both[i]);
                        fds[i] = (struct pollfd){.fd = both[i]->fd,
                                .events = (short)(POLLIN | (both[i]->n_out ? POLLOUT : 0))};
                }
                for (int i = 0; i < 2; i++)
                        any |= talker_receive(both[i]);
                if (!any && poll(fds, 2, 60000) <= 0)
                        bench_check(-ETIMEDOUT, "the server");
        }
}

void talker_close(Talker *t) {
        ssize_t k;

        (void)fcntl(t->fd, F_SETFL, 0);
        talker_send(t);
        do
                k = gnutls_record_recv(t->session, t->in, sizeof(t->in));
        while (k > 0 || (k < 0 && !gnutls_error_is_fatal((int)k)));
        gnutls_deinit(t->session);
}

void work_begin(Work *w, const char *count, const char *window, const char *size) {
        *w = (Work){.count = bench_number(count),
                .window = bench_number(window),
                .size = bench_number(size)};
        w->took = calloc(w->count, sizeof(*w->took));
        if (!w->took)
                bench_check(-ENOMEM, "memory");
        w->begun = bench_now();
}

bool work_is_over(const Work *w) {
        return w->received == w->count && w->answered == w->count;
}

bool work_take(Work *w) {
        size_t done = w->received < w->answered ? w->received : w->answered;

        if (w->sent == w->count || w->sent - done >= w->window)
                return false;
        w->took[w->sent++] = bench_now();
        return true;
}

void work_answered(Work *w) {
        if (w->answered < w->sent)
                w->answered++;
}

void work_received(Work *w) {
        if (w->received == w->sent)
                return;
        w->took[w->received] = bench_now() - w->took[w->received];
        w->received++;
}

void work_print(Work *w) {
        bench_print(w->took, w->count, bench_now() - w->begun);
}
