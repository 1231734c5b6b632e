/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Operations on sets in any order, with restarts and failures, against a plain model; and the rows
 * on disk against a count. */

#include "failing-disk.h"
#include "failing-memory.h"
#include "sets-lab.h"

/* The rows themselves: usage is what a count of the entries gives, and nothing is left over. */

typedef struct Count {
        uint8_t key[SHA256_SIZE + DSTORE_BY_SIZE];
        size_t size;
        uint64_t items, bytes, listed, tombstones;
} Count;

typedef struct Recount {
        Count counts[64];
        size_t n;
} Recount;

static void recount_add(Recount *r, const uint8_t *key, size_t size, const DStoreUsage *u) {
        Count *c = r->counts;

        while (c < r->counts + r->n && (c->size != size || memcmp(c->key, key, size) != 0))
                c++;
        CHECK(c < r->counts + ELEMENTSOF(r->counts));
        if (c == r->counts + r->n) {
                r->n++;
                *c = (Count){.size = size};
                memcpy(c->key, key, size);
        }
        c->items += u->items;
        c->bytes += u->bytes;
        c->listed += u->listed;
        c->tombstones += u->tombstones;
}

/* As dstore-sets.c has them, after a head of three bytes. */
static void recount_entry(Recount *r, DbValue key, DbValue value) {
        const uint8_t *row = value.data + 3;
        DStoreUsage u = {.items = 1, .listed = row[0] == 1};
        uint8_t by[SHA256_SIZE + DSTORE_BY_SIZE];

        if (row[0] == 3)
                u = (DStoreUsage){.tombstones = 1};
        else
                u.bytes = db_get_u64(row + 9 + DSTORE_BY_SIZE + 8);
        memcpy(by, key.data, SHA256_SIZE);
        memcpy(by + SHA256_SIZE, row + 9, DSTORE_BY_SIZE);
        recount_add(r, (const uint8_t[]){0}, 1, &u);
        recount_add(r, by, SHA256_SIZE, &u);
        recount_add(r, by, sizeof(by), &u);
}

static void check_usage(DbTxn *txn, unsigned table, const Recount *r) {
        for (size_t i = 0; i < r->n; i++) {
                const Count *c = &r->counts[i];
                DbKey k = DB_KEY_NULL;
                DbValue v;

                db_key_bytes(&k, c->key, c->size);
                CHECK_EQ(db_get(txn, table, &k, &v), 1);
                CHECK_EQ(db_get_u64(v.data + 3), c->items);
                CHECK_EQ(db_get_u64(v.data + 11), c->bytes);
                CHECK_EQ(db_get_u64(v.data + 19), c->listed);
                CHECK_EQ(db_get_u64(v.data + 27), c->tombstones);
        }
        CHECK_EQ(db_count(txn, table), r->n);
}

static void check_rows(Lab *lab) {
        static const char *const tables[] = {"entry", "item", "note", "due", "usage", NULL};
        DbOptions options = {.tables = tables, .map_size = 16 << 20, .loop = lab->loop};
        uint64_t listed = 0, noted = 0, entries = 0;
        DbValue key, value;
        Recount r = {};
        DbCursor c;
        DbTxn *txn;
        Db *db;

        lab->d = dstore_close(lab->d);
        CHECK_OK(db_open(lab->path, &options, &db));
        CHECK_OK(db_read_begin(db, &txn));
        CHECK_OK(db_cursor_open(txn, 0, &DB_KEY_NULL, NULL, false, &c));
        while (db_cursor_next(&c, &key, &value) > 0) {
                recount_entry(&r, key, value);
                listed += value.data[3] == 1;
                noted += value.data[3] == 2;
                entries++;
        }
        db_cursor_close(&c);
        check_usage(txn, 4, &r);
        CHECK_EQ(db_count(txn, 1), listed);
        CHECK_EQ(db_count(txn, 2), noted);
        CHECK_EQ(db_count(txn, 3), entries);
        db_read_end(txn);
        db_close(db);
        lab_open(lab);
}

/* The model: what an entry is, by itself */

#define MODEL_SETS 3
#define MODEL_IDS 12

typedef struct ModelEntry {
        enum { MODEL_NONE, MODEL_HELD, MODEL_NOTED, MODEL_GONE } state;
        uint64_t expires, arrival;
        uint8_t by;
        char text[16], note[16];
} ModelEntry;

typedef struct Model {
        ModelEntry entries[MODEL_SETS][MODEL_IDS];
        uint64_t arrivals;
} Model;

static uint64_t model_end(const ModelEntry *e) {
        return e->expires + (e->state == MODEL_GONE ? DSTORE_TOMBSTONE_TIME : 0);
}

/* As anybody sees it: what is over is not there. */
static ModelEntry model_seen(Lab *lab, const ModelEntry *e) {
        return model_end(e) > loop_realtime(lab->loop) ? *e : (ModelEntry){};
}

static void check_against_model(Lab *lab, const Model *m) {
        for (uint8_t set = 0; set < MODEL_SETS; set++) {
                const ModelEntry *in_order[MODEL_IDS];
                char text[1024] = "";
                size_t n = 0, at = 0;

                for (uint8_t id = 0; id < MODEL_IDS; id++) {
                        const ModelEntry *e = &m->entries[set][id];
                        ModelEntry seen = model_seen(lab, e);
                        Found f = find(lab, set + 1, id);
                        size_t k = n;

                        CHECK_EQ(f.state,
                                seen.state == MODEL_NONE           ? ITEM_UNKNOWN
                                        : seen.state == MODEL_GONE ? ITEM_GONE
                                                                   : ITEM_HELD);
                        CHECK_STR(f.note, seen.state == MODEL_NOTED ? seen.note : "");
                        if (seen.state != MODEL_HELD)
                                continue;
                        for (; k > 0 && in_order[k - 1]->arrival > e->arrival; k--)
                                in_order[k] = in_order[k - 1];
                        in_order[k] = e;
                        n++;
                }
                for (size_t i = 0; i < n; i++)
                        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%zu:%s",
                                i > 0 ? " " : "", (size_t)(in_order[i] - m->entries[set]),
                                in_order[i]->text);
                CHECK_STR(list(lab, set + 1), text);
        }
}

static DStoreUsage model_by(const Model *m, uint8_t set, int by) {
        DStoreUsage u = {};

        for (unsigned id = 0; id < MODEL_IDS; id++) {
                const ModelEntry *e = &m->entries[set][id];

                if (e->state == MODEL_NONE || (by >= 0 && e->by != by))
                        continue;
                u.items += e->state != MODEL_GONE;
                u.tombstones += e->state == MODEL_GONE;
                u.bytes += e->state == MODEL_HELD ? strlen(e->text)
                        : e->state == MODEL_NOTED ? strlen(e->note)
                                                  : 0;
        }
        return u;
}

static unsigned pick(Lab *lab, unsigned n) {
        return (unsigned)loop_random_below(lab->loop, n);
}

/* Each operation changes the model only where it has not failed, and says so. */

static bool trial_add(Lab *lab, Model *m, uint8_t set, uint8_t id) {
        static const DStoreQuota of_set = {8, 60}, of_by = {4, 35};
        static const char text[] = "abcdefghijkl";
        ModelEntry *e = &m->entries[set][id], seen = model_seen(lab, e);
        char blob[16];
        DStoreUsage all, by;
        DStoreSetResult expected;
        DStoreAdd a;
        size_t size;
        Done d;

        snprintf(blob, sizeof(blob), "%.*s", (int)pick(lab, 12), text);
        size = strlen(blob);
        a = addition(lab, set + 1, id, (uint8_t)pick(lab, 3), blob);
        a.item.expires = loop_realtime(lab->loop) + USEC_PER_HOUR * (1 + pick(lab, 100));
        a.of_set = of_set;
        a.of_by = of_by;
        d = try_add(lab, &a);
        if (d.error < 0)
                return false;
        if (seen.state == MODEL_NONE)
                *e = (ModelEntry){};
        all = model_by(m, set, -1);
        by = model_by(m, set, a.by[0]);
        expected = seen.state == MODEL_GONE                                    ? SET_GONE
                : seen.state != MODEL_NONE                                     ? SET_EXISTS
                : by.items >= of_by.items || by.bytes + size > of_by.bytes     ? SET_BY_FULL
                : all.items >= of_set.items || all.bytes + size > of_set.bytes ? SET_FULL
                                                                               : SET_OK;
        CHECK_EQ(d.result, expected);
        if (expected != SET_OK)
                return true;
        *e = (ModelEntry){.state = MODEL_HELD,
                .expires = a.item.expires,
                .by = a.by[0],
                .arrival = ++m->arrivals};
        memcpy(e->text, blob, sizeof(blob));
        return true;
}

static bool trial_end(Lab *lab, Model *m, uint8_t set, uint8_t id) {
        ModelEntry *e = &m->entries[set][id], seen = model_seen(lab, e);
        bool held = seen.state == MODEL_HELD || seen.state == MODEL_NOTED;
        uint64_t ended = loop_realtime(lab->loop);
        bool wrong = pick(lab, 4) == 0;
        Done d;

        if (pick(lab, 2) == 0) {
                d = try_ack(lab, set + 1, id);
                if (d.error >= 0)
                        CHECK_EQ(d.result, held);
                wrong = false;
        } else {
                d = try_withdraw(lab, set + 1, id, wrong ? id + 1 : id);
                if (d.error >= 0)
                        CHECK_EQ(d.result, held && wrong ? SET_LOCKED : SET_OK);
        }
        if (d.error >= 0 && held && !wrong) {
                e->state = MODEL_GONE;
                e->expires = ended;
        }
        return d.error >= 0;
}

static bool trial_note(Lab *lab, Model *m, uint8_t set, uint8_t id) {
        ModelEntry *e = &m->entries[set][id], seen = model_seen(lab, e);
        bool held = seen.state == MODEL_HELD || seen.state == MODEL_NOTED;
        char note[16];
        Done d;

        snprintf(note, sizeof(note), "note %u", pick(lab, 1000));
        d = try_note(lab, set + 1, id, note);
        if (d.error < 0)
                return false;
        CHECK_EQ(d.result, held);
        if (held) {
                e->state = MODEL_NOTED;
                memcpy(e->note, note, sizeof(note));
        }
        return true;
}

/* One at a time, so that a failure is all or nothing here. */
static bool trial_expire(Lab *lab, Model *m) {
        ModelEntry *first = NULL, *next = NULL;
        Done d;

        loop_virtual_run(lab->loop, pick(lab, 40) * USEC_PER_HOUR);
        d = try_expire(lab, 1);
        if (d.error < 0)
                return false;
        for (unsigned i = 0; i < MODEL_SETS * MODEL_IDS; i++) {
                ModelEntry *e = &m->entries[i / MODEL_IDS][i % MODEL_IDS];

                if (e->state == MODEL_NONE)
                        continue;
                if (!first || model_end(e) < model_end(first)) {
                        next = first;
                        first = e;
                } else if (!next || model_end(e) < model_end(next))
                        next = e;
        }
        if (first && model_end(first) <= loop_realtime(lab->loop)) {
                *first = (ModelEntry){};
                first = next;
        }
        CHECK_EQ(d.result, first ? model_end(first) : 0);
        return true;
}

static bool trial(Lab *lab, Model *m) {
        uint8_t set = (uint8_t)pick(lab, MODEL_SETS), id = (uint8_t)pick(lab, MODEL_IDS);

        switch (pick(lab, 8)) {
        case 0 ... 2:
                return trial_add(lab, m, set, id);
        case 3 ... 4:
                return trial_end(lab, m, set, id);
        case 5:
                return trial_note(lab, m, set, id);
        case 6:
                return trial_expire(lab, m);
        default:
                (void)disk_heal();
                (void)memory_heal();
                lab_reopen(lab);
                return true;
        }
}

typedef enum Trouble {
        TROUBLE_NONE,
        TROUBLE_DISK,
        TROUBLE_MEMORY,
} Trouble;

/* Returns how many operations failed. */
static unsigned compare_with_model(uint64_t seed, unsigned operations, Trouble trouble) {
        unsigned failed = 0;
        Model m = {};
        Lab lab;

        lab_new_seeded(&lab, seed);
        for (unsigned i = 0; i < operations; i++) {
                if (trouble == TROUBLE_DISK)
                        disk_break(1 + pick(&lab, 40), pick(&lab, 2));
                else if (trouble == TROUBLE_MEMORY)
                        memory_break(1 + pick(&lab, 6));
                failed += !trial(&lab, &m);
                (void)disk_heal();
                (void)memory_heal();
                loop_virtual_run(lab.loop, 2 * USEC_PER_SEC); /* to be opened again */
                check_against_model(&lab, &m);
                if (i % 64 == 0)
                        check_rows(&lab);
        }
        check_rows(&lab);
        lab_free(&lab);
        return failed;
}

TEST(any_order_of_operations_gives_what_a_plain_model_gives) {
        for (uint64_t seed = 0; seed < 4; seed++)
                CHECK_EQ(compare_with_model(seed, 500, TROUBLE_NONE), 0);
}

TEST(an_operation_that_fails_has_changed_nothing) {
        for (uint64_t seed = 0; seed < 4; seed++) {
                CHECK(compare_with_model(seed, 250, TROUBLE_DISK) > 25);
                CHECK(compare_with_model(seed, 250, TROUBLE_MEMORY) > 25);
        }
}
