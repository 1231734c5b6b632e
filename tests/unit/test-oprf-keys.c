/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <ftw.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "db/db.h"
#include "net/loop-sd-event.h"
#include "node/oprf-keys.h"
#include "util/fs.h"

#define NOW (UINT64_C(1800000000) * USEC_PER_SEC)

typedef struct Lab {
        char dir[64], *path;
        sd_event *event;
        Loop *loop;
        OprfKeys *keys;
        unsigned called;
        int error; /* of the last answer */
} Lab;

static void lab_open(Lab *lab) {
        CHECK_OK(oprf_keys_open(lab->loop, lab->path, &lab->keys));
}

static void lab_new(Lab *lab) {
        *lab = (Lab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK_OK(crypto_init());
        CHECK(mkdtemp(lab->dir));
        lab->path = fs_join(lab->dir, "oprf");
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        lab_open(lab);
}

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void lab_free(Lab *lab) {
        oprf_keys_close(lab->keys);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
        CHECK_OK(nftw(lab->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        free(lab->path);
}

/* What was written is on disk. */
static void lab_commit(Lab *lab) {
        int r;

        while ((r = sd_event_run(lab->event, 0)) > 0)
                ;
        CHECK_OK(r);
}

static void lab_again(Lab *lab) {
        lab->keys = oprf_keys_close(lab->keys);
        lab_open(lab);
}

static const uint8_t *account(unsigned n) {
        static uint8_t a[4][KEY_SIZE];
        static unsigned next;
        uint8_t *p = a[next++ % 4];

        memset(p, 0, KEY_SIZE);
        p[0] = (uint8_t)(n >> 8);
        p[1] = (uint8_t)n;
        p[31] = 1;
        return p;
}

static void on_added(void *userdata, int error) {
        Lab *lab = userdata;

        lab->called++;
        lab->error = error;
}

static void add(Lab *lab, unsigned n, uint64_t current, uint64_t id) {
        OprfKey k = {.id = id, .key = {(uint8_t)id}, .memory = 100 + id, .passes = 200 + id};

        CHECK_OK(oprf_keys_add(lab->keys, account(n), current, &k, on_added, lab));
        lab_commit(lab);
}

static bool has(Lab *lab, unsigned n, uint64_t id) {
        OprfKey k;
        int r = oprf_keys_get(lab->keys, account(n), id, &k);

        CHECK(r >= 0);
        if (r > 0)
                CHECK(k.id == id && k.key[0] == (uint8_t)id && k.memory == 100 + id &&
                        k.passes == 200 + id);
        return r > 0;
}

TEST(keys_are_kept) {
        OprfKey k = {.id = 1};
        Lab lab;

        lab_new(&lab);
        CHECK_OK(oprf_keys_add(lab.keys, account(1), 0, &k, on_added, &lab));
        CHECK_EQ(lab.called, 0);
        CHECK_EQ(oprf_keys_get(lab.keys, account(1), 1, &k), 0); /* it is not on disk */
        lab_commit(&lab);
        CHECK_EQ(lab.called, 1);
        CHECK_OK(lab.error);
        CHECK_EQ(oprf_keys_get(lab.keys, account(1), 1, &k), 1);
        add(&lab, 2, 0, INT64_MAX);
        lab_again(&lab);
        CHECK(has(&lab, 2, INT64_MAX) && !has(&lab, 2, 1) && !has(&lab, 1, INT64_MAX));
        lab_free(&lab);
}

TEST(who_has_gone_is_not_told) {
        OprfKey k = {.id = 1};
        Lab lab;

        lab_new(&lab);
        CHECK_OK(oprf_keys_add(lab.keys, account(1), 0, &k, on_added, &lab));
        oprf_keys_forget(lab.keys, &lab);
        lab_commit(&lab);
        CHECK_EQ(lab.called, 0);
        CHECK_EQ(oprf_keys_get(lab.keys, account(1), 1, &k), 1); /* it was accepted */
        lab_free(&lab);
}

TEST(two_wait_beside_the_current_one) {
        Lab lab;

        lab_new(&lab);
        add(&lab, 1, 0, 11);
        add(&lab, 1, 0, 12);
        CHECK(has(&lab, 1, 11) && has(&lab, 1, 12));
        add(&lab, 1, 0, 13); /* nobody has named one yet */
        CHECK(!has(&lab, 1, 11) && has(&lab, 1, 12) && has(&lab, 1, 13));
        add(&lab, 1, 12, 14);
        CHECK(has(&lab, 1, 12) && has(&lab, 1, 13) && has(&lab, 1, 14));
        add(&lab, 1, 12, 15);
        CHECK(has(&lab, 1, 12) && !has(&lab, 1, 13) && has(&lab, 1, 14) && has(&lab, 1, 15));
        add(&lab, 1, 14, 16); /* which was not told when 14 was named */
        CHECK(!has(&lab, 1, 12) && has(&lab, 1, 14) && has(&lab, 1, 15) && has(&lab, 1, 16));
        add(&lab, 1, 99, 17); /* one that is not here */
        CHECK(!has(&lab, 1, 14) && !has(&lab, 1, 15) && has(&lab, 1, 16) && has(&lab, 1, 17));
        CHECK(!has(&lab, 2, 16));
        lab_free(&lab);
}

TEST(what_was_before_the_current_one_goes) {
        Lab lab;

        lab_new(&lab);
        for (uint64_t id = 1; id <= 3; id++)
                add(&lab, 1, 1, id);
        add(&lab, 2, 0, 1);
        CHECK_OK(oprf_keys_settle(lab.keys, account(1), 77)); /* which is not here */
        lab_commit(&lab);
        CHECK(has(&lab, 1, 1) && has(&lab, 1, 2) && has(&lab, 1, 3));
        CHECK_OK(oprf_keys_settle(lab.keys, account(1), 2));
        lab_commit(&lab);
        CHECK(!has(&lab, 1, 1) && has(&lab, 1, 2) && has(&lab, 1, 3));
        CHECK_OK(oprf_keys_settle(lab.keys, account(1), 0));
        lab_commit(&lab);
        CHECK(!has(&lab, 1, 2) && !has(&lab, 1, 3) && has(&lab, 2, 1));
        add(&lab, 1, 0, 4); /* begins again */
        CHECK(has(&lab, 1, 4));
        lab_free(&lab);
}

TEST(nothing_is_left_of_who_was_deleted) {
        static const uint8_t source[OPRF_SOURCE_SIZE] = {7};
        uint64_t now;
        Lab lab;

        lab_new(&lab);
        now = loop_realtime(lab.loop);
        for (uint64_t id = 1; id <= 40; id++)
                add(&lab, 1, 1, id);
        add(&lab, 2, 0, 1);
        CHECK_OK(oprf_keys_remember(lab.keys, account(1), source, now));
        CHECK_OK(oprf_keys_remember(lab.keys, account(2), source, now));
        lab_commit(&lab);
        lab.called = 0;
        CHECK_OK(oprf_keys_remove(lab.keys, account(1), on_added, &lab));
        CHECK(has(&lab, 1, 1) && lab.called == 0);
        lab_commit(&lab);
        CHECK_EQ(lab.called, 1);
        CHECK_OK(lab.error);
        for (uint64_t id = 1; id <= 40; id++)
                CHECK(!has(&lab, 1, id));
        CHECK(has(&lab, 2, 1));
        CHECK_EQ(oprf_keys_knows(lab.keys, account(1), source, now), 0);
        CHECK_EQ(oprf_keys_knows(lab.keys, account(2), source, now), 1);
        CHECK_OK(oprf_keys_remove(lab.keys, account(1), on_added, &lab)); /* again */
        lab_commit(&lab);
        CHECK_EQ(lab.called, 2);
        lab_free(&lab);
}

/* Crowded */

static uint8_t found[64][KEY_SIZE];
static unsigned n_found;

static void on_crowded(void *userdata, const uint8_t a[static KEY_SIZE]) {
        CHECK(n_found < ELEMENTSOF(found));
        memcpy(found[n_found++], a, KEY_SIZE);
}

TEST(those_with_more_than_one_key_are_found) {
        Lab lab;

        lab_new(&lab);
        for (unsigned n = 0; n < 60; n++)
                for (uint64_t id = 1; id <= 1 + n % 3; id++)
                        add(&lab, n, 1, id);
        for (unsigned budget = 1; budget < 200; budget += 7) {
                uint8_t after[KEY_SIZE] = {};
                unsigned steps = 0;
                int r;

                n_found = 0;
                do {
                        r = oprf_keys_crowded(lab.keys, after, budget, on_crowded, NULL);
                        CHECK(r >= 0 && ++steps <= 130);
                } while (r > 0);
                CHECK_EQ(n_found, 40);
                for (unsigned i = 0; i < n_found; i++)
                        CHECK(key_equal(found[i], account(i / 2 * 3 + 1 + i % 2)));
        }
        lab_free(&lab);
}

/* Sources */

static bool knows(Lab *lab, unsigned n, uint8_t source, uint64_t now) {
        uint8_t s[OPRF_SOURCE_SIZE] = {source};
        int r = oprf_keys_knows(lab->keys, account(n), s, now);

        CHECK(r >= 0);
        return r > 0;
}

static void remember(Lab *lab, unsigned n, uint8_t source, uint64_t now) {
        uint8_t s[OPRF_SOURCE_SIZE] = {source};

        CHECK_OK(oprf_keys_remember(lab->keys, account(n), s, now));
        lab_commit(lab);
}

TEST(a_source_is_known_for_a_month) {
        const uint64_t day = USEC_PER_DAY;
        Lab lab;

        lab_new(&lab);
        CHECK(!knows(&lab, 1, 1, NOW));
        remember(&lab, 1, 1, NOW);
        CHECK(knows(&lab, 1, 1, NOW));
        CHECK(!knows(&lab, 1, 2, NOW) && !knows(&lab, 2, 1, NOW));
        lab_again(&lab);
        CHECK(knows(&lab, 1, 1, NOW + 30 * day - 1));
        CHECK(!knows(&lab, 1, 1, NOW + 30 * day));
        CHECK(!knows(&lab, 1, 1, NOW - 2 * day)); /* the clock was set back */
        remember(&lab, 1, 1, NOW + 20 * day);
        CHECK(knows(&lab, 1, 1, NOW + 49 * day));
        lab_free(&lab);
}

TEST(eight_sources_are_kept) {
        const uint64_t day = USEC_PER_DAY;
        Lab lab;

        lab_new(&lab);
        for (uint8_t s = 1; s <= 8; s++)
                remember(&lab, 1, s, NOW + s * USEC_PER_SEC);
        remember(&lab, 1, 1, NOW + 2 * day); /* again: 2 is the oldest now */
        remember(&lab, 2, 1, NOW);
        for (uint8_t s = 1; s <= 8; s++)
                CHECK(knows(&lab, 1, s, NOW + 2 * day));
        remember(&lab, 1, 9, NOW + 2 * day);
        CHECK(!knows(&lab, 1, 2, NOW + 2 * day));
        for (uint8_t s = 3; s <= 9; s++)
                CHECK(knows(&lab, 1, s, NOW + 2 * day));
        CHECK(knows(&lab, 1, 1, NOW + 2 * day) && knows(&lab, 2, 1, NOW + 2 * day));
        CHECK_OK(oprf_keys_settle(lab.keys, account(1), 0)); /* all go with the password */
        lab_commit(&lab);
        CHECK(!knows(&lab, 1, 9, NOW + 2 * day) && knows(&lab, 2, 1, NOW + 2 * day));
        lab_free(&lab);
}

/* What stands for nobody */

TEST(nobody_is_always_the_same) {
        uint8_t alice[KEY_SIZE], bob[KEY_SIZE], again[KEY_SIZE], login[KEY_SIZE], other[KEY_SIZE];
        OprfKey a, b, c;
        Lab lab, elsewhere;

        lab_new(&lab);
        lab_new(&elsewhere);
        oprf_keys_nobody(lab.keys, "alice", alice);
        oprf_keys_nobody(lab.keys, "bob", bob);
        CHECK(!key_equal(alice, bob));
        oprf_keys_fake(lab.keys, alice, &a, login);
        CHECK(a.id > 0 && a.id <= INT64_MAX && key_is_valid(login));
        lab_again(&lab);
        oprf_keys_nobody(lab.keys, "alice", again);
        CHECK(key_equal(alice, again));
        oprf_keys_fake(lab.keys, alice, &b, other);
        CHECK(a.id == b.id && key_equal(a.key, b.key) && key_equal(login, other));
        oprf_keys_fake(lab.keys, bob, &c, other);
        CHECK(a.id != c.id && !key_equal(a.key, c.key) && !key_equal(login, other));
        oprf_keys_nobody(elsewhere.keys, "alice", again); /* each node has a seed of its own */
        CHECK(!key_equal(alice, again));
        oprf_keys_fake(elsewhere.keys, alice, &c, other);
        CHECK(a.id != c.id && !key_equal(a.key, c.key) && !key_equal(login, other));
        lab_free(&lab);
        lab_free(&elsewhere);
}

/* Files that are something else */

static const char *const OTHERS[] = {"meta", "key", "source", NULL};

static void write_meta(Lab *lab, const char *name, Bytes value) {
        DbKey k = DB_KEY_NULL;
        Db *db;

        lab->keys = oprf_keys_close(lab->keys);
        CHECK_OK(db_open(lab->path,
                &(DbOptions){.tables = OTHERS, .map_size = 1 << 20, .loop = lab->loop}, &db));
        db_key_bytes(&k, name, strlen(name));
        if (value.size > 0)
                CHECK_OK(db_put(db_write(db), 0, &k, value.data, value.size));
        else
                CHECK_EQ(db_del(db_write(db), 0, &k), 1);
        CHECK_OK(db_commit(db));
        db_close(db);
}

static int try_open(Lab *lab) {
        return oprf_keys_open(lab->loop, lab->path, &lab->keys);
}

#define LITERAL(s) ((Bytes){.data = (const uint8_t *)(s), .size = sizeof(s) - 1})

TEST(what_is_not_ours_is_left_alone) {
        Lab lab;

        lab_new(&lab);
        write_meta(&lab, "schema", LITERAL("\1\0\0\0\0\0\2p2pchat passwords"));
        CHECK_EQ(try_open(&lab), -EPROTONOSUPPORT);
        write_meta(&lab, "schema", LITERAL("\2\0\0\0\0\0\1p2pchat passwords"));
        CHECK_EQ(try_open(&lab), -EPROTONOSUPPORT);
        write_meta(&lab, "schema", LITERAL("\1\0\0\0\0\0\1p2pchat directory"));
        CHECK_EQ(try_open(&lab), -EMEDIUMTYPE);
        write_meta(&lab, "schema", (Bytes){});
        CHECK_EQ(try_open(&lab), -EMEDIUMTYPE);
        write_meta(&lab, "schema", LITERAL("\1\0\0\0\0\0\1p2pchat passwords"));
        CHECK_OK(try_open(&lab));
        write_meta(&lab, "seed", LITERAL("\1\0\0short"));
        CHECK_EQ(try_open(&lab), -EUCLEAN);
        write_meta(&lab, "seed", (Bytes){}); /* never another one: everybody could tell */
        CHECK_EQ(try_open(&lab), -EUCLEAN);
        lab_free(&lab);
}

TEST(two_programs_do_not_share_it) {
        OprfKeys *second;
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(oprf_keys_open(lab.loop, lab.path, &second), -EWOULDBLOCK);
        lab_free(&lab);
}
