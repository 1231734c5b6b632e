/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of directory/ share. */

#include "directory/directory.h"
#include "util/backoff.h"
#include "util/table.h"

/* What a tracker is being told about rooms; one request at a time. */
typedef enum RoomAsking {
        ROOMS_IDLE,
        ROOMS_ENTERING,
        ROOMS_PUBLISHING,
} RoomAsking;

typedef struct Tracker {
        EndpointKey address;
        Session *session;
        unsigned slot; /* for TRACKER_BIT(); kept for as long as it is in the list */
        bool connected; /* as was last told of the session */
        bool ready; /* it has taken REGISTER over this session */
        Backoff refused; /* what was announced */
        usec_t announce_at; /* again; USEC_INFINITY */
        Code refusal; /* of what was announced last; CODE_OK: it was taken, or no answer yet */
        RoomAsking rooms; /* the request about rooms that is open */
        uint8_t room[ROOM_ID_SIZE]; /* that it is about, with a record */
        bool watch_again; /* it has too many requests open to be told all who are watched */
        usec_t rooms_at; /* the next one is not before */
} Tracker;

/* Who says that somebody is online: a tracker, the answer to a look-up, the LAN. */
#define TRACKER_BIT(t) (UINT32_C(1) << (t)->slot)
#define ANSWER_BIT (UINT32_C(1) << DIRECTORY_TRACKERS_MAX)
#define LAN_BIT (ANSWER_BIT << 1)

typedef struct Watched {
        uint8_t account[KEY_SIZE];
        uint32_t listed, showed; /* the trackers that were told of it, and the token */
        bool has_device; /* the account has said which device is its own */
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        bool heard;
        bool missed; /* on the LAN */
        uint32_t said; /* who says that he is online */
        uint32_t lost; /* of these, who was lost since and has not said it again: until `until` */
        usec_t until;
        bool renewed; /* `until` was put off since the last loss */
        KnownPresence known;
        Buffer token; /* of this account; empty: none */
        bool shows_token; /* its presence is for contacts */
        bool has_key, has_other_key;
        uint8_t key[BOX_KEY_SIZE]; /* of its presence, */
        uint8_t other_key[BOX_KEY_SIZE]; /* or this one */
        Buffer sealed; /* endpoints that could not be opened, of the newest presence */
        UT_hash_handle hh;
} Watched;

/* A question that a session is to answer. */
typedef struct Query {
        Directory *directory;
        char name[NAME_SIZE];
        uint8_t account[KEY_SIZE];
        DirectoryLookupFn lookup;
        DirectoryPeerFn peer;
        DirectoryListFn list;
        DirectoryDoneFn done;
        DirectoryRoomFn room;
        DirectoryRoomEachFn room_each;
        DirectoryOprfFn oprf;
        DirectoryLoginFn login;
        const Session *session; /* of `login` */
        void *userdata; /* NULL functions: nobody waits any more */
        bool waiting; /* for a session; until `deadline` */
        usec_t deadline;
        struct Query *prev, *next;
} Query;

/* Who is in a room, as trackers say. */
typedef struct RoomPerson {
        uint8_t account[KEY_SIZE];
        uint32_t said; /* who says so */
        uint32_t lost; /* of these, who was lost since and has not said it again */
        UT_hash_handle hh;
} RoomPerson;

/* A room that was entered or published. */
typedef struct DirectoryRoom {
        uint8_t id[ROOM_ID_SIZE];
        bool entered, has_door;
        uint8_t door[ROOM_DOOR_SIZE];
        Buffer record; /* of this account; empty: none */
        uint32_t to_enter, to_leave, to_publish; /* which trackers are still to be told */
        uint32_t entering; /* which are being told */
        DirectoryDoneFn done; /* of who has published */
        void *userdata;
        Buffer heard; /* the newest record that trackers have told */
        RoomPerson *people;
        usec_t until; /* what lost trackers have said counts; 0: none was lost */
        bool renewed;
        UT_hash_handle hh;
} DirectoryRoom;

/* Somebody who is looked for at trackers and on the LAN. */
typedef struct Find Find;
typedef struct Lan Lan;

struct Directory {
        Net *net;
        const LocalIdentity *self;
        const DirectoryCallbacks *callbacks;
        void *userdata;
        Tracker trackers[DIRECTORY_TRACKERS_MAX];
        size_t n;
        bool started, claimed;
        bool nameless; /* sessions are of `nobody` */
        bool seeking; /* the active device of this account: it is watched */
        LocalIdentity nobody;
        usec_t told_time, told_at; /* by a tracker, realtime; then, monotonic; 0: not so far */
        Buffer presence; /* as announced */
        Buffer opened; /* endpoints of the presence that is looked at */
        LoopTimer *announce; /* the next `announce_at` */
        Watched *watched;
        LoopTimer *grace; /* the next `until` of somebody watched */
        usec_t grace_at;
        usec_t slept, slept_until; /* before what is found out by then */
        Query *queries;
        LoopTimer *query_timer;
        Find *finds;
        DirectoryRoom *rooms;
        size_t n_room_people;
        LoopTimer *room_timer; /* the next `until` of a room, or `rooms_at` of a tracker */
        Lan *lan;
};

Session *directory_connected_session(const Directory *d);

/* own.c */
bool directory_is_self(const Directory *d, const uint8_t *account);

/* RECORD, which verified, is of this account. */
void own_record_heard(const Directory *d, const Record *record, Bytes outer);

Watched *watched_find(const Directory *d, const uint8_t *account);
void watched_free(Watched *w);

/* Endpoints for contacts become endpoints, until the next presence is looked at. */
void presence_unseal(Directory *d, PresenceRecord *p);
void watched_take_device(Watched *w, uint64_t epoch, const uint8_t *device);

/* W is watched: whether a token is of use with trackers, where RECORD is its newest. */
bool watched_asks_for_token(const Directory *d, const Watched *w, const Record *record);

/* T, whose session is new, is told all who are watched. */
void tracker_watch_all(Directory *d, Tracker *t);

/* W's token, which is another one, to all trackers that take one. */
void watched_show_token(Directory *d, Watched *w);

/* A tracker was lost, is back, or says something. */
void presence_session_lost(Directory *d, const Tracker *t);
void presence_session_back(Directory *d, const Tracker *t);
void presence_pushed(Directory *d, const Tracker *t, const PresencePush *push);
void on_grace_over(void *userdata);
void presence_slept(Directory *d, usec_t slept);

/* Nobody is watched any more, and nobody is told. */
void presence_expires_now(Directory *d);

void queries_free(Directory *d);
void finds_free(Directory *d);
void finds_forget(Directory *d, void *userdata);

/* A session came up or an attempt failed: those that wait are asked, or refused when no attempt is
 * left. */
void queries_go_on(Directory *d);
void watch_go_on(Directory *d);
void on_query_timer(void *userdata);

/* R is what the session said to the request that Q is for. */
Query *query_new(Directory *d, void *userdata);
int query_sent(Query *q, int r);
void query_free(Query *q);
void query_refuse(Query *q, Code code, const char *text);

/* Rooms: a tracker has the account, was lost, is back, or says something. */
void directory_rooms_ready(Directory *d, const Tracker *t);
void directory_rooms_session_lost(Directory *d, Tracker *t);
void directory_rooms_session_back(Directory *d, const Tracker *t);
void directory_rooms_pushed(Directory *d, const Tracker *t, const RoomUpdate *u);
void on_room_timer(void *userdata);
void directory_rooms_forget(Directory *d, void *userdata);
void directory_rooms_expire_now(Directory *d);
void directory_rooms_free(Directory *d);
void directory_rooms_arm_timer(Directory *d);

RoomPerson *room_person_find(const DirectoryRoom *x, const uint8_t *account);
void room_forget_people(Directory *d, DirectoryRoom *x);
void room_lose_people(Directory *d, DirectoryRoom *x, uint32_t who);
void room_renew_people(Directory *d, DirectoryRoom *x, uint32_t who);
void directory_rooms_expire(Directory *d, usec_t now);

Tracker *tracker_of(Directory *d, const Session *s);
