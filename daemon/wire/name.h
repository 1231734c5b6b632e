/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Names of people: 1 to 32 of a-z 0-9 . _ -, beginning with a letter or digit. */

#include "util/macro.h"

#define NAME_MAX_LENGTH 32
#define NAME_SIZE (NAME_MAX_LENGTH + 1)

/* Folds to lower case; -EINVAL where it is not a name. */
int name_fold(const char *text, size_t n, char ret[static NAME_SIZE]);

/* Already folded and well-formed, as it must come over the wire. */
bool name_is_canonical(const uint8_t *p, size_t n);
