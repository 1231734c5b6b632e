/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A person with a machine: a small program that uses a daemon as people and scripts do, through
 * chat/, and notes in the ledger what it was told. It asks again, with the same id, for whatever
 * was not answered; its clients come, listen, go away and read on from their cursor.
 */

#include "world.h"

/* What somebody wants to do in the room. */
typedef enum Deed {
        DEED_MAKE,
        DEED_MAKE_PRIVATE,
        DEED_MAKE_HIDDEN,
        DEED_JOIN,
        DEED_LEAVE,
        DEED_INVITE,
        DEED_KICK,
        DEED_ADMIN,
        DEED_GIVE,
        _DEED_MAX,
} Deed;

int user_new(Machine *m, User **ret);

/* Before M's loop is. */
User *user_free(User *u);

/* The program runs now, before its first turn. Registers where there is no account yet. */
void user_started(User *u);

/* The program is gone, or about to be: nothing that was asked will be answered. */
void user_ended(User *u);

/* The machine has committed: what is on disk now. Called at once, before the program learns of it,
 * so that whatever it says from then on can be compared; the store can be read. */
void user_look(User *u);

/* What a user does, each between machine_enter() and machine_leave(). While the program does not
 * run the user does nothing, but user_send(): that is sent when it runs again. */
void user_send(User *u, User *to);
void user_mark_read(User *u, User *from); /* all that has come of him */
void user_cancel(User *u, User *to); /* the oldest message that is not delivered */
void user_listen(User *u, bool on); /* the client that hears signals; it reads on when it is back */
void user_block(User *u, User *whom, bool block);
void user_read_on(User *u); /* the client that only reads events, and acknowledges them */

/* In the room. While the program does not run it is for when it does. */
void user_do(User *u, Deed deed, User *whom);
void user_post(User *u);
void user_read_room(User *u);

/* He knows trackers now. */
void user_publish(User *u);

/* Nothing that he wants is left to ask or to be answered. */
bool user_is_content(const User *u);
