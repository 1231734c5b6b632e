/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Conversations page by page, against a list of what was written. */

#include "store-lab.h"

#define MESSAGES 240

/* A message, by what decides its place. */
typedef struct Line {
        uint64_t hlc;
        uint8_t account[KEY_SIZE];
        uint64_t seq;
        uint32_t id;
        bool at[2]; /* who has it: alice, bob */
} Line;

typedef struct Talk {
        Lab lab;
        Line lines[MESSAGES];
        size_t n;
} Talk;

static int line_compare(const void *a, const void *b) {
        const Line *x = a, *y = b;
        int r;

        if (x->hlc != y->hlc)
                return x->hlc < y->hlc ? -1 : 1;
        r = memcmp(x->account, y->account, KEY_SIZE);
        return r != 0 ? r : x->seq < y->seq ? -1 : 1;
}

static Person *person(Talk *t, int who) {
        return who == 0 ? &t->lab.alice : &t->lab.bob;
}

static void say(Talk *t, int who, usec_t now) {
        Person *p = person(t, who);
        Line *l = &t->lines[t->n];
        Inner m;
        Entry e;
        Feed f;

        l->id = (uint32_t)++t->n;
        CHECK_OK(send_text(p, l->id, "text", now));
        f = own_feed(p);
        CHECK_EQ(entry_get(txn_of(p), f.number, f.seq, &e), 1);
        CHECK_OK(inner_decode(e.inner, &m));
        memcpy(l->account, m.account, KEY_SIZE);
        l->hlc = m.hlc;
        l->seq = m.seq;
        l->at[who] = true;
}

static void bring(Talk *t, Line *l, usec_t now) {
        int from = l->at[0] ? 0 : 1;
        Person *p = person(t, from);
        Made m = {};
        Entry e;

        CHECK_EQ(entry_get(txn_of(p), own_feed(p).number, l->seq, &e), 1);
        CHECK_OK(buffer_append(&m.bytes, e.inner.data, e.inner.size));
        CHECK_OK(inner_decode(buffer_bytes(&m.bytes), &m.inner));
        sha256(m.bytes.data, buffer_size(&m.bytes), m.hash);
        CHECK_EQ(receive_at(person(t, 1 - from), &m, now), RECEIVED_NEW);
        made_done(&m);
        l->at[1 - from] = true;
}

/* Both write, with clocks that differ and jump; some of it arrives, in any order. */
static void talk_new(Talk *t) {
        usec_t now = NOW;

        *t = (Talk){};
        lab_new(&t->lab);
        srandom(11);
        while (t->n < MESSAGES) {
                int who = (int)(random() % 2);

                now += (usec_t)(random() % 3) * USEC_PER_MSEC;
                say(t, who, now + (who == 0 ? (usec_t)random() % (3 * MINUTE) : 0));
                for (long i = random() % 3; i > 0; i--) {
                        Line *l = &t->lines[(size_t)random() % t->n];

                        if (!l->at[0] || !l->at[1])
                                bring(t, l, now);
                }
        }
}

/* What one of them has, in order. */
static size_t list_of(const Talk *t, int who, Line *ret) {
        size_t n = 0;

        for (size_t i = 0; i < t->n; i++)
                if (t->lines[i].at[who])
                        ret[n++] = t->lines[i];
        qsort(ret, n, sizeof(*ret), line_compare);
        return n;
}

typedef struct Page {
        uint32_t ids[MESSAGES + 1];
        size_t n, stop_at;
} Page;

static bool on_row(void *userdata, DbTxn *txn, const HistoryRow *h) {
        Page *p = userdata;

        CHECK(p->n < MESSAGES);
        p->ids[p->n++] = uuid_to_number(&h->inner.id);
        return p->n != p->stop_at;
}

static int read_page(Person *p, const uint32_t *before, const uint32_t *after, unsigned limit,
        Page *ret, bool *ret_more) {
        Uuid b = uuid_number(before ? *before : 0), a = uuid_number(after ? *after : 0);

        ret->n = 0;
        return history_read(txn_of(p),
                &(HistoryPage){.conversation = conversation_of(p).number,
                        .before = before ? &b : NULL,
                        .after = after ? &a : NULL,
                        .peer = p->other.number,
                        .limit = limit},
                on_row, ret, ret_more);
}

/* The page is lines FIRST to END - 1. */
static void check_page(const Page *p, const Line *lines, size_t first, size_t end) {
        CHECK_EQ(p->n, end - first);
        for (size_t i = 0; i < p->n; i++)
                CHECK_EQ(p->ids[i], lines[first + i].id);
}

static void check_all_pages(Talk *t, int who, unsigned limit) {
        Person *p = person(t, who);
        Line lines[MESSAGES];
        size_t n = list_of(t, who, lines), first = n > limit ? n - limit : 0;
        Page page = {};
        bool more;

        CHECK_OK(read_page(p, NULL, NULL, limit, &page, &more));
        check_page(&page, lines, first, n);
        CHECK_EQ(more, first > 0);
        for (size_t i = 0; i < n; i++) {
                size_t end = MIN(i + 1 + limit, n);

                first = i > limit ? i - limit : 0;
                CHECK_OK(read_page(p, &lines[i].id, NULL, limit, &page, &more));
                check_page(&page, lines, first, i);
                CHECK_EQ(more, first > 0);
                CHECK_OK(read_page(p, NULL, &lines[i].id, limit, &page, &more));
                check_page(&page, lines, i + 1, end);
                CHECK_EQ(more, end < n);
        }
}

TEST(pages_are_slices_of_the_conversation) {
        static const unsigned limits[] = {1, 2, 7, 50, MESSAGES, MESSAGES + 10};
        static Talk t;

        talk_new(&t);
        for (size_t i = 0; i < ELEMENTSOF(limits); i++)
                for (int who = 0; who < 2; who++)
                        check_all_pages(&t, who, limits[i]);
        lab_free(&t.lab);
}

TEST(both_see_the_same_order_once_they_have_the_same) {
        Line alice[MESSAGES], bob[MESSAGES];
        static Talk t;
        Page a = {}, b = {};
        bool more;

        talk_new(&t);
        for (size_t i = 0; i < t.n; i++)
                if (!t.lines[i].at[0] || !t.lines[i].at[1])
                        bring(&t, &t.lines[i], NOW + 10 * MINUTE);
        CHECK_EQ(list_of(&t, 0, alice), MESSAGES);
        CHECK_EQ(list_of(&t, 1, bob), MESSAGES);
        CHECK_OK(read_page(&t.lab.alice, NULL, NULL, MESSAGES, &a, &more));
        CHECK(!more);
        CHECK_OK(read_page(&t.lab.bob, NULL, NULL, MESSAGES, &b, &more));
        check_page(&a, alice, 0, MESSAGES);
        check_page(&b, alice, 0, MESSAGES);
        lab_free(&t.lab);
}

TEST(whoever_reads_may_stop) {
        static Talk t;
        Page page = {.stop_at = 3};
        uint32_t id;
        bool more;

        talk_new(&t);
        CHECK_OK(read_page(&t.lab.alice, NULL, NULL, 10, &page, &more));
        CHECK_EQ(page.n, 3);
        CHECK(more);
        id = page.ids[2];
        CHECK_OK(read_page(&t.lab.alice, NULL, &id, 5, &page, &more));
        CHECK_EQ(page.n, 3);
        CHECK(more);
        lab_free(&t.lab);
}

TEST(what_is_not_in_the_conversation_is_no_place_to_start_from) {
        uint32_t unknown = 9999, carols = 5000;
        Contact carol;
        Page page = {};
        Person *p;
        bool more;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_OK(send_text(p, 1, "text", NOW));
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        CHECK_OK(store_send(p->store,
                &(NewMessage){.self = &p->self,
                        .to = &carol,
                        .id = uuid_number(carols),
                        .text = text_bytes("text"),
                        .now = NOW}));
        CHECK_EQ(read_page(p, &unknown, NULL, 5, &page, &more), -ENOENT);
        CHECK_EQ(read_page(p, NULL, &unknown, 5, &page, &more), -ENOENT);
        CHECK_EQ(read_page(p, NULL, &carols, 5, &page, &more), -ENOENT);
        CHECK_OK(read_page(p, NULL, NULL, 5, &page, &more));
        CHECK_EQ(page.n, 1);
        lab_free(&lab);
}

typedef struct Seen {
        uint32_t numbers[4], peers[4];
        size_t n;
} Seen;

static bool on_conversation(void *userdata, DbTxn *txn, const Conversation *v) {
        Seen *s = userdata;

        s->numbers[s->n] = v->number;
        s->peers[s->n++] = v->peer;
        return s->n < 4;
}

TEST(conversations_are_listed_with_their_last_message) {
        HistoryRow h;
        Contact carol;
        Seen seen = {};
        Person *p;
        Lab lab;

        lab_new(&lab);
        p = &lab.alice;
        CHECK_OK(conversation_each(txn_of(p), on_conversation, &seen));
        CHECK_EQ(seen.n, 0);
        CHECK_OK(send_text(p, 1, "first", NOW));
        CHECK_OK(send_text(p, 2, "second", NOW));
        CHECK(learn(p->store, CAROL, "carol", 1, 1, CONTACT_PINNED, true, &carol) > 0);
        CHECK_OK(store_send(p->store,
                &(NewMessage){.self = &p->self,
                        .to = &carol,
                        .id = uuid_number(3),
                        .text = text_bytes("third"),
                        .now = NOW + MINUTE}));
        CHECK_OK(conversation_each(txn_of(p), on_conversation, &seen));
        CHECK_EQ(seen.n, 2);
        CHECK_EQ(seen.peers[0], p->other.number);
        CHECK_EQ(seen.peers[1], carol.number);
        CHECK_EQ(history_last(txn_of(p), seen.numbers[0], &h), 1);
        CHECK_EQ(uuid_to_number(&h.inner.id), 2);
        CHECK(h.own && !h.delivered);
        CHECK_EQ(history_last(txn_of(p), seen.numbers[1], &h), 1);
        CHECK(memcmp(h.inner.body.data, "third", 5) == 0);
        CHECK_EQ(history_last(txn_of(p), 99, &h), 0);
        CHECK_EQ(conversation_of(p).last_time, NOW);
        lab_free(&lab);
}
