/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What has to happen soon where nothing is in its way: between machines that have been calm for a
 * while a message arrives at once, and a program that has just started is as quick. Delays are what
 * the other oracles, who only look at the end, do not see.
 */

#include "truth.h"

int prompt_new(World *w, Prompt **ret);
Prompt *prompt_free(Prompt *p);

/* L is on its sender's disk now; it is about to be noted that it has arrived; what its sender shows
 * of it has changed, and nothing more need happen. */
void prompt_await(Prompt *p, Letter *l);
void prompt_arrived(Prompt *p, Letter *l);
void prompt_done(Prompt *p, Letter *l);
