/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A disk that fills, a store that reaches its limit, and what still goes through. */

#include "test.h"

#include <ftw.h>

#include "db/db.h"
#include "full-disk.h"
#include "loop-virtual.h"
#include "util/fs.h"

#define MAP_SIZE (64 * MIB)
#define RESERVE (1 * MIB)

enum {
        TABLE_A,
};

static const char *const TABLES[] = {[TABLE_A] = "a", NULL};

typedef struct Lab {
        char dir[64], *path;
        Loop *loop;
        Db *db;
        unsigned noticed;
} Lab;

static void on_noticed(void *userdata) {
        Lab *lab = userdata;

        lab->noticed++;
}

static void lab_open(Lab *lab) {
        CHECK_OK(db_open(lab->path,
                &(DbOptions){.tables = TABLES, .map_size = MAP_SIZE, .loop = lab->loop}, &lab->db));
        db_set_watch(lab->db, on_noticed, lab);
}

static void lab_new(Lab *lab) {
        *lab = (Lab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(lab->dir));
        lab->path = fs_join(lab->dir, "db");
        snprintf(reserve_path, sizeof(reserve_path), "%s/reserve", lab->path);
        disk_free = 100 * MIB;
        broken = false;
        CHECK_OK(loop_virtual_new(1, &lab->loop));
        lab_open(lab);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void lab_free(Lab *lab) {
        db_close(lab->db);
        loop_virtual_free(lab->loop);
        CHECK_OK(nftw(lab->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        free(lab->path);
}

static void later(Lab *lab) {
        loop_virtual_run(lab->loop, 2 * USEC_PER_SEC);
}

static int put(Lab *lab, uint32_t n, size_t size) {
        static const uint8_t block[1 << 20];
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, n);
        (void)db_put(db_write(lab->db), TABLE_A, &k, block, size);
        return db_commit(lab->db);
}

static int drop(Lab *lab, uint32_t n) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, n);
        (void)db_del(db_write(lab->db), TABLE_A, &k);
        return db_commit(lab->db);
}

static bool has(Lab *lab, uint32_t n) {
        DbKey k = DB_KEY_NULL;
        DbTxn *txn;
        DbValue v;
        bool there;

        db_key_u32(&k, n);
        CHECK_OK(db_read_begin(lab->db, &txn));
        there = db_get(txn, TABLE_A, &k, &v) > 0;
        db_read_end(txn);
        return there;
}

TEST(the_reserve_is_real_private_and_at_most_a_quarter) {
        struct stat st;
        DbRoom room;
        Lab lab;

        lab_new(&lab);
        CHECK(access(reserve_path, F_OK) < 0); /* nothing before the owner says so */
        disk_free = 2 * MIB;
        db_set_reserve(lab.db, RESERVE);
        CHECK_OK(stat(reserve_path, &st));
        CHECK_EQ(st.st_mode & 0777, 0600);
        CHECK_EQ(reserve_size(), MIB / 2);
        db_get_room(lab.db, &room);
        CHECK(room.reserve && !room.full);
        CHECK_OK(db_check_room(lab.db, 90));

        /* It grows with the disk, and is kept when the program ends. */
        disk_free = 50 * MIB;
        later(&lab);
        CHECK_OK(db_check_room(lab.db, 90));
        CHECK_EQ(reserve_size(), RESERVE);
        lab.db = db_close(lab.db);
        CHECK_EQ(reserve_size(), RESERVE);
        disk_free = RESERVE; /* all there is */
        lab_open(&lab);
        db_set_reserve(lab.db, RESERVE);
        CHECK_OK(db_check_room(lab.db, 90));
        CHECK_EQ(reserve_size(), RESERVE);
        lab_free(&lab);
}

TEST(a_full_disk_gives_the_reserve_to_deletions_until_there_is_room) {
        DbRoom room;
        Lab lab;

        lab_new(&lab);
        db_set_reserve(lab.db, RESERVE);
        for (uint32_t i = 0; i < 20; i++)
                CHECK_OK(put(&lab, i, 100000));
        disk_free = RESERVE;
        CHECK_OK(db_check_room(lab.db, 90)); /* nobody has noticed */
        lab.noticed = 0;
        CHECK_EQ(put(&lab, 100, 100000), -ENOSPC);
        CHECK_EQ(lab.noticed, 1);
        CHECK_EQ(db_stats(lab.db)->last_error, -ENOSPC);
        CHECK_EQ(reserve_size(), 0);
        CHECK_EQ(db_check_room(lab.db, 90), -ENOSPC);
        db_get_room(lab.db, &room);
        CHECK(room.full && !room.reserve);
        CHECK(!has(&lab, 100));

        /* What was the reserve's is not taken back from under the deletions. */
        for (uint32_t i = 0; i < 20; i++) {
                later(&lab);
                CHECK_EQ(db_check_room(lab.db, 90), -ENOSPC);
                CHECK_OK(drop(&lab, i));
        }
        CHECK_EQ(reserve_size(), 0);

        disk_free = 50 * MIB;
        lab.noticed = 0;
        later(&lab);
        CHECK_OK(db_check_room(lab.db, 90));
        CHECK_EQ(reserve_size(), RESERVE);
        CHECK_OK(put(&lab, 100, 100000));
        CHECK_EQ(lab.noticed, 1);
        lab_free(&lab);
}

TEST(nobody_looks_at_the_disk_all_the_time) {
        Lab lab;

        lab_new(&lab);
        db_set_reserve(lab.db, RESERVE);
        disk_free = RESERVE;
        CHECK_EQ(put(&lab, 1, 100000), -ENOSPC);
        disk_free = 50 * MIB;
        CHECK_EQ(db_check_room(lab.db, 90), -ENOSPC); /* just looked */
        later(&lab);
        CHECK_EQ(reserve_size(), 0); /* nor without somebody who asks */
        CHECK_OK(db_check_room(lab.db, 90));
        lab_free(&lab);
}

TEST(a_broken_disk_is_not_called_full) {
        Lab lab;

        lab_new(&lab);
        db_set_reserve(lab.db, RESERVE);
        broken = true;
        CHECK_EQ(put(&lab, 1, 100), -EIO);
        CHECK_EQ(reserve_size(), RESERVE);
        CHECK_OK(db_check_room(lab.db, 90));
        broken = false;
        CHECK_OK(put(&lab, 1, 100));
        CHECK_OK(db_stats(lab.db)->last_error);
        lab_free(&lab);
}

TEST(a_full_disk_at_the_start_is_noticed_and_reads_go_on) {
        Lab lab;

        lab_new(&lab);
        CHECK_OK(put(&lab, 1, 100));
        lab.db = db_close(lab.db);
        disk_free = 0;
        lab_open(&lab);
        db_set_reserve(lab.db, RESERVE);
        CHECK_EQ(db_check_room(lab.db, 90), -ENOSPC);
        CHECK(has(&lab, 1));
        disk_free = 50 * MIB;
        later(&lab);
        CHECK_OK(db_check_room(lab.db, 90));
        CHECK_EQ(reserve_size(), RESERVE);
        lab_free(&lab);
}

TEST(a_new_store_on_a_full_disk_leaves_no_half_of_it) {
        Lab lab;

        lab_new(&lab);
        lab.db = db_close(lab.db);
        CHECK_OK(nftw(lab.path, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        disk_free = 0;
        CHECK_EQ(db_open(lab.path,
                         &(DbOptions){.tables = TABLES, .map_size = MAP_SIZE, .loop = lab.loop},
                         &lab.db),
                -ENOSPC);
        disk_free = 50 * MIB;
        lab_open(&lab);
        CHECK_OK(put(&lab, 1, 100));
        lab_free(&lab);
}

TEST(the_limit_counts_what_is_in_use_and_what_is_being_written) {
        DbRoom room;
        DbKey k;
        Lab lab;

        lab_new(&lab);
        db_set_limit(lab.db, 4 * MIB);
        for (uint32_t i = 0; i < 37; i++)
                CHECK_OK(put(&lab, i, 100000));
        CHECK_EQ(db_check_room(lab.db, 90), -EDQUOT);
        CHECK_OK(db_check_room(lab.db, 95));

        /* The open batch as well. */
        k = DB_KEY_NULL;
        db_key_u32(&k, 100);
        CHECK_OK(db_put(db_write(lab.db), TABLE_A, &k, reserve_path, 1));
        CHECK_OK(db_check_room(lab.db, 95));
        for (uint32_t i = 101; i < 105; i++) {
                static const uint8_t block[100000];

                k = DB_KEY_NULL;
                db_key_u32(&k, i);
                CHECK_OK(db_put(db_write(lab.db), TABLE_A, &k, block, sizeof(block)));
        }
        CHECK_EQ(db_check_room(lab.db, 95), -EDQUOT);
        CHECK_OK(db_commit(lab.db));
        CHECK_EQ(db_check_room(lab.db, 95), -EDQUOT);

        /* Deleting gives room, though the file stays as large as it is. */
        for (uint32_t i = 0; i < 20; i++)
                CHECK_OK(drop(&lab, i));
        CHECK_OK(db_check_room(lab.db, 90));
        db_get_room(lab.db, &room);
        CHECK(room.limit == 4 * MIB && room.used > 2 * MIB && room.used < 3 * MIB);
        lab_free(&lab);
}

TEST(the_limit_can_be_moved_and_the_map_follows) {
        DbRoom room;
        Lab lab;

        lab_new(&lab);
        db_set_limit(lab.db, 1 * MIB);
        for (uint32_t i = 0; i < 10; i++)
                CHECK_OK(put(&lab, i, 100000));
        CHECK_EQ(db_check_room(lab.db, 95), -EDQUOT);
        db_set_limit(lab.db, 2 * MAP_SIZE);
        CHECK_OK(db_check_room(lab.db, 95));
        for (uint32_t i = 0; i < 100; i++) /* more than the map had at first */
                CHECK_OK(put(&lab, i, MIB));
        db_set_limit(lab.db, 0);
        db_get_room(lab.db, &room);
        CHECK(room.limit == 4 * MAP_SIZE);
        CHECK_OK(db_check_room(lab.db, 90));
        lab_free(&lab);
}

/* Whatever was wrong when it was looked at: once it is right again, so is the answer. */
TEST(a_reserve_that_cannot_be_reached_is_not_a_full_disk_for_ever) {
        char away[80];
        Lab lab;

        lab_new(&lab);
        db_set_reserve(lab.db, RESERVE);
        snprintf(away, sizeof(away), "%s/away", lab.dir);
        CHECK_OK(rename(lab.path, away));
        disk_free = 0;
        CHECK(put(&lab, 1, 100000) < 0);
        CHECK(db_check_room(lab.db, 90) < 0);
        CHECK_OK(rename(away, lab.path));
        disk_free = 100 * MIB;
        later(&lab);
        CHECK_OK(db_check_room(lab.db, 90));
        CHECK_OK(put(&lab, 1, 100000));
        CHECK_EQ(reserve_size(), RESERVE);
        lab_free(&lab);
}
