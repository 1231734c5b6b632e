/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The user's session as logind has it, the one that is his display: whether it is locked, and since
 * when nobody has touched it. Where there is no logind, or he has no session, it is not locked, and
 * nobody can tell when there was input. While nothing is known, at the start and after logind was
 * away, it counts as locked for as long as the question takes.
 *
 * Input is what the desktop tells logind of, IdleHint of a graphical session. Those of a terminal,
 * and that of the user over all of them, logind works out only when it is asked, and never says
 * that they have changed: who was idle by one of them would stay so.
 */

#include "util/loop.h"

typedef struct LoginSession LoginSession;
typedef struct sd_event sd_event;

/* How long logind has for an answer; then it is asked again. */
#define LOGIN_SESSION_PATIENCE (10 * USEC_PER_SEC)

typedef struct LoginSessionState {
        bool locked;
        usec_t idle_since; /* realtime; 0: there is input, or nobody can tell */
} LoginSessionState;

typedef void (*LoginSessionFn)(void *userdata, const LoginSessionState *state);

/* FN is called when something changes. Without a system bus nothing ever does. */
int login_session_new(sd_event *event, LoginSessionFn fn, void *userdata, LoginSession **ret);
LoginSession *login_session_free(LoginSession *l);

const LoginSessionState *login_session_state(const LoginSession *l) _pure_;

DEFINE_CLEANUP(LoginSession *, login_session_free)
