/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Accounts. Passwords are read where they lie in the message, which sd-bus wipes. */

#include "bus/bus-internal.h"

static int method_register(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        int no_password = false, no_tracker = false;
        ChatRegister args = {};
        const BusOption options[] = {
                {"tracker", 's', &args.tracker},
                {"no-password", 'b', &no_password},
                {"no-tracker", 'b', &no_tracker},
                {},
        };
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "ss", &args.name, &args.password);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        args.no_password = no_password;
        args.no_tracker = no_tracker;
        chat_register(b->chat, &args, bus_op_done, o);
        return 1;
}

static int method_login(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *name, *password, *tracker = NULL;
        const BusOption options[] = {
                {"tracker", 's', &tracker},
                {},
        };
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "ss", &name, &password);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_login(b->chat, name, password, tracker, bus_op_done, o);
        return 1;
}

static int method_change_password(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *old, *password;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "ss", &old, &password);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_change_password(b->chat, old, password, bus_op_done, o);
        return 1;
}

/* Who is told that the account is gone finds nothing of it any more. */
static void on_deleted(void *userdata, const ChatError *error) {
        BusOp *o = userdata;

        if (error)
                bus_op_refuse(o, error);
        else
                o->held = true;
}

static int method_delete_account(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *password;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "s", &password);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_delete_account(b->chat, password, on_deleted, o);
        return 1;
}

static int method_logout(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        BusOp *o;
        int r;

        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_logout(b->chat, bus_op_done, o);
        return 1;
}

const sd_bus_vtable bus_account_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Register", SD_BUS_ARGS("s", name, "s", password, "a{sv}", options),
                SD_BUS_NO_RESULT, method_register, BUS_SECRET),
        SD_BUS_METHOD_WITH_ARGS("Login", SD_BUS_ARGS("s", name, "s", password, "a{sv}", options),
                SD_BUS_NO_RESULT, method_login, BUS_SECRET),
        SD_BUS_METHOD_WITH_ARGS("ChangePassword", SD_BUS_ARGS("s", old, "s", new, "a{sv}", options),
                SD_BUS_NO_RESULT, method_change_password, BUS_SECRET),
        SD_BUS_METHOD_WITH_ARGS("DeleteAccount", SD_BUS_ARGS("s", password, "a{sv}", options),
                SD_BUS_NO_RESULT, method_delete_account, BUS_SECRET),
        SD_BUS_METHOD_WITH_ARGS("Logout", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                method_logout, BUS_ANYBODY),
        SD_BUS_SIGNAL_WITH_ARGS("SessionReplaced", SD_BUS_ARGS("a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
