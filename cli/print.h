/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What people read. Names and texts come from strangers: nothing in them may move the cursor,
 * change the colour, turn the direction of writing or look like a line of chatc itself. Unsafe
 * characters are shown as escapes: C0 and C1 controls, DEL, the bidirectional overrides and
 * isolates, and the line and paragraph separators, whether or not the output is a terminal.
 */

#include <stdio.h>

#include "util/macro.h"
#include "util/usec.h"

typedef struct Chatc Chatc;
typedef struct Value Value;

/* Reads the next character of the N bytes at P; returns its size, or 0 where the bytes are not
 * well-formed UTF-8. */
size_t char_decode(const char *p, size_t n, uint32_t *ret);

/* Must not reach a terminal, nor a line-wise reader, as it is. */
bool char_is_unsafe(uint32_t c);

/* Unsafe characters as \n, \r, \t or \uXXXX, bytes that are not UTF-8 as \xXX. A line feed becomes
 * NEWLINE if that is given, so that texts of several lines keep them, indented. */
void print_safe(FILE *f, const char *s, const char *newline);

/* The first CHARACTERS of S as print_safe() shows them, with "…" behind what was cut. */
void print_start(FILE *f, const char *s, size_t characters);

/* NAME in the colour of KEY (an account), always the same one. */
void print_sender(const Chatc *c, FILE *f, const char *name, const char *key);

/* Local time, "2026-01-02 03:04:05". */
void print_time(FILE *f, usec_t realtime);

/* The members of a dictionary as "key value", two blanks apart, on one line; nothing for what is
 * none. */
void print_dict(FILE *f, const Value *dict);

/* Pads with blanks after a column: WRITTEN bytes of WIDTH, at least two blanks. */
void print_pad(FILE *f, size_t written, size_t width);
