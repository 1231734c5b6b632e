/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "chat/private.h"

static void refuse(ChatDoneFn fn, void *userdata, Code code, const char *text) {
        ChatError e;

        chat_error(&e, code, "%s", text);
        fn(userdata, &e);
}

/* What only the device may do that is the active one. True when it was answered. */
static bool refuse_replaced(Chat *c, ChatDoneFn fn, void *userdata) {
        ChatError e;

        if (!account_is_replaced(c->parts.account))
                return false;
        (void)chat_require_login(c, &e);
        fn(userdata, &e);
        return true;
}

static void on_done(void *userdata, Code code, const char *text) {
        Operation *o = userdata;
        ChatError e;

        if (code != CODE_OK)
                chat_error(&e, code, "%s", text);
        operation_end(o, code == CODE_OK ? NULL : &e);
}

void chat_register(Chat *c, const ChatRegister *args, ChatDoneFn fn, void *userdata) {
        bool publishes = account_is_lan_only(c->parts.account); /* one that has no password */
        Operation *o;

        if (refuse_replaced(c, fn, userdata))
                return;
        if (args->no_tracker && args->tracker && args->tracker[0]) {
                refuse(fn, userdata, CODE_INVALID_ARGS,
                        "no-tracker and tracker exclude each other");
                return;
        }
        if (args->password[0] && (args->no_password || args->no_tracker)) {
                refuse(fn, userdata, CODE_INVALID_ARGS,
                        args->no_password
                                ? "no-password and a password exclude each other"
                                : "a password is kept by a tracker: an account for the LAN alone "
                                  "has none");
                return;
        }
        if (!args->password[0] && !(args->no_password || args->no_tracker || publishes)) {
                refuse(fn, userdata, CODE_BAD_PASSWORD,
                        "a new account needs a password; with no-password it lives on this device "
                        "only");
                return;
        }
        o = operation_new(c, fn, userdata);
        if (o && args->no_tracker)
                account_register_on_lan(c->parts.account, args->name, on_done, o);
        else if (o)
                account_register(
                        c->parts.account, args->name, args->password, args->tracker, on_done, o);
}

void chat_login(Chat *c, const char *name, const char *password, const char *tracker, ChatDoneFn fn,
        void *userdata) {
        Operation *o = operation_new(c, fn, userdata);

        if (o)
                account_login(c->parts.account, name, password, tracker, on_done, o);
}

void chat_change_password(
        Chat *c, const char *old, const char *password, ChatDoneFn fn, void *userdata) {
        Operation *o;

        if (refuse_replaced(c, fn, userdata))
                return;
        o = operation_new(c, fn, userdata);
        if (o)
                account_change_password(c->parts.account, old, password, on_done, o);
}

void chat_delete_account(Chat *c, const char *password, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);

        if (o)
                account_delete(c->parts.account, password, on_done, o);
}

/* Own presence */

static int choose_presence(Chat *c, const char *presence, const char *note, ChatError *error) {
        static const Presence choices[] = {PRESENCE_ONLINE, PRESENCE_AWAY, PRESENCE_BUSY};
        char clean[PRESENCE_NOTE_MAX + 1];
        size_t n = strlen(note);

        if (chat_require_login(c, error) < 0)
                return -ECANCELED;
        if (n > PRESENCE_NOTE_MAX)
                return chat_error(error, CODE_TOO_LONG,
                        "A note has at most %d bytes, and this one %zu: make it shorter.",
                        PRESENCE_NOTE_MAX, n);
        memcpy(clean, note, n + 1);
        if (!streq(text_clean(clean), note))
                return chat_error(
                        error, CODE_INVALID_ARGS, "A note is one line without control characters.");
        for (size_t i = 0; i < ELEMENTSOF(choices); i++)
                if (streq(presence, presence_name(choices[i])))
                        return account_choose_presence(c->parts.account, choices[i], note);
        if (streq(presence, presence_name(PRESENCE_OFFLINE)))
                return chat_error(error, CODE_INVALID_ARGS,
                        "Who is there cannot say that he is offline: log out, or set "
                        "privacy.presence in p2pchatd.conf, so that nobody is told.");
        return chat_error(error, CODE_INVALID_ARGS, "A presence is one of online, away and busy.");
}

void chat_set_presence(
        Chat *c, const char *presence, const char *note, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);
        ChatError e;
        int r;

        if (!o)
                return;
        r = choose_presence(c, presence, note, &e);
        operation_settle(o, r, &e);
}

void chat_set_idle(Chat *c, bool idle) {
        account_set_idle(c->parts.account, idle);
}

void chat_on_own_presence(Chat *c) {
        chat_properties_changed(c, CHAT_PRESENCE | CHAT_NOTE);
}

void chat_logout(Chat *c, ChatDoneFn fn, void *userdata) {
        Operation *o;

        if (refuse_replaced(c, fn, userdata))
                return;
        o = operation_new(c, fn, userdata);
        if (o)
                account_logout(c->parts.account, on_done, o);
}
