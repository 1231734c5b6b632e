/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* For whoever puts the daemon together: what Chat is made of, and what it is told. */

#include "account/account.h"
#include "chat/chat.h"
#include "delivery/delivery.h"
#include "handover/handover.h"
#include "rooms/rooms.h"

typedef struct ChatParts {
        Loop *loop;
        Store *store;
        Account *account;
        Directory *directory;
        Delivery *delivery;
        Rooms *rooms;
        Handover *handover;
        const char *state_dir; /* outlives Chat */
        ChatCheck sandbox; /* as the doctor tells it */
} ChatParts;

int chat_new(const ChatParts *parts, Chat **ret);
Chat *chat_free(Chat *c);

/* Callbacks of the parts, handed on by the manager. */
void chat_on_active(Chat *c, bool active);
void chat_on_replaced(Chat *c);

/* In the open batch: one that one owns stays to its members, where there are others. */
void chat_leave_rooms(Chat *c);

/* handover_get_state() has changed; something of another device has come. */
void chat_on_handover(Chat *c);
void chat_on_handed_over(Chat *c, HandoverStage stage);
void chat_on_trackers_changed(Chat *c);
void chat_on_lan_changed(Chat *c);
void chat_on_named(Chat *c, const char *name, const uint8_t account[static KEY_SIZE]);
void chat_on_name_refused(Chat *c, Code code, const char *text);
void chat_on_record(Chat *c, const Record *record, Bytes outer);
void chat_on_presence(Chat *c, const uint8_t account[static KEY_SIZE], bool online,
        usec_t last_seen, const PresenceRecord *p);

void chat_on_own_presence(Chat *c);
void chat_on_typing(Chat *c, const uint8_t account[static KEY_SIZE], bool on);

/* A batch with events was committed, or failed. */
void chat_on_events(Chat *c, int error);
void chat_on_link_changed(Chat *c, const uint8_t account[static KEY_SIZE], bool up);

/* As the callbacks of rooms/rooms.h and of the directory say. */
void chat_on_room_changed(Chat *c, uint32_t room);
void chat_on_room_typing(Chat *c, uint32_t room, const uint8_t account[static KEY_SIZE], bool on);
void chat_on_room_publish(Chat *c, uint32_t room);
void chat_on_room_update(Chat *c, const DirectoryRoomUpdate *u);
void chat_on_room_refused(
        Chat *c, const uint8_t id[static SHA256_SIZE], Code code, const char *text);

/* A member of ROOM has come or gone, over whatever way that is known. */
void chat_on_room_presence(
        Chat *c, uint32_t room, const uint8_t account[static KEY_SIZE], bool online);

/* A tracker says that ACCOUNT is there, in one of the rooms one is in. */
bool chat_room_is_online(Chat *c, const uint8_t account[static KEY_SIZE]);

/* Whether the user has given no input for so long that he is away. */
void chat_set_idle(Chat *c, bool idle);

/* Sentences for `problems` that others know: each stays until it is taken back with NULL. */
typedef enum ChatProblem {
        CHAT_PROBLEM_LISTEN,
        CHAT_PROBLEM_NETWORK,
        CHAT_PROBLEM_CONFIG,
        _CHAT_PROBLEM_MAX,
} ChatProblem;

void chat_set_problem(Chat *c, ChatProblem problem, const char *text);

/* Who else has something to tell the doctor: one call of FN for each check. */
#define CHAT_CHECKS_MAX 4
typedef void (*ChatChecksFn)(void *userdata, ChatCheckFn fn, void *fn_userdata);
void chat_add_checks(Chat *c, ChatChecksFn fn, void *userdata);
void chat_remove_checks(Chat *c, const void *userdata);
