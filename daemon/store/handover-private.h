/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where items go, for the files that take them in. */

#include "store/handover-item.h"
#include "store/private.h"

/* Reading: where a walk over a store is. */
typedef struct HandoverWalk {
        DbTxn *txn;
        const Identity *self;
        size_t max;
        Buffer *out;
        uint64_t n;
        unsigned rows;
        bool full;
        DbKey at; /* of the last row of this stage that is done; size 0: none */
} HandoverWalk;

/* What was appended since BEFORE is one item, and R whether that went well. True: it is there. */
bool walk_take(HandoverWalk *w, size_t before, int r);
void walk_done(HandoverWalk *w, Bytes key);

/* 1: full; 0: the end of the stage. */
int walk_clients(HandoverWalk *w);
int walk_events(HandoverWalk *w);

struct HandoverMerge {
        Store *store;
        const Identity *self;
        usec_t now; /* realtime */
        usec_t taken_over; /* when this device became the active one */

        /* The feed of the last item, with what is written when another one follows. */
        bool open, feed_changed, conversation_changed, read_changed;
        HandoverFeedName name;
        Feed feed;
        Conversation conversation;
        Ranges read; /* by the user; of the peer's */
        uint8_t peer[KEY_SIZE];
        uint32_t peer_number;
        bool peer_is_stranger;
};

/* What is in memory is written. */
int merge_flush(HandoverMerge *m);

int merge_feed(HandoverMerge *m, Bytes item);
int merge_entry(HandoverMerge *m, Bytes item);
int merge_feed_end(HandoverMerge *m, Bytes item);
int merge_client(HandoverMerge *m, Bytes item);
int merge_event(HandoverMerge *m, Bytes item);

/* There is an event here that says that the message came. */
int handover_told(HandoverMerge *m, uint32_t feed, uint64_t seq);
