/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "db-lab.h"

#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static void turn(Lab *lab) {
        CHECK(sd_event_run(lab->event, 0) >= 0);
}

typedef struct Call {
        Lab *lab;
        int number;
} Call;

static void on_commit(void *userdata, int error) {
        Call *c = userdata;
        Lab *lab = c->lab;

        CHECK(lab->n_called < 16);
        lab->called[lab->n_called] = c->number;
        lab->errors[lab->n_called++] = error;
}

/* The batch */

static void on_commit_look(void *userdata, int error) {
        Call *c = userdata;

        CHECK_EQ(committed(c->lab, "k"), 1);
        on_commit(userdata, error);
}

TEST(callbacks_come_after_the_commit_and_in_order) {
        Lab lab;
        Call calls[3];

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "k", "v"));
        for (int i = 0; i < 3; i++) {
                calls[i] = (Call){&lab, i};
                CHECK_OK(db_after_commit(lab.db, on_commit_look, &calls[i]));
        }
        CHECK_EQ(committed(&lab, "k"), 0);
        CHECK_EQ(lab.n_called, 0);
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(lab.n_called, 3);
        for (int i = 0; i < 3; i++) {
                CHECK_EQ(lab.called[i], i);
                CHECK_EQ(lab.errors[i], 0);
        }
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(lab.n_called, 3);
        lab_free(&lab);
}

TEST(a_callback_without_a_batch_comes_soon) {
        Lab lab;
        Call c = {&lab, 1};

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(db_after_commit(lab.db, on_commit, &c));
        CHECK_EQ(lab.n_called, 0);
        for (int i = 0; i < 4; i++)
                turn(&lab);
        CHECK_EQ(lab.n_called, 1);
        CHECK_EQ(db_stats(lab.db)->commits, 0);
        lab_free(&lab);
}

static void on_commit_forget_next(void *userdata, int error) {
        Call *c = userdata;

        db_forget(c->lab->db, c + 1);
        on_commit(userdata, error);
}

TEST(who_is_forgotten_is_not_called) {
        Lab lab;
        Call calls[4];

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "k", "v"));
        for (int i = 0; i < 4; i++) {
                calls[i] = (Call){&lab, i};
                CHECK_OK(db_after_commit(
                        lab.db, i == 1 ? on_commit_forget_next : on_commit, &calls[i]));
        }
        db_forget(lab.db, &calls[0]);
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(lab.n_called, 2); /* 0 before the commit, 2 by 1 in the middle of it */
        CHECK_EQ(lab.called[0], 1);
        CHECK_EQ(lab.called[1], 3);
        lab_free(&lab);
}

static void on_commit_write(void *userdata, int error) {
        Call *c = userdata;

        on_commit(userdata, error);
        CHECK_OK(put(c->lab, "from a callback", "v"));
        CHECK_OK(db_after_commit(c->lab->db, on_commit, c + 1));
}

TEST(what_a_callback_writes_is_the_next_batch) {
        Lab lab;
        Call calls[] = {{&lab, 0}, {&lab, 1}, {&lab, 2}};

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "k", "v"));
        CHECK_OK(db_after_commit(lab.db, on_commit_write, &calls[0]));
        CHECK_OK(db_after_commit(lab.db, on_commit, &calls[2]));
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(lab.n_called, 2);
        CHECK_EQ(lab.called[1], 2);
        CHECK_EQ(committed(&lab, "from a callback"), 0);
        for (int i = 0; i < 4 && lab.n_called < 3; i++)
                turn(&lab);
        CHECK_EQ(lab.n_called, 3);
        CHECK_EQ(lab.called[2], 1);
        CHECK_EQ(committed(&lab, "from a callback"), 1);
        CHECK_EQ(db_stats(lab.db)->commits, 2);
        lab_free(&lab);
}

/* A descriptor that is always ready to be read. */
typedef struct Busy {
        Lab *lab;
        int fd;
        LoopIo *io;
        unsigned calls;
        usec_t since, before; /* the batch's begin, the call before this one */
        unsigned late; /* calls that found a batch that should have been committed */
} Busy;

static void busy_free(Busy *b) {
        loop_io_free(b->io);
        close(b->fd);
}

static void busy_new(Busy *b, Lab *lab, LoopIoFn fn) {
        b->lab = lab;
        b->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(b->fd >= 0);
        CHECK_OK(loop_io_new(lab->loop, b->fd, LOOP_READ, fn, b, &b->io));
}

TEST(a_lone_write_is_committed_as_soon_as_the_loop_is_idle) {
        Lab lab;
        Call c = {&lab, 1};

        lab_new(&lab);
        lab_open(&lab);
        for (int i = 0; i < 20; i++) {
                lab.n_called = 0;
                CHECK_OK(put(&lab, "k", "v"));
                CHECK_OK(db_after_commit(lab.db, on_commit, &c));
                for (int k = 0; k < 2 && lab.n_called == 0; k++)
                        turn(&lab);
                CHECK_EQ(lab.n_called, 1);
                CHECK_EQ(db_stats(lab.db)->commits, i + 1);
        }
        lab_free(&lab);
}

/* Ready three times, then quiet. */
static void on_busy_thrice(void *userdata, uint32_t events) {
        Busy *b = userdata;

        CHECK_OK(put(b->lab, "k", "v"));
        if (b->calls == 0)
                b->since = loop_now(b->lab->loop);
        if (++b->calls == 3)
                CHECK_OK(loop_io_set_events(b->io, 0));
}

TEST(what_is_ready_joins_the_batch) {
        Busy b = {};
        Lab lab;
        int turns = 0;

        lab_new(&lab);
        lab_open(&lab);
        busy_new(&b, &lab, on_busy_thrice);
        while (db_stats(lab.db)->commits == 0 && turns++ < 100)
                turn(&lab);
        /* All three, except where this took longer than a batch may. */
        CHECK(b.calls == 3 || loop_now(lab.loop) - b.since >= DB_BATCH_AGE);
        CHECK_EQ(db_stats(lab.db)->writes, b.calls);
        busy_free(&b);
        lab_free(&lab);
}

static void on_busy_write_many(void *userdata, uint32_t events) {
        Busy *b = userdata;

        if (b->calls++ > 0)
                return;
        for (uint32_t i = 0; i < DB_BATCH_WRITES; i++) {
                DbKey k = key_number(i);

                CHECK_OK(db_put(db_write(b->lab->db), TABLE_A, &k, "v", 1));
        }
}

TEST(a_full_batch_is_committed_after_the_handler_that_filled_it) {
        Busy b = {};
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        busy_new(&b, &lab, on_busy_write_many);
        while (db_stats(lab.db)->commits == 0 && b.calls < 1000)
                turn(&lab);
        CHECK_EQ(b.calls, 1);
        CHECK_EQ(db_stats(lab.db)->writes, DB_BATCH_WRITES);
        busy_free(&b);
        lab_free(&lab);
}

static void on_busy_watch(void *userdata, uint32_t events) {
        Busy *b = userdata;
        usec_t now = loop_now(b->lab->loop);

        if (b->calls++ == 0) {
                CHECK_OK(put(b->lab, "k", "v"));
                b->since = now;
        } else if (db_stats(b->lab->db)->commits == 0 && b->before >= b->since + DB_BATCH_AGE)
                b->late++;
        b->before = now;
}

TEST(a_busy_descriptor_does_not_keep_a_batch_open) {
        Busy b = {};
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        busy_new(&b, &lab, on_busy_watch);
        /* The handler that began when the batch was old enough is the last one before the commit,
         * however long it all takes on this machine. */
        while (db_stats(lab.db)->commits == 0 && b.late == 0 && b.calls < 10000000)
                turn(&lab);
        CHECK_EQ(b.late, 0);
        CHECK_EQ(db_stats(lab.db)->commits, 1);
        busy_free(&b);
        lab_free(&lab);
}

static useconds_t disk_takes; /* more than it does */

int fdatasync(int fd) {
        if (disk_takes > 0)
                usleep(disk_takes);
        return (int)syscall(SYS_fdatasync, fd);
}

TEST(after_a_slow_commit_more_joins_the_batch) {
        Busy b = {};
        usec_t slow;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "k", "v"));
        disk_takes = 10 * USEC_PER_MSEC;
        CHECK_OK(db_commit(lab.db));
        disk_takes = 0;
        slow = db_stats(lab.db)->last;
        CHECK(slow >= 10 * USEC_PER_MSEC);
        busy_new(&b, &lab, on_busy_watch);
        while (db_stats(lab.db)->commits == 1)
                turn(&lab);
        CHECK(loop_now(lab.loop) - b.since >= MIN(3 * slow, DB_BATCH_AGE_MAX));
        busy_free(&b);
        lab_free(&lab);
}

TEST(closing_commits_and_calls_back) {
        Lab lab;
        Call calls[] = {{&lab, 0}, {&lab, 1}};

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "k", "v"));
        CHECK_OK(db_after_commit(lab.db, on_commit_write, &calls[0]));
        lab.db = db_close(lab.db);
        CHECK_EQ(lab.n_called, 2);
        lab_open(&lab);
        CHECK_EQ(committed(&lab, "k"), 1);
        CHECK_EQ(committed(&lab, "from a callback"), 1);
        lab_free(&lab);
}

/* Errors */

#define SMALL_MAP (256 * 1024)

static int fill(Lab *lab) {
        static const uint8_t block[8192];
        int r = 0;

        for (uint32_t i = 0; i < 1000 && r >= 0; i++) {
                DbKey k = key_number(i);

                r = db_put(db_write(lab->db), TABLE_B, &k, block, sizeof(block));
        }
        return r;
}

TEST(a_failed_batch_has_written_nothing_and_the_next_one_works) {
        Call calls[3];
        DbTxn *txn;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(lab_try_open(&lab, TABLES, SMALL_MAP));
        CHECK_OK(put(&lab, "before", "v"));
        CHECK_OK(db_commit(lab.db));
        for (int i = 0; i < 3; i++)
                calls[i] = (Call){&lab, i};
        CHECK_OK(put(&lab, "lost", "v"));
        CHECK_OK(db_after_commit(lab.db, on_commit, &calls[0]));
        CHECK_OK(db_after_commit(lab.db, on_commit, &calls[1]));
        CHECK_EQ(fill(&lab), -ENOSPC);
        CHECK_OK(db_after_commit(lab.db, on_commit, &calls[2]));
        for (int i = 0; i < 4 && lab.n_called < 3; i++)
                turn(&lab);
        CHECK_EQ(lab.n_called, 3);
        for (int i = 0; i < 3; i++) {
                CHECK_EQ(lab.called[i], i);
                CHECK_EQ(lab.errors[i], -ENOSPC);
        }
        CHECK_EQ(db_stats(lab.db)->last_error, -ENOSPC);
        CHECK_EQ(committed(&lab, "before"), 1);
        CHECK_EQ(committed(&lab, "lost"), 0);
        CHECK_OK(db_read_begin(lab.db, &txn));
        CHECK_EQ(db_count(txn, TABLE_B), 0);
        db_read_end(txn);

        CHECK_OK(put(&lab, "after", "v"));
        CHECK_OK(db_after_commit(lab.db, on_commit, &calls[0]));
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(lab.errors[3], 0);
        CHECK_EQ(committed(&lab, "after"), 1);
        CHECK_EQ(db_stats(lab.db)->last_error, 0);
        lab_free(&lab);
}

TEST(a_batch_that_fails_beside_a_snapshot_heals_when_it_ends) {
        DbKey k = key("before");
        DbTxn *txn;
        DbValue v;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(lab_try_open(&lab, TABLES, SMALL_MAP));
        CHECK_OK(put(&lab, "before", "v"));
        CHECK_OK(db_commit(lab.db));
        CHECK_OK(db_read_begin(lab.db, &txn));
        CHECK_EQ(db_get(txn, TABLE_A, &k, &v), 1);
        CHECK_EQ(fill(&lab), -ENOSPC);
        CHECK_EQ(db_commit(lab.db), -ENOSPC);
        CHECK_EQ(v.size, 1);
        CHECK_EQ(v.data[0], 'v');
        db_read_end(txn);
        CHECK_EQ(committed(&lab, "before"), 1);
        CHECK_OK(put(&lab, "after", "v"));
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(committed(&lab, "after"), 1);
        lab_free(&lab);
}

TEST(the_first_error_sticks) {
        DbKey k = key("k"), none = DB_KEY_NULL;
        DbCursor cursor;
        DbTxn *txn;
        DbValue v;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(lab_try_open(&lab, TABLES, SMALL_MAP));
        CHECK_EQ(fill(&lab), -ENOSPC);
        txn = db_write(lab.db);
        CHECK_EQ(db_error(txn), -ENOSPC);
        CHECK_EQ(db_put(txn, TABLE_A, &k, "v", 1), -ENOSPC);
        CHECK_EQ(db_get(txn, TABLE_A, &k, &v), -ENOSPC);
        CHECK_EQ(db_del(txn, TABLE_A, &k), -ENOSPC);
        CHECK_EQ(db_cursor_open(txn, TABLE_A, &none, NULL, false, &cursor), -ENOSPC);
        CHECK_EQ(db_count(txn, TABLE_A), 0);
        db_fail(txn, -EIO); /* comes second */
        CHECK_EQ(db_error(txn), -ENOSPC);
        CHECK_EQ(db_commit(lab.db), -ENOSPC);

        CHECK_OK(put(&lab, "k", "v"));
        db_fail(db_write(lab.db), -ENOMEM);
        CHECK_EQ(put(&lab, "l", "v"), -ENOMEM);
        CHECK_EQ(db_commit(lab.db), -ENOMEM);
        CHECK_EQ(committed(&lab, "k"), 0);
        CHECK_EQ(db_error(txn), -ENOTCONN); /* of a batch that is over */
        lab_free(&lab);
}

/* Reading */

TEST(a_snapshot_sees_only_what_is_committed) {
        DbKey k = key("k"), l = key("l");
        DbTxn *txn;
        DbValue v;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        CHECK(db_is_new(lab.db));
        CHECK_OK(put(&lab, "k", "old"));
        CHECK_EQ(committed(&lab, "k"), 0); /* nor is there a table yet */
        CHECK(db_is_new(lab.db));
        CHECK_OK(db_commit(lab.db));
        CHECK(!db_is_new(lab.db));

        CHECK_OK(put(&lab, "k", "new"));
        CHECK_OK(put(&lab, "l", "new"));
        CHECK_OK(db_read_begin(lab.db, &txn));
        CHECK_EQ(db_get(txn, TABLE_A, &k, &v), 1);
        CHECK(memcmp(v.data, "old", 3) == 0);
        CHECK_EQ(db_get(txn, TABLE_A, &l, &v), 0);
        CHECK_EQ(db_get(db_write(lab.db), TABLE_A, &k, &v), 1);
        CHECK(memcmp(v.data, "new", 3) == 0);
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(db_get(txn, TABLE_A, &k, &v), 1);
        CHECK(memcmp(v.data, "old", 3) == 0);
        db_read_end(txn);
        CHECK_EQ(committed(&lab, "l"), 1);
        lab_free(&lab);
}

/* Rows whose keys are all strings over a small alphabet, up to three characters long. */
static const uint8_t ALPHABET[] = {0, 1, 0x7f, 0xfe, 0xff};

typedef struct Model {
        DbKey keys[256];
        size_t n;
} Model;

static int key_compare(const void *a, const void *b) {
        const DbKey *x = a, *y = b;
        int r = memcmp(x->data, y->data, MIN(x->size, y->size));

        return r != 0 ? r : (int)x->size - (int)y->size;
}

static void model_grow(Model *m, DbKey k, size_t length) {
        if (length == 0)
                return;
        for (size_t i = 0; i < sizeof(ALPHABET); i++) {
                DbKey longer = k;

                db_key_u8(&longer, ALPHABET[i]);
                m->keys[m->n++] = longer;
                model_grow(m, longer, length - 1);
        }
}

static bool has_prefix(const DbKey *k, const DbKey *prefix) {
        return k->size >= prefix->size && memcmp(k->data, prefix->data, prefix->size) == 0;
}

static bool is_row(const Model *m, size_t i, DbValue k, DbValue v) {
        return k.size == m->keys[i].size && memcmp(k.data, m->keys[i].data, k.size) == 0 &&
                v.size == 1 && v.data[0] == (uint8_t)i;
}

/* Everything from START (or the prefix's end) on. */
static void check_walk(
        DbTxn *txn, const Model *m, const DbKey *prefix, const DbKey *start, bool back) {
        DbCursor cursor;
        DbValue k, v;

        CHECK_OK(db_cursor_open(txn, TABLE_A, prefix, start, back, &cursor));
        for (size_t n = 0; n < m->n; n++) {
                size_t i = back ? m->n - 1 - n : n;
                int order = start ? key_compare(&m->keys[i], start) : 0;

                if (!has_prefix(&m->keys[i], prefix))
                        continue;
                if (start && (back ? order >= 0 : order < 0))
                        continue;
                CHECK_EQ(db_cursor_next(&cursor, &k, &v), 1);
                CHECK(is_row(m, i, k, v));
        }
        CHECK_EQ(db_cursor_next(&cursor, &k, &v), 0);
        db_cursor_close(&cursor);
}

static void model_write(Lab *lab, Model *m) {
        *m = (Model){};
        model_grow(m, DB_KEY_NULL, 3);
        qsort(m->keys, m->n, sizeof(m->keys[0]), key_compare);
        for (size_t i = 0; i < m->n; i++) {
                uint8_t value = (uint8_t)i;

                CHECK_OK(db_put(db_write(lab->db), TABLE_A, &m->keys[i], &value, 1));
        }
}

TEST(cursors_walk_every_prefix_both_ways) {
        static Model m;
        DbKey none = DB_KEY_NULL, behind = none;
        DbTxn *txn;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        model_write(&lab, &m);
        CHECK_OK(db_commit(lab.db));
        CHECK_OK(db_read_begin(lab.db, &txn));
        for (int back = 0; back < 2; back++) {
                check_walk(txn, &m, &none, NULL, back);
                for (size_t i = 0; i < m.n; i++)
                        check_walk(txn, &m, &m.keys[i], NULL, back);
                /* Starts that are there, and some that lie between rows or behind all. */
                for (size_t i = 0; i < m.n; i++) {
                        DbKey between = m.keys[i], prefix = DB_KEY_NULL;

                        db_key_bytes(&prefix, m.keys[i].data, 1);
                        check_walk(txn, &m, &prefix, &m.keys[i], back);
                        db_key_u8(&between, 0x42);
                        check_walk(txn, &m, &prefix, &between, back);
                }
                db_key_bytes(&behind, "\xff\xff\xff\xff", back ? 0 : 4);
                check_walk(txn, &m, &none, &behind, back);
        }
        db_read_end(txn);
        lab_free(&lab);
}

TEST(a_cursor_seeks_forward) {
        static Model m;
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        model_write(&lab, &m);
        CHECK_OK(db_cursor_open(db_write(lab.db), TABLE_A, &none, NULL, false, &cursor));
        for (size_t i = 0; i < m.n; i += 7) {
                db_cursor_seek(&cursor, &m.keys[i]);
                CHECK_EQ(db_cursor_next(&cursor, &k, &v), 1);
                CHECK(is_row(&m, i, k, v));
        }
        db_cursor_close(&cursor);
        lab_free(&lab);
}

/* Every row whose place is not a multiple of three. */
static void delete_some(Lab *lab, Model *m, bool back) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;

        CHECK_OK(db_cursor_open(db_write(lab->db), TABLE_A, &none, NULL, back, &cursor));
        for (size_t n = 0; n < m->n; n++) {
                size_t i = back ? m->n - 1 - n : n;

                CHECK_EQ(db_cursor_next(&cursor, &k, &v), 1);
                CHECK(is_row(m, i, k, v));
                if (i % 3 != 0)
                        CHECK_OK(db_cursor_del(&cursor));
        }
        CHECK_EQ(db_cursor_next(&cursor, &k, &v), 0);
        db_cursor_close(&cursor);
}

TEST(deleting_under_a_cursor_loses_no_row) {
        static Model m;
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        for (int back = 0; back < 2; back++) {
                model_write(&lab, &m);
                delete_some(&lab, &m, back);
                CHECK_OK(db_commit(lab.db));
                CHECK_EQ(db_count(db_write(lab.db), TABLE_A), (m.n + 2) / 3);
                CHECK_OK(db_cursor_open(db_write(lab.db), TABLE_A, &none, NULL, false, &cursor));
                for (size_t i = 0; i < m.n; i += 3) {
                        CHECK_EQ(db_cursor_next(&cursor, &k, &v), 1);
                        CHECK(is_row(&m, i, k, v));
                }
                db_cursor_close(&cursor);
        }
        CHECK_EQ(db_del(db_write(lab.db), TABLE_A, &m.keys[0]), 1);
        CHECK_EQ(db_del(db_write(lab.db), TABLE_A, &m.keys[0]), 0);
        lab_free(&lab);
}

#define N_ROWS 2000

/* Pages are split and joined under the cursors that a batch keeps. */
TEST(a_batch_reads_what_was_written_and_deleted_in_it) {
        static uint8_t held[N_ROWS], row[200];
        DbCursor c = {};
        DbValue k, v;
        uint32_t x = 1;
        Lab lab;
        DbTxn *txn;

        lab_new(&lab);
        lab_open(&lab);
        memset(held, 0, sizeof(held));
        for (int i = 0; i < 200000; i++) {
                DbKey at;
                uint32_t n;

                x = x * 1664525 + 1013904223;
                n = x >> 8 & 1 ? (uint32_t)i % N_ROWS : (x >> 9) % N_ROWS;
                at = key_number(n);
                txn = db_write(lab.db);
                CHECK_EQ(db_get(txn, TABLE_A, &at, &v), held[n] != 0);
                CHECK(held[n] == 0 || (v.size == held[n] && v.data[0] == held[n]));
                if (x >> 24 < 100) {
                        CHECK_EQ(db_del(txn, TABLE_A, &at), held[n] != 0);
                        held[n] = 0;
                } else if (x >> 24 < 120 && held[n] != 0) {
                        DbKey all = DB_KEY_NULL;

                        CHECK_OK(db_cursor_open(txn, TABLE_A, &all, &at, false, &c));
                        CHECK_EQ(db_cursor_next(&c, &k, &v), 1);
                        CHECK_OK(db_cursor_del(&c));
                        db_cursor_close(&c);
                        held[n] = 0;
                } else {
                        held[n] = (uint8_t)(1 + (x >> 16) % sizeof(row));
                        memset(row, held[n], sizeof(row));
                        CHECK_OK(db_put(txn, TABLE_A, &at, row, held[n]));
                }
                if (i % 5000 == 0)
                        CHECK_OK(db_commit(lab.db));
        }
        lab_free(&lab);
}

TEST(an_empty_table_has_no_rows_either_way) {
        DbKey none = DB_KEY_NULL, k = key("k");
        DbCursor cursor;
        DbValue a, b;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        for (int i = 0; i < 4; i++) {
                DbTxn *txn = db_write(lab.db);

                CHECK_OK(db_cursor_open(txn, TABLE_B, &none, NULL, i % 2 == 1, &cursor));
                CHECK_EQ(db_cursor_next(&cursor, &a, &b), 0);
                db_cursor_close(&cursor);
                CHECK_EQ(db_get(txn, TABLE_B, &k, &a), 0);
                CHECK_EQ(db_del(txn, TABLE_B, &k), 0);
                CHECK_EQ(db_count(txn, TABLE_B), 0);
                if (i == 1)
                        CHECK_OK(put(&lab, "k", "v")); /* makes the tables */
        }
        lab_free(&lab);
}

TEST(keys_sort_as_their_numbers) {
        static const uint64_t numbers[] = {0, 1, 255, 256, 0xffffffff, 0x100000000, UINT64_MAX};
        DbKey before, k;

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                k = DB_KEY_NULL;
                db_key_u64(&k, numbers[i]);
                CHECK_EQ(k.size, 8);
                CHECK(db_get_u64(k.data) == numbers[i]);
                CHECK(i == 0 || key_compare(&before, &k) < 0);
                before = k;
        }
        k = key_number(0x01020304);
        CHECK(memcmp(k.data, "\1\2\3\4", 4) == 0);
        CHECK_EQ(db_get_u32(k.data), 0x01020304);
}

TEST(room_that_is_given_back_counts_as_free) {
        static const uint8_t block[100000];
        DbRoom before, full, after;
        DbKey k;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "k", "v"));
        CHECK_OK(db_commit(lab.db));
        db_get_room(lab.db, &before);
        CHECK(before.used > 0 && before.used < 100000);
        CHECK(before.limit == MAP_SIZE && before.free > 0);
        for (uint32_t i = 0; i < 20; i++) {
                k = key_number(i);
                CHECK_OK(db_put(db_write(lab.db), TABLE_B, &k, block, sizeof(block)));
        }
        CHECK_OK(db_commit(lab.db));
        db_get_room(lab.db, &full);
        CHECK(full.used >= before.used + 20 * sizeof(block));
        for (uint32_t i = 0; i < 20; i++) {
                k = key_number(i);
                CHECK_EQ(db_del(db_write(lab.db), TABLE_B, &k), 1);
        }
        CHECK_OK(db_commit(lab.db));
        db_get_room(lab.db, &after);
        CHECK(after.used < before.used + 100000);
        lab_free(&lab);
}
