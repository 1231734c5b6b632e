/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "test.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "sandbox.h"

TEST(the_namespace_is_the_one_that_systemd_makes) {
        CHECK(sandbox_is_user_namespace("         0          0          1\n"
                                        "      1000       1000          1\n"));
        CHECK(sandbox_is_user_namespace("      1000       1000          1\n"));
        CHECK(sandbox_is_user_namespace("         0          0          1\n")); /* root's */
}

TEST(other_namespaces_hide_nothing) {
        CHECK(!sandbox_is_user_namespace("         0          0 4294967295\n")); /* the system */
        CHECK(!sandbox_is_user_namespace("         0     100000      65536\n")); /* a container */
        CHECK(!sandbox_is_user_namespace("         0       1000          1\n")); /* unshare -r */
        CHECK(!sandbox_is_user_namespace("         0       1000          1\n"
                                         "         1     100000      65536\n")); /* rootless */
        CHECK(!sandbox_is_user_namespace(""));
}

/* What a process of systemd says of itself after PREPARE; in a process of its own, since none of it
 * can be taken back. */
static bool child_says(bool (*prepare)(void), const char *state, const char *text) {
        int status;
        pid_t pid;

        fflush(NULL);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                ChatCheck c;
                char number[16];

                snprintf(number, sizeof(number), "%d", (int)getpid());
                if (setenv("SYSTEMD_EXEC_PID", number, 1) < 0 || !prepare())
                        _exit(2);
                c = sandbox_check();
                _exit(streq(c.state, state) && strstr(c.text, text) ? 0 : 1);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(WIFEXITED(status));
        if (WEXITSTATUS(status) == 2)
                printf("# not permitted here: %s\n", text);
        return WEXITSTATUS(status) != 1;
}

static bool prepare_nothing(void) {
        return true;
}

/* As NoNewPrivileges= and SystemCallFilter= do, with a filter that lets everything through. */
static bool prepare_filter(void) {
        struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
        struct sock_fprog program = {ELEMENTSOF(all), all};

        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) >= 0 &&
                prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) >= 0;
}

/* As PrivateUsers=. */
static bool prepare_namespace(void) {
        unsigned id = (unsigned)geteuid();
        char map[64];
        int n = snprintf(map, sizeof(map), "%u %u 1\n", id, id);
        _cleanup_(closep) int fd = -EBADF;

        if (unshare(CLONE_NEWUSER) < 0)
                return false;
        fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        return fd >= 0 && write(fd, map, (size_t)n) == n && prepare_filter();
}

/* Nothing is there. */
static bool prepare_no_proc(void) {
        (void)unshare(CLONE_NEWUSER); /* who is not root may do it in there */
        return chroot("/proc/self/fdinfo") >= 0;
}

TEST(what_there_is_of_the_sandbox_is_said) {
        CHECK_OK(unsetenv("SYSTEMD_EXEC_PID"));
        CHECK(strstr(sandbox_check().text, "was not started by systemd"));
        CHECK(child_says(prepare_nothing, "warning", "System calls are not filtered"));
        CHECK(child_says(
                prepare_filter, "warning", "files and devices of the user are not hidden"));
        CHECK(child_says(prepare_namespace, "ok", "in its sandbox"));
        CHECK(child_says(prepare_no_proc, "warning", "/proc cannot be read"));
}
