/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "db/private.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* LMDB's table of free pages. */
#define FREE_DBI 0

int db_count_free(MDB_txn *txn, size_t from, size_t *ret) {
        MDB_cursor *cursor;
        MDB_val k, v;
        size_t n = 0;
        int e;

        e = mdb_cursor_open(txn, FREE_DBI, &cursor);
        if (e)
                return e;
        while ((e = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0) {
                const size_t *pages = v.mv_data; /* their number, then each */

                if (from == 0)
                        n += pages[0]; /* without touching what may be many pages */
                for (size_t i = 1; from > 0 && i < v.mv_size / sizeof(*pages) && i <= pages[0]; i++)
                        n += pages[i] >= from;
        }
        mdb_cursor_close(cursor);
        *ret = n;
        return e == MDB_NOTFOUND ? 0 : e;
}

/* A file may be shorter than its last page says, by pages that were given up again in the
 * transaction that took them. All of those are free; a page that is missing otherwise is lost. */
static int check_size(MDB_env *env, MDB_txn *txn) {
        MDB_envinfo info;
        MDB_stat page;
        size_t there, free_pages;
        struct stat st;
        int e, fd;

        e = mdb_env_get_fd(env, &fd);
        if (!e)
                e = mdb_env_info(env, &info);
        if (!e)
                e = mdb_env_stat(env, &page);
        if (e || fstat(fd, &st) < 0)
                return e ? e : errno;
        there = (size_t)st.st_size / page.ms_psize;
        if (there > info.me_last_pgno)
                return 0;
        e = db_count_free(txn, there, &free_pages);
        if (e)
                return e;
        return free_pages == info.me_last_pgno + 1 - there ? 0 : MDB_CORRUPTED;
}

/* The way down to both ends of a table. */
static int touch_table(MDB_txn *txn, const char *name) {
        MDB_cursor *cursor;
        MDB_val k, v;
        MDB_dbi dbi;
        int e;

        e = mdb_dbi_open(txn, name, 0, &dbi);
        if (!e)
                e = mdb_cursor_open(txn, dbi, &cursor);
        if (e)
                return e == MDB_NOTFOUND ? 0 : e;
        e = mdb_cursor_get(cursor, &k, &v, MDB_LAST);
        if (!e)
                e = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        mdb_cursor_close(cursor);
        return e == MDB_NOTFOUND ? 0 : e;
}

/* Less than any file has, so that LMDB maps what there is of it and no more: the address space that
 * the store is given may be too much for this machine, and nothing would be found out. */
#define PROBE_MAP_SIZE 4096

static int probe(const char *path, const char *const *names) {
        MDB_env *env;
        MDB_txn *txn;
        int e;

        e = mdb_env_create(&env);
        if (!e)
                e = mdb_env_set_mapsize(env, PROBE_MAP_SIZE);
        if (!e)
                e = mdb_env_set_maxdbs(env, DB_TABLES_MAX);
        if (!e)
                e = mdb_env_open(env, path, MDB_RDONLY | MDB_NOLOCK, 0);
        if (!e)
                e = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);
        if (!e)
                e = check_size(env, txn);
        for (size_t i = 0; names[i] && e == 0; i++)
                e = touch_table(txn, names[i]);
        return db_errno(e);
}

/* Whatever it meets stays in here: no core, no report. */
__attribute__((noreturn)) static void probe_child(const char *path, const char *const *names) {
        static const int deadly[] = {SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
        int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                (void)dup2(fd, STDERR_FILENO);
        for (size_t i = 0; i < ELEMENTSOF(deadly); i++)
                (void)signal(deadly[i], SIG_DFL);
        (void)prctl(PR_SET_DUMPABLE, 0);
        _exit(probe(path, names) == -EUCLEAN ? EUCLEAN : 0);
}

int db_probe(const char *path, const char *const *names) {
        int status;
        pid_t pid;

        pid = fork();
        if (pid < 0)
                return 0; /* no room for a process; the file is probably good */
        if (pid == 0)
                probe_child(path, names);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return 0; /* whoever ignores SIGCHLD does not learn it */
        return WIFSIGNALED(status) || WEXITSTATUS(status) == EUCLEAN ? -EUCLEAN : 0;
}
