/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "sandbox.h"

#include <stdio.h>

#include "util/fs.h"

#define PROC_SIZE_MAX 16384

/* The decimal number behind KEY in /proc/self/status; 0 where there is none. */
static unsigned long status_number(const char *status, const char *key) {
        const char *at = strstr(status, key);

        return at ? strtoul(at + strlen(key), NULL, 10) : 0;
}

bool sandbox_is_user_namespace(const char *uid_map) {
        unsigned long inside, outside, length, sum = 0;
        int n;

        for (; sscanf(uid_map, "%lu %lu %lu%n", &inside, &outside, &length, &n) == 3;
                uid_map += n) {
                if (inside != outside)
                        return false;
                sum += length;
        }
        return sum > 0 && sum <= 2;
}

/* A shell that belongs to a service inherits INVOCATION_ID= and the like, but not this. */
static bool started_by_systemd(void) {
        const char *pid = getenv("SYSTEMD_EXEC_PID");

        return pid && strtol(pid, NULL, 10) == getpid();
}

ChatCheck sandbox_check(void) {
        _cleanup_(freep) char *status = NULL, *map = NULL;
        ChatCheck check = {.check = "sandbox", .state = "ok"};

        if (!started_by_systemd())
                check.text = "p2pchatd was not started by systemd, and runs without a sandbox.";
        else if (fs_read_file("/proc/self/status", PROC_SIZE_MAX, &status, NULL) < 0 ||
                fs_read_file("/proc/self/uid_map", PROC_SIZE_MAX, &map, NULL) < 0) {
                check.state = "warning";
                check.text = "/proc cannot be read, so nothing is known of the sandbox.";
        } else if (!status_number(status, "\nNoNewPrivs:") ||
                !status_number(status, "\nSeccomp:")) {
                check.state = "warning";
                check.text =
                        "System calls are not filtered, or new privileges can be had: the unit "
                        "was changed.";
                check.advice = "See what changed it: systemctl --user cat p2pchatd.";
        } else if (!sandbox_is_user_namespace(map)) {
                check.state = "warning";
                check.text = "System calls are filtered, but files and devices of the user are not "
                             "hidden: that needs user namespaces, and the unit was changed to do "
                             "without.";
                check.advice =
                        "Where the administrator allows user namespaces (sysctl "
                        "user.max_user_namespaces, kernel.unprivileged_userns_clone), remove "
                        "no-user-namespaces.conf from "
                        "~/.config/systemd/user/p2pchatd.service.d, then: systemctl --user "
                        "daemon-reload; systemctl --user restart p2pchatd.";
        } else
                check.text = "systemd keeps p2pchatd in its sandbox: few files, few system calls, "
                             "no new privileges.";
        return check;
}
