/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Rooms at a node: who has entered which (node-room.c), what those are told (node-room-push.c),
 * records that come in (node-room-publish.c), ROOM_LOOKUP (node-room-lookup.c) and ROOM_LIST
 * (node-room-list.c).
 *
 * Records are on disk; who is in a room is not: it is what sessions say of themselves, for as long
 * as they last. A room may be entered before its record is known here. Then nobody hears or is
 * shown anything until it is, and shows the right door.
 */

#include "node/node-internal.h"

/* Of a room that somebody has entered. */
struct Room {
        Node *node;
        uint8_t id[ROOM_ID_SIZE];
        DStoreWatch *watch; /* of its record */
        bool is_known; /* there is a record, and the room is not deleted */
        RoomAccess access;
        uint8_t door_hash[SHA256_SIZE];
        Seat *seats; /* in the order of their last changes */
        size_t n_present; /* with a session */
        Seat **shown; /* to whoever looks the room up; in no order */
        size_t n_shown, allocated_shown;
        uint64_t serial; /* of the last change */
        Quota changes; /* told to those that are in it */
        bool is_due, is_held;
        usec_t held_until;
        bool is_asking; /* the store, for the record */
        Room *due_prev, *due_next, *held_prev, *held_next;
        UT_hash_handle hh;
};

/* Hashed as bytes: a pointer and a key with nothing between them. */
typedef struct SeatKey {
        Room *room;
        uint8_t account[KEY_SIZE];
} SeatKey;

/* An account in a room. It outlasts the session until the others know that it is gone. */
struct Seat {
        SeatKey key;
        Client *client; /* NULL: has gone */
        bool has_door, is_admitted, is_shown;
        bool wants_record; /* its client has not been told the newest */
        uint8_t door_hash[SHA256_SIZE]; /* of what it has shown */
        RoomPresence state; /* as the others are to hear; none: nothing */
        uint64_t serial; /* of the last change of that */
        uint64_t told; /* its client knows all changes up to this one */
        size_t slot; /* in `shown` */
        bool is_leaving;
        usec_t gone_at; /* then it is offline */
        Seat *prev, *next, *client_prev, *client_next, *leaving_prev, *leaving_next;
        UT_hash_handle hh;
};

/* Those that somebody has entered; may be NULL. */
Room *node_room_find(Node *n, const uint8_t id[static ROOM_ID_SIZE]);

/* Its record, or what the store has of it, is BLOB now. */
void node_room_learn(Room *x, const RoomRecord *rec);

/* A session that is in the room. -EBUSY: over a limit of all; -EDQUOT: of the session. */
int client_enter_room(Client *c, const uint8_t id[static ROOM_ID_SIZE], const uint8_t *door);
void client_leave_room(Client *c, const uint8_t id[static ROOM_ID_SIZE]);

/* That the seat is there, or not any more, is for the others to hear. */
void seat_set_state(Seat *t, RoomPresence state);
void seat_stop_leaving(Seat *t);
Seat *seat_free(Seat *t); /* and the room, with its last */

/* Pushing */
void node_room_changed(Room *x); /* soon */
void seat_tell(Seat *t); /* what it has not heard, at once */
void node_room_tell_record(Room *x); /* to whoever wants it */
void node_room_forget_due(Room *x);
void node_arm_room_timer(Node *n);
