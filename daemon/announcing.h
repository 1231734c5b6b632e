/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * New messages on the desktop: what chat says has happened, to notifications, and what the user
 * does with those, to chat. Strangers who ask are not announced.
 */

#include "util/macro.h"

typedef struct Announcing Announcing;
typedef struct Chat Chat;
typedef struct Loop Loop;
typedef struct sd_event sd_event;

/* Nothing is announced before announcing_set(). */
int announcing_new(sd_event *event, Loop *loop, Chat *chat, Announcing **ret);

/* CHAT must still be there. What is on screen is withdrawn. */
Announcing *announcing_free(Announcing *a);

/* From now on, as notify.enabled and notify.show-text have it. */
void announcing_set(Announcing *a, bool enabled, bool show_text);

/* While the session is locked nothing is announced with its text. */
void announcing_set_locked(Announcing *a, bool locked);

/* What is on screen is withdrawn, and nothing is announced any more. */
void announcing_stop(Announcing *a);

DEFINE_CLEANUP(Announcing *, announcing_free)
