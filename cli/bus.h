/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Calls to the daemon over the session bus. It is started when it does not run, by systemd or,
 * where there is none, by the bus.
 *
 * The functions return 0 or an exit status, as chatc.h says; they print the error line themselves
 * unless the call is marked quiet. An answer may take 30 s, the daemon's own limit is 20.
 */

#include "util/usec.h"

#include "cli/chatc.h"
#include "cli/value.h"

#define BUS_NAME "org.p2pchat.Chat1"
#define BUS_PATH "/org/p2pchat/Chat1"
#define BUS_ERROR_PREFIX "org.p2pchat.Chat1.Error."

typedef struct sd_bus_slot sd_bus_slot;

#define CALL_ARGS_MAX 4
#define CALL_OPTIONS_MAX 6
#define CALL_NUMBERS_MAX 2

/* One member of the final a{sv}; left out when the value is NULL, false or 0. */
typedef struct CallOption {
        const char *key;
        const char *string;
        bool boolean;
        bool negative; /* a boolean, which is false */
        uint32_t number;
} CallOption;

typedef struct CallNumber {
        char type; /* 't', 'u' or 'b' */
        uint64_t value;
} CallNumber;

/* An error that the caller reports himself; free with call_failure_done(). */
#define CALL_ERROR_SIZE 64
typedef struct CallFailure {
        char name[CALL_ERROR_SIZE]; /* empty: there was none */
        char *text;
} CallFailure;

/* A method whose arguments are texts, then numbers, then the options. */
typedef struct Call {
        const char *method;
        const char *args[CALL_ARGS_MAX + 1];
        CallOption options[CALL_OPTIONS_MAX + 1];
        CallNumber numbers[CALL_NUMBERS_MAX + 1];
        bool secret; /* wiped from memory after sending */
        bool quiet; /* no error line */
        bool attached; /* does not start the daemon; no error line when it is not there */
        bool all; /* the answer is the list of all its arguments */
        usec_t timeout; /* 0: the usual one */
        const char *expected; /* no error line for this error */
        CallFailure *failure; /* takes the error line */
} Call;

/* RET (may be NULL) is the first argument of the answer, or NULL when that is empty. RET_ERROR is
 * the name of the daemon's error without its prefix; empty when there was none. */
int call_run(Chatc *c, const Call *call, Value **ret, char ret_error[static CALL_ERROR_SIZE]);
void call_failure_done(CallFailure *f);

/* A method that answers with one a{sv} or s. */
int call_value(Chatc *c, const Call *call, Value **ret);
int call_void(Chatc *c, const Call *call);

/* A paged list: FN for each dictionary, from page to page by the value under CURSOR. What FN
 * returns above 0 ends the list and is returned. */
typedef int (*CallListFn)(Chatc *c, const Value *item, void *userdata);
int call_list(Chatc *c, const Call *call, const char *cursor, CallListFn fn, void *userdata);

/* One page; *ret_more says that the daemon holds more. */
int call_page(Chatc *c, const Call *call, Value **ret, bool *ret_more);

/* A call that does not wait: FN is called by what handles messages (bus-signal.h), with the status
 * that call_run() would return, the error (its name is empty where the daemon is not there) and the
 * answer, which is NULL where there is none. The daemon is not started, and nothing is printed. */
typedef struct AsyncCall {
        void (*fn)(void *userdata, int status, const CallFailure *failure, const Value *answer);
        void *userdata;
        Chatc *c;
        sd_bus_slot *slot; /* under way; NULL: not */
        bool all;
} AsyncCall;

/* CALL is copied as far as it is needed. What cannot even be asked ends in FN before this returns.
 */
void call_begin(Chatc *c, const Call *call, AsyncCall *a);

/* FN is not called any more. */
void call_abandon(AsyncCall *a);

/* The connection: opened by the first call, or by this. */
int bus_open(Chatc *c);
bool bus_is_open(const Chatc *c);

/* Reports that it was lost, with the errno R; returns the exit status. */
int bus_lost(int r);
