/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "tracker-journal.h"

#include <stdio.h>

#include "events.h"
#include "util/text.h"

/* Of each kind at most 20 in any minute: so many at once, and as many again that come back
 * meanwhile. */
#define SHOWN_AT_ONCE 10

static const struct Kind {
        const char *event;
        int level;
        const char *more;
} kinds[] = {
        [JOURNAL_REGISTERED] = {EVENT_NODE_REGISTERED, LOG_INFO, "names were registered"},
        [JOURNAL_DELETED] = {EVENT_NODE_DELETED, LOG_INFO, "accounts were deleted"},
        [JOURNAL_NAME_REFUSED] = {EVENT_NODE_NAME_REFUSED, LOG_INFO, "names were refused"},
        [JOURNAL_RATE_LIMITED] = {EVENT_NODE_RATE_LIMITED, LOG_WARNING,
                "new names came from addresses over their limit, and were refused"},
        [JOURNAL_CROWDED] = {EVENT_NODE_CROWDED, LOG_WARNING, "connections were refused"},
        [JOURNAL_EXHAUSTED] = {EVENT_NODE_EXHAUSTED, LOG_ERR, "times no connection could be taken"},
        [JOURNAL_STORE] = {EVENT_NODE_STORE_FAILED, LOG_ERR,
                "times the directory failed, or did not any more"},
};

static void say_not_shown(TrackerJournal *j) {
        char number[24];

        for (JournalKind i = 0; i < _JOURNAL_KIND_MAX; i++) {
                if (j->limits[i].hidden == 0)
                        continue;
                snprintf(number, sizeof(number), "%llu", (unsigned long long)j->limits[i].hidden);
                j->limits[i].hidden = 0;
                log_event(kinds[i].level, EVENT_NODE_NOT_SHOWN,
                        LOG_FIELDS(
                                {"P2PCHAT_NOT_SHOWN", number}, {"P2PCHAT_EVENT", kinds[i].event}),
                        "%s more %s; they are not shown one by one", number, kinds[i].more);
        }
}

static void on_timer(void *userdata) {
        TrackerJournal *j = userdata;

        j->timer_set = false;
        say_not_shown(j);
}

static bool show(TrackerJournal *j, JournalKind kind) {
        usec_t now = loop_now(j->loop);

        if (log_limit_take(&j->limits[kind], now))
                return true;
        if (!j->timer_set)
                loop_timer_set(j->timer, now + USEC_PER_MINUTE);
        j->timer_set = true;
        return false;
}

/* Callbacks of the node */

static void on_registered(void *userdata, const Record *record) {
        char account[BASE32_KEY_SIZE + 1];

        if (!show(userdata, JOURNAL_REGISTERED))
                return;
        base32_encode_key(record->account, account);
        log_event(LOG_INFO, EVENT_NODE_REGISTERED,
                LOG_FIELDS({"P2PCHAT_NAME", record->name}, {"P2PCHAT_ACCOUNT", account}),
                "%s is registered", record->name);
}

static void on_deleted(void *userdata, const char *name, const uint8_t account[static KEY_SIZE]) {
        char key[BASE32_KEY_SIZE + 1];

        if (!show(userdata, JOURNAL_DELETED))
                return;
        base32_encode_key(account, key);
        log_event(LOG_INFO, EVENT_NODE_DELETED,
                LOG_FIELDS({"P2PCHAT_NAME", name}, {"P2PCHAT_ACCOUNT", key}),
                "%s has deleted the account", name);
}

/* Who goes beyond a limit is told with the address, which the operator needs to raise the limit for
 * it, or to block it. */
static void on_refused(
        void *userdata, const Record *record, const SockAddr *peer, Code code, const char *text) {
        JournalKind kind = code == CODE_RATE_LIMITED ? JOURNAL_RATE_LIMITED : JOURNAL_NAME_REFUSED;
        char account[BASE32_KEY_SIZE + 1], address[ENDPOINT_SIZE];
        LogField where = {};

        if (!show(userdata, kind))
                return;
        base32_encode_key(record->account, account);
        if (kind == JOURNAL_RATE_LIMITED)
                where = (LogField){"P2PCHAT_ADDRESS", sockaddr_format(peer, address)};
        log_event(kinds[kind].level, kinds[kind].event,
                LOG_FIELDS({"P2PCHAT_NAME", record->name}, {"P2PCHAT_ACCOUNT", account},
                        {"P2PCHAT_CODE", code_name(code)}, {"P2PCHAT_ERROR", text}, where),
                "%s is not registered%s%s: %s", record->name, where.name ? " for " : "",
                where.name ? address : "", text);
}

static void on_store(void *userdata, NodeStoreUse use, int error) {
        static const char *const cannot[] = {
                [NODE_STORE_READ] = "The directory cannot be read",
                [NODE_STORE_WRITE] = "The directory cannot keep what comes",
                [NODE_STORE_PASSWORDS] = "The database of passwords' keys fails",
        };
        static const char *const can[] = {
                [NODE_STORE_READ] = "The directory can be read",
                [NODE_STORE_WRITE] = "The directory can be written",
                [NODE_STORE_PASSWORDS] = "The database of passwords' keys works",
        };
        bool damaged = error == -EUCLEAN && use != NODE_STORE_PASSWORDS;
        const char *text = error == -ENOSPC ? "the disk is full"
                : error == -EUCLEAN         ? "it is damaged"
                                            : strerror(-error);
        TrackerJournal *j = userdata;
        char number[16];

        if (damaged)
                j->store_damaged = true;
        else
                j->store_errors[use] = error;
        if (!show(j, JOURNAL_STORE))
                return;
        snprintf(number, sizeof(number), "%d", -error);
        if (damaged)
                log_event(LOG_ERR, EVENT_NODE_STORE_DAMAGED,
                        LOG_FIELDS({"P2PCHAT_ERROR", text}, {"ERRNO", number}),
                        "The directory is damaged: whom it concerns is refused, the others are "
                        "served");
        else if (error < 0)
                log_event(LOG_ERR, EVENT_NODE_STORE_FAILED,
                        LOG_FIELDS({"P2PCHAT_ERROR", text}, {"ERRNO", number}), "%s: %s%s",
                        cannot[use], text, use == NODE_STORE_WRITE ? "; look-ups go on" : "");
        else
                log_event(LOG_INFO, EVENT_NODE_STORE_WRITABLE, NULL, "%s again", can[use]);
}

const NodeCallbacks tracker_journal_callbacks = {
        .registered = on_registered,
        .deleted = on_deleted,
        .refused = on_refused,
        .store = on_store,
};

const char *tracker_journal_problem(const TrackerJournal *j) {
        if (j->store_damaged)
                return "the directory is damaged";
        if (j->store_errors[NODE_STORE_READ] < 0)
                return "the directory cannot be read";
        if (j->store_errors[NODE_STORE_WRITE] < 0)
                return "the directory cannot be written";
        if (j->store_errors[NODE_STORE_PASSWORDS] < 0)
                return "the database of passwords' keys fails";
        return NULL;
}

void tracker_journal_crowded(TrackerJournal *j, const SockAddr *peer) {
        static const char text[] = "limits.connections or limits.per-address is reached";
        char address[ENDPOINT_SIZE];

        if (!show(j, JOURNAL_CROWDED))
                return;
        sockaddr_format(peer, address);
        log_event(LOG_WARNING, EVENT_NODE_CROWDED,
                LOG_FIELDS({"P2PCHAT_ADDRESS", address},
                        {"P2PCHAT_CODE", code_name(CODE_RATE_LIMITED)}, {"P2PCHAT_ERROR", text}),
                "A connection from %s was refused: %s", address, text);
}

void tracker_journal_exhausted(TrackerJournal *j, int error) {
        const char *text = strerror(-error);
        char number[16];

        if (!show(j, JOURNAL_EXHAUSTED))
                return;
        snprintf(number, sizeof(number), "%d", -error);
        log_event(LOG_ERR, EVENT_NODE_EXHAUSTED,
                LOG_FIELDS({"P2PCHAT_ERROR", text}, {"ERRNO", number}),
                "No connection can be taken: %s", text);
}

int tracker_journal_init(TrackerJournal *j, Loop *loop) {
        *j = (TrackerJournal){.loop = loop};
        for (JournalKind i = 0; i < _JOURNAL_KIND_MAX; i++)
                j->limits[i].quota = QUOTA_INIT(SHOWN_AT_ONCE, USEC_PER_MINUTE);
        return loop_timer_new(loop, on_timer, j, &j->timer);
}

void tracker_journal_done(TrackerJournal *j) {
        say_not_shown(j);
        j->timer = loop_timer_free(j->timer);
}
