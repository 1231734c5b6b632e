/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A line of a conversation as a terminal shows it: "12:03 ✓  alice: text", broken at the width of
 * the window and indented from the second row on, so that no text can pass for a line of somebody
 * else. How many rows it takes is known, so that its mark can be found again.
 */

#include <stdio.h>

#include "util/macro.h"
#include "util/text.h"
#include "util/usec.h"

typedef struct Chatc Chatc;

/* What has become of a message of one's own; states only move forward. */
typedef enum LineMark {
        MARK_NONE, /* somebody else's */
        MARK_SENDING, /* the service has not answered yet */
        MARK_QUEUED,
        MARK_STORED,
        MARK_DELIVERED,
        MARK_READ,
        MARK_FAILED,
} LineMark;

typedef struct Line {
        usec_t time; /* realtime; 0: none */
        LineMark mark;
        const char *name; /* NULL: a note */
        const char *account; /* its colour */
        const char *text; /* as it came */
        char id[UUID_TEXT_SIZE]; /* "": none */
} Line;

#define LINE_MARK_COLUMNS 2

/* Two columns wide. */
const char *line_mark_text(LineMark m);

/* "delivered". */
const char *line_mark_name(LineMark m);

/* The mark of "delivered"; MARK_NONE for what is no state of a message of one's own. */
LineMark line_mark_from_state(const char *state);

/* Where the mark of a line stands in a window of this width. */
unsigned line_mark_column(unsigned columns);

/* Writes L in rows that end with a line feed, none of them wider than COLUMNS; returns how many. */
size_t line_render(const Chatc *c, FILE *f, const Line *l, unsigned columns);

/* Columns of a text on a terminal, S being well-formed UTF-8 without control characters. */
size_t text_columns(const char *s);
