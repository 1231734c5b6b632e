/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of directory/ share. */

#include "directory/directory.h"
#include "util/table.h"

typedef struct Tracker {
        EndpointKey address;
        Session *session;
} Tracker;

typedef struct Watched {
        uint8_t account[KEY_SIZE];
        bool has_device; /* the account has said which device is its own */
        uint64_t epoch;
        uint8_t device[KEY_SIZE];
        bool heard;
        KnownPresence known;
        UT_hash_handle hh;
} Watched;

/* A question that a session is to answer. */
typedef struct Query {
        Directory *directory;
        char name[NAME_SIZE];
        uint8_t account[KEY_SIZE];
        DirectoryLookupFn lookup;
        DirectoryPeerFn peer;
        DirectoryListFn list;
        DirectoryDoneFn done;
        void *userdata; /* NULL functions: nobody waits any more */
        bool waiting; /* for a session; until `deadline` */
        usec_t deadline;
        struct Query *prev, *next;
} Query;

struct Directory {
        Net *net;
        const LocalIdentity *self;
        const DirectoryCallbacks *callbacks;
        void *userdata;
        Tracker trackers[DIRECTORY_TRACKERS_MAX];
        size_t n;
        bool started, claimed;
        usec_t told_time, told_at; /* by a tracker, realtime; then, monotonic; 0: not so far */
        Buffer presence; /* as announced */
        Watched *watched;
        bool watch_again; /* some request to watch found too many open */
        bool informed; /* what was heard of presence still counts */
        bool has_grace; /* no tracker is connected: until `grace` */
        LoopTimer *grace;
        Query *queries;
        LoopTimer *query_timer;
};

Session *directory_connected_session(const Directory *d);

void queries_free(Directory *d);

/* A session came up or an attempt failed: those that wait are asked, or refused when no attempt is
 * left. */
void queries_go_on(Directory *d);
void watch_go_on(Directory *d);
void on_query_timer(void *userdata);
