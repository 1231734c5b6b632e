/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/password.h"
#include "cli/print.h"

/* EXPECTED, if any, is the error that is not reported. */
static int login(Chatc *c, const char *name, const char *password, const char *tracker,
        const char *expected, char ret_error[static CALL_ERROR_SIZE]) {
        Call call = {"Login", {name, password}, {{"tracker", .string = tracker}}, .secret = true,
                .expected = expected};

        return call_run(c, &call, NULL, ret_error);
}

/* An account that is kept on this device may need no password, and only the daemon knows which are:
 * so a person is asked for one only after the empty one was refused. One that is not kept here is
 * taken over by its password. */
static int login_interactive(Chatc *c, const char *name, const char *tracker, bool kept) {
        _cleanup_(password_freep) char *password = NULL;
        bool can_ask = password_can_ask();
        char error[CALL_ERROR_SIZE];
        int r;

        if (kept || !can_ask) {
                r = login(c, name, "", tracker, can_ask ? "BadPassword" : NULL, error);
                if (r == 0 || !can_ask || !streq(error, "BadPassword"))
                        return r;
        }
        r = password_ask("Password", false, &password);
        if (r > 0)
                return r;
        return login(c, name, password, tracker, NULL, error);
}

static int login_with_file(Chatc *c, const char *name, const char *tracker, const char *file) {
        _cleanup_(password_freep) char *password = NULL;
        char error[CALL_ERROR_SIZE];
        int r;

        r = password_read_file(file, &password);
        if (r > 0)
                return r;
        return login(c, name, password, tracker, NULL, error);
}

typedef enum Kind {
        KIND_HERE, /* the account is kept on this device */
        KIND_BACK, /* it was, and was taken over by another one */
        KIND_NEW,
} Kind;

static Kind look(Chatc *c) {
        _cleanup_(value_freep) Value *status = NULL;
        const char *state;

        if (call_value(c, &(Call){.method = "Status", .quiet = true}, &status) != 0)
                return KIND_HERE;
        state = value_string(status, "state");
        if (streq(state, "replaced"))
                return KIND_BACK;
        return streq(state, "logged-out") && !*value_string(status, "kept") ? KIND_NEW : KIND_HERE;
}

static void print_done(const char *name, Kind kind) {
        print_safe(stdout, name, NULL);
        if (kind == KIND_BACK)
                puts(" is used on this device again. What has come to the other one since follows "
                     "when that is there: chatc status shows how far.");
        else if (kind == KIND_NEW)
                puts(" is used on this device now. History, contacts and rooms follow when the "
                     "device that had them is there: chatc status shows how far.");
        else
                puts(" is logged in on this device.");
}

int verb_login(Chatc *c, char **argv) {
        const char *tracker = NULL, *password_file = NULL;
        const Option options[] = {
                {"--tracker", .value = &tracker},
                {"--password-file", .value = &password_file},
                {},
        };
        JsonLine j;
        Kind kind;
        Args a;
        int r;

        r = chatc_args(c, argv, options, 1, 1, &a);
        if (r > 0)
                return r;
        kind = look(c);
        r = password_file ? login_with_file(c, a.words[0], tracker, password_file)
                          : login_interactive(c, a.words[0], tracker, kind != KIND_NEW);
        if (r > 0)
                return r;
        if (c->json) {
                j = json_begin(stdout);
                json_member(&j, "name", a.words[0]);
                json_end(&j);
        } else if (!c->quiet)
                print_done(a.words[0], kind);
        return 0;
}
