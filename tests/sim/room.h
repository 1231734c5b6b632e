/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The room of the world, "#room": what people do in it, and what is known of it. */

#include "truth.h"

#define ROOM_CALLED "#room"

/* room.c */

/* What was not answered, or not well; the program begins, has ended; nothing is left to ask. */
void room_ask_again(User *u);
void room_user_started(User *u);
void room_user_ended(User *u);
bool room_user_is_content(const User *u);
void room_user_done(User *u);

/* The former device M of AUTHOR's, with nobody in front of it, writes to the room. */
void room_post_from(Machine *m, User *author);

/* oracle-room.c */

/* NULL: nobody has written it. */
Post *post_find(const Ledger *l, const Uuid *id);
Post *post_find_text(const Ledger *l, const char *id);
void posts_free(Ledger *l);

/* BY is about to remove somebody. */
void room_note_kick_begins(User *by);

/* BY's program says that WHOM is no member any more. */
void room_note_kick(User *by, User *whom);

/* FEED is one of a room, or was. */
bool room_has_feed(DbTxn *txn, uint32_t feed);

/* As rows.c does for messages. */
void room_look(User *u, DbTxn *txn);
void room_note_received(User *u, DbTxn *txn, const EventRow *row);
void room_note_state(User *u, DbTxn *txn, const EventRow *row);
void room_check_start(User *u, DbTxn *txn);

/* What a listener is told of a message in the room. */
void room_check_message(User *u, const ChatMessage *m);

/* How long U's program has not been there at most, at a time. */
usec_t room_absence(const User *u);

/* All members have the same, as far as that can be seen from outside. */
bool room_is_level(const Ledger *l);
void room_check_quiet(Ledger *l);
