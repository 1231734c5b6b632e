/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Dictionaries and lists of them, written straight into the message. */

#include "bus/bus-internal.h"

BusDict bus_dict_open(sd_bus_message *m) {
        return (BusDict){.m = m, .r = sd_bus_message_open_container(m, 'a', "{sv}")};
}

void bus_dict_open_value(BusDict *d, const char *key, const char *type) {
        if (d->r >= 0)
                d->r = sd_bus_message_open_container(d->m, 'e', "sv");
        if (d->r >= 0)
                d->r = sd_bus_message_append_basic(d->m, 's', key);
        if (d->r >= 0)
                d->r = sd_bus_message_open_container(d->m, 'v', type);
}

void bus_dict_close_value(BusDict *d) {
        if (d->r >= 0)
                d->r = sd_bus_message_close_container(d->m);
        if (d->r >= 0)
                d->r = sd_bus_message_close_container(d->m);
}

void bus_dict_strings(BusDict *d, const char *key, const char *const *values) {
        bus_dict_open_value(d, key, "as");
        if (d->r >= 0)
                d->r = sd_bus_message_append_strv(d->m, (char **)values);
        bus_dict_close_value(d);
}

/* Without the variadic calls of sd-bus, which parse the type of each entry over again. */
static void dict_basic(BusDict *d, const char *key, const char *type, const void *value) {
        bus_dict_open_value(d, key, type);
        if (d->r >= 0)
                d->r = sd_bus_message_append_basic(d->m, *type, value);
        bus_dict_close_value(d);
}

void bus_dict_string(BusDict *d, const char *key, const char *value) {
        if (value && *value)
                dict_basic(d, key, "s", value);
}

void bus_dict_time(BusDict *d, const char *key, usec_t value) {
        if (value > 0)
                dict_basic(d, key, "t", &value);
}

void bus_dict_u64(BusDict *d, const char *key, uint64_t value) {
        dict_basic(d, key, "t", &value);
}

void bus_dict_bool(BusDict *d, const char *key, bool value) {
        const int v = value;

        dict_basic(d, key, "b", &v);
}

void bus_dict_flag(BusDict *d, const char *key, bool value) {
        if (value)
                bus_dict_bool(d, key, true);
}

void bus_dict_number(BusDict *d, const char *key, unsigned value) {
        dict_basic(d, key, "u", &value);
}

int bus_dict_close(BusDict *d) {
        if (d->r >= 0)
                d->r = sd_bus_message_close_container(d->m);
        return d->r < 0 ? d->r : 0;
}

size_t bus_string_size(const char *s) {
        return s ? strlen(s) : 0;
}

size_t bus_strings_size(const char *const *values) {
        size_t n = 0;

        for (; values && *values; values++)
                n += strlen(*values) + 8;
        return n;
}

/* The last dictionary, and what is in the message beside the rows. */
#define LIST_RESERVE 512

int bus_limit_check(BusLimit *l, sd_bus_error *error) {
        if (!l->given)
                l->rows = BUS_LIST_MAX;
        if (l->rows == 0 || l->rows > BUS_LIST_MAX)
                return bus_error_set(error, "InvalidArgs",
                        "The option 'limit' must be from 1 to %u, not %u.", BUS_LIST_MAX, l->rows);
        return 0;
}

int bus_list_begin(BusList *l, sd_bus_message *call, const BusLimit *limit) {
        int r;

        *l = (BusList){.limited = limit->given, .size = LIST_RESERVE};
        r = sd_bus_message_new_method_return(call, &l->reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(l->reply, 'a', "a{sv}");
        if (r < 0)
                bus_list_done(l);
        return r < 0 ? r : 0;
}

bool bus_list_takes(BusList *l, size_t size) {
        if (l->full || l->r < 0)
                return false;
        l->full = size > BUS_ANSWER_SIZE_MAX - l->size;
        if (!l->full)
                l->size += size;
        return !l->full;
}

int bus_list_end(BusList *l, bool more) {
        if (l->r >= 0 && (l->full || (more && !l->limited)))
                l->r = sd_bus_message_append(l->reply, "a{sv}", 1, "more", "b", 1);
        if (l->r >= 0)
                l->r = sd_bus_message_close_container(l->reply);
        return l->r < 0 ? l->r : 0;
}

void bus_list_done(BusList *l) {
        l->reply = sd_bus_message_unref(l->reply);
}
