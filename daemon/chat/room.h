/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of chat/ about rooms share. */

#include "chat/private.h"
#include "rooms/rooms.h"

/* What the user typed, taken apart. */
typedef struct RoomText {
        char name[NAME_SIZE]; /* without '#' */
        char suffix[ROOM_SUFFIX_LENGTH + 1]; /* or "" */
} RoomText;

int room_text_parse(const char *text, RoomText *ret, ChatError *error);

/* The id begins with the suffix, if there is one. */
bool room_text_fits(const RoomText *t, const uint8_t id[static SHA256_SIZE]);

/* What is meant by it of the rooms that are known here. 1, 0 or an error that is filled in. */
int room_resolve(DbTxn *txn, const RoomText *t, RoomRow *ret, ChatError *error);

/* "#name" where that means this room, else "#name~abcd". */
const char *room_shown_name(DbTxn *txn, const uint8_t id[static SHA256_SIZE], const char *name,
        char buf[static ROOM_SHOWN_SIZE]);

/* The same of a room with a row: the log names one whose name another room has here. */
const char *room_row_name(
        Chat *c, DbTxn *txn, const RoomRow *row, char buf[static ROOM_SHOWN_SIZE]);
const char *room_number_name(
        Chat *c, DbTxn *txn, uint32_t number, char buf[static ROOM_SHOWN_SIZE]);

/* As room_resolve(), of who is logged in; a room that is not known is an error as well. */
int room_find_known(Chat *c, DbTxn *txn, const char *text, RoomRow *ret, ChatError *error);

int room_unknown_error(const char *text, ChatError *error);

/* Somebody in a room: a contact by the name he has here, others by what they claim. */
const char *room_member_name(Chat *c, DbTxn *txn, const uint8_t account[static KEY_SIZE],
        const char *claimed, char buf[static SHOWN_NAME_SIZE]);

/* Makes a sentence, in place, of what rooms/ says in the middle of one. */
char *room_sentence(char *text, size_t size);

/* E of what rooms/ has refused; R as it was returned there. */
int room_error(int r, const RoomsError *e, ChatError *error);

/* Strings of a ChatRoom, which points into it. */
struct RoomShown {
        ChatRoom room;
        uint8_t key[SHA256_SIZE]; /* the id */
        bool over; /* it was left or has ended, and nobody tells of it */
        uint8_t owner_key[KEY_SIZE];
        char name[ROOM_SHOWN_SIZE], id[BASE32_KEY_SIZE + 1];
        char topic[ROOM_TOPIC_MAX + 1], problem[CHAT_ERROR_TEXT_SIZE];
        char owner[SHOWN_NAME_SIZE], owner_account[BASE32_KEY_SIZE + 1];
        char inviter[SHOWN_NAME_SIZE], inviter_account[BASE32_KEY_SIZE + 1];
};

/* A room that is known here. */
void room_show(Chat *c, DbTxn *txn, const RoomView *v, RoomShown *ret);

/* And one of which somebody else tells. OWNER may be all zeros. */
typedef struct RoomHeard {
        const uint8_t *id, *owner;
        const char *name, *topic;
        RoomAccess access;
        unsigned members, online;
} RoomHeard;

void room_show_heard(Chat *c, DbTxn *txn, const RoomHeard *h, RoomShown *ret);

/* CLAIMED: the name by which he is called unless he is known here; or NULL. */
void room_show_owner(Chat *c, DbTxn *txn, RoomShown *s, const char *claimed);

/* What H says beside what is known here already. */
void room_show_more(Chat *c, const RoomHeard *h, RoomShown *s);

/* Asked to be let in, or invited, and never was a member: there is nothing of it here. */
bool room_was_never_in(RoomStatus status, uint64_t control_epoch);

/* Objects */
void room_objects_start(Chat *c);
void room_objects_change(Chat *c, uint32_t number);
void room_objects_follow(Chat *c, DbTxn *txn, uint32_t number);
void room_objects_clear(Chat *c);

int room_check_topic(const char *topic, ChatError *error);
int room_type(Chat *c, const char *room, bool on, ChatError *error);

/* The author of something in a room that is known here. */
const char *room_author_name(Chat *c, DbTxn *txn, uint32_t room,
        const uint8_t account[static KEY_SIZE], char buf[static SHOWN_NAME_SIZE]);

/* As chat_view_message(). */
void room_view_message(Chat *c, DbTxn *txn, const HistoryRow *row, uint32_t room, MessageView *v);

/* Of the members beside oneself. */
typedef struct RoomCount {
        unsigned held, read, members;
} RoomCount;

/* The state of a message as it is told. */
const char *room_message_state(Chat *c, DbTxn *txn, uint32_t room, const HistoryRow *row);

void room_count_message(
        Chat *c, DbTxn *txn, uint32_t room, uint32_t feed, uint64_t seq, RoomCount *ret);

/* Own messages that no other member has; FN may be NULL, and is true to go on. RET_N: how many, of
 * the rooms that were looked at. */
typedef bool (*RoomWaitingFn)(
        void *userdata, DbTxn *txn, uint32_t room, uint32_t feed, uint64_t seq);
int rooms_each_waiting(DbTxn *txn, RoomWaitingFn fn, void *userdata, uint64_t *ret_n);

/* In all rooms where ID is that of a message: 1; 0: there is none. */
int room_mark_read_all(Chat *c, const Uuid *id);
int room_has_id(Chat *c, const Uuid *id);

/* Tells trackers of a room now: 1, and FN (NULL: chat_on_room_refused(), if they refuse) hears what
 * they say of its record; 0: there is nothing to publish. */
int room_publish(Chat *c, uint32_t number, DirectoryDoneFn fn, void *userdata);

/* Why trackers do not list it, or NULL. */
const char *room_refusal(Chat *c, uint32_t number);

/* Rooms one is in that can only be read, or that trackers do not list: whoever looks at the status
 * is told. */
unsigned rooms_count_unwell(Chat *c);

void rooms_publish_start(Chat *c);
void rooms_publish_clear(Chat *c);
void rooms_told_clear(Chat *c);
void room_told_forget(Chat *c, uint32_t room); /* it is over */
void on_publish_timer(void *userdata);

/* As rooms_ask(), one after the other. FN is called later, unless the account is gone meanwhile;
 * -EBUSY: too many wait. */
int room_ask(Chat *c, const char *words, RoomsOfferFn fn, void *userdata);
void room_ask_forget(Chat *c, void *userdata);
void room_asks_end_all(Chat *c);
