/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/print.h"

#define TEXT_START 60

static int on_request(Chatc *c, const Value *request, void *userdata) {
        const char *name = value_string(request, "name");
        uint64_t n = value_number(request, "messages"),
                 received = value_number(request, "received");

        if (c->json) {
                json_line(stdout, request);
                return 0;
        }
        print_sender(c, stdout, name, value_string(request, "account"));
        print_pad(stdout, strlen(name), 16);
        if (received > 0) {
                print_time(stdout, received);
                fputs("  ", stdout);
        }
        printf("%llu message%s  ", (unsigned long long)n, PLURAL(n));
        print_start(stdout, value_string(request, "text"), TEXT_START);
        putchar('\n');
        return 0;
}

int verb_requests(Chatc *c, char **argv) {
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 0, &a);
        if (r > 0)
                return r;
        return call_list(c, &(Call){.method = "ListRequests"}, "account", on_request, NULL);
}
