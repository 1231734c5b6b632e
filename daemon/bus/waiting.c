/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "bus/waiting.h"

#include <stdio.h>

#include <systemd/sd-bus.h>

#include "bus/bus.h"
#include "util/log.h"

struct BusWaiting {
        sd_bus *connection;
        BusWaitingFn fn;
        void *userdata;
        char why[512];
};

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        BusWaiting *w = userdata;
        int r;

        r = sd_bus_reply_method_errorf(m, BUS_ERROR_PREFIX "Locked", "%s.", w->why);
        w->fn(w->userdata);
        return r;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        log_error("The session bus is gone, and p2pchatd goes with it");
        return 0;
}

static int waiting_connect(BusWaiting *w, sd_event *event) {
        int r;

        r = sd_bus_open_user_with_description(&w->connection, "waiting");
        if (r >= 0)
                r = sd_bus_set_exit_on_disconnect(w->connection, true);
        if (r >= 0)
                r = sd_bus_add_fallback(w->connection, NULL, "/", on_call, w);
        if (r >= 0)
                r = sd_bus_match_signal_async(w->connection, NULL, "org.freedesktop.DBus.Local",
                        NULL, "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL,
                        w);
        if (r >= 0)
                r = sd_bus_attach_event(w->connection, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_request_name(w->connection, BUS_NAME, SD_BUS_NAME_ALLOW_REPLACEMENT);
        return MIN(r, 0);
}

int bus_waiting_new(
        sd_event *event, const char *why, BusWaitingFn fn, void *userdata, BusWaiting **ret) {
        _cleanup_(bus_waiting_freep) BusWaiting *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->fn = fn;
        w->userdata = userdata;
        bus_waiting_set(w, why);
        r = waiting_connect(w, event);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

void bus_waiting_set(BusWaiting *w, const char *why) {
        snprintf(w->why, sizeof(w->why), "%s", why);
}

BusWaiting *bus_waiting_free(BusWaiting *w) {
        if (!w)
                return NULL;
        /* Who has called before the name went elsewhere is answered. */
        while (w->connection && sd_bus_process(w->connection, NULL) > 0)
                ;
        sd_bus_flush_close_unref(w->connection);
        free(w);
        return NULL;
}
