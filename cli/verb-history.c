/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/bus.h"
#include "cli/json.h"
#include "cli/message.h"
#include "cli/print.h"

#define PAGE_MAX 1000
#define COUNT_DEFAULT 50

/* Pages whose content is kept on the way back; older ones are asked for again when they are shown,
 * so that a long history needs no more memory than its page marks. */
#define PAGES_KEPT 4

/* Pages are found from the newest to the oldest, each by the id it ends before, and shown the other
 * way round. */
typedef struct Page {
        char *before; /* NULL: the newest page */
        uint32_t limit;
        Value *messages; /* NULL: not kept */
} Page;

typedef struct History {
        const char *with;
        Page *pages;
        size_t n_pages, allocated;
} History;

static void history_done(History *h) {
        for (size_t i = 0; i < h->n_pages; i++) {
                free(h->pages[i].before);
                value_free(h->pages[i].messages);
        }
        free(h->pages);
}

static int page_fetch(Chatc *c, const char *with, const char *before, uint32_t limit, Value **ret,
        bool *ret_more) {
        Call call = {
                "ListMessages", {with}, {{"limit", .number = limit}, {"before", .string = before}}};

        return call_page(c, &call, ret, ret_more);
}

static int history_push(History *h, const char *before, uint32_t limit, Value *messages) {
        Page page = {.limit = limit};

        if (h->n_pages == h->allocated) {
                size_t n = h->allocated ? h->allocated * 2 : 8;
                Page *p = reallocarray(h->pages, n, sizeof(*p));

                if (!p)
                        return chatc_out_of_memory();
                h->pages = p;
                h->allocated = n;
        }
        if (before) {
                page.before = strdup(before);
                if (!page.before)
                        return chatc_out_of_memory();
        }
        if (h->n_pages < PAGES_KEPT)
                page.messages = messages;
        else
                value_free(messages);
        h->pages[h->n_pages++] = page;
        return 0;
}

static int history_find(Chatc *c, History *h, const char *first_before, uint64_t wanted) {
        _cleanup_(freep) char *before = NULL;

        if (first_before) {
                before = strdup(first_before);
                if (!before)
                        return chatc_out_of_memory();
        }
        while (wanted > 0) {
                _cleanup_(value_freep) Value *messages = NULL;
                uint32_t limit = (uint32_t)MIN(wanted, (uint64_t)PAGE_MAX);
                _cleanup_(freep) char *oldest = NULL;
                size_t n;
                bool more;
                int r;

                r = page_fetch(c, h->with, before, limit, &messages, &more);
                if (r > 0)
                        return r;
                n = messages->n_items;
                if (n == 0)
                        return 0;
                oldest = strdup(value_string(messages->items[0], "id"));
                if (!oldest)
                        return chatc_out_of_memory();
                r = history_push(h, before, limit, messages);
                if (r > 0)
                        return r;
                messages = NULL;
                wanted -= MIN(wanted, (uint64_t)n);
                if ((!more && n < limit) || *oldest == '\0' || (before && streq(oldest, before)))
                        return 0;
                free(before);
                before = TAKE_PTR(oldest);
        }
        return 0;
}

static int history_print(Chatc *c, const History *h) {
        for (size_t i = h->n_pages; i-- > 0;) {
                _cleanup_(value_freep) Value *again = NULL;
                const Value *messages = h->pages[i].messages;
                bool more;
                int r;

                if (!messages) {
                        r = page_fetch(
                                c, h->with, h->pages[i].before, h->pages[i].limit, &again, &more);
                        if (r > 0)
                                return r;
                        messages = again;
                }
                for (size_t k = 0; k < messages->n_items; k++)
                        if (c->json)
                                json_line(stdout, messages->items[k]);
                        else
                                message_print(c, messages->items[k]);
        }
        return 0;
}

/* "DIGEST  12 messages  control 3 HASH": the same of all who hold the same. */
static int digest_print(Chatc *c, const char *with) {
        _cleanup_(value_freep) Value *digest = NULL;
        uint64_t n;
        int r;

        r = call_value(c, &(Call){"Digest", {with}}, &digest);
        if (r > 0)
                return r;
        if (c->json) {
                json_line(stdout, digest);
                return 0;
        }
        n = value_number(digest, "messages");
        print_safe(stdout, value_string(digest, "digest"), NULL);
        printf("  %llu message%s", (unsigned long long)n, PLURAL(n));
        if (value_get(digest, "control-epoch")) {
                printf("  control %llu ",
                        (unsigned long long)value_number(digest, "control-epoch"));
                print_safe(stdout, value_string(digest, "control-hash"), NULL);
        }
        putchar('\n');
        return 0;
}

int verb_history(Chatc *c, char **argv) {
        _cleanup_(history_done) History h = {};
        const char *count = NULL, *before = NULL;
        bool all = false, digest = false;
        const Option options[] = {
                {"-n", .value = &count},
                {"--before", .value = &before},
                {"--all", .flag = &all},
                {"--digest", .flag = &digest},
                {},
        };
        uint64_t wanted = COUNT_DEFAULT;
        Args a;
        int r;

        r = chatc_args(c, argv, options, 1, 1, &a);
        if (r > 0)
                return r;
        if (digest && (all || count || before))
                return chatc_fail(STATUS_USAGE, "Usage",
                        "--digest is of the whole conversation; see 'chatc help history'.");
        if (digest)
                return digest_print(c, a.words[0]);
        if (all && count)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "-n and --all exclude each other; see 'chatc help history'.");
        if (count && parse_number(count, 1, UINT32_MAX, &wanted) < 0)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "-n takes a number from 1 on, not '%.40s'; see 'chatc help history'.",
                        count);
        if (all)
                wanted = UINT64_MAX;
        h.with = a.words[0];
        r = history_find(c, &h, before, wanted);
        if (r > 0)
                return r;
        return history_print(c, &h);
}
