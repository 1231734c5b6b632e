/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A store that does not change any more, as items. A position is where one of the stages below has
 * come: its number, and the key of the last row that was read. */

#include "store/handover-private.h"

/* Rows that one call looks at, for what it has to say nothing of. */
#define ROWS_MAX 4096

bool walk_take(HandoverWalk *w, size_t before, int r) {
        if (r >= 0 && (buffer_size(w->out) <= w->max || w->n == 0)) {
                w->n++;
                w->full = buffer_size(w->out) >= w->max;
                return true;
        }
        w->out->end = w->out->begin + before;
        w->full = true;
        return false;
}

void walk_done(HandoverWalk *w, Bytes key) {
        w->at = DB_KEY_NULL;
        db_key_bytes(&w->at, key.data, key.size);
        if (++w->rows >= ROWS_MAX)
                w->full = true;
}

/* One row: 1 where it was appended, 0 where there is nothing to say of it. */
typedef int (*RowFn)(HandoverWalk *w, DbValue k, DbValue v);

/* 1: full; 0: the end. */
static int walk_table(HandoverWalk *w, unsigned table, RowFn fn) {
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(w->txn, table, &none, w->at.size > 0 ? &w->at : NULL, false, &cursor);
        if (r < 0)
                return r;
        while (!w->full && (r = db_cursor_next(&cursor, &k, &v)) > 0) {
                size_t before = buffer_size(w->out);

                if (k.size == w->at.size && memcmp(k.data, w->at.data, k.size) == 0)
                        continue;
                r = fn(w, k, v);
                if (r < 0 || (r > 0 && !walk_take(w, before, r)))
                        break;
                walk_done(w, (Bytes){.data = k.data, .size = k.size});
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : w->full;
}

/* Prekeys and the own presence key */

static int put_prekey(HandoverWalk *w, DbValue k, DbValue v) {
        PrekeyRow p;
        int r;

        if (k.size != 8)
                return db_damaged(w->txn);
        r = prekey_get(w->txn, db_get_u64(k.data), &p);
        if (r > 0)
                r = handover_put_prekey(w->out, &p);
        explicit_bzero(&p, sizeof(p));
        return r < 0 ? r : 1;
}

static int read_prekeys(HandoverWalk *w) {
        return walk_table(w, TABLE_PREKEY, put_prekey);
}

static int read_presence_key(HandoverWalk *w) {
        size_t before = buffer_size(w->out);
        uint8_t key[BOX_KEY_SIZE];
        int r;

        r = store_get_presence_key(w->txn, key);
        if (r > 0)
                r = handover_put_presence_key(w->out, key);
        else
                return r;
        explicit_bzero(key, sizeof(key));
        return r < 0 ? r : !walk_take(w, before, r);
}

/* People */

static int person_fill(HandoverWalk *w, const Contact *c, HandoverPerson *p) {
        char shown[SHOWN_NAME_SIZE];
        int r;

        memcpy(p->account, c->account, KEY_SIZE);
        p->flags = (uint8_t)(c->flags & ~CONTACT_MEMBER); /* his rooms say that */
        p->record = c->record;
        memcpy(p->alias, c->alias, NAME_SIZE);
        p->last_seen = c->last_seen;
        p->has_rival = c->has_rival;
        memcpy(p->rival, c->rival, KEY_SIZE);
        memcpy(p->decided, c->decided, sizeof(p->decided));
        if (c->name[0] && !c->alias[0])
                p->named = streq(contact_shown_name(w->txn, c, shown), c->name);
        r = store_get_endpoints(w->txn, c->number, &p->endpoints);
        if (r >= 0)
                r = store_get_token(w->txn, c->number, &p->token);
        if (r >= 0)
                r = store_get_contact_key(w->txn, c->number, p->key);
        p->has_key = r > 0;
        return r;
}

static int put_person(HandoverWalk *w, DbValue k, DbValue v) {
        HandoverPerson p = {};
        Contact c;
        int r;

        if (k.size != KEY_SIZE)
                return db_damaged(w->txn);
        r = contact_get(w->txn, k.data, &c);
        if (r > 0)
                r = person_fill(w, &c, &p);
        if (r >= 0)
                r = handover_put_person(w->out, &p);
        explicit_bzero(p.key, sizeof(p.key));
        return r < 0 ? r : 1;
}

static int read_people(HandoverWalk *w) {
        return walk_table(w, TABLE_ACCOUNT, put_person);
}

static int put_certificate(HandoverWalk *w, DbValue k, DbValue v) {
        Bytes outer = {};
        int r;

        if (k.size != KEY_SIZE + 8)
                return db_damaged(w->txn);
        r = store_get_certificate(w->txn, k.data, db_get_u64(k.data + KEY_SIZE), &outer);
        if (r > 0)
                r = handover_put_certificate(w->out, outer);
        return r < 0 ? r : 1;
}

static int read_certificates(HandoverWalk *w) {
        return walk_table(w, TABLE_CERTIFICATE, put_certificate);
}

/* Feeds of direct conversations with their entries. The position is the key of the feed, what of it
 * comes next, and the last entry that is done. */

enum {
        FEED_HEAD,
        FEED_ENTRIES,
        FEED_END,
        FEED_DONE,
};

#define FEED_KEY_SIZE (4 + 4 + 8 + KEY_SIZE)

typedef struct FeedWalk {
        Feed feed;
        Contact peer;
        HandoverFeedName name;
        Ranges read; /* by the user, of the peer's */
        uint8_t next;
        uint64_t seq;
} FeedWalk;

static int put_feed(HandoverWalk *w, const FeedWalk *f) {
        _cleanup_(freep) HandoverFeed *h = calloc(1, sizeof(*h));
        int r = 0;

        if (!h)
                return -ENOMEM;
        h->name = f->name;
        h->seq = f->feed.seq;
        memcpy(h->hash, f->feed.hash, SHA256_SIZE);
        h->read = f->read;
        for (VoidReason why = VOID_CANCELLED; r >= 0 && why <= VOID_REFUSED; why++)
                r = void_load(w->txn, f->feed.number, why, &h->voids[why - 1]);
        return r < 0 ? r : handover_put_feed(w->out, h);
}

static int find_owed(HandoverWalk *w, const FeedWalk *f, HandoverFeedEnd *h) {
        MailOwed o = {.account = f->feed.account};
        int r;

        if (f->name.own)
                return 0;
        o.feed = f->feed.number;
        while ((r = mail_owed_next(w->txn, &o, &o)) > 0 && o.feed == f->feed.number)
                if (o.state == RECEIPT_DELIVERED)
                        h->owes_delivered = true;
                else
                        h->owes_read = true;
        return r;
}

static int put_feed_end(HandoverWalk *w, const FeedWalk *f) {
        _cleanup_(freep) HandoverFeedEnd *h = calloc(1, sizeof(*h));
        int r = 0;

        if (!h)
                return -ENOMEM;
        h->name = f->name;
        if (f->name.own)
                r = store_load_receipt(w->txn, f->feed.number, &h->have);
        else {
                h->have = f->feed.have;
                memcpy(h->hash, f->feed.have_hash, SHA256_SIZE);
        }
        if (r >= 0)
                r = store_load_read_receipt(w->txn, f->feed.number, &h->read);
        if (r >= 0)
                r = find_owed(w, f, h);
        return r < 0 ? r : handover_put_feed_end(w->out, h);
}

/* 0 for one that was written anew under its id. */
static int own_entry_fill(HandoverWalk *w, const FeedWalk *f, HandoverEntry *h) {
        OutboxPosition at = {.feed = f->feed.number, .seq = h->entry.seq};
        OutboxRow row;
        IdRow id;
        Inner m;
        int r;

        if (inner_decode(h->entry.inner, &m) < 0)
                return db_damaged(w->txn);
        r = id_get(w->txn, SELF_NUMBER, &m.id, &id);
        if (r < 0)
                return r;
        if (r > 0 && id.seq > 0 && (id.feed != at.feed || id.seq != at.seq))
                return 0;
        h->own = true;
        if (r > 0)
                memcpy(h->content, id.content, SHA256_SIZE);
        r = outbox_get(w->txn, f->peer.number, at, &row);
        h->outbox = r > 0;
        if (r >= 0)
                r = mail_item_get(w->txn, f->peer.number, at, &h->mail);
        h->has_mail = r > 0;
        return r < 0 ? r : 1;
}

static int put_entry(HandoverWalk *w, FeedWalk *f, uint64_t seq) {
        HandoverEntry h = {};
        int r;

        r = entry_get(w->txn, f->feed.number, seq, &h.entry);
        if (r <= 0)
                return r;
        if (f->name.own)
                r = own_entry_fill(w, f, &h);
        else
                h.read = ranges_have(&f->read, seq);
        if (r > 0)
                r = handover_put_entry(w->out, &h);
        else
                return r;
        explicit_bzero(h.mail.secret, sizeof(h.mail.secret));
        return r < 0 ? r : 1;
}

static int put_entries(HandoverWalk *w, FeedWalk *f) {
        DbKey prefix = DB_KEY_NULL, start = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        db_key_u32(&prefix, f->feed.number);
        start = prefix;
        db_key_u64(&start, f->seq + 1);
        r = db_cursor_open(w->txn, TABLE_ENTRY, &prefix, &start, false, &cursor);
        if (r < 0)
                return r;
        while (!w->full && (r = db_cursor_next(&cursor, &k, &v)) > 0) {
                size_t before = buffer_size(w->out);

                if (k.size != 12) {
                        r = db_damaged(w->txn);
                        break;
                }
                r = put_entry(w, f, db_get_u64(k.data + 4));
                if (r < 0 || (r > 0 && !walk_take(w, before, r)))
                        break;
                f->seq = db_get_u64(k.data + 4);
                if (++w->rows >= ROWS_MAX)
                        w->full = true;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : w->full;
}

/* What is left of one feed. 1: full; 0: it is all said. */
static int feed_walk(HandoverWalk *w, FeedWalk *f) {
        size_t before = buffer_size(w->out);
        int r = 0;

        if (f->next == FEED_HEAD) {
                r = put_feed(w, f);
                if (r < 0 || !walk_take(w, before, r))
                        return r < 0 ? r : 1;
                f->next = FEED_ENTRIES;
        }
        if (f->next == FEED_ENTRIES) {
                r = put_entries(w, f);
                if (r != 0)
                        return r;
                f->next = FEED_END;
        }
        if (w->full)
                return 1;
        before = buffer_size(w->out);
        r = put_feed_end(w, f);
        return r < 0 ? r : !walk_take(w, before, r);
}

/* 1, or 0 for a feed of a room. */
static int feed_walk_begin(HandoverWalk *w, DbValue k, DbValue v, FeedWalk *f) {
        RowReader row = row_begin(v);
        uint32_t number = row_u32(&row);
        Conversation c;
        int r;

        r = row_end(&row);
        if (r < 0 || k.size != FEED_KEY_SIZE)
                return r < 0 ? r : db_damaged(w->txn);
        r = conversation_get(w->txn, db_get_u32(k.data), &c);
        if (r <= 0 || c.peer == 0)
                return r < 0 ? r : r == 0 ? db_damaged(w->txn) : 0;
        r = feed_get(w->txn, number, &f->feed);
        if (r > 0)
                r = contact_get_by_number(w->txn, c.peer, &f->peer);
        if (r <= 0)
                return r < 0 ? r : db_damaged(w->txn);
        f->name = (HandoverFeedName){.own = f->feed.account == SELF_NUMBER, .epoch = f->feed.epoch};
        memcpy(f->name.peer, f->peer.account, KEY_SIZE);
        memcpy(f->name.device, f->feed.device, KEY_SIZE);
        if (!f->name.own)
                r = store_load_read(w->txn, number, &f->read);
        return r < 0 ? r : 1;
}

/* The key of a feed, what comes next of it, and the last entry that is done. */
static void feed_mark(HandoverWalk *w, DbValue k, const FeedWalk *f) {
        w->at = DB_KEY_NULL;
        db_key_bytes(&w->at, k.data, k.size);
        db_key_u8(&w->at, f->next);
        db_key_u64(&w->at, f->seq);
}

static bool feed_is_marked(const HandoverWalk *w, DbValue k) {
        return w->at.size == FEED_KEY_SIZE + 9 && k.size == FEED_KEY_SIZE &&
                memcmp(k.data, w->at.data, FEED_KEY_SIZE) == 0;
}

/* The feed of one row. 1: full; 0: it is done. */
static int read_feed(HandoverWalk *w, DbValue k, DbValue v, FeedWalk *f) {
        int r;

        *f = (FeedWalk){};
        if (feed_is_marked(w, k)) {
                f->next = w->at.data[FEED_KEY_SIZE];
                f->seq = db_get_u64(w->at.data + FEED_KEY_SIZE + 1);
                if (f->next >= FEED_DONE)
                        return 0;
        }
        r = feed_walk_begin(w, k, v, f);
        if (r > 0)
                r = feed_walk(w, f);
        if (r == 0)
                f->next = FEED_DONE;
        if (r >= 0)
                feed_mark(w, k, f);
        if (++w->rows >= ROWS_MAX)
                w->full = true;
        return r;
}

static int read_feeds(HandoverWalk *w) {
        DbKey none = DB_KEY_NULL, start = DB_KEY_NULL;
        _cleanup_(freep) FeedWalk *f = malloc(sizeof(*f));
        DbCursor cursor;
        DbValue k, v;
        int r;

        if (!f)
                return -ENOMEM;
        db_key_bytes(&start, w->at.data, MIN(w->at.size, (size_t)FEED_KEY_SIZE));
        r = db_cursor_open(
                w->txn, TABLE_FEED_KEY, &none, start.size > 0 ? &start : NULL, false, &cursor);
        if (r < 0)
                return r;
        while (!w->full && (r = db_cursor_next(&cursor, &k, &v)) > 0) {
                r = read_feed(w, k, v, f);
                if (r != 0)
                        break;
        }
        db_cursor_close(&cursor);
        return r < 0 ? r : w->full;
}

/* Ids whose messages are not kept */

static int goes_without_entry(DbTxn *txn, const IdRow *row) {
        Entry e;
        int r;

        r = row->seq > 0 ? entry_get(txn, row->feed, row->seq, &e) : 0;
        return r < 0 ? r : r == 0;
}

static int put_id(HandoverWalk *w, DbValue k, DbValue v) {
        HandoverId h = {};
        Contact c;
        IdRow row;
        int r;

        if (k.size != 4 + sizeof(h.id))
                return db_damaged(w->txn);
        memcpy(&h.id, k.data + 4, sizeof(h.id));
        r = id_get(w->txn, db_get_u32(k.data), &h.id, &row);
        if (r > 0)
                r = goes_without_entry(w->txn, &row);
        if (r > 0 && db_get_u32(k.data) != SELF_NUMBER) {
                r = contact_get_by_number(w->txn, db_get_u32(k.data), &c);
                h.has_account = true;
                memcpy(h.account, c.account, KEY_SIZE);
        }
        if (r <= 0)
                return r;
        memcpy(h.content, row.content, SHA256_SIZE);
        h.until = row.until;
        r = handover_put_id(w->out, &h);
        return r < 0 ? r : 1;
}

static int read_ids(HandoverWalk *w) {
        return walk_table(w, TABLE_ID, put_id);
}

/* What the user has said of himself, and where the password is */

static int read_settings(HandoverWalk *w) {
        size_t before = buffer_size(w->out);
        ChosenPresence c;
        PasswordRow p;
        int r;

        r = store_get_chosen_presence(w->txn, &c);
        if (r > 0)
                r = handover_put_chosen_presence(w->out, &c);
        if (r < 0 || (buffer_size(w->out) > before && !walk_take(w, before, r)))
                return r < 0 ? r : 1;
        before = buffer_size(w->out);
        r = store_get_password(w->txn, &p);
        if (r > 0)
                r = handover_put_password(w->out, &p);
        if (r < 0 || buffer_size(w->out) == before)
                return r;
        return !walk_take(w, before, r);
}

/* Stages, in their order. Numbers stay: they are in positions on disk. */

static int (*const stages[])(HandoverWalk *w) = {
        read_prekeys,
        read_presence_key,
        read_people,
        read_certificates,
        read_feeds,
        read_ids,
        read_settings,
        walk_clients,
        walk_events,
};

#define STAGE_AFTER_ROOMS 6

static bool position_is_valid(uint8_t stage, const DbKey *at) {
        return at->size <= HANDOVER_STORE_POSITION_MAX - 1 &&
                (stages[stage] != read_feeds || at->size == 0 || at->size == FEED_KEY_SIZE + 9);
}

int handover_read(DbTxn *txn, const Identity *self, HandoverPart part, Bytes position, size_t max,
        Buffer *items, uint64_t *ret_n, Buffer *next) {
        uint8_t stage = part == HANDOVER_BEFORE_ROOMS ? 0 : STAGE_AFTER_ROOMS,
                end = part == HANDOVER_BEFORE_ROOMS ? STAGE_AFTER_ROOMS : ELEMENTSOF(stages);
        HandoverWalk w = {.txn = txn, .self = self, .max = max, .out = items};
        int r = 0;

        if (position.size > HANDOVER_STORE_POSITION_MAX)
                return -EBADMSG;
        if (position.size > 0) {
                if (position.data[0] < stage || position.data[0] >= end)
                        return -EBADMSG;
                stage = position.data[0];
                db_key_bytes(&w.at, position.data + 1, position.size - 1);
        }
        if (!position_is_valid(stage, &w.at))
                return -EBADMSG;
        while (stage < end) {
                r = stages[stage](&w);
                if (r != 0)
                        break;
                stage++;
                w.at = DB_KEY_NULL;
        }
        if (r < 0)
                return r;
        *ret_n = w.n;
        buffer_clear(next);
        r = buffer_append(next, &(uint8_t){MIN(stage, (uint8_t)(end - 1))}, 1);
        if (r >= 0)
                r = buffer_append(next, w.at.data, w.at.size);
        return r < 0 ? r : stage < end;
}

int handover_count(DbTxn *txn, const Identity *self, uint64_t *ret) {
        uint64_t n = db_count(txn, TABLE_PREKEY) + db_count(txn, TABLE_ACCOUNT) +
                db_count(txn, TABLE_CERTIFICATE) + db_count(txn, TABLE_CLIENT);
        DbKey none = DB_KEY_NULL;
        DbCursor cursor;
        DbValue k, v;
        int r;

        r = db_cursor_open(txn, TABLE_FEED_KEY, &none, NULL, false, &cursor);
        if (r < 0)
                return r;
        while ((r = db_cursor_next(&cursor, &k, &v)) > 0) {
                RowReader row = row_begin(v);
                uint32_t number = row_u32(&row);
                Conversation c;
                Feed f;

                r = row_end(&row);
                if (r >= 0)
                        r = feed_get(txn, number, &f);
                if (r > 0)
                        r = conversation_get(txn, f.conversation, &c);
                if (r < 0)
                        break;
                if (r > 0 && c.peer != 0)
                        n += f.seq + 2;
        }
        db_cursor_close(&cursor);
        *ret = n;
        return r < 0 ? r : 0;
}
