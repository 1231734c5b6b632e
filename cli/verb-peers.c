/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <time.h>

#include "cli/event.h"
#include "cli/json.h"
#include "cli/print.h"
#include "cli/bus-signal.h"

static void print_list(const char *label, const Value *list) {
        if (!list || list->type != VALUE_LIST || list->n_items == 0)
                return;
        printf("  %s", label);
        for (size_t i = 0; i < list->n_items; i++) {
                if (list->items[i]->type != VALUE_STRING)
                        continue;
                fputc(i > 0 ? ',' : ' ', stdout);
                print_safe(stdout, list->items[i]->string, NULL);
        }
}

static void print_peer(const Chatc *c, const Value *peer) {
        const char *name = value_string(peer, "name"), *presence = value_string(peer, "presence");
        uint64_t last_seen = value_number(peer, "last-seen");

        print_sender(c, stdout, name, value_string(peer, "account"));
        print_pad(stdout, strlen(name), 16);
        print_safe(stdout, presence, NULL);
        if (*value_string(peer, "note")) {
                fputs(": ", stdout);
                print_safe(stdout, value_string(peer, "note"), NULL);
        }
        if (last_seen > 0 && streq(presence, "offline")) {
                fputs("  last seen ", stdout);
                print_time(stdout, last_seen);
        }
        print_list("via", value_get(peer, "via"));
        print_list("at", value_get(peer, "endpoints"));
        print_list("in", value_get(peer, "rooms"));
        if (value_bool(peer, "verified"))
                fputs("  verified", stdout);
        if (value_bool(peer, "blocked"))
                fputs("  blocked", stdout);
        if (*value_string(peer, "claimed-name")) {
                fputs("  registered as ", stdout);
                print_safe(stdout, value_string(peer, "claimed-name"), NULL);
        }
        if (value_bool(peer, "key-changed")) {
                fputs("  KEY CHANGED: the name belongs to @", stdout);
                print_safe(stdout, value_string(peer, "other-account"), NULL);
                fputs(" now", stdout);
        }
        putchar('\n');
}

static int on_peer(Chatc *c, const Value *peer, void *userdata) {
        if (c->json)
                json_line(stdout, peer);
        else
                print_peer(c, peer);
        return 0;
}

/* PeerChanged(name, presence, details) */
static void on_peer_changed(const Value *args, void *userdata) {
        const Chatc *c = userdata;
        const char *name, *presence;
        JsonLine j;

        if (args->n_items < 3 || args->items[0]->type != VALUE_STRING ||
                args->items[1]->type != VALUE_STRING || args->items[2]->type != VALUE_DICT)
                return;
        name = args->items[0]->string;
        presence = args->items[1]->string;
        if (c->json) {
                j = json_begin(stdout);
                json_member(&j, "name", name);
                json_member(&j, "presence", presence);
                json_members(&j, args->items[2]);
                json_end(&j);
        } else if (value_get(args->items[2], "key-changed")) {
                _cleanup_(event_freep) SignalEvent *e = event_from_signal("PeerChanged", args);

                if (e)
                        event_print(c, stdout, event_value(e));
        } else {
                print_time(stdout, (usec_t)time(NULL) * USEC_PER_SEC);
                fputs("  ", stdout);
                print_sender(c, stdout, name, value_string(args->items[2], "account"));
                fputs(" is ", stdout);
                print_safe(stdout, presence, NULL);
                putchar('\n');
        }
        fflush(stdout);
}

/* A closed pipe ends this by SIGPIPE, everything else by the bus going away. */
static int watch(Chatc *c) {
        bool timed_out;
        int r;

        do
                r = bus_wait(c, USEC_INFINITY, &timed_out);
        while (r == 0);
        return r;
}

int verb_peers(Chatc *c, char **argv) {
        SignalHandler changed = {.fn = on_peer_changed, .userdata = c};
        bool all = false, stay = false;
        const Option options[] = {
                {"--all", .flag = &all},
                {"--watch", .flag = &stay},
                {},
        };
        Args a;
        int r;

        r = chatc_args(c, argv, options, 0, 0, &a);
        if (r > 0)
                return r;
        if (stay) {
                r = signal_subscribe(c, "PeerChanged", &changed);
                if (r > 0)
                        return r;
        }
        r = call_list(
                c, &(Call){"ListPeers", {}, {{"all", .boolean = all}}}, "name", on_peer, NULL);
        if (r == 0 && stay) {
                fflush(stdout);
                r = watch(c);
        }
        signal_done(&changed);
        return r;
}
