/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "bus/bus-internal.h"

static const char *type_name(char type) {
        switch (type) {
        case 's':
                return "a string (s)";
        case 'b':
                return "a boolean (b)";
        case 't':
                return "a 64-bit number (t)";
        default:
                return "a 32-bit number (u)";
        }
}

static const BusOption *option_find(const BusOption *options, const char *key) {
        for (; options->key; options++)
                if (streq(options->key, key))
                        return options;
        return NULL;
}

static int option_read(sd_bus_message *m, const BusOption *o, sd_bus_error *error) {
        const char type[] = {o->type, '\0'}, *contents;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &contents);
        if (r < 0)
                return r;
        if (!streq(contents, type))
                return bus_error_set(error, "InvalidArgs", "The option '%s' takes %s, not '%s'.",
                        o->key, type_name(o->type), contents);
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r < 0)
                return r;
        r = sd_bus_message_read_basic(m, o->type, o->value);
        if (r < 0)
                return r;
        if (o->given)
                *o->given = true;
        return sd_bus_message_exit_container(m);
}

int bus_options_read(sd_bus_message *m, const BusOption *options, sd_bus_error *error) {
        const BusOption *o;
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                o = option_find(options, key);
                r = o ? option_read(m, o, error) : sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}
