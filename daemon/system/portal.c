/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.freedesktop.portal.Notification. From its version 2 on a button may have the purpose
 * "im.reply-with-text". Nothing is heard of a notification that the user closes. */

#include <stdio.h>

#include "system/private.h"

#define NAME "org.freedesktop.portal.Desktop"
#define PATH "/org/freedesktop/portal/desktop"
#define INTERFACE "org.freedesktop.portal.Notification"

#define ACTION_REPLY "reply"
#define PURPOSE_REPLY "im.reply-with-text"

static Service *service_of(Notifier *n) {
        return &n->services[SERVICE_PORTAL];
}

static int fail(Notifier *n, int r) {
        if (r < 0)
                service_failed(n, SERVICE_PORTAL,
                        &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, strerror(-r)));
        return 0;
}

/* What it can do */

static int read_purposes(Service *s, sd_bus_message *m) {
        const char *purpose;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &purpose)) > 0) {
                if (!streq(purpose, PURPOSE_REPLY))
                        continue;
                s->reply = true;
                service_add_capability(s, PURPOSE_REPLY);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_options(Service *s, sd_bus_message *m) {
        const char *option;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "a{sv}");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &option);
                if (r >= 0)
                        r = streq(option, "button-purpose") ? read_purposes(s, m)
                                                            : sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_properties(Service *s, sd_bus_message *m) {
        uint32_t version = 0;
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && streq(name, "version"))
                        r = sd_bus_message_read(m, "v", "u", &version);
                else if (r >= 0 && streq(name, "SupportedOptions"))
                        r = read_options(s, m);
                else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        s->actions = true;
        snprintf(s->name, sizeof(s->name), "The desktop portal, version %u,", version);
        if (version < 2)
                s->reply = false;
        return r;
}

static int on_properties(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Notifier *n = userdata;
        Service *s = service_of(n);
        int r;

        if (sd_bus_message_is_method_error(m, NULL)) {
                service_failed(n, SERVICE_PORTAL, sd_bus_message_get_error(m));
                return 0;
        }
        service_add_capability(s, "actions");
        r = read_properties(s, m);
        if (r >= 0)
                r = service_set_owner(s, m);
        if (r >= 0)
                service_there(n, SERVICE_PORTAL);
        return fail(n, r);
}

/* Whether or not it knows of applications that register: older ones do not. */
static int on_registered(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
        Notifier *n = userdata;
        Service *s = service_of(n);
        int r;

        if (sd_bus_message_is_method_error(m, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                sd_bus_message_is_method_error(m, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
                service_failed(n, SERVICE_PORTAL, sd_bus_message_get_error(m));
                return 0;
        }
        s->call = sd_bus_slot_unref(s->call);
        r = sd_bus_message_new_method_call(
                n->bus, &call, NAME, PATH, "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", INTERFACE);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_call_async(n->bus, &s->call, call, on_properties, n, NOTIFIER_PATIENCE);
        return fail(n, r);
}

static int ask(Notifier *n, bool start) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(
                n->bus, &m, NAME, PATH, "org.freedesktop.host.portal.Registry", "Register");
        if (r >= 0)
                r = sd_bus_message_append(m, "sa{sv}", APPLICATION_ID, 0);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, start);
        return r < 0 ? r
                     : sd_bus_call_async(n->bus, &service_of(n)->call, m, on_registered, n,
                               NOTIFIER_PATIENCE);
}

/* Showing */

static int on_added(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Item *i = userdata;

        if (sd_bus_message_is_method_error(m, NULL))
                item_failed(i, SERVICE_PORTAL, sd_bus_message_get_error(m));
        else
                item_shown(i, SERVICE_PORTAL, 1); /* it knows the key only */
        return 0;
}

/* A notification has one of the two at most. */
static int append_button(sd_bus_message *m, const char *label) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "buttons");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "aa{sv}");
        if (r >= 0 && label[0])
                r = sd_bus_message_append(
                        m, "aa{sv}", 1, 2, "label", "s", label, "action", "s", ACTION_CHOOSE);
        else if (r >= 0)
                r = sd_bus_message_append(m, "aa{sv}", 1, 3, "label", "s", LABEL_REPLY, "action",
                        "s", ACTION_REPLY, "purpose", "s", PURPOSE_REPLY);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_notice(sd_bus_message *m, const Notice *notice) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "title", "s", notice->title, "body",
                        "s", notice->body, "priority", "s", "normal");
        if (r >= 0 && notice->can_read)
                r = sd_bus_message_append(m, "{sv}", "default-action", "s", ACTION_READ);
        if (r >= 0 && notice->can_reply)
                r = sd_bus_message_append(m, "{sv}", "category", "s", "im.received");
        if (r >= 0 && (notice->can_reply || notice->label[0]))
                r = append_button(m, notice->label);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int show(Notifier *n, Item *i, const Notice *notice) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(n->bus, &m, NAME, PATH, INTERFACE, "AddNotification");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", i->key);
        if (r >= 0)
                r = append_notice(m, notice);
        return r < 0 ? r : sd_bus_call_async(n->bus, &i->call, m, on_added, i, NOTIFIER_PATIENCE);
}

static void withdraw(Notifier *n, const Item *i) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (i->id == 0 ||
                sd_bus_message_new_method_call(
                        n->bus, &m, NAME, PATH, INTERFACE, "RemoveNotification") < 0 ||
                sd_bus_message_set_expect_reply(m, false) < 0 ||
                sd_bus_message_set_auto_start(m, false) < 0 ||
                sd_bus_message_append(m, "s", i->key) < 0)
                return;
        (void)sd_bus_send(n->bus, m, NULL);
}

/* What the user does with it */

static Item *find(Notifier *n, const char *key) {
        for (Item *i = n->items; i; i = i->next)
                if (i->shown == SERVICE_PORTAL && i->id != 0 && streq(i->key, key))
                        return i;
        return NULL;
}

/* The text is the third of the parameters, after the action's target and what the desktop adds; as
 * we give no target, and some leave its place out, it is the only one that is a text. */
static int read_reply(sd_bus_message *m, const char **ret) {
        const char *contents;
        char type;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "v");
        while (r >= 0 && (r = sd_bus_message_peek_type(m, &type, &contents)) > 0)
                r = streq(contents, "s") ? sd_bus_message_read(m, "v", "s", ret)
                                         : sd_bus_message_skip(m, "v");
        return r;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *key, *action, *text = "";
        Notifier *n = userdata;
        Item *i;

        if (!service_sent(service_of(n), m) || sd_bus_message_read(m, "ss", &key, &action) < 0)
                return 0;
        i = find(n, key);
        if (!i || i->gone)
                return 0;
        if (streq(action, ACTION_READ))
                item_marked_read(i);
        else if (streq(action, ACTION_REPLY) && read_reply(m, &text) >= 0)
                item_replied(i, text);
        else if (streq(action, ACTION_CHOOSE))
                item_chosen(i);
        return 0;
}

static int watch(Notifier *n) {
        return sd_bus_add_match_async(n->bus, NULL,
                "type='signal',sender='" NAME "',path='" PATH "',interface='" INTERFACE
                "',member='ActionInvoked'",
                on_signal, NULL, n);
}

const ServiceOps service_portal = {
        .name = NAME,
        .watch = watch,
        .ask = ask,
        .show = show,
        .close = withdraw,
};
