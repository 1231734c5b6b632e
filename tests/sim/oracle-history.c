/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What a daemon shows of conversations, page by page: all that is on its disk and nothing else,
 * with states and counts that are true, causes before effects, and when all is quiet without gaps
 * and in the order in which the other side shows it.
 */

#include <stdio.h>

#include "truth.h"

/* Small, so that conversations have several. */
#define PAGE 16

/* Longer ones are looked at when all is quiet only. */
#define LOOK_MAX 300

typedef struct Shown {
        User *user, *with;
        const Letter **letters; /* backwards by pages, each page forwards */
        size_t n, allocated, page; /* where the page begins */
        unsigned unread;
        size_t n_own;
        bool quiet;
} Shown;

/* It is said at once and over each link; who could not keep it then hears it over the next. */
static bool is_known_as_read(const Letter *l) {
        const User *u = l->from;

        return l->read && machine_says_read(l->to->machine) && u->machine->failures == 0 &&
                l->to->machine->failures == 0 &&
                delivery_has_link(u->machine->parts->delivery, l->to->account);
}

static void check_own(const Shown *s, const Letter *l, const ChatMessage *m) {
        User *u = s->user;

        if (!l->kept || !streq(m->state, message_state_name(l->state)))
                FAIL(u, "state-order", "\"%s\" is shown as %s and is %s", l->text, m->state,
                        l->kept ? message_state_name(l->state) : "not kept");
        else if (s->quiet && l->state != MESSAGE_READ && is_known_as_read(l))
                FAIL(u, "read-not-told", "\"%s\" is shown as %s", l->text, m->state);
}

/* What has not come of those just before a message. */
typedef struct Gap {
        uint64_t n, given_up;
        uint64_t excused; /* given up, and something could not be kept since they were sent */
} Gap;

static Gap gap_before(const Letter *l) {
        const Chain *c = mail_chain(mail_between(l->from, l->to), l->epoch);
        Gap g = {};

        for (uint64_t seq = l->seq - 1; seq > 0; seq--) {
                const Letter *missing = c->letters[seq - 1];

                if (!missing || missing->arrived > 0)
                        break;
                g.n++;
                g.given_up += missing->given_up;
                g.excused += missing->given_up && missing->failures != l->to->machine->failures;
        }
        return g;
}

/* That a message will never come is said over each link, and when it happens. Who could not keep it
 * then is told over the next link. */
static void check_gap(const Shown *s, const Letter *l, uint64_t shown) {
        Gap g = gap_before(l);

        if (shown > g.n || shown + g.given_up < g.n)
                FAIL(s->user, "gap-true", "%llu messages are missing before \"%s\", not %llu",
                        (unsigned long long)g.n, l->text, (unsigned long long)shown);
        else if (s->quiet && shown > g.excused &&
                delivery_has_link(s->user->machine->parts->delivery, l->from->account))
                FAIL(s->user, "feed-broken", "%llu messages are missing before \"%s\"",
                        (unsigned long long)shown, l->text);
}

static void check_others(const Shown *s, Letter *l, const ChatMessage *m) {
        User *u = s->user;
        const Mail *mail = mail_between(l->from, u);
        bool read = streq(m->state, "read");

        l->ahead = m->clock_ahead;
        if (l->arrived == 0)
                FAIL(u, "shown-before-commit", "\"%s\"", l->text);
        else if (!read && !streq(m->state, "received"))
                FAIL(u, "state-order", "\"%s\" is shown as %s", l->text, m->state);
        else if (read ? letter_place(l) > letter_place(mail->read_asked) : l->seen)
                FAIL(u, "unread-wrong", "\"%s\" is shown as %s", l->text, m->state);
        else
                check_gap(s, l, m->gap_before);
}

static bool on_message(void *userdata, const ChatMessage *m) {
        Shown *s = userdata;
        User *u = s->user;
        Letter *l = letter_find_text(user_ledger(u), m->id);

        if (!l || !streq(l->text, m->text) || !streq(l->from->account_text, m->from_account) ||
                !(l->from == u ? l->to == s->with : l->to == u && l->from == s->with)) {
                FAIL(u, "forged", "shows \"%s\" of %s", m->text, m->from);
                return false;
        }
        if (l->from == u)
                check_own(s, l, m);
        else
                check_others(s, l, m);
        s->unread += streq(m->state, "received");
        s->n_own += l->from == u;
        if (s->n == s->allocated) {
                s->allocated = MAX(2 * s->allocated, (size_t)64);
                s->letters = must(reallocarray(s->letters, s->allocated, sizeof(*s->letters)));
        }
        s->letters[s->n++] = l;
        return !world_has_failed(u->machine->world);
}

/* Pages come newest first. */
static void turn_page(Shown *s) {
        for (size_t i = s->page, k = s->n; i + 1 < k; i++) {
                const Letter *l = s->letters[--k];

                s->letters[k] = s->letters[i];
                s->letters[i] = l;
        }
        s->page = s->n;
}

/* From the newest to the oldest. */
static void show(Shown *s) {
        User *u = s->user;
        char ref[USER_REF_SIZE];
        ChatListMessages args = {.with = user_ref(s->with, ref), .limit = PAGE};
        bool more = true;
        ChatError e;

        while (more && !world_has_failed(u->machine->world)) {
                if (chat_list_messages(u->machine->parts->chat, &args, on_message, s, &more, &e) <
                        0) {
                        FAIL(u, "refused", "ListMessages: %s", e.text);
                        return;
                }
                turn_page(s);
                args.before = s->n > 0 ? s->letters[s->n - 1]->id_text : NULL;
        }
}

static int by_id(const void *a, const void *b) {
        const Letter *x = *(const Letter *const *)a, *y = *(const Letter *const *)b;

        return memcmp(&x->id, &y->id, sizeof(x->id));
}

/* None twice, and as many as there are: so all are there. */
static void check_whole(const Shown *s) {
        User *u = s->user;
        const Mail *to = mail_between(u, s->with), *from = mail_between(s->with, u);
        const Letter **sorted = must(malloc((s->n + 1) * sizeof(*sorted)));

        copy_bytes(sorted, s->letters, s->n * sizeof(*sorted));
        qsort(sorted, s->n, sizeof(*sorted), by_id);
        for (size_t i = 1; i < s->n; i++)
                if (sorted[i] == sorted[i - 1])
                        FAIL(u, "shown-twice", "\"%s\" is in the history twice", sorted[i]->text);
        free(sorted);
        if (s->n_own != to->n_kept || s->n - s->n_own != from->n_arrived)
                FAIL(u, "lost", "shows %zu and %zu messages with %s, of %zu and %zu", s->n_own,
                        s->n - s->n_own, s->with->machine->name, to->n_kept, from->n_arrived);
}

static bool on_conversation(void *userdata, const ChatConversation *v) {
        Shown *s = userdata;

        if (!v->account || !streq(v->account, s->with->account_text)) /* none: a room */
                return true;
        if (v->unread != s->unread)
                FAIL(s->user, "unread-wrong", "%u messages of %s are unread, not %u", s->unread,
                        s->with->machine->name, v->unread);
        if (s->n == 0 || !streq(v->last_id, s->letters[0]->id_text))
                FAIL(s->user, "order-equal", "%s is not the last message with %s", v->last_id,
                        s->with->machine->name);
        s->page = SIZE_MAX;
        return false;
}

static void check_conversation(Shown *s) {
        User *u = s->user;
        bool more;
        ChatError e;

        (void)chat_list_conversations(
                u->machine->parts->chat, NULL, 1000, on_conversation, s, &more, &e);
        if (s->n > 0 && s->page != SIZE_MAX)
                FAIL(u, "lost", "the conversation with %s is not listed", s->with->machine->name);
}

/* What only one side has is left out. */
static size_t next_common(const Shown *s, size_t i) {
        while (i < s->n && s->letters[i]->arrived == 0)
                i++;
        return i;
}

static void check_order(const Shown *a, const Shown *b) {
        size_t i = next_common(a, 0), k = next_common(b, 0);

        while (i < a->n && k < b->n && a->letters[i] == b->letters[k]) {
                i = next_common(a, i + 1);
                k = next_common(b, k + 1);
        }
        if (i < a->n && k < b->n)
                FAIL(a->user, "order-equal", "shows \"%s\" where %s shows \"%s\"",
                        a->letters[i]->text, b->user->machine->name, b->letters[k]->text);
}

/* Who had one on disk when he wrote another has it before that one, but for those that pretend to
 * come from the future. */
static void check_causes(const Shown *s) {
        const Letter *first = NULL;

        for (size_t i = 0; i < s->n; i++) {
                const Letter *l = s->letters[i];

                if (l->from == s->user && first && first->arrived <= l->known)
                        FAIL(s->user, "order-causal", "\"%s\" is after \"%s\", which came later",
                                first->text, l->text);
                if (l->from != s->user && !l->ahead && (!first || l->arrived < first->arrived))
                        first = l;
        }
}

static void check_shown(Shown *s) {
        show(s);
        if (world_has_failed(s->user->machine->world))
                return;
        check_whole(s);
        check_causes(s);
        check_conversation(s);
}

void history_check(User *u, User *with) {
        Shown mine = {.user = u, .with = with};

        if (!user_has_store(u) ||
                mail_between(u, with)->n_kept + mail_between(with, u)->n_arrived > LOOK_MAX)
                return;
        check_shown(&mine);
        free(mine.letters);
}

void history_check_quiet(User *u, User *with) {
        Shown mine = {.user = u, .with = with, .quiet = true};
        Shown others = {.user = with, .with = u, .quiet = true};

        check_shown(&mine);
        check_shown(&others);
        check_order(&mine, &others);
        free(mine.letters);
        free(others.letters);
}
