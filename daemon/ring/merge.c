/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "ring/merge.h"

/* 1 when both are there, 0 when only NEW is. */
static int peek_records(Bytes old, Bytes new, uint64_t now, Record *ret_old, Record *ret_new) {
        if (record_parse(new, ret_new) < 0 || record_is_ahead(ret_new, now))
                return -EBADMSG;
        if (old.size == 0)
                return 0;
        return record_parse(old, ret_old) < 0 ? -EUCLEAN : 1;
}

int merge_name(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        Record a, b;
        int r;

        r = peek_records(old, new, now, &a, &b);
        if (r < 0)
                return r;
        if (r == 0)
                *ret = MERGE_STORED;
        else if (key_equal(a.account, b.account))
                *ret = record_compare(&b, new, &a, old) > 0 ? MERGE_STORED : MERGE_SAME;
        else
                *ret = a.expires <= now ? MERGE_STORED : MERGE_STALE;
        return 0;
}

int merge_user(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        Record a, b;
        int r, c;

        r = peek_records(old, new, now, &a, &b);
        if (r < 0)
                return r;
        if (r == 0) {
                *ret = MERGE_STORED;
                return 0;
        }
        if (!key_equal(a.account, b.account))
                return -EUCLEAN;
        c = record_compare(&b, new, &a, old);
        *ret = c > 0 ? MERGE_STORED : c == 0 ? MERGE_SAME : MERGE_STALE;
        return 0;
}

int merge_acct(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        AccountStatement a, b;
        int c;

        if (account_statement_parse(new, &b) < 0 || account_statement_is_ahead(&b, now))
                return -EBADMSG;
        if (old.size == 0) {
                *ret = MERGE_STORED;
                return 0;
        }
        if (account_statement_parse(old, &a) < 0 || !key_equal(a.account, b.account))
                return -EUCLEAN;
        c = account_statement_compare(&b, new, &a, old);
        *ret = c > 0 ? MERGE_STORED : c == 0 ? MERGE_SAME : MERGE_STALE;
        return 0;
}

int merge_record_removed(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        AccountStatement deletion;
        Record rec;

        if (account_statement_parse(new, &deletion) < 0 || !deletion.deleted)
                return -EBADMSG;
        *ret = MERGE_SAME;
        if (old.size == 0)
                return 0;
        if (record_parse(old, &rec) < 0)
                return -EUCLEAN;
        if (key_equal(rec.account, deletion.account))
                *ret = MERGE_REMOVED;
        return 0;
}

int merge_removed(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        *ret = old.size > 0 ? MERGE_REMOVED : MERGE_SAME;
        return 0;
}

int merge_gone(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        *ret = MERGE_STORED;
        return 0;
}

int merge_unless_deleted(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        AccountStatement s;

        *ret = MERGE_SAME;
        if (old.size > 0 && account_statement_parse(old, &s) >= 0 &&
                account_statement_is_deleted_at(&s, now))
                *ret = MERGE_STALE;
        return 0;
}

static MergeResult higher(uint64_t old, uint64_t new) {
        return new > old ? MERGE_STORED : new == old ? MERGE_SAME : MERGE_STALE;
}

/* As records are, where all that counts is equal. */
static MergeResult higher_hash(Bytes old, Bytes new) {
        uint8_t a[SHA256_SIZE], b[SHA256_SIZE];
        int c;

        sha256(old.data, old.size, a);
        sha256(new.data, new.size, b);
        c = memcmp(b, a, SHA256_SIZE);
        return c > 0 ? MERGE_STORED : c == 0 ? MERGE_SAME : MERGE_STALE;
}

int merge_presence(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        PresenceRecord a, b;

        if (presence_parse(new, &b) < 0)
                return -EBADMSG;
        if (old.size == 0) {
                *ret = MERGE_STORED;
                return 0;
        }
        if (presence_parse(old, &a) < 0)
                return -EUCLEAN;
        if (!key_equal(a.account, b.account))
                return -EUCLEAN;
        *ret = a.epoch != b.epoch ? higher(a.epoch, b.epoch)
                : a.seq != b.seq  ? higher(a.seq, b.seq)
                                  : higher_hash(old, new);
        return 0;
}

static uint64_t get_u64(Bytes b) {
        uint64_t v = 0;

        for (size_t i = 0; i < sizeof(v); i++)
                v = v << 8 | b.data[i];
        return v;
}

int merge_seen(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        if (new.size != sizeof(uint64_t))
                return -EBADMSG;
        if (old.size != 0 && old.size != sizeof(uint64_t))
                return -EUCLEAN;
        *ret = old.size == 0 ? MERGE_STORED : higher(get_u64(old), get_u64(new));
        return 0;
}

/* 1 when both are there, 0 when only NEW is. */
static int peek_rooms(
        Bytes old, Bytes new, uint64_t now, RoomRecord *ret_old, RoomRecord *ret_new) {
        if (room_record_parse(new, ret_new) < 0 || room_record_is_ahead(ret_new, now))
                return -EBADMSG;
        if (old.size == 0)
                return 0;
        return room_record_parse(old, ret_old) < 0 ? -EUCLEAN : 1;
}

int merge_room(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        RoomRecord a, b;
        int r, c;

        r = peek_rooms(old, new, now, &a, &b);
        if (r < 0)
                return r;
        if (r == 0) {
                *ret = MERGE_STORED;
                return 0;
        }
        if (memcmp(a.room, b.room, ROOM_ID_SIZE) != 0)
                return -EUCLEAN;
        c = (b.expires > now) - (a.expires > now);
        if (c == 0)
                c = room_record_compare(&b, new, &a, old);
        *ret = c > 0 ? MERGE_STORED : c == 0 ? MERGE_SAME : MERGE_STALE;
        return 0;
}

int merge_roomname(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        RoomRecord a, b;
        int r;

        r = peek_rooms(old, new, now, &a, &b);
        if (r < 0)
                return r;
        if (r == 0)
                *ret = MERGE_STORED;
        else if (memcmp(a.room, b.room, ROOM_ID_SIZE) == 0)
                *ret = room_record_compare(&b, new, &a, old) > 0 ? MERGE_STORED : MERGE_SAME;
        else
                *ret = a.deleted || a.expires <= now ? MERGE_STORED : MERGE_STALE;
        return 0;
}

int merge_owned(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        if (new.size < OWNED_HEAD_SIZE || (new.size - OWNED_HEAD_SIZE) % OWNED_ENTRY_SIZE != 0)
                return -EBADMSG;
        if (old.size > 0 && old.size < OWNED_HEAD_SIZE)
                return -EUCLEAN;
        *ret = get_u64(new) == (old.size > 0 ? get_u64(old) : 0) + 1 ? MERGE_STORED : MERGE_STALE;
        return 0;
}

static void directory_key(
        DirectoryKind kind, const void *p, size_t n, uint8_t ret[static SHA256_SIZE]) {
        uint8_t letter = (uint8_t)kind;
        struct iovec parts[] = {
                {.iov_base = &letter, .iov_len = 1},
                {.iov_base = (void *)p, .iov_len = n},
        };

        sha256_parts(parts, ELEMENTSOF(parts), ret);
}

void directory_key_name(const char *name, uint8_t ret[static SHA256_SIZE]) {
        directory_key(DIRECTORY_NAME, name, strlen(name), ret);
}

void directory_key_account(DirectoryKind kind, const uint8_t account[static KEY_SIZE],
        uint8_t ret[static SHA256_SIZE]) {
        directory_key(kind, account, KEY_SIZE, ret);
}

void directory_key_room(const uint8_t room[static ROOM_ID_SIZE], uint8_t ret[static SHA256_SIZE]) {
        directory_key(DIRECTORY_ROOM, room, ROOM_ID_SIZE, ret);
}

void directory_key_roomname(const char *name, uint8_t ret[static SHA256_SIZE]) {
        directory_key(DIRECTORY_ROOMNAME, name, strlen(name), ret);
}
