/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Whether the user's session is locked, as logind has it (LockedHint of the session that is his
 * display). Where there is no logind, or he has no session, it is not. While nothing is known, at
 * the start and after logind was away, it counts as locked for as long as the question takes.
 */

#include "util/loop.h"

typedef struct SessionLock SessionLock;
typedef struct sd_event sd_event;

/* How long logind has for an answer. */
#define SESSION_LOCK_PATIENCE (10 * USEC_PER_SEC)

typedef void (*SessionLockFn)(void *userdata, bool locked);

/* FN is called when it changes. Without a system bus nothing is ever locked. */
int session_lock_new(sd_event *event, SessionLockFn fn, void *userdata, SessionLock **ret);
SessionLock *session_lock_free(SessionLock *l);

bool session_lock_is_locked(const SessionLock *l) _pure_;

DEFINE_CLEANUP(SessionLock *, session_lock_free)
