/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * What the journal tells whoever runs a tracker. A hundred thousand clients come and go unseen:
 * their sessions are for debug, and counted in the status line. New names are shown, and what is
 * refused; of each kind so many a minute, and once a minute how many more there were. So a flood
 * takes little of the journal, none of the limit that journald has for the whole service (which
 * would then hide errors as well), and still leaves its traces.
 */

#include "node/node.h"
#include "util/log.h"

typedef enum JournalKind {
        JOURNAL_REGISTERED,
        JOURNAL_DELETED,
        JOURNAL_NAME_REFUSED,
        JOURNAL_RATE_LIMITED,
        JOURNAL_CROWDED,
        JOURNAL_EXHAUSTED,
        JOURNAL_STORE,
        _JOURNAL_KIND_MAX,
} JournalKind;

typedef struct TrackerJournal {
        Loop *loop;
        LoopTimer *timer;
        bool timer_set;
        LogLimit limits[_JOURNAL_KIND_MAX];
        int store_errors[_NODE_STORE_USE_MAX]; /* as the node has told last */
        bool store_damaged;
} TrackerJournal;

int tracker_journal_init(TrackerJournal *j, Loop *loop);

/* Says what was not shown yet. After an init that failed, or none, it does nothing. */
void tracker_journal_done(TrackerJournal *j);

/* With the journal as their userdata. */
extern const NodeCallbacks tracker_journal_callbacks;

/* What is wrong with the directory, in a few words, or NULL. Constant: another pointer is another
 * problem. */
const char *tracker_journal_problem(const TrackerJournal *j);

/* A connection goes beyond a limit of the configuration. */
void tracker_journal_crowded(TrackerJournal *j, const SockAddr *peer);

/* There are no descriptors, or there is no memory, for connections that come. */
void tracker_journal_exhausted(TrackerJournal *j, int error);
