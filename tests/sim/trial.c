/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "trial.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* One that waits instead of working is ended after so many times its processor time. */
#define WALL_CLOCK_FACTOR 20

typedef struct Child {
        pid_t pid; /* 0: none */
        size_t i;
        Verdict *verdict; /* shared with the child */
        int errors; /* its standard error */
        char dir[256]; /* its temporary files, which it leaves behind where it crashes */
} Child;

unsigned trials_at_once(void) {
        cpu_set_t set;

        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return 1;
        return CLAMP((unsigned)CPU_COUNT(&set), 1U, (unsigned)TRIALS_AT_ONCE_MAX);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static void child_done(Child *c) {
        if (c->pid > 0) {
                kill(c->pid, SIGKILL);
                waitpid(c->pid, NULL, 0);
        }
        if (c->verdict)
                munmap(c->verdict, sizeof(*c->verdict));
        if (c->dir[0])
                nftw(c->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        safe_close(c->errors);
        *c = (Child){.errors = -EBADF};
}

/* In memory where that can be: the disks of a world are not for keeping. */
static const char *temporary(void) {
        const char *dir = getenv("TMPDIR");

        return dir ? dir : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static int child_init(Child *c) {
        char dir[sizeof(c->dir)];

        *c = (Child){.errors = memfd_create("errors", MFD_CLOEXEC)};
        if (c->errors < 0)
                return -errno;
        c->verdict = mmap(NULL, sizeof(*c->verdict), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c->verdict == MAP_FAILED) {
                c->verdict = NULL;
                return -errno;
        }
        snprintf(dir, sizeof(dir), "%s/p2pchat-sim-XXXXXX", temporary());
        if (!mkdtemp(dir))
                return -errno;
        memcpy(c->dir, dir, sizeof(dir));
        return 0;
}

/* SIGINT, SIGTERM: the children end with us, and what they have written is removed. */
static volatile sig_atomic_t is_told_to_end;

static void on_signal(int signal) {
        is_told_to_end = 1;
}

static void set_handlers(void (*handler)(int)) {
        static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
        struct sigaction action = {.sa_handler = handler}; /* waitpid() returns */

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                sigaction(signals[i], &action, NULL);
}

static void limit(unsigned cpu_seconds) {
        struct rlimit cpu = {cpu_seconds, cpu_seconds + 1}, core = {};

        setrlimit(RLIMIT_CPU, &cpu);
        setrlimit(RLIMIT_CORE, &core);
        alarm(WALL_CLOCK_FACTOR * cpu_seconds);
}

static int child_start(Child *c, const Trials *t, size_t i) {
        *c->verdict = (Verdict){};
        if (ftruncate(c->errors, 0) < 0)
                return -errno;
        fflush(NULL);
        c->i = i;
        c->pid = fork();
        if (c->pid < 0) {
                c->pid = 0;
                return -errno;
        }
        if (c->pid > 0)
                return 0;

        set_handlers(SIG_DFL);
        limit(t->cpu_seconds);
        dup2(c->errors, STDERR_FILENO);
        setenv("TMPDIR", c->dir, true);
        t->run(t->userdata, i, c->verdict);
        fflush(NULL);
        exit(EXIT_SUCCESS); /* and not _exit(): leaks and coverage count */
}

/* The first line that it has written to standard error: an assertion, or what a sanitizer saw. */
static const char *read_error(const Child *c, char *buf, size_t size) {
        ssize_t n = pread(c->errors, buf, size - 1, 0);
        char *line;

        buf[MAX(n, 0)] = 0;
        line = buf + strspn(buf, "=\n");
        line[strcspn(line, "\n")] = 0;
        return line;
}

static bool is_out_of_time(int signal) {
        return signal == SIGXCPU || signal == SIGALRM || signal == SIGKILL;
}

/* What a child that has not come to its end says by that. */
static void child_judge(const Child *c, int status) {
        const char *oracle = "crashes", *how = "it does not end", *line;
        char error[256], text[64];
        Verdict *v = c->verdict;

        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return;
        if (WIFEXITED(status)) {
                snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(status));
                how = text;
        } else if (is_out_of_time(WTERMSIG(status)))
                oracle = "hangs";
        else
                how = strsignal(WTERMSIG(status));
        snprintf(v->oracle, sizeof(v->oracle), "%s", oracle);
        line = read_error(c, error, sizeof(error));
        snprintf(v->text, sizeof(v->text), "%s%s%s", how, line[0] ? ": " : "", line);
}

static Child *find_child(Child *children, unsigned n, pid_t pid) {
        for (unsigned i = 0; i < n; i++)
                if (children[i].pid == pid)
                        return &children[i];
        return NULL;
}

static int run_all(const Trials *t, Child *children, unsigned n_children, size_t n) {
        unsigned n_running = 0;
        int r;

        for (size_t next = 0; next < n || n_running > 0;) {
                Child *c = find_child(children, n_children, 0);
                int status;
                pid_t pid;

                if (c && next < n) {
                        r = child_start(c, t, next++);
                        if (r < 0)
                                return r;
                        n_running++;
                        continue;
                }
                pid = waitpid(-1, &status, 0);
                if (is_told_to_end)
                        return -EINTR;
                if (pid < 0)
                        return -errno;
                c = find_child(children, n_children, pid);
                if (!c)
                        continue;
                c->pid = 0;
                n_running--;
                child_judge(c, status);
                if (!t->done(t->userdata, c->i, c->verdict))
                        return 0;
        }
        return 0;
}

int trials_run(const Trials *t, size_t n) {
        unsigned n_children = MIN((size_t)(t->at_once ?: trials_at_once()), n);
        Child children[TRIALS_AT_ONCE_MAX];
        int r = 0;

        for (unsigned i = 0; i < n_children; i++)
                children[i] = (Child){.errors = -EBADF};
        for (unsigned i = 0; i < n_children && r >= 0; i++)
                r = child_init(&children[i]);
        is_told_to_end = 0;
        set_handlers(on_signal);
        if (r >= 0)
                r = run_all(t, children, n_children, n);
        for (unsigned i = 0; i < n_children; i++)
                child_done(&children[i]);
        set_handlers(SIG_DFL);
        return r;
}
