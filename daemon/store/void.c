/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Entries that will never come, which close the gaps they leave: what this device has given up, and
 * what others say of theirs. A row for each reason of a feed. */

#include "store/private.h"

static DbKey void_key(uint32_t feed, VoidReason reason) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, feed);
        db_key_u8(&k, (uint8_t)reason);
        return k;
}

int void_load(DbTxn *txn, uint32_t feed, VoidReason reason, Ranges *ret) {
        DbKey k = void_key(feed, reason);

        return ranges_load(txn, TABLE_VOID, &k, ret);
}

int void_save(Store *s, uint32_t feed, VoidReason reason, const Ranges *ranges) {
        DbKey k = void_key(feed, reason);

        return ranges_save(s, TABLE_VOID, &k, ranges);
}

int void_add(Store *s, uint32_t feed, uint64_t seq, Code reason) {
        VoidReason why = reason == CODE_CANCELLED ? VOID_CANCELLED
                : reason == CODE_EXPIRED          ? VOID_EXPIRED
                                                  : VOID_REFUSED;
        Ranges ranges;
        int r;

        r = void_load(db_write(s->db), feed, why, &ranges);
        if (r < 0)
                return r;
        if (ranges_have(&ranges, seq))
                return 0;
        /* With too many holes to name them all, the newest are: the reader knows of the others. */
        (void)ranges_push(&ranges, seq, seq);
        return void_save(s, feed, why, &ranges);
}

typedef struct Making {
        const Identity *self;
        const Conversation *conversation;
        VoidFn fn;
        void *userdata;
        Ranges ranges;
        Void statement;
} Making;

static int make_voids(void *userdata, DbTxn *txn, const Feed *f) {
        Making *m = userdata;
        Void *v = &m->statement;

        for (VoidReason why = VOID_CANCELLED; why <= VOID_REFUSED; why++) {
                int r = void_load(txn, f->number, why, &m->ranges);

                if (r < 0)
                        return r;
                if (m->ranges.n == 0)
                        continue;
                *v = (Void){.epoch = f->epoch, .n_ranges = m->ranges.n, .reason = why};
                memcpy(v->conversation, m->conversation->hash, SHA256_SIZE);
                memcpy(v->author, sign_key_public(&m->self->account), KEY_SIZE);
                memcpy(v->device, f->device, KEY_SIZE);
                memcpy(v->ranges, m->ranges.range, m->ranges.n * sizeof(SeqRange));
                m->fn(m->userdata, v);
        }
        return 0;
}

int store_make_voids(DbTxn *txn, const Identity *self,
        const uint8_t conversation[static SHA256_SIZE], VoidFn fn, void *userdata) {
        _cleanup_(freep) Making *m = malloc(sizeof(*m));
        Conversation v;
        int r;

        if (!m)
                return -ENOMEM;
        r = conversation_find(txn, conversation, &v);
        if (r <= 0)
                return r;
        m->self = self;
        m->conversation = &v;
        m->fn = fn;
        m->userdata = userdata;
        return feed_each(txn, v.number, SELF_NUMBER, make_voids, m);
}

/* Below the ranges that are kept, what has no row is missing. */
static int count_missing(DbTxn *txn, const Feed *f, uint64_t seq, uint64_t *ret) {
        uint64_t before = 0;
        int r;

        if (seq > f->have.dropped) {
                *ret = ranges_gap_before(&f->have, seq);
                return 0;
        }
        r = entry_find_before(txn, f->number, seq, &before);
        if (r < 0)
                return r;
        *ret = seq - 1 - before;
        return 0;
}

int store_gap_before(DbTxn *txn, const Feed *f, uint64_t seq, uint64_t *ret) {
        Ranges all = {}, ranges;
        uint64_t n, gap = 0;
        int r;

        r = count_missing(txn, f, seq, &n);
        if (r < 0)
                return r;
        for (VoidReason why = VOID_CANCELLED; n > 0 && why <= VOID_REFUSED; why++) {
                r = void_load(txn, f->number, why, &ranges);
                if (r < 0)
                        return r;
                for (size_t i = 0; i < ranges.n; i++)
                        if (ranges.range[i].last >= seq - n && ranges.range[i].first < seq)
                                (void)ranges_add(&all, ranges.range[i].first, ranges.range[i].last);
        }
        for (uint64_t at = seq - n; at < seq;) {
                uint64_t missing = ranges_next_missing(&all, at), next;

                if (missing >= seq)
                        break;
                next = MIN(ranges_next_held(&all, missing), seq);
                gap += next - missing;
                at = next;
        }
        *ret = gap;
        return 0;
}

/* A closed gap of which nothing is known any more stays closed: the entry after it is marked so. */
static int gap_forget(Store *s, const Feed *f, uint64_t last) {
        DbTxn *txn = db_write(s->db);
        uint64_t seq, gap;
        Entry e;
        int r;

        r = last < f->seq ? entry_find(txn, f->number, last + 1, f->seq, &seq) : 0;
        if (r > 0)
                r = entry_get(txn, f->number, seq, &e);
        if (r <= 0 || !(e.flags & ENTRY_GAP))
                return r;
        r = store_gap_before(txn, f, seq, &gap);
        if (r < 0 || gap > 0)
                return r;
        e.flags &= (uint8_t)~ENTRY_GAP;
        return entry_write(s, &e);
}

int store_take_void(Store *s, const Contact *author, const Void *v) {
        /* Reasons of a newer version close gaps as well. */
        VoidReason why = (VoidReason)MIN(v->reason, (uint64_t)VOID_REFUSED);
        DbTxn *txn = db_write(s->db);
        Ranges ranges, before;
        Conversation c;
        Feed f;
        int r;

        r = conversation_find(txn, v->conversation, &c);
        if (r > 0)
                r = feed_find(txn, c.number, author->number, v->epoch, v->device, &f);
        if (r > 0)
                r = void_load(txn, f.number, why, &before);
        else
                return r; /* nothing of that feed is here: its gaps are not seen yet either */
        if (r < 0)
                return r;
        ranges = before;
        for (size_t i = 0; r >= 0 && i < v->n_ranges; i++) {
                SeqRange dropped = ranges_push(&ranges, v->ranges[i].first, v->ranges[i].last);

                if (dropped.last > before.dropped)
                        r = gap_forget(s, &f, dropped.last);
        }
        if (r < 0)
                return r;
        if (ranges_equal(&ranges, &before))
                return 0;
        return void_save(s, f.number, why, &ranges);
}
