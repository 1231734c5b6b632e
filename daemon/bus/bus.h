/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The D-Bus API: org.p2pchat.Chat1 at /org/p2pchat/Chat1, as dbus/org.p2pchat.Chat1.xml and
 * org.p2pchat.Chat1(5) describe it. A call is parsed, handed to chat and answered when chat says
 * so; what chat tells of its own accord goes out as signals.
 */

#include <stdio.h>

#include "util/macro.h"

typedef struct Bus Bus;
typedef struct Chat Chat;
typedef struct Loop Loop;
typedef struct sd_bus sd_bus;
typedef struct sd_event sd_event;

#define BUS_NAME "org.p2pchat.Chat1"
#define BUS_PATH "/org/p2pchat/Chat1"
#define BUS_INTERFACE "org.p2pchat.Chat1"
#define BUS_PEER_PREFIX BUS_PATH "/peer"
#define BUS_PEER_INTERFACE BUS_INTERFACE ".Peer"
#define BUS_ROOM_PREFIX BUS_PATH "/room"
#define BUS_ROOM_INTERFACE BUS_INTERFACE ".Room"
#define BUS_ERROR_PREFIX "org.p2pchat.Chat1.Error."

/* Calls that one client, and all of them, may leave open at a time; more answer TooMany. */
#define BUS_OPEN_PER_CLIENT_MAX 4096u
#define BUS_OPEN_MAX 16384u

/* Rows and bytes of one answer. */
#define BUS_LIST_MAX 1000u
#define BUS_ANSWER_SIZE_MAX ((size_t)4 << 20)

/* Connects to the session bus, registers the object and becomes the listener of CHAT's events.
 * Nobody finds the object before bus_request_name(). The end of the connection ends EVENT's loop
 * with EXIT_FAILURE. Negative errno when there is no session bus. */
int bus_new(sd_event *event, Loop *loop, Chat *chat, Bus **ret);

/* The same on a connection that is there already. A reference is taken; bus_free() closes it. */
int bus_new_on(sd_bus *connection, sd_event *event, Loop *loop, Chat *chat, Bus **ret);

/* -EEXIST: another process has the name. Waits for the answer of the bus. */
int bus_request_name(Bus *b);

/* Everything begins anew: CHAT is about to go, and with it what was asked of it; the end of its
 * account is said when there is another one. With NULL nothing may be asked before that. */
void bus_set_chat(Bus *b, Chat *chat);

/* CHAT must still be there: it is told to forget the calls that are open, which stay without an
 * answer. What was answered before is written out. */
Bus *bus_free(Bus *b);

/* The introspection data of the object, without any message bus. */
int bus_introspect(FILE *f);

DEFINE_CLEANUP(Bus *, bus_free)
