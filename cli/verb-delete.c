/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The end of an account, which is asked about first. */

#include <strings.h>

#include "cli/bus.h"
#include "cli/password.h"
#include "cli/print.h"

typedef struct Deletion {
        const char *password_file;
        bool yes;
        const char *name; /* of the account that is here */
        bool has_password;
        bool here; /* only what is on this device goes */
        bool lan; /* no tracker knows it */
} Deletion;

static const char *what_goes(const Deletion *d) {
        if (d->lan)
                return "the account, its keys, messages and contacts";
        return d->here
                ? "everything that this device has of it; the account itself stays in use on "
                  "the other device"
                : "the account, its keys, messages and contacts, and its name at the tracker";
}

/* The exit status after the error line, or 0 where the user means it. */
static int confirm(const Deletion *d) {
        _cleanup_(password_freep) char *typed = NULL;
        int r;

        if (d->yes)
                return 0;
        if (!password_can_ask())
                return chatc_fail(STATUS_USAGE, "Usage",
                        "there is no terminal to ask on whether this is meant; --yes says so.");
        fputs("This deletes ", stderr);
        print_safe(stderr, d->name, NULL);
        fprintf(stderr, " for good: %s.\n", what_goes(d));
        r = terminal_ask("Type the name to delete it", &typed);
        if (r > 0)
                return r;
        if (strcasecmp(typed, d->name) != 0)
                return chatc_fail(
                        STATUS_ERROR, "NotDeleted", "that is not the name; nothing was deleted.");
        return 0;
}

static int obtain_password(const Deletion *d, char **ret) {
        if (d->password_file)
                return password_read_file(d->password_file, ret);
        if (!d->has_password || d->here) {
                *ret = calloc(1, PASSWORD_SIZE);
                return *ret ? 0 : chatc_out_of_memory();
        }
        if (!password_can_ask())
                return chatc_fail(STATUS_USAGE, "Usage",
                        "there is no terminal to ask for the password on; give it with "
                        "--password-file.");
        return password_ask("Password", false, ret);
}

static int look(Deletion *d, const Value *status) {
        d->name = value_string(status, "name");
        if (*d->name == '\0')
                d->name = value_string(status, "kept");
        if (*d->name == '\0' && (!d->yes || streq(value_string(status, "state"), "logged-out")))
                return chatc_fail(
                        STATUS_NOT_LOGGED_IN, "NotLoggedIn", "there is no account on this device.");
        d->has_password = value_bool(status, "password");
        d->here = streq(value_string(status, "state"), "replaced");
        d->lan = value_bool(status, "no-tracker");
        return 0;
}

int verb_delete_account(Chatc *c, char **argv) {
        _cleanup_(password_freep) char *password = NULL;
        _cleanup_(value_freep) Value *status = NULL;
        Deletion d = {};
        const Option options[] = {
                {"--password-file", .value = &d.password_file},
                {"--yes", .flag = &d.yes},
                {},
        };
        char error[CALL_ERROR_SIZE];
        Call call;
        Args a;
        int r;

        r = chatc_args(c, argv, options, 0, 0, &a);
        if (r == 0)
                r = call_value(c, &(Call){.method = "Status"}, &status);
        if (r == 0)
                r = look(&d, status);
        if (r == 0)
                r = confirm(&d);
        if (r == 0)
                r = obtain_password(&d, &password);
        if (r > 0)
                return r;
        call = (Call){"DeleteAccount", {password}, .secret = true};
        r = call_run(c, &call, NULL, error);
        if (r > 0 || c->quiet || c->json)
                return r;
        print_safe(stdout, *d.name ? d.name : "The account", NULL);
        puts(d.here ? " is deleted on this device, and is used on the other one as before."
                    : " is deleted. Nothing of it is left on this device.");
        return 0;
}
