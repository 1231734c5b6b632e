/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Rooms. */

#include "bus/bus-internal.h"

const sd_bus_vtable bus_room_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("CreateRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_RESULT("o", path), bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("JoinRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_RESULT("o", path), bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("LeaveRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("DeleteRoom", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Invite", SD_BUS_ARGS("s", room, "s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Kick", SD_BUS_ARGS("s", room, "s", name, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("SetTopic", SD_BUS_ARGS("s", room, "s", topic, "a{sv}", options),
                SD_BUS_NO_RESULT, bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("SetRole",
                SD_BUS_ARGS("s", room, "s", name, "s", role, "a{sv}", options), SD_BUS_NO_RESULT,
                bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListRooms", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("aa{sv}", rooms), bus_method_not_built, BUS_ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListMembers", SD_BUS_ARGS("s", room, "a{sv}", options),
                SD_BUS_RESULT("aa{sv}", members), bus_method_not_built, BUS_ANYBODY),
        SD_BUS_SIGNAL_WITH_ARGS(
                "RoomChanged", SD_BUS_ARGS("s", room, "s", change, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
