/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "manager.h"

#include <signal.h>
#include <stdio.h>
#include <sysexits.h>

#include <systemd/sd-event.h>

#include "announcing.h"
#include "bus/bus.h"
#include "events.h"
#include "finding.h"
#include "idling.h"
#include "listening.h"
#include "net/clock-watch.h"
#include "net/loop-sd-event.h"
#include "net/tcp.h"
#include "parts.h"
#include "publishing.h"
#include "sandbox.h"
#include "report.h"
#include "system/login-session.h"
#include "unlocking.h"
#include "util/fs.h"
#include "util/log.h"
#include "util/notify.h"
#include "util/watchdog.h"

/* Changes of the status line in between are joined. */
#define STATUS_DELAY (500 * USEC_PER_MSEC)

/* How long the other ends have to take what is said to them at the end. */
#define FINISH_TIME USEC_PER_SEC

struct Manager {
        sd_event *event;
        const char *config_path; /* NULL: looked for */
        const char *state_dir;
        DaemonConfig config;
        int lock_fd;
        Loop *loop;
        Store *store;
        Unlocking *unlocking; /* until the key of the store is there */
        int result; /* of a start that is over in the loop */
        Parts *parts;
        Bus *bus;
        Admission *admission;
        Listening *listening;
        Announcing *announcing;
        Idling *idling;
        LoginSession *login_session;
        Finding *finding;
        Publishing *publishing;
        Watchdog *watchdog;
        ClockWatch *clock_watch;
        LoopTimer *status_timer;
        bool status_due; /* it is set */
        char status[STATUS_SIZE]; /* as told last */
        TrackerReport trackers;
        bool ready; /* the start is over */
        sd_event_source *signals[3];
        bool stopping, ending; /* the program; the account */
        char store_problem[STORE_TEXT_SIZE]; /* as it was logged */
        usec_t slow_logged;
};

static void status_later(Manager *m) {
        if (!m->status_timer || m->status_due || !getenv("NOTIFY_SOCKET"))
                return;
        m->status_due = true;
        loop_timer_set(m->status_timer, loop_now(m->loop) + STATUS_DELAY);
}

/* True when it is another one than was told last. */
static bool status_update(Manager *m) {
        const Account *a = m->parts->account;
        char text[STATUS_SIZE];
        ChatStatus s;

        chat_status(m->parts->chat, &s);
        status_format(&s, account_exists(a) ? account_identity(a)->name : NULL, text);
        if (streq(text, m->status))
                return false;
        memcpy(m->status, text, sizeof(text));
        return true;
}

static void on_status_timer(void *userdata) {
        Manager *m = userdata;

        m->status_due = false;
        if (status_update(m))
                notify_status(m->status);
}

static void manager_say_ready(Manager *m) {
        (void)status_update(m);
        notify_ready(m->status);
}

/* The account as the journal has it. */

typedef struct AccountFields {
        char account[BASE32_KEY_SIZE + 1], queued[16];
        LogField fields[5];
} AccountFields;

static const LogField *account_fields(const Manager *m, AccountFields *f) {
        const Identity *i = account_identity(m->parts->account);
        ChatStatus s;

        chat_status(m->parts->chat, &s);
        snprintf(f->queued, sizeof(f->queued), "%u", s.queued);
        base32_encode_key(sign_key_public(&i->account), f->account);
        f->fields[0] = (LogField){"P2PCHAT_VERSION", P2PCHAT_VERSION};
        f->fields[1] = (LogField){"P2PCHAT_QUEUED", f->queued};
        f->fields[2] = f->fields[3] = f->fields[4] = (LogField){};
        if (account_exists(m->parts->account)) {
                f->fields[2] = (LogField){"P2PCHAT_NAME", i->name};
                f->fields[3] = (LogField){"P2PCHAT_ACCOUNT", f->account};
        }
        return f->fields;
}

/* Listening */

static void on_connection(void *userdata, int fd, const SockAddr *peer) {
        Manager *m = userdata;
        Transport *t;

        if (fd < 0)
                return;
        if (tcp_transport_new(m->loop, fd, peer, m->admission, &t) >= 0)
                delivery_accept(m->parts->delivery, t);
}

/* What is said and heard on the local network. */
static void manager_refresh_lan(Manager *m) {
        const SockAddr *at = listening_address(m->listening);

        if (m->finding)
                finding_refresh(m->finding, at);
        if (m->publishing)
                publishing_refresh(m->publishing, at ? sockaddr_port(at) : 0);
}

static void on_listening_changed(
        void *userdata, const Endpoints *e, bool alone, const char *problem) {
        Manager *m = userdata;

        if (problem)
                log_event(LOG_ERR, EVENT_LISTEN_FAILED, LOG_FIELDS({"P2PCHAT_ERROR", problem}),
                        "%s", problem);
        chat_set_problem(m->parts->chat, CHAT_PROBLEM_LISTEN, problem);
        chat_set_problem(m->parts->chat, CHAT_PROBLEM_NETWORK,
                alone ? "This machine has no network address: only who is on it as well can "
                        "connect."
                      : NULL);
        parts_publish(m->parts, e);
        manager_refresh_lan(m);
        parts_woke(m->parts, 0); /* what was open was open from another address */
        status_later(m);
}

static const ListeningCallbacks listening_callbacks = {
        .connection = on_connection,
        .changed = on_listening_changed,
};

static void manager_stop_listening(Manager *m) {
        listening_stop(m->listening);
        chat_set_problem(m->parts->chat, CHAT_PROBLEM_LISTEN, NULL);
        chat_set_problem(m->parts->chat, CHAT_PROBLEM_NETWORK, NULL);
        manager_refresh_lan(m);
}

/* Callbacks of the parts */

static void log_active(const Manager *m, bool active) {
        AccountFields f;

        if (!m->ready)
                return; /* what the start finds is told with it */
        if (account_is_replaced(m->parts->account)) {
                log_event(LOG_NOTICE, EVENT_ACCOUNT_REPLACED, account_fields(m, &f),
                        "%s is used on another device now",
                        account_identity(m->parts->account)->name);
                return;
        }
        log_event(LOG_INFO, active ? EVENT_LOGGED_IN : EVENT_LOGGED_OUT, account_fields(m, &f),
                "%s is logged %s", account_identity(m->parts->account)->name,
                active ? "in" : "out");
}

/* What is said on the local network goes by whether the account is active. */
static void on_reachable(void *userdata) {
        Manager *m = userdata;

        if (parts_is_reachable(m->parts)) {
                listening_start(m->listening);
                manager_refresh_lan(m);
        } else
                manager_stop_listening(m);
}

static void on_active(void *userdata, bool active) {
        Manager *m = userdata;

        log_active(m, active);
        on_reachable(m);
}

static void on_trackers_changed(void *userdata) {
        Manager *m = userdata;

        report_trackers(&m->trackers, m->parts->directory, loop_now(m->loop));
}

static void on_name_refused(void *userdata, Code code, const char *text) {
        Manager *m = userdata;

        log_event(LOG_WARNING, EVENT_NAME_REFUSED,
                LOG_FIELDS({"P2PCHAT_NAME", account_identity(m->parts->account)->name},
                        {"P2PCHAT_CODE", code_name(code)}, {"P2PCHAT_ERROR", text}),
                "A tracker does not register this account's name: %s", text);
}

static void on_changed(void *userdata) {
        Manager *m = userdata;

        if (!m->ending)
                status_later(m);
}

static void on_restored(void *userdata) {
        const Manager *m = userdata;
        AccountFields f;

        log_event(LOG_WARNING, EVENT_STORE_RESTORED, account_fields(m, &f),
                "What is kept here was restored from a copy, and is older than what this device "
                "has sent");
}

static void manager_begin_anew(void *userdata);

/* Who is connected hears that it is over before everything goes. */
static void on_deleted(void *userdata) {
        Manager *m = userdata;

        log_event(LOG_NOTICE, EVENT_ACCOUNT_DELETED,
                LOG_FIELDS({"P2PCHAT_NAME", account_identity(m->parts->account)->name}),
                "The account %s was deleted", account_identity(m->parts->account)->name);
        if (m->stopping)
                return; /* the next start goes on */
        m->ending = true;
        if (net_finish(m->parts->net, FINISH_TIME, manager_begin_anew, m) < 0)
                (void)sd_event_exit(m->event, EX_TEMPFAIL); /* the next start goes on */
}

static const PartsCallbacks parts_callbacks = {
        .active = on_active,
        .reachable = on_reachable,
        .trackers_changed = on_trackers_changed,
        .name_refused = on_name_refused,
        .changed = on_changed,
        .restored = on_restored,
        .deleted = on_deleted,
};

static void on_clock(void *userdata, usec_t slept, int64_t stepped) {
        Manager *m = userdata;

        if (slept > 0)
                log_debug("This machine has slept for %llu s",
                        (unsigned long long)(slept / USEC_PER_SEC));
        else
                log_debug("The clock was set by %lld s",
                        (long long)(stepped / (int64_t)USEC_PER_SEC));
        listening_refresh(m->listening);
        parts_woke(m->parts, slept);
}

/* The store */

static void on_store_noticed(void *userdata) {
        Manager *m = userdata;
        char text[STORE_TEXT_SIZE];
        const char *problem;
        StoreHealth h;

        store_get_health(m->store, &h);
        report_commit(h.last_commit, loop_now(m->loop), &m->slow_logged);
        problem = store_problem(&h, text) ?: "";
        if (streq(problem, m->store_problem))
                return;
        if (problem[0])
                log_event(LOG_ERR, h.damaged ? EVENT_STORE_DAMAGED : EVENT_STORE_FAILED,
                        LOG_FIELDS({"P2PCHAT_ERROR", problem}), "%s", problem);
        else
                log_event(LOG_INFO, EVENT_STORE_WRITABLE, NULL, "The store can be written again");
        snprintf(m->store_problem, sizeof(m->store_problem), "%s", problem);
        status_later(m);
}

/* Signals */

static void on_finished(void *userdata) {
        Manager *m = userdata;

        (void)sd_event_exit(m->event, 0);
}

static int on_stop_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Manager *m = userdata;
        AccountFields f;

        /* What was taken in is committed, answered and told while the bus is still there: it is
         * flushed and closed when the loop ends. */
        if (m->stopping)
                return 0;
        m->stopping = true;
        notify_stopping();
        if (!m->ready)
                return sd_event_exit(m->event, 0);
        log_event(LOG_INFO, EVENT_STOPPED, account_fields(m, &f), "Stopping, %s queued", f.queued);
        (void)store_commit(m->store);
        finding_stop(m->finding);
        manager_stop_listening(m);
        announcing_stop(m->announcing);
        publishing_stop(m->publishing);
        parts_stop(m->parts);
        if (m->ending)
                return 0; /* that is waited for already */
        if (net_finish(m->parts->net, FINISH_TIME, on_finished, m) < 0)
                on_finished(m);
        return 0;
}

static int manager_read_config(Manager *m, DaemonConfig *ret, ConfigError *error) {
        _cleanup_(freep) char *found = NULL;
        size_t n;
        int r;

        if (!m->config_path && config_path_daemon(&found) < 0) {
                snprintf(error->text, sizeof(error->text), "Out of memory");
                return -ENOMEM;
        }
        r = config_load(&config_schema_daemon, m->config_path ?: found, ret, error);
        if (r == -ENOENT && fs_is_hidden(m->config_path ?: found)) {
                n = strlen(error->text);
                snprintf(error->text + n, sizeof(error->text) - n, SEE_SANDBOX);
        }
        return r;
}

static void reload_refused(Manager *m, const char *why) {
        char text[CONFIG_ERROR_SIZE + 64];

        snprintf(text, sizeof(text), "%s. The configuration stays as it was.", why);
        log_event(LOG_ERR, EVENT_CONFIG_REFUSED, LOG_FIELDS({"P2PCHAT_ERROR", text}), "%s", text);
        chat_set_problem(m->parts->chat, CHAT_PROBLEM_CONFIG, text);
}

static bool same_listen(const struct ConfigListen *a, const struct ConfigListen *b) {
        return streq(a->address, b->address) && a->port == b->port;
}

static void on_key_changed(void *userdata, const char *path, bool unbuilt) {
        Manager *m = userdata;

        log_event(LOG_INFO, EVENT_CONFIG_CHANGED, LOG_FIELDS({"P2PCHAT_CONFIG_KEY", path}),
                "Changed in the configuration: %s%s", path,
                unbuilt ? "; it is not built yet and has no effect" : "");
        if (streq(path, "storage.key"))
                log_notice("Where the key is kept changes with the next start");
        if (!streq(path, "trackers"))
                return;
        if (account_is_lan_only(m->parts->account))
                log_notice("The account is for the LAN alone and asks no tracker before it is "
                           "registered at one");
        else if (account_identity(m->parts->account)->tracker[0])
                log_notice("The tracker that was given to register or login stays in use");
}

static DeliverySettings delivery_settings(const DaemonConfig *c) {
        return (DeliverySettings){.accept_all = c->contacts.accept == CONFIG_ACCEPT_ALL,
                .handshake = c->limits.handshake,
                .stamp_bits = MAIL_STAMP_BITS,
                .say_read = c->receipts.read,
                .hide_presence = c->privacy.presence != CONFIG_AUDIENCE_ALL,
                .say_typing = c->receipts.read && c->privacy.presence != CONFIG_AUDIENCE_NOBODY};
}

static void manager_set_privacy(Manager *m) {
        static const Visibility audiences[] = {
                [CONFIG_AUDIENCE_ALL] = VISIBLE_ALL,
                [CONFIG_AUDIENCE_CONTACTS] = VISIBLE_CONTACTS,
                [CONFIG_AUDIENCE_NOBODY] = VISIBLE_NOBODY,
        };
        const struct ConfigPrivacy *p = &m->config.privacy;

        account_set_privacy(m->parts->account,
                &(AccountPrivacy){.listed = p->listed,
                        .presence = audiences[p->presence],
                        .endpoints = audiences[p->endpoints]});
}

/* What holds from now on. */
static void manager_apply_config(Manager *m) {
        const DaemonConfig *c = &m->config;
        DeliverySettings delivery = delivery_settings(c);

        admission_set_limits(m->admission, c->limits.connections, c->limits.per_address);
        delivery_set_settings(m->parts->delivery, &delivery);
        rooms_set_max_members(m->parts->rooms, c->rooms.max_members);
        parts_set_handover_asks(m->parts, c->handover == CONFIG_HANDOVER_ASK);
        store_set_max_size(m->store, c->storage.max_size);
        if (store_set_seal_messages(m->store, c->storage.seal_messages) < 0)
                log_error("Whether messages are sealed stays as it was");
        account_set_heartbeat(m->parts->account, c->heartbeat.interval);
        manager_set_privacy(m);
        parts_set_trackers(m->parts, c->trackers.items, c->trackers.n);
        listening_refresh(m->listening);
        manager_refresh_lan(m);
        announcing_set(m->announcing, c->notify.enabled, c->notify.show_text);
        idling_set_after(m->idling, c->heartbeat.away_after * USEC_PER_SEC);
}

/* A fresh struct, swapped in only when all of it is good. Links and sessions stay. */
static void manager_reload(Manager *m) {
        char text[256];
        DaemonConfig config;
        ConfigError error;
        bool moves;
        int r = 0;

        if (manager_read_config(m, &config, &error) < 0) {
                reload_refused(m, error.text);
                return;
        }
        moves = parts_is_reachable(m->parts) && !same_listen(&config.listen, &m->config.listen);
        if (moves)
                r = listening_move(m->listening, &config.listen);
        if (r < 0) {
                snprintf(text, sizeof(text), "Listening on %s port %u failed: %s",
                        config.listen.address, config.listen.port, strerror(-r));
                config_free(&config_schema_daemon, &config);
                reload_refused(m, text);
                return;
        }
        config_each_change(&config_schema_daemon, &m->config, &config, on_key_changed, m);
        config_free(&config_schema_daemon, &m->config);
        m->config = config;
        chat_set_problem(m->parts->chat, CHAT_PROBLEM_CONFIG, NULL);
        if (moves)
                chat_set_problem(m->parts->chat, CHAT_PROBLEM_LISTEN, NULL);
        manager_apply_config(m);
        log_event(LOG_INFO, EVENT_CONFIG_READ,
                LOG_FIELDS({"P2PCHAT_CONFIG_FILE", config.origin.file ?: ""}),
                "The configuration was read again: %s",
                config.origin.file ?: "there is no file, the defaults hold");
}

static int on_reload_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Manager *m = userdata;

        if (m->stopping)
                return 0;
        if (!m->ready)
                return unlocking_reload(m->unlocking);
        notify_reloading();
        manager_reload(m);
        manager_say_ready(m);
        return 0;
}

static int manager_add_signals(Manager *m) {
        sigset_t mask;
        int r;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigaddset(&mask, SIGHUP);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
                return -errno;
        (void)signal(SIGPIPE, SIG_IGN);
        r = sd_event_add_signal(m->event, &m->signals[0], SIGTERM, on_stop_signal, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, &m->signals[1], SIGINT, on_stop_signal, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, &m->signals[2], SIGHUP, on_reload_signal, m);
        return r;
}

/* Putting it together */

static int manager_load_config(Manager *m, const char *path) {
        ConfigError error;
        int r;

        m->config_path = path;
        r = manager_read_config(m, &m->config, &error);
        return r < 0 ? report_start_failed(r, "%s", error.text) : 0;
}

static int manager_lock(Manager *m, const char *dir) {
        int r;

        r = fs_mkdir_p(dir);
        if (r < 0)
                return report_start_failed(r, "The state directory %s cannot be made: %s%s", dir,
                        strerror(-r), write_advice(r));
        r = fs_lock_dir(dir, &m->lock_fd);
        if (r == -EWOULDBLOCK)
                return report_start_failed(
                        r, "Another p2pchatd uses the state directory %s already", dir);
        if (r < 0)
                return report_start_failed(r,
                        "The state directory %s cannot be written: %s%s. It was left as it is", dir,
                        strerror(-r), write_advice(r));
        return 0;
}

static int manager_make_loop(Manager *m) {
        int r;

        r = manager_add_signals(m);
        if (r >= 0)
                r = loop_sd_event_new(m->event, &m->loop);
        if (r >= 0)
                r = watchdog_new(m->loop, &m->watchdog);
        return r < 0 ? report_start_failed(r, "The event loop cannot be made: %s", strerror(-r))
                     : 0;
}

static int manager_open_store(Manager *m, const char *dir) {
        int r;

        r = store_open(dir, m->loop, &m->store);
        if (r < 0) {
                report_store_refused(dir, r);
                return r;
        }
        store_set_max_size(m->store, m->config.storage.max_size);
        store_set_watch(m->store, on_store_noticed, m);
        return 0;
}

static int manager_make_parts(Manager *m) {
        const DaemonConfig *c = &m->config;
        int r;

        r = parts_new(&(PartsArgs){.loop = m->loop,
                              .store = m->store,
                              .heartbeat = c->heartbeat.interval,
                              .delivery = delivery_settings(c),
                              .max_members = c->rooms.max_members,
                              .state_dir = m->state_dir,
                              .sandbox = sandbox_check(),
                              .callbacks = &parts_callbacks,
                              .userdata = m},
                &m->parts);
        if (r >= 0)
                r = listening_new(
                        m->loop, m->store, &c->listen, &listening_callbacks, m, &m->listening);
        if (r < 0)
                return r;
        manager_set_privacy(m);
        parts_set_handover_asks(m->parts, c->handover == CONFIG_HANDOVER_ASK);
        parts_set_trackers(m->parts, c->trackers.items, c->trackers.n);
        return 0;
}

static int manager_make_all(Manager *m) {
        const DaemonConfig *c = &m->config;
        int r;

        m->admission = admission_new(c->limits.connections, c->limits.per_address);
        r = m->admission ? manager_make_parts(m) : -ENOMEM;
        if (r >= 0)
                r = loop_timer_new(m->loop, on_status_timer, m, &m->status_timer);
        if (r < 0)
                return report_start_failed(r, "Starting failed: %s", strerror(-r));
        r = clock_watch_new(m->loop, on_clock, m, &m->clock_watch);
        if (r < 0)
                log_error_errno(r, "That this machine sleeps, or its clock is set, is not seen");
        return 0;
}

static int manager_join_bus(Manager *m) {
        int r;

        r = bus_new(m->event, m->loop, m->parts->chat, &m->bus);
        if (r < 0)
                return report_no_bus(r);
        parts_start(m->parts);
        r = bus_request_name(m->bus);
        if (r == -EEXIST)
                return report_start_failed(r, "Another p2pchatd runs on this session bus already");
        if (r < 0)
                return report_start_failed(r, "The bus name cannot be taken: %s", strerror(-r));
        return 0;
}

static void on_login_session(void *userdata, const LoginSessionState *state) {
        Manager *m = userdata;

        announcing_set_locked(m->announcing, state->locked);
        idling_set_since(m->idling, state->idle_since);
}

/* Those who do what the parts know nothing of. */
static int manager_make_companions(Manager *m) {
        int r;

        r = announcing_new(m->event, m->loop, m->parts->chat, &m->announcing);
        if (r >= 0)
                r = finding_new(m->loop, m->parts, &m->config, &m->finding);
        if (r >= 0)
                r = publishing_new(m->event, m->loop, m->parts, &m->config, &m->publishing);
        if (r >= 0)
                r = idling_new(m->loop, m->parts->chat, &m->idling);
        return r;
}

static void manager_begin_companions(Manager *m) {
        on_login_session(m, login_session_state(m->login_session));
        idling_set_after(m->idling, m->config.heartbeat.away_after * USEC_PER_SEC);
        announcing_set(m->announcing, m->config.notify.enabled, m->config.notify.show_text);
        manager_refresh_lan(m);
}

static int manager_announce(Manager *m) {
        int r;

        r = manager_make_companions(m);
        if (r >= 0)
                r = login_session_new(m->event, on_login_session, m, &m->login_session);
        if (r < 0)
                return report_start_failed(r, "Starting failed: %s", strerror(-r));
        manager_begin_companions(m);
        return 0;
}

/* After the end of an account */

static void manager_drop_parts(Manager *m) {
        m->idling = idling_free(m->idling);
        m->announcing = announcing_free(m->announcing);
        m->publishing = publishing_free(m->publishing);
        m->finding = finding_free(m->finding);
        m->listening = listening_free(m->listening);
        m->parts = parts_free(m->parts);
}

/* As the program begins, but for the bus, on which nobody is to miss it. What knows the account is
 * gone when the store is emptied, so that nothing of it is written again. */
static void manager_begin_anew(void *userdata) {
        Manager *m = userdata;
        int r;

        if (m->stopping) {
                (void)sd_event_exit(m->event, 0); /* the next start goes on */
                return;
        }
        bus_set_chat(m->bus, NULL);
        manager_drop_parts(m);
        r = store_begin_anew(m->store);
        if (r >= 0)
                r = manager_make_parts(m);
        if (r >= 0) {
                bus_set_chat(m->bus, m->parts->chat);
                parts_start(m->parts);
                r = manager_make_companions(m);
        }
        if (r < 0) {
                log_error_errno(r,
                        "What was kept of the account could not be removed; the next "
                        "start tries it again");
                (void)sd_event_exit(m->event, EX_TEMPFAIL);
                return;
        }
        manager_begin_companions(m);
        m->ending = false;
        status_later(m);
}

static void log_started(const Manager *m) {
        AccountFields f;
        bool kept = account_exists(m->parts->account);

        log_event(LOG_INFO, EVENT_STARTED, account_fields(m, &f),
                "p2pchatd " P2PCHAT_VERSION " runs%s%s",
                kept ? ", with the account " : ", without an account",
                kept ? account_identity(m->parts->account)->name : "");
}

/* With the store open, ON_UNLOCKED later if that takes long. */
static int manager_go_on(Manager *m) {
        int r;

        r = manager_make_all(m);
        if (r >= 0)
                r = manager_join_bus(m);
        if (r >= 0)
                r = manager_announce(m);
        m->unlocking = unlocking_free(m->unlocking);
        if (r < 0)
                return r;
        m->ready = true;
        log_started(m);
        manager_say_ready(m);
        return 0;
}

static void on_unlocked(void *userdata, int r) {
        Manager *m = userdata;

        m->result = r < 0 ? r : manager_go_on(m);
        if (m->result < 0)
                (void)sd_event_exit(m->event, m->result);
}

static int manager_unlock(Manager *m) {
        return unlocking_new(&(UnlockingArgs){.event = m->event,
                                     .loop = m->loop,
                                     .store = m->store,
                                     .state_dir = m->state_dir,
                                     .config = &m->config.storage,
                                     .done = on_unlocked,
                                     .userdata = m},
                &m->unlocking);
}

int manager_new(const ManagerArgs *args, Manager **ret) {
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(*m));
        int r;

        if (!m)
                return report_start_failed(-ENOMEM, "Starting failed: %s", strerror(ENOMEM));
        m->lock_fd = -EBADF;
        m->state_dir = args->state_dir;
        m->trackers.limit = TRACKER_REPORT_LIMIT;
        m->event = sd_event_ref(args->event);
        r = crypto_init();
        if (r < 0)
                return report_start_failed(r, "The cryptographic library does not start");
        r = manager_load_config(m, args->config_path);
        if (r >= 0)
                r = manager_lock(m, args->state_dir);
        if (r >= 0)
                r = manager_make_loop(m);
        if (r >= 0)
                r = manager_open_store(m, args->state_dir);
        if (r >= 0)
                r = manager_unlock(m);
        if (r == 0)
                r = manager_go_on(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_result(const Manager *m) {
        return m->result;
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        login_session_free(m->login_session);
        idling_free(m->idling);
        announcing_free(m->announcing);
        publishing_free(m->publishing);
        finding_free(m->finding);
        bus_free(m->bus);
        unlocking_free(m->unlocking);
        clock_watch_free(m->clock_watch);
        listening_free(m->listening);
        parts_free(m->parts);
        store_close(m->store);
        if (m->admission)
                admission_free(m->admission);
        loop_timer_free(m->status_timer);
        watchdog_free(m->watchdog);
        loop_sd_event_free(m->loop);
        for (size_t i = 0; i < ELEMENTSOF(m->signals); i++)
                sd_event_source_disable_unref(m->signals[i]);
        sd_event_unref(m->event);
        config_free(&config_schema_daemon, &m->config);
        safe_close(m->lock_fd);
        free(m);
        return NULL;
}
