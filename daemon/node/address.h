/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The address of a tracker, "host:port#key", as users write it into their configuration. */

#include "config/config.h"

/* Host and port: what `advertise` says, else an address that is listened on, if that is a specific
 * one, else the name of this machine. */
void node_address(const TrackerConfig *config, const uint8_t key[static 32], EndpointKey *ret);
