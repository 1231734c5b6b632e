/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * uthash with a hash function that falls through no case unannotated, which clang warns about.
 * Where strangers choose the keys and there is no bound on how many, node/key-hash.h is for it.
 */

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>
