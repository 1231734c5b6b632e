/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Passwords are read without stdio, so that no buffer keeps a copy, and are wiped by who asked for
 * them. Functions return 0 or an exit status after the error line, as in chatc.h.
 */

#include "util/macro.h"

#define PASSWORD_SIZE 1024 /* with the terminating zero */

/* Wipes and frees. */
char *password_free(char *p);
DEFINE_CLEANUP(char *, password_free)

/* The first line of FILE ("-": standard input) without its newline, which the last line need not
 * have. A file without any is refused. */
int password_read_file(const char *file, char **ret);

/* Asks on the controlling terminal without echo; with TWICE, until both inputs are the same, at
 * most three times. The end of input, where a line has begun or not, is a refusal. */
int password_ask(const char *prompt, bool twice, char **ret);

/* One line on the controlling terminal, which everybody may see; "" where there is none. */
int terminal_ask(const char *prompt, char **ret);

/* A controlling terminal is there to ask on. */
bool password_can_ask(void);
