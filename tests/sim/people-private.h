/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of people share: each message as it really is, and where it is. */

#include <stdio.h>

#include "people.h"
#include "script.h"
#include "store/event.h"
#include "truth.h"
#include "util/table.h"

#define READER "reader"
#define PEOPLE_PAGE 50
#define PEOPLE_READ_MAX 200

typedef struct Note Note;

/* What one person has of a note. */
typedef struct NoteAt {
        bool kept[SCRIPT_DEVICES_MAX]; /* on the disk of that device, as of its last commit */
        bool came[SCRIPT_DEVICES_MAX]; /* there is an event of it as new as the device's own */
        bool arrived; /* on any disk, at some time */
        bool heard[SCRIPT_DEVICES_MAX]; /* its listener was told of it */
        bool unheard[SCRIPT_DEVICES_MAX]; /* the program ended before it could be */
        bool for_reader; /* an event that the reader has to be told of */
        bool told, read; /* the reader was told, and has acknowledged that */
        bool seen; /* he was answered that he has read it */
        bool excused; /* a disk that had it has it no more */
        unsigned shown; /* how often, while a history is looked at */
} NoteAt;

struct Note {
        Uuid id;
        char id_text[UUID_TEXT_SIZE];
        char text[96]; /* who, to whom, which of them: no two are alike */
        Person *from, *to; /* NULL: the room */
        Seat *seat; /* where it is asked, until it is accepted */
        usec_t wanted, kept; /* world time; kept: for the first time */
        bool waiting, accepted;
        bool excused; /* the only disk that had it has it no more: it need not come */
        bool loose; /* written on a disk that was put back, before anybody could tell it so */
        bool forked; /* another one was sent in its place */
        NoteAt at[SCRIPT_PEOPLE_MAX];
        Note *prev, *next; /* in `open` of its seat */
        UT_hash_handle hh;
};

typedef struct Verifying {
        Seat *seat;
        Person *whom;
} Verifying;

typedef struct Reading Reading; /* people-ask.c */

struct Seat {
        Machine *machine;
        Person *person;
        unsigned device; /* from 0 on */
        LoopTimer *again;
        bool again_set, running;
        bool has_account; /* as its program says */
        bool had_account;
        bool registering, wants_login, logging_in;
        bool asks_first;
        Note *open;
        Verifying verifying[SCRIPT_PEOPLE_MAX];

        /* The reader. */
        bool reading; /* waits for the answer to an acknowledgement */
        bool reader_is_known; /* has acknowledged something here */
        bool read_something; /* in the last turn */
        Note *told[PEOPLE_READ_MAX];
        unsigned n_told;

        /* On disk, as of the last commit. */
        uint64_t epoch;
        bool replaced;
        usec_t replaced_since; /* world time */
        uint64_t events, events_when_replaced;
        uint64_t epoch_before; /* as of the commit before */

        char *saved; /* a copy of the disk */
        bool restored; /* from that, and it has not noticed so far */
        uint64_t restored_epoch;
};

struct Person {
        People *people;
        unsigned number;
        const char *name;
        char password[64];
        Seat seats[SCRIPT_DEVICES_MAX];
        bool registered;
        uint8_t account[KEY_SIZE];
        char account_text[BASE32_KEY_SIZE + 1];
        bool has_lost_one; /* of his devices, which gives nothing any more */
        bool lossy; /* a disk was put back or destroyed: not all that he did need be known */
        bool verified[SCRIPT_PEOPLE_MAX]; /* was answered so */
        usec_t read_asked[SCRIPT_PEOPLE_MAX]; /* world time, last */
        unsigned n_notes[SCRIPT_PEOPLE_MAX + 1];
        bool wants_room, makes_room, asking_room, in_room;
        Seat *room_seat; /* that waits for an answer */
};

/* What was sent at one place of a feed. */
typedef struct Place Place;

struct People {
        World *world;
        unsigned n, n_devices;
        Person all[SCRIPT_PEOPLE_MAX];
        Note *notes; /* by id */
        Place *places;
        Reading *readings;
        bool has_room;
};

#define PERSON_FAIL(s, oracle, format, ...)                                                        \
        world_fail((s)->machine->world, oracle, "%s: " format, (s)->machine->name, ##__VA_ARGS__)
#define SEAT_TRACE(s, ...) world_trace((s)->machine->world, (s)->machine, __VA_ARGS__)

static inline NoteAt *note_at(Note *n, const Person *p) {
        return &n->at[p->number];
}

/* Where an account is active, as the disks say: the newest of several; NULL: nowhere. */
Seat *person_seat(Person *p);

/* NULL: nobody has written it. */
Note *note_find(const People *p, const Uuid *id);
Note *note_find_text(const People *p, const char *id);

/* NULL: nobody has registered it. */
Person *people_find(const People *p, const uint8_t *account);

bool note_is_for(const Note *n, const Person *p);

/* Whose program speaks; NULL: nobody who could be heard. */
Seat *acting_seat(void);

/* S's disk has N, as TXN sees it. */
bool seat_has(const Seat *s, DbTxn *txn, const Note *n);

/* people-ask.c */
int seat_init(Seat *s, Person *p, Machine *m, unsigned device);
void seat_ask_again(Seat *s);
bool seat_is_heard(Seat *s);
bool seat_is_content(const Seat *s);
void readings_free(People *p);
void seat_forget(Seat *s); /* nothing that was asked will be answered */

/* people-wire.c */
void places_free(People *p);

/* Of a program: whether it has something to hand over, or is taking something. */
bool seat_is_handing_over(const Seat *s);
