/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "util/notify.h"

#include <stdio.h>

#include "util/datagram.h"
#include "util/text.h"

#define READY_WAIT USEC_PER_SEC
#define LINES_SIZE 1024

static int notify_send(const char *lines, usec_t wait) {
        const char *path = getenv("NOTIFY_SOCKET");

        return path ? datagram_send(path, lines, strlen(lines), wait) : 0;
}

/* A line feed in it would begin another assignment, and it may hold what others have said. */
static void notify_send_status(const char *before, const char *status, usec_t wait) {
        char lines[LINES_SIZE];
        int n = snprintf(lines, sizeof(lines), "%sSTATUS=", before);

        snprintf(lines + n, sizeof(lines) - (size_t)n, "%s", status);
        text_clean(lines + n);
        (void)notify_send(lines, wait);
}

void notify_ready(const char *status) {
        notify_send_status("READY=1\n", status, READY_WAIT);
}

void notify_status(const char *status) {
        notify_send_status("", status, 0);
}

/* The time tells the manager which READY=1 is the answer to this. */
void notify_reloading(void) {
        char lines[LINES_SIZE];

        snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%llu",
                (unsigned long long)usec_monotonic());
        (void)notify_send(lines, 0);
}

void notify_stopping(void) {
        (void)notify_send("STOPPING=1", 0);
}

int notify_alive(void) {
        return notify_send("WATCHDOG=1", 0);
}
