/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What a directory keeps and how two versions of it join. Pure: the result depends on the two
 * blobs and the time alone. All joins but NAME's give the same in either order, so that replicas
 * converge without locks; a name goes to whoever comes first.
 *
 * A key is SHA-256 over the kind's letter and the subject. Blobs of NAME and USER are records as
 * they were signed; PRESENCE is the signed presence; SEEN is a big-endian u64 in µs.
 *
 * Merging orders blobs, it does not verify them: whoever takes a blob in from outside decodes it
 * first, with its signatures, and checks that it belongs under its key.
 */

#include "wire/identity.h"

typedef enum DirectoryKind {
        DIRECTORY_NAME = 'n', /* name -> the record that claims it */
        DIRECTORY_USER = 'u', /* account -> its newest record */
        DIRECTORY_PRESENCE = 'p', /* account -> where it is; soft */
        DIRECTORY_SEEN = 's', /* account -> when it was last online */
        DIRECTORY_MAIL = 'm', /* account -> what waits for it: a set, which nothing joins */
} DirectoryKind;

typedef enum MergeResult {
        MERGE_STORED, /* NEW wins and replaces OLD */
        MERGE_SAME, /* nothing to do */
        MERGE_STALE, /* OLD wins */
} MergeResult;

/* OLD may be empty. NOW is realtime. -EBADMSG when NEW is not what it should be; -EUCLEAN when OLD
 * is not, or is somebody else's: NEW belongs under its key. */
typedef int (*MergeFn)(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* First come, first served: a claim holds against other accounts until its record expires. The
 * same account renews it by a newer record; with an older one it still has it (SAME). */
int merge_name(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher record of record_compare(). */
int merge_user(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher (epoch, seq, hash of the presence as it is). */
int merge_presence(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The later one. */
int merge_seen(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

void directory_key_name(const char *name, uint8_t ret[static SHA256_SIZE]);
void directory_key_account(DirectoryKind kind, const uint8_t account[static KEY_SIZE],
        uint8_t ret[static SHA256_SIZE]);
