/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of chat/ share. */

#include "chat/create.h"
#include "directory/lan.h"
#include "store/history.h"
#include "store/mail.h"
#include "store/presence-key.h"
#include "store/seal.h"
#include "util/table.h"

#define PROBLEM_SIZE 400
#define PROBLEMS_MAX (DIRECTORY_TRACKERS_MAX + 6 + _CHAT_PROBLEM_MAX)

/* An error of the configuration names file, line, key and what is allowed. */
#define SET_PROBLEM_SIZE 1200

/* A question to the directory on behalf of a caller. */
typedef struct Pending Pending;
typedef struct PeerList PeerList;
typedef struct Told Told;
typedef struct Object Object;
typedef struct Seen Seen;
typedef struct Meeting Meeting;
typedef struct Inviting Inviting;
typedef struct RoomOp RoomOp;
typedef struct RoomsList RoomsList;
typedef struct RoomVisit RoomVisit;
typedef struct RoomObject RoomObject;
typedef struct RoomShown RoomShown;
typedef struct RoomPublic RoomPublic;
typedef struct RoomTold RoomTold;
typedef struct RoomAsk RoomAsk;

/* Strings of a ChatPeer, which points into it. */
typedef struct PeerView {
        ChatPeer peer;
        bool is_known; /* has a row here */
        char name[SHOWN_NAME_SIZE], account[BASE32_KEY_SIZE + 1], note[PRESENCE_NOTE_MAX + 1];
        char claimed[NAME_SIZE], other[BASE32_KEY_SIZE + 1];
        char endpoint_text[PRESENCE_ENDPOINTS_MAX][64];
        const char *endpoints[PRESENCE_ENDPOINTS_MAX + 1];
        const char *via[5]; /* link, lan, tracker, cache */
        const char **rooms; /* with the user, NULL-terminated, or NULL; of a list */
        size_t n_rooms;
} PeerView;

/* What is answered with done or an error. */
typedef struct Operation {
        Chat *chat;
        ChatDoneFn fn;
        void *userdata;
        struct Operation *prev, *next;
} Operation;

/* A message whose commit is awaited. */
typedef struct Accepted {
        ChatIdFn fn;
        void *userdata;
        Uuid id;
        uint8_t account[KEY_SIZE];
        bool again; /* known before: nothing new to deliver */
        bool room;
} Accepted;

struct Chat {
        ChatParts parts;
        struct {
                const ChatListener *listener;
                void *userdata;
        } listeners[CHAT_LISTENERS_MAX];
        size_t n_listeners;
        struct {
                ChatChecksFn fn;
                void *userdata;
        } checks[CHAT_CHECKS_MAX];
        size_t n_checks;
        uint64_t told_event; /* cursor of the last event the listeners have heard of */
        Operation *operations;
        Pending *pending;
        PeerList *peer_lists;
        Meeting *meetings;
        Inviting *invitings;
        RoomOp *room_ops;
        RoomsList *room_lists;
        RoomVisit *room_visits;
        Told *told;
        Seen *seen; /* not written so far */
        LoopTimer *seen_timer;

        /* names.c */
        struct {
                LoopTimer *timer; /* the next round */
                bool asking; /* a round is under way: */
                unsigned open; /* questions, */
                uint8_t after[KEY_SIZE]; /* and the contact that was asked about last */
                usec_t done; /* the last round; 0: none so far */
                bool connected; /* to the tracker with this key */
                uint8_t tracker[KEY_SIZE];
                bool counted;
                unsigned changed; /* contacts whose name is given to another account, */
                char first[SHOWN_NAME_SIZE]; /* and the first of them */
        } names;
        Object *objects;
        unsigned n_request_objects;
        PeerView object_view; /* of chat_get_object() */
        RoomPublic *room_publics;
        RoomTold *room_told;
        RoomAsk *room_asks;
        LoopTimer *publish_timer;
        usec_t publish_refresh; /* when all records are made anew */
        RoomObject *room_objects;
        RoomShown *room_view; /* of chat_get_room() */
        Accepted *accepted;
        size_t n_accepted, allocated_accepted;
        bool committing;

        /* For chat_status(), rebuilt on each call. */
        char name[NAME_SIZE], account[BASE32_KEY_SIZE + 1], fingerprint[80];
        char addresses[DIRECTORY_TRACKERS_MAX][ENDPOINT_KEY_SIZE];
        ChatTracker trackers[DIRECTORY_TRACKERS_MAX];
        char found_addresses[LAN_TRACKERS_MAX][ENDPOINT_KEY_SIZE];
        const char *found_trackers[LAN_TRACKERS_MAX + 1];
        char problem_text[PROBLEMS_MAX][PROBLEM_SIZE];
        const char *problems[PROBLEMS_MAX + 1];
        char set_problem[_CHAT_PROBLEM_MAX][SET_PROBLEM_SIZE];
        char name_problem[PROBLEM_SIZE];
};

/* Fills ERROR in and returns -ECANCELED, so that callers can return what they refuse with. */
int chat_error(ChatError *error, Code code, const char *format, ...) _printf_(3, 4);

/* 0 when somebody is logged in: for all that changes something. */
int chat_require_login(Chat *c, ChatError *error);

/* The same, or the account was taken over by another device: for all that only looks. */
int chat_require_account(Chat *c, ChatError *error);
bool chat_is_readable(const Chat *c);
const Identity *chat_self(const Chat *c);

void chat_properties_changed(Chat *c, unsigned properties);

/* Everybody who is to be known: watched, told of and shown. */
void chat_take_contacts(Chat *c);
void handover_fill(const Chat *c, ChatHandOver *ret);

/* What this device has may go to the other one. */
void hand_over_accept(Chat *c, ChatDoneFn fn, void *userdata);

/* "#name", or "#name~abcd" */
#define ROOM_SHOWN_SIZE (1 + NAME_SIZE + 1 + ROOM_SUFFIX_LENGTH)
#define ROOM_SUFFIX_LENGTH 4 /* of the id, after the '~' */

/* Strings of a ChatMessage, which points into it. */
typedef struct MessageView {
        ChatMessage message;
        char id[UUID_TEXT_SIZE], reply_to[UUID_TEXT_SIZE];
        char peer_account[BASE32_KEY_SIZE + 1], self_account[BASE32_KEY_SIZE + 1];
        char peer_name[SHOWN_NAME_SIZE];
        uint32_t peer; /* whose name and accounts these are, by number; 0: nobody's yet */
        uint32_t room; /* and the room they are of, where there is one */
        uint8_t author[KEY_SIZE]; /* in a room, whose name and account these are */
        char room_name[ROOM_SHOWN_SIZE], room_id[BASE32_KEY_SIZE + 1];
        char text[TEXT_SIZE_MAX + 1];
} MessageView;

/* For messages of one transaction; NULL when memory is short. */
MessageView *message_view_new(void);
void message_view_init(MessageView *v);

/* What a row says of itself, be it of a room or not. */
void message_view_begin(const HistoryRow *row, MessageView *v);
bool message_text_is_shown(Bytes text);

/* Mailboxes that have an own message, as far as known. */
unsigned chat_count_replicas(DbTxn *txn, uint32_t recipient, uint32_t feed, uint64_t seq);

/* PEER is the other one of the conversation. */
void chat_view_message(
        Chat *c, DbTxn *txn, const HistoryRow *row, const Contact *peer, MessageView *v);

/* What the user typed, in what is known here. 1 with the contact, 0 where it is not known, or an
 * error that is filled in. */
int chat_find_contact(DbTxn *txn, const char *text, Contact *ret, ChatError *error);

/* The same, but who is not known and oneself are errors as well. */
int chat_find_known(Chat *c, DbTxn *txn, const char *text, Contact *ret, ChatError *error);

/* The same of who is logged in, and as it is on disk. */
int chat_look_at_known(Chat *c, const char *text, Contact *ret, ChatError *error);

/* It can mean nobody else, whatever directories say. */
bool chat_is_exact(const char *text);

/* It is oneself, of whom there is no row. */
bool chat_is_self(const Chat *c, const char *text);

/* Looks for TEXT, a name, name~XXXX or @ACCOUNT. As directory_find(); -ENOENT for a name~XXXX that
 * nobody on the LAN has. */
int chat_look_up(Chat *c, const char *text, DirectoryFindFn fn, void *userdata);

/* The name is only claimed by K, who is no contact, and confirmed by nobody. */
bool chat_is_claim(DbTxn *txn, const char *text, const Contact *k);

/* A directory says that TEXT is ACCOUNT's: -ECANCELED with ERROR filled in where somebody else, who
 * is known here, neither blocked nor contradicted before, claims it. */
int chat_check_claims(Chat *c, const char *text, const uint8_t *account, ChatError *error);

/* Why a look-up of TEXT has told nothing. FOUND as in DirectoryFindFn. */
int chat_lookup_error(
        Chat *c, const char *text, Code code, const DirectoryFound *found, ChatError *error);

/* K is watched from now on, as a contact of his who can prove it. */
void contact_watch(Chat *c, DbTxn *txn, const Contact *k);

/* What follows from the flags of somebody whose row has changed in the batch: who is watched,
 * trusted, or turned away, and has an object. Whatever else depends on who is a contact, or
 * blocked, belongs there. */
void contact_follow(Chat *c, const uint8_t *account);

int contact_blocked_error(const char *name, ChatError *error);

/* The user means the account that was pinned as K, whoever has the name at a directory. In the
 * batch, and told with it. */
int contact_trust(Chat *c, const Contact *k);

/* NAME, as it was typed, is that of K, which is marked CONTACT_KEY_CHANGED. */
int key_changed_error(const Contact *k, const char *name, ChatError *error);

/* How many contacts are marked so, and what the first is called. */
unsigned names_count_changed(Chat *c, const char **ret_first);

/* K has written for the first time, perhaps without a link over which his name was confirmed. */
void names_confirm(Chat *c, DbTxn *txn, const Contact *k);

void names_on_trackers(Chat *c);
void names_on_timer(void *userdata);

Presence contact_presence(const Chat *c, const Contact *k);

/* NULL when memory is short, which has been answered. */
Operation *operation_new(Chat *c, ChatDoneFn fn, void *userdata);

/* Answers, with ERROR unless it is NULL, and frees it. */
void operation_end(Operation *o, const ChatError *error);
/* Ends it with the batch that is open now. */
void operation_await_commit(Operation *o);

/* One of the two: R is that of what was done, and ERROR filled in where it is -ECANCELED. */
void operation_settle(Operation *o, int r, ChatError *error);

/* What a batch's error is called. */
void chat_storage_error(ChatError *e, int error);

void chat_events_start(Chat *c);
void chat_events_begin_epoch(Chat *c);

/* Somebody who is known here. The view is filled in anew. */
void peer_view_contact(Chat *c, DbTxn *txn, const Contact *k, PeerView *v);

/* K has an object from now on, if it is somebody who should. Its row is on disk. */
void objects_add(Chat *c, const Contact *k);

/* K's flags are others in the batch, or will be when it is committed. */
void objects_follow(Chat *c, const Contact *k);

/* The user has written to somebody, who is a contact thereby, durably. */
void objects_written_to(Chat *c, const uint8_t *account);

/* Something about somebody may be new. */
void objects_change(Chat *c, const uint8_t *account);

/* Nobody has an object any more. */
void objects_clear(Chat *c);

/* What properties are compared by. Of lists, NULL-terminated, which may be NULL. */
uint64_t digest_strings(const char *const *list);
uint64_t digest_string(const char *s);

/* K was there at AT, and still is (THERE) or has gone. */
void seen_note(Chat *c, const Contact *k, usec_t at, bool there);

/* When K was there last, 0 where that is not known. */
usec_t seen_last(const Chat *c, const Contact *k);

/* Into the batch, for the end. */
void seen_save_all(Chat *c);
void on_seen_timer(void *userdata);

/* Those who are there now were last seen now. */
void told_note_seen(Chat *c);

void pending_free_all(Chat *c);
void pending_forget(Chat *c, void *userdata);
void meetings_free_all(Chat *c);
void invitings_free_all(Chat *c);
void room_ops_free_all(Chat *c);
void room_ops_forget(Chat *c, void *userdata);
void room_lists_free_all(Chat *c);
void room_lists_forget(Chat *c, void *userdata);
void room_visits_free_all(Chat *c);
void room_visits_forget(Chat *c, void *userdata);
void peer_lists_free_all(Chat *c);
void told_free_all(Chat *c);
void peer_lists_forget(Chat *c, void *userdata);
