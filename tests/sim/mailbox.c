/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "mailbox.h"

#include <utlist.h>

#include "ledger.h"
#include "util/table.h"

/* The oldest row that this program had of an account. */
typedef struct OldRow {
        uint8_t key[SHA256_SIZE];
        Buffer blob;
        UT_hash_handle hh;
} OldRow;

typedef struct Box Box;

/* A change that is not on disk yet. */
typedef struct Change {
        Box *box;
        uint8_t id[SHA256_SIZE];
        uint64_t expires;
        bool added;
        DStoreSetFn fn; /* NULL: nobody waits for it any more */
        void *userdata;
        struct Change *prev, *next;
} Change;

struct Box {
        DStore base;
        DStore *real;
        Machine *machine;
        OldRow *old;
        Change *changes;
        uint8_t other[SHA256_SIZE]; /* the mailbox that was added to last */
        bool has_other;
        struct {
                uint8_t ids[DSTORE_FIND_MAX][SHA256_SIZE];
                size_t n;
                DStoreFindFn fn;
                void *userdata;
        } find; /* reads are answered at once */
};

static Box *box_of(DStore *d) {
        return CONTAINER_OF(d, Box, base);
}

static bool lies(const Box *b, MachineLie how) {
        return b->machine->lies & 1U << how;
}

/* What changes nothing is handed on. */

static unsigned on_caps(DStore *d) {
        return box_of(d)->real->ops->caps(box_of(d)->real);
}

static void on_rec_merge(
        DStore *d, const DStoreMerge *merges, size_t n, DStoreMergeFn fn, void *userdata) {
        DStore *real = box_of(d)->real;

        real->ops->rec_merge(real, merges, n, fn, userdata);
}

static int on_range_scan(
        DStore *d, DirectoryKind kind, const uint8_t *after, DStoreScanFn fn, void *userdata) {
        DStore *real = box_of(d)->real;

        return real->ops->range_scan(real, kind, after, fn, userdata);
}

static void on_set_note(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, Bytes note, DStoreSetFn fn, void *userdata) {
        DStore *real = box_of(d)->real;

        real->ops->set_note(real, key, ids, n, note, fn, userdata);
}

static void on_set_expire(
        DStore *d, uint64_t now, unsigned budget, DStoreSetFn fn, void *userdata) {
        DStore *real = box_of(d)->real;

        ledger_mail_time(box_of(d)->machine, now);
        real->ops->set_expire(real, now, budget, fn, userdata);
}

static void on_set_clear(DStore *d, const uint8_t key[static SHA256_SIZE], unsigned budget,
        DStoreSetFn fn, void *userdata) {
        DStore *real = box_of(d)->real;

        real->ops->set_clear(real, key, budget, fn, userdata);
}

static void on_set_usage(DStore *d, const uint8_t *key, DStoreUsageFn fn, void *userdata) {
        DStore *real = box_of(d)->real;

        real->ops->set_usage(real, key, fn, userdata);
}

static int on_watch(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
        DStoreWatchFn fn, void *userdata, DStoreWatch **ret) {
        DStore *real = box_of(d)->real;

        return real->ops->watch(real, kind, key, fn, userdata, ret);
}

/* Records */

typedef struct RecGet {
        Box *box;
        uint8_t key[SHA256_SIZE];
        DStoreGetFn fn;
        void *userdata;
} RecGet;

static void on_record(void *userdata, int error, Bytes blob) {
        RecGet *get = userdata;
        OldRow *old;

        HASH_FIND(hh, get->box->old, get->key, SHA256_SIZE, old);
        if (!old && error >= 0 && blob.size > 0) {
                old = calloc(1, sizeof(*old));
                if (!old || buffer_append(&old->blob, blob.data, blob.size) < 0)
                        abort();
                memcpy(old->key, get->key, SHA256_SIZE);
                HASH_ADD(hh, get->box->old, key, SHA256_SIZE, old);
        }
        if (old && error >= 0 && lies(get->box, LIE_OLD_RECORDS))
                blob = buffer_bytes(&old->blob);
        get->fn(get->userdata, error, blob);
}

static void on_rec_get(DStore *d, DirectoryKind kind, const uint8_t key[static SHA256_SIZE],
        DStoreGetFn fn, void *userdata) {
        Box *b = box_of(d);
        RecGet get = {.box = b, .fn = fn, .userdata = userdata};

        memcpy(get.key, key, SHA256_SIZE);
        if (kind == DIRECTORY_USER)
                b->real->ops->rec_get(b->real, kind, key, on_record, &get);
        else
                b->real->ops->rec_get(b->real, kind, key, fn, userdata);
}

/* Changes of mailboxes */

static void on_changed(void *userdata, int error, uint64_t result) {
        Change *c = userdata;
        Box *b = c->box;

        DL_DELETE(b->changes, c);
        if (error >= 0 && c->added && (result == SET_OK || result == SET_EXISTS))
                ledger_mail_kept(b->machine, c->id, c->expires);
        if (error >= 0 && !c->added && result == SET_OK)
                ledger_mail_gone(b->machine, c->id, true);
        if (c->fn)
                c->fn(c->userdata, error, result);
        free(c);
}

static Change *change_new(Box *b, const uint8_t *id, DStoreSetFn fn, void *userdata) {
        Change *c = calloc(1, sizeof(*c));

        if (!c)
                abort();
        *c = (Change){.box = b, .fn = fn, .userdata = userdata};
        memcpy(c->id, id, SHA256_SIZE);
        DL_APPEND(b->changes, c);
        return c;
}

static void on_set_add(DStore *d, const DStoreAdd *add, DStoreSetFn fn, void *userdata) {
        Box *b = box_of(d);
        Change *c;

        memcpy(b->other, add->key, SHA256_SIZE);
        b->has_other = true;
        if (lies(b, LIE_KEEP_NOTHING)) {
                ledger_mail_claimed(b->machine, add->item.id);
                fn(userdata, 0, SET_OK);
                return;
        }
        c = change_new(b, add->item.id, fn, userdata);
        c->added = true;
        c->expires = add->item.expires;
        b->real->ops->set_add(b->real, add, on_changed, c);
}

static void on_set_withdraw(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t id[static SHA256_SIZE], const uint8_t lock[static SHA256_SIZE],
        DStoreSetFn fn, void *userdata) {
        Box *b = box_of(d);

        if (lies(b, LIE_KEEP_FOR_EVER))
                fn(userdata, 0, SET_OK);
        else
                b->real->ops->set_withdraw(
                        b->real, key, id, lock, on_changed, change_new(b, id, fn, userdata));
}

/* All of them in one step, of which the last tells. */
typedef struct Acked {
        Change change; /* the first, so that it can be forgotten as all others */
        size_t n;
        uint8_t ids[][SHA256_SIZE];
} Acked;

static void on_acked(void *userdata, int error, uint64_t result) {
        Acked *a = userdata;

        for (size_t i = 0; error >= 0 && i < a->n; i++)
                ledger_mail_gone(a->change.box->machine, a->ids[i], false);
        DL_DELETE(a->change.box->changes, &a->change);
        if (a->change.fn)
                a->change.fn(a->change.userdata, error, result);
        free(a);
}

static void on_set_ack(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreSetFn fn, void *userdata) {
        Box *b = box_of(d);
        Acked *a;

        if (lies(b, LIE_KEEP_FOR_EVER)) {
                fn(userdata, 0, n);
                return;
        }
        a = calloc(1, sizeof(*a) + n * SHA256_SIZE);
        if (!a)
                abort();
        a->change = (Change){.box = b, .fn = fn, .userdata = userdata};
        a->n = n;
        memcpy(a->ids, ids, n * SHA256_SIZE);
        DL_APPEND(b->changes, &a->change);
        b->real->ops->set_ack(b->real, key, ids, n, on_acked, a);
}

/* What is handed out */

typedef struct Pile {
        DStoreItem items[DSTORE_PAGE_MAX];
        size_t n;
} Pile;

static void pile_add(Pile *p, const DStoreItem *item) {
        uint8_t *data;

        if (p->n == DSTORE_PAGE_MAX)
                return;
        data = malloc(item->blob.size + 1);
        if (!data)
                abort();
        copy_bytes(data, item->blob.data, item->blob.size);
        p->items[p->n] = *item;
        p->items[p->n++].blob.data = data;
}

static void on_piled(
        void *userdata, int error, const DStoreItem *items, size_t n, uint64_t after, bool more) {
        for (size_t i = 0; error >= 0 && i < n; i++)
                pile_add(userdata, &items[i]);
}

/* Of somebody else's and his own, the last first; the first once more, and then not as it was. */
static void hand_out_a_mess(Box *b, const uint8_t *key, DStoreListFn fn, void *userdata) {
        DStorePage page = {.items = DSTORE_PAGE_MAX / 4, .bytes = 16 * 1024};
        Pile p = {};

        if (b->has_other)
                b->real->ops->set_list(b->real, b->other, &page, on_piled, &p);
        b->real->ops->set_list(b->real, key, &page, on_piled, &p);
        for (size_t i = 0, k = p.n; i + 1 < k; i++) {
                DStoreItem item = p.items[--k];

                p.items[k] = p.items[i];
                p.items[i] = item;
        }
        if (p.n > 0 && p.items[0].blob.size < page.bytes) {
                pile_add(&p, &p.items[0]);
                pile_add(&p, &p.items[0]);
                ((uint8_t *)p.items[p.n - 1].blob.data)[p.items[0].blob.size - 1] ^= 1;
        }
        fn(userdata, 0, p.items, p.n, 0, false);
        for (size_t i = 0; i < p.n; i++)
                free((void *)p.items[i].blob.data);
}

static void on_set_list(DStore *d, const uint8_t key[static SHA256_SIZE], const DStorePage *page,
        DStoreListFn fn, void *userdata) {
        Box *b = box_of(d);

        if (lies(b, LIE_WITHHOLD))
                fn(userdata, 0, NULL, 0, 0, false);
        else if (lies(b, LIE_MIX_UP))
                hand_out_a_mess(b, key, fn, userdata);
        else
                b->real->ops->set_list(b->real, key, page, fn, userdata);
}

static void on_found(void *userdata, int error, const DStoreFound *found) {
        DStoreFound shown[DSTORE_FIND_MAX];
        Box *b = userdata;

        for (size_t i = 0; error >= 0 && i < b->find.n; i++) {
                shown[i] = found[i];
                ledger_mail_found(b->machine, b->find.ids[i], found[i].state);
                if (lies(b, LIE_DENY))
                        shown[i] = (DStoreFound){.state = ITEM_UNKNOWN};
                if (lies(b, LIE_CLAIM))
                        shown[i] = (DStoreFound){.state = ITEM_HELD};
        }
        b->find.fn(b->find.userdata, error, shown);
}

static void on_set_find(DStore *d, const uint8_t key[static SHA256_SIZE],
        const uint8_t (*ids)[SHA256_SIZE], size_t n, DStoreFindFn fn, void *userdata) {
        Box *b = box_of(d);

        memcpy(b->find.ids, ids, n * SHA256_SIZE);
        b->find.n = n;
        b->find.fn = fn;
        b->find.userdata = userdata;
        b->real->ops->set_find(b->real, key, ids, n, on_found, b);
}

/* The end */

static void on_forget(DStore *d, void *userdata) {
        Box *b = box_of(d);
        Change *c;

        DL_FOREACH (b->changes, c)
                if (c->userdata == userdata)
                        c->fn = NULL;
        b->real->ops->forget(b->real, userdata);
}

static void box_free(Box *b) {
        OldRow *old, *tmp;
        Change *c, *next;

        HASH_ITER (hh, b->old, old, tmp) {
                HASH_DEL(b->old, old);
                buffer_done(&old->blob);
                free(old);
        }
        DL_FOREACH_SAFE (b->changes, c, next)
                free(c);
        free(b);
}

static void on_close(DStore *d) {
        Box *b = box_of(d);

        dstore_close(b->real);
        box_free(b);
}

int mailbox_store_new(Machine *m, DStore *real, DStore **ret) {
        static DStoreOps ops; /* as the real one's, which does not vary */
        Box *b = calloc(1, sizeof(*b));

        if (!b) {
                dstore_close(real);
                return -ENOMEM;
        }
        ops = (DStoreOps){.caps = on_caps,
                .rec_get = on_rec_get,
                .rec_merge = on_rec_merge,
                .range_scan = on_range_scan,
                .watch = on_watch,
                .unwatch = real->ops->unwatch,
                .set_add = on_set_add,
                .set_list = on_set_list,
                .set_find = on_set_find,
                .set_ack = on_set_ack,
                .set_note = on_set_note,
                .set_withdraw = on_set_withdraw,
                .set_expire = on_set_expire,
                .set_clear = on_set_clear,
                .set_usage = on_set_usage,
                .forget = on_forget,
                .close = on_close};
        *b = (Box){.base = {.ops = &ops}, .real = real, .machine = m};
        *ret = &b->base;
        return 0;
}
