/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * p2pchatd.service, as systemd --user knows it. Everything here works without systemd too, and then
 * says that there is none.
 */

#include "cli/chatc.h"
#include "cli/value.h"

typedef enum UnitStart {
        UNIT_STARTED,
        UNIT_STARTING, /* still, after 30 s */
        UNIT_FAILED,
        UNIT_DEPENDENCY_FAILED, /* another unit, so this one was not tried */
        UNIT_NOT_THERE, /* no systemd on the session bus, or it has no such unit */
} UnitStart;

/* Starts the service and waits until that has come to an end, good or bad, or for 30 s. */
UnitStart unit_start(void);

/* The properties of the unit, those of the service among them; NULL where UNIT_NOT_THERE. */
Value *unit_get(Chatc *c);

/* Why UNIT did not start, in a few words, and what to do about it; false where systemd gives no
 * reason that is known here. Both are constant. */
bool unit_reason(const Value *unit, const char **ret_why, const char **ret_advice);

/* The service starts at login, and with the machine. */
bool unit_is_enabled(const Value *unit);
bool user_lingers(void);

/* 0, or the negative errno with which a user namespace cannot be made; then the unit starts with
 * the drop-in that the advice names. */
int user_namespaces_try(const char **ret_advice);
