/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of system/ share. */

#include <systemd/sd-bus.h>

#include "system/notice.h"
#include "system/notifier.h"

/* The base name of our .desktop file, by which a desktop knows name, settings and rights. */
#define APPLICATION_ID "org.p2pchat.Chat"

#define ACTION_READ "default"
#define ACTION_CHOOSE "choose"
#define LABEL_READ "Mark as read"
#define LABEL_REPLY "Reply"

typedef enum ServiceKind {
        SERVICE_DESKTOP, /* org.freedesktop.Notifications */
        SERVICE_PORTAL, /* org.freedesktop.portal.Notification */
        _SERVICE_MAX,
        _SERVICE_NONE = _SERVICE_MAX,
} ServiceKind;

typedef enum ServiceState {
        SERVICE_UNKNOWN, /* to be asked */
        SERVICE_ASKED,
        SERVICE_THERE,
        SERVICE_ABSENT, /* nobody has the name, or can be started for it */
        SERVICE_FAILED, /* does not answer, or with errors */
} ServiceState;

typedef struct Service {
        ServiceState state;
        char *owner; /* the unique name of who answered: nobody else is listened to */
        bool start; /* a program was to be started for it */
        bool actions, markup, reply;
        char name[64], capabilities[256]; /* for the doctor */
        char error[160];
        sd_bus_slot *call;
} Service;

/* What a notification says and offers. */
typedef struct Notice {
        char title[NOTICE_TITLE_SIZE], body[NOTICE_BODY_SIZE], prompt[NOTICE_TITLE_SIZE + 16];
        bool can_read, can_reply;
        char label[NOTIFIER_LABEL_SIZE]; /* of what can be chosen, or "" */
} Notice;

/* One notification. */
typedef struct Item {
        Notifier *notifier;
        char key[NOTIFIER_KEY_SIZE];
        char message[NOTIFIER_MESSAGE_SIZE];
        char readable[NOTIFIER_MESSAGE_SIZE]; /* the one that was given away with its text, or "" */
        char read[NOTIFIER_MESSAGE_SIZE]; /* the one that is on screen so: what the user can mean */
        char *title, *text; /* of what is said once; NULL: look() is asked */
        char label[NOTIFIER_LABEL_SIZE]; /* of what the user can choose then, or "" */
        Notice notice; /* as it was given away last */
        bool fresh; /* to be shown, whether or not one is on screen */
        bool dirty; /* what is on screen may not be what it should be */
        bool gone; /* to be withdrawn as soon as it is known how */
        ServiceKind shown; /* by whom */
        uint32_t id; /* by which they know it, 0: not on screen, as far as is known */
        sd_bus_slot *call; /* the answer is awaited */
        struct Item *prev, *next; /* the last one that had news comes last */
} Item;

struct Notifier {
        Loop *loop;
        sd_event *event;
        sd_bus *bus;
        NotifierSettings settings;
        const NotifierCallbacks *callbacks;
        void *userdata;
        Service services[_SERVICE_MAX];
        usec_t retry; /* monotonic: not before this is asked again who failed */
        Item *items;
        unsigned n_items, n_said, last_said;
        LoopTimer *timer;
        usec_t last_round;
        bool complained;
};

/* Each kind of service. ASK may START the program that has the name, and ends with service_there()
 * or service_failed(); SHOW with item_shown() or item_failed(). CLOSE waits for nothing. */
typedef struct ServiceOps {
        const char *name; /* on the bus */
        int (*watch)(Notifier *n);
        int (*ask)(Notifier *n, bool start);
        int (*show)(Notifier *n, Item *i, const Notice *notice);
        void (*close)(Notifier *n, const Item *i);
} ServiceOps;

extern const ServiceOps service_desktop, service_portal;
extern const ServiceOps *const service_ops[_SERVICE_MAX];

/* Negative errno are logged. */
void services_connect(Notifier *n);
void services_disconnect(Notifier *n);

/* Who was absent or failed may be asked again, if that was long enough ago. */
void services_retry(Notifier *n);

/* By whom notifications are shown now; _SERVICE_NONE: nobody, as far as is known. */
ServiceKind service_choose(const Notifier *n);

/* Unless it was asked before. START: the program may be started for it. */
void service_ask(Notifier *n, ServiceKind kind, bool start);

void service_there(Notifier *n, ServiceKind kind);
void service_failed(Notifier *n, ServiceKind kind, const sd_bus_error *error);

/* Who has sent ANSWER is listened to. */
int service_set_owner(Service *s, sd_bus_message *answer);
void service_add_capability(Service *s, const char *capability);

/* Whether M comes from who answered when it was asked what it can do. */
bool service_sent(const Service *s, sd_bus_message *m);

/* A round comes soon. */
void notifier_arm(Notifier *n);

void item_shown(Item *i, ServiceKind kind, uint32_t id);
void item_failed(Item *i, ServiceKind kind, const sd_bus_error *error);

/* The service has gone. As with the others below, the item may be no more then. */
void item_lost(Item *i);

/* What the user did. */
void item_closed(Item *i);
void item_replied(Item *i, const char *text);
void item_marked_read(Item *i);
void item_chosen(Item *i);
