/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/message.h"
#include "cli/print.h"

/* The newest message, on a line of its own; a conversation without one, or a daemon that cannot
 * tell, shows none. */
static void print_last(Chatc *c, const char *with) {
        Call call = {"ListMessages", {with}, {{"limit", .number = 1}}, .quiet = true};
        _cleanup_(value_freep) Value *page = NULL;
        bool more;

        if (call_page(c, &call, &page, &more) > 0 || page->n_items == 0)
                return;
        fputs("    ", stdout);
        message_print(c, page->items[page->n_items - 1]);
}

static int on_chat(Chatc *c, const Value *chat, void *userdata) {
        const char *with = value_string(chat, "with");
        uint64_t unread = value_number(chat, "unread");

        if (c->json) {
                json_line(stdout, chat);
                return 0;
        }
        print_sender(c, stdout, with, value_string(chat, *with == '#' ? "room-id" : "account"));
        if (unread > 0)
                printf("  %llu unread", (unsigned long long)unread);
        putchar('\n');
        if (*value_string(chat, "last-id"))
                print_last(c, with);
        return 0;
}

int verb_chats(Chatc *c, char **argv) {
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 0, &a);
        if (r > 0)
                return r;
        return call_list(c, &(Call){.method = "ListConversations"}, "with", on_chat, NULL);
}
