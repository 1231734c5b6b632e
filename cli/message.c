/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/message.h"

#include "cli/chatc.h"
#include "cli/print.h"
#include "cli/value.h"

static void print_mark(FILE *f, bool *any, const char *mark) {
        fputs(*any ? ", " : " [", f);
        print_safe(f, mark, NULL);
        *any = true;
}

void message_print_marks(FILE *f, const Value *m) {
        static const char *const states[] = {"queued", "stored", "failed", "expired"};
        static const char *const flags[] = {"request", "late", "clock-ahead", "old-device"};
        const char *state = value_string(m, "state"), *reason = value_string(m, "reason");
        uint64_t members = value_number(m, "members"); /* of a room */
        bool any = false;

        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                if (streq(state, states[i]))
                        print_mark(f, &any, state);
        if (streq(state, "stored") && members > 0)
                fprintf(f, " by %llu of %llu", (unsigned long long)value_number(m, "delivered-to"),
                        (unsigned long long)members);
        if (any && *reason) {
                fputs(": ", f);
                print_safe(f, reason, NULL);
        }
        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (value_bool(m, flags[i]))
                        print_mark(f, &any, flags[i]);
        if (any)
                fputc(']', f);
}

void message_print_text(FILE *f, const Value *m, const char *newline) {
        if (value_get(m, "text"))
                print_safe(f, value_string(m, "text"), newline);
        else if (streq(value_string(m, "kind"), "sealed"))
                fputs(*value_string(m, "reason") ? "(from before you joined)"
                                                 : "(its key is not here yet)",
                        f);
        else {
                fputs("(a message of the kind '", f);
                print_safe(f, value_string(m, "kind"), NULL);
                fputs("', which this version does not show)", f);
        }
}

static usec_t message_time(const Value *m) {
        uint64_t sent = value_number(m, "sent");

        return sent > 0 ? sent : value_number(m, "received");
}

void message_print(const Chatc *c, const Value *m) {
        uint64_t gap = value_number(m, "gap-before");

        if (gap > 0)
                printf("        (%llu missing here)\n", (unsigned long long)gap);
        print_time(stdout, message_time(m));
        fputc(' ', stdout);
        print_sender(c, stdout, value_string(m, "from"), value_string(m, "from-account"));
        message_print_marks(stdout, m);
        fputs(": ", stdout);
        message_print_text(stdout, m, "\n        ");
        fputc('\n', stdout);
}
