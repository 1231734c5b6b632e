/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What works and what does not, hop by hop: the daemon knows the most of it; that there is none to
 * ask is found out here. */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/unit.h"

/* What failed is named in the last line; more than this many are counted only. */
#define NAMES_SIZE 256

/* Of the longest there is: "configuration", "warning". */
#define CHECK_WIDTH 13
#define STATE_WIDTH 7

typedef struct Findings {
        size_t n_failed;
        char names[NAMES_SIZE];
} Findings;

static const char *state_colour(const char *state) {
        if (streq(state, "failed"))
                return "\033[1;31m";
        if (streq(state, "warning"))
                return "\033[1;33m";
        return streq(state, "ok") ? "\033[32m" : "";
}

static void print_check(const Chatc *c, const char *check, const char *state, const char *text,
        const char *advice) {
        const char *colour = c->colour ? state_colour(state) : "";

        print_safe(stdout, check, NULL);
        print_pad(stdout, strlen(check), CHECK_WIDTH);
        fputs(colour, stdout);
        print_safe(stdout, state, NULL);
        fputs(*colour ? "\033[0m" : "", stdout);
        print_pad(stdout, strlen(state), STATE_WIDTH);
        print_safe(stdout, text, NULL);
        putchar('\n');
        if (*advice) {
                printf("%*s", CHECK_WIDTH + 2 + STATE_WIDTH + 2, "");
                print_safe(stdout, advice, NULL);
                putchar('\n');
        }
}

static int on_check(Chatc *c, const Value *row, void *userdata) {
        const char *check = value_string(row, "check"), *state = value_string(row, "state");
        Findings *f = userdata;
        size_t n = strlen(f->names);

        if (c->json)
                json_line(stdout, row);
        else
                print_check(
                        c, check, state, value_string(row, "text"), value_string(row, "advice"));
        if (streq(state, "failed")) {
                f->n_failed++;
                if (n + strlen(check) + 3 < sizeof(f->names))
                        snprintf(f->names + n, sizeof(f->names) - n, "%s%s", n > 0 ? ", " : "",
                                check);
        }
        return 0;
}

/* ADVICE may be empty. */
static void show_own(
        Chatc *c, const char *check, const char *state, const char *text, const char *advice) {
        JsonLine j;

        if (!c->json) {
                print_check(c, check, state, text, advice);
                return;
        }
        j = json_begin(stdout);
        json_member(&j, "check", check);
        json_member(&j, "state", state);
        json_member(&j, "text", text);
        json_member(&j, "advice", advice);
        json_end(&j);
}

/* The daemon knows that it runs, and systemd whether it will. */
static void show_autostart(Chatc *c, const Value *unit) {
        bool enabled = unit_is_enabled(unit), lingers = user_lingers();

        if (!streq(value_string(unit, "LoadState"), "loaded"))
                return; /* it does not start at all */
        if (!enabled)
                show_own(c, "autostart", "off",
                        "p2pchatd starts when it is first asked for, and nobody can reach you "
                        "before.",
                        "systemctl --user enable p2pchatd");
        else if (!lingers)
                show_own(c, "autostart", "ok",
                        "p2pchatd starts at login, and ends with the last session.",
                        "Without a login, as on a server: loginctl enable-linger");
        else
                show_own(c, "autostart", "ok", "p2pchatd starts with the machine.", "");
}

static void show_namespaces(Chatc *c) {
        char text[128];
        const char *advice;
        int r;

        r = user_namespaces_try(&advice);
        if (r >= 0) {
                show_own(c, "namespaces", "ok", "User namespaces can be made for the sandbox.", "");
                return;
        }
        snprintf(text, sizeof(text),
                "User namespaces cannot be made, and the sandbox needs them: %s.", strerror(-r));
        show_own(c, "namespaces", "failed", text, advice);
}

static void show_unit(Chatc *c, const Value *unit) {
        const char *result = value_string(unit, "Result"), *why, *advice;
        char text[512];

        if (unit_reason(unit, &why, &advice)) {
                snprintf(text, sizeof(text), "systemd cannot start p2pchatd.service: %s.", why);
                show_own(c, "unit", "failed", text, "");
        } else if (*result && !streq(result, "success")) {
                snprintf(text, sizeof(text), "p2pchatd.service failed: %s.", result);
                show_own(c, "unit", "failed", text, "");
        } else if (streq(value_string(unit, "ActiveState"), "activating"))
                show_own(c, "unit", "warning", "systemd is still starting p2pchatd.service.", "");
        else {
                snprintf(text, sizeof(text), "systemd has %s.", value_string(unit, "FragmentPath"));
                show_own(c, "unit", "ok", text, "");
        }
}

/* There is nobody to ask: the hops on the way to the daemon, up to the one that fails. */
static int report_unreachable(Chatc *c, const CallFailure *failure) {
        _cleanup_(value_freep) Value *unit = NULL;

        if (streq(failure->name, "NoSessionBus"))
                show_own(c, "bus", "failed", failure->text, "");
        else {
                show_own(c, "bus", "ok", "the session bus answers.", "");
                unit = unit_get(c);
                if (unit)
                        show_unit(c, unit);
                if (value_bool(unit, "PrivateUsers"))
                        show_namespaces(c);
                if (unit)
                        show_autostart(c, unit);
                show_own(c, "daemon", "failed", failure->text, "");
        }
        return chatc_fail(STATUS_UNREACHABLE, failure->name, "%s", failure->text);
}

int verb_doctor(Chatc *c, char **argv) {
        _cleanup_(call_failure_done) CallFailure failure = {};
        _cleanup_(value_freep) Value *unit = NULL;
        Call call = {.method = "Doctor", .failure = &failure};
        Findings found = {};
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 0, &a);
        if (r > 0)
                return r;
        r = call_list(c, &call, "check", on_check, &found);
        if (r == STATUS_UNREACHABLE && failure.text)
                return report_unreachable(c, &failure);
        if (r > 0)
                return failure.text ? chatc_fail(r, failure.name, "%s", failure.text) : r;
        unit = unit_get(c);
        if (unit)
                show_autostart(c, unit);
        if (found.n_failed == 0)
                return 0;
        return chatc_fail(STATUS_ERROR, "Failed", "%zu %s failed: %s.", found.n_failed,
                found.n_failed == 1 ? "check" : "checks", found.names);
}
