/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What waits: the list and the count of it are those of the disk, and when all is quiet there is
 * nothing, and the daemon has nothing to complain of. */

#include "room.h"

#define PAGE 16

typedef struct Waiting {
        User *user;
        char last[UUID_TEXT_SIZE]; /* id; "": none yet */
        uint64_t n, n_posts;
} Waiting;

static bool on_waiting(void *userdata, const ChatMessage *m) {
        Waiting *v = userdata;
        const Letter *l = letter_find_text(user_ledger(v->user), m->id);

        memcpy(v->last, m->id, UUID_TEXT_SIZE);
        if (m->room) {
                v->n_posts++;
                room_check_message(v->user, m);
                return !world_has_failed(v->user->machine->world);
        }
        if (!l || l->from != v->user || !letter_waits(l) ||
                !streq(m->state, message_state_name(l->state)) || !streq(m->text, l->text))
                FAIL(v->user, "queue-true", "\"%s\" is listed as %s", m->text, m->state);
        v->n++;
        return !world_has_failed(v->user->machine->world);
}

void queue_check(User *u) {
        Chat *chat = u->machine->parts->chat;
        Waiting v = {.user = u};
        bool more = true;
        ChatStatus s;
        ChatError e;

        if (!user_has_store(u))
                return;
        while (more && !world_has_failed(u->machine->world))
                if (chat_list_outbox(
                            chat, v.last[0] ? v.last : NULL, PAGE, on_waiting, &v, &more, &e) < 0)
                        FAIL(u, "refused", "ListOutbox: %s", e.text);
        chat_status(chat, &s);
        if (v.n != u->n_queued || s.queued != u->n_queued + v.n_posts)
                FAIL(u, "queue-true", "%llu messages are listed, %u counted, and %llu wait",
                        (unsigned long long)(v.n + v.n_posts), s.queued,
                        (unsigned long long)u->n_queued);
}

/* The error of the last commit stays until there is another one. */
static bool has_error(const User *u) {
        StoreHealth h;

        store_get_health(u->machine->store, &h);
        return h.last_error < 0;
}

/* For those who are no more. */
static uint64_t count_hopeless(const User *u) {
        const World *w = u->machine->world;
        uint64_t n = 0;

        for (unsigned i = 0; i < w->n_users; i++)
                if (w->machines[i]->destroyed)
                        n += mail_between(u, w->machines[i]->user)->n_waiting;
        return n;
}

void queue_check_quiet(User *u) {
        ChatStatus s;

        queue_check(u);
        chat_status(u->machine->parts->chat, &s);
        if (s.queued > count_hopeless(u))
                FAIL(u, "queue-drains", "%u messages are queued", s.queued);
        if (!streq(s.state, "online"))
                FAIL(u, "presence-true", "is %s itself", s.state);
        for (size_t i = 0; s.problems[i] && !has_error(u); i++)
                FAIL(u, "problem-stays", "%s", s.problems[i]);
}
