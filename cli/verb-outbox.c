/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <time.h>

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"

#define TEXT_START 60

/* "3 min": how long ago, in the largest unit that fits. */
static void print_age(usec_t sent) {
        static const struct {
                uint64_t seconds;
                const char *name;
        } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
        usec_t now = (usec_t)time(NULL) * USEC_PER_SEC;
        uint64_t age = now > sent ? (now - sent) / USEC_PER_SEC : 0;
        size_t i = 0;

        while (i + 1 < ELEMENTSOF(units) && age < units[i].seconds)
                i++;
        printf("%4llu %-3s", (unsigned long long)(age / units[i].seconds), units[i].name);
}

static int on_message(Chatc *c, const Value *m, void *userdata) {
        const char *to = value_string(m, "to"), *state = value_string(m, "state");
        const char *room = value_string(m, "room"), *reason = value_string(m, "reason");

        if (c->json) {
                json_line(stdout, m);
                return 0;
        }
        if (*to == '\0')
                to = room;
        print_safe(stdout, value_string(m, "id"), NULL);
        fputs("  ", stdout);
        print_sender(c, stdout, to, value_string(m, "to-account"));
        print_pad(stdout, strlen(to), 16);
        print_age(value_number(m, "sent"));
        fputs("  ", stdout);
        print_safe(stdout, state, NULL);
        if (*reason) {
                fputs(": ", stdout);
                print_safe(stdout, reason, NULL);
        }
        print_pad(stdout, strlen(state), 8);
        print_start(stdout, value_string(m, "text"), TEXT_START);
        putchar('\n');
        return 0;
}

int verb_outbox(Chatc *c, char **argv) {
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 0, &a);
        if (r > 0)
                return r;
        return call_list(c, &(Call){.method = "ListOutbox"}, "id", on_message, NULL);
}
