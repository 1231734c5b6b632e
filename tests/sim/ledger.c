/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "ledger.h"

#include <stdio.h>

#include "loop-virtual.h"
#include "nearby.h"
#include "prompt.h"
#include "room.h"

/* Letters */

Letter *letter_find(const Ledger *l, const Uuid *id) {
        Letter *found;

        HASH_FIND(hh, l->letters, id, sizeof(*id), found);
        return found;
}

Letter *letter_find_text(const Ledger *l, const char *text) {
        Uuid id;

        return uuid_parse(text, &id) < 0 ? NULL : letter_find(l, &id);
}

static Uuid make_id(User *u) {
        uint8_t random[10];

        for (size_t i = 0; i < sizeof(random); i++)
                random[i] = (uint8_t)world_random_below(u->machine->world, 256);
        return uuid_make_v7(loop_realtime(u->machine->loop), random);
}

/* Of 100 messages so many are worth nothing after a while: a minute, doubled up to ten times, and
 * up to as long again. */
#define SHORT_LIVED 10
#define DOUBLINGS 10

static usec_t choose_expiry(User *u) {
        World *w = u->machine->world;
        usec_t lifetime;

        if (world_random_below(w, 100) >= SHORT_LIVED)
                return 0;
        lifetime = USEC_PER_MINUTE << world_random_below(w, DOUBLINGS + 1);
        return loop_realtime(u->machine->loop) + lifetime + world_random_below(w, lifetime);
}

Letter *letter_new(User *from, User *to) {
        Ledger *ledger = user_ledger(from);
        Mail *m = mail_between(from, to);
        Letter *l = must(calloc(1, sizeof(*l)));

        *l = (Letter){
                .id = make_id(from), .from = from, .to = to, .worthless = choose_expiry(from)};
        uuid_format(&l->id, l->id_text);
        snprintf(l->text, sizeof(l->text), "%s to %s %zu", from->machine->name, to->machine->name,
                m->n_sent + 1);
        HASH_ADD(hh, ledger->letters, id, sizeof(l->id), l);
        must(l->hh.tbl);
        if (m->n_sent == m->allocated_sent) {
                m->allocated_sent = MAX(2 * m->allocated_sent, (size_t)64);
                m->sent = must(reallocarray(m->sent, m->allocated_sent, sizeof(*m->sent)));
        }
        m->sent[m->n_sent++] = l;
        return l;
}

User *ledger_find_user(const Ledger *l, const uint8_t *account) {
        const World *w = l->world;

        for (unsigned i = 0; i < w->n_users; i++) {
                User *u = w->machines[i]->user;

                if (u->account_text[0] && key_equal(u->account, account))
                        return u;
        }
        return NULL;
}

/* When all is quiet */

/* It is known what has become of each message, on both sides. */
static void check_arrived(World *w, const Mail *m) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_sent; i++) {
                const Letter *l = m->sent[i];

                if (l->accepted && l->arrived == 0 && l->cancelling == CANCEL_NOT &&
                        l->state != MESSAGE_EXPIRED && !l->from->machine->destroyed &&
                        !l->to->machine->destroyed)
                        world_fail(w, "lost", "\"%s\" was accepted and has not come", l->text);
                if (l->cancelling == CANCEL_DONE && l->arrived == 0 && l->state != MESSAGE_FAILED)
                        world_fail(w, "cancel-lost", "\"%s\" is %s", l->text,
                                message_state_name(l->state));
        }
        for (unsigned i = 0; m->chains && i < EPOCHS_MAX; i++)
                n += m->chains[i].n;
        if (n != m->n_kept)
                world_fail(w, "feed-broken", "%s to %s: %zu messages on %zu places",
                        m->from->machine->name, m->to->machine->name, m->n_kept, n);
}

/* Timers and the like of one program: so many whatever it does, and for each machine. */
#define SOURCES_BASE 64
#define SOURCES_EACH 12

static void check_sources(World *w) {
        for (unsigned i = 0; i < w->n_machines; i++) {
                unsigned n = loop_virtual_count_sources(w->machines[i]->loop);

                if (n > SOURCES_BASE + SOURCES_EACH * w->n_machines)
                        world_fail(
                                w, "memory-bounded", "%s has %u sources", w->machines[i]->name, n);
        }
}

void ledger_check_quiet(Ledger *l) {
        World *w = l->world;

        for (size_t i = 0; i < (size_t)l->n_users * l->n_users; i++)
                check_arrived(w, &l->mail[i]);
        for (unsigned i = 0; i < w->n_users && !world_has_failed(w); i++) {
                Machine *m = w->machines[i];

                if (m->destroyed)
                        continue;
                machine_enter(m);
                queue_check_quiet(m->user);
                mail_check_quiet(m->user);
                presence_check_quiet(m->user);
                for (unsigned k = 0; k < i && !world_has_failed(w); k++)
                        if (!w->machines[k]->destroyed)
                                history_check_quiet(m->user, w->machines[k]->user);
                machine_leave(m);
        }
        mail_check_trackers_quiet(l);
        if (!world_has_failed(w))
                room_check_quiet(l);
        check_sources(w);
}

/* Somebody who still is has not got all. */
static bool user_is_awaited(const User *u) {
        const World *w = u->machine->world;

        for (unsigned i = 0; i < w->n_users; i++) {
                const User *to = w->machines[i]->user;

                if (!to->machine->destroyed && mail_between(u, to)->n_waiting > 0)
                        return true;
        }
        return false;
}

bool ledger_is_settled(const Ledger *l) {
        const World *w = l->world;

        for (unsigned i = 0; i < w->n_users; i++) {
                const User *u = w->machines[i]->user;

                if (!u->machine->destroyed && (!user_is_content(u) || user_is_awaited(u)))
                        return false;
        }
        return true;
}

int ledger_new(World *w, unsigned n_users, Ledger **ret) {
        Ledger *l = calloc(1, sizeof(*l));
        int r;

        if (!l)
                return -ENOMEM;
        l->world = w;
        l->mail = calloc((size_t)n_users * n_users + 1, sizeof(*l->mail));
        l->n_users = l->mail ? n_users : 0;
        r = l->mail ? 0 : -ENOMEM;
        if (r >= 0 && n_users > 0)
                r = prompt_new(w, &l->prompt);
        if (r >= 0 && n_users > 0)
                r = nearby_new(w, &l->nearby);
        if (r < 0) {
                ledger_free(l);
                return r;
        }
        *ret = l;
        return 0;
}

static void mail_done(Mail *m) {
        for (unsigned i = 0; m->chains && i < EPOCHS_MAX; i++)
                free(m->chains[i].letters);
        free(m->chains);
        free(m->sent);
}

Ledger *ledger_free(Ledger *l) {
        Letter *letter, *tmp;

        if (!l)
                return NULL;
        HASH_ITER (hh, l->letters, letter, tmp) {
                HASH_DEL(l->letters, letter);
                free(letter);
        }
        for (size_t i = 0; i < (size_t)l->n_users * l->n_users; i++)
                mail_done(&l->mail[i]);
        free(l->mail);
        mail_free_sealed(l);
        posts_free(l);
        nearby_free(l->nearby);
        prompt_free(l->prompt);
        free(l);
        return NULL;
}
