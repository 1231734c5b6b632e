/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Answers of the daemon as a tree. Every dictionary on the bus may grow, so nothing is read by
 * position: what chatc knows is looked up by key, what it does not know still reaches --json.
 */

#include "util/macro.h"

typedef struct sd_bus_message sd_bus_message;

typedef enum ValueType {
        VALUE_STRING, /* s, o, g */
        VALUE_BOOL,
        VALUE_NUMBER, /* y, q, u */
        VALUE_U64, /* t: a time in µs, but for the keys that key_is_time() knows better */
        VALUE_INTEGER, /* n, i, x, h */
        VALUE_REAL,
        VALUE_LIST, /* arrays and structures */
        VALUE_DICT,
} ValueType;

typedef struct Value Value;

struct Value {
        ValueType type;
        union {
                char *string;
                bool boolean;
                uint64_t number;
                int64_t integer;
                double real;
                struct {
                        Value **items;
                        char **keys; /* dictionaries only */
                        size_t n_items;
                        size_t allocated;
                };
        };
};

/* Reads the next complete argument of M. -EBADMSG for more than 16 levels, which nothing sends. */
int value_read(sd_bus_message *m, Value **ret);

/* All arguments of M, as a list. */
int value_read_all(sd_bus_message *m, Value **ret);
Value *value_free(Value *v);
DEFINE_CLEANUP(Value *, value_free)

/* The member KEY of a dictionary, or NULL: also when DICT is not one. */
const Value *value_get(const Value *dict, const char *key);

/* The same with what a missing member, or one of another type, stands for: "", 0, false. A number
 * below 0 is 0. */
const char *value_string(const Value *dict, const char *key);
uint64_t value_number(const Value *dict, const char *key);
bool value_bool(const Value *dict, const char *key);

/* Removes the mark {more: true} at the end of a paged list; true if it was there. */
bool value_take_more(Value *list);

/* A `t` under this key is a time; the others are cursors and counts. */
bool key_is_time(const char *key);

/* A `t` under this key is a place in a sequence: a text for those who read numbers as doubles. */
bool key_is_cursor(const char *key);

/* A member that says nothing and is left out: an empty text, a time that is not known. */
bool value_is_empty(const char *key, const Value *v);
