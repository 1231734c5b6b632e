/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What has happened, as people see it and as JSON. */

#include <stdio.h>

#include "util/macro.h"

typedef struct Chatc Chatc;
typedef struct Value Value;

/* One line, whatever the texts in EVENT are: a dictionary of ListEvents, or what
 * event_from_signal() makes. What is not known here is shown key by key. */
void event_print(const Chatc *c, FILE *f, const Value *event);

/* Without its time, and no line feed at the end. */
void event_print_text(const Chatc *c, FILE *f, const Value *event);

/* The same dictionary from the signal MEMBER and its ARGS, for those that are not kept. It borrows
 * from both: free it with event_free() before they go. NULL when memory is out. */
typedef struct SignalEvent SignalEvent;

SignalEvent *event_from_signal(const char *member, const Value *args);
const Value *event_value(const SignalEvent *e);
SignalEvent *event_free(SignalEvent *e);
DEFINE_CLEANUP(SignalEvent *, event_free)
