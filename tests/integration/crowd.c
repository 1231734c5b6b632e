/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Many at once, in one process, for the tests:
 *
 *   crowd clients TRACKER COUNT
 *
 * COUNT users with all that a daemon has towards a tracker (daemon/directory), each with WATCHED
 * contacts. Prints, with the monotonic time in seconds and the user's number, "connected", "lost",
 * "failed" (one more attempt), "online WHO", "offline WHO"; and "ready" once, when everybody sees
 * his contacts.
 *
 *   crowd callers PROTOCOL PORT ADDRESSES KIND COUNT [KIND COUNT]...
 *
 * Connections to 127.0.0.1 that are up to no good, from the first ADDRESSES addresses after
 * 127.0.1.0 in turn. PROTOCOL is the name for ALPN. The kinds: mute (no word), half (of a TLS
 * hello), noise (random bytes), tls (and no HELLO), rubbish (behind TLS), huge (the length of a
 * frame), drip (a HELLO, byte after byte), ping (after HELLO, without end). Prints "ready" when
 * all have connected and "closed KIND SECONDS" for each that the other end closes; ends after the
 * last.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "directory/directory.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/node.h"
#include "people.h"

static Loop *loop;
static Net *net;
static sd_event *event;

static void check(int r, const char *what) {
        if (r >= 0)
                return;
        fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(1);
}

static double seconds(void) {
        return (double)loop_now(loop) / USEC_PER_SEC;
}

static void set_up(void) {
        struct rlimit l;

        (void)getrlimit(RLIMIT_NOFILE, &l);
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
        setvbuf(stdout, NULL, _IOLBF, 0);
        check(crypto_init(), "crypto");
        check(sd_event_new(&event), "event loop");
        check(loop_sd_event_new(event, &loop), "loop");
        check(net_new(loop, &net), "net");
}

static void someone_new(const char *name, Someone *ret) {
        check(someone_make(loop, name, ret), "identity");
        check(tls_identity_new(&ret->device, &ret->local.tls), "TLS");
}

/* Clients of a tracker */

#define WATCHED 10

typedef struct Client {
        unsigned number;
        Someone self;
        Directory *directory;
        bool connected, registered;
        Buffer presence;
        bool online[WATCHED]; /* by the distance of their numbers, less 1 */
        unsigned n_online;
} Client;

static Client *clients;
static unsigned n_clients, n_ready;

static const uint8_t *client_account(unsigned number) {
        return sign_key_public(&clients[number % n_clients].self.account);
}

static void client_say(const Client *c, const char *what) {
        printf("%.6f %u %s\n", seconds(), c->number, what);
}

static void on_registered(void *userdata, Code code, const char *text) {
        Client *c = userdata;

        if (code != CODE_OK) {
                fprintf(stderr, "registering: %s\n", text);
                exit(1);
        }
        c->registered = true;
        directory_announce(c->directory, true, buffer_bytes(&c->presence));
}

static void on_trackers_changed(void *userdata) {
        Client *c = userdata;
        bool connected = directory_is_connected(c->directory), was = c->connected;
        const Session *s = directory_session(c->directory, 0);

        c->connected = connected;
        if (connected && !was) {
                client_say(c, "connected");
                if (!c->registered)
                        check(directory_register(c->directory, on_registered, c), "register");
        } else if (was && !connected)
                client_say(c, "lost");
        else if (s && session_state(s) != SESSION_CONNECTING && !connected)
                client_say(c, "failed");
}

static void on_record(void *userdata, const Record *record, Bytes outer) {
}

static void on_presence(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p) {
        Client *c = userdata;
        unsigned i = 0;

        while (!key_equal(client_account(c->number + 1 + i), account))
                i++;
        if (c->online[i] == online)
                return;
        c->online[i] = online;
        c->n_online += online ? 1 : -1U;
        printf("%.6f %u %s %u\n", seconds(), c->number, online ? "online" : "offline",
                (c->number + 1 + i) % n_clients);
        if (c->n_online == WATCHED && ++n_ready == n_clients)
                printf("%.6f 0 ready\n", seconds());
}

static void on_name_refused(void *userdata, Code code, const char *text) {
        fprintf(stderr, "refused: %s\n", text);
        exit(1);
}

static const DirectoryCallbacks directory_callbacks = {
        .trackers_changed = on_trackers_changed,
        .record = on_record,
        .presence = on_presence,
        .name_refused = on_name_refused,
};

static void client_start(Client *c, const EndpointKey *tracker) {
        PresenceRecord p = {.epoch = 1, .presence = PRESENCE_ONLINE, .seq = 1};

        memcpy(p.account, sign_key_public(&c->self.account), KEY_SIZE);
        memcpy(p.device, sign_key_public(&c->self.device), KEY_SIZE);
        check(presence_encode(&p, &c->self.device, &c->presence), "presence");
        check(directory_new(net, &c->self.local, &directory_callbacks, c, &c->directory),
                "directory");
        check(directory_set_trackers(c->directory, tracker, 1), "tracker");
        for (unsigned i = 1; i <= WATCHED; i++)
                check(directory_watch(c->directory, client_account(c->number + i)), "watch");
        directory_start(c->directory);
}

static int run_clients(char **argv) {
        EndpointKey tracker;
        char name[32];

        n_clients = (unsigned)atoi(argv[1]);
        clients = calloc(n_clients, sizeof(*clients));
        check(clients && n_clients > WATCHED ? 0 : -EINVAL, "COUNT");
        check(endpoint_key_parse(argv[0], &tracker), argv[0]);
        for (unsigned i = 0; i < n_clients; i++) {
                snprintf(name, sizeof(name), "crowd%u", i);
                clients[i].number = i;
                someone_new(name, &clients[i].self);
        }
        for (unsigned i = 0; i < n_clients; i++)
                client_start(&clients[i], &tracker);
        return sd_event_loop(event);
}

/* Callers */

typedef enum Kind {
        KIND_MUTE,
        KIND_HALF,
        KIND_NOISE,
        KIND_TLS, /* from here on behind TLS */
        KIND_RUBBISH,
        KIND_HUGE,
        KIND_DRIP,
        KIND_PING,
        _KIND_MAX,
} Kind;

static const char *const kind_names[] = {
        "mute", "half", "noise", "tls", "rubbish", "huge", "drip", "ping"};

typedef struct Caller {
        Kind kind;
        int fd; /* without TLS */
        LoopIo *io;
        Conn *conn;
        LoopTimer *timer;
        Someone self;
        Buffer hello; /* of KIND_DRIP: what is left of it */
        usec_t start;
} Caller;

static const char *protocol;
static Caller *callers;
static unsigned n_callers, n_open;

static void caller_closed(Caller *c) {
        printf("closed %s %.6f\n", kind_names[c->kind],
                (double)(loop_now(loop) - c->start) / USEC_PER_SEC);
        c->io = loop_io_free(c->io);
        c->conn = conn_free(c->conn);
        c->timer = loop_timer_free(c->timer);
        c->fd = safe_close(c->fd);
        if (--n_open == 0)
                sd_event_exit(event, 0);
}

static void on_caller_input(void *userdata, uint32_t events) {
        Caller *c = userdata;
        char buf[4096];
        ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n == 0 || (n < 0 && errno != EAGAIN))
                caller_closed(c);
}

static void caller_send_noise(Caller *c, size_t n) {
        uint8_t noise[4096];

        loop_random(loop, noise, sizeof(noise));
        (void)buffer_append(conn_output(c->conn), noise, MIN(n, sizeof(noise)));
        conn_queued(c->conn);
}

/* What a kind goes on with. */
static void on_caller_timer(void *userdata) {
        Caller *c = userdata;
        Buffer *out = conn_output(c->conn);

        if (c->kind == KIND_DRIP && buffer_size(&c->hello) > 0) {
                (void)buffer_append(out, buffer_data(&c->hello), 1);
                buffer_consume(&c->hello, 1);
        }
        while (c->kind == KIND_PING && buffer_size(out) < 16 * 1024)
                (void)frame_put_empty(out, FRAME_PING, 1);
        conn_queued(c->conn);
        loop_timer_set(c->timer, loop_now(loop) + 100 * USEC_PER_MSEC);
}

static void on_caller_open(void *userdata, const uint8_t key[static KEY_SIZE]) {
        static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0xa1, 0x00, 0x10};
        Caller *c = userdata;
        Buffer *out = conn_output(c->conn);

        switch (c->kind) {
        case KIND_RUBBISH:
                caller_send_noise(c, 4096);
                break;
        case KIND_HUGE:
                (void)buffer_append(out, huge, sizeof(huge));
                conn_queued(c->conn);
                break;
        case KIND_DRIP:
                (void)greeting_send(c->conn, &c->self.local, NULL);
                c->hello = *out;
                *out = BUFFER_NULL;
                loop_timer_set(c->timer, loop_now(loop));
                break;
        case KIND_PING:
                (void)greeting_send(c->conn, &c->self.local, NULL);
                loop_timer_set(c->timer, loop_now(loop) + 100 * USEC_PER_MSEC);
                break;
        default:
                break;
        }
}

static int on_caller_frame(void *userdata, Frame *f) {
        Caller *c = userdata;

        if (f->type == FRAME_HELLO_OK && !streq(protocol, NODE_ALPN)) {
                (void)hello_ok_encode(conn_output(c->conn), &(HelloOk){});
                conn_queued(c->conn);
        }
        return 0;
}

static void on_caller_closed(void *userdata, int error, const char *text) {
        caller_closed(userdata);
}

static const ConnCallbacks caller_callbacks = {
        .open = on_caller_open,
        .frame = on_caller_frame,
        .closed = on_caller_closed,
};

static void caller_start_plain(Caller *c) {
        static const char half[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        uint8_t noise[2000];

        if (c->kind == KIND_HALF)
                (void)!write(c->fd, half, sizeof(half));
        loop_random(loop, noise, sizeof(noise));
        if (c->kind == KIND_NOISE)
                (void)!write(c->fd, noise, sizeof(noise));
        check(loop_io_new(loop, c->fd, LOOP_READ, on_caller_input, c, &c->io), "io");
}

static void caller_start(Caller *c, unsigned number, unsigned sources, uint16_t port) {
        Transport *t;
        SockAddr peer;

        c->start = loop_now(loop);
        c->fd = loopback_connect(number % sources, port, &peer);
        check(c->fd, "connect");
        check(loop_timer_new(loop, on_caller_timer, c, &c->timer), "timer");
        if (c->kind < KIND_TLS) {
                caller_start_plain(c);
                return;
        }
        someone_new("caller", &c->self);
        check(tcp_transport_new(loop, TAKE_FD(c->fd), &peer, NULL, &t), "transport");
        check(conn_new(net, t, c->self.local.tls, TLS_CLIENT, protocol, &caller_callbacks, c,
                      &c->conn),
                "connection");
}

static Kind kind_from_name(const char *name) {
        for (int i = 0; i < _KIND_MAX; i++)
                if (streq(name, kind_names[i]))
                        return i;
        fprintf(stderr, "no such kind: %s\n", name);
        exit(2);
}

/* A few at a time, so that those before have their turn; they come in faster than they go out. */
typedef struct Start {
        uint16_t port;
        unsigned next, sources;
        LoopTimer *timer;
} Start;

static void on_start(void *userdata) {
        Start *s = userdata;

        for (int i = 0; i < 16 && s->next < n_callers; i++, s->next++)
                caller_start(&callers[s->next], s->next, s->sources, s->port);
        if (s->next < n_callers)
                loop_timer_set(s->timer, loop_now(loop) + 5 * USEC_PER_MSEC);
        else
                printf("ready\n");
}

static int run_callers(int argc, char **argv) {
        Start s = {.port = (uint16_t)atoi(argv[1]), .sources = (unsigned)atoi(argv[2])};
        int r;

        protocol = argv[0];
        for (int i = 3; i + 1 < argc; i += 2) {
                unsigned n = (unsigned)atoi(argv[i + 1]);

                callers = reallocarray(callers, n_callers + n, sizeof(*callers));
                check(callers ? 0 : -ENOMEM, "memory");
                for (unsigned k = 0; k < n; k++)
                        callers[n_callers++] =
                                (Caller){.kind = kind_from_name(argv[i]), .fd = -EBADF};
        }
        n_open = n_callers;
        check(loop_timer_new(loop, on_start, &s, &s.timer), "timer");
        loop_timer_set(s.timer, loop_now(loop));
        r = sd_event_loop(event);
        loop_timer_free(s.timer);
        return r;
}

int main(int argc, char **argv) {
        int r = -EINVAL;

        set_up();
        if (argc == 4 && streq(argv[1], "clients"))
                r = run_clients(argv + 2);
        else if (argc >= 7 && streq(argv[1], "callers"))
                r = run_callers(argc - 2, argv + 2);
        else
                fprintf(stderr, "usage: see the top of crowd.c\n");
        return r < 0 ? 1 : 0; /* what there is goes with the process */
}
