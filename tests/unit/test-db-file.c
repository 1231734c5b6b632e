/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is in the file: other processes, damage, somebody else's data, and sudden death. */

#include "db-lab.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <lmdb.h>

static int child_status(pid_t pid) {
        int status;

        CHECK(waitpid(pid, &status, 0) == pid);
        return status;
}

TEST(another_process_is_kept_out) {
        Lab lab;
        pid_t pid;
        int status;

        lab_new(&lab);
        lab_open(&lab);
        for (int i = 0; i < 2; i++) {
                pid = fork();
                CHECK(pid >= 0);
                if (pid == 0) {
                        int r = lab_try_open(&lab, TABLES, MAP_SIZE);

                        if (r >= 0)
                                db_close(lab.db);
                        _exit(r == 0 ? 0 : r == -EWOULDBLOCK ? 1 : 2);
                }
                status = child_status(pid);
                CHECK(WIFEXITED(status));
                CHECK_EQ(WEXITSTATUS(status), i == 0 ? 1 : 0);
                lab.db = db_close(lab.db);
        }
        lab_free(&lab);
}

static void read_file(Lab *lab, char **ret, size_t *ret_size) {
        CHECK_OK(fs_read_file(lab->file, MAP_SIZE, ret, ret_size));
}

static void write_file(Lab *lab, const char *data, size_t size) {
        int fd = open(lab->file, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);

        CHECK(fd >= 0);
        CHECK(write(fd, data, size) == (ssize_t)size);
        close(fd);
}

/* Opens what is in the file now; it must still be the same afterwards. */
static int try_damaged(Lab *lab, const char *data, size_t size) {
        _cleanup_(freep) char *after = NULL;
        size_t after_size;
        int r;

        write_file(lab, data, size);
        r = lab_try_open(lab, TABLES, MAP_SIZE);
        if (r >= 0)
                lab->db = db_close(lab->db);
        read_file(lab, &after, &after_size);
        CHECK_EQ(after_size, size);
        CHECK(memcmp(after, data, size) == 0);
        return r;
}

/* A store of some hundred pages, the last of them in use. */
static void make_good(Lab *lab, char **ret, size_t *ret_size) {
        static const uint8_t block[300];

        lab_open(lab);
        for (uint32_t i = 0; i < 3000; i++) {
                DbKey k = key_number(i);

                CHECK_OK(db_put(db_write(lab->db), i % 2, &k, block, sizeof(block)));
        }
        lab->db = db_close(lab->db);
        read_file(lab, ret, ret_size);
}

#define PAGE 4096

TEST(a_damaged_file_is_refused_and_kept) {
        _cleanup_(freep) char *good = NULL;
        _cleanup_(freep) char *bad = NULL;
        size_t size;
        Lab lab;

        lab_new(&lab);
        make_good(&lab, &good, &size);
        bad = malloc(size);
        CHECK(bad && size > 100 * PAGE);

        memcpy(bad, good, size);
        memset(bad, 0, 2 * PAGE);
        CHECK_EQ(try_damaged(&lab, bad, size), -EUCLEAN);
        memset(bad, 0xff, 2 * PAGE);
        CHECK_EQ(try_damaged(&lab, bad, size), -EUCLEAN);
        for (int i = 0; i < 2; i++) {
                memcpy(bad, good, size);
                memset(bad + i * PAGE, 'x', PAGE);
                CHECK_EQ(try_damaged(&lab, bad, size), -EUCLEAN);
        }
        memset(bad, 'x', size);
        CHECK_EQ(try_damaged(&lab, bad, size), -EUCLEAN);
        CHECK_EQ(try_damaged(&lab, bad, 10), -EUCLEAN);

        /* Cut off: in the first page, in the middle, by one page, by one byte. */
        CHECK_EQ(try_damaged(&lab, good, 100), -EUCLEAN);
        CHECK_EQ(try_damaged(&lab, good, 2 * PAGE), -EUCLEAN);
        CHECK_EQ(try_damaged(&lab, good, size / 2), -EUCLEAN);
        CHECK_EQ(try_damaged(&lab, good, size - PAGE), -EUCLEAN);
        CHECK_EQ(try_damaged(&lab, good, size - 1), -EUCLEAN);

        CHECK_OK(try_damaged(&lab, good, size));
        lab_free(&lab);
}

/* As on a file system of many terabytes: the store takes less, and so does who looks at it
 * first. */
TEST(damage_is_found_where_the_map_is_too_large) {
        _cleanup_(freep) char *good = NULL;
        size_t size;
        Lab lab;

        lab_new(&lab);
        make_good(&lab, &good, &size);
        write_file(&lab, good, size / 2);
        CHECK_EQ(lab_try_open(&lab, TABLES, UINT64_C(1) << 50), -EUCLEAN);
        write_file(&lab, good, size);
        CHECK_OK(lab_try_open(&lab, TABLES, UINT64_C(1) << 50));
        lab_free(&lab);
}

TEST(random_damage_never_brings_the_program_down) {
        _cleanup_(freep) char *good = NULL;
        _cleanup_(freep) char *bad = NULL;
        unsigned refused = 0;
        size_t size;
        Lab lab;

        lab_new(&lab);
        make_good(&lab, &good, &size);
        bad = malloc(size);
        CHECK(bad);
        srandom(1);
        for (int i = 0; i < 60; i++) {
                memcpy(bad, good, size);
                for (int n = 0; n < 8; n++) {
                        size_t at = i % 3 == 2 ? (size_t)random() % size
                                               : (size_t)(i % 3) * PAGE + (size_t)random() % 168;

                        bad[at] = (char)random();
                }
                refused += try_damaged(&lab, bad, size) < 0;
        }
        CHECK(refused > 10);
        CHECK_OK(try_damaged(&lab, good, size));
        lab_free(&lab);
}

TEST(a_file_that_is_short_of_free_pages_only_is_good) {
        static const uint8_t block[100000];
        DbKey big = key("big");
        MDB_envinfo info;
        struct stat st;
        MDB_env *env;
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        /* Free pages first, which the last commit then has no need to append to. */
        for (uint32_t i = 0; i < 4; i++) {
                CHECK_OK(db_put(db_write(lab.db), TABLE_B, &big, block, sizeof(block)));
                CHECK_OK(db_commit(lab.db));
                CHECK_EQ(db_del(db_write(lab.db), TABLE_B, &big), 1);
                CHECK_OK(put(&lab, "k", "v"));
                CHECK_OK(db_commit(lab.db));
        }
        for (uint32_t i = 0; i < 2000; i++) {
                /* Scattered, so that pages split and empty in any order. */
                DbKey k = key_number(__builtin_bswap32(i % 1000));

                if (i < 1000)
                        CHECK_OK(db_put(db_write(lab.db), TABLE_B, &k, block, 1000));
                else
                        CHECK_EQ(db_del(db_write(lab.db), TABLE_B, &k), 1);
        }
        lab.db = db_close(lab.db);

        /* What this is about: LMDB counts pages that it has never written. */
        CHECK_OK(mdb_env_create(&env));
        CHECK_OK(mdb_env_open(env, lab.path, MDB_RDONLY | MDB_NOLOCK, 0));
        CHECK_OK(mdb_env_info(env, &info));
        mdb_env_close(env);
        CHECK_OK(stat(lab.file, &st));
        CHECK((uint64_t)st.st_size / PAGE <= info.me_last_pgno);

        lab_open(&lab);
        CHECK_EQ(committed(&lab, "k"), 1);
        lab_free(&lab);
}

/* LMDB's own file, but somebody else's: with another table, with no tables at all, and with a row
 * where a table should be. */
static void make_foreign(Lab *lab, const char *table, const char *row) {
        MDB_val k = {.mv_data = (void *)row, .mv_size = strlen(row)}, v = k;
        MDB_env *env;
        MDB_txn *txn;
        MDB_dbi dbi;

        CHECK_OK(fs_mkdir_p(lab->path));
        (void)unlink(lab->file);
        CHECK_OK(mdb_env_create(&env));
        CHECK_OK(mdb_env_set_maxdbs(env, 4));
        CHECK_OK(mdb_env_open(env, lab->path, 0, 0600));
        CHECK_OK(mdb_txn_begin(env, NULL, 0, &txn));
        CHECK_OK(mdb_dbi_open(txn, table, MDB_CREATE, &dbi));
        CHECK_OK(mdb_put(txn, dbi, &k, &v, 0));
        CHECK_OK(mdb_txn_commit(txn));
        mdb_env_close(env);
}

TEST(a_foreign_file_can_be_looked_at_without_a_trace) {
        static const struct {
                const char *table, *row;
                int r;
        } cases[] = {{"zzz", "row", 0}, {NULL, "row", 0}, {NULL, "b", -EMEDIUMTYPE}};
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        Lab lab;

        lab_new(&lab);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(freep) char *before = NULL;
                _cleanup_(freep) char *after = NULL;
                size_t size, after_size;

                make_foreign(&lab, cases[i].table, cases[i].row);
                read_file(&lab, &before, &size);
                CHECK_EQ(lab_try_open(&lab, TABLES, MAP_SIZE), cases[i].r);
                if (cases[i].r >= 0) {
                        CHECK(!db_is_new(lab.db));
                        CHECK_OK(db_cursor_open(
                                db_write(lab.db), TABLE_A, &none, NULL, false, &cursor));
                        CHECK_EQ(db_cursor_next(&cursor, &k, &v), 0);
                        db_cursor_close(&cursor);
                        lab.db = db_close(lab.db);
                }
                read_file(&lab, &after, &after_size);
                CHECK_EQ(after_size, size);
                CHECK(memcmp(before, after, size) == 0);
        }
        lab_free(&lab);
}

/* The disk, as LMDB sees it: these stand before the C library's functions. */
typedef enum Fault {
        FAULT_NONE,
        FAULT_PAGES, /* data does not go to the file */
        FAULT_SYNC,
        FAULT_META, /* nor does what makes the data count */
        _FAULT_MAX,
} Fault;

static Fault fault;

/* Under its plain name, which large files have changed here but not there. */
ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("pwrite");

ssize_t plain_pwrite(int fd, const void *p, size_t n, off_t at) {
        if (fault == FAULT_PAGES || (fault == FAULT_META && n < PAGE)) {
                errno = EIO;
                return -1;
        }
        return syscall(SYS_pwrite64, fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n) {
        if (fault == FAULT_PAGES) {
                errno = EIO;
                return -1;
        }
        return syscall(SYS_writev, fd, v, n);
}

int fdatasync(int fd) {
        if (fault == FAULT_SYNC) {
                errno = EIO;
                return -1;
        }
        return (int)syscall(SYS_fdatasync, fd);
}

typedef struct Outcome {
        int calls, error;
} Outcome;

static void on_outcome(void *userdata, int error) {
        Outcome *o = userdata;

        o->calls++;
        o->error = error;
}

TEST(a_disk_that_fails_is_told_and_heals) {
        Lab lab;

        lab_new(&lab);
        lab_open(&lab);
        CHECK_OK(put(&lab, "before", "v"));
        CHECK_OK(db_commit(lab.db));
        for (Fault f = FAULT_NONE + 1; f < _FAULT_MAX; f++) {
                Outcome o = {};

                CHECK_OK(put(&lab, "lost", "v"));
                CHECK_OK(db_after_commit(lab.db, on_outcome, &o));
                fault = f;
                (void)db_commit(lab.db);
                fault = FAULT_NONE;
                CHECK_EQ(o.calls, 1);
                CHECK_EQ(o.error, -EIO); /* there is room: not the short write of a full disk */
                CHECK_EQ(committed(&lab, "before"), 1);
                CHECK_EQ(committed(&lab, "lost"), 0);

                CHECK_OK(put(&lab, "after", "v"));
                CHECK_OK(db_after_commit(lab.db, on_outcome, &o));
                CHECK_OK(db_commit(lab.db));
                CHECK_EQ(o.error, 0);
                lab.db = db_close(lab.db);
                lab_open(&lab);
                CHECK_EQ(committed(&lab, "after"), 1);
                CHECK_EQ(committed(&lab, "lost"), 0);
        }
        lab_free(&lab);
}

/* A process that writes batches of rows, each with the number of rows there are then, and says
 * after each commit how many that is. */
typedef struct Writer {
        Lab *lab;
        int fd;
        uint32_t n;
        unsigned seed;
} Writer;

static void writer_batch(Writer *w);

static void on_writer_commit(void *userdata, int error) {
        Writer *w = userdata;

        if (error < 0 || write(w->fd, &w->n, sizeof(w->n)) != sizeof(w->n))
                _exit(1);
        writer_batch(w);
}

static void writer_batch(Writer *w) {
        DbTxn *txn = db_write(w->lab->db);
        DbKey head = key("head");
        uint32_t rows = 1 + (uint32_t)rand_r(&w->seed) % 50;

        for (uint32_t i = 0; i < rows; i++) {
                DbKey k = key_number(++w->n);
                uint32_t value = w->n * 2654435761u;

                (void)db_put(txn, TABLE_B, &k, &value, sizeof(value));
        }
        (void)db_put(txn, TABLE_A, &head, &w->n, sizeof(w->n));
        if (db_after_commit(w->lab->db, on_writer_commit, w) < 0)
                _exit(1);
}

static uint32_t read_head(Lab *lab) {
        DbKey head = key("head");
        uint32_t n;
        DbValue v;

        if (db_get(db_write(lab->db), TABLE_A, &head, &v) <= 0)
                return 0;
        CHECK_EQ(v.size, sizeof(n));
        memcpy(&n, v.data, sizeof(n));
        return n;
}

__attribute__((noreturn)) static void run_writer(Lab *outer, int fd, unsigned seed) {
        Lab lab = *outer;
        Writer w = {.lab = &lab, .fd = fd, .seed = seed};

        if (sd_event_new(&lab.event) < 0 || loop_sd_event_new(lab.event, &lab.loop) < 0 ||
                lab_try_open(&lab, TABLES, MAP_SIZE) < 0)
                _exit(1);
        w.n = read_head(&lab);
        writer_batch(&w);
        (void)sd_event_loop(lab.event);
        _exit(1);
}

/* Kills it after some commits; returns what it said last. */
static uint32_t kill_writer(Lab *lab, unsigned round) {
        uint32_t said = 0, n;
        int fds[2], status;
        pid_t pid;

        CHECK_OK(pipe(fds));
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                close(fds[0]);
                run_writer(lab, fds[1], round);
        }
        close(fds[1]);
        for (unsigned i = 0; i < round % 12; i++) {
                CHECK(read(fds[0], &said, sizeof(said)) == sizeof(said));
                for (volatile unsigned k = (unsigned)random() % 100000; k > 0; k--)
                        ; /* another place within a batch each time */
        }
        CHECK_OK(kill(pid, SIGKILL));
        status = child_status(pid);
        CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        while (read(fds[0], &n, sizeof(n)) == sizeof(n))
                said = n;
        close(fds[0]);
        return said;
}

static void check_rows(Lab *lab, uint32_t n) {
        DbTxn *txn = db_write(lab->db);

        CHECK_EQ(db_count(txn, TABLE_B), n);
        for (uint32_t i = 1; i <= n; i++) {
                DbKey k = key_number(i);
                uint32_t value;
                DbValue v;

                CHECK_EQ(db_get(txn, TABLE_B, &k, &v), 1);
                memcpy(&value, v.data, sizeof(value));
                CHECK_EQ(value, i * 2654435761u);
        }
}

TEST(what_was_reported_survives_kill_9) {
        uint32_t said = 0;
        Lab lab;

        lab_new(&lab);
        srandom(9);
        for (unsigned round = 0; round < 50; round++) {
                uint32_t n = kill_writer(&lab, round);

                said = MAX(said, n);
                lab_open(&lab);
                n = read_head(&lab);
                CHECK(n >= said);
                check_rows(&lab, n); /* whole batches only */
                lab.db = db_close(lab.db);
                said = n;
        }
        CHECK(said > 50);
        lab_free(&lab);
}
