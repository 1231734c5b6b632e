/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Log entries. Where standard error is the journal (JOURNAL_STREAM), they go there as entries of
 * its native protocol: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, for events that somebody may wait for
 * or look up a MESSAGE_ID, and fields. Everywhere else each is one line on standard error.
 *
 * Never a key that is secret, never the text of a message. Where other people's computers are is
 * for debug only; the exception is who goes beyond a limit of a tracker, since whoever runs that
 * needs the address to do something about it.
 *
 * Names and reasons may come from the network: what is not printable text becomes '?', so that no
 * entry can pretend to be two, or to have fields that it does not have, or talk to a terminal. Long
 * values are cut.
 *
 * A journal that is behind gets a moment to make room. One that does not read is not waited for
 * again: entries are left out then, and counted, and the next one that arrives is followed by one
 * that says how many.
 */

#include <syslog.h>

#include "util/macro.h"
#include "util/quota.h"

/* Where entries go, and from which level on: LOG_INFO, LOG_DEBUG where systemd asks for it
 * (DEBUG_INVOCATION=1), or what P2PCHAT_LOG_LEVEL says, a name or number of syslog(3). */
void log_init(void);

/* For the end of the process: a journal looks up the unit of an entry when it reads the entry, and
 * finds none when the process is gone. Waits until it has read all, for a second at most. */
void log_end(void);

/* What is more verbose than LEVEL (LOG_ERR … LOG_DEBUG) is dropped; errors never are. */
void log_set_level(int level);
int log_get_level(void);

/* "debug" and the like; parsing takes the number as well, and returns it: -EINVAL. */
const char *log_level_name(int level);
int log_level_parse(const char *text);

/* "journal" or "console". */
const char *log_target(void);

/* The socket of a journal, NULL: standard error. log_init() has chosen already. */
void log_set_journal(const char *path);

typedef struct LogField {
        const char *name; /* upper case, P2PCHAT_… or one that the journal knows; NULL: the end */
        const char *value;
} LogField;

/* Up to so many fields, and so many bytes in a value. */
#define LOG_FIELDS_MAX 8
#define LOG_VALUE_MAX 512

/* ID: 32 hexadecimal digits, NULL for none. FIELDS: as LOG_FIELDS() makes them, or NULL. */
void log_event(int level, const char *id, const LogField *fields, const char *format, ...)
        _printf_(4, 5);

#define LOG_FIELDS(...)                                                                            \
        (const LogField[LOG_FIELDS_MAX + 1]) {                                                     \
                __VA_ARGS__                                                                        \
        }

#define log_debug(...) log_event(LOG_DEBUG, NULL, NULL, __VA_ARGS__)
#define log_info(...) log_event(LOG_INFO, NULL, NULL, __VA_ARGS__)
#define log_notice(...) log_event(LOG_NOTICE, NULL, NULL, __VA_ARGS__)
#define log_warning(...) log_event(LOG_WARNING, NULL, NULL, __VA_ARGS__)
#define log_error(...) log_event(LOG_ERR, NULL, NULL, __VA_ARGS__)

/* Logs "…: reason" and ERRNO for a negative errno and returns it. */
int log_error_errno(int r, const char *format, ...) _printf_(2, 3);

/* Entries that others can cause in any number: QUOTA are shown, the others are counted. */
typedef struct LogLimit {
        Quota quota;
        uint64_t hidden; /* since the owner has last set it to 0 */
} LogLimit;

bool log_limit_take(LogLimit *l, usec_t now);
