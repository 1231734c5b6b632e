/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What may stand in place of the last word of a command line, for the completions of the shells:
 * one candidate a line, a tab, what it is. ":files" asks the shell for file names.
 *
 * A shell must never wait for this, nor start the daemon by it, and what it prints may end in a
 * command line: names that are not made of the characters a name has are left out. Failures are
 * silent.
 */

#include <signal.h>

#include "cli/bus.h"
#include "cli/print.h"
#include "cli/synopsis.h"

#define CALL_LIMIT USEC_PER_SEC
#define ALL_LIMIT 2 /* seconds */
#define NAMES_MAX 1000
#define NAME_LENGTH_MAX 32
#define ID_LENGTH 36
#define SUFFIX_LENGTH 4 /* of an account, or a room's id */

typedef struct Completion {
        Chatc *c;
        const char *word; /* what is typed of the value */
        Span before; /* "--option=", which stands before it */
        const char *name_key, *note_key;
        const char *flag; /* what an item has to have; NULL: nothing */
        bool known; /* nobody else is to be asked */
        const char *first; /* the first word behind the verb, "" */
        const char *of; /* whom the method is to tell of; NULL: it takes none */
        bool (*accepts)(const char *name);
} Completion;

static const char common_options[] = "[--json] [--no-color] [--quiet] [--help]";

static void offer(const Completion *k, Span s, const char *note) {
        size_t typed = strlen(k->word);

        if (s.n < typed || memcmp(s.p, k->word, typed) != 0)
                return;
        fwrite(k->before.p, 1, k->before.n, stdout);
        fwrite(s.p, 1, s.n, stdout);
        putchar('\t');
        print_safe(stdout, note, NULL);
        putchar('\n');
}

static void offer_text(const Completion *k, const char *text, const char *note) {
        offer(k, (Span){text, strlen(text)}, note);
}

/* Names */

static bool is_name(const char *s) {
        size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789._-");

        return n > 0 && n <= NAME_LENGTH_MAX && s[n] == '\0' && !strchr("._-", s[0]);
}

/* "name", or "name~abcd" where several are called so. */
static bool is_suffixed(const char *s) {
        char name[NAME_LENGTH_MAX + 1];
        const char *tilde = strchr(s, '~');
        size_t n;

        if (!tilde)
                return is_name(s);
        n = (size_t)(tilde - s);
        if (n > NAME_LENGTH_MAX)
                return false;
        memcpy(name, s, n);
        name[n] = '\0';
        return is_name(name) && strlen(tilde + 1) == SUFFIX_LENGTH &&
                strspn(tilde + 1, "abcdefghijklmnopqrstuvwxyz234567") == SUFFIX_LENGTH;
}

static bool is_room(const char *s) {
        return s[0] == '#' && is_suffixed(s + 1);
}

static bool is_recipient(const char *s) {
        return is_name(s) || is_room(s);
}

static bool is_id(const char *s) {
        return strlen(s) == ID_LENGTH && strspn(s, "0123456789abcdef-") == ID_LENGTH;
}

static int on_item(Chatc *c, const Value *item, void *userdata) {
        const Completion *k = userdata;
        const char *name = value_string(item, k->name_key);

        if (k->accepts(name) && (!k->flag || value_bool(item, k->flag)))
                offer_text(k, name, value_string(item, k->note_key));
        return 0;
}

static void offer_list(Completion *k, const char *method, const char *name_key,
        const char *note_key, bool (*accepts)(const char *)) {
        Call call = {.method = method,
                .args = {k->of},
                .options = {{"limit", .number = NAMES_MAX}, {"all", .boolean = k->flag},
                        {"known", .boolean = k->known}},
                .quiet = true,
                .attached = true,
                .timeout = CALL_LIMIT};
        _cleanup_(value_freep) Value *page = NULL;
        bool more;

        k->name_key = name_key;
        k->note_key = note_key;
        k->accepts = accepts;
        if (call_page(k->c, &call, &page, &more) > 0)
                return;
        for (size_t i = 0; i < page->n_items; i++)
                on_item(k->c, page->items[i], k);
}

static void offer_peers(Completion *k) {
        offer_list(k, "ListPeers", "name", "presence", is_name);
}

/* Nobody else can be unblocked, and they are no contacts perhaps. */
static void offer_blocked(Completion *k) {
        k->flag = "blocked";
        offer_peers(k);
}

static void offer_rooms(Completion *k) {
        k->known = true;
        offer_list(k, "ListRooms", "room", "topic", is_room);
}

/* Those that one could join. */
static void offer_all_rooms(Completion *k) {
        offer_list(k, "ListRooms", "room", "topic", is_room);
}

static void offer_members(Completion *k) {
        k->of = k->first;
        offer_list(k, "ListMembers", "name", "role", is_suffixed);
}

static void offer_recipients(Completion *k) {
        if (k->word[0] != '#')
                offer_peers(k);
        offer_rooms(k);
}

static void offer_conversations(Completion *k) {
        offer_list(k, "ListConversations", "with", "state", is_recipient);
}

static void offer_requests(Completion *k) {
        offer_list(k, "ListRequests", "name", "text", is_name);
}

static void offer_outbox(Completion *k) {
        offer_list(k, "ListOutbox", "id", "to", is_id);
}

static void offer_verbs(Completion *k) {
        for (const Verb *v = verbs; v->name; v++)
                if (!verb_is_hidden(v) && v->run != verb_unsupported)
                        offer_text(k, v->name, v->help);
}

static void offer_files(Completion *k) {
        puts(":files");
}

static void offer_nothing(Completion *k) {
}

/* What a word of a synopsis stands for; the first row that fits. */
static const struct {
        const char *verb; /* NULL: any */
        const char *word;
        void (*offer)(Completion *k);
} kinds[] = {
        {"register", "NAME", offer_nothing},
        {"login", "NAME", offer_nothing},
        {"watch", "NAME", offer_nothing},
        {"accept", "NAME", offer_requests},
        {"unblock", "NAME", offer_blocked},
        {"kick", "NAME", offer_members},
        {"role", "NAME", offer_members},
        {"add", "HOST:PORT#key", offer_nothing},
        {"cancel", "ID", offer_outbox},
        {"history", "WITH", offer_conversations},
        {"read", "WITH|ID", offer_conversations},
        {NULL, "NAME", offer_peers},
        {NULL, "TO", offer_recipients},
        {NULL, "WITH", offer_recipients},
        {"create", "#ROOM", offer_nothing},
        {"join", "#ROOM", offer_all_rooms},
        {NULL, "#ROOM", offer_rooms},
        {NULL, "VERB", offer_verbs},
        {NULL, "FILE", offer_files},
        {NULL, "FILE|-", offer_files},
};

/* "delivered|read": words to choose from. */
static void offer_choices(const Completion *k, Span choices) {
        while (choices.n > 0) {
                const char *bar = memchr(choices.p, '|', choices.n);
                size_t n = bar ? (size_t)(bar - choices.p) : choices.n;

                offer(k, (Span){choices.p, n}, "");
                n += bar ? 1 : 0;
                choices = (Span){choices.p + n, choices.n - n};
        }
}

static void offer_kind(Completion *k, const Verb *v, Span word) {
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (span_is(word, kinds[i].word) &&
                        (!kinds[i].verb || streq(kinds[i].verb, v->name))) {
                        kinds[i].offer(k);
                        return;
                }
        if (word.n > 0 && word.p[0] >= 'a' && word.p[0] <= 'z')
                offer_choices(k, word);
}

static void offer_options(const Completion *k, const char *synopsis) {
        Synopsis s;

        synopsis_parse(synopsis, &s);
        for (size_t i = 0; i < s.n_options; i++)
                offer(k, s.options[i].name, "");
}

/* The words behind the verb, the last of which is looked for. */
static void complete_verb(Completion *k, const Verb *v, char **words) {
        const SynopsisOption *open = NULL;
        bool literal = false;
        const char *equals;
        size_t n = 0;
        Synopsis s;

        synopsis_parse(v->synopsis, &s);
        for (; words[1]; words++) {
                const char *w = *words;

                if (open)
                        open = NULL;
                else if (!literal && streq(w, "--"))
                        literal = true;
                else if (!literal && w[0] == '-' && w[1] != '\0') {
                        open = synopsis_option(&s, w, strlen(w));
                        if (open && open->value.n == 0)
                                open = NULL;
                } else if (n++ == 0)
                        k->first = w;
        }

        k->word = *words;
        equals = strchr(k->word, '=');
        if (open)
                offer_kind(k, v, open->value);
        else if (literal || k->word[0] != '-') {
                if (n < s.n_words)
                        offer_kind(k, v, s.words[n]);
        } else if (equals) {
                open = synopsis_option(&s, k->word, (size_t)(equals - k->word));
                if (!open)
                        return;
                k->before = (Span){k->word, (size_t)(equals + 1 - k->word)};
                k->word = equals + 1;
                offer_kind(k, v, open->value);
        } else {
                offer_options(k, v->synopsis);
                offer_options(k, common_options);
        }
}

static void on_alarm(int signo) {
        _exit(STATUS_TIMEOUT);
}

int verb_complete(Chatc *c, char **argv) {
        Completion k = {.c = c, .before = {"", 0}, .first = ""};
        const Verb *v;

        if (*argv && streq(*argv, "--"))
                argv++;
        signal(SIGALRM, on_alarm);
        alarm(ALL_LIMIT);

        while (argv[0] && argv[1] && argv[0][0] == '-')
                argv++;
        if (!argv[0])
                return 0;
        if (argv[1]) {
                v = verb_find(argv[0]);
                if (v)
                        complete_verb(&k, v, argv + 1);
                return 0;
        }
        k.word = argv[0];
        if (k.word[0] == '-') {
                offer_options(&k, common_options);
                offer_text(&k, "--version", "");
        } else
                offer_verbs(&k);
        return 0;
}
