/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/session-lock.h"

#include <stdio.h>

#include <systemd/sd-bus.h>

#include "util/log.h"

#define NAME "org.freedesktop.login1"
#define OBJECT "/org/freedesktop/login1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

#define PATH_MAX_SIZE 256

struct SessionLock {
        sd_bus *bus;
        SessionLockFn fn;
        void *userdata;
        char user[64]; /* the object of this user */
        char session
                [PATH_MAX_SIZE]; /* that of the session that is his display; "" where he has none */
        bool locked;
        sd_bus_slot *call; /* a question that is open */
        bool again; /* what was asked may be something else by now */
};

static void ask_display(SessionLock *l);

static void set_locked(SessionLock *l, bool locked) {
        if (l->locked == locked)
                return;
        l->locked = locked;
        l->fn(l->userdata, locked);
}

static void answered(SessionLock *l, bool locked) {
        l->call = sd_bus_slot_unref(l->call);
        if (l->again)
                ask_display(l);
        else
                set_locked(l, locked);
}

static int ask(SessionLock *l, const char *path, const char *interface, const char *property,
        sd_bus_message_handler_t fn) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        l->call = sd_bus_slot_unref(l->call);
        r = sd_bus_message_new_method_call(l->bus, &m, NAME, path, PROPERTIES, "Get");
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", interface, property);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        return r < 0 ? r : sd_bus_call_async(l->bus, &l->call, m, fn, l, SESSION_LOCK_PATIENCE);
}

static int on_locked(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int locked = false;

        if (!sd_bus_message_is_method_error(m, NULL))
                (void)sd_bus_message_read(m, "v", "b", &locked);
        answered(userdata, locked);
        return 0;
}

static int on_display(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *id = "", *path = "/";
        SessionLock *l = userdata;

        if (!sd_bus_message_is_method_error(m, NULL))
                (void)sd_bus_message_read(m, "v", "(so)", &id, &path);
        snprintf(l->session, sizeof(l->session), "%s", id[0] ? path : "");
        if (!l->session[0] || ask(l, l->session, NAME ".Session", "LockedHint", on_locked) < 0)
                answered(l, false);
        return 0;
}

/* One question at a time. */
static void ask_display(SessionLock *l) {
        l->again = l->call;
        if (!l->call && ask(l, l->user, NAME ".User", "Display", on_display) < 0)
                set_locked(l, false);
}

/* Of the user, or of any session: what is new is asked for, whoever says so. */
static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        SessionLock *l = userdata;

        if (path && (streq(path, l->user) || streq(path, l->session)))
                ask_display(l);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ask_display(userdata);
        return 0;
}

/* Nobody says any more when it is locked. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        set_locked(userdata, false);
        return 0;
}

static int session_lock_connect(SessionLock *l, sd_event *event) {
        int r;

        r = sd_bus_open_system_with_description(&l->bus, "logind");
        if (r >= 0)
                r = sd_bus_attach_event(l->bus, event, SD_EVENT_PRIORITY_NORMAL);
        if (r >= 0)
                r = sd_bus_add_match_async(l->bus, NULL,
                        "type='signal',sender='" NAME "',path_namespace='" OBJECT
                        "',interface='" PROPERTIES "',member='PropertiesChanged'",
                        on_changed, NULL, l);
        if (r >= 0)
                r = sd_bus_add_match_async(l->bus, NULL,
                        "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',"
                        "arg0='" NAME "'",
                        on_owner_changed, NULL, l);
        if (r >= 0)
                r = sd_bus_match_signal_async(l->bus, NULL, "org.freedesktop.DBus.Local", NULL,
                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, l);
        return r;
}

int session_lock_new(sd_event *event, SessionLockFn fn, void *userdata, SessionLock **ret) {
        SessionLock *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->fn = fn;
        l->userdata = userdata;
        snprintf(l->user, sizeof(l->user), OBJECT "/user/_%u", (unsigned)getuid());
        r = session_lock_connect(l, event);
        if (r < 0) {
                log_debug("There is no system bus that would tell when the session is locked");
                l->bus = sd_bus_close_unref(l->bus);
        } else {
                l->locked = true;
                ask_display(l);
        }
        *ret = l;
        return 0;
}

SessionLock *session_lock_free(SessionLock *l) {
        if (!l)
                return NULL;
        sd_bus_slot_unref(l->call);
        sd_bus_close_unref(l->bus);
        free(l);
        return NULL;
}

bool session_lock_is_locked(const SessionLock *l) {
        return l->locked;
}
