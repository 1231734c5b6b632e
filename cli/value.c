/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/value.h"

#include <systemd/sd-bus.h>

#include "util/usec.h"

#define DEPTH_MAX 16

static int value_read_at(sd_bus_message *m, unsigned depth, Value **ret);

Value *value_free(Value *v) {
        if (!v)
                return NULL;
        if (v->type == VALUE_STRING)
                free(v->string);
        else if (v->type == VALUE_LIST || v->type == VALUE_DICT) {
                for (size_t i = 0; i < v->n_items; i++) {
                        value_free(v->items[i]);
                        if (v->keys)
                                free(v->keys[i]);
                }
                free(v->items);
                free(v->keys);
        }
        return mfree(v);
}

static int value_read_basic(sd_bus_message *m, char type, Value *v) {
        union {
                const char *s;
                uint8_t y;
                int b;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
        } raw;
        int r;

        r = sd_bus_message_read_basic(m, type, &raw);
        if (r < 0)
                return r;
        if (strchr("sog", type)) {
                v->string = strdup(raw.s);
                v->type = VALUE_STRING;
                return v->string ? 0 : -ENOMEM;
        }
        if (type == 'b')
                *v = (Value){.type = VALUE_BOOL, .boolean = raw.b};
        else if (strchr("yqu", type))
                *v = (Value){.type = VALUE_NUMBER,
                        .number = type == 'y' ? raw.y
                                : type == 'q' ? raw.q
                                              : raw.u};
        else if (type == 't')
                *v = (Value){.type = VALUE_U64, .number = raw.t};
        else if (type == 'd')
                *v = (Value){.type = VALUE_REAL, .real = raw.d};
        else
                *v = (Value){.type = VALUE_INTEGER,
                        .integer = type == 'n' ? raw.n
                                : type == 'x'  ? raw.x
                                               : raw.i};
        return 0;
}

static int value_grow(Value *v) {
        size_t n = v->allocated ? v->allocated * 2 : 8;
        void *p;

        if (v->n_items < v->allocated)
                return 0;
        p = reallocarray(v->items, n, sizeof(*v->items));
        if (!p)
                return -ENOMEM;
        v->items = p;
        if (v->type == VALUE_DICT) {
                p = reallocarray(v->keys, n, sizeof(*v->keys));
                if (!p)
                        return -ENOMEM;
                v->keys = p;
        }
        v->allocated = n;
        return 0;
}

static int dict_read_entry(sd_bus_message *m, const char *contents, unsigned depth, Value *v) {
        _cleanup_(value_freep) Value *item = NULL;
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, contents);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, &key);
        if (r < 0)
                return r;
        r = value_read_at(m, depth + 1, &item);
        if (r < 0)
                return r;
        r = value_grow(v);
        if (r < 0)
                return r;
        v->keys[v->n_items] = strdup(key);
        if (!v->keys[v->n_items])
                return -ENOMEM;
        v->items[v->n_items++] = TAKE_PTR(item);
        return sd_bus_message_exit_container(m);
}

static int list_read_item(sd_bus_message *m, unsigned depth, Value *v) {
        _cleanup_(value_freep) Value *item = NULL;
        int r;

        r = value_read_at(m, depth + 1, &item);
        if (r < 0)
                return r;
        r = value_grow(v);
        if (r < 0)
                return r;
        v->items[v->n_items++] = TAKE_PTR(item);
        return 0;
}

static int value_read_container(
        sd_bus_message *m, char type, const char *contents, unsigned depth, Value *v) {
        _cleanup_(freep) char *entry = NULL;
        int r;

        v->type = VALUE_LIST;
        if (type == SD_BUS_TYPE_ARRAY && contents[0] == '{' && contents[1] == 's') {
                v->type = VALUE_DICT;
                entry = strndup(contents + 1, strlen(contents) - 2);
                if (!entry)
                        return -ENOMEM;
        }
        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        for (;;) {
                r = sd_bus_message_at_end(m, false);
                if (r < 0)
                        return r;
                if (r > 0)
                        return sd_bus_message_exit_container(m);
                r = entry ? dict_read_entry(m, entry, depth, v) : list_read_item(m, depth, v);
                if (r < 0)
                        return r;
        }
}

static int value_read_at(sd_bus_message *m, unsigned depth, Value **ret) {
        _cleanup_(value_freep) Value *v = NULL;
        const char *contents;
        char type;
        int r;

        if (depth > DEPTH_MAX)
                return -EBADMSG;
        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (r == 0)
                return -EBADMSG;
        if (type == SD_BUS_TYPE_VARIANT) {
                r = sd_bus_message_enter_container(m, type, contents);
                if (r < 0)
                        return r;
                r = value_read_at(m, depth + 1, &v);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
        } else {
                v = calloc(1, sizeof(*v));
                if (!v)
                        return -ENOMEM;
                if (contents)
                        r = value_read_container(m, type, contents, depth, v);
                else
                        r = value_read_basic(m, type, v);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(v);
        return 0;
}

int value_read(sd_bus_message *m, Value **ret) {
        return value_read_at(m, 0, ret);
}

int value_read_all(sd_bus_message *m, Value **ret) {
        _cleanup_(value_freep) Value *all = NULL;
        int r;

        all = calloc(1, sizeof(*all));
        if (!all)
                return -ENOMEM;
        all->type = VALUE_LIST;
        for (;;) {
                r = sd_bus_message_at_end(m, true);
                if (r < 0)
                        return r;
                if (r > 0)
                        break;
                r = list_read_item(m, 0, all);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(all);
        return 0;
}

const Value *value_get(const Value *dict, const char *key) {
        if (!dict || dict->type != VALUE_DICT)
                return NULL;
        for (size_t i = 0; i < dict->n_items; i++)
                if (streq(dict->keys[i], key))
                        return dict->items[i];
        return NULL;
}

const char *value_string(const Value *dict, const char *key) {
        const Value *v = value_get(dict, key);

        return v && v->type == VALUE_STRING ? v->string : "";
}

uint64_t value_number(const Value *dict, const char *key) {
        const Value *v = value_get(dict, key);

        if (v && v->type == VALUE_INTEGER)
                return v->integer > 0 ? (uint64_t)v->integer : 0;
        return v && (v->type == VALUE_NUMBER || v->type == VALUE_U64) ? v->number : 0;
}

bool value_bool(const Value *dict, const char *key) {
        const Value *v = value_get(dict, key);

        return v && v->type == VALUE_BOOL && v->boolean;
}

bool value_take_more(Value *list) {
        const Value *last;

        if (list->type != VALUE_LIST || list->n_items == 0)
                return false;
        last = list->items[list->n_items - 1];
        if (last->type != VALUE_DICT || last->n_items != 1 || !value_bool(last, "more"))
                return false;
        value_free(list->items[--list->n_items]);
        return true;
}

bool key_is_cursor(const char *key) {
        return streq(key, "cursor") || streq(key, "next");
}

bool key_is_time(const char *key) {
        static const char *const counts[] = {"cursor", "next", "done", "total", "bytes", "seq",
                "lost", "messages", "control-epoch"};

        for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                if (streq(key, counts[i]))
                        return false;
        return true;
}

bool value_is_empty(const char *key, const Value *v) {
        if (v->type == VALUE_STRING)
                return v->string[0] == '\0';
        if (v->type == VALUE_U64 && key_is_time(key))
                return v->number == 0 || v->number == USEC_INFINITY;
        return false;
}
