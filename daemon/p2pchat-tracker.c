/* SPDX-License-Identifier: GPL-3.0-or-later */

/* p2pchat-tracker: a directory node as a program of its own. See p2pchat-tracker(8). */

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "config/config.h"
#include "events.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "node/address.h"
#include "node/doors.h"
#include "node/key-file.h"
#include "node/node.h"
#include "tracker-journal.h"
#include "tracker-lan.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/notify.h"
#include "util/watchdog.h"
#include "wire/mail.h"

#define PROGRAM "p2pchat-tracker"
#define STATE_DIR_DEFAULT "/var/lib/p2pchat-tracker"

/* Changes in between are joined. */
#define STATUS_DELAY USEC_PER_SEC

typedef enum Action {
        ACTION_RUN,
        ACTION_CHECK_CONFIG,
        ACTION_PRINT_ADDRESS,
} Action;

static Action arg_action = ACTION_RUN;
static const char *arg_config, *arg_state_dir;

typedef struct Tracker {
        TrackerConfig config;
        bool refused; /* the last reload */
        const char *state_dir;
        int lock;
        SignKey key;
        char address[ENDPOINT_KEY_SIZE];

        sd_event *event;
        Loop *loop;
        Net *net;
        DStore *store;
        OprfKeys *passwords;
        Admission *admission;
        NodeLimits limits;
        Node *node;
        Doors doors;
        bool doors_passed; /* by systemd */
        TrackerLan *lan;
        Watchdog *watchdog;
        LoopDefer *watch_status;
        LoopTimer *status_timer;
        NodeStats shown; /* with the next two: what the status line says */
        unsigned shown_connections;
        const char *shown_problem; /* of the directory */
        bool status_is_due; /* the timer is set */
        char status[ENDPOINT_KEY_SIZE + 256];
        TrackerJournal journal;
        int log_level; /* of the start */
        char failure[CONFIG_ERROR_SIZE]; /* fail() */
        const char *failed; /* the event that it is */
} Tracker;

/* Why something fails, a sentence for whoever started the program or wanted it to reload. */
static int fail(Tracker *t, const char *format, ...) _printf_(2, 3);

static int fail(Tracker *t, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vsnprintf(t->failure, sizeof(t->failure), format, ap);
        va_end(ap);
        return -EIO;
}

/* State directory and key */

static const char *state_dir(void) {
        static char first[4096];
        const char *e = getenv("STATE_DIRECTORY");
        size_t n;

        if (arg_state_dir)
                return arg_state_dir;
        if (!e || !e[0])
                return STATE_DIR_DEFAULT;
        n = strcspn(e, ":"); /* one for each StateDirectory=; this program's comes first */
        snprintf(first, sizeof(first), "%.*s", (int)MIN(n, sizeof(first) - 1), e);
        return first;
}

#define BE_ROOT "be root, or name another directory with --state-dir"

static int state_lock(Tracker *t) {
        int r;

        r = fs_mkdir_p(t->state_dir);
        if (r < 0)
                return fail(t, "cannot make the state directory %s: %s%s", t->state_dir,
                        strerror(-r), r == -EACCES ? "; " BE_ROOT : "");
        r = fs_lock_dir(t->state_dir, &t->lock);
        if (r == -EWOULDBLOCK)
                return fail(t, "another " PROGRAM " uses %s", t->state_dir);
        if (r < 0)
                return fail(t, "cannot write the state directory %s: %s%s", t->state_dir,
                        strerror(-r), fs_write_advice(r));
        return 0;
}

/* Root would make files that the service's own user cannot read. */
static int state_check_owner(Tracker *t) {
        struct stat st;

        if (geteuid() == 0 && stat(t->state_dir, &st) >= 0 && st.st_uid != 0)
                return fail(t,
                        "%s holds no key yet and belongs to the service: start that once, "
                        "it makes the key",
                        t->state_dir);
        return 0;
}

/* 0, 1 when there is none yet, or an error that was told. */
static int key_read(Tracker *t) {
        int r = node_key_read(t->state_dir, &t->key);

        if (r == -ENOENT)
                return 1;
        if (r == -EBADMSG)
                return fail(t,
                        "%s/key is damaged: restore it from a backup, or remove it and give "
                        "everybody the new address",
                        t->state_dir);
        if (r == -EACCES)
                return fail(t, "cannot read %s/key: %s; " BE_ROOT, t->state_dir, strerror(-r));
        if (r < 0)
                return fail(t, "cannot read %s/key: %s", t->state_dir, strerror(-r));
        return 0;
}

static int key_create(Tracker *t) {
        int r;

        r = node_key_create(t->state_dir, &t->key);
        if (r < 0)
                return fail(t, "cannot write %s/key: %s%s", t->state_dir, strerror(-r),
                        fs_write_advice(r));
        return 0;
}

static void set_address(Tracker *t) {
        EndpointKey e;

        node_address(&t->config, sign_key_public(&t->key), &e);
        endpoint_key_format(&e, t->address);
}

/* Leaves the state directory locked unless there is a key and LOCK is not set. Nothing is made in a
 * directory before it is clear whose it is. */
static int key_get(Tracker *t, bool lock) {
        int r, missing;

        missing = key_read(t);
        r = missing > 0 ? state_check_owner(t) : missing;
        if (r >= 0 && (missing || lock))
                r = state_lock(t);
        if (r >= 0 && missing)
                r = key_read(t); /* somebody may have been faster */
        return r > 0 ? key_create(t) : r;
}

static int print_address(Tracker *t) {
        int r;

        r = key_get(t, false);
        if (r < 0)
                return r;
        set_address(t);
        if (printf("%s\n", t->address) < 0 || fflush(stdout) != 0)
                return fail(t, "cannot write the address: %s", strerror(errno));
        return 0;
}

/* Listening */

static void on_connection(void *userdata, int fd, const SockAddr *peer) {
        Tracker *t = userdata;
        Transport *transport;
        int r = fd;

        if (fd >= 0)
                r = tcp_transport_new(t->loop, fd, peer, t->admission, &transport);
        if (r >= 0)
                node_accept(t->node, transport);
        else if (r == -EUSERS)
                tracker_journal_crowded(&t->journal, peer);
        else
                tracker_journal_exhausted(&t->journal, r);
}

static int doors_from_config(Tracker *t, const TrackerConfig *config) {
        char text[ENDPOINT_SIZE];
        const Endpoint *e;
        int r;

        r = doors_open(&t->doors, &config->listen, &e);
        if (r < 0)
                return fail(t, "cannot listen on %s: %s", endpoint_format(e->host, e->port, text),
                        strerror(-r));
        return 0;
}

/* Sockets that systemd passes replace those of the configuration. */
static int set_up_doors(Tracker *t) {
        int n = sd_listen_fds(1), r;

        t->doors = (Doors){.loop = t->loop, .fn = on_connection, .userdata = t};
        if (n <= 0)
                return doors_from_config(t, &t->config);
        t->doors_passed = true;
        for (int i = 0; i < n; i++) {
                r = doors_adopt(&t->doors, SD_LISTEN_FDS_START + i);
                if (r < 0)
                        return fail(t, "a socket that systemd passes does not listen for TCP: %s",
                                strerror(-r));
        }
        if (!doors_are(&t->doors, &t->config.listen))
                log_notice("systemd passes other sockets than `listen` names; they count");
        return 0;
}

/* A connection is a descriptor. */
static void raise_descriptor_limit(void) {
        struct rlimit l;

        if (getrlimit(RLIMIT_NOFILE, &l) < 0)
                return;
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
}

/* Status */

/* True when it is another one than was told last. */
static bool status_update(Tracker *t) {
        const NodeStats *s = node_stats(t->node);
        unsigned connections = admission_count(t->admission);
        const char *problem;
        char text[sizeof(t->status)];

        t->shown = *s;
        t->shown_connections = connections;
        t->shown_problem = tracker_journal_problem(&t->journal);
        problem = t->shown_problem ?: t->refused ? "the new configuration was refused" : NULL;
        snprintf(text, sizeof(text),
                "%s: %u connection%s, %u session%s, %u online, %llu message%s in mailboxes (%llu "
                "bytes), %llu new name%s, %u room%s with somebody in it%s%s%s",
                t->address, connections, PLURAL(connections), s->sessions, PLURAL(s->sessions),
                s->online, (unsigned long long)s->mail_items, PLURAL(s->mail_items),
                (unsigned long long)s->mail_bytes, (unsigned long long)s->registrations,
                PLURAL(s->registrations), s->rooms, PLURAL(s->rooms), problem ? "; " : "",
                problem ?: "", problem ? ", see the journal" : "");
        if (streq(text, t->status))
                return false;
        memcpy(t->status, text, sizeof(text));
        return true;
}

static void say_ready(Tracker *t) {
        (void)status_update(t);
        notify_ready(t->status);
}

static void on_status(void *userdata) {
        Tracker *t = userdata;

        t->status_is_due = false;
        if (status_update(t))
                notify_status(t->status);
}

/* After every handler: what has changed is shown soon, and an idle tracker sleeps. */
static void on_watch_status(void *userdata) {
        Tracker *t = userdata;
        const NodeStats *s = node_stats(t->node);

        if (t->status_is_due ||
                (s->sessions == t->shown.sessions && s->online == t->shown.online &&
                        s->registrations == t->shown.registrations &&
                        s->mail_items == t->shown.mail_items &&
                        s->mail_bytes == t->shown.mail_bytes && s->rooms == t->shown.rooms &&
                        admission_count(t->admission) == t->shown_connections &&
                        tracker_journal_problem(&t->journal) == t->shown_problem))
                return;
        t->status_is_due = true;
        loop_timer_set(t->status_timer, loop_now(t->loop) + STATUS_DELAY);
}

/* Configuration */

/* The file is looked for each time, as it is at the start. */
static int config_read(Tracker *t, TrackerConfig *ret) {
        _cleanup_(freep) char *found = NULL;
        ConfigError e;

        if (!arg_config && config_path_tracker(&found) < 0)
                return fail(t, "cannot read the configuration: %s", strerror(ENOMEM));
        if (config_load(&config_schema_tracker, arg_config ?: found, ret, &e) < 0)
                return fail(t, "%s", e.text);
        return 0;
}

static void apply_limits(Tracker *t) {
        t->limits = (NodeLimits){
                .heartbeat = t->config.heartbeat.interval,
                .handshake = t->config.limits.handshake,
                .registrations_per_hour = t->config.limits.registrations_per_hour,
                .mailbox = t->config.mailbox.enabled,
                .mailbox_days = t->config.mailbox.days,
                .mailbox_items = t->config.mailbox.max_items,
                .mailbox_bytes = t->config.mailbox.max_bytes,
                .stamp_bits = MAIL_STAMP_BITS,
        };
        admission_set_limits(
                t->admission, t->config.limits.connections, t->config.limits.per_address);
}

static void on_key_changed(void *userdata, const char *path, bool unbuilt) {
        const Tracker *t = userdata;
        const char *note = "";

        if (unbuilt)
                note = "; it is not built yet and has no effect";
        else if (streq(path, "listen") && t->doors_passed)
                note = "; systemd passes the sockets, so it has no effect";
        log_event(LOG_INFO, EVENT_NODE_CONFIG_CHANGED, LOG_FIELDS({"P2PCHAT_CONFIG_KEY", path}),
                "Changed in the configuration: %s%s", path, note);
}

/* All of the new settings or none. Sessions stay. */
static int reload(Tracker *t) {
        TrackerConfig config;
        int r;

        r = config_read(t, &config);
        if (r < 0)
                return r;
        r = t->doors_passed ? 0 : doors_from_config(t, &config);
        if (r < 0) {
                config_free(&config_schema_tracker, &config);
                return r;
        }
        config_each_change(&config_schema_tracker, &t->config, &config, on_key_changed, t);
        config_free(&config_schema_tracker, &t->config);
        t->config = config;
        apply_limits(t);
        set_address(t);
        tracker_lan_set(t->lan, &t->config, &t->doors);
        return 0;
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Tracker *t = userdata;

        notify_reloading();
        t->refused = reload(t) < 0;
        if (t->refused)
                log_event(LOG_ERR, EVENT_NODE_CONFIG_REFUSED,
                        LOG_FIELDS({"P2PCHAT_ERROR", t->failure}),
                        "%s. The configuration stays as it was.", t->failure);
        else
                log_event(LOG_INFO, EVENT_NODE_CONFIG_READ,
                        LOG_FIELDS({"P2PCHAT_TRACKER", t->address}),
                        "The configuration was read again; the address is %s", t->address);
        say_ready(t);
        return 0;
}

/* As systemd(1) has them: a tracker need not be started again to see its sessions come and go. */
#define SIGNAL_DEBUG (SIGRTMIN + 22)
#define SIGNAL_LESS (SIGRTMIN + 23)

static int on_log_level(
        sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        const Tracker *t = userdata;

        log_set_level((int)si->ssi_signo == SIGNAL_DEBUG ? LOG_DEBUG : t->log_level);
        log_notice("The log level is %s now", log_level_name(log_get_level()));
        return 0;
}

static int on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Tracker *t = userdata;
        const NodeStats *s = node_stats(t->node);
        char sessions[16], registrations[24];

        notify_stopping();
        snprintf(sessions, sizeof(sessions), "%u", s->sessions);
        snprintf(
                registrations, sizeof(registrations), "%llu", (unsigned long long)s->registrations);
        log_event(LOG_INFO, EVENT_NODE_STOPPED,
                LOG_FIELDS({"P2PCHAT_TRACKER", t->address}, {"P2PCHAT_SESSIONS", sessions},
                        {"P2PCHAT_REGISTRATIONS", registrations}),
                "Stopping with %s session%s open, and %s new name%s since the start", sessions,
                PLURAL(s->sessions), registrations, PLURAL(s->registrations));
        return sd_event_exit(t->event, 0);
}

/* Starting */

/* What is to be opened, and what becomes of it when its place is empty. */
typedef struct Database {
        const char *path; /* NULL: out of memory */
        const char *kind, *lost;
} Database;

static int fail_open(Tracker *t, const Database *d, int r) {
        t->failed = r == -EPROTONOSUPPORT ? EVENT_NODE_STORE_NEWER
                : r == -EUCLEAN           ? EVENT_NODE_STORE_DAMAGED
                                          : EVENT_NODE_START_FAILED;
        if (r == -EPROTONOSUPPORT)
                return fail(t,
                        "%s was written by a newer version: install that, or move the directory "
                        "away to start with an empty one",
                        d->path);
        if (r == -EMEDIUMTYPE || r == -EUCLEAN)
                return fail(t,
                        "%s %s%s: restore it from a backup, or move it away to start with an empty "
                        "one; %s",
                        d->path, r == -EUCLEAN ? "is damaged" : "is no ",
                        r == -EUCLEAN ? "" : d->kind, d->lost);
        if (r == -EWOULDBLOCK)
                return fail(t, "%s is in use by another program: end that first", d->path);
        if (r == -ENOSPC)
                return fail(
                        t, "the disk is full: %s cannot be opened until there is room", d->path);
        return fail(t, "cannot open %s for writing: %s%s", d->path ?: t->state_dir, strerror(-r),
                fs_write_advice(r));
}

static int open_store(Tracker *t) {
        _cleanup_(freep) char *path = fs_join(t->state_dir, "directory");
        const Database d = {.path = path,
                .kind = "directory of " PROGRAM,
                .lost = "names are then claimed again as people connect"};
        int r;

        r = path ? dstore_lmdb_open(t->loop, path, &t->store) : -ENOMEM;
        return r < 0 ? fail_open(t, &d, r) : 0;
}

/* Apart from the directory: whoever gets at one of them can test no password. */
static int open_passwords(Tracker *t) {
        _cleanup_(freep) char *path = fs_join(t->state_dir, "oprf");
        const Database d = {.path = path,
                .kind = "database of passwords' keys of " PROGRAM,
                .lost = "whoever has a password then has to set it again"};
        int r;

        r = path ? oprf_keys_open(t->loop, path, &t->passwords) : -ENOMEM;
        return r < 0 ? fail_open(t, &d, r) : 0;
}

static int watch_signals(Tracker *t) {
        sigset_t set;
        int r;

        signal(SIGPIPE, SIG_IGN);
        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGHUP);
        sigaddset(&set, SIGNAL_DEBUG);
        sigaddset(&set, SIGNAL_LESS);
        sigprocmask(SIG_BLOCK, &set, NULL);
        r = sd_event_add_signal(t->event, NULL, SIGTERM, on_stop, t);
        if (r >= 0)
                r = sd_event_add_signal(t->event, NULL, SIGINT, on_stop, t);
        if (r >= 0)
                r = sd_event_add_signal(t->event, NULL, SIGHUP, on_reload, t);
        if (r >= 0)
                r = sd_event_add_signal(t->event, NULL, SIGNAL_DEBUG, on_log_level, t);
        if (r >= 0)
                r = sd_event_add_signal(t->event, NULL, SIGNAL_LESS, on_log_level, t);
        return r;
}

static int set_up_loop(Tracker *t) {
        int r;

        r = sd_event_new(&t->event);
        if (r >= 0)
                r = watch_signals(t);
        if (r >= 0)
                r = loop_sd_event_new(t->event, &t->loop);
        if (r >= 0)
                r = watchdog_new(t->loop, &t->watchdog);
        if (r >= 0)
                r = tracker_journal_init(&t->journal, t->loop);
        if (r >= 0)
                r = net_new(t->loop, &t->net);
        if (r >= 0)
                r = loop_timer_new(t->loop, on_status, t, &t->status_timer);
        if (r >= 0)
                r = loop_defer_new(t->loop, LOOP_DEFER_POST, on_watch_status, t, &t->watch_status);
        return r < 0 ? fail(t, "cannot start: %s", strerror(-r)) : 0;
}

static int set_up_node(Tracker *t) {
        int r;

        t->admission = admission_new(0, 0);
        if (!t->admission)
                return fail(t, "cannot start: %s", strerror(ENOMEM));
        apply_limits(t);
        r = node_new(t->net, t->store, &t->key, &t->limits, &t->node);
        if (r >= 0)
                r = node_set_accounts(t->node, t->passwords);
        if (r < 0)
                return fail(t, "cannot start: %s", strerror(-r));
        node_set_callbacks(t->node, &tracker_journal_callbacks, &t->journal);
        r = tracker_lan_new(t->loop, &t->key, t->node, &t->lan);
        return r < 0 ? fail(t, "cannot start: %s", strerror(-r)) : 0;
}

static int set_up(Tracker *t) {
        int r;

        r = key_get(t, true);
        if (r >= 0)
                r = set_up_loop(t);
        if (r >= 0)
                r = open_store(t);
        if (r >= 0)
                r = open_passwords(t);
        if (r >= 0)
                r = set_up_node(t);
        if (r >= 0)
                r = set_up_doors(t);
        return r;
}

/* In the reverse order of set_up(), of which any part may be missing. */
static void tear_down(Tracker *t) {
        tracker_lan_free(t->lan);
        doors_done(&t->doors);
        watchdog_free(t->watchdog);
        loop_timer_free(t->status_timer);
        loop_defer_free(t->watch_status);
        node_free(t->node);
        oprf_keys_close(t->passwords); /* commits, as the next one does */
        dstore_close(t->store);
        net_free(t->net);
        tracker_journal_done(&t->journal);
        admission_free(t->admission);
        loop_sd_event_free(t->loop);
        sd_event_unref(t->event);
        sign_key_wipe(&t->key);
        safe_close(t->lock);
}

static int run(Tracker *t) {
        int r;

        raise_descriptor_limit();
        r = set_up(t);
        if (r < 0)
                return r;
        set_address(t);
        log_event(LOG_INFO, EVENT_NODE_STARTED,
                LOG_FIELDS({"P2PCHAT_VERSION", P2PCHAT_VERSION}, {"P2PCHAT_TRACKER", t->address}),
                PROGRAM " " P2PCHAT_VERSION " runs; the address of this tracker is %s", t->address);
        say_ready(t);
        tracker_lan_set(t->lan, &t->config, &t->doors);
        loop_defer_arm(t->watch_status, true);
        r = sd_event_loop(t->event);
        return r < 0 ? fail(t, "the event loop failed: %s", strerror(-r)) : r;
}

/* The command line */

static void print_help(void) {
        printf("Usage: " PROGRAM " [OPTION]…\n"
               "The directory node of p2pchat.\n\n"
               "  --config FILE     read this configuration file\n"
               "  --state-dir DIR   keep key and directory here\n"
               "  --check-config    check the configuration and exit\n"
               "  --print-address   print the address for users' configuration and exit\n"
               "  --version         print the version and exit\n"
               "  --help            print this and exit\n\n"
               "See p2pchat-tracker(8).\n");
}

/* 0: go on; 1: all is done; negative: wrong. */
static int parse_argv(int argc, char **argv) {
        enum {
                ARG_CONFIG = 256,
                ARG_STATE_DIR,
                ARG_CHECK_CONFIG,
                ARG_PRINT_ADDRESS,
                ARG_VERSION,
                ARG_HELP,
        };
        static const struct option options[] = {
                {"config", required_argument, NULL, ARG_CONFIG},
                {"state-dir", required_argument, NULL, ARG_STATE_DIR},
                {"check-config", no_argument, NULL, ARG_CHECK_CONFIG},
                {"print-address", no_argument, NULL, ARG_PRINT_ADDRESS},
                {"version", no_argument, NULL, ARG_VERSION},
                {"help", no_argument, NULL, ARG_HELP},
                {},
        };
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case ARG_CONFIG:
                        arg_config = optarg;
                        break;
                case ARG_STATE_DIR:
                        arg_state_dir = optarg;
                        break;
                case ARG_CHECK_CONFIG:
                        arg_action = ACTION_CHECK_CONFIG;
                        break;
                case ARG_PRINT_ADDRESS:
                        arg_action = ACTION_PRINT_ADDRESS;
                        break;
                case ARG_VERSION:
                        printf(PROGRAM " " P2PCHAT_VERSION "\n");
                        return 1;
                case ARG_HELP:
                        print_help();
                        return 1;
                default:
                        return -EINVAL;
                }
        if (optind < argc) {
                fprintf(stderr, PROGRAM ": unexpected argument: %s\n", argv[optind]);
                return -EINVAL;
        }
        return 0;
}

static int act(Tracker *t) {
        switch (arg_action) {
        case ACTION_CHECK_CONFIG:
                (void)config_print_unbuilt(&config_schema_tracker, &t->config, stdout);
                return 0;
        case ACTION_PRINT_ADDRESS:
                return print_address(t);
        case ACTION_RUN:
                return run(t);
        }
        return -EINVAL;
}

/* A command says it to whoever gave it, a service to the journal. */
static void tell_failure(const Tracker *t) {
        if (arg_action == ACTION_RUN)
                log_event(LOG_ERR, t->failed,
                        LOG_FIELDS({"P2PCHAT_ERROR", t->failure}, {"P2PCHAT_STORE", t->state_dir}),
                        "%s", t->failure);
        else
                fprintf(stderr, PROGRAM ": %s\n", t->failure);
}

int main(int argc, char **argv) {
        Tracker t = {.lock = -EBADF, .failed = EVENT_NODE_START_FAILED};
        int r;

        log_init();
        t.log_level = log_get_level();
        r = parse_argv(argc, argv);
        if (r != 0)
                return r < 0 ? 2 : 0;
        t.state_dir = state_dir();
        r = crypto_init() < 0 ? fail(&t, "the cryptographic library does not start")
                              : config_read(&t, &t.config);
        if (r >= 0) {
                r = act(&t);
                tear_down(&t);
                config_free(&config_schema_tracker, &t.config);
        }
        if (r < 0)
                tell_failure(&t);
        log_end();
        return r < 0 ? 1 : 0;
}
