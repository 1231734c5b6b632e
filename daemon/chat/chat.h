/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the user means: one function for each thing a user can ask, and the events a user can see.
 * This is the whole of the daemon as its front ends (the D-Bus API now) know it.
 *
 * A function that promises something completes through a callback, after the commit of what it
 * promises; the callback may come before the function returns when the answer is a refusal. The
 * strings and structs of a callback are valid during the call. Functions that only look answer at
 * once, from what is committed.
 *
 * Names and texts are UTF-8 with a terminating zero. Times are µs, realtime, 0 where not known.
 */

#include "util/macro.h"
#include "util/usec.h"

typedef struct Chat Chat;

#define CHAT_ERROR_TEXT_SIZE 320

/* NAME is one of the error names of the API ("UnknownPeer"), TEXT one sentence that says what was
 * wrong and what to do. */
typedef struct ChatError {
        const char *name;
        char text[CHAT_ERROR_TEXT_SIZE];
} ChatError;

/* ERROR is NULL when all went well. */
typedef void (*ChatDoneFn)(void *userdata, const ChatError *error);
typedef void (*ChatIdFn)(void *userdata, const ChatError *error, const char *id);

/* Completions for USERDATA will not come any more; what was asked goes on. */
void chat_forget(Chat *c, void *userdata);

/* Accounts */

typedef struct ChatRegister {
        const char *name;
        const char *password; /* empty with no_password */
        const char *tracker; /* "host:port#key"; NULL: those of the configuration */
        bool no_password;
        bool no_tracker; /* for the LAN alone, until its name is registered without this */
} ChatRegister;

void chat_register(Chat *c, const ChatRegister *args, ChatDoneFn fn, void *userdata);
void chat_change_password(
        Chat *c, const char *old, const char *password, ChatDoneFn fn, void *userdata);
void chat_login(Chat *c, const char *name, const char *password, const char *tracker, ChatDoneFn fn,
        void *userdata);
void chat_logout(Chat *c, ChatDoneFn fn, void *userdata);

/* The account is given up for good, at the trackers too unless it is for the LAN alone or another
 * device is the active one. Done when it cannot be undone any more; everything that is kept here
 * goes right after that, and this Chat with it. */
void chat_delete_account(Chat *c, const char *password, ChatDoneFn fn, void *userdata);

/* The wall clock was set: what was refused for the time that it says may be taken now. */
void chat_clock_changed(Chat *c);

/* Messages */

typedef struct ChatSend {
        const char *to; /* name, @ACCOUNT or #room */
        const char *text; /* checked here: size, form */
        const char *id; /* NULL: made here */
        const char *reply_to;
        usec_t expires; /* 0: default */
} ChatSend;

void chat_send(Chat *c, const ChatSend *args, ChatIdFn fn, void *userdata);

typedef struct ChatMessage {
        const char *id, *from, *to, *from_account, *to_account;
        const char *room, *room_id; /* NULL for a direct message */
        const char *text; /* "" where the kind is not known */
        const char *kind; /* "text", "unsupported", or "sealed" */
        const char *state; /* of own messages; "received" or "read" of others' */
        const char *reason; /* NULL unless failed or expired, or sealed for good */
        const char *reply_to;
        usec_t sent, stored, received, expires;
        unsigned replicas; /* mailboxes, or members of the room, that have it, while `stored` */
        unsigned delivered_to, read_by, members; /* of an own message in a room: all but oneself */
        uint64_t gap_before; /* entries known to be missing before this one */
        bool late, clock_ahead, old_device;
} ChatMessage;

/* True to go on, false when no more fit. */
typedef bool (*ChatMessageFn)(void *userdata, const ChatMessage *m);

typedef struct ChatListMessages {
        const char *with;
        const char *before, *after; /* ids, or NULL; the newest page when both are */
        unsigned limit; /* 1 to 1000 */
} ChatListMessages;

/* Oldest first. RET_MORE: FN stopped it, or there are more in the direction that was asked for.
 * Negative with ERROR filled in. */
int chat_list_messages(Chat *c, const ChatListMessages *args, ChatMessageFn fn, void *userdata,
        bool *ret_more, ChatError *error);

typedef struct ChatConversation {
        const char *with, *last_id;
        const char *account, *room_id; /* one of them; the other is NULL */
        const char *state; /* of the last message, if own */
        usec_t last_time;
        unsigned unread;
} ChatConversation;

typedef bool (*ChatConversationFn)(void *userdata, const ChatConversation *v);

/* Newest first. AFTER: what `with` a page ended on. */
int chat_list_conversations(Chat *c, const char *after, unsigned limit, ChatConversationFn fn,
        void *userdata, bool *ret_more, ChatError *error);

/* What two have to have in common who hold the same: over all entries of the conversation, in the
 * order they are shown in. */
typedef struct ChatDigest {
        char digest[65]; /* hexadecimal */
        uint64_t messages;
        bool room; /* and the head of its control log: */
        uint64_t control_epoch;
        char control_hash[65];
} ChatDigest;

int chat_digest(Chat *c, const char *with, ChatDigest *ret, ChatError *error);

/* This message and all that are shown before it have been read. */
void chat_mark_read(Chat *c, const char *id, ChatDoneFn fn, void *userdata);

/* The user writes to somebody just now, or does so no more; a contact with a link is told. To be
 * repeated while it goes on, since it is forgotten after half a minute; a message ends it. Nobody
 * is told by who shows nobody what he has read, or that he is there. Negative with ERROR filled
 * in. */
int chat_set_typing(Chat *c, const char *to, bool on, ChatError *error);

/* For who announces messages: M is the last of somebody's that was, UNREAD how many there are. */
typedef void (*ChatUnreadFn)(void *userdata, const ChatMessage *m, unsigned unread);

/* Calls FN for the message ID of ACCOUNT's, or in the room whose id that is, which is text, and
 * returns 1; 0 where it is not to be announced any more: it was read, answered or deleted, its
 * author is blocked, or nobody is logged in. */
int chat_look_unread(Chat *c, const char *account, const char *id, ChatUnreadFn fn, void *userdata);

/* What has not been delivered, by recipient, oldest first. AFTER: the id that a page ended on. */
int chat_list_outbox(Chat *c, const char *after, unsigned limit, ChatMessageFn fn, void *userdata,
        bool *ret_more, ChatError *error);
void chat_cancel(Chat *c, const char *id, ChatDoneFn fn, void *userdata);

/* Events: the same, in the same order, for those who listen and for those who ask later */

typedef enum ChatEventKind {
        CHAT_EVENT_GAP, /* `lost` events up to `cursor` are not kept any more */
        CHAT_EVENT_MESSAGE, /* `message` was received; `request`: of somebody who is no contact */
        CHAT_EVENT_STATE, /* `id`, `to`, `account`, `state`, `reason`, `replicas` */
        CHAT_EVENT_PEER, /* `name`, `account`, `presence`; and what of a contact's name, if `key` */
        CHAT_EVENT_REQUEST, /* `message` is the first of somebody who is no contact */
        CHAT_EVENT_ROOM, /* `room`, `room_id`, `change`, and `name`, `account` of the member */
        CHAT_EVENT_REPLACED, /* the own `name`, `account` is used on another device now */
} ChatEventKind;

typedef struct ChatEvent {
        ChatEventKind kind;
        uint64_t cursor;
        usec_t time;
        const ChatMessage *message;
        bool request;
        const char *id, *to, *state, *reason;
        unsigned replicas; /* as now */
        const char *room, *room_id; /* of a state: NULL unless the message is in a room */
        unsigned delivered_to, read_by, members; /* as now, of a message in a room */
        const char *change; /* created, joined, left, invited, kicked, topic, role, deleted, … */
        const char *role, *topic; /* NULL, or what they have become */
        const char *inviter, *inviter_account; /* of the own account; NULL in all other changes */
        const char *name, *presence;
        const char *account; /* of the other one, but for REPLACED; NULL: there is none */
        bool key; /* said because of `key_changed`, which has become true, or is no more */
        bool key_changed; /* the name is given to another account, `other_account` */
        const char *other_account; /* NULL unless key_changed */
        uint64_t lost;
} ChatEvent;

/* True to go on, false when no more fit. */
typedef bool (*ChatEventFn)(void *userdata, const ChatEvent *e);

/* The cursor that is after all events. */
#define CHAT_CURSOR_END UINT64_MAX

typedef struct ChatListEvents {
        uint64_t cursor; /* those after this one; 0: from the oldest, or where CLIENT got to */
        unsigned max;
        const char *client; /* or NULL */
} ChatListEvents;

/* RET_NEXT: the cursor to go on with. */
int chat_list_events(Chat *c, const ChatListEvents *args, ChatEventFn fn, void *userdata,
        uint64_t *ret_next, ChatError *error);
void chat_ack_events(Chat *c, const char *client, uint64_t cursor, ChatDoneFn fn, void *userdata);

/* People */

typedef struct ChatPeer {
        const char *name, *account, *presence, *note;
        const char *claimed_name; /* NULL, or what he calls himself where NAME is an alias */
        const char *other_account; /* NULL, or whose his name is now, while `key_changed` */
        usec_t last_seen;
        const char *const *rooms; /* shared ones, NULL-terminated */
        const char *const *endpoints; /* NULL-terminated */
        const char *const *via;
        bool verified, blocked, contact, key_changed;
} ChatPeer;

/* What the user says of himself: "online", which is away while there is no input, "away" or "busy",
 * with a NOTE or "". */
void chat_set_presence(
        Chat *c, const char *presence, const char *note, ChatDoneFn fn, void *userdata);

/* True to go on. */
typedef bool (*ChatPeerFn)(void *userdata, const ChatPeer *p);
typedef void (*ChatPeersDoneFn)(void *userdata, const ChatError *error, bool more);

typedef struct ChatListPeers {
        bool all; /* also offline people that are no contacts */
        const char *name; /* only this one (name or @ACCOUNT), whoever it is; or NULL */
        const char *after; /* account or name a page ended on, or NULL */
        unsigned limit;
} ChatListPeers;

/* Asks the directory where there is one: FN may be called later, DONE always last. */
void chat_list_peers(
        Chat *c, const ChatListPeers *args, ChatPeerFn fn, ChatPeersDoneFn done, void *userdata);

/* Contacts. Whoever is meant by NAME: a name, name~XXXX or @ACCOUNT. */

/* A stranger becomes a contact. Of somebody whose name is given to another account now it says that
 * the one that is known is meant. Of oneself, on a device that was replaced: what it has may be
 * handed over. */
void chat_accept(Chat *c, const char *name, ChatDoneFn fn, void *userdata);

/* Looks the name up if need be. AT: NULL, or HOST:PORT#ACCOUNT: who is there is asked, and has to
 * be that account and claim that name. */
void chat_add_contact(Chat *c, const char *name, const char *at, ChatDoneFn fn, void *userdata);

/* ALIAS is shown from then on; "": the name again. */
void chat_rename_contact(
        Chat *c, const char *name, const char *alias, ChatDoneFn fn, void *userdata);

/* A stranger again, and a request is declined; what was written stays. Refused while messages wait
 * to be delivered. */
void chat_remove_contact(Chat *c, const char *name, ChatDoneFn fn, void *userdata);

/* Nothing is taken from somebody who is blocked, and nothing brought to him. */
void chat_block(Chat *c, const char *name, ChatDoneFn fn, void *userdata);
void chat_unblock(Chat *c, const char *name, ChatDoneFn fn, void *userdata);

/* Strangers who have written and wait for an answer. */
typedef struct ChatRequest {
        const char *name, *account;
        const char *text; /* of their newest message */
        usec_t received; /* it */
        unsigned messages;
} ChatRequest;

typedef bool (*ChatRequestFn)(void *userdata, const ChatRequest *r);

/* Newest first. AFTER: the name or account that a page ended on, or NULL. */
int chat_list_requests(Chat *c, const char *after, unsigned limit, ChatRequestFn fn, void *userdata,
        bool *ret_more, ChatError *error);
/* Safety numbers */

typedef struct ChatVerification {
        char safety_number[61]; /* digits; both sides see the same */
        bool verified; /* the user has said that it was compared */
} ChatVerification;

/* Of somebody who is known here. Takes some ms. Negative with ERROR filled in. */
int chat_verify(Chat *c, const char *name, ChatVerification *ret, ChatError *error);

/* That it was compared, and was the same; or that this is not so any more. It is kept with the
 * account: another one under the same name is not verified. */
void chat_set_verified(Chat *c, const char *name, bool verified, ChatDoneFn fn, void *userdata);

/* People with an object of their own: while somebody is logged in, contacts, and those who have
 * written, as many as CHAT_REQUEST_OBJECTS_MAX. ACCOUNT is text. */

#define CHAT_REQUEST_OBJECTS_MAX 1000
#define CHAT_OBJECT_NEWS_MAX 10

typedef enum ChatObjectChange {
        CHAT_OBJECT_ADDED,
        CHAT_OBJECT_CHANGED, /* or may have */
        CHAT_OBJECT_REMOVED,
} ChatObjectChange;

/* NULL where there is none. Valid until the next call. */
const ChatPeer *chat_get_object(Chat *c, const char *account);

/* True to go on. */
typedef bool (*ChatObjectFn)(void *userdata, const char *account);
void chat_each_object(Chat *c, ChatObjectFn fn, void *userdata);

/* The names of the properties (of org.p2pchat.Chat1.Peer) that are not as they were when this was
 * asked last, all of them the first time; NULL-terminated. Returns their number. */
size_t chat_object_news(
        Chat *c, const char *account, const char *ret_names[static CHAT_OBJECT_NEWS_MAX + 1]);

/* Rooms. A room is #name or, where several are called so, #name~XXXX, with the first characters of
 * its id. */

typedef struct ChatCreateRoom {
        const char *room; /* "#name" */
        const char *access; /* open, private, hidden; NULL: open */
        const char *history; /* what who joins may read: all, joined; NULL: all */
        const char *topic; /* NULL: none */
} ChatCreateRoom;

/* Done when the room is on disk and its name has been claimed, or cannot be now. ID is the room's,
 * as in its path. */
void chat_create_room(Chat *c, const ChatCreateRoom *args, ChatIdFn fn, void *userdata);

/* Done when sending works. Of a room one is in already, at once. */
void chat_join_room(Chat *c, const char *room, ChatIdFn fn, void *userdata);
void chat_leave_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata);
void chat_delete_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata);
void chat_invite(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata);
void chat_kick(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata);
void chat_set_topic(Chat *c, const char *room, const char *topic, ChatDoneFn fn, void *userdata);

/* ROLE: member, admin or owner. The last is an offer, which the other one's daemon takes. */
void chat_set_role(Chat *c, const char *room, const char *name, const char *role, ChatDoneFn fn,
        void *userdata);

typedef struct ChatRoom {
        const char *room, *id;
        const char *topic, *access; /* "" where not known */
        const char *owner, *owner_account; /* "" where not known */
        const char *inviter, *inviter_account; /* of a room one is invited to, else NULL */
        const char *status; /* joining, joined, invited, left, kicked, deleted; NULL: not here */
        const char *role; /* one's own, NULL without one */
        const char
                *problem; /* NULL, or a sentence: why it is read-only, or what is wrong with it */
        unsigned members, online;
        unsigned unread;
        bool joined, read_only;
} ChatRoom;

/* True to go on. */
typedef bool (*ChatRoomFn)(void *userdata, const ChatRoom *r);

typedef struct ChatListRooms {
        bool all; /* also rooms that were left or have ended, if nobody else tells of them */
        bool known; /* nobody is asked */
        const char *words; /* all of them in name or topic, or NULL */
        const char *after; /* room or its id that a page ended on, or NULL */
        unsigned limit;
} ChatListRooms;

/* Own rooms, then those that trackers and people nearby know: FN may be called later, DONE always
 * last. */
void chat_list_rooms(
        Chat *c, const ChatListRooms *args, ChatRoomFn fn, ChatPeersDoneFn done, void *userdata);

typedef struct ChatMember {
        const char *name, *account;
        const char *role; /* owner, admin, member; NULL: not known */
        const char *presence; /* NULL: not known, of a room that one is not in */
        bool self;
        bool provisional; /* the owner has not confirmed it yet */
        bool frozen; /* has signed two messages with one number: is not heard from there on */
        bool offered; /* the room, which is his when his service has accepted it */
} ChatMember;

typedef bool (*ChatMemberFn)(void *userdata, const ChatMember *m);

/* By role, then name. AFTER: the account or name that a page ended on, or NULL. */
int chat_list_members(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        void *userdata, bool *ret_more, ChatError *error);

/* The same of an open room that is not known here: those who are online in it, as trackers tell. FN
 * may be called later, DONE always last; CODE_UNKNOWN_ROOM where none tells. */
void chat_visit_room(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        ChatPeersDoneFn done, void *userdata);

/* Rooms with an object of their own: those one is in, or is invited to. ID is text. As with people
 * above. */
#define CHAT_ROOM_NEWS_MAX 7

const ChatRoom *chat_get_room(Chat *c, const char *id);
void chat_each_room(Chat *c, ChatObjectFn fn, void *userdata);
size_t chat_room_news(
        Chat *c, const char *id, const char *ret_names[static CHAT_ROOM_NEWS_MAX + 1]);

/* State */

typedef struct ChatTracker {
        const char *address, *state, *error; /* connected, connecting, unreachable, refused */
} ChatTracker;

/* History and all else that another device of the account has, on its way to the active one. */
typedef struct ChatHandOver {
        bool active; /* there is one, else all is zero: */
        bool giving; /* this device is the one that was replaced */
        bool waiting; /* until its user accepts it (chat_accept() of his own name there) */
        uint64_t done, total; /* what has arrived, and all that there is */
        uint64_t refused; /* of what came: of no use here */
} ChatHandOver;

typedef struct ChatStatus {
        const char *name, *account, *fingerprint; /* "" while logged out */
        const char *kept; /* of an account that is here and not logged in; "" */
        const char *state; /* logged-out, connecting, online, offline, replaced */
        const char *presence, *note; /* as contacts are told; "" while not active, or without one */
        bool idle; /* away for want of input, and not because the user has said so */
        bool lan_only; /* no tracker is asked */
        bool password; /* the account has one */
        const char *key_at_rest; /* credential, secret-service, file, none */
        ChatHandOver hand_over;
        unsigned queued, links;
        unsigned stored, owed; /* envelopes in mailboxes; receipts to be left in others' */
        const ChatTracker *trackers;
        size_t n_trackers;
        unsigned nearby; /* people on the LAN */
        const char *const *found_trackers; /* on the LAN, NULL-terminated; none of them is used */
        const char *const *problems; /* sentences, NULL-terminated */
} ChatStatus;

void chat_status(Chat *c, ChatStatus *ret);

/* What works and what does not, hop by hop. */

#define CHAT_CHECK_TEXT_SIZE 1280

typedef struct ChatCheck {
        const char *check; /* the hop: store, disk, clock, key, trackers, links, … */
        const char *state; /* ok, warning, failed, off */
        const char *text; /* one sentence */
        const char *advice; /* what to do, NULL where there is nothing */
} ChatCheck;

typedef void (*ChatCheckFn)(void *userdata, const ChatCheck *check);

/* Calls FN for each hop, for `trackers` once a tracker, during the call. Works without an account
 * as well. */
void chat_doctor(Chat *c, ChatCheckFn fn, void *userdata);

/* What changed, for properties. */
typedef enum ChatProperty {
        CHAT_NAME = 1,
        CHAT_ACCOUNT = 2,
        CHAT_FINGERPRINT = 4,
        CHAT_STATE = 8,
        CHAT_QUEUED = 16,
        CHAT_TRACKERS = 32,
        CHAT_PRESENCE = 64,
        CHAT_NOTE = 128,
        CHAT_NEARBY = 256,
        CHAT_HAND_OVER = 512, /* at most twice a second while it goes on */
} ChatProperty;

#define CHAT_ALL_PROPERTIES (2 * CHAT_HAND_OVER - 1)

/* What is told at once. Events come after the commit of what they tell, each once. */
typedef struct ChatListener {
        void (*event)(void *userdata, const ChatEvent *e);
        void (*properties_changed)(void *userdata, unsigned properties);

        /* A contact writes to the user, or a member in ROOM (else NULL), just now, or does so no
         * more. No event: it is not kept. May be NULL. */
        void (*typing_changed)(
                void *userdata, const char *name, const char *account, const char *room, bool on);

        /* May come before the commit of what it tells, which is there in the next turn. */
        void (*object_changed)(void *userdata, const char *account, ChatObjectChange change);
        void (*room_object_changed)(void *userdata, const char *id, ChatObjectChange change);
} ChatListener;

#define CHAT_LISTENERS_MAX 2

/* LISTENER must live until it is removed; each has a USERDATA of its own. */
void chat_add_listener(Chat *c, const ChatListener *listener, void *userdata);
void chat_remove_listener(Chat *c, const void *userdata);
