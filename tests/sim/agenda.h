/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Whose turn is next, of many machines of which few have changed since the last turn. */

#include "world.h"

int agenda_new(Agenda **ret);
Agenda *agenda_free(Agenda *a);

/* Once its loop is there. */
void agenda_add(Machine *m);

/* Of those whose turn comes first that with the lowest number; NULL: nobody has one. */
Machine *agenda_next(const World *w, usec_t *ret_at);
