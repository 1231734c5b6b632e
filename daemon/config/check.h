/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the rows of the tables demand of a string beyond its type. */

#include "util/macro.h"

bool check_ip(const char *value); /* a numeric address without brackets */
bool check_listen(const char *value); /* numeric address and port, brackets around IPv6 */
bool check_interface(const char *value); /* could name a network interface */
bool check_optional_path(const char *value); /* absolute, or empty */
