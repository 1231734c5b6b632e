/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One message as people see it. */

#include <stdio.h>

#include "util/macro.h"

typedef struct Chatc Chatc;
typedef struct Value Value;

/* "2026-01-02 03:04:05 bob: text"; further lines of the text are indented, so that no text can pass
 * for a message of somebody else. What is out of the ordinary stands in brackets after the name. */
void message_print(const Chatc *c, const Value *message);

/* " [late, old-device]", or nothing: what is out of the ordinary. */
void message_print_marks(FILE *f, const Value *message);

/* The text, its line feeds as print_safe() says, or what stands for one that cannot be shown. */
void message_print_text(FILE *f, const Value *message, const char *newline);
