/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * chatc: the command line, a blocking client of org.p2pchat.Chat1 and nothing more. What the daemon
 * checks is not checked here; chatc knows the grammar of its command line, how answers are shown,
 * and what an error means for the exit status.
 *
 * Functions that can fail return 0, or the exit status (> 0) after the error line has been printed:
 * the caller just returns it.
 */

#include <stdio.h>

#include "util/macro.h"

#include "cli/args.h"

typedef struct sd_bus sd_bus;
typedef struct Verb Verb;

enum {
        STATUS_OK = 0,
        STATUS_ERROR = 1,
        STATUS_USAGE = 2,
        STATUS_UNREACHABLE = 3,
        STATUS_NOT_LOGGED_IN = 4,
        STATUS_UNKNOWN = 5,
        STATUS_TIMEOUT = 6,
};

/* Of the daemon, see version.h. */
typedef enum VersionState {
        VERSION_UNKNOWN,
        VERSION_ASKED,
        VERSION_KNOWN, /* or not to be known */
} VersionState;

typedef struct Chatc {
        bool json;
        bool quiet;
        bool no_color;
        bool colour; /* standard output is a terminal that wants colours */
        bool bare; /* called without a verb */
        const Verb *verb;
        sd_bus *bus; /* opened by the first call */
        bool listening; /* to signals, which the verb handles in a loop of its own */
        VersionState version;
} Chatc;

struct Verb {
        const char *name;
        const char *synopsis; /* arguments only */
        const char *help; /* one line */
        int (*run)(Chatc *c, char **argv); /* ARGV without the verb, ends with NULL */
};

/* Ends with a name of NULL. */
extern const Verb verbs[];

const Verb *verb_find(const char *name);

/* Not for people, and not in the list that help shows. */
bool verb_is_hidden(const Verb *v);

/* Prints "chatc: NAME: sentence" on standard error, made safe for a terminal; returns STATUS. */
#define chatc_fail(status, ...) (chatc_complain(__VA_ARGS__), (status))
void chatc_complain(const char *name, const char *format, ...) _printf_(2, 3);
#define chatc_out_of_memory() chatc_fail(STATUS_ERROR, "NoMemory", "memory is out.")

/* Parses the arguments of the present verb: its own OPTIONS (NULL: none) and the common ones, and
 * MIN to MAX words. RET points into ARGV, which is reordered. */
int chatc_args(Chatc *c, char **argv, const Option *options, size_t min, size_t max, Args *ret);

int verb_status(Chatc *c, char **argv);
int verb_register(Chatc *c, char **argv);
int verb_login(Chatc *c, char **argv);
int verb_logout(Chatc *c, char **argv);
int verb_passwd(Chatc *c, char **argv);
int verb_delete_account(Chatc *c, char **argv);
int verb_send(Chatc *c, char **argv);
int verb_peers(Chatc *c, char **argv);
int verb_presence(Chatc *c, char **argv);
int verb_chats(Chatc *c, char **argv);
int verb_history(Chatc *c, char **argv);
int verb_read(Chatc *c, char **argv);
int verb_outbox(Chatc *c, char **argv);
int verb_requests(Chatc *c, char **argv);
int verb_rooms(Chatc *c, char **argv);
int verb_members(Chatc *c, char **argv);
int verb_watch(Chatc *c, char **argv);
int verb_chat(Chatc *c, char **argv);
int verb_verify(Chatc *c, char **argv);
int verb_doctor(Chatc *c, char **argv);
int verb_help(Chatc *c, char **argv);
int verb_complete(Chatc *c, char **argv);

/* One method call each, from a table: rooms, contacts and the like. */
int verb_call(Chatc *c, char **argv);

/* A verb that needs more than one method this daemon does not have yet. */
int verb_unsupported(Chatc *c, char **argv);

/* The help of one verb, on standard output. */
void help_verb(const Verb *v);
