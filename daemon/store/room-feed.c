/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The feeds of a room: what is told of them, where they end, and who has what of the own ones. */

#include "store/room-private.h"

static DbKey feed_row_key(uint32_t feed) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        return k;
}

/* Rows: u32 room, tag, u64 change, u64 limit, u64 forked, where it is not 0: u64 known */

static uint64_t lower(uint64_t a, uint64_t b) {
        return a == 0 || b == 0 ? MAX(a, b) : MIN(a, b);
}

/* 1, or 0 where the feed is none of this room. F has its `feed`. */
static int room_feed_load(DbTxn *txn, uint32_t room, RoomFeed *f) {
        DbKey k = feed_row_key(f->feed.number);
        uint32_t of;
        RowReader row;
        DbValue v;
        int r;

        if (f->feed.conversation != room)
                return 0;
        r = db_get(txn, TABLE_ROOM_FEED, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        of = row_u32(&row);
        row_bytes(&row, f->tag, ROOM_TAG_SIZE);
        f->change = row_u64(&row);
        f->limit = row_u64(&row);
        f->forked = row_u64(&row);
        f->known = row_has_more(&row) ? row_u64(&row) : 0;
        r = row_end(&row);
        if (r < 0)
                return r;
        if (of != room)
                return db_damaged(txn);
        f->frozen = lower(f->limit, f->forked);
        return 1;
}

static int room_feed_save(Store *s, const RoomFeed *f) {
        DbKey k = feed_row_key(f->feed.number);

        row_start(&s->row);
        row_put_u32(&s->row, f->feed.conversation);
        row_put_bytes(&s->row, f->tag, ROOM_TAG_SIZE);
        row_put_u64(&s->row, f->change);
        row_put_u64(&s->row, f->limit);
        row_put_u64(&s->row, f->forked);
        if (f->known > 0)
                row_put_u64(&s->row, f->known);
        return row_write(db_write(s->db), TABLE_ROOM_FEED, &k, &s->row);
}

int room_feed_get(DbTxn *txn, uint32_t room, uint32_t feed, RoomFeed *ret) {
        int r;

        r = feed_get(txn, feed, &ret->feed);
        return r <= 0 ? r : room_feed_load(txn, room, ret);
}

int room_feed_find(DbTxn *txn, uint32_t room, const RoomFeedKey *key, RoomFeed *ret) {
        int r;

        r = feed_find(txn, room, key->number, key->epoch, key->device, &ret->feed);
        return r <= 0 ? r : room_feed_load(txn, room, ret);
}

static DbKey tag_key(uint32_t room, const uint8_t tag[static ROOM_TAG_SIZE]) {
        DbKey k = room_key(room);

        db_key_bytes(&k, tag, ROOM_TAG_SIZE);
        return k;
}

int room_feed_open(Store *s, uint32_t room, const RoomFeedKey *key, RoomFeed *ret) {
        RoomRow row;
        DbKey k;
        int r;

        r = room_get(db_write(s->db), room, &row);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = feed_open(s, room, key->number, key->epoch, key->device, &ret->feed);
        if (r >= 0)
                r = room_feed_load(db_write(s->db), room, ret);
        if (r != 0)
                return MIN(r, 0);
        ret->change = ret->limit = ret->forked = ret->frozen = ret->known = 0;
        room_feed_tag(key->account, key->epoch, key->device, ret->tag);
        k = tag_key(room, ret->tag);
        db_key_u32(&k, ret->feed.number);
        row_start(&s->row);
        r = row_write(db_write(s->db), TABLE_ROOM_TAG, &k, &s->row);
        return r < 0 ? r : room_feed_save(s, ret);
}

/* Two devices of one account can be made to have the same tag, with much work. The first is meant
 * then, and the other is heard of no more: that is his own affair. */
int room_feed_find_tag(
        DbTxn *txn, uint32_t room, const uint8_t tag[static ROOM_TAG_SIZE], RoomFeed *ret) {
        DbKey prefix = tag_key(room, tag);
        uint32_t feed = 0;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_ROOM_TAG, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0 && k.size != prefix.size + 4)
                r = db_damaged(txn);
        if (r > 0)
                feed = db_get_u32(k.data + prefix.size);
        db_cursor_close(&cursor);
        if (r <= 0)
                return r;
        r = room_feed_get(txn, room, feed, ret);
        return r == 0 ? db_damaged(txn) : r;
}

/* Changes */

static DbKey change_key(uint32_t room, uint64_t change) {
        DbKey k = room_key(room);

        db_key_u64(&k, change);
        return k;
}

int room_feed_touch(Store *s, RoomRow *r, RoomFeed *f) {
        DbKey before = change_key(r->number, f->change), after = change_key(r->number, ++r->change);
        int e = 0;

        if (f->change > 0)
                e = db_del(db_write(s->db), TABLE_ROOM_CHANGE, &before);
        if (e < 0)
                return e;
        f->change = r->change;
        row_start(&s->row);
        row_put_u32(&s->row, f->feed.number);
        e = row_write(db_write(s->db), TABLE_ROOM_CHANGE, &after, &s->row);
        if (e >= 0)
                e = room_feed_save(s, f);
        return e < 0 ? e : room_save(s, r);
}

/* What the feed adds to the digest of the room. */
static void feed_digest(const RoomFeed *f, uint8_t ret[static SHA256_SIZE]) {
        if (f->feed.seq > 0)
                room_feed_hash(f->tag, f->feed.seq, f->feed.hash, ret);
        else
                memset(ret, 0, SHA256_SIZE);
}

int room_feed_set_head(Store *s, RoomRow *r, RoomFeed *f, uint64_t seq, const uint8_t *hash) {
        uint8_t digest[SHA256_SIZE];
        int e;

        feed_digest(f, digest);
        room_digest_remove(r->feeds_digest, digest);
        f->feed.seq = seq;
        if (seq > 0)
                memcpy(f->feed.hash, hash, SHA256_SIZE);
        else
                memset(f->feed.hash, 0, SHA256_SIZE);
        feed_digest(f, digest);
        room_digest_add(r->feeds_digest, digest);
        e = feed_write(s, &f->feed);
        return e < 0 ? e : room_feed_touch(s, r, f);
}

int room_feed_each(DbTxn *txn, uint32_t room, uint64_t after, RoomFeedFn fn, void *userdata) {
        DbKey prefix = room_key(room), start = change_key(room, after + 1);
        DbCursor cursor;
        DbValue k, v;
        RoomFeed f;
        int r;

        if (after == UINT64_MAX)
                return 0;
        r = db_cursor_open(txn, TABLE_ROOM_CHANGE, &prefix, &start, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                RowReader row = row_begin(v);
                uint32_t feed = row_u32(&row);

                r = row_end(&row);
                if (r >= 0)
                        r = room_feed_get(txn, room, feed, &f);
                if (r == 0)
                        r = db_damaged(txn);
                if (r < 0 || !fn(userdata, txn, &f))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}

typedef struct EachOf {
        uint32_t room;
        RoomFeedFn fn;
        void *userdata;
        bool stopped;
} EachOf;

static int on_feed(void *userdata, DbTxn *txn, const Feed *feed) {
        EachOf *e = userdata;
        RoomFeed f;
        int r;

        if (e->stopped)
                return 0;
        f.feed = *feed;
        r = room_feed_load(txn, e->room, &f);
        if (r > 0)
                e->stopped = !e->fn(e->userdata, txn, &f);
        return MIN(r, 0);
}

int room_feed_each_of(DbTxn *txn, uint32_t room, uint32_t account, RoomFeedFn fn, void *userdata) {
        EachOf e = {.room = room, .fn = fn, .userdata = userdata};

        return feed_each(txn, room, account, on_feed, &e);
}

/* Where a feed ends */

static int find_both(Store *s, uint32_t room, uint32_t feed, RoomRow *ret, RoomFeed *ret_feed) {
        int r;

        r = room_get(db_write(s->db), room, ret);
        if (r > 0)
                r = room_feed_get(db_write(s->db), room, feed, ret_feed);
        return r == 0 ? -ENOENT : MIN(r, 0);
}

int room_feed_freeze(Store *s, uint32_t room, uint32_t feed, uint64_t first) {
        RoomRow row;
        RoomFeed f;
        int r;

        r = find_both(s, room, feed, &row, &f);
        if (r < 0 || f.limit == first)
                return r;
        f.limit = first;
        return room_feed_touch(s, &row, &f);
}

int room_feed_read(DbTxn *txn, uint32_t feed, uint64_t *ret) {
        Ranges read;
        int r;

        r = store_load_read(txn, feed, &read);
        if (r < 0)
                return r;
        *ret = read.n > 0 ? read.range[read.n - 1].last : 0;
        return 0;
}

/* 1: the author may know of more than before. */
static int told_unite(Store *s, uint32_t feed, const Ranges *told) {
        Ranges before, now;
        int r;

        r = store_load_read_receipt(db_write(s->db), feed, &before);
        if (r < 0)
                return r;
        now = before;
        for (size_t i = 0; i < told->n; i++)
                (void)ranges_push(&now, told->range[i].first, told->range[i].last);
        if (ranges_equal(&before, &now))
                return 0;
        r = read_receipt_save(s, feed, &now);
        return r < 0 ? r : 1;
}

int room_feed_take_read(Store *s, uint32_t room, uint32_t feed, const Ranges *read,
        const Ranges *told, uint64_t known) {
        uint64_t n = 0;
        Conversation v;
        RoomRow row;
        RoomFeed f;
        int r;

        r = find_both(s, room, feed, &row, &f);
        if (r < 0 || f.feed.account == SELF_NUMBER)
                return r < 0 ? r : -EINVAL;
        r = read_unite(s, &f.feed, read, &n);
        if (r >= 0)
                r = told_unite(s, feed, told);
        if (r < 0)
                return r;
        if (known > f.known || r > 0) {
                f.known = MAX(f.known, known);
                r = room_feed_touch(s, &row, &f);
        }
        if (r >= 0)
                r = conversation_get(db_write(s->db), room, &v);
        if (r <= 0 || n == 0)
                return MIN(r, 0);
        v.unread -= (uint32_t)MIN(n, (uint64_t)v.unread);
        return conversation_write(s, &v);
}

/* Forks: u64 seq, proof */

static DbKey fork_key(uint32_t room, uint32_t feed) {
        DbKey k = room_key(room);

        db_key_u32(&k, feed);
        return k;
}

/* Of the place alone, so that it does not matter who has which proof. */
static void fork_digest(const RoomFeed *f, uint8_t ret[static SHA256_SIZE]) {
        uint8_t seq[8];
        const struct iovec parts[] = {
                {.iov_base = (void *)f->tag, .iov_len = ROOM_TAG_SIZE},
                {.iov_base = seq, .iov_len = sizeof(seq)},
        };

        db_set_u64(seq, f->forked);
        sha256_parts(parts, ELEMENTSOF(parts), ret);
}

int room_fork_put(Store *s, uint32_t room, uint32_t feed, uint64_t seq, Bytes proof) {
        DbKey k = fork_key(room, feed);
        uint8_t digest[SHA256_SIZE];
        RoomRow row;
        RoomFeed f;
        int r;

        if (seq == 0)
                return -EINVAL;
        r = find_both(s, room, feed, &row, &f);
        if (r < 0)
                return r;
        if (f.forked > 0 && f.forked <= seq)
                return 0;
        if (f.forked > 0) {
                fork_digest(&f, digest);
                room_digest_remove(row.forks_digest, digest);
        }
        f.forked = seq;
        f.frozen = lower(f.limit, f.forked);
        fork_digest(&f, digest);
        room_digest_add(row.forks_digest, digest);
        row_start(&s->row);
        row_put_u64(&s->row, seq);
        row_put_bytes(&s->row, proof.data, proof.size);
        r = row_write(db_write(s->db), TABLE_ROOM_FORK, &k, &s->row);
        if (r >= 0)
                r = room_feed_touch(s, &row, &f);
        return r < 0 ? r : 1;
}

static int fork_read(DbValue v, uint64_t *ret_seq, Bytes *ret) {
        RowReader row = row_begin(v);
        int r;

        *ret_seq = row_u64(&row);
        *ret = row_rest(&row);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int room_fork_get(DbTxn *txn, uint32_t room, uint32_t feed, uint64_t *ret_seq, Bytes *ret) {
        DbKey k = fork_key(room, feed);
        DbValue v;
        int r;

        r = db_get(txn, TABLE_ROOM_FORK, &k, &v);
        return r <= 0 ? r : fork_read(v, ret_seq, ret);
}

int room_fork_each(DbTxn *txn, uint32_t room, RoomForkFn fn, void *userdata) {
        DbKey prefix = room_key(room);
        DbCursor cursor;
        uint64_t seq;
        DbValue k, v;
        Bytes proof;
        int r;

        r = db_cursor_open(txn, TABLE_ROOM_FORK, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = k.size == 8 ? fork_read(v, &seq, &proof) : db_damaged(txn);
                if (r < 0 || !fn(userdata, txn, db_get_u32(k.data + 4), seq, proof))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}
