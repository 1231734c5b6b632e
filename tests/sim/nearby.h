/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Looks every few seconds at who each daemon believes to be on its LAN; see oracle-lan.c. */

#include "truth.h"

int nearby_new(World *w, Nearby **ret);
Nearby *nearby_free(Nearby *n);
