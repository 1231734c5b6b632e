/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What the feeds of a person may hold. Intervals only move up, so that who folds the log block by
 * block and who folds it at once keep the same entries.
 */

#include "rooms/roster-private.h"

static int feed_compare(const Span *s, uint64_t epoch, const uint8_t device[static KEY_SIZE]) {
        if (s->epoch != epoch)
                return s->epoch < epoch ? -1 : 1;
        return memcmp(s->device, device, KEY_SIZE);
}

/* The spans of a feed: [*ret, return value). */
static size_t find_feed(
        const Person *p, uint64_t epoch, const uint8_t device[static KEY_SIZE], size_t *ret_first) {
        size_t i = 0;

        while (i < p->n_spans && feed_compare(&p->spans[i], epoch, device) < 0)
                i++;
        *ret_first = i;
        while (i < p->n_spans && feed_compare(&p->spans[i], epoch, device) == 0)
                i++;
        return i;
}

static void insert_span(State *s, Person *p, size_t at, const Span *new) {
        memmove(p->spans + at + 1, p->spans + at, (p->n_spans - at) * sizeof(*p->spans));
        p->spans[at] = *new;
        p->n_spans++;
        s->spans++;
}

static int reserve_spans(Person *p, size_t more) {
        Span *spans;

        if (more == 0)
                return 0;
        spans = reallocarray(p->spans, p->n_spans + more, sizeof(*spans));
        if (!spans)
                return -ENOMEM;
        p->spans = spans;
        return 0;
}

static Span span_of(const FeedHead *h) {
        Span s = {.epoch = h->epoch};

        memcpy(s.device, h->device, KEY_SIZE);
        return s;
}

static void set_from(Span *s, const FeedHead *h) {
        s->from = s->least = h->seq;
        memcpy(s->hash, h->hash, SHA256_SIZE);
        s->to = SPAN_OPEN;
}

static void reopen(Span *s) {
        s->least = s->to;
        s->to = SPAN_OPEN;
}

static const FeedHead *head_of(const FeedHead *heads, size_t n, const Span *s) {
        for (size_t i = 0; i < n; i++)
                if (feed_compare(s, heads[i].epoch, heads[i].device) == 0)
                        return &heads[i];
        return NULL;
}

static bool is_last_of_feed(const Person *p, size_t i) {
        return i + 1 == p->n_spans ||
                feed_compare(&p->spans[i + 1], p->spans[i].epoch, p->spans[i].device) != 0;
}

/* The feeds that are known go on where they ended; where HEADS has one further, after a hole. */
int spans_open(State *s, Person *p, const FeedHead *heads, size_t n) {
        if (p->n_spans + n > ROSTER_SPANS_MAX || s->spans + n > ROSTER_SPANS_TOTAL_MAX)
                return -E2BIG;
        if (reserve_spans(p, n) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_spans; i++)
                if (is_last_of_feed(p, i) && !head_of(heads, n, &p->spans[i]))
                        reopen(&p->spans[i]);
        for (size_t k = 0; k < n; k++) {
                const FeedHead *h = &heads[k];
                Span new = span_of(h), *last;
                size_t first, end = find_feed(p, h->epoch, h->device, &first);

                set_from(&new, h);
                if (first == end) {
                        insert_span(s, p, end, &new);
                        continue;
                }
                last = &p->spans[end - 1];
                if (h->seq <= last->to)
                        reopen(last);
                else if (last->from == last->to)
                        set_from(last, h);
                else
                        insert_span(s, p, end, &new);
        }
        return 0;
}

int spans_close(State *s, Person *p, const FeedHead *heads, size_t n) {
        if (reserve_spans(p, n) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < p->n_spans; i++) {
                Span *span = &p->spans[i];
                const FeedHead *h = head_of(heads, n, span);

                if (span->to == SPAN_OPEN)
                        span->to = h ? MAX(span->least, h->seq) : span->least;
        }
        for (size_t k = 0; k < n; k++) {
                Span new = span_of(&heads[k]);
                size_t first, end = find_feed(p, heads[k].epoch, heads[k].device, &first);

                new.to = heads[k].seq;
                if (first == end && p->n_spans < ROSTER_SPANS_MAX &&
                        s->spans < ROSTER_SPANS_TOTAL_MAX)
                        insert_span(s, p, end, &new);
        }
        return 0;
}

bool roster_allows(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t seq) {
        return seq > 0 && roster_barred(r, account, epoch, device, seq) != seq;
}

uint64_t roster_barred(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t from) {
        const Person *p = state_find(roster_now(r), account);
        uint64_t seq = MAX(from, (uint64_t)1);
        size_t first, end;

        if (!p)
                return seq;
        end = find_feed(p, epoch, device, &first);
        if (first == end)
                return p->m.member ? UINT64_MAX : seq;
        for (size_t i = first; i < end && seq > p->spans[i].from; i++) {
                if (p->spans[i].to == SPAN_OPEN)
                        return UINT64_MAX;
                seq = MAX(seq, p->spans[i].to + 1);
        }
        return seq;
}

uint64_t roster_allowed(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t from) {
        const Person *p = state_find(roster_now(r), account);
        uint64_t seq = MAX(from, (uint64_t)1);
        size_t first, end;

        if (!p)
                return UINT64_MAX;
        end = find_feed(p, epoch, device, &first);
        if (first == end)
                return p->m.member ? seq : UINT64_MAX;
        for (size_t i = first; i < end; i++) {
                const Span *s = &p->spans[i];

                if (s->to > s->from && seq <= s->to)
                        return MAX(seq, s->from + 1);
        }
        return UINT64_MAX;
}

bool roster_resume(const Roster *r, const uint8_t account[static KEY_SIZE], uint64_t epoch,
        const uint8_t device[static KEY_SIZE], uint64_t seq, FeedHead *ret, uint64_t *ret_end) {
        const Person *p = state_find(roster_now(r), account);
        size_t first, end;

        if (!p || seq < 2)
                return false;
        *ret_end = 0;
        end = find_feed(p, epoch, device, &first);
        for (size_t i = first; i < end; i++) {
                const Span *s = &p->spans[i];

                if (s->from == seq - 1 && s->to > s->from) {
                        *ret = (FeedHead){.epoch = epoch, .seq = s->from};
                        memcpy(ret->device, device, KEY_SIZE);
                        memcpy(ret->hash, s->hash, SHA256_SIZE);
                        return true;
                }
                *ret_end = s->to;
        }
        return false;
}
