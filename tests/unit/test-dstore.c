/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <systemd/sd-event.h>

#include "db/db.h"
#include "net/loop-sd-event.h"
#include "node/dstore.h"
#include "util/fs.h"

/* Blobs here are one letter and a text; the higher letter wins. */
static int merge_letter(Bytes old, Bytes new, uint64_t now, MergeResult *ret) {
        if (new.size == 0)
                return -EBADMSG;
        *ret = old.size == 0 || new.data[0] > old.data[0] ? MERGE_STORED
                : new.data[0] == old.data[0]              ? MERGE_SAME
                                                          : MERGE_STALE;
        return 0;
}

typedef struct Lab {
        char dir[64], *path;
        sd_event *event;
        Loop *loop;
        DStore *d;
} Lab;

static int remove_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
        return remove(path);
}

static void lab_new(Lab *lab) {
        *lab = (Lab){.dir = "/tmp/p2pchat-test-XXXXXX"};
        CHECK(mkdtemp(lab->dir));
        lab->path = fs_join(lab->dir, "directory");
        CHECK_OK(sd_event_new(&lab->event));
        CHECK_OK(loop_sd_event_new(lab->event, &lab->loop));
        CHECK_OK(dstore_lmdb_open(lab->loop, lab->path, &lab->d));
}

static void lab_reopen(Lab *lab) {
        lab->d = dstore_close(lab->d);
        CHECK_OK(dstore_lmdb_open(lab->loop, lab->path, &lab->d));
}

static void lab_free(Lab *lab) {
        dstore_close(lab->d);
        loop_sd_event_free(lab->loop);
        sd_event_unref(lab->event);
        CHECK_OK(nftw(lab->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        free(lab->path);
}

typedef struct Outcome {
        bool called;
        int error;
        MergeResult results[DSTORE_MERGES_MAX];
        size_t n;
} Outcome;

static void on_merged(void *userdata, int error, const MergeResult *results) {
        Outcome *o = userdata;

        CHECK(!o->called);
        o->called = true;
        o->error = error;
        if (error >= 0)
                memcpy(o->results, results, o->n * sizeof(*results));
}

static DStoreMerge row(DirectoryKind kind, uint8_t key, const char *text) {
        return (DStoreMerge){.kind = kind,
                .key = {key},
                .merge = merge_letter,
                .blob = {(const uint8_t *)text, strlen(text)}};
}

static void start(Lab *lab, Outcome *o, size_t n, const DStoreMerge *rows) {
        *o = (Outcome){.n = n};
        lab->d->ops->rec_merge(lab->d, rows, n, on_merged, o);
}

static void finish(Lab *lab, Outcome *o) {
        for (int i = 0; i < 100 && !o->called; i++)
                CHECK(sd_event_run(lab->event, USEC_PER_SEC) >= 0);
        CHECK(o->called);
}

static MergeResult put(Lab *lab, DirectoryKind kind, uint8_t key, const char *text) {
        DStoreMerge m = row(kind, key, text);
        Outcome o;

        start(lab, &o, 1, &m);
        finish(lab, &o);
        CHECK_OK(o.error);
        return o.results[0];
}

static void on_got(void *userdata, int error, Bytes blob) {
        char *text = userdata;

        CHECK_OK(error);
        CHECK(blob.size < 64);
        copy_bytes(text, blob.data, blob.size);
        text[blob.size] = 0;
}

static const char *get(Lab *lab, DirectoryKind kind, uint8_t key) {
        static char text[64];
        const uint8_t k[SHA256_SIZE] = {key};

        strcpy(text, "not called");
        lab->d->ops->rec_get(lab->d, kind, k, on_got, text);
        return text;
}

TEST(what_is_merged_is_kept) {
        Lab lab;

        lab_new(&lab);
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "");
        CHECK_EQ(put(&lab, DIRECTORY_USER, 1, "b first"), MERGE_STORED);
        CHECK_EQ(put(&lab, DIRECTORY_USER, 1, "b again"), MERGE_SAME);
        CHECK_EQ(put(&lab, DIRECTORY_USER, 1, "a late"), MERGE_STALE);
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "b first");
        CHECK_STR(get(&lab, DIRECTORY_NAME, 1), ""); /* another kind */
        CHECK_EQ(put(&lab, DIRECTORY_USER, 1, "c newer"), MERGE_STORED);
        lab_reopen(&lab);
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "c newer");
        lab_free(&lab);
}

TEST(a_step_completes_after_its_commit_and_in_order) {
        DStoreMerge first = row(DIRECTORY_NAME, 1, "a"), second = row(DIRECTORY_NAME, 1, "a other");
        Outcome a, b;
        Lab lab;

        lab_new(&lab);
        start(&lab, &a, 1, &first);
        start(&lab, &b, 1, &second);
        CHECK(!a.called && !b.called);
        CHECK_STR(get(&lab, DIRECTORY_NAME, 1), ""); /* not on disk yet */
        finish(&lab, &b);
        CHECK(a.called);
        CHECK_EQ(a.results[0], MERGE_STORED);
        CHECK_EQ(b.results[0], MERGE_SAME); /* saw the first, though both are in one commit */
        CHECK_STR(get(&lab, DIRECTORY_NAME, 1), "a");
        lab_free(&lab);
}

TEST(a_step_is_all_or_nothing) {
        DStoreMerge rows[2] = {row(DIRECTORY_NAME, 1, "a name"), row(DIRECTORY_USER, 2, "a user")};
        Outcome o;
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(put(&lab, DIRECTORY_USER, 2, "b newer"), MERGE_STORED);
        start(&lab, &o, 2, rows);
        finish(&lab, &o);
        CHECK_OK(o.error);
        CHECK_EQ(o.results[1], MERGE_STALE);
        CHECK_STR(get(&lab, DIRECTORY_NAME, 1), "");

        rows[1].blob.size = 0; /* what the merge rule refuses */
        start(&lab, &o, 2, rows);
        finish(&lab, &o);
        CHECK_EQ(o.error, -EBADMSG);
        CHECK_STR(get(&lab, DIRECTORY_NAME, 1), "");

        rows[1] = row(DIRECTORY_USER, 2, "c user");
        start(&lab, &o, 2, rows);
        finish(&lab, &o);
        CHECK_OK(o.error);
        CHECK_STR(get(&lab, DIRECTORY_NAME, 1), "a name");
        CHECK_STR(get(&lab, DIRECTORY_USER, 2), "c user");
        lab_free(&lab);
}

TEST(closing_keeps_what_was_accepted) {
        DStoreMerge m = row(DIRECTORY_USER, 1, "a");
        Outcome o;
        Lab lab;

        lab_new(&lab);
        start(&lab, &o, 1, &m);
        lab_reopen(&lab);
        CHECK(o.called);
        CHECK_OK(o.error);
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "a");
        lab_free(&lab);
}

TEST(who_is_forgotten_is_not_called) {
        DStoreMerge m = row(DIRECTORY_USER, 1, "a"), n = row(DIRECTORY_USER, 2, "a");
        Outcome a, b;
        Lab lab;

        lab_new(&lab);
        start(&lab, &a, 1, &m);
        start(&lab, &b, 1, &n);
        lab.d->ops->forget(lab.d, &a);
        finish(&lab, &b);
        CHECK(!a.called);
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "a");
        lab_free(&lab);
}

/* Scans */

typedef struct Scan {
        uint8_t keys[300];
        size_t n, stop;
} Scan;

static bool on_row(void *userdata, const uint8_t key[static SHA256_SIZE], Bytes blob) {
        Scan *s = userdata;

        CHECK_EQ(blob.size, 1);
        s->keys[s->n++] = key[0];
        return s->n < s->stop;
}

TEST(a_scan_goes_on_where_it_ended) {
        uint8_t after[SHA256_SIZE];
        Scan s = {.stop = 7};
        unsigned pages = 0;
        Lab lab;

        lab_new(&lab);
        for (unsigned i = 0; i < 40; i++)
                CHECK_EQ(put(&lab, DIRECTORY_NAME, (uint8_t)(i * 6 + 1), "a"), MERGE_STORED);
        CHECK_EQ(put(&lab, DIRECTORY_USER, 2, "a"), MERGE_STORED); /* of no concern */
        do {
                s.stop = s.n + 7;
                memset(after, 0, sizeof(after));
                after[0] = s.n > 0 ? s.keys[s.n - 1] : 0;
                CHECK_OK(lab.d->ops->range_scan(
                        lab.d, DIRECTORY_NAME, s.n > 0 ? after : NULL, on_row, &s));
                pages++;
        } while (s.n == s.stop);
        CHECK_EQ(pages, 6);
        CHECK_EQ(s.n, 40);
        for (unsigned i = 0; i < 40; i++)
                CHECK_EQ(s.keys[i], i * 6 + 1);
        lab_free(&lab);
}

/* Watches */

typedef struct Seen {
        Lab *lab;
        unsigned n;
        char text[64];
        DStoreWatch *watch, *other;
} Seen;

static void on_change(void *userdata, Bytes blob) {
        Seen *s = userdata;

        s->n++;
        on_got(s->text, 0, blob);
        CHECK_STR(get(s->lab, DIRECTORY_USER, 1), s->text); /* reads work here */
        if (s->other) {
                s->lab->d->ops->unwatch(s->other);
                s->other = NULL;
        }
}

TEST(a_change_is_told_once_it_is_on_disk) {
        const uint8_t key[SHA256_SIZE] = {1};
        Seen a = {}, b = {};
        DStoreMerge m;
        Outcome o;
        Lab lab;

        lab_new(&lab);
        a.lab = b.lab = &lab;
        CHECK_OK(lab.d->ops->watch(lab.d, DIRECTORY_USER, key, on_change, &a, &a.watch));
        CHECK_OK(lab.d->ops->watch(lab.d, DIRECTORY_USER, key, on_change, &b, &b.watch));
        m = row(DIRECTORY_USER, 1, "b one");
        start(&lab, &o, 1, &m);
        CHECK_EQ(a.n, 0);
        finish(&lab, &o);
        CHECK_EQ(a.n, 1);
        CHECK_STR(b.text, "b one");
        (void)put(&lab, DIRECTORY_USER, 1, "a stale");
        (void)put(&lab, DIRECTORY_NAME, 1, "z another kind");
        CHECK_EQ(a.n + b.n, 2);

        a.other = b.watch; /* gone before its turn */
        (void)put(&lab, DIRECTORY_USER, 1, "c two");
        CHECK_EQ(a.n, 2);
        CHECK_EQ(b.n, 1);
        lab.d->ops->unwatch(a.watch);
        (void)put(&lab, DIRECTORY_USER, 1, "d three");
        CHECK_EQ(a.n, 2);
        lab_free(&lab);
}

/* What is refused */

static void write_schema(Lab *lab, const uint8_t *p, size_t n) {
        static const char *const tables[] = {"meta", NULL};
        DbOptions options = {.tables = tables, .map_size = 1 << 24, .loop = lab->loop};
        DbKey k = DB_KEY_NULL;
        Db *db;

        db_key_bytes(&k, "schema", 6);
        CHECK_OK(db_open(lab->path, &options, &db));
        CHECK_OK(db_put(db_write(db), 0, &k, p, n));
        CHECK_OK(db_commit(db));
        db_close(db);
}

TEST(the_database_of_another_program_is_refused_and_kept) {
        static const char *const tables[] = {"songs", NULL};
        DbOptions options = {.tables = tables, .map_size = 1 << 24};
        DbKey k = DB_KEY_NULL;
        DbValue v;
        Lab lab;
        Db *db;

        lab_new(&lab);
        lab.d = dstore_close(lab.d);
        CHECK_OK(nftw(lab.path, remove_entry, 8, FTW_DEPTH | FTW_PHYS));
        options.loop = lab.loop;
        db_key_bytes(&k, "title", 5);
        CHECK_OK(db_open(lab.path, &options, &db));
        CHECK_OK(db_put(db_write(db), 0, &k, "words", 5));
        CHECK_OK(db_commit(db));
        db_close(db);
        CHECK_EQ(dstore_lmdb_open(lab.loop, lab.path, &lab.d), -EMEDIUMTYPE);
        CHECK_OK(db_open(lab.path, &options, &db));
        CHECK_EQ(db_get(db_write(db), 0, &k, &v), 1);
        CHECK_OK(db_commit(db));
        db_close(db);
        lab.d = NULL;
        lab_free(&lab);
}

TEST(a_newer_or_foreign_store_is_refused_and_kept) {
        static const uint8_t newer[] = "\1\0\0\0\0\0\2p2pchat directory";
        static const uint8_t other[] = "\1\0\0\0\0\0\1something else that is long";
        static const uint8_t sealed[] = "\2\0\7\0\0\0\1p2pchat directory";
        static const uint8_t own[] = "\1\0\0\0\0\0\1p2pchat directory";
        Lab lab;

        lab_new(&lab);
        CHECK_EQ(put(&lab, DIRECTORY_USER, 1, "a"), MERGE_STORED);
        lab.d = dstore_close(lab.d);
        write_schema(&lab, newer, sizeof(newer) - 1);
        CHECK_EQ(dstore_lmdb_open(lab.loop, lab.path, &lab.d), -EPROTONOSUPPORT);
        write_schema(&lab, sealed, sizeof(sealed) - 1);
        CHECK_EQ(dstore_lmdb_open(lab.loop, lab.path, &lab.d), -EPROTONOSUPPORT);
        write_schema(&lab, other, sizeof(other) - 1);
        CHECK_EQ(dstore_lmdb_open(lab.loop, lab.path, &lab.d), -EMEDIUMTYPE);
        write_schema(&lab, own, sizeof(own) - 1);
        CHECK_OK(dstore_lmdb_open(lab.loop, lab.path, &lab.d));
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "a");
        lab_free(&lab);
}

TEST(a_damaged_store_is_refused_and_kept) {
        _cleanup_(freep) char *file = NULL, *content = NULL;
        char rubbish[8192];
        size_t size;
        Lab lab;

        lab_new(&lab);
        lab.d = dstore_close(lab.d);
        file = fs_join(lab.path, "data.mdb");
        memset(rubbish, 'x', sizeof(rubbish));
        CHECK_OK(fs_write_file(file, rubbish, sizeof(rubbish)));
        CHECK_EQ(dstore_lmdb_open(lab.loop, lab.path, &lab.d), -EUCLEAN);
        CHECK_OK(fs_read_file(file, 1 << 20, &content, &size));
        CHECK_EQ(size, sizeof(rubbish));
        CHECK(memcmp(content, rubbish, size) == 0);
        lab_free(&lab);
}

TEST(a_full_disk_is_told_and_heals) {
        static char large[64 * 1024];
        struct rlimit before, none;
        DStoreMerge m;
        Outcome o;
        Lab lab;

        memset(large, 'a', sizeof(large) - 1);
        lab_new(&lab);
        CHECK_EQ(put(&lab, DIRECTORY_USER, 1, "a"), MERGE_STORED);
        signal(SIGXFSZ, SIG_IGN);
        CHECK_OK(getrlimit(RLIMIT_FSIZE, &before));
        none = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &none));
        m = row(DIRECTORY_USER, 2, large);
        start(&lab, &o, 1, &m);
        finish(&lab, &o);
        CHECK_OK(setrlimit(RLIMIT_FSIZE, &before));
        CHECK(o.error < 0);
        CHECK_STR(get(&lab, DIRECTORY_USER, 1), "a");
        CHECK_STR(get(&lab, DIRECTORY_USER, 2), "");
        CHECK_EQ(put(&lab, DIRECTORY_USER, 2, "b"), MERGE_STORED);
        lab_free(&lab);
}

TEST(the_store_is_private) {
        struct stat st;
        Lab lab;

        lab_new(&lab);
        CHECK_OK(stat(lab.path, &st));
        CHECK_EQ(st.st_mode & 0777, 0700);
        CHECK_OK(dstore_close(lab.d) == NULL ? 0 : -1);
        lab.d = NULL;
        CHECK_OK(chdir(lab.path));
        CHECK_OK(stat("data.mdb", &st));
        CHECK_EQ(st.st_mode & 0777, 0600);
        CHECK_OK(chdir("/"));
        lab_free(&lab);
}
