/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/password.h"

static int obtain(
        const char *file, const char *prompt, const char *option, bool twice, char **ret) {
        if (file)
                return password_read_file(file, ret);
        if (!password_can_ask())
                return chatc_fail(STATUS_USAGE, "Usage",
                        "there is no terminal to ask for a password on; give it with %s.", option);
        return password_ask(prompt, twice, ret);
}

/* Whether the account has a password so far; the exit status, after the error line. */
static int has_password(Chatc *c, bool *ret) {
        _cleanup_(value_freep) Value *status = NULL;
        int r = call_value(c, &(Call){.method = "Status"}, &status);

        *ret = r == 0 && value_bool(status, "password");
        return r;
}

int verb_passwd(Chatc *c, char **argv) {
        _cleanup_(password_freep) char *old = NULL, *new = NULL;
        const char *old_file = NULL, *new_file = NULL;
        const Option options[] = {
                {"--old-password-file", .value = &old_file},
                {"--password-file", .value = &new_file},
                {},
        };
        char error[CALL_ERROR_SIZE];
        bool has;
        Call call;
        Args a;
        int r;

        r = chatc_args(c, argv, options, 0, 0, &a);
        if (r == 0 && old_file && new_file && streq(old_file, "-") && streq(new_file, "-"))
                r = chatc_fail(STATUS_USAGE, "Usage",
                        "only one of the passwords can come from standard input.");
        if (r == 0)
                r = has_password(c, &has);
        if (r > 0)
                return r;
        if (has || old_file)
                r = obtain(old_file, "Old password", "--old-password-file", false, &old);
        if (r == 0)
                r = obtain(new_file, "New password", "--password-file", true, &new);
        if (r > 0)
                return r;
        call = (Call){"ChangePassword", {old ? old : "", new}, .secret = true};
        r = call_run(c, &call, NULL, error);
        if (r == 0 && !c->quiet && !c->json)
                puts("The password is changed.");
        return r;
}
