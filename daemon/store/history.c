/* SPDX-License-Identifier: GPL-3.0-or-later */

#include "store/history.h"

#include "store/room-private.h"

static int cache_load(DbTxn *txn, uint32_t feed, FeedCache *c) {
        Conversation conversation;
        int r;

        if (c->feed.number == feed)
                return 0;
        r = feed_get(txn, feed, &c->feed);
        if (r <= 0)
                return r < 0 ? r : db_damaged(txn);
        if (c->feed.account != SELF_NUMBER) {
                r = store_load_read(txn, feed, &c->reached);
                return r < 0 ? r : 0;
        }
        r = store_load_receipt(txn, feed, &c->reached);
        if (r >= 0)
                r = store_load_read_receipt(txn, feed, &c->read);
        if (r >= 0)
                r = conversation_get(txn, c->feed.conversation, &conversation);
        if (r > 0)
                c->peer = conversation.peer;
        return r < 0 ? r : 0;
}

/* What is older than the ranges that are kept is in the outbox, given up or delivered. */
static int is_delivered(DbTxn *txn, const FeedCache *c, const Entry *e) {
        OutboxRow row;
        int r;

        if (e->seq > c->reached.dropped)
                return ranges_have(&c->reached, e->seq);
        if (entry_is_given_up(e))
                return 0;
        r = outbox_get(txn, c->peer, (OutboxPosition){.feed = e->feed, .seq = e->seq}, &row);
        return r < 0 ? r : r == 0;
}

int history_get_next(DbTxn *txn, uint32_t feed, uint64_t seq, FeedCache *cache, HistoryRow *ret) {
        HistoryRow h = {};
        int r;

        r = cache_load(txn, feed, cache);
        if (r < 0)
                return r;
        r = entry_get(txn, feed, seq, &h.entry);
        if (r <= 0)
                return r;
        r = inner_decode(h.entry.inner, &h.inner);
        if (r < 0)
                return db_damaged(txn);
        h.own = cache->feed.account == SELF_NUMBER;
        if (h.own && cache->peer != 0) {
                r = is_delivered(txn, cache, &h.entry);
                if (r < 0)
                        return r;
                h.delivered = r > 0;
                h.read = h.delivered && ranges_have(&cache->read, seq);
        } else if (!h.own)
                h.read = ranges_have(&cache->reached, seq);
        if (!h.own && h.entry.flags & ENTRY_GAP) {
                r = store_gap_before(txn, &cache->feed, seq, &h.gap_before);
                if (r < 0)
                        return r;
        }
        *ret = h;
        return 1;
}

static DbKey order_key(uint32_t conversation, const Inner *m) {
        DbKey k = DB_KEY_NULL;

        db_key_u32(&k, conversation);
        if (!m)
                return k;
        db_key_u64(&k, m->hlc);
        db_key_bytes(&k, m->account, KEY_SIZE);
        db_key_u64(&k, m->epoch);
        db_key_bytes(&k, m->device, KEY_SIZE);
        db_key_u64(&k, m->seq);
        return k;
}

static int order_place(DbTxn *txn, DbValue k, DbValue v, uint32_t *ret_feed, uint64_t *ret_seq) {
        RowReader row = row_begin(v);
        int r;

        *ret_feed = row_u32(&row);
        r = row_end(&row);
        if (r < 0 || k.size < 8)
                return r < 0 ? r : db_damaged(txn);
        *ret_seq = db_get_u64(k.data + k.size - 8);
        return 0;
}

static int order_read(DbTxn *txn, DbValue k, DbValue v, FeedCache *cache, HistoryRow *ret) {
        uint32_t feed;
        uint64_t seq;
        int r;

        r = order_place(txn, k, v, &feed, &seq);
        return r < 0 ? r : history_get_next(txn, feed, seq, cache, ret);
}

/* The place of a message in the order. */
static int find_position(DbTxn *txn, const HistoryPage *page, const Uuid *id, DbKey *ret) {
        FeedCache cache = {};
        uint32_t feed;
        uint64_t seq;
        HistoryRow h;
        int r;

        if (page->peer == 0)
                r = store_room_find_id(txn, page->conversation, id, &feed, &seq);
        else
                r = store_find_id(txn, SELF_NUMBER, id, &feed, &seq);
        if (r == 0 && page->peer != 0)
                r = store_find_id(txn, page->peer, id, &feed, &seq);
        if (r > 0)
                r = history_get_next(txn, feed, seq, &cache, &h);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        if (cache.feed.conversation != page->conversation)
                return -ENOENT;
        *ret = order_key(page->conversation, &h.inner);
        return 0;
}

/* Backwards pages are shown oldest first too: go back as far as needed, then forward from there. */
static int find_start(
        DbTxn *txn, const HistoryPage *page, const DbKey *before, DbKey *ret, bool *ret_more) {
        DbKey prefix = order_key(page->conversation, NULL);
        DbCursor cursor;
        DbValue k, v;
        unsigned n = 0;
        int r;

        *ret = prefix;
        r = db_cursor_open(txn, TABLE_ORDER, &prefix, before, true, &cursor);
        if (r < 0)
                return r;
        while (n < page->limit && (r = db_cursor_next(&cursor, &k, &v)) > 0) {
                *ret = DB_KEY_NULL;
                db_key_bytes(ret, k.data, k.size);
                n++;
        }
        *ret_more = r > 0 && db_cursor_next(&cursor, &k, &v) > 0;
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

static int read_forward(DbTxn *txn, const HistoryPage *page, const DbKey *start, const DbKey *skip,
        const DbKey *end, HistoryFn fn, void *userdata, bool *ret_stopped) {
        DbKey prefix = order_key(page->conversation, NULL);
        FeedCache cache = {};
        DbCursor cursor;
        DbValue k, v;
        unsigned n = 0;
        int r;

        *ret_stopped = false;
        r = db_cursor_open(txn, TABLE_ORDER, &prefix, start, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                HistoryRow h;

                if (skip && k.size == skip->size && memcmp(k.data, skip->data, k.size) == 0)
                        continue;
                if (end && k.size == end->size && memcmp(k.data, end->data, k.size) >= 0)
                        break;
                if (n == page->limit) {
                        *ret_stopped = true;
                        break;
                }
                r = order_read(txn, k, v, &cache, &h);
                if (r < 0)
                        break;
                if (r > 0 && !fn(userdata, txn, &h)) {
                        *ret_stopped = true;
                        break;
                }
                n++;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}

int history_read(
        DbTxn *txn, const HistoryPage *page, HistoryFn fn, void *userdata, bool *ret_more) {
        DbKey at, start;
        bool more = false, stopped;
        int r;

        if (page->before || page->after) {
                r = find_position(txn, page, page->before ?: page->after, &at);
                if (r < 0)
                        return r;
        }
        if (page->after) {
                r = read_forward(txn, page, &at, &at, NULL, fn, userdata, &more);
        } else {
                r = find_start(txn, page, page->before ? &at : NULL, &start, &more);
                if (r >= 0)
                        r = read_forward(txn, page, &start, NULL, page->before ? &at : NULL, fn,
                                userdata, &stopped);
                if (r >= 0)
                        more |= stopped;
        }
        if (r < 0)
                return r;
        *ret_more = more;
        return 0;
}

int history_last(DbTxn *txn, uint32_t conversation, HistoryRow *ret) {
        DbKey prefix = order_key(conversation, NULL);
        FeedCache cache = {};
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_ORDER, &prefix, NULL, true, &cursor);
        if (r < 0)
                return r;
        r = db_cursor_next(&cursor, &k, &v);
        if (r > 0)
                r = order_read(txn, k, v, &cache, ret);
        db_cursor_close(&cursor);
        return r;
}

int store_digest(
        DbTxn *txn, uint32_t conversation, uint8_t ret[static SHA256_SIZE], uint64_t *ret_n) {
        DbKey prefix = order_key(conversation, NULL);
        uint8_t hash[SHA256_SIZE];
        DbCursor cursor;
        Sha256 digest;
        DbValue k, v;
        Entry e;
        int r;

        r = db_cursor_open(txn, TABLE_ORDER, &prefix, NULL, false, &cursor);
        if (r < 0)
                return r;
        sha256_begin(&digest);
        *ret_n = 0;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = order_place(txn, k, v, &e.feed, &e.seq);
                if (r >= 0)
                        r = entry_get(txn, e.feed, e.seq, &e);
                if (r == 0)
                        r = db_damaged(txn);
                if (r < 0)
                        break;
                sha256(e.inner.data, e.inner.size, hash);
                sha256_add(&digest, hash, sizeof(hash));
                ++*ret_n;
        }
        sha256_end(&digest, ret);
        db_cursor_close(&cursor);
        return r;
}

int history_get(DbTxn *txn, uint32_t feed, uint64_t seq, HistoryRow *ret) {
        FeedCache cache = {};

        return history_get_next(txn, feed, seq, &cache, ret);
}

int conversation_each(DbTxn *txn, ConversationFn fn, void *userdata) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_CONVERSATION, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                Conversation c;

                if (k.size != 4)
                        continue;
                r = conversation_get(txn, db_get_u32(k.data), &c);
                if (r < 0 || (r > 0 && !fn(userdata, txn, &c)))
                        break;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : 0;
}
