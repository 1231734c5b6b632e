/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Notifications on the desktop: at most one for each conversation, with its newest text and the
 * number of messages that are unread. Conversations and messages are texts given by the owner, who
 * is asked what is to be said of one whenever it is about to be shown; nothing else is kept here.
 *
 * Two services take them: org.freedesktop.Notifications, and the portal of the desktop where only
 * that one lets the user answer in the notification, or where there is no other. Nothing waits for
 * either. A service that is absent, hangs or answers with errors is asked again when a message
 * comes, no sooner than NOTIFIER_PAUSE later, and at once when another program takes its name. What
 * was on screen when a service went is shown again by the next one, if it is still to be said.
 */

#include "util/loop.h"

typedef struct Notifier Notifier;
typedef struct sd_event sd_event;

#define NOTIFIER_KEY_SIZE 56
#define NOTIFIER_MESSAGE_SIZE 40
#define NOTIFIER_LABEL_SIZE 32

/* With more of them the one that was quiet longest is withdrawn. */
#define NOTIFIER_ITEMS_MAX 32

/* What happens within is shown together. */
#define NOTIFIER_INTERVAL USEC_PER_SEC

/* How long a service has for its answer, and when one that failed is tried again. */
#define NOTIFIER_PATIENCE (25 * USEC_PER_SEC)
#define NOTIFIER_PAUSE (30 * USEC_PER_SEC)

/* How a service, its version and its capabilities are told. */
#define NOTIFIER_TEXT_SIZE 640

typedef struct NotifierSettings {
        bool enabled;
        bool hide_text; /* of all: the sender alone is named */
        bool locked; /* the session: as before, and nothing can be answered */
} NotifierSettings;

typedef struct NotifierNews {
        const char *from;
        const char *text; /* NULL: it has none that could be shown */
        unsigned unread;
} NotifierNews;

typedef struct NotifierCallbacks {
        /* What to say of a conversation whose last message is MESSAGE. False: nothing any more;
         * what was shown is withdrawn. The strings are valid until the next call. */
        bool (*look)(void *userdata, const char *key, const char *message, NotifierNews *ret);

        /* The user has answered. MESSAGE was shown with its text, or is empty; TEXT is not. */
        void (*reply)(void *userdata, const char *key, const char *message, const char *text);

        /* The user says that he has read up to MESSAGE, which was shown with its text. */
        void (*read)(void *userdata, const char *key, const char *message);

        /* The user has chosen what notifier_ask() offered. May be NULL where nothing is asked. */
        void (*chosen)(void *userdata, const char *key);
} NotifierCallbacks;

/* Connects to the session bus as soon as it is enabled. CALLBACKS outlive it. */
int notifier_new(sd_event *event, Loop *loop, const NotifierSettings *s,
        const NotifierCallbacks *callbacks, void *userdata, Notifier **ret);

/* For what is only on its way to the screen the end waits, for this time at most. */
#define NOTIFIER_LAST (2 * USEC_PER_SEC)

Notifier *notifier_free(Notifier *n);

/* What is on screen is shown as it is to be from now on. */
void notifier_set(Notifier *n, const NotifierSettings *s);

/* A new message, the last of the conversation KEY so far. */
void notifier_announce(Notifier *n, const char *key, const char *message);

/* What look() says of KEY may be something else now, or with NULL of all. */
void notifier_changed(Notifier *n, const char *key);

/* Something that has to be told once, such as an answer that was not sent. The texts are copied. */
void notifier_say(Notifier *n, const char *title, const char *text);

/* The same with one thing that the user can choose, unless the session is locked; it stays until it
 * is taken back. KEY is of no conversation. */
void notifier_ask(
        Notifier *n, const char *key, const char *title, const char *text, const char *label);
void notifier_take_back(Notifier *n, const char *key);

/* Withdraws all, for the end of the loop: nothing else may be asked for any more. */
void notifier_stop(Notifier *n);

typedef enum NotifierState {
        NOTIFIER_OFF, /* not enabled */
        NOTIFIER_ABSENT, /* no service is there */
        NOTIFIER_FAILED, /* one is there and does not do its work */
        NOTIFIER_WORKS,
} NotifierState;

/* One sentence for the doctor. */
NotifierState notifier_describe(const Notifier *n, char buf[static NOTIFIER_TEXT_SIZE]);

DEFINE_CLEANUP(Notifier *, notifier_free)
