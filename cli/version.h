/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A package that is upgraded leaves the daemons of the users running: chatc and the daemon it talks
 * to may be of different versions. They understand each other, and chatc says once how to end it.
 */

#include "cli/chatc.h"

/* Asks for the daemon's version, if this was not done before and notes are wanted. Nothing is
 * waited for: the answer comes ahead of the answer to the next call. Only when there is something
 * to say is systemd asked as well. */
void version_ask(Chatc *c);

/* Takes an answer that has come, and says what has to be said. */
void version_take(Chatc *c);

/* The daemon's version is another one than that of chatc. */
bool version_differs(const char *version);
