/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * uthash with a hash function that falls through no case unannotated, which clang warns about.
 * Where strangers choose the keys and there is no bound on how many, node/key-hash.h is for it.
 *
 * Without memory HASH_ADD leaves the table as it was, where uthash by itself would end the program:
 * after it TABLE_HAS() says whether the item is there.
 */

#define HASH_NONFATAL_OOM 1
#define TABLE_HAS(item) ((item)->hh.tbl != NULL)

#define HASH_FUNCTION HASH_FNV
#include <uthash.h>
