/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms. */

#include "bus/bus-internal.h"

#include <stdio.h>

/* A ChatIdFn: the path of the room. */
static void on_room(void *userdata, const ChatError *error, const char *id) {
        char path[STRLEN(BUS_ROOM_PREFIX "/") + BUS_OBJECT_ID_SIZE];
        BusOp *o = userdata;

        if (error) {
                bus_op_refuse(o, error);
                return;
        }
        snprintf(path, sizeof(path), BUS_ROOM_PREFIX "/%s", id);
        bus_sent(o->bus, sd_bus_reply_method_return(o->call, "o", path));
        bus_op_drop(o);
}

static int method_create_room(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ChatCreateRoom args = {};
        const BusOption options[] = {
                {"access", 's', &args.access},
                {"history", 's', &args.history},
                {"topic", 's', &args.topic},
                {},
        };
        Bus *b = userdata;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "s", &args.room);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_create_room(b->chat, &args, on_room, o);
        return 1;
}

static int method_join_room(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *room;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "s", &room);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_join_room(b->chat, room, on_room, o);
        return 1;
}

static int method_leave_room(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_leave_room);
}

static int method_delete_room(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call(m, userdata, error, chat_delete_room);
}

static int method_invite(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call_two(m, userdata, error, chat_invite);
}

static int method_kick(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call_two(m, userdata, error, chat_kick);
}

static int method_set_topic(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return bus_op_call_two(m, userdata, error, chat_set_topic);
}

static int method_set_role(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *room, *name, *role;
        Bus *b = userdata;
        BusOp *o;
        int r;

        r = sd_bus_message_read(m, "sss", &room, &name, &role);
        if (r < 0)
                return r;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        chat_set_role(b->chat, room, name, role, bus_op_done, o);
        return 1;
}

/* Lists */

#define ROOM_ENTRIES 16

static size_t room_size(const ChatRoom *r) {
        return (size_t)ROOM_ENTRIES * BUS_DICT_ENTRY_SIZE + bus_string_size(r->room) +
                bus_string_size(r->id) + bus_string_size(r->topic) + bus_string_size(r->owner) +
                bus_string_size(r->owner_account) + bus_string_size(r->access) +
                bus_string_size(r->status) + bus_string_size(r->role) +
                bus_string_size(r->problem) + bus_string_size(r->inviter) +
                bus_string_size(r->inviter_account);
}

static bool on_listed(void *userdata, const ChatRoom *r) {
        BusOp *o = userdata;
        BusList *l = &o->list;
        BusDict d;

        if (!bus_list_takes(l, room_size(r)))
                return false;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "room", r->room);
        bus_dict_string(&d, "room-id", r->id);
        bus_dict_string(&d, "topic", r->topic);
        bus_dict_string(&d, "owner", r->owner);
        bus_dict_string(&d, "owner-account", r->owner_account);
        bus_dict_number(&d, "members", r->members);
        bus_dict_number(&d, "online", r->online);
        bus_dict_string(&d, "access", r->access);
        bus_dict_bool(&d, "joined", r->joined);
        bus_dict_string(&d, "status", r->status);
        bus_dict_string(&d, "role", r->role);
        bus_dict_string(&d, "inviter", r->inviter);
        bus_dict_string(&d, "inviter-account", r->inviter_account);
        bus_dict_flag(&d, "read-only", r->read_only);
        bus_dict_string(&d, "problem", r->problem);
        if (r->status)
                bus_dict_number(&d, "unread", r->unread);
        l->r = bus_dict_close(&d);
        return l->r >= 0;
}

static int method_list_rooms(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ChatListRooms args = {};
        BusLimit limit = {};
        int all = false, known = false;
        const BusOption options[] = {
                {"all", 'b', &all},
                {"known", 'b', &known},
                {"words", 's', &args.words},
                {"after", 's', &args.after},
                BUS_OPTION_LIMIT(&limit),
                {},
        };
        Bus *b = userdata;
        BusOp *o;
        int r;

        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_limit_check(&limit, error);
        if (r < 0)
                return r;
        args.all = all;
        args.known = known;
        args.limit = limit.rows;
        r = bus_op_open(b, m, error, &o);
        if (r < 0)
                return r;
        r = bus_list_begin(&o->list, m, &limit);
        if (r < 0) {
                bus_op_drop(o);
                return r;
        }
        chat_list_rooms(b->chat, &args, on_listed, bus_op_list_done, o);
        return 1;
}

#define MEMBER_ENTRIES 8

static bool on_member(void *userdata, const ChatMember *k) {
        BusList *l = userdata;
        BusDict d;

        if (!bus_list_takes(l,
                    MEMBER_ENTRIES * BUS_DICT_ENTRY_SIZE + bus_string_size(k->name) +
                            bus_string_size(k->account) + bus_string_size(k->role) +
                            bus_string_size(k->presence)))
                return false;
        d = bus_dict_open(l->reply);
        bus_dict_string(&d, "name", k->name);
        bus_dict_string(&d, "account", k->account);
        bus_dict_string(&d, "role", k->role);
        bus_dict_string(&d, "presence", k->presence);
        bus_dict_flag(&d, "self", k->self);
        bus_dict_flag(&d, "provisional", k->provisional);
        bus_dict_flag(&d, "frozen", k->frozen);
        bus_dict_flag(&d, "offered", k->offered);
        l->r = bus_dict_close(&d);
        return l->r >= 0;
}

static bool on_visitor(void *userdata, const ChatMember *k) {
        BusOp *o = userdata;

        return on_member(&o->list, k);
}

/* Others may know who is in it. */
static int members_ask(Bus *b, sd_bus_message *call, const char *room, const char *after,
        const BusLimit *limit, sd_bus_error *error) {
        BusOp *o;
        int r;

        r = bus_op_open(b, call, error, &o);
        if (r < 0)
                return r;
        r = bus_list_begin(&o->list, call, limit);
        if (r < 0) {
                bus_op_drop(o);
                return r;
        }
        chat_visit_room(b->chat, room, after, limit->rows, on_visitor, bus_op_list_done, o);
        return 1;
}

static int members_send(Bus *b, sd_bus_message *call, const char *room, const char *after,
        const BusLimit *limit, sd_bus_error *error) {
        ChatError refusal = {};
        bool more = false;
        BusList l;
        int r;

        r = bus_list_begin(&l, call, limit);
        if (r < 0)
                return r;
        r = chat_list_members(b->chat, room, after, limit->rows, on_member, &l, &more, &refusal);
        if (r < 0 && refusal.name && streq(refusal.name, "UnknownRoom"))
                r = members_ask(b, call, room, after, limit, error);
        else if (r < 0 && refusal.name)
                r = bus_reply_error(call, &refusal);
        else if (r >= 0) {
                r = bus_list_end(&l, more);
                if (r >= 0)
                        bus_sent(b, sd_bus_send(b->connection, l.reply, NULL));
        }
        bus_list_done(&l);
        return r < 0 ? r : 1;
}

static int method_list_members(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *room, *after = NULL;
        BusLimit limit = {};
        const BusOption options[] = {
                {"after", 's', &after},
                BUS_OPTION_LIMIT(&limit),
                {},
        };
        int r;

        r = sd_bus_message_read(m, "s", &room);
        if (r < 0)
                return r;
        r = bus_options_read(m, options, error);
        if (r < 0)
                return r;
        r = bus_limit_check(&limit, error);
        if (r < 0)
                return r;
        return members_send(userdata, m, room, after, &limit, error);
}

int bus_method_digest(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        ChatError refusal = {};
        ChatDigest digest = {};
        Bus *b = userdata;
        const char *with;
        BusDict d;
        int r;

        r = sd_bus_message_read(m, "s", &with);
        if (r < 0)
                return r;
        if (chat_digest(b->chat, with, &digest, &refusal) < 0)
                return bus_reply_error(m, &refusal);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        d = bus_dict_open(reply);
        bus_dict_string(&d, "digest", digest.digest);
        bus_dict_u64(&d, "messages", digest.messages);
        if (digest.room) {
                bus_dict_u64(&d, "control-epoch", digest.control_epoch);
                bus_dict_string(&d, "control-hash", digest.control_hash);
        }
        r = bus_dict_close(&d);
        if (r < 0)
                return r;
        bus_sent(b, sd_bus_send(b->connection, reply, NULL));
        return 1;
}

const sd_bus_vtable bus_room_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("CreateRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_RESULT("o", path), method_create_room, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("JoinRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_RESULT("o", path), method_join_room, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("LeaveRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_NO_RESULT, method_leave_room, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("DeleteRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_NO_RESULT, method_delete_room, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Invite", SD_BUS_ARGS("s", room, "s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, method_invite, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Kick", SD_BUS_ARGS("s", room, "s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, method_kick, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("SetTopic", SD_BUS_ARGS("s", room, "s", topic, "a{sv}", options),
                SD_BUS_NO_RESULT, method_set_topic, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("SetRole",
                SD_BUS_ARGS("s", room, "s", name, "s", role, "a{sv}", options), SD_BUS_NO_RESULT,
                method_set_role, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListRooms", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", rooms), method_list_rooms, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListMembers", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_RESULT("aa{sv}", members), method_list_members, BUS_ANYBODY),
        SD_BUS_SIGNAL_WITH_ARGS(
                "RoomChanged", SD_BUS_ARGS("s", room, "s", change, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
