/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which notifications there are to be, and by whom. How they are shown is for the services. */

#include <stdio.h>

#include <utlist.h>

#include "system/private.h"
#include "util/log.h"
#include "util/text.h"

/* Things said once, of NOTIFIER_ITEMS_MAX. */
#define SAID_MAX 8

static const ServiceOps *const services[_SERVICE_MAX] = {
        [SERVICE_DESKTOP] = &service_desktop,
        [SERVICE_PORTAL] = &service_portal,
};

static void arm(Notifier *n) {
        usec_t now = loop_now(n->loop);

        loop_timer_set(n->timer, MAX(now, n->last_round ? n->last_round + NOTIFIER_INTERVAL : now));
}

/* Items */

static Item *item_find(Notifier *n, const char *key) {
        Item *i;

        DL_FOREACH (n->items, i)
                if (streq(i->key, key))
                        return i;
        return NULL;
}

static void item_free(Item *i) {
        Notifier *n = i->notifier;

        DL_DELETE(n->items, i);
        n->n_items--;
        n->n_said -= i->text != NULL;
        sd_bus_slot_unref(i->call);
        free(i->title);
        free(i->text);
        free(i);
}

static void item_withdraw(Item *i) {
        if (i->shown != _SERVICE_NONE)
                services[i->shown]->close(i->notifier, i);
        i->shown = _SERVICE_NONE;
        i->id = 0;
}

/* An item that is on its way has no id so far by which it could be withdrawn. */
static void item_end(Item *i) {
        i->gone = true;
        if (i->call)
                return;
        item_withdraw(i);
        item_free(i);
}

/* The one that was quiet longest goes, unless it is on its way. */
static int make_room(Notifier *n, bool said) {
        Item *i;

        if (n->n_items < NOTIFIER_ITEMS_MAX && (!said || n->n_said < SAID_MAX))
                return 0;
        DL_FOREACH (n->items, i) {
                if (i->call || (said && !i->text))
                        continue;
                item_end(i);
                return 0;
        }
        return -EBUSY;
}

static Item *item_new(Notifier *n, bool said) {
        Item *i = make_room(n, said) < 0 ? NULL : calloc(1, sizeof(*i));

        if (!i)
                return NULL;
        i->notifier = n;
        i->shown = _SERVICE_NONE;
        i->fresh = true;
        DL_APPEND(n->items, i);
        n->n_items++;
        return i;
}

/* Showing */

/* The portal only where it can do what the other cannot, or where there is no other. */
static ServiceKind choose_service(const Notifier *n) {
        const Service *desktop = &n->services[SERVICE_DESKTOP],
                      *portal = &n->services[SERVICE_PORTAL];

        bool there = desktop->state == SERVICE_THERE;

        if (portal->state == SERVICE_THERE &&
                (there ? portal->reply && !desktop->reply : desktop->state != SERVICE_ASKED))
                return SERVICE_PORTAL;
        return there ? SERVICE_DESKTOP : _SERVICE_NONE;
}

static void describe(const Item *i, const NotifierNews *news, const Service *s, Notice *ret) {
        const NotifierSettings *settings = &i->notifier->settings;
        bool hidden = settings->hide_text || settings->locked;
        const char *text = i->text ?: news->text;

        notice_title(i->title ?: news->from, i->text ? 0 : news->unread, ret->title);
        if (!hidden && text)
                notice_body(text, s->markup, ret->body);
        else
                snprintf(ret->body, sizeof(ret->body), "%s",
                        i->text ? "" : notice_hidden(news->unread));
        ret->can_read = !i->text && !hidden && text && s->actions;
        ret->can_reply = !i->text && !settings->locked && s->reply;
        snprintf(ret->prompt, sizeof(ret->prompt), "Reply to %s", i->text ? "" : news->from);
}

/* 0: there is nothing to be said of it any more. */
static int item_look(const Item *i, NotifierNews *ret) {
        const Notifier *n = i->notifier;

        *ret = (NotifierNews){};
        return i->text || n->callbacks->look(n->userdata, i->key, i->message, ret);
}

static void item_update(Item *i, ServiceKind kind) {
        Notifier *n = i->notifier;
        NotifierNews news;
        Notice notice;
        int r;

        if (i->gone || !item_look(i, &news)) {
                item_end(i);
                return;
        }
        if (kind == _SERVICE_NONE || (!i->fresh && i->shown == _SERVICE_NONE))
                return;
        if (i->shown != kind)
                item_withdraw(i);
        describe(i, &news, &n->services[kind], &notice);
        memcpy(i->read, i->message, sizeof(i->read));
        if (!notice.can_read)
                i->read[0] = 0;
        i->shown = kind;
        i->fresh = i->dirty = false;
        r = services[kind]->show(n, i, &notice);
        if (r < 0)
                item_failed(i, kind, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, strerror(-r)));
}

void item_shown(Item *i, ServiceKind kind, uint32_t id) {
        i->call = sd_bus_slot_unref(i->call);
        i->shown = kind;
        i->id = id;
        if (i->gone)
                item_end(i);
        else if (i->dirty || i->fresh)
                arm(i->notifier);
}

void item_failed(Item *i, ServiceKind kind, const sd_bus_error *error) {
        Notifier *n = i->notifier;

        i->call = sd_bus_slot_unref(i->call);
        if (i->id == 0)
                i->shown = _SERVICE_NONE;
        i->fresh = true;
        if (i->gone)
                item_end(i);
        service_failed(n, kind, error);
}

void item_closed(Item *i) {
        i->id = 0;
        i->shown = _SERVICE_NONE;
        if (!i->fresh)
                item_free(i);
}

void item_replied(Item *i, const char *text) {
        Notifier *n = i->notifier;

        if (i->text || !text[0])
                return;
        if (n->settings.locked)
                notifier_say(n, "Your reply was not sent", "The session is locked.");
        else
                n->callbacks->reply(n->userdata, i->key, i->read, text);
}

void item_marked_read(Item *i) {
        const Notifier *n = i->notifier;

        if (i->read[0] && !n->settings.locked)
                n->callbacks->read(n->userdata, i->key, i->read);
}

/* Services */

static void service_reset(Service *s) {
        sd_bus_slot_unref(s->call);
        free(s->owner);
        *s = (Service){};
}

static void service_ask(Notifier *n, ServiceKind kind, bool start) {
        Service *s = &n->services[kind];
        int r;

        if (s->state == SERVICE_ASKED || s->state == SERVICE_THERE)
                return;
        service_reset(s);
        s->state = SERVICE_ASKED;
        s->start = start;
        r = services[kind]->ask(n, start);
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
                arm(n);
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
                log_warning("Notifications: %s does not work: %s", services[kind]->name,
                        error->name ?: "");
        }
        if (kind == SERVICE_DESKTOP && s->state != SERVICE_UNKNOWN)
                ask_portal(n, n->items != NULL);
        if (n->items)
                arm(n);
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
        DL_FOREACH_SAFE (n->items, i, next) {
                if (i->shown != kind)
                        continue;
                i->call = sd_bus_slot_unref(i->call);
                i->shown = _SERVICE_NONE;
                i->id = 0;
                i->fresh = true;
                if (i->gone)
                        item_free(i);
        }
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *before, *after;
        Notifier *n = userdata;
        ServiceKind kind;

        if (!streq(sd_bus_message_get_sender(m) ?: "", "org.freedesktop.DBus") ||
                sd_bus_message_read(m, "sss", &name, &before, &after) < 0)
                return 0;
        for (kind = 0; kind < _SERVICE_MAX; kind++)
                if (streq(name, services[kind]->name))
                        break;
        if (kind == _SERVICE_MAX)
                return 0;
        if (before[0])
                service_gone(n, kind);
        if (after[0])
                service_ask(n, kind, false);
        return 0;
}

static int watch_owner(Notifier *n, const char *name) {
        char rule[256];

        snprintf(rule, sizeof(rule),
                "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                "member='NameOwnerChanged',arg0='%s'",
                name);
        return sd_bus_add_match_async(n->bus, NULL, rule, on_owner_changed, NULL, n);
}

static int connect_bus(Notifier *n) {
        int r;

        r = sd_bus_open_user_with_description(&n->bus, "notifications");
        if (r >= 0)
                r = sd_bus_attach_event(n->bus, n->event, SD_EVENT_PRIORITY_NORMAL);
        for (size_t k = 0; r >= 0 && k < _SERVICE_MAX; k++) {
                r = watch_owner(n, services[k]->name);
                if (r >= 0)
                        r = services[k]->watch(n);
        }
        return r;
}

static void disconnect(Notifier *n) {
        for (size_t k = 0; k < _SERVICE_MAX; k++)
                service_reset(&n->services[k]);
        n->bus = sd_bus_flush_close_unref(n->bus);
}

/* What runs already is asked at once; a program is started for it by the first message only. */
static void enable(Notifier *n) {
        int r;

        r = connect_bus(n);
        if (r < 0) {
                disconnect(n);
                log_error_errno(r, "Notifications: the session bus cannot be reached");
        } else
                service_ask(n, SERVICE_DESKTOP, false);
}

/* Rounds */

static void on_timer(void *userdata) {
        Notifier *n = userdata;
        ServiceKind kind = choose_service(n);
        Item *i, *next;

        n->last_round = loop_now(n->loop);
        DL_FOREACH_SAFE (n->items, i, next)
                if (!i->call && (i->dirty || i->fresh || i->gone))
                        item_update(i, kind);
        if (n->items && kind == _SERVICE_NONE &&
                n->services[SERVICE_DESKTOP].state == SERVICE_UNKNOWN)
                service_ask(n, SERVICE_DESKTOP, true);
}

static bool is_failed(const Service *s) {
        return s->state == SERVICE_ABSENT || s->state == SERVICE_FAILED;
}

/* Who was absent is asked again. */
static void retry(Notifier *n) {
        if (loop_now(n->loop) < n->retry)
                return;
        for (size_t k = 0; k < _SERVICE_MAX; k++)
                if (is_failed(&n->services[k]))
                        service_reset(&n->services[k]);
}

/* For the owner */

void notifier_announce(Notifier *n, const char *key, const char *message) {
        Item *i;

        if (!n->bus)
                return;
        i = item_find(n, key);
        if (i) {
                DL_DELETE(n->items, i);
                DL_APPEND(n->items, i);
        } else
                i = item_new(n, false);
        if (!i)
                return; /* the message is in the history */
        snprintf(i->key, sizeof(i->key), "%s", key);
        snprintf(i->message, sizeof(i->message), "%s", message);
        i->fresh = true;
        i->gone = false;
        retry(n);
        arm(n);
}

void notifier_changed(Notifier *n, const char *key) {
        bool any = false;
        Item *i;

        DL_FOREACH (n->items, i) {
                if (key && !streq(i->key, key))
                        continue;
                i->dirty = any = true;
        }
        if (any)
                arm(n);
}

void notifier_say(Notifier *n, const char *title, const char *text) {
        static unsigned number;
        Item *i = n->bus ? item_new(n, true) : NULL;

        if (!i)
                return;
        snprintf(i->key, sizeof(i->key), "said-%u", ++number);
        i->title = strdup(title);
        i->text = strdup(text);
        n->n_said += i->text != NULL;
        if (!i->title || !i->text) {
                item_free(i);
                return;
        }
        retry(n);
        arm(n);
}

void notifier_clear(Notifier *n) {
        Item *i, *next;

        DL_FOREACH_SAFE (n->items, i, next)
                item_end(i);
}

void notifier_set(Notifier *n, const NotifierSettings *s) {
        bool was = n->settings.enabled;

        n->settings = *s;
        if (was && !s->enabled) {
                notifier_clear(n);
                while (n->items)
                        item_free(n->items);
                disconnect(n);
        } else if (!was && s->enabled)
                enable(n);
        notifier_changed(n, NULL);
        if (n->items) /* a text goes from a locked screen at once */
                loop_timer_set(n->timer, loop_now(n->loop));
}

/* What is kept back. */
static const char *without(const NotifierSettings *s) {
        if (s->locked)
                return " without texts, because the session is locked";
        return s->hide_text ? " without texts" : "";
}

NotifierState notifier_describe(const Notifier *n, char buf[static NOTIFIER_TEXT_SIZE]) {
        const Service *desktop = &n->services[SERVICE_DESKTOP];
        ServiceKind kind = choose_service(n);

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
        snprintf(buf, NOTIFIER_TEXT_SIZE, "Nothing that shows notifications runs in this session.");
        return NOTIFIER_ABSENT;
}

int notifier_new(sd_event *event, Loop *loop, const NotifierSettings *s,
        const NotifierCallbacks *callbacks, void *userdata, Notifier **ret) {
        Notifier *n = calloc(1, sizeof(*n));
        int r;

        if (!n)
                return -ENOMEM;
        n->loop = loop;
        n->event = event;
        n->callbacks = callbacks;
        n->userdata = userdata;
        r = loop_timer_new(loop, on_timer, n, &n->timer);
        if (r < 0) {
                free(n);
                return r;
        }
        notifier_set(n, s);
        *ret = n;
        return 0;
}

Notifier *notifier_free(Notifier *n) {
        if (!n)
                return NULL;
        notifier_clear(n);
        while (n->items)
                item_free(n->items);
        disconnect(n);
        loop_timer_free(n->timer);
        free(n);
        return NULL;
}
