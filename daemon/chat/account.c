/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "chat/private.h"

static void refuse(ChatDoneFn fn, void *userdata, Code code, const char *text) {
        ChatError e;

        chat_error(&e, code, "%s", text);
        fn(userdata, &e);
}

static void on_done(void *userdata, Code code, const char *text) {
        Operation *o = userdata;
        ChatError e;

        if (code != CODE_OK)
                chat_error(&e, code, "%s", text);
        operation_end(o, code == CODE_OK ? NULL : &e);
}

void chat_register(Chat *c, const ChatRegister *args, ChatDoneFn fn, void *userdata) {
        Operation *o;

        if (args->no_tracker) {
                refuse(fn, userdata, CODE_NOT_SUPPORTED,
                        "accounts without a tracker are not built yet: leave --no-tracker out");
                return;
        }
        if (args->password[0] || !args->no_password) {
                refuse(fn, userdata, CODE_NOT_SUPPORTED,
                        "accounts with a password are not built yet: use --no-password, and the "
                        "account lives on this device only");
                return;
        }
        o = operation_new(c, fn, userdata);
        if (o)
                account_register(c->parts.account, args->name, args->tracker, on_done, o);
}

void chat_login(Chat *c, const char *name, const char *password, const char *tracker, ChatDoneFn fn,
        void *userdata) {
        Operation *o;

        if (password[0]) {
                refuse(fn, userdata, CODE_NOT_SUPPORTED,
                        "accounts with a password are not built yet: give none for the account "
                        "that is kept on this device");
                return;
        }
        o = operation_new(c, fn, userdata);
        if (o)
                account_login(c->parts.account, name, tracker, on_done, o);
}

void chat_logout(Chat *c, ChatDoneFn fn, void *userdata) {
        Operation *o = operation_new(c, fn, userdata);

        if (o)
                account_logout(c->parts.account, on_done, o);
}
