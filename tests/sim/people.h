/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * People with accounts on several devices, who stand in the place of users (user.h) in a world that
 * has devices. Each has an account with a password, that his first device registers; another device
 * of his takes it over when he logs in there. He writes, reads, listens on whichever device he sits
 * at; what was not answered, or refused since the account is elsewhere now, he asks again where it
 * is, with the same id.
 *
 * What must hold is asked of what the programs say, of what they have on disk after each commit,
 * and of what they sign and send; see people-private.h for what is known of each message.
 */

#include "world.h"
#include "wire/message.h"
#include "wire/receipt.h"

typedef struct People People;
typedef struct Person Person;
typedef struct Seat Seat; /* in front of one of his devices */

/* W's machines are there: users, trackers, further devices. */
int people_new(World *w, People **ret);

/* Before the loops of machines are. */
People *people_free(People *p);

Person *seat_person(const Seat *s);

/* As user_started(), user_ended() and user_look(). */
void seat_started(Seat *s);
void seat_ended(Seat *s);
void seat_look(Seat *s);

/* What somebody does there, each between machine_enter() and machine_leave(). */
void seat_write(Seat *s, Person *to); /* NULL: to the room */
void seat_read(Seat *s, Person *from); /* all that has come of him */
void seat_catch_up(Seat *s); /* the client that reads events, and acknowledges them */
void seat_verify(Seat *s, Person *whom);
void seat_log_in(Seat *s);
void seat_ask_first(Seat *s); /* before anything is handed over from there */
void seat_accept(Seat *s); /* what it has asked */
void seat_make_room(Seat *s);
void seat_join_room(Seat *s);

/* While the program does not run: as a copy of the disk has it that was made before. -ENOENT: there
 * is none; -EBUSY: the program runs. */
int seat_save_store(Seat *s);
int seat_restore_store(Seat *s);

/* The disk is about to be gone for ever. */
void seat_destroyed(Seat *s);

/* All run, and nothing is cut: what people do then, each second; nothing is left to do; and what is
 * to be true. */
void people_settle(People *p);
const char *people_unsettled(People *p); /* what is, until the next call; NULL: nothing */
void people_check_quiet(People *p);

/* people-wire.c: what the acting machine is about to say. */
void people_hear_acks(const Uuid *ids, size_t n);
void people_hear_receipt(const Receipt *rc);
void people_hear_inner(Bytes inner);
