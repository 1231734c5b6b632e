/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/chatc.h"

static void print_unsupported(void) {
        bool any = false;

        for (const Verb *v = verbs; v->name; v++) {
                if (v->run != verb_unsupported || verb_is_hidden(v))
                        continue;
                printf(any ? ", %s" : "\nNot in this version: %s", v->name);
                any = true;
        }
        if (any)
                putchar('\n');
}

static void help_all(void) {
        puts("chatc [--json] [--no-color] [--quiet] [VERB …]\n\n"
             "Chat with people over p2pchatd, the service that runs in the background.\n");
        for (const Verb *v = verbs; v->name; v++)
                if (v->run != verb_unsupported && !verb_is_hidden(v))
                        printf("  %-10s %s\n", v->name, v->help);
        print_unsupported();
        puts("\n"
             "  --json      one JSON object a line\n"
             "  --no-color  no colours on a terminal; NO_COLOR does the same\n"
             "  --quiet     no notes\n"
             "  --version   the version of chatc\n\n"
             "Options stand anywhere before '--'. 'chatc help VERB' shows those of a verb.");
}

void help_verb(const Verb *v) {
        printf("chatc %s%s%s\n\n%c%s.\n", v->name, *v->synopsis ? " " : "", v->synopsis,
                v->help[0] >= 'a' && v->help[0] <= 'z' ? v->help[0] - 'a' + 'A' : v->help[0],
                v->help + 1);
}

int verb_help(Chatc *c, char **argv) {
        const Verb *v;
        Args a;
        int r;

        r = chatc_args(c, argv, NULL, 0, 1, &a);
        if (r > 0)
                return r;
        if (a.n_words == 0) {
                help_all();
                return 0;
        }
        v = verb_find(a.words[0]);
        if (!v)
                return chatc_fail(STATUS_USAGE, "Usage",
                        "there is no verb '%.100s'; see 'chatc help'.", a.words[0]);
        help_verb(v);
        return 0;
}
