/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Where items go, for the files that take them in. */

#include "store/handover-item.h"
#include "store/private.h"

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
