/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What p2pchatd tells whoever looks after it: its status line, and events of its journal. */

#include "chat/chat.h"
#include "directory/directory.h"
#include "util/log.h"

#define STATUS_SIZE 512

/* In plain words, as "online as alice, 3 links, 2 queued", with the first of its problems. KEPT is
 * the name of the account that is kept here, logged in or not, NULL without one. */
char *status_format(const ChatStatus *s, const char *kept, char buf[static STATUS_SIZE]);

/* Which trackers the journal has as reached. */
typedef struct TrackerReport {
        struct TrackerSeen {
                EndpointKey address;
                bool reached, lost; /* told */
        } seen[DIRECTORY_TRACKERS_MAX];
        size_t n;
        LogLimit limit;
} TrackerReport;

/* One that comes and goes all day. */
#define TRACKER_REPORT_LIMIT ((LogLimit){.quota = QUOTA_INIT(20, 10 * USEC_PER_MINUTE)})

/* After each change of the directory: logs who was reached and who was lost, each once. */
void report_trackers(TrackerReport *t, const Directory *d, usec_t now);

/* After a commit that took so long. LOGGED: when it was said that the disk is slow. */
void report_commit(usec_t took, usec_t now, usec_t *logged);

/* Where something cannot be found or written that is there, and that the user can write. */
#define SEE_SANDBOX "; as a service p2pchatd needs a drop-in for it, see SANDBOX in p2pchatd(8)"

/* What to do where something cannot be written, to follow the reason. */
const char *write_advice(int r);

/* Why the store in DIR was not opened, and what to do. */
void report_store_refused(const char *dir, int r);

/* Why there is no session bus; returns R. */
int report_no_bus(int r);

/* Logs that the start fails and returns R. */
int report_start_failed(int r, const char *format, ...) _printf_(2, 3);
