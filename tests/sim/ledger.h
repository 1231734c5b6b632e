/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What has really happened, whatever the programs believe: which messages were accepted, which lie
 * on whose disk, who was shown what. The oracles compare it with everything the programs say, at
 * once, and with all they keep when the world is quiet. What does not hold is world_fail().
 */

#include "world.h"

/* Without users nothing is asked of it. */
int ledger_new(World *w, unsigned n_users, Ledger **ret);
Ledger *ledger_free(Ledger *l);

/* The acting machine sends INNER or seals it, as its program has made it. */
void ledger_hear_message(Bytes inner);

/* TRACKER has it on disk; says that it has; has it no more, since its recipient or its sender said
 * so; finds it to be STATE. */
void ledger_mail_kept(Machine *tracker, const uint8_t *id, usec_t expires);
void ledger_mail_claimed(Machine *tracker, const uint8_t *id);
void ledger_mail_gone(Machine *tracker, const uint8_t *id, bool withdrawn);
void ledger_mail_found(Machine *tracker, const uint8_t *id, DStoreItemState state);

/* What TRACKER has is over when it is before NOW, by its clock. */
void ledger_mail_time(Machine *tracker, usec_t now);

/* TRACKER has lost all of it; lies from now on, or did until now: nothing follows from what it has
 * had. */
void ledger_mail_lost(Machine *tracker);
void ledger_mail_doubted(Machine *tracker);

/* All machines run, nothing is cut, and this has been so for a while: what is to be true now. */
void ledger_check_quiet(Ledger *l);

/* Nothing is to be done any more anywhere: queues are empty, everybody is content. */
bool ledger_is_settled(const Ledger *l);
