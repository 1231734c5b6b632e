/* SPDX-License-Identifier: GPL-3.0-or-later */

#pragma once

/* The D-Bus API over a pair of sockets, with a chat that does as it is told. */

#include <sys/socket.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "bus/bus.h"
#include "net/loop-sd-event.h"

#include "fake-chat.h"
#include "test.h"

#define DEADLINE (60 * USEC_PER_SEC)

typedef struct Fixture {
        sd_event *event;
        Loop *loop;
        sd_bus *client;
        Bus *bus;
        Chat chat;

        sd_bus_message *reply, *signal; /* the last ones */
        unsigned n_replies, n_signals;
} Fixture;

static Fixture *f;

static inline sd_bus *peer_new(int fd, bool server) {
        sd_id128_t id;
        sd_bus *b;

        CHECK_OK(sd_bus_new(&b));
        CHECK_OK(sd_bus_set_fd(b, fd, fd));
        CHECK_OK(sd_id128_randomize(&id));
        if (server)
                CHECK_OK(sd_bus_set_server(b, true, id));
        CHECK_OK(sd_bus_set_connected_signal(b, false));
        CHECK(sd_bus_start(b) >= 0);
        return b;
}

static inline int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        f->n_replies++;
        sd_bus_message_unref(f->reply);
        f->reply = sd_bus_message_ref(m);
        return 0;
}

static inline int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        f->n_signals++;
        sd_bus_message_unref(f->signal);
        f->signal = sd_bus_message_ref(m);
        return 0;
}

static inline void set_up(void) {
        sd_bus *server;
        int fds[2];

        f = calloc(1, sizeof(*f));
        CHECK(f);
        CHECK(sd_event_new(&f->event) >= 0);
        CHECK_OK(loop_sd_event_new(f->event, &f->loop));
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
        server = peer_new(fds[0], true);
        f->client = peer_new(fds[1], false);
        CHECK(sd_bus_attach_event(f->client, f->event, 0) >= 0);
        CHECK(sd_bus_add_match(f->client, NULL, "type='signal'", on_signal, NULL) >= 0);
        f->chat.status =
                (ChatStatus){.name = "", .account = "", .fingerprint = "", .state = "logged-out"};
        CHECK_OK(bus_new_on(server, f->event, f->loop, &f->chat, &f->bus));
        sd_bus_unref(server);
}

/* A turn of the loop; everything that is waited for comes by itself. */
static inline void turn(void) {
        CHECK(sd_event_run(f->event, DEADLINE) > 0);
}

static inline void tear_down(void) {
        f->bus = bus_free(f->bus);
        CHECK(!f->chat.events);
        sd_bus_message_unref(f->reply);
        sd_bus_message_unref(f->signal);
        sd_bus_close_unref(f->client);
        loop_sd_event_free(f->loop);
        sd_event_unref(f->event);
        free(f);
}

/* Calls */

static inline sd_bus_message *call_new(const char *interface, const char *member) {
        sd_bus_message *m;

        CHECK(sd_bus_message_new_method_call(f->client, &m, NULL, BUS_PATH, interface, member) >=
                0);
        return m;
}

static inline void call_send(sd_bus_message *m) {
        CHECK(sd_bus_call_async(f->client, NULL, m, on_reply, NULL, UINT64_MAX) >= 0);
        sd_bus_message_unref(m);
}

static inline void call_wait(sd_bus_message *m) {
        unsigned n = f->n_replies;

        call_send(m);
        while (f->n_replies == n)
                turn();
}

static inline void call_until_open(sd_bus_message *m) {
        unsigned n = f->chat.n_open;

        call_send(m);
        while (f->chat.n_open == n)
                turn();
}

static inline int on_settled(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *)userdata = true;
        return 0;
}

/* Reads all that has been sent to here: the answer of a call comes after what was sent before. */
static inline void settle(void) {
        bool settled = false;

        CHECK(sd_bus_call_method_async(f->client, NULL, NULL, BUS_PATH, "org.freedesktop.DBus.Peer",
                      "Ping", on_settled, &settled, NULL) >= 0);
        while (!settled)
                turn();
}

#define CALL(member, ...)                                                                          \
        ({                                                                                         \
                sd_bus_message *_m = call_new(BUS_INTERFACE, member);                              \
                CHECK(sd_bus_message_append(_m, __VA_ARGS__) >= 0);                                \
                _m;                                                                                \
        })

static inline void check_error(const char *name, const char *part) {
        const sd_bus_error *e = sd_bus_message_get_error(f->reply);

        CHECK(e);
        CHECK_STR(e->name, name);
        CHECK(e->message && strstr(e->message, part));
}

static inline void check_empty_answer(void) {
        CHECK(!sd_bus_message_get_error(f->reply));
        CHECK(sd_bus_message_is_empty(f->reply));
}

static inline FakeCall take_open(void) {
        CHECK(f->chat.n_open > 0);
        return f->chat.open[--f->chat.n_open];
}

/* The value of KEY in the a{sv} that comes next in M, as text; NULL when it is not there. */
static inline const char *find_key(sd_bus_message *m, const char *key) {
        static char text[128];
        const char *found = NULL, *k, *type, *s;
        uint64_t t;
        uint32_t u;
        int b;

        CHECK(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                CHECK(sd_bus_message_read(m, "s", &k) > 0);
                CHECK(sd_bus_message_peek_type(m, NULL, &type) > 0);
                if (!streq(k, key))
                        CHECK(sd_bus_message_skip(m, "v") >= 0);
                else if (streq(type, "s")) {
                        CHECK(sd_bus_message_read(m, "v", "s", &s) > 0);
                        snprintf(text, sizeof(text), "%s", s);
                        found = text;
                } else if (streq(type, "u")) {
                        CHECK(sd_bus_message_read(m, "v", "u", &u) > 0);
                        snprintf(text, sizeof(text), "u%u", u);
                        found = text;
                } else if (streq(type, "t")) {
                        CHECK(sd_bus_message_read(m, "v", "t", &t) > 0);
                        snprintf(text, sizeof(text), "t%llu", (unsigned long long)t);
                        found = text;
                } else if (streq(type, "b")) {
                        CHECK(sd_bus_message_read(m, "v", "b", &b) > 0);
                        found = b ? "true" : "false";
                } else {
                        CHECK(sd_bus_message_skip(m, "v") >= 0);
                        found = type;
                }
                CHECK(sd_bus_message_exit_container(m) >= 0);
        }
        CHECK(sd_bus_message_exit_container(m) >= 0);
        return found;
}

/* The same of the first dictionary of a list. */
static inline const char *row_key(const char *key) {
        CHECK(sd_bus_message_rewind(f->reply, true) >= 0);
        CHECK(sd_bus_message_enter_container(f->reply, 'a', "a{sv}") > 0);
        return find_key(f->reply, key);
}
