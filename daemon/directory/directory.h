/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * "Where is X, which keys has X?": one interface over the sources that know: trackers, and the
 * local network (lan.h). Everything that comes from a source is verified here, before anybody hears
 * of it.
 *
 * There is a session with every tracker of the list; questions go to the first that is connected.
 */

#include "session/session.h"
#include "wire/beacon.h"
#include "wire/room-directory.h"

/* The answer to a probe, which is gone: G and RECORD are the other end's HELLO, NULL and empty on
 * an error. */
typedef void (*DirectoryProbedFn)(void *userdata, int error, const Greeting *g, Bytes record);

#define DIRECTORY_TRACKERS_MAX 16 /* as many as the configuration takes */
#define DIRECTORY_WATCHED_MAX 10000

typedef struct Directory Directory;

/* About a room that was entered: its newest record, or what has become of one who is in it. */
typedef struct DirectoryRoomUpdate {
        const uint8_t *room;
        const RoomRecord *record; /* NULL: not about that */
        Bytes outer;
        const uint8_t *account; /* NULL: not about that */
        RoomPresence state; /* of the account: entered, left, or offline */
} DirectoryRoomUpdate;

typedef struct DirectoryCallbacks {
        /* A session came up or went down, has another error, or what was announced over it was
         * refused. */
        void (*trackers_changed)(void *userdata);

        /* A watched account has a new record. */
        void (*record)(void *userdata, const Record *record, Bytes outer);

        /* A watched account's presence. P is NULL where nothing but `online` is known. */
        void (*presence)(void *userdata, const uint8_t account[static KEY_SIZE], bool online,
                usec_t last_seen, const PresenceRecord *p);

        /* A record of this account itself, which verified: of this device or of another one. May be
         * NULL. */
        void (*own_record)(void *userdata, const Record *record, Bytes outer);

        /* The tracker of this session has the account and its newest record: from now on it can be
         * asked about mail. And: it has some for this account. Both may be NULL. */
        void (*tracker_ready)(void *userdata, Session *s);
        void (*mail_waiting)(void *userdata, Session *s);

        /* A tracker has said whose a name is, to whoever asked. Before that one hears it. May be
         * NULL. */
        void (*named)(void *userdata, const char *name, const uint8_t account[static KEY_SIZE]);

        /* A tracker refused to register this account's name. */
        void (*name_refused)(void *userdata, Code code, const char *text);

        /* Who is at AT? Calls FN once, later, with which the probe is gone, unless it is freed
         * before. */
        int (*probe)(void *userdata, const uint8_t account[static KEY_SIZE], const SockAddr *at,
                DirectoryProbedFn fn, void *fn_userdata, void **ret_probe);
        void (*probe_free)(void *probe);

        /* ACCOUNT has proved to be at one more address of the LAN. May be NULL. */
        void (*on_lan)(void *userdata, const uint8_t account[static KEY_SIZE]);

        /* Trackers say so; the record has been verified, who is in the room has not: they only say
         * whom to ask. May be NULL. */
        void (*room_update)(void *userdata, const DirectoryRoomUpdate *u);

        /* A tracker has refused the record that was announced again after a loss of connection. May
         * be NULL. */
        void (*room_refused)(void *userdata, const uint8_t room[static ROOM_ID_SIZE], Code code,
                const char *text);

        /* Somebody is on the LAN now, is not any more, or says something else of himself; or a
         * tracker was heard there. After `presence`, where that has something to tell. */
        void (*lan_changed)(void *userdata);
} DirectoryCallbacks;

int directory_new(Net *net, const LocalIdentity *self, const DirectoryCallbacks *callbacks,
        void *userdata, Directory **ret);
Directory *directory_free(Directory *d);

/* Replaces the list; sessions with trackers that stay are kept. */
int directory_set_trackers(Directory *d, const EndpointKey *trackers, size_t n);

/* With an account there is somebody to be at the trackers. Without one there are no sessions. */
void directory_start(Directory *d);
void directory_stop(Directory *d);

/* The local identity says something else of itself, and trackers are to hear it: sessions are made
 * anew. NAMELESS: from now on they hear of no account; nothing can be announced then. */
void directory_begin_anew(Directory *d, bool nameless);
bool directory_is_nameless(const Directory *d);

/* Where is the active device of this account? For one that was replaced by it, while sessions are
 * nameless; RECORD is the newest of the account, NULL: that does not matter any more. What is heard
 * of it is directory_presence(), and told as that of others is. Until the caller says otherwise. */
int directory_seek_own(Directory *d, const Record *record, Bytes outer);

/* Which record has the tracker of this session of this account? Told as `own_record`, if at all. */
void directory_ask_own(Directory *d, Session *s);

size_t directory_n_trackers(const Directory *d);
const EndpointKey *directory_tracker(const Directory *d, size_t i);

/* NULL while stopped. */
const Session *directory_session(const Directory *d, size_t i);

/* The same, and the tracker has the account; else NULL. */
Session *directory_ready_session(const Directory *d, size_t i);

/* One is connected. */
bool directory_is_connected(const Directory *d);

/* So many heartbeats after a tracker was lost, what it said of presence still counts: one that
 * starts again must not look like everybody leaving. When it is back, it has as long to say it
 * again. A tracker gives people as long after its start before it says that they are gone. */
#define DIRECTORY_GRACE_HEARTBEATS 3

/* None is connected and none is being tried: waiting will not help soon. */
bool directory_has_failed(const Directory *d);

/* A tracker has found something wrong with what was last announced to it: its form, its times or
 * its signatures. */
bool directory_is_refused(const Directory *d);

/* A sentence on why no tracker answers, for errors. */
const char *directory_error(const Directory *d);

/* Tries unreachable trackers again at once. */
void directory_wake(Directory *d);

/* The machine has slept for so long, or 0: the network may be another one. Sessions that do not
 * answer soon are made anew, and time counts for what was said before as if nobody had slept. */
void directory_woke(Directory *d, usec_t slept);

/* What is said at every tracker after connecting, once the account is claimed: register, publish,
 * watch. Calling again says it now. The bytes are copied. */
void directory_announce(Directory *d, bool claimed, Bytes presence);

typedef void (*DirectoryDoneFn)(void *userdata, Code code, const char *text);

/* Claims the name of the local record at the first tracker that is connected. -ENOTCONN. */
int directory_register(Directory *d, DirectoryDoneFn fn, void *userdata);

/* RECORD is NULL unless CODE_OK; the name it has is the one looked for, and confirmed. PRESENCE is
 * NULL for who is not online. CODE_UNKNOWN_PEER, CODE_TRACKER_UNREACHABLE, CODE_TIMEOUT. */
typedef void (*DirectoryLookupFn)(void *userdata, Code code, const Record *record, Bytes outer,
        const PresenceRecord *presence);

/* By name, or by account where NAME is NULL; FN may be NULL where `named` is enough. The answer
 * comes later, once. Without a session the trackers are tried once more, and the question waits for
 * that, 5 s at most; -ENOTCONN when there is none to try. */
int directory_lookup(Directory *d, const char *name, const uint8_t *account, DirectoryLookupFn fn,
        void *userdata);

/* Who was found: by a tracker (CONFIRMED: the name is his), or on the LAN, where a name is a
 * claim. */
typedef struct DirectoryFound {
        const Record *record;
        Bytes outer;
        const PresenceRecord *presence; /* NULL for who is not online, or on the LAN */
        bool confirmed;
        const uint8_t (*claimants)[KEY_SIZE]; /* of the name, with CODE_AMBIGUOUS_NAME */
        size_t n_claimants;
} DirectoryFound;

#define DIRECTORY_CLAIMANTS_MAX 4 /* of them that are told */

/* FOUND has all but the claimants with CODE_OK, and only those with CODE_AMBIGUOUS_NAME; otherwise
 * it is NULL. */
typedef void (*DirectoryFindFn)(void *userdata, Code code, const DirectoryFound *found);

/* As directory_lookup(), and on the LAN, where trackers know nobody or cannot be asked: who is
 * there is asked for his record. A name that trackers and LAN, or two on the LAN, give to several
 * accounts is CODE_AMBIGUOUS_NAME. FN may be called at once. -ENOTCONN: nobody is found and none
 * can be asked. */
int directory_find(
        Directory *d, const char *name, const uint8_t *account, DirectoryFindFn fn, void *userdata);

/* Listed people, a page; FN for each, then DONE. AFTER is what DONE said before. */
typedef void (*DirectoryPeerFn)(
        void *userdata, const Record *record, const PresenceRecord *presence);
typedef void (*DirectoryListFn)(void *userdata, Code code, Bytes after);

int directory_list(Directory *d, bool online, Bytes after, DirectoryPeerFn fn, DirectoryListFn done,
        void *userdata);

/* Tells of an account's record and presence from now on. */
int directory_watch(Directory *d, const uint8_t account[static KEY_SIZE]);

/* What proves to trackers that this is a contact of a watched account, who may see what only
 * contacts may. Copied; empty: nothing does. It is shown only where the newest record, RECORD or
 * what a tracker says later, asks for it: it tells a tracker under which pseudonym this contact
 * leaves mail. */
void directory_set_token(
        Directory *d, const uint8_t account[static KEY_SIZE], Bytes record, Bytes token);

/* What opens where a watched account says that its contacts find it; NULL: nothing does. */
void directory_set_presence_key(
        Directory *d, const uint8_t account[static KEY_SIZE], const uint8_t *key);

/* A second one, for who cannot know which of two it is. */
void directory_set_other_presence_key(Directory *d, const uint8_t account[static KEY_SIZE],
        const uint8_t key[static BOX_KEY_SIZE]);

void directory_unwatch(Directory *d, const uint8_t account[static KEY_SIZE]);

/* Presence of a watched account, as last heard. */
typedef struct KnownPresence {
        bool online; /* a tracker says so, or said so until just before it was lost; or the LAN */
        bool by_tracker; /* one of those who say so is a tracker, or a look-up */
        bool gone; /* a tracker says that he is not there, and none says the contrary */
        Presence presence;
        Presence announced; /* what he last said of himself; until then, online */
        usec_t last_seen;
        char note[PRESENCE_NOTE_MAX + 1]; /* a line that is safe to show */
        char endpoints[PRESENCE_ENDPOINTS_MAX][64];
        size_t n_endpoints;
        uint64_t epoch, seq;
} KnownPresence;

/* NULL where nothing was heard. */
const KnownPresence *directory_presence(const Directory *d, const uint8_t account[static KEY_SIZE]);

/* What time it is now by the clock of the tracker that spoke last. False before one did. */
bool directory_get_time(const Directory *d, usec_t *ret);

/* A presence record that came from the device of certificate C itself, over a link: where he is to
 * be found and what he says of himself, but not that he is there, which only the link can say and
 * only for as long as there is one. -EBADMSG, -ESTALE. */
int directory_take_presence(Directory *d, const Certificate *c, Bytes presence, usec_t now);

/* What a look-up has said of a watched account, so that it need not be asked again. PRESENCE may be
 * NULL. */
void directory_learn(
        Directory *d, const Record *record, const PresenceRecord *presence, usec_t now);

/*
 * Rooms (room.c). What is said of a room is said at every tracker that knows rooms, once it has the
 * account, and again after each loss of the connection. Rooms that are hidden are told to nobody,
 * which is for the caller to heed.
 */

#define DIRECTORY_ROOMS_MAX 1100

/* Of all rooms together: about 100 bytes each. */
#define DIRECTORY_ROOM_PEOPLE_MAX 100000

/* RECORD, which this account signed, is the room's from now on, also where it says that the room is
 * deleted. FN (may be NULL) hears once what the first tracker said that could be asked; without
 * one, what the first says that can be. CODE_ROOM_EXISTS, CODE_NOT_OWNER, CODE_TOO_MANY, … After a
 * refusal it is not said again. -EBADMSG: not a record of this account; -ENOMEM, -ENOBUFS. */
int directory_room_publish(Directory *d, Bytes record, DirectoryDoneFn fn, void *userdata);

/* This account is in the room: it is shown there to others while it is online, and hears by
 * `room_update` who else is. DOOR is that of a private room (wire/room-seal.h), else NULL; another
 * one, after a new room key, takes its place. -ENOMEM, -ENOBUFS. */
int directory_room_enter(
        Directory *d, const uint8_t room[static ROOM_ID_SIZE], const uint8_t *door);

/* It has left, which the others are told; a record that was published is announced no more. */
void directory_room_leave(Directory *d, const uint8_t room[static ROOM_ID_SIZE]);

/* A tracker says that ACCOUNT is online in a room that was entered, or said so until just before it
 * was lost. */
bool directory_room_is_online(const Directory *d, const uint8_t room[static ROOM_ID_SIZE],
        const uint8_t account[static KEY_SIZE]);

/* RECORD is NULL unless CODE_OK, or CODE_UNKNOWN_ROOM where it proves that the room was deleted.
 * ONLINE are some of those that are in it, of COUNT. */
typedef struct DirectoryRoomFound {
        const RoomRecord *record;
        Bytes outer;
        const uint8_t (*online)[KEY_SIZE];
        size_t n_online;
        uint64_t count;
} DirectoryRoomFound;

typedef void (*DirectoryRoomFn)(
        void *userdata, Code code, const char *text, const DirectoryRoomFound *found);

/* By name, or by id where NAME is NULL. DOOR may be NULL. The answer comes later, once. -ENOTCONN:
 * no tracker is connected; -EOPNOTSUPP: none of them knows rooms; -EBUSY, -ENOMEM. */
int directory_room_lookup(Directory *d, const char *name, const uint8_t *room, const uint8_t *door,
        DirectoryRoomFn fn, void *userdata);

/* Rooms that are published, a page; FN for each, then DONE, as directory_list(). A page may be
 * short or empty while there are more: only an empty AFTER is the end. WORDS: each is in the name
 * or in the topic; empty: all. */
typedef void (*DirectoryRoomEachFn)(
        void *userdata, const RoomRecord *record, Bytes outer, uint64_t online);

int directory_room_list(Directory *d, Bytes words, Bytes after, unsigned limit,
        DirectoryRoomEachFn fn, DirectoryListFn done, void *userdata);

/*
 * Passwords (wire/account.h). What belongs together goes to one tracker, and to one connection with
 * it: the answers of one say nothing to another. -ENOTCONN: not there; -EOPNOTSUPP: it keeps none.
 */

/* Whether the tracker at I can be asked: 0, -EAGAIN: perhaps soon, or as below. */
int directory_keeps_passwords(const Directory *d, size_t i);

/* TRACKER is whose answer it is; both are NULL without CODE_OK. */
typedef void (*DirectoryOprfFn)(
        void *userdata, Code code, const char *text, const uint8_t *tracker, const OprfAnswer *a);

/* TRACKER NULL: the first that keeps passwords. */
int directory_oprf(Directory *d, const uint8_t *tracker, const OprfRequest *o, DirectoryOprfFn fn,
        void *userdata);

/* Of the account that the password opens, proven to be of one account. */
typedef struct DirectoryLogin {
        const AccountStatement *statement;
        const Record *record;
        Bytes statement_outer, record_outer;
        usec_t retry_after; /* of a refusal; 0 where nothing is said */
} DirectoryLogin;

/* L is never NULL. */
typedef void (*DirectoryLoginFn)(
        void *userdata, Code code, const char *text, const DirectoryLogin *l);

/* After directory_oprf() of ASKED at TRACKER, with the login key that came of it. */
int directory_login(Directory *d, const uint8_t tracker[static KEY_SIZE], const SignKey *login,
        const OprfRequest *asked, DirectoryLoginFn fn, void *userdata);

int directory_set_password(Directory *d, const uint8_t tracker[static KEY_SIZE], Bytes statement,
        DirectoryDoneFn fn, void *userdata);

/* STATEMENT says that the account is deleted: what the tracker has of it goes, and then it ends the
 * session. TRACKER NULL: the first that keeps passwords. An account that has a password there has
 * proven it within five minutes on this connection (directory_login()), else CODE_BAD_PASSWORD.
 * -EALREADY: the tracker has refused the account since it was deleted there, as where an answer was
 * lost. */
int directory_delete_account(
        Directory *d, const uint8_t *tracker, Bytes statement, DirectoryDoneFn fn, void *userdata);

/* It has (NULL: all that are connected or tried). */
bool directory_is_deleted(const Directory *d, const uint8_t *tracker);

/* Answers for USERDATA will not come any more. */
void directory_forget(Directory *d, void *userdata);
