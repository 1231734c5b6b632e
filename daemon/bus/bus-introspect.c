/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Asks the real object for its introspection data, over a pair of sockets in this process. */

#include "bus/bus-internal.h"

#include <sys/socket.h>

#include <systemd/sd-event.h>

static int peer_start(sd_event *event, int *fd, bool server, sd_bus **ret) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *b = NULL;
        sd_id128_t id;
        int r;

        r = sd_bus_new(&b);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(b, *fd, *fd);
        if (r < 0)
                return r;
        TAKE_FD(*fd);
        if (server) {
                r = sd_id128_randomize(&id);
                if (r >= 0)
                        r = sd_bus_set_server(b, true, id);
                if (r < 0)
                        return r;
        }
        r = sd_bus_start(b);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(b, event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        sd_event *event = sd_bus_get_event(sd_bus_message_get_bus(m));
        const sd_bus_error *e = sd_bus_message_get_error(m);
        const char *xml;
        FILE *f = userdata;
        int r;

        if (e)
                return sd_event_exit(event, -sd_bus_error_get_errno(e));
        r = sd_bus_message_read(m, "s", &xml);
        if (r > 0 && fputs(xml, f) == EOF)
                r = -EIO;
        return sd_event_exit(event, MIN(r, 0));
}

static int introspect(sd_event *event, FILE *f, sd_bus *server, sd_bus *client) {
        sd_bus_slot **slots;
        int r;

        r = bus_add_vtables(server, NULL, &slots);
        if (r < 0)
                return r;
        r = sd_bus_call_method_async(client, NULL, NULL, BUS_PATH,
                "org.freedesktop.DBus.Introspectable", "Introspect", on_answer, f, NULL);
        if (r >= 0)
                r = sd_event_loop(event);
        bus_drop_vtables(slots);
        return r;
}

int bus_introspect(FILE *f) {
        _cleanup_(sd_event_unrefp) sd_event *event = NULL;
        _cleanup_(sd_bus_close_unrefp) sd_bus *server = NULL, *client = NULL;
        _cleanup_(closep) int one = -EBADF, other = -EBADF;
        int fds[2];
        int r;

        r = sd_event_new(&event);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -errno;
        one = fds[0];
        other = fds[1];
        r = peer_start(event, &one, true, &server);
        if (r < 0)
                return r;
        r = peer_start(event, &other, false, &client);
        if (r < 0)
                return r;
        r = introspect(event, f, server, client);
        return r < 0 ? r : 0;
}
