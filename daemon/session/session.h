/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * The session with a tracker: connects, says HELLO, asks and is answered, takes pushes, and comes
 * back by itself when it was lost, with back-off and jitter so that a tracker that restarts does
 * not meet everybody at once.
 */

#include "net/greeting.h"
#include "util/endpoint-key.h"
#include "wire/account.h"
#include "wire/mailbox.h"
#include "wire/room-directory.h"

typedef enum SessionState {
        SESSION_CONNECTING,
        SESSION_CONNECTED, /* HELLO_OK was exchanged */
        SESSION_UNREACHABLE, /* the last attempt failed; another will follow */
        SESSION_REFUSED, /* another key answers there, or the tracker refuses this account */
} SessionState;

#define SESSION_ERROR_SIZE 256

typedef struct Session Session;

typedef struct SessionCallbacks {
        /* session_state() has changed, or one more attempt has failed. After CONNECTED it is time
         * to publish and to watch. */
        void (*state)(void *userdata, Session *s);
        void (*presence)(void *userdata, Session *s, const PresencePush *p);
        void (*record)(void *userdata, Session *s, Bytes record);

        /* There is mail to COLLECT. May be NULL. */
        void (*mail_waiting)(void *userdata, Session *s);

        /* Of a room that was entered; not verified. May be NULL. */
        void (*room_update)(void *userdata, Session *s, const RoomUpdate *u);

        /* RECORD shows that another device is active now; not verified. */
        void (*replaced)(void *userdata, Session *s, Bytes record);
} SessionCallbacks;

/* Starts to connect. SELF and the callbacks outlive the session. */
int session_new(Net *net, const EndpointKey *tracker, const LocalIdentity *self,
        const SessionCallbacks *callbacks, void *userdata, Session **ret);

/* Open requests are answered by nobody any more; session_fail_requests() before answers them. */
Session *session_free(Session *s);
void session_fail_requests(Session *s);

/* What session_new() was given. */
void *session_userdata(const Session *s);

SessionState session_state(const Session *s);
const char *session_state_name(const Session *s);

/* Why it is not connected, a sentence; "" when it is. */
const char *session_error(const Session *s);

/* The tracker has said in HELLO that it knows this. */
bool session_has_feature(const Session *s, uint16_t feature);

/* As conn_export(), of the connection that there is now: another one has other bytes. -ENOTCONN. */
int session_export(Session *s, const char *label, uint8_t *ret, size_t n);

/* The tracker has refused it since the account was deleted there. */
bool session_is_deleted(const Session *s);

/* Tries at once instead of at the next turn of the back-off: the user waits, or the network came
 * back. */
void session_wake(Session *s);

/* The machine has slept, or the network is another one: a session that does not answer soon ends
 * and is made anew. */
void session_doubt(Session *s);

/* There is a certificate, on disk. Where HELLO had none, the tracker takes nothing of this account
 * over this session: true, and it is made anew. */
bool session_introduce(Session *s);

/* An attempt to connect is under way, or about to begin. */
bool session_is_trying(const Session *s);

/* The answer: CODE_OK with the OK frame, which the caller decodes; or a code with a sentence and no
 * frame. CODE_TRACKER_UNREACHABLE when the session is or goes down, CODE_TIMEOUT. */
typedef void (*SessionAnswerFn)(void *userdata, Code code, const char *text, Frame *ok);

/* While a refusal is told: how long the tracker asks to wait; 0 when it does not say. */
usec_t session_retry_after(const Session *s);

#define SESSION_REQUESTS_MAX 64
#define SESSION_REQUEST_TIME (5 * USEC_PER_SEC)
#define SESSION_MAIL_TIME USEC_PER_MINUTE /* of envelopes, where the way is narrow */

/* Each sends a request when connected, and calls FN once, later; FN may be NULL. -ENOTCONN and
 * -EBUSY (too many open) without a call. */
int session_register(Session *s, Bytes record, SessionAnswerFn fn, void *userdata);
int session_publish(Session *s, const Publish *p, SessionAnswerFn fn, void *userdata);
int session_lookup(Session *s, const Lookup *l, SessionAnswerFn fn, void *userdata);
int session_list_peers(Session *s, const ListPeers *l, SessionAnswerFn fn, void *userdata);
int session_watch(Session *s, const Watch *w, SessionAnswerFn fn, void *userdata);
int session_deposit(Session *s, const Deposit *d, SessionAnswerFn fn, void *userdata);
int session_collect(Session *s, const Collect *c, SessionAnswerFn fn, void *userdata);
int session_collected(Session *s, const Collected *c, SessionAnswerFn fn, void *userdata);
int session_mail_status(Session *s, const MailStatus *m, SessionAnswerFn fn, void *userdata);
int session_withdraw(Session *s, const Withdraw *w, SessionAnswerFn fn, void *userdata);
int session_oprf(Session *s, const OprfRequest *o, SessionAnswerFn fn, void *userdata);

/* Signs with the login key on this connection, after that OPRF. */
int session_login(Session *s, const SignKey *login, const OprfRequest *asked, SessionAnswerFn fn,
        void *userdata);

/* ACCOUNT: a password is set or taken away, or the account deleted, after which the tracker ends
 * the session. */
int session_set_password(Session *s, Bytes statement, SessionAnswerFn fn, void *userdata);
int session_room_publish(Session *s, const RoomPublish *p, SessionAnswerFn fn, void *userdata);
int session_room_lookup(Session *s, const RoomLookup *l, SessionAnswerFn fn, void *userdata);
int session_room_list(Session *s, const RoomList *l, SessionAnswerFn fn, void *userdata);

/* Answers for USERDATA will not be called any more. */
void session_forget(Session *s, void *userdata);
