/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "people-private.h"

#include <utlist.h>

#include "machine.h"

/* Finding */

Note *note_find(const People *p, const Uuid *id) {
        Note *found;

        HASH_FIND(hh, p->notes, id, sizeof(*id), found);
        return found;
}

Note *note_find_text(const People *p, const char *text) {
        Uuid id;

        return uuid_parse(text, &id) < 0 ? NULL : note_find(p, &id);
}

Person *people_find(const People *p, const uint8_t *account) {
        for (unsigned i = 0; i < p->n; i++)
                if (p->all[i].registered && key_equal(p->all[i].account, account))
                        return (Person *)&p->all[i];
        return NULL;
}

bool note_is_for(const Note *n, const Person *p) {
        return n->to ? n->to == p : n->from != p;
}

Person *seat_person(const Seat *s) {
        return s->person;
}

static bool is_active(const Seat *s) {
        return s->has_account && !s->replaced && !s->machine->destroyed;
}

Seat *person_seat(Person *p) {
        Seat *found = NULL;

        for (unsigned i = 0; i < p->people->n_devices; i++) {
                Seat *s = &p->seats[i];

                if (is_active(s) && (!found || s->epoch > found->epoch))
                        found = s;
        }
        return found;
}

/* Handing over */

bool seat_is_handing_over(const Seat *s) {
        HandoverState h;

        handover_get_state(s->machine->parts->handover, &h);
        return h.active && (h.giving || !s->person->has_lost_one);
}

void seat_ask_first(Seat *s) {
        s->asks_first = true;
        if (s->running)
                parts_set_handover_asks(s->machine->parts, true);
}

void seat_accept(Seat *s) {
        if (s->running)
                (void)handover_accept(s->machine->parts->handover);
}

/* Settling */

/* Of somebody whose devices all say that another one is the active one, as the one that is was put
 * back to when it was not, he logs in on one. */
static void person_log_in_somewhere(Person *p) {
        Seat *first = NULL;

        for (unsigned i = 0; i < p->people->n_devices; i++) {
                Seat *s = &p->seats[i];

                if (is_active(s) || s->wants_login || s->logging_in || s->registering)
                        return;
                if (!first && s->running && s->has_account)
                        first = s;
        }
        if (!first || world_has_failed(p->people->world))
                return;
        machine_enter(first->machine);
        seat_log_in(first);
        machine_leave(first->machine);
}

void people_settle(People *p) {
        for (unsigned i = 0; i < p->n; i++)
                for (unsigned k = 0; k < p->n_devices; k++) {
                        Seat *s = &p->all[i].seats[k];

                        if (k > 0 && s->machine->starts > 0)
                                machine_start(s->machine);
                        if (!s->running || world_has_failed(p->world))
                                continue;
                        machine_enter(s->machine);
                        if (is_active(s))
                                seat_catch_up(s);
                        seat_accept(s);
                        if (s->open)
                                seat_ask_again(s);
                        machine_leave(s->machine);
                }
        for (unsigned i = 0; i < p->n; i++)
                person_log_in_somewhere(&p->all[i]);
}

/* What it still does; NULL: nothing. */
static const char *seat_unsettled(Seat *s) {
        ChatStatus st;

        if (s->machine->destroyed || (s->device > 0 && s->machine->starts == 0))
                return NULL;
        if (!s->running)
                return "does not run";
        if (!seat_is_content(s))
                return "waits for an answer";
        if (seat_is_handing_over(s))
                return "is handing over";
        if (!is_active(s))
                return NULL;
        if (s->read_something)
                return "reads events";
        chat_status(s->machine->parts->chat, &st);
        return st.queued > 0 ? "has messages in its queue" : NULL;
}

/* One of them is active, and all others know it. */
static bool has_one_seat(const Person *p) {
        unsigned n = 0;

        for (unsigned i = 0; i < p->people->n_devices; i++)
                n += is_active(&p->seats[i]);
        return n == 1;
}

static bool has_arrived(const Note *n) {
        return !n->to || !n->accepted || n->excused || n->at[n->to->number].arrived;
}

const char *people_unsettled(People *p) {
        static char text[128];
        const Note *n, *tmp;

        for (unsigned i = 0; i < p->n; i++) {
                for (unsigned k = 0; k < p->n_devices; k++) {
                        const char *why = seat_unsettled(&p->all[i].seats[k]);

                        snprintf(text, sizeof(text), "%s %s", p->all[i].seats[k].machine->name,
                                why ?: "");
                        if (why)
                                return text;
                }
                snprintf(text, sizeof(text), "%s's account is not active on one device alone",
                        p->all[i].name);
                if (!has_one_seat(&p->all[i]))
                        return text;
        }
        HASH_ITER (hh, p->notes, n, tmp) {
                snprintf(text, sizeof(text), "\"%s\" has not come", n->text);
                if (!has_arrived(n))
                        return text;
        }
        return NULL;
}

/* Disks */

/* What it had and has no more need not come again: nobody else can know of it. */
static void note_lost(Seat *s, DbTxn *before, DbTxn *after) {
        Note *n, *tmp;

        HASH_ITER (hh, s->person->people->notes, n, tmp) {
                NoteAt *at = note_at(n, s->person);

                if (!seat_has(s, before, n) || (after && seat_has(s, after, n)))
                        continue;
                at->excused = true;
                at->kept[s->device] = at->came[s->device] = at->heard[s->device] = false;
                if (n->from == s->person && !(n->to && note_at(n, n->to)->arrived))
                        n->excused = true;
        }
        s->person->lossy = true;
}

static int with_store(const char *dir, Loop *loop, Store **ret, DbTxn **ret_txn) {
        int r;

        r = store_open(dir, loop, ret);
        return r < 0 ? r : store_read_begin(*ret, ret_txn);
}

/* AFTER: another directory, or NULL. */
static void look_what_is_lost(Seat *s, const char *before, const char *after) {
        Store *old = NULL, *new = NULL;
        DbTxn *had = NULL, *has = NULL;
        EventBounds b;

        if (with_store(before, s->machine->loop, &old, &had) >= 0 &&
                (!after || with_store(after, s->machine->loop, &new, &has) >= 0))
                note_lost(s, had, has);
        if (has && event_bounds(has, &b) >= 0)
                s->events = b.last;
        store_read_end(has);
        store_read_end(had);
        store_close(new);
        store_close(old);
}

int seat_save_store(Seat *s) {
        return machine_copy_disk(s->machine, &s->saved);
}

int seat_restore_store(Seat *s) {
        Machine *m = s->machine;

        if (!s->saved)
                return -ENOENT;
        if (m->running || m->asleep || m->destroyed)
                return -EBUSY;
        world_trace(m->world, m, "has its store put back");
        look_what_is_lost(s, m->dir, s->saved);
        s->restored = true;
        s->restored_epoch = s->epoch;
        s->epoch = s->epoch_before = 0;
        s->replaced = false;
        free(m->dir);
        m->dir = TAKE_PTR(s->saved);
        return 0;
}

void seat_destroyed(Seat *s) {
        s->person->has_lost_one = true;
        if (s->machine->starts > 0)
                look_what_is_lost(s, s->machine->dir, NULL);
}

/* Making them */

static Machine *machine_of(World *w, unsigned person, unsigned device) {
        unsigned further = w->n_users + w->n_trackers;

        return w->machines[device == 0 ? person : further + (device - 1) * w->n_users + person];
}

int people_new(World *w, People **ret) {
        People *p = calloc(1, sizeof(*p));
        int r = 0;

        if (!p)
                return -ENOMEM;
        *p = (People){.world = w, .n = w->n_users, .n_devices = w->n_devices};
        for (unsigned i = 0; i < p->n && r >= 0; i++) {
                Person *person = &p->all[i];

                *person = (Person){.people = p, .number = i, .name = w->machines[i]->name};
                snprintf(person->password, sizeof(person->password), "correct horse %s",
                        person->name);
                for (unsigned k = 0; k < p->n_devices && r >= 0; k++) {
                        Machine *m = machine_of(w, i, k);

                        m->seat = &person->seats[k];
                        m->called = person->name;
                        r = seat_init(m->seat, person, m, k);
                }
        }
        if (r < 0) {
                people_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

People *people_free(People *p) {
        Note *n, *tmp;

        if (!p)
                return NULL;
        for (unsigned i = 0; i < p->n; i++)
                for (unsigned k = 0; k < p->n_devices; k++) {
                        Seat *s = &p->all[i].seats[k];

                        loop_timer_free(s->again);
                        free(s->saved);
                        if (s->machine)
                                s->machine->seat = NULL;
                }
        HASH_ITER (hh, p->notes, n, tmp) {
                HASH_DEL(p->notes, n);
                free(n);
        }
        readings_free(p);
        places_free(p);
        free(p);
        return NULL;
}
