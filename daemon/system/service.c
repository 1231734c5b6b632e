/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who shows notifications: what there is on the bus, what it can do, and when it is asked. */

#include <stdio.h>

#include <utlist.h>

#include "system/bus-name.h"
#include "system/private.h"
#include "util/log.h"
#include "util/text.h"

const ServiceOps *const service_ops[_SERVICE_MAX] = {
        [SERVICE_DESKTOP] = &service_desktop,
        [SERVICE_PORTAL] = &service_portal,
};

/* The portal only where it can do what the other cannot, or where there is no other. */
ServiceKind service_choose(const Notifier *n) {
        const Service *desktop = &n->services[SERVICE_DESKTOP],
                      *portal = &n->services[SERVICE_PORTAL];
        bool there = desktop->state == SERVICE_THERE;

        if (portal->state == SERVICE_THERE &&
                (there ? portal->reply && !desktop->reply : desktop->state != SERVICE_ASKED))
                return SERVICE_PORTAL;
        return there ? SERVICE_DESKTOP : _SERVICE_NONE;
}

static void service_reset(Service *s) {
        sd_bus_slot_unref(s->call);
        free(s->owner);
        *s = (Service){};
}

void service_ask(Notifier *n, ServiceKind kind, bool start) {
        Service *s = &n->services[kind];
        int r;

        if (s->state == SERVICE_ASKED || s->state == SERVICE_THERE)
                return;
        service_reset(s);
        s->state = SERVICE_ASKED;
        s->start = start;
        r = service_ops[kind]->ask(n, start);
        if (r < 0)
                service_failed(
                        n, kind, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, strerror(-r)));
}

/* The other one is of use where this one does not let the user answer. */
static void ask_portal(Notifier *n, bool start) {
        const Service *desktop = &n->services[SERVICE_DESKTOP];

        if (desktop->state == SERVICE_THERE && desktop->reply)
                return;
        if (n->services[SERVICE_PORTAL].state == SERVICE_UNKNOWN)
                service_ask(n, SERVICE_PORTAL, start && desktop->state != SERVICE_THERE);
}

void service_there(Notifier *n, ServiceKind kind) {
        Service *s = &n->services[kind];

        s->call = sd_bus_slot_unref(s->call);
        s->state = SERVICE_THERE;
        if (kind == SERVICE_DESKTOP)
                ask_portal(n, false);
        if (n->items)
                notifier_arm(n);
}

/* Nobody has the name or can be started for it, or the portal is one without notifications. */
static bool is_absence(const sd_bus_error *e) {
        static const char spawn[] = "org.freedesktop.DBus.Error.Spawn.";

        return sd_bus_error_has_names(e, SD_BUS_ERROR_SERVICE_UNKNOWN,
                       SD_BUS_ERROR_NAME_HAS_NO_OWNER, SD_BUS_ERROR_UNKNOWN_INTERFACE,
                       SD_BUS_ERROR_INVALID_ARGS) ||
                strncmp(e->name ?: "", spawn, sizeof(spawn) - 1) == 0;
}

void service_failed(Notifier *n, ServiceKind kind, const sd_bus_error *error) {
        Service *s = &n->services[kind];
        bool absent = is_absence(error), started = s->start || s->state == SERVICE_THERE;
        char text[sizeof(s->error)];

        snprintf(text, sizeof(text), "%s", error->message ?: error->name ?: "no answer");
        text_clean(text);
        service_reset(s);
        s->state = !absent ? SERVICE_FAILED : started ? SERVICE_ABSENT : SERVICE_UNKNOWN;
        memcpy(s->error, text, sizeof(text));
        if (s->state != SERVICE_UNKNOWN)
                n->retry = loop_now(n->loop) + NOTIFIER_PAUSE;
        if (s->state == SERVICE_FAILED && !n->complained) {
                n->complained = true; /* its text may repeat a message, so it is not logged */
                log_warning("Notifications: %s does not work: %s", service_ops[kind]->name,
                        error->name ?: "");
        }
        if (kind == SERVICE_DESKTOP && s->state != SERVICE_UNKNOWN)
                ask_portal(n, n->items != NULL);
        if (n->items)
                notifier_arm(n);
}

int service_set_owner(Service *s, sd_bus_message *answer) {
        char *owner = strdup(sd_bus_message_get_sender(answer) ?: "");

        if (!owner)
                return -ENOMEM;
        free(s->owner);
        s->owner = owner;
        return 0;
}

void service_add_capability(Service *s, const char *capability) {
        size_t n = strlen(s->capabilities);

        snprintf(s->capabilities + n, sizeof(s->capabilities) - n, "%s%s", n > 0 ? ", " : "",
                capability);
        text_clean(s->capabilities);
}

bool service_sent(const Service *s, sd_bus_message *m) {
        return s->state == SERVICE_THERE && s->owner &&
                streq(s->owner, sd_bus_message_get_sender(m) ?: "");
}

/* Nothing of what a service had on screen is there any more. */
static void service_gone(Notifier *n, ServiceKind kind) {
        Item *i, *next;

        service_reset(&n->services[kind]);
        DL_FOREACH_SAFE (n->items, i, next)
                if (i->shown == kind)
                        item_lost(i);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *after;
        Notifier *n = userdata;
        ServiceKind kind;

        if (bus_name_read(m, &name, &before, &after) < 0)
                return 0;
        for (kind = 0; kind < _SERVICE_MAX; kind++)
                if (streq(name, service_ops[kind]->name))
                        break;
        if (kind == _SERVICE_MAX)
                return 0;
        if (before[0])
                service_gone(n, kind);
        if (after[0])
                service_ask(n, kind, false);
        return 0;
}

static int connect_bus(Notifier *n) {
        int r;

        r = sd_bus_open_user_with_description(&n->bus, "notifications");
        if (r >= 0)
                r = sd_bus_attach_event(n->bus, n->event, SD_EVENT_PRIORITY_NORMAL);
        for (size_t k = 0; r >= 0 && k < _SERVICE_MAX; k++) {
                r = bus_name_watch(n->bus, service_ops[k]->name, on_owner_changed, n);
                if (r >= 0)
                        r = service_ops[k]->watch(n);
        }
        return r;
}

void services_disconnect(Notifier *n) {
        for (size_t k = 0; k < _SERVICE_MAX; k++)
                service_reset(&n->services[k]);
        n->bus = sd_bus_flush_close_unref(n->bus);
}

/* What runs already is asked at once; a program is started for it by the first message only. */
void services_connect(Notifier *n) {
        int r;

        r = connect_bus(n);
        if (r < 0) {
                services_disconnect(n);
                log_error_errno(r, "Notifications: the session bus cannot be reached");
        } else
                service_ask(n, SERVICE_DESKTOP, false);
}

static bool is_failed(const Service *s) {
        return s->state == SERVICE_ABSENT || s->state == SERVICE_FAILED;
}

void services_retry(Notifier *n) {
        if (loop_now(n->loop) < n->retry)
                return;
        for (size_t k = 0; k < _SERVICE_MAX; k++)
                if (is_failed(&n->services[k]))
                        service_reset(&n->services[k]);
}

/* What is kept back. */
static const char *without(const NotifierSettings *s) {
        if (s->locked)
                return " without texts, because the session is locked";
        return s->hide_text ? " without texts" : "";
}

NotifierState notifier_describe(const Notifier *n, char buf[static NOTIFIER_TEXT_SIZE]) {
        const Service *desktop = &n->services[SERVICE_DESKTOP];
        ServiceKind kind = service_choose(n);

        if (!n->settings.enabled) {
                snprintf(buf, NOTIFIER_TEXT_SIZE, "notify.enabled is false.");
                return NOTIFIER_OFF;
        }
        if (kind != _SERVICE_NONE) {
                snprintf(buf, NOTIFIER_TEXT_SIZE, "%s shows new messages%s (%s).",
                        n->services[kind].name, without(&n->settings),
                        n->services[kind].capabilities);
                return NOTIFIER_WORKS;
        }
        if (desktop->state == SERVICE_FAILED) {
                snprintf(buf, NOTIFIER_TEXT_SIZE, "What shows notifications does not work: %s.",
                        desktop->error);
                return NOTIFIER_FAILED;
        }
        snprintf(buf, NOTIFIER_TEXT_SIZE,
                "Nothing that shows notifications runs in this session%s.",
                n->settings.locked ? ", which is locked" : "");
        return NOTIFIER_ABSENT;
}
