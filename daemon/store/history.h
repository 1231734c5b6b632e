/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* Reading: a conversation page by page in its order, and the list of conversations. */

#include "store/message.h"

typedef struct HistoryRow {
        Entry entry;
        Inner inner; /* decoded; its bytes are in the map */
        bool own, delivered, read; /* of own ones in a room only others' marks tell (room.h) */
        uint64_t gap_before;
} HistoryRow;

/* True to go on. */
typedef bool (*HistoryFn)(void *userdata, DbTxn *txn, const HistoryRow *row);

typedef struct HistoryPage {
        uint32_t conversation;
        const Uuid *before, *after; /* NULL: from the end */
        uint32_t peer; /* account number, whose ids are looked for beside own ones; 0: a room */
        unsigned limit;
} HistoryPage;

/* Oldest first. RET_MORE: there are further messages in the direction that was asked for. -ENOENT:
 * BEFORE or AFTER is not a message of this conversation. */
int history_read(DbTxn *txn, const HistoryPage *page, HistoryFn fn, void *userdata, bool *ret_more);

/* The last message. 1 or 0. */
int history_last(DbTxn *txn, uint32_t conversation, HistoryRow *ret);

/* Feeds change rarely from row to row: the last one is kept. For one transaction; begins empty. */
typedef struct FeedCache {
        Feed feed;
        uint32_t peer; /* own: the recipient */
        Ranges reached; /* own: delivered; others': read by the user */
        Ranges read; /* own: read by the recipient */
} FeedCache;

/* One message, or one after the other. 1 or 0. */
int history_get(DbTxn *txn, uint32_t feed, uint64_t seq, HistoryRow *ret);
int history_get_next(DbTxn *txn, uint32_t feed, uint64_t seq, FeedCache *cache, HistoryRow *ret);

typedef bool (*ConversationFn)(void *userdata, DbTxn *txn, const Conversation *c);
int conversation_each(DbTxn *txn, ConversationFn fn, void *userdata);
