/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/version.h"

static void print_field(const char *label, const Value *status, const char *key) {
        const char *s = value_string(status, key);

        if (*s == '\0')
                return;
        printf("%-12s ", label);
        print_safe(stdout, s, NULL);
        putchar('\n');
}

static void print_trackers(const Value *trackers) {
        for (size_t i = 0; trackers && trackers->type == VALUE_LIST && i < trackers->n_items; i++) {
                const Value *t = trackers->items[i];

                printf("%-12s ", "tracker");
                print_safe(stdout, value_string(t, "address"), NULL);
                fputs("  ", stdout);
                print_safe(stdout, value_string(t, "state"), NULL);
                if (*value_string(t, "error")) {
                        fputs(": ", stdout);
                        print_safe(stdout, value_string(t, "error"), NULL);
                }
                putchar('\n');
        }
}

static void print_found(const Value *found) {
        for (size_t i = 0; found && found->type == VALUE_LIST && i < found->n_items; i++) {
                if (found->items[i]->type != VALUE_STRING)
                        continue;
                printf("%-12s ", "found");
                print_safe(stdout, found->items[i]->string, NULL);
                puts("  a tracker on this network, which is not used");
        }
}

static void print_problems(const Value *problems) {
        for (size_t i = 0; problems && problems->type == VALUE_LIST && i < problems->n_items; i++) {
                if (problems->items[i]->type != VALUE_STRING)
                        continue;
                printf("%-12s ", "problem");
                print_safe(stdout, problems->items[i]->string, NULL);
                putchar('\n');
        }
}

/* What goes from one device of the account to another. */
static void print_hand_over(const Value *status) {
        const Value *h = value_get(status, "hand-over");
        uint64_t done = value_number(h, "done"), total = value_number(h, "total");
        bool gives = streq(value_string(h, "direction"), "give");

        if (!h || h->n_items == 0)
                return;
        printf("%-12s ", "hand-over");
        if (value_bool(h, "waiting")) {
                fputs(gives ? "waits until you let it go on: chatc accept "
                            : "waits, on the device that was used before, for chatc accept ",
                        stdout);
                print_safe(stdout, value_string(status, "name"), NULL);
                putchar('\n');
                return;
        }
        printf("%s, %llu of %llu", gives ? "to the other device" : "from the other device",
                (unsigned long long)done, (unsigned long long)total);
        if (total > 0 && done <= total)
                printf(" (%u %%)", (unsigned)((double)done / (double)total * 100));
        putchar('\n');
}

static const char *next_step(const Value *status) {
        if (value_number(status, "links") == 0 && value_bool(status, "no-tracker"))
                return "chatc peers --all, to see who is on the LAN; "
                       "chatc add NAME --at HOST:PORT#ACCOUNT";
        if (value_number(status, "links") == 0)
                return "chatc peers --all, to see whom one can write to";
        return "chatc send NAME TEXT, chatc history NAME";
}

static void print_version(const char *version) {
        if (*version == '\0')
                return;
        printf("%-12s ", "version");
        print_safe(stdout, version, NULL);
        puts(version_differs(version) ? ", and this is chatc " P2PCHAT_VERSION : "");
}

static void print_status(const Chatc *c, const Value *status, bool logged_in) {
        print_version(value_string(status, "version"));
        print_field("name", status, "name");
        print_field("account", status, "account");
        print_field("fingerprint", status, "fingerprint");
        print_field("state", status, "state");
        print_field("presence", status, "presence");
        print_field("note", status, "note");
        print_field("key at rest", status, "key-at-rest");
        if (logged_in || value_number(status, "queued") > 0)
                printf("%-12s %llu\n", "queued",
                        (unsigned long long)value_number(status, "queued"));
        if (logged_in) {
                printf("%-12s %llu\n", "links", (unsigned long long)value_number(status, "links"));
                printf("%-12s %llu\n", "nearby",
                        (unsigned long long)value_number(status, "nearby"));
        }
        if (value_bool(status, "no-tracker"))
                printf("%-12s none, this account is for the LAN alone\n", "tracker");
        print_hand_over(status);
        print_trackers(value_get(status, "trackers"));
        print_found(value_get(status, "found-trackers"));
        print_problems(value_get(status, "problems"));
        if (logged_in && c->bare)
                printf("%-12s %s\n", "next", next_step(status));
}

static int fail_without_account(const Value *status) {
        const char *name = value_string(status, "name");

        if (streq(value_string(status, "state"), "replaced"))
                return chatc_fail(STATUS_NOT_LOGGED_IN, "Replaced",
                        "this account is used on another device now; 'chatc login %s' moves it "
                        "back.",
                        name);
        if (*value_string(status, "kept"))
                return chatc_fail(STATUS_NOT_LOGGED_IN, "NotLoggedIn",
                        "no account is logged in; %s is kept here: 'chatc login %s'.",
                        value_string(status, "kept"), value_string(status, "kept"));
        return chatc_fail(STATUS_NOT_LOGGED_IN, "NotLoggedIn",
                "no account is logged in; make one with 'chatc register NAME', or use the one you "
                "have, also from another device, with 'chatc login NAME'.");
}

int verb_status(Chatc *c, char **argv) {
        _cleanup_(value_freep) Value *status = NULL;
        bool logged_in;
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 0, &a);
        if (r > 0)
                return r;
        r = call_value(c, &(Call){.method = "Status"}, &status);
        if (r > 0)
                return r;

        logged_in = !streq(value_string(status, "state"), "logged-out") &&
                !streq(value_string(status, "state"), "replaced");
        if (c->json)
                json_line(stdout, status);
        else
                print_status(c, status, logged_in);
        return logged_in ? 0 : fail_without_account(status);
}
