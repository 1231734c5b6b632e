/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What a reader lets the author know of what he has read, and what the author makes of it. */

#include "store-lab.h"

#include <lmdb.h>

/* Alice's entries as they are in her store, brought to Bob. */
static void bring(Lab *lab, uint64_t seq) {
        Made m = {};
        Entry e;

        CHECK_EQ(entry_get(txn_of(&lab->alice), own_feed(&lab->alice).number, seq, &e), 1);
        CHECK_OK(buffer_append(&m.bytes, e.inner.data, e.inner.size));
        CHECK_OK(inner_decode(buffer_bytes(&m.bytes), &m.inner));
        sha256(buffer_data(&m.bytes), buffer_size(&m.bytes), m.hash);
        CHECK_EQ(receive(lab, &m), RECEIVED_NEW);
        made_done(&m);
}

static void write_all(Lab *lab, uint32_t n) {
        lab_new(lab);
        for (uint32_t i = 1; i <= n; i++)
                CHECK_OK(send_text(&lab->alice, i, "text", NOW + i * USEC_PER_MSEC));
}

/* N messages of Alice's that Bob has. */
static void lab_with(Lab *lab, uint32_t n) {
        write_all(lab, n);
        for (uint64_t seq = 1; seq <= n; seq++)
                bring(lab, seq);
}

static int mark(Lab *lab, uint32_t id, bool tell) {
        Uuid u = uuid_number(id);

        return store_mark_read(lab->bob.store, lab->bob.other.number, &u, NOW + MINUTE, tell, NULL);
}

static int read_receipt(const Lab *lab, Receipt *ret) {
        return make_receipt_of(lab, foreign_feed(&lab->bob).number, RECEIPT_READ, ret);
}

static void on_delivered(void *userdata, const Uuid *id) {
}

static int take(Lab *lab, const Receipt *rc) {
        return store_take_receipt(
                lab->alice.store, &lab->alice.self, &lab->alice.other, rc, NOW, on_delivered, NULL);
}

/* What Alice is shown of her entry: 'q'ueued, 'd'elivered or 'r'ead. */
static char shown(const Lab *lab, uint64_t seq) {
        HistoryRow h;

        CHECK_EQ(history_get(txn_of(&lab->alice), own_feed(&lab->alice).number, seq, &h), 1);
        return h.read ? 'r' : h.delivered ? 'd' : 'q';
}

static void check_shown(const Lab *lab, const char *states) {
        for (size_t i = 0; states[i]; i++)
                CHECK_EQ(shown(lab, i + 1), states[i]);
}

/* Events of Alice's since the last call, as "d1 r1 …". */
typedef struct Told {
        uint64_t after;
        char text[256];
} Told;

static bool on_event(void *userdata, DbTxn *txn, const EventRow *e) {
        Told *t = userdata;
        size_t n = strlen(t->text);

        t->after = e->cursor;
        CHECK_EQ(e->kind, EVENT_STATE);
        CHECK_EQ(uuid_to_number(&e->id), e->seq);
        snprintf(t->text + n, sizeof(t->text) - n, "%c%llu ", e->state == MESSAGE_READ ? 'r' : 'd',
                (unsigned long long)e->seq);
        return true;
}

static void check_told(const Lab *lab, Told *t, const char *text) {
        t->text[0] = 0;
        CHECK_OK(event_each(txn_of(&lab->alice), t->after, on_event, t));
        if (!streq(t->text, text))
                test_fail(__FILE__, __LINE__, t->text);
}

TEST(what_was_read_is_said_and_shown_once) {
        Told told = {};
        Receipt rc;
        Lab lab;

        lab_with(&lab, 5);
        CHECK_EQ(read_receipt(&lab, &rc), 0);
        CHECK_EQ(mark(&lab, 2, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK(rc.state == RECEIPT_READ && rc.n_ranges == 1);
        CHECK(rc.ranges[0].first == 1 && rc.ranges[0].last == 2);
        CHECK_EQ(take(&lab, &rc), 0);
        check_shown(&lab, "rrqqq"); /* what was read has been delivered */
        check_told(&lab, &told, "d1 d2 r1 r2 ");
        CHECK_EQ(take(&lab, &rc), 0);
        check_told(&lab, &told, "");
        CHECK_EQ(make_receipt(&lab, foreign_feed(&lab.bob).number, &rc), 1);
        CHECK_EQ(take(&lab, &rc), 0);
        check_shown(&lab, "rrddd");
        check_told(&lab, &told, "d3 d4 d5 ");
        CHECK_EQ(mark(&lab, 5, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK_EQ(take(&lab, &rc), 0);
        person_reopen(&lab, &lab.alice);
        check_shown(&lab, "rrrrr");
        check_told(&lab, &told, "r3 r4 r5 ");
        lab_free(&lab);
}

TEST(what_was_read_in_silence_is_never_said) {
        Receipt rc;
        Lab lab;

        lab_with(&lab, 6);
        CHECK_EQ(mark(&lab, 2, false), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 0);
        CHECK_EQ(mark(&lab, 4, true), 1);
        CHECK_EQ(mark(&lab, 5, false), 1);
        person_reopen(&lab, &lab.bob);
        CHECK_EQ(mark(&lab, 6, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK_EQ(take(&lab, &rc), 0);
        check_shown(&lab, "qqrrqr");
        lab_free(&lab);
}

/* Marking reads all before; what is not there yet has been seen by nobody. */
TEST(what_comes_late_was_not_read) {
        Receipt rc;
        Lab lab;

        write_all(&lab, 4);
        bring(&lab, 1);
        bring(&lab, 3);
        bring(&lab, 4);
        CHECK_EQ(mark(&lab, 4, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK_EQ(rc.n_ranges, 2);
        bring(&lab, 2);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK_EQ(rc.n_ranges, 2);
        CHECK_EQ(take(&lab, &rc), 0);
        check_shown(&lab, "rqrr");
        CHECK_EQ(mark(&lab, 2, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK_EQ(rc.n_ranges, 1);
        CHECK_EQ(take(&lab, &rc), 0);
        check_shown(&lab, "rrrr");
        lab_free(&lab);
}

TEST(a_long_receipt_is_taken_in_pieces) {
        enum { N = RECEIPT_ENTRIES_MAX + 100 };
        unsigned pieces = 1;
        EventBounds b;
        Receipt rc;
        Lab lab;
        int r;

        lab_with(&lab, N);
        CHECK_EQ(mark(&lab, N, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        while ((r = take(&lab, &rc)) > 0) {
                pieces++;
                CHECK_OK(event_bounds(txn_of(&lab.alice), &b));
                CHECK(b.last - b.first < (uint64_t)pieces * RECEIPT_ENTRIES_MAX);
        }
        CHECK_EQ(r, 0);
        CHECK_EQ(pieces, 3); /* as many as are delivered, and as many again that are read */
        CHECK_OK(event_bounds(txn_of(&lab.alice), &b));
        CHECK_EQ(b.last - b.first + 1, 2 * N);
        CHECK(shown(&lab, 1) == 'r' && shown(&lab, N) == 'r');
        lab_free(&lab);
}

/* Which came after version 0.5.0. */
TEST(a_store_without_the_table_opens_and_gets_it) {
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi table;
        Receipt rc;
        Lab lab;
        char *path;

        lab_with(&lab, 2);
        path = fs_join(lab.bob.dir, "db");
        lab.bob.store = store_close(lab.bob.store);
        CHECK_EQ(mdb_env_create(&env), 0);
        CHECK_EQ(mdb_env_set_maxdbs(env, 64), 0);
        CHECK_EQ(mdb_env_open(env, path, 0, 0600), 0);
        CHECK_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
        CHECK_EQ(mdb_dbi_open(txn, "read-receipt", 0, &table), 0);
        CHECK_EQ(mdb_drop(txn, table, 1), 0);
        CHECK_EQ(mdb_txn_commit(txn), 0);
        mdb_env_close(env);
        free(path);
        CHECK_OK(store_open(lab.bob.dir, lab.loop, &lab.bob.store));
        CHECK_EQ(read_receipt(&lab, &rc), 0);
        CHECK_EQ(mark(&lab, 2, true), 1);
        CHECK_EQ(read_receipt(&lab, &rc), 1);
        CHECK_EQ(rc.ranges[0].last, 2);
        lab_free(&lab);
}
