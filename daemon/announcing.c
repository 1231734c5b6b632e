/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "announcing.h"

#include <stdio.h>

#include <utlist.h>

#include "chat/create.h"
#include "system/notifier.h"

/* Replies that are being accepted; each holds its text. */
#define REPLIES_MAX 16

/* More of a text is not shown. */
#define TEXT_SIZE 1024

typedef struct Reply {
        Announcing *announcing;
        char name[SHOWN_NAME_SIZE];
        char message[UUID_TEXT_SIZE]; /* the one that was seen, or "" */
        char *text;
        struct Reply *prev, *next;
} Reply;

struct Announcing {
        Chat *chat;
        Notifier *notifier;
        NotifierSettings settings;
        bool stopped, asked; /* the user, whether what is here is handed over */
        Reply *replies;
        unsigned n_replies;
        NotifierNews news; /* the last that was looked at, with its strings */
        char from[2 * SHOWN_NAME_SIZE + 4], text[TEXT_SIZE];
};

/* What there is to say */

static void on_unread(void *userdata, const ChatMessage *m, unsigned unread) {
        Announcing *a = userdata;

        snprintf(a->from, sizeof(a->from), "%s%s%s", m->from, m->room ? " in " : "", m->room ?: "");
        snprintf(a->text, sizeof(a->text), "%.*s", TEXT_SIZE - 1, m->text);
        a->news = (NotifierNews){
                .from = a->from, .text = streq(m->kind, "text") ? a->text : NULL, .unread = unread};
}

static bool look(void *userdata, const char *key, const char *message, NotifierNews *ret) {
        Announcing *a = userdata;

        if (chat_look_unread(a->chat, key, message, on_unread, a) <= 0)
                return false;
        *ret = a->news;
        return true;
}

/* What the user does with it */

static Reply *reply_free(Reply *r) {
        DL_DELETE(r->announcing->replies, r);
        r->announcing->n_replies--;
        free(r->text);
        free(r);
        return NULL;
}

static void say_not_sent(Announcing *a, const char *name, const char *why, const char *text) {
        char title[SHOWN_NAME_SIZE + 64], body[CHAT_ERROR_TEXT_SIZE + TEXT_SIZE];

        snprintf(title, sizeof(title), "Your reply to %s was not sent", name);
        snprintf(body, sizeof(body), "%s\n%.*s", why, TEXT_SIZE - 1, text);
        notifier_say(a->notifier, title, body);
}

static void on_read(void *userdata, const ChatError *error) {
        /* It stays unread, and announced, if it could not be noted. */
}

static void on_sent(void *userdata, const ChatError *error, const char *id) {
        Reply *r = userdata;
        Announcing *a = r->announcing;

        if (error)
                say_not_sent(a, r->name, error->text, r->text);
        else if (r->message[0])
                chat_mark_read(a->chat, r->message, on_read, a);
        reply_free(r);
}

static Reply *reply_new(Announcing *a, const char *name, const char *message, const char *text) {
        Reply *r = a->n_replies < REPLIES_MAX ? calloc(1, sizeof(*r)) : NULL;

        if (!r)
                return NULL;
        r->text = strdup(text);
        if (!r->text) {
                free(r);
                return NULL;
        }
        r->announcing = a;
        snprintf(r->name, sizeof(r->name), "%s", name);
        snprintf(r->message, sizeof(r->message), "%s", message);
        DL_APPEND(a->replies, r);
        a->n_replies++;
        return r;
}

static void on_reply(void *userdata, const char *key, const char *message, const char *text) {
        Announcing *a = userdata;
        const ChatPeer *peer = chat_get_object(a->chat, key);
        const ChatRoom *room = peer ? NULL : chat_get_room(a->chat, key);
        const char *name = peer ? peer->name : room ? room->room : key;
        char to[BASE32_KEY_SIZE + 2];
        Reply *r;

        r = reply_new(a, name, message, text);
        if (!r) {
                say_not_sent(a, name, "Too many replies at a time.", text);
                return;
        }
        if (room)
                snprintf(to, sizeof(to), "%s", r->name);
        else
                snprintf(to, sizeof(to), "@%.*s", BASE32_KEY_SIZE, key);
        chat_send(a->chat, &(ChatSend){.to = to, .text = r->text}, on_sent, r);
}

static void on_marked(void *userdata, const char *key, const char *message) {
        Announcing *a = userdata;

        chat_mark_read(a->chat, message, on_read, a);
}

/* The hand-over that waits under "ask". */
#define HAND_OVER "hand-over"

static void on_accepted(void *userdata, const ChatError *error) {
        Announcing *a = userdata;

        if (error)
                notifier_say(a->notifier, "Nothing was handed over", error->text);
}

static void on_chosen(void *userdata, const char *key) {
        Announcing *a = userdata;
        char name[NAME_SIZE];
        ChatStatus s;

        chat_status(a->chat, &s);
        snprintf(name, sizeof(name), "%s", s.name);
        if (s.hand_over.waiting)
                chat_accept(a->chat, name, on_accepted, a);
}

static const NotifierCallbacks notifier_callbacks = {
        .look = look,
        .reply = on_reply,
        .read = on_marked,
        .chosen = on_chosen,
};

/* What happens */

/* Every client says it, and not only to who looks. */
static void say_changed(Announcing *a, const char *name) {
        char title[SHOWN_NAME_SIZE + 64];

        snprintf(title, sizeof(title), "%s is not the account of that name any more", name);
        notifier_say(a->notifier, title,
                "Another account has the name now. Nothing is sent by the name until you decide.");
}

static void say_invited(Announcing *a, const ChatEvent *e) {
        char title[2 * SHOWN_NAME_SIZE + 64];

        snprintf(title, sizeof(title), "%s invites you to %s", e->inviter, e->room);
        notifier_say(a->notifier, title, "Accept with chatc join, decline with chatc leave.");
}

static void say_replaced(Announcing *a, const char *name) {
        char title[NAME_SIZE + 64];

        snprintf(title, sizeof(title), "%s is used on another device now", name);
        notifier_say(a->notifier, title,
                "What is here can still be read. If you have not done this, take the account back "
                "with chatc login, and change its password.");
}

static void ask_hand_over(Announcing *a) {
        char title[NAME_SIZE + 64];
        ChatStatus s;

        chat_status(a->chat, &s);
        if (!s.hand_over.giving || !s.hand_over.waiting) {
                notifier_take_back(a->notifier, HAND_OVER);
                a->asked = false;
                return;
        }
        if (a->asked)
                return; /* who does not answer is not asked again */
        a->asked = true;
        snprintf(title, sizeof(title), "Hand over what %s has here?", s.name);
        notifier_ask(a->notifier, HAND_OVER, title,
                "The other device of the account waits for history, contacts and rooms.",
                "Hand over");
}

static void on_event(void *userdata, const ChatEvent *e) {
        Announcing *a = userdata;

        if (a->stopped)
                return;
        if (e->kind == CHAT_EVENT_MESSAGE && !e->request)
                notifier_announce(a->notifier, e->message->room_id ?: e->account, e->message->id);
        else if (e->kind == CHAT_EVENT_STATE)
                notifier_changed(a->notifier, e->room_id ?: e->account);
        else if (e->kind == CHAT_EVENT_PEER && e->key_changed)
                say_changed(a, e->name);
        else if (e->kind == CHAT_EVENT_ROOM && e->inviter && !e->request)
                say_invited(a, e);
        else if (e->kind == CHAT_EVENT_REPLACED)
                say_replaced(a, e->name);
}

/* The user has answered by other means, or has logged out. */
static void on_properties_changed(void *userdata, unsigned properties) {
        Announcing *a = userdata;

        if (properties & (CHAT_QUEUED | CHAT_ACCOUNT))
                notifier_changed(a->notifier, NULL);
        if (properties & CHAT_HAND_OVER && !a->stopped)
                ask_hand_over(a);
}

/* Somebody may be blocked, or have another name. */
static void on_object_changed(void *userdata, const char *account, ChatObjectChange change) {
        Announcing *a = userdata;

        notifier_changed(a->notifier, account);
}

static const ChatListener listener = {
        .event = on_event,
        .properties_changed = on_properties_changed,
        .object_changed = on_object_changed,
};

/* For the doctor */

static void add_checks(void *userdata, ChatCheckFn fn, void *fn_userdata) {
        static const char *const states[] = {
                [NOTIFIER_OFF] = "off",
                [NOTIFIER_ABSENT] = "off",
                [NOTIFIER_FAILED] = "warning",
                [NOTIFIER_WORKS] = "ok",
        };
        const Announcing *a = userdata;
        char text[NOTIFIER_TEXT_SIZE];
        NotifierState state = notifier_describe(a->notifier, text);

        fn(fn_userdata,
                &(ChatCheck){.check = "notifications",
                        .state = states[state],
                        .text = text,
                        .advice = state == NOTIFIER_FAILED
                                ? "Start the notification service of this desktop again."
                                : NULL});
}

/* Putting it together */

void announcing_set_locked(Announcing *a, bool locked) {
        if (a->settings.locked == locked)
                return;
        a->settings.locked = locked;
        notifier_set(a->notifier, &a->settings);
}

void announcing_set(Announcing *a, bool enabled, bool show_text) {
        a->settings.enabled = enabled;
        a->settings.hide_text = !show_text;
        notifier_set(a->notifier, &a->settings);
        a->asked = false;
        ask_hand_over(a);
}

void announcing_stop(Announcing *a) {
        a->stopped = true;
        notifier_stop(a->notifier);
}

int announcing_new(sd_event *event, Loop *loop, Chat *chat, Announcing **ret) {
        Announcing *a = calloc(1, sizeof(*a));
        int r;

        if (!a)
                return -ENOMEM;
        a->chat = chat;
        r = notifier_new(event, loop, &a->settings, &notifier_callbacks, a, &a->notifier);
        if (r < 0) {
                free(a);
                return r;
        }
        chat_add_listener(chat, &listener, a);
        chat_add_checks(chat, add_checks, a);
        *ret = a;
        return 0;
}

Announcing *announcing_free(Announcing *a) {
        Reply *r, *next;

        if (!a)
                return NULL;
        chat_remove_listener(a->chat, a);
        chat_remove_checks(a->chat, a);
        chat_forget(a->chat, a);
        DL_FOREACH_SAFE (a->replies, r, next) {
                chat_forget(a->chat, r);
                reply_free(r);
        }
        notifier_free(a->notifier);
        free(a);
        return NULL;
}
