/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Which notifications there are to be. Who shows them, and how, is for the services. */

#include <stdio.h>

#include <utlist.h>

#include "system/private.h"

/* Things said once, of NOTIFIER_ITEMS_MAX. */
#define SAID_MAX 8

void notifier_arm(Notifier *n) {
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
                service_ops[i->shown]->close(i->notifier, i);
        i->shown = _SERVICE_NONE;
        i->id = 0;
        i->read[0] = 0;
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
        snprintf(ret->label, sizeof(ret->label), "%s",
                s->actions && !settings->locked ? i->label : "");
}

static bool is_same(const Notice *a, const Notice *b) {
        return streq(a->title, b->title) && streq(a->body, b->body) && a->can_read == b->can_read &&
                a->can_reply == b->can_reply && streq(a->label, b->label);
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
        i->dirty = false;
        if (!i->fresh && i->shown == kind && is_same(&notice, &i->notice))
                return; /* to show it again would call for the user's attention */
        i->notice = notice;
        snprintf(i->readable, sizeof(i->readable), "%s", notice.can_read ? i->message : "");
        i->shown = kind;
        i->fresh = false;
        r = service_ops[kind]->show(n, i, &i->notice);
        if (r < 0)
                item_failed(i, kind, &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_FAILED, strerror(-r)));
}

void item_shown(Item *i, ServiceKind kind, uint32_t id) {
        i->call = sd_bus_slot_unref(i->call);
        i->shown = kind;
        i->id = id;
        memcpy(i->read, i->readable, sizeof(i->read));
        if (i->gone)
                item_end(i);
        else if (i->dirty || i->fresh)
                notifier_arm(i->notifier);
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

void item_lost(Item *i) {
        i->call = sd_bus_slot_unref(i->call);
        i->shown = _SERVICE_NONE;
        i->id = 0;
        i->read[0] = 0;
        i->fresh = true;
        if (i->gone)
                item_free(i);
}

void item_closed(Item *i) {
        i->id = 0;
        i->shown = _SERVICE_NONE;
        i->read[0] = 0;
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

void item_chosen(Item *i) {
        const Notifier *n = i->notifier;

        if (i->label[0] && !n->settings.locked)
                n->callbacks->chosen(n->userdata, i->key);
}

/* Rounds */

static void on_timer(void *userdata) {
        Notifier *n = userdata;
        ServiceKind kind = service_choose(n);
        Item *i, *next;

        n->last_round = loop_now(n->loop);
        DL_FOREACH_SAFE (n->items, i, next)
                if (!i->call && (i->dirty || i->fresh || i->gone))
                        item_update(i, kind);
        if (n->items && kind == _SERVICE_NONE &&
                n->services[SERVICE_DESKTOP].state == SERVICE_UNKNOWN)
                service_ask(n, SERVICE_DESKTOP, true);
}

/* For the owner */

void notifier_announce(Notifier *n, const char *key, const char *message) {
        Item *i;

        if (!n->bus || !n->settings.enabled)
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
        services_retry(n);
        notifier_arm(n);
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
                notifier_arm(n);
}

static void say(
        Notifier *n, const char *key, const char *title, const char *text, const char *label) {
        Item *i = n->bus && n->settings.enabled ? item_new(n, true) : NULL;

        if (!i)
                return;
        snprintf(i->key, sizeof(i->key), "%s", key);
        snprintf(i->label, sizeof(i->label), "%s", label);
        i->title = strdup(title);
        i->text = strdup(text);
        n->n_said += i->text != NULL;
        if (!i->title || !i->text) {
                item_free(i);
                return;
        }
        services_retry(n);
        notifier_arm(n);
}

void notifier_say(Notifier *n, const char *title, const char *text) {
        char key[NOTIFIER_KEY_SIZE];

        snprintf(key, sizeof(key), "said-%u", ++n->last_said);
        say(n, key, title, text, "");
}

void notifier_ask(
        Notifier *n, const char *key, const char *title, const char *text, const char *label) {
        if (!item_find(n, key))
                say(n, key, title, text, label);
}

void notifier_take_back(Notifier *n, const char *key) {
        Item *i = item_find(n, key);

        if (i)
                item_end(i);
}

static void notifier_clear(Notifier *n) {
        Item *i, *next;

        DL_FOREACH_SAFE (n->items, i, next)
                item_end(i);
}

/* With the loop the connection would end at once. */
void notifier_stop(Notifier *n) {
        notifier_clear(n);
        if (n->bus)
                (void)sd_bus_detach_event(n->bus);
}

void notifier_set(Notifier *n, const NotifierSettings *s) {
        bool was = n->settings.enabled;

        n->settings = *s;
        if (was && !s->enabled)
                notifier_clear(n); /* the connection stays for what is on its way */
        else if (s->enabled && !n->bus)
                services_connect(n);
        notifier_changed(n, NULL);
        if (n->items) /* a text goes from a locked screen at once */
                loop_timer_set(n->timer, loop_now(n->loop));
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

/* What is left are items on their way: they can be withdrawn when it is known how. */
static void await_calls(Notifier *n) {
        usec_t now = loop_clock(n->loop), end = now + NOTIFIER_LAST;
        int r = 0;

        for (; n->items && r >= 0 && now < end; now = loop_clock(n->loop)) {
                r = sd_bus_process(n->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(n->bus, end - now);
        }
}

Notifier *notifier_free(Notifier *n) {
        if (!n)
                return NULL;
        notifier_stop(n);
        await_calls(n);
        while (n->items)
                item_free(n->items);
        services_disconnect(n);
        loop_timer_free(n->timer);
        free(n);
        return NULL;
}
