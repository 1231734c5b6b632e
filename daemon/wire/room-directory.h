/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What is said to a tracker with FEATURE_ROOM_DIRECTORY about rooms, beside wire/tracker.h.
 *
 * ROOM_PUBLISH {3 record, 4 [{0 room, 1 door}], 5 [rooms]}    -> OK {}       (enter, leave)
 * ROOM_LOOKUP  {3 name | 4 room, 5 door}     -> OK {3 record, 4 [accounts], 5 online}
 * ROOM_LIST    {3 words, 4 after, 5 limit}   -> OK {3 [{0 record, 1 online}], 4 after}
 * push ROOM_UPDATE {3 record, 4 room, 5 [accounts], 6 state}
 *
 * Records are signed objects (wire/room.h): who receives one verifies it before believing anything.
 * Who is online is the tracker's word, and no more than a hint whom to ask.
 */

#include "wire/room-seal.h"
#include "wire/room.h"

#define ROOM_ENTER_MAX 256 /* in either list of a frame */

/* At least one of the three is there. */
typedef struct RoomPublish {
        Bytes record; /* empty: absent */
        struct {
                uint8_t room[ROOM_ID_SIZE];
                bool has_door;
                uint8_t door[ROOM_DOOR_SIZE];
        } enter[ROOM_ENTER_MAX];
        size_t n_enter;
        uint8_t leave[ROOM_ENTER_MAX][ROOM_ID_SIZE];
        size_t n_leave;
} RoomPublish;

int room_publish_encode(Buffer *out, uint64_t request, const RoomPublish *p);
int room_publish_decode(Frame *f, RoomPublish *ret);

/* By name, or by id where `name` is empty. */
typedef struct RoomLookup {
        char name[NAME_SIZE];
        uint8_t room[ROOM_ID_SIZE];
        bool has_door; /* without it nothing of a private room but its record is told */
        uint8_t door[ROOM_DOOR_SIZE];
} RoomLookup;

int room_lookup_encode(Buffer *out, uint64_t request, const RoomLookup *l);
int room_lookup_decode(Frame *f, RoomLookup *ret);

#define ROOM_ONLINE_MAX 64

typedef struct RoomLookupAnswer {
        Bytes record;
        uint8_t online[ROOM_ONLINE_MAX][KEY_SIZE]; /* some of them */
        size_t n_online;
        uint64_t count; /* all of them; at least n_online */
} RoomLookupAnswer;

int room_lookup_answer_encode(Buffer *out, uint64_t request, const RoomLookupAnswer *a);
int room_lookup_answer_decode(Frame *f, RoomLookupAnswer *ret);

#define ROOM_LIST_MAX 50 /* entries in an answer */
#define ROOM_LIST_AFTER_MAX 64
#define ROOM_LIST_WORDS_MAX 128

typedef struct RoomList {
        Bytes words; /* in name or topic; empty: all */
        Bytes after; /* empty: from the start; else what an answer said */
        uint64_t limit; /* brought into 1 to ROOM_LIST_MAX */
} RoomList;

int room_list_encode(Buffer *out, uint64_t request, const RoomList *l);
int room_list_decode(Frame *f, RoomList *ret);

typedef struct RoomListAnswer {
        struct {
                Bytes record;
                uint64_t online;
        } rooms[ROOM_LIST_MAX];
        size_t n_rooms;
        Bytes after; /* empty: this was the last page */
} RoomListAnswer;

/* -EMSGSIZE where the records do not fit a frame: the tracker then takes fewer. */
int room_list_answer_encode(Buffer *out, uint64_t request, const RoomListAnswer *a);
int room_list_answer_decode(Frame *f, RoomListAnswer *ret);

typedef enum RoomPresence {
        ROOM_PRESENCE_NONE, /* absent */
        ROOM_PRESENCE_ENTERED,
        ROOM_PRESENCE_LEFT,
        ROOM_PRESENCE_OFFLINE, /* the session ended; he is still a member */
        _ROOM_PRESENCE_MAX,
} RoomPresence;

#define ROOM_UPDATE_ACCOUNTS_MAX 256

/* A new record, or who has come or gone, or both. */
typedef struct RoomUpdate {
        Bytes record; /* empty: absent */
        uint8_t room[ROOM_ID_SIZE];
        uint8_t accounts[ROOM_UPDATE_ACCOUNTS_MAX][KEY_SIZE];
        size_t n_accounts;
        RoomPresence state; /* of these accounts; none without them */
} RoomUpdate;

int room_update_encode(Buffer *out, const RoomUpdate *u);
int room_update_decode(Frame *f, RoomUpdate *ret);
