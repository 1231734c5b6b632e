/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What goes wrong in a world: disks, paths, people who lie. A machine is calm while nothing does,
 * as far as it is concerned; what happens between calm machines has to happen soon.
 */

#include "world.h"

void machine_set_disk(Machine *m, const Disk *disk);

/* Behind a router that lets nobody in. */
void machine_set_nat(Machine *m, bool nat);

/* From now on the text of each message that it signs is changed after that. */
void machine_set_forging(Machine *m, bool forging);

/* MachineLie; what a tracker does from now on. 0: it is honest. */
void machine_set_lies(Machine *m, unsigned lies);

/* In one direction. */
void world_cut(Machine *from, Machine *to);
void world_heal(Machine *a, Machine *b);
void world_heal_all(World *w);

/* Connections between the two end at once. */
void world_reset(Machine *a, Machine *b);

/* Of all paths, from now on. */
void world_set_path(World *w, const Path *path);

/* Its place stays, and its program hears nothing of it: a switch has been told otherwise, or a
 * cable was pulled elsewhere. */
void machine_switch_to_lan(Machine *m, unsigned lan);

/* Its own cable, which it sees. */
void machine_plug(Machine *m, bool in);

void world_join_lans(World *w, bool joined);
void world_set_router(World *w, bool up);
void world_set_lan_faults(World *w, const LanFaults *faults);

/* Nothing happens to M but what has begun; its disk, its paths and its clock are good. */
void machine_forgive(Machine *m);

/* Something has happened to M. */
void machine_disturbed(Machine *m);

/* Since when nothing has, in the world's time; USEC_INFINITY: something is wrong now. */
usec_t machine_calm_since(const Machine *m);
