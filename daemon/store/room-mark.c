/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the other members have of the own feeds. Rows: u64 held, u64 read */

#include "store/room-private.h"

static DbKey marks_key(uint32_t room, uint32_t feed) {
        DbKey k = room_key(room);

        db_key_u32(&k, feed);
        return k;
}

static int mark_read(uint32_t feed, DbValue v, RoomMark *ret) {
        RowReader row = row_begin(v);
        int r;

        *ret = (RoomMark){.feed = feed, .held = row_u64(&row), .read = row_u64(&row)};
        r = row_end(&row);
        if (r < 0)
                return r;
        return ret->read > ret->held ? db_damaged(v.txn) : 1;
}

static int mark_write(Store *s, const DbKey *k, const RoomMark *m) {
        row_start(&s->row);
        row_put_u64(&s->row, m->held);
        row_put_u64(&s->row, m->read);
        return row_write(db_write(s->db), TABLE_ROOM_MARK, k, &s->row);
}

int room_mark_get(DbTxn *txn, uint32_t room, uint32_t account, uint32_t feed, RoomMark *ret) {
        DbKey k = marks_key(room, feed);
        DbValue v;
        int r;

        db_key_u32(&k, account);
        r = db_get(txn, TABLE_ROOM_MARK, &k, &v);
        return r <= 0 ? r : mark_read(feed, v, ret);
}

/* Nobody has what was never written, whatever he says. */
int room_mark_set(Store *s, uint32_t room, uint32_t account, const RoomMark *m) {
        RoomMark before = {}, after = *m;
        DbTxn *txn = db_write(s->db);
        RoomFeed f;
        DbKey k;
        int r;

        r = room_feed_get(txn, room, m->feed, &f);
        if (r > 0 && (f.feed.account != SELF_NUMBER || account == SELF_NUMBER))
                return -EINVAL;
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = room_mark_get(txn, room, account, m->feed, &before);
        if (r < 0)
                return r;
        after.held = MIN(m->held, f.feed.seq);
        after.held = MAX(before.held, after.held);
        after.read = MIN(m->read, after.held);
        after.read = MAX(before.read, after.read);
        if (after.held == before.held && after.read == before.read)
                return 0;
        k = marks_key(room, m->feed);
        db_key_u32(&k, account);
        r = mark_write(s, &k, &after);
        return r < 0 ? r : 1;
}

int room_mark_each(DbTxn *txn, uint32_t room, uint32_t feed, RoomMarkFn fn, void *userdata) {
        DbKey prefix = marks_key(room, feed);
        DbCursor cursor;
        DbValue k, v;
        RoomMark m;
        int r;

        r = db_cursor_open(txn, TABLE_ROOM_MARK, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = k.size == 12 ? mark_read(feed, v, &m) : db_damaged(txn);
                if (r < 0 || !fn(userdata, txn, db_get_u32(k.data + 8), &m))
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}

int room_marks_cut(Store *s, uint32_t room, uint32_t feed, uint64_t first) {
        DbKey prefix = marks_key(room, feed), at;
        DbCursor cursor;
        DbValue k, v;
        RoomMark m;
        int r;

        r = db_cursor_open(db_write(s->db), TABLE_ROOM_MARK, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = k.size == 12 ? mark_read(feed, v, &m) : db_damaged(cursor.txn);
                if (r < 0)
                        break;
                if (m.held < first)
                        continue;
                at = DB_KEY_NULL;
                db_key_bytes(&at, k.data, k.size);
                m.held = first - 1;
                m.read = MIN(m.read, m.held);
                r = mark_write(s, &at, &m);
                if (r < 0)
                        break;
        }
        db_cursor_close(&cursor);
        return MIN(r, 0);
}
