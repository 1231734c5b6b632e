/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What has really happened, whatever the programs believe: which messages were accepted, which lie
 * on whose disk, who was shown what. The oracles compare it with everything the programs say, at
 * once, and with all they keep when the world is quiet. What does not hold is world_fail().
 */

#include "world.h"

int ledger_new(World *w, Ledger **ret);
Ledger *ledger_free(Ledger *l);

/* The acting machine sends M, as its program has made it. */
void ledger_hear_message(const MessageFrame *m);

/* All machines run, nothing is cut, and this has been so for a while: what is to be true now. */
void ledger_check_quiet(Ledger *l);

/* Nothing is to be done any more anywhere: queues are empty, everybody is content. */
bool ledger_is_settled(const Ledger *l);
