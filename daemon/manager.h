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

/* Errors are logged. On success the bus name is taken and READY has been said, or they will be when
 * the key of the store is there, which the loop waits for. */
int manager_new(const ManagerArgs *args, Manager **ret);

/* Negative when the loop has ended because the start failed in it. */
int manager_result(const Manager *m);

/* Everything accepted is on disk when this returns. */
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)
