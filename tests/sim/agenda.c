/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "agenda.h"

#include "loop-virtual.h"

/* A tournament: the leaves are machines by their numbers, each other node has the one of its two
 * that comes first, and of those that come at one time that with the lower number. */
struct Agenda {
        usec_t at[MACHINES_MAX];
        unsigned first[2 * MACHINES_MAX]; /* from 1 on; of node I: 2 I and 2 I + 1 */
        Machine *stirred[MACHINES_MAX]; /* who may come at another time than is here */
        unsigned n_stirred;
};

static void note(Agenda *a, unsigned machine, usec_t at) {
        a->at[machine] = at;
        for (unsigned i = (MACHINES_MAX + machine) / 2; i > 0; i /= 2) {
                unsigned left = a->first[2 * i], right = a->first[2 * i + 1];

                a->first[i] = a->at[right] < a->at[left] ? right : left;
        }
}

static void on_stirred(void *userdata) {
        Machine *m = userdata;
        Agenda *a = m->world->agenda;

        a->stirred[a->n_stirred++] = m;
}

void agenda_add(Machine *m) {
        loop_virtual_watch(m->loop, on_stirred, m);
}

Machine *agenda_next(const World *w, usec_t *ret_at) {
        Agenda *a = w->agenda;

        while (a->n_stirred > 0) {
                const Machine *m = a->stirred[--a->n_stirred];

                note(a, m->number, loop_virtual_next(m->loop));
        }
        *ret_at = a->at[a->first[1]];
        return *ret_at == USEC_INFINITY ? NULL : w->machines[a->first[1]];
}

int agenda_new(Agenda **ret) {
        Agenda *a = calloc(1, sizeof(*a));

        if (!a)
                return -ENOMEM;
        for (unsigned i = 0; i < MACHINES_MAX; i++)
                a->first[MACHINES_MAX + i] = i;
        for (unsigned i = MACHINES_MAX; i-- > 0;)
                note(a, i, USEC_INFINITY);
        *ret = a;
        return 0;
}

Agenda *agenda_free(Agenda *a) {
        free(a);
        return NULL;
}
