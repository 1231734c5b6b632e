/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Rooms: who is in them, what is said in them, and how members bring each other up to date. No
 * server holds anything of it: each member keeps the control log, which says who may write, and
 * the feeds of all, and can supply any of it to any other.
 *
 * What the user does joins the open batch, and counts from its commit on. A batch that fails has
 * changed nothing: what is in memory is read anew then.
 */

#include "link/link.h"
#include "rooms/roster.h"
#include "store/room.h"

typedef struct Rooms Rooms;

typedef bool (*RoomsNearFn)(void *userdata, const uint8_t account[static KEY_SIZE]);

typedef struct RoomsCallbacks {
        /* The open link to somebody, or NULL. */
        Link *(*link)(void *userdata, const uint8_t account[static KEY_SIZE]);

        /* To be dialled and held, or let go. */
        void (*want_link)(void *userdata, const uint8_t account[static KEY_SIZE], bool want);

        /* As the directory has it. */
        bool (*is_online)(void *userdata, const uint8_t account[static KEY_SIZE]);

        /* By sealed mail, content CONTENT_ROOM. */
        int (*leave_notice)(void *userdata, const uint8_t account[static KEY_SIZE], Bytes notice);

        /* After the commit: what can be seen of ROOM may be new. */
        void (*changed)(void *userdata, uint32_t room);

        /* A member has begun to write, or does so no more. */
        void (*typing)(
                void *userdata, uint32_t room, const uint8_t account[static KEY_SIZE], bool on);

        /* A member of ROOM is at hand, or is no more. */
        void (*presence)(
                void *userdata, uint32_t room, const uint8_t account[static KEY_SIZE], bool online);

        /* What trackers are told of ROOM may be new: the owner's record, the own place in the
         * online list. */
        void (*publish)(void *userdata, uint32_t room);

        /* Something came that was written on this device, in its epoch, and is not here: in the
         * open batch there is to be another epoch. */
        void (*behind)(void *userdata, const char *why);

        /* Those on the local network, until FN says false: they may know of rooms. */
        void (*each_near)(void *userdata, RoomsNearFn fn, void *fn_userdata);
} RoomsCallbacks;

/* SELF, LOCAL and the callbacks, each of which may be NULL, outlive it. MAX_MEMBERS:
 * rooms.max-members. Loads what is kept; links and timers come with rooms_start(). */
int rooms_new(Loop *loop, Store *store, const Identity *self, const LocalIdentity *local,
        unsigned max_members, const RoomsCallbacks *callbacks, void *userdata, Rooms **ret);
Rooms *rooms_free(Rooms *r);
void rooms_start(Rooms *r);
void rooms_stop(Rooms *r);

/* Another rooms.max-members; who is in stays. */
void rooms_set_max_members(Rooms *r, unsigned max_members);

/* Links, as delivery has them. rooms_frame(): as in LinkCallbacks. */
void rooms_link_up(Rooms *r, Link *l);
void rooms_link_down(Rooms *r, const uint8_t account[static KEY_SIZE]);
int rooms_frame(Rooms *r, Link *l, Frame *f);
void rooms_drained(Rooms *r, Link *l);

/* What came by sealed mail from FROM; and who is or is not at hand any more. */
void rooms_notice(Rooms *r, Bytes notice, Bytes record);
void rooms_presence(Rooms *r, const uint8_t account[static KEY_SIZE], bool online);

/* What the user does. All return 0, or -ECANCELED with the error for the user, or an error of the
 * store. */
typedef struct RoomsError {
        Code code;
        char text[320];
} RoomsError;

typedef struct RoomsCreate {
        const char *name; /* canonical, without '#' */
        RoomAccess access;
        RoomHistory history;
        const char *topic; /* NULL or "": none */
} RoomsCreate;

int rooms_create(Rooms *r, const RoomsCreate *c, uint32_t *ret, RoomsError *e);

/* Where to find a room: its id, and members to ask. */
#define ROOMS_CANDIDATES_MAX 64

typedef struct RoomsJoin {
        const uint8_t *id;
        const char *name;
        bool exact; /* the user has said its id: it may have the name of another room he is in */
        const uint8_t (*candidates)[KEY_SIZE];
        size_t n_candidates;
} RoomsJoin;

/* CODE_OK: what is sent now is sent. Or refused; or CODE_TIMEOUT after 20 s, where it goes on being
 * tried. Called once, later. */
typedef void (*RoomsDoneFn)(void *userdata, uint32_t room, Code code, const char *text);

int rooms_join(Rooms *r, const RoomsJoin *j, RoomsDoneFn fn, void *userdata, RoomsError *e);

/* Whoever waits with USERDATA waits no more. */
void rooms_forget(Rooms *r, void *userdata);

int rooms_leave(Rooms *r, uint32_t number, RoomsError *e);
int rooms_delete(Rooms *r, uint32_t number, RoomsError *e);
int rooms_invite(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], RoomsError *e);
int rooms_kick(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], RoomsError *e);
int rooms_set_topic(Rooms *r, uint32_t number, const char *topic, RoomsError *e);

/* ROLE_OWNER offers the room: the other one's daemon accepts, and it is his then. */
int rooms_set_role(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE], RoomRole role,
        RoomsError *e);

typedef struct RoomsMessage {
        Uuid id;
        bool has_reply_to;
        Uuid reply_to;
        Bytes text;
        usec_t now; /* realtime */
} RoomsMessage;

/* 1 when it has been sent before under this id, with the same content. */
int rooms_send(Rooms *r, uint32_t number, const RoomsMessage *m, RoomsError *e);

/* What an entry of room NUMBER says, appended to OUT. 1; or 0 where its key is not here. -EBADMSG:
 * it cannot be opened, nor ever will be. */
int rooms_read_text(Rooms *r, DbTxn *txn, uint32_t number, const Inner *m, Buffer *out);

/* Its key is not for this member, and will never come: it was said before he joined. */
bool rooms_is_barred(Rooms *r, uint32_t number, const Inner *m);

/* The user writes just now, or does so no more. */
void rooms_type(Rooms *r, uint32_t number, bool on);

/* What there is to see. */
typedef struct RoomView {
        uint32_t number;
        uint8_t id[SHA256_SIZE];
        char name[NAME_SIZE];
        char topic[ROOM_TOPIC_MAX + 1];
        bool has_owner; /* the control log is here */
        uint8_t owner[KEY_SIZE], founder[KEY_SIZE], nonce[ROOM_NONCE_SIZE];
        RoomAccess access;
        RoomHistory history;
        RoomStatus status;
        RoomRole role; /* own; 0: no member */
        bool read_only;
        char why_read_only[160]; /* a sentence */
        unsigned members, online;
        bool joined; /* and what is sent is sent */
        uint64_t term, control_epoch;
        uint8_t control_hash[SHA256_SIZE];
        unsigned frozen; /* feeds that their authors, who are members, have forked */
        uint32_t inviter; /* account number, 0: nobody has invited the user */
} RoomView;

/* 1, or 0 where there is no such room. */
int rooms_view(Rooms *r, DbTxn *txn, uint32_t number, RoomView *ret);

/* True to go on. */
typedef bool (*RoomViewFn)(void *userdata, const RoomView *v);
int rooms_each(Rooms *r, DbTxn *txn, RoomViewFn fn, void *userdata);

typedef struct RoomMemberView {
        const uint8_t *account;
        const char *name; /* as claimed when he was added */
        RoomRole role;
        bool online;
        bool provisional; /* the owner has not settled it yet */
        bool frozen; /* he has forked his feed */
        bool offered; /* the room, and he has not accepted it yet */
} RoomMemberView;

typedef bool (*RoomMemberFn)(void *userdata, const RoomMemberView *m);
int rooms_each_member(Rooms *r, DbTxn *txn, uint32_t number, RoomMemberFn fn, void *userdata);

/* The name under which somebody came into a room that he is or was in, as he claimed it, or "".
 * Valid as long as the room does not change. */
const char *rooms_claimed_name(Rooms *r, uint32_t number, const uint8_t account[static KEY_SIZE]);

/* The name that the control log gives a room, or "". */
const char *rooms_log_name(Rooms *r, uint32_t number);

/* Whether this is one, of how many. */
bool rooms_has_member(
        Rooms *r, uint32_t room, const uint8_t account[static KEY_SIZE], unsigned *ret_members);

/* The number of a room, 0: not here. */
uint32_t rooms_find(Rooms *r, const uint8_t id[static SHA256_SIZE]);

/* How many members have the own entry SEQ of FEED, and have read it, of how many beside the own
 * account. READ is 0 in rooms of more than ROOMS_READ_MAX. */
#define ROOMS_READ_MAX 32

int rooms_count_delivered(Rooms *r, DbTxn *txn, uint32_t number, uint32_t feed, uint64_t seq,
        unsigned *ret_held, unsigned *ret_read, unsigned *ret_members);

/* Something of room NUMBER was read by the user, in the open batch: its authors may learn of it. */
void rooms_read(Rooms *r, uint32_t number);

/* What is shown to the door of a private room: derived from its newest key. 1, or 0: no key. */
int rooms_door(Rooms *r, DbTxn *txn, uint32_t number, uint8_t ret[static SHA256_SIZE]);

/* Open rooms that linked peers know, whose names or topics have WORDS in them. FN for each, as they
 * answer; then with NULL. */
typedef struct RoomsOffer {
        uint8_t id[SHA256_SIZE];
        char name[NAME_SIZE];
        char topic[ROOM_TOPIC_MAX + 1];
        RoomAccess access;
        uint8_t owner[KEY_SIZE];
        uint8_t from[KEY_SIZE]; /* who says so, and can be asked to admit */
        unsigned members, online;
} RoomsOffer;

typedef void (*RoomsOfferFn)(void *userdata, const RoomsOffer *o);
int rooms_ask(Rooms *r, const char *words, RoomsOfferFn fn, void *userdata);
