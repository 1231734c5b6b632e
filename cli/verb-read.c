/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/text.h"

#include "cli/bus.h"

static int mark_read(Chatc *c, const char *id) {
        return call_void(c, &(Call){.method = "MarkRead", .args = {id}});
}

/* No name is as long as an id. What comes after the newest message was looked up stays unread. */
int verb_read(Chatc *c, char **argv) {
        _cleanup_(value_freep) Value *page = NULL;
        bool more;
        Uuid id;
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 1, 1, &a);
        if (r > 0)
                return r;
        if (uuid_parse(a.words[0], &id) >= 0)
                return mark_read(c, a.words[0]);
        r = call_page(
                c, &(Call){"ListMessages", {a.words[0]}, {{"limit", .number = 1}}}, &page, &more);
        if (r > 0 || page->n_items == 0)
                return r;
        return mark_read(c, value_string(page->items[page->n_items - 1], "id"));
}
