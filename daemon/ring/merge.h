/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a directory keeps and how two versions of it join. Pure: the same two blobs give the same
 * result on every node, in either order, so replicas converge without locks.
 *
 * A key is SHA-256 over the kind's letter and the subject. Blobs of NAME and USER are records as
 * they were signed; PRES is the signed presence.
 */

#include "wire/identity.h"

typedef enum DirectoryKind {
        DIRECTORY_NAME = 'n',     /* name -> the record that claims it */
        DIRECTORY_USER = 'u',     /* account -> its newest record */
        DIRECTORY_PRESENCE = 'p', /* account -> where it is; soft */
} DirectoryKind;

typedef enum MergeResult {
        MERGE_STORED, /* NEW wins and replaces OLD */
        MERGE_SAME,   /* nothing to do */
        MERGE_STALE,  /* OLD wins */
} MergeResult;

/* OLD may be empty. `now` is realtime: a name claim that has run out gives way. -EBADMSG when NEW
 * is not what it should be. */
typedef int (*MergeFn)(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* First come, first served: a claim holds against other accounts until it expires; the same
 * account renews it. */
int merge_name(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher record of record_compare(). */
int merge_user(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher (epoch, seq). */
int merge_presence(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

void directory_key_name(const char *name, uint8_t ret[static SHA256_SIZE]);
void directory_key_account(
        DirectoryKind kind, const uint8_t account[static KEY_SIZE], uint8_t ret[static SHA256_SIZE]);
