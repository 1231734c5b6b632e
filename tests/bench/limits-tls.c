/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What bare GnuTLS can do here and now, over loopback, with the ciphers of our connections:
 *
 *   limits-tls records COUNT             records of 16 KiB from process to process
 *   limits-tls handshakes COUNT          connections with the keys of both ends proved, one after
 *                                        the other between as many pairs of processes as there are
 *                                        cores
 *   limits-tls echo CONNECTIONS ROUNDS   a word of each connection, and its answer, ROUNDS times;
 *                                        all connections at once, by epoll
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>

#include "bench.h"

#define RECORD 16384
#define WORD 13 /* of a heartbeat's frame */
#define EVENTS 64

static void tls_check(ssize_t r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, gnutls_strerror((int)r));
        exit(1);
}

/* Each end proves that it has an Ed25519 key, as ours do; here both have the same. */

static gnutls_certificate_credentials_t credentials;

static void key_make(void) {
        gnutls_pcert_st *pcert = gnutls_calloc(1, sizeof(*pcert));
        gnutls_privkey_t key;
        gnutls_pubkey_t public;

        tls_check(gnutls_privkey_init(&key), "key");
        tls_check(gnutls_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0), "key");
        tls_check(gnutls_pubkey_init(&public), "key");
        tls_check(gnutls_pubkey_import_privkey(public, key, 0, 0), "key");
        tls_check(gnutls_pcert_import_rawpk(pcert, public, 0), "key");
        tls_check(gnutls_certificate_allocate_credentials(&credentials), "key");
        tls_check(gnutls_certificate_set_key(credentials, NULL, 0, pcert, 1, key), "key");
}

static gnutls_session_t tls_new(int fd, bool server) {
        unsigned end = server ? GNUTLS_SERVER : GNUTLS_CLIENT;
        static const int yes = 1;
        gnutls_session_t s;

        tls_check(gnutls_init(&s, end | GNUTLS_ENABLE_RAWPK | GNUTLS_NO_TICKETS), "init");
        tls_check(gnutls_priority_set_direct(s,
                          "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CTYPE-ALL:+CTYPE-CLI-RAWPK"
                          ":+CTYPE-SRV-RAWPK:-GROUP-ALL:+GROUP-X25519",
                          NULL),
                "priority");
        tls_check(gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, credentials), "key");
        if (server)
                gnutls_certificate_server_set_request(s, GNUTLS_CERT_REQUIRE);
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) < 0)
                bench_check(-errno, "TCP_NODELAY");
        gnutls_transport_set_int(s, fd);
        tls_check(gnutls_handshake(s), "handshake");
        return s;
}

static void tls_receive(gnutls_session_t s, uint8_t *p, size_t size) {
        for (size_t n = 0; n < size;) {
                ssize_t k = gnutls_record_recv(s, p + n, size - n);

                if (k == 0)
                        bench_check(-ECONNRESET, "receive");
                tls_check(k, "receive");
                n += (size_t)k;
        }
}

/* Sockets */

static int listen_somewhere(struct sockaddr_in *ret) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        socklen_t size = sizeof(a);

        if (fd < 0 || bind(fd, (struct sockaddr *)&a, size) < 0 || listen(fd, 128) < 0 ||
                getsockname(fd, (struct sockaddr *)&a, &size) < 0)
                bench_check(-errno, "listen");
        *ret = a;
        return fd;
}

static int accept_one(int listener) {
        int fd = accept(listener, NULL, NULL);

        bench_check(fd < 0 ? -errno : 0, "accept");
        return fd;
}

static int connect_to(const struct sockaddr_in *a) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
                bench_check(-errno, "connect");
        return fd;
}

static pid_t fork_one(void) {
        pid_t pid = fork();

        bench_check(pid < 0 ? -errno : 0, "fork");
        return pid;
}

/* Records */

static int run_records(size_t count) {
        static uint8_t record[RECORD];
        uint64_t *took = calloc(count, sizeof(*took)), start;
        struct sockaddr_in a;
        int listener = listen_somewhere(&a);
        gnutls_session_t s;

        if (!took)
                bench_check(-ENOMEM, "memory");
        if (fork_one() == 0) {
                s = tls_new(accept_one(listener), true);
                for (size_t i = 0; i < count; i++)
                        tls_receive(s, record, sizeof(record));
                tls_check(gnutls_record_send(s, "x", 1), "send");
                _exit(0);
        }
        s = tls_new(connect_to(&a), false);
        start = bench_now();
        for (size_t i = 0; i < count; i++) {
                uint64_t before = bench_now();

                tls_check(gnutls_record_send(s, record, sizeof(record)), "send");
                took[i] = bench_now() - before;
        }
        tls_receive(s, record, 1);
        bench_print(took, count, bench_now() - start);
        return 0;
}

/* Handshakes */

static void serve_handshakes(int listener, size_t count) {
        for (size_t i = 0; i < count; i++) {
                int fd = accept_one(listener);
                gnutls_session_t s = tls_new(fd, true);

                tls_check(gnutls_record_send(s, "x", 1), "send");
                gnutls_deinit(s);
                close(fd);
        }
}

/* One pair of processes: this one asks, and writes what each took. */
static void ask_handshakes(uint64_t *took, size_t count) {
        struct sockaddr_in a;
        int listener = listen_somewhere(&a);
        pid_t server = fork_one();

        if (server == 0) {
                serve_handshakes(listener, count);
                _exit(0);
        }
        for (size_t i = 0; i < count; i++) {
                uint64_t start = bench_now();
                int fd = connect_to(&a);
                gnutls_session_t s = tls_new(fd, false);
                uint8_t answer;

                tls_receive(s, &answer, 1);
                took[i] = bench_now() - start;
                gnutls_deinit(s);
                close(fd);
        }
        waitpid(server, NULL, 0);
}

static int run_handshakes(size_t count) {
        size_t pairs = (size_t)get_nprocs(), each = count / pairs;
        uint64_t *took, start = bench_now();
        int status;
        took = mmap(NULL, pairs * each * sizeof(*took), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (took == MAP_FAILED)
                bench_check(-errno, "memory");
        for (size_t i = 0; i < pairs; i++)
                if (fork_one() == 0) {
                        ask_handshakes(took + i * each, each);
                        _exit(0);
                }
        while (wait(&status) > 0)
                bench_check(status == 0 ? 0 : -EIO, "a process of a pair");
        bench_print(took, pairs * each, bench_now() - start);
        return 0;
}

/* Echo */

static void echo_one(gnutls_session_t s) {
        uint8_t word[WORD];
        ssize_t k = gnutls_record_recv(s, word, sizeof(word));

        if (k == GNUTLS_E_PREMATURE_TERMINATION)
                _exit(0); /* the other end is through */
        tls_check(k, "receive");
        tls_check(gnutls_record_send(s, word, (size_t)k), "send");
}

static void serve_echo(int listener, size_t connections) {
        struct epoll_event events[EVENTS];
        int epoll = epoll_create1(EPOLL_CLOEXEC);

        for (size_t i = 0; i < connections; i++) {
                int fd = accept_one(listener);
                struct epoll_event e = {.events = EPOLLIN, .data.ptr = tls_new(fd, true)};

                if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
                        bench_check(-errno, "epoll");
        }
        for (;;) {
                int n = epoll_wait(epoll, events, EVENTS, -1);

                bench_check(n < 0 ? -errno : 0, "epoll");
                for (int i = 0; i < n; i++)
                        echo_one(events[i].data.ptr);
        }
}

static int run_echo(size_t connections, size_t rounds) {
        gnutls_session_t *sessions = calloc(connections, sizeof(*sessions));
        uint64_t *sent = calloc(connections, sizeof(*sent)), start;
        uint64_t *took = calloc(connections * rounds, sizeof(*took));
        uint8_t word[WORD] = {};
        struct sockaddr_in a;
        int listener = listen_somewhere(&a);
        size_t n = 0;

        if (!sessions || !sent || !took)
                bench_check(-ENOMEM, "memory");
        if (fork_one() == 0)
                serve_echo(listener, connections);
        for (size_t i = 0; i < connections; i++)
                sessions[i] = tls_new(connect_to(&a), false);
        start = bench_now();
        for (size_t round = 0; round < rounds; round++) {
                for (size_t i = 0; i < connections; i++) {
                        sent[i] = bench_now();
                        tls_check(gnutls_record_send(sessions[i], word, sizeof(word)), "send");
                }
                for (size_t i = 0; i < connections; i++) {
                        tls_receive(sessions[i], word, sizeof(word));
                        took[n++] = bench_now() - sent[i];
                }
        }
        bench_print(took, n, bench_now() - start);
        return 0;
}

int main(int argc, char **argv) {
        struct rlimit l;

        (void)getrlimit(RLIMIT_NOFILE, &l);
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
        key_make();
        if (argc == 3 && strcmp(argv[1], "records") == 0)
                return run_records(bench_number(argv[2]));
        if (argc == 3 && strcmp(argv[1], "handshakes") == 0)
                return run_handshakes(bench_number(argv[2]));
        if (argc == 4 && strcmp(argv[1], "echo") == 0)
                return run_echo(bench_number(argv[2]), bench_number(argv[3]));
        fprintf(stderr,
                "usage: limits-tls records COUNT | handshakes COUNT | echo CONNECTIONS ROUNDS\n");
        return 2;
}
