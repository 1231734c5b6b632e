/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the user has read: ranges of each foreign feed, and the count of what is left. The ranges do
 * not tell what is here from what is not: usually it is one, from the first entry to the last that
 * has been read. What comes late into one is taken out of it, as nobody has seen it. What its
 * author may know are ranges of their own: only what was here, and marked while he might know.
 */

#include "store/room-private.h"

/* A place in the order of a conversation. Within a feed it grows with the seq. */
typedef struct Place {
        uint64_t hlc;
        uint8_t account[KEY_SIZE];
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        uint64_t seq;
} Place;

typedef struct Marking {
        Store *store;
        Place upto;
        uint32_t marked_feed; /* with the message at the mark */
        usec_t now;
        bool tell; /* the author may know */
        uint64_t n; /* newly read */
        uint32_t feed; /* where the last of them is */
        uint64_t seq;
} Marking;

int store_load_read(DbTxn *txn, uint32_t feed, Ranges *ret) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        return ranges_load(txn, TABLE_READ, &k, ret);
}

int read_save(Store *s, uint32_t feed, const Ranges *ranges) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        return ranges_save(s, TABLE_READ, &k, ranges);
}

static int place_of(DbTxn *txn, uint32_t feed, uint64_t seq, Place *ret) {
        Inner m;
        int r;

        r = entry_inner(txn, feed, seq, &m);
        if (r <= 0)
                return r;
        *ret = (Place){.hlc = m.hlc, .epoch = m.epoch, .seq = m.seq};
        memcpy(ret->account, m.account, KEY_SIZE);
        memcpy(ret->device, m.device, KEY_SIZE);
        return 1;
}

static int place_compare(const Place *a, const Place *b) {
        int c;

        if (a->hlc != b->hlc)
                return a->hlc < b->hlc ? -1 : 1;
        c = memcmp(a->account, b->account, KEY_SIZE);
        if (c != 0)
                return c;
        if (a->epoch != b->epoch)
                return a->epoch < b->epoch ? -1 : 1;
        c = memcmp(a->device, b->device, KEY_SIZE);
        if (c != 0)
                return c;
        return a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* Whether the entry is shown at or before the mark. */
static int is_before_mark(const Marking *m, uint32_t feed, uint64_t seq) {
        Place p;
        int r;

        r = place_of(db_write(m->store->db), feed, seq, &p);
        return r <= 0 ? r : place_compare(&p, &m->upto) <= 0;
}

/* The last entry of the feed that is before the mark; 0: none is. */
static int find_last_before(const Marking *m, const Feed *f, uint64_t *ret) {
        uint64_t low = 1, high = f->seq, last = 0, mid, seq;
        int r = 0;

        if (f->number == m->marked_feed) {
                *ret = m->upto.seq;
                return 0;
        }
        /* What is here before `low` is before the mark, and from `high` on nothing is. */
        while (low <= high && last < high) {
                mid = low + (high - low) / 2;
                r = entry_find(db_write(m->store->db), f->number, mid, high, &seq);
                if (r > 0)
                        r = is_before_mark(m, f->number, seq);
                if (r < 0)
                        return r;
                if (r > 0) {
                        last = seq;
                        low = seq + 1;
                } else
                        high = mid - 1;
        }
        *ret = last;
        return 0;
}

/* How many of FIRST to LAST are here, of which those with ranges are added to TOLD. Where the feed
 * keeps no ranges any more it is the rows that are counted, each once in its life. */
static int count_held(
        DbTxn *txn, const Feed *f, uint64_t first, uint64_t last, Ranges *told, uint64_t *ret) {
        uint64_t n = 0;
        int r;

        if (first <= f->have.dropped) {
                r = entry_count(txn, f->number, first, MIN(last, f->have.dropped), &n);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < f->have.n; i++) {
                uint64_t from = MAX(first, f->have.range[i].first),
                         to = MIN(last, f->have.range[i].last);

                if (from > to)
                        continue;
                n += to - from + 1;
                (void)ranges_push(told, from, to);
        }
        *ret = n;
        return 0;
}

/* How many of the entries up to LAST are here and not in READ. */
static int count_unread(
        DbTxn *txn, const Feed *f, const Ranges *read, uint64_t last, Ranges *told, uint64_t *ret) {
        SeqRange all = {.first = 1, .last = last}, part;
        uint64_t n = 0, k;
        int r;

        while ((part = ranges_first_missing(read, all, UINT64_MAX)).first > 0) {
                r = count_held(txn, f, part.first, part.last, told, &k);
                if (r < 0)
                        return r;
                n += k;
                all.first = part.last + 1;
        }
        *ret = n;
        return 0;
}

static int mark_feed(void *userdata, DbTxn *txn, const Feed *f) {
        Marking *m = userdata;
        uint64_t last, n = 0;
        Ranges read, told;
        int r;

        r = find_last_before(m, f, &last);
        if (r >= 0)
                r = store_load_read(txn, f->number, &read);
        if (r >= 0)
                r = store_load_read_receipt(txn, f->number, &told);
        if (r >= 0)
                r = count_unread(txn, f, &read, last, &told, &n);
        /* Only what comes late can use up the ranges. Without one this waits for a later mark. */
        if (r < 0 || n == 0 || ranges_add(&read, 1, last) < 0)
                return r;
        m->n += n;
        if (m->feed != m->marked_feed) {
                m->feed = f->number;
                m->seq = last;
        }
        r = read_save(m->store, f->number, &read);
        return r < 0 || !m->tell ? r : read_receipt_save(m->store, f->number, &told);
}

/* In a room most feeds have nothing that is unread. What their authors may know is told as a
 * change. */
static int mark_room_feed(void *userdata, DbTxn *txn, const Feed *f) {
        Marking *m = userdata;
        uint64_t n = m->n;
        RoomFeed feed;
        RoomRow room;
        Ranges read;
        int r;

        if (f->account == SELF_NUMBER || f->seq == 0)
                return 0;
        r = store_load_read(txn, f->number, &read);
        if (r < 0 || ranges_have(&read, f->seq))
                return r;
        r = mark_feed(m, txn, f);
        if (r < 0 || m->n == n || !m->tell)
                return r;
        r = room_get(txn, f->conversation, &room);
        if (r > 0)
                r = room_feed_get(txn, f->conversation, f->number, &feed);
        return r <= 0 ? r : room_feed_touch(m->store, &room, &feed);
}

int read_unite(Store *s, const Feed *f, const Ranges *read, uint64_t *ret_n) {
        DbTxn *txn = db_write(s->db);
        Ranges before, now, told = {};
        uint64_t k;
        int r;

        *ret_n = 0;
        r = store_load_read(txn, f->number, &before);
        now = before;
        for (size_t i = 0; r >= 0 && i < read->n; i++) {
                SeqRange all = read->range[i], part;

                if (ranges_add(&now, all.first, all.last) < 0)
                        continue; /* too many holes: what is in this one stays unread */
                while (r >= 0 &&
                        (part = ranges_first_missing(&before, all, UINT64_MAX)).first > 0) {
                        r = count_held(txn, f, part.first, part.last, &told, &k);
                        *ret_n += r >= 0 ? k : 0;
                        all.first = part.last + 1;
                }
        }
        if (r < 0 || ranges_equal(&now, &before))
                return r < 0 ? r : 0;
        return read_save(s, f->number, &now);
}

int read_add(Store *s, uint32_t feed, uint64_t seq) {
        Ranges read;
        int r;

        r = store_load_read(db_write(s->db), feed, &read);
        if (r < 0 || ranges_have(&read, seq) || ranges_add(&read, seq, seq) < 0)
                return MIN(r, 0);
        return read_save(s, feed, &read);
}

int read_take_late(Store *s, uint32_t feed, uint64_t seq) {
        Ranges read;
        int r;

        r = store_load_read(db_write(s->db), feed, &read);
        if (r < 0)
                return r;
        if (!ranges_have(&read, seq))
                return 1;
        if (ranges_remove(&read, seq) < 0)
                return 0;
        r = read_save(s, feed, &read);
        return r < 0 ? r : 1;
}

static int ranges_save_cut(Store *s, unsigned table, uint32_t feed, uint64_t first) {
        DbKey k = DB_KEY_NULL;
        Ranges before, after;
        int r;

        db_key_u32(&k, feed);
        r = ranges_load(db_write(s->db), table, &k, &before);
        if (r <= 0)
                return r;
        after = before;
        ranges_cut(&after, first);
        if (ranges_equal(&after, &before))
                return 0;
        return ranges_save(s, table, &k, &after);
}

int read_cut(Store *s, uint32_t feed, uint64_t first) {
        int r;

        r = ranges_save_cut(s, TABLE_READ, feed, first);
        return r < 0 ? r : ranges_save_cut(s, TABLE_READ_RECEIPT, feed, first);
}

/* The event names the message up to which was read where that is one of the other's, else the last
 * one before it. */
static int marking_finish(Marking *m, Conversation *v) {
        EventRow e = {.kind = EVENT_STATE,
                .time = m->now,
                .feed = m->feed,
                .seq = m->seq,
                .state = MESSAGE_READ};
        Inner last;
        int r;

        r = entry_inner(db_write(m->store->db), m->feed, m->seq, &last);
        if (r < 0)
                return r;
        if (r > 0)
                e.id = last.id;
        v->unread -= (uint32_t)MIN(m->n, (uint64_t)v->unread);
        r = conversation_write(m->store, v);
        if (r >= 0)
                r = event_add(m->store, &e);
        return r < 0 ? r : 1;
}

/* Up to the message at SEQ of FEED. */
static int mark_up_to(Marking *m, uint32_t feed, uint64_t seq, uint32_t *ret_peer) {
        DbTxn *txn = db_write(m->store->db);
        Conversation v;
        Feed f;
        int r;

        r = place_of(txn, feed, seq, &m->upto);
        if (r > 0)
                r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &v);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        m->marked_feed = feed;
        if (ret_peer)
                *ret_peer = v.peer;
        r = v.peer == 0 ? feed_each_in(txn, v.number, mark_room_feed, m)
                        : feed_each(txn, v.number, v.peer, mark_feed, m);
        if (r < 0 || m->n == 0)
                return r;
        return marking_finish(m, &v);
}

int store_mark_read(
        Store *s, uint32_t account, const Uuid *id, usec_t now, bool tell, uint32_t *ret_peer) {
        Marking m = {.store = s, .now = now, .tell = tell};
        uint64_t seq;
        uint32_t feed;
        int r;

        r = store_find_id(db_write(s->db), account, id, &feed, &seq);
        return r <= 0 ? (r < 0 ? r : -ENOENT) : mark_up_to(&m, feed, seq, ret_peer);
}

int store_room_mark_read(Store *s, uint32_t room, const Uuid *id, usec_t now, bool tell) {
        Marking m = {.store = s, .now = now, .tell = tell};
        uint64_t seq;
        uint32_t feed;
        int r;

        r = store_room_find_id(db_write(s->db), room, id, &feed, &seq);
        return r <= 0 ? (r < 0 ? r : -ENOENT) : mark_up_to(&m, feed, seq, NULL);
}
