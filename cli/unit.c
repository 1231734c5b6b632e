/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "cli/unit.h"

#include <pwd.h>
#include <sched.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>

#include "util/usec.h"

#include "cli/bus-signal.h"

#define SYSTEMD "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define MANAGER SYSTEMD ".Manager"
#define UNIT "p2pchatd.service"

/* What TimeoutStartSec= may allow is more than one who waits. */
#define START_TIMEOUT (30 * USEC_PER_SEC)

/* The first question to systemd. WAIT: on a bus that has only just begun, until systemd is there;
 * where it does not run at all, nobody is there at once. */
static int manager_ask(
        sd_bus *bus, const char *method, const char *unit, bool wait, sd_bus_message **ret) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, SYSTEMD_PATH, MANAGER, method);
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, wait && sd_booted() > 0);
        if (r >= 0 && unit)
                r = sd_bus_message_append(m, "s", unit);
        return r < 0 ? r : sd_bus_call(bus, m, START_TIMEOUT, NULL, ret);
}

/* Starting */

typedef struct Job {
        const char *path;
        bool removed;
        UnitStart start;
} Job;

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path, *unit, *result;
        Job *job = userdata;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &path, &unit, &result) < 0 ||
                !streq(path, job->path))
                return 0;
        job->removed = true;
        job->start = streq(result, "done")    ? UNIT_STARTED
                : streq(result, "dependency") ? UNIT_DEPENDENCY_FAILED
                                              : UNIT_FAILED;
        return 0;
}

/* The connection may be lost on the way: then there is nobody to ask any more. */
static UnitStart job_wait(sd_bus *bus, Job *job) {
        usec_t now = usec_monotonic(), deadline = now + START_TIMEOUT;
        int r = 0;

        for (; !job->removed && r >= 0 && now < deadline; now = usec_monotonic()) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, deadline - now);
                if (r == -EINTR)
                        r = 0;
        }
        return r < 0 ? UNIT_NOT_THERE : job->start;
}

/* On a connection of its own, where no signals wait that a verb has subscribed to. */
UnitStart unit_start(void) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Job job = {.start = UNIT_STARTING};
        int r;

        r = sd_bus_open_user(&bus);
        if (r >= 0)
                r = manager_ask(bus, "Subscribe", NULL, true, NULL);
        if (r >= 0)
                r = sd_bus_match_signal(bus, NULL, SYSTEMD, SYSTEMD_PATH, MANAGER, "JobRemoved",
                        on_job_removed, &job);
        if (r < 0)
                return UNIT_NOT_THERE;
        r = sd_bus_call_method(bus, SYSTEMD, SYSTEMD_PATH, MANAGER, "StartUnit", &error, &reply,
                "ss", UNIT, "replace");
        if (r < 0)
                return sd_bus_error_has_name(&error, SYSTEMD ".NoSuchUnit") ? UNIT_NOT_THERE
                                                                            : UNIT_FAILED;
        if (sd_bus_message_read(reply, "o", &job.path) < 0)
                return UNIT_FAILED;
        return job_wait(bus, &job);
}

/* Looking */

Value *unit_get(Chatc *c) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *unit = NULL, *reply = NULL;
        Value *properties;
        const char *path;

        if (manager_ask(c->bus, "LoadUnit", UNIT, false, &unit) < 0 ||
                sd_bus_message_read(unit, "o", &path) < 0 ||
                sd_bus_call_method(c->bus, SYSTEMD, path, "org.freedesktop.DBus.Properties",
                        "GetAll", NULL, &reply, "s", "") < 0 ||
                value_read(reply, &properties) < 0)
                return NULL;
        if (streq(value_string(properties, "LoadState"), "not-found"))
                return value_free(properties);
        return properties;
}

#define READ_JOURNAL "journalctl --user -u p2pchatd -e"

static const char drop_in_advice[] =
        "mkdir -p ~/.config/systemd/user/p2pchatd.service.d; cp " P2PCHAT_EXAMPLES
        "/no-user-namespaces.conf ~/.config/systemd/user/p2pchatd.service.d/; systemctl --user "
        "daemon-reload";

/* systemd.exec(5): the exit status with which it gives up on a sandbox, before the program runs. */
static bool is_sandbox_failure(uint64_t status) {
        enum {
                EXIT_USER = 217,
                EXIT_CAPABILITIES = 218,
                EXIT_NAMESPACE = 226,
        };

        return status == EXIT_USER || status == EXIT_CAPABILITIES || status == EXIT_NAMESPACE;
}

/* Once more than StartLimitBurst= allows: the unit has failed again without having been tried. Its
 * Result stays that of the try before, unless that one was a good one. */
static bool is_start_limit(const Value *unit) {
        const char *result = value_string(unit, "Result");

        if (streq(result, "start-limit-hit"))
                return true;
        return streq(value_string(unit, "ActiveState"), "failed") && !streq(result, "resources") &&
                value_number(unit, "StateChangeTimestampMonotonic") >
                value_number(unit, "InactiveEnterTimestampMonotonic");
}

/* p2pchatd(8): it will not start, and has said why. */
static bool is_refusal(const Value *unit) {
        return streq(value_string(unit, "Result"), "exit-code") &&
                value_number(unit, "ExecMainStatus") == 1;
}

bool unit_reason(const Value *unit, const char **ret_why, const char **ret_advice) {
        if (streq(value_string(unit, "LoadState"), "masked")) {
                *ret_why = "its unit is masked";
                *ret_advice = "systemctl --user unmask p2pchatd";
        } else if (is_start_limit(unit)) {
                *ret_why = "it was started too often in a short time";
                *ret_advice = READ_JOURNAL "; systemctl --user reset-failed p2pchatd";
        } else if (is_sandbox_failure(value_number(unit, "ExecMainStatus"))) {
                *ret_why = "its sandbox cannot be set up, as where user namespaces are off";
                *ret_advice = drop_in_advice;
        } else if (is_refusal(unit)) {
                *ret_why = "it refused to, as it does when its configuration has a mistake";
                *ret_advice = P2PCHAT_DAEMON " --check-config; " READ_JOURNAL;
        } else
                return false;
        return true;
}

bool unit_is_enabled(const Value *unit) {
        return strncmp(value_string(unit, "UnitFileState"), "enabled", strlen("enabled")) == 0;
}

bool user_lingers(void) {
        const struct passwd *user = getpwuid(getuid());
        _cleanup_(freep) char *path = NULL;

        if (!user || asprintf(&path, "/var/lib/systemd/linger/%s", user->pw_name) < 0) {
                path = NULL;
                return false;
        }
        return access(path, F_OK) == 0;
}

int user_namespaces_try(const char **ret_advice) {
        int status;
        pid_t pid;

        *ret_advice = drop_in_advice;
        fflush(stdout); /* what is printed once stays so, whatever _exit() does under a sanitizer */
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                _exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}
