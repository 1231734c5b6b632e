/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "system/bus-name.h"

#include <stdio.h>

#include "util/macro.h"

#define BUS "org.freedesktop.DBus"

int bus_name_watch(sd_bus *bus, const char *name, sd_bus_message_handler_t fn, void *userdata) {
        char rule[256];

        snprintf(rule, sizeof(rule),
                "type='signal',sender='" BUS "',interface='" BUS "',member='NameOwnerChanged',"
                "arg0='%s'",
                name);
        return sd_bus_add_match_async(bus, NULL, rule, fn, NULL, userdata);
}

int bus_name_read(
        sd_bus_message *m, const char **ret_name, const char **ret_before, const char **ret_after) {
        if (!streq(sd_bus_message_get_sender(m) ?: "", BUS))
                return -EPERM;
        return sd_bus_message_read(m, "sss", ret_name, ret_before, ret_after);
}
