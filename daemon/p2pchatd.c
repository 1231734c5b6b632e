/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <systemd/sd-event.h>

#include "bus/bus.h"
#include "manager.h"
#include "report.h"
#include "util/fs.h"
#include "util/log.h"

static const char *arg_config;
static const char *arg_state_dir;
static bool arg_check_config;
static bool arg_bus_introspect;

static int print_help(void) {
        printf("p2pchatd [OPTIONS]\n\n"
               "The user's daemon of p2pchat, started by systemd --user or through D-Bus.\n\n"
               "  --config FILE      use FILE, not ~/.config/p2pchat/p2pchatd.conf or /etc's\n"
               "  --state-dir DIR    keep everything in DIR, not in ~/.local/state/p2pchat\n"
               "  --check-config     read the configuration, say what is wrong with it, and exit\n"
               "  --bus-introspect   print the D-Bus interface as XML and exit\n"
               "  --version          print the version and exit\n"
               "  --help             print this and exit\n\n"
               "See p2pchatd(8).\n");
        return 0;
}

enum {
        OPTION_CONFIG = 256,
        OPTION_STATE_DIR,
        OPTION_CHECK_CONFIG,
        OPTION_BUS_INTROSPECT,
        OPTION_VERSION,
        OPTION_HELP,
};

/* 1: go on; 0: done; -EINVAL: wrong command line, said. */
static int parse_argv(int argc, char *argv[]) {
        static const struct option options[] = {
                {"config", required_argument, NULL, OPTION_CONFIG},
                {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
                {"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
                {"bus-introspect", no_argument, NULL, OPTION_BUS_INTROSPECT},
                {"version", no_argument, NULL, OPTION_VERSION},
                {"help", no_argument, NULL, OPTION_HELP},
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case OPTION_CONFIG:
                        arg_config = optarg;
                        break;
                case OPTION_STATE_DIR:
                        arg_state_dir = optarg;
                        break;
                case OPTION_CHECK_CONFIG:
                        arg_check_config = true;
                        break;
                case OPTION_BUS_INTROSPECT:
                        arg_bus_introspect = true;
                        break;
                case OPTION_VERSION:
                        printf("p2pchatd %s\n", P2PCHAT_VERSION);
                        return 0;
                case OPTION_HELP:
                        return print_help();
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, "p2pchatd: unexpected argument: %s\n", argv[optind]);
                return -EINVAL;
        }
        return 1;
}

static int check_config(const char *path) {
        DaemonConfig config;
        ConfigError error;

        if (config_load(&config_schema_daemon, path, &config, &error) < 0) {
                fprintf(stderr, "%s\n", error.text);
                return EXIT_FAILURE;
        }
        (void)config_print_unbuilt(&config_schema_daemon, &config, stdout);
        printf("%s: good\n", path ?: "no configuration file, the defaults hold");
        config_free(&config_schema_daemon, &config);
        return EXIT_SUCCESS;
}

static int state_dir(char **ret) {
        const char *base = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int n;

        if (arg_state_dir)
                n = asprintf(ret, "%s", arg_state_dir);
        else if (base && base[0] == '/')
                n = asprintf(ret, "%s/p2pchat", base);
        else if (home && home[0] == '/')
                n = asprintf(ret, "%s/.local/state/p2pchat", home);
        else
                return -ENOENT;
        return n < 0 ? -ENOMEM : 0;
}

/* EX_TEMPFAIL for what may have passed at another start, which the unit asks for: R > 0 when the
 * bus is gone, or a machine without room. */
static int exit_status(int r) {
        static const int passing[] = {-ENOSPC, -EDQUOT, -ENOMEM, -EMFILE, -ENFILE};

        if (r == 0)
                return EXIT_SUCCESS;
        for (size_t i = 0; i < ELEMENTSOF(passing); i++)
                if (r == passing[i])
                        return EX_TEMPFAIL;
        return r > 0 ? EX_TEMPFAIL : EXIT_FAILURE;
}

/* 0 when it was told to stop, positive when the bus is gone. */
static int run(void) {
        _cleanup_(manager_freep) Manager *m = NULL;
        _cleanup_(freep) char *dir = NULL;
        sd_event *event = NULL;
        int r;

        r = state_dir(&dir);
        if (r < 0)
                return report_start_failed(r,
                        "No place for the state: set HOME or XDG_STATE_HOME, or use --state-dir");
        r = sd_event_default(&event);
        if (r < 0)
                return report_start_failed(r, "The event loop cannot be made: %s", strerror(-r));
        r = manager_new(
                &(ManagerArgs){.event = event, .config_path = arg_config, .state_dir = dir}, &m);
        if (r >= 0) {
                r = sd_event_loop(event);
                if (r < 0 && manager_result(m) >= 0)
                        log_error_errno(r, "The event loop failed");
        }
        manager_free(TAKE_PTR(m));
        sd_event_unref(event);
        return r;
}

int main(int argc, char *argv[]) {
        _cleanup_(freep) char *found = NULL;
        int r;

        log_init();
        umask(0077);
        r = parse_argv(argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        if (arg_bus_introspect)
                return bus_introspect(stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        if (!arg_check_config) {
                r = exit_status(run());
                log_end();
                return r;
        }
        if (!arg_config && config_path_daemon(&found) < 0)
                return EXIT_FAILURE;
        return check_config(arg_config ?: found);
}
