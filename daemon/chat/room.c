/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms as the user sees them. */

#include "chat/private.h"

static int not_built(ChatError *error) {
        return chat_error(error, CODE_NOT_SUPPORTED, "Rooms are not built yet.");
}

void chat_create_room(Chat *c, const ChatCreateRoom *args, ChatIdFn fn, void *userdata) {
        ChatError e;

        not_built(&e);
        fn(userdata, &e, NULL);
}

void chat_join_room(Chat *c, const char *room, ChatIdFn fn, void *userdata) {
        ChatError e;

        not_built(&e);
        fn(userdata, &e, NULL);
}

static void refuse(ChatDoneFn fn, void *userdata) {
        ChatError e;

        not_built(&e);
        fn(userdata, &e);
}

void chat_leave_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata) {
        refuse(fn, userdata);
}

void chat_delete_room(Chat *c, const char *room, ChatDoneFn fn, void *userdata) {
        refuse(fn, userdata);
}

void chat_invite(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata) {
        refuse(fn, userdata);
}

void chat_kick(Chat *c, const char *room, const char *name, ChatDoneFn fn, void *userdata) {
        refuse(fn, userdata);
}

void chat_set_topic(Chat *c, const char *room, const char *topic, ChatDoneFn fn, void *userdata) {
        refuse(fn, userdata);
}

void chat_set_role(Chat *c, const char *room, const char *name, const char *role, ChatDoneFn fn,
        void *userdata) {
        refuse(fn, userdata);
}

void chat_list_rooms(
        Chat *c, const ChatListRooms *args, ChatRoomFn fn, ChatPeersDoneFn done, void *userdata) {
        ChatError e;

        not_built(&e);
        done(userdata, &e, false);
}

int chat_list_members(Chat *c, const char *room, const char *after, unsigned limit, ChatMemberFn fn,
        void *userdata, bool *ret_more, ChatError *error) {
        return not_built(error);
}

int chat_digest(Chat *c, const char *with, ChatDigest *ret, ChatError *error) {
        return not_built(error);
}

const ChatRoom *chat_get_room(Chat *c, const char *id) {
        return NULL;
}

void chat_each_room(Chat *c, ChatObjectFn fn, void *userdata) {
}

size_t chat_room_news(
        Chat *c, const char *id, const char *ret_names[static CHAT_ROOM_NEWS_MAX + 1]) {
        ret_names[0] = NULL;
        return 0;
}
