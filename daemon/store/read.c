/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the user has read: ranges of each foreign feed, and the count of what is left. */

#include "store/private.h"

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
        usec_t now;
        uint64_t n; /* newly read */
        uint32_t feed; /* where the last of them is */
        uint64_t seq;
} Marking;

int store_load_read(DbTxn *txn, uint32_t feed, Ranges *ret) {
        DbKey k = DB_KEY_NULL;
        RowReader row;
        DbValue v;
        int r;

        ret->n = 0;
        db_key_u32(&k, feed);
        r = db_get(txn, TABLE_READ, &k, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_read_ranges(&row, ret);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

static int read_save(Store *s, uint32_t feed, const Ranges *ranges) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        row_start(&s->row);
        row_put_ranges(&s->row, ranges);
        return row_write(db_write(s->db), TABLE_READ, &k, &s->row);
}

static int place_of(DbTxn *txn, uint32_t feed, uint64_t seq, Place *ret) {
        Inner m;
        Entry e;
        int r;

        r = entry_get(txn, feed, seq, &e);
        if (r <= 0)
                return r;
        if (inner_decode(e.inner, &m) < 0)
                return -EUCLEAN;
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

/* Whether the entry is shown at or before the mark. One that has no row any more, or never had
 * one because its message came under another seq, is shown nowhere and counts as before. */
static int is_before_mark(const Marking *m, uint32_t feed, uint64_t seq) {
        Place p;
        int r;

        r = place_of(db_write(m->store->db), feed, seq, &p);
        return r <= 0 ? (r < 0 ? r : 1) : place_compare(&p, &m->upto) <= 0;
}

/* The last of FIRST to LAST, all held and unread, that is before the mark; 0: none is. */
static int find_last_before(
        const Marking *m, uint32_t feed, uint64_t first, uint64_t last, uint64_t *ret) {
        uint64_t low = first, high = last; /* what is below `low` is before the mark */
        int r;

        r = is_before_mark(m, feed, last);
        if (r > 0)
                low = last + 1;
        while (r >= 0 && low < high) {
                uint64_t mid = low + (high - low) / 2;

                r = is_before_mark(m, feed, mid);
                if (r > 0)
                        low = mid + 1;
                else
                        high = mid;
        }
        if (r < 0)
                return r;
        *ret = low > first ? low - 1 : 0;
        return 0;
}

static int mark_range(Marking *m, const Feed *f, SeqRange range, Ranges *read) {
        uint64_t seq = range.first, last;
        int r;

        while ((seq = ranges_next_missing(read, seq)) <= range.last) {
                uint64_t end = MIN(range.last, ranges_next_held(read, seq) - 1);

                r = find_last_before(m, f->number, seq, end, &last);
                if (r < 0 || last == 0)
                        return r;
                r = ranges_add(read, seq, last);
                if (r < 0)
                        return r;
                m->n += last - seq + 1;
                m->feed = f->number;
                m->seq = last;
                if (last < end)
                        return 0;
                seq = end + 1;
        }
        return 0;
}

static int mark_feed(void *userdata, DbTxn *txn, const Feed *f) {
        Marking *m = userdata;
        Ranges read, before;
        int r;

        r = store_load_read(txn, f->number, &before);
        if (r < 0)
                return r;
        read = before;
        for (size_t i = 0; r >= 0 && i < f->have.n; i++)
                r = mark_range(m, f, f->have.range[i], &read);
        if (r < 0 || ranges_equal(&read, &before))
                return r;
        return read_save(m->store, f->number, &read);
}

/* The event names the message up to which was read where that is one of the other's, else the last
 * one before it. */
static int marking_finish(Marking *m, Conversation *v) {
        EventRow e = {.kind = EVENT_STATE,
                .time = m->now,
                .feed = m->feed,
                .seq = m->seq,
                .state = MESSAGE_READ};
        int r;

        r = entry_id(db_write(m->store->db), m->feed, m->seq, &e.id);
        if (r < 0)
                return r;
        v->unread -= (uint32_t)MIN(m->n, (uint64_t)v->unread);
        r = conversation_write(m->store, v);
        if (r >= 0)
                r = event_add(m->store, &e);
        return r < 0 ? r : 1;
}

int store_mark_read(Store *s, uint32_t account, const Uuid *id, usec_t now) {
        Marking m = {.store = s, .now = now};
        DbTxn *txn = db_write(s->db);
        Conversation v;
        uint64_t seq;
        uint32_t feed;
        Feed f;
        int r;

        r = store_find_id(txn, account, id, &feed, &seq);
        if (r > 0)
                r = place_of(txn, feed, seq, &m.upto);
        if (r > 0)
                r = feed_get(txn, feed, &f);
        if (r > 0)
                r = conversation_get(txn, f.conversation, &v);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        r = feed_each(txn, v.number, v.peer, mark_feed, &m);
        if (r < 0 || m.n == 0)
                return r;
        return marking_finish(&m, &v);
}
