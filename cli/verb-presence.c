/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"

/* Of the status, as the daemon gives it. */
static void json_own(const Value *status) {
        static const char *const keys[] = {"presence", "note", "idle"};
        Value *items[ELEMENTSOF(keys)];
        char *names[ELEMENTSOF(keys)];
        Value own = {VALUE_DICT, .items = items, .keys = names};

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const Value *v = value_get(status, keys[i]);

                if (!v)
                        continue;
                names[own.n_items] = (char *)keys[i];
                items[own.n_items++] = (Value *)v;
        }
        json_line(stdout, &own);
}

static void print_own(const Value *status) {
        const char *note = value_string(status, "note");

        print_safe(stdout, value_string(status, "presence"), NULL);
        if (value_bool(status, "idle"))
                fputs(", as there is no input", stdout);
        if (*note) {
                fputs(": ", stdout);
                print_safe(stdout, note, NULL);
        }
        putchar('\n');
}

static int show_own(Chatc *c) {
        _cleanup_(value_freep) Value *status = NULL;
        int r;

        r = call_value(c, &(Call){.method = "Status"}, &status);
        if (r > 0)
                return r;
        if (streq(value_string(status, "state"), "logged-out") ||
                streq(value_string(status, "state"), "replaced"))
                return chatc_fail(STATUS_NOT_LOGGED_IN, "NotLoggedIn",
                        "nobody is shown anything: no account is logged in on this device.");
        if (c->json)
                json_own(status);
        else
                print_own(status);
        return 0;
}

int verb_presence(Chatc *c, char **argv) {
        _cleanup_(freep) char *note = NULL;
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, SIZE_MAX, &a);
        if (r > 0)
                return r;
        if (a.n_words == 0)
                return show_own(c);
        note = args_join(&a, 1);
        if (!note)
                return chatc_out_of_memory();
        return call_void(c, &(Call){.method = "SetPresence", .args = {a.words[0], note}});
}
