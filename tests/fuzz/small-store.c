/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Stores that open quickly, for fuzzers that open many; the linker puts this in the place of what
 * it is named after. A file is not probed in a child process first (daemon/db/probe.c), and the map
 * is small: the address sanitizer marks all of a map when it comes and when it goes.
 */

#include <lmdb.h>

#include "util/macro.h"

#define MAP_SIZE ((size_t)4 << 20)

int __wrap_db_probe(const char *path, const char *const *names);
int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size);
int __real_mdb_env_set_mapsize(MDB_env *env, size_t size);

int __wrap_db_probe(const char *path, const char *const *names) {
        return 0;
}

int __wrap_mdb_env_set_mapsize(MDB_env *env, size_t size) {
        return __real_mdb_env_set_mapsize(env, MIN(size, MAP_SIZE));
}
