/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The control log of a room, and its keys: what they mean is said in rooms/. */

#include "store/room-private.h"
#include "store/seal-private.h"

/* With the row's head: growing would leave copies of keys behind. */
#define KEY_ROW_MAX 64

/* Rows that are nothing but the bytes of somebody. */

static int bytes_put(Store *s, unsigned table, const DbKey *k, Bytes b) {
        int r;

        r = store_check_room(s, STORE_PERCENT_OWN);
        if (r < 0)
                return r;
        row_start(&s->row);
        row_put_bytes(&s->row, b.data, b.size);
        return row_write(db_write(s->db), table, k, &s->row);
}

static int bytes_read(DbValue v, Bytes *ret) {
        RowReader row = row_begin(v);
        int r;

        *ret = row_rest(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int bytes_get(DbTxn *txn, unsigned table, const DbKey *k, Bytes *ret) {
        DbValue v;
        int r;

        r = db_get(txn, table, k, &v);
        return r <= 0 ? r : bytes_read(v, ret);
}

/* Blocks */

int room_block_put(Store *s, uint32_t room, uint64_t epoch, Bytes outer) {
        DbKey k = room_epoch_key(room, epoch);

        return bytes_put(s, TABLE_ROOM_BLOCK, &k, outer);
}

int room_block_get(DbTxn *txn, uint32_t room, uint64_t epoch, Bytes *ret) {
        DbKey k = room_epoch_key(room, epoch);

        return bytes_get(txn, TABLE_ROOM_BLOCK, &k, ret);
}

int room_blocks_remove(Store *s, uint32_t room, uint64_t from_epoch) {
        DbKey prefix = room_key(room), start = room_epoch_key(room, from_epoch);
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(db_write(s->db), TABLE_ROOM_BLOCK, &prefix, &start, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = db_cursor_del(&cursor);
                if (r < 0)
                        break;
        }
        db_cursor_close(&cursor);
        return r;
}

/* Proposals: u64 received, proposal */

static DbKey proposal_key(uint32_t room, const uint8_t hash[static SHA256_SIZE]) {
        DbKey k = room_key(room);

        db_key_bytes(&k, hash, SHA256_SIZE);
        return k;
}

/* The row of the room, with one more proposal or one less. */
static int proposals_changed(
        Store *s, RoomRow *r, const uint8_t hash[static SHA256_SIZE], bool added) {
        if (added)
                room_digest_add(r->proposals_digest, hash);
        else
                room_digest_remove(r->proposals_digest, hash);
        return room_save(s, r);
}

int room_proposal_put(
        Store *s, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes outer, usec_t now) {
        DbKey k = proposal_key(room, hash);
        DbTxn *txn = db_write(s->db);
        RoomRow row;
        DbValue v;
        int r;

        r = room_get(txn, room, &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = db_get(txn, TABLE_ROOM_PROPOSAL, &k, &v);
        if (r == 0)
                r = store_check_room(s, STORE_PERCENT_OWN);
        if (r != 0)
                return r;
        row_start(&s->row);
        row_put_u64(&s->row, now);
        row_put_bytes(&s->row, outer.data, outer.size);
        r = row_write(txn, TABLE_ROOM_PROPOSAL, &k, &s->row);
        return r < 0 ? r : proposals_changed(s, &row, hash, true);
}

static int proposal_read(DbValue k, DbValue v, RoomProposalRow *ret) {
        RowReader row = row_begin(v);
        int r;

        if (k.size != 4 + SHA256_SIZE)
                return db_damaged(v.txn);
        *ret = (RoomProposalRow){.hash = k.data + 4, .received = row_u64(&row)};
        ret->outer = row_rest(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int room_proposal_get(
        DbTxn *txn, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes *ret) {
        DbKey k = proposal_key(room, hash);
        RoomProposalRow row;
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ROOM_PROPOSAL, &k, &v);
        if (r > 0)
                r = proposal_read((DbValue){.data = k.data, .size = k.size}, v, &row);
        if (r > 0)
                *ret = row.outer;
        return r;
}

int room_proposal_remove(Store *s, uint32_t room, const uint8_t hash[static SHA256_SIZE]) {
        uint8_t copy[SHA256_SIZE];
        RoomRow row;
        DbKey k;
        int r;

        memcpy(copy, hash, SHA256_SIZE); /* which may be in the key of the row */
        k = proposal_key(room, copy);
        r = room_get(db_write(s->db), room, &row);
        if (r > 0)
                r = db_del(db_write(s->db), TABLE_ROOM_PROPOSAL, &k);
        if (r <= 0)
                return r;
        r = proposals_changed(s, &row, copy, false);
        return r < 0 ? r : 1;
}

int room_proposal_each(DbTxn *txn, uint32_t room, RoomProposalFn fn, void *userdata) {
        DbKey prefix = room_key(room);
        RoomProposalRow row;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_ROOM_PROPOSAL, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = proposal_read(k, v, &row);
                if (r < 0 || !fn(userdata, txn, &row))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}

static bool count_proposal(void *userdata, DbTxn *txn, const RoomProposalRow *p) {
        size_t *n = userdata;

        ++*n;
        return true;
}

int room_proposal_count(DbTxn *txn, uint32_t room, size_t *ret) {
        *ret = 0;
        return room_proposal_each(txn, room, count_proposal, ret);
}

int room_settled_put(Store *s, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes outer) {
        DbKey k = proposal_key(room, hash);

        return bytes_put(s, TABLE_ROOM_SETTLED, &k, outer);
}

int room_settled_get(
        DbTxn *txn, uint32_t room, const uint8_t hash[static SHA256_SIZE], Bytes *ret) {
        DbKey k = proposal_key(room, hash);

        return bytes_get(txn, TABLE_ROOM_SETTLED, &k, ret);
}

int room_settled_count(DbTxn *txn, uint32_t room, size_t *ret) {
        DbKey prefix = room_key(room);
        DbCursor cursor;
        DbValue k, v;
        int r;

        *ret = 0;
        r = db_cursor_open(txn, TABLE_ROOM_SETTLED, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0)
                ++*ret;
        db_cursor_close(&cursor);
        return r;
}

/* Keys */

int room_key_put(Store *s, uint32_t room, uint64_t epoch, const uint8_t key[static ROOM_KEY_SIZE]) {
        DbKey k = room_epoch_key(room, epoch);
        int r;

        r = store_check_room(s, STORE_PERCENT_OWN);
        if (r < 0)
                return r;
        if (!buffer_reserve(&s->row, KEY_ROW_MAX))
                return -ENOMEM;
        row_start(&s->row);
        row_put_bytes(&s->row, key, ROOM_KEY_SIZE);
        return row_write_secret(s, TABLE_ROOM_KEY, &k);
}

static int key_read(Bytes key, DbValue v, uint8_t ret[static ROOM_KEY_SIZE]) {
        _cleanup_(buffer_wipe) Buffer plain = BUFFER_NULL;
        RowReader row = row_open(v, TABLE_ROOM_KEY, key, &plain);
        int r;

        row_bytes(&row, ret, ROOM_KEY_SIZE);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int room_key_get(DbTxn *txn, uint32_t room, uint64_t epoch, uint8_t ret[static ROOM_KEY_SIZE]) {
        DbKey k = room_epoch_key(room, epoch);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ROOM_KEY, &k, &v);
        return r <= 0 ? r : key_read(key_bytes(&k), v, ret);
}

int room_key_next(DbTxn *txn, uint32_t room, uint64_t after, uint64_t *ret) {
        DbKey prefix = room_key(room), start = room_epoch_key(room, after + 1);
        DbCursor cursor;
        DbValue k, v;
        int r;

        if (after == UINT64_MAX)
                return 0;
        r = db_cursor_open(txn, TABLE_ROOM_KEY, &prefix, &start, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0 && k.size != 12)
                r = db_damaged(txn);
        if (r > 0)
                *ret = db_get_u64(k.data + 4);
        db_cursor_close(&cursor);
        return r;
}

int room_key_last(DbTxn *txn, uint32_t room, uint64_t epoch, uint64_t *ret_epoch,
        uint8_t ret[static ROOM_KEY_SIZE]) {
        DbKey prefix = room_key(room), start = room_epoch_key(room, epoch + 1);
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(
                txn, TABLE_ROOM_KEY, &prefix, epoch < UINT64_MAX ? &start : NULL, true, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0 && k.size != 12)
                r = db_damaged(txn);
        if (r > 0)
                r = key_read((Bytes){.data = k.data, .size = k.size}, v, ret);
        if (r > 0)
                *ret_epoch = db_get_u64(k.data + 4);
        db_cursor_close(&cursor);
        return r;
}
