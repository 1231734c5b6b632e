/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What has happened, for clients that come and go: one row for each thing that a client is told,
 * written in the batch of what it tells. Signals are made from these rows after the commit, so that
 * there is nothing to hear that cannot be read again. A row names what it is about; texts and names
 * are looked up when it is read, but for what will be another one by then: topics and roles.
 *
 * Rows have consecutive numbers, their cursors, from EVENT_CURSOR_FIRST on; none is ever given out
 * twice. A device that has taken the account over begins with numbers of its epoch, far above those
 * that the one before can have given out, so that events keep theirs when they are handed over.
 * Kept are EVENTS_MAX of them, and none that is older than EVENTS_AGE for long. A client is a name
 * with the cursor up to which it has acknowledged.
 */

#include "store/store.h"
#include "wire/code.h"
#include "wire/identity.h"
#include "wire/message.h"
#include "wire/room.h"

#define EVENTS_MAX 1000000
#define EVENTS_AGE (30 * USEC_PER_DAY)

/* So that 0 can mean "the oldest kept", whatever has been forgotten. */
#define EVENT_CURSOR_FIRST 2

typedef enum EventKind {
        EVENT_RECEIVED = 1, /* a message of somebody else's: feed, seq, request */
        EVENT_STATE = 2, /* a message has a new state: feed, seq, id, state, reason */
        EVENT_PRESENCE = 3, /* somebody's presence: account, presence */
        EVENT_REQUEST = 4, /* the first message of somebody who is no contact: feed, seq */
        EVENT_KEY = 5, /* somebody's name is, or is not any more, given to another account:
                          account, presence, key_changed, other */
        EVENT_ROOM = 6, /* something of a room: room, change, account, with
                           the topic or the role that it has become */
        EVENT_REPLACED = 7, /* the account is used on another device from now on */
} EventKind;

/* As it is told; the order on the way to the recipient is that of protocol, except for the last
 * three. */
typedef enum MessageState {
        MESSAGE_QUEUED,
        MESSAGE_STORED,
        MESSAGE_DELIVERED,
        MESSAGE_READ,
        MESSAGE_FAILED,
        MESSAGE_EXPIRED,
        MESSAGE_RECEIVED,
        _MESSAGE_STATE_MAX,
} MessageState;

typedef enum RoomEventKind {
        ROOM_EVENT_CREATED,
        ROOM_EVENT_JOINED,
        ROOM_EVENT_LEFT,
        ROOM_EVENT_INVITED,
        ROOM_EVENT_KICKED,
        ROOM_EVENT_TOPIC,
        ROOM_EVENT_ROLE,
        ROOM_EVENT_DELETED,
        ROOM_EVENT_ONLINE,
        ROOM_EVENT_OFFLINE,
        ROOM_EVENT_REPLACED,
        ROOM_EVENT_FORK, /* somebody's feed, or the control log of the owner */
        _ROOM_EVENT_MAX,
} RoomEventKind;

/* "joined". */
const char *room_event_name(RoomEventKind k);

/* "delivered". */
const char *message_state_name(MessageState s);

typedef struct EventRow {
        uint64_t cursor;
        EventKind kind;
        usec_t time; /* realtime */
        uint32_t feed;
        uint64_t seq;
        Uuid id;
        bool request; /* the sender was no contact yet */
        MessageState state;
        Code reason;
        uint32_t account; /* number */
        Presence presence;
        bool key_changed;
        uint8_t other[KEY_SIZE]; /* zeros unless key_changed */
        uint32_t room; /* number */
        RoomEventKind change;
        bool says; /* what it has become: rows of before 0.8.0 do not */
        RoomRole role; /* of ROOM_EVENT_ROLE; else none */
        Bytes topic; /* of ROOM_EVENT_TOPIC. In the map: good until the next write */
} EventRow;

/* Adds E, whose cursor is given out here, and forgets the oldest where there are too many. */
int event_add(Store *s, const EventRow *e);

/* FN is called after each batch that has brought events, or would have: ERROR is the batch's. */
typedef void (*EventsFn)(void *userdata, int error);
void store_set_events_fn(Store *s, EventsFn fn, void *userdata);

/* From now on cursors are those of an epoch, which began SINCE (realtime) on this device, unless
 * that is known already. */
int event_begin_epoch(Store *s, uint64_t epoch, usec_t since);

/* The present epoch; and when it began, 0: not known. */
int event_epoch(DbTxn *txn, uint64_t *ret);
int event_epoch_since(DbTxn *txn, usec_t *ret);

/* Adds E under its cursor. 1, or 0 where there is one already, or too many; -ERANGE: the cursor is
 * none of an earlier epoch. Nothing is told of it. */
int event_import(Store *s, const EventRow *e);

/* Cursors of the oldest and the newest row, or of the last that can have been given out; where
 * there is none, FIRST is LAST + 1. */
typedef struct EventBounds {
        uint64_t first, last;
        uint64_t epoch; /* the first cursor of the present epoch */
} EventBounds;

int event_bounds(DbTxn *txn, EventBounds *ret);

/* The first cursor of the epoch that CURSOR is of. */
uint64_t event_epoch_begin(uint64_t cursor) _pure_;

/* Those after the cursor AFTER, oldest first. True to go on. */
typedef bool (*EventFn)(void *userdata, DbTxn *txn, const EventRow *e);
int event_each(DbTxn *txn, uint64_t after, EventFn fn, void *userdata);

/* Clients */

#define EVENT_CLIENT_NAME_MAX 64
#define EVENT_CLIENTS_MAX 256

/* 1 to EVENT_CLIENT_NAME_MAX of a-z A-Z 0-9 . _ - */
bool event_client_name_is_valid(const char *name) _pure_;

/* 1 with the cursor of a client, 0 for one that has never acknowledged. */
int event_client_get(DbTxn *txn, const char *name, uint64_t *ret_cursor);

/* One after the other by name. True to go on. */
typedef bool (*EventClientFn)(void *userdata, const char *name, uint64_t cursor, usec_t time);
int event_client_each(DbTxn *txn, EventClientFn fn, void *userdata);

/* A client as another device of the account knows it: moved on, never back. 1 when something has
 * changed; -EUSERS: there is no room for another. */
int event_client_merge(Store *s, const char *name, uint64_t cursor, usec_t time, usec_t now);

/* Moves a client on, never back. With EVENT_CLIENTS_MAX of them, one that has not been heard of for
 * EVENTS_AGE makes room; -EUSERS where there is none. -ERANGE: beyond the newest event. */
int event_client_ack(Store *s, const char *name, uint64_t cursor, usec_t now);
