/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Taking entries out of a feed again: who wrote them was not allowed to, or wrote two histories. */

#include "store/room-private.h"

typedef struct Cut {
        Store *store;
        RoomRow room;
        RoomFeed feed;
        Conversation conversation;
        Ranges read; /* of a foreign feed */
} Cut;

static int cut_begin(Cut *c, uint32_t room, uint32_t feed) {
        DbTxn *txn = db_write(c->store->db);
        int r;

        r = room_get(txn, room, &c->room);
        if (r > 0)
                r = conversation_get(txn, room, &c->conversation);
        if (r > 0)
                r = room_feed_get(txn, room, feed, &c->feed);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        return store_load_read(txn, feed, &c->read);
}

/* An own id that is free again can be sent anew. */
static int cut_own_id(Cut *c, const Inner *m) {
        IdRow id;
        int r;

        if (c->feed.feed.account != SELF_NUMBER)
                return 0;
        r = id_get(db_write(c->store->db), SELF_NUMBER, &m->id, &id);
        if (r <= 0 || id.feed != c->feed.feed.number || id.seq != m->seq)
                return r;
        return id_remove(c->store, SELF_NUMBER, &m->id);
}

/* The user has heard of it: where it comes again, in another place, that is no news. */
static int cut_foreign_id(Cut *c, const Inner *m) {
        IdRow id = {.until = UINT64_MAX};
        int r;

        if (c->feed.feed.account == SELF_NUMBER)
                return 0;
        r = id_get(db_write(c->store->db), c->feed.feed.account, &m->id, &id);
        if (r != 0)
                return MIN(r, 0);
        memcpy(id.content, c->room.id, SHA256_SIZE);
        id.content[0] = ranges_have(&c->read, m->seq);
        return id_write(c->store, c->feed.feed.account, &m->id, &id);
}

static int cut_entry(Cut *c, uint64_t seq) {
        uint32_t feed = c->feed.feed.number;
        Inner m;
        int r;

        r = entry_inner(db_write(c->store->db), feed, seq, &m);
        if (r <= 0)
                return r;
        m.body = m.control_head = m.ext = (Bytes){}; /* in the map, which is written now */
        if (c->feed.feed.account != SELF_NUMBER && !ranges_have(&c->read, seq))
                c->conversation.unread -= c->conversation.unread > 0;
        r = cut_foreign_id(c, &m);
        if (r >= 0)
                r = order_remove(c->store, c->room.number, &m);
        if (r >= 0)
                r = room_id_remove(c->store, c->room.number, &m, feed);
        if (r >= 0)
                r = cut_own_id(c, &m);
        return r < 0 ? r : entry_remove(c->store, feed, seq);
}

/* The head is the last entry that is left before FIRST: it may be that of an earlier span. */
static int cut_finish(Cut *c, uint64_t first) {
        DbTxn *txn = db_write(c->store->db);
        Feed *f = &c->feed.feed;
        uint8_t hash[SHA256_SIZE];
        uint64_t seq = 0;
        Entry e;
        int r;

        r = entry_find_before(txn, f->number, first, &seq);
        if (r > 0)
                r = entry_get(txn, f->number, seq, &e);
        if (r > 0)
                sha256(e.inner.data, e.inner.size, hash);
        if (r < 0)
                return r;
        if (f->account == SELF_NUMBER) {
                r = room_marks_cut(c->store, c->room.number, f->number, seq + 1);
        } else {
                ranges_cut(&f->have, seq + 1);
                copy_bytes(f->have_hash, hash, seq > 0 ? SHA256_SIZE : 0);
                r = read_cut(c->store, f->number, seq + 1);
        }
        if (r >= 0)
                r = conversation_write(c->store, &c->conversation);
        return r < 0 ? r : room_feed_set_head(c->store, &c->room, &c->feed, seq, hash);
}

int store_room_cut(Store *s, uint32_t room, uint32_t feed, uint64_t first) {
        uint64_t seq = UINT64_MAX, lowest = 0;
        DbTxn *txn = db_write(s->db);
        Cut c = {.store = s};
        int r, n = 0;

        if (first == 0)
                return -EINVAL;
        r = cut_begin(&c, room, feed);
        if (r < 0)
                return r;
        while (n < ROOM_CUT_MAX && (r = entry_find_before(txn, feed, seq, &seq)) > 0 &&
                seq >= first) {
                r = cut_entry(&c, seq);
                if (r < 0)
                        break;
                lowest = seq;
                n++;
        }
        if (r < 0 || n == 0)
                return MIN(r, 0);
        r = cut_finish(&c, lowest);
        return r < 0 ? r : n == ROOM_CUT_MAX;
}
