/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* One key: from a libconfig setting into its field. */

#include <libconfig.h>

#include "config/schema.h"

#define ITEM_TEXT_SIZE 320

typedef struct ItemError {
        unsigned line;
        char why[ITEM_TEXT_SIZE];
} ItemError;

/* Replaces the field of ITEM in CONFIG. -EINVAL: RET_ERROR says what is wrong with the value and in
 * which line, and the field is as before. -ENOMEM. */
int item_set(const ConfigItem *item, const config_setting_t *setting, void *config,
        ItemError *ret_error);

/* Frees what the field owns and zeroes it. */
void item_clear(const ConfigItem *item, void *config);

/* The field holds the same in A and B. */
bool item_equal(const ConfigItem *item, const void *a, const void *b);

/* What the item takes, in words. */
const char *item_allowed(const ConfigItem *item, char buf[static ITEM_TEXT_SIZE]);
