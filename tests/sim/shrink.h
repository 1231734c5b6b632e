/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Cuts a story that fails down to what it takes: first the actions, by delta debugging (Zeller and
 * Hildebrandt, "Simplifying and isolating failure-inducing input", 2002), then the people who do
 * nothing, the numbers, and the times.
 */

#include "script.h"

#define SHRINK_CANDIDATES_MAX 256

/* Which of the stories fails as the first one did: the lowest index, N where none does. -ETIME: it
 * has taken long enough. */
typedef int (*ShrinkTryFn)(void *userdata, const Script *candidates, size_t n);

/* S becomes the shortest one found, at the latest when TRY says -ETIME, which is no error. Up to
 * AT_ONCE candidates are tried together. */
int shrink(Script *s, unsigned at_once, ShrinkTryFn try, void *userdata);
