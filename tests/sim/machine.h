/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What world.c and the files of machines share. */

#include "world.h"

int machine_new(World *w, MachineKind kind, const char *name, Machine **ret);

/* Its program, whatever it does, with the world. */
void machine_end(Machine *m);
Machine *machine_free(Machine *m);

/* M's user's former device. */
int machine_new_old(Machine *m);

/* After a turn: a program that has died or stopped in it is gone when this returns. */
void machine_settle(Machine *m);

/* Of its address, wherever it is. */
unsigned machine_last_octet(const Machine *m);

/* Where a tracker is. */
void machine_endpoint(const Machine *m, EndpointKey *ret);

/* machine-lan.c: while the user is logged in */
void machine_lan_start(Machine *m);
void machine_lan_stop(Machine *m);

/* Its cable or its address. */
void machine_network_changed(Machine *m);
