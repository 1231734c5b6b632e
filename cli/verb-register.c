/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/password.h"
#include "cli/print.h"
#include "cli/unit.h"

typedef struct RegisterOptions {
        bool no_password;
        bool no_tracker;
        const char *tracker;
        const char *password_file;
} RegisterOptions;

static int options_check(const RegisterOptions *o) {
        if (o->no_password && o->password_file)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--no-password and --password-file exclude each other; "
                        "see 'chatc help register'.");
        if (o->no_tracker && o->password_file)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--no-tracker and --password-file exclude each other: a password is kept "
                        "by a tracker.");
        if (o->no_tracker && o->tracker)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--no-tracker and --tracker exclude each other; "
                        "see 'chatc help register'.");
        return 0;
}

/* An account of this name lives here for the LAN alone: it is published, and has no password. */
static bool is_kept(Chatc *c, const char *name) {
        _cleanup_(value_freep) Value *status = NULL;

        (void)call_value(c, &(Call){.method = "Status", .quiet = true}, &status);
        return value_bool(status, "no-tracker") &&
                strcasecmp(value_string(status, "name"), name) == 0;
}

static int obtain_password(Chatc *c, const char *name, RegisterOptions *o, char **ret) {
        if (!o->no_password && !o->password_file)
                o->no_password = o->no_tracker || is_kept(c, name);
        if (o->no_password) {
                *ret = calloc(1, PASSWORD_SIZE);
                return *ret ? 0 : chatc_out_of_memory();
        }
        if (o->password_file)
                return password_read_file(o->password_file, ret);
        if (!password_can_ask())
                return chatc_fail(STATUS_USAGE, "Usage",
                        "a new account needs a password and there is no terminal to ask on; give "
                        "it with --password-file, or keep the account on this device with "
                        "--no-password.");
        return password_ask("Password for the new account", true, ret);
}

static void print_done(Chatc *c, const char *name, const Value *status) {
        _cleanup_(value_freep) Value *unit = unit_get(c);
        const char *shown = value_string(status, "name");
        bool lan_only = value_bool(status, "no-tracker");

        print_safe(stdout, *shown ? shown : name, NULL);
        fputs(lan_only ? " is registered for the LAN alone" : " is registered", stdout);
        if (*value_string(status, "fingerprint")) {
                fputs(", fingerprint ", stdout);
                print_safe(stdout, value_string(status, "fingerprint"), NULL);
        }
        puts(".\n");
        if (lan_only)
                puts("  chatc peers --all                 shows who is on the LAN\n"
                     "  chatc register NAME --tracker ADDRESS\n"
                     "                                    publishes the account at a tracker");
        puts("  chatc history NAME                shows a conversation\n"
             "  chatc watch                       shows what happens, as it happens");
        if (unit)
                puts("  systemctl --user enable p2pchatd  starts the service at every login\n"
                     "  loginctl enable-linger            and with the machine, without a login");
        else
                puts("  systemctl --user enable p2pchatd  starts the service at every login, where "
                     "systemd runs;\n"
                     "                                    here the first command starts it");
}

static int report_done(Chatc *c, const char *name) {
        _cleanup_(value_freep) Value *status = NULL;
        JsonLine j;

        /* The account exists by now: if this one question fails, less is shown and that is all. */
        (void)call_value(c, &(Call){.method = "Status", .quiet = true}, &status);
        if (!c->json) {
                if (!c->quiet)
                        print_done(c, name, status);
                return 0;
        }
        j = json_begin(stdout);
        json_member(
                &j, "name", *value_string(status, "name") ? value_string(status, "name") : name);
        json_member(&j, "account", value_string(status, "account"));
        json_member(&j, "fingerprint", value_string(status, "fingerprint"));
        json_end(&j);
        return 0;
}

int verb_register(Chatc *c, char **argv) {
        _cleanup_(password_freep) char *password = NULL;
        RegisterOptions o = {};
        const Option options[] = {
                {"--no-password", .flag = &o.no_password},
                {"--no-tracker", .flag = &o.no_tracker},
                {"--tracker", .value = &o.tracker},
                {"--password-file", .value = &o.password_file},
                {},
        };
        char error[CALL_ERROR_SIZE];
        Call call;
        Args a;
        int r;

        r = chatc_args(c, argv, options, 1, 1, &a);
        if (r > 0)
                return r;
        r = options_check(&o);
        if (r > 0)
                return r;
        r = obtain_password(c, a.words[0], &o, &password);
        if (r > 0)
                return r;

        call = (Call){"Register", {a.words[0], password},
                {{"tracker", .string = o.tracker}, {"no-password", .boolean = o.no_password},
                        {"no-tracker", .boolean = o.no_tracker}},
                .secret = true};
        r = call_run(c, &call, NULL, error);
        if (r > 0)
                return r;
        return report_done(c, a.words[0]);
}
