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
 *
 * Blobs of ACCT are statements as they were signed (wire/account.h).
 *
 * Blobs of ROOM and ROOMNAME are room records as they were signed. OWNED is a count of this node
 * for its limits, and no replica's business: a big-endian u64 that each version has one higher, and
 * for each room its id and when its record ends (u64, µs).
 */

#include "wire/account.h"
#include "wire/room.h"

typedef enum DirectoryKind {
        DIRECTORY_NAME = 'n', /* name -> the record that claims it */
        DIRECTORY_USER = 'u', /* account -> its newest record */
        DIRECTORY_PRESENCE = 'p', /* account -> where it is; soft */
        DIRECTORY_SEEN = 's', /* account -> when it was last online */
        DIRECTORY_MAIL = 'm', /* account -> what waits for it: a set, which nothing joins */
        DIRECTORY_ROOM = 'r', /* room -> its newest record */
        DIRECTORY_ROOMNAME = 'o', /* name -> the record of the room that claims it */
        DIRECTORY_ACCT = 'a', /* account -> how its password restores it */
        DIRECTORY_OWNED = 'w', /* account -> the rooms that it has published here */
        DIRECTORY_GONE = 'g', /* account -> its deletion, while something of it is left here */
} DirectoryKind;

typedef enum MergeResult {
        MERGE_STORED, /* NEW wins and replaces OLD */
        MERGE_SAME, /* nothing to do */
        MERGE_STALE, /* OLD wins */
        MERGE_REMOVED, /* NEW wins, and there is nothing any more */
} MergeResult;

/* OLD may be empty. NOW is realtime. -EBADMSG when NEW is not what it should be; -EUCLEAN when OLD
 * is not, or is somebody else's: NEW belongs under its key. */
typedef int (*MergeFn)(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* First come, first served: a claim holds against other accounts until its record expires. The
 * same account renews it by a newer record; with an older one it still has it (SAME). */
int merge_name(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher record of record_compare(). */
int merge_user(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher statement of account_statement_compare(): one without a password stays until a newer
 * one comes. */
int merge_acct(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* NEW is the statement by which an account is deleted. What OLD was, a record of that account,
 * goes; somebody else's stays (SAME). */
int merge_record_removed(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The same for what is the account's whatever it says. */
int merge_removed(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* NEW stays while the deletion is not over. */
int merge_gone(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* Of ACCT, and changes nothing: NEW, whatever it is, must not be taken (STALE) where OLD says that
 * the account was deleted. Where OLD is damaged nobody is kept away for it. */
int merge_unless_deleted(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The higher (epoch, seq, hash of the presence as it is). */
int merge_presence(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The later one. */
int merge_seen(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* As record_is_ahead(): seq counts in ms there too. */
static inline bool room_record_is_ahead(const RoomRecord *rec, uint64_t realtime) {
        return rec->seq > (realtime + RECORD_AHEAD_MAX) / USEC_PER_MSEC ||
                rec->issued > realtime + RECORD_AHEAD_MAX;
}

/* One that has not expired, then the higher of room_record_compare(): so what is deleted stays so,
 * until that record expires. */
int merge_room(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* First come, first served, as merge_name(): a claim holds against other rooms until its record
 * expires or says that the room is deleted. */
int merge_roomname(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

/* The next version; any other is STALE, and whoever made it begins again. */
int merge_owned(Bytes old, Bytes new, uint64_t now, MergeResult *ret);

#define OWNED_HEAD_SIZE 8
#define OWNED_ENTRY_SIZE (ROOM_ID_SIZE + 8)

void directory_key_name(const char *name, uint8_t ret[static SHA256_SIZE]);
void directory_key_account(DirectoryKind kind, const uint8_t account[static KEY_SIZE],
        uint8_t ret[static SHA256_SIZE]);
void directory_key_room(const uint8_t room[static ROOM_ID_SIZE], uint8_t ret[static SHA256_SIZE]);
void directory_key_roomname(const char *name, uint8_t ret[static SHA256_SIZE]);
