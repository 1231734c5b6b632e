/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include "util/datagram.h"
#include "util/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* As long as systemd itself waits. Its queue takes no more than ten entries on some systems. */
#define JOURNAL_WAIT (10 * USEC_PER_MSEC)

/* How long the end of the process may take because of it. */
#define JOURNAL_WAIT_END USEC_PER_SEC

#define MESSAGE_SIZE 1024
#define NAME_MAX_SIZE 64

/* Room for all that an entry may have. */
#define ENTRY_SIZE                                                                                 \
        (MESSAGE_SIZE + NAME_MAX_SIZE + (LOG_FIELDS_MAX + 3) * (NAME_MAX_SIZE + LOG_VALUE_MAX))

static int log_level = LOG_INFO;
static const char *journal_path;
static bool journal_stream; /* standard error is read by the journal */
static unsigned entries_lost;

/* The native protocol, https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: lines of NAME=value. */

typedef struct Entry {
        char data[ENTRY_SIZE];
        size_t size;
} Entry;

/* VALUE is one line; of one that is too long the beginning. */
static void entry_add(Entry *e, const char *name, const char *value, size_t max) {
        size_t room = sizeof(e->data) - e->size;
        char clean[MESSAGE_SIZE];
        int n;

        snprintf(clean, MIN(max, sizeof(clean)), "%s", value);
        text_clean(clean);
        n = snprintf(e->data + e->size, room, "%s=%s\n", name, clean);
        if (n > 0 && (size_t)n < room)
                e->size += (size_t)n;
}

static void entry_add_number(Entry *e, const char *name, unsigned number) {
        char text[16];

        snprintf(text, sizeof(text), "%u", number);
        entry_add(e, name, text, sizeof(text));
}

static int entry_send(int level, const char *id, const LogField *fields, const char *message) {
        Entry e = {};

        entry_add(&e, "MESSAGE", message, MESSAGE_SIZE);
        entry_add_number(&e, "PRIORITY", (unsigned)level);
        entry_add(&e, "SYSLOG_IDENTIFIER", program_invocation_short_name, LOG_VALUE_MAX);
        if (id)
                entry_add(&e, "MESSAGE_ID", id, LOG_VALUE_MAX);
        for (size_t i = 0; fields && i < LOG_FIELDS_MAX && fields[i].name; i++)
                entry_add(&e, fields[i].name, fields[i].value, LOG_VALUE_MAX);
        return datagram_send(journal_path, e.data, e.size, entries_lost > 0 ? 0 : JOURNAL_WAIT);
}

static void say_lost(void) {
        char text[128];

        snprintf(text, sizeof(text), "The journal did not read: %u entries are missing here",
                entries_lost);
        if (entry_send(LOG_WARNING, NULL, NULL, text) >= 0)
                entries_lost = 0;
}

/* One write per line, so that lines of several processes on one descriptor do not mix. The journal
 * takes "<N>" as the priority, see sd-daemon(3). */
static void line_write(int level, char *message) {
        char line[MESSAGE_SIZE + 8];
        int n;

        text_clean(message);
        n = journal_stream ? snprintf(line, sizeof(line), "<%d>%s\n", level, message)
                           : snprintf(line, sizeof(line), "%s\n", message);
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                return; /* nobody is left to be told */
}

/* A sandbox may have taken the journal's socket away, but not standard error. */
static void entry_write(int level, const char *id, const LogField *fields, char *message) {
        int r = journal_path ? entry_send(level, id, fields, message) : -ENOTCONN;

        if (r == -EAGAIN)
                entries_lost++;
        else if (r < 0)
                line_write(level, message);
        else if (entries_lost > 0)
                say_lost();
}

void log_event(int level, const char *id, const LogField *fields, const char *format, ...) {
        char message[MESSAGE_SIZE];
        va_list ap;

        if (level > MAX(log_level, LOG_ERR))
                return;
        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        entry_write(level, id, fields, message);
}

int log_error_errno(int r, const char *format, ...) {
        char message[MESSAGE_SIZE], number[16];
        va_list ap;

        va_start(ap, format);
        vsnprintf(message, sizeof(message), format, ap);
        va_end(ap);
        snprintf(number, sizeof(number), "%d", -r);
        log_event(LOG_ERR, NULL, LOG_FIELDS({"ERRNO", number}), "%s: %s", message, strerror(-r));
        return r;
}

bool log_limit_take(LogLimit *l, usec_t now) {
        if (quota_take(&l->quota, 1, now))
                return true;
        l->hidden++;
        return false;
}

/* Start */

void log_set_level(int level) {
        log_level = level;
}

int log_get_level(void) {
        return log_level;
}

const char *log_target(void) {
        return journal_path || journal_stream ? "journal" : "console";
}

void log_set_journal(const char *path) {
        journal_path = path;
}

static const char *const level_names[] = {
        "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"};

const char *log_level_name(int level) {
        return level_names[CLAMP(level, LOG_EMERG, LOG_DEBUG)];
}

int log_level_parse(const char *text) {
        for (size_t i = 0; i < ELEMENTSOF(level_names); i++)
                if (streq(text, level_names[i]) || (text[0] == (char)('0' + i) && !text[1]))
                        return (int)i;
        return -EINVAL;
}

static void level_init(void) {
        const char *own = getenv("P2PCHAT_LOG_LEVEL"), *debug = getenv("DEBUG_INVOCATION");
        int level = own ? log_level_parse(own) : debug && streq(debug, "1") ? LOG_DEBUG : LOG_INFO;

        log_level = level < 0 ? LOG_INFO : level;
        if (level < 0)
                log_warning("P2PCHAT_LOG_LEVEL=%s is not a level: use err, warning, notice, info "
                            "or debug",
                        own);
}

void log_init(void) {
        const char *e = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        journal_stream = e && sscanf(e, "%llu:%llu", &dev, &ino) == 2 &&
                fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
        log_set_journal(journal_stream ? JOURNAL_SOCKET : NULL);
        level_init();
}

void log_end(void) {
        if (journal_path && entries_lost == 0)
                (void)datagram_drain(journal_path, JOURNAL_WAIT_END);
}
