/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * Stories at random: people who come for minutes or hours, talk, and go, while their machines,
 * disks, clocks and networks fail around what they say. What fails, and how often, is the seed's
 * choice, so that different seeds try different things.
 */

#include "script.h"

/* The story of SEED: DAYS days, which end quietly. */
int generate(uint64_t seed, unsigned days, Script *ret);

/* Of SEED as well, some hours of a room with twelve members. */
int generate_rooms(uint64_t seed, Script *ret);

/* The same of one with as many MEMBERS as are wanted, from BIG_ROOM_MIN on: a quarter of an hour in
 * which everything happens once. */
#define BIG_ROOM_MIN 20
int generate_big_room(uint64_t seed, unsigned members, Script *ret);

/* An hour or two of three or four people, of whom one or two have several devices. */
int generate_devices(uint64_t seed, Script *ret);
