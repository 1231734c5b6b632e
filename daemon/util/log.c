/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

static int log_level = LOG_INFO;
static bool log_prefix;

void log_init(void) {
        const char *e = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        log_prefix = e && sscanf(e, "%llu:%llu", &dev, &ino) == 2 &&
                fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void log_set_level(int level) {
        log_level = level;
}

/* One write per line, so that lines of several processes on one descriptor do not mix. Control
 * characters are replaced: names and reasons may come from the network. */
_printf_(2, 0) static void log_line(int level, const char *format, va_list ap, const char *reason) {
        char line[1024];
        int n = 0, k;

        if (log_prefix)
                n = snprintf(line, sizeof(line), "<%d>", level);
        k = vsnprintf(line + n, sizeof(line) - (size_t)n, format, ap);
        if (k < 0)
                return;
        n = MIN(n + k, (int)sizeof(line) - 2);
        if (reason) {
                k = snprintf(line + n, sizeof(line) - (size_t)n, ": %s", reason);
                n = MIN(n + k, (int)sizeof(line) - 2);
        }
        for (int i = 0; i < n; i++)
                if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                        line[i] = '?';
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, (size_t)n) < 0)
                return; /* nobody is left to be told */
}

void log_message(int level, const char *format, ...) {
        va_list ap;

        if (level > log_level)
                return;
        va_start(ap, format);
        log_line(level, format, ap, NULL);
        va_end(ap);
}

int log_error_errno(int r, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        log_line(LOG_ERR, format, ap, strerror(-r));
        va_end(ap);
        return r;
}
