/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Who has a name on the bus. */

#include <systemd/sd-bus.h>

/* FN gets each NameOwnerChanged of NAME, for as long as BUS is there. */
int bus_name_watch(sd_bus *bus, const char *name, sd_bus_message_handler_t fn, void *userdata);

/* The three names in M: 0, or negative for one that the bus itself has not sent. */
int bus_name_read(
        sd_bus_message *m, const char **ret_name, const char **ret_before, const char **ret_after);
