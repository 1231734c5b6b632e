/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus-signal.h"

#include <poll.h>
#include <systemd/sd-bus.h>
#include <time.h>

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(value_freep) Value *args = NULL;
        SignalHandler *h = userdata;

        if (value_read_all(m, &args) < 0)
                return 0;
        h->member = sd_bus_message_get_member(m);
        h->fn(args, h->userdata);
        return 0;
}

static int subscribe(Chatc *c, const char *interface, const char *member, SignalHandler *h) {
        int r;

        r = bus_open(c);
        if (r > 0)
                return r;
        c->listening = true;
        r = sd_bus_match_signal(
                c->bus, &h->slot, BUS_NAME, BUS_PATH, interface, member, on_signal, h);
        return r < 0 ? bus_lost(r) : 0;
}

int signal_subscribe(Chatc *c, const char *member, SignalHandler *h) {
        return subscribe(c, BUS_NAME, member, h);
}

int signal_subscribe_properties(Chatc *c, SignalHandler *h) {
        return subscribe(c, "org.freedesktop.DBus.Properties", "PropertiesChanged", h);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new;
        SignalHandler *h = userdata;
        Value present = {.type = VALUE_BOOL}, *items[] = {&present};
        Value args = {.type = VALUE_LIST, .items = items, .n_items = 1};

        if (sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        present.boolean = *new != '\0';
        h->fn(&args, h->userdata);
        return 0;
}

int signal_subscribe_owner(Chatc *c, SignalHandler *h) {
        int r;

        r = bus_open(c);
        if (r > 0)
                return r;
        c->listening = true;
        r = sd_bus_add_match(c->bus, &h->slot,
                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='" BUS_NAME "'",
                on_owner_changed, h);
        return r < 0 ? bus_lost(r) : 0;
}

void signal_done(SignalHandler *h) {
        h->slot = sd_bus_slot_unref(h->slot);
}

int bus_wait(Chatc *c, usec_t deadline, bool *ret_timeout) {
        usec_t now, left = UINT64_MAX;
        int r;

        /* First, or a steady stream of signals would put the end off. */
        *ret_timeout = false;
        if (deadline != USEC_INFINITY) {
                now = usec_monotonic();
                if (now >= deadline) {
                        *ret_timeout = true;
                        return 0;
                }
                left = deadline - now;
        }
        r = sd_bus_process(c->bus, NULL);
        if (r < 0)
                return bus_lost(r);
        if (r > 0)
                return 0;
        r = sd_bus_wait(c->bus, left);
        if (r < 0 && r != -EINTR)
                return bus_lost(r);
        return 0;
}

int bus_process(Chatc *c, size_t max) {
        int r;

        for (size_t i = 0; i < max; i++) {
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return bus_lost(r);
                if (r == 0)
                        return 0;
        }
        return 0;
}

static const struct timespec *time_left(usec_t deadline, struct timespec *buf) {
        usec_t now = usec_monotonic(), left = deadline > now ? deadline - now : 0;

        if (deadline == USEC_INFINITY)
                return NULL;
        *buf = (struct timespec){(time_t)(left / USEC_PER_SEC), (long)(left % USEC_PER_SEC) * 1000};
        return buf;
}

int bus_sleep(Chatc *c, int fd, usec_t deadline, const sigset_t *mask, BusWake *ret) {
        struct pollfd fds[] = {
                {.fd = sd_bus_get_fd(c->bus), .events = (short)sd_bus_get_events(c->bus)},
                {.fd = STDOUT_FILENO},
                {.fd = fd, .events = POLLIN},
        };
        struct timespec buf;
        uint64_t due;
        int r;

        /* Messages that were read during a call are due at once. */
        if (sd_bus_get_timeout(c->bus, &due) > 0)
                deadline = MIN(deadline, due);
        r = ppoll(fds, ELEMENTSOF(fds), time_left(deadline, &buf), mask);
        if (r < 0 && errno != EINTR)
                return bus_lost(-errno);
        if (r < 0)
                *ret = WAKE_SIGNAL;
        else if (r == 0)
                *ret = WAKE_TIMEOUT;
        else if (fds[1].revents)
                *ret = WAKE_CLOSED;
        else if (fds[2].revents)
                *ret = WAKE_INPUT;
        else
                *ret = WAKE_BUS;
        return 0;
}
