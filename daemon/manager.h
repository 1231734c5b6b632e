/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The user's daemon put together: makes every part, fills their callbacks, reloads, stops. */

#include "config/config.h"

typedef struct sd_event sd_event;
typedef struct Manager Manager;

typedef struct ManagerArgs {
        sd_event *event;
        const char *config_path; /* NULL: the first that is found, looked for at each reload too */
        const char *state_dir;
} ManagerArgs;

/* Errors are logged. On success the bus name is taken and READY has been said. */
int manager_new(const ManagerArgs *args, Manager **ret);

/* Everything accepted is on disk when this returns. */
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)
