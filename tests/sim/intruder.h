/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Somebody on a LAN who means no good. He has what everybody there can have: what is said to all,
 * any source address, keys of his own, and a port that answers, or that is silent.
 */

#include "world.h"

typedef enum Trick {
        TRICK_REPLAY, /* what others have said, from where he is, where they are, and elsewhere */
        TRICK_ALTER, /* the same, with other bytes, or signed by himself */
        TRICK_CLAIM, /* that he is called as others are */
        TRICK_FLOOD, /* that he is very many */
        _TRICK_MAX,
} Trick;

/* To this LAN; 0: he goes. He comes with a new address and listens. */
void intruder_come(World *w, unsigned lan);

/* From now on, beside what he does already. */
void intruder_do(World *w, Trick trick);

/* He does nothing any more. */
void intruder_stop(World *w);

/* Before the machines. */
void intruder_free(World *w);
