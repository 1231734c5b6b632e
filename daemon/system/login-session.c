/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/login-session.h"

#include <stdio.h>

#include <systemd/sd-bus.h>

#include "util/log.h"

#define NAME "org.freedesktop.login1"
#define OBJECT "/org/freedesktop/login1"
#define PROPERTIES "org.freedesktop.DBus.Properties"

#define PATH_MAX_SIZE 256

struct LoginSession {
        sd_bus *bus;
        LoginSessionFn fn;
        void *userdata;
        LoginSessionState state;
        char user[64]; /* the object of this user */
        char session
                [PATH_MAX_SIZE]; /* that of the session that is his display; "" where he has none */
        sd_bus_slot *call; /* a question that is open */
        bool again; /* what was asked may be something else by now */
};

static const LoginSessionState nothing;

static void ask_display(LoginSession *l);

static void set_state(LoginSession *l, const LoginSessionState *state) {
        if (l->state.locked == state->locked && l->state.idle_since == state->idle_since)
                return;
        l->state = *state;
        l->fn(l->userdata, &l->state);
}

static void answered(LoginSession *l, const LoginSessionState *state) {
        l->call = sd_bus_slot_unref(l->call);
        if (l->again)
                ask_display(l);
        else
                set_state(l, state);
}

/* Which session it is about is not known, so that nothing it says later would be heard. */
static void not_answered(LoginSession *l) {
        answered(l, &nothing);
        if (!l->call)
                ask_display(l);
}

/* PROPERTY may be NULL: all of them. */
static int ask(LoginSession *l, const char *path, const char *interface, const char *property,
        sd_bus_message_handler_t fn) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        l->call = sd_bus_slot_unref(l->call);
        r = sd_bus_message_new_method_call(
                l->bus, &m, NAME, path, PROPERTIES, property ? "Get" : "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", interface);
        if (r >= 0 && property)
                r = sd_bus_message_append(m, "s", property);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        return r < 0 ? r : sd_bus_call_async(l->bus, &l->call, m, fn, l, LOGIN_SESSION_PATIENCE);
}

typedef struct Properties {
        int locked, idle;
        uint64_t idle_since; /* when IDLE last changed */
        const char *type;
} Properties;

/* What is there of them. */
static void read_properties(sd_bus_message *m, Properties *ret) {
        const struct {
                const char *name, *type;
                void *value;
        } wanted[] = {
                {"LockedHint", "b", &ret->locked},
                {"IdleHint", "b", &ret->idle},
                {"IdleSinceHint", "t", &ret->idle_since},
                {"Type", "s", &ret->type},
        };
        const char *name;
        int r;

        if (sd_bus_message_enter_container(m, 'a', "{sv}") < 0)
                return;
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                bool found = false;

                r = sd_bus_message_read(m, "s", &name);
                for (size_t i = 0; r > 0 && i < ELEMENTSOF(wanted); i++)
                        if (streq(name, wanted[i].name)) {
                                r = sd_bus_message_read(m, "v", wanted[i].type, wanted[i].value);
                                found = true;
                        }
                if (r > 0 && !found)
                        r = sd_bus_message_skip(m, "v");
                if (r < 0 || sd_bus_message_exit_container(m) < 0)
                        return;
        }
}

static bool is_graphical(const char *type) {
        return streq(type, "x11") || streq(type, "wayland") || streq(type, "mir");
}

static int on_session(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Properties p = {.type = ""};

        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY)) {
                not_answered(userdata);
                return 0;
        }
        if (!sd_bus_message_is_method_error(m, NULL))
                read_properties(m, &p);
        answered(userdata,
                &(LoginSessionState){.locked = p.locked,
                        .idle_since = p.idle && is_graphical(p.type) ? p.idle_since : 0});
        return 0;
}

static int on_display(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *id = "", *path = "/";
        LoginSession *l = userdata;

        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY)) {
                not_answered(l);
                return 0;
        }
        if (!sd_bus_message_is_method_error(m, NULL))
                (void)sd_bus_message_read(m, "v", "(so)", &id, &path);
        snprintf(l->session, sizeof(l->session), "%s", id[0] ? path : "");
        if (!l->session[0] || ask(l, l->session, NAME ".Session", NULL, on_session) < 0)
                answered(l, &nothing);
        return 0;
}

/* One question at a time. */
static void ask_display(LoginSession *l) {
        l->again = l->call;
        if (!l->call && ask(l, l->user, NAME ".User", "Display", on_display) < 0)
                set_state(l, &nothing);
}

/* Of the user, or of any session: what is new is asked for, whoever says so. */
static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        LoginSession *l = userdata;

        if (path && (streq(path, l->user) || streq(path, l->session)))
                ask_display(l);
        return 0;
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ask_display(userdata);
        return 0;
}

/* Nobody says any more what becomes of it. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        set_state(userdata, &nothing);
        return 0;
}

static int login_session_connect(LoginSession *l, sd_event *event) {
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

int login_session_new(sd_event *event, LoginSessionFn fn, void *userdata, LoginSession **ret) {
        LoginSession *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->fn = fn;
        l->userdata = userdata;
        snprintf(l->user, sizeof(l->user), OBJECT "/user/_%u", (unsigned)getuid());
        r = login_session_connect(l, event);
        if (r < 0) {
                log_debug("There is no system bus that would tell of the session");
                l->bus = sd_bus_close_unref(l->bus);
        } else {
                l->state.locked = true;
                ask_display(l);
        }
        *ret = l;
        return 0;
}

LoginSession *login_session_free(LoginSession *l) {
        if (!l)
                return NULL;
        sd_bus_slot_unref(l->call);
        sd_bus_close_unref(l->bus);
        free(l);
        return NULL;
}

const LoginSessionState *login_session_state(const LoginSession *l) {
        return &l->state;
}
