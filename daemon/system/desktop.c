/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.freedesktop.Notifications, as the Desktop Notifications Specification 1.2 has it, with the
 * capability "inline-reply" of KDE's. */

#include <stdio.h>

#include "system/private.h"
#include "util/text.h"

#define NAME "org.freedesktop.Notifications"
#define PATH "/org/freedesktop/Notifications"

#define ACTION_REPLY "inline-reply"

static Service *service_of(Notifier *n) {
        return &n->services[SERVICE_DESKTOP];
}

static Item *find(Notifier *n, uint32_t id) {
        for (Item *i = n->items; i; i = i->next)
                if (i->shown == SERVICE_DESKTOP && i->id == id && id != 0)
                        return i;
        return NULL;
}

static int call_new(Notifier *n, const char *member, sd_bus_message **ret) {
        return sd_bus_message_new_method_call(n->bus, ret, NAME, PATH, NAME, member);
}

/* What it can do */

static int on_information(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *vendor, *version;
        Notifier *n = userdata;
        Service *s = service_of(n);

        /* Only for the doctor: it does its work without a name as well. */
        if (!sd_bus_message_is_method_error(m, NULL) &&
                sd_bus_message_read(m, "sss", &name, &vendor, &version) >= 0)
                snprintf(s->name, sizeof(s->name), "%s %s", name, version);
        text_clean(s->name);
        service_there(n, SERVICE_DESKTOP);
        return 0;
}

static int ask_information(Notifier *n) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        Service *s = service_of(n);
        int r;

        snprintf(s->name, sizeof(s->name), "%s", NAME);
        s->call = sd_bus_slot_unref(s->call);
        r = call_new(n, "GetServerInformation", &m);
        return r < 0 ? r
                     : sd_bus_call_async(n->bus, &s->call, m, on_information, n, NOTIFIER_PATIENCE);
}

static int read_capabilities(Service *s, sd_bus_message *m) {
        const char *capability;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &capability)) > 0) {
                s->actions |= streq(capability, "actions");
                s->markup |= streq(capability, "body-markup");
                s->reply |= streq(capability, ACTION_REPLY);
                service_add_capability(s, capability);
        }
        return r;
}

static int on_capabilities(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Notifier *n = userdata;
        Service *s = service_of(n);
        int r;

        if (sd_bus_message_is_method_error(m, NULL)) {
                service_failed(n, SERVICE_DESKTOP, sd_bus_message_get_error(m));
                return 0;
        }
        r = read_capabilities(s, m);
        if (r >= 0)
                r = service_set_owner(s, m);
        if (r >= 0)
                r = ask_information(n);
        if (r < 0)
                service_failed(n, SERVICE_DESKTOP,
                        &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, strerror(-r)));
        return 0;
}

static int ask(Notifier *n, bool start) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(n, "GetCapabilities", &m);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, start);
        return r < 0 ? r
                     : sd_bus_call_async(n->bus, &service_of(n)->call, m, on_capabilities, n,
                               NOTIFIER_PATIENCE);
}

/* Showing */

static int on_notified(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Item *i = userdata;
        uint32_t id;

        if (sd_bus_message_is_method_error(m, NULL))
                item_failed(i, SERVICE_DESKTOP, sd_bus_message_get_error(m));
        else if (sd_bus_message_read(m, "u", &id) < 0 || id == 0)
                item_failed(i, SERVICE_DESKTOP,
                        &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, "its answer has no id"));
        else
                item_shown(i, SERVICE_DESKTOP, id);
        return 0;
}

static int append_actions(sd_bus_message *m, const Notice *notice) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        if (r >= 0 && notice->can_read)
                r = sd_bus_message_append(m, "ss", ACTION_READ, LABEL_READ);
        if (r >= 0 && notice->can_reply)
                r = sd_bus_message_append(m, "ss", ACTION_REPLY, LABEL_REPLY);
        if (r >= 0 && notice->label[0])
                r = sd_bus_message_append(m, "ss", ACTION_CHOOSE, notice->label);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_hints(sd_bus_message *m, const Notice *notice) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}", "desktop-entry", "s", APPLICATION_ID,
                        "category", "s", "im.received", "urgency", "y", 1);
        if (r >= 0 && notice->can_reply)
                r = sd_bus_message_append(
                        m, "{sv}", "x-kde-reply-placeholder-text", "s", notice->prompt);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int show(Notifier *n, Item *i, const Notice *notice) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = call_new(n, "Notify", &m);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(
                        m, "susss", "p2pchat", i->id, "mail-unread", notice->title, notice->body);
        if (r >= 0)
                r = append_actions(m, notice);
        if (r >= 0)
                r = append_hints(m, notice);
        if (r >= 0)
                r = sd_bus_message_append(m, "i", -1);
        return r < 0 ? r
                     : sd_bus_call_async(n->bus, &i->call, m, on_notified, i, NOTIFIER_PATIENCE);
}

static void withdraw(Notifier *n, const Item *i) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        if (i->id == 0 || call_new(n, "CloseNotification", &m) < 0 ||
                sd_bus_message_set_expect_reply(m, false) < 0 ||
                sd_bus_message_set_auto_start(m, false) < 0 ||
                sd_bus_message_append(m, "u", i->id) < 0)
                return;
        (void)sd_bus_send(n->bus, m, NULL);
}

/* What the user does with it */

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Notifier *n = userdata;
        const char *text = "";
        uint32_t id;
        Item *i;

        if (!service_sent(service_of(n), m) || sd_bus_message_read(m, "u", &id) < 0)
                return 0;
        i = find(n, id);
        if (!i || i->gone)
                return 0;
        if (sd_bus_message_is_signal(m, NAME, "NotificationClosed")) {
                if (!i->call) /* else another takes its place, whose id is on the way */
                        item_closed(i);
                return 0;
        }
        if (sd_bus_message_read(m, "s", &text) < 0)
                return 0;
        if (sd_bus_message_is_signal(m, NAME, "NotificationReplied"))
                item_replied(i, text);
        else if (sd_bus_message_is_signal(m, NAME, "ActionInvoked") && streq(text, ACTION_READ))
                item_marked_read(i);
        else if (sd_bus_message_is_signal(m, NAME, "ActionInvoked") && streq(text, ACTION_CHOOSE))
                item_chosen(i);
        return 0;
}

static int watch(Notifier *n) {
        return sd_bus_add_match_async(n->bus, NULL,
                "type='signal',sender='" NAME "',path='" PATH "',interface='" NAME "'", on_signal,
                NULL, n);
}

const ServiceOps service_desktop = {
        .name = NAME,
        .watch = watch,
        .ask = ask,
        .show = show,
        .close = withdraw,
};
