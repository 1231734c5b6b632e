/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * A disk with errors. The linker puts these in the place of LMDB's functions for programs that are
 * linked with what meson.build calls failing_disk.
 */

#include <lmdb.h>

#include "util/macro.h"

static struct {
        unsigned long calls;
        unsigned long fail_at; /* counted from 1; 0: never */
        bool from_there; /* and all that come after it */
        bool failed;
} disk;

/* From now on the N-th call fails, with ALL those behind it as well. */
static void disk_break(unsigned long n, bool all) {
        disk.calls = 0;
        disk.fail_at = n;
        disk.from_there = all;
        disk.failed = false;
}

/* True where a call has failed. */
static bool disk_heal(void) {
        disk.fail_at = 0;
        return disk.failed;
}

static bool disk_fails(void) {
        disk.calls++;
        if (disk.fail_at == 0 ||
                (disk.calls != disk.fail_at && !(disk.from_there && disk.calls > disk.fail_at)))
                return false;
        disk.failed = true;
        return true;
}

#define DISK_FUNCTION(name, parameters, arguments)                                                 \
        int __real_##name parameters;                                                              \
        int __wrap_##name parameters;                                                              \
        int __wrap_##name parameters {                                                             \
                return disk_fails() ? EIO : __real_##name arguments;                               \
        }

DISK_FUNCTION(
        mdb_txn_begin, (MDB_env * e, MDB_txn *t, unsigned flags, MDB_txn **ret), (e, t, flags, ret))
DISK_FUNCTION(mdb_txn_renew, (MDB_txn * t), (t))
DISK_FUNCTION(mdb_get, (MDB_txn * t, MDB_dbi d, MDB_val *k, MDB_val *v), (t, d, k, v))
DISK_FUNCTION(mdb_put, (MDB_txn * t, MDB_dbi d, MDB_val *k, MDB_val *v, unsigned flags),
        (t, d, k, v, flags))
DISK_FUNCTION(mdb_del, (MDB_txn * t, MDB_dbi d, MDB_val *k, MDB_val *v), (t, d, k, v))
DISK_FUNCTION(mdb_stat, (MDB_txn * t, MDB_dbi d, MDB_stat *ret), (t, d, ret))
DISK_FUNCTION(mdb_cursor_open, (MDB_txn * t, MDB_dbi d, MDB_cursor **ret), (t, d, ret))
DISK_FUNCTION(
        mdb_cursor_get, (MDB_cursor * c, MDB_val *k, MDB_val *v, MDB_cursor_op op), (c, k, v, op))
DISK_FUNCTION(
        mdb_cursor_put, (MDB_cursor * c, MDB_val *k, MDB_val *v, unsigned flags), (c, k, v, flags))
DISK_FUNCTION(mdb_cursor_del, (MDB_cursor * c, unsigned flags), (c, flags))

int __real_mdb_txn_commit(MDB_txn *t);
int __wrap_mdb_txn_commit(MDB_txn *t);

int __wrap_mdb_txn_commit(MDB_txn *t) {
        if (!disk_fails())
                return __real_mdb_txn_commit(t);
        mdb_txn_abort(t);
        return EIO;
}
