/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "report.h"

#include <stdarg.h>
#include <stdio.h>

#include "events.h"
#include "store/store.h"
#include "util/fs.h"

/* A slow disk is complained of at most this often. */
#define SLOW_INTERVAL USEC_PER_MINUTE

/* Status */

/* The tracker that is being tried, without its key; else all of them. */
static int format_connecting(const ChatStatus *s, char *buf, size_t size) {
        for (size_t i = 0; i < s->n_trackers; i++)
                if (streq(s->trackers[i].state, "connecting"))
                        return snprintf(buf, size, "connecting as %s to %.*s, %u queued", s->name,
                                (int)strcspn(s->trackers[i].address, "#"), s->trackers[i].address,
                                s->queued);
        return snprintf(buf, size, "connecting as %s, %u queued", s->name, s->queued);
}

static int format_state(const ChatStatus *s, const char *kept, char *buf, size_t size) {
        if (!s->name[0] && kept)
                return snprintf(buf, size, "no account is logged in; chatc login %s", kept);
        if (!s->name[0])
                return snprintf(buf, size, "no account is logged in; chatc register NAME");
        if (streq(s->state, "replaced"))
                return snprintf(buf, size,
                        "%s is used on another device; chatc login %s moves it back", s->name,
                        s->name);
        if (streq(s->state, "connecting"))
                return format_connecting(s, buf, size);
        if (streq(s->state, "offline") && !s->lan_only)
                return snprintf(buf, size, "offline as %s, %u link%s, %u queued%s", s->name,
                        s->links, PLURAL(s->links), s->queued,
                        s->n_trackers == 0 ? "; no tracker is configured" : "");
        return snprintf(buf, size, "%s as %s%s, %u link%s, %u queued", s->state, s->name,
                s->lan_only ? " on the LAN" : "", s->links, PLURAL(s->links), s->queued);
}

char *status_format(const ChatStatus *s, const char *kept, char buf[static STATUS_SIZE]) {
        int n = format_state(s, kept, buf, STATUS_SIZE);

        if (s->problems[0] && n < STATUS_SIZE)
                snprintf(buf + n, STATUS_SIZE - (size_t)n, "; %s", s->problems[0]);
        return text_clean(buf);
}

/* Trackers */

static struct TrackerSeen tracker_seen(const TrackerReport *t, const EndpointKey *address) {
        for (size_t i = 0; i < t->n; i++) {
                const EndpointKey *e = &t->seen[i].address;

                if (streq(e->host, address->host) && e->port == address->port &&
                        memcmp(e->key, address->key, sizeof(e->key)) == 0)
                        return t->seen[i];
        }
        return (struct TrackerSeen){.address = *address};
}

/* Of those that were left out by the limit, this says how many. */
static void log_tracker(TrackerReport *t, const EndpointKey *address, const Session *s, bool up) {
        char text[ENDPOINT_KEY_SIZE], where[ENDPOINT_SIZE], hidden[64] = "", number[24];

        endpoint_key_format(address, text);
        endpoint_format(address->host, address->port, where);
        snprintf(number, sizeof(number), "%llu", (unsigned long long)t->limit.hidden);
        if (t->limit.hidden > 0)
                snprintf(hidden, sizeof(hidden), " (%s changes were not shown)", number);
        t->limit.hidden = 0;
        if (up)
                log_event(LOG_INFO, EVENT_TRACKER_REACHED,
                        LOG_FIELDS({"P2PCHAT_TRACKER", text}, {"P2PCHAT_NOT_SHOWN", number}),
                        "The tracker %s is reached%s", where, hidden);
        else
                log_event(LOG_WARNING, EVENT_TRACKER_LOST,
                        LOG_FIELDS({"P2PCHAT_TRACKER", text},
                                {"P2PCHAT_STATE", session_state_name(s)},
                                {"P2PCHAT_ERROR", session_error(s)}, {"P2PCHAT_NOT_SHOWN", number}),
                        "The tracker %s: %s%s", where, session_error(s), hidden);
}

static void tracker_look(TrackerReport *t, struct TrackerSeen *seen, const Session *s, usec_t now) {
        bool up = s && session_state(s) == SESSION_CONNECTED;
        bool down = s && !up && session_state(s) != SESSION_CONNECTING;

        if (!s) /* logged out: that is no loss */
                seen->reached = seen->lost = false;
        if (up ? seen->reached : !down || seen->lost)
                return;
        seen->reached = up;
        seen->lost = down;
        if (log_limit_take(&t->limit, now))
                log_tracker(t, &seen->address, s, up);
}

void report_trackers(TrackerReport *t, const Directory *d, usec_t now) {
        TrackerReport old = *t;

        t->n = directory_n_trackers(d);
        for (size_t i = 0; i < t->n; i++) {
                t->seen[i] = tracker_seen(&old, directory_tracker(d, i));
                tracker_look(t, &t->seen[i], directory_session(d, i), now);
        }
}

/* The store */

void report_commit(usec_t took, usec_t now, usec_t *logged) {
        char usec[24];

        if (took < DB_COMMIT_SLOW || (*logged && now < *logged + SLOW_INTERVAL))
                return;
        *logged = now;
        snprintf(usec, sizeof(usec), "%llu", (unsigned long long)took);
        log_event(LOG_WARNING, EVENT_DISK_SLOW, LOG_FIELDS({"P2PCHAT_TOOK_USEC", usec}),
                "The disk is slow: writing what had come in took %.1f s, and nothing else was "
                "done meanwhile",
                (double)took / USEC_PER_SEC);
}

/* The start */

int report_start_failed(int r, const char *format, ...) {
        char text[1024], number[16];
        va_list ap;

        va_start(ap, format);
        vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        snprintf(number, sizeof(number), "%d", -r);
        log_event(LOG_ERR, EVENT_START_FAILED,
                LOG_FIELDS({"P2PCHAT_ERROR", text}, {"ERRNO", number}), "%s", text);
        return r;
}

const char *write_advice(int r) {
        return r == -EROFS ? "; mount its file system writable. To p2pchatd.service everything but "
                             "~/.local/state/p2pchat is read-only: see SANDBOX in p2pchatd(8)"
                           : fs_write_advice(r);
}

void report_store_refused(const char *dir, int r) {
        const LogField *fields = LOG_FIELDS({"P2PCHAT_STORE", dir});

        if (r == -EPROTONOSUPPORT)
                log_event(LOG_ERR, EVENT_STORE_NEWER, fields,
                        "NewerVersion: the store in %s/db was written by a newer version of "
                        "p2pchat; install that version again. It was left as it is",
                        dir);
        else if (r == -EUCLEAN)
                log_event(LOG_ERR, EVENT_STORE_DAMAGED, fields,
                        "The store in %s/db is damaged; restore %s from a backup, or move it "
                        "away to begin anew. It was left as it is",
                        dir, dir);
        else if (r == -EMEDIUMTYPE)
                report_start_failed(r,
                        "%s/db is not a store of p2pchatd; move it away. It was left as it is",
                        dir);
        else if (r == -ENOSPC)
                report_start_failed(r,
                        "The disk is full: the store in %s/db cannot be opened until there is "
                        "room. It was left as it is",
                        dir);
        else if (r == -EWOULDBLOCK)
                report_start_failed(r,
                        "The store in %s/db is in use by another program: end that first. It was "
                        "left as it is",
                        dir);
        else
                report_start_failed(r,
                        "The store in %s/db cannot be opened for writing: %s%s. It was left as it "
                        "is",
                        dir, strerror(-r), write_advice(r));
}

int report_no_bus(int r) {
        return report_start_failed(r,
                "The session bus cannot be reached (DBUS_SESSION_BUS_ADDRESS): %s%s", strerror(-r),
                r == -ENOENT ? SEE_SANDBOX : "");
}
