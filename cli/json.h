/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * JSON (RFC 8259), one object a line. Everything print.h calls unsafe is written as \uXXXX, which
 * means the same to a reader and leaves a terminal and line-wise tools alone; bytes that are not
 * UTF-8 become U+FFFD. Times (RFC 3339) and cursors are texts; members without a value are left
 * out.
 */

#include <stdio.h>

#include "util/macro.h"

typedef struct Value Value;

void json_string(FILE *f, const char *s);
void json_value(FILE *f, const char *key, const Value *v);

/* An object by hand: json_begin(), members, json_end(), which also ends the line. */
typedef struct JsonLine {
        FILE *f;
        bool any;
} JsonLine;

JsonLine json_begin(FILE *f);
void json_member(JsonLine *j, const char *key, const char *s);
void json_members(JsonLine *j, const Value *dict);
void json_end(JsonLine *j);

/* One dictionary as one line. What is none, here and in json_members(), has no members: nobody
 * promises that a daemon to come sends a dictionary where there is one today. */
void json_line(FILE *f, const Value *dict);
