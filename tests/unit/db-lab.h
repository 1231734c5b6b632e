/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* A directory for an environment, and the daemons' loop around it. */

#include "test.h"

#include <ftw.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "db/db.h"
#include "net/loop-sd-event.h"
#include "util/fs.h"

enum {
        TABLE_A,
        TABLE_B,
};

static const char *const TABLES[] = {[TABLE_A] = "a", [TABLE_B] = "b", NULL};

#define MAP_SIZE (64 * 1024 * 1024)

typedef struct Lab {
        char dir[64], *path, *file;
        sd_event *event;
        Loop *loop;
        Db *db;
        int n_called;
        int called[16], errors[16];
} Lab;

static inline int lab_try_open(Lab *lab, const char *const *tables, uint64_t map_size) {
        return db_open(lab->path,
                &(DbOptions){.tables = tables, .map_size = map_size, .loop = lab->loop}, &lab->db);
}

static inline void lab_open(Lab *lab) {
        CHECK_OK(lab_try_open(lab, TABLES, MAP_SIZE));
}

static inline void lab_new(Lab *lab) {
        *lab = (Lab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(lab->dir));
        lab->path = fs_join(lab->dir, "db");
        lab->file = fs_join(lab->path, "data.mdb");
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
}

static inline int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static inline void lab_free(Lab *lab) {
        db_close(lab->db);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
        CHECK_OK(nftw(lab->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        free(lab->path);
        free(lab->file);
}

static inline DbKey key(const char *text) {
        DbKey k = DB_KEY_NULL;

        db_key_bytes(&k, text, strlen(text));
        return k;
}

static inline DbKey key_number(uint32_t n) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, n);
        return k;
}

static inline int put(Lab *lab, const char *k, const char *value) {
        DbKey at = key(k);

        return db_put(db_write(lab->db), TABLE_A, &at, value, strlen(value));
}

/* 1 when the row is there for whoever reads now. */
static inline int committed(Lab *lab, const char *k) {
        DbKey at = key(k);
        DbTxn *txn;
        DbValue v;
        int r;

        CHECK_OK(db_read_begin(lab->db, &txn));
        r = db_get(txn, TABLE_A, &at, &v);
        db_read_end(txn);
        return r;
}
