/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Objects that a service makes when it is asked to, and keeps until it is told to end them. */

#include <stdio.h>

#include "system/dns-sd-private.h"

/* Whoever is busy is waited for: an answer that came too late would leave an object behind. Who
 * ends is answered for by the bus. */
#define PATIENCE UINT64_MAX

int dns_sd_call_new(DnsSd *d, const char *owner, const char *path, const char *interface,
        const char *member, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(d->bus, &m, owner, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

void remote_failed(Remote *o, int r) {
        o->kind->failed(o, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, strerror(-r)));
}

bool remote_answered(Remote *o, sd_bus_message *m) {
        o->call = sd_bus_slot_unref(o->call);
        if (!sd_bus_message_is_method_error(m, NULL))
                return true;
        o->kind->failed(o, sd_bus_message_get_error(m));
        return false;
}

static int read_path(Remote *o, sd_bus_message *m) {
        const char *path;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r < 0)
                return r;
        if (strlen(path) >= sizeof(o->path))
                return -ENAMETOOLONG;
        snprintf(o->path, sizeof(o->path), "%s", path);
        return 0;
}

static int on_made(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Remote *o = userdata;
        int r;

        if (o->unwanted) {
                o->unwanted = false;
                if (!sd_bus_message_is_method_error(m, NULL))
                        (void)read_path(o, m);
                o->call = sd_bus_slot_unref(o->call);
                (void)remote_end(o);
                o->kind->ended(o);
                return 0;
        }
        if (!remote_answered(o, m))
                return 0;
        r = read_path(o, m);
        if (r < 0)
                remote_failed(o, r);
        else
                o->kind->made(o);
        return 0;
}

int remote_make(Remote *o, sd_bus_message *m) {
        return sd_bus_call_async(o->dns_sd->bus, &o->call, m, on_made, o, PATIENCE);
}

/* The service that has the object: a name of its own is only known of Avahi. */
static const char *owner_of(const Remote *o) {
        return o->kind == &resolved_service ? RESOLVED_NAME : o->dns_sd->avahi.owner;
}

int remote_call_new(Remote *o, const char *member, sd_bus_message **ret) {
        return dns_sd_call_new(o->dns_sd, owner_of(o), o->path, o->kind->interface, member, ret);
}

int remote_call(Remote *o, sd_bus_message *m, sd_bus_message_handler_t fn) {
        return sd_bus_call_async(o->dns_sd->bus, &o->call, m, fn, o, PATIENCE);
}

void remote_tell(Remote *o, const char *member) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (remote_call_new(o, member, &m) >= 0 && sd_bus_message_set_expect_reply(m, false) >= 0)
                (void)sd_bus_send(o->dns_sd->bus, m, NULL);
}

void remote_forget(Remote *o) {
        o->call = sd_bus_slot_unref(o->call);
        o->path[0] = 0;
        o->unwanted = false;
}

bool remote_end(Remote *o) {
        if (!o->path[0] && o->call) {
                o->unwanted = true;
                return false;
        }
        if (o->path[0])
                remote_tell(o, o->kind->end);
        remote_forget(o);
        return true;
}

bool remote_is_none(const Remote *o) {
        return !o->path[0] && !o->call;
}
