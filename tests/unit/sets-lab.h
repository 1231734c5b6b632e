/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The tracker's store on a virtual clock, and each operation on its sets until it is completed. */

#include "test.h"

#include <ftw.h>

#include "db/db.h"
#include "loop-virtual.h"
#include "node/dstore.h"
#include "util/fs.h"

typedef struct Lab {
        char dir[64], *path;
        Loop *loop;
        DStore *d;
} Lab;

static _unused_ const DStoreQuota ample = {.items = 1000, .bytes = 8 << 20};

static _unused_ void lab_open(Lab *lab) {
        CHECK_OK(dstore_lmdb_open(lab->loop, lab->path, &lab->d));
}

static _unused_ void lab_new_seeded(Lab *lab, uint64_t seed) {
        *lab = (Lab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(lab->dir));
        lab->path = fs_join(lab->dir, "directory");
        CHECK_OK(loop_virtual_new(seed, &lab->loop));
        lab_open(lab);
}

static _unused_ void lab_new(Lab *lab) {
        lab_new_seeded(lab, 1);
}

static _unused_ void lab_reopen(Lab *lab) {
        lab->d = dstore_close(lab->d);
        lab_open(lab);
}

static _unused_ int remove_entry(
        const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static _unused_ void lab_free(Lab *lab) {
        dstore_close(lab->d);
        loop_virtual_free(lab->loop);
        CHECK_OK(nftw(lab->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        free(lab->path);
}

/* Operations, each until its completion */

typedef struct Done {
        unsigned called;
        int error;
        uint64_t result;
} Done;

static _unused_ void on_done(void *userdata, int error, uint64_t result) {
        Done *d = userdata;

        d->called++;
        d->error = error;
        d->result = result;
}

static _unused_ void finish(Lab *lab, const Done *d) {
        loop_virtual_run(lab->loop, 0);
        CHECK_EQ(d->called, 1);
}

static _unused_ void name(uint8_t ret[static SHA256_SIZE], uint8_t number) {
        memset(ret, 0, SHA256_SIZE);
        ret[0] = number;
}

static _unused_ uint64_t in_days(Lab *lab, unsigned days) {
        return loop_realtime(lab->loop) + days * USEC_PER_DAY;
}

/* Item ID of set KEY by BY, whose lock is its id and whose text is what its id says. */
static _unused_ DStoreAdd addition(
        Lab *lab, uint8_t key, uint8_t id, uint8_t by, const char *text) {
        DStoreAdd a = {.item = {.expires = in_days(lab, 30),
                               .blob = {(const uint8_t *)text, strlen(text)}},
                .by = {by},
                .of_set = ample,
                .of_by = ample};

        name(a.key, key);
        name(a.item.id, id);
        name(a.lock, id);
        return a;
}

static _unused_ Done try_add(Lab *lab, const DStoreAdd *a) {
        Done d = {};

        lab->d->ops->set_add(lab->d, a, on_done, &d);
        finish(lab, &d);
        return d;
}

static _unused_ DStoreSetResult add(
        Lab *lab, uint8_t key, uint8_t id, uint8_t by, const char *text) {
        DStoreAdd a = addition(lab, key, id, by, text);
        Done d = try_add(lab, &a);

        CHECK_OK(d.error);
        return d.result;
}

static _unused_ Done try_ack(Lab *lab, uint8_t key, uint8_t id) {
        uint8_t k[SHA256_SIZE], ids[1][SHA256_SIZE];
        Done d = {};

        name(k, key);
        name(ids[0], id);
        lab->d->ops->set_ack(lab->d, k, ids, 1, on_done, &d);
        finish(lab, &d);
        return d;
}

static _unused_ uint64_t ack(Lab *lab, uint8_t key, uint8_t id) {
        Done d = try_ack(lab, key, id);

        CHECK_OK(d.error);
        return d.result;
}

static _unused_ Done try_note(Lab *lab, uint8_t key, uint8_t id, const char *note) {
        uint8_t k[SHA256_SIZE], ids[1][SHA256_SIZE];
        Done d = {};

        name(k, key);
        name(ids[0], id);
        lab->d->ops->set_note(
                lab->d, k, ids, 1, (Bytes){(const uint8_t *)note, strlen(note)}, on_done, &d);
        finish(lab, &d);
        return d;
}

static _unused_ Done try_withdraw(Lab *lab, uint8_t key, uint8_t id, uint8_t lock) {
        uint8_t k[SHA256_SIZE], i[SHA256_SIZE], l[SHA256_SIZE];
        Done d = {};

        name(k, key);
        name(i, id);
        name(l, lock);
        lab->d->ops->set_withdraw(lab->d, k, i, l, on_done, &d);
        finish(lab, &d);
        return d;
}

static _unused_ Done try_clear(Lab *lab, uint8_t key, unsigned budget) {
        uint8_t k[SHA256_SIZE];
        Done d = {};

        name(k, key);
        lab->d->ops->set_clear(lab->d, k, budget, on_done, &d);
        finish(lab, &d);
        return d;
}

static _unused_ Done try_expire(Lab *lab, unsigned budget) {
        Done d = {};

        lab->d->ops->set_expire(lab->d, loop_realtime(lab->loop), budget, on_done, &d);
        finish(lab, &d);
        return d;
}

/* What a page says: "1:one 2:two", with " …" where there is more. */
typedef struct Listed {
        char text[400];
        uint64_t after;
        bool more;
} Listed;

static _unused_ void on_list(
        void *userdata, int error, const DStoreItem *items, size_t n, uint64_t after, bool more) {
        Listed *l = userdata;
        size_t at = 0;

        CHECK_OK(error);
        l->text[0] = 0;
        for (size_t i = 0; i < n; i++)
                at += (size_t)snprintf(l->text + at, sizeof(l->text) - at, "%s%u:%.*s",
                        i > 0 ? " " : "", items[i].id[0], (int)items[i].blob.size,
                        (const char *)items[i].blob.data);
        CHECK(at < sizeof(l->text));
        l->after = after;
        l->more = more;
}

static _unused_ Listed list_page(
        Lab *lab, uint8_t key, uint64_t after, size_t items, size_t bytes) {
        DStorePage page = {.after = after, .items = items, .bytes = bytes};
        Listed l = {.text = "not called"};
        uint8_t k[SHA256_SIZE];

        name(k, key);
        lab->d->ops->set_list(lab->d, k, &page, on_list, &l);
        return l;
}

static const char *list(Lab *lab, uint8_t key) {
        static Listed l;

        l = list_page(lab, key, 0, DSTORE_PAGE_MAX, 1 << 20);
        CHECK(!l.more);
        return l.text;
}

typedef struct Found {
        DStoreItemState state;
        char note[64];
} Found;

static _unused_ void on_found(void *userdata, int error, const DStoreFound *found) {
        Found *f = userdata;

        CHECK_OK(error);
        f->state = found[0].state;
        CHECK(found[0].note.size < sizeof(f->note));
        copy_bytes(f->note, found[0].note.data, found[0].note.size);
}

static _unused_ Found find(Lab *lab, uint8_t key, uint8_t id) {
        uint8_t k[SHA256_SIZE], ids[1][SHA256_SIZE];
        Found f = {.state = 99};

        name(k, key);
        name(ids[0], id);
        lab->d->ops->set_find(lab->d, k, ids, 1, on_found, &f);
        return f;
}

static _unused_ void on_usage(void *userdata, int error, const DStoreUsage *usage) {
        CHECK_OK(error);
        *(DStoreUsage *)userdata = *usage;
}

/* KEY 0: of all. */
static _unused_ DStoreUsage usage(Lab *lab, uint8_t key) {
        uint8_t k[SHA256_SIZE];
        DStoreUsage u = {.items = 99};

        name(k, key);
        lab->d->ops->set_usage(lab->d, key ? k : NULL, on_usage, &u);
        return u;
}
