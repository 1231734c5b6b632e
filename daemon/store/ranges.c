/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/private.h"

/* In the number of ranges of a row: what has been dropped follows. */
#define HAS_DROPPED 0x8000

/* Index of the first range that ends at or after SEQ. */
static size_t ranges_search(const Ranges *r, uint64_t seq) {
        size_t low = 0, high = r->n;

        while (low < high) {
                size_t mid = (low + high) / 2;

                if (r->range[mid].last < seq)
                        low = mid + 1;
                else
                        high = mid;
        }
        return low;
}

bool ranges_have(const Ranges *r, uint64_t seq) {
        size_t i = ranges_search(r, seq);

        return i < r->n && r->range[i].first <= seq;
}

int ranges_add(Ranges *r, uint64_t first, uint64_t last) {
        size_t i = ranges_search(r, first > 1 ? first - 1 : 1), k = i;

        /* All that touch become one. */
        while (k < r->n && r->range[k].first - 1 <= last) {
                first = MIN(first, r->range[k].first);
                last = MAX(last, r->range[k].last);
                k++;
        }
        if (k == i && r->n == RECEIPT_RANGES_MAX)
                return -ENOBUFS;
        memmove(&r->range[i + 1], &r->range[k], (r->n - k) * sizeof(r->range[0]));
        r->n = r->n - (k - i) + 1;
        r->range[i] = (SeqRange){.first = first, .last = last};
        return 0;
}

SeqRange ranges_push(Ranges *r, uint64_t first, uint64_t last) {
        SeqRange all = {.first = first, .last = last}, oldest;

        if (last <= r->dropped)
                return all;
        if (ranges_add(r, MAX(first, r->dropped + 1), last) >= 0)
                return (SeqRange){};
        oldest = r->range[0];
        if (last < oldest.first) {
                r->dropped = last;
                return all;
        }
        r->dropped = oldest.last;
        r->n--;
        memmove(&r->range[0], &r->range[1], r->n * sizeof(r->range[0]));
        (void)ranges_add(r, first, last);
        return oldest;
}

/* What was dropped by either is older than what is kept. */
bool ranges_unite(Ranges *r, const Ranges *from) {
        Ranges before = *r;

        if (from->n == 0)
                return false;
        if (from->dropped > r->dropped) {
                *r = *from;
                from = &before;
        }
        for (size_t i = 0; i < from->n; i++)
                (void)ranges_push(r, from->range[i].first, from->range[i].last);
        return !ranges_equal(r, &before);
}

int ranges_remove(Ranges *r, uint64_t seq) {
        size_t i = ranges_search(r, seq);
        SeqRange *x = &r->range[i];

        if (i == r->n || x->first > seq)
                return 0;
        if (x->first < seq && seq < x->last) {
                if (r->n == RECEIPT_RANGES_MAX)
                        return -ENOBUFS;
                memmove(x + 1, x, (r->n - i) * sizeof(*x));
                r->n++;
                x[0].last = seq - 1;
                x[1].first = seq + 1;
        } else if (x->first < x->last) {
                x->first += x->first == seq;
                x->last -= x->last == seq;
        } else {
                r->n--;
                memmove(x, x + 1, (r->n - i) * sizeof(*x));
        }
        return 0;
}

void ranges_cut(Ranges *r, uint64_t first) {
        size_t i = ranges_search(r, first);
        uint64_t last = first - 1;

        if (i < r->n && r->range[i].first <= last)
                r->range[i++].last = last;
        r->n = i;
        r->dropped = MIN(r->dropped, last);
        /* Something was dropped only where something is left. */
        if (r->n == 0 && r->dropped > 0) {
                r->range[r->n++] = (SeqRange){.first = r->dropped, .last = r->dropped};
                r->dropped--;
        }
}

bool ranges_equal(const Ranges *a, const Ranges *b) {
        return a->n == b->n && a->dropped == b->dropped &&
                memcmp(a->range, b->range, a->n * sizeof(a->range[0])) == 0;
}

uint64_t ranges_next_missing(const Ranges *r, uint64_t seq) {
        size_t i = ranges_search(r, seq);

        if (i == r->n || r->range[i].first > seq)
                return seq;
        return r->range[i].last == UINT64_MAX ? UINT64_MAX : r->range[i].last + 1;
}

uint64_t ranges_next_held(const Ranges *r, uint64_t seq) {
        size_t i = ranges_search(r, seq);

        return i == r->n ? UINT64_MAX : MAX(r->range[i].first, seq);
}

SeqRange ranges_first_missing(const Ranges *r, SeqRange all, uint64_t max) {
        uint64_t first = ranges_next_missing(r, all.first), last;

        if (first > all.last || first == UINT64_MAX)
                return (SeqRange){};
        last = MIN(all.last, ranges_next_held(r, first) - 1);
        return (SeqRange){.first = first, .last = first + MIN(last - first, max - 1)};
}

uint64_t ranges_gap_before(const Ranges *r, uint64_t seq) {
        size_t i = ranges_search(r, seq);

        if (i < r->n && r->range[i].first < seq)
                return 0;
        return seq - 1 - (i > 0 ? r->range[i - 1].last : r->dropped);
}

void row_put_ranges(Buffer *out, const Ranges *r) {
        row_put_u16(out, (uint16_t)(r->n | (r->dropped > 0 ? HAS_DROPPED : 0)));
        if (r->dropped > 0)
                row_put_u64(out, r->dropped);
        for (size_t i = 0; i < r->n; i++) {
                row_put_u64(out, r->range[i].first);
                row_put_u64(out, r->range[i].last);
        }
}

void row_read_ranges(RowReader *row, Ranges *ret) {
        uint16_t n = row_u16(row);

        ret->n = n & ~HAS_DROPPED;
        ret->dropped = n & HAS_DROPPED ? row_u64(row) : 0;
        if (ret->n > RECEIPT_RANGES_MAX || (ret->n == 0 && n != 0)) {
                row->error = -EUCLEAN;
                ret->n = 0;
        }
        for (size_t i = 0; i < ret->n; i++) {
                SeqRange *x = &ret->range[i];

                x->first = row_u64(row);
                x->last = row_u64(row);
                if (x->first <= ret->dropped || x->first > x->last ||
                        (i > 0 && x->first - 1 <= ret->range[i - 1].last))
                        row->error = row->error < 0 ? row->error : -EUCLEAN;
        }
        if (row->error < 0)
                ret->n = ret->dropped = 0;
}

/* Rows */

int ranges_load(DbTxn *txn, unsigned table, const DbKey *key, Ranges *ret) {
        RowReader row;
        DbValue v;
        int r;

        ret->n = ret->dropped = 0;
        r = db_get(txn, table, key, &v);
        if (r <= 0)
                return r;
        row = row_begin(v);
        row_read_ranges(&row, ret);
        r = row_end(&row);
        return r < 0 ? r : 1;
}

int ranges_save(Store *s, unsigned table, const DbKey *key, const Ranges *ranges) {
        row_start(&s->row);
        row_put_ranges(&s->row, ranges);
        return row_write(db_write(s->db), table, key, &s->row);
}
