/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Calls to the daemon over the session bus, which starts it when it does not run.
 *
 * The functions return 0 or an exit status, as chatc.h says; they print the error line themselves
 * unless the call is marked quiet. An answer may take 30 s, the daemon's own limit is 20.
 */

#include "util/usec.h"

#include "cli/chatc.h"
#include "cli/value.h"

typedef struct sd_bus_slot sd_bus_slot;

#define BUS_NAME "org.p2pchat.Chat1"
#define BUS_PATH "/org/p2pchat/Chat1"
#define BUS_ERROR_PREFIX "org.p2pchat.Chat1.Error."

#define CALL_ARGS_MAX 4
#define CALL_OPTIONS_MAX 6

/* One member of the final a{sv}; left out when the value is NULL, false or 0. */
typedef struct CallOption {
        const char *key;
        const char *string;
        bool boolean;
        uint32_t number;
} CallOption;

/* A method whose arguments are texts and then the options. */
typedef struct Call {
        const char *method;
        const char *args[CALL_ARGS_MAX + 1];
        CallOption options[CALL_OPTIONS_MAX + 1];
        bool secret; /* wiped from memory after sending */
        bool quiet; /* no error line */
        const char *expected; /* no error line for this error */
} Call;

/* RET (may be NULL) is the first argument of the answer, or NULL when that is empty. RET_ERROR (may
 * be NULL) is the name of the error without its prefix; empty when there was none. */
#define CALL_ERROR_SIZE 64
int call_run(Chatc *c, const Call *call, Value **ret, char ret_error[static CALL_ERROR_SIZE]);

/* A method that answers with one a{sv} or s. */
int call_value(Chatc *c, const Call *call, Value **ret);
int call_void(Chatc *c, const Call *call);

/* A paged list: FN for each dictionary, from page to page by the value under CURSOR. What FN
 * returns above 0 ends the list and is returned. */
typedef int (*CallListFn)(Chatc *c, const Value *item, void *userdata);
int call_list(Chatc *c, const Call *call, const char *cursor, CallListFn fn, void *userdata);

/* One page; *ret_more says that the daemon holds more. */
int call_page(Chatc *c, const Call *call, Value **ret, bool *ret_more);

/* Signals of the daemon: FN is called from bus_wait() only. ARGS are the signal's arguments as a
 * list, the last one its dictionary. Free the slot with sd_bus_slot_unref(). */
typedef struct SignalHandler {
        void (*fn)(const Value *args, void *userdata);
        void *userdata;
        sd_bus_slot *slot;
} SignalHandler;

int signal_subscribe(Chatc *c, const char *member, SignalHandler *h);

/* The same for the daemon coming and going: one boolean argument, true when it is there. */
int signal_subscribe_owner(Chatc *c, SignalHandler *h);

void signal_done(SignalHandler *h);

/* Handles what has arrived, or waits until something does, at the longest to DEADLINE (monotonic).
 * *ret_timeout: the deadline passed with nothing to handle. */
int bus_wait(Chatc *c, usec_t deadline, bool *ret_timeout);

usec_t monotonic_now(void);
