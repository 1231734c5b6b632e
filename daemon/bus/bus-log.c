/* SPDX-License-Identifier: GPL-3.0-or-later */

/* org.freedesktop.LogControl1(5): `systemctl --user service-log-level p2pchatd debug`. */

#include "bus/bus-internal.h"

#include "util/log.h"

#define LOG_PATH "/org/freedesktop/LogControl1"
#define LOG_INTERFACE "org.freedesktop.LogControl1"

static int property_get_level(sd_bus *bus, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", log_level_name(log_get_level()));
}

static int property_set_level(sd_bus *bus, const char *path, const char *interface,
        const char *property, sd_bus_message *value, void *userdata, sd_bus_error *error) {
        const char *text;
        int r;

        r = sd_bus_message_read(value, "s", &text);
        if (r < 0)
                return r;
        r = log_level_parse(text);
        if (r < 0)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_INVALID_ARGS, "%s is not a log level", text);
        if (r == log_get_level())
                return 0;
        log_set_level(r);
        log_info("The log level is %s now", log_level_name(r));
        return 0;
}

static int property_get_target(sd_bus *bus, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", log_target());
}

static int property_get_identifier(sd_bus *bus, const char *path, const char *interface,
        const char *property, sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", program_invocation_short_name);
}

/* Where the entries go is the business of who starts the service. */
static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", property_get_level, property_set_level, 0,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_PROPERTY("LogTarget", "s", property_get_target, 0, 0),
        SD_BUS_PROPERTY(
                "SyslogIdentifier", "s", property_get_identifier, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_VTABLE_END,
};

int bus_add_log_control(sd_bus *connection, sd_bus_slot **ret) {
        return sd_bus_add_object_vtable(connection, ret, LOG_PATH, LOG_INTERFACE, vtable, NULL);
}
