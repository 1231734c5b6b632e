/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Sets in LMDB:
 *
 *   entry  {key, id}            -> {state, expires, by}, and of what is held {serial, size, lock}
 *   item   {key, serial}        -> {id, expires, blob}, in the order of arrival
 *   note   {key, id}            -> the note, which has taken the item's place
 *   due    {time, key, id}      -> nothing: when an entry ends, in the order of time
 *   usage  {0}, {key}, {key, by} -> what all entries take, those of a set, and those in it by one
 *
 * Usage is counted in the batch of what changes it, so that it is neither lost nor wrong after a
 * crash. Serials go on from where they were while anything is left of a set.
 */

#include "node/dstore-internal.h"

#include <assert.h>

#define ENTRY_SIZE (1 + 8 + DSTORE_BY_SIZE)
#define ENTRY_HELD_SIZE (ENTRY_SIZE + 8 + 8 + SHA256_SIZE)
#define ITEM_HEAD_SIZE (SHA256_SIZE + 8)

typedef enum EntryState {
        ENTRY_HELD = 1,
        ENTRY_NOTED = 2, /* held, with a note in place of the item */
        ENTRY_GONE = 3, /* a tombstone */
} EntryState;

typedef struct Entry {
        EntryState state;
        uint64_t expires; /* of a tombstone: when the item was ended */
        uint8_t by[DSTORE_BY_SIZE];

        /* Not of a tombstone. */
        uint64_t serial, size;
        uint8_t lock[SHA256_SIZE];
} Entry;

/* Which entry. */
typedef struct Place {
        const uint8_t *key, *id;
} Place;

static DbKey entry_key(Place p) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, p.key, SHA256_SIZE);
        db_key_bytes(&k, p.id, SHA256_SIZE);
        return k;
}

static DbKey item_key(const uint8_t *key, uint64_t serial) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, key, SHA256_SIZE);
        db_key_u64(&k, serial);
        return k;
}

static uint64_t entry_end(const Entry *e) {
        return e->state == ENTRY_GONE ? e->expires + DSTORE_TOMBSTONE_TIME : e->expires;
}

static DbKey due_key(Place p, const Entry *e) {
        DbKey k = DB_KEY_NULL;

        db_key_u64(&k, entry_end(e));
        db_key_bytes(&k, p.key, SHA256_SIZE);
        db_key_bytes(&k, p.id, SHA256_SIZE);
        return k;
}

/* Entries */

static int entry_parse(Bytes b, Entry *ret) {
        Entry e = {};

        if (b.size < ENTRY_SIZE)
                return -EUCLEAN;
        e.state = b.data[0];
        if (e.state < ENTRY_HELD || e.state > ENTRY_GONE ||
                b.size != (e.state == ENTRY_GONE ? ENTRY_SIZE : ENTRY_HELD_SIZE))
                return -EUCLEAN;
        e.expires = db_get_u64(b.data + 1);
        memcpy(e.by, b.data + 9, DSTORE_BY_SIZE);
        if (e.state != ENTRY_GONE) {
                e.serial = db_get_u64(b.data + ENTRY_SIZE);
                e.size = db_get_u64(b.data + ENTRY_SIZE + 8);
                memcpy(e.lock, b.data + ENTRY_SIZE + 16, SHA256_SIZE);
        }
        *ret = e;
        return 0;
}

static int entry_put(LmdbStore *s, DbTxn *txn, Place p, const Entry *e) {
        uint8_t row[ENTRY_HELD_SIZE];
        DbKey k = entry_key(p);

        row[0] = (uint8_t)e->state;
        db_set_u64(row + 1, e->expires);
        memcpy(row + 9, e->by, DSTORE_BY_SIZE);
        db_set_u64(row + ENTRY_SIZE, e->serial);
        db_set_u64(row + ENTRY_SIZE + 8, e->size);
        memcpy(row + ENTRY_SIZE + 16, e->lock, SHA256_SIZE);
        return row_put(s, txn, TABLE_ENTRY, &k,
                (Bytes){row, e->state == ENTRY_GONE ? ENTRY_SIZE : ENTRY_HELD_SIZE}, (Bytes){});
}

/* 1 with the entry, 0 without one; it may be over. */
static int entry_get(DbTxn *txn, Place p, Entry *ret) {
        DbKey k = entry_key(p);
        DbValue v;
        Bytes b;
        int r;

        r = db_get(txn, TABLE_ENTRY, &k, &v);
        if (r > 0)
                r = row_body(v, &b) < 0 || entry_parse(b, ret) < 0 ? -EUCLEAN : 1;
        return r;
}

/* Usage */

enum {
        USAGE_ALL,
        USAGE_SET,
        USAGE_BY,
        _USAGE_MAX,
};

typedef struct Usage {
        DStoreUsage use;
        uint64_t serial; /* of a set: the last one given out */
} Usage;

#define USAGE_SIZE (5 * 8)

/* What is read before the first row of a change is written. */
typedef struct Books {
        DbKey keys[_USAGE_MAX];
        Usage usage[_USAGE_MAX];
} Books;

static int usage_get(DbTxn *txn, const DbKey *k, Usage *ret) {
        DbValue v;
        Bytes b;
        int r;

        *ret = (Usage){};
        r = db_get(txn, TABLE_USAGE, k, &v);
        if (r <= 0)
                return r;
        if (row_body(v, &b) < 0 || b.size != USAGE_SIZE)
                return -EUCLEAN;
        *ret = (Usage){
                .use.items = db_get_u64(b.data),
                .use.bytes = db_get_u64(b.data + 8),
                .use.listed = db_get_u64(b.data + 16),
                .use.tombstones = db_get_u64(b.data + 24),
                .serial = db_get_u64(b.data + 32),
        };
        return 0;
}

static int usage_put(LmdbStore *s, DbTxn *txn, const DbKey *k, const Usage *u) {
        uint8_t row[USAGE_SIZE];
        int r;

        if (u->use.items == 0 && u->use.tombstones == 0) {
                r = db_del(txn, TABLE_USAGE, k);
                return MIN(r, 0);
        }
        db_set_u64(row, u->use.items);
        db_set_u64(row + 8, u->use.bytes);
        db_set_u64(row + 16, u->use.listed);
        db_set_u64(row + 24, u->use.tombstones);
        db_set_u64(row + 32, u->serial);
        return row_put(s, txn, TABLE_USAGE, k, (Bytes){row, sizeof(row)}, (Bytes){});
}

static DbKey usage_key(const uint8_t *key) {
        DbKey k = DB_KEY_NULL;

        if (key)
                db_key_bytes(&k, key, SHA256_SIZE);
        else
                db_key_u8(&k, 0);
        return k;
}

/* With memory for the rows, and for a value of SIZE. */
static int books_open(
        LmdbStore *s, DbTxn *txn, const uint8_t *key, const uint8_t *by, size_t size, Books *ret) {
        int r = row_reserve(s, MAX(size, (size_t)ENTRY_HELD_SIZE));

        ret->keys[USAGE_ALL] = usage_key(NULL);
        ret->keys[USAGE_SET] = ret->keys[USAGE_BY] = usage_key(key);
        db_key_bytes(&ret->keys[USAGE_BY], by, DSTORE_BY_SIZE);
        for (unsigned i = 0; i < _USAGE_MAX && r >= 0; i++)
                r = usage_get(txn, &ret->keys[i], &ret->usage[i]);
        return r;
}

static DStoreUsage entry_usage(const Entry *e) {
        if (!e)
                return (DStoreUsage){};
        if (e->state == ENTRY_GONE)
                return (DStoreUsage){.tombstones = 1};
        return (DStoreUsage){.items = 1, .bytes = e->size, .listed = e->state == ENTRY_HELD};
}

/* NEW takes the place of OLD; either may be NULL. -EUCLEAN where OLD was never counted. */
static int books_change(Books *b, const Entry *old, const Entry *new) {
        DStoreUsage minus = entry_usage(old), plus = entry_usage(new);

        for (unsigned i = 0; i < _USAGE_MAX; i++) {
                DStoreUsage *u = &b->usage[i].use;

                if (u->items < minus.items || u->bytes < minus.bytes || u->listed < minus.listed ||
                        u->tombstones < minus.tombstones)
                        return -EUCLEAN;
                u->items += plus.items - minus.items;
                u->bytes += plus.bytes - minus.bytes;
                u->listed += plus.listed - minus.listed;
                u->tombstones += plus.tombstones - minus.tombstones;
        }
        return 0;
}

/* Changes */

/* What OLD had beside its entry. */
static int entry_strip(DbTxn *txn, Place p, const Entry *old) {
        DbKey item = item_key(p.key, old->serial), note = entry_key(p), due = due_key(p, old);
        int r;

        r = db_del(txn, TABLE_DUE, &due);
        if (r >= 0 && old->state == ENTRY_HELD)
                r = db_del(txn, TABLE_ITEM, &item);
        if (r >= 0 && old->state == ENTRY_NOTED)
                r = db_del(txn, TABLE_NOTE, &note);
        return MIN(r, 0);
}

/* NEW takes the place of OLD; either may be NULL. The item or the note of NEW is the caller's.
 * Everything has been read by now: what fails from here on is the batch. */
static int entry_write(
        LmdbStore *s, DbTxn *txn, Place p, const Books *b, const Entry *old, const Entry *new) {
        DbKey k = entry_key(p), due;
        int r = 0;

        if (old)
                r = entry_strip(txn, p, old);
        if (r >= 0 && !new)
                r = db_del(txn, TABLE_ENTRY, &k);
        if (r >= 0 && new)
                r = entry_put(s, txn, p, new);
        if (r >= 0 && new) {
                due = due_key(p, new);
                r = db_put(txn, TABLE_DUE, &due, "", 0);
        }
        for (unsigned i = 0; i < _USAGE_MAX && r >= 0; i++)
                r = usage_put(s, txn, &b->keys[i], &b->usage[i]);
        return MIN(r, 0);
}

/* With a NOTE for an entry that is to have one. */
static int entry_replace(
        LmdbStore *s, DbTxn *txn, Place p, const Entry *old, const Entry *new, Bytes note) {
        DbKey k = entry_key(p);
        Books b;
        int r;

        r = books_open(s, txn, p.key, old->by, note.size, &b);
        if (r >= 0)
                r = books_change(&b, old, new);
        if (r >= 0)
                r = entry_write(s, txn, p, &b, old, new);
        if (r >= 0 && note.size > 0)
                r = row_put(s, txn, TABLE_NOTE, &k, note, (Bytes){});
        return r;
}

static int entry_bury(LmdbStore *s, DbTxn *txn, Place p, const Entry *old) {
        Entry new = {.state = ENTRY_GONE, .expires = loop_realtime(s->loop)};

        memcpy(new.by, old->by, DSTORE_BY_SIZE);
        return entry_replace(s, txn, p, old, &new, (Bytes){});
}

static int entry_note(LmdbStore *s, DbTxn *txn, Place p, const Entry *old, Bytes note) {
        Entry new = *old;

        new.state = ENTRY_NOTED;
        new.size = note.size;
        return entry_replace(s, txn, p, old, &new, note);
}

/* 1 where an item is held. */
static int held_get(LmdbStore *s, DbTxn *txn, Place p, Entry *ret) {
        int r = entry_get(txn, p, ret);

        return r > 0 ? ret->state != ENTRY_GONE && ret->expires > loop_realtime(s->loop) : r;
}

/* Steps */

typedef struct SetStep {
        LmdbStep step;
        DStoreSetFn fn;
        uint64_t result;
} SetStep;

static void set_done(LmdbStep *step, int error) {
        SetStep *x = CONTAINER_OF(step, SetStep, step);

        if (!step->forgotten)
                x->fn(step->userdata, error, x->result);
}

/* NULL: the caller has been told. */
static SetStep *set_begin(DStore *d, DStoreSetFn fn, void *userdata) {
        LmdbStep *step;
        SetStep *x;
        int r;

        r = lmdb_step_new(lmdb_store(d), sizeof(*x), set_done, userdata, &step);
        if (r < 0) {
                fn(userdata, r, 0);
                return NULL;
        }
        x = CONTAINER_OF(step, SetStep, step);
        x->fn = fn;
        return x;
}

static bool quota_has_room(const DStoreQuota *q, const DStoreUsage *u, uint64_t size) {
        return u->items < q->items && q->bytes >= size && u->bytes <= q->bytes - size &&
                u->tombstones < q->items * DSTORE_TOMBSTONES_PER_ITEM;
}

static int item_put(
        LmdbStore *s, DbTxn *txn, const uint8_t *key, uint64_t serial, const DStoreItem *item) {
        DbKey k = item_key(key, serial);
        uint8_t head[ITEM_HEAD_SIZE];

        memcpy(head, item->id, SHA256_SIZE);
        db_set_u64(head + SHA256_SIZE, item->expires);
        return row_put(s, txn, TABLE_ITEM, &k, (Bytes){head, sizeof(head)}, item->blob);
}

static int add_write(LmdbStore *s, DbTxn *txn, const DStoreAdd *a, Place p, Books *b) {
        Entry e = {.state = ENTRY_HELD, .expires = a->item.expires, .size = a->item.blob.size};
        int r;

        memcpy(e.by, a->by, DSTORE_BY_SIZE);
        memcpy(e.lock, a->lock, SHA256_SIZE);
        e.serial = ++b->usage[USAGE_SET].serial;
        r = row_check_room(s);
        if (r >= 0)
                r = books_change(b, NULL, &e);
        if (r >= 0)
                r = item_put(s, txn, a->key, e.serial, &a->item);
        return r < 0 ? r : entry_write(s, txn, p, b, NULL, &e);
}

static int add_step(LmdbStore *s, DbTxn *txn, const DStoreAdd *a, uint64_t *ret) {
        Place p = {a->key, a->item.id};
        Entry old;
        Books b;
        int r;

        r = entry_get(txn, p, &old);
        if (r > 0 && entry_end(&old) > loop_realtime(s->loop)) {
                *ret = old.state == ENTRY_GONE ? SET_GONE : SET_EXISTS;
                return 0;
        }
        if (r > 0) /* it is over, and only waits for its removal */
                r = entry_replace(s, txn, p, &old, NULL, (Bytes){});
        if (r >= 0)
                r = books_open(s, txn, a->key, a->by, ITEM_HEAD_SIZE + a->item.blob.size, &b);
        if (r < 0)
                return r;
        *ret = !quota_has_room(&a->of_by, &b.usage[USAGE_BY].use, a->item.blob.size) ? SET_BY_FULL
                : !quota_has_room(&a->of_set, &b.usage[USAGE_SET].use, a->item.blob.size) ? SET_FULL
                                                                                          : SET_OK;
        return *ret == SET_OK ? add_write(s, txn, a, p, &b) : 0;
}

void lmdb_set_add(DStore *d, const DStoreAdd *add, DStoreSetFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        SetStep *x = set_begin(d, fn, userdata);

        if (x)
                x->step.error = add_step(s, db_write(s->db), add, &x->result);
}

/* Ends those of IDS that are held, or gives them a note. One that is damaged does not keep the
 * others. */
static void each_held(SetStep *x, const uint8_t *key, const uint8_t (*ids)[SHA256_SIZE], size_t n,
        const Bytes *note) {
        LmdbStore *s = x->step.store;
        DbTxn *txn = db_write(s->db);

        for (size_t i = 0; i < n; i++) {
                Place p = {key, ids[i]};
                Entry e;
                int r;

                r = held_get(s, txn, p, &e);
                if (r == 0)
                        continue;
                if (r > 0)
                        r = note ? entry_note(s, txn, p, &e, *note) : entry_bury(s, txn, p, &e);
                x->result += r >= 0;
                x->step.error = MIN(x->step.error, r);
        }
}

void lmdb_set_ack(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreSetFn fn, void *userdata) {
        SetStep *x = set_begin(d, fn, userdata);

        if (x)
                each_held(x, key, ids, n, NULL);
}

void lmdb_set_note(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, Bytes note, DStoreSetFn fn, void *userdata) {
        SetStep *x = set_begin(d, fn, userdata);

        assert(note.size > 0);
        if (x)
                each_held(x, key, ids, n, &note);
}

static int withdraw_step(LmdbStore *s, DbTxn *txn, Place p, const uint8_t *lock, uint64_t *ret) {
        Entry e;
        int r;

        *ret = SET_OK;
        r = held_get(s, txn, p, &e);
        if (r <= 0)
                return r;
        if (memcmp(e.lock, lock, SHA256_SIZE) != 0) {
                *ret = SET_LOCKED;
                return 0;
        }
        return entry_bury(s, txn, p, &e);
}

void lmdb_set_withdraw(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t id[static SHA256_SIZE], const uint8_t lock[static SHA256_SIZE],
        DStoreSetFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        SetStep *x = set_begin(d, fn, userdata);

        if (x)
                x->step.error =
                        withdraw_step(s, db_write(s->db), (Place){key, id}, lock, &x->result);
}

/* Expiry */

#define DUE_SIZE (8 + 2 * SHA256_SIZE)

/* 1 with the key of the first row, which is changed by then before the next look. */
static int due_first(DbTxn *txn, uint8_t ret[static DUE_SIZE]) {
        DbValue key, value;
        DbCursor c;
        int r;

        r = db_cursor_open(txn, TABLE_DUE, &DB_KEY_NULL, NULL, false, &c);
        if (r < 0)
                return r;
        r = db_cursor_next(&c, &key, &value);
        if (r > 0 && key.size != DUE_SIZE)
                r = -EUCLEAN;
        if (r > 0)
                memcpy(ret, key.data, DUE_SIZE);
        db_cursor_close(&c);
        return r;
}

/* Where the entry is damaged, or another one than this row says, the row goes at least, or it would
 * keep all that are behind it. */
static int due_end(LmdbStore *s, DbTxn *txn, const uint8_t due[static DUE_SIZE]) {
        Place p = {due + 8, due + 8 + SHA256_SIZE};
        DbKey k = DB_KEY_NULL;
        Entry e;
        int r;

        r = entry_get(txn, p, &e);
        if (r > 0 && entry_end(&e) == db_get_u64(due))
                r = entry_replace(s, txn, p, &e, NULL, (Bytes){});
        else if (r >= 0)
                r = -EUCLEAN;
        if (r == -EUCLEAN) {
                db_key_bytes(&k, due, DUE_SIZE);
                (void)db_del(txn, TABLE_DUE, &k);
        }
        return r;
}

static int expire_step(LmdbStore *s, DbTxn *txn, uint64_t now, unsigned budget, uint64_t *ret) {
        uint8_t due[DUE_SIZE];
        int r, error = 0;

        *ret = 0;
        while ((r = due_first(txn, due)) > 0) {
                *ret = db_get_u64(due);
                if (*ret > now || budget-- == 0)
                        break;
                *ret = 0;
                r = due_end(s, txn, due);
                error = MIN(error, r);
                if (r < 0 && r != -EUCLEAN)
                        break;
        }
        return MIN(error, r);
}

void lmdb_set_expire(DStore *d, uint64_t now, unsigned budget, DStoreSetFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        SetStep *x = set_begin(d, fn, userdata);

        if (x)
                x->step.error = expire_step(s, db_write(s->db), now, budget, &x->result);
}

/* The end of a set */

/* 1 with the id of the first entry, which is gone by then before the next look. */
static int set_first(DbTxn *txn, const uint8_t *key, uint8_t ret[static SHA256_SIZE]) {
        DbKey prefix = DB_KEY_NULL;
        DbValue k, v;
        DbCursor c;
        int r;

        db_key_bytes(&prefix, key, SHA256_SIZE);
        r = db_cursor_open(txn, TABLE_ENTRY, &prefix, NULL, false, &c);
        if (r < 0)
                return r;
        r = db_cursor_next(&c, &k, &v);
        if (r > 0 && k.size != 2 * SHA256_SIZE)
                r = -EUCLEAN;
        if (r > 0)
                memcpy(ret, k.data + SHA256_SIZE, SHA256_SIZE);
        db_cursor_close(&c);
        return r;
}

static int clear_step(
        LmdbStore *s, DbTxn *txn, const uint8_t *key, unsigned budget, uint64_t *ret) {
        uint8_t id[SHA256_SIZE];
        Place p = {key, id};
        Entry e;
        int r;

        *ret = 0;
        while ((r = set_first(txn, key, id)) > 0) {
                if (budget-- == 0) {
                        *ret = 1;
                        break;
                }
                r = entry_get(txn, p, &e);
                if (r > 0)
                        r = entry_replace(s, txn, p, &e, NULL, (Bytes){});
                if (r < 0)
                        break;
        }
        return MIN(r, 0);
}

void lmdb_set_clear(DStore *d, const uint8_t key[static SHA256_SIZE], unsigned budget,
        DStoreSetFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        SetStep *x = set_begin(d, fn, userdata);

        if (x)
                x->step.error = clear_step(s, db_write(s->db), key, budget, &x->result);
}

/* Reads */

typedef struct Page {
        DStoreItem items[DSTORE_PAGE_MAX];
        size_t n, bytes;
        uint64_t after;
        bool more;
} Page;

static int item_parse(DbValue key, DbValue value, uint64_t *ret_serial, DStoreItem *ret) {
        Bytes b;

        if (key.size != SHA256_SIZE + 8 || row_body(value, &b) < 0 || b.size < ITEM_HEAD_SIZE)
                return -EUCLEAN;
        *ret_serial = db_get_u64(key.data + SHA256_SIZE);
        memcpy(ret->id, b.data, SHA256_SIZE);
        ret->expires = db_get_u64(b.data + SHA256_SIZE);
        ret->blob = (Bytes){b.data + ITEM_HEAD_SIZE, b.size - ITEM_HEAD_SIZE};
        return 0;
}

/* False: it is full. */
static bool page_add(Page *p, const DStorePage *want, const DStoreItem *item, uint64_t serial) {
        p->more = p->n == want->items || (p->n > 0 && p->bytes + item->blob.size > want->bytes);
        if (p->more)
                return false;
        p->items[p->n++] = *item;
        p->bytes += item->blob.size;
        p->after = serial;
        return true;
}

static int page_fill(
        LmdbStore *s, DbTxn *txn, const uint8_t *key, const DStorePage *want, Page *p) {
        DbKey prefix = DB_KEY_NULL, start = item_key(key, want->after + 1);
        uint64_t now = loop_realtime(s->loop), serial;
        DbValue k, v;
        DStoreItem item;
        DbCursor c;
        int r;

        db_key_bytes(&prefix, key, SHA256_SIZE);
        r = db_cursor_open(txn, TABLE_ITEM, &prefix, &start, false, &c);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&c, &k, &v)) > 0) {
                r = item_parse(k, v, &serial, &item);
                if (r < 0 || (item.expires > now && !page_add(p, want, &item, serial)))
                        break;
        }
        db_cursor_close(&c);
        return MIN(r, 0);
}

void lmdb_set_list(DStore *d, const uint8_t key[static SHA256_SIZE], const DStorePage *page,
        DStoreListFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        Page p = {.after = page->after};
        DbTxn *txn;
        int r;

        assert(page->items <= DSTORE_PAGE_MAX);
        if (page->after == UINT64_MAX) {
                fn(userdata, 0, NULL, 0, page->after, false);
                return;
        }
        r = lmdb_read_begin(s, &txn);
        if (r < 0) {
                fn(userdata, r, NULL, 0, 0, false);
                return;
        }
        r = page_fill(s, txn, key, page, &p);
        fn(userdata, r, p.items, p.n, p.after, p.more);
        lmdb_read_end(s);
}

static int found_get(LmdbStore *s, DbTxn *txn, Place p, DStoreFound *ret) {
        DbKey k = entry_key(p);
        DbValue v;
        Entry e;
        int r;

        *ret = (DStoreFound){};
        r = entry_get(txn, p, &e);
        if (r <= 0 || entry_end(&e) <= loop_realtime(s->loop))
                return MIN(r, 0);
        ret->state = e.state == ENTRY_GONE ? ITEM_GONE : ITEM_HELD;
        if (e.state != ENTRY_NOTED)
                return 0;
        r = db_get(txn, TABLE_NOTE, &k, &v);
        return r > 0 ? row_body(v, &ret->note) : r < 0 ? r : -EUCLEAN;
}

void lmdb_set_find(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreFindFn fn, void *userdata) {
        DStoreFound found[DSTORE_FIND_MAX];
        LmdbStore *s = lmdb_store(d);
        DbTxn *txn;
        int r;

        assert(n <= DSTORE_FIND_MAX);
        r = lmdb_read_begin(s, &txn);
        if (r < 0) {
                fn(userdata, r, NULL);
                return;
        }
        for (size_t i = 0; i < n && r >= 0; i++)
                r = found_get(s, txn, (Place){key, ids[i]}, &found[i]);
        fn(userdata, r, found);
        lmdb_read_end(s);
}

void lmdb_set_usage(DStore *d, const uint8_t *key, DStoreUsageFn fn, void *userdata) {
        LmdbStore *s = lmdb_store(d);
        DbKey k = usage_key(key);
        Usage u = {};
        DbTxn *txn;
        int r;

        r = lmdb_read_begin(s, &txn);
        if (r >= 0) {
                r = usage_get(txn, &k, &u);
                lmdb_read_end(s);
        }
        fn(userdata, r, &u.use);
}
