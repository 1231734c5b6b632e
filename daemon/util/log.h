/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Log lines on standard error; under systemd they carry the "<N>" prefix of sd-daemon(3), which the
 * journal takes as the priority. Never a key, never the text of a message; addresses of peers at
 * debug only.
 */

#include <syslog.h>

#include "util/macro.h"

/* Looks at JOURNAL_STREAM to see whether standard error is the journal. */
void log_init(void);

/* What is more verbose than LEVEL (LOG_ERR … LOG_DEBUG) is dropped; LOG_INFO at start. */
void log_set_level(int level);

void log_message(int level, const char *format, ...) _printf_(2, 3);

#define log_debug(...) log_message(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_message(LOG_INFO, __VA_ARGS__)
#define log_notice(...) log_message(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_error(...) log_message(LOG_ERR, __VA_ARGS__)

/* Logs "…: reason" for a negative errno and returns it. */
int log_error_errno(int r, const char *format, ...) _printf_(2, 3);
